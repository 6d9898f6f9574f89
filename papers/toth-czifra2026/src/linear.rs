//! Warm-up: linear regression, where the whole law of the estimator is known exactly.

use ndarray::{Array1, Array2, Axis as ArrayAxis};
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
    Verdict,
};
use slt_sampler::targets::Quadratic;
use slt_sampler::{Llc, Points, Probes, Sampling, default_nbeta, estimate};
use slt_stats::{Estimate, ZTest, ZTestResult, ecdf, quantile};
use slt_theory::LeastSquares;

use crate::settings::Linear;
use crate::slices;

/// The post's one-chain estimate.
const THEIRS: f64 = 0.81;
/// The last three differences `L(w) - L(w*)` that the post prints of its chain.
const PRINTED_END: [f64; 3] = [0.0922314, 0.08985042, 0.09166867];
/// The smallest difference that it prints.
const PRINTED_LEAST: f64 = -0.03070474;

/// What is recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub nbeta: f64,
    pub eigenvalues: Vec<f64>,
    /// Exact expectation of the exact posterior, without any sampler.
    pub equilibrium: f64,
    pub published: Run,
    pub mixed: Run,
    /// The published settings from an anchor whose loss is the least that the printed trace allows.
    pub off_minimum: Exact,
    /// Step sizes that the last printed differences allow: for the steepest and the flattest direction.
    pub inferred_step_sizes: [f64; 2],
    /// The smallest `L(w) - L(w*)` of all draws of the published chains.
    pub least_difference: f64,
    /// Share of one-chain estimates below the post's.
    pub share_below_theirs: f64,
    pub path: Vec<Vec<Vec<f64>>>,
    pub minimum: Vec<f64>,
}

/// Many chains at one setting, and the exact law of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    pub llc: Llc,
    pub exact: Exact,
    pub t: f64,
    pub agrees: bool,
}

/// Exact mean and standard deviation of a one-chain estimate.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Exact {
    pub mean: f64,
    pub sd: f64,
}

fn data(settings: &Linear) -> (Array2<f64>, Array1<f64>) {
    let x = Array1::linspace(-1.0, 1.0, settings.n_samples);
    let design = Array2::from_shape_fn(
        (settings.n_samples, 2),
        |(i, j)| if j == 0 { x[i] } else { 1.0 },
    );
    (design, settings.slope * &x + settings.intercept)
}

pub fn run(store: &Store, settings: &Linear) -> anyhow::Result<Outcome> {
    let record = store.cell("linear", settings, "host", || compute(settings))?;
    Ok(record.result)
}

