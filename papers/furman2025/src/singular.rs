//! Singular or regular: Fisher information, its rank, and λ̂ at a singular parameter of each kind of model on the slides' list.

use ndarray::{Array1, Axis as ArrayAxis};
use ndarray_linalg::{Eigh, UPLO};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Marker, Obtained, Panel, Progress, Section,
    Store, Verdict, together,
};
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::{ScalingRequest, estimate_scaling};
use slt_stats::Estimate;
use slt_theory::{
    ClassWeights, FiniteMixture, LearningCoefficient, NaiveBayes, NaiveBayesTruth, Newton,
    NormalCrossing, ReducedRank, RestrictedBoltzmann, TanhNetwork, regular,
};

use crate::exact;
use crate::models::{Kind, Model};
use crate::normal::normal;
use crate::settings::Singular;

/// Eigenvalues of the Fisher information below this are zero: differences leave 1e-20.
const ZERO: f64 = 1e-10;
/// Where the cubic Gaussian is regular.
const REGULAR_POINT: f64 = 0.7;

/// What is recorded of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub kind: Kind,
    /// Eigenvalues of the Fisher information at w*, ascending.
    pub eigenvalues: Vec<f64>,
    /// Its rank at a point nearby that nothing is special about.
    pub generic_rank: usize,
    /// The largest derivative of any value in a degenerate direction at w*, weighted as a score.
    pub flatness: f64,
    pub lambda: f64,
    pub lambda_error: f64,
    pub multiplicity: u32,
    pub coldest: f64,
    pub n_evaluations: u64,
}

/// All models, with the traces of their Fisher information from samples and scores.
#[derive(Debug, Clone)]
pub struct Outcomes {
    pub models: Vec<Outcome>,
    /// At w*.
    pub traces: Vec<Estimate>,
    /// Of the cubic Gaussian, where it is regular.
    pub cubic_away: Estimate,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: &'a Singular,
    kind: Kind,
}

pub fn run(store: &Store, kinds: &[Kind], settings: &Singular) -> anyhow::Result<Outcomes> {
    let cell = |kind: Kind| {
        let compute = || compute(settings, kind);
        let config = Config { settings, kind };
        Ok(store.cell("singular", &config, "host", compute)?.result)
    };
    let trace = |&kind: &Kind| {
        let model = Model::new(kind);
        let compute = || sampled_trace(settings, &model, model.anchor(), 0);
        let config = Config { settings, kind };
        Ok(store.cell("fisher", &config, "host", compute)?.result)
    };
    let away = || {
        sampled_trace(
            settings,
            &Model::new(Kind::CubicGaussian),
            &[REGULAR_POINT],
            1,
        )
    };
    Ok(Outcomes {
        models: together(kinds.iter().copied(), cell)?,
        traces: kinds.iter().map(trace).collect::<anyhow::Result<_>>()?,
        cubic_away: store.cell("cubic-away", settings, "host", away)?.result,
    })
}

fn compute(settings: &Singular, kind: Kind) -> anyhow::Result<Outcome> {
    let model = Model::new(kind);
    let anchor = Array1::from(model.anchor().to_vec());
    let scores = model.weighted_scores(model.anchor());
    let (eigenvalues, vectors) = scores.t().dot(&scores).eigh(UPLO::Lower)?;
    let degenerate: Vec<usize> = (0..anchor.len())
        .filter(|&i| eigenvalues[i] < ZERO)
        .collect();
    let along = scores.dot(&vectors.select(ArrayAxis(1), &degenerate));
    let request = ScalingRequest {
        nbetas: Some((settings.first, settings.last)),
        relative_error: settings.relative_error,
        max_evaluations: settings.max_evaluations,
        ..ScalingRequest::new(settings.gamma, settings.seed)
    };
    let progress = Progress::start(kind.describe()[0], 1);
    let found = estimate_scaling(&model, anchor.view(), &request, &|_| ())?;
    progress.inc(1);
    Ok(Outcome {
        kind,
        generic_rank: rank(&model, &generic_point(model.anchor()))?,
        flatness: along.iter().fold(0.0, |most: f64, x| most.max(x.abs())),
        eigenvalues: eigenvalues.to_vec(),
        lambda: found.lambda,
        lambda_error: found.lambda_error,
        multiplicity: found.multiplicity,
        coldest: found.rungs.last().map_or(f64::NAN, |rung| rung.nbeta),
        n_evaluations: found.n_evaluations,
    })
}

