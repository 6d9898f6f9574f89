//! λ̂ against the step size: SGLD, RMSProp-SGLD and Adam-SGLD on the same networks.

use anyhow::Context;
use ndarray::Axis;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis as PlotAxis, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
    Verdict,
};
use slt_sampler::{Adaptive, Dynamics, Kernel, Llc, LlcError, Points, default_nbeta, estimate};
use slt_stats::quantile;

use crate::networks::family;
use crate::settings::Steps;

/// The kernels, in the order of the record.
const KERNELS: [(&str, Kernel); 3] = [
    ("SGLD", Kernel::Sgld),
    ("RMSProp-SGLD", Kernel::Adaptive(Adaptive::RMSPROP)),
    ("Adam-SGLD", Kernel::Adaptive(Adaptive::ADAM)),
];

/// What is recorded of a network: λ̂/λ of each kernel at each of its steps; none where the chains diverged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub ratios: Vec<Vec<Option<f64>>>,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: &'a Steps,
    stream: u64,
}

pub fn run(store: &Store, settings: &Steps) -> anyhow::Result<Vec<Outcome>> {
    let cell = |stream| {
        let config = Config { settings, stream };
        let record = store.cell("steps", &config, "host", || compute(settings, stream))?;
        Ok(record.result)
    };
    (0..settings.n_networks).map(cell).collect()
}

fn steps_of(settings: &Steps, kernel: usize) -> &[f64] {
    if kernel == 0 {
        &settings.sgld
    } else {
        &settings.preconditioned
    }
}

fn compute(settings: &Steps, stream: u64) -> anyhow::Result<Outcome> {
    let network = settings.class.draw(settings.seed, stream)?;
    let lambda = family(&network)?.learning_coefficient().lambda_f64();
    let n = settings.class.n_samples();
    let nbeta = default_nbeta(n)?;
    let target = network.expected_target(n);
    let sampling = &settings.sampling;
    let anchor = network.w.view().insert_axis(Axis(0));
    let mut ratios = Vec::new();
    for (k, (name, kernel)) in KERNELS.into_iter().enumerate() {
        let mut plan = sampling.plan(n)?;
        (plan.kernel, plan.block) = (kernel, 2);
        let dynamics = Dynamics::grid(steps_of(settings, k), &[sampling.gamma], &[nbeta])?;
        let points = Points {
            anchors: anchor
                .broadcast((dynamics.len(), network.w.len()))
                .context("rows")?,
            dynamics: &dynamics,
            n_chains: sampling.n_chains,
            from_stream: (k as u64) << 32,
        };
        let n_rows = dynamics.len() * sampling.n_chains;
        let label = format!("steps of {name}, network {stream}");
        let progress = Progress::start(&label, (n_rows * plan.schedule.n_steps()) as u64);
        let found = estimate(&target, &points, &plan, None, &|n| progress.inc(n))?;
        let ratio = |llc: &Result<Llc, LlcError>| {
            let ratio = llc.as_ref().ok()?.mean / lambda;
            Some(ratio).filter(|ratio| ratio.is_finite())
        };
        ratios.push(found.llcs.iter().map(ratio).collect());
    }
    Ok(Outcome { ratios })
}

/// The median over networks of `f(λ̂/λ)` at each step, where at least half of them did not diverge.
fn medians(outcomes: &[Outcome], kernel: usize, f: impl Fn(f64) -> f64) -> Vec<f64> {
    let n_steps = outcomes[0].ratios[kernel].len();
    let median = |step: usize| {
        let of = |o: &Outcome| o.ratios[kernel][step];
        let values: Vec<f64> = outcomes.iter().filter_map(of).map(&f).collect();
        if 2 * values.len() < outcomes.len() {
            return f64::NAN;
        }
        quantile(&values, 0.5).unwrap_or(f64::NAN)
    };
    (0..n_steps).map(median).collect()
}

/// The least median error, and how many steps have at most twice it.
fn best(outcomes: &[Outcome], kernel: usize) -> (f64, usize) {
    let errors = medians(outcomes, kernel, |ratio| (ratio - 1.0).abs());
    let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
    let near = errors.iter().filter(|&&e| e <= 2.0 * least).count();
    (least, near)
}

pub fn obtained(outcomes: &[Outcome]) -> Vec<Obtained> {
    let [(sgld, wide), (rmsprop, wider), (adam, _)] = [0, 1, 2].map(|k| best(outcomes, k));
    vec![Obtained {
        id: "preconditioned".into(),
        value: rmsprop,
        mcse: None,
        reference: Some((sgld, "ours, SGLD at its best step".into())),
        verdict: Verdict::of_claim(rmsprop < sgld),
        note: format!(
            "{} networks, each sampler at the step that is best for λ; Adam-SGLD {adam:.3}. At most twice the least error at {wide} steps of \
             SGLD and {wider} of RMSProp-SGLD",
            outcomes.len()
        ),
    }]
}

pub fn section(store: &Store, settings: &Steps, outcomes: &[Outcome]) -> anyhow::Result<Section> {
    let panel = |title: &str, y: PlotAxis, f: fn(f64) -> f64, line: Option<f64>| {
        let curve = |(k, (name, _)): (usize, &(&str, Kernel))| {
            let steps = steps_of(settings, k).to_vec();
            let values = medians(outcomes, k, f);
            [
                Layer::line(steps.clone(), values.clone()).label(name),
                Layer::points(steps, values).label(name),
            ]
        };
        let mut layers: Vec<Layer> = KERNELS.iter().enumerate().flat_map(curve).collect();
        layers.extend(line.map(Layer::hline));
        Panel {
            title: title.into(),
            x: PlotAxis::log("step size ε"),
            y,
            layers,
            legend: Legend::Above,
        }
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(2, 2),
        panels: vec![
            panel(
                "Median estimate",
                PlotAxis::log("λ̂/λ"),
                |ratio| ratio,
                Some(1.0),
            ),
            panel(
                "Median error",
                PlotAxis::log("|λ̂/λ - 1|"),
                |ratio| (ratio - 1.0).abs(),
                None,
            ),
        ],
    }
    .write(&store.figures(), "steps")?;
    let sampling = &settings.sampling;
    Ok(Section {
        heading: "2. Step sizes, with and without a preconditioner".into(),
        text: vec![format!(
            "{} networks, full batches, {} steps of which {} are dropped, γ = {}. A longer step carries the chain from the published regime, \
             where it is still where it started, through the true value to divergence: the step at which λ̂ = λ is where two errors cancel.",
            outcomes.len(),
            sampling.n_steps,
            sampling.burn_in,
            sampling.gamma
        )],
        figures: vec![FigureRef {
            name: "steps".into(),
            caption: "Median over networks of λ̂/λ and of its error, against the step size.".into(),
            alt: "Curves of three samplers over four decades of step size".into(),
        }],
        ..Section::default()
    })
}
