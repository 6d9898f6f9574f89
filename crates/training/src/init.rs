//! Initial parameters, by PyTorch's laws.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// PyTorch's default for `nn.Linear`: weights and biases uniform on `±1/sqrt(fan_in)`.
///
/// Shapes: `weight`: `[fan_in * fan_out]`; `bias`: `[fan_out]`.
pub fn pytorch_linear(fan_in: usize, weight: &mut [f64], bias: &mut [f64], rng: &mut ChaCha8Rng) {
    let bound = 1.0 / (fan_in as f64).sqrt();
    uniform(bound, weight, rng);
    uniform(bound, bias, rng);
}

/// PyTorch's `xavier_uniform_`, its default for the projections of attention: uniform on `±sqrt(6/(fan_in + fan_out))`.
pub fn xavier_uniform(fan_in: usize, fan_out: usize, weight: &mut [f64], rng: &mut ChaCha8Rng) {
    uniform((6.0 / (fan_in + fan_out) as f64).sqrt(), weight, rng);
}

/// PyTorch's default for `nn.Embedding`: standard normals (Box and Muller's).
pub fn pytorch_embedding(weight: &mut [f64], rng: &mut ChaCha8Rng) {
    for pair in weight.chunks_mut(2) {
        // 1 - u is positive, so that its logarithm is finite
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
        let (sin, cos) = (TAU * rng.random::<f64>()).sin_cos();
        for (w, direction) in pair.iter_mut().zip([cos, sin]) {
            *w = radius * direction;
        }
    }
}

fn uniform(bound: f64, values: &mut [f64], rng: &mut ChaCha8Rng) {
    for w in values {
        *w = bound * (2.0 * rng.random::<f64>() - 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slt_sampler::stream::{Purpose, rng};

    /// Kolmogorov-Smirnov: `P(√n D > t) < 2 exp(−2t²)`, 1e-5 at t = 2.47.
    #[test]
    fn weights_and_biases_are_uniform() {
        for (seed, fan_in) in [(1, 1), (2, 30), (3, 256)] {
            let (mut weight, mut bias) = (vec![f64::NAN; 300 * fan_in], vec![f64::NAN; 300]);
            pytorch_linear(
                fan_in,
                &mut weight,
                &mut bias,
                &mut rng(seed, Purpose::Initialisation, 0, 0),
            );
            let bound = 1.0 / (fan_in as f64).sqrt();
            for values in [&mut weight, &mut bias] {
                values.sort_by(f64::total_cmp);
                let n = values.len() as f64;
                let distance = values
                    .iter()
                    .enumerate()
                    .map(|(i, w)| {
                        let cdf = (w / bound + 1.0) / 2.0;
                        assert!((0.0..=1.0).contains(&cdf), "{w} outside ±{bound}");
                        (cdf - i as f64 / n)
                            .abs()
                            .max((cdf - (i + 1) as f64 / n).abs())
                    })
                    .fold(0.0, f64::max);
                assert!(n.sqrt() * distance < 2.47, "fan_in {fan_in}: {distance}");
            }
        }
    }
}
