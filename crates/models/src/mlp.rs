//! Multilayer perceptrons: also linear networks (activation `identity`) and autoencoders (labels that are the inputs).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use slt_sampler::targets::Activation;

use crate::activation::activate;
use crate::inputs::{Input, Reads};
use crate::network::{Architecture, NetworkError, Parameter};

/// A multilayer perceptron.
///
/// A row of parameters holds, layer by layer, the weight `[fan_in, fan_out]` in row-major order, then the bias `[fan_out]`. PyTorch's names are
/// `layers.0.weight`, `layers.0.bias`, `layers.1.weight`, …
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mlp {
    /// Widths from input to output.
    pub widths: Vec<usize>,
    /// The nonlinearity after every layer but the last.
    pub activation: Activation,
    /// Whether layers have biases; they do if left out, and records that do not say so were made with them.
    #[serde(default = "with_bias", skip_serializing_if = "is_with_bias")]
    pub bias: bool,
}

fn with_bias() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_with_bias(bias: &bool) -> bool {
    *bias
}

impl Architecture for Mlp {
    fn check(&self) -> Result<(), NetworkError> {
        match self.widths.len() < 2 || self.widths.contains(&0) {
            true => Err(NetworkError::Widths(self.widths.clone())),
            false => Ok(()),
        }
    }

    fn reads(&self) -> Reads {
        Reads::Reals(self.widths[0])
    }

    fn n_outputs(&self) -> usize {
        self.widths[self.widths.len() - 1]
    }

    fn parameters(&self) -> Vec<Parameter> {
        let layer = |(i, w): (usize, &[usize])| {
            let (module, shape) = (format!("layers.{i}"), [w[0], w[1]]);
            let bias = self.bias.then(|| Parameter::bias(&module, shape));
            std::iter::once(Parameter::weight(&module, shape)).chain(bias)
        };
        self.widths.windows(2).enumerate().flat_map(layer).collect()
    }

    fn forward(&self, parameters: &[Tensor<3>], input: Input) -> Tensor<3> {
        let layers = parameters.chunks_exact(if self.bias { 2 } else { 1 });
        let n_layers = layers.len();
        layers.enumerate().fold(input.reals(), |h, (i, layer)| {
            let h = h.matmul(layer[0].clone());
            let h = match layer.get(1) {
                Some(bias) => h + bias.clone(),
                None => h,
            };
            match i + 1 == n_layers {
                true => h,
                false => activate(self.activation, h),
            }
        })
    }
}
