//! The volume of the nearly optimal set, down to tiny excess losses, by multilevel splitting.
//!
//! `V(ε)` is the probability that `K(w) = L(w) - L(w*) <= ε` under `w ~ N(w*, 1/γ)`; it behaves as
//! `c ε^λ (log 1/ε)^(m-1)` (Watanabe 2009, ch. 4), with λ and m those of the deepest point in reach.
//!
//! A population of particles starts in the normal. At each level `ε_k` is the least excess loss that a fixed share of the
//! particles has; the others are replaced by copies of these, and all are moved by steps that leave the normal as it is,
//! `x <- √(1 - δ²) x + δ ξ/√γ` (Neal 1999; Cotter et al. 2013), refused where they leave `K <= ε_k`: of all coordinates by a δ that is adapted, and of
//! one by a larger one, `δ^u` with u uniform. Then
//! `V(ε) ~ share^k #{K <= ε}/n_particles` for ε below `ε_k` (Au and Beck 2001, subset simulation). No gradient is used. The
//! estimate from one population has a bias of the order of `1/n_particles`; several populations give its standard error.

use ndarray::{Array2, ArrayView1, Axis};
use rand::RngExt;
use slt_stats::{Estimate, EstimateError};

use crate::noise::RowNoise;
use crate::stream::{Purpose, rng};
use crate::target::Target;

/// How volumes are measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Splitting {
    /// Precision γ of the normal around `w*`.
    pub gamma: f64,
    /// Particles of a population.
    pub n_particles: usize,
    /// Independent populations, whose spread is the error.
    pub n_populations: usize,
    /// Moves of each particle at each level, each of all coordinates and of one.
    pub n_moves: usize,
    /// Seed.
    pub seed: u64,
}

/// Share of the particles that a level keeps.
const SHARE: f64 = 0.5;
/// Accepted share of the moves that the size of a move is adapted to.
const ACCEPTANCE: f64 = 0.3;

/// Why volumes cannot be measured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VolumeError {
    /// A setting is impossible.
    #[error("{name} is {value}; expected {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What is possible.
        expected: &'static str,
    },
    /// The loss at `w*` is not finite.
    #[error("the loss at w* is {0}; expected a finite number")]
    InitialLoss(f64),
    /// No particle is below a level any more.
    #[error(
        "all particles have the same excess loss {epsilon:e} at level {level}: raise n_moves or n_particles"
    )]
    Stuck {
        /// The excess loss.
        epsilon: f64,
        /// The level.
        level: usize,
    },
    /// Volumes are not finite.
    #[error(transparent)]
    Estimate(#[from] EstimateError),
}

/// `log V(ε)` at each of `epsilons`, over independent populations.
///
/// Shapes: `anchor`: `[d]`; `epsilons`: decreasing, in nats. Returns one estimate for each.
///
/// # Errors
/// [`VolumeError`] names the setting that is impossible, or the level at which particles no longer move.
pub fn log_volumes<T: Target + Clone>(
    target: &T,
    anchor: ArrayView1<f64>,
    epsilons: &[f64],
    splitting: &Splitting,
) -> Result<Vec<Estimate>, VolumeError> {
    let populations = population_log_volumes(target, anchor, epsilons, splitting)?;
    let columns = populations.columns().into_iter();
    columns
        .map(|column| Ok(Estimate::from_replicates(&column.to_vec())?))
        .collect()
}

/// `log V(ε)` of each population on its own, for what is made of the volumes at several ε, such as the local exponent.
///
/// Shapes: as for [`log_volumes`]; returns `[n_populations, n_epsilons]`.
///
/// # Errors
/// Those of [`log_volumes`].
pub fn population_log_volumes<T: Target + Clone>(
    target: &T,
    anchor: ArrayView1<f64>,
    epsilons: &[f64],
    splitting: &Splitting,
) -> Result<Array2<f64>, VolumeError> {
    splitting.check(epsilons)?;
    let mut target = target.clone();
    let mut initial = [f64::NAN];
    target.loss(anchor.insert_axis(Axis(0)), &mut initial);
    if !initial[0].is_finite() {
        return Err(VolumeError::InitialLoss(initial[0]));
    }
    let mut all = Array2::zeros((splitting.n_populations, epsilons.len()));
    for (p, mut row) in (0..).zip(all.rows_mut()) {
        let of_one = splitting.population(&mut target, anchor, initial[0], epsilons, p)?;
        row.assign(&ArrayView1::from(&of_one));
    }
    Ok(all)
}

