//! The exact law of the LLC estimator on reduced-rank regression with zero truth.
//!
//! `K = ½ |BA|²` (Frobenius), `A: [H, M]`, `B: [N, H]`, target `exp(−sK − γ/2 (|A|² + |B|²))`, `s = nβ`: the regression
//! `y = BAx` at unit noise, with inputs of unit covariance. Derived here: at fixed A the rows of B are Gaussian, and with the
//! eigenvalues `x_i` of `γ AA'` (or `γ A'A`; the p = min(H, M) that need not vanish) and `τ = s/γ²`
//! ```text
//! Z = E ∏_i (1 + τx_i)^(−N/2),   E[sK | A] = N/2 Σ q_i,   Var[sK | A] = N/2 Σ q_i²,   q_i = τx_i/(1 + τx_i).
//! ```
//! The `x_i` are those of a Wishart matrix: their density is proportional to `∏ x_i^((|H−M|−1)/2) e^(−x_i/2) ∏_{i<j} |x_i − x_j|`
//! (James 1964, *Distributions of matrix variates and latent roots*, eq. 58). With `v(x)` the product of all factors of
//! one x, the integral of `∏ v(x_i) |Δ(x)|` is p! times a Pfaffian (de Bruijn 1955, *On some multiple integrals involving
//! determinants*, section 4): for polynomials `φ_j` of degree j with leading coefficient 1
//! ```text
//! a_jk = ∫∫_{x<y} [φ_j(x) φ_k(y) − φ_k(x) φ_j(y)] v(x) v(y) dx dy,   j, k < p,
//! ```
//! bordered by `a_jp = ∫ φ_j v` when p is odd. With `'` the derivative by τ under the integral,
//! `τv' = −(N/2) q v`, `τ²v'' = (N/2)(N/2 + 1) q² v`, and `(log Pf a)' = ½ tr(a⁻¹a')`,
//! ```text
//! E[sK] = −½ τ tr(a⁻¹a'),   Var[sK] = τ² (log Z)'' = ½ τ² [tr(a⁻¹a'') − tr(a⁻¹a'a⁻¹a')].
//! ```
//! The polynomials are the monomials, scaled. Every `a_jk` is then an integral of a positive function and keeps its digits
//! however far the scales `1/τ` and 1 lie apart, which orthogonal polynomials do not; the price is a condition that grows
//! with p. All integrals are over `log x`, by Gauss-Legendre panels. K is symmetric in A and B', so that either can be
//! integrated out: the code takes the smaller p, the tests compare both.

use ndarray::{Array1, Array2, s};
use ndarray_linalg::{Determinant, Inverse};

use crate::gauss_legendre::{N_NODES, Panel};
use crate::log_gamma::log_gamma;
use crate::{FiniteLaw, FiniteLawError, ReducedRank};

/// The largest width.
const MOST: u32 = 30;
/// The largest least width: the size of the Pfaffian.
const MOST_RANK: u32 = 5;
/// The largest `|log(nβ/γ²)|`: beyond, Pfaffians of a large width lose all digits.
const MOST_LOG_SCALE: f64 = 200.0;
/// Weights below `e^(−NEGLECTED)` times the largest are left out.
const NEGLECTED: f64 = 45.0;
/// Width of a panel in `log x`.
const PANEL_WIDTH: f64 = 0.5;

