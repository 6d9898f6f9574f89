//! The toy model of superposition (Chen et al. 2023): the posterior over k-gons at several n, and the local learning coefficients of three of them.

use std::collections::BTreeMap;

use anyhow::Context;
use ndarray::{Array1, Axis as ArrayAxis};
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store, Verdict,
    progress,
};
use slt_sampler::chains::{Ensemble, Plan, mask, run as run_chains};
use slt_sampler::targets::UniformAutoencoder;
use slt_sampler::{Cooled, Llc, default_nbeta, populations};
use slt_stats::Estimate;
use slt_theory::{Phase, Superposition as Polygon, critical_n};

use crate::exact;
use crate::polygons::{Around, Shape, constant, n_parts, name, row, shapes};
use crate::settings::{LocalPolygons, Posterior, Superposition};
use crate::two_phases::critical;

/// Features of the model that is compared with the paper.
const FEATURES: u32 = 6;
/// Its phases with a known λ that are compared: k, and the dead features with a positive bias.
const COMPARED: [(u32, u32); 3] = [(5, 0), (5, 1), (6, 0)];
/// The paper's λ̂ of these at n = 5000, and its standard deviation over chains.
const PUBLISHED: [(f64, f64); 3] = [(7.71, 0.85), (9.91, 1.27), (9.03, 0.59)];
/// Replicates of an integral.
const N_REPLICATES: u64 = 32;

/// What is recorded of one number of features.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub n_features: u32,
    pub at: Vec<At>,
}

/// The posterior at one n.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct At {
    pub n: f64,
    /// The mass of each phase, by name.
    pub masses: BTreeMap<String, Estimate>,
    /// Of the two phases whose transition is compared, the mass of the first over that of both, if there are particles in them.
    pub first_of_two: Option<Estimate>,
    /// The same by integrals over each.
    pub integrated: Option<Estimate>,
    /// Particles that were looked at.
    pub n_particles: usize,
}

/// λ̂ of a k-gon by chains, and the same mean by importance sampling.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Local {
    pub phase: (u32, u32),
    pub nbeta: f64,
    pub llc: Llc,
    pub integrated: Estimate,
}

pub struct Outcomes {
    pub posteriors: Vec<Outcome>,
    /// By setting, then by k-gon.
    pub local: Vec<Vec<Local>>,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: &'a Posterior,
    n_features: u32,
}

pub fn run(store: &Store, settings: &Superposition) -> anyhow::Result<Outcomes> {
    let posterior = |&n_features: &u32| {
        let config = Config {
            settings: &settings.posterior,
            n_features,
        };
        let compute = || posterior(&settings.posterior, n_features);
        Ok(store
            .cell("superposition", &config, "host", compute)?
            .result)
    };
    let local = |settings: &LocalPolygons| {
        Ok(store
            .cell("polygons", settings, "host", || local(settings))?
            .result)
    };
    Ok(Outcomes {
        posteriors: settings
            .features
            .iter()
            .map(posterior)
            .collect::<anyhow::Result<_>>()?,
        local: settings
            .local
            .iter()
            .map(local)
            .collect::<anyhow::Result<_>>()?,
    })
}

fn n_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The two phases whose transition is compared, for each number of features that has them.
fn pair(n_features: u32) -> Option<[(u32, u32); 2]> {
    (n_features == FEATURES).then_some([(5, 0), (6, 0)])
}

