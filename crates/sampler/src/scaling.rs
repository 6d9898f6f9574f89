//! λ and m together, from a target and a point, with no setting chosen by hand.
//!
//! 1. The parameters are split into blocks in which the loss is quadratic, and single ones.
//! 2. Populations of particles are cooled from the localising normal along a ladder of inverse temperatures `s = nβ`
//!    (`annealing.rs` has the method). Each rung gives `E[sK]` and `Var[sK]`, `K = L - L(w*)`. The rungs are evenly spaced in
//!    `log log s`, as corrections to λ are powers of s at the hot end and of `1/log s` at the cold one. The ladder ends where
//!    rounding spoils the conditional draws.
//! 3. `sK` and its square are replaced by themselves less their regression on numbers of mean zero, so that most of their
//!    variance is gone: for a block in which the loss is quadratic, `f - E[f | others]`; for others, integration by parts,
//!    `E[div φ - φ·∇U] = 0`, along `w - w*`. Where the first round's errors are too large, a second has more particles.
//! 4. A scaling law is fitted to all rungs or, if no law holds there, to the colder ones ([`fit_colder_scaling_law`]). Where two
//!    multiplicities have nearly the same score, a ladder of three times as many particles and four times as many measured sweeps decides, as long as the budget lasts.
//!
//! **Errors** are the spread of 32 independent populations, and at least `1/n` of the mean for n particles, as none of them may have
//! visited a part of that weight. Those of E and Var at one rung are correlated, which the fit is told; those of neighbouring
//! rungs are, too, as they share particles, and their errors are widened by `√((1 + ρ)/(1 - ρ))` for it, the factor for a
//! slowly varying function of autoregressive noise.

use ndarray::{Array1, ArrayView1, Axis};
use serde::{Deserialize, Serialize};
use slt_stats::{
    DrawsError, ScalingFit, ScalingFitError, ScalingPoint, ScalingVariance, fit_colder_scaling_law,
};

use crate::annealing::{Annealing, Level, N_SWEEPS, Stuck};
use crate::conditional::blocks;
use crate::control_variates::controlled;
use crate::summary::Summary;
use crate::target::Target;
use crate::thermodynamic::{FreeEnergyDifference, LadderError, Rung, free_energy_difference};

/// Independent populations: enough that their spread is the error.
const N_POPULATIONS: usize = 32;
/// Particles of a population in the first round, and in the second at least.
const N_TRIAL_PARTICLES: usize = 64;
const N_PARTICLES: usize = 256;
/// Where the first round goes if no range is given, in units of one over the mean of K, and in how many rungs. The hot end of the
/// second is this power of its cold end, where other terms than λ and the logarithms should be gone, but no colder than that: logarithms
/// are largest at the hot end.
const TRIAL: (f64, f64) = (1e3, 1e100);
const N_TRIAL: usize = 24;
const HOTTEST: f64 = 0.4;
const COLD_ENOUGH: f64 = 1e16;
/// The largest mean error of the energies of conditional draws, which are exact but for rounding.
const MOST_ROUNDING: f64 = 2e-4;
/// Measured sweeps at a rung, and on a ladder that is to decide: they cost less than particles, but leave these where they are along the zeros.
const N_MEASURED: usize = 4;
const N_DECIDING: usize = 16;
/// Preference of a multiplicity below which a ladder of more particles is climbed, how many times as many at most, and how many times as many
/// draws at least: fewer are not worth a ladder.
const DECIDED: f64 = 6.0;
const GROWTH: f64 = 3.0;
const LEAST_GROWTH: f64 = 1.5;
/// Rungs that are fitted at least.
const LEAST_RUNGS: usize = 8;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScalingRequest {
    /// Localisation γ, positive.
    pub gamma: f64,
    /// The hottest and the coldest `nβ`; chosen if `None`.
    pub nbetas: Option<(f64, f64)>,
    /// Rungs of the ladder, evenly spaced in `log nβ`.
    pub n_rungs: usize,
    /// Standard error of `E[sK]` at each rung, as a share of it; the variance has twice that.
    pub relative_error: f64,
    /// Rows that the target may evaluate; second derivatives by differences count as a row for each parameter of a block, roots of them
    /// ([`Target::block_roots`]) as three rows.
    pub max_evaluations: u64,
    /// Seed.
    pub seed: u64,
    /// Worker threads.
    pub n_threads: usize,
}

