//! Kernels, chains and estimators of the local learning coefficient (LLC).
//!
//! The one idea: whatever another program loops over (chains, seeds, checkpoints) is a *row* of an ensemble `[n_rows, d]`.
//! A [`Target`] evaluates the mean loss of all rows and its gradient, a [`Kernel`] moves all rows, [`chains::run`]
//! splits them over threads, and [`Llc`] turns the losses of the draws into an estimate with its standard error. A row's
//! numbers depend on its own address (seed, stream) alone.
//!
//! Parameters are `f64` on the host: a tensor target sees a copy in its own precision, and steps far below `f32`'s
//! resolution still add up. A target that computes on a GPU may keep rows there ([`Residence`]), as distances from their anchors.
//!
//! Never here: burn, files, clocks, a global random number generator.

mod adaptive;
mod annealing;
mod calibrate;
pub mod chains;
mod conditional;
mod control_variates;
mod dynamics;
mod estimate;
mod harmonic;
mod hessian;
mod hmc;
mod kernel;
mod lanczos;
mod llc;
mod localisation;
mod minibatch;
mod minimum;
mod noise;
mod path;
mod plateau;
mod populations;
mod quadratic_prediction;
mod resident;
mod restricted;
mod sampling;
mod scaling;
mod sgld;
mod spectrum;
mod state;
mod stationarity;
pub mod stream;
mod summary;
mod target;
pub mod targets;
mod thermodynamic;
mod underdamped;
mod volume;
mod waic;

pub use annealing::Stuck;
pub use calibrate::{CalibrateError, Calibrated, Request, calibrate};
pub use chains::{Draws, Ensemble, Observable, Observe, Plan, RunError, Schedule, mask};
pub use dynamics::{Dynamics, DynamicsError, Row, default_nbeta};
pub use estimate::{Estimates, Points, estimate};
pub use harmonic::{Harmonic, HarmonicError};
pub use hessian::{HessianError, hessian, spectrum};
pub use kernel::{Adaptive, Kernel, KernelError};
pub use lanczos::{Gauss, LanczosError, Nodes, Ritz, Tridiagonal, lanczos};
pub use llc::{AnharmonicPart, Llc, LlcError, Verdict, running_llc};
pub use localisation::{Unlocalised, natural_gamma, unlocalised};
pub use minibatch::Minibatches;
pub use minimum::{Minimum, MinimumError, find_minimum};
pub use noise::{RowNoise, fill as fill_normals};
pub use path::{Path, PathError, StringPlan};
pub use plateau::{Plateau, PlateauCell, plateau};
pub use populations::{Cooled, PopulationError, Populations, populations};
pub use quadratic_prediction::{
    QuadraticPrediction, QuadraticPredictionError, quadratic_chain_mean,
};
pub use resident::{Arrival, Residence, Residents, Seen};
pub use restricted::Restricted;
pub use sampling::{Sampling, SamplingError};
pub use scaling::{Scaling, ScalingError, ScalingRequest, estimate_scaling};
pub use spectrum::{Probes, SpectralSum, Spectrum, SpectrumError};
pub use state::State;
pub use stationarity::{Slope, Stationarity};
pub use summary::Summary;
pub use target::{Batch, SampleLosses, Target};
pub use thermodynamic::{
    FreeEnergyDifference, LadderError, Rung, free_energy_curve, free_energy_difference, rungs, wbic,
};
pub use volume::{Splitting, VolumeError, log_volumes, population_log_volumes};
pub use waic::{Waic, covariances};

/// The README's example runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
