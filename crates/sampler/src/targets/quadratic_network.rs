//! Quadratic networks `f_c(x) = sum_k V_ck (w_k . x)^2` under the halved squared error.
//!
//! `L(w) = 1/(2n) sum_i |e_i|^2`, `e_i = f(x_i) - y_i`: the sum over outputs, the mean over samples, as in the code of Cullen, Estan-Ruiz, Danait and
//! Li (2026, arXiv:2603.01192v3), of whose networks for modular addition this is one. Their projector takes the mean over the samples off
//! each output: the [centred](QuadraticNetwork::centred) loss has `e_i - mean_j e_j` for `e_i`, the mean over the samples of the
//! gradient, be they all or a minibatch. A projector is its own square, so that the gradient has the same form.

use std::sync::Arc;

use multiversion::multiversion;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

use super::blocks::{BLOCK, each_row, take};
use super::loss::largest;
use super::matrix_product::{Matrix, Real, Size, product};
use crate::target::{Batch, SampleLosses, Target};

/// Why a quadratic network cannot be made a target.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuadraticNetworkError {
    /// No samples, inputs, hidden units or outputs.
    #[error(
        "there are {n_samples} samples, {n_inputs} inputs, {n_hidden} hidden units and {n_outputs} outputs; expected some of each"
    )]
    Empty {
        /// Samples.
        n_samples: usize,
        /// Inputs.
        n_inputs: usize,
        /// Hidden units.
        n_hidden: usize,
        /// Outputs.
        n_outputs: usize,
    },
    /// Inputs and outputs do not go together.
    #[error("{inputs} inputs for {outputs} outputs")]
    Samples {
        /// Samples of inputs.
        inputs: usize,
        /// Samples of outputs.
        outputs: usize,
    },
    /// A pair is not in the table.
    #[error("pair {index} is {pair:?}; expected both below {modulus}")]
    Pair {
        /// Which.
        index: usize,
        /// What it is.
        pair: [u32; 2],
        /// What it should be below.
        modulus: usize,
    },
    /// A number is not finite.
    #[error("the data hold a value that is not finite")]
    NotFinite,
}

/// The halved squared error of a quadratic network.
///
/// A row holds `W`, shape `[n_inputs, n_hidden]` with `w_k` as its columns, then `V`, shape `[n_outputs, n_hidden]`, both row-major.
///
/// ```
/// use ndarray::array;
/// use slt_sampler::{Target, targets::QuadraticNetwork};
///
/// // 3 (2 x)^2 against y = 10 at x = 1
/// let mut target = QuadraticNetwork::dense(1, array![[1.0]].view(), array![[10.0]].view())?;
/// let mut loss = [0.0];
/// target.loss(array![[2.0, 3.0]].view(), &mut loss);
/// assert_eq!(loss, [0.5 * 4.0]);
/// # Ok::<(), slt_sampler::targets::QuadraticNetworkError>(())
/// ```
#[derive(Debug, Clone)]
pub struct QuadraticNetwork(Precision);

#[derive(Debug, Clone)]
enum Precision {
    Single(Network<f32>),
    Double(Network<f64>),
}

impl QuadraticNetwork {
    /// A network of `n_hidden` units on these data.
    ///
    /// Shapes: `x`: `[n, n_inputs]`; `y`: `[n, n_outputs]`.
    ///
    /// # Errors
    /// [`QuadraticNetworkError`] where lengths differ, something is empty, or a value is not finite.
    pub fn dense(
        n_hidden: usize,
        x: ArrayView2<f64>,
        y: ArrayView2<f64>,
    ) -> Result<Self, QuadraticNetworkError> {
        if !x.iter().all(|v| v.is_finite()) {
            return Err(QuadraticNetworkError::NotFinite);
        }
        let inputs = Inputs::Dense(x.iter().copied().collect());
        Self::of([x.nrows(), x.ncols(), n_hidden], inputs, y)
    }

