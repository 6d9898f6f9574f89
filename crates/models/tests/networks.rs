//! What holds for every network: outputs by hand, gradients by differences, rows that do not feel their company, PyTorch's initial laws.

mod cases;

use std::collections::HashSet;

use cases::{Case, Law, cases, evaluate, largest};
use ndarray::{Array2, Axis, array, s};
use slt_models::{
    Activation, DeviceKind, EmbeddingMlp, Engine, Inputs, Loss, Mlp, Network, NetworkError,
    NetworkTarget, Polynomial, Precision, QuadraticNetwork, TiedAutoencoder, Transformer,
};
use slt_sampler::{Batch, Target};

const CPU: DeviceKind = DeviceKind::Cpu;

/// Initial rows, moved away from the zeros and ones that biases and norms start with.
fn rows(network: &Network, streams: &[u64]) -> Array2<f64> {
    let mut rows = network.init(3, streams);
    for ((i, j), w) in rows.indexed_iter_mut() {
        *w += 0.2 * (1.0 + 3.1 * i as f64 + 1.7 * j as f64).sin();
    }
    rows
}

#[test]
fn outputs_are_those_worked_out_by_hand() {
    for case in cases() {
        let target = case.target(CPU, Precision::F64);
        let rows = rows(&case.network, &[0, 1, 2]);
        let outputs = target.outputs(rows.view());
        for (outputs, row) in outputs.outer_iter().zip(rows.rows()) {
            let expected = (case.by_hand)(&case.x, row.to_slice().expect("contiguous"));
            let distance = largest(&(&outputs - &expected));
            assert!(
                distance < 1e-13 * (1.0 + largest(&expected)),
                "{}: {distance:e}",
                case.name
            );
            assert!(
                largest(&expected) > 0.01,
                "{}: outputs are no zeros",
                case.name
            );
        }
    }
}

/// Truncation is `h²/6` times a third derivative, rounding `1e-16/h`: 1e-10 each at `h = 2e-5`.
#[test]
fn gradients_agree_with_differences() {
    const H: f64 = 2e-5;
    for case in cases() {
        let mut target = case.target(CPU, Precision::F64);
        let rows = rows(&case.network, &[0, 1]);
        let d = rows.ncols();
        let (loss, grad) = evaluate(&mut target, &rows, Batch::Full);
        let mut same = vec![f64::NAN; 2];
        target.loss(rows.view(), &mut same);
        assert!(
            loss.iter()
                .zip(&same)
                .all(|(a, b)| (a - b).abs() < 1e-15 * (1.0 + b))
        );
        for (row, grad) in rows.rows().into_iter().zip(grad.rows()) {
            let moved = Array2::from_shape_fn((2 * d, d), |(i, j)| {
                let step = if i % 2 == 0 { H } else { -H };
                row[j] + if i / 2 == j { step } else { 0.0 }
            });
            let mut losses = vec![0.0; 2 * d];
            target.loss(moved.view(), &mut losses);
            for (j, pair) in losses.chunks_exact(2).enumerate() {
                let slope = (pair[0] - pair[1]) / (2.0 * H);
                assert!(
                    (slope - grad[j]).abs() < 1e-8,
                    "{}, parameter {j}: {slope} and {}",
                    case.name,
                    grad[j]
                );
            }
            assert!(
                grad.iter().any(|g| g.abs() > 1e-3),
                "{}: some slope",
                case.name
            );
        }
    }
}

/// Rows have minibatches of their own, with repetitions.
fn batch(n_rows: usize, n: usize) -> Array2<u32> {
    Array2::from_shape_fn((n_rows, 4), |(i, k)| ((3 * i + k * k) % n) as u32)
}

