//! Autoencoders with tied weights: toy models of superposition.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use serde::{Deserialize, Serialize};
use slt_training::Init;

use crate::inputs::{Input, Reads};
use crate::network::{Architecture, NetworkError, Parameter, Stored, positive};

/// `f(x) = ReLU(W^T W x + b)` with `W` of `n_hidden` rows and `n_features` columns.
///
/// A row holds `W`, row-major, then `b`. PyTorch's names are `embedding.weight` and `unembedding.bias`, those of a linear layer to the hidden
/// units without bias and one back, the weight of which is the transpose of the first.
///
/// Source: Chen et al. (2023), arXiv:2310.06301, section 3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TiedAutoencoder {
    /// Inputs, and outputs.
    pub n_features: usize,
    /// Hidden units.
    pub n_hidden: usize,
}

impl Architecture for TiedAutoencoder {
    fn check(&self) -> Result<(), NetworkError> {
        positive([("n_features", self.n_features), ("n_hidden", self.n_hidden)])
    }

    fn reads(&self) -> Reads {
        Reads::Reals(self.n_features)
    }

    fn n_outputs(&self) -> usize {
        self.n_features
    }

    fn parameters(&self) -> Vec<Parameter> {
        let weight = Parameter {
            name: "embedding.weight".to_owned(),
            shape: [self.n_hidden, self.n_features],
            stored: Stored::Matrix,
            init: Init::Linear {
                fan_in: self.n_features,
            },
        };
        let bias = Parameter::bias("unembedding", [self.n_hidden, self.n_features]);
        vec![weight, bias]
    }

    fn forward(&self, parameters: &[Tensor<3>], input: Input) -> Tensor<3> {
        let [weight, bias] = parameters else {
            unreachable!("there are two parameters")
        };
        let hidden = input.reals().matmul(weight.clone().swap_dims(1, 2));
        relu(hidden.matmul(weight.clone()) + bias.clone())
    }
}
