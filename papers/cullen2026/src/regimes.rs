//! Whether a network generalises, against the number of training pairs over M log M, M the modulus.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store, Verdict,
};
use slt_training::Training;

use crate::ensemble::{EarlyStop, accuracies, train_in_memory};
use crate::settings::Regimes;

/// The paper's switch (v1, figure 14), as its middle and half its width.
const PAPER: (f64, f64) = (2.75, 0.25);

/// What is recorded of a modulus and a share of its pairs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub modulus: usize,
    pub n_train: usize,
    /// Of each seed: steps until all training pairs are known, and until the validation accuracy is 0.95.
    pub known: Vec<Option<u64>>,
    pub generalised: Vec<Option<u64>>,
    /// Validation accuracy at the end.
    pub accuracy: Vec<f64>,
}

#[derive(Serialize)]
struct Config<'a> {
    modulus: usize,
    fraction: f64,
    settings: (usize, u64, u64, &'a slt_training::TrainPlan, f64, usize),
}

pub fn run(store: &Store, settings: &Regimes) -> anyhow::Result<Vec<Outcome>> {
    let of = |&modulus: &usize| settings.fractions.iter().map(move |&f| (modulus, f));
    let cell = |(modulus, fraction)| {
        let config = Config {
            modulus,
            fraction,
            settings: (
                settings.n_hidden,
                settings.seed,
                settings.n_seeds,
                &settings.plan,
                settings.stop_accuracy,
                settings.stop_after,
            ),
        };
        let compute = || compute(settings, modulus, fraction);
        Ok(store.cell("regimes", &config, "host", compute)?.result)
    };
    settings.moduli.iter().flat_map(of).map(cell).collect()
}

fn compute(settings: &Regimes, modulus: usize, fraction: f64) -> anyhow::Result<Outcome> {
    let task = settings.task(modulus, fraction);
    let mut targets = task.targets()?;
    let target = targets[0].clone();
    let plan = &settings.plan;
    let seeds: Vec<u64> = (0..settings.n_seeds).collect();
    let start = task.init(settings.seed, &seeds);
    let mut training = Training::new(start, &seeds, &vec![plan.optimiser; seeds.len()]);
    let label = format!("p = {modulus}, {} pairs, at most", task.n_train());
    let mut curves = vec![[Vec::new(), Vec::new()]; seeds.len()];
    let mut steps = Vec::new();
    let stop = EarlyStop::new(settings.stop_accuracy, settings.stop_after);
    train_in_memory(&label, &target, plan, &mut training, |_, to, training| {
        let found = accuracies(&mut targets, training.rows.view());
        steps.push(to);
        for (seed, curves) in curves.iter_mut().enumerate() {
            for (curve, found) in curves.iter_mut().zip(&found) {
                curve.push(found[seed]);
            }
        }
        if curves.iter().all(|curve| stop.is_reached(&curve[1])) {
            training.retain(&vec![false; seeds.len()]);
        }
    })?;
    let first = |which: usize, level: f64| -> Vec<Option<u64>> {
        let at = |curves: &[Vec<f64>; 2]| curves[which].iter().position(|&a| a >= level);
        curves.iter().map(|c| at(c).map(|i| steps[i])).collect()
    };
    Ok(Outcome {
        modulus,
        n_train: task.n_train(),
        known: first(0, 1.0),
        generalised: first(1, 0.95),
        accuracy: curves
            .iter()
            .map(|c| c[1].last().copied().unwrap_or(f64::NAN))
            .collect(),
    })
}

impl Outcome {
    /// N/(M log M).
    fn ratio(&self) -> f64 {
        let m = self.modulus as f64;
        self.n_train as f64 / (m * m.ln())
    }

    fn generalises(&self) -> bool {
        2 * self.generalised.iter().flatten().count() > self.generalised.len()
    }

    fn mean_accuracy(&self) -> f64 {
        self.accuracy.iter().sum::<f64>() / self.accuracy.len() as f64
    }

    /// Mean number of steps from knowing the training pairs to generalising, of the seeds that do both.
    fn delay(&self) -> f64 {
        let both = self.known.iter().zip(&self.generalised);
        let delays: Vec<f64> = both
            .filter_map(|(known, general)| Some(general.as_ref()?.saturating_sub((*known)?) as f64))
            .collect();
        delays.iter().sum::<f64>() / delays.len() as f64
    }
}

/// Between which two ratios a modulus begins to generalise.
fn switch(outcomes: &[Outcome], modulus: usize) -> Option<(f64, f64)> {
    let own: Vec<&Outcome> = outcomes.iter().filter(|o| o.modulus == modulus).collect();
    let first = own.iter().position(|o| o.generalises())?;
    Some((own.get(first.checked_sub(1)?)?.ratio(), own[first].ratio()))
}

