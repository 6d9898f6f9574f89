//! Regular models: positive definite Fisher information at the truth, `λ = d/2`, `m = 1`.
//!
//! Source: Schwarz (1978), *Estimating the dimension of a model*: the BIC is `λ log n` with `λ = d/2`.

use num_rational::Rational64;

use crate::LearningCoefficient;

/// The pair `(d/2, 1)` of a regular model with `d` parameters.
///
/// Accuracy: exact.
pub fn regular(d: u32) -> LearningCoefficient {
    LearningCoefficient::from_formula(Rational64::new(i64::from(d), 2), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_the_dimension() {
        for (d, lambda) in [
            (1, Rational64::new(1, 2)),
            (2, Rational64::new(1, 1)),
            (5, Rational64::new(5, 2)),
            (12, Rational64::new(6, 1)),
        ] {
            assert_eq!(regular(d), LearningCoefficient::new(lambda, 1).unwrap());
        }
        assert_eq!(regular(0), LearningCoefficient::FLAT);
    }

    proptest! {
        #[test]
        fn dimensions_add(a in 0u32..1000, b in 0u32..1000) {
            prop_assert_eq!(regular(a).independent_sum(regular(b)), Ok(regular(a + b)));
        }
    }
}
