//! The map of λ̂/λ over step size, localisation and inverse temperature, around one network.

use anyhow::Context;
use ndarray::Axis;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis as PlotAxis, Figure, FigureRef, Heat as Map, Layer, Legend, Panel, Progress, Section,
    Store,
};
use slt_sampler::{Dynamics, Llc, Points, Verdict, default_nbeta, estimate};

use crate::networks::{family, name};
use crate::settings::Heat;

/// What is recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub widths: Vec<usize>,
    pub rank: usize,
    pub lambda: f64,
    pub nbeta: f64,
    /// λ̂/λ, `nβ` running fastest, then γ, then ε; none where the chains diverged.
    pub ratios: Vec<Option<f64>>,
    /// Cells whose own verdict is that all is well.
    pub n_ok: usize,
}

pub fn run(store: &Store, settings: &Heat) -> anyhow::Result<Outcome> {
    Ok(store
        .cell("heat", settings, "host", || compute(settings))?
        .result)
}

fn compute(settings: &Heat) -> anyhow::Result<Outcome> {
    let network = settings.class.draw(settings.seed, settings.stream)?;
    let lambda = family(&network)?.learning_coefficient().lambda_f64();
    let n = settings.class.n_samples();
    let nbeta = default_nbeta(n)?;
    let nbetas: Vec<f64> = settings
        .factors
        .iter()
        .map(|factor| factor * nbeta)
        .collect();
    let plan = settings.sampling.plan(n)?;
    let cells = Dynamics::grid(&settings.step_sizes, &settings.gammas, &nbetas)?;
    let anchors = network.w.view().insert_axis(Axis(0));
    let points = Points {
        anchors: anchors
            .broadcast((cells.len(), network.w.len()))
            .context("rows")?,
        dynamics: &cells,
        n_chains: settings.sampling.n_chains,
        from_stream: 0,
    };
    let n_rows = cells.len() * points.n_chains;
    let progress = Progress::start("heat map", (n_rows * plan.schedule.n_steps()) as u64);
    let target = network.expected_target(n);
    let found = estimate(&target, &points, &plan, None, &|n| progress.inc(n))?;
    let llcs = || found.llcs.iter().map(|llc| llc.as_ref().ok());
    let ratio = |llc: Option<&Llc>| {
        let mean = llc.filter(|llc| llc.n_diverged == 0)?.mean;
        Some(mean / lambda).filter(|ratio| ratio.is_finite())
    };
    Ok(Outcome {
        rank: network.rank(),
        widths: network.widths,
        lambda,
        nbeta,
        n_ok: llcs()
            .filter(|llc| llc.is_some_and(|llc| llc.verdict == Verdict::Ok))
            .count(),
        ratios: llcs().map(ratio).collect(),
    })
}

pub fn section(store: &Store, settings: &Heat, outcome: &Outcome) -> anyhow::Result<Section> {
    let (n_gammas, n_factors) = (settings.gammas.len(), settings.factors.len());
    let logs = |values: &[f64]| values.iter().map(|v| v.log10()).collect::<Vec<_>>();
    let panel = |k: usize| {
        let value = |j: usize, i: usize| {
            let ratio = outcome.ratios[(i * n_gammas + j) * n_factors + k];
            // beyond the colours' range all is equally wrong
            ratio.map_or(f64::NAN, |ratio| ratio.clamp(0.5, 2.0))
        };
        let n_steps = settings.step_sizes.len();
        let z = (0..n_gammas).flat_map(|j| (0..n_steps).map(move |i| (j, i)));
        Panel {
            title: format!("nβ = {:.3e}", settings.factors[k] * outcome.nbeta),
            x: PlotAxis::linear("log₁₀ ε"),
            y: PlotAxis::linear("log₁₀ γ"),
            layers: vec![Layer::heat(Map {
                xs: logs(&settings.step_sizes),
                ys: logs(&settings.gammas),
                z: z.map(|(j, i)| value(j, i)).collect(),
                log: true,
                range: Some((0.5, 2.0)),
                n_levels: 24,
                bar: (k + 1 == n_factors).then(|| "λ̂/λ".into()),
            })],
            legend: Legend::None,
        }
    };
    Figure {
        title: String::new(),
        columns: n_factors,
        size: (320 * n_factors as u32 + 60, 330),
        panels: (0..n_factors).map(panel).collect(),
    }
    .write(&store.figures(), "heat")?;
    let sampling = &settings.sampling;
    Ok(Section {
        heading: "3. Step size, localisation and temperature".into(),
        text: vec![format!(
            "A network of the {} class, widths {:?}, rank {}, λ = {}. SGLD on full batches, {} steps of which {} are dropped, {} chains a cell, \
             all cells rows of one ensemble; grey cells diverged. By its own diagnostics the estimate is good in {} of {} cells.",
            name(settings.class),
            outcome.widths,
            outcome.rank,
            outcome.lambda,
            sampling.n_steps,
            sampling.burn_in,
            sampling.n_chains,
            outcome.n_ok,
            outcome.ratios.len()
        )],
        figures: vec![FigureRef {
            name: "heat".into(),
            caption: "λ̂/λ over step size and localisation, at three inverse temperatures; the ends of the scale stand for all beyond them.".into(),
            alt: "Three heat maps: too low at small steps and strong localisation, too high at large steps".into(),
        }],
        ..Section::default()
    })
}