fn posterior(settings: &Posterior, n_features: u32) -> anyhow::Result<Outcome> {
    progress::say(&format!(
        "posterior of superposition, {n_features} features"
    ));
    let target = UniformAutoencoder::new(n_features as usize, 2, 2)?;
    let cooled = populations(
        &target,
        Array1::zeros(3 * n_features as usize).view(),
        &settings.sizes,
        &settings.cooling.populations(1.0),
        &|_| (),
    )?;
    let at = |cooled: Cooled| {
        let cooled = cooled.thinned(settings.look_at_every);
        let found = shapes(&target, cooled.rows.clone(), n_threads())?;
        let inside = |phase: (u32, u32)| -> Vec<f64> {
            found
                .iter()
                .map(|s| f64::from(s.phase() == phase))
                .collect()
        };
        let mut phases: Vec<(u32, u32)> = found.iter().map(Shape::phase).collect();
        phases.sort_unstable();
        phases.dedup();
        let masses: BTreeMap<String, Estimate> = phases
            .iter()
            .map(|&phase| Ok((name(phase), cooled.mean(&inside(phase))?)))
            .collect::<anyhow::Result<_>>()?;
        let [mut first_of_two, mut integrated] = [None, None];
        if let Some([first, second]) = pair(n_features) {
            if phases.contains(&first) && phases.contains(&second) {
                let (a, b) = (inside(first), inside(second));
                let both: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
                first_of_two = Some(cooled.mean_of_part(&a, &both)?);
            }
            integrated = share(settings, n_features, [first, second], cooled.nbeta)?;
        }
        Ok(At {
            n: cooled.nbeta,
            masses,
            first_of_two,
            integrated,
            n_particles: found.len(),
        })
    };
    Ok(Outcome {
        n_features,
        at: cooled.into_iter().map(at).collect::<anyhow::Result<_>>()?,
    })
}

/// Means of `exp(log weight)` and of the energy with these weights, over the proposals of each replicate; for the posterior, those that belong to the k-gon's own part
/// of its phase.
struct Integrated {
    weights: Vec<f64>,
    energies: Vec<f64>,
}

fn integrate(around: &Around, count: usize, seed: u64) -> anyhow::Result<Integrated> {
    let target = UniformAutoencoder::new(around.n_features, 2, 2)?;
    let own = shapes(&target, row(around.polygon).insert_axis(ArrayAxis(0)), 1)?;
    let (mut weights, mut energies) = (Vec::new(), Vec::new());
    for replicate in 0..N_REPLICATES {
        let stream = (u64::from(around.at_polygon) << 32) | replicate;
        let proposals = around.propose(count, seed, stream)?;
        let inside: Vec<bool> = if around.at_polygon {
            vec![true; count]
        } else {
            let found = shapes(&target, proposals.rows, n_threads())?;
            found.iter().map(|shape| *shape == own[0]).collect()
        };
        let (mut sum, mut energy) = (0.0, 0.0);
        let pairs = proposals.log_weights.iter().zip(&proposals.energies);
        for ((log, e), _) in pairs.zip(inside).filter(|(_, inside)| *inside) {
            sum += log.exp();
            energy += log.exp() * e;
        }
        weights.push(sum / count as f64);
        energies.push(energy / count as f64);
    }
    Ok(Integrated { weights, energies })
}

/// The first of two phases over both: the integrals over one part of each, their numbers of parts, and their losses.
fn share(
    settings: &Posterior,
    n_features: u32,
    phases: [(u32, u32); 2],
    n: f64,
) -> anyhow::Result<Option<Estimate>> {
    let mut integrals = Vec::new();
    for phase in phases {
        let polygon = Polygon::new(n_features, phase.0, phase.1)?;
        let around = Around {
            polygon: &polygon,
            n_features: n_features as usize,
            nbeta: n,
            gamma: 1.0,
            at_polygon: false,
            held: false,
        };
        let found = integrate(&around, settings.n_proposals, settings.cooling.seed)?;
        let mean = Estimate::from_replicates(&found.weights)?;
        if !(0.0 < mean.mean) {
            return Ok(None);
        }
        integrals.push((
            mean.mean.ln() + n_parts(n_features, phase).ln() - n * polygon.loss(),
            mean.mcse / mean.mean,
            mean.n,
        ));
    }
    let odds = integrals[0].0 - integrals[1].0;
    let mean = 1.0 / (1.0 + (-odds).exp());
    Ok(Some(Estimate {
        mean,
        mcse: mean * (1.0 - mean) * integrals[0].1.hypot(integrals[1].1),
        n: integrals[0].2,
    }))
}

