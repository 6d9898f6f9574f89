//! `V(ε) ~ c ε^λ (log 1/ε)^(m-1)`: measured volumes of the nearly optimal set, and the exponent and multiplicity that they show.
//!
//! Between two ε the volumes have the exponent `Δ log V/Δ log ε`, which tends to λ as `λ - (m - 1)/(log 1/ε + c)`: the law of
//! `E[nβ(L - L(w*))]` with 1/ε in the place of nβ, so that the same fit finds λ and m. Steps of subset simulation are
//! nearly independent, which the exponents' errors take them for.

use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
    Verdict, together,
};
use slt_sampler::{Splitting, Target, population_log_volumes};
use slt_stats::{Estimate, ScalingPoint, fit_colder_scaling_law};

use crate::exact;
use crate::germs::Germ;
use crate::settings::Volumes;

/// Exponents that a law is fitted to, at least.
const LEAST: usize = 6;

/// What is recorded of a loss.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub germ: Germ,
    /// `log V` at each ε.
    pub log_volumes: Vec<Estimate>,
    /// The exponent from each ε to the next.
    pub exponents: Vec<Estimate>,
    pub lambda: f64,
    pub lambda_error: f64,
    pub multiplicity: u32,
    /// How much worse the score of the next best m is.
    pub preference: f64,
    /// How many exponents the law was fitted to, those of the least ε.
    pub n_fitted: usize,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: &'a Volumes,
    germ: Germ,
}

pub fn run(store: &Store, germs: &[Germ], settings: &Volumes) -> anyhow::Result<Vec<Outcome>> {
    let cell = |germ: Germ| {
        let compute = || compute(settings, germ);
        Ok(store
            .cell("volumes", &Config { settings, germ }, "host", compute)?
            .result)
    };
    together(germs.iter().copied(), cell)
}

fn compute(settings: &Volumes, germ: Germ) -> anyhow::Result<Outcome> {
    let target = germ.target()?;
    let epsilons = settings.epsilons();
    let name = format!("volumes of {}", germ.formula());
    let progress = Progress::start(&name, settings.n_populations as u64);
    let splitting = Splitting {
        gamma: settings.gamma,
        n_particles: settings.n_particles,
        n_populations: settings.n_populations,
        n_moves: settings.n_moves,
        seed: settings.seed,
    };
    let origin = target.origin();
    let populations = population_log_volumes(&target, origin.view(), &epsilons, &splitting)?;
    progress.inc(settings.n_populations as u64);
    let n = epsilons.len();
    let over = |values: Vec<f64>| Estimate::from_replicates(&values);
    let log_volumes: Vec<Estimate> = (0..n)
        .map(|k| over(populations.column(k).to_vec()))
        .collect::<Result<_, _>>()?;
    let exponents: Vec<Estimate> = (1..n)
        .map(|k| {
            let spacing = (epsilons[k - 1] / epsilons[k]).ln();
            let difference = &populations.column(k - 1) - &populations.column(k);
            over((difference / spacing).to_vec())
        })
        .collect::<Result<_, _>>()?;
    let points: Vec<ScalingPoint> = (1..n)
        .map(|k| ScalingPoint {
            nbeta: (epsilons[k - 1] * epsilons[k]).sqrt().recip(),
            mean: exponents[k - 1].mean,
            mean_error: exponents[k - 1].mcse,
            variance: None,
        })
        .collect();
    let (fit, n_fitted) = fit_colder_scaling_law(&points, target.n_params() as u32, LEAST)?;
    Ok(Outcome {
        germ,
        log_volumes,
        exponents,
        lambda: fit.best.lambda,
        lambda_error: fit.lambda_error(),
        multiplicity: fit.best.multiplicity,
        preference: fit.preference().min(1e3),
        n_fitted,
    })
}

