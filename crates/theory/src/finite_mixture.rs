//! Finite mixtures `p(x | w) = Σ_{i=1}^H a_i q(x | b_i)`, all weights and component parameters free.
//!
//! With a Dirichlet(α) prior on the weights, a positive prior on `b_i ∈ R^d`, and a truth of r distinct components with
//! positive weights,
//! ```text
//! λ = (rd + r − 1)/2 + (H − r) min(d/4, α/2),   m = 1, but 1 + H − r where d = 2α.
//! ```
//! Condition: the components are strongly identifiable of second order (Chen 1995): `q`, its first and its second derivatives
//! in b at the r points are linearly independent. So it is for normal locations of known variance, Poisson, and binomials with
//! enough trials. It is *not* for normals of unknown variance (`∂²/∂μ² = 2 ∂/∂σ²`) and for products of binaries
//! ([`NaiveBayes`](crate::NaiveBayes)).
//!
//! Derived here. Components gather at the r true points. In each cluster take the error `s` of its total weight, the error
//! `μ` of its mean parameter, and the other components' weights `p_i` and offsets `δ_i` from the main one. Second-order
//! identifiability and `p_i >= 0` give, with no cancellation between the components,
//! ```text
//! K ≍ Σ_clusters s² + |μ|² + (Σ_i p_i |δ_i|²)².
//! ```
//! `s` and `μ` are `r − 1 + rd` regular coordinates. Each of the H − r others is an independent product of `p²` with prior
//! density `p^(α−1)`, hence (α/2, 1), and `|δ|⁴` in d dimensions, hence (d/4, 1): `(Σ p|δ|²)²` is comparable to the sum of the
//! squares. A component that vanishes far from all others has `K ≍ p²`, which is no smaller.
//! For `d = 1` and `α = 1` it is `(3r + H − 2)/4`, as Sato & Watanabe (2019), arXiv:1912.13289, have it for Poisson mixtures.
//! Signed weights are another model, and can have a smaller λ.

use num_rational::Rational64;

use crate::{LearningCoefficient, regular};

/// A mixture of H components of dimension d under a Dirichlet(α) prior, with a truth of r components.
///
/// ```
/// use slt_theory::FiniteMixture;
///
/// // Two normals in the line where one would do, uniform prior on the weights: λ = 3/4, not 3/2.
/// let mixture = FiniteMixture::new(2, 1, 1, 1.into())?;
/// assert_eq!(mixture.learning_coefficient().to_string(), "λ = 3/4, m = 1");
/// # Ok::<(), slt_theory::FiniteMixtureError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FiniteMixture {
    n_components: u32,
    n_true_components: u32,
    dimension: u32,
    dirichlet: Rational64,
}

/// Why parameters describe no finite mixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FiniteMixtureError {
    /// A count is outside `1..=MAX_SIZE`.
    #[error("components and dimension are 1 to {max}, got {n_components} components, dimension {dimension}", max = FiniteMixture::MAX_SIZE)]
    Size {
        /// H.
        n_components: u32,
        /// d.
        dimension: u32,
    },
    /// r is zero or exceeds H.
    #[error("true components are 1 to the {n_components} components, got {n_true_components}")]
    TrueComponents {
        /// H.
        n_components: u32,
        /// r.
        n_true_components: u32,
    },
    /// α is not positive, or has too large a denominator.
    #[error("the Dirichlet exponent is positive with a denominator of at most {max}, got {dirichlet}", max = FiniteMixture::MAX_SIZE)]
    Dirichlet {
        /// α.
        dirichlet: Rational64,
    },
}

impl FiniteMixture {
    /// The largest H, d and denominator of α; up to it the formula is exact in 64-bit integers.
    pub const MAX_SIZE: u32 = 1 << 20;

    /// A mixture of `n_components` with parameters in `dimension` dimensions and weights under Dirichlet(`dirichlet`), whose
    /// truth has `n_true_components` distinct components.
    ///
    /// # Errors
    /// [`FiniteMixtureError::Size`] when a size is 0 or above [`Self::MAX_SIZE`];
    /// [`FiniteMixtureError::TrueComponents`] unless `1 <= n_true_components <= n_components`;
    /// [`FiniteMixtureError::Dirichlet`] when `dirichlet <= 0` or its denominator is above [`Self::MAX_SIZE`].
    pub fn new(
        n_components: u32,
        n_true_components: u32,
        dimension: u32,
        dirichlet: Rational64,
    ) -> Result<Self, FiniteMixtureError> {
        let sizes = 1..=Self::MAX_SIZE;
        if !(sizes.contains(&n_components) && sizes.contains(&dimension)) {
            return Err(FiniteMixtureError::Size {
                n_components,
                dimension,
            });
        }
        if !(1..=n_components).contains(&n_true_components) {
            return Err(FiniteMixtureError::TrueComponents {
                n_components,
                n_true_components,
            });
        }
        let denominators = 1..=i64::from(Self::MAX_SIZE);
        if !(*dirichlet.numer() > 0 && denominators.contains(dirichlet.denom())) {
            return Err(FiniteMixtureError::Dirichlet { dirichlet });
        }
        Ok(Self {
            n_components,
            n_true_components,
            dimension,
            dirichlet,
        })
    }

