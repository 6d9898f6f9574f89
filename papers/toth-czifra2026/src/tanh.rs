//! One hidden tanh unit, 4 parameters, at a true minimum.

use anyhow::Context;
use ndarray::{Array1, Array2, Axis as ArrayAxis};
use serde::{Deserialize, Serialize};
use slt_models::{Activation, Mlp, Network};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
    Verdict,
};
use slt_sampler::targets::TanhUnit;
use slt_sampler::{
    Llc, Minimum, Points, Probes, Sampling, default_nbeta, estimate, find_minimum, spectrum,
};
use slt_stats::{ecdf, quantile};
use slt_theory::{LocalisedGaussian, PartiallyLinear};

use crate::settings::Tanh;
use crate::slices;

/// The post's estimates from one and from four chains.
const THEIRS: [f64; 2] = [0.7178, 1.0962];
/// Parameters in the order of a row.
const NAMES: [&str; 4] = ["w₁", "b₁", "w₂", "b₂"];

/// What is recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub nbeta: f64,
    pub minimum: Vec<f64>,
    pub loss: f64,
    pub gradient_norm: f64,
    /// How many of the starts ended in this minimum's loss.
    pub n_found: usize,
    pub eigenvalues: Vec<f64>,
    /// ½ Σ nβh/(nβh + γ).
    pub quadratic: f64,
    /// Exact expectation by quadrature, and its numerical error.
    pub exact: f64,
    pub exact_error: f64,
    /// Chains as the post ran them.
    pub published: Llc,
    pub shares_below_theirs: [f64; 2],
    /// Standard deviation of the mean of four published chains.
    pub sd_of_four: f64,
    /// Long chains at the step size of the settings, at a half and at a quarter of it.
    pub converged: Vec<(f64, Llc)>,
    /// 2 λ̂(ε/2) - λ̂(ε), and its standard error.
    pub extrapolated: (f64, f64),
    pub z: f64,
    pub paths: Vec<Vec<Vec<f64>>>,
}

/// `y = sin 3x + 0.3x` on evenly spaced points of [-2, 2].
pub fn data(n: usize) -> (Vec<f64>, Vec<f64>) {
    let x = Array1::linspace(-2.0, 2.0, n).to_vec();
    let y = x.iter().map(|&x: &f64| (3.0 * x).sin() + 0.3 * x).collect();
    (x, y)
}

/// The unit as a network, for its initial weights; a row is (w₁, b₁, w₂, b₂).
pub fn network() -> Network {
    Network::Mlp(Mlp {
        widths: vec![1, 1, 1],
        activation: Activation::Tanh,
        bias: true,
    })
}

pub fn run(store: &Store, settings: &Tanh) -> anyhow::Result<Outcome> {
    Ok(store
        .cell("tanh", settings, "host", || compute(settings))?
        .result)
}

