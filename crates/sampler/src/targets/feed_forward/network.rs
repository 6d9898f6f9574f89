//! The evaluation of a feed-forward network: blocks of samples through its layers and back, in one precision.

use std::sync::Arc;

use multiversion::multiversion;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

use super::embedding::{Embedding, Tables};
use crate::target::Batch;
use crate::targets::activation::Activation;
use crate::targets::blocks::{BLOCK, each_row, take};
use crate::targets::elementary::Elementary;
use crate::targets::loss::Loss;
use crate::targets::matrix_product::{Matrix, Size, multiply, product};

/// `h -> σ(h W + b)`, by where its parameters lie in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer {
    pub n_in: usize,
    pub n_out: usize,
    /// Where `W` begins.
    pub weight: usize,
    /// Whether `W` lies there as `[n_out, n_in]`, not as `[n_in, n_out]`.
    pub transposed: bool,
    /// Where `b` begins.
    pub bias: Option<usize>,
    pub activation: Activation,
}

/// What samples go through.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub embedding: Option<Embedding>,
    pub layers: Vec<Layer>,
    pub n_params: usize,
}

impl Shape {
    pub fn n_outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].n_out
    }
}

#[derive(Debug)]
pub(super) enum Inputs<T> {
    /// `[n, n_inputs]`.
    Dense(Vec<T>),
    Pairs(Vec<[u32; 2]>),
}

/// The data of a network.
#[derive(Debug)]
pub(super) struct Samples<T> {
    pub inputs: Inputs<T>,
    /// `[n, n_outputs]`.
    pub labels: Matrix<T>,
}

/// A network, its loss and its data in one precision.
#[derive(Debug, Clone)]
pub(super) struct Network<T> {
    shape: Arc<Shape>,
    loss: Loss,
    n_samples: usize,
    samples: Arc<Samples<T>>,
    work: Work<T>,
}

/// Where a block of samples is evaluated.
#[derive(Debug, Clone)]
struct Work<T> {
    /// Which samples.
    block: Vec<usize>,
    tables: Option<Tables<T>>,
    /// What goes into the first layer, `[BLOCK, n_in]`; of an embedding, with the slopes of its activation, later the derivative by what that was given.
    inputs: Matrix<T>,
    input_slopes: Matrix<T>,
    layers: Vec<Values<T>>,
    /// The derivative by an activation's result.
    back: Vec<T>,
    /// Mean of the errors over the samples, `[n_outputs]`, of the centred loss.
    mean: Vec<f64>,
}

/// The values of a layer.
#[derive(Debug, Clone)]
struct Values<T> {
    /// `W`, `[n_in, n_out]`, its transpose, and `b`, padded like a row of `W`.
    weight: Matrix<T>,
    transpose: Matrix<T>,
    bias: Matrix<T>,
    /// `σ(h W + b)`, `[BLOCK, n_out]`.
    outputs: Matrix<T>,
    /// `σ'(h W + b)`, later the derivative by `h W + b`.
    slopes: Matrix<T>,
    /// The derivatives by `W`, as it lies in a row, and by `b`.
    weight_grad: Matrix<T>,
    bias_grad: Matrix<T>,
}

impl<T: Elementary> Work<T> {
    fn new(shape: &Shape) -> Self {
        let values = |layer: &Layer| {
            let Layer { n_in, n_out, .. } = *layer;
            let (weight, transpose) = (Matrix::zeros(n_in, n_out), Matrix::zeros(n_out, n_in));
            Values {
                weight_grad: match layer.transposed {
                    true => transpose.clone(),
                    false => weight.clone(),
                },
                weight,
                transpose,
                bias: Matrix::zeros(1, n_out),
                outputs: Matrix::zeros(BLOCK, n_out),
                slopes: Matrix::zeros(BLOCK, n_out),
                bias_grad: Matrix::zeros(1, n_out),
            }
        };
        let inputs = Matrix::zeros(BLOCK, shape.layers[0].n_in);
        let layers: Vec<_> = shape.layers.iter().map(values).collect();
        let widest = layers.iter().map(|v| v.outputs.values.len()).max();
        let widest = widest.unwrap_or(0).max(inputs.values.len());
        Self {
            block: Vec::with_capacity(BLOCK),
            tables: shape.embedding.map(Tables::new),
            input_slopes: inputs.clone(),
            inputs,
            layers,
            back: vec![T::default(); widest],
            mean: vec![0.0; shape.n_outputs()],
        }
    }
}