pub fn obtained(settings: &Volumes, outcomes: &[Outcome]) -> anyhow::Result<Vec<Obtained>> {
    let epsilons = settings.epsilons();
    let last = epsilons.len() - 1;
    let mut rows = Vec::new();
    for outcome in outcomes {
        let germ = outcome.germ;
        let truth = germ.truth()?;
        let mut row = exact::row(
            format!("volume-{}", germ.id()),
            outcome.lambda,
            outcome.lambda_error,
            truth.lambda_f64(),
            "exact λ",
            format!(
                "m = {}, exact {}, from the last {} exponents; that between the last two ε is {:.4} ± {:.4}",
                outcome.multiplicity,
                truth.multiplicity(),
                outcome.n_fitted,
                outcome.exponents[last - 1].mean,
                outcome.exponents[last - 1].mcse
            ),
        );
        if outcome.multiplicity != truth.multiplicity() {
            row.verdict = Verdict::Differs;
        }
        rows.push(row);
        if let Some(volume) = germ.log_volume(epsilons[last], settings.gamma)? {
            let mut worst = 0f64;
            for (found, &epsilon) in outcome.log_volumes.iter().zip(&epsilons) {
                let at = germ
                    .log_volume(epsilon, settings.gamma)?
                    .unwrap_or(f64::NAN);
                worst = worst.max(((found.mean - at) / found.mcse).abs());
            }
            rows.push(exact::row(
                format!("log-volume-{}", germ.id()),
                outcome.log_volumes[last].mean,
                outcome.log_volumes[last].mcse,
                volume,
                "exact",
                format!(
                    "V = {:.2e} at ε = {:e}; {} populations of {} particles; the worst |z| of all ε is {worst:.1}",
                    outcome.log_volumes[last].mean.exp(),
                    epsilons[last],
                    settings.n_populations,
                    settings.n_particles
                ),
            ));
        }
    }
    for germ in Germ::ALL {
        if outcomes.iter().all(|o| o.germ != germ) {
            rows.push(exact::missing(format!("volume-{}", germ.id())));
            if germ.log_volume(1.0, settings.gamma)?.is_some() {
                rows.push(exact::missing(format!("log-volume-{}", germ.id())));
            }
        }
    }
    Ok(rows)
}

pub fn section(store: &Store, settings: &Volumes, outcomes: &[Outcome]) -> anyhow::Result<Section> {
    let epsilons = settings.epsilons();
    let between: Vec<f64> = epsilons.windows(2).map(|e| (e[0] * e[1]).sqrt()).collect();
    let (mut volumes, mut exponents) = (Vec::new(), Vec::new());
    for (i, outcome) in outcomes.iter().enumerate() {
        let colour = Colour::cycle(i);
        let truth = outcome.germ.truth()?;
        let label = format!("{}: {truth}", outcome.germ.formula());
        let exact: Vec<Option<f64>> = epsilons
            .iter()
            .map(|&epsilon| outcome.germ.log_volume(epsilon, settings.gamma))
            .collect::<anyhow::Result<_>>()?;
        if let Some(exact) = exact.into_iter().collect::<Option<Vec<f64>>>() {
            let volume: Vec<f64> = exact.iter().map(|v| v.exp()).collect();
            volumes.push(Layer::line(epsilons.clone(), volume).colour(colour));
            let slope = |k: usize| (exact[k - 1] - exact[k]) / (epsilons[k - 1] / epsilons[k]).ln();
            let slopes: Vec<f64> = (1..epsilons.len()).map(slope).collect();
            exponents.push(Layer::line(between.clone(), slopes).colour(colour));
        }
        let measured: Vec<f64> = outcome.log_volumes.iter().map(|v| v.mean.exp()).collect();
        volumes.push(
            Layer::points(epsilons.clone(), measured)
                .colour(colour)
                .label(&label),
        );
        let of =
            |get: fn(&Estimate) -> f64| -> Vec<f64> { outcome.exponents.iter().map(get).collect() };
        exponents.push(
            Layer::points_with_errors(between.clone(), of(|e| e.mean), of(|e| e.mcse))
                .colour(colour),
        );
        exponents.push(Layer::hline(truth.lambda_f64()).dashed().colour(colour));
    }
    let panel = |title: &str, y, layers, legend| Panel {
        title: title.into(),
        x: Axis::log("ε"),
        y,
        layers,
        legend,
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: (1000, 480),
        panels: vec![
            panel("Volume", Axis::log("V(ε)"), volumes, Legend::Above),
            panel(
                "Its exponent",
                Axis::linear("d log V / d log ε"),
                exponents,
                Legend::None,
            ),
        ],
    }
    .write(&store.figures(), "volumes")?;
    Ok(Section {
        heading: "2. Volumes".into(),
        text: vec![format!(
            "V(ε) is the probability of K(w) <= ε under a normal of precision {}. It is measured by multilevel splitting: {} populations of {} \
             particles, each level keeping half of them, {} moves a level. λ and m are those of the law that fits the exponents best, from the ε on from which one does; the \
             multiplicity is why an exponent seen at one ε is not yet λ.",
            settings.gamma, settings.n_populations, settings.n_particles, settings.n_moves
        )],
        figures: vec![FigureRef {
            name: "volumes".into(),
            caption: "Points: measured; lines: the exact law, where there is one in closed form; dashed: λ.".into(),
            alt: "Eight volumes that fall as powers of ε, and the exponents between neighbouring ε".into(),
        }],
        ..Section::default()
    })
}
