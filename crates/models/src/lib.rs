//! Networks, losses, tasks and tensor targets on burn.
//!
//! A network is a function of an ensemble `[n_rows, d]` of flat parameter vectors, evaluated by batched matrix products
//! with the row as leading axis: [`MlpTarget`] is a [`slt_sampler::Target`], so chains and optimisers move its rows like
//! those of any other. Devices are chosen at run time ([`DeviceKind`]): burn's own CPU backend by default, libtorch
//! on the CPU or a GPU behind the cargo feature `tch`.
//!
//! Never here: optimisers, figures, papers.

mod device;
mod mlp;
mod parity;

pub use burn::tensor::Device;
pub use device::{DeviceError, DeviceKind, Precision};
pub use mlp::{Activation, Loss, MlpConfig, MlpError, MlpTarget};
pub use parity::{Parity, ParityError};
