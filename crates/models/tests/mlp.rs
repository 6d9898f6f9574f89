//! Multilayer perceptrons, their losses and their training.

use ndarray::{Array2, ArrayView1, Axis, array};
use slt_models::{
    Activation, DeviceKind, Loss, Mlp, Network, NetworkError, NetworkTarget, Parity, Precision,
};
use slt_sampler::targets::LabelError;
use slt_sampler::{Batch, Target};
use slt_training::{Adam, Optimiser, Sgd, TrainPlan, train};

const LOSSES: [Loss; 2] = [Loss::MeanSquaredError, Loss::BinaryCrossEntropy];

fn target(
    widths: &[usize],
    activation: Activation,
    loss: Loss,
    precision: Precision,
    x: Array2<f64>,
    y: Array2<f64>,
) -> Result<NetworkTarget, NetworkError> {
    let config = Mlp {
        widths: widths.to_vec(),
        activation,
        bias: true,
    };
    let device = DeviceKind::Cpu.open().expect("a CPU");
    NetworkTarget::new(config, loss, precision, device, x, y)
}

/// Nine samples for three inputs and two outputs, labels in [0, 1].
fn samples() -> (Array2<f64>, Array2<f64>) {
    let x = Array2::from_shape_fn((9, 3), |(i, j)| {
        (1.0 + 2.3 * i as f64 + 0.7 * j as f64).sin()
    });
    let y = Array2::from_shape_fn((9, 2), |(i, j)| ((i + j) % 3) as f64 / 2.0);
    (x, y)
}

fn small(activation: Activation, loss: Loss) -> NetworkTarget {
    let (x, y) = samples();
    target(&[3, 4, 3, 2], activation, loss, Precision::F64, x, y).expect("fits")
}

fn evaluate(
    target: &mut NetworkTarget,
    rows: &Array2<f64>,
    batch: Batch,
) -> (Vec<f64>, Array2<f64>) {
    let (mut loss, mut grad) = (vec![f64::NAN; rows.nrows()], Array2::zeros(rows.dim()));
    target.loss_and_grad(rows.view(), batch, grad.view_mut(), &mut loss);
    (loss, grad)
}

/// The loss of one sample with outputs `f` and labels `y`, on a route of its own.
fn by_hand(loss: Loss, f: ArrayView1<f64>, y: ArrayView1<f64>) -> f64 {
    let errors = (&f - &y).mapv(|e| e * e);
    match loss {
        Loss::MeanSquaredError => errors.mean().expect("outputs"),
        Loss::HalvedSquaredError | Loss::CentredSquaredError => 0.5 * errors.sum(),
        Loss::CrossEntropy => f.mapv(f64::exp).sum().ln() - f.dot(&y),
        Loss::BinaryCrossEntropy => {
            let sigma = f.mapv(|f| 1.0 / (1.0 + (-f).exp()));
            let each = |(&s, &y): (&f64, &f64)| -y * s.ln() - (1.0 - y) * (1.0 - s).ln();
            sigma.iter().zip(&y).map(each).sum::<f64>() / f.len() as f64
        }
    }
}

