//! A transformer encoder for pairs of tokens: an embedding, layers with the norm after each sum, and the mean over the two places.
//!
//! A layer is PyTorch's `nn.TransformerEncoderLayer` without dropout: `y = norm(x + O a + o)` with `a` what attention mixes, then
//! `norm(y + D σ(U y + u) + d)`. With two places the softmax is a logistic function, of the difference of two products.
//!
//! Back through a norm `y = g x̂ + c`, `x̂ = (x - mean)/s`: the derivative by `x` is `(v - mean v - x̂ mean(v x̂))/s` with `v` that by `x̂`.

use multiversion::multiversion;

use super::layer::{Layer, Values, scale_by};
use crate::targets::activation::Activation;
use crate::targets::blocks::BLOCK;
use crate::targets::elementary::Elementary;
use crate::targets::matrix_product::Matrix;

/// Tokens of a sample.
const LENGTH: usize = 2;
/// What PyTorch's layer norm adds to the variance.
const EPSILON: f64 = 1e-5;
/// Sums side by side, whatever the machine: their order is part of the result.
const LANES: usize = 8;

/// What the encoder is made of. Its parameters lie at the beginning of a row: `E`, `[modulus, width]`; for each layer queries, keys and values as
/// `[width, 3 width]` with their biases, `O`, `o`, `U`, `u`, `D`, `d`, and `g`, `c` of both norms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transformer {
    pub modulus: usize,
    pub width: usize,
    pub n_heads: usize,
    pub n_layers: usize,
    pub n_feedforward: usize,
    pub activation: Activation,
}

impl Transformer {
    pub fn n_params(&self) -> usize {
        self.modulus * self.width + self.n_layers * self.layer()
    }

    /// Parameters of a layer.
    fn layer(&self) -> usize {
        let (w, f) = (self.width, self.n_feedforward);
        (w + 1) * 3 * w + (w + 1) * w + (w + 1) * f + (f + 1) * w + 4 * w
    }
}

/// The encoder's values for a block of samples, and the derivatives by its parameters.
#[derive(Debug, Clone)]
pub(super) struct Encoder<T> {
    shape: Transformer,
    embedding: Matrix<T>,
    embedding_grad: Matrix<T>,
    /// The entries that the samples name, place after place, `[LENGTH BLOCK, width]`, and the derivative by them.
    tokens: Stream<T>,
    layers: Vec<EncoderLayer<T>>,
}

/// What goes from layer to layer, `[LENGTH BLOCK, width]`, and the derivative by it.
#[derive(Debug, Clone)]
struct Stream<T> {
    values: Matrix<T>,
    grad: Matrix<T>,
}

#[derive(Debug, Clone)]
struct EncoderLayer<T> {
    width: usize,
    n_heads: usize,
    /// Queries, keys and values.
    projection: Values<T>,
    /// How much of the first place each place of each sample takes, for each head.
    shares: Vec<T>,
    /// What attention mixes, and the derivative by it.
    mixed: Stream<T>,
    out: Values<T>,
    after_attention: Norm<T>,
    up: Values<T>,
    down: Values<T>,
    after_feedforward: Norm<T>,
}

#[derive(Debug, Clone)]
struct Norm<T> {
    width: usize,
    /// Where `g` begins, before `c`.
    at: usize,
    /// `g` and `c`, and the derivatives by them.
    gain: Matrix<T>,
    shift: Matrix<T>,
    gain_grad: Matrix<T>,
    shift_grad: Matrix<T>,
    /// `x̂`, and `1/s` of each row.
    normal: Matrix<T>,
    rate: Vec<T>,
    /// What comes out; on the way back the derivative by that, then by what came in.
    out: Stream<T>,
}

impl<T: Elementary> Stream<T> {
    fn new(width: usize) -> Self {
        let values = Matrix::zeros(LENGTH * BLOCK, width);
        Self {
            grad: values.clone(),
            values,
        }
    }
}

