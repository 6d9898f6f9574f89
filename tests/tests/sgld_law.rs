//! The host engine on quadratic losses against the exact law of SGLD with this step, burn-in and number of draws.
//!
//! The oracle is `slt_theory::SgldLaw`, the chain average of the discretised autoregression; the target's own mean would
//! be off by the factor `1/(1 − εa/4)`. Every test has the power to reject the planted defects beside it.

use ndarray::{Array1, Array2, ArrayView1, array};
use slt_sampler::targets::Quadratic;
use slt_sampler::{Dynamics, Kernel, Llc, Schedule, Verdict, default_nbeta};
use slt_stats::{Estimate, Outcome, ZTest, ZTestResult};
use slt_tests::{Experiment, PlantedDefect, rotated, stress_seed, z_test};
use slt_theory::{LeastSquares, LocalisedGaussian};

const SEEDS: [u64; 3] = [1, 2, 3];
/// 5000 steps, the first 1000 of them burn-in.
const PUBLISHED: Schedule = Schedule {
    burn_in: 1000,
    n_draws: 4000,
    thin: 1,
};

/// A target with its exact law at (step size, nβ, γ).
struct Case {
    target: Quadratic,
    law: LocalisedGaussian,
    anchor: Array1<f64>,
    step_size: f64,
    schedule: Schedule,
    n_chains: usize,
}

impl Case {
    fn experiment(&self) -> Experiment<'_> {
        Experiment {
            kernel: Kernel::Sgld,
            dynamics: Dynamics::new(self.step_size, self.law.nbeta(), self.law.gamma())
                .expect("valid"),
            anchor: self.anchor.view(),
            schedule: self.schedule,
            n_chains: self.n_chains,
        }
    }

    fn average(&self) -> slt_theory::ChainAverage {
        let Schedule {
            burn_in, n_draws, ..
        } = self.schedule;
        let law = self.law.sgld(self.step_size).expect("a stable step");
        law.chain_average(burn_in, n_draws)
    }

    /// The z-test of the mean, of each seed.
    fn agrees(&self, name: &str, seeds: &[u64]) {
        let expected = self.average().mean;
        for &seed in seeds {
            let replicates = self.experiment().replicates(&self.target, seed);
            let result = z_test(&replicates, expected, seeds.len());
            println!("{name}, seed {seed}: {result}");
            assert_eq!(
                result.outcome,
                Outcome::Agrees,
                "{name}, seed {seed}: {result}"
            );
        }
    }

    /// The same z-test of a kernel with a defect.
    fn test_of(&self, defect: PlantedDefect) -> ZTestResult {
        let (step_size, gamma) = (self.step_size, self.law.gamma());
        let mut target = self.target.clone();
        let replicates = defect.replicates(&self.experiment(), step_size, gamma, &mut target, 1);
        let result = z_test(&replicates, self.average().mean, SEEDS.len());
        println!("{defect:?}: {result}");
        result
    }
}

/// `y = 3x + 2` on 100 points of [-1, 1], the anchor off the minimum by `offset`; nβ = n/ln n, γ = 1.
fn regression(offset: ArrayView1<f64>) -> Case {
    let n = 100;
    let x = Array1::linspace(-1.0, 1.0, n);
    let design = Array2::from_shape_fn((n, 2), |(i, j)| if j == 0 { x[i] } else { 1.0 });
    let y = 3.0 * &x + 2.0;
    let target = Quadratic::least_squares(design.view(), y.view()).expect("a regression");
    let anchor = array![3.0, 2.0] + offset;
    let problem = LeastSquares::new(design.view(), y.view(), 1.0).expect("a regression");
    let law = problem
        .localised(anchor.view(), default_nbeta(n).expect("two samples"), 1.0)
        .expect("confining");
    Case {
        target,
        law,
        anchor,
        step_size: 5e-3,
        schedule: PUBLISHED,
        n_chains: 512,
    }
}

/// A rotated Hessian, the anchor off the minimum by `offset` in eigen-coordinates.
fn quadratic(
    eigenvalues: &[f64],
    angles: &[f64],
    offset: &[f64],
    nbeta: f64,
    gamma: f64,
    step_size: f64,
) -> Case {
    let (hessian, v) = rotated(eigenvalues, angles);
    let minimum = Array1::from_shape_fn(eigenvalues.len(), |i| 1.0 - 0.7 * i as f64);
    let law = LocalisedGaussian::new(eigenvalues, nbeta, gamma).expect("confining");
    Case {
        anchor: &minimum + &v.dot(&ArrayView1::from(offset)),
        target: Quadratic::new(hessian, minimum, 0.3, 100),
        law: law.with_anchor_offset(offset).expect("finite"),
        step_size,
        schedule: PUBLISHED,
        n_chains: 512,
    }
}

/// Correlated, and no two directions alike.
fn correlated() -> Case {
    quadratic(
        &[0.2, 1.0, 4.0],
        &[0.6, -0.9, 0.4],
        &[0.0; 3],
        20.0,
        1.0,
        1e-2,
    )
}

/// Precisions from 3 to 20 001: the slow direction is far from its stationary law when the chains end.
fn ill_conditioned() -> Case {
    let case = quadratic(&[1e-4, 1.0], &[0.7], &[0.0; 2], 2e4, 1.0, 1e-4);
    Case {
        n_chains: 2048,
        ..case
    }
}

fn off_the_minimum() -> Case {
    regression(array![0.5, -0.4].view())
}

fn at_the_minimum() -> Case {
    regression(array![0.0, 0.0].view())
}

#[test]
fn linear_regression() {
    at_the_minimum().agrees("regression", &SEEDS);
}

#[test]
fn correlated_directions() {
    correlated().agrees("correlated", &SEEDS);
}

