//! Symmetric matrices of known spectrum.

use ndarray::{Array2, ArrayView1};

/// `(V diag(h) V', V)` for the rotation V that turns by `angles` in the planes (0, 1), (0, 2), …, (1, 2), …
///
/// Shapes: `eigenvalues`: `[d]`; `angles`: one for each plane, `d(d − 1)/2`; returns two of `[d, d]`.
///
/// # Panics
/// If there are fewer angles than planes.
pub fn rotated(eigenvalues: &[f64], angles: &[f64]) -> (Array2<f64>, Array2<f64>) {
    let d = eigenvalues.len();
    let mut v = Array2::eye(d);
    let planes = (0..d).flat_map(|i| (i + 1..d).map(move |j| (i, j)));
    for (plane, (i, j)) in planes.enumerate() {
        let (sin, cos) = angles[plane].sin_cos();
        let mut turn = Array2::eye(d);
        turn[[i, i]] = cos;
        turn[[j, j]] = cos;
        turn[[i, j]] = -sin;
        turn[[j, i]] = sin;
        v = v.dot(&turn);
    }
    let matrix = (&v * &ArrayView1::from(eigenvalues)).dot(&v.t());
    // exactly symmetric, whatever the rounding
    (0.5 * (&matrix + &matrix.t()), v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_eigenvectors() {
        let h = [0.5, 3.0, 70.0];
        let (matrix, v) = rotated(&h, &[0.3, -1.2, 2.0]);
        for (column, h) in v.columns().into_iter().zip(h) {
            let off = (matrix.dot(&column) - h * &column).mapv(f64::abs).sum();
            assert!(off < 1e-12, "{off}");
        }
        assert!((v.t().dot(&v) - Array2::<f64>::eye(3)).mapv(f64::abs).sum() < 1e-14);
    }
}