impl<T: Elementary> Encoder<T> {
    pub fn new(shape: Transformer) -> Self {
        let embedding = Matrix::zeros(shape.modulus, shape.width);
        let from = |l| shape.modulus * shape.width + l * shape.layer();
        Self {
            embedding_grad: embedding.clone(),
            embedding,
            tokens: Stream::new(shape.width),
            layers: (0..shape.n_layers)
                .map(|l| EncoderLayer::new(&shape, from(l)))
                .collect(),
            shape,
        }
    }

    /// Takes the parameters from a row; `back`: what the way back needs, too.
    pub fn load(&mut self, w: &[f64], back: bool) {
        let Transformer { modulus, width, .. } = self.shape;
        self.embedding.load(&w[..modulus * width], width);
        for layer in &mut self.layers {
            for values in layer.affine_mut() {
                values.load(w, back);
            }
            layer.after_attention.load(w);
            layer.after_feedforward.load(w);
        }
    }

    /// What comes out for the pairs in `block`.
    pub fn forward(&mut self, pairs: &[[u32; 2]], block: &[usize], out: &mut Matrix<T>) {
        for (i, &sample) in block.iter().enumerate() {
            for (place, &token) in pairs[sample].iter().enumerate() {
                let entry = self.embedding.row(token as usize);
                let values = &mut self.tokens.values;
                values.row_mut(LENGTH * i + place).copy_from_slice(entry);
            }
        }
        let mut stream = &self.tokens;
        for layer in &mut self.layers {
            layer.forward(&stream.values, block.len());
            stream = &layer.after_feedforward.out;
        }
        let pairs = stream.values.values.chunks_exact(LENGTH * out.stride);
        let half = T::of(0.5);
        for (i, pair) in pairs.take(block.len()).enumerate() {
            let (first, second) = pair.split_at(out.stride);
            combine(out.row_mut(i), [half, half], [first, second]);
        }
    }

    /// The derivatives by the parameters from those by what came out: in the place of what there is, or added to it.
    pub fn backward(&mut self, pairs: &[[u32; 2]], block: &[usize], by_out: &Matrix<T>, add: bool) {
        let top = match self.layers.last_mut() {
            Some(layer) => &mut layer.after_feedforward.out,
            None => &mut self.tokens,
        };
        let half = T::of(0.5);
        for row in 0..LENGTH * block.len() {
            let grad = top.grad.row_mut(row).iter_mut();
            for (grad, &v) in grad.zip(by_out.row(row / LENGTH)) {
                *grad = half * v;
            }
        }
        for l in (0..self.layers.len()).rev() {
            let (before, after) = self.layers.split_at_mut(l);
            let below = match before.last_mut() {
                Some(layer) => &mut layer.after_feedforward.out,
                None => &mut self.tokens,
            };
            after[0].backward(below, block.len(), add);
        }
        if !add {
            self.embedding_grad.values.fill(T::default());
        }
        for (i, &sample) in block.iter().enumerate() {
            for (place, &token) in pairs[sample].iter().enumerate() {
                let grad = self.tokens.grad.row(LENGTH * i + place);
                add_to(self.embedding_grad.row_mut(token as usize), grad);
            }
        }
    }

    /// Writes `scale` times the derivatives by the parameters.
    pub fn write(&self, scale: f64, grad: &mut [f64]) {
        let Transformer { modulus, width, .. } = self.shape;
        let entries = &mut grad[..modulus * width];
        self.embedding_grad.write_to(scale, width, entries);
        for layer in &self.layers {
            for values in [&layer.projection, &layer.out, &layer.up, &layer.down] {
                values.write(scale, false, grad);
            }
            layer.after_attention.write(scale, grad);
            layer.after_feedforward.write(scale, grad);
        }
    }
}

