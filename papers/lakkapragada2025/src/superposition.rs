//! Toy models of superposition in training: states between drops of the loss, and their free energies against the time from one to the next.

use std::f64::consts::{PI, TAU};

use anyhow::Context;
use ndarray::{Array1, Array2, ArrayView1, Axis as ArrayAxis, stack};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
    Verdict,
};
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::targets::OneHotAutoencoder;
use slt_sampler::{Points, SampleLosses, Target, default_nbeta, estimate};
use slt_stats::{LeastSquares, line};
use slt_theory::Superposition as Polygon;
use slt_training::{Training, pytorch_embedding};

use crate::settings::{Features, Superposition};

/// Samples in the paper's free energy: those of its modular addition, here too.
const THEIR_N: f64 = 0.4 * 53.0 * 53.0;
/// Slope, constant and R² of the published fit.
const THEIRS: [f64; 3] = [1.23, -10.4, 0.161];
/// Share of a k-gon's energy within which a state belongs to it.
const NEAR: f64 = 0.01;
/// Epochs on either side of one whose mean losses are compared.
const WINDOW: usize = 10;

/// What is recorded of one model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    /// Epochs of the checkpoints, losses and estimates there.
    pub epochs: Vec<u64>,
    pub losses: Vec<f64>,
    pub llcs: Vec<f64>,
    /// By the detector's share: the states between transitions.
    pub states: Vec<Vec<State>>,
    /// Features that are missed at the end (the squared error on a sample of theirs is more than a half), those of them with a bias that began below 0,
    /// and their part in the loss.
    pub n_missed: usize,
    pub n_dead: usize,
    pub missed_loss: f64,
}

/// A stretch of training between two drops of the loss.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub start: u64,
    pub end: u64,
    pub loss: f64,
    /// Mean of the estimates in it, if there are any.
    pub llc: Option<f64>,
}

/// The models of each kind of data.
pub type Outcome = Vec<Vec<Model>>;

pub fn run(store: &Store, settings: &[Superposition]) -> anyhow::Result<Outcome> {
    let cell = |settings: &Superposition| {
        let compute = || compute(settings);
        Ok(store
            .cell("superposition", settings, "host", compute)?
            .result)
    };
    settings.iter().map(cell).collect()
}

fn target(settings: &Superposition) -> anyhow::Result<(OneHotAutoencoder, Vec<(usize, f64)>)> {
    let (n, c) = (settings.n_samples, settings.n_features);
    let mut random = rng(settings.seed, Purpose::Data, 0, 0);
    let sample = |i: usize| match settings.features {
        Features::Binary => (random.random_range(0..c as u32) as usize, 1.0),
        // evenly spaced, so that the loss is that of the distribution to a thousandth
        Features::Uniform => (i % c, ((i / c) as f64 + 0.5) / n.div_ceil(c) as f64),
    };
    let samples: Vec<_> = (0..n).map(sample).collect();
    let target = OneHotAutoencoder::new(settings.n_features, settings.n_hidden, &samples)?;
    let target = match settings.features {
        Features::Binary => target.mean_over_features(),
        Features::Uniform => target,
    };
    Ok((target, samples))
}

/// Two opposite columns in a random direction, noise on all, and biases of a wide normal law.
fn init(settings: &Superposition, stream: u64) -> Array1<f64> {
    let (c, h) = (settings.n_features, settings.n_hidden);
    let mut random = rng(settings.seed, Purpose::Initialisation, stream, 0);
    let mut w = vec![0.0; (h + 1) * c];
    pytorch_embedding(&mut w, &mut random);
    let (weights, biases) = w.split_at_mut(h * c);
    weights.iter_mut().for_each(|w| *w *= settings.weight_sd);
    biases.iter_mut().for_each(|b| *b *= settings.bias_sd);
    let angle = TAU * random.random::<f64>();
    for (column, angle) in [(0, angle), (1, angle + PI)] {
        weights[column] += settings.length * angle.cos();
        weights[c + column] += settings.length * angle.sin();
    }
    Array1::from(w)
}

