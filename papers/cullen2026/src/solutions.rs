//! Jacobian ranks at trained weights, and the linear models of section 5: the tangent at the initial weights, and the outer layer alone.

use anyhow::Context;
use ndarray::{Array1, Array2, ArrayView1, Axis as ArrayAxis, s};
use ndarray_linalg::{EigValsh, UPLO};
use num_traits::ToPrimitive;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
    Verdict, together,
};
use slt_sampler::targets::{Quadratic, QuadraticNetwork};
use slt_sampler::{Dynamics, Llc, SpectralSum, Spectrum, Target, hessian};
use slt_theory::quadratic_theorems::{
    corollary_5_3_v1, corollary_5_3_v3, corollary_5_4_v3, theorem_5_1, theorem_5_2,
};
use slt_theory::{LinearInParameters, ModularAddition, ModularLoss};
use slt_training::Training;

use crate::ensemble::chains;
use crate::grokking::checkpoints;
use crate::memorising::{self, Solution};
use crate::settings::{Grokking, Solutions};
use crate::task::{Task, counted};

/// Eigenvalues below this share of the largest are taken for zero.
const ZERO: f64 = 1e-7;
/// Units whose function is below this share of the largest are taken for dead.
const DEAD: f64 = 1e-3;

/// A quadratic model, or a loss that is one to second order: its rank and an estimate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    /// Eigenvalues of the Hessian above `ZERO` of the largest.
    pub rank: usize,
    /// Their least over the largest of the others.
    pub gap: f64,
    /// ½ Σ nβh/(nβh + γ).
    pub second_order: f64,
    pub llc: Llc,
}

/// What is recorded of a small network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Small {
    pub size: (usize, usize),
    pub n_train: usize,
    /// After training, on the training pairs.
    pub loss: f64,
    pub accuracy: f64,
    /// Units that are not dead.
    pub n_active: usize,
    /// Length of the sum of V's rows over √p times that of V: 0 where the outputs have a constant sum.
    pub output_sum: f64,
    /// At the trained weights, descending.
    pub eigenvalues: Vec<f64>,
    pub trained: Model,
    /// The tangent model at the initial weights.
    pub tangent: Model,
    /// The outer layer alone, at the initial weights, and the rank of its features.
    pub outer: Model,
    pub n_features: u32,
}

/// `½ Σ sh/(sh + 1)` of the trained network of `grokking`, `h` the squares of the Jacobian's singular values over the number of pairs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Large {
    pub solution: Solution,
    pub step: u64,
    pub dimensions: Vec<SpectralSum>,
}

#[derive(Debug, Clone)]
pub struct Outcome {
    pub small: Vec<Small>,
    pub large: Vec<Large>,
}

#[derive(Serialize)]
struct SmallConfig<'a> {
    size: (usize, usize),
    settings: (
        f64,
        u64,
        f64,
        &'a slt_training::TrainPlan,
        &'a slt_sampler::Sampling,
    ),
}

#[derive(Serialize)]
struct LargeConfig<'a> {
    network: &'a Grokking,
    solution: Solution,
    step: u64,
    scales: &'a [f64],
    probes: &'a slt_sampler::Probes,
}

pub fn run(
    store: &Store,
    settings: &Solutions,
    network: &Grokking,
    solutions: &[Vec<memorising::Outcome>],
) -> anyhow::Result<Outcome> {
    let small = |&size: &(usize, usize)| {
        let config = SmallConfig {
            size,
            settings: (
                settings.train_fraction,
                settings.seed,
                settings.nbeta,
                &settings.plan,
                &settings.sampling,
            ),
        };
        let compute = || small(settings, size);
        Ok(store.cell("solutions", &config, "host", compute)?.result)
    };
    let of_first = solutions.first().context("a seed")?.iter();
    let trained = of_first.filter(|o| o.solution != Solution::RandomLabels);
    let large = |o: &memorising::Outcome| {
        let config = LargeConfig {
            network,
            solution: o.solution,
            step: o.step,
            scales: &settings.scales,
            probes: &settings.probes,
        };
        let compute = || large(store, settings, network, o);
        Ok(store.cell("jacobian", &config, "host", compute)?.result)
    };
    Ok(Outcome {
        small: together(&settings.sizes, small)?,
        large: together(trained, large)?,
    })
}

