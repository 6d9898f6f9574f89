//! The settings of an LLC estimate as an experiment's file states them.

use serde::{Deserialize, Serialize};

use crate::chains::{Plan, Schedule};
use crate::dynamics::{Dynamics, DynamicsError, Row};
use crate::kernel::{Kernel, KernelError};

/// How a local learning coefficient is sampled; a table of an experiment's TOML file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// How rows are moved; SGLD if left out.
    #[serde(default = "sgld", skip_serializing_if = "is_sgld")]
    pub kernel: Kernel,
    /// Step size ε: drift ε/2, noise variance ε.
    pub step_size: f64,
    /// Localisation strength γ.
    pub gamma: f64,
    /// Steps of a chain.
    pub n_steps: usize,
    /// Steps of a chain before its first draw.
    pub burn_in: usize,
    /// Steps from one draw to the next.
    pub thin: usize,
    /// Chains around each point.
    pub n_chains: usize,
    /// Samples in a step's gradient; all of them if left out.
    pub batch_size: Option<usize>,
    /// Seed of noise and minibatches.
    pub seed: u64,
}

fn sgld() -> Kernel {
    Kernel::Sgld
}

fn is_sgld(kernel: &Kernel) -> bool {
    *kernel == Kernel::Sgld
}

/// Why sampling settings are refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SamplingError {
    /// Step size, inverse temperature or localisation are impossible.
    #[error(transparent)]
    Dynamics(#[from] DynamicsError),
    /// The kernel's own settings are.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A count is zero.
    #[error("{name} is 0; expected at least 1")]
    Zero {
        /// The setting.
        name: &'static str,
    },
    /// No draw is left after burn-in.
    #[error(
        "burn_in is {burn_in}, and leaves no draw of the {n_steps} steps; expected less than n_steps"
    )]
    BurnIn {
        /// Steps before the first draw.
        burn_in: usize,
        /// Steps in all.
        n_steps: usize,
    },
    /// The minibatch is larger than the data set.
    #[error("batch_size is {batch_size}; expected at most the number of samples, {n_samples}")]
    BatchSize {
        /// Samples in a batch.
        batch_size: usize,
        /// Samples there are.
        n_samples: usize,
    },
    /// A Metropolis test on minibatches.
    #[error(
        "batch_size is {0}, but a Metropolis test needs the loss of all samples: leave it out, or take another kernel"
    )]
    MetropolisOnMinibatches(usize),
    /// Split R-hat needs draws enough in each half of a chain.
    #[error(
        "{n_draws} draws of a chain; expected at least 12: lower burn_in or thin, or raise n_steps"
    )]
    Draws {
        /// Draws of a chain.
        n_draws: usize,
    },
}

impl Sampling {
    /// What a row does at inverse temperature `nbeta`.
    ///
    /// # Errors
    /// [`DynamicsError`] names the setting that is impossible.
    pub fn dynamics(&self, nbeta: f64) -> Result<Dynamics, DynamicsError> {
        Dynamics::new(self.step_size, nbeta, self.gamma)
    }

    /// `n_rows` rows at inverse temperature `nbeta`, with streams from `from_stream` on.
    ///
    /// # Errors
    /// [`SamplingError::Dynamics`] names the setting that is impossible.
    pub fn rows(
        &self,
        nbeta: f64,
        from_stream: u64,
        n_rows: usize,
    ) -> Result<Vec<Row>, SamplingError> {
        Ok(Row::many(from_stream, n_rows, self.dynamics(nbeta)?))
    }

    /// The plan of an ensemble for a target of `n_samples`.
    ///
    /// # Errors
    /// [`SamplingError`] names the setting that no estimate can be made with.
    pub fn plan(&self, n_samples: usize) -> Result<Plan, SamplingError> {
        self.dynamics(1.0)?;
        self.kernel.check()?;
        for (name, value) in [
            ("thin", self.thin),
            ("n_chains", self.n_chains),
            ("n_steps", self.n_steps),
        ] {
            if value == 0 {
                return Err(SamplingError::Zero { name });
            }
        }
        if let Some(batch_size) = self.batch_size {
            if batch_size == 0 {
                return Err(SamplingError::Zero { name: "batch_size" });
            }
            if batch_size > n_samples {
                return Err(SamplingError::BatchSize {
                    batch_size,
                    n_samples,
                });
            }
            if self.kernel.is_metropolis() && batch_size < n_samples {
                return Err(SamplingError::MetropolisOnMinibatches(batch_size));
            }
        }
        if self.burn_in >= self.n_steps {
            return Err(SamplingError::BurnIn {
                burn_in: self.burn_in,
                n_steps: self.n_steps,
            });
        }
        let n_draws = (self.n_steps - self.burn_in).div_ceil(self.thin);
        if n_draws < 12 {
            return Err(SamplingError::Draws { n_draws });
        }
        Ok(Plan {
            kernel: self.kernel,
            schedule: Schedule {
                burn_in: self.burn_in,
                n_draws,
                thin: self.thin,
            },
            batch_size: self.batch_size,
            radius: None,
            seed: self.seed,
            keep_positions: false,
            n_threads: std::thread::available_parallelism().map_or(1, usize::from),
            block: 16,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Sampling = Sampling {
        kernel: Kernel::Sgld,
        step_size: 1e-3,
        gamma: 1.0,
        n_steps: 5000,
        burn_in: 1000,
        thin: 1,
        n_chains: 4,
        batch_size: None,
        seed: 1,
    };

    #[test]
    fn draws_are_the_states_after_burn_in() {
        let schedule = GOOD.plan(100).expect("valid").schedule;
        assert_eq!(
            (schedule.burn_in, schedule.n_draws, schedule.n_steps()),
            (1000, 4000, 4999)
        );
    }

    #[test]
    fn each_bad_setting_is_named() {
        let message = |settings: Sampling| settings.plan(100).expect_err("refused").to_string();
        assert!(
            message(Sampling {
                step_size: -1.0,
                ..GOOD
            })
            .contains("step_size is -1")
        );
        assert!(
            message(Sampling {
                step_size: f64::NAN,
                ..GOOD
            })
            .contains("step_size is NaN")
        );
        assert!(
            message(Sampling {
                gamma: f64::NAN,
                ..GOOD
            })
            .contains("gamma is NaN")
        );
        assert!(message(Sampling { thin: 0, ..GOOD }).contains("thin is 0"));
        assert!(
            message(Sampling {
                n_chains: 0,
                ..GOOD
            })
            .contains("n_chains is 0")
        );
        assert!(
            message(Sampling {
                burn_in: 5000,
                ..GOOD
            })
            .contains("burn_in is 5000")
        );
        assert!(
            message(Sampling {
                batch_size: Some(101),
                ..GOOD
            })
            .contains("batch_size is 101")
        );
        assert!(message(Sampling { thin: 1000, ..GOOD }).contains("4 draws"));
        let kernel = Kernel::MALA;
        let batch_size = Some(50);
        let mala = Sampling {
            kernel,
            batch_size,
            ..GOOD
        };
        assert!(message(mala).contains("batch_size is 50, but a Metropolis test"));
        let kernel = Kernel::Sghmc { friction: 2.0 };
        assert!(message(Sampling { kernel, ..GOOD }).contains("friction is 2"));
        let rows = GOOD.rows(f64::NAN, 0, 1).expect_err("refused").to_string();
        assert!(rows.contains("nbeta is NaN"));
    }
}
