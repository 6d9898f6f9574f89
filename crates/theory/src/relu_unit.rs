//! ReLU units against piecewise linear truths.
//!
//! **One unit** `a relu(b·x)`, `x` in `R^d`, truth 0, inputs with a positive density around 0: `K ~ a²|b|²`, because
//! `E relu(b·x)²` is positive for `b ≠ 0` and homogeneous of degree 2. So `λ = min(1/2, d/2) = 1/2`, and `m = 2` where they tie,
//! at `d = 1`.
//!
//! **One input, H units** `Σ_i a_i relu(b_i x)`, no bias, inputs on both half-lines: with P the units with `b_i > 0` and N those with
//! `b_i < 0`, the function is `u |x|` on `x > 0` and `v |x|` on `x < 0`, `u = Σ_P a_i |b_i|`, `v = Σ_N a_i |b_i|`, and
//! `K ~ (u − u*)² + (v − v*)²`. Derived here:
//!
//! - truth 0: where all units are on one side `K ~ (Σ a_i b_i)²`, a squared quadratic form of rank 2H. Away from its one singular point
//!   it gives `(1/2, 1)`, at it the pole `H/2`; so `(1/2, 1)`, and `(1/2, 2)` at `H = 1`;
//! - a truth on one half-line, `u* ≠ 0 = v*`: the zeros with N empty are smooth, `(1/2, 1)`;
//! - a truth on both, `u*, v* ≠ 0` (for instance linear; needs `H >= 2`): u and v are independent and regular, `(1, 1)`.

use num_rational::Rational64;

use crate::LearningCoefficient;

/// One ReLU unit `a relu(b·x)` with the truth 0.
///
/// ```
/// use slt_theory::ReluUnit;
///
/// assert_eq!(ReluUnit::new(1)?.learning_coefficient().to_string(), "λ = 1/2, m = 2");
/// assert_eq!(ReluUnit::new(3)?.learning_coefficient().to_string(), "λ = 1/2, m = 1");
/// # Ok::<(), slt_theory::ReluUnitError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReluUnit {
    dimension: u32,
}

/// Why a number describes no ReLU unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReluUnitError {
    /// The unit has no input.
    #[error("a ReLU unit needs dimension >= 1, got 0")]
    NoInput,
}

impl ReluUnit {
    /// A unit with `dimension` inputs.
    ///
    /// # Errors
    /// [`ReluUnitError::NoInput`] when `dimension = 0`.
    pub fn new(dimension: u32) -> Result<Self, ReluUnitError> {
        if dimension == 0 {
            return Err(ReluUnitError::NoInput);
        }
        Ok(Self { dimension })
    }

    /// `λ = 1/2`; `m = 2` for one input, else 1.
    ///
    /// Accuracy: exact.   Derived here; see the module.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let multiplicity = if self.dimension == 1 { 2 } else { 1 };
        LearningCoefficient::from_formula(Rational64::new(1, 2), multiplicity)
    }
}

/// Where a truth that a one-input ReLU network without bias can express is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReluTruth {
    /// Nowhere.
    Zero,
    /// On one of the half-lines `x > 0` and `x < 0`.
    HalfLine,
    /// On both.
    Line,
}

/// A ReLU network with one input, one output and no bias.
///
/// ```
/// use slt_theory::{OneInputRelu, ReluTruth};
///
/// let linear_truth = OneInputRelu::new(5, ReluTruth::Line)?;
/// assert_eq!(linear_truth.learning_coefficient().to_string(), "λ = 1, m = 1");
/// # Ok::<(), slt_theory::OneInputReluError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OneInputRelu {
    n_hidden: u32,
    truth: ReluTruth,
}

/// Why a network cannot have the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OneInputReluError {
    /// Each half-line on which the truth is not zero needs a unit.
    #[error("this truth needs hidden >= {needed}, got {n_hidden}")]
    TooFewUnits {
        /// The least number of units.
        needed: u32,
        /// The number given.
        n_hidden: u32,
    },
}

