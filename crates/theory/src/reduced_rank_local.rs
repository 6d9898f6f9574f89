//! Reduced-rank regression `y = B A x`: the local pair at a given factorisation `(B*, A*)` of the true product.
//!
//! `A*` is `H × M` of rank a, `B*` is `N × H` of rank b, `B* A*` has rank r. Derived here. The ideal of the entries
//! of `BA − B*A*` does not change under `(B, A) -> (B g⁻¹, g A)` and changes of basis of inputs and outputs, so near
//! `(B*, A*)`:
//!
//! 1. On a complement of `ker A*` (dimension a), `A` stays injective. Choose g so that A does not vary there. Then
//!    the columns of `BA − B*A*` there are the deviations of B on `im A*`: `N a` coordinates. They are zero from now
//!    on.
//! 2. On `ker A*` (dimension `M − a`) the columns of `BA` remain. Those of its rows that lie in `im B*` (dimension b)
//!    are solved for a part of A, as `B*` is invertible from a complement of its kernel: `b (M − a)` coordinates.
//! 3. In the other `p = N − b` rows what is left is `B̃ Ã` with free entries, `B̃: p × h`, `Ã: h × n`, where `n = M −
//!    a` and `h = H − a − b + r` is the dimension of the hidden space less that of `im A* + (a complement of ker
//!    B*)`.
//!
//! So `λ = q/2 + λ₀(n, p, h)` with `q = N a + M b − a b` and the pair `λ₀` of a zero product, as in
//! [`ReducedRank`](crate::ReducedRank): `2 λ₀ = min_t [(h − t)(n − t) + p t]` over `0 <= t <= min(h, n)`, and m is
//! the number of minimisers.
//!
//! The global pair is the least of the local ones. It is attained at `a = b = r`.

use crate::LearningCoefficient;
use crate::reduced_rank::with_zero_product;
use crate::size::{SizeError, at_most, in_range};

/// A factorisation of the true product of a reduced-rank regression, by its ranks.
///
/// ```
/// use slt_theory::ReducedRankLocal;
///
/// // 4-4-4, true rank 1: 7 at the minimal factorisation, more where B has full rank.
/// let minimal = ReducedRankLocal::new(4, 4, 4, 1, 1, 1)?;
/// let full = ReducedRankLocal::new(4, 4, 4, 1, 4, 1)?;
/// assert_eq!(minimal.learning_coefficient().to_string(), "λ = 7, m = 2");
/// assert_eq!(full.learning_coefficient().to_string(), "λ = 8, m = 1");
/// # Ok::<(), slt_theory::ReducedRankLocalError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReducedRankLocal {
    n_inputs: u32,
    n_outputs: u32,
    n_hidden: u32,
    rank_first: u32,
    rank_second: u32,
    rank: u32,
}

/// Why sizes and ranks describe no factorisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReducedRankLocalError {
    /// A width is out of range, or a rank larger than a width or a factor's rank.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// Sylvester's inequality fails: the image of A and the kernel of B cannot meet in so much.
    #[error(
        "rank_first + rank_second <= hidden + rank is needed, got rank_first = {rank_first}, rank_second = {rank_second}, hidden = {n_hidden}, rank = {rank}"
    )]
    Sylvester {
        /// a.
        rank_first: u32,
        /// b.
        rank_second: u32,
        /// H.
        n_hidden: u32,
        /// r.
        rank: u32,
    },
}

impl ReducedRankLocal {
    /// The factorisation `B A` with `A: [n_hidden, n_inputs]` of `rank_first`, `B: [n_outputs, n_hidden]` of
    /// `rank_second`, product of `rank`.
    ///
    /// # Errors
    /// [`ReducedRankLocalError::Size`] when a width is 0 or above [`MAX_WIDTH`](crate::MAX_WIDTH), `rank_first >
    /// min(n_inputs, n_hidden)`, `rank_second > min(n_outputs, n_hidden)` or `rank > min(rank_first, rank_second)`;
    /// [`ReducedRankLocalError::Sylvester`] when `rank_first + rank_second - n_hidden > rank`.
    pub fn new(
        n_inputs: u32,
        n_outputs: u32,
        n_hidden: u32,
        rank_first: u32,
        rank_second: u32,
        rank: u32,
    ) -> Result<Self, ReducedRankLocalError> {
        let (inputs, outputs, hidden) = (
            ("inputs", n_inputs),
            ("outputs", n_outputs),
            ("hidden", n_hidden),
        );
        for (name, width) in [inputs, outputs, hidden] {
            in_range(name, width, 1)?;
        }
        let (first, second) = (("rank_first", rank_first), ("rank_second", rank_second));
        at_most("rank_first", rank_first, &[inputs, hidden])?;
        at_most("rank_second", rank_second, &[outputs, hidden])?;
        at_most("rank", rank, &[first, second])?;
        if rank_first + rank_second > n_hidden + rank {
            return Err(ReducedRankLocalError::Sylvester {
                rank_first,
                rank_second,
                n_hidden,
                rank,
            });
        }
        Ok(Self {
            n_inputs,
            n_outputs,
            n_hidden,
            rank_first,
            rank_second,
            rank,
        })
    }

