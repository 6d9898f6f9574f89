//! Runs chains: burn-in, draws, rows split over threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis, CowArray, Ix2, s};

use crate::dynamics::Row;
use crate::kernel::{Kernel, KernelError};
use crate::minibatch::Minibatches;
use crate::resident::{Arrival, Residence, Residents, Seen};
use crate::state::State;
use crate::stream::Purpose;
use crate::target::{Batch, Target};

/// Which states of a chain are draws: those after `burn_in + k thin` steps, `k = 0 .. n_draws`.
///
/// With `burn_in` 0 the first draw is the start itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Steps before the first draw.
    pub burn_in: usize,
    /// Draws of each chain.
    pub n_draws: usize,
    /// Steps from one draw to the next.
    pub thin: usize,
}

impl Schedule {
    /// Steps to the last draw.
    pub fn n_steps(&self) -> usize {
        self.burn_in + (self.n_draws - 1) * self.thin
    }

    fn draw(&self, step: usize) -> Option<usize> {
        let after = step.checked_sub(self.burn_in)?;
        after
            .is_multiple_of(self.thin)
            .then(|| after / self.thin)
            .filter(|&k| k < self.n_draws)
    }
}

/// How an ensemble of chains is run; everything here but `n_threads` and `block` decides the numbers.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How rows are moved.
    pub kernel: Kernel,
    /// Which states are kept.
    pub schedule: Schedule,
    /// Samples in a gradient; all of them if `None`.
    pub batch_size: Option<usize>,
    /// Largest distance of a parameter from its anchor.
    pub radius: Option<f64>,
    /// Seed of noise and minibatches.
    pub seed: u64,
    /// Whether to keep where each draw was.
    pub keep_positions: bool,
    /// Worker threads.
    pub n_threads: usize,
    /// Rows that a worker moves together, at most ([`Target::n_rows_at_once`]).
    pub block: usize,
}

/// The chains that are run: where they are held, and what each does.
pub struct Ensemble<'a, T> {
    /// `w*` of each row, `[n_rows, d]`.
    pub anchors: ArrayView2<'a, f64>,
    /// Random streams and dynamics of each row, `[n_rows]`.
    pub rows: &'a [Row],
    /// Where the chains start, `[n_rows, d]`; at their anchors if `None`.
    pub starts: Option<ArrayView2<'a, f64>>,
    /// Length scale of each parameter, `[n_rows, d]` (see [`State::with_scale`]; [`mask`] makes one that holds parameters);
    /// all 1 if `None`.
    pub scale: Option<ArrayView2<'a, f64>>,
    /// What else is computed at each draw.
    pub observable: Option<Observable<'a, T>>,
}

impl<'a, T> Ensemble<'a, T> {
    /// Chains that start at their anchors.
    pub fn new(anchors: ArrayView2<'a, f64>, rows: &'a [Row]) -> Self {
        Self {
            anchors,
            rows,
            starts: None,
            scale: None,
            observable: None,
        }
    }
}

/// A function of where a row is, computed at each draw.
pub struct Observable<'a, T> {
    /// Values for each row.
    pub n_values: usize,
    /// Fills the values `[n_rows, n_values]` at `rows`, `[n_rows, d]`.
    pub observe: &'a Observe<T>,
}

/// Computes the values of an [`Observable`] for all rows.
pub type Observe<T> = dyn Fn(&mut T, ArrayView2<f64>, ArrayViewMut2<f64>) + Sync;

impl<T> Clone for Observable<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Observable<'_, T> {}

/// What an ensemble of chains drew.
#[derive(Debug, Clone)]
pub struct Draws {
    /// Mean loss over *all* samples at each draw, shape `[n_rows, n_draws]`. Units: nats.
    pub loss: Array2<f64>,
    /// Distance `|w - w*|` at each draw, shape `[n_rows, n_draws]`.
    pub distance: Array2<f64>,
    /// Parameters at each draw, shape `[n_rows, n_draws, d]`, where asked for.
    pub positions: Option<Array3<f64>>,
    /// Values of the observable at each draw, shape `[n_rows, n_draws, n_values]`, where there is one.
    pub observed: Option<Array3<f64>>,
    /// Parameters at the last draw, shape `[n_rows, d]`.
    pub last: Array2<f64>,
    /// What the finite step and the noise of the minibatches add to each row's `nβ E L`, to first order, `[n_rows]`: the mean
    /// over draws of `(ε/8) Σ s² nβ g (nβ g + γ (w - w*))` with the gradients `g` of the steps; see [`run`]. For SGLD alone.
    pub step_bias: Option<Vec<f64>>,
    /// Mean over draws of the loss over the minibatch of the step that left them, `[n_rows]`, where chains run on minibatches. Units: nats.
    pub batch_loss: Option<Vec<f64>>,
    /// Accepted share of each row's proposals, `[n_rows]`, for kernels with a Metropolis test.
    pub acceptance: Option<Vec<f64>>,
}

