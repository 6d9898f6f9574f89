//! The law of a block of parameters given the others, where the loss is quadratic in the block.
//!
//! Many losses are quadratic in a part of their parameters: a layer of a linear network, the last layer of any network under the
//! squared error, a variable of `w₁²w₂²`. Given the others, the block's law under `exp(-sK - γ/2 |w - w*|²)` is then normal. With
//! `H` the block of second derivatives of `K = L - L(w*)`, `g` its gradient, `a = w - w*` and `A = sH + γ`, it has precision A and
//! mean `μ = w - y`, `y = A⁻¹(sg + γa)`, and the integral over the block is
//! ```text
//! log ∫ exp(-sK - γ/2 |w - w*|²) = -sK(w) - γ/2 |a|² + ½ y'Ay - ½ log det A/(2π).
//! ```
//! At the mean the gradient of sK is `-γb`, `b = a - y`; with `I - γA⁻¹ = A⁻¹sH`,
//! ```text
//! E[sK | others] = sK(μ) + ½ tr(I - γA⁻¹),   Var[sK | others] = γ² b'A⁻¹b + ½ tr (I - γA⁻¹)².
//! ```
//! A draw from this law is a Gibbs step; these expectations average over the block exactly (Rao-Blackwell; Gelfand and Smith 1990).
//! The derivations are ours.
//!
//! H is the target's own ([`Target::block_hessians`]), or taken from differences of the gradient over a distance `1/√γ`: on a quadratic they are exact but
//! for rounding.

use std::ops::Range;

use multiversion::multiversion;
use ndarray::{Array2, Array3, ArrayView1, ArrayView2, s};

use crate::noise::fill;
use crate::stream::Purpose;
use crate::target::{Batch, Target};

/// Points at which a loss is tried for being quadratic.
const N_TRIALS: u64 = 4;
/// Third and fourth differences of a quadratic, as a share of its largest value, in units of rounding.
const ROUNDING: f64 = 1e4;

/// A run of neighbouring parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Which parameters.
    pub range: Range<usize>,
    /// Whether the loss is quadratic in them.
    pub quadratic: bool,
}

/// The longest runs of neighbouring parameters in which the loss is quadratic, from the first on; every other parameter is a
/// block of its own.
///
/// It is tried along random directions at random points of `N(anchor, 1/γ)`, at distances of that normal.
pub(crate) fn blocks<T: Target>(
    target: &mut T,
    anchor: ArrayView1<f64>,
    gamma: f64,
    seed: u64,
) -> Vec<Block> {
    let d = anchor.len();
    let mut blocks = Vec::new();
    let mut start = 0;
    while start < d {
        let quadratic = |target: &mut T, end| is_quadratic(target, anchor, gamma, start..end, seed);
        let mut end = start + 1;
        let first = quadratic(target, end);
        while first && end < d && quadratic(target, end + 1) {
            end += 1;
        }
        blocks.push(Block {
            range: start..end,
            quadratic: first,
        });
        start = end;
    }
    blocks
}

fn is_quadratic<T: Target>(
    target: &mut T,
    anchor: ArrayView1<f64>,
    gamma: f64,
    range: Range<usize>,
    seed: u64,
) -> bool {
    let d = anchor.len();
    let tolerance = ROUNDING * target.gradient_precision();
    (0..N_TRIALS).all(|trial| {
        let mut normals = vec![0.0; (2 * d).next_multiple_of(64)];
        fill(seed, Purpose::Probes, trial, 0, &mut normals);
        // at -2, -1, 0, 1 and 2 steps along a direction of the block
        let line = Array2::from_shape_fn((5, d), |(k, j)| {
            let along = if range.contains(&j) {
                (k as f64 - 2.0) * f64::from(normals[d + j])
            } else {
                0.0
            };
            anchor[j] + (f64::from(normals[j]) + along) / gamma.sqrt()
        });
        let mut l = [f64::NAN; 5];
        target.loss(line.view(), &mut l);
        let third = l[4] - 2.0 * l[3] + 2.0 * l[1] - l[0];
        let fourth = l[4] - 4.0 * l[3] + 6.0 * l[2] - 4.0 * l[1] + l[0];
        let largest = l.iter().fold(0.0, |m: f64, l| m.max(l.abs()));
        // a NaN is no quadratic
        third.abs() <= tolerance * largest && fourth.abs() <= tolerance * largest
    })
}

