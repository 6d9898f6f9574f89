//! libtorch's CPU against burn's own CPU backend, for every network; built with `--features tch` only (`make test-tch`).
#![cfg(feature = "tch")]

mod cases;

use cases::{assert_alike, cases, drawn, evaluate, largest};
use slt_models::{DeviceError, DeviceKind, Precision};
use slt_sampler::Batch;

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

/// The same seeds give the same chains, minibatches and noise included: rows on the host and gradients of burn's CPU backend beside rows that live in
/// libtorch.
#[test]
fn chains_agree() {
    for (precision, tolerance) in [(Precision::F32, 1e-5), (Precision::F64, 1e-12)] {
        for case in cases() {
            let [cpu, tch] = [DeviceKind::Cpu, DeviceKind::Tch]
                .map(|kind| drawn(&case.target(kind, precision), &case.network, Some(4)));
            let name = format!("{}, {precision:?}", case.name);
            assert_alike(&cpu, &tch, tolerance, &name);
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
