//! Radial losses `K(w) = c |w|^{2k}`: as singular as a function with a single zero can be.
//!
//! One blow-up of the origin gives `lambda = d / (2k)`, `m = 1`.

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::target::{Batch, Target};

/// `K(w) = c (|w|^2)^k` in `d` variables, the mean loss of a model that knows its data only through `w`.
///
/// ```
/// use ndarray::array;
/// use slt_sampler::{Target, targets::Radial};
///
/// let mut loss = [0.0];
/// Radial::new(0.5, 2, 3, 1000).loss(array![[1.0, 2.0, 2.0]].view(), &mut loss);
/// assert_eq!(loss, [0.5 * 81.0]);
/// ```
#[derive(Debug, Clone)]
pub struct Radial {
    factor: f64,
    power: i32,
    n_params: usize,
    n_samples: usize,
}

impl Radial {
    /// The loss with this factor `c` and this power `k` of `|w|^2`.
    ///
    /// # Panics
    /// If there is no variable, or the power is zero.
    pub fn new(factor: f64, power: u32, n_params: usize, n_samples: usize) -> Self {
        assert!(
            n_params > 0 && power > 0,
            "{n_params} variables, power {power} of |w|^2"
        );
        Self {
            factor,
            power: power as i32,
            n_params,
            n_samples,
        }
    }
}

impl Target for Radial {
    fn n_params(&self) -> usize {
        self.n_params
    }

    fn n_samples(&self) -> usize {
        self.n_samples
    }

    /// # Panics
    /// If asked for a minibatch: there are no samples.
    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        mut grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        assert!(
            matches!(batch, Batch::Full),
            "a radial target has no samples: full batches only"
        );
        for ((w, mut g), loss) in rows.rows().into_iter().zip(grad.rows_mut()).zip(loss) {
            let square = w.dot(&w);
            let slope = self.factor * square.powi(self.power - 1);
            *loss = slope * square;
            let slope = 2.0 * f64::from(self.power) * slope;
            g.zip_mut_with(&w, |g, &w| *g = slope * w);
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        for (w, loss) in rows.rows().into_iter().zip(loss) {
            let square = w.dot(&w);
            *loss = self.factor * square.powi(self.power - 1) * square;
        }
    }

    fn hessian_vectors(
        &mut self,
        rows: ArrayView2<f64>,
        vectors: ArrayView2<f64>,
        mut out: ArrayViewMut2<f64>,
    ) {
        let power = self.power;
        let factor = 2.0 * f64::from(power) * self.factor;
        for ((w, v), mut out) in rows
            .rows()
            .into_iter()
            .zip(vectors.rows())
            .zip(out.rows_mut())
        {
            let square = w.dot(&w);
            let along = factor * square.powi(power - 1);
            // |w|^2 itself has the same curvature everywhere
            let radial = match power {
                1 => 0.0,
                _ => 2.0 * f64::from(power - 1) * factor * square.powi(power - 2) * w.dot(&v),
            };
            for ((out, w), v) in out.iter_mut().zip(w).zip(v) {
                *out = along * v + radial * w;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{gradient_check, hessian_check};

    #[test]
    fn gradient_agrees_with_differences() {
        for (power, w) in [
            (1, vec![0.7, -1.3]),
            (2, vec![0.3, 0.1, -0.6]),
            (3, vec![-1.1]),
        ] {
            gradient_check(&mut Radial::new(0.8, power, w.len(), 1000), &w);
            hessian_check(&mut Radial::new(0.8, power, w.len(), 1000), &w);
            hessian_check(
                &mut Radial::new(0.8, power, w.len(), 1000),
                &vec![0.0; w.len()],
            );
        }
    }

    /// On a line through 0 it is a normal crossing in one variable.
    #[test]
    fn one_variable_is_a_normal_crossing() {
        use crate::targets::NormalCrossing;
        let rows = ndarray::array![[0.0], [-0.4], [1.7]];
        for k in 1..4 {
            let (mut a, mut b) = ([0.0; 3], [0.0; 3]);
            Radial::new(1.5, k, 1, 10).loss(rows.view(), &mut a);
            NormalCrossing::new(1.5, &[k], 10).loss(rows.view(), &mut b);
            for (a, b) in a.iter().zip(b) {
                approx::assert_relative_eq!(*a, b, max_relative = 1e-14);
            }
        }
    }
}
