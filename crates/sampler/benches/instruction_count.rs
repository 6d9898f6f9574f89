//! Instructions of a hundred SGLD steps of four chains, counted by valgrind: the same on every run, whatever else the machine does.
//!
//! Needs valgrind and `cargo install gungraun-runner --version 0.20.0`:
//! `cargo bench -p slt-sampler --features instruction-count --bench instruction_count`.

#![allow(missing_docs, reason = "what gungraun's macros make")]

use std::hint::black_box;

use gungraun::prelude::*;
use ndarray::{Array1, Array2};
use slt_sampler::targets::{DeepLinear, Quadratic};
use slt_sampler::{Batch, Dynamics, Kernel, Row, State, Target};

fn quadratic(d: usize) -> (Quadratic, State) {
    let target = Quadratic::new(Array2::eye(d), Array1::zeros(d), 0.0, 1000);
    let state = state(&target);
    (target, state)
}

/// With second moments and teacher the identity.
fn network(widths: &[usize]) -> (DeepLinear, State) {
    let eye = Array2::eye(widths[0]);
    let target = DeepLinear::from_moments(widths, eye.view(), eye.view(), 1.0, 1000);
    let target = target.expect("a square network").single_precision();
    let state = state(&target);
    (target, state)
}

fn state(target: &impl Target) -> State {
    let anchors = Array2::from_elem((4, target.n_params()), 0.1);
    let dynamics = Dynamics::new(1e-6, 100.0, 1.0).expect("valid settings");
    State::new(anchors.view(), 1, &Row::many(0, 4, dynamics))
}

fn hundred_steps<T: Target>(mut target: T, mut state: State) -> State {
    for _ in 0..100 {
        Kernel::Sgld.step(&mut target, Batch::Full, &mut state);
    }
    state
}

#[library_benchmark]
#[bench::two_parameters(quadratic(2))]
#[bench::hundred_parameters(quadratic(100))]
fn regression((target, state): (Quadratic, State)) -> State {
    black_box(hundred_steps(target, state))
}

#[library_benchmark]
#[bench::one_one_one(network(&[1, 1, 1]))]
#[bench::ten_ten_ten(network(&[10, 10, 10]))]
#[bench::four_layers_of_fifty(network(&[50; 5]))]
fn deep_linear((target, state): (DeepLinear, State)) -> State {
    black_box(hundred_steps(target, state))
}

library_benchmark_group!(name = steps, benchmarks = [regression, deep_linear]);
main!(library_benchmark_groups = steps);
