//! The experiment file: every setting of every figure.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use slt_sampler::{Probes, Sampling, StringPlan, default_nbeta};
use slt_training::TrainPlan;

/// Settings of all experiments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub grokking: Grokking,
    pub polynomials: Polynomials,
    pub low_rank: LowRank,
    pub autoencoders: Autoencoders,
    pub superposition: Vec<Superposition>,
}

/// Many trainings of one small network on modular addition.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grokking {
    pub modulus: usize,
    pub train_fraction: f64,
    /// Of the embedding, and hidden units.
    pub width: usize,
    pub n_hidden: usize,
    pub n_models: u64,
    pub models_in_a_cell: u64,
    /// Models whose curves and estimates over training are kept, one estimate every so many checkpoints.
    pub n_followed: u64,
    pub follow_every: usize,
    /// Seed of splits and initial weights.
    pub seed: u64,
    pub plan: TrainPlan,
    /// From which on a model has generalised, and checkpoints after it has memorised: more than this many.
    pub validation_accuracy: f64,
    pub least_time: usize,
    pub nbeta: f64,
    pub sampling: Sampling,
    /// Of the path of least loss between the two checkpoints.
    pub string: StringPlan,
    /// Checkpoints with an estimate from the one to the other, both counted.
    pub n_stops: usize,
}

impl Grokking {
    /// Pairs to train on.
    pub fn n_train(&self) -> usize {
        (self.train_fraction * self.modulus.pow(2) as f64) as usize
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            (2..=1000).contains(&self.modulus),
            "modulus is {}; expected from 2 to 1000",
            self.modulus
        );
        ensure!(
            0.0 < self.train_fraction && self.train_fraction < 1.0 && self.n_train() > 0,
            "train_fraction is {}; expected more than 0 and less than 1, for at least one pair",
            self.train_fraction
        );
        for (name, value) in [
            ("width", self.width as u64),
            ("n_hidden", self.n_hidden as u64),
            ("n_models", self.n_models),
            ("models_in_a_cell", self.models_in_a_cell),
            ("n_followed", self.n_followed),
            ("follow_every", self.follow_every as u64),
        ] {
            ensure!(value > 0, "{name} is 0; expected at least 1");
        }
        ensure!(
            0.0 < self.validation_accuracy && self.validation_accuracy <= 1.0,
            "validation_accuracy is {}; expected more than 0 and at most 1",
            self.validation_accuracy
        );
        self.plan.check(self.n_train())?;
        self.string.check()?;
        ensure!(
            2 <= self.n_stops && self.n_stops <= self.least_time + 2,
            "n_stops is {}; expected from 2 to {}, which lie on the way of every kept run",
            self.n_stops,
            self.least_time + 2
        );
        self.sampling.dynamics(self.nbeta)?;
        self.sampling.plan(self.n_train())?;
        Ok(())
    }
}

/// Toy models of superposition in training.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Superposition {
    pub features: Features,
    pub n_features: usize,
    pub n_hidden: usize,
    pub n_samples: usize,
    pub n_models: u64,
    /// Seed of data and initial weights.
    pub seed: u64,
    /// Length of the two columns that the models begin with; standard deviations of the noise on the weights, and of the biases.
    pub length: f64,
    pub weight_sd: f64,
    pub bias_sd: f64,
    /// From one checkpoint to the next is an epoch.
    pub plan: TrainPlan,
    /// Epochs from which on transitions are looked for and estimates made.
    pub from_epoch: u64,
    /// Numbers of estimates at equal distances, and at equal ratios.
    pub n_linear: usize,
    pub n_log: usize,
    /// Shares of the whole drop that make a transition; the last is the one that is compared.
    pub drop_shares: Vec<f64>,
    pub sampling: Sampling,
}

/// Values of the active feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Features {
    /// Always 1, and the mean over features in the loss: the paper.
    Binary,
    /// Uniform between 0 and 1, and the sum over features: Chen et al. (2023).
    Uniform,
}

impl Superposition {
    fn n_epochs(&self) -> u64 {
        self.plan.n_steps / self.plan.checkpoint_every
    }

    /// Epochs with an estimate.
    pub fn checkpoints(&self) -> Vec<u64> {
        let (from, to) = (self.from_epoch as f64, self.n_epochs() as f64);
        let share = |i: usize, n: usize| i as f64 / (n - 1) as f64;
        let linear = (0..self.n_linear).map(|i| from + (to - from) * share(i, self.n_linear));
        let log = (0..self.n_log).map(|i| from * (to / from).powf(share(i, self.n_log)));
        let mut all: Vec<u64> = linear.chain(log).map(|e| e.round() as u64).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn check(&self) -> anyhow::Result<()> {
        default_nbeta(self.n_samples)?;
        self.sampling.plan(self.n_samples)?;
        self.plan.check(self.n_samples)?;
        ensure!(
            self.n_features >= 2 && self.n_hidden == 2,
            "there are {} features and {} hidden units; expected at least 2, and 2",
            self.n_features,
            self.n_hidden
        );
        ensure!(
            self.n_models >= 2 && self.n_linear >= 2 && self.n_log >= 2,
            "n_models, n_linear and n_log are {}, {} and {}; expected at least 2 of each",
            self.n_models,
            self.n_linear,
            self.n_log
        );
        ensure!(
            (1..self.n_epochs()).contains(&self.from_epoch),
            "from_epoch is {}; expected from 1 to less than the {} epochs of the plan",
            self.from_epoch,
            self.n_epochs()
        );
        ensure!(
            !self.drop_shares.is_empty() && self.drop_shares.iter().all(|&s| 0.0 < s && s < 1.0),
            "drop_shares is {:?}; expected some, between 0 and 1",
            self.drop_shares
        );
        Ok(())
    }
}

/// Polynomials of several degrees on several intervals.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polynomials {
    /// Inputs lie in `[-a, a]`; the widest first.
    pub domains: Vec<f64>,
    /// In increasing order.
    pub degrees: Vec<usize>,
    pub n_samples: usize,
    pub n_repeats: u64,
    /// Seed of inputs and coefficients.
    pub seed: u64,
    pub sampling: Sampling,
    /// γ at which the exact estimate is computed, in decreasing order, up to a degree.
    pub gammas: Vec<f64>,
    pub gammas_to: usize,
}