/// The loss along one block around one point, and its law there at one inverse temperature.
#[derive(Debug, Clone)]
pub(crate) struct Conditional {
    d: usize,
    gamma: f64,
    /// K at the point.
    excess: f64,
    /// `w - w*`.
    away: Vec<f64>,
    gradient: Vec<f64>,
    /// `H`, `[d, d]`.
    hessian: Vec<f64>,
    /// The lower Cholesky factor of A, column after column, and its inverse, row after row: sums run along these.
    factor: Vec<f64>,
    inverse: Vec<f64>,
    /// `y`.
    step: Vec<f64>,
    /// Sums under way.
    sums: Vec<f64>,
    nbeta: f64,
}

/// What a law says of `sK`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    /// `E[sK | others]`.
    pub mean: f64,
    /// `E[(sK)² | others]`.
    pub square: f64,
}

impl Conditional {
    fn new(d: usize, gamma: f64) -> Self {
        Self {
            d,
            gamma,
            excess: f64::NAN,
            away: vec![f64::NAN; d],
            gradient: vec![f64::NAN; d],
            hessian: vec![f64::NAN; d * d],
            factor: vec![f64::NAN; d * d],
            inverse: vec![0.0; d * d],
            step: vec![f64::NAN; d],
            sums: vec![f64::NAN; d],
            nbeta: f64::NAN,
        }
    }

    /// Takes `nbeta` for s. False where A is not positive definite, and the law none.
    pub fn cool(&mut self, nbeta: f64) -> bool {
        let d = self.d;
        self.nbeta = nbeta;
        let (factor, sums) = (&mut self.factor, &mut self.sums);
        if !factorise(&self.hessian, nbeta, self.gamma, factor, sums) {
            return false;
        }
        for i in 0..d {
            self.step[i] = nbeta * self.gradient[i] + self.gamma * self.away[i];
        }
        self.sums.fill(0.0);
        for j in 0..d {
            let column = &self.factor[j * d..(j + 1) * d];
            self.step[j] = (self.step[j] - self.sums[j]) / column[j];
            add_multiple(&mut self.sums[j + 1..], self.step[j], &column[j + 1..]);
        }
        // `step` is now the whitened step, whose square is y'Ay
        true
    }

    fn half_square(&self) -> f64 {
        0.5 * self.step.iter().map(|x| x * x).sum::<f64>()
    }

    /// The logarithm of the integral over the block, up to `d/2 log 2π`.
    pub fn log_evidence(&self) -> f64 {
        let away: f64 = self.away.iter().map(|a| a * a).sum();
        let half_log_det: f64 = (0..self.d).map(|i| self.factor[i * self.d + i].ln()).sum();
        self.half_square() - self.nbeta * self.excess - 0.5 * self.gamma * away - half_log_det
    }

    /// Solves `factor' x = b` in place.
    fn solve_transposed(&self, b: &mut [f64]) {
        let d = self.d;
        for i in (0..d).rev() {
            b[i] /= self.factor[i * d + i];
            let x = b[i];
            for j in 0..i {
                b[j] -= self.factor[j * d + i] * x;
            }
        }
    }

    /// Moves `w`, the block, by a draw made of the standard normals `xi`, which are overwritten. Returns the change of
    /// `sK + γ/2 |w - w*|²`, if the loss is quadratic.
    pub fn draw(&self, xi: &mut [f64], w: &mut [f64]) -> f64 {
        let change = 0.5 * xi.iter().map(|x| x * x).sum::<f64>() - self.half_square();
        for (xi, step) in xi.iter_mut().zip(&self.step) {
            *xi -= step;
        }
        self.solve_transposed(xi);
        for (w, xi) in w.iter_mut().zip(xi) {
            *w += *xi;
        }
        change
    }

