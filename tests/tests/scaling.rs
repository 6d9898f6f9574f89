//! λ and m from several temperatures against the exact pair, and each rung against the exact law where there is one.

use ndarray::{Array1, Array2, s};
use slt_sampler::targets::{DeepLinear, NormalCrossing};
use slt_sampler::{Scaling, ScalingRequest, Target, estimate_scaling};
use slt_stats::Outcome;
use slt_tests::{rotated, stress_seed, z_test};
use slt_theory::{FiniteLaw, LearningCoefficient, monomial_law, reduced_rank_law};

/// A loss with its exact pair, and the law at each temperature where it is known.
struct Case<T> {
    name: String,
    target: T,
    anchor: Array1<f64>,
    truth: LearningCoefficient,
    law: Option<Box<dyn Fn(f64) -> FiniteLaw>>,
}

/// `∏ w_i^(2k_i)`, held at 0 by γ = 1.
fn crossing(exponents: &[u32]) -> Case<NormalCrossing> {
    let k = exponents.to_vec();
    let germ = slt_theory::NormalCrossing::with_positive_prior(exponents).expect("a germ");
    Case {
        name: format!("crossing {exponents:?}"),
        target: NormalCrossing::new(1.0, exponents, 1000),
        anchor: Array1::zeros(exponents.len()),
        truth: germ.learning_coefficient(),
        law: Some(Box::new(move |s| {
            monomial_law(1.0, &k, s, 1.0).expect("within range")
        })),
    }
}

/// A linear network of these widths whose truth has r singular values 1 in random directions, at its balanced factorisation.
fn linear(widths: &[usize], rank: usize) -> Case<DeepLinear> {
    let bases: Vec<Array2<f64>> = widths
        .iter()
        .enumerate()
        .map(|(layer, &width)| {
            let angles: Vec<f64> = (0..width * (width - 1) / 2)
                .map(|plane| (1.3 + layer as f64 + 2.1 * plane as f64).sin() * 2.0)
                .collect();
            rotated(&vec![1.0; width], &angles).1
        })
        .collect();
    let mut teacher = Array2::eye(widths[0]);
    let mut anchor = Vec::new();
    for pair in bases.windows(2) {
        let [input, output] = [&pair[0], &pair[1]].map(|basis| basis.slice(s![.., ..rank]));
        let layer = output.dot(&input.t());
        teacher = layer.dot(&teacher);
        anchor.extend(layer.iter().copied());
    }
    let moment = Array2::eye(widths[0]);
    let target = DeepLinear::from_moments(widths, moment.view(), teacher.view(), 0.5, 1000);
    let w: Vec<u32> = widths.iter().map(|&w| w as u32).collect();
    let germ = slt_theory::DeepLinear::new(&w, rank as u32).expect("a network");
    let known = widths.len() == 3 && rank == 0;
    Case {
        name: format!("linear {widths:?}, rank {rank}"),
        target: target.expect("a network"),
        anchor: Array1::from(anchor),
        truth: germ.learning_coefficient(),
        law: known.then(|| -> Box<dyn Fn(f64) -> FiniteLaw> {
            Box::new(move |s| reduced_rank_law(w[0], w[2], w[1], s, 1.0).expect("within range"))
        }),
    }
}

