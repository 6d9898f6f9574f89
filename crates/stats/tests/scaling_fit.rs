//! [`fit_scaling_law`] on exact means and variances: what the law itself leaves out.

use slt_stats::{ScalingPoint, ScalingVariance, fit_scaling_law};
use slt_theory::{FiniteLaw, box_law, monomial_law, radial_product_law, reduced_rank_law};

type Law<'a> = &'a dyn Fn(f64) -> FiniteLaw;

const RELATIVE_ERROR: f64 = 3e-3;

/// Twelve temperatures between two powers of ten, means at errors of 0.3%, variances of 0.6%.
fn points(range: (f64, f64), law: Law) -> Vec<ScalingPoint> {
    // s in units of one over the mean of K
    let scale = law(1e-9).mean() / 1e-9;
    (0..12)
        .map(|i| {
            let nbeta = 10f64.powf(range.0 + (range.1 - range.0) * f64::from(i) / 11.0);
            let law = law(nbeta);
            ScalingPoint {
                nbeta: scale * nbeta,
                mean: law.mean(),
                mean_error: RELATIVE_ERROR * law.mean(),
                variance: Some(ScalingVariance {
                    value: law.variance(),
                    error: 2.0 * RELATIVE_ERROR * law.variance(),
                    correlation: 0.0,
                }),
            }
        })
        .collect()
}

const LONG: (f64, f64) = (6.0, 30.0);
const SHORT: (f64, f64) = (3.0, 12.0);

/// Whether m is right, and `λ_fit/λ − 1`.
fn exact_error(range: (f64, f64), law: Law) -> (bool, f64) {
    let best = fit_scaling_law(&points(range, law), 5).expect("a law").best;
    let truth = law(10.0).learning_coefficient();
    (
        best.multiplicity == truth.multiplicity(),
        best.lambda / truth.lambda_f64() - 1.0,
    )
}

fn assert_exact_error(most: f64, range: (f64, f64), name: &str, law: Law) {
    let (right, error) = exact_error(range, law);
    assert!(right && error.abs() < most, "{name}: m {right}, λ {error}");
}

/// All `k` with `3 >= k_1 >= k_2 >= … >= 1` in up to three variables.
fn exponents() -> Vec<Vec<u32>> {
    let mut all = Vec::new();
    for k1 in 1..=3 {
        all.push(vec![k1]);
        for k2 in 1..=k1 {
            all.push(vec![k1, k2]);
            all.extend((1..=k2).map(|k3| vec![k1, k2, k3]));
        }
    }
    all
}

#[test]
fn exact_errors_of_reduced_rank() {
    for m in 1..=4 {
        for n in 1..=m {
            for h in 1..=4 {
                let law = |s| reduced_rank_law(m, n, h, s, 1.0).unwrap();
                assert_exact_error(5e-4, SHORT, &format!("rrr {m} {n} {h}"), &law);
            }
        }
    }
}

#[test]
fn exact_errors_of_monomials() {
    for k in exponents() {
        let law = |s| monomial_law(1.0, &k, s, 1.0).unwrap();
        assert_exact_error(4e-3, LONG, &format!("monomial {k:?}"), &law);
    }
}

#[test]
fn exact_errors_of_boxes() {
    for k in exponents() {
        let law = |s| box_law(1.0, &k, &vec![0; k.len()], s).unwrap();
        assert_exact_error(4e-3, LONG, &format!("box {k:?}"), &law);
    }
}

#[test]
fn exact_errors_of_products_of_radii() {
    let blocks: Vec<(u32, u32)> = (1..=3).flat_map(|d| [(d, 1), (d, 2)]).collect();
    for (i, &a) in blocks.iter().enumerate() {
        for &b in &blocks[..=i] {
            let law = |s| radial_product_law(1.0, &[a, b], s, 1.0).unwrap();
            assert_exact_error(2e-4, LONG, &format!("radii {a:?} {b:?}"), &law);
        }
    }
}
/// On the short range the next pole may be no more than 1/12 away: where k has both a 3 and a 2, m is wrong.
#[test]
fn exact_errors_on_a_short_range() {
    for k in exponents() {
        let close = k.contains(&3) && k.contains(&2);
        let laws: [Law; 2] = [&|s| monomial_law(1.0, &k, s, 1.0).unwrap(), &|s| {
            box_law(1.0, &k, &vec![0; k.len()], s).unwrap()
        }];
        for law in laws {
            let (right, error) = exact_error(SHORT, law);
            assert_eq!(right, !close, "{k:?}");
            let most = if close { 0.26 } else { 6e-3 };
            assert!(error.abs() < most, "{k:?}: {error}");
        }
    }
}
