//! The experiment file: every setting of every figure.

use anyhow::ensure;
use serde::{Deserialize, Serialize};

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
        at_least("[generalisation] n_shifts", g.n_shifts as u64, 1)
    }
}

fn positive(name: &str, value: f64) -> anyhow::Result<()> {
    ensure!(
        0.0 < value && value.is_finite(),
        "{name} is {value}; expected a positive number"
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