    /// A network whose inputs are pairs `(a, b)` of numbers below `modulus`, one-hot: `x = (e_a, e_b)`. No input is multiplied by a zero:
    /// `w . x` is the sum of two weights.
    ///
    /// Shapes: `y`: `[n, n_outputs]`.
    ///
    /// # Errors
    /// As [`Self::dense`], and where a number is not below `modulus`.
    pub fn one_hot_pairs(
        n_hidden: usize,
        modulus: usize,
        pairs: &[[u32; 2]],
        y: ArrayView2<f64>,
    ) -> Result<Self, QuadraticNetworkError> {
        let beyond = |pair: &[u32; 2]| pair.iter().any(|&v| v as usize >= modulus);
        if let Some(index) = pairs.iter().position(beyond) {
            let pair = pairs[index];
            return Err(QuadraticNetworkError::Pair {
                index,
                pair,
                modulus,
            });
        }
        let inputs = Inputs::Pairs(pairs.to_vec());
        Self::of([pairs.len(), 2 * modulus, n_hidden], inputs, y)
    }

    /// Addition modulo `modulus` of these pairs, with one-hot outputs.
    ///
    /// # Errors
    /// As [`Self::one_hot_pairs`].
    pub fn modular_addition(
        n_hidden: usize,
        modulus: usize,
        pairs: &[[u32; 2]],
    ) -> Result<Self, QuadraticNetworkError> {
        let mut y = Array2::zeros((pairs.len(), modulus));
        for (mut y, pair) in y.rows_mut().into_iter().zip(pairs) {
            if let Some(y) = y.get_mut((pair[0] as usize + pair[1] as usize) % modulus.max(1)) {
                *y = 1.0;
            }
        }
        Self::one_hot_pairs(n_hidden, modulus, pairs, y.view())
    }

    fn of(
        [n_samples, n_inputs, n_hidden]: [usize; 3],
        inputs: Inputs<f64>,
        y: ArrayView2<f64>,
    ) -> Result<Self, QuadraticNetworkError> {
        let n_outputs = y.ncols();
        if n_samples != y.nrows() {
            return Err(QuadraticNetworkError::Samples {
                inputs: n_samples,
                outputs: y.nrows(),
            });
        }
        if [n_samples, n_inputs, n_hidden, n_outputs].contains(&0) {
            return Err(QuadraticNetworkError::Empty {
                n_samples,
                n_inputs,
                n_hidden,
                n_outputs,
            });
        }
        if !y.iter().all(|v| v.is_finite()) {
            return Err(QuadraticNetworkError::NotFinite);
        }
        let shape = Shape {
            n_inputs,
            n_hidden,
            n_outputs,
        };
        Ok(Self(Precision::Double(Network {
            shape,
            n_samples,
            samples: Arc::new(Samples {
                inputs,
                outputs: y.iter().copied().collect(),
            }),
            centred: false,
            work: Work::new(shape),
        })))
    }

    /// The same target with the mean over the samples taken off each output's errors.
    #[must_use]
    pub fn centred(mut self) -> Self {
        match &mut self.0 {
            Precision::Single(network) => network.centred = true,
            Precision::Double(network) => network.centred = true,
        }
        self
    }

    /// The same target with its matrix products in `f32`, about twice as fast.
    #[must_use]
    pub fn single_precision(self) -> Self {
        match self.0 {
            Precision::Single(network) => Self(Precision::Single(network)),
            Precision::Double(network) => {
                let round = |v: &[f64]| v.iter().map(|&v| v as f32).collect();
                Self(Precision::Single(Network {
                    shape: network.shape,
                    n_samples: network.n_samples,
                    samples: Arc::new(Samples {
                        inputs: match &network.samples.inputs {
                            Inputs::Dense(x) => Inputs::Dense(round(x)),
                            Inputs::Pairs(pairs) => Inputs::Pairs(pairs.clone()),
                        },
                        outputs: round(&network.samples.outputs),
                    }),
                    centred: network.centred,
                    work: Work::new(network.shape),
                }))
            }
        }
    }

