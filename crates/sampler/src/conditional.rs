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
//! All of it is done in the directions in which H is diagonal: at any s these are the same. Where the target has roots of H
//! ([`Target::block_roots`]), `H = (l'l) ⊗ (r'r)`, they are those of l and of r, and the curvatures are products of squares of singular
//! values: an error of rounding u is one of `s u²` there, beside γ, and of `√s u` in K itself. Else H is taken from differences of the gradient
//! over a distance `1/√γ`, which on a quadratic are exact but for rounding, and its error is `s u`: the end comes at the root of that s.

use std::ops::Range;

use multiversion::multiversion;
use ndarray::{Array2, Array3, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};

use crate::hessian::block_hessians;
use crate::noise::fill;
use crate::stream::Purpose;
use crate::target::{Batch, Target};

/// Points at which a loss is tried for being quadratic.
const N_TRIALS: u64 = 4;
/// Third and fourth differences of a quadratic, as a share of its largest value, in units of rounding.
const ROUNDING: f64 = 1e4;
/// Cosine of columns that are taken for orthogonal, and rounds of rotations at most: five to eight are needed.
const ORTHOGONAL: f64 = 16.0 * f64::EPSILON;
const N_ROTATIONS: usize = 30;

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

/// The loss along one block around one point, and its law there at one inverse temperature. Vectors over the block are `[p, q]`, in the directions
/// of `left` and `right`.
#[derive(Debug, Clone)]
pub(crate) struct Conditional {
    gamma: f64,
    /// K at the point.
    excess: f64,
    /// p directions, and q.
    left: Directions,
    right: Directions,
    /// `w - w*`.
    away: Vec<f64>,
    gradient: Vec<f64>,
    /// The diagonal of A.
    precision: Vec<f64>,
    /// `A^(1/2) y`.
    step: Vec<f64>,
    work: Vec<f64>,
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
        let nan = || vec![f64::NAN; d];
        Self {
            gamma,
            excess: f64::NAN,
            left: Directions::trivial(),
            right: Directions::default(),
            away: nan(),
            gradient: nan(),
            precision: nan(),
            step: nan(),
            work: nan(),
            nbeta: f64::NAN,
        }
    }

    /// From the parameters' directions to those of the law.
    fn turn(&mut self) {
        for x in [&mut self.away, &mut self.gradient] {
            turn(&self.left, &self.right, x, &mut self.work);
        }
    }

    /// Takes `nbeta` for s. False where A is not positive definite, and the law none.
    pub fn cool(&mut self, nbeta: f64) -> bool {
        self.nbeta = nbeta;
        let curvatures = self.left.curvatures.iter();
        let curvatures = curvatures.flat_map(|l| self.right.curvatures.iter().map(move |r| l * r));
        for (i, curvature) in curvatures.enumerate() {
            let precision = nbeta * curvature + self.gamma;
            if !(precision > 0.0) {
                return false;
            }
            self.precision[i] = precision;
            let pull = nbeta * self.gradient[i] + self.gamma * self.away[i];
            self.step[i] = pull / precision.sqrt();
        }
        true
    }

    fn half_square(&self) -> f64 {
        0.5 * self.step.iter().map(|x| x * x).sum::<f64>()
    }

    /// The logarithm of the integral over the block, up to `d/2 log 2π`.
    pub fn log_evidence(&self) -> f64 {
        let away: f64 = self.away.iter().map(|a| a * a).sum();
        let log_det: f64 = self.precision.iter().map(|a| a.ln()).sum();
        self.half_square() - self.nbeta * self.excess - 0.5 * (self.gamma * away + log_det)
    }

    /// Moves `w`, the block, by a draw made of the standard normals `xi`, which are overwritten. Returns the change of
    /// `sK + γ/2 |w - w*|²`, if the loss is quadratic.
    pub fn draw(&mut self, xi: &mut [f64], w: &mut [f64]) -> f64 {
        let change = 0.5 * xi.iter().map(|x| x * x).sum::<f64>() - self.half_square();
        for ((xi, step), a) in xi.iter_mut().zip(&self.step).zip(&self.precision) {
            *xi = (*xi - step) / a.sqrt();
        }
        turn_back(&self.left, &self.right, xi, &mut self.work);
        for (w, xi) in w.iter_mut().zip(xi) {
            *w += *xi;
        }
        change
    }

    /// The moments of `sK` over the block.
    pub fn moments(&self) -> Moments {
        let gamma = self.gamma;
        let (mut mean, mut variance) = (self.nbeta * self.excess - self.half_square(), 0.0);
        for ((a, step), away) in self.precision.iter().zip(&self.step).zip(&self.away) {
            let y = step / a.sqrt();
            let b = away - y;
            let share = 1.0 - gamma / a;
            // sK(μ) = sK - sg'y + ½ y'sHy, with sg = Ay - γa and sH = A - γ
            mean += gamma * y * (away - 0.5 * y) + 0.5 * share;
            variance += gamma * gamma * b * b / a + 0.5 * share * share;
        }
        Moments {
            mean,
            square: variance + mean * mean,
        }
    }
}