#[test]
fn losses_are_their_formulas() {
    for loss in [
        Loss::MeanSquaredError,
        Loss::HalvedSquaredError,
        Loss::CentredSquaredError,
        Loss::CrossEntropy,
        Loss::BinaryCrossEntropy,
    ] {
        // labels of the logistic loss are numbers from 0 to 1, and so are the probabilities of two classes
        let (x, mut y) = samples();
        let rest = 1.0 - &y.column(0);
        y.column_mut(1).assign(&rest);
        let mut target = target(
            &[3, 4, 3, 2],
            Activation::Tanh,
            loss,
            Precision::F64,
            x,
            y.clone(),
        )
        .expect("fits");
        let rows = 3.0 * target.network().init(1, &[0, 1]);
        let (found, _) = evaluate(&mut target, &rows, Batch::Full);
        let mut again = [0.0; 2];
        target.loss(rows.view(), &mut again);
        for (i, mut f) in target.outputs(rows.view()).outer_iter_mut().enumerate() {
            if loss == Loss::CentredSquaredError {
                // (f - mean f) - (y - mean y) is the error less its mean
                let mean = (&f - &y).mean_axis(Axis(0)).expect("samples");
                f -= &mean;
            }
            let samples = f.rows().into_iter().zip(y.rows());
            let expected = samples.map(|(f, y)| by_hand(loss, f, y)).sum::<f64>() / 9.0;
            approx::assert_relative_eq!(found[i], expected, max_relative = 1e-12);
            approx::assert_relative_eq!(again[i], expected, max_relative = 1e-12);
        }
    }
}

/// The mean is taken off over the samples of the minibatch, not of the data set: one sample has no loss, and no gradient.
#[test]
fn the_centred_error_of_one_sample_is_zero() {
    let mut target = small(Activation::Tanh, Loss::CentredSquaredError);
    let rows = target.network().init(1, &[0, 1]);
    let (loss, grad) = evaluate(&mut target, &rows, Batch::Rows(array![[3u32], [4]].view()));
    assert_eq!(loss, [0.0, 0.0]);
    assert!(grad.iter().all(|&g| g == 0.0));
}

#[test]
fn labels_are_checked() {
    let (x, y) = samples();
    let build = |loss, y: &Array2<f64>| {
        let (x, y) = (x.clone(), y.clone());
        target(&[3, 2], Activation::Relu, loss, Precision::F32, x, y).map(|_| ())
    };
    let error = build(Loss::CrossEntropy, &y).expect_err("they do not sum to 1");
    assert_eq!(
        error.to_string(),
        "the labels of sample 0 are [0.0, 0.5]; expected probabilities, which sum to 1"
    );
    let error = build(Loss::BinaryCrossEntropy, &(&y * 1.5)).expect_err("above 1");
    assert!(
        matches!(error, NetworkError::Label(LabelError { sample: 1, .. })),
        "{error}"
    );
    assert_eq!(build(Loss::MeanSquaredError, &(&y * 1.5)), Ok(()));
    let none = target(
        &[3, 2],
        Activation::Relu,
        Loss::MeanSquaredError,
        Precision::F32,
        Array2::zeros((0, 3)),
        Array2::zeros((0, 2)),
    );
    assert!(matches!(none, Err(NetworkError::NoSamples)));
}

/// Records are named by their settings: those of a network with biases must not change.
#[test]
fn settings_say_nothing_of_biases_that_are_there() {
    let mut network = Mlp {
        widths: vec![2, 1],
        activation: Activation::Relu,
        bias: true,
    };
    let text = r#"{"widths":[2,1],"activation":"relu"}"#;
    assert_eq!(serde_json::to_string(&network).expect("JSON"), text);
    assert_eq!(
        serde_json::from_str::<Mlp>(text).expect("settings"),
        network
    );
    network.bias = false;
    let text = r#"{"widths":[2,1],"activation":"relu","bias":false}"#;
    assert_eq!(serde_json::to_string(&network).expect("JSON"), text);
}

