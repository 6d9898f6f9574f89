//! Products of small dense matrices in `f32` or `f64`, for targets that are made of them, by the crate `gemm`.
//!
//! Matrices are row-major with rows padded by zeros to whole cache lines ([`padded`]). Measured on one core of a Xeon with AVX-512 that
//! others used too, the best of many runs, in GFLOP/s of useful work, `f64` and `f32`, for square matrices:
//!
//! | size | gemm, padded | gemm | matrixmultiply | OpenBLAS 0.3.21 | register tiles of our own |
//! |---|---|---|---|---|---|
//! | 16 | 35, 35 | 16, 20 | 15, 21 | 6, 10 | 49, 51 |
//! | 50 | 51, 116 | 51, 92 | 40, 63 | 8, 24 | 36, 113 |
//! | 100 | 64, 128 | 64, 128 | 55, 107 | 15, 29 | 65, 126 |
//! | 250 | 77, 150 | | | | 55, 119 |
//!
//! Results of up to 16 rows and columns are loops of our own, which allocate nothing; `gemm` allocates a few bytes in every call, and more
//! where it packs a transposed left factor (a result of more than 64 columns of `f64`, 128 of `f32`, by vectors of 64 bytes).

use std::ops::{Add, Mul, Sub, SubAssign};

use multiversion::multiversion;
use ndarray::ArrayView2;

/// Results of at most this many rows and columns are plain loops.
const SMALL: usize = 16;

/// The two precisions of a target's matrix products.
pub(super) trait Real:
    Copy
    + Default
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + SubAssign
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
{
    fn of(x: f64) -> Self;
    fn to_f64(self) -> f64;
}

/// `c = a b` with `c` of shape `[rows, columns]` and `inner` terms in each sum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub rows: usize,
    pub inner: usize,
    pub columns: usize,
}

