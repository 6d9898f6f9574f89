//! Factor analysis: p Gaussian variables with covariance `D + ΛΛᵀ`, D diagonal and positive, `Λ: [p, k]`.
//!
//! One factor (`k = 1`), by the off-diagonal entries of the true covariance:
//!
//! | truth | pair |
//! |---|---|
//! | diagonal | `(3p/4, 1)` for `p >= 3`, `(3/2, 2)` for `p = 2` |
//! | one nonzero entry (`p >= 2`) | `((2p − 1)/2, 1)` |
//! | generic: at least three nonzero loadings | `(p, 1)` for `p >= 3` |
//!
//! For `p = 2` the generic truth has one nonzero entry, and for `p = 1` all is absorbed in D: (1/2, 1). The means are known; free
//! means add `p/2`. The prior is positive on D and the loadings. Source: Drton, Gross, Kosta, Leykin, Sullivant & Windisch (2025),
//! *Singular learning theory for factor analysis*, arXiv:2511.15419v1, and derived here:
//! D makes the diagonal p regular coordinates, and what remains are the errors of `ℓ_i ℓ_j`. At `ℓ = 0` they are monomials, with
//! (p/4, 1) for `p >= 3` (all `v_i = 1/4`) and (1/2, 2) for `p = 2`. With `ℓ_1 ℓ_2 ≠ 0` and no other, `ℓ_1 ℓ_2` and `ℓ_3, …, ℓ_p` are
//! regular; with three nonzero loadings the model is identified up to sign. It is the star among the
//! [Gaussian latent trees](crate::GaussianLatentForest).
//!
//! For k factors and a truth `D* + L Lᵀ` with L of r columns there is a bound:
//! ```text
//! λ <= min( [p(k + 2) + r(p − k + 1)]/4, p(p + 1)/4 ).
//! ```
//! The first is theirs. Derived here: near `Λ = (L, 0)` the rotations of the k columns bring Λ to `(L + E, N)` with the columns of N orthogonal to
//! those of L. The diagonal and the first r columns have at most `p + pr − r(r − 1)/2` regular coordinates, rotations taken off, and
//! the rest enters by `NNᵀ`, so `K <= C (regular² + |N|⁴)` with N in `(p − r)(k − r)` dimensions. The second bound is half the
//! number of entries of a covariance. The first is exact for `k = 1` (`p >= 3`), and where `k = r` and the model is identified up
//! to rotations.

use num_rational::Rational64;

use crate::{Known, LearningCoefficient};

/// The off-diagonal entries of the true covariance of a one-factor model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FactorAnalysisTruth {
    /// All are zero.
    Diagonal,
    /// One is not zero.
    OnePair,
    /// At least three loadings are not zero; for fewer variables, the general case.
    Generic,
}

/// One-factor analysis: covariance `D + ℓℓᵀ` of p variables.
///
/// ```
/// use slt_theory::{FactorAnalysis, FactorAnalysisTruth};
///
/// // Four independent variables and a factor that is not there: 3, not 4.
/// let model = FactorAnalysis::new(4, FactorAnalysisTruth::Diagonal)?;
/// assert_eq!(model.learning_coefficient().to_string(), "λ = 3, m = 1");
/// # Ok::<(), slt_theory::FactorAnalysisError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FactorAnalysis {
    n_variables: u32,
    truth: FactorAnalysisTruth,
}

/// Why parameters describe no factor analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactorAnalysisError {
    /// A number of variables is outside `1..=MAX_VARIABLES`.
    #[error("variables are 1 to {max}, got {n_variables}", max = FactorAnalysis::MAX_VARIABLES)]
    Variables {
        /// p.
        n_variables: u32,
    },
    /// One variable has no pair.
    #[error("one nonzero off-diagonal entry needs at least 2 variables, got {n_variables}")]
    NoPair {
        /// p.
        n_variables: u32,
    },
    /// The factors are not `r <= k <= p`.
    #[error(
        "factors need true factors <= factors <= variables, got {n_true_factors}, {n_factors}, {n_variables}"
    )]
    Factors {
        /// p.
        n_variables: u32,
        /// k.
        n_factors: u32,
        /// r.
        n_true_factors: u32,
    },
}

impl FactorAnalysis {
    /// The largest number of variables; up to it the bound is exact in 64-bit integers.
    pub const MAX_VARIABLES: u32 = 1 << 30;

