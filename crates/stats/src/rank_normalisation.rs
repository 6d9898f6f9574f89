//! Draws replaced by normal scores of their ranks.
//!
//! `z = Φ⁻¹((r − 3/8)/(S + 1/4))` with r the rank among all S draws of all chains, ties sharing their
//! average rank. Finite for heavy tails, and invariant under monotone maps of the draws.
//!
//! Source: Vehtari et al. (2021), arXiv:1903.08008v5, equation 14 (Blom 1958).

use ndarray::{Array2, ArrayView2};
use statrs::distribution::{ContinuousCDF, Normal};

/// Average ranks, from 1, among all entries; finite entries only.
pub(crate) fn average_ranks(draws: ArrayView2<f64>) -> Array2<f64> {
    let values: Vec<f64> = draws.iter().copied().collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for tied in order.chunk_by(|&i, &j| values[i] == values[j]) {
        // ranks first + 1 ..= first + tied.len()
        let rank = first as f64 + (tied.len() + 1) as f64 / 2.0;
        for &i in tied {
            ranks[i] = rank;
        }
        first += tied.len();
    }
    Array2::from_shape_vec(draws.dim(), ranks).expect("one rank per draw")
}

/// `Φ⁻¹((r − 3/8)/(S + 1/4))` of every draw; the shape is kept.
pub(crate) fn rank_normalise(draws: ArrayView2<f64>) -> Array2<f64> {
    let n_values = draws.len() as f64;
    let normal = Normal::standard();
    average_ranks(draws).mapv(|rank| normal.inverse_cdf((rank - 0.375) / (n_values + 0.25)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use ndarray::array;

    #[test]
    fn ties_share_the_average_rank() {
        // −0.0 and 0.0 are one value
        let draws = array![[5.0, 0.0, 5.0], [-0.0, -1.0, 5.0]];
        let expected = array![[5.0, 2.5, 5.0], [2.5, 1.0, 5.0]];
        assert_eq!(average_ranks(draws.view()), expected);
    }

    #[test]
    fn normal_scores() {
        // R 4.2.2, scripts/posterior_reference.R
        let z = rank_normalise(array![[1.0, 2.0, 3.0, 4.0]].view());
        let expected = [
            -1.0491313979639711,
            -0.29930691046566704,
            0.29930691046566704,
            1.0491313979639711,
        ];
        for (z, expected) in z.iter().zip(expected) {
            assert_relative_eq!(*z, expected, max_relative = 1e-12);
        }
    }
}
