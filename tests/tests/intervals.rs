//! The errors that are stated: nominal 95 % intervals of whole estimates, `mean ± quantile · mcse`, hold the exact value in 90 to 98 of 100
//! independent repetitions, on regular and singular losses, and where the chain runs on minibatches.

use ndarray::{Array1, Array2, Axis};
use slt_sampler::targets::{
    DeepLinear, GaussianLocation, NormalCrossing, Quadratic, QuadraticNetwork, Radial,
};
use slt_sampler::{Dynamics, Ensemble, Kernel, Llc, Plan, Row, Schedule, Target, chains};
use slt_tests::{minibatch_mean, rotated};
use slt_theory::{
    LocalisedGaussian, monomial_law, radial_law, radial_product_law, reduced_rank_law,
};

const N_REPETITIONS: usize = 200;
/// Chains of an estimate, and the quantile of its interval: with 4 the error is that of the effective sample size, with 16 that of their
/// spread, of 15 degrees of freedom.
const ESTIMATES: [(usize, f64); 2] = [(4, 1.96), (16, 2.131)];
const NBETA: f64 = 30.0;
const GAMMA: f64 = 2.0;
const SCHEDULE: Schedule = Schedule {
    burn_in: 100,
    n_draws: 500,
    thin: 1,
};

/// Repetitions around a minimum.
struct Case<T> {
    name: &'static str,
    target: T,
    anchor: Array1<f64>,
    kernel: Kernel,
    dynamics: Dynamics,
    batch_size: Option<usize>,
    exact: f64,
}

impl<T: Target + Clone + Send + Sync> Case<T> {
    /// Trajectories of 5 steps around zero.
    fn at_zero(name: &'static str, target: T, exact: f64) -> Self {
        Self {
            name,
            anchor: Array1::zeros(target.n_params()),
            target,
            kernel: Kernel::Hmc { n_leapfrog: 5 },
            dynamics: Dynamics::new(0.01, NBETA, GAMMA).expect("valid"),
            batch_size: None,
            exact,
        }
    }

    fn covers(&self) {
        let n_most = ESTIMATES[1].0;
        let plan = Plan {
            kernel: self.kernel,
            schedule: SCHEDULE,
            batch_size: self.batch_size,
            radius: None,
            seed: 7,
            keep_positions: false,
            n_threads: std::thread::available_parallelism().map_or(1, usize::from),
            block: 16,
        };
        let n_rows = N_REPETITIONS * n_most;
        let rows = Row::many(0, n_rows, self.dynamics);
        let anchors = self.anchor.broadcast((n_rows, self.anchor.len()));
        let ensemble = Ensemble::new(anchors.expect("rows"), &rows);
        let draws = chains::run(&self.target, &plan, &ensemble, &|_| ()).expect("a valid run");
        let mut initial = [f64::NAN];
        let anchor = self.anchor.view().insert_axis(Axis(0));
        self.target.clone().loss(anchor, &mut initial);
        for (n_chains, quantile) in ESTIMATES {
            let holds = |from: usize| {
                let chains = from..from + n_chains;
                let llc = Llc::from_draws(&draws, chains, initial[0], &self.dynamics);
                let llc = llc.expect("an estimate");
                (llc.mean - self.exact).abs() <= quantile * llc.mcse
            };
            let n_holding = (0..n_rows).step_by(n_most).filter(|&i| holds(i)).count();
            let share = n_holding as f64 / N_REPETITIONS as f64;
            println!("{}, {n_chains} chains: {share}", self.name);
            assert!(
                (0.9..=0.98).contains(&share),
                "{}, {n_chains} chains: {share}",
                self.name
            );
        }
    }
}

#[test]
fn of_quadratics() {
    for (name, h) in [
        ("one direction", vec![1.0]),
        ("two unlike directions", vec![0.05, 4.0]),
        ("ten like directions", vec![0.5; 10]),
    ] {
        let (hessian, _) = rotated(&h, &vec![0.4; h.len() * (h.len() - 1) / 2]);
        let law = LocalisedGaussian::new(&h, NBETA, GAMMA).expect("confining");
        let target = Quadratic::new(hessian, Array1::zeros(h.len()), 0.1, 100);
        Case::at_zero(name, target, law.mean()).covers();
    }
}

#[test]
fn of_singular_losses() {
    let law = monomial_law(0.5, &[1, 1], NBETA, GAMMA).expect("valid");
    let target = NormalCrossing::new(0.5, &[1, 1], 100);
    Case::at_zero("w₁²w₂²/2", target, law.mean()).covers();
    let law = radial_law(1.0, 3, 2, NBETA, GAMMA).expect("valid");
    let target = Radial::new(1.0, 2, 3, 100);
    Case::at_zero("|w|⁴ in three variables", target, law.mean()).covers();
}

#[test]
fn of_networks() {
    let zero_truth = |widths: &[usize]| {
        let (inputs, outputs) = (widths[0], widths[widths.len() - 1]);
        let (moment, teacher) = (Array2::eye(inputs), Array2::zeros((outputs, inputs)));
        let network = DeepLinear::from_moments(widths, moment.view(), teacher.view(), 0.5, 100);
        network.expect("a network")
    };
    let law = reduced_rank_law(3, 2, 2, NBETA, GAMMA).expect("valid");
    Case::at_zero("reduced rank", zero_truth(&[3, 2, 2]), law.mean()).covers();
    let law = radial_product_law(0.5, &[(2, 1), (1, 1), (3, 1)], NBETA, GAMMA).expect("valid");
    Case::at_zero("three layers", zero_truth(&[2, 1, 1, 3]), law.mean()).covers();
    // v (wx)² for two outputs; the mean of x⁴ is 17/2
    let (x, y) = (ndarray::array![[1.0], [2.0]], Array2::zeros((2, 2)));
    let law = radial_product_law(0.5 * 8.5, &[(1, 2), (2, 1)], NBETA, GAMMA).expect("valid");
    let target = QuadraticNetwork::dense(1, x.view(), y.view()).expect("samples");
    Case::at_zero("quadratic network", target, law.mean()).covers();
}

/// Against the law of the finite step and of the gradient noise.
#[test]
fn on_minibatches() {
    let x = Array2::from_shape_fn((24, 3), |(i, j)| {
        (1.3 * i as f64 + 0.7 * (i * j) as f64).sin()
    });
    let target = GaussianLocation::new(x.clone()).expect("samples");
    let dynamics = Dynamics::new(0.02, NBETA, GAMMA).expect("valid");
    Case {
        name: "location, batches of 4",
        anchor: Array1::from(target.minimum().to_vec()),
        target,
        kernel: Kernel::Sgld,
        dynamics,
        batch_size: Some(4),
        exact: minibatch_mean(x.view(), 4, &dynamics, SCHEDULE),
    }
    .covers();
}