fn compute(settings: &Tanh) -> anyhow::Result<Outcome> {
    let (x, y) = data(settings.n_samples);
    let nbeta = default_nbeta(settings.n_samples)?;
    let mut target = TanhUnit::new(x.clone(), y.clone())?;
    let starts = network().init(
        settings.start_seed,
        &(0..settings.n_starts).collect::<Vec<_>>(),
    );
    let found: Vec<Minimum> = starts
        .rows()
        .into_iter()
        .filter_map(|w| find_minimum(&mut target, w, 1e-9, 5000).ok())
        .collect();
    let best = found
        .iter()
        .min_by(|a, b| a.loss.total_cmp(&b.loss))
        .context("no start led to a minimum; raise [tanh] n_starts")?;
    let n_found = found
        .iter()
        .filter(|m| (m.loss - best.loss).abs() < 1e-9)
        .count();
    let w = &best.w;
    let eigenvalues = spectrum(&mut target, w.view())?.to_vec();
    let gamma = settings.converged.gamma;
    let exact = PartiallyLinear::new(&y, [w[0], w[1]], &[w[2], w[3]], nbeta, gamma)?.integrate(
        |[w1, b1], mut phi| {
            for (mut row, x) in phi.rows_mut().into_iter().zip(&x) {
                row[0] = (w1 * x + b1).tanh();
                row[1] = 1.0;
            }
        },
    )?;
    // `group` keeps the noise of one setting from that of another
    let sample = |sampling: &Sampling, group: u64, label: &str| -> anyhow::Result<Llc> {
        let plan = sampling.plan(settings.n_samples)?;
        let progress = Progress::start(label, (sampling.n_chains * plan.schedule.n_steps()) as u64);
        let points = Points {
            anchors: w.view().insert_axis(ArrayAxis(0)),
            dynamics: &[sampling.dynamics(nbeta)?],
            n_chains: sampling.n_chains,
            from_stream: group << 32,
        };
        let probes = Probes::new(sampling.seed);
        let found = estimate(&target, &points, &plan, Some(&probes), &|n| progress.inc(n))?;
        Ok(found.all()?.remove(0))
    };
    let published = sample(&settings.published, 0, "tanh: published chains")?;
    let fours: Vec<f64> = published
        .per_chain
        .chunks_exact(4)
        .map(|c| c.iter().sum::<f64>() / 4.0)
        .collect();
    let mean = fours.iter().sum::<f64>() / fours.len() as f64;
    let variance =
        fours.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (fours.len() as f64 - 1.0);
    let converged = [1, 2, 4].map(|k: usize| -> anyhow::Result<(f64, Llc)> {
        let base = &settings.converged;
        let sampling = Sampling {
            step_size: base.step_size / k as f64,
            n_steps: base.n_steps * k,
            burn_in: base.burn_in * k,
            thin: base.thin * k,
            ..base.clone()
        };
        Ok((
            sampling.step_size,
            sample(&sampling, k as u64, "tanh: long chains")?,
        ))
    });
    let converged = converged.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let error = |llc: &Llc| llc.mcse_chains.unwrap_or(llc.mcse);
    let (half, quarter) = (&converged[1].1, &converged[2].1);
    let extrapolated = 2.0 * quarter.mean - half.mean;
    let mcse = (4.0 * error(quarter).powi(2) + error(half).powi(2)).sqrt();
    let plan = settings.published.plan(settings.n_samples)?;
    let rows = settings.published.rows(nbeta, 0, 4)?;
    let paths = slices::paths(&target, plan, w.view(), &rows)?;
    Ok(Outcome {
        nbeta,
        minimum: w.to_vec(),
        loss: best.loss,
        gradient_norm: best.gradient_norm,
        n_found,
        quadratic: LocalisedGaussian::new(&eigenvalues, nbeta, gamma)?.mean(),
        eigenvalues,
        exact: exact.mean,
        exact_error: exact.error,
        shares_below_theirs: [
            ecdf(&published.per_chain, THEIRS[0])?,
            ecdf(&fours, THEIRS[1])?,
        ],
        sd_of_four: variance.sqrt(),
        published,
        converged,
        extrapolated: (extrapolated, mcse),
        z: (extrapolated - exact.mean) / mcse,
        paths,
    })
}

pub fn obtained(outcome: &Outcome) -> Vec<Obtained> {
    let (value, mcse) = outcome.extrapolated;
    let exact = Some((outcome.exact, "exact, by quadrature".to_owned()));
    let published = &outcome.published;
    vec![
        Obtained {
            id: "tanh-one-chain".into(),
            value: published.mean,
            mcse: Some(published.mcse),
            reference: exact.clone(),
            verdict: Verdict::NotComparable,
            note: format!(
                "mean over {} chains like theirs, from a true minimum; {:.0} % of them lie below theirs",
                published.per_chain.len(),
                100.0 * outcome.shares_below_theirs[0]
            ),
        },
        Obtained {
            id: "tanh-four-chains".into(),
            value: published.mean,
            mcse: Some(published.mcse),
            reference: exact.clone(),
            verdict: Verdict::NotComparable,
            note: format!(
                "the mean of four such chains has a standard deviation of {:.3}; {:.0} % of them lie below theirs",
                outcome.sd_of_four,
                100.0 * outcome.shares_below_theirs[1]
            ),
        },
        Obtained {
            id: "tanh-below-regular".into(),
            value,
            mcse: Some(mcse),
            reference: exact,
            verdict: Verdict::of_claim(value + 3.0 * mcse < 2.0),
            note: format!(
                "long chains, step size extrapolated to 0; against the exact value z = {:.2}. Quadratic prediction {:.3}",
                outcome.z, outcome.quadratic
            ),
        },
    ]
}

