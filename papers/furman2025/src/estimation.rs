//! Cramér-Rao and the shape of the posterior: the cubically parameterised Gaussian beside the Gaussian.
//!
//! n samples of `exp(-(x - w^k)²)/√π`, k = 1 or 3, have a mean of variance 1/(2n) that says all there is to know. Its k-th root is the maximum
//! likelihood estimate; the posterior under a standard normal prior is proportional to `exp(-n(w^k - x̄)² - w²/2)`.

use std::f64::consts::{FRAC_2_SQRT_PI, SQRT_2};

use serde::{Deserialize, Serialize};
use slt_report::{Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store};
use slt_sampler::stream::{Purpose, rng};
use slt_stats::Estimate;

use crate::exact;
use crate::normal::normal;
use crate::settings::Estimation;

const N_REPLICATES: usize = 32;
/// A true parameter near the singular one.
const NEAR: f64 = 0.1;

/// What is recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// Fisher information times n times the mean square error of the estimate: of the Gaussian at 0, and of the cubic one near 0.
    pub regular: Estimate,
    pub near: Estimate,
    /// The mean square error itself of the cubic one, at 0.
    pub at_zero: Estimate,
    /// Total variation between posterior and the normal of its mean and variance.
    pub distance: Estimate,
}

pub fn run(store: &Store, settings: &Estimation) -> anyhow::Result<Outcome> {
    Ok(store
        .cell("estimation", settings, "host", || compute(settings))?
        .result)
}

fn compute(settings: &Estimation) -> anyhow::Result<Outcome> {
    let n = settings.n;
    let squares = |stream: u64, power: i32, w0: f64| {
        let mut rng = rng(settings.seed, Purpose::Data, stream, 0);
        let replicate = |_| {
            let square = |_| {
                let mean = w0.powi(power) + normal(&mut rng) / (2.0 * n).sqrt();
                (root(mean, power) - w0).powi(2)
            };
            (0..settings.n_data_sets).map(square).sum::<f64>() / settings.n_data_sets as f64
        };
        (0..N_REPLICATES).map(replicate).collect::<Vec<f64>>()
    };
    let scaled =
        |values: Vec<f64>, by: f64| -> Vec<f64> { values.iter().map(|v| v * by).collect() };
    let mut rng = rng(settings.seed, Purpose::Data, 3, 0);
    let distances: Vec<f64> = (0..N_REPLICATES)
        .map(|_| {
            let sets = (0..settings.n_posteriors).map(|_| distance(n, 3, normal(&mut rng)));
            sets.sum::<f64>() / settings.n_posteriors as f64
        })
        .collect();
    Ok(Outcome {
        regular: Estimate::from_replicates(&scaled(squares(0, 1, 0.0), n * information(1, 0.0)))?,
        near: Estimate::from_replicates(&scaled(squares(1, 3, NEAR), n * information(3, NEAR)))?,
        at_zero: Estimate::from_replicates(&squares(2, 3, 0.0))?,
        distance: Estimate::from_replicates(&distances)?,
    })
}

fn root(x: f64, power: i32) -> f64 {
    x.signum() * x.abs().powf(1.0 / f64::from(power))
}

/// The Fisher information of one sample.
fn information(power: i32, w: f64) -> f64 {
    2.0 * (f64::from(power) * w.powi(power - 1)).powi(2)
}

/// The mean square error of the estimate: the integral over the estimate itself, where its density is smooth.
fn mean_square_error(n: f64, power: i32, w0: f64) -> f64 {
    let spread = (2.0 * n).sqrt();
    let (low, high) = (
        root(w0.powi(power) - 9.0 / spread, power),
        root(w0.powi(power) + 9.0 / spread, power),
    );
    let n_nodes = 4000;
    let step = (high - low) / f64::from(n_nodes);
    let term = |i: i32| {
        let w = low + step * f64::from(i);
        let xi = spread * (w.powi(power) - w0.powi(power));
        let density = FRAC_2_SQRT_PI / (2.0 * SQRT_2)
            * (-0.5 * xi * xi).exp()
            * spread
            * f64::from(power)
            * w.powi(power - 1);
        step * density * (w - w0).powi(2)
    };
    (0..=n_nodes).map(term).sum()
}

