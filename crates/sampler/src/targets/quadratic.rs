//! Quadratic losses `L(w) = L(m) + (w - m)' H (w - m) / 2`, and linear regression, which is one of them.
//!
//! The data of a linear regression enter only through `X'X`, `X'y` and `y'y`: a step costs `d^2` operations, whatever `n` is.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis};
use ndarray_linalg::{JobSvd, SVDDC};

use crate::target::{Batch, Target};

/// Why a linear regression cannot be made a target.
#[derive(Debug, thiserror::Error)]
pub enum LeastSquaresError {
    /// Inputs and outputs do not go together.
    #[error("{inputs} rows of inputs for {outputs} outputs")]
    Shape {
        /// Rows of the design matrix.
        inputs: usize,
        /// Outputs given.
        outputs: usize,
    },
    /// A number is not finite.
    #[error("the data hold a value that is not finite")]
    NotFinite,
    /// LAPACK found no solution.
    #[error("the least-squares problem could not be solved")]
    Lapack(#[from] ndarray_linalg::error::LinalgError),
}

/// `L(w) = offset + (w - minimum)' H (w - minimum) / 2` over `n_samples` samples.
#[derive(Debug, Clone)]
pub struct Quadratic {
    hessian: Array2<f64>,
    minimum: Array1<f64>,
    offset: f64,
    n_samples: usize,
}

impl Quadratic {
    /// The quadratic with these parts.
    ///
    /// Shapes: `hessian`: `[d, d]`, symmetric; `minimum`: `[d]`.
    ///
    /// # Panics
    /// If the shapes do not agree.
    pub fn new(hessian: Array2<f64>, minimum: Array1<f64>, offset: f64, n_samples: usize) -> Self {
        assert_eq!(
            hessian.dim(),
            (minimum.len(), minimum.len()),
            "the Hessian is square, of the minimum's length"
        );
        Self {
            hessian: hessian.as_standard_layout().into_owned(),
            minimum,
            offset,
            n_samples,
        }
    }

    /// The mean squared error `|y - X w|^2 / n` of a linear regression.
    ///
    /// Shapes: `x`: `[n, d]`; `y`: `[n]`.
    ///
    /// # Errors
    /// [`LeastSquaresError`] where shapes differ, a value is not finite, or LAPACK fails.
    pub fn least_squares(
        x: ArrayView2<f64>,
        y: ArrayView1<f64>,
    ) -> Result<Self, LeastSquaresError> {
        if x.nrows() != y.len() {
            return Err(LeastSquaresError::Shape {
                inputs: x.nrows(),
                outputs: y.len(),
            });
        }
        if !x.iter().chain(y).all(|v| v.is_finite()) {
            return Err(LeastSquaresError::NotFinite);
        }
        let n = y.len() as f64;
        let minimum = minimum_norm_solution(x, y.insert_axis(Axis(1)))?
            .column(0)
            .to_owned();
        let residual = &y - &x.dot(&minimum);
        Ok(Self::new(
            x.t().dot(&x) * (2.0 / n),
            minimum,
            residual.dot(&residual) / n,
            y.len(),
        ))
    }

    /// Where the loss is smallest, shape `[d]`.
    pub fn minimum(&self) -> ArrayView1<'_, f64> {
        self.minimum.view()
    }

    /// The matrix of second derivatives, shape `[d, d]`.
    pub fn hessian(&self) -> ArrayView2<'_, f64> {
        self.hessian.view()
    }
}

/// The smallest `W` that minimises `|Y - X W|^2`; singular values of `X` below rounding count as zero.
///
/// Shapes: `x`: `[n, d]`; `y`: `[n, n_outputs]`; returns `[d, n_outputs]`.
pub(super) fn minimum_norm_solution(
    x: ArrayView2<f64>,
    y: ArrayView2<f64>,
) -> Result<Array2<f64>, LeastSquaresError> {
    let (u, singular, vt) = x.svddc(JobSvd::Some)?;
    let (u, vt) = (
        u.expect("left vectors are asked for"),
        vt.expect("right vectors are asked for"),
    );
    let largest = singular.first().copied().unwrap_or(0.0);
    let rounding = largest * f64::EPSILON * x.nrows().max(x.ncols()) as f64;
    let mut coordinates = u.t().dot(&y);
    for (mut c, &s) in coordinates.rows_mut().into_iter().zip(&singular) {
        c.mapv_inplace(|c| if s > rounding { c / s } else { 0.0 });
    }
    Ok(vt.t().dot(&coordinates))
}