    /// The moments of `sK` over the block.
    pub fn moments(&mut self) -> Moments {
        let (d, s, gamma) = (self.d, self.nbeta, self.gamma);
        let mut y = self.step.clone();
        self.solve_transposed(&mut y);
        invert(&self.factor, &mut self.inverse, d);
        let (trace, square) = traces(&self.inverse, &mut self.sums);
        let b: Vec<f64> = self.away.iter().zip(&y).map(|(a, y)| a - y).collect();
        let mut pull = 0.0;
        for i in 0..d {
            let row = &self.inverse[i * d..=i * d + i];
            let whitened: f64 = row.iter().zip(&b).map(|(l, b)| l * b).sum();
            pull += whitened * whitened;
        }
        // sK(μ) = sK - sg'y + ½ y'sHy, with sg = Ay - γa and sH = A - γ
        let norm: f64 = y.iter().map(|y| y * y).sum();
        let inner: f64 = y.iter().zip(&self.away).map(|(y, a)| y * a).sum();
        let at_mean = s * self.excess - self.half_square() + gamma * (inner - 0.5 * norm);
        let d = d as f64;
        let mean = at_mean + 0.5 * (d - gamma * trace);
        let variance =
            gamma * gamma * pull + 0.5 * (d - 2.0 * gamma * trace + gamma * gamma * square);
        Moments {
            mean,
            square: variance + mean * mean,
        }
    }
}

/// The lower Cholesky factor of `nbeta hessian + gamma`, column after column. False where there is none.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn factorise(
    hessian: &[f64],
    nbeta: f64,
    gamma: f64,
    factor: &mut [f64],
    sums: &mut [f64],
) -> bool {
    let d = sums.len();
    for j in 0..d {
        let (before, column) = factor.split_at_mut(j * d);
        let (sums, column) = (&mut sums[j..], &mut column[j..d]);
        sums.fill(0.0);
        for other in before.chunks_exact(d) {
            add_multiple(sums, other[j], &other[j..]);
        }
        let curvature = &hessian[j * d + j..(j + 1) * d];
        for ((out, h), sum) in column.iter_mut().zip(curvature).zip(&*sums) {
            *out = nbeta * h - sum;
        }
        let square = nbeta * curvature[0] + gamma - sums[0];
        if !(0.0 < square) {
            return false;
        }
        let pivot = square.sqrt();
        column[0] = pivot;
        column[1..].iter_mut().for_each(|out| *out /= pivot);
    }
    true
}

/// The inverse, row after row, of a lower triangle that is given column after column.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn invert(factor: &[f64], inverse: &mut [f64], d: usize) {
    for i in 0..d {
        let (before, row) = inverse.split_at_mut(i * d);
        let row = &mut row[..=i];
        row.fill(0.0);
        for (k, other) in before.chunks_exact(d).enumerate() {
            add_multiple(row, factor[k * d + i], &other[..=k]);
        }
        let pivot = factor[i * d + i];
        row.iter_mut().for_each(|x| *x = -*x / pivot);
        row[i] = 1.0 / pivot;
    }
}

/// The traces of `R'R` and of its square, for a lower triangle R, row after row.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn traces(triangle: &[f64], sums: &mut [f64]) -> (f64, f64) {
    let d = sums.len();
    let (mut trace, mut square) = (0.0, 0.0);
    for i in 0..d {
        let entries = &mut sums[..=i];
        entries.fill(0.0);
        for row in triangle[i * d..].chunks_exact(d) {
            add_multiple(entries, row[i], row);
        }
        for entry in &entries[..i] {
            square += entry * entry * 2.0;
        }
        trace += entries[i];
        square += entries[i] * entries[i];
    }
    (trace, square)
}

/// Adds a multiple of `x`, which may be longer, to `sums`, or to as many of them as there are.
#[inline(always)]
fn add_multiple(sums: &mut [f64], by: f64, x: &[f64]) {
    for (sum, x) in sums.iter_mut().zip(x) {
        *sum += by * x;
    }
}

/// Conditionals of one block at many points.
#[derive(Debug)]
pub(crate) struct Conditionals {
    range: Range<usize>,
    gamma: f64,
    gradients: Array2<f64>,
    losses: Vec<f64>,
    /// `[n_points, d, d]`.
    hessians: Array3<f64>,
    at: Conditional,
}

impl Conditionals {
    /// Rows that are evaluated together, about.
    const N_ROWS: usize = 256;

