//! One network over its training: losses, accuracies, λ̂ and the trace of the Hessian, for some seeds.

use anyhow::Context;
use ndarray::{Array2, Axis as ArrayAxis};
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store, Verdict,
    together,
};
use slt_sampler::targets::QuadraticNetwork;
use slt_sampler::{Harmonic, Llc, Probes, SpectralSum, Spectrum, Target};
use slt_stats::Estimate;

use crate::ensemble::{Stored, accuracies, as_published, losses};
use crate::measured::column;
use crate::place::Place;
use crate::settings::Grokking;
use crate::task::mean_and_sd;

/// Seeds that are trained as one ensemble: to read a checkpoint of one is to read all of them.
const TOGETHER: u64 = 10;

/// What is recorded of a seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub steps: Vec<u64>,
    /// Loss and accuracy on the pairs to train on, and on the others.
    pub losses: [Vec<f64>; 2],
    pub accuracies: [Vec<f64>; 2],
    /// Steps at which there are estimates.
    pub estimated: Vec<u64>,
    pub llcs: Vec<Llc>,
    /// Traces of the Hessian.
    pub traces: Vec<SpectralSum>,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: &'a Grokking,
    seed: u64,
}

pub fn run(store: &Store, place: &Place, settings: &Grokking) -> anyhow::Result<Vec<Outcome>> {
    let cell = |seed| {
        let config = Config { settings, seed };
        let compute = || compute(store, place, settings, seed);
        Ok(store
            .cell("grokking", &config, place.name(), compute)?
            .result)
    };
    (0..settings.n_seeds).map(cell).collect()
}

fn compute(
    store: &Store,
    place: &Place,
    settings: &Grokking,
    seed: u64,
) -> anyhow::Result<Outcome> {
    let mut targets = settings.task.targets()?;
    let target = targets[0].clone();
    let steps = settings.plan.checkpoint_steps();
    let rows = checkpoints(store, settings, &target, seed)?;
    let losses = losses(&mut targets, rows.view());
    let accuracies = accuracies(&mut targets, rows.view());

    let chosen: Vec<usize> = (0..steps.len()).step_by(settings.estimate_every).collect();
    let anchors = rows.select(ArrayAxis(0), &chosen);
    let dynamics = settings.sampling.dynamics(settings.nbeta)?;
    let found = place.chains(
        &format!("chains of seed {seed}"),
        &target,
        anchors.view(),
        &vec![dynamics; chosen.len()],
        &settings.sampling,
        seed << 32,
    )?;
    let schedule = settings.sampling.plan(target.n_samples())?.schedule;
    let second_order = |(i, llc): (usize, Llc)| {
        let probes = Probes {
            stream: (seed << 32) | i as u64,
            ..settings.probes
        };
        let (mut target, w) = (target.clone(), anchors.row(i));
        let spectrum = Spectrum::of(&mut target, w, &probes)?;
        let second = Harmonic::from_spectrum(
            &mut target,
            w,
            &spectrum,
            &dynamics,
            Some(&schedule),
            probes.n_steps,
        )?;
        let trace = match settings.traces {
            None => spectrum.sum(|h| h),
            Some(traces) => {
                let probes = Probes {
                    stream: probes.stream,
                    ..traces
                };
                Spectrum::of(&mut target, w, &probes)?.sum(|h| h)
            }
        };
        Ok((llc.with_harmonic(second), trace))
    };
    let found = together(found.all()?.into_iter().enumerate(), second_order)?;
    let (llcs, traces) = found.into_iter().unzip();
    Ok(Outcome {
        estimated: chosen.iter().map(|&i| steps[i]).collect(),
        steps,
        losses,
        accuracies,
        llcs,
        traces,
    })
}

/// The parameters of a seed at all checkpoints; it is trained together with those beside it, when the first of them is asked for.
pub fn checkpoints(
    store: &Store,
    settings: &Grokking,
    target: &QuadraticNetwork,
    seed: u64,
) -> anyhow::Result<Array2<f64>> {
    let Grokking { task, plan, .. } = settings;
    let first = seed - seed % TOGETHER;
    let seeds: Vec<u64> = (first..settings.n_seeds.min(first + TOGETHER)).collect();
    let label = format!(
        "training of seeds {first} to {}",
        first + seeds.len() as u64 - 1
    );
    let config = (task, &seeds, settings.init_seed, plan);
    let start = task.init(settings.init_seed, &seeds);
    let stored = Stored::train(
        &label, store, "grokking", &config, target, plan, start, &seeds,
    )?;
    let steps = plan.checkpoint_steps();
    let mut rows = Array2::zeros((steps.len(), task.n_params()));
    for (mut row, &step) in rows.rows_mut().into_iter().zip(&steps) {
        row.assign(&stored.rows(step)?.row((seed - first) as usize));
    }
    Ok(rows)
}

