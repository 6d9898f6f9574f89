//! What every network is: named parameters that lie in a row, their initial values, and outputs for all rows at once.

use std::ops::Range;

use burn::tensor::Tensor;
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use slt_sampler::targets::LabelError;
use slt_training::{Init, initial_rows};

use crate::embedding_mlp::EmbeddingMlp;
use crate::inputs::{Input, Reads};
use crate::mlp::Mlp;
use crate::polynomial::Polynomial;
use crate::quadratic_network::QuadraticNetwork;
use crate::tied_autoencoder::TiedAutoencoder;
use crate::transformer::Transformer;

/// A network, by its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Network {
    /// A multilayer perceptron.
    Mlp(Mlp),
    /// A quadratic network on pairs of numbers.
    QuadraticNetwork(QuadraticNetwork),
    /// The network of Panickssery and Vaintrob on pairs of numbers.
    EmbeddingMlp(EmbeddingMlp),
    /// An autoencoder with tied weights.
    TiedAutoencoder(TiedAutoencoder),
    /// A polynomial.
    Polynomial(Polynomial),
    /// A small transformer on pairs of numbers.
    Transformer(Transformer),
}

/// What a file of a network must say of it; the rest is written once, here and in `target.rs`.
pub(crate) trait Architecture {
    /// Refuses settings that are no network.
    fn check(&self) -> Result<(), NetworkError>;

    /// Inputs of a sample.
    fn reads(&self) -> Reads;

    /// Outputs of a sample.
    fn n_outputs(&self) -> usize;

    /// The parameters in the order in which they lie in a row.
    fn parameters(&self) -> Vec<Parameter>;

    /// Outputs `[n_rows, n, n_outputs]`.
    ///
    /// Shapes: `parameters`: one `[n_rows, rows, columns]` for each of [`Self::parameters`], in their order.
    fn forward(&self, parameters: &[Tensor<3>], input: Input) -> Tensor<3>;
}

/// A parameter of a network: a matrix, row-major, or a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The name in PyTorch's state dict.
    pub name: String,
    /// Its shape in a row of an ensemble, `[1, n]` for a vector.
    pub shape: [usize; 2],
    /// How PyTorch stores it.
    pub stored: Stored,
    /// How it starts.
    pub init: Init,
}

/// How PyTorch's state dict stores a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// As a row does.
    Matrix,
    /// Transposed: `[n_out, n_in]` where a row has `[n_in, n_out]`.
    Transposed,
    /// As a vector, shape `[n]`.
    Vector,
}

/// Why a network or its target cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// Fewer than two widths, or a width of zero.
    #[error("widths are {0:?}; expected at least an input and an output width, all positive")]
    Widths(Vec<usize>),
    /// A setting is zero.
    #[error("{name} is 0; expected at least 1")]
    Zero {
        /// The setting.
        name: &'static str,
    },
    /// Heads do not share the width.
    #[error("{n_heads} heads do not divide a width of {width}")]
    Heads {
        /// Heads of attention.
        n_heads: usize,
        /// Width of the stream.
        width: usize,
    },
    /// Tokens for a network that reads numbers, or the other way round.
    #[error("the network reads {expected}, the data are {got}")]
    Reads {
        /// What the network reads.
        expected: &'static str,
        /// What the data are.
        got: &'static str,
    },
    /// The data do not fit the network.
    #[error("{what} of the data has {got} {axis}; expected {expected}")]
    Shape {
        /// Inputs or outputs.
        what: &'static str,
        /// Rows or columns.
        axis: &'static str,
        /// Given.
        got: usize,
        /// Needed.
        expected: usize,
    },
    /// There are no samples.
    #[error("there are no samples")]
    NoSamples,
    /// A token is not in the vocabulary.
    #[error("sample {sample} holds the token {got}; expected one below {vocabulary}")]
    Token {
        /// Which sample.
        sample: usize,
        /// Its token.
        got: u32,
        /// Number of tokens there are.
        vocabulary: usize,
    },
    /// A label is none for this loss.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// A number is not finite.
    #[error("the data hold a value that is not finite")]
    NotFinite,
}

