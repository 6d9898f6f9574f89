//! The experiment file: every setting of every figure.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use slt_sampler::Sampling;
use slt_sampler::targets::BenchmarkClass;

/// Settings of all experiments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Networks, by class.
    pub classes: Vec<Class>,
    pub steps: Steps,
    pub heat: Heat,
}

/// Networks of a class, and how they are sampled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    pub class: BenchmarkClass,
    /// Seed of the networks and their data.
    pub seed: u64,
    pub n_networks: u64,
    pub sgld: Sampling,
    pub rmsprop: Option<Sampling>,
    pub mala: Option<Sampling>,
    pub automatic: Option<Automatic>,
}

/// What slt's own settings are chosen from.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Automatic {
    /// Of the first networks alone.
    pub n_networks: u64,
    /// Standard error of an estimate, as a share of it.
    pub relative_error: f64,
    /// Gradients of single chains for one estimate.
    pub max_gradients: u64,
    pub seed: u64,
}

/// λ̂ against the step, for three kernels that share all else.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    pub class: BenchmarkClass,
    pub seed: u64,
    pub n_networks: u64,
    pub sgld: Vec<f64>,
    /// Of RMSProp-SGLD and Adam-SGLD.
    pub preconditioned: Vec<f64>,
    /// Step size and kernel in it are not used.
    pub sampling: Sampling,
}

/// The sweep over ε, γ and nβ around one network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heat {
    pub class: BenchmarkClass,
    pub seed: u64,
    pub stream: u64,
    pub step_sizes: Vec<f64>,
    pub gammas: Vec<f64>,
    /// nβ as multiples of n / ln n.
    pub factors: Vec<f64>,
    /// Step size and γ in it are not used.
    pub sampling: Sampling,
}

impl Settings {
    /// Refuses, before any work, what no experiment can be run with.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            !self.classes.is_empty(),
            "there are no [[classes]]; expected at least one"
        );
        for (i, class) in self.classes.iter().enumerate() {
            let twice = self.classes[..i].iter().any(|c| c.class == class.class);
            ensure!(!twice, "{:?} stands twice in [[classes]]", class.class);
            class
                .check()
                .with_context(|| format!("[[classes]] {:?}", class.class))?;
        }
        let n = self.steps.class.n_samples();
        self.steps.sampling.plan(n).context("[steps.sampling]")?;
        positive("steps.sgld", &self.steps.sgld)?;
        positive("steps.preconditioned", &self.steps.preconditioned)?;
        ensure!(
            self.steps.n_networks > 0,
            "[steps] n_networks is 0; expected at least 1"
        );
        let n = self.heat.class.n_samples();
        self.heat.sampling.plan(n).context("[heat.sampling]")?;
        positive("heat.step_sizes", &self.heat.step_sizes)?;
        positive("heat.gammas", &self.heat.gammas)?;
        positive("heat.factors", &self.heat.factors)
    }
}

impl Class {
    fn check(&self) -> anyhow::Result<()> {
        let n = self.class.n_samples();
        ensure!(
            self.n_networks >= 3,
            "n_networks is {}; expected at least 3",
            self.n_networks
        );
        self.sgld.plan(n).context("sgld")?;
        for (name, settings) in [("rmsprop", &self.rmsprop), ("mala", &self.mala)] {
            if let Some(settings) = settings {
                settings.plan(n).context(name)?;
            }
        }
        if let Some(automatic) = &self.automatic {
            let error = automatic.relative_error;
            ensure!(
                0.0 < error && error < 1.0,
                "automatic.relative_error is {error}; expected more than 0 and less than 1"
            );
            ensure!(
                (1..=self.n_networks).contains(&automatic.n_networks),
                "automatic.n_networks is {}; expected 1 to n_networks, {}",
                automatic.n_networks,
                self.n_networks
            );
        }
        Ok(())
    }
}

/// Increasing positive numbers, as an axis of a map needs them.
fn positive(name: &str, values: &[f64]) -> anyhow::Result<()> {
    let fine = !values.is_empty()
        && values.iter().all(|&v| 0.0 < v && v.is_finite())
        && values.is_sorted_by(|a, b| a < b);
    ensure!(
        fine,
        "{name} is {values:?}; expected increasing positive numbers"
    );
    Ok(())
}
