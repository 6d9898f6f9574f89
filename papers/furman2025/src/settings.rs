//! The experiment file: every setting of every figure.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use slt_sampler::targets::BenchmarkClass;
use slt_sampler::{Kernel, Populations, Sampling};
use slt_training::TrainPlan;

use crate::germs::Germ;
use crate::models::Kind;

/// Settings of all experiments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Which models of the slides' list, the two Gaussians first.
    pub models: Vec<Kind>,
    /// Of which losses volumes and free energies.
    pub germs: Vec<Germ>,
    pub singular: Singular,
    pub volumes: Volumes,
    pub free_energy: FreeEnergy,
    pub estimation: Estimation,
    pub criteria: Criteria,
    pub generalisation: Generalising,
    pub two_phases: TwoPhases,
    pub superposition: Superposition,
    pub trajectories: Trajectories,
    pub benchmark: Vec<Benchmark>,
    pub rescaling: Rescaling,
}

/// λ̂ and Fisher information of small models.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Singular {
    /// Precision of the normal prior around w*.
    pub gamma: f64,
    /// The least nβ and the largest, at which a loss of a few probabilities still has digits.
    pub first: f64,
    pub last: f64,
    /// Standard error at each temperature, as a share.
    pub relative_error: f64,
    /// Losses that may be evaluated for one model.
    pub max_evaluations: u64,
    /// Samples of the Fisher information.
    pub n_samples: usize,
    pub seed: u64,
}

/// Volumes by multilevel splitting.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volumes {
    pub gamma: f64,
    /// The largest ε and the least.
    pub first: f64,
    pub last: f64,
    pub n_epsilons: usize,
    pub n_particles: usize,
    pub n_populations: usize,
    pub n_moves: usize,
    pub seed: u64,
}

/// Free energies over n.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeEnergy {
    pub gamma: f64,
    /// The least n and the largest.
    pub first: f64,
    pub last: f64,
    /// The least n of the fit and the largest: a power of n^(-1/4) has to die out in between.
    pub fit_from: f64,
    pub fit_to: f64,
    pub n_rungs: usize,
    /// Standard error at each n, as a share.
    pub relative_error: f64,
    pub max_evaluations: u64,
    pub seed: u64,
}

/// Maximum likelihood and the posterior of the two examples.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimation {
    /// n of the table.
    pub n: f64,
    /// The true w of the curves, in increasing order from 0.
    pub truths: Vec<f64>,
    /// Data sets in each of 32 replicates.
    pub n_data_sets: usize,
    /// Those of which a posterior is computed.
    pub n_posteriors: usize,
    pub seed: u64,
}

/// Criteria against the evidence, for a matrix of rank one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Criteria {
    pub n_outputs: u32,
    pub gamma: f64,
    /// The least n and the largest, and how many.
    pub first: f64,
    pub last: f64,
    pub n_sizes: usize,
    /// The entry of the truth of rank one.
    pub signal: f64,
    /// Data sets in each of 32 replicates.
    pub n_data_sets: usize,
    /// The numbers of outputs of the generalisation error, and its data sets in each of 32 replicates.
    pub outputs: Vec<u32>,
    pub n_generalisation: usize,
    pub seed: u64,
}

/// Generalisation errors over data sets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generalising {
    /// Samples of a data set.
    pub n: usize,
    /// Grids of data sets in each of 32 replicates.
    pub n_shifts: usize,
    pub seed: u64,
}

/// Populations that are cooled from the prior.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cooling {
    pub n_populations: usize,
    /// Particles of each.
    pub n_particles: usize,
    /// Trajectories at each step, and leapfrog steps of one.
    pub n_moves: usize,
    pub n_leapfrog: u32,
    pub seed: u64,
}

