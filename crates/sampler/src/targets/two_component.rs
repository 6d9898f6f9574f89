//! A mixture of two normal densities of unit variance and unknown locations, the standard example of a singular density model:
//!
//! `p(x | a, b) = N(x | a, 1) / 2 + N(x | b, 1) / 2`.
//!
//! Where the truth is `N(0, 1)`, the true parameter is `a = b = 0`, and with `u = (a + b) / 2`, `v = (a - b) / 2` the moments of the mixture are
//! `u` and `1 + v^2 + ...`, so `K ~ u^2 / 2 + v^4 / 4` and `lambda = 1/2 + 1/4 = 3/4`, `m = 1` (our derivation; there is no boundary,
//! as there is with a free weight).

use std::f64::consts::TAU;
use std::sync::Arc;

use ndarray::{ArrayView2, ArrayViewMut2};

use super::samples::{self, SamplesError};
use crate::target::{Batch, SampleLosses, Target};

/// The mean of `-log p(x_i | a, b)` over the samples; a row is `(a, b)`.
///
/// ```
/// use ndarray::array;
/// use slt_sampler::{Target, targets::TwoComponent};
///
/// let mut loss = [0.0];
/// TwoComponent::new(vec![0.0])?.loss(array![[0.0, 0.0]].view(), &mut loss);
/// assert!((loss[0] - 0.5 * std::f64::consts::TAU.ln()).abs() < 1e-15);
/// # Ok::<(), slt_sampler::targets::SamplesError>(())
/// ```
#[derive(Debug, Clone)]
pub struct TwoComponent {
    x: Arc<[f64]>,
}

impl TwoComponent {
    /// The target for the samples `x`.
    ///
    /// # Errors
    /// [`SamplesError`] where there are none, or one is not finite.
    pub fn new(x: Vec<f64>) -> Result<Self, SamplesError> {
        samples::check("input", &x, 1)?;
        Ok(Self { x: x.into() })
    }

    fn row(&self, w: [f64; 2], samples: impl ExactSizeIterator<Item = usize>) -> (f64, [f64; 2]) {
        let n = samples.len() as f64;
        let (mut loss, mut grad) = (0.0, [0.0; 2]);
        for i in samples {
            let (sample, share) = density(w, self.x[i]);
            loss += sample;
            grad[0] += share * (w[0] - self.x[i]);
            grad[1] += (1.0 - share) * (w[1] - self.x[i]);
        }
        (loss / n, grad.map(|g| g / n))
    }
}

/// `-log p(x | a, b)`, and the posterior probability of the first component.
fn density([a, b]: [f64; 2], x: f64) -> (f64, f64) {
    let (first, second) = (-0.5 * (x - a) * (x - a), -0.5 * (x - b) * (x - b));
    // f64::max would hide a NaN in one of them
    let largest = if first < second { second } else { first };
    let (p, q) = ((first - largest).exp(), (second - largest).exp());
    (0.5 * TAU.ln() - largest - (0.5 * (p + q)).ln(), p / (p + q))
}

impl Target for TwoComponent {
    fn n_params(&self) -> usize {
        2
    }

    fn n_samples(&self) -> usize {
        self.x.len()
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        mut grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        for (i, (w, mut g)) in rows.rows().into_iter().zip(grad.rows_mut()).enumerate() {
            let w = [w[0], w[1]];
            let (value, slope) = match batch {
                Batch::Full => self.row(w, 0..self.x.len()),
                Batch::Rows(indices) => self.row(w, indices.row(i).iter().map(|&k| k as usize)),
            };
            loss[i] = value;
            (g[0], g[1]) = (slope[0], slope[1]);
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        for (w, loss) in rows.rows().into_iter().zip(loss) {
            *loss = self.row([w[0], w[1]], 0..self.x.len()).0;
        }
    }

    fn hessian_vectors(
        &mut self,
        rows: ArrayView2<f64>,
        vectors: ArrayView2<f64>,
        mut out: ArrayViewMut2<f64>,
    ) {
        let n = self.x.len() as f64;
        for ((w, v), mut out) in rows
            .rows()
            .into_iter()
            .zip(vectors.rows())
            .zip(out.rows_mut())
        {
            out.fill(0.0);
            for &x in self.x.iter() {
                let share = density([w[0], w[1]], x).1;
                let (a, b) = (w[0] - x, w[1] - x);
                // of the share, along v
                let change = share * (1.0 - share) * (b * v[1] - a * v[0]);
                out[0] += (share * v[0] + a * change) / n;
                out[1] += ((1.0 - share) * v[1] - b * change) / n;
            }
        }
    }
}

impl SampleLosses for TwoComponent {
    fn sample_losses(&mut self, rows: ArrayView2<f64>, mut out: ArrayViewMut2<f64>) {
        for (w, mut out) in rows.rows().into_iter().zip(out.rows_mut()) {
            for (&x, out) in self.x.iter().zip(&mut out) {
                *out = density([w[0], w[1]], x).0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{gradient_check, hessian_check, minibatch_check, sample_losses_check};

    fn samples() -> Vec<f64> {
        (0..15).map(|i| 2.0 * f64::from(i * i).sin()).collect()
    }

    #[test]
    fn losses_and_gradients_agree() {
        let mut target = TwoComponent::new(samples()).expect("samples");
        for w in [[0.3, -0.8], [2.0, 2.0], [-30.0, 0.5]] {
            gradient_check(&mut target, &w);
            hessian_check(&mut target, &w);
            sample_losses_check(&mut target, &w);
            minibatch_check(&mut target, &w, |k| {
                TwoComponent::new(k.iter().map(|&k| samples()[k]).collect()).expect("samples")
            });
        }
    }

    /// By the trapezoidal rule, which is exact to rounding for such an integrand.
    #[test]
    fn the_density_integrates_to_one() {
        for w in [[0.0, 0.0], [1.5, -2.0]] {
            let integral: f64 = (-1500..=1500)
                .map(|i| 0.01 * (-density(w, 0.01 * f64::from(i)).0).exp())
                .sum();
            approx::assert_relative_eq!(integral, 1.0, max_relative = 1e-13);
        }
    }

    /// `K = u^2/2 + v^4/4` to leading order, by quadrature over the truth `N(0, 1)`.
    #[test]
    fn it_is_quartic_across() {
        let k = |w: [f64; 2]| -> f64 {
            (-1200..=1200)
                .map(|i| {
                    let x = 0.01 * f64::from(i);
                    let truth = (-0.5 * x * x).exp() / TAU.sqrt();
                    0.01 * truth * (density(w, x).0 - density([0.0; 2], x).0)
                })
                .sum()
        };
        approx::assert_relative_eq!(k([0.05, 0.05]), 0.05f64.powi(2) / 2.0, max_relative = 1e-6);
        approx::assert_relative_eq!(k([0.05, -0.05]), 0.05f64.powi(4) / 4.0, max_relative = 1e-2);
    }
}
