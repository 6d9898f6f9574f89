//! Factorisation of a positive semidefinite matrix, `K = |W W^T − X|²`, and quadratic networks `Σ_k c_k (w_k · x)²`
//! with fixed `c_k > 0`.
//!
//! `W` is `d × K`, the truth X has rank r. Derived here. In a basis where X is the identity on the first r
//! coordinates, write `W = (W_1; W_2)` with `W_1: r × K` of rank r. The entries of `W_1 W_1^T − I` and `W_2 W_1^T`
//! are `r(r + 1)/2 + r(d − r) = r d − r(r − 1)/2` coordinates. They fix the part of `W_2` in the row space of `W_1`;
//! of the block `W_2 W_2^T` the part C in the complement remains, `(d − r) × (K − r)`, as `C C^T`. `|C C^T|` is
//! between `|C|²/√d` and `|C|²`, so this part of K is like the fourth power of a radius: `(d − r)(K − r)/4`.
//!
//! `λ = [r d − r(r − 1)/2]/2 + (d − r)(K − r)/4`, `m = 1`. Every point of the fibre has this pair, as `rank W = rank
//! W W^T`.
//!
//! With output weights of both signs or free ones this is another germ.

use crate::LearningCoefficient;
use crate::size::{SizeError, at_most, in_range};

/// `W W^T` with `W: [dimension, width]`, near a truth of given rank.
///
/// ```
/// use slt_theory::SymmetricFactorisation;
///
/// let pair = SymmetricFactorisation::new(4, 4, 2)?.learning_coefficient();
/// assert_eq!(pair.to_string(), "λ = 9/2, m = 1");
/// # Ok::<(), slt_theory::SizeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SymmetricFactorisation {
    dimension: u32,
    width: u32,
    rank: u32,
}

impl SymmetricFactorisation {
    /// `W W^T` with `W: [dimension, width]`, truth of `rank`.
    ///
    /// # Errors
    /// [`SizeError::OutOfRange`] when a size is 0 or above [`MAX_WIDTH`](crate::MAX_WIDTH);
    /// [`SizeError::TooLarge`] when `rank > min(dimension, width)`.
    pub fn new(dimension: u32, width: u32, rank: u32) -> Result<Self, SizeError> {
        let sizes = [("dimension", dimension), ("width", width)];
        for (name, size) in sizes {
            in_range(name, size, 1)?;
        }
        at_most("rank", rank, &sizes)?;
        Ok(Self {
            dimension,
            width,
            rank,
        })
    }

    /// The pair (λ, m), the same at every point of the fibre.
    ///
    /// Accuracy: exact.   Derived here; see the module.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let [d, k, r] = [self.dimension, self.width, self.rank].map(i128::from);
        LearningCoefficient::from_fraction(2 * r * d - r * (r - 1) + (d - r) * (k - r), 4, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_WIDTH;
    use crate::matrix_germ::{Numbers, jacobian_rank};
    use ndarray::ArrayView2;
    use num_rational::Rational64;
    use proptest::prelude::*;

    fn pair(d: u32, k: u32, r: u32) -> LearningCoefficient {
        SymmetricFactorisation::new(d, k, r)
            .unwrap()
            .learning_coefficient()
    }

    fn expected(numer: i64, denom: i64) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(numer, denom), 1).unwrap()
    }

    #[test]
    fn worked_values() {
        for ((d, k, r), doubled) in [
            ((2, 1, 0), 1),
            ((3, 2, 0), 3),
            ((3, 2, 1), 4),
            ((4, 4, 2), 9),
            ((5, 3, 3), 12),
        ] {
            assert_eq!(pair(d, k, r), expected(doubled, 2));
        }
        // The square of a vector's length: (|w|²)² in K dimensions.
        assert_eq!(pair(1, 7, 0), expected(7, 4));
    }

    /// Both parts by other routes. Regular: the rank of the Jacobian at a point of rank r. Singular: the eigenvalues
    /// of a Wishart matrix with `p = min`, `n = max` of `d − r` and `K − r` have density `∏ ℓ^((n−p−1)/2) ∏ |ℓ_i −
    /// ℓ_j|`; `Σ ℓ²` scales as the square, so this part is half the degree of the measure.
    #[test]
    fn a_jacobian_and_a_wishart_density() {
        let mut numbers = Numbers(31);
        for d in 1..=5 {
            for k in 1..=5 {
                for r in 0..=d.min(k) {
                    let point = numbers.matrix(d, r).dot(&numbers.matrix(r, k));
                    let w: Vec<f64> = point.iter().copied().collect();
                    let product = |w: &[f64]| {
                        let w = ArrayView2::from_shape((d, k), w).unwrap();
                        w.dot(&w.t()).into_raw_vec_and_offset().0
                    };
                    let regular = jacobian_rank(product, &w) as i64;
                    let (p, n) = ((d - r).min(k - r) as i64, (d - r).max(k - r) as i64);
                    let degree_doubled = p * (n - p - 1) + p * (p - 1) + 2 * p;
                    assert_eq!(
                        pair(d as u32, k as u32, r as u32),
                        expected(2 * regular + degree_doubled, 4)
                    );
                }
            }
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (sizes, inequality) in [
            ([0, 2, 0], "1 <= dimension"),
            ([2, 0, 0], "1 <= width"),
            ([2, MAX_WIDTH + 1, 0], "1 <= width"),
            ([2, 9, 3], "rank <= dimension"),
            ([9, 2, 3], "rank <= width"),
        ] {
            let [d, k, r] = sizes;
            let error = SymmetricFactorisation::new(d, k, r).unwrap_err();
            assert!(error.to_string().starts_with(inequality));
        }
    }

    #[test]
    fn exact_at_the_largest_sizes() {
        let w = MAX_WIDTH;
        let wide = i64::from(w);
        // All functions are free: half of d(d + 1)/2.
        assert_eq!(pair(w, w, w), expected(wide * (wide + 1), 4));
        assert_eq!(pair(w, w, 0), expected(wide * wide, 4));
    }

    proptest! {
        #[test]
        fn bounded_and_monotone([d, k, r] in [1u32..200, 1u32..200, 0u32..200]) {
            let r = r.min(d).min(k);
            let found = pair(d, k, r).lambda();
            prop_assert!(found <= Rational64::new(i64::from(d * k), 2));
            prop_assert!(pair(d + 1, k, r).lambda() >= found);
            prop_assert!(pair(d, k + 1, r).lambda() >= found);
            // A richer truth has the larger λ in a narrow net, the smaller one in a wide net.
            if r > 0 {
                let step = i64::from(d) - i64::from(k) + 1;
                prop_assert_eq!(found - pair(d, k, r - 1).lambda(), Rational64::new(step, 4));
            }
        }
    }
}
