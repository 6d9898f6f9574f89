//! The singular fluctuation ν, where it is known exactly.
//!
//! `ν = lim (β/2) E[V_n]` with the functional variance `V_n = Σ_i Var_w[log p(x_i | w)]` over the posterior at inverse temperature
//! β (Watanabe 2009, ch. 6). Unlike λ it depends on β and on the sign structure of the model, and λ does not bound it.
//! Independent sums of models add their ν. A regular model of d parameters has `ν = d/2` at every β.
//!
//! The singular case solved here is a normal variable of mean `w^k` and variance 1, truth 0, with `λ = 1/(2k)`. With `t = √(nβ) w^k` and
//! the normal variable `ξ = n^(−1/2) Σ x_i` the posterior tends to
//! ```text
//! p(t | ξ) ∝ |t|^(2λ−1) exp(a t − t²/2),   a = √β ξ,   on R for odd k, on t >= 0 for even k,
//! ν = ½ E_ξ[Var(t | ξ)].
//! ```
//! `∫ d[t |t|^(2λ−1) e^(at − t²/2)] = 0` gives `<t²> = 2λ + a <t>`, so the mean is enough. It is a ratio of two integrals, taken
//! in y with `|t| = log(1 + e^y)`: smooth for all y, exponential to the left, normal to the right, so the trapezoidal
//! rule converges exponentially (Trefethen & Weideman 2014).

/// Why a singular fluctuation was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SingularFluctuationError {
    /// k is zero.
    #[error("the mean w^k needs k >= 1, got 0")]
    ZeroExponent,
    /// β is outside the domain.
    #[error("the inverse temperature is positive and at most 1000, got {beta}")]
    InverseTemperature {
        /// β.
        beta: f64,
    },
}

/// `ν = d/2` of a regular model with d parameters, at every β.
pub fn regular_fluctuation(d: u32) -> f64 {
    0.5 * f64::from(d)
}

/// ν of a normal variable of mean `w^exponent` with truth 0, in the limit of large n.
///
/// ```
/// use slt_theory::power_fluctuation;
///
/// // λ = 1/6, yet ν = 0.278: ν can be the larger of the two.
/// assert!((power_fluctuation(3, 1.0)? - 0.278_366_474_4).abs() < 1e-10);
/// # Ok::<(), slt_theory::SingularFluctuationError>(())
/// ```
///
/// Domain: `exponent >= 1`, `0 < beta <= 1000`.   Accuracy: absolute 1e-12.   Derived here; see the module.
///
/// # Errors
/// [`SingularFluctuationError::ZeroExponent`] when `exponent = 0`;
/// [`SingularFluctuationError::InverseTemperature`] unless `0 < beta <= 1000`.
pub fn power_fluctuation(exponent: u32, beta: f64) -> Result<f64, SingularFluctuationError> {
    if exponent == 0 {
        return Err(SingularFluctuationError::ZeroExponent);
    }
    if !(0.0 < beta && beta <= 1000.0) {
        return Err(SingularFluctuationError::InverseTemperature { beta });
    }
    // The variance varies with the tilt √β ξ on a scale of 1.
    let step = 0.125 / beta.sqrt().max(1.0);
    let n_steps = (9.0 / step) as i32;
    let weighted = (-n_steps..=n_steps).map(|i| {
        let xi = step * f64::from(i);
        (-0.5 * xi * xi).exp() * tilted(exponent, beta.sqrt() * xi).1
    });
    let density = (2.0 * std::f64::consts::PI).sqrt().recip();
    Ok(0.5 * step * density * weighted.sum::<f64>())
}

/// Mean and variance of t under `|t|^(2λ−1) exp(tilt · t − t²/2)`, `λ = 1/(2 exponent)`, on `t >= 0` for an even exponent and on R for an odd
/// one.
pub(crate) fn tilted(exponent: u32, tilt: f64) -> (f64, f64) {
    let doubled_lambda = 1.0 / f64::from(exponent);
    let is_odd = exponent % 2 == 1;
    if is_odd && tilt < 0.0 {
        let (mean, variance) = tilted(exponent, -tilt);
        return (-mean, variance);
    }
    if tilt > 9.0 {
        return far_from_zero(doubled_lambda, tilt);
    }
    let shift = 0.5 * tilt.max(0.0).powi(2);
    let [mut first, mut second] = half_line_moments(doubled_lambda, tilt, shift);
    if is_odd {
        let [left_first, left_second] = half_line_moments(doubled_lambda, -tilt, shift);
        first -= left_first;
        second += left_second;
    }
    // The normalisation by parts, M₀ = (M₂ − a M₁)/(2λ): its own integrand falls off slowly for small λ.
    let mean = doubled_lambda * first / (second - tilt * first);
    (mean, doubled_lambda + tilt * mean - mean * mean)
}

