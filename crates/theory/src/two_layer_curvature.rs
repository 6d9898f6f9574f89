//! The curvature of linear networks of two layers at a minimum of zero loss.
//!
//! `L = factor tr(E S E')` with `E = W₂W₁ − P` and `S` the second moments of the inputs (see `deep_linear` of the sampler for
//! the data behind them). Derived here: where `E = 0`, `L = factor |δE C|²` to second order, with `S = CC'` and
//! `δE = δW₂ W₁ + W₂ δW₁ = J(δW)`. The Hessian is `2 factor J'J` for the map `F = δE C`, and shares its eigenvalues other than zeros with
//! ```text
//! 2 factor JJ' : F -> 2 factor (F C'W₁'W₁C + W₂W₂' F C'C).
//! ```
//! In the eigenbasis of `W₂W₂'` (eigenvalues `μ_a`) each row of `F` has a matrix of its own, `C'W₁'W₁C + μ_a C'C`: `n_out` eigenproblems of the inputs' size
//! in place of one of the size of all parameters; those with `μ_a = 0` are one.

use ndarray::{Array2, ArrayView2};
use ndarray_linalg::error::LinalgError;
use ndarray_linalg::{Cholesky, EigValsh, UPLO};

/// Eigenvalues of the Hessian of `factor E|y − W₂W₁x|²` where `y = W₂W₁x` exactly: all that are not zero, and zeros up to `n_out n_in` in all.
///
/// Shapes: `inner`, W₁: `[r, n_in]`; `outer`, W₂: `[n_out, r]`; `second_moment`, `E[xx']`: `[n_in, n_in]`, positive definite; returns
/// `[n_out n_in]`. Units: of the mean loss. Accuracy: relative 1e-13 of the largest.   Derived here; see the module.
///
/// # Errors
/// What LAPACK reports, where the second moments are not positive definite or something is not finite.
///
/// # Panics
/// If the shapes do not go together.
pub fn two_layer_curvature(
    inner: ArrayView2<f64>,
    outer: ArrayView2<f64>,
    second_moment: ArrayView2<f64>,
    factor: f64,
) -> Result<Vec<f64>, LinalgError> {
    assert_eq!(
        (inner.ncols(), inner.nrows()),
        (second_moment.nrows(), outer.ncols()),
        "the layers go together, and with the inputs"
    );
    let root = second_moment.cholesky(UPLO::Lower)?;
    let gram = root.t().dot(&root);
    let mapped = inner.dot(&root);
    let moved: Array2<f64> = mapped.t().dot(&mapped);
    let rows = outer.dot(&outer.t()).eigvalsh(UPLO::Lower)?;
    let eigenvalues = |mu: f64| (&moved + &gram * mu).eigvalsh(UPLO::Lower);
    // of the n_out eigenvalues of W₂W₂' no more than r are not zero; they are the last
    let n_zeros = outer.nrows().saturating_sub(inner.nrows());
    let still = if n_zeros > 0 {
        eigenvalues(0.0)?.to_vec()
    } else {
        Vec::new()
    };
    let mut all = still.repeat(n_zeros);
    for &mu in rows.iter().skip(n_zeros) {
        all.extend(eigenvalues(mu)?);
    }
    for value in &mut all {
        *value = 2.0 * factor * value.max(0.0);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use ndarray::{Array1, s};

    fn matrix(rows: usize, columns: usize, k: f64) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(i, j)| {
            (k + 1.3 * i as f64 + 0.7 * (j * j) as f64 + 0.2 * (i * j) as f64).sin()
        })
    }

    /// The Hessian from its definition, parameter by parameter.
    fn dense(
        inner: &Array2<f64>,
        outer: &Array2<f64>,
        s: &Array2<f64>,
        factor: f64,
    ) -> Array1<f64> {
        let (n1, d) = (inner.len(), inner.len() + outer.len());
        let change = |k: usize| {
            let (mut w1, mut w2) = (Array2::zeros(inner.dim()), Array2::zeros(outer.dim()));
            if k < n1 {
                w1[(k / inner.ncols(), k % inner.ncols())] = 1.0;
            } else {
                w2[((k - n1) / outer.ncols(), (k - n1) % outer.ncols())] = 1.0;
            }
            w2.dot(inner) + outer.dot(&w1)
        };
        let changes: Vec<Array2<f64>> = (0..d).map(change).collect();
        let hessian = Array2::from_shape_fn((d, d), |(i, j)| {
            2.0 * factor * (changes[i].dot(s) * &changes[j]).sum()
        });
        hessian.eigvalsh(UPLO::Lower).expect("eigenvalues")
    }

    #[test]
    fn eigenvalues_are_those_of_the_dense_hessian() {
        for (n_in, r, n_out) in [(4, 2, 3), (3, 3, 3), (3, 4, 2), (5, 1, 4)] {
            let (inner, outer) = (matrix(r, n_in, 0.3), matrix(n_out, r, 1.1));
            let x = matrix(9, n_in, 2.0);
            let s = x.t().dot(&x) / 9.0 + Array2::<f64>::eye(n_in) * 0.1;
            let found = two_layer_curvature(inner.view(), outer.view(), s.view(), 0.7);
            let mut found = found.expect("a curvature");
            found.sort_by(|a, b| b.total_cmp(a));
            let expected = dense(&inner, &outer, &s, 0.7);
            let mut expected: Vec<f64> = expected.slice(s![..;-1]).to_vec();
            // zeros beyond the shorter list
            let n = found.len().max(expected.len());
            found.resize(n, 0.0);
            expected.resize(n, 0.0);
            for (found, expected) in found.iter().zip(&expected) {
                assert_relative_eq!(found, expected, epsilon = 1e-12, max_relative = 1e-12);
            }
            let rank = expected.iter().filter(|&&h| h > 1e-9).count();
            assert_eq!(
                rank,
                r.min(n_in).min(n_out) * (n_in + n_out - r.min(n_in).min(n_out))
            );
        }
    }
}
