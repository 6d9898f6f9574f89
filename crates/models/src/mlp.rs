//! Multilayer perceptrons on burn, all rows of an ensemble at once.

use std::ops::Range;

use burn::tensor::activation::{relu, tanh};
use burn::tensor::{Device, Tensor, TensorData};
use multiversion::multiversion;
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::{Batch, Target};

use crate::device::Precision;
use crate::init::pytorch_linear;

/// The nonlinearity between layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// The hyperbolic tangent.
    Tanh,
}

/// What is averaged over samples (and, for the squared error, over outputs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `(f - y)^2`.
    MeanSquaredError,
    /// `-y ln σ(f) - (1 - y) ln(1 - σ(f))` for a label `y` in `[0, 1]` and a logit `f`. Units: nats.
    BinaryCrossEntropy,
}

/// Why a network cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MlpError {
    /// Fewer than two widths, or a width of zero.
    #[error("widths are {0:?}; expected at least an input and an output width, all positive")]
    Widths(Vec<usize>),
    /// The data do not fit the network.
    #[error("{what} of the data has {got} {axis}; expected {expected}")]
    Shape {
        /// Inputs or outputs.
        what: &'static str,
        /// Rows or columns.
        axis: &'static str,
        /// Given.
        got: usize,
        /// Needed.
        expected: usize,
    },
    /// A number is not finite.
    #[error("the data hold a value that is not finite")]
    NotFinite,
}

/// A multilayer perceptron with biases.
///
/// A row of parameters holds, layer by layer, the weight `[fan_in, fan_out]` in row-major order, then the bias `[fan_out]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpConfig {
    /// Widths from input to output.
    pub widths: Vec<usize>,
    /// The nonlinearity after every layer but the last.
    pub activation: Activation,
}

impl MlpConfig {
    /// Number of parameters, `d`.
    pub fn n_params(&self) -> usize {
        self.widths.windows(2).map(|w| w[0] * w[1] + w[1]).sum()
    }

    fn check(&self) -> Result<(), MlpError> {
        if self.widths.len() < 2 || self.widths.contains(&0) {
            return Err(MlpError::Widths(self.widths.clone()));
        }
        Ok(())
    }

    /// Initial parameters by PyTorch's default for linear layers, row `i` from the stream `streams[i]`.
    ///
    /// Shapes: returns `[n_rows, d]`.
    pub fn init(&self, seed: u64, streams: &[u64]) -> Array2<f64> {
        let mut rows = Array2::zeros((streams.len(), self.n_params()));
        for (mut row, &stream) in rows.rows_mut().into_iter().zip(streams) {
            let mut rest = row.as_slice_mut().expect("rows are contiguous");
            for (layer, w) in self.widths.windows(2).enumerate() {
                let (weight, tail) = rest.split_at_mut(w[0] * w[1]);
                let (bias, tail) = tail.split_at_mut(w[1]);
                pytorch_linear(
                    w[0],
                    weight,
                    bias,
                    &mut rng(seed, Purpose::Initialisation, stream, layer as u64),
                );
                rest = tail;
            }
        }
        rows
    }

    /// Columns and shape `[fan_in, fan_out]` of each weight (even places) and bias (odd places, `fan_in` 1).
    fn segments(&self) -> Vec<(Range<usize>, [usize; 2])> {
        let mut at = 0;
        let mut next = |shape: [usize; 2]| {
            let from = at;
            at += shape[0] * shape[1];
            (from..at, shape)
        };
        self.widths
            .windows(2)
            .flat_map(|w| [[w[0], w[1]], [1, w[1]]])
            .map(&mut next)
            .collect()
    }
}

/// The mean loss of a multilayer perceptron over a data set, for every row of an ensemble.
#[derive(Debug, Clone)]
pub struct MlpTarget {
    config: MlpConfig,
    loss: Loss,
    precision: Precision,
    device: Device,
    segments: Vec<(Range<usize>, [usize; 2])>,
    /// Shape `[n, n_in]`.
    x: Array2<f64>,
    /// Shape `[n, n_out]`.
    y: Array2<f64>,
    /// The whole data set on the device, shapes `[1, n, n_in]` and `[1, n, n_out]`.
    full: (Tensor<3>, Tensor<3>),
}

