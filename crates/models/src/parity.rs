//! The parity of the first `k` of `n_bits` random bits: a task that a network memorises long before it learns the rule.

use ndarray::Array2;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use slt_sampler::stream::{Purpose, rng};

/// Why there is no such task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParityError {
    /// The rule looks at no bits, or at more than there are.
    #[error("the parity of {k} out of {n_bits} bits; expected between 1 and {n_bits}")]
    Bits {
        /// Bits of the rule.
        k: usize,
        /// Bits of an input.
        n_bits: usize,
    },
}

/// A parity task; labels are 1 where an odd number of the first `k` bits is negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parity {
    /// Bits of an input, each `±1`.
    pub n_bits: usize,
    /// Bits that the label depends on.
    pub k: usize,
}

impl Parity {
    /// `n` samples with independent, uniform bits, from the stream `stream` of `seed`.
    ///
    /// Shapes: returns inputs `[n, n_bits]` and labels `[n, 1]`.
    ///
    /// # Errors
    /// [`ParityError::Bits`] unless `1 <= k <= n_bits`.
    pub fn samples(
        &self,
        n: usize,
        seed: u64,
        stream: u64,
    ) -> Result<(Array2<f64>, Array2<f64>), ParityError> {
        if !(1..=self.n_bits).contains(&self.k) {
            return Err(ParityError::Bits {
                k: self.k,
                n_bits: self.n_bits,
            });
        }
        let mut rng = rng(seed, Purpose::Data, stream, 0);
        let x = Array2::from_shape_simple_fn((n, self.n_bits), || {
            if rng.random::<bool>() { 1.0 } else { -1.0 }
        });
        let odd = |row: ndarray::ArrayView1<f64>| {
            row.iter().take(self.k).filter(|&&bit| bit < 0.0).count() % 2
        };
        let y = Array2::from_shape_fn((n, 1), |(i, _)| odd(x.row(i)) as f64);
        Ok((x, y))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_the_parity() {
        let (x, y) = Parity { n_bits: 6, k: 3 }
            .samples(500, 1, 0)
            .expect("a task");
        for (x, y) in x.rows().into_iter().zip(&y) {
            let product: f64 = x.iter().take(3).product();
            assert_eq!(*y, if product < 0.0 { 1.0 } else { 0.0 });
        }
        let ones = y.sum();
        assert!((200.0..300.0).contains(&ones), "{ones} odd of 500");
    }

    #[test]
    fn more_bits_than_there_are() {
        assert_eq!(
            Parity { n_bits: 6, k: 7 }.samples(5, 1, 0),
            Err(ParityError::Bits { k: 7, n_bits: 6 })
        );
    }
}
