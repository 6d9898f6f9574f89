//! Linear networks whose inner width is the rank of the map they learn: λ = r(2d - r)/2, and why the published curve is not that.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis as ArrayAxis};
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
    Verdict, together,
};
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::targets::DeepLinear;
use slt_sampler::{Points, default_nbeta, estimate, find_minimum};
use slt_stats::{LeastSquares, least_squares};
use slt_theory::{LocalisedGaussian, two_layer_curvature};
use slt_training::{Training, pytorch_embedding, pytorch_linear};

use crate::settings::{Convention, LowRank};

/// The published fit `a r² + b r + c`.
const THEIRS: [f64; 3] = [-0.429, 87.342, 73.481];
/// L-BFGS steps to the minimum, at most.
const MAX_ITERATIONS: u64 = 20_000;

/// What is recorded of one rank.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Point {
    pub rank: usize,
    /// λ̂ of each chain.
    pub estimates: Vec<f64>,
    /// What the second order at each repeat's minimum gives: chains of this step and length, and a sampler in equilibrium.
    pub expected: Vec<f64>,
    pub equilibrium: Vec<f64>,
    /// Losses at the minima.
    pub losses: Vec<f64>,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: LowRank,
    convention: &'a Convention,
    rank: usize,
}

/// All ranks, by convention.
pub type Outcome = Vec<(Convention, Vec<Point>)>;

pub fn run(store: &Store, settings: &LowRank) -> anyhow::Result<Outcome> {
    let cell = |convention: &Convention, rank| {
        // a cell is one rank under one convention, whichever others there are
        let own = LowRank {
            conventions: Vec::new(),
            ranks: Vec::new(),
            ..settings.clone()
        };
        let config = Config {
            settings: own,
            convention,
            rank,
        };
        let compute = || compute(settings, convention, rank);
        Ok(store.cell("low-rank", &config, "host", compute)?.result)
    };
    let all = |convention: &Convention| {
        let points = together(&settings.ranks, |&rank| cell(convention, rank))?;
        Ok((convention.clone(), points))
    };
    settings.conventions.iter().map(all).collect()
}

fn compute(settings: &LowRank, convention: &Convention, rank: usize) -> anyhow::Result<Point> {
    let (n, features) = (settings.n_samples, settings.n_features);
    let nbeta = default_nbeta(n)?;
    let sampling = &settings.sampling;
    let mut plan = sampling.plan(n)?;
    // ranks are side by side
    plan.n_threads = 1;
    let schedule = plan.schedule;
    let n_rows = settings.n_repeats as usize * sampling.n_chains;
    let label = format!("low rank {rank}, {}", convention.name);
    let progress = Progress::start(&label, (n_rows * schedule.n_steps()) as u64);
    // PyTorch's squared error, the mean over outputs too
    let factor = 1.0 / features as f64;
    let mut point = Point {
        rank,
        estimates: Vec::new(),
        expected: Vec::new(),
        equilibrium: Vec::new(),
        losses: Vec::new(),
    };
    for repeat in 0..settings.n_repeats {
        let address = |purpose, index| rng(settings.seed, purpose, repeat, index);
        let mut x = Array2::zeros((n, features));
        let values = x.as_slice_mut().expect("contiguous");
        pytorch_embedding(values, &mut address(Purpose::Data, 0));
        let layer = |purpose, k: usize, fan_in: usize| {
            let mut weight = vec![0.0; rank * features];
            let mut random = address(purpose, (rank * 2 + k + 1) as u64);
            match convention.teacher_sd.filter(|_| purpose == Purpose::Data) {
                Some(sd) => {
                    pytorch_embedding(&mut weight, &mut random);
                    weight.iter_mut().for_each(|w| *w *= sd);
                }
                None => pytorch_linear(fan_in, &mut weight, &mut [], &mut random),
            }
            weight
        };
        let both = |purpose| {
            let weights = [layer(purpose, 0, features), layer(purpose, 1, rank)];
            Array1::from(weights.concat())
        };
        let teacher = both(Purpose::Data);
        let [inner, outer] = layers(teacher.view(), features, rank);
        let target = DeepLinear::noiseless(
            &[features, rank, features],
            x.view(),
            outer.dot(&inner).view(),
            factor,
        )?;
        let start = both(Purpose::Initialisation);
        let mut training = Training::new(
            start.insert_axis(ArrayAxis(0)),
            &[repeat],
            &[settings.plan.optimiser],
        );
        training.advance(&target, &settings.plan, settings.plan.n_steps, 1, &|_| ())?;
        let minimum = find_minimum(
            &mut target.clone(),
            training.rows.row(0),
            settings.tolerance,
            MAX_ITERATIONS,
        )?;
        let [inner, outer] = layers(minimum.w.view(), features, rank);
        let moments = x.t().dot(&x) / n as f64;
        let curvature = two_layer_curvature(inner, outer, moments.view(), factor)?;
        let law = LocalisedGaussian::new(&curvature, nbeta, sampling.gamma)?;
        let average = law
            .sgld(sampling.step_size)?
            .thinned(schedule.thin)
            .chain_average(schedule.burn_in, schedule.n_draws);
        let points = Points {
            anchors: minimum.w.view().insert_axis(ArrayAxis(0)),
            dynamics: &[sampling.dynamics(nbeta)?],
            n_chains: sampling.n_chains,
            from_stream: repeat << 32,
        };
        let found = estimate(&target, &points, &plan, None, &|n| progress.inc(n))?;
        let llc = found.all()?.remove(0);
        point.estimates.extend(llc.per_chain.iter());
        point.expected.push(average.mean);
        point.equilibrium.push(law.mean());
        point.losses.push(minimum.loss);
    }
    Ok(point)
}

