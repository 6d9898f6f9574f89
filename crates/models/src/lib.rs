//! Networks, losses, tasks, training and tensor targets on burn.
//!
//! A network is a function of an ensemble `[n_rows, d]` of flat parameter vectors, evaluated by batched matrix products
//! with the row as leading axis: [`MlpTarget`] is a [`slt_sampler::Target`], so chains and optimisers move its rows like
//! those of any other. [`train()`] trains all rows of an ensemble at once, leaves [`Checkpoint`]s and takes up where an
//! interrupted run left off. Devices are chosen at run time ([`DeviceKind`]): burn's own CPU backend by default, libtorch
//! on the CPU or a GPU behind the cargo feature `tch`.
//!
//! Never here: figures, papers.

mod checkpoint;
mod device;
mod init;
mod mlp;
mod optimiser;
mod parity;
mod train;

pub use burn::tensor::Device;
pub use checkpoint::{Checkpoint, CheckpointError};
pub use device::{DeviceError, DeviceKind, Precision};
pub use init::pytorch_linear;
pub use mlp::{Activation, Loss, MlpConfig, MlpError, MlpTarget};
pub use optimiser::{AdamW, Optimiser, OptimiserError, OptimiserState, Sgd};
pub use parity::{Parity, ParityError};
pub use train::{PlanError, TrainError, TrainPlan, Training, train};
