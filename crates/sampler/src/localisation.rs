//! The estimate without its localisation, from two strengths of it.
//!
//! A chain around a singular point needs γ to settle, and γ lowers the estimate: parameters that only the loss holds are of some
//! size `r` that shrinks as nβ grows, and `e^(-γ/2 |w - w*|²)` changes their density by `O(γ r²)`. Derived here: at a fixed nβ both
//! `∫ nβK e^(-nβK - γ/2 |w - w*|²) dw` and the integral that it is divided by are expanded in the exponential of γ, so that
//! `λ̂(γ) = λ̂(0) + bγ + O(γ²)`, with logarithms where the multiplicity is above 1. With a second estimate at `γ/ρ`,
//!
//! `λ̂(0) = (ρ λ̂(γ/ρ) - λ̂(γ))/(ρ - 1)`.
//!
//! Where the loss is homogeneous in each of L layers and `w* = 0`, `E[nβK]` depends on `nβ/γ^L` alone: a third of γ is then `3^L`
//! times nβ, and the two strengths are two temperatures. What is left is `λ - (m - 1)/log s`, as at any finite nβ.
//!
//! The smaller γ is, the farther the chains go: the number is the least learning coefficient of the zeros of K that they reach, which
//! may be lower than that at `w*` itself. They go from the stronger localisation to the weaker, which costs more gradients.

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use crate::calibrate::{CalibrateError, Calibrated, Request, calibrate_from};
use crate::target::Target;

/// ρ: from one strength to the next.
const RATIO: f64 = 3.0;

/// Estimates at two strengths of localisation, and what they say of none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unlocalised {
    /// The estimate at γ = 0 and nβ.
    pub mean: f64,
    /// Its standard error.
    pub mcse: f64,
    /// The localisations, falling.
    pub gammas: [f64; 2],
    /// The estimate at each.
    pub at: [Calibrated; 2],
}

/// `d/|w*|²`: the localisation whose ball is as large as the point is far from zero; none for `w* = 0`.
///
/// Shapes: `anchor`: `[d]`.
pub fn natural_gamma(anchor: ArrayView1<f64>) -> Option<f64> {
    let squares: f64 = anchor.iter().map(|w| w * w).sum();
    Some(anchor.len() as f64 / squares).filter(|gamma| gamma.is_finite())
}

/// Estimates the LLC at `request.gamma` and at a third of it, as [`calibrate`](crate::calibrate) does, and extrapolates to γ = 0.
///
/// The second estimate begins where the chains of the first ended. Its error enters by a half more than its own size, so that
/// `relative_error` is that of each estimate, not of the result.
///
/// Shapes: `anchor`: `[d]`.
///
/// # Errors
/// Those of [`calibrate`](crate::calibrate).
pub fn unlocalised<T: Target + Clone + Send + Sync>(
    target: &T,
    anchor: ArrayView1<f64>,
    request: &Request,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Unlocalised, CalibrateError> {
    let weaker = Request {
        gamma: request.gamma / RATIO,
        ..*request
    };
    let (strong, last) = calibrate_from(target, anchor, (0, None), request, progress)?;
    let (weak, _) = calibrate_from(target, anchor, (1, Some(last)), &weaker, progress)?;
    let weights = [-1.0, RATIO].map(|w| w / (RATIO - 1.0));
    let mean = weights[0] * strong.llc.mean + weights[1] * weak.llc.mean;
    Ok(Unlocalised {
        mean,
        mcse: (weights[0] * strong.llc.mcse).hypot(weights[1] * weak.llc.mcse),
        gammas: [request.gamma, weaker.gamma],
        at: [strong, weak],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::DeepLinear;
    use ndarray::{Array1, Array2, array};
    use slt_theory::reduced_rank_law;

    #[test]
    fn the_natural_gamma_is_that_of_the_weights() {
        assert_eq!(natural_gamma(array![3.0, 4.0].view()), Some(0.08));
        assert_eq!(natural_gamma(array![0.0, 0.0].view()), None);
    }

    /// Two layers of zero truth, at a γ whose share of the estimate is large: each estimate has its exact value, and the
    /// extrapolated one is the same combination of them, nearer to the exact value at a hundredth of γ.
    #[test]
    fn two_layers_of_zero_truth() {
        let (widths, nbeta, gamma) = ([4usize, 5, 4], 1000.0, 30.0);
        let truth = Array2::zeros((4, 4));
        let target =
            DeepLinear::from_moments(&widths, Array2::eye(4).view(), truth.view(), 0.5, 1000)
                .expect("fits");
        let mut request = Request::new(nbeta, gamma, 5);
        request.relative_error = 0.01;
        let found =
            unlocalised(&target, Array1::zeros(40).view(), &request, &|_| ()).expect("an estimate");
        let exact = |gamma| {
            reduced_rank_law(4, 4, 5, nbeta, gamma)
                .expect("valid")
                .mean()
        };
        assert_eq!(found.gammas, [30.0, 10.0]);
        for (gamma, at) in found.gammas.iter().zip(&found.at) {
            let z = (at.llc.mean - exact(*gamma)) / at.llc.mcse;
            assert!(at.reached && z.abs() < 5.0, "γ = {gamma}: {z} {at:#?}");
        }
        let combined = 1.5 * exact(10.0) - 0.5 * exact(30.0);
        assert!(((found.mean - combined) / found.mcse).abs() < 5.0);
        let limit = exact(0.1);
        assert!((combined / limit - 1.0).abs() < 0.5 * (exact(10.0) / limit - 1.0).abs());
    }
}
