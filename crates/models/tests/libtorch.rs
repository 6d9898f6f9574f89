//! libtorch's CPU against burn's own CPU backend; built with `--features tch` only (`make test-tch`).
#![cfg(feature = "tch")]

use ndarray::Array2;
use slt_models::{
    Activation, DeviceError, DeviceKind, Loss, MlpConfig, MlpTarget, Parity, Precision,
};
use slt_sampler::stream::Purpose;
use slt_sampler::{Batch, Dynamics, Kernel, Minibatches, Row, State, Target};

fn target(kind: DeviceKind, precision: Precision) -> MlpTarget {
    let config = MlpConfig {
        widths: vec![10, 32, 32, 1],
        activation: Activation::Relu,
    };
    let (x, y) = Parity { n_bits: 10, k: 3 }
        .samples(200, 1, 0)
        .expect("a task");
    let device = kind.open().expect("the device is there");
    MlpTarget::new(config, Loss::BinaryCrossEntropy, precision, device, x, y).expect("a target")
}

/// Losses and gradients of three rows agree to `tolerance` of the largest gradient entry.
#[test]
fn losses_and_gradients_agree() {
    // 1e-5: some hundred f32 roundings of 6e-8 in sums of different order; 1e-13: the same in f64
    for (precision, tolerance) in [(Precision::F32, 1e-5), (Precision::F64, 1e-13)] {
        let evaluate = |kind| {
            let mut target = target(kind, precision);
            let rows = target.config().init(5, &[0, 1, 2]);
            let mut grad = Array2::zeros(rows.dim());
            let mut loss = vec![0.0; 3];
            target.loss_and_grad(rows.view(), Batch::Full, grad.view_mut(), &mut loss);
            (loss, grad)
        };
        let (cpu, tch) = (evaluate(DeviceKind::Cpu), evaluate(DeviceKind::Tch));
        for (a, b) in cpu.0.iter().zip(&tch.0) {
            assert!(
                (a - b).abs() <= tolerance * a,
                "{precision:?}: loss {a} and {b}"
            );
        }
        let largest = cpu.1.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
        for (a, b) in cpu.1.iter().zip(&tch.1) {
            assert!(
                (a - b).abs() <= tolerance * largest,
                "{precision:?}: gradient {a} and {b}"
            );
        }
    }
}

/// The same seeds give the same chains, minibatches and noise included, to rounding.
#[test]
fn chains_agree() {
    let run = |kind| {
        let mut target = target(kind, Precision::F64);
        let streams = [3, 4];
        let rows = target.config().init(5, &streams);
        let dynamics = Dynamics::new(1e-4, 30.0, 1.0).expect("valid settings");
        let mut state = State::new(rows.view(), 7, &Row::many(3, 2, dynamics));
        let mut batches = Minibatches::new(7, Purpose::SamplingBatches, &streams, 200, Some(32));
        for step in 0..200 {
            Kernel::Sgld.step(&mut target, batches.at(step), &mut state);
        }
        state.rows
    };
    let (cpu, tch) = (run(DeviceKind::Cpu), run(DeviceKind::Tch));
    for (a, b) in cpu.iter().zip(&tch) {
        assert!((a - b).abs() < 1e-10, "{a} and {b}");
    }
}

/// Where there is no GPU, asking for one is one clear line, not a crash.
#[test]
fn a_missing_gpu_is_an_error() {
    match DeviceKind::Cuda.open() {
        Ok(_) => assert!(tch::Cuda::is_available()),
        Err(error) => {
            assert!(matches!(error, DeviceError::NoGpu(_)));
            assert!(error.to_string().contains("device 'cuda' is not there"));
        }
    }
}
