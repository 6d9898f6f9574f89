//! The simplest singular losses: `K(w) = c prod_i w_i^{2 k_i}`.

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::target::{Batch, Target};

/// `K(w) = c prod_i w_i^{2 k_i}`, the mean loss of a model that knows its data only through `w`.
#[derive(Debug, Clone)]
pub struct NormalCrossing {
    factor: f64,
    exponents: Vec<i32>,
    n_samples: usize,
}

impl NormalCrossing {
    /// The loss with this factor `c` and these exponents `k`.
    ///
    /// # Panics
    /// If there is no exponent.
    pub fn new(factor: f64, exponents: &[u32], n_samples: usize) -> Self {
        assert!(!exponents.is_empty(), "a normal crossing has a variable");
        Self {
            factor,
            exponents: exponents.iter().map(|&k| k as i32).collect(),
            n_samples,
        }
    }
}

impl Target for NormalCrossing {
    fn n_params(&self) -> usize {
        self.exponents.len()
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
            "a normal crossing has no samples: full batches only"
        );
        self.loss(rows, loss);
        for (w, mut g) in rows.rows().into_iter().zip(grad.rows_mut()) {
            for i in 0..w.len() {
                // the product of the others times the derivative: exact where a coordinate is zero
                let others = (0..w.len())
                    .filter(|&j| j != i)
                    .map(|j| w[j].powi(2 * self.exponents[j]));
                let k = self.exponents[i];
                let own = if k == 0 {
                    0.0
                } else {
                    f64::from(2 * k) * w[i].powi(2 * k - 1)
                };
                g[i] = self.factor * own * others.product::<f64>();
            }
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        for (w, loss) in rows.rows().into_iter().zip(loss) {
            *loss = self.factor
                * w.iter()
                    .zip(&self.exponents)
                    .map(|(w, &k)| w.powi(2 * k))
                    .product::<f64>();
        }
    }

    fn hessian_vectors(
        &mut self,
        rows: ArrayView2<f64>,
        vectors: ArrayView2<f64>,
        mut out: ArrayViewMut2<f64>,
    ) {
        // the derivative of w^(2k) of the given order
        let derivative = |w: f64, k: i32, order: i32| {
            let falling: i32 = (0..order).map(|i| 2 * k - i).product();
            if falling == 0 {
                0.0
            } else {
                f64::from(falling) * w.powi(2 * k - order)
            }
        };
        for ((w, v), mut out) in rows
            .rows()
            .into_iter()
            .zip(vectors.rows())
            .zip(out.rows_mut())
        {
            let d = w.len();
            for i in 0..d {
                let along = |j: usize| {
                    let order = |l: usize| i32::from(l == i) + i32::from(l == j);
                    let factors = (0..d).map(|l| derivative(w[l], self.exponents[l], order(l)));
                    factors.product::<f64>() * v[j]
                };
                out[i] = self.factor * (0..d).map(along).sum::<f64>();
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
        gradient_check(&mut NormalCrossing::new(0.5, &[1, 1], 1000), &[0.7, -1.3]);
        gradient_check(
            &mut NormalCrossing::new(2.0, &[1, 0, 2], 1000),
            &[0.7, 3.0, -0.8],
        );
    }

    #[test]
    fn hessian_agrees_with_differences() {
        hessian_check(&mut NormalCrossing::new(0.5, &[1, 1], 1000), &[0.7, -1.3]);
        hessian_check(&mut NormalCrossing::new(0.5, &[1, 2], 1000), &[0.0, -1.3]);
        hessian_check(
            &mut NormalCrossing::new(2.0, &[1, 0, 2], 1000),
            &[0.7, 3.0, -0.8],
        );
    }
}
