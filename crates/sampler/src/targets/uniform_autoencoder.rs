//! Toy models of superposition, `f(x) = ReLU(WᵀWx + b)`, in the limit of many samples: one feature is active, its value uniform on `[0, 1]`.
//!
//! The loss is a sum over pairs (active feature, output) of integrals over the value, each a polynomial between the values at which the
//! output's unit goes on or off: no samples, no quadrature, and the loss of a row costs `n_features²` of these.
//!
//! Source: the expected loss is that of Chen et al. (2023), arXiv:2310.06301, lemma 3.1; the integrals are derived here.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::one_hot_autoencoder::OneHotAutoencoderError;
use crate::target::{Batch, Target};

/// The expected squared error of `ReLU(WᵀWx + b)` against `x = μ e_i`, with `i` uniform over the features and μ over `[0, 1]`.
///
/// A row holds `W`, shape `[n_hidden, n_features]`, row-major, then `b`, as that of
/// [`OneHotAutoencoder`](super::OneHotAutoencoder).
///
/// ```
/// use ndarray::array;
/// use slt_sampler::{Target, targets::UniformAutoencoder};
///
/// // W = [1 0], b = 0: the first feature is copied, the second missed, at an expected μ² of 1/3
/// let mut target = UniformAutoencoder::new(2, 1, 100)?;
/// let mut loss = [0.0];
/// target.loss(array![[1.0, 0.0, 0.0, 0.0]].view(), &mut loss);
/// assert_eq!(loss, [1.0 / 6.0]);
/// # Ok::<(), slt_sampler::targets::OneHotAutoencoderError>(())
/// ```
#[derive(Debug, Clone)]
pub struct UniformAutoencoder {
    n_features: usize,
    n_hidden: usize,
    n_samples: usize,
}

impl UniformAutoencoder {
    /// The target, posing as one of `n_samples`.
    ///
    /// # Errors
    /// [`OneHotAutoencoderError::Empty`] where there are no features or hidden units.
    pub fn new(
        n_features: usize,
        n_hidden: usize,
        n_samples: usize,
    ) -> Result<Self, OneHotAutoencoderError> {
        if n_features == 0 || n_hidden == 0 {
            return Err(OneHotAutoencoderError::Empty {
                n_features,
                n_hidden,
            });
        }
        Ok(Self {
            n_features,
            n_hidden,
            n_samples,
        })
    }

    /// The loss of a row, and for each pair what its integral changes by with `a_ij` and `b_j`.
    fn row(&self, w: &[f64], mut each: impl FnMut(usize, usize, f64, [f64; 2])) -> f64 {
        let n = self.n_features;
        let (weights, biases) = w.split_at(self.n_hidden * n);
        let share = 1.0 / (3.0 * n as f64);
        let mut sum = 0.0;
        for i in 0..n {
            for j in 0..n {
                let a: f64 = weights.chunks_exact(n).map(|row| row[i] * row[j]).sum();
                let (value, slopes) = integral(a, biases[j], i == j);
                sum += value;
                each(i, j, a, slopes.map(|slope| share * slope));
            }
        }
        share * sum
    }
}

/// `3 ∫ (ReLU(aμ + b) - δμ)² dμ` over `[0, 1]`, δ = 1 for the active feature, and its derivatives by a and b.
fn integral(a: f64, b: f64, active: bool) -> (f64, [f64; 2]) {
    let delta = if active { 1.0 } else { 0.0 };
    let end = a + b;
    // the unit is on for from < μ < to; a NaN is on
    let (from, to) = if b <= 0.0 && end <= 0.0 {
        (0.0, 0.0)
    } else if b < 0.0 {
        (-b / a, 1.0)
    } else if end < 0.0 {
        (0.0, -b / a)
    } else {
        (0.0, 1.0)
    };
    let r = a - delta;
    // of μ^k over that stretch, times k + 1
    let [one, two, three] = [1, 2, 3].map(|k| to.powi(k) - from.powi(k));
    let value = r * r * three + 3.0 * r * b * two + 3.0 * b * b * one + delta * (1.0 - three);
    let slopes = [
        2.0 * r * three + 3.0 * b * two,
        3.0 * r * two + 6.0 * b * one,
    ];
    (value, slopes)
}

impl Target for UniformAutoencoder {
    fn n_params(&self) -> usize {
        (self.n_hidden + 1) * self.n_features
    }