#[test]
fn a_minibatch_is_a_data_set_of_its_own() {
    for case in cases() {
        let mut all = case.target(CPU, Precision::F64);
        let rows = rows(&case.network, &[0, 1, 2]);
        let batch = batch(3, case.n());
        let (losses, grads) = evaluate(&mut all, &rows, Batch::Rows(batch.view()));
        for (i, picked) in batch.rows().into_iter().enumerate() {
            let picked: Vec<usize> = picked.iter().map(|&k| k as usize).collect();
            let part = Case {
                x: match &case.x {
                    Inputs::Reals(x) => Inputs::Reals(x.select(Axis(0), &picked)),
                    Inputs::Tokens(x) => Inputs::Tokens(x.select(Axis(0), &picked)),
                },
                y: case.y.select(Axis(0), &picked),
                network: case.network.clone(),
                parameters: Vec::new(),
                ..case
            };
            let mut part = part.target(CPU, Precision::F64);
            let (loss, grad) = evaluate(&mut part, &rows.select(Axis(0), &[i]), Batch::Full);
            let distance = largest(&(&grad - &grads.slice(s![i..=i, ..])));
            assert!(
                (loss[0] - losses[i]).abs() < 1e-13 && distance < 1e-13,
                "{}: {distance:e}",
                case.name
            );
        }
    }
}

/// The same bits alone and among others, on all samples and on a minibatch.
#[test]
fn a_row_does_not_feel_its_company() {
    for (case, precision) in cases()
        .iter()
        .flat_map(|case| [(case, Precision::F32), (case, Precision::F64)])
    {
        let mut target = case.target(CPU, precision);
        let rows = rows(&case.network, &(0..7).collect::<Vec<_>>());
        let batch = batch(7, case.n());
        for full in [true, false] {
            let mut at = |company: &[usize]| {
                let batch = batch.select(Axis(0), company);
                let batch = if full {
                    Batch::Full
                } else {
                    Batch::Rows(batch.view())
                };
                evaluate(&mut target, &rows.select(Axis(0), company), batch)
            };
            let (losses, grads) = at(&[0, 1, 2, 3, 4, 5, 6]);
            for company in [vec![0], vec![6], vec![3, 1], vec![2, 3, 4, 5]] {
                let (loss, grad) = at(&company);
                for (k, &i) in company.iter().enumerate() {
                    assert!(
                        loss[k].to_bits() == losses[i].to_bits() && grad.row(k) == grads.row(i),
                        "{}, {precision:?}, row {i} of {company:?}",
                        case.name
                    );
                }
            }
        }
    }
}

/// Sums of tens of terms of order 1, each rounded to 6e-8.
#[test]
fn single_precision_rounds_double_precision() {
    for case in cases() {
        let rows = rows(&case.network, &[0, 1]);
        let [single, double] = [Precision::F32, Precision::F64]
            .map(|precision| evaluate(&mut case.target(CPU, precision), &rows, Batch::Full));
        let distance = largest(&(&single.1 - &double.1));
        assert!(
            distance < 3e-6 * (1.0 + largest(&double.1)) && distance > 0.0,
            "{}: {distance:e}",
            case.name
        );
        for (a, b) in single.0.iter().zip(&double.0) {
            assert!(
                (a - b).abs() < 3e-6 * (1.0 + b),
                "{}: {a} and {b}",
                case.name
            );
        }
    }
}

/// z of mean and second moment of `values` under the law, both with exact variances.
fn z(values: &[f64], law: Law) -> [f64; 2] {
    let (second, variance_of_square) = match law {
        Law::Uniform(b) => (b * b / 3.0, 4.0 * b.powi(4) / 45.0),
        Law::Normal => (1.0, 2.0),
        Law::Constant(_) | Law::LikeLayer0 => panic!("no law of chance"),
    };
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|w| w * w).sum::<f64>() / n;
    [
        mean / (second / n).sqrt(),
        (square - second) / (variance_of_square / n).sqrt(),
    ]
}

/// 1e-5 over some hundred comparisons.
const Z: f64 = 5.3;

