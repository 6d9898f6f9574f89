//! What the LLC estimate would be if the loss were quadratic around `w*`, from the spectrum of its Hessian alone.
//!
//! Under `exp(-nβ L(w) - γ/2 |w - w*|²)` with `w*` a minimum and `L` quadratic, each eigendirection of the Hessian with
//! eigenvalue `h` is an independent normal of precision `a = κ + γ`, `κ = nβh`, and contributes `½κy²` to `nβ(L - L(w*))`:
//! ```text
//! E[λ̂] = ½ Σ κ/a          Var of one draw = ½ Σ (κ/a)²
//! ```
//! (the Laplace approximation; `Σ κ/a` is MacKay's effective number of parameters, 1992). The difference between an
//! estimate and this is the anharmonic part: what the singularity, and all of the loss beyond second order, adds.
//!
//! **The chain.** Full-batch SGLD with step ε turns the direction into the autoregression `y' = ρy + √ε N(0, 1)`,
//! `ρ = 1 - εa/2`, whose variance after `t` steps from `w*` is
//! ```text
//! V_t = ε (1 - ρ^2t)/(1 - ρ²)   ->   1/(a (1 - εa/4)),
//! ```
//! so that a chain's mean over its draws is expected at `½ Σ κ mean_k V_(t_k)`. Derived here: `V_(s+t) = V_s + ρ^2s V_t`
//! and the same for sums over draws, so that both are had by doubling in `O(log t)`, as sums of positive
//! terms, without the cancellation of `1 - ρ^2t`.
//!
//! **Negative curvature.** For `-γ < κ < 0` the normal exists and the direction counts negatively. For `κ + γ <= 0` it
//! does not: the sampler is held by nothing quadratic. Such directions are left out of the sums at equilibrium and counted in
//! [`QuadraticPrediction::n_unconfined`]; a chain of finite length still has its expectation, with `ρ > 1`, and
//! [`quadratic_chain_mean`] includes them.

use serde::{Deserialize, Serialize};

use crate::chains::Schedule;
use crate::spectrum::{SpectralSum, Spectrum};

/// Relative to the largest eigenvalue, the size below which a negative eigenvalue may be rounding.
const RESOLUTION: f64 = 1.5e-8;

/// Why there is no prediction.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum QuadraticPredictionError {
    /// nβ is not positive and finite.
    #[error("nbeta is {nbeta}, expected a positive finite number")]
    Nbeta {
        /// The value given.
        nbeta: f64,
    },
    /// γ is negative or not finite.
    #[error("gamma is {gamma}, expected a finite number of at least 0")]
    Gamma {
        /// The value given.
        gamma: f64,
    },
    /// The step is too large for the sharpest direction.
    #[error(
        "step_size * (nbeta h + gamma) is {product} for the largest eigenvalue h = {largest}, expected more than 0 and less than 4 (step_size is {step_size})"
    )]
    StepTooLarge {
        /// ε.
        step_size: f64,
        /// The largest eigenvalue.
        largest: f64,
        /// `ε (nβh + γ)`.
        product: f64,
    },
    /// A chain along a direction of negative curvature leaves the range of numbers.
    #[error(
        "a chain of {n_steps} steps runs away along the smallest eigenvalue {smallest}: its expectation is not finite"
    )]
    RunsAway {
        /// Steps to the last draw.
        n_steps: usize,
        /// The smallest eigenvalue.
        smallest: f64,
    },
}

/// The LLC of the loss's second-order expansion at a stationary point, exact or with its error.
///
/// ```
/// use slt_sampler::{QuadraticPrediction, Spectrum};
///
/// // κ = 0, 10, 30 against γ = 10: ½ (0 + 10/20 + 30/40)
/// let spectrum = Spectrum::from_eigenvalues(vec![0.0, 1.0, 3.0])?;
/// let prediction = QuadraticPrediction::new(&spectrum, 10.0, 10.0)?;
/// assert_eq!(prediction.mean.value, 0.625);
/// assert_eq!(prediction.effective_dimension().value, 1.25);
/// assert_eq!(prediction.n_unconfined.value, 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QuadraticPrediction {
    /// `½ Σ κ/(κ + γ)` over the confined directions. Units: those of the LLC.
    pub mean: SpectralSum,
    /// `½ Σ (κ/(κ + γ))²` over the confined directions: the variance of `nβ(L - L(w*))` of one draw.
    pub variance: SpectralSum,
    /// What the confined directions of negative curvature add to `mean`: 0 at a minimum, else negative.
    pub negative_part: SpectralSum,
    /// Directions with an eigenvalue below 0 by more than 1.5e-8 of the largest eigenvalue's size.
    pub n_negative: SpectralSum,
    /// Directions with `nβh + γ <= 0`, which have no equilibrium and are left out of the sums above.
    pub n_unconfined: SpectralSum,
    /// `nβ`.
    pub nbeta: f64,
    /// Localisation γ.
    pub gamma: f64,
}

