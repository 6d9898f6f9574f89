//! The exact law of the LLC estimator on a model that is linear in all but two parameters.
//!
//! `f(x; u, v) = Σ_j v_j φ_j(x; u)` with `u ∈ R²`, `v ∈ R^q`, loss `L(w) = (1/n) Σ_i (y_i − f(x_i))²`,
//! target `exp(−s L(w) − γ/2 |w − w*|²)`, `s = nβ`, `w = (u, v)`. An example is the network of one hidden
//! unit `w₂ tanh(w₁x + b₁) + b₂`, with `u = (w₁, b₁)`, `φ = (tanh(w₁x + b₁), 1)`, `v = (w₂, b₂)`.
//!
//! Derived here: at fixed u the target is Gaussian in `v' = v − v*`. With the residual `r = y − φv*`,
//! `P = (2s/n) φ'φ + γI` and `v̂ = P⁻¹ (2s/n) φ'r`,
//! ```text
//! ∫ exp(−sL − γ/2 |v'|²) dv = (2π)^(q/2) det(P)^(−1/2) exp(−s L̂ − γ/2 |v̂|²),   L̂ = |r − φv̂|²/n,
//! E[sL | u]   = s L̂ + ½ (q − γ tr P⁻¹),
//! Var[sL | u] = γ² v̂'P⁻¹v̂ + ½ (q − 2γ tr P⁻¹ + γ² tr P⁻²),
//! ```
//! since `v̂` makes `sL + γ/2 |v'|²` stationary, so that the slope of `sL` there is `−γv̂`. The two
//! dimensions of u are left to the trapezoidal rule, which converges exponentially for a smooth
//! integrand with Gaussian tails (Trefethen & Weideman 2014), on the square of ±8/√γ about u*. The step
//! is halved until the error estimate is below the tolerance; each halving reuses all nodes.
//!
//! The estimate: successive changes `c₁ > 2c₂` with ratio `ρ = c₂/c₁` leave `c₂ρ/(1 − ρ)` if the ratio
//! persists (algebraic convergence), and less if it falls (exponential convergence).

use ndarray::{Array2, ArrayViewMut2};

use crate::mixture_moments::MixtureMoments;

/// Half the side of the square of integration, in units of `1/√γ`.
const HALF_WIDTH: f64 = 8.0;
/// Intervals per side of the first rule: a step of `1/(4√γ)`.
const FIRST_INTERVALS: usize = 64;
/// Intervals per side of the last rule: a step of `1/(128√γ)`.
const LAST_INTERVALS: usize = 2048;
/// The error estimate that is asked of the result.
const TOLERANCE: f64 = 1e-8;

/// The data, anchor and temperature of a partially linear model.
#[derive(Clone, Debug, PartialEq)]
pub struct PartiallyLinear {
    targets: Vec<f64>,
    anchor_nonlinear: [f64; 2],
    anchor_linear: Vec<f64>,
    nbeta: f64,
    gamma: f64,
}

/// The law of `nβ(L − L(w*))` under the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartiallyLinearLaw {
    /// `E[nβ(L − L(w*))]`: the LLC that an exact sampler estimates.
    pub mean: f64,
    /// `Var[nβ(L − L(w*))]` of one draw.
    pub variance: f64,
    /// `log ∫ exp(−nβ(L − L(w*))) N(w; w*, 1/γ) dw`: log Z under the normalised localisation.
    pub log_evidence: f64,
    /// An estimate of the absolute error of all three: the extrapolated change under further halving
    /// of the step, plus the part outside the square.
    pub error: f64,
    /// Nodes of the finest rule.
    pub n_nodes: usize,
}