impl<T: Elementary> EncoderLayer<T> {
    /// A layer whose parameters begin at `at`.
    fn new(shape: &Transformer, mut at: usize) -> Self {
        let (w, f) = (shape.width, shape.n_feedforward);
        let mut affine = |n_in, n_out, activation| {
            let layer = Layer {
                n_in,
                n_out,
                weight: at,
                transposed: false,
                bias: Some(at + n_in * n_out),
                activation,
            };
            at += (n_in + 1) * n_out;
            Values::new(layer, LENGTH * BLOCK)
        };
        let projection = affine(w, 3 * w, Activation::Identity);
        let out = affine(w, w, Activation::Identity);
        let up = affine(w, f, shape.activation);
        let down = affine(f, w, Activation::Identity);
        Self {
            width: w,
            n_heads: shape.n_heads,
            projection,
            shares: vec![T::default(); LENGTH * BLOCK * shape.n_heads],
            mixed: Stream::new(w),
            out,
            after_attention: Norm::new(w, at),
            up,
            down,
            after_feedforward: Norm::new(w, at + 2 * w),
        }
    }

    fn affine_mut(&mut self) -> [&mut Values<T>; 4] {
        [
            &mut self.projection,
            &mut self.out,
            &mut self.up,
            &mut self.down,
        ]
    }

    /// `n` samples through the layer.
    fn forward(&mut self, x: &Matrix<T>, n: usize) {
        let n_rows = LENGTH * n;
        self.projection.forward(x, n_rows);
        self.attend(n);
        self.out.forward(&self.mixed.values, n_rows);
        self.after_attention.forward(x, &self.out.outputs, n_rows);
        let y = &self.after_attention.out.values;
        self.up.forward(y, n_rows);
        self.down.forward(&self.up.outputs, n_rows);
        self.after_feedforward
            .forward(y, &self.down.outputs, n_rows);
    }

    /// From the derivative by what came out to that by what came in from `below`.
    fn backward(&mut self, below: &mut Stream<T>, n: usize, add: bool) {
        let n_rows = LENGTH * n;
        self.after_feedforward.backward(n_rows, add);
        let sum = &mut self.after_feedforward.out.grad;
        std::mem::swap(sum, &mut self.down.slopes);
        self.down.sum(&self.up.outputs, n_rows, add);
        // the outputs have done their service
        let hidden = &mut self.up.outputs.values;
        self.down.back(n_rows, hidden, false);
        let used = n_rows * self.up.slopes.stride;
        match self.up.layer.activation {
            Activation::Identity => std::mem::swap(&mut self.up.slopes, &mut self.up.outputs),
            _ => scale_by(&mut self.up.slopes.values[..used], &hidden[..used]),
        }
        let Stream { values, grad } = &mut self.after_attention.out;
        self.up.sum(values, n_rows, add);
        std::mem::swap(grad, &mut self.down.slopes);
        self.up.back(n_rows, &mut grad.values, true);
        self.after_attention.backward(n_rows, add);
        std::mem::swap(&mut self.after_attention.out.grad, &mut self.out.slopes);
        self.out.sum(&self.mixed.values, n_rows, add);
        self.out.back(n_rows, &mut self.mixed.grad.values, false);
        self.attend_back(n);
        self.projection.sum(&below.values, n_rows, add);
        std::mem::swap(&mut below.grad, &mut self.out.slopes);
        self.projection.back(n_rows, &mut below.grad.values, true);
    }

    /// Every place's mean of the values, weighted by the softmax of its query's products with the keys.
    fn attend(&mut self, n: usize) {
        let (size, root) = self.head();
        let mut shares = self.shares.iter_mut();
        for (i, h) in (0..n).flat_map(|i| (0..self.n_heads).map(move |h| (i, h))) {
            let places = [0, 1].map(|place| self.projection.outputs.row(LENGTH * i + place));
            let [first, second] = places.map(|row| parts(row, self.width, h * size, size));
            for (place, [query, _, _]) in [first, second].into_iter().enumerate() {
                let ahead = (dot(query, first[1]) - dot(query, second[1])) * root;
                let share = logistic(ahead);
                let row = self.mixed.values.row_mut(LENGTH * i + place);
                let mixed = &mut row[h * size..][..size];
                combine(mixed, [share, T::of(1.0) - share], [first[2], second[2]]);
                *shares.next().expect("one for each place and head") = share;
            }
        }
    }

