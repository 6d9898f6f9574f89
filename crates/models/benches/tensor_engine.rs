//! Chain-steps and training steps per second of the tensor engine on one core: the parity net, 30-256-256-1 ReLU, 73 985 parameters. The host
//! engine's are in the benches of slt-sampler and slt-training.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;
use slt_models::{Activation, DeviceKind, Loss, Mlp, NetworkTarget, Parity, Precision};
use slt_sampler::stream::Purpose;
use slt_sampler::{Dynamics, Kernel, Minibatches, Row, State, Target, default_nbeta};
use slt_training::{Adam, Optimiser};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn target() -> NetworkTarget {
    let config = Mlp {
        widths: vec![30, 256, 256, 1],
        activation: Activation::Relu,
        bias: true,
    };
    let (x, y) = Parity { n_bits: 30, k: 3 }
        .samples(1000, 1, 0)
        .expect("a task");
    let device = DeviceKind::Cpu.open().expect("the default device");
    NetworkTarget::new(
        config,
        Loss::BinaryCrossEntropy,
        Precision::F32,
        device,
        x,
        y,
    )
    .expect("a target")
}

fn sampling(c: &mut Criterion) {
    let mut target = target();
    let n_chains = 4;
    let streams: Vec<u64> = (0..n_chains).collect();
    let rows = target.network().init(1, &streams);
    let dynamics = Dynamics::new(1e-5, default_nbeta(1000).expect("two samples"), 1.0)
        .expect("valid settings");
    let mut group = c.benchmark_group("parity net, 4 chains");
    group
        .throughput(Throughput::Elements(n_chains))
        .sample_size(20);
    for (name, batch_size) in [
        ("chain-steps, batch 128", Some(128)),
        ("chain-steps, full batch", None),
    ] {
        let mut state = State::new(rows.view(), 1, &Row::many(0, 4, dynamics));
        let mut batches = Minibatches::new(1, Purpose::SamplingBatches, &streams, 1000, batch_size);
        group.bench_function(name, |b| {
            b.iter(|| Kernel::Sgld.step(&mut target, batches.at(state.step), &mut state))
        });
    }
    let mut loss = vec![0.0; 4];
    group.bench_function("full-data losses", |b| {
        b.iter(|| target.loss(rows.view(), &mut loss))
    });
    group.finish();
}

/// Steps of training of four networks, batches of 128.
fn training(
    c: &mut Criterion,
    name: &str,
    target: &mut impl Target,
    mut rows: Array2<f64>,
    optimiser: Optimiser,
) {
    let streams = [0, 1, 2, 3];
    let mut moments = optimiser.start(4, target.n_params());
    let (mut grad, mut loss) = (rows.clone(), vec![0.0; 4]);
    let (purpose, n) = (Purpose::TrainingBatches, target.n_samples());
    let mut batches = Minibatches::new(1, purpose, &streams, n, Some(128));
    let mut step = 0;
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(4)).sample_size(20);
    group.bench_function("training steps, batch 128", |b| {
        b.iter(|| {
            target.loss_and_grad(rows.view(), batches.at(step), grad.view_mut(), &mut loss);
            optimiser.step(
                step,
                rows.view_mut(),
                grad.view(),
                moments.first.view_mut(),
                moments.second.view_mut(),
            );
            step += 1;
        });
    });
    group.finish();
}

fn trainings(c: &mut Criterion) {
    let mut parity = target();
    let rows = parity.network().init(1, &[0, 1, 2, 3]);
    let optimiser = Optimiser::AdamW(Adam {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 5e-2,
    });
    training(c, "parity net, 4 seeds", &mut parity, rows, optimiser);
}

criterion_group!(benches, sampling, trainings);
criterion_main!(benches);
