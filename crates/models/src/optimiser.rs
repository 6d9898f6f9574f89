//! Optimisers on rows, with PyTorch's update formulas.

use multiversion::multiversion;
use ndarray::{Array2, ArrayViewMut2, Axis};
use serde::{Deserialize, Serialize};

/// Why an optimiser's settings are refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name} is {value}; expected {expected}")]
pub struct OptimiserError {
    name: &'static str,
    value: f64,
    expected: &'static str,
}

fn check(
    ok: bool,
    name: &'static str,
    value: f64,
    expected: &'static str,
) -> Result<(), OptimiserError> {
    if ok {
        Ok(())
    } else {
        Err(OptimiserError {
            name,
            value,
            expected,
        })
    }
}

/// Gradient descent with momentum: `b <- momentum b + g` (`b = g` at first), `w <- w - learning_rate b`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    /// Step of the descent.
    pub learning_rate: f64,
    /// Share of the last update that is kept.
    pub momentum: f64,
}

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101), as in PyTorch's `AdamW`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamW {
    /// Step of the descent.
    pub learning_rate: f64,
    /// Decay rate of the mean gradient.
    pub beta1: f64,
    /// Decay rate of the mean squared gradient.
    pub beta2: f64,
    /// Added to the root of the mean squared gradient.
    pub epsilon: f64,
    /// Weights shrink by `learning_rate * weight_decay` each step.
    pub weight_decay: f64,
}

/// An optimiser by name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimiser {
    /// Gradient descent with momentum.
    Sgd(Sgd),
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
}

/// The moments that an optimiser keeps of every row; unused ones have no columns.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimiserState {
    /// Momentum or mean gradient, shape `[n_rows, d]`.
    pub first: Array2<f64>,
    /// Mean squared gradient, shape `[n_rows, d]`.
    pub second: Array2<f64>,
}

impl Optimiser {
    /// Refuses settings that no descent has.
    ///
    /// # Errors
    /// [`OptimiserError`] names the first setting out of range.
    pub fn validate(&self) -> Result<(), OptimiserError> {
        let positive = |v: f64| 0.0 < v && v.is_finite();
        let share = |v: f64| (0.0..1.0).contains(&v);
        match *self {
            Self::Sgd(Sgd {
                learning_rate,
                momentum,
            }) => {
                check(
                    positive(learning_rate),
                    "learning_rate",
                    learning_rate,
                    "a positive number",
                )?;
                check(share(momentum), "momentum", momentum, "a number in [0, 1)")
            }
            Self::AdamW(AdamW {
                learning_rate,
                beta1,
                beta2,
                epsilon,
                weight_decay,
            }) => {
                check(
                    positive(learning_rate),
                    "learning_rate",
                    learning_rate,
                    "a positive number",
                )?;
                check(share(beta1), "beta1", beta1, "a number in [0, 1)")?;
                check(share(beta2), "beta2", beta2, "a number in [0, 1)")?;
                check(positive(epsilon), "epsilon", epsilon, "a positive number")?;
                check(
                    0.0 <= weight_decay && weight_decay.is_finite(),
                    "weight_decay",
                    weight_decay,
                    "zero or a positive number",
                )
            }
        }
    }

    /// The state before the first step of `n_rows` rows with `d` parameters.
    pub fn start(&self, n_rows: usize, d: usize) -> OptimiserState {
        let moment = |used| Array2::zeros((n_rows, if used { d } else { 0 }));
        match self {
            Self::Sgd(sgd) => OptimiserState {
                first: moment(sgd.momentum != 0.0),
                second: moment(false),
            },
            Self::AdamW(_) => OptimiserState {
                first: moment(true),
                second: moment(true),
            },
        }
    }

    /// Step number `step` (from 0) of every row.
    ///
    /// Shapes: `rows` and `grad`: `[n_rows, d]`; moments as [`Optimiser::start`] made them.
    pub fn step(
        &self,
        step: u64,
        mut rows: ArrayViewMut2<f64>,
        grad: &Array2<f64>,
        mut first: ArrayViewMut2<f64>,
        mut second: ArrayViewMut2<f64>,
    ) {
        for (i, mut w) in rows.axis_iter_mut(Axis(0)).enumerate() {
            let w = w.as_slice_mut().expect("rows are contiguous");
            let g = grad.row(i).to_slice().expect("gradients are contiguous");
            let mut first = first.row_mut(i);
            let first = first.as_slice_mut().expect("moments are contiguous");
            match self {
                Self::Sgd(sgd) if first.is_empty() => {
                    w.iter_mut()
                        .zip(g)
                        .for_each(|(w, g)| *w -= sgd.learning_rate * g);
                }
                Self::Sgd(sgd) => {
                    for ((w, &g), b) in w.iter_mut().zip(g).zip(first) {
                        *b = sgd.momentum * *b + g;
                        *w -= sgd.learning_rate * *b;
                    }
                }
                Self::AdamW(adamw) => {
                    let mut second = second.row_mut(i);
                    let second = second.as_slice_mut().expect("moments are contiguous");
                    adamw_row(adamw, step, w, g, first, second);
                }
            }
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn adamw_row(c: &AdamW, step: u64, w: &mut [f64], g: &[f64], m: &mut [f64], v: &mut [f64]) {
    let t = i32::try_from(step + 1).expect("fewer than 2^31 steps");
    let keep = 1.0 - c.learning_rate * c.weight_decay;
    let rate = c.learning_rate / (1.0 - c.beta1.powi(t));
    let root = (1.0 - c.beta2.powi(t)).sqrt().recip();
    for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
        *m = c.beta1 * *m + (1.0 - c.beta1) * g;
        *v = c.beta2 * *v + (1.0 - c.beta2) * g * g;
        *w = *w * keep - rate * *m / (v.sqrt() * root + c.epsilon);
    }
}