/// The law of `K = ½ |BA|²`, `A: [n_hidden, n_inputs]`, `B: [n_outputs, n_hidden]`, at nβ, with localisation γ at the origin.
///
/// A loss `c |BA|²` is this one at `2c·nβ`.
/// Domain: widths from 1 to 30, the least of them at most 5; `|log(nβ/γ²)| <= 200`.   Derived here; see the module.
/// Accuracy: relative 1e-11, at least width 5 mean 1e-10 and variance 1e-9.
///
/// ```
/// // 2 inputs, 2 outputs, 2 hidden units at n = 1000, nβ = n/ln n, γ = 1: 1.3756, where λ = 3/2.
/// let n = 1000.0_f64;
/// let law = slt_theory::reduced_rank_law(2, 2, 2, n / n.ln(), 1.0)?;
/// assert!((law.mean() - 1.3756).abs() < 5e-5);
/// # Ok::<(), slt_theory::FiniteLawError>(())
/// ```
///
/// # Errors
/// [`FiniteLawError::NotPositive`] unless nβ and γ are positive and finite; [`FiniteLawError::Range`] for widths and
/// [`FiniteLawError::Scale`] for an `nβ/γ²` outside the domain.
pub fn reduced_rank_law(
    n_inputs: u32,
    n_outputs: u32,
    n_hidden: u32,
    nbeta: f64,
    gamma: f64,
) -> Result<FiniteLaw, FiniteLawError> {
    let nbeta = FiniteLawError::positive("nbeta", nbeta)?;
    let gamma = FiniteLawError::positive("gamma", gamma)?;
    FiniteLawError::range("inputs", n_inputs, 1, MOST)?;
    FiniteLawError::range("outputs", n_outputs, 1, MOST)?;
    FiniteLawError::range("hidden", n_hidden, 1, MOST)?;
    let log_tau = nbeta.ln() - 2.0 * gamma.ln();
    let log_tau = FiniteLawError::scale("nbeta/gamma^2", log_tau, MOST_LOG_SCALE)?;
    let least_width = n_inputs.min(n_outputs).min(n_hidden);
    FiniteLawError::range("least width", least_width, 1, MOST_RANK)?;
    let learning_coefficient = ReducedRank::new(n_inputs, n_outputs, n_hidden, 0)
        .expect("widths from 1 to 30 and rank 0")
        .learning_coefficient();
    let wishart = Wishart {
        n_remaining: n_inputs.min(n_outputs),
        n_integrated: n_inputs.max(n_outputs),
        n_hidden,
    };
    let [log_evidence, mean, variance] = wishart.law(log_tau);
    Ok(FiniteLaw {
        mean,
        variance,
        log_evidence,
        learning_coefficient,
    })
}

/// The average over one factor of shape `[n_hidden, n_remaining]`; the other has `n_integrated` rows.
#[derive(Clone, Copy, Debug)]
struct Wishart {
    n_remaining: u32,
    n_integrated: u32,
    n_hidden: u32,
}

/// `τ^r` times the derivative of order r = 0, 1, 2 by τ of the monomials times v.
struct Basis {
    /// At the nodes, times half the width of a panel. Shapes: `[p, n]`.
    values: [Array2<f64>; 3],
    /// Integrated from the left up to the nodes. Shapes: `[p, n]`.
    integrals: [Array2<f64>; 3],
    /// The weights of the nodes in a panel of width 2. Shapes: `[n]`.
    weights: Array1<f64>,
    /// Log of what the Pfaffian is to be multiplied by for leading coefficients 1 and v itself.
    log_scale: f64,
}

impl Wishart {
    /// `log Z`, `E[sK]`, `Var[sK]` at `log τ`.
    fn law(self, log_tau: f64) -> [f64; 3] {
        let basis = self.basis(log_tau);
        let [a, first, second] = [0, 1, 2].map(|order| basis.skew_matrix(order));
        let log_pfaffian = 0.5 * a.sln_det().expect("a square matrix").1;
        let inverse = a
            .inv()
            .expect("the Pfaffian is an integral of a positive function");
        let first = inverse.dot(&first);
        let second = inverse.dot(&second);
        let mean = -0.5 * first.diag().sum();
        let variance = 0.5 * (second.diag().sum() - first.dot(&first).diag().sum());
        let log_evidence = log_pfaffian + basis.log_scale + self.log_norm();
        [log_evidence, mean, variance]
    }

    /// `p = min` and `max` of the two dimensions of the remaining factor.
    fn dimensions(self) -> (u32, u32) {
        let (a, b) = (self.n_remaining, self.n_hidden);
        (a.min(b), a.max(b))
    }

    /// Log of the constant of the joint density of the ordered eigenvalues,
    /// `π^(p²/2) / (2^(pq/2) Γ_p(q/2) Γ_p(p/2))` (Muirhead 1982, theorem 3.2.18).
    fn log_norm(self) -> f64 {
        let (p, q) = self.dimensions();
        let (p_f, q_f) = (f64::from(p), f64::from(q));
        let log_pi = std::f64::consts::PI.ln();
        let multivariate = |a: f64| -> f64 {
            let log_gammas = (0..p).map(|i| log_gamma((a - 0.5 * f64::from(i)).into()).re);
            0.25 * p_f * (p_f - 1.0) * log_pi + log_gammas.sum::<f64>()
        };
        0.5 * p_f * p_f * log_pi
            - 0.5 * p_f * q_f * 2f64.ln()
            - multivariate(0.5 * q_f)
            - multivariate(0.5 * p_f)
    }

