//! What to say of our number beside a paper's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `|z|` above which two numbers differ: two-sided level 0.27% under normality.
pub const Z_LIMIT: f64 = 3.0;

/// Largest part of the paper's value that the limit may amount to before a comparison says nothing.
pub const BLIND_FRACTION: f64 = 0.5;

/// `|z|` above which an estimate differs from an exact value: two-sided level 1e-5 under normality.
pub const EXACT_Z_LIMIT: f64 = 4.4;

/// Largest part of an exact value that the standard error may be, for a verdict on the estimate.
pub const EXACT_POWER: f64 = 0.01;

/// The outcome of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The numbers, or the claim and the evidence, agree.
    Agrees,
    /// They differ by more than their errors allow.
    Differs,
    /// The errors are too large to tell.
    Underpowered,
    /// They are not the same quantity, or the paper gives no number.
    NotComparable,
}

impl Verdict {
    /// *Agrees* where the evidence bears the claim out, else *differs*.
    pub fn of_claim(holds: bool) -> Self {
        if holds { Self::Agrees } else { Self::Differs }
    }

    /// The verdict on `ours ± mcse` against `paper ± error`, by `z` of [`z_score`].
    ///
    /// *Differs* when `|z| > 3`. Otherwise *underpowered* when the limit itself,
    /// `3·√(mcse² + error²)`, exceeds half of `|paper|`, so that a wrong number would have passed too;
    /// else *agrees*. A paper's value of zero has no scale, and is never called underpowered.
    ///
    /// # Panics
    /// If a number is not finite or an error is negative.
    pub fn of(ours: f64, mcse: f64, paper: f64, error: f64) -> Self {
        assert!(
            ours.is_finite() && paper.is_finite(),
            "values must be finite"
        );
        let z = z_score(ours, mcse, paper, error);
        if z.abs() > Z_LIMIT {
            Verdict::Differs
        } else if paper != 0.0 && Z_LIMIT * mcse.hypot(error) > BLIND_FRACTION * paper.abs() {
            Verdict::Underpowered
        } else {
            Verdict::Agrees
        }
    }

    /// The verdict on `ours ± mcse` against an exact value: *differs* when `|z| > 4.4`, else *underpowered* when the error exceeds a
    /// hundredth of the value, so that it would hide an error of 5 %.
    ///
    /// # Panics
    /// If a number is not finite or the error is negative.
    pub fn of_exact(ours: f64, mcse: f64, exact: f64) -> Self {
        assert!(
            ours.is_finite() && exact.is_finite(),
            "values must be finite"
        );
        if z_score(ours, mcse, exact, 0.0).abs() > EXACT_Z_LIMIT {
            Verdict::Differs
        } else if mcse > EXACT_POWER * exact.abs() {
            Verdict::Underpowered
        } else {
            Verdict::Agrees
        }
    }

    /// The name used as a class in HTML.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Verdict::Agrees => "agrees",
            Verdict::Differs => "differs",
            Verdict::Underpowered => "underpowered",
            Verdict::NotComparable => "not-comparable",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::NotComparable => "not comparable",
            other => other.slug(),
        })
    }
}

/// `z = (ours − paper)/√(mcse² + error²)`; 0 when the numbers are equal, whatever the errors.
///
/// # Panics
/// If an error is negative or not finite.
pub fn z_score(ours: f64, mcse: f64, paper: f64, error: f64) -> f64 {
    assert!(
        (0.0..f64::INFINITY).contains(&mcse) && (0.0..f64::INFINITY).contains(&error),
        "errors must be finite and not negative, got {mcse} and {error}"
    );
    if ours == paper {
        return 0.0;
    }
    (ours - paper) / mcse.hypot(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Within 4.4 errors of a hundredth at most.
    #[test]
    fn against_an_exact_value() {
        assert_eq!(Verdict::of_exact(0.52, 0.005, 0.5), Verdict::Agrees);
        assert_eq!(Verdict::of_exact(0.525, 0.005, 0.5), Verdict::Differs);
        assert_eq!(Verdict::of_exact(0.52, 0.0051, 0.5), Verdict::Underpowered);
        assert_eq!(Verdict::of_exact(0.0, 0.0, 0.0), Verdict::Agrees);
    }

    #[test]
    fn verdicts_follow_z_and_power() {
        assert_eq!(Verdict::of(10.2, 0.1, 10.0, 0.1), Verdict::Agrees);
        assert_eq!(Verdict::of(10.5, 0.1, 10.0, 0.1), Verdict::Differs);
        assert_eq!(Verdict::of(10.5, 2.0, 10.0, 0.1), Verdict::Underpowered);
        assert_eq!(Verdict::of(100.0, 2.0, 10.0, 0.1), Verdict::Differs);
        assert_eq!(Verdict::of(0.1, 0.1, 0.0, 0.1), Verdict::Agrees);
        assert_eq!(Verdict::of(1.0, 0.0, 1.0, 0.0), Verdict::Agrees);
        assert_eq!(Verdict::of(1.1, 0.0, 1.0, 0.0), Verdict::Differs);
    }

    #[test]
    fn z_is_signed_and_adds_errors_in_quadrature() {
        assert_eq!(z_score(1.0, 0.3, 2.0, 0.4), -2.0);
    }
}
