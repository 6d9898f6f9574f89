//! Feed-forward networks: multilayer perceptrons, linear networks and autoencoders with biases or without, autoencoders with tied weights, the
//! embedding network of modular addition, and a transformer encoder on pairs; any of the losses.
//!
//! The gradient is back-propagation by hand, in blocks of samples; a row costs what its matrix products cost.

mod embedding;
mod encoder;
mod layer;
mod network;

use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2};

use self::embedding::Embedding;
use self::encoder::Transformer;
use self::layer::Layer;
use self::network::{Inputs, Network, Samples, Shape, Start};
use super::activation::Activation;
use super::loss::{LabelError, Loss, class};
use super::matrix_product::Matrix;
use crate::target::{Batch, SampleLosses, Target};

/// Why a feed-forward network cannot be made a target.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FeedForwardError {
    /// Fewer than two widths, or a width of zero.
    #[error("widths are {0:?}; expected at least those of input and output, all positive")]
    Widths(Vec<usize>),
    /// The data do not fit the network.
    #[error("{what} have shape {got:?}, expected {expected:?}")]
    Shape {
        /// Inputs or labels.
        what: &'static str,
        /// What they are.
        got: (usize, usize),
        /// What they should have been.
        expected: (usize, usize),
    },
    /// There are no samples.
    #[error("there are no samples")]
    Empty,
    /// Heads do not share the width.
    #[error("{n_heads} heads do not divide a width of {width}")]
    Heads {
        /// Heads of attention.
        n_heads: usize,
        /// Width of the stream.
        width: usize,
    },
    /// A pair is not in the table.
    #[error("pair {index} is {pair:?}; expected both below {modulus}")]
    Pair {
        /// Which.
        index: usize,
        /// What it is.
        pair: [u32; 2],
        /// What it should be below.
        modulus: usize,
    },
    /// A number is not finite.
    #[error("{0} hold a value that is not finite")]
    NotFinite(&'static str),
    /// The labels are none for this loss.
    #[error(transparent)]
    Label(#[from] LabelError),
}

/// The mean loss of a feed-forward network over its samples.
///
/// ```
/// use ndarray::array;
/// use slt_sampler::{Target, targets::{Activation, FeedForward, Loss}};
///
/// // 3 relu(2 x - 1) + 0.5 at x = 1 and at x = 0, where 3 and 1 are wanted
/// let (x, y) = (array![[1.0], [0.0]], array![[3.0], [1.0]]);
/// let mut target = FeedForward::new(&[1, 1, 1], Activation::Relu, true, Loss::MeanSquaredError, x.view(), y.view())?;
/// let mut loss = [0.0];
/// target.loss(array![[2.0, -1.0, 3.0, 0.5]].view(), &mut loss);
/// assert_eq!(loss, [(0.25 + 0.25) / 2.0]);
/// # Ok::<(), slt_sampler::targets::FeedForwardError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FeedForward(Precision);

#[derive(Debug, Clone)]
enum Precision {
    Single(Network<f32>),
    Double(Network<f64>),
}

/// Does the same with the network of either precision.
macro_rules! either {
    ($self:expr, $network:ident => $result:expr) => {
        match $self {
            Precision::Single($network) => $result,
            Precision::Double($network) => $result,
        }
    };
}

impl FeedForward {
    /// A multilayer perceptron, with the nonlinearity after every layer but the last.
    ///
    /// A row holds, layer by layer, the weight `[n_in, n_out]`, row-major, then the bias `[n_out]` if there are biases.
    ///
    /// Shapes: `widths`: from input to output; `x`: `[n, widths[0]]`; `y`: `[n, n_outputs]`.
    ///
    /// # Errors
    /// [`FeedForwardError`] where the widths are no network, the data do not fit it, a value is not finite, or a label is none of the loss.
    pub fn new(
        widths: &[usize],
        activation: Activation,
        bias: bool,
        loss: Loss,
        x: ArrayView2<f64>,
        y: ArrayView2<f64>,
    ) -> Result<Self, FeedForwardError> {
        check_widths(widths)?;
        let (mut at, mut layers) = (0, vec![]);
        for (k, pair) in widths.windows(2).enumerate() {
            let [n_in, n_out] = [pair[0], pair[1]];
            let weight = at;
            at += n_in * n_out;
            layers.push(Layer {
                n_in,
                n_out,
                weight,
                transposed: false,
                bias: bias.then_some(at),
                activation: match k + 2 == widths.len() {
                    true => Activation::Identity,
                    false => activation,
                },
            });
            at += if bias { n_out } else { 0 };
        }
        Self::dense(layers, at, loss, x, y)
    }

    /// An autoencoder with tied weights, `f(x) = ReLU(W^T W x + b)`: a toy model of superposition. Its labels are often its inputs.
    ///
    /// A row holds `W`, `[n_hidden, n_features]`, row-major, then `b`.
    ///
    /// Shapes: `x`, `y`: `[n, n_features]`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn tied_autoencoder(
        n_hidden: usize,
        loss: Loss,
        x: ArrayView2<f64>,
        y: ArrayView2<f64>,
    ) -> Result<Self, FeedForwardError> {
        let n_features = x.ncols();
        check_widths(&[n_features, n_hidden, n_features])?;
        let encoder = Layer {
            n_in: n_features,
            n_out: n_hidden,
            weight: 0,
            transposed: true,
            bias: None,
            activation: Activation::Identity,
        };
        let decoder = Layer {
            n_in: n_hidden,
            n_out: n_features,
            weight: 0,
            transposed: false,
            bias: Some(n_features * n_hidden),
            activation: Activation::Relu,
        };
        let n_params = n_features * (n_hidden + 1);
        Self::dense(vec![encoder, decoder], n_params, loss, x, y)
    }

    /// The network of Panickssery and Vaintrob (2023) on pairs `(a, b)` of numbers below `modulus`:
    /// `f(a, b) = U σ(L E_a + l + R E_b + r)` with a shared embedding `E`; one output for each number.
    ///
    /// A row holds `E`, `[modulus, width]`, then `R`, `[width, n_hidden]`, and `r`, then `L` and `l`, then `U` as `[n_hidden, modulus]`, all row-major.
    ///
    /// Shapes: `y`: `[n, modulus]`.
    ///
    /// # Errors
    /// As [`Self::new`], and where a number is not below `modulus`.
    pub fn embedding(
        [modulus, width, n_hidden]: [usize; 3],
        activation: Activation,
        loss: Loss,
        pairs: &[[u32; 2]],
        y: ArrayView2<f64>,
    ) -> Result<Self, FeedForwardError> {
        check_widths(&[modulus, width, n_hidden])?;
        let embedding = Embedding {
            modulus,
            width,
            n_hidden,
            activation,
        };
        let weight = embedding.n_params();
        let start = Start::Embedding(embedding);
        Self::on_pairs(start, weight, [n_hidden, modulus], loss, pairs, y)
    }

    /// A transformer encoder on pairs of numbers below `modulus`: an embedding of both, layers of PyTorch's `nn.TransformerEncoderLayer` (the norm
    /// after each sum, no dropout), the mean over the two places, and a linear readout; one output for each number.
    ///
    /// A row holds the embedding, `[modulus, width]`; for each layer the projection to queries, keys and values, `[width, 3 width]`, that of what
    /// attention mixes, `[width, width]`, both layers of the feed-forward part, each with its bias, and the factors and the shifts of both norms; then the
    /// readout, `[width, modulus]`, all row-major.
    ///
    /// Shapes: `sizes`: modulus, width, heads, layers, hidden units of the feed-forward part; `y`: `[n, modulus]`.
    ///
    /// # Errors
    /// As [`Self::embedding`], and where the heads do not divide the width.
    pub fn transformer(
        sizes: [usize; 5],
        activation: Activation,
        loss: Loss,
        pairs: &[[u32; 2]],
        y: ArrayView2<f64>,
    ) -> Result<Self, FeedForwardError> {
        check_widths(&sizes)?;
        let [modulus, width, n_heads, n_layers, n_feedforward] = sizes;
        if !width.is_multiple_of(n_heads) {
            return Err(FeedForwardError::Heads { n_heads, width });
        }
        let encoder = Transformer {
            modulus,
            width,
            n_heads,
            n_layers,
            n_feedforward,
            activation,
        };
        let weight = encoder.n_params();
        let start = Start::Transformer(encoder);
        Self::on_pairs(start, weight, [width, modulus], loss, pairs, y)
    }

    /// A network that reads pairs of numbers, up to a readout `[n_in, modulus]` at `weight`.
    fn on_pairs(
        start: Start,
        weight: usize,
        [n_in, modulus]: [usize; 2],
        loss: Loss,
        pairs: &[[u32; 2]],
        y: ArrayView2<f64>,
    ) -> Result<Self, FeedForwardError> {
        let beyond = |pair: &[u32; 2]| pair.iter().any(|&v| v as usize >= modulus);
        if let Some(index) = pairs.iter().position(beyond) {
            return Err(FeedForwardError::Pair {
                index,
                pair: pairs[index],
                modulus,
            });
        }
        let readout = Layer {
            n_in,
            n_out: modulus,
            weight,
            transposed: false,
            bias: None,
            activation: Activation::Identity,
        };
        let shape = Shape {
            n_params: weight + n_in * modulus,
            start,
            layers: vec![readout],
        };
        Self::of(shape, loss, Inputs::Pairs(pairs.to_vec()), pairs.len(), y)
    }

    fn dense(
        layers: Vec<Layer>,
        n_params: usize,
        loss: Loss,
        x: ArrayView2<f64>,
        y: ArrayView2<f64>,
    ) -> Result<Self, FeedForwardError> {
        check_data("inputs", x, (x.nrows(), layers[0].n_in))?;
        let shape = Shape {
            start: Start::Data,
            layers,
            n_params,
        };
        let inputs = Inputs::Dense(x.iter().copied().collect());
        Self::of(shape, loss, inputs, x.nrows(), y)
    }

    fn of(
        shape: Shape,
        loss: Loss,
        inputs: Inputs<f64>,
        n_samples: usize,
        y: ArrayView2<f64>,
    ) -> Result<Self, FeedForwardError> {
        check_data("labels", y, (n_samples, shape.n_outputs()))?;
        if n_samples == 0 {
            return Err(FeedForwardError::Empty);
        }
        loss.check(y)?;
        let classes: Option<Vec<usize>> = match loss {
            Loss::CrossEntropy => y.rows().into_iter().map(class).collect(),
            _ => None,
        };
        let samples = Samples {
            inputs,
            labels: Matrix::of(y),
            classes: classes.unwrap_or_default(),
        };
        let network = Network::new(shape, loss, n_samples, samples);
        Ok(Self(Precision::Double(network)))
    }

    /// The same target with its matrix products and nonlinearities in `f32`, about twice as fast.
    #[must_use]
    pub fn single_precision(self) -> Self {
        match self.0 {
            Precision::Single(network) => Self(Precision::Single(network)),
            Precision::Double(network) => Self(Precision::Single(network.rounded())),
        }
    }

    /// Outputs of every row for every sample.
    ///
    /// Shapes: `rows`: `[n_rows, d]`; returns `[n_rows, n, n_outputs]`.
    pub fn outputs(&mut self, rows: ArrayView2<f64>) -> Array3<f64> {
        let n_outputs = either!(&self.0, network => network.shape().n_outputs());
        let mut out = Array3::zeros((rows.nrows(), self.n_samples(), n_outputs));
        for (w, mut out) in rows.rows().into_iter().zip(out.outer_iter_mut()) {
            let w = w.to_slice().expect("rows are contiguous");
            let out = out.as_slice_mut().expect("outputs are contiguous");
            either!(&mut self.0, network => network.all_outputs(w, out));
        }
        out
    }

    /// Share of the samples that a row gets right: see [`Loss::accuracy`].
    ///
    /// Shapes: `rows`: `[n_rows, d]`; returns `[n_rows]`.
    pub fn accuracy(&mut self, rows: ArrayView2<f64>) -> Vec<f64> {
        let outputs = self.outputs(rows);
        let labels = either!(&self.0, network => network.labels().collect());
        let shape = (outputs.dim().1, outputs.dim().2);
        let labels = Array2::from_shape_vec(shape, labels).expect("a label for each output");
        let loss = either!(&self.0, network => network.loss());
        let right = |outputs| loss.accuracy(outputs, labels.view());
        outputs.outer_iter().map(right).collect()
    }
}

