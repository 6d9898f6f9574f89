//! Every network at a tiny size, with data, its outputs worked out by hand, and PyTorch's names, shapes and initial laws of its parameters.
#![allow(dead_code)] // each test file uses a part

use ndarray::{Array1, Array2, Axis, s};
use slt_models::{
    Activation, DeviceKind, EmbeddingMlp, Inputs, Loss, Mlp, Network, NetworkTarget, Polynomial,
    Precision, QuadraticNetwork, TiedAutoencoder, Transformer,
};
use slt_sampler::chains::run;
use slt_sampler::{
    Arrival, Batch, Draws, Dynamics, Ensemble, Kernel, Plan, Residence, Residents, Row as Chain,
    Schedule, Target,
};

/// An initial law, from PyTorch's documentation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Law {
    /// On plus or minus this.
    Uniform(f64),
    /// Standard normal.
    Normal,
    Constant(f64),
    /// The values of the same parameter of the first layer.
    LikeLayer0,
}

pub struct Case {
    pub name: &'static str,
    pub network: Network,
    pub loss: Loss,
    pub x: Inputs,
    pub y: Array2<f64>,
    /// Outputs `[n, n_outputs]` of one row.
    pub by_hand: fn(&Inputs, &[f64]) -> Array2<f64>,
    /// Name, PyTorch's shape and law of each parameter, in the order of the row.
    pub parameters: Vec<(String, Vec<usize>, Law)>,
}

impl Case {
    pub fn target(&self, kind: DeviceKind, precision: Precision) -> NetworkTarget {
        let device = kind.open().expect("the device is there");
        let (network, x, y) = (self.network.clone(), self.x.clone(), self.y.clone());
        NetworkTarget::new(network, self.loss, precision, device, x, y).expect("fits")
    }

    pub fn n(&self) -> usize {
        self.y.nrows()
    }
}

pub fn evaluate(
    target: &mut NetworkTarget,
    rows: &Array2<f64>,
    batch: Batch,
) -> (Vec<f64>, Array2<f64>) {
    let (mut loss, mut grad) = (vec![f64::NAN; rows.nrows()], Array2::zeros(rows.dim()));
    target.loss_and_grad(rows.view(), batch, grad.view_mut(), &mut loss);
    (loss, grad)
}

/// Three chains of SGLD with settings of their own, that start off their anchors; one parameter does not move.
pub fn drawn<T>(target: &T, network: &Network, batch_size: Option<usize>) -> Draws
where
    T: Target + Clone + Send + Sync,
{
    let streams = [3, 4, 1 << 40];
    let anchors = network.init(5, &streams);
    let starts = &anchors + &(network.init(6, &streams) * 0.1);
    let mut scale = Array2::from_shape_fn(anchors.dim(), |(i, j)| 1.0 + ((i + j) % 3) as f64 / 2.0);
    scale.column_mut(1).fill(0.0);
    let rows: Vec<Chain> = (1..4)
        .zip(streams)
        .map(|(k, stream)| {
            let k = f64::from(k);
            let law = Dynamics::new(1e-4 * k, 30.0 / k, 10.0 * k).expect("valid");
            let dynamics = law.with_temperature(k).expect("valid");
            Chain { stream, dynamics }
        })
        .collect();
    let plan = Plan {
        kernel: Kernel::Sgld,
        schedule: Schedule {
            burn_in: 20,
            n_draws: 31,
            thin: 6,
        },
        batch_size,
        radius: None,
        seed: 7,
        keep_positions: true,
        n_threads: 2,
        block: 2,
    };
    let ensemble = Ensemble {
        starts: Some(starts.view()),
        scale: Some(scale.view()),
        ..Ensemble::new(anchors.view(), &rows)
    };
    run(target, &plan, &ensemble, &|_| ()).expect("valid")
}

