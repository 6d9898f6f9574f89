//! The Lanczos process on Hessian-vector products: extreme eigenvalues, and quadratic forms `v' f(H) v`.
//!
//! `k` steps from a start `v` give an orthonormal basis of the Krylov space of `H` and `v`, on which `H` is a tridiagonal
//! matrix `T`. Its eigenvalues `θ` (Ritz values) with the squares `τ²` of the first components of its eigenvectors are the
//! `k`-point Gauss rule of the spectral measure of `v`,
//! ```text
//! v' f(H) v = |v|² Σ τ² f(θ) + error,
//! ```
//! without error for polynomials of degree up to `2k - 1` (Golub and Meurant 1994, "Matrices, moments and quadrature",
//! section 3). One more node at a given `a` (Gauss-Radau) costs no product. Where no eigenvalue is below `a` and the
//! derivatives of `f` alternate in sign, as those of `1/(h + c)` and `h/(h + c)` do, the two rules lie on the two sides
//! of the truth: their difference bounds the error of both.
//!
//! The basis is kept and each new vector made orthogonal to all of it (Parlett 1980, "The symmetric eigenvalue
//! problem", section 6.9: a second pass where the first one took away half of the vector), so that no eigenvalue
//! is found twice. All starts are rows of one ensemble; a row's numbers do not depend on its neighbours.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use ndarray_linalg::{Eigh, UPLO};

use crate::target::Target;

/// Numbers in the bases that are kept at a time: 512 MiB. Rows beyond that wait for their turn.
const BASIS: usize = 1 << 26;
/// Coordinates that stay in the cache while a basis passes by.
const CHUNK: usize = 4096;

/// Why the Lanczos process stopped.
#[derive(Debug, thiserror::Error)]
pub enum LanczosError {
    /// A coordinate of the point is not finite.
    #[error("coordinate {index} of the point is {value}, expected a finite number")]
    Point {
        /// Index of the coordinate.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// No step was asked for.
    #[error("n_steps is 0, expected at least 1")]
    NoSteps,
    /// A start has no direction.
    #[error("start {row} has length {length}, expected a positive finite number")]
    Start {
        /// Which start.
        row: usize,
        /// Its Euclidean length.
        length: f64,
    },
    /// A Hessian-vector product is not finite.
    #[error("the Hessian-vector product of start {row} at step {step} is not finite")]
    NotFinite {
        /// Which start.
        row: usize,
        /// Step of the process, from 0.
        step: usize,
    },
    /// LAPACK did not converge.
    #[error("the eigenvalues of the tridiagonal matrix could not be computed")]
    Lapack(#[from] ndarray_linalg::error::LinalgError),
}

/// What the Lanczos process leaves of a Hessian and a start: a tridiagonal matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Tridiagonal {
    /// `|v|²` of the start.
    norm_squared: f64,
    diagonal: Vec<f64>,
    /// Below the diagonal; the last one leads out of the matrix, and is 0 where the Krylov space is complete.
    off_diagonal: Vec<f64>,
}

/// An approximate eigenvalue: an eigenvalue lies within `residual` of `value`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Ritz {
    /// The approximation; the smallest one is never below the smallest eigenvalue, nor the largest above the largest.
    pub value: f64,
    /// `|H y - value y|` for the unit vector `y` that belongs to it (Parlett 1980, theorem 4.5.1).
    pub residual: f64,
}

/// A discrete measure on the real line: what a quadrature rule, or a spectrum, is.
#[derive(Debug, Clone, PartialEq)]
pub struct Nodes {
    values: Vec<f64>,
    weights: Vec<f64>,
}

/// The `k`-point Gauss rule of a start's spectral measure: its nodes are the Ritz values.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauss {
    /// Weights sum to `|v|²`; `Nodes::sum(f)` is `v' f(H) v`.
    pub nodes: Nodes,
    /// The smallest Ritz value.
    pub smallest: Ritz,
    /// The largest Ritz value.
    pub largest: Ritz,
}

