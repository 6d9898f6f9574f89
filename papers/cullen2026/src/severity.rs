//! The severity of grokking (GSM) and the largest λ̂ against the learning rate.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store, Verdict,
};
use slt_sampler::Llc;
use slt_stats::rank_correlation;
use slt_training::Training;

use crate::ensemble::{Course, EarlyStop, kept, until_learnt};
use crate::place::Place;
use crate::settings::Severity;

/// Steps of the paper's training, if nothing stops it.
const PAPER_STEPS: f64 = 100_000.0;
/// Validation accuracy at the end without which nothing was learnt.
const LEARNT: f64 = 0.95;

/// What is recorded of one training.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    pub learning_rate: f64,
    pub seed: u64,
    pub steps: Vec<u64>,
    /// On the pairs to train on, and on the others.
    pub accuracies: [Vec<f64>; 2],
    /// Steps at which there are estimates, of the first seed alone.
    pub estimated: Vec<u64>,
    pub llcs: Vec<Llc>,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: Severity,
    weight_decay: &'a f64,
}

/// All runs, by weight decay.
pub type Outcome = Vec<(f64, Vec<Run>)>;

pub fn run(store: &Store, place: &Place, settings: &Severity) -> anyhow::Result<Outcome> {
    let cell = |weight_decay: &f64| {
        // a cell is one weight decay, whichever others there are
        let own = Severity {
            weight_decays: Vec::new(),
            ..settings.clone()
        };
        let config = Config {
            settings: own,
            weight_decay,
        };
        let compute = || compute(place, settings, *weight_decay);
        let runs = store
            .cell("severity", &config, place.name(), compute)?
            .result;
        Ok((*weight_decay, runs))
    };
    settings.weight_decays.iter().map(cell).collect()
}

/// All learning rates and seeds are rows of one ensemble; a row that has learnt for long enough leaves it.
fn compute(place: &Place, settings: &Severity, weight_decay: f64) -> anyhow::Result<Vec<Run>> {
    let mut targets = settings.task.targets()?;
    let target = targets[0].clone();
    let rates = &settings.learning_rates;
    let seeds = 0..settings.n_seeds;
    let cases: Vec<(f64, u64)> = seeds
        .flat_map(|seed| rates.iter().map(move |&rate| (rate, seed)))
        .collect();
    let streams: Vec<u64> = cases.iter().map(|&(_, seed)| seed).collect();
    let optimisers = cases
        .iter()
        .map(|&(rate, _)| settings.plan.optimiser.with(rate, weight_decay))
        .collect::<Result<Vec<_>, _>>()?;
    let start = settings.task.init(settings.init_seed, &streams);
    let courses = until_learnt(
        &format!("training at weight decay {weight_decay:e}, at most"),
        &mut targets,
        &settings.plan,
        EarlyStop::new(settings.stop_accuracy, settings.stop_after),
        Training::new(start, &streams, &optimisers),
        |row, number, last| cases[row].1 == 0 && (number.is_power_of_two() || last),
    )?;
    let weights = kept(&courses)?;
    let dynamics = vec![settings.sampling.dynamics(settings.nbeta)?; weights.nrows()];
    let sampling = &settings.sampling;
    let found = place.chains("chains", &target, weights.view(), &dynamics, sampling, 0)?;
    let mut llcs = found.all()?.into_iter();
    let run = |(course, &(learning_rate, seed)): (Course, &(f64, u64))| Run {
        learning_rate,
        seed,
        llcs: llcs.by_ref().take(course.kept.len()).collect(),
        estimated: course.kept.iter().map(|&(step, _)| step).collect(),
        steps: course.steps,
        accuracies: course.accuracies,
    };
    Ok(courses.into_iter().zip(&cases).map(run).collect())
}

impl Run {
    fn gap(&self, of: impl Fn(f64) -> f64) -> f64 {
        let [train, validation] = &self.accuracies;
        train.iter().zip(validation).map(|(t, v)| of(t - v)).sum()
    }

