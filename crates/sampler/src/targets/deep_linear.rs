//! Deep linear networks `f(x) = W_L ... W_1 x` under the squared error; reduced-rank regression is depth 2.
//!
//! `L(w) = (factor / n) sum_i |y_i - P x_i|^2` with `P = W_L ... W_1`. The factor states the convention: 1 for the sum over outputs,
//! `1 / n_outputs` for the mean over outputs (Lau, Furman, Wang, Murfet and Wei 2023, arXiv:2308.12108), 1/2 for the negative
//! log-likelihood under unit noise.
//!
//! Our derivation: let `P0` be a least-squares solution and `r_i = y_i - P0 x_i`, so that `sum r_i x_i' = 0`. With `E = P - P0` and `S = sum x_i x_i' / n`,
//!
//! `L = factor (tr(E S E') + sum |r_i|^2 / n)`,   `dL/dP = 2 factor E S`:
//!
//! the data enter through `S` and `P0` alone, a step costs `3L - 2` products of the weights' size whatever `n` is, and near
//! the minimum no digits are lost, as they are in a difference of `y'y` and its fit. A minibatch has its own `S` and `C = sum r_i x_i' / b`,
//! `L = factor (tr(E S E') - 2 tr(E C') + sum |r_i|^2 / b)`; where it has no more samples than inputs, they are sent through the layers instead.

mod network;

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2};

use self::network::{Network, Samples};
use super::matrix_product::Matrix;
use super::quadratic::minimum_norm_solution;
use crate::target::{Batch, SampleLosses, Target};
use crate::targets::LeastSquaresError;

