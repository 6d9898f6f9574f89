//! Multilayer perceptrons on burn, all rows of an ensemble at once.

use std::ops::Range;

use burn::tensor::activation::{relu, tanh};
use burn::tensor::{Device, Tensor, TensorData};
use multiversion::multiversion;
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::{Batch, Target};
use slt_training::pytorch_linear;

use crate::device::Precision;

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
            // ln(1 + e^f) - y f without overflow, by max(f, 0) = (f + |f|)/2, whose slope at 0 is the right one
            Loss::BinaryCrossEntropy => {
                let size = outputs.clone().abs();
                outputs * (y.neg() + 0.5) + size.clone() * 0.5 + size.neg().exp().log1p()
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

    fn gradient_precision(&self) -> f64 {
        match self.precision {
            Precision::F32 => f64::from(f32::EPSILON),
            Precision::F64 => f64::EPSILON,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceKind;
    use crate::parity::Parity;
    use ndarray::{Axis, array};
    use slt_training::{Adam, Optimiser, Sgd, TrainPlan, train};

    const LOSSES: [Loss; 2] = [Loss::MeanSquaredError, Loss::BinaryCrossEntropy];
    const ACTIVATIONS: [Activation; 2] = [Activation::Relu, Activation::Tanh];

    fn target(
        widths: &[usize],
        activation: Activation,
        loss: Loss,
        precision: Precision,
        x: Array2<f64>,
        y: Array2<f64>,
    ) -> Result<MlpTarget, MlpError> {
        let config = MlpConfig {
            widths: widths.to_vec(),
            activation,
        };
        let device = DeviceKind::Cpu.open().expect("a CPU");
        MlpTarget::new(config, loss, precision, device, x, y)
    }

    /// Nine samples for three inputs and two outputs, labels in [0, 1].
    fn samples() -> (Array2<f64>, Array2<f64>) {
        let x = Array2::from_shape_fn((9, 3), |(i, j)| {
            (1.0 + 2.3 * i as f64 + 0.7 * j as f64).sin()
        });
        let y = Array2::from_shape_fn((9, 2), |(i, j)| ((i + j) % 3) as f64 / 2.0);
        (x, y)
    }

    fn small(activation: Activation, loss: Loss) -> MlpTarget {
        let (x, y) = samples();
        target(&[3, 4, 3, 2], activation, loss, Precision::F64, x, y).expect("fits")
    }

    fn evaluate(
        target: &mut MlpTarget,
        rows: &Array2<f64>,
        batch: Batch,
    ) -> (Vec<f64>, Array2<f64>) {
        let (mut loss, mut grad) = (vec![f64::NAN; rows.nrows()], Array2::zeros(rows.dim()));
        target.loss_and_grad(rows.view(), batch, grad.view_mut(), &mut loss);
        (loss, grad)
    }

    #[test]
    fn losses_are_their_formulas() {
        for (activation, loss) in ACTIVATIONS.into_iter().flat_map(|a| LOSSES.map(|l| (a, l))) {
            let mut target = small(activation, loss);
            let rows = target.config().init(1, &[0, 1]);
            let (found, _) = evaluate(&mut target, &rows, Batch::Full);
            let mut again = [0.0; 2];
            target.loss(rows.view(), &mut again);
            for ((outputs, found), again) in target
                .outputs(rows.view())
                .outer_iter()
                .zip(found)
                .zip(again)
            {
                let each = outputs
                    .iter()
                    .zip(&samples().1)
                    .map(|(&f, &y)| match loss {
                        Loss::MeanSquaredError => (f - y).powi(2),
                        Loss::BinaryCrossEntropy => {
                            let sigma = 1.0 / (1.0 + (-f).exp());
                            -y * sigma.ln() - (1.0 - y) * (1.0 - sigma).ln()
                        }
                    })
                    .sum::<f64>()
                    / 18.0;
                approx::assert_relative_eq!(found, each, max_relative = 1e-12);
                approx::assert_relative_eq!(again, each, max_relative = 1e-12);
            }
        }
    }

    /// One hidden layer, evaluated by hand from the documented layout of a row.
    #[test]
    fn a_row_is_laid_out_as_documented() {
        let x = array![[0.5, -2.0]];
        let target = |activation| {
            target(
                &[2, 3, 1],
                activation,
                LOSSES[0],
                Precision::F64,
                x.clone(),
                array![[0.0]],
            )
            .expect("fits")
        };
        // weight [2, 3], bias [3], weight [3, 1], bias [1]
        let row = array![[
            1.0, 2.0, 3.0, 0.1, 0.2, 0.3, 0.5, -0.5, 0.25, 1.5, -1.0, 2.0, 0.125
        ]];
        let hidden = [0.5 - 0.2 + 0.5, 1.0 - 0.4 - 0.5, 1.5 - 0.6 + 0.25];
        let output = |h: [f64; 3]| 1.5 * h[0] - h[1] + 2.0 * h[2] + 0.125;
        let relu = target(Activation::Relu).outputs(row.view())[[0, 0, 0]];
        let tanh = target(Activation::Tanh).outputs(row.view())[[0, 0, 0]];
        approx::assert_relative_eq!(
            relu,
            output(hidden.map(|h: f64| h.max(0.0))),
            max_relative = 1e-14
        );
        approx::assert_relative_eq!(tanh, output(hidden.map(f64::tanh)), max_relative = 1e-14);
    }

    #[test]
    fn gradient_agrees_with_differences() {
        for (activation, loss) in ACTIVATIONS.into_iter().flat_map(|a| LOSSES.map(|l| (a, l))) {
            let mut target = small(activation, loss);
            let rows = target.config().init(2, &[0, 1, 2]);
            let batch = array![[0u32, 4], [8, 2], [5, 5]];
            for batch in [Batch::Full, Batch::Rows(batch.view())] {
                let (_, grad) = evaluate(&mut target, &rows, batch);
                for j in 0..rows.ncols() {
                    let mut at = |delta: f64| {
                        let mut shifted = rows.clone();
                        shifted.column_mut(j).mapv_inplace(|w| w + delta);
                        evaluate(&mut target, &shifted, batch).0
                    };
                    // no hidden unit of these rows is within h of its kink; rounding over h is 1e-11
                    let h = 1e-5;
                    let (above, below) = (at(h), at(-h));
                    for i in 0..rows.nrows() {
                        approx::assert_relative_eq!(
                            grad[[i, j]],
                            (above[i] - below[i]) / (2.0 * h),
                            max_relative = 1e-7,
                            epsilon = 1e-9
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_minibatch_is_the_mean_over_its_samples() {
        let picked = [vec![7, 1, 3], vec![0, 0, 8]];
        let batch = array![[7u32, 1, 3], [0, 0, 8]];
        for loss in LOSSES {
            let mut all = small(Activation::Tanh, loss);
            let rows = all.config().init(3, &[4, 5]);
            let (losses, grads) = evaluate(&mut all, &rows, Batch::Rows(batch.view()));
            for (i, picked) in picked.iter().enumerate() {
                let (x, y) = samples();
                let (x, y) = (x.select(Axis(0), picked), y.select(Axis(0), picked));
                let mut part = target(&[3, 4, 3, 2], Activation::Tanh, loss, Precision::F64, x, y)
                    .expect("fits");
                let (expected, grad) =
                    evaluate(&mut part, &rows.select(Axis(0), &[i]), Batch::Full);
                approx::assert_relative_eq!(losses[i], expected[0], max_relative = 1e-13);
                approx::assert_abs_diff_eq!(grads.row(i), grad.row(0), epsilon = 1e-14);
            }
        }
    }

    /// `f = w x` with `w = 1e4`: nothing overflows, and a loss is 0 or the logit itself.
    #[test]
    fn cross_entropy_of_large_logits_is_finite() {
        for precision in [Precision::F32, Precision::F64] {
            let (x, y) = (
                array![[1.0], [1.0], [-1.0], [-1.0]],
                array![[1.0], [0.0], [1.0], [0.0]],
            );
            let mut target =
                target(&[1, 1], Activation::Relu, LOSSES[1], precision, x, y).expect("fits");
            let rows = array![[1e4, 0.0]];
            for (sample, (loss, slope)) in [(0.0, 0.0), (1e4, 1.0), (1e4, 1.0), (0.0, 0.0)]
                .into_iter()
                .enumerate()
            {
                let batch = array![[sample as u32]];
                let (found, grad) = evaluate(&mut target, &rows, Batch::Rows(batch.view()));
                assert_eq!(
                    (found[0], grad[[0, 0]]),
                    (loss, slope),
                    "{precision:?}, sample {sample}"
                );
            }
        }
    }

    /// `d loss/d f = σ(f) − y`, and no less where the formula has its kinks.
    #[test]
    fn cross_entropy_has_its_slope_at_logit_zero() {
        for y in [0.0, 0.25, 1.0] {
            let mut target = target(
                &[1, 1],
                Activation::Relu,
                LOSSES[1],
                Precision::F64,
                array![[1.0]],
                array![[y]],
            )
            .expect("fits");
            let (loss, grad) = evaluate(&mut target, &array![[0.0, 0.0]], Batch::Full);
            approx::assert_relative_eq!(loss[0], 2f64.ln(), max_relative = 1e-15);
            approx::assert_relative_eq!(grad, array![[0.5 - y, 0.5 - y]], max_relative = 1e-15);
        }
    }

    #[test]
    fn single_precision_rounds_double_precision() {
        for loss in LOSSES {
            let (x, y) = samples();
            let mut single =
                target(&[3, 4, 3, 2], Activation::Tanh, loss, Precision::F32, x, y).expect("fits");
            let mut double = small(Activation::Tanh, loss);
            let rows = double.config().init(4, &[0, 1]);
            let (a, b) = (
                evaluate(&mut single, &rows, Batch::Full),
                evaluate(&mut double, &rows, Batch::Full),
            );
            // sums of tens of terms of order 1, each rounded to 6e-8
            approx::assert_abs_diff_eq!(a.0[..], b.0[..], epsilon = 1e-6);
            approx::assert_abs_diff_eq!(a.1, b.1, epsilon = 1e-6);
            assert_ne!(a.1, b.1);
        }
    }

    #[test]
    fn accuracy_counts_the_right_side() {
        let (x, y) = (
            array![[0.2], [0.4], [0.6], [0.8]],
            array![[0.0], [1.0], [1.0], [0.0]],
        );
        // the threshold on x: 0.5, 0.3, and everything on the side of 1
        let squared = array![[1.0, 0.0], [1.0, 0.2], [0.0, 2.0]];
        let logits = array![[1.0, -0.5], [1.0, -0.3], [0.0, 2.0]];
        for (loss, rows) in LOSSES.into_iter().zip([squared, logits]) {
            let target = target(
                &[1, 1],
                Activation::Relu,
                loss,
                Precision::F64,
                x.clone(),
                y.clone(),
            )
            .expect("fits");
            assert_eq!(target.accuracy(rows.view()), [0.5, 0.75, 0.5], "{loss:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let build = |widths: &[usize], x: (usize, usize), y: (usize, usize)| {
            let (x, y) = (Array2::zeros(x), Array2::zeros(y));
            target(widths, Activation::Relu, LOSSES[0], Precision::F32, x, y).map(|_| ())
        };
        let shape = |what, axis, got, expected| {
            Err(MlpError::Shape {
                what,
                axis,
                got,
                expected,
            })
        };
        assert_eq!(build(&[3, 2], (5, 3), (5, 2)), Ok(()));
        assert_eq!(
            build(&[3, 2], (5, 4), (5, 2)),
            shape("input", "columns", 4, 3)
        );
        assert_eq!(
            build(&[3, 2], (5, 3), (5, 1)),
            shape("output", "columns", 1, 2)
        );
        assert_eq!(
            build(&[3, 2], (5, 3), (6, 2)),
            shape("output", "rows", 6, 5)
        );
        for widths in [&[][..], &[3], &[3, 0, 2]] {
            assert_eq!(
                build(widths, (5, 3), (5, 2)),
                Err(MlpError::Widths(widths.to_vec()))
            );
        }
        let nan = target(
            &[1, 1],
            Activation::Relu,
            LOSSES[0],
            Precision::F32,
            array![[f64::NAN]],
            array![[0.0]],
        );
        assert!(matches!(nan, Err(MlpError::NotFinite)));
    }

    #[test]
    fn initial_parameters_are_addressed() {
        let config = MlpConfig {
            widths: vec![30, 256, 256, 1],
            activation: Activation::Relu,
        };
        assert_eq!(config.n_params(), 73_985);
        let rows = config.init(7, &[3, 9]);
        assert_eq!(
            config.init(7, &[9]).row(0),
            rows.row(1),
            "a row depends on its stream alone"
        );
        assert_ne!(rows.row(0), rows.row(1));
        assert_ne!(config.init(8, &[9]).row(0), rows.row(1));
        let mut from = 0;
        for (columns, [fan_in, fan_out]) in config.segments() {
            assert_eq!((columns.start, columns.len()), (from, fan_in * fan_out));
            from = columns.end;
        }
        assert_eq!(from, 73_985);
        // weight and bias of a layer share the bound of the layer's inputs, and nearly reach it
        for (columns, fan_in, reach) in [
            (0..7680, 30, 0.99),
            (7680..7936, 30, 0.9),
            (7936..73472, 256, 0.99),
            (73472..73728, 256, 0.9),
            (73728..73984, 256, 0.9),
        ] {
            let bound = 1.0 / f64::from(fan_in).sqrt();
            let largest = rows
                .slice(ndarray::s![.., columns])
                .fold(0.0, |m: f64, w| m.max(w.abs()));
            assert!(
                reach * bound < largest && largest <= bound,
                "{largest} within {bound}"
            );
        }
    }

    #[test]
    fn the_loss_of_a_network_goes_down() {
        let (x, y) = Parity { n_bits: 6, k: 2 }
            .samples(64, 1, 0)
            .expect("a task");
        let config = MlpConfig {
            widths: vec![6, 16, 1],
            activation: Activation::Relu,
        };
        let device = DeviceKind::Cpu.open().expect("a CPU");
        let mut target = MlpTarget::new(
            config.clone(),
            Loss::BinaryCrossEntropy,
            Precision::F32,
            device,
            x,
            y,
        )
        .expect("fits");
        for optimiser in [
            Optimiser::AdamW(Adam {
                learning_rate: 1e-2,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 1e-2,
            }),
            Optimiser::Sgd(Sgd {
                learning_rate: 0.1,
                momentum: 0.9,
            }),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let plan = TrainPlan {
                batch_size: Some(16),
                n_steps: 300,
                checkpoint_every: 100,
                optimiser,
                seed: 3,
            };
            let rows = config.init(1, &[0, 1, 2]);
            let trained = train(
                &target,
                &plan,
                rows.clone(),
                &[0, 1, 2],
                folder.path(),
                "{}",
                2,
                &|_| (),
            )
            .expect("trained");
            let (mut before, mut after) = (vec![0.0; 3], vec![0.0; 3]);
            target.loss(rows.view(), &mut before);
            target.loss(trained.rows.view(), &mut after);
            // it starts at ln 2 = 0.69, and two of six bits are learnt quickly
            assert!(
                before.iter().all(|&l| l > 0.6) && after.iter().all(|&l| l < 0.2),
                "{before:?} to {after:?}"
            );
            assert!(
                target
                    .accuracy(trained.rows.view())
                    .iter()
                    .all(|&a| a > 0.95)
            );
        }
    }
}
