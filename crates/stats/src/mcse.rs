//! Monte Carlo standard error from the effective sample size: `mcse = s/√ESS`.
//!
//! Where independent replicates exist, [`crate::Estimate::from_replicates`] is the safer error: it
//! needs no autocorrelations.

use ndarray::ArrayView2;

use crate::ess::ess_mean;
use crate::split_chains::{DrawsError, mean_and_variance};

/// The standard error of the mean of all draws, `s/√ESS` with s the sd over all draws of all chains.
///
/// Shapes: `draws`: `[n_chains, n_draws]`, n_draws ≥ 12.   Units: those of the draws.
///
/// # Errors
/// As [`ess_mean`].
///
/// Source: Vehtari et al. (2021), arXiv:1903.08008v5, section 4.2; `posterior::mcse_mean`.
pub fn mcse_mean(draws: ArrayView2<f64>) -> Result<f64, DrawsError> {
    let ess = ess_mean(draws)?;
    let values = draws.flatten();
    let (_, variance) = mean_and_variance(values.view());
    Ok((variance / ess).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ar1::{stationary, variance_of_mean};
    use crate::estimate::Estimate;
    use crate::reference_chains::check_against_posterior;
    use crate::z_test::{Outcome, ZTest, ZTestResult};
    use ndarray::Axis;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn posterior_reference() {
        check_against_posterior(|r| mcse_mean(r.draws.view()).unwrap(), |r| r.mcse_mean);
    }

    /// `mcse²` of R replicates, times R, against the variance of one mean; innovations are `noise` wide.
    fn squared_mcse(seed: u64, phi: f64, noise: f64, variance: f64) -> ZTestResult {
        let (n_replicates, n_draws) = (1000, 40);
        let squares: Vec<f64> = (0..64)
            .map(|group| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(group);
                let draws = noise * stationary(&mut rng, n_replicates, n_draws, phi);
                let means = draws.map_axis(Axis(1), |chain| chain.sum() / n_draws as f64);
                let estimate = Estimate::from_replicates(&means.to_vec()).unwrap();
                estimate.mcse.powi(2) * n_replicates as f64
            })
            .collect();
        let test = ZTest::new(variance, 9).unwrap();
        test.apply(&Estimate::from_replicates(&squares).unwrap())
            .unwrap()
    }

    /// Exact for every length of chain: 40 draws are far from the limit `(1 + φ)/(1 − φ)/n`.
    #[test]
    fn replicates_of_autoregressive_chains() {
        for seed in [11, 12, 13] {
            for phi in [-0.4, 0.5, 0.8] {
                let variance = variance_of_mean(40, phi);
                let result = squared_mcse(seed, phi, 1.0, variance);
                assert_eq!(result.outcome, Outcome::Agrees, "phi = {phi}: {result}");
                // planted defect: 5% too much noise
                let result = squared_mcse(seed, phi, 1.05, variance);
                assert_eq!(result.outcome, Outcome::Differs, "phi = {phi}: {result}");
            }
        }
    }

    /// The two errors of one mean agree within a factor 1.5.
    #[test]
    fn ess_and_replicates_agree() {
        for seed in [21, 22, 23] {
            for phi in [-0.4, 0.5, 0.9] {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let draws = stationary(&mut rng, 64, 2000, phi);
                let means = draws.map_axis(Axis(1), |chain| chain.sum() / 2000.0);
                let replicates = Estimate::from_replicates(&means.to_vec()).unwrap().mcse;
                let ratio = mcse_mean(draws.view()).unwrap() / replicates;
                assert!((1.0 / 1.5..1.5).contains(&ratio), "phi = {phi}: {ratio}");
            }
        }
    }
}
