//! Latent class analysis of two categorical variables.
//!
//! Two variables with I and J values are independent given one of H classes: `P = Σ_h w_h p_h q_h^T`. Derived here: P
//! is known by its margins `p̄ = Σ w_h p_h` and `q̄` and by `P − p̄ q̄^T = D_p S D_q^T`. There `D_p` has the columns
//! `p_h − p_H`, `h < H`, `D_q` likewise, and `S = diag(w) − w w^T` is positive definite as long as all class weights
//! are positive. The margins are `I + J − 2` free coordinates beside `D_p` and `D_q`; S is absorbed into `D_q`, and w
//! is flat. So, with r the rank of the true table P,
//!
//! `λ = (I + J − 2)/2 + λ_RRR(I − 1, J − 1, H − 1; r − 1)` with the multiplicity of reduced-rank regression.
//!
//! Conditions: a bounded prior that keeps the class weights away from 0 and is positive at a factorisation of the
//! truth by distributions with positive entries, of `D_p`, `D_q` of rank `r − 1`. Where the weights may vanish, λ can
//! be smaller.

use crate::LearningCoefficient;
use crate::reduced_rank::beside_product;
use crate::size::{SizeError, at_most, in_range};

/// Latent classes behind a table of two variables.
///
/// ```
/// use slt_theory::LatentClass;
///
/// // Two classes for a 3 × 3 table of independent variables.
/// let pair = LatentClass::new(3, 3, 2, 1)?.learning_coefficient();
/// assert_eq!(pair.to_string(), "λ = 3, m = 2");
/// # Ok::<(), slt_theory::SizeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LatentClass {
    n_first: u32,
    n_second: u32,
    n_classes: u32,
    rank: u32,
}

impl LatentClass {
    /// The model of an `[n_first, n_second]` table by `n_classes` classes, true table of `rank`.
    ///
    /// # Errors
    /// [`SizeError::OutOfRange`] when a size or the rank is 0 or above [`MAX_WIDTH`](crate::MAX_WIDTH);
    /// [`SizeError::TooLarge`] when `rank > min(n_first, n_second, n_classes)`.
    pub fn new(n_first: u32, n_second: u32, n_classes: u32, rank: u32) -> Result<Self, SizeError> {
        let sizes = [
            ("first", n_first),
            ("second", n_second),
            ("classes", n_classes),
        ];
        for (name, size) in sizes {
            in_range(name, size, 1)?;
        }
        in_range("rank", rank, 1)?;
        at_most("rank", rank, &sizes)?;
        Ok(Self {
            n_first,
            n_second,
            n_classes,
            rank,
        })
    }

