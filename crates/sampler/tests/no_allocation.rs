//! Host targets allocate nothing in a step, as long as their matrices have no more than 16 rows and columns: beyond, `gemm` does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ndarray::{Array1, Array2, array};
use slt_sampler::targets::{
    Activation, DeepLinear, FeedForward, GaussianLocation, LinearRegression, Loss, NormalCrossing,
    OneHotAutoencoder, Quadratic, QuadraticNetwork, Radial, TanhUnit, TwoComponent,
};
use slt_sampler::{Batch, Target};

struct Counting;

thread_local! {
    static N_ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator that counts")]
// SAFETY: every call is the system allocator's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        N_ALLOCATIONS.with(|n| n.set(n.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Allocations of a second call with full batches, and with minibatches of these sizes.
fn check(name: &str, mut target: impl Target, batch_sizes: &[usize]) {
    let d = target.n_params();
    let rows = Array2::from_shape_fn((3, d), |(i, j)| (1.0 + i as f64 + 0.7 * j as f64).sin());
    let (mut grad, mut loss) = (Array2::zeros((3, d)), [0.0; 3]);
    let n = target.n_samples() as u32;
    let indices: Vec<Array2<u32>> = batch_sizes
        .iter()
        .map(|&b| Array2::from_shape_fn((3, b), |(i, j)| (i + 2 * j) as u32 % n))
        .collect();
    let mut batches = vec![Batch::Full];
    batches.extend(indices.iter().map(|indices| Batch::Rows(indices.view())));
    for batch in batches {
        target.loss_and_grad(rows.view(), batch, grad.view_mut(), &mut loss);
        let before = N_ALLOCATIONS.with(Cell::get);
        target.loss_and_grad(rows.view(), batch, grad.view_mut(), &mut loss);
        target.loss(rows.view(), &mut loss);
        let after = N_ALLOCATIONS.with(Cell::get);
        assert_eq!(after - before, 0, "{name}, {d} parameters, {batch:?}");
    }
}

#[test]
fn a_step_allocates_nothing() {
    let wave = |n: usize, d: usize| {
        Array2::from_shape_fn((n, d), |(i, j)| {
            (0.3 + 1.7 * i as f64 + (0.9 + i as f64) * j as f64).sin()
        })
    };
    let (x, y): (Array2<f64>, Array1<f64>) = (wave(40, 3), wave(40, 1).column(0).to_owned());
    check(
        "normal crossing",
        NormalCrossing::new(0.5, &[1, 2, 1], 10),
        &[],
    );
    check("radial", Radial::new(0.5, 2, 3, 10), &[]);
    check(
        "quadratic",
        Quadratic::new(Array2::eye(2), array![0.0, 1.0], 0.0, 10),
        &[],
    );
    check(
        "tanh unit",
        TanhUnit::new(y.to_vec(), x.column(0).to_vec()).expect("samples"),
        &[6],
    );
    check(
        "location",
        GaussianLocation::new(x.clone()).expect("samples"),
        &[6],
    );
    check(
        "mixture",
        TwoComponent::new(y.to_vec()).expect("samples"),
        &[6],
    );
    let regression = LinearRegression::new(x.view(), y.view());
    check("regression", regression.expect("fits"), &[6]);
    for widths in [
        &[3usize, 10, 2] as &[usize],
        &[10, 10, 10],
        &[1, 1, 1],
        &[16, 2, 16, 16],
    ] {
        let (n_inputs, n_outputs) = (widths[0], widths[widths.len() - 1]);
        let (x, y) = (wave(150, n_inputs), wave(150, n_outputs));
        let target = DeepLinear::new(widths, x.view(), y.view(), 1.0).expect("fits");
        check("deep linear", target.clone(), &[1, 2, 16, 128]);
        check(
            "deep linear, single",
            target.single_precision(),
            &[1, 2, 16, 128],
        );
    }
    let inputs: Vec<(usize, f64)> = (0..20).map(|i| (i % 4, y[i])).collect();
    let autoencoder = OneHotAutoencoder::new(4, 2, &inputs).expect("samples");
    check("one-hot autoencoder", autoencoder, &[6]);
    let network = QuadraticNetwork::dense(5, wave(12, 3).view(), wave(12, 2).view());
    check("quadratic network", network.expect("fits"), &[6]);
    let pairs: Vec<[u32; 2]> = (0..9).map(|i| [i / 3, i % 3]).collect();
    let network = QuadraticNetwork::modular_addition(16, 3, &pairs).expect("fits");
    check("modular addition", network.single_precision(), &[6]);
    for activation in [Activation::Gelu, Activation::Tanh] {
        let (x, y) = (wave(12, 3), wave(12, 2).mapv(f64::abs));
        let loss = Loss::BinaryCrossEntropy;
        let network = FeedForward::new(&[3, 16, 5, 2], activation, true, loss, x.view(), y.view());
        let network = network.expect("fits");
        check("perceptron", network.clone(), &[6]);
        check("perceptron, single", network.single_precision(), &[6]);
    }
    let one_hot = Array2::from_shape_fn((9, 3), |(i, c)| f64::from(u8::from(i % 3 == c)));
    let loss = Loss::CrossEntropy;
    let network = FeedForward::embedding([3, 2, 5], Activation::Gelu, loss, &pairs, one_hot.view());
    check("embedding", network.expect("fits"), &[6]);
}

/// The counter counts.
#[test]
fn an_allocation_is_seen() {
    let before = N_ALLOCATIONS.with(Cell::get);
    std::hint::black_box(vec![1u8]);
    assert_eq!(N_ALLOCATIONS.with(Cell::get) - before, 1);
}