/// All numbers of the draws agree, relative to the largest of their kind.
pub fn assert_alike(a: &Draws, b: &Draws, tolerance: f64, name: &str) {
    let row = |of: &Option<Vec<f64>>| {
        Array2::from_shape_vec((1, 3), of.clone().unwrap_or_else(|| vec![1.0; 3]))
            .expect("three chains")
    };
    let flat = |draws: &Draws| {
        let positions = draws.positions.clone().expect("kept");
        let shape = (positions.len(), 1);
        positions.into_shape_with_order(shape).expect("all of them")
    };
    for (what, a, b) in [
        ("losses", a.loss.clone(), b.loss.clone()),
        ("distances", a.distance.clone(), b.distance.clone()),
        ("positions", flat(a), flat(b)),
        ("last rows", a.last.clone(), b.last.clone()),
        ("biases", row(&a.step_bias), row(&b.step_bias)),
        (
            "losses of minibatches",
            row(&a.batch_loss),
            row(&b.batch_loss),
        ),
    ] {
        let distance = largest(&(&a - &b)) / largest(&a);
        assert!(
            distance < tolerance,
            "{name}: {what} differ by {distance:e}"
        );
    }
}

/// A target whose rows live on its device, two at a time, even where that is burn's own CPU backend.
#[derive(Clone)]
pub struct Resident(pub NetworkTarget);

impl Target for Resident {
    fn n_params(&self) -> usize {
        self.0.n_params()
    }

    fn n_samples(&self) -> usize {
        self.0.n_samples()
    }

    fn loss_and_grad(
        &mut self,
        _: ndarray::ArrayView2<f64>,
        _: Batch,
        _: ndarray::ArrayViewMut2<f64>,
        _: &mut [f64],
    ) {
        panic!("no gradient is wanted on the host");
    }

    fn loss(&mut self, rows: ndarray::ArrayView2<f64>, loss: &mut [f64]) {
        self.0.loss(rows, loss);
    }

    fn residence(&self) -> Option<&dyn Residence> {
        Some(self)
    }
}

impl Residence for Resident {
    fn capacity(&self) -> usize {
        assert!(self.0.capacity() > 3, "a device has room for tiny networks");
        2
    }

    fn take_in(&self, arrival: &Arrival) -> Box<dyn Residents> {
        self.0.take_in(arrival)
    }
}

pub fn largest(a: &Array2<f64>) -> f64 {
    a.fold(0.0, |m: f64, x| m.max(x.abs()))
}

const N: usize = 9;
const P: usize = 5;

fn numbers(columns: usize) -> Array2<f64> {
    Array2::from_shape_fn((N, columns), |(i, j)| {
        (1.0 + 2.3 * i as f64 + 0.7 * j as f64).sin()
    })
}

fn pairs() -> Array2<u32> {
    Array2::from_shape_fn((N, 2), |(i, j)| ((2 * i + i * i * j + 3 * j) % P) as u32)
}

/// One-hot sums modulo `P`.
fn sums() -> Array2<f64> {
    let mut y = Array2::zeros((N, P));
    for (mut y, pair) in y.rows_mut().into_iter().zip(pairs().rows()) {
        y[(pair[0] + pair[1]) as usize % P] = 1.0;
    }
    y
}

/// Matrices taken off the front of a row.
struct Row<'a>(&'a [f64]);

impl Row<'_> {
    fn matrix(&mut self, shape: (usize, usize)) -> Array2<f64> {
        let (front, rest) = self.0.split_at(shape.0 * shape.1);
        self.0 = rest;
        Array2::from_shape_vec(shape, front.to_vec()).expect("that many")
    }

    fn vector(&mut self, n: usize) -> Array1<f64> {
        self.matrix((1, n)).row(0).to_owned()
    }
}

fn reals(x: &Inputs) -> &Array2<f64> {
    match x {
        Inputs::Reals(x) => x,
        Inputs::Tokens(_) => panic!("numbers"),
    }
}

