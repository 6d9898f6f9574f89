//! Every kernel against its own exact law: the density itself for those with a Metropolis test, the discretised law where it is
//! known, the right order of the bias where it is not.

use ndarray::{Array1, Array2, ArrayView1, array};
use slt_sampler::targets::{NormalCrossing, Quadratic};
use slt_sampler::{
    Draws, Dynamics, Ensemble, Kernel, Llc, Plan, Row, Schedule, Target, chains, default_nbeta,
};
use slt_stats::Outcome;
use slt_tests::{richardson, rotated, z_test};
use slt_theory::{LocalisedGaussian, NormalCrossingLaw};

const SEEDS: [u64; 3] = [1, 2, 3];
const N_CHAINS: usize = 512;

/// One run of a kernel on a target around an anchor.
struct Case<'a, T> {
    target: &'a T,
    anchor: Array1<f64>,
    kernel: Kernel,
    dynamics: Dynamics,
    scale: Option<Array1<f64>>,
    radius: Option<f64>,
    schedule: Schedule,
}

impl<T: Target + Clone + Send + Sync> Case<'_, T> {
    fn draws(&self, seed: u64, n_chains: usize) -> Draws {
        let wide = |row: &Array1<f64>| {
            let rows = row.broadcast((n_chains, row.len())).expect("rows");
            rows.to_owned()
        };
        let plan = Plan {
            kernel: self.kernel,
            schedule: self.schedule,
            batch_size: None,
            radius: self.radius,
            seed,
            keep_positions: false,
            n_threads: std::thread::available_parallelism().map_or(1, usize::from),
            block: 16,
        };
        let (anchors, scale) = (wide(&self.anchor), self.scale.as_ref().map(wide));
        let rows = Row::many(0, n_chains, self.dynamics);
        let ensemble = Ensemble {
            scale: scale.as_ref().map(|scale| scale.view()),
            ..Ensemble::new(anchors.view(), &rows)
        };
        chains::run(self.target, &plan, &ensemble, &|_| ()).expect("a valid run")
    }

    fn initial_loss(&self) -> f64 {
        let mut loss = [f64::NAN];
        let row = self.anchor.view().insert_axis(ndarray::Axis(0));
        self.target.clone().loss(row, &mut loss);
        loss[0]
    }

    /// `nβ (mean L - L(w*))` of each chain.
    fn replicates(&self, seed: u64) -> Vec<f64> {
        let loss = self.draws(seed, N_CHAINS).loss;
        let mean = loss.mean_axis(ndarray::Axis(1)).expect("draws");
        (self.dynamics.nbeta() * (mean - self.initial_loss())).to_vec()
    }

    fn agrees(&self, name: &str, expected: f64) {
        for seed in SEEDS {
            let result = z_test(&self.replicates(seed), expected, SEEDS.len());
            println!("{name}, {:?}, seed {seed}: {result}", self.kernel);
            assert_eq!(
                result.outcome,
                Outcome::Agrees,
                "{name}, {:?}, seed {seed}: {result}",
                self.kernel
            );
        }
    }
}

fn dynamics(step_size: f64, nbeta: f64, gamma: f64) -> Dynamics {
    Dynamics::new(step_size, nbeta, gamma).expect("valid")
}

/// Three directions, turned, the anchor off the minimum.
fn quadratic() -> (Quadratic, Array1<f64>, LocalisedGaussian) {
    let (eigenvalues, offset) = ([0.2, 1.0, 4.0], [0.3, -0.2, 0.1]);
    let (hessian, v) = rotated(&eigenvalues, &[0.6, -0.9, 0.4]);
    let minimum = array![1.0, 0.3, -0.4];
    let law = LocalisedGaussian::new(&eigenvalues, 20.0, 1.0).expect("confining");
    let law = law.with_anchor_offset(&offset).expect("finite");
    let anchor = &minimum + &v.dot(&ArrayView1::from(&offset));
    (Quadratic::new(hessian, minimum, 0.3, 100), anchor, law)
}

const LONG: Schedule = Schedule {
    burn_in: 200,
    n_draws: 2000,
    thin: 1,
};

