use super::*;
use crate::targets::{gradient_check, minibatch_check, sample_losses_check};
use ndarray::{Axis, array};

const LOSSES: [Loss; 5] = [
    Loss::MeanSquaredError,
    Loss::HalvedSquaredError,
    Loss::CentredSquaredError,
    Loss::CrossEntropy,
    Loss::BinaryCrossEntropy,
];
const SIGMAS: [Activation; 5] = [
    Activation::Relu,
    Activation::Tanh,
    Activation::Gelu,
    Activation::Quadratic,
    Activation::Identity,
];

fn wave(n_rows: usize, n_columns: usize, phase: f64) -> Array2<f64> {
    Array2::from_shape_fn((n_rows, n_columns), |(i, j)| {
        (phase + 1.7 * i as f64 + (0.9 + 0.31 * i as f64) * j as f64).sin()
    })
}

/// Labels of any loss: probabilities.
fn labels(n: usize, n_outputs: usize) -> Array2<f64> {
    let mut y = wave(n, n_outputs, 1.1).mapv(|v| 0.1 + v * v);
    for mut row in y.rows_mut() {
        let sum = row.sum();
        row /= sum;
    }
    y
}

fn parameters(target: &FeedForward) -> Vec<f64> {
    let size = |i: usize| 0.9 * (0.4 + 1.3 * i as f64 + 0.01 * (i * i) as f64).cos();
    (0..target.n_params()).map(size).collect()
}

fn value(sigma: Activation, x: f64) -> f64 {
    match sigma {
        Activation::Relu => x.max(0.0),
        Activation::Tanh => x.tanh(),
        // Φ by its own test
        Activation::Gelu => x * crate::targets::elementary::Elementary::normal(x).0,
        Activation::Quadratic => x * x,
        Activation::Identity => x,
    }
}

/// The mean loss of outputs by its definition.
fn by_definition(loss: Loss, f: &Array2<f64>, y: &Array2<f64>) -> f64 {
    let n = f.nrows() as f64;
    let errors = f - y;
    let halved = |e: &Array2<f64>| e.mapv(|e| e * e).sum() / (2.0 * n);
    match loss {
        Loss::MeanSquaredError => 2.0 * halved(&errors) / f.ncols() as f64,
        Loss::HalvedSquaredError => halved(&errors),
        Loss::CentredSquaredError => {
            let mean = errors.mean_axis(Axis(0)).expect("samples");
            halved(&(&errors - &mean))
        }
        Loss::CrossEntropy => {
            let rows = f.rows().into_iter().zip(y.rows());
            let of = rows.map(|(f, y)| {
                let sum: f64 = f.iter().map(|f| f.exp()).sum();
                f.iter()
                    .zip(y)
                    .map(|(f, y)| y * (sum.ln() - f))
                    .sum::<f64>()
            });
            of.sum::<f64>() / n
        }
        Loss::BinaryCrossEntropy => {
            let each = f.iter().zip(y).map(|(f, y)| f.exp().ln_1p() - y * f);
            each.sum::<f64>() / f.len() as f64
        }
    }
}

/// Outputs of a perceptron, sample by sample.
fn outputs(
    widths: &[usize],
    sigma: Activation,
    bias: bool,
    w: &[f64],
    x: &Array2<f64>,
) -> Array2<f64> {
    let (mut h, mut at) = (x.clone(), 0);
    for (k, pair) in widths.windows(2).enumerate() {
        let [n_in, n_out] = [pair[0], pair[1]];
        let weight = ArrayView2::from_shape((n_in, n_out), &w[at..at + n_in * n_out]);
        h = h.dot(&weight.expect("a layer"));
        at += n_in * n_out;
        if bias {
            h += &ndarray::ArrayView1::from(&w[at..at + n_out]);
            at += n_out;
        }
        if k + 2 < widths.len() {
            h.mapv_inplace(|v| value(sigma, v));
        }
    }
    h
}