impl Parameter {
    /// A matrix `[n_in, n_out]` that PyTorch's `nn.Linear` stores as `[n_out, n_in]`.
    pub(crate) fn weight(module: &str, [fan_in, fan_out]: [usize; 2]) -> Self {
        Self {
            name: format!("{module}.weight"),
            shape: [fan_in, fan_out],
            stored: Stored::Transposed,
            init: Init::Linear { fan_in },
        }
    }

    /// The bias of an `nn.Linear`, shape `[1, n_out]`.
    pub(crate) fn bias(module: &str, [fan_in, fan_out]: [usize; 2]) -> Self {
        Self {
            name: format!("{module}.bias"),
            shape: [1, fan_out],
            stored: Stored::Vector,
            init: Init::Linear { fan_in },
        }
    }

    /// The table of an `nn.Embedding`, shape `[n_tokens, width]`.
    pub(crate) fn embedding(module: &str, shape: [usize; 2]) -> Self {
        Self {
            name: format!("{module}.weight"),
            shape,
            stored: Stored::Matrix,
            init: Init::Embedding,
        }
    }

    fn module(&self) -> &str {
        self.name.rsplit_once('.').map_or("", |(module, _)| module)
    }
}

/// Where each parameter lies in a row, and its shape there.
pub(crate) fn segments(parameters: &[Parameter]) -> Vec<(Range<usize>, [usize; 2])> {
    let mut at = 0;
    let segment = |parameter: &Parameter| {
        let from = at;
        at += parameter.shape[0] * parameter.shape[1];
        (from..at, parameter.shape)
    };
    parameters.iter().map(segment).collect()
}

impl Network {
    pub(crate) fn architecture(&self) -> &dyn Architecture {
        match self {
            Self::Mlp(network) => network,
            Self::QuadraticNetwork(network) => network,
            Self::EmbeddingMlp(network) => network,
            Self::TiedAutoencoder(network) => network,
            Self::Polynomial(network) => network,
            Self::Transformer(network) => network,
        }
    }

    /// Refuses settings that are no network.
    ///
    /// # Errors
    /// [`NetworkError`] names the setting.
    pub fn check(&self) -> Result<(), NetworkError> {
        self.architecture().check()
    }

    /// The parameters in the order in which they lie in a row.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.architecture().parameters()
    }

    /// Number of parameters, `d`.
    pub fn n_params(&self) -> usize {
        let size = |parameter: &Parameter| parameter.shape[0] * parameter.shape[1];
        self.parameters().iter().map(size).sum()
    }

    /// Initial parameters by PyTorch's defaults, row `i` from the stream `streams[i]`; each module has a generator of its own.
    ///
    /// Shapes: returns `[n_rows, d]`.
    pub fn init(&self, seed: u64, streams: &[u64]) -> Array2<f64> {
        let parameters = self.parameters();
        let initial = |p: &Parameter| (p.module().to_owned(), p.shape[0] * p.shape[1], p.init);
        let initial: Vec<_> = parameters.iter().map(initial).collect();
        initial_rows(&initial, seed, streams)
    }
}

macro_rules! networks {
    ($($network:ident),*) => {$(
        impl From<$network> for Network {
            fn from(network: $network) -> Self {
                Self::$network(network)
            }
        }
    )*};
}

networks!(
    Mlp,
    QuadraticNetwork,
    EmbeddingMlp,
    TiedAutoencoder,
    Polynomial,
    Transformer
);

/// Refuses a setting of zero.
pub(crate) fn positive<const N: usize>(
    settings: [(&'static str, usize); N],
) -> Result<(), NetworkError> {
    match settings.into_iter().find(|&(_, value)| value == 0) {
        Some((name, _)) => Err(NetworkError::Zero { name }),
        None => Ok(()),
    }
}