/// Why a model was refused or an integral failed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PartiallyLinearError {
    /// nβ or γ is not positive and finite.
    #[error("nbeta and gamma are positive and finite, got {nbeta} and {gamma}")]
    NotPositive {
        /// nβ.
        nbeta: f64,
        /// γ.
        gamma: f64,
    },
    /// There are no samples or no linear parameters.
    #[error("a model needs samples and linear parameters, got {n_samples} and {n_features}")]
    Empty {
        /// n.
        n_samples: usize,
        /// q.
        n_features: usize,
    },
    /// A target or anchor coordinate is not finite.
    #[error("a target or a coordinate of the anchor is not finite")]
    InputNotFinite,
    /// The features at a node are not finite, or overflow in the normal equations.
    #[error("the features or their likelihood are not finite at u = {u:?}")]
    FeaturesNotFinite {
        /// The node.
        u: [f64; 2],
    },
    /// Doubling the rule did not bring the error below the tolerance.
    #[error("the integral over u has error {error} after {n_nodes} nodes, at estimate {mean}")]
    NotConverged {
        /// The estimate of the mean.
        mean: f64,
        /// Its error estimate.
        error: f64,
        /// Nodes used.
        n_nodes: usize,
    },
}

impl PartiallyLinear {
    /// The model with data y, anchor `w* = (anchor_nonlinear, anchor_linear)`, nβ and γ.
    ///
    /// Shapes: `targets`: `[n]`; `anchor_nonlinear`: u*; `anchor_linear`: v*, `[q]`.
    ///
    /// # Errors
    /// [`PartiallyLinearError::NotPositive`] unless `0 < nbeta < ∞` and `0 < gamma < ∞`;
    /// [`PartiallyLinearError::Empty`] when n or q is 0; [`PartiallyLinearError::InputNotFinite`] when
    /// a target or the anchor is not finite.
    pub fn new(
        targets: &[f64],
        anchor_nonlinear: [f64; 2],
        anchor_linear: &[f64],
        nbeta: f64,
        gamma: f64,
    ) -> Result<Self, PartiallyLinearError> {
        let positive = |x: f64| 0.0 < x && x.is_finite();
        if !(positive(nbeta) && positive(gamma)) {
            return Err(PartiallyLinearError::NotPositive { nbeta, gamma });
        }
        if targets.is_empty() || anchor_linear.is_empty() {
            return Err(PartiallyLinearError::Empty {
                n_samples: targets.len(),
                n_features: anchor_linear.len(),
            });
        }
        let mut inputs = targets.iter().chain(&anchor_nonlinear).chain(anchor_linear);
        if !inputs.all(|x| x.is_finite()) {
            return Err(PartiallyLinearError::InputNotFinite);
        }
        Ok(Self {
            targets: targets.to_vec(),
            anchor_nonlinear,
            anchor_linear: anchor_linear.to_vec(),
            nbeta,
            gamma,
        })
    }

