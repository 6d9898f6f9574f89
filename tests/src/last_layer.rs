//! The exact law of a network that is linear in its last layer, by independent draws of the layers below: no Markov chain.
//!
//! `L = (factor/n) Σ |y_i - V φ(x_i; u)|²`, density `exp(-s L - γ/2 (|u - u*|² + |V - V*|²))`. Our derivation: with the residuals
//! `r_c = y_c - φ v*_c` of output c, `P = (2 factor s/n) φ'φ + γI` and `b_c = (2 factor s/n) φ'r_c`, the integral over V at fixed u is
//! `∏_c (γ^q/det P)^(1/2) exp(-s factor |r_c|²/n + b_c'P⁻¹b_c/2)`, the weight of u, and
//!
//! `E[sL | u] = Σ_c [ s factor |r_c|²/n - b_c'P⁻¹b_c/2 - γ/2 |P⁻¹b_c|² + (q - γ tr P⁻¹)/2 ]`.
//!
//! Draws of u from `N(u*, 1/γ)` with these weights average it. The weights are bounded, so that the error of their ratio is that
//! of the first order.

use ndarray::{Array2, ArrayView1, ArrayView2};
use rand::RngExt;
use slt_sampler::stream::{Purpose, rng};
use slt_stats::Estimate;

/// A network with its data, its anchor and its temperature.
#[derive(Debug, Clone, Copy)]
pub struct LastLayer<'a> {
    /// `[n, n_outputs]`.
    pub y: ArrayView2<'a, f64>,
    /// Of the loss.
    pub factor: f64,
    /// `u*`.
    pub lower: &'a [f64],
    /// `V*`, `[n_outputs, q]`.
    pub last: ArrayView2<'a, f64>,
    /// `s = nβ`.
    pub nbeta: f64,
    /// γ.
    pub gamma: f64,
}

impl LastLayer<'_> {
    /// `E[s (L - L(w*))]`, with `features(u, φ)` filling `φ`, `[n, q]`. Its `n` is the effective number of draws.
    ///
    /// # Panics
    /// If a feature is not finite.
    pub fn mean(
        &self,
        mut features: impl FnMut(&[f64], &mut Array2<f64>),
        n_draws: usize,
        seed: u64,
    ) -> Estimate {
        let mut phi = Array2::zeros((self.y.nrows(), self.last.ncols()));
        features(self.lower, &mut phi);
        let scale = self.nbeta * self.factor / self.y.nrows() as f64;
        let initial = scale * (&self.y - &phi.dot(&self.last.t())).mapv(|r| r * r).sum();
        let mut random = rng(seed, Purpose::Data, 0, 0);
        let mut u = self.lower.to_vec();
        let conditional = (0..n_draws).map(|_| {
            for (u, anchor) in u.iter_mut().zip(self.lower) {
                // Box and Muller
                let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
                let normal = radius * (std::f64::consts::TAU * random.random::<f64>()).cos();
                *u = anchor + normal / self.gamma.sqrt();
            }
            features(&u, &mut phi);
            let (log_weight, mean) = self.conditional(&phi, scale);
            ((log_weight + initial).exp(), mean - initial)
        });
        let all: Vec<(f64, f64)> = conditional.collect();
        let sum = |f: &dyn Fn(f64, f64) -> f64| all.iter().map(|&(w, x)| f(w, x)).sum::<f64>();
        let weight = sum(&|w, _| w);
        let mean = sum(&|w, x| w * x) / weight;
        assert!(mean.is_finite(), "features are finite");
        Estimate {
            mean,
            mcse: sum(&|w, x| (w * (x - mean)).powi(2)).sqrt() / weight,
            n: (weight * weight / sum(&|w, _| w * w)) as usize,
        }
    }

    /// Log weight of u, and `E[sL | u]`.
    fn conditional(&self, phi: &Array2<f64>, scale: f64) -> (f64, f64) {
        let q = phi.ncols();
        let mut p = phi.t().dot(phi) * (2.0 * scale);
        p.diag_mut().map_inplace(|x| *x += self.gamma);
        let log_det = invert(&mut p) - q as f64 * self.gamma.ln();
        let gaussian = 0.5 * (q as f64 - self.gamma * p.diag().sum());
        let (mut log_weight, mut mean) = (0.0, 0.0);
        for (y, v) in self.y.columns().into_iter().zip(self.last.rows()) {
            let residuals = &y - &phi.dot(&v);
            let slope = phi.t().dot(&residuals) * (2.0 * scale);
            let shift = p.dot(&slope);
            let square = |x: ArrayView1<f64>| x.dot(&x);
            let least = scale * square(residuals.view()) - 0.5 * slope.dot(&shift);
            log_weight -= 0.5 * log_det + least;
            mean += least - 0.5 * self.gamma * square(shift.view()) + gaussian;
        }
        (log_weight, mean)
    }
}

