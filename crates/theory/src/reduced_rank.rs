//! Reduced-rank regression (two-layer linear networks) `y = B A x`.
//!
//! `A` is `H × M` (M inputs), `B` is `N × H` (N outputs), the true product has rank `r`. The pair is
//! the global one, attained at factorisations with `rank A = rank B = r`; at other factorisations
//! of the same product the local pair can be larger.
//!
//! Source: Aoyagi & Watanabe (2005), *Stochastic complexities of reduced rank regression in Bayesian
//! estimation*, Neural Networks 18, Main Theorem. Test case 1 first:
//!
//! 1. `N + r <= M + H`, `M + r <= N + H`, `H + r <= M + N`: with
//!    `q = −(H + r)² − M² − N² + 2(H + r)(M + N) + 2MN`, the pair is `(q/8, 1)` if `M + N + H + r` is
//!    even and `((q + 1)/8, 2)` if it is odd;
//! 2. `M + H < N + r`: `((HM − Hr + Nr)/2, 1)`;
//! 3. `N + H < M + r`: `((HN − Hr + Mr)/2, 1)`;
//! 4. `M + N < H + r`: `(MN/2, 1)`.

use num_rational::Rational64;

use crate::LearningCoefficient;

/// Reduced-rank regression of given widths and true rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReducedRank {
    n_inputs: u32,
    n_outputs: u32,
    n_hidden: u32,
    rank: u32,
}

/// Why sizes describe no reduced-rank regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReducedRankError {
    /// A width is outside `1..=MAX_WIDTH`.
    #[error("widths are 1 to {max}, got {n_inputs} inputs, {n_outputs} outputs, {n_hidden} hidden", max = ReducedRank::MAX_WIDTH)]
    Width {
        /// M.
        n_inputs: u32,
        /// N.
        n_outputs: u32,
        /// H.
        n_hidden: u32,
    },
    /// The true rank exceeds a width.
    #[error("the true rank {rank} is larger than the least width {least_width}")]
    RankTooLarge {
        /// r.
        rank: u32,
        /// `min(M, N, H)`.
        least_width: u32,
    },
}

impl ReducedRank {
    /// The largest width for which the formula is exact in 64-bit integers.
    pub const MAX_WIDTH: u32 = 1 << 29;

    /// `y = B A x` with `A: [n_hidden, n_inputs]`, `B: [n_outputs, n_hidden]`, true product of `rank`.
    ///
    /// # Errors
    /// [`ReducedRankError::Width`] when a width is 0 or above [`Self::MAX_WIDTH`];
    /// [`ReducedRankError::RankTooLarge`] when `rank > min(n_inputs, n_outputs, n_hidden)`.
    pub fn new(
        n_inputs: u32,
        n_outputs: u32,
        n_hidden: u32,
        rank: u32,
    ) -> Result<Self, ReducedRankError> {
        let widths = [n_inputs, n_outputs, n_hidden];
        if widths.iter().any(|w| !(1..=Self::MAX_WIDTH).contains(w)) {
            return Err(ReducedRankError::Width {
                n_inputs,
                n_outputs,
                n_hidden,
            });
        }
        let least_width = n_inputs.min(n_outputs).min(n_hidden);
        if rank > least_width {
            return Err(ReducedRankError::RankTooLarge { rank, least_width });
        }
        Ok(Self {
            n_inputs,
            n_outputs,
            n_hidden,
            rank,
        })
    }

