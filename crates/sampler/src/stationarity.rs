//! Is `w*` a minimum at the sampler's scale? What the gradient there costs, in units of the LLC.
//!
//! To second order the potential `nβ (g·y + ½ y'Hy) + γ/2 |y|²` around `w*` has its least value at the Newton step, below
//! `w*` by the decrement
//! ```text
//! ½ nβ g' (H + γ/nβ)⁻¹ g        (half the squared Newton decrement; Boyd and Vandenberghe 2004, section 9.5)
//! ```
//! in nats. It has no scale of its own: rescaled parameters leave it as it is where γ is small, which no bound on `|g|`
//! does. The shift that the gradient gives to the mean of an LLC estimate is, derived here, with `κ = nβh`, `a = κ + γ` and `g`
//! in the eigenbasis,
//! ```text
//! Σ αμ + ½κμ² = -½ Σ (nβ g)² (κ + 2γ)/a²,      α = nβ g,  μ = -α/a,
//! ```
//! minus the decrement itself for γ = 0, and up to twice as much. Both are quadratic forms in `g`: one Lanczos process
//! that starts at the gradient gives them.

use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

use crate::lanczos::{LanczosError, Nodes, Ritz, Tridiagonal, lanczos};
use crate::spectrum::Spectrum;
use crate::target::{Batch, Target};

/// Gradient and lowest curvature at a point, at the scale of a sampler.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stationarity {
    /// Euclidean norm of the full-data gradient.
    pub gradient_norm: f64,
    /// The smallest eigenvalue that was seen, by the spectrum or from the gradient.
    pub smallest: Ritz,
    /// What the gradient costs; `None` where `nβ h + γ <= 0` for the smallest eigenvalue `h`, so that there is no least value.
    pub slope: Option<Slope>,
    /// `nβ`.
    pub nbeta: f64,
    /// Localisation γ.
    pub gamma: f64,
}

/// What a gradient that is not zero does to a sampler.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    /// How far the potential falls from `w*` to its least value, in nats, the units of the LLC.
    pub decrement: f64,
    /// What more Lanczos steps could still add to `decrement`: a bound where no eigenvalue is below 0, else an indication.
    pub truncation: f64,
    /// What the gradient adds to the mean of an LLC estimate at equilibrium: not positive where `nβh + 2γ >= 0`.
    pub shift: f64,
}

impl Stationarity {
    /// The stationarity of `w`, whose Hessian has this spectrum.
    ///
    /// Shapes: `w`: `[d]`. Cost: one gradient and `n_steps` Hessian-vector products.
    ///
    /// # Errors
    /// [`LanczosError`] where there is no step, or `w`, the gradient or a product is not finite.
    ///
    /// # Panics
    /// Unless `0 < nbeta` and `0 <= gamma`, or if `w` is not of the target's number of parameters.
    pub fn new<T: Target>(
        target: &mut T,
        w: ArrayView1<f64>,
        spectrum: &Spectrum,
        nbeta: f64,
        gamma: f64,
        n_steps: usize,
    ) -> Result<Self, LanczosError> {
        assert!(
            0.0 < nbeta && 0.0 <= gamma,
            "nbeta is positive and gamma not negative, got {nbeta} and {gamma}"
        );
        let d = w.len();
        let point = Array2::from_shape_fn((1, d), |(_, j)| w[j]);
        let mut gradient = Array2::zeros((1, d));
        target.loss_and_grad(point.view(), Batch::Full, gradient.view_mut(), &mut [0.0]);
        let gradient_norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let mut found = Self {
            gradient_norm,
            smallest: spectrum.smallest(),
            slope: None,
            nbeta,
            gamma,
        };
        if gradient_norm == 0.0 {
            let none = Slope {
                decrement: 0.0,
                truncation: 0.0,
                shift: 0.0,
            };
            found.slope = found.is_confined().then_some(none);
            return Ok(found);
        }
        let matrix = &lanczos(target, w, gradient.view(), n_steps)?[0];
        let gauss = matrix.gauss()?;
        if gauss.smallest.value < found.smallest.value {
            found.smallest = gauss.smallest;
        }
        if found.is_confined() {
            found.slope = Some(found.slope_of(matrix, &gauss.nodes)?);
        }
        Ok(found)
    }

    /// Whether the localised potential has a minimum to second order: `nβ h + γ > 0` for the smallest eigenvalue.
    pub fn is_confined(&self) -> bool {
        0.0 < self.nbeta * self.smallest.value + self.gamma
    }

