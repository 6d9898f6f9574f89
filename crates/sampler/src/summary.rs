//! The mean of a quantity over the draws of several chains, with its standard error.

use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use slt_stats::{DrawsError, ess_mean, mcse_mean, rhat};

/// From this many chains on, the standard error is taken from their spread.
const ENOUGH_CHAINS: usize = 16;

/// A posterior mean from the draws of independent chains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The mean over all draws.
    pub mean: f64,
    /// Monte-Carlo standard error of `mean`: from the spread of the chains where there are at least 16, else from the
    /// effective sample size.
    pub mcse: f64,
    /// Standard error from the spread of independent chains alone, where there are two or more.
    pub mcse_chains: Option<f64>,
    /// Standard error from the effective sample size alone.
    pub mcse_ess: f64,
    /// Effective number of draws for the mean.
    pub ess: f64,
    /// Rank-normalised split R-hat.
    pub r_hat: f64,
    /// Mean of each chain; their standard deviation is *not* an error of `mean`.
    pub per_chain: Vec<f64>,
}

impl Summary {
    /// The summary of `values`, shape `[n_chains, n_draws]`.
    ///
    /// # Errors
    /// [`DrawsError`] where draws are too few or not finite.
    pub fn new(values: ArrayView2<f64>) -> Result<Self, DrawsError> {
        let mcse_ess = mcse_mean(values)?;
        let per_chain: Vec<f64> = values
            .mean_axis(Axis(1))
            .map_or_else(Vec::new, |means| means.to_vec());
        let r = per_chain.len() as f64;
        let mean = per_chain.iter().sum::<f64>() / r;
        let variance = per_chain.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (r - 1.0);
        let mcse_chains = (per_chain.len() > 1).then(|| (variance / r).sqrt());
        Ok(Self {
            mean,
            mcse: mcse_chains
                .filter(|_| per_chain.len() >= ENOUGH_CHAINS)
                .unwrap_or(mcse_ess),
            mcse_chains,
            mcse_ess,
            ess: ess_mean(values)?,
            r_hat: rhat(values)?,
            per_chain,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::fill;
    use crate::stream::Purpose;
    use ndarray::{Array2, s};

    fn normals(n_chains: usize, n_draws: usize) -> Array2<f64> {
        let mut normals = vec![0.0; (n_chains * n_draws).next_multiple_of(64)];
        fill(1, Purpose::Data, 0, 0, &mut normals);
        Array2::from_shape_fn((n_chains, n_draws), |(i, j)| {
            f64::from(normals[i * n_draws + j])
        })
    }

    /// Chains of means 20 and 40: variance 200 over 2 chains.
    #[test]
    fn by_hand() {
        let values = Array2::from_shape_fn((2, 12), |(i, j)| {
            10.0 + 20.0 * i as f64 + 10.0 * (j % 3) as f64
        });
        let summary = Summary::new(values.view()).expect("draws");
        assert_eq!(
            (summary.mean, &summary.per_chain[..]),
            (30.0, &[20.0, 40.0][..])
        );
        let chains = summary.mcse_chains.expect("two chains");
        approx::assert_relative_eq!(chains, 10.0, max_relative = 1e-15);
        assert_eq!(
            summary.mcse, summary.mcse_ess,
            "two chains are too few for their spread"
        );
    }

    #[test]
    fn statistics_are_those_of_slt_stats() {
        let values = normals(4, 500);
        let summary = Summary::new(values.view()).expect("draws");
        assert_eq!(summary.ess, ess_mean(values.view()).expect("draws"));
        assert_eq!(summary.r_hat, rhat(values.view()).expect("draws"));
        assert_eq!(summary.mcse_ess, mcse_mean(values.view()).expect("draws"));
        let ratio = summary.mcse_ess / 2000f64.sqrt().recip();
        assert!(1.0 / 1.5 < ratio && ratio < 1.5, "{ratio}");
        assert!(Summary::new(values.slice(s![.., ..2])).is_err());
    }

    #[test]
    fn the_spread_of_sixteen_chains_is_the_error() {
        let values = normals(16, 100);
        let of = |n: usize| Summary::new(values.slice(s![..n, ..])).expect("draws");
        assert_eq!(Some(of(16).mcse), of(16).mcse_chains);
        assert_eq!(of(15).mcse, of(15).mcse_ess);
        assert_ne!(Some(of(15).mcse), of(15).mcse_chains);
        assert_eq!((of(1).mcse_chains, of(1).mcse), (None, of(1).mcse_ess));
        assert!(of(1).mcse.is_finite());
    }
}