impl MlpTarget {
    /// The target for the samples `x` and `y`.
    ///
    /// Shapes: `x`: `[n, n_in]`; `y`: `[n, n_out]`.
    ///
    /// # Errors
    /// [`MlpError`] where the widths are no network, the data do not fit them, or a value is not finite.
    pub fn new(
        config: MlpConfig,
        loss: Loss,
        precision: Precision,
        device: Device,
        x: Array2<f64>,
        y: Array2<f64>,
    ) -> Result<Self, MlpError> {
        config.check()?;
        let shape = |what, axis, got, expected| match got == expected {
            true => Ok(()),
            false => Err(MlpError::Shape {
                what,
                axis,
                got,
                expected,
            }),
        };
        shape("input", "columns", x.ncols(), config.widths[0])?;
        shape(
            "output",
            "columns",
            y.ncols(),
            config.widths[config.widths.len() - 1],
        )?;
        shape("output", "rows", y.nrows(), x.nrows())?;
        if !x.iter().chain(&y).all(|v| v.is_finite()) {
            return Err(MlpError::NotFinite);
        }
        let (x, y) = (
            x.as_standard_layout().into_owned(),
            y.as_standard_layout().into_owned(),
        );
        let whole = |a: &Array2<f64>| {
            let values = a.as_slice().expect("standard layout");
            tensor(
                std::iter::once(values),
                [1, a.nrows(), a.ncols()],
                precision,
                &device,
            )
        };
        let full = (whole(&x), whole(&y));
        Ok(Self {
            segments: config.segments(),
            config,
            loss,
            precision,
            device,
            x,
            y,
            full,
        })
    }

    /// The network.
    pub fn config(&self) -> &MlpConfig {
        &self.config
    }

    /// Outputs of every row for every sample.
    ///
    /// Shapes: `rows`: `[n_rows, d]`; returns `[n_rows, n, n_out]`.
    pub fn outputs(&self, rows: ArrayView2<f64>) -> Array3<f64> {
        let parameters = self.upload(rows, &self.device);
        let outputs = self.forward(&parameters, self.full.0.clone());
        let shape = outputs.dims();
        Array3::from_shape_vec(shape, host(outputs)).expect("the shape is the tensor's")
    }

    /// Share of the samples whose output is on the label's side: of 0 for logits, of 1/2 for the squared error.
    ///
    /// Shapes: `rows`: `[n_rows, d]`; returns `[n_rows]`.
    pub fn accuracy(&self, rows: ArrayView2<f64>) -> Vec<f64> {
        let threshold = match self.loss {
            Loss::MeanSquaredError => 0.5,
            Loss::BinaryCrossEntropy => 0.0,
        };
        let right = |outputs: ArrayView2<f64>| {
            let hits = outputs
                .iter()
                .zip(&self.y)
                .filter(|&(&f, &y)| (f > threshold) == (y > 0.5))
                .count();
            hits as f64 / self.y.len() as f64
        };
        self.outputs(rows).outer_iter().map(right).collect()
    }

    /// The rows as one tensor for each weight and bias, shapes `[n_rows, fan_in, fan_out]`.
    fn upload(&self, rows: ArrayView2<f64>, device: &Device) -> Vec<Tensor<3>> {
        let (n_rows, d) = rows.dim();
        let all = rows.to_slice().expect("rows are contiguous");
        let upload = |(columns, [fan_in, fan_out]): &(Range<usize>, [usize; 2])| {
            let parts = all.chunks_exact(d).map(|row| &row[columns.clone()]);
            tensor(parts, [n_rows, *fan_in, *fan_out], self.precision, device)
        };
        self.segments.iter().map(upload).collect()
    }

    /// Outputs `[n_rows, n, n_out]` for inputs `[n_rows or 1, n, n_in]`.
    fn forward(&self, parameters: &[Tensor<3>], x: Tensor<3>) -> Tensor<3> {
        let n_layers = parameters.len() / 2;
        parameters
            .chunks_exact(2)
            .enumerate()
            .fold(x, |h, (layer, p)| {
                let h = h.matmul(p[0].clone()) + p[1].clone();
                match self.config.activation {
                    _ if layer + 1 == n_layers => h,
                    Activation::Relu => relu(h),
                    Activation::Tanh => tanh(h),
                }
            })
    }

