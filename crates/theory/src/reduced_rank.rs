//! Reduced-rank regression (two-layer linear networks) `y = B A x`: the global pair.
//!
//! `A` is `H × M` (M inputs), `B` is `N × H` (N outputs), the true product has rank `r`; the inputs have a covariance
//! of full rank (of rank ρ: put ρ for M). The pair is the global one, attained at factorisations with `rank A = rank
//! B = r`; at other factorisations of the same product the local pair can be larger, see
//! [`ReducedRankLocal`](crate::ReducedRankLocal).
//!
//! The germ at such a factorisation is `r (M + N) − r²` regular coordinates and the product of an `(N − r) × (H − r)`
//! and an `(H − r) × (M − r)` matrix near zero, hence
//!
//! - `λ = [r (M + N) − r²]/2 + λ₀(M − r, N − r, H − r)`;
//! - `λ₀` is symmetric in its three arguments. With `a <= b <= c` and `c` cut to `a + b` (a wider matrix adds
//!   nothing), `8 λ₀ = 2(ab + bc + ca) − a² − b² − c²`, plus 1 where `a + b + c` is odd; then `m = 2`, else `m = 1`.
//!
//! This is the four-case formula of Aoyagi & Watanabe (2005), *Stochastic complexities of reduced rank regression in
//! Bayesian estimation*, Neural Networks 18, Main Theorem, with `r` taken out of the widths. A bias of the last layer
//! adds N/2.

use crate::LearningCoefficient;
use crate::size::{SizeError, at_most, in_range};

/// Reduced-rank regression of given widths and true rank.
///
/// ```
/// use slt_theory::ReducedRank;
///
/// let pair = ReducedRank::new(5, 3, 3, 1)?.learning_coefficient();
/// assert_eq!(pair.to_string(), "λ = 11/2, m = 1");
/// # Ok::<(), slt_theory::SizeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReducedRank {
    n_inputs: u32,
    n_outputs: u32,
    n_hidden: u32,
    rank: u32,
}

impl ReducedRank {
    /// `y = B A x` with `A: [n_hidden, n_inputs]`, `B: [n_outputs, n_hidden]`, true product of `rank`.
    ///
    /// # Errors
    /// [`SizeError::OutOfRange`] when a width is 0 or above [`MAX_WIDTH`](crate::MAX_WIDTH);
    /// [`SizeError::TooLarge`] when `rank > min(n_inputs, n_outputs, n_hidden)`.
    pub fn new(n_inputs: u32, n_outputs: u32, n_hidden: u32, rank: u32) -> Result<Self, SizeError> {
        let widths = [
            ("inputs", n_inputs),
            ("outputs", n_outputs),
            ("hidden", n_hidden),
        ];
        for (name, width) in widths {
            in_range(name, width, 1)?;
        }
        at_most("rank", rank, &widths)?;
        Ok(Self {
            n_inputs,
            n_outputs,
            n_hidden,
            rank,
        })
    }

    /// The global pair (λ, m).
    ///
    /// Accuracy: exact.
    ///
    /// Source: Aoyagi & Watanabe (2005), Main Theorem.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let widths = [self.n_inputs, self.n_outputs, self.n_hidden];
        beside_product(0, widths, self.rank)
    }
}

/// The global pair of `n_beside` regular coordinates beside a product of `rank`, of widths (inputs, outputs, hidden);
/// widths may be zero.
pub(crate) fn beside_product(n_beside: u32, widths: [u32; 3], rank: u32) -> LearningCoefficient {
    let [m, n, h] = widths.map(i128::from);
    let r = i128::from(rank);
    let n_regular = i128::from(n_beside) + r * (m + n) - r * r;
    with_zero_product(n_regular, [m - r, n - r, h - r])
}

