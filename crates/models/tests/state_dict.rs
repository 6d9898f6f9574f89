//! State dicts that PyTorch wrote (scripts/pytorch_fixtures.py): they load by name, and the networks answer as PyTorch's do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ndarray::{Array2, ArrayView2};
use serde::Deserialize;
use slt_models::{
    Activation, DeviceKind, EmbeddingMlp, Inputs, Loss, Mlp, Network, NetworkTarget, Precision,
    QuadraticNetwork, TiedAutoencoder, Transformer,
};
use slt_training::{StateDict, StateDictError};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn read(name: &str) -> StateDict {
    StateDict::read(&fixture(name)).expect("PyTorch wrote it")
}

fn mlp() -> Network {
    Network::Mlp(Mlp {
        widths: vec![3, 4, 2],
        activation: Activation::Gelu,
        bias: true,
    })
}

fn transformer(n_heads: usize) -> Network {
    Network::Transformer(Transformer {
        modulus: 5,
        width: 4,
        n_heads,
        n_layers: 2,
        n_feedforward: 6,
        activation: Activation::Gelu,
    })
}

/// The networks of the script, by the names of their files.
fn networks() -> Vec<(&'static str, Network)> {
    let quadratic = QuadraticNetwork {
        modulus: 5,
        n_hidden: 4,
    };
    let embedding = EmbeddingMlp {
        modulus: 5,
        width: 3,
        n_hidden: 4,
        activation: Activation::Gelu,
    };
    let tied = TiedAutoencoder {
        n_features: 5,
        n_hidden: 2,
    };
    vec![
        ("mlp", mlp()),
        ("quadratic", quadratic.into()),
        ("embedding", embedding.into()),
        ("tied", tied.into()),
        ("transformer", transformer(1)),
        ("transformer2", transformer(2)),
    ]
}

/// Inputs and PyTorch's outputs in double precision.
#[derive(Deserialize)]
struct Answer {
    x: Vec<Vec<f64>>,
    outputs: Vec<Vec<f64>>,
}

fn matrix(rows: &[Vec<f64>]) -> Array2<f64> {
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).expect("rows of one length")
}

#[test]
fn networks_answer_as_pytorchs_do() {
    let text = std::fs::read_to_string(fixture("answers.json")).expect("answers");
    let answers: BTreeMap<String, Answer> = serde_json::from_str(&text).expect("JSON");
    for (name, network) in networks() {
        let dict = read(&format!("{name}.pt"));
        let row = network.row(&dict).expect("its state dict");
        let row = ArrayView2::from_shape((1, row.len()), &row).expect("one row");
        let expected = matrix(&answers[name].outputs);
        let x = matrix(&answers[name].x);
        let x = match name {
            "mlp" | "tied" => Inputs::Reals(x),
            _ => Inputs::Tokens(x.mapv(|token| token as u32)),
        };
        let y = Array2::zeros(expected.dim());
        let device = DeviceKind::Cpu.open().expect("a CPU");
        let loss = Loss::MeanSquaredError;
        let target = NetworkTarget::new(network, loss, Precision::F64, device, x, y).expect("fits");
        let outputs = target.outputs(row);
        let outputs = outputs.outer_iter().next().expect("one row");
        approx::assert_abs_diff_eq!(outputs, expected.view(), epsilon = 1e-13);
        assert!(expected.iter().any(|f| f.abs() > 0.1), "{name}");
    }
}

/// Single and double precision, zip archive and safetensors: the numbers are the same.
#[test]
fn all_files_of_a_network_hold_the_same_numbers() {
    let dict = read("mlp.pt");
    assert_eq!(read("mlp-double.pt"), dict);
    assert_eq!(read("mlp.safetensors"), dict);
    assert_eq!(dict.arrays["layers.0.weight"].shape(), [4, 3]);
    let row = mlp().row(&dict).expect("its state dict");
    // a row has [fan_in, fan_out]: its second number is of the first input and the second hidden unit
    assert_eq!(row[1], dict.arrays["layers.0.weight"][[1, 0]]);
}

#[test]
fn a_row_goes_out_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, network) in networks() {
        let theirs = read(&format!("{name}.pt"));
        let row = network.row(&theirs).expect("its state dict");
        let dict = network.state_dict(&row);
        assert_eq!(dict, theirs, "{name}");
        let path = folder.path().join("row.safetensors");
        dict.write(&path).expect("written");
        let again = StateDict::read(&path).expect("read");
        assert_eq!(network.row(&again).expect("its own"), row, "{name}");
    }
}

#[test]
fn everything_that_does_not_fit_is_named_at_once() {
    let mut dict = read("mlp.pt");
    let bias = dict.arrays.remove("layers.0.bias").expect("a bias");
    dict.arrays.insert("layers.3.bias".to_owned(), bias);
    let weight = dict.arrays.get_mut("layers.1.weight").expect("a weight");
    *weight = weight.t().to_owned();
    let error = mlp().row(&dict).expect_err("three things are wrong");
    assert_eq!(
        error.to_string(),
        "the state dict is not of this network: layers.0.bias is missing; \
         layers.1.weight has shape [4, 2], expected [2, 4]; layers.3.bias is not a parameter"
    );
    assert!(mlp().row(&read("tied.pt")).is_err());
}

#[test]
fn half_precision_and_damage_are_refused() {
    let error = StateDict::read(&fixture("mlp-half.pt")).expect_err("half precision");
    assert!(
        matches!(&error, StateDictError::Type { dtype, .. } if dtype == "F16"),
        "{error}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let whole = std::fs::read(fixture("mlp.pt")).expect("read");
    let path = folder.path().join("a.pt");
    for len in (0..whole.len()).step_by(97) {
        std::fs::write(&path, &whole[..len]).expect("written");
        let error = StateDict::read(&path).expect_err("truncated");
        assert!(
            matches!(error, StateDictError::Damaged { .. }),
            "{len} bytes: {error}"
        );
    }
}
