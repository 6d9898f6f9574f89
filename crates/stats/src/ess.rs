//! Effective sample size of correlated draws.
//!
//! For M chains of N draws, `ESS = M N/τ̂`, `τ̂ = −1 + 2 Σ_t ρ̂_t`, with
//! `ρ̂_t = 1 − (W − γ̂(t))/var⁺`, `W = γ̂(0) N/(N − 1)`, `var⁺ = γ̂(0) + var(chain means)`.
//! The sum runs over pairs `P_k = ρ̂_{2k} + ρ̂_{2k+1}` while they are positive, made non-increasing
//! (Geyer's initial monotone sequence), plus once the even term that follows. `τ̂ ≥ 1/log₁₀(M N)`.
//! All of this on split chains.
//!
//! Two differences from the R package `posterior` 1.4.0. There `1:max_t` is `c(1, 0)` when no pair but
//! the first is read, so that `τ̂ = 2` whatever the draws: an alternating chain ±1 of 100 draws has ESS
//! 50, and every chain of 10 draws has half its length. Here the empty sum is 0 (Stan's C++ has it so),
//! and fewer than 12 draws per chain are an error. And `posterior` calls draws constant that differ by
//! less than 2.2e-16, whatever their scale; here they must be equal.
//!
//! Source: Vehtari et al. (2021), arXiv:1903.08008v5, sections 3.2 and 4; Geyer (1992), Statistical
//! Science 7(4), 473–483, section 3.3.

use ndarray::{Array2, ArrayView2};

use crate::autocovariance::Autocovariance;
use crate::quantile::type_7;
use crate::rank_normalisation::rank_normalise;
use crate::split_chains::{DrawsError, check, check_varies, split};

/// Draws per chain below which the pairs of a half chain cannot be read.
pub(crate) const MIN_DRAWS: usize = 12;

/// The effective sample size for the mean of the draws.
///
/// Can exceed the number of draws S for antithetic chains, up to `S log₁₀ S`.
///
/// Shapes: `draws`: `[n_chains, n_draws]`, n_draws ≥ 12.
///
/// # Errors
/// [`DrawsError`] when there are no chains, fewer than 12 draws per chain, a NaN or infinity, draws that
/// are all equal, or a variance outside the range of f64.
///
/// Source: `posterior::ess_mean`; see the module for two differences.
pub fn ess_mean(draws: ArrayView2<f64>) -> Result<f64, DrawsError> {
    check(draws, MIN_DRAWS)?;
    effective_sample_size(split(draws), "the draws are")
}

/// The bulk effective sample size: that of the mean of rank-normalised draws.
///
/// Defined for draws without a finite variance.
///
/// Shapes: `draws`: `[n_chains, n_draws]`, n_draws ≥ 12.
///
/// # Errors
/// As [`ess_mean`].
///
/// Source: Vehtari et al. (2021), section 4.3; `posterior::ess_bulk`.
pub fn ess_bulk(draws: ArrayView2<f64>) -> Result<f64, DrawsError> {
    check(draws, MIN_DRAWS)?;
    effective_sample_size(rank_normalise(split(draws).view()), "the draws are")
}

/// The tail effective sample size: the lesser of those of the 5% and 95% quantiles.
///
/// Each is the ESS of the mean of the indicator `x ≤ quantile` (type 7, over all draws).
///
/// Shapes: `draws`: `[n_chains, n_draws]`, n_draws ≥ 12.
///
/// # Errors
/// As [`ess_mean`], and [`DrawsError::Constant`] when an indicator is constant: 5% of the draws or
/// more tie at the maximum, or all draws beyond a quantile are dropped middles of odd chains.
///
/// Source: Vehtari et al. (2021), section 4.3; `posterior::ess_tail`.
pub fn ess_tail(draws: ArrayView2<f64>) -> Result<f64, DrawsError> {
    check(draws, MIN_DRAWS)?;
    let mut sorted: Vec<f64> = draws.iter().copied().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let ess_quantile = |probability, what| {
        let quantile = type_7(&sorted, probability);
        let below = draws.mapv(|x| f64::from(u8::from(x <= quantile)));
        effective_sample_size(split(below.view()), what)
    };
    let lower = ess_quantile(0.05, "the indicator of the 5% quantile is")?;
    let upper = ess_quantile(0.95, "the indicator of the 95% quantile is")?;
    Ok(lower.min(upper))
}

