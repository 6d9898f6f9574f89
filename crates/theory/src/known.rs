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

impl Known {
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
