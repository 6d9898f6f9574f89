//! BIC, sBIC and WBIC against the evidence, and the generalisation error against the number of parameters: a matrix of rank one.

use rand::RngExt;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
};
use slt_sampler::stream::{Purpose, rng};
use slt_stats::Estimate;
use slt_theory::{LearningCoefficient, ReducedRank, SbicModel, Submodel, sbic};

use crate::exact;
use crate::normal::normal;
use crate::rank_one::RankOne;
use crate::settings::Criteria;

/// The evidence, BIC, sBIC and WBIC.
const NAMES: [&str; 4] = ["evidence", "BIC", "sBIC", "WBIC"];
/// Independent data sets whose means are one replicate.
const N_REPLICATES: usize = 32;

/// What is recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// `[rank of the truth, n, criterion]`: its mean over data sets, less n times the loss of the truth.
    pub criteria: Vec<Vec<[Estimate; 4]>>,
    /// The same, less the evidence of the same data.
    pub errors: Vec<Vec<[Estimate; 4]>>,
    /// n times the generalisation error of the posterior mean, and of maximum likelihood, at each number of outputs.
    pub generalisation: Vec<[Estimate; 2]>,
}

pub fn run(store: &Store, settings: &Criteria) -> anyhow::Result<Outcome> {
    Ok(store
        .cell("criteria", settings, "host", || compute(settings))?
        .result)
}

fn pair(n_outputs: u32, rank: u32) -> anyhow::Result<LearningCoefficient> {
    Ok(ReducedRank::new(2, n_outputs, 1, rank)?.learning_coefficient())
}

/// A data set: the mean of n samples.
struct Data {
    /// Eigenvalues of `X'X`, the larger first.
    eigenvalues: [f64; 2],
    /// The loss of the truth, relative to that of 0.
    truth: f64,
}

impl Data {
    /// Around a truth that has one entry, `signal`.
    fn draw(rng: &mut impl RngExt, n_outputs: u32, n: f64, signal: f64) -> Self {
        let (mut products, mut first) = ([0.0; 3], 0.0);
        for i in 0..n_outputs {
            let mut x = [0; 2].map(|_| normal(rng) / n.sqrt());
            if i == 0 {
                x[0] += signal;
                first = x[0];
            }
            products[0] += x[0] * x[0];
            products[1] += x[1] * x[1];
            products[2] += x[0] * x[1];
        }
        let [a, b, c] = products;
        let larger = 0.5 * (a + b) + (0.25 * (a - b) * (a - b) + c * c).sqrt();
        // their product is the determinant
        let smaller = (a * b - c * c).max(0.0) / larger;
        Self {
            eigenvalues: [larger, smaller],
            truth: 0.5 * signal * signal - signal * first,
        }
    }
}

/// The evidence and the criteria, less n times the loss of the truth; λ and m where the truth has rank 0 and 1.
fn scores(
    model: RankOne,
    pairs: [LearningCoefficient; 2],
    n: f64,
    data: &Data,
) -> anyhow::Result<[f64; 4]> {
    let [q1, _] = data.eigenvalues;
    let likelihood = 0.5 * n * q1;
    let free_energy = -model.posterior(n, data.eigenvalues).log_evidence;
    let bic = -likelihood + 0.5 * f64::from(model.n_params()) * n.ln();
    let zero = SbicModel {
        log_likelihood: 0.0,
        prior_weight: 1.0,
        learning_coefficient: LearningCoefficient::FLAT,
        submodels: vec![],
    };
    let one = SbicModel {
        log_likelihood: likelihood,
        prior_weight: 1.0,
        learning_coefficient: pairs[1],
        submodels: vec![Submodel {
            index: 0,
            learning_coefficient: pairs[0],
        }],
    };
    let sbic = -sbic(&[zero, one], n)?[1];
    let wbic = n * model.posterior(n / n.ln(), data.eigenvalues).mean_loss;
    Ok([free_energy, bic, sbic, wbic].map(|score| score - n * data.truth))
}