impl ScalingRequest {
    /// 16 rungs as cold as rounding allows, at errors of 0.2 %, for at most `10⁹` evaluations.
    pub fn new(gamma: f64, seed: u64) -> Self {
        Self {
            gamma,
            nbetas: None,
            n_rungs: 16,
            relative_error: 0.002,
            max_evaluations: 1_000_000_000,
            seed,
            n_threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// λ and m, and how they came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    /// λ of the best law.
    pub lambda: f64,
    /// Its standard error, the choice of m included: [`ScalingFit::lambda_error`].
    pub lambda_error: f64,
    /// m of the best law.
    pub multiplicity: u32,
    /// How much worse the score of the next best m is; below 6 the choice is open. Infinite where there is one alone.
    pub preference: f64,
    /// The laws, with `s` in units of one over the mean of K under the localising normal.
    pub fit: ScalingFit,
    /// All rungs, from hot to cold.
    pub rungs: Vec<Rung>,
    /// Of these, how many of the coldest were fitted.
    pub n_fitted: usize,
    /// The free energy from the first rung to the last.
    pub free_energy: FreeEnergyDifference,
    /// Correlation of neighbouring rungs, by which errors were widened.
    pub correlation: f64,
    /// Blocks of parameters in which the loss is quadratic, and others.
    pub n_blocks: (usize, usize),
    /// Particles in all.
    pub n_particles: usize,
    /// Rows that the target evaluated, counted in the same way.
    pub n_evaluations: u64,
    /// Whether the error that was asked for was reached on all rungs.
    pub reached: bool,
    /// What was done, a line for each decision.
    pub log: Vec<String>,
}

/// Why there is no λ.
#[derive(Debug, thiserror::Error)]
pub enum ScalingError {
    /// The anchor does not fit the target.
    #[error("the anchor has {got} parameters; expected {expected}")]
    Shape {
        /// Parameters of the target.
        expected: usize,
        /// Those of the anchor.
        got: usize,
    },
    /// Without localisation there is no start.
    #[error("gamma is {0}; expected a positive number")]
    Gamma(f64),
    /// The range of inverse temperatures is none.
    #[error("nbetas are {0} to {1}; expected 1 < first < last, finite")]
    Nbetas(f64, f64),
    /// Rungs are too few to tell laws apart.
    #[error("n_rungs is {0}; expected at least {LEAST_RUNGS}")]
    Rungs(usize),
    /// The relative error is not in `(0, 1)`.
    #[error("relative_error is {0}; expected more than 0 and less than 1")]
    RelativeError(f64),
    /// No thread is to work.
    #[error("n_threads is 0; expected at least 1")]
    Threads,
    /// The loss at the anchor is not finite.
    #[error("the loss at w* is {0}; expected a finite number")]
    InitialLoss(f64),
    /// The loss is the same everywhere, or lower around `w*` than there.
    #[error("the mean of L - L(w*) around w* is {0}; expected a positive number")]
    Scale(f64),
    /// There are lower losses nearby than that at `w*`.
    #[error(
        "E[nβ (L - L(w*))] is {mean} at nβ = {nbeta:e}; expected a positive number: w* is no minimum"
    )]
    NotAMinimum {
        /// The estimate.
        mean: f64,
        /// nβ.
        nbeta: f64,
    },
    /// Too few rungs are free of rounding.
    #[error(
        "rounding spoils the draws at nβ = {nbeta:e}; expected {LEAST_RUNGS} rungs up to {coldest:e}"
    )]
    Rounding {
        /// Where.
        nbeta: f64,
        /// The coldest good rung.
        coldest: f64,
    },
    /// The populations cannot be cooled.
    #[error(transparent)]
    Stuck(#[from] Stuck),
    /// An estimate is none.
    #[error(transparent)]
    Draws(#[from] DrawsError),
    /// Rungs make no ladder.
    #[error(transparent)]
    Ladder(#[from] LadderError),
    /// No law fits.
    #[error(transparent)]
    Fit(#[from] ScalingFitError),
}

/// λ and m of the loss around `anchor`, from several temperatures.
///
/// They are those of the deepest singularity within reach of the normal `N(w*, 1/γ)`, not of `w*` alone: at a larger γ the cold end
/// of the ladder has to be colder, at a smaller one more of the surroundings counts.
///
/// `progress` is called with the number of rows that the target evaluated since its last call.
///
/// Shapes: `anchor`: `[d]`.
///
/// # Errors
/// [`ScalingError`] where the request is impossible, `w*` is no minimum, or no law fits. An error that was not reached within
/// `max_evaluations` is no `Err`: it is [`Scaling::reached`].
///
/// ```
/// use ndarray::array;
/// use slt_sampler::{ScalingRequest, estimate_scaling, targets::NormalCrossing};
///
/// // K = w₁²w₂⁴: λ = 1/4, m = 1
/// let target = NormalCrossing::new(1.0, &[1, 2], 100);
/// let found = estimate_scaling(&target, array![0.0, 0.0].view(), &ScalingRequest::new(1.0, 1), &|_| ())?;
/// assert_eq!(found.multiplicity, 1);
/// assert!((found.lambda - 0.25).abs() < 0.01);
/// # Ok::<(), slt_sampler::ScalingError>(())
/// ```
pub fn estimate_scaling<T: Target + Clone + Send + Sync>(
    target: &T,
    anchor: ArrayView1<f64>,
    request: &ScalingRequest,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Scaling, ScalingError> {
    check(target, anchor, request)?;
    let mut probe = target.clone();
    let mut initial = [f64::NAN];
    probe.loss(anchor.insert_axis(Axis(0)), &mut initial);
    if !initial[0].is_finite() {
        return Err(ScalingError::InitialLoss(initial[0]));
    }
    let blocks = blocks(&mut probe, anchor, request.gamma, request.seed);
    let n_quadratic = blocks.iter().filter(|block| block.quadratic).count();
    let mut annealing = Annealing {
        anchor,
        initial_loss: initial[0],
        gamma: request.gamma,
        blocks: &blocks,
        n_populations: N_POPULATIONS,
        n_particles: N_TRIAL_PARTICLES,
        n_measured: N_MEASURED,
        seed: request.seed,
        from_stream: 0,
        n_threads: request.n_threads,
    };
    let scale = annealing.scale(target);
    if !(0.0 < scale && scale.is_finite()) {
        return Err(ScalingError::Scale(scale));
    }
    let mut log = vec![format!(
        "blocks: {n_quadratic} quadratic, {} others",
        blocks.len() - n_quadratic
    )];
    let trial = match request.nbetas {
        Some(range) => evenly(range, request.n_rungs),
        None => by_logarithms(TRIAL, N_TRIAL, scale),
    };
    let first = climb(&annealing, target, &trial, progress)?;
    log.push(first.describe(&annealing));
    let coldest = first.rungs.last().map_or(0.0, |rung| rung.nbeta);
    let mut nbetas = match request.nbetas {
        Some(range) => evenly(range, request.n_rungs),
        None => {
            let cold = scale * coldest;
            let hot = cold.powf(HOTTEST).min(COLD_ENOUGH);
            by_logarithms((hot, cold), request.n_rungs, scale)
        }
    };
    nbetas.retain(|&s| s <= coldest);
    if nbetas.len() < LEAST_RUNGS || !(scale * coldest > TRIAL.0) {
        let nbeta = first.ended.unwrap_or(coldest);
        return Err(ScalingError::Rounding { nbeta, coldest });
    }
    // errors fall with the root of the number of particles
    let wanted = 1.2
        * first
            .excess_error(nbetas[0], request.relative_error)
            .powi(2);
    let affordable = request.max_evaluations as f64 / first.n_evaluations as f64;
    annealing.n_particles =
        N_PARTICLES.max((N_TRIAL_PARTICLES as f64 * wanted.min(affordable)) as usize);
    let max_multiplicity = u32::try_from(anchor.len()).unwrap_or(u32::MAX);
    let mut n_evaluations = first.n_evaluations;
    let (ladder, fit, n_fitted) = loop {
        annealing.from_stream += N_POPULATIONS as u64;
        let ladder = climb(&annealing, target, &nbetas, progress)?;
        log.push(ladder.describe(&annealing));
        if ladder.rungs.len() < LEAST_RUNGS {
            let nbeta = ladder.ended.unwrap_or(coldest);
            return Err(ScalingError::Rounding { nbeta, coldest });
        }
        n_evaluations += ladder.n_evaluations;
        let points = ladder.points(scale, ladder.correlation());
        let (fit, n_fitted) = fit_colder_scaling_law(&points, max_multiplicity, LEAST_RUNGS)?;
        log.push(format!(
            "fitted from nβ = {:.1e} on, chi-square {:.1} for {} degrees of freedom; m = {} preferred by {:.1}",
            ladder.rungs[points.len() - n_fitted].nbeta,
            fit.best.chi_square,
            fit.best.dof,
            fit.best.multiplicity,
            fit.preference()
        ));
        let left = request.max_evaluations.saturating_sub(n_evaluations) as f64;
        let longer = ladder.sweeps(N_DECIDING) / ladder.sweeps(annealing.n_measured);
        let growth = (left / (longer * ladder.n_evaluations as f64)).min(GROWTH);
        let more = growth * N_DECIDING as f64 / annealing.n_measured as f64;
        if fit.preference() >= DECIDED || growth < 1.0 || more < LEAST_GROWTH {
            break (ladder, fit, n_fitted);
        }
        annealing.n_particles = (growth * annealing.n_particles as f64) as usize;
        annealing.n_measured = N_DECIDING;
    };
    let best = fit.best;
    Ok(Scaling {
        lambda: best.lambda,
        lambda_error: fit.lambda_error(),
        multiplicity: best.multiplicity,
        preference: fit.preference(),
        fit,
        n_fitted,
        free_energy: free_energy_difference(&ladder.rungs)?,
        correlation: ladder.correlation(),
        n_blocks: (n_quadratic, blocks.len() - n_quadratic),
        n_particles: N_POPULATIONS * annealing.n_particles,
        n_evaluations,
        reached: ladder.excess_error(0.0, request.relative_error) <= 1.0,
        rungs: ladder.rungs,
        log,
    })
}

fn check<T: Target>(
    target: &T,
    anchor: ArrayView1<f64>,
    request: &ScalingRequest,
) -> Result<(), ScalingError> {
    let (expected, got) = (target.n_params(), anchor.len());
    if expected != got {
        return Err(ScalingError::Shape { expected, got });
    }
    if !(0.0 < request.gamma && request.gamma.is_finite()) {
        return Err(ScalingError::Gamma(request.gamma));
    }
    if let Some((first, last)) = request.nbetas
        && !(1.0 < first && first < last && last.is_finite())
    {
        return Err(ScalingError::Nbetas(first, last));
    }
    if request.n_rungs < LEAST_RUNGS {
        return Err(ScalingError::Rungs(request.n_rungs));
    }
    if !(0.0 < request.relative_error && request.relative_error < 1.0) {
        return Err(ScalingError::RelativeError(request.relative_error));
    }
    if request.n_threads == 0 {
        return Err(ScalingError::Threads);
    }
    Ok(())
}

/// What one round of cooling gave.
struct Ladder {
    rungs: Vec<Rung>,
    n_evaluations: u64,
    n_steps: usize,
    /// The least effective share of a step.
    share: f64,
    /// Where rounding ended it.
    ended: Option<f64>,
}

/// Cools populations along the ladder.
fn climb<T: Target + Clone + Send + Sync>(
    annealing: &Annealing,
    target: &T,
    nbetas: &[f64],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Ladder, ScalingError> {
    let mut ladder = Ladder {
        rungs: vec![],
        n_evaluations: 0,
        n_steps: 0,
        share: 1.0,
        ended: None,
    };
    let n_quadratic = annealing
        .blocks
        .iter()
        .filter(|block| block.quadratic)
        .count();
    let mut failed = None;
    let cooled = annealing.run(target, nbetas, |level| {
        progress(level.n_evaluations);
        ladder.n_evaluations += level.n_evaluations;
        ladder.n_steps += level.n_steps;
        ladder.share = ladder.share.min(level.share);
        if !(level.rounding <= MOST_ROUNDING) {
            ladder.ended = Some(level.nbeta);
            return false;
        }
        match estimate(&level, annealing.n_populations) {
            Ok(rung) => ladder.rungs.push(rung),
            Err(error) => failed = Some(error),
        }
        failed.is_none()
    });
    if let Some(error) = failed {
        return Err(error);
    }
    match cooled {
        // conditional laws that are none leave no weight
        Err(stuck) if n_quadratic > 0 => ladder.ended = Some(stuck.nbeta),
        other => other?,
    }
    Ok(ladder)
}

/// `nβ` whose `s = scale nβ` have logarithms with even ratios.
fn by_logarithms((hot, cold): (f64, f64), n: usize, scale: f64) -> Vec<f64> {
    let logarithms = evenly((hot.ln(), cold.ln()), n);
    logarithms.iter().map(|l| l.exp() / scale).collect()
}

/// n numbers with even ratios.
fn evenly((first, last): (f64, f64), n: usize) -> Vec<f64> {
    let at = |i: usize| first * (last / first).powf(i as f64 / (n - 1) as f64);
    (0..n)
        .map(|i| if i + 1 < n { at(i) } else { last })
        .collect()
}

impl Ladder {
    /// The largest error from `nbeta` on, in units of the one that is wanted.
    fn excess_error(&self, nbeta: f64, wanted: f64) -> f64 {
        let excess = |rung: &Rung| {
            let share = |summary: &Summary| summary.mcse / (wanted * summary.mean.abs());
            share(&rung.mean).max(0.5 * share(&rung.variance))
        };
        self.rungs
            .iter()
            .filter(|rung| rung.nbeta >= nbeta)
            .map(excess)
            .fold(0.0, f64::max)
    }

    /// Sweeps of a particle if so many are measured at each rung.
    fn sweeps(&self, n_measured: usize) -> f64 {
        (N_SWEEPS * self.n_steps + n_measured * self.rungs.len()) as f64
    }

    /// Mean correlation of neighbouring rungs over populations, or 0.
    fn correlation(&self) -> f64 {
        let pairs = self.rungs.windows(2);
        let sum: f64 = pairs
            .map(|pair| correlation(&pair[0].mean, &pair[1].mean))
            .sum();
        (sum / (self.rungs.len() - 1) as f64).max(0.0)
    }

    fn points(&self, scale: f64, between: f64) -> Vec<ScalingPoint> {
        let widened = ((1.0 + between) / (1.0 - between)).sqrt();
        let point = |rung: &Rung| ScalingPoint {
            nbeta: scale * rung.nbeta,
            mean: rung.mean.mean,
            mean_error: widened * rung.mean.mcse,
            variance: Some(ScalingVariance {
                value: rung.variance.mean,
                error: widened * rung.variance.mcse,
                correlation: correlation(&rung.mean, &rung.variance),
            }),
        };
        self.rungs.iter().map(point).collect()
    }

    fn describe(&self, annealing: &Annealing) -> String {
        let rungs = format!(
            "{N_POPULATIONS} populations of {}: {} rungs in {} steps, effective share at least {:.2}, errors at most {:.2} %",
            annealing.n_particles,
            self.rungs.len(),
            self.n_steps,
            self.share,
            100.0 * self.excess_error(0.0, 1.0)
        );
        match self.ended {
            Some(nbeta) => format!("{rungs}; ended by rounding at nβ = {nbeta:.1e}"),
            None => rungs,
        }
    }
}

/// Correlation of two means over populations, short of 1 by what 32 of them can tell.
fn correlation(a: &Summary, b: &Summary) -> f64 {
    let sum = |x: &Summary, y: &Summary| -> f64 {
        let pairs = x.per_chain.iter().zip(&y.per_chain);
        pairs.map(|(p, q)| (p - x.mean) * (q - y.mean)).sum()
    };
    let product = (sum(a, a) * sum(b, b)).sqrt();
    if product > 0.0 {
        (sum(a, b) / product).clamp(-0.99, 0.99)
    } else {
        0.0
    }
}

/// `E[sK]` and `Var[sK]` of a level, with their errors.
fn estimate(level: &Level, n_populations: usize) -> Result<Rung, ScalingError> {
    let n = level.values.nrows();
    let controls: Vec<usize> = (2..level.values.ncols()).collect();
    let controls = level.values.select(Axis(1), &controls);
    let by_population = |values: Array1<f64>| {
        let shape = (n_populations, n / n_populations);
        values
            .into_shape_with_order(shape)
            .expect("populations of one size")
    };
    let f = by_population(controlled(level.values.column(0), &controls));
    let square = by_population(controlled(level.values.column(1), &controls));
    let mut mean = Summary::new(f.view())?;
    let mu = mean.mean;
    // linear in the deviations of E[f] and E[f²]
    let mut variance = Summary::new((&square - &(2.0 * mu * &f) + mu * mu).view())?;
    if !(0.0 < mu && 0.0 < variance.mean) {
        return Err(ScalingError::NotAMinimum {
            mean: mu,
            nbeta: level.nbeta,
        });
    }
    for summary in [&mut mean, &mut variance] {
        summary.mcse = summary.mcse.max(summary.mean / n as f64);
    }
    Ok(Rung {
        nbeta: level.nbeta,
        mean,
        variance,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Batch;
    use crate::targets::{NormalCrossing, Quadratic};
    use ndarray::{ArrayView2, ArrayViewMut2, array};
    use slt_theory::monomial_law;

    fn request() -> ScalingRequest {
        ScalingRequest {
            nbetas: Some((1e4, 1e12)),
            n_rungs: 8,
            max_evaluations: 2_000_000,
            ..ScalingRequest::new(1.0, 1)
        }
    }

    /// Rungs hold the exact law, whichever kind of block the variables are; the numbers do not depend on the threads.
    #[test]
    fn rungs_have_the_exact_law() {
        for exponents in [[1, 1], [2, 2], [1, 2]] {
            let target = NormalCrossing::new(1.0, &exponents, 100);
            let run = |n_threads| {
                let request = ScalingRequest {
                    n_threads,
                    ..request()
                };
                estimate_scaling(&target, array![0.0, 0.0].view(), &request, &|_| ())
                    .expect("a law")
            };
            let found = run(2);
            let n_quadratic = exponents.iter().filter(|&&k| k == 1).count();
            assert_eq!(found.n_blocks, (n_quadratic, 2 - n_quadratic));
            for rung in &found.rungs {
                let law = monomial_law(1.0, &exponents, rung.nbeta, 1.0).expect("valid");
                for (summary, exact) in [(&rung.mean, law.mean()), (&rung.variance, law.variance())]
                {
                    // Student's t with 31 degrees of freedom: the 1e-5/48 point is 7.4
                    let z = (summary.mean - exact) / summary.mcse;
                    assert!(z.abs() < 7.4, "{exponents:?}: {z} {exact} {summary:?}");
                    assert!(summary.mcse < 0.01 * exact, "{exponents:?}: {summary:?}");
                }
            }
            assert_eq!(run(1), found);
        }
    }

    /// A quadratic has λ = d/2 at every temperature.
    #[test]
    fn a_quadratic_is_regular() {
        let hessian = array![[2.0, 0.7, 0.1], [0.7, 1.0, 0.4], [0.1, 0.4, 3.0]];
        let anchor = array![0.3, -1.0, 2.0];
        let target = Quadratic::new(hessian, anchor.clone(), 0.4, 10);
        let found = estimate_scaling(&target, anchor.view(), &request(), &|_| ()).expect("a law");
        assert_eq!((found.multiplicity, found.n_blocks), (1, (1, 0)));
        assert!((found.lambda - 1.5).abs() < 1e-3, "{found:?}");
        // -log Z = 3/2 log s but for terms of 1/s
        let exact = 1.5 * 1e8f64.ln();
        assert!(
            (found.free_energy.value - exact).abs() < 0.01,
            "{:?}",
            found.free_energy
        );
    }

    /// A gradient that is not that of the loss.
    #[derive(Debug, Clone)]
    struct Wrong(NormalCrossing);

    impl Target for Wrong {
        fn n_params(&self) -> usize {
            self.0.n_params()
        }

        fn n_samples(&self) -> usize {
            self.0.n_samples()
        }

        fn loss_and_grad(
            &mut self,
            rows: ArrayView2<f64>,
            batch: Batch,
            mut grad: ArrayViewMut2<f64>,
            loss: &mut [f64],
        ) {
            self.0.loss_and_grad(rows, batch, grad.view_mut(), loss);
            grad.mapv_inplace(|g| 1.1 * g);
        }

        fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
            self.0.loss(rows, loss);
        }
    }

    /// The Metropolis test of the draws finds a wrong law.
    #[test]
    fn a_wrong_gradient_is_caught() {
        let target = Wrong(NormalCrossing::new(1.0, &[1, 1], 100));
        let error = estimate_scaling(&target, array![0.0, 0.0].view(), &request(), &|_| ());
        let message = error.expect_err("refused").to_string();
        assert!(
            message.starts_with("rounding spoils the draws at nβ = 1e4"),
            "{message}"
        );
    }

    #[test]
    fn impossible_requests_are_named() {
        let target = Quadratic::new(array![[1.0]], array![0.0], 0.0, 10);
        let message = |change: fn(&mut ScalingRequest), anchor: Array1<f64>| {
            let mut request = request();
            change(&mut request);
            let error = estimate_scaling(&target, anchor.view(), &request, &|_| ());
            error.expect_err("refused").to_string()
        };
        let zero = || array![0.0];
        assert!(
            message(|_| (), array![0.0, 0.0])
                .starts_with("the anchor has 2 parameters; expected 1")
        );
        assert!(message(|r| r.gamma = 0.0, zero()).starts_with("gamma is 0"));
        assert!(
            message(|r| r.nbetas = Some((1.0, 1e9)), zero())
                .starts_with("nbetas are 1 to 1000000000")
        );
        assert!(message(|r| r.nbetas = Some((1e9, f64::NAN)), zero()).contains("to NaN"));
        assert!(
            message(|r| r.n_rungs = 7, zero()).starts_with("n_rungs is 7; expected at least 8")
        );
        assert!(message(|r| r.relative_error = 1.0, zero()).starts_with("relative_error is 1"));
        assert!(message(|r| r.n_threads = 0, zero()).starts_with("n_threads is 0"));
        assert!(message(|_| (), array![f64::NAN]).starts_with("the loss at w* is NaN"));
        let flat = Quadratic::new(array![[0.0]], array![0.0], 0.0, 10);
        let error = estimate_scaling(&flat, zero().view(), &request(), &|_| ()).expect_err("flat");
        assert!(
            error
                .to_string()
                .starts_with("the mean of L - L(w*) around w* is 0")
        );
        // a point that is no minimum: lower losses are found
        let error = estimate_scaling(&target, array![1.0].view(), &request(), &|_| ());
        let message = error.expect_err("refused").to_string();
        assert!(message.contains("w* is no minimum"), "{message}");
    }
}
