//! What is known of a learning coefficient: an exact pair, a bound, or nothing.
//!
//! Many families have an exact value on a part of their domain and a bound on the rest. A bound is never passed off as
//! a value: [`Known::exact`] refuses it and names it.

use std::fmt;

use num_rational::Rational64;

use crate::LearningCoefficient;

/// What the literature, or a derivation in this crate, knows of one learning coefficient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// λ and m.
    Exact(LearningCoefficient),
    /// λ, but not its multiplicity.
    ExactLambda(Rational64),
    /// λ is at most this.
    UpperBound(Rational64),
    /// λ is at least this.
    LowerBound(Rational64),
    /// No value, and no bound worth giving.
    Unknown,
}

/// The exact pair was asked for where it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no exact pair (λ, m) is known here; best: {best}")]
pub struct NotExact {
    /// What is known instead.
    pub best: Known,
}

/// Two germs were called ordered, but their pairs are in the other order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("c K₁ <= C K₂ gives λ₁ <= λ₂, and m₁ >= m₂ at a tie, got K₁: {lower}, K₂: {upper}")]
pub struct NotOrdered {
    /// The pair given for the smaller germ.
    pub lower: LearningCoefficient,
    /// The pair given for the larger germ.
    pub upper: LearningCoefficient,
}

impl Known {
    /// What is known of `K` when `c K₁ <= K <= C K₂` near the zeros, from the pairs of `K₁` and `K₂` (comparability).
    ///
    /// `Z` falls when `K` grows, so λ lies between the two, and m too when they tie. Equal pairs are the pair of `K`. Where
    /// λ alone is squeezed, so is the answer; where it is not, the upper bound is given.
    ///
    /// ```
    /// use slt_theory::{Known, regular};
    ///
    /// // c (x² + y²) <= x² + xy + y² + y⁴ <= C (x² + y²) near 0, with c = 1/2, C = 2.
    /// let known = Known::between(regular(2), regular(2))?;
    /// assert_eq!(known.exact()?, regular(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`NotOrdered`] when `λ₁ > λ₂`, or `λ₁ = λ₂` and `m₁ < m₂`: then `c K₁ <= C K₂` is false for all `c, C > 0`.
    pub fn between(
        lower: LearningCoefficient,
        upper: LearningCoefficient,
    ) -> Result<Self, NotOrdered> {
        if lower.dominating(upper) != lower {
            return Err(NotOrdered { lower, upper });
        }
        Ok(if lower == upper {
            Self::Exact(lower)
        } else if lower.lambda() == upper.lambda() {
            Self::ExactLambda(lower.lambda())
        } else {
            Self::UpperBound(upper.lambda())
        })
    }

    /// The pair (λ, m).
    ///
    /// # Errors
    /// [`NotExact`], naming the best that is known, unless both λ and m are.
    pub fn exact(self) -> Result<LearningCoefficient, NotExact> {
        match self {
            Self::Exact(pair) => Ok(pair),
            best => Err(NotExact { best }),
        }
    }

    /// The λ or the bound on it, if there is one.
    pub fn lambda(self) -> Option<Rational64> {
        match self {
            Self::Exact(pair) => Some(pair.lambda()),
            Self::ExactLambda(lambda) | Self::UpperBound(lambda) | Self::LowerBound(lambda) => {
                Some(lambda)
            }
            Self::Unknown => None,
        }
    }

    /// The multiplicity, where it is known.
    pub fn multiplicity(self) -> Option<u32> {
        match self {
            Self::Exact(pair) => Some(pair.multiplicity()),
            _ => None,
        }
    }
}

impl From<LearningCoefficient> for Known {
    fn from(pair: LearningCoefficient) -> Self {
        Self::Exact(pair)
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(pair) => pair.fmt(f),
            Self::ExactLambda(lambda) => write!(f, "λ = {lambda}, m unknown"),
            Self::UpperBound(lambda) => write!(f, "λ <= {lambda}"),
            Self::LowerBound(lambda) => write!(f, "λ >= {lambda}"),
            Self::Unknown => f.write_str("λ unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regular;

    #[test]
    fn comparison_squeezes() {
        let pair = |m| LearningCoefficient::new(Rational64::new(1, 2), m).unwrap();
        let half = Rational64::new(1, 2);
        assert_eq!(Known::between(pair(2), pair(2)), Ok(Known::Exact(pair(2))));
        // x²y² <= x²(x² + y²) <= C x²: the middle one has m = 2, which the comparison cannot tell.
        assert_eq!(
            Known::between(pair(2), pair(1)),
            Ok(Known::ExactLambda(half))
        );
        assert_eq!(
            Known::between(pair(2), regular(2)),
            Ok(Known::UpperBound(Rational64::new(1, 1)))
        );
        for (lower, upper) in [(pair(1), pair(2)), (regular(2), pair(1))] {
            assert_eq!(
                Known::between(lower, upper),
                Err(NotOrdered { lower, upper })
            );
        }
    }

    #[test]
    fn a_bound_is_not_a_value() {
        let half = Rational64::new(1, 2);
        let cases = [
            (
                Known::from(regular(1)),
                Some(half),
                Some(1),
                "λ = 1/2, m = 1",
            ),
            (
                Known::ExactLambda(half),
                Some(half),
                None,
                "λ = 1/2, m unknown",
            ),
            (Known::UpperBound(half), Some(half), None, "λ <= 1/2"),
            (Known::LowerBound(half), Some(half), None, "λ >= 1/2"),
            (Known::Unknown, None, None, "λ unknown"),
        ];
        for (known, lambda, multiplicity, shown) in cases {
            assert_eq!(known.lambda(), lambda);
            assert_eq!(known.multiplicity(), multiplicity);
            assert_eq!(known.to_string(), shown);
            match known {
                Known::Exact(pair) => assert_eq!(known.exact(), Ok(pair)),
                best => {
                    let error = known.exact().expect_err("not exact");
                    assert_eq!(error, NotExact { best });
                    assert!(error.to_string().ends_with(shown));
                }
            }
        }
    }
}
