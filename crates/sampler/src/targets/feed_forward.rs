//! Feed-forward networks: multilayer perceptrons, linear networks and autoencoders with biases or without, autoencoders with tied weights, and
//! the embedding network of modular addition; any of the losses.
//!
//! The gradient is back-propagation by hand, in blocks of samples; a row costs what its matrix products cost.

mod embedding;
mod network;

use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2};

use self::embedding::Embedding;
use self::network::{Inputs, Layer, Network, Samples, Shape};
use super::activation::Activation;
use super::loss::{LabelError, Loss};
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
        let beyond = |pair: &[u32; 2]| pair.iter().any(|&v| v as usize >= modulus);
        if let Some(index) = pairs.iter().position(beyond) {
            return Err(FeedForwardError::Pair {
                index,
                pair: pairs[index],
                modulus,
            });
        }
        let embedding = Embedding {
            modulus,
            width,
            n_hidden,
            activation,
        };
        let readout = Layer {
            n_in: n_hidden,
            n_out: modulus,
            weight: embedding.n_params(),
            transposed: false,
            bias: None,
            activation: Activation::Identity,
        };
        let shape = Shape {
            n_params: readout.weight + n_hidden * modulus,
            embedding: Some(embedding),
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
            embedding: None,
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
        let samples = Samples {
            inputs,
            labels: Matrix::of(y),
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
mod tests {
    use super::*;
    use crate::targets::{gradient_check, minibatch_check, sample_losses_check};
    use ndarray::{Axis, array};

    const LOSSES: [Loss; 5] = [
        Loss::MeanSquaredError,
        Loss::HalvedSquaredError,
        Loss::CentredSquaredError,
        Loss::CrossEntropy,
        Loss::BinaryCrossEntropy,
    ];
    const SIGMAS: [Activation; 5] = [
        Activation::Relu,
        Activation::Tanh,
        Activation::Gelu,
        Activation::Quadratic,
        Activation::Identity,
    ];

    fn wave(n_rows: usize, n_columns: usize, phase: f64) -> Array2<f64> {
        Array2::from_shape_fn((n_rows, n_columns), |(i, j)| {
            (phase + 1.7 * i as f64 + (0.9 + 0.31 * i as f64) * j as f64).sin()
        })
    }

    /// Labels of any loss: probabilities.
    fn labels(n: usize, n_outputs: usize) -> Array2<f64> {
        let mut y = wave(n, n_outputs, 1.1).mapv(|v| 0.1 + v * v);
        for mut row in y.rows_mut() {
            let sum = row.sum();
            row /= sum;
        }
        y
    }

    fn parameters(target: &FeedForward) -> Vec<f64> {
        let size = |i: usize| 0.9 * (0.4 + 1.3 * i as f64 + 0.01 * (i * i) as f64).cos();
        (0..target.n_params()).map(size).collect()
    }

    fn value(sigma: Activation, x: f64) -> f64 {
        match sigma {
            Activation::Relu => x.max(0.0),
            Activation::Tanh => x.tanh(),
            // Φ by its own test
            Activation::Gelu => x * crate::targets::elementary::Elementary::normal(x).0,
            Activation::Quadratic => x * x,
            Activation::Identity => x,
        }
    }

    /// The mean loss of outputs by its definition.
    fn by_definition(loss: Loss, f: &Array2<f64>, y: &Array2<f64>) -> f64 {
        let n = f.nrows() as f64;
        let errors = f - y;
        let halved = |e: &Array2<f64>| e.mapv(|e| e * e).sum() / (2.0 * n);
        match loss {
            Loss::MeanSquaredError => 2.0 * halved(&errors) / f.ncols() as f64,
            Loss::HalvedSquaredError => halved(&errors),
            Loss::CentredSquaredError => {
                let mean = errors.mean_axis(Axis(0)).expect("samples");
                halved(&(&errors - &mean))
            }
            Loss::CrossEntropy => {
                let rows = f.rows().into_iter().zip(y.rows());
                let of = rows.map(|(f, y)| {
                    let sum: f64 = f.iter().map(|f| f.exp()).sum();
                    f.iter()
                        .zip(y)
                        .map(|(f, y)| y * (sum.ln() - f))
                        .sum::<f64>()
                });
                of.sum::<f64>() / n
            }
            Loss::BinaryCrossEntropy => {
                let each = f.iter().zip(y).map(|(f, y)| f.exp().ln_1p() - y * f);
                each.sum::<f64>() / f.len() as f64
            }
        }
    }

    /// Outputs of a perceptron, sample by sample.
    fn outputs(
        widths: &[usize],
        sigma: Activation,
        bias: bool,
        w: &[f64],
        x: &Array2<f64>,
    ) -> Array2<f64> {
        let (mut h, mut at) = (x.clone(), 0);
        for (k, pair) in widths.windows(2).enumerate() {
            let [n_in, n_out] = [pair[0], pair[1]];
            let weight = ArrayView2::from_shape((n_in, n_out), &w[at..at + n_in * n_out]);
            h = h.dot(&weight.expect("a layer"));
            at += n_in * n_out;
            if bias {
                h += &ndarray::ArrayView1::from(&w[at..at + n_out]);
                at += n_out;
            }
            if k + 2 < widths.len() {
                h.mapv_inplace(|v| value(sigma, v));
            }
        }
        h
    }

    /// Loss by definition, gradient by differences, minibatches by targets of their own, samples' losses by their mean; `f32` by `f64`.
    fn check(target: &FeedForward, expected: f64, of: impl Fn(&[usize]) -> FeedForward) {
        let (mut target, w) = (target.clone(), parameters(target));
        let row = ArrayView2::from_shape((1, w.len()), &w).expect("one row");
        let mut loss = [f64::NAN];
        target.loss(row, &mut loss);
        approx::assert_relative_eq!(loss[0], expected, max_relative = 1e-13);
        gradient_check(&mut target, &w);
        sample_losses_check(&mut target, &w);
        minibatch_check(&mut target, &w, of);
        let (mut single, mut own) = (target.clone().single_precision(), [f64::NAN]);
        let (mut a, mut b) = (Array2::zeros(row.dim()), Array2::zeros(row.dim()));
        target.loss_and_grad(row, Batch::Full, a.view_mut(), &mut loss);
        single.loss_and_grad(row, Batch::Full, b.view_mut(), &mut own);
        approx::assert_relative_eq!(loss[0], own[0], max_relative = 1e-5);
        let scale = a.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
        approx::assert_abs_diff_eq!(a, b, epsilon = 1e-5 * scale);
        assert!(scale > 0.01 && a != b && single.gradient_precision() > 1e-8);
    }

    #[test]
    fn perceptrons_agree_with_their_definition() {
        // blocks of samples that are full and not, widths that fill vectors and do not, one layer and more
        let shapes: [(usize, &[usize]); 6] = [
            (9, &[1, 1]),
            (9, &[3, 4]),
            (9, &[2, 5, 1]),
            (150, &[4, 17, 3]),
            (9, &[3, 16, 8, 2]),
            (270, &[2, 3, 20, 3, 5]),
        ];
        for (k, (n, widths)) in shapes.into_iter().enumerate() {
            for (i, loss) in LOSSES.into_iter().enumerate() {
                let (sigma, bias) = (SIGMAS[(i + k) % 5], (i + k) % 3 > 0);
                let n_outputs = widths[widths.len() - 1];
                if n_outputs == 1 && loss == Loss::CrossEntropy {
                    continue; // of one class nothing is to be learnt
                }
                let (x, y) = (wave(n, widths[0], 0.2), labels(n, n_outputs));
                let of = |x: &Array2<f64>, y: &Array2<f64>| {
                    FeedForward::new(widths, sigma, bias, loss, x.view(), y.view()).expect("fits")
                };
                let target = of(&x, &y);
                let f = outputs(widths, sigma, bias, &parameters(&target), &x);
                if f.iter().all(|f| *f == 0.0) {
                    panic!("a dead network tests nothing");
                }
                check(&target, by_definition(loss, &f, &y), |s| {
                    of(&x.select(Axis(0), s), &y.select(Axis(0), s))
                });
            }
        }
    }

    #[test]
    fn tied_autoencoders_agree_with_their_definition() {
        for (n, n_features, n_hidden) in [(9, 5, 2), (200, 8, 2), (9, 3, 20)] {
            let x = wave(n, n_features, 0.2).mapv(f64::abs);
            let of = |x: &Array2<f64>| {
                FeedForward::tied_autoencoder(n_hidden, Loss::MeanSquaredError, x.view(), x.view())
                    .expect("fits")
            };
            let (target, w) = (of(&x), parameters(&of(&x)));
            let (weight, bias) = w.split_at(n_features * n_hidden);
            let weight = ArrayView2::from_shape((n_hidden, n_features), weight).expect("W");
            let f = x.dot(&weight.t()).dot(&weight) + ndarray::ArrayView1::from(bias);
            let f = f.mapv(|v| v.max(0.0));
            check(
                &target,
                by_definition(Loss::MeanSquaredError, &f, &x),
                |s| of(&x.select(Axis(0), s)),
            );
        }
    }

    /// Tables and gathers are the products with one-hot inputs.
    #[test]
    fn embeddings_agree_with_their_definition() {
        for (p, width, n_hidden, sigma) in [
            (4, 2, 3, Activation::Gelu),
            (13, 12, 20, Activation::Gelu),
            (5, 3, 4, Activation::Quadratic),
            (5, 17, 4, Activation::Identity),
        ] {
            let all = p * p;
            let pairs: Vec<[u32; 2]> = (0..all).map(|i| [(i / p) as u32, (i % p) as u32]).collect();
            let y = Array2::from_shape_fn((all, p), |(i, c)| {
                f64::from(u8::from((i / p + i % p) % p == c))
            });
            let of = |pairs: &[[u32; 2]], y: &Array2<f64>| {
                FeedForward::embedding(
                    [p, width, n_hidden],
                    sigma,
                    Loss::CrossEntropy,
                    pairs,
                    y.view(),
                )
                .expect("fits")
            };
            let target = of(&pairs, &y);
            let w = parameters(&target);
            let mut at = 0;
            let mut take = |n_rows: usize, n_columns: usize| {
                let from = at;
                at += n_rows * n_columns;
                Array2::from_shape_vec((n_rows, n_columns), w[from..at].to_vec())
                    .expect("a parameter")
            };
            let e = take(p, width);
            let (right, r, left, l) = (
                take(width, n_hidden),
                take(1, n_hidden),
                take(width, n_hidden),
                take(1, n_hidden),
            );
            let readout = take(n_hidden, p);
            let one = |place: usize| {
                Array2::from_shape_fn((all, p), |(i, j)| {
                    f64::from(u8::from(pairs[i][place] as usize == j))
                })
            };
            let hidden = one(0).dot(&e).dot(&left) + &l + one(1).dot(&e).dot(&right) + &r;
            let f = hidden.mapv(|v| value(sigma, v)).dot(&readout);
            check(&target, by_definition(Loss::CrossEntropy, &f, &y), |s| {
                let pairs: Vec<_> = s.iter().map(|&i| pairs[i]).collect();
                of(&pairs, &y.select(Axis(0), s))
            });
        }
    }

    /// One unit of weight 1 on each of two inputs and the identity: outputs are inputs.
    #[test]
    fn outputs_and_accuracies() {
        let x = array![[1.0, -2.0], [3.0, 1.0], [0.5, 0.7], [-4.0, 3.0]];
        let y = array![[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
        let rows = array![[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]];
        for (loss, expected) in [
            (Loss::CrossEntropy, [0.75, 0.25]),
            (Loss::BinaryCrossEntropy, [0.75, 0.25]),
            (Loss::MeanSquaredError, [0.625, 0.375]),
        ] {
            let target = FeedForward::new(
                &[2, 2],
                Activation::Identity,
                false,
                loss,
                x.view(),
                y.view(),
            )
            .expect("fits");
            for mut target in [target.clone(), target.single_precision()] {
                let outputs = target.outputs(rows.view());
                let x = x.mapv(|v| f64::from(v as f32));
                approx::assert_abs_diff_eq!(outputs.index_axis(Axis(0), 0), x, epsilon = 1e-7);
                approx::assert_abs_diff_eq!(outputs[[1, 3, 0]], 3.0);
                assert_eq!(target.accuracy(rows.view()), expected, "{loss:?}");
            }
        }
    }

    #[test]
    fn bad_input_is_named() {
        let (x, y) = (wave(5, 3, 0.0), labels(5, 2));
        let message = |widths: &[usize], loss, x: &Array2<f64>, y: &Array2<f64>| {
            FeedForward::new(widths, Activation::Relu, true, loss, x.view(), y.view())
                .expect_err("refused")
                .to_string()
        };
        let mse = Loss::MeanSquaredError;
        assert!(message(&[3], mse, &x, &y).starts_with("widths are [3];"));
        assert!(message(&[3, 0, 2], mse, &x, &y).starts_with("widths are [3, 0, 2];"));
        assert_eq!(
            message(&[4, 2], mse, &x, &y),
            "inputs have shape (5, 3), expected (5, 4)"
        );
        assert_eq!(
            message(&[3, 2], mse, &x, &labels(4, 2)),
            "labels have shape (4, 2), expected (5, 2)"
        );
        assert_eq!(
            message(&[3, 2], mse, &wave(0, 3, 0.0), &labels(0, 2)),
            "there are no samples"
        );
        let nan = x.mapv(|v| if v > 0.9 { f64::NAN } else { v });
        assert_eq!(
            message(&[3, 2], mse, &nan, &y),
            "inputs hold a value that is not finite"
        );
        assert!(message(&[3, 2], Loss::CrossEntropy, &x, &(&y * 2.0)).contains("of sample 0"));
        let pairs = FeedForward::embedding(
            [3, 2, 2],
            Activation::Gelu,
            mse,
            &[[0, 1], [3, 0]],
            y.view(),
        );
        assert_eq!(
            pairs.expect_err("refused").to_string(),
            "pair 1 is [3, 0]; expected both below 3"
        );
        let tied = FeedForward::tied_autoencoder(0, mse, x.view(), x.view());
        assert!(matches!(tied, Err(FeedForwardError::Widths(_))));
    }
}
