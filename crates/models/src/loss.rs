//! What a network is trained for: the loss of its outputs, and how often they are right.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use ndarray::{ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::network::NetworkError;

/// The loss of outputs `f` for labels `y`; a mean over samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `(f - y)^2`, its mean over outputs.
    MeanSquaredError,
    /// `(f - y)^2 / 2`, its sum over outputs.
    HalvedSquaredError,
    /// The same with the mean over the samples of the batch taken off the errors `f - y` of each output.
    ///
    /// Source: Cullen et al. (2026), arXiv:2603.01192v3, section 3 (their projector along samples).
    CentredSquaredError,
    /// `-sum_c y_c ln softmax(f)_c` for logits `f` and the probabilities `y` of classes, one-hot for a class. Units: nats.
    CrossEntropy,
    /// `-y ln σ(f) - (1 - y) ln(1 - σ(f))` for a label `y` in `[0, 1]` and a logit `f`, its mean over outputs. Units: nats.
    BinaryCrossEntropy,
}

impl Loss {
    /// Refuses labels that the loss is not made for.
    pub(crate) fn check(self, y: ArrayView2<f64>) -> Result<(), NetworkError> {
        let label = |sample, expected| NetworkError::Label {
            sample,
            got: y.row(sample).to_vec(),
            expected,
        };
        let within = |y: ArrayView1<f64>| y.iter().all(|y| (0.0..=1.0).contains(y));
        let wrong = |right: &dyn Fn(ArrayView1<f64>) -> bool| {
            y.rows().into_iter().position(|labels| !right(labels))
        };
        match self {
            Self::MeanSquaredError | Self::HalvedSquaredError | Self::CentredSquaredError => None,
            Self::CrossEntropy => wrong(&|y| within(y) && (y.sum() - 1.0).abs() < 1e-9)
                .map(|sample| label(sample, "probabilities, which sum to 1")),
            Self::BinaryCrossEntropy => {
                wrong(&within).map(|sample| label(sample, "numbers from 0 to 1"))
            }
        }
        .map_or(Ok(()), Err)
    }

    /// Mean loss of every row, shape `[n_rows, 1, 1]`, of outputs and labels `[n_rows, n, n_outputs]`.
    pub(crate) fn mean(self, outputs: Tensor<3>, y: Tensor<3>) -> Tensor<3> {
        let halved = |errors: Tensor<3>| errors.square().sum_dim(2).mean_dim(1) * 0.5;
        match self {
            Self::MeanSquaredError => (outputs - y).square().mean_dim(2).mean_dim(1),
            Self::HalvedSquaredError => halved(outputs - y),
            Self::CentredSquaredError => {
                let errors = outputs - y;
                halved(errors.clone() - errors.mean_dim(1))
            }
            Self::CrossEntropy => (log_softmax(outputs, 2) * y).sum_dim(2).mean_dim(1).neg(),
            // ln(1 + e^f) - y f without overflow, by max(f, 0) = (f + |f|)/2, whose slope at 0 is the right one
            Self::BinaryCrossEntropy => {
                let size = outputs.clone().abs();
                let each =
                    outputs * (y.neg() + 0.5) + size.clone() * 0.5 + size.neg().exp().log1p();
                each.mean_dim(2).mean_dim(1)
            }
        }
    }

    /// Share of right answers: where the largest output is the largest label's (halved squared error, cross-entropy), or of outputs on
    /// the label's side (of 0 for the logits of the binary cross-entropy, of 1/2 for the mean squared error).
    pub(crate) fn accuracy(self, outputs: ArrayView2<f64>, y: ArrayView2<f64>) -> f64 {
        let share = |right: usize, of: usize| right as f64 / of as f64;
        let sides = |threshold: f64| {
            let pairs = outputs.iter().zip(&y);
            let right = pairs.filter(|&(&f, &y)| (f > threshold) == (y > 0.5));
            share(right.count(), y.len())
        };
        match self {
            Self::MeanSquaredError => sides(0.5),
            Self::BinaryCrossEntropy => sides(0.0),
            Self::HalvedSquaredError | Self::CentredSquaredError | Self::CrossEntropy => {
                let pairs = outputs.rows().into_iter().zip(y.rows());
                share(
                    pairs.filter(|(f, y)| largest(f) == largest(y)).count(),
                    y.nrows(),
                )
            }
        }
    }
}

/// The first index of the largest value.
fn largest(values: &ArrayView1<f64>) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}
