//! The experiment file: every setting of every figure.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use slt_models::{Activation, Loss, Mlp, Parity, Precision};
use slt_sampler::{Probes, Sampling};
use slt_training::TrainPlan;

/// Settings of all experiments; one table of the file each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub linear: Linear,
    pub tanh: Tanh,
    pub training: Training,
    pub parity: ParityNet,
    pub ice: Ice,
}

/// Warm-up: a line through points of a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    pub n_samples: usize,
    pub slope: f64,
    pub intercept: f64,
    pub published: Sampling,
    pub mixed: Sampling,
}

/// One hidden tanh unit at a true minimum.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tanh {
    pub n_samples: usize,
    pub n_starts: u64,
    pub start_seed: u64,
    pub published: Sampling,
    pub converged: Sampling,
}

/// The same unit in training.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    pub n_samples: usize,
    pub n_seeds: u64,
    pub init_seed: u64,
    pub plan: TrainPlan,
    pub sampling: Sampling,
    pub traces_at: Vec<u64>,
}

/// The parity net.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParityNet {
    pub task: Parity,
    pub n_train: usize,
    pub n_test: usize,
    pub widths: Vec<usize>,
    pub loss: Loss,
    pub precision: Precision,
    pub n_seeds: u64,
    pub init_seed: u64,
    pub data_seed: u64,
    pub plan: TrainPlan,
    pub llc_every: u64,
    pub sampling: Sampling,
    /// For the quadratic prediction beside each estimate.
    pub probes: Probes,
}

/// Two phases of water, and two basins of a loss.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ice {
    pub enthalpy_of_fusion: f64,
    pub entropy_of_fusion: f64,
    pub complex: Basin,
    pub simple: Basin,
}

/// A basin of a loss.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basin {
    pub loss: f64,
    pub lambda: f64,
    #[serde(default = "one")]
    pub multiplicity: u32,
}

fn one() -> u32 {
    1
}

impl ParityNet {
    pub fn network(&self) -> Mlp {
        Mlp {
            widths: self.widths.clone(),
            activation: Activation::Relu,
            bias: true,
        }
    }
}

impl Settings {
    /// Refuses, before any work, what no experiment can be run with.
    pub fn check(&self) -> anyhow::Result<()> {
        let sampling = |table: &str, sampling: &Sampling, n: usize| {
            ensure!(n >= 3, "[{table}] has {n} samples; expected at least 3");
            let plan = sampling.plan(n);
            plan.map(drop).with_context(|| format!("[{table}]"))
        };
        sampling(
            "linear.published",
            &self.linear.published,
            self.linear.n_samples,
        )?;
        sampling("linear.mixed", &self.linear.mixed, self.linear.n_samples)?;
        for (name, value) in [
            ("slope", self.linear.slope),
            ("intercept", self.linear.intercept),
        ] {
            ensure!(
                value.is_finite(),
                "[linear] {name} is {value}; expected a finite number"
            );
        }
        sampling("tanh.published", &self.tanh.published, self.tanh.n_samples)?;
        sampling("tanh.converged", &self.tanh.converged, self.tanh.n_samples)?;
        for (table, sampling, least) in [
            (
                "linear.published",
                &self.linear.published,
                slt_stats::MIN_REPLICATES,
            ),
            (
                "linear.mixed",
                &self.linear.mixed,
                slt_stats::MIN_REPLICATES,
            ),
            ("tanh.published", &self.tanh.published, 8),
            ("tanh.converged", &self.tanh.converged, 8),
        ] {
            let n = sampling.n_chains;
            ensure!(
                n >= least,
                "[{table}] n_chains is {n}; expected at least {least}"
            );
        }
        ensure!(
            self.tanh.n_starts > 0,
            "[tanh] n_starts is 0; expected at least 1"
        );
        sampling(
            "training.sampling",
            &self.training.sampling,
            self.training.n_samples,
        )?;
        sampling(
            "parity.sampling",
            &self.parity.sampling,
            self.parity.n_train,
        )?;
        ensure!(
            self.training.n_seeds > 0,
            "[training] n_seeds is 0; expected at least 1"
        );
        ensure!(
            self.parity.n_seeds > 0,
            "[parity] n_seeds is 0; expected at least 1"
        );
        for (table, plan, n) in [
            (
                "training.plan",
                &self.training.plan,
                self.training.n_samples,
            ),
            ("parity.plan", &self.parity.plan, self.parity.n_train),
        ] {
            plan.check(n).with_context(|| format!("[{table}]"))?;
        }
        let steps = self.training.plan.checkpoint_steps();
        let missing = self
            .training
            .traces_at
            .iter()
            .find(|step| !steps.contains(step));
        ensure!(
            missing.is_none(),
            "[training] traces_at holds {missing:?}, which is no checkpoint"
        );
        let (every, stride) = (self.parity.llc_every, self.parity.plan.checkpoint_every);
        ensure!(
            every > 0 && every.is_multiple_of(stride),
            "[parity] llc_every is {every}; expected a multiple of checkpoint_every, {stride}"
        );
        ensure!(
            self.parity.n_test > 0,
            "[parity] n_test is 0; expected at least 1"
        );
        self.parity.task.samples(1, 0, 0).context("[parity.task]")?;
        let (first, last) = (self.parity.widths.first(), self.parity.widths.last());
        ensure!(
            first == Some(&self.parity.task.n_bits)
                && last == Some(&1)
                && !self.parity.widths.contains(&0),
            "[parity] widths are {:?}; expected positive widths from {} to 1",
            self.parity.widths,
            self.parity.task.n_bits
        );
        self.ice.check()
    }
}

impl Ice {
    fn check(&self) -> anyhow::Result<()> {
        let values = [
            ("enthalpy_of_fusion", self.enthalpy_of_fusion),
            ("entropy_of_fusion", self.entropy_of_fusion),
            ("complex.lambda", self.complex.lambda),
            ("simple.lambda", self.simple.lambda),
        ];
        for (name, value) in values {
            ensure!(
                0.0 < value && value.is_finite(),
                "[ice] {name} is {value}; expected a positive number"
            );
        }
        Ok(())
    }
}
