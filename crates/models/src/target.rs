//! A network and a loss on a data set: the target that chains and optimisers move rows of.

use std::ops::Range;

use burn::tensor::{DType, Device, Tensor, TensorData};
use multiversion::multiversion;
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2};
use slt_sampler::targets::Loss;
use slt_sampler::{Batch, Residence, Target};

use crate::device::Precision;
use crate::inputs::{Input, Inputs, Tokens, taken};
use crate::loss;
use crate::network::{Network, NetworkError, segments};
use crate::quadratic_network::QuadraticNetwork;

/// The mean loss of a network over a data set, for every row of an ensemble.
#[derive(Debug, Clone)]
pub struct NetworkTarget {
    network: Network,
    loss: Loss,
    precision: Precision,
    device: Device,
    segments: Vec<(Range<usize>, [usize; 2])>,
    n_params: usize,
    /// Shape `[n, n_outputs]`.
    y: Array2<f64>,
    /// The whole data set on the device, with one row.
    full: (Input, Tensor<3>),
}

impl NetworkTarget {
    /// The target for the samples `x` and `y`.
    ///
    /// Shapes: `x`: `[n, n_inputs]`, or tokens `[n, length]`; `y`: `[n, n_outputs]`.
    ///
    /// # Errors
    /// [`NetworkError`] where the settings are no network, the data do not fit it, a value is not finite, or a label is none of the loss.
    pub fn new(
        network: impl Into<Network>,
        loss: Loss,
        precision: Precision,
        device: Device,
        x: impl Into<Inputs>,
        y: Array2<f64>,
    ) -> Result<Self, NetworkError> {
        let network = network.into();
        let (x, y) = checked(&network, loss, x.into(), y)?;
        Ok(Self::of_checked(network, loss, precision, device, x, y))
    }

    /// The target that a host's quadratic network on pairs is, in its precision.
    ///
    /// # Errors
    /// [`NetworkError`] where the network reads no pairs, or its outputs are not as many as the numbers of a pair.
    pub fn of_quadratic_network(
        host: &slt_sampler::targets::QuadraticNetwork,
        device: Device,
    ) -> Result<Self, NetworkError> {
        let (pairs, y) = host.pairs_and_outputs().ok_or(NetworkError::Reads {
            expected: "tokens",
            got: "numbers",
        })?;
        let n_hidden = host.n_hidden();
        // W has two rows for each number of a pair, V one for each output
        let modulus = (host.n_params() / n_hidden - y.ncols()) / 2;
        let network = QuadraticNetwork { modulus, n_hidden };
        let loss = match host.is_centred() {
            true => Loss::CentredSquaredError,
            false => Loss::HalvedSquaredError,
        };
        let precision = match host.gradient_precision() > f64::EPSILON {
            true => Precision::F32,
            false => Precision::F64,
        };
        let x = Array2::from_shape_fn((pairs.len(), 2), |(i, j)| pairs[i][j]);
        Self::new(network, loss, precision, device, x, y)
    }

