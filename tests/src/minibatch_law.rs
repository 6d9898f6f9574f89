//! The law of SGLD on minibatches of a normal density of unknown location, whose gradient noise is the same everywhere.
//!
//! With `z = w - x̄`, started at 0 and held there, and `η_t = x̄_B - x̄` for the batch B of step t, the update is `z' = ρz + aη_t + √ε ξ`,
//! `ρ = 1 - ε(s + γ)/2`, `a = εs/2`. Our derivation: a pass over n samples is cut into `n/b` batches, so that `Var η = σ²(1/b - 1/n)` and
//! `Cov(η, η') = -σ²/n` within a pass, with σ² the unbiased variance of the samples; passes are independent. Batches of a pass that are still
//! to come are alike, so with `c = Cov(z, η)` for any of these
//!
//! `Var z' = ρ² Var z + 2ρac + a² Var η + ε`,   `c' = ρc + a Cov(η, η')`,   `c = 0` when a pass begins.

use ndarray::{ArrayView2, Axis};
use slt_sampler::{Dynamics, Schedule};

/// `E[nβ (L - L(x̄))]` averaged over the draws of a chain that starts at `w* = x̄`.
///
/// Shapes: `x`: `[n, d]`, as given to [`slt_sampler::targets::GaussianLocation`].
///
/// # Panics
/// If batches of this size do not fill a pass.
pub fn minibatch_mean(
    x: ArrayView2<f64>,
    batch_size: usize,
    dynamics: &Dynamics,
    schedule: Schedule,
) -> f64 {
    let n = x.nrows();
    assert!(
        n.is_multiple_of(batch_size),
        "{n} samples in batches of {batch_size}"
    );
    let (s, step_size) = (dynamics.nbeta(), dynamics.step_size());
    let (rho, a) = (
        1.0 - 0.5 * step_size * (s + dynamics.gamma()),
        0.5 * step_size * s,
    );
    // summed over coordinates
    let spread = x.var_axis(Axis(0), 1.0).sum();
    let own = spread * (1.0 / batch_size as f64 - 1.0 / n as f64);
    let other = -spread / n as f64;
    let (mut variance, mut c, mut sum) = (0.0, 0.0, 0.0);
    for step in 0..=schedule.n_steps() {
        if step >= schedule.burn_in && (step - schedule.burn_in).is_multiple_of(schedule.thin) {
            sum += 0.5 * s * variance;
        }
        if step.is_multiple_of(n / batch_size) {
            c = 0.0;
        }
        let noise = step_size * x.ncols() as f64;
        variance = rho * rho * variance + 2.0 * rho * a * c + a * a * own + noise;
        c = rho * c + a * other;
    }
    sum / schedule.n_draws as f64
}
