//! Slow statistical and end-to-end tests live in `tests/`; here is what they share.

mod last_layer;
mod minibatch_law;
mod planted_defect;
mod replicates;
mod rotation;
mod stress;

pub use last_layer::LastLayer;
pub use minibatch_law::minibatch_mean;
pub use planted_defect::PlantedDefect;
pub use replicates::{Experiment, richardson, z_test};
pub use rotation::rotated;
pub use stress::stress_seed;

/// The example of the README, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
