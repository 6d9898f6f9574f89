//! The exact law of full-batch SGLD with a finite step on a quadratic target.
//!
//! The update `w' = w − (ε/2)(nβ∇L + γ(w − w*)) + √ε N(0, I)` is, along an eigendirection with precision
//! `a = nβh + γ`, slope `α = nβg` and mean `μ = −α/a`, the autoregression
//! ```text
//! z' = ρ z + √ε N(0, 1),   z = w − w* − μ,   ρ = 1 − εa/2.
//! ```
//! It is stable for `|ρ| < 1`, that is `0 < εa < 4`, with stationary variance
//! `V = ε/(1 − ρ²) = 1/(a(1 − εa/4))`: more than the target's `1/a` by the factor `1/(1 − εa/4)`.
//!
//! Derived here: from `z_0 = −μ` (the chain starts at the anchor), `E z_t = −μ ρ^t =: e_t`,
//! `V_{t+1} = ρ² V_t + ε`, `V_0 = 0`, and `Cov(z_t, z_s) = ρ^(t−s) V_s` for `t >= s`. With the recorded
//! `X = αy + ½κy²`, `y = μ + z`, and the slope `b_t = α + κμ + κ e_t` at the mean of draw t,
//! ```text
//! E X_t         = αμ_t + ½κ(μ_t² + V_t),   μ_t = μ + e_t
//! Cov(X_t, X_s) = b_t b_s Cov(z_t, z_s) + ½κ² Cov(z_t, z_s)²
//! ```
//! (for `X = z²` and zero mean this is `2 Cov²`). Summed over pairs in one pass with
//! `A_t = Σ_{s<t} ρ^(t−s) b_s V_s` and `B_t = Σ_{s<t} ρ^(2(t−s)) V_s²`.

use crate::localised_gaussian::Direction;

/// SGLD at one step size on a [`LocalisedGaussian`](crate::LocalisedGaussian).
#[derive(Clone, Copy, Debug)]
pub struct SgldLaw<'a> {
    directions: &'a [Direction],
    step_size: f64,
    thin: usize,
}

/// The step size is outside the range of stability.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "SGLD is stable for 0 < step_size * precision < 4, got step_size {step_size} with largest precision {largest_precision}"
)]
pub struct StepTooLarge {
    /// ε.
    pub step_size: f64,
    /// The largest nβh + γ.
    pub largest_precision: f64,
}

/// Mean and variance of the average of `nβ(L − L(w*))` over the draws of one chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChainAverage {
    /// `E[λ̂]` of one chain.
    pub mean: f64,
    /// `Var[λ̂]` of one chain; over C independent chains divide by C.
    pub variance: f64,
}

impl<'a> SgldLaw<'a> {
    pub(crate) fn new(directions: &'a [Direction], step_size: f64) -> Result<Self, StepTooLarge> {
        let largest_precision = directions.iter().fold(0.0, |largest: f64, direction| {
            largest.max(direction.precision)
        });
        let stable = directions.is_empty() || step_size * largest_precision < 4.0;
        if !(0.0 < step_size && step_size.is_finite() && stable) {
            return Err(StepTooLarge {
                step_size,
                largest_precision,
            });
        }
        Ok(Self {
            directions,
            step_size,
            thin: 1,
        })
    }

    /// The same chain with a draw only every `thin` steps.
    ///
    /// # Panics
    /// If `thin` is zero.
    pub fn thinned(self, thin: usize) -> Self {
        assert!(thin > 0, "draws are at least one step apart");
        Self { thin, ..self }
    }

    /// `E[nβ(L − L(w*))]` of the stationary chain: each variance `1/a` becomes `1/(a(1 − εa/4))`.
    ///
    /// Accuracy: relative 1e-14 of the largest term.   Derived here; see the module.
    pub fn stationary_mean(&self) -> f64 {
        self.directions
            .iter()
            .map(|direction| direction.mean(self.stationary_variance_along(direction)))
            .sum()
    }