/// The posterior at the nodes of a grid that holds it, with the step.
fn posterior(n: f64, power: i32, xi: f64) -> (Vec<f64>, Vec<f64>) {
    let mean = xi / (2.0 * n).sqrt();
    let reach = |sign: f64| root(mean + sign * 9.0 / (2.0 * n).sqrt(), power);
    let (low, high) = (reach(-1.0), reach(1.0));
    let n_nodes = 1500;
    let nodes: Vec<f64> = (0..=n_nodes)
        .map(|i| low + (high - low) * f64::from(i) / f64::from(n_nodes))
        .collect();
    let log = |w: f64| -n * (w.powi(power) - mean).powi(2) - 0.5 * w * w;
    let most = nodes.iter().fold(f64::NEG_INFINITY, |m, &w| m.max(log(w)));
    let step = (high - low) / f64::from(n_nodes);
    let mut density: Vec<f64> = nodes.iter().map(|&w| (log(w) - most).exp()).collect();
    let sum: f64 = density.iter().sum::<f64>() * step;
    density.iter_mut().for_each(|p| *p /= sum);
    (nodes, density)
}

fn normal_beside(nodes: &[f64], density: &[f64]) -> Vec<f64> {
    let step = nodes[1] - nodes[0];
    let over = |f: &dyn Fn(f64) -> f64| -> f64 {
        nodes
            .iter()
            .zip(density)
            .map(|(&w, p)| step * p * f(w))
            .sum()
    };
    let mean = over(&|w| w);
    let variance = over(&|w| (w - mean).powi(2));
    let norm = (std::f64::consts::TAU * variance).sqrt().recip();
    nodes
        .iter()
        .map(|w| norm * (-0.5 * (w - mean).powi(2) / variance).exp())
        .collect()
}

/// Total variation between the posterior, given `√(2n) x̄ = xi`, and the normal of its mean and variance.
fn distance(n: f64, power: i32, xi: f64) -> f64 {
    let (nodes, density) = posterior(n, power, xi);
    let normal = normal_beside(&nodes, &density);
    let step = nodes[1] - nodes[0];
    let inside: f64 = density
        .iter()
        .zip(&normal)
        .map(|(p, q)| step * (p - q).abs())
        .sum();
    // what the normal has beyond the grid
    let beyond = 1.0 - step * normal.iter().sum::<f64>();
    0.5 * (inside + beyond.max(0.0))
}

/// Its mean over data sets, by a trapezoidal rule over ξ.
fn mean_distance(n: f64, power: i32) -> f64 {
    let step = 0.05;
    (-140..=140)
        .map(|i| {
            let xi = step * f64::from(i);
            let density = FRAC_2_SQRT_PI / (2.0 * SQRT_2) * (-0.5 * xi * xi).exp();
            step * density * distance(n, power, xi)
        })
        .sum()
}

pub fn obtained(settings: &Estimation, outcome: &Outcome) -> Vec<Obtained> {
    let n = settings.n;
    let row = |id: &str, estimate: Estimate, value, note: String| {
        exact::row(
            id.into(),
            estimate.mean,
            estimate.mcse,
            value,
            "exact",
            note,
        )
    };
    let near = n * information(3, NEAR) * mean_square_error(n, 3, NEAR);
    vec![
        row(
            "cramer-rao-regular",
            outcome.regular,
            1.0,
            format!("n = {n:e}; 1 is the bound, and is attained"),
        ),
        row(
            "cramer-rao-near",
            outcome.near,
            near,
            format!(
                "w₀ = {NEAR}, n = {n:e}: the error is far below what the inequality allows to an unbiased estimate"
            ),
        ),
        row(
            "cramer-rao-singular",
            outcome.at_zero,
            mean_square_error(n, 3, 0.0),
            format!(
                "w₀ = 0, n = {n:e}: the bound is infinite, the error is not; it falls as n^(-1/3)"
            ),
        ),
        row(
            "posterior",
            outcome.distance,
            mean_distance(n, 3),
            format!(
                "mean over data sets at n = {n:e}; at 100 n it is {:.4}: it does not fall. Of the Gaussian {:.0e}",
                mean_distance(100.0 * n, 3),
                mean_distance(n, 1)
            ),
        ),
    ]
}