fn compute(settings: &Superposition) -> anyhow::Result<Vec<Model>> {
    let (target, samples) = target(settings)?;
    let n_models = settings.n_models as usize;
    let streams: Vec<u64> = (0..settings.n_models).collect();
    let mut start = Array2::zeros((n_models, target.n_params()));
    for (mut row, &stream) in start.rows_mut().into_iter().zip(&streams) {
        row.assign(&init(settings, stream));
    }
    let plan = &settings.plan;
    let mut training = Training::new(start, &streams, &vec![plan.optimiser; n_models]);
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let label = format!("superposition, {:?} features: training", settings.features);
    let progress = Progress::start(&label, plan.n_steps * settings.n_models);
    let wanted = settings.checkpoints();
    // a step of the plan's stride is an epoch
    let mut losses = vec![Vec::new(); n_models];
    let mut anchors = Vec::new();
    for (epoch, to) in plan.checkpoint_steps().into_iter().enumerate() {
        if to > 0 {
            training.advance(&target, plan, to, n_threads, &|n| progress.inc(n))?;
        }
        let mut found = vec![0.0; n_models];
        target.clone().loss(training.rows.view(), &mut found);
        for (losses, found) in losses.iter_mut().zip(found) {
            losses.push(found);
        }
        if wanted.contains(&(epoch as u64)) {
            anchors.push(training.rows.clone());
        }
    }
    drop(progress);

    let sampling = &settings.sampling;
    let dynamics = sampling.dynamics(default_nbeta(settings.n_samples)?)?;
    let chains = sampling.plan(settings.n_samples)?;
    let n_chains = n_models * anchors.len() * sampling.n_chains;
    let label = format!("superposition, {:?} features: chains", settings.features);
    let progress = Progress::start(&label, (n_chains * chains.schedule.n_steps()) as u64);
    let llcs = |m: usize| -> anyhow::Result<Vec<f64>> {
        let views: Vec<ArrayView1<f64>> = anchors.iter().map(|rows| rows.row(m)).collect();
        let path = stack(ArrayAxis(0), &views)?;
        let points = Points {
            anchors: path.view(),
            dynamics: &vec![dynamics; anchors.len()],
            n_chains: sampling.n_chains,
            from_stream: (m as u64) << 32,
        };
        let found = estimate(&target, &points, &chains, None, &|n| progress.inc(n))?;
        Ok(found.all()?.iter().map(|llc| llc.mean).collect())
    };

    let model = |m: usize| {
        let found = llcs(m)?;
        let states = |&share: &f64| states(&losses[m], &wanted, &found, settings.from_epoch, share);
        let c = settings.n_features;
        let mut each = Array2::zeros((1, settings.n_samples));
        let row = training.rows.row(m).insert_axis(ArrayAxis(0));
        target.clone().sample_losses(row, each.view_mut());
        let unit = if settings.features == Features::Binary {
            c as f64
        } else {
            1.0
        };
        let began = init(settings, streams[m]);
        let (mut n_missed, mut n_dead, mut missed_loss) = (0, 0, 0.0);
        for k in 0..c {
            let own = || samples.iter().zip(&each).filter(|&(s, _)| s.0 == k);
            let largest = own().map(|(_, &loss)| unit * loss).fold(0.0, f64::max);
            if largest > 0.5 {
                n_missed += 1;
                n_dead += usize::from(began[settings.n_hidden * c + k] < 0.0);
                missed_loss += own().map(|(_, loss)| loss).sum::<f64>() / each.len() as f64;
            }
        }
        Ok(Model {
            losses: wanted.iter().map(|&e| losses[m][e as usize]).collect(),
            epochs: wanted.clone(),
            llcs: found.clone(),
            states: settings.drop_shares.iter().map(states).collect(),
            n_missed,
            n_dead,
            missed_loss,
        })
    };
    (0..n_models).map(model).collect()
}

/// The paper's detector: an epoch scores the mean loss of the epochs before it less that of those after it; where scores are at least `share` of the
/// whole drop, the best of each stretch is a transition.
fn transitions(losses: &[f64], from: usize, share: f64) -> Vec<usize> {
    let mean = |range: std::ops::Range<usize>| {
        losses[range.clone()].iter().sum::<f64>() / range.len() as f64
    };
    let least = losses[from..].iter().copied().fold(f64::INFINITY, f64::min);
    let limit = share * (losses[from] - least);
    let mut found = Vec::new();
    let mut best: Option<(usize, f64)> = None;
    for i in from + WINDOW..losses.len().saturating_sub(WINDOW) {
        let score = mean(i - WINDOW..i) - mean(i..i + WINDOW);
        if score >= limit && limit > 0.0 {
            if best.is_none_or(|(_, s)| score > s) {
                best = Some((i, score));
            }
        } else {
            found.extend(best.take().map(|(i, _)| i));
        }
    }
    found.extend(best.map(|(i, _)| i));
    found
}

