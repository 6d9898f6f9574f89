//! Generalisation and training errors of Bayesian learning, from λ and the singular fluctuation ν.
//!
//! With `L` the loss of the best parameter, `L_n` the same on the n training samples, and the posterior at inverse
//! temperature β, the expected errors tend to a constant over n (Watanabe 2009, ch. 6; 2010, JMLR 11, 3571):
//!
//! | error | n times its expectation |
//! |---|---|
//! | Bayes generalisation: `−E_x log E_w p(x \| w) − L` | `(λ − ν)/β + ν` |
//! | Bayes training: `−(1/n) Σ log E_w p(x_i \| w) − L_n` | `(λ − ν)/β − ν` |
//! | Gibbs generalisation: `−E_w E_x log p(x \| w) − L` | `λ/β + ν` |
//! | Gibbs training: `−(1/n) Σ E_w log p(x_i \| w) − L_n` | `λ/β − ν` |
//! | functional variance `V_n = Σ Var_w log p(x_i \| w)` (not over n) | `E[V_n] -> 2ν/β` |
//! | WAIC − L_n, and leave-one-out cross-validation − L_n | `(λ − ν)/β + ν` |
//!
//! `WAIC = T_n + β V_n/n` with `T_n` the Bayes training loss. The Bayes generalisation and the cross-validation error of
//! one sample are opposed: their sum is `((β − 1) V_n + 2λ/β)/n` but for smaller terms, `2λ/n` at β = 1 (2010, theorem 2).
//! Condition: the truth is realisable, or more generally the log likelihood ratio has relatively finite variance.

use crate::LearningCoefficient;

/// The limits of n times the expected errors at one inverse temperature.
///
/// ```
/// use slt_theory::{Generalisation, regular, regular_fluctuation};
///
/// // Regular, d = 4, β = 1: errors ±d/(2n), as in Akaike's criterion.
/// let errors = Generalisation::new(regular(4), regular_fluctuation(4), 1.0)?;
/// assert_eq!(errors.bayes_generalisation(), 2.0);
/// assert_eq!(errors.bayes_training(), -2.0);
/// assert_eq!(errors.waic(), errors.bayes_generalisation());
/// # Ok::<(), slt_theory::GeneralisationError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Generalisation {
    lambda: f64,
    nu: f64,
    beta: f64,
}

/// Why errors were refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum GeneralisationError {
    /// ν is negative or not finite.
    #[error("the singular fluctuation is finite and not negative, got {singular_fluctuation}")]
    SingularFluctuation {
        /// ν.
        singular_fluctuation: f64,
    },
    /// β is not positive.
    #[error("the inverse temperature is positive and finite, got {beta}")]
    InverseTemperature {
        /// β.
        beta: f64,
    },
}

impl Generalisation {
    /// The errors of a model with the pair (λ, m), ν at this β, and a posterior at inverse temperature β.
    ///
    /// # Errors
    /// [`GeneralisationError::SingularFluctuation`] unless `0 <= singular_fluctuation < ∞`;
    /// [`GeneralisationError::InverseTemperature`] unless `0 < beta < ∞`.
    pub fn new(
        learning_coefficient: LearningCoefficient,
        singular_fluctuation: f64,
        beta: f64,
    ) -> Result<Self, GeneralisationError> {
        if !(0.0 <= singular_fluctuation && singular_fluctuation.is_finite()) {
            return Err(GeneralisationError::SingularFluctuation {
                singular_fluctuation,
            });
        }
        if !(0.0 < beta && beta.is_finite()) {
            return Err(GeneralisationError::InverseTemperature { beta });
        }
        Ok(Self {
            lambda: learning_coefficient.lambda_f64(),
            nu: singular_fluctuation,
            beta,
        })
    }

    /// n times the Bayes generalisation error, `(λ − ν)/β + ν`, in nats.
    pub fn bayes_generalisation(&self) -> f64 {
        (self.lambda - self.nu) / self.beta + self.nu
    }

    /// n times the Bayes training error, `(λ − ν)/β − ν`, in nats.
    pub fn bayes_training(&self) -> f64 {
        (self.lambda - self.nu) / self.beta - self.nu
    }

    /// n times the Gibbs generalisation error, `λ/β + ν`, in nats.
    pub fn gibbs_generalisation(&self) -> f64 {
        self.lambda / self.beta + self.nu
    }

    /// n times the Gibbs training error, `λ/β − ν`, in nats.
    pub fn gibbs_training(&self) -> f64 {
        self.lambda / self.beta - self.nu
    }

    /// The functional variance, `2ν/β`, in nats².
    pub fn functional_variance(&self) -> f64 {
        2.0 * self.nu / self.beta
    }

    /// n times `WAIC − L_n`, the training error with its correction `β V`; leave-one-out cross-validation has the same limit.
    pub fn waic(&self) -> f64 {
        self.bayes_training() + self.beta * self.functional_variance()
    }

