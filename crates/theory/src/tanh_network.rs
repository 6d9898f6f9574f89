//! Three-layer networks `Σ_i a_i tanh(b_i x)` with one input, no bias, and `r` true units.
//!
//! Any odd activation with a full odd Taylor series at 0 and linearly independent derivatives elsewhere gives the same. The truth has `r` units with
//! distinct `|b*_j| ≠ 0` and `a*_j ≠ 0` in `R^M`; the model has `H >= r` units. Derived here.
//!
//! A true unit takes `1 + e` units of the model with `b_i` near `b*_j` and `Σ a_i` near `a*_j`. The orders 0 (`M` equations) and 1 along
//! `a*_j` are regular; with one scale t for the other e units' distances, the rest is `<t^l c_l⊥, t^(l+1) c_l : l = 1…e>`, `c_l⊥` in `R^(M−1)`, so
//!
//! `cluster(M, e) = (M + 1)/2 + C(e)`, `C(e) = min_{k>=0} [2e + (M − 1) k (k + 1) + k (k − 1)]/(4(1 + k))`,
//!
//! and units at 0 have `A(e) = min_{k>=0} [2M k (k + 1) + 2e]/(4(1 + 2k))`, [`Vandermonde`](crate::Vandermonde) with Q = 2. Both are minima of
//! linear functions of e, hence concave, and 0 at e = 0. The sum over an allocation of the `E = H − r` spare units is therefore least
//! where all of them are in one place:
//!
//! `λ = r (M + 1)/2 + min(A(E), C(E))`, without C if `r = 0`.
//!
//! Consecutive k tie in C at `2e = (M − 1)(k + 1)(k + 2) + k (k + 3)`, increasing in k, so `m <= 2` in one place, and `m = 2` at these e (for `e >= 1`).
//! Another allocation ties only where A or C is linear from 0 to E, with no such point inside; its places then have m = 1. The
//! multiplicity is thus the larger one of the minimisers among A(E) and C(E).

use num_rational::Ratio;

use crate::LearningCoefficient;
use crate::vandermonde::{narrow, one_input};

/// A tanh network with one input, against a truth that is a smaller one.
///
/// ```
/// use slt_theory::TanhNetwork;
///
/// let network = TanhNetwork::new(1, 3, 1)?; // one output, three units, one true unit
/// assert_eq!(network.learning_coefficient().to_string(), "λ = 3/2, m = 2");
/// # Ok::<(), slt_theory::TanhNetworkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TanhNetwork {
    n_outputs: u32,
    n_hidden: u32,
    n_true_hidden: u32,
}

/// Why sizes describe no tanh network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TanhNetworkError {
    /// A size is outside `1..=MAX_SIZE`.
    #[error(
        "sizes are 1 to {max}, got {n_outputs} outputs, {n_hidden} hidden",
        max = TanhNetwork::MAX_SIZE
    )]
    Size {
        /// M.
        n_outputs: u32,
        /// H.
        n_hidden: u32,
    },
    /// The truth has more units than the model.
    #[error("the true number of units {n_true_hidden} is larger than the model's {n_hidden}")]
    TooManyTrueUnits {
        /// r.
        n_true_hidden: u32,
        /// H.
        n_hidden: u32,
    },
}

impl TanhNetwork {
    /// The largest size for which all values fit 64-bit rationals.
    pub const MAX_SIZE: u32 = 1 << 29;

    /// `M = n_outputs`, `H = n_hidden`, `r = n_true_hidden` (0 for the zero function).
    ///
    /// # Errors
    /// [`TanhNetworkError::Size`] unless `n_outputs` and `n_hidden` are `1..=MAX_SIZE`;
    /// [`TanhNetworkError::TooManyTrueUnits`] when `n_true_hidden > n_hidden`.
    pub fn new(
        n_outputs: u32,
        n_hidden: u32,
        n_true_hidden: u32,
    ) -> Result<Self, TanhNetworkError> {
        if [n_outputs, n_hidden]
            .iter()
            .any(|size| !(1..=Self::MAX_SIZE).contains(size))
        {
            return Err(TanhNetworkError::Size {
                n_outputs,
                n_hidden,
            });
        }
        if n_true_hidden > n_hidden {
            return Err(TanhNetworkError::TooManyTrueUnits {
                n_true_hidden,
                n_hidden,
            });
        }
        Ok(Self {
            n_outputs,
            n_hidden,
            n_true_hidden,
        })
    }

