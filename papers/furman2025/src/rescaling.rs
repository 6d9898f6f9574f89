//! Rescaling a ReLU network: one layer times a, the next over a, is the same function. λ does not change; λ̂ does where its localisation counts.

use ndarray::{Array1, Array2, ArrayView1};
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store, progress,
};
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::targets::{Activation, FeedForward, Loss};
use slt_sampler::{Request, calibrate, spectrum};
use slt_stats::Estimate;

use crate::exact;
use crate::normal::normal;
use crate::settings::Rescaling;

/// Share of the largest eigenvalue of the Hessian from which on a direction is not flat.
const FLAT: f64 = 1e-8;

/// What is recorded at one factor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct At {
    pub factor: f64,
    /// Half the rank of the Hessian at the minimum, where the loss is 0.
    pub half_rank: f64,
    /// λ̂ at each γ, and the second order's part of it, `½Σ nβh/(nβh + γ)`.
    pub llcs: Vec<Estimate>,
    pub second_order: Vec<f64>,
}

pub fn run(store: &Store, settings: &Rescaling) -> anyhow::Result<Vec<At>> {
    Ok(store
        .cell("rescaling", settings, "host", || compute(settings))?
        .result)
}

/// The network's loss on its own outputs, and its weights.
fn network(settings: &Rescaling) -> anyhow::Result<(FeedForward, Array1<f64>)> {
    let [n_inputs, n_hidden, n_outputs] = settings.widths;
    let mut random = rng(settings.seed, Purpose::Data, 0, 0);
    let mut normals = |n: usize| -> Vec<f64> { (0..n).map(|_| normal(&mut random)).collect() };
    let x = Array2::from_shape_vec(
        (settings.n_inputs_drawn, n_inputs),
        normals(settings.n_inputs_drawn * n_inputs),
    )?;
    let first = Array2::from_shape_vec((n_inputs, n_hidden), normals(n_inputs * n_hidden))?;
    let second = Array2::from_shape_vec((n_hidden, n_outputs), normals(n_hidden * n_outputs))?;
    let y = x.dot(&first).mapv(|h| h.max(0.0)).dot(&second);
    let w = first.iter().chain(&second).copied().collect();
    let target = FeedForward::new(
        &settings.widths,
        Activation::Relu,
        false,
        Loss::MeanSquaredError,
        x.view(),
        y.view(),
    )?;
    Ok((target, w))
}

/// The first layer times a, the second over a.
fn rescaled(settings: &Rescaling, w: ArrayView1<f64>, a: f64) -> Array1<f64> {
    let [n_inputs, n_hidden, _] = settings.widths;
    let first = n_inputs * n_hidden;
    w.indexed_iter()
        .map(|(i, &w)| if i < first { w * a } else { w / a })
        .collect()
}

fn compute(settings: &Rescaling) -> anyhow::Result<Vec<At>> {
    let (mut target, w) = network(settings)?;
    let nbeta = settings.nbeta;
    let at = |&factor: &f64| {
        progress::say(&format!("ReLU network, rescaled by {factor}"));
        let w = rescaled(settings, w.view(), factor);
        let h = spectrum(&mut target, w.view())?;
        let largest = h.iter().copied().fold(0.0, f64::max);
        let rank = h.iter().filter(|&&h| h > FLAT * largest).count();
        let second = |gamma: f64| {
            let part = |h: &f64| nbeta * h.max(0.0) / (nbeta * h.max(0.0) + gamma);
            0.5 * h.iter().map(part).sum::<f64>()
        };
        let mut llcs = Vec::new();
        for &gamma in &settings.gammas {
            let request = Request {
                relative_error: settings.relative_error,
                max_gradients: settings.max_gradients,
                ..Request::new(nbeta, gamma, settings.seed)
            };
            let found = calibrate(&target, w.view(), &request, &|_| ())?.llc;
            llcs.push(Estimate {
                mean: found.mean,
                mcse: found.mcse,
                n: found.per_chain.len(),
            });
        }
        Ok(At {
            factor,
            half_rank: 0.5 * rank as f64,
            llcs,
            second_order: settings.gammas.iter().map(|&gamma| second(gamma)).collect(),
        })
    };
    settings.factors.iter().map(at).collect()
}

