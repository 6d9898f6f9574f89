//! Hamiltonian Monte Carlo, and MALA as its one-step case.
//!
//! With `U = nβ L + γ/2 |w - w*|²` and momenta `p ~ N(0, T)`, a trajectory is `n` leapfrog steps of length `h = √ε`:
//! `p <- p - (h/2) s ∇U`, `w <- w + h s p`, `p <- p - (h/2) s ∇U`, with `s` the scale of each parameter. Its end is taken with
//! probability `exp(-(ΔU + Δ|p|²/2)/T)`, so the chain's law is the density, whatever ε. One step is MALA:
//! `w - (ε/2) s² ∇U + √ε s p` is its proposal, and the change of energy its acceptance ratio.
//!
//! On a direction whose period is the trajectory's length, or twice that, the square of the position would never change, and where
//! the curvature is much larger than elsewhere every step that is good elsewhere is refused, so that chains stay out, or stick.
//! With more than one leapfrog step, each trajectory therefore has a step of its own, `h = 10^(-u⁴) √ε` with `u` uniform: it is
//! above `√ε/2` three times in four, and down to a tenth (Neal 2011, section 3.2, recommends as much).
//!
//! A proposal outside the box, or of a loss that is not a number, is refused.

use ndarray::Array2;

use crate::noise::RowNoise;
use crate::state::{Memory, State};
use crate::stream::Purpose;
use crate::target::{Batch, Target};

/// The logarithm of the factor that shortens a trajectory's step at most.
const JITTER: f64 = std::f64::consts::LN_10;

/// Where the trajectories are, and what is known at their starts.
#[derive(Debug, Clone)]
pub(crate) struct Trajectory {
    rows: Array2<f64>,
    grad: Array2<f64>,
    momentum: Array2<f64>,
    /// Losses at `State::rows`.
    loss: Vec<f64>,
    proposed: Vec<f64>,
    energy: Vec<f64>,
    /// Four normals a step: half the square sum of a pair is exponential.
    acceptance: Vec<RowNoise>,
    /// Thresholds of the Metropolis tests, exponential.
    threshold: Vec<f64>,
    /// Leapfrog step `h` of each row.
    h: Vec<f64>,
    pub(crate) n_accepted: Vec<u64>,
}

pub(crate) fn step<T: Target>(n_leapfrog: u32, target: &mut T, batch: Batch, state: &mut State) {
    assert!(
        matches!(batch, Batch::Full),
        "a Metropolis test needs the loss of all samples: full batches only"
    );
    if matches!(state.memory, Memory::Nothing) {
        state.memory = Memory::Metropolis(Box::new(begin(target, state)));
    }
    let Memory::Metropolis(mut t) = std::mem::take(&mut state.memory) else {
        unreachable!("an ensemble keeps its kernel")
    };
    let n_rows = state.rows.nrows();
    state.loss.copy_from_slice(&t.loss);
    t.rows.assign(&state.rows);
    t.grad.assign(&state.grad);
    for i in 0..n_rows {
        let temperature = state.dynamics[i].temperature().sqrt();
        let mut p = t.momentum.row_mut(i);
        let p = p.as_slice_mut().expect("momenta are contiguous");
        state.noise[i].for_step(state.step, |at, xi| {
            for (p, &x) in p[at..].iter_mut().zip(xi) {
                *p = temperature * f64::from(x);
            }
        });
        t.energy[i] = energy(state, &t, i, t.loss[i]);
        let mut exponential = [0.0; 2];
        t.acceptance[i].for_step(state.step, |_, xi| {
            let half = |x: f32| 0.5 * f64::from(x).powi(2);
            exponential = [half(xi[0]) + half(xi[1]), half(xi[2]) + half(xi[3])];
        });
        t.threshold[i] = exponential[0];
        let jitter = if n_leapfrog > 1 {
            (-JITTER * (-4.0 * exponential[1]).exp()).exp() // u = e^(-exponential)
        } else {
            1.0
        };
        t.h[i] = jitter * state.dynamics[i].step_size().sqrt();
    }
    for _ in 0..n_leapfrog {
        for i in 0..n_rows {
            kick(state, &mut t, i);
            drift(state, &mut t, i);
        }
        target.loss_and_grad(
            t.rows.view(),
            Batch::Full,
            t.grad.view_mut(),
            &mut t.proposed,
        );
        for i in 0..n_rows {
            kick(state, &mut t, i);
        }
    }
    for i in 0..n_rows {
        let change = energy(state, &t, i, t.proposed[i]) - t.energy[i];
        // NaN is refused
        if change <= state.dynamics[i].temperature() * t.threshold[i] && inside(state, &t, i) {
            state.rows.row_mut(i).assign(&t.rows.row(i));
            state.grad.row_mut(i).assign(&t.grad.row(i));
            t.loss[i] = t.proposed[i];
            t.n_accepted[i] += 1;
        }
    }
    state.memory = Memory::Metropolis(t);
}

