//! The local learning coefficient from the losses of the draws:
//!
//! `λ̂ = nβ (E[L(w)] - L(w*))`, the mean over draws from `exp(-nβ L(w) - γ/2 |w - w*|^2)`
//!
//! (Lau et al. 2023, arXiv:2308.12108). By definition it depends on `nβ` and `γ`; compare it with the exact value
//! at the same settings, never with the asymptotic λ alone.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};
use slt_stats::DrawsError;

use crate::chains::Draws;
use crate::dynamics::Dynamics;
use crate::harmonic::{Harmonic, HarmonicError};
use crate::summary::Summary;

/// R-hat above which chains disagree (Vehtari et al. 2021, arXiv:1903.08008, section 4).
const R_HAT_LIMIT: f64 = 1.01;
/// Difference of the two halves of the chains, in its standard errors, above which they drift: p = 1e-5.
const DRIFT_LIMIT: f64 = 4.4;
/// Share of draws below `L(w*)` from which on `w*` is no minimum at the sampler's scale.
const BELOW_LIMIT: f64 = 0.05;
/// Share of the estimate that the step may add to it.
const STEP_BIAS_LIMIT: f64 = 0.05;
/// `-d ln λ̂ / d ln γ` above which γ decides the estimate, not the loss: a direction with `nβh = γ` has 1/2.
const GAMMA_LIMIT: f64 = 0.5;
/// Standard error, as a share of the estimate, above which it is too noisy to be of use.
const MCSE_LIMIT: f64 = 0.1;

/// What an estimate is worth. Of several faults the worst is said: that of the lowest line here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// None of the faults below.
    Ok,
    /// The standard error is more than a tenth of the estimate.
    UnderPowered,
    /// The pull to `w*` decides more than half of the estimate.
    OverLocalised,
    /// The finite step, or the noise of the minibatches, adds more than a twentieth to the estimate.
    BiasedStep,
    /// Chains disagree, or their first halves with their second.
    NotConverged,
    /// Too many draws have a lower loss than `w*`, or its slope or negative curvature shift the estimate.
    NotAMinimum,
    /// A chain's loss is not finite.
    Diverged,
}

impl Verdict {
    /// What to change, in one sentence; nothing where all is well.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Ok => "",
            Self::UnderPowered => "Take more draws or more chains.",
            Self::OverLocalised => {
                "Lower gamma, or raise nbeta, or read the estimate as one at this gamma."
            }
            Self::BiasedStep => {
                "Lower step_size, or take larger minibatches or a kernel with a Metropolis test."
            }
            Self::NotConverged => "Run longer, with more burn-in, or raise gamma.",
            Self::NotAMinimum => {
                "Train on to a minimum, or raise gamma: the estimate is biased low."
            }
            Self::Diverged => "Lower step_size.",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::UnderPowered => "under-powered",
            Self::OverLocalised => "over-localised",
            Self::BiasedStep => "biased step",
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
    #[error(transparent)]
    Statistic(#[from] DrawsError),
    /// Curvature and slope at the anchor could not be had.
    #[error(transparent)]
    Harmonic(#[from] HarmonicError),
}

/// An estimate of the local learning coefficient at one point, from chains that were started there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Llc {
    /// `λ̂` over the chains that did not diverge.
    #[serde(flatten)]
    pub summary: Summary,
    /// Chains left out because a loss was not finite.
    pub n_diverged: usize,
    /// Share of the draws with a loss below `L(w*)`.
    pub share_below: f64,
    /// `λ̂` of the second halves of the chains less that of the first, in its standard errors; from 24 draws on.
    pub drift: Option<f64>,
    /// What the finite step adds to `λ̂`, to first order; see [`Draws::step_bias`]. Where it is known.
    pub step_bias: Option<f64>,
    /// `λ̂` with the losses over minibatches in place of those over all samples, which is what devinterp computes: for comparison with its numbers, where chains
    /// run on minibatches. They go through the samples in shuffled passes, and later in a pass a minibatch is one that they have not followed for longer, so that its loss is higher. A centred loss is
    /// lower by one over the size of the minibatch. (The difference is the mean over the draws that a step left, see [`Draws::batch_loss`].)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_batches: Option<f64>,
    /// `-d ln λ̂ / d ln γ = Cov(nβL, γ/2 |w - w*|²)/λ̂`: the part of the estimate that γ decides. Where distances are known.
    pub gamma_share: Option<f64>,
    /// `d ln λ̂ / d ln nβ = 1 - Var(nβL)/(T λ̂)` at temperature T: 0 on a plateau of inverse temperatures. With `gamma_share`.
    pub nbeta_slope: Option<f64>,
    /// Mean of `|w - w*|` over the draws, where distances are known.
    pub distance: Option<f64>,
    /// `L(w*)` over all samples. Units: nats.
    pub initial_loss: f64,
    /// `nβ`.
    pub nbeta: f64,
    /// What curvature and slope at `w*` predict, where they were asked for.
    pub harmonic: Option<Harmonic>,
    /// What the estimate is worth.
    pub verdict: Verdict,
}

/// What an estimate has that the second order of the loss has not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnharmonicPart {
    /// `λ̂` less what is expected of chains on the second order alone ([`Harmonic::expected`]).
    pub value: f64,
    /// Its standard error, of the draws and of the probes.
    pub mcse: f64,
}