    fn basis(self, log_tau: f64) -> Basis {
        let (p, q) = self.dimensions();
        let half_n = 0.5 * f64::from(self.n_integrated);
        // x^power dx/x, and at most x^((p + q)/2) with a monomial.
        let power = 0.5 * f64::from(q - p + 1);
        let left = (-log_tau).min(0.0) - NEGLECTED / power;
        let right = (2.0 * NEGLECTED + 4.0 * f64::from(p + q)).ln();
        let n_panels = ((right - left) / PANEL_WIDTH).ceil() as usize;
        let width = (right - left) / n_panels as f64;
        let panel = Panel::new();
        let log_x: Vec<f64> = (0..n_panels * N_NODES)
            .map(|i| {
                let node = panel.nodes[i % N_NODES];
                left + width * ((i / N_NODES) as f64 + 0.5 * (1.0 + node))
            })
            .collect();
        let x: Vec<f64> = log_x.iter().map(|u| u.exp()).collect();
        let log_v: Vec<f64> = log_x
            .iter()
            .map(|&u| power * u - 0.5 * u.exp() - half_n * softplus(u + log_tau))
            .collect();
        let peak = log_v.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let v: Vec<f64> = log_v
            .iter()
            .map(|l| 0.5 * width * (l - peak).exp())
            .collect();
        let n = v.len();
        let weights = Array1::from_shape_fn(n, |i| panel.weights[i % N_NODES]);
        let mut values = [0, 1, 2].map(|_| Array2::zeros((p as usize, n)));
        let mut log_scale = f64::from(p) * peak;
        for j in 0..p as usize {
            let monomial = |i: usize| v[i] * x[i].powi(j as i32);
            let norm: f64 = (0..n).map(|i| weights[i] * monomial(i)).sum();
            log_scale += norm.ln();
            for i in 0..n {
                let value = monomial(i) / norm;
                let q = 1.0 / (1.0 + (-log_x[i] - log_tau).exp());
                values[0][[j, i]] = value;
                values[1][[j, i]] = -half_n * q * value;
                values[2][[j, i]] = half_n * (half_n + 1.0) * q * q * value;
            }
        }
        let integrals = [0, 1, 2].map(|order| panel.integrate(&values[order]));
        Basis {
            values,
            integrals,
            weights,
            log_scale,
        }
    }
}

impl Basis {
    /// `τ^order` times the derivative of that order by τ of the matrix `a`, by Leibniz' rule.
    fn skew_matrix(&self, order: usize) -> Array2<f64> {
        let p = self.values[0].nrows();
        let even = p + p % 2;
        let mut a = Array2::zeros((even, even));
        let binomial = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 2.0, 1.0]][order];
        for i in 0..=order {
            let weighted = &self.values[order - i] * &self.weights;
            let product = self.integrals[i].dot(&weighted.t());
            a.slice_mut(s![..p, ..p])
                .scaled_add(binomial[i], &(&product - &product.t()));
        }
        if p < even {
            let border = self.values[order].dot(&self.weights);
            a.slice_mut(s![..p, p]).assign(&border);
            a.slice_mut(s![p, ..p]).assign(&-border);
        }
        a
    }
}

