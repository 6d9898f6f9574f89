//! Trains all rows of an ensemble at once, and takes up an interrupted training where it left off.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use ndarray::{Array2, ArrayView1, ArrayViewMut2, Axis, s};
use serde::{Deserialize, Serialize};
use slt_sampler::stream::Purpose;
use slt_sampler::{Minibatches, Target};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::optimiser::{Optimiser, OptimiserError, OptimiserState};

/// How an ensemble is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainPlan {
    /// The optimiser and its settings.
    pub optimiser: Optimiser,
    /// Samples in a step's gradient; all of them if left out.
    pub batch_size: Option<usize>,
    /// Steps of the whole training.
    pub n_steps: u64,
    /// Steps from one checkpoint to the next.
    pub checkpoint_every: u64,
    /// Seed of the minibatches.
    pub seed: u64,
}

/// An ensemble in training, each row with an optimiser of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// Parameters, shape `[n_rows, d]`.
    pub rows: Array2<f64>,
    /// The optimisers' moments.
    pub moments: OptimiserState,
    /// Steps done.
    pub step: u64,
    /// Stream of each row's minibatches.
    streams: Vec<u64>,
    /// What moves each row.
    optimisers: Vec<Optimiser>,
}

/// Why a training stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A parameter is not finite any more.
    #[error(
        "training diverged: row {row} is not finite after {step} steps; take a smaller learning_rate"
    )]
    Diverged {
        /// The row.
        row: usize,
        /// Steps done when it was noticed.
        step: u64,
    },
}

/// Why a plan is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A setting of the optimiser is out of range.
    #[error(transparent)]
    Optimiser(#[from] OptimiserError),
    /// A count is zero.
    #[error("{name} is 0; expected at least 1")]
    Zero {
        /// The setting.
        name: &'static str,
    },
    /// The minibatch is larger than the data set.
    #[error("batch_size is {batch_size}; expected at most the number of samples, {n_samples}")]
    BatchSize {
        /// Samples in a batch.
        batch_size: usize,
        /// Samples there are.
        n_samples: usize,
    },
}

impl TrainPlan {
    /// Refuses a plan that no training on `n_samples` can follow.
    ///
    /// # Errors
    /// [`PlanError`] names the setting.
    pub fn check(&self, n_samples: usize) -> Result<(), PlanError> {
        self.optimiser.validate()?;
        for (name, value) in [
            ("n_steps", self.n_steps),
            ("checkpoint_every", self.checkpoint_every),
        ] {
            if value == 0 {
                return Err(PlanError::Zero { name });
            }
        }
        match self.batch_size {
            Some(0) => Err(PlanError::Zero { name: "batch_size" }),
            Some(batch_size) if batch_size > n_samples => Err(PlanError::BatchSize {
                batch_size,
                n_samples,
            }),
            _ => Ok(()),
        }
    }

    /// Numbers of steps after which there is a checkpoint: 0, every `checkpoint_every`, and the last.
    pub fn checkpoint_steps(&self) -> Vec<u64> {
        let every = usize::try_from(self.checkpoint_every).expect("fits the machine");
        let mut steps: Vec<u64> = (0..self.n_steps).step_by(every).collect();
        steps.push(self.n_steps);
        steps
    }

    /// Where in `folder` the parameters after `step` steps lie.
    pub fn checkpoint_path(folder: &Path, step: u64) -> PathBuf {
        folder.join(format!("step-{step:07}.safetensors"))
    }

    /// The parameters after `step` steps, from a `folder` that [`train`] filled, shape `[n_rows, d]`.
    ///
    /// # Errors
    /// [`CheckpointError`] where the checkpoint is missing, damaged, or of another configuration.
    pub fn load_rows(
        folder: &Path,
        step: u64,
        config: &str,
    ) -> Result<Array2<f64>, CheckpointError> {
        let path = Self::checkpoint_path(folder, step);
        Checkpoint::load(&path, config)?.take("rows", &path)
    }
}