    /// The law of `nβ(L − L(w*))`, with `features(u, φ)` filling `φ_ij = φ_j(x_i; u)`.
    ///
    /// A peak of the likelihood narrower than the first step, `1/(4√γ)`, can in principle be missed
    /// by both of the first two rules; raise γ or check with a shifted anchor where
    /// `nβ × (curvature in u)` is above `100 γ`.
    ///
    /// Shapes: `φ`: `[n, q]`, zero on the first call and later as the last call left it.
    /// Accuracy: [`PartiallyLinearLaw::error`], below `1e-8 · max(1, |mean|, variance)`.
    /// Derived here; see the module.
    ///
    /// # Errors
    /// [`PartiallyLinearError::FeaturesNotFinite`] when φ gives no finite likelihood at a node within
    /// `8/√γ` of u*; [`PartiallyLinearError::NotConverged`] when the finest rule, of step
    /// `1/(128√γ)`, has an error estimate above the tolerance.
    pub fn integrate(
        &self,
        features: impl FnMut([f64; 2], ArrayViewMut2<'_, f64>),
    ) -> Result<PartiallyLinearLaw, PartiallyLinearError> {
        let mut slice = Slice::new(self, features)?;
        let mut inside = MixtureMoments::default();
        let mut intervals = FIRST_INTERVALS;
        let mut coarser: Option<PartiallyLinearLaw> = None;
        let mut last_change = 0.0;
        loop {
            let half = HALF_WIDTH / self.gamma.sqrt();
            let step = 2.0 * half / intervals as f64;
            let node = |i: usize| half * (2.0 * i as f64 / intervals as f64 - 1.0);
            let mut edge = MixtureMoments::default();
            for i in 0..=intervals {
                for j in 0..=intervals {
                    let on_edge = i % intervals == 0 || j % intervals == 0;
                    let is_old = coarser.is_some() && i % 2 == 0 && j % 2 == 0;
                    if is_old && !on_edge {
                        continue;
                    }
                    let conditional = slice.at([node(i), node(j)])?;
                    if on_edge {
                        edge.add(
                            conditional.log_weight,
                            conditional.mean,
                            conditional.variance,
                        );
                    }
                    if !is_old {
                        inside.add(
                            conditional.log_weight,
                            conditional.mean,
                            conditional.variance,
                        );
                    }
                }
            }
            let mut law = PartiallyLinearLaw {
                mean: inside.mean(),
                variance: inside.variance(),
                log_evidence: inside.log_weight()
                    + (step * step * self.gamma / std::f64::consts::TAU).ln(),
                error: f64::INFINITY,
                n_nodes: (intervals + 1) * (intervals + 1),
            };
            // From one ring of nodes to the next outside the square, the localisation alone divides
            // the weight by exp(γ · half · step).
            let share = (edge.log_weight() - inside.log_weight()).exp();
            let outside = share / -(-self.gamma * half * step).exp_m1();
            let scale = 1.0_f64.max(law.mean.abs()).max(law.variance);
            let truncation = outside * (scale + edge.mean().powi(2));
            if let Some(coarser) = coarser {
                let change = (law.mean - coarser.mean)
                    .abs()
                    .max((law.variance - coarser.variance).abs())
                    .max((law.log_evidence - coarser.log_evidence).abs());
                let remaining = if change < 0.5 * last_change {
                    change * change / (last_change - change)
                } else {
                    change
                };
                law.error = remaining + truncation;
                last_change = change;
                if law.error <= TOLERANCE * scale {
                    return Ok(law);
                }
            }
            if intervals >= LAST_INTERVALS {
                return Err(PartiallyLinearError::NotConverged {
                    mean: law.mean,
                    error: law.error,
                    n_nodes: law.n_nodes,
                });
            }
            coarser = Some(law);
            intervals *= 2;
        }
    }
}

/// The law of `nβ(L − L(w*))` at fixed u, and the log weight of that u.
#[derive(Clone, Copy)]
struct Conditional {
    log_weight: f64,
    mean: f64,
    variance: f64,
}

/// The Gaussian integral over v, with its workspace.
struct Slice<'a, F> {
    model: &'a PartiallyLinear,
    features: F,
    phi: Array2<f64>,
    anchor_loss: f64,
    residual: Vec<f64>,
    cholesky: Array2<f64>,
    solution: Vec<f64>,
    column: Vec<f64>,
}

