//! From a target and a point to an estimate, with no setting chosen by hand.
//!
//! On full batches the kernel is Hamiltonian Monte Carlo, so that no step size is wrong, only slow:
//! 1. the largest curvature at `w*`, by Lanczos, bounds the step: `ε < 4/(nβ h + γ)`;
//! 2. a ladder of steps below it, as rows of one ensemble, finds the largest that is accepted often enough;
//! 3. the chains leave `w*` on long trajectories, and the step follows the curvature that they meet: where layers multiply, it
//!    grows by orders of magnitude on the way;
//! 4. trajectories of 2, 4, 8, … leapfrog steps compete (a single one has a fixed step, which the narrow parts of a singular
//!    valley refuse): the best has the most effective draws for each gradient. Where a quarter
//!    period of the softest direction takes more than 256 steps that costs more than it saves, and a draw is taken after 1/32 of it;
//! 5. rounds of sampling, each twice as long, until the standard error is what was asked for, R-hat is small and there is no
//!    drift, twice in a row: a round that ends the search because its error is small is biased towards those that missed a rare
//!    excursion, which the one after it is not. Every round starts where the last one ended, and the draws of the last round
//!    alone are kept, which is half of all steps: burn-in grows with the run.
//!
//! One draw of `nβ (L - L(w*))` has a relative standard deviation of about `1/√λ`: where few draws are enough, 4 or 8 chains share
//! them instead of 32.
//!
//! On minibatches there is no Metropolis test: the kernel is SGLD, and its step is the one at which the predicted bias
//! ([`Draws::step_bias`](crate::Draws::step_bias)) is half of the error asked for.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};

use crate::chains::{self, Draws, Ensemble, Plan, RunError, Schedule};
use crate::dynamics::{Dynamics, DynamicsError, Row};
use crate::harmonic::{Harmonic, HarmonicError};
use crate::kernel::Kernel;
use crate::llc::{Llc, LlcError};
use crate::spectrum::{Probes, Spectrum, SpectrumError};
use crate::target::Target;

/// Chains of an estimate that needs many draws: enough that their spread is its error.
const N_CHAINS: usize = 32;
/// Accepted share of the proposals of a step that is small enough.
const ACCEPTANCE: f64 = 0.8;
/// Accepted share below which a round was of too large a step.
const LOW_ACCEPTANCE: f64 = 0.6;
/// Longest trajectory that competes with others.
const MAX_LEAPFROG: u32 = 256;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// `nβ`.
    pub nbeta: f64,
    /// Localisation γ, positive.
    pub gamma: f64,
    /// Samples in a gradient; all of them if `None`.
    pub batch_size: Option<usize>,
    /// Standard error of the estimate, as a share of it.
    pub relative_error: f64,
    /// Gradients of single chains that may be spent.
    pub max_gradients: u64,
    /// Seed.
    pub seed: u64,
    /// Worker threads.
    pub n_threads: usize,
}

