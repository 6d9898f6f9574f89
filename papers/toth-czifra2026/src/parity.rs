//! Grokking: the parity of 3 of 30 bits, several seeds as rows of one ensemble.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ndarray::{Array2, s};
use serde::{Deserialize, Serialize};
use slt_models::{Device, DeviceKind, Engine, Network};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
    Verdict,
};
use slt_sampler::{Llc, Points, Probes, Target, default_nbeta, estimate};
use slt_training::{TrainPlan, train};

use crate::settings::ParityNet;

/// Test accuracy half-way between chance and certainty.
const HALF_WAY: f64 = 0.75;

/// What is recorded of the training; rows of each list are checkpoints, columns seeds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trained {
    pub n_params: usize,
    pub steps: Vec<u64>,
    pub train_accuracy: Vec<Vec<f64>>,
    pub test_accuracy: Vec<Vec<f64>>,
    pub train_loss: Vec<Vec<f64>>,
    pub weight_norm: Vec<Vec<f64>>,
}

/// What is recorded around one checkpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Around {
    pub step: u64,
    /// One for each seed.
    pub llcs: Vec<Llc>,
    /// `nβ (L - L(w*))` at each draw, averaged over a seed's chains.
    pub traces: Vec<Vec<f64>>,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub trained: Trained,
    pub around: Vec<Around>,
}

/// The settings that decide the training: with others, there are other checkpoints.
#[derive(Serialize)]
struct TrainingSettings<'a> {
    network: slt_models::Mlp,
    task: &'a slt_models::Parity,
    n_train: usize,
    n_test: usize,
    loss: slt_models::Loss,
    precision: slt_models::Precision,
    n_seeds: u64,
    init_seed: u64,
    data_seed: u64,
    plan: &'a TrainPlan,
}

#[derive(Serialize)]
struct AroundSettings<'a> {
    training: &'a TrainingSettings<'a>,
    sampling: &'a slt_sampler::Sampling,
    probes: &'a Probes,
    step: u64,
}

struct Experiment<'a> {
    settings: &'a ParityNet,
    train: Engine,
    test: Engine,
    config: String,
    folder: PathBuf,
    trained: OnceCell<()>,
}

impl Experiment<'_> {
    /// The checkpoints' folder, after a training where one is still needed.
    fn checkpoints(&self) -> anyhow::Result<&Path> {
        if self.trained.get().is_none() {
            let seeds: Vec<u64> = (0..self.settings.n_seeds).collect();
            let network = Network::from(self.settings.network());
            let start = network.init(self.settings.init_seed, &seeds);
            let progress = Progress::start(
                "parity: training",
                self.settings.plan.n_steps * self.settings.n_seeds,
            );
            let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
            let plan = &self.settings.plan;
            train(
                &self.train,
                plan,
                start,
                &seeds,
                &self.folder,
                &self.config,
                n_threads,
                &|n| progress.inc(n),
            )?;
            self.trained.set(()).expect("set once");
        }
        Ok(&self.folder)
    }

    fn rows(&self, step: u64) -> anyhow::Result<Array2<f64>> {
        Ok(TrainPlan::load_rows(
            self.checkpoints()?,
            step,
            &self.config,
        )?)
    }

    fn metrics(&self) -> anyhow::Result<Trained> {
        let steps = self.settings.plan.checkpoint_steps();
        let mut trained = Trained {
            n_params: self.train.n_params(),
            steps: steps.clone(),
            train_accuracy: Vec::new(),
            test_accuracy: Vec::new(),
            train_loss: Vec::new(),
            weight_norm: Vec::new(),
        };
        let (mut train, mut test) = (self.train.clone(), self.test.clone());
        for step in steps {
            let rows = self.rows(step)?;
            let mut loss = vec![0.0; rows.nrows()];
            train.loss(rows.view(), &mut loss);
            trained.train_accuracy.push(train.accuracy(rows.view()));
            trained.test_accuracy.push(test.accuracy(rows.view()));
            trained.train_loss.push(loss);
            trained
                .weight_norm
                .push(rows.rows().into_iter().map(|w| w.dot(&w).sqrt()).collect());
        }
        Ok(trained)
    }

    fn around(&self, step: u64, progress: &Progress) -> anyhow::Result<Around> {
        let settings = self.settings;
        let nbeta = default_nbeta(settings.n_train)?;
        let n_chains = settings.sampling.n_chains;
        let rows = self.rows(step)?;
        let points = Points {
            anchors: rows.view(),
            dynamics: &vec![settings.sampling.dynamics(nbeta)?; rows.nrows()],
            n_chains,
            from_stream: step << 32,
        };
        let probes = Probes {
            stream: step << 32,
            ..settings.probes
        };
        let plan = settings.sampling.plan(settings.n_train)?;
        let found = estimate(&self.train, &points, &plan, Some(&probes), &|n| {
            progress.inc(n)
        })?;
        let (mut llcs, mut traces) = (Vec::new(), Vec::new());
        for (seed, llc) in found.llcs.into_iter().enumerate() {
            let llc = llc.with_context(|| format!("parity, step {step}, seed {seed}"))?;
            let chains = s![seed * n_chains..(seed + 1) * n_chains, ..];
            let mean = found.draws.loss.slice(chains).mean_axis(ndarray::Axis(0));
            let mean = mean.context("there is a chain")?;
            traces.push(
                mean.iter()
                    .map(|l| nbeta * (l - llc.initial_loss))
                    .collect(),
            );
            llcs.push(llc);
        }
        Ok(Around { step, llcs, traces })
    }
}

