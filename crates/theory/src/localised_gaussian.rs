//! The law of the LLC estimator on a locally quadratic loss.
//!
//! The target is `exp(−nβ L(w) − γ/2 |w − w*|²)` with the anchor `w*`. In the eigenbasis of the Hessian
//! and with `y = w − w*`, `L(w) − L(w*) = Σ (g_i y_i + ½ h_i y_i²)`, where `g` is the gradient at the
//! anchor (zero when the anchor is the minimum). Derived here: with `a = nβh + γ > 0` every
//! coordinate is `y ~ N(μ, 1/a)`, `μ = −nβ g/a`, and with `κ = nβh`, `α = nβg`
//! ```text
//! E[nβ(L − L(w*))]   = Σ αμ + ½κμ² + ½κ/a        (½ Σ nβh/(nβh + γ) at the minimum)
//! Var[nβ(L − L(w*))] = Σ (α + κμ)²/a + ½ (κ/a)²
//! ```
//! because with `y = μ + z` the loss is `αμ + ½κμ² + (α + κμ) z + ½κz²`. The value at the minimum is
//! the number of directions with `nβh ≫ γ`, halved: the plateau on which an LLC against nβ settles.

use crate::sgld_law::{SgldLaw, StepTooLarge};

/// A quadratic loss around an anchor, at inverse temperature nβ and localisation γ.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalisedGaussian {
    directions: Vec<Direction>,
    nbeta: f64,
    gamma: f64,
}

/// One eigendirection: loss `α y + ½ κ y²` (times nβ already) under precision `a = κ + γ`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Direction {
    pub(crate) alpha: f64,
    pub(crate) kappa: f64,
    pub(crate) precision: f64,
}

/// Why a quadratic target was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum LocalisedGaussianError {
    /// nβ is not positive and finite.
    #[error("nbeta is positive and finite, got {nbeta}")]
    Nbeta {
        /// The nβ given.
        nbeta: f64,
    },
    /// γ is negative or not finite.
    #[error("gamma is finite and not negative, got {gamma}")]
    Gamma {
        /// The γ given.
        gamma: f64,
    },
    /// A direction has no finite positive precision, so that the target is not normalisable.
    #[error(
        "direction {index}: eigenvalue {eigenvalue} gives precision nbeta*h + gamma = {precision}, which is not positive and finite"
    )]
    NotConfining {
        /// Which eigenvalue.
        index: usize,
        /// h.
        eigenvalue: f64,
        /// nβh + γ.
        precision: f64,
    },
    /// A gradient component (or an offset times its eigenvalue) is not finite.
    #[error("direction {index}: the gradient at the anchor is {gradient}")]
    Gradient {
        /// Which direction.
        index: usize,
        /// The component.
        gradient: f64,
    },
}

impl LocalisedGaussian {
    /// The target with Hessian eigenvalues `h` of the mean loss, anchored at its stationary point.
    ///
    /// Eigenvalues may be zero or slightly negative, as long as `nβh + γ > 0`.
    ///
    /// Shapes: `eigenvalues`: `[d]`. Units: `eigenvalues` of the mean loss (not the sum), in nats.
    ///
    /// # Errors
    /// [`LocalisedGaussianError::Nbeta`] unless `0 < nbeta < ∞`; [`LocalisedGaussianError::Gamma`]
    /// unless `0 <= gamma < ∞`; [`LocalisedGaussianError::NotConfining`] unless every `nβh + γ` is
    /// positive and finite.
    pub fn new(
        eigenvalues: &[f64],
        nbeta: f64,
        gamma: f64,
    ) -> Result<Self, LocalisedGaussianError> {
        if !(0.0 < nbeta && nbeta.is_finite()) {
            return Err(LocalisedGaussianError::Nbeta { nbeta });
        }
        if !(0.0 <= gamma && gamma.is_finite()) {
            return Err(LocalisedGaussianError::Gamma { gamma });
        }
        let mut directions = Vec::with_capacity(eigenvalues.len());
        for (index, &eigenvalue) in eigenvalues.iter().enumerate() {
            let kappa = nbeta * eigenvalue;
            let precision = kappa + gamma;
            if !(0.0 < precision && precision.is_finite()) {
                return Err(LocalisedGaussianError::NotConfining {
                    index,
                    eigenvalue,
                    precision,
                });
            }
            directions.push(Direction {
                alpha: 0.0,
                kappa,
                precision,
            });
        }
        Ok(Self {
            directions,
            nbeta,
            gamma,
        })
    }