fn generic_point(anchor: &[f64]) -> Vec<f64> {
    let offsets = [0.31, -0.47, 0.53, 0.29, -0.37, 0.61, -0.23, 0.43];
    anchor.iter().zip(offsets).map(|(w, o)| w + o).collect()
}

fn rank(model: &Model, w: &[f64]) -> anyhow::Result<usize> {
    let scores = model.weighted_scores(w);
    let (eigenvalues, _) = scores.t().dot(&scores).eigh(UPLO::Lower)?;
    Ok(eigenvalues.iter().filter(|&&x| x >= ZERO).count())
}

/// The trace of the Fisher information at w from samples of the model there, in 64 batches.
fn sampled_trace(
    settings: &Singular,
    model: &Model,
    w: &[f64],
    stream: u64,
) -> anyhow::Result<Estimate> {
    let scores = model.weighted_scores(w);
    let squares: Array1<f64> = (&scores * &scores).sum_axis(ArrayAxis(1));
    // the weights by which values are drawn, and what one that is drawn counts
    let weights = model.weights(w);
    let total: f64 = weights.iter().sum();
    let counts: Vec<f64> = squares
        .iter()
        .zip(&weights)
        .map(|(s, p)| total * s / p)
        .collect();
    let mut rng = rng(settings.seed, Purpose::Data, stream, 0);
    let n = settings.n_samples.div_ceil(64);
    let mut batches = Vec::new();
    for _ in 0..64 {
        let sample = |_| {
            let mut left = total * rng.random::<f64>();
            let at = weights.iter().position(|p| {
                left -= p;
                left < 0.0
            });
            let count = counts[at.unwrap_or(weights.len() - 1)];
            // the score of a regression has the noise as a factor
            match model.probabilities() {
                Some(_) => count,
                None => count * normal(&mut rng).powi(2),
            }
        };
        batches.push((0..n).map(sample).sum::<f64>() / n as f64);
    }
    Ok(Estimate::from_replicates(&batches)?)
}

impl Outcome {
    fn d(&self) -> usize {
        self.eigenvalues.len()
    }

    fn rank(&self) -> usize {
        self.eigenvalues.iter().filter(|&&x| x >= ZERO).count()
    }

    fn note(&self, sampled: &Estimate) -> String {
        let trace: f64 = self.eigenvalues.iter().sum();
        format!(
            "{}; Fisher rank {} of {} at w*, {} nearby; trace {trace:.4}, from samples {:.4} ± {:.4}; m = {}",
            self.kind.describe()[1],
            self.rank(),
            self.d(),
            self.generic_rank,
            sampled.mean,
            sampled.mcse,
            self.multiplicity
        )
    }
}