impl<'a, F: FnMut([f64; 2], ArrayViewMut2<'_, f64>)> Slice<'a, F> {
    fn new(model: &'a PartiallyLinear, features: F) -> Result<Self, PartiallyLinearError> {
        let (n, q) = (model.targets.len(), model.anchor_linear.len());
        let mut slice = Self {
            model,
            features,
            phi: Array2::zeros((n, q)),
            anchor_loss: 0.0,
            residual: vec![0.0; n],
            cholesky: Array2::zeros((q, q)),
            solution: vec![0.0; q],
            column: vec![0.0; q],
        };
        slice.fill([0.0, 0.0]);
        let squares: f64 = slice.residual.iter().map(|r| r * r).sum();
        slice.anchor_loss = model.nbeta * squares / n as f64;
        if !slice.anchor_loss.is_finite() {
            return Err(PartiallyLinearError::FeaturesNotFinite {
                u: model.anchor_nonlinear,
            });
        }
        Ok(slice)
    }

    /// φ and `r = y − φv*` at `u* + offset`; returns u.
    fn fill(&mut self, offset: [f64; 2]) -> [f64; 2] {
        let [u0, u1] = self.model.anchor_nonlinear;
        let u = [u0 + offset[0], u1 + offset[1]];
        (self.features)(u, self.phi.view_mut());
        let rows = rows(&self.phi);
        for ((r, row), y) in self.residual.iter_mut().zip(rows).zip(&self.model.targets) {
            *r = y - dot(row, &self.model.anchor_linear);
        }
        u
    }

    fn at(&mut self, offset: [f64; 2]) -> Result<Conditional, PartiallyLinearError> {
        let u = self.fill(offset);
        let gamma = self.model.gamma;
        let q = self.solution.len();
        let per_sample = self.model.nbeta / self.residual.len() as f64;

        // The normal equations P v̂ = (2s/n) φ'r.
        self.cholesky.fill(0.0);
        self.solution.fill(0.0);
        for (row, r) in rows(&self.phi).zip(&self.residual) {
            for i in 0..q {
                self.solution[i] += 2.0 * per_sample * row[i] * r;
                for j in 0..=i {
                    self.cholesky[[i, j]] += 2.0 * per_sample * row[i] * row[j];
                }
            }
        }
        for i in 0..q {
            self.cholesky[[i, i]] += gamma;
        }
        let log_det = factorise(&mut self.cholesky) - q as f64 * gamma.ln();
        solve(&self.cholesky, &mut self.solution);

        // s L̂, and the moments of the quadratic form about v̂.
        let mut squares = 0.0;
        for (row, r) in rows(&self.phi).zip(&self.residual) {
            squares += (r - dot(row, &self.solution)).powi(2);
        }
        let loss = per_sample * squares - self.anchor_loss;
        let (mut trace, mut trace_of_square) = (0.0, 0.0);
        for j in 0..q {
            self.column.fill(0.0);
            self.column[j] = 1.0;
            solve(&self.cholesky, &mut self.column);
            trace += self.column[j];
            trace_of_square += self.column.iter().map(|x| x * x).sum::<f64>();
        }
        self.column.copy_from_slice(&self.solution);
        solve(&self.cholesky, &mut self.column);
        let slope_term = dot(&self.column, &self.solution);
        let norm = dot(&self.solution, &self.solution);

        let q = q as f64;
        let mean = loss + 0.5 * (q - gamma * trace);
        let variance = gamma * gamma * slope_term
            + 0.5 * (q - 2.0 * gamma * trace + gamma * gamma * trace_of_square);
        let distance = offset[0] * offset[0] + offset[1] * offset[1];
        let conditional = Conditional {
            log_weight: -loss - 0.5 * (gamma * (norm + distance) + log_det),
            mean,
            variance,
        };
        if !(conditional.log_weight.is_finite() && conditional.variance.is_finite()) {
            return Err(PartiallyLinearError::FeaturesNotFinite { u });
        }
        Ok(conditional)
    }
}

