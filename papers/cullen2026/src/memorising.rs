//! Three solutions of the same training loss: random labels, true labels before generalisation, and after it.

use anyhow::Context;
use ndarray::{Array1, ArrayView1, Axis as ArrayAxis, stack};
use num_rational::Rational64;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store, Verdict,
    together,
};
use slt_sampler::targets::QuadraticNetwork;
use slt_sampler::{Dynamics, Llc, Probes, SpectralSum, Spectrum, Target, quadratic_chain_mean};
use slt_stats::{Estimate, EstimateError};
use slt_theory::{LearningCoefficient, ModularAddition, ModularLoss, Phase, critical_n};
use slt_training::{TrainPlan, Training};

use crate::ensemble::train_in_memory;
use crate::grokking::checkpoints;
use crate::place::Place;
use crate::settings::{Grokking, Memorising};
use crate::task::counted;

/// Which solution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Solution {
    RandomLabels,
    Memorised,
    Generalised,
}

use Solution::{Generalised, Memorised, RandomLabels};

impl Solution {
    fn name(self) -> &'static str {
        match self {
            RandomLabels => "random labels",
            Memorised => "true labels, memorised",
            Generalised => "true labels, generalised",
        }
    }
}

/// What is recorded of a solution.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub solution: Solution,
    pub step: u64,
    /// On the pairs that were trained on.
    pub loss: f64,
    /// There, and on the others.
    pub accuracies: [f64; 2],
    /// At each γ.
    pub llcs: Vec<Llc>,
    /// What such chains would give on the second order at w*.
    pub second_orders: Vec<SpectralSum>,
    /// `½ Σ sh/(sh + 1)` at each `s = nβ/γ` of the settings.
    pub dimensions: Vec<SpectralSum>,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: &'a Memorising,
    network: &'a Grokking,
}

/// The solutions of every seed, in the order above.
pub fn run(
    store: &Store,
    place: &Place,
    settings: &Memorising,
    network: &Grokking,
) -> anyhow::Result<Vec<Vec<Outcome>>> {
    let config = Config { settings, network };
    let compute = || compute(store, place, settings, network);
    Ok(store
        .cell("memorising", &config, place.name(), compute)?
        .result)
}

/// Weights, and when they were met.
#[derive(Debug, Clone)]
struct Found {
    step: u64,
    weights: Array1<f64>,
}

/// Of the weights that know all pairs, those whose loss is nearest to `loss` on a logarithmic scale.
struct Nearest {
    loss: f64,
    best: Option<(f64, Found)>,
}

impl Nearest {
    fn offer(&mut self, target: &mut QuadraticNetwork, weights: ArrayView1<f64>, step: u64) {
        let row = weights.insert_axis(ArrayAxis(0));
        if target.accuracy(row)[0] < 1.0 {
            return;
        }
        let distance = (loss(target, weights) / self.loss).ln().abs();
        if self.best.as_ref().is_none_or(|best| distance < best.0) {
            let weights = weights.to_owned();
            self.best = Some((distance, Found { step, weights }));
        }
    }

    fn found(self, solution: Solution) -> anyhow::Result<Found> {
        let (_, found) = self.best.with_context(|| {
            let name = solution.name();
            format!("{name}: no checkpoint knows all pairs; raise n_steps")
        })?;
        Ok(found)
    }
}

fn loss(target: &mut QuadraticNetwork, weights: ArrayView1<f64>) -> f64 {
    let mut loss = [f64::NAN];
    target.loss(weights.insert_axis(ArrayAxis(0)), &mut loss);
    loss[0]
}