    /// `Var[nβ(L − L(w*))]` of one draw of the stationary chain.
    ///
    /// Accuracy: relative 1e-14.   Derived here; see the module.
    pub fn stationary_variance(&self) -> f64 {
        self.directions
            .iter()
            .map(|direction| direction.variance(self.stationary_variance_along(direction)))
            .sum()
    }

    /// The exact mean and variance of `λ̂ = (1/N) Σ_t nβ(L(w_t) − L(w*))` over draws
    /// `t = burn_in + k thin`, `k = 0 .. n_draws`, of one chain started at the anchor.
    ///
    /// Draw t is the state after t steps; draw 0 is the anchor itself, where the loss is zero.
    /// Minibatch noise is not part of this law.
    ///
    /// Cost: `O(d (burn_in + n_draws thin))`.   Accuracy: relative 1e-12.   Derived here; see the module.
    ///
    /// # Panics
    /// If `n_draws` is zero.
    pub fn chain_average(&self, burn_in: usize, n_draws: usize) -> ChainAverage {
        assert!(n_draws > 0, "an average needs at least one draw");
        let mut average = ChainAverage {
            mean: 0.0,
            variance: 0.0,
        };
        for direction in self.directions {
            let along = self.chain_average_along(direction, burn_in, n_draws);
            average.mean += along.mean;
            average.variance += along.variance;
        }
        average
    }

    fn stationary_variance_along(&self, direction: &Direction) -> f64 {
        let a = direction.precision;
        1.0 / (a * (1.0 - 0.25 * self.step_size * a))
    }