/// A positive definite matrix becomes its inverse, by Gauss and Jordan; returns the logarithm of its determinant.
fn invert(p: &mut Array2<f64>) -> f64 {
    let q = p.nrows();
    let mut log_det = 0.0;
    for k in 0..q {
        let pivot = std::mem::replace(&mut p[[k, k]], 1.0);
        log_det += pivot.ln();
        for j in 0..q {
            p[[k, j]] /= pivot;
        }
        for i in (0..q).filter(|&i| i != k) {
            let factor = std::mem::replace(&mut p[[i, k]], 0.0);
            for j in 0..q {
                p[[i, j]] -= factor * p[[k, j]];
            }
        }
    }
    log_det
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use slt_theory::{PartiallyLinear, reduced_rank_law};

    fn agrees(estimate: Estimate, exact: f64) {
        let z = (estimate.mean - exact) / estimate.mcse;
        println!("{estimate} against {exact}");
        assert!(estimate.mcse < 2e-3 * exact && z.abs() < 4.4, "{z}");
    }

    /// `|BA|²/2` around zero: these inputs have second moments 1/2.
    #[test]
    fn reduced_rank_regression() {
        let exact = reduced_rank_law(2, 3, 2, 5.0, 1.5).expect("valid").mean();
        let x = array![[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]];
        let (y, last) = (Array2::zeros((4, 3)), Array2::zeros((3, 2)));
        let network = LastLayer {
            y: y.view(),
            factor: 1.0,
            lower: &[0.0; 4],
            last: last.view(),
            nbeta: 5.0,
            gamma: 1.5,
        };
        let features = |u: &[f64], phi: &mut Array2<f64>| {
            let a = ArrayView2::from_shape((2, 2), u).expect("a layer");
            phi.assign(&x.dot(&a.t()));
        };
        agrees(network.mean(features, 400_000, 1), exact);
    }

    /// `v₁ (u₁x)² + v₂ (u₂x)²` around a point that is no minimum, by quadrature over u.
    #[test]
    fn a_quadratic_network() {
        let (x, y) = ([-1.0f64, 0.3, 0.8, 1.7], [0.5, -0.2, 0.9, 1.5]);
        let (lower, last) = ([0.7, -0.4], [0.6, 0.3]);
        let features = |u: &[f64], mut phi: ndarray::ArrayViewMut2<f64>| {
            for (mut phi, x) in phi.rows_mut().into_iter().zip(x) {
                (phi[0], phi[1]) = ((u[0] * x).powi(2), (u[1] * x).powi(2));
            }
        };
        let model = PartiallyLinear::new(&y, lower, &last, 3.0, 2.0).expect("valid");
        let law = model
            .integrate(|u, phi| features(&u, phi))
            .expect("converges");
        let network = LastLayer {
            y: ArrayView2::from_shape((4, 1), &y).expect("a column"),
            factor: 1.0,
            lower: &lower,
            last: ArrayView2::from_shape((1, 2), &last).expect("a row"),
            nbeta: 3.0,
            gamma: 2.0,
        };
        let mean = network.mean(|u, phi| features(u, phi.view_mut()), 400_000, 2);
        agrees(mean, law.mean);
    }

    #[test]
    fn the_inverse_is_one() {
        let matrix = array![[3.0, 1.0, -0.4], [1.0, 2.0, 0.7], [-0.4, 0.7, 1.5]];
        let mut inverse = matrix.clone();
        let log_det = invert(&mut inverse);
        let identity: Array2<f64> = matrix.dot(&inverse) - Array2::<f64>::eye(3);
        assert!(identity.iter().all(|x| x.abs() < 1e-14), "{identity}");
        // 3 (3 - 0.49) - 1 (1.5 + 0.28) - 0.4 (0.7 + 0.8)
        assert!((log_det - (7.53f64 - 1.78 - 0.6).ln()).abs() < 1e-14);
    }
}