impl Network<f64> {
    pub fn new(shape: Shape, loss: Loss, n_samples: usize, samples: Samples<f64>) -> Self {
        Self {
            work: Work::new(&shape),
            shape: Arc::new(shape),
            loss,
            n_samples,
            samples: Arc::new(samples),
        }
    }

    /// The same in `f32`.
    pub fn rounded(&self) -> Network<f32> {
        let round = |v: &[f64]| v.iter().map(|&v| v as f32).collect();
        Network {
            shape: self.shape.clone(),
            loss: self.loss,
            n_samples: self.n_samples,
            samples: Arc::new(Samples {
                inputs: match &self.samples.inputs {
                    Inputs::Dense(x) => Inputs::Dense(round(x)),
                    Inputs::Pairs(pairs) => Inputs::Pairs(pairs.clone()),
                },
                labels: self.samples.labels.rounded(),
            }),
            work: Work::new(&self.shape),
        }
    }
}

impl<T: Elementary> Network<T> {
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    pub fn loss(&self) -> Loss {
        self.loss
    }

    pub fn n_samples(&self) -> usize {
        self.n_samples
    }

    /// The labels, `[n, n_outputs]`.
    pub fn labels(&self) -> impl Iterator<Item = f64> {
        let n_outputs = self.shape.n_outputs();
        let rows = (0..self.n_samples).flat_map(move |i| &self.samples.labels.row(i)[..n_outputs]);
        rows.map(|y| y.to_f64())
    }

    /// Takes the parameters; their transposes, too, if there is a way back.
    fn load(&mut self, w: &[f64], back: bool) {
        if let Some(tables) = &mut self.work.tables {
            tables.load(w, back);
        }
        let from_data = self.work.tables.is_none();
        let layers = self.shape.layers.iter().zip(&mut self.work.layers);
        for (k, (layer, values)) in layers.enumerate() {
            let stored = &w[layer.weight..][..layer.n_in * layer.n_out];
            let back = back && !(k == 0 && from_data);
            if layer.transposed {
                values.weight.load_transposed(stored, layer.n_in);
                if back {
                    values.transpose.load(stored, layer.n_in);
                }
            } else {
                values.weight.load(stored, layer.n_out);
                if back {
                    values.transpose.load_transposed(stored, layer.n_out);
                }
            }
            if let Some(bias) = layer.bias {
                let n = layer.n_out;
                values.bias.load(&w[bias..][..n], n);
            }
        }
    }

    /// Sends the samples in `block` through the layers.
    fn forward(&mut self) {
        let work = &mut self.work;
        let n = work.block.len();
        match (&self.samples.inputs, &work.tables) {
            (Inputs::Pairs(pairs), Some(tables)) => {
                for (i, &sample) in work.block.iter().enumerate() {
                    tables.gather(pairs[sample], work.inputs.row_mut(i));
                }
                let used = n * work.inputs.stride;
                let slopes = &mut work.input_slopes.values[..used];
                let activation = tables.activation();
                activation.apply(&mut work.inputs.values[..used], slopes);
            }
            (Inputs::Dense(x), _) => {
                let n_inputs = self.shape.layers[0].n_in;
                for (i, &sample) in work.block.iter().enumerate() {
                    let x = &x[sample * n_inputs..][..n_inputs];
                    work.inputs.row_mut(i)[..n_inputs].copy_from_slice(x);
                }
            }
            (Inputs::Pairs(_), None) => unreachable!("pairs are read by an embedding"),
        }
        for (k, layer) in self.shape.layers.iter().enumerate() {
            let (before, after) = work.layers.split_at_mut(k);
            let (h, values) = (before.last(), &mut after[0]);
            let h = h.map_or(&work.inputs, |below| &below.outputs);
            let size = Size {
                rows: n,
                inner: layer.n_in,
                columns: layer.n_out,
            };
            let used = n * values.outputs.stride;
            let outputs = &mut values.outputs.values[..used];
            product(size, h.plain(), &values.weight.values, outputs);
            if layer.bias.is_some() {
                add_to_each(outputs, &values.bias.values);
            }
            layer
                .activation
                .apply(outputs, &mut values.slopes.values[..used]);
        }
    }

