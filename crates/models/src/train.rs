//! Trains all rows of an ensemble at once, and takes up an interrupted training where it left off.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayViewMut2, Axis};
use serde::{Deserialize, Serialize};
use slt_sampler::stream::Purpose;
use slt_sampler::{Minibatches, Target};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::optimiser::{Optimiser, OptimiserState};

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

/// An ensemble in training.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// Parameters, shape `[n_rows, d]`.
    pub rows: Array2<f64>,
    /// The optimiser's moments.
    pub moments: OptimiserState,
    /// Steps done.
    pub step: u64,
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

impl TrainPlan {
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
    assert_eq!(start.nrows(), streams.len(), "one stream for each row");
    assert_eq!(
        start.ncols(),
        target.n_params(),
        "rows have as many columns as the target has parameters"
    );
    assert!(
        plan.checkpoint_every > 0 && n_threads > 0,
        "a plan has a stride between checkpoints, and a thread"
    );
    std::fs::create_dir_all(folder).map_err(|source| CheckpointError::Io {
        action: "write",
        path: folder.to_owned(),
        source,
    })?;
    let resume = folder.join("resume.safetensors");
    let mut training = if resume.exists() {
        let mut saved = Checkpoint::load(&resume, config)?;
        let moments = OptimiserState {
            first: saved.take("first", &resume)?,
            second: saved.take("second", &resume)?,
        };
        Training {
            rows: saved.take("rows", &resume)?,
            moments,
            step: saved.step,
        }
    } else {
        let moments = plan.optimiser.start(start.nrows(), start.ncols());
        let training = Training {
            rows: start,
            moments,
            step: 0,
        };
        save(&training, folder, config)?;
        training
    };
    progress(training.step * streams.len() as u64);
    for to in plan.checkpoint_steps() {
        if to <= training.step {
            continue;
        }
        advance(
            target,
            plan,
            &mut training,
            streams,
            to,
            n_threads,
            progress,
        );
        if let Some(row) = training
            .rows
            .rows()
            .into_iter()
            .position(|row| !row.iter().all(|w| w.is_finite()))
        {
            return Err(TrainError::Diverged {
                row,
                step: training.step,
            });
        }
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

/// Steps up to number `to`, rows split over threads.
fn advance<T: Target + Clone + Send + Sync>(
    target: &T,
    plan: &TrainPlan,
    training: &mut Training,
    streams: &[u64],
    to: u64,
    n_threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) {
    let block = streams.len().div_ceil(n_threads);
    let from = training.step;
    let rows = training.rows.axis_chunks_iter_mut(Axis(0), block);
    let first = training.moments.first.axis_chunks_iter_mut(Axis(0), block);
    let second = training.moments.second.axis_chunks_iter_mut(Axis(0), block);
    std::thread::scope(|scope| {
        for (((rows, first), second), streams) in
            rows.zip(first).zip(second).zip(streams.chunks(block))
        {
            scope.spawn(move || {
                advance_block(
                    &mut target.clone(),
                    plan,
                    rows,
                    first,
                    second,
                    streams,
                    from..to,
                    progress,
                )
            });
        }
    });
    training.step = to;
}

#[expect(
    clippy::too_many_arguments,
    reason = "each is one thing, and all are needed"
)]
fn advance_block<T: Target>(
    target: &mut T,
    plan: &TrainPlan,
    mut rows: ArrayViewMut2<f64>,
    mut first: ArrayViewMut2<f64>,
    mut second: ArrayViewMut2<f64>,
    streams: &[u64],
    steps: std::ops::Range<u64>,
    progress: &(dyn Fn(u64) + Sync),
) {
    /// Steps between two reports of progress.
    const REPORT: u64 = 50;
    let mut grad = Array2::zeros(rows.dim());
    let mut loss = vec![0.0; streams.len()];
    let mut batches = Minibatches::new(
        plan.seed,
        Purpose::TrainingBatches,
        streams,
        target.n_samples(),
        plan.batch_size,
    );
    let mut reported = steps.start;
    for step in steps.clone() {
        target.loss_and_grad(rows.view(), batches.at(step), grad.view_mut(), &mut loss);
        plan.optimiser.step(
            step,
            rows.view_mut(),
            &grad,
            first.view_mut(),
            second.view_mut(),
        );
        if step + 1 - reported == REPORT || step + 1 == steps.end {
            progress((step + 1 - reported) * streams.len() as u64);
            reported = step + 1;
        }
    }
}