/// The rows of a matrix in standard layout, as slices.
fn rows(matrix: &Array2<f64>) -> impl Iterator<Item = &[f64]> {
    matrix
        .as_slice()
        .expect("a matrix made by zeros is in standard layout")
        .chunks_exact(matrix.ncols())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The lower Cholesky factor in place of a positive definite matrix; returns its log determinant.
fn factorise(matrix: &mut Array2<f64>) -> f64 {
    let q = matrix.nrows();
    let mut log_det = 0.0;
    for j in 0..q {
        for k in 0..j {
            let factor = matrix[[j, k]];
            for i in j..q {
                matrix[[i, j]] -= matrix[[i, k]] * factor;
            }
        }
        log_det += matrix[[j, j]].ln();
        let pivot = matrix[[j, j]].sqrt();
        for i in j..q {
            matrix[[i, j]] /= pivot;
        }
    }
    log_det
}

/// `x ← (CC')⁻¹ x` for the lower factor C.
fn solve(factor: &Array2<f64>, x: &mut [f64]) {
    let q = x.len();
    for i in 0..q {
        for j in 0..i {
            x[i] -= factor[[i, j]] * x[j];
        }
        x[i] /= factor[[i, i]];
    }
    for i in (0..q).rev() {
        for j in i + 1..q {
            x[i] -= factor[[j, i]] * x[j];
        }
        x[i] /= factor[[i, i]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LeastSquares;
    use approx::assert_relative_eq;
    use ndarray::{Array1, array};

    fn grid(n: usize) -> Vec<f64> {
        (0..n)
            .map(|i| -2.0 + 4.0 * i as f64 / (n - 1) as f64)
            .collect()
    }

    /// φ = (tanh(u₀x + u₁), 1).
    fn tanh_unit(x: &[f64]) -> impl FnMut([f64; 2], ArrayViewMut2<'_, f64>) {
        move |u, mut phi| {
            for (mut row, x) in phi.rows_mut().into_iter().zip(x) {
                row[0] = (u[0] * x + u[1]).tanh();
                row[1] = 1.0;
            }
        }
    }

    fn net(x: &[f64], w: [f64; 4]) -> Vec<f64> {
        x.iter()
            .map(|x| w[2] * (w[0] * x + w[1]).tanh() + w[3])
            .collect()
    }

    /// With φ independent of u the model is linear regression with two flat directions.
    #[test]
    fn linear_case() {
        let x = array![
            [1.0, 0.3, -0.2],
            [0.5, -1.0, 0.7],
            [2.0, 0.1, 0.4],
            [-0.3, 0.9, 1.1]
        ];
        let (y, anchor) = ([0.7, -1.2, 0.4, 2.0], [0.3, -0.5, 0.2]);
        let (nbeta, gamma) = (13.0, 0.8);
        let model = PartiallyLinear::new(&y, [0.4, -3.0], &anchor, nbeta, gamma).unwrap();
        let law = model.integrate(|_, mut phi| phi.assign(&x)).unwrap();
        let exact = LeastSquares::new(x.view(), Array1::from(y.to_vec()).view(), 1.0)
            .unwrap()
            .localised(Array1::from(anchor.to_vec()).view(), nbeta, gamma)
            .unwrap();
        assert_relative_eq!(law.mean, exact.mean(), max_relative = 1e-12);
        assert_relative_eq!(law.variance, exact.variance(), max_relative = 1e-12);
        assert!(law.error < 1e-10);
        assert_eq!(law.n_nodes, 129 * 129);
    }

    /// Every node of the finest rule counts, and is computed once (the edge in each rule, the anchor beforehand, too).
    #[test]
    fn nodes_of_a_coarser_rule_are_reused() {
        let mut visits = std::collections::HashMap::new();
        let model = PartiallyLinear::new(&[1.0], [0.0, 0.0], &[0.0], 1.0, 1.0).unwrap();
        let law = model
            .integrate(|u, mut phi| {
                *visits.entry(u.map(f64::to_bits)).or_insert(0) += 1;
                phi.fill(1.0);
            })
            .unwrap();
        assert_eq!(visits.len(), law.n_nodes);
        let twice = visits.values().filter(|&&n| n == 2).count();
        assert_eq!(twice, 4 * FIRST_INTERVALS + 1);
        assert!(visits.values().all(|&n| n <= 2));
    }

    /// `sL = (12 − v u)²/4`, whose weight over u is `e^(−u²/2 − 36/P)/√P`, `P = 1 + u²/2`: what lies beyond ±8 is in the error.
    #[test]
    fn the_square_leaves_out_what_the_error_says() {
        let conditional = |u: f64| {
            let precision = 1.0 + 0.5 * u * u;
            let mean = 36.0 / (precision * precision) - 36.0 + 0.25 * u * u / precision;
            let log_weight = -0.5 * u * u - 36.0 / precision - 0.5 * precision.ln();
            (log_weight, mean)
        };
        let (mut inside, mut outside) = (MixtureMoments::default(), MixtureMoments::default());
        let step = 1e-3;
        for i in 0..15_000 {
            let u = step * (f64::from(i) + 0.5);
            let (log_weight, mean) = conditional(u);
            let part = if u < 8.0 { &mut inside } else { &mut outside };
            part.add(log_weight, mean, 0.0);
        }
        let share = (outside.log_weight() - inside.log_weight()).exp();
        for axis in [0, 1] {
            let model = PartiallyLinear::new(&[12.0], [0.0, 0.0], &[0.0], 0.25, 1.0).unwrap();
            let law = model.integrate(|u, mut phi| phi.fill(u[axis])).unwrap();
            assert_relative_eq!(law.mean, inside.mean(), max_relative = 1e-9);
            let expected = share * (law.variance.max(law.mean.abs()) + conditional(8.0).1.powi(2));
            assert!(
                1.5 * expected < law.error && law.error < 1.8 * expected,
                "{expected} {law:?}"
            );
        }
    }

    /// A model with one linear parameter and its feature in u: K = (1/n) Σ (v u₀)² is a normal
    /// crossing of c = 1, with u₁ flat.
    #[test]
    fn normal_crossing_case() {
        let (nbeta, gamma) = (30.0, 1.0);
        let model = PartiallyLinear::new(&[0.0; 5], [0.0, 0.0], &[0.0], nbeta, gamma).unwrap();
        let law = model.integrate(|u, mut phi| phi.fill(u[0])).unwrap();
        let exact = crate::NormalCrossingLaw::new(1.0, nbeta, gamma).unwrap();
        assert_relative_eq!(law.mean, exact.mean(), max_relative = 1e-10);
        assert_relative_eq!(law.variance, exact.variance(), max_relative = 1e-10);
        assert_relative_eq!(law.log_evidence, exact.log_evidence(), max_relative = 1e-10);
    }

    /// The net of one tanh unit on 100 points: the mean and the variance are the derivatives of
    /// log Z in log s (fourth-order differences), and the two rules agree far below the tolerance.
    #[test]
    fn derivatives_of_the_evidence() {
        let x = grid(100);
        let truth = [1.2, -0.3, 0.9, 0.2];
        // A misfit that no parameter removes.
        let y: Vec<f64> = net(&x, truth)
            .iter()
            .zip(&x)
            .map(|(f, x)| f + 0.1 * (7.0 * x).sin())
            .collect();
        let nbeta = 100.0 / 100.0_f64.ln();
        let law = |shift: f64| {
            PartiallyLinear::new(&y, [1.2, -0.3], &[0.9, 0.2], nbeta * shift.exp(), 1.0)
                .unwrap()
                .integrate(tanh_unit(&x))
                .unwrap()
        };
        let h = 0.02;
        let [a, b, c, d] = [-2.0, -1.0, 1.0, 2.0].map(|k| law(k * h));
        let slope = |f: fn(&PartiallyLinearLaw) -> f64| {
            (f(&a) - 8.0 * f(&b) + 8.0 * f(&c) - f(&d)) / (12.0 * h)
        };
        let centre = law(0.0);
        assert_relative_eq!(centre.mean, -slope(|l| l.log_evidence), max_relative = 1e-7);
        assert_relative_eq!(
            centre.variance,
            centre.mean - slope(|l| l.mean),
            max_relative = 1e-7
        );
        assert!(centre.error < 1e-8);
    }

    /// `L = (1 − v|u₀|)²` about `v* = 1` has a kink on a node: the error falls by 4 with each halving, and is known.
    #[test]
    fn the_error_of_a_kink() {
        let s = 1e-5;
        let model = PartiallyLinear::new(&[1.0], [0.0, 0.0], &[1.0], s, 1.0).unwrap();
        let law = model.integrate(|u, mut phi| phi.fill(u[0].abs())).unwrap();
        let mut exact = MixtureMoments::default();
        let step = 1e-3;
        for i in 0..8_000 {
            let u = step * (f64::from(i) + 0.5);
            let (residual, precision) = (1.0 - u, 1.0 + 2.0 * s * u * u);
            let log_weight = -s * residual * residual / precision - 0.5 * precision.ln();
            let mean =
                s * (residual * residual / (precision * precision) - 1.0 + u * u / precision);
            exact.add(log_weight - 0.5 * u * u, mean, 0.0);
        }
        let error = (law.mean - exact.mean()).abs();
        assert!(
            0.9 * error < law.error && law.error < 1.5 * error,
            "{error} {}",
            law.error
        );
    }

    /// All four dimensions on a grid, no analytic step.
    #[test]
    fn brute_force_in_four_dimensions() {
        let x = grid(7);
        let anchor = [0.8, 0.1, 1.1, -0.2];
        let y: Vec<f64> = net(&x, anchor)
            .iter()
            .zip([0.1, -0.05, 0.02, 0.08, -0.1, 0.03, -0.07])
            .map(|(f, noise)| f + noise)
            .collect();
        let (nbeta, gamma) = (12.0, 20.0_f64);
        let law = PartiallyLinear::new(&y, [0.8, 0.1], &[1.1, -0.2], nbeta, gamma)
            .unwrap()
            .integrate(tanh_unit(&x))
            .unwrap();

        let loss = |activations: &[f64], v: [f64; 2]| {
            let squares: f64 = activations
                .iter()
                .zip(&y)
                .map(|(a, y)| (y - v[0] * a - v[1]).powi(2))
                .sum();
            nbeta * squares / y.len() as f64
        };
        let activate =
            |u: [f64; 2]| -> Vec<f64> { x.iter().map(|x| (u[0] * x + u[1]).tanh()).collect() };
        let anchor_loss = loss(&activate([0.8, 0.1]), [1.1, -0.2]);
        let step = 0.4 / gamma.sqrt();
        let offsets = || (-15..=15).map(|i| step * f64::from(i));
        let (mut z, mut first, mut second) = (0.0, 0.0, 0.0);
        for d0 in offsets() {
            for d1 in offsets() {
                let activations = activate([0.8 + d0, 0.1 + d1]);
                for d2 in offsets() {
                    for d3 in offsets() {
                        let excess = loss(&activations, [1.1 + d2, -0.2 + d3]) - anchor_loss;
                        let distance = d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3;
                        let weight = (-excess - 0.5 * gamma * distance).exp();
                        z += weight;
                        first += weight * excess;
                        second += weight * excess * excess;
                    }
                }
            }
        }
        let mean = first / z;
        assert_relative_eq!(law.mean, mean, max_relative = 1e-6);
        assert_relative_eq!(law.variance, second / z - mean * mean, max_relative = 1e-6);
        let normalised = z * step.powi(4) * (gamma / std::f64::consts::TAU).powi(2);
        assert_relative_eq!(law.log_evidence, normalised.ln(), max_relative = 1e-6);
    }

    #[test]
    fn failures_are_typed() {
        for (nbeta, gamma) in [
            (0.0, 1.0),
            (1.0, 0.0),
            (f64::NAN, 1.0),
            (1.0, f64::INFINITY),
        ] {
            assert!(matches!(
                PartiallyLinear::new(&[1.0], [0.0, 0.0], &[0.0], nbeta, gamma),
                Err(PartiallyLinearError::NotPositive { .. })
            ));
        }
        assert_eq!(
            PartiallyLinear::new(&[], [0.0, 0.0], &[0.0], 1.0, 1.0),
            Err(PartiallyLinearError::Empty {
                n_samples: 0,
                n_features: 1
            })
        );
        assert_eq!(
            PartiallyLinear::new(&[1.0], [0.0, f64::NAN], &[0.0], 1.0, 1.0),
            Err(PartiallyLinearError::InputNotFinite)
        );
        let model = PartiallyLinear::new(&[1.0], [0.0, 0.0], &[0.0], 1.0, 1.0).unwrap();
        assert!(matches!(
            model.integrate(|u, mut phi| phi.fill(u[0].ln())),
            Err(PartiallyLinearError::FeaturesNotFinite { .. })
        ));
        // γ² overflows, in the variance alone.
        let narrow = PartiallyLinear::new(&[1.0], [0.0, 0.0], &[0.0], 1.0, 1e200).unwrap();
        assert!(matches!(
            narrow.integrate(|_, mut phi| phi.fill(1.0)),
            Err(PartiallyLinearError::FeaturesNotFinite { .. })
        ));
        // A feature that jumps converges only linearly.
        let law = model.integrate(|u, mut phi| {
            phi.fill(if u[0] + 0.61 * u[1] > 0.123 { 1.0 } else { 0.0 });
        });
        assert!(
            matches!(law, Err(PartiallyLinearError::NotConverged { .. })),
            "{law:?}"
        );
    }
}