fn compute(settings: &Criteria) -> anyhow::Result<Outcome> {
    let model = RankOne {
        n_outputs: settings.n_outputs,
        gamma: settings.gamma,
    };
    let pairs = [pair(model.n_outputs, 0)?, pair(model.n_outputs, 1)?];
    let (n_sets, sizes) = (settings.n_data_sets, settings.sizes());
    let steps = 2 * sizes.len() + settings.outputs.len();
    let progress = Progress::start("criteria", steps as u64);
    let mut streams = (0..).map(|stream| rng(settings.seed, Purpose::Data, stream, 0));
    let mut next = || streams.next().expect("streams do not end");
    let mut outcome = Outcome {
        criteria: Vec::new(),
        errors: Vec::new(),
        generalisation: Vec::new(),
    };
    for signal in [0.0, settings.signal] {
        let (mut criteria, mut errors) = (Vec::new(), Vec::new());
        for &n in &sizes {
            let mut rng = next();
            let means = replicates(n_sets, || {
                scores(
                    model,
                    pairs,
                    n,
                    &Data::draw(&mut rng, model.n_outputs, n, signal),
                )
            })?;
            criteria.push(estimates(&means, |m| *m)?);
            errors.push(estimates(&means, |m| m.map(|score| score - m[0]))?);
            progress.inc(1);
        }
        outcome.criteria.push(criteria);
        outcome.errors.push(errors);
    }
    let n = settings.last;
    for &n_outputs in &settings.outputs {
        let mut rng = next();
        let model = RankOne { n_outputs, ..model };
        let means = replicates(settings.n_generalisation, || {
            let data = Data::draw(&mut rng, n_outputs, n, 0.0);
            let posterior = model.posterior(n, data.eigenvalues);
            // to leading order in 1/n the divergence from the truth is half the square of the predicted mean
            Ok([posterior.square_of_mean, data.eigenvalues[0]].map(|square| 0.5 * n * square))
        })?;
        outcome.generalisation.push(estimates(&means, |m| *m)?);
        progress.inc(1);
    }
    Ok(outcome)
}

/// Means over `n_sets` data sets each.
fn replicates<const K: usize>(
    n_sets: usize,
    mut of: impl FnMut() -> anyhow::Result<[f64; K]>,
) -> anyhow::Result<Vec<[f64; K]>> {
    let mut all = vec![[0.0; K]; N_REPLICATES];
    for sums in &mut all {
        for _ in 0..n_sets {
            for (sum, value) in sums.iter_mut().zip(of()?) {
                *sum += value / n_sets as f64;
            }
        }
    }
    Ok(all)
}

fn estimates<const K: usize>(
    means: &[[f64; K]],
    of: impl Fn(&[f64; K]) -> [f64; K],
) -> anyhow::Result<[Estimate; K]> {
    let values: Vec<[f64; K]> = means.iter().map(of).collect();
    let mut all = Vec::new();
    for k in 0..K {
        let column: Vec<f64> = values.iter().map(|v| v[k]).collect();
        all.push(Estimate::from_replicates(&column)?);
    }
    Ok(std::array::from_fn(|k| all[k]))
}

/// The growth of an estimate over log n, between two n.
fn growth(curve: &[[Estimate; 4]], sizes: &[f64], from: usize, k: usize) -> (f64, f64) {
    let (first, last) = (curve[from][k], curve[curve.len() - 1][k]);
    let span = (sizes[sizes.len() - 1] / sizes[from]).ln();
    (
        (last.mean - first.mean) / span,
        first.mcse.hypot(last.mcse) / span,
    )
}