/// Trains the ensemble `start` and leaves the parameters at every checkpoint in `folder`.
///
/// `config` (JSON of everything that decides the numbers) is written into every file. Where `folder` already holds a
/// training of the same configuration, it goes on from its last checkpoint, with the same result to the last bit as if it
/// had never stopped. Row `i` draws its minibatches from the stream `streams[i]`; `progress` is called with the number of
/// row-steps done since its last call.
///
/// # Errors
/// [`TrainError`] where a checkpoint cannot be written or read, or a row is not finite.
///
/// # Panics
/// If a length does not fit, or the plan has no stride between checkpoints.
#[expect(
    clippy::too_many_arguments,
    reason = "each is one thing, and all are needed"
)]
pub fn train<T: Target + Clone + Send + Sync>(
    target: &T,
    plan: &TrainPlan,
    start: Array2<f64>,
    streams: &[u64],
    folder: &Path,
    config: &str,
    n_threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Training, TrainError> {
    assert!(
        plan.checkpoint_every > 0,
        "a plan has a stride between checkpoints"
    );
    std::fs::create_dir_all(folder).map_err(|source| CheckpointError::Io {
        action: "write",
        path: folder.to_owned(),
        source,
    })?;
    let resume = folder.join("resume.safetensors");
    let mut training = Training::new(start, streams, &vec![plan.optimiser; streams.len()]);
    if resume.exists() {
        let mut saved = Checkpoint::load(&resume, config)?;
        training.moments = OptimiserState {
            first: saved.take("first", &resume)?,
            second: saved.take("second", &resume)?,
        };
        training.rows = saved.take("rows", &resume)?;
        training.step = saved.step;
    } else {
        save(&training, folder, config)?;
    }
    progress(training.step * streams.len() as u64);
    for to in plan.checkpoint_steps() {
        if to <= training.step {
            continue;
        }
        training.advance(target, plan, to, n_threads, progress)?;
        save(&training, folder, config)?;
    }
    Ok(training)
}

/// First the parameters, then what a resumed run starts from: if it stops in between, the parameters are written again.
fn save(training: &Training, folder: &Path, config: &str) -> Result<(), CheckpointError> {
    let named = |name: &str, array: &Array2<f64>| (name.to_owned(), array.clone());
    let mut checkpoint = Checkpoint {
        step: training.step,
        config: config.to_owned(),
        arrays: BTreeMap::from([named("rows", &training.rows)]),
    };
    checkpoint.save(&TrainPlan::checkpoint_path(folder, training.step))?;
    checkpoint.arrays.extend([
        named("first", &training.moments.first),
        named("second", &training.moments.second),
    ]);
    checkpoint.save(&folder.join("resume.safetensors"))
}

impl Training {
    /// Rows before their first step; row `i` draws its minibatches from the stream `streams[i]` and is moved by `optimisers[i]`.
    ///
    /// # Panics
    /// If a length does not fit, or optimisers keep different moments.
    pub fn new(start: Array2<f64>, streams: &[u64], optimisers: &[Optimiser]) -> Self {
        let (n, d) = start.dim();
        assert_eq!(n, streams.len(), "one stream for each row");
        assert_eq!(n, optimisers.len(), "one optimiser for each row");
        let moments = |o: &Optimiser| o.start(0, d);
        assert!(
            optimisers
                .windows(2)
                .all(|o| moments(&o[0]) == moments(&o[1])),
            "all rows keep the same moments"
        );
        let none = || OptimiserState {
            first: Array2::zeros((n, 0)),
            second: Array2::zeros((n, 0)),
        };
        Self {
            moments: optimisers.first().map_or_else(none, |o| o.start(n, d)),
            rows: start,
            step: 0,
            streams: streams.to_vec(),
            optimisers: optimisers.to_vec(),
        }
    }

    /// Takes rows out of the ensemble where `keep` is false; the others go on as if they had never been there.
    ///
    /// # Panics
    /// Unless `keep` has one entry for each row.
    pub fn retain(&mut self, keep: &[bool]) {
        assert_eq!(keep.len(), self.streams.len(), "one entry for each row");
        let kept: Vec<usize> = (0..keep.len()).filter(|&i| keep[i]).collect();
        for array in [
            &mut self.rows,
            &mut self.moments.first,
            &mut self.moments.second,
        ] {
            *array = array.select(Axis(0), &kept);
        }
        self.streams = kept.iter().map(|&i| self.streams[i]).collect();
        self.optimisers = kept.iter().map(|&i| self.optimisers[i]).collect();
    }

    /// Steps up to number `to` on the minibatches of `plan`, the rows split over threads.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] where a row is not finite.
    ///
    /// # Panics
    /// If rows have not as many columns as the target has parameters, or there is no thread.
    pub fn advance<T: Target + Clone + Send + Sync>(
        &mut self,
        target: &T,
        plan: &TrainPlan,
        to: u64,
        n_threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), TrainError> {
        assert_eq!(
            self.rows.ncols(),
            target.n_params(),
            "rows have as many columns as the target has parameters"
        );
        assert!(n_threads > 0, "a thread");
        // rows do not depend on each other: the target gets as many of them at a time as suits it
        let n_rows = self.streams.len();
        let size = target.n_rows_at_once().min(n_rows.div_ceil(n_threads));
        let size = size.max(1);
        let rows = self.rows.axis_chunks_iter_mut(Axis(0), size);
        let first = self.moments.first.axis_chunks_iter_mut(Axis(0), size);
        let second = self.moments.second.axis_chunks_iter_mut(Axis(0), size);
        let how = self.streams.chunks(size).zip(self.optimisers.chunks(size));
        let blocks: Vec<_> = rows
            .zip(first)
            .zip(second)
            .zip(how)
            .map(|(((rows, first), second), (streams, optimisers))| Block {
                rows,
                first,
                second,
                optimisers,
                batches: Minibatches::new(
                    plan.seed,
                    Purpose::TrainingBatches,
                    streams,
                    target.n_samples(),
                    plan.batch_size,
                ),
                step: self.step,
            })
            .collect();
        let waiting = Queue(Mutex::new(blocks));
        std::thread::scope(|scope| {
            for _ in 0..n_threads.min(n_rows.div_ceil(size)) {
                scope.spawn(|| {
                    let mut target = target.clone();
                    let mut grad = Array2::zeros((size, target.n_params()));
                    let mut loss = vec![0.0; size];
                    while let Some(mut block) = waiting.pop() {
                        block.advance(&mut target, to, &mut grad, &mut loss, progress);
                        if block.step < to {
                            waiting.push(block);
                        }
                    }
                });
            }
        });
        self.step = to;
        let finite = |row: ArrayView1<f64>| row.iter().all(|w| w.is_finite());
        match self.rows.rows().into_iter().position(|row| !finite(row)) {
            Some(row) => Err(TrainError::Diverged { row, step: to }),
            None => Ok(()),
        }
    }
}

/// Rows that are moved together.
struct Block<'a> {
    rows: ArrayViewMut2<'a, f64>,
    first: ArrayViewMut2<'a, f64>,
    second: ArrayViewMut2<'a, f64>,
    optimisers: &'a [Optimiser],
    batches: Minibatches,
    step: u64,
}

