//! Second derivatives of a target at a point, and their spectrum.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2, ArrayViewMut3, s};
use ndarray_linalg::{EigValsh, UPLO};

use crate::target::{Batch, Target};

/// Why a spectrum cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HessianError {
    /// A second derivative is not finite at the point.
    #[error("entry {index} of the Hessian's rows is {value}, expected a finite number")]
    NotFinite {
        /// Flat index of the entry.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// LAPACK did not converge.
    #[error("the eigenvalues could not be computed")]
    Lapack(#[from] ndarray_linalg::error::LinalgError),
}

/// Unit vectors in one call of the target.
const BLOCK: usize = 64;

/// The Hessian of the full-data loss at `w` from its products with the unit vectors, symmetrised.
///
/// The unit vectors are rows of ensembles of at most 64: one call of [`Target::hessian_vectors`] each, whose accuracy
/// is this function's.
///
/// Shapes: `w`: `[d]`; returns `[d, d]`.
///
/// # Errors
/// [`HessianError::NotFinite`] where a second derivative is not finite.
pub fn hessian<T: Target>(target: &mut T, w: ArrayView1<f64>) -> Result<Array2<f64>, HessianError> {
    let d = w.len();
    let mut products = Array2::zeros((d, d));
    for from in (0..d).step_by(BLOCK) {
        let to = (from + BLOCK).min(d);
        let rows = Array2::from_shape_fn((to - from, d), |(_, j)| w[j]);
        let units =
            Array2::from_shape_fn((to - from, d), |(i, j)| f64::from(u8::from(from + i == j)));
        target.hessian_vectors(
            rows.view(),
            units.view(),
            products.slice_mut(s![from..to, ..]),
        );
    }
    if let Some((index, &value)) = products.iter().enumerate().find(|(_, v)| !v.is_finite()) {
        return Err(HessianError::NotFinite { index, value });
    }
    Ok(0.5 * (&products + &products.t()))
}

/// Eigenvalues of the Hessian at `w`, ascending; see [`hessian`].
///
/// # Errors
/// [`HessianError`] where a second derivative is not finite or LAPACK fails.
pub fn spectrum<T: Target>(
    target: &mut T,
    w: ArrayView1<f64>,
) -> Result<Array1<f64>, HessianError> {
    Ok(hessian(target, w)?.eigvalsh(UPLO::Lower)?)
}

/// What [`Target::hessian_vectors`] does for a target that has no product of its own.
pub(crate) fn hessian_vectors_by_differences<T: Target + ?Sized>(
    target: &mut T,
    rows: ArrayView2<f64>,
    vectors: ArrayView2<f64>,
    mut out: ArrayViewMut2<f64>,
) {
    let (n, d) = rows.dim();
    let step = target.gradient_precision().cbrt();
    let norm = |x: ArrayView1<f64>| x.dot(&x).sqrt();
    let steps: Vec<f64> = (0..n)
        .map(|i| match norm(vectors.row(i)) {
            0.0 => 0.0,
            length => step * (1.0 + norm(rows.row(i))) / length,
        })
        .collect();
    let mut shifted = Array2::zeros((2 * n, d));
    for (i, &t) in steps.iter().enumerate() {
        for j in 0..d {
            let shift = t * vectors[[i, j]];
            shifted[[2 * i, j]] = rows[[i, j]] + shift;
            shifted[[2 * i + 1, j]] = rows[[i, j]] - shift;
        }
    }
    let mut grad = Array2::zeros((2 * n, d));
    target.loss_and_grad(
        shifted.view(),
        Batch::Full,
        grad.view_mut(),
        &mut vec![0.0; 2 * n],
    );
    for (i, &t) in steps.iter().enumerate() {
        for j in 0..d {
            let difference = grad[[2 * i, j]] - grad[[2 * i + 1, j]];
            out[[i, j]] = if t == 0.0 {
                0.0
            } else {
                difference / (2.0 * t)
            };
        }
    }
}

/// For every row, the second derivatives of the mean loss over all samples by the parameters of a block in which that loss is quadratic: differences of
/// the gradient over `distance`, which are then exact but for rounding, in one call of [`Target::loss_and_grad`] with a row for each parameter of the block.
///
/// Shapes: `rows`, `grads` (the gradients at `rows`): `[n_rows, d]`; `out`: `[n_rows, b, b]` for b parameters, overwritten, symmetric but for rounding.
pub(crate) fn block_hessians<T: Target>(
    target: &mut T,
    rows: ArrayView2<f64>,
    grads: ArrayView2<f64>,
    block: Range<usize>,
    distance: f64,
    mut out: ArrayViewMut3<f64>,
) {
    let b = block.len();
    let shape = (rows.nrows() * b, rows.ncols());
    let mut moved = Array2::zeros(shape);
    for (k, mut row) in moved.rows_mut().into_iter().enumerate() {
        row.assign(&rows.row(k / b));
        row[block.start + k % b] += distance;
    }
    let (mut there, mut losses) = (Array2::zeros(shape), vec![f64::NAN; shape.0]);
    target.loss_and_grad(moved.view(), Batch::Full, there.view_mut(), &mut losses);
    for (i, mut out) in out.outer_iter_mut().enumerate() {
        let here = grads.slice(s![i, block.clone()]);
        for (j, column) in out.rows_mut().into_iter().enumerate() {
            let k = i * b + j;
            let at = block.start + j;
            // the step as it is after rounding
            let step = moved[[k, at]] - rows[[i, at]];
            let there = there.slice(s![k, block.clone()]);
            ndarray::Zip::from(column)
                .and(there)
                .and(here)
                .for_each(|out, there, here| *out = (there - here) / step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{NormalCrossing, Quadratic, TanhUnit};
    use ndarray::array;

    /// A unit that rounds its weights and its gradient to `f32`, and has no product of its own.
    struct Single {
        unit: TanhUnit,
        precision: f64,
    }

    impl Target for Single {
        fn n_params(&self) -> usize {
            self.unit.n_params()
        }

        fn n_samples(&self) -> usize {
            self.unit.n_samples()
        }

        fn loss_and_grad(
            &mut self,
            rows: ArrayView2<f64>,
            batch: Batch,
            mut grad: ArrayViewMut2<f64>,
            loss: &mut [f64],
        ) {
            let rows = rows.mapv(|w| f64::from(w as f32));
            self.unit
                .loss_and_grad(rows.view(), batch, grad.view_mut(), loss);
            grad.mapv_inplace(|g| f64::from(g as f32));
        }

        fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
            self.unit.loss(rows, loss);
        }

        fn gradient_precision(&self) -> f64 {
            self.precision
        }
    }

    /// The step follows the gradient's precision: with the step for `f64`, rounding is divided by too little.
    #[test]
    fn differences_of_a_single_precision_gradient() {
        let x: Vec<f64> = (0..30).map(|i| -2.0 + f64::from(i) / 7.5).collect();
        let y = x.iter().map(|x| x.sin()).collect();
        let unit = TanhUnit::new(x, y).expect("samples");
        let w = array![0.7, -0.3, 1.2, 0.1];
        let exact = hessian(&mut unit.clone(), w.view()).expect("finite");
        let scale = exact.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        let error = |precision: f64| {
            let mut target = Single {
                unit: unit.clone(),
                precision,
            };
            let found = hessian(&mut target, w.view()).expect("finite");
            (&found - &exact)
                .iter()
                .fold(0.0, |a: f64, b| a.max(b.abs()))
                / scale
        };
        let (right, wrong) = (error(f64::from(f32::EPSILON)), error(f64::EPSILON));
        assert!(right < 2e-4 && wrong > 4.0 * right, "{right}, {wrong}");
    }

    #[test]
    fn a_zero_vector_gives_a_zero_product() {
        let mut target = NormalCrossing::new(0.5, &[1, 1], 10);
        let rows = array![[1.0, 2.0], [1.0, 2.0], [f64::INFINITY, 1.0]];
        let vectors = array![[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]];
        let mut out = Array2::from_elem((3, 2), 7.0);
        hessian_vectors_by_differences(&mut target, rows.view(), vectors.view(), out.view_mut());
        assert_eq!(out.row(0), array![0.0, 0.0]);
        // K = w1² w2²/2: 4, and 2 w1 w2 = 4
        approx::assert_relative_eq!(out.row(1), array![4.0, 4.0].view(), max_relative = 1e-9);
        assert!(out.row(2).iter().all(|v| v.is_nan()), "{}", out.row(2));
    }

    /// More parameters than fit in one call.
    #[test]
    fn unit_vectors_come_in_blocks() {
        let d = 2 * BLOCK + 3;
        let h = Array2::from_shape_fn((d, d), |(i, j)| 1.0 / (1 + i + j) as f64);
        let mut target = Quadratic::new(h.clone(), Array1::zeros(d), 0.0, 10);
        assert_eq!(
            hessian(&mut target, Array1::zeros(d).view()).expect("finite"),
            h
        );
    }

    #[test]
    fn a_quadratic_gives_back_its_matrix() {
        let h = array![[2.0, 0.5], [0.5, 1.0]];
        let mut target = Quadratic::new(h.clone(), array![1.0, -2.0], 0.0, 10);
        let found = hessian(&mut target, array![0.3, 0.4].view()).expect("finite");
        approx::assert_abs_diff_eq!(found, h, epsilon = 1e-10);
        let eigenvalues = spectrum(&mut target, array![0.3, 0.4].view()).expect("finite");
        let root = 0.5f64.sqrt();
        approx::assert_abs_diff_eq!(eigenvalues, array![1.5 - root, 1.5 + root], epsilon = 1e-10);
    }

    #[test]
    fn a_normal_crossing_is_flat_at_its_singularity() {
        let mut target = NormalCrossing::new(0.5, &[1, 1], 10);
        let eigenvalues = spectrum(&mut target, array![0.0, 0.0].view()).expect("finite");
        approx::assert_abs_diff_eq!(eigenvalues, array![0.0, 0.0], epsilon = 1e-7);
        let nan = spectrum(&mut target, array![f64::NAN, 0.0].view());
        assert!(matches!(nan, Err(HessianError::NotFinite { index: 0, .. })));
    }
}
