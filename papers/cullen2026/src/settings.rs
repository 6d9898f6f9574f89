//! The experiment file: every setting of every figure.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use slt_sampler::targets::Activation;
use slt_sampler::{Probes, Sampling, default_nbeta};
use slt_training::{OptimiserError, TrainPlan};

use crate::task::{Task, check_batch};

/// Settings of all experiments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub grokking: Grokking,
    pub sizes: Sizes,
    pub theorems: Theorems,
    pub heat: Heat,
    pub severity: Severity,
    pub variations: Variations,
    pub toys: Toys,
    pub memorising: Memorising,
    pub solutions: Solutions,
    pub regimes: Regimes,
    pub transformer: Transformer,
}

/// One network over its training, for some seeds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grokking {
    pub task: Task,
    pub n_seeds: u64,
    /// Seed of the initial weights.
    pub init_seed: u64,
    pub plan: TrainPlan,
    /// Every so many checkpoints have an estimate.
    pub estimate_every: usize,
    pub nbeta: f64,
    pub sampling: Sampling,
    pub probes: Probes,
    /// Those of the trace of the Hessian, if not the same; one step is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traces: Option<Probes>,
}

/// Networks of several sizes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// p and K of the figure over p, in increasing order.
    pub moduli: Vec<usize>,
    pub widths_of_moduli: Vec<usize>,
    /// K and p of the figure over K.
    pub widths: Vec<usize>,
    pub moduli_of_widths: Vec<usize>,
    pub train_fraction: f64,
    /// Seed of splits and initial weights.
    pub seed: u64,
    pub n_seeds: u64,
    pub plan: TrainPlan,
    pub nbeta: f64,
    pub sampling: Sampling,
    pub probes: Probes,
}

/// Small networks whose learning coefficient is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Theorems {
    /// (d, p, K) of networks with generic inputs.
    pub generic: Vec<[u32; 3]>,
    /// (p, K) of networks for modular addition.
    pub modular: Vec<[u32; 2]>,
    pub seed: u64,
    pub nbeta: f64,
    pub sampling: Sampling,
}

/// The map over ε and γ around the trained network of `grokking`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heat {
    pub step_sizes: Vec<f64>,
    pub gammas: Vec<f64>,
    /// Step size and γ in it are not used.
    pub sampling: Sampling,
    pub probes: Probes,
}

/// One network at several learning rates, trained until it has learnt.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Severity {
    pub task: Task,
    /// In increasing order.
    pub learning_rates: Vec<f64>,
    /// Those of the first are in the table.
    pub weight_decays: Vec<f64>,
    pub n_seeds: u64,
    /// Seed of the initial weights.
    pub init_seed: u64,
    /// Rate and decay of its optimiser are not used.
    pub plan: TrainPlan,
    /// A row stops when so many checkpoints in a row have this validation accuracy.
    pub stop_accuracy: f64,
    pub stop_after: usize,
    pub nbeta: f64,
    pub sampling: Sampling,
}

/// One network, of which p, K, the weight decay and the learning rate are varied in turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variations {
    /// The one that is varied.
    pub task: Task,
    /// Each in increasing order.
    pub moduli: Vec<usize>,
    pub widths: Vec<usize>,
    pub weight_decays: Vec<f64>,
    pub learning_rates: Vec<f64>,
    /// Of those over which neither is varied.
    pub weight_decay: f64,
    pub learning_rate: f64,
    /// Seed of the initial weights.
    pub init_seed: u64,
    /// Rate and decay of its optimiser are not used.
    pub plan: TrainPlan,
    /// A training stops when so many checkpoints in a row have this validation accuracy.
    pub stop_accuracy: f64,
    pub stop_after: usize,
    /// A checkpoint has an estimate if its number is at least so many times that of the last one that has; so has the last checkpoint.
    pub estimate_growth: f64,
    pub nbeta: f64,
    pub sampling: Sampling,
}

/// Landscapes in the plane.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toys {
    /// `nβ` is that of so many samples.
    pub n_samples: usize,
    pub sampling: Sampling,
    /// Hottest and coldest nβ of the fit over temperatures; chosen if left out.
    pub nbetas: Option<(f64, f64)>,
}

/// Solutions of the network of `grokking` that memorise, and one that generalises.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memorising {
    /// The first seeds of `grokking`.
    pub n_seeds: u64,
    pub label_seed: u64,
    /// Up to which a network has not generalised.
    pub validation_accuracy: f64,
    /// Steps on random labels, and from one checkpoint to the next.
    pub n_steps: u64,
    pub every: u64,
    /// γ, from the published one to where the estimate is local.
    pub gammas: Vec<f64>,
    /// nβ/γ of the second order.
    pub scales: Vec<f64>,
    /// γ in it is not used.
    pub sampling: Sampling,
    pub probes: Probes,
}

/// Jacobians at trained weights, of small networks and of that of `grokking`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Solutions {
    /// (p, K) of the small ones.
    pub sizes: Vec<(usize, usize)>,
    pub train_fraction: f64,
    /// Seed of splits and initial weights.
    pub seed: u64,
    pub plan: TrainPlan,
    pub nbeta: f64,
    pub sampling: Sampling,
    /// Of the large one: scales s, and how its spectrum is had.
    pub scales: Vec<f64>,
    pub probes: Probes,
}

