//! The test of a Monte Carlo estimate against an exact expectation.
//!
//! From R independent replicates, `t = (mean − expected)/mcse` has, for normal replicates, Student's law
//! with R − 1 degrees of freedom. The two-sided `p` is held against `level = 1e-5/n_comparisons`. A noisy
//! test is a failing test: the power gate `mcse ≤ 0.01·|expected|` comes first.

use std::fmt;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::estimate::Estimate;

/// Least number of replicates of a z-test.
pub const MIN_REPLICATES: usize = 32;

/// Probability that a test of correct code fails, over all its comparisons.
const FAMILY_LEVEL: f64 = 1e-5;

/// Largest `mcse/scale` that passes the power gate unless set otherwise.
const MAX_RELATIVE_MCSE: f64 = 0.01;

/// What an estimate is tested against, and how sharply.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ZTest {
    expected: f64,
    n_comparisons: usize,
    max_relative_mcse: f64,
    scale: f64,
}

/// The verdict on an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Precise enough, and within the noise of the expectation.
    Agrees,
    /// Precise enough, and off the expectation.
    Differs,
    /// Too noisy for a verdict, whatever its p.
    Underpowered,
}

/// All numbers of one z-test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[must_use = "the outcome decides, not the call"]
pub struct ZTestResult {
    /// What was tested.
    pub estimate: Estimate,
    /// What it was tested against.
    pub expected: f64,
    /// `(mean − expected)/mcse`.
    pub t: f64,
    /// Two-sided probability of a larger |t| under Student's law with R − 1 degrees of freedom.
    pub p: f64,
    /// `1e-5/n_comparisons`; a lower `p` differs.
    pub level: f64,
    /// Largest `mcse` that passes the power gate.
    pub max_mcse: f64,
    /// The verdict.
    pub outcome: Outcome,
}

/// Why a test cannot be set up or run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ZTestError {
    /// The expected value is NaN or infinite.
    #[error("expected value is {got}")]
    Expected {
        /// The value given.
        got: f64,
    },
    /// A test makes at least one comparison.
    #[error("a test of 0 comparisons has no level")]
    NoComparisons,
    /// A bound or scale of the power gate that is not positive and finite.
    #[error("{what} of the power gate must be positive and finite, got {got}")]
    PowerGate {
        /// Which number.
        what: &'static str,
        /// The number given.
        got: f64,
    },
    /// Student's law needs independent replicates.
    #[error("a z-test needs at least {MIN_REPLICATES} replicates, got {got}")]
    TooFewReplicates {
        /// Number of replicates of the estimate.
        got: usize,
    },
    /// The estimate has no usable error: its mean is not finite, or its MCSE not positive and finite.
    #[error("estimate {mean} ± {mcse} cannot be tested")]
    Estimate {
        /// Mean of the estimate.
        mean: f64,
        /// Its standard error.
        mcse: f64,
    },
    /// A published value or its error is not a finite number, or the error is negative.
    #[error("published value {value} ± {error} cannot be compared")]
    Published {
        /// The value.
        value: f64,
        /// Its error.
        error: f64,
    },
}

impl ZTest {
    /// A test against the exact expectation, one of `n_comparisons` that fail or pass together.
    ///
    /// The power gate is `mcse ≤ 0.01·|expected|`. No estimate passes it for `expected` 0: then give
    /// the size that matters by [`ZTest::with_scale`].
    ///
    /// # Errors
    /// [`ZTestError::Expected`] when not finite, [`ZTestError::NoComparisons`] at 0 comparisons.
    pub fn new(expected: f64, n_comparisons: usize) -> Result<Self, ZTestError> {
        if !expected.is_finite() {
            return Err(ZTestError::Expected { got: expected });
        }
        if n_comparisons == 0 {
            return Err(ZTestError::NoComparisons);
        }
        Ok(Self {
            expected,
            n_comparisons,
            max_relative_mcse: MAX_RELATIVE_MCSE,
            scale: expected.abs(),
        })
    }

    /// The same test with the power gate `mcse ≤ max_relative_mcse·scale`.
    ///
    /// # Errors
    /// [`ZTestError::PowerGate`] when not `0 < max_relative_mcse < ∞`.
    pub fn with_max_relative_mcse(self, max_relative_mcse: f64) -> Result<Self, ZTestError> {
        check_positive("relative MCSE", max_relative_mcse)?;
        Ok(Self {
            max_relative_mcse,
            ..self
        })
    }