/// One hidden layer, evaluated by hand from the documented layout of a row.
#[test]
fn a_row_is_laid_out_as_documented() {
    let x = array![[0.5, -2.0]];
    let target = |activation| {
        target(
            &[2, 3, 1],
            activation,
            LOSSES[0],
            Precision::F64,
            x.clone(),
            array![[0.0]],
        )
        .expect("fits")
    };
    // weight [2, 3], bias [3], weight [3, 1], bias [1]
    let row = array![[
        1.0, 2.0, 3.0, 0.1, 0.2, 0.3, 0.5, -0.5, 0.25, 1.5, -1.0, 2.0, 0.125
    ]];
    let hidden = [0.5 - 0.2 + 0.5, 1.0 - 0.4 - 0.5, 1.5 - 0.6 + 0.25];
    let output = |h: [f64; 3]| 1.5 * h[0] - h[1] + 2.0 * h[2] + 0.125;
    let relu = target(Activation::Relu).outputs(row.view())[[0, 0, 0]];
    let tanh = target(Activation::Tanh).outputs(row.view())[[0, 0, 0]];
    approx::assert_relative_eq!(
        relu,
        output(hidden.map(|h: f64| h.max(0.0))),
        max_relative = 1e-14
    );
    approx::assert_relative_eq!(tanh, output(hidden.map(f64::tanh)), max_relative = 1e-14);
}

/// `f = w x` with `w = 1e4`: nothing overflows, and a loss is 0 or the logit itself.
#[test]
fn cross_entropy_of_large_logits_is_finite() {
    for precision in [Precision::F32, Precision::F64] {
        let (x, y) = (
            array![[1.0], [1.0], [-1.0], [-1.0]],
            array![[1.0], [0.0], [1.0], [0.0]],
        );
        let mut target =
            target(&[1, 1], Activation::Relu, LOSSES[1], precision, x, y).expect("fits");
        let rows = array![[1e4, 0.0]];
        for (sample, (loss, slope)) in [(0.0, 0.0), (1e4, 1.0), (1e4, 1.0), (0.0, 0.0)]
            .into_iter()
            .enumerate()
        {
            let batch = array![[sample as u32]];
            let (found, grad) = evaluate(&mut target, &rows, Batch::Rows(batch.view()));
            assert_eq!(
                (found[0], grad[[0, 0]]),
                (loss, slope),
                "{precision:?}, sample {sample}"
            );
        }
    }
}

/// `d loss/d f = σ(f) − y`, and no less where the formula has its kinks.
#[test]
fn cross_entropy_has_its_slope_at_logit_zero() {
    for y in [0.0, 0.25, 1.0] {
        let mut target = target(
            &[1, 1],
            Activation::Relu,
            LOSSES[1],
            Precision::F64,
            array![[1.0]],
            array![[y]],
        )
        .expect("fits");
        let (loss, grad) = evaluate(&mut target, &array![[0.0, 0.0]], Batch::Full);
        approx::assert_relative_eq!(loss[0], 2f64.ln(), max_relative = 1e-15);
        approx::assert_relative_eq!(grad, array![[0.5 - y, 0.5 - y]], max_relative = 1e-15);
    }
}

