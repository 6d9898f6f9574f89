//! An embedding of pairs of tokens and the layers on it, as two tables of which a pair names one row each.
//!
//! `σ(L E_a + l + R E_b + r)` needs, of all pairs, only the `2 modulus` products of layers and entries: they are formed once and gathered, and
//! the derivatives by them are gathered before they go back through the layers.

use multiversion::multiversion;

use super::layer::{scale_by, sum_of_each};
use crate::targets::activation::Activation;
use crate::targets::blocks::BLOCK;
use crate::targets::elementary::Elementary;
use crate::targets::matrix_product::{Matrix, Size, multiply, product};

/// What the tables are made of, which lies at the beginning of a row: `E`, `[modulus, width]`, then `R`, `[width, n_hidden]`, and `r`, then `L` and `l`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Embedding {
    pub modulus: usize,
    pub width: usize,
    pub n_hidden: usize,
    pub activation: Activation,
}

impl Embedding {
    pub fn n_params(&self) -> usize {
        self.modulus * self.width + 2 * self.side()
    }

    /// Parameters of the layer of one side.
    fn side(&self) -> usize {
        (self.width + 1) * self.n_hidden
    }

    /// `E R` from `E` and `R`.
    fn product(&self) -> Size {
        Size {
            rows: self.modulus,
            inner: self.width,
            columns: self.n_hidden,
        }
    }
}

/// The tables and the derivatives by them.
#[derive(Debug, Clone)]
pub(super) struct Tables<T> {
    shape: Embedding,
    embedding: Matrix<T>,
    /// For the second of a pair, then for the first, as in a row.
    sides: [Side<T>; 2],
    /// Of the activation, `[BLOCK, n_hidden]`, later the derivative by what it was given.
    slopes: Matrix<T>,
    embedding_grad: Matrix<T>,
    weight_grad: Matrix<T>,
}

#[derive(Debug, Clone)]
struct Side<T> {
    /// `[width, n_hidden]`, its transpose, and the bias, later the derivative by it.
    weight: Matrix<T>,
    transpose: Matrix<T>,
    bias: Matrix<T>,
    /// `[modulus, n_hidden]`.
    table: Matrix<T>,
    grad: Matrix<T>,
}

impl<T: Elementary> Tables<T> {
    pub fn new(shape: Embedding) -> Self {
        let Embedding {
            modulus,
            width,
            n_hidden,
            ..
        } = shape;
        let side = Side {
            weight: Matrix::zeros(width, n_hidden),
            transpose: Matrix::zeros(n_hidden, width),
            bias: Matrix::zeros(1, n_hidden),
            table: Matrix::zeros(modulus, n_hidden),
            grad: Matrix::zeros(modulus, n_hidden),
        };
        Self {
            shape,
            embedding: Matrix::zeros(modulus, width),
            sides: [side.clone(), side],
            slopes: Matrix::zeros(BLOCK, n_hidden),
            embedding_grad: Matrix::zeros(modulus, width),
            weight_grad: Matrix::zeros(width, n_hidden),
        }
    }

    /// Forms the tables; `back`: what the way back needs, too.
    pub fn load(&mut self, w: &[f64], back: bool) {
        let Embedding {
            modulus,
            width,
            n_hidden,
            ..
        } = self.shape;
        let (entries, sides) = w.split_at(modulus * width);
        self.embedding.load(entries, width);
        for (side, w) in self.sides.iter_mut().zip(sides.chunks(self.shape.side())) {
            let (weight, bias) = w.split_at(width * n_hidden);
            side.weight.load(weight, n_hidden);
            side.bias.load(&bias[..n_hidden], n_hidden);
            if back {
                side.transpose.load_transposed(weight, n_hidden);
            }
            let stride = side.table.stride;
            for row in side.table.values.chunks_exact_mut(stride) {
                row.copy_from_slice(&side.bias.values);
            }
            let (entries, table) = (self.embedding.plain(), &mut side.table.values);
            multiply(
                self.shape.product(),
                entries,
                &side.weight.values,
                table,
                true,
            );
        }
    }

    /// What comes out for the pairs in `block`.
    pub fn forward(&mut self, pairs: &[[u32; 2]], block: &[usize], out: &mut Matrix<T>) {
        let [right, left] = &self.sides;
        for (i, &sample) in block.iter().enumerate() {
            let [a, b] = pairs[sample].map(|v| v as usize);
            sum(out.row_mut(i), left.table.row(a), right.table.row(b));
        }
        let used = block.len() * out.stride;
        let slopes = &mut self.slopes.values[..used];
        self.shape.activation.apply(&mut out.values[..used], slopes);
    }

    /// The derivatives by the tables from those by what came out: in the place of what there is, or added to it.
    pub fn backward(
        &mut self,
        pairs: &[[u32; 2]],
        block: &[usize],
        by_outputs: &Matrix<T>,
        add: bool,
    ) {
        let used = block.len() * by_outputs.stride;
        let by_outputs = &by_outputs.values[..used];
        match self.shape.activation {
            Activation::Identity => self.slopes.values[..used].copy_from_slice(by_outputs),
            _ => scale_by(&mut self.slopes.values[..used], by_outputs),
        }
        if !add {
            for side in &mut self.sides {
                side.grad.values.fill(T::default());
            }
        }
        let [right, left] = &mut self.sides;
        for (i, &sample) in block.iter().enumerate() {
            let [a, b] = pairs[sample].map(|v| v as usize);
            add_to_both(
                left.grad.row_mut(a),
                right.grad.row_mut(b),
                self.slopes.row(i),
            );
        }
    }

    /// Writes `scale` times the derivatives by the parameters.
    pub fn write(&mut self, scale: f64, grad: &mut [f64]) {
        let Embedding {
            modulus,
            width,
            n_hidden,
            ..
        } = self.shape;
        let (entries, sides) = grad.split_at_mut(modulus * width);
        let sides = sides.chunks_mut(self.shape.side());
        for (k, (side, grad)) in self.sides.iter_mut().zip(sides).enumerate() {
            let (weight, bias) = grad.split_at_mut(width * n_hidden);
            let size = Size {
                rows: width,
                inner: modulus,
                columns: n_hidden,
            };
            let own = &mut self.weight_grad;
            product(
                size,
                self.embedding.transposed(),
                &side.grad.values,
                &mut own.values,
            );
            own.write_to(scale, n_hidden, weight);
            // the bias itself is in the table
            sum_of_each(&mut side.bias.values, &side.grad.values, false);
            side.bias.write_to(scale, n_hidden, &mut bias[..n_hidden]);
            let size = Size {
                rows: modulus,
                inner: n_hidden,
                columns: width,
            };
            let own = &mut self.embedding_grad.values;
            multiply(size, side.grad.plain(), &side.transpose.values, own, k > 0);
        }
        self.embedding_grad.write_to(scale, width, entries);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn sum<T: Elementary>(out: &mut [T], first: &[T], second: &[T]) {
    for ((out, &a), &b) in out.iter_mut().zip(first).zip(second) {
        *out = a + b;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn add_to_both<T: Elementary>(first: &mut [T], second: &mut [T], values: &[T]) {
    for ((a, b), &v) in first.iter_mut().zip(second).zip(values) {
        *a = *a + v;
        *b = *b + v;
    }
}
