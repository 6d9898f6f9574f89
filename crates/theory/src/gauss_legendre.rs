//! Gauss-Legendre panels, with the integral from the left end up to each node.

use ndarray::Array2;

/// Nodes of each panel.
pub(crate) const N_NODES: usize = 16;

/// Newton steps for a node; the third already changes nothing.
const N_NEWTON: usize = 5;

/// The rule on `[−1, 1]`.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) nodes: [f64; N_NODES],
    pub(crate) weights: [f64; N_NODES],
    /// Row a: the weights of `∫_{−1}^{x_a}`.
    cumulative: [[f64; N_NODES]; N_NODES],
}

impl Panel {
    /// The rule that is exact for polynomials of degree `2 N_NODES − 1`, and of degree `N_NODES − 1` in its cumulative part.
    ///
    /// A function's Legendre coefficients are `(n + ½) Σ_b w_b P_n(x_b) f(x_b)`, and
    /// `∫_{−1}^x P_n = (P_{n+1}(x) − P_{n−1}(x))/(2n + 1)` with `P_{−1} = −1` for n = 0 (DLMF 18.3.1, 18.9.19).
    pub(crate) fn new() -> Self {
        let nodes = std::array::from_fn(node);
        let values = nodes.map(legendre);
        // At a node `(1 − x²) P_n'(x) = n P_{n−1}(x)`, and the weight is `2/((1 − x²) P_n'(x)²)`.
        let weights: [f64; N_NODES] = std::array::from_fn(|a| {
            let slope = N_NODES as f64 * values[a][N_NODES - 1];
            2.0 * (1.0 - nodes[a] * nodes[a]) / (slope * slope)
        });
        let cumulative = std::array::from_fn(|a| {
            std::array::from_fn(|b| {
                let term = |n: usize| {
                    let before = if n == 0 { -1.0 } else { values[a][n - 1] };
                    0.5 * values[b][n] * (values[a][n + 1] - before)
                };
                weights[b] * (0..N_NODES).map(term).sum::<f64>()
            })
        });
        Self {
            nodes,
            weights,
            cumulative,
        }
    }

    /// The integrals of rows of values at the nodes of adjacent panels of width 2, from the left end up to each node.
    ///
    /// Shapes: `values`: `[p, n_panels · N_NODES]`; returns the same.
    pub(crate) fn integrate(&self, values: &Array2<f64>) -> Array2<f64> {
        let mut integrals = Array2::zeros(values.dim());
        for (row, mut integral) in values.rows().into_iter().zip(integrals.rows_mut()) {
            let mut left = 0.0;
            for first in (0..row.len()).step_by(N_NODES) {
                let up_to = |weights: &[f64; N_NODES]| -> f64 {
                    (0..N_NODES).map(|b| weights[b] * row[first + b]).sum()
                };
                for a in 0..N_NODES {
                    integral[first + a] = left + up_to(&self.cumulative[a]);
                }
                left += up_to(&self.weights);
            }
        }
        integrals
    }
}

/// The root of `P_n`, n = N_NODES, of the given index from the left, by Newton's method.
fn node(index: usize) -> f64 {
    let n = N_NODES as f64;
    let mut x = -(std::f64::consts::PI * (index as f64 + 0.75) / (n + 0.5)).cos();
    for _ in 0..N_NEWTON {
        let p = legendre(x);
        x -= p[N_NODES] * (1.0 - x * x) / (n * (p[N_NODES - 1] - x * p[N_NODES]));
    }
    x
}

/// `P_0(x), …, P_{N_NODES}(x)` by `(n + 1) P_{n+1} = (2n + 1) x P_n − n P_{n−1}`.
fn legendre(x: f64) -> [f64; N_NODES + 1] {
    let mut p = [1.0; N_NODES + 1];
    p[1] = x;
    for n in 1..N_NODES {
        let k = n as f64;
        p[n + 1] = ((2.0 * k + 1.0) * x * p[n] - k * p[n - 1]) / (k + 1.0);
    }
    p
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn exact_for_polynomials() {
        let panel = Panel::new();
        for degree in 0..2 * N_NODES as i32 {
            let integral: f64 = (0..N_NODES)
                .map(|b| panel.weights[b] * (panel.nodes[b] + 1.0).powi(degree))
                .sum();
            let expected = 2f64.powi(degree + 1) / f64::from(degree + 1);
            assert_relative_eq!(integral, expected, max_relative = 1e-13);
        }
        for degree in 0..N_NODES as i32 {
            for a in 0..N_NODES {
                let integral: f64 = (0..N_NODES)
                    .map(|b| panel.cumulative[a][b] * (panel.nodes[b] + 1.0).powi(degree))
                    .sum();
                let expected = (panel.nodes[a] + 1.0).powi(degree + 1) / f64::from(degree + 1);
                let scale = 2f64.powi(degree);
                assert!((integral - expected).abs() < 1e-14 * scale, "{degree} {a}");
            }
        }
        assert!(panel.nodes.is_sorted());
    }
}
