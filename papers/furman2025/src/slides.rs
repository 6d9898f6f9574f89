//! Formulas of the slides that need no sampling: the derivatives of the two examples and the trigonometry of modular addition.

use std::f64::consts::{PI, TAU};

use slt_report::Obtained;

use crate::exact;

/// The modulus of the grokking papers, and frequencies such as networks find.
const MODULUS: u32 = 113;
const FREQUENCIES: [f64; 5] = [3.0, 17.0, 29.0, 41.0, 52.0];

/// A density `exp(-(x - m(w))²)/√π` at x and w, with the mean `w^power`.
fn density(x: f64, w: f64, power: i32) -> f64 {
    (-(x - w.powi(power)).powi(2)).exp() / PI.sqrt()
}

/// The derivative by w over what the slides write for it, at a general point.
fn derivative_ratio(power: i32, slides: impl Fn(f64, f64) -> f64) -> f64 {
    let (x, w, h) = (0.8, 0.3, 1e-4);
    let at = |t: f64| density(x, w + t, power);
    let derivative = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
    derivative / slides(x, w)
}

/// The largest difference between the sides of the four identities, over all a, b and c.
fn worst_identity() -> f64 {
    let mut worst = 0f64;
    for k in FREQUENCIES {
        let w = TAU * k / f64::from(MODULUS);
        for (a, b) in pairs() {
            let (a, b) = (w * a, w * b);
            let sine = a.sin() * b.cos() + a.cos() * b.sin();
            let cosine = a.cos() * b.cos() - a.sin() * b.sin();
            worst = worst.max((sine - (a + b).sin()).abs());
            worst = worst.max((cosine - (a + b).cos()).abs());
            for c in 0..MODULUS {
                let c = w * f64::from(c);
                let logit = cosine * c.cos() + sine * c.sin();
                worst = worst.max((logit - (a + b - c).cos()).abs());
            }
        }
    }
    worst
}

/// Share of pairs whose logit is largest at `c = a + b mod p`.
fn right_answers() -> f64 {
    let logit = |s: f64| {
        FREQUENCIES
            .iter()
            .map(|k| (TAU * k * s / f64::from(MODULUS)).cos())
            .sum()
    };
    let right = pairs().filter(|&(a, b)| {
        let values: Vec<f64> = (0..MODULUS).map(|c| logit(a + b - f64::from(c))).collect();
        let best = (0..values.len()).max_by(|&i, &j| values[i].total_cmp(&values[j]));
        best == Some((a + b) as usize % MODULUS as usize)
    });
    right.count() as f64 / f64::from(MODULUS * MODULUS)
}

fn pairs() -> impl Iterator<Item = (f64, f64)> {
    (0..MODULUS * MODULUS).map(|i| (f64::from(i / MODULUS), f64::from(i % MODULUS)))
}

pub fn obtained() -> Vec<Obtained> {
    let gaussian = derivative_ratio(1, |x, w| (x - w) * density(x, w, 1));
    let cubic = derivative_ratio(3, |x, w| 6.0 * w * w * (x - w.powi(3)) * density(x, w, 3));
    let (identity, answers) = (worst_identity(), right_answers());
    vec![
        exact::claim(
            "derivative-gaussian",
            gaussian,
            (gaussian - 1.0).abs() < 1e-8,
            "a factor of 2 is missing: d/dw exp(-(x - w)²) = 2 (x - w) exp(-(x - w)²). At w = 0 it is 2x exp(-x²)/√π, not 0 as \
             a function of x either way: the model is regular"
                .into(),
        ),
        exact::claim(
            "derivative-cubic",
            cubic,
            (cubic - 1.0).abs() < 1e-8,
            "at x = 0.8, w = 0.3; it has the factor w², and so is 0 for all x at w = 0".into(),
        ),
        exact::claim(
            "identities",
            identity,
            identity < 1e-12,
            format!("largest difference of the two sides over all a, b, c modulo {MODULUS} and five frequencies: rounding"),
        ),
        exact::claim(
            "logits",
            answers,
            answers == 1.0,
            format!("all {} pairs, logits of five frequencies added", MODULUS * MODULUS),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formulas_are_what_they_are() {
        let rows = obtained();
        assert!((rows[0].value - 2.0).abs() < 1e-8);
        assert!((rows[1].value - 1.0).abs() < 1e-8);
        assert!(rows[2].value < 1e-12 && rows[3].value == 1.0);
    }
}
