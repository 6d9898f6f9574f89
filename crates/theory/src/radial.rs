//! Radial germs: `K = (|w|²)^k` in `R^d`.
//!
//! In polar coordinates `ζ(z) = ∫ r^(2kz + d − 1) dr · area`, with its only pole at `z = −d/(2k)`: `λ = d/(2k)`, `m = 1`.
//! The source is the integral itself; with `k = 1` it is the regular model (Schwarz 1978).

use num_rational::Rational64;

use crate::LearningCoefficient;

/// The germ `(|w|²)^power` in `R^dimension`, with a positive prior.
///
/// ```
/// use slt_theory::Radial;
///
/// let quartic = Radial::new(3, 2)?; // (x² + y² + z²)²
/// assert_eq!(quartic.learning_coefficient().to_string(), "λ = 3/4, m = 1");
/// # Ok::<(), slt_theory::RadialError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Radial {
    dimension: u32,
    power: u32,
}

/// Why numbers describe no radial germ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RadialError {
    /// The dimension or the power is zero.
    #[error("a radial germ needs dimension >= 1 and power >= 1, got {dimension} and {power}")]
    Zero {
        /// d.
        dimension: u32,
        /// k.
        power: u32,
    },
}

impl Radial {
    /// `K = (|w|²)^power`, `w` in `R^dimension`.
    ///
    /// # Errors
    /// [`RadialError::Zero`] when `dimension = 0` or `power = 0`.
    pub fn new(dimension: u32, power: u32) -> Result<Self, RadialError> {
        if dimension == 0 || power == 0 {
            return Err(RadialError::Zero { dimension, power });
        }
        Ok(Self { dimension, power })
    }

    /// `λ = d/(2k)`, `m = 1`.
    ///
    /// Accuracy: exact.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let lambda = Rational64::new(i64::from(self.dimension), 2 * i64::from(self.power));
        LearningCoefficient::from_formula(lambda, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Newton, regular};
    use proptest::prelude::*;

    #[test]
    fn impossible_numbers_are_refused() {
        for (dimension, power) in [(0, 1), (1, 0), (0, 0)] {
            assert_eq!(
                Radial::new(dimension, power),
                Err(RadialError::Zero { dimension, power })
            );
        }
        let largest = Radial::new(u32::MAX, u32::MAX).unwrap();
        assert_eq!(
            largest.learning_coefficient().lambda(),
            Rational64::new(1, 2)
        );
    }

    proptest! {
        /// A power of a regular model, and comparable to `Σ w_i^(2k)`.
        #[test]
        fn agrees_with_the_power_rule_and_newton(dimension in 1u32..8, power in 1u32..8) {
            let pair = Radial::new(dimension, power).unwrap().learning_coefficient();
            let rule = regular(dimension).power(Rational64::from_integer(power.into())).unwrap();
            prop_assert_eq!(pair, rule);
            let exponents: Vec<Vec<u32>> = (0..dimension)
                .map(|i| (0..dimension).map(|k| 2 * power * u32::from(i == k)).collect())
                .collect();
            let newton = Newton::new(&exponents, &vec![0; dimension as usize]).unwrap();
            prop_assert_eq!(newton.learning_coefficient(), pair.into());
        }
    }
}