/// Why an ensemble is not run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RunError {
    /// A shape does not fit the target.
    #[error("{name} has shape {got:?}; expected {expected:?}")]
    Shape {
        /// What does not fit.
        name: &'static str,
        /// Its shape.
        got: Vec<usize>,
        /// The shape that fits.
        expected: Vec<usize>,
    },
    /// There is no chain to run.
    #[error("there are no rows: expected at least one chain")]
    NoRows,
    /// A number is not finite.
    #[error("{name}[{row}, {parameter}] is {value}; expected a finite number")]
    NotFinite {
        /// The array.
        name: &'static str,
        /// Its row.
        row: usize,
        /// Its column.
        parameter: usize,
        /// The value.
        value: f64,
    },
    /// The loss at an anchor is not finite.
    #[error(
        "the loss at w* of row {row} is {value}; expected a finite number: w* or the target's data are at fault"
    )]
    InitialLoss {
        /// The row.
        row: usize,
        /// The loss.
        value: f64,
    },
    /// A count is zero.
    #[error("{0} is 0; expected at least 1")]
    Zero(&'static str),
    /// The radius of the box is not a positive number.
    #[error("radius is {0}; expected a positive number")]
    Radius(f64),
    /// A scale is negative.
    #[error("scale[{row}, {parameter}] is {value}; expected zero or a positive number")]
    NegativeScale {
        /// Its row.
        row: usize,
        /// Its column.
        parameter: usize,
        /// The value.
        value: f64,
    },
    /// A mask selects nothing, or all scales of a row are zero.
    #[error(
        "no parameter of row {row} moves: the mask selects nothing; expected at least one parameter"
    )]
    NothingMoves {
        /// The row.
        row: usize,
    },
    /// A minibatch is as large as the data or larger.
    #[error("batch_size is {batch_size}; expected 1 to the number of samples, {n_samples}")]
    BatchSize {
        /// Samples in a batch.
        batch_size: usize,
        /// Samples there are.
        n_samples: usize,
    },
    /// A Metropolis test on minibatches.
    #[error(
        "batch_size is {0}, but a Metropolis test needs the loss of all samples: leave it out, or take another kernel"
    )]
    MetropolisOnMinibatches(usize),
    /// The kernel's settings are impossible.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Scales for a weight restriction, `[1, d]`: 1 where `selected`, 0 elsewhere. Broadcast it to the rows of an ensemble.
///
/// # Errors
/// [`RunError::NothingMoves`] where nothing is selected.
pub fn mask(selected: &[bool]) -> Result<Array2<f64>, RunError> {
    if !selected.contains(&true) {
        return Err(RunError::NothingMoves { row: 0 });
    }
    let scale = |(_, i): (usize, usize)| f64::from(u8::from(selected[i]));
    Ok(Array2::from_shape_fn((1, selected.len()), scale))
}