    /// Outputs of the block's samples, or derivatives by them.
    fn outputs(&mut self) -> &mut Matrix<T> {
        &mut self.work.layers.last_mut().expect("a layer").outputs
    }

    /// The loss of the `i`-th sample of the block; its outputs become the derivative by them.
    fn sample_loss(&mut self, i: usize) -> f64 {
        let n_outputs = self.shape.n_outputs();
        let labels = self.samples.labels.row(self.work.block[i]);
        let outputs = &mut self.work.layers.last_mut().expect("a layer").outputs;
        let (loss, mean) = (self.loss, &self.work.mean);
        loss.of_sample(n_outputs, outputs.row_mut(i), labels, mean)
    }

    /// The sum of the derivatives over the block's samples, after their losses: in the place of what there is, or added to it.
    fn backward(&mut self, add: bool) {
        let (shape, work) = (&self.shape, &mut self.work);
        let n = work.block.len();
        let last = work.layers.last_mut().expect("a layer");
        match shape.layers[shape.layers.len() - 1].activation {
            Activation::Identity => std::mem::swap(&mut last.outputs, &mut last.slopes),
            _ => scale_by(&mut last.slopes.values, &last.outputs.values),
        }
        for (k, layer) in shape.layers.iter().enumerate().rev() {
            let Layer { n_in, n_out, .. } = *layer;
            let (before, after) = work.layers.split_at_mut(k);
            let (values, below) = (&mut after[0], before.last_mut());
            let (h, slopes) = match below {
                Some(below) => (&below.outputs, &mut below.slopes),
                None => (&work.inputs, &mut work.input_slopes),
            };
            let derivative = &values.slopes;
            let sums = |rows, columns| Size {
                rows,
                inner: n,
                columns,
            };
            let (size, left, right) = match layer.transposed {
                true => (sums(n_out, n_in), derivative, h),
                false => (sums(n_in, n_out), h, derivative),
            };
            let weight_grad = &mut values.weight_grad.values;
            multiply(size, left.transposed(), &right.values, weight_grad, add);
            if layer.bias.is_some() {
                let used = n * derivative.stride;
                let each = &derivative.values[..used];
                sum_of_each(&mut values.bias_grad.values, each, add);
            }
            let activation = match (k, &work.tables) {
                (0, None) => continue,
                (0, Some(tables)) => tables.activation(),
                _ => shape.layers[k - 1].activation,
            };
            let size = Size {
                rows: n,
                inner: n_out,
                columns: n_in,
            };
            let transpose = &values.transpose.values;
            if activation == Activation::Identity {
                product(size, derivative.plain(), transpose, &mut slopes.values);
            } else {
                let used = n * slopes.stride;
                product(size, derivative.plain(), transpose, &mut work.back);
                scale_by(&mut slopes.values[..used], &work.back[..used]);
            }
        }
        if let (Some(tables), Inputs::Pairs(pairs)) = (&mut work.tables, &self.samples.inputs) {
            tables.clear_unless(add);
            for (i, &sample) in work.block.iter().enumerate() {
                tables.scatter(pairs[sample], work.input_slopes.row(i));
            }
        }
    }

    /// Writes `scale` times the sums of [`Self::backward`].
    fn write(&mut self, scale: f64, grad: &mut [f64]) {
        if let Some(tables) = &mut self.work.tables {
            tables.write(scale, grad);
        }
        for (k, (layer, values)) in self.shape.layers.iter().zip(&self.work.layers).enumerate() {
            let n_columns = if layer.transposed {
                layer.n_in
            } else {
                layer.n_out
            };
            let out = &mut grad[layer.weight..][..layer.n_in * layer.n_out];
            let shared = self.shape.layers[..k]
                .iter()
                .any(|l| l.weight == layer.weight);
            if shared {
                values.weight_grad.add_to(scale, n_columns, out);
            } else {
                values.weight_grad.write_to(scale, n_columns, out);
            }
            if let Some(bias) = layer.bias {
                let out = &mut grad[bias..][..layer.n_out];
                values.bias_grad.write_to(scale, layer.n_out, out);
            }
        }
    }