/// Loss by definition, gradient by differences, minibatches by targets of their own, samples' losses by their mean; `f32` by `f64`.
fn check(target: &FeedForward, expected: f64, of: impl Fn(&[usize]) -> FeedForward) {
    let (mut target, w) = (target.clone(), parameters(target));
    let row = ArrayView2::from_shape((1, w.len()), &w).expect("one row");
    let mut loss = [f64::NAN];
    target.loss(row, &mut loss);
    approx::assert_relative_eq!(loss[0], expected, max_relative = 1e-13);
    gradient_check(&mut target, &w);
    sample_losses_check(&mut target, &w);
    minibatch_check(&mut target, &w, of);
    let (mut single, mut own) = (target.clone().single_precision(), [f64::NAN]);
    let (mut a, mut b) = (Array2::zeros(row.dim()), Array2::zeros(row.dim()));
    target.loss_and_grad(row, Batch::Full, a.view_mut(), &mut loss);
    single.loss_and_grad(row, Batch::Full, b.view_mut(), &mut own);
    approx::assert_relative_eq!(loss[0], own[0], max_relative = 1e-5);
    let scale = a.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
    approx::assert_abs_diff_eq!(a, b, epsilon = 1e-5 * scale);
    assert!(scale > 0.01 && a != b && single.gradient_precision() > 1e-8);
}

#[test]
fn perceptrons_agree_with_their_definition() {
    // blocks of samples that are full and not, widths that fill vectors and do not, one layer and more
    let shapes: [(usize, &[usize]); 6] = [
        (9, &[1, 1]),
        (9, &[3, 4]),
        (9, &[2, 5, 1]),
        (150, &[4, 17, 3]),
        (9, &[3, 16, 8, 2]),
        (270, &[2, 3, 20, 3, 5]),
    ];
    for (k, (n, widths)) in shapes.into_iter().enumerate() {
        for (i, loss) in LOSSES.into_iter().enumerate() {
            let (sigma, bias) = (SIGMAS[(i + k) % 5], (i + k) % 3 > 0);
            let n_outputs = widths[widths.len() - 1];
            if n_outputs == 1 && loss == Loss::CrossEntropy {
                continue; // of one class nothing is to be learnt
            }
            let (x, y) = (wave(n, widths[0], 0.2), labels(n, n_outputs));
            let of = |x: &Array2<f64>, y: &Array2<f64>| {
                FeedForward::new(widths, sigma, bias, loss, x.view(), y.view()).expect("fits")
            };
            let target = of(&x, &y);
            let f = outputs(widths, sigma, bias, &parameters(&target), &x);
            if f.iter().all(|f| *f == 0.0) {
                panic!("a dead network tests nothing");
            }
            check(&target, by_definition(loss, &f, &y), |s| {
                of(&x.select(Axis(0), s), &y.select(Axis(0), s))
            });
        }
    }
}

#[test]
fn tied_autoencoders_agree_with_their_definition() {
    for (n, n_features, n_hidden) in [(9, 5, 2), (200, 8, 2), (9, 3, 20)] {
        let x = wave(n, n_features, 0.2).mapv(f64::abs);
        let of = |x: &Array2<f64>| {
            FeedForward::tied_autoencoder(n_hidden, Loss::MeanSquaredError, x.view(), x.view())
                .expect("fits")
        };
        let (target, w) = (of(&x), parameters(&of(&x)));
        let (weight, bias) = w.split_at(n_features * n_hidden);
        let weight = ArrayView2::from_shape((n_hidden, n_features), weight).expect("W");
        let f = x.dot(&weight.t()).dot(&weight) + ndarray::ArrayView1::from(bias);
        let f = f.mapv(|v| v.max(0.0));
        check(
            &target,
            by_definition(Loss::MeanSquaredError, &f, &x),
            |s| of(&x.select(Axis(0), s)),
        );
    }
}