    /// Mean loss of every row, shape `[n_rows, 1, 1]`.
    fn mean_loss(&self, outputs: Tensor<3>, y: Tensor<3>) -> Tensor<3> {
        let each = match self.loss {
            Loss::MeanSquaredError => (outputs - y).square(),
            // ln(1 + e^f) - y f, without overflow
            Loss::BinaryCrossEntropy => {
                relu(outputs.clone()) - outputs.clone() * y + (outputs.abs().neg().exp()).log1p()
            }
        };
        each.mean_dim(2).mean_dim(1)
    }

    fn batch(&self, batch: Batch, device: &Device) -> (Tensor<3>, Tensor<3>) {
        match batch {
            Batch::Full => self.full.clone(),
            Batch::Rows(indices) => {
                let (n_rows, size) = indices.dim();
                let take = |from: &Array2<f64>| {
                    let all = from.as_slice().expect("standard layout");
                    let parts = indices
                        .iter()
                        .map(|&i| &all[i as usize * from.ncols()..][..from.ncols()]);
                    tensor(parts, [n_rows, size, from.ncols()], self.precision, device)
                };
                (take(&self.x), take(&self.y))
            }
        }
    }
}

impl Target for MlpTarget {
    fn n_params(&self) -> usize {
        self.config.n_params()
    }

    fn n_samples(&self) -> usize {
        self.x.nrows()
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        mut grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        let device = self.device.clone().autodiff();
        let parameters: Vec<_> = self
            .upload(rows, &device)
            .into_iter()
            .map(Tensor::require_grad)
            .collect();
        let (x, y) = self.batch(batch, &self.device);
        let each = self.mean_loss(self.forward(&parameters, x.autodiff()), y.autodiff());
        let mut grads = each.clone().sum().backward();
        loss.copy_from_slice(&host(each.inner()));
        let d = self.config.n_params();
        let grad = grad.as_slice_mut().expect("gradients are contiguous");
        for ((columns, _), parameter) in self.segments.iter().zip(parameters) {
            let values = parameter
                .grad_remove(&mut grads)
                .expect("every parameter enters the loss");
            scatter(
                values,
                grad.chunks_exact_mut(d)
                    .map(|row| &mut row[columns.clone()]),
                columns.len(),
            );
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        let parameters = self.upload(rows, &self.device);
        let outputs = self.forward(&parameters, self.full.0.clone());
        loss.copy_from_slice(&host(self.mean_loss(outputs, self.full.1.clone())));
    }
}

/// A tensor of the values of `parts`, one after the other.
fn tensor<'a>(
    parts: impl Iterator<Item = &'a [f64]>,
    shape: [usize; 3],
    precision: Precision,
    device: &Device,
) -> Tensor<3> {
    let n = shape.iter().product();
    let data = match precision {
        Precision::F32 => {
            let mut values = vec![0f32; n];
            let mut rest = values.as_mut_slice();
            for part in parts {
                let (to, tail) = rest.split_at_mut(part.len());
                narrow(part, to);
                rest = tail;
            }
            TensorData::new(values, shape)
        }
        Precision::F64 => TensorData::new(parts.collect::<Vec<_>>().concat(), shape),
    };
    Tensor::from_data(data, (device, precision.dtype()))
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn narrow(from: &[f64], to: &mut [f32]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from as f32;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn widen(from: &[f32], to: &mut [f64]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = f64::from(from);
    }
}

fn host(tensor: Tensor<3>) -> Vec<f64> {
    let n = tensor.dims().iter().product();
    let mut values = vec![0.0; n];
    scatter(tensor, std::iter::once(values.as_mut_slice()), n);
    values
}

/// Writes a tensor's values to consecutive parts of length `len`, widened to `f64`.
fn scatter<'a>(tensor: Tensor<3>, parts: impl Iterator<Item = &'a mut [f64]>, len: usize) {
    let data = tensor.into_data();
    if let Ok(values) = data.as_slice::<f32>() {
        for (part, values) in parts.zip(values.chunks_exact(len)) {
            widen(values, part);
        }
    } else {
        let values = data
            .as_slice::<f64>()
            .expect("a tensor is of either precision");
        parts
            .zip(values.chunks_exact(len))
            .for_each(|(part, values)| part.copy_from_slice(values));
    }
}
