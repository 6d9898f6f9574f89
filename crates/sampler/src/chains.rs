//! Runs chains: burn-in, draws, rows split over threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array2, Array3, ArrayView2, Axis, s};

use crate::minibatch::Minibatches;
use crate::sgld::{Sgld, State};
use crate::stream::Purpose;
use crate::target::Target;

/// Which states of a chain are draws: those after `burn_in + k thin` steps, `k = 0 .. n_draws`.
///
/// With `burn_in` 0 the first draw is the anchor itself.
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
    /// The kernel.
    pub kernel: Sgld,
    /// Which states are kept.
    pub schedule: Schedule,
    /// Samples in a gradient; all of them if `None`.
    pub batch_size: Option<usize>,
    /// Seed of noise and minibatches.
    pub seed: u64,
    /// Whether to keep where each draw was.
    pub keep_positions: bool,
    /// Worker threads.
    pub n_threads: usize,
    /// Rows that a worker moves together.
    pub block: usize,
}

/// What an ensemble of chains drew.
#[derive(Debug, Clone)]
pub struct Draws {
    /// Mean loss over *all* samples at each draw, shape `[n_rows, n_draws]`. Units: nats.
    pub loss: Array2<f64>,
    /// Parameters at each draw, shape `[n_rows, n_draws, d]`, where asked for.
    pub positions: Option<Array3<f64>>,
}

/// Runs one chain from each of `anchors`, row `i` with the random numbers of `streams[i]`.
///
/// The loss of a draw is over all samples also where the chain itself runs on minibatches. `progress` is called with the
/// number of chain-steps done since its last call, from any thread. Rows are handed to the workers in blocks; the
/// numbers depend neither on the blocks nor on the number of threads.
///
/// Shapes: `anchors`: `[n_rows, d]`.
///
/// # Panics
/// If a length does not fit, or the plan has no draw, no thread or an empty block.
pub fn run<T: Target + Clone + Send + Sync>(
    target: &T,
    plan: &Plan,
    anchors: ArrayView2<f64>,
    streams: &[u64],
    progress: &(dyn Fn(u64) + Sync),
) -> Draws {
    let (n_rows, d) = anchors.dim();
    assert_eq!(
        d,
        target.n_params(),
        "anchors have as many columns as the target has parameters"
    );
    assert_eq!(n_rows, streams.len(), "one stream for each row");
    let n_draws = plan.schedule.n_draws;
    assert!(
        n_draws > 0 && plan.schedule.thin > 0,
        "a schedule has a draw and a stride: {:?}",
        plan.schedule
    );
    assert!(
        plan.n_threads > 0 && plan.block > 0,
        "a plan has a thread and a row in a block"
    );

    let mut draws = Draws {
        loss: Array2::zeros((n_rows, n_draws)),
        positions: plan
            .keep_positions
            .then(|| Array3::zeros((n_rows, n_draws, d))),
    };
    let blocks: Vec<_> = (0..n_rows)
        .step_by(plan.block)
        .map(|from| from..(from + plan.block).min(n_rows))
        .collect();
    let next = AtomicUsize::new(0);
    let collected = Mutex::new(&mut draws);
    std::thread::scope(|scope| {
        for _ in 0..plan.n_threads.min(blocks.len()) {
            scope.spawn(|| {
                let mut target = target.clone();
                while let Some(rows) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let anchors = anchors.slice(s![rows.clone(), ..]);
                    let block =
                        run_block(&mut target, plan, anchors, &streams[rows.clone()], progress);
                    let mut all = collected
                        .lock()
                        .expect("no worker panics while it holds the lock");
                    all.loss.slice_mut(s![rows.clone(), ..]).assign(&block.loss);
                    if let (Some(all), Some(block)) = (&mut all.positions, block.positions) {
                        all.slice_mut(s![rows.clone(), .., ..]).assign(&block);
                    }
                }
            });
        }
    });
    draws
}

fn run_block<T: Target>(
    target: &mut T,
    plan: &Plan,
    anchors: ArrayView2<f64>,
    streams: &[u64],
    progress: &(dyn Fn(u64) + Sync),
) -> Draws {
    /// Steps between two reports of progress.
    const REPORT: usize = 64;
    let (n_rows, d) = anchors.dim();
    let Schedule { n_draws, .. } = plan.schedule;
    let mut state = State::new(anchors, plan.seed, streams);
    let mut batches = Minibatches::new(
        plan.seed,
        Purpose::SamplingBatches,
        streams,
        target.n_samples(),
        plan.batch_size,
    );
    // draw-major while running, so that a draw is one contiguous write
    let mut loss = Array2::zeros((n_draws, n_rows));
    let mut positions = plan
        .keep_positions
        .then(|| Array3::zeros((n_rows, n_draws, d)));
    let last = plan.schedule.n_steps();
    for step in 0..=last {
        let draw = plan.schedule.draw(step);
        if let Some(k) = draw {
            if let Some(positions) = &mut positions {
                positions.index_axis_mut(Axis(1), k).assign(&state.rows);
            }
            if !batches.is_full() || step == last {
                target.loss(
                    state.rows.view(),
                    loss.row_mut(k).as_slice_mut().expect("rows are contiguous"),
                );
            }
        }
        if step == last {
            break;
        }
        plan.kernel
            .step(target, batches.at(step as u64), &mut state);
        if let Some(k) = draw.filter(|_| batches.is_full()) {
            loss.row_mut(k)
                .as_slice_mut()
                .expect("rows are contiguous")
                .copy_from_slice(&state.loss);
        }
        if (step + 1) % REPORT == 0 {
            progress((REPORT * n_rows) as u64);
        }
    }
    progress((last % REPORT * n_rows) as u64);
    Draws {
        loss: loss.reversed_axes().as_standard_layout().into_owned(),
        positions,
    }
}
