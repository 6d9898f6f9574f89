//! One layer of a feed-forward network: its values for a block of samples, and the derivatives by its parameters.

use multiversion::multiversion;

use crate::targets::activation::Activation;
use crate::targets::elementary::Elementary;
use crate::targets::matrix_product::{Matrix, Size, multiply, product};

/// `h -> σ(h W + b)`, by where its parameters lie in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer {
    pub n_in: usize,
    pub n_out: usize,
    /// Where `W` begins.
    pub weight: usize,
    /// Whether `W` lies there as `[n_out, n_in]`, not as `[n_in, n_out]`.
    pub transposed: bool,
    /// Where `b` begins.
    pub bias: Option<usize>,
    pub activation: Activation,
}

/// The values of a layer.
#[derive(Debug, Clone)]
pub(super) struct Values<T> {
    pub layer: Layer,
    /// `W`, `[n_in, n_out]`, its transpose, and `b`, padded like a row of `W`.
    weight: Matrix<T>,
    transpose: Matrix<T>,
    bias: Matrix<T>,
    /// `σ(h W + b)`, `[n, n_out]`.
    pub outputs: Matrix<T>,
    /// `σ'(h W + b)`, later the derivative by `h W + b`.
    pub slopes: Matrix<T>,
    /// The derivatives by `W`, as it lies in a row, and by `b`.
    weight_grad: Matrix<T>,
    bias_grad: Matrix<T>,
}

impl<T: Elementary> Values<T> {
    /// For at most `n` inputs at a time.
    pub fn new(layer: Layer, n: usize) -> Self {
        let Layer { n_in, n_out, .. } = layer;
        let (weight, transpose) = (Matrix::zeros(n_in, n_out), Matrix::zeros(n_out, n_in));
        Self {
            layer,
            weight_grad: match layer.transposed {
                true => transpose.clone(),
                false => weight.clone(),
            },
            weight,
            transpose,
            bias: Matrix::zeros(1, n_out),
            outputs: Matrix::zeros(n, n_out),
            slopes: Matrix::zeros(n, n_out),
            bias_grad: Matrix::zeros(1, n_out),
        }
    }

    /// Takes the parameters from a row; with a way back, what [`Self::back`] needs.
    pub fn load(&mut self, w: &[f64], back: bool) {
        let Layer { n_in, n_out, .. } = self.layer;
        let stored = &w[self.layer.weight..][..n_in * n_out];
        if self.layer.transposed {
            self.weight.load_transposed(stored, n_in);
            if back {
                self.transpose.load(stored, n_in);
            }
        } else {
            self.weight.load(stored, n_out);
            if back {
                self.transpose.load_transposed(stored, n_out);
            }
        }
        if let Some(bias) = self.layer.bias {
            self.bias.load(&w[bias..][..n_out], n_out);
        }
    }

    /// Outputs and slopes for the first `n` rows of `h`.
    pub fn forward(&mut self, h: &Matrix<T>, n: usize) {
        let size = Size {
            rows: n,
            inner: self.layer.n_in,
            columns: self.layer.n_out,
        };
        let used = n * self.outputs.stride;
        let outputs = &mut self.outputs.values[..used];
        product(size, h.plain(), &self.weight.values, outputs);
        if self.layer.bias.is_some() {
            add_to_each(outputs, &self.bias.values);
        }
        let slopes = &mut self.slopes.values[..used];
        self.layer.activation.apply(outputs, slopes);
    }

    /// The derivatives by the parameters, summed over the first `n` rows of the inputs `h`: in the place of what there is, or added to it.
    pub fn sum(&mut self, h: &Matrix<T>, n: usize, add: bool) {
        let Layer { n_in, n_out, .. } = self.layer;
        let derivative = &self.slopes;
        let sums = |rows, columns| Size {
            rows,
            inner: n,
            columns,
        };
        let (size, left, right) = match self.layer.transposed {
            true => (sums(n_out, n_in), derivative, h),
            false => (sums(n_in, n_out), h, derivative),
        };
        let weight_grad = &mut self.weight_grad.values;
        multiply(size, left.transposed(), &right.values, weight_grad, add);
        if self.layer.bias.is_some() {
            let each = &derivative.values[..n * derivative.stride];
            sum_of_each(&mut self.bias_grad.values, each, add);
        }
    }

    /// The derivatives by the first `n` rows of the inputs: in the place of what there is, or added to it.
    pub fn back(&self, n: usize, out: &mut [T], add: bool) {
        let size = Size {
            rows: n,
            inner: self.layer.n_out,
            columns: self.layer.n_in,
        };
        let transpose = &self.transpose.values;
        multiply(size, self.slopes.plain(), transpose, out, add);
    }

    /// Writes `scale` times the sums of [`Self::sum`]; those by `W` are added to what there is if `W` is `shared` with an earlier layer.
    pub fn write(&self, scale: f64, shared: bool, grad: &mut [f64]) {
        let Layer { n_in, n_out, .. } = self.layer;
        let n_columns = if self.layer.transposed { n_in } else { n_out };
        let out = &mut grad[self.layer.weight..][..n_in * n_out];
        if shared {
            self.weight_grad.add_to(scale, n_columns, out);
        } else {
            self.weight_grad.write_to(scale, n_columns, out);
        }
        if let Some(bias) = self.layer.bias {
            let out = &mut grad[bias..][..n_out];
            self.bias_grad.write_to(scale, n_out, out);
        }
    }
}

/// Adds one row to each.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn add_to_each<T: Elementary>(rows: &mut [T], row: &[T]) {
    for own in rows.chunks_exact_mut(row.len()) {
        for (own, &v) in own.iter_mut().zip(row) {
            *own = *own + v;
        }
    }
}

/// The sum of rows: in the place of what there is, or added to it.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn sum_of_each<T: Elementary>(sum: &mut [T], rows: &[T], add: bool) {
    if !add {
        sum.fill(T::default());
    }
    for row in rows.chunks_exact(sum.len()) {
        for (sum, &v) in sum.iter_mut().zip(row) {
            *sum = *sum + v;
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn scale_by<T: Elementary>(values: &mut [T], by: &[T]) {
    for (v, &by) in values.iter_mut().zip(by) {
        *v = *v * by;
    }
}