impl Target for Quadratic {
    fn n_params(&self) -> usize {
        self.minimum.len()
    }

    fn n_samples(&self) -> usize {
        self.n_samples
    }

    /// # Panics
    /// If asked for a minibatch: the samples are gone.
    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        mut grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        assert!(
            matches!(batch, Batch::Full),
            "a quadratic target knows its data by their moments alone: full batches only"
        );
        let d = self.minimum.len();
        let h = self.hessian.as_slice().expect("standard layout");
        let m = self.minimum.as_slice().expect("standard layout");
        let rows = rows
            .to_slice()
            .expect("rows are contiguous")
            .chunks_exact(d);
        let grads = grad
            .as_slice_mut()
            .expect("gradients are contiguous")
            .chunks_exact_mut(d);
        for ((w, g), loss) in rows.zip(grads).zip(loss) {
            let mut twice = 0.0;
            for (i, (h, gi)) in h.chunks_exact(d).zip(g).enumerate() {
                let mut sum = 0.0;
                for j in 0..d {
                    sum += h[j] * (w[j] - m[j]);
                }
                *gi = sum;
                twice += sum * (w[i] - m[i]);
            }
            *loss = self.offset + 0.5 * twice;
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        let from_minimum = |w: ArrayView1<f64>, i: usize| w[i] - self.minimum[i];
        for (w, loss) in rows.rows().into_iter().zip(loss) {
            let mut twice = 0.0;
            for (i, h) in self.hessian.rows().into_iter().enumerate() {
                let mut sum = 0.0;
                for (j, h) in h.iter().enumerate() {
                    sum += h * from_minimum(w, j);
                }
                twice += sum * from_minimum(w, i);
            }
            *loss = self.offset + 0.5 * twice;
        }
    }

    fn hessian_vectors(
        &mut self,
        _rows: ArrayView2<f64>,
        vectors: ArrayView2<f64>,
        mut out: ArrayViewMut2<f64>,
    ) {
        for (v, mut out) in vectors.rows().into_iter().zip(out.rows_mut()) {
            for (h, out) in self.hessian.rows().into_iter().zip(&mut out) {
                *out = h.dot(&v);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{gradient_check, hessian_check};
    use ndarray::array;

    #[test]
    fn least_squares_is_the_mean_squared_error() {
        let x = array![[1.0, -1.0], [1.0, 0.5], [1.0, 2.0]];
        let y = array![0.3, 1.0, -2.0];
        let mut target = Quadratic::least_squares(x.view(), y.view()).expect("a regression");
        for w in [array![0.0, 0.0], array![1.5, -0.7]] {
            let mut loss = [0.0];
            target.loss(w.view().insert_axis(ndarray::Axis(0)), &mut loss);
            let residual = &y - &x.dot(&w);
            approx::assert_relative_eq!(
                loss[0],
                residual.dot(&residual) / 3.0,
                max_relative = 1e-13
            );
        }
        gradient_check(&mut target, &[0.3, -0.2]);
        hessian_check(&mut target, &[0.3, -0.2]);
    }

    /// Two equal columns share what one of them would get.
    #[test]
    fn collinear_columns_have_the_smallest_solution() {
        let x = array![[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]];
        let y = array![2.0, 4.0, 6.0];
        let target = Quadratic::least_squares(x.view(), y.view()).expect("a regression");
        for w in target.minimum() {
            approx::assert_relative_eq!(*w, 1.0, max_relative = 1e-14);
        }
    }

    #[test]
    fn bad_data_are_refused() {
        let x = array![[1.0], [2.0]];
        let shape = Quadratic::least_squares(x.view(), array![1.0].view());
        assert!(matches!(
            shape,
            Err(LeastSquaresError::Shape {
                inputs: 2,
                outputs: 1
            })
        ));
        let nan = Quadratic::least_squares(x.view(), array![1.0, f64::NAN].view());
        assert!(matches!(nan, Err(LeastSquaresError::NotFinite)));
    }
}