    /// Hidden units.
    pub fn n_hidden(&self) -> usize {
        self.shape().n_hidden
    }

    /// Whether errors are taken from their mean over the samples.
    pub fn is_centred(&self) -> bool {
        match &self.0 {
            Precision::Single(network) => network.centred,
            Precision::Double(network) => network.centred,
        }
    }

    /// Pairs and outputs of a network on pairs, from which another engine can make the same; None for other inputs.
    ///
    /// Shapes: outputs: `[n, n_outputs]`.
    pub fn pairs_and_outputs(&self) -> Option<(&[[u32; 2]], Array2<f64>)> {
        match &self.0 {
            Precision::Single(network) => network.samples.pairs_and_outputs(),
            Precision::Double(network) => network.samples.pairs_and_outputs(),
        }
    }

    /// The share of samples whose largest output is the one that should be, of every row.
    pub fn accuracy(&mut self, rows: ArrayView2<f64>) -> Vec<f64> {
        let of = |w: ArrayView1<f64>| {
            let w = w.to_slice().expect("rows are contiguous");
            match &mut self.0 {
                Precision::Single(network) => network.accuracy(w),
                Precision::Double(network) => network.accuracy(w),
            }
        };
        rows.rows().into_iter().map(of).collect()
    }

    fn shape(&self) -> Shape {
        match &self.0 {
            Precision::Single(network) => network.shape,
            Precision::Double(network) => network.shape,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    n_inputs: usize,
    n_hidden: usize,
    n_outputs: usize,
}

#[derive(Debug)]
enum Inputs<T> {
    /// `[n, n_inputs]`.
    Dense(Vec<T>),
    Pairs(Vec<[u32; 2]>),
}

#[derive(Debug)]
struct Samples<T> {
    inputs: Inputs<T>,
    /// `[n, n_outputs]`.
    outputs: Vec<T>,
}

impl<T: Real> Samples<T> {
    fn pairs_and_outputs(&self) -> Option<(&[[u32; 2]], Array2<f64>)> {
        let Inputs::Pairs(pairs) = &self.inputs else {
            return None;
        };
        let n_outputs = self.outputs.len() / pairs.len();
        let at = |(i, c): (usize, usize)| self.outputs[i * n_outputs + c].to_f64();
        Some((pairs, Array2::from_shape_fn((pairs.len(), n_outputs), at)))
    }
}

#[derive(Debug, Clone)]
struct Network<T> {
    shape: Shape,
    n_samples: usize,
    samples: Arc<Samples<T>>,
    centred: bool,
    work: Work<T>,
}

/// Where a block of samples is evaluated.
#[derive(Debug, Clone)]
struct Work<T> {
    /// Which samples; at most `BLOCK`.
    block: Vec<usize>,
    /// `W`, for dense inputs.
    inner: Matrix<T>,
    /// `V` and its transpose.
    outer: Matrix<T>,
    outer_transpose: Matrix<T>,
    inputs: Matrix<T>,
    /// `w_k . x_i`, `[BLOCK, n_hidden]`, its square, and the derivative by it.
    hidden: Matrix<T>,
    squares: Matrix<T>,
    hidden_grad: Matrix<T>,
    /// `f(x_i) - y_i`, `[BLOCK, n_outputs]`.
    errors: Matrix<T>,
    /// Mean of the errors over the samples, `[n_outputs]`.
    mean: Vec<f64>,
    /// A block's share of the gradient.
    inner_grad: Matrix<T>,
    outer_grad: Matrix<T>,
}

impl<T: Real> Work<T> {
    fn new(shape: Shape) -> Self {
        let Shape {
            n_inputs,
            n_hidden,
            n_outputs,
        } = shape;
        Self {
            block: Vec::with_capacity(BLOCK),
            inner: Matrix::zeros(n_inputs, n_hidden),
            outer: Matrix::zeros(n_outputs, n_hidden),
            outer_transpose: Matrix::zeros(n_hidden, n_outputs),
            inputs: Matrix::zeros(BLOCK, n_inputs),
            hidden: Matrix::zeros(BLOCK, n_hidden),
            squares: Matrix::zeros(BLOCK, n_hidden),
            hidden_grad: Matrix::zeros(BLOCK, n_hidden),
            errors: Matrix::zeros(BLOCK, n_outputs),
            mean: vec![0.0; n_outputs],
            inner_grad: Matrix::zeros(n_inputs, n_hidden),
            outer_grad: Matrix::zeros(n_outputs, n_hidden),
        }
    }
}

impl<T: Real> Network<T> {
    fn load(&mut self, w: &[f64]) {
        let Shape {
            n_inputs, n_hidden, ..
        } = self.shape;
        let (inner, outer) = w.split_at(n_inputs * n_hidden);
        if matches!(self.samples.inputs, Inputs::Dense(_)) {
            self.work.inner.load(inner, n_hidden);
        }
        self.work.outer.load(outer, n_hidden);
        self.work.outer_transpose.load_transposed(outer, n_hidden);
    }

    /// The errors of the samples in `block` at the loaded weights, which came from `w`.
    fn forward(&mut self, w: &[f64]) {
        let Shape {
            n_inputs,
            n_hidden,
            n_outputs,
        } = self.shape;
        let work = &mut self.work;
        let n = work.block.len();
        for (i, &sample) in work.block.iter().enumerate() {
            match &self.samples.inputs {
                Inputs::Dense(x) => {
                    let x = &x[sample * n_inputs..][..n_inputs];
                    work.inputs.row_mut(i)[..n_inputs].copy_from_slice(x);
                }
                Inputs::Pairs(pairs) => {
                    let [a, b] = pairs[sample].map(|v| v as usize);
                    let (first, second) = (&w[a * n_hidden..], &w[(n_inputs / 2 + b) * n_hidden..]);
                    let squares = &mut work.squares.row_mut(i)[..n_hidden];
                    gather(work.hidden.row_mut(i), squares, first, second);
                }
            }
        }
        if matches!(self.samples.inputs, Inputs::Dense(_)) {
            let size = Size {
                rows: n,
                inner: n_inputs,
                columns: n_hidden,
            };
            product(
                size,
                work.inputs.plain(),
                &work.inner.values,
                &mut work.hidden.values,
            );
            let used = n * work.hidden.stride;
            square(&mut work.squares.values, &work.hidden.values[..used]);
        }
        let size = Size {
            rows: n,
            inner: n_hidden,
            columns: n_outputs,
        };
        let outer = &work.outer_transpose.values;
        product(size, work.squares.plain(), outer, &mut work.errors.values);
        for (i, &sample) in work.block.iter().enumerate() {
            let wanted = &self.samples.outputs[sample * n_outputs..][..n_outputs];
            for (e, &y) in work.errors.row_mut(i).iter_mut().zip(wanted) {
                *e -= y;
            }
        }
    }

    /// `|f(x_i) - y_i|^2 / 2` of the `i`-th sample of the block.
    fn sample_loss(&self, i: usize) -> f64 {
        let errors = &self.work.errors.row(i)[..self.shape.n_outputs];
        0.5 * errors.iter().map(|e| e.to_f64() * e.to_f64()).sum::<f64>()
    }

    /// The block's share of the gradient, `scale` times its sum over samples: written in the place of what is there, or added to it.
    fn backward(&mut self, scale: f64, grad: &mut [f64], add: bool) {
        let Shape {
            n_inputs,
            n_hidden,
            n_outputs,
        } = self.shape;
        let work = &mut self.work;
        let n = work.block.len();
        let (inner, outer) = grad.split_at_mut(n_inputs * n_hidden);
        let sums = |rows, columns| Size {
            rows,
            inner: n,
            columns,
        };
        let errors = work.errors.transposed();
        product(
            sums(n_outputs, n_hidden),
            errors,
            &work.squares.values,
            &mut work.outer_grad.values,
        );
        let size = Size {
            rows: n,
            inner: n_outputs,
            columns: n_hidden,
        };
        product(
            size,
            work.errors.plain(),
            &work.outer.values,
            &mut work.hidden_grad.values,
        );
        match &self.samples.inputs {
            Inputs::Dense(_) => {
                let used = n * work.hidden.stride;
                through_square(&mut work.hidden_grad.values, &work.hidden.values[..used]);
                let (x, h) = (work.inputs.transposed(), &work.hidden_grad.values);
                product(sums(n_inputs, n_hidden), x, h, &mut work.inner_grad.values);
            }
            Inputs::Pairs(pairs) => {
                let half = n_inputs / 2 * work.inner_grad.stride;
                work.inner_grad.values.fill(T::default());
                let (first, second) = work.inner_grad.values.split_at_mut(half);
                for (i, &sample) in work.block.iter().enumerate() {
                    let [a, b] = pairs[sample].map(|v| v as usize * work.hidden.stride);
                    let (grad, hidden) = (work.hidden_grad.row(i), work.hidden.row(i));
                    scatter(&mut first[a..], &mut second[b..], grad, hidden);
                }
            }
        }
        for (own, out) in [(&work.inner_grad, inner), (&work.outer_grad, outer)] {
            if add {
                own.add_to(scale, n_hidden, out);
            } else {
                own.write_to(scale, n_hidden, out);
            }
        }
    }

    /// Adds the block's errors to their mean over `n` samples.
    fn add_to_mean(&mut self, n: usize) {
        let share = 1.0 / n as f64;
        for i in 0..self.work.block.len() {
            for (m, e) in self.work.mean.iter_mut().zip(self.work.errors.row(i)) {
                *m += share * e.to_f64();
            }
        }
    }

    fn take_mean_off(&mut self) {
        for i in 0..self.work.block.len() {
            for (e, &m) in self.work.errors.row_mut(i).iter_mut().zip(&self.work.mean) {
                *e -= T::of(m);
            }
        }
    }

    /// The mean errors over the samples of more than one block, at the loaded weights.
    fn find_mean(&mut self, w: &[f64], batch: Option<ArrayView1<u32>>, n: usize) {
        self.work.mean.fill(0.0);
        for from in (0..n).step_by(BLOCK) {
            take(&mut self.work.block, batch, from, n);
            self.forward(w);
            self.add_to_mean(n);
        }
    }

    fn evaluate(
        &mut self,
        w: &[f64],
        batch: Option<ArrayView1<u32>>,
        mut grad: Option<&mut [f64]>,
    ) -> f64 {
        self.load(w);
        let n = batch.map_or(self.n_samples, |indices| indices.len());
        // a gradient needs the mean error before it is formed: of one block it is at hand, of more it takes a pass of its own
        let many_blocks = n > BLOCK;
        let beforehand = self.centred && many_blocks && grad.is_some();
        if beforehand {
            self.find_mean(w, batch, n);
        } else {
            self.work.mean.fill(0.0);
        }
        let mut sum = 0.0;
        for from in (0..n).step_by(BLOCK) {
            take(&mut self.work.block, batch, from, n);
            self.forward(w);
            if self.centred && !beforehand {
                self.add_to_mean(n);
            }
            if beforehand || !many_blocks {
                self.take_mean_off();
            }
            sum += (0..self.work.block.len())
                .map(|i| self.sample_loss(i))
                .sum::<f64>();
            if let Some(grad) = &mut grad {
                self.backward(1.0 / n as f64, grad, from > 0);
            }
        }
        let loss = sum / n as f64;
        if beforehand || !many_blocks {
            return loss;
        }
        loss - 0.5 * self.work.mean.iter().map(|m| m * m).sum::<f64>()
    }

    fn sample_losses(&mut self, w: &[f64], mut out: ArrayViewMut1<f64>) {
        let n = self.n_samples;
        self.load(w);
        self.work.mean.fill(0.0);
        if self.centred {
            self.find_mean(w, None, n);
        }
        for from in (0..n).step_by(BLOCK) {
            take(&mut self.work.block, None, from, n);
            self.forward(w);
            self.take_mean_off();
            for i in 0..self.work.block.len() {
                out[from + i] = self.sample_loss(i);
            }
        }
    }

    fn accuracy(&mut self, w: &[f64]) -> f64 {
        let (n, n_outputs) = (self.n_samples, self.shape.n_outputs);
        let mut n_right = 0;
        self.load(w);
        for from in (0..n).step_by(BLOCK) {
            take(&mut self.work.block, None, from, n);
            self.forward(w);
            for (i, &sample) in self.work.block.iter().enumerate() {
                let wanted = &self.samples.outputs[sample * n_outputs..][..n_outputs];
                let outputs = self.work.errors.row(i).iter().zip(wanted);
                let outputs = outputs.map(|(e, y)| e.to_f64() + y.to_f64());
                let wanted = largest(wanted.iter().map(|y| y.to_f64()));
                n_right += usize::from(largest(outputs) == wanted);
            }
        }
        n_right as f64 / n as f64
    }

    fn rows(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        grad: Option<ArrayViewMut2<f64>>,
        loss: &mut [f64],
    ) {
        each_row(rows, batch, grad, loss, |w, batch, grad| {
            self.evaluate(w, batch, grad)
        });
    }
}

/// The sum of two rows of weights, and its square.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn gather<T: Real>(hidden: &mut [T], squares: &mut [T], first: &[f64], second: &[f64]) {
    let out = squares.iter_mut().zip(hidden);
    for (((s, h), a), b) in out.zip(first).zip(second) {
        *h = T::of(a + b);
        *s = *h * *h;
    }
}

/// Adds the derivative by a sum of two rows to those of both; `grad` is that by the sum's square.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn scatter<T: Real>(first: &mut [T], second: &mut [T], grad: &[T], hidden: &[T]) {
    let sums = first.iter_mut().zip(second);
    for (((a, b), &g), &h) in sums.zip(grad).zip(hidden) {
        let g = (h + h) * g;
        *a = *a + g;
        *b = *b + g;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn square<T: Real>(squares: &mut [T], hidden: &[T]) {
    for (s, &h) in squares.iter_mut().zip(hidden) {
        *s = h * h;
    }
}

/// From the derivative by the square to the one by what is squared.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn through_square<T: Real>(grad: &mut [T], hidden: &[T]) {
    for (g, &h) in grad.iter_mut().zip(hidden) {
        *g = (h + h) * *g;
    }
}

impl Target for QuadraticNetwork {
    fn n_params(&self) -> usize {
        let shape = self.shape();
        (shape.n_inputs + shape.n_outputs) * shape.n_hidden
    }