/// The pair of `n_regular` coordinates beside the product of two matrices near zero, of widths `widths` in any order.
pub(crate) fn with_zero_product(n_regular: i128, mut widths: [i128; 3]) -> LearningCoefficient {
    widths.sort_unstable();
    let [a, b, c] = widths;
    let c = c.min(a + b);
    let eightfold = 2 * (a * b + b * c + c * a) - a * a - b * b - c * c;
    // odd if and only if a + b + c is
    let odd = eightfold % 2;
    let multiplicity = 1 + u32::from(odd == 1);
    LearningCoefficient::from_fraction(4 * n_regular + eightfold + odd, 8, multiplicity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_WIDTH;
    use crate::matrix_germ::{Numbers, jacobian_rank, least_codimension};
    use num_rational::Rational64;
    use proptest::prelude::*;

    fn pair(m: u32, n: u32, h: u32, r: u32) -> LearningCoefficient {
        ReducedRank::new(m, n, h, r).unwrap().learning_coefficient()
    }

    fn expected(numer: i64, denom: i64, m: u32) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(numer, denom), m).unwrap()
    }

    /// The four cases of Aoyagi & Watanabe as they print them.
    fn by_four_cases(m: i64, n: i64, h: i64, r: i64) -> LearningCoefficient {
        if n + r <= m + h && m + r <= n + h && h + r <= m + n {
            let q = -(h + r).pow(2) - m * m - n * n + 2 * (h + r) * (m + n) + 2 * m * n;
            match (m + n + h + r) % 2 {
                0 => expected(q, 8, 1),
                _ => expected(q + 1, 8, 2),
            }
        } else if m + h < n + r {
            expected(h * m - h * r + n * r, 2, 1)
        } else if n + h < m + r {
            expected(h * n - h * r + m * r, 2, 1)
        } else {
            expected(m * n, 2, 1)
        }
    }

    /// Integrate B out; the singular values of A leave
    /// `λ = (r(M+N) − r²)/2 + ½ Σ_{j=1}^{min(H',N')} min(M', |H'−N'| + 2j − 1)`, primes less r,
    /// `m = 1 + #{j : |H'−N'| + 2j − 1 = M'}`.
    fn by_singular_values(m: i64, n: i64, h: i64, r: i64) -> LearningCoefficient {
        let (mp, np, hp) = (m - r, n - r, h - r);
        let terms = || (1..=hp.min(np)).map(|j| (hp - np).abs() + 2 * j - 1);
        let doubled = r * (m + n) - r * r + terms().map(|t| t.min(mp)).sum::<i64>();
        let ties = terms().filter(|&t| t == mp).count() as u32;
        expected(doubled, 2, 1 + ties)
    }

    /// `λ = (r(M+N) − r²)/2 + ½ min_t [(H'−t)(N'−t) + M't]`, m = number of minimisers.
    fn by_ranks(m: i64, n: i64, h: i64, r: i64) -> LearningCoefficient {
        let (mp, np, hp) = (m - r, n - r, h - r);
        let costs: Vec<i64> = (0..=hp.min(np))
            .map(|t| (hp - t) * (np - t) + mp * t)
            .collect();
        let least = *costs.iter().min().unwrap();
        let ties = costs.iter().filter(|&&c| c == least).count() as u32;
        expected(r * (m + n) - r * r + least, 2, ties)
    }

    #[test]
    fn worked_values() {
        let cases = [
            ((2, 2, 1, 0), (1, 1, 2)),
            ((2, 2, 2, 0), (3, 2, 1)),
            ((3, 2, 2, 0), (2, 1, 2)),
            ((5, 5, 3, 0), (13, 2, 2)),
            ((5, 3, 5, 0), (13, 2, 2)),
            ((4, 8, 3, 0), (6, 1, 1)),
            ((3, 4, 8, 0), (6, 1, 1)),
            ((5, 3, 3, 1), (11, 2, 1)),
        ];
        for ((m, n, h, r), (numer, denom, mult)) in cases {
            assert_eq!(
                pair(m, n, h, r),
                expected(numer, denom, mult),
                "{m} {n} {h} {r}"
            );
        }
    }

    /// Drton & Plummer (2017), *A Bayesian information criterion for singular models*, Table 1:
    /// 5 inputs, 3 outputs; m = 2 at (H, r) = (3, 0) alone.
    #[test]
    fn agrees_with_the_table_of_drton_and_plummer() {
        let table: [(u32, u32, i64); 9] = [
            (1, 0, 3),
            (1, 1, 7),
            (2, 0, 6),
            (2, 1, 9),
            (2, 2, 12),
            (3, 0, 9),
            (3, 1, 11),
            (3, 2, 13),
            (3, 3, 15),
        ];
        for (h, r, doubled) in table {
            let m = if (h, r) == (3, 0) { 2 } else { 1 };
            assert_eq!(
                pair(5, 3, h, r),
                expected(doubled, 2, m),
                "H = {h}, r = {r}"
            );
        }
    }

    #[test]
    fn four_routes_agree_for_all_small_sizes() {
        let mut n_sizes = 0;
        for m in 1..=9 {
            for n in 1..=9 {
                for h in 1..=12 {
                    for r in 0..=m.min(n).min(h) {
                        let formula = pair(m, n, h, r);
                        let [m, n, h, r] = [m, n, h, r].map(i64::from);
                        assert_eq!(formula, by_four_cases(m, n, h, r), "{m} {n} {h} {r}");
                        assert_eq!(formula, by_singular_values(m, n, h, r), "{m} {n} {h} {r}");
                        assert_eq!(formula, by_ranks(m, n, h, r), "{m} {n} {h} {r}");
                        n_sizes += 1;
                    }
                }
            }
        }
        assert_eq!(n_sizes, 3852);
    }

    /// Half the least codimension of a stratum of the set of zeros, from numerical Jacobians.
    #[test]
    fn half_the_rank_of_the_jacobian() {
        let mut numbers = Numbers(3);
        for (m, n, h, r) in [
            (2, 2, 1, 0),
            (3, 2, 2, 0),
            (3, 3, 2, 1),
            (2, 3, 4, 1),
            (3, 3, 3, 2),
        ] {
            let (codimension, strata) = least_codimension([m, n, h], r, |a, b| {
                let (second, first) = numbers.clone().factors([m, n, h], [a, b, r]);
                let w: Vec<f64> = second.iter().chain(&first).copied().collect();
                let product = |w: &[f64]| {
                    let second = ndarray::ArrayView2::from_shape((n, h), &w[..n * h]).unwrap();
                    let first = ndarray::ArrayView2::from_shape((h, m), &w[n * h..]).unwrap();
                    second.dot(&first).into_raw_vec_and_offset().0
                };
                jacobian_rank(product, &w)
            });
            numbers.next();
            let formula = pair(m as u32, n as u32, h as u32, r as u32);
            assert_eq!(formula, expected(codimension as i64, 2, strata));
        }
    }

    #[test]
    fn exact_at_the_largest_widths() {
        for w in [1_000_000, MAX_WIDTH] {
            let wide = i64::from(w);
            assert_eq!(pair(w, w, w, w), expected(wide * wide, 2, 1));
            // min_t [(w−t)² + wt] at the vertex t = w/2: 3w²/4.
            assert_eq!(pair(w, w, w, 0), expected(3 * wide * wide, 8, 1));
            // min_t [(w−t)(w−1−t) + wt] with both neighbours of its vertex (w−1)/2.
            let t = wide / 2;
            let least = (wide - t) * (wide - 1 - t) + wide * t;
            assert_eq!(pair(w, w - 1, w, 0), expected(least, 2, 2));
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert_eq!(
            ReducedRank::new(3, 2, 4, 3),
            Err(SizeError::TooLarge {
                name: "rank",
                value: 3,
                bound_name: "outputs",
                bound: 2
            })
        );
        for (name, sizes) in [
            ("inputs", [0, 1, 1]),
            ("outputs", [1, 0, 1]),
            ("hidden", [1, 1, 0]),
            ("inputs", [MAX_WIDTH + 1, 1, 1]),
        ] {
            let [m, n, h] = sizes;
            let Err(SizeError::OutOfRange { name: found, .. }) = ReducedRank::new(m, n, h, 0)
            else {
                panic!("{sizes:?} was accepted");
            };
            assert_eq!(found, name);
        }
    }

    fn members() -> impl Strategy<Value = [u32; 4]> {
        [1u32..40, 1u32..40, 1u32..40, 0u32..40]
            .prop_map(|[m, n, h, r]| [m, n, h, r.min(m).min(n).min(h)])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn symmetric_monotone_and_bounded([m, n, h, r] in members()) {
            let forward = pair(m, n, h, r);
            prop_assert_eq!(forward, pair(n, m, h, r));
            // At most half the number of parameters, and of functions; m <= d.
            let parameters = Rational64::new(i64::from(h) * i64::from(m + n), 2);
            let functions = Rational64::new(i64::from(m) * i64::from(n), 2);
            prop_assert!(forward.lambda() <= parameters);
            prop_assert!(forward.lambda() <= functions);
            prop_assert!(forward.multiplicity() <= h * (m + n));
            // At least half the rank of the Jacobian at a factorisation with rank A = rank B = r.
            let regular = i64::from(r) * i64::from(m + n) - i64::from(r) * i64::from(r);
            prop_assert!(forward.lambda() >= Rational64::new(regular, 2));
            // A wider net and a richer truth have no smaller λ.
            prop_assert!(pair(m + 1, n, h, r).lambda() >= forward.lambda());
            prop_assert!(pair(m, n, h + 1, r).lambda() >= forward.lambda());
            if r > 0 {
                prop_assert!(pair(m, n, h, r - 1).lambda() <= forward.lambda());
            }
            // As wide as the lesser end, the net holds every function near one that it fits: flat directions for the rest.
            prop_assert_eq!(pair(m, n, m + n + h, r), pair(m, n, m + n - r, r));
        }
    }
}