impl<T: Target + Clone + Send + Sync> Case<T> {
    fn estimate(&self, request: &ScalingRequest) -> Scaling {
        estimate_scaling(&self.target, self.anchor.view(), request, &|_| ())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Whether m is right and λ within 3 %; prints a line.
    fn recovered(&self, request: &ScalingRequest) -> bool {
        let found = self.estimate(request);
        let lambda = self.truth.lambda_f64();
        let off = found.lambda / lambda - 1.0;
        let right = found.multiplicity == self.truth.multiplicity();
        println!(
            "{}: λ {:.4} ± {:.4} ({:+.2} % of {lambda}), m {} of {}, preferred by {:.1}; {} of {} rungs to {:.0e}, {} particles, {:.1e} evaluations",
            self.name,
            found.lambda,
            found.lambda_error,
            100.0 * off,
            found.multiplicity,
            self.truth.multiplicity(),
            found.preference,
            found.n_fitted,
            found.rungs.len(),
            found.rungs[found.rungs.len() - 1].nbeta,
            found.n_particles,
            found.n_evaluations as f64,
        );
        right && off.abs() < 0.03
    }

    /// The z-tests of all rungs, mean and variance.
    fn check_rungs(&self, found: &Scaling, n_cases: usize) {
        let law = self.law.as_ref().expect("a law");
        for rung in &found.rungs {
            let exact = law(rung.nbeta);
            for (summary, exact) in [
                (&rung.mean, exact.mean()),
                (&rung.variance, exact.variance()),
            ] {
                let n_comparisons = 2 * n_cases * found.rungs.len();
                let result = z_test(&summary.per_chain, exact, n_comparisons);
                assert_eq!(
                    result.outcome,
                    Outcome::Agrees,
                    "{}, {}: {result}",
                    self.name,
                    rung.nbeta
                );
            }
        }
    }
}

/// A short ladder of exact laws: the z-tests agree, and reject the law at twice the temperature.
#[test]
fn rungs_have_the_exact_law() {
    for seed in 1..=3 {
        let request = ScalingRequest {
            nbetas: Some((1e3, 1e10)),
            n_rungs: 8,
            relative_error: 0.01,
            max_evaluations: 20_000_000,
            ..ScalingRequest::new(1.0, seed)
        };
        let case = crossing(&[1, 1]);
        let found = case.estimate(&request);
        case.check_rungs(&found, 9);
        let rung = &found.rungs[0];
        let other = case.law.as_ref().expect("a law")(rung.nbeta / 2.0).mean();
        let result = z_test(&rung.mean.per_chain, other, 16);
        assert_eq!(result.outcome, Outcome::Differs, "seed {seed}: {result}");
        let case = crossing(&[3, 3, 2]);
        case.check_rungs(&case.estimate(&request), 9);
        let case = linear(&[2, 2, 3], 0);
        case.check_rungs(&case.estimate(&request), 9);
    }
}

/// Automatic settings, one member of each kind: logarithms of order 1, 2 and 3, a power that is close, a true rank.
#[test]
fn lambda_and_m_are_recovered() {
    let request = ScalingRequest {
        relative_error: 0.01,
        ..ScalingRequest::new(1.0, 1)
    };
    assert!(crossing(&[1, 1]).recovered(&request));
    assert!(crossing(&[1, 1, 1]).recovered(&request));
    assert!(crossing(&[3, 2]).recovered(&request));
    assert!(linear(&[2, 1, 2], 1).recovered(&request));
}

/// How many of the cases are recovered; all must be.
fn sweep<T: Target + Clone + Send + Sync>(cases: impl Iterator<Item = Case<T>>) {
    let request = ScalingRequest::new(1.0, stress_seed());
    let (mut n_cases, mut missed) = (0, Vec::new());
    for case in cases {
        n_cases += 1;
        if !case.recovered(&request) {
            missed.push(case.name);
        }
    }
    println!("{} of {n_cases} recovered", n_cases - missed.len());
    assert!(missed.is_empty(), "{missed:#?}");
}

/// Every normal crossing in up to three variables with `k <= 3`.
#[test]
#[ignore = "minutes; run by `make stress`"]
fn normal_crossings() {
    let all = (1..=3).flat_map(|a| (0..=a).flat_map(move |b| (0..=b).map(move |c| [a, b, c])));
    sweep(all.map(|k| {
        let k: Vec<u32> = k.into_iter().filter(|&k| k > 0).collect();
        crossing(&k)
    }));
}

/// Every reduced-rank regression with widths and rank up to 4, outputs no more than inputs.
#[test]
#[ignore = "an hour; run by `make stress`"]
fn reduced_rank() {
    let shapes = (1..=4).flat_map(|n| (n..=4).flat_map(move |m| (1..=4).map(move |h| [m, h, n])));
    let all = shapes.flat_map(|[m, h, n]| (0..=n.min(h)).map(move |r| ([m, h, n], r)));
    sweep(all.map(|(widths, rank)| linear(&widths, rank)));
}

/// Linear networks of three layers with widths up to 3, inner widths in any order, and some wider ones up to λ = 20.
#[test]
#[ignore = "an hour; run by `make stress`"]
fn deep_linear() {
    let widths = (1..=3).flat_map(|a| (1..=3).flat_map(move |b| (1..=3).map(move |c| (a, b, c))));
    let narrow = widths.flat_map(|(a, b, c)| (1..=a).map(move |d| vec![a, b, c, d]));
    let wide = [[4, 4, 4, 4], [5, 3, 4, 5], [6, 4, 5, 6], [6, 6, 6, 6]];
    let all = narrow.chain(wide.map(|w| w.to_vec())).flat_map(|widths| {
        let least = *widths.iter().min().expect("widths");
        (0..=least).map(move |rank| (widths.clone(), rank))
    });
    let cases = all.map(|(widths, rank)| linear(&widths, rank));
    sweep(cases.filter(|case| case.truth.lambda_f64() <= 20.0));
}
