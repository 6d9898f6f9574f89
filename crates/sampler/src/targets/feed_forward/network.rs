//! The evaluation of a feed-forward network: blocks of samples through its layers and back, in one precision.

use std::sync::Arc;

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

use super::embedding::{Embedding, Tables};
use super::encoder::{Encoder, Transformer};
use super::layer::{Layer, Values, scale_by};
use crate::target::Batch;
use crate::targets::activation::Activation;
use crate::targets::blocks::{BLOCK, each_row, take};
use crate::targets::elementary::Elementary;
use crate::targets::loss::{Loss, cross_entropy_of_classes};
use crate::targets::matrix_product::Matrix;

/// What samples go through.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub start: Start,
    pub layers: Vec<Layer>,
    pub n_params: usize,
}

/// Where the inputs of the first layer come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    Data,
    Embedding(Embedding),
    Transformer(Transformer),
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
    /// Of the labels, under the cross-entropy where each is a class; else empty.
    pub classes: Vec<usize>,
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

/// How the inputs of the first layer are made.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
enum Stage<T> {
    Data,
    Tables(Tables<T>),
    Encoder(Encoder<T>),
}

/// Where a block of samples is evaluated.
#[derive(Debug, Clone)]
struct Work<T> {
    /// Which samples.
    block: Vec<usize>,
    /// Their losses.
    losses: Vec<f64>,
    start: Stage<T>,
    /// What goes into the first layer, `[BLOCK, n_in]`, and the derivative by it.
    inputs: Matrix<T>,
    inputs_grad: Matrix<T>,
    layers: Vec<Values<T>>,
    /// The derivative by an activation's result.
    back: Vec<T>,
    /// Mean of the errors over the samples, `[n_outputs]`, of the centred loss.
    mean: Vec<f64>,
}

impl<T: Elementary> Work<T> {
    fn new(shape: &Shape) -> Self {
        let inputs = Matrix::zeros(BLOCK, shape.layers[0].n_in);
        let layers: Vec<_> = shape
            .layers
            .iter()
            .map(|&l| Values::new(l, BLOCK))
            .collect();
        let widest = layers.iter().map(|v| v.outputs.values.len()).max();
        Self {
            block: Vec::with_capacity(BLOCK),
            losses: Vec::with_capacity(BLOCK),
            start: match shape.start {
                Start::Data => Stage::Data,
                Start::Embedding(shape) => Stage::Tables(Tables::new(shape)),
                Start::Transformer(shape) => Stage::Encoder(Encoder::new(shape)),
            },
            inputs_grad: inputs.clone(),
            inputs,
            layers,
            back: vec![T::default(); widest.unwrap_or(0)],
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
                classes: self.samples.classes.clone(),
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
        match &mut self.work.start {
            Stage::Data => {}
            Stage::Tables(tables) => tables.load(w, back),
            Stage::Encoder(encoder) => encoder.load(w, back),
        }
        let from_data = matches!(self.work.start, Stage::Data);
        for (k, values) in self.work.layers.iter_mut().enumerate() {
            values.load(w, back && !(k == 0 && from_data));
        }
    }

    /// Sends the samples in `block` through the layers.
    fn forward(&mut self) {
        let work = &mut self.work;
        let (block, inputs) = (&work.block, &mut work.inputs);
        match (&self.samples.inputs, &mut work.start) {
            (Inputs::Pairs(pairs), Stage::Tables(tables)) => tables.forward(pairs, block, inputs),
            (Inputs::Pairs(pairs), Stage::Encoder(encoder)) => {
                encoder.forward(pairs, block, inputs);
            }
            (Inputs::Dense(x), _) => {
                let n_inputs = self.shape.layers[0].n_in;
                for (i, &sample) in block.iter().enumerate() {
                    let x = &x[sample * n_inputs..][..n_inputs];
                    inputs.row_mut(i)[..n_inputs].copy_from_slice(x);
                }
            }
            (Inputs::Pairs(_), Stage::Data) => unreachable!("pairs are read by an embedding"),
        }
        for k in 0..work.layers.len() {
            let (before, after) = work.layers.split_at_mut(k);
            let h = before.last().map_or(&work.inputs, |below| &below.outputs);
            after[0].forward(h, work.block.len());
        }
    }

    /// Outputs of the block's samples, or derivatives by them.
    fn outputs(&mut self) -> &mut Matrix<T> {
        &mut self.work.layers.last_mut().expect("a layer").outputs
    }

    /// The losses of the block's samples; their outputs become the derivatives by them.
    fn find_losses(&mut self) {
        let n_outputs = self.shape.n_outputs();
        let work = &mut self.work;
        let outputs = &mut work.layers.last_mut().expect("a layer").outputs;
        work.losses.resize(work.block.len(), 0.0);
        if !self.samples.classes.is_empty() {
            let (stride, classes) = (outputs.stride, &self.samples.classes);
            let of = (&work.block[..], &classes[..]);
            cross_entropy_of_classes(n_outputs, &mut outputs.values, stride, of, &mut work.losses);
            return;
        }
        let rows = outputs.values.chunks_exact_mut(outputs.stride);
        for ((outputs, &sample), loss) in rows.zip(&work.block).zip(&mut work.losses) {
            let labels = self.samples.labels.row(sample);
            *loss = self.loss.of_sample(n_outputs, outputs, labels, &work.mean);
        }
    }

    /// The sum of the derivatives over the block's samples, after their losses: in the place of what there is, or added to it.
    fn backward(&mut self, add: bool) {
        let work = &mut self.work;
        let n = work.block.len();
        let last = work.layers.last_mut().expect("a layer");
        match last.layer.activation {
            Activation::Identity => std::mem::swap(&mut last.outputs, &mut last.slopes),
            _ => scale_by(&mut last.slopes.values, &last.outputs.values),
        }
        for k in (0..work.layers.len()).rev() {
            let (before, after) = work.layers.split_at_mut(k);
            let values = &mut after[0];
            match before.last_mut() {
                Some(below) => {
                    values.sum(&below.outputs, n, add);
                    let slopes = &mut below.slopes;
                    if below.layer.activation == Activation::Identity {
                        values.back(n, &mut slopes.values, false);
                    } else {
                        let used = n * slopes.stride;
                        values.back(n, &mut work.back, false);
                        scale_by(&mut slopes.values[..used], &work.back[..used]);
                    }
                }
                None => values.sum(&work.inputs, n, add),
            }
        }
        let (first, grad) = (&work.layers[0], &mut work.inputs_grad);
        let Inputs::Pairs(pairs) = &self.samples.inputs else {
            return;
        };
        first.back(n, &mut grad.values, false);
        match &mut work.start {
            Stage::Data => {}
            Stage::Tables(tables) => tables.backward(pairs, &work.block, grad, add),
            Stage::Encoder(encoder) => encoder.backward(pairs, &work.block, grad, add),
        }
    }

    /// Writes `scale` times the sums of [`Self::backward`].
    fn write(&mut self, scale: f64, grad: &mut [f64]) {
        match &mut self.work.start {
            Stage::Data => {}
            Stage::Tables(tables) => tables.write(scale, grad),
            Stage::Encoder(encoder) => encoder.write(scale, grad),
        }
        for (k, values) in self.work.layers.iter().enumerate() {
            let shared = self.shape.layers[..k]
                .iter()
                .any(|l| l.weight == values.layer.weight);
            values.write(scale, shared, grad);
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
            network.find_losses();
            for loss in &network.work.losses {
                sum += loss;
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
            network.find_losses();
            let losses = &network.work.losses;
            out[from..from + losses.len()].copy_from_slice(losses);
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