pub fn obtained(settings: &Criteria, outcome: &Outcome) -> anyhow::Result<Vec<Obtained>> {
    let sizes = settings.sizes();
    let from = sizes.len() / 2;
    let n_outputs = settings.n_outputs;
    let half = 0.5 * f64::from(n_outputs + 2);
    let mut rows = Vec::new();
    for (rank, name) in [(0, "singular"), (1, "regular")] {
        let lambda = pair(n_outputs, rank as u32)?.lambda_f64();
        let criteria = &outcome.criteria[rank];
        let last = sizes.len() - 1;
        let at_last = |k: usize| outcome.errors[rank][last][k];
        let (slope, error) = growth(criteria, &sizes, from, 0);
        rows.push(exact::row(
            format!("evidence-{name}"),
            slope,
            error,
            lambda,
            "exact λ",
            format!(
                "from n = {:.0e} to {:.0e}; d/2 = {half}, {} outputs, {} data sets at each n",
                sizes[from],
                sizes[last],
                n_outputs,
                N_REPLICATES * settings.n_data_sets
            ),
        ));
        for (k, id) in [(1, "bic"), (2, "sbic"), (3, "wbic")] {
            let (slope, error) = growth(&outcome.errors[rank], &sizes, from, k);
            let mut row = exact::row(
                format!("{id}-{name}"),
                slope,
                error,
                if k == 1 { half - lambda } else { 0.0 },
                if k == 1 {
                    "exact, d/2 - λ"
                } else {
                    "in the limit"
                },
                format!(
                    "{} less the evidence is {:.2} ± {:.2} nats at n = {:.0e}",
                    NAMES[k],
                    at_last(k).mean,
                    at_last(k).mcse,
                    sizes[last]
                ),
            );
            if k > 1 {
                // terms of 1/log n are left
                row.verdict = slt_report::Verdict::of_claim(slope.abs() < 0.1);
            }
            rows.push(row);
        }
    }
    let last = settings.outputs.len() - 1;
    for (id, i) in [("few", 0), ("many", last)] {
        let [bayes, mle] = outcome.generalisation[i];
        let n_outputs = settings.outputs[i];
        rows.push(exact::row(
            format!("generalisation-{id}"),
            bayes.mean,
            bayes.mcse,
            pair(n_outputs, 0)?.lambda_f64(),
            "exact λ",
            format!(
                "{} parameters, d/2 = {}; of maximum likelihood {:.3} ± {:.3}",
                n_outputs + 2,
                0.5 * f64::from(n_outputs + 2),
                mle.mean,
                mle.mcse
            ),
        ));
    }
    let (mut above, mut least) = (true, f64::INFINITY);
    for [bayes, mle] in &outcome.generalisation {
        above &= mle.mean - bayes.mean > 5.0 * mle.mcse.hypot(bayes.mcse);
        least = least.min(mle.mean / bayes.mean);
    }
    rows.push(exact::claim(
        "efficient",
        least,
        above,
        "the least ratio over all numbers of parameters; of a regular model it is 1".into(),
    ));
    Ok(rows)
}