/// Why a deep linear network cannot be made a target.
#[derive(Debug, thiserror::Error)]
pub enum DeepLinearError {
    /// Not a network.
    #[error("widths are {0:?}; expected those of input and output at least, all positive")]
    Widths(Vec<usize>),
    /// Data or moments do not fit the network.
    #[error("{what} has shape {got:?}, expected {expected:?}")]
    Shape {
        /// Which argument.
        what: &'static str,
        /// What it should have been.
        expected: (usize, usize),
        /// What it is.
        got: (usize, usize),
    },
    /// No samples.
    #[error("there are no samples")]
    Empty,
    /// A number is not finite.
    #[error("{0} holds a value that is not finite")]
    NotFinite(&'static str),
    /// The factor is not a positive number.
    #[error("factor is {0}; expected a positive number (1: sum over outputs, 1/n_outputs: mean)")]
    Factor(f64),
    /// The best linear map was not found.
    #[error(transparent)]
    Solution(#[from] LeastSquaresError),
}

/// The squared error of a deep linear network.
///
/// A row holds `W_1, ..., W_L` one after the other, each row-major with shape `[widths[k], widths[k - 1]]`.
///
/// ```
/// use ndarray::array;
/// use slt_sampler::{Target, targets::DeepLinear};
///
/// // y = w2 w1 x, at w1 = 2, w2 = 3, on two samples of y = 5 x
/// let (x, y) = (array![[1.0], [3.0]], array![[5.0], [15.0]]);
/// let mut target = DeepLinear::new(&[1, 1, 1], x.view(), y.view(), 1.0)?;
/// let mut loss = [0.0];
/// target.loss(array![[2.0, 3.0]].view(), &mut loss);
/// assert!((loss[0] - (1.0 + 9.0) / 2.0).abs() < 1e-13);
/// # Ok::<(), slt_sampler::targets::DeepLinearError>(())
/// ```
#[derive(Debug, Clone)]
pub struct DeepLinear(Precision);

#[derive(Debug, Clone)]
enum Precision {
    Single(Network<f32>),
    Double(Network<f64>),
}

impl DeepLinear {
    /// The network's loss on these data.
    ///
    /// Shapes: `widths`: from input to output, `L + 1` of them; `x`: `[n, n_inputs]`; `y`: `[n, n_outputs]`.
    ///
    /// # Errors
    /// [`DeepLinearError`] where the arguments do not fit, a value is not finite, or LAPACK fails.
    pub fn new(
        widths: &[usize],
        x: ArrayView2<f64>,
        y: ArrayView2<f64>,
        factor: f64,
    ) -> Result<Self, DeepLinearError> {
        let (n_inputs, n_outputs) = ends(widths, factor)?;
        check("x", x, (x.nrows(), n_inputs))?;
        check("y", y, (x.nrows(), n_outputs))?;
        if x.is_empty() {
            return Err(DeepLinearError::Empty);
        }
        let best = minimum_norm_solution(x, y)?;
        let residuals = &y - &x.dot(&best);
        Ok(Self::of(widths, factor, best, x, Some(residuals)))
    }

    /// The network's loss on the noiseless data `y = teacher x`.
    ///
    /// Shapes: `x`: `[n, n_inputs]`; `teacher`: `[n_outputs, n_inputs]`.
    ///
    /// # Errors
    /// [`DeepLinearError`] where the arguments do not fit or a value is not finite.
    pub fn noiseless(
        widths: &[usize],
        x: ArrayView2<f64>,
        teacher: ArrayView2<f64>,
        factor: f64,
    ) -> Result<Self, DeepLinearError> {
        let (n_inputs, n_outputs) = ends(widths, factor)?;
        check("x", x, (x.nrows(), n_inputs))?;
        check("teacher", teacher, (n_outputs, n_inputs))?;
        if x.is_empty() {
            return Err(DeepLinearError::Empty);
        }
        Ok(Self::of(widths, factor, teacher.t().to_owned(), x, None))
    }

    /// The loss for inputs with second moments `E[x x']` and noiseless outputs `y = teacher x`, posing as `n_samples`
    /// samples: full batches only, no losses of single samples.
    ///
    /// Shapes: `second_moment`: `[n_inputs, n_inputs]`, symmetric; `teacher`: `[n_outputs, n_inputs]`.
    ///
    /// # Errors
    /// [`DeepLinearError`] where the arguments do not fit or a value is not finite.
    pub fn from_moments(
        widths: &[usize],
        second_moment: ArrayView2<f64>,
        teacher: ArrayView2<f64>,
        factor: f64,
        n_samples: usize,
    ) -> Result<Self, DeepLinearError> {
        let (n_inputs, n_outputs) = ends(widths, factor)?;
        check("second_moment", second_moment, (n_inputs, n_inputs))?;
        check("teacher", teacher, (n_outputs, n_inputs))?;
        if n_samples == 0 {
            return Err(DeepLinearError::Empty);
        }
        Ok(Self(Precision::Double(Network::new(
            widths,
            factor,
            n_samples,
            Matrix::of(second_moment),
            Matrix::of(teacher.t()),
            None,
        ))))
    }

    fn of(
        widths: &[usize],
        factor: f64,
        best: Array2<f64>,
        x: ArrayView2<f64>,
        residuals: Option<Array2<f64>>,
    ) -> Self {
        let n = x.nrows();
        let samples = Samples {
            x: x.iter().copied().collect(),
            residuals: residuals.map_or(vec![], |r| r.iter().copied().collect()),
        };
        Self(Precision::Double(Network::new(
            widths,
            factor,
            n,
            Matrix::of((x.t().dot(&x) / n as f64).view()),
            Matrix::of(best.view()),
            Some(Arc::new(samples)),
        )))
    }

    /// The same target with its matrix products in `f32`, about twice as fast.
    ///
    /// `P` has then errors of 1e-7 of its size: losses nearer to their minimum than the square of that are noise.
    #[must_use]
    pub fn single_precision(self) -> Self {
        match self.0 {
            Precision::Single(network) => Self(Precision::Single(network)),
            Precision::Double(network) => Self(Precision::Single(network.rounded())),
        }
    }

    /// Widths from input to output.
    pub fn widths(&self) -> &[usize] {
        match &self.0 {
            Precision::Single(network) => network.widths(),
            Precision::Double(network) => network.widths(),
        }
    }
}

fn ends(widths: &[usize], factor: f64) -> Result<(usize, usize), DeepLinearError> {
    if widths.len() < 2 || widths.contains(&0) {
        return Err(DeepLinearError::Widths(widths.to_vec()));
    }
    if !(0.0 < factor && factor.is_finite()) {
        return Err(DeepLinearError::Factor(factor));
    }
    Ok((widths[0], widths[widths.len() - 1]))
}

fn check(
    what: &'static str,
    values: ArrayView2<f64>,
    expected: (usize, usize),
) -> Result<(), DeepLinearError> {
    if values.dim() != expected {
        let got = values.dim();
        return Err(DeepLinearError::Shape {
            what,
            expected,
            got,
        });
    }
    if !values.iter().all(|v| v.is_finite()) {
        return Err(DeepLinearError::NotFinite(what));
    }
    Ok(())
}

impl Target for DeepLinear {
    fn n_params(&self) -> usize {
        self.widths().windows(2).map(|w| w[0] * w[1]).sum()
    }

    fn n_samples(&self) -> usize {
        match &self.0 {
            Precision::Single(network) => network.n_samples(),
            Precision::Double(network) => network.n_samples(),
        }
    }

    /// # Panics
    /// If asked for a minibatch where there are moments alone.
    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        match &mut self.0 {
            Precision::Single(network) => network.rows(rows, batch, Some(grad), loss),
            Precision::Double(network) => network.rows(rows, batch, Some(grad), loss),
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        match &mut self.0 {
            Precision::Single(network) => network.rows(rows, Batch::Full, None, loss),
            Precision::Double(network) => network.rows(rows, Batch::Full, None, loss),
        }
    }

    fn gradient_precision(&self) -> f64 {
        match self.0 {
            Precision::Single(_) => f32::EPSILON.into(),
            Precision::Double(_) => f64::EPSILON,
        }
    }

    fn n_rows_at_once(&self) -> usize {
        1
    }

    /// For a layer `√(2 factor) A` and `S^(1/2) B'`, with A the product of the layers after it and B that of those before.
    fn block_roots(
        &mut self,
        rows: ArrayView2<f64>,
        block: Range<usize>,
    ) -> Option<(Array3<f64>, Array3<f64>)> {
        let widths = self.widths();
        let mut ends = widths.windows(2).scan(0, |end, w| {
            let start = *end;
            *end += w[0] * w[1];
            Some(start..*end)
        });
        let layer = ends.position(|range| range == block)?;
        let (n_inputs, n_outputs) = (widths[0], widths[widths.len() - 1]);
        let mut left = Array3::zeros((rows.nrows(), n_outputs, widths[layer + 1]));
        let mut right = Array3::zeros((rows.nrows(), n_inputs, widths[layer]));
        let outs = left.outer_iter_mut().zip(right.outer_iter_mut());
        for (w, (left, right)) in rows.rows().into_iter().zip(outs) {
            let w = w.to_slice().expect("rows are contiguous");
            let [left, right] =
                [left, right].map(|root| root.into_slice().expect("roots are contiguous"));
            match &mut self.0 {
                Precision::Single(network) => network.layer_roots(w, layer, left, right),
                Precision::Double(network) => network.layer_roots(w, layer, left, right),
            }
        }
        Some((left, right))
    }
}

impl SampleLosses for DeepLinear {
    /// # Panics
    /// If there are moments alone.
    fn sample_losses(&mut self, rows: ArrayView2<f64>, mut out: ArrayViewMut2<f64>) {
        for (w, out) in rows.rows().into_iter().zip(out.rows_mut()) {
            let (w, out) = (w.to_slice().expect("rows are contiguous"), out.into_slice());
            let out = out.expect("losses are contiguous");
            match &mut self.0 {
                Precision::Single(network) => network.sample_losses(w, out),
                Precision::Double(network) => network.sample_losses(w, out),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hessian::block_hessians;
    use crate::targets::{gradient_check, minibatch_check, sample_losses_check};
    use ndarray::{Array1, Axis, array, s};

    fn wave(n_rows: usize, n_columns: usize, phase: f64) -> Array2<f64> {
        Array2::from_shape_fn((n_rows, n_columns), |(i, j)| {
            (phase + 1.7 * i as f64 + (0.9 + 0.31 * i as f64) * j as f64).sin()
        })
    }

    fn parameters(widths: &[usize]) -> Vec<f64> {
        let d: usize = widths.windows(2).map(|w| w[0] * w[1]).sum();
        (0..d).map(|i| (0.4 + 1.3 * i as f64).cos() / 1.5).collect()
    }

    /// The loss by its definition: every sample through every layer.
    fn by_definition(
        widths: &[usize],
        w: &[f64],
        x: &Array2<f64>,
        y: &Array2<f64>,
        factor: f64,
    ) -> f64 {
        let (mut h, mut at) = (x.clone(), 0);
        for k in widths.windows(2) {
            let layer =
                ArrayView2::from_shape((k[1], k[0]), &w[at..at + k[0] * k[1]]).expect("a layer");
            h = h.dot(&layer.t());
            at += k[0] * k[1];
        }
        factor * (y - &h).mapv(|e| e * e).sum() / x.nrows() as f64
    }

    const SHAPES: [&[usize]; 6] = [
        &[1, 1, 1],
        &[3, 2],
        &[4, 2, 3],
        &[3, 5, 1, 2],
        &[10, 10, 10],
        &[2, 3, 4, 3, 2, 2],
    ];

    #[test]
    fn losses_and_gradients_agree() {
        for widths in SHAPES {
            let (x, y) = (
                wave(12, widths[0], 0.2),
                wave(12, widths[widths.len() - 1], 1.1),
            );
            let w = parameters(widths);
            let mut target = DeepLinear::new(widths, x.view(), y.view(), 0.5).expect("fits");
            let mut loss = [0.0];
            target.loss(
                ArrayView2::from_shape((1, w.len()), &w).expect("one row"),
                &mut loss,
            );
            let expected = by_definition(widths, &w, &x, &y, 0.5);
            approx::assert_relative_eq!(loss[0], expected, max_relative = 1e-13);
            gradient_check(&mut target, &w);
            sample_losses_check(&mut target, &w);
            // batches of 6: more and fewer samples than inputs
            minibatch_check(&mut target, &w, |k| {
                let (x, y) = (x.select(Axis(0), k), y.select(Axis(0), k));
                DeepLinear::new(widths, x.view(), y.view(), 0.5).expect("fits")
            });
            gradient_check(&mut target, &w);
        }
    }

    #[test]
    fn without_noise_the_teacher_is_the_minimum() {
        for widths in SHAPES {
            let teacher = wave(widths[widths.len() - 1], widths[0], 0.6);
            let (x, w) = (wave(12, widths[0], 0.2), parameters(widths));
            let y = x.dot(&teacher.t());
            let mut target =
                DeepLinear::noiseless(widths, x.view(), teacher.view(), 2.0).expect("fits");
            let mut fitted = DeepLinear::new(widths, x.view(), y.view(), 2.0).expect("fits");
            let moment = x.t().dot(&x) / 12.0;
            let mut moments =
                DeepLinear::from_moments(widths, moment.view(), teacher.view(), 2.0, 12)
                    .expect("fits");
            let rows = Array2::from_shape_vec((1, w.len()), w.clone()).expect("one row");
            let (mut a, mut b, mut c) = ([0.0], [0.0], [0.0]);
            target.loss(rows.view(), &mut a);
            fitted.loss(rows.view(), &mut b);
            moments.loss(rows.view(), &mut c);
            approx::assert_relative_eq!(a[0], b[0], max_relative = 1e-12);
            assert_eq!(a, c);
            gradient_check(&mut target, &w);
            sample_losses_check(&mut target, &w);
            minibatch_check(&mut target, &w, |k| {
                DeepLinear::noiseless(widths, x.select(Axis(0), k).view(), teacher.view(), 2.0)
                    .expect("fits")
            });
        }
    }

    /// `K = 1e-12` and less keeps its digits: at `W = (t, t)` with `t^2 = 1 + e`, `K = S e^2`.
    #[test]
    fn tiny_losses_keep_their_digits() {
        let mut target = DeepLinear::from_moments(
            &[1, 1, 1],
            array![[4.0]].view(),
            array![[1.0]].view(),
            1.0,
            10,
        )
        .expect("fits");
        for e in [2f64.powi(-20), 2f64.powi(-30)] {
            let mut loss = [0.0];
            target.loss(array![[1.0, 1.0 + e]].view(), &mut loss);
            assert_eq!(loss[0], 4.0 * e * e);
        }
        // in a wide network, against the same in exact arithmetic up to rounding of the weights
        let widths = [50, 50, 50];
        let mut target = DeepLinear::from_moments(
            &widths,
            Array2::eye(50).view(),
            Array2::eye(50).view(),
            1.0,
            10,
        )
        .expect("fits");
        let e = 2f64.powi(-24);
        let second = Array2::<f64>::eye(50) + e * wave(50, 50, 0.3).mapv(f64::round);
        let w: Array1<f64> = Array2::<f64>::eye(50)
            .iter()
            .chain(&second)
            .copied()
            .collect();
        let mut loss = [0.0];
        target.loss(w.view().insert_axis(Axis(0)), &mut loss);
        let expected = e * e * wave(50, 50, 0.3).mapv(|v| v.round().abs()).sum();
        assert!(expected < 1e-11);
        approx::assert_relative_eq!(loss[0], expected, max_relative = 1e-14);
    }

    /// Single precision is the same function to 1e-5, for batches by moments and by layers, narrow and wide.
    #[test]
    fn single_precision_is_close() {
        for widths in [&[3usize, 4, 2] as &[usize], &[20, 18, 17], &[70, 5, 66]] {
            let (x, y) = (
                wave(90, widths[0], 0.2),
                wave(90, widths[widths.len() - 1], 1.1),
            );
            let w = Array2::from_shape_vec((1, parameters(widths).len()), parameters(widths))
                .expect("one row");
            let mut double = DeepLinear::new(widths, x.view(), y.view(), 1.0).expect("fits");
            let mut single = double.clone().single_precision();
            let indices = Array2::from_shape_fn((1, 80), |(_, i)| (7 * i as u32) % 90);
            let some = indices.slice(s![.., ..2]);
            for batch in [Batch::Full, Batch::Rows(indices.view()), Batch::Rows(some)] {
                let (mut a, mut b) = (Array2::zeros(w.dim()), Array2::zeros(w.dim()));
                let (mut la, mut lb) = ([0.0], [0.0]);
                double.loss_and_grad(w.view(), batch, a.view_mut(), &mut la);
                single.loss_and_grad(w.view(), batch, b.view_mut(), &mut lb);
                approx::assert_relative_eq!(la[0], lb[0], max_relative = 1e-5);
                let size = a.fold(0.0, |m: f64, v| m.max(v.abs()));
                for (a, b) in a.iter().zip(&b) {
                    approx::assert_relative_eq!(*a, *b, epsilon = 1e-5 * size);
                }
                assert_ne!(a, b);
            }
        }
    }

    /// Of every layer, in either precision, against differences; a part of a layer has none.
    #[test]
    fn roots_of_the_second_derivatives_within_a_layer() {
        for widths in SHAPES {
            let (n_in, n_out) = (widths[0], widths[widths.len() - 1]);
            // fewer samples than some networks have inputs: moments without an inverse
            let x = wave(8, n_in, 0.2);
            let moment = x.t().dot(&x) / 8.0;
            let teacher = wave(n_out, n_in, 0.6);
            let mut double =
                DeepLinear::from_moments(widths, moment.view(), teacher.view(), 0.7, 8)
                    .expect("fits");
            let mut single = double.clone().single_precision();
            let w = parameters(widths);
            let rows = Array2::from_shape_fn((2, w.len()), |(i, j)| w[j] * (1.0 + i as f64));
            let (mut grads, mut losses) = (Array2::zeros(rows.dim()), [0.0; 2]);
            double.loss_and_grad(rows.view(), Batch::Full, grads.view_mut(), &mut losses);
            let mut start = 0;
            for layer in widths.windows(2) {
                let b = layer[0] * layer[1];
                let block = start..start + b;
                start += b;
                let mut differences = Array3::zeros((2, b, b));
                let out = differences.view_mut();
                block_hessians(
                    &mut double,
                    rows.view(),
                    grads.view(),
                    block.clone(),
                    1.0,
                    out,
                );
                let size = differences.fold(0.0, |m: f64, v| m.max(v.abs()));
                assert!(size > 0.0);
                for (target, tolerance) in [(&mut double, 1e-12), (&mut single, 1e-5)] {
                    let (left, right) = target
                        .block_roots(rows.view(), block.clone())
                        .expect("a layer");
                    for (k, expected) in differences.outer_iter().enumerate() {
                        let gram = |root: &Array3<f64>| {
                            let root = root.index_axis(Axis(0), k);
                            root.t().dot(&root)
                        };
                        let (l, r) = (gram(&left), gram(&right));
                        for ((i, j), expected) in expected.indexed_iter() {
                            let q = layer[0];
                            let found = l[[i / q, j / q]] * r[[i % q, j % q]];
                            approx::assert_relative_eq!(
                                found,
                                *expected,
                                epsilon = tolerance * size
                            );
                        }
                    }
                }
                if b > 1 {
                    let part = block.start..block.end - 1;
                    assert_eq!(double.block_roots(rows.view(), part), None);
                }
            }
        }
    }

    /// Also where a batch after it is evaluated by other means than the full one.
    #[test]
    fn a_nan_stays_in_its_row() {
        for widths in [[10, 10, 10], [3, 4, 2], [4, 4, 4]] {
            let d = widths[0] * widths[1] + widths[1] * widths[2];
            let (x, y) = (wave(12, widths[0], 0.2), wave(12, widths[2], 1.1));
            let mut clean = DeepLinear::new(&widths, x.view(), y.view(), 1.0).expect("fits");
            let mut soiled = clean.clone();
            let mut rows = Array2::from_shape_fn((2, d), |(_, j)| parameters(&widths)[j]);
            rows[[0, 7]] = f64::NAN;
            let indices = array![[1u32, 2], [3, 4]];
            let many = Array2::from_shape_fn((2, 11), |(i, j)| (i + j) as u32);
            let some = indices.slice(s![.., ..1]);
            let batches = [indices.view(), many.view(), some].map(Batch::Rows);
            for batch in [Batch::Full].into_iter().chain(batches) {
                let (mut grad, mut loss) = (Array2::zeros((2, d)), [0.0; 2]);
                soiled.loss_and_grad(rows.view(), batch, grad.view_mut(), &mut loss);
                assert!(loss[0].is_nan());
                let own = match batch {
                    Batch::Full => Batch::Full,
                    Batch::Rows(indices) => Batch::Rows(indices.slice_move(s![1.., ..])),
                };
                let (mut alone, mut value) = (Array2::zeros((1, d)), [0.0]);
                clean.loss_and_grad(rows.slice(s![1.., ..]), own, alone.view_mut(), &mut value);
                assert_eq!((loss[1], grad.row(1)), (value[0], alone.row(0)));
                assert!(value[0].is_finite() && alone.iter().all(|g| g.is_finite()));
            }
        }
    }

    #[test]
    fn bad_input_is_named() {
        let (x, y) = (wave(5, 3, 0.0), wave(5, 2, 0.0));
        let message = |widths: &[usize], x: &Array2<f64>, y: &Array2<f64>, factor| {
            DeepLinear::new(widths, x.view(), y.view(), factor)
                .expect_err("refused")
                .to_string()
        };
        assert!(message(&[3], &x, &y, 1.0).starts_with("widths are [3]"));
        assert!(message(&[3, 0, 2], &x, &y, 1.0).starts_with("widths are [3, 0, 2]"));
        assert!(message(&[4, 2], &x, &y, 1.0).starts_with("x has shape (5, 3), expected (5, 4)"));
        assert!(message(&[3, 1], &x, &y, 1.0).starts_with("y has shape (5, 2), expected (5, 1)"));
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(message(&[3, 2], &x, &y, factor).starts_with("factor is "));
        }
        let mut nan = y.clone();
        nan[[0, 1]] = f64::NAN;
        assert!(message(&[3, 2], &x, &nan, 1.0).starts_with("y holds a value"));
        let empty = (Array2::zeros((0, 3)), Array2::zeros((0, 2)));
        assert_eq!(
            message(&[3, 2], &empty.0, &empty.1, 1.0),
            "there are no samples"
        );
    }
}
