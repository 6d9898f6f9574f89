//! `G(n) = λ/n`: Bayes and Gibbs generalisation errors, WAIC and cross-validation over many data sets, singular and regular.
//!
//! n samples of a normal variable of variance 1 and mean 0, modelled with the mean `w^k` and a flat prior. Integrals over w and over a new sample are
//! trapezoidal rules, exact to rounding; data sets are drawn. Their means have `√n x̄ = ξ` on a grid of spacing 1/4 with a random shift, weighted by the normal
//! density: each shift gives an unbiased replicate with little variance.
//!
//! What is exact at finite n: `E[G_n] = E[F_{n+1}] - E[F_n]`, and leaving one out of n is unbiased for `n - 1` samples, `E[CV_n] = E[G_{n-1}]`.

use rand::RngExt;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Marker, Obtained, Panel, Progress, Section,
    Store, together,
};
use slt_sampler::stream::{Purpose, rng};
use slt_stats::Estimate;
use slt_theory::{Generalisation, NormalCrossing, power_fluctuation};

use crate::exact;
use crate::normal::normal;
use crate::settings::Generalising;

const N_REPLICATES: usize = 32;
/// The exponents k of the table.
const POWERS: [u32; 3] = [1, 2, 3];
const NAMES: [&str; 3] = ["regular", "square", "cube"];
/// Spacing and reach of ξ.
const SPACING: f64 = 0.25;
const REACH: f64 = 7.0;

/// n times the errors of one data set, those of the truth taken off.
#[derive(Debug, Clone, Copy)]
enum Error {
    Bayes,
    Gibbs,
    Training,
    Waic,
    CrossValidation,
    /// Half the functional variance.
    Fluctuation,
    /// Bayes generalisation and cross-validation together.
    Sum,
}

const N_ERRORS: usize = 7;

/// What is recorded of one k.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub power: u32,
    pub errors: Vec<Estimate>,
    /// Root mean square deviation of the sum from 2λ, and of the Bayes error from λ, over data sets.
    pub spread: [f64; 2],
}

#[derive(Serialize)]
struct Config<'a> {
    settings: &'a Generalising,
    power: u32,
}

pub fn run(store: &Store, settings: &Generalising) -> anyhow::Result<Vec<Outcome>> {
    let cell = |power: u32| {
        let compute = || compute(settings, power);
        let config = Config { settings, power };
        Ok(store
            .cell("generalisation", &config, "host", compute)?
            .result)
    };
    together(POWERS, cell)
}

/// `w^k` at the nodes of a rule, and the posterior weight of each.
struct Posterior {
    means: Vec<f64>,
    weights: Vec<f64>,
    log_evidence: f64,
}

impl Posterior {
    /// Given `√n x̄ = xi`.
    fn new(power: u32, n: f64, xi: f64) -> Self {
        const N_NODES: i32 = 300;
        let k = power as i32;
        let reach = ((xi.abs() + 9.0) / n.sqrt()).powf(1.0 / f64::from(power));
        let step = 2.0 * reach / f64::from(N_NODES);
        let means: Vec<f64> = (0..=N_NODES)
            .map(|i| (step * f64::from(i) - reach).powi(k))
            .collect();
        let log = |m: f64| n.sqrt() * xi * m - 0.5 * n * m * m;
        let most = means.iter().fold(f64::NEG_INFINITY, |a, &m| a.max(log(m)));
        let mut weights: Vec<f64> = means.iter().map(|&m| (log(m) - most).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= sum);
        Self {
            means,
            weights,
            log_evidence: most + (sum * step).ln(),
        }
    }

    fn mean(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.means
            .iter()
            .zip(&self.weights)
            .map(|(&m, w)| w * f(m))
            .sum()
    }

    /// `log E[p(x|w)/p(x|truth)]` to the power given, 1 or -1.
    fn log_ratio(&self, x: f64, power: f64) -> f64 {
        self.mean(|m| (power * (x * m - 0.5 * m * m)).exp()).ln()
    }

    /// n times all errors on these samples.
    fn errors(&self, samples: &[f64]) -> [f64; N_ERRORS] {
        let n = samples.len() as f64;
        let step = 0.25;
        let bayes: f64 = (-36..=36)
            .map(|i| {
                let x = step * f64::from(i);
                let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
                -step * density * self.log_ratio(x, 1.0)
            })
            .sum();
        let [first, second, third, fourth] = [1, 2, 3, 4].map(|p| self.mean(|m| m.powi(p)));
        let training: f64 = samples.iter().map(|&x| -self.log_ratio(x, 1.0)).sum();
        let left_out: f64 = samples.iter().map(|&x| self.log_ratio(x, -1.0)).sum();
        let (sum, squares) = samples
            .iter()
            .fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        // the variance of xm - m²/2
        let variance = squares * (second - first * first) - sum * (third - first * second)
            + 0.25 * n * (fourth - second * second);
        [
            n * bayes,
            0.5 * n * second,
            training,
            training + variance,
            left_out,
            0.5 * variance,
            n * bayes + left_out,
        ]
    }
}