    /// The derivatives by queries, keys and values, from those by what attention mixed.
    fn attend_back(&mut self, n: usize) {
        let (size, root) = self.head();
        let one = T::of(1.0);
        let (shares, _) = self.shares.as_chunks::<LENGTH>();
        let mut shares = shares.iter();
        for (i, h) in (0..n).flat_map(|i| (0..self.n_heads).map(move |h| (i, h))) {
            let places = [0, 1].map(|place| LENGTH * i + place);
            let rows = places.map(|row| self.projection.outputs.row(row));
            let [first, second] = rows.map(|row| parts(row, self.width, h * size, size));
            let mixed = places.map(|row| &self.mixed.grad.row(row)[h * size..][..size]);
            let share = *shares.next().expect("one for each place and head");
            let ahead = [0, 1].map(|place| {
                let by_share = dot(mixed[place], first[2]) - dot(mixed[place], second[2]);
                share[place] * (one - share[place]) * by_share * root
            });
            let both = &mut self.projection.slopes;
            let stride = both.stride;
            let rows = &mut both.values[places[0] * stride..][..LENGTH * stride];
            let (first_grad, second_grad) = rows.split_at_mut(stride);
            let parts_of = |grad| parts_mut(grad, self.width, h * size, size);
            let [query, key, value] = parts_of(first_grad);
            let keys = [first[1], second[1]];
            let queries = [first[0], second[0]];
            combine(query, [ahead[0], -ahead[0]], keys);
            combine(key, ahead, queries);
            combine(value, share, mixed);
            let [query, key, value] = parts_of(second_grad);
            combine(query, [ahead[1], -ahead[1]], keys);
            combine(key, ahead.map(|a| -a), queries);
            combine(value, share.map(|s| one - s), mixed);
        }
    }

    /// Width of a head, and one over its root.
    fn head(&self) -> (usize, T) {
        let size = self.width / self.n_heads;
        (size, T::of(1.0 / (size as f64).sqrt()))
    }
}

/// A head's query, key and value, `size` numbers from `from` on in each third of a row.
fn parts<T>(row: &[T], width: usize, from: usize, size: usize) -> [&[T]; 3] {
    [0, 1, 2].map(|part| &row[part * width + from..][..size])
}

fn parts_mut<T>(row: &mut [T], width: usize, from: usize, size: usize) -> [&mut [T]; 3] {
    let (query, rest) = row.split_at_mut(width);
    let (key, value) = rest.split_at_mut(width);
    [query, key, value].map(|part| &mut part[from..][..size])
}

impl<T: Elementary> Norm<T> {
    fn new(width: usize, at: usize) -> Self {
        let row = Matrix::zeros(1, width);
        let out = Stream::new(width);
        Self {
            width,
            at,
            gain: row.clone(),
            shift: row.clone(),
            gain_grad: row.clone(),
            shift_grad: row,
            normal: out.values.clone(),
            rate: vec![T::default(); LENGTH * BLOCK],
            out,
        }
    }

    fn load(&mut self, w: &[f64]) {
        let (gain, shift) = w[self.at..][..2 * self.width].split_at(self.width);
        self.gain.load(gain, self.width);
        self.shift.load(shift, self.width);
    }

    /// Of the first `n` rows of `x + y`.
    fn forward(&mut self, x: &Matrix<T>, y: &Matrix<T>, n: usize) {
        for i in 0..n {
            let normal = self.normal.row_mut(i);
            self.rate[i] = normalise(normal, x.row(i), y.row(i), self.width);
            let out = self.out.values.row_mut(i);
            scale_and_shift(out, normal, &self.gain.values, &self.shift.values);
        }
    }

    /// From the derivative by what came out to that by what came in, in its place.
    fn backward(&mut self, n: usize, add: bool) {
        if !add {
            self.gain_grad.values.fill(T::default());
            self.shift_grad.values.fill(T::default());
        }
        for i in 0..n {
            let (grad, normal) = (self.out.grad.row_mut(i), self.normal.row(i));
            add_to(&mut self.shift_grad.values, grad);
            add_product_to(&mut self.gain_grad.values, grad, normal);
            normalise_back(grad, normal, &self.gain.values, self.rate[i], self.width);
        }
    }