impl Splitting {
    fn check(&self, epsilons: &[f64]) -> Result<(), VolumeError> {
        let setting = |name, value, expected| {
            Err(VolumeError::Setting {
                name,
                value,
                expected,
            })
        };
        if !(0.0 < self.gamma && self.gamma.is_finite()) {
            return setting("gamma", self.gamma, "a positive number");
        }
        if self.n_particles < 16 {
            return setting("n_particles", self.n_particles as f64, "at least 16");
        }
        if self.n_populations < 2 {
            return setting("n_populations", self.n_populations as f64, "at least 2");
        }
        if self.n_moves == 0 {
            return setting("n_moves", 0.0, "at least 1");
        }
        let mut before = f64::INFINITY;
        for &epsilon in epsilons {
            if !(0.0 < epsilon && epsilon < before) {
                let expected = "a positive number, less than the one before it";
                return setting("epsilon", epsilon, expected);
            }
            before = epsilon;
        }
        Ok(())
    }

    /// `log V` of one population at each of `epsilons`.
    fn population<T: Target>(
        &self,
        target: &mut T,
        anchor: ArrayView1<f64>,
        initial_loss: f64,
        epsilons: &[f64],
        population: u64,
    ) -> Result<Vec<f64>, VolumeError> {
        let (n, d) = (self.n_particles, anchor.len());
        let sd = 1.0 / self.gamma.sqrt();
        let stream = |i: usize| (population << 32) | i as u64;
        let mut noise: Vec<RowNoise> = (0..n)
            .map(|i| RowNoise::for_purpose(self.seed, Purpose::Initialisation, stream(i), d))
            .collect();
        let mut step = 0;
        let mut x = Array2::zeros((n, d));
        normals(&mut noise, step, &mut x);
        let mut excess = vec![f64::NAN; n];
        let mut at = |x: &Array2<f64>, excess: &mut [f64]| {
            let w = x.mapv(|x| sd * x) + anchor;
            target.loss(w.view(), excess);
            // a loss that is not a number is outside every level
            excess.iter_mut().for_each(|l| {
                *l = if l.is_nan() {
                    f64::INFINITY
                } else {
                    *l - initial_loss
                };
            });
        };
        at(&x, &mut excess);
        let (mut proposal, mut xi) = (x.clone(), x.clone());
        let mut proposed = excess.clone();
        let (mut log_volume, mut delta): (f64, f64) = (0.0, 0.5);
        let mut volumes = Vec::with_capacity(epsilons.len());
        for level in 0.. {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&a, &b| excess[a].total_cmp(&excess[b]));
            let n_kept = (SHARE * n as f64) as usize;
            let epsilon = excess[order[n_kept - 1]];
            // those above this level are read off here, where the particles are many
            while let Some(&wanted) = epsilons.get(volumes.len()).filter(|&&e| e >= epsilon) {
                let n_below = excess.iter().filter(|&&k| k <= wanted).count();
                volumes.push(log_volume + (n_below as f64 / n as f64).ln());
            }
            if volumes.len() == epsilons.len() {
                return Ok(volumes);
            }
            if excess[order[0]] == epsilon && excess[order[n - 1]] == epsilon {
                return Err(VolumeError::Stuck { epsilon, level });
            }
            // ties at the level are all kept: what is kept is counted, not assumed
            let n_below = excess.iter().filter(|&&k| k <= epsilon).count();
            log_volume += (n_below as f64 / n as f64).ln();
            let mut random = rng(self.seed, Purpose::Acceptance, population, level as u64);
            for &lost in &order[n_below..] {
                let parent = order[random.random_range(0..n_below as u32) as usize];
                let copy = x.row(parent).to_owned();
                x.row_mut(lost).assign(&copy);
                excess[lost] = excess[parent];
            }
            for _ in 0..self.n_moves {
                step += 1;
                normals(&mut noise, 2 * step, &mut xi);
                let keep = (1.0 - delta * delta).sqrt();
                proposal.assign(&(keep * &x + delta * &xi));
                at(&proposal, &mut proposed);
                let n_accepted = accept(&mut x, &mut excess, &proposal, &proposed, epsilon);
                // Robbins-Monro on the logarithm of the size
                let accepted = n_accepted as f64 / n as f64;
                delta = (delta * (0.5 * (accepted - ACCEPTANCE)).exp()).clamp(1e-12, 0.99);
                // one coordinate, by a step of any size: along the zeros, where steps of all coordinates are as short as these are thin
                normals(&mut noise, 2 * step + 1, &mut xi);
                proposal.assign(&x);
                for (mut row, xi) in proposal.rows_mut().into_iter().zip(xi.rows()) {
                    let j = random.random_range(0..d as u32) as usize;
                    let delta = delta.powf(random.random::<f64>());
                    row[j] = (1.0 - delta * delta).sqrt() * row[j] + delta * xi[j];
                }
                at(&proposal, &mut proposed);
                accept(&mut x, &mut excess, &proposal, &proposed, epsilon);
            }
        }
        unreachable!("the loop ends by returning")
    }
}

/// Takes the proposals that are inside the level; returns how many.
fn accept(
    x: &mut Array2<f64>,
    excess: &mut [f64],
    proposal: &Array2<f64>,
    proposed: &[f64],
    epsilon: f64,
) -> usize {
    let inside = (0..excess.len()).filter(|&i| proposed[i] <= epsilon);
    let mut n_accepted = 0;
    for i in inside {
        x.row_mut(i).assign(&proposal.row(i));
        excess[i] = proposed[i];
        n_accepted += 1;
    }
    n_accepted
}