/// The same for `tilt > 9`, about `t = tilt`, where by parts would cancel: t = 0 is 9 standard deviations away.
fn far_from_zero(doubled_lambda: f64, tilt: f64) -> (f64, f64) {
    let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
    for x in (-72..=72).map(|i| 0.125 * f64::from(i)) {
        let weight = ((doubled_lambda - 1.0) * (tilt + x).ln() - 0.5 * x * x).exp();
        total += weight;
        first += weight * x;
        second += weight * x * x;
    }
    let offset = first / total;
    (tilt + offset, second / total - offset * offset)
}

/// `∫_0^∞ t^(2λ−1+j) exp(tilt · t − t²/2 − shift) dt` for j = 1 and 2.
fn half_line_moments(doubled_lambda: f64, tilt: f64, shift: f64) -> [f64; 2] {
    let step = 0.125;
    let n_right = ((tilt.max(0.0) + 10.0) / step) as i32;
    let mut moments = [0.0; 2];
    for i in -320..=n_right {
        let y = step * f64::from(i);
        let t = y.exp().ln_1p();
        let jacobian = (1.0 + (-y).exp()).recip();
        let weight = jacobian * (doubled_lambda * t.ln() + tilt * t - 0.5 * t * t - shift).exp();
        moments[0] += weight;
        moments[1] += weight * t;
    }
    moments.map(|moment| step * moment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    /// mpmath 1.3 at 25 digits: moments as `1F1`, the mean over ξ by the trapezoidal rule of step 1/16 on |ξ| < 9.4.
    #[test]
    fn reference_values() {
        for (k, beta, expected) in [
            (2, 1.0, 0.172_973_267_434_160_33),
            (3, 1.0, 0.278_366_474_399_918_87),
            (4, 1.0, 0.137_855_714_856_937_56),
            (5, 1.0, 0.206_135_249_962_614_1),
            (2, 0.25, 0.147_033_291_082_544_7),
            (3, 4.0, 0.407_760_856_115_365_4),
            (10, 1.0, 0.091_344_232_197_863_49),
            (2, 16.0, 0.237_513_510_157_002_97),
        ] {
            let nu = power_fluctuation(k, beta).unwrap();
            assert_relative_eq!(nu, expected, max_relative = 1e-11);
        }
    }

    #[test]
    fn a_regular_model_has_half_its_dimension() {
        for beta in [1e-3, 0.3, 1.0, 7.0, 1000.0] {
            let nu = power_fluctuation(1, beta).unwrap();
            assert_relative_eq!(nu, regular_fluctuation(1), max_relative = 1e-11);
        }
        assert_eq!(regular_fluctuation(5), 2.5);
    }

    /// β -> 0: the posterior of t forgets the data, `ν = ½ Var(t)`: λ for odd k, `λ − (Γ(λ + ½)/Γ(λ))²` for even.
    #[test]
    fn high_temperature() {
        use statrs::function::gamma::gamma;
        for k in [2, 3, 4, 7] {
            let lambda = 0.5 / f64::from(k);
            let mean = if k % 2 == 0 {
                gamma(lambda + 0.5) / gamma(lambda)
            } else {
                0.0
            };
            let nu = power_fluctuation(k, 1e-10).unwrap();
            assert_relative_eq!(nu, lambda - mean * mean, max_relative = 1e-8);
        }
    }

    #[test]
    fn impossible_input_is_refused() {
        assert_eq!(
            power_fluctuation(0, 1.0),
            Err(SingularFluctuationError::ZeroExponent)
        );
        for beta in [0.0, -1.0, f64::NAN, 1001.0, f64::INFINITY] {
            assert!(matches!(
                power_fluctuation(2, beta),
                Err(SingularFluctuationError::InverseTemperature { .. })
            ));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Mean and variance by plain quadrature over `w = t^(1/k)`, where the integrand is entire.
        #[test]
        fn moments_over_the_parameter(k in 1u32..6, tilt in -12.0..12.0f64) {
            let (mut z, mut first, mut second) = (0.0, 0.0, 0.0);
            let from = if k % 2 == 0 { 0 } else { -40_000 };
            for i in from..=40_000_i32 {
                let t = (5e-4 * f64::from(i)).powi(k as i32);
                let weight = (tilt * t - 0.5 * t * t - 0.5 * tilt * tilt * f64::from(k % 2 == 1 || tilt > 0.0)).exp();
                let weight = if k % 2 == 0 && i == 0 { 0.5 * weight } else { weight };
                z += weight;
                first += weight * t;
                second += weight * t * t;
            }
            let (mean, variance) = tilted(k, tilt);
            prop_assert!((variance - second / z + mean * mean).abs() < 1e-9);
            prop_assert!((mean - first / z).abs() < 1e-10);
        }
    }
}
