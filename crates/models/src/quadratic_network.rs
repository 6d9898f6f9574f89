//! Quadratic networks for pairs of numbers, `f_c = sum_k V_ck (w_k . x)^2` with `x = (e_a, e_b)`.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use slt_training::Init;

use crate::inputs::{Input, Reads};
use crate::network::{Architecture, NetworkError, Parameter, Stored, positive};

/// A quadratic network without biases, with one-hot pairs as inputs; its output has `modulus` classes.
///
/// A row holds `W`, shape `[2 modulus, n_hidden]`, then `V`, shape `[modulus, n_hidden]`, both row-major: that of the host target
/// `slt_sampler::targets::QuadraticNetwork`, which is the faster one on a CPU. PyTorch's names are `W.weight` and `V.weight`.
///
/// For inputs that are no pairs, take an [`Mlp`](crate::Mlp) with the quadratic activation.
///
/// Source: Cullen et al. (2026), arXiv:2603.01192v3, section 3, and their code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuadraticNetwork {
    /// Numbers that each of the pair can be, and classes.
    pub modulus: usize,
    /// Hidden units.
    pub n_hidden: usize,
}

impl Architecture for QuadraticNetwork {
    fn check(&self) -> Result<(), NetworkError> {
        positive([("modulus", self.modulus), ("n_hidden", self.n_hidden)])
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
        let outer = Parameter {
            name: "V.weight".to_owned(),
            shape: [self.modulus, self.n_hidden],
            stored: Stored::Matrix,
            init: Init::Linear {
                fan_in: self.n_hidden,
            },
        };
        vec![
            Parameter::weight("W", [2 * self.modulus, self.n_hidden]),
            outer,
        ]
    }

    fn forward(&self, parameters: &[Tensor<3>], input: Input) -> Tensor<3> {
        let [inner, outer] = parameters else {
            unreachable!("there are two parameters")
        };
        let pairs = input.tokens();
        let (a, b) = (
            pairs.gather(inner.clone(), 0, 0),
            pairs.gather(inner.clone(), 1, self.modulus),
        );
        (a + b).square().matmul(outer.clone().swap_dims(1, 2))
    }
}
