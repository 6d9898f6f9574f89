//! A normal density of unknown location and unit variance: `-log N(x | w, I)`.
//!
//! The simplest regular model whose true density is known: posterior, WAIC and singular fluctuation have closed forms.

use std::f64::consts::TAU;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

use super::samples::{self, SamplesError};
use crate::target::{Batch, SampleLosses, Target};

/// The mean of `-log N(x_i | w, I)` over the samples.
///
/// ```
/// use ndarray::array;
/// use slt_sampler::{Target, targets::GaussianLocation};
///
/// let mut target = GaussianLocation::new(array![[0.0], [2.0]])?;
/// let mut loss = [0.0];
/// target.loss(array![[1.0]].view(), &mut loss);
/// assert_eq!(loss, [0.5 * (1.0 + std::f64::consts::TAU.ln())]);
/// # Ok::<(), slt_sampler::targets::SamplesError>(())
/// ```
#[derive(Debug, Clone)]
pub struct GaussianLocation {
    x: Arc<Array2<f64>>,
    mean: Vec<f64>,
    /// `L` at the mean of the samples.
    offset: f64,
}

impl GaussianLocation {
    /// The target for the samples `x`, shape `[n, d]`.
    ///
    /// # Errors
    /// [`SamplesError`] where there is no sample or no coordinate, or a value is not finite.
    pub fn new(x: Array2<f64>) -> Result<Self, SamplesError> {
        samples::check("input", &x, x.ncols())?;
        let (n, d) = x.dim();
        let mean: Vec<f64> = x
            .columns()
            .into_iter()
            .map(|c| c.sum() / n as f64)
            .collect();
        let spread: f64 = x.rows().into_iter().map(|x| square(x.iter(), &mean)).sum();
        Ok(Self {
            offset: 0.5 * (spread / n as f64 + d as f64 * TAU.ln()),
            mean,
            x: Arc::new(x.as_standard_layout().into_owned()),
        })
    }

    /// Where the loss is smallest: the mean of the samples, shape `[d]`.
    pub fn minimum(&self) -> &[f64] {
        &self.mean
    }
}

fn square<'a>(x: impl Iterator<Item = &'a f64>, w: &[f64]) -> f64 {
    x.zip(w).map(|(x, w)| (x - w) * (x - w)).sum()
}

impl Target for GaussianLocation {
    fn n_params(&self) -> usize {
        self.mean.len()
    }

    fn n_samples(&self) -> usize {
        self.x.nrows()
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        mut grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        let Batch::Rows(indices) = batch else {
            self.loss(rows, loss);
            for (w, mut g) in rows.rows().into_iter().zip(grad.rows_mut()) {
                for ((g, w), mean) in g.iter_mut().zip(w).zip(&self.mean) {
                    *g = w - mean;
                }
            }
            return;
        };
        let constant = 0.5 * self.mean.len() as f64 * TAU.ln();
        let n = indices.ncols() as f64;
        for (i, (w, mut g)) in rows.rows().into_iter().zip(grad.rows_mut()).enumerate() {
            g.fill(0.0);
            let mut twice = 0.0;
            for &k in indices.row(i) {
                for ((g, w), x) in g.iter_mut().zip(w).zip(self.x.row(k as usize)) {
                    *g += w - x;
                    twice += (w - x) * (w - x);
                }
            }
            g /= n;
            loss[i] = constant + 0.5 * twice / n;
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        for (w, loss) in rows.rows().into_iter().zip(loss) {
            *loss = self.offset + 0.5 * square(w.iter(), &self.mean);
        }
    }

    fn hessian_vectors(
        &mut self,
        _rows: ArrayView2<f64>,
        vectors: ArrayView2<f64>,
        mut out: ArrayViewMut2<f64>,
    ) {
        out.assign(&vectors);
    }
}

impl SampleLosses for GaussianLocation {
    fn sample_losses(&mut self, rows: ArrayView2<f64>, mut out: ArrayViewMut2<f64>) {
        let constant = 0.5 * self.mean.len() as f64 * TAU.ln();
        for (w, mut out) in rows.rows().into_iter().zip(out.rows_mut()) {
            for (x, out) in self.x.rows().into_iter().zip(&mut out) {
                let square: f64 = x.iter().zip(w).map(|(x, w)| (x - w) * (x - w)).sum();
                *out = constant + 0.5 * square;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{gradient_check, hessian_check, minibatch_check, sample_losses_check};

    #[test]
    fn losses_and_gradients_agree() {
        let x = Array2::from_shape_fn((9, 2), |(i, j)| (1.0 + 2.0 * i as f64 + j as f64).sin());
        let mut target = GaussianLocation::new(x.clone()).expect("samples");
        let w = [0.4, -1.2];
        gradient_check(&mut target, &w);
        hessian_check(&mut target, &w);
        sample_losses_check(&mut target, &w);
        minibatch_check(&mut target, &w, |k| {
            GaussianLocation::new(x.select(ndarray::Axis(0), k)).expect("samples")
        });
        gradient_check(&mut target, &w);
        let at_minimum = target.minimum().to_vec();
        let mut grad = Array2::zeros((1, 2));
        let rows = ArrayView2::from_shape((1, 2), &at_minimum).expect("one row");
        target.loss_and_grad(rows, Batch::Full, grad.view_mut(), &mut [0.0]);
        assert_eq!(grad, Array2::<f64>::zeros((1, 2)));
    }
}