impl Cooling {
    /// Around a normal prior of precision `gamma`.
    pub fn populations(&self, gamma: f64) -> Populations {
        Populations {
            gamma,
            n_populations: self.n_populations,
            n_particles: self.n_particles,
            n_moves: self.n_moves,
            n_leapfrog: self.n_leapfrog,
            seed: self.seed,
            n_threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    fn check(&self, name: &str, sizes: &[f64]) -> anyhow::Result<()> {
        at_least(
            &format!("{name} n_populations"),
            self.n_populations as u64,
            2,
        )?;
        at_least(&format!("{name} n_particles"), self.n_particles as u64, 16)?;
        at_least(&format!("{name} n_moves"), self.n_moves as u64, 1)?;
        at_least(&format!("{name} n_leapfrog"), self.n_leapfrog.into(), 1)?;
        ensure!(
            sizes.len() >= 2
                && sizes.iter().all(|&n| 1.0 < n && n.is_finite())
                && sizes.is_sorted_by(|a, b| a < b),
            "{name} sizes is {sizes:?}; expected at least 2 increasing numbers above 1"
        );
        Ok(())
    }
}

/// A loss with two phases, at several n.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoPhases {
    pub sizes: Vec<f64>,
    pub cooling: Cooling,
}

/// The toy model of superposition: its posterior, and chains at k-gons.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Superposition {
    /// Numbers of features.
    pub features: Vec<u32>,
    pub posterior: Posterior,
    /// The first is compared with the exact value, the second with the paper's estimates.
    pub local: Vec<LocalPolygons>,
}

/// Its posterior at several n.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posterior {
    pub sizes: Vec<f64>,
    pub cooling: Cooling,
    /// Every so many particles are looked at.
    pub look_at_every: usize,
    /// Proposals in each of 32 replicates of an integral over a phase.
    pub n_proposals: usize,
}

/// Chains at k-gons.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalPolygons {
    pub n_samples: usize,
    /// Proposals in each of 32 replicates of the same mean by importance sampling.
    pub n_proposals: usize,
    pub sampling: Sampling,
}

/// Trainings of the toy model of superposition.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trajectories {
    pub n_features: usize,
    pub n_samples: usize,
    pub n_models: u64,
    /// Standard deviation of the noise on the weights that they begin with, and on the biases.
    pub noise: f64,
    pub bias_noise: f64,
    pub seed: u64,
    pub plan: TrainPlan,
    pub sampling: Sampling,
}

/// Samplers on deep linear networks of a class.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Benchmark {
    pub class: BenchmarkClass,
    /// Of the networks.
    pub seed: u64,
    pub n_networks: u64,
    pub samplers: Vec<Sampler>,
    /// Its kernel and step size are not used.
    pub sampling: Sampling,
}

/// A sampler and its step sizes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampler {
    pub name: String,
    pub kernel: Kernel,
    pub steps: Vec<f64>,
}

/// A ReLU network whose layers are rescaled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rescaling {
    pub widths: [usize; 3],
    pub n_inputs_drawn: usize,
    pub nbeta: f64,
    pub gammas: Vec<f64>,
    pub factors: Vec<f64>,
    /// Standard error of an estimate, as a share of it.
    pub relative_error: f64,
    pub max_gradients: u64,
    pub seed: u64,
}

impl Superposition {
    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            !self.features.is_empty()
                && self.features.iter().all(|c| (4..=12).contains(c))
                && self.features.is_sorted_by(|a, b| a < b),
            "[superposition] features is {:?}; expected increasing numbers from 4 to 12",
            self.features
        );
        let p = &self.posterior;
        p.cooling.check("[superposition.posterior]", &p.sizes)?;
        at_least(
            "[superposition.posterior] look_at_every",
            p.look_at_every as u64,
            1,
        )?;
        at_least(
            "[superposition.posterior] n_proposals",
            p.n_proposals as u64,
            1,
        )?;
        for local in &self.local {
            at_least(
                "[[superposition.local]] n_proposals",
                local.n_proposals as u64,
                1,
            )?;
            at_least(
                "[[superposition.local]] n_samples",
                local.n_samples as u64,
                2,
            )?;
            local
                .sampling
                .plan(local.n_samples)
                .context("[[superposition.local]]")?;
            positive("[[superposition.local]] gamma", local.sampling.gamma)?;
        }
        Ok(())
    }
}