    /// `λ = r (M + 1)/2 + min(A(E), C(E))`, with m of the minimiser; see the module.
    ///
    /// Accuracy: exact.
    ///
    /// Source: Aoyagi (2009) for `r = 0`; derived here for `r >= 1`.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let n_spare = self.n_hidden - self.n_true_hidden;
        let at_zero = one_input(self.n_outputs, n_spare, 2);
        if self.n_true_hidden == 0 {
            return at_zero;
        }
        let n_regular = i128::from(self.n_true_hidden) * i128::from(self.n_outputs + 1);
        let regular = LearningCoefficient::from_formula(narrow(Ratio::new(n_regular, 2)), 1);
        regular
            .independent_sum(at_zero.dominating(spare_in_cluster(self.n_outputs, n_spare)))
            .expect("the sizes are bounded so that λ fits")
    }
}

/// (C(e), m): what `e` spare units at a true unit add to its `(M + 1)/2`.
fn spare_in_cluster(n_outputs: u32, n_spare: u32) -> LearningCoefficient {
    if n_spare == 0 {
        return LearningCoefficient::FLAT;
    }
    let [m, e] = [n_outputs, n_spare].map(i128::from);
    // The value of k + 1 is below that of k iff 2e is above this.
    let threshold = |k: i128| (m - 1) * (k + 1) * (k + 2) + k * (k + 3);
    let k = (0..).take_while(|&k| 2 * e > threshold(k)).count() as i128;
    let lambda = Ratio::new(2 * e + (m - 1) * k * (k + 1) + k * (k - 1), 4 * (1 + k));
    LearningCoefficient::from_formula(narrow(lambda), 1 + u32::from(2 * e == threshold(k)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Newton;
    use num_rational::Rational64;
    use proptest::prelude::*;

    fn pair(m: u32, h: u32, r: u32) -> LearningCoefficient {
        TanhNetwork::new(m, h, r).unwrap().learning_coefficient()
    }

    fn expected(numer: i64, denom: i64, m: u32) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(numer, denom), m).unwrap()
    }

    #[test]
    fn worked_values() {
        for ((h, r), value) in [
            ((1, 1), expected(1, 1, 1)),
            ((2, 1), expected(5, 4, 1)),
            ((3, 1), expected(3, 2, 2)),
            ((4, 1), expected(5, 3, 1)),
            ((3, 2), expected(9, 4, 1)),
            ((1, 0), expected(1, 2, 2)),
            ((9, 0), expected(3, 2, 2)),
        ] {
            assert_eq!(pair(1, h, r), value, "H = {h}, r = {r}");
        }
        // Two outputs, one spare unit: K = q²β² + p²β⁴ ties.
        assert_eq!(pair(2, 2, 1), expected(2, 1, 2));
    }

    /// Second route: the germ of e spare units in the chart with one scale, by the linear programme.
    fn cluster_by_newton(m: u32, e: u32) -> LearningCoefficient {
        if e == 0 {
            return LearningCoefficient::FLAT;
        }
        // t, then c_l, then |c_l⊥| (absent for one output).
        let blocks = if m == 1 { 1 } else { 2 };
        let mut monomials = Vec::new();
        let mut prior = vec![e - 1];
        for block in 0..blocks {
            for l in 1..=e {
                let mut exponents = vec![0; 1 + (blocks * e) as usize];
                exponents[0] = if block == 0 { 2 * (l + 1) } else { 2 * l };
                exponents[(block * e + l) as usize] = 2;
                monomials.push(exponents);
                prior.push(if block == 0 { 0 } else { m - 2 });
            }
        }
        let newton = Newton::new(&monomials, &prior).unwrap();
        newton.learning_coefficient().exact().unwrap()
    }

    /// Third route: the minimum over k, and m = the number of minimisers.
    fn cluster_by_minimum(m: i64, e: i64) -> LearningCoefficient {
        if e == 0 {
            return LearningCoefficient::FLAT;
        }
        let values: Vec<_> = (0..2 * e + 2)
            .map(|k| Rational64::new(2 * e + (m - 1) * k * (k + 1) + k * (k - 1), 4 * (1 + k)))
            .collect();
        let least = *values.iter().min().unwrap();
        let ties = values.iter().filter(|&&value| value == least).count();
        LearningCoefficient::new(least, ties as u32).unwrap()
    }

    #[test]
    fn clusters_by_three_routes() {
        for m in 1..7 {
            for e in 0..8 {
                assert_eq!(spare_in_cluster(m, e), cluster_by_newton(m, e), "{m} {e}");
            }
            for e in 0..80 {
                assert_eq!(
                    spare_in_cluster(m, e),
                    cluster_by_minimum(m.into(), e.into()),
                    "{m} {e}"
                );
            }
        }
    }

    /// The least of all allocations of the spare units, by the sum rule, one place after the other.
    fn by_allocation(m: u32, h: u32, r: u32) -> LearningCoefficient {
        let n_spare = (h - r) as usize;
        let mut best: Vec<LearningCoefficient> = (0..=h - r).map(|e| one_input(m, e, 2)).collect();
        for _ in 0..r {
            let regular = crate::regular(m + 1);
            best = (0..=n_spare)
                .map(|total| {
                    (0..=total)
                        .map(|e| {
                            let here = cluster_by_minimum(m.into(), e as i64);
                            best[total - e]
                                .independent_sum(here)
                                .unwrap()
                                .independent_sum(regular)
                                .unwrap()
                        })
                        .reduce(LearningCoefficient::dominating)
                        .unwrap()
                })
                .collect();
        }
        best[n_spare]
    }

    #[test]
    fn spare_units_gather_in_one_place() {
        let mut ties_of_places = 0;
        for m in 1..6 {
            for r in 0..5 {
                for h in r.max(1)..r + 14 {
                    assert_eq!(pair(m, h, r), by_allocation(m, h, r), "{m} {h} {r}");
                    let e = h - r;
                    ties_of_places +=
                        u32::from(one_input(m, e, 2).lambda() == spare_in_cluster(m, e).lambda());
                }
            }
        }
        assert!(ties_of_places > 100);
    }

    #[test]
    fn the_whole_domain_is_exact() {
        for (m, h) in [(0, 1), (1, 0), ((1 << 29) + 1, 1), (1, (1 << 29) + 1)] {
            assert_eq!(
                TanhNetwork::new(m, h, 0),
                Err(TanhNetworkError::Size {
                    n_outputs: m,
                    n_hidden: h
                })
            );
        }
        assert_eq!(
            TanhNetwork::new(1, 2, 3),
            Err(TanhNetworkError::TooManyTrueUnits {
                n_true_hidden: 3,
                n_hidden: 2
            })
        );
        let w = TanhNetwork::MAX_SIZE;
        let wide = i64::from(w);
        assert_eq!(pair(w, w, w), expected(wide * (wide + 1), 2, 1));
        // All k = 0: λ = r (M + 1)/2 + E/2.
        assert_eq!(pair(w, w, 1), expected(wide + 1 + wide - 1, 2, 2));
        // One output, a million units: k = ⌊√H⌋ = 1000 and H a square.
        assert_eq!(
            pair(1, 1_000_000, 0),
            expected(1_000_000 + 1_001_000, 4002, 2)
        );
        // 2e = k (k + 3) has no solution here; A(E) is least.
        assert_eq!(pair(1, 1_000_001, 1), expected(2_001_000 + 4002, 4002, 2));
    }

    proptest! {
        #[test]
        fn bounds(m in 1u32..20, h in 1u32..60, r in 0u32..60) {
            let r = r.min(h);
            let lambda = pair(m, h, r).lambda();
            prop_assert!(lambda <= Rational64::new(i64::from(h) * i64::from(m + 1), 2));
            prop_assert!(lambda >= Rational64::new(i64::from(r) * i64::from(m + 1), 2));
            prop_assert!(lambda < pair(m, h + 1, r).lambda());
            prop_assert!(lambda <= pair(m + 1, h, r).lambda());
        }
    }
}