pub fn obtained(settings: &Regimes, outcomes: &[Outcome]) -> Vec<Obtained> {
    let of = |&modulus: &usize| Some((modulus, switch(outcomes, modulus)?));
    let switches: Vec<_> = settings.moduli.iter().filter_map(of).collect();
    let lines: Vec<String> = switches
        .iter()
        .map(|(modulus, (low, high))| format!("{low:.2} to {high:.2} at p = {modulus}"))
        .collect();
    // where all of them may lie
    let low = switches
        .iter()
        .map(|s| s.1.0)
        .fold(f64::NEG_INFINITY, f64::max);
    let high = switches.iter().map(|s| s.1.1).fold(f64::INFINITY, f64::min);
    let overlaps = |a: (f64, f64), b: (f64, f64)| a.0 <= b.1 && b.0 <= a.1;
    let row = Obtained::new;
    let paper = (PAPER.0 - PAPER.1, PAPER.0 + PAPER.1);
    let found = switches.iter().map(|s| s.1).filter(|&s| overlaps(s, paper));
    let n = switches.len();
    let middle = switches.iter().map(|s| 0.5 * (s.1.0 + s.1.1)).sum::<f64>() / n as f64;
    vec![row(
        "regimes",
        middle,
        None,
        match n {
            0 => Verdict::NotComparable,
            _ => Verdict::of_claim(found.count() == n),
        },
        format!(
            "middle of the steps between sizes at which most seeds begin to generalise within {} steps; agrees if all touch 2.5 to 3. {}{}",
            settings.plan.n_steps,
            lines.join(", "),
            match n {
                0 | 1 => "",
                _ if low <= high => ". One number fits all",
                _ => ". No one number fits all",
            }
        ),
    )]
}

pub fn section(store: &Store, settings: &Regimes, outcomes: &[Outcome]) -> anyhow::Result<Section> {
    let (mut accuracy, mut delay) = (Vec::new(), Vec::new());
    for &modulus in &settings.moduli {
        let own: Vec<&Outcome> = outcomes.iter().filter(|o| o.modulus == modulus).collect();
        let ratios: Vec<f64> = own.iter().map(|o| o.ratio()).collect();
        let label = format!("p = {modulus}");
        let of = |f: fn(&Outcome) -> f64| own.iter().map(|o| f(o)).collect::<Vec<_>>();
        for (layers, values) in [
            (&mut accuracy, of(Outcome::mean_accuracy)),
            (&mut delay, of(Outcome::delay)),
        ] {
            let drawn = ratios.iter().copied().zip(values);
            let (x, y): (Vec<f64>, Vec<f64>) = drawn.filter(|(_, v)| v.is_finite()).unzip();
            layers.push(Layer::line(x.clone(), y.clone()).label(&label));
            layers.push(Layer::points(x, y).label(&label));
        }
    }
    let most = outcomes.iter().map(Outcome::ratio).reduce(f64::max);
    let x = || Axis::linear("N/(M log M)").range(0.0, 1.05 * most.unwrap_or(1.0));
    let panel = |title: &str, y: Axis, layers| Panel {
        title: title.into(),
        x: x(),
        y,
        layers,
        legend: Legend::Above,
    };
    accuracy.push(Layer::vline(PAPER.0 - PAPER.1).dashed());
    accuracy.push(Layer::vline(PAPER.0 + PAPER.1).dashed());
    let delayed = outcomes.iter().any(|o| o.delay().is_finite());
    let mut panels = vec![panel(
        "Generalisation",
        Axis::linear("validation accuracy").range(0.0, 1.05),
        accuracy,
    )];
    if delayed {
        panels.push(panel("Delay", Axis::linear("steps"), delay));
    }
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(panels.len(), 2),
        panels,
    }
    .write(&store.figures(), "regimes")?;
    let first = settings.moduli.first().context("a modulus")?;
    Ok(Section {
        heading: "10. Regimes".into(),
        text: vec![format!(
            "K = {}, {} seeds, at most {} steps, from p = {first} on; the delay is that from the first checkpoint with all training pairs known to the first with a validation \
             accuracy of 0.95, every {} steps.",
            settings.n_hidden, settings.n_seeds, settings.plan.n_steps, settings.plan.checkpoint_every
        )],
        figures: vec![FigureRef {
            name: "regimes".into(),
            caption: "Validation accuracy at the end, and the delay of generalisation, against the number N of training pairs; dashed: the paper's switch.".into(),
            alt: "Curves that rise from 0 to 1 at some number of pairs, and delays that fall beyond it".into(),
        }],
        ..Section::default()
    })
}