fn local(settings: &LocalPolygons) -> anyhow::Result<Vec<Local>> {
    progress::say(&format!("k-gons at n = {}", settings.n_samples));
    COMPARED
        .into_iter()
        .map(|phase| local_of(settings, phase))
        .collect()
}

fn local_of(settings: &LocalPolygons, phase: (u32, u32)) -> anyhow::Result<Local> {
    let c = FEATURES as usize;
    let polygon = Polygon::new(FEATURES, phase.0, phase.1)?;
    let target = UniformAutoencoder::new(c, 2, settings.n_samples)?;
    let nbeta = default_nbeta(settings.n_samples)?;
    let sampling = &settings.sampling;
    let plan = Plan {
        block: 8,
        ..sampling.plan(settings.n_samples)?
    };
    let w = row(&polygon);
    let rows = sampling.rows(
        nbeta,
        u64::from(10 * phase.0 + phase.1) << 32,
        sampling.n_chains,
    )?;
    let wide = |row: &Array1<f64>| {
        let shape = (sampling.n_chains, row.len());
        row.broadcast(shape)
            .map(|rows| rows.to_owned())
            .context("rows")
    };
    // a dead feature's negative bias is flat, and leads out of the phase at 0
    let selected: Vec<bool> = (0..3 * c)
        .map(|j| j < 2 * c + (phase.0 + phase.1) as usize)
        .collect();
    let scale = wide(&mask(&selected)?.remove_axis(ArrayAxis(0)))?;
    let anchors = wide(&w)?;
    let ensemble = Ensemble {
        scale: Some(scale.view()),
        ..Ensemble::new(anchors.view(), &rows)
    };
    let draws = run_chains(&target, &plan, &ensemble, &|_| ())?;
    let llc = Llc::from_draws(
        &draws,
        0..sampling.n_chains,
        polygon.loss(),
        &rows[0].dynamics,
    )?;
    let around = Around {
        polygon: &polygon,
        n_features: c,
        nbeta,
        gamma: sampling.gamma,
        at_polygon: true,
        held: true,
    };
    let found = integrate(&around, settings.n_proposals, sampling.seed)?;
    let [above, below] = [&found.energies, &found.weights].map(|v| v.iter().sum::<f64>());
    let mean = above / below;
    let unit = below / found.weights.len() as f64;
    let pairs = found.energies.iter().zip(&found.weights);
    let residuals: Vec<f64> = pairs.map(|(e, w)| (e - mean * w) / unit).collect();
    Ok(Local {
        phase,
        nbeta,
        llc,
        integrated: Estimate {
            mean,
            ..Estimate::from_replicates(&residuals)?
        },
    })
}

/// A phase's asymptotic free energy, with all constants or with the prior's density alone, as the paper has it.
fn law(phase: (u32, u32), all: bool) -> anyhow::Result<Phase> {
    let polygon = Polygon::new(FEATURES, phase.0, phase.1)?;
    let constant = if all {
        constant(FEATURES, &polygon, phase)?
    } else {
        let w = row(&polygon);
        // the bias of a dead feature is any, and costs nothing
        let held = 2 * FEATURES as usize + (phase.0 + phase.1) as usize;
        0.5 * w.iter().take(held).map(|x| x * x).sum::<f64>()
    };
    Ok(Phase::new(
        polygon.loss(),
        polygon.learning_coefficient(),
        constant,
    )?)
}