/// W₁, `[rank, features]`, and W₂, `[features, rank]`.
fn layers(w: ArrayView1<f64>, features: usize, rank: usize) -> [ArrayView2<f64>; 2] {
    let (inner, outer) = w.split_at(ArrayAxis(0), rank * features);
    [
        inner
            .into_shape_with_order((rank, features))
            .expect("sizes"),
        outer
            .into_shape_with_order((features, rank))
            .expect("sizes"),
    ]
}

/// λ of rank r with d inputs and outputs.
fn lambda(d: f64, rank: f64) -> f64 {
    0.5 * rank * (2.0 * d - rank)
}

fn ranks(points: &[Point]) -> Vec<f64> {
    points.iter().map(|p| p.rank as f64).collect()
}

fn means(points: &[Point], of: impl Fn(&Point) -> &Vec<f64>) -> Vec<f64> {
    let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    points.iter().map(|p| mean(of(p))).collect()
}

/// The least squares fit of `a r² + b r + c`, in this order.
fn quadratic(points: &[Point], of: impl Fn(&Point) -> &Vec<f64>) -> anyhow::Result<LeastSquares> {
    let ranks = ranks(points);
    let design = Array2::from_shape_fn((ranks.len(), 3), |(i, j)| ranks[i].powi(2 - j as i32));
    let values = Array1::from(means(points, of));
    Ok(least_squares(design.view(), values.view())?)
}

pub fn obtained(settings: &LowRank, outcome: &Outcome) -> anyhow::Result<Vec<Obtained>> {
    let fits: Vec<(&str, [LeastSquares; 2])> = outcome
        .iter()
        .map(|(convention, points)| {
            let found = quadratic(points, |p| &p.estimates)?;
            let expected = quadratic(points, |p| &p.expected)?;
            Ok((convention.name.as_str(), [found, expected]))
        })
        .collect::<anyhow::Result<_>>()?;
    let (_, [first, expected]) = &fits[0];
    let coefficient = |i: usize, id: &str, power: &str, exact: f64| {
        let (value, error) = (first.coefficients[i], first.standard_errors[i]);
        let others: Vec<String> = fits
            .iter()
            .map(|(name, [fit, _])| format!("{name} {:.4}", fit.coefficients[i]))
            .collect();
        Obtained {
            id: id.into(),
            value,
            mcse: Some(error),
            reference: Some((
                expected.coefficients[i],
                "second order at w*, these chains".into(),
            )),
            verdict: Verdict::of(value, error, THEIRS[i], 0.0),
            note: format!(
                "coefficient of {power} and its error in the fit, R² = {:.4}; by teacher: {}. λ has {exact}",
                first.r_squared,
                others.join(", ")
            ),
        }
    };
    // the middle of the ranks, where the fit says most
    let middle = |points: &[Point]| points.len() / 2;
    let d = settings.n_features as f64;
    let share = |(convention, points): &(Convention, Vec<Point>)| {
        let i = middle(points);
        let lambda = lambda(d, points[i].rank as f64);
        let of = |values: Vec<f64>| values[i] / lambda;
        format!(
            "{}: {:.3} in equilibrium to second order, {:.3} with this step and length, λ̂ has {:.3}",
            convention.name,
            of(means(points, |p| &p.equilibrium)),
            of(means(points, |p| &p.expected)),
            of(means(points, |p| &p.estimates))
        )
    };
    let (_, points) = &outcome[0];
    let i = middle(points);
    let rank = points[i].rank as f64;
    let theirs = THEIRS[0] * rank * rank + THEIRS[1] * rank + THEIRS[2];
    let ratio = |(_, points): &(Convention, Vec<Point>)| {
        means(points, |p| &p.estimates)[i] / lambda(d, rank)
    };
    let ratios: Vec<f64> = outcome.iter().map(ratio).collect();
    let between = ratios.iter().copied().fold(f64::INFINITY, f64::min) <= theirs / lambda(d, rank)
        && theirs / lambda(d, rank) <= ratios.iter().copied().fold(0.0, f64::max);
    Ok(vec![
        coefficient(0, "rank-square", "r²", -0.5),
        coefficient(1, "rank-linear", "r", d),
        coefficient(2, "rank-constant", "1", 0.0),
        Obtained {
            id: "rank-theory".into(),
            value: ratios[0],
            mcse: None,
            reference: Some((
                means(points, |p| &p.expected)[i] / lambda(d, rank),
                "second order at w*, these chains".into(),
            )),
            verdict: Verdict::of_claim(between),
            note: format!(
                "at rank {rank}; agrees if theirs lies between our teachers. {}",
                outcome.iter().map(share).collect::<Vec<_>>().join(". ")
            ),
        },
    ])
}