impl QuadraticPrediction {
    /// The prediction from the spectrum of the mean loss's Hessian at `w*`.
    ///
    /// # Errors
    /// [`QuadraticPredictionError`] unless `0 < nbeta < ∞` and `0 <= gamma < ∞`.
    pub fn new(
        spectrum: &Spectrum,
        nbeta: f64,
        gamma: f64,
    ) -> Result<Self, QuadraticPredictionError> {
        check(nbeta, gamma)?;
        let size = spectrum.largest().value.abs();
        let size = size.max(spectrum.smallest().value.abs());
        // κ/a where there is an equilibrium; a flat direction has none of the loss, whatever γ is
        let share = |h: f64| {
            let kappa = nbeta * h;
            if h != 0.0 && 0.0 < kappa + gamma {
                kappa / (kappa + gamma)
            } else {
                0.0
            }
        };
        let count = |yes: bool| f64::from(u8::from(yes));
        Ok(Self {
            mean: spectrum.sum(|h| 0.5 * share(h)),
            variance: spectrum.sum(|h| 0.5 * share(h).powi(2)),
            negative_part: spectrum.sum(|h| 0.5 * share(h).min(0.0)),
            n_negative: spectrum.sum(|h| count(h < -RESOLUTION * size)),
            n_unconfined: spectrum.sum(|h| count(!(0.0 < nbeta * h + gamma))),
            nbeta,
            gamma,
        })
    }

    /// `Σ κ/(κ + γ)`, the number of directions that the data determine: twice the mean.
    pub fn effective_dimension(&self) -> SpectralSum {
        self.mean.scaled(2.0)
    }
}

/// The expectation of `λ̂` from full-batch SGLD chains started at `w*`, were the loss quadratic: `½ Σ κ mean_k V_(t_k)`
/// over the steps `t_k` of the schedule's draws.
///
/// It has the bias of the finite step and of the way from `w*` to equilibrium. Divided by
/// [`QuadraticPrediction::mean`] it is the factor by which such chains miss their own equilibrium. A minibatch's noise is not
/// part of it.
///
/// Units: those of the LLC; `step_size` is ε (drift ε/2, noise variance ε).
/// Accuracy: relative 1e-13 for an exact spectrum.
///
/// # Errors
/// [`QuadraticPredictionError`] unless `0 < nbeta < ∞`, `0 <= gamma < ∞`, `0 < ε (nβh + γ) < 4` for the largest `h` (`0 < ε`
/// where that is not positive), and the expectation is finite.
///
/// # Panics
/// If the schedule has no draw.
pub fn quadratic_chain_mean(
    spectrum: &Spectrum,
    nbeta: f64,
    gamma: f64,
    step_size: f64,
    schedule: &Schedule,
) -> Result<SpectralSum, QuadraticPredictionError> {
    check(nbeta, gamma)?;
    assert!(schedule.n_draws > 0, "an average needs at least one draw");
    let largest = spectrum.largest().value;
    let product = step_size * (nbeta * largest + gamma);
    if !(0.0 < step_size && step_size.is_finite() && product < 4.0) {
        return Err(QuadraticPredictionError::StepTooLarge {
            step_size,
            largest,
            product,
        });
    }
    let sum = spectrum.sum(|h| {
        let kappa = nbeta * h;
        0.5 * kappa * mean_variance(kappa + gamma, step_size, schedule)
    });
    if !sum.value.is_finite() {
        return Err(QuadraticPredictionError::RunsAway {
            n_steps: schedule.n_steps(),
            smallest: spectrum.smallest().value,
        });
    }
    Ok(sum)
}