/// λ and m, from `slt-theory`.
///
/// Weights have logits with a normal prior, and so keep away from 0 and 1: of the formulas for mixtures, that with a Dirichlet prior of
/// parameter 2. Two radial bumps where one is true have the moments of two tanh units where one is true: the sum of their heights, the
/// first moment of their offsets, and the second. The hidden Markov model has, with U and V half the sum and the difference of the two states'
/// mean symbols, ρ the mean product of neighbouring states and τ the mean of the second, the ideal (U, Vτ, V²ρ): the mean of any
/// product of symbols expands in U and V times means of states, and those of three steps are polynomials in τ and ρ that vanish with
/// them. The grammar is a coin for going on, and the mixture of two binomials of two trials for each pair of letters.
fn truth(kind: Kind) -> anyhow::Result<LearningCoefficient> {
    let mixture = |d: u32| -> anyhow::Result<LearningCoefficient> {
        Ok(FiniteMixture::new(2, 1, d, 2.into())?.learning_coefficient())
    };
    Ok(match kind {
        Kind::Gaussian => regular(1),
        Kind::CubicGaussian => NormalCrossing::with_positive_prior(&[3])?.learning_coefficient(),
        Kind::LayeredNetwork => TanhNetwork::new(1, 2, 0)?.learning_coefficient(),
        Kind::RadialBasis => TanhNetwork::new(1, 2, 1)?.learning_coefficient(),
        Kind::NormalMixture | Kind::BinomialMixture => mixture(1)?,
        Kind::MultinomialMixture => mixture(2)?,
        Kind::Contaminated => NormalCrossing::with_positive_prior(&[2, 1])?.learning_coefficient(),
        Kind::ReducedRank => ReducedRank::new(2, 2, 2, 0)?.learning_coefficient(),
        Kind::BoltzmannMachine => RestrictedBoltzmann::new(3, 1)?
            .learning_coefficient()
            .exact()?,
        Kind::BayesNetwork => {
            NaiveBayes::new(3, NaiveBayesTruth::Independent, ClassWeights::Interior)?
                .learning_coefficient()
        }
        Kind::HiddenMarkov => {
            let germ = [vec![2, 0, 0, 0], vec![0, 2, 2, 0], vec![0, 4, 0, 2]];
            Newton::new(&germ, &[0; 4])?
                .learning_coefficient()
                .exact()?
        }
        Kind::Grammar => regular(1).independent_sum(mixture(1)?)?,
    })
}

pub fn obtained(outcomes: &Outcomes) -> anyhow::Result<Vec<Obtained>> {
    let models = &outcomes.models;
    let mut rows = Vec::new();
    rows.push(exact::row(
        "fisher-gaussian".into(),
        outcomes.traces[0].mean,
        outcomes.traces[0].mcse,
        2.0,
        "exact",
        "from samples and their scores at w = 0; rank 1 of 1".into(),
    ));
    let cubic = &models[1];
    rows.push(exact::claim(
        "fisher-cubic",
        outcomes.traces[1].mean,
        cubic.rank() == 0,
        format!(
            "from samples and their scores at w = 0: what is left is the error of a difference, h² = {:.0e} in each score; rank 0 of 1",
            f64::EPSILON.cbrt().powi(2)
        ),
    ));
    rows.push(exact::row(
        "fisher-cubic-away".into(),
        outcomes.cubic_away.mean,
        outcomes.cubic_away.mcse,
        18.0 * REGULAR_POINT.powi(4),
        "exact, 18 w⁴",
        format!("at w = {REGULAR_POINT}: singular at one parameter, regular at all others"),
    ));
    let (mut singular, mut bounded) = (0, 0);
    let (mut worst, mut worst_trace) = (0f64, 0f64);
    for (outcome, sampled) in models.iter().zip(&outcomes.traces) {
        let truth = truth(outcome.kind)?;
        let lambda = truth.lambda_f64();
        singular += usize::from(outcome.rank() < outcome.d());
        let half = |count: usize| 0.5 * count as f64;
        bounded += usize::from(half(outcome.rank()) <= lambda && lambda <= half(outcome.d()));
        worst = worst.max(outcome.flatness);
        let trace: f64 = outcome.eigenvalues.iter().sum();
        // where every score has the same length, or none has any, nothing is left to chance
        if sampled.mcse > 1e-9 {
            worst_trace = worst_trace.max(((sampled.mean - trace) / sampled.mcse).abs());
        }
        let mut row = exact::row(
            format!("model-{}", outcome.kind.id()),
            outcome.lambda,
            outcome.lambda_error,
            lambda,
            "exact λ",
            format!("{}, exact {}", outcome.note(sampled), truth.multiplicity()),
        );
        if outcome.multiplicity != truth.multiplicity() {
            row.verdict = Verdict::Differs;
        }
        rows.push(row);
    }
    let left_out = |kind: &Kind| models.iter().all(|o| o.kind != *kind);
    for kind in Kind::ALL.iter().filter(|&kind| left_out(kind)) {
        rows.push(exact::missing(format!("model-{}", kind.id())));
    }
    let of = models.len();
    rows.push(exact::claim(
        "singular",
        singular as f64 / (of - 1) as f64,
        singular == of - 1,
        format!(
            "{singular} models with a direction v in which no probability and no mean changes: scores there are below {:.0e}. The worst |z| of \
             traces from samples against exact ones is {worst_trace:.1}",
            worst.max(1e-12)
        ),
    ));
    rows.push(exact::claim(
        "riemannian",
        models[1..]
            .iter()
            .map(|o| o.eigenvalues[0].max(0.0))
            .fold(0.0, f64::max),
        models[1..].iter().all(|o| o.eigenvalues[0] < ZERO),
        "the largest over the listed models of the least eigenvalue at w*: a tangent vector of length 0, where a Riemannian metric has none".into(),
    ));
    rows.push(exact::claim(
        "bounds",
        bounded as f64 / of as f64,
        bounded == of,
        "half the Fisher rank at w* is a lower bound besides".into(),
    ));
    Ok(rows)
}

