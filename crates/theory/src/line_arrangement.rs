//! Line arrangements: `K = ∏_{i=1}^n (a_i x + b_i y)²` for `n` distinct lines through the origin of the plane.
//!
//! One blow-up makes `K = r^(2n) ∏ sin²(θ − θ_i)` with the Jacobian `r`: poles at `1/2` from each line and at `2/(2n)` from the
//! origin. So `λ = min(1/2, 1/n)`, and `m = 2` where both are equal, at `n = 2`.
//!
//! Source: Kosta & Windisch (2024), on line arrangements; the blow-up is the proof for squared products of distinct lines.

use num_rational::Rational64;

use crate::LearningCoefficient;

/// The squared product of `n` distinct lines through the origin of the plane, with a positive prior.
///
/// ```
/// use slt_theory::LineArrangement;
///
/// let three = LineArrangement::new(3)?; // x² y² (x − y)²
/// assert_eq!(three.learning_coefficient().to_string(), "λ = 1/3, m = 1");
/// # Ok::<(), slt_theory::LineArrangementError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LineArrangement {
    n_lines: u32,
}

/// Why a number describes no line arrangement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineArrangementError {
    /// There is no line.
    #[error("a line arrangement needs lines >= 1, got 0")]
    NoLines,
}

impl LineArrangement {
    /// `n_lines` distinct lines.
    ///
    /// # Errors
    /// [`LineArrangementError::NoLines`] when `n_lines = 0`.
    pub fn new(n_lines: u32) -> Result<Self, LineArrangementError> {
        if n_lines == 0 {
            return Err(LineArrangementError::NoLines);
        }
        Ok(Self { n_lines })
    }

    /// `(1/2, 1)` for one line, `(1/2, 2)` for two, `(1/n, 1)` for more.
    ///
    /// Accuracy: exact.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let (denominator, multiplicity) = match self.n_lines {
            1 => (2, 1),
            2 => (2, 2),
            n => (i64::from(n), 1),
        };
        LearningCoefficient::from_formula(Rational64::new(1, denominator), multiplicity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PlaneCurve;

    /// Against the algorithm for plane curves, with the lines `y = kx`.
    #[test]
    fn agrees_with_plane_curves() {
        for n in 1..7u32 {
            let mut product = vec![((0u32, 0u32), 1i64)];
            for slope in 0..i64::from(n) {
                for _ in 0..2 {
                    let times_y = product.iter().map(|&((i, j), c)| ((i, j + 1), c));
                    let times_x = product.iter().map(|&((i, j), c)| ((i + 1, j), -slope * c));
                    product = times_y.chain(times_x).collect();
                }
            }
            let terms: Vec<_> = product
                .into_iter()
                .map(|(exponents, c)| (exponents, Rational64::from_integer(c)))
                .collect();
            let curve = PlaneCurve::new(&terms).unwrap();
            let pair = LineArrangement::new(n).unwrap().learning_coefficient();
            assert_eq!(curve.learning_coefficient(), pair.into(), "{n} lines");
        }
    }

    #[test]
    fn no_lines_are_refused() {
        assert_eq!(LineArrangement::new(0), Err(LineArrangementError::NoLines));
        let many = LineArrangement::new(u32::MAX).unwrap();
        assert_eq!(
            many.learning_coefficient().lambda(),
            Rational64::new(1, u32::MAX.into())
        );
    }
}