/// Orthogonal directions in which a matrix of second derivatives is diagonal.
#[derive(Debug, Clone, Default)]
struct Directions {
    n: usize,
    /// The diagonal.
    curvatures: Vec<f64>,
    /// For each direction v what a matrix makes of it, and v itself, one behind the other.
    images: Vec<f64>,
    n_rows: usize,
}

impl Directions {
    /// Of the one parameter there is.
    fn trivial() -> Self {
        Self {
            n: 1,
            curvatures: vec![1.0],
            images: vec![1.0],
            n_rows: 0,
        }
    }

    /// Those of `root' root`.
    fn take_root(&mut self, root: ArrayView2<f64>) {
        self.take(root);
        let images = self.images.chunks_exact(self.n_rows + self.n);
        self.curvatures.clear();
        self.curvatures
            .extend(images.map(|image| dot(&image[..self.n_rows], &image[..self.n_rows])));
    }

    /// Those of a symmetric matrix. Curvatures of one size and of opposite signs are told apart only if they are no rounding.
    fn take_symmetric(&mut self, matrix: ArrayView2<f64>) {
        self.take(matrix);
        let images = self.images.chunks_exact(2 * self.n);
        self.curvatures.clear();
        self.curvatures
            .extend(images.map(|image| dot(&image[..self.n], &image[self.n..])));
    }

    /// The directions that the matrix takes to orthogonal images: one-sided Jacobi rotations (Hestenes 1958), whose errors are small beside
    /// each image's own length where the columns are of different sizes (Demmel and Veselić 1992).
    fn take(&mut self, matrix: ArrayView2<f64>) {
        (self.n_rows, self.n) = matrix.dim();
        let length = self.n_rows + self.n;
        self.images.clear();
        self.images.resize(self.n * length, 0.0);
        for (j, image) in self.images.chunks_exact_mut(length).enumerate() {
            for (out, x) in image.iter_mut().zip(matrix.column(j)) {
                *out = *x;
            }
            image[self.n_rows + j] = 1.0;
        }
        orthogonalise(&mut self.images, self.n_rows, length);
    }

    fn vectors(&self) -> impl Iterator<Item = &[f64]> {
        let images = self.images.chunks_exact(self.n_rows + self.n);
        images.map(|image| &image[self.n_rows..])
    }
}

/// Rotates `columns`, each of this length, two by two until their first `n_rows` entries are orthogonal.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn orthogonalise(columns: &mut [f64], n_rows: usize, length: usize) {
    for _ in 0..N_ROTATIONS {
        let mut is_done = true;
        for j in 1..columns.len() / length {
            let (before, rest) = columns.split_at_mut(j * length);
            for first in before.chunks_exact_mut(length) {
                is_done &= !rotate(first, &mut rest[..length], n_rows);
            }
        }
        if is_done {
            return;
        }
    }
}