impl Nodes {
    /// The measure with a unit of weight at each value.
    pub(crate) fn units(values: Vec<f64>) -> Self {
        Self {
            weights: vec![1.0; values.len()],
            values,
        }
    }

    /// Where the weight is.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// `Σ weight f(value)`.
    pub fn sum(&self, f: impl Fn(f64) -> f64) -> f64 {
        let terms = self.values.iter().zip(&self.weights);
        terms.map(|(&value, weight)| weight * f(value)).sum()
    }
}

impl Tridiagonal {
    /// The Gauss rule, and the Ritz values at the ends.
    ///
    /// # Errors
    /// [`LanczosError::Lapack`].
    pub fn gauss(&self) -> Result<Gauss, LanczosError> {
        let (values, vectors) = self.matrix(&self.diagonal).eigh(UPLO::Lower)?;
        let last = self.diagonal.len() - 1;
        let ritz = |i: usize| Ritz {
            value: values[i],
            residual: (self.off_diagonal[last] * vectors[[last, i]]).abs(),
        };
        Ok(Gauss {
            smallest: ritz(0),
            largest: ritz(last),
            nodes: self.nodes(&values, &vectors),
        })
    }

    /// The Gauss-Radau rule with one more node, at `a`; the Gauss rule itself where that is without error, or where `a`
    /// is not below all its nodes.
    ///
    /// # Errors
    /// [`LanczosError::Lapack`].
    pub fn radau(&self, a: f64) -> Result<Nodes, LanczosError> {
        // pivots of T - a: all positive where a is below all Ritz values
        let mut pivot = f64::INFINITY;
        for (i, alpha) in self.diagonal.iter().enumerate() {
            let before = if i == 0 {
                0.0
            } else {
                self.off_diagonal[i - 1].powi(2) / pivot
            };
            pivot = alpha - a - before;
            if !(0.0 < pivot) {
                return Ok(self.gauss()?.nodes);
            }
        }
        let out = self.off_diagonal[self.diagonal.len() - 1];
        if out == 0.0 {
            return Ok(self.gauss()?.nodes);
        }
        let mut diagonal = self.diagonal.clone();
        diagonal.push(a + out * out / pivot);
        let (values, vectors) = self.matrix(&diagonal).eigh(UPLO::Lower)?;
        Ok(self.nodes(&values, &vectors))
    }

    fn nodes(&self, values: &Array1<f64>, vectors: &Array2<f64>) -> Nodes {
        let weight = |x: f64| self.norm_squared * x * x;
        Nodes {
            values: values.to_vec(),
            weights: vectors.row(0).mapv(weight).to_vec(),
        }
    }

    /// The matrix whole: LAPACK reads the half that its own order of the numbers calls the lower.
    fn matrix(&self, diagonal: &[f64]) -> Array2<f64> {
        Array2::from_shape_fn((diagonal.len(), diagonal.len()), |(i, j)| {
            match i.abs_diff(j) {
                0 => diagonal[i],
                1 => self.off_diagonal[i.min(j)],
                _ => 0.0,
            }
        })
    }
}

/// The tridiagonal matrix of each start after `n_steps` steps on the Hessian at `w`, fewer where the Krylov space ends.
///
/// Shapes: `w`: `[d]`; `starts`: `[n_starts, d]`.
/// Cost: `n_steps` Hessian-vector products and `2 n_steps² d` multiplications for each start; memory for `n_steps d` numbers
/// for each of the starts that are under way, which are as many as fit in 512 MiB, at least one.
///
/// # Errors
/// [`LanczosError`] where `w` or a product is not finite, a start is zero, or there is no step.
///
/// # Panics
/// If `w` and `starts` are not of the target's number of parameters.
pub fn lanczos<T: Target>(
    target: &mut T,
    w: ArrayView1<f64>,
    starts: ArrayView2<f64>,
    n_steps: usize,
) -> Result<Vec<Tridiagonal>, LanczosError> {
    let block = BASIS / (n_steps.min(w.len()) * w.len()).max(1);
    in_blocks(target, w, starts, n_steps, block.max(1))
}