/// The first step at which the curve has reached `level`.
fn first_step(outcome: &Outcome, curve: &[f64], level: f64) -> Option<u64> {
    let at = curve.iter().position(|&v| v >= level)?;
    Some(outcome.steps[at])
}

/// λ̂ of each seed at its estimates.
fn means(outcome: &Outcome) -> Vec<f64> {
    outcome.llcs.iter().map(as_published).collect()
}

fn peak(outcome: &Outcome) -> (u64, f64) {
    let all = outcome.estimated.iter().copied().zip(means(outcome));
    all.fold((0, f64::NEG_INFINITY), |best, new| {
        if new.1 > best.1 { new } else { best }
    })
}

/// When something was reached, by the seeds that did; `fine` says whether at the right time.
fn onset(id: &str, steps: &[u64], n_seeds: usize, fine: bool, what: &str) -> Obtained {
    Obtained {
        id: id.into(),
        value: steps.iter().sum::<u64>() as f64 / steps.len() as f64,
        mcse: None,
        reference: None,
        verdict: match steps {
            [] => Verdict::NotComparable,
            _ => Verdict::of_claim(2 * steps.len() > n_seeds && fine),
        },
        note: format!(
            "{what}: first checkpoints of {} of {n_seeds} seeds, {steps:?}, and their mean",
            steps.len()
        ),
    }
}

pub fn obtained(outcomes: &[Outcome]) -> anyhow::Result<Vec<Obtained>> {
    let n = outcomes.len();
    let row = |id: &str, over_seeds: Estimate, fine: bool, note: String| Obtained {
        id: id.into(),
        value: over_seeds.mean,
        mcse: Some(over_seeds.mcse),
        reference: None,
        verdict: Verdict::of_claim(fine),
        note,
    };
    let near = |value: Estimate, paper: f64| (value.mean / paper - 1.0).abs() < 0.1;
    let peaks: Vec<_> = outcomes.iter().map(peak).collect();
    let last = |of: fn(&Llc) -> f64| move |o: &Outcome| o.llcs.last().map_or(f64::NAN, of);
    let over_seeds = |of: &dyn Fn(&Outcome) -> f64| {
        Estimate::from_replicates(&outcomes.iter().map(of).collect::<Vec<_>>())
    };
    let (highest, end) = (
        over_seeds(&|o| peak(o).1)?,
        over_seeds(&last(as_published))?,
    );
    let by_pairs = over_seeds(&last(|llc| llc.mean))?;
    let at = |level: f64, which: usize| -> Vec<u64> {
        let of = |o: &Outcome| first_step(o, &o.accuracies[which], level);
        outcomes.iter().filter_map(of).collect()
    };
    let (memorised, generalised) = (at(1.0, 0), at(0.95, 1));
    let share = |o: &Outcome| {
        let shares = o
            .llcs
            .iter()
            .filter_map(|llc| Some(llc.harmonic?.expected().value / llc.mean));
        let shares: Vec<f64> = shares.collect();
        shares.iter().copied().fold(0.0, f64::max)
    };
    let share = over_seeds(&share)?;
    let start = over_seeds(&|o| means(o)[0])?;
    Ok(vec![
        row("llc-peak", highest, near(highest, 5021.4), format!(
            "{n} seeds, error over seeds; within a tenth agrees. Peaks at steps {:?}",
            peaks.iter().map(|p| p.0).collect::<Vec<_>>()
        )),
        row("llc-end", end, near(end, 4705.3), format!(
            "as above. The untrained network has {:.0} ± {:.0}. With the losses over all pairs, λ̂ at the end is {:.0} ± {:.0}",
            start.mean, start.mcse, by_pairs.mean, by_pairs.mcse
        )),
        onset("memorised", &memorised, n, memorised.iter().all(|&s| s <= 2000), "training accuracy 1"),
        onset(
            "generalised",
            &generalised,
            n,
            generalised.iter().all(|s| (10_000..=20_000).contains(s)),
            "validation accuracy 0.95",
        ),
        row(
            "local",
            share,
            share.mean > 0.5,
            "the most that the same chains would give on the second order of the loss at w*, as a share of λ̂, over all checkpoints".into(),
        ),
    ])
}

