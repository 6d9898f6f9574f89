//! Latent Dirichlet allocation and stochastic matrix factorisation.
//!
//! M words, N documents, H topics: the word distributions of the documents are the columns of `B A`, where the
//! columns of `B: M × H` (topics) and of `A: H × N` (documents' weights) are probability vectors. The two models have
//! the same learning coefficient (Hayashi 2021, *The exact asymptotic form of Bayesian generalization error in latent
//! Dirichlet allocation*, arXiv:2008.01304).
//!
//! `r` is the *rank* of the true `M × N` matrix, not the number of true topics; it counts the constant direction.
//! Derived here, and the same as Hayashi's four cases: let `β_k` be the topics and `a_j` the first `H − 1` weights of
//! document j. Column j of the product is `β_H + Σ_{k<H} (β_k − β_H) a_kj`. The last column takes the place of `β_H`
//! as coordinates, `M − 1` of them; the others less the last one are a product of an `(M − 1) × (H − 1)` and an `(H −
//! 1) × (N − 1)` matrix, with a true value of rank `r − 1`. So
//!
//! `λ = (M − 1)/2 + λ_RRR(N − 1, M − 1, H − 1; r − 1)` with the multiplicity of reduced-rank regression.
//!
//! Conditions: a prior that is positive in the interior of the simplices and bounded (Dirichlet(1)), and a
//! factorisation of the truth by matrices of rank r with positive entries. Without it (a truth with zeros) the value
//! is a lower bound.

use crate::LearningCoefficient;
use crate::reduced_rank::beside_product;
use crate::size::{SizeError, at_most, in_range};

/// Latent Dirichlet allocation of given sizes and true rank.
///
/// ```
/// use slt_theory::LatentDirichlet;
///
/// let pair = LatentDirichlet::new(10, 8, 5, 2)?.learning_coefficient();
/// assert_eq!(pair.to_string(), "λ = 21, m = 2");
/// # Ok::<(), slt_theory::SizeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LatentDirichlet {
    n_words: u32,
    n_documents: u32,
    n_topics: u32,
    rank: u32,
}

impl LatentDirichlet {
    /// The model with topics `[n_words, n_topics]` and weights `[n_topics, n_documents]`, true word matrix of `rank`.
    ///
    /// # Errors
    /// [`SizeError::OutOfRange`] when a size or the rank is 0 or above [`MAX_WIDTH`](crate::MAX_WIDTH);
    /// [`SizeError::TooLarge`] when `rank > min(n_words, n_documents, n_topics)`.
    pub fn new(
        n_words: u32,
        n_documents: u32,
        n_topics: u32,
        rank: u32,
    ) -> Result<Self, SizeError> {
        let sizes = [
            ("words", n_words),
            ("documents", n_documents),
            ("topics", n_topics),
        ];
        for (name, size) in sizes {
            in_range(name, size, 1)?;
        }
        in_range("rank", rank, 1)?;
        at_most("rank", rank, &sizes)?;
        Ok(Self {
            n_words,
            n_documents,
            n_topics,
            rank,
        })
    }

    /// The global pair (λ, m).
    ///
    /// Accuracy: exact.
    ///
    /// Source: Hayashi (2021), arXiv:2008.01304; derived here in another form, see the module.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        beside_product(
            self.n_words - 1,
            [self.n_documents - 1, self.n_words - 1, self.n_topics - 1],
            self.rank - 1,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_WIDTH;
    use crate::matrix_germ::{Numbers, jacobian_rank, least_codimension};
    use ndarray::Array2;
    use num_rational::Rational64;
    use proptest::prelude::*;

    fn pair(m: u32, n: u32, h: u32, r: u32) -> LearningCoefficient {
        LatentDirichlet::new(m, n, h, r)
            .unwrap()
            .learning_coefficient()
    }

