//! Laws over random members of the families: the sampler agrees with the exact law of a quadratic made at random.

use ndarray::Array1;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use slt_sampler::targets::Quadratic;
use slt_sampler::{Dynamics, Kernel, Schedule};
use slt_stats::Outcome;
use slt_tests::{Experiment, rotated, stress_seed, z_test};
use slt_theory::LocalisedGaussian;

/// A quadratic target and settings under which its chains mix and are stable.
#[derive(Debug, Clone)]
struct Family {
    /// nβh of each direction.
    kappas: Vec<f64>,
    angles: Vec<f64>,
    nbeta: f64,
    gamma: f64,
    /// Step size in units of `1/a_max`; stable below 4.
    relative_step: f64,
    /// Seed of the noise: members fail independently.
    seed: u64,
}

/// Up to six directions with precisions log-uniform over a factor of 30, turned at random.
fn family() -> impl Strategy<Value = Family> {
    (1usize..=6).prop_flat_map(|d| {
        let log_uniform = |from: f64, to: f64| (from.ln()..to.ln()).prop_map(f64::exp);
        (
            prop::collection::vec(log_uniform(1.0, 30.0), d),
            prop::collection::vec(-3.0..3.0, d * (d - 1) / 2),
            log_uniform(1.0, 1e4),
            log_uniform(0.1, 10.0),
            0.3..2.0,
            any::<u64>(),
        )
            .prop_map(
                |(kappas, angles, nbeta, gamma, relative_step, seed)| Family {
                    kappas,
                    angles,
                    nbeta,
                    gamma,
                    relative_step,
                    seed,
                },
            )
    })
}

/// The z-test of one member, one of `n_comparisons`.
fn check(family: &Family, n_chains: usize, n_comparisons: usize) -> Result<(), TestCaseError> {
    let eigenvalues: Vec<f64> = family.kappas.iter().map(|k| k / family.nbeta).collect();
    let largest = family.kappas.iter().fold(0.0, |m: f64, &k| m.max(k)) + family.gamma;
    let step_size = family.relative_step / largest;
    let (hessian, _) = rotated(&eigenvalues, &family.angles);
    let anchor = Array1::from_shape_fn(eigenvalues.len(), |i| (i as f64).sin());
    let target = Quadratic::new(hessian, anchor.clone(), -0.2, 1000);
    let law = LocalisedGaussian::new(&eigenvalues, family.nbeta, family.gamma).expect("confining");
    let schedule = Schedule {
        burn_in: 500,
        n_draws: 3000,
        thin: 1,
    };
    let expected = law
        .sgld(step_size)
        .expect("stable")
        .chain_average(schedule.burn_in, schedule.n_draws)
        .mean;
    let experiment = Experiment {
        kernel: Kernel::Sgld,
        dynamics: Dynamics::new(step_size, family.nbeta, family.gamma).expect("valid"),
        anchor: anchor.view(),
        schedule,
        n_chains,
    };
    let result = z_test(
        &experiment.replicates(&target, family.seed),
        expected,
        n_comparisons,
    );
    println!("d = {}: {result}", anchor.len());
    prop_assert!(result.outcome == Outcome::Agrees, "{result}");
    Ok(())
}

/// Members and their noise are drawn from `seed`: nothing here is random from run to run.
fn run(cases: u32, seed: u64, n_chains: usize) {
    let config = ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        // each member is tested at a level of its own: a failure is looked into as it is, not shrunk
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&family(), |family| check(&family, n_chains, cases as usize))
        .unwrap_or_else(|error| panic!("{error}"));
}

/// `p < 1e-5/16` fails a member.
#[test]
fn a_random_quadratic_has_its_exact_mean() {
    run(16, 1, 1024);
}

/// Ten times the members, from the seed of `SLT_STRESS_SEED`.
#[test]
#[ignore = "minutes; run by `make stress`"]
fn stress() {
    run(160, stress_seed(), 2048);
}
