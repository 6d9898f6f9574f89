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

use std::sync::Arc;

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis};

use super::matrix_product::{Factor, Real, Size, padded, product};
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
        Ok(Self(Precision::Double(Network {
            factor,
            offset: 0.0,
            n_samples,
            second_moment: Matrix::of(second_moment),
            best: Matrix::of(teacher.t()),
            samples: None,
            work: Work::new(widths),
            widths: widths.to_vec(),
        })))
    }

    fn of(
        widths: &[usize],
        factor: f64,
        best: Array2<f64>,
        x: ArrayView2<f64>,
        residuals: Option<Array2<f64>>,
    ) -> Self {
        let n = x.nrows() as f64;
        let square = residuals
            .as_ref()
            .map_or(0.0, |r| r.iter().map(|r| r * r).sum());
        Self(Precision::Double(Network {
            factor,
            offset: factor * square / n,
            n_samples: x.nrows(),
            second_moment: Matrix::of((x.t().dot(&x) / n).view()),
            best: Matrix::of(best.view()),
            samples: Some(Arc::new(Samples {
                x: x.iter().copied().collect(),
                residuals: residuals.map_or(vec![], |r| r.iter().copied().collect()),
            })),
            work: Work::new(widths),
            widths: widths.to_vec(),
        }))
    }

    /// The same target with its matrix products in `f32`, about twice as fast.
    ///
    /// `P` has then errors of 1e-7 of its size: losses nearer to their minimum than the square of that are noise.
    #[must_use]
    pub fn single_precision(self) -> Self {
        match self.0 {
            Precision::Single(network) => Self(Precision::Single(network)),
            Precision::Double(network) => Self(Precision::Single(Network {
                factor: network.factor,
                offset: network.offset,
                n_samples: network.n_samples,
                second_moment: network.second_moment.rounded(),
                best: network.best.rounded(),
                samples: network.samples.map(|samples| {
                    let round = |v: &[f64]| v.iter().map(|&v| v as f32).collect();
                    Arc::new(Samples {
                        x: round(&samples.x),
                        residuals: round(&samples.residuals),
                    })
                }),
                work: Work::new(&network.widths),
                widths: network.widths,
            })),
        }
    }

    /// Widths from input to output.
    pub fn widths(&self) -> &[usize] {
        match &self.0 {
            Precision::Single(network) => &network.widths,
            Precision::Double(network) => &network.widths,
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

/// Row-major with padded rows.
#[derive(Debug, Clone)]
struct Matrix<T> {
    values: Vec<T>,
    stride: usize,
}

impl<T: Real> Matrix<T> {
    fn zeros(n_rows: usize, n_columns: usize) -> Self {
        let stride = padded(n_columns);
        Self {
            values: vec![T::default(); n_rows * stride],
            stride,
        }
    }

    fn plain(&self) -> Factor<'_, T> {
        Factor::Plain(&self.values, self.stride)
    }

    fn transposed(&self) -> Factor<'_, T> {
        Factor::Transposed(&self.values, self.stride)
    }

    fn row(&self, i: usize) -> &[T] {
        &self.values[i * self.stride..(i + 1) * self.stride]
    }

    fn row_mut(&mut self, i: usize) -> &mut [T] {
        &mut self.values[i * self.stride..(i + 1) * self.stride]
    }
}

impl Matrix<f64> {
    fn of(values: ArrayView2<f64>) -> Self {
        let mut out = Self::zeros(values.nrows(), values.ncols());
        for (i, row) in values.rows().into_iter().enumerate() {
            out.row_mut(i)
                .iter_mut()
                .zip(row)
                .for_each(|(o, &v)| *o = v);
        }
        out
    }

    fn rounded(&self) -> Matrix<f32> {
        Matrix {
            values: self.values.iter().map(|&v| v as f32).collect(),
            stride: self.stride,
        }
    }
}

#[derive(Debug)]
struct Samples<T> {
    /// `[n, n_inputs]`.
    x: Vec<T>,
    /// `y - P0 x`, `[n, n_outputs]`; empty where there is no noise.
    residuals: Vec<T>,
}

#[derive(Debug, Clone)]
struct Network<T> {
    widths: Vec<usize>,
    factor: f64,
    /// `factor` times the mean square of the residuals.
    offset: f64,
    n_samples: usize,
    second_moment: Matrix<T>,
    /// The transpose of `P0`, `[n_inputs, n_outputs]`.
    best: Matrix<T>,
    samples: Option<Arc<Samples<T>>>,
    work: Work<T>,
}

