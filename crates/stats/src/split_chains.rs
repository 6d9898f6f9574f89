//! Chains cut in halves, the input of every within- and between-chain comparison.
//!
//! A chain of odd length loses its middle draw. Halves let one chain be compared with itself, so that
//! a drift shows as a difference between chains.
//!
//! Source: Vehtari et al. (2021), Bayesian Analysis 16(2), 667–718, arXiv:1903.08008v5, section 3.1;
//! edge cases as in the R package `posterior` 1.4.0, its NA being an error here.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis, concatenate, s};

/// Why draws have no ESS, R-hat or MCSE.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DrawsError {
    /// The array has no rows.
    #[error("no chains")]
    NoChains,
    /// The chains are too short for this diagnostic.
    #[error("at least {expected} draws per chain are needed, got {got}")]
    TooFewDraws {
        /// Least number of draws per chain.
        expected: usize,
        /// Draws per chain given.
        got: usize,
    },
    /// A draw is NaN or infinite.
    #[error("draw {draw} of chain {chain} is {value}")]
    NonFinite {
        /// Row of the first such draw.
        chain: usize,
        /// Its column.
        draw: usize,
        /// The draw.
        value: f64,
    },
    /// All draws that are compared are equal, so nothing about mixing can be said.
    #[error("{what} constant at {value}")]
    Constant {
        /// What is constant: the draws, or a function of them.
        what: &'static str,
        /// The one value.
        value: f64,
    },
    /// The draws are finite, but their variance overflows or underflows.
    #[error("the variance of the draws overflows or underflows")]
    VarianceOutOfRange,
}

/// Checks that there are chains, `min_draws` draws in each, and no NaN or infinity.
pub(crate) fn check(draws: ArrayView2<f64>, min_draws: usize) -> Result<(), DrawsError> {
    let (n_chains, n_draws) = draws.dim();
    if n_chains == 0 {
        return Err(DrawsError::NoChains);
    }
    if n_draws < min_draws {
        return Err(DrawsError::TooFewDraws {
            expected: min_draws,
            got: n_draws,
        });
    }
    match draws.indexed_iter().find(|(_, v)| !v.is_finite()) {
        Some(((chain, draw), &value)) => Err(DrawsError::NonFinite { chain, draw, value }),
        None => Ok(()),
    }
}

/// The halves of the chains: `[n_chains, n_draws]` to `[2 n_chains, n_draws / 2]`.
pub(crate) fn split(draws: ArrayView2<f64>) -> Array2<f64> {
    let n_draws = draws.ncols();
    let half = n_draws / 2;
    concatenate(
        Axis(0),
        &[
            draws.slice(s![.., ..half]),
            draws.slice(s![.., n_draws - half..]),
        ],
    )
    .expect("both halves have the same number of draws")
}

/// Fails when all entries of `halves` are equal; `what` names them in the error.
pub(crate) fn check_varies(halves: &Array2<f64>, what: &'static str) -> Result<(), DrawsError> {
    let value = halves[[0, 0]];
    if halves.iter().all(|&v| v == value) {
        return Err(DrawsError::Constant { what, value });
    }
    Ok(())
}

/// Mean and unbiased variance, by two passes about the first value; exact for equal values.
pub(crate) fn mean_and_variance(values: ArrayView1<f64>) -> (f64, f64) {
    let n = values.len() as f64;
    let shifted = values.mapv(|v| v - values[0]);
    let mean = shifted.sum() / n;
    let squares: f64 = shifted.iter().map(|v| (v - mean).powi(2)).sum();
    (values[0] + mean, squares / (n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn odd_chains_lose_the_middle_draw() {
        let draws = array![[1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0]];
        let halves = array![[1.0, 2.0], [6.0, 7.0], [4.0, 5.0], [9.0, 10.0]];
        assert_eq!(split(draws.view()), halves);
        assert_eq!(mean_and_variance(draws.row(0)), (3.0, 2.5));
    }

    #[test]
    fn impossible_input_is_named() {
        let draws = array![[1.0, 2.0], [3.0, f64::NAN]];
        let error = check(draws.view(), 2).unwrap_err();
        assert_eq!(error.to_string(), "draw 1 of chain 1 is NaN");
        assert_eq!(
            check(draws.view(), 4),
            Err(DrawsError::TooFewDraws {
                expected: 4,
                got: 2
            })
        );
        assert_eq!(
            check(Array2::zeros((0, 9)).view(), 4),
            Err(DrawsError::NoChains)
        );
        assert_eq!(
            check_varies(&Array2::ones((2, 2)), "the draws"),
            Err(DrawsError::Constant {
                what: "the draws",
                value: 1.0
            })
        );
    }
}