pub fn section(store: &Store, settings: &LowRank, outcome: &Outcome) -> anyhow::Result<Section> {
    let d = settings.n_features as f64;
    let colours = [Colour::Blue, Colour::Vermillion, Colour::Green];
    let fine: Vec<f64> = (0..=100).map(|i| d * f64::from(i) / 100.0).collect();
    let exact: Vec<f64> = fine.iter().map(|&r| lambda(d, r)).collect();
    let theirs: Vec<f64> = fine
        .iter()
        .map(|&r| THEIRS[0] * r * r + THEIRS[1] * r + THEIRS[2])
        .collect();
    let mut layers = vec![
        Layer::line(fine.clone(), exact)
            .colour(Colour::Black)
            .label("λ = r(2d - r)/2"),
        Layer::line(fine, theirs)
            .colour(Colour::Black)
            .dashed()
            .label("the paper's fit"),
    ];
    let mut shares = Vec::new();
    for ((convention, points), colour) in outcome.iter().zip(colours) {
        let x = ranks(points);
        let over = |values: Vec<f64>| -> Vec<f64> {
            let lambdas = x.iter().map(|&r| lambda(d, r));
            values
                .into_iter()
                .zip(lambdas)
                .map(|(v, l)| v / l)
                .collect()
        };
        let estimates = means(points, |p| &p.estimates);
        let expected = means(points, |p| &p.expected);
        layers.push(
            Layer::points(x.clone(), estimates.clone())
                .colour(colour)
                .label(&convention.name),
        );
        layers.push(Layer::line(x.clone(), expected.clone()).colour(colour));
        shares.push(Layer::points(x.clone(), over(estimates)).colour(colour));
        shares.push(Layer::line(x.clone(), over(expected)).colour(colour));
        shares.push(
            Layer::line(x.clone(), over(means(points, |p| &p.equilibrium)))
                .colour(colour)
                .dashed(),
        );
    }
    let panel = |title: &str, y: &str, layers| Panel {
        title: title.into(),
        x: Axis::linear("rank r"),
        y: Axis::linear(y),
        layers,
        legend: Legend::Above,
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(2, 2),
        panels: vec![
            panel("Estimates and the second order at w*", "λ̂", layers),
            panel("The same over λ; dashed: in equilibrium", "λ̂/λ", shares),
        ],
    }
    .write(&store.figures(), "low-rank")?;
    let worst = |(_, points): &(Convention, Vec<Point>)| {
        let losses = points.iter().flat_map(|p| p.losses.clone());
        losses.fold(0.0, f64::max)
    };
    Ok(Section {
        heading: "4. Low-rank linear networks".into(),
        text: vec![
            format!(
                "{d} → r → {d}, {} ranks, {} samples of standard normal inputs, outputs of a teacher of the same shape; Adam, then L-BFGS to a minimum (loss at most {:.1e}); {} repeats of {} chains of {} steps of ε = {}, γ = {}, nβ = n/ln n. The lines are the exact expectation of these chains on the second order at each minimum.",
                settings.ranks.len(),
                settings.n_samples,
                outcome.iter().map(worst).fold(0.0, f64::max),
                settings.n_repeats,
                settings.sampling.n_chains,
                settings.sampling.n_steps,
                settings.sampling.step_size,
                settings.sampling.gamma
            ),
            "λ does not depend on the size of the weights; the estimate does. A direction counts by nβh/(nβh + γ), and h is the square of a singular value of one layer: with a teacher of small weights most directions are held by γ and not by the loss. A long step adds to the stiff directions, a short chain takes from the slack ones, and where the loss is flat to second order its fourth order adds what the lines do not have. A quadratic in r with R² near 1 comes out in every case: the fit's goodness says nothing on its coefficients."
                .into(),
        ],
        figures: vec![FigureRef {
            name: "low-rank".into(),
            caption: "Figure 6: λ̂ against the rank for teachers of several sizes, with λ and the paper's fit; and as a share of λ.".into(),
            alt: "Points on curves that bend as λ does, at several shares of it".into(),
        }],
        ..Section::default()
    })
}