/// Where a row is evaluated. A panel has one line for each input, or for each sample of a small batch.
#[derive(Debug, Clone)]
struct Work<T> {
    /// `W_k`, `[widths[k], widths[k - 1]]`, at `k - 1`.
    weights: Vec<Matrix<T>>,
    /// Their transposes.
    transposes: Vec<Matrix<T>>,
    /// The samples of a batch, `[b, n_inputs]`, and their residuals, `[b, n_outputs]`.
    batch: Matrix<T>,
    residuals: Matrix<T>,
    /// Moments of the batch.
    second_moment: Matrix<T>,
    cross_moment: Matrix<T>,
    /// What the layers up to the k-th make of the panel, at `k - 1`; with inputs for panel, the first is a transpose above.
    forward: Vec<Matrix<T>>,
    /// The derivative by the k-th layer's output, at `k - 1`.
    backward: Vec<Matrix<T>>,
    /// The derivative by `W_k`, at `k - 1`.
    grads: Vec<Matrix<T>>,
    /// What the outputs should be.
    wanted: Matrix<T>,
}

impl<T: Real> Work<T> {
    fn new(widths: &[usize]) -> Self {
        let (n_inputs, n_outputs) = (widths[0], widths[widths.len() - 1]);
        let layers = |f: &dyn Fn(usize, usize) -> Matrix<T>| -> Vec<Matrix<T>> {
            widths.windows(2).map(|w| f(w[0], w[1])).collect()
        };
        Self {
            weights: layers(&|from, to| Matrix::zeros(to, from)),
            transposes: layers(&|from, to| Matrix::zeros(from, to)),
            batch: Matrix::zeros(0, n_inputs),
            residuals: Matrix::zeros(0, n_outputs),
            second_moment: Matrix::zeros(n_inputs, n_inputs),
            cross_moment: Matrix::zeros(n_inputs, n_outputs),
            forward: layers(&|_, to| Matrix::zeros(n_inputs, to)),
            backward: layers(&|_, to| Matrix::zeros(n_inputs, to)),
            grads: layers(&|from, to| Matrix::zeros(to, from)),
            wanted: Matrix::zeros(n_inputs, n_outputs),
        }
    }

    fn load(&mut self, widths: &[usize], mut w: &[f64]) {
        for (k, (plain, transpose)) in self
            .weights
            .iter_mut()
            .zip(&mut self.transposes)
            .enumerate()
        {
            let (from, to) = (widths[k], widths[k + 1]);
            let (layer, rest) = w.split_at(from * to);
            for (i, layer) in layer.chunks_exact(from).enumerate() {
                let row = plain.row_mut(i);
                for (j, (p, &w)) in row.iter_mut().zip(layer).enumerate() {
                    *p = T::of(w);
                    transpose.values[j * transpose.stride + i] = *p;
                }
            }
            w = rest;
        }
    }

    /// The samples `indices`, and their residuals if there are any.
    fn gather(
        &mut self,
        samples: &Samples<T>,
        widths: &[usize],
        indices: impl ExactSizeIterator<Item = usize>,
    ) {
        let (n_inputs, n_outputs) = (widths[0], widths[widths.len() - 1]);
        let needed = indices.len() * self.batch.stride;
        if self.batch.values.len() < needed {
            self.batch.values.resize(needed, T::default());
            let needed = indices.len() * self.residuals.stride;
            self.residuals.values.resize(needed, T::default());
        }
        for (i, k) in indices.enumerate() {
            self.batch.row_mut(i)[..n_inputs]
                .copy_from_slice(&samples.x[k * n_inputs..][..n_inputs]);
            if !samples.residuals.is_empty() {
                let residual = &samples.residuals[k * n_outputs..][..n_outputs];
                self.residuals.row_mut(i)[..n_outputs].copy_from_slice(residual);
            }
        }
    }
}

impl<T: Real> Network<T> {
    fn n_inputs(&self) -> usize {
        self.widths[0]
    }

    fn n_outputs(&self) -> usize {
        self.widths[self.widths.len() - 1]
    }

    fn depth(&self) -> usize {
        self.widths.len() - 1
    }

    /// The loss of one row, and its gradient if asked for.
    fn evaluate(
        &mut self,
        w: &[f64],
        batch: Option<ArrayView1<u32>>,
        grad: Option<&mut [f64]>,
    ) -> f64 {
        self.work.load(&self.widths, w);
        let Some(indices) = batch else {
            return self.by_moments(None, grad);
        };
        let samples = self.samples.clone();
        let samples = samples.expect("a target made of moments has no samples: full batches only");
        let b = indices.len();
        self.work
            .gather(&samples, &self.widths, indices.iter().map(|&k| k as usize));
        let noisy = !samples.residuals.is_empty();
        if b > self.n_inputs() {
            self.by_moments(Some((b, noisy)), grad)
        } else {
            self.by_layers(b, noisy, grad)
        }
    }

