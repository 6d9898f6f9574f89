//! The evaluation of a deep linear network: the products of the module documentation, in one precision.

use std::sync::Arc;

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

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

    /// Second derivatives by the weights of the layer `k`, counted from 0, `[b, b]`.
    pub fn layer_hessian(&mut self, w: &[f64], k: usize, out: &mut [f64]) {
        self.work.load(&self.widths, w);
        self.error();
        let (n_inputs, n_outputs, depth) = (self.n_inputs(), self.n_outputs(), self.depth());
        let (from, to) = (self.widths[k], self.widths[k + 1]);
        let work = &self.work;
        let square = |n, inner| Size {
            rows: n,
            inner,
            columns: n,
        };
        // what comes in: B S B', with B' from the forward pass
        let mut incoming = Matrix::zeros(from, from);
        if k == 0 {
            incoming.values.copy_from_slice(&self.second_moment.values);
        } else {
            let before = if k == 1 {
                &work.transposes[0]
            } else {
                &work.forward[k - 1]
            };
            let mut sent = Matrix::zeros(n_inputs, from);
            let size = Size {
                rows: n_inputs,
                inner: n_inputs,
                columns: from,
            };
            let moment = self.second_moment.plain();
            product(size, moment, &before.values, &mut sent.values);
            let out = &mut incoming.values;
            product(
                square(from, n_inputs),
                before.transposed(),
                &sent.values,
                out,
            );
        }
        // what goes out: A'A, with A from the last layer down
        let mut outgoing = Matrix::zeros(to, to);
        if k + 1 == depth {
            (0..to).for_each(|i| outgoing.row_mut(i)[i] = T::of(1.0));
        } else {
            let mut after = work.weights[depth - 1].clone();
            for layer in (k + 1..depth - 1).rev() {
                let size = Size {
                    rows: n_outputs,
                    inner: self.widths[layer + 1],
                    columns: self.widths[layer],
                };
                let mut next = Matrix::zeros(n_outputs, self.widths[layer]);
                let weights = &work.weights[layer].values;
                product(size, after.plain(), weights, &mut next.values);
                after = next;
            }
            let out = &mut outgoing.values;
            product(
                square(to, n_outputs),
                after.transposed(),
                &after.values,
                out,
            );
        }
        let scale = 2.0 * self.factor;
        for (row, out) in out.chunks_exact_mut(from * to).enumerate() {
            let (own, sent) = (outgoing.row(row / from), incoming.row(row % from));
            for (own, out) in own.iter().zip(out.chunks_exact_mut(from)) {
                let own = scale * own.to_f64();
                for (out, sent) in out.iter_mut().zip(sent) {
                    *out = own * sent.to_f64();
                }
            }
        }
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