fn check(nbeta: f64, gamma: f64) -> Result<(), QuadraticPredictionError> {
    if !(0.0 < nbeta && nbeta.is_finite()) {
        return Err(QuadraticPredictionError::Nbeta { nbeta });
    }
    if !(0.0 <= gamma && gamma.is_finite()) {
        return Err(QuadraticPredictionError::Gamma { gamma });
    }
    Ok(())
}

/// The mean of `V_t` over the draws of a chain, along a direction of precision `a`.
fn mean_variance(a: f64, step_size: f64, schedule: &Schedule) -> f64 {
    let one = Stretch {
        length: 1.0,
        decay: (1.0 - 0.5 * step_size * a).powi(2),
        variance: step_size,
        sum: 0.0,
    };
    let burn_in = one.times(schedule.burn_in);
    let stride = one.times(schedule.thin);
    let draws = Stretch {
        length: 1.0,
        sum: 0.0,
        ..stride
    }
    .times(schedule.n_draws);
    burn_in.variance + burn_in.decay * (draws.sum / draws.length)
}

/// A number of equal stretches of a chain that starts without variance.
#[derive(Clone, Copy)]
struct Stretch {
    /// How many there are.
    length: f64,
    /// What is left at the end of a variance at the start.
    decay: f64,
    /// The variance at the end.
    variance: f64,
    /// The variances at the starts of all of them.
    sum: f64,
}

impl Stretch {
    /// These stretches, then `next`.
    fn then(self, next: Self) -> Self {
        Self {
            length: self.length + next.length,
            decay: self.decay * next.decay,
            variance: next.variance + next.decay * self.variance,
            sum: self.sum + next.length * self.variance + self.decay * next.sum,
        }
    }