fn tokens(x: &Inputs) -> Vec<[usize; 2]> {
    match x {
        Inputs::Tokens(x) => x
            .rows()
            .into_iter()
            .map(|pair| [pair[0] as usize, pair[1] as usize])
            .collect(),
        Inputs::Reals(_) => panic!("tokens"),
    }
}

fn relu(x: f64) -> f64 {
    x.max(0.0)
}

/// `x Φ(x)`, the error function by its series, which loses no digit to speak of below 3.
fn gelu(x: f64) -> f64 {
    let z = x / 2f64.sqrt();
    assert!(z.abs() < 3.0, "{z} is beyond the series");
    let (mut term, mut sum) = (z, z);
    for k in 1..60 {
        let k = f64::from(k);
        term *= -z * z / k;
        sum += term / (2.0 * k + 1.0);
    }
    x * 0.5 * (1.0 + 2.0 / std::f64::consts::PI.sqrt() * sum)
}

fn perceptron(
    widths: &[usize],
    sigma: fn(f64) -> f64,
    bias: bool,
    x: &Inputs,
    w: &[f64],
) -> Array2<f64> {
    let mut row = Row(w);
    let mut h = reals(x).clone();
    for (i, layer) in widths.windows(2).enumerate() {
        h = h.dot(&row.matrix((layer[0], layer[1])));
        if bias {
            h += &row.vector(layer[1]);
        }
        if i + 2 < widths.len() {
            h.mapv_inplace(sigma);
        }
    }
    h
}

fn embedding_mlp(sigma: fn(f64) -> f64, x: &Inputs, w: &[f64]) -> Array2<f64> {
    let mut row = Row(w);
    let embedding = row.matrix((P, 3));
    let (right, right_bias) = (row.matrix((3, 4)), row.vector(4));
    let (left, left_bias) = (row.matrix((3, 4)), row.vector(4));
    let readout = row.matrix((4, P));
    let mut outputs = Array2::zeros((N, P));
    for (mut out, [a, b]) in outputs.rows_mut().into_iter().zip(tokens(x)) {
        let hidden =
            embedding.row(a).dot(&left) + &left_bias + embedding.row(b).dot(&right) + &right_bias;
        out.assign(&hidden.mapv(sigma).dot(&readout));
    }
    outputs
}

/// A sample at a time, a head at a time, a position at a time.
fn transformer(
    n_heads: usize,
    n_layers: usize,
    sigma: fn(f64) -> f64,
    x: &Inputs,
    w: &[f64],
) -> Array2<f64> {
    const E: usize = 4;
    const F: usize = 6;
    let normed = |x: Array1<f64>, weight: &Array1<f64>, bias: &Array1<f64>| {
        let mean = x.mean().expect("a width");
        let variance = x.mapv(|x| (x - mean).powi(2)).mean().expect("a width");
        (x - mean) / (variance + 1e-5).sqrt() * weight + bias
    };
    let mut outputs = Array2::zeros((N, P));
    for (mut out, pair) in outputs.rows_mut().into_iter().zip(tokens(x)) {
        let mut row = Row(w);
        let embedding = row.matrix((P, E));
        let mut stream = pair.map(|token| embedding.row(token).to_owned());
        for _ in 0..n_layers {
            let (project, project_bias) = (row.matrix((E, 3 * E)), row.vector(3 * E));
            let (mix, mix_bias) = (row.matrix((E, E)), row.vector(E));
            let (w1, b1) = (row.matrix((E, F)), row.vector(F));
            let (w2, b2) = (row.matrix((F, E)), row.vector(E));
            let norms: Vec<_> = (0..4).map(|_| row.vector(E)).collect();
            let projected = stream.each_ref().map(|x| x.dot(&project) + &project_bias);
            let width = E / n_heads;
            stream = std::array::from_fn(|i| {
                let mut mixed = Array1::zeros(E);
                for head in 0..n_heads {
                    let part = |j: usize, which: usize| {
                        let from = which * E + head * width;
                        projected[j].slice(s![from..from + width]).to_owned()
                    };
                    let weight = |j| (part(i, 0).dot(&part(j, 1)) / (width as f64).sqrt()).exp();
                    let mean =
                        (part(0, 2) * weight(0) + part(1, 2) * weight(1)) / (weight(0) + weight(1));
                    mixed
                        .slice_mut(s![head * width..(head + 1) * width])
                        .assign(&mean);
                }
                let x = normed(
                    &stream[i] + mixed.dot(&mix) + &mix_bias,
                    &norms[0],
                    &norms[1],
                );
                let hidden = (x.dot(&w1) + &b1).mapv(sigma);
                normed(x + hidden.dot(&w2) + &b2, &norms[2], &norms[3])
            });
        }
        let readout = row.matrix((E, P));
        assert!(row.0.is_empty(), "a row is used up");
        out.assign(&(0.5 * (&stream[0] + &stream[1])).dot(&readout));
    }
    outputs
}

