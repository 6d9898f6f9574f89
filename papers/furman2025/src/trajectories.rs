//! Training the toy model of superposition: plateaus of the loss at the energies of k-gons, and λ̂ along the way.

use ndarray::{Array1, Array2, ArrayView1, Axis as ArrayAxis, stack};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
};
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::targets::{OneHotAutoencoder, UniformAutoencoder};
use slt_sampler::{Points, Target, default_nbeta, estimate};
use slt_theory::Superposition as Polygon;
use slt_training::Training;

use crate::exact;
use crate::normal::normal;
use crate::settings::Trajectories;

/// Of the two columns that a training begins with.
const LENGTH: f64 = 0.9;
/// Share of a k-gon's energy within which a checkpoint is on its plateau, and successive checkpoints that make a rest there.
const NEAR: f64 = 0.01;
const REST: usize = 3;

/// What is recorded of one training.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trajectory {
    pub epochs: Vec<u64>,
    /// The expected loss, and λ̂ around the weights.
    pub losses: Vec<f64>,
    pub llcs: Vec<f64>,
}

pub fn run(store: &Store, settings: &Trajectories) -> anyhow::Result<Vec<Trajectory>> {
    Ok(store
        .cell("trajectories", settings, "host", || compute(settings))?
        .result)
}

/// Two opposite columns in a random direction, little noise on all columns, and more on the biases.
fn start(settings: &Trajectories, stream: u64) -> Array1<f64> {
    let c = settings.n_features;
    let mut random = rng(settings.seed, Purpose::Initialisation, stream, 0);
    let sd = |j: usize| {
        if j < 2 * c {
            settings.noise
        } else {
            settings.bias_noise
        }
    };
    let mut w: Array1<f64> = (0..3 * c).map(|j| sd(j) * normal(&mut random)).collect();
    let angle = std::f64::consts::TAU * random.random::<f64>();
    for (i, sign) in [(0, LENGTH), (1, -LENGTH)] {
        w[i] += sign * angle.cos();
        w[c + i] += sign * angle.sin();
    }
    w
}