/// Runs one chain for each row.
///
/// The loss of a draw is over all samples also where the chain itself runs on minibatches. `progress` is called with the
/// number of chain-steps done since its last call, from any thread. Rows are handed to the workers in blocks; the
/// numbers depend neither on the blocks nor on the number of threads.
///
/// [`Draws::step_bias`] comes from the quadratic case: with `nβL = κx²/2`, precision `a = κ + γ` and gradient noise of variance
/// `c`, SGLD's stationary variance is `(1 + εc/4)/(a (1 - εa/4))`, so `E nβL` is too large by `(ε/8)(κ + κc/a)` to first order in
/// ε, and `E[nβg (nβg + γx)] = κ + c`. The two agree where the loss, not γ, holds the parameter.
///
/// # Errors
/// [`RunError`] names the shape, the setting or the number that no chain can be run with, before any is.
pub fn run<T: Target + Clone + Send + Sync>(
    target: &T,
    plan: &Plan,
    ensemble: &Ensemble<T>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Draws, RunError> {
    check(target, plan, ensemble)?;
    let (n_rows, d) = ensemble.anchors.dim();
    let n_draws = plan.schedule.n_draws;
    let cube = |n_values: usize| Array3::zeros((n_rows, n_draws, n_values));
    let mut draws = Draws {
        loss: Array2::zeros((n_rows, n_draws)),
        distance: Array2::zeros((n_rows, n_draws)),
        positions: plan.keep_positions.then(|| cube(d)),
        observed: ensemble.observable.map(|o| cube(o.n_values)),
        last: Array2::zeros((n_rows, d)),
        step_bias: (plan.kernel == Kernel::Sgld).then(|| vec![0.0; n_rows]),
        batch_loss: is_on_minibatches(plan, target).then(|| vec![0.0; n_rows]),
        acceptance: plan.kernel.is_metropolis().then(|| vec![0.0; n_rows]),
    };
    let n_at_once = match residence(target, plan, ensemble) {
        Some(residence) => residence.capacity(),
        None => plan.block.min(target.n_rows_at_once()),
    };
    let blocks: Vec<_> = (0..n_rows)
        .step_by(n_at_once)
        .map(|from| from..(from + n_at_once).min(n_rows))
        .collect();
    let next = AtomicUsize::new(0);
    let collected = Mutex::new(&mut draws);
    std::thread::scope(|scope| {
        for _ in 0..plan.n_threads.min(blocks.len()) {
            scope.spawn(|| {
                let mut target = target.clone();
                while let Some(rows) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let part = Ensemble {
                        anchors: ensemble.anchors.slice(s![rows.clone(), ..]),
                        rows: &ensemble.rows[rows.clone()],
                        starts: ensemble.starts.map(|a| a.slice_move(s![rows.clone(), ..])),
                        scale: ensemble.scale.map(|a| a.slice_move(s![rows.clone(), ..])),
                        observable: ensemble.observable,
                    };
                    let block = run_block(&mut target, plan, &part, progress);
                    let mut all = collected
                        .lock()
                        .expect("no worker panics while it holds the lock");
                    let flat = s![rows.clone(), ..];
                    all.loss.slice_mut(flat).assign(&block.loss);
                    all.distance.slice_mut(flat).assign(&block.distance);
                    all.last.slice_mut(flat).assign(&block.last);
                    let Draws {
                        positions,
                        observed,
                        step_bias,
                        batch_loss,
                        acceptance,
                        ..
                    } = &mut **all;
                    for (all, block) in [(positions, &block.positions), (observed, &block.observed)]
                    {
                        if let (Some(all), Some(block)) = (all, block) {
                            all.slice_mut(s![rows.clone(), .., ..]).assign(block);
                        }
                    }
                    for (all, block) in [
                        (step_bias, &block.step_bias),
                        (batch_loss, &block.batch_loss),
                        (acceptance, &block.acceptance),
                    ] {
                        if let (Some(all), Some(block)) = (all, block) {
                            all[rows.clone()].copy_from_slice(block);
                        }
                    }
                }
            });
        }
    });
    Ok(draws)
}