    fn chain_average_along(
        &self,
        direction: &Direction,
        burn_in: usize,
        n_draws: usize,
    ) -> ChainAverage {
        let (alpha, kappa) = (direction.alpha, direction.kappa);
        let half_drift = 0.5 * self.step_size * direction.precision;
        let rho = 1.0 - half_drift;
        let drift = -0.5 * self.step_size * alpha;

        // μ_t and V_t by their recursions: 1 − ρ^t cancels where εa is small, these do not.
        let (mut mean, mut variance) = (0.0, 0.0);
        let (mut past_slopes, mut past_squares) = (0.0, 0.0);
        let (mut sum, mut sum_of_covariances) = (0.0, 0.0);
        for t in 0..=burn_in + (n_draws - 1) * self.thin {
            if t >= burn_in && (t - burn_in).is_multiple_of(self.thin) {
                let slope = alpha + kappa * mean;
                sum += alpha * mean + 0.5 * kappa * (mean * mean + variance);
                sum_of_covariances += slope * (slope * variance + 2.0 * past_slopes)
                    + 0.5 * kappa * kappa * (variance * variance + 2.0 * past_squares);
                past_slopes += slope * variance;
                past_squares += variance * variance;
            }
            past_slopes *= rho;
            past_squares *= rho * rho;
            mean = rho * mean + drift;
            variance = rho * rho * variance + self.step_size;
        }
        let n = n_draws as f64;
        ChainAverage {
            mean: sum / n,
            variance: sum_of_covariances / (n * n),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{LocalisedGaussian, StepTooLarge};
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    /// The textbook case U = 2w² (a = 4) at ε = 0.2: variance 25% above the target's.
    #[test]
    fn stationary_variance_of_a_large_step() {
        let target = LocalisedGaussian::new(&[4.0], 1.0, 0.0).unwrap();
        let law = target.sgld(0.2).unwrap();
        assert_relative_eq!(target.mean(), 0.5, max_relative = 1e-15);
        assert_relative_eq!(law.stationary_mean(), 0.625, max_relative = 1e-15);
        assert_relative_eq!(
            law.stationary_variance(),
            0.5 * 1.25 * 1.25,
            max_relative = 1e-15
        );
    }

    /// Draw 0 is the anchor: λ̂ = 0. Draw 1 from the minimum is κ ε χ²/2.
    #[test]
    fn first_draws() {
        let target = LocalisedGaussian::new(&[2.0], 5.0, 3.0).unwrap();
        let law = target.sgld(0.1).unwrap();
        assert_eq!(law.chain_average(0, 1).mean, 0.0);
        assert_eq!(law.chain_average(0, 1).variance, 0.0);
        let first = law.chain_average(1, 1);
        assert_relative_eq!(first.mean, 0.5, max_relative = 1e-15);
        assert_relative_eq!(first.variance, 0.5, max_relative = 1e-15);
        assert_relative_eq!(law.chain_average(0, 2).mean, 0.25, max_relative = 1e-15);
    }

    /// One direction by the closed forms with powers of ρ, and the O(n²) double sum of covariances.
    fn direct(
        h: f64,
        delta: f64,
        (nbeta, gamma): (f64, f64),
        eps: f64,
        (burn_in, n_draws, thin): (usize, usize, usize),
    ) -> (f64, f64) {
        let (kappa, a) = (nbeta * h, nbeta * h + gamma);
        let alpha = kappa * delta;
        let rho = 1.0 - 0.5 * eps * a;
        let v = 1.0 / (a * (1.0 - 0.25 * eps * a));
        let mu = -alpha / a;
        let mean_at = |t: i32| mu * (1.0 - rho.powi(t));
        let cov = |t: i32, s: i32| {
            let (t, s) = (t.max(s), t.min(s));
            rho.powi(t - s) * v * (1.0 - rho.powi(2 * s))
        };
        let (mut mean, mut variance) = (0.0, 0.0);
        let draws = || (0..n_draws).map(|k| (burn_in + k * thin) as i32);
        for t in draws() {
            mean += alpha * mean_at(t) + 0.5 * kappa * (mean_at(t).powi(2) + cov(t, t));
            for s in draws() {
                // y_t = w_t − w*; X = ½κ(y + δ)² up to a constant, δ + y the position about the
                // minimum: Cov(x_t², x_s²) = 2C² + 4 m_t m_s C.
                let (m_t, m_s) = (delta + mean_at(t), delta + mean_at(s));
                let c = cov(t, s);
                variance += 0.25 * kappa * kappa * (2.0 * c * c + 4.0 * m_t * m_s * c);
            }
        }
        let n = n_draws as f64;
        (mean / n, variance / (n * n))
    }

    #[test]
    fn one_pass_agrees_with_the_double_sum() {
        for (h, delta) in [
            (1.0, 0.0),
            (3.0, 0.4),
            (0.01, -2.0),
            (0.0, 1.0),
            (-0.02, 0.3),
        ] {
            for eps in [1e-3, 0.02, 0.09] {
                for (burn_in, n_draws, thin) in
                    [(0, 1, 1), (0, 150, 1), (40, 200, 1), (7, 2, 1), (7, 30, 5)]
                {
                    let (nbeta, gamma) = (10.0, 5.0);
                    let target = LocalisedGaussian::new(&[h], nbeta, gamma)
                        .unwrap()
                        .with_anchor_offset(&[delta])
                        .unwrap();
                    let law = target.sgld(eps).unwrap().thinned(thin);
                    let chain = law.chain_average(burn_in, n_draws);
                    let (mean, variance) =
                        direct(h, delta, (nbeta, gamma), eps, (burn_in, n_draws, thin));
                    assert_relative_eq!(chain.mean, mean, max_relative = 1e-11, epsilon = 1e-14);
                    assert_relative_eq!(
                        chain.variance,
                        variance,
                        max_relative = 1e-11,
                        epsilon = 1e-14
                    );
                }
            }
        }
    }

    #[test]
    fn unstable_steps_are_refused() {
        let target = LocalisedGaussian::new(&[1.0, 2.0], 1.0, 2.0).unwrap();
        assert!(target.sgld(0.999).is_ok());
        for step_size in [1.0, 2.0, 0.0, -0.1, f64::NAN, f64::INFINITY] {
            let error = target.sgld(step_size).unwrap_err();
            assert_eq!(error.largest_precision, 4.0);
        }
        assert_eq!(
            target.sgld(1.5).unwrap_err(),
            StepTooLarge {
                step_size: 1.5,
                largest_precision: 4.0
            }
        );
    }

    /// With a tiny step, the exact recursion keeps the digits that `1 − ρ^(2t)` would lose:
    /// to first order E X_t = ½κεt.
    #[test]
    fn a_tiny_step_keeps_its_digits() {
        let target = LocalisedGaussian::new(&[1.0], 1.0, 1.0).unwrap();
        let eps = 1e-12;
        let chain = target.sgld(eps).unwrap().chain_average(0, 101);
        // Mean of t over 0..=100 is 50; the next order is −εt relative.
        assert_relative_eq!(chain.mean, 0.5 * eps * 50.0, max_relative = 1e-9);
    }

    fn spectrum() -> impl Strategy<Value = Vec<(f64, f64)>> {
        prop::collection::vec((prop_oneof![Just(0.0), 1e-3..5.0], -1.0..1.0), 1..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The stationary law tends to equilibrium linearly in ε: bias ε/8 Σ κ + O(ε²).
        #[test]
        fn a_small_step_gives_equilibrium(spectrum in spectrum(), nbeta in 1.0..100.0, gamma in 0.5..20.0) {
            let (h, delta): (Vec<f64>, Vec<f64>) = spectrum.into_iter().unzip();
            let target = LocalisedGaussian::new(&h, nbeta, gamma)
                .unwrap()
                .with_anchor_offset(&delta)
                .unwrap();
            let eps = 1e-9;
            let law = target.sgld(eps).unwrap();
            let first_order = eps / 8.0 * nbeta * h.iter().sum::<f64>();
            let scale = 1.0 + target.mean().abs();
            prop_assert!((law.stationary_mean() - target.mean() - first_order).abs() < 1e-13 * scale);
            prop_assert!((law.stationary_variance() - target.variance()).abs() < 1e-6 * (1.0 + target.variance()));
        }

        /// A long chain after a long burn-in is stationary, and its variance is of order 1/N.
        #[test]
        fn a_long_chain_is_stationary(spectrum in spectrum(), nbeta in 1.0..20.0, gamma in 1.0..20.0) {
            let (h, delta): (Vec<f64>, Vec<f64>) = spectrum.into_iter().unzip();
            let target = LocalisedGaussian::new(&h, nbeta, gamma)
                .unwrap()
                .with_anchor_offset(&delta)
                .unwrap();
            let eps = 2.0 / (nbeta * h.iter().fold(0.0, |a: f64, b| a.max(*b)) + gamma);
            let law = target.sgld(eps).unwrap();
            let chain = law.chain_average(4000, 10);
            let scale = 1.0 + target.mean().abs();
            prop_assert!((chain.mean - law.stationary_mean()).abs() < 1e-10 * scale);
            let one = law.chain_average(4000, 1);
            prop_assert!((one.variance - law.stationary_variance()).abs() <= 1e-10 * (1.0 + one.variance));
            // Positive autocorrelation (ρ >= 0 here): no less than independent draws, no more than one.
            prop_assert!(chain.variance <= one.variance * (1.0 + 1e-10));
        }

        #[test]
        fn a_flat_direction_adds_nothing(spectrum in spectrum(), offset in -5.0..5.0) {
            let (mut h, mut delta): (Vec<f64>, Vec<f64>) = spectrum.into_iter().unzip();
            let run = |h: &[f64], delta: &[f64]| {
                LocalisedGaussian::new(h, 10.0, 2.0)
                    .unwrap()
                    .with_anchor_offset(delta)
                    .unwrap()
                    .sgld(0.01)
                    .unwrap()
                    .chain_average(5, 50)
            };
            let before = run(&h, &delta);
            h.push(0.0);
            delta.push(offset);
            prop_assert_eq!(before, run(&h, &delta));
        }
    }
}
