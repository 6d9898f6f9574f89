//! Posterior means over all of parameter space, however many phases it has, and the evidence.
//!
//! A chain stays in the phase that it starts in. A population of particles begins in the prior, `nβ = 0`, where all phases are
//! one, and is cooled in small steps: each particle is weighted by the change of its likelihood, particles are resampled by their
//! weights, and each is moved by Hamiltonian trajectories that leave the law at the new nβ as it is (tempered sequential Monte
//! Carlo; Del Moral, Doucet and Jasra 2006). Phases gain and lose particles by their weights, so that nothing has to cross
//! the barriers between them; the moves have to be good within a phase alone. The product of the mean weights is an unbiased
//! estimate of the evidence `Z(nβ) = ∫ exp(-nβ L(w)) φ(w) dw`.
//!
//! Populations share the steps in nβ and the step size of the moves, and nothing else. Means over all of them are weighted by
//! their evidences, which makes them consistent in the number of populations, and have the error of a ratio.

use ndarray::{Array2, ArrayView1, Axis, s};
use rand::RngExt;
use slt_stats::{Estimate, EstimateError};

use crate::chains::{Ensemble, Plan, RunError, Schedule, run};
use crate::dynamics::{Dynamics, DynamicsError, Row};
use crate::kernel::Kernel;
use crate::noise::RowNoise;
use crate::stream::{Purpose, rng};
use crate::target::Target;

/// Effective share of the particles that a step in nβ leaves.
const SHARE: f64 = 0.6;
/// Accepted share of the trajectories that their step is adapted to.
const ACCEPTANCE: f64 = 0.8;
/// Rows that a worker moves together.
const BLOCK: usize = 64;

/// How populations are cooled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Populations {
    /// Precision of the normal prior.
    pub gamma: f64,
    /// Independent populations, whose spread is the error.
    pub n_populations: usize,
    /// Particles of each.
    pub n_particles: usize,
    /// Trajectories of each particle at each step in nβ.
    pub n_moves: usize,
    /// Leapfrog steps of a trajectory.
    pub n_leapfrog: u32,
    /// Seed.
    pub seed: u64,
    /// Worker threads.
    pub n_threads: usize,
}

/// All particles at one nβ.
#[derive(Debug, Clone)]
pub struct Cooled {
    /// nβ.
    pub nbeta: f64,
    /// The estimate of `log Z` by each population.
    pub log_evidences: Vec<f64>,
    /// The particles, those of a population together, shape `[n_populations n_particles, d]`.
    pub rows: Array2<f64>,
    /// Their losses. Units: nats.
    pub losses: Vec<f64>,
    /// Steps in nβ since the last of these.
    pub n_steps: usize,
    /// Accepted share of the last trajectories.
    pub acceptance: f64,
}