#[test]
fn ill_conditioned_directions() {
    let case = ill_conditioned();
    // the test would mean little if the chains were long enough to forget their start
    let stationary = case
        .law
        .sgld(case.step_size)
        .expect("stable")
        .stationary_mean();
    assert!((case.average().mean / stationary - 1.0).abs() > 0.05);
    case.agrees("ill-conditioned", &SEEDS);
}

#[test]
fn anchor_off_the_minimum() {
    off_the_minimum().agrees("off the minimum", &SEEDS);
}

/// The kernel without a defect passes, so that the others fail for theirs.
#[test]
fn defects_are_rejected() {
    let none = PlantedDefect::NONE;
    for case in [at_the_minimum(), correlated(), off_the_minimum()] {
        let nbeta = case.law.nbeta();
        assert_eq!(case.test_of(none).outcome, Outcome::Agrees);
        // a wrong kernel may also be a noisy one: it is its p that rejects it
        let defects = [
            PlantedDefect {
                noise: 1.05,
                ..none
            },
            PlantedDefect { drift: 2.0, ..none },
            PlantedDefect { nbeta: 1.1, ..none },
            PlantedDefect {
                nbeta: nbeta.powi(-2),
                ..none
            },
            PlantedDefect {
                gamma: -1.0,
                ..none
            },
        ];
        for defect in defects {
            let result = case.test_of(defect);
            assert!(result.p < result.level, "{defect:?}: {result}");
        }
    }
}

/// `Llc` reports the replicates' mean and error, and its two standard errors agree within a factor 1.5.
#[test]
fn llc_of_the_chains() {
    let case = Case {
        n_chains: 64,
        ..at_the_minimum()
    };
    let experiment = case.experiment();
    for seed in SEEDS {
        let draws = experiment.draws(&case.target, seed);
        let initial_loss = experiment.initial_loss(&case.target);
        let llc = Llc::from_losses(draws.loss.view(), initial_loss, case.law.nbeta())
            .expect("an estimate");
        let replicates = experiment.replicates(&case.target, seed);
        let estimate = Estimate::from_replicates(&replicates).expect("finite");
        assert_eq!(llc.per_chain.len(), 64);
        assert!(
            (llc.mean - estimate.mean).abs() < 1e-12 && (llc.mcse - estimate.mcse).abs() < 1e-12
        );
        let ratio = llc.mcse_ess / llc.mcse;
        println!(
            "seed {seed}: {} ± {}, by ESS {}",
            llc.mean, llc.mcse, llc.mcse_ess
        );
        assert!(1.0 / 1.5 < ratio && ratio < 1.5, "seed {seed}: {ratio}");
        assert_eq!(llc.verdict, Verdict::Ok, "seed {seed}: {llc:?}");
        let result = z_test(&llc.per_chain, case.average().mean, SEEDS.len());
        assert_eq!(result.outcome, Outcome::Agrees, "seed {seed}: {result}");
    }
}

/// The law of the target itself, 3% below that of the kernel at this step, is rejected as well.
#[test]
fn continuous_time_law_is_rejected() {
    let case = at_the_minimum();
    let replicates = case.experiment().replicates(&case.target, 1);
    let result = z_test(&replicates, case.law.mean(), 1);
    assert_eq!(result.outcome, Outcome::Differs, "{result}");
}

/// The spread of the chains is `ChainAverage::variance`: replicates of `(λ̂ − E λ̂)²` against it.
///
/// The relative error of a variance from R chains is `√(2/R)`, 1.1% here; the gate is 2%.
#[test]
fn spread_of_the_chains() {
    let spread = |case: &Case, replicates: Vec<f64>| {
        let average = case.average();
        let squares: Vec<f64> = replicates
            .iter()
            .map(|x| (x - average.mean).powi(2))
            .collect();
        let test =
            ZTest::new(average.variance, SEEDS.len()).and_then(|t| t.with_max_relative_mcse(0.02));
        let estimate = Estimate::from_replicates(&squares).expect("finite");
        test.expect("valid")
            .apply(&estimate)
            .expect("replicates enough")
    };
    let case = Case {
        n_chains: 16_384,
        schedule: Schedule {
            burn_in: 200,
            n_draws: 800,
            thin: 1,
        },
        ..at_the_minimum()
    };
    for seed in SEEDS {
        let result = spread(&case, case.experiment().replicates(&case.target, seed));
        println!("variance, seed {seed}: {result}");
        assert_eq!(result.outcome, Outcome::Agrees, "seed {seed}: {result}");
    }
    let defect = PlantedDefect {
        noise: 1.05,
        ..PlantedDefect::NONE
    };
    let mut target = case.target.clone();
    let wrong = defect.replicates(&case.experiment(), case.step_size, 1.0, &mut target, 1);
    let result = spread(&case, wrong);
    println!("variance, defect: {result}");
    assert!(result.p < result.level, "{result}");
}

/// Longer chains, and more of them, from the seed of `SLT_STRESS_SEED`.
#[test]
#[ignore = "minutes; run by `make stress`"]
fn stress() {
    let seed = stress_seed();
    let cases = [
        at_the_minimum(),
        off_the_minimum(),
        correlated(),
        ill_conditioned(),
    ];
    for (i, case) in cases.into_iter().enumerate() {
        for step_size in [case.step_size, 0.5 * case.step_size] {
            let case = Case {
                step_size,
                schedule: Schedule {
                    n_draws: 20_000,
                    ..case.schedule
                },
                n_chains: 8 * case.n_chains,
                target: case.target.clone(),
                law: case.law.clone(),
                anchor: case.anchor.clone(),
            };
            case.agrees(&format!("case {i}, step {step_size}"), &[seed]);
        }
    }
}
