//! Training of an ensemble's rows on any [`slt_sampler::Target`].
//!
//! [`train()`] trains all rows at once (seeds, say), leaves [`Checkpoint`]s and takes up where an interrupted run left off. An
//! [`Optimiser`] is PyTorch's of the same name, step by step. A [`StateDict`] holds the parameters of one network as PyTorch names them.
//!
//! Never here: networks, burn, papers.

mod checkpoint;
mod init;
mod optimiser;
mod state_dict;
mod train;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use init::{Init, initial_rows, pytorch_embedding, pytorch_linear, xavier_uniform};
pub use optimiser::{Adam, Optimiser, OptimiserError, OptimiserState, Sgd};
pub use state_dict::{StateDict, StateDictError};
pub use train::{PlanError, TrainError, TrainPlan, Training, train};
