//! The network for modular addition of Panickssery and Vaintrob: a shared embedding, one layer for each of the pair, their sum.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use slt_sampler::targets::Activation;

use crate::activation::activate;
use crate::inputs::{Input, Reads};
use crate::network::{Architecture, NetworkError, Parameter, positive};

/// `f(a, b) = U σ(L E_a + l + R E_b + r)` with an embedding `E`, two linear layers with biases and a linear readout without.
///
/// A row holds the parameters in the order of PyTorch's state dict: `embedding.weight`, then weight and bias of `linear1r` (which reads `b`)
/// and of `linear1l` (which reads `a`), then `linear2.weight`.
///
/// Source: Panickssery and Vaintrob (2023), "Investigating the learning coefficient of modular addition: hackathon project", and their code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingMlp {
    /// Numbers that each of the pair can be, and classes.
    pub modulus: usize,
    /// Width of the embedding.
    pub width: usize,
    /// Hidden units.
    pub n_hidden: usize,
    /// The nonlinearity; GELU or quadratic in the source.
    pub activation: Activation,
}

impl Architecture for EmbeddingMlp {
    fn check(&self) -> Result<(), NetworkError> {
        positive([
            ("modulus", self.modulus),
            ("width", self.width),
            ("n_hidden", self.n_hidden),
        ])
    }

    fn reads(&self) -> Reads {
        Reads::Tokens {
            length: 2,
            vocabulary: self.modulus,
        }
    }

    fn n_outputs(&self) -> usize {
        self.modulus
    }

    fn parameters(&self) -> Vec<Parameter> {
        let layer = [self.width, self.n_hidden];
        vec![
            Parameter::embedding("embedding", [self.modulus, self.width]),
            Parameter::weight("linear1r", layer),
            Parameter::bias("linear1r", layer),
            Parameter::weight("linear1l", layer),
            Parameter::bias("linear1l", layer),
            Parameter::weight("linear2", [self.n_hidden, self.modulus]),
        ]
    }

    fn forward(&self, parameters: &[Tensor<3>], input: Input) -> Tensor<3> {
        let [embedding, right, right_bias, left, left_bias, readout] = parameters else {
            unreachable!("there are six parameters")
        };
        let pairs = input.tokens();
        // a layer is applied to the table, which is shorter than a batch, and its rows are gathered
        let table = |weight: &Tensor<3>| embedding.clone().matmul(weight.clone());
        let a = pairs.gather(table(left), 0, 0) + left_bias.clone();
        let b = pairs.gather(table(right), 1, 0) + right_bias.clone();
        activate(self.activation, a + b).matmul(readout.clone())
    }
}