fn compute(settings: &Generalising, power: u32) -> anyhow::Result<Outcome> {
    let n = settings.n;
    let lambda = 0.5 / f64::from(power);
    let progress = Progress::start("generalisation", N_REPLICATES as u64);
    let mut replicates = Vec::new();
    let (mut squares, mut total) = ([0.0; 2], 0.0);
    for r in 0..N_REPLICATES {
        let mut rng = rng(settings.seed, Purpose::Data, u64::from(power), r as u64);
        let mut errors = [0.0; N_ERRORS];
        for _ in 0..settings.n_shifts {
            let mut xi = -REACH + SPACING * rng.random::<f64>();
            while xi < REACH {
                let weight = SPACING * (-0.5 * xi * xi).exp()
                    / std::f64::consts::TAU.sqrt()
                    / settings.n_shifts as f64;
                let samples = samples(&mut rng, n, xi);
                let of_one = Posterior::new(power, n as f64, xi).errors(&samples);
                for (sum, value) in errors.iter_mut().zip(of_one) {
                    *sum += weight * value;
                }
                squares[0] += weight * (of_one[Error::Sum as usize] - 2.0 * lambda).powi(2);
                squares[1] += weight * (of_one[Error::Bayes as usize] - lambda).powi(2);
                total += weight;
                xi += SPACING;
            }
        }
        replicates.push(errors);
        progress.inc(1);
    }
    let over = |k: usize| {
        let column: Vec<f64> = replicates.iter().map(|r| r[k]).collect();
        Estimate::from_replicates(&column)
    };
    Ok(Outcome {
        power,
        errors: (0..N_ERRORS).map(over).collect::<Result<_, _>>()?,
        spread: squares.map(|s| (s / total).sqrt()),
    })
}

/// n standard normals whose sum is √n ξ.
fn samples(rng: &mut impl RngExt, n: usize, xi: f64) -> Vec<f64> {
    let mut samples: Vec<f64> = (0..n).map(|_| normal(rng)).collect();
    let shift = xi / (n as f64).sqrt() - samples.iter().sum::<f64>() / n as f64;
    samples.iter_mut().for_each(|x| *x += shift);
    samples
}

/// `E[F_n]` up to a constant and n times the entropy of the truth.
fn mean_free_energy(power: u32, n: f64) -> f64 {
    let step = 0.1;
    (-80..=80)
        .map(|i| {
            let xi = step * f64::from(i);
            let density = (-0.5 * xi * xi).exp() / std::f64::consts::TAU.sqrt();
            -step * density * Posterior::new(power, n, xi).log_evidence
        })
        .sum()
}

/// `E[G_n]`, by the free energies of n and of n + 1 samples.
fn exact_error(power: u32, n: f64) -> f64 {
    mean_free_energy(power, n + 1.0) - mean_free_energy(power, n)
}

/// The limits as n grows.
fn limits(power: u32) -> anyhow::Result<Generalisation> {
    let pair = NormalCrossing::with_positive_prior(&[power])?.learning_coefficient();
    Ok(Generalisation::new(
        pair,
        power_fluctuation(power, 1.0)?,
        1.0,
    )?)
}

pub fn obtained(settings: &Generalising, outcomes: &[Outcome]) -> anyhow::Result<Vec<Obtained>> {
    let n = settings.n as f64;
    let mut rows = Vec::new();
    for (outcome, name) in outcomes.iter().zip(NAMES) {
        let limits = limits(outcome.power)?;
        let lambda = 0.5 / f64::from(outcome.power);
        let at = |error: Error| outcome.errors[error as usize];
        let bayes = at(Error::Bayes);
        // a function of ξ alone, whose mean over the shifted grids is exact to rounding
        let right = n * exact_error(outcome.power, n);
        rows.push(Obtained {
            id: format!("bayes-{name}"),
            reference: Some((right, "exact at this n".into())),
            ..exact::claim(
                "",
                bayes.mean,
                (bayes.mean - right).abs() < 1e-8,
                format!("n = {n}; agrees: to 1e-8; λ = {lambda:.4}"),
            )
        });
        let left_out = at(Error::CrossValidation);
        rows.push(exact::row(
            format!("cross-validation-{name}"),
            left_out.mean,
            left_out.mcse,
            n * exact_error(outcome.power, n - 1.0),
            "exact at this n",
            format!("less n times the loss of the truth; λ = {lambda:.4}"),
        ));
        let mut limit = |id: &str, error: Error, value: f64| {
            let found = at(error);
            // terms of 1/n are left
            let holds = (found.mean - value).abs() < 4.4 * found.mcse + 5.0 / n * value.abs();
            rows.push(Obtained {
                id: format!("{id}-{name}"),
                mcse: Some(found.mcse),
                reference: Some((value, "limit of large n".into())),
                ..exact::claim(
                    "",
                    found.mean,
                    holds,
                    format!("agrees: within errors and 5/n of it, n = {n}"),
                )
            });
        };
        limit("waic", Error::Waic, limits.waic());
        limit("gibbs", Error::Gibbs, limits.gibbs_generalisation());
        limit("training", Error::Training, limits.bayes_training());
        limit(
            "fluctuation",
            Error::Fluctuation,
            0.5 * limits.functional_variance(),
        );
        let [sum, alone] = outcome.spread;
        limit("sum", Error::Sum, limits.bayes_plus_cross_validation());
        if let Some(row) = rows.last_mut() {
            row.note += &format!(
                "; over data sets it varies by {sum:.3}, the Bayes error alone by {alone:.3}"
            );
        }
    }
    Ok(rows)
}