pub fn run(
    store: &Store,
    settings: &ParityNet,
    kind: DeviceKind,
    device: &Device,
) -> anyhow::Result<Outcome> {
    let training = TrainingSettings {
        network: settings.network(),
        task: &settings.task,
        n_train: settings.n_train,
        n_test: settings.n_test,
        loss: settings.loss,
        precision: settings.precision,
        n_seeds: settings.n_seeds,
        init_seed: settings.init_seed,
        data_seed: settings.data_seed,
        plan: &settings.plan,
    };
    let kind = kind.to_string();
    let target = |n, stream| -> anyhow::Result<Engine> {
        let (x, y) = settings.task.samples(n, settings.data_seed, stream)?;
        Ok(Engine::new(
            settings.network(),
            settings.loss,
            settings.precision,
            device.clone(),
            x,
            y,
        )?)
    };
    let experiment = Experiment {
        settings,
        train: target(settings.n_train, 0)?,
        test: target(settings.n_test, 1)?,
        config: serde_json::to_string(&training)?,
        folder: store.checkpoints_of("parity", &training, &kind)?,
        trained: OnceCell::new(),
    };
    let trained: Trained = store
        .cell("parity-training", &training, &kind, || experiment.metrics())?
        .result;

    let every = usize::try_from(settings.llc_every)?;
    let steps: Vec<u64> = (0..=settings.plan.n_steps).step_by(every).collect();
    let cell = |step| AroundSettings {
        training: &training,
        sampling: &settings.sampling,
        probes: &settings.probes,
        step,
    };
    let mut missing = 0;
    for &step in &steps {
        missing += u64::from(!store.is_cached("parity-llc", &cell(step), &kind)?);
    }
    let n_steps = settings.sampling.plan(settings.n_train)?.schedule.n_steps();
    let chain_steps = settings.n_seeds * settings.sampling.n_chains as u64 * n_steps as u64;
    let progress = OnceCell::new();
    let around = steps.iter().map(|&step| {
        let record = store.cell("parity-llc", &cell(step), &kind, || {
            experiment.checkpoints()?;
            experiment.around(
                step,
                progress.get_or_init(|| Progress::start("parity: chains", missing * chain_steps)),
            )
        })?;
        Ok(record.result)
    });
    Ok(Outcome {
        around: around.collect::<anyhow::Result<_>>()?,
        trained,
    })
}

/// Mean over seeds, and its standard error.
fn over_seeds(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (values.len() > 1).then(|| (variance / n).sqrt()))
}

impl Outcome {
    /// For each seed, the first checkpoint from which on the test accuracy stays above half-way.
    fn transitions(&self) -> Vec<Option<usize>> {
        let accuracy = &self.trained.test_accuracy;
        let n_seeds = accuracy[0].len();
        let stays = |seed: usize| {
            let below = accuracy
                .iter()
                .rposition(|row| row[seed] < HALF_WAY)
                .map_or(0, |last| last + 1);
            (below < accuracy.len()).then_some(below)
        };
        (0..n_seeds).map(stays).collect()
    }

    /// λ̂ of each seed that generalised, at the last estimate before its transition and at the end of training.
    fn before_and_after(&self) -> Vec<(f64, f64)> {
        let transitions = self.transitions().into_iter().enumerate();
        let of_seed = |(seed, transition): (usize, Option<usize>)| {
            let step = self.trained.steps[transition?];
            let before = self.around.iter().rfind(|a| a.step < step && a.step > 0)?;
            Some((before.llcs[seed].mean, self.around.last()?.llcs[seed].mean))
        };
        transitions.filter_map(of_seed).collect()
    }
}

