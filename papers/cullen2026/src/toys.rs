//! Three landscapes in the plane: λ̂ at one temperature against its exact law, λ and m from several.

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Figure, FigureRef, Heat, Layer, Legend, Obtained, Panel, Section, Store, Verdict,
};
use slt_sampler::targets::{NormalCrossing, Radial};
use slt_sampler::{Llc, Points, ScalingRequest, Target, default_nbeta, estimate, estimate_scaling};
use slt_theory::{FiniteLaw, FiniteLawError, monomial_law, radial_law};

use crate::settings::Toys;

/// A landscape: singular along nothing, along the two axes alike, and along one axis more than along the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Landscape {
    Bowl,
    Cross,
    Valley,
}

const LANDSCAPES: [Landscape; 3] = [Landscape::Bowl, Landscape::Cross, Landscape::Valley];

/// What is recorded of a landscape.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    landscape: Landscape,
    pub llc: Llc,
    /// λ and m from several temperatures, and the error of λ.
    pub lambda: f64,
    pub lambda_error: f64,
    pub multiplicity: u32,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: &'a Toys,
    landscape: Landscape,
}

impl Landscape {
    fn formula(self) -> &'static str {
        match self {
            Self::Bowl => "w₁² + w₂²",
            Self::Cross => "w₁² w₂²",
            Self::Valley => "w₁² w₂⁴",
        }
    }

    fn exponents(self) -> &'static [u32] {
        match self {
            Self::Bowl => &[],
            Self::Cross => &[1, 1],
            Self::Valley => &[1, 2],
        }
    }

    /// The exact law of `nβ K`.
    fn law(self, nbeta: f64, gamma: f64) -> Result<FiniteLaw, FiniteLawError> {
        match self {
            Self::Bowl => radial_law(1.0, 2, 1, nbeta, gamma),
            _ => monomial_law(1.0, self.exponents(), nbeta, gamma),
        }
    }
}

pub fn run(store: &Store, settings: &Toys) -> anyhow::Result<Vec<Outcome>> {
    let cell = |landscape: Landscape| {
        let config = Config {
            settings,
            landscape,
        };
        let n = settings.n_samples;
        let compute = || match landscape {
            Landscape::Bowl => compute(settings, landscape, &Radial::new(1.0, 1, 2, n)),
            _ => {
                let target = NormalCrossing::new(1.0, landscape.exponents(), n);
                compute(settings, landscape, &target)
            }
        };
        Ok(store.cell("toys", &config, "host", compute)?.result)
    };
    LANDSCAPES.into_iter().map(cell).collect()
}

fn compute<T: Target + Clone + Send + Sync>(
    settings: &Toys,
    landscape: Landscape,
    target: &T,
) -> anyhow::Result<Outcome> {
    let origin = Array2::zeros((1, 2));
    let sampling = &settings.sampling;
    let points = Points {
        anchors: origin.view(),
        dynamics: &[sampling.dynamics(default_nbeta(settings.n_samples)?)?],
        n_chains: sampling.n_chains,
        from_stream: 0,
    };
    let plan = sampling.plan(settings.n_samples)?;
    let llc = estimate(target, &points, &plan, None, &|_| ())?
        .all()?
        .remove(0);
    let request = ScalingRequest {
        nbetas: settings.nbetas,
        ..ScalingRequest::new(sampling.gamma, sampling.seed)
    };
    let scaling = estimate_scaling(target, origin.row(0), &request, &|_| ())?;
    Ok(Outcome {
        landscape,
        llc,
        lambda: scaling.lambda,
        lambda_error: scaling.lambda_error,
        multiplicity: scaling.multiplicity,
    })
}

impl Outcome {
    fn law(&self, settings: &Toys) -> anyhow::Result<FiniteLaw> {
        Ok(self
            .landscape
            .law(self.llc.nbeta, settings.sampling.gamma)?)
    }

    fn line(&self, settings: &Toys) -> anyhow::Result<String> {
        let law = self.law(settings)?;
        Ok(format!(
            "{}: {}; λ̂ = {:.4} ± {:.4} at nβ = {:.0}, where {:.4} is exact; from several temperatures λ = {:.4} ± {:.0e}, m = {}",
            self.landscape.formula(),
            law.learning_coefficient(),
            self.llc.mean,
            self.llc.mcse,
            self.llc.nbeta,
            law.mean(),
            self.lambda,
            self.lambda_error,
            self.multiplicity
        ))
    }
}