fn normals(noise: &mut [RowNoise], step: u64, out: &mut Array2<f64>) {
    for (noise, mut row) in noise.iter_mut().zip(out.rows_mut()) {
        noise.for_step(step, |at, xi| {
            for (j, &x) in (at..).zip(xi) {
                row[j] = f64::from(x);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{NormalCrossing, Quadratic};
    use ndarray::{Array1, array};

    fn splitting() -> Splitting {
        Splitting {
            gamma: 1.0,
            n_particles: 1000,
            n_populations: 12,
            n_moves: 12,
            seed: 1,
        }
    }

    /// In two dimensions `|x|²/2` is exponential: `V(ε) = 1 - e^(-ε)`.
    #[test]
    fn a_disc_has_its_volume() {
        let target = Quadratic::new(Array2::eye(2), array![1.0, -2.0], 0.3, 10);
        let epsilons = [1.0, 1e-3, 1e-6, 1e-12];
        let anchor = target.minimum().to_owned();
        let volumes =
            log_volumes(&target, anchor.view(), &epsilons, &splitting()).expect("volumes");
        for (volume, epsilon) in volumes.iter().zip(epsilons) {
            let exact = (-(-epsilon).exp_m1()).ln();
            // Student's t with 11 degrees of freedom: the 1e-5/4 point is 8.6
            let z = (volume.mean - exact) / volume.mcse;
            assert!(
                z.abs() < 8.6 && volume.mcse < 0.15,
                "{epsilon}: {volume:?} {exact}"
            );
        }
    }

    /// `V(ε)` of `w₁²w₂²` by quadrature over `log w₁²`: λ = 1/2 with a logarithm, which a plain slope misses.
    #[test]
    fn a_crossing_has_its_volume() {
        let target = NormalCrossing::new(1.0, &[1, 1], 10);
        let epsilons = [1e-2, 1e-6, 1e-10];
        let volumes = log_volumes(&target, Array1::zeros(2).view(), &epsilons, &splitting())
            .expect("volumes");
        for (volume, epsilon) in volumes.iter().zip(epsilons) {
            // E over w₁ = e^y of P(|w₂| <= √ε/|w₁|): trapezoid in y, both signs
            let h = 1e-3;
            let density = |y: f64| {
                2.0 * (-0.5 * (2.0 * y).exp()).exp() * y.exp() / (2.0 * std::f64::consts::PI).sqrt()
            };
            let inside = |y: f64| erf((0.5 * epsilon).sqrt() / y.exp());
            let exact: f64 = (-40_000..3000)
                .map(|k| f64::from(k) * h)
                .map(|y| h * density(y) * inside(y))
                .sum();
            let z = (volume.mean - exact.ln()) / volume.mcse;
            assert!(
                z.abs() < 8.6 && volume.mcse < 0.15,
                "{epsilon}: {volume:?} {}",
                exact.ln()
            );
        }
    }

    /// Abramowitz and Stegun 7.1.5 below 3, else 1: 1e-5 is left, far below the test's errors.
    fn erf(x: f64) -> f64 {
        if x > 3.0 {
            return 1.0;
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..60 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        2.0 / std::f64::consts::PI.sqrt() * sum
    }

    #[test]
    fn impossible_settings_are_named() {
        let target = Quadratic::new(array![[1.0]], array![0.0], 0.0, 10);
        let message = |splitting: Splitting, epsilons: &[f64]| {
            let error = log_volumes(&target, array![0.0].view(), epsilons, &splitting);
            error.expect_err("refused").to_string()
        };
        let good = splitting();
        assert!(message(Splitting { gamma: 0.0, ..good }, &[1.0]).starts_with("gamma is 0"));
        assert!(
            message(
                Splitting {
                    n_particles: 3,
                    ..good
                },
                &[1.0]
            )
            .starts_with("n_particles is 3")
        );
        assert!(
            message(
                Splitting {
                    n_populations: 1,
                    ..good
                },
                &[1.0]
            )
            .starts_with("n_populations is 1")
        );
        assert!(message(Splitting { n_moves: 0, ..good }, &[1.0]).starts_with("n_moves is 0"));
        assert!(message(good, &[1.0, 2.0]).starts_with("epsilon is 2"));
        assert!(message(good, &[0.0]).starts_with("epsilon is 0"));
        let nan = log_volumes(&target, array![f64::NAN].view(), &[1.0], &good);
        assert!(matches!(nan, Err(VolumeError::InitialLoss(_))));
        let flat = Quadratic::new(array![[0.0]], array![0.0], 0.0, 10);
        let stuck = log_volumes(&flat, array![0.0].view(), &[1.0, 0.5], &good).expect("all of it");
        assert!(stuck.iter().all(|v| v.mean == 0.0));
    }
}