    /// The same test with the power gate relative to `scale` in place of `|expected|`.
    ///
    /// # Errors
    /// [`ZTestError::PowerGate`] when not `0 < scale < ∞`.
    pub fn with_scale(self, scale: f64) -> Result<Self, ZTestError> {
        check_positive("scale", scale)?;
        Ok(Self { scale, ..self })
    }

    /// The verdict on `estimate`, with all its numbers.
    ///
    /// # Errors
    /// [`ZTestError::TooFewReplicates`] below [`MIN_REPLICATES`], [`ZTestError::Estimate`] when its mean
    /// is not finite or not `0 < mcse < ∞` (equal replicates have no noise to test against).
    pub fn apply(&self, estimate: &Estimate) -> Result<ZTestResult, ZTestError> {
        let &Estimate { mean, mcse, n } = estimate;
        if n < MIN_REPLICATES {
            return Err(ZTestError::TooFewReplicates { got: n });
        }
        if !(mean.is_finite() && 0.0 < mcse && mcse < f64::INFINITY) {
            return Err(ZTestError::Estimate { mean, mcse });
        }
        let t = (mean - self.expected) / mcse;
        let student = StudentsT::new(0.0, 1.0, (n - 1) as f64).expect("n − 1 is positive");
        let p = 2.0 * student.cdf(-t.abs());
        let level = FAMILY_LEVEL / self.n_comparisons as f64;
        let max_mcse = self.max_relative_mcse * self.scale;
        let outcome = if mcse > max_mcse {
            Outcome::Underpowered
        } else if p >= level {
            Outcome::Agrees
        } else {
            Outcome::Differs
        };
        Ok(ZTestResult {
            estimate: *estimate,
            expected: self.expected,
            t,
            p,
            level,
            max_mcse,
            outcome,
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Agrees => "agrees",
            Self::Differs => "differs",
            Self::Underpowered => "underpowered",
        })
    }
}

impl fmt::Display for ZTestResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} against {}, t = {:.3}, p = {:.3e} (level {:.3e}), mcse {:.3e} (at most {:.3e})",
            self.outcome,
            self.estimate,
            self.expected,
            self.t,
            self.p,
            self.level,
            self.estimate.mcse,
            self.max_mcse,
        )
    }
}

/// The distance of our estimate from an independent published value, in standard errors.
///
/// `z = (mean − value)/√(mcse² + error²)`; without a published error only ours counts, and a value
/// rounded in print then looks more distant than it is.
///
/// # Errors
/// [`ZTestError::Published`] when the value is not finite or not `0 ≤ error < ∞`,
/// [`ZTestError::Estimate`] when our mean is not finite, not `0 ≤ mcse < ∞`, or both errors are 0.
pub fn z_score(ours: &Estimate, value: f64, error: Option<f64>) -> Result<f64, ZTestError> {
    let error = error.unwrap_or(0.0);
    if !(value.is_finite() && (0.0..f64::INFINITY).contains(&error)) {
        return Err(ZTestError::Published { value, error });
    }
    let &Estimate { mean, mcse, .. } = ours;
    let combined = mcse.hypot(error);
    if !(mean.is_finite() && 0.0 <= mcse && 0.0 < combined && combined < f64::INFINITY) {
        return Err(ZTestError::Estimate { mean, mcse });
    }
    Ok((mean - value) / combined)
}