    /// `n` of them, by doubling.
    fn times(self, n: usize) -> Self {
        let mut all = Self {
            length: 0.0,
            decay: 1.0,
            variance: 0.0,
            sum: 0.0,
        };
        let (mut power, mut n) = (self, n);
        while n > 0 {
            if n % 2 == 1 {
                all = all.then(power);
            }
            power = power.then(power);
            n /= 2;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanczos::symmetric;
    use crate::spectrum::Probes;
    use crate::targets::{Quadratic, TanhUnit};
    use approx::assert_relative_eq;
    use ndarray::{Array1, array};
    use proptest::prelude::*;
    use slt_theory::LocalisedGaussian;

    fn exact(h: &[f64]) -> Spectrum {
        Spectrum::from_eigenvalues(h.to_vec()).unwrap()
    }

    fn schedule(burn_in: usize, n_draws: usize, thin: usize) -> Schedule {
        Schedule {
            burn_in,
            n_draws,
            thin,
        }
    }

    /// By hand, nβ = 10, γ = 20: -0.5 gives κ/a = -5/15, -3 has a = -10, 2 gives 20/40, -1e-9 is rounding.
    #[test]
    fn negative_curvature_is_counted() {
        let spectrum = exact(&[-0.5, -3.0, 2.0, 0.0, -1e-9]);
        let prediction = QuadraticPrediction::new(&spectrum, 10.0, 20.0).unwrap();
        let third = 1.0 / 3.0;
        assert_relative_eq!(
            prediction.mean.value,
            0.5 * (0.5 - third),
            max_relative = 1e-8
        );
        assert_relative_eq!(
            prediction.variance.value,
            0.5 * (0.25 + third * third),
            max_relative = 1e-8
        );
        assert_relative_eq!(
            prediction.negative_part.value,
            -0.5 * third,
            max_relative = 1e-8
        );
        assert_eq!(prediction.n_negative.value, 2.0);
        assert_eq!(prediction.n_unconfined.value, 1.0);
        assert_eq!((prediction.nbeta, prediction.gamma), (10.0, 20.0));
        // exactly flat without localisation: no equilibrium, and nothing of the loss
        let flat = QuadraticPrediction::new(&exact(&[0.0, 2.0]), 10.0, 0.0).unwrap();
        assert_eq!((flat.mean.value, flat.n_unconfined.value), (0.5, 1.0));
        // the limits of what counts as negative are those of the largest size, whichever its sign
        let sharp = QuadraticPrediction::new(&exact(&[-1.0, -1e-9, 0.5]), 1.0, 2.0).unwrap();
        assert_eq!(sharp.n_negative.value, 1.0);
    }

    #[test]
    fn impossible_input_is_named() {
        use QuadraticPredictionError as E;
        let spectrum = exact(&[1.0, -2.0]);
        for nbeta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = QuadraticPrediction::new(&spectrum, nbeta, 1.0).unwrap_err();
            assert!(matches!(error, E::Nbeta { .. }));
            let error = quadratic_chain_mean(&spectrum, nbeta, 1.0, 0.1, &schedule(0, 1, 1));
            assert!(matches!(error, Err(E::Nbeta { .. })));
        }
        for gamma in [-1.0, f64::NAN, f64::INFINITY] {
            let error = QuadraticPrediction::new(&spectrum, 1.0, gamma).unwrap_err();
            assert!(matches!(error, E::Gamma { .. }));
        }
        let chain =
            |step_size, n| quadratic_chain_mean(&spectrum, 1.0, 3.0, step_size, &schedule(0, n, 1));
        assert!(chain(0.999, 5).is_ok());
        for step_size in [1.0, 0.0, -0.1, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                chain(step_size, 5),
                Err(E::StepTooLarge { largest: 1.0, .. })
            ));
        }
        // h = -2 with γ = 1: ρ = 1.05, and 1.05^20000 is no number
        let chain = |n| quadratic_chain_mean(&spectrum, 1.0, 1.0, 0.1, &schedule(0, n, 1));
        assert!(chain(100).is_ok());
        assert_eq!(
            chain(20_000).unwrap_err(),
            E::RunsAway {
                n_steps: 19_999,
                smallest: -2.0
            }
        );
    }

    /// The unit of the first paper at a true minimum: Hessian-vector products, spectrum and sum against theory's.
    #[test]
    fn a_network() {
        let x: Vec<f64> = (0..50).map(|i| -2.0 + 4.0 * f64::from(i) / 49.0).collect();
        let y = x
            .iter()
            .map(|x| 0.8 * (1.5 * x + 0.4).tanh() - 0.3)
            .collect();
        let mut target = TanhUnit::new(x, y).expect("samples");
        let w = array![1.5, 0.4, 0.8, -0.3];
        let probes = Probes {
            n_probes: 2,
            n_steps: 2,
            seed: 1,
            stream: 0,
        };
        let spectrum = Spectrum::of(&mut target, w.view(), &probes).unwrap();
        let h = crate::spectrum(&mut target, w.view()).unwrap().to_vec();
        let law = LocalisedGaussian::new(&h, 50.0, 1.0).unwrap();
        let prediction = QuadraticPrediction::new(&spectrum, 50.0, 1.0).unwrap();
        assert_relative_eq!(prediction.mean.value, law.mean(), max_relative = 1e-13);
        // the outputs' error vanishes: H = 2 J'J/n has no negative eigenvalue, and λ̂ is below d/2
        assert!(h[0] > 0.0 && 0.5 < prediction.mean.value && prediction.mean.value < 2.0);
        assert_eq!(prediction.n_negative.value, 0.0);
    }

    /// Chains along a direction that runs away, and one that is flat, against the plain recursion.
    #[test]
    fn a_chain_without_equilibrium() {
        for (h, gamma, step_size) in [
            (-2.0, 1.0, 0.05),
            (-1.0, 1.0, 0.3),
            (-1e-9, 0.0, 1e-6),
            (2.0, 0.0, 1.0),
        ] {
            let (burn_in, n_draws, thin) = (13, 21, 3);
            let (mut variance, mut sum) = (0.0, 0.0);
            let rho: f64 = 1.0 - 0.5 * step_size * (h + gamma);
            for t in 0..=burn_in + (n_draws - 1) * thin {
                if t >= burn_in && (t - burn_in) % thin == 0 {
                    sum += 0.5 * h * variance;
                }
                variance = rho * rho * variance + step_size;
            }
            let found = quadratic_chain_mean(
                &exact(&[h]),
                1.0,
                gamma,
                step_size,
                &schedule(burn_in, n_draws, thin),
            );
            assert_relative_eq!(
                found.unwrap().value,
                sum / n_draws as f64,
                max_relative = 1e-13
            );
        }
    }

    /// The error bar of the prediction itself: 95% intervals (Student, 9 degrees of freedom) over 200 seeds.
    #[test]
    fn intervals_cover() {
        let h: Vec<f64> = (0..30)
            .map(|i| 10f64.powf(0.2 * f64::from(i) - 4.0))
            .collect();
        let truth = QuadraticPrediction::new(&exact(&h), 40.0, 2.0).unwrap();
        let chain_truth =
            quadratic_chain_mean(&exact(&h), 40.0, 2.0, 5e-4, &schedule(50, 100, 2)).unwrap();
        let mut target = Quadratic::new(symmetric(&h, 3).0, Array1::zeros(30), 0.0, 10);
        let (mut covered, mut chain_covered) = (0, 0);
        for seed in 0..200 {
            let probes = Probes {
                n_probes: 10,
                n_steps: 30,
                seed,
                stream: 0,
            };
            let spectrum =
                Spectrum::estimate(&mut target, Array1::zeros(30).view(), &probes).unwrap();
            let within = |sum: SpectralSum, truth: SpectralSum| {
                usize::from((sum.value - truth.value).abs() <= 2.262_157_162_740_992 * sum.mcse)
            };
            let prediction = QuadraticPrediction::new(&spectrum, 40.0, 2.0).unwrap();
            covered += within(prediction.mean, truth.mean);
            let chain =
                quadratic_chain_mean(&spectrum, 40.0, 2.0, 5e-4, &schedule(50, 100, 2)).unwrap();
            chain_covered += within(chain, chain_truth);
            assert_eq!(prediction.mean.n_probes, 10);
        }
        assert!((180..=196).contains(&covered), "{covered} of 200");
        assert!(
            (180..=196).contains(&chain_covered),
            "{chain_covered} of 200"
        );
    }

    fn eigenvalues() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(
            prop_oneof![Just(0.0), -0.9..0.0, 1e-4..0.1, 0.1..50.0],
            1..12,
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Theory's own formulas, written by another hand in another crate.
        #[test]
        fn agrees_with_the_localised_gaussian(h in eigenvalues(), nbeta in 0.5..500.0, extra in 0.01..10.0) {
            let gamma = 0.9 * nbeta + extra;
            let law = LocalisedGaussian::new(&h, nbeta, gamma).unwrap();
            let prediction = QuadraticPrediction::new(&exact(&h), nbeta, gamma).unwrap();
            let scale = 1.0 + law.variance();
            prop_assert!((prediction.mean.value - law.mean()).abs() < 1e-11 * scale);
            prop_assert!((prediction.variance.value - law.variance()).abs() < 1e-11 * scale);
            prop_assert_eq!(prediction.n_unconfined.value, 0.0);
            prop_assert_eq!(prediction.effective_dimension().value, 2.0 * prediction.mean.value);
            let negative: Vec<f64> = h.iter().copied().filter(|&h| h < 0.0).collect();
            let part = LocalisedGaussian::new(&negative, nbeta, gamma).unwrap().mean();
            prop_assert!((prediction.negative_part.value - part).abs() < 1e-11 * scale);
        }

        /// SGLD's exact law on a quadratic, by its recursion step by step.
        #[test]
        fn agrees_with_the_law_of_sgld(
            h in eigenvalues(), nbeta in 0.5..500.0, extra in 0.01..10.0, size in 1e-4..3.9,
            burn_in in 0usize..50, n_draws in 1usize..80, thin in 1usize..6,
        ) {
            let gamma = 0.9 * nbeta + extra;
            let largest = h.iter().fold(f64::NEG_INFINITY, |a: f64, b| a.max(*b));
            let step_size = size / (nbeta * largest + gamma);
            let law = LocalisedGaussian::new(&h, nbeta, gamma).unwrap();
            let expected = law.sgld(step_size).unwrap().thinned(thin).chain_average(burn_in, n_draws).mean;
            let found = quadratic_chain_mean(&exact(&h), nbeta, gamma, step_size, &schedule(burn_in, n_draws, thin)).unwrap();
            let scale = h.iter().map(|&h| {
                quadratic_chain_mean(&exact(&[h]), nbeta, gamma, step_size, &schedule(burn_in, n_draws, thin)).unwrap().value.abs()
            }).sum::<f64>();
            prop_assert!((found.value - expected).abs() <= 1e-11 * scale, "{found:?}, {expected}");
        }
    }
}