    /// The local pair (λ, m) at the factorisation.
    ///
    /// Accuracy: exact.   Derived here; see the module.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let [m, n, h] = [self.n_inputs, self.n_outputs, self.n_hidden].map(i128::from);
        let [a, b, r] = [self.rank_first, self.rank_second, self.rank].map(i128::from);
        with_zero_product(n * a + m * b - a * b, [m - a, n - b, h - a - b + r])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix_germ::{Numbers, jacobian_rank};
    use crate::{MAX_WIDTH, ReducedRank};
    use ndarray::ArrayView2;
    use num_rational::Rational64;
    use proptest::prelude::*;

    fn pair([m, n, h]: [u32; 3], [a, b, r]: [u32; 3]) -> LearningCoefficient {
        ReducedRankLocal::new(m, n, h, a, b, r)
            .unwrap()
            .learning_coefficient()
    }

    fn expected(doubled: i64, m: u32) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(doubled, 2), m).unwrap()
    }

    /// All factorisations with widths up to `most`.
    fn all(most: u32) -> impl Iterator<Item = ([u32; 3], [u32; 3])> {
        let sizes = move || 1..=most;
        sizes()
            .flat_map(move |m| sizes().map(move |n| (m, n)))
            .flat_map(move |(m, n)| sizes().map(move |h| [m, n, h]))
            .flat_map(|[m, n, h]| {
                (0..=m.min(h)).flat_map(move |a| {
                    (0..=n.min(h)).flat_map(move |b| {
                        ((a + b).saturating_sub(h)..=a.min(b)).map(move |r| ([m, n, h], [a, b, r]))
                    })
                })
            })
    }

    #[test]
    fn worked_values() {
        for (sizes, ranks, doubled, m) in [
            ([2, 2, 2], [0, 0, 0], 3, 1),
            ([2, 2, 2], [1, 1, 0], 3, 1),
            ([2, 2, 2], [1, 0, 0], 3, 1),
            ([2, 2, 2], [2, 0, 0], 4, 1),
            ([4, 4, 4], [1, 1, 1], 14, 2),
            ([4, 4, 4], [1, 4, 1], 16, 1),
        ] {
            assert_eq!(
                pair(sizes, ranks),
                expected(doubled, m),
                "{sizes:?} {ranks:?}"
            );
        }
    }

    /// `(q + min_t c_t)/2` and the number of minimisers, by trying every t.
    #[test]
    fn agrees_with_the_minimum_over_ranks_of_the_germ() {
        let mut n_members = 0;
        for (sizes, ranks) in all(6) {
            let ([m, n, h], [a, b, r]) = (sizes.map(i64::from), ranks.map(i64::from));
            let (p, n_free, h_free) = (n - b, m - a, h - a - b + r);
            let costs: Vec<i64> = (0..=h_free.min(n_free))
                .map(|t| (h_free - t) * (n_free - t) + p * t)
                .collect();
            let least = *costs.iter().min().unwrap();
            let ties = costs.iter().filter(|&&c| c == least).count() as u32;
            let doubled = n * a + b * m - a * b + least;
            assert_eq!(pair(sizes, ranks), expected(doubled, ties));
            n_members += 1;
        }
        assert_eq!(n_members, 4227);
    }

    /// Another route: the set of zeros near the point is a union of strata of larger `(rank A, rank B)`; on those
    /// that are open in it the Jacobian has the rank q. λ is half the least of these, m how many attain it.
    #[test]
    fn half_the_least_codimension_of_the_strata_nearby() {
        for (sizes, [a, b, r]) in all(5) {
            let [m, n, h] = sizes;
            let allowed = |a: u32, b: u32| a <= m.min(h) && b <= n.min(h) && a + b <= h + r;
            let open: Vec<u32> = (a..=h)
                .flat_map(|a| (b..=h).map(move |b| (a, b)))
                .filter(|&(a, b)| allowed(a, b) && !allowed(a + 1, b) && !allowed(a, b + 1))
                .map(|(a, b)| n * a + m * b - a * b)
                .collect();
            let least = *open.iter().min().unwrap();
            let ties = open.iter().filter(|&&q| q == least).count() as u32;
            assert_eq!(
                pair(sizes, [a, b, r]),
                expected(i64::from(least), ties),
                "{sizes:?} {a} {b} {r}"
            );
        }
    }

    /// The rank of the Jacobian is q at every point; where nothing singular is left it is 2λ.
    #[test]
    fn regular_coordinates_are_the_rank_of_the_jacobian() {
        let mut numbers = Numbers(5);
        let mut n_smooth = 0;
        for ([m, n, h], [a, b, r]) in all(4).step_by(7) {
            let [m, n, h, a, b, r] = [m, n, h, a, b, r].map(|x| x as usize);
            let (second, first) = numbers.factors([m, n, h], [a, b, r]);
            let w: Vec<f64> = second.iter().chain(&first).copied().collect();
            let product = |w: &[f64]| {
                let second = ArrayView2::from_shape((n, h), &w[..n * h]).unwrap();
                let first = ArrayView2::from_shape((h, m), &w[n * h..]).unwrap();
                second.dot(&first).into_raw_vec_and_offset().0
            };
            let q = jacobian_rank(product, &w);
            assert_eq!(q, n * a + m * b - a * b);
            if m == a || n == b || h + r == a + b {
                let found = pair([m, n, h].map(|x| x as u32), [a, b, r].map(|x| x as u32));
                assert_eq!(found, expected(q as i64, 1));
                n_smooth += 1;
            }
        }
        assert!(n_smooth > 50);
    }

    #[test]
    fn never_below_the_global_pair_which_the_minimal_factorisation_attains() {
        for (sizes, [a, b, r]) in all(6) {
            let [m, n, h] = sizes;
            let global = ReducedRank::new(m, n, h, r).unwrap().learning_coefficient();
            let local = pair(sizes, [a, b, r]);
            // The dominating pair is the global one: less λ, or equal λ and no smaller m.
            assert_eq!(global.dominating(local), global);
            if a == r && b == r {
                assert_eq!(local, global);
            }
        }
    }

    #[test]
    fn impossible_ranks_are_refused() {
        let refused = |sizes: [u32; 3], ranks: [u32; 3]| {
            let ([m, n, h], [a, b, r]) = (sizes, ranks);
            ReducedRankLocal::new(m, n, h, a, b, r)
                .unwrap_err()
                .to_string()
        };
        for (sizes, ranks, inequality) in [
            ([0, 1, 1], [0, 0, 0], "1 <= inputs"),
            ([1, MAX_WIDTH + 1, 1], [0, 0, 0], "1 <= outputs"),
            ([1, 1, 0], [0, 0, 0], "1 <= hidden"),
            ([2, 3, 3], [3, 0, 0], "rank_first <= inputs"),
            ([3, 3, 2], [3, 0, 0], "rank_first <= hidden"),
            ([3, 2, 3], [0, 3, 0], "rank_second <= outputs"),
            ([3, 3, 2], [0, 3, 0], "rank_second <= hidden"),
            ([3, 3, 3], [1, 2, 2], "rank <= rank_first"),
            ([3, 3, 3], [2, 1, 2], "rank <= rank_second"),
            (
                [3, 3, 3],
                [2, 2, 0],
                "rank_first + rank_second <= hidden + rank is needed, got rank_first = 2, rank_second = 2, hidden = 3, rank = 0",
            ),
        ] {
            let message = refused(sizes, ranks);
            assert!(message.starts_with(inequality), "{message}");
        }
        assert!(ReducedRankLocal::new(3, 3, 3, 2, 2, 1).is_ok());
    }

    #[test]
    fn exact_at_the_largest_widths() {
        let w = MAX_WIDTH;
        let wide = i64::from(w);
        assert_eq!(pair([w, w, w], [w, w, w]), expected(wide * wide, 1));
        assert_eq!(pair([w, w, w], [w, 0, 0]), expected(wide * wide, 1));
        assert_eq!(pair([w, w, w], [0, 0, 0]), expected(3 * wide * wide / 4, 1));
    }

    proptest! {
        /// Transposing the problem exchanges the factors; a flat input changes nothing but its regular part.
        #[test]
        fn transposing_changes_nothing(
            [m, n, h] in [1u32..60, 1u32..60, 1u32..60], seeds in [0u32..60, 0u32..60, 0u32..60],
        ) {
            let a = seeds[0] % (m.min(h) + 1);
            let b = seeds[1] % (n.min(h) + 1);
            let least = (a + b).saturating_sub(h);
            let r = least + seeds[2] % (a.min(b) - least + 1);
            let local = pair([m, n, h], [a, b, r]);
            prop_assert_eq!(local, pair([n, m, h], [b, a, r]));
            let global = ReducedRank::new(m, n, h, r).unwrap().learning_coefficient();
            prop_assert_eq!(global.dominating(local), global);
            prop_assert!(local.lambda() <= Rational64::new(i64::from(h) * i64::from(m + n), 2));
            prop_assert!(local.lambda() <= Rational64::new(i64::from(m) * i64::from(n), 2));
        }
    }
}