    /// The global pair (λ, m), by the four cases of the module documentation.
    ///
    /// Accuracy: exact.
    ///
    /// Source: Aoyagi & Watanabe (2005), Main Theorem.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let [m, n, h, r] = [self.n_inputs, self.n_outputs, self.n_hidden, self.rank].map(i64::from);
        let (numer, denom, multiplicity) = if n + r <= m + h && m + r <= n + h && h + r <= m + n {
            let q = -(h + r).pow(2) - m * m - n * n + 2 * (h + r) * (m + n) + 2 * m * n;
            match (m + n + h + r) % 2 {
                0 => (q, 8, 1),
                _ => (q + 1, 8, 2),
            }
        } else if m + h < n + r {
            (h * m - h * r + n * r, 2, 1)
        } else if n + h < m + r {
            (h * n - h * r + m * r, 2, 1)
        } else {
            (m * n, 2, 1)
        };
        LearningCoefficient::from_formula(Rational64::new(numer, denom), multiplicity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(m: u32, n: u32, h: u32, r: u32) -> LearningCoefficient {
        ReducedRank::new(m, n, h, r).unwrap().learning_coefficient()
    }

    fn expected(numer: i64, denom: i64, m: u32) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(numer, denom), m).unwrap()
    }

    /// Second route: integrate B out; the singular values of A leave
    /// `λ = (r(M+N) − r²)/2 + ½ Σ_{j=1}^{min(H',N')} min(M', |H'−N'| + 2j − 1)`, primes less r,
    /// `m = 1 + #{j : |H'−N'| + 2j − 1 = M'}`.
    fn by_singular_values(m: i64, n: i64, h: i64, r: i64) -> LearningCoefficient {
        let (mp, np, hp) = (m - r, n - r, h - r);
        let terms = || (1..=hp.min(np)).map(|j| (hp - np).abs() + 2 * j - 1);
        let doubled = r * (m + n) - r * r + terms().map(|t| t.min(mp)).sum::<i64>();
        let ties = terms().filter(|&t| t == mp).count() as u32;
        expected(doubled, 2, 1 + ties)
    }

    /// Third route: `λ = (r(M+N) − r²)/2 + ½ min_t [(H'−t)(N'−t) + M't]`, m = number of minimisers.
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
    fn three_routes_agree_for_all_small_sizes() {
        let mut n_sizes = 0;
        for m in 1..=9 {
            for n in 1..=9 {
                for h in 1..=12 {
                    for r in 0..=m.min(n).min(h) {
                        let formula = pair(m, n, h, r);
                        let [m, n, h, r] = [m, n, h, r].map(i64::from);
                        assert_eq!(formula, by_singular_values(m, n, h, r), "{m} {n} {h} {r}");
                        assert_eq!(formula, by_ranks(m, n, h, r), "{m} {n} {h} {r}");
                        n_sizes += 1;
                    }
                }
            }
        }
        assert_eq!(n_sizes, 3852);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert_eq!(
            ReducedRank::new(3, 2, 4, 3),
            Err(ReducedRankError::RankTooLarge {
                rank: 3,
                least_width: 2
            })
        );
        for (m, n, h) in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1 << 30, 1, 1)] {
            assert_eq!(
                ReducedRank::new(m, n, h, 0),
                Err(ReducedRankError::Width {
                    n_inputs: m,
                    n_outputs: n,
                    n_hidden: h
                })
            );
        }
        let w = ReducedRank::MAX_WIDTH;
        assert_eq!(
            pair(w, w, w, w).lambda(),
            Rational64::new(i64::from(w) * i64::from(w), 2)
        );
        assert_eq!(pair(w, w, w, 0), by_integer_minimum(i64::from(w)));
    }

    /// `min_t [(w−t)² + wt]/2` over integers: the parabola's vertex `t = w/2`.
    fn by_integer_minimum(w: i64) -> LearningCoefficient {
        let t = w / 2;
        expected((w - t).pow(2) + w * t, 2, 1)
    }

    proptest! {
        #[test]
        fn symmetric_and_bounded(m in 1u32..40, n in 1u32..40, h in 1u32..40, r in 0u32..40) {
            let r = r.min(m).min(n).min(h);
            let forward = pair(m, n, h, r);
            prop_assert_eq!(forward, pair(n, m, h, r));
            // Below half the number of parameters and half the codimension bound of the product map.
            let parameters = Rational64::new(i64::from(h) * i64::from(m + n), 2);
            let functions = Rational64::new(i64::from(m) * i64::from(n), 2);
            prop_assert!(forward.lambda() <= parameters);
            prop_assert!(forward.lambda() <= functions);
            // At least half the rank of the Jacobian at a factorisation with rank A = rank B = r.
            let regular = i64::from(r) * i64::from(m + n) - i64::from(r) * i64::from(r);
            prop_assert!(forward.lambda() >= Rational64::new(regular, 2));
        }
    }
}
