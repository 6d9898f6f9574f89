//! λ̂ against p and against K: the slopes, and what they are slopes of.

use anyhow::Context;
use ndarray::{Array1, Array2, Axis as ArrayAxis, concatenate};
use num_traits::ToPrimitive;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store, Verdict,
    together,
};
use slt_sampler::{Harmonic, Llc};
use slt_stats::least_squares;
use slt_theory::quadratic_theorems::corollary_5_4_v3;

use crate::ensemble::{Stored, accuracies, as_published};
use crate::place::Place;
use crate::settings::Sizes;

/// The paper's slopes over p, by K, and over K, by p (v1, figures 1 and 2).
const OVER_P: [(usize, f64); 3] = [(600, 51.06), (1000, 80.57), (1400, 108.61)];
const OVER_K: [(usize, f64); 3] = [(53, 2.65), (61, 3.28), (71, 4.02)];

/// What is recorded of one size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub size: (usize, usize),
    pub n_params: usize,
    /// Accuracy at the end, on the pairs to train on and on the others, of each seed.
    pub accuracies: [Vec<f64>; 2],
    /// Around the trained weights of each seed.
    pub trained: Vec<Llc>,
    /// Around 0.
    pub zero: Llc,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: (
        &'a slt_training::TrainPlan,
        f64,
        &'a slt_sampler::Sampling,
        &'a slt_sampler::Probes,
    ),
    task: crate::task::Task,
    n_seeds: u64,
}

pub fn run(store: &Store, place: &Place, settings: &Sizes) -> anyhow::Result<Vec<Outcome>> {
    let cell = |size| {
        let config = Config {
            settings: (
                &settings.plan,
                settings.nbeta,
                &settings.sampling,
                &settings.probes,
            ),
            task: settings.task(size),
            n_seeds: settings.n_seeds,
        };
        let compute = || compute(store, place, settings, size);
        Ok(store.cell("sizes", &config, place.name(), compute)?.result)
    };
    together(settings.all(), cell)
}

fn compute(
    store: &Store,
    place: &Place,
    settings: &Sizes,
    size: (usize, usize),
) -> anyhow::Result<Outcome> {
    let task = settings.task(size);
    let mut targets = task.targets()?;
    let seeds: Vec<u64> = (0..settings.n_seeds).collect();
    let label = format!("training of p = {}, K = {}", size.0, size.1);
    let config = (task, settings.n_seeds, &settings.plan);
    let start = task.init(settings.seed, &seeds);
    let (plan, on) = (&settings.plan, &targets[0]);
    let stored = Stored::train(&label, store, "sizes", &config, on, plan, start, &seeds)?;
    let rows = stored.training.rows.view();
    let zero = Array2::zeros((1, task.n_params()));
    let anchors = concatenate(ArrayAxis(0), &[rows, zero.view()])?;
    let dynamics = settings.sampling.dynamics(settings.nbeta)?;
    let label = format!("chains of p = {}, K = {}", size.0, size.1);
    let each = vec![dynamics; anchors.nrows()];
    let sampling = &settings.sampling;
    let found = place.chains(&label, &targets[0], anchors.view(), &each, sampling, 0)?;
    let mut llcs = found.all()?;
    let w = anchors.row(0);
    let schedule = sampling.plan(task.n_train())?.schedule;
    let probes = &settings.probes;
    let second = Harmonic::at(&mut targets[0], w, &dynamics, Some(&schedule), probes)?;
    let zero = llcs.pop().context("an estimate")?;
    llcs[0] = llcs[0].clone().with_harmonic(second);
    Ok(Outcome {
        size,
        n_params: task.n_params(),
        accuracies: accuracies(&mut targets, rows),
        trained: llcs,
        zero,
    })
}

impl Outcome {
    fn llc(&self) -> f64 {
        self.trained.iter().map(as_published).sum::<f64>() / self.trained.len() as f64
    }

