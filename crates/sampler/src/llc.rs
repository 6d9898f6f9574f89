//! The local learning coefficient from the losses of the draws:
//!
//! `λ̂ = nβ (E[L(w)] - L(w*))`, the mean over draws from `exp(-nβ L(w) - γ/2 |w - w*|^2)`
//!
//! (Lau et al. 2023, arXiv:2308.12108, eq. 14). By definition it depends on `nβ` and `γ`; compare it with the exact value
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