pub fn obtained(outcome: &Outcome) -> Vec<Obtained> {
    let trained = &outcome.trained;
    let n_seeds = trained.test_accuracy[0].len();
    let transitions: Vec<f64> = outcome
        .transitions()
        .into_iter()
        .flatten()
        .map(|i| trained.steps[i] as f64)
        .collect();
    let row = |id: &str, values: &[f64], verdict, note: String| {
        let (value, mcse) = over_seeds(values);
        // an estimate that no seed gave has no verdict
        let verdict = if value.is_nan() {
            Verdict::NotComparable
        } else {
            verdict
        };
        Obtained {
            id: id.into(),
            value,
            mcse,
            reference: None,
            verdict,
            note: format!("{note}. ± is the standard error over seeds"),
        }
    };
    let memorised = trained
        .train_accuracy
        .iter()
        .zip(&trained.test_accuracy)
        .zip(&trained.steps);
    let first: Vec<(f64, u64)> = (0..n_seeds)
        .filter_map(|seed| {
            memorised
                .clone()
                .find(|((train, _), _)| train[seed] >= 0.999)
                .map(|((_, test), &step)| (test[seed], step))
        })
        .collect();
    let plateau: Vec<f64> = first.iter().map(|p| p.0).collect();
    let latest = first.iter().map(|p| p.1).max().unwrap_or(0);
    let last = trained.test_accuracy.last().expect("there is a checkpoint");
    let pairs = outcome.before_and_after();
    let (before, after): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let ratios: Vec<f64> = pairs.iter().map(|(b, a)| b / a).collect();
    let ratio = over_seeds(&ratios).0;
    let early = outcome
        .around
        .iter()
        .find(|a| a.step >= latest && a.step > 0)
        .unwrap_or(&outcome.around[0]);
    let end = outcome.around.last().expect("there is an estimate");
    let from_early: Vec<f64> = early
        .llcs
        .iter()
        .zip(&end.llcs)
        .map(|(early, end)| early.mean / end.mean)
        .collect();
    vec![
        Obtained {
            id: "parity-parameters".into(),
            value: trained.n_params as f64,
            mcse: None,
            reference: None,
            verdict: Verdict::of_claim(trained.n_params == 73985),
            note: String::new(),
        },
        row(
            "parity-memorised",
            &plateau,
            Verdict::of_claim(over_seeds(&plateau).0 < 0.6),
            format!("at the first checkpoint with all training examples right, step {latest} or earlier; mean over {n_seeds} seeds"),
        ),
        row(
            "parity-step",
            &transitions,
            Verdict::of_claim((over_seeds(&transitions).0 / 7500.0 - 1.0).abs() < 0.25),
            format!("step from which on the test accuracy stays above {HALF_WAY}; {} of {n_seeds} seeds get there", transitions.len()),
        ),
        row("parity-generalised", last, Verdict::of_claim(over_seeds(last).0 > 0.95), "at the end of training".into()),
        row(
            "parity-before",
            &before,
            Verdict::NotComparable,
            "last estimate before the transition; its size depends on the step size and the chain's length, which the post does not \
             both state: see section 4"
                .into(),
        ),
        row("parity-after", &after, Verdict::NotComparable, "at the end of training; as above".into()),
        row(
            "parity-ratio",
            &ratios,
            Verdict::of_claim(ratio >= 2.0),
            format!(
                "the claim is the drop: a factor of at least 2, on the mean over seeds, with settings chosen after trials (section 4). From the first estimate after \
                 memorisation (step {}) on: {:.1}",
                early.step,
                over_seeds(&from_early).0
            ),
        ),
    ]
}

