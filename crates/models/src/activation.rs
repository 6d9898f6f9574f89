//! The nonlinearities of networks on tensors.

use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, relu, tanh};
use slt_sampler::targets::Activation;

pub(crate) fn activate<const D: usize>(activation: Activation, x: Tensor<D>) -> Tensor<D> {
    match activation {
        Activation::Relu => relu(x),
        Activation::Tanh => tanh(x),
        Activation::Gelu => gelu(x),
        Activation::Quadratic => x.square(),
        Activation::Identity => x,
    }
}
