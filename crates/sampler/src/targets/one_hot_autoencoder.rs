//! Toy models of superposition, `f(x) = ReLU(WᵀWx + b)`, on inputs of which one feature is active.
//!
//! A sample is `x = v e_j`, so that `f(x) = ReLU(v Wᵀ w_j + b)` with `w_j` the j-th column: two numbers stand for an input, equal samples are evaluated
//! once, and a step costs a product of the weights' size for each different sample of the batch.
//!
//! Source of the model: Elhage et al. (2022), arXiv:2209.10652; with a bias, as here, Chen et al. (2023), arXiv:2310.06301, section 3.

use std::sync::Arc;

use ndarray::{ArrayView2, ArrayViewMut2};

use super::samples::{self, SamplesError};
use crate::target::{Batch, SampleLosses, Target};

/// Why such an autoencoder cannot be made a target.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OneHotAutoencoderError {
    /// No features or hidden units.
    #[error("there are {n_features} features and {n_hidden} hidden units; expected some of each")]
    Empty {
        /// Features.
        n_features: usize,
        /// Hidden units.
        n_hidden: usize,
    },
    /// A feature that there is not.
    #[error("the active feature of sample {sample} is {feature}; expected one below {n_features}")]
    Feature {
        /// Which sample.
        sample: usize,
        /// Its feature.
        feature: usize,
        /// Features.
        n_features: usize,
    },
    /// The samples are none, or not finite.
    #[error(transparent)]
    Samples(#[from] SamplesError),
}

/// The squared error of `ReLU(WᵀWx + b)` against `x`, for inputs with one active feature.
///
/// A row holds `W`, shape `[n_hidden, n_features]`, row-major, then `b`.
///
/// ```
/// use ndarray::array;
/// use slt_sampler::{Target, targets::OneHotAutoencoder};
///
/// // W = [2 1], b = 0, x = (1, 0): f(x) = (4, 2)
/// let mut target = OneHotAutoencoder::new(2, 1, &[(0, 1.0)])?;
/// let mut loss = [0.0];
/// target.loss(array![[2.0, 1.0, 0.0, 0.0]].view(), &mut loss);
/// assert_eq!(loss, [3.0 * 3.0 + 2.0 * 2.0]);
/// # Ok::<(), slt_sampler::targets::OneHotAutoencoderError>(())
/// ```
#[derive(Debug, Clone)]
pub struct OneHotAutoencoder {
    n_features: usize,
    n_hidden: usize,
    /// 1, or one over the number of features.
    factor: f64,
    data: Arc<Data>,
    /// How often each different sample is in the batch, and a gradient's parts.
    counts: Vec<u32>,
    errors: Vec<f64>,
    hidden: Vec<f64>,
}

#[derive(Debug)]
struct Data {
    /// Active feature and its value, of the different samples.
    kinds: Vec<(usize, f64)>,
    /// How many samples are of each kind.
    counts: Vec<u32>,
    /// Kind of each sample.
    kind_of: Vec<u32>,
}