pub fn section(
    store: &Store,
    settings: &Grokking,
    outcomes: &[Outcome],
) -> anyhow::Result<Section> {
    let first = outcomes.first().context("a seed")?;
    let floats = |steps: &[u64]| steps.iter().map(|&s| s as f64).collect::<Vec<_>>();
    let (steps, estimated) = (floats(&first.steps), floats(&first.estimated));
    let curve = |x: &[f64], curves: &[Vec<f64>], label: &str, colour| -> anyhow::Result<_> {
        let (mean, sd) = mean_and_sd(&curves.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let edge = |sign: f64| {
            mean.iter()
                .zip(&sd)
                .map(|(m, s)| m + sign * s)
                .collect::<Vec<_>>()
        };
        Ok([
            Layer::band(x, edge(-1.0), edge(1.0)).colour(colour),
            Layer::line(x, mean.clone()).label(label).colour(colour),
        ])
    };
    let of = |f: &dyn Fn(&Outcome) -> Vec<f64>| outcomes.iter().map(f).collect::<Vec<_>>();
    let measured = |of: fn(&crate::measured::Checkpoint) -> f64| {
        Layer::line(column(|c| c.0), column(of))
            .dashed()
            .colour(Colour::Grey)
    };
    let panel = |title: &str, y: Axis, layers: Vec<Layer>| Panel {
        title: title.into(),
        x: Axis::linear("training step"),
        y,
        layers,
        legend: Legend::Above,
    };
    let pair = |f: &dyn Fn(&Outcome) -> [Vec<f64>; 2]| -> anyhow::Result<Vec<Layer>> {
        let train = curve(&steps, &of(&|o| f(o)[0].clone()), "training", Colour::Blue)?;
        let rest = curve(
            &steps,
            &of(&|o| f(o)[1].clone()),
            "validation",
            Colour::Vermillion,
        )?;
        Ok(train.into_iter().chain(rest).collect())
    };
    let mut accuracy = pair(&|o| o.accuracies.clone())?;
    accuracy.push(measured(|c| c.1));
    accuracy.push(measured(|c| c.2).label("theirs"));
    let second = |llc: &Llc| llc.harmonic.map_or(f64::NAN, |h| h.expected().value);
    let mut llc = curve(&estimated, &of(&means), "λ̂", Colour::Blue)?.to_vec();
    llc.push(measured(|c| c.3).label("theirs"));
    let local = of(&|o| o.llcs.iter().map(second).collect());
    llc.extend(curve(
        &estimated,
        &local,
        "second order alone",
        Colour::Green,
    )?);
    let traces = of(&|o| o.traces.iter().map(|t| t.value).collect());
    let mut trace = curve(&estimated, &traces, "trace of the Hessian", Colour::Blue)?.to_vec();
    trace.push(measured(|c| c.4).label("theirs"));
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(4, 2),
        panels: vec![
            panel("Loss", Axis::linear("loss"), pair(&|o| o.losses.clone())?),
            panel("Accuracy", Axis::linear("accuracy"), accuracy),
            panel("Estimate", Axis::linear("λ̂"), llc),
            panel("Curvature", Axis::linear("trace"), trace),
        ],
    }
    .write(&store.figures(), "grokking")?;
    let sampling = &settings.sampling;
    let distance: f64 = first
        .llcs
        .iter()
        .filter_map(|llc| llc.distance)
        .sum::<f64>()
        / first.llcs.len() as f64;
    Ok(Section {
        heading: "3. Grokking of one network".into(),
        text: vec![format!(
            "p = {}, K = {}, {} of {} pairs, {} seeds of one split trained together; {} chains of {} steps around each of {} checkpoints of a seed \
             are rows of one ensemble, ε = {}, γ = {}, nβ = {}. The draws are {distance:.0} away from w* (mean over the draws of the first seed).",
            settings.task.modulus,
            settings.task.n_hidden,
            settings.task.n_train(),
            settings.task.modulus.pow(2),
            outcomes.len(),
            sampling.n_chains,
            sampling.n_steps,
            estimated.len(),
            sampling.step_size,
            sampling.gamma,
            settings.nbeta
        )],
        figures: vec![FigureRef {
            name: "grokking".into(),
            caption: "Mean and standard deviation over seeds, against the authors' own record of one seed (dashed). Second order alone: what the same \
                      chains would give if the loss were its second order at w*.".into(),
            alt: "Four panels over the training: losses, accuracies, estimates, traces".into(),
        }],
        ..Section::default()
    })
}
