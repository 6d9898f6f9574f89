//! The kernels: one step of every row.

use serde::{Deserialize, Serialize};

use crate::adaptive;
use crate::hmc;
use crate::sgld;
use crate::state::State;
use crate::target::{Batch, Target};
use crate::underdamped;

/// How rows are moved. All kernels share [`Dynamics`](crate::Dynamics), scales and the box of [`State`].
///
/// | kernel | samples | minibatches |
/// |---|---|---|
/// | [`Hmc`](Self::Hmc) (with one leapfrog step: MALA) | the density exactly | no |
/// | [`Sgld`](Self::Sgld) (on full batches: ULA) | it with a bias of the order of ε | yes |
/// | [`Sghmc`](Self::Sghmc), [`Sgnht`](Self::Sgnht) | likewise | yes |
/// | [`Adaptive`](Self::Adaptive) | no known density: the steps follow the path | yes |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Kernel {
    /// Stochastic gradient Langevin dynamics (Welling and Teh 2011):
    /// `w <- w - (ε/2) (nβ ∇L + γ (w - w*)) + √ε ξ`. With full batches this is the unadjusted Langevin algorithm (ULA).
    Sgld,
    /// SGLD whose steps are scaled by running moments of the gradient; see [`Adaptive`].
    Adaptive(Adaptive),
    /// Stochastic gradient Hamiltonian Monte Carlo (Chen, Fox and Guestrin 2014, arXiv:1402.4102v2, equation 15) with
    /// `η = ε/2`: `v <- (1 - α) v - η (nβ ∇L + γ (w - w*)) + √(2αη) ξ`, `w <- w + v`. `α = 1` is SGLD.
    Sghmc {
        /// α, in `(0, 1]`.
        friction: f64,
    },
    /// The stochastic gradient Nosé-Hoover thermostat (Ding et al. 2014, algorithm 2): SGHMC whose friction `α`, at first
    /// `friction`, follows `α <- α + |v|²/d - η`, and whose noise stays that of `friction`.
    ///
    /// It holds the temperature of the momenta, not that of the parameters, whose variance is low by a factor of about `1 - α/2`:
    /// on a quadratic loss with friction `α`, `E x² = E v² (2 - α)/(2ηa)`. The density is approached only if the friction goes to 0
    /// with `√ε`.
    Sgnht {
        /// The friction at the start, that of the noise; in `(0, 1]`.
        friction: f64,
    },
    /// Hamiltonian Monte Carlo (Neal 2011): leapfrog steps of length `√ε` (and up to 40 % less, at random, where there are
    /// several) with fresh momenta and a Metropolis
    /// test. One leapfrog step is the Metropolis-adjusted Langevin algorithm (MALA) at step size ε.
    Hmc {
        /// Leapfrog steps of a trajectory; at least 1.
        n_leapfrog: u32,
    },
}

/// Settings of an adaptive SGLD, all on the gradient `g` of the mean loss alone (not the pull to `w*`):
///
/// `v <- b v + (1 - b) g²`, `v̂ = v/(1 - b^t)` if corrected, `ε_i = ε/(√v̂_i + a)`, then an SGLD step of size `ε_i` in
/// parameter `i`, whose drift uses `m̂`, a running mean of `g`, where `first_decay > 0`. The steps depend on the path, without
/// the correction term of Patterson and Teh: the law is not that of the density, even for small ε. A *frozen* scale
/// ([`State::with_scale`]) has an exact target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adaptive {
    /// Decay of the running mean of the gradient, in `[0, 1)`; 0 for the gradient itself.
    pub first_decay: f64,
    /// Decay `b` of the running mean of its square, in `[0, 1)`.
    pub second_decay: f64,
    /// `a`, positive: the largest scale is `1/a`.
    pub stabiliser: f64,
    /// `v` before the first step.
    pub initial: f64,
    /// Whether `v` and `m` are divided by `1 - b^t`.
    pub bias_correction: bool,
}

impl Adaptive {
    /// RMSProp-SGLD of the published benchmark (Hitchcock and Hoogland 2025, arXiv:2507.21449): `b = 0.999`,
    /// `v₋₁ = 1`, corrected.
    pub const RMSPROP: Self = Self {
        first_decay: 0.0,
        second_decay: 0.999,
        stabiliser: 1e-8,
        initial: 1.0,
        bias_correction: true,
    };
    /// Adam-SGLD of the same benchmark: RMSProp-SGLD with `m̂`, decay 0.9, in the drift.
    pub const ADAM: Self = Self {
        first_decay: 0.9,
        ..Self::RMSPROP
    };
    /// RMSProp-SGLD as the Python library devinterp has it: `b = 0.99`, `a = 0.1`, `v₋₁ = 0`, not corrected.
    pub const DEVINTERP: Self = Self {
        first_decay: 0.0,
        second_decay: 0.99,
        stabiliser: 0.1,
        initial: 0.0,
        bias_correction: false,
    };
}