/// The left factor of a product.
#[derive(Debug, Clone, Copy)]
pub(super) enum Factor<'a, T> {
    /// Stored as it is used, `[rows, inner]` with rows of this length.
    Plain(&'a [T], usize),
    /// Stored as its transpose, `[inner, rows]` with rows of this length.
    Transposed(&'a [T], usize),
}

/// Length of a row with `n` entries, in whole cache lines.
pub(super) const fn padded<T>(n: usize) -> usize {
    n.next_multiple_of(64 / size_of::<T>())
}

/// `c = a b`; `b` and `c` have rows of `padded(columns)`, and `c`'s padding is left as it is or what `b`'s makes it.
///
/// # Panics
/// If a slice is too short.
#[inline]
pub(super) fn product<T: Real>(size: Size, a: Factor<T>, b: &[T], c: &mut [T]) {
    multiply(size, a, b, c, false);
}

/// `c = a b`, or `c = c + a b` if asked to add; otherwise as [`product`].
///
/// # Panics
/// If a slice is too short.
#[inline]
pub(super) fn multiply<T: Real>(size: Size, a: Factor<T>, b: &[T], c: &mut [T], add: bool) {
    let Size {
        rows,
        inner,
        columns,
    } = size;
    let stride = padded::<T>(columns);
    let (a, row, column) = match a {
        Factor::Plain(a, length) => {
            assert!(a.len() >= rows * length && length >= inner, "left factor");
            (a, length, 1)
        }
        Factor::Transposed(a, length) => {
            assert!(a.len() >= inner * length && length >= rows, "left factor");
            (a, 1, length)
        }
    };
    assert!(b.len() >= inner * stride, "right factor");
    assert!(c.len() >= rows * stride, "result");
    if rows * columns == 1 {
        // in the order of `small`
        let start = if add { c[0] } else { T::default() };
        c[0] = (0..inner).fold(start, |sum, p| sum + a[p * column] * b[p * stride]);
        return;
    }
    if rows.max(columns) <= SMALL {
        return small(size, (a, row, column), b, c, add);
    }
    // whole vectors of 32 bytes or more, no more of them than there are columns for
    let used = columns.next_multiple_of(8);
    #[expect(
        unsafe_code,
        reason = "gemm takes pointers; the lengths are checked above"
    )]
    // SAFETY: the three matrices lie within their slices, and `c` is borrowed mutably.
    unsafe {
        gemm::gemm(
            rows,
            used,
            inner,
            c.as_mut_ptr(),
            1,
            stride as isize,
            add,
            a.as_ptr(),
            column as isize,
            row as isize,
            b.as_ptr(),
            1,
            stride as isize,
            T::of(if add { 1.0 } else { 0.0 }),
            T::of(1.0),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Rows of the result one after the other; `a` comes with the steps from row to row and from term to term.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn small<T: Real>(size: Size, a: (&[T], usize, usize), b: &[T], c: &mut [T], add: bool) {
    if padded::<T>(size.columns).is_multiple_of(16) {
        by_columns::<T, 16>(size, a, b, c, add);
    } else {
        by_columns::<T, 8>(size, a, b, c, add);
    }
}

/// So many columns at a time.
#[inline(always)]
fn by_columns<T: Real, const LANES: usize>(
    size: Size,
    (a, row, column): (&[T], usize, usize),
    b: &[T],
    c: &mut [T],
    add: bool,
) {
    let stride = padded::<T>(size.columns);
    for i in 0..size.rows {
        for j in (0..stride).step_by(LANES) {
            let mut sums = [T::default(); LANES];
            if add {
                sums.copy_from_slice(&c[i * stride + j..][..LANES]);
            }
            for p in 0..size.inner {
                let a = a[i * row + p * column];
                let b = &b[p * stride + j..][..LANES];
                for lane in 0..LANES {
                    sums[lane] = sums[lane] + a * b[lane];
                }
            }
            c[i * stride + j..][..LANES].copy_from_slice(&sums);
        }
    }
}

/// Row-major with padded rows.
#[derive(Debug, Clone)]
pub(super) struct Matrix<T> {
    pub values: Vec<T>,
    pub stride: usize,
}

impl<T: Real> Matrix<T> {
    pub fn zeros(n_rows: usize, n_columns: usize) -> Self {
        let stride = padded::<T>(n_columns);
        Self {
            values: vec![T::default(); n_rows * stride],
            stride,
        }
    }

    pub fn plain(&self) -> Factor<'_, T> {
        Factor::Plain(&self.values, self.stride)
    }

    pub fn transposed(&self) -> Factor<'_, T> {
        Factor::Transposed(&self.values, self.stride)
    }

    /// Takes the values of a plain matrix with this many columns.
    pub fn load(&mut self, values: &[f64], n_columns: usize) {
        load(&mut self.values, self.stride, values, n_columns);
    }

    /// Takes the transpose of a plain matrix with this many columns.
    pub fn load_transposed(&mut self, values: &[f64], n_columns: usize) {
        load_transposed(&mut self.values, self.stride, values, n_columns);
    }

    /// Adds `scale` times this to a plain matrix with this many columns.
    pub fn add_to(&self, scale: f64, n_columns: usize, out: &mut [f64]) {
        add_to(&self.values, self.stride, scale, out, n_columns);
    }

    /// Writes `scale` times this to a plain matrix with this many columns.
    pub fn write_to(&self, scale: f64, n_columns: usize, out: &mut [f64]) {
        write_to(&self.values, self.stride, scale, out, n_columns);
    }

    /// Writes `scale` times the transpose of this to a plain matrix with this many columns.
    pub fn write_transposed_to(&self, scale: f64, n_columns: usize, out: &mut [f64]) {
        for (i, out) in out.chunks_exact_mut(n_columns).enumerate() {
            let column = self.values[i..].iter().step_by(self.stride);
            for (out, own) in out.iter_mut().zip(column) {
                *out = scale * own.to_f64();
            }
        }
    }

    pub fn row(&self, i: usize) -> &[T] {
        &self.values[i * self.stride..(i + 1) * self.stride]
    }

    pub fn row_mut(&mut self, i: usize) -> &mut [T] {
        &mut self.values[i * self.stride..(i + 1) * self.stride]
    }
}