fn compute(settings: &Linear) -> anyhow::Result<Outcome> {
    let (x, y) = data(settings);
    let nbeta = default_nbeta(settings.n_samples)?;
    let target = Quadratic::least_squares(x.view(), y.view())?;
    let theory = LeastSquares::new(x.view(), y.view(), 1.0)?;
    let minimum = target.minimum().to_owned();
    let exact = |anchor: &Array1<f64>, sampling: &Sampling| -> anyhow::Result<Exact> {
        let law = theory.localised(anchor.view(), nbeta, sampling.gamma)?;
        let schedule = sampling.plan(settings.n_samples)?.schedule;
        let average = law
            .sgld(sampling.step_size)?
            .thinned(schedule.thin)
            .chain_average(schedule.burn_in, schedule.n_draws);
        Ok(Exact {
            mean: average.mean,
            sd: average.variance.sqrt(),
        })
    };
    let initial_loss = theory.loss(minimum.view());
    let many = |sampling: &Sampling| -> anyhow::Result<(Run, f64)> {
        let plan = sampling.plan(settings.n_samples)?;
        let total = (sampling.n_chains * plan.schedule.n_steps()) as u64;
        let progress = Progress::start("linear: chains", total);
        let points = Points {
            anchors: minimum.view().insert_axis(ArrayAxis(0)),
            dynamics: &[sampling.dynamics(nbeta)?],
            n_chains: sampling.n_chains,
            from_stream: 0,
        };
        let probes = Probes::new(sampling.seed);
        let found = estimate(&target, &points, &plan, Some(&probes), &|n| progress.inc(n))?;
        let least = found
            .draws
            .loss
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min)
            - initial_loss;
        let llc = found.all()?.remove(0);
        let exact = exact(&minimum, sampling)?;
        let test = z_test(&llc, exact.mean)?;
        let run = Run {
            t: test.t,
            agrees: test.outcome == slt_stats::Outcome::Agrees,
            llc,
            exact,
        };
        Ok((run, least))
    };
    let (published, least_difference) = many(&settings.published)?;
    let (mixed, _) = many(&settings.mixed)?;

    // the flattest direction is where a training that is stopped early is still off
    let eigenvalues = theory.eigenvalues().to_vec();
    let (least, most) = (eigenvalues[0], eigenvalues[1]);
    let mut off = minimum.clone();
    off[0] += (2.0 * -PRINTED_LEAST / least).sqrt();
    let changes = PRINTED_END
        .windows(2)
        .map(|d| (d[1] - d[0]).powi(2))
        .sum::<f64>()
        / 2.0;
    // a step changes the loss by grad L . N(0, step_size), and |grad L|^2 lies between 2 h_min L and 2 h_max L
    let loss = PRINTED_END[1] - PRINTED_LEAST;
    let plan = settings.published.plan(settings.n_samples)?;
    let rows = settings.published.rows(nbeta, 0, 1)?;
    let path = slices::paths(&target, plan, minimum.view(), &rows)?;
    Ok(Outcome {
        nbeta,
        equilibrium: theory
            .localised(minimum.view(), nbeta, settings.published.gamma)?
            .mean(),
        off_minimum: exact(&off, &settings.published)?,
        inferred_step_sizes: [
            changes / (2.0 * most * loss),
            changes / (2.0 * least * loss),
        ],
        share_below_theirs: ecdf(&published.llc.per_chain, THEIRS)?,
        published,
        least_difference,
        mixed,
        eigenvalues,
        path,
        minimum: minimum.to_vec(),
    })
}

/// The z-test of the mean over independent chains against an exact expectation.
fn z_test(llc: &Llc, expected: f64) -> anyhow::Result<ZTestResult> {
    Ok(ZTest::new(expected, 1)?.apply(&Estimate::from_replicates(&llc.per_chain)?)?)
}

pub fn obtained(outcome: &Outcome) -> Vec<Obtained> {
    let Outcome {
        published, mixed, ..
    } = outcome;
    vec![
        Obtained {
            id: "linear-nbeta".into(),
            value: outcome.nbeta,
            mcse: None,
            reference: None,
            verdict: Verdict::of_claim((outcome.nbeta - 21.7147).abs() < 5e-5),
            note: String::new(),
        },
        Obtained {
            id: "linear-lambda".into(),
            value: mixed.llc.mean,
            mcse: Some(mixed.llc.mcse),
            reference: Some((mixed.exact.mean, "exact at this n, γ and step".into())),
            verdict: Verdict::NotComparable,
            note: format!(
                "λ = 1 is the limit of large n; at n = 100 and γ = 1 the exact posterior gives {:.4}. Against the exact \
                 expectation of this chain: t = {:.2}, {}",
                outcome.equilibrium,
                mixed.t,
                if mixed.agrees { "agrees" } else { "differs" }
            ),
        },
        Obtained {
            id: "linear-one-chain".into(),
            value: published.llc.mean,
            mcse: Some(published.llc.mcse),
            reference: Some((published.exact.mean, "exact for this chain".into())),
            verdict: Verdict::NotComparable,
            note: format!(
                "one chain has a standard deviation of {:.2}: {:.0} % of our one-chain estimates lie below 0.81; t against the \
                 exact expectation {:.2}",
                published.exact.sd,
                100.0 * outcome.share_below_theirs,
                published.t
            ),
        },
        Obtained {
            id: "linear-trace".into(),
            value: outcome.least_difference,
            mcse: None,
            reference: Some((0.0, "lowest possible at a minimum".into())),
            verdict: Verdict::Differs,
            note: format!(
                "ours starts at the true minimum. A loss is not negative, so theirs started at \
                 a loss of at least 0.0307 and 0.81 is too low by at least nβ × 0.0307 = {:.2}",
                -PRINTED_LEAST * outcome.nbeta
            ),
        },
    ]
}