pub fn section(store: &Store, settings: &Criteria, outcome: &Outcome) -> anyhow::Result<Section> {
    let sizes = settings.sizes();
    let panel = |rank: usize, title: &str| {
        let curve = |k: usize| {
            let errors = outcome.errors[rank].iter();
            let (mean, mcse) = errors
                .map(|e| (e[k].mean, e[k].mcse))
                .unzip::<_, _, Vec<_>, Vec<_>>();
            [
                Layer::line(sizes.clone(), mean.clone()).colour(Colour::cycle(k)),
                Layer::points_with_errors(sizes.clone(), mean, mcse)
                    .colour(Colour::cycle(k))
                    .label(NAMES[k]),
            ]
        };
        Panel {
            title: title.into(),
            x: Axis::log("n"),
            y: Axis::linear("criterion - F(n), nats"),
            layers: (1..4)
                .flat_map(curve)
                .chain([Layer::hline(0.0).dashed().colour(Colour::Grey)])
                .collect(),
            legend: Legend::Auto,
        }
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(2, 2),
        panels: vec![
            panel(0, "Truth 0: singular"),
            panel(1, "Truth of rank 1: as regular as it gets"),
        ],
    }
    .write(&store.figures(), "criteria")?;
    let d: Vec<f64> = settings.outputs.iter().map(|&n| f64::from(n + 2)).collect();
    let of = |k: usize, get: fn(&Estimate) -> f64| -> Vec<f64> {
        outcome.generalisation.iter().map(|g| get(&g[k])).collect()
    };
    let points = |k: usize, colour, label: &str| {
        Layer::points_with_errors(d.clone(), of(k, |e| e.mean), of(k, |e| e.mcse))
            .colour(colour)
            .label(label)
    };
    let truths: Vec<f64> = settings
        .outputs
        .iter()
        .map(|&n| Ok(pair(n, 0)?.lambda_f64()))
        .collect::<anyhow::Result<_>>()?;
    Figure {
        title: String::new(),
        columns: 1,
        size: Figure::grid_size(1, 1),
        panels: vec![Panel {
            title: format!("n = {:.0e}", settings.last),
            x: Axis::linear("parameters d"),
            y: Axis::linear("n × generalisation error, nats"),
            layers: vec![
                Layer::line(d.clone(), d.iter().map(|d| 0.5 * d).collect::<Vec<_>>())
                    .dashed()
                    .colour(Colour::Grey)
                    .label("d/2, were the model regular"),
                Layer::line(d.clone(), truths)
                    .colour(Colour::Orange)
                    .label("exact λ"),
                points(1, Colour::Vermillion, "maximum likelihood"),
                points(0, Colour::Blue, "Bayes"),
            ],
            legend: Legend::Auto,
        }],
    }
    .write(&store.figures(), "parameters")?;
    Ok(Section {
        heading: "5. Criteria, and errors against the number of parameters".into(),
        text: vec![format!(
            "A matrix of rank one, N × 2, is seen in normal noise: d = N + 2 parameters, and at the truth 0 the learning coefficient is 1 for \
             every N > 2. The evidence is exact (one integral), and so are the posterior means at both temperatures. BIC counts parameters, and is \
             off by (d/2 - λ) log n, also at a truth of rank 1, where λ = (N + 1)/2: one direction of d never matters. sBIC and WBIC keep \
             a bounded distance. N = {} on the first figure.",
            settings.n_outputs
        )],
        figures: vec![
            FigureRef {
                name: "criteria".into(),
                caption: "BIC, sBIC and WBIC less the exact free energy, mean over data sets.".into(),
                alt: "BIC grows with log n, the others stay flat".into(),
            },
            FigureRef {
                name: "parameters".into(),
                caption: "The Bayes generalisation error stays at λ/n while the number of parameters grows; that of maximum likelihood is d/2 or more.".into(),
                alt: "A flat row of points at 1, a dashed line d/2, and points above it".into(),
            },
        ],
        ..Section::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of the eigenvalues' sum is that of a chi-square of 2N degrees, and the truth's loss is that of its entry.
    #[test]
    fn data_have_their_moments() {
        let mut rng = rng(5, Purpose::Data, 0, 0);
        let n_sets = 20_000;
        let (mut noise, mut loss) = (0.0, 0.0);
        for _ in 0..n_sets {
            let data = Data::draw(&mut rng, 5, 100.0, 0.0);
            assert!(data.eigenvalues[0] >= data.eigenvalues[1] && data.truth == 0.0);
            noise += 100.0 * data.eigenvalues.iter().sum::<f64>() / f64::from(n_sets);
            loss += Data::draw(&mut rng, 5, 100.0, 2.0).truth / f64::from(n_sets);
        }
        // standard errors √(20/20000) and 0.2/√20000
        assert!((noise - 10.0).abs() < 4.4 * 0.0316, "{noise}");
        assert!((loss + 2.0).abs() < 4.4 * 0.0015, "{loss}");
    }
}
