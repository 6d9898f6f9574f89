//! Chain-steps per second of the host engine on one core.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array1, Array2};
use slt_sampler::targets::Quadratic;
use slt_sampler::{
    Batch, Dynamics, Ensemble, Kernel, Plan, Row, Schedule, State, chains, default_nbeta,
    fill_normals, stream::Purpose,
};

/// The two-parameter regression `y = 3x + 2` on 100 points of [-1, 1], full batch.
fn regression(c: &mut Criterion) {
    let n = 100;
    let x = Array1::linspace(-1.0, 1.0, n);
    let design = Array2::from_shape_fn((n, 2), |(i, j)| if j == 0 { x[i] } else { 1.0 });
    let target =
        Quadratic::least_squares(design.view(), (3.0 * &x + 2.0).view()).expect("a regression");
    let dynamics = Dynamics::new(1e-3, default_nbeta(n), 1.0).expect("valid settings");
    let (n_chains, n_steps) = (64, 10_000);
    let anchors = target
        .minimum()
        .broadcast((n_chains, 2))
        .expect("rows")
        .to_owned();
    let rows = Row::many(0, n_chains, dynamics);
    let ensemble = Ensemble::new(anchors.view(), &rows);
    let mut group = c.benchmark_group("regression, 2 parameters, 64 chains");
    group
        .throughput(Throughput::Elements((n_chains * n_steps) as u64))
        .sample_size(20);
    group.bench_function("chain-steps, every state a draw", |b| {
        let schedule = Schedule {
            burn_in: 0,
            n_draws: n_steps + 1,
            thin: 1,
        };
        let plan = Plan {
            kernel: Kernel::Sgld,
            schedule,
            batch_size: None,
            radius: None,
            seed: 1,
            keep_positions: false,
            n_threads: 1,
            block: 64,
        };
        b.iter(|| chains::run(&target, &plan, &ensemble, &|_| ()));
    });
    group.bench_function("chain-steps, kernel alone", |b| {
        let (mut target, mut state) = (target.clone(), State::new(anchors.view(), 1, &rows));
        b.iter(|| {
            (0..n_steps).for_each(|_| Kernel::Sgld.step(&mut target, Batch::Full, &mut state))
        });
    });
    group.finish();
}

fn normals(c: &mut Criterion) {
    let mut out = vec![0.0; 1 << 16];
    let mut group = c.benchmark_group("noise");
    group.throughput(Throughput::Elements(out.len() as u64));
    group.bench_function("standard normals", |b| {
        b.iter(|| fill_normals(1, Purpose::Noise, 0, 0, &mut out))
    });
    group.finish();
}

criterion_group!(benches, regression, normals);
criterion_main!(benches);
