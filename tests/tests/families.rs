//! Random members of the analytic families: the Metropolis-corrected estimate against the exact expectation at this n, β and γ.
//!
//! The exact values are closed forms and quadratures of slt-theory, a trapezoidal rule, or [`LastLayer`]: none shares anything with
//! the chains. How far the posterior is from the localisation alone, on which the length of the chains depends, is drawn as one
//! number, the loss times nβ where all parameters are `1/√γ`; the factor of the loss follows from it, n, β and γ.

use std::cell::Cell;
use std::fmt::Debug;

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use slt_sampler::targets::{DeepLinear, NormalCrossing, Quadratic, QuadraticNetwork, Radial};
use slt_sampler::{Dynamics, Ensemble, Kernel, Plan, Row, Schedule, Target, chains};
use slt_stats::{Estimate, Outcome, ZTest, ZTestResult};
use slt_tests::{LastLayer, rotated, stress_seed};
use slt_theory::{
    LocalisedGaussian, box_law, monomial_law, radial_law, radial_product_law, reduced_rank_law,
};

/// Families, each a test of its own at its share of the level.
const N_FAMILIES: u32 = 9;
/// Members of each in a default run.
const N_MEMBERS: u32 = 4;
/// Members of each in the stress test.
const N_STRESS: u32 = 40;
const N_CHAINS: usize = 64;
/// Length of a leapfrog step, in units of `1/√γ` or of the radius of a box.
const STEP: f64 = 0.08;
const N_LEAPFROG: u32 = 16;
/// Draws of a [`LastLayer`].
const N_DRAWS: usize = 100_000;
/// Noise that is too large by 5 %: the temperature is its square.
const DEFECT: f64 = 1.05 * 1.05;

/// What every member has: inverse temperature, localisation, seed.
#[derive(Debug, Clone, Copy)]
struct Setting {
    n: usize,
    nbeta: f64,
    gamma: f64,
    seed: u64,
}

impl Setting {
    /// The factor of a loss of degree `2 degree` at which `factor nβ γ^(-degree)` is `size`.
    fn factor(&self, size: f64, degree: u32) -> f64 {
        size / self.nbeta * self.gamma.powi(degree as i32)
    }
}

fn log_uniform(from: f64, to: f64) -> impl Strategy<Value = f64> {
    (from.ln()..to.ln()).prop_map(f64::exp)
}

/// n from 10 to 10⁶, β from 0.3/ln n to 3/ln n, γ from 0.1 to 100.
fn setting() -> impl Strategy<Value = Setting> {
    let n = log_uniform(10.0, 1e6);
    let draw = (
        n,
        log_uniform(0.3, 3.0),
        log_uniform(0.1, 100.0),
        any::<u64>(),
    );
    draw.prop_map(|(n, times, gamma, seed)| Setting {
        n: n as usize,
        nbeta: times * n / n.ln(),
        gamma,
        seed,
    })
}

/// Numbers of mean 0 and variance 1.
fn spread(n: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-3f64.sqrt()..3f64.sqrt(), n)
}

/// What is sampled, where, and what its mean is.
#[derive(Debug)]
struct Member<T> {
    target: T,
    anchor: Array1<f64>,
    setting: Setting,
    /// The walls of a box, where they and not γ hold the chain.
    radius: Option<f64>,
    /// Draws of each chain.
    n_draws: usize,
    exact: f64,
    /// Standard error of `exact`.
    error: f64,
}

impl<T: Target + Clone + Send + Sync> Member<T> {
    fn new(target: T, anchor: Array1<f64>, setting: Setting, exact: f64) -> Self {
        Self {
            // few parameters: a noisy loss, and cheap
            n_draws: if anchor.len() > 4 { 1500 } else { 6000 },
            target,
            anchor,
            setting,
            radius: None,
            exact,
            error: 0.0,
        }
    }

    fn at_zero(target: T, setting: Setting, exact: f64) -> Self {
        let anchor = Array1::zeros(target.n_params());
        Self::new(target, anchor, setting, exact)
    }