fn in_blocks<T: Target>(
    target: &mut T,
    w: ArrayView1<f64>,
    starts: ArrayView2<f64>,
    n_steps: usize,
    block: usize,
) -> Result<Vec<Tridiagonal>, LanczosError> {
    let d = target.n_params();
    assert_eq!(
        (w.len(), starts.ncols()),
        (d, d),
        "the point and the starts have as many coordinates as the target has parameters"
    );
    if let Some((index, &value)) = w.iter().enumerate().find(|(_, v)| !v.is_finite()) {
        return Err(LanczosError::Point { index, value });
    }
    if n_steps == 0 {
        return Err(LanczosError::NoSteps);
    }
    let n_steps = n_steps.min(d);
    let mut all = Vec::with_capacity(starts.nrows());
    for from in (0..starts.nrows()).step_by(block) {
        let to = (from + block).min(starts.nrows());
        let mut rows = (from..to)
            .map(|row| Row::new(row, starts.row(row), n_steps))
            .collect::<Result<Vec<_>, _>>()?;
        let points = Array2::from_shape_fn((rows.len(), d), |(_, j)| w[j]);
        let mut vectors = Array2::zeros((rows.len(), d));
        let mut products = Array2::zeros((rows.len(), d));
        for step in 0..n_steps {
            for (row, mut vector) in rows.iter().zip(vectors.rows_mut()) {
                vector.assign(&ArrayView1::from(row.newest()));
            }
            target.hessian_vectors(points.view(), vectors.view(), products.view_mut());
            for (row, product) in rows.iter_mut().zip(products.rows_mut()) {
                let product = product.into_slice().expect("standard layout");
                row.step(product, step, n_steps)?;
            }
            if rows.iter().all(|row| row.done) {
                break;
            }
        }
        all.extend(rows.into_iter().map(|row| row.tridiagonal));
    }
    Ok(all)
}

/// One start under way.
struct Row {
    index: usize,
    d: usize,
    /// Orthonormal vectors, one after the other.
    basis: Vec<f64>,
    tridiagonal: Tridiagonal,
    /// Largest row sum of the tridiagonal matrix, the size of the Hessian.
    scale: f64,
    done: bool,
}

impl Row {
    fn new(index: usize, start: ArrayView1<f64>, n_steps: usize) -> Result<Self, LanczosError> {
        let d = start.len();
        let mut basis = Vec::with_capacity(n_steps * d);
        basis.extend(start);
        let norm_squared = dot(&basis, &basis);
        let length = norm_squared.sqrt();
        if !(0.0 < length && length.is_finite()) {
            return Err(LanczosError::Start { row: index, length });
        }
        basis.iter_mut().for_each(|x| *x /= length);
        Ok(Self {
            index,
            d,
            basis,
            tridiagonal: Tridiagonal {
                norm_squared,
                diagonal: Vec::with_capacity(n_steps),
                off_diagonal: Vec::with_capacity(n_steps),
            },
            scale: 0.0,
            done: false,
        })
    }

    fn newest(&self) -> &[f64] {
        &self.basis[self.basis.len() - self.d..]
    }

    /// Takes in the product of the newest vector, which is overwritten.
    fn step(
        &mut self,
        product: &mut [f64],
        step: usize,
        n_steps: usize,
    ) -> Result<(), LanczosError> {
        if self.done {
            return Ok(());
        }
        let alpha = dot(product, self.newest());
        let before = self.tridiagonal.off_diagonal.last().copied();
        subtract(product, alpha, self.newest());
        if let Some(beta) = before {
            let last = self.basis.len() - 2 * self.d;
            subtract(product, beta, &self.basis[last..last + self.d]);
        }
        orthogonalise(product, &self.basis);
        let beta = dot(product, product).sqrt();
        if !(alpha.is_finite() && beta.is_finite()) {
            let row = self.index;
            return Err(LanczosError::NotFinite { row, step });
        }
        self.scale = self.scale.max(before.unwrap_or(0.0) + alpha.abs() + beta);
        // what is left of a product in a complete Krylov space is its rounding
        let complete =
            step + 1 == self.d || beta <= f64::EPSILON * (self.d as f64).sqrt() * self.scale;
        self.tridiagonal.diagonal.push(alpha);
        self.tridiagonal
            .off_diagonal
            .push(if complete { 0.0 } else { beta });
        self.done = complete || step + 1 == n_steps;
        if !self.done {
            self.basis.extend(product.iter().map(|x| x / beta));
        }
        Ok(())
    }
}

