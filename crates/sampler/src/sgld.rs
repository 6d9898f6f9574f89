//! Stochastic gradient Langevin dynamics around an anchor (Welling and Teh 2011; localised as in Lau et al. 2023,
//! arXiv:2308.12108):
//!
//! `w <- w - (ε/2) (nbeta grad L(w) + gamma (w - anchor)) + sqrt(ε) N(0, I)`
//!
//! whose small-step limit samples `exp(-nbeta L(w) - gamma/2 |w - anchor|^2)`. The step is not Metropolis-corrected: on a
//! quadratic loss its own stationary law is known exactly (`slt-theory`, `LocalisedGaussian`), and that is what it is tested
//! against. A parameter of scale `s` has steps of `s² ε`.

use multiversion::multiversion;

use crate::dynamics::Dynamics;
use crate::state::State;

/// Moves all rows by the gradients in `state.grad`.
pub(crate) fn step(state: &mut State) {
    let d = state.rows.ncols();
    let rows = state
        .rows
        .as_slice_mut()
        .expect("rows are contiguous")
        .chunks_exact_mut(d);
    let anchors = state
        .anchor
        .as_slice()
        .expect("anchors are contiguous")
        .chunks_exact(d);
    let grads = state
        .grad
        .as_slice()
        .expect("gradients are contiguous")
        .chunks_exact(d);
    let scale = state
        .scale
        .as_ref()
        .map(|scale| scale.as_slice().expect("scales are contiguous"));
    let laws = state.dynamics.iter().zip(&mut state.noise);
    for (i, (((w, anchor), grad), (law, noise))) in
        rows.zip(anchors).zip(grads).zip(laws).enumerate()
    {
        let c = Coefficients::of(law);
        noise.for_step(state.step, |at, xi| {
            let to = at + xi.len();
            let (w, grad, anchor) = (&mut w[at..to], &grad[at..to], &anchor[at..to]);
            match scale {
                None => langevin(w, grad, anchor, xi, c),
                Some(scale) => {
                    scaled_langevin(w, grad, anchor, &scale[i * d + at..i * d + to], xi, c)
                }
            }
        });
    }
    state.reflect(None);
}

/// Factors of the update.
#[derive(Clone, Copy)]
pub(crate) struct Coefficients {
    pub grad: f64,
    pub anchor: f64,
    pub noise: f64,
}

impl Coefficients {
    pub fn of(law: &Dynamics) -> Self {
        Self {
            grad: 0.5 * law.step_size() * law.nbeta(),
            anchor: 0.5 * law.step_size() * law.gamma(),
            noise: (law.step_size() * law.temperature()).sqrt(),
        }
    }
}

/// Drift and noise in one pass.
#[inline]
fn langevin(w: &mut [f64], grad: &[f64], anchor: &[f64], xi: &[f32], c: Coefficients) {
    if w.len() < 16 {
        langevin_loop(w, grad, anchor, xi, c);
    } else {
        langevin_vector(w, grad, anchor, xi, c);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn langevin_vector(w: &mut [f64], grad: &[f64], anchor: &[f64], xi: &[f32], c: Coefficients) {
    langevin_loop(w, grad, anchor, xi, c);
}

#[inline(always)]
fn langevin_loop(w: &mut [f64], grad: &[f64], anchor: &[f64], xi: &[f32], c: Coefficients) {
    for (((w, &g), &a), &x) in w.iter_mut().zip(grad).zip(anchor).zip(xi) {
        *w += c.noise * f64::from(x) - (c.grad * g + c.anchor * (*w - a));
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn scaled_langevin(
    w: &mut [f64],
    grad: &[f64],
    anchor: &[f64],
    scale: &[f64],
    xi: &[f32],
    c: Coefficients,
) {
    for ((((w, &g), &a), &s), &x) in w.iter_mut().zip(grad).zip(anchor).zip(scale).zip(xi) {
        *w += s * (c.noise * f64::from(x) - s * (c.grad * g + c.anchor * (*w - a)));
    }
}