    /// The product of all weights less the best one, transposed, into the last of `forward`.
    fn error(&mut self) {
        let (n_inputs, n_outputs, depth) = (self.n_inputs(), self.n_outputs(), self.depth());
        let Work {
            transposes,
            forward,
            ..
        } = &mut self.work;
        if depth == 1 {
            forward[0].values.copy_from_slice(&transposes[0].values);
        }
        for k in 1..depth {
            let (before, after) = forward.split_at_mut(k);
            let from = if k == 1 {
                &transposes[0]
            } else {
                &before[k - 1]
            };
            let size = Size {
                rows: n_inputs,
                inner: self.widths[k],
                columns: self.widths[k + 1],
            };
            product(
                size,
                from.plain(),
                &transposes[k].values,
                &mut after[0].values,
            );
        }
        let error = &mut forward[depth - 1];
        for i in 0..n_inputs {
            let row = error.row_mut(i)[..n_outputs].iter_mut();
            row.zip(self.best.row(i)).for_each(|(e, &b)| *e -= b);
        }
    }

    fn by_moments(&mut self, batch: Option<(usize, bool)>, grad: Option<&mut [f64]>) -> f64 {
        self.error();
        let (n_inputs, n_outputs, depth) = (self.n_inputs(), self.n_outputs(), self.depth());
        let work = &mut self.work;
        let size = Size {
            rows: n_inputs,
            inner: n_inputs,
            columns: n_outputs,
        };
        let mut scale = 1.0;
        let mut noise = None;
        let moment = match batch {
            None => &self.second_moment,
            Some((b, noisy)) => {
                scale = 1.0 / b as f64;
                let columns = |columns| Size {
                    rows: n_inputs,
                    inner: b,
                    columns,
                };
                let x = work.batch.transposed();
                product(
                    columns(n_inputs),
                    x,
                    &work.batch.values,
                    &mut work.second_moment.values,
                );
                if noisy {
                    let r = &work.residuals.values;
                    product(columns(n_outputs), x, r, &mut work.cross_moment.values);
                    noise = Some(sum_of_products(
                        &work.residuals,
                        &work.residuals,
                        b,
                        n_outputs,
                    ));
                }
                &work.second_moment
            }
        };
        let (error, slope) = (&work.forward[depth - 1], &mut work.backward[depth - 1]);
        product(size, moment.plain(), &error.values, &mut slope.values);
        let mut loss = sum_of_products(error, slope, n_inputs, n_outputs);
        if let Some(noise) = noise {
            loss += noise - 2.0 * sum_of_products(error, &work.cross_moment, n_inputs, n_outputs);
            for i in 0..n_inputs {
                let row = slope.row_mut(i)[..n_outputs].iter_mut();
                row.zip(work.cross_moment.row(i))
                    .for_each(|(s, &c)| *s -= c);
            }
        }
        if let Some(grad) = grad {
            self.back(n_inputs, true, 2.0 * self.factor * scale, grad);
        }
        let offset = if batch.is_none() { self.offset } else { 0.0 };
        self.factor * scale * loss + offset
    }

    fn by_layers(&mut self, b: usize, noisy: bool, grad: Option<&mut [f64]>) -> f64 {
        let (n_inputs, n_outputs, depth) = (self.n_inputs(), self.n_outputs(), self.depth());
        let work = &mut self.work;
        for k in 0..depth {
            let (before, after) = work.forward.split_at_mut(k);
            let from = before.last().unwrap_or(&work.batch);
            let size = Size {
                rows: b,
                inner: self.widths[k],
                columns: self.widths[k + 1],
            };
            product(
                size,
                from.plain(),
                &work.transposes[k].values,
                &mut after[0].values,
            );
        }
        let size = Size {
            rows: b,
            inner: n_inputs,
            columns: n_outputs,
        };
        product(
            size,
            work.batch.plain(),
            &self.best.values,
            &mut work.wanted.values,
        );
        let slope = &mut work.backward[depth - 1];
        for i in 0..b {
            let (output, wanted) = (work.forward[depth - 1].row(i), work.wanted.row(i));
            for (j, slope) in slope.row_mut(i)[..n_outputs].iter_mut().enumerate() {
                *slope = output[j] - wanted[j];
                if noisy {
                    *slope -= work.residuals.row(i)[j];
                }
            }
        }
        let loss = sum_of_products(slope, slope, b, n_outputs) / b as f64;
        if let Some(grad) = grad {
            self.back(b, false, 2.0 * self.factor / b as f64, grad);
        }
        self.factor * loss
    }