fn check_widths(widths: &[usize]) -> Result<(), FeedForwardError> {
    match widths.len() < 2 || widths.contains(&0) {
        true => Err(FeedForwardError::Widths(widths.to_vec())),
        false => Ok(()),
    }
}

fn check_data(
    what: &'static str,
    values: ArrayView2<f64>,
    expected: (usize, usize),
) -> Result<(), FeedForwardError> {
    let got = values.dim();
    if got != expected {
        return Err(FeedForwardError::Shape {
            what,
            got,
            expected,
        });
    }
    match values.iter().all(|v| v.is_finite()) {
        true => Ok(()),
        false => Err(FeedForwardError::NotFinite(what)),
    }
}

impl Target for FeedForward {
    fn n_params(&self) -> usize {
        either!(&self.0, network => network.shape().n_params)
    }

    fn n_samples(&self) -> usize {
        either!(&self.0, network => network.n_samples())
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        either!(&mut self.0, network => network.rows(rows, batch, Some(grad), loss));
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        either!(&mut self.0, network => network.rows(rows, Batch::Full, None, loss));
    }

    fn gradient_precision(&self) -> f64 {
        match self.0 {
            Precision::Single(_) => f32::EPSILON.into(),
            Precision::Double(_) => f64::EPSILON,
        }
    }

    fn n_rows_at_once(&self) -> usize {
        1
    }
}

impl SampleLosses for FeedForward {
    fn sample_losses(&mut self, rows: ArrayView2<f64>, mut out: ArrayViewMut2<f64>) {
        for (w, out) in rows.rows().into_iter().zip(out.rows_mut()) {
            let w = w.to_slice().expect("rows are contiguous");
            let out = out.into_slice().expect("losses are contiguous");
            either!(&mut self.0, network => network.sample_losses(w, out));
        }
    }
}

#[cfg(test)]
mod tests;
