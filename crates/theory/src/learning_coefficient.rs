//! The pair (learning coefficient λ, multiplicity m) and the rules by which pairs combine.
//!
//! For analytic `K(w) >= 0`, the zeta function `ζ(z) = ∫ K(w)^z φ(w) dw` has its largest pole at
//! `z = -λ`, of order `m`; then `Z(n) = ∫ exp(-nK) φ dw ~ C n^(-λ) (log n)^(m-1)`
//! (Watanabe 2009, *Algebraic Geometry and Statistical Learning Theory*, ch. 4 and 6).
//! λ is also called the real log canonical threshold (RLCT).
//!
//! The rules, for functions of *disjoint* variables with product priors:
//! - sum: `Z = Z₁ Z₂`, hence `(λ₁ + λ₂, m₁ + m₂ − 1)`;
//! - product: `ζ = ζ₁ ζ₂`, hence `min(λ₁, λ₂)`, and `m₁ + m₂` at a tie;
//! - power: `ζ_{K^c}(z) = ζ_K(cz)`, hence `(λ/c, m)`;
//! - a parameter that `K` does not depend on integrates out of both.

use std::fmt;

use num_rational::{Ratio, Rational64};

/// A learning coefficient λ with its multiplicity m.
///
/// λ is in units of nats per `log n`: `F_n = n L + λ log n − (m − 1) log log n + O(1)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LearningCoefficient {
    lambda: Rational64,
    multiplicity: u32,
}

/// Why a pair (λ, m) or a power was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LearningCoefficientError {
    /// λ is negative, or zero with m > 1.
    #[error(
        "a learning coefficient is positive (or 0 with multiplicity 1), got {lambda} with multiplicity {multiplicity}"
    )]
    NotPositive {
        /// The λ given.
        lambda: Rational64,
        /// The m given.
        multiplicity: u32,
    },
    /// m is zero.
    #[error("a multiplicity is at least 1, got 0")]
    ZeroMultiplicity,
    /// The exponent of a power is not positive.
    #[error("K^c needs c > 0, got c = {exponent}")]
    ExponentNotPositive {
        /// The c given.
        exponent: Rational64,
    },
}

impl LearningCoefficient {
    /// The pair (0, 1) of `K = 0`: any number of flat directions, the neutral element of the sum.
    pub const FLAT: Self = Self {
        lambda: Rational64::new_raw(0, 1),
        multiplicity: 1,
    };

    /// The pair (λ, m).
    ///
    /// # Errors
    /// [`LearningCoefficientError::ZeroMultiplicity`] when `m = 0`;
    /// [`LearningCoefficientError::NotPositive`] when `λ < 0`, or `λ = 0` and `m > 1`.
    pub fn new(lambda: Rational64, multiplicity: u32) -> Result<Self, LearningCoefficientError> {
        if multiplicity == 0 {
            return Err(LearningCoefficientError::ZeroMultiplicity);
        }
        let zero = Rational64::from_integer(0);
        if lambda < zero || (lambda == zero && multiplicity > 1) {
            return Err(LearningCoefficientError::NotPositive {
                lambda,
                multiplicity,
            });
        }
        Ok(Self {
            lambda,
            multiplicity,
        })
    }

    /// The pair of a family whose formula is known to give `λ > 0` or [`Self::FLAT`], and `m >= 1`.
    pub(crate) fn from_formula(lambda: Rational64, multiplicity: u32) -> Self {
        Self::new(lambda, multiplicity).expect("the family's formula gives a valid pair")
    }

    /// λ, exact.
    pub fn lambda(self) -> Rational64 {
        self.lambda
    }

    /// m, the order of the pole.
    pub fn multiplicity(self) -> u32 {
        self.multiplicity
    }

    /// λ rounded to the nearest `f64` (exact for half-integers below 2^52).
    pub fn lambda_f64(self) -> f64 {
        *self.lambda.numer() as f64 / *self.lambda.denom() as f64
    }