/// `M N/τ̂` of at least two chains of at least 6 draws.
fn effective_sample_size(chains: Array2<f64>, what: &'static str) -> Result<f64, DrawsError> {
    check_varies(&chains, what)?;
    let n_values = chains.len() as f64;
    let n = chains.ncols();
    let acov = Autocovariance::new(chains);
    let biased = acov.at(0);
    let within = biased * (n as f64 / (n - 1) as f64);
    let var_plus = biased + acov.variance_of_means();
    if !(within.is_finite() && var_plus.is_normal()) {
        return Err(DrawsError::VarianceOutOfRange);
    }
    let rho = |lag| 1.0 - (within - acov.at(lag)) / var_plus;

    // initial positive sequence: all pairs before the last one read, and that one
    let mut pairs: Vec<[f64; 2]> = Vec::new();
    let mut last = [1.0, rho(1)];
    let mut lag = 0;
    while lag + 5 < n && last[0] + last[1] > 0.0 {
        pairs.push(last);
        lag += 2;
        last = [rho(lag), rho(lag + 1)];
    }
    // of the last pair its even term counts once: if positive, or if the lags ran out before the sign changed
    let tail = if last[0] + last[1] >= 0.0 {
        last[0]
    } else {
        last[0].max(0.0)
    };

    // initial monotone sequence
    for k in 1..pairs.len() {
        let previous = pairs[k - 1][0] + pairs[k - 1][1];
        if pairs[k][0] + pairs[k][1] > previous {
            pairs[k] = [previous / 2.0; 2];
        }
    }

    let sum: f64 = pairs.iter().flatten().sum();
    let tau = -1.0 + 2.0 * sum + tail;
    Ok(n_values / tau.max(1.0 / n_values.log10()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ar1::{park_miller, stationary};
    use crate::estimate::Estimate;
    use crate::reference_chains::check_against_posterior;
    use crate::z_test::{Outcome, ZTest};
    use ndarray::{Array2, array, s};
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn posterior_reference() {
        check_against_posterior(|r| ess_mean(r.draws.view()).unwrap(), |r| r.ess_mean);
        check_against_posterior(|r| ess_bulk(r.draws.view()).unwrap(), |r| r.ess_bulk);
        check_against_posterior(|r| ess_tail(r.draws.view()).unwrap(), |r| r.ess_tail);
    }

    /// `posterior` says 50 here, see the module.
    #[test]
    fn alternating_chain_has_the_capped_size() {
        let draws = Array2::from_shape_fn((1, 100), |(_, i)| if i % 2 == 0 { 1.0 } else { -1.0 });
        assert_eq!(ess_mean(draws.view()), Ok(200.0));
    }

    #[test]
    fn unusable_draws_are_errors() {
        let chains = park_miller(1, 2, 40, 0.0);
        let constant = Array2::from_elem((2, 40), 3.0);
        // 10% of the draws tie at the maximum
        let censored = Array2::from_shape_fn((2, 40), |(_, i)| (i % 10).min(8) as f64);
        for diagnostic in [ess_mean, ess_bulk, ess_tail] {
            assert!(matches!(
                diagnostic(constant.view()),
                Err(DrawsError::Constant { .. })
            ));
            assert_eq!(
                diagnostic(chains.slice(s![.., ..11])),
                Err(DrawsError::TooFewDraws {
                    expected: 12,
                    got: 11
                })
            );
            let mut missing = chains.clone();
            missing[[1, 7]] = f64::NAN;
            assert!(matches!(
                diagnostic(missing.view()),
                Err(DrawsError::NonFinite {
                    chain: 1,
                    draw: 7,
                    ..
                })
            ));
        }
        assert_eq!(
            ess_tail(censored.view()).unwrap_err().to_string(),
            "the indicator of the 95% quantile is constant at 1"
        );
        assert_eq!(
            ess_mean((1e200 * &chains).view()),
            Err(DrawsError::VarianceOutOfRange)
        );
        assert_eq!(
            ess_mean((1e-200 * &chains).view()),
            Err(DrawsError::VarianceOutOfRange)
        );
    }

    #[test]
    fn stuck_chains_count_as_few_draws() {
        let draws = array![[0.1; 40], [0.7; 40]];
        let ess = ess_mean(draws.view()).unwrap();
        // every ρ̂ is 1: τ̂ = −1 + 2·16 + 1
        assert_eq!(ess, 80.0 / 32.0);
    }

    /// `ESS/S` of AR(1) chains against `(1 − φ)/(1 + φ)`, the limit for long chains.
    ///
    /// No exact expectation is known. Positive noise in the last pairs lowers ESS by 0.3 to 0.8% at this
    /// length, a bias that falls with the length as the noise does: about 1.5 MCSE for any length at 32
    /// replicates, where 6.0 would fail. Agreement in every digit is the matter of the test above.
    #[test]
    fn autoregressive_chains() {
        let (n_chains, n_draws) = (4, 20_000);
        let fraction = |seed: u64, phi: f64, retention: f64| {
            let replicates: Vec<f64> = (0..32)
                .map(|replicate| {
                    let mut rng = ChaCha8Rng::seed_from_u64(seed);
                    rng.set_stream(replicate);
                    let draws = stationary(&mut rng, n_chains, n_draws, retention);
                    ess_mean(draws.view()).unwrap() / draws.len() as f64
                })
                .collect();
            let estimate = Estimate::from_replicates(&replicates).unwrap();
            let test = ZTest::new((1.0 - phi) / (1.0 + phi), 9).unwrap();
            test.apply(&estimate).unwrap()
        };
        for seed in [1, 2, 3] {
            for phi in [-0.4, 0.5, 0.8] {
                let result = fraction(seed, phi, phi);
                assert_eq!(result.outcome, Outcome::Agrees, "phi = {phi}: {result}");
                // planted defect: a chain that forgets 5% more slowly
                let result = fraction(seed, phi, 1.05 * phi);
                assert_eq!(result.outcome, Outcome::Differs, "phi = {phi}: {result}");
            }
        }
    }

    /// Chains on a grid, so that the affine maps below are exact; long enough that some draws beyond each
    /// quantile are not the middle of a chain.
    fn grid_chains() -> impl Strategy<Value = Array2<f64>> {
        (1u64..1 << 30, 1usize..5, 40usize..120, -0.9..0.9).prop_map(
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
            let reversed = draws.slice(s![..;-1, ..]);
            let mapped = reversed.mapv(|x| f64::from(scale) * x + f64::from(shift));
            for diagnostic in [ess_mean, ess_bulk] {
                let (before, after) = (diagnostic(draws.view()).unwrap(), diagnostic(mapped.view()).unwrap());
                prop_assert!((before / after - 1.0).abs() <= 1e-9, "{before} {after}");
            }
            // a sign would swap `≤` and `≥` at a quantile that is itself a draw
            let mapped = reversed.mapv(|x| f64::from(scale).abs() * x + f64::from(shift));
            let (before, after) = (ess_tail(draws.view()).unwrap(), ess_tail(mapped.view()).unwrap());
            prop_assert!((before / after - 1.0).abs() <= 1e-9, "{before} {after}");
        }

        /// `0 < ESS ≤ S log₁₀ S`; bulk and tail see ranks only.
        #[test]
        fn bounds_and_monotone_maps(draws in grid_chains()) {
            let n_values = (2 * (draws.ncols() / 2) * draws.nrows()) as f64;
            let cap = n_values * n_values.log10() * (1.0 + 1e-12);
            for diagnostic in [ess_mean, ess_bulk, ess_tail] {
                let ess = diagnostic(draws.view()).unwrap();
                prop_assert!(0.0 < ess && ess <= cap, "{ess} {cap}");
            }
            let cubed = draws.mapv(|x| x.powi(3));
            prop_assert_eq!(ess_bulk(draws.view()), ess_bulk(cubed.view()));
        }
    }
}