pub fn section(store: &Store, settings: &Linear, outcome: &Outcome) -> anyhow::Result<Section> {
    let (x, y) = data(settings);
    let mut target = Quadratic::least_squares(x.view(), y.view())?;
    let minimum = Array1::from(outcome.minimum.clone());
    let mut landscape = slices::panel(
        &mut target,
        minimum.view(),
        (0, 1),
        &["w", "b"],
        &outcome.path,
    );
    landscape.title = "Loss and one chain".into();
    let estimates = &outcome.published.llc.per_chain;
    let top = quantile(estimates, 0.995)?;
    let shown: Vec<f64> = estimates.iter().copied().filter(|&v| v <= top).collect();
    let distribution = Panel {
        title: format!("{} estimates from one chain each", estimates.len()),
        x: Axis::linear("λ̂ of one chain"),
        y: Axis::linear("density"),
        layers: vec![
            Layer::histogram(shown, 50, true),
            Layer::vline(THEIRS)
                .colour(Colour::Vermillion)
                .label("the post, 0.81"),
            Layer::vline(outcome.published.exact.mean)
                .colour(Colour::Black)
                .label("exact mean"),
            Layer::vline(1.0)
                .dashed()
                .colour(Colour::Green)
                .label("λ = d/2 = 1"),
        ],
        legend: Legend::Auto,
    };
    Figure {
        title: String::new(),
        columns: 2,
        panels: vec![landscape, distribution],
        size: Figure::grid_size(2, 2),
    }
    .write(&store.figures(), "linear")?;
    let [low, high] = outcome.inferred_step_sizes;
    Ok(Section {
        heading: "1. Warm-up: linear regression, 2 parameters".into(),
        text: vec![
            format!(
                "The loss is quadratic, so the law of the estimate is known exactly, at any n, γ, step size and chain length. The \
                 exact posterior gives E[nβ(L - L(w*))] = {:.4} (½ Σ nβh/(nβh + γ) over the Hessian's eigenvalues {:.4} and {:.4}), \
                 not 1: that is the price of γ = 1 at n = 100.",
                outcome.equilibrium, outcome.eigenvalues[0], outcome.eigenvalues[1]
            ),
            format!(
                "The post does not state its step size. The last three losses of its printed trace move by amounts that fit a \
                 step between {low:.1e} and {high:.1e}; we take {:.0e}. At that step 5000 steps are hardly more than one relaxation \
                 time: one chain's estimate has mean {:.3} and standard deviation {:.3} (exact; {} chains gave {:.3} ± {:.3}). The \
                 post's 0.81 is an ordinary draw from it: {:.0} % of ours are lower.",
                settings.published.step_size,
                outcome.published.exact.mean,
                outcome.published.exact.sd,
                estimates.len(),
                outcome.published.llc.mean,
                outcome.published.llc.mcse,
                100.0 * outcome.share_below_theirs
            ),
            format!(
                "The printed trace starts below zero: w* was no minimum there, and its loss at least 0.0307. From such a start \
                 (off in the flattest direction) the exact mean of one chain's estimate is {:.3} with standard deviation {:.3}.",
                outcome.off_minimum.mean, outcome.off_minimum.sd
            ),
            format!(
                "With a step of {:.0e}, which mixes, {} chains give {:.4} ± {:.4}; the exact expectation of that very chain is {:.4} \
                 (t = {:.2}, {}).",
                settings.mixed.step_size,
                outcome.mixed.llc.per_chain.len(),
                outcome.mixed.llc.mean,
                outcome.mixed.llc.mcse,
                outcome.mixed.exact.mean,
                outcome.mixed.t,
                if outcome.mixed.agrees {
                    "agrees"
                } else {
                    "differs or underpowered"
                }
            ),
            format!("What the published settings' estimate says of itself: {}", outcome.published.llc),
            format!("And that with the larger step: {}", outcome.mixed.llc),
        ],
        figures: vec![FigureRef {
            name: "linear".into(),
            caption: "Left: the loss over (w, b) and the first chain, from circle to diamond. Right: where the post's 0.81 lies among \
                      one-chain estimates; the highest half per cent is not shown."
                .into(),
            alt: "A bowl-shaped loss with a wandering chain, and a broad, skewed histogram of one-chain estimates".into(),
        }],
        ..Section::default()
    })
}
