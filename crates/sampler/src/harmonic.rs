//! The loss around `w*` to second order, at the scale of a sampler: what an LLC estimate would be if there were nothing else.
//!
//! Beside an estimate it says how much of it is anharmonic: what the singularity, and all of the loss beyond second order, adds
//! or takes away. And it says whether `w*` is a minimum at all.

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use crate::chains::Schedule;
use crate::dynamics::Dynamics;
use crate::lanczos::LanczosError;
use crate::quadratic_prediction::{
    QuadraticPrediction, QuadraticPredictionError, quadratic_chain_mean,
};
use crate::spectrum::{Probes, SpectralSum, Spectrum, SpectrumError};
use crate::stationarity::Stationarity;
use crate::target::Target;

/// Share of an estimate that slope or negative curvature at `w*` may take from it.
const MINIMUM_LIMIT: f64 = 0.05;

/// Why there is no second order.
#[derive(Debug, thiserror::Error)]
pub enum HarmonicError {
    /// The curvature cannot be had.
    #[error(transparent)]
    Spectrum(#[from] SpectrumError),
    /// Nor what the gradient costs.
    #[error(transparent)]
    Lanczos(#[from] LanczosError),
    /// Nor a prediction from it.
    #[error(transparent)]
    Prediction(#[from] QuadraticPredictionError),
}

/// Curvature and slope at `w*`, and the LLC that they predict.
///
/// ```
/// use ndarray::{array, Array1, Array2};
/// use slt_sampler::{Dynamics, Harmonic, Probes, Schedule, targets::Quadratic};
///
/// // h = 1 and 3, nβ = γ = 10: ½ (10/20 + 30/40)
/// let mut target = Quadratic::new(array![[1.0, 0.0], [0.0, 3.0]], Array1::zeros(2), 0.0, 100);
/// let probes = Probes { n_probes: 2, n_steps: 2, seed: 1, stream: 0 };
/// let dynamics = Dynamics::new(1e-3, 10.0, 10.0)?;
/// // draws up to step 300: on the way from w* to equilibrium, a relaxation time of 2/(εa) = 50 to 100 steps
/// let schedule = Schedule { burn_in: 0, n_draws: 301, thin: 1 };
/// let at = Array1::zeros(2);
/// let harmonic = Harmonic::at(&mut target, at.view(), &dynamics, Some(&schedule), &probes)?;
/// assert!((harmonic.prediction.mean.value - 0.625).abs() < 1e-12);
/// assert!((harmonic.chain_factor().unwrap() - 0.89).abs() < 0.001);
/// assert!(harmonic.is_minimum(0.625));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Harmonic {
    /// At equilibrium.
    pub prediction: QuadraticPrediction,
    /// From full-batch SGLD chains of the given schedule, started at `w*`: with what their step adds, and what they miss
    /// on the way. `None` without a schedule, or where such a chain's expectation is not finite.
    pub chain_mean: Option<SpectralSum>,
    /// Slope and least curvature at `w*`.
    pub stationarity: Stationarity,
}

impl Harmonic {
    /// The second order of `target` at `w`, for chains of these `dynamics`.
    ///
    /// `schedule` is that of SGLD chains started at `w`; `None` for any other kernel.
    ///
    /// Shapes: `w`: `[d]`. Cost: that of [`Spectrum::of`], and of [`Self::from_spectrum`].
    ///
    /// # Errors
    /// [`HarmonicError`] where a gradient or a product is not finite, or the probes are too few.
    pub fn at<T: Target>(
        target: &mut T,
        w: ArrayView1<f64>,
        dynamics: &Dynamics,
        schedule: Option<&Schedule>,
        probes: &Probes,
    ) -> Result<Self, HarmonicError> {
        let spectrum = Spectrum::of(target, w, probes)?;
        Self::from_spectrum(target, w, &spectrum, dynamics, schedule, probes.n_steps)
    }

    /// The same, where the spectrum of the Hessian at `w` is known.
    ///
    /// Shapes: `w`: `[d]`. Cost: one gradient and at most `n_steps` Hessian-vector products.
    ///
    /// # Errors
    /// [`HarmonicError`] where a gradient or a product is not finite.
    pub fn from_spectrum<T: Target>(
        target: &mut T,
        w: ArrayView1<f64>,
        spectrum: &Spectrum,
        dynamics: &Dynamics,
        schedule: Option<&Schedule>,
        n_steps: usize,
    ) -> Result<Self, HarmonicError> {
        let (nbeta, gamma, temperature) =
            (dynamics.nbeta(), dynamics.gamma(), dynamics.temperature());
        let at_temperature = |sum: SpectralSum| sum.scaled(temperature);
        let mut prediction = QuadraticPrediction::new(spectrum, nbeta, gamma)?;
        prediction.mean = at_temperature(prediction.mean);
        let chain_mean = schedule.and_then(|schedule| {
            let step_size = dynamics.step_size();
            let mean = quadratic_chain_mean(spectrum, nbeta, gamma, step_size, schedule);
            mean.ok().map(at_temperature)
        });
        let n_steps = n_steps.min(w.len());
        Ok(Self {
            prediction,
            chain_mean,
            stationarity: Stationarity::new(target, w, spectrum, nbeta, gamma, n_steps)?,
        })
    }

    /// What chains on the second order alone would give: their own mean where it is known, else that of equilibrium.
    pub fn expected(&self) -> SpectralSum {
        self.chain_mean.unwrap_or(self.prediction.mean)
    }

    /// The share of the equilibrium's mean that such chains reach, where it is known.
    pub fn chain_factor(&self) -> Option<f64> {
        self.chain_mean
            .map(|mean| mean.value / self.prediction.mean.value)
    }

    /// Whether `w*` is a minimum for an estimate of the size `llc`: neither its slope nor its negative curvature shift the mean
    /// by more than a twentieth of it.
    pub fn is_minimum(&self, llc: f64) -> bool {
        let limit = MINIMUM_LIMIT * llc.abs();
        // without a slope nothing holds the chain along some direction: no fault where that is flat to rounding
        let level = self.stationarity.slope.map_or_else(
            || self.prediction.n_negative.value == 0.0,
            |slope| slope.shift.abs() <= limit,
        );
        level && -self.prediction.negative_part.value <= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::Quadratic;
    use approx::assert_relative_eq;
    use ndarray::{Array1, Array2};
    use slt_theory::LocalisedGaussian;

    const PROBES: Probes = Probes {
        n_probes: 2,
        n_steps: 8,
        seed: 1,
        stream: 0,
    };

    fn at(h: &[f64], offset: &[f64], dynamics: &Dynamics, schedule: Option<&Schedule>) -> Harmonic {
        let matrix = Array2::from_diag(&Array1::from(h.to_vec()));
        let mut target = Quadratic::new(matrix, Array1::zeros(h.len()), 0.3, 10);
        let w = Array1::from(offset.to_vec());
        Harmonic::at(&mut target, w.view(), dynamics, schedule, &PROBES).expect("a quadratic")
    }

    /// Theory's mean over draws of such chains, and at a temperature T the T-fold.
    #[test]
    fn chains_are_expected_where_theory_has_them() {
        let h = [3.0, 0.5, 0.0];
        let dynamics = Dynamics::new(2e-3, 20.0, 4.0).expect("valid");
        let schedule = Schedule {
            burn_in: 7,
            n_draws: 50,
            thin: 3,
        };
        let found = at(&h, &[0.0; 3], &dynamics, Some(&schedule));
        let law = LocalisedGaussian::new(&h, 20.0, 4.0).expect("valid");
        let chain = law
            .sgld(2e-3)
            .expect("stable")
            .thinned(3)
            .chain_average(7, 50);
        assert_relative_eq!(
            found.prediction.mean.value,
            law.mean(),
            max_relative = 1e-13
        );
        assert_relative_eq!(found.expected().value, chain.mean, max_relative = 1e-12);
        let factor = found.chain_factor().expect("a schedule");
        assert_relative_eq!(factor, chain.mean / law.mean(), max_relative = 1e-12);
        let hot = dynamics.with_temperature(3.0).expect("valid");
        let hot = at(&h, &[0.0; 3], &hot, Some(&schedule));
        assert_relative_eq!(hot.expected().value, 3.0 * chain.mean, max_relative = 1e-12);
        assert_relative_eq!(
            hot.prediction.mean.value,
            3.0 * law.mean(),
            max_relative = 1e-12
        );
        assert_eq!(hot.chain_factor(), Some(factor));
    }

    #[test]
    fn without_a_schedule_or_with_too_large_a_step_equilibrium_is_expected() {
        let dynamics = |step_size| Dynamics::new(step_size, 20.0, 4.0).expect("valid");
        let schedule = Schedule {
            burn_in: 0,
            n_draws: 20,
            thin: 1,
        };
        let (h, at_rest) = ([3.0, 0.5], [0.0; 2]);
        for (step_size, schedule) in [(1e-3, None), (4.0 / 64.0, Some(&schedule))] {
            let found = at(&h, &at_rest, &dynamics(step_size), schedule);
            assert_eq!((found.chain_mean, found.chain_factor()), (None, None));
            assert_eq!(found.expected(), found.prediction.mean);
        }
    }

    /// nβ = 10, γ = 5: a slope along h = 2 at 0.5 shifts by -2.4; curvature -0.4 adds -½ 4/1.
    #[test]
    fn slope_and_negative_curvature_make_no_minimum() {
        let dynamics = Dynamics::new(1e-3, 10.0, 5.0).expect("valid");
        let slope = at(&[2.0], &[0.5], &dynamics, None);
        assert!(slope.is_minimum(48.1) && !slope.is_minimum(47.9) && !slope.is_minimum(-47.9));
        let saddle = |h: f64| at(&[1.0, h], &[0.0; 2], &dynamics, None);
        assert!(saddle(-0.4).is_minimum(40.1) && !saddle(-0.4).is_minimum(39.9));
        assert!(!saddle(-0.5).is_minimum(1e9) && !saddle(-0.6).is_minimum(1e9));
        assert!(saddle(0.0).is_minimum(1e-9));
        // flat directions without localisation are no fault, falling ones are
        let free = Dynamics::new(1e-3, 10.0, 0.0).expect("valid");
        assert!(at(&[1.0, 0.0], &[0.0; 2], &free, None).is_minimum(0.5));
        assert!(!at(&[1.0, -0.1], &[0.0; 2], &free, None).is_minimum(0.5));
    }
}