/// The loss whose labels are the network's own outputs at `w`: there it is 0, and its Hessian is `J'J / N`.
fn own_outputs(task: &Task, w: ArrayView1<f64>) -> anyhow::Result<QuadraticNetwork> {
    let (p, k) = (task.modulus, task.n_hidden);
    let [pairs, _] = task.pairs();
    let w = w.into_shape_with_order((3 * p, k))?;
    let (inner, outer) = w.split_at(ArrayAxis(0), 2 * p);
    let mut squares = Array2::zeros((pairs.len(), k));
    for (mut row, pair) in squares.rows_mut().into_iter().zip(&pairs) {
        let [a, b] = pair.map(|v| v as usize);
        row.assign(&(&inner.row(a) + &inner.row(p + b)).mapv(|h| h * h));
    }
    let y = squares.dot(&outer.t());
    Ok(QuadraticNetwork::one_hot_pairs(k, p, &pairs, y.view())?.centred())
}

fn small(settings: &Solutions, (modulus, n_hidden): (usize, usize)) -> anyhow::Result<Small> {
    let task = Task {
        modulus,
        n_hidden,
        train_fraction: settings.train_fraction,
        seed: settings.seed,
    };
    let [pairs, _] = task.pairs();
    let mut target = QuadraticNetwork::modular_addition(n_hidden, modulus, &pairs)?.centred();
    let start = task.init(settings.seed, &[0]);
    let initial = start.row(0).to_owned();
    let plan = &settings.plan;
    let mut training = Training::new(start, &[0], &[plan.optimiser]);
    training.advance(&target, plan, plan.n_steps, 1, &|_| ())?;
    let rows = training.rows.view();
    let mut loss = [f64::NAN];
    target.loss(rows, &mut loss);
    let w = rows.row(0);

    let mut own = own_outputs(&task, w)?;
    let matrix = hessian(&mut own, w)?;
    let mut eigenvalues = matrix.eigvalsh(UPLO::Lower)?.to_vec();
    eigenvalues.reverse();
    let trained = model(settings, &own, w, &eigenvalues)?;

    let tangent = hessian(&mut own_outputs(&task, initial.view())?, initial.view())?;
    let outer_from = 2 * modulus * n_hidden;
    let outer = tangent.slice(s![outer_from.., outer_from..]).to_owned();
    // every output has the same features: the matrix of one is a K x K block
    let features = tangent.slice(s![
        outer_from..outer_from + n_hidden,
        outer_from..outer_from + n_hidden
    ]);
    let n_features = LinearInParameters::from_features(features)?.rank();
    let quadratic = |matrix: Array2<f64>| -> anyhow::Result<Model> {
        let mut eigenvalues = matrix.eigvalsh(UPLO::Lower)?.to_vec();
        eigenvalues.reverse();
        let origin = Array1::zeros(matrix.nrows());
        let target = Quadratic::new(matrix, origin.clone(), 0.0, pairs.len());
        model(settings, &target, origin.view(), &eigenvalues)
    };
    Ok(Small {
        size: (modulus, n_hidden),
        n_train: pairs.len(),
        loss: loss[0],
        accuracy: target.accuracy(rows)[0],
        n_active: active(w, modulus, n_hidden)?,
        output_sum: output_sum(w, modulus, n_hidden)?,
        trained,
        tangent: quadratic(tangent)?,
        outer: quadratic(outer)?,
        n_features,
        eigenvalues,
    })
}

/// Units with `|v| |w|²` above `DEAD` of the largest.
fn active(w: ArrayView1<f64>, p: usize, k: usize) -> anyhow::Result<usize> {
    let w = w.into_shape_with_order((3 * p, k))?;
    let size = |unit: usize| {
        let column = w.column(unit);
        let (inner, outer) = column.split_at(ArrayAxis(0), 2 * p);
        inner.dot(&inner) * outer.dot(&outer).sqrt()
    };
    let sizes: Vec<f64> = (0..k).map(size).collect();
    let most = sizes.iter().copied().fold(0.0, f64::max);
    Ok(sizes.iter().filter(|&&size| size > DEAD * most).count())
}

fn output_sum(w: ArrayView1<f64>, p: usize, k: usize) -> anyhow::Result<f64> {
    let w = w.into_shape_with_order((3 * p, k))?;
    let outer = w.slice(s![2 * p.., ..]);
    let sum = outer.sum_axis(ArrayAxis(0));
    let squares: f64 = outer.iter().map(|v| v * v).sum();
    Ok((sum.dot(&sum) / (p as f64 * squares)).sqrt())
}