    /// `nβ (mean L - L(w*))` of each chain, at the temperature.
    fn replicates(&self, temperature: f64) -> Vec<f64> {
        let Setting {
            nbeta, gamma, seed, ..
        } = self.setting;
        // the unit of length is that of what holds the chain
        let (unit, gamma) = match self.radius {
            Some(radius) => (radius, 0.0),
            None => (gamma.sqrt().recip(), gamma),
        };
        let plan = Plan {
            kernel: Kernel::Hmc {
                n_leapfrog: N_LEAPFROG,
            },
            schedule: Schedule {
                burn_in: 100,
                n_draws: self.n_draws,
                thin: 1,
            },
            batch_size: None,
            radius: self.radius,
            seed: !seed,
            keep_positions: false,
            n_threads: 1,
            block: 16,
        };
        let dynamics = Dynamics::new((STEP * unit).powi(2), nbeta, gamma)
            .and_then(|dynamics| dynamics.with_temperature(temperature));
        let rows = Row::many(0, N_CHAINS, dynamics.expect("valid"));
        let anchors = self.anchor.broadcast((N_CHAINS, self.anchor.len()));
        let ensemble = Ensemble::new(anchors.expect("a row for each chain"), &rows);
        let draws = chains::run(&self.target, &plan, &ensemble, &|_| ()).expect("a valid run");
        let mean = draws.loss.mean_axis(Axis(1)).expect("draws");
        let mut initial = [f64::NAN];
        let anchor = self.anchor.view().insert_axis(Axis(0));
        self.target.clone().loss(anchor, &mut initial);
        (nbeta * (mean - initial[0])).to_vec()
    }

    /// The z-test at the temperature, the error of the exact value and that of the estimate as one.
    fn test(&self, temperature: f64, n_comparisons: u32) -> ZTestResult {
        let replicates = self.replicates(temperature);
        let mut estimate = Estimate::from_replicates(&replicates).expect("finite");
        estimate.mcse = estimate.mcse.hypot(self.error);
        let test = ZTest::new(self.exact, n_comparisons as usize).expect("a finite expectation");
        test.apply(&estimate).expect("replicates enough")
    }
}