#[test]
fn initial_values_have_pytorchs_names_shapes_and_laws() {
    let streams: Vec<u64> = (0..2000).collect();
    for (case, seed) in cases().iter().zip([11, 12, 13].into_iter().cycle()) {
        let rows = case.network.init(seed, &streams);
        let (mut at, mut found) = (0, Vec::<(String, Vec<f64>)>::new());
        for (parameter, (name, shape, law)) in
            case.network.parameters().iter().zip(&case.parameters)
        {
            let [height, width] = parameter.shape;
            assert_eq!(
                (&parameter.name, &parameter.stored_shape()),
                (name, shape),
                "{}",
                case.name
            );
            let columns = at..at + height * width;
            at = columns.end;
            let values: Vec<f64> = rows
                .slice(s![.., columns.clone()])
                .iter()
                .copied()
                .collect();
            let label = format!("{}, {name}", case.name);
            match *law {
                Law::Constant(c) => assert!(values.iter().all(|&w| w == c), "{label}"),
                Law::LikeLayer0 => {
                    let first = name.replace("layers.1", "layers.0");
                    let other = found.iter().find(|(name, _)| *name == first);
                    let (_, others) = other.expect("a first layer");
                    assert!(&values == others, "{label}");
                }
                law => {
                    assert!(
                        z(&values, law).iter().all(|z| z.abs() < Z),
                        "{label}: {:?}",
                        z(&values, law)
                    );
                    if let Law::Uniform(bound) = law {
                        let most = values.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
                        let short = 20.0 / values.len() as f64;
                        assert!(
                            (1.0 - short) * bound < most && most <= bound,
                            "{label}: {most}"
                        );
                        // the same test rejects a bound that is a tenth too large
                        assert!(
                            z(&values, Law::Uniform(1.1 * bound))[1].abs() > Z,
                            "{label}"
                        );
                    }
                    let different: HashSet<u64> = values.iter().map(|w| w.to_bits()).collect();
                    assert_eq!(
                        different.len(),
                        values.len(),
                        "{label}: no value comes twice"
                    );
                }
            }
            found.push((name.clone(), values));
        }
        assert_eq!(
            (at, case.parameters.len()),
            (rows.ncols(), found.len()),
            "{}",
            case.name
        );
        assert_eq!(at, case.network.n_params(), "{}", case.name);
        // parameters do not share their numbers
        let random: Vec<&f64> = found
            .iter()
            .zip(&case.parameters)
            .filter(|(_, (_, _, law))| matches!(law, Law::Uniform(_) | Law::Normal))
            .flat_map(|((_, values), _)| values)
            .collect();
        let different: HashSet<u64> = random.iter().map(|w| w.to_bits()).collect();
        assert_eq!(different.len(), random.len(), "{}", case.name);
        let again = case.network.init(seed, &[77]);
        assert_eq!(
            again.row(0),
            rows.row(77),
            "{}: a row depends on its stream alone",
            case.name
        );
    }
}

#[test]
fn settings_come_back_from_json() {
    for case in cases() {
        let text = serde_json::to_string(&case.network).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Network>(&text).expect("settings"),
            case.network
        );
        let unknown = text.replacen('{', r#"{"colour":1,"#, 1);
        assert!(
            serde_json::from_str::<Network>(&unknown).is_err(),
            "{unknown}"
        );
    }
}

/// Losses and gradients of two targets of one network, on all samples and on minibatches, relative to the largest of a row's.
fn agree(
    name: &str,
    tensor: &mut NetworkTarget,
    host: &mut impl Target,
    rows: &Array2<f64>,
    tolerance: f64,
) {
    let batch = batch(3, host.n_samples());
    for batch in [Batch::Full, Batch::Rows(batch.view())] {
        let (loss, grad) = evaluate(tensor, rows, batch);
        let (mut expected, mut slope) = (vec![0.0; 3], Array2::zeros(rows.dim()));
        host.loss_and_grad(rows.view(), batch, slope.view_mut(), &mut expected);
        let distance = largest(&(&grad - &slope));
        assert!(
            distance < tolerance * largest(&slope),
            "{name}: {distance:e}"
        );
        for (a, b) in loss.iter().zip(&expected) {
            assert!((a - b).abs() < tolerance * b, "{name}: {a} and {b}");
        }
    }
}

