//! Initial parameters.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// PyTorch's default for `nn.Linear`: weights and biases uniform on `±1/sqrt(fan_in)`.
///
/// Shapes: `weight`: `[fan_in * fan_out]`; `bias`: `[fan_out]`.
pub fn pytorch_linear(fan_in: usize, weight: &mut [f64], bias: &mut [f64], rng: &mut ChaCha8Rng) {
    let bound = 1.0 / (fan_in as f64).sqrt();
    for w in weight.iter_mut().chain(bias) {
        *w = bound * (2.0 * rng.random::<f64>() - 1.0);
    }
}
