//! The local learning coefficient from the losses of the draws:
//!
//! `λ̂ = nβ (E[L(w)] - L(w*))`, the mean over draws from `exp(-nβ L(w) - γ/2 |w - w*|^2)`
//!
//! (Lau et al. 2023, arXiv:2308.12108). By definition it depends on `nβ` and `γ`; compare it with the exact value
//! at the same settings, never with the asymptotic λ alone.

use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use slt_stats::{ess_mean, mcse_mean, rhat};

/// From this many chains on, the standard error is taken from their spread.
const ENOUGH_CHAINS: usize = 16;
/// R-hat above which chains disagree (Vehtari et al. 2021, arXiv:1903.08008, section 4).
const R_HAT_LIMIT: f64 = 1.01;
/// Share of draws below `L(w*)` from which on `w*` is no minimum at the sampler's scale.
const BELOW_LIMIT: f64 = 0.05;

/// What an estimate is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Chains agree, and hardly a draw is better than where they started.
    Ok,
    /// R-hat is too large: run longer, or take a larger step.
    NotConverged,
    /// Too many draws have a lower loss than `w*`: train on, or the estimate is negative or biased low.
    NotAMinimum,
    /// A chain's loss is not finite: take a smaller step.
    Diverged,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::NotConverged => "not converged",
            Self::NotAMinimum => "not a minimum",
            Self::Diverged => "diverged",
        })
    }
}

/// Why no estimate can be made.
#[derive(Debug, thiserror::Error)]
pub enum LlcError {
    /// Every chain diverged.
    #[error("all {0} chains diverged (their losses are not finite): take a smaller step_size")]
    AllDiverged(usize),
    /// The loss at the anchor is not finite.
    #[error("the loss at w* is {0}; expected a finite number")]
    InitialLoss(f64),
    /// A statistic could not be computed.
    #[error("{0}")]
    Statistic(String),
}

/// An estimate of the local learning coefficient at one point, from chains that were started there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Llc {
    /// `λ̂`, the mean over chains that did not diverge.
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
    /// Rank-normalised split R-hat of the losses.
    pub r_hat: f64,
    /// `λ̂` of each chain; their standard deviation is *not* an error of `mean`.
    pub per_chain: Vec<f64>,
    /// Chains left out because a loss was not finite.
    pub n_diverged: usize,
    /// Share of the draws with a loss below `L(w*)`.
    pub share_below: f64,
    /// `L(w*)` over all samples. Units: nats.
    pub initial_loss: f64,
    /// `nβ`.
    pub nbeta: f64,
    /// What the estimate is worth.
    pub verdict: Verdict,
}

impl Llc {
    /// The estimate from the losses of the draws around one point.
    ///
    /// Shapes: `losses`: `[n_chains, n_draws]`, over all samples. Units: nats.
    ///
    /// # Errors
    /// [`LlcError`] where every chain diverged, or `initial_loss` is not finite.
    pub fn from_losses(
        losses: ArrayView2<f64>,
        initial_loss: f64,
        nbeta: f64,
    ) -> Result<Self, LlcError> {
        if !initial_loss.is_finite() {
            return Err(LlcError::InitialLoss(initial_loss));
        }
        let whole: Vec<usize> = (0..losses.nrows())
            .filter(|&i| losses.row(i).iter().all(|l| l.is_finite()))
            .collect();
        if whole.is_empty() {
            return Err(LlcError::AllDiverged(losses.nrows()));
        }
        let scaled = losses
            .select(Axis(0), &whole)
            .mapv(|l| nbeta * (l - initial_loss));
        let per_chain: Vec<f64> = scaled.mean_axis(Axis(1)).expect("there are draws").to_vec();
        let r = per_chain.len() as f64;
        let mean = per_chain.iter().sum::<f64>() / r;
        let variance = per_chain.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (r - 1.0);
        let mcse_chains = (per_chain.len() > 1).then(|| (variance / r).sqrt());
        let statistic = |e: slt_stats::DrawsError| LlcError::Statistic(e.to_string());
        let mcse_ess = mcse_mean(scaled.view()).map_err(statistic)?;
        let r_hat = rhat(scaled.view()).map_err(statistic)?;
        let n_diverged = losses.nrows() - whole.len();
        let share_below = scaled.iter().filter(|&&x| x < 0.0).count() as f64 / scaled.len() as f64;
        let verdict = if n_diverged > 0 {
            Verdict::Diverged
        } else if share_below > BELOW_LIMIT {
            Verdict::NotAMinimum
        } else if !(r_hat <= R_HAT_LIMIT) {
            Verdict::NotConverged
        } else {
            Verdict::Ok
        };
        Ok(Self {
            mean,
            mcse: mcse_chains
                .filter(|_| per_chain.len() >= ENOUGH_CHAINS)
                .unwrap_or(mcse_ess),
            mcse_chains,
            mcse_ess,
            ess: ess_mean(scaled.view()).map_err(statistic)?,
            r_hat,
            per_chain,
            n_diverged,
            share_below,
            initial_loss,
            nbeta,
            verdict,
        })
    }
}

