//! Training steps per second on host targets in single precision, batches of 128, several networks as rows; elements are one network's steps.
//!
//! The parity net, 30-256-256-1 ReLU on 1000 samples, four seeds; the quadratic network of 1024 units for addition modulo 53, four seeds; the
//! embedding network of Panickssery and Vaintrob for the same task, 64 seeds. Every measurement begins at the same state, after 2000 steps: trained networks
//! have other numbers, many of them small.

use std::cell::LazyCell;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;
use rand::RngExt;
use slt_sampler::Target;
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::targets::{Activation, FeedForward, Loss, QuadraticNetwork};
use slt_training::{Adam, Optimiser, TrainPlan, Training};

/// Steps before all measurements.
const BEFORE: u64 = 2000;
/// Steps of a measurement, as many as the paper has between two checkpoints.
const STEPS: u64 = 100;
const MODULUS: u32 = 53;

fn uniform(n_rows: usize, n_columns: usize, limit: f64, index: u64) -> Array2<f64> {
    let mut rng = rng(1, Purpose::Data, 0, index);
    Array2::from_shape_simple_fn((n_rows, n_columns), || rng.random_range(-limit..=limit))
}

/// So many pairs, spread over all of them, and their sums, one-hot.
fn addition(n: u32) -> (Vec<[u32; 2]>, Array2<f64>) {
    let pair = |i: u32| {
        let at = i * 5 / 2 % (MODULUS * MODULUS);
        [at / MODULUS, at % MODULUS]
    };
    let pairs: Vec<[u32; 2]> = (0..n).map(pair).collect();
    let y = Array2::from_shape_fn((pairs.len(), MODULUS as usize), |(i, c)| {
        f64::from(u8::from((pairs[i][0] + pairs[i][1]) % MODULUS == c as u32))
    });
    (pairs, y)
}

fn steps<T: Target + Clone + Send + Sync>(
    c: &mut Criterion,
    name: &str,
    target: &T,
    n_rows: usize,
    optimiser: Optimiser,
) {
    let streams: Vec<u64> = (0..n_rows as u64).collect();
    let plan = TrainPlan {
        optimiser,
        batch_size: Some(128),
        n_steps: u64::MAX,
        checkpoint_every: STEPS,
        seed: 1,
    };
    let mut group = c.benchmark_group(name);
    group
        .throughput(Throughput::Elements(n_rows as u64 * STEPS))
        .sample_size(20);
    let advance = |training: &mut Training, by, n_threads| {
        let to = training.step + by;
        let done = training.advance(target, &plan, to, n_threads, &|_| ());
        done.expect("finite");
    };
    // only where a benchmark is asked for
    let start = LazyCell::new(|| {
        let start = uniform(n_rows, target.n_params(), 0.1, 7);
        let mut start = Training::new(start, &streams, &vec![optimiser; n_rows]);
        advance(&mut start, BEFORE, 2);
        start
    });
    for n_threads in [1, 2] {
        group.bench_function(format!("training steps, {n_threads} thread(s)"), |b| {
            b.iter_batched_ref(
                || Training::clone(&start),
                |training| advance(training, STEPS, n_threads),
                BatchSize::PerIteration,
            )
        });
    }
    group.finish();
}

fn trainings(c: &mut Criterion) {
    let adam = |learning_rate, weight_decay| Adam {
        learning_rate,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay,
    };
    let x = uniform(1000, 30, 1.0, 0).mapv(f64::signum);
    let y = Array2::from_shape_fn((1000, 1), |(i, _)| {
        f64::from(u8::from(x[[i, 0]] * x[[i, 1]] * x[[i, 2]] < 0.0))
    });
    let (widths, loss) = ([30, 256, 256, 1], Loss::BinaryCrossEntropy);
    let parity = FeedForward::new(&widths, Activation::Relu, true, loss, x.view(), y.view());
    let parity = parity.expect("fits").single_precision();
    let optimiser = Optimiser::AdamW(adam(1e-3, 5e-2));
    steps(c, "parity net, 4 seeds", &parity, 4, optimiser);

    let (pairs, _) = addition(1123);
    let quadratic = QuadraticNetwork::modular_addition(1024, MODULUS as usize, &pairs);
    let quadratic = quadratic.expect("pairs").centred().single_precision();
    let optimiser = Optimiser::Adam(adam(1e-4, 1e-5));
    steps(c, "addition, 4 seeds", &quadratic, 4, optimiser);

    let ((pairs, y), sizes) = (addition(1123), [MODULUS as usize, 12, 48]);
    let (sigma, loss) = (Activation::Gelu, Loss::CrossEntropy);
    let embedding = FeedForward::embedding(sizes, sigma, loss, &pairs, y.view());
    let embedding = embedding.expect("pairs").single_precision();
    let optimiser = Optimiser::Adam(adam(5e-3, 2e-4));
    steps(c, "embedding net, 64 seeds", &embedding, 64, optimiser);
}

criterion_group!(benches, trainings);
criterion_main!(benches);
