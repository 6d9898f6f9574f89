//! Minibatches: each row draws its own, reshuffled at every epoch.

use ndarray::Array2;
use rand::RngExt;

use crate::stream::{Purpose, rng};
use crate::target::Batch;

/// The batches of an ensemble: full, or for every row its own shuffled passes over the samples.
///
/// An epoch is `n_samples / batch_size` steps (a last, smaller batch is left out). The batch of a step depends on
/// (seed, purpose, stream, step) alone.
#[derive(Debug, Clone)]
pub struct Minibatches {
    seed: u64,
    purpose: Purpose,
    streams: Vec<u64>,
    /// Shape `[n_rows, n_samples]`; empty for full batches.
    order: Array2<u32>,
    batch_size: Option<usize>,
    epoch: Option<u64>,
}

impl Minibatches {
    /// Batches of `batch_size` out of `n_samples` for the rows `streams`; all samples where that is `None` or `n_samples`.
    ///
    /// # Panics
    /// If `batch_size` is zero or exceeds `n_samples`: configurations are checked where they are read.
    pub fn new(
        seed: u64,
        purpose: Purpose,
        streams: &[u64],
        n_samples: usize,
        batch_size: Option<usize>,
    ) -> Self {
        let batch_size = batch_size.filter(|&b| b != n_samples);
        if let Some(b) = batch_size {
            assert!(
                0 < b && b < n_samples,
                "a batch of {b} out of {n_samples} samples"
            );
        }
        let order = Array2::zeros((
            streams.len(),
            if batch_size.is_some() { n_samples } else { 0 },
        ));
        Self {
            seed,
            purpose,
            streams: streams.to_vec(),
            order,
            batch_size,
            epoch: None,
        }
    }

    /// Whether every batch is the whole data set.
    pub fn is_full(&self) -> bool {
        self.batch_size.is_none()
    }

    /// The batch of `step`.
    pub fn at(&mut self, step: u64) -> Batch<'_> {
        let Some(batch_size) = self.batch_size else {
            return Batch::Full;
        };
        let per_epoch = (self.order.ncols() / batch_size) as u64;
        let epoch = step / per_epoch;
        if self.epoch != Some(epoch) {
            for (mut order, &stream) in self.order.rows_mut().into_iter().zip(&self.streams) {
                let order = order.as_slice_mut().expect("rows are contiguous");
                for (i, slot) in order.iter_mut().enumerate() {
                    *slot = i as u32;
                }
                let mut rng = rng(self.seed, self.purpose, stream, epoch);
                for i in (1..order.len()).rev() {
                    order.swap(i, rng.random_range(0..=i as u32) as usize);
                }
            }
            self.epoch = Some(epoch);
        }
        let from = (step % per_epoch) as usize * batch_size;
        Batch::Rows(self.order.slice(ndarray::s![.., from..from + batch_size]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(batches: &mut Minibatches, step: u64, row: usize) -> Vec<u32> {
        match batches.at(step) {
            Batch::Full => panic!("expected a minibatch"),
            Batch::Rows(indices) => indices.row(row).to_vec(),
        }
    }

    #[test]
    fn an_epoch_visits_every_sample_once() {
        let mut batches = Minibatches::new(1, Purpose::SamplingBatches, &[4, 9], 12, Some(3));
        for epoch in 0..3 {
            for row in 0..2 {
                let mut seen: Vec<u32> = (0..4)
                    .flat_map(|k| indices(&mut batches, 4 * epoch + k, row))
                    .collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..12).collect::<Vec<_>>());
            }
        }
        assert_ne!(
            indices(&mut batches, 0, 0),
            indices(&mut batches, 0, 1),
            "rows shuffle on their own"
        );
        assert_ne!(
            indices(&mut batches, 0, 0),
            indices(&mut batches, 4, 0),
            "epochs are reshuffled"
        );
    }

    #[test]
    fn a_row_and_a_step_decide_alone() {
        let mut all = Minibatches::new(7, Purpose::TrainingBatches, &[0, 1, 2], 50, Some(8));
        let mut one = Minibatches::new(7, Purpose::TrainingBatches, &[2], 50, Some(8));
        for step in [31, 0, 6, 5, 12] {
            assert_eq!(indices(&mut all, step, 2), indices(&mut one, step, 0));
        }
    }

    #[test]
    fn a_batch_of_all_samples_is_full() {
        assert!(Minibatches::new(1, Purpose::SamplingBatches, &[0], 10, Some(10)).is_full());
        assert!(Minibatches::new(1, Purpose::SamplingBatches, &[0], 10, None).is_full());
    }
}