    fn n_samples(&self) -> usize {
        self.n_samples
    }

    /// There are no samples: the batch does not matter.
    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        _: Batch,
        mut grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        let n = self.n_features;
        let n_weights = self.n_hidden * n;
        for ((w, mut g), loss) in rows.rows().into_iter().zip(grad.rows_mut()).zip(loss) {
            let w = w.to_slice().expect("rows are contiguous");
            let g = g.as_slice_mut().expect("rows are contiguous");
            g.fill(0.0);
            *loss = self.row(w, |i, j, _, [by_a, by_b]| {
                for from in (0..n_weights).step_by(n) {
                    g[from + i] += by_a * w[from + j];
                    g[from + j] += by_a * w[from + i];
                }
                g[n_weights + j] += by_b;
            });
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        for (w, loss) in rows.rows().into_iter().zip(loss) {
            let w = w.to_slice().expect("rows are contiguous");
            *loss = self.row(w, |_, _, _, _| ());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{OneHotAutoencoder, gradient_check};
    use slt_theory::{Superposition, superposition_loss};

    /// Two hidden units, four features: units that are on, off, and both.
    const W: [f64; 12] = [
        0.9, -0.4, 0.2, 0.7, //
        -0.3, 0.8, 0.5, 0.1, //
        0.1, -0.2, 0.05, -0.4,
    ];

    fn loss(target: &mut impl Target, w: &[f64]) -> f64 {
        let row = ArrayView2::from_shape((1, w.len()), w).expect("a row");
        let mut loss = [f64::NAN];
        target.loss(row, &mut loss);
        loss[0]
    }

    #[test]
    fn loss_and_gradient_agree() {
        for sign in [1.0, -1.0] {
            let mut target = UniformAutoencoder::new(4, 2, 100).expect("a target");
            gradient_check(&mut target, &W.map(|w| sign * w));
        }
    }

    /// A second route, which integrates over the cells of Chen et al.
    #[test]
    fn losses_are_those_of_the_theory() {
        let mut target = UniformAutoencoder::new(4, 2, 100).expect("a target");
        for scale in [0.3, 1.0, -1.7] {
            let w = W.map(|w| scale * w);
            let columns: Vec<[f64; 2]> = (0..4).map(|i| [w[i], w[4 + i]]).collect();
            let exact = superposition_loss(&columns, &w[8..]);
            approx::assert_relative_eq!(loss(&mut target, &w), exact, max_relative = 1e-13);
        }
        let pentagon = Superposition::new(6, 5, 0).expect("a polygon");
        let (columns, biases) = pentagon.parameters();
        let half = |k: usize| columns.iter().map(move |c| c[k]);
        let w: Vec<f64> = half(0).chain(half(1)).chain(biases).collect();
        let mut target = UniformAutoencoder::new(6, 2, 100).expect("a target");
        approx::assert_relative_eq!(loss(&mut target, &w), pentagon.loss(), max_relative = 1e-13);
    }

    /// Many samples at evenly spaced values, in three hidden dimensions.
    #[test]
    fn it_is_the_limit_of_many_samples() {
        let w: Vec<f64> = (0..20).map(|i| f64::from(i * i + 1).sin()).collect();
        let at = |n: usize| {
            let samples: Vec<(usize, f64)> = (0..5)
                .flat_map(|i| (0..n).map(move |k| (i, (k as f64 + 0.5) / n as f64)))
                .collect();
            loss(
                &mut OneHotAutoencoder::new(5, 3, &samples).expect("a target"),
                &w,
            )
        };
        let exact = loss(&mut UniformAutoencoder::new(5, 3, 1).expect("a target"), &w);
        // the midpoint rule: a hundredth of the error with ten times the samples
        let errors = [100, 1000].map(|n| (at(n) / exact - 1.0).abs());
        assert!(errors[0] < 1e-4 && errors[1] < 1e-6, "{errors:?}");
    }

    #[test]
    fn impossible_sizes_and_nans() {
        assert!(UniformAutoencoder::new(0, 2, 1).is_err());
        assert!(UniformAutoencoder::new(4, 0, 1).is_err());
        let mut target = UniformAutoencoder::new(4, 2, 100).expect("a target");
        for k in 0..12 {
            let mut w = W;
            w[k] = f64::NAN;
            assert!(loss(&mut target, &w).is_nan(), "{k}");
        }
    }
}