impl OneHotAutoencoder {
    /// The target for `samples`: the active feature of each, and its value; the loss is the sum over features.
    ///
    /// # Errors
    /// [`OneHotAutoencoderError`] where something is empty, a feature is not below `n_features`, or a value is not finite.
    pub fn new(
        n_features: usize,
        n_hidden: usize,
        samples: &[(usize, f64)],
    ) -> Result<Self, OneHotAutoencoderError> {
        if n_features == 0 || n_hidden == 0 {
            return Err(OneHotAutoencoderError::Empty {
                n_features,
                n_hidden,
            });
        }
        samples::check("value", samples.iter().map(|(_, value)| value), 1)?;
        if let Some(sample) = samples.iter().position(|s| s.0 >= n_features) {
            return Err(OneHotAutoencoderError::Feature {
                sample,
                feature: samples[sample].0,
                n_features,
            });
        }
        let order = |a: &(usize, f64), b: &(usize, f64)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1));
        let mut kinds = samples.to_vec();
        kinds.sort_unstable_by(order);
        kinds.dedup();
        let kind_of = |sample: &(usize, f64)| {
            let found = kinds.binary_search_by(|kind| order(kind, sample));
            found.expect("each sample is of a kind") as u32
        };
        let kind_of: Vec<u32> = samples.iter().map(kind_of).collect();
        let mut counts = vec![0; kinds.len()];
        for &kind in &kind_of {
            counts[kind as usize] += 1;
        }
        Ok(Self {
            n_features,
            n_hidden,
            factor: 1.0,
            counts: vec![0; kinds.len()],
            errors: vec![0.0; n_features],
            hidden: vec![0.0; 2 * n_hidden],
            data: Arc::new(Data {
                kinds,
                counts,
                kind_of,
            }),
        })
    }

    /// The same target with the mean over features in place of the sum.
    #[must_use]
    pub fn mean_over_features(self) -> Self {
        Self {
            factor: 1.0 / self.n_features as f64,
            ..self
        }
    }

    /// Sets `errors` to `f(x) - x`, zero where the unit is off and should be, and `hidden` to `W x`; returns the squared error.
    fn forward(&mut self, w: &[f64], (feature, value): (usize, f64)) -> f64 {
        let n = self.n_features;
        let (weights, bias) = w.split_at(self.n_hidden * n);
        self.errors.copy_from_slice(bias);
        for (row, hidden) in weights.chunks_exact(n).zip(&mut self.hidden) {
            *hidden = value * row[feature];
            for (pre, w) in self.errors.iter_mut().zip(row) {
                *pre += *hidden * w;
            }
        }
        let mut sum = 0.0;
        for (k, error) in self.errors.iter_mut().enumerate() {
            let label = if k == feature { value } else { 0.0 };
            // NaN stays NaN
            let output = if *error < 0.0 { 0.0 } else { *error };
            let off = output - label;
            sum += off * off;
            // a unit that is off has no slope
            *error = if *error > 0.0 || error.is_nan() {
                off
            } else {
                0.0
            };
        }
        sum
    }

    /// Loss over the batch in `counts`, `n` samples, and its gradient.
    fn row(&mut self, w: &[f64], n: f64, grad: &mut [f64]) -> f64 {
        let (features, hidden) = (self.n_features, self.n_hidden);
        let data = Arc::clone(&self.data);
        grad.fill(0.0);
        let (weight_grad, bias_grad) = grad.split_at_mut(hidden * features);
        let mut loss = 0.0;
        for (kind, &(feature, value)) in data.kinds.iter().enumerate() {
            if self.counts[kind] == 0 {
                continue;
            }
            let share = f64::from(self.counts[kind]) / n * self.factor;
            loss += share * self.forward(w, (feature, value));
            let slope = 2.0 * share;
            for (g, error) in bias_grad.iter_mut().zip(&self.errors) {
                *g += slope * error;
            }
            for (h, (row, grad)) in w
                .chunks_exact(features)
                .zip(weight_grad.chunks_exact_mut(features))
                .enumerate()
            {
                let activation = slope * self.hidden[h];
                let mut back = 0.0;
                for ((g, error), w) in grad.iter_mut().zip(&self.errors).zip(row) {
                    *g += activation * error;
                    back += error * w;
                }
                grad[feature] += slope * value * back;
            }
        }
        loss
    }
}

impl Target for OneHotAutoencoder {
    fn n_params(&self) -> usize {
        (self.n_hidden + 1) * self.n_features
    }