fn check_positive(what: &'static str, got: f64) -> Result<(), ZTestError> {
    if !(0.0 < got && got < f64::INFINITY) {
        return Err(ZTestError::PowerGate { what, got });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn estimate(mean: f64, mcse: f64, n: usize) -> Estimate {
        Estimate { mean, mcse, n }
    }

    /// `2 * pt(t, dof, lower.tail = FALSE)` in R 4.2.2, scripts/posterior_reference.R.
    #[test]
    fn two_sided_p() {
        let cases = [
            (0.5, 31, 0.62060595124771911),
            (2.0, 31, 0.054327215367175712),
            (5.3, 31, 9.0854704545705659e-06),
            (4.8, 63, 1.014185475178791e-05),
            (8.0, 63, 3.5679286547882763e-11),
            (30.0, 63, 5.1259117730575987e-39),
            (6.0, 999, 2.7562690689044202e-09),
        ];
        for (t, dof, p) in cases {
            for sign in [-1.0, 1.0] {
                let test = ZTest::new(1.0, 1).unwrap();
                let mean = 1.0 + sign * t * 0.0078125; // exact in binary
                let result = test.apply(&estimate(mean, 0.0078125, dof + 1)).unwrap();
                assert_relative_eq!(result.t, sign * t, max_relative = 1e-13);
                assert_relative_eq!(result.p, p, max_relative = 1e-10);
            }
        }
    }

    #[test]
    fn outcomes() {
        let outcome = |test: ZTest, mean, mcse| {
            let result = test.apply(&estimate(mean, mcse, 32)).unwrap();
            result.outcome
        };
        let test = ZTest::new(-2.0, 1).unwrap();
        // the 1e-5 point of t with 31 degrees of freedom is 5.27
        assert_eq!(outcome(test, -2.0 + 5.2 * 0.01, 0.01), Outcome::Agrees);
        assert_eq!(outcome(test, -2.0 + 5.3 * 0.01, 0.01), Outcome::Differs);
        assert_eq!(outcome(test, -2.0, 0.0201), Outcome::Underpowered);
        assert_eq!(outcome(test, 2.0, 0.0201), Outcome::Underpowered);
        // ten comparisons: 6.07
        let ten = ZTest::new(-2.0, 10).unwrap();
        assert_eq!(outcome(ten, -2.0 + 5.3 * 0.01, 0.01), Outcome::Agrees);
        let loose = test.with_max_relative_mcse(0.02).unwrap();
        assert_eq!(outcome(loose, -2.0, 0.0201), Outcome::Agrees);
        let zero = ZTest::new(0.0, 1).unwrap();
        assert_eq!(outcome(zero, 0.0, 1e-9), Outcome::Underpowered);
        let scaled = zero.with_scale(1e-6).unwrap();
        assert_eq!(outcome(scaled, 0.0, 1e-9), Outcome::Agrees);
        // t overflows
        assert_eq!(outcome(test, 1e300, 1e-300), Outcome::Differs);
    }

    #[test]
    fn display_has_all_numbers() {
        let test = ZTest::new(2.0, 5).unwrap();
        let result = test.apply(&estimate(2.03, 0.015, 64)).unwrap();
        assert_eq!(
            result.to_string(),
            "agrees: 2.03 ± 0.015 (n = 64) against 2, t = 2.000, p = 4.982e-2 (level 2.000e-6), \
             mcse 1.500e-2 (at most 2.000e-2)"
        );
    }

    #[test]
    fn impossible_input_is_named() {
        assert!(matches!(
            ZTest::new(f64::NAN, 1),
            Err(ZTestError::Expected { .. })
        ));
        assert_eq!(ZTest::new(1.0, 0), Err(ZTestError::NoComparisons));
        let test = ZTest::new(1.0, 1).unwrap();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(test.with_max_relative_mcse(bad).is_err(), "{bad}");
            assert!(test.with_scale(bad).is_err(), "{bad}");
            assert!(test.apply(&estimate(1.0, bad, 32)).is_err(), "{bad}");
        }
        assert!(test.apply(&estimate(f64::NAN, 0.1, 32)).is_err());
        assert_eq!(
            test.apply(&estimate(1.0, 0.001, 31)),
            Err(ZTestError::TooFewReplicates { got: 31 })
        );
    }

    #[test]
    fn z_of_two_estimates() {
        let ours = estimate(1.5, 0.3, 32);
        assert_relative_eq!(z_score(&ours, 1.0, Some(0.4)).unwrap(), 1.0);
        assert_relative_eq!(z_score(&ours, 2.1, None).unwrap(), -2.0);
        assert!(z_score(&ours, f64::NAN, None).is_err());
        assert!(z_score(&ours, 1.0, Some(-0.1)).is_err());
        assert!(z_score(&estimate(1.5, f64::NAN, 32), 1.0, Some(0.4)).is_err());
        assert!(z_score(&estimate(1.5, 0.0, 32), 1.0, None).is_err());
    }
}
