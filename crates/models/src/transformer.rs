//! A small transformer encoder for pairs of numbers.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};
use slt_sampler::targets::Activation;
use slt_training::Init;

use crate::activation::activate;
use crate::inputs::{Input, Reads};
use crate::network::{Architecture, NetworkError, Parameter, Stored, positive};

/// Tokens of a sample.
const LENGTH: usize = 2;
/// What PyTorch's layer norm adds to the variance.
const EPSILON: f64 = 1e-5;

/// An embedding of both numbers of a pair, layers of PyTorch's `nn.TransformerEncoderLayer` (the norm after each sum, no dropout), the mean over
/// the two positions, and a linear readout without bias to `modulus` classes. There is no embedding of positions: `f(a, b) = f(b, a)`.
///
/// A row holds the parameters in the order of PyTorch's state dict: `embedding.weight`, `transformer_encoder.layers.0.self_attn.in_proj_weight`,
/// … , `linear_out.weight`. As PyTorch copies the first layer, all layers start with the same values.
///
/// Source: the code of Cullen et al. (2026), arXiv:2603.01192, which trains with PyTorch's dropout of 0.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transformer {
    /// Numbers that each of the pair can be, and classes.
    pub modulus: usize,
    /// Width of the stream.
    pub width: usize,
    /// Heads of attention; they divide the width.
    pub n_heads: usize,
    /// Layers.
    pub n_layers: usize,
    /// Hidden units of a layer's feed-forward part.
    pub n_feedforward: usize,
    /// The nonlinearity of the feed-forward part; PyTorch's default is ReLU, the source's GELU.
    pub activation: Activation,
}

impl Architecture for Transformer {
    fn check(&self) -> Result<(), NetworkError> {
        positive([
            ("modulus", self.modulus),
            ("width", self.width),
            ("n_heads", self.n_heads),
            ("n_layers", self.n_layers),
            ("n_feedforward", self.n_feedforward),
        ])?;
        match self.width.is_multiple_of(self.n_heads) {
            true => Ok(()),
            false => Err(NetworkError::Heads {
                n_heads: self.n_heads,
                width: self.width,
            }),
        }
    }

    fn reads(&self) -> Reads {
        Reads::Tokens {
            length: LENGTH,
            vocabulary: self.modulus,
        }
    }

    fn n_outputs(&self) -> usize {
        self.modulus
    }

    fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = vec![Parameter::embedding(
            "embedding",
            [self.modulus, self.width],
        )];
        parameters.extend(self.layer(0));
        for i in 1..self.n_layers {
            let copies = self.layer(i).into_iter().zip(1..);
            parameters.extend(copies.map(|(parameter, of)| Parameter {
                init: Init::Copy { of },
                ..parameter
            }));
        }
        let readout = [self.width, self.modulus];
        parameters.push(Parameter::weight("linear_out", readout));
        parameters
    }

    fn forward(&self, parameters: &[Tensor<3>], input: Input) -> Tensor<3> {
        let (embedding, readout) = (&parameters[0], &parameters[parameters.len() - 1]);
        let layers = &parameters[1..parameters.len() - 1];
        let tokens = input.tokens();
        let places = (0..LENGTH).map(|place| tokens.gather(embedding.clone(), place, 0));
        let x: Tensor<4> = Tensor::stack(places.collect(), 2);
        let [n_rows, n, _, width] = x.dims();
        let x = x.reshape([n_rows, n * LENGTH, width]);
        let x = layers
            .chunks_exact(layers.len() / self.n_layers)
            .fold(x, |x, layer| self.encode(x, layer));
        x.reshape([n_rows, n, LENGTH, width])
            .mean_dim(2)
            .reshape([n_rows, n, width])
            .matmul(readout.clone())
    }
}

impl Transformer {
    fn layer(&self, i: usize) -> Vec<Parameter> {
        let width = self.width;
        let module = |name: &str| format!("transformer_encoder.layers.{i}.{name}");
        let linear = |name, shape| {
            [
                Parameter::weight(&module(name), shape),
                Parameter::bias(&module(name), shape),
            ]
        };
        let constant = |name: &str, n, c| Parameter {
            name: module(name),
            shape: [1, n],
            stored: Stored::Vector,
            init: Init::Constant(c),
        };
        let norm = |name: &str| {
            [
                constant(&format!("{name}.weight"), width, 1.0),
                constant(&format!("{name}.bias"), width, 0.0),
            ]
        };
        let projection = Parameter {
            name: module("self_attn.in_proj_weight"),
            init: Init::Xavier {
                fan_in: width,
                fan_out: 3 * width,
            },
            ..Parameter::weight("", [width, 3 * width])
        };
        let mut parameters = vec![
            projection,
            constant("self_attn.in_proj_bias", 3 * width, 0.0),
            Parameter::weight(&module("self_attn.out_proj"), [width, width]),
            constant("self_attn.out_proj.bias", width, 0.0),
        ];
        parameters.extend(linear("linear1", [width, self.n_feedforward]));
        parameters.extend(linear("linear2", [self.n_feedforward, width]));
        parameters.extend(norm("norm1"));
        parameters.extend(norm("norm2"));
        parameters
    }

    /// One layer, on the positions of all samples one after the other.
    ///
    /// Shapes: `x`: `[n_rows, n LENGTH, width]`, as is what it returns.
    fn encode(&self, x: Tensor<3>, layer: &[Tensor<3>]) -> Tensor<3> {
        let [
            projection,
            projection_bias,
            out,
            out_bias,
            w1,
            b1,
            w2,
            b2,
            norms @ ..,
        ] = layer
        else {
            unreachable!("a layer has twelve parameters")
        };
        let affine = |x: Tensor<3>, w: &Tensor<3>, b: &Tensor<3>| x.matmul(w.clone()) + b.clone();
        let mixed = self.attend(affine(x.clone(), projection, projection_bias));
        let x = norm(x + affine(mixed, out, out_bias), &norms[0], &norms[1]);
        let hidden = activate(self.activation, affine(x.clone(), w1, b1));
        norm(x + affine(hidden, w2, b2), &norms[2], &norms[3])
    }

    /// Every position's mean of the values, weighted by the softmax of its query's products with the keys.
    ///
    /// Shapes: `projected`: `[n_rows, n LENGTH, 3 width]`, queries, keys and values; returns `[n_rows, n LENGTH, width]`.
    fn attend(&self, projected: Tensor<3>) -> Tensor<3> {
        let [n_rows, n, _] = projected.dims();
        let width = self.width / self.n_heads;
        // [n_rows n, n_heads, LENGTH, width of a head]
        let heads = |which: usize| -> Tensor<4> {
            projected
                .clone()
                .narrow(2, which * self.width, self.width)
                .reshape([n_rows * n / LENGTH, LENGTH, self.n_heads, width])
                .swap_dims(1, 2)
        };
        // burn's gradient of a division by a number rounds that number to f32
        let root = (width as f64).sqrt().recip();
        let scores = heads(0).matmul(heads(1).swap_dims(2, 3)) * root;
        softmax(scores, 3)
            .matmul(heads(2))
            .swap_dims(1, 2)
            .reshape([n_rows, n, self.width])
    }
}

/// `(x - mean)/sqrt(variance + EPSILON)` over the width, scaled and shifted.
fn norm(x: Tensor<3>, weight: &Tensor<3>, bias: &Tensor<3>) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    centred / (variance + EPSILON).sqrt() * weight.clone() + bias.clone()
}