/// Tables and gathers are the products with one-hot inputs.
#[test]
fn embeddings_agree_with_their_definition() {
    for (p, width, n_hidden, sigma) in [
        (4, 2, 3, Activation::Gelu),
        (13, 12, 20, Activation::Gelu),
        (5, 3, 4, Activation::Quadratic),
        (5, 17, 4, Activation::Identity),
    ] {
        let all = p * p;
        let pairs: Vec<[u32; 2]> = (0..all).map(|i| [(i / p) as u32, (i % p) as u32]).collect();
        let y = Array2::from_shape_fn((all, p), |(i, c)| {
            f64::from(u8::from((i / p + i % p) % p == c))
        });
        let of = |pairs: &[[u32; 2]], y: &Array2<f64>| {
            FeedForward::embedding(
                [p, width, n_hidden],
                sigma,
                Loss::CrossEntropy,
                pairs,
                y.view(),
            )
            .expect("fits")
        };
        let target = of(&pairs, &y);
        let w = parameters(&target);
        let mut at = 0;
        let mut take = |n_rows: usize, n_columns: usize| {
            let from = at;
            at += n_rows * n_columns;
            Array2::from_shape_vec((n_rows, n_columns), w[from..at].to_vec()).expect("a parameter")
        };
        let e = take(p, width);
        let (right, r, left, l) = (
            take(width, n_hidden),
            take(1, n_hidden),
            take(width, n_hidden),
            take(1, n_hidden),
        );
        let readout = take(n_hidden, p);
        let one = |place: usize| {
            Array2::from_shape_fn((all, p), |(i, j)| {
                f64::from(u8::from(pairs[i][place] as usize == j))
            })
        };
        let hidden = one(0).dot(&e).dot(&left) + &l + one(1).dot(&e).dot(&right) + &r;
        let f = hidden.mapv(|v| value(sigma, v)).dot(&readout);
        check(&target, by_definition(Loss::CrossEntropy, &f, &y), |s| {
            let pairs: Vec<_> = s.iter().map(|&i| pairs[i]).collect();
            of(&pairs, &y.select(Axis(0), s))
        });
    }
}

/// A sample at a time, a head at a time, a place at a time; what is left of `w` is used up.
fn encoded(
    [p, width, n_heads, n_layers, n_feedforward]: [usize; 5],
    sigma: Activation,
    mut w: &[f64],
    pairs: &[[u32; 2]],
) -> Array2<f64> {
    let mut matrix = |n: usize, m: usize| {
        let (own, rest) = w.split_at(n * m);
        w = rest;
        Array2::from_shape_vec((n, m), own.to_vec()).expect("a matrix")
    };
    let embedding = matrix(p, width);
    let layers: Vec<[Array2<f64>; 12]> = (0..n_layers)
        .map(|_| {
            [
                (width, 3 * width),
                (1, 3 * width),
                (width, width),
                (1, width),
                (width, n_feedforward),
                (1, n_feedforward),
                (n_feedforward, width),
                (1, width),
                (1, width),
                (1, width),
                (1, width),
                (1, width),
            ]
            .map(|(n, m)| matrix(n, m))
        })
        .collect();
    let readout = matrix(width, p);
    assert!(w.is_empty(), "a row is used up");
    let normed = |x: Array2<f64>, gain: &Array2<f64>, shift: &Array2<f64>| {
        let mean = x.mean_axis(Axis(1)).expect("a width").insert_axis(Axis(1));
        let x = x - mean;
        let variance = (&x * &x).mean_axis(Axis(1)).expect("a width");
        x / (variance + 1e-5).sqrt().insert_axis(Axis(1)) * gain + shift
    };
    let mut outputs = Array2::zeros((pairs.len(), p));
    for (mut out, pair) in outputs.rows_mut().into_iter().zip(pairs) {
        let mut x = embedding.select(Axis(0), &pair.map(|v| v as usize));
        for [wp, bp, wo, bo, w1, b1, w2, b2, g1, c1, g2, c2] in &layers {
            let all = x.dot(wp) + bp;
            let head = width / n_heads;
            let mut mixed = Array2::zeros((2, width));
            for h in 0..n_heads {
                let part = |which: usize| {
                    let from = which * width + h * head;
                    all.slice(ndarray::s![.., from..from + head])
                };
                let mut weights = part(0).dot(&part(1).t()) / (head as f64).sqrt();
                weights.mapv_inplace(f64::exp);
                let sums = weights.sum_axis(Axis(1)).insert_axis(Axis(1));
                let own = (weights / sums).dot(&part(2));
                let range = h * head..(h + 1) * head;
                mixed.slice_mut(ndarray::s![.., range]).assign(&own);
            }
            x = normed(&x + &(mixed.dot(wo) + bo), g1, c1);
            let hidden = (x.dot(w1) + b1).mapv(|v| value(sigma, v));
            x = normed(&x + &(hidden.dot(w2) + b2), g2, c2);
        }
        let mean = x.mean_axis(Axis(0)).expect("two places");
        out.assign(&mean.dot(&readout));
    }
    outputs
}