/// Everything that can be wrong before a chain is run.
fn check<T: Target + Clone>(
    target: &T,
    plan: &Plan,
    ensemble: &Ensemble<T>,
) -> Result<(), RunError> {
    let n_rows = ensemble.rows.len();
    let expected = vec![n_rows, target.n_params()];
    if n_rows == 0 {
        return Err(RunError::NoRows);
    }
    let arrays = [
        ("anchors", Some(ensemble.anchors)),
        ("starts", ensemble.starts),
        ("scale", ensemble.scale),
    ];
    for (name, array) in arrays {
        let Some(array) = array else { continue };
        if array.shape() != expected {
            let got = array.shape().to_vec();
            return Err(RunError::Shape {
                name,
                got,
                expected,
            });
        }
        if let Some(((row, parameter), &value)) =
            array.indexed_iter().find(|(_, value)| !value.is_finite())
        {
            return Err(RunError::NotFinite {
                name,
                row,
                parameter,
                value,
            });
        }
    }
    if let Some(scale) = ensemble.scale {
        if let Some(((row, parameter), &value)) = scale.indexed_iter().find(|(_, s)| **s < 0.0) {
            return Err(RunError::NegativeScale {
                row,
                parameter,
                value,
            });
        }
        let held = |scale: ndarray::ArrayView1<f64>| scale.iter().all(|&s| s == 0.0);
        if let Some(row) = scale.rows().into_iter().position(held) {
            return Err(RunError::NothingMoves { row });
        }
    }
    for (name, count) in [
        ("n_draws", plan.schedule.n_draws),
        ("thin", plan.schedule.thin),
        ("n_threads", plan.n_threads),
        ("block", plan.block),
    ] {
        if count == 0 {
            return Err(RunError::Zero(name));
        }
    }
    if let Some(radius) = plan.radius.filter(|r| !(0.0 < *r && r.is_finite())) {
        return Err(RunError::Radius(radius));
    }
    plan.kernel.check()?;
    if let Some(batch_size) = plan.batch_size {
        let n_samples = target.n_samples();
        if batch_size == 0 || batch_size > n_samples {
            return Err(RunError::BatchSize {
                batch_size,
                n_samples,
            });
        }
        if plan.kernel.is_metropolis() && batch_size < n_samples {
            return Err(RunError::MetropolisOnMinibatches(batch_size));
        }
    }
    let mut target = target.clone();
    let blocks = ensemble.anchors.axis_chunks_iter(Axis(0), plan.block);
    for (i, anchors) in blocks.enumerate() {
        let mut losses = vec![f64::NAN; anchors.nrows()];
        target.loss(anchors.as_standard_layout().view(), &mut losses);
        if let Some(k) = losses.iter().position(|loss| !loss.is_finite()) {
            let (row, value) = (i * plan.block + k, losses[k]);
            return Err(RunError::InitialLoss { row, value });
        }
    }
    Ok(())
}

fn is_on_minibatches(plan: &Plan, target: &impl Target) -> bool {
    plan.batch_size
        .is_some_and(|size| size < target.n_samples())
}

/// Where a target keeps rows itself, if these chains can be moved there: SGLD without a box.
fn residence<'a, T: Target>(
    target: &'a T,
    plan: &Plan,
    ensemble: &Ensemble<T>,
) -> Option<&'a dyn Residence> {
    let possible =
        plan.kernel == Kernel::Sgld && plan.radius.is_none() && ensemble.observable.is_none();
    target.residence().filter(|_| possible)
}

/// The rows of a block: here, or where their target keeps them.
enum Walkers {
    Here(Box<Here>),
    There(Box<dyn Residents>),
}

/// Rows on the host.
struct Here {
    state: State,
    kernel: Kernel,
    /// Where the rows were before a step of SGLD that is looked at, `[n_rows, d]`.
    before: Array2<f64>,
}

impl Walkers {
    fn new<T: Target>(target: &T, plan: &Plan, ensemble: &Ensemble<T>) -> Self {
        if let Some(residence) = residence(target, plan, ensemble) {
            return Self::There(residence.take_in(&Arrival {
                anchors: ensemble.anchors,
                starts: ensemble.starts,
                scale: ensemble.scale,
                rows: ensemble.rows,
                seed: plan.seed,
            }));
        }
        let mut state = State::new(ensemble.anchors, plan.seed, ensemble.rows);
        if let Some(starts) = ensemble.starts {
            state = state.starting_at(starts);
        }
        if let Some(scale) = ensemble.scale {
            state = state.with_scale(scale);
        }
        if let Some(radius) = plan.radius {
            state = state.within(radius);
        }
        let is_sgld = plan.kernel == Kernel::Sgld;
        let before = if is_sgld { state.rows.dim() } else { (0, 0) };
        Self::Here(Box::new(Here {
            state,
            kernel: plan.kernel,
            before: Array2::zeros(before),
        }))
    }

