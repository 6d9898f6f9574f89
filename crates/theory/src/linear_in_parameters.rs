//! Models that are linear in their parameters: `f_w(x) = φ(x) · w`.
//!
//! Linear and lazy (NTK) models and random features. The squared error is a quadratic form whose matrix is the Gram
//! matrix of the features φ over the support of the data, so `λ = rank/2` and `m = 1`: directions that no sample sees
//! are flat. The rank of the Gram matrix is that of the feature matrix. For several outputs sum the ranks; for an NTK
//! the features are the Jacobian of the network at its initial parameters.
//!
//! Source: Schwarz (1978), in the coordinates that K depends on.

use ndarray::ArrayView2;
use ndarray_linalg::{SVD, error::LinalgError};
use num_rational::Rational64;

use crate::LearningCoefficient;

/// A model that is linear in its parameters, by the rank of its features on the data.
///
/// ```
/// use ndarray::array;
/// use slt_theory::LinearInParameters;
///
/// // The third feature is the sum of the others, and there are more parameters than the data see.
/// let features = array![[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [2.0, 1.0, 3.0], [1.0, 1.0, 2.0]];
/// let model = LinearInParameters::from_features(features.view())?;
/// assert_eq!(model.rank(), 2);
/// assert_eq!(model.learning_coefficient().to_string(), "λ = 1, m = 1");
/// # Ok::<(), slt_theory::LinearInParametersError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinearInParameters {
    rank: u32,
}

/// Why a feature matrix has no rank.
#[derive(Debug, thiserror::Error)]
pub enum LinearInParametersError {
    /// A feature is infinite or not a number.
    #[error("features are finite, got {value} for feature {feature} of sample {sample}")]
    NotFinite {
        /// The row.
        sample: usize,
        /// The column.
        feature: usize,
        /// The value.
        value: f64,
    },
    /// The singular values did not converge.
    #[error("no singular values of the features")]
    SingularValues(#[from] LinalgError),
}

impl LinearInParameters {
    /// The model whose features have `rank` on the support of the data.
    pub fn new(rank: u32) -> Self {
        Self { rank }
    }

    /// The model with the given features at the support of the data.
    ///
    /// The rank is the number of singular values above `max(n_samples, n_features) · 2.2e-16` times the largest one,
    /// the size of their rounding errors. Features that are meant to be dependent have to be so to that precision.
    ///
    /// Shapes: `features`: `[n_samples, n_features]`.
    ///
    /// # Errors
    /// [`LinearInParametersError::NotFinite`] when a feature is not finite;
    /// [`LinearInParametersError::SingularValues`] when LAPACK finds no singular values.
    pub fn from_features(features: ArrayView2<'_, f64>) -> Result<Self, LinearInParametersError> {
        for ((sample, feature), &value) in features.indexed_iter() {
            if !value.is_finite() {
                return Err(LinearInParametersError::NotFinite {
                    sample,
                    feature,
                    value,
                });
            }
        }
        if features.is_empty() {
            return Ok(Self::new(0));
        }
        let (_, singular_values, _) = features.svd(false, false)?;
        // LAPACK returns them in descending order.
        let size = features.nrows().max(features.ncols());
        let threshold = size as f64 * f64::EPSILON * singular_values[0];
        let rank = singular_values.iter().filter(|&&s| s > threshold).count();
        Ok(Self::new(
            u32::try_from(rank).expect("LAPACK has 32-bit sizes"),
        ))
    }

    /// The rank of the features.
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// The pair `(rank/2, 1)`.
    ///
    /// Accuracy: exact in the rank.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        LearningCoefficient::from_formula(Rational64::new(i64::from(self.rank), 2), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    fn rank(features: &Array2<f64>) -> u32 {
        LinearInParameters::from_features(features.view())
            .unwrap()
            .rank()
    }

    #[test]
    fn half_the_rank() {
        for (rank, lambda) in [
            (0, (0, 1)),
            (1, (1, 2)),
            (7, (7, 2)),
            (u32::MAX, (4_294_967_295, 2)),
        ] {
            let pair = LinearInParameters::new(rank).learning_coefficient();
            assert_eq!(pair.lambda(), Rational64::new(lambda.0, lambda.1));
            assert_eq!(pair.multiplicity(), 1);
        }
    }

    #[test]
    fn nothing_seen_is_flat() {
        assert_eq!(rank(&Array2::zeros((3, 2))), 0);
        assert_eq!(rank(&Array2::zeros((0, 2))), 0);
        assert_eq!(rank(&Array2::zeros((2, 0))), 0);
    }

    /// Singular values 1 and δ: δ counts above 2 · 2.2e-16 and not below.
    #[test]
    fn the_threshold_is_the_size_of_a_rounding_error() {
        let diagonal = |delta| array![[1.0, 0.0], [0.0, delta]];
        assert_eq!(rank(&diagonal(2.1 * f64::EPSILON)), 2);
        assert_eq!(rank(&diagonal(1.9 * f64::EPSILON)), 1);
        assert_eq!(rank(&(1e9 * diagonal(2.1 * f64::EPSILON))), 2);
        assert_eq!(rank(&(1e9 * diagonal(1.9 * f64::EPSILON))), 1);
        let tall = array![[1.0, 0.0], [0.0, 2.9 * f64::EPSILON], [0.0, 0.0]];
        assert_eq!(rank(&tall), 1);
        assert_eq!(rank(&tall.reversed_axes()), 1);
    }

    #[test]
    fn features_that_are_not_finite_are_refused() {
        for bad in [f64::NAN, f64::INFINITY] {
            let features = array![[1.0, 2.0], [3.0, bad]];
            let error = LinearInParameters::from_features(features.view()).unwrap_err();
            assert!(error.to_string().ends_with("for feature 1 of sample 1"));
        }
    }

    /// The rank by elimination without fractions, in integers.
    fn exact_rank(mut rows: Vec<Vec<i128>>) -> u32 {
        let mut rank = 0;
        for column in 0..rows.first().map_or(0, Vec::len) {
            let Some(pivot) = (rank..rows.len()).find(|&i| rows[i][column] != 0) else {
                continue;
            };
            rows.swap(rank, pivot);
            let pivot = rows[rank].clone();
            for row in &mut rows[rank + 1..] {
                let factor = row[column];
                for (entry, above) in row.iter_mut().zip(&pivot) {
                    *entry = *entry * pivot[column] - factor * above;
                }
            }
            rank += 1;
        }
        rank as u32
    }

    proptest! {
        #[test]
        fn agrees_with_exact_elimination(
            (n, d) in (1usize..6, 1usize..6), inner in 0usize..6, entries in prop::collection::vec(-2i128..3, 60),
        ) {
            let inner = inner.min(n).min(d);
            let left = |i: usize, k: usize| entries[i * inner + k];
            let right = |k: usize, j: usize| entries[30 + k * d + j];
            let product: Vec<Vec<i128>> = (0..n)
                .map(|i| (0..d).map(|j| (0..inner).map(|k| left(i, k) * right(k, j)).sum()).collect())
                .collect();
            let features = Array2::from_shape_fn((n, d), |(i, j)| product[i][j] as f64);
            let found = rank(&features);
            prop_assert_eq!(found, exact_rank(product));
            // More samples in the span of the features, in any order, change nothing.
            let doubled = ndarray::concatenate![ndarray::Axis(0), features, 3.0 * &features];
            prop_assert_eq!(rank(&doubled), found);
            prop_assert_eq!(rank(&features.reversed_axes()), found);
        }
    }
}