fn states(losses: &[f64], epochs: &[u64], llcs: &[f64], from: u64, share: f64) -> Vec<State> {
    let mut bounds = vec![from as usize];
    bounds.extend(transitions(losses, from as usize, share));
    bounds.push(losses.len());
    let state = |pair: &[usize]| {
        let (start, end) = (pair[0], pair[1]);
        let within = epochs
            .iter()
            .zip(llcs)
            .filter(|&(&e, _)| (start..end).contains(&(e as usize)));
        let values: Vec<f64> = within.map(|(_, &llc)| llc).collect();
        State {
            start: start as u64,
            end: end as u64,
            loss: losses[start..end].iter().sum::<f64>() / (end - start) as f64,
            llc: (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64),
        }
    };
    bounds.windows(2).map(state).collect()
}

/// A transition: the logarithm of the time from the start of one state to that of the next, and the difference of their free energies.
fn moves(states: &[State], n: f64) -> impl Iterator<Item = (f64, f64)> {
    states.windows(2).filter_map(move |pair| {
        let lambda = pair[1].llc? - pair[0].llc?;
        let energy = n.ln() * lambda + n * (pair[1].loss - pair[0].loss);
        Some((((pair[1].start - pair[0].start) as f64).ln(), energy))
    })
}

/// All transitions by the detector's share `which`, and the line through them.
fn all_moves(models: &[Model], which: usize, n: f64) -> (Vec<f64>, Vec<f64>) {
    models
        .iter()
        .flat_map(|model| moves(&model.states[which], n))
        .unzip()
}

fn fit(models: &[Model], which: usize, n: f64) -> anyhow::Result<LeastSquares> {
    let (x, y) = all_moves(models, which, n);
    line(Array1::from(x).view(), Array1::from(y).view()).context("transitions of superposition")
}

/// States of models on uniform features that lie at the energy of a k-gon: k, the dead features with a positive bias, and the estimates there.
fn plateaus(settings: &Superposition, models: &[Model]) -> anyhow::Result<Vec<Plateau>> {
    let c = settings.n_features as u32;
    let mut all = Vec::new();
    for k in 4..=c.min(8) {
        // dead biases of both signs are no minimum from 5 on
        let positive: Vec<u32> = match k {
            4 => (0..=c - k).collect(),
            _ if k == c => vec![0],
            _ => vec![0, c - k],
        };
        for n_positive in positive {
            all.push(Plateau {
                polygon: Polygon::new(c, k, n_positive)?,
                n_vertices: k,
                n_positive,
                llcs: Vec::new(),
            });
        }
    }
    for state in models.iter().flat_map(|m| m.states.last()).flatten() {
        let off = |p: &Plateau| (state.loss / p.polygon.loss() - 1.0).abs();
        let nearest = all.iter_mut().min_by(|a, b| off(a).total_cmp(&off(b)));
        if let (Some(plateau), Some(llc)) = (nearest, state.llc)
            && off(plateau) < NEAR
        {
            plateau.llcs.push(llc);
        }
    }
    all.retain(|p| !p.llcs.is_empty());
    Ok(all)
}

struct Plateau {
    polygon: Polygon,
    n_vertices: u32,
    n_positive: u32,
    llcs: Vec<f64>,
}

impl Plateau {
    fn name(&self) -> String {
        match self.n_positive {
            0 => format!("{}-gon", self.n_vertices),
            n => format!("{}-gon with {n} positive biases", self.n_vertices),
        }
    }

    fn mean(&self) -> f64 {
        self.llcs.iter().sum::<f64>() / self.llcs.len() as f64
    }
}