impl std::ops::Deref for Llc {
    type Target = Summary;

    fn deref(&self) -> &Summary {
        &self.summary
    }
}

impl Llc {
    /// The estimate from the losses of the draws around one point, without what needs more than losses.
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
        let whole = finite_rows(losses);
        if whole.is_empty() {
            return Err(LlcError::AllDiverged(losses.nrows()));
        }
        let scaled = losses
            .select(Axis(0), &whole)
            .mapv(|l| nbeta * (l - initial_loss));
        let mut llc = Self {
            n_diverged: losses.nrows() - whole.len(),
            share_below: scaled.iter().filter(|&&x| x < 0.0).count() as f64 / scaled.len() as f64,
            drift: drift(scaled.view())?,
            step_bias: None,
            by_batches: None,
            gamma_share: None,
            nbeta_slope: None,
            distance: None,
            initial_loss,
            nbeta,
            harmonic: None,
            verdict: Verdict::Ok,
            summary: Summary::new(scaled.view())?,
        };
        llc.verdict = llc.judge();
        Ok(llc)
    }

    /// The estimate from the draws of the rows `chains`, all around one point of loss `initial_loss` and with one `dynamics`.
    ///
    /// # Errors
    /// Those of [`Self::from_losses`].
    pub fn from_draws(
        draws: &Draws,
        chains: Range<usize>,
        initial_loss: f64,
        dynamics: &Dynamics,
    ) -> Result<Self, LlcError> {
        let losses = draws.loss.slice(s![chains.clone(), ..]);
        let mut llc = Self::from_losses(losses, initial_loss, dynamics.nbeta())?;
        let whole: Vec<usize> = finite_rows(losses)
            .iter()
            .map(|&i| chains.start + i)
            .collect();
        let n_chains = whole.len() as f64;
        let of = |values: &Vec<f64>| whole.iter().map(|&i| values[i]).sum::<f64>() / n_chains;
        llc.step_bias = draws.step_bias.as_ref().map(of);
        if let Some(by_batches) = &draws.batch_loss {
            // at the draws that a step left: all but the last
            let left = |&i: &usize| draws.loss.slice(s![i, ..-1]).mean();
            let left = whole.iter().map(left).sum::<Option<f64>>();
            let apart = left.map(|sum| of(by_batches) - sum / n_chains);
            llc.by_batches = apart.map(|apart| llc.mean + dynamics.nbeta() * apart);
        }
        // covariances within chains: the mean of a chain is not shared
        let (mut covariance, mut variance, mut distance) = (0.0, 0.0, 0.0);
        for &i in &whole {
            let (losses, distances) = (draws.loss.row(i), draws.distance.row(i));
            let n_draws = losses.len() as f64;
            let (l, r) = (
                losses.sum() / n_draws,
                distances.mapv(|r| r * r).sum() / n_draws,
            );
            let pairs = losses.iter().zip(distances);
            let (mut with_distance, mut with_loss) = (0.0, 0.0);
            for (loss, away) in pairs {
                with_distance += (loss - l) * (away * away - r);
                with_loss += (loss - l) * (loss - l);
            }
            covariance += with_distance / (n_draws - 1.0) / n_chains;
            variance += with_loss / (n_draws - 1.0) / n_chains;
            distance += distances.sum() / n_draws / n_chains;
        }
        // of nβL/T
        let scale = dynamics.nbeta() / dynamics.temperature();
        llc.gamma_share = Some(0.5 * dynamics.gamma() * scale * covariance / llc.mean);
        llc.nbeta_slope = Some(1.0 - dynamics.nbeta() * scale * variance / llc.mean);
        llc.distance = Some(distance);
        llc.verdict = llc.judge();
        Ok(llc)
    }

    /// The same estimate beside what curvature and slope at `w*` predict; the verdict takes them in.
    #[must_use]
    pub fn with_harmonic(self, harmonic: Harmonic) -> Self {
        let mut llc = Self {
            harmonic: Some(harmonic),
            ..self
        };
        llc.verdict = llc.judge();
        llc
    }

    /// What the estimate has beyond the second order of the loss, where that is known.
    pub fn anharmonic_part(&self) -> Option<AnharmonicPart> {
        let expected = self.harmonic?.expected();
        Some(AnharmonicPart {
            value: self.mean - expected.value,
            mcse: self.mcse.hypot(expected.mcse),
        })
    }

    fn judge(&self) -> Verdict {
        let summary = &self.summary;
        let level = self.harmonic.is_none_or(|h| h.is_minimum(summary.mean));
        let share = |part: Option<f64>| part.unwrap_or(0.0) / summary.mean.abs();
        // comparisons so that a NaN is a fault
        if self.n_diverged > 0 {
            Verdict::Diverged
        } else if self.share_below > BELOW_LIMIT || !level {
            Verdict::NotAMinimum
        } else if !(summary.r_hat <= R_HAT_LIMIT && self.drift.unwrap_or(0.0).abs() <= DRIFT_LIMIT)
        {
            Verdict::NotConverged
        } else if !(share(self.step_bias) <= STEP_BIAS_LIMIT) {
            Verdict::BiasedStep
        } else if !(self.gamma_share.unwrap_or(0.0) <= GAMMA_LIMIT) {
            Verdict::OverLocalised
        } else if !(summary.mcse <= MCSE_LIMIT * summary.mean.abs()) {
            Verdict::UnderPowered
        } else {
            Verdict::Ok
        }
    }
}

