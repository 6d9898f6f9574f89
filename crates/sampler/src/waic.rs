//! What the losses of single samples at the draws tell: WAIC, the functional variance, and the singular fluctuation.
//!
//! With `ℓ_i(w) = -log p(x_i|w)` and draws from the posterior at inverse temperature β (Watanabe 2010, JMLR 11; 2018,
//! *Mathematical Theory of Bayesian Statistics*, sections 2.3 and 8.2):
//!
//! - Bayes training loss `T = -(1/n) Σ log E_w[exp(-ℓ_i)]`;
//! - functional variance `V = Σ Var_w[ℓ_i]`, so that the singular fluctuation is `ν ~ βV/2`;
//! - `WAIC = T + βV/n`, whose expectation is that of the Bayes generalisation loss up to `o(1/n)`.
//!
//! `ℓ` must be a log likelihood in nats: for a squared error, `|y - f|²/(2σ²)` with the noise's variance σ².

use ndarray::{Array1, Array2, ArrayView3, Axis};
use slt_stats::DrawsError;

use crate::summary::Summary;

/// WAIC and its parts, each with its standard error.
#[derive(Debug, Clone, PartialEq)]
pub struct Waic {
    /// `WAIC = T + βV/n`. Units: nats for each sample.
    pub waic: Summary,
    /// `T`, the Bayes training loss. Units: nats for each sample.
    pub training_loss: Summary,
    /// `ν̂ = βV/2`, the singular fluctuation.
    pub fluctuation: Summary,
    /// `V`, the functional variance.
    pub functional_variance: f64,
}

impl Waic {
    /// From the losses of all samples at draws from the posterior at inverse temperature `beta` (1 for Bayes).
    ///
    /// Each is a smooth function of posterior means over draws; its standard error is that of the draws' first-order
    /// contributions to it.
    ///
    /// Shapes: `losses`: `[n_chains, n_draws, n_samples]`. Units: nats.
    ///
    /// # Errors
    /// [`DrawsError`] where draws are too few or not finite.
    pub fn new(losses: ArrayView3<f64>, beta: f64) -> Result<Self, DrawsError> {
        let (n_chains, n_draws, n) = losses.dim();
        let n_all = (n_chains * n_draws) as f64;
        let per_sample = |f: &dyn Fn(usize, f64) -> f64| -> Array1<f64> {
            let mut sum = Array1::<f64>::zeros(n);
            for draw in losses.rows() {
                for (i, (sum, &l)) in sum.iter_mut().zip(draw).enumerate() {
                    *sum += f(i, l);
                }
            }
            sum / n_all
        };
        let mean = per_sample(&|_, l| l);
        // exp(-ℓ) relative to exp(-mean), so that nothing underflows
        let likelihood = per_sample(&|i, l| (mean[i] - l).exp());
        let contributions = |f: &dyn Fn(usize, f64) -> f64| -> Array2<f64> {
            let of = |draw: ndarray::ArrayView1<f64>| {
                draw.iter().enumerate().map(|(i, &l)| f(i, l)).sum()
            };
            losses.map_axis(Axis(2), of)
        };
        // unbiased for independent draws: n_all - 1 degrees of freedom
        let degrees = n_all / (n_all - 1.0);
        let variance = contributions(&|i, l| (l - mean[i]).powi(2) * degrees);
        // -log E ~ -log Ê - (x/Ê - 1)
        let training = contributions(&|i, l| {
            mean[i] - likelihood[i].ln() - ((mean[i] - l).exp() / likelihood[i] - 1.0)
        }) / n as f64;
        let fluctuation = Summary::new((0.5 * beta * &variance).view())?;
        Ok(Self {
            waic: Summary::new((&training + &(&variance * (beta / n as f64))).view())?,
            training_loss: Summary::new(training.view())?,
            functional_variance: 2.0 * fluctuation.mean / beta,
            fluctuation,
        })
    }
}