    fn write(&self, scale: f64, grad: &mut [f64]) {
        let (gain, shift) = grad[self.at..][..2 * self.width].split_at_mut(self.width);
        self.gain_grad.write_to(scale, self.width, gain);
        self.shift_grad.write_to(scale, self.width, shift);
    }
}

/// `1/(1 + e^(-x))` without overflow.
fn logistic<T: Elementary>(x: T) -> T {
    let size = if x < T::of(0.0) { -x } else { x };
    let e = (-size).exp_of_negative();
    let above = if x < T::of(0.0) { e } else { T::of(1.0) };
    above / (T::of(1.0) + e)
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn dot<T: Elementary>(a: &[T], b: &[T]) -> T {
    sum_of_products(a, b)
}

/// `out = c_0 x_0 + c_1 x_1`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn combine<T: Elementary>(out: &mut [T], c: [T; 2], x: [&[T]; 2]) {
    for ((out, &a), &b) in out.iter_mut().zip(x[0]).zip(x[1]) {
        *out = c[0] * a + c[1] * b;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn add_to<T: Elementary>(sum: &mut [T], row: &[T]) {
    for (sum, &v) in sum.iter_mut().zip(row) {
        *sum = *sum + v;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn add_product_to<T: Elementary>(sum: &mut [T], a: &[T], b: &[T]) {
    for ((sum, &a), &b) in sum.iter_mut().zip(a).zip(b) {
        *sum = *sum + a * b;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn scale_and_shift<T: Elementary>(out: &mut [T], x: &[T], gain: &[T], shift: &[T]) {
    for (((out, &x), &g), &c) in out.iter_mut().zip(x).zip(gain).zip(shift) {
        *out = x * g + c;
    }
}

/// The first `width` numbers of `x + y` less their mean over their standard deviation, and one over that; the padding stays zero.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn normalise<T: Elementary>(normal: &mut [T], x: &[T], y: &[T], width: usize) -> T {
    let normal = &mut normal[..width];
    for ((z, &x), &y) in normal.iter_mut().zip(x).zip(y) {
        *z = x + y;
    }
    let share = T::of(1.0 / width as f64);
    let mean = sum_of(normal) * share;
    for z in normal.iter_mut() {
        *z -= mean;
    }
    let variance = sum_of_products(normal, normal) * share;
    let rate = T::of(1.0 / (variance.to_f64() + EPSILON).sqrt());
    for z in normal.iter_mut() {
        *z = *z * rate;
    }
    rate
}

/// Back through a norm, in place; the padding stays zero.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn normalise_back<T: Elementary>(grad: &mut [T], normal: &[T], gain: &[T], rate: T, width: usize) {
    let (grad, normal) = (&mut grad[..width], &normal[..width]);
    for (v, &g) in grad.iter_mut().zip(gain) {
        *v = *v * g;
    }
    let share = T::of(1.0 / width as f64);
    let (mean, slope) = (sum_of(grad) * share, sum_of_products(grad, normal) * share);
    for (v, &x) in grad.iter_mut().zip(normal) {
        *v = (*v - mean - x * slope) * rate;
    }
}

#[inline(always)]
fn sum_of<T: Elementary>(v: &[T]) -> T {
    let (lanes, rest) = v.as_chunks::<LANES>();
    let mut sums = [T::default(); LANES];
    for v in lanes {
        for lane in 0..LANES {
            sums[lane] = sums[lane] + v[lane];
        }
    }
    sums.iter()
        .chain(rest)
        .fold(T::default(), |sum, &v| sum + v)
}

#[inline(always)]
fn sum_of_products<T: Elementary>(a: &[T], b: &[T]) -> T {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [T::default(); LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] = sums[lane] + a[lane] * b[lane];
        }
    }
    let sum = sums.into_iter().fold(T::default(), |sum, v| sum + v);
    let rest = a_rest.iter().zip(b_rest);
    rest.fold(sum, |sum, (&a, &b)| sum + a * b)
}