    /// `λ = (rd + r − 1)/2 + (H − r) min(d/4, α/2)`; `m = 1`, but `1 + H − r` where `d = 2α`.
    ///
    /// Accuracy: exact.   Derived here; see the module.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let [h, r, d] = [self.n_components, self.n_true_components, self.dimension].map(i64::from);
        let half_dimension = Rational64::new(d, 2);
        let vanishing_or_merging = self.dirichlet.min(half_dimension) / 2;
        let lambda = Rational64::new(r * d + r - 1, 2) + vanishing_or_merging * (h - r);
        let n_ties = if self.dirichlet == half_dimension {
            self.n_components - self.n_true_components
        } else {
            0
        };
        LearningCoefficient::from_formula(lambda, 1 + n_ties)
    }
}

/// The pair of `(1 − a) q(x | 0) + a q(x | b)` with truth `q(x | 0)`: (1/2, 2) for `d = 1`, (1/2, 1) for `b` in more dimensions.
///
/// Only a and b are free, with a positive prior. Then `K ≍ a² |b|²`: the error is `a` times the distance of one component.
/// First-order identifiability is enough. In no dimension (`d = 0`) the component is always right: `K = 0`.
///
/// ```
/// use slt_theory::added_component;
///
/// assert_eq!(added_component(1).to_string(), "λ = 1/2, m = 2");
/// ```
///
/// Accuracy: exact.
pub fn added_component(dimension: u32) -> LearningCoefficient {
    regular(1)
        .independent_product(regular(dimension))
        .expect("multiplicities 1 and 1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vertex_enumeration::newton_pair;
    use proptest::prelude::*;

    fn pair(h: u32, r: u32, d: u32, dirichlet: (i64, i64)) -> LearningCoefficient {
        let dirichlet = Rational64::new(dirichlet.0, dirichlet.1);
        FiniteMixture::new(h, r, d, dirichlet)
            .unwrap()
            .learning_coefficient()
    }

    fn expected(numer: i64, denom: i64, m: u32) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(numer, denom), m).unwrap()
    }

    #[test]
    fn worked_values() {
        for ((h, r, d, dirichlet), (numer, denom, m)) in [
            ((2, 1, 1, (1, 1)), (3, 4, 1)),
            ((3, 1, 1, (1, 1)), (1, 1, 1)),
            ((3, 2, 1, (1, 1)), (7, 4, 1)),
            ((2, 1, 2, (1, 1)), (3, 2, 2)),
            ((2, 1, 3, (1, 1)), (2, 1, 1)),
            ((2, 1, 1, (1, 4)), (5, 8, 1)),
            ((5, 2, 2, (1, 1)), (4, 1, 4)),
            ((4, 4, 2, (1, 1)), (11, 2, 1)),
        ] {
            assert_eq!(pair(h, r, d, dirichlet), expected(numer, denom, m));
        }
        for (d, m) in [(1, 2), (2, 1), (5, 1)] {
            assert_eq!(added_component(d), expected(1, 2, m));
        }
        assert_eq!(added_component(0), LearningCoefficient::FLAT);
    }

    /// The germ in radii `ρ = |δ|`: regular coordinates, and `Σ (p ρ²)²` with prior `∏ p^(α−1) ρ^(d−1)`.
    fn by_linear_programme(h: u32, r: u32, d: u32, dirichlet: Rational64) -> LearningCoefficient {
        let regular = regular(r * d + r - 1);
        if h == r {
            return regular;
        }
        let n = (h - r) as usize;
        let generator = |i: usize| {
            let mut exponent = vec![0; 2 * n];
            (exponent[i], exponent[n + i]) = (2, 4);
            exponent
        };
        let generators: Vec<Vec<u32>> = (0..n).map(generator).collect();
        let mut costs = vec![dirichlet; n];
        costs.extend(vec![Rational64::from_integer(i64::from(d)); n]);
        newton_pair(&generators, &costs)
            .independent_sum(regular)
            .unwrap()
    }

    /// `E[sK]` for two normals and a truth of one, K the squared distance of the densities (times `√(4π)`), by quadrature over
    /// the weight p of the second, the mean μ, and the distance δ of the two, with prior density `(p(1 − p))^(α−1)`. It
    /// tends to λ, and for m = 2 as `λ − 1/(log s + c)`.
    fn mean_loss(log_s: f64, dirichlet: f64) -> f64 {
        let s = log_s.exp();
        let distance = |p: f64, mu: f64, delta: f64| {
            let w = [-1.0, 1.0 - p, p];
            let b = [0.0, mu - p * delta, mu + (1.0 - p) * delta];
            let pair =
                |i: usize, j: usize| 2.0 * w[i] * w[j] * (-0.25 * (b[i] - b[j]).powi(2)).exp_m1();
            pair(0, 1) + pair(0, 2) + pair(1, 2)
        };
        let (mut z, mut first) = (0.0, 0.0);
        // p by its logit (symmetric under 1 − p with −δ), μ in units of 1/√s, δ of both signs by its logarithm.
        for y in (0..=200).map(|i| -0.2 * f64::from(i)) {
            let p = 1.0 / (1.0 + (-y).exp());
            let prior = (p * (1.0 - p)).powf(dirichlet) * if y == 0.0 { 0.5 } else { 1.0 };
            for log_delta in (0..80).map(|i| 0.65 - 0.15 * f64::from(i)) {
                for x in (-16..=16).map(|i| 0.6 * f64::from(i)) {
                    let loss = |sign: f64| s * distance(p, x / s.sqrt(), sign * log_delta.exp());
                    for loss in [loss(1.0), loss(-1.0)] {
                        let weight = prior * log_delta.exp() * (-loss).exp();
                        z += weight;
                        first += weight * loss;
                    }
                }
            }
        }
        first / z
    }

    #[test]
    fn two_normals_by_quadrature() {
        for (dirichlet, rational) in [(1.0, (1, 1)), (0.1, (1, 10))] {
            let lambda = pair(2, 1, 1, rational).lambda_f64();
            let mean = mean_loss(20.0, dirichlet);
            assert!((mean - lambda).abs() < 0.01, "{mean} for {lambda}");
        }
        let tie = pair(2, 1, 1, (1, 2));
        assert_eq!(tie, expected(3, 4, 2));
        let inverse_gap = |log_s: f64| (tie.lambda_f64() - mean_loss(log_s, 0.5)).recip();
        let slope = (inverse_gap(20.0) - inverse_gap(16.0)) / 4.0;
        assert!((slope - 1.0).abs() < 0.05, "{slope}");
    }

    #[test]
    fn impossible_input_is_refused() {
        let one = Rational64::from_integer(1);
        let max = FiniteMixture::MAX_SIZE;
        for (h, d) in [(0, 1), (1, 0), (max + 1, 1), (1, max + 1)] {
            assert_eq!(
                FiniteMixture::new(h, 1, d, one),
                Err(FiniteMixtureError::Size {
                    n_components: h,
                    dimension: d
                })
            );
        }
        for r in [0, 3] {
            assert_eq!(
                FiniteMixture::new(2, r, 1, one),
                Err(FiniteMixtureError::TrueComponents {
                    n_components: 2,
                    n_true_components: r
                })
            );
        }
        let r = Rational64::new;
        for dirichlet in [
            r(0, 1),
            r(-1, 2),
            r(1, i64::from(max) + 1),
            Rational64::new_raw(1, 0),
        ] {
            assert_eq!(
                FiniteMixture::new(2, 1, 1, dirichlet),
                Err(FiniteMixtureError::Dirichlet { dirichlet })
            );
        }
    }

    #[test]
    fn exact_at_the_largest_sizes() {
        let max = FiniteMixture::MAX_SIZE;
        let m = i64::from(max);
        // r = 1, α just below d/2 with the largest odd denominator: λ = d/2 + (H − 1) α/2.
        let dirichlet = Rational64::new(m / 2 * (m - 1) - 1, m - 1);
        let mixture = FiniteMixture::new(max, 1, max, dirichlet).unwrap();
        let exact = num_rational::Ratio::<i128>::new(
            i128::from(m) * i128::from(m - 1) + i128::from(m - 1) * i128::from(*dirichlet.numer()),
            2 * i128::from(m - 1),
        );
        let lambda = mixture.learning_coefficient().lambda();
        assert_eq!(
            (i128::from(*lambda.numer()), i128::from(*lambda.denom())),
            exact.into_raw()
        );
        let all = FiniteMixture::new(max, max, max, Rational64::from_integer(i64::MAX)).unwrap();
        assert_eq!(all.learning_coefficient(), expected(m * m + m - 1, 2, 1));
    }

    proptest! {
        #[test]
        fn formula_is_the_linear_programme(
            r in 1u32..9, extra in 0u32..4, d in 1u32..6, numer in 1i64..13, denom in 1i64..5,
        ) {
            let dirichlet = Rational64::new(numer, denom);
            let formula = pair(r + extra, r, d, (numer, denom));
            prop_assert_eq!(formula, by_linear_programme(r + extra, r, d, dirichlet));
            // At most half the parameters, at least half the regular coordinates.
            prop_assert!(formula.lambda() >= regular(r * d + r - 1).lambda());
            prop_assert!(formula.lambda() <= regular((r + extra) * (d + 1) - 1).lambda());
        }

        #[test]
        fn poisson_mixture(r in 1u32..1000, extra in 0u32..1000) {
            let h = r + extra;
            let sato_watanabe = Rational64::new(i64::from(3 * r + h) - 2, 4);
            prop_assert_eq!(pair(h, r, 1, (1, 1)).lambda(), sato_watanabe);
        }
    }
}