impl OneInputRelu {
    /// A network of `n_hidden` units.
    ///
    /// # Errors
    /// [`OneInputReluError::TooFewUnits`] when `n_hidden = 0`, or 1 for [`ReluTruth::Line`].
    pub fn new(n_hidden: u32, truth: ReluTruth) -> Result<Self, OneInputReluError> {
        let needed = match truth {
            ReluTruth::Zero | ReluTruth::HalfLine => 1,
            ReluTruth::Line => 2,
        };
        if n_hidden < needed {
            return Err(OneInputReluError::TooFewUnits { needed, n_hidden });
        }
        Ok(Self { n_hidden, truth })
    }

    /// `(1/2, 1)` or `(1, 1)` by the truth, and `(1/2, 2)` for one unit against zero.
    ///
    /// Accuracy: exact.   Derived here; see the module.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let (doubled, multiplicity) = match (self.truth, self.n_hidden) {
            (ReluTruth::Zero, 1) => (1, 2),
            (ReluTruth::Zero | ReluTruth::HalfLine, _) => (1, 1),
            (ReluTruth::Line, _) => (2, 1),
        };
        LearningCoefficient::from_formula(Rational64::new(doubled, 2), multiplicity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Newton, regular};

    fn half(doubled: i64, m: u32) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(doubled, 2), m).unwrap()
    }

    /// `a²|b|²` in the radii.
    #[test]
    fn one_unit_by_newton() {
        for d in 1..9 {
            let newton = Newton::new(&[vec![2, 2]], &[0, d - 1]).unwrap();
            let unit = ReluUnit::new(d).unwrap().learning_coefficient();
            assert_eq!(newton.learning_coefficient(), unit.into(), "d = {d}");
        }
        assert_eq!(ReluUnit::new(0), Err(ReluUnitError::NoInput));
    }

    #[test]
    fn one_input_worked_values() {
        for (h, truth, expected) in [
            (1, ReluTruth::Zero, half(1, 2)),
            (2, ReluTruth::Zero, half(1, 1)),
            (7, ReluTruth::Zero, half(1, 1)),
            (1, ReluTruth::HalfLine, half(1, 1)),
            (4, ReluTruth::HalfLine, half(1, 1)),
            (2, ReluTruth::Line, half(2, 1)),
            (9, ReluTruth::Line, half(2, 1)),
        ] {
            let network = OneInputRelu::new(h, truth).unwrap();
            assert_eq!(network.learning_coefficient(), expected, "{h} {truth:?}");
        }
        for (n_hidden, truth, needed) in [
            (0, ReluTruth::Zero, 1),
            (0, ReluTruth::HalfLine, 1),
            (1, ReluTruth::Line, 2),
        ] {
            assert_eq!(
                OneInputRelu::new(n_hidden, truth),
                Err(OneInputReluError::TooFewUnits { needed, n_hidden })
            );
        }
    }

    /// Second route for the truth 0: at the origin, in polar coordinates, `K = r⁴ q(u)²` on one side, `r⁴ (q_P(u)² + q_N(u)²)` with units on
    /// both. `q(u) = 0` is smooth on the sphere for `H >= 2`; for `H = 1` it is two lines, `a = 0` and `b = 0`.
    #[test]
    fn truth_zero_by_normal_crossings() {
        for h in 1..8 {
            let expected = OneInputRelu::new(h, ReluTruth::Zero)
                .unwrap()
                .learning_coefficient();
            let germ = |monomials: &[Vec<u32>]| {
                let prior = [2 * h - 1, 0, 0];
                let newton = Newton::new(monomials, &prior).unwrap();
                newton.learning_coefficient().exact().unwrap()
            };
            let one_side = germ(&[vec![4, 2, 0]]);
            let both_sides = germ(&[vec![4, 2, 0], vec![4, 0, 2]]);
            let found = match h {
                // a²b², without blow-up.
                1 => regular(1).independent_product(regular(1)).unwrap(),
                _ => one_side.dominating(both_sides),
            };
            assert_eq!(found, expected, "H = {h}");
        }
    }
}
