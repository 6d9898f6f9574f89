//! Estimates from nothing but a target, a point, nβ and γ: they reach the error asked for, and the exact value is within it.

use ndarray::{Array1, Array2, ArrayView1, array};
use slt_sampler::targets::{
    DeepLinear, NormalCrossing, Quadratic, QuadraticNetwork, Radial, TanhUnit,
};
use slt_sampler::{Request, Target, calibrate, default_nbeta};
use slt_tests::rotated;
use slt_theory::{
    LocalisedGaussian, NormalCrossingLaw, monomial_law, radial_law, radial_product_law,
    reduced_rank_law,
};

const N_SEEDS: u64 = 20;

/// Twenty calibrations: all reach 2 %, and their z-scores against the exact value are those of a standard normal.
fn check<T: Target + Clone + Send + Sync>(
    name: &str,
    target: &T,
    anchor: ArrayView1<f64>,
    nbeta: f64,
    gamma: f64,
    exact: f64,
) {
    let mut squares = 0.0;
    let mut n_gradients = 0;
    let mut sum = 0.0;
    for seed in 1..=N_SEEDS {
        let found = calibrate(target, anchor, &Request::new(nbeta, gamma, seed), &|_| ());
        let found = found.unwrap_or_else(|error| panic!("{name}, seed {seed}: {error}"));
        assert!(found.reached, "{name}, seed {seed}: {found:#?}");
        let z = (found.llc.mean - exact) / found.llc.mcse;
        let off = found.llc.mean / exact - 1.0;
        assert!(found.llc.mcse <= 0.02 * found.llc.mean);
        // 32 chains: the 1e-5/20 point of Student's t with 31 degrees of freedom is 6.3
        assert!(
            z.abs() < 6.3 && off.abs() < 0.1,
            "{name}, seed {seed}: {z} {found:#?}"
        );
        squares += z * z;
        n_gradients += found.n_gradients;
        sum += off;
        if seed == 1 {
            println!("{name}:\n{}", found.log.join("\n"));
        }
    }
    println!(
        "{name}: {n_gradients} gradients, mean z² {}, mean error {}",
        squares / N_SEEDS as f64,
        sum / N_SEEDS as f64
    );
    // chi-square with 20 degrees of freedom: 1e-5 point 57, widened for the t
    assert!(squares < 65.0, "{name}: {squares}");
}

#[test]
fn quadratics() {
    for (eigenvalues, gamma) in [
        (vec![1.0], 1.0),
        (vec![0.1, 5.0], 10.0),
        (vec![1e-3, 1.0, 50.0], 1.0),
    ] {
        let d = eigenvalues.len();
        let (hessian, _) = rotated(&eigenvalues, &vec![0.4; d * (d - 1) / 2]);
        let law = LocalisedGaussian::new(&eigenvalues, 20.0, gamma).expect("confining");
        let target = Quadratic::new(hessian, Array1::zeros(d), 0.1, 100);
        check(
            &format!("{eigenvalues:?}"),
            &target,
            Array1::zeros(d).view(),
            20.0,
            gamma,
            law.mean(),
        );
    }
}

#[test]
fn singular_losses() {
    let n = 1000;
    let nbeta = default_nbeta(n).expect("two samples");
    let crossing = NormalCrossing::new(0.5, &[1, 1], n);
    let exact = NormalCrossingLaw::new(0.5, nbeta, 1.0)
        .expect("valid")
        .mean();
    check(
        "w1²w2²/2",
        &crossing,
        array![0.0, 0.0].view(),
        nbeta,
        1.0,
        exact,
    );
    let radial = Radial::new(1.0, 2, 3, n);
    let exact = radial_law(1.0, 3, 2, nbeta, 1.0).expect("valid").mean();
    check(
        "|w|⁴",
        &radial,
        array![0.0, 0.0, 0.0].view(),
        nbeta,
        1.0,
        exact,
    );
}