    pub fn new(range: Range<usize>, n_params: usize, gamma: f64) -> Self {
        let d = range.len();
        let n_points = (Self::N_ROWS / (d + 1)).max(1);
        Self {
            at: Conditional::new(d, gamma),
            range,
            gamma,
            gradients: Array2::zeros((n_points, n_params)),
            losses: vec![f64::NAN; n_points],
            hessians: Array3::zeros((n_points, d, d)),
        }
    }

    /// Calls `each` with the index of every point of `w`, `[n, d]`, and the conditional there. Returns how many rows the target has evaluated, or could have
    /// in the time of its second derivatives.
    pub fn for_each<T: Target>(
        &mut self,
        target: &mut T,
        anchor: ArrayView1<f64>,
        initial_loss: f64,
        w: ArrayView2<f64>,
        mut each: impl FnMut(usize, &mut Conditional),
    ) -> u64 {
        let mut n_evaluations = 0;
        let (d, range) = (self.range.len(), self.range.clone());
        let reach = 1.0 / self.gamma.sqrt();
        let n_points = self.losses.len();
        for from in (0..w.nrows()).step_by(n_points) {
            let n = n_points.min(w.nrows() - from);
            let points = w.slice(s![from..from + n, ..]);
            let mut gradients = self.gradients.slice_mut(s![..n, ..]);
            let losses = &mut self.losses[..n];
            target.loss_and_grad(points, Batch::Full, gradients.view_mut(), losses);
            let mut hessians = self.hessians.slice_mut(s![..n, .., ..]);
            let (gradients, out) = (gradients.view(), hessians.view_mut());
            let cost = target.block_hessians(points, gradients, range.clone(), reach, out);
            n_evaluations += (n * (1 + cost)) as u64;
            for (k, hessian) in hessians.outer_iter().enumerate() {
                let at = &mut self.at;
                at.excess = losses[k] - initial_loss;
                for (i, j) in range.clone().enumerate() {
                    at.away[i] = points[[k, j]] - anchor[j];
                    at.gradient[i] = gradients[[k, j]];
                }
                let hessian = hessian.to_slice().expect("a block is contiguous");
                symmetrise(hessian, &mut at.hessian, d);
                each(from + k, at);
            }
        }
        n_evaluations
    }
}