pub fn section(
    store: &Store,
    settings: &Estimation,
    _outcome: &Outcome,
) -> anyhow::Result<Section> {
    let sizes: Vec<f64> = (0..=48).map(|i| 10f64.powf(0.25 * f64::from(i))).collect();
    let curve = |(i, &w0): (usize, &f64)| {
        let ratio = |&n: &f64| match w0 > 0.0 {
            true => n * information(3, w0) * mean_square_error(n, 3, w0),
            false => f64::NAN,
        };
        Layer::line(sizes.clone(), sizes.iter().map(ratio).collect::<Vec<_>>())
            .colour(Colour::cycle(i))
            .label(&format!("w₀ = {w0}"))
    };
    let bound = Panel {
        title: "Mean square error over the Cramér-Rao bound".into(),
        x: Axis::log("n"),
        y: Axis::log("n I(w₀) E(ŵ - w₀)²"),
        layers: settings
            .truths
            .iter()
            .enumerate()
            .skip(1)
            .map(curve)
            .chain([Layer::hline(1.0)
                .dashed()
                .colour(Colour::Grey)
                .label("bound")])
            .collect(),
        legend: Legend::Auto,
    };
    let n = settings.n;
    let mut layers = Vec::new();
    for (i, xi) in [0.0, 1.0, 2.0].into_iter().enumerate() {
        let (nodes, density) = posterior(n, 3, xi);
        let scale = (2.0 * n).powf(1.0 / 6.0);
        let x: Vec<f64> = nodes.iter().map(|w| scale * w).collect();
        let scaled =
            |density: Vec<f64>| -> Vec<f64> { density.iter().map(|p| p / scale).collect() };
        let normal = normal_beside(&nodes, &density);
        let colour = Colour::cycle(i);
        layers.push(
            Layer::line(x.clone(), scaled(normal))
                .dashed()
                .colour(colour),
        );
        layers.push(
            Layer::line(x, scaled(density))
                .colour(colour)
                .label(&format!("√(2n) x̄ = {xi}")),
        );
    }
    let shape = Panel {
        title: format!("Posterior of the cubic Gaussian, n = {n:.0e}"),
        x: Axis::linear("(2n)^(1/6) w"),
        y: Axis::linear("density"),
        layers,
        legend: Legend::Auto,
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(2, 2),
        panels: vec![bound, shape],
    }
    .write(&store.figures(), "estimation")?;
    Ok(Section {
        heading: "4. Estimation at and near a singularity".into(),
        text: vec![
            "The maximum likelihood estimate of the cubically parameterised Gaussian is the cube root of the mean. Near w = 0 its error is below the \
             Cramér-Rao bound while n w₀⁶ < 0.02, above it by a factor of up to 5 around n w₀⁶ = 1/2, and at it beyond; and at w = 0 the bound is infinite at all n. The \
             posterior has a limit of its own there, on the scale n^(-1/6), that is not a normal."
                .into(),
        ],
        figures: vec![FigureRef {
            name: "estimation".into(),
            caption: "Left: exact mean square error over the bound. Right: posteriors, and dashed the normals of the same mean and variance.".into(),
            alt: "Curves that rise through 1 and return to it; posteriors with flat or two-sided tops beside normals".into(),
        }],
        ..Section::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use slt_theory::radial_law;

    /// `E ξ²/(2n)`, and `E|ξ|^(2/3) (2n)^(-1/3)` with `E|ξ|^(2/3) = 2^(1/3) Γ(5/6)/√π`.
    #[test]
    fn errors_by_hand() {
        assert!((mean_square_error(50.0, 1, 0.0) * 100.0 - 1.0).abs() < 1e-10);
        let moment = 2f64.cbrt() * 1.128_787_029_908_126 / std::f64::consts::PI.sqrt();
        let found = mean_square_error(50.0, 3, 0.0) * 100f64.cbrt();
        assert!((found / moment - 1.0).abs() < 1e-10, "{found} {moment}");
    }

    /// Far from 0 the model is regular, and the bound is attained.
    #[test]
    fn far_away_the_bound_is_attained() {
        let ratio = 1e8 * information(3, 1.0) * mean_square_error(1e8, 3, 1.0);
        assert!((ratio - 1.0).abs() < 1e-6);
    }

    /// At x̄ = 0 the mean of n w⁶ is that of the exact law; the Gaussian's posterior is normal.
    #[test]
    fn posteriors_have_their_law() {
        let (nodes, density) = posterior(1e4, 3, 0.0);
        let step = nodes[1] - nodes[0];
        let terms = nodes.iter().zip(&density);
        let mean: f64 = terms.map(|(w, p)| step * p * 1e4 * w.powi(6)).sum();
        let law = radial_law(1.0, 1, 3, 1e4, 1.0).expect("valid");
        assert!((mean / law.mean() - 1.0).abs() < 1e-8);
        assert!(distance(1e4, 1, 0.7) < 1e-9);
    }
}
