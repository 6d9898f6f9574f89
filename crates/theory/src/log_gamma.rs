//! The logarithm of Euler's gamma function in the right half plane.

use num_complex::Complex64;

/// `B_{2n}/(2n(2n − 1))`, n = 1, 2, …: the coefficients of Stirling's series (DLMF 5.11.1).
const STIRLING: [f64; 8] = [
    1.0 / 12.0,
    -1.0 / 360.0,
    1.0 / 1260.0,
    -1.0 / 1680.0,
    1.0 / 1188.0,
    -691.0 / 360_360.0,
    1.0 / 156.0,
    -3617.0 / 122_400.0,
];

/// Beyond this modulus the first neglected term of the series is below 2e-17.
const LARGE: f64 = 10.0;

/// `log Γ(z)`, up to a multiple of `2πi`.
///
/// By `Γ(z) = Γ(z + n)/(z(z + 1)…(z + n − 1))` and Stirling's series.
/// Domain: `Re z > 0`. Accuracy: absolute 1e-15 of the largest of 10 and the value.
///
/// Source: DLMF 5.5.1, 5.11.1.
pub(crate) fn log_gamma(z: Complex64) -> Complex64 {
    let mut shifted = z;
    let mut product = Complex64::ONE;
    while shifted.norm_sqr() < LARGE * LARGE {
        product *= shifted;
        shifted += 1.0;
    }
    let square = (shifted * shifted).inv();
    let series = STIRLING
        .iter()
        .rev()
        .fold(Complex64::ZERO, |sum, &term| sum * square + term);
    (shifted - 0.5) * shifted.ln() - shifted + 0.5 * std::f64::consts::TAU.ln() + series / shifted
        - product.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn real(x: f64) -> f64 {
        log_gamma(Complex64::from(x)).re
    }

    #[test]
    fn factorials_and_half_integers() {
        let (mut factorial, mut half) = (1.0, std::f64::consts::PI.sqrt());
        for n in 1..60 {
            let n = f64::from(n);
            assert!((real(n) - f64::ln(factorial)).abs() < 4e-15 * f64::ln(factorial).max(2.0));
            assert!((real(n - 0.5) - f64::ln(half)).abs() < 4e-15 * f64::ln(half).max(2.0));
            factorial *= n;
            half *= n - 0.5;
        }
    }

    fn right_half_plane() -> impl Strategy<Value = Complex64> {
        (-12.0..4.0f64, -40.0..40.0f64).prop_map(|(log_x, y)| Complex64::new(log_x.exp(), y))
    }

    proptest! {
        /// `Γ(2z) = 2^(2z−1) Γ(z) Γ(z + ½)/√π` (DLMF 5.5.5).
        #[test]
        fn duplication(z in right_half_plane()) {
            let left = log_gamma(2.0 * z);
            let right = log_gamma(z) + log_gamma(z + 0.5) + (2.0 * z - 1.0) * 2f64.ln()
                - 0.5 * std::f64::consts::PI.ln();
            let ratio = (left - right).exp();
            prop_assert!((ratio - 1.0).norm() < 5e-14 * (1.0 + left.norm() / 10.0), "{ratio}");
        }

        /// `|Γ(½ + iy)|² = π/cosh(πy)` (DLMF 5.4.4).
        #[test]
        fn modulus_on_the_line_one_half(y in -40.0..40.0f64) {
            let expected = (std::f64::consts::PI / (std::f64::consts::PI * y).cosh()).ln();
            let value = 2.0 * log_gamma(Complex64::new(0.5, y)).re;
            prop_assert!((value - expected).abs() < 1e-14 * expected.abs().max(10.0));
        }
    }
}
