//! The exact posterior of a matrix of rank one in normal noise, `N × 2`, under a normal prior.
//!
//! Samples are `ba' + E_i` with `b ∈ R^N`, `a ∈ R²` and unit noise; their mean X is all that counts. With `s = nβ`, up to what does not
//! depend on w the loss is `½|ba'|² - b·Xa`. At fixed a the posterior of b is normal, and with `A = |a|²`, the eigenvalues `q₁ >= q₂` of `X'X`, `q̄` and δ
//! half their sum and difference, θ the angle between a and the first eigenvector, and `t = s²A/(γ + sA)`,
//! ```text
//! Z = E_A[(1 + sA/γ)^(-N/2) exp(½tq̄) I₀(½tδ)],   E cos 2θ = I₁/I₀(½tδ),
//! E[b | a] = s Xa/(γ + sA),   E[|ba'|² | a] = s²A² q(θ)/(γ + sA)² + NA/(γ + sA),   q(θ) = q̄ + δ cos 2θ.
//! ```
//! The integral over `log A` is a trapezoidal rule, exact to rounding.

use std::f64::consts::{PI, TAU};

/// The model: N outputs, prior precision γ of all parameters.
#[derive(Debug, Clone, Copy)]
pub struct RankOne {
    pub n_outputs: u32,
    pub gamma: f64,
}

/// What is wanted of the posterior at one inverse temperature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posterior {
    /// `log Z`, relative to the loss at `w = 0`.
    pub log_evidence: f64,
    /// `E[½|ba'|² - b·Xa]`.
    pub mean_loss: f64,
    /// `E|ba'|²`.
    pub mean_square: f64,
    /// `|E ba'|²`.
    pub square_of_mean: f64,
}

const STEP: f64 = 0.4;

impl RankOne {
    pub fn n_params(self) -> u32 {
        self.n_outputs + 2
    }

    /// The posterior at `s = nβ`. `eigenvalues`: those of `X'X`, the larger first.
    pub fn posterior(self, s: f64, eigenvalues: [f64; 2]) -> Posterior {
        let [q1, q2] = eigenvalues;
        let (mean, half) = (0.5 * (q1 + q2), 0.5 * (q1 - q2));
        let (n, gamma) = (f64::from(self.n_outputs), self.gamma);
        let node = |log_a: f64| {
            let a = log_a.exp();
            let precision = gamma + s * a;
            let t = s * s * a / precision;
            let (log_i0, cosine) = bessel(0.5 * t * half);
            let log_weight = log_a - 0.5 * gamma * a - 0.5 * n * (s * a / gamma).ln_1p()
                + 0.5 * t * mean
                + log_i0;
            let q = mean + half * cosine;
            let share = s * a / precision;
            let square = share * share * q + n * a / precision;
            (
                log_weight,
                [0.5 * square - share * q, square, share, share * cosine],
            )
        };
        // the density of A falls as A on the left and as exp(-γA/2) on the right
        let (low, high) = (
            (gamma / s).min(1.0 / gamma).ln() - 30.0,
            (90.0 / gamma).ln(),
        );
        let n_nodes = ((high - low) / STEP) as usize;
        let nodes: Vec<_> = (0..=n_nodes).map(|i| node(low + STEP * i as f64)).collect();
        let most = nodes
            .iter()
            .fold(f64::NEG_INFINITY, |m, node| m.max(node.0));
        let (mut sum, mut means) = (0.0, [0.0; 4]);
        for (log_weight, values) in nodes {
            let weight = (log_weight - most).exp();
            sum += weight;
            for (mean, value) in means.iter_mut().zip(values) {
                *mean += weight * value;
            }
        }
        let [mean_loss, mean_square, share, cosine] = means.map(|mean| mean / sum);
        let along = [0.5 * (share + cosine), 0.5 * (share - cosine)];
        Posterior {
            // A is exponential with the mean 2/γ
            log_evidence: most + (sum * STEP * 0.5 * gamma).ln(),
            mean_loss,
            mean_square,
            square_of_mean: q1 * along[0] * along[0] + q2 * along[1] * along[1],
        }
    }
}