    /// The target for what [`checked`] let through.
    pub(crate) fn of_checked(
        network: Network,
        loss: Loss,
        precision: Precision,
        device: Device,
        x: Inputs,
        y: Array2<f64>,
    ) -> Self {
        let whole = |a: &Array2<f64>| {
            let values = a.as_slice().expect("standard layout");
            let shape = [1, a.nrows(), a.ncols()];
            tensor(std::iter::once(values), shape, precision, &device)
        };
        let inputs = match &x {
            Inputs::Reals(x) => Input::Reals(whole(x)),
            Inputs::Tokens(x) => {
                let tokens: Vec<i64> = x.iter().map(|&t| i64::from(t)).collect();
                let data = TensorData::new(tokens, [1, x.nrows(), x.ncols()]);
                Input::Tokens(Tokens(Tensor::from_data(data, (&device, DType::I64))))
            }
        };
        let full = (inputs, whole(&y));
        Self {
            segments: segments(&network.parameters()),
            n_params: network.n_params(),
            network,
            loss,
            precision,
            device,
            y,
            full,
        }
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Outputs of every row for every sample.
    ///
    /// Shapes: `rows`: `[n_rows, d]`; returns `[n_rows, n, n_outputs]`.
    pub fn outputs(&self, rows: ArrayView2<f64>) -> Array3<f64> {
        let outputs = self.forward(&self.upload(rows), self.full.0.clone());
        let shape = outputs.dims();
        Array3::from_shape_vec(shape, host(outputs)).expect("the shape is the tensor's")
    }

    /// Share of the samples that a row gets right: where its largest output is the largest label's (halved squared error, cross-entropy),
    /// or of outputs on the label's side, of 0 for the logits of the binary cross-entropy and of 1/2 for the mean squared error.
    ///
    /// Shapes: `rows`: `[n_rows, d]`; returns `[n_rows]`.
    pub fn accuracy(&self, rows: ArrayView2<f64>) -> Vec<f64> {
        let right = |outputs| self.loss.accuracy(outputs, self.y.view());
        self.outputs(rows).outer_iter().map(right).collect()
    }

    /// The rows as one tensor for each parameter, shapes `[n_rows, rows, columns]`.
    pub(crate) fn upload(&self, rows: ArrayView2<f64>) -> Vec<Tensor<3>> {
        let all = rows.to_slice().expect("rows are contiguous");
        let upload = |(columns, [height, width]): &(Range<usize>, [usize; 2])| {
            let parts = all
                .chunks_exact(self.n_params)
                .map(|row| &row[columns.clone()]);
            let shape = [rows.nrows(), *height, *width];
            tensor(parts, shape, self.precision, &self.device)
        };
        self.segments.iter().map(upload).collect()
    }

    /// One tensor for each parameter as rows, `[n_rows, d]`.
    pub(crate) fn download_rows(&self, parameters: Vec<Tensor<3>>, mut rows: ArrayViewMut2<f64>) {
        let all = rows.as_slice_mut().expect("rows are contiguous");
        for ((columns, _), values) in self.segments.iter().zip(parameters) {
            let parts = all
                .chunks_exact_mut(self.n_params)
                .map(|row| &mut row[columns.clone()]);
            scatter(values, parts, columns.len());
        }
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Where each parameter lies in a row, and its shape there.
    pub(crate) fn segments(&self) -> &[(Range<usize>, [usize; 2])] {
        &self.segments
    }

    /// A number for each row, `[n_rows, 1, 1]`.
    pub(crate) fn of_rows(&self, values: Vec<f64>) -> Tensor<3> {
        let shape = [values.len(), 1, 1];
        let data = TensorData::new(values, shape);
        Tensor::from_data(data, (&self.device, self.precision.dtype()))
    }

    fn forward(&self, parameters: &[Tensor<3>], input: Input) -> Tensor<3> {
        self.network.architecture().forward(parameters, input)
    }

    /// Inputs and labels of a batch.
    fn batch(&self, batch: Batch) -> (Input, Tensor<3>) {
        let Batch::Rows(samples) = batch else {
            return self.full.clone();
        };
        let n_rows = samples.nrows();
        let samples: Vec<i64> = samples.iter().map(|&i| i64::from(i)).collect();
        let shape = [samples.len()];
        let data = TensorData::new(samples, shape);
        let samples = Tensor::from_data(data, (&self.device, DType::I64));
        let (x, y) = &self.full;
        (x.batch(&samples, n_rows), taken(y, &samples, n_rows))
    }

    /// Mean loss of every row over a batch, `[n_rows, 1, 1]`, and its gradient by each parameter, shaped as that is.
    pub(crate) fn gradients(
        &self,
        parameters: Vec<Tensor<3>>,
        batch: Batch,
    ) -> (Tensor<3>, Vec<Tensor<3>>) {
        let tracked = |parameter: Tensor<3>| parameter.autodiff().require_grad();
        let parameters: Vec<_> = parameters.into_iter().map(tracked).collect();
        let (x, y) = self.batch(batch);
        let outputs = self.forward(&parameters, x.autodiff());
        let loss = loss::mean(self.loss, outputs, y.autodiff());
        let mut gradients = loss.clone().sum().backward();
        let of = |parameter: Tensor<3>| {
            parameter
                .grad_remove(&mut gradients)
                .expect("every parameter enters the loss")
        };
        let gradients = parameters.into_iter().map(of).collect();
        (loss.inner(), gradients)
    }

    /// Mean loss of every row over all samples, `[n_rows, 1, 1]`.
    pub(crate) fn mean_loss(&self, parameters: &[Tensor<3>]) -> Tensor<3> {
        let (x, y) = self.full.clone();
        loss::mean(self.loss, self.forward(parameters, x), y)
    }
}

/// Inputs and labels in standard layout, where the network can read them and the loss is made for them.
pub(crate) fn checked(
    network: &Network,
    loss: Loss,
    x: Inputs,
    y: Array2<f64>,
) -> Result<(Inputs, Array2<f64>), NetworkError> {
    network.check()?;
    let architecture = network.architecture();
    let x = x.checked(architecture.reads())?;
    let shape = |axis, got, expected| match got == expected {
        true => Ok(()),
        false => Err(NetworkError::Shape {
            what: "output",
            axis,
            got,
            expected,
        }),
    };
    shape("columns", y.ncols(), architecture.n_outputs())?;
    shape("rows", y.nrows(), x.n_samples())?;
    if y.is_empty() {
        return Err(NetworkError::NoSamples);
    }
    if !y.iter().all(|v| v.is_finite()) {
        return Err(NetworkError::NotFinite);
    }
    let y = y.as_standard_layout().into_owned();
    loss.check(y.view())?;
    Ok((x, y))
}

impl Target for NetworkTarget {
    fn n_params(&self) -> usize {
        self.n_params
    }

    fn n_samples(&self) -> usize {
        self.y.nrows()
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        let (each, gradients) = self.gradients(self.upload(rows), batch);
        download(each, loss);
        self.download_rows(gradients, grad);
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        download(self.mean_loss(&self.upload(rows)), loss);
    }

    fn residence(&self) -> Option<&dyn Residence> {
        (self.device != Device::flex()).then_some(self)
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
    download(tensor, &mut values);
    values
}

/// Writes a tensor's values, widened to `f64`.
pub(crate) fn download(tensor: Tensor<3>, to: &mut [f64]) {
    let n = to.len();
    scatter(tensor, std::iter::once(to), n);
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
