//! Networks, losses, tasks and tensor targets on burn.
//!
//! A [`Network`] names its parameters as PyTorch does, and is a function of an ensemble `[n_rows, d]` of flat parameter vectors, evaluated by
//! batched matrix products with the row as leading axis. With a [`Loss`] and data it is a [`NetworkTarget`], a [`slt_sampler::Target`], so
//! that chains and optimisers move its rows like those of any other. Devices are chosen at run time ([`DeviceKind`]): burn's own CPU backend by default, libtorch
//! on the CPU or a GPU behind the cargo feature `tch`.
//!
//! Never here: optimisers, figures, papers.

mod activation;
mod device;
mod embedding_mlp;
mod engine;
mod inputs;
mod loss;
mod mlp;
mod network;
mod parity;
mod polynomial;
mod quadratic_network;
mod resident;
mod state_dict;
mod target;
mod tied_autoencoder;
mod transformer;

pub use burn::tensor::Device;
pub use device::{DeviceError, DeviceKind, Precision};
pub use embedding_mlp::EmbeddingMlp;
pub use engine::Engine;
pub use inputs::Inputs;
pub use mlp::Mlp;
pub use network::{Network, NetworkError, Parameter, Stored};
pub use parity::{Parity, ParityError};
pub use polynomial::Polynomial;
pub use quadratic_network::QuadraticNetwork;
pub use slt_sampler::targets::{Activation, Loss};
pub use slt_training::Init;
pub use state_dict::StateDictMismatch;
pub use target::NetworkTarget;
pub use tied_autoencoder::TiedAutoencoder;
pub use transformer::Transformer;
