//! Initial parameters, by PyTorch's laws.

use std::f64::consts::TAU;

use ndarray::Array2;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use slt_sampler::stream::{Purpose, rng};

/// The law of a parameter's initial values, PyTorch's default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Weights and biases of `nn.Linear`: uniform on `±1/sqrt(fan_in)`.
    Linear {
        /// Inputs of the layer.
        fan_in: usize,
    },
    /// `xavier_uniform_`: uniform on `±sqrt(6/(fan_in + fan_out))`.
    Xavier {
        /// Inputs of the layer.
        fan_in: usize,
        /// Outputs of the layer.
        fan_out: usize,
    },
    /// `nn.Embedding`: standard normal.
    Embedding,
    /// The same number everywhere.
    Constant(f64),
    /// The values of an earlier parameter.
    Copy {
        /// Its place in the list of parameters.
        of: usize,
    },
}

/// Initial rows of a network, from its parameters in the order in which they lie in a row: the module each belongs to, how many numbers it has, and
/// their law. Row `i` comes from the stream `streams[i]`, and each module has a generator of its own.
///
/// Shapes: returns `[n_rows, d]`.
///
/// ```
/// use slt_training::{Init, initial_rows};
///
/// // a perceptron 2-3-1 with biases
/// let (first, second) = (Init::Linear { fan_in: 2 }, Init::Linear { fan_in: 3 });
/// let parameters = [("layers.0", 6, first), ("layers.0", 3, first), ("layers.1", 3, second), ("layers.1", 1, second)];
/// let rows = initial_rows(&parameters, 1, &[0, 1]);
/// assert_eq!(rows.dim(), (2, 13));
/// assert!(rows.iter().all(|w| w.abs() <= 1.0 / 2f64.sqrt()));
/// ```
///
/// # Panics
/// If a copy is of a parameter that does not come before it, or is of another size.
pub fn initial_rows(
    parameters: &[(impl AsRef<str>, usize, Init)],
    seed: u64,
    streams: &[u64],
) -> Array2<f64> {
    let starts: Vec<usize> = parameters
        .iter()
        .scan(0, |at, (_, size, _)| {
            *at += size;
            Some(*at - size)
        })
        .collect();
    let d = parameters.iter().map(|(_, size, _)| size).sum();
    let mut rows = Array2::zeros((streams.len(), d));
    for (mut row, &stream) in rows.rows_mut().into_iter().zip(streams) {
        let row = row.as_slice_mut().expect("rows are contiguous");
        let module = |index| rng(seed, Purpose::Initialisation, stream, index);
        let (mut index, mut generator) = (0, module(0));
        for (i, (name, size, law)) in parameters.iter().enumerate() {
            if i > 0 && name.as_ref() != parameters[i - 1].0.as_ref() {
                index += 1;
                generator = module(index);
            }
            let (before, values) = row.split_at_mut(starts[i]);
            let values = &mut values[..*size];
            match *law {
                Init::Linear { fan_in } => {
                    pytorch_linear(fan_in, values, &mut [], &mut generator);
                }
                Init::Xavier { fan_in, fan_out } => {
                    xavier_uniform(fan_in, fan_out, values, &mut generator);
                }
                Init::Embedding => pytorch_embedding(values, &mut generator),
                Init::Constant(c) => values.fill(c),
                Init::Copy { of } => values.copy_from_slice(&before[starts[of]..][..*size]),
            }
        }
    }
    rows
}

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