    /// The rows now, `[n_rows, d]`.
    fn rows(&self) -> CowArray<'_, f64, Ix2> {
        match self {
            Self::Here(here) => here.state.rows.view().into(),
            Self::There(residents) => residents.rows().into(),
        }
    }

    fn distances(&mut self, distance: &mut [f64]) {
        match self {
            Self::Here(here) => {
                let State { rows, anchor, .. } = &here.state;
                for (i, distance) in distance.iter_mut().enumerate() {
                    let pairs = rows.row(i).into_iter().zip(anchor.row(i));
                    *distance = pairs.map(|(w, a)| (w - a) * (w - a)).sum::<f64>().sqrt();
                }
            }
            Self::There(residents) => residents.distances(distance),
        }
    }

    /// Mean losses over all samples.
    fn losses<T: Target>(&mut self, target: &mut T, loss: &mut [f64]) {
        match self {
            Self::Here(here) => target.loss(here.state.rows.view(), loss),
            Self::There(residents) => residents.losses(loss),
        }
    }

    fn step<T: Target>(
        &mut self,
        target: &mut T,
        batch: Batch,
        step: usize,
        seen: Option<&mut Seen>,
    ) {
        let here = match self {
            Self::Here(here) => here,
            Self::There(residents) => return residents.step(batch, step as u64, seen),
        };
        let Here {
            state,
            kernel,
            before,
        } = &mut **here;
        let Some(seen) = seen else {
            return kernel.step(target, batch, state);
        };
        if !before.is_empty() {
            before.assign(&state.rows);
        }
        kernel.step(target, batch, state);
        seen.loss.copy_from_slice(&state.loss);
        if !before.is_empty() {
            for (i, excess) in seen.excess.iter_mut().enumerate() {
                *excess = excess_of(state, before, i);
            }
        }
    }

    /// Accepted share of each row's proposals; a chain of no step has proposed nothing.
    fn acceptance(&self, n_rows: usize) -> Vec<f64> {
        let found = match self {
            Self::Here(here) => here.state.acceptance(),
            Self::There(_) => None,
        };
        found.unwrap_or_else(|| vec![f64::NAN; n_rows])
    }
}

fn run_block<T: Target>(
    target: &mut T,
    plan: &Plan,
    ensemble: &Ensemble<T>,
    progress: &(dyn Fn(u64) + Sync),
) -> Draws {
    /// Steps between two reports of progress.
    const REPORT: usize = 64;
    let (n_rows, d) = ensemble.anchors.dim();
    let Schedule { n_draws, .. } = plan.schedule;
    let mut walkers = Walkers::new(target, plan, ensemble);
    let streams: Vec<u64> = ensemble.rows.iter().map(|row| row.stream).collect();
    let mut batches = Minibatches::new(
        plan.seed,
        Purpose::SamplingBatches,
        &streams,
        target.n_samples(),
        plan.batch_size,
    );
    // draw-major while running, so that a draw is one contiguous write
    let mut loss = Array2::zeros((n_draws, n_rows));
    let mut distance = Array2::zeros((n_draws, n_rows));
    let cube = |n_values: usize| Array3::zeros((n_rows, n_draws, n_values));
    let mut positions = plan.keep_positions.then(|| cube(d));
    let mut observed = ensemble.observable.map(|o| (o, cube(o.n_values)));
    let mut seen = Seen::of(n_rows);
    let (mut step_bias, mut batch_loss) = (vec![0.0; n_rows], vec![0.0; n_rows]);
    let last = plan.schedule.n_steps();
    for step in 0..=last {
        let draw = plan.schedule.draw(step);
        if let Some(k) = draw {
            walkers.distances(contiguous(&mut distance, k));
            if let Some(positions) = &mut positions {
                positions.index_axis_mut(Axis(1), k).assign(&walkers.rows());
            }
            if let Some((observable, values)) = &mut observed {
                let values = values.index_axis_mut(Axis(1), k);
                (observable.observe)(target, walkers.rows().view(), values);
            }
            if !batches.is_full() || step == last {
                walkers.losses(target, contiguous(&mut loss, k));
            }
        }
        if step == last {
            break;
        }
        let batch = batches.at(step as u64);
        walkers.step(target, batch, step, draw.map(|_| &mut seen));
        if let Some(k) = draw {
            if batches.is_full() {
                contiguous(&mut loss, k).copy_from_slice(&seen.loss);
            }
            let sums = [
                (&mut step_bias, &seen.excess),
                (&mut batch_loss, &seen.loss),
            ];
            for (sums, of) in sums {
                sums.iter_mut().zip(of).for_each(|(sum, of)| *sum += of);
            }
        }
        if (step + 1) % REPORT == 0 {
            progress((REPORT * n_rows) as u64);
        }
    }
    progress((last % REPORT * n_rows) as u64);
    // the last draw is not left by a step
    let n_left = (n_draws - 1) as f64;
    for sum in step_bias.iter_mut().chain(&mut batch_loss) {
        *sum /= n_left;
    }
    let row_major = |a: Array2<f64>| a.reversed_axes().as_standard_layout().into_owned();
    Draws {
        loss: row_major(loss),
        distance: row_major(distance),
        positions,
        observed: observed.map(|(_, values)| values),
        step_bias: (plan.kernel == Kernel::Sgld).then_some(step_bias),
        batch_loss: is_on_minibatches(plan, target).then_some(batch_loss),
        acceptance: plan
            .kernel
            .is_metropolis()
            .then(|| walkers.acceptance(n_rows)),
        last: walkers.rows().into_owned(),
    }
}