/// `w₁²w₂⁴` and a product of three.
#[test]
fn normal_crossings() {
    let nbeta = default_nbeta(1000).expect("two samples");
    for exponents in [&[1, 2][..], &[1, 1, 1]] {
        let law = monomial_law(0.5, exponents, nbeta, 1.0).expect("valid");
        let target = NormalCrossing::new(0.5, exponents, 1000);
        let anchor = Array1::zeros(exponents.len());
        let name = format!("{exponents:?}");
        check(&name, &target, anchor.view(), nbeta, 1.0, law.mean());
    }
}

/// Inputs of unit moments, zero truth.
fn linear_network(widths: &[usize]) -> DeepLinear {
    let (inputs, outputs) = (widths[0], widths[widths.len() - 1]);
    let (moment, teacher) = (Array2::eye(inputs), Array2::zeros((outputs, inputs)));
    let network = DeepLinear::from_moments(widths, moment.view(), teacher.view(), 0.5, 1000);
    network.expect("a network")
}

#[test]
fn reduced_rank_regression() {
    let nbeta = default_nbeta(1000).expect("two samples");
    for widths in [[2, 2, 2], [3, 2, 4]] {
        let [inputs, hidden, outputs] = widths.map(|width| width as u32);
        let law = reduced_rank_law(inputs, outputs, hidden, nbeta, 1.0).expect("valid");
        let target = linear_network(&widths);
        let anchor = Array1::zeros(target.n_params());
        let name = format!("reduced rank {widths:?}");
        check(&name, &target, anchor.view(), nbeta, 1.0, law.mean());
    }
}

#[test]
fn deep_linear_networks() {
    let nbeta = default_nbeta(1000).expect("two samples");
    for widths in [&[2, 1, 1, 3][..], &[1, 1, 1, 1, 2], &[2, 1, 1, 1, 1, 2]] {
        let depth = widths.len() - 1;
        let mut blocks = vec![(1, 1); depth];
        (blocks[0].0, blocks[depth - 1].0) = (widths[0] as u32, widths[depth] as u32);
        let law = radial_product_law(0.5, &blocks, nbeta, 1.0).expect("valid");
        let target = linear_network(widths);
        let anchor = Array1::zeros(target.n_params());
        let name = format!("deep linear {widths:?}");
        check(&name, &target, anchor.view(), nbeta, 1.0, law.mean());
    }
}

/// `v_c (w x)²`: one input, one unit, as many outputs as blocks say.
#[test]
fn quadratic_networks() {
    let nbeta = default_nbeta(1000).expect("two samples");
    let x = array![[1.0], [-0.5], [1.2], [0.3]];
    let fourth_moment = x.mapv(|x: f64| x.powi(4)).sum() / 4.0;
    for outputs in [1, 3] {
        let blocks = [(1, 2), (outputs as u32, 1)];
        let law = radial_product_law(0.5 * fourth_moment, &blocks, nbeta, 1.0).expect("valid");
        let y = Array2::zeros((4, outputs));
        let target = QuadraticNetwork::dense(1, x.view(), y.view()).expect("samples");
        let anchor = Array1::zeros(target.n_params());
        let name = format!("quadratic network, {outputs} outputs");
        check(&name, &target, anchor.view(), nbeta, 1.0, law.mean());
    }
}

/// A tanh unit far from any symmetric case: two calibrations at unlike γ differ, and both reach their error.
#[test]
fn a_network() {
    let x: Vec<f64> = (0..50).map(|i| -2.0 + 4.0 * f64::from(i) / 49.0).collect();
    let y = x
        .iter()
        .map(|x| 0.8 * (1.1 * x + 0.2).tanh() - 0.1)
        .collect();
    let target = TanhUnit::new(x, y).expect("samples");
    let w = array![1.1, 0.2, 0.8, -0.1];
    let found =
        calibrate(&target, w.view(), &Request::new(200.0, 1.0, 1), &|_| ()).expect("an estimate");
    println!("{}", found.log.join("\n"));
    assert!(found.reached, "{found:#?}");
    // at a regular minimum the quadratic prediction is near
    let harmonic = found.llc.harmonic.expect("calibration has it");
    let prediction = harmonic.prediction.mean.value;
    assert!(
        (found.llc.mean / prediction - 1.0).abs() < 0.3,
        "{} {prediction}",
        found.llc.mean
    );
}
