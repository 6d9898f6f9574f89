//! Networks as rows: trained in memory, through checkpoints on disk or up to an early stop, and the chains around them.

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use serde::Serialize;
use slt_report::{Progress, Store};
use slt_sampler::targets::QuadraticNetwork;
use slt_sampler::{Dynamics, Estimates, Llc, Points, Sampling, Target, estimate};
use slt_training::{Adam, Optimiser, Sgd, TrainError, TrainPlan, Training, train};

fn n_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Estimates around each row of `anchors`, with `dynamics` of each: every chain is a row of one ensemble.
pub fn chains<T: Target + Clone + Send + Sync>(
    label: &str,
    target: &T,
    anchors: ArrayView2<f64>,
    dynamics: &[Dynamics],
    sampling: &Sampling,
    from_stream: u64,
) -> anyhow::Result<Estimates> {
    let points = Points {
        anchors,
        dynamics,
        n_chains: sampling.n_chains,
        from_stream,
    };
    let plan = sampling.plan(target.n_samples())?;
    let n_steps = anchors.nrows() * points.n_chains * plan.schedule.n_steps();
    let progress = Progress::start(label, n_steps as u64);
    Ok(estimate(target, &points, &plan, None, &|n| {
        progress.inc(n)
    })?)
}

/// A training whose checkpoints lie on disk.
pub struct Stored {
    folder: PathBuf,
    config: String,
    /// As it ended.
    pub training: Training,
}

impl Stored {
    /// Trains the rows `start`, or goes on where that stopped.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one thing, and all are needed"
    )]
    pub fn train(
        label: &str,
        store: &Store,
        experiment: &str,
        config: &impl Serialize,
        target: &QuadraticNetwork,
        plan: &TrainPlan,
        start: Array2<f64>,
        streams: &[u64],
    ) -> anyhow::Result<Self> {
        let config = serde_json::to_string(config)?;
        let folder = store.checkpoints_of(experiment, &config, "host")?;
        let progress = Progress::start(label, plan.n_steps * streams.len() as u64);
        let training = train(
            target,
            plan,
            start,
            streams,
            &folder,
            &config,
            n_threads(),
            &|n| progress.inc(n),
        )?;
        Ok(Self {
            folder,
            config,
            training,
        })
    }

    /// All rows after `step` steps.
    pub fn rows(&self, step: u64) -> anyhow::Result<Array2<f64>> {
        let folder: &Path = &self.folder;
        Ok(TrainPlan::load_rows(folder, step, &self.config)?)
    }
}

/// Trains the rows in memory. `at` is called at every checkpoint after the start, with its number and step; the training ends early when it has
/// taken all rows out.
pub fn train_in_memory<T: Target + Clone + Send + Sync>(
    label: &str,
    target: &T,
    plan: &TrainPlan,
    training: &mut Training,
    mut at: impl FnMut(usize, u64, &mut Training),
) -> Result<(), TrainError> {
    let n_rows = training.rows.nrows() as u64;
    let progress = Progress::start(label, plan.n_steps * n_rows);
    for (number, to) in plan.checkpoint_steps().into_iter().enumerate().skip(1) {
        training.advance(target, plan, to, n_threads(), &|n| progress.inc(n))?;
        at(number, to, training);
        if training.rows.is_empty() {
            break;
        }
    }
    Ok(())
}

/// The early stop of the paper's code.
#[derive(Debug, Clone, Copy)]
pub struct EarlyStop {
    /// Validation accuracy that is enough.
    accuracy: f64,
    /// Checkpoints in a row that have it.
    after: usize,
}

impl EarlyStop {
    pub fn new(accuracy: f64, after: usize) -> Self {
        Self { accuracy, after }
    }

    /// Whether these validation accuracies end the training.
    pub fn is_reached(&self, accuracies: &[f64]) -> bool {
        let last = accuracies.iter().rev().take(self.after);
        last.filter(|&&a| a >= self.accuracy).count() == self.after
    }
}

/// Two numbers of all rows at once, on the pairs to train on and on the others.
fn both<R: Send>(
    targets: &mut [QuadraticNetwork; 2],
    of: impl Fn(&mut QuadraticNetwork) -> R + Sync,
) -> [R; 2] {
    let [train, validation] = targets;
    let (train, validation) = rayon::join(|| of(train), || of(validation));
    [train, validation]
}

/// The accuracies of all rows, on the pairs to train on and on the others.
pub fn accuracies(targets: &mut [QuadraticNetwork; 2], rows: ArrayView2<f64>) -> [Vec<f64>; 2] {
    both(targets, |target| target.accuracy(rows))
}

/// The losses of all rows, on the pairs to train on and on the others.
pub fn losses(targets: &mut [QuadraticNetwork; 2], rows: ArrayView2<f64>) -> [Vec<f64>; 2] {
    both(targets, |target| {
        let mut losses = vec![f64::NAN; rows.nrows()];
        target.loss(rows, &mut losses);
        losses
    })
}