    fn ends_above(&self, level: f64, which: usize) -> bool {
        self.accuracies[which].last().is_some_and(|&a| a >= level)
    }

    /// The paper's severity, of a training of `n` checkpoints; the two accuracies are taken to be equal after the last.
    fn severity(&self, n: f64) -> f64 {
        if self.ends_above(LEARNT, 1) {
            self.gap(f64::abs) / n
        } else {
            0.0
        }
    }

    /// The severity over the checkpoints there are, up to the early stop.
    fn stopped_severity(&self) -> f64 {
        self.severity(self.steps.len() as f64)
    }

    /// That of the paper's code: the signed gap, and both accuracies above 0.9 at the end.
    fn code_severity(&self) -> f64 {
        if self.ends_above(0.9, 0) && self.ends_above(0.9, 1) {
            self.gap(|gap| gap) / self.steps.len() as f64
        } else {
            0.0
        }
    }

    fn whole_severity(&self) -> f64 {
        let every = self.steps.first().copied().unwrap_or(1) as f64;
        self.severity(PAPER_STEPS / every)
    }

    fn peak(&self) -> Option<f64> {
        self.llcs.iter().map(|llc| llc.mean).reduce(f64::max)
    }
}

/// Mean over the seeds at each learning rate, of those runs that have the value.
fn means(runs: &[Run], of: impl Fn(&Run) -> Option<f64>) -> (Vec<f64>, Vec<f64>) {
    let mut rates: Vec<f64> = runs.iter().map(|run| run.learning_rate).collect();
    rates.sort_unstable_by(f64::total_cmp);
    rates.dedup();
    let at = |&rate: &f64| {
        let members = runs.iter().filter(|run| run.learning_rate == rate);
        let values: Vec<f64> = members.filter_map(&of).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let values = rates.iter().map(at).collect();
    (rates, values)
}

pub fn obtained(outcome: &Outcome) -> anyhow::Result<Vec<Obtained>> {
    let (decay, runs) = outcome.first().context("a weight decay")?;
    let list = |values: &[f64]| {
        let values: Vec<String> = values.iter().map(|v| format!("{v:.4}")).collect();
        values.join(", ")
    };
    let trend = |id: &str, of: &dyn Fn(&Run) -> Option<f64>, what: &str| {
        let (rates, values) = means(runs, of);
        let found = rank_correlation(&rates, &values);
        let verdict = match &found {
            Err(_) => Verdict::NotComparable,
            Ok(found) if found.p_value >= 0.05 => Verdict::Underpowered,
            Ok(found) => Verdict::of_claim(found.rho < 0.0),
        };
        let chance = match &found {
            Err(error) => error.to_string(),
            Ok(found) => format!("p = {:.4} by chance", found.p_value),
        };
        Obtained {
            id: id.into(),
            value: found.map_or(f64::NAN, |found| found.rho),
            mcse: None,
            reference: None,
            verdict,
            note: format!("{chance}; {what} {}", list(&values)),
        }
    };
    let whole = |run: &Run| Some(run.whole_severity());
    let (rates, values) = means(runs, whole);
    let at = |id: &str, i: usize| Obtained {
        id: id.into(),
        value: values[i],
        mcse: None,
        reference: None,
        verdict: Verdict::NotComparable,
        note: format!(
            "learning rate {}, weight decay {decay:e}; mean over {} seeds. Theirs goes through passes over the data, at a number of them that is not known",
            rates[i],
            runs.iter()
                .filter(|run| run.learning_rate == rates[i])
                .count()
        ),
    };
    Ok(vec![
        trend("gsm-trend", &whole, "means over seeds"),
        at("gsm-slow", 0),
        at("gsm-fast", rates.len() - 1),
        trend(
            "gsm-code",
            &|run| Some(run.code_severity()),
            "means over seeds",
        ),
        trend("peak-trend", &Run::peak, "of one seed"),
    ])
}

pub fn section(store: &Store, settings: &Severity, outcome: &Outcome) -> anyhow::Result<Section> {
    let colours = [Colour::Blue, Colour::Vermillion, Colour::Green];
    let panel = |title: &str, y: Axis, layers: Vec<Layer>| Panel {
        title: title.into(),
        x: Axis::log("learning rate"),
        y,
        layers,
        legend: Legend::Above,
    };
    let against = |of: &dyn Fn(&Run) -> Option<f64>| -> Vec<Layer> {
        let curve = |((decay, runs), colour): (&(f64, Vec<Run>), Colour)| {
            let (rates, mean) = means(runs, of);
            let (x, y): (Vec<f64>, Vec<f64>) = runs
                .iter()
                .filter_map(|run| Some((run.learning_rate, of(run)?)))
                .unzip();
            let label = format!("weight decay {decay:e}");
            [
                Layer::line(rates, mean).colour(colour).label(&label),
                Layer::points(x, y).colour(colour),
            ]
        };
        outcome.iter().zip(colours).flat_map(curve).collect()
    };
    let (_, runs) = outcome.first().context("a weight decay")?;
    let chosen: Vec<&Run> = runs.iter().filter(|run| run.seed == 0).collect();
    let floats = |steps: &[u64]| steps.iter().map(|&s| s as f64).collect::<Vec<_>>();
    let estimates = |run: &&Run| {
        let means: Vec<f64> = run.llcs.iter().map(|llc| llc.mean).collect();
        Layer::line(floats(&run.estimated), means).label(&run.learning_rate.to_string())
    };
    let steps = |title: &str, y: &str, layers| Panel {
        x: Axis::log("training step"),
        ..panel(title, Axis::linear(y), layers)
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(4, 2),
        panels: vec![
            panel(
                "Severity over 100 000 steps",
                Axis::linear("GSM"),
                against(&|run| Some(run.whole_severity())),
            ),
            panel(
                "Severity up to the early stop",
                Axis::linear("GSM").range(0.0, 1.0),
                against(&|run| Some(run.stopped_severity())),
            ),
            panel("Largest estimate", Axis::linear("λ̂"), against(&Run::peak)),
            steps(
                "Estimates by learning rate",
                "λ̂",
                chosen.iter().map(estimates).collect(),
            ),
        ],
    }
    .write(&store.figures(), "severity")?;
    let line = |run: &Run| {
        format!(
            "learning rate {}, seed {}: {} steps, accuracies {:.3} and {:.3}, GSM {:.4} (up to the stop {:.3})",
            run.learning_rate,
            run.seed,
            run.steps.last().copied().unwrap_or(0),
            run.accuracies[0].last().copied().unwrap_or(f64::NAN),
            run.accuracies[1].last().copied().unwrap_or(f64::NAN),
            run.whole_severity(),
            run.stopped_severity()
        )
    };
    Ok(Section {
        heading: "4. Severity against the learning rate".into(),
        text: vec![format!(
            "p = {}, K = {}: {} learning rates and {} seeds trained together, at most {} steps; a row stops where the last {} checkpoints, every {} steps, \
             have a validation accuracy of {} or more, as in the paper's code. {} chain(s) of {} steps around each of the checkpoints 1, 2, 4, … and the last of the first seed.",
            settings.task.modulus,
            settings.task.n_hidden,
            settings.learning_rates.len(),
            settings.n_seeds,
            settings.plan.n_steps,
            settings.stop_after,
            settings.plan.checkpoint_every,
            settings.stop_accuracy,
            settings.sampling.n_chains,
            settings.sampling.n_steps
        )],
        figures: vec![FigureRef {
            name: "severity".into(),
            caption: "Severity of grokking and largest λ̂ against the learning rate: each run, and the mean over seeds.".into(),
            alt: "Four panels: severities, largest estimates, and estimates over training".into(),
        }],
        notes: runs.iter().map(line).collect(),
        ..Section::default()
    })
}
