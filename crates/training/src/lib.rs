//! Training of an ensemble's rows on any [`slt_sampler::Target`].
//!
//! [`train()`] trains all rows at once (seeds, say), leaves [`Checkpoint`]s and takes up where an interrupted run left off. An
//! [`Optimiser`] is PyTorch's of the same name, step by step.
//!
//! Never here: networks, burn, papers.

mod checkpoint;
mod init;
mod optimiser;
mod train;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use init::{pytorch_embedding, pytorch_linear, xavier_uniform};
pub use optimiser::{Adam, Optimiser, OptimiserError, OptimiserState, Sgd};
pub use train::{PlanError, TrainError, TrainPlan, Training, train};