/// Rotates two columns until their first `n_rows` entries are orthogonal. Whether they were not. Entries below 1e-77 count as none.
#[inline(always)]
fn rotate(first: &mut [f64], second: &mut [f64], n_rows: usize) -> bool {
    let (x, y) = (&first[..n_rows], &second[..n_rows]);
    let (xx, yy, xy) = (dot(x, x), dot(y, y), dot(x, y));
    // a NaN is as it is
    if !(xy * xy > ORTHOGONAL * ORTHOGONAL * xx * yy) {
        return false;
    }
    // by half the angle of tangent 2xy/(yy - xx), an eighth of a turn at most
    let difference = yy - xx;
    let length = (difference * difference + 4.0 * xy * xy).sqrt();
    let cosine = (0.5 + 0.5 * difference.abs() / length).sqrt();
    let sine = (xy / (length * cosine)).copysign(xy * difference);
    for (x, y) in first.iter_mut().zip(second) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
    true
}

/// `l' x r` for directions l and r and `x`, `[p, q]`, in place.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn turn(left: &Directions, right: &Directions, x: &mut [f64], work: &mut [f64]) {
    let q = right.n;
    for (out, x) in work.chunks_exact_mut(q).zip(x.chunks_exact(q)) {
        for (out, v) in out.iter_mut().zip(right.vectors()) {
            *out = dot(x, v);
        }
    }
    for (out, v) in x.chunks_exact_mut(q).zip(left.vectors()) {
        out.fill(0.0);
        for (work, v) in work.chunks_exact(q).zip(v) {
            add_multiple(out, *v, work);
        }
    }
}

/// `l x r'`, in place.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn turn_back(left: &Directions, right: &Directions, x: &mut [f64], work: &mut [f64]) {
    let q = right.n;
    for (out, x) in work.chunks_exact_mut(q).zip(x.chunks_exact(q)) {
        out.fill(0.0);
        for (x, v) in x.iter().zip(right.vectors()) {
            add_multiple(out, *x, v);
        }
    }
    x.fill(0.0);
    for (work, v) in work.chunks_exact(q).zip(left.vectors()) {
        for (out, v) in x.chunks_exact_mut(q).zip(v) {
            add_multiple(out, *v, work);
        }
    }
}

#[inline(always)]
fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// Adds a multiple of `x` to `sums`.
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
    /// How many gradients of a row take as long as roots and their directions, about.
    const ROOTS: usize = 3;

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
    /// in the time of the roots of its second derivatives.
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
            let gradients = gradients.view();
            let roots = target.block_roots(points, range.clone());
            n_evaluations += match roots {
                Some(_) => n * (1 + Self::ROOTS),
                None => {
                    let out = self.hessians.slice_mut(s![..n, .., ..]);
                    block_hessians(target, points, gradients, range.clone(), reach, out);
                    n * (1 + d)
                }
            } as u64;
            for k in 0..n {
                let at = &mut self.at;
                if let Some((left, right)) = &roots {
                    at.left.take_root(left.index_axis(Axis(0), k));
                    at.right.take_root(right.index_axis(Axis(0), k));
                } else {
                    let mut hessian = self.hessians.index_axis_mut(Axis(0), k);
                    symmetrise(hessian.view_mut());
                    at.right.take_symmetric(hessian.view());
                }
                at.excess = losses[k] - initial_loss;
                for (i, j) in range.clone().enumerate() {
                    at.away[i] = points[[k, j]] - anchor[j];
                    at.gradient[i] = gradients[[k, j]];
                }
                at.turn();
                each(from + k, at);
            }
        }
        n_evaluations
    }
}