impl Request {
    /// An error of 2 %, on full batches, for at most `10^8` gradients.
    pub fn new(nbeta: f64, gamma: f64, seed: u64) -> Self {
        Self {
            nbeta,
            gamma,
            batch_size: None,
            relative_error: 0.02,
            max_gradients: 100_000_000,
            seed,
            n_threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// An estimate, and the settings that were chosen for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// The estimate, beside the second order of the loss.
    pub llc: Llc,
    /// Kernel of the estimate.
    pub kernel: Kernel,
    /// Its step size.
    pub step_size: f64,
    /// Steps of each chain before the draws that were kept.
    pub burn_in: usize,
    /// Draws of each chain that were kept.
    pub n_draws: usize,
    /// Gradients of single chains that were spent, all in all.
    pub n_gradients: u64,
    /// Whether the error that was asked for was reached.
    pub reached: bool,
    /// What was done, a line for each decision.
    pub log: Vec<String>,
}

/// Why there is no calibrated estimate.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// The relative error is not in `(0, 1)`.
    #[error("relative_error is {0}; expected more than 0 and less than 1")]
    RelativeError(f64),
    /// Without localisation a singular model's chain has nowhere to settle.
    #[error("gamma is {0}; expected a positive number")]
    Gamma(f64),
    /// Step size or inverse temperature are impossible.
    #[error(transparent)]
    Dynamics(#[from] DynamicsError),
    /// The chains cannot be run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// There is no estimate.
    #[error(transparent)]
    Llc(#[from] LlcError),
    /// The curvature at `w*` cannot be had.
    #[error(transparent)]
    Spectrum(#[from] SpectrumError),
    /// Nor what it predicts.
    #[error(transparent)]
    Harmonic(#[from] HarmonicError),
    /// No step of the ladder is accepted often enough.
    #[error(
        "no step size from {largest:e} to {smallest:e} is accepted more than {accepted:.2} of the time; expected {ACCEPTANCE}: is the loss differentiable at w*?"
    )]
    NoStep {
        /// The largest step tried.
        largest: f64,
        /// The smallest.
        smallest: f64,
        /// The best accepted share.
        accepted: f64,
    },
}

/// Estimates the LLC at `anchor`, choosing all settings but `nβ` and γ.
///
/// `progress` is called with the number of chain-steps done since its last call.
///
/// Shapes: `anchor`: `[d]`.
///
/// # Errors
/// [`CalibrateError`] where the request is impossible, the loss has no curvature there, or no step works. An error that was not
/// reached within `max_gradients` is no `Err`: it is [`Calibrated::reached`].
pub fn calibrate<T: Target + Clone + Send + Sync>(
    target: &T,
    anchor: ArrayView1<f64>,
    request: &Request,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Calibrated, CalibrateError> {
    Ok(calibrate_from(target, anchor, (0, None), request, progress)?.0)
}

/// [`calibrate`] as the `group`-th of several with one seed, with chains that may start elsewhere; also returns where they end,
/// `[n_chains, d]`.
pub(crate) fn calibrate_from<T: Target + Clone + Send + Sync>(
    target: &T,
    anchor: ArrayView1<f64>,
    (group, starts): (u64, Option<Array2<f64>>),
    request: &Request,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Calibrated, Array2<f64>), CalibrateError> {
    /// More runs than a calibration has.
    const RUNS_OF_A_GROUP: u64 = 1 << 16;
    if !(0.0 < request.relative_error && request.relative_error < 1.0) {
        return Err(CalibrateError::RelativeError(request.relative_error));
    }
    if !(0.0 < request.gamma) {
        return Err(CalibrateError::Gamma(request.gamma));
    }
    let unit = Dynamics::new(1.0, request.nbeta, request.gamma)?;
    let mut losses = [f64::NAN];
    target
        .clone()
        .loss(anchor.insert_axis(Axis(0)), &mut losses);
    let [initial_loss] = losses;
    if !initial_loss.is_finite() {
        return Err(LlcError::InitialLoss(initial_loss).into());
    }
    let probes = Probes::new(request.seed);
    let mut own = target.clone();
    let spectrum = Spectrum::of(&mut own, anchor, &probes)?;
    let harmonic =
        Harmonic::from_spectrum(&mut own, anchor, &spectrum, &unit, None, probes.n_steps)?;
    let stiffest = request.nbeta * spectrum.largest().value.max(0.0) + request.gamma;
    let n_chains = starts
        .as_ref()
        .map_or_else(|| n_chains(&spectrum, request), Array2::nrows);
    let anchors = anchor
        .broadcast((n_chains, anchor.len()))
        .expect("one anchor for all chains")
        .to_owned();
    let mut work = Work {
        target,
        request,
        starts: starts.unwrap_or_else(|| anchors.clone()),
        anchors,
        n_gradients: 0,
        n_runs: group * RUNS_OF_A_GROUP,
        log: vec![format!(
            "largest eigenvalue {:.4e}, smallest {:.4e}; quadratic prediction {:.4}; {n_chains} chains",
            spectrum.largest().value,
            spectrum.smallest().value,
            harmonic.prediction.mean.value
        )],
        progress,
    };
    let full = request.batch_size.is_none_or(|b| b >= target.n_samples());
    let (kernel, dynamics) = if full {
        let first = work.step_size(unit, stiffest)?;
        let dynamics = work.travel(first)?;
        (work.trajectory(dynamics, initial_loss)?, dynamics)
    } else {
        (
            Kernel::Sgld,
            work.biased_step(unit, stiffest, initial_loss)?,
        )
    };
    let round = work.rounds(kernel, dynamics, initial_loss)?;
    let found = Calibrated {
        llc: round.llc.with_harmonic(harmonic),
        kernel,
        step_size: round.step_size,
        burn_in: round.burn_in,
        n_draws: round.n_draws,
        n_gradients: work.n_gradients,
        reached: round.reached,
        log: work.log,
    };
    Ok((found, work.starts))
}

/// Chains for a request: fewer where few draws are enough, because many directions have curvature.
fn n_chains(spectrum: &Spectrum, request: &Request) -> usize {
    // the quadratic prediction, without negative eigenvalues: near -γ they make it anything
    let share = |h: f64| {
        let kappa = request.nbeta * h.max(0.0);
        0.5 * kappa / (kappa + request.gamma)
    };
    let n_needed = 1.0 / (spectrum.sum(share).value * request.relative_error.powi(2));
    match n_needed {
        n if n < 25.0 => 4,
        n if n < 100.0 => 8,
        _ => N_CHAINS,
    }
}

struct Work<'a, T> {
    target: &'a T,
    request: &'a Request,
    /// `w*` for every chain, `[n_chains, d]`.
    anchors: Array2<f64>,
    /// Where the chains are, `[n_chains, d]`.
    starts: Array2<f64>,
    n_gradients: u64,
    n_runs: u64,
    log: Vec<String>,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<T: Target + Clone + Send + Sync> Work<'_, T> {
    /// Chains with random numbers that no other run of this calibration has.
    fn run(
        &mut self,
        kernel: Kernel,
        dynamics: &[Dynamics],
        starts: ArrayView2<f64>,
        schedule: Schedule,
    ) -> Result<Draws, RunError> {
        let rows: Vec<Row> = (0..)
            .zip(dynamics)
            .map(|(chain, &dynamics)| Row {
                stream: (self.n_runs << 32) | chain,
                dynamics,
            })
            .collect();
        self.n_runs += 1;
        self.n_gradients += (rows.len() * (schedule.n_steps() + 1)) as u64 * kernel.n_gradients();
        let anchors = self.anchors.row(0);
        let anchors = anchors
            .broadcast((rows.len(), anchors.len()))
            .expect("one anchor for all rows");
        let plan = Plan {
            kernel,
            schedule,
            batch_size: self.request.batch_size,
            radius: None,
            seed: self.request.seed,
            keep_positions: false,
            n_threads: self.request.n_threads,
            block: rows
                .len()
                .div_ceil(self.request.n_threads.max(1))
                .clamp(1, 4),
        };
        let ensemble = Ensemble {
            starts: Some(starts),
            ..Ensemble::new(anchors, &rows)
        };
        chains::run(self.target, &plan, &ensemble, self.progress)
    }

    /// The largest step of a ladder that MALA accepts often enough.
    fn step_size(&mut self, unit: Dynamics, stiffest: f64) -> Result<Dynamics, CalibrateError> {
        const N_RUNGS: usize = 14;
        const EACH: usize = 4;
        let schedule = Schedule {
            burn_in: 0,
            n_draws: 1,
            thin: 1,
        };
        let length = Schedule {
            burn_in: 100,
            ..schedule
        };
        let sizes: Vec<f64> = (0..N_RUNGS)
            .map(|k| 2.0 / stiffest * 0.5f64.powi(k as i32))
            .collect();
        let ladder = sizes
            .iter()
            .map(|&size| unit.with_step_size(size))
            .collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<Dynamics> = (0..N_RUNGS * EACH).map(|i| ladder[i / EACH]).collect();
        let n_chains = self.starts.nrows();
        let starts: Vec<usize> = (0..rows.len()).map(|i| i % n_chains).collect();
        let starts = self.starts.select(Axis(0), &starts);
        // the first run leaves w*, where every step is accepted too easily
        let first = self.run(Kernel::MALA, &rows, starts.view(), length)?;
        let second = self.run(Kernel::MALA, &rows, first.last.view(), length)?;
        let accepted = second.acceptance.expect("a Metropolis kernel");
        let shares: Vec<f64> = accepted
            .chunks(EACH)
            .map(|group| group.iter().sum::<f64>() / EACH as f64)
            .collect();
        let chosen = shares.iter().position(|&share| share >= ACCEPTANCE);
        let Some(chosen) = chosen else {
            return Err(CalibrateError::NoStep {
                largest: sizes[0],
                smallest: sizes[N_RUNGS - 1],
                accepted: shares.iter().fold(0.0, |a: f64, &b| a.max(b)),
            });
        };
        self.log.push(format!(
            "step size {:.4e}, accepted {:.3} of the time",
            sizes[chosen], shares[chosen]
        ));
        Ok(ladder[chosen])
    }

    /// Lets the chains leave `w*`, for some quarter periods of the softest direction, and brings the step to the acceptance that
    /// is wanted where they come to.
    fn travel(&mut self, mut dynamics: Dynamics) -> Result<Dynamics, CalibrateError> {
        /// Quarter periods to travel.
        const N_CROSSINGS: f64 = 5.0;
        /// Trajectories between two changes of the step.
        const EACH: usize = 4;
        /// Longest trajectory.
        const MOST: f64 = 1024.0;
        let mut travelled = 0.0;
        let mut accepted = f64::NAN;
        // a share of the budget, so that a step that is never accepted ends
        while travelled < N_CROSSINGS && self.n_gradients < self.request.max_gradients / 4 {
            let quarter = quarter_period(&dynamics);
            let n_leapfrog = quarter.clamp(1.0, MOST) as u32;
            let schedule = Schedule {
                burn_in: EACH,
                n_draws: 1,
                thin: 1,
            };
            let (rows, starts) = (vec![dynamics; self.starts.nrows()], self.starts.clone());
            let draws = self.run(Kernel::Hmc { n_leapfrog }, &rows, starts.view(), schedule)?;
            self.starts.assign(&draws.last);
            accepted = mean_acceptance(&draws);
            travelled += accepted * EACH as f64 * f64::from(n_leapfrog) / quarter.max(1.0);
            dynamics = toward_acceptance(&dynamics, accepted)?;
        }
        self.log.push(format!(
            "{travelled:.1} quarter periods from w*: step size {:.4e}, accepted {accepted:.3} of the time",
            dynamics.step_size()
        ));
        Ok(dynamics)
    }

    /// The trajectory with the most effective draws for each gradient.
    fn trajectory(
        &mut self,
        dynamics: Dynamics,
        initial_loss: f64,
    ) -> Result<Kernel, CalibrateError> {
        const N_DRAWS: usize = 100;
        // the longest worth a try crosses the softest direction once
        let softest = quarter_period(&dynamics);
        if softest > f64::from(MAX_LEAPFROG) {
            let n_leapfrog = (softest / 32.0) as u32;
            self.log.push(format!("{:?}", Kernel::Hmc { n_leapfrog }));
            return Ok(Kernel::Hmc { n_leapfrog });
        }
        let each = self.starts.nrows().min(8);
        let rows = vec![dynamics; each];
        let mut starts = self.starts.slice(s![..each, ..]).to_owned();
        let (mut best, mut most) = (Kernel::Hmc { n_leapfrog: 2 }, 0.0);
        let mut n_leapfrog = 2;
        loop {
            let kernel = Kernel::Hmc { n_leapfrog };
            let schedule = Schedule {
                burn_in: N_DRAWS / 2,
                n_draws: N_DRAWS,
                thin: 1,
            };
            let draws = self.run(kernel, &rows, starts.view(), schedule)?;
            starts = draws.last.clone();
            let llc = Llc::from_draws(&draws, 0..each, initial_loss, &dynamics);
            let per_gradient = llc.map_or(0.0, |llc| llc.ess / f64::from(n_leapfrog));
            if per_gradient > most {
                (best, most) = (kernel, per_gradient);
            }
            // worse by a factor is no noise
            let too_long = f64::from(n_leapfrog) > softest || n_leapfrog >= MAX_LEAPFROG;
            if too_long || per_gradient < 0.25 * most {
                break;
            }
            n_leapfrog *= 2;
        }
        self.log.push(format!("{best:?}"));
        Ok(best)
    }

    /// The step of SGLD whose predicted bias is half the error asked for.
    fn biased_step(
        &mut self,
        unit: Dynamics,
        stiffest: f64,
        initial_loss: f64,
    ) -> Result<Dynamics, CalibrateError> {
        const N_STEPS: usize = 500;
        let mut dynamics = unit.with_step_size(0.1 / stiffest)?;
        let mut starts = self.starts.clone();
        let n_chains = starts.nrows();
        // the bias is proportional to the step: two corrections, the second from where the first settled
        for _ in 0..3 {
            let schedule = Schedule {
                burn_in: N_STEPS,
                n_draws: N_STEPS,
                thin: 1,
            };
            let rows = vec![dynamics; n_chains];
            let draws = self.run(Kernel::Sgld, &rows, starts.view(), schedule)?;
            let llc = Llc::from_draws(&draws, 0..n_chains, initial_loss, &dynamics)?;
            let share = llc.step_bias.unwrap_or(f64::NAN) / llc.mean.abs();
            let factor = (0.5 * self.request.relative_error / share).clamp(0.05, 10.0);
            self.log.push(format!(
                "SGLD at step size {:.4e}: predicted bias {share:.4} of the estimate",
                dynamics.step_size()
            ));
            let next = (dynamics.step_size() * factor).min(1.0 / stiffest);
            dynamics = dynamics.with_step_size(next)?;
            starts = draws.last;
        }
        self.log
            .push(format!("step size {:.4e}", dynamics.step_size()));
        Ok(dynamics)
    }

    /// Rounds of twice the length each, until one is good enough or the next would cost too much; the last of them.
    fn rounds(
        &mut self,
        kernel: Kernel,
        mut dynamics: Dynamics,
        initial_loss: f64,
    ) -> Result<Round, CalibrateError> {
        /// Draws of a chain in a round from which on they are thinned.
        const MOST_DRAWS: usize = 256;
        let n_chains = self.starts.nrows();
        let mut n_draws = if n_chains < N_CHAINS { 64 } else { MOST_DRAWS };
        let (mut thin, mut done) = (1, 0);
        let mut confirmed = false;
        loop {
            let schedule = Schedule {
                burn_in: thin,
                n_draws,
                thin,
            };
            let (rows, starts) = (vec![dynamics; n_chains], self.starts.clone());
            let draws = self.run(kernel, &rows, starts.view(), schedule)?;
            self.starts.assign(&draws.last);
            let llc = Llc::from_draws(&draws, 0..n_chains, initial_loss, &dynamics)?;
            let accepted = draws.acceptance.as_ref().map(|_| mean_acceptance(&draws));
            let moving = accepted.is_none_or(|share| share >= LOW_ACCEPTANCE);
            let settled = moving && llc.r_hat <= 1.01 && llc.drift.unwrap_or(0.0).abs() <= 4.4;
            let precise =
                llc.mcse.max(llc.mcse_ess) <= self.request.relative_error * llc.mean.abs();
            let n_steps = schedule.n_steps();
            self.log.push(format!(
                "{n_steps} steps after {done}: {:.5} ± {:.5}, R-hat {:.4}",
                llc.mean, llc.mcse, llc.r_hat
            ));
            // the next round costs twice as much
            let next = 2 * (n_steps * n_chains) as u64 * kernel.n_gradients();
            let spent = self.n_gradients + next > self.request.max_gradients;
            let good = settled && precise;
            if (good && confirmed) || spent {
                return Ok(Round {
                    llc,
                    step_size: dynamics.step_size(),
                    burn_in: done + schedule.burn_in,
                    n_draws,
                    reached: good,
                });
            }
            if let Some(accepted) = accepted.filter(|_| !moving) {
                dynamics = toward_acceptance(&dynamics, accepted)?;
            }
            confirmed = good;
            done += n_steps;
            // draws that are nearly independent are kept; others are thinned, so that memory does not grow with them
            if n_draws < MOST_DRAWS || llc.ess > 0.25 * (n_draws * n_chains) as f64 {
                n_draws *= 2;
            } else {
                thin *= 2;
            }
        }
    }
}

/// The round that an estimate is from.
struct Round {
    llc: Llc,
    step_size: f64,
    /// Steps of each chain before its first draw.
    burn_in: usize,
    n_draws: usize,
    reached: bool,
}

/// Leapfrog steps in a quarter period, `(π/2)/√γ`, of a direction that γ alone holds.
fn quarter_period(dynamics: &Dynamics) -> f64 {
    0.5 * std::f64::consts::PI / (dynamics.step_size() * dynamics.gamma()).sqrt()
}

fn mean_acceptance(draws: &Draws) -> f64 {
    let shares = draws.acceptance.as_ref().expect("a Metropolis kernel");
    shares.iter().sum::<f64>() / shares.len() as f64
}

/// The step size moved towards the one of the wanted acceptance.
fn toward_acceptance(dynamics: &Dynamics, accepted: f64) -> Result<Dynamics, DynamicsError> {
    dynamics.with_step_size(dynamics.step_size() * (2.0 * (accepted - ACCEPTANCE)).exp())
}
