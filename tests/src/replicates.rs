//! Independent chains, one number each.

use ndarray::{Array1, ArrayView1, Axis};
use slt_sampler::{Draws, Dynamics, Ensemble, Kernel, Plan, Row, Schedule, Target, chains};
use slt_stats::{Estimate, ZTest, ZTestResult};

/// Chains around one anchor; each gives one replicate of λ̂.
#[derive(Debug, Clone, Copy)]
pub struct Experiment<'a> {
    /// The kernel under test.
    pub kernel: Kernel,
    /// What the chains sample, and in what steps.
    pub dynamics: Dynamics,
    /// Where every chain starts and is held.
    pub anchor: ArrayView1<'a, f64>,
    /// Which states are draws.
    pub schedule: Schedule,
    /// Independent chains, R.
    pub n_chains: usize,
}

impl Experiment<'_> {
    /// The draws of all chains, with the noise of `seed`.
    pub fn draws<T: Target + Clone + Send + Sync>(&self, target: &T, seed: u64) -> Draws {
        let plan = Plan {
            kernel: self.kernel,
            schedule: self.schedule,
            batch_size: None,
            radius: None,
            seed,
            keep_positions: false,
            n_threads: std::thread::available_parallelism().map_or(1, usize::from),
            block: 16,
        };
        let anchors = self.anchor.broadcast((self.n_chains, self.anchor.len()));
        let anchors = anchors.expect("a row for each chain").to_owned();
        let rows = Row::many(0, self.n_chains, self.dynamics);
        let ensemble = Ensemble::new(anchors.view(), &rows);
        chains::run(target, &plan, &ensemble, &|_| ()).expect("a valid experiment")
    }

    /// `L(anchor)`. Units: nats.
    pub fn initial_loss<T: Target + Clone>(&self, target: &T) -> f64 {
        let mut loss = [f64::NAN];
        let anchor = self.anchor.insert_axis(Axis(0));
        target.clone().loss(anchor, &mut loss);
        loss[0]
    }

    /// `nβ (mean of L over the draws − L(anchor))` of each chain.
    ///
    /// Shapes: returns `[n_chains]`.
    pub fn replicates<T: Target + Clone + Send + Sync>(&self, target: &T, seed: u64) -> Vec<f64> {
        let loss = self.draws(target, seed).loss;
        let mean: Array1<f64> = loss.mean_axis(Axis(1)).expect("there are draws");
        (self.dynamics.nbeta() * (mean - self.initial_loss(target))).to_vec()
    }
}

/// `2 λ̂(ε/2) − λ̂(ε)` chain by chain: the bias of the order of the step is gone, that of its square is left.
///
/// # Panics
/// If the lengths differ.
pub fn richardson(at_step: &[f64], at_half: &[f64]) -> Vec<f64> {
    assert_eq!(
        at_step.len(),
        at_half.len(),
        "as many chains at either step"
    );
    let pairs = at_step.iter().zip(at_half);
    pairs.map(|(whole, half)| 2.0 * half - whole).collect()
}

/// The z-test of independent replicates against an exact expectation, with the power gate `mcse ≤ 0.01·|expected|`.
///
/// # Panics
/// If a replicate or `expected` is not finite, or there are fewer than 32 replicates: no outcome would mean anything.
pub fn z_test(replicates: &[f64], expected: f64, n_comparisons: usize) -> ZTestResult {
    let estimate = Estimate::from_replicates(replicates).expect("finite replicates");
    let test = ZTest::new(expected, n_comparisons).expect("a finite expectation");
    test.apply(&estimate).expect("replicates enough")
}