/// The mean of a matrix and its transpose, in place.
fn symmetrise(mut matrix: ArrayViewMut2<f64>) {
    for i in 0..matrix.nrows() {
        for j in 0..i {
            let mean = 0.5 * (matrix[[i, j]] + matrix[[j, i]]);
            matrix[[i, j]] = mean;
            matrix[[j, i]] = mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{DeepLinear, NormalCrossing, Quadratic, TanhUnit};
    use ndarray::{Array1, Axis, array};
    use ndarray_linalg::{Determinant, Eigh, UPLO};
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

    /// A layer behind one of rank 1, at the minimum: of its four directions two are flat, and at `s = 1e20` they are not held by rounding.
    #[test]
    fn flat_directions_stay_flat_at_any_temperature() {
        let (first, second) = (
            array![[1.0, 0.2], [-0.4, 0.7]],
            array![[0.3, 0.6], [0.6, 1.2]],
        );
        let teacher = second.dot(&first);
        let identity = Array2::eye(2);
        let mut target =
            DeepLinear::from_moments(&[2, 2, 2], identity.view(), teacher.view(), 0.5, 10)
                .expect("a network");
        let w: Array1<f64> = first.iter().chain(&second).copied().collect();
        let row = w.view().insert_axis(Axis(0));
        let mut conditionals = Conditionals::new(0..4, 8, 0.7);
        let mut n_laws = 0;
        conditionals.for_each(&mut target, w.view(), 0.0, row, |_, law| {
            for s in [1e6, 1e12, 1e20] {
                assert!(law.cool(s));
                let moments = law.moments();
                // both inputs times the one direction of curvature (0.3² + 0.6²)(1 + 2²)
                let share = s * 2.25 / (s * 2.25 + 0.7);
                approx::assert_relative_eq!(moments.mean, share, max_relative = 1e-9);
                let square = share * share + share * share;
                approx::assert_relative_eq!(moments.square, square, max_relative = 1e-9);
                // of the two others the localisation decides
                let mut drawn = [0.0; 4];
                let mut xi = [0.3, -1.2, 0.8, 2.0];
                law.draw(&mut xi, &mut drawn);
                let along: f64 = [1.2, -0.6]
                    .iter()
                    .zip([&drawn[..2], &drawn[2..]])
                    .map(|(v, row)| v * row[0])
                    .sum();
                assert!(along.abs() > 0.1 && drawn.iter().all(|w| w.abs() < 10.0));
                n_laws += 1;
            }
        });
        assert_eq!(n_laws, 3);
    }

    /// Columns of very different sizes: every curvature to rounding, and directions that diagonalise.
    #[test]
    fn directions_of_a_graded_root() {
        let sizes = [1.0, 1e-5, 1e-10, 1e-15];
        let root = Array2::from_shape_fn((6, 4), |(i, j)| {
            sizes[j] * (0.7 + 1.9 * i as f64 + (1.1 + 0.4 * i as f64) * j as f64).sin()
        });
        let mut directions = Directions::default();
        directions.take_root(root.view());
        let mut found: Vec<f64> = directions.curvatures.clone();
        found.sort_by(|a, b| b.total_cmp(a));
        // the leading minors of the Gram matrix are nearly products of the leading curvatures; to first order in the ratio of squares, 1e-10
        let scaled = &root / &Array1::from(sizes.to_vec());
        let mut before = 1.0;
        for k in 1..=4 {
            let part = scaled.slice(s![.., ..k]);
            let minor = part.t().dot(&part).det().expect("square");
            let curvature = minor / before * sizes[k - 1] * sizes[k - 1];
            approx::assert_relative_eq!(found[k - 1], curvature, max_relative = 1e-8);
            before = minor;
        }
        let vectors: Vec<&[f64]> = directions.vectors().collect();
        for (i, x) in vectors.iter().enumerate() {
            for (j, y) in vectors.iter().enumerate() {
                let expected = f64::from(u8::from(i == j));
                approx::assert_abs_diff_eq!(dot(x, y), expected, epsilon = 1e-14);
            }
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
