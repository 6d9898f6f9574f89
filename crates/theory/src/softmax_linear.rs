//! A linear network with a softmax head: class probabilities `softmax(B A x)`.
//!
//! `A` is `H × M` (M inputs), `B` is `C × H` (C classes). The probabilities depend on the logits less their mean over
//! the classes alone. With P the projection along the all-ones vector, the cross-entropy less its minimum is, on
//! bounded parameters, between two multiples of `|P (BA − B*A*)|²` (inputs with a covariance of full rank, true
//! probabilities from the model). `PB` is a free `(C − 1) × H` matrix, and the column means of B are flat. So the
//! pair is that of reduced-rank regression with `C − 1` outputs, *not* C, and r is the rank of the centred true
//! logits `P B* A*`. Deterministic labels have no finite minimiser and no λ.
//!
//! Derived here from Aoyagi & Watanabe (2005); Aoyagi (2025), arXiv:2501.12747v1, treats softmax heads in general.

use crate::LearningCoefficient;
use crate::reduced_rank::beside_product;
use crate::size::{SizeError, at_most, in_range};

/// A linear network with one hidden layer and a softmax head.
///
/// ```
/// use slt_theory::SoftmaxLinear;
///
/// // Two classes, one hidden unit, zero truth: K ~ a² (b₁ − b₂)².
/// let pair = SoftmaxLinear::new(1, 2, 1, 0)?.learning_coefficient();
/// assert_eq!(pair.to_string(), "λ = 1/2, m = 2");
/// # Ok::<(), slt_theory::SizeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SoftmaxLinear {
    n_inputs: u32,
    n_classes: u32,
    n_hidden: u32,
    rank: u32,
}

impl SoftmaxLinear {
    /// `softmax(B A x)` with `A: [n_hidden, n_inputs]`, `B: [n_classes, n_hidden]`; `rank` is that of the true
    /// logits, centred over the classes.
    ///
    /// # Errors
    /// [`SizeError::OutOfRange`] when a width is 0 or above [`MAX_WIDTH`](crate::MAX_WIDTH), or there are fewer than
    /// 2 classes;
    /// [`SizeError::TooLarge`] when `rank > min(n_inputs, n_classes - 1, n_hidden)`.
    pub fn new(n_inputs: u32, n_classes: u32, n_hidden: u32, rank: u32) -> Result<Self, SizeError> {
        in_range("inputs", n_inputs, 1)?;
        in_range("classes", n_classes, 2)?;
        in_range("hidden", n_hidden, 1)?;
        let bounds = [
            ("inputs", n_inputs),
            ("classes - 1", n_classes - 1),
            ("hidden", n_hidden),
        ];
        at_most("rank", rank, &bounds)?;
        Ok(Self {
            n_inputs,
            n_classes,
            n_hidden,
            rank,
        })
    }

    /// The global pair (λ, m).
    ///
    /// Accuracy: exact.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        beside_product(
            0,
            [self.n_inputs, self.n_classes - 1, self.n_hidden],
            self.rank,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix_germ::{Numbers, jacobian_rank, least_codimension};
    use crate::{MAX_WIDTH, NormalCrossing, ReducedRank};
    use ndarray::{Array2, ArrayView2};
    use num_rational::Rational64;
    use proptest::prelude::*;

    fn pair(m: u32, c: u32, h: u32, r: u32) -> LearningCoefficient {
        SoftmaxLinear::new(m, c, h, r)
            .unwrap()
            .learning_coefficient()
    }

    /// Half the least rank of the Jacobian of the class probabilities, over the open strata of the set of zeros.
    #[test]
    fn half_the_rank_of_the_jacobian_of_the_probabilities() {
        let mut numbers = Numbers(11);
        for (m, c, h, r) in [
            (2, 2, 2, 0),
            (2, 3, 1, 0),
            (2, 3, 2, 0),
            (3, 3, 2, 1),
            (2, 4, 3, 1),
            (3, 4, 3, 2),
        ] {
            let (codimension, strata) = least_codimension([m, c - 1, h], r, |a, b| {
                let (second, first) = numbers.clone().factors([m, c - 1, h], [a, b, r]);
                // The last class has logit 0, then every column gets a mean of its own.
                let mut weights = Array2::zeros((c, h));
                weights.slice_mut(ndarray::s![..c - 1, ..]).assign(&second);
                weights += &numbers.clone().matrix(1, h);
                let w: Vec<f64> = weights.iter().chain(&first).copied().collect();
                jacobian_rank(|w| probabilities([m, c, h], w), &w)
            });
            numbers.next();
            let found = pair(m as u32, c as u32, h as u32, r as u32);
            assert_eq!(found.lambda(), Rational64::new(codimension as i64, 2));
            assert_eq!(found.multiplicity(), strata);
        }
    }

    /// The class probabilities at the unit vectors, which are inputs of full rank.
    fn probabilities([m, c, h]: [usize; 3], w: &[f64]) -> Vec<f64> {
        let second = ArrayView2::from_shape((c, h), &w[..c * h]).unwrap();
        let first = ArrayView2::from_shape((h, m), &w[c * h..]).unwrap();
        let weights = second.dot(&first).exp();
        let total = weights.sum_axis(ndarray::Axis(0));
        (weights / total).into_raw_vec_and_offset().0
    }

    #[test]
    fn two_classes_and_one_unit_are_a_normal_crossing() {
        let crossing = NormalCrossing::with_positive_prior(&[1, 1]).unwrap();
        assert_eq!(pair(1, 2, 1, 0), crossing.learning_coefficient());
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let refused = |m, c, h, r| SoftmaxLinear::new(m, c, h, r).unwrap_err().to_string();
        for (sizes, inequality) in [
            ([0, 2, 1, 0], "1 <= inputs"),
            ([1, 1, 1, 0], "2 <= classes"),
            ([1, MAX_WIDTH + 1, 1, 0], "2 <= classes"),
            ([1, 2, 0, 0], "1 <= hidden"),
            ([1, 9, 9, 2], "rank <= inputs"),
            ([9, 2, 9, 2], "rank <= classes - 1"),
            ([9, 9, 1, 2], "rank <= hidden"),
        ] {
            let [m, c, h, r] = sizes;
            assert!(refused(m, c, h, r).starts_with(inequality));
        }
    }

    proptest! {
        /// One class less is one output less: never above the regression on all logits.
        #[test]
        fn a_class_is_free([m, c, h, r] in [1u32..50, 2u32..50, 1u32..50, 0u32..50]) {
            let r = r.min(m).min(c - 1).min(h);
            let found = pair(m, c, h, r);
            let all_logits = ReducedRank::new(m, c, h, r).unwrap().learning_coefficient();
            prop_assert!(found.lambda() <= all_logits.lambda());
            let fewer = ReducedRank::new(m, c - 1, h, r).unwrap().learning_coefficient();
            prop_assert_eq!(found, fewer);
        }
    }
}