pub fn obtained(settings: &Superposition, outcomes: &Outcomes) -> anyhow::Result<Vec<Obtained>> {
    let mut rows = vec![energies()?];
    rows.extend(transition(settings, outcomes)?);
    for (k, phase) in COMPARED.into_iter().enumerate() {
        let lambda = Polygon::new(FEATURES, phase.0, phase.1)?.learning_coefficient();
        for (which, id) in ["far", "published"].into_iter().enumerate() {
            let id = format!("polygon-{}-{id}", name(phase).replace('+', "p"));
            let Some(found) = outcomes.local.get(which).map(|of| &of[k]) else {
                rows.push(exact::missing(id));
                continue;
            };
            let (llc, other) = (&found.llc, &found.integrated);
            let z = (llc.mean - other.mean) / llc.mcse.hypot(other.mcse);
            let off = llc.mean / other.mean - 1.0;
            let fine = z.abs() < 3.0 && off.abs() < 0.03;
            // as the paper has it, which drops such chains
            let leaves = llc.share_below > 0.05;
            rows.push(Obtained {
                id,
                value: llc.mean,
                mcse: Some(llc.mcse),
                reference: Some((other.mean, "importance sampling at this nβ".into())),
                verdict: match which {
                    0 => Verdict::of_claim(fine),
                    _ if leaves => Verdict::NotComparable,
                    _ => Verdict::of(llc.mean, llc.mcse, PUBLISHED[k].0, PUBLISHED[k].1),
                },
                note: format!(
                    "nβ = {:.0}, γ = {}; {lambda}; importance sampling ± {:.4}, apart by {z:+.1} errors, {:+.2} %{}",
                    found.nbeta,
                    settings.local[which].sampling.gamma,
                    other.mcse,
                    100.0 * off,
                    match which {
                        0 => String::from("; agrees: within 3 errors and 3 %"),
                        _ => format!(
                            "; {:.0} % of the draws are below L(w*), {:.0} effective ones in all",
                            100.0 * llc.share_below,
                            llc.ess
                        ),
                    }
                ),
            });
        }
    }
    Ok(rows)
}

/// The table of energies at six features.
fn energies() -> anyhow::Result<Obtained> {
    let printed = [
        ((4, 0), 0.11111),
        ((4, 1), 0.10417),
        ((4, 2), 0.09722),
        ((5, 0), 0.06874),
        ((5, 1), 0.06180),
        ((6, 0), 0.04819),
    ];
    let mut worst = 0f64;
    let mut target = UniformAutoencoder::new(FEATURES as usize, 2, 2)?;
    for ((k, n_positive), loss) in printed {
        let w = row(&Polygon::new(FEATURES, k, n_positive)?);
        let mut found = [f64::NAN];
        slt_sampler::Target::loss(&mut target, w.insert_axis(ArrayAxis(0)).view(), &mut found);
        worst = worst.max((found[0] - loss).abs());
    }
    Ok(exact::claim(
        "polygon-energies",
        worst,
        worst < 5.1e-6,
        "largest difference between the loss at six k-gons, by the integrals of slt-sampler, and the printed values of five digits".into(),
    ))
}

/// The transition from the pentagon to the hexagon.
fn transition(settings: &Superposition, outcomes: &Outcomes) -> anyhow::Result<Vec<Obtained>> {
    let [by_paper, by_law] = [false, true].map(|all| {
        let [first, second] = [law((5, 0), all)?, law((6, 0), all)?];
        anyhow::Ok(critical_n(&first, &second)?)
    });
    let (by_paper, by_law) = (by_paper?, by_law?);
    let found = outcomes
        .posteriors
        .iter()
        .find(|o| o.n_features == FEATURES);
    let series = |of: fn(&At) -> Option<Estimate>| {
        let at = found.map_or(&[][..], |o| &o.at);
        let (sizes, masses): (Vec<f64>, Vec<Estimate>) =
            at.iter().filter_map(|at| Some((at.n, of(at)?))).unzip();
        critical(&sizes, &masses)
    };
    let (sampled, integrated) = (series(|at| at.first_of_two), series(|at| at.integrated));
    let mut rows = vec![exact::claim(
        "transition-law",
        by_paper,
        (by_paper.round() - 601.0).abs() < 0.5,
        format!(
            "nL + λ log n + ½|w*|²; with all constants (circles, numbers of parts, curvature, the mass of the pentagon's flat region) {by_law:.0}"
        ),
    )];
    rows.push(match (sampled, integrated) {
        (Some(sampled), Some(integrated)) => Obtained {
            id: "transition".into(),
            value: sampled.mean,
            mcse: Some(sampled.mcse),
            reference: Some((integrated.mean, "importance sampling over each phase".into())),
            verdict: Verdict::of(sampled.mean, sampled.mcse, integrated.mean, integrated.mcse),
            note: format!(
                "importance sampling ± {:.1}; {} populations of {} particles, of which one in {} is looked at. The law of all constants is {:+.1} % of the sampled one, that of \
                 the paper {:+.1} %",
                integrated.mcse,
                settings.posterior.cooling.n_populations,
                settings.posterior.cooling.n_particles,
                settings.posterior.look_at_every,
                100.0 * (by_law / sampled.mean - 1.0),
                100.0 * (by_paper / sampled.mean - 1.0)
            ),
        },
        _ => exact::missing("transition".into()),
    });
    rows.push(match sampled {
        Some(sampled) => Obtained {
            mcse: Some(sampled.mcse),
            reference: Some((by_paper, "their formula".into())),
            ..exact::claim(
                "transition-paper",
                sampled.mean,
                (sampled.mean / by_paper - 1.0).abs() < 0.1,
                "agrees: within a tenth".into(),
            )
        },
        None => exact::missing("transition-paper".into()),
    });
    Ok(rows)
}

