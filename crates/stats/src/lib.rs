//! Estimates with standard errors: MCSE, ESS, R-hat, z-test, regression, rank correlation, the scaling law over temperatures.
//!
//! Charter: a number computed from draws, and how far it can be trusted. Input is plain arrays,
//! draws as `[n_chains, n_draws]`.
//!
//! Absent on purpose: no chain, no model, no random numbers, no I/O. Absent for now: sequential tests.

// reference values are kept at the 17 digits their generators print
#![cfg_attr(test, allow(clippy::excessive_precision))]

#[cfg(test)]
mod ar1;
mod autocovariance;
mod ess;
mod estimate;
mod mcse;
mod quantile;
mod rank_correlation;
mod rank_normalisation;
#[cfg(test)]
mod reference_chains;
mod regression;
mod rhat;
mod scaling_fit;
mod split_chains;
mod z_test;

pub use ess::{ess_bulk, ess_mean, ess_tail};
pub use estimate::{Estimate, EstimateError};
pub use mcse::mcse_mean;
pub use quantile::{QuantileError, ecdf, quantile};
pub use rank_correlation::{RankCorrelation, RankCorrelationError, rank_correlation};
pub use regression::{LeastSquares, RegressionError, least_squares, line};
pub use rhat::{rhat, rhat_basic};
pub use scaling_fit::{
    ScalingCandidate, ScalingFit, ScalingFitError, ScalingPoint, ScalingVariance,
    fit_colder_scaling_law, fit_scaling_law,
};
pub use split_chains::DrawsError;
pub use z_test::{MIN_REPLICATES, Outcome, ZTest, ZTestError, ZTestResult, z_score};
