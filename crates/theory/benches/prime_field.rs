//! Exact rank over a prime field: of dense matrices, and of the Jacobian of a network for modular addition at saturation.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use slt_theory::{FieldMatrix, ModularAddition, ModularLoss, PrimeField};

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
    let pairs: Vec<(u32, u32)> = (0..121).map(|i| (i / 11, i % 11)).collect();
    let network = ModularAddition::new(11, 43, ModularLoss::Squared, 121).expect("valid sizes");
    group.bench_function("addition modulo 11, width 43", |b| {
        b.iter(|| network.jacobian_rank(&pairs));
    });
}

criterion_group!(benches, rank);
criterion_main!(benches);