    /// The same target with the gradient `g` of the mean loss at the anchor, in the eigenbasis.
    ///
    /// Shapes: `gradient`: `[d]`.
    ///
    /// # Errors
    /// [`LocalisedGaussianError::Gradient`] when a component is not finite.
    ///
    /// # Panics
    /// If the length is not the number of eigenvalues.
    pub fn with_gradient(mut self, gradient: &[f64]) -> Result<Self, LocalisedGaussianError> {
        assert_eq!(
            gradient.len(),
            self.directions.len(),
            "one gradient component for each eigenvalue"
        );
        for (index, (direction, &gradient)) in self.directions.iter_mut().zip(gradient).enumerate()
        {
            direction.alpha = self.nbeta * gradient;
            if !direction.alpha.is_finite() {
                return Err(LocalisedGaussianError::Gradient { index, gradient });
            }
        }
        Ok(self)
    }

    /// The same target with the anchor displaced from the stationary point: `g_i = h_i δ_i`.
    ///
    /// Shapes: `offset`: `[d]`, the eigen-coordinates of anchor − stationary point.
    ///
    /// # Errors
    /// [`LocalisedGaussianError::Gradient`] when a component `h_i δ_i` is not finite.
    ///
    /// # Panics
    /// If the length is not the number of eigenvalues.
    pub fn with_anchor_offset(self, offset: &[f64]) -> Result<Self, LocalisedGaussianError> {
        assert_eq!(
            offset.len(),
            self.directions.len(),
            "one offset for each eigenvalue"
        );
        let gradient: Vec<f64> = self
            .directions
            .iter()
            .zip(offset)
            .map(|(direction, delta)| direction.kappa / self.nbeta * delta)
            .collect();
        self.with_gradient(&gradient)
    }

    /// The number of parameters d.
    pub fn dimension(&self) -> usize {
        self.directions.len()
    }

    /// nβ.
    pub fn nbeta(&self) -> f64 {
        self.nbeta
    }

    /// γ.
    pub fn gamma(&self) -> f64 {
        self.gamma
    }

    /// `E[nβ(L − L(w*))]` at equilibrium: the LLC that an exact sampler estimates.
    ///
    /// `½ Σ nβh/(nβh + γ)` when the anchor is the stationary point; off it the shift of the mean is
    /// included, and the value can be negative. A direction with `h < 0` counts negatively.
    ///
    /// Accuracy: relative 1e-14 of the largest term.   Derived here; see the module.
    pub fn mean(&self) -> f64 {
        self.directions
            .iter()
            .map(|direction| direction.mean(1.0 / direction.precision))
            .sum()
    }

    /// `Var[nβ(L − L(w*))]` of one draw at equilibrium; `½ Σ (nβh/(nβh + γ))²` at the stationary point.
    ///
    /// Accuracy: relative 1e-14.   Derived here; see the module.
    pub fn variance(&self) -> f64 {
        self.directions
            .iter()
            .map(|direction| direction.variance(1.0 / direction.precision))
            .sum()
    }

    /// The exact law of SGLD (full-batch, finite step) on this target.
    ///
    /// Units: `step_size` is ε (drift ε/2, noise variance ε).
    ///
    /// # Errors
    /// [`StepTooLarge`] unless `0 < ε a_max < 4`, `a_max` the largest `nβh + γ`.
    pub fn sgld(&self, step_size: f64) -> Result<SgldLaw<'_>, StepTooLarge> {
        SgldLaw::new(&self.directions, step_size)
    }
}

impl Direction {
    /// `μ = −α/a`, the mean displacement from the anchor.
    pub(crate) fn shift(&self) -> f64 {
        -self.alpha / self.precision
    }

    /// `α + κμ = αγ/a`, the slope of nβL at the mean.
    pub(crate) fn slope(&self) -> f64 {
        self.alpha + self.kappa * self.shift()
    }

    /// `E[α y + ½κy²]` for `y ~ N(μ, variance)`.
    pub(crate) fn mean(&self, variance: f64) -> f64 {
        let shift = self.shift();
        self.alpha * shift + 0.5 * self.kappa * (shift * shift + variance)
    }