    fn expected(numer: i64, denom: i64, m: u32) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(numer, denom), m).unwrap()
    }

    #[test]
    fn worked_values() {
        for ((m, n, h, r), doubled, mult) in [
            ((3, 3, 2, 1), 4, 2),
            ((3, 3, 2, 2), 5, 1),
            ((4, 5, 3, 2), 11, 1),
            ((5, 4, 3, 3), 14, 1),
            ((10, 8, 5, 2), 42, 2),
        ] {
            assert_eq!(pair(m, n, h, r), expected(doubled, 2, mult));
        }
    }

    /// Hayashi's four cases, in the rank r of the word matrix.
    fn by_four_cases(m: i64, n: i64, h: i64, r: i64) -> LearningCoefficient {
        if n + r <= m + h && m + r <= n + h && h + r <= m + n {
            let odd = (m + n + h + r) % 2;
            let eightfold = 2 * (h + r) * (m + n) - (m - n).pow(2) - (h + r).pow(2) + odd - 4 * n;
            expected(eightfold, 8, 1 + odd as u32)
        } else if m + h < n + r {
            expected(m * h + n * r - h * r - n, 2, 1)
        } else if n + h < m + r {
            expected(n * h + m * r - h * r - n, 2, 1)
        } else {
            expected(n * (m - 1), 2, 1)
        }
    }

    #[test]
    fn agrees_with_the_four_cases_for_all_small_sizes() {
        let mut n_members = 0;
        for m in 1..=8 {
            for n in 1..=8 {
                for h in 1..=10 {
                    for r in 1..=m.min(n).min(h) {
                        let [wide_m, wide_n, wide_h, wide_r] = [m, n, h, r].map(i64::from);
                        let cases = by_four_cases(wide_m, wide_n, wide_h, wide_r);
                        assert_eq!(pair(m, n, h, r), cases, "{m} {n} {h} {r}");
                        n_members += 1;
                    }
                }
            }
        }
        assert_eq!(n_members, 1704);
    }

    /// Half the least rank of the Jacobian of the word matrix, over the open strata of the set of zeros inside the
    /// simplices.
    #[test]
    fn half_the_rank_of_the_jacobian_of_the_word_matrix() {
        let mut numbers = Numbers(17);
        for (m, n, h, r) in [
            (3, 3, 2, 1),
            (3, 3, 2, 2),
            (2, 3, 3, 1),
            (4, 3, 3, 2),
            (3, 4, 4, 2),
            (4, 4, 3, 1),
        ] {
            let reduced = [n - 1, m - 1, h - 1];
            let (codimension, strata) = least_codimension(reduced, r - 1, |a, b| {
                let (second, first) = numbers.clone().factors(reduced, [a, b, r - 1]);
                // Topic k is the last topic plus a column of `second`, weights likewise: near the middle of the simplices.
                let mut topics = Array2::from_elem((m - 1, h), 1.0 / m as f64);
                let mut weights = Array2::from_elem((h - 1, n), 1.0 / h as f64);
                let mut others = topics.slice_mut(ndarray::s![.., ..h - 1]);
                others.scaled_add(0.1 / (m * h) as f64, &second);
                let mut others = weights.slice_mut(ndarray::s![.., ..n - 1]);
                others.scaled_add(0.1 / (h * n) as f64, &first);
                let w: Vec<f64> = topics.iter().chain(&weights).copied().collect();
                assert!(word_matrix([m, n, h], &w).iter().all(|&p| p > 0.0));
                jacobian_rank(|w| word_matrix([m, n, h], w), &w)
            });
            numbers.next();
            let found = pair(m as u32, n as u32, h as u32, r as u32);
            assert_eq!(found, expected(codimension as i64, 2, strata));
        }
    }

    /// `B A`, from all but the last row of each factor.
    fn word_matrix([m, n, h]: [usize; 3], w: &[f64]) -> Vec<f64> {
        let (topics, weights) = w.split_at((m - 1) * h);
        let topics = stochastic(m, h, topics);
        topics
            .dot(&stochastic(h, n, weights))
            .into_raw_vec_and_offset()
            .0
    }

    fn stochastic(rows: usize, columns: usize, free: &[f64]) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(i, j)| {
            if i + 1 < rows {
                free[i * columns + j]
            } else {
                1.0 - (0..rows - 1).map(|i| free[i * columns + j]).sum::<f64>()
            }
        })
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (sizes, inequality) in [
            ([0, 2, 2, 1], "1 <= words"),
            ([2, 0, 2, 1], "1 <= documents"),
            ([2, 2, MAX_WIDTH + 1, 1], "1 <= topics"),
            ([2, 2, 2, 0], "1 <= rank"),
            ([2, 9, 9, 3], "rank <= words"),
            ([9, 2, 9, 3], "rank <= documents"),
            ([9, 9, 2, 3], "rank <= topics"),
        ] {
            let [m, n, h, r] = sizes;
            let error = LatentDirichlet::new(m, n, h, r).unwrap_err().to_string();
            assert!(error.starts_with(inequality), "{error}");
        }
    }

    #[test]
    fn exact_at_the_largest_sizes() {
        let w = MAX_WIDTH;
        let wide = i64::from(w);
        assert_eq!(pair(w, w, w, w), expected(wide * (wide - 1), 2, 1));
        assert_eq!(pair(w, w, 1, 1), expected(wide - 1, 2, 1));
        assert_eq!(pair(1, w, w, 1), LearningCoefficient::FLAT);
    }

    proptest! {
        #[test]
        fn bounded_and_monotone([m, n, h, r] in [1u32..50, 1u32..50, 1u32..50, 1u32..50]) {
            let r = r.min(m).min(n).min(h);
            let found = pair(m, n, h, r);
            let parameters = i64::from((m - 1) * h + (h - 1) * n);
            prop_assert!(found.lambda() <= Rational64::new(parameters, 2));
            prop_assert!(found.lambda() <= Rational64::new(i64::from((m - 1) * n), 2));
            prop_assert!(pair(m + 1, n, h, r).lambda() >= found.lambda());
            prop_assert!(pair(m, n + 1, h, r).lambda() >= found.lambda());
            prop_assert!(pair(m, n, h + 1, r).lambda() >= found.lambda());
        }
    }
}
