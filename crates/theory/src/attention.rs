//! One attention head whose truth is the uniform distribution.
//!
//! Over a vocabulary of v tokens with embeddings of dimension e the logits of the next token are `U Σ_t α_t V x_t`:
//! `x_t` are the one-hot tokens of the context, `V: e × v` embeds, `U: v × e` reads out, and the attention weights
//! `α_t > 0` with sum 1 come from further parameters (queries and keys). The truth is uniform, so all centred logits
//! are zero. Derived here: with P the projection along the all-ones vector, `|P U V|² >= c K`, as attention averages
//! columns of `PUV`; and `K >= c |P U V|²` if contexts that repeat one token have positive probability, as attention
//! cannot change those. So the queries and keys are flat, and the pair is that of reduced-rank regression with v
//! inputs, `v − 1` outputs, e hidden units and rank 0.

use crate::LearningCoefficient;
use crate::reduced_rank::beside_product;
use crate::size::{SizeError, in_range};

/// One attention head, uniform truth.
///
/// ```
/// use slt_theory::Attention;
///
/// let pair = Attention::new(3, 2)?.learning_coefficient();
/// assert_eq!(pair.to_string(), "λ = 2, m = 2");
/// # Ok::<(), slt_theory::SizeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attention {
    vocabulary: u32,
    embedding: u32,
}

impl Attention {
    /// The head over `vocabulary` tokens with vectors of dimension `embedding`.
    ///
    /// # Errors
    /// [`SizeError::OutOfRange`] unless `2 <= vocabulary <= MAX_WIDTH` and `1 <= embedding <= MAX_WIDTH`.
    pub fn new(vocabulary: u32, embedding: u32) -> Result<Self, SizeError> {
        in_range("vocabulary", vocabulary, 2)?;
        in_range("embedding", embedding, 1)?;
        Ok(Self {
            vocabulary,
            embedding,
        })
    }

    /// The global pair (λ, m).
    ///
    /// Accuracy: exact.   Derived here; see the module.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        beside_product(0, [self.vocabulary, self.vocabulary - 1, self.embedding], 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_WIDTH;
    use crate::matrix_germ::{Numbers, jacobian_rank, least_codimension};
    use ndarray::{Array2, ArrayView2};
    use num_rational::Rational64;
    use proptest::prelude::*;

    fn pair(vocabulary: u32, embedding: u32) -> LearningCoefficient {
        Attention::new(vocabulary, embedding)
            .unwrap()
            .learning_coefficient()
    }

    fn expected(doubled: i64, m: u32) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(doubled, 2), m).unwrap()
    }

    #[test]
    fn worked_values() {
        assert_eq!(pair(2, 1), expected(1, 1));
        assert_eq!(pair(2, 2), expected(2, 2));
        assert_eq!(pair(3, 2), expected(4, 2));
    }

    /// Half the least rank of the Jacobian of the predicted probabilities over all contexts of two tokens, over the
    /// open strata of the zeros.
    #[test]
    fn half_the_rank_of_the_jacobian_of_the_predictions() {
        let mut numbers = Numbers(29);
        for (v, e) in [(2, 1), (2, 2), (3, 2), (3, 3), (4, 3)] {
            let (codimension, strata) = least_codimension([v, v - 1, e], 0, |a, b| {
                let (second, first) = numbers.clone().factors([v, v - 1, e], [a, b, 0]);
                let mut readout = Array2::zeros((v, e));
                readout.slice_mut(ndarray::s![..v - 1, ..]).assign(&second);
                readout += &numbers.clone().matrix(1, e);
                let scores = numbers.clone().matrix(v, v);
                let w: Vec<f64> = readout
                    .iter()
                    .chain(&first)
                    .chain(&scores)
                    .copied()
                    .collect();
                let uniform = 1.0 / v as f64;
                assert!(
                    predictions(v, e, &w)
                        .iter()
                        .all(|p| (p - uniform).abs() < 1e-12)
                );
                jacobian_rank(|w| predictions(v, e, w), &w)
            });
            numbers.next();
            assert_eq!(
                pair(v as u32, e as u32),
                expected(codimension as i64, strata)
            );
        }
    }

    /// Probabilities of the next token after each context (x, y): the query y attends to x and y by its scores.
    fn predictions(v: usize, e: usize, w: &[f64]) -> Vec<f64> {
        let readout = ArrayView2::from_shape((v, e), &w[..v * e]).unwrap();
        let embedding = ArrayView2::from_shape((e, v), &w[v * e..2 * v * e]).unwrap();
        let scores = ArrayView2::from_shape((v, v), &w[2 * v * e..]).unwrap();
        let logits = readout.dot(&embedding);
        let mut all = Vec::new();
        for x in 0..v {
            for y in 0..v {
                let (to_x, to_y) = (scores[[y, x]].exp(), scores[[y, y]].exp());
                let mixed = (&logits.column(x) * to_x + &logits.column(y) * to_y) / (to_x + to_y);
                let weights = mixed.exp();
                all.extend(&weights / weights.sum());
            }
        }
        all
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (vocabulary, embedding, inequality) in [
            (1, 1, "2 <= vocabulary"),
            (MAX_WIDTH + 1, 1, "2 <= vocabulary"),
            (2, 0, "1 <= embedding"),
            (2, MAX_WIDTH + 1, "1 <= embedding"),
        ] {
            let error = Attention::new(vocabulary, embedding).unwrap_err();
            assert!(error.to_string().starts_with(inequality));
        }
    }

    proptest! {
        /// An embedding of `2v − 1` or more holds every logit: `v (v − 1)/2`.
        #[test]
        fn monotone_up_to_saturation(v in 2u32..60, e in 1u32..200) {
            let found = pair(v, e);
            prop_assert!(pair(v, e + 1).lambda() >= found.lambda());
            let all_logits = Rational64::new(i64::from(v * (v - 1)), 2);
            prop_assert_eq!(found.lambda() == all_logits, e >= 2 * v - 2);
            prop_assert!(found.lambda() <= Rational64::new(i64::from(v * e), 1));
        }
    }
}
