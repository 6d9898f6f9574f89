//! SGLD in steps scaled by running moments of the gradient; the update is written at [`Adaptive`].

use multiversion::multiversion;
use ndarray::Array2;

use crate::kernel::Adaptive;
use crate::sgld::Coefficients;
use crate::state::{Memory, State};

/// Running moments of the gradient, `[n_rows, d]` each.
#[derive(Debug, Clone)]
pub(crate) struct Moments {
    first: Array2<f64>,
    second: Array2<f64>,
    /// Scales of a row that has none, `[d]`.
    ones: Vec<f64>,
}

pub(crate) fn step(settings: &Adaptive, state: &mut State) {
    let (n_rows, d) = state.rows.dim();
    if matches!(state.memory, Memory::Nothing) {
        state.memory = Memory::Adaptive(Moments {
            first: Array2::zeros((n_rows, d)),
            second: Array2::from_elem((n_rows, d), settings.initial),
            ones: vec![1.0; d],
        });
    }
    let Memory::Adaptive(moments) = &mut state.memory else {
        unreachable!("an ensemble keeps its kernel")
    };
    let t = state.step as f64 + 1.0;
    let corrected = |decay: f64| {
        if settings.bias_correction {
            1.0 / (1.0 - decay.powf(t))
        } else {
            1.0
        }
    };
    let factors = Factors {
        first_decay: settings.first_decay,
        first: corrected(settings.first_decay),
        second_decay: settings.second_decay,
        second: corrected(settings.second_decay),
        stabiliser: settings.stabiliser,
    };
    for (i, (law, noise)) in state.dynamics.iter().zip(&mut state.noise).enumerate() {
        let c = Coefficients::of(law);
        let mut w = state.rows.row_mut(i);
        let w = w.as_slice_mut().expect("rows are contiguous");
        let anchor = state.anchor.row(i);
        let anchor = anchor.to_slice().expect("anchors are contiguous");
        let grad = state.grad.row(i);
        let grad = grad.to_slice().expect("gradients are contiguous");
        let mut first = moments.first.row_mut(i);
        let first = first.as_slice_mut().expect("moments are contiguous");
        let mut second = moments.second.row_mut(i);
        let second = second.as_slice_mut().expect("moments are contiguous");
        let scale = state.scale.as_ref().map(|scale| scale.row(i));
        let scale = scale.as_ref().map_or(&moments.ones[..], |s| {
            s.to_slice().expect("scales are contiguous")
        });
        noise.for_step(state.step, |at, xi| {
            let to = at + xi.len();
            adapt(
                (&mut w[at..to], &mut first[at..to], &mut second[at..to]),
                (&grad[at..to], &anchor[at..to], &scale[at..to]),
                xi,
                c,
                factors,
            );
        });
    }
    state.reflect(None);
}

/// Decays, and the corrections for the start of the running means.
#[derive(Clone, Copy)]
struct Factors {
    first_decay: f64,
    first: f64,
    second_decay: f64,
    second: f64,
    stabiliser: f64,
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn adapt(
    (w, first, second): (&mut [f64], &mut [f64], &mut [f64]),
    (grad, anchor, scale): (&[f64], &[f64], &[f64]),
    xi: &[f32],
    c: Coefficients,
    f: Factors,
) {
    for i in 0..w.len() {
        let g = grad[i];
        first[i] = f.first_decay * first[i] + (1.0 - f.first_decay) * g;
        second[i] = f.second_decay * second[i] + (1.0 - f.second_decay) * g * g;
        let size = scale[i] * scale[i] / ((f.second * second[i]).sqrt() + f.stabiliser);
        w[i] += size.sqrt() * c.noise * f64::from(xi[i])
            - size * (c.grad * f.first * first[i] + c.anchor * (w[i] - anchor[i]));
    }
}