    /// The one-factor model of `n_variables` with a `truth`.
    ///
    /// # Errors
    /// [`FactorAnalysisError::Variables`] when `n_variables` is 0 or above [`Self::MAX_VARIABLES`];
    /// [`FactorAnalysisError::NoPair`] when the truth has one nonzero entry and `n_variables < 2`.
    pub fn new(n_variables: u32, truth: FactorAnalysisTruth) -> Result<Self, FactorAnalysisError> {
        if !(1..=Self::MAX_VARIABLES).contains(&n_variables) {
            return Err(FactorAnalysisError::Variables { n_variables });
        }
        if truth == FactorAnalysisTruth::OnePair && n_variables < 2 {
            return Err(FactorAnalysisError::NoPair { n_variables });
        }
        Ok(Self { n_variables, truth })
    }

    /// The pair (λ, m) of the table in the module documentation.
    ///
    /// Accuracy: exact.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        use FactorAnalysisTruth::{Diagonal, Generic, OnePair};
        let p = i64::from(self.n_variables);
        let (numer, denom, multiplicity) = match (self.truth, p) {
            (_, 1) => (1, 2, 1),
            (Diagonal, 2) => (3, 2, 2),
            (Diagonal, _) => (3 * p, 4, 1),
            (OnePair, _) | (Generic, 2) => (2 * p - 1, 2, 1),
            (Generic, _) => (p, 1, 1),
        };
        LearningCoefficient::from_formula(Rational64::new(numer, denom), multiplicity)
    }

    /// `λ <= min([p(k + 2) + r(p − k + 1)]/4, p(p + 1)/4)` for k factors and a truth of r, p variables.
    ///
    /// The truth is `D* + L Lᵀ` with r columns in L.
    ///
    /// Accuracy: exact, as a bound.
    ///
    /// Source: Drton et al. (2025), arXiv:2511.15419v1; derived in the module.
    ///
    /// # Errors
    /// [`FactorAnalysisError::Variables`] when `n_variables` is 0 or above [`Self::MAX_VARIABLES`];
    /// [`FactorAnalysisError::Factors`] unless `n_true_factors <= n_factors <= n_variables`.
    pub fn bound(
        n_variables: u32,
        n_factors: u32,
        n_true_factors: u32,
    ) -> Result<Known, FactorAnalysisError> {
        if !(1..=Self::MAX_VARIABLES).contains(&n_variables) {
            return Err(FactorAnalysisError::Variables { n_variables });
        }
        if !(n_true_factors <= n_factors && n_factors <= n_variables) {
            return Err(FactorAnalysisError::Factors {
                n_variables,
                n_factors,
                n_true_factors,
            });
        }
        let [p, k, r] = [n_variables, n_factors, n_true_factors].map(i64::from);
        let quadrupled = (p * (k + 2) + r * (p - k + 1)).min(p * (p + 1));
        Ok(Known::UpperBound(Rational64::new(quadrupled, 4)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jacobian_rank::{Residue, jacobian_rank};
    use crate::regular;
    use crate::vertex_enumeration::newton_pair;
    use FactorAnalysisTruth::{Diagonal, Generic, OnePair};
    use proptest::prelude::*;

    fn pair(p: u32, truth: FactorAnalysisTruth) -> LearningCoefficient {
        FactorAnalysis::new(p, truth)
            .unwrap()
            .learning_coefficient()
    }

    fn bound(p: u32, k: u32, r: u32) -> Rational64 {
        match FactorAnalysis::bound(p, k, r) {
            Ok(Known::UpperBound(lambda)) => lambda,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn worked_values() {
        for (p, truth, (numer, denom), m) in [
            (1, Diagonal, (1, 2), 1),
            (1, Generic, (1, 2), 1),
            (2, Diagonal, (3, 2), 2),
            (2, OnePair, (3, 2), 1),
            (2, Generic, (3, 2), 1),
            (3, Diagonal, (9, 4), 1),
            (3, OnePair, (5, 2), 1),
            (3, Generic, (3, 1), 1),
            (7, Diagonal, (21, 4), 1),
            (7, OnePair, (13, 2), 1),
            (7, Generic, (7, 1), 1),
        ] {
            let expected = LearningCoefficient::new(Rational64::new(numer, denom), m);
            assert_eq!(Ok(pair(p, truth)), expected, "{p} {truth:?}");
        }
        assert_eq!(bound(6, 2, 1), Rational64::new(29, 4));
        assert_eq!(bound(6, 3, 0), Rational64::new(15, 2));
        assert_eq!(bound(3, 3, 0), Rational64::new(3, 1));
        let max = FactorAnalysis::MAX_VARIABLES;
        let p = i64::from(max);
        assert_eq!(bound(max, max, max), Rational64::new(p * (p + 1), 4));
    }

    #[test]
    fn diagonal_truth_by_linear_programme() {
        for p in 2..=6_usize {
            let mut monomials = Vec::new();
            for i in 0..p {
                for j in i + 1..p {
                    let mut exponent = vec![0; p];
                    (exponent[i], exponent[j]) = (2, 2);
                    monomials.push(exponent);
                }
            }
            let germ = newton_pair(&monomials, &vec![Rational64::from_integer(1); p]);
            assert_eq!(
                germ.independent_sum(regular(p as u32)),
                Ok(pair(p as u32, Diagonal))
            );
        }
    }

    /// Half the rank of (D, ℓ) -> covariance: the entries `ℓ_i ℓ_j` and the diagonal, which D makes independent.
    fn half_rank(loadings: &[u32]) -> LearningCoefficient {
        let p = loadings.len();
        let off_diagonal = |w: &[Residue]| {
            let mut entries = Vec::new();
            for i in 0..p {
                for j in i + 1..p {
                    entries.push(w[i] * w[j]);
                }
            }
            entries
        };
        regular((p + jacobian_rank(off_diagonal, loadings)) as u32)
    }

    proptest! {
        #[test]
        fn regular_truths_by_jacobian_rank(loadings in prop::collection::vec(1u32..1 << 29, 1..9)) {
            let p = loadings.len() as u32;
            prop_assert_eq!(pair(p, Generic), half_rank(&loadings));
            if p >= 3 {
                // Three nonzero loadings are generic, however many variables there are.
                let mut three = loadings.clone();
                three[3..].fill(0);
                prop_assert_eq!(pair(p, Generic), half_rank(&three));
            }
            if p >= 2 {
                let mut two = loadings.clone();
                two[2..].fill(0);
                prop_assert_eq!(pair(p, OnePair), half_rank(&two));
            }
        }

        /// The bound is the exact value for one factor, and half the dimension of the identified model.
        #[test]
        fn where_the_bound_is_exact(p in 3u32..1_000_000, k in 0u32..50) {
            prop_assert_eq!(pair(p, Diagonal).lambda(), bound(p, 1, 0));
            prop_assert_eq!(pair(p, Generic).lambda(), bound(p, 1, 1));
            prop_assert!(pair(p, OnePair).lambda() <= bound(p, 1, 1));
            if 2 * k < p {
                let [p, k] = [p, k].map(i64::from);
                let dimension = p + p * k - k * (k - 1) / 2;
                prop_assert_eq!(bound(p as u32, k as u32, k as u32), Rational64::new(dimension, 2));
            }
        }

        /// Below half the parameters less the rotations, and rising in k and r.
        #[test]
        fn the_bound_is_monotone(p in 1u32..40, k in 0u32..40, r in 0u32..40) {
            let k = k.min(p);
            let r = r.min(k);
            let [p_, k_] = [p, k].map(i64::from);
            prop_assert!(bound(p, k, r) <= Rational64::new(p_ * (1 + k_), 2));
            prop_assert!(bound(p, k, r) <= Rational64::new(p_ * (p_ + 1), 4));
            if k < p {
                prop_assert!(bound(p, k, r) <= bound(p, k + 1, r));
            }
            if r < k {
                prop_assert!(bound(p, k, r) <= bound(p, k, r + 1));
            }
        }
    }

    #[test]
    fn impossible_input_is_refused() {
        let too_many = FactorAnalysis::MAX_VARIABLES + 1;
        for n_variables in [0, too_many] {
            let error = FactorAnalysisError::Variables { n_variables };
            assert_eq!(FactorAnalysis::new(n_variables, Generic), Err(error));
            assert_eq!(FactorAnalysis::bound(n_variables, 0, 0), Err(error));
        }
        assert_eq!(
            FactorAnalysis::new(1, OnePair),
            Err(FactorAnalysisError::NoPair { n_variables: 1 })
        );
        for (n_factors, n_true_factors) in [(1, 2), (4, 1)] {
            assert_eq!(
                FactorAnalysis::bound(3, n_factors, n_true_factors),
                Err(FactorAnalysisError::Factors {
                    n_variables: 3,
                    n_factors,
                    n_true_factors
                })
            );
        }
    }
}