#[test]
fn accuracy_counts_the_right_side() {
    let (x, y) = (
        array![[0.2], [0.4], [0.6], [0.8]],
        array![[0.0], [1.0], [1.0], [0.0]],
    );
    // the threshold on x: 0.5, 0.3, and everything on the side of 1
    let squared = array![[1.0, 0.0], [1.0, 0.2], [0.0, 2.0]];
    let logits = array![[1.0, -0.5], [1.0, -0.3], [0.0, 2.0]];
    for (loss, rows) in LOSSES.into_iter().zip([squared, logits]) {
        let target = target(
            &[1, 1],
            Activation::Relu,
            loss,
            Precision::F64,
            x.clone(),
            y.clone(),
        )
        .expect("fits");
        assert_eq!(target.accuracy(rows.view()), [0.5, 0.75, 0.5], "{loss:?}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let build = |widths: &[usize], x: (usize, usize), y: (usize, usize)| {
        let (x, y) = (Array2::zeros(x), Array2::zeros(y));
        target(widths, Activation::Relu, LOSSES[0], Precision::F32, x, y).map(|_| ())
    };
    let shape = |what, axis, got, expected| {
        Err(NetworkError::Shape {
            what,
            axis,
            got,
            expected,
        })
    };
    assert_eq!(build(&[3, 2], (5, 3), (5, 2)), Ok(()));
    assert_eq!(
        build(&[3, 2], (5, 4), (5, 2)),
        shape("input", "columns", 4, 3)
    );
    assert_eq!(
        build(&[3, 2], (5, 3), (5, 1)),
        shape("output", "columns", 1, 2)
    );
    assert_eq!(
        build(&[3, 2], (5, 3), (6, 2)),
        shape("output", "rows", 6, 5)
    );
    for widths in [&[][..], &[3], &[3, 0, 2]] {
        assert_eq!(
            build(widths, (5, 3), (5, 2)),
            Err(NetworkError::Widths(widths.to_vec()))
        );
    }
    let nan = target(
        &[1, 1],
        Activation::Relu,
        LOSSES[0],
        Precision::F32,
        array![[f64::NAN]],
        array![[0.0]],
    );
    assert!(matches!(nan, Err(NetworkError::NotFinite)));
}

#[test]
fn initial_parameters_are_addressed() {
    let config = Network::Mlp(Mlp {
        widths: vec![30, 256, 256, 1],
        activation: Activation::Relu,
        bias: true,
    });
    assert_eq!(config.n_params(), 73_985);
    let rows = config.init(7, &[3, 9]);
    assert_eq!(
        config.init(7, &[9]).row(0),
        rows.row(1),
        "a row depends on its stream alone"
    );
    assert_ne!(rows.row(0), rows.row(1));
    assert_ne!(config.init(8, &[9]).row(0), rows.row(1));
    // weight and bias of a layer share the bound of the layer's inputs, and nearly reach it
    for (columns, fan_in, reach) in [
        (0..7680, 30, 0.99),
        (7680..7936, 30, 0.9),
        (7936..73472, 256, 0.99),
        (73472..73728, 256, 0.9),
        (73728..73984, 256, 0.9),
    ] {
        let bound = 1.0 / f64::from(fan_in).sqrt();
        let largest = rows
            .slice(ndarray::s![.., columns])
            .fold(0.0, |m: f64, w| m.max(w.abs()));
        assert!(
            reach * bound < largest && largest <= bound,
            "{largest} within {bound}"
        );
    }
}

#[test]
fn the_loss_of_a_network_goes_down() {
    let (x, y) = Parity { n_bits: 6, k: 2 }
        .samples(64, 1, 0)
        .expect("a task");
    let config = Mlp {
        widths: vec![6, 16, 1],
        activation: Activation::Relu,
        bias: true,
    };
    let device = DeviceKind::Cpu.open().expect("a CPU");
    let mut target = NetworkTarget::new(
        config,
        Loss::BinaryCrossEntropy,
        Precision::F32,
        device,
        x,
        y,
    )
    .expect("fits");
    for optimiser in [
        Optimiser::AdamW(Adam {
            learning_rate: 1e-2,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 1e-2,
        }),
        Optimiser::Sgd(Sgd {
            learning_rate: 0.1,
            momentum: 0.9,
        }),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let plan = TrainPlan {
            batch_size: Some(16),
            n_steps: 300,
            checkpoint_every: 100,
            optimiser,
            seed: 3,
        };
        let rows = target.network().init(1, &[0, 1, 2]);
        let trained = train(
            &target,
            &plan,
            rows.clone(),
            &[0, 1, 2],
            folder.path(),
            "{}",
            2,
            &|_| (),
        )
        .expect("trained");
        let (mut before, mut after) = (vec![0.0; 3], vec![0.0; 3]);
        target.loss(rows.view(), &mut before);
        target.loss(trained.rows.view(), &mut after);
        // it starts at ln 2 = 0.69, and two of six bits are learnt quickly
        assert!(
            before.iter().all(|&l| l > 0.6) && after.iter().all(|&l| l < 0.2),
            "{before:?} to {after:?}"
        );
        assert!(
            target
                .accuracy(trained.rows.view())
                .iter()
                .all(|&a| a > 0.95)
        );
    }
}