/// Rank and estimate at a zero of `target` where its Hessian has these eigenvalues, descending.
fn model<T: Target + Clone + Send + Sync>(
    settings: &Solutions,
    target: &T,
    w: ArrayView1<f64>,
    eigenvalues: &[f64],
) -> anyhow::Result<Model> {
    let (nbeta, gamma) = (settings.nbeta, settings.sampling.gamma);
    let largest = eigenvalues[0];
    let rank = eigenvalues.iter().filter(|&&h| h > ZERO * largest).count();
    let next = eigenvalues.get(rank).map_or(0.0, |h| h.abs());
    // the settings' step is in units of one over the largest curvature
    let step = settings.sampling.step_size / (nbeta * largest + gamma);
    let (w, dynamics) = (
        w.insert_axis(ArrayAxis(0)),
        [Dynamics::new(step, nbeta, gamma)?],
    );
    let found = chains("chains", target, w, &dynamics, &settings.sampling, 0)?;
    let llc = found.all()?.remove(0);
    let share = |&h: &f64| counted(nbeta * h, gamma);
    Ok(Model {
        rank,
        gap: eigenvalues[rank - 1] / next.max(f64::EPSILON * largest),
        second_order: eigenvalues.iter().map(share).sum(),
        llc,
    })
}

fn large(
    store: &Store,
    settings: &Solutions,
    network: &Grokking,
    outcome: &memorising::Outcome,
) -> anyhow::Result<Large> {
    let [target, _] = network.task.targets()?;
    let rows = checkpoints(store, network, &target, 0)?;
    let steps = network.plan.checkpoint_steps();
    let at = steps.iter().position(|&step| step == outcome.step);
    let w = rows.row(at.context("a checkpoint")?);
    let progress = Progress::start(&format!("Jacobian at step {}", outcome.step), 1);
    let spectrum = Spectrum::of(&mut own_outputs(&network.task, w)?, w, &settings.probes)?;
    progress.inc(1);
    let dimension = |s: &f64| spectrum.sum(|h| counted(s * h, 1.0));
    Ok(Large {
        solution: outcome.solution,
        step: outcome.step,
        dimensions: settings.scales.iter().map(dimension).collect(),
    })
}

impl Small {
    fn generic(&self) -> anyhow::Result<i64> {
        generic(self.size.0, self.size.1, self.n_train)
    }

    /// The rank where every column of V sums to 0: the sum of the outputs then sees V alone, min(K(3p-2), (p-1)(N-1) + min(K, N-1)).
    fn balanced(&self) -> i64 {
        let (p, k, n) = (self.size.0 as i64, self.size.1 as i64, self.n_train as i64);
        (k * (3 * p - 2)).min((p - 1) * (n - 1) + k.min(n - 1))
    }

    fn name(&self) -> String {
        format!("p = {}, K = {}", self.size.0, self.size.1)
    }
}

/// The generic rank min(K(3p-2), p(N-1)).
fn generic(p: usize, k: usize, n: usize) -> anyhow::Result<i64> {
    let network = ModularAddition::new(p as u32, k as u32, ModularLoss::CentredSquared, n as u64)?;
    Ok(network.rank())
}

/// Whether λ̂ is half the rank, to 4 errors, where the second order at this temperature is.
fn is_half(model: &Model, rank: f64) -> bool {
    let off = model.llc.mean - 0.5 * rank - (model.second_order - 0.5 * model.rank as f64);
    off.abs() < 4.0 * model.llc.mcse
}