    /// Sends all samples, or a minibatch, through the layers, block by block; `each` sees every block.
    fn each_block(
        &mut self,
        batch: Option<ArrayView1<u32>>,
        mut each: impl FnMut(&mut Self, usize),
    ) {
        let n = batch.map_or(self.n_samples, |indices| indices.len());
        for from in (0..n).step_by(BLOCK) {
            take(&mut self.work.block, batch, from, n);
            self.forward();
            each(self, from);
        }
    }

    /// Finds the mean error of the centred loss at the loaded parameters.
    fn find_mean(&mut self, batch: Option<ArrayView1<u32>>) {
        if self.loss != Loss::CentredSquaredError {
            return;
        }
        self.work.mean.fill(0.0);
        let share = 1.0 / batch.map_or(self.n_samples, |indices| indices.len()) as f64;
        self.each_block(batch, |network, _| {
            let samples = network.samples.clone();
            for i in 0..network.work.block.len() {
                let labels = samples.labels.row(network.work.block[i]);
                let outputs = &network.work.layers.last().expect("a layer").outputs;
                let errors = outputs.row(i).iter().zip(labels);
                for (m, (&f, &y)) in network.work.mean.iter_mut().zip(errors) {
                    *m += share * (f - y).to_f64();
                }
            }
        });
    }

    /// The loss of one row, and its gradient if asked for.
    fn evaluate(
        &mut self,
        w: &[f64],
        batch: Option<ArrayView1<u32>>,
        grad: Option<&mut [f64]>,
    ) -> f64 {
        self.load(w, grad.is_some());
        self.find_mean(batch);
        let n = batch.map_or(self.n_samples, |indices| indices.len()) as f64;
        let mut sum = 0.0;
        self.each_block(batch, |network, from| {
            for i in 0..network.work.block.len() {
                sum += network.sample_loss(i);
            }
            if grad.is_some() {
                network.backward(from > 0);
            }
        });
        if let Some(grad) = grad {
            self.write(self.loss.scale(self.shape.n_outputs()) / n, grad);
        }
        sum / n
    }

    /// Loss of every row, and gradient where asked for.
    pub fn rows(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        grad: Option<ArrayViewMut2<f64>>,
        loss: &mut [f64],
    ) {
        each_row(rows, batch, grad, loss, |w, batch, grad| {
            self.evaluate(w, batch, grad)
        });
    }

    /// The loss of every sample.
    pub fn sample_losses(&mut self, w: &[f64], out: &mut [f64]) {
        self.load(w, false);
        self.find_mean(None);
        self.each_block(None, |network, from| {
            for i in 0..network.work.block.len() {
                out[from + i] = network.sample_loss(i);
            }
        });
    }

    /// The outputs for every sample, `[n, n_outputs]`.
    pub fn all_outputs(&mut self, w: &[f64], out: &mut [f64]) {
        let n_outputs = self.shape.n_outputs();
        self.load(w, false);
        self.each_block(None, |network, from| {
            let n = network.work.block.len();
            let out = &mut out[from * n_outputs..(from + n) * n_outputs];
            network.outputs().write_to(1.0, n_outputs, out);
        });
    }
}

/// Adds one row to each.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn add_to_each<T: Elementary>(rows: &mut [T], row: &[T]) {
    for own in rows.chunks_exact_mut(row.len()) {
        for (own, &v) in own.iter_mut().zip(row) {
            *own = *own + v;
        }
    }
}

/// The sum of rows: in the place of what there is, or added to it.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn sum_of_each<T: Elementary>(sum: &mut [T], rows: &[T], add: bool) {
    if !add {
        sum.fill(T::default());
    }
    for row in rows.chunks_exact(sum.len()) {
        for (sum, &v) in sum.iter_mut().zip(row) {
            *sum = *sum + v;
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn scale_by<T: Elementary>(values: &mut [T], by: &[T]) {
    for (v, &by) in values.iter_mut().zip(by) {
        *v = *v * by;
    }
}
