//! R-hat: the spread between chains against the spread within.
//!
//! For split chains of N draws, `R̂ = √((B/W + N − 1)/N)`, B = N · variance of the chain means, W = mean of
//! the chain variances. The rank-normalised version takes the larger of the value for the ranks of the
//! draws (location) and of `|x − median|` (scale). At least `√((N − 1)/N)`; mixed chains are near 1.
//!
//! Source: Vehtari et al. (2021), arXiv:1903.08008v5, sections 3.1 and 4.1.

use ndarray::{Array2, ArrayView2};

use crate::quantile::type_7;
use crate::rank_normalisation::rank_normalise;
use crate::split_chains::{DrawsError, check, check_varies, mean_and_variance, split};

/// Draws per chain that leave two in each half.
const MIN_DRAWS: usize = 4;

/// Rank-normalised split R-hat, the larger of bulk and folded.
///
/// Infinite when every half chain is constant and not all at one value (stuck chains).
///
/// Shapes: `draws`: `[n_chains, n_draws]`, n_draws ≥ 4.
///
/// # Errors
/// [`DrawsError`] when there are no chains, fewer than 4 draws per chain, a NaN or infinity, draws that
/// are all equal, or all at one distance from the median.
///
/// Source: `posterior::rhat`.
pub fn rhat(draws: ArrayView2<f64>) -> Result<f64, DrawsError> {
    check(draws, MIN_DRAWS)?;
    let halves = split(draws);
    check_varies(&halves, "the draws are")?;
    let mut sorted: Vec<f64> = draws.iter().copied().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let median = type_7(&sorted, 0.5);
    let folded = halves.mapv(|x| (x - median).abs());
    check_varies(&folded, "the distance of the draws from their median is")?;
    let bulk = between_to_within(&rank_normalise(halves.view()))?;
    let tail = between_to_within(&rank_normalise(folded.view()))?;
    Ok(bulk.max(tail))
}

/// Split R-hat of the draws themselves, without ranks and folding.
///
/// Infinite for stuck chains, as [`rhat`].
///
/// Shapes: `draws`: `[n_chains, n_draws]`, n_draws ≥ 4.
///
/// # Errors
/// As [`rhat`] without the median, and [`DrawsError::VarianceOutOfRange`] when a variance leaves the
/// range of f64.
///
/// Source: `posterior::rhat_basic`.
pub fn rhat_basic(draws: ArrayView2<f64>) -> Result<f64, DrawsError> {
    check(draws, MIN_DRAWS)?;
    let halves = split(draws);
    check_varies(&halves, "the draws are")?;
    between_to_within(&halves)
}

/// `√((B/W + N − 1)/N)` of at least two chains of at least two draws.
fn between_to_within(chains: &Array2<f64>) -> Result<f64, DrawsError> {
    let n = chains.ncols() as f64;
    let moments = chains.rows().into_iter().map(mean_and_variance);
    let (means, variances): (Vec<f64>, Vec<f64>) = moments.unzip();
    let between = n * mean_and_variance(means.as_slice().into()).1;
    let within = variances.iter().sum::<f64>() / variances.len() as f64;
    if !(between + within).is_normal() {
        return Err(DrawsError::VarianceOutOfRange);
    }
    Ok(((between / within + n - 1.0) / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ar1::park_miller;
    use crate::reference_chains::check_against_posterior;
    use ndarray::{array, s};
    use proptest::prelude::*;

    #[test]
    fn posterior_reference() {
        check_against_posterior(|r| rhat(r.draws.view()).unwrap(), |r| r.rhat);
        check_against_posterior(|r| rhat_basic(r.draws.view()).unwrap(), |r| r.rhat_basic);
    }

    #[test]
    fn stuck_chains_are_infinitely_far() {
        let draws = array![[0.1; 6], [0.7; 6]];
        // 0.1 and 0.7 are equally far from their median, but for rounding
        assert_eq!(rhat_basic(draws.view()), Ok(f64::INFINITY));
        let draws = array![[0.1; 6], [0.7; 6], [0.3; 6]];
        assert_eq!(rhat(draws.view()), Ok(f64::INFINITY));
    }

    #[test]
    fn unusable_draws_are_errors() {
        let constant = Array2::from_elem((2, 8), 3.0);
        let coin = array![[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]];
        for diagnostic in [rhat, rhat_basic] {
            assert!(matches!(
                diagnostic(constant.view()),
                Err(DrawsError::Constant { value: 3.0, .. })
            ));
            assert_eq!(
                diagnostic(coin.slice(s![.., ..3])),
                Err(DrawsError::TooFewDraws {
                    expected: 4,
                    got: 3
                })
            );
        }
        assert_eq!(
            rhat(coin.view()).unwrap_err().to_string(),
            "the distance of the draws from their median is constant at 0.5"
        );
        let huge = array![[1e300, -1e300, 1e300, -1e300]];
        assert_eq!(rhat_basic(huge.view()), Err(DrawsError::VarianceOutOfRange));
        assert!(rhat(array![[1.0, 2.0, f64::NAN, 3.0]].view()).is_err());
    }

    /// Chains on a grid, so that the affine maps below are exact.
    fn grid_chains() -> impl Strategy<Value = Array2<f64>> {
        (1u64..1 << 30, 1usize..5, 10usize..60, -0.9..0.9).prop_map(
            |(seed, n_chains, n_draws, phi)| {
                let grid = 2.0_f64.powi(20);
                park_miller(seed, n_chains, n_draws, phi).mapv(|x| (x * grid).round() / grid)
            },
        )
    }

    proptest! {
        #[test]
        fn affine_maps_and_the_order_of_chains_are_irrelevant(
            draws in grid_chains(),
            shift in -1000i16..1000,
            scale in prop_oneof![-8i8..0, 1i8..9],
        ) {
            let mapped = draws.slice(s![..;-1, ..]).mapv(|x| f64::from(scale) * x + f64::from(shift));
            for diagnostic in [rhat, rhat_basic] {
                let (before, after) = (diagnostic(draws.view()).unwrap(), diagnostic(mapped.view()).unwrap());
                prop_assert!((before / after - 1.0).abs() <= 1e-9, "{before} {after}");
            }
        }

        /// `R̂ ≥ √((N − 1)/N)` for halves of N draws.
        #[test]
        fn bounded_below(draws in grid_chains()) {
            let half = (draws.ncols() / 2) as f64;
            let bound = ((half - 1.0) / half).sqrt() - 1e-12;
            prop_assert!(rhat(draws.view()).unwrap() >= bound);
            prop_assert!(rhat_basic(draws.view()).unwrap() >= bound);
        }

        /// A jump by 30 in the middle of one chain.
        #[test]
        fn a_jump_is_found(draws in grid_chains(), distance in 30.0..1e6) {
            let mut draws = draws;
            let half = draws.ncols() / 2;
            draws.slice_mut(s![0, ..half]).mapv_inplace(|x| x + distance);
            prop_assert!(rhat_basic(draws.view()).unwrap() > 1.1);
            prop_assert!(rhat(draws.view()).unwrap() > 1.1);
        }
    }
}
