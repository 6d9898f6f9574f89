//! The tensor engine against the host engine, and its rows against themselves in other company.

use ndarray::{Array2, Axis, array};
use slt_models::{Activation, DeviceKind, Loss, Mlp, NetworkTarget, Parity, Precision};
use slt_sampler::stream::Purpose;
use slt_sampler::targets::TanhUnit;
use slt_sampler::{
    Batch, Draws, Dynamics, Ensemble, Kernel, Minibatches, Plan, Row, Schedule, State, Target,
    chains,
};

const STREAMS: [u64; 8] = [0, 1, 2, 3, 40, 41, 1 << 33, 7];

/// `y = sin 3x + 0.3x` on 40 points of [-2, 2].
fn samples() -> (Vec<f64>, Vec<f64>) {
    let x: Vec<f64> = (0..40).map(|i| -2.0 + 4.0 * f64::from(i) / 39.0).collect();
    let y = x.iter().map(|x| (3.0 * x).sin() + 0.3 * x).collect();
    (x, y)
}

fn host() -> TanhUnit {
    let (x, y) = samples();
    TanhUnit::new(x, y).expect("samples")
}

fn column(values: Vec<f64>) -> Array2<f64> {
    Array2::from_shape_vec((values.len(), 1), values).expect("one column")
}

/// The same model: a row of `[1, 1, 1]` is (W1, b1, W2, b2) as well.
fn tensor(precision: Precision) -> NetworkTarget {
    let (x, y) = samples();
    let config = Mlp {
        widths: vec![1, 1, 1],
        activation: Activation::Tanh,
        bias: true,
    };
    let device = DeviceKind::Cpu.open().expect("a CPU");
    NetworkTarget::new(
        config,
        Loss::MeanSquaredError,
        precision,
        device,
        column(x),
        column(y),
    )
    .expect("fits")
}

fn anchors() -> Array2<f64> {
    array![
        [1.5, 0.2, 0.8, -0.1],
        [-0.7, 1.1, -1.3, 0.4],
        [0.1, -0.3, 0.5, 0.6],
        [3.0, -1.0, 0.4, 0.0]
    ]
}

/// The largest difference of losses and gradients along 200 steps of both engines with the same noise, and of the states.
struct Distance {
    loss: f64,
    grad: f64,
    rows: f64,
}

/// Each engine runs its own chain; gradients are also compared at the *same* state, the host's.
fn distance(precision: Precision, batch_size: Option<usize>) -> Distance {
    let dynamics = Dynamics::new(2e-3, 10.0, 1.0).expect("valid");
    let (mut host, mut tensor) = (host(), tensor(precision));
    let streams = &STREAMS[..4];
    let rows: Vec<Row> = streams
        .iter()
        .map(|&stream| Row { stream, dynamics })
        .collect();
    let mut states = [(); 2].map(|()| State::new(anchors().view(), 5, &rows));
    let mut batches = Minibatches::new(5, Purpose::SamplingBatches, streams, 40, batch_size);
    let largest = |a: &Array2<f64>, b: &Array2<f64>| (a - b).fold(0.0, |m: f64, x| m.max(x.abs()));
    let mut found = Distance {
        loss: 0.0,
        grad: 0.0,
        rows: 0.0,
    };
    for step in 0..200 {
        let batch = batches.at(step);
        let (mut grad, mut loss) = (Array2::zeros((4, 4)), [f64::NAN; 4]);
        tensor.loss_and_grad(states[0].rows.view(), batch, grad.view_mut(), &mut loss);
        Kernel::Sgld.step(&mut host, batch, &mut states[0]);
        Kernel::Sgld.step(&mut tensor, batch, &mut states[1]);
        for (a, b) in loss.iter().zip(&states[0].loss) {
            found.loss = found.loss.max((a - b).abs());
        }
        found.grad = found.grad.max(largest(&grad, &states[0].grad));
        found.rows = found.rows.max(largest(&states[1].rows, &states[0].rows));
    }
    let (mut a, mut b) = ([f64::NAN; 4], [f64::NAN; 4]);
    host.loss(states[0].rows.view(), &mut a);
    tensor.loss(states[0].rows.view(), &mut b);
    for (a, b) in a.iter().zip(b) {
        found.loss = found.loss.max((a - b).abs());
    }
    println!(
        "{precision:?}, {batch_size:?}: {:e} {:e} {:e}",
        found.loss, found.grad, found.rows
    );
    assert!(
        largest(&states[0].rows, &anchors()) > 0.3,
        "the chains moved"
    );
    found
}

/// Rounding is 1e-16, and 200 steps do not amplify it: sums are added in another order, nothing else differs.
#[test]
fn double_precision_is_the_host_engine() {
    for batch_size in [None, Some(8)] {
        let Distance { loss, grad, rows } = distance(Precision::F64, batch_size);
        assert!(
            loss.max(grad).max(rows) < 1e-12,
            "{batch_size:?}: {loss} {grad} {rows}"
        );
    }
}

/// Losses and gradients are means of numbers of order 1, each made by about ten operations that round to 6e-8: 2e-6 holds
/// them with a margin of three. A step moves a row by ε nβ/2 = 0.01 of its gradient, and the parameters themselves are
/// doubles: 200 steps leave at most 200 × 0.01 × 2e-6 where the drift does not pull rows apart, and here it does not.
#[test]
fn single_precision_is_the_host_engine_rounded() {
    for batch_size in [None, Some(8)] {
        let Distance { loss, grad, rows } = distance(Precision::F32, batch_size);
        assert!(
            loss < 2e-6 && grad < 2e-6 && rows < 4e-6,
            "{batch_size:?}: {loss} {grad} {rows}"
        );
        assert!(grad > 1e-9, "the network is evaluated in single precision");
    }
}

