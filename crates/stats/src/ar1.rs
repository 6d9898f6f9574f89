//! Autoregressive chains `x_t = φ x_{t−1} + e_t` for the tests, where autocorrelations are known.

use ndarray::Array2;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The chains of scripts/posterior_reference.R, bit for bit, `[n_chains, n_draws]`.
///
/// Park-Miller generator, `e` a sum of twelve uniforms less 6, x₀ = 0.
pub(crate) fn park_miller(seed: u64, n_chains: usize, n_draws: usize, phi: f64) -> Array2<f64> {
    let mut state = seed;
    let mut previous = 0.0;
    Array2::from_shape_fn((n_chains, n_draws), |(_, draw)| {
        if draw == 0 {
            previous = 0.0;
        }
        let mut e = -6.0;
        for _ in 0..12 {
            state = 16807 * state % 2147483647;
            e += state as f64 / 2147483647.0;
        }
        previous = phi * previous + e;
        previous
    })
}

/// Stationary chains with standard normal marginals, `[n_chains, n_draws]`.
pub(crate) fn stationary(
    rng: &mut ChaCha8Rng,
    n_chains: usize,
    n_draws: usize,
    phi: f64,
) -> Array2<f64> {
    let noise = (1.0 - phi * phi).sqrt();
    let mut previous = 0.0;
    Array2::from_shape_fn((n_chains, n_draws), |(_, draw)| {
        let e = standard_normal(rng);
        previous = if draw == 0 {
            e
        } else {
            phi * previous + noise * e
        };
        previous
    })
}

/// Exact variance of the mean of `n` stationary draws of unit variance:
/// `(1 + 2 Σ_{k<n} (1 − k/n) φᵏ)/n`, summed in closed form.
pub(crate) fn variance_of_mean(n: usize, phi: f64) -> f64 {
    let n_draws = n as f64;
    let correction = 2.0 * phi * (1.0 - phi.powi(n as i32)) / (n_draws * (1.0 - phi).powi(2));
    ((1.0 + phi) / (1.0 - phi) - correction) / n_draws
}

/// Box-Muller; `1 − u` keeps the logarithm finite.
fn standard_normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[test]
fn closed_form_is_the_sum() {
    for (n, phi) in [(1, 0.9), (2, 0.5), (7, -0.6), (200, 0.95)] {
        let sum: f64 = (1..n)
            .map(|k| (1.0 - k as f64 / n as f64) * f64::powi(phi, k))
            .sum();
        let direct = (1.0 + 2.0 * sum) / n as f64;
        approx::assert_relative_eq!(
            variance_of_mean(n as usize, phi),
            direct,
            max_relative = 1e-13
        );
    }
}
