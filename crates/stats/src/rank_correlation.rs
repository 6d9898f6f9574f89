//! Spearman's rank correlation, and the probability of one as large if the two orders had nothing to do with each other.
//!
//! ρ is the correlation of the ranks, ties sharing their average. Up to [`MOST_EXACT`] pairs its law under random pairing is had by
//! going through all permutations; beyond, `ρ √((n-2)/(1-ρ²))` is taken for Student's t with n - 2 degrees of freedom.
//!
//! Source: Spearman (1904), The American Journal of Psychology 15, 72-101; Kendall and Gibbons (1990), "Rank correlation methods",
//! sections 2.6 and 4.14.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::rank_normalisation::average_ranks;

/// Pairs up to which all permutations (40 320) are gone through.
const MOST_EXACT: usize = 8;

/// A rank correlation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RankCorrelation {
    /// ρ, from -1 to 1.
    pub rho: f64,
    /// Probability of at least `|rho|` under random pairing.
    pub p_value: f64,
}

/// Why there is no rank correlation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RankCorrelationError {
    /// Two points are always in order.
    #[error("{x} and {y} values; expected the same number of each, at least 3")]
    Lengths {
        /// Values of one kind.
        x: usize,
        /// Values of the other.
        y: usize,
    },
    /// A value has no rank.
    #[error("value {index} is {value}; expected a finite number")]
    NotFinite {
        /// Position of the first.
        index: usize,
        /// What it is.
        value: f64,
    },
    /// All values of one kind are equal.
    #[error("all values are equal, and have no order")]
    Constant,
}

/// Spearman's rank correlation of `x` and `y`.
///
/// Shapes: both `[n]`.
///
/// ```
/// let found = slt_stats::rank_correlation(&[1.0, 2.0, 3.0, 4.0], &[8.0, 5.0, 2.0, 1.0])?;
/// assert_eq!(found.rho, -1.0);
/// // of 24 orders, this and its reverse
/// assert_eq!(found.p_value, 2.0 / 24.0);
/// # Ok::<(), slt_stats::RankCorrelationError>(())
/// ```
///
/// # Errors
/// [`RankCorrelationError`] where lengths differ or are below 3, a value is not finite, or all are equal.
pub fn rank_correlation(x: &[f64], y: &[f64]) -> Result<RankCorrelation, RankCorrelationError> {
    let n = x.len();
    if n != y.len() || n < 3 {
        return Err(RankCorrelationError::Lengths { x: n, y: y.len() });
    }
    for values in [x, y] {
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            let value = values[index];
            return Err(RankCorrelationError::NotFinite { index, value });
        }
        if values.iter().all(|v| *v == values[0]) {
            return Err(RankCorrelationError::Constant);
        }
    }
    let (a, mut b) = (ranks(x), ranks(y));
    let scale = (product(&a, &a) * product(&b, &b)).sqrt();
    let rho = (product(&a, &b) / scale).clamp(-1.0, 1.0);
    let p_value = if n <= MOST_EXACT {
        // sums of halves: exact, so that ties with the data are counted
        let at_least = product(&a, &b).abs();
        let (mut n_all, mut n_far) = (0u32, 0u32);
        permutations(&mut b, n, &mut |b| {
            n_all += 1;
            n_far += u32::from(product(&a, b).abs() >= at_least);
        });
        f64::from(n_far) / f64::from(n_all)
    } else {
        let dof = n as f64 - 2.0;
        let t = rho * (dof / (1.0 - rho * rho)).sqrt();
        let law = StudentsT::new(0.0, 1.0, dof).expect("positive degrees of freedom");
        2.0 * law.sf(t.abs())
    };
    Ok(RankCorrelation { rho, p_value })
}

/// Twice the ranks, less their mean: whole numbers.
fn ranks(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let row = ArrayView2::from_shape((1, n), values).expect("a row");
    let twice = average_ranks(row).mapv(|rank| 2.0 * rank - (n + 1) as f64);
    twice.into_raw_vec_and_offset().0
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Calls `visit` with every order of the first `n` values (Heap 1963).
fn permutations(values: &mut [f64], n: usize, visit: &mut impl FnMut(&[f64])) {
    if n <= 1 {
        return visit(values);
    }
    for i in 0..n {
        permutations(values, n - 1, visit);
        if i + 1 < n {
            values.swap(if n.is_multiple_of(2) { i } else { 0 }, n - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    /// By hand `1 - 6 Σd²/(n (n² - 1))`; orders counted by Python's `itertools.permutations`; Student's law by mpmath's `betainc`.
    #[test]
    fn reference_values() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        let y = [0.3, 0.1, 0.4, 0.15, 0.9, 0.26, 0.5];
        let found = rank_correlation(&x, &y).expect("valid");
        // d = 3, 1, 2, 2, 2, 3, 1
        assert_relative_eq!(found.rho, 1.0 - 6.0 * 32.0 / 336.0, max_relative = 1e-15);
        assert_eq!(found.p_value, 1782.0 / 5040.0);
        let x: Vec<f64> = (0..12).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|x| (x * 1.3).sin() + 0.2 * x).collect();
        let found = rank_correlation(&x, &y).expect("valid");
        // Σd² = 106
        assert_relative_eq!(found.rho, 1.0 - 6.0 * 106.0 / 1716.0, max_relative = 1e-14);
        assert_relative_eq!(
            found.p_value,
            0.028_319_671_295_760_11,
            max_relative = 1e-10
        );
    }

    #[test]
    fn all_orders_are_visited_once() {
        for n in 1..=6 {
            let mut values: Vec<f64> = (0..n).map(f64::from).collect();
            let mut seen = std::collections::BTreeSet::new();
            permutations(&mut values, n as usize, &mut |v| {
                assert!(seen.insert(format!("{v:?}")));
            });
            assert_eq!(seen.len(), (1..=n as usize).product());
        }
    }

    #[test]
    fn order_is_all_that_counts() {
        let x = [3.0, 1.0, 2.0, 5.0, 4.0];
        let y = [0.1, 0.1, 7.0, -2.0, 0.5];
        let found = rank_correlation(&x, &y).expect("valid");
        let cubes = y.map(|y| y * y * y);
        assert_eq!(rank_correlation(&cubes, &x), Ok(found));
        let turned = rank_correlation(&x.map(|x| -x), &y).expect("valid");
        assert_eq!((turned.rho, turned.p_value), (-found.rho, found.p_value));
        assert_eq!(rank_correlation(&x, &x).map(|r| r.p_value), Ok(2.0 / 120.0));
        let long: Vec<f64> = (0..20).map(f64::from).collect();
        assert_eq!(
            rank_correlation(&long, &long).map(|r| (r.rho, r.p_value)),
            Ok((1.0, 0.0))
        );
    }

    #[test]
    fn what_has_no_order_is_refused() {
        let lengths = |x, y| Err(RankCorrelationError::Lengths { x, y });
        assert_eq!(rank_correlation(&[1.0, 2.0], &[1.0, 2.0]), lengths(2, 2));
        assert_eq!(rank_correlation(&[1.0; 3], &[1.0; 4]), lengths(3, 4));
        assert_eq!(
            rank_correlation(&[1.0, 2.0, 3.0], &[4.0; 3]),
            Err(RankCorrelationError::Constant)
        );
        for bad in [f64::NAN, f64::INFINITY] {
            let found = rank_correlation(&[1.0, 2.0, 3.0], &[4.0, bad, 5.0]);
            assert!(matches!(
                found,
                Err(RankCorrelationError::NotFinite { index: 1, .. })
            ));
        }
    }
}