/// Networks of several moduli on several shares of their pairs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regimes {
    pub moduli: Vec<usize>,
    /// Shares of the pairs, in increasing order.
    pub fractions: Vec<f64>,
    pub n_hidden: usize,
    /// Seed of splits and initial weights.
    pub seed: u64,
    pub n_seeds: u64,
    pub plan: TrainPlan,
    /// A training stops when so many checkpoints in a row have this validation accuracy, for all seeds.
    pub stop_accuracy: f64,
    pub stop_after: usize,
}

/// A transformer over its training, for some seeds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transformer {
    /// Its `n_hidden` is that of a layer's feed-forward part.
    pub task: Task,
    pub width: usize,
    pub n_heads: usize,
    pub n_layers: usize,
    pub activation: Activation,
    pub n_seeds: u64,
    /// Seed of the initial weights.
    pub init_seed: u64,
    pub plan: TrainPlan,
    /// A training stops when so many checkpoints in a row have this validation accuracy.
    pub stop_accuracy: f64,
    pub stop_after: usize,
    /// As that of `variations`.
    pub estimate_growth: f64,
    pub nbeta: f64,
    pub sampling: Sampling,
}

impl Variations {
    /// The networks over p, over K, over the weight decay and over the learning rate, each with how it is trained.
    pub fn groups(&self) -> Result<[Vec<(Task, TrainPlan)>; 4], OptimiserError> {
        let task = self.task;
        let with = |rate, decay| {
            Ok(TrainPlan {
                optimiser: self.plan.optimiser.with(rate, decay)?,
                ..self.plan.clone()
            })
        };
        let (rate, decay) = (self.learning_rate, self.weight_decay);
        let base = with(rate, decay)?;
        let moduli = self.moduli.iter();
        let widths = self.widths.iter();
        let decays = self.weight_decays.iter();
        let rates = self.learning_rates.iter();
        Ok([
            moduli
                .map(|&modulus| (Task { modulus, ..task }, base.clone()))
                .collect(),
            widths
                .map(|&n_hidden| (Task { n_hidden, ..task }, base.clone()))
                .collect(),
            decays
                .map(|&decay| Ok((task, with(rate, decay)?)))
                .collect::<Result<_, _>>()?,
            rates
                .map(|&rate| Ok((task, with(rate, decay)?)))
                .collect::<Result<_, _>>()?,
        ])
    }
}

impl Regimes {
    pub fn task(&self, modulus: usize, train_fraction: f64) -> Task {
        Task {
            modulus,
            n_hidden: self.n_hidden,
            train_fraction,
            seed: self.seed,
        }
    }
}

impl Sizes {
    /// All (p, K), those of both figures once.
    pub fn all(&self) -> Vec<(usize, usize)> {
        let product = |moduli: &[usize], widths: &[usize]| -> Vec<_> {
            let pairs = |&p: &usize| widths.iter().map(move |&k| (p, k)).collect::<Vec<_>>();
            moduli.iter().flat_map(pairs).collect()
        };
        let mut all = product(&self.moduli, &self.widths_of_moduli);
        all.extend(product(&self.moduli_of_widths, &self.widths));
        all.sort_unstable();
        all.dedup();
        all
    }

    pub fn task(&self, (modulus, n_hidden): (usize, usize)) -> Task {
        Task {
            modulus,
            n_hidden,
            train_fraction: self.train_fraction,
            seed: self.seed,
        }
    }
}