pub fn section(store: &Store, settings: &ParityNet, outcome: &Outcome) -> anyhow::Result<Section> {
    let trained = &outcome.trained;
    let n_seeds = trained.test_accuracy[0].len();
    let steps: Vec<f64> = trained.steps.iter().map(|&s| s as f64).collect();
    let column =
        |table: &[Vec<f64>], seed: usize| table.iter().map(|row| row[seed]).collect::<Vec<_>>();
    let panel = |title: &str, x: Axis, y: Axis, layers, legend| Panel {
        title: title.into(),
        x,
        y,
        layers,
        legend,
    };
    let curves = |table: &[Vec<f64>], colour: Colour, label: &str| -> Vec<Layer> {
        let curve = |seed| {
            let layer = Layer::line(steps.clone(), column(table, seed)).colour(colour);
            if seed == 0 { layer.label(label) } else { layer }
        };
        (0..n_seeds).map(curve).collect()
    };
    let mut accuracy = curves(&trained.train_accuracy, Colour::Grey, "training");
    accuracy.extend(curves(&trained.test_accuracy, Colour::Blue, "test"));
    let at: Vec<f64> = outcome.around.iter().map(|a| a.step as f64).collect();
    let mut llc: Vec<Layer> = (0..n_seeds)
        .map(|seed| {
            let of = |f: fn(&Llc) -> f64| {
                outcome
                    .around
                    .iter()
                    .map(|a| f(&a.llcs[seed]))
                    .collect::<Vec<_>>()
            };
            Layer::points_with_errors(at.clone(), of(|l| l.mean), of(|l| l.mcse))
                .colour(Colour::cycle(seed))
                .label(&format!("seed {seed}"))
        })
        .collect();
    let predicted = |seed: usize| -> (Vec<f64>, Vec<f64>) {
        let of = |around: &Around| {
            let harmonic = around.llcs[seed].harmonic?;
            Some((around.step as f64, harmonic.expected().value))
        };
        outcome.around.iter().filter_map(of).unzip()
    };
    llc.extend((0..n_seeds).map(|seed| {
        let (steps, values) = predicted(seed);
        let line = Layer::line(steps, values)
            .dashed()
            .colour(Colour::cycle(seed));
        if seed == 0 {
            line.label("the same chains on a quadratic")
        } else {
            line
        }
    }));
    // those of the estimates: before training the quadratic is unconfined, and its mean anything
    let llcs = || outcome.around.iter().flat_map(|a| &a.llcs);
    let lowest = llcs().map(|l| l.mean - l.mcse).fold(0.0, f64::min);
    let highest = llcs().map(|l| l.mean + l.mcse).fold(0.0, f64::max);
    let nbeta = default_nbeta(settings.n_train)?;
    llc.push(
        Layer::hline(nbeta * std::f64::consts::LN_2)
            .dashed()
            .colour(Colour::Grey)
            .label("as bad as chance"),
    );
    let mut traces = Vec::new();
    let draws: Vec<f64> = {
        let sampling = &settings.sampling;
        (0..outcome.around[0].traces[0].len())
            .map(|k| (sampling.burn_in + k * sampling.thin) as f64)
            .collect()
    };
    let n_traces = outcome.around.len();
    for (i, around) in outcome.around.iter().enumerate().skip(1).step_by(3) {
        traces.push(
            Layer::line(draws.clone(), around.traces[0].clone())
                .colour(Colour::Graded(i as f64 / n_traces as f64))
                .label(&format!("step {}", around.step)),
        );
    }
    let training_step = || Axis::linear("training step");
    let panels = vec![
        panel(
            "Accuracy",
            training_step(),
            Axis::linear("accuracy").range(0.4, 1.03),
            accuracy,
            Legend::Auto,
        ),
        panel(
            "Estimates",
            training_step(),
            Axis::linear("λ̂").range(lowest, 1.05 * highest),
            llc,
            Legend::Above,
        ),
        panel(
            "Training loss",
            training_step(),
            Axis::log("loss (nats)"),
            curves(&trained.train_loss, Colour::Vermillion, "loss"),
            Legend::None,
        ),
        panel(
            "Chains of seed 0",
            Axis::linear("chain step"),
            Axis::linear("nβ (L - L(w*))"),
            traces,
            Legend::Above,
        ),
    ];
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(4, 2),
        panels,
    }
    .write(&store.figures(), "parity")?;
    let r_hat = llcs().map(|l| l.r_hat).fold(0.0, f64::max);
    let n_ok = llcs()
        .filter(|l| l.verdict == slt_sampler::Verdict::Ok)
        .count();
    Ok(Section {
        heading: "4. Grokking: 3-bit parity of 30 bits".into(),
        text: vec![
            format!(
                "{} seeds as rows of one ensemble, {} training and {} test examples. λ̂ at each of {} checkpoints from {} chain(s) of {} \
                 steps for each seed, around weights of its own.",
                n_seeds, settings.n_train, settings.n_test, outcome.around.len(), settings.sampling.n_chains, settings.sampling.n_steps
            ),
            format!(
                "What the number is: at γ = {} a flat direction relaxes in 2/(εγ) = {:.0} steps, many times the chain's {}. The \
                 estimate is a property of sampler and landscape together, and no learning coefficient: {} of {} estimates pass \
                 their own diagnostics (largest R-hat {:.2}). A net that answers at chance would give nβ ln 2 = {:.0}: estimates \
                 above that line come from weights that have forgotten the task. What can be compared across checkpoints is the \
                 same chain, started at different weights.",
                settings.sampling.gamma,
                2.0 / (settings.sampling.step_size * settings.sampling.gamma.max(f64::MIN_POSITIVE)),
                settings.sampling.n_steps,
                n_ok,
                llcs().count(),
                r_hat,
                nbeta * std::f64::consts::LN_2
            ),
        ],
        figures: vec![FigureRef {
            name: "parity".into(),
            caption: "Accuracy, estimates with their standard errors (dashed: what the same chains would give on the loss's second order, \
                      which before training is unconfined, far below the axis), training loss, and the traces of one seed's chains \
                      at some checkpoints."
                .into(),
            alt: "Test accuracy rises from one half to one while the estimate falls".into(),
        }],
        ..Section::default()
    })
}
