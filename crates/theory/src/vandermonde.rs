//! Vandermonde matrix type singularities: `K ~ Σ_{n>=0} |Σ_{i=1}^H a_i ⊗ b_i^⊗(1 + Qn)|²`, `a_i` in `R^M`, `b_i` in `R^N`, near 0.
//!
//! The zero truth of three-layer networks with N inputs, M outputs, H units without bias: `Q = 2` for an odd activation with a
//! full odd Taylor series (tanh), `Q = 1` for one whose powers are all there from the first on.
//!
//! **One input.** `λ = [M Q k (k + 1) + 2H]/[4(1 + kQ)]` with `k = max { i : 2H >= M (i (i − 1) Q + 2i) }`, and `m = 2` if
//! `2H = M (k (k − 1) Q + 2k)`, else 1 (Aoyagi 2009; Entropy 2019, 21, 1124, section 4). It is the minimum of the same
//! expression over all `k >= 0`: with a common scale `b_i = t s_i` and distinct `s_i^Q`, the ideal is `<t^(1 + Q(j−1)) c_j : j = 1…H>`, `c` linear in
//! `a`, and the linear programme over the exponent of t has its vertices at `1/(2(1 + kQ))`.
//!
//! **One unit.** `K ~ |a|² |b|²`: `λ = min(M, N)/2`, `m = 2` if `M = N`.
//!
//! **Two units, N >= 2.** `λ = min { M, N, X }` with `X = (2N + Q (N − 1 + M))/(2Q + 2)` (Aoyagi 2019, theorem 6; its fourth candidate
//! `(M + N)/2` is never below these), and m is the number of minimisers, derived here. Let `|b_1| >= |b_2|`, `b_1 = t u`,
//! `b_2 = t (s u + e)` with `|u| = 1`, `e ⊥ u`, and `c = a_1 + s a_2`. The ideal is `<t c, t a_2 ⊗ e, t^(1 + Q) a_2 s (s^Q − 1)>`, all
//! higher orders being multiples of these; so near a root of `s (s^Q − 1)`, with σ its distance,
//! `K ~ t²|c|² + t²|a_2|²|e|² + t^(2+2Q)|a_2|²σ²` with the prior `t^(2N−1) |c|^(M−1) |a_2|^(M−1) |e|^(N−2)` in the radii. With τ, α the
//! exponents of `t`, `|a_2|` the linear programme minimises `2Nτ + M(½ − τ)₊ + Mα + (N − 1)(½ − τ − α)₊ + (½ − (1 + Q)τ − α)₊`,
//! whose vertices `(0, ½)`, `(½, 0)`, `(½/(1 + Q), 0)`, `(0, 0)` have the values M, N, X, `(M + N)/2`.
//!
//! **More units, N >= 2.** The published formula for three units was checked at N = 1 alone, and the one for four contradicts N = 1; neither is used.
//! The squared sum over units is at most a multiple of the sum over pairs of units, so the sum rule makes
//! `⌊H/2⌋ λ(2 units) + (H mod 2) λ(1 unit)` an upper bound.

use num_rational::{Ratio, Rational64};

use crate::{Known, LearningCoefficient};

/// The zero truth of a three-layer network without bias.
///
/// ```
/// use slt_theory::Vandermonde;
///
/// // One input, one output, four tanh units.
/// let tanh = Vandermonde::new(1, 1, 4, 2)?;
/// assert_eq!(tanh.learning_coefficient().to_string(), "λ = 1, m = 2");
/// # Ok::<(), slt_theory::VandermondeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vandermonde {
    n_inputs: u32,
    n_outputs: u32,
    n_hidden: u32,
    q: u32,
}

/// Why sizes describe no Vandermonde singularity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VandermondeError {
    /// A size or Q is outside `1..=MAX_SIZE`.
    #[error(
        "sizes are 1 to {max}, got {n_inputs} inputs, {n_outputs} outputs, {n_hidden} hidden, q = {q}",
        max = Vandermonde::MAX_SIZE
    )]
    Size {
        /// N.
        n_inputs: u32,
        /// M.
        n_outputs: u32,
        /// H.
        n_hidden: u32,
        /// Q.
        q: u32,
    },
}