/// Uniform on `±1/sqrt(fan_in)`.
fn linear(fan_in: f64) -> Law {
    Law::Uniform(1.0 / fan_in.sqrt())
}

fn transformer_parameters(n_layers: usize) -> Vec<(String, Vec<usize>, Law)> {
    let mut parameters = vec![("embedding.weight".to_owned(), vec![P, 4], Law::Normal)];
    // the embedding is 4 wide, the feed-forward part 6
    let layer = [
        (
            "self_attn.in_proj_weight",
            vec![12, 4],
            Law::Uniform((6.0 / 16.0f64).sqrt()),
        ),
        ("self_attn.in_proj_bias", vec![12], Law::Constant(0.0)),
        ("self_attn.out_proj.weight", vec![4, 4], linear(4.0)),
        ("self_attn.out_proj.bias", vec![4], Law::Constant(0.0)),
        ("linear1.weight", vec![6, 4], linear(4.0)),
        ("linear1.bias", vec![6], linear(4.0)),
        ("linear2.weight", vec![4, 6], linear(6.0)),
        ("linear2.bias", vec![4], linear(6.0)),
        ("norm1.weight", vec![4], Law::Constant(1.0)),
        ("norm1.bias", vec![4], Law::Constant(0.0)),
        ("norm2.weight", vec![4], Law::Constant(1.0)),
        ("norm2.bias", vec![4], Law::Constant(0.0)),
    ];
    for i in 0..n_layers {
        for (name, shape, law) in layer.clone() {
            let law = if i == 0 { law } else { Law::LikeLayer0 };
            let name = format!("transformer_encoder.layers.{i}.{name}");
            parameters.push((name, shape, law));
        }
    }
    parameters.push(("linear_out.weight".to_owned(), vec![P, 4], linear(4.0)));
    parameters
}

