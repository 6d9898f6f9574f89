//! Empirical quantiles and the empirical distribution function.
//!
//! Type 7 of Hyndman and Fan (1996): with `h = (n − 1)p`, linear between the order statistics
//! `x_(⌊h⌋)` and `x_(⌈h⌉)` counted from 0. The default of R and NumPy.

/// Why there is no quantile.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantileError {
    /// No values were given.
    #[error("no values")]
    Empty,
    /// A value is NaN; infinities are ordered and allowed.
    #[error("value {index} is NaN")]
    NotANumber {
        /// Position of the first NaN.
        index: usize,
    },
    /// The point of [`ecdf`] is NaN.
    #[error("the point is NaN")]
    PointNotANumber,
    /// The probability is outside [0, 1].
    #[error("probability {got} is not in [0, 1]")]
    Probability {
        /// The probability given.
        got: f64,
    },
}

/// The empirical quantile of `values` at `probability`, type 7.
///
/// Shapes: `values`: `[n]`, in any order.   Domain: `0 ≤ probability ≤ 1`.
///
/// # Errors
/// [`QuantileError::Empty`], [`QuantileError::NotANumber`], or [`QuantileError::Probability`] outside
/// the domain.
///
/// Source: Hyndman and Fan (1996), The American Statistician 50(4), 361–365, definition 7.
pub fn quantile(values: &[f64], probability: f64) -> Result<f64, QuantileError> {
    check(values)?;
    if !(0.0..=1.0).contains(&probability) {
        return Err(QuantileError::Probability { got: probability });
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Ok(type_7(&sorted, probability))
}

/// The fraction of `values` that are at most `point`.
///
/// Shapes: `values`: `[n]`, in any order.
///
/// # Errors
/// [`QuantileError::Empty`], [`QuantileError::NotANumber`] or [`QuantileError::PointNotANumber`].
pub fn ecdf(values: &[f64], point: f64) -> Result<f64, QuantileError> {
    check(values)?;
    if point.is_nan() {
        return Err(QuantileError::PointNotANumber);
    }
    let n_below = values.iter().filter(|&&v| v <= point).count();
    Ok(n_below as f64 / values.len() as f64)
}

/// Type 7 quantile of sorted, non-empty values; `probability` in [0, 1].
pub(crate) fn type_7(sorted: &[f64], probability: f64) -> f64 {
    let position = (sorted.len() - 1) as f64 * probability;
    let (low, high) = (
        sorted[position.floor() as usize],
        sorted[position.ceil() as usize],
    );
    // equal neighbours exactly: an interpolated tie would miss itself by a rounding
    if low == high {
        return low;
    }
    let weight = position - position.floor();
    (1.0 - weight) * low + weight * high
}

fn check(values: &[f64]) -> Result<(), QuantileError> {
    if values.is_empty() {
        return Err(QuantileError::Empty);
    }
    match values.iter().position(|v| v.is_nan()) {
        Some(index) => Err(QuantileError::NotANumber { index }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference_chains::short;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    /// `quantile(x, p)` in R 4.2.2, scripts/posterior_reference.R.
    #[test]
    fn r_type_7() {
        let values = short().flatten().to_vec();
        let expected = [
            (0.0, -1.9881445355658163),
            (0.05, -1.5158175498786468),
            (0.3, -0.22939744532545941),
            (0.5, 0.35013115981134135),
            (0.95, 1.7625115210947171),
            (1.0, 1.7808574334629146),
        ];
        for (p, expected) in expected {
            assert_relative_eq!(
                quantile(&values, p).unwrap(),
                expected,
                max_relative = 1e-14
            );
        }
    }

    #[test]
    fn interpolated_ties_are_exact() {
        assert_eq!(quantile(&[0.1; 7], 0.37), Ok(0.1));
        assert_eq!(
            quantile(&[f64::INFINITY, f64::NEG_INFINITY, 2.0], 0.5),
            Ok(2.0)
        );
    }

    #[test]
    fn impossible_input_is_named() {
        assert_eq!(quantile(&[], 0.5), Err(QuantileError::Empty));
        assert_eq!(
            quantile(&[1.0, f64::NAN], 0.5),
            Err(QuantileError::NotANumber { index: 1 })
        );
        assert_eq!(ecdf(&[1.0], f64::NAN), Err(QuantileError::PointNotANumber));
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(matches!(
                quantile(&[1.0], bad),
                Err(QuantileError::Probability { .. })
            ));
        }
    }

    proptest! {
        /// At least `1 + ⌊(n − 1)p⌋` of the values are at most the quantile.
        #[test]
        fn ecdf_inverts_quantile(
            values in prop::collection::vec(-8i8..8, 1..40),
            p in 0.0..=1.0,
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let below = ecdf(&values, quantile(&values, p).unwrap()).unwrap();
            let n = values.len() as f64;
            prop_assert!(below >= (1.0 + ((n - 1.0) * p).floor()) / n);
        }
    }
}