/// The field's default `nβ = n / ln n` for `n` samples.
///
/// # Panics
/// If `n` is less than 2.
pub fn default_nbeta(n: usize) -> f64 {
    assert!(n >= 2, "nbeta = n / ln n needs at least 2 samples, got {n}");
    n as f64 / (n as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::fill;
    use crate::stream::Purpose;
    use ndarray::{Array2, s};

    /// Losses above 1.5 like those of a chain that mixes at once: half the square of a standard normal, over 10.
    fn losses(n_chains: usize, n_draws: usize) -> Array2<f64> {
        let mut normals = vec![0.0; (n_chains * n_draws).next_multiple_of(64)];
        fill(1, Purpose::Data, 0, 0, &mut normals);
        Array2::from_shape_fn((n_chains, n_draws), |(i, j)| {
            1.5 + f64::from(normals[i * n_draws + j]).powi(2) / 20.0
        })
    }

    /// Chains of 1, 2, 3 and of 3, 4, 5 above the initial loss 2, at nβ = 10.
    #[test]
    fn by_hand() {
        let losses = Array2::from_shape_fn((2, 12), |(i, j)| 3.0 + 2.0 * i as f64 + (j % 3) as f64);
        let llc = Llc::from_losses(losses.view(), 2.0, 10.0).expect("an estimate");
        assert_eq!(
            (llc.mean, llc.per_chain.as_slice()),
            (30.0, &[20.0, 40.0][..])
        );
        // variance 200 over 2 chains
        approx::assert_relative_eq!(
            llc.mcse_chains.expect("two chains"),
            10.0,
            max_relative = 1e-15
        );
        assert_eq!(
            llc.mcse, llc.mcse_ess,
            "two chains are too few for their spread"
        );
        assert_eq!((llc.share_below, llc.n_diverged), (0.0, 0));
        assert_eq!((llc.initial_loss, llc.nbeta), (2.0, 10.0));
        assert_eq!(llc.verdict, Verdict::NotConverged);
        // from 3.5 on, a chain's first draw of three is below; equal is not below
        let llc = Llc::from_losses(losses.view(), 4.0, 10.0).expect("an estimate");
        assert_eq!((llc.mean, llc.share_below), (10.0, 4.0 / 24.0));
        assert_eq!(llc.verdict, Verdict::NotAMinimum);
    }

    #[test]
    fn statistics_are_those_of_slt_stats() {
        let losses = losses(4, 500);
        let llc = Llc::from_losses(losses.view(), 1.5, 10.0).expect("an estimate");
        let scaled = losses.mapv(|l| 10.0 * (l - 1.5));
        assert_eq!(llc.ess, ess_mean(scaled.view()).expect("draws"));
        assert_eq!(llc.r_hat, rhat(scaled.view()).expect("draws"));
        assert_eq!(llc.mcse_ess, mcse_mean(scaled.view()).expect("draws"));
        assert_eq!(llc.verdict, Verdict::Ok);
        // ½ with variance ½: the standard errors are the independent draws', up to their own noise
        let error = (0.5f64 / 2000.0).sqrt();
        assert!((llc.mean - 0.5).abs() < 4.4 * error, "{}", llc.mean);
        let ratio = llc.mcse_ess / error;
        assert!(1.0 / 1.5 < ratio && ratio < 1.5, "{ratio}");
    }

    #[test]
    fn the_spread_of_sixteen_chains_is_the_error() {
        let losses = losses(16, 100);
        let llc =
            |n: usize| Llc::from_losses(losses.slice(s![..n, ..]), 1.5, 10.0).expect("an estimate");
        assert_eq!(Some(llc(16).mcse), llc(16).mcse_chains);
        assert_eq!(llc(15).mcse, llc(15).mcse_ess);
        assert_ne!(Some(llc(15).mcse), llc(15).mcse_chains);
        assert_eq!((llc(1).mcse_chains, llc(1).mcse), (None, llc(1).mcse_ess));
        assert!(llc(1).mcse.is_finite());
    }

    /// One bad draw loses its chain, and nothing else.
    #[test]
    fn a_diverged_chain_is_left_out_and_counted() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut broken = losses(4, 100);
            broken[[1, 99]] = bad;
            let llc = Llc::from_losses(broken.view(), 1.5, 10.0).expect("three chains are left");
            let three = losses(4, 100).select(Axis(0), &[0, 2, 3]);
            let rest = Llc::from_losses(three.view(), 1.5, 10.0).expect("an estimate");
            assert_eq!((llc.n_diverged, llc.verdict), (1, Verdict::Diverged));
            let expected = Llc {
                n_diverged: 1,
                verdict: Verdict::Diverged,
                ..rest
            };
            assert_eq!(llc, expected);
        }
    }

    #[test]
    fn no_chain_is_no_estimate() {
        let none = Llc::from_losses(Array2::from_elem((3, 20), f64::NAN).view(), 1.5, 10.0);
        assert!(matches!(none, Err(LlcError::AllDiverged(3))));
        for bad in [f64::NAN, f64::INFINITY] {
            let anchor = Llc::from_losses(losses(2, 20).view(), bad, 10.0);
            assert!(matches!(anchor, Err(LlcError::InitialLoss(_))));
        }
        let short = Llc::from_losses(losses(2, 2).view(), 1.5, 10.0);
        assert!(matches!(short, Err(LlcError::Statistic(_))), "{short:?}");
    }

    #[test]
    fn verdicts() {
        let verdict = |losses: &Array2<f64>| {
            Llc::from_losses(losses.view(), 1.5, 10.0)
                .expect("an estimate")
                .verdict
        };
        let good = losses(4, 500);
        assert_eq!(verdict(&good), Verdict::Ok);
        let below = |n: usize| {
            let mut losses = good.clone();
            for j in 0..n {
                losses[[j % 4, 5 * (j / 4)]] = 1.49;
            }
            losses
        };
        assert_eq!(
            verdict(&below(100)),
            Verdict::Ok,
            "5% exactly is still a minimum"
        );
        assert_eq!(verdict(&below(101)), Verdict::NotAMinimum);
        let mut apart = good.clone();
        apart.row_mut(3).mapv_inplace(|l| l + 0.05);
        assert_eq!(verdict(&apart), Verdict::NotConverged);
        // what is worst is said first
        let mut all = below(101);
        let raised = |l| if l > 1.5 { l + 0.05 } else { l };
        all.row_mut(3).mapv_inplace(raised);
        assert_eq!(verdict(&all), Verdict::NotAMinimum);
        all[[0, 0]] = f64::NAN;
        assert_eq!(verdict(&all), Verdict::Diverged);
        assert_eq!(Verdict::NotAMinimum.to_string(), "not a minimum");
    }

    #[test]
    fn default_inverse_temperature() {
        approx::assert_relative_eq!(
            default_nbeta(100),
            21.714_724_095_162_59,
            max_relative = 1e-15
        );
    }

    #[test]
    #[should_panic(expected = "at least 2 samples")]
    fn one_sample_has_no_default() {
        default_nbeta(1);
    }
}