impl Trajectories {
    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            (4..=12).contains(&self.n_features),
            "[trajectories] n_features is {}; expected 4 to 12",
            self.n_features
        );
        at_least("[trajectories] n_models", self.n_models, 1)?;
        at_least("[trajectories] n_samples", self.n_samples as u64, 2)?;
        positive("[trajectories] noise", self.noise)?;
        positive("[trajectories] bias_noise", self.bias_noise)?;
        self.plan
            .check(self.n_samples)
            .context("[trajectories.plan]")?;
        self.sampling
            .plan(self.n_samples)
            .context("[trajectories.sampling]")?;
        Ok(())
    }
}

impl Benchmark {
    fn check(&self) -> anyhow::Result<()> {
        at_least("n_networks", self.n_networks, 1)?;
        ensure!(
            !self.samplers.is_empty(),
            "there are no samplers; expected at least one"
        );
        for sampler in &self.samplers {
            sampler.kernel.check().context(sampler.name.clone())?;
            increasing(&format!("steps of {}", sampler.name), &sampler.steps)?;
        }
        self.sampling.plan(self.class.n_samples())?;
        Ok(())
    }
}

impl Rescaling {
    fn check(&self) -> anyhow::Result<()> {
        for width in self.widths {
            at_least("[rescaling] width", width as u64, 1)?;
        }
        at_least("[rescaling] n_inputs_drawn", self.n_inputs_drawn as u64, 1)?;
        positive("[rescaling] nbeta", self.nbeta)?;
        increasing("[rescaling] gammas", &self.gammas)?;
        increasing("[rescaling] factors", &self.factors)?;
        share("[rescaling] relative_error", self.relative_error)?;
        at_least("[rescaling] max_gradients", self.max_gradients, 1)
    }
}

impl Criteria {
    /// From the least to the largest, with even ratios.
    pub fn sizes(&self) -> Vec<f64> {
        even(self.first, self.last, self.n_sizes)
    }
}

fn even(first: f64, last: f64, n: usize) -> Vec<f64> {
    let at = |i: usize| first * (last / first).powf(i as f64 / (n - 1) as f64);
    (0..n).map(at).collect()
}

impl Volumes {
    /// From the largest to the least, with even ratios.
    pub fn epsilons(&self) -> Vec<f64> {
        even(self.first, self.last, self.n_epsilons)
    }
}