/// Members and their noise are drawn from `seed`. The first of them rejects the defect.
fn run<T: Target + Clone + Send + Sync + Debug>(
    n_members: u32,
    seed: u64,
    family: impl Strategy<Value = Member<T>>,
) {
    let config = ProptestConfig {
        cases: n_members,
        rng_seed: RngSeed::Fixed(seed),
        // each member is tested at a level of its own: a failure is looked into as it is, not shrunk
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let n_comparisons = n_members * N_FAMILIES;
    let is_first = Cell::new(true);
    let check = |member: Member<T>| {
        let result = member.test(1.0, n_comparisons);
        let d = member.anchor.len();
        println!(
            "d = {d}, error {:.1e} of the exact value: {result}",
            member.error
        );
        prop_assert!(result.outcome == Outcome::Agrees, "{result}");
        if is_first.replace(false) {
            let defect = member.test(DEFECT, n_comparisons);
            println!("noise × 1.05: {defect}");
            prop_assert!(defect.p < defect.level, "noise × 1.05: {defect}");
        }
        Ok(())
    };
    TestRunner::new(config)
        .run(&family, check)
        .unwrap_or_else(|error| panic!("{error}"));
}

/// Random spectra, turned, the anchor off the minimum in every direction.
fn quadratics() -> impl Strategy<Value = Member<Quadratic>> {
    let direction = (log_uniform(0.5, 50.0), -0.4..0.4f64);
    let directions = prop::collection::vec(direction, 1..=6);
    let angles = prop::collection::vec(-3.0..3.0f64, 15);
    (setting(), directions, angles).prop_map(|(setting, directions, angles)| {
        let Setting { nbeta, gamma, .. } = setting;
        let kappas = directions.iter().map(|(times, _)| times * gamma);
        let eigenvalues: Vec<f64> = kappas.map(|kappa| kappa / nbeta).collect();
        // the mean is off by part posterior widths
        let offset = |(times, part): &(f64, f64)| part * ((1.0 + times) / gamma).sqrt() / times;
        let offset: Vec<f64> = directions.iter().map(offset).collect();
        let (hessian, v) = rotated(&eigenvalues, &angles);
        let anchor = Array1::from_shape_fn(eigenvalues.len(), |i| (i as f64).sin());
        let minimum = &anchor - &v.dot(&Array1::from(offset.clone()));
        let law = LocalisedGaussian::new(&eigenvalues, nbeta, gamma)
            .and_then(|law| law.with_anchor_offset(&offset));
        let target = Quadratic::new(hessian, minimum, -0.2, setting.n);
        Member::new(target, anchor, setting, law.expect("confining").mean())
    })
}

/// `c ∏ w_i^(2k_i)` in up to four variables, flat ones among them.
fn normal_crossings() -> impl Strategy<Value = Member<NormalCrossing>> {
    let exponents = prop::collection::vec(0u32..=2, 1..=4)
        .prop_filter("a crossing", |k| (1..=3).contains(&k.iter().sum::<u32>()));
    (setting(), exponents, log_uniform(1.0, 20.0)).prop_map(|(setting, exponents, x)| {
        let c = setting.factor(x, exponents.iter().sum());
        let law = monomial_law(c, &exponents, setting.nbeta, setting.gamma).expect("valid");
        let target = NormalCrossing::new(c, &exponents, setting.n);
        Member::at_zero(target, setting, law.mean())
    })
}

/// The same between walls and without localisation.
fn normal_crossings_in_a_box() -> impl Strategy<Value = Member<NormalCrossing>> {
    let exponents = prop::collection::vec(1u32..=2, 1..=3)
        .prop_filter("a mean that is not too small", |k| {
            k.iter().sum::<u32>() <= 3
        });
    let numbers = (log_uniform(20.0, 200.0), log_uniform(0.1, 10.0));
    (setting(), exponents, numbers).prop_map(|(setting, exponents, (x, radius))| {
        let degree: u32 = exponents.iter().sum();
        let flat = vec![0; exponents.len()];
        let law = box_law(x, &exponents, &flat, 1.0).expect("valid");
        let c = x / setting.nbeta / radius.powi(2 * degree as i32);
        let target = NormalCrossing::new(c, &exponents, setting.n);
        Member {
            radius: Some(radius),
            n_draws: 16_000,
            ..Member::at_zero(target, setting, law.mean())
        }
    })
}

/// `c w₁² w₂^(2k)` around a point `(0, a)` of its zeros. Given `w₂` the first variable is normal: `E[sK | w₂] = q/2` with the weight
/// `(2 s c w₂^(2k) + γ)^(-1/2)`, `q = 2 s c w₂^(2k)/(2 s c w₂^(2k) + γ)`; the trapezoidal rule does the rest.
fn crossings_from_an_axis() -> impl Strategy<Value = Member<NormalCrossing>> {
    let numbers = (log_uniform(1.0, 20.0), -2.0..2.0f64);
    (setting(), 1u32..=2, numbers).prop_map(|(setting, k, (x, a))| {
        let c = setting.factor(x, 1 + k);
        let (unit, s) = (setting.gamma.sqrt().recip(), setting.nbeta);
        let (mut weight, mut mean) = (0.0, 0.0);
        for i in -40_000..=40_000 {
            let from_anchor = 2.5e-4 * f64::from(i);
            let kappa = 2.0 * s * c * (unit * (a + from_anchor)).powi(2 * k as i32);
            let precision = kappa + setting.gamma;
            let w = (-0.5 * from_anchor * from_anchor).exp() / precision.sqrt();
            weight += w;
            mean += w * 0.5 * kappa / precision;
        }
        let target = NormalCrossing::new(c, &[1, k], setting.n);
        let anchor = Array1::from(vec![0.0, unit * a]);
        Member::new(target, anchor, setting, mean / weight)
    })
}

/// `c |w|^(2k)`.
fn radial() -> impl Strategy<Value = Member<Radial>> {
    let numbers = (1u32..=6, 1u32..=3, log_uniform(0.5, 20.0));
    (setting(), numbers).prop_map(|(setting, (d, k, x))| {
        let c = setting.factor(x, k);
        let law = radial_law(c, d, k, setting.nbeta, setting.gamma).expect("valid");
        let target = Radial::new(c, k, d as usize, setting.n);
        Member::at_zero(target, setting, law.mean())
    })
}

/// Inputs of second moments σI, outputs 0.
fn zero_truth(widths: &[usize], setting: &Setting, factor: f64, sigma: f64) -> DeepLinear {
    let (inputs, outputs) = (widths[0], widths[widths.len() - 1]);
    let moment = Array2::eye(inputs) * sigma;
    let teacher = Array2::zeros((outputs, inputs));
    DeepLinear::from_moments(widths, moment.view(), teacher.view(), factor, setting.n)
        .expect("a network")
}

/// Two layers of up to four inputs, units and outputs, zero truth.
fn reduced_rank() -> impl Strategy<Value = Member<DeepLinear>> {
    let numbers = (log_uniform(1.0, 100.0), log_uniform(0.1, 10.0));
    (setting(), prop::array::uniform3(1usize..=4), numbers).prop_map(
        |(setting, widths, (x, sigma))| {
            let factor = setting.factor(x, 2) / sigma;
            let [inputs, hidden, outputs] = widths.map(|width| width as u32);
            // its loss has the factor 1/2
            let s = 2.0 * factor * sigma * setting.nbeta;
            let law = reduced_rank_law(inputs, outputs, hidden, s, setting.gamma).expect("valid");
            let target = zero_truth(&widths, &setting, factor, sigma);
            Member::at_zero(target, setting, law.mean())
        },
    )
}

/// Two to five layers with one unit between any two, zero truth: `|w_1|² w_2² … |w_L|²`.
fn bottlenecks() -> impl Strategy<Value = Member<DeepLinear>> {
    let shape = (2usize..=5, 1usize..=4, 1usize..=4);
    let numbers = (log_uniform(0.5, 5.0), log_uniform(0.1, 10.0));
    (setting(), shape, numbers).prop_map(|(setting, (depth, inputs, outputs), (x, sigma))| {
        let mut widths = vec![1; depth + 1];
        (widths[0], widths[depth]) = (inputs, outputs);
        let factor = setting.factor(x, depth as u32) / sigma;
        let mut blocks = vec![(1, 1); depth];
        (blocks[0].0, blocks[depth - 1].0) = (inputs as u32, outputs as u32);
        let law = radial_product_law(factor * sigma, &blocks, setting.nbeta, setting.gamma)
            .expect("valid");
        let target = zero_truth(&widths, &setting, factor, sigma);
        Member::at_zero(target, setting, law.mean())
    })
}

/// Samples of the networks that have any.
const N_SAMPLES: usize = 8;

/// The product of the layers of a row but the last.
fn lower_product(widths: &[usize], w: &[f64]) -> Array2<f64> {
    let (mut product, mut at) = (Array2::eye(widths[0]), 0);
    for k in widths[..widths.len() - 1].windows(2) {
        let layer = ArrayView2::from_shape((k[1], k[0]), &w[at..at + k[0] * k[1]]);
        product = layer.expect("a layer").dot(&product);
        at += k[0] * k[1];
    }
    product
}

/// Two to five layers of up to three units at true parameters, which are zero or not, on samples.
fn deep_linear() -> impl Strategy<Value = Member<DeepLinear>> {
    let widths = (2usize..=5).prop_flat_map(|depth| prop::collection::vec(1usize..=3, depth + 1));
    let numbers = (log_uniform(0.3, 3.0), prop_oneof![Just(0.0), 0.2..0.8f64]);
    let data = (spread(5 * 9), spread(3 * N_SAMPLES));
    (setting(), widths, numbers, data).prop_map(|(setting, widths, (x, size), (w, inputs))| {
        let depth = widths.len() - 1;
        let factor = setting.factor(x, depth as u32);
        let d: usize = widths.windows(2).map(|k| k[0] * k[1]).sum();
        let w: Vec<f64> = w[..d]
            .iter()
            .map(|w| w * size / setting.gamma.sqrt())
            .collect();
        let inputs = ArrayView2::from_shape((N_SAMPLES, 3), &inputs).expect("samples");
        let inputs = inputs.slice(s![.., ..widths[0]]);
        let (q, outputs) = (widths[depth - 1], widths[depth]);
        let (lower, last) = w.split_at(d - q * outputs);
        let last = ArrayView2::from_shape((outputs, q), last).expect("the last layer");
        let y = inputs.dot(&last.dot(&lower_product(&widths, lower)).t());
        let network = LastLayer {
            y: y.view(),
            factor,
            lower,
            last,
            nbeta: setting.nbeta,
            gamma: setting.gamma,
        };
        let features = |u: &[f64], phi: &mut Array2<f64>| {
            phi.assign(&inputs.dot(&lower_product(&widths, u).t()));
        };
        let exact = network.mean(features, N_DRAWS, setting.seed);
        let target = DeepLinear::new(&widths, inputs, y.view(), factor).expect("a network");
        Member {
            error: exact.mcse,
            ..Member::new(target, Array1::from(w), setting, exact.mean)
        }
    })
}

/// Quadratic networks of up to two inputs, three units and two outputs at true parameters, which are zero or not.
fn quadratic_networks() -> impl Strategy<Value = Member<QuadraticNetwork>> {
    let numbers = (log_uniform(0.3, 5.0), prop_oneof![Just(0.0), 0.2..0.8f64]);
    let data = (spread(4 * 3), spread(2 * N_SAMPLES));
    (
        setting(),
        (1usize..=2, 1usize..=3, 1usize..=2),
        numbers,
        data,
    )
        .prop_map(
            |(setting, (inputs, hidden, outputs), (x, size), (w, samples))| {
                // the loss is of degree 6, its factor the fourth moment of the inputs, 9/5, over 2
                let scale = (setting.factor(x, 3) / 0.9).powf(0.25);
                let w = w[..(inputs + outputs) * hidden].iter();
                let w: Vec<f64> = w.map(|w| w * size / setting.gamma.sqrt()).collect();
                let samples = ArrayView2::from_shape((N_SAMPLES, 2), &samples).expect("samples");
                let samples = scale * &samples.slice(s![.., ..inputs]);
                let (lower, last) = w.split_at(inputs * hidden);
                let last = ArrayView2::from_shape((outputs, hidden), last).expect("outputs");
                let features = |u: &[f64], phi: &mut Array2<f64>| {
                    let weights = ArrayView2::from_shape((inputs, hidden), u).expect("weights");
                    phi.assign(&samples.dot(&weights).mapv(|h| h * h));
                };
                let mut phi = Array2::zeros((N_SAMPLES, hidden));
                features(lower, &mut phi);
                let y = phi.dot(&last.t());
                let network = LastLayer {
                    y: y.view(),
                    factor: 0.5,
                    lower,
                    last,
                    nbeta: setting.nbeta,
                    gamma: setting.gamma,
                };
                let exact = network.mean(features, N_DRAWS, setting.seed);
                let target = QuadraticNetwork::dense(hidden, samples.view(), y.view());
                Member {
                    error: exact.mcse,
                    ..Member::new(
                        target.expect("samples"),
                        Array1::from(w),
                        setting,
                        exact.mean,
                    )
                }
            },
        )
}

#[test]
fn random_quadratics() {
    run(N_MEMBERS, 1, quadratics());
}

#[test]
fn random_normal_crossings() {
    run(N_MEMBERS, 1, normal_crossings());
}

#[test]
fn random_normal_crossings_in_a_box() {
    run(N_MEMBERS, 1, normal_crossings_in_a_box());
}

#[test]
fn random_crossings_from_an_axis() {
    run(N_MEMBERS, 1, crossings_from_an_axis());
}

#[test]
fn random_radial_losses() {
    run(N_MEMBERS, 1, radial());
}

#[test]
fn random_reduced_rank_regressions() {
    run(N_MEMBERS, 1, reduced_rank());
}

#[test]
fn random_bottlenecks() {
    run(N_MEMBERS, 1, bottlenecks());
}

#[test]
fn random_deep_linear_networks() {
    run(N_MEMBERS, 1, deep_linear());
}

#[test]
fn random_quadratic_networks() {
    run(N_MEMBERS, 1, quadratic_networks());
}

/// Ten times the members, from the seed of `SLT_STRESS_SEED`.
#[test]
#[ignore = "minutes; run by `make stress`"]
fn stress() {
    let seed = stress_seed();
    run(N_STRESS, seed, quadratics());
    run(N_STRESS, seed, normal_crossings());
    run(N_STRESS, seed, normal_crossings_in_a_box());
    run(N_STRESS, seed, crossings_from_an_axis());
    run(N_STRESS, seed, radial());
    run(N_STRESS, seed, reduced_rank());
    run(N_STRESS, seed, bottlenecks());
    run(N_STRESS, seed, deep_linear());
    run(N_STRESS, seed, quadratic_networks());
}