/// Linear networks of two layers of which the inner width is the rank of the map they learn.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LowRank {
    /// Inputs, and outputs.
    pub n_features: usize,
    /// In increasing order.
    pub ranks: Vec<usize>,
    pub n_samples: usize,
    pub n_repeats: u64,
    /// Seed of inputs, teachers and initial weights.
    pub seed: u64,
    /// What the paper does not state; the first is the one that is compared.
    pub conventions: Vec<Convention>,
    /// Of the steps before L-BFGS takes over.
    pub plan: TrainPlan,
    /// Gradient's norm at a minimum, at most.
    pub tolerance: f64,
    pub sampling: Sampling,
}

/// What a teacher may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convention {
    pub name: String,
    /// The teacher's weights are normal with this standard deviation, or initial weights like the network's if left out.
    pub teacher_sd: Option<f64>,
}

/// Autoencoders whose narrowest layer is as wide as the data's rank.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Autoencoders {
    /// Of the data, and of the layers around the narrow one.
    pub n_features: usize,
    pub n_hidden: usize,
    /// In increasing order.
    pub ranks: Vec<usize>,
    pub n_samples: usize,
    pub n_repeats: u64,
    /// Seed of data and initial weights.
    pub seed: u64,
    pub plan: TrainPlan,
    pub sampling: Sampling,
    pub probes: Probes,
}

impl Settings {
    /// Refuses, before any work, what no experiment can be run with.
    pub fn check(&self) -> anyhow::Result<()> {
        self.grokking.check().context("[grokking]")?;
        let p = &self.polynomials;
        default_nbeta(p.n_samples).context("[polynomials]")?;
        p.sampling.plan(p.n_samples).context("[polynomials]")?;
        positive("[polynomials] domains", &p.domains)?;
        increasing("[polynomials] degrees", &p.degrees, 1..p.n_samples)?;
        positive("[polynomials] gammas", &p.gammas)?;
        ensure!(
            p.n_repeats >= 2,
            "[polynomials] n_repeats is {}; expected at least 2",
            p.n_repeats
        );
        ensure!(
            !self.superposition.is_empty(),
            "there is no [[superposition]]; expected at least one"
        );
        for superposition in &self.superposition {
            superposition.check().context("[[superposition]]")?;
        }
        let a = &self.autoencoders;
        default_nbeta(a.n_samples).context("[autoencoders]")?;
        a.sampling.plan(a.n_samples).context("[autoencoders]")?;
        a.plan.check(a.n_samples).context("[autoencoders]")?;
        increasing("[autoencoders] ranks", &a.ranks, 1..a.n_features + 1)?;
        ensure!(
            a.n_hidden > 0 && a.n_repeats >= 2,
            "[autoencoders] n_hidden and n_repeats are {} and {}; expected at least 1 and 2",
            a.n_hidden,
            a.n_repeats
        );
        let l = &self.low_rank;
        default_nbeta(l.n_samples).context("[low_rank]")?;
        l.sampling.plan(l.n_samples).context("[low_rank]")?;
        l.plan.check(l.n_samples).context("[low_rank]")?;
        increasing("[low_rank] ranks", &l.ranks, 1..l.n_features + 1)?;
        ensure!(
            l.n_samples > l.n_features,
            "[low_rank] n_samples is {}; expected more than n_features, {}",
            l.n_samples,
            l.n_features
        );
        ensure!(
            0.0 < l.tolerance && l.tolerance.is_finite(),
            "[low_rank] tolerance is {}; expected a positive number",
            l.tolerance
        );
        for convention in &l.conventions {
            let sd = convention.teacher_sd.unwrap_or(1.0);
            ensure!(
                0.0 < sd && sd.is_finite(),
                "[low_rank] teacher_sd of '{}' is {sd}; expected a positive number",
                convention.name
            );
        }
        ensure!(
            l.n_repeats >= 1 && !l.conventions.is_empty(),
            "[low_rank] has {} repeats of {} conventions; expected at least one of each",
            l.n_repeats,
            l.conventions.len()
        );
        Ok(())
    }
}

fn positive(name: &str, values: &[f64]) -> anyhow::Result<()> {
    ensure!(
        !values.is_empty()
            && values.is_sorted_by(|a, b| a > b)
            && values.iter().all(|&v| 0.0 < v && v.is_finite()),
        "{name} is {values:?}; expected decreasing positive numbers"
    );
    Ok(())
}

fn increasing(name: &str, values: &[usize], range: std::ops::Range<usize>) -> anyhow::Result<()> {
    ensure!(
        values.len() >= 4
            && values.is_sorted_by(|a, b| a < b)
            && values.iter().all(|v| range.contains(v)),
        "{name} is {values:?}; expected at least 4 numbers in increasing order from {} to {}",
        range.start,
        range.end - 1
    );
    Ok(())
}
