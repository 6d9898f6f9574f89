//! Linear regression that keeps its data: the quadratic of [`Quadratic::least_squares`] for full batches, the samples
//! for minibatches and per-sample losses.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2};

use crate::target::{Batch, SampleLosses, Target};
use crate::targets::{LeastSquaresError, Quadratic};

/// The mean squared error of `y = X w`; a sample's loss is its squared error.
///
/// ```
/// use ndarray::array;
/// use slt_sampler::{SampleLosses, targets::LinearRegression};
///
/// let mut target = LinearRegression::new(array![[1.0], [2.0]].view(), array![1.0, 5.0].view())?;
/// let mut losses = ndarray::Array2::zeros((1, 2));
/// target.sample_losses(array![[2.0]].view(), losses.view_mut());
/// assert_eq!(losses, array![[1.0, 1.0]]);
/// # Ok::<(), slt_sampler::targets::LeastSquaresError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LinearRegression {
    quadratic: Quadratic,
    x: Arc<Array2<f64>>,
    y: Arc<Array1<f64>>,
}

impl LinearRegression {
    /// The target for these data.
    ///
    /// Shapes: `x`: `[n, d]`; `y`: `[n]`.
    ///
    /// # Errors
    /// [`LeastSquaresError`] where shapes differ, a value is not finite, or LAPACK fails.
    pub fn new(x: ArrayView2<f64>, y: ArrayView1<f64>) -> Result<Self, LeastSquaresError> {
        Ok(Self {
            quadratic: Quadratic::least_squares(x, y)?,
            x: Arc::new(x.as_standard_layout().into_owned()),
            y: Arc::new(y.to_owned()),
        })
    }

    /// The full-batch loss as a quadratic.
    pub fn quadratic(&self) -> &Quadratic {
        &self.quadratic
    }

    fn error(&self, w: ArrayView1<f64>, sample: usize) -> f64 {
        let fit: f64 = self.x.row(sample).iter().zip(w).map(|(x, w)| x * w).sum();
        fit - self.y[sample]
    }
}

impl Target for LinearRegression {
    fn n_params(&self) -> usize {
        self.quadratic.n_params()
    }

    fn n_samples(&self) -> usize {
        self.y.len()
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        mut grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        let Batch::Rows(indices) = batch else {
            return self.quadratic.loss_and_grad(rows, batch, grad, loss);
        };
        let n = indices.ncols() as f64;
        for (i, (w, mut g)) in rows.rows().into_iter().zip(grad.rows_mut()).enumerate() {
            g.fill(0.0);
            let mut sum = 0.0;
            for &k in indices.row(i) {
                let error = self.error(w, k as usize);
                sum += error * error;
                for (g, x) in g.iter_mut().zip(self.x.row(k as usize)) {
                    *g += 2.0 * error * x;
                }
            }
            g /= n;
            loss[i] = sum / n;
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        self.quadratic.loss(rows, loss);
    }

    fn hessian_vectors(
        &mut self,
        rows: ArrayView2<f64>,
        vectors: ArrayView2<f64>,
        out: ArrayViewMut2<f64>,
    ) {
        self.quadratic.hessian_vectors(rows, vectors, out);
    }
}

impl SampleLosses for LinearRegression {
    fn sample_losses(&mut self, rows: ArrayView2<f64>, mut out: ArrayViewMut2<f64>) {
        for (w, mut out) in rows.rows().into_iter().zip(out.rows_mut()) {
            for (sample, out) in out.iter_mut().enumerate() {
                *out = self.error(w, sample).powi(2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{gradient_check, hessian_check, minibatch_check, sample_losses_check};
    use ndarray::Axis;

    #[test]
    fn losses_and_gradients_agree() {
        let x = Array2::from_shape_fn((12, 3), |(i, j)| {
            (0.7 * (i * (j + 1)) as f64 + 1.3 * j as f64).cos()
        });
        let y = Array1::from_shape_fn(12, |i| (2.0 * i as f64).sin());
        let mut target = LinearRegression::new(x.view(), y.view()).expect("a regression");
        let w = [0.4, -1.2, 0.9];
        gradient_check(&mut target, &w);
        hessian_check(&mut target, &w);
        sample_losses_check(&mut target, &w);
        minibatch_check(&mut target, &w, |k| {
            let (x, y) = (x.select(Axis(0), k), y.select(Axis(0), k));
            LinearRegression::new(x.view(), y.view()).expect("a regression")
        });
    }
}