pub fn obtained(settings: &[Superposition], outcome: &Outcome) -> anyhow::Result<Vec<Obtained>> {
    let (own, models) = (&settings[0], &outcome[0]);
    let last = own.drop_shares.len() - 1;
    let fits: anyhow::Result<Vec<LeastSquares>> =
        (0..=last).map(|i| fit(models, i, THEIR_N)).collect();
    let mut rows = match fits {
        Ok(fits) => of_fits(own, models, &fits)?,
        Err(error) => ["tms-slope", "tms-constant", "tms-r2", "tms-sign"]
            .map(|id| Obtained {
                id: id.into(),
                value: f64::NAN,
                mcse: None,
                reference: None,
                verdict: Verdict::NotComparable,
                note: format!("{error:#}"),
            })
            .to_vec(),
    };
    let ends: Vec<String> = (0..=own.n_features)
        .filter_map(|k| {
            let n = models.iter().filter(|m| m.n_missed == k).count();
            (n > 0).then(|| format!("{k} in {n} models"))
        })
        .collect();
    let last_loss = |m: &Model| m.losses.last().copied().unwrap_or(f64::NAN);
    let missed: f64 = models.iter().map(|m| m.missed_loss).sum();
    let share = missed / models.iter().map(last_loss).sum::<f64>();
    rows.push(Obtained {
        id: "tms-missed".into(),
        value: share,
        mcse: None,
        reference: None,
        verdict: Verdict::of_claim(share > 0.9),
        note: format!(
            "features missed: {}; of all missed ones {} of {} began with a bias below 0",
            ends.join(", "),
            models.iter().map(|m| m.n_dead).sum::<usize>(),
            models.iter().map(|m| m.n_missed).sum::<usize>()
        ),
    });
    rows.push(polygons(settings, outcome)?);
    Ok(rows)
}

/// The rows of the fitted lines, one for each share of the detector.
fn of_fits(
    own: &Superposition,
    models: &[Model],
    fits: &[LeastSquares],
) -> anyhow::Result<Vec<Obtained>> {
    let shown = |(i, fit): (usize, &LeastSquares)| {
        format!(
            "share {}: {} transitions, slope {:.2} ± {:.2}, constant {:.1} ± {:.1}, R² {:.3}",
            own.drop_shares[i],
            all_moves(models, i, THEIR_N).0.len(),
            fit.coefficients[1],
            fit.standard_errors[1],
            fit.coefficients[0],
            fit.standard_errors[0],
            fit.r_squared
        )
    };
    let all: Vec<String> = fits.iter().enumerate().map(shown).collect();
    let last = fits.len() - 1;
    let chosen = &fits[last];
    let row = Obtained::new;
    let coefficient = |id: &str, i: usize| {
        let (value, error) = (chosen.coefficients[i], chosen.standard_errors[i]);
        let verdict = Verdict::of(value, error, THEIRS[1 - i], 0.0);
        row(id, value, Some(error), verdict, all.join("; "))
    };
    let own_n = fit(models, last, own.n_samples as f64)?;
    let signs: Vec<bool> = fits.iter().map(|fit| fit.coefficients[1] > 0.0).collect();
    Ok(vec![
        coefficient("tms-slope", 1),
        coefficient("tms-constant", 0),
        row(
            "tms-r2",
            chosen.r_squared,
            None,
            Verdict::of_claim((chosen.r_squared - THEIRS[2]).abs() < 0.1),
            "agrees within 0.1".into(),
        ),
        row(
            "tms-sign",
            chosen.coefficients[1].signum(),
            None,
            Verdict::of_claim(signs.contains(&true) && signs.contains(&false)),
            format!(
                "agrees if the sign of the slope depends on the detector's share. With the number of samples that there are, {}, in the free energy the slope is {:.2} ± {:.2}",
                own.n_samples, own_n.coefficients[1], own_n.standard_errors[1]
            ),
        ),
    ])
}

fn polygons(settings: &[Superposition], outcome: &Outcome) -> anyhow::Result<Obtained> {
    let found = settings
        .iter()
        .zip(outcome)
        .find(|(s, _)| s.features == Features::Uniform);
    let Some((uniform, models)) = found else {
        return Ok(Obtained {
            id: "tms-polygons".into(),
            value: f64::NAN,
            mcse: None,
            reference: None,
            verdict: Verdict::NotComparable,
            note: "not run in this profile".into(),
        });
    };
    let plateaus = plateaus(uniform, models)?;
    let shown = |p: &Plateau| {
        format!(
            "{}: loss {:.4}, λ = {}, {} states with mean λ̂ {:.2}",
            p.name(),
            p.polygon.loss(),
            p.polygon.learning_coefficient().lambda_f64(),
            p.llcs.len(),
            p.mean()
        )
    };
    let n: usize = plateaus.iter().map(|p| p.llcs.len()).sum();
    let states = models.iter().flat_map(|m| m.states.last()).flatten();
    Ok(Obtained {
        id: "tms-polygons".into(),
        value: n as f64 / states.count() as f64,
        mcse: None,
        reference: None,
        verdict: Verdict::NotComparable,
        note: plateaus.iter().map(shown).collect::<Vec<_>>().join("; "),
    })
}

