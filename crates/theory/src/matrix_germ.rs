//! Test support: random points of the fibre of a matrix product, and the rank of a numerical Jacobian.
//!
//! A second route to the learning coefficient of a matrix family. The zeros of `K` are the factorisations `(B, A)` of
//! the truth. They fall into strata by `(rank A, rank B)`. On a stratum that is open in the set of zeros, that set is
//! a manifold whose codimension is the rank of the Jacobian, and λ there is half of it. The least of these is the
//! global λ, and the number of strata that attain it is m.

use ndarray::Array2;
use ndarray_linalg::SVD;

/// Numbers in (−1, 1) that are as good as random: the golden-ratio sequence, hashed (SplitMix64).
#[derive(Clone)]
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        2.0 * ((z >> 11) as f64 / (1u64 << 53) as f64) - 1.0
    }

    pub(crate) fn matrix(&mut self, rows: usize, columns: usize) -> Array2<f64> {
        Array2::from_shape_simple_fn((rows, columns), || self.next())
    }

    /// A square matrix that is far from singular.
    fn invertible(&mut self, size: usize) -> Array2<f64> {
        0.3 / (size.max(1) as f64) * self.matrix(size, size) + Array2::<f64>::eye(size)
    }

    /// A random pair `(B, A)` with `rank A = a`, `rank B = b`, `rank BA = r`.
    ///
    /// Shapes: `B`: `[outputs, hidden]`; `A`: `[hidden, inputs]`.
    pub(crate) fn factors(
        &mut self,
        [inputs, outputs, hidden]: [usize; 3],
        [a, b, r]: [usize; 3],
    ) -> (Array2<f64>, Array2<f64>) {
        assert!(a <= inputs.min(hidden) && b <= outputs.min(hidden) && a + b <= hidden + r);
        let mut second = Array2::zeros((outputs, hidden));
        let mut first = Array2::zeros((hidden, inputs));
        // A maps onto the first a coordinates; B sees the first r of them and b − r beyond them.
        for i in 0..a {
            first[[i, i]] = 1.0;
        }
        for i in 0..b {
            second[[i, if i < r { i } else { a - r + i }]] = 1.0;
        }
        let first = first.dot(&self.invertible(inputs));
        let second = self.invertible(outputs).dot(&second);
        let gauge = 0.3 / (hidden.max(1) as f64) * self.matrix(hidden, hidden);
        // (I + X)^-1 to 1e-16 by its series: the entries of X are below 0.3/hidden.
        let mut inverse = Array2::<f64>::eye(hidden);
        for _ in 0..40 {
            inverse = Array2::<f64>::eye(hidden) - gauge.dot(&inverse);
        }
        (
            second.dot(&(Array2::<f64>::eye(hidden) + &gauge)),
            inverse.dot(&first),
        )
    }
}

/// The rank of a matrix, with singular values below `tolerance` times the largest taken as zero.
pub(crate) fn rank(matrix: &Array2<f64>, tolerance: f64) -> usize {
    let (_, singular_values, _) = matrix.svd(false, false).unwrap();
    let largest = singular_values.iter().copied().fold(0.0, f64::max);
    singular_values
        .iter()
        .filter(|&&s| s > tolerance * largest)
        .count()
}

/// The rank of the Jacobian of `f` at `w`, by central differences.
///
/// Panics unless the spectrum has a clear gap, so that a doubtful rank fails loudly.
pub(crate) fn jacobian_rank(f: impl Fn(&[f64]) -> Vec<f64>, w: &[f64]) -> usize {
    let step = 1e-4;
    let mut jacobian = Array2::zeros((f(w).len(), w.len()));
    for j in 0..w.len() {
        let shifted = |by: f64| {
            let mut at = w.to_vec();
            at[j] += by;
            f(&at)
        };
        for (i, (up, down)) in shifted(step).iter().zip(shifted(-step)).enumerate() {
            jacobian[[i, j]] = (up - down) / (2.0 * step);
        }
    }
    let found = rank(&jacobian, 1e-6);
    assert_eq!(found, rank(&jacobian, 1e-5), "no gap in the spectrum");
    found
}

/// The least `codimension` over the strata `(a, b)` of factorisations of rank r that are open in the set of zeros,
/// and how many attain it.
pub(crate) fn least_codimension(
    [inputs, outputs, hidden]: [usize; 3],
    r: usize,
    codimension: impl Fn(usize, usize) -> usize,
) -> (usize, u32) {
    let allowed = |a: usize, b: usize| {
        a <= inputs.min(hidden) && b <= outputs.min(hidden) && a + b <= hidden + r
    };
    let mut least = (usize::MAX, 0);
    for a in r..=hidden {
        for b in r..=hidden {
            if !allowed(a, b) || allowed(a + 1, b) || allowed(a, b + 1) {
                continue;
            }
            let found = codimension(a, b);
            if found < least.0 {
                least = (found, 0);
            }
            if found == least.0 {
                least.1 += 1;
            }
        }
    }
    least
}

mod tests {
    use super::*;

    #[test]
    fn factors_have_the_ranks_asked_for() {
        let mut numbers = Numbers(1);
        for (sizes, ranks) in [
            ([3, 4, 5], [2, 3, 1]),
            ([5, 2, 3], [3, 1, 1]),
            ([4, 4, 4], [4, 2, 2]),
            ([2, 3, 3], [0, 3, 0]),
        ] {
            let (second, first) = numbers.factors(sizes, ranks);
            let product = second.dot(&first);
            assert_eq!(
                [&first, &second, &product].map(|matrix| rank(matrix, 1e-9)),
                ranks
            );
        }
    }

    #[test]
    fn a_jacobian_of_known_rank() {
        // (x, y) -> (xy, x²y²) has rank 1 where x or y is not zero.
        let f = |w: &[f64]| vec![w[0] * w[1], (w[0] * w[1]).powi(2)];
        assert_eq!(jacobian_rank(f, &[0.3, -0.7]), 1);
        assert_eq!(jacobian_rank(f, &[0.0, 0.0]), 0);
    }
}
