//! Laws from the moments of K of every complex order.
//!
//! With `T(z) = E_φ[K^(−z)]` and `e^(−x) = (1/2πi) ∫ Γ(z) x^(−z) dz`, the evidence under a prior `φ` is a
//! Mellin-Barnes integral, and so are its moments. On a line `Re z = σ`, `−j < σ < ρ`, with `ρ` the first pole of T:
//! ```text
//! M_j = E_φ[(sK)^j e^(−sK)] = (1/2πi) ∫ Γ(z + j) s^(−z) T(z) dz,
//! Z = M_0,   E[sK] = M_1/M_0,   Var[sK] = M_2/M_0 − (M_1/M_0)².
//! ```
//! The first pole is the learning coefficient, its order the multiplicity: moving the line across it gives the
//! asymptotic law.
//!
//! On the real interval the integrand is positive and log-convex, so its minimum σ is a saddle, and on the line
//! `Re z = σ` the modulus falls from there. The trapezoidal rule with step `h = 2π/P` sums `e^(σL) M_j(e^L)` over
//! `L = log s + nP`, n any integer, so that the terms n ≠ 0 are its error; they fall like `e^(−P min(σ + j, ρ − σ))`
//! (Trefethen & Weideman 2014, *The exponentially convergent trapezoidal rule*, section 5). Halving h squares the error:
//! when it changes the sum by less than 1e-9, the new sum is exact to rounding.

use num_complex::Complex64;

use crate::log_gamma::log_gamma;
use crate::{FiniteLaw, LearningCoefficient};

/// Terms below `e^(−NEGLECTED)` times the largest are left out.
const NEGLECTED: f64 = 45.0;
/// The relative change at which halving the step stops.
const LAST_CHANGE: f64 = 1e-9;

/// The law at `s`, from `log T(z)` on the strip `Re z < ρ`, where T is positive and log-convex on the real line.
///
/// `|T(σ + it)|` must not increase with `|t|`, as it does for a mixture of powers.
/// Accuracy: relative 1e-11 where `|log T|` is below 1e4.
pub(crate) fn mellin_barnes(
    log_s: f64,
    first_pole: f64,
    learning_coefficient: LearningCoefficient,
    log_transform: impl Fn(Complex64) -> Complex64,
) -> FiniteLaw {
    let log_moment = |j: f64| {
        let log_integrand = |z: Complex64| log_gamma(z + j) - z * log_s + log_transform(z);
        line_integral(-j, first_pole, log_integrand)
    };
    let log_evidence = log_moment(0.0);
    let mean = (log_moment(1.0) - log_evidence).exp();
    let second = (log_moment(2.0) - log_evidence).exp();
    FiniteLaw {
        mean,
        variance: second - mean * mean,
        log_evidence,
        learning_coefficient,
    }
}

/// `log (1/2πi) ∫ e^f dz` over a vertical line between the two poles, with f real and convex on the real line between them.
pub(crate) fn line_integral(left: f64, right: f64, f: impl Fn(Complex64) -> Complex64) -> f64 {
    let sigma = minimum(left, right, |x| f(Complex64::from(x)).re);
    let peak = f(Complex64::from(sigma)).re;
    let sum_of_every = |first: f64, stride: f64| {
        let mut sum = 0.0;
        for i in 0.. {
            let t = first + stride * f64::from(i);
            let log_term = f(Complex64::new(sigma, t)) - peak;
            if log_term.re < -NEGLECTED {
                return sum;
            }
            sum += log_term.exp().re;
        }
        unreachable!("the modulus falls exponentially")
    };
    let mut step = (sigma - left).min(right - sigma);
    let mut integral = step * (0.5 + sum_of_every(step, step));
    loop {
        let halved = 0.5 * (integral + step * sum_of_every(0.5 * step, step));
        let change = (halved - integral).abs();
        (integral, step) = (halved, 0.5 * step);
        if change <= LAST_CHANGE * integral {
            // Two conjugate halves, over 2π.
            return peak + (integral / std::f64::consts::PI).ln();
        }
    }
}

/// Near the minimum of a convex function on the open interval, by golden sections.
///
/// Every line gives the integral; near the saddle the sum does not cancel.
fn minimum(left: f64, right: f64, f: impl Fn(f64) -> f64) -> f64 {
    const N_SECTIONS: usize = 40;
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let (mut low, mut high) = (left, right);
    let mut a = high - GOLDEN * (high - low);
    let mut b = low + GOLDEN * (high - low);
    let (mut f_a, mut f_b) = (f(a), f(b));
    for _ in 0..N_SECTIONS {
        if f_a < f_b {
            (high, b, f_b) = (b, a, f_a);
            a = high - GOLDEN * (high - low);
            f_a = f(a);
        } else {
            (low, a, f_a) = (a, b, f_b);
            b = low + GOLDEN * (high - low);
            f_b = f(b);
        }
    }
    0.5 * (low + high)
}