/// `log I₀(x)` and `I₁(x)/I₀(x)` for `x >= 0`: a trapezoidal rule over the angle, or the asymptotic series (Abramowitz and Stegun 9.7.1).
fn bessel(x: f64) -> (f64, f64) {
    if x > 200.0 {
        let y = 1.0 / x;
        let series =
            1.0 + y * (0.125 + y * (9.0 / 128.0 + y * (225.0 / 3072.0 + y * 11025.0 / 98304.0)));
        let ratio = 1.0 - y * (0.5 + y * (0.125 + y * (0.125 + y * 25.0 / 128.0)));
        return (x + series.ln() - 0.5 * (TAU * x).ln(), ratio);
    }
    let n = (24.0 + 9.0 * x.sqrt()) as usize;
    let (mut sum, mut first) = (0.0, 0.0);
    for i in 0..n {
        // the midpoints of half a circle
        let cosine = (PI * (i as f64 + 0.5) / n as f64).cos();
        let weight = (x * (cosine - 1.0)).exp();
        sum += weight;
        first += weight * cosine;
    }
    (x + (sum / n as f64).ln(), first / sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slt_theory::reduced_rank_law;

    /// Without data it is reduced rank regression with zero truth.
    #[test]
    fn without_data_the_law_is_known() {
        for (n_outputs, s, gamma) in [(1, 10.0, 1.0), (3, 1e3, 0.5), (5, 1e6, 2.0)] {
            let found = RankOne { n_outputs, gamma }.posterior(s, [0.0, 0.0]);
            let law = reduced_rank_law(2, n_outputs, 1, s, gamma).expect("valid");
            assert!((found.log_evidence - law.log_evidence()).abs() < 1e-9);
            assert!((s * found.mean_loss - law.mean()).abs() < 1e-9);
            assert_eq!(found.square_of_mean, 0.0);
        }
    }

    /// The mean loss is the derivative of the evidence, and that by the data the posterior mean: `∂ log Z/∂X = s E[ba']`.
    #[test]
    fn moments_are_derivatives_of_the_evidence() {
        let model = RankOne {
            n_outputs: 4,
            gamma: 1.3,
        };
        for (s, q) in [(30.0, [0.4, 0.1]), (1e4, [0.05, 1e-3]), (1e3, [3.0, 0.2])] {
            let at = |s: f64, q: [f64; 2]| model.posterior(s, q).log_evidence;
            let found = model.posterior(s, q);
            let h = 1e-4;
            let slope = (at(s * (1.0 + h), q) - at(s * (1.0 - h), q)) / (2.0 * h * s);
            assert!((slope + found.mean_loss).abs() < 1e-6 * found.mean_loss.abs());
            // X = diag(√q₁, √q₂): each singular value has the derivative s times the posterior mean along it
            let square: f64 = (0..2)
                .map(|i| {
                    let moved = |t: f64| {
                        let mut q = q;
                        q[i] = (q[i].sqrt() * (1.0 + t)).powi(2);
                        at(s, q)
                    };
                    ((moved(h) - moved(-h)) / (2.0 * h * q[i].sqrt() * s)).powi(2)
                })
                .sum();
            assert!((square / found.square_of_mean - 1.0).abs() < 1e-5, "{s}");
        }
    }

    /// Abramowitz and Stegun, table 9.8, and both routes where they meet.
    #[test]
    fn bessel_functions() {
        let (log_i0, ratio) = bessel(1.0);
        assert!((log_i0.exp() - 1.266_065_877_752_008_4).abs() < 1e-14);
        assert!((ratio * log_i0.exp() - 0.565_159_103_992_485).abs() < 1e-14);
        let (below, above) = (bessel(200.0), bessel(200.0 + 1e-9));
        assert!((below.0 - above.0).abs() < 1e-8 && (below.1 - above.1).abs() < 1e-11);
    }
}
