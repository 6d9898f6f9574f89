//! Newton polyhedra: 200 monomials in 10 variables, plain and with terms whose faces must be found.

use criterion::{Criterion, criterion_group, criterion_main};
use num_rational::Rational64;
use slt_theory::Newton;

const N_VARIABLES: u32 = 10;

/// 200 monomials with pseudo-random even exponents up to 20.
fn plain_monomials() -> Vec<Vec<u32>> {
    let mut state = 1u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        2 * u32::try_from((state >> 33) % 11).expect("below 11")
    };
    (0..200)
        .map(|_| (0..N_VARIABLES).map(|_| draw()).collect())
        .collect()
}

fn newton(criterion: &mut Criterion) {
    let prior = vec![0; N_VARIABLES as usize];
    let exponents = plain_monomials();
    criterion.bench_function("newton/200 monomials, 10 variables", |bencher| {
        bencher.iter(|| Newton::new(&exponents, &prior));
    });
    let one = Rational64::from_integer(1);
    let mut terms: Vec<_> = exponents.iter().map(|a| (a.clone(), one)).collect();
    for (i, (exponents, _)) in terms.iter_mut().enumerate().take(10) {
        exponents.fill(21);
        exponents[i] = 20;
    }
    criterion.bench_function("newton/200 monomials, 10 of them odd", |bencher| {
        bencher.iter(|| Newton::with_coefficients(&terms, &prior));
    });
}

criterion_group!(benches, newton);
criterion_main!(benches);