    fn n_samples(&self) -> usize {
        match &self.0 {
            Precision::Single(network) => network.n_samples,
            Precision::Double(network) => network.n_samples,
        }
    }

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
}

impl SampleLosses for QuadraticNetwork {
    fn sample_losses(&mut self, rows: ArrayView2<f64>, mut out: ArrayViewMut2<f64>) {
        for (w, out) in rows.rows().into_iter().zip(out.rows_mut()) {
            let w = w.to_slice().expect("rows are contiguous");
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
    use ndarray::Axis;

    fn wave(n_rows: usize, n_columns: usize, phase: f64) -> Array2<f64> {
        Array2::from_shape_fn((n_rows, n_columns), |(i, j)| {
            (phase + 1.7 * i as f64 + (0.9 + 0.31 * i as f64) * j as f64).sin()
        })
    }

    /// The loss by its definition.
    fn by_definition(w: &[f64], n_hidden: usize, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
        let inner = Array2::from_shape_fn((x.ncols(), n_hidden), |(i, k)| w[i * n_hidden + k]);
        let outer = Array2::from_shape_fn((y.ncols(), n_hidden), |(c, k)| {
            w[(x.ncols() + c) * n_hidden + k]
        });
        let squares = x.dot(&inner).mapv(|h| h * h);
        (squares.dot(&outer.t()) - y).mapv(|e| e * e).sum() / (2.0 * x.nrows() as f64)
    }

    #[test]
    fn dense_losses_and_gradients_agree() {
        // blocks of samples that are full and not, units and outputs that fill vectors and do not
        for (n, d, k, m) in [(9, 1, 1, 1), (9, 3, 2, 4), (150, 5, 17, 3), (9, 2, 70, 2)] {
            let (x, y) = (wave(n, d, 0.2), wave(n, m, 1.1));
            // as many units, as small: differences lose digits on large third derivatives
            let size = (k as f64).sqrt().recip();
            let w: Vec<f64> = wave(d + m, k, 0.7).iter().map(|w| size * w).collect();
            let mut target = QuadraticNetwork::dense(k, x.view(), y.view()).expect("fits");
            let mut loss = [0.0];
            target.loss(
                ArrayView2::from_shape((1, w.len()), &w).expect("one row"),
                &mut loss,
            );
            approx::assert_relative_eq!(
                loss[0],
                by_definition(&w, k, &x, &y),
                max_relative = 1e-13
            );
            gradient_check(&mut target, &w);
            sample_losses_check(&mut target, &w);
            minibatch_check(&mut target, &w, |s| {
                let (x, y) = (x.select(Axis(0), s), y.select(Axis(0), s));
                QuadraticNetwork::dense(k, x.view(), y.view()).expect("fits")
            });
        }
    }

    /// Of one block of samples and of more, of all and of minibatches.
    #[test]
    fn a_centred_loss_has_no_mean_error() {
        let (d, k, m) = (5, 7, 3);
        for n in [9, 300] {
            let (x, y) = (wave(n, d, 0.2), wave(n, m, 1.1));
            let w: Vec<f64> = wave(d + m, k, 0.7).iter().map(|w| 0.4 * w).collect();
            let rows = ArrayView2::from_shape((1, w.len()), &w).expect("one row");
            let of = |x: &Array2<f64>, y: &Array2<f64>| {
                QuadraticNetwork::dense(k, x.view(), y.view()).expect("fits")
            };
            let mut target = of(&x, &y).centred();
            // outputs moved by a constant are nothing to it, and its loss is the least over such moves
            let mut loss = [f64::NAN; 2];
            target.loss(rows, &mut loss[..1]);
            let moved = &y + &ndarray::array![3.0, -1.0, 0.5];
            of(&x, &moved).centred().loss(rows, &mut loss[1..]);
            approx::assert_relative_eq!(loss[0], loss[1], max_relative = 1e-12);
            let inner = Array2::from_shape_fn((d, k), |(i, j)| w[i * k + j]);
            let outer = Array2::from_shape_fn((m, k), |(i, j)| w[(d + i) * k + j]);
            let errors = x.dot(&inner).mapv(|h| h * h).dot(&outer.t()) - &y;
            let mean = errors.mean_axis(Axis(0)).expect("samples");
            let least = of(&x, &(&y + &mean));
            least.clone().loss(rows, &mut loss[1..]);
            approx::assert_relative_eq!(loss[0], loss[1], max_relative = 1e-12);
            gradient_check(&mut target, &w);
            sample_losses_check(&mut target, &w);
            minibatch_check(&mut target, &w, |s| {
                of(&x.select(Axis(0), s), &y.select(Axis(0), s)).centred()
            });
            let mut single = target.clone().single_precision();
            single.loss(rows, &mut loss[1..]);
            approx::assert_relative_eq!(loss[0], loss[1], max_relative = 1e-5);
        }
    }

    /// Gathers are the products with one-hot inputs.
    #[test]
    fn pairs_are_one_hot_inputs() {
        let (p, k) = (5, 6);
        let pairs: Vec<[u32; 2]> = (0..p).flat_map(|a| (0..p).map(move |b| [a, b])).collect();
        let (mut x, mut y) = (Array2::zeros((25, 10)), Array2::zeros((25, 5)));
        for (i, pair) in pairs.iter().enumerate() {
            let [a, b] = pair.map(|v| v as usize);
            (x[[i, a]], x[[i, 5 + b]], y[[i, (a + b) % 5]]) = (1.0, 1.0, 1.0);
        }
        let w: Vec<f64> = wave(15, k, 0.7).iter().copied().collect();
        let mut target = QuadraticNetwork::modular_addition(k, p as usize, &pairs).expect("fits");
        let mut dense = QuadraticNetwork::dense(k, x.view(), y.view()).expect("fits");
        let rows = Array2::from_shape_vec((1, w.len()), w.clone()).expect("one row");
        let (mut a, mut b) = (Array2::zeros(rows.dim()), Array2::zeros(rows.dim()));
        let (mut la, mut lb) = ([0.0], [0.0]);
        target.loss_and_grad(rows.view(), Batch::Full, a.view_mut(), &mut la);
        dense.loss_and_grad(rows.view(), Batch::Full, b.view_mut(), &mut lb);
        approx::assert_relative_eq!(la[0], lb[0], max_relative = 1e-14);
        for (a, b) in a.iter().zip(&b) {
            approx::assert_relative_eq!(*a, *b, max_relative = 1e-12, epsilon = 1e-14);
        }
        gradient_check(&mut target, &w);
        sample_losses_check(&mut target, &w);
        minibatch_check(&mut target, &w, |s| {
            let pairs: Vec<_> = s.iter().map(|&i| pairs[i]).collect();
            QuadraticNetwork::modular_addition(k, p as usize, &pairs).expect("fits")
        });
        let mut single = target.single_precision();
        single.loss_and_grad(rows.view(), Batch::Full, b.view_mut(), &mut lb);
        approx::assert_relative_eq!(la[0], lb[0], max_relative = 1e-5);
        for (a, b) in a.iter().zip(&b) {
            approx::assert_relative_eq!(*a, *b, max_relative = 1e-4, epsilon = 1e-5);
        }
    }

    /// One unit of weight -1 on each input and V = identity: output c is the square of input c.
    #[test]
    fn accuracy_is_a_share_of_samples() {
        let x = ndarray::array![[1.0, -2.0], [3.0, 1.0], [0.5, 0.1], [-4.0, 3.0]];
        let y = ndarray::array![[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]];
        let target = QuadraticNetwork::dense(2, x.view(), y.view()).expect("fits");
        let rows = ndarray::array![
            [-1.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 1.0],
            [-1.0, 0.0, 0.0, -1.0, -1.0, 0.0, 0.0, 0.0]
        ];
        for mut target in [target.clone(), target.centred().single_precision()] {
            assert_eq!(target.accuracy(rows.view()), [0.75, 0.5]);
        }
    }

    #[test]
    fn bad_input_is_named() {
        let (x, y) = (wave(5, 3, 0.0), wave(5, 2, 0.0));
        let message = |k, x: ArrayView2<f64>, y: ArrayView2<f64>| {
            QuadraticNetwork::dense(k, x, y)
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(
            message(2, x.view(), wave(4, 2, 0.0).view()),
            "5 inputs for 4 outputs"
        );
        assert!(message(0, x.view(), y.view()).contains("0 hidden units"));
        let nan = x.mapv(|v| if v > 0.9 { f64::NAN } else { v });
        assert_eq!(
            message(2, nan.view(), y.view()),
            "the data hold a value that is not finite"
        );
        let pair = QuadraticNetwork::modular_addition(2, 3, &[[0, 1], [2, 3]]);
        let pair = pair.expect_err("refused").to_string();
        assert_eq!(pair, "pair 1 is [2, 3]; expected both below 3");
    }
}
