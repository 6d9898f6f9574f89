//! Small networks whose learning coefficient is known: the paper's formulas, the truth, and λ̂ at a vanishing localisation.

use ndarray::{Array2, Axis as ArrayAxis};
use num_traits::ToPrimitive;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store, Verdict,
    together,
};
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::targets::QuadraticNetwork;
use slt_sampler::{Dynamics, Llc, spectrum};
use slt_theory::quadratic_theorems::{corollary_4_2_v3, corollary_5_4_v3};
use slt_theory::{ModularAddition, ModularLoss, QuadraticNetwork as Network, Support};

use crate::ensemble::chains;
use crate::settings::Theorems;
use crate::task::counted;

/// What is recorded of a network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub name: String,
    /// Whether inputs are one-hot pairs.
    pub modular: bool,
    /// λ: half the rank that is generic.
    pub lambda: f64,
    /// The paper's formula.
    pub theirs: f64,
    /// Rank of the Jacobian, over a prime field.
    pub rank: usize,
    /// Eigenvalues of the Hessian at `w*` above 1e-9 of the largest.
    pub n_curved: usize,
    /// ½Σnβh/(nβh+γ).
    pub second_order: f64,
    pub llc: Llc,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Case {
    Generic([u32; 3]),
    Modular([u32; 2]),
}

#[derive(Serialize)]
struct Config<'a> {
    case: Case,
    seed: u64,
    nbeta: f64,
    sampling: &'a slt_sampler::Sampling,
}

pub fn run(store: &Store, settings: &Theorems) -> anyhow::Result<Vec<Outcome>> {
    let generic = settings.generic.iter().map(|&t| Case::Generic(t));
    let modular = settings.modular.iter().map(|&t| Case::Modular(t));
    let cell = |case| {
        let config = Config {
            case,
            seed: settings.seed,
            nbeta: settings.nbeta,
            sampling: &settings.sampling,
        };
        let compute = || compute(settings, case);
        Ok(store.cell("theorems", &config, "host", compute)?.result)
    };
    together(generic.chain(modular), cell)
}

/// A random network and its own outputs: `w*` is a true solution, and generic.
fn compute(settings: &Theorems, case: Case) -> anyhow::Result<Outcome> {
    let [d, p, k] = match case {
        Case::Generic(triple) => triple.map(|v| v as usize),
        Case::Modular([p, k]) => [2 * p as usize, p as usize, k as usize],
    };
    let mut random = rng(
        settings.seed,
        Purpose::Data,
        (d * 10_000 + p * 100 + k) as u64,
        0,
    );
    let mut uniform = |rows, columns| {
        Array2::from_shape_simple_fn((rows, columns), || random.random_range(-1.0..1.0))
    };
    let (inner, outer): (Array2<f64>, Array2<f64>) = (uniform(d, k), uniform(p, k));
    let x = match case {
        // twice as many inputs as there are quadratic forms
        Case::Generic(_) => uniform(d * (d + 1), d),
        Case::Modular(_) => Array2::from_shape_fn((p * p, d), |(i, j)| {
            f64::from(u8::from(j == i / p || j == p + i % p))
        }),
    };
    let y = x.dot(&inner).mapv(|h| h * h).dot(&outer.t());
    let mut target = QuadraticNetwork::dense(k, x.view(), y.view())?;
    let w: Array2<f64> = ndarray::concatenate(ArrayAxis(0), &[inner.view(), outer.view()])?;
    let w = w.into_shape_with_order((1, (d + p) * k))?;

    let eigenvalues = spectrum(&mut target, w.row(0))?;
    let largest = eigenvalues[eigenvalues.len() - 1];
    let (nbeta, gamma) = (settings.nbeta, settings.sampling.gamma);
    // the settings' step is in units of one over the largest curvature
    let step = settings.sampling.step_size / (nbeta * largest + gamma);
    let dynamics = [Dynamics::new(step, nbeta, gamma)?];
    let label = format!("chains of ({d}, {p}, {k})");
    let sampling = &settings.sampling;
    let found = chains(&label, &target, w.view(), &dynamics, sampling, 0)?;
    let llc = found.all()?.remove(0);
    let (p, k) = (p as u32, k as u32);
    let (name, known, theirs, rank) = match case {
        Case::Generic([d, ..]) => {
            let network = Network::new(d, p, k)?;
            let rank = network.jacobian_rank(&Support::QuadraticForms)?;
            (
                format!("({d}, {p}, {k})"),
                network.learning_coefficient(),
                corollary_4_2_v3(d, p, k)?,
                rank,
            )
        }
        Case::Modular(_) => {
            let network = ModularAddition::new(p, k, ModularLoss::Squared, u64::from(p * p))?;
            let pairs: Vec<_> = (0..p).flat_map(|a| (0..p).map(move |b| (a, b))).collect();
            let theirs = corollary_4_2_v3(2 * p, p, k)?;
            (
                format!("p = {p}, K = {k}"),
                network.learning_coefficient(),
                theirs,
                network.jacobian_rank(&pairs)?,
            )
        }
    };
    let share = |h: f64| counted(nbeta * h, gamma);
    Ok(Outcome {
        name,
        modular: matches!(case, Case::Modular(_)),
        lambda: known.exact()?.lambda_f64(),
        theirs: theirs.to_f64().unwrap_or(f64::NAN),
        rank,
        n_curved: eigenvalues.iter().filter(|&&h| h > 1e-9 * largest).count(),
        second_order: eigenvalues.iter().copied().map(share).sum(),
        llc,
    })
}

