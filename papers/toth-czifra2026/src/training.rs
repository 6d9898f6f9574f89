//! The tanh unit in training: λ̂ and loss against the step.

use anyhow::Context;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
    Verdict,
};
use slt_sampler::targets::TanhUnit;
use slt_sampler::{Llc, Points, Probes, Target, default_nbeta, estimate};
use slt_training::{TrainPlan, train};

use crate::settings::Training;
use crate::slices;
use crate::tanh::{data, network};

/// The post's sharp drop: between steps 500 and 750.
const THEIR_DROP: f64 = 625.0;
/// Steps after which the first descent, to the best constant or straight line, is over.
const SETTLED: u64 = 100;

/// What is recorded; one entry for each checkpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub steps: Vec<u64>,
    /// Losses of every seed; rows are checkpoints.
    pub all_losses: Vec<Vec<f64>>,
    /// Where each seed's loss falls fastest, once it has settled.
    pub drops: Vec<f64>,
    /// The seed whose drop is nearest the post's; all below is about it.
    pub shown: usize,
    pub weights: Vec<Vec<f64>>,
    pub losses: Vec<f64>,
    pub llcs: Vec<Llc>,
    /// Chains around the checkpoints of the settings' `traces_at`.
    pub traces: Vec<Vec<Vec<Vec<f64>>>>,
}

pub fn run(store: &Store, settings: &Training) -> anyhow::Result<Outcome> {
    Ok(store
        .cell("training", settings, "host", || compute(store, settings))?
        .result)
}

fn compute(store: &Store, settings: &Training) -> anyhow::Result<Outcome> {
    let (x, y) = data(settings.n_samples);
    let nbeta = default_nbeta(settings.n_samples)?;
    let mut target = TanhUnit::new(x, y)?;
    let config = serde_json::to_string(&(
        settings.n_samples,
        settings.n_seeds,
        settings.init_seed,
        &settings.plan,
    ))?;
    let folder = store.checkpoints_of("training", &config, "host")?;
    let seeds: Vec<u64> = (0..settings.n_seeds).collect();
    let start = network().init(settings.init_seed, &seeds);
    train(
        &target,
        &settings.plan,
        start,
        &seeds,
        &folder,
        &config,
        1,
        &|_| (),
    )?;
    let steps = settings.plan.checkpoint_steps();
    let mut all_losses = Vec::new();
    let mut ensembles = Vec::new();
    for &step in &steps {
        let rows = TrainPlan::load_rows(&folder, step, &config)?;
        let mut losses = vec![0.0; seeds.len()];
        target.loss(rows.view(), &mut losses);
        all_losses.push(losses);
        ensembles.push(rows);
    }
    let drops: Vec<f64> = (0..seeds.len())
        .map(|seed| steepest(&steps, &all_losses, seed))
        .collect();
    let distance = |seed: &usize| (drops[*seed] - THEIR_DROP).abs();
    let shown = (0..seeds.len())
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .context("there is a seed")?;
    let weights = Array2::from_shape_fn((steps.len(), 4), |(i, j)| ensembles[i][[shown, j]]);
    let losses: Vec<f64> = all_losses.iter().map(|row| row[shown]).collect();

    // every chain around every checkpoint is a row of one ensemble
    let n_chains = settings.sampling.n_chains;
    let plan = settings.sampling.plan(settings.n_samples)?;
    let progress = Progress::start(
        "training: chains",
        (steps.len() * n_chains * plan.schedule.n_steps()) as u64,
    );
    let points = Points {
        anchors: weights.view(),
        dynamics: &vec![settings.sampling.dynamics(nbeta)?; steps.len()],
        n_chains,
        from_stream: 0,
    };
    let probes = Probes::new(settings.sampling.seed);
    let found = estimate(&target, &points, &plan, Some(&probes), &|n| progress.inc(n))?;
    let llcs = found.all()?;

    let three = settings.sampling.rows(nbeta, 0, 3)?;
    let traces = settings.traces_at.iter().map(|at| {
        let i = steps
            .iter()
            .position(|step| step == at)
            .context("traces are at checkpoints")?;
        slices::paths(&target, plan, weights.row(i), &three)
    });
    let traces = traces.collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Outcome {
        weights: weights.rows().into_iter().map(|w| w.to_vec()).collect(),
        steps,
        all_losses,
        drops,
        shown,
        losses,
        llcs,
        traces,
    })
}

/// Middle of the stretch between two checkpoints over which the loss of `seed` falls fastest, after the first descent.
fn steepest(steps: &[u64], losses: &[Vec<f64>], seed: usize) -> f64 {
    let late = steps
        .windows(2)
        .zip(losses.windows(2))
        .filter(|(step, _)| step[0] >= SETTLED);
    let falls = late.map(|(step, loss)| {
        (
            loss[0][seed] - loss[1][seed],
            (step[0] + step[1]) as f64 / 2.0,
        )
    });
    falls
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(f64::from(u32::MAX), |fall| fall.1)
}