    /// From the last of `backward` to the gradient. The panel is the inputs or the batch.
    fn back(&mut self, n_rows: usize, inputs: bool, scale: f64, mut grad: &mut [f64]) {
        let work = &mut self.work;
        for k in (0..self.widths.len() - 1).rev() {
            let (from, to) = (self.widths[k], self.widths[k + 1]);
            let (before, after) = work.backward.split_at_mut(k);
            let slope = &after[0];
            let (rest, out) = grad.split_at_mut(grad.len() - from * to);
            if k == 0 && inputs {
                // the panel is the identity
                for (i, out) in out.chunks_exact_mut(from).enumerate() {
                    for (j, out) in out.iter_mut().enumerate() {
                        *out = scale * slope.values[j * slope.stride + i].to_f64();
                    }
                }
                return;
            }
            let panel = match k {
                0 => &work.batch,
                1 if inputs => &work.transposes[0],
                _ => &work.forward[k - 1],
            };
            let size = Size {
                rows: to,
                inner: n_rows,
                columns: from,
            };
            let sums = &mut work.grads[k];
            product(size, slope.transposed(), &panel.values, &mut sums.values);
            for (i, out) in out.chunks_exact_mut(from).enumerate() {
                out.iter_mut()
                    .zip(sums.row(i))
                    .for_each(|(o, &s)| *o = scale * s.to_f64());
            }
            if let Some(below) = before.last_mut() {
                let size = Size {
                    rows: n_rows,
                    inner: to,
                    columns: from,
                };
                product(
                    size,
                    slope.plain(),
                    &work.weights[k].values,
                    &mut below.values,
                );
            }
            grad = rest;
        }
    }

    fn sample_losses(&mut self, w: &[f64], out: &mut [f64]) {
        let samples = self.samples.clone();
        let samples = samples.expect("a target made of moments has no samples");
        let (n_inputs, n_outputs, depth) = (self.n_inputs(), self.n_outputs(), self.depth());
        self.work.load(&self.widths, w);
        self.error();
        for (block, out) in out.chunks_mut(n_inputs).enumerate() {
            let first = block * n_inputs;
            self.work
                .gather(&samples, &self.widths, first..first + out.len());
            let work = &mut self.work;
            let size = Size {
                rows: out.len(),
                inner: n_inputs,
                columns: n_outputs,
            };
            let error = &work.forward[depth - 1].values;
            product(size, work.batch.plain(), error, &mut work.wanted.values);
            for (i, out) in out.iter_mut().enumerate() {
                let square = |j: usize| {
                    let mut e = work.wanted.row(i)[j].to_f64();
                    if !samples.residuals.is_empty() {
                        e -= work.residuals.row(i)[j].to_f64();
                    }
                    e * e
                };
                *out = self.factor * (0..n_outputs).map(square).sum::<f64>();
            }
        }
    }

    fn rows(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        mut grad: Option<ArrayViewMut2<f64>>,
        loss: &mut [f64],
    ) {
        for (i, (w, loss)) in rows.rows().into_iter().zip(loss).enumerate() {
            let indices = match batch {
                Batch::Full => None,
                Batch::Rows(indices) => Some(indices.index_axis_move(Axis(0), i)),
            };
            let grad = grad
                .as_mut()
                .map(|g| g.row_mut(i).into_slice().expect("gradients are contiguous"));
            *loss = self.evaluate(w.to_slice().expect("rows are contiguous"), indices, grad);
        }
    }
}

/// `sum_ij a_ij b_ij` over the first rows and columns, in `f64`.
fn sum_of_products<T: Real>(a: &Matrix<T>, b: &Matrix<T>, n_rows: usize, n_columns: usize) -> f64 {
    let row = |i: usize| {
        let (a, b) = (&a.row(i)[..n_columns], &b.row(i)[..n_columns]);
        a.iter()
            .zip(b)
            .map(|(a, b)| a.to_f64() * b.to_f64())
            .sum::<f64>()
    };
    (0..n_rows).map(row).sum()
}

impl Target for DeepLinear {
    fn n_params(&self) -> usize {
        self.widths().windows(2).map(|w| w[0] * w[1]).sum()
    }

    fn n_samples(&self) -> usize {
        match &self.0 {
            Precision::Single(network) => network.n_samples,
            Precision::Double(network) => network.n_samples,
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
    use crate::targets::{gradient_check, minibatch_check, sample_losses_check};
    use ndarray::{Array1, array, s};

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

    #[test]
    fn a_nan_stays_in_its_row() {
        let widths = [10, 10, 10];
        let (x, y) = (wave(12, 10, 0.2), wave(12, 10, 1.1));
        let mut target = DeepLinear::new(&widths, x.view(), y.view(), 1.0).expect("fits");
        let mut rows = Array2::from_shape_fn((3, 200), |(_, j)| parameters(&widths)[j]);
        rows[[1, 7]] = f64::NAN;
        let (mut grad, mut loss) = (Array2::zeros((3, 200)), [0.0; 3]);
        target.loss_and_grad(rows.view(), Batch::Full, grad.view_mut(), &mut loss);
        assert!(loss[1].is_nan() && loss[0].is_finite());
        assert_eq!((loss[0], grad.row(0)), (loss[2], grad.row(2)));
        assert!(grad.row(2).iter().all(|g| g.is_finite()));
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