/// The estimate in a line: value, error, second order, diagnostics, verdict and what to change.
impl std::fmt::Display for Llc {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "λ̂ = {:.5} ± {:.5}", self.mean, self.mcse)?;
        if let (Some(harmonic), Some(part)) = (self.harmonic, self.anharmonic_part()) {
            write!(
                f,
                " (quadratic {:.5}, anharmonic {:+.5} ± {:.5})",
                harmonic.expected().value,
                part.value,
                part.mcse
            )?;
        }
        write!(
            f,
            ", ESS {:.0}, R-hat {:.3}: {}",
            self.ess, self.r_hat, self.verdict
        )?;
        if self.verdict != Verdict::Ok {
            write!(f, ". {}", self.verdict.advice())?;
        }
        Ok(())
    }
}

/// The running estimate: `nβ` times the mean of the losses up to each draw less `initial_loss`, chain by chain.
///
/// Shapes: `losses` and the result: `[n_chains, n_draws]`.
pub fn running_llc(losses: ArrayView2<f64>, initial_loss: f64, nbeta: f64) -> Array2<f64> {
    let mut running = losses.to_owned();
    for mut chain in running.rows_mut() {
        let mut sum = 0.0;
        for (k, value) in chain.iter_mut().enumerate() {
            sum += nbeta * (*value - initial_loss);
            *value = sum / (k + 1) as f64;
        }
    }
    running
}

fn drift(values: ArrayView2<f64>) -> Result<Option<f64>, DrawsError> {
    let half = values.ncols() / 2;
    if half < 12 {
        return Ok(None);
    }
    let first = Summary::new(values.slice(s![.., ..half]))?;
    let second = Summary::new(values.slice(s![.., half..]))?;
    let mcse = first.mcse_ess.hypot(second.mcse_ess);
    Ok(Some((second.mean - first.mean) / mcse))
}

