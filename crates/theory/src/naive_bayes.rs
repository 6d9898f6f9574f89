//! Binary naive Bayes: n binary features, independent given a hidden class of two values.
//!
//! With the class weight t and the feature probabilities `a_i`, `b_i` in the two classes, the truth may have
//! - no dependence between the features (*independent*),
//! - exactly one dependent pair (*one pair*),
//! - at least three features that depend on the class (*generic*; for `n <= 2` the truth that the model has in general: one
//!   dependent pair for `n = 2`, any truth for `n = 1`).
//!
//! | truth | prior positive on the closed cube | t bounded away from 0 and 1 |
//! |---|---|---|
//! | generic, `n >= 3` | `((2n + 1)/2, 1)` | `((2n + 1)/2, 1)` |
//! | one pair, `n >= 2` | `((2n − 1)/2, 1)` | `((2n − 1)/2, 1)` |
//! | independent, `n >= 3` | `((n + 1)/2, 1)` | `(3n/4, 1)` |
//! | independent, `n = 2` | `(3/2, 3)` | `(3/2, 2)` |
//! | independent, `n = 1` | `(1/2, 1)` | `(1/2, 1)` |
//!
//! Condition: all cells of the true distribution have positive probability. Source of the first column: Rusakov & Geiger
//! (2005), *Asymptotic model selection for naive Bayesian networks*, JMLR 6, Theorem 3.
//!
//! Derived here, for both columns. In place of `a`, `b` take the means `μ_i = t a_i + (1 − t) b_i` and `u_i = a_i − b_i`, a change
//! of variables of Jacobian 1. The central moments of a set S of features are `c_|S|(t) ∏_S u_i` with `c_2 = t(1 − t)` and
//! every further `c_k` a multiple of `c_2`. With an independent truth the errors generate the ideal of the n regular
//! `μ_i` and of `t(1 − t) u_i u_j`:
//! ```text
//! K ≍ |μ − μ*|² + t²(1 − t)² Σ_{i<j} u_i² u_j².
//! ```
//! `Σ u_i²u_j²` has (n/4, 1) for `n >= 3` (linear programme: all `v_i = 1/4`) and (1/2, 2) for `n = 2`. For an inner t that adds to
//! `n/2`; where t may vanish, `t²` is an independent product with (1/2, 1). With one dependent pair `t(1 − t) u_1 u_2 ≠ 0`, so
//! the `μ_i`, that product and the other `u_i` are `2n − 1` regular coordinates on a smooth fibre; with three dependent features the
//! parameters are identified.

use num_rational::Rational64;

use crate::LearningCoefficient;

/// The dependence between the features under the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NaiveBayesTruth {
    /// The features are independent.
    Independent,
    /// Exactly two features are dependent.
    OnePair,
    /// At least three features depend on the class; for fewer features, the general case.
    Generic,
}

/// Where the prior of the class weight is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClassWeights {
    /// On `0 <= t <= 1`.
    Closed,
    /// On an interval inside `0 < t < 1` that contains the weight of some true parameter.
    Interior,
}

/// A naive Bayes model of binary features with a class of two values.
///
/// ```
/// use slt_theory::{ClassWeights, NaiveBayes, NaiveBayesTruth};
///
/// // Five independent coins, modelled with a class that is not there: 3, not 11/2.
/// let coins = NaiveBayes::new(5, NaiveBayesTruth::Independent, ClassWeights::Closed)?;
/// assert_eq!(coins.learning_coefficient().to_string(), "λ = 3, m = 1");
/// # Ok::<(), slt_theory::NaiveBayesError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NaiveBayes {
    n_features: u32,
    truth: NaiveBayesTruth,
    weights: ClassWeights,
}

/// Why parameters describe no naive Bayes model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NaiveBayesError {
    /// There is no feature.
    #[error("a naive Bayes model has at least 1 feature, got 0")]
    NoFeatures,
    /// One feature has no pair.
    #[error("one dependent pair needs at least 2 features, got {n_features}")]
    NoPair {
        /// n.
        n_features: u32,
    },
}