/// `log(1 + e^t)`.
fn softplus(t: f64) -> f64 {
    t.max(0.0) + (-t.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture_moments::MixtureMoments;
    use crate::radial_product_law;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    #[test]
    fn worked_values() {
        let n = 1e3_f64;
        for (inputs, outputs, hidden, expected) in [(2, 2, 2, 1.3756), (3, 2, 2, 1.7455)] {
            let law = reduced_rank_law(inputs, outputs, hidden, n / n.ln(), 1.0).unwrap();
            assert!((law.mean() - expected).abs() < 5e-5, "{}", law.mean());
        }
        let limit = reduced_rank_law(3, 2, 2, 1.0, 1.0)
            .unwrap()
            .learning_coefficient();
        assert_eq!(limit.to_string(), "λ = 2, m = 2");
    }

    /// Rank one: products of two radii.
    #[test]
    fn rank_one_is_a_radial_product() {
        for (inputs, outputs, hidden, blocks) in [
            (3, 2, 1, [(3, 1), (2, 1)]),
            (1, 1, 1, [(1, 1), (1, 1)]),
            (1, 4, 3, [(3, 1), (4, 1)]),
            (5, 1, 2, [(2, 1), (5, 1)]),
        ] {
            for (nbeta, gamma) in [(1e-3, 3.0), (100.0, 0.5), (1e12, 1.0)] {
                let law = reduced_rank_law(inputs, outputs, hidden, nbeta, gamma).unwrap();
                let product = radial_product_law(0.5, &blocks, nbeta, gamma).unwrap();
                assert_relative_eq!(law.mean(), product.mean(), max_relative = 1e-11);
                assert_relative_eq!(law.variance(), product.variance(), max_relative = 1e-11);
                assert_relative_eq!(law.log_evidence(), product.log_evidence(), epsilon = 1e-11);
                assert_eq!(law.learning_coefficient(), product.learning_coefficient());
            }
        }
    }

    /// p = 2 without eigenvalues: Bartlett's `AA' = LL'` with independent `L_11 ~ χ_q`, `L_22 ~ χ_{q−1}`, `L_21 ~ N(0, 1)`,
    /// in a three-dimensional trapezoidal rule.
    #[test]
    fn rank_two_by_bartlett() {
        for (inputs, outputs, hidden, tau) in [(2, 2, 2, 0.3), (3, 4, 2, 3.0), (2, 5, 3, 2.0)] {
            let half_n = 0.5 * f64::from(outputs);
            let q = f64::from(inputs.max(hidden));
            let mut moments = MixtureMoments::default();
            let log_chi = |k: f64| {
                let norm = (1.0 - 0.5 * k) * 2f64.ln() - log_gamma((0.5 * k).into()).re;
                move |log_r: f64| norm + k * log_r - 0.5 * (2.0 * log_r).exp()
            };
            let (log_chi_1, log_chi_2) = (log_chi(q), log_chi(q - 1.0));
            let (step, step_b) = (0.13, 0.1);
            let log_volume = f64::ln(step * step * step_b) - 0.5 * std::f64::consts::TAU.ln();
            for i in 0..(28.0 / q / step) as i32 + 17 {
                for j in 0..(28.0 / (q - 1.0) / step) as i32 + 17 {
                    let log_1 = 2.2 - step * f64::from(i);
                    let log_2 = 2.2 - step * f64::from(j);
                    let (a, c) = (tau * (2.0 * log_1).exp(), tau * (2.0 * log_2).exp());
                    for k in -75..=75 {
                        let l = step_b * f64::from(k);
                        let b = tau * l * l;
                        let determinant = (1.0 + a) * (1.0 + c) + b;
                        // Σ q = 2 − tr (I + τLL')⁻¹ and Σ q² from the trace of its square.
                        let trace = (2.0 + a + b + c) / determinant;
                        let trace_of_square = trace * trace - 2.0 / determinant;
                        let log_weight = log_chi_1(log_1) + log_chi_2(log_2) - 0.5 * l * l;
                        moments.add(
                            log_volume + log_weight - half_n * determinant.ln(),
                            half_n * (2.0 - trace),
                            half_n * (2.0 - 2.0 * trace + trace_of_square),
                        );
                    }
                }
            }
            let law = reduced_rank_law(inputs, outputs, hidden, tau, 1.0).unwrap();
            assert_relative_eq!(law.mean(), moments.mean(), max_relative = 1e-9);
            assert_relative_eq!(law.variance(), moments.variance(), max_relative = 1e-9);
            assert_relative_eq!(
                law.log_evidence(),
                moments.log_weight(),
                max_relative = 1e-9
            );
        }
    }

    /// γ → ∞: `E[sK] → s E[K] = ½ s N M H/γ²`, and `Var[K]` from: given A,
    /// `|BA|²` has mean `N tr W` and variance `2N tr W²`, with `W = AA'`, `E tr W² = M H (M + H + 1)`,
    /// `Var tr W = 2 M H`.
    #[test]
    fn strong_localisation() {
        for (m, n, h) in [(2, 3, 2), (4, 6, 3), (5, 5, 4), (7, 8, 5)] {
            let law = reduced_rank_law(m, n, h, 1.0, 1e6).unwrap();
            let [m, n, h] = [m, n, h].map(f64::from);
            let (s, mean) = (0.5e-12, n * m * h);
            let variance = 2.0 * n * m * h * (m + h + 1.0) + n * n * 2.0 * m * h;
            assert_relative_eq!(law.mean(), s * mean, max_relative = 1e-8);
            assert_relative_eq!(law.variance(), s * s * variance, max_relative = 1e-8);
            assert_relative_eq!(law.log_evidence(), -s * mean, epsilon = 1e-11);
        }
    }

    /// m = 1: mean and variance tend to λ like a power; m = 2: like `1/log s`.
    #[test]
    fn large_s() {
        let law = reduced_rank_law(2, 2, 2, 1e30, 1.0).unwrap();
        assert_relative_eq!(law.mean(), 1.5, max_relative = 1e-11);
        assert_relative_eq!(law.variance(), 1.5, max_relative = 1e-11);
        let gap = |log_s: f64| 2.0 - reduced_rank_law(3, 2, 2, log_s.exp(), 1.0).unwrap().mean();
        assert_relative_eq!(1.0 / gap(90.0) - 1.0 / gap(60.0), 30.0, max_relative = 1e-6);
    }

    #[test]
    fn impossible_input_is_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for result in [
                reduced_rank_law(1, 1, 1, bad, 1.0),
                reduced_rank_law(1, 1, 1, 1.0, bad),
            ] {
                assert!(matches!(result, Err(FiniteLawError::NotPositive { .. })));
            }
        }
        for (m, n, h, name) in [
            (0, 1, 1, "inputs"),
            (1, 31, 1, "outputs"),
            (1, 1, 0, "hidden"),
            (6, 7, 6, "least width"),
        ] {
            let error = reduced_rank_law(m, n, h, 1.0, 1.0).unwrap_err();
            assert!(
                matches!(error, FiniteLawError::Range { name: named, .. } if named == name),
                "{error}"
            );
        }
        for (nbeta, gamma) in [(1e300, 1.0), (1.0, 1e-44), (f64::MIN_POSITIVE, f64::MAX)] {
            let error = reduced_rank_law(2, 2, 2, nbeta, gamma).unwrap_err();
            assert!(matches!(error, FiniteLawError::Scale { .. }), "{error}");
        }
    }

    fn assert_agrees(one: [f64; 3], other: [f64; 3], tolerance: f64) {
        let [(z, z_other), (mean, mean_other), (variance, variance_other)] =
            [0, 1, 2].map(|i| (one[i], other[i]));
        assert_relative_eq!(z, z_other, max_relative = tolerance, epsilon = tolerance);
        assert_relative_eq!(mean, mean_other, max_relative = tolerance);
        assert_relative_eq!(variance, variance_other, max_relative = 10.0 * tolerance);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Either factor can be integrated out: two different Pfaffians.
        #[test]
        fn either_factor_can_go(m in 1u32..9, n in 1u32..9, hidden in 1u32..6, log_tau in -200.0..200.0f64) {
            let one = Wishart { n_remaining: m, n_integrated: n, n_hidden: hidden }.law(log_tau);
            let other = Wishart { n_remaining: n, n_integrated: m, n_hidden: hidden }.law(log_tau);
            assert_agrees(one, other, if hidden < 5 { 1e-11 } else { 1e-10 });
        }

        /// K is symmetric in its two factors, and γ enters as `nβ/γ²`.
        #[test]
        fn symmetries(m in 1u32..9, n in 1u32..9, hidden in 1u32..5, log_s in -10.0..30.0f64, gamma in 0.1..10.0) {
            let one = reduced_rank_law(m, n, hidden, log_s.exp(), 1.0).unwrap();
            let other = reduced_rank_law(n, m, hidden, log_s.exp() * gamma * gamma, gamma).unwrap();
            prop_assert!((one.mean() / other.mean() - 1.0).abs() < 1e-12);
            prop_assert!((one.variance() / other.variance() - 1.0).abs() < 1e-11);
        }

        /// `E = −∂ log Z/∂ log s` and `Var = E − ∂E/∂ log s`, by differences of sixth order.
        #[test]
        fn derivatives_of_the_evidence(m in 1u32..12, n in 1u32..12, hidden in 1u32..6, log_s in -5.0..30.0f64) {
            let at = |shift: f64| reduced_rank_law(m, n, hidden, (log_s + shift).exp(), 1.0).unwrap();
            let h = 0.05;
            let slope = |value: &dyn Fn(&FiniteLaw) -> f64| {
                let difference = |i: f64| value(&at(i * h)) - value(&at(-i * h));
                (45.0 * difference(1.0) - 9.0 * difference(2.0) + difference(3.0)) / (60.0 * h)
            };
            let law = at(0.0);
            let scale = law.learning_coefficient().lambda_f64();
            prop_assert!((law.mean() + slope(&|law| law.log_evidence())).abs() < 1e-7 * scale);
            prop_assert!((law.variance() - law.mean() + slope(&|law| law.mean())).abs() < 1e-7 * scale);
        }
    }
}