/// What a row went through up to its early stop.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// Of the checkpoints after the start.
    pub steps: Vec<u64>,
    /// There, on the pairs to train on and on the others.
    pub losses: [Vec<f64>; 2],
    pub accuracies: [Vec<f64>; 2],
    /// Weights that were wanted, with their steps.
    pub kept: Vec<(u64, Array1<f64>)>,
}

/// Trains the rows in memory, each up to its early stop. The weights of row `row` at checkpoint `number` are kept where `wanted(row, number, last)`
/// says so, `last` being its last checkpoint.
pub fn until_learnt(
    label: &str,
    targets: &mut [QuadraticNetwork; 2],
    plan: &TrainPlan,
    stop: EarlyStop,
    mut training: Training,
    mut wanted: impl FnMut(usize, usize, bool) -> bool,
) -> anyhow::Result<Vec<Course>> {
    let target = targets[0].clone();
    let mut courses = vec![Course::default(); training.rows.nrows()];
    // which course each row is
    let mut members: Vec<usize> = (0..courses.len()).collect();
    train_in_memory(
        label,
        &target,
        plan,
        &mut training,
        |number, step, training| {
            let losses = losses(targets, training.rows.view());
            let accuracies = accuracies(targets, training.rows.view());
            let mut going = Vec::new();
            for (row, &member) in members.iter().enumerate() {
                let course = &mut courses[member];
                course.steps.push(step);
                for which in 0..2 {
                    course.losses[which].push(losses[which][row]);
                    course.accuracies[which].push(accuracies[which][row]);
                }
                going.push(!stop.is_reached(&course.accuracies[1]));
                if wanted(member, number, !going[row] || step == plan.n_steps) {
                    let weights = training.rows.row(row).to_owned();
                    course.kept.push((step, weights));
                }
            }
            training.retain(&going);
            let mut going = going.into_iter();
            members.retain(|_| going.next() == Some(true));
        },
    )?;
    Ok(courses)
}

/// The weights that were kept, of all courses one after the other.
pub fn kept(courses: &[Course]) -> anyhow::Result<Array2<f64>> {
    let rows = courses.iter().flat_map(|course| &course.kept);
    stacked(rows.map(|(_, weights)| weights.view()))
}

/// Rows as one ensemble.
pub fn stacked<'a>(rows: impl Iterator<Item = ArrayView1<'a, f64>>) -> anyhow::Result<Array2<f64>> {
    let rows: Vec<_> = rows.collect();
    Ok(ndarray::stack(ndarray::Axis(0), &rows)?)
}

/// Which checkpoints have an estimate: those whose number is at least so many times that of the last one that has, and the last.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    growth: f64,
    number: usize,
}

impl Due {
    pub fn new(growth: f64) -> Self {
        Self { growth, number: 0 }
    }

    /// Whether checkpoint `number` has one, asked of each in turn.
    pub fn is(&mut self, number: usize, last: bool) -> bool {
        let due = number as f64 >= self.growth * self.number as f64;
        if due {
            self.number = number;
        }
        due || last
    }
}

/// Standard error of one of these estimates: the spread of their chains, which is the same at all of them. (The MCSE of chains that are still on
/// their way is that of a series with a trend.)
pub fn chain_error(llcs: &[Llc]) -> f64 {
    let squares = |llc: &Llc| {
        let off = llc.per_chain.iter().map(|v| (v - llc.mean).powi(2));
        off.sum::<f64>()
    };
    let n_chains = llcs[0].per_chain.len() as f64;
    let freedom = llcs.len() as f64 * (n_chains - 1.0);
    (llcs.iter().map(squares).sum::<f64>() / freedom / n_chains).sqrt()
}

/// λ̂ as the authors have it: from the losses of the minibatches, where the chains run on any.
pub fn as_published(llc: &Llc) -> f64 {
    llc.by_batches.unwrap_or(llc.mean)
}

/// Learning rate and weight decay.
pub fn rates(optimiser: Optimiser) -> (f64, f64) {
    match optimiser {
        Optimiser::Adam(Adam {
            learning_rate,
            weight_decay,
            ..
        })
        | Optimiser::AdamW(Adam {
            learning_rate,
            weight_decay,
            ..
        }) => (learning_rate, weight_decay),
        Optimiser::Sgd(Sgd { learning_rate, .. }) => (learning_rate, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_early_stop_wants_checkpoints_in_a_row() {
        let stop = EarlyStop::new(0.99, 2);
        assert!(stop.is_reached(&[0.1, 0.99, 1.0]));
        assert!(!stop.is_reached(&[1.0, 0.98, 1.0]));
        assert!(!stop.is_reached(&[1.0]));
        assert!(!stop.is_reached(&[1.0, f64::NAN]));
    }

    #[test]
    fn estimates_are_due_in_growing_steps() {
        let mut due = Due::new(2.0);
        let numbers: Vec<usize> = (1..=11).filter(|&i| due.is(i, i == 11)).collect();
        assert_eq!(numbers, [1, 2, 4, 8, 11]);
        let mut all = Due::new(1.0);
        assert!((1..9).all(|i| all.is(i, false)));
    }
}