/// The host target of the same network, in either precision.
#[test]
fn the_quadratic_network_is_that_of_the_host_engine() {
    let case = cases()
        .into_iter()
        .find(|case| matches!(case.network, Network::QuadraticNetwork(_)))
        .expect("a case");
    let Inputs::Tokens(x) = &case.x else {
        panic!("tokens")
    };
    let pairs: Vec<[u32; 2]> = x.rows().into_iter().map(|x| [x[0], x[1]]).collect();
    let rows = rows(&case.network, &[0, 1, 2]);
    for centred in [false, true] {
        for (precision, tolerance) in [(Precision::F64, 1e-14), (Precision::F32, 3e-6)] {
            let mut host = slt_sampler::targets::QuadraticNetwork::modular_addition(4, 5, &pairs)
                .expect("a network");
            if centred {
                host = host.centred();
            }
            if precision == Precision::F32 {
                host = host.single_precision();
            }
            let device = CPU.open().expect("a CPU");
            let mut tensor = NetworkTarget::of_quadratic_network(&host, device).expect("fits");
            assert_eq!(tensor.network(), &case.network);
            assert_eq!(tensor.gradient_precision(), host.gradient_precision());
            agree(
                "quadratic network",
                &mut tensor,
                &mut host,
                &rows,
                tolerance,
            );
            assert_eq!(tensor.accuracy(rows.view()), host.accuracy(rows.view()));
        }
    }
    let x = Array2::ones((3, 2));
    let host =
        slt_sampler::targets::QuadraticNetwork::dense(4, x.view(), x.view()).expect("a network");
    let error = NetworkTarget::of_quadratic_network(&host, CPU.open().expect("a CPU"))
        .expect_err("no pairs");
    assert!(matches!(error, NetworkError::Reads { .. }), "{error}");
}

/// Of every network that the host knows: gradients by hand against those by tensors, with each loss that the labels allow.
#[test]
fn both_engines_agree() {
    let mut n_hosts = 0;
    for case in cases() {
        let mut rows = rows(&case.network, &[0, 1, 2]);
        // weights of order 1: no part of the gradient is small beside the others
        rows *= 1.5;
        for loss in [
            Loss::MeanSquaredError,
            Loss::HalvedSquaredError,
            Loss::CentredSquaredError,
            Loss::CrossEntropy,
            Loss::BinaryCrossEntropy,
        ] {
            for (precision, tolerance) in [(Precision::F64, 1e-13), (Precision::F32, 1e-5)] {
                let device = CPU.open().expect("a CPU");
                let (network, x, y) = (case.network.clone(), case.x.clone(), case.y.clone());
                let host = Engine::new(
                    network.clone(),
                    loss,
                    precision,
                    device.clone(),
                    x.clone(),
                    y.clone(),
                );
                let Ok(Engine::Host(mut host)) = host else {
                    continue;
                };
                // the norms, here of four numbers, lose a digit
                let tolerance = match network {
                    Network::Transformer(_) => 10.0 * tolerance,
                    _ => tolerance,
                };
                let mut tensor =
                    NetworkTarget::new(network, loss, precision, device, x, y).expect("fits");
                agree(case.name, &mut tensor, &mut host, &rows, tolerance);
                assert_eq!(tensor.accuracy(rows.view()), host.accuracy(rows.view()));
                let [a, b] = [tensor.outputs(rows.view()), host.outputs(rows.view())];
                assert!(
                    (&a - &b).iter().all(|e| e.abs() < 100.0 * tolerance),
                    "{}",
                    case.name
                );
                n_hosts += 1;
            }
        }
    }
    // six perceptrons, two embeddings, an autoencoder and two transformers, each with most losses
    assert!(n_hosts >= 66, "{n_hosts}");
}