    /// `Var[α y + ½κy²]` for `y ~ N(μ, variance)`.
    pub(crate) fn variance(&self, variance: f64) -> f64 {
        self.slope().powi(2) * variance + 0.5 * (self.kappa * variance).powi(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    #[test]
    fn at_the_minimum() {
        let target = LocalisedGaussian::new(&[0.0, 1.0, 3.0], 10.0, 10.0).unwrap();
        assert_eq!(target.dimension(), 3);
        // ½ (0 + 10/20 + 30/40), ½ (0 + 1/4 + 9/16)
        assert_relative_eq!(target.mean(), 0.625, max_relative = 1e-15);
        assert_relative_eq!(target.variance(), 0.406_25, max_relative = 1e-15);
    }

    /// Off the minimum, against Simpson's rule on the one-dimensional density.
    #[test]
    fn off_the_minimum_by_quadrature() {
        for (h, delta, nbeta, gamma) in [
            (2.0, 0.7, 5.0, 3.0),
            (0.5, -1.5, 20.0, 1.0),
            (-0.1, 0.4, 10.0, 4.0),
        ] {
            let target = LocalisedGaussian::new(&[h], nbeta, gamma)
                .unwrap()
                .with_anchor_offset(&[delta])
                .unwrap();
            assert_eq!((target.nbeta(), target.gamma()), (nbeta, gamma));
            let (mut z, mut first, mut second) = (0.0, 0.0, 0.0);
            let (n_panels, width) = (20_000, 24.0);
            for i in 0..=n_panels {
                let y: f64 = -0.5 * width + width * f64::from(i) / f64::from(n_panels);
                let simpson = if i == 0 || i == n_panels {
                    1.0
                } else if i % 2 == 1 {
                    4.0
                } else {
                    2.0
                };
                // L = h/2 (w − minimum)², w − minimum = y + δ.
                let loss = nbeta * 0.5 * h * ((y + delta).powi(2) - delta * delta);
                let weight = simpson * (-loss - 0.5 * gamma * y * y).exp();
                z += weight;
                first += weight * loss;
                second += weight * loss * loss;
            }
            let mean = first / z;
            assert_relative_eq!(target.mean(), mean, max_relative = 1e-10);
            assert_relative_eq!(
                target.variance(),
                second / z - mean * mean,
                max_relative = 1e-10
            );
        }
    }

    #[test]
    fn impossible_input_is_refused() {
        for nbeta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                LocalisedGaussian::new(&[1.0], nbeta, 1.0),
                Err(LocalisedGaussianError::Nbeta { .. })
            ));
        }
        for gamma in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                LocalisedGaussian::new(&[1.0], 1.0, gamma),
                Err(LocalisedGaussianError::Gamma { .. })
            ));
        }
        for (h, gamma) in [(0.0, 0.0), (-1.0, 1.0), (f64::NAN, 1.0)] {
            assert!(matches!(
                LocalisedGaussian::new(&[1.0, h], 1.0, gamma),
                Err(LocalisedGaussianError::NotConfining { index: 1, .. })
            ));
        }
        let target = LocalisedGaussian::new(&[1.0], 1.0, 1.0).unwrap();
        assert!(matches!(
            target.with_gradient(&[f64::NAN]),
            Err(LocalisedGaussianError::Gradient { index: 0, .. })
        ));
    }

    fn spectrum() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(prop_oneof![Just(0.0), 1e-4..10.0], 1..8)
    }

    proptest! {
        #[test]
        fn order_is_irrelevant_and_flat_adds_nothing(
            h in spectrum().prop_flat_map(|h| (Just(h.clone()), Just(h).prop_shuffle())),
            nbeta in 1.0..1e4, gamma in 0.1..100.0,
        ) {
            let first = LocalisedGaussian::new(&h.0, nbeta, gamma).unwrap();
            let mut longer = h.1;
            longer.push(0.0);
            let second = LocalisedGaussian::new(&longer, nbeta, gamma).unwrap();
            prop_assert!((first.mean() - second.mean()).abs() <= 1e-14 * first.mean());
            prop_assert!((first.variance() - second.variance()).abs() <= 1e-14 * first.variance());
        }

        #[test]
        fn below_half_the_dimension_and_increasing_in_nbeta(
            h in spectrum(), nbeta in 1.0..1e4, gamma in 0.1..100.0,
        ) {
            let mean = |nbeta| LocalisedGaussian::new(&h, nbeta, gamma).unwrap().mean();
            prop_assert!(mean(nbeta) <= 0.5 * h.len() as f64);
            prop_assert!(mean(nbeta) <= mean(2.0 * nbeta));
        }

        #[test]
        fn without_localisation_half_the_dimension(
            h in prop::collection::vec(1e-4..10.0, 1..8), nbeta in 1.0..1e4,
        ) {
            let target = LocalisedGaussian::new(&h, nbeta, 0.0).unwrap();
            let half = 0.5 * h.len() as f64;
            prop_assert!((target.mean() - half).abs() < 1e-14 * half);
            prop_assert!((target.variance() - half).abs() < 1e-14 * half);
        }

        /// Sums over independent directions add, with the offset included.
        #[test]
        fn sums_add(a in spectrum(), b in spectrum(), delta in -2.0..2.0, nbeta in 1.0..1e3, gamma in 0.1..50.0) {
            let law = |h: &[f64]| {
                LocalisedGaussian::new(h, nbeta, gamma)
                    .unwrap()
                    .with_anchor_offset(&vec![delta; h.len()])
                    .unwrap()
            };
            let both = law(&[a.clone(), b.clone()].concat());
            let (a, b) = (law(&a), law(&b));
            let scale = 1.0 + a.mean().abs() + b.mean().abs();
            prop_assert!((both.mean() - a.mean() - b.mean()).abs() < 1e-12 * scale);
            let scale = 1.0 + both.variance();
            prop_assert!((both.variance() - a.variance() - b.variance()).abs() < 1e-12 * scale);
        }
    }
}
