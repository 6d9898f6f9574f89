//! The exact law of the LLC estimator on the normal crossing `K = c w₁² w₂²`.
//!
//! The target is `exp(−s c w₁²w₂² − γ/2 (w₁² + w₂²))`, `s = nβ`; `λ = ½`, `m = 2`. Derived here: integrating
//! over `w₂` and then, by `∫ e^(−pw²)/√(w² + r²) dw = e^(pr²/2) K₀(pr²/2)`, over `w₁`, with
//! `z = γ²/(8cs)`,
//! ```text
//! Z = √(π/(sc)) e^z K₀(z),
//! E[sK] = −∂ log Z/∂ log s = ½ + z (1 − K₁(z)/K₀(z)) = ½ − 1/(log(16cs/γ²) − γ_E) + …
//! ```
//! with Euler's `γ_E`. The difference cancels for large z, so the code uses the same number in a
//! positive form. With `x = sinh(t/2)` and `<·>` the mean under `exp(−z cosh t) dt`,
//! `z (K₁/K₀ − 1) = <2zx²>`, and `0 = ∫ d[x e^(−2zx²)/√(1 + x²)]` gives `½ − <2zx²> = ½ <x²/(1 + x²)>`:
//! ```text
//! E[sK] = ½ <q>,   Var[sK] = ½ <q²> + ¼ (<q²> − <q>²),   q = tanh²(t/2).
//! ```
//! Here `q = 2scw₁²/(2scw₁² + γ)` is the share of the loss in the precision of `w₂`, the sum over one
//! direction that a [`LocalisedGaussian`](crate::LocalisedGaussian) has, averaged over the other.

use crate::bessel_k::{scaled_bessel_k, trapezoid};
use crate::{LearningCoefficient, NormalCrossing};

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// The normal crossing `c w₁²w₂²` at inverse temperature nβ and localisation γ at the origin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormalCrossingLaw {
    z: f64,
}

/// Why a law was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NormalCrossingLawError {
    /// A parameter is not positive and finite.
    #[error(
        "coefficient, nbeta and gamma are positive and finite, got {coefficient}, {nbeta}, {gamma}"
    )]
    NotPositive {
        /// c.
        coefficient: f64,
        /// nβ.
        nbeta: f64,
        /// γ.
        gamma: f64,
    },
    /// `z = γ²/(8 c nβ)` over- or underflows.
    #[error("gamma^2/(8 c nbeta) is {z}, outside the range of the floating point numbers")]
    OutOfRange {
        /// z.
        z: f64,
    },
}

impl NormalCrossingLaw {
    /// The law for `K = coefficient · w₁²w₂²`.
    ///
    /// # Errors
    /// [`NormalCrossingLawError::NotPositive`] unless all three are positive and finite;
    /// [`NormalCrossingLawError::OutOfRange`] when `γ²/(8cs)` is 0 or infinite in `f64`.
    pub fn new(coefficient: f64, nbeta: f64, gamma: f64) -> Result<Self, NormalCrossingLawError> {
        let positive = |x: f64| 0.0 < x && x.is_finite();
        if !(positive(coefficient) && positive(nbeta) && positive(gamma)) {
            return Err(NormalCrossingLawError::NotPositive {
                coefficient,
                nbeta,
                gamma,
            });
        }
        let z = gamma / nbeta * gamma / (8.0 * coefficient);
        if !(f64::MIN_POSITIVE <= z && z.is_finite()) {
            return Err(NormalCrossingLawError::OutOfRange { z });
        }
        Ok(Self { z })
    }

    /// `z = γ²/(8 c nβ)`, the only number on which the law depends.
    pub fn z(&self) -> f64 {
        self.z
    }