pub fn obtained(
    settings: &Solutions,
    network: &Grokking,
    outcome: &Outcome,
) -> anyhow::Result<Vec<Obtained>> {
    let small = &outcome.small;
    let share = |id: &str, holds: &dyn Fn(&Small) -> bool, among: Vec<&Small>, note: &str| {
        let (yes, no): (Vec<&Small>, Vec<&Small>) = among.iter().partition(|s| holds(s));
        let names: Vec<String> = no.iter().map(|s| s.name()).collect();
        let but = if names.is_empty() {
            String::new()
        } else {
            format!("; not at {}", names.join(", "))
        };
        Obtained {
            id: id.into(),
            value: yes.len() as f64 / among.len() as f64,
            mcse: None,
            reference: None,
            verdict: Verdict::of_claim(no.is_empty()),
            note: format!("{note}{but}"),
        }
    };
    let all = || small.iter().collect::<Vec<_>>();
    let float = |value: Result<num_rational::Rational64, _>| -> f64 {
        let value: Result<_, slt_theory::quadratic_theorems::QuadraticTheoremError> = value;
        value.ok().and_then(|v| v.to_f64()).unwrap_or(f64::NAN)
    };
    let sizes = |s: &Small| (s.size.0 as u32, s.size.1 as u32);
    let lazy = |s: &Small| float(theorem_5_2(sizes(s).0, s.n_train as u32 - 1, sizes(s).1));
    let v1 = |s: &Small| float(corollary_5_3_v1(sizes(s).0, sizes(s).1));
    let half = |model: &Model| 0.5 * model.rank as f64;
    let in_bracket = |s: &Small| {
        let bracket = corollary_5_3_v3(sizes(s).0, sizes(s).1);
        bracket.is_ok_and(|(low, high)| {
            let value = half(&s.outer);
            low.to_f64().is_some_and(|low| low <= value)
                && high.to_f64().is_some_and(|high| value <= high)
        })
    };
    let covered: Vec<&Small> = small
        .iter()
        .filter(|s| corollary_5_3_v3(sizes(s).0, sizes(s).1).is_ok())
        .collect();
    let line = |s: &Small| format!("{} at {}", s.trained.rank, s.name());
    let ranks: Vec<String> = small.iter().map(line).collect();
    let sum = |s: &Small| format!("{:.0e} at {}", s.output_sum, s.name());
    let sums: Vec<String> = small.iter().map(sum).collect();
    let worst_gap = small
        .iter()
        .map(|s| s.trained.gap)
        .fold(f64::INFINITY, f64::min);
    let generic_rank = |s: &Small| s.generic().is_ok_and(|rank| rank == s.trained.rank as i64);
    let task = &network.task;
    let most = 0.5 * generic(task.modulus, task.n_hidden, task.n_train())? as f64;
    let late = float(corollary_5_4_v3(task.modulus as u32, task.n_hidden as u32));
    let last = settings.scales.len() - 1;
    let finest = |solution: Solution| -> anyhow::Result<SpectralSum> {
        let found = outcome.large.iter().find(|l| l.solution == solution);
        Ok(found.context("a solution")?.dimensions[last])
    };
    let (memorised, generalised) = (finest(Solution::Memorised)?, finest(Solution::Generalised)?);
    Ok(vec![
        share(
            "trained-rank",
            &generic_rank,
            all(),
            &format!(
                "ranks {}; the gap below the least eigenvalue that counts is a factor of {worst_gap:.0e} or more",
                ranks.join(", ")
            ),
        ),
        share(
            "trained-balanced",
            &|s| s.balanced() == s.trained.rank as i64,
            all(),
            &format!(
                "the sum of V's rows, as a share of what independent rows would have: {}",
                sums.join(", ")
            ),
        ),
        share(
            "trained-sampled",
            &|s| is_half(&s.trained, s.trained.rank as f64),
            all(),
            "within 4 standard errors, at the trained weights and their own outputs",
        ),
        Obtained {
            id: "trained-large".into(),
            value: generalised.value,
            mcse: Some(generalised.mcse),
            reference: Some((most, "generic, p (N - 1)/2".into())),
            verdict: Verdict::of_claim((generalised.value / late - 1.0).abs() < 0.1),
            note: format!(
                "½ Σ sh/(sh + 1) at s = {:.0e} by stochastic Lanczos, less than half the rank; before generalisation {:.0} ± {:.0}",
                settings.scales[last], memorised.value, memorised.mcse
            ),
        },
        share(
            "theorem-5.1",
            &|s| {
                is_half(
                    &s.tangent,
                    2.0 * float(Ok(theorem_5_1(s.tangent.rank as u32))),
                )
            },
            all(),
            "the tangent model at the initial weights, its Fisher matrix as the loss; λ̂ within 4 standard errors of half its rank",
        ),
        share(
            "theorem-5.2",
            &|s| half(&s.outer) == lazy(s) && is_half(&s.outer, 2.0 * lazy(s)),
            all(),
            "frozen inner weights; rank and λ̂ against ½ p min(N - 1, K): the squares of generic units are independent on the pairs",
        ),
        share(
            "corollary-5.3-v1",
            &|s| half(&s.outer) == v1(s),
            covered.clone(),
            "of the networks with 2p - 1 < K < p²",
        ),
        share(
            "corollary-5.3-v3",
            &in_bracket,
            covered,
            "the same networks",
        ),
    ])
}

