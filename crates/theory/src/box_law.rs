//! The exact law of the LLC estimator on a normal crossing in a box.
//!
//! `K = c ∏ w_i^(2k_i)` with the prior density `∏ (h_i + 1) w_i^(h_i)` on `[0, 1]^d`; by symmetry also the one
//! proportional to `∏ |w_i|^(h_i)` on `[−1, 1]^d`. Derived here: with the rates `ρ_i = (h_i + 1)/(2k_i)`,
//! `E[w_i^(−2k_i z)] = ρ_i/(ρ_i − z)`, so that
//! ```text
//! Z = (1/2πi) ∫ Γ(z) (sc)^(−z) ∏_i ρ_i/(ρ_i − z) dz.
//! ```
//! In other words `−log(K/c)` is a sum of exponential variables of rates `ρ_i` (an Erlang variable where they are
//! equal), over whose density the tests integrate `exp(−sc e^(−u))`. `λ = min ρ_i`, m the number of minimisers.

use crate::mellin_barnes::mellin_barnes;
use crate::{FiniteLaw, FiniteLawError, NormalCrossing};

/// The largest exponent.
const MOST: u32 = 1000;

/// The law of `K = coefficient · ∏ w_i^(2k_i)` at nβ under the prior `∏ |w_i|^(h_i)` on `[0, 1]^d` or `[−1, 1]^d`.
///
/// Shapes: `half_exponents`, `prior_exponents`: `[d]`, the `k_i` and `h_i`.
/// Domain: `k_i, h_i <= 1000`.   Accuracy: relative 1e-11.   Derived here; see the module.
///
/// ```
/// // K = w₁²w₂² on the unit square: Z = √π (log s + log 4 + γ_E)/(4√s) up to e^(−s), so E = 1/2 − 1/(log s + 1.9635).
/// let s = 1e6_f64;
/// let law = slt_theory::box_law(1.0, &[1, 1], &[0, 0], s)?;
/// assert!((law.mean() - (0.5 - 1.0 / (s.ln() + 4_f64.ln() + 0.577_215_664_9))).abs() < 1e-10);
/// # Ok::<(), slt_theory::FiniteLawError>(())
/// ```
///
/// # Errors
/// [`FiniteLawError::NotPositive`] unless coefficient and nβ are positive and finite;
/// [`FiniteLawError::Exponents`] when their numbers differ or no `k_i` is positive; [`FiniteLawError::Range`] for an exponent above 1000.
pub fn box_law(
    coefficient: f64,
    half_exponents: &[u32],
    prior_exponents: &[u32],
    nbeta: f64,
) -> Result<FiniteLaw, FiniteLawError> {
    let coefficient = FiniteLawError::positive("coefficient", coefficient)?;
    let nbeta = FiniteLawError::positive("nbeta", nbeta)?;
    let learning_coefficient =
        NormalCrossing::new(half_exponents, prior_exponents)?.learning_coefficient();
    for (&k, &h) in half_exponents.iter().zip(prior_exponents) {
        FiniteLawError::range("half-exponent", k, 0, MOST)?;
        FiniteLawError::range("prior exponent", h, 0, MOST)?;
    }
    // Infinite where `k_i` is 0: a factor of 1.
    let rates: Vec<f64> = half_exponents
        .iter()
        .zip(prior_exponents)
        .map(|(&k, &h)| f64::from(h + 1) / f64::from(2 * k))
        .collect();
    Ok(mellin_barnes(
        nbeta.ln() + coefficient.ln(),
        learning_coefficient.lambda_f64(),
        learning_coefficient,
        |z| {
            -rates
                .iter()
                .map(|&rate| (1.0 - z / rate).ln())
                .sum::<num_complex::Complex64>()
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gauss_legendre::Panel;
    use crate::mixture_moments::MixtureMoments;
    use crate::{LearningCoefficient, NormalCrossingError};
    use approx::assert_relative_eq;
    use num_rational::Rational64;
    use proptest::prelude::*;

    /// The law by the trapezoidal rule over `log u`, `u = −log(K/c)` a sum of exponential variables of which
    /// `log_density` is the log of the density.
    fn over_log_loss(s: f64, log_density: impl Fn(f64) -> f64) -> MixtureMoments {
        let step = 0.005;
        let mut moments = MixtureMoments::default();
        let mut log_u = 7.0;
        while log_u > -45.0 {
            let u = f64::exp(log_u);
            let loss = s * (-u).exp();
            moments.add(log_density(u) + log_u + f64::ln(step) - loss, loss, 0.0);
            log_u -= step;
        }
        moments
    }

    fn assert_agrees(law: &FiniteLaw, moments: &MixtureMoments) {
        assert_relative_eq!(law.mean(), moments.mean(), max_relative = 1e-10);
        assert_relative_eq!(law.variance(), moments.variance(), max_relative = 1e-10);
        assert_relative_eq!(
            law.log_evidence(),
            moments.log_weight(),
            max_relative = 1e-11,
            epsilon = 1e-12
        );
    }

    /// Equal rates: the Erlang density `ρ^m u^(m−1) e^(−ρu)/(m − 1)!`.
    #[test]
    fn equal_rates_are_erlang() {
        for (k, h, m, factorial) in [
            (1, 0, 1, 1.0),
            (1, 0, 2, 1.0),
            (2, 0, 3, 2.0),
            (1, 3, 4, 6.0),
            (3, 1, 5, 24.0),
        ] {
            let rate = f64::from(h + 1) / f64::from(2 * k);
            for s in [1e-6, 1.0, 1e3, 1e12] {
                let law = box_law(1.0, &vec![k; m], &vec![h; m], s).unwrap();
                let shape = m as f64;
                let erlang = over_log_loss(s, |u| {
                    shape * rate.ln() + (shape - 1.0) * u.ln() - rate * u - f64::ln(factorial)
                });
                assert_agrees(&law, &erlang);
                let expected = LearningCoefficient::new(
                    Rational64::new(i64::from(h) + 1, 2 * i64::from(k)),
                    m as u32,
                );
                assert_eq!(Ok(law.learning_coefficient()), expected);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Distinct rates: the density `Σ_i ρ_i e^(−ρ_i u) ∏_{j≠i} ρ_j/(ρ_j − ρ_i)`, here for two of them.
        #[test]
        fn distinct_rates_are_hypoexponential(
            k in prop::array::uniform2(1u32..5), h in prop::array::uniform2(0u32..5),
            log_s in -10.0..40.0f64, c in 0.1..10.0,
        ) {
            let [a, b] = [0, 1].map(|i| f64::from(h[i] + 1) / f64::from(2 * k[i]));
            prop_assume!((a - b).abs() > 1e-9);
            let law = box_law(c, &k, &h, log_s.exp() / c).unwrap();
            let (a, b) = (a.min(b), a.max(b));
            let density = over_log_loss(log_s.exp(), |u| {
                (a * b / (b - a)).ln() - a * u + (-(-(b - a) * u).exp_m1()).ln()
            });
            assert_agrees(&law, &density);
        }

        /// A coordinate with k = 0 changes nothing, whatever its prior; nor does the order.
        #[test]
        fn flat_and_order(
            exponents in prop::collection::vec((1u32..4, 0u32..4), 1..4), flat in 0u32..5, log_s in -8.0..30.0f64,
        ) {
            let (mut k, mut h): (Vec<_>, Vec<_>) = exponents.into_iter().unzip();
            let before = box_law(1.0, &k, &h, log_s.exp()).unwrap();
            k.push(0);
            h.push(flat);
            k.reverse();
            h.reverse();
            let after = box_law(1.0, &k, &h, log_s.exp()).unwrap();
            prop_assert!((before.mean() / after.mean() - 1.0).abs() < 1e-12);
            prop_assert!((before.variance() / after.variance() - 1.0).abs() < 1e-12);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// One variable more, by quadrature over it: an induction over all normal crossings.
        #[test]
        fn one_variable_more_by_quadrature(
            exponents in prop::collection::vec((1u32..4, 0u32..4), 1..4), last in (1u32..3, 0u32..4),
            log_s in -8.0..12.0f64,
        ) {
            let (mut k, mut h): (Vec<_>, Vec<_>) = exponents.into_iter().unzip();
            // v = log(1/w), of density (h + 1) e^(−(h+1)v), in panels no wider than the step of K at one v.
            let rate = f64::from(last.1 + 1);
            let (panel, width) = (Panel::new(), 0.5 / f64::from(last.0));
            let mut layer = MixtureMoments::default();
            // up to a tail of e^(−30) of the evidence, which is of the order of s^(−λ) with λ <= 2
            let end = (30.0 + 2.0 * log_s.max(0.0)) / rate;
            for first in 0..(end / width) as i32 {
                for (node, weight) in panel.nodes.iter().zip(&panel.weights) {
                    let v = width * (f64::from(first) + 0.5 * (1.0 + node));
                    let s = (log_s - 2.0 * f64::from(last.0) * v).exp();
                    // A loss below 1e-14 is zero; its law would take long.
                    let law = box_law(1.0, &k, &h, s.max(1e-14)).unwrap();
                    let log_weight = (0.5 * width * weight * rate).ln() - rate * v;
                    layer.add(log_weight + law.log_evidence(), law.mean(), law.variance());
                }
            }
            k.push(last.0);
            h.push(last.1);
            assert_agrees(&box_law(1.0, &k, &h, log_s.exp()).unwrap(), &layer);
        }
    }

    /// `w^2` on the unit interval: `Z = ½ √(π/s) erf √s`, with erf 1 = 0.842700792949715 (DLMF table 7.23).
    #[test]
    fn square_in_erf_form() {
        let law = box_law(2.0, &[1], &[0], 0.5).unwrap();
        let z = 0.5 * std::f64::consts::PI.sqrt() * 0.842_700_792_949_714_9;
        assert_relative_eq!(law.log_evidence(), z.ln(), max_relative = 1e-12);
        // E[sK] = −d log Z/d log s = ½ − e^(−1)/(2Z).
        assert_relative_eq!(
            law.mean(),
            0.5 - 0.5 * f64::exp(-1.0) / z,
            max_relative = 1e-12
        );
    }

    #[test]
    fn impossible_input_is_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for result in [box_law(bad, &[1], &[0], 1.0), box_law(1.0, &[1], &[0], bad)] {
                assert!(matches!(result, Err(FiniteLawError::NotPositive { .. })));
            }
        }
        assert!(matches!(
            box_law(1.0, &[1], &[], 1.0),
            Err(FiniteLawError::Exponents(
                NormalCrossingError::LengthMismatch { .. }
            ))
        ));
        assert!(matches!(
            box_law(1.0, &[0], &[2], 1.0),
            Err(FiniteLawError::Exponents(
                NormalCrossingError::NoZero { .. }
            ))
        ));
        for (k, h, name) in [(1001, 0, "half-exponent"), (1, 1001, "prior exponent")] {
            let error = box_law(1.0, &[k], &[h], 1.0).unwrap_err();
            assert!(matches!(error, FiniteLawError::Range { name: named, .. } if named == name));
        }
        assert!(box_law(1.0, &[1000], &[1000], 1.0).is_ok());
    }
}
