//! `F_n = nL + λ log n - (m - 1) log log n`: free energies over many orders of n, and what their slope and curvature say.

use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
    Verdict, together,
};
use slt_sampler::{ScalingRequest, estimate_scaling, free_energy_curve};
use slt_stats::Estimate;
use slt_theory::LearningCoefficient;

use crate::exact;
use crate::germs::Germ;
use crate::settings::FreeEnergy;

/// What is recorded of a loss.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub germ: Germ,
    /// At each n.
    pub rungs: Vec<At>,
    /// What the rule of integration leaves out, by a rule of half as many rungs.
    pub discretisation: f64,
    /// From a ladder of its own.
    pub lambda: f64,
    pub lambda_error: f64,
    pub multiplicity: u32,
    pub n_fitted: usize,
    pub n_evaluations: u64,
}

/// One n.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct At {
    pub n: f64,
    /// `E[nK]`, the slope of the free energy over log n.
    pub slope: f64,
    pub slope_error: f64,
    /// F_n less that at the first n.
    pub free_energy: Estimate,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: &'a FreeEnergy,
    germ: Germ,
}

pub fn run(store: &Store, germs: &[Germ], settings: &FreeEnergy) -> anyhow::Result<Vec<Outcome>> {
    let cell = |germ: Germ| {
        let compute = || compute(settings, germ);
        Ok(store
            .cell("free-energy", &Config { settings, germ }, "host", compute)?
            .result)
    };
    // the losses whose whole law is known
    let known = germs.iter().filter(|&&germ| germ != Germ::Tanh);
    together(known.copied(), cell)
}

fn compute(settings: &FreeEnergy, germ: Germ) -> anyhow::Result<Outcome> {
    let target = germ.target()?;
    let request = ScalingRequest {
        nbetas: Some((settings.first, settings.last)),
        n_rungs: settings.n_rungs,
        relative_error: settings.relative_error,
        max_evaluations: settings.max_evaluations,
        ..ScalingRequest::new(settings.gamma, settings.seed)
    };
    let name = format!("free energy of {}", germ.formula());
    let progress = Progress::start(&name, 2);
    let origin = target.origin();
    let whole = estimate_scaling(&target, origin.view(), &request, &|_| ())?;
    progress.inc(1);
    // the law that is fitted has λ, the logarithms and one power: it holds from some n on
    let colder = ScalingRequest {
        nbetas: Some((settings.fit_from, settings.fit_to)),
        seed: settings.seed + 1,
        ..request
    };
    let found = estimate_scaling(&target, origin.view(), &colder, &|_| ())?;
    progress.inc(1);
    let curve = free_energy_curve(&whole.rungs)?;
    let at = whole.rungs.iter().zip(curve);
    Ok(Outcome {
        germ,
        rungs: at
            .map(|(rung, free_energy)| At {
                n: rung.nbeta,
                slope: rung.mean.mean,
                slope_error: rung.mean.mcse,
                free_energy,
            })
            .collect(),
        discretisation: whole.free_energy.discretisation / 15.0,
        lambda: found.lambda,
        lambda_error: found.lambda_error,
        multiplicity: found.multiplicity,
        n_fitted: found.n_fitted,
        n_evaluations: whole.n_evaluations + found.n_evaluations,
    })
}

/// A loss, what was found, and the exact curve.
struct Compared<'a> {
    outcome: &'a Outcome,
    truth: LearningCoefficient,
    /// Exact F_n less that at the first n, and the exact slope, at each n.
    exact: Vec<(f64, f64)>,
}

impl<'a> Compared<'a> {
    fn new(outcome: &'a Outcome, gamma: f64) -> anyhow::Result<Self> {
        let law = |at: &At| -> anyhow::Result<(f64, f64)> {
            let law = outcome.germ.law(at.n, gamma)?;
            let law = law.ok_or_else(|| anyhow::anyhow!("{:?} has no law", outcome.germ))?;
            Ok((-law.log_evidence(), law.mean()))
        };
        let laws: Vec<(f64, f64)> = outcome
            .rungs
            .iter()
            .map(law)
            .collect::<anyhow::Result<_>>()?;
        let first = laws[0].0;
        Ok(Self {
            outcome,
            truth: outcome.germ.truth()?,
            exact: laws.iter().map(|&(f, slope)| (f - first, slope)).collect(),
        })
    }

    /// The largest |z| of the slopes.
    fn worst(&self) -> f64 {
        let pairs = self.outcome.rungs.iter().zip(&self.exact);
        pairs
            .map(|(at, exact)| ((at.slope - exact.1) / at.slope_error).abs())
            .fold(0.0, f64::max)
    }