fn begin<T: Target>(target: &mut T, state: &mut State) -> Trajectory {
    let (n_rows, d) = state.rows.dim();
    let mut loss = vec![f64::NAN; n_rows];
    target.loss_and_grad(
        state.rows.view(),
        Batch::Full,
        state.grad.view_mut(),
        &mut loss,
    );
    Trajectory {
        rows: Array2::zeros((n_rows, d)),
        grad: Array2::zeros((n_rows, d)),
        momentum: Array2::zeros((n_rows, d)),
        loss,
        proposed: vec![f64::NAN; n_rows],
        energy: vec![f64::NAN; n_rows],
        acceptance: state
            .streams
            .iter()
            .map(|&stream| RowNoise::for_purpose(state.seed, Purpose::Acceptance, stream, 4))
            .collect(),
        threshold: vec![f64::NAN; n_rows],
        h: vec![f64::NAN; n_rows],
        n_accepted: vec![0; n_rows],
    }
}

/// `nβ L + γ/2 |w - w*|² + |p|²/2` of the trajectory's row `i`.
fn energy(state: &State, t: &Trajectory, i: usize, loss: f64) -> f64 {
    let law = &state.dynamics[i];
    let mut away = 0.0;
    for (w, a) in t.rows.row(i).iter().zip(state.anchor.row(i)) {
        away += (w - a) * (w - a);
    }
    let kinetic: f64 = t.momentum.row(i).iter().map(|p| p * p).sum();
    law.nbeta() * loss + 0.5 * (law.gamma() * away + kinetic)
}

/// Half a step of the momenta.
fn kick(state: &State, t: &mut Trajectory, i: usize) {
    let law = &state.dynamics[i];
    let half = 0.5 * t.h[i];
    let (grad_factor, anchor_factor) = (half * law.nbeta(), half * law.gamma());
    let scale = state.scale.as_ref().map(|scale| scale.row(i));
    let (rows, grad, anchor) = (t.rows.row(i), t.grad.row(i), state.anchor.row(i));
    for (j, p) in t.momentum.row_mut(i).iter_mut().enumerate() {
        let s = scale.as_ref().map_or(1.0, |s| s[j]);
        *p -= s * (grad_factor * grad[j] + anchor_factor * (rows[j] - anchor[j]));
    }
}

/// A whole step of the positions.
fn drift(state: &State, t: &mut Trajectory, i: usize) {
    let h = t.h[i];
    let scale = state.scale.as_ref().map(|scale| scale.row(i));
    let p = t.momentum.row(i);
    for (j, w) in t.rows.row_mut(i).iter_mut().enumerate() {
        *w += h * scale.as_ref().map_or(1.0, |s| s[j]) * p[j];
    }
}

fn inside(state: &State, t: &Trajectory, i: usize) -> bool {
    state.radius.is_none_or(|radius| {
        let mut away = t.rows.row(i).into_iter().zip(state.anchor.row(i));
        away.all(|(w, a)| (w - a).abs() <= radius)
    })
}