impl Settings {
    /// Refuses, before any work, what no experiment can be run with.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.models
                .starts_with(&[Kind::Gaussian, Kind::CubicGaussian]),
            "models is {:?}; expected gaussian and cubic-gaussian before others",
            self.models
        );
        let law = |germ: &Germ| *germ != Germ::Tanh;
        ensure!(
            self.germs.iter().any(law),
            "germs is {:?}; expected one at least besides tanh",
            self.germs
        );
        let s = &self.singular;
        positive("[singular] gamma", s.gamma)?;
        range("[singular]", s.first, s.last)?;
        share("[singular] relative_error", s.relative_error)?;
        at_least("[singular] max_evaluations", s.max_evaluations, 1)?;
        at_least("[singular] n_samples", s.n_samples as u64, 100)?;
        let v = &self.volumes;
        positive("[volumes] gamma", v.gamma)?;
        ensure!(
            0.0 < v.last && v.last < v.first && v.first < 1.0,
            "[volumes] first and last are {} and {}; expected 1 > first > last > 0",
            v.first,
            v.last
        );
        at_least("[volumes] n_epsilons", v.n_epsilons as u64, 5)?;
        at_least("[volumes] n_particles", v.n_particles as u64, 16)?;
        at_least("[volumes] n_populations", v.n_populations as u64, 2)?;
        at_least("[volumes] n_moves", v.n_moves as u64, 1)?;
        let f = &self.free_energy;
        positive("[free_energy] gamma", f.gamma)?;
        range("[free_energy]", f.first, f.last)?;
        range("[free_energy] of the fit:", f.fit_from, f.fit_to)?;
        at_least("[free_energy] n_rungs", f.n_rungs as u64, 8)?;
        share("[free_energy] relative_error", f.relative_error)?;
        at_least("[free_energy] max_evaluations", f.max_evaluations, 1)?;
        let e = &self.estimation;
        range("[estimation]", 1.5, e.n)?;
        let increasing = |values: &[f64]| values.is_sorted_by(|a, b| a < b);
        ensure!(
            e.truths.first() == Some(&0.0)
                && increasing(&e.truths)
                && e.truths.iter().all(|w| w.is_finite()),
            "[estimation] truths is {:?}; expected increasing numbers from 0 on",
            e.truths
        );
        at_least("[estimation] n_data_sets", e.n_data_sets as u64, 1)?;
        at_least("[estimation] n_posteriors", e.n_posteriors as u64, 1)?;
        let c = &self.criteria;
        positive("[criteria] gamma", c.gamma)?;
        // WBIC needs log n > 1
        range("[criteria]", c.first / std::f64::consts::E, c.last)?;
        positive("[criteria] signal", c.signal)?;
        at_least("[criteria] n_outputs", c.n_outputs.into(), 3)?;
        at_least("[criteria] n_sizes", c.n_sizes as u64, 3)?;
        at_least("[criteria] n_data_sets", c.n_data_sets as u64, 1)?;
        at_least("[criteria] n_generalisation", c.n_generalisation as u64, 1)?;
        ensure!(
            c.outputs.len() >= 2 && c.outputs[0] >= 3 && c.outputs.is_sorted_by(|a, b| a < b),
            "[criteria] outputs is {:?}; expected at least 2 increasing numbers from 3 on",
            c.outputs
        );
        let g = &self.generalisation;
        at_least("[generalisation] n", g.n as u64, 2)?;
        at_least("[generalisation] n_shifts", g.n_shifts as u64, 1)?;
        let t = &self.two_phases;
        t.cooling.check("[two_phases]", &t.sizes)?;
        self.superposition.check()?;
        self.trajectories.check()?;
        for benchmark in &self.benchmark {
            benchmark
                .check()
                .with_context(|| format!("[[benchmark]] {:?}", benchmark.class))?;
        }
        self.rescaling.check()
    }
}

fn positive(name: &str, value: f64) -> anyhow::Result<()> {
    ensure!(
        0.0 < value && value.is_finite(),
        "{name} is {value}; expected a positive number"
    );
    Ok(())
}

/// At least two, as an axis needs them.
fn increasing(name: &str, values: &[f64]) -> anyhow::Result<()> {
    ensure!(
        values.len() >= 2
            && values.iter().all(|&v| 0.0 < v && v.is_finite())
            && values.is_sorted_by(|a, b| a < b),
        "{name} is {values:?}; expected at least 2 increasing positive numbers"
    );
    Ok(())
}

fn range(section: &str, first: f64, last: f64) -> anyhow::Result<()> {
    ensure!(
        1.0 < first && first < last && last.is_finite(),
        "{section} first and last are {first} and {last}; expected 1 < first < last"
    );
    Ok(())
}

fn share(name: &str, value: f64) -> anyhow::Result<()> {
    ensure!(
        0.0 < value && value < 1.0,
        "{name} is {value}; expected more than 0 and less than 1"
    );
    Ok(())
}

fn at_least(name: &str, value: u64, least: u64) -> anyhow::Result<()> {
    ensure!(
        value >= least,
        "{name} is {value}; expected at least {least}"
    );
    Ok(())
}
