//! λ̂ over ε and γ around the trained network, and what the second order at w* says of the same chains.

use anyhow::Context;
use ndarray::s;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Figure, FigureRef, Heat as Map, Layer, Legend, Obtained, Panel, Section, Store, Verdict,
};
use slt_sampler::{Dynamics, Llc, QuadraticPrediction, Spectrum, quadratic_chain_mean};

use crate::grokking::checkpoints;
use crate::place::Place;
use crate::settings::{Grokking, Heat};

/// What is recorded; cells with γ running faster than ε, none where the chain diverged or the step is too large.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub llcs: Vec<Option<f64>>,
    /// The expectation of such chains on the second order, and that of equilibrium.
    pub chain_means: Vec<Option<f64>>,
    pub equilibria: Vec<f64>,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: &'a Heat,
    network: (&'a crate::task::Task, u64, u64, &'a slt_training::TrainPlan),
    nbeta: f64,
}

pub fn run(
    store: &Store,
    place: &Place,
    settings: &Heat,
    network: &Grokking,
) -> anyhow::Result<Outcome> {
    let config = Config {
        settings,
        network: (
            &network.task,
            network.n_seeds,
            network.init_seed,
            &network.plan,
        ),
        nbeta: network.nbeta,
    };
    let compute = || compute(store, place, settings, network);
    Ok(store.cell("heat", &config, place.name(), compute)?.result)
}

fn compute(
    store: &Store,
    place: &Place,
    settings: &Heat,
    network: &Grokking,
) -> anyhow::Result<Outcome> {
    let [mut target, _] = network.task.targets()?;
    let rows = checkpoints(store, network, &target, 0)?;
    let w = rows.row(rows.nrows() - 1);
    let nbeta = network.nbeta;
    let cells = Dynamics::grid(&settings.step_sizes, &settings.gammas, &[nbeta])?;
    let anchors = rows.slice(s![-1.., ..]);
    let anchors = anchors.broadcast((cells.len(), w.len())).context("rows")?;
    let found = place.chains("heat map", &target, anchors, &cells, &settings.sampling, 0)?;
    let schedule = settings.sampling.plan(network.task.n_train())?.schedule;
    let spectrum = Spectrum::of(&mut target, w, &settings.probes)?;
    let mean = |llc: &Llc| (llc.n_diverged == 0 && llc.mean.is_finite()).then_some(llc.mean);
    let chain = |c: &Dynamics| {
        let mean = quadratic_chain_mean(&spectrum, nbeta, c.gamma(), c.step_size(), &schedule);
        mean.ok().map(|mean| mean.value)
    };
    let equilibria = cells
        .iter()
        .map(|c| {
            Ok(QuadraticPrediction::new(&spectrum, nbeta, c.gamma())?
                .mean
                .value)
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Outcome {
        llcs: found
            .llcs
            .iter()
            .map(|llc| mean(llc.as_ref().ok()?))
            .collect(),
        chain_means: cells.iter().map(chain).collect(),
        equilibria,
    })
}

pub fn obtained(settings: &Heat, outcome: &Outcome) -> Vec<Obtained> {
    let all = outcome.llcs.iter().flatten().copied();
    let (least, most) = all.fold((f64::INFINITY, 0.0), |(a, b): (f64, f64), v| {
        (a.min(v), b.max(v))
    });
    // at the strongest localisation, the second order over λ̂
    let n = settings.gammas.len();
    let strongest = (0..settings.step_sizes.len()).map(|i| i * n + n - 1);
    let share = |i: usize| Some(outcome.chain_means[i]? / outcome.llcs[i]?);
    let shares: Vec<f64> = strongest.filter_map(share).collect();
    let local = shares.iter().filter(|r| (0.8..1.25).contains(*r)).count();
    vec![Obtained {
        id: "sensitivity".into(),
        value: most / least,
        mcse: None,
        reference: None,
        verdict: Verdict::of_claim(most / least >= 10.0),
        note: format!(
            "from {least:.1} to {most:.0}. At γ = {} the second order is within a quarter of λ̂ at {local} of {} step sizes: there the estimate is local",
            settings.gammas[n - 1],
            shares.len()
        ),
    }]
}

pub fn section(store: &Store, settings: &Heat, outcome: &Outcome) -> anyhow::Result<Section> {
    let logs = |values: &[f64]| values.iter().map(|v| v.log10()).collect::<Vec<_>>();
    let (n_gammas, n_steps) = (settings.gammas.len(), settings.step_sizes.len());
    let panel = |title: &str, bar: &str, range, value: &dyn Fn(usize) -> f64| {
        let cells = (0..n_gammas).flat_map(|j| (0..n_steps).map(move |i| i * n_gammas + j));
        Panel {
            title: title.into(),
            x: Axis::linear("log₁₀ ε"),
            y: Axis::linear("log₁₀ γ"),
            layers: vec![Layer::heat(Map {
                xs: logs(&settings.step_sizes),
                ys: logs(&settings.gammas),
                z: cells.map(value).collect(),
                log: true,
                range,
                n_levels: 24,
                bar: Some(bar.into()),
            })],
            legend: Legend::None,
        }
    };
    let llc = |i: usize| outcome.llcs[i].unwrap_or(f64::NAN);
    let share = |i: usize| {
        let share = outcome.chain_means[i].map_or(f64::NAN, |mean| mean / llc(i));
        if share.is_finite() {
            share.clamp(0.03, 1.0)
        } else {
            f64::NAN
        }
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: (860, 360),
        panels: vec![
            panel("Estimate", "λ̂", None, &llc),
            panel(
                "Second order at w*",
                "share of λ̂",
                Some((0.03, 1.0)),
                &share,
            ),
        ],
    }
    .write(&store.figures(), "heat")?;
    let sampling = &settings.sampling;
    Ok(Section {
        heading: "7. Sensitivity to ε and γ".into(),
        text: vec![format!(
            "The first seed's trained network of section 3; {} chain of {} steps a cell, of which {} are dropped; grey cells diverged. The exact law of a \
             quadratic loss at equilibrium goes from {:.1} at γ = {} to {:.1} at γ = {}.",
            sampling.n_chains,
            sampling.n_steps,
            sampling.burn_in,
            outcome.equilibria[0],
            settings.gammas[0],
            outcome.equilibria[n_gammas - 1],
            settings.gammas[n_gammas - 1]
        )],
        figures: vec![FigureRef {
            name: "heat".into(),
            caption: "λ̂ over ε and γ, and the share of it that the exact law of such chains on the second order at w* gives; shares below 0.03 are shown as \
                      that.".into(),
            alt: "Two heat maps: estimates fall with γ, and are local only where it is large".into(),
        }],
        ..Section::default()
    })
}