    /// The pair of `K₁(x) + K₂(y)`: `(λ₁ + λ₂, m₁ + m₂ − 1)`.
    ///
    /// The variables must be disjoint. A sum inside a common monomial factor is no such sum:
    /// `x (x² + y²)` has 2/3, not 5/6.
    ///
    /// # Panics
    /// If the sum does not fit a 64-bit rational.
    #[must_use]
    pub fn independent_sum(self, other: Self) -> Self {
        Self {
            lambda: narrow(widen(self.lambda) + widen(other.lambda)),
            multiplicity: self.multiplicity + other.multiplicity - 1,
        }
    }

    /// The pair of `K₁(x) · K₂(y)`: `min(λ₁, λ₂)`, with `m₁ + m₂` at a tie.
    ///
    /// The variables must be disjoint.
    #[must_use]
    pub fn independent_product(self, other: Self) -> Self {
        if self == Self::FLAT || other == Self::FLAT {
            return Self::FLAT;
        }
        match self.lambda.cmp(&other.lambda) {
            std::cmp::Ordering::Less => self,
            std::cmp::Ordering::Greater => other,
            std::cmp::Ordering::Equal => Self {
                lambda: self.lambda,
                multiplicity: self.multiplicity + other.multiplicity,
            },
        }
    }

    /// The pair of `K^c`: `(λ/c, m)`.
    ///
    /// # Errors
    /// [`LearningCoefficientError::ExponentNotPositive`] when `c <= 0`.
    ///
    /// # Panics
    /// If `λ/c` does not fit a 64-bit rational.
    pub fn power(self, exponent: Rational64) -> Result<Self, LearningCoefficientError> {
        if exponent <= Rational64::from_integer(0) {
            return Err(LearningCoefficientError::ExponentNotPositive { exponent });
        }
        Ok(Self {
            lambda: narrow(widen(self.lambda) / widen(exponent)),
            multiplicity: self.multiplicity,
        })
    }

    /// The pair of `K` read as a function of `n_flat` more parameters: the same pair.
    #[must_use]
    pub fn with_flat_directions(self, n_flat: u32) -> Self {
        if n_flat == 0 {
            self
        } else {
            self.independent_sum(Self::FLAT)
        }
    }

    /// The pair of a set of zeros with two singular points: least λ, and of equal λ the larger m.
    ///
    /// Copies of a point add to the constant of `Z(n)`, not to λ or m.
    #[must_use]
    pub fn dominating(self, other: Self) -> Self {
        match self.lambda.cmp(&other.lambda) {
            std::cmp::Ordering::Less => self,
            std::cmp::Ordering::Greater => other,
            std::cmp::Ordering::Equal if self.multiplicity >= other.multiplicity => self,
            std::cmp::Ordering::Equal => other,
        }
    }
}

impl fmt::Display for LearningCoefficient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "λ = {}, m = {}", self.lambda, self.multiplicity)
    }
}

fn widen(x: Rational64) -> Ratio<i128> {
    Ratio::new_raw(i128::from(*x.numer()), i128::from(*x.denom()))
}