    fn n_samples(&self) -> usize {
        self.data.kind_of.len()
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        mut grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        for (i, (w, mut g)) in rows.rows().into_iter().zip(grad.rows_mut()).enumerate() {
            let n = match batch {
                Batch::Full => {
                    self.counts.copy_from_slice(&self.data.counts);
                    self.data.kind_of.len()
                }
                Batch::Rows(indices) => {
                    self.counts.fill(0);
                    for &k in indices.row(i) {
                        self.counts[self.data.kind_of[k as usize] as usize] += 1;
                    }
                    indices.ncols()
                }
            };
            let w = w.to_slice().expect("rows are contiguous");
            let g = g.as_slice_mut().expect("rows are contiguous");
            loss[i] = self.row(w, n as f64, g);
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        let data = Arc::clone(&self.data);
        let n = data.kind_of.len() as f64;
        for (w, loss) in rows.rows().into_iter().zip(loss) {
            let w = w.to_slice().expect("rows are contiguous");
            *loss = 0.0;
            for (&kind, &count) in data.kinds.iter().zip(&data.counts) {
                *loss += f64::from(count) / n * self.factor * self.forward(w, kind);
            }
        }
    }
}

impl SampleLosses for OneHotAutoencoder {
    fn sample_losses(&mut self, rows: ArrayView2<f64>, mut out: ArrayViewMut2<f64>) {
        let data = Arc::clone(&self.data);
        for (w, mut out) in rows.rows().into_iter().zip(out.rows_mut()) {
            let w = w.to_slice().expect("rows are contiguous");
            for (&kind, out) in data.kind_of.iter().zip(out.iter_mut()) {
                *out = self.factor * self.forward(w, data.kinds[kind as usize]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{gradient_check, minibatch_check, sample_losses_check};
    use ndarray::Array2;

    const W: [f64; 12] = [
        0.9, -0.4, 0.2, 0.7, //
        -0.3, 0.8, 0.5, 0.1, //
        0.1, -0.2, 0.05, -0.4,
    ];

    fn samples() -> Vec<(usize, f64)> {
        let value = |i: usize| {
            if i.is_multiple_of(3) {
                1.0
            } else {
                0.1 * i as f64
            }
        };
        (0..9).map(|i| (i % 4, value(i))).collect()
    }

    #[test]
    fn losses_and_gradients_agree() {
        for mean in [false, true] {
            let of = |samples: &[(usize, f64)]| {
                let target = OneHotAutoencoder::new(4, 2, samples).expect("a target");
                if mean {
                    target.mean_over_features()
                } else {
                    target
                }
            };
            let mut target = of(&samples());
            gradient_check(&mut target, &W);
            sample_losses_check(&mut target, &W);
            minibatch_check(&mut target, &W, |k| {
                of(&k.iter().map(|&k| samples()[k]).collect::<Vec<_>>())
            });
        }
    }

    /// The samples' losses by the dense formula.
    #[test]
    fn losses_are_those_of_the_dense_network() {
        let samples = samples();
        let mut target = OneHotAutoencoder::new(4, 2, &samples).expect("a target");
        let mut found = Array2::zeros((1, samples.len()));
        let row = ArrayView2::from_shape((1, 12), &W).expect("a row");
        target.sample_losses(row, found.view_mut());
        let weights = ArrayView2::from_shape((2, 4), &W[..8]).expect("weights");
        for (&(feature, value), found) in samples.iter().zip(&found) {
            let mut x = ndarray::Array1::zeros(4);
            x[feature] = value;
            let pre = weights.t().dot(&weights.dot(&x)) + ndarray::aview1(&W[8..]);
            let expected: f64 = pre
                .mapv(|p| p.max(0.0))
                .iter()
                .zip(&x)
                .map(|(f, x)| (f - x).powi(2))
                .sum();
            approx::assert_relative_eq!(*found, expected, max_relative = 1e-14);
        }
    }

    #[test]
    fn bad_data_are_named() {
        let error = |c, h, s: &[(usize, f64)]| {
            OneHotAutoencoder::new(c, h, s)
                .expect_err("refused")
                .to_string()
        };
        assert!(error(0, 2, &[(0, 1.0)]).contains("0 features"));
        assert!(error(4, 2, &[(0, 1.0), (4, 1.0)]).contains("sample 1 is 4"));
        assert!(error(4, 2, &[(0, f64::NAN)]).contains("NaN"));
        assert!(error(4, 2, &[]).contains("no samples"));
    }

    #[test]
    fn a_nan_is_kept() {
        let mut target = OneHotAutoencoder::new(4, 2, &samples()).expect("a target");
        let mut w = W;
        w[9] = f64::NAN;
        let mut loss = [0.0];
        let row = ArrayView2::from_shape((1, 12), &w).expect("a row");
        let mut grad = Array2::zeros((1, 12));
        target.loss_and_grad(row, Batch::Full, grad.view_mut(), &mut loss);
        assert!(loss[0].is_nan() && grad.iter().any(|g| g.is_nan()));
    }
}