pub fn section(
    store: &Store,
    settings: &[Superposition],
    outcome: &Outcome,
) -> anyhow::Result<Section> {
    let panel = |title: &str, x: Axis, y: Axis, layers: Vec<Layer>| Panel {
        title: title.into(),
        x,
        y,
        layers,
        legend: Legend::Above,
    };
    let floats = |epochs: &[u64]| epochs.iter().map(|&e| e as f64).collect::<Vec<_>>();
    let mut panels = Vec::new();
    for (own, models) in settings.iter().zip(outcome) {
        let name = match own.features {
            Features::Binary => "features of 1",
            Features::Uniform => "features between 0 and 1",
        };
        let shown = || models.iter().take(6).enumerate();
        let loss = |(i, m): (usize, &Model)| {
            Layer::line(floats(&m.epochs), m.losses.clone()).colour(Colour::cycle(i))
        };
        let llc = |(i, m): (usize, &Model)| {
            Layer::line(floats(&m.epochs), m.llcs.clone()).colour(Colour::cycle(i))
        };
        let mut losses: Vec<Layer> = shown().map(loss).collect();
        if own.features == Features::Uniform {
            let energies = plateaus(own, models)?;
            losses.extend(energies.iter().map(|p| Layer::hline(p.polygon.loss())));
        }
        panels.push(panel(
            &format!("Loss, {name}"),
            Axis::log("epoch"),
            Axis::log("loss"),
            losses,
        ));
        panels.push(panel(
            &format!("Estimates, {name}"),
            Axis::log("epoch"),
            Axis::linear("λ̂"),
            shown().map(llc).collect(),
        ));
        let mut layers = Vec::new();
        for (i, share) in own.drop_shares.iter().enumerate() {
            let (x, y) = all_moves(models, i, THEIR_N);
            let label = format!("share {share}");
            layers.push(
                Layer::points(x.clone(), y)
                    .colour(Colour::cycle(i))
                    .label(&label),
            );
            if let Ok(fit) = fit(models, i, THEIR_N) {
                let [least, most] = [f64::min, f64::max].map(|of| x.iter().copied().reduce(of));
                let ends: Vec<f64> = least.into_iter().chain(most).collect();
                let at = |&x: &f64| fit.coefficients[0] + fit.coefficients[1] * x;
                let values: Vec<f64> = ends.iter().map(at).collect();
                layers.push(Layer::line(ends, values).colour(Colour::cycle(i)));
            }
        }
        if own
            .drop_shares
            .iter()
            .enumerate()
            .any(|(i, _)| !all_moves(models, i, THEIR_N).0.is_empty())
        {
            panels.push(panel(
                &format!("Transitions, {name}"),
                Axis::linear("ln r"),
                Axis::linear("ΔF"),
                layers,
            ));
        }
    }
    Figure {
        title: String::new(),
        columns: 3,
        size: Figure::grid_size(panels.len(), 3),
        panels,
    }
    .write(&store.figures(), "superposition")?;
    let own = &settings[0];
    Ok(Section {
        heading: "2. Toy models of superposition".into(),
        text: vec![
            format!(
                "{} models {} → {} → {}, {} epochs; the loss at every epoch from {} on, estimates at {} checkpoints ({} chains of {} steps). A transition is the steepest epoch of a stretch in which the loss falls by a share of its whole drop within {WINDOW} epochs.",
                own.n_models,
                own.n_features,
                own.n_hidden,
                own.n_features,
                own.plan.n_steps / own.plan.checkpoint_every,
                own.from_epoch,
                own.checkpoints().len(),
                own.sampling.n_chains,
                own.sampling.n_steps
            ),
            "With inputs that are a single 1 a feature is off for ever if its bias begins well below 0: no input moves it. The initial biases have a standard deviation of 10, so that half of the features are never learnt, and the phases of this model are how many are: each that is missing costs 1/64 of loss. The k-gons of the theory belong to features between 0 and 1."
                .into(),
        ],
        figures: vec![FigureRef {
            name: "superposition".into(),
            caption: "Figure 4 and its models: losses and estimates of six models, and the free-energy difference of consecutive states against the time between them, with the paper's data (above) and with those of the theory (below; horizontal lines are the energies of k-gons)."
                .into(),
            alt: "Losses that fall in steps, estimates, and scattered points with fitted lines".into(),
        }],
        ..Section::default()
    })
}
