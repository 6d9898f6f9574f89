//! Less variance for the same mean: a number less its regression on numbers whose mean is known to be zero.
//!
//! With `z` of mean zero, `y - c'z` has the mean of y for every c that does not depend on the draws, and the least variance at
//! `c = Cov(z)⁻¹ Cov(z, y)` (Owen 2013, *Monte Carlo theory, methods and examples*, section 8.9). Coefficients from the draws themselves add
//! a bias of the order of one over their number.

use ndarray::{Array1, Array2, ArrayView1, Axis};
use ndarray_linalg::{Eigh, UPLO};

/// Eigenvalues of the correlations of `z` that are taken for zero, as a share of 1.
const SINGULAR: f64 = 1e-10;

/// `y` less its regression on numbers of mean zero, the columns of `z`.
pub(crate) fn controlled(y: ArrayView1<f64>, z: &Array2<f64>) -> Array1<f64> {
    let centre = z.mean_axis(Axis(0)).expect("there are particles");
    let mut centred = z - &centre;
    let length = centred.map_axis(Axis(0), |column| column.dot(&column).sqrt());
    // a column without variance says nothing, nor one that overflows
    let scale = length.mapv(|l| {
        if l > 0.0 && l.is_finite() {
            1.0 / l
        } else {
            0.0
        }
    });
    let finite = |x: f64| if x.is_finite() { x } else { 0.0 };
    centred = (centred * &scale).mapv(finite);
    let y = y.to_owned();
    let along = centred.t().dot(&(&y - y.sum() / y.len() as f64));
    let Ok((values, vectors)) = centred.t().dot(&centred).eigh(UPLO::Lower) else {
        return y;
    };
    let mut coordinates = vectors.t().dot(&along);
    coordinates.zip_mut_with(&values, |x, &v| {
        *x = if v > SINGULAR { *x / v } else { 0.0 }
    });
    let coefficients = vectors.dot(&coordinates);
    let controls = (z * &scale).mapv(finite);
    y - controls.dot(&coefficients)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::fill;
    use crate::stream::Purpose;

    fn normals(n: usize) -> Array1<f64> {
        let mut normals = vec![0.0; n.next_multiple_of(64)];
        fill(3, Purpose::Data, 0, 0, &mut normals);
        normals[..n].iter().map(|&x| f64::from(x)).collect()
    }

    /// `y = 2 + 3 z₁ - z₂ + noise`, with a column twice, one of zeros, and one that overflows: the noise is left.
    #[test]
    fn what_the_controls_explain_is_gone() {
        let n = 4096;
        let xi = normals(3 * n);
        let mut z = Array2::from_shape_fn((n, 5), |(i, j)| match j {
            0 | 1 => 1e3 * xi[i],
            2 => xi[n + i] - 0.5 * xi[i],
            3 => 0.0,
            _ => 1.0,
        });
        z[[7, 4]] = f64::INFINITY;
        let noise = |i: usize| 0.01 * xi[2 * n + i];
        let y = Array1::from_shape_fn(n, |i| 2.0 + 3.0 * z[[i, 0]] - z[[i, 2]] + noise(i));
        let left = controlled(y.view(), &z);
        let mean = left.sum() / n as f64;
        let variance = left.mapv(|x| (x - mean).powi(2)).sum() / n as f64;
        // noise of 0.01: its mean has an error of 0.00016
        assert!((mean - 2.0).abs() < 1e-3, "{mean}");
        assert!((variance / 1e-4 - 1.0).abs() < 0.1, "{variance}");
    }

    #[test]
    fn without_controls_nothing_changes() {
        let y = normals(10);
        assert_eq!(controlled(y.view(), &Array2::zeros((10, 2))), y);
    }
}