/// The mean of a matrix and its transpose.
fn symmetrise(matrix: &[f64], out: &mut [f64], d: usize) {
    for i in 0..d {
        for j in 0..=i {
            let mean = 0.5 * (matrix[i * d + j] + matrix[j * d + i]);
            out[i * d + j] = mean;
            out[j * d + i] = mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{DeepLinear, NormalCrossing, Quadratic, TanhUnit};
    use ndarray::{Array1, Axis, array};
    use ndarray_linalg::{Eigh, UPLO};
    use slt_theory::LocalisedGaussian;

    fn found<T: Target>(mut target: T, anchor: &Array1<f64>) -> Vec<(Range<usize>, bool)> {
        let blocks = blocks(&mut target, anchor.view(), 0.7, 1);
        blocks.into_iter().map(|b| (b.range, b.quadratic)).collect()
    }

    #[test]
    fn layers_and_quadratic_variables_are_blocks() {
        let identity = Array2::eye(3);
        let teacher = Array2::eye(3).slice(ndarray::s![..2, ..]).to_owned();
        let network =
            DeepLinear::from_moments(&[3, 2, 4, 2], identity.view(), teacher.view(), 0.5, 10);
        let anchor = Array1::from_shape_fn(22, |i| (i as f64).sin());
        let layers = [(0..6, true), (6..14, true), (14..22, true)];
        assert_eq!(found(network.expect("a network"), &anchor), layers);
        let crossing = NormalCrossing::new(2.0, &[1, 2, 0, 1], 10);
        // a variable that the loss does not see joins the next
        let parts = [(0..1, true), (1..2, false), (2..4, true)];
        assert_eq!(found(crossing, &Array1::zeros(4)), parts);
        let tanh = TanhUnit::new(vec![-1.0, 0.5, 2.0], vec![0.3, -0.2, 0.9]).expect("samples");
        let parts = [(0..1, false), (1..2, false), (2..4, true)];
        assert_eq!(found(tanh, &array![1.0, 0.2, 0.8, -0.1]), parts);
    }

    /// A quadratic with offset minimum, correlated; every point gives the same law of the whole.
    #[test]
    fn a_quadratic_has_its_law() {
        let hessian = array![[2.0, 0.7, 0.1], [0.7, 1.0, 0.4], [0.1, 0.4, 3.0]];
        let (values, _) = hessian.eigh(UPLO::Lower).expect("symmetric");
        let anchor = array![0.3, -1.0, 2.0];
        let mut target = Quadratic::new(hessian, anchor.clone(), 0.4, 10);
        let law = LocalisedGaussian::new(values.as_slice().expect("contiguous"), 5.0, 0.6);
        let law = law.expect("confining");
        let points = array![[0.3, -1.0, 2.0], [1.0, 4.0, -2.0]];
        let mut conditionals = Conditionals::new(0..3, 3, 0.6);
        let mut evidence = vec![];
        let n = conditionals.for_each(&mut target, anchor.view(), 0.4, points.view(), |_, at| {
            assert!(at.cool(5.0));
            let moments = at.moments();
            approx::assert_relative_eq!(moments.mean, law.mean(), max_relative = 1e-10);
            let square = law.variance() + law.mean().powi(2);
            approx::assert_relative_eq!(moments.square, square, max_relative = 1e-10);
            evidence.push(at.log_evidence());
        });
        // two points, and three differences at each
        assert_eq!(n, 8);
        // -½ log det (sH + γ)
        let exact: f64 = values.iter().map(|h| -0.5 * (5.0 * h + 0.6).ln()).sum();
        for evidence in evidence {
            approx::assert_relative_eq!(evidence, exact, max_relative = 1e-10);
        }
    }

    /// One parameter of a quadratic, the others away from their minimum: by the trapezoid rule.
    #[test]
    fn a_section_has_its_law() {
        let hessian = array![[2.0, 0.7, 0.1], [0.7, 1.0, 0.4], [0.1, 0.4, 3.0]];
        let anchor = array![0.1, -0.2, 0.3];
        let mut target = Quadratic::new(hessian, anchor.clone(), 0.4, 10);
        let (s, gamma) = (3.0, 0.8);
        let at = array![[0.9, 0.5, -0.6]];
        let mut conditionals = Conditionals::new(1..2, 3, gamma);
        let mut sums = [0.0; 3];
        let step = 1e-2;
        for k in -2000..2000 {
            let mut w = at.clone();
            w[[0, 1]] = f64::from(k) * step;
            let mut loss = [f64::NAN];
            target.loss(w.view(), &mut loss);
            let f = s * (loss[0] - 0.4);
            let density = step * (-f - 0.5 * gamma * (w[[0, 1]] - anchor[1]).powi(2)).exp();
            for (sum, power) in sums.iter_mut().zip(0..) {
                *sum += density * f.powi(power);
            }
        }
        let mut same = target.clone();
        conditionals.for_each(&mut same, anchor.view(), 0.4, at.view(), |_, law| {
            assert!(law.cool(s));
            let moments = law.moments();
            approx::assert_relative_eq!(moments.mean, sums[1] / sums[0], max_relative = 1e-9);
            approx::assert_relative_eq!(moments.square, sums[2] / sums[0], max_relative = 1e-9);
            let evidence = law.log_evidence() + 0.5 * (2.0 * std::f64::consts::PI).ln();
            approx::assert_relative_eq!(evidence, sums[0].ln(), max_relative = 1e-9);
            // a draw of no noise is the mean, and its energy is as predicted
            let mut w = [at[[0, 1]]];
            let change = law.draw(&mut [0.0], &mut w);
            let mut row = at.clone();
            row[[0, 1]] = w[0];
            let mut losses = [f64::NAN; 2];
            let both = ndarray::concatenate![Axis(0), at, row];
            target.loss(both.view(), &mut losses);
            let pull = |x: f64| 0.5 * gamma * (x - anchor[1]).powi(2);
            let exact = s * (losses[1] - losses[0]) + pull(w[0]) - pull(at[[0, 1]]);
            approx::assert_relative_eq!(change, exact, max_relative = 1e-9);
        });
    }
}