pub fn cases() -> Vec<Case> {
    let mlp = |widths: &[usize], activation, bias| {
        Network::Mlp(Mlp {
            widths: widths.to_vec(),
            activation,
            bias,
        })
    };
    let three_layers = || {
        vec![
            ("layers.0.weight".to_owned(), vec![4, 3], linear(3.0)),
            ("layers.0.bias".to_owned(), vec![4], linear(3.0)),
            ("layers.1.weight".to_owned(), vec![3, 4], linear(4.0)),
            ("layers.1.bias".to_owned(), vec![3], linear(4.0)),
            ("layers.2.weight".to_owned(), vec![2, 3], linear(3.0)),
            ("layers.2.bias".to_owned(), vec![2], linear(3.0)),
        ]
    };
    let labels = || Array2::from_shape_fn((N, 2), |(i, j)| ((i + j) % 3) as f64 / 2.0);
    let classes = || Array2::from_shape_fn((N, 2), |(i, j)| f64::from((i % 3 == 1) == (j == 0)));
    let embedded = || {
        vec![
            ("embedding.weight".to_owned(), vec![P, 3], Law::Normal),
            ("linear1r.weight".to_owned(), vec![4, 3], linear(3.0)),
            ("linear1r.bias".to_owned(), vec![4], linear(3.0)),
            ("linear1l.weight".to_owned(), vec![4, 3], linear(3.0)),
            ("linear1l.bias".to_owned(), vec![4], linear(3.0)),
            ("linear2.weight".to_owned(), vec![P, 4], linear(4.0)),
        ]
    };
    let embedding = |activation| {
        Network::EmbeddingMlp(EmbeddingMlp {
            modulus: P,
            width: 3,
            n_hidden: 4,
            activation,
        })
    };
    let encoder = |n_heads, n_layers, activation| {
        Network::Transformer(Transformer {
            modulus: P,
            width: 4,
            n_heads,
            n_layers,
            n_feedforward: 6,
            activation,
        })
    };
    vec![
        Case {
            name: "mlp, relu",
            network: mlp(&[3, 4, 3, 2], Activation::Relu, true),
            loss: Loss::MeanSquaredError,
            x: numbers(3).into(),
            y: labels(),
            by_hand: |x, w| perceptron(&[3, 4, 3, 2], relu, true, x, w),
            parameters: three_layers(),
        },
        Case {
            name: "mlp, tanh",
            network: mlp(&[3, 4, 3, 2], Activation::Tanh, true),
            loss: Loss::BinaryCrossEntropy,
            x: numbers(3).into(),
            y: labels(),
            by_hand: |x, w| perceptron(&[3, 4, 3, 2], f64::tanh, true, x, w),
            parameters: three_layers(),
        },
        Case {
            name: "mlp, gelu",
            network: mlp(&[3, 4, 3, 2], Activation::Gelu, true),
            loss: Loss::CrossEntropy,
            x: numbers(3).into(),
            y: classes(),
            by_hand: |x, w| perceptron(&[3, 4, 3, 2], gelu, true, x, w),
            parameters: three_layers(),
        },
        Case {
            name: "mlp, quadratic, without biases",
            network: mlp(&[3, 4, 2], Activation::Quadratic, false),
            loss: Loss::HalvedSquaredError,
            x: numbers(3).into(),
            y: classes(),
            by_hand: |x, w| perceptron(&[3, 4, 2], |x| x * x, false, x, w),
            parameters: vec![
                ("layers.0.weight".to_owned(), vec![4, 3], linear(3.0)),
                ("layers.1.weight".to_owned(), vec![2, 4], linear(4.0)),
            ],
        },
        Case {
            name: "linear network",
            network: mlp(&[3, 4, 2], Activation::Identity, false),
            loss: Loss::MeanSquaredError,
            x: numbers(3).into(),
            y: labels(),
            by_hand: |x, w| perceptron(&[3, 4, 2], |x| x, false, x, w),
            parameters: vec![
                ("layers.0.weight".to_owned(), vec![4, 3], linear(3.0)),
                ("layers.1.weight".to_owned(), vec![2, 4], linear(4.0)),
            ],
        },
        Case {
            name: "deep autoencoder",
            network: mlp(&[4, 3, 2, 3, 4], Activation::Relu, true),
            loss: Loss::MeanSquaredError,
            x: numbers(4).into(),
            y: numbers(4),
            by_hand: |x, w| perceptron(&[4, 3, 2, 3, 4], relu, true, x, w),
            parameters: vec![
                ("layers.0.weight".to_owned(), vec![3, 4], linear(4.0)),
                ("layers.0.bias".to_owned(), vec![3], linear(4.0)),
                ("layers.1.weight".to_owned(), vec![2, 3], linear(3.0)),
                ("layers.1.bias".to_owned(), vec![2], linear(3.0)),
                ("layers.2.weight".to_owned(), vec![3, 2], linear(2.0)),
                ("layers.2.bias".to_owned(), vec![3], linear(2.0)),
                ("layers.3.weight".to_owned(), vec![4, 3], linear(3.0)),
                ("layers.3.bias".to_owned(), vec![4], linear(3.0)),
            ],
        },
        Case {
            name: "quadratic network",
            network: Network::QuadraticNetwork(QuadraticNetwork {
                modulus: P,
                n_hidden: 4,
            }),
            loss: Loss::CentredSquaredError,
            x: pairs().into(),
            y: sums(),
            by_hand: |x, w| {
                let mut row = Row(w);
                let (inner, outer) = (row.matrix((2 * P, 4)), row.matrix((P, 4)));
                let mut outputs = Array2::zeros((N, P));
                for (mut out, [a, b]) in outputs.rows_mut().into_iter().zip(tokens(x)) {
                    let mut one_hot = Array1::zeros(2 * P);
                    one_hot[a] = 1.0;
                    one_hot[P + b] = 1.0;
                    out.assign(&outer.dot(&one_hot.dot(&inner).mapv(|h| h * h)));
                }
                outputs
            },
            parameters: vec![
                (
                    "W.weight".to_owned(),
                    vec![4, 2 * P],
                    linear(2.0 * P as f64),
                ),
                ("V.weight".to_owned(), vec![P, 4], linear(4.0)),
            ],
        },
        Case {
            name: "embedding mlp, gelu",
            network: embedding(Activation::Gelu),
            loss: Loss::CrossEntropy,
            x: pairs().into(),
            y: sums(),
            by_hand: |x, w| embedding_mlp(gelu, x, w),
            parameters: embedded(),
        },
        Case {
            name: "embedding mlp, quadratic",
            network: embedding(Activation::Quadratic),
            loss: Loss::CrossEntropy,
            x: pairs().into(),
            y: sums(),
            by_hand: |x, w| embedding_mlp(|x| x * x, x, w),
            parameters: embedded(),
        },
        Case {
            name: "tied autoencoder",
            network: Network::TiedAutoencoder(TiedAutoencoder {
                n_features: 5,
                n_hidden: 2,
            }),
            loss: Loss::MeanSquaredError,
            x: numbers(5).into(),
            y: numbers(5),
            by_hand: |x, w| {
                let mut row = Row(w);
                let (weight, bias) = (row.matrix((2, 5)), row.vector(5));
                let gram = weight.t().dot(&weight);
                let mut outputs = reals(x).dot(&gram);
                outputs
                    .axis_iter_mut(Axis(0))
                    .for_each(|mut out| out += &bias);
                outputs.mapv(relu)
            },
            parameters: vec![
                ("embedding.weight".to_owned(), vec![2, 5], linear(5.0)),
                ("unembedding.bias".to_owned(), vec![5], linear(2.0)),
            ],
        },
        Case {
            name: "polynomial",
            network: Network::Polynomial(Polynomial { degree: 5 }),
            loss: Loss::MeanSquaredError,
            x: numbers(1).into(),
            y: numbers(2).slice(s![.., 1..]).to_owned(),
            by_hand: |x, w| {
                let horner = |x: f64| w.iter().rev().fold(0.0, |f, a| f * x + a);
                reals(x).mapv(horner)
            },
            parameters: vec![("linear.weight".to_owned(), vec![1, 6], linear(6.0))],
        },
        Case {
            name: "transformer, relu, 2 layers",
            network: encoder(1, 2, Activation::Relu),
            loss: Loss::CrossEntropy,
            x: pairs().into(),
            y: sums(),
            by_hand: |x, w| transformer(1, 2, relu, x, w),
            parameters: transformer_parameters(2),
        },
        Case {
            name: "transformer, gelu, 2 heads",
            network: encoder(2, 1, Activation::Gelu),
            loss: Loss::CrossEntropy,
            x: pairs().into(),
            y: sums(),
            by_hand: |x, w| transformer(2, 1, gelu, x, w),
            parameters: transformer_parameters(1),
        },
    ]
}