impl NaiveBayes {
    /// The model of `n_features` with a `truth` and a prior of the class weight.
    ///
    /// # Errors
    /// [`NaiveBayesError::NoFeatures`] when `n_features = 0`;
    /// [`NaiveBayesError::NoPair`] when the truth has one dependent pair and `n_features < 2`.
    pub fn new(
        n_features: u32,
        truth: NaiveBayesTruth,
        weights: ClassWeights,
    ) -> Result<Self, NaiveBayesError> {
        if n_features == 0 {
            return Err(NaiveBayesError::NoFeatures);
        }
        if truth == NaiveBayesTruth::OnePair && n_features < 2 {
            return Err(NaiveBayesError::NoPair { n_features });
        }
        Ok(Self {
            n_features,
            truth,
            weights,
        })
    }

    /// The pair (λ, m) of the table in the module documentation.
    ///
    /// Accuracy: exact.
    ///
    /// Source: Rusakov & Geiger (2005), Theorem 3, for the closed cube; derived in the module for both.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        use ClassWeights::{Closed, Interior};
        use NaiveBayesTruth::{Generic, Independent, OnePair};
        let n = i64::from(self.n_features);
        let (numer, denom, multiplicity) = match (self.truth, self.weights, n) {
            (_, _, 1) => (1, 2, 1),
            (Independent, Closed, 2) => (3, 2, 3),
            (Independent, Interior, 2) => (3, 2, 2),
            (Independent, Closed, _) => (n + 1, 2, 1),
            (Independent, Interior, _) => (3 * n, 4, 1),
            (OnePair, ..) | (Generic, _, 2) => (2 * n - 1, 2, 1),
            (Generic, ..) => (2 * n + 1, 2, 1),
        };
        LearningCoefficient::from_formula(Rational64::new(numer, denom), multiplicity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jacobian_rank::{Residue, jacobian_rank};
    use crate::regular;
    use crate::vertex_enumeration::newton_pair;
    use ClassWeights::{Closed, Interior};
    use NaiveBayesTruth::{Generic, Independent, OnePair};
    use proptest::prelude::*;

    fn pair(n: u32, truth: NaiveBayesTruth, weights: ClassWeights) -> LearningCoefficient {
        NaiveBayes::new(n, truth, weights)
            .unwrap()
            .learning_coefficient()
    }

    #[test]
    fn worked_values() {
        for (n, truth, weights, (numer, denom), m) in [
            (1, Independent, Closed, (1, 2), 1),
            (1, Generic, Interior, (1, 2), 1),
            (2, Independent, Closed, (3, 2), 3),
            (2, Independent, Interior, (3, 2), 2),
            (2, OnePair, Closed, (3, 2), 1),
            (2, Generic, Closed, (3, 2), 1),
            (3, Independent, Closed, (2, 1), 1),
            (3, Independent, Interior, (9, 4), 1),
            (3, OnePair, Interior, (5, 2), 1),
            (3, Generic, Closed, (7, 2), 1),
            (4, Independent, Closed, (5, 2), 1),
            (6, OnePair, Closed, (11, 2), 1),
            (6, Generic, Interior, (13, 2), 1),
        ] {
            let expected = LearningCoefficient::new(Rational64::new(numer, denom), m);
            assert_eq!(Ok(pair(n, truth, weights)), expected, "{n} {truth:?}");
        }
    }

    /// The germ at `t = 0` or at an inner t, all `u = 0`: monomials `t u_i u_j`, and the regular means.
    #[test]
    fn independent_truth_by_linear_programme() {
        for n in 2..=5_usize {
            for (weights, t_exponent) in [(Closed, 2), (Interior, 0)] {
                let mut monomials = Vec::new();
                for i in 0..n {
                    for j in i + 1..n {
                        let mut exponent = vec![0; n + 1];
                        (exponent[0], exponent[i + 1], exponent[j + 1]) = (t_exponent, 2, 2);
                        monomials.push(exponent);
                    }
                }
                let one = Rational64::from_integer(1);
                let germ = newton_pair(&monomials, &vec![one; n + 1]);
                assert_eq!(
                    germ.independent_sum(regular(n as u32)),
                    Ok(pair(n as u32, Independent, weights)),
                );
            }
        }
    }

    /// The probabilities of all `2^n` cells, for the comparison with the germ.
    fn cells(t: f64, a: &[f64], b: &[f64]) -> Vec<f64> {
        let product = |p: &[f64], cell: usize| -> f64 {
            let feature = |(i, &p): (usize, &f64)| if cell >> i & 1 == 1 { p } else { 1.0 - p };
            p.iter().enumerate().map(feature).product()
        };
        (0..1 << a.len())
            .map(|cell| t * product(a, cell) + (1.0 - t) * product(b, cell))
            .collect()
    }

    proptest! {
        /// `K ≍ |μ − μ*|² + t²(1 − t)² Σ u_i²u_j²` over many orders of magnitude of t and u: the derivation's first step.
        #[test]
        fn squared_distance_is_comparable_to_the_germ(
            n in 2usize..6,
            log_t in -12.0..-0.1f64,
            log_u in prop::collection::vec(-6.0..-1.0f64, 5),
            log_mu in -12.0..-2.0f64,
        ) {
            let t = log_t.exp();
            let truth = vec![0.4; n];
            let u: Vec<f64> = log_u[..n].iter().map(|x| x.exp()).collect();
            let mean = 0.4 + log_mu.exp();
            let a: Vec<f64> = u.iter().map(|u| mean + (1.0 - t) * u).collect();
            let b: Vec<f64> = u.iter().map(|u| mean - t * u).collect();
            let squared = |x: f64| x * x;
            let differences = cells(t, &a, &b).into_iter().zip(cells(1.0, &truth, &truth));
            let distance: f64 = differences.map(|(p, q)| squared(p - q)).sum();
            let mut germ = n as f64 * squared(log_mu.exp());
            for i in 0..n {
                for j in i + 1..n {
                    germ += squared(t * (1.0 - t) * u[i] * u[j]);
                }
            }
            let ratio = distance / germ;
            prop_assert!((0.01..100.0).contains(&ratio), "{ratio}");
        }

        /// Half the rank of the moments up to order 3 (which determine the rest at such points), on points of the fibre.
        #[test]
        fn regular_truths_by_jacobian_rank(n in 1usize..7, seed in prop::collection::vec(any::<u32>(), 13)) {
            let moments = |w: &[Residue]| {
                let (t, a, b) = (w[0], &w[1..=n], &w[n + 1..]);
                let mut values = Vec::new();
                for i in 0..n {
                    for j in i..n {
                        for k in j..n {
                            let mut set = vec![i, j, k];
                            set.dedup();
                            let product = |p: &[Residue]| set.iter().map(|&i| p[i]).product::<Residue>();
                            values.push(t * product(a) + (Residue::ONE - t) * product(b));
                        }
                    }
                }
                values
            };
            let generic = seed[..=2 * n].to_vec();
            let half_rank = |point: &[u32]| regular(jacobian_rank(moments, point) as u32);
            prop_assert_eq!(pair(n as u32, Generic, Closed), half_rank(&generic));
            prop_assert_eq!(pair(n as u32, Generic, Interior), half_rank(&generic));
            if n >= 2 {
                let mut one_pair = generic.clone();
                for i in 2..n {
                    one_pair[n + 1 + i] = one_pair[1 + i];
                }
                prop_assert_eq!(pair(n as u32, OnePair, Closed), half_rank(&one_pair));
                prop_assert_eq!(pair(n as u32, OnePair, Interior), half_rank(&one_pair));
            }
        }

        /// More structure in the truth costs more; a smaller support of the prior cannot lower λ; λ <= d/2.
        #[test]
        fn ordered(n in 2u32..u32::MAX) {
            for weights in [Closed, Interior] {
                let lambda = |truth| pair(n, truth, weights).lambda();
                prop_assert!(lambda(Independent) <= lambda(OnePair));
                prop_assert!(lambda(OnePair) <= lambda(Generic));
                prop_assert!(lambda(Generic) <= Rational64::new(2 * i64::from(n) + 1, 2));
            }
            let closed = pair(n, Independent, Closed);
            prop_assert_eq!(closed.dominating(pair(n, Independent, Interior)), closed);
        }
    }

    #[test]
    fn impossible_input_is_refused() {
        assert_eq!(
            NaiveBayes::new(0, Independent, Closed),
            Err(NaiveBayesError::NoFeatures)
        );
        assert_eq!(
            NaiveBayes::new(1, OnePair, Closed),
            Err(NaiveBayesError::NoPair { n_features: 1 })
        );
        assert!(NaiveBayes::new(2, OnePair, Closed).is_ok());
    }
}