/// Why populations are not cooled.
#[derive(Debug, thiserror::Error)]
pub enum PopulationError {
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
    /// No step leaves enough particles.
    #[error(
        "no step from nβ = {nbeta:e} leaves {SHARE} of the particles, however short: are the losses finite?"
    )]
    Stuck {
        /// Where.
        nbeta: f64,
    },
    /// The moves' step size, nβ or precision.
    #[error(transparent)]
    Dynamics(#[from] DynamicsError),
    /// The moves cannot be made.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A mean is none.
    #[error(transparent)]
    Estimate(#[from] EstimateError),
}

impl Cooled {
    /// `log Z`. Its error is that of the mean of the populations' evidences.
    ///
    /// # Errors
    /// [`EstimateError`] where an evidence is not finite.
    pub fn log_evidence(&self) -> Result<Estimate, EstimateError> {
        let (weights, largest) = self.weights();
        let mean = Estimate::from_replicates(&weights)?;
        Ok(Estimate {
            mean: largest + mean.mean.ln(),
            mcse: mean.mcse / mean.mean,
            n: mean.n,
        })
    }

    /// The posterior mean of a function that has `values` at the particles.
    ///
    /// Shapes: `values`: `[n_populations n_particles]`.
    ///
    /// # Errors
    /// [`EstimateError`] where a value is not finite.
    ///
    /// # Panics
    /// If there is not one value for each particle.
    pub fn mean(&self, values: &[f64]) -> Result<Estimate, EstimateError> {
        self.mean_of_part(values, &vec![1.0; values.len()])
    }

    /// The posterior mean of the same over a part of parameter space, `E[f 1_part]/E[1_part]`: `inside` is 1 at the particles in it, else 0.
    ///
    /// Shapes: `values`, `inside`: `[n_populations n_particles]`.
    ///
    /// # Errors
    /// [`EstimateError`] where a value is not finite or no particle is inside.
    ///
    /// # Panics
    /// If there is not one value for each particle.
    pub fn mean_of_part(&self, values: &[f64], inside: &[f64]) -> Result<Estimate, EstimateError> {
        assert_eq!(
            values.len(),
            self.losses.len(),
            "one value for each particle"
        );
        assert_eq!(
            inside.len(),
            self.losses.len(),
            "one value for each particle"
        );
        let (weights, _) = self.weights();
        let n = self.losses.len() / weights.len();
        let sums = values.chunks(n).zip(inside.chunks(n)).zip(&weights);
        let sums: Vec<[f64; 2]> = sums
            .map(|((f, inside), w)| {
                let of = |sum: f64| w * sum / n as f64;
                [
                    of(f.iter().zip(inside).map(|(f, i)| f * i).sum()),
                    of(inside.iter().sum()),
                ]
            })
            .collect();
        let [above, below] = [0, 1].map(|k| sums.iter().map(|s| s[k]).sum::<f64>());
        let mean = above / below;
        // to first order the error of the ratio is that of the mean of these
        let unit = below / sums.len() as f64;
        let residuals: Vec<f64> = sums.iter().map(|[f, i]| (f - mean * i) / unit).collect();
        let error = Estimate::from_replicates(&residuals)?;
        Ok(Estimate { mean, ..error })
    }

    /// Every `stride`-th particle of each population alone, for what is expensive to find out of each. Neighbours often have one ancestor: little is lost.
    ///
    /// # Panics
    /// If `stride` is zero.
    #[must_use]
    pub fn thinned(&self, stride: usize) -> Self {
        let n = self.losses.len() / self.log_evidences.len();
        let of = |p: usize| (p * n..(p + 1) * n).step_by(stride);
        let kept: Vec<usize> = (0..self.log_evidences.len()).flat_map(of).collect();
        Self {
            rows: self.rows.select(Axis(0), &kept),
            losses: kept.iter().map(|&i| self.losses[i]).collect(),
            log_evidences: self.log_evidences.clone(),
            ..*self
        }
    }

    /// The populations' evidences over the largest, and its logarithm.
    fn weights(&self) -> (Vec<f64>, f64) {
        let largest = |m: f64, &x: &f64| m.max(x);
        let largest = self.log_evidences.iter().fold(f64::NEG_INFINITY, largest);
        let weight = |x: &f64| (x - largest).exp();
        (self.log_evidences.iter().map(weight).collect(), largest)
    }
}

/// Cools populations from the prior, a normal around `mean`, to each of `nbetas` in turn.
///
/// A particle whose loss is not a number has no weight. `progress` is called with the number of trajectories done since its last call.
///
/// Shapes: `mean`: `[d]`; `nbetas`: positive, increasing. Returns one for each.
///
/// # Errors
/// [`PopulationError`] names the setting that is impossible, or where the populations are stuck.
pub fn populations<T: Target + Clone + Send + Sync>(
    target: &T,
    mean: ArrayView1<f64>,
    nbetas: &[f64],
    settings: &Populations,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Cooled>, PopulationError> {
    settings.check(nbetas)?;
    let mut now = settings.start(target, mean);
    let mut mover = Mover {
        target,
        settings,
        anchors: mean
            .broadcast(now.rows.dim())
            .ok_or(RunError::Shape {
                name: "mean",
                got: vec![mean.len()],
                expected: vec![target.n_params()],
            })?
            .to_owned(),
        log_step: -(settings.gamma.ln()),
        round: 0,
        progress,
    };
    let mut all = Vec::with_capacity(nbetas.len());
    for &nbeta in nbetas {
        now.n_steps = 0;
        while now.nbeta < nbeta {
            let next = settings.next(&now, nbeta)?;
            settings.resample(&mut now, next, mover.round);
            for _ in 0..settings.n_moves {
                mover.step(&mut now)?;
            }
            now.n_steps += 1;
        }
        all.push(now.clone());
    }
    Ok(all)
}

impl Populations {
    fn check(&self, nbetas: &[f64]) -> Result<(), PopulationError> {
        let setting = |name, value, expected| {
            Err(PopulationError::Setting {
                name,
                value,
                expected,
            })
        };
        if !(0.0 < self.gamma && self.gamma.is_finite()) {
            return setting("gamma", self.gamma, "a positive number");
        }
        if self.n_populations < 2 {
            return setting("n_populations", self.n_populations as f64, "at least 2");
        }
        if self.n_particles < 16 {
            return setting("n_particles", self.n_particles as f64, "at least 16");
        }
        for (name, count) in [
            ("n_moves", self.n_moves),
            ("n_leapfrog", self.n_leapfrog as usize),
            ("n_threads", self.n_threads),
        ] {
            if count == 0 {
                return setting(name, 0.0, "at least 1");
            }
        }
        let mut before = 0.0;
        for &nbeta in nbetas {
            if !(before < nbeta && nbeta.is_finite()) {
                let expected = "a positive number, more than the one before it";
                return setting("nbeta", nbeta, expected);
            }
            before = nbeta;
        }
        Ok(())
    }

    /// Independent draws of the prior.
    fn start<T: Target + Clone>(&self, target: &T, mean: ArrayView1<f64>) -> Cooled {
        let (n, d) = (self.n_populations * self.n_particles, target.n_params());
        let sd = 1.0 / self.gamma.sqrt();
        let mut rows = Array2::zeros((n, d));
        for (i, mut row) in (0..).zip(rows.rows_mut()) {
            let mut noise = RowNoise::for_purpose(self.seed, Purpose::Initialisation, i, d);
            noise.for_step(0, |at, xi| {
                for (j, &x) in (at..).zip(xi) {
                    row[j] = mean[j] + sd * f64::from(x);
                }
            });
        }
        let mut losses = vec![f64::NAN; n];
        target.clone().loss(rows.view(), &mut losses);
        Cooled {
            nbeta: 0.0,
            log_evidences: vec![0.0; self.n_populations],
            rows,
            losses,
            n_steps: 0,
            acceptance: f64::NAN,
        }
    }

    /// The nβ of the next step, `last` at most.
    fn next(&self, now: &Cooled, last: f64) -> Result<f64, PopulationError> {
        let share = |nbeta: f64| {
            let populations = now.losses.chunks(self.n_particles);
            let shares = populations.map(|losses| {
                let weights = weights(losses, nbeta - now.nbeta).0;
                let sum: f64 = weights.iter().sum();
                let squares: f64 = weights.iter().map(|w| w * w).sum();
                sum * sum / squares / self.n_particles as f64
            });
            shares.sum::<f64>() / self.n_populations as f64
        };
        if share(last) >= SHARE {
            return Ok(last);
        }
        let (mut low, mut high) = (0.0, last - now.nbeta);
        // to a hundredth of the step
        while high > 1.01 * low {
            let middle = if low > 0.0 {
                0.5 * (low + high)
            } else {
                0.1 * high
            };
            if share(now.nbeta + middle) >= SHARE {
                low = middle;
            } else {
                high = middle;
            }
            if now.nbeta + high <= now.nbeta * (1.0 + 1e-9) {
                return Err(PopulationError::Stuck { nbeta: now.nbeta });
            }
        }
        Ok(now.nbeta + low)
    }

    /// Takes all populations to `next` by weights and systematic resampling.
    fn resample(&self, now: &mut Cooled, next: f64, round: u64) {
        let (n, before) = (self.n_particles, now.clone());
        for (p, log_evidence) in now.log_evidences.iter_mut().enumerate() {
            let own = p * n..(p + 1) * n;
            let (weights, least) = weights(&before.losses[own.clone()], next - before.nbeta);
            let sum: f64 = weights.iter().sum();
            *log_evidence += (sum / n as f64).ln() - (next - before.nbeta) * least;
            let offset: f64 = rng(self.seed, Purpose::Annealing, p as u64, round).random();
            let (mut reached, mut from) = (weights[0], 0);
            for i in 0..n {
                let wanted = (i as f64 + offset) / n as f64 * sum;
                while reached < wanted && from + 1 < n {
                    from += 1;
                    reached += weights[from];
                }
                let from = own.start + from;
                now.rows
                    .row_mut(own.start + i)
                    .assign(&before.rows.row(from));
                now.losses[own.start + i] = before.losses[from];
            }
        }
        now.nbeta = next;
    }
}

/// `exp(-step (L - least L))` of each particle, 0 where the loss is not a number, and the least.
fn weights(losses: &[f64], step: f64) -> (Vec<f64>, f64) {
    let least = losses.iter().fold(f64::INFINITY, |m, &l| m.min(l));
    let weight = |&l: &f64| {
        if l.is_nan() {
            0.0
        } else {
            (-step * (l - least)).exp()
        }
    };
    (losses.iter().map(weight).collect(), least)
}

struct Mover<'a, T> {
    target: &'a T,
    settings: &'a Populations,
    anchors: Array2<f64>,
    /// The logarithm of the trajectories' step size.
    log_step: f64,
    /// Trajectories so far.
    round: u64,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<T: Target + Clone + Send + Sync> Mover<'_, T> {
    /// One trajectory of every particle, and a step size that is nearer to the acceptance that is wanted.
    fn step(&mut self, now: &mut Cooled) -> Result<(), PopulationError> {
        let plan = Plan {
            kernel: Kernel::Hmc {
                n_leapfrog: self.settings.n_leapfrog,
            },
            schedule: Schedule {
                burn_in: 1,
                n_draws: 1,
                thin: 1,
            },
            batch_size: None,
            radius: None,
            seed: self.settings.seed,
            keep_positions: false,
            n_threads: self.settings.n_threads,
            block: BLOCK,
        };
        let dynamics = Dynamics::new(self.log_step.exp(), now.nbeta, self.settings.gamma)?;
        let rows = Row::many(self.round << 32, now.losses.len(), dynamics);
        let ensemble = Ensemble {
            starts: Some(now.rows.view()),
            ..Ensemble::new(self.anchors.view(), &rows)
        };
        let draws = run(self.target, &plan, &ensemble, self.progress)?;
        now.losses = draws.loss.index_axis(Axis(1), 0).to_vec();
        now.rows.slice_mut(s![.., ..]).assign(&draws.last);
        let accepted = draws.acceptance.expect("there is a Metropolis test");
        now.acceptance = accepted.iter().sum::<f64>() / accepted.len() as f64;
        self.log_step += 2.0 * (now.acceptance - ACCEPTANCE);
        self.round += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{NormalCrossing, Quadratic};
    use ndarray::{Array1, array};
    use slt_theory::{FiniteLaw, monomial_law};

    const SETTINGS: Populations = Populations {
        gamma: 1.0,
        n_populations: 32,
        n_particles: 500,
        n_moves: 3,
        n_leapfrog: 4,
        seed: 1,
        n_threads: 2,
    };

    /// t of evidence and mean energy against a law, and their errors.
    fn against(law: &FiniteLaw, cooled: &Cooled) -> [(f64, f64); 2] {
        let f: Vec<f64> = cooled.losses.iter().map(|l| cooled.nbeta * l).collect();
        let evidence = cooled.log_evidence().expect("finite");
        let mean = cooled.mean(&f).expect("finite");
        [(evidence, law.log_evidence()), (mean, law.mean())]
            .map(|(found, exact)| ((found.mean - exact) / found.mcse, found.mcse))
    }

    /// `w₁²w₂²`, at two temperatures and three seeds: the exact evidence and energy, and not those of a prior that is 5 % narrower.
    #[test]
    fn a_crossing_has_its_evidence_and_energy() {
        let target = NormalCrossing::new(1.0, &[1, 1], 10);
        let law = |nbeta, gamma| monomial_law(1.0, &[1, 1], nbeta, gamma).expect("valid");
        let mut wrong = 0.0;
        for seed in 1..4 {
            let settings = Populations { seed, ..SETTINGS };
            let all = populations(
                &target,
                Array1::zeros(2).view(),
                &[10.0, 300.0],
                &settings,
                &|_| (),
            )
            .expect("cooled");
            for cooled in &all {
                // Student's t with 31 degrees of freedom: the 1e-5/12 point is 6.4
                for (t, mcse) in against(&law(cooled.nbeta, 1.0), cooled) {
                    assert!(t.abs() < 6.4 && mcse < 0.01, "{seed}: {t} {mcse}");
                }
            }
            let [(t, _), _] = against(&law(300.0, 1.05), &all[1]);
            wrong += t / 3f64.sqrt();
        }
        assert!(wrong.abs() > 6.4, "{wrong}");
    }

    /// Two quadratic wells of different width and depth in two dimensions, with a wall between: their masses by hand.
    #[derive(Debug, Clone)]
    struct Wells(Quadratic);

    /// Curvature, and loss at the minimum, of the well at `w₁ < 0` and of that at `w₁ > 0`.
    const WELLS: [(f64, f64); 2] = [(1.0, 0.05), (9.0, 0.0)];

    impl Target for Wells {
        fn n_params(&self) -> usize {
            2
        }
        fn n_samples(&self) -> usize {
            10
        }
        fn loss_and_grad(
            &mut self,
            rows: ndarray::ArrayView2<f64>,
            batch: crate::Batch,
            mut grad: ndarray::ArrayViewMut2<f64>,
            loss: &mut [f64],
        ) {
            self.0.loss_and_grad(rows, batch, grad.view_mut(), loss);
            for (i, row) in rows.rows().into_iter().enumerate() {
                let (h, least) = WELLS[usize::from(row[0] > 0.0)];
                let away = row[0].abs() - 1.0;
                grad[[i, 0]] = h * away * row[0].signum();
                grad[[i, 1]] = h * row[1];
                loss[i] = least + 0.5 * h * (away * away + row[1] * row[1]);
            }
        }
        fn loss(&mut self, rows: ndarray::ArrayView2<f64>, loss: &mut [f64]) {
            let mut grad = Array2::zeros(rows.dim());
            self.loss_and_grad(rows, crate::Batch::Full, grad.view_mut(), loss);
        }
    }

    /// `∫ exp(-nβL) φ` of one well at γ = 1, by the trapezoidal rule.
    fn mass(well: usize, nbeta: f64) -> f64 {
        let (h, least) = WELLS[well];
        let step = 1e-3;
        let along: f64 = (0..8000)
            .map(|k| step * (f64::from(k) + 0.5))
            .map(|x| step * (-0.5 * (nbeta * h * (x - 1.0) * (x - 1.0) + x * x)).exp())
            .sum();
        along * (-nbeta * least).exp() / (nbeta * h + 1.0).sqrt()
    }

    #[test]
    fn phases_have_their_masses() {
        let target = Wells(Quadratic::new(Array2::eye(2), array![0.0, 0.0], 0.0, 10));
        let nbetas = [20.0, 45.0, 120.0];
        let all = populations(
            &target,
            Array1::zeros(2).view(),
            &nbetas,
            &SETTINGS,
            &|_| (),
        )
        .expect("cooled");
        let mut masses = Vec::new();
        for cooled in &all {
            let [a, b] = [0, 1].map(|well| mass(well, cooled.nbeta));
            let inside = |sign: f64| -> Vec<f64> {
                let first = cooled.rows.column(0);
                first.iter().map(|&x| f64::from(sign * x > 0.0)).collect()
            };
            let left = cooled.mean(&inside(-1.0)).expect("finite");
            let t = (left.mean - a / (a + b)) / left.mcse;
            assert!(
                t.abs() < 6.1 && left.mcse < 0.02,
                "{}: {t} {left}",
                cooled.nbeta
            );
            masses.push(a / (a + b));
        }
        // the test sees the left well win and lose
        assert!(masses[0] > 0.6 && masses[2] < 0.1, "{masses:?}");

        // a mean over the right well alone, where most particles are: ½s/(s + 1) for each direction, and ½s/(s + 1)² for the prior's pull along the first
        let cooled = &all[2];
        let f: Vec<f64> = cooled.losses.iter().map(|l| 120.0 * l).collect();
        let right: Vec<f64> = cooled
            .rows
            .column(0)
            .iter()
            .map(|&x| f64::from(x > 0.0))
            .collect();
        let s = 120.0 * WELLS[1].0;
        let exact = s / (s + 1.0) + 0.5 * s / ((s + 1.0) * (s + 1.0));
        let energy = cooled.mean_of_part(&f, &right).expect("finite");
        let t = (energy.mean - exact) / energy.mcse;
        assert!(t.abs() < 6.1 && energy.mcse < 0.015, "{t} {energy}");

        // every third particle of each population, the rest as it was
        let thinned = cooled.thinned(3);
        assert_eq!(thinned.losses.len(), 32 * 167);
        assert_eq!(
            (thinned.losses[1], thinned.losses[167]),
            (cooled.losses[3], cooled.losses[500])
        );
        assert_eq!(thinned.rows.row(168), cooled.rows.row(503));
        assert_eq!(thinned.log_evidences, cooled.log_evidences);
    }

    #[test]
    fn impossible_settings_are_named() {
        let target = NormalCrossing::new(1.0, &[1, 1], 10);
        let message = |settings: Populations, nbetas: &[f64]| {
            populations(&target, Array1::zeros(2).view(), nbetas, &settings, &|_| ())
                .expect_err("refused")
                .to_string()
        };
        let bad = |f: fn(&mut Populations)| {
            let mut settings = SETTINGS;
            f(&mut settings);
            message(settings, &[10.0])
        };
        assert!(bad(|s| s.gamma = f64::NAN).contains("gamma is NaN"));
        assert!(bad(|s| s.n_populations = 1).contains("n_populations is 1"));
        assert!(bad(|s| s.n_particles = 4).contains("n_particles is 4"));
        assert!(bad(|s| s.n_moves = 0).contains("n_moves is 0"));
        assert!(bad(|s| s.n_leapfrog = 0).contains("n_leapfrog is 0"));
        assert!(message(SETTINGS, &[10.0, 3.0]).contains("nbeta is 3"));
        assert!(message(SETTINGS, &[f64::NAN]).contains("nbeta is NaN"));
    }
}
