//! A number with its standard error.
//!
//! With R independent replicates `v_r` of mean `v̄`, `mcse = s/√R`, `s² = Σ (v_r − v̄)²/(R − 1)`.
//! The spread `s` across replicates is not the error of the mean.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A mean over independent replicates with its Monte Carlo standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Mean of the replicates.
    pub mean: f64,
    /// Monte Carlo standard error of `mean`, in its units.
    pub mcse: f64,
    /// Number of independent replicates R; the error has R − 1 degrees of freedom.
    pub n: usize,
}

/// Why replicates give no estimate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EstimateError {
    /// One value has no standard error.
    #[error("an estimate needs at least 2 replicates, got {got}")]
    TooFewReplicates {
        /// Number of values given.
        got: usize,
    },
    /// A replicate is NaN or infinite.
    #[error("replicate {index} is {value}")]
    NonFinite {
        /// Position of the first such value.
        index: usize,
        /// The value.
        value: f64,
    },
    /// The replicates are finite, their mean or variance is not.
    #[error("mean {mean} or standard error {mcse} of the replicates overflows")]
    Overflow {
        /// Mean as computed.
        mean: f64,
        /// Standard error as computed.
        mcse: f64,
    },
}

impl Estimate {
    /// The mean of independent replicates with `mcse = s/√R`.
    ///
    /// Each value must come from its own independent chain; draws of one chain are correlated and
    /// belong in [`crate::mcse_mean`]. Equal replicates give `mcse` 0.
    ///
    /// Shapes: `replicates`: `[R]`, R ≥ 2.
    ///
    /// # Errors
    /// [`EstimateError::TooFewReplicates`] when R < 2, [`EstimateError::NonFinite`] at a NaN or
    /// infinity, [`EstimateError::Overflow`] when the sums leave the range of f64.
    pub fn from_replicates(replicates: &[f64]) -> Result<Self, EstimateError> {
        let n = replicates.len();
        if n < 2 {
            return Err(EstimateError::TooFewReplicates { got: n });
        }
        if let Some(index) = replicates.iter().position(|v| !v.is_finite()) {
            return Err(EstimateError::NonFinite {
                index,
                value: replicates[index],
            });
        }
        let mean = replicates.iter().sum::<f64>() / n as f64;
        let squares: f64 = replicates.iter().map(|v| (v - mean).powi(2)).sum();
        let mcse = (squares / (n - 1) as f64 / n as f64).sqrt();
        if !(mean.is_finite() && mcse.is_finite()) {
            return Err(EstimateError::Overflow { mean, mcse });
        }
        Ok(Self { mean, mcse, n })
    }

    /// The spread `s` across replicates, in the units of `mean`.
    pub fn sd(&self) -> f64 {
        self.mcse * (self.n as f64).sqrt()
    }
}

impl fmt::Display for Estimate {
    /// `mean ± mcse (n = R)`; a precision applies to both numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mean.fmt(f)?;
        f.write_str(" ± ")?;
        self.mcse.fmt(f)?;
        write!(f, " (n = {})", self.n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_case() {
        // deviations ±1 and ±3 about 4: s² = 20/3, mcse² = 5/3
        let e = Estimate::from_replicates(&[1.0, 3.0, 5.0, 7.0]).unwrap();
        assert_eq!(
            (e.mean, e.mcse, e.n),
            (4.0, (20.0 / 3.0 / 4.0_f64).sqrt(), 4)
        );
        assert_eq!(format!("{e:.2}"), "4.00 ± 1.29 (n = 4)");
        assert_eq!(e.sd(), (20.0 / 3.0_f64).sqrt());
    }

    #[test]
    fn impossible_input_is_named() {
        assert_eq!(
            Estimate::from_replicates(&[1.0]),
            Err(EstimateError::TooFewReplicates { got: 1 })
        );
        let error = Estimate::from_replicates(&[1.0, 2.0, f64::NAN]).unwrap_err();
        assert_eq!(error.to_string(), "replicate 2 is NaN");
        assert!(matches!(
            Estimate::from_replicates(&[1e308, -1e308]),
            Err(EstimateError::Overflow { .. })
        ));
    }
}
