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
//! - a flat direction, a parameter that `K` does not depend on, adds `K₂ = 0` with the pair (0, 1): no change.
//!
//! For functions of the *same* variables only comparison remains: `c₁ K₁ <= K <= c₂ K₂` near the zeros squeezes the pair of
//! `K` between the two ([`Known::between`](crate::Known::between)). So `K` may be replaced by anything comparable: the
//! Kullback-Leibler divergence by a squared distance, generators of an ideal by other generators.
//!
//! ```
//! use slt_theory::{LearningCoefficient, regular};
//!
//! // K = (x y)² + (z² + u²)³: a product, a sum of squares, a power, and the sum of the two.
//! let crossing = regular(1).independent_product(regular(1))?;
//! let flat_bowl = regular(2).power(3.into())?;
//! let sum = crossing.independent_sum(flat_bowl)?;
//! assert_eq!(sum.to_string(), "λ = 5/6, m = 2");
//! // Parameters that K does not depend on add the pair of K = 0, which changes nothing.
//! assert_eq!(sum.independent_sum(LearningCoefficient::FLAT)?, sum);
//! # Ok::<(), slt_theory::LearningCoefficientError>(())
//! ```

use std::cmp::Ordering;
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

/// Why a pair (λ, m) or a combination of pairs was refused.
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
    /// The λ of a combination has a numerator or a denominator of more than 63 bits.
    #[error("λ = {numer}/{denom} does not fit a rational of 64-bit integers")]
    LambdaTooLarge {
        /// Numerator of λ in lowest terms.
        numer: i128,
        /// Denominator of λ in lowest terms.
        denom: i128,
    },
    /// The m of a combination has more than 32 bits.
    #[error("multiplicities {first} and {second} combine to more than 2^32 - 1")]
    MultiplicityTooLarge {
        /// One m.
        first: u32,
        /// The other m.
        second: u32,
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

    /// As [`Self::from_formula`], for `λ = numer/denom` of a family whose range of sizes keeps it in 64 bits when reduced.
    pub(crate) fn from_fraction(numer: i128, denom: i128, multiplicity: u32) -> Self {
        let lambda =
            narrow(Ratio::new(numer, denom)).expect("the family's range keeps λ in 64 bits");
        Self::from_formula(lambda, multiplicity)
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
    /// # Errors
    /// [`LearningCoefficientError::LambdaTooLarge`] when `λ₁ + λ₂`, and [`LearningCoefficientError::MultiplicityTooLarge`]
    /// when `m₁ + m₂ − 1`, does not fit its type.
    pub fn independent_sum(self, other: Self) -> Result<Self, LearningCoefficientError> {
        Ok(Self {
            lambda: narrow(widen(self.lambda) + widen(other.lambda))?,
            multiplicity: self.add_multiplicities(other, 1)?,
        })
    }

    /// The pair of `K₁(x) · K₂(y)`: `min(λ₁, λ₂)`, with `m₁ + m₂` at a tie.
    ///
    /// The variables must be disjoint.
    ///
    /// # Errors
    /// [`LearningCoefficientError::MultiplicityTooLarge`] when `m₁ + m₂` does not fit its type.
    pub fn independent_product(self, other: Self) -> Result<Self, LearningCoefficientError> {
        Ok(match self.lambda.cmp(&other.lambda) {
            Ordering::Less => self,
            Ordering::Greater => other,
            Ordering::Equal if self == Self::FLAT => self,
            Ordering::Equal => Self {
                lambda: self.lambda,
                multiplicity: self.add_multiplicities(other, 0)?,
            },
        })
    }

    /// The pair of `K^c`: `(λ/c, m)`.
    ///
    /// # Errors
    /// [`LearningCoefficientError::ExponentNotPositive`] when `c <= 0`; [`LearningCoefficientError::LambdaTooLarge`]
    /// when `λ/c` does not fit its type.
    pub fn power(self, exponent: Rational64) -> Result<Self, LearningCoefficientError> {
        if exponent <= Rational64::from_integer(0) {
            return Err(LearningCoefficientError::ExponentNotPositive { exponent });
        }
        Ok(Self {
            lambda: narrow(widen(self.lambda) / widen(exponent))?,
            multiplicity: self.multiplicity,
        })
    }

    /// The pair of a set of zeros with two singular points: least λ, and of equal λ the larger m.
    ///
    /// Copies of a point add to the constant of `Z(n)`, not to λ or m.
    #[must_use]
    pub fn dominating(self, other: Self) -> Self {
        match self.lambda.cmp(&other.lambda) {
            Ordering::Less => self,
            Ordering::Greater => other,
            Ordering::Equal if self.multiplicity >= other.multiplicity => self,
            Ordering::Equal => other,
        }
    }

    /// `m₁ + m₂ − less` with `less <= 1`.
    fn add_multiplicities(self, other: Self, less: u32) -> Result<u32, LearningCoefficientError> {
        let (first, second) = (self.multiplicity, other.multiplicity);
        (first - less)
            .checked_add(second)
            .ok_or(LearningCoefficientError::MultiplicityTooLarge { first, second })
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

pub(crate) fn narrow(x: Ratio<i128>) -> Result<Rational64, LearningCoefficientError> {
    let (numer, denom) = x.into_raw();
    match (i64::try_from(numer), i64::try_from(denom)) {
        (Ok(numer), Ok(denom)) => Ok(Rational64::new_raw(numer, denom)),
        _ => Err(LearningCoefficientError::LambdaTooLarge { numer, denom }),
    }
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
        assert_eq!(crossing.independent_sum(crossing), Ok(pair(1, 1, 3)));
        // x² · y² · z²
        let line = pair(1, 2, 1);
        assert_eq!(
            line.independent_product(line)
                .unwrap()
                .independent_product(line),
            Ok(pair(1, 2, 3))
        );
        // x² · y⁴: the steeper zero decides.
        let steep = pair(1, 4, 1);
        assert_eq!(line.independent_product(steep), Ok(steep));
        assert_eq!(steep.independent_product(line), Ok(steep));
        // 0 · y² is flat.
        let flat = LearningCoefficient::FLAT;
        assert_eq!(flat.independent_product(line), Ok(flat));
        assert_eq!(line.independent_product(flat), Ok(flat));
        assert_eq!(flat.independent_product(flat), Ok(flat));
        // (x² + y²)³ in the plane: d/(2k) = 1/3.
        let plane = line.independent_sum(line).unwrap();
        assert_eq!(plane.power(Rational64::new(3, 1)).unwrap(), pair(1, 3, 1));
        assert_eq!(pair(1, 2, 1).dominating(pair(1, 2, 2)), pair(1, 2, 2));
        assert_eq!(pair(1, 2, 2).dominating(pair(1, 2, 1)), pair(1, 2, 2));
        assert_eq!(pair(1, 3, 1).dominating(pair(1, 2, 2)), pair(1, 3, 1));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let most = i64::MAX;
        let large = pair(most, 1, 1);
        let numer = 2 * i128::from(most);
        assert_eq!(
            large.independent_sum(large),
            Err(LearningCoefficientError::LambdaTooLarge { numer, denom: 1 })
        );
        assert_eq!(large.independent_sum(LearningCoefficient::FLAT), Ok(large));
        // Intermediate products of 126 bits, and a sum that fits after cancellation: λ = 1/M + (M − 1)/M.
        let rest = pair(most - 1, most, 1);
        assert_eq!(pair(1, most, 1).independent_sum(rest), Ok(pair(1, 1, 1)));
        let (p, q) = (most, most - 1);
        let denom = i128::from(p) * i128::from(q);
        let numer = i128::from(p) + i128::from(q);
        assert_eq!(
            pair(1, p, 1).independent_sum(pair(1, q, 1)),
            Err(LearningCoefficientError::LambdaTooLarge { numer, denom })
        );
        let denom = 2 * i128::from(most);
        assert_eq!(
            pair(1, most, 1).power(Rational64::new(2, 1)),
            Err(LearningCoefficientError::LambdaTooLarge { numer: 1, denom })
        );
        let (first, second) = (u32::MAX, 1);
        let (many, one) = (pair(1, 2, first), pair(1, 2, second));
        assert_eq!(many.independent_sum(one), Ok(pair(1, 1, first)));
        assert_eq!(
            many.independent_product(one),
            Err(LearningCoefficientError::MultiplicityTooLarge { first, second })
        );
        let two = pair(1, 2, 2);
        assert_eq!(
            many.independent_sum(two),
            Err(LearningCoefficientError::MultiplicityTooLarge { first, second: 2 })
        );
    }

    #[test]
    fn shown_and_rounded() {
        assert_eq!(pair(3, 2, 2).to_string(), "λ = 3/2, m = 2");
        assert_eq!(pair(2, 1, 1).to_string(), "λ = 2, m = 1");
        assert_eq!(pair(3, 2, 2).lambda(), Rational64::new(3, 2));
        assert_eq!(pair(3, 2, 2).multiplicity(), 2);
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
            let sum = |x: LearningCoefficient, y| x.independent_sum(y).unwrap();
            prop_assert_eq!(sum(sum(a, b), c), sum(a, sum(b, c)));
            let product = |x: LearningCoefficient, y| x.independent_product(y).unwrap();
            prop_assert_eq!(product(product(a, b), c), product(a, product(b, c)));
            prop_assert_eq!(a.dominating(b).dominating(c), a.dominating(b.dominating(c)));
        }

        #[test]
        fn a_sum_adds(a in any_pair(), b in any_pair()) {
            let sum = a.independent_sum(b).unwrap();
            prop_assert_eq!(sum.lambda(), a.lambda() + b.lambda());
            prop_assert_eq!(sum.multiplicity(), a.multiplicity() + b.multiplicity() - 1);
        }

        #[test]
        fn flat_directions_add_nothing(a in any_pair()) {
            prop_assert_eq!(a.independent_sum(LearningCoefficient::FLAT), Ok(a));
            prop_assert_eq!(LearningCoefficient::FLAT.independent_sum(a), Ok(a));
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
                a.independent_product(b).unwrap().power(c),
                powered.independent_product(b.power(c).unwrap())
            );
        }
    }
}