pub fn section(
    store: &Store,
    settings: &Solutions,
    network: &Grokking,
    outcome: &Outcome,
) -> anyhow::Result<Section> {
    let mut spectra = Vec::new();
    for network in &outcome.small {
        let largest = network.eigenvalues[0];
        let of = |h: &f64| (h / largest).max(1e-18);
        let y: Vec<f64> = network.eigenvalues.iter().map(of).collect();
        let generic = network.generic()? as f64;
        let x: Vec<f64> = (1..=y.len()).map(|i| i as f64 / generic).collect();
        spectra.push(Layer::line(x, y).label(&network.name()));
    }
    let task = &network.task;
    let most = 0.5 * generic(task.modulus, task.n_hidden, task.n_train())? as f64;
    let scales = &settings.scales;
    let mut large = vec![
        Layer::line(scales.clone(), vec![most; scales.len()])
            .dashed()
            .label("generic")
            .colour(Colour::Grey),
    ];
    for found in &outcome.large {
        let (name, colour) = match found.solution {
            Solution::Generalised => ("generalised", Colour::Blue),
            _ => ("memorised", Colour::Vermillion),
        };
        let y: Vec<f64> = found.dimensions.iter().map(|d| d.value).collect();
        large.push(Layer::line(scales.clone(), y).label(name).colour(colour));
    }
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(2, 2),
        panels: vec![
            Panel {
                title: "Small networks".into(),
                x: Axis::linear("eigenvalue, over the generic rank").range(0.0, 1.5),
                y: Axis::log("share of the largest").range(1e-18, 1.0),
                layers: spectra,
                legend: Legend::Above,
            },
            Panel {
                title: format!("p = {}, K = {}", task.modulus, task.n_hidden),
                x: Axis::log("s"),
                y: Axis::log("½ Σ sh/(sh + 1)"),
                layers: large,
                legend: Legend::Above,
            },
        ],
    }
    .write(&store.figures(), "solutions")?;
    let line = |s: &Small| -> anyhow::Result<String> {
        Ok(format!(
            "{}, N = {}: loss {:.1e}, accuracy {}, {} active units, sum of V's rows {:.0e}; rank {} (gap {:.0e}), generic {}; λ̂ = {:.2} ± {:.2} (second order {:.2}). Tangent: rank {}, \
             λ̂ = {:.2} ± {:.2}. Outer layer: rank {}, features {}, λ̂ = {:.2} ± {:.2}",
            s.name(),
            s.n_train,
            s.loss,
            s.accuracy,
            s.n_active,
            s.output_sum,
            s.trained.rank,
            s.trained.gap,
            s.generic()?,
            s.trained.llc.mean,
            s.trained.llc.mcse,
            s.trained.second_order,
            s.tangent.rank,
            s.tangent.llc.mean,
            s.tangent.llc.mcse,
            s.outer.rank,
            s.n_features,
            s.outer.llc.mean,
            s.outer.llc.mcse
        ))
    };
    Ok(Section {
        heading: "9. Jacobian ranks at trained solutions".into(),
        text: vec![format!(
            "Small networks trained for {} steps on {} of all pairs, at the labels that they then give: nβ = {:e}, γ = {}, Hamiltonian chains. The large one is that of \
             section 7, before and after it generalises.",
            settings.plan.n_steps, settings.train_fraction, settings.nbeta, settings.sampling.gamma
        )],
        figures: vec![FigureRef {
            name: "solutions".into(),
            caption: "Eigenvalues of J'J/N at trained weights: at a generic point the drop is at 1. Right: half the number of eigenvalues \
                      above 1/s, smoothed.".into(),
            alt: "Spectra that drop at the generic rank, and two curves that rise towards a ceiling".into(),
        }],
        notes: outcome.small.iter().map(line).collect::<anyhow::Result<_>>()?,
        ..Section::default()
    })
}
