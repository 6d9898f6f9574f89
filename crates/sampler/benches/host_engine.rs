//! Chain-steps per second of the host engine: SGLD with its noise and what a chain records.
//!
//! a1 `y = x w1 w2`; a2 a linear regression of two parameters; b1 reduced-rank regression 10-10-10 of rank 5; b2 four layers of 50, in
//! single precision; c a perceptron 30-256-256-1 for the parity of three bits, in single precision; all with 1000 samples. d a quadratic
//! network of 1024 units on 1123 pairs of addition modulo 53. Elements are chain-steps.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array1, Array2};
use rand::RngExt;
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::targets::{
    Activation, DeepLinear, FeedForward, LinearRegression, Loss, QuadraticNetwork,
};
use slt_sampler::{
    Dynamics, Ensemble, Kernel, Plan, Row, Schedule, Target, chains, default_nbeta, fill_normals,
};

const N: usize = 1000;
/// Steps from draw to draw of full-batch chains; a draw also costs its distance from `w*` and the bias of its step.
const THIN: usize = 10;

/// How chains run.
#[derive(Clone, Copy)]
struct Run {
    n_chains: usize,
    n_steps: usize,
    step_size: f64,
    batch_size: Option<usize>,
    n_threads: usize,
    block: usize,
}

/// All chains from `anchor`, `run.n_steps` each.
fn sample<T: Target + Clone + Send + Sync>(target: &T, anchor: &Array1<f64>, run: Run) -> f64 {
    let dynamics = Dynamics::new(
        run.step_size,
        default_nbeta(target.n_samples()).expect("two samples"),
        1.0,
    )
    .expect("valid settings");
    let anchors = anchor.broadcast((run.n_chains, anchor.len()));
    let anchors = anchors.expect("rows").to_owned();
    let rows = Row::many(0, run.n_chains, dynamics);
    let (burn_in, n_draws) = match run.batch_size {
        None => (0, run.n_steps / THIN + 1),
        Some(_) => (run.n_steps, 1),
    };
    let plan = Plan {
        kernel: Kernel::Sgld,
        schedule: Schedule {
            burn_in,
            n_draws,
            thin: THIN,
        },
        batch_size: run.batch_size,
        radius: None,
        seed: 1,
        keep_positions: false,
        n_threads: run.n_threads,
        block: run.block,
    };
    let draws = chains::run(
        target,
        &plan,
        &Ensemble::new(anchors.view(), &rows),
        &|_| (),
    );
    draws.expect("a valid plan").loss.sum()
}

fn uniform(n_rows: usize, n_columns: usize, limit: f64, index: u64) -> Array2<f64> {
    let mut rng = rng(1, Purpose::Data, 0, index);
    Array2::from_shape_simple_fn((n_rows, n_columns), || rng.random_range(-limit..=limit))
}

/// `y = x w1 w2` plus noise, at the true `(1, 1)`.
fn a1() -> (DeepLinear, Array1<f64>) {
    let x = uniform(N, 1, 1.0, 0);
    let y = &x + &uniform(N, 1, 1.0, 1);
    let target = DeepLinear::new(&[1, 1, 1], x.view(), y.view(), 1.0);
    (target.expect("fits"), Array1::ones(2))
}

fn a2() -> (LinearRegression, Array1<f64>) {
    let x = uniform(N, 2, 1.0, 0);
    let y = x.sum_axis(ndarray::Axis(1)) + uniform(N, 1, 1.0, 1).column(0);
    let target = LinearRegression::new(x.view(), y.view()).expect("a regression");
    let minimum = target.quadratic().minimum().to_owned();
    (target, minimum)
}

/// A noiseless network at its true parameters.
fn network(widths: &[usize], rank: usize) -> (DeepLinear, Array1<f64>) {
    let (mut w, mut product) = (vec![], Array2::eye(widths[0]));
    for (k, pair) in widths.windows(2).enumerate() {
        let size = (3.0 / rank as f64).sqrt();
        let (left, right) = (
            uniform(pair[1], rank, 1.0, 2 + k as u64),
            uniform(rank, pair[0], size, 30 + k as u64),
        );
        let layer = left.dot(&right);
        product = layer.dot(&product);
        w.extend(layer);
    }
    let (x, factor) = (uniform(N, widths[0], 1.0, 0), 1.0 / product.nrows() as f64);
    let target = DeepLinear::noiseless(widths, x.view(), product.view(), factor);
    (target.expect("fits"), w.into())
}