fn compute(
    store: &Store,
    place: &Place,
    settings: &Memorising,
    network: &Grokking,
) -> anyhow::Result<Vec<Vec<Outcome>>> {
    let [mut target, mut validation] = network.task.targets()?;
    let steps = network.plan.checkpoint_steps();
    let (mut generalised, mut memorised, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..settings.n_seeds {
        let rows = checkpoints(store, network, &target, seed)?;
        let last = rows.row(rows.nrows() - 1);
        let loss = loss(&mut target, last);
        let mut nearest = Nearest { loss, best: None };
        for (row, &step) in rows.rows().into_iter().zip(&steps) {
            if validation.accuracy(row.insert_axis(ArrayAxis(0)))[0] <= settings.validation_accuracy
            {
                nearest.offer(&mut target, row, step);
            }
        }
        generalised.push(Found {
            step: network.plan.n_steps,
            weights: last.to_owned(),
        });
        memorised.push(nearest.found(Memorised)?);
        losses.push(loss);
    }
    let mut random = network.task.random_labels(settings.label_seed)?;
    let unstructured = trained_on(&mut random, settings, network, &losses)?;

    let kinds = [
        (RandomLabels, unstructured),
        (Memorised, memorised),
        (Generalised, generalised),
    ];
    let mut outcomes = vec![Vec::new(); kinds[0].1.len()];
    for (kind, (solution, found)) in kinds.into_iter().enumerate() {
        let target = match solution {
            RandomLabels => &random,
            _ => &target,
        };
        let measured = measure(
            place,
            settings,
            network,
            solution,
            target,
            &validation,
            &found,
            kind,
        )?;
        for (own, outcome) in outcomes.iter_mut().zip(measured) {
            own.push(outcome);
        }
    }
    Ok(outcomes)
}

/// The network trained on other labels from the same initial weights, each seed to the loss that is nearest to its one of `losses`.
fn trained_on(
    target: &mut QuadraticNetwork,
    settings: &Memorising,
    network: &Grokking,
    losses: &[f64],
) -> anyhow::Result<Vec<Found>> {
    let plan = TrainPlan {
        n_steps: settings.n_steps,
        checkpoint_every: settings.every,
        ..network.plan.clone()
    };
    let seeds: Vec<u64> = (0..settings.n_seeds).collect();
    let start = network.task.init(network.init_seed, &seeds);
    let each = vec![plan.optimiser; seeds.len()];
    let mut training = Training::new(start, &seeds, &each);
    let nearest = |&loss: &f64| Nearest { loss, best: None };
    let mut nearest: Vec<Nearest> = losses.iter().map(nearest).collect();
    let label = "random labels";
    let on = &target.clone();
    train_in_memory(label, on, &plan, &mut training, |_, to, training| {
        for (row, nearest) in training.rows.rows().into_iter().zip(&mut nearest) {
            nearest.offer(target, row, to);
        }
    })?;
    nearest.into_iter().map(|n| n.found(RandomLabels)).collect()
}

/// Estimates and second orders at the weights of all seeds; `kind` sets their random numbers apart.
#[expect(
    clippy::too_many_arguments,
    reason = "each is one thing, and all are needed"
)]
fn measure(
    place: &Place,
    settings: &Memorising,
    network: &Grokking,
    solution: Solution,
    target: &QuadraticNetwork,
    validation: &QuadraticNetwork,
    found: &[Found],
    kind: usize,
) -> anyhow::Result<Vec<Outcome>> {
    let sampling = &settings.sampling;
    let dynamics = Dynamics::grid(&[sampling.step_size], &settings.gammas, &[network.nbeta])?;
    let n_gammas = dynamics.len();
    let weights: Vec<_> = found.iter().map(|f| f.weights.view()).collect();
    let all: Vec<_> = weights.iter().flat_map(|&w| vec![w; n_gammas]).collect();
    let anchors = stack(ArrayAxis(0), &all)?;
    let found_llcs = place.chains(
        &format!("chains, {}", solution.name()),
        target,
        anchors.view(),
        &dynamics.repeat(found.len()),
        sampling,
        (kind as u64) << 32,
    )?;
    let llcs = found_llcs.all()?;
    let schedule = sampling.plan(network.task.n_train())?.schedule;
    let outcome = |(seed, (found, llcs)): (usize, (&Found, &[Llc]))| {
        let (mut target, mut validation) = (target.clone(), validation.clone());
        let probes = Probes {
            stream: (kind << 32 | seed) as u64,
            ..settings.probes
        };
        let w = found.weights.view();
        let row = w.insert_axis(ArrayAxis(0));
        let spectrum = Spectrum::of(&mut target, w, &probes)?;
        let second = |c: &Dynamics| {
            let (gamma, step_size) = (c.gamma(), c.step_size());
            quadratic_chain_mean(&spectrum, network.nbeta, gamma, step_size, &schedule)
        };
        let dimension = |s: &f64| spectrum.sum(|h| counted(s * h, 1.0));
        Ok(Outcome {
            solution,
            step: found.step,
            loss: loss(&mut target, w),
            accuracies: [target.accuracy(row)[0], validation.accuracy(row)[0]],
            llcs: llcs.to_vec(),
            second_orders: dynamics.iter().map(second).collect::<Result<_, _>>()?,
            dimensions: settings.scales.iter().map(dimension).collect(),
        })
    };
    together(found.iter().zip(llcs.chunks(n_gammas)).enumerate(), outcome)
}