/// Why a kernel is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KernelError {
    /// The friction is not in `(0, 1]`.
    #[error("friction is {0}; expected more than 0 and at most 1")]
    Friction(f64),
    /// A trajectory has no step.
    #[error("n_leapfrog is 0; expected at least 1")]
    NoLeapfrog,
    /// A decay is not in `[0, 1)`.
    #[error("{name} is {value}; expected at least 0 and less than 1")]
    Decay {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// The stabiliser is not a positive number.
    #[error("stabiliser is {0}; expected a positive number")]
    Stabiliser(f64),
    /// The initial second moment is negative or not a number.
    #[error("initial is {0}; expected zero or a positive number")]
    Initial(f64),
}

impl Kernel {
    /// The Metropolis-adjusted Langevin algorithm: [`Kernel::Hmc`] with one leapfrog step.
    pub const MALA: Self = Self::Hmc { n_leapfrog: 1 };

    /// Whether a Metropolis test makes the density exact, for which the loss must be that of all samples.
    pub fn is_metropolis(&self) -> bool {
        matches!(self, Self::Hmc { .. })
    }

    /// Evaluations of the gradient in a step.
    pub fn n_gradients(&self) -> u64 {
        match self {
            Self::Hmc { n_leapfrog } => u64::from(*n_leapfrog),
            _ => 1,
        }
    }

    /// Whether the settings are possible.
    ///
    /// # Errors
    /// [`KernelError`] names the setting that is not.
    pub fn check(&self) -> Result<(), KernelError> {
        match *self {
            Self::Sgld => Ok(()),
            Self::Adaptive(adaptive) => {
                for (name, value) in [
                    ("first_decay", adaptive.first_decay),
                    ("second_decay", adaptive.second_decay),
                ] {
                    if !(0.0..1.0).contains(&value) {
                        return Err(KernelError::Decay { name, value });
                    }
                }
                if !(0.0 < adaptive.stabiliser && adaptive.stabiliser.is_finite()) {
                    return Err(KernelError::Stabiliser(adaptive.stabiliser));
                }
                if !(0.0 <= adaptive.initial && adaptive.initial.is_finite()) {
                    return Err(KernelError::Initial(adaptive.initial));
                }
                Ok(())
            }
            Self::Sghmc { friction } | Self::Sgnht { friction } => {
                if 0.0 < friction && friction <= 1.0 {
                    Ok(())
                } else {
                    Err(KernelError::Friction(friction))
                }
            }
            Self::Hmc { n_leapfrog: 0 } => Err(KernelError::NoLeapfrog),
            Self::Hmc { .. } => Ok(()),
        }
    }

    /// One step of every row; afterwards `state.loss` holds the losses over `batch` *before* the step.
    pub fn step<T: Target>(&self, target: &mut T, batch: Batch, state: &mut State) {
        match self {
            Self::Hmc { n_leapfrog } => hmc::step(*n_leapfrog, target, batch, state),
            _ => {
                target.loss_and_grad(
                    state.rows.view(),
                    batch,
                    state.grad.view_mut(),
                    &mut state.loss,
                );
                match self {
                    Self::Adaptive(adaptive) => adaptive::step(adaptive, state),
                    Self::Sghmc { friction } => underdamped::step(*friction, false, state),
                    Self::Sgnht { friction } => underdamped::step(*friction, true, state),
                    _ => sgld::step(state),
                }
            }
        }
        state.step += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_settings_are_named() {
        let message = |kernel: Kernel| kernel.check().expect_err("refused").to_string();
        for bad in [0.0, -0.1, 1.1, f64::NAN] {
            assert!(message(Kernel::Sghmc { friction: bad }).starts_with("friction is "));
            assert!(message(Kernel::Sgnht { friction: bad }).starts_with("friction is "));
        }
        assert!(message(Kernel::Hmc { n_leapfrog: 0 }).contains("n_leapfrog"));
        let adaptive = |f: fn(&mut Adaptive)| {
            let mut settings = Adaptive::ADAM;
            f(&mut settings);
            message(Kernel::Adaptive(settings))
        };
        assert!(adaptive(|a| a.first_decay = 1.0).starts_with("first_decay is 1"));
        assert!(adaptive(|a| a.second_decay = f64::NAN).starts_with("second_decay is NaN"));
        assert!(adaptive(|a| a.stabiliser = 0.0).starts_with("stabiliser is 0"));
        assert!(adaptive(|a| a.initial = -1.0).starts_with("initial is -1"));
        for good in [
            Kernel::Sgld,
            Kernel::MALA,
            Kernel::Sghmc { friction: 1.0 },
            Kernel::Sgnht { friction: 0.01 },
            Kernel::Adaptive(Adaptive::RMSPROP),
            Kernel::Adaptive(Adaptive::ADAM),
            Kernel::Adaptive(Adaptive::DEVINTERP),
        ] {
            assert_eq!(good.check(), Ok(()));
        }
    }
}
