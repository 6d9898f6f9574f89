//! Second derivatives of a target at a point, and their spectrum.

use ndarray::{Array1, Array2, ArrayView1};
use ndarray_linalg::{EigValsh, UPLO};

use crate::target::{Batch, Target};

/// Why a spectrum cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HessianError {
    /// The gradient is not finite near the point.
    #[error(
        "the gradient is not finite near the point: entry {index} of the Hessian's rows is {value}"
    )]
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

/// The Hessian of the full-data loss at `w`, by central differences of the gradient with the given step, symmetrised.
///
/// One call of the target evaluates all `2 d` shifted points as rows. The error is of the order of `step^2` times a fourth
/// derivative, plus the gradient's rounding over `step`.
///
/// Shapes: `w`: `[d]`; returns `[d, d]`.
///
/// # Errors
/// [`HessianError::NotFinite`] where the gradient is not finite.
pub fn hessian<T: Target>(
    target: &mut T,
    w: ArrayView1<f64>,
    step: f64,
) -> Result<Array2<f64>, HessianError> {
    let d = w.len();
    let mut rows = Array2::from_shape_fn((2 * d, d), |(_, j)| w[j]);
    for i in 0..d {
        rows[[2 * i, i]] += step;
        rows[[2 * i + 1, i]] -= step;
    }
    let mut grad = Array2::zeros((2 * d, d));
    target.loss_and_grad(
        rows.view(),
        Batch::Full,
        grad.view_mut(),
        &mut vec![0.0; 2 * d],
    );
    let half = Array2::from_shape_fn((d, d), |(i, j)| {
        (grad[[2 * i, j]] - grad[[2 * i + 1, j]]) / (4.0 * step)
    });
    if let Some((index, &value)) = half.iter().enumerate().find(|(_, v)| !v.is_finite()) {
        return Err(HessianError::NotFinite { index, value });
    }
    Ok(&half + &half.t())
}

/// Eigenvalues of the Hessian at `w`, ascending; see [`hessian`].
///
/// # Errors
/// [`HessianError`] where the gradient is not finite or LAPACK fails.
pub fn spectrum<T: Target>(
    target: &mut T,
    w: ArrayView1<f64>,
    step: f64,
) -> Result<Array1<f64>, HessianError> {
    Ok(hessian(target, w, step)?.eigvalsh(UPLO::Lower)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{NormalCrossing, Quadratic};
    use ndarray::array;

    #[test]
    fn a_quadratic_gives_back_its_matrix() {
        let h = array![[2.0, 0.5], [0.5, 1.0]];
        let mut target = Quadratic::new(h.clone(), array![1.0, -2.0], 0.0, 10);
        let found = hessian(&mut target, array![0.3, 0.4].view(), 1e-4).expect("finite");
        approx::assert_abs_diff_eq!(found, h, epsilon = 1e-10);
        let eigenvalues = spectrum(&mut target, array![0.3, 0.4].view(), 1e-4).expect("finite");
        let root = 0.5f64.sqrt();
        approx::assert_abs_diff_eq!(eigenvalues, array![1.5 - root, 1.5 + root], epsilon = 1e-10);
    }

    #[test]
    fn a_normal_crossing_is_flat_at_its_singularity() {
        let mut target = NormalCrossing::new(0.5, &[1, 1], 10);
        let eigenvalues = spectrum(&mut target, array![0.0, 0.0].view(), 1e-4).expect("finite");
        approx::assert_abs_diff_eq!(eigenvalues, array![0.0, 0.0], epsilon = 1e-7);
        let nan = spectrum(&mut target, array![f64::NAN, 0.0].view(), 1e-4);
        assert!(matches!(nan, Err(HessianError::NotFinite { index: 0, .. })));
    }
}