pub fn section(
    store: &Store,
    settings: &Superposition,
    outcomes: &Outcomes,
) -> anyhow::Result<Section> {
    let mut panels = Vec::new();
    for outcome in &outcomes.posteriors {
        let mut phases: Vec<&String> = outcome.at.iter().flat_map(|at| at.masses.keys()).collect();
        phases.sort_unstable();
        phases.dedup();
        // those that count somewhere
        let largest = |phase: &&String| {
            let mass = |at: &At| at.masses.get(*phase).map_or(0.0, |m| m.mean);
            outcome.at.iter().map(mass).fold(0.0, f64::max)
        };
        phases.retain(|phase| largest(phase) > 0.03);
        let sizes: Vec<f64> = outcome.at.iter().map(|at| at.n).collect();
        let mut layers = Vec::new();
        for (i, phase) in phases.into_iter().enumerate() {
            let of = |at: &At| {
                at.masses
                    .get(phase)
                    .map_or((0.0, 0.0), |m| (m.mean, m.mcse))
            };
            let (mass, error): (Vec<f64>, Vec<f64>) = outcome.at.iter().map(of).unzip();
            layers.push(Layer::line(sizes.clone(), mass.clone()).colour(Colour::cycle(i)));
            layers.push(
                Layer::points_with_errors(sizes.clone(), mass, error)
                    .colour(Colour::cycle(i))
                    .label(phase),
            );
        }
        if outcome.n_features == FEATURES {
            let [first, second] = [law((5, 0), false)?, law((6, 0), false)?];
            layers.push(
                Layer::vline(critical_n(&first, &second)?)
                    .dashed()
                    .colour(Colour::Grey),
            );
        }
        panels.push(Panel {
            title: format!("{} features", outcome.n_features),
            x: Axis::linear("n"),
            y: Axis::linear("posterior mass"),
            layers,
            legend: Legend::Above,
        });
    }
    Figure {
        title: String::new(),
        columns: 3,
        size: Figure::grid_size(panels.len(), 3),
        panels,
    }
    .write(&store.figures(), "superposition")?;
    Ok(Section {
        heading: "8. Superposition".into(),
        text: vec![format!(
            "ReLU(WᵀWx + b) with two hidden dimensions, one feature at a time, uniform on [0, 1]; the loss is the expected one, exact. The posterior exp(-nL) under a standard \
             normal prior: {} populations of {} particles, cooled from the prior. A particle belongs to the k-gon that it descends to; a plus stands for each dead feature with a \
             positive bias.",
            settings.posterior.cooling.n_populations, settings.posterior.cooling.n_particles
        )],
        figures: vec![FigureRef {
            name: "superposition".into(),
            caption: "Posterior masses of k-gons. Dashed: the paper's critical n of 5 → 6, 601."
                .into(),
            alt: "Masses of phases that rise and fall with n, for three numbers of features".into(),
        }],
        ..Section::default()
    })
}