    /// The same around w = 0.
    fn around_zero(&self) -> f64 {
        as_published(&self.zero)
    }

    /// What chains on the second order at the first seed's weights would give, and its equilibrium.
    fn second_order(&self) -> (f64, f64) {
        let harmonic = self.trained[0].harmonic;
        harmonic.map_or((f64::NAN, f64::NAN), |h| {
            (h.expected().value, h.prediction.mean.value)
        })
    }

    fn theirs(&self) -> f64 {
        let (p, k) = self.size;
        let value = corollary_5_4_v3(p as u32, k as u32);
        value.ok().and_then(|v| v.to_f64()).unwrap_or(f64::NAN)
    }
}

/// The slope of `y` over `x`, and its standard error.
fn slope(x: &[f64], y: &[f64]) -> anyhow::Result<(f64, f64)> {
    let design = Array2::from_shape_fn((x.len(), 2), |(i, j)| if j == 0 { 1.0 } else { x[i] });
    let fit = least_squares(design.view(), Array1::from(y.to_vec()).view())?;
    Ok((fit.coefficients[1], fit.standard_errors[1]))
}

/// The networks of one curve, and where they are on its axis.
fn curve(
    outcomes: &[Outcome],
    over_p: bool,
    at: usize,
    among: &[usize],
) -> (Vec<f64>, Vec<Outcome>) {
    let of = |o: &&Outcome| {
        let (p, k) = o.size;
        let (along, fixed) = if over_p { (p, k) } else { (k, p) };
        fixed == at && among.contains(&along)
    };
    let members: Vec<Outcome> = outcomes.iter().filter(of).cloned().collect();
    let x = |o: &Outcome| (if over_p { o.size.0 } else { o.size.1 }) as f64;
    (members.iter().map(x).collect(), members)
}

fn one(
    settings: &Sizes,
    outcomes: &[Outcome],
    over_p: bool,
    at: usize,
    paper: f64,
) -> anyhow::Result<Obtained> {
    let among = if over_p {
        &settings.moduli
    } else {
        &settings.widths
    };
    let (x, members) = curve(outcomes, over_p, at, among);
    let id = if over_p {
        format!("slope-p-{at}")
    } else {
        format!("slope-k-{at}")
    };
    if members.len() < 3 {
        return Ok(Obtained {
            id,
            value: f64::NAN,
            mcse: None,
            reference: None,
            verdict: Verdict::NotComparable,
            note: "not in this profile's sizes".into(),
        });
    }
    let of = |f: &dyn Fn(&Outcome) -> f64| slope(&x, &members.iter().map(f).collect::<Vec<_>>());
    let (value, error) = of(&Outcome::llc)?;
    let (theory, _) = of(&Outcome::theirs)?;
    let (second, _) = of(&|o| o.second_order().0)?;
    let (zero, _) = of(&Outcome::around_zero)?;
    Ok(Obtained {
        id,
        value,
        mcse: Some(error),
        reference: Some((theory, "their corollary 5.4".into())),
        verdict: Verdict::of_claim((value / paper - 1.0).abs() < 0.1),
        note: format!(
            "error of the straight line; within a tenth agrees. Of the same chains around w = 0 {zero:.2}; of the second order alone {second:.2}"
        ),
    })
}