impl Vandermonde {
    /// The largest size for which all values fit 64-bit rationals.
    pub const MAX_SIZE: u32 = 1 << 20;

    /// The germ with `N = n_inputs`, `M = n_outputs`, `H = n_hidden` and powers `1, 1 + q, 1 + 2q, …`.
    ///
    /// # Errors
    /// [`VandermondeError::Size`] unless all of them are `1..=MAX_SIZE`.
    pub fn new(
        n_inputs: u32,
        n_outputs: u32,
        n_hidden: u32,
        q: u32,
    ) -> Result<Self, VandermondeError> {
        let sizes = [n_inputs, n_outputs, n_hidden, q];
        if sizes
            .iter()
            .any(|size| !(1..=Self::MAX_SIZE).contains(size))
        {
            return Err(VandermondeError::Size {
                n_inputs,
                n_outputs,
                n_hidden,
                q,
            });
        }
        Ok(Self {
            n_inputs,
            n_outputs,
            n_hidden,
            q,
        })
    }

    /// (λ, m) for one input, one unit or two units; else an upper bound on λ.
    ///
    /// Accuracy: exact.
    ///
    /// Source: Aoyagi (2009); Aoyagi (2019), theorem 6; the multiplicity for two units is derived in the module.
    pub fn learning_coefficient(&self) -> Known {
        match (self.n_inputs, self.n_hidden) {
            (1, _) => one_input(self.n_outputs, self.n_hidden, self.q).into(),
            (_, 1) => self.one_unit().into(),
            (_, 2) => self.two_units().into(),
            (_, n_hidden) => {
                let pairs = Rational64::from_integer((n_hidden / 2).into());
                let rest = Rational64::from_integer((n_hidden % 2).into());
                Known::UpperBound(
                    pairs * self.two_units().lambda() + rest * self.one_unit().lambda(),
                )
            }
        }
    }

    fn one_unit(&self) -> LearningCoefficient {
        let [n, m] = [self.n_inputs, self.n_outputs].map(i64::from);
        let multiplicity = 1 + u32::from(n == m);
        LearningCoefficient::from_formula(Rational64::new(n.min(m), 2), multiplicity)
    }

    fn two_units(&self) -> LearningCoefficient {
        let [n, m, q] = [self.n_inputs, self.n_outputs, self.q].map(i64::from);
        let candidates = [
            Rational64::from_integer(m),
            Rational64::from_integer(n),
            Rational64::new(2 * n + q * (n - 1 + m), 2 * q + 2),
        ];
        let [first, second, third] = candidates;
        let lambda = first.min(second).min(third);
        let multiplicity = candidates.iter().map(|&x| u32::from(x == lambda)).sum();
        LearningCoefficient::from_formula(lambda, multiplicity)
    }
}

/// (λ, m) of `<Σ_i a_i b_i^(1 + Qn)>` with one input, `n_outputs >= 1`, `q >= 1`, and any number of units, none included.
pub(crate) fn one_input(n_outputs: u32, n_hidden: u32, q: u32) -> LearningCoefficient {
    let [m, h, q] = [n_outputs, n_hidden, q].map(i128::from);
    let threshold = |i: i128| m * (i * (i - 1) * q + 2 * i);
    let k = (0..).take_while(|&i| 2 * h >= threshold(i)).count() as i128 - 1;
    let lambda = Ratio::new(m * q * k * (k + 1) + 2 * h, 4 * (1 + k * q));
    let multiplicity = 1 + u32::from(0 < k && 2 * h == threshold(k));
    LearningCoefficient::from_formula(narrow(lambda), multiplicity)
}