impl Matrix<f64> {
    pub fn of(values: ArrayView2<f64>) -> Self {
        let mut out = Self::zeros(values.nrows(), values.ncols());
        for (i, row) in values.rows().into_iter().enumerate() {
            out.row_mut(i)
                .iter_mut()
                .zip(row)
                .for_each(|(o, &v)| *o = v);
        }
        out
    }

    pub fn rounded(&self) -> Matrix<f32> {
        let mut out = Matrix::zeros(self.values.len() / self.stride, self.stride);
        let stride = out.stride;
        let rows = out.values.chunks_exact_mut(stride);
        for (out, own) in rows.zip(self.values.chunks_exact(self.stride)) {
            out.iter_mut().zip(own).for_each(|(o, &v)| *o = v as f32);
        }
        out
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn load<T: Real>(own: &mut [T], stride: usize, values: &[f64], n_columns: usize) {
    let rows = own.chunks_exact_mut(stride);
    for (own, values) in rows.zip(values.chunks_exact(n_columns)) {
        for (own, &v) in own.iter_mut().zip(values) {
            *own = T::of(v);
        }
    }
}

fn load_transposed<T: Real>(own: &mut [T], stride: usize, values: &[f64], n_columns: usize) {
    let n_rows = values.len() / n_columns;
    if n_rows.max(n_columns) > TILE {
        return load_transposed_tiles(own, stride, values, n_columns);
    }
    for j in 0..n_columns {
        for i in 0..n_rows {
            own[j * stride + i] = T::of(values[i * n_columns + j]);
        }
    }
}

/// Rows and columns that are transposed together.
const TILE: usize = 16;

/// In tiles, whose rows are read and written in one piece. A function of its own: what a single tile calls for would otherwise be set to zero for nothing.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn load_transposed_tiles<T: Real>(own: &mut [T], stride: usize, values: &[f64], n_columns: usize) {
    let n_rows = values.len() / n_columns;
    for column in (0..n_columns).step_by(TILE) {
        let width = TILE.min(n_columns - column);
        for row in (0..n_rows).step_by(TILE) {
            let height = TILE.min(n_rows - row);
            let mut tile = [[T::default(); TILE]; TILE];
            for (i, tile) in tile[..height].iter_mut().enumerate() {
                let from = (row + i) * n_columns + column;
                for (own, &v) in tile.iter_mut().zip(&values[from..from + width]) {
                    *own = T::of(v);
                }
            }
            for j in 0..width {
                let to = (column + j) * stride + row;
                for (own, tile) in own[to..to + height].iter_mut().zip(&tile) {
                    *own = tile[j];
                }
            }
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn add_to<T: Real>(own: &[T], stride: usize, scale: f64, out: &mut [f64], n_columns: usize) {
    let rows = own.chunks_exact(stride);
    for (own, out) in rows.zip(out.chunks_exact_mut(n_columns)) {
        for (out, own) in out.iter_mut().zip(own) {
            *out += scale * own.to_f64();
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn write_to<T: Real>(own: &[T], stride: usize, scale: f64, out: &mut [f64], n_columns: usize) {
    let rows = own.chunks_exact(stride);
    for (own, out) in rows.zip(out.chunks_exact_mut(n_columns)) {
        for (out, own) in out.iter_mut().zip(own) {
            *out = scale * own.to_f64();
        }
    }
}

/// `sum_ij a_ij b_ij` over the first rows and columns, in `f64`.
pub(super) fn sum_of_products<T: Real>(
    a: &Matrix<T>,
    b: &Matrix<T>,
    n_rows: usize,
    n_columns: usize,
) -> f64 {
    if n_rows * n_columns == 1 {
        return a.values[0].to_f64() * b.values[0].to_f64();
    }
    let n = n_rows * a.stride;
    sum_of(&a.values[..n], &b.values[..n], a.stride, n_columns)
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn sum_of<T: Real>(a: &[T], b: &[T], stride: usize, n_columns: usize) -> f64 {
    /// Sums side by side, whatever the machine: their order is part of the result.
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    for (a, b) in a.chunks_exact(stride).zip(b.chunks_exact(stride)) {
        let (a, a_rest) = a[..n_columns].as_chunks::<LANES>();
        let (b, b_rest) = b[..n_columns].as_chunks::<LANES>();
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                sums[lane] += a[lane].to_f64() * b[lane].to_f64();
            }
        }
        for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
            *sum += a.to_f64() * b.to_f64();
        }
    }
    sums.iter().sum()
}

impl Real for f32 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self.into()
    }
}

impl Real for f64 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both forms of the left factor, the plain loop and `gemm`, rows that are padded and not.
    fn check<T: Real>(tolerance: f64) {
        for (rows, inner, columns) in [
            (1, 1, 1),
            (3, 10, 17),
            (8, 5, 16),
            (15, 7, 33),
            (50, 50, 50),
            (20, 70, 90),
            (9, 64, 65),
        ] {
            let size = Size {
                rows,
                inner,
                columns,
            };
            let (x, y) = (
                |i: usize, j: usize| ((3 * i + 7 * j) as f64).sin(),
                |i: usize, j: usize| ((5 * i + 2 * j) as f64).cos(),
            );
            let fill = |m: usize, n: usize, f: &dyn Fn(usize, usize) -> f64| -> Vec<T> {
                let mut out = vec![T::default(); m * padded::<T>(n)];
                for i in 0..m {
                    for j in 0..n {
                        out[i * padded::<T>(n) + j] = T::of(f(i, j));
                    }
                }
                out
            };
            let b = fill(inner, columns, &y);
            let (plain, transposed) = (fill(rows, inner, &x), fill(inner, rows, &|i, j| x(j, i)));
            for a in [
                Factor::Plain(&plain, padded::<T>(inner)),
                Factor::Transposed(&transposed, padded::<T>(rows)),
            ] {
                let mut c = vec![T::of(f64::NAN); rows * padded::<T>(columns)];
                product(size, a, &b, &mut c);
                let mut twice = c.clone();
                multiply(size, a, &b, &mut twice, true);
                for i in 0..rows {
                    for j in 0..columns {
                        let exact: f64 = (0..inner).map(|p| x(i, p) * y(p, j)).sum();
                        let got = c[i * padded::<T>(columns) + j].to_f64();
                        assert!(
                            (got - exact).abs() < tolerance * inner as f64,
                            "{size:?} {got} {exact}"
                        );
                        let got = twice[i * padded::<T>(columns) + j].to_f64();
                        assert!(
                            (got - 2.0 * exact).abs() < 2.0 * tolerance * inner as f64,
                            "added: {size:?} {got} {exact}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn matrices_come_and_go() {
        for (n_rows, n_columns) in [(1, 1), (3, 40), (16, 16), (33, 17)] {
            let values: Vec<f64> = (0..n_rows * n_columns).map(|i| i as f64).collect();
            let mut transpose = Matrix::<f32>::zeros(n_columns, n_rows);
            transpose.load_transposed(&values, n_columns);
            for (i, &v) in values.iter().enumerate() {
                let (row, column) = (i / n_columns, i % n_columns);
                assert_eq!(f64::from(transpose.row(column)[row]), v);
            }
            let mut back = vec![f64::NAN; values.len()];
            transpose.write_transposed_to(2.0, n_columns, &mut back);
            let mut plain = Matrix::<f64>::zeros(n_rows, n_columns);
            plain.load(&values, n_columns);
            plain.add_to(-2.0, n_columns, &mut back);
            assert!(back.iter().all(|&v| v == 0.0));
        }
    }

    #[test]
    fn products_are_sums_of_products() {
        check::<f64>(1e-15);
        check::<f32>(1e-6);
    }
}