impl Settings {
    /// Refuses, before any work, what no experiment can be run with.
    pub fn check(&self) -> anyhow::Result<()> {
        let g = &self.grokking;
        trained(&g.task, &g.plan, &g.sampling, g.nbeta).context("[grokking]")?;
        ensure!(
            g.n_seeds >= 2,
            "[grokking] n_seeds is {}; expected at least 2",
            g.n_seeds
        );
        ensure!(
            g.estimate_every > 0,
            "[grokking] estimate_every is 0; expected at least 1"
        );
        let s = &self.sizes;
        for size in s.all() {
            trained(&s.task(size), &s.plan, &s.sampling, s.nbeta).context("[sizes]")?;
        }
        for (name, values) in [("moduli", &s.moduli), ("widths", &s.widths)] {
            ensure!(
                values.len() >= 3 && values.is_sorted_by(|a, b| a < b),
                "[sizes] {name} is {values:?}; expected at least 3 in increasing order"
            );
        }
        ensure!(s.n_seeds > 0, "[sizes] n_seeds is 0; expected at least 1");
        let h = &self.heat;
        increasing("[heat] step_sizes", &h.step_sizes)?;
        increasing("[heat] gammas", &h.gammas)?;
        h.sampling.plan(g.task.n_train()).context("[heat]")?;
        let v = &self.severity;
        trained(&v.task, &v.plan, &v.sampling, v.nbeta).context("[severity]")?;
        increasing("[severity] learning_rates", &v.learning_rates)?;
        ensure!(
            !v.weight_decays.is_empty(),
            "[severity] weight_decays is empty; expected at least 1"
        );
        for &decay in &v.weight_decays {
            for &rate in &v.learning_rates {
                v.plan.optimiser.with(rate, decay).context("[severity]")?;
            }
        }
        for (name, value) in [("n_seeds", v.n_seeds), ("stop_after", v.stop_after as u64)] {
            ensure!(value > 0, "[severity] {name} is 0; expected at least 1");
        }
        let v = &self.variations;
        for (task, plan) in v.groups().context("[variations]")?.concat() {
            trained(&task, &plan, &v.sampling, v.nbeta).context("[variations]")?;
        }
        let counts = |values: &[usize]| values.iter().map(|&v| v as f64).collect::<Vec<_>>();
        increasing("[variations] moduli", &counts(&v.moduli))?;
        increasing("[variations] widths", &counts(&v.widths))?;
        increasing("[variations] weight_decays", &v.weight_decays)?;
        increasing("[variations] learning_rates", &v.learning_rates)?;
        until_stop(v.stop_after, v.estimate_growth, &v.sampling).context("[variations]")?;
        let t = &self.transformer;
        trained(&t.task, &t.plan, &t.sampling, t.nbeta).context("[transformer]")?;
        until_stop(t.stop_after, t.estimate_growth, &t.sampling).context("[transformer]")?;
        t.targets().context("[transformer]")?;
        ensure!(
            t.n_seeds > 0,
            "[transformer] n_seeds is 0; expected at least 1"
        );
        let m = &self.memorising;
        ensure!(
            (2..=g.n_seeds).contains(&m.n_seeds),
            "[memorising] n_seeds is {}; expected 2 to that of [grokking], {}",
            m.n_seeds,
            g.n_seeds
        );
        for (name, value) in [("n_steps", m.n_steps), ("every", m.every)] {
            ensure!(value > 0, "[memorising] {name} is 0; expected at least 1");
        }
        increasing("[memorising] gammas", &m.gammas)?;
        increasing("[memorising] scales", &m.scales)?;
        m.sampling.plan(g.task.n_train()).context("[memorising]")?;
        let j = &self.solutions;
        for &(modulus, n_hidden) in &j.sizes {
            let task = Task {
                modulus,
                n_hidden,
                train_fraction: j.train_fraction,
                seed: j.seed,
            };
            task.check().context("[solutions]")?;
            check_batch(&task, j.plan.batch_size).context("[solutions]")?;
            j.plan.check(task.n_train()).context("[solutions]")?;
        }
        j.sampling.dynamics(j.nbeta).context("[solutions]")?;
        j.sampling.plan(usize::MAX).context("[solutions]")?;
        increasing("[solutions] scales", &j.scales)?;
        let r = &self.regimes;
        increasing("[regimes] fractions", &r.fractions)?;
        for (&modulus, &fraction) in r
            .moduli
            .iter()
            .flat_map(|m| r.fractions.iter().map(move |f| (m, f)))
        {
            let task = r.task(modulus, fraction);
            task.check().context("[regimes]")?;
            check_batch(&task, r.plan.batch_size).context("[regimes]")?;
            r.plan.check(task.n_train()).context("[regimes]")?;
        }
        for (name, value) in [("n_seeds", r.n_seeds), ("stop_after", r.stop_after as u64)] {
            ensure!(value > 0, "[regimes] {name} is 0; expected at least 1");
        }
        let toys = &self.toys;
        default_nbeta(toys.n_samples).context("[toys]")?;
        toys.sampling.plan(toys.n_samples).context("[toys]")?;
        let t = &self.theorems;
        t.sampling.dynamics(t.nbeta).context("[theorems]")?;
        t.sampling.plan(usize::MAX).context("[theorems]")?;
        Ok(())
    }
}

fn increasing(name: &str, values: &[f64]) -> anyhow::Result<()> {
    ensure!(
        values.len() >= 2
            && values.is_sorted_by(|a, b| a < b)
            && values.iter().all(|&v| 0.0 < v && v.is_finite()),
        "{name} is {values:?}; expected increasing positive numbers, at least 2"
    );
    Ok(())
}

/// Trainings up to an early stop, with estimates whose error is the spread of their chains.
fn until_stop(stop_after: usize, estimate_growth: f64, sampling: &Sampling) -> anyhow::Result<()> {
    ensure!(
        sampling.n_chains >= 2,
        "n_chains is {}; expected at least 2, whose spread is the error",
        sampling.n_chains
    );
    ensure!(stop_after > 0, "stop_after is 0; expected at least 1");
    ensure!(
        1.0 <= estimate_growth && estimate_growth.is_finite(),
        "estimate_growth is {estimate_growth}; expected at least 1"
    );
    Ok(())
}

fn trained(task: &Task, plan: &TrainPlan, sampling: &Sampling, nbeta: f64) -> anyhow::Result<()> {
    task.check()?;
    check_batch(task, plan.batch_size)?;
    plan.check(task.n_train())?;
    sampling.dynamics(nbeta)?;
    sampling.plan(task.n_train())?;
    Ok(())
}