fn finite_rows(losses: ArrayView2<f64>) -> Vec<usize> {
    (0..losses.nrows())
        .filter(|&i| losses.row(i).iter().all(|l| l.is_finite()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::fill;
    use crate::stream::Purpose;

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
        let losses = Array2::from_shape_fn((2, 24), |(i, j)| 3.0 + 2.0 * i as f64 + (j % 3) as f64);
        let llc = Llc::from_losses(losses.view(), 2.0, 10.0).expect("an estimate");
        assert_eq!(llc.per_chain, [20.0, 40.0]);
        assert_eq!((llc.share_below, llc.n_diverged), (0.0, 0));
        assert_eq!((llc.initial_loss, llc.nbeta), (2.0, 10.0));
        assert_eq!(llc.verdict, Verdict::NotConverged);
        // from 3.5 on, a chain's first draw of three is below; equal is not below
        let llc = Llc::from_losses(losses.view(), 4.0, 10.0).expect("an estimate");
        assert_eq!((llc.mean, llc.share_below), (10.0, 8.0 / 48.0));
        assert_eq!(llc.verdict, Verdict::NotAMinimum);
    }

    /// A slope that shifts the estimate makes the verdict, and the line says all of it.
    #[test]
    fn the_second_order_is_part_of_the_verdict() {
        use crate::dynamics::Dynamics;
        use crate::spectrum::Probes;
        use crate::targets::Quadratic;
        use ndarray::array;
        let llc = Llc::from_losses(losses(16, 400).view(), 1.5, 10.0).expect("an estimate");
        assert_eq!(llc.verdict, Verdict::Ok);
        let harmonic = |at: f64| {
            let mut target = Quadratic::new(array![[1.0]], array![0.0], 0.0, 100);
            let dynamics = Dynamics::new(0.1, 10.0, 1.0).expect("valid");
            let probes = Probes {
                n_probes: 2,
                n_steps: 1,
                seed: 1,
                stream: 0,
            };
            Harmonic::at(&mut target, array![at].view(), &dynamics, None, &probes)
        };
        let settled = llc
            .clone()
            .with_harmonic(harmonic(0.0).expect("a quadratic"));
        assert_eq!(settled.verdict, Verdict::Ok);
        let part = settled.anharmonic_part().expect("a second order");
        assert_eq!((part.value, part.mcse), (llc.mean - 5.0 / 11.0, llc.mcse));
        let line = settled.to_string();
        assert!(
            line.starts_with("λ̂ = 0.5") && line.ends_with(": ok"),
            "{line}"
        );
        assert!(
            line.contains("(quadratic 0.45455, anharmonic +0.0"),
            "{line}"
        );
        let sloped = llc.with_harmonic(harmonic(0.3).expect("a quadratic"));
        assert_eq!(sloped.verdict, Verdict::NotAMinimum);
        let line = sloped.to_string();
        assert!(line.ends_with(": not a minimum. Train on to a minimum, or raise gamma: the estimate is biased low."), "{line}");
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

    fn draws(losses: Array2<f64>, distance: Array2<f64>, step_bias: f64) -> Draws {
        let n_rows = losses.nrows();
        Draws {
            loss: losses,
            distance,
            positions: None,
            observed: None,
            last: Array2::zeros((n_rows, 1)),
            step_bias: Some(vec![step_bias; n_rows]),
            batch_loss: Some((0..n_rows).map(|i| 1.5 + 0.01 * i as f64).collect()),
            acceptance: None,
        }
    }

    #[test]
    fn what_distances_and_forces_tell() {
        let dynamics = Dynamics::new(1e-3, 10.0, 4.0).expect("valid");
        let losses = losses(6, 500);
        // nβ(L - 1.5) = x²/2, and |w - w*| = x/2: γ/2 |w - w*|² = x²/2, too
        let distance = losses.mapv(|l| (20.0 * (l - 1.5)).sqrt() / 2.0);
        let of = |step_bias, chains| {
            let draws = draws(losses.clone(), distance.clone(), step_bias);
            Llc::from_draws(&draws, chains, 1.5, &dynamics).expect("an estimate")
        };
        let llc = of(0.02, 1..5);
        let same = Llc::from_losses(losses.slice(s![1..5, ..]), 1.5, 10.0).expect("an estimate");
        assert_eq!(llc.summary, same.summary);
        assert_eq!(llc.step_bias, Some(0.02));
        // nβ times the mean of 0.01 to 0.04 over all draws but the last, which stays as it is
        let last = losses.slice(s![1..5, -1]).mapv(|l| 10.0 * (l - 1.5)).sum() / 4.0;
        let expected = 0.25 + (last - llc.mean) / 499.0;
        assert!((llc.by_batches.expect("minibatches") - expected).abs() < 1e-9);
        // Cov(x²/2, x²/2)/E[x²/2] = 1
        let share = llc.gamma_share.expect("distances are known");
        assert!((share - 1.0).abs() < 0.2, "{share}");
        assert_eq!(
            (same.verdict, llc.verdict),
            (Verdict::Ok, Verdict::OverLocalised)
        );
        assert_eq!(of(0.1, 1..5).verdict, Verdict::BiasedStep);
        let mean = distance.slice(s![1..5, ..]).mean().expect("draws");
        approx::assert_relative_eq!(llc.distance.expect("known"), mean, max_relative = 1e-12);
        // by hand: losses 2, 3, 4 at squared distances 1, 4, 10, eight times
        let three = draws(
            Array2::from_shape_fn((1, 24), |(_, k)| 2.0 + (k % 3) as f64),
            Array2::from_shape_fn((1, 24), |(_, k)| [1.0, 2.0, 10f64.sqrt()][k % 3]),
            0.0,
        );
        let llc = Llc::from_draws(&three, 0..1, 1.0, &dynamics).expect("an estimate");
        let expected = 0.5 * 4.0 * 10.0 * (72.0 / 23.0) / 20.0;
        let share = llc.gamma_share.expect("known");
        approx::assert_relative_eq!(share, expected, max_relative = 1e-13);
        let slope = |llc: &Llc| llc.nbeta_slope.expect("known");
        let expected = 1.0 - 100.0 * (16.0 / 23.0) / 20.0;
        approx::assert_relative_eq!(slope(&llc), expected, max_relative = 1e-13);
        let hot = dynamics.with_temperature(2.0).expect("valid");
        let hot = Llc::from_draws(&three, 0..1, 1.0, &hot).expect("an estimate");
        assert_eq!(hot.gamma_share, Some(0.5 * share));
        approx::assert_relative_eq!(
            1.0 - slope(&hot),
            0.5 * (1.0 - expected),
            max_relative = 1e-13
        );
    }

    #[test]
    fn a_drift_is_not_convergence() {
        let mut drifting = losses(4, 500);
        for (_, mut draw) in drifting.axis_iter_mut(Axis(1)).enumerate().skip(250) {
            draw.mapv_inplace(|l| 1.5 + 1.6 * (l - 1.5));
        }
        let llc = Llc::from_losses(drifting.view(), 1.5, 10.0).expect("an estimate");
        assert!(llc.drift.expect("draws enough") > 4.4, "{llc:?}");
        assert_eq!(llc.verdict, Verdict::NotConverged);
        let short = Llc::from_losses(losses(4, 22).view(), 1.5, 10.0).expect("an estimate");
        assert_eq!(short.drift, None);
    }

    #[test]
    fn too_few_draws_are_under_powered() {
        let llc = Llc::from_losses(losses(2, 60).view(), 1.5, 10.0).expect("an estimate");
        assert!(llc.mcse > 0.1 * llc.mean && llc.r_hat <= 1.01, "{llc:?}");
        assert_eq!(llc.verdict, Verdict::UnderPowered);
        for verdict in [Verdict::UnderPowered, Verdict::Diverged] {
            assert!(!verdict.advice().is_empty());
        }
        assert!(Verdict::Ok.advice().is_empty() && Verdict::Ok < Verdict::Diverged);
    }

    #[test]
    fn the_running_mean() {
        let running = running_llc(ndarray::array![[3.0, 5.0, 4.0]].view(), 2.0, 10.0);
        assert_eq!(running, ndarray::array![[10.0, 20.0, 20.0]]);
    }
}