    /// n times the sum of the Bayes generalisation error and the cross-validation error, `(β − 1) V + 2λ/β`.
    ///
    /// At β = 1 it is 2λ for every sample, not in expectation alone: where the one is large, the other is small.
    ///
    /// Source: Watanabe (2010), JMLR 11, theorem 2.
    pub fn bayes_plus_cross_validation(&self) -> f64 {
        (self.beta - 1.0) * self.functional_variance() + 2.0 * self.lambda / self.beta
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{power_fluctuation, regular, regular_fluctuation};
    use approx::assert_relative_eq;
    use num_rational::Rational64;
    use proptest::prelude::*;

    /// [Bayes gen, Bayes train, Gibbs gen, Gibbs train, V].
    fn five(errors: &Generalisation) -> [f64; 5] {
        [
            errors.bayes_generalisation(),
            errors.bayes_training(),
            errors.gibbs_generalisation(),
            errors.gibbs_training(),
            errors.functional_variance(),
        ]
    }

    /// n times the exact expectations for the mean of d unit normals, flat prior: the posterior is `N(x̄, v)`, `v = 1/(nβ)`, the predictive
    /// `N(x̄, 1 + v)`.
    fn normal_mean(d: f64, beta: f64, n: f64) -> [f64; 5] {
        let v = 1.0 / (n * beta);
        let predictive = |sign: f64| v.ln_1p() + (sign / n - v) / (1.0 + v);
        [
            0.5 * d * n * predictive(1.0),
            0.5 * d * n * predictive(-1.0),
            0.5 * d * n * (v + 1.0 / n),
            0.5 * d * n * (v - 1.0 / n),
            d * ((n - 1.0) * v + 0.5 * n * v * v),
        ]
    }

    /// The limits for the normal variable of mean `w^k`, by quadrature over ξ and w with `t = √n w^k`: the posterior is
    /// `exp(β(ξt − t²/2)) dw`, and the five are the means of `½<t>²`, `½<t>² − ξ<t>`, `½<t²>`, `½<t²> − ξ<t>`, `<t²> − <t>²`.
    fn power_by_quadrature(k: i32, beta: f64) -> [f64; 5] {
        let mut sums = [0.0; 5];
        let (mut total, step) = (0.0, 0.1);
        for i in -80..=80 {
            let xi = step * f64::from(i);
            let (mut z, mut first, mut second) = (0.0, 0.0, 0.0);
            for j in -3600..3600 {
                let t = (5e-3 * (f64::from(j) + 0.5)).powi(k);
                let weight = (beta * (xi * t - 0.5 * t * t - 0.5 * xi * xi)).exp();
                z += weight;
                first += weight * t;
                second += weight * t * t;
            }
            let (mean, square) = (first / z, second / z);
            let bayes = 0.5 * mean * mean;
            let gibbs = 0.5 * square;
            let fit = xi * mean;
            let weight = (-0.5 * xi * xi).exp();
            total += weight;
            let values = [bayes, bayes - fit, gibbs, gibbs - fit, square - mean * mean];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += weight * value;
            }
        }
        sums.map(|sum| sum / total)
    }

    #[test]
    fn regular_models_exactly() {
        for (d, beta) in [(1, 1.0), (3, 0.25), (7, 5.0)] {
            let errors = Generalisation::new(regular(d), regular_fluctuation(d), beta).unwrap();
            let exact = normal_mean(f64::from(d), beta, 1e7);
            for (limit, value) in five(&errors).into_iter().zip(exact) {
                assert_relative_eq!(limit, value, max_relative = 1e-5);
            }
        }
    }

    #[test]
    fn singular_models_by_quadrature() {
        for (k, beta) in [(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0), (2, 0.5), (3, 2.0)] {
            let pair =
                crate::LearningCoefficient::new(Rational64::new(1, 2 * i64::from(k)), 1).unwrap();
            let nu = power_fluctuation(k, beta).unwrap();
            let errors = Generalisation::new(pair, nu, beta).unwrap();
            let quadrature = power_by_quadrature(k as i32, beta);
            for (limit, value) in five(&errors).into_iter().zip(quadrature) {
                assert_relative_eq!(limit, value, epsilon = 1e-8);
            }
            assert_relative_eq!(errors.waic(), quadrature[0], epsilon = 1e-8);
        }
    }

    #[test]
    fn impossible_input_is_refused() {
        for nu in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                Generalisation::new(regular(1), nu, 1.0),
                Err(GeneralisationError::SingularFluctuation { .. })
            ));
        }
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                Generalisation::new(regular(1), 0.5, beta),
                Err(GeneralisationError::InverseTemperature { .. })
            ));
        }
        assert!(Generalisation::new(regular(0), 0.0, 1.0).is_ok());
    }

    proptest! {
        /// Watanabe's equations of state, which hold whatever λ and ν are.
        #[test]
        fn equations_of_state(d in 1u32..100, nu in 0.01..50.0f64, beta in 0.05..20.0f64) {
            let errors = Generalisation::new(regular(d), nu, beta).unwrap();
            let [bayes, bayes_train, gibbs, gibbs_train, variance] = five(&errors);
            let near = |x: f64, y: f64| (x - y).abs() < 1e-9 * (1.0 + bayes.abs() + gibbs.abs() + variance * beta);
            let twice = 2.0 * beta * (gibbs_train - bayes_train);
            prop_assert!(near(bayes - bayes_train, twice));
            prop_assert!(near(gibbs - gibbs_train, twice));
            prop_assert!(near(gibbs - bayes, 0.5 * variance));
            prop_assert!(near(errors.waic(), bayes));
            prop_assert!(near(errors.bayes_plus_cross_validation(), bayes + errors.waic()));
            let at_one = Generalisation::new(regular(d), nu, 1.0).unwrap();
            prop_assert!(near(at_one.bayes_plus_cross_validation(), f64::from(d)));
        }
    }
}
