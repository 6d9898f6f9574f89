//! The evaluation of a deep linear network: the products of the module documentation, in one precision.

use std::sync::Arc;

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2};
use ndarray_linalg::{Eigh, UPLO};

use crate::target::Batch;
use crate::targets::blocks::each_row;
use crate::targets::matrix_product::{Matrix, Real, Size, product, sum_of_products};

/// The data of a network.
#[derive(Debug)]
pub(super) struct Samples<T> {
    /// `[n, n_inputs]`.
    pub x: Vec<T>,
    /// `y - P0 x`, `[n, n_outputs]`; empty where there is no noise.
    pub residuals: Vec<T>,
}

/// A deep linear network in one precision.
#[derive(Debug, Clone)]
pub(super) struct Network<T> {
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
    /// The symmetric root of the second moment of all inputs, once it is asked for.
    moment_root: Option<Matrix<T>>,
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
            moment_root: None,
            forward: layers(&|_, to| Matrix::zeros(n_inputs, to)),
            backward: layers(&|_, to| Matrix::zeros(n_inputs, to)),
            grads: layers(&|from, to| Matrix::zeros(to, from)),
            wanted: Matrix::zeros(n_inputs, n_outputs),
        }
    }

    fn load(&mut self, widths: &[usize], mut w: &[f64]) {
        for (k, plain) in self.weights.iter_mut().enumerate() {
            let (layer, rest) = w.split_at(widths[k] * widths[k + 1]);
            if k > 0 {
                plain.load(layer, widths[k]);
            }
            self.transposes[k].load_transposed(layer, widths[k]);
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

/// The symmetric root of a symmetric matrix; of one that is none but for rounding, of what is next to it.
fn root<T: Real>(square: &Matrix<T>, n: usize) -> Matrix<T> {
    let square = Array2::from_shape_fn((n, n), |(i, j)| square.row(i)[j].to_f64());
    let (values, vectors) = square.eigh(UPLO::Lower).expect("moments are finite");
    let roots = values.mapv(|v| v.max(0.0).sqrt());
    let dense = (&vectors * &roots).dot(&vectors.t());
    let mut out = Matrix::zeros(n, n);
    let values: Vec<f64> = dense.into_iter().collect();
    out.load(&values, n);
    out
}

/// `a b` for matrices of sizes `[rows, inner]` and `[inner, columns]`.
fn times<T: Real>(a: &Matrix<T>, b: &Matrix<T>, [rows, inner, columns]: [usize; 3]) -> Matrix<T> {
    let size = Size {
        rows,
        inner,
        columns,
    };
    let mut out = Matrix::zeros(rows, columns);
    product(size, a.plain(), &b.values, &mut out.values);
    out
}

impl Network<f64> {
    /// The same in `f32`.
    pub fn rounded(&self) -> Network<f32> {
        let round = |v: &[f64]| v.iter().map(|&v| v as f32).collect();
        let samples = self.samples.as_ref().map(|samples| Samples {
            x: round(&samples.x),
            residuals: round(&samples.residuals),
        });
        Network {
            factor: self.factor,
            offset: self.offset,
            n_samples: self.n_samples,
            second_moment: self.second_moment.rounded(),
            best: self.best.rounded(),
            samples: samples.map(Arc::new),
            work: Work::new(&self.widths),
            widths: self.widths.clone(),
        }
    }
}

impl<T: Real> Network<T> {
    /// The network whose best product has the transpose `best`, for inputs with these second moments.
    pub fn new(
        widths: &[usize],
        factor: f64,
        n_samples: usize,
        second_moment: Matrix<T>,
        best: Matrix<T>,
        samples: Option<Arc<Samples<T>>>,
    ) -> Self {
        let residuals = samples.iter().flat_map(|s| &s.residuals);
        let square: f64 = residuals.map(|r| r.to_f64() * r.to_f64()).sum();
        Self {
            widths: widths.to_vec(),
            factor,
            offset: factor * square / n_samples as f64,
            n_samples,
            second_moment,
            best,
            samples,
            work: Work::new(widths),
        }
    }

    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    pub fn n_samples(&self) -> usize {
        self.n_samples
    }

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
                slope.write_transposed_to(scale, from, out);
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
            sums.write_to(scale, from, out);
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

    /// Roots of the second derivatives by the weights of the layer `k`, counted from 0: `[n_outputs, to]` and `[n_inputs, from]`.
    pub fn layer_roots(&mut self, w: &[f64], k: usize, left: &mut [f64], right: &mut [f64]) {
        self.work.load(&self.widths, w);
        self.error();
        let (n_inputs, n_outputs, depth) = (self.n_inputs(), self.n_outputs(), self.depth());
        let work = &mut self.work;
        let root = work
            .moment_root
            .get_or_insert_with(|| root(&self.second_moment, n_inputs));
        // what comes in, with B' from the forward pass
        let from = self.widths[k];
        let before = match k {
            0 => None,
            1 => Some(&work.transposes[0]),
            _ => Some(&work.forward[k - 1]),
        };
        match before {
            None => root.write_to(1.0, from, right),
            Some(before) => {
                times(root, before, [n_inputs, n_inputs, from]).write_to(1.0, from, right);
            }
        }
        // what goes out, from the last layer down
        let (to, scale) = (self.widths[k + 1], (2.0 * self.factor).sqrt());
        if k + 1 == depth {
            left.iter_mut().step_by(to + 1).for_each(|l| *l = scale);
            return;
        }
        let mut after = work.weights[depth - 1].clone();
        for layer in (k + 1..depth - 1).rev() {
            let size = [n_outputs, self.widths[layer + 1], self.widths[layer]];
            after = times(&after, &work.weights[layer], size);
        }
        after.write_to(scale, to, left);
    }

    /// The loss of every sample.
    pub fn sample_losses(&mut self, w: &[f64], out: &mut [f64]) {
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

    /// Loss of every row, and gradient where asked for.
    pub fn rows(
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