#[test]
fn what_is_no_network_is_refused() {
    let zero = |network: Network, name| {
        assert_eq!(network.check(), Err(NetworkError::Zero { name }));
    };
    for (modulus, n_hidden, name) in [(0, 3, "modulus"), (3, 0, "n_hidden")] {
        zero(QuadraticNetwork { modulus, n_hidden }.into(), name);
    }
    let embedding = |modulus, width, n_hidden| EmbeddingMlp {
        modulus,
        width,
        n_hidden,
        activation: Activation::Gelu,
    };
    zero(embedding(0, 1, 1).into(), "modulus");
    zero(embedding(1, 0, 1).into(), "width");
    zero(embedding(1, 1, 0).into(), "n_hidden");
    let tied = |n_features, n_hidden| TiedAutoencoder {
        n_features,
        n_hidden,
    };
    zero(tied(0, 1).into(), "n_features");
    zero(tied(1, 0).into(), "n_hidden");
    let transformer = |width, n_heads, n_layers, n_feedforward| Transformer {
        modulus: 3,
        width,
        n_heads,
        n_layers,
        n_feedforward,
        activation: Activation::Relu,
    };
    zero(transformer(0, 1, 1, 1).into(), "width");
    zero(transformer(1, 0, 1, 1).into(), "n_heads");
    zero(transformer(1, 1, 0, 1).into(), "n_layers");
    zero(transformer(1, 1, 1, 0).into(), "n_feedforward");
    let error = Network::from(transformer(6, 4, 1, 1))
        .check()
        .expect_err("4 heads of 6");
    assert_eq!(error.to_string(), "4 heads do not divide a width of 6");
    let mlp = Mlp {
        widths: vec![3],
        activation: Activation::Relu,
        bias: false,
    };
    assert_eq!(
        Network::from(mlp).check(),
        Err(NetworkError::Widths(vec![3]))
    );
    assert_eq!(Network::from(Polynomial { degree: 0 }).check(), Ok(()));
}

#[test]
fn data_that_do_not_fit_are_refused() {
    let build = |network: &Network, x: Inputs| {
        let device = CPU.open().expect("a CPU");
        let y = Array2::zeros((2, 3));
        let loss = Loss::HalvedSquaredError;
        NetworkTarget::new(network.clone(), loss, Precision::F32, device, x, y)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    let pairs = Network::from(QuadraticNetwork {
        modulus: 3,
        n_hidden: 2,
    });
    let numbers = Network::from(Mlp {
        widths: vec![2, 3],
        activation: Activation::Relu,
        bias: true,
    });
    assert_eq!(build(&pairs, array![[0u32, 1], [2, 2]].into()), Ok(()));
    for (network, x, expected) in [
        (
            &pairs,
            array![[0u32, 1], [3, 2]].into(),
            "sample 1 holds the token 3; expected one below 3",
        ),
        (
            &pairs,
            array![[0u32], [1]].into(),
            "input of the data has 1 columns; expected 2",
        ),
        (
            &pairs,
            array![[0u32, 1]].into(),
            "output of the data has 2 rows; expected 1",
        ),
        (
            &pairs,
            array![[0.0, 1.0], [1.0, 1.0]].into(),
            "the network reads tokens, the data are numbers",
        ),
        (
            &numbers,
            array![[0u32, 1], [2, 2]].into(),
            "the network reads numbers, the data are tokens",
        ),
        (
            &numbers,
            array![[0.0, 1.0], [f64::NAN, 1.0]].into(),
            "the data hold a value that is not finite",
        ),
    ] {
        assert_eq!(build(network, x), Err(expected.to_owned()));
    }
}