pub fn section(store: &Store, settings: &Tanh, outcome: &Outcome) -> anyhow::Result<Section> {
    let (x, y) = data(settings.n_samples);
    let mut target = TanhUnit::new(x.clone(), y.clone())?;
    let w = Array1::from(outcome.minimum.clone());
    for (name, n_paths) in [("tanh-one-chain", 1), ("tanh-four-chains", 4)] {
        let pairs = (0..4).flat_map(|i| (i + 1..4).map(move |j| (i, j)));
        let panels: Vec<Panel> = pairs
            .map(|pair| {
                slices::panel(
                    &mut target,
                    w.view(),
                    pair,
                    &NAMES,
                    &outcome.paths[..n_paths],
                )
            })
            .collect();
        Figure {
            title: String::new(),
            columns: 3,
            size: Figure::grid_size(6, 3),
            panels,
        }
        .write(&store.figures(), name)?;
    }
    let fitted = Array2::from_shape_fn((x.len(), 1), |(i, _)| {
        w[2] * (w[0] * x[i] + w[1]).tanh() + w[3]
    });
    let fit = Panel {
        title: "The fit at w*".into(),
        x: Axis::linear("x"),
        y: Axis::linear("y"),
        layers: vec![
            Layer::points(x.clone(), y)
                .label("data")
                .colour(Colour::Grey),
            Layer::line(x, fitted.column(0).to_vec()).label("one tanh unit"),
        ],
        legend: Legend::Above,
    };
    let top = quantile(&outcome.published.per_chain, 0.995)?;
    let shown: Vec<f64> = outcome
        .published
        .per_chain
        .iter()
        .copied()
        .filter(|&v| v <= top)
        .collect();
    let distribution = Panel {
        title: format!(
            "{} estimates from one chain each",
            outcome.published.per_chain.len()
        ),
        x: Axis::linear("λ̂ of one chain"),
        y: Axis::linear("density"),
        layers: vec![
            Layer::histogram(shown, 40, true),
            Layer::vline(THEIRS[0])
                .colour(Colour::Vermillion)
                .label("the post, one chain"),
            Layer::vline(THEIRS[1])
                .dashed()
                .colour(Colour::Vermillion)
                .label("the post, four chains"),
            Layer::vline(outcome.exact)
                .colour(Colour::Black)
                .label("exact posterior"),
        ],
        legend: Legend::Auto,
    };
    let (steps, llcs): (Vec<f64>, Vec<&Llc>) = outcome
        .converged
        .iter()
        .map(|(step, llc)| (*step, llc))
        .unzip();
    let bias = Panel {
        title: "Long chains".into(),
        x: Axis::linear("step size ε"),
        y: Axis::linear("λ̂"),
        layers: vec![
            Layer::points_with_errors(
                steps,
                llcs.iter().map(|llc| llc.mean).collect::<Vec<_>>(),
                llcs.iter().map(|llc| llc.mcse).collect::<Vec<_>>(),
            )
            .label("λ̂ ± MCSE"),
            Layer::points_with_errors([0.0], [outcome.extrapolated.0], [outcome.extrapolated.1])
                .label("extrapolated")
                .colour(Colour::Vermillion),
            Layer::hline(outcome.exact)
                .colour(Colour::Black)
                .label("exact posterior"),
            Layer::hline(outcome.quadratic)
                .dashed()
                .colour(Colour::Green)
                .label("quadratic prediction"),
        ],
        legend: Legend::Above,
    };
    Figure {
        title: String::new(),
        columns: 3,
        size: Figure::grid_size(3, 3),
        panels: vec![fit, distribution, bias],
    }
    .write(&store.figures(), "tanh-estimates")?;
    let spectrum: Vec<String> = outcome
        .eigenvalues
        .iter()
        .map(|h| format!("{h:.3e}"))
        .collect();
    let figure = |name: &str, caption: &str, alt: &str| FigureRef {
        name: name.into(),
        caption: caption.into(),
        alt: alt.into(),
    };
    Ok(Section {
        heading: "2. One hidden tanh unit, 4 parameters".into(),
        text: vec![
            format!(
                "w* is a true minimum: L-BFGS from {} starts, {} of which reached its loss of {:.6}, with a gradient of norm {:.0e}. \
                 The Hessian's eigenvalues there are {}; the quadratic prediction ½ Σ nβh/(nβh + γ) is {:.4}.",
                settings.n_starts,
                outcome.n_found,
                outcome.loss,
                outcome.gradient_norm,
                spectrum.join(", "),
                outcome.quadratic
            ),
            format!(
                "The model is linear in two of its parameters, so the exact expectation under the localised posterior is a \
                 two-dimensional integral: {:.6} (numerical error {:.0e}). The difference to the quadratic prediction, {:+.1e}, is the \
                 anharmonic part.",
                outcome.exact,
                outcome.exact_error,
                outcome.exact - outcome.quadratic
            ),
            format!(
                "Chains as the post ran them (5000 steps, the first 1000 dropped, step {:.0e}) have not relaxed: {:.3} ± {:.3} over {} \
                 chains. Long chains, extrapolated to step size 0, give {:.4} ± {:.4}, z = {:.2} against the exact value.",
                settings.published.step_size,
                outcome.published.mean,
                outcome.published.mcse,
                outcome.published.per_chain.len(),
                outcome.extrapolated.0,
                outcome.extrapolated.1,
                outcome.z
            ),
            format!(
                "What the published settings' estimate says of itself: {}",
                outcome.published
            ),
            format!(
                "And that of the long chains with the least step: {}",
                outcome.converged[2].1
            ),
        ],
        figures: vec![
            figure(
                "tanh-one-chain",
                "The six slices of the loss through w*, with one chain from circle to diamond.",
                "Six heat maps of the loss with one trajectory",
            ),
            figure(
                "tanh-four-chains",
                "The same slices with four chains.",
                "Six heat maps of the loss with four trajectories",
            ),
            figure(
                "tanh-estimates",
                "The fit; the distribution of one-chain estimates; the estimate against the step size.",
                "A tanh step through a wave, a histogram, and estimates that approach the exact value as the step shrinks",
            ),
        ],
        ..Section::default()
    })
}
