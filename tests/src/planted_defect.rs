//! SGLD written out plainly, with a defect on purpose: what a test of the kernel must reject.

use ndarray::{Array2, Axis};
use slt_sampler::{Batch, RowNoise, Target};

use crate::Experiment;

/// Factors on the parts of the update `w ← w − (ε/2)(nβ∇L + γ(w − w*)) + √ε ξ`; the right kernel has all of them 1.
#[derive(Debug, Clone, Copy)]
pub struct PlantedDefect {
    /// Factor on the noise.
    pub noise: f64,
    /// Factor on the whole drift.
    pub drift: f64,
    /// Factor on nβ, in the kernel alone.
    pub nbeta: f64,
    /// Factor on γ.
    pub gamma: f64,
}

impl PlantedDefect {
    /// No defect.
    pub const NONE: Self = Self {
        noise: 1.0,
        drift: 1.0,
        nbeta: 1.0,
        gamma: 1.0,
    };

    /// What [`Experiment::replicates`] returns, from this kernel with the step size and γ given.
    ///
    /// Shapes: returns `[n_chains]`.
    pub fn replicates<T: Target + Clone>(
        &self,
        experiment: &Experiment,
        step_size: f64,
        gamma: f64,
        target: &mut T,
        seed: u64,
    ) -> Vec<f64> {
        let Experiment {
            dynamics,
            anchor,
            schedule,
            n_chains,
            ..
        } = *experiment;
        let d = anchor.len();
        let initial = experiment.initial_loss(target);
        let chain = |stream: usize| {
            let mut w = anchor.to_owned().insert_axis(Axis(0));
            let (mut grad, mut loss) = (Array2::zeros((1, d)), [f64::NAN]);
            let mut noise = RowNoise::new(seed, stream as u64, d);
            let mut sum = 0.0;
            for step in 0..=schedule.n_steps() {
                target.loss_and_grad(w.view(), Batch::Full, grad.view_mut(), &mut loss);
                if step >= schedule.burn_in {
                    assert_eq!(schedule.thin, 1, "every state after burn-in is a draw");
                    sum += dynamics.nbeta() * (loss[0] - initial);
                }
                noise.for_step(step as u64, |at, normals| {
                    for (i, xi) in (at..).zip(normals) {
                        let pull = self.nbeta * dynamics.nbeta() * grad[[0, i]]
                            + self.gamma * gamma * (w[[0, i]] - anchor[i]);
                        w[[0, i]] += self.noise * step_size.sqrt() * f64::from(*xi)
                            - 0.5 * self.drift * step_size * pull;
                    }
                });
            }
            sum / schedule.n_draws as f64
        };
        (0..n_chains).map(chain).collect()
    }
}