/// λ̂ (or what else) of the first solution less that of the second: mean over seeds, with its error.
fn difference(
    outcomes: &[Vec<Outcome>],
    [first, second]: [Solution; 2],
    of: impl Fn(&Outcome) -> f64,
) -> Result<Estimate, EstimateError> {
    let at = |seed: &[Outcome], solution| -> f64 {
        let own = seed.iter().find(|o| o.solution == solution);
        own.map_or(f64::NAN, &of)
    };
    let values: Vec<f64> = outcomes
        .iter()
        .map(|seed| at(seed, first) - at(seed, second))
        .collect();
    Estimate::from_replicates(&values)
}

/// The mean over seeds.
fn mean(outcomes: &[Vec<Outcome>], solution: Solution, of: impl Fn(&Outcome) -> f64) -> f64 {
    let own = outcomes.iter().flatten().filter(|o| o.solution == solution);
    let values: Vec<f64> = own.map(of).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// Whether a number that should be positive is, by three of its errors.
fn sign(value: f64, error: f64) -> Verdict {
    match value.abs() > 3.0 * error {
        false => Verdict::Underpowered,
        true => Verdict::of_claim(value > 0.0),
    }
}

/// A phase of this loss and λ, to a millionth.
fn phase(loss: f64, lambda: f64) -> anyhow::Result<Phase> {
    let lambda = Rational64::new((lambda * 1e6).round() as i64, 1_000_000);
    Ok(Phase::new(loss, LearningCoefficient::new(lambda, 1)?, 0.0)?)
}

pub fn obtained(
    settings: &Memorising,
    network: &Grokking,
    outcomes: &[Vec<Outcome>],
) -> anyhow::Result<Vec<Obtained>> {
    let last = settings.gammas.len() - 1;
    let claim = |id: &str, between, of: &dyn Fn(&Outcome) -> f64, note: String| {
        let found = difference(outcomes, between, of)?;
        anyhow::Ok(Obtained {
            id: id.into(),
            value: found.mean,
            mcse: Some(found.mcse),
            reference: None,
            verdict: sign(found.mean, found.mcse),
            note,
        })
    };
    let llc = |at: usize| move |o: &Outcome| o.llcs[at].mean;
    let second = |at: usize| move |o: &Outcome| o.second_orders[at].value;
    let all = |of: &dyn Fn(&Outcome) -> f64, digits: usize| {
        [RandomLabels, Memorised, Generalised]
            .map(|s| format!("{} {:.digits$}", s.name(), mean(outcomes, s, of)))
            .join(", ")
    };
    let step = |o: &Outcome| o.step as f64;
    let loss = |o: &Outcome| o.loss;
    let validation = |o: &Outcome| o.accuracies[1];
    let losses = [RandomLabels, Memorised, Generalised].map(|s| mean(outcomes, s, loss));
    let gammas = &settings.gammas;
    let n = network.task.n_train() as f64;
    let mut rows = vec![
        claim(
            "memorised-published",
            [Memorised, Generalised],
            &llc(0),
            format!(
                "mean and error over {} seeds at γ = {}: {}. Steps: {}. Training losses {:.1e}, {:.1e}, {:.1e}; validation accuracies: {}",
                outcomes.len(),
                gammas[0],
                all(&llc(0), 0),
                all(&step, 0),
                losses[0],
                losses[1],
                losses[2],
                all(&validation, 3)
            ),
        )?,
        claim(
            "random-published",
            [RandomLabels, Generalised],
            &llc(0),
            "as above".into(),
        )?,
        claim(
            "memorised-local",
            [Memorised, Generalised],
            &llc(last),
            format!("γ = {}: {}", gammas[last], all(&llc(last), 3)),
        )?,
        claim(
            "random-local",
            [RandomLabels, Generalised],
            &llc(last),
            "as above".into(),
        )?,
        claim(
            "memorised-second",
            [Memorised, Generalised],
            &second(last),
            format!(
                "γ = {}: {}; at γ = {}: {}",
                gammas[last],
                all(&second(last), 3),
                gammas[0],
                all(&second(0), 1)
            ),
        )?,
    ];
    // the free energies n L + λ ln n, with λ of the local estimates
    let [_, bad, good] = losses;
    let lambdas = |at: usize| [Memorised, Generalised].map(|s| mean(outcomes, s, llc(at)));
    let gap = |at: usize, n: f64| -> anyhow::Result<f64> {
        let [worse, better] = lambdas(at);
        let difference =
            phase(bad, worse)?.free_energy(n)? - phase(good, better)?.free_energy(n)?;
        Ok(difference)
    };
    let until = |at: usize| -> anyhow::Result<String> {
        let [worse, better] = lambdas(at);
        let crossing = critical_n(&phase(bad, worse)?, &phase(good, better)?);
        Ok(crossing.map_or("at no n".into(), |n| format!("at n = {n:.2e}")))
    };
    let error = difference(outcomes, [Memorised, Generalised], llc(last))?.mcse * n.ln();
    let value = gap(last, n)?;
    rows.push(Obtained {
        id: "free-energy".into(),
        value,
        mcse: Some(error),
        reference: Some((gap(0, n)?, "with λ̂ at the published settings".into())),
        verdict: sign(value, error),
        note: format!(
            "nats at n = {n:.0} with the local λ̂; a positive number prefers the generalising basin. Per nat of training loss that it had more, its λ would have to be \
             lower by {:.0} at this n; it has {:.1e} {}. The order changes, with the local λ̂: {}; with that of the published settings: {}",
            n / n.ln(),
            (good - bad).abs(),
            if good > bad { "more" } else { "less" },
            until(last)?,
            until(0)?
        ),
    });
    Ok(rows)
}

pub fn section(
    store: &Store,
    settings: &Memorising,
    network: &Grokking,
    outcomes: &[Vec<Outcome>],
) -> anyhow::Result<Section> {
    let kinds = [
        (RandomLabels, Colour::Green),
        (Memorised, Colour::Vermillion),
        (Generalised, Colour::Blue),
    ];
    let (mut dimensions, mut estimates) = (Vec::new(), Vec::new());
    for (solution, colour) in kinds {
        let of = |at: usize| mean(outcomes, solution, |o| o.dimensions[at].value);
        let curve: Vec<f64> = (0..settings.scales.len()).map(of).collect();
        dimensions.push(
            Layer::line(settings.scales.clone(), curve)
                .label(solution.name())
                .colour(colour),
        );
        let llc = |at: usize| mean(outcomes, solution, |o| o.llcs[at].mean);
        let second = |at: usize| mean(outcomes, solution, |o| o.second_orders[at].value);
        let over_gammas =
            |of: &dyn Fn(usize) -> f64| (0..settings.gammas.len()).map(of).collect::<Vec<_>>();
        let gammas = &settings.gammas;
        estimates.push(
            Layer::points(gammas.clone(), over_gammas(&llc))
                .label(solution.name())
                .colour(colour),
        );
        estimates.push(
            Layer::line(gammas.clone(), over_gammas(&second))
                .dashed()
                .colour(colour),
        );
    }
    let task = &network.task;
    let (p, k, n) = (
        task.modulus as u32,
        task.n_hidden as u32,
        task.n_train() as u64,
    );
    let most = ModularAddition::new(p, k, ModularLoss::CentredSquared, n)?;
    let most = most.learning_coefficient().exact()?.lambda_f64();
    dimensions.push(
        Layer::line(settings.scales.clone(), vec![most; settings.scales.len()])
            .dashed()
            .label("largest λ")
            .colour(Colour::Grey),
    );
    let panel = |title: &str, x: &str, y: &str, layers| Panel {
        title: title.into(),
        x: Axis::log(x),
        y: Axis::log(y),
        layers,
        legend: Legend::Above,
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(2, 2),
        panels: vec![
            panel("Estimates", "γ", "λ̂", estimates),
            panel("Second order at w*", "nβ/γ", "½ Σ sh/(sh + 1)", dimensions),
        ],
    }
    .write(&store.figures(), "memorising")?;
    let sampling = &settings.sampling;
    Ok(Section {
        heading: "8. Memorising and generalising".into(),
        text: vec![format!(
            "{} seeds of section 3 at the end, the same before they generalise, and the same network on random labels of the same {} pairs, each at the checkpoint whose training loss is nearest to that of the end; {} chain of {} steps around each at each γ, ε = {}, nβ = {}.",
            outcomes.len(),
            network.task.n_train(),
            sampling.n_chains,
            sampling.n_steps,
            sampling.step_size,
            network.nbeta
        )],
        figures: vec![FigureRef {
            name: "memorising".into(),
            caption: "λ̂ (points) and what the same chains would give on the second order (dashed); half the number of directions that count, against the scale of the sampler.".into(),
            alt: "Two panels: estimates of three solutions fall together with γ, numbers of directions rise with the scale".into(),
        }],
        ..Section::default()
    })
}
