//! The nonlinearities of networks.

use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, relu, tanh};
use serde::{Deserialize, Serialize};

/// The nonlinearity between layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// The hyperbolic tangent.
    Tanh,
    /// `x Φ(x)` with the normal law's exact `Φ`, PyTorch's default, not its approximation by a hyperbolic tangent.
    Gelu,
    /// `x^2`.
    Quadratic,
    /// `x`: the network is linear.
    Identity,
}

impl Activation {
    pub(crate) fn of<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Relu => relu(x),
            Self::Tanh => tanh(x),
            Self::Gelu => gelu(x),
            Self::Quadratic => x.square(),
            Self::Identity => x,
        }
    }
}