pub fn obtained(outcomes: &[Outcome]) -> anyhow::Result<Vec<Obtained>> {
    let row = |id: &str, value: usize, of: usize, note: String| Obtained {
        id: id.into(),
        value: value as f64 / of as f64,
        mcse: None,
        reference: None,
        verdict: Verdict::of_claim(value == of),
        note,
    };
    let wrong = |modular: bool| -> (Vec<&str>, usize) {
        let members = outcomes.iter().filter(|o| o.modular == modular);
        let wrong = members.clone().filter(|o| o.theirs != o.lambda);
        (wrong.map(|o| o.name.as_str()).collect(), members.count())
    };
    let mut rows = Vec::new();
    for (id, modular) in [("corollary-4.2", false), ("corollary-4.2-modular", true)] {
        let (names, of) = wrong(modular);
        let note = if names.is_empty() {
            "all of them".into()
        } else {
            format!("not at {}", names.join(", "))
        };
        rows.push(row(id, of - names.len(), of, note));
    }
    let ranks = outcomes
        .iter()
        .filter(|o| o.rank as f64 == 2.0 * o.lambda && o.n_curved == o.rank);
    rows.push(row("rank", ranks.count(), outcomes.len(), "Jacobian rank over a prime field, and the Hessian's at a random solution, are twice the λ of slt-theory".into()));
    let z = |o: &Outcome| (o.llc.mean - o.lambda) / o.llc.mcse;
    let worst = outcomes
        .iter()
        .map(z)
        .fold(0.0, |a: f64, z| if z.abs() > a.abs() { z } else { a });
    let near = outcomes.iter().filter(|o| z(o).abs() < 4.0).count();
    rows.push(row(
        "sampled",
        near,
        outcomes.len(),
        format!(
            "within 4 standard errors; the worst z is {worst:.1}, the largest error {:.4} of λ",
            outcomes
                .iter()
                .map(|o| o.llc.mcse / o.lambda)
                .fold(0.0, f64::max)
        ),
    ));
    // the truth of one unit more: 3p - 2
    let large = ModularAddition::new(53, 1024, ModularLoss::CentredSquared, 1123)?;
    let most = large.learning_coefficient().exact()?.lambda_f64();
    let late = corollary_5_4_v3(53, 1024)?.to_f64().unwrap_or(f64::NAN);
    rows.push(Obtained {
        id: "corollary-5.4".into(),
        value: most,
        mcse: None,
        reference: Some((late, "their formula".into())),
        verdict: Verdict::of_claim(late == most),
        note: "the largest λ that a non-degenerate interpolating point can have on 1123 pairs, p (N - 1)/2; the loss sees no more functions".into(),
    });
    Ok(rows)
}

pub fn section(
    store: &Store,
    settings: &Theorems,
    outcomes: &[Outcome],
) -> anyhow::Result<Section> {
    let of = |modular: bool| outcomes.iter().filter(move |o| o.modular == modular);
    let x = |modular| of(modular).map(|o| o.lambda).collect::<Vec<_>>();
    let y = |modular| of(modular).map(|o| o.llc.mean).collect::<Vec<_>>();
    let error = |modular| of(modular).map(|o| 2.0 * o.llc.mcse).collect::<Vec<_>>();
    let most = outcomes
        .iter()
        .map(|o| o.theirs.max(o.lambda))
        .fold(0.0, f64::max)
        * 1.05;
    let wrong: Vec<&Outcome> = outcomes.iter().filter(|o| o.theirs != o.lambda).collect();
    let mut layers = vec![
        Layer::line([0.0, most], [0.0, most]).colour(Colour::Grey),
        Layer::points_with_errors(x(false), y(false), error(false))
            .label("λ̂, generic inputs")
            .colour(Colour::Blue),
        Layer::points_with_errors(x(true), y(true), error(true))
            .label("λ̂, one-hot pairs")
            .colour(Colour::Green),
    ];
    if !wrong.is_empty() {
        let xs: Vec<f64> = wrong.iter().map(|o| o.lambda).collect();
        let ys: Vec<f64> = wrong.iter().map(|o| o.theirs).collect();
        layers.push(
            Layer::points(xs, ys)
                .label("their formula, where it is not λ")
                .colour(Colour::Vermillion),
        );
    }
    Figure {
        title: String::new(),
        columns: 1,
        size: (560, 420),
        panels: vec![Panel {
            title: String::new(),
            x: Axis::linear("λ"),
            y: Axis::linear("λ̂ and formula"),
            layers,
            legend: Legend::Above,
        }],
    }
    .write(&store.figures(), "theorems")?;
    let line = |o: &Outcome| {
        format!(
            "{} {}: λ = {}, theirs {}, λ̂ = {:.3} ± {:.3}, second order {:.3}, '{}'",
            if o.modular { "pairs" } else { "(d, p, K) =" },
            o.name,
            o.lambda,
            o.theirs,
            o.llc.mean,
            o.llc.mcse,
            o.second_order,
            o.llc.verdict
        )
    };
    Ok(Section {
        heading: "1. Theorems".into(),
        text: vec![format!(
            "Random networks and their own outputs, so that w* is a generic true solution: nβ = {:e}, γ = {}, Hamiltonian chains.",
            settings.nbeta, settings.sampling.gamma
        )],
        figures: vec![FigureRef {
            name: "theorems".into(),
            caption: "λ̂ with twice its standard error against the exact λ, and the paper's corollary 4.2 where it differs.".into(),
            alt: "Points on the diagonal, and some above it".into(),
        }],
        notes: outcomes.iter().map(line).collect(),
        ..Section::default()
    })
}
