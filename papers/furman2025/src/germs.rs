//! Losses whose learning coefficient is known, and of most of them the whole law.

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};
use slt_sampler::targets::{DeepLinear, NormalCrossing, Radial};
use slt_sampler::{Batch, Target};
use slt_theory::{
    FiniteLaw, LearningCoefficient, ReducedRank, TanhNetwork, radial_product_law,
    radial_product_log_volume, reduced_rank_law,
};

use crate::models::{Kind, Model};

/// A loss `K(w)` with its minimum at the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Germ {
    Regular,
    Quartic,
    Crossing,
    Uneven,
    Triple,
    RankOne,
    ReducedRank,
    Tanh,
}

impl Germ {
    pub const ALL: [Self; 8] = [
        Self::Regular,
        Self::Quartic,
        Self::Crossing,
        Self::Uneven,
        Self::Triple,
        Self::RankOne,
        Self::ReducedRank,
        Self::Tanh,
    ];

    pub fn id(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Quartic => "quartic",
            Self::Crossing => "crossing",
            Self::Uneven => "uneven",
            Self::Triple => "triple",
            Self::RankOne => "rank-one",
            Self::ReducedRank => "reduced-rank",
            Self::Tanh => "tanh",
        }
    }

    pub fn formula(self) -> &'static str {
        match self {
            Self::Regular => "½|w|², 4 parameters",
            Self::Quartic => "w⁴",
            Self::Crossing => "w₁²w₂²",
            Self::Uneven => "w₁²w₂⁴",
            Self::Triple => "w₁²w₂²w₃²",
            Self::RankOne => "½|BA|², 3-1-2",
            Self::ReducedRank => "½|BA|², 2-2-2",
            Self::Tanh => "two tanh units",
        }
    }

    /// K as `factor ∏ (|w_i|²)^(k_i)`, `w_i ∈ R^(d_i)`: the factor and the pairs (d_i, k_i), where it is one.
    fn product(self) -> Option<(f64, &'static [(u32, u32)])> {
        match self {
            Self::Regular => Some((0.5, &[(4, 1)])),
            Self::Quartic => Some((1.0, &[(1, 2)])),
            Self::Crossing => Some((1.0, &[(1, 1), (1, 1)])),
            Self::Uneven => Some((1.0, &[(1, 1), (1, 2)])),
            Self::Triple => Some((1.0, &[(1, 1), (1, 1), (1, 1)])),
            Self::RankOne => Some((0.5, &[(3, 1), (2, 1)])),
            Self::ReducedRank | Self::Tanh => None,
        }
    }

    /// λ and m.
    pub fn truth(self) -> anyhow::Result<LearningCoefficient> {
        Ok(match self.product() {
            Some((factor, blocks)) => {
                radial_product_law(factor, blocks, 1.0, 1.0)?.learning_coefficient()
            }
            None if self == Self::ReducedRank => {
                ReducedRank::new(2, 2, 2, 0)?.learning_coefficient()
            }
            None => TanhNetwork::new(1, 2, 0)?.learning_coefficient(),
        })
    }

    /// The exact law at `nbeta`, where it is known.
    pub fn law(self, nbeta: f64, gamma: f64) -> anyhow::Result<Option<FiniteLaw>> {
        Ok(match self.product() {
            Some((factor, blocks)) => Some(radial_product_law(factor, blocks, nbeta, gamma)?),
            None if self == Self::ReducedRank => Some(reduced_rank_law(2, 2, 2, nbeta, gamma)?),
            None => None,
        })
    }

    /// The exact `log V(ε)`, where it is known.
    pub fn log_volume(self, epsilon: f64, gamma: f64) -> anyhow::Result<Option<f64>> {
        Ok(match self.product() {
            Some((factor, blocks)) => {
                Some(radial_product_log_volume(factor, blocks, epsilon, gamma)?)
            }
            None => None,
        })
    }

    pub fn target(self) -> anyhow::Result<GermTarget> {
        let linear = |widths: &[usize]| {
            let (n_inputs, n_outputs) = (widths[0], widths[2]);
            let teacher = Array2::zeros((n_outputs, n_inputs));
            DeepLinear::from_moments(widths, Array2::eye(n_inputs).view(), teacher.view(), 0.5, 1)
        };
        let crossing = |k: &[u32]| GermTarget::Crossing(NormalCrossing::new(1.0, k, 1));
        Ok(match self {
            Self::Regular => GermTarget::Radial(Radial::new(0.5, 1, 4, 1)),
            Self::Quartic => crossing(&[2]),
            Self::Crossing => crossing(&[1, 1]),
            Self::Uneven => crossing(&[1, 2]),
            Self::Triple => crossing(&[1, 1, 1]),
            Self::RankOne => GermTarget::Linear(Box::new(linear(&[3, 1, 2])?)),
            Self::ReducedRank => GermTarget::Linear(Box::new(linear(&[2, 2, 2])?)),
            Self::Tanh => GermTarget::Model(Model::new(Kind::LayeredNetwork)),
        })
    }
}

/// The loss as a target; its minimum is at the origin.
#[derive(Debug, Clone)]
pub enum GermTarget {
    Radial(Radial),
    Crossing(NormalCrossing),
    Linear(Box<DeepLinear>),
    Model(Model),
}

impl GermTarget {
    pub fn origin(&self) -> Array1<f64> {
        Array1::zeros(self.n_params())
    }
}

macro_rules! each {
    ($self:expr, $target:ident => $do:expr) => {
        match $self {
            GermTarget::Radial($target) => $do,
            GermTarget::Crossing($target) => $do,
            GermTarget::Linear($target) => $do,
            GermTarget::Model($target) => $do,
        }
    };
}

impl Target for GermTarget {
    fn n_params(&self) -> usize {
        each!(self, target => target.n_params())
    }

    fn n_samples(&self) -> usize {
        each!(self, target => target.n_samples())
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        each!(self, target => target.loss_and_grad(rows, batch, grad, loss));
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        each!(self, target => target.loss(rows, loss));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slt_sampler::{Splitting, log_volumes};

    /// What is sampled is what the laws are of: their volumes at ε = 0.1 agree.
    #[test]
    fn targets_are_those_of_the_laws() {
        let splitting = Splitting {
            gamma: 1.0,
            n_particles: 1000,
            n_populations: 32,
            n_moves: 8,
            seed: 3,
        };
        for germ in Germ::ALL {
            let target = germ.target().expect("a target");
            let Some(exact) = germ.log_volume(0.1, 1.0).expect("valid") else {
                continue;
            };
            let found = log_volumes(&target, target.origin().view(), &[0.1], &splitting);
            let found = found.expect("volumes")[0];
            let z = (found.mean - exact) / found.mcse;
            // Student's t with 31 degrees of freedom: the 1e-5/6 point is 6.1; the power is that of 1 % of a volume
            assert!(
                z.abs() < 6.1 && found.mcse < 0.02,
                "{germ:?}: {found} {exact}"
            );
        }
    }
}
