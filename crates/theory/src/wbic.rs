//! WBIC: the free energy from one posterior mean at `β = 1/log n`.
//!
//! At inverse temperature β the posterior mean of the training loss is (Watanabe 2013, *A widely applicable Bayesian information
//! criterion*, JMLR 14, 867, theorem 4)
//! ```text
//! E_β[nL_n(w)] = nL_n(w₀) + λ/β + U_n √(λ/(2β)) + O_p(1),
//! ```
//! with `U_n` tending to a random variable of mean 0 and variance less than 1. At `β = 1/log n` the second term is the `λ log n` of
//! the free energy; the third is the spread of WBIC over data sets, which perfect sampling does not remove. The
//! learning coefficient `λ̂ = (WBIC − nL_n(w₀))/log n` has a standard deviation of up to `√(λ/(2 log n))`.
//! For a regular model `U_n = 0`. Derived here for a normal variable of mean `w^k`, truth 0, `λ = 1/(2k)`, from the posterior of
//! [`power_fluctuation`](crate::power_fluctuation): `<t²> = 2λ + √β ξ<t>` gives
//! `E_β[nL_n] − nL_n(w₀) = λ/β − ξ<t>/(2√β)`, and `<t>` tends to `√2 Γ(λ + ½)/Γ(λ)` for even k, 0 for odd. So
//! `U_n = −ξ Γ(λ + ½)/(√λ Γ(λ))` for even k, and 0 for odd.

use statrs::function::gamma::ln_gamma;

use crate::LearningCoefficient;

/// WBIC of a model with a learning coefficient, at a number of samples.
///
/// ```
/// use slt_theory::{Wbic, regular};
///
/// let wbic = Wbic::new(regular(8), 1000.0)?;
/// assert!((wbic.inverse_temperature() - 0.1448).abs() < 1e-4);
/// // λ̂ of one data set may be off by √(4/(2 · 6.9)) = 0.54 of 4.
/// assert!((wbic.estimate_spread_bound() - 0.538).abs() < 1e-3);
/// # Ok::<(), slt_theory::WbicError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wbic {
    lambda: f64,
    log_n: f64,
}

/// Why a WBIC was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum WbicError {
    /// `1/log n` is no inverse temperature.
    #[error("WBIC needs finite n > 1, got n = {n}")]
    SampleSize {
        /// The n given.
        n: f64,
    },
    /// λ is zero, so that nothing fluctuates and no temperature is best.
    #[error("WBIC needs λ > 0, got λ = 0")]
    ZeroLambda,
}

impl Wbic {
    /// WBIC at `n` samples for the pair (λ, m); m enters the free energy, but not WBIC's leading terms.
    ///
    /// # Errors
    /// [`WbicError::SampleSize`] unless `1 < n < ∞`; [`WbicError::ZeroLambda`] when λ = 0.
    pub fn new(learning_coefficient: LearningCoefficient, n: f64) -> Result<Self, WbicError> {
        if !(1.0 < n && n.is_finite()) {
            return Err(WbicError::SampleSize { n });
        }
        if learning_coefficient == LearningCoefficient::FLAT {
            return Err(WbicError::ZeroLambda);
        }
        Ok(Self {
            lambda: learning_coefficient.lambda_f64(),
            log_n: n.ln(),
        })
    }

    /// `β = 1/log n`.
    pub fn inverse_temperature(&self) -> f64 {
        self.log_n.recip()
    }

    /// `λ/β + U √(λ/(2β))`: what `E_β[nL_n]` exceeds `nL_n(w₀)` by, in nats, for the fluctuation `U_n = fluctuation`.
    ///
    /// # Panics
    /// Unless `0 < beta < ∞`.
    ///
    /// Source: Watanabe (2013), theorem 4.
    pub fn excess(&self, beta: f64, fluctuation: f64) -> f64 {
        assert!(
            0.0 < beta && beta.is_finite(),
            "β is positive and finite, got {beta}"
        );
        self.lambda / beta + fluctuation * (0.5 * self.lambda / beta).sqrt()
    }

