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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{Quadratic, TanhUnit};
    use ndarray::array;
    use std::sync::atomic::AtomicU64;

    const STREAMS: [u64; 7] = [3, 1, 4, 15, 9, 2, 6];

    fn target() -> TanhUnit {
        let x: Vec<f64> = (0..20).map(|i| -2.0 + f64::from(i) / 5.0).collect();
        let y = x.iter().map(|x| (3.0 * x).sin() + 0.3 * x).collect();
        TanhUnit::new(x, y)
    }

    fn plan() -> Plan {
        Plan {
            kernel: Sgld::new(1e-2, 7.0, 1.0).expect("valid"),
            schedule: Schedule {
                burn_in: 5,
                n_draws: 9,
                thin: 3,
            },
            batch_size: Some(6),
            seed: 2,
            keep_positions: true,
            n_threads: 1,
            block: 7,
        }
    }

    fn anchors() -> Array2<f64> {
        Array2::from_shape_fn((7, 4), |(i, j)| (1.0 + 3.0 * i as f64 + j as f64).sin())
    }

    fn of(plan: &Plan) -> Draws {
        run(&target(), plan, anchors().view(), &STREAMS, &|_| ())
    }

    /// Equal to the last bit, NaNs included.
    fn same(a: &Draws, b: &Draws) -> bool {
        let bits = |d: &Draws| {
            let positions = d.positions.as_ref().map(|p| p.mapv(f64::to_bits));
            (d.loss.mapv(f64::to_bits), positions)
        };
        bits(a) == bits(b)
    }

    #[test]
    fn threads_and_blocks_do_not_change_a_bit() {
        for batch_size in [None, Some(6)] {
            let expected = of(&Plan {
                batch_size,
                ..plan()
            });
            for (n_threads, block) in [(1, 1), (1, 3), (2, 1), (3, 2), (8, 7), (2, 100)] {
                let plan = Plan {
                    batch_size,
                    n_threads,
                    block,
                    ..plan()
                };
                assert!(
                    same(&of(&plan), &expected),
                    "{n_threads} threads, blocks of {block}"
                );
            }
        }
    }

    #[test]
    fn a_row_does_not_feel_its_neighbours() {
        for batch_size in [None, Some(6)] {
            let plan = Plan {
                batch_size,
                ..plan()
            };
            let all = of(&plan);
            for (i, &stream) in STREAMS.iter().enumerate() {
                let anchor = anchors().select(Axis(0), &[i]);
                let one = run(&target(), &plan, anchor.view(), &[stream], &|_| ());
                assert_eq!(one.loss.row(0), all.loss.row(i));
                let positions = |d: &Draws, i: usize| {
                    d.positions
                        .as_ref()
                        .map(|p| p.index_axis(Axis(0), i).to_owned())
                };
                assert_eq!(positions(&one, 0), positions(&all, i));
            }
        }
    }

    #[test]
    fn streams_and_seeds_make_other_chains() {
        let anchors = anchors().select(Axis(0), &[0, 0]);
        let draws = run(&target(), &plan(), anchors.view(), &[0, 1], &|_| ());
        assert_ne!(draws.loss.row(0), draws.loss.row(1));
        assert!(!same(&of(&Plan { seed: 3, ..plan() }), &of(&plan())));
        assert!(
            of(&Plan {
                keep_positions: false,
                ..plan()
            })
            .positions
            .is_none()
        );
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
                assert_eq!(
                    draws.loss,
                    all.loss.select(Axis(1), &picked),
                    "{schedule:?}"
                );
                assert_eq!(draws.positions, Some(positions.select(Axis(1), &picked)));
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
            for (rows, losses) in positions.outer_iter().zip(draws.loss.rows()) {
                let mut full = vec![0.0; rows.nrows()];
                target().loss(rows.as_standard_layout().view(), &mut full);
                approx::assert_relative_eq!(
                    losses,
                    ndarray::ArrayView1::from(&full),
                    max_relative = 1e-13
                );
            }
        }
    }

    /// `|1 − εa/2| > 1`: the chain grows until its numbers overflow, and its neighbour does not notice.
    #[test]
    fn losses_that_are_not_finite_are_kept() {
        let target = Quadratic::new(array![[1e3, 0.0], [0.0, 1e3]], array![0.0, 0.0], 0.5, 10);
        let unstable = Plan {
            kernel: Sgld::new(1.0, 1.0, 0.0).expect("valid"),
            schedule: Schedule {
                burn_in: 0,
                n_draws: 400,
                thin: 1,
            },
            batch_size: None,
            ..plan()
        };
        let draws = run(
            &target,
            &unstable,
            Array2::zeros((2, 2)).view(),
            &[0, 1],
            &|_| (),
        );
        for losses in draws.loss.rows() {
            assert!(losses[0] == 0.5 && losses[1].is_finite() && !losses[399].is_finite());
            let overflow = losses
                .iter()
                .position(|l| !l.is_finite())
                .expect("it overflows");
            assert!(losses.iter().skip(overflow).all(|l| !l.is_finite()));
        }
        let mut anchors = anchors();
        anchors[[2, 0]] = f64::NAN;
        let draws = run(&self::target(), &plan(), anchors.view(), &STREAMS, &|_| ());
        assert!(draws.loss.row(2).iter().all(|l| l.is_nan()));
        let whole = of(&plan());
        for i in [0, 1, 3, 4, 5, 6] {
            assert_eq!(draws.loss.row(i), whole.loss.row(i));
        }
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
            run(&target(), &plan, anchors().view(), &STREAMS, &|steps| {
                n.fetch_add(steps, Ordering::Relaxed);
            });
            assert_eq!(n.swap(0, Ordering::Relaxed), 7 * schedule.n_steps() as u64);
        }
    }

    #[test]
    #[should_panic(expected = "one stream for each row")]
    fn a_missing_stream_is_a_bug() {
        run(&target(), &plan(), anchors().view(), &[1], &|_| ());
    }

    #[test]
    #[should_panic(expected = "a draw and a stride")]
    fn a_schedule_without_draws_is_a_bug() {
        let schedule = Schedule {
            n_draws: 0,
            ..plan().schedule
        };
        of(&Plan { schedule, ..plan() });
    }
}