    /// The global pair (λ, m).
    ///
    /// Accuracy: exact.   Derived here; see the module.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let (first, second) = (self.n_first - 1, self.n_second - 1);
        beside_product(
            first + second,
            [first, second, self.n_classes - 1],
            self.rank - 1,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_WIDTH;
    use crate::matrix_germ::{Numbers, jacobian_rank, least_codimension};
    use ndarray::{Array1, Array2};
    use num_rational::Rational64;
    use proptest::prelude::*;

    fn pair(i: u32, j: u32, h: u32, r: u32) -> LearningCoefficient {
        LatentClass::new(i, j, h, r).unwrap().learning_coefficient()
    }

    fn expected(doubled: i64, m: u32) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(doubled, 2), m).unwrap()
    }

    /// Half the least rank of the Jacobian of the table, over the open strata of the set of zeros inside the simplices.
    #[test]
    fn half_the_rank_of_the_jacobian_of_the_table() {
        let mut numbers = Numbers(23);
        for (i, j, h, r) in [
            (2, 2, 2, 1),
            (3, 3, 2, 1),
            (3, 3, 2, 2),
            (3, 2, 3, 1),
            (4, 3, 3, 2),
            (3, 4, 4, 2),
        ] {
            let reduced = [i - 1, j - 1, h - 1];
            let (codimension, strata) = least_codimension(reduced, r - 1, |a, b| {
                let (second, first) = numbers.clone().factors(reduced, [a, b, r - 1]);
                let w: Array1<f64> = (1..h)
                    .map(|k| (1.0 + 0.2 * k as f64) / (2 * h) as f64)
                    .collect();
                // D_p = first^T and D_q = second S⁻¹ with S⁻¹ = diag(1/w) + 1/w_H.
                let inverse = Array2::from_diag(&w.recip()) + 1.0 / (1.0 - w.sum());
                let (d_p, d_q) = (first.reversed_axes(), second.dot(&inverse));
                let mut point = w.to_vec();
                for (n_values, differences) in [(i, d_p), (j, d_q)] {
                    let mut free = Array2::from_elem((n_values - 1, h), 1.0 / n_values as f64);
                    let mut others = free.slice_mut(ndarray::s![.., ..h - 1]);
                    others.scaled_add(0.02 / (n_values * h) as f64, &differences);
                    point.extend(&free);
                }
                assert!(table([i, j, h], &point).iter().all(|&p| p > 0.0));
                jacobian_rank(|w| table([i, j, h], w), &point)
            });
            numbers.next();
            let found = pair(i as u32, j as u32, h as u32, r as u32);
            assert_eq!(found, expected(codimension as i64, strata));
        }
    }

    /// P from the free parameters: `H − 1` weights, then all but the last row of both families of distributions.
    fn table([i, j, h]: [usize; 3], point: &[f64]) -> Vec<f64> {
        let (weights, rest) = point.split_at(h - 1);
        let (p, q) = rest.split_at((i - 1) * h);
        let weight = |k: usize| match weights.get(k) {
            Some(&weight) => weight,
            None => 1.0 - weights.iter().sum::<f64>(),
        };
        let probability = |free: &[f64], n_values: usize, value: usize, k: usize| {
            if value + 1 < n_values {
                free[value * h + k]
            } else {
                1.0 - (0..n_values - 1).map(|v| free[v * h + k]).sum::<f64>()
            }
        };
        (0..i * j)
            .map(|cell| {
                (0..h)
                    .map(|k| {
                        weight(k) * probability(p, i, cell / j, k) * probability(q, j, cell % j, k)
                    })
                    .sum()
            })
            .collect()
    }

    #[test]
    fn worked_values() {
        // Binary variables, two classes: independent truth 1 + (xy)², so 1 + (1/2, 2); dependent truth: all 3 cells are free.
        assert_eq!(pair(2, 2, 2, 1), expected(3, 2));
        assert_eq!(pair(2, 2, 2, 2), expected(3, 1));
        // One class is the independence model.
        assert_eq!(pair(5, 3, 1, 1), expected(6, 1));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (sizes, inequality) in [
            ([0, 2, 2, 1], "1 <= first"),
            ([2, MAX_WIDTH + 1, 2, 1], "1 <= second"),
            ([2, 2, 0, 1], "1 <= classes"),
            ([2, 2, 2, 0], "1 <= rank"),
            ([2, 9, 9, 3], "rank <= first"),
            ([9, 2, 9, 3], "rank <= second"),
            ([9, 9, 2, 3], "rank <= classes"),
        ] {
            let [i, j, h, r] = sizes;
            let error = LatentClass::new(i, j, h, r).unwrap_err().to_string();
            assert!(error.starts_with(inequality), "{error}");
        }
    }

    #[test]
    fn exact_at_the_largest_sizes() {
        let w = MAX_WIDTH;
        let wide = i64::from(w);
        // Saturated: all cells but one.
        assert_eq!(pair(w, w, w, w), expected(wide * wide - 1, 1));
    }

    proptest! {
        #[test]
        fn symmetric_bounded_and_monotone([i, j, h, r] in [1u32..50, 1u32..50, 1u32..50, 1u32..50]) {
            let r = r.min(i).min(j).min(h);
            let found = pair(i, j, h, r);
            prop_assert_eq!(found, pair(j, i, h, r));
            // Never above the saturated model, never below the independence model.
            prop_assert!(found.lambda() <= Rational64::new(i64::from(i * j - 1), 2));
            prop_assert!(found.lambda() >= Rational64::new(i64::from(i + j - 2), 2));
            prop_assert!(found.lambda() <= Rational64::new(i64::from(h * (i + j - 1) - 1), 2));
            prop_assert!(pair(i, j, h + 1, r).lambda() >= found.lambda());
            prop_assert_eq!(pair(i, j, i + j + h, r).lambda(), Rational64::new(i64::from(i * j - 1), 2));
        }
    }
}