    /// `λ log n`, the expectation of `WBIC − nL_n(w₀)` in nats.
    pub fn expected_excess(&self) -> f64 {
        self.lambda * self.log_n
    }

    /// `√(λ log n/2)`, an upper bound on the standard deviation of `WBIC − nL_n(w₀)` over data sets, in nats.
    pub fn spread_bound(&self) -> f64 {
        (0.5 * self.lambda * self.log_n).sqrt()
    }

    /// `√(λ/(2 log n))`, an upper bound on the standard deviation of `λ̂ = (WBIC − nL_n(w₀))/log n` over data sets.
    pub fn estimate_spread_bound(&self) -> f64 {
        (0.5 * self.lambda / self.log_n).sqrt()
    }

    /// The β at which `λ/β + U √(λ/(2β)) = λ log n`: where one posterior mean is the free energy, for `U_n = fluctuation`.
    ///
    /// The positive root in `1/√β` of `λ/β + U √(λ/2) /√β − λ log n`. For large n it is
    /// `(1 + U/√(2λ log n))/log n`, so `1/log n` is the best choice that does not know the data.
    ///
    /// Source: Watanabe (2013), theorem 3 and corollary 2, to first order.
    pub fn optimal_inverse_temperature(&self, fluctuation: f64) -> f64 {
        // x² + 2hx − log n = 0, each form free of cancellation for its sign of h.
        let half = 0.5 * fluctuation * (0.5 / self.lambda).sqrt();
        let root = (half * half + self.log_n).sqrt();
        let inverse_sqrt = if half > 0.0 {
            self.log_n / (root + half)
        } else {
            root - half
        };
        inverse_sqrt.powi(-2)
    }
}