pub fn section(store: &Store, settings: &Singular, outcomes: &Outcomes) -> anyhow::Result<Section> {
    let models = &outcomes.models;
    let place = |i: usize| (models.len() - i) as f64;
    let y: Vec<f64> = (0..models.len()).map(place).collect();
    let x = |of: &dyn Fn(&Outcome) -> f64| -> Vec<f64> { models.iter().map(of).collect() };
    let truths: Vec<f64> = models
        .iter()
        .map(|o| Ok(truth(o.kind)?.lambda_f64()))
        .collect::<anyhow::Result<_>>()?;
    let names = models
        .iter()
        .enumerate()
        .map(|(i, o)| (place(i), o.kind.describe()[0]));
    Figure {
        title: String::new(),
        columns: 1,
        size: (760, 460),
        panels: vec![Panel {
            title: "Between half the Fisher rank and half the number of parameters".into(),
            x: Axis::linear("learning coefficient"),
            y: Axis::linear("").ticks(names),
            layers: vec![
                Layer::points(x(&|o| 0.5 * o.rank() as f64), y.clone())
                    .marker(Marker::Triangle)
                    .colour(Colour::Grey)
                    .label("half the Fisher rank at w*"),
                Layer::points(x(&|o| 0.5 * o.d() as f64), y.clone())
                    .marker(Marker::Diamond)
                    .colour(Colour::Vermillion)
                    .label("d/2, were the model regular"),
                Layer::points(truths, y.clone())
                    .marker(Marker::Square)
                    .colour(Colour::Orange)
                    .label("exact λ"),
                Layer::points(x(&|o| o.lambda), y)
                    .marker(Marker::Circle)
                    .colour(Colour::Blue)
                    .label("λ̂"),
            ],
            legend: Legend::Above,
        }],
    }
    .write(&store.figures(), "singular")?;
    Ok(Section {
        heading: "1. Singular or regular".into(),
        text: vec![format!(
            "One small instance of each kind of model on the slides' list, at a singular parameter w*. The likelihood of every outcome is \
             enumerated (or, for normals, taken at the nodes of a quadrature), so that K(w), the scores and the Fisher information are exact. λ̂ and \
             m come from populations of particles that are cooled from a normal of precision {} around w*, with no knowledge of the theory.",
            settings.gamma
        )],
        figures: vec![FigureRef {
            name: "singular".into(),
            caption: "λ̂ (its error is smaller than the mark), the exact λ, and the bounds that the Fisher rank and the number of parameters give.".into(),
            alt: "For thirteen models four marks each; λ̂ lies on the exact λ, between the bounds".into(),
        }],
        notes: models
            .iter()
            .zip(&outcomes.traces)
            .map(|(o, sampled)| {
                format!(
                    "{}: λ̂ = {:.4} ± {:.4}, {}; {} losses, up to nβ = {:.0e}",
                    o.kind.describe()[0],
                    o.lambda,
                    o.lambda_error,
                    o.note(sampled),
                    o.n_evaluations,
                    o.coldest
                )
            })
            .collect(),
        ..Section::default()
    })
}