    /// The pair (½, 2) that the mean tends to.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        NormalCrossing::with_positive_prior(&[1, 1])
            .expect("two positive exponents")
            .learning_coefficient()
    }

    /// `E[nβ K] = ½ + z (1 − K₁(z)/K₀(z))`.
    ///
    /// Accuracy: relative 1e-13, for strong localisation (large z) too.   Derived here; see the module.
    pub fn mean(&self) -> f64 {
        0.5 * self.share(1)
    }

    /// `Var[nβ K]` of one draw, `E + ∂² log Z/∂(log s)²`; it tends to λ = ½ too.
    ///
    /// Accuracy: relative 1e-13.   Derived here; see the module.
    pub fn variance(&self) -> f64 {
        let (first, second) = (self.share(1), self.share(2));
        0.5 * second + 0.25 * (second - first * first)
    }

    /// `log ∫ exp(−nβK) N(w; 0, 1/γ) dw = log(√(2z/π) e^z K₀(z))`, the log evidence under the
    /// normalised localisation. At most 0.
    ///
    /// Accuracy: absolute 1e-14.   Derived here; see the module.
    pub fn log_evidence(&self) -> f64 {
        ((2.0 * self.z / std::f64::consts::PI).sqrt() * scaled_bessel_k(0.0, self.z)).ln()
    }

    /// `½ − 1/(log(16cs/γ²) − γ_E)`: the mean for large s up to powers of `1/s`.
    ///
    /// Domain: `z < 0.1` to be of use; the next term is of order z.   Derived here; see the module.
    pub fn asymptotic_mean(&self) -> f64 {
        0.5 - 1.0 / ((2.0 / self.z).ln() - EULER)
    }

    /// `<tanh^(2p)(t/2)>` under `exp(−z cosh t) dt`.
    fn share(&self, p: i32) -> f64 {
        let weighted = trapezoid(self.z, |t| (0.5 * t).tanh().powi(2 * p));
        weighted / scaled_bessel_k(0.0, self.z)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    fn at_sample_size(n: f64) -> NormalCrossingLaw {
        NormalCrossingLaw::new(0.5, n / n.ln(), 1.0).unwrap()
    }

    /// `½ + z (1 − K₁/K₀)` at γ = 1, nβ = n/log n, by mpmath 1.3 `besselk` at 15 digits.
    #[test]
    fn reference_values() {
        for (c, n, expected) in [
            (0.5, 1e3, 0.347_344_231_194_643),
            (0.5, 1e6, 0.421_213_320_630_422),
            (1.0, 1e3, 0.361_403_290_211_069),
            (1.0, 1e6, 0.425_291_741_954_799),
        ] {
            let law = NormalCrossingLaw::new(c, n / f64::ln(n), 1.0).unwrap();
            assert_relative_eq!(law.mean(), expected, max_relative = 5e-14);
        }
        let strong = NormalCrossingLaw::new(0.5, 1e3 / 1e3_f64.ln(), 100.0).unwrap();
        assert!((strong.mean() - 0.0069).abs() < 5e-5);
    }

    /// By the closed form with Bessel functions where it does not cancel, from tabulated K₀, K₁.
    #[test]
    fn closed_form() {
        // z = 0.1 and 1.
        for (z, k0, k1) in [
            (0.1_f64, 2.427_069_024_702_017, 9.853_844_780_870_606),
            (1.0, 0.421_024_438_240_708_3, 0.601_907_230_197_234_6),
        ] {
            let law = NormalCrossingLaw::new(1.0, 1.0, (8.0 * z).sqrt()).unwrap();
            assert_relative_eq!(law.z(), z, max_relative = 1e-15);
            let r = k1 / k0;
            assert_relative_eq!(law.mean(), 0.5 + z * (1.0 - r), max_relative = 1e-13);
            // ∂²log Z/∂(log s)² = z − z²(r² − 1), by K₀' = −K₁, K₁' = −K₀ − K₁/z.
            let variance = 0.5 + z * (1.0 - r) + z - z * z * (r * r - 1.0);
            assert_relative_eq!(law.variance(), variance, max_relative = 1e-13);
        }
    }

    /// The two-dimensional integral on a grid of the plane, no analytic step.
    #[test]
    fn plane_quadrature() {
        let (c, s, gamma) = (0.5, 20.0, 1.5);
        let law = NormalCrossingLaw::new(c, s, gamma).unwrap();
        let (mut z, mut first, mut second) = (0.0, 0.0, 0.0);
        let (step, half) = (0.02, 350);
        for i in -half..=half {
            for j in -half..=half {
                let (w1, w2) = (step * f64::from(i), step * f64::from(j));
                let loss = s * c * w1 * w1 * w2 * w2;
                let weight = (-loss - 0.5 * gamma * (w1 * w1 + w2 * w2)).exp();
                z += weight;
                first += weight * loss;
                second += weight * loss * loss;
            }
        }
        let mean = first / z;
        assert_relative_eq!(law.mean(), mean, max_relative = 1e-9);
        assert_relative_eq!(
            law.variance(),
            second / z - mean * mean,
            max_relative = 1e-9
        );
        let normalised = z * step * step * gamma / (2.0 * std::f64::consts::PI);
        assert_relative_eq!(law.log_evidence(), normalised.ln(), max_relative = 1e-9);
    }

    /// After the integral over w₂ alone, the substitution w₁ = e^u makes the rest smooth.
    #[test]
    fn line_quadrature() {
        let (c, gamma) = (1.0, 1.0);
        for s in [1e2, 1e5, 1e9] {
            let law = NormalCrossingLaw::new(c, s, gamma).unwrap();
            let (mut z, mut first) = (0.0, 0.0);
            for i in -8000..=500 {
                let w = (f64::from(i) * 0.005).exp();
                let kappa = 2.0 * s * c * w * w;
                let weight = w * (kappa + gamma).sqrt().recip() * (-0.5 * gamma * w * w).exp();
                z += weight;
                first += weight * 0.5 * kappa / (kappa + gamma);
            }
            assert_relative_eq!(law.mean(), first / z, max_relative = 1e-10);
        }
    }

    /// γ → ∞ freezes w to N(0, 1/γ): E[sK] = sc/γ², without loss of digits.
    #[test]
    fn strong_localisation() {
        let law = NormalCrossingLaw::new(1.0, 10.0, 1e6).unwrap();
        assert_relative_eq!(law.mean(), 1e-11, max_relative = 1e-9);
        // Var = (sc)² (E[x⁴]² − E[x²]⁴)/γ⁴ = 8 (sc/γ²)².
        assert_relative_eq!(law.variance(), 8e-22, max_relative = 1e-9);
        assert_relative_eq!(law.log_evidence(), -1e-11, epsilon = 1e-14);
    }

    #[test]
    fn slow_approach() {
        assert_eq!(at_sample_size(1e3).learning_coefficient().multiplicity(), 2);
        for (n, tolerance) in [(1e6, 1e-4), (1e12, 1e-10), (1e100, 1e-13)] {
            let law = at_sample_size(n);
            assert_relative_eq!(law.mean(), law.asymptotic_mean(), max_relative = tolerance);
        }
        // Even at n = 10^100 the multiplicity costs 1% of λ.
        assert!(at_sample_size(1e100).mean() < 0.4959);
    }

    #[test]
    fn impossible_input_is_refused() {
        for (c, s, gamma) in [
            (0.0, 1.0, 1.0),
            (1.0, -1.0, 1.0),
            (1.0, 1.0, 0.0),
            (f64::NAN, 1.0, 1.0),
            (1.0, f64::INFINITY, 1.0),
        ] {
            assert!(matches!(
                NormalCrossingLaw::new(c, s, gamma),
                Err(NormalCrossingLawError::NotPositive { .. })
            ));
        }
        assert!(matches!(
            NormalCrossingLaw::new(1.0, 1e300, 1e-10),
            Err(NormalCrossingLawError::OutOfRange { .. })
        ));
    }

    proptest! {
        /// E = −∂ log Z/∂ log s and Var = E + ∂² log Z/∂(log s)², by differences.
        #[test]
        fn derivatives_of_the_evidence(log_s in -2.0..20.0f64, gamma in 0.1..10.0) {
            let at = |shift: f64| {
                let s = (log_s + shift).exp();
                NormalCrossingLaw::new(1.0, s, gamma).unwrap()
            };
            let h = 1e-3;
            let slope = (at(h).log_evidence() - at(-h).log_evidence()) / (2.0 * h);
            prop_assert!((at(0.0).mean() + slope).abs() < 1e-6);
            let bend = -(at(h).mean() - at(-h).mean()) / (2.0 * h);
            prop_assert!((at(0.0).variance() - at(0.0).mean() - bend).abs() < 1e-6);
        }

        /// Between 0 and λ, increasing in s; at most one regular direction's worth.
        #[test]
        fn bounded_by_lambda_and_increasing(log_s in -20.0..200.0f64, gamma in 0.1..10.0) {
            let mean = |log_s: f64| NormalCrossingLaw::new(1.0, log_s.exp(), gamma).unwrap().mean();
            prop_assert!(0.0 < mean(log_s) && mean(log_s) < 0.5);
            prop_assert!(mean(log_s) < mean(log_s + 0.5));
        }
    }
}