/// The standard deviation of `U_n` for a normal variable of mean `w^exponent`, truth 0: 0 for an odd exponent, `Γ(λ + ½)/(√λ Γ(λ))` with
/// `λ = 1/(2 exponent)` for an even one; `None` for exponent 0.
///
/// Accuracy: relative 1e-14.   Derived here; see the module.
pub fn power_wbic_spread(exponent: u32) -> Option<f64> {
    let lambda = 0.5 / f64::from(exponent);
    match exponent {
        0 => None,
        k if k % 2 == 1 => Some(0.0),
        _ => Some((ln_gamma(lambda + 0.5) - ln_gamma(lambda)).exp() / lambda.sqrt()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regular;
    use crate::singular_fluctuation::tilted;
    use approx::assert_relative_eq;
    use num_rational::Rational64;
    use proptest::prelude::*;

    #[test]
    fn worked_values() {
        // λ = 3, log n = 6: 18 ± 3, and λ̂ = 3 ± 1/2.
        let wbic = Wbic::new(regular(6), 6.0_f64.exp()).unwrap();
        assert_relative_eq!(wbic.inverse_temperature(), 1.0 / 6.0, max_relative = 1e-15);
        assert_relative_eq!(wbic.expected_excess(), 18.0, max_relative = 1e-15);
        assert_relative_eq!(wbic.spread_bound(), 3.0, max_relative = 1e-15);
        assert_relative_eq!(wbic.estimate_spread_bound(), 0.5, max_relative = 1e-15);
        assert_relative_eq!(
            wbic.excess(0.5, 2.0),
            6.0 + 2.0 * 3.0_f64.sqrt(),
            max_relative = 1e-15
        );
        // U = 0.6 √6: 1/√β solves x² + 0.6 x − 6 = 0.
        let beta = wbic.optimal_inverse_temperature(0.6 * 6.0_f64.sqrt());
        let x = -0.3 + 6.09_f64.sqrt();
        assert_relative_eq!(beta, x.powi(-2), max_relative = 1e-14);
        // x² ± 10⁸ x − 1 = 0: no digit is lost for either sign.
        let wbic = Wbic::new(regular(1), std::f64::consts::E).unwrap();
        for (fluctuation, beta) in [(1e8, 1e16), (-1e8, 1e-16)] {
            let best = wbic.optimal_inverse_temperature(fluctuation);
            assert_relative_eq!(best, beta, max_relative = 1e-14);
        }
    }

    /// Normal mean, posterior `N(x̄, 1/(nβ))`: `E_β[nL_n] − nL_n(w₀) = d/(2β) − n|x̄|²/2`: no fluctuation that grows with 1/β.
    #[test]
    fn regular_models_do_not_fluctuate() {
        for beta in [0.1, 0.01, 1e-4] {
            let wbic = Wbic::new(regular(5), 100.0).unwrap();
            assert_relative_eq!(wbic.excess(beta, 0.0), 2.5 / beta, max_relative = 1e-15);
        }
        // `√β` times the excess over λ/β, at a fixed data set, vanishes.
        assert!((1e-5 * tilted(1, 1e-5).0).abs() < 1e-9);
        assert_eq!(power_wbic_spread(1), Some(0.0));
        assert_eq!(power_wbic_spread(3), Some(0.0));
        assert_eq!(power_wbic_spread(0), None);
    }

    /// `E_β[nL_n] − nL_n(w₀) = λ/β − ξ<t>/(2√β)` by quadrature at small β, against `λ/β + U √(λ/(2β))`.
    #[test]
    fn even_powers_fluctuate() {
        for k in [2_u32, 4, 6, 20] {
            let pair = LearningCoefficient::new(Rational64::new(1, 2 * i64::from(k)), 1).unwrap();
            let wbic = Wbic::new(pair, 1e6).unwrap();
            let sd = power_wbic_spread(k).unwrap();
            assert!(0.0 < sd && sd < 1.0);
            let (beta, xi) = (1e-12_f64, 1.3);
            let exact = wbic.lambda / beta - 0.5 * xi / beta.sqrt() * tilted(k, beta.sqrt() * xi).0;
            let fluctuation = (exact - wbic.lambda / beta) / (0.5 * wbic.lambda / beta).sqrt();
            assert_relative_eq!(fluctuation, -xi * sd, max_relative = 1e-5);
            assert_relative_eq!(wbic.excess(beta, -xi * sd), exact, max_relative = 1e-11);
        }
        // k = 2: Γ(3/4)/(½ Γ(1/4)).
        let expected = 2.0 * 1.225_416_702_465_177_6 / 3.625_609_908_221_908;
        assert_relative_eq!(
            power_wbic_spread(2).unwrap(),
            expected,
            max_relative = 1e-13
        );
    }

    #[test]
    fn impossible_input_is_refused() {
        for n in [1.0, 0.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                Wbic::new(regular(1), n),
                Err(WbicError::SampleSize { .. })
            ));
        }
        assert_eq!(Wbic::new(regular(0), 10.0), Err(WbicError::ZeroLambda));
    }

    #[test]
    #[should_panic(expected = "β is positive")]
    fn no_negative_temperature() {
        Wbic::new(regular(1), 10.0).unwrap().excess(-1.0, 0.0);
    }

    proptest! {
        /// At the best temperature the excess is that of the free energy; to first order it is `(1 + U/√(2λ log n))/log n`.
        #[test]
        fn best_temperature(d in 1u32..200, log_n in 1.0..600.0f64, fluctuation in -3.0..3.0f64) {
            let wbic = Wbic::new(regular(d), log_n.exp()).unwrap();
            let beta = wbic.optimal_inverse_temperature(fluctuation);
            prop_assert!((wbic.excess(beta, fluctuation) / wbic.expected_excess() - 1.0).abs() < 1e-11);
            let relative = fluctuation / (f64::from(d) * log_n).sqrt();
            let first_order = (1.0 + relative) * wbic.inverse_temperature();
            prop_assert!((beta / first_order.abs() - 1.0).abs() < 30.0 * relative * relative || relative.abs() > 0.2);
            prop_assert!((wbic.spread_bound() / log_n - wbic.estimate_spread_bound()).abs() < 1e-12);
        }
    }
}