/// At steps at which SGLD would be 20 % off.
#[test]
fn metropolis_kernels_are_exact_on_a_quadratic() {
    let (target, anchor, law) = quadratic();
    for (kernel, step_size) in [
        (Kernel::MALA, 0.02),
        (Kernel::Hmc { n_leapfrog: 5 }, 0.01),
        (Kernel::Hmc { n_leapfrog: 2 }, 0.03),
    ] {
        for scale in [None, Some(array![1.0, 0.7, 1.3])] {
            let case = Case {
                target: &target,
                anchor: anchor.clone(),
                kernel,
                dynamics: dynamics(step_size, 20.0, 1.0),
                scale,
                radius: None,
                schedule: LONG,
            };
            case.agrees("quadratic", law.mean());
        }
    }
}

/// A temperature T divides nβ and γ.
#[test]
fn a_temperature_divides_the_exponent() {
    let (target, anchor, _) = quadratic();
    let hot = LocalisedGaussian::new(&[0.2, 1.0, 4.0], 8.0, 0.4).expect("confining");
    let hot = hot.with_anchor_offset(&[0.3, -0.2, 0.1]).expect("finite");
    let case = Case {
        target: &target,
        anchor,
        kernel: Kernel::Hmc { n_leapfrog: 5 },
        dynamics: dynamics(0.01, 20.0, 1.0)
            .with_temperature(2.5)
            .expect("valid"),
        scale: None,
        radius: None,
        schedule: LONG,
    };
    case.agrees("temperature", 2.5 * hot.mean());
}

#[test]
fn metropolis_kernels_are_exact_on_a_normal_crossing() {
    let n = 100;
    let (gamma, nbeta) = (5.0, default_nbeta(n).expect("two samples"));
    let target = NormalCrossing::new(0.5, &[1, 1], n);
    let exact = NormalCrossingLaw::new(0.5, nbeta, gamma)
        .expect("valid")
        .mean();
    for (kernel, step_size) in [(Kernel::MALA, 0.06), (Kernel::Hmc { n_leapfrog: 5 }, 0.02)] {
        let case = Case {
            target: &target,
            anchor: array![0.0, 0.0],
            kernel,
            dynamics: dynamics(step_size, nbeta, gamma),
            scale: None,
            radius: None,
            schedule: Schedule {
                n_draws: 3000,
                ..LONG
            },
        };
        case.agrees("normal crossing", exact);
    }
}

/// `E x²/2 · κ` of a normal cut off at ±r, by Simpson's rule; SGLD's reflection has a bias of its own and is not tested here.
#[test]
fn a_box_cuts_the_density() {
    let (kappa, gamma, r) = (20.0, 1.0, 0.25);
    let target = Quadratic::new(array![[1.0]], array![0.0], 0.0, 100);
    let n = 2000;
    let at = |k: usize| -r + 2.0 * r * k as f64 / n as f64;
    let simpson = |f: &dyn Fn(f64) -> f64| -> f64 {
        let weight = |k: usize| {
            if k == 0 || k == n {
                1.0
            } else if k % 2 == 1 {
                4.0
            } else {
                2.0
            }
        };
        (0..=n).map(|k| weight(k) * f(at(k))).sum()
    };
    let density = |x: f64| (-0.5 * (kappa + gamma) * x * x).exp();
    let exact = simpson(&|x| 0.5 * kappa * x * x * density(x)) / simpson(&density);
    let case = Case {
        target: &target,
        anchor: array![0.0],
        kernel: Kernel::Hmc { n_leapfrog: 3 },
        dynamics: dynamics(0.01, kappa, gamma),
        scale: None,
        radius: Some(r),
        schedule: LONG,
    };
    case.agrees("box", exact);
}

/// SGHMC's own stationary variance `1/(a (1 - εa/(4 (2 - α))))` in each direction.
#[test]
fn sghmc_has_its_discretised_law() {
    let eigenvalues = [0.2, 1.0, 4.0];
    let (hessian, _) = rotated(&eigenvalues, &[0.6, -0.9, 0.4]);
    let target = Quadratic::new(hessian, array![0.0, 0.0, 0.0], 0.0, 100);
    let (nbeta, gamma, step_size) = (20.0, 1.0, 0.02);
    for friction in [0.1, 0.5, 1.0] {
        let mean = eigenvalues.iter().map(|h| {
            let a: f64 = nbeta * h + gamma;
            0.5 * nbeta * h / (a * (1.0 - step_size * a / (4.0 * (2.0 - friction))))
        });
        let case = Case {
            target: &target,
            anchor: array![0.0, 0.0, 0.0],
            kernel: Kernel::Sghmc { friction },
            dynamics: dynamics(step_size, nbeta, gamma),
            scale: None,
            radius: None,
            schedule: Schedule {
                burn_in: 1000,
                n_draws: 4000,
                thin: 1,
            },
        };
        case.agrees("SGHMC", mean.sum());
    }
}

