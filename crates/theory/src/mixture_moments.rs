//! Mean and variance of a mixture whose components arrive one by one with log weights of any size.
//!
//! The weights are kept in units of the largest so far, and the sum of squared deviations is updated
//! without cancellation (West 1979, *Updating mean and variance estimates: an improved method*).

/// Total weight, mean and sum of squared deviations of the components so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MixtureMoments {
    log_scale: f64,
    weight: f64,
    mean: f64,
    squares: f64,
}

impl Default for MixtureMoments {
    fn default() -> Self {
        Self {
            log_scale: f64::NEG_INFINITY,
            weight: 0.0,
            mean: 0.0,
            squares: 0.0,
        }
    }
}

impl MixtureMoments {
    /// Joins a component of finite `log_weight`.
    pub(crate) fn add(&mut self, log_weight: f64, mean: f64, variance: f64) {
        if log_weight > self.log_scale {
            let shrink = (self.log_scale - log_weight).exp();
            self.weight *= shrink;
            self.squares *= shrink;
            self.log_scale = log_weight;
        }
        let weight = (log_weight - self.log_scale).exp();
        let before = self.weight;
        self.weight += weight;
        let deviation = mean - self.mean;
        let share = weight / self.weight;
        self.mean += share * deviation;
        self.squares += weight * variance + before * share * deviation * deviation;
    }

    /// Log of the sum of the weights.
    pub(crate) fn log_weight(&self) -> f64 {
        self.weight.ln() + self.log_scale
    }

    /// Mean of the mixture.
    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    /// Variance of the mixture: mean of the variances plus variance of the means.
    pub(crate) fn variance(&self) -> f64 {
        self.squares / self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the two-pass sums, with all weights shifted out of the range of `exp`.
        #[test]
        fn agrees_with_two_passes(
            components in prop::collection::vec((-5.0..5.0, -3.0..3.0, 0.0..2.0f64), 1..30),
            shift in -2000.0..2000.0f64,
        ) {
            let mut moments = MixtureMoments::default();
            for &(log_weight, mean, variance) in &components {
                moments.add(log_weight + shift, mean, variance);
            }
            let total: f64 = components.iter().map(|c| f64::exp(c.0)).sum();
            let average = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
                components.iter().map(|c| f64::exp(c.0) * f(c.1, c.2)).sum::<f64>() / total
            };
            let mean = average(&|mean, _| mean);
            let variance = average(&|m, v| v + (m - mean).powi(2));
            prop_assert!((moments.log_weight() - shift - total.ln()).abs() < 1e-11);
            prop_assert!((moments.mean() - mean).abs() < 1e-11);
            prop_assert!((moments.variance() - variance).abs() < 1e-11 * (1.0 + variance));
        }
    }
}
