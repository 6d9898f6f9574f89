//! libtorch's CPU against burn's own CPU backend, for every network; built with `--features tch` only (`make test-tch`).
#![cfg(feature = "tch")]

mod cases;

use cases::{Case, cases, evaluate, largest};
use ndarray::Array2;
use slt_models::{DeviceError, DeviceKind, Precision};
use slt_sampler::stream::Purpose;
use slt_sampler::{Batch, Dynamics, Kernel, Minibatches, Row, State};

const STREAMS: [u64; 3] = [3, 4, 1 << 40];

/// Losses and gradients of three rows agree to rounding, relative to the largest gradient entry.
#[test]
fn losses_and_gradients_agree() {
    // some hundred roundings, of 6e-8 and of 1e-16, in sums of different order
    for (precision, tolerance) in [(Precision::F32, 1e-5), (Precision::F64, 1e-13)] {
        for case in cases() {
            let rows = case.network.init(5, &STREAMS);
            let [cpu, tch] = [DeviceKind::Cpu, DeviceKind::Tch]
                .map(|kind| evaluate(&mut case.target(kind, precision), &rows, Batch::Full));
            for (a, b) in cpu.0.iter().zip(&tch.0) {
                assert!(
                    (a - b).abs() <= tolerance * (1.0 + a),
                    "{}, {precision:?}: loss {a} and {b}",
                    case.name
                );
            }
            let distance = largest(&(&cpu.1 - &tch.1));
            assert!(
                distance <= tolerance * largest(&cpu.1),
                "{}, {precision:?}: gradients differ by {distance:e}",
                case.name
            );
        }
    }
}

/// Where two hundred steps of SGLD on minibatches lead.
fn chain(case: &Case, kind: DeviceKind, precision: Precision) -> Array2<f64> {
    let mut target = case.target(kind, precision);
    let rows = case.network.init(5, &STREAMS);
    let dynamics = Dynamics::new(1e-4, 30.0, 1.0).expect("valid settings");
    let mut state = State::new(rows.view(), 7, &Row::many(3, STREAMS.len(), dynamics));
    let n = case.n();
    let mut batches = Minibatches::new(7, Purpose::SamplingBatches, &STREAMS, n, Some(4));
    for step in 0..200 {
        Kernel::Sgld.step(&mut target, batches.at(step), &mut state);
    }
    assert!(largest(&(&state.rows - &rows)) > 0.1, "the chains moved");
    state.rows
}

/// The same seeds give the same chains, minibatches and noise included: a step moves a row by `1.5e-3` of its gradient.
#[test]
fn chains_agree() {
    for (precision, tolerance) in [(Precision::F32, 1e-7), (Precision::F64, 1e-14)] {
        for case in cases() {
            let cpu = chain(&case, DeviceKind::Cpu, precision);
            let tch = chain(&case, DeviceKind::Tch, precision);
            let distance = largest(&(&cpu - &tch));
            println!("{}, {precision:?}: {distance:e}", case.name);
            assert!(
                distance < tolerance,
                "{}, {precision:?}: {distance:e}",
                case.name
            );
        }
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