/// The posterior covariance of two sets of observables, such as the losses of single samples, within chains.
///
/// Shapes: `a`: `[n_chains, n_draws, n_a]`; `b`: `[n_chains, n_draws, n_b]`; returns `[n_chains, n_a, n_b]`, one estimate from
/// each chain: their mean is the estimate, and their spread over √n_chains its standard error.
///
/// # Panics
/// If chains or draws differ in number, or there are fewer than two draws.
pub fn covariances(a: ArrayView3<f64>, b: ArrayView3<f64>) -> ndarray::Array3<f64> {
    let ((n_chains, n_draws, n_a), n_b) = (a.dim(), b.dim().2);
    assert_eq!(
        (n_chains, n_draws),
        (b.dim().0, b.dim().1),
        "the same draws of the same chains"
    );
    assert!(n_draws > 1, "a covariance needs two draws");
    let mut all = ndarray::Array3::zeros((n_chains, n_a, n_b));
    for ((a, b), mut out) in a.outer_iter().zip(b.outer_iter()).zip(all.outer_iter_mut()) {
        let centred = |x: ndarray::ArrayView2<f64>| &x - &x.sum_axis(Axis(0)) / n_draws as f64;
        let product = centred(a).t().dot(&centred(b));
        out.assign(&(product / (n_draws as f64 - 1.0)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::fill;
    use crate::stream::Purpose;
    use ndarray::{Array3, array};

    /// The normal location model `p(x|w) = N(x|w, 1)` on three samples: the posterior is `N(mean, 1/3)`, and everything has a
    /// closed form: `E exp(-ℓ)` is the density of `N(mean, 4/3)`.
    #[test]
    fn normal_location() {
        let x = [0.3, -1.1, 0.8];
        let centre = x.iter().sum::<f64>() / 3.0;
        let (n_chains, n_draws) = (20usize, 2000usize);
        let mut normals = vec![0.0f32; (n_chains * n_draws).next_multiple_of(64)];
        fill(3, Purpose::Data, 0, 0, &mut normals);
        let w = |c: usize, k: usize| centre + f64::from(normals[c * n_draws + k]) / 3f64.sqrt();
        let normalisation = 0.5 * (2.0 * std::f64::consts::PI).ln();
        let losses = Array3::from_shape_fn((n_chains, n_draws, 3), |(c, k, i)| {
            0.5 * (x[i] - w(c, k)).powi(2) + normalisation
        });
        let waic = Waic::new(losses.view(), 1.0).expect("draws");
        let s2: f64 = 1.0 / 3.0;
        let training = x.iter().map(|x| {
            normalisation + 0.5 * (1.0 + s2).ln() + 0.5 * (x - centre).powi(2) / (1.0 + s2)
        });
        let training = training.sum::<f64>() / 3.0;
        // Var[(x-w)²/2] = (x-m)² s² + s⁴/2
        let variance: f64 = x
            .iter()
            .map(|x| (x - centre).powi(2) * s2 + 0.5 * s2 * s2)
            .sum();
        for (summary, exact) in [
            (&waic.training_loss, training),
            (&waic.fluctuation, 0.5 * variance),
            (&waic.waic, training + variance / 3.0),
        ] {
            let z = (summary.mean - exact) / summary.mcse;
            assert!(
                z.abs() < 4.4 && summary.mcse < 0.02 * exact,
                "{summary:?}, {exact}"
            );
        }
        approx::assert_relative_eq!(
            waic.functional_variance,
            2.0 * waic.fluctuation.mean,
            max_relative = 1e-14
        );
    }

    #[test]
    fn a_covariance_by_hand() {
        let a = array![[[1.0], [3.0]], [[0.0], [0.0]]];
        let b = array![[[1.0, 5.0], [2.0, 1.0]], [[1.0, 2.0], [3.0, 4.0]]];
        let expected = array![[[1.0, -4.0]], [[0.0, 0.0]]];
        assert_eq!(covariances(a.view(), b.view()), expected);
    }
}