/// The perceptron of Tóth-Czifra (2026) at PyTorch's initial weights.
fn parity() -> (FeedForward, Array1<f64>) {
    let widths = [30, 256, 256, 1];
    let x = uniform(N, widths[0], 1.0, 0).mapv(f64::signum);
    let y = Array2::from_shape_fn((N, 1), |(i, _)| {
        f64::from(u8::from(x[[i, 0]] * x[[i, 1]] * x[[i, 2]] < 0.0))
    });
    let loss = Loss::BinaryCrossEntropy;
    let target = FeedForward::new(&widths, Activation::Relu, true, loss, x.view(), y.view());
    let layer = |(k, w): (usize, &[usize])| {
        let limit = 1.0 / (w[0] as f64).sqrt();
        uniform(w[0] + 1, w[1], limit, 60 + k as u64)
    };
    let w = widths.windows(2).enumerate().flat_map(layer).collect();
    (target.expect("fits").single_precision(), w)
}

/// The network of Cullen et al. (2026) at PyTorch's initial weights, on two of five pairs.
fn d() -> (QuadraticNetwork, Array1<f64>) {
    let (p, n_hidden) = (53, 1024);
    let pairs = (0..1123u32).map(|i| [i * 5 / 2 % (p * p) / p, i * 5 / 2 % p]);
    let pairs: Vec<_> = pairs.collect();
    let target = QuadraticNetwork::modular_addition(n_hidden, p as usize, &pairs);
    let bound = |fan_in: usize| 1.0 / (fan_in as f64).sqrt();
    let inner = uniform(2 * p as usize, n_hidden, bound(2 * p as usize), 4);
    let outer = uniform(p as usize, n_hidden, bound(n_hidden), 5);
    let w = inner.into_iter().chain(outer).collect();
    (target.expect("pairs"), w)
}

/// Four and 64 chains on one thread, and two threads where `two` says so.
fn chain_steps<T: Target + Clone + Send + Sync>(
    c: &mut Criterion,
    name: &str,
    (target, anchor): &(T, Array1<f64>),
    run: Run,
    two: bool,
) {
    let mut group = c.benchmark_group(name);
    group.sample_size(10);
    let threads: &[usize] = if two { &[1, 2] } else { &[1] };
    for n_chains in [4, 64] {
        for &n_threads in threads {
            let n_steps = run.n_steps * 64 / n_chains;
            let run = Run {
                n_chains,
                n_steps,
                n_threads,
                ..run
            };
            group.throughput(Throughput::Elements((n_chains * n_steps) as u64));
            let name = format!("{n_chains} chains, {n_threads} thread(s)");
            group.bench_function(name, |b| b.iter(|| sample(target, anchor, run)));
        }
    }
    group.finish();
}

fn problems(c: &mut Criterion) {
    let small = Run {
        n_chains: 0,
        n_steps: 2000,
        step_size: 1e-4,
        batch_size: None,
        n_threads: 1,
        block: 64,
    };
    chain_steps(c, "a1", &a1(), small, false);
    chain_steps(c, "a2", &a2(), small, false);
    let wide = Run {
        n_steps: 100,
        block: 4,
        step_size: 1e-5,
        ..small
    };
    chain_steps(c, "b1", &network(&[10, 10, 10], 5), wide, false);
    let wide = Run {
        n_steps: 100,
        block: 1,
        ..wide
    };
    let (target, anchor) = network(&[50; 5], 50);
    let batches = Run {
        batch_size: Some(128),
        ..wide
    };
    let b2 = (target.clone().single_precision(), anchor.clone());
    chain_steps(c, "b2, full batch", &b2, wide, true);
    chain_steps(c, "b2, batches of 128", &b2, batches, true);
    chain_steps(
        c,
        "b2, full batch, double precision",
        &(target, anchor),
        wide,
        false,
    );
    let few = Run { n_steps: 5, ..wide };
    chain_steps(c, "c, full batch", &parity(), few, true);
    let few = Run {
        n_steps: 10,
        ..batches
    };
    chain_steps(c, "c, batches of 128", &parity(), few, true);
    let batches = Run {
        step_size: 5e-4,
        n_steps: 10,
        ..batches
    };
    let (target, anchor) = d();
    let single = (target.clone().single_precision(), anchor.clone());
    chain_steps(c, "d, batches of 128", &single, batches, false);
    chain_steps(
        c,
        "d, batches of 128, double precision",
        &(target, anchor),
        batches,
        false,
    );
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

criterion_group!(benches, problems, normals);
criterion_main!(benches);