pub fn obtained(settings: &Rescaling, outcome: &[At]) -> Vec<Obtained> {
    let (first, last) = (&outcome[0], &outcome[outcome.len() - 1]);
    let shown: Vec<String> = settings
        .gammas
        .iter()
        .enumerate()
        .map(|(k, gamma)| {
            let all: Vec<String> = outcome
                .iter()
                .map(|at| format!("{:.2}", at.llcs[k].mean))
                .collect();
            format!("γ = {gamma}: {}", all.join(", "))
        })
        .collect();
    let ratio = |k: usize| last.llcs[k].mean / first.llcs[k].mean;
    let same = outcome.iter().all(|at| at.half_rank == first.half_rank);
    let worst = (0..settings.gammas.len())
        .map(ratio)
        .fold(1.0, |worst: f64, r| {
            if (r - 1.0).abs() > (worst - 1.0).abs() {
                r
            } else {
                worst
            }
        });
    let moved: Vec<String> = (0..settings.gammas.len())
        .filter(|&k| {
            let (a, b) = (first.llcs[k], last.llcs[k]);
            (a.mean - b.mean).abs() > 3.0 * a.mcse.hypot(b.mcse)
        })
        .map(|k| format!("{}", settings.gammas[k]))
        .collect();
    let by_second = |k: usize| last.second_order[k] / first.second_order[k];
    let predicted: Vec<String> = (0..settings.gammas.len())
        .map(|k| format!("{:.3} for {:.3}", by_second(k), ratio(k)))
        .collect();
    vec![
        exact::claim(
            "rescaling-exact",
            first.half_rank,
            same,
            format!(
                "half the rank of the Hessian at the minimum, for all factors {:?}",
                settings.factors
            ),
        ),
        exact::claim(
            "rescaling-estimate",
            worst,
            moved.is_empty(),
            format!(
                "first layer times {}, second over it; nβ = {}; λ̂ by factors {:?}: {}. Moved by more than 3 errors at γ = {}. The second order alone says, for each γ, {}",
                last.factor,
                settings.nbeta,
                settings.factors,
                shown.join("; "),
                if moved.is_empty() {
                    "none".into()
                } else {
                    moved.join(", ")
                },
                predicted.join(", ")
            ),
        ),
    ]
}

pub fn section(store: &Store, settings: &Rescaling, outcome: &[At]) -> anyhow::Result<Section> {
    let mut layers = Vec::new();
    for (i, at) in outcome.iter().enumerate() {
        let colour = Colour::cycle(i);
        let (mean, error): (Vec<f64>, Vec<f64>) = at.llcs.iter().map(|l| (l.mean, l.mcse)).unzip();
        layers.push(
            Layer::points_with_errors(settings.gammas.clone(), mean, error)
                .colour(colour)
                .label(&format!("a = {}", at.factor)),
        );
        layers.push(Layer::line(settings.gammas.clone(), at.second_order.clone()).colour(colour));
    }
    layers.push(
        Layer::hline(outcome[0].half_rank)
            .dashed()
            .colour(Colour::Grey),
    );
    Figure {
        title: String::new(),
        columns: 1,
        size: (640, 420),
        panels: vec![Panel {
            title: String::new(),
            x: Axis::log("localisation γ"),
            y: Axis::linear("λ̂"),
            layers,
            legend: Legend::Above,
        }],
    }
    .write(&store.figures(), "rescaling")?;
    Ok(Section {
        heading: "11. Rescaling a ReLU network".into(),
        text: vec![format!(
            "A network of widths {:?} without biases around its own weights, the first layer times a, the second over a: one function. nβ = {}.",
            settings.widths, settings.nbeta
        )],
        figures: vec![FigureRef {
            name: "rescaling".into(),
            caption: "λ̂ (points) and its second order (lines) against γ for several a; dashed: half the rank of the Hessian.".into(),
            alt: "Estimates that fall with γ, the sooner the more the layers differ".into(),
        }],
        ..Section::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use slt_sampler::Target;

    /// The same function, and so the same loss, at the weights and around them.
    #[test]
    fn rescaled_networks_are_one_function() {
        let settings = Rescaling {
            widths: [3, 4, 2],
            n_inputs_drawn: 20,
            nbeta: 100.0,
            gammas: vec![1.0, 10.0],
            factors: vec![1.0, 8.0],
            relative_error: 0.1,
            max_gradients: 1,
            seed: 1,
        };
        let (mut target, w) = network(&settings).expect("a network");
        let mut loss_at = |w: Array1<f64>| {
            let mut loss = [f64::NAN];
            target.loss(w.insert_axis(ndarray::Axis(0)).view(), &mut loss);
            loss[0]
        };
        let moved = w.mapv(|w| 1.1 * w + 0.05);
        let before = loss_at(moved.clone());
        assert!(loss_at(w.clone()) < 1e-28 && before > 1e-3);
        let after = loss_at(rescaled(&settings, moved.view(), 8.0));
        assert!((after / before - 1.0).abs() < 1e-12, "{after} {before}");
    }
}