/// Takes from `v` what lies in the space of the orthonormal `basis`.
fn orthogonalise(v: &mut [f64], basis: &[f64]) {
    let d = v.len();
    let chunks = || {
        (0..d)
            .step_by(CHUNK)
            .map(|from| from..(from + CHUNK).min(d))
    };
    let mut before = dot(v, v);
    for _ in 0..2 {
        let mut coefficients = vec![0.0; basis.len() / d];
        for chunk in chunks() {
            for (q, c) in basis.chunks_exact(d).zip(&mut coefficients) {
                *c += dot(&q[chunk.clone()], &v[chunk.clone()]);
            }
        }
        for chunk in chunks() {
            for (q, c) in basis.chunks_exact(d).zip(&coefficients) {
                subtract(&mut v[chunk.clone()], *c, &q[chunk.clone()]);
            }
        }
        let after = dot(v, v);
        if after > 0.5 * before {
            break;
        }
        before = after;
    }
}

/// `v -= c q`.
fn subtract(v: &mut [f64], c: f64, q: &[f64]) {
    for (v, q) in v.iter_mut().zip(q) {
        *v -= c * q;
    }
}

/// The scalar product, in eight sums side by side that the compiler turns into vector instructions.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// `V diag(h) V'` and the orthogonal `V`, a product of as many random reflections as there are eigenvalues.
#[cfg(test)]
pub(crate) fn symmetric(eigenvalues: &[f64], seed: u64) -> (Array2<f64>, Array2<f64>) {
    use crate::stream::{Purpose, rng};
    use rand::RngExt;
    let d = eigenvalues.len();
    let mut rng = rng(seed, Purpose::Data, 0, 0);
    let mut v = Array2::eye(d);
    for _ in 0..d {
        let u = Array1::from_shape_fn(d, |_| rng.random_range(-1.0..1.0));
        let projected = v.dot(&u) * (2.0 / u.dot(&u));
        for (mut row, p) in v.rows_mut().into_iter().zip(&projected) {
            row.scaled_add(-p, &u);
        }
    }
    let h = (&v * &ArrayView1::from(eigenvalues)).dot(&v.t());
    // exactly symmetric, whatever the rounding
    (0.5 * (&h + &h.t()), v)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::Quadratic;
    use approx::assert_relative_eq;
    use ndarray::array;
    use proptest::prelude::*;

    fn quadratic(h: &Array2<f64>) -> Quadratic {
        Quadratic::new(h.clone(), Array1::zeros(h.nrows()), 0.0, 10)
    }

    fn starts(n: usize, d: usize) -> Array2<f64> {
        Array2::from_shape_fn((n, d), |(i, j)| {
            (1.7 * i as f64 + 0.9 * j as f64 + 0.4).sin()
        })
    }

    fn run(h: &Array2<f64>, starts: &Array2<f64>, n_steps: usize) -> Vec<Tridiagonal> {
        let w = Array1::zeros(h.nrows());
        lanczos(&mut quadratic(h), w.view(), starts.view(), n_steps).unwrap()
    }

    /// `v' f(H) v` by the known eigenvectors.
    fn exact(h: &[f64], basis: &Array2<f64>, v: ArrayView1<f64>, f: impl Fn(f64) -> f64) -> f64 {
        let c = basis.t().dot(&v);
        h.iter().zip(&c).map(|(&h, c)| c * c * f(h)).sum()
    }

    #[test]
    fn a_complete_process_gives_the_spectrum() {
        let h = [-0.5, 0.0, 0.3, 1.0, 4.0, 70.0];
        let (matrix, basis) = symmetric(&h, 1);
        let starts = starts(3, 6);
        for n_steps in [6, 100] {
            for (t, v) in run(&matrix, &starts, n_steps).iter().zip(starts.rows()) {
                let nodes = t.gauss().unwrap().nodes;
                for (found, h) in nodes.values().iter().zip(h) {
                    assert!((found - h).abs() < 1e-12, "{found}, {h}");
                }
                for f in [|_| 1.0, |h: f64| h, |h: f64| (-h).exp()] {
                    assert_relative_eq!(
                        nodes.sum(f),
                        exact(&h, &basis, v, f),
                        max_relative = 1e-12
                    );
                }
                assert_eq!(t.radau(-1.0).unwrap(), nodes, "nothing is left out");
                let Gauss {
                    smallest: low,
                    largest: high,
                    ..
                } = t.gauss().unwrap();
                assert_eq!((low.residual, high.residual), (0.0, 0.0));
                assert!((low.value + 0.5).abs() + (high.value - 70.0).abs() < 1e-11);
            }
        }
    }

    /// Three eigenvalues, forty coordinates: three steps, whatever was asked for. One eigenvalue: one step.
    #[test]
    fn a_process_ends_with_its_krylov_space() {
        let mut h = vec![0.0; 20];
        h.extend([1.0; 15]);
        h.extend([3.0; 5]);
        let (matrix, basis) = symmetric(&h, 2);
        let starts = starts(1, 40);
        let t = &run(&matrix, &starts, 30)[0];
        assert_eq!((t.diagonal.len(), t.off_diagonal[2]), (3, 0.0));
        let f = |h: f64| h / (h + 0.1);
        let expected = exact(&h, &basis, starts.row(0), f);
        assert_relative_eq!(
            t.gauss().unwrap().nodes.sum(f),
            expected,
            max_relative = 1e-12
        );
        let flat = &run(
            &Array2::zeros((5, 5)),
            &array![[1.0, 0.0, 2.0, 0.0, 0.0]],
            4,
        )[0];
        assert_eq!(flat.diagonal, [0.0]);
        assert_eq!(flat.gauss().unwrap().nodes.sum(|h| h + 1.0), 5.0);
    }

    /// An outlier that converges at once is found once: without reorthogonalisation its copies appear.
    #[test]
    fn no_eigenvalue_is_found_twice() {
        let mut h: Vec<f64> = (0..300).map(|i| f64::from(i) / 300.0).collect();
        h.extend([1e4, 1e6]);
        let (matrix, _) = symmetric(&h, 3);
        let t = &run(&matrix, &starts(1, 302), 60)[0];
        assert_eq!(t.diagonal.len(), 60);
        let found = t.gauss().unwrap().nodes;
        let above = found.values().iter().filter(|&&v| v > 1.0).count();
        assert_eq!(above, 2, "{:?}", found.values());
        let largest = t.gauss().unwrap().largest;
        assert!((largest.value - 1e6).abs() < 1e-8 && largest.residual < 1e-8);
    }

    #[test]
    fn rows_and_blocks_do_not_matter() {
        let h: Vec<f64> = (0..30).map(|i| f64::from(i * i)).collect();
        let (matrix, _) = symmetric(&h, 4);
        let starts = starts(5, 30);
        let all = run(&matrix, &starts, 12);
        for block in [1, 2, 4] {
            let w = Array1::zeros(30);
            let other = in_blocks(&mut quadratic(&matrix), w.view(), starts.view(), 12, block);
            assert_eq!(other.unwrap(), all);
        }
        // one that ends early beside one that does not
        let mixed = ndarray::stack![ndarray::Axis(0), starts.row(0), Array1::ones(30)];
        let sum = Array2::ones((30, 30)) + Array2::<f64>::eye(30);
        let both = run(&sum, &mixed, 12);
        assert_eq!((both[0].diagonal.len(), both[1].diagonal.len()), (2, 1));
    }

    #[test]
    fn impossible_input_is_named() {
        let mut target = quadratic(&array![[1.0, 0.0], [0.0, f64::NAN]]);
        let mut run = |w: Array1<f64>, v: [f64; 2], n_steps| {
            let v = Array2::from_shape_vec((1, 2), v.to_vec()).unwrap();
            lanczos(&mut target, w.view(), v.view(), n_steps)
                .unwrap_err()
                .to_string()
        };
        let nan = run(array![0.0, f64::NAN], [1.0, 1.0], 2);
        assert_eq!(
            nan,
            "coordinate 1 of the point is NaN, expected a finite number"
        );
        assert!(run(array![0.0, 0.0], [1.0, 1.0], 0).contains("n_steps is 0"));
        assert!(run(array![0.0, 0.0], [0.0, 0.0], 2).contains("start 0 has length 0"));
        assert!(run(array![0.0, 0.0], [1.0, f64::NAN], 2).contains("start 0 has length NaN"));
        assert!(run(array![0.0, 0.0], [1.0, 1.0], 2).contains("start 0 at step 0"));
    }

    #[test]
    fn a_long_scalar_product() {
        let a: Vec<f64> = (0..20).map(f64::from).collect();
        assert_eq!(dot(&a, &a), 2470.0);
        assert_eq!(dot(&a[..7], &a[1..8]), 112.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// k steps: exact up to degree 2k - 1, with the Radau node up to 2k, and no further.
        #[test]
        fn degrees_of_exactness(gaps in prop::collection::vec(0.1..0.2, 12), seed: u64, k in 1usize..5) {
            let h: Vec<f64> = gaps.iter().scan(0.0, |h, gap| { *h += gap; Some(*h) }).collect();
            let (matrix, basis) = symmetric(&h, seed);
            let starts = starts(1, 12);
            let t = &run(&matrix, &starts, k)[0];
            let (gauss, radau) = (t.gauss().unwrap().nodes, t.radau(0.0).unwrap());
            let error = |nodes: &Nodes, degree: usize| {
                let f = |h: f64| h.powi(degree as i32);
                let expected = exact(&h, &basis, starts.row(0), f);
                (nodes.sum(f) - expected) / expected
            };
            for degree in 0..2 * k {
                prop_assert!(error(&gauss, degree).abs() < 1e-11);
            }
            for degree in 0..=2 * k {
                prop_assert!(error(&radau, degree).abs() < 1e-11);
            }
            // the first power that a rule does not integrate comes out too small
            prop_assert!(error(&gauss, 2 * k) < -1e-9);
            prop_assert!(error(&radau, 2 * k + 1) < -1e-9);
            prop_assert!((radau.values()[0]).abs() < 1e-12);
        }

        /// h/(h + c) lies between the two rules, and an eigenvalue within the residual of each Ritz value.
        #[test]
        fn two_rules_bracket_the_truth(
            h in prop::collection::vec(prop_oneof![Just(0.0), 1e-3..1.0, 1.0..100.0], 25),
            seed: u64, k in 1usize..10, c in 0.1..10.0,
        ) {
            let (matrix, basis) = symmetric(&h, seed);
            let starts = starts(1, 25);
            let t = &run(&matrix, &starts, k)[0];
            let f = |h: f64| h / (h + c);
            let truth = exact(&h, &basis, starts.row(0), f);
            let rounding = 1e-11 * (1.0 + truth);
            prop_assert!(t.radau(-1e-12).unwrap().sum(f) <= truth + rounding);
            prop_assert!(truth <= t.gauss().unwrap().nodes.sum(f) + rounding);
            let gauss = t.gauss().unwrap();
            for ritz in [gauss.smallest, gauss.largest] {
                let near = h.iter().map(|h| (h - ritz.value).abs()).fold(f64::INFINITY, f64::min);
                prop_assert!(near <= ritz.residual + 1e-11);
                prop_assert!(-1e-11 < ritz.value && ritz.value < 100.0 + 1e-11);
            }
        }
    }
}
