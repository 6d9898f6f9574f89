//! Autocovariances of several chains, one lag at a time.
//!
//! `γ̂(k) = mean over chains of (1/n) Σ_i (x_i − x̄)(x_{i+k} − x̄)`, the biased estimate of Geyer (1992),
//! each chain about its own mean. A lag costs one pass over the draws, so an estimator that stops at
//! the first negative pair pays only for the lags it reads.

use ndarray::{Array1, Array2, Axis, s};

use crate::split_chains::mean_and_variance;

/// Chains centred at their own means, ready for autocovariances at any lag.
pub(crate) struct Autocovariance {
    centred: Array2<f64>,
    means: Array1<f64>,
}

impl Autocovariance {
    /// Shapes: `chains`: `[n_chains, n_draws]`.
    pub(crate) fn new(mut chains: Array2<f64>) -> Self {
        let means = chains.map_axis(Axis(1), |chain| mean_and_variance(chain).0);
        chains -= &means.view().insert_axis(Axis(1));
        Self {
            centred: chains,
            means,
        }
    }

    /// `γ̂(lag)`, averaged over chains.
    pub(crate) fn at(&self, lag: usize) -> f64 {
        let (n_chains, n_draws) = self.centred.dim();
        let mut sum = 0.0;
        for chain in self.centred.rows() {
            sum += chain
                .slice(s![..n_draws - lag])
                .dot(&chain.slice(s![lag..]));
        }
        sum / (n_chains * n_draws) as f64
    }

    /// Unbiased variance of the chain means, for at least two chains.
    pub(crate) fn variance_of_means(&self) -> f64 {
        mean_and_variance(self.means.view()).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn exact_case() {
        // centred: (−1, 0, 1) and (−2, 4, −2)
        let acov = Autocovariance::new(array![[1.0, 2.0, 3.0], [0.0, 6.0, 0.0]]);
        let obtained = [acov.at(0), acov.at(1), acov.at(2)];
        assert_eq!(obtained, [26.0 / 6.0, -16.0 / 6.0, 3.0 / 6.0]);
        assert_eq!(acov.variance_of_means(), 0.0);
    }
}