fn narrow(x: Ratio<i128>) -> Rational64 {
    let fit = |part: &i128| i64::try_from(*part).expect("λ fits a 64-bit rational");
    Rational64::new_raw(fit(x.numer()), fit(x.denom()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(numer: i64, denom: i64, m: u32) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(numer, denom), m).unwrap()
    }

    #[test]
    fn impossible_pairs_are_refused() {
        let r = Rational64::new;
        assert_eq!(
            LearningCoefficient::new(r(1, 2), 0),
            Err(LearningCoefficientError::ZeroMultiplicity)
        );
        for (lambda, multiplicity) in [(r(-1, 2), 1), (r(0, 1), 2)] {
            assert_eq!(
                LearningCoefficient::new(lambda, multiplicity),
                Err(LearningCoefficientError::NotPositive {
                    lambda,
                    multiplicity
                })
            );
        }
        assert_eq!(
            pair(1, 2, 1).power(r(0, 1)),
            Err(LearningCoefficientError::ExponentNotPositive { exponent: r(0, 1) })
        );
    }

    #[test]
    fn worked_combinations() {
        // x²y² + z²u²: (1/2, 2) twice.
        let crossing = pair(1, 2, 2);
        assert_eq!(crossing.independent_sum(crossing), pair(1, 1, 3));
        // x² · y² · z²
        let line = pair(1, 2, 1);
        assert_eq!(
            line.independent_product(line).independent_product(line),
            pair(1, 2, 3)
        );
        // x² · y⁴: the steeper zero decides.
        assert_eq!(line.independent_product(pair(1, 4, 1)), pair(1, 4, 1));
        // (x² + y²)³ in the plane: d/(2k) = 1/3.
        let plane = line.independent_sum(line);
        assert_eq!(plane.power(Rational64::new(3, 1)).unwrap(), pair(1, 3, 1));
        assert_eq!(pair(1, 2, 1).dominating(pair(1, 2, 2)), pair(1, 2, 2));
        assert_eq!(pair(1, 3, 1).dominating(pair(1, 2, 2)), pair(1, 3, 1));
    }

    #[test]
    fn shown_and_rounded() {
        assert_eq!(pair(3, 2, 2).to_string(), "λ = 3/2, m = 2");
        assert_eq!(pair(2, 1, 1).to_string(), "λ = 2, m = 1");
        assert_eq!(pair(3, 2, 2).lambda_f64(), 1.5);
        assert_eq!(pair(5, 12, 1).lambda_f64(), 5.0 / 12.0);
    }

    fn any_pair() -> impl Strategy<Value = LearningCoefficient> {
        (1i64..200, 1i64..40, 1u32..6).prop_map(|(n, d, m)| pair(n, d, m))
    }

    proptest! {
        #[test]
        fn combining_is_commutative_and_associative(a in any_pair(), b in any_pair(), c in any_pair()) {
            prop_assert_eq!(a.independent_sum(b), b.independent_sum(a));
            prop_assert_eq!(a.independent_product(b), b.independent_product(a));
            prop_assert_eq!(a.dominating(b), b.dominating(a));
            prop_assert_eq!(
                a.independent_sum(b).independent_sum(c),
                a.independent_sum(b.independent_sum(c))
            );
            prop_assert_eq!(
                a.independent_product(b).independent_product(c),
                a.independent_product(b.independent_product(c))
            );
        }

        #[test]
        fn a_sum_adds(a in any_pair(), b in any_pair()) {
            let sum = a.independent_sum(b);
            prop_assert_eq!(sum.lambda(), a.lambda() + b.lambda());
            prop_assert_eq!(sum.multiplicity(), a.multiplicity() + b.multiplicity() - 1);
        }

        #[test]
        fn flat_directions_add_nothing(a in any_pair(), n_flat in 0u32..9) {
            prop_assert_eq!(a.with_flat_directions(n_flat), a);
            prop_assert_eq!(LearningCoefficient::FLAT.independent_sum(a), a);
        }

        #[test]
        fn powers_divide(a in any_pair(), b in any_pair(), c in 1i64..9, e in 1i64..9) {
            let c = Rational64::new(c, 1);
            let e = Rational64::new(e, 1);
            let powered = a.power(c).unwrap();
            prop_assert_eq!(powered.lambda() * c, a.lambda());
            prop_assert_eq!(powered.power(e).unwrap(), a.power(c * e).unwrap());
            // (K₁K₂)^c = K₁^c K₂^c
            prop_assert_eq!(
                a.independent_product(b).power(c).unwrap(),
                powered.independent_product(b.power(c).unwrap())
            );
        }
    }
}