    fn slope_of(&self, matrix: &Tridiagonal, gauss: &Nodes) -> Result<Slope, LanczosError> {
        let (s, gamma) = (self.nbeta, self.gamma);
        let decrement = |nodes: &Nodes| nodes.sum(|h| 0.5 * s * s / (s * h + gamma));
        // a node at or below the spectrum's end, and on this side of the pole at -γ/nβ
        let low = self.smallest;
        let end = if low.value < 0.0 {
            low.value - low.residual
        } else {
            0.0
        };
        let node = end.max(0.5 * (low.value - gamma / s));
        let least = decrement(gauss);
        Ok(Slope {
            decrement: least,
            truncation: (decrement(&matrix.radau(node)?) - least).abs(),
            shift: gauss.sum(|h| -0.5 * s * s * (s * h + 2.0 * gamma) / (s * h + gamma).powi(2)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanczos::symmetric;
    use crate::targets::Quadratic;
    use approx::assert_relative_eq;
    use ndarray::{Array1, array};
    use proptest::prelude::*;
    use slt_theory::LocalisedGaussian;

    fn at(
        h: &[f64],
        offset: &[f64],
        seed: u64,
        (nbeta, gamma): (f64, f64),
        n_steps: usize,
    ) -> Stationarity {
        let (matrix, basis) = symmetric(h, seed);
        let mut target = Quadratic::new(matrix, Array1::zeros(h.len()), 0.3, 10);
        let w = basis.dot(&Array1::from(offset.to_vec()));
        let spectrum = Spectrum::from_eigenvalues(h.to_vec()).unwrap();
        Stationarity::new(&mut target, w.view(), &spectrum, nbeta, gamma, n_steps).unwrap()
    }

    /// One direction by hand: h = 2 at 0.5, nβ = 10, γ = 5: g = 1, a = 25; ½ 100/25 = 2, -½ 100 (20 + 10)/625 = -2.4.
    #[test]
    fn by_hand() {
        let found = at(&[2.0], &[0.5], 1, (10.0, 5.0), 1);
        let slope = found.slope.unwrap();
        assert_relative_eq!(found.gradient_norm, 1.0, max_relative = 1e-14);
        assert_relative_eq!(slope.decrement, 2.0, max_relative = 1e-14);
        assert_relative_eq!(slope.shift, -2.4, max_relative = 1e-14);
        assert_eq!(slope.truncation, 0.0);
        assert_eq!((found.nbeta, found.gamma), (10.0, 5.0));
    }

    /// At the minimum itself nothing falls; below zero curvature, the localisation decides.
    #[test]
    fn curvature_decides_where_the_gradient_vanishes() {
        let flat = at(&[1.0, 0.0], &[0.0, 0.0], 1, (10.0, 5.0), 2);
        assert_eq!(flat.gradient_norm, 0.0);
        assert_eq!(flat.slope.unwrap().decrement, 0.0);
        assert!(flat.is_confined());
        let saddle = |h: f64| at(&[1.0, h], &[0.0, 0.0], 1, (10.0, 5.0), 2);
        assert!(saddle(-0.4).is_confined() && saddle(-0.4).slope.is_some());
        assert!(!saddle(-0.5).is_confined() && saddle(-0.5).slope.is_none());
        // found from the gradient where the spectrum did not see it
        let mut target = Quadratic::new(array![[1.0, 0.0], [0.0, -2.0]], array![0.0, 0.0], 0.0, 10);
        let blind = Spectrum::from_eigenvalues(vec![1.0, 1.0]).unwrap();
        let found = Stationarity::new(&mut target, array![1.0, 1.0].view(), &blind, 10.0, 5.0, 2);
        let found = found.unwrap();
        assert_relative_eq!(found.smallest.value, -2.0, max_relative = 1e-14);
        assert_eq!(found.slope, None);
    }

    /// Other units for the parameters: the same decrement, another gradient.
    #[test]
    fn the_decrement_has_no_scale() {
        let nbeta = 30.0;
        let found = |scale: f64| {
            let h = [2.0 * scale * scale, 0.1 * scale * scale];
            at(&h, &[0.3 / scale, -0.2 / scale], 4, (nbeta, 0.0), 2)
        };
        let (one, other) = (found(1.0), found(100.0));
        let (a, b) = (one.slope.unwrap(), other.slope.unwrap());
        assert_relative_eq!(a.decrement, b.decrement, max_relative = 1e-10);
        assert_relative_eq!(
            a.decrement,
            nbeta * 0.5 * (2.0 * 0.09 + 0.1 * 0.04),
            max_relative = 1e-10
        );
        assert_relative_eq!(a.shift, -a.decrement, max_relative = 1e-10);
        assert_relative_eq!(
            other.gradient_norm,
            100.0 * one.gradient_norm,
            max_relative = 1e-10
        );
    }

    #[test]
    fn impossible_input_is_named() {
        let mut target = Quadratic::new(array![[f64::NAN]], array![0.0], 0.0, 10);
        let spectrum = Spectrum::from_eigenvalues(vec![1.0]).unwrap();
        let mut error = |w: f64, n_steps| {
            Stationarity::new(&mut target, array![w].view(), &spectrum, 1.0, 1.0, n_steps)
                .unwrap_err()
                .to_string()
        };
        assert!(error(f64::NAN, 1).contains("coordinate 0 of the point is NaN"));
        assert!(error(1.0, 1).contains("start 0 has length NaN"));
        assert!(error(1.0, 0).contains("n_steps is 0"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The shift is the difference of theory's means with and without the gradient; the two rules bracket the decrement.
        #[test]
        fn agrees_with_the_localised_gaussian(
            members in prop::collection::vec((prop_oneof![Just(0.0), 1e-2..50.0], -1.0..1.0), 6..20),
            seed: u64, nbeta in 1.0..100.0, gamma in 0.5..20.0, n_steps in 1usize..6,
        ) {
            let (h, offset): (Vec<f64>, Vec<f64>) = members.into_iter().unzip();
            let plain = LocalisedGaussian::new(&h, nbeta, gamma).unwrap();
            let moved = plain.clone().with_anchor_offset(&offset).unwrap();
            let decrement: f64 = h.iter().zip(&offset)
                .map(|(h, y)| 0.5 * (nbeta * h * y).powi(2) / (nbeta * h + gamma)).sum();
            let whole = at(&h, &offset, seed, (nbeta, gamma), h.len()).slope;
            let part = at(&h, &offset, seed, (nbeta, gamma), n_steps).slope;
            if let (Some(whole), Some(part)) = (whole, part) {
                let rounding = 1e-9 * (1.0 + decrement);
                prop_assert!((whole.shift - (moved.mean() - plain.mean())).abs() < rounding);
                prop_assert!((whole.decrement - decrement).abs() < rounding);
                prop_assert!(part.decrement <= decrement + rounding);
                prop_assert!(decrement <= part.decrement + part.truncation + rounding);
            }
        }
    }
}
