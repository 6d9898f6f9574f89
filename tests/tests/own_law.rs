//! Kernels without a Metropolis test on losses that are not quadratic, against their own stationary laws; and SGLD on minibatches.
//!
//! In one dimension a law of discrete time is had without any chain: the density is carried from step to step on a grid, by the
//! trapezoidal rule, until it stays. For SGLD the state is `w`, for SGHMC the pair of the last two positions, as `v_t = w_t - w_{t-1}`. Both
//! laws differ from the density by a multiple of ε, to first order. (For steps so large that a quartic force overshoots there is no law; here
//! that is `exp(-50)` away, beyond the grid.)

use ndarray::{Array1, Array2, Axis, array};
use slt_sampler::targets::{GaussianLocation, NormalCrossing};
use slt_sampler::{Dynamics, Ensemble, Kernel, Plan, Row, Schedule, Target, chains};
use slt_stats::{Estimate, Outcome};
use slt_tests::{Experiment, minibatch_mean, z_test};

const SEEDS: [u64; 3] = [1, 2, 3];
const GAMMA: f64 = 2.0;
/// `nβ`.
const S: f64 = 50.0;

/// `K = c w^(2k)` held at `a` by γ.
#[derive(Debug, Clone, Copy)]
struct Germ {
    c: f64,
    k: u32,
    anchor: f64,
    /// The largest of the steps, of which the others are a half and a quarter.
    step_size: f64,
}

const GERMS: [Germ; 3] = [
    Germ {
        c: 0.4,
        k: 2,
        anchor: 0.0,
        step_size: 0.016,
    },
    Germ {
        c: 0.2,
        k: 2,
        anchor: 0.7,
        step_size: 0.016,
    },
    Germ {
        c: 0.5,
        k: 3,
        anchor: -0.6,
        step_size: 0.012,
    },
];

impl Germ {
    fn loss(&self, w: f64) -> f64 {
        S * self.c * w.powi(2 * self.k as i32)
    }

    fn potential(&self, w: f64) -> f64 {
        self.loss(w) + 0.5 * GAMMA * (w - self.anchor).powi(2)
    }

    fn force(&self, w: f64) -> f64 {
        let k = self.k as i32;
        -S * self.c * f64::from(2 * k) * w.powi(2 * k - 1) - GAMMA * (w - self.anchor)
    }

    /// Points `h` apart, as far as the density is above `e^-40`.
    fn grid(&self, h: f64) -> Vec<f64> {
        let reach = |sign: f64| {
            let beyond = (0..).find(|&i| self.potential(sign * h * f64::from(i)) > 45.0);
            beyond.expect("the potential grows") + 3
        };
        (-reach(-1.0)..=reach(1.0))
            .map(|i| h * f64::from(i))
            .collect()
    }

    /// `E[sK]` under the density.
    fn exact(&self) -> f64 {
        let grid = self.grid(1e-3);
        let weights: Vec<f64> = grid.iter().map(|&w| (-self.potential(w)).exp()).collect();
        mean(&grid, &weights, |w| self.loss(w))
    }

    /// `E[sK]` under the stationary law of SGLD, with `per_noise` points of the grid for a standard deviation of the noise.
    fn sgld(&self, step_size: f64, per_noise: f64) -> f64 {
        let grid = self.grid(step_size.sqrt() / per_noise);
        let kernel: Vec<Spread> = grid
            .iter()
            .map(|&w| Spread::new(&grid, w + 0.5 * step_size * self.force(w), step_size))
            .collect();
        let mut density: Vec<f64> = grid.iter().map(|&w| (-self.potential(w)).exp()).collect();
        until_it_stays(|| {
            let mut next = vec![0.0; grid.len()];
            for (p, spread) in density.iter().zip(&kernel) {
                spread.add(*p, &mut next);
            }
            density = next;
            mean(&grid, &density, |w| self.loss(w))
        })
    }

    /// The same of SGHMC: the density of the pair `(w_t, w_{t-1})`.
    fn sghmc(&self, step_size: f64, friction: f64, per_noise: f64) -> f64 {
        let variance = friction * step_size;
        let grid = self.grid(variance.sqrt() / per_noise);
        let n = grid.len();
        let kernel: Vec<Spread> = (0..n * n)
            .map(|pair| {
                let (now, before) = (grid[pair / n], grid[pair % n]);
                let velocity =
                    (1.0 - friction) * (now - before) + 0.5 * step_size * self.force(now);
                Spread::new(&grid, now + velocity, variance)
            })
            .collect();
        // from rest
        let mut density = vec![0.0; n * n];
        for (i, &w) in grid.iter().enumerate() {
            density[i * n + i] = (-self.potential(w)).exp();
        }
        until_it_stays(|| {
            // the latest position first: `next[now][later]` is turned over at the end
            let mut next = vec![0.0; n * n];
            for (pair, &p) in density.iter().enumerate() {
                if p > 1e-20 {
                    kernel[pair].add(p, &mut next[pair / n * n..][..n]);
                }
            }
            for (pair, p) in density.iter_mut().enumerate() {
                *p = next[pair % n * n + pair / n];
            }
            let now: Vec<f64> = density.chunks(n).map(|row| row.iter().sum()).collect();
            mean(&grid, &now, |w| self.loss(w))
        })
    }

