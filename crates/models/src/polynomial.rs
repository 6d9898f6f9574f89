//! Polynomial regression, a model that is linear in its parameters.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::inputs::{Input, Reads};
use crate::network::{Architecture, NetworkError, Parameter};

/// `f(x) = sum_i a_i x^i` for `i` from 0 to `degree`.
///
/// A row holds `a`, from the constant on. It starts as the weight of a linear layer on the powers, and has the name `linear.weight`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polynomial {
    /// The highest power.
    pub degree: usize,
}

impl Architecture for Polynomial {
    fn check(&self) -> Result<(), NetworkError> {
        Ok(())
    }

    fn reads(&self) -> Reads {
        Reads::Reals(1)
    }

    fn n_outputs(&self) -> usize {
        1
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::weight("linear", [self.degree + 1, 1])]
    }

    fn forward(&self, parameters: &[Tensor<3>], input: Input) -> Tensor<3> {
        // x^0 to x^(k-1) times x^k are the next k powers
        let mut next = input.reals();
        let mut powers = next.ones_like();
        while powers.dims()[2] <= self.degree {
            powers = Tensor::cat(vec![powers.clone(), powers * next.clone()], 2);
            next = next.square();
        }
        powers
            .narrow(2, 0, self.degree + 1)
            .matmul(parameters[0].clone())
    }
}
