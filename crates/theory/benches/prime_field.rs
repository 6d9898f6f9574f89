//! Exact rank over a prime field: products a second, and the certificate of a network of modular addition.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use slt_theory::{FieldMatrix, PrimeField};

fn rank(c: &mut Criterion) {
    let field = PrimeField::LARGE;
    let mut group = c.benchmark_group("rank over a prime field");
    group.sample_size(10);
    for n in [250, 1000] {
        let matrix = FieldMatrix::from_fn(field, n, n, |i, j| field.coordinate((i * n + j) as u64));
        group.bench_function(format!("{n} x {n}"), |b| {
            b.iter_batched(|| matrix.clone(), FieldMatrix::rank, BatchSize::LargeInput);
        });
    }
}

criterion_group!(benches, rank);
criterion_main!(benches);