    fn target(&self) -> NormalCrossing {
        NormalCrossing::new(self.c, &[self.k], 100)
    }
}

/// A normal density on a grid, as far as it is above rounding.
struct Spread {
    from: usize,
    weights: Vec<f64>,
}

impl Spread {
    fn new(grid: &[f64], mean: f64, variance: f64) -> Self {
        let reach = 8.0 * variance.sqrt();
        let from = grid.partition_point(|&w| w < mean - reach);
        let to = grid.partition_point(|&w| w <= mean + reach);
        let density = |w: &f64| (-0.5 * (w - mean).powi(2) / variance).exp();
        let scale = (grid[1] - grid[0]) / (std::f64::consts::TAU * variance).sqrt();
        let weights = grid[from..to].iter().map(|w| scale * density(w)).collect();
        Self { from, weights }
    }

    fn add(&self, p: f64, next: &mut [f64]) {
        for (next, weight) in next[self.from..].iter_mut().zip(&self.weights) {
            *next += p * weight;
        }
    }
}

fn mean(grid: &[f64], weights: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    let sum: f64 = grid.iter().zip(weights).map(|(&w, p)| p * f(w)).sum();
    sum / weights.iter().sum::<f64>()
}

fn until_it_stays(mut step: impl FnMut() -> f64) -> f64 {
    let (mut last, mut calm) = (f64::NAN, 0);
    for _ in 0..100_000 {
        let value = step();
        calm = if (value - last).abs() < 1e-12 * value {
            calm + 1
        } else {
            0
        };
        if calm == 10 {
            return value;
        }
        last = value;
    }
    panic!("no law after 100 000 steps: {last}");
}

/// The mean of `sK` over each chain, with noise that is too large by a factor.
fn replicates(germ: &Germ, kernel: Kernel, step_size: f64, noise: f64, seed: u64) -> Vec<f64> {
    let n_draws = (200.0 / step_size) as usize;
    let anchor = array![germ.anchor];
    let dynamics =
        Dynamics::new(step_size, S, GAMMA).and_then(|d| d.with_temperature(noise * noise));
    let experiment = Experiment {
        kernel,
        dynamics: dynamics.expect("valid"),
        anchor: anchor.view(),
        schedule: Schedule {
            burn_in: n_draws / 20,
            n_draws,
            thin: 1,
        },
        n_chains: 64,
    };
    let above_anchor = experiment.replicates(&germ.target(), seed);
    let initial = germ.loss(germ.anchor);
    above_anchor.iter().map(|x| x + initial).collect()
}

/// `log2(a / b)` and its standard error.
fn doublings(a: Estimate, b: Estimate) -> [f64; 2] {
    let error = (a.mcse / a.mean).hypot(b.mcse / b.mean);
    [(a.mean / b.mean).log2(), error / std::f64::consts::LN_2]
}

/// At ε, ε/2 and ε/4 the chains have the kernel's own law; the bias of that law tends to a multiple of ε, and the measured bias shows
/// the same order within its error.
fn check(kernel: Kernel, law: impl Fn(&Germ, f64) -> f64) {
    let n_comparisons = GERMS.len() * 3 * SEEDS.len();
    for germ in &GERMS {
        let exact = germ.exact();
        let steps = [1.0, 0.5, 0.25].map(|part| part * germ.step_size);
        let laws = steps.map(|step_size| law(germ, step_size));
        let smallest = law(germ, 0.125 * germ.step_size) - exact;
        let [first, second, third] = laws.map(|law| law - exact);
        let orders = [second / third, third / smallest].map(f64::log2);
        // the term of the next order halves with the step
        let limit = 2.0 * orders[1] - orders[0];
        println!("{germ:?}: exact {exact}, {laws:?}, orders {orders:?} to {limit}");
        assert!((limit - 1.0).abs() < 0.02, "{orders:?}");
        let mut measured = Vec::new();
        for (&step_size, &expected) in steps.iter().zip(&laws) {
            let mut all = Vec::new();
            for seed in SEEDS {
                let replicates = replicates(germ, kernel, step_size, 1.0, seed);
                let result = z_test(&replicates, expected, n_comparisons);
                println!("{kernel:?}, step {step_size}, seed {seed}: {result}");
                assert_eq!(result.outcome, Outcome::Agrees, "{result}");
                all.extend(replicates.iter().map(|x| x - exact));
            }
            measured.push(Estimate::from_replicates(&all).expect("finite"));
        }
        let [order, error] = doublings(measured[0], measured[1]);
        let expected = (first / second).log2();
        println!("order {order} ± {error}, expected {expected}");
        let off = (order - expected).abs();
        assert!(error < 0.3 && off < 4.4 * error, "{order} ± {error}");
        let wrong = z_test(
            &replicates(germ, kernel, steps[1], 1.05, 1),
            laws[1],
            n_comparisons,
        );
        println!("noise × 1.05: {wrong}");
        assert!(wrong.p < wrong.level, "{wrong}");
    }
}