fn compute(settings: &Trajectories) -> anyhow::Result<Vec<Trajectory>> {
    let (c, n) = (settings.n_features, settings.n_samples);
    let exact = UniformAutoencoder::new(c, 2, n)?;
    // evenly spaced, so that the loss is that of the distribution to a thousandth
    let sample = |i: usize| (i % c, ((i / c) as f64 + 0.5) / n.div_ceil(c) as f64);
    let samples: Vec<_> = (0..n).map(sample).collect();
    let target = OneHotAutoencoder::new(c, 2, &samples)?;
    let n_models = settings.n_models as usize;
    let streams: Vec<u64> = (0..settings.n_models).collect();
    let mut rows = Array2::zeros((n_models, 3 * c));
    for (mut row, &stream) in rows.rows_mut().into_iter().zip(&streams) {
        row.assign(&start(settings, stream));
    }
    let plan = &settings.plan;
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut training = Training::new(rows, &streams, &vec![plan.optimiser; n_models]);
    let progress = Progress::start("training superposition", plan.n_steps * settings.n_models);
    let per_epoch = (n / plan.batch_size.unwrap_or(n)) as u64;
    let (mut epochs, mut anchors, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    for to in plan.checkpoint_steps() {
        if to > 0 {
            training.advance(&target, plan, to, n_threads, &|n| progress.inc(n))?;
        }
        let mut found = vec![f64::NAN; n_models];
        exact.clone().loss(training.rows.view(), &mut found);
        epochs.push(to / per_epoch);
        losses.push(found);
        anchors.push(training.rows.clone());
    }
    drop(progress);

    let sampling = &settings.sampling;
    let dynamics = sampling.dynamics(default_nbeta(n)?)?;
    let chains = sampling.plan(n)?;
    slt_report::progress::say("λ̂ along the trajectories");
    let of_model = |m: usize| -> anyhow::Result<Trajectory> {
        let views: Vec<ArrayView1<f64>> = anchors.iter().map(|rows| rows.row(m)).collect();
        let path = stack(ArrayAxis(0), &views)?;
        let points = Points {
            anchors: path.view(),
            dynamics: &vec![dynamics; anchors.len()],
            n_chains: sampling.n_chains,
            from_stream: (m as u64) << 32,
        };
        let found = estimate(&exact, &points, &chains, None, &|_| ())?;
        Ok(Trajectory {
            epochs: epochs.clone(),
            losses: losses.iter().map(|of| of[m]).collect(),
            llcs: found.all()?.iter().map(|llc| llc.mean).collect(),
        })
    };
    (0..n_models).map(of_model).collect()
}

/// Name, energy and λ of the k-gons that a training may rest at.
fn plateaus(n_features: usize) -> anyhow::Result<Vec<(String, f64, f64)>> {
    let c = n_features as u32;
    let mut all = Vec::new();
    for k in 4..=c.min(8) {
        for n_positive in 0..=c - k {
            // dead biases of both signs are no minimum from 5 on
            if k > 4 && n_positive > 0 && n_positive < c - k {
                continue;
            }
            let polygon = Polygon::new(c, k, n_positive)?;
            all.push((
                crate::polygons::name((k, n_positive)),
                polygon.loss(),
                polygon.learning_coefficient().lambda_f64(),
            ));
        }
    }
    Ok(all)
}

/// The plateau of each checkpoint, if it is on one.
fn visited(settings: &Trajectories, of: &Trajectory) -> anyhow::Result<Vec<Option<usize>>> {
    let known = plateaus(settings.n_features)?;
    let at = |loss: &f64| {
        known
            .iter()
            .position(|(_, energy, _)| (loss / energy - 1.0).abs() < NEAR)
    };
    Ok(of.losses.iter().map(at).collect())
}

pub fn obtained(settings: &Trajectories, outcome: &[Trajectory]) -> anyhow::Result<Vec<Obtained>> {
    let known = plateaus(settings.n_features)?;
    let mut means = vec![Vec::new(); known.len()];
    let (mut n_falls, mut n_rises) = (0, 0);
    let mut paths = Vec::new();
    for of in outcome {
        let visits = visited(settings, of)?;
        // mean λ̂ of each plateau of this training, in the order of visits
        let mut path: Vec<(usize, Vec<f64>)> = Vec::new();
        for (at, &llc) in visits.iter().zip(&of.llcs) {
            let Some(at) = *at else { continue };
            match path.last_mut().filter(|(last, _)| *last == at) {
                Some((_, llcs)) => llcs.push(llc),
                None => path.push((at, vec![llc])),
            }
        }
        path.retain(|(_, llcs)| llcs.len() >= REST);
        let mean = |llcs: &[f64]| llcs.iter().sum::<f64>() / llcs.len() as f64;
        for pair in path.windows(2) {
            let [(a, first), (b, second)] = pair else {
                continue;
            };
            if known[*b].1 < known[*a].1 {
                n_falls += 1;
                n_rises += usize::from(mean(second) > mean(first));
            }
        }
        for (at, llcs) in &path {
            means[*at].push(mean(llcs));
        }
        let names: Vec<&str> = path.iter().map(|(at, _)| known[*at].0.as_str()).collect();
        paths.push(match names[..] {
            [] => "none".to_owned(),
            _ => names.join(" → "),
        });
    }
    paths.sort_unstable();
    let mut counted: Vec<(String, usize)> = Vec::new();
    for path in paths {
        match counted.last_mut().filter(|(last, _)| *last == path) {
            Some((_, n)) => *n += 1,
            None => counted.push((path, 1)),
        }
    }
    let shown: Vec<String> = counted
        .iter()
        .map(|(path, n)| format!("{path} ({n})"))
        .collect();
    let ended = outcome
        .iter()
        .filter(|of| visited(settings, of).is_ok_and(|v| v.last().is_some_and(Option::is_some)))
        .count();
    let estimates: Vec<String> = known
        .iter()
        .zip(&means)
        .filter(|(_, llcs)| !llcs.is_empty())
        .map(|((name, _, lambda), llcs)| {
            let mean = llcs.iter().sum::<f64>() / llcs.len() as f64;
            format!("{name}: {mean:.2}, λ = {lambda}")
        })
        .collect();
    let opposing = if n_falls == 0 {
        exact::missing("trajectory-opposing".into())
    } else {
        exact::claim(
            "trajectory-opposing",
            n_rises as f64 / n_falls as f64,
            n_rises == n_falls,
            format!(
                "{n_falls} falls of the loss from one plateau to the next; mean λ̂ at nβ = {:.0}, γ = {}: {}",
                default_nbeta(settings.n_samples)?,
                settings.sampling.gamma,
                estimates.join("; ")
            ),
        )
    };
    Ok(vec![
        exact::claim(
            "trajectory-plateaus",
            ended as f64 / outcome.len() as f64,
            ended == outcome.len(),
            format!(
                "within 1 % of the energy of a k-gon at the end; rests of at least {REST} checkpoints in their order: {}",
                shown.join(", ")
            ),
        ),
        opposing,
    ])
}

pub fn section(
    store: &Store,
    settings: &Trajectories,
    outcome: &[Trajectory],
) -> anyhow::Result<Section> {
    let epochs = |of: &Trajectory| -> Vec<f64> { of.epochs.iter().map(|&e| e as f64).collect() };
    let curves = |values: fn(&Trajectory) -> &Vec<f64>| -> Vec<Layer> {
        let curve = |(i, of): (usize, &Trajectory)| {
            Layer::line(epochs(of), values(of).clone()).colour(Colour::cycle(i))
        };
        outcome.iter().enumerate().map(curve).collect()
    };
    let known = plateaus(settings.n_features)?;
    let mut losses = curves(|of| &of.losses);
    let mut llcs = curves(|of| &of.llcs);
    for (_, energy, lambda) in &known {
        losses.push(Layer::hline(*energy).dashed().colour(Colour::Grey));
        llcs.push(Layer::hline(*lambda).dashed().colour(Colour::Grey));
    }
    let panel = |title: &str, y: &str, layers| Panel {
        title: title.into(),
        x: Axis::linear("epoch"),
        y: Axis::linear(y),
        layers,
        legend: Legend::None,
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(2, 2),
        panels: vec![
            panel("Loss in training", "L", losses),
            panel("Around the weights", "λ̂", llcs),
        ],
    }
    .write(&store.figures(), "trajectories")?;
    Ok(Section {
        heading: "9. Superposition in training".into(),
        text: vec![format!(
            "{} trainings of the model with {} features by gradient descent from two opposite columns, on {} evenly spaced samples; λ̂ by SGLD on the expected loss, {} chains of {} steps.",
            outcome.len(),
            settings.n_features,
            settings.n_samples,
            settings.sampling.n_chains,
            settings.sampling.n_steps
        )],
        figures: vec![FigureRef {
            name: "trajectories".into(),
            caption: "The loss falls from the energy of one k-gon to that of the next (dashed), and λ̂ rises; dashed on the right: λ of the k-gons.".into(),
            alt: "Losses that fall in steps onto dashed lines, and estimates that rise".into(),
        }],
        ..Section::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plateaus_are_the_energies() {
        let known = plateaus(6).expect("polygons");
        let names: Vec<&str> = known.iter().map(|(name, _, _)| name.as_str()).collect();
        assert_eq!(names, ["4", "4+", "4++", "5", "5+", "6"]);
        // apart by more than twice the width of a plateau
        let mut energies: Vec<f64> = known.iter().map(|&(_, energy, _)| energy).collect();
        energies.sort_by(f64::total_cmp);
        assert!(energies.windows(2).all(|e| e[1] / e[0] > 1.0 + 2.0 * NEAR));
    }
}