pub fn section(
    store: &Store,
    settings: &Generalising,
    outcomes: &[Outcome],
) -> anyhow::Result<Section> {
    let names = [
        (Error::Bayes, "Bayes"),
        (Error::CrossValidation, "leave one out"),
        (Error::Waic, "WAIC"),
        (Error::Gibbs, "Gibbs"),
        (Error::Training, "training"),
        (Error::Fluctuation, "ν"),
    ];
    let mut layers = Vec::new();
    for (i, outcome) in outcomes.iter().enumerate() {
        let limits = limits(outcome.power)?;
        let exact = [
            limits.bayes_generalisation(),
            limits.waic(),
            limits.waic(),
            limits.gibbs_generalisation(),
            limits.bayes_training(),
            0.5 * limits.functional_variance(),
        ];
        let x: Vec<f64> = (0..names.len())
            .map(|j| j as f64 + 0.2 * (i as f64 - 1.0))
            .collect();
        layers.push(
            Layer::points(x.clone(), exact)
                .marker(Marker::Square)
                .colour(Colour::Grey),
        );
        let of = |get: fn(&Estimate) -> f64| -> Vec<f64> {
            names
                .iter()
                .map(|&(e, _)| get(&outcome.errors[e as usize]))
                .collect()
        };
        layers.push(
            Layer::points_with_errors(x, of(|e| e.mean), of(|e| e.mcse))
                .colour(Colour::cycle(i))
                .label(&format!("mean w^{}", outcome.power)),
        );
    }
    let ticks = names
        .iter()
        .enumerate()
        .map(|(j, (_, name))| (j as f64, *name));
    Figure {
        title: String::new(),
        columns: 1,
        size: (640, 380),
        panels: vec![Panel {
            title: format!("n = {}", settings.n),
            x: Axis::linear("").ticks(ticks).range(-0.6, 5.6),
            y: Axis::linear("n × error, less that of the truth"),
            layers,
            legend: Legend::Auto,
        }],
    }
    .write(&store.figures(), "generalisation")?;
    Ok(Section {
        heading: "6. Generalisation".into(),
        text: vec![format!(
            "A normal variable of mean w^k, truth 0: λ = 1/(2k). {} data sets of {} samples each for every k; predictive distributions, \
             cross-validation and WAIC are exact for each. ν is not determined by λ, and for k = 3 it is the larger of the two: the training error then \
             falls below minus λ.",
            N_REPLICATES * settings.n_shifts * (2.0 * REACH / SPACING) as usize,
            settings.n
        )],
        figures: vec![FigureRef {
            name: "generalisation".into(),
            caption: "Measured errors, and in grey their limits for large n.".into(),
            alt: "Six errors for three models, on their limits".into(),
        }],
        ..Section::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A normal mean with a flat prior: n times the error is `½ n log(1 + 1/n)`, by hand.
    #[test]
    fn a_regular_model_by_hand() {
        for n in [3.0f64, 50.0] {
            let exact = 0.5 * (1.0 / n).ln_1p();
            assert!((exact_error(1, n) - exact).abs() < 1e-11, "{n}");
        }
    }

    /// The variance in closed form is that of the losses, and leaving one out is what it says: the posterior without a sample predicts it.
    #[test]
    fn errors_of_one_data_set() {
        let mut rng = rng(1, Purpose::Data, 0, 0);
        let (n, xi) = (40, 0.8);
        let data = samples(&mut rng, n, xi);
        for power in [1, 2, 3] {
            let posterior = Posterior::new(power, n as f64, xi);
            let errors = posterior.errors(&data);
            let mut variance = 0.0;
            let mut left_out = 0.0;
            for &x in &data {
                let loss = |m: f64| x * m - 0.5 * m * m;
                let mean = posterior.mean(loss);
                variance += posterior.mean(|m| (loss(m) - mean).powi(2));
                let others = xi * (n as f64).sqrt() - x;
                let rest = (n - 1) as f64;
                left_out -= Posterior::new(power, rest, others / rest.sqrt()).log_ratio(x, 1.0);
            }
            assert!((errors[Error::Fluctuation as usize] - 0.5 * variance).abs() < 1e-10);
            assert!(
                (errors[Error::CrossValidation as usize] - left_out).abs() < 1e-9,
                "{power}"
            );
        }
    }
}