    fn rows(&self) -> [Obtained; 2] {
        let Outcome { germ, rungs, .. } = self.outcome;
        let (first, last) = (&rungs[0], &rungs[rungs.len() - 1]);
        let (f, slope) = self.exact[rungs.len() - 1];
        let energy = exact::row(
            format!("energy-{}", germ.id()),
            last.free_energy.mean,
            last.free_energy.mcse.hypot(self.outcome.discretisation),
            f,
            "exact",
            format!(
                "{} temperatures, {} populations, the rule's own error {:.0e}; slope at the last n {:.4} ± {:.4}, exact {slope:.4}; the worst z of all slopes is {:.1}",
                rungs.len(),
                first.free_energy.n,
                self.outcome.discretisation,
                last.slope,
                last.slope_error,
                self.worst()
            ),
        );
        let (lambda, m) = (self.truth.lambda_f64(), self.truth.multiplicity());
        let mut scaling = exact::row(
            format!("slope-{}", germ.id()),
            self.outcome.lambda,
            self.outcome.lambda_error,
            lambda,
            "exact λ",
            format!("m = {}, exact {m}", self.outcome.multiplicity),
        );
        if self.outcome.multiplicity != m {
            scaling.verdict = Verdict::Differs;
        }
        [energy, scaling]
    }
}

pub fn obtained(settings: &FreeEnergy, outcomes: &[Outcome]) -> anyhow::Result<Vec<Obtained>> {
    let mut rows = Vec::new();
    for outcome in outcomes {
        rows.extend(Compared::new(outcome, settings.gamma)?.rows());
    }
    for germ in Germ::ALL.into_iter().filter(|&germ| germ != Germ::Tanh) {
        if outcomes.iter().all(|o| o.germ != germ) {
            let missing = |what| exact::missing(format!("{what}-{}", germ.id()));
            rows.extend(["energy", "slope"].map(missing));
        }
    }
    Ok(rows)
}

pub fn section(
    store: &Store,
    settings: &FreeEnergy,
    outcomes: &[Outcome],
) -> anyhow::Result<Section> {
    let mut energies = Vec::new();
    let mut slopes = Vec::new();
    for (i, outcome) in outcomes.iter().enumerate() {
        let compared = Compared::new(outcome, settings.gamma)?;
        let colour = Colour::cycle(i);
        let label = format!("{}: {}", outcome.germ.formula(), compared.truth);
        let column =
            |of: &dyn Fn(&At) -> f64| -> Vec<f64> { outcome.rungs.iter().map(of).collect() };
        let n = column(&|at| at.n);
        let exact = |of: &dyn Fn(&(f64, f64)) -> f64| -> Vec<f64> {
            compared.exact.iter().map(of).collect()
        };
        energies.push(Layer::line(n.clone(), exact(&|e| e.0)).colour(colour));
        let f = column(&|at| at.free_energy.mean);
        let error = column(&|at| at.free_energy.mcse);
        energies.push(
            Layer::points_with_errors(n.clone(), f, error)
                .colour(colour)
                .label(&label),
        );
        slopes.push(Layer::line(n.clone(), exact(&|e| e.1)).colour(colour));
        slopes.push(
            Layer::points_with_errors(n, column(&|at| at.slope), column(&|at| at.slope_error))
                .colour(colour),
        );
        slopes.push(
            Layer::hline(compared.truth.lambda_f64())
                .dashed()
                .colour(colour),
        );
    }
    let panel = |title: &str, y: &str, layers, legend| Panel {
        title: title.into(),
        x: Axis::log("n"),
        y: Axis::linear(y),
        layers,
        legend,
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: (1000, 460),
        panels: vec![
            panel("Free energy", "F(n) - F(first n)", energies, Legend::Above),
            panel("Its slope", "dF / d log n", slopes, Legend::None),
        ],
    }
    .write(&store.figures(), "free-energy")?;
    Ok(Section {
        heading: "3. Free energy".into(),
        text: vec![format!(
            "-log ∫ exp(-nK(w)) φ(w) dw under a normal φ of precision {}, by thermodynamic integration over n from {} to {:e}: populations of \
             particles are cooled through {} temperatures, dF/d log n = E[nK], and the second derivative comes from Var[nK]. The error is the \
             spread of independent populations, each integrated on its own. λ and m are those of the law that fits slopes and curvatures best, from n = {:e} to {:e}, \
             where one correction besides the logarithms is enough.",
            settings.gamma, settings.first, settings.last, settings.n_rungs, settings.fit_from, settings.fit_to
        )],
        figures: vec![FigureRef {
            name: "free-energy".into(),
            caption: "Points: measured; lines: exact at this n; dashed: λ, which the slope tends to, with m > 1 only as 1/log n.".into(),
            alt: "Seven free energies that grow as λ log n, and their slopes".into(),
        }],
        ..Section::default()
    })
}
