//! The modified Bessel function of the second kind, scaled: `e^z K_ν(z)`.
//!
//! `K_ν(z) = ∫_0^∞ exp(−z cosh t) cosh(νt) dt` (DLMF 10.32.9). The integrand is even, analytic in the
//! strip `|Im t| < π/2` and decays doubly exponentially, so the trapezoidal rule with step h errs by
//! `exp(−π²/h)` for small z and by `exp(−2π²/(z h²))` for large z (Trefethen & Weideman 2014, *The
//! exponentially convergent trapezoidal rule*). Both are below `exp(−78)` here.

/// `e^z K_ν(z)`.
///
/// Domain: `0 < z < ∞`, `0 <= order <= 10`, where the value does not overflow.
/// Accuracy: relative 2e-14.
///
/// # Panics
/// If `z` or `order` is outside the domain.
///
/// Source: DLMF 10.32.9.
pub fn scaled_bessel_k(order: f64, z: f64) -> f64 {
    assert!(
        (0.0..=10.0).contains(&order),
        "the order is 0 to 10, got {order}"
    );
    trapezoid(z, |t| (order * t).cosh())
}

/// `∫_0^∞ exp(−z (cosh t − 1)) f(t) dt` for even `f` that grows at most like `cosh 10t`.
///
/// # Panics
/// Unless `0 < z < ∞`.
pub(crate) fn trapezoid(z: f64, f: impl Fn(f64) -> f64) -> f64 {
    assert!(
        0.0 < z && z.is_finite(),
        "z is positive and finite, got {z}"
    );
    let step = 0.125_f64.min(0.5 / z.sqrt());
    let mut sum = 0.5 * f(0.0);
    for i in 1.. {
        let t = step * f64::from(i);
        // cosh t − 1 = 2 sinh²(t/2), without cancellation.
        let decay = 2.0 * z * (0.5 * t).sinh().powi(2);
        // From here on, even at order 10, the terms add up to less than 2e-15 of the sum.
        if decay > 60.0 {
            break;
        }
        sum += (-decay).exp() * f(t);
    }
    step * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    /// Abramowitz & Stegun, tables 9.8 and 9.11, at more digits (mpmath 1.3, `besselk`).
    #[test]
    fn reference_values() {
        for (order, z, expected) in [
            (0.0, 0.1, 2.427_069_024_702_017),
            (1.0, 0.1, 9.853_844_780_870_606),
            (0.0, 1.0, 0.421_024_438_240_708_3),
            (1.0, 1.0, 0.601_907_230_197_234_6),
            (0.0, 2.0, 0.113_893_872_749_533_43),
            (1.0, 2.0, 0.139_865_881_816_522_44),
            (0.0, 10.0, 1.778_006_231_616_765e-5),
            (1.0, 10.0, 1.864_877_345_382_558_5e-5),
        ] {
            let value = scaled_bessel_k(order, z) * f64::exp(-z);
            assert_relative_eq!(value, expected, max_relative = 5e-15);
        }
    }

    proptest! {
        /// `K_{1/2}(z) = √(π/(2z)) e^(−z)`, exactly.
        #[test]
        fn order_one_half_is_elementary(log_z in -20.0..20.0f64) {
            let z = log_z.exp();
            let expected = (std::f64::consts::FRAC_PI_2 / z).sqrt();
            prop_assert!((scaled_bessel_k(0.5, z) / expected - 1.0).abs() < 2e-14);
        }

        /// `K_{ν+1} = K_{ν−1} + (2ν/z) K_ν` at ν = 1.
        #[test]
        fn recurrence(log_z in -10.0..10.0f64) {
            let z = log_z.exp();
            let right = scaled_bessel_k(0.0, z) + 2.0 / z * scaled_bessel_k(1.0, z);
            prop_assert!((scaled_bessel_k(2.0, z) / right - 1.0).abs() < 2e-14);
        }
    }
}