pub fn obtained(settings: &Sizes, outcomes: &[Outcome]) -> anyhow::Result<Vec<Obtained>> {
    let over_p = OVER_P
        .iter()
        .map(|&(at, paper)| one(settings, outcomes, true, at, paper));
    let over_k = OVER_K
        .iter()
        .map(|&(at, paper)| one(settings, outcomes, false, at, paper));
    let mut rows = over_p.chain(over_k).collect::<anyhow::Result<Vec<_>>>()?;
    let mean =
        |f: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(f).sum::<f64>() / outcomes.len() as f64;
    let share = mean(&|o| o.second_order().0 / o.llc());
    rows.push(Obtained {
        id: "factor".into(),
        value: mean(&|o| o.theirs() / o.llc()),
        mcse: None,
        reference: Some((
            mean(&|o| o.theirs() / o.second_order().1),
            "the same for ½Σnβh/(nβh+γ)".into(),
        )),
        verdict: Verdict::of_claim((share - 1.0).abs() < 0.1),
        note: format!(
            "mean over {} sizes; agrees if the second order gives λ̂ within a tenth. It gives {share:.4} of λ̂; around w = 0, where there is no \
             second order, the same chains have {:.3} of the λ̂ of trained weights",
            outcomes.len(),
            mean(&|o| o.around_zero() / o.llc())
        ),
    });
    rows.push(Obtained {
        id: "per-parameter".into(),
        value: mean(&|o| o.llc() / o.n_params as f64),
        mcse: None,
        reference: Some((mean(&|o| o.around_zero() / o.n_params as f64), "around w = 0".into())),
        verdict: Verdict::NotComparable,
        note: format!(
            "from {:.4} to {:.4} over the sizes; the paper's slopes are 0.026 to 0.028 of those of d = 3pK over p, 0.017 to 0.019 over K",
            outcomes.iter().map(|o| o.llc() / o.n_params as f64).fold(f64::INFINITY, f64::min),
            outcomes.iter().map(|o| o.llc() / o.n_params as f64).fold(0.0, f64::max),
        ),
    });
    Ok(rows)
}

pub fn section(store: &Store, settings: &Sizes, outcomes: &[Outcome]) -> anyhow::Result<Section> {
    let colours = [Colour::Blue, Colour::Vermillion, Colour::Green];
    let panel = |over_p: bool| {
        let (fixed, among, name) = match over_p {
            true => (&settings.widths_of_moduli, &settings.moduli, "K"),
            false => (&settings.moduli_of_widths, &settings.widths, "p"),
        };
        let mut layers = Vec::new();
        for (&at, colour) in fixed.iter().zip(colours) {
            let (x, members) = curve(outcomes, over_p, at, among);
            let of = |f: &dyn Fn(&Outcome) -> f64| members.iter().map(f).collect::<Vec<_>>();
            layers.push(
                Layer::points(x.clone(), of(&Outcome::llc))
                    .label(&format!("{name} = {at}"))
                    .colour(colour),
            );
            layers.push(Layer::line(x.clone(), of(&Outcome::llc)).colour(colour));
            layers.push(
                Layer::line(x.clone(), of(&Outcome::around_zero))
                    .dashed()
                    .colour(colour),
            );
        }
        Panel {
            title: format!("λ̂ against {}", if over_p { "p" } else { "K" }),
            x: Axis::linear(if over_p { "p" } else { "K" }),
            y: Axis::linear("λ̂"),
            layers,
            legend: Legend::Above,
        }
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(2, 2),
        panels: vec![panel(true), panel(false)],
    }
    .write(&store.figures(), "sizes")?;
    let least = |which: usize| {
        let all = outcomes.iter().flat_map(|o| &o.accuracies[which]);
        all.copied().fold(1.0, f64::min)
    };
    Ok(Section {
        heading: "2. λ̂ against p and K".into(),
        text: vec![format!(
            "{} seeds of each of {} sizes, chains on batches of {} at nβ = {}; at the end the least accuracy on the pairs to train on is {:.3}, on the others \
             {:.3}. The same chains are run around w = 0, where the network is the zero function.",
            settings.n_seeds,
            outcomes.len(),
            settings.sampling.batch_size.map_or("all pairs".into(), |b| b.to_string()),
            settings.nbeta,
            least(0),
            least(1)
        )],
        figures: vec![FigureRef {
            name: "sizes".into(),
            caption: "λ̂ at the sampler settings of the paper's code: around trained weights (points, solid), and around w = 0 (dashed).".into(),
            alt: "Two panels of nearly straight lines, each with a dashed one beside it".into(),
        }],
        ..Section::default()
    })
}