/// Blocks that no thread is at work on. The one that is furthest behind comes next, so that all end at about the same time however many there are.
struct Queue<'a>(Mutex<Vec<Block<'a>>>);

impl<'a> Queue<'a> {
    fn blocks(&self) -> MutexGuard<'_, Vec<Block<'a>>> {
        let blocks = self.0.lock();
        blocks.expect("no thread panics while it holds the lock")
    }

    fn pop(&self) -> Option<Block<'a>> {
        let mut blocks = self.blocks();
        let behind = (0..blocks.len()).min_by_key(|&i| blocks[i].step)?;
        Some(blocks.swap_remove(behind))
    }

    fn push(&self, block: Block<'a>) {
        self.blocks().push(block);
    }
}

impl Block<'_> {
    /// Some steps, up to number `to` at most.
    fn advance<T: Target>(
        &mut self,
        target: &mut T,
        to: u64,
        grad: &mut Array2<f64>,
        loss: &mut [f64],
        progress: &(dyn Fn(u64) + Sync),
    ) {
        /// Steps at a time.
        const STEPS: u64 = 50;
        let n_rows = self.rows.nrows();
        let mut grad = grad.slice_mut(s![..n_rows, ..]);
        let loss = &mut loss[..n_rows];
        let from = self.step;
        self.step = to.min(from + STEPS);
        for step in from..self.step {
            let batch = self.batches.at(step);
            target.loss_and_grad(self.rows.view(), batch, grad.view_mut(), loss);
            for (i, optimiser) in self.optimisers.iter().enumerate() {
                let row = s![i..=i, ..];
                optimiser.step(
                    step,
                    self.rows.slice_mut(row),
                    grad.slice(row),
                    self.first.slice_mut(row),
                    self.second.slice_mut(row),
                );
            }
        }
        progress((self.step - from) * n_rows as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimiser::{Adam, Sgd};
    use ndarray::{ArrayView2, array};
    use slt_sampler::Batch;
    use slt_sampler::targets::TanhUnit;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    const CONFIG: &str = r#"{"model":"tanh"}"#;
    const ADAMW: Optimiser = Optimiser::AdamW(Adam {
        learning_rate: 1e-2,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 1e-2,
    });
    const SGD: Optimiser = Optimiser::Sgd(Sgd {
        learning_rate: 1e-2,
        momentum: 0.9,
    });
    const STREAMS: [u64; 5] = [4, 0, 7, 1, 30];

    fn tanh_unit() -> TanhUnit {
        let x: Vec<f64> = (0..24).map(|i| -2.0 + f64::from(i) / 6.0).collect();
        let y = x.iter().map(|x| (3.0 * x).sin() + 0.3 * x).collect();
        TanhUnit::new(x, y).expect("samples")
    }

    fn plan(optimiser: Optimiser) -> TrainPlan {
        TrainPlan {
            optimiser,
            batch_size: Some(5),
            n_steps: 47,
            checkpoint_every: 10,
            seed: 3,
        }
    }

    fn start() -> Array2<f64> {
        Array2::from_shape_fn((5, 4), |(i, j)| (1.0 + 4.0 * i as f64 + j as f64).cos())
    }

    fn run<T: Target + Clone + Send + Sync>(
        target: &T,
        plan: &TrainPlan,
        folder: &Path,
        n_threads: usize,
    ) -> Result<Training, TrainError> {
        train(
            target,
            plan,
            start(),
            &STREAMS,
            folder,
            CONFIG,
            n_threads,
            &|_| (),
        )
    }

    /// Every file of a folder, to the byte.
    fn bytes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        std::fs::read_dir(folder)
            .expect("listed")
            .map(|entry| {
                let path = entry.expect("listed").path();
                let name = path.file_name().expect("a name").into();
                (name, std::fs::read(path).expect("read"))
            })
            .collect()
    }

    /// A target that panics when it has been evaluated `left` times.
    #[derive(Clone)]
    struct PowerCut {
        target: TanhUnit,
        left: Arc<AtomicI64>,
    }

    impl Target for PowerCut {
        fn n_params(&self) -> usize {
            self.target.n_params()
        }

        fn n_samples(&self) -> usize {
            self.target.n_samples()
        }

        fn loss_and_grad(
            &mut self,
            rows: ArrayView2<f64>,
            batch: Batch,
            grad: ArrayViewMut2<f64>,
            loss: &mut [f64],
        ) {
            assert!(
                self.left.fetch_sub(1, Ordering::Relaxed) > 0,
                "a power cut, on purpose"
            );
            self.target.loss_and_grad(rows, batch, grad, loss);
        }

        fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
            self.target.loss(rows, loss);
        }
    }

    #[test]
    fn an_interrupted_training_goes_on_as_if_it_had_not_stopped() {
        for optimiser in [ADAMW, SGD] {
            let (plan, whole) = (plan(optimiser), tempfile::tempdir().expect("a folder"));
            let trained = run(&tanh_unit(), &plan, whole.path(), 1).expect("trained");
            let expected = bytes(whole.path());
            assert_eq!(expected.len(), plan.checkpoint_steps().len() + 1);
            // one evaluation a step: within an interval, at its first step, at the last step of all; and twice in one run
            for cuts in [&[0][..], &[7], &[10], &[25], &[46], &[13, 4, 21]] {
                let folder = tempfile::tempdir().expect("a folder");
                for &evaluations in cuts {
                    let target = PowerCut {
                        target: tanh_unit(),
                        left: Arc::new(AtomicI64::new(evaluations)),
                    };
                    let cut =
                        catch_unwind(AssertUnwindSafe(|| run(&target, &plan, folder.path(), 1)));
                    assert!(cut.is_err(), "the power was cut");
                    assert!(bytes(folder.path()).len() < expected.len());
                }
                let resumed = run(&tanh_unit(), &plan, folder.path(), 1).expect("trained");
                assert_eq!(resumed, trained);
                assert!(
                    bytes(folder.path()) == expected,
                    "cut after {cuts:?} evaluations"
                );
            }
        }
    }

    /// Stopped after the parameters were written and before what a resumed run starts from.
    #[test]
    fn a_stop_between_the_two_files_of_a_checkpoint_is_made_good() {
        let (plan, folder) = (plan(ADAMW), tempfile::tempdir().expect("a folder"));
        let shorter = TrainPlan {
            n_steps: 20,
            ..plan.clone()
        };
        run(&tanh_unit(), &shorter, folder.path(), 1).expect("trained");
        let resume = folder.path().join("resume.safetensors");
        let old = std::fs::read(&resume).expect("read");
        run(&tanh_unit(), &plan, folder.path(), 1).expect("trained");
        let expected = bytes(folder.path());
        std::fs::write(&resume, old).expect("written");
        run(&tanh_unit(), &plan, folder.path(), 1).expect("trained");
        assert!(bytes(folder.path()) == expected);
    }

    #[test]
    fn threads_do_not_change_a_byte() {
        let of = |n_threads| {
            let folder = tempfile::tempdir().expect("a folder");
            run(&tanh_unit(), &plan(ADAMW), folder.path(), n_threads).expect("trained");
            bytes(folder.path())
        };
        let one = of(1);
        for n_threads in [2, 3, 8] {
            assert!(of(n_threads) == one, "{n_threads} threads");
        }
    }

    #[test]
    fn a_row_does_not_feel_its_neighbours() {
        let (plan, folders) = (
            plan(ADAMW),
            [(); 2].map(|()| tempfile::tempdir().expect("a folder")),
        );
        run(&tanh_unit(), &plan, folders[0].path(), 1).expect("trained");
        let (alone, stream) = (start().select(Axis(0), &[2]), &STREAMS[2..3]);
        train(
            &tanh_unit(),
            &plan,
            alone,
            stream,
            folders[1].path(),
            CONFIG,
            1,
            &|_| (),
        )
        .expect("trained");
        for step in plan.checkpoint_steps() {
            let [all, one] = folders
                .each_ref()
                .map(|f| TrainPlan::load_rows(f.path(), step, CONFIG).expect("read"));
            assert_eq!(all.row(2), one.row(0), "after {step} steps");
        }
    }

    /// Rows of different rates, of which one leaves, against each in an ensemble of its own.
    #[test]
    fn rows_have_their_own_optimisers_and_may_leave() {
        let rate = |learning_rate| {
            Optimiser::Sgd(Sgd {
                learning_rate,
                momentum: 0.9,
            })
        };
        let rates = [1e-3, 3e-3, 1e-2, 3e-2, 2e-3].map(rate);
        let (target, plan) = (tanh_unit(), plan(SGD));
        let mut together = Training::new(start(), &STREAMS, &rates);
        let advance = |training: &mut Training, to| {
            let done = training.advance(&target, &plan, to, 2, &|_| ());
            done.expect("finite");
        };
        advance(&mut together, 10);
        together.retain(&[true, false, true, true, false]);
        advance(&mut together, 23);
        for (i, row) in [0, 2, 3].into_iter().enumerate() {
            let only = row..=row;
            let start = start().select(Axis(0), &[row]);
            let mut alone = Training::new(start, &STREAMS[only.clone()], &rates[only]);
            advance(&mut alone, 23);
            assert_eq!(together.rows.row(i), alone.rows.row(0));
            assert_eq!(together.moments.first.row(i), alone.moments.first.row(0));
        }
        together.retain(&[false; 3]);
        advance(&mut together, 30);
        assert_eq!((together.rows.nrows(), together.step), (0, 30));
    }

    #[test]
    #[should_panic(expected = "all rows keep the same moments")]
    fn optimisers_of_different_moments_are_a_bug() {
        let start = start().select(Axis(0), &[0, 1]);
        let _ = Training::new(start, &[0, 1], &[SGD, ADAMW]);
    }

    #[test]
    fn steps_are_reported_once() {
        let (plan, folder, n) = (
            plan(SGD),
            tempfile::tempdir().expect("a folder"),
            AtomicU64::new(0),
        );
        let count = |steps| {
            n.fetch_add(steps, Ordering::Relaxed);
        };
        for n_threads in [1, 3] {
            // the second run finds the whole training done
            train(
                &tanh_unit(),
                &plan,
                start(),
                &STREAMS,
                folder.path(),
                CONFIG,
                n_threads,
                &count,
            )
            .expect("trained");
            assert_eq!(n.swap(0, Ordering::Relaxed), 5 * 47);
        }
    }

    #[test]
    fn another_configuration_in_the_folder_is_refused() {
        let (plan, folder) = (plan(SGD), tempfile::tempdir().expect("a folder"));
        run(&tanh_unit(), &plan, folder.path(), 1).expect("trained");
        let other = train(
            &tanh_unit(),
            &plan,
            start(),
            &STREAMS,
            folder.path(),
            "{}",
            1,
            &|_| (),
        );
        assert!(
            matches!(
                other,
                Err(TrainError::Checkpoint(CheckpointError::OtherConfig { .. }))
            ),
            "{other:?}"
        );
        let rows = TrainPlan::load_rows(folder.path(), 10, "{}");
        assert!(matches!(rows, Err(CheckpointError::OtherConfig { .. })));
        let missing = TrainPlan::load_rows(folder.path(), 11, CONFIG);
        assert!(matches!(missing, Err(CheckpointError::Io { .. })));
    }

    #[test]
    fn divergence_is_an_error_with_its_row() {
        let (plan, folder) = (plan(SGD), tempfile::tempdir().expect("a folder"));
        let mut rows = start();
        rows[[3, 1]] = f64::INFINITY;
        let diverged = train(
            &tanh_unit(),
            &plan,
            rows,
            &STREAMS,
            folder.path(),
            CONFIG,
            1,
            &|_| (),
        );
        let error = diverged.expect_err("diverged");
        assert!(
            matches!(error, TrainError::Diverged { row: 3, step: 10 }),
            "{error}"
        );
        assert!(error.to_string().contains("smaller learning_rate"));
        assert!(
            !TrainPlan::checkpoint_path(folder.path(), 10).exists(),
            "no file holds what is not finite"
        );

        let folder = tempfile::tempdir().expect("a folder");
        let fast = TrainPlan {
            optimiser: Optimiser::Sgd(Sgd {
                learning_rate: 1e150,
                momentum: 0.9,
            }),
            ..plan
        };
        let diverged = run(&tanh_unit(), &fast, folder.path(), 2);
        assert!(
            matches!(diverged, Err(TrainError::Diverged { row: 0, .. })),
            "{diverged:?}"
        );
    }

    #[test]
    fn a_plan_is_checked() {
        let good = plan(ADAMW);
        assert_eq!(good.check(5), Ok(()));
        assert_eq!(
            good.check(4),
            Err(PlanError::BatchSize {
                batch_size: 5,
                n_samples: 4
            })
        );
        let zero = |plan: TrainPlan| match plan.check(24) {
            Err(PlanError::Zero { name }) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            zero(TrainPlan {
                n_steps: 0,
                ..good.clone()
            }),
            "n_steps"
        );
        assert_eq!(
            zero(TrainPlan {
                checkpoint_every: 0,
                ..good.clone()
            }),
            "checkpoint_every"
        );
        assert_eq!(
            zero(TrainPlan {
                batch_size: Some(0),
                ..good.clone()
            }),
            "batch_size"
        );
        let optimiser = Optimiser::Sgd(Sgd {
            learning_rate: f64::NAN,
            momentum: 0.0,
        });
        assert!(matches!(
            TrainPlan {
                optimiser,
                ..good.clone()
            }
            .check(24),
            Err(PlanError::Optimiser(_))
        ));
        assert_eq!(good.checkpoint_steps(), [0, 10, 20, 30, 40, 47]);
        assert_eq!(
            TrainPlan {
                n_steps: 40,
                ..good
            }
            .checkpoint_steps(),
            [0, 10, 20, 30, 40]
        );
    }

    #[test]
    #[should_panic(expected = "one stream for each row")]
    fn a_missing_stream_is_a_bug() {
        let folder = tempfile::tempdir().expect("a folder");
        let _ = train(
            &tanh_unit(),
            &plan(SGD),
            array![[0.0; 4]],
            &[],
            folder.path(),
            CONFIG,
            1,
            &|_| (),
        );
    }
}