pub fn obtained(settings: &Toys, outcomes: &[Outcome]) -> anyhow::Result<Vec<Obtained>> {
    let (mut sampled, mut found, mut limit) = (0, 0, 0);
    let mut lines = Vec::new();
    for outcome in outcomes {
        let law = outcome.law(settings)?;
        let truth = law.learning_coefficient();
        let Llc { summary, .. } = &outcome.llc;
        let near = |value: f64, error: f64, at: f64| usize::from((value - at).abs() < 4.0 * error);
        sampled += near(summary.mean, summary.mcse, law.mean());
        limit += near(summary.mean, summary.mcse, truth.lambda_f64());
        if outcome.multiplicity == truth.multiplicity() {
            found += near(outcome.lambda, outcome.lambda_error, truth.lambda_f64());
        }
        lines.push(outcome.line(settings)?);
    }
    let of = outcomes.len();
    let row = |id: &str, value: usize, note: String| Obtained {
        id: id.into(),
        value: value as f64 / of as f64,
        mcse: None,
        reference: None,
        verdict: Verdict::of_claim(value == of),
        note,
    };
    Ok(vec![
        Obtained {
            verdict: Verdict::NotComparable,
            ..row(
                "toys",
                limit,
                format!(
                    "within 4 standard errors; which landscapes are theirs is not known to us. {}",
                    lines.join(". ")
                ),
            )
        },
        row(
            "toys-law",
            sampled,
            "as above, against the exact law at this nβ and γ".into(),
        ),
        row("toys-scaling", found, "as above, and m the same".into()),
    ])
}

pub fn section(store: &Store, settings: &Toys, outcomes: &[Outcome]) -> anyhow::Result<Section> {
    const SIDE: usize = 61;
    let at = |i: usize| 3.0 * i as f64 / (SIDE - 1) as f64 - 1.5;
    let grid: Vec<f64> = (0..SIDE).map(at).collect();
    let panel = |outcome: &Outcome| -> anyhow::Result<Panel> {
        let truth = outcome.law(settings)?.learning_coefficient();
        let [a, b] = match outcome.landscape {
            Landscape::Bowl => [2, 2],
            Landscape::Cross => [2, 2],
            Landscape::Valley => [2, 4],
        };
        let bowl = outcome.landscape == Landscape::Bowl;
        let height = |x: f64, y: f64| match bowl {
            true => x.powi(a) + y.powi(b),
            false => x.powi(a) * y.powi(b),
        };
        let z = grid
            .iter()
            .flat_map(|&y| grid.iter().map(move |&x| height(x, y)));
        Ok(Panel {
            title: format!("{}: {truth}", outcome.landscape.formula()),
            x: Axis::linear("w₁"),
            y: Axis::linear("w₂"),
            layers: vec![Layer::heat(Heat {
                xs: grid.clone(),
                ys: grid.clone(),
                z: z.map(|v| v.max(1e-3)).collect(),
                log: true,
                range: Some((1e-3, 10.0)),
                n_levels: 16,
                bar: Some("K".into()),
            })],
            legend: Legend::None,
        })
    };
    Figure {
        title: String::new(),
        columns: 3,
        size: (1080, 330),
        panels: outcomes.iter().map(panel).collect::<anyhow::Result<_>>()?,
    }
    .write(&store.figures(), "toys")?;
    let lines: anyhow::Result<Vec<String>> = outcomes.iter().map(|o| o.line(settings)).collect();
    let sampling = &settings.sampling;
    Ok(Section {
        heading: "6. Toy landscapes".into(),
        text: vec![format!(
            "{} Hamiltonian chains of {} steps at the origin, n = {}, nβ = n/ln n, γ = {}; and the fit over temperatures.",
            sampling.n_chains, sampling.n_steps, settings.n_samples, sampling.gamma
        )],
        figures: vec![FigureRef {
            name: "toys".into(),
            caption: "The landscapes K, darker where it is lower, with their exact λ and m.".into(),
            alt: "A bowl, a cross and a flat valley".into(),
        }],
        notes: lines?,
        ..Section::default()
    })
}