/// A frozen preconditioner is SGLD with a step of its own in each parameter, with the law of that step.
#[test]
fn a_frozen_preconditioner_has_its_law() {
    let (h, scale): ([f64; 3], _) = ([0.2, 1.0, 40.0], array![2.0, 1.0, 0.2]);
    let target = Quadratic::new(
        Array2::from_diag(&ArrayView1::from(&h)),
        Array1::zeros(3),
        0.0,
        100,
    );
    let (nbeta, gamma, step_size) = (20.0, 1.0, 0.02);
    let mean = h.iter().zip(&scale).map(|(h, s)| {
        let a = nbeta * h + gamma;
        0.5 * nbeta * h / (a * (1.0 - step_size * s * s * a / 4.0))
    });
    let case = Case {
        target: &target,
        anchor: Array1::zeros(3),
        kernel: Kernel::Sgld,
        dynamics: dynamics(step_size, nbeta, gamma),
        scale: Some(scale.clone()),
        radius: None,
        schedule: Schedule {
            burn_in: 1000,
            n_draws: 4000,
            thin: 1,
        },
    };
    case.agrees("frozen scale", mean.sum());
    // without the scale, the third direction's step would be too large to be stable
    assert!(step_size * (nbeta * h[2] + gamma) > 4.0);
}

/// SGNHT has no law that is known. With friction in proportion to `h = √(ε/2)` its bias is of the order of `h`, which
/// extrapolation from `h` and `h/2` removes; with a fixed friction it stays, whatever the step.
#[test]
fn sgnht_approaches_the_density() {
    let (target, anchor, law) = quadratic();
    let replicates = |h: f64, friction: f64, seed| {
        let n_draws = (120.0 / h) as usize;
        let case = Case {
            target: &target,
            anchor: anchor.clone(),
            kernel: Kernel::Sgnht { friction },
            dynamics: dynamics(2.0 * h * h, 20.0, 1.0),
            scale: None,
            radius: None,
            schedule: Schedule {
                burn_in: n_draws / 4,
                n_draws,
                thin: 1,
            },
        };
        case.replicates(seed)
    };
    let h = 0.02;
    for seed in SEEDS {
        let whole = replicates(h, 1.5 * h, seed);
        let half = replicates(0.5 * h, 0.75 * h, seed | 1 << 63);
        let result = z_test(&richardson(&whole, &half), law.mean(), SEEDS.len());
        println!("SGNHT, seed {seed}: {result}");
        assert_eq!(result.outcome, Outcome::Agrees, "seed {seed}: {result}");
    }
    let fixed = z_test(&replicates(0.5 * h, 0.3, 1), law.mean(), 1);
    println!("SGNHT, friction 0.3: {fixed}");
    assert!(fixed.p < fixed.level, "{fixed}");
}

/// The predicted bias of SGLD's step is the bias, to first order: what is left after taking it away is small.
#[test]
fn the_predicted_step_bias_is_the_bias() {
    let (target, anchor, law) = quadratic();
    let at = dynamics(0.01, 20.0, 1.0);
    let case = Case {
        target: &target,
        anchor,
        kernel: Kernel::Sgld,
        dynamics: at,
        scale: None,
        radius: None,
        schedule: Schedule {
            burn_in: 1000,
            n_draws: 8000,
            thin: 1,
        },
    };
    let draws = case.draws(1, 64);
    let llc = Llc::from_draws(&draws, 0..64, case.initial_loss(), &at).expect("an estimate");
    let bias = law.sgld(0.01).expect("stable").stationary_mean() - law.mean();
    let predicted = llc.step_bias.expect("SGLD");
    // second order: εa/4 = 0.2 in the stiffest direction
    println!("bias {bias}, predicted {predicted}");
    assert!(bias > 20.0 * llc.mcse, "{bias} {}", llc.mcse);
    assert!((predicted / bias - 1.0).abs() < 0.25, "{predicted} {bias}");
}