/// The parity net of the paper, or a narrower one, on 256 samples.
fn parity_net(hidden: usize) -> NetworkTarget {
    let config = Mlp {
        widths: vec![30, hidden, hidden, 1],
        activation: Activation::Relu,
        bias: true,
    };
    let task = Parity { n_bits: 30, k: 3 };
    let (x, y) = task.samples(256, 1, 0).expect("a task");
    let device = DeviceKind::Cpu.open().expect("a CPU");
    NetworkTarget::new(
        config,
        Loss::BinaryCrossEntropy,
        Precision::F32,
        device,
        x,
        y,
    )
    .expect("fits")
}

/// Draws to the bit.
fn bits(draws: &Draws) -> (Array2<u64>, ndarray::Array3<u64>) {
    let positions = draws.positions.as_ref().expect("kept");
    (draws.loss.mapv(f64::to_bits), positions.mapv(f64::to_bits))
}

/// All of the 8 rows in every arrangement of threads and blocks, and each of `alone` by itself.
fn company_does_not_matter(
    target: &NetworkTarget,
    n_draws: usize,
    batch_size: Option<usize>,
    alone: &[usize],
) {
    let anchors = target.network().init(3, &STREAMS);
    let plan = |n_threads, block| Plan {
        kernel: Kernel::Sgld,
        schedule: Schedule {
            burn_in: 0,
            n_draws,
            thin: 1,
        },
        batch_size,
        radius: None,
        seed: 11,
        keep_positions: true,
        n_threads,
        block,
    };
    let run = |n_threads, block, rows: &[usize]| {
        let anchors = anchors.select(Axis(0), rows);
        let dynamics = Dynamics::new(1e-4, 20.0, 1.0).expect("valid");
        let row = |&i: &usize| Row {
            stream: STREAMS[i],
            dynamics,
        };
        let rows: Vec<Row> = rows.iter().map(row).collect();
        let ensemble = Ensemble::new(anchors.view(), &rows);
        let draws = chains::run(target, &plan(n_threads, block), &ensemble, &|_| ());
        bits(&draws.expect("valid"))
    };
    let every: Vec<usize> = (0..8).collect();
    let (loss, positions) = run(1, 8, &every);
    for (n_threads, block) in [(1, 1), (1, 3), (2, 1), (2, 3), (2, 8)] {
        let again = run(n_threads, block, &every);
        assert!(
            again.0 == loss && again.1 == positions,
            "{n_threads} threads, blocks of {block}, batch {batch_size:?}"
        );
    }
    for &i in alone {
        let (l, p) = run(1, 1, &[i]);
        assert!(
            l.row(0) == loss.row(i),
            "losses of row {i} alone, batch {batch_size:?}"
        );
        assert!(
            p.index_axis(Axis(0), 0) == positions.index_axis(Axis(0), i),
            "row {i} alone"
        );
    }
}

#[test]
fn rows_of_a_parity_net_do_not_feel_their_company() {
    let target = parity_net(64);
    for batch_size in [None, Some(128)] {
        company_does_not_matter(&target, 12, batch_size, &[0, 5, 7]);
    }
}

#[test]
fn rows_of_the_full_parity_net_do_not_feel_their_company() {
    let target = parity_net(256);
    assert_eq!(target.n_params(), 73_985);
    for batch_size in [None, Some(128)] {
        company_does_not_matter(&target, 4, batch_size, &[6]);
    }
}

/// What the promise rests on: one evaluation of many rows is that of each.
#[test]
fn gradients_of_a_row_are_the_same_bits_in_any_company() {
    for (hidden, precision) in [
        (8, Precision::F32),
        (64, Precision::F32),
        (64, Precision::F64),
    ] {
        let (x, y) = Parity { n_bits: 30, k: 3 }
            .samples(100, 2, 0)
            .expect("a task");
        let config = Mlp {
            widths: vec![30, hidden, hidden, 1],
            activation: Activation::Relu,
            bias: true,
        };
        let device = DeviceKind::Cpu.open().expect("a CPU");
        let mut target =
            NetworkTarget::new(config, Loss::BinaryCrossEntropy, precision, device, x, y)
                .expect("fits");
        let streams: Vec<u64> = (0..33).collect();
        let rows = target.network().init(1, &streams);
        let mut evaluate = |rows: &Array2<f64>| {
            let (mut grad, mut loss) = (Array2::zeros(rows.dim()), vec![0.0; rows.nrows()]);
            target.loss_and_grad(rows.view(), Batch::Full, grad.view_mut(), &mut loss);
            (loss, grad)
        };
        let (losses, grads) = evaluate(&rows);
        for company in [vec![0], vec![32], vec![4, 17], (3..20).collect()] {
            let (loss, grad) = evaluate(&rows.select(Axis(0), &company));
            for (k, &i) in company.iter().enumerate() {
                assert_eq!(loss[k].to_bits(), losses[i].to_bits());
                assert!(
                    grad.row(k) == grads.row(i),
                    "row {i} of {company:?}, {hidden} hidden units, {precision:?}"
                );
            }
        }
    }
}

/// Ten times the steps on the narrower net.
#[test]
#[ignore = "minutes; run by `make stress`"]
fn stress() {
    for batch_size in [None, Some(7), Some(128)] {
        company_does_not_matter(&parity_net(64), 120, batch_size, &[0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
