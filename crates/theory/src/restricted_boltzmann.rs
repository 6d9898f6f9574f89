//! Restricted Boltzmann machines with ±1 units and no bias, against the uniform distribution.
//!
//! `p(x) ∝ ∏_k cosh(w_k · x)` for `x` in `{±1}^n`. Derived here: with one hidden unit and `τ_i = tanh w_i`, the character `∏_{i in S} x_i` has the
//! coefficient `∏_{i in S} τ_i` for each even set S, so the ideal of the uniform distribution is `<w_i w_j : i < j>`:
//!
//! - `K ~ Σ_{i<j} w_i² w_j²`, whose linear programme has its minimum at `v = (1/4, …, 1/4)`: `λ = n/4`, `m = 1` for `n >= 3`,
//!   and `(1/2, 2)` for `n = 2`;
//! - one visible unit is always uniform: λ = 0 for any number of hidden units;
//! - two visible units and H >= 2 hidden ones have one character, whose coefficient is a sum over the hidden units of functions with
//!   the sign and the gradient's zeros of `w_1 w_2`: `K ~ g²` with `g = 0` smooth except where all `w = 0`, a quadratic form of rank 2H with
//!   the pole `H/2`. So `(1/2, 1)`.
//!
//! Else `log p` is a sum over the hidden units, and `K` at most a multiple of the sum of theirs: `λ <= Hn/4` by the sum rule. Larger machines and other
//! truths have bounds alone in the literature (Yamazaki & Watanabe 2005; Aoyagi 2010, 2013).

use num_rational::Rational64;

use crate::{Known, LearningCoefficient};

/// A restricted Boltzmann machine with the uniform truth.
///
/// ```
/// use slt_theory::RestrictedBoltzmann;
///
/// let machine = RestrictedBoltzmann::new(5, 1)?;
/// assert_eq!(machine.learning_coefficient().to_string(), "λ = 5/4, m = 1");
/// let larger = RestrictedBoltzmann::new(5, 2)?;
/// assert_eq!(larger.learning_coefficient().to_string(), "λ <= 5/2");
/// # Ok::<(), slt_theory::RestrictedBoltzmannError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RestrictedBoltzmann {
    n_visible: u32,
    n_hidden: u32,
}

/// Why numbers describe no restricted Boltzmann machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestrictedBoltzmannError {
    /// A number of units is outside `1..=MAX_UNITS`.
    #[error(
        "numbers of units are 1 to {max}, got {n_visible} visible, {n_hidden} hidden",
        max = RestrictedBoltzmann::MAX_UNITS
    )]
    Units {
        /// n.
        n_visible: u32,
        /// H.
        n_hidden: u32,
    },
}

impl RestrictedBoltzmann {
    /// The largest number of units, for which the bound fits 64 bits.
    pub const MAX_UNITS: u32 = 1 << 29;

    /// A machine of `n_visible` and `n_hidden` units.
    ///
    /// # Errors
    /// [`RestrictedBoltzmannError::Units`] unless both are `1..=MAX_UNITS`.
    pub fn new(n_visible: u32, n_hidden: u32) -> Result<Self, RestrictedBoltzmannError> {
        let units = 1..=Self::MAX_UNITS;
        if !(units.contains(&n_visible) && units.contains(&n_hidden)) {
            return Err(RestrictedBoltzmannError::Units {
                n_visible,
                n_hidden,
            });
        }
        Ok(Self {
            n_visible,
            n_hidden,
        })
    }

    /// (λ, m) for one hidden unit or at most two visible ones; else the bound `λ <= Hn/4`.
    ///
    /// Accuracy: exact.   Derived here; see the module.
    pub fn learning_coefficient(&self) -> Known {
        let exact =
            |numer, denom, m| LearningCoefficient::from_formula(Rational64::new(numer, denom), m);
        match (self.n_visible, self.n_hidden) {
            (1, _) => LearningCoefficient::FLAT.into(),
            (2, 1) => exact(1, 2, 2).into(),
            (2, _) => exact(1, 2, 1).into(),
            (n, 1) => exact(n.into(), 4, 1).into(),
            (n, h) => Known::UpperBound(Rational64::new(i64::from(n) * i64::from(h), 4)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Newton;

    fn known(n: u32, h: u32) -> Known {
        RestrictedBoltzmann::new(n, h)
            .unwrap()
            .learning_coefficient()
    }

    #[test]
    fn one_hidden_unit_by_newton() {
        for n in 2..8usize {
            let mut monomials = Vec::new();
            for i in 0..n {
                for j in 0..i {
                    monomials.push((0..n).map(|k| 2 * u32::from(k == i || k == j)).collect());
                }
            }
            let newton = Newton::new(&monomials, &vec![0; n]).unwrap();
            assert_eq!(known(n as u32, 1), newton.learning_coefficient(), "n = {n}");
        }
    }

    /// The Kullback-Leibler distance itself is comparable to `Σ_{i<j} w_i² w_j²`, over eight orders of magnitude.
    #[test]
    fn the_ideal_of_one_hidden_unit() {
        for scales in [
            [1.0, 1.0, 1.0, 1.0],
            [1.0, 0.1, 0.01, 1.0],
            [0.3, 1e-2, 1.0, 1e-2],
        ] {
            for size in [1e-1, 1e-2] {
                let w = scales.map(|scale| scale * size);
                let p: Vec<f64> = (0u32..16)
                    .map(|x| {
                        let field: f64 = (0..4)
                            .map(|i| if x >> i & 1 == 1 { w[i] } else { -w[i] })
                            .sum();
                        field.cosh()
                    })
                    .collect();
                let mean = p.iter().sum::<f64>() / 16.0;
                let variance = p.iter().map(|p| (p / mean - 1.0).powi(2)).sum::<f64>() / 16.0;
                let sum: f64 = (0..4)
                    .flat_map(|i| (0..i).map(move |j| (i, j)))
                    .map(|(i, j)| (w[i] * w[j]).powi(2))
                    .sum();
                assert!((variance / sum - 1.0).abs() < 0.1, "{scales:?} {size}");
            }
        }
    }

    #[test]
    fn few_visible_units_and_bounds() {
        assert_eq!(known(1, 1), LearningCoefficient::FLAT.into());
        assert_eq!(known(1, 5), LearningCoefficient::FLAT.into());
        let half = LearningCoefficient::new(Rational64::new(1, 2), 1).unwrap();
        for h in 2..6 {
            assert_eq!(known(2, h), half.into());
            // In polar coordinates K = r⁴ σ², with the Jacobian r^(2H − 1) and σ the distance from g = 0.
            let polar = Newton::new(&[vec![4, 2]], &[2 * h - 1, 0]).unwrap();
            assert_eq!(known(2, h), polar.learning_coefficient());
        }
        assert_eq!(known(3, 2), Known::UpperBound(Rational64::new(3, 2)));
        let w = RestrictedBoltzmann::MAX_UNITS;
        let wide = i64::from(w);
        assert_eq!(
            known(w, w),
            Known::UpperBound(Rational64::new(wide * wide, 4))
        );
        for (n, h) in [(0, 1), (1, 0), (w + 1, 1), (1, w + 1)] {
            assert_eq!(
                RestrictedBoltzmann::new(n, h),
                Err(RestrictedBoltzmannError::Units {
                    n_visible: n,
                    n_hidden: h
                })
            );
        }
    }
}
