//! Addition modulo p, learnt by a quadratic network from a share of all pairs.

use anyhow::{Context, ensure};
use ndarray::Array2;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::targets::QuadraticNetwork;
use slt_stats::Estimate;
use slt_training::pytorch_linear;

/// The data and the network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    pub modulus: usize,
    pub n_hidden: usize,
    /// Share of all pairs that is trained on.
    pub train_fraction: f64,
    /// Seed of the split.
    pub seed: u64,
}

impl Task {
    /// Refuses what no training can be made of.
    pub fn check(&self) -> anyhow::Result<()> {
        let (p, share) = (self.modulus, self.train_fraction);
        ensure!(p >= 2, "modulus is {p}; expected at least 2");
        ensure!(
            0.0 < share && share < 1.0,
            "train_fraction is {share}; expected more than 0 and less than 1"
        );
        ensure!(
            (1..p * p).contains(&self.n_train()),
            "train_fraction {share} leaves {} of {} pairs; expected some of each",
            self.n_train(),
            p * p
        );
        ensure!(self.n_hidden > 0, "n_hidden is 0; expected at least 1");
        Ok(())
    }

    pub fn n_train(&self) -> usize {
        (self.train_fraction * (self.modulus * self.modulus) as f64) as usize
    }

    /// Parameters: `2pK` of W and `pK` of V.
    pub fn n_params(&self) -> usize {
        3 * self.modulus * self.n_hidden
    }

    /// The loss over the pairs to train on and over the others, `½ |E - mean E|²` as the mean over samples.
    pub fn targets(&self) -> anyhow::Result<[QuadraticNetwork; 2]> {
        let [train, validation] = self.pairs();
        let of = |pairs| QuadraticNetwork::modular_addition(self.n_hidden, self.modulus, pairs);
        Ok([of(&train)?, of(&validation)?].map(|t| t.centred().single_precision()))
    }

    /// The pairs to train on, and the others.
    pub fn pairs(&self) -> [Vec<[u32; 2]>; 2] {
        let p = self.modulus as u32;
        let mut pairs: Vec<[u32; 2]> = (0..p).flat_map(|a| (0..p).map(move |b| [a, b])).collect();
        pairs.shuffle(&mut rng(self.seed, Purpose::Data, 0, 0));
        let rest = pairs.split_off(self.n_train());
        [pairs, rest]
    }

    /// The loss over the pairs to train on with their labels shuffled among them.
    pub fn random_labels(&self, seed: u64) -> anyhow::Result<QuadraticNetwork> {
        let [pairs, _] = self.pairs();
        let mut labels: Vec<usize> = pairs
            .iter()
            .map(|pair| (pair[0] as usize + pair[1] as usize) % self.modulus)
            .collect();
        labels.shuffle(&mut rng(seed, Purpose::Data, 1, 0));
        let y = Array2::from_shape_fn((pairs.len(), self.modulus), |(i, c)| {
            f64::from(u8::from(labels[i] == c))
        });
        let target =
            QuadraticNetwork::one_hot_pairs(self.n_hidden, self.modulus, &pairs, y.view())?;
        Ok(target.centred().single_precision())
    }

    /// PyTorch's default weights, a row for each stream.
    pub fn init(&self, seed: u64, streams: &[u64]) -> Array2<f64> {
        let mut rows = Array2::zeros((streams.len(), self.n_params()));
        for (mut row, &stream) in rows.rows_mut().into_iter().zip(streams) {
            let row = row.as_slice_mut().expect("rows are contiguous");
            let (inner, outer) = row.split_at_mut(2 * self.modulus * self.n_hidden);
            let mut rng = rng(seed, Purpose::Initialisation, stream, 0);
            pytorch_linear(2 * self.modulus, inner, &mut [], &mut rng);
            pytorch_linear(self.n_hidden, outer, &mut [], &mut rng);
        }
        rows
    }
}

/// Refuses a batch that is larger than the training set.
pub fn check_batch(task: &Task, batch_size: Option<usize>) -> anyhow::Result<()> {
    let n = task.n_train();
    let batch = batch_size.unwrap_or(n);
    ensure!(
        (2..=n).contains(&batch),
        "batch_size is {batch}; expected 2 to the number of training pairs, {n}"
    );
    Ok(())
}

/// What a direction of curvature `kappa = nβh` counts beside a localisation `gamma`: `½ κ/(κ + γ)`, and 0 where it bends down.
pub fn counted(kappa: f64, gamma: f64) -> f64 {
    let kappa = kappa.max(0.0);
    0.5 * kappa / (kappa + gamma)
}

/// Mean and standard deviation over seeds, at each index.
pub fn mean_and_sd(curves: &[&[f64]]) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let length = curves.first().context("a seed")?.len();
    let at = |i: usize| {
        let over_seeds =
            Estimate::from_replicates(&curves.iter().map(|c| c[i]).collect::<Vec<_>>())?;
        Ok((
            over_seeds.mean,
            over_seeds.mcse * (curves.len() as f64).sqrt(),
        ))
    };
    (0..length).map(at).collect()
}