/// The values of draw `k`.
fn contiguous(of: &mut Array2<f64>, k: usize) -> &mut [f64] {
    let n_rows = of.ncols();
    let all = of.as_slice_mut().expect("standard layout");
    &mut all[k * n_rows..][..n_rows]
}

/// `(ε/8) Σ s² nβ g (nβ g + γ (w - w*))` of row `i` at `before`, the gradient of the step that left it.
fn excess_of(state: &State, before: &Array2<f64>, i: usize) -> f64 {
    let law = &state.dynamics[i];
    let (nbeta, gamma) = (law.nbeta(), law.gamma());
    let (mut sum, mut at) = (0.0, 0);
    let scale = state.scale.as_ref().map(|scale| scale.row(i));
    let away = before.row(i).into_iter().zip(state.anchor.row(i));
    for (g, (w, a)) in state.grad.row(i).iter().zip(away) {
        let g = nbeta * g;
        let s = scale.as_ref().map_or(1.0, |scale| scale[at]);
        sum += s * s * g * (g + gamma * (w - a));
        at += 1;
    }
    0.125 * law.step_size() * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::Dynamics;
    use crate::targets::{Quadratic, TanhUnit};
    use ndarray::array;
    use std::sync::atomic::AtomicU64;

    fn target() -> TanhUnit {
        let x: Vec<f64> = (0..20).map(|i| -2.0 + f64::from(i) / 5.0).collect();
        let y = x.iter().map(|x| (3.0 * x).sin() + 0.3 * x).collect();
        TanhUnit::new(x, y).expect("samples")
    }

    fn plan() -> Plan {
        Plan {
            kernel: Kernel::Sgld,
            schedule: Schedule {
                burn_in: 5,
                n_draws: 9,
                thin: 3,
            },
            batch_size: Some(6),
            radius: None,
            seed: 2,
            keep_positions: true,
            n_threads: 1,
            block: 7,
        }
    }

    /// The losses that the steps themselves met, step by step.
    #[test]
    fn losses_over_minibatches() {
        let plan = plan();
        let (mut target, streams) = (target(), [3, 4, 5, 6, 7, 8, 9]);
        let mut state = State::new(anchors().view(), plan.seed, &rows());
        let (purpose, n) = (Purpose::SamplingBatches, target.n_samples());
        let mut batches = Minibatches::new(plan.seed, purpose, &streams, n, plan.batch_size);
        let mut sums = [0.0; 7];
        for step in 0..29 {
            plan.kernel.step(&mut target, batches.at(step), &mut state);
            if plan.schedule.draw(step as usize).is_some() {
                sums.iter_mut()
                    .zip(&state.loss)
                    .for_each(|(sum, loss)| *sum += loss);
            }
        }
        let expected = sums.map(|sum| sum / 8.0);
        assert_eq!(of(&plan).batch_loss, Some(expected.to_vec()));
        for batch_size in [None, Some(20)] {
            assert_eq!(of(&Plan { batch_size, ..plan }).batch_loss, None);
        }
    }

    fn anchors() -> Array2<f64> {
        Array2::from_shape_fn((7, 4), |(i, j)| (1.0 + 3.0 * i as f64 + j as f64).sin())
    }

    fn rows() -> Vec<Row> {
        Row::many(3, 7, Dynamics::new(1e-2, 7.0, 1.0).expect("valid"))
    }

    fn of(plan: &Plan) -> Draws {
        run(
            &target(),
            plan,
            &Ensemble::new(anchors().view(), &rows()),
            &|_| (),
        )
        .expect("valid")
    }

    /// The draws of a schedule are those of the one that keeps every state.
    #[test]
    fn a_schedule_picks_its_states() {
        for batch_size in [None, Some(6)] {
            let every = Schedule {
                burn_in: 0,
                n_draws: 30,
                thin: 1,
            };
            let all = of(&Plan {
                schedule: every,
                batch_size,
                ..plan()
            });
            let positions = all.positions.as_ref().expect("kept");
            assert_eq!(
                positions.index_axis(Axis(1), 0),
                anchors(),
                "draw 0 is the anchor"
            );
            for (burn_in, n_draws, thin) in
                [(0, 1, 1), (0, 10, 3), (5, 9, 3), (29, 1, 4), (1, 2, 28)]
            {
                let schedule = Schedule {
                    burn_in,
                    n_draws,
                    thin,
                };
                let picked: Vec<usize> = (0..n_draws).map(|k| burn_in + k * thin).collect();
                assert_eq!(picked.last(), Some(&schedule.n_steps()));
                let draws = of(&Plan {
                    schedule,
                    batch_size,
                    ..plan()
                });
                let message = format!("{schedule:?}");
                assert_eq!(draws.loss, all.loss.select(Axis(1), &picked), "{message}");
                assert_eq!(draws.distance, all.distance.select(Axis(1), &picked));
                assert_eq!(draws.positions, Some(positions.select(Axis(1), &picked)));
                let last = positions.index_axis(Axis(1), schedule.n_steps());
                assert_eq!(draws.last, last, "{message}");
            }
        }
    }

    /// Also where the chain itself saw six samples of twenty.
    #[test]
    fn a_draws_loss_is_over_all_samples() {
        for batch_size in [None, Some(6)] {
            let draws = of(&Plan {
                batch_size,
                ..plan()
            });
            let positions = draws.positions.expect("kept");
            for (i, (rows, losses)) in positions.outer_iter().zip(draws.loss.rows()).enumerate() {
                let mut full = vec![0.0; rows.nrows()];
                target().loss(rows.as_standard_layout().view(), &mut full);
                approx::assert_relative_eq!(
                    losses,
                    ndarray::ArrayView1::from(&full),
                    max_relative = 1e-13
                );
                let away = &rows - &anchors().row(i);
                let distance = (&away * &away).sum_axis(Axis(1)).mapv(f64::sqrt);
                let got = draws.distance.row(i);
                approx::assert_relative_eq!(got, distance.view(), max_relative = 1e-13);
            }
        }
    }

    #[test]
    fn observables_and_starts() {
        let (anchors, rows) = (anchors(), rows());
        let observe = |target: &mut TanhUnit, w: ArrayView2<f64>, mut out: ArrayViewMut2<f64>| {
            let mut loss = vec![0.0; w.nrows()];
            target.loss(w, &mut loss);
            for (i, mut out) in out.rows_mut().into_iter().enumerate() {
                out.assign(&array![w[[i, 2]], loss[i]]);
            }
        };
        let n_values = 2;
        let observe = &observe;
        let ensemble = Ensemble {
            observable: Some(Observable { n_values, observe }),
            ..Ensemble::new(anchors.view(), &rows)
        };
        let plan = Plan {
            n_threads: 2,
            block: 3,
            ..plan()
        };
        let first = run(&target(), &plan, &ensemble, &|_| ()).expect("valid");
        let observed = first.observed.expect("asked for");
        let positions = first.positions.expect("kept");
        assert_eq!(
            observed.index_axis(Axis(2), 0),
            positions.index_axis(Axis(2), 2)
        );
        assert_eq!(observed.index_axis(Axis(2), 1), first.loss);
        // a chain that starts elsewhere has its distance from where it is held
        let at_once = Plan {
            schedule: Schedule {
                burn_in: 0,
                n_draws: 1,
                thin: 1,
            },
            ..plan
        };
        let ensemble = Ensemble {
            starts: Some(first.last.view()),
            ..ensemble
        };
        let again = run(&target(), &at_once, &ensemble, &|_| ()).expect("valid");
        assert_eq!(again.last, first.last);
        assert_eq!(again.distance.column(0), first.distance.column(8));
    }

    #[test]
    fn every_step_is_reported_once() {
        let n = AtomicU64::new(0);
        for n_draws in [1, 20, 44, 200] {
            let schedule = Schedule {
                burn_in: 0,
                n_draws,
                thin: 3,
            };
            let plan = Plan {
                schedule,
                n_threads: 2,
                block: 2,
                ..plan()
            };
            let (anchors, rows) = (anchors(), rows());
            let ensemble = Ensemble::new(anchors.view(), &rows);
            let progress = |steps| {
                n.fetch_add(steps, Ordering::Relaxed);
            };
            run(&target(), &plan, &ensemble, &progress).expect("valid");
            assert_eq!(n.swap(0, Ordering::Relaxed), 7 * schedule.n_steps() as u64);
        }
    }

    #[test]
    fn impossible_ensembles_are_refused() {
        let (anchors, rows) = (anchors(), rows());
        let message = |plan: Plan, ensemble: Ensemble<TanhUnit>| {
            let error = run(&target(), &plan, &ensemble, &|_| ()).expect_err("refused");
            error.to_string()
        };
        let good = || Ensemble::new(anchors.view(), &rows);
        let schedule = |f: fn(&mut Schedule)| {
            let mut schedule = plan().schedule;
            f(&mut schedule);
            Plan { schedule, ..plan() }
        };
        assert_eq!(
            message(schedule(|s| s.n_draws = 0), good()),
            "n_draws is 0; expected at least 1"
        );
        assert!(message(schedule(|s| s.thin = 0), good()).starts_with("thin is 0"));
        assert!(
            message(
                Plan {
                    n_threads: 0,
                    ..plan()
                },
                good()
            )
            .starts_with("n_threads is 0")
        );
        assert!(message(Plan { block: 0, ..plan() }, good()).starts_with("block is 0"));
        for radius in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let radius = Some(radius);
            assert!(message(Plan { radius, ..plan() }, good()).starts_with("radius is "));
        }
        for batch_size in [0, 21] {
            let batch_size = Some(batch_size);
            assert!(
                message(
                    Plan {
                        batch_size,
                        ..plan()
                    },
                    good()
                )
                .starts_with("batch_size is ")
            );
        }
        let mala = Plan {
            kernel: Kernel::MALA,
            ..plan()
        };
        assert!(message(mala, good()).contains("batch_size is 6, but a Metropolis"));
        let hmc = Plan {
            kernel: Kernel::Hmc { n_leapfrog: 0 },
            ..plan()
        };
        assert!(message(hmc, good()).contains("n_leapfrog is 0"));
        let short = Ensemble::new(anchors.view(), &rows[..6]);
        assert_eq!(
            message(plan(), short),
            "anchors has shape [7, 4]; expected [6, 4]"
        );
        assert!(
            message(plan(), Ensemble::new(anchors.slice(s![..0, ..]), &[])).contains("no rows")
        );
        let narrow = anchors.slice(s![.., ..3]);
        assert!(message(plan(), Ensemble::new(narrow, &rows)).contains("anchors has shape [7, 3]"));
        let starts = Some(narrow);
        assert!(message(plan(), Ensemble { starts, ..good() }).contains("starts has shape"));
        let mut bad = anchors.clone();
        bad[[2, 1]] = f64::NAN;
        let nan = message(plan(), Ensemble::new(bad.view(), &rows));
        assert_eq!(nan, "anchors[2, 1] is NaN; expected a finite number");
        // finite itself, but not its loss
        bad[[2, 1]] = 0.3;
        bad[[4, 3]] = 1e200;
        assert_eq!(
            message(plan(), Ensemble::new(bad.view(), &rows)),
            "the loss at w* of row 4 is inf; expected a finite number: w* or the target's data are at fault"
        );
        let data = |at: usize| {
            let mut hessian = Array2::eye(4);
            hessian[[at, 0]] = f64::NAN;
            let target = Quadratic::new(hessian, ndarray::Array1::zeros(4), 0.0, 20);
            let plan = Plan {
                batch_size: None,
                ..plan()
            };
            let ensemble = Ensemble::new(anchors.view(), &rows);
            run(&target, &plan, &ensemble, &|_| ()).expect_err("refused")
        };
        assert!(matches!(data(3), RunError::InitialLoss { row: 0, .. }));
        let scale = |value: f64| {
            let mut scale = Array2::ones((7, 4));
            scale.row_mut(5).fill(value);
            let ensemble = Ensemble {
                scale: Some(scale.view()),
                ..good()
            };
            run(&target(), &plan(), &ensemble, &|_| ()).expect_err("refused")
        };
        let negative = RunError::NegativeScale {
            row: 5,
            parameter: 0,
            value: -1.0,
        };
        assert_eq!(scale(-1.0), negative);
        assert_eq!(scale(0.0), RunError::NothingMoves { row: 5 });
        assert!(matches!(
            scale(f64::INFINITY),
            RunError::NotFinite {
                name: "scale",
                row: 5,
                ..
            }
        ));
        assert_eq!(mask(&[false; 4]), Err(RunError::NothingMoves { row: 0 }));
        assert_eq!(mask(&[false, true]), Ok(array![[0.0, 1.0]]));
    }
}