#[test]
fn transformers_agree_with_their_definition() {
    for (sizes, sigma, loss) in [
        ([5, 4, 2, 1, 6], Activation::Gelu, Loss::CentredSquaredError),
        ([4, 6, 3, 2, 3], Activation::Tanh, Loss::CrossEntropy),
        (
            [13, 3, 1, 1, 5],
            Activation::Quadratic,
            Loss::HalvedSquaredError,
        ),
        (
            [4, 17, 1, 1, 9],
            Activation::Identity,
            Loss::MeanSquaredError,
        ),
    ] {
        let p = sizes[0];
        let all = p * p;
        let pairs: Vec<[u32; 2]> = (0..all).map(|i| [(i / p) as u32, (i % p) as u32]).collect();
        let y = labels(all, p);
        let of = |pairs: &[[u32; 2]], y: &Array2<f64>| {
            FeedForward::transformer(sizes, sigma, loss, pairs, y.view()).expect("fits")
        };
        let target = of(&pairs, &y);
        let f = encoded(sizes, sigma, &parameters(&target), &pairs);
        check(&target, by_definition(loss, &f, &y), |s| {
            let pairs: Vec<_> = s.iter().map(|&i| pairs[i]).collect();
            of(&pairs, &y.select(Axis(0), s))
        });
    }
}

/// One unit of weight 1 on each of two inputs and the identity: outputs are inputs.
#[test]
fn outputs_and_accuracies() {
    let x = array![[1.0, -2.0], [3.0, 1.0], [0.5, 0.7], [-4.0, 3.0]];
    let y = array![[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
    let rows = array![[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]];
    for (loss, expected) in [
        (Loss::CrossEntropy, [0.75, 0.25]),
        (Loss::BinaryCrossEntropy, [0.75, 0.25]),
        (Loss::MeanSquaredError, [0.625, 0.375]),
    ] {
        let target = FeedForward::new(
            &[2, 2],
            Activation::Identity,
            false,
            loss,
            x.view(),
            y.view(),
        )
        .expect("fits");
        for mut target in [target.clone(), target.single_precision()] {
            let outputs = target.outputs(rows.view());
            let x = x.mapv(|v| f64::from(v as f32));
            approx::assert_abs_diff_eq!(outputs.index_axis(Axis(0), 0), x, epsilon = 1e-7);
            approx::assert_abs_diff_eq!(outputs[[1, 3, 0]], 3.0);
            assert_eq!(target.accuracy(rows.view()), expected, "{loss:?}");
        }
    }
}

#[test]
fn bad_input_is_named() {
    let (x, y) = (wave(5, 3, 0.0), labels(5, 2));
    let message = |widths: &[usize], loss, x: &Array2<f64>, y: &Array2<f64>| {
        FeedForward::new(widths, Activation::Relu, true, loss, x.view(), y.view())
            .expect_err("refused")
            .to_string()
    };
    let mse = Loss::MeanSquaredError;
    assert!(message(&[3], mse, &x, &y).starts_with("widths are [3];"));
    assert!(message(&[3, 0, 2], mse, &x, &y).starts_with("widths are [3, 0, 2];"));
    assert_eq!(
        message(&[4, 2], mse, &x, &y),
        "inputs have shape (5, 3), expected (5, 4)"
    );
    assert_eq!(
        message(&[3, 2], mse, &x, &labels(4, 2)),
        "labels have shape (4, 2), expected (5, 2)"
    );
    assert_eq!(
        message(&[3, 2], mse, &wave(0, 3, 0.0), &labels(0, 2)),
        "there are no samples"
    );
    let nan = x.mapv(|v| if v > 0.9 { f64::NAN } else { v });
    assert_eq!(
        message(&[3, 2], mse, &nan, &y),
        "inputs hold a value that is not finite"
    );
    assert!(message(&[3, 2], Loss::CrossEntropy, &x, &(&y * 2.0)).contains("of sample 0"));
    let pairs = FeedForward::embedding(
        [3, 2, 2],
        Activation::Gelu,
        mse,
        &[[0, 1], [3, 0]],
        y.view(),
    );
    assert_eq!(
        pairs.expect_err("refused").to_string(),
        "pair 1 is [3, 0]; expected both below 3"
    );
    let heads =
        FeedForward::transformer([3, 4, 3, 1, 2], Activation::Gelu, mse, &[[0, 1]], y.view());
    assert_eq!(
        heads.expect_err("refused").to_string(),
        "3 heads do not divide a width of 4"
    );
    let tied = FeedForward::tied_autoencoder(0, mse, x.view(), x.view());
    assert!(matches!(tied, Err(FeedForwardError::Widths(_))));
}