pub fn obtained(outcome: &Outcome) -> Vec<Obtained> {
    let drop = outcome.drops[outcome.shown];
    let n_within = outcome
        .drops
        .iter()
        .filter(|d| (500.0..=750.0).contains(*d))
        .count();
    let at = |step: f64| {
        outcome
            .steps
            .iter()
            .rposition(|&s| s as f64 <= step)
            .unwrap_or(0)
    };
    let (before, after) = (&outcome.llcs[at(0.5 * drop)], &outcome.llcs[at(1.5 * drop)]);
    let surge = after.mean - before.mean;
    let mcse = (after.mcse.powi(2) + before.mcse.powi(2)).sqrt();
    let first = &outcome.llcs[0];
    let (least, at) =
        outcome
            .llcs
            .iter()
            .zip(&outcome.steps)
            .fold((first, 0), |best, (llc, &step)| {
                if llc.mean < best.0.mean {
                    (llc, step)
                } else {
                    best
                }
            });
    vec![
        Obtained {
            id: "training-drop".into(),
            value: drop,
            mcse: None,
            reference: None,
            // a seed chosen for its drop cannot fail to have one
            verdict: Verdict::NotComparable,
            note: format!(
                "the nearest of {} seeds is shown; {n_within} have their steepest fall (after step {SETTLED}) between 500 and 750. \
                 λ̂ rises by {surge:.2} ± {mcse:.2} from half to one and a half times that step",
                outcome.drops.len()
            ),
        },
        Obtained {
            id: "training-start".into(),
            value: first.mean,
            mcse: Some(first.mcse),
            reference: None,
            verdict: Verdict::of_claim(first.mean + 3.0 * first.mcse < 0.0),
            note: format!(
                "verdict at step 0: {}; {:.0} % of the draws are below L(w*). Lowest over training: {:.2} at step {at}",
                first.verdict,
                100.0 * first.share_below,
                least.mean
            ),
        },
    ]
}

pub fn section(store: &Store, settings: &Training, outcome: &Outcome) -> anyhow::Result<Section> {
    let steps: Vec<f64> = outcome.steps.iter().map(|&s| s as f64).collect();
    let means: Vec<f64> = outcome.llcs.iter().map(|llc| llc.mean).collect();
    let (at, predicted): (Vec<f64>, Vec<f64>) = steps
        .iter()
        .zip(&outcome.llcs)
        .filter_map(|(&step, llc)| Some((step, llc.harmonic?.expected().value)))
        .unzip();
    let edge = |sign: f64| {
        outcome
            .llcs
            .iter()
            .map(|llc| llc.mean + 2.0 * sign * llc.mcse)
            .collect::<Vec<_>>()
    };
    let panel = |y: Axis, layers| Panel {
        title: String::new(),
        x: Axis::linear("training step"),
        y,
        layers,
        legend: Legend::Auto,
    };
    let mut loss_curves: Vec<Layer> = (0..outcome.drops.len())
        .map(|seed| {
            let curve = outcome
                .all_losses
                .iter()
                .map(|row| row[seed])
                .collect::<Vec<_>>();
            let layer = Layer::line(steps.clone(), curve).colour(Colour::Grey);
            if seed == 0 {
                layer.label("all seeds")
            } else {
                layer
            }
        })
        .collect();
    loss_curves.push(
        Layer::line(steps.clone(), outcome.losses.clone())
            .colour(Colour::Vermillion)
            .label("seed shown"),
    );
    let panels = vec![
        panel(
            Axis::linear("λ̂").range(-2.0, 2.0),
            vec![
                Layer::band(steps.clone(), edge(-1.0), edge(1.0)).label("± 2 MCSE"),
                Layer::line(steps, means).label("λ̂"),
                Layer::line(at, predicted)
                    .dashed()
                    .colour(Colour::Green)
                    .label("quadratic prediction"),
                Layer::hline(0.0).dashed().colour(Colour::Grey),
            ],
        ),
        panel(Axis::linear("training loss").range(0.33, 0.65), loss_curves),
    ];
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(2, 2),
        panels,
    }
    .write(&store.figures(), "training")?;

    let (x, y) = data(settings.n_samples);
    let mut target = TanhUnit::new(x, y)?;
    let mut panels = Vec::new();
    for (at, paths) in settings.traces_at.iter().zip(&outcome.traces) {
        let i = outcome
            .steps
            .iter()
            .position(|step| step == at)
            .context("traces are at checkpoints")?;
        let w = Array1::from(outcome.weights[i].clone());
        let mut panel = slices::panel(&mut target, w.view(), (0, 1), &["w₁", "b₁"], paths);
        panel.title = format!("step {at}");
        panels.push(panel);
    }
    let n = panels.len();
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(n, 2),
        panels,
    }
    .write(&store.figures(), "training-traces")?;
    let last = outcome.llcs.last().context("there is a checkpoint")?;
    Ok(Section {
        heading: "3. λ̂ over the training of the tanh unit".into(),
        text: vec![format!(
            "Fresh nets, trained by plain gradient descent on the whole data set; of the one whose late drop is nearest the \
             post's, {} checkpoints with {} chains each, all rows of one ensemble. λ̂ starts at {:.2} ± {:.2} and ends at {:.2} ± {:.2}; the loss falls fastest near step {:.0}. Away from a \
             minimum λ̂ measures how much the chain descends, not a learning coefficient: the estimate's own verdict says so \
             ('{}' at step 0).",
            outcome.steps.len(),
            settings.sampling.n_chains,
            outcome.llcs[0].mean,
            outcome.llcs[0].mcse,
            last.mean,
            last.mcse,
            outcome.drops[outcome.shown],
            outcome.llcs[0].verdict
        )],
        figures: vec![
            FigureRef {
                name: "training".into(),
                caption: "λ̂ with twice its standard error beside what the same chains give on a quadratic, and the loss, over training; both \
                          start outside their panel.".into(),
                alt: "Two curves against the training step".into(),
            },
            FigureRef {
                name: "training-traces".into(),
                caption: "Three chains at chosen checkpoints, on the plane of w₁ and b₁.".into(),
                alt: "Heat maps of the loss with three trajectories each".into(),
            },
        ],
        ..Section::default()
    })
}