#[test]
fn sgld_has_its_own_law() {
    check(Kernel::Sgld, |germ, step_size| germ.sgld(step_size, 3.0));
}

#[test]
fn sghmc_has_its_own_law() {
    let friction = 0.5;
    check(Kernel::Sghmc { friction }, |germ, step_size| {
        germ.sghmc(step_size, friction, 2.5)
    });
}

/// Of a quadratic the laws are known, `E[sK] = κ V/2` with `V = 1/(a (1 - εa/4))` and `1/(a (1 - εa/(4 (2 - α))))`; and a finer grid
/// changes nothing.
#[test]
fn laws_on_a_grid_are_exact() {
    let (step_size, friction) = (0.05, 0.4);
    let quadratic = Germ {
        c: 0.1,
        k: 1,
        anchor: 0.0,
        step_size,
    };
    let kappa = 2.0 * S * quadratic.c;
    let a = kappa + GAMMA;
    let of = |times: f64| 0.5 * kappa / (a * (1.0 - times * step_size * a / 4.0));
    let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-7, "{a} {b}");
    close(quadratic.exact(), 0.5 * kappa / a);
    close(quadratic.sgld(step_size, 3.0), of(1.0));
    close(
        quadratic.sghmc(step_size, friction, 2.5),
        of(1.0 / (2.0 - friction)),
    );
    for germ in &GERMS {
        let step_size = germ.step_size;
        close(germ.sgld(step_size, 3.0), germ.sgld(step_size, 4.0));
    }
    close(
        GERMS[1].sghmc(0.016, 0.5, 2.5),
        GERMS[1].sghmc(0.016, 0.5, 3.5),
    );
}

/// SGLD on minibatches of a quadratic, whose gradient noise is the same everywhere, at noise three times that of the temperature.
#[test]
fn minibatches_have_their_own_law() {
    let x = Array2::from_shape_fn((24, 3), |(i, j)| {
        (1.3 * i as f64 + 0.7 * (i * j) as f64).sin()
    });
    let target = GaussianLocation::new(x.clone()).expect("samples");
    let anchor = Array1::from(target.minimum().to_vec());
    let schedule = Schedule {
        burn_in: 300,
        n_draws: 3000,
        thin: 1,
    };
    for (batch_size, step_size) in [(2, 0.05), (6, 0.1), (24, 0.1)] {
        let dynamics = Dynamics::new(step_size, 8.0, 1.0).expect("valid");
        let expected = minibatch_mean(x.view(), batch_size, &dynamics, schedule);
        for seed in SEEDS {
            let replicates = |noise: f64| {
                let plan = Plan {
                    kernel: Kernel::Sgld,
                    schedule,
                    batch_size: Some(batch_size),
                    radius: None,
                    seed,
                    keep_positions: false,
                    n_threads: 2,
                    block: 16,
                };
                let dynamics = dynamics.with_temperature(noise * noise).expect("valid");
                let rows = Row::many(0, 128, dynamics);
                let anchors = anchor.broadcast((128, 3)).expect("rows");
                let draws = chains::run(&target, &plan, &Ensemble::new(anchors, &rows), &|_| ());
                let mean = draws
                    .expect("valid")
                    .loss
                    .mean_axis(Axis(1))
                    .expect("draws");
                let mut initial = [f64::NAN];
                target
                    .clone()
                    .loss(anchor.view().insert_axis(Axis(0)), &mut initial);
                (8.0 * (mean - initial[0])).to_vec()
            };
            let result = z_test(&replicates(1.0), expected, 3 * SEEDS.len());
            println!("batches of {batch_size}, seed {seed}: {result}");
            assert_eq!(result.outcome, Outcome::Agrees, "{result}");
            let wrong = z_test(&replicates(1.05), expected, 3 * SEEDS.len());
            println!("noise × 1.05: {wrong}");
            assert!(wrong.p < wrong.level, "{wrong}");
        }
    }
}