/// The same rational in 64 bits, where it fits because sizes are bounded.
pub(crate) fn narrow(x: Ratio<i128>) -> Rational64 {
    let fit = |part: &i128| i64::try_from(*part).expect("the sizes are bounded so that λ fits");
    Rational64::new_raw(fit(x.numer()), fit(x.denom()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Newton, ReducedRank};
    use proptest::prelude::*;

    fn known(n: u32, m: u32, h: u32, q: u32) -> Known {
        Vandermonde::new(n, m, h, q).unwrap().learning_coefficient()
    }

    fn pair(n: u32, m: u32, h: u32, q: u32) -> LearningCoefficient {
        known(n, m, h, q).exact().unwrap()
    }

    fn expected(numer: i64, denom: i64, m: u32) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(numer, denom), m).unwrap()
    }

    /// tanh, one output: `λ = (H + i² + i)/(4i + 2)`, `i = ⌊√H⌋`, `m = 2` at squares.
    #[test]
    fn tanh_with_one_output() {
        let table = [
            (1, 2, 2),
            (2, 3, 1),
            (5, 6, 1),
            (1, 1, 2),
            (11, 10, 1),
            (6, 5, 1),
            (13, 10, 1),
            (7, 5, 1),
            (3, 2, 2),
        ];
        for (h, (numer, denom, m)) in (1..).zip(table) {
            assert_eq!(pair(1, 1, h, 2), expected(numer, denom, m), "H = {h}");
        }
        for h in 1u32..2000 {
            let i = i64::from(h).isqrt();
            let m = 1 + u32::from(i * i == i64::from(h));
            assert_eq!(
                pair(1, 1, h, 2),
                expected(i64::from(h) + i * i + i, 4 * i + 2, m)
            );
        }
    }

    /// The formula for four units as circulated gives 1 here.
    #[test]
    fn four_units_with_q_one() {
        assert_eq!(pair(1, 1, 4, 1), expected(7, 6, 1));
    }

    /// Second route: the minimum of the expression over all k, and m = the number of minimisers.
    fn by_minimum(m: i64, h: i64, q: i64) -> LearningCoefficient {
        let values: Vec<_> = (0..h + 2)
            .map(|k| Rational64::new(m * q * k * (k + 1) + 2 * h, 4 * (1 + k * q)))
            .collect();
        let least = *values.iter().min().unwrap();
        let ties = values.iter().filter(|&&value| value == least).count();
        LearningCoefficient::new(least, ties as u32).unwrap()
    }

    /// Third route: the linear programme in the chart `b_i = t_1 … t_i`, with the generators
    /// `c_j b_j ∏_{l<j} b_l^Q` and the Jacobian `∏ t_l^(H − l)`.
    fn by_nested_chart(m: u32, h: u32, q: u32) -> LearningCoefficient {
        let size = h as usize;
        let mut monomials = Vec::new();
        for j in 0..size {
            let mut exponents = vec![0; 2 * size];
            for l in 0..=j {
                // b_j holds t_l once; b_i^Q for l <= i < j.
                exponents[l] = 2 * (1 + q * (j - l) as u32);
            }
            exponents[size + j] = 2;
            monomials.push(exponents);
        }
        let scales = (0..h).map(|l| h - 1 - l);
        let prior: Vec<u32> = scales.chain((0..h).map(|_| m - 1)).collect();
        let newton = Newton::new(&monomials, &prior).unwrap();
        newton.learning_coefficient().exact().unwrap()
    }

    #[test]
    fn one_input_by_three_routes() {
        for m in 1..6 {
            for h in 1..8 {
                for q in 1..4 {
                    let formula = pair(1, m, h, q);
                    assert_eq!(
                        formula,
                        by_minimum(m.into(), h.into(), q.into()),
                        "{m} {h} {q}"
                    );
                    assert_eq!(formula, by_nested_chart(m, h, q), "{m} {h} {q}");
                }
            }
        }
        for h in 8..60 {
            assert_eq!(pair(1, 2, h, 3), by_minimum(2, h.into(), 3), "{h}");
        }
    }

    /// `K = |a|²|b|²` by the linear programme in the radii.
    #[test]
    fn one_unit_by_newton() {
        for n in 1..6 {
            for m in 1..6 {
                let radii = Newton::new(&[vec![2, 2]], &[n - 1, m - 1]).unwrap();
                for q in 1..4 {
                    assert_eq!(
                        known(n, m, 1, q),
                        radii.learning_coefficient(),
                        "{n} {m} {q}"
                    );
                }
            }
        }
    }

    /// Aoyagi (2019), theorem 6, for two units; at N = 1 it agrees with the formula for one input.
    #[test]
    fn two_units_by_aoyagi() {
        for n in 1..7i64 {
            for m in 1..7i64 {
                for q in 1..5i64 {
                    let candidates = [
                        Rational64::from_integer(m),
                        Rational64::new(n + m, 2),
                        Rational64::from_integer(n),
                        Rational64::new(2 * n + q * (n - 1 + m), 2 * q + 2),
                    ];
                    let lambda = *candidates.iter().min().unwrap();
                    let ours = pair(n as u32, m as u32, 2, q as u32);
                    assert_eq!(ours.lambda(), lambda, "{n} {m} {q}");
                }
            }
        }
    }

    /// Second route for two units: the linear programme in the radii `(t, |c|, |a_2|, |e|, σ)`, for λ and m.
    #[test]
    fn two_units_by_newton() {
        let mut n_ties = 0;
        for n in 2..8 {
            for m in 1..9 {
                for q in 1..5 {
                    let monomials = [
                        vec![2, 2, 0, 0, 0],
                        vec![2, 0, 2, 2, 0],
                        vec![2 + 2 * q, 0, 2, 0, 2],
                    ];
                    let prior = [2 * n - 1, m - 1, m - 1, n - 2, 0];
                    let newton = Newton::new(&monomials, &prior).unwrap();
                    assert_eq!(
                        known(n, m, 2, q),
                        newton.learning_coefficient(),
                        "{n} {m} {q}"
                    );
                    n_ties += pair(n, m, 2, q).multiplicity() - 1;
                }
            }
        }
        assert!(n_ties > 10);
    }

    #[test]
    fn more_units_have_a_bound() {
        // Three units, N = M = 2, Q = 2: 5/3 + 1.
        assert_eq!(known(2, 2, 3, 2), Known::UpperBound(Rational64::new(8, 3)));
        assert_eq!(known(2, 2, 4, 2), Known::UpperBound(Rational64::new(10, 3)));
    }

    #[test]
    fn the_whole_domain_is_exact() {
        for (n, m, h, q) in [
            (0, 1, 1, 1),
            (1, 0, 1, 1),
            (1, 1, 0, 1),
            (1, 1, 1, 0),
            (1, 1, (1 << 20) + 1, 1),
        ] {
            assert_eq!(
                Vandermonde::new(n, m, h, q),
                Err(VandermondeError::Size {
                    n_inputs: n,
                    n_outputs: m,
                    n_hidden: h,
                    q
                })
            );
        }
        let w = Vandermonde::MAX_SIZE;
        let wide = i64::from(w);
        assert_eq!(pair(1, w, w, w), expected(wide, 2, 2));
        assert_eq!(pair(w, w, 1, w), expected(wide, 2, 2));
        // N = M = W, Q = W: (2W + W(2W − 1))/(2W + 2) = W (2W + 1)/(2W + 2), below W.
        assert_eq!(
            pair(w, w, 2, w).lambda(),
            Rational64::new(wide * (2 * wide + 1), 2 * wide + 2)
        );
        assert_eq!(
            known(w, w, w, w),
            Known::UpperBound(
                Rational64::new(wide, 2) * Rational64::new(wide * (2 * wide + 1), 2 * wide + 2)
            )
        );
        let i = wide.isqrt();
        assert_eq!(
            pair(1, 1, w, 2).lambda(),
            Rational64::new(wide + i * i + i, 4 * i + 2)
        );
    }

    proptest! {
        /// At least the first order alone (reduced-rank regression), at most one unit for each, and monotone.
        #[test]
        fn bounds(n in 1u32..9, m in 1u32..9, h in 1u32..9, q in 1u32..5) {
            let lambda = known(n, m, h, q).lambda().unwrap();
            let first_order = ReducedRank::new(n, m, h, 0).unwrap().learning_coefficient();
            prop_assert!(first_order.lambda() <= lambda);
            let separate = known(n, m, 1, q).lambda().unwrap() * Rational64::from_integer(h.into());
            prop_assert!(lambda <= separate);
            prop_assert!(lambda <= known(n, m, h + 1, q).lambda().unwrap());
            prop_assert!(lambda <= known(n, m + 1, h, q).lambda().unwrap());
            // Fewer orders, a smaller K.
            prop_assert!(known(n, m, h, 2 * q).lambda().unwrap() <= lambda);
        }
    }
}
