//! Products of small dense matrices in `f32` or `f64`, for targets that are made of them.
//!
//! Matrices are row-major with rows padded by zeros to whole vectors ([`padded`]). Up to [`SMALL`] columns, a product is a loop over
//! tiles that stay in registers; beyond it is the crate `gemm`. Measured on one core of a Xeon with AVX-512, in
//! GFLOP/s of useful work: see `benches/host_engine.rs`.
//!
//! The tiles use fused multiply-add through `mul_add`, which is rounded once on every machine: the vector width does not
//! change the bits. Whether `gemm` does the same is its own affair.

use std::ops::{Add, Mul, Sub, SubAssign};

use multiversion::multiversion;
use ndarray::ArrayView2;

/// Products with at most this many columns in result and factors are done by the tiles here.
const SMALL: usize = 64;
/// Rows of a tile.
const TILE: usize = 8;

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
    /// The small product; one function for each precision, because the vector width differs.
    fn tiles(size: Size, a: Factor<Self>, b: &[Self], c: &mut [Self]);
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

/// Length of a row with `n` entries, in whole vectors of 16 numbers.
pub(super) fn padded(n: usize) -> usize {
    n.next_multiple_of(16)
}

/// `c = a b`; `b` and `c` have rows of `padded(columns)`, and `c`'s padding is what `b`'s makes it.
///
/// # Panics
/// If a slice is too short.
#[inline]
pub(super) fn product<T: Real>(size: Size, a: Factor<T>, b: &[T], c: &mut [T]) {
    if size.rows.max(size.inner).max(size.columns) <= SMALL {
        T::tiles(size, a, b, c);
    } else {
        large(size, a, b, c);
    }
}

fn large<T: Real>(size: Size, a: Factor<T>, b: &[T], c: &mut [T]) {
    let Size {
        rows,
        inner,
        columns,
    } = size;
    let stride = padded(columns);
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
    // all of the padded row is written, as the tiles do
    #[expect(
        unsafe_code,
        reason = "gemm takes pointers; the lengths are checked above"
    )]
    // SAFETY: the three matrices lie within their slices, and `c` is borrowed mutably.
    unsafe {
        gemm::gemm(
            rows,
            stride,
            inner,
            c.as_mut_ptr(),
            1,
            stride as isize,
            false,
            a.as_ptr(),
            column as isize,
            row as isize,
            b.as_ptr(),
            1,
            stride as isize,
            T::of(0.0),
            T::of(1.0),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
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
        let stride = padded(n_columns);
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
        for (i, values) in values.chunks_exact(n_columns).enumerate() {
            for (own, &v) in self.row_mut(i).iter_mut().zip(values) {
                *own = T::of(v);
            }
        }
    }

    /// Takes the transpose of a plain matrix with this many columns.
    pub fn load_transposed(&mut self, values: &[f64], n_columns: usize) {
        for (i, values) in values.chunks_exact(n_columns).enumerate() {
            for (j, &v) in values.iter().enumerate() {
                self.values[j * self.stride + i] = T::of(v);
            }
        }
    }

    /// Adds `scale` times this to a plain matrix with this many columns.
    pub fn add_to(&self, scale: f64, n_columns: usize, out: &mut [f64]) {
        for (i, out) in out.chunks_exact_mut(n_columns).enumerate() {
            for (out, own) in out.iter_mut().zip(self.row(i)) {
                *out += scale * own.to_f64();
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
        Matrix {
            values: self.values.iter().map(|&v| v as f32).collect(),
            stride: self.stride,
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
    let row = |i: usize| {
        let (a, b) = (&a.row(i)[..n_columns], &b.row(i)[..n_columns]);
        a.iter()
            .zip(b)
            .map(|(a, b)| a.to_f64() * b.to_f64())
            .sum::<f64>()
    };
    (0..n_rows).map(row).sum()
}

macro_rules! real {
    ($t:ty, $tiles:ident, $lanes:expr) => {
        impl Real for $t {
            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $t
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self.into()
            }

            #[inline]
            fn tiles(size: Size, a: Factor<Self>, b: &[Self], c: &mut [Self]) {
                $tiles(size, a, b, c);
            }
        }

        #[multiversion(targets(
            "x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma",
            "x86_64+avx2+fma"
        ))]
        fn $tiles(size: Size, a: Factor<$t>, b: &[$t], c: &mut [$t]) {
            /// `R` rows and `V` columns of the result.
            #[inline(always)]
            fn tile<const R: usize, const V: usize>(
                a: [&[$t]; R],
                b: &[$t],
                stride: usize,
                c: &mut [$t],
            ) {
                let mut sums = [[0.0 as $t; V]; R];
                let inner = a[0].len();
                for (p, b) in b.chunks(stride).take(inner).enumerate() {
                    let b: &[$t; V] = b[..V].try_into().expect("V columns");
                    for r in 0..R {
                        let a = a[r][p];
                        for v in 0..V {
                            sums[r][v] = a.mul_add(b[v], sums[r][v]);
                        }
                    }
                }
                for (sums, c) in sums.iter().zip(c.chunks_mut(stride)) {
                    c[..V].copy_from_slice(sums);
                }
            }

            /// The same from the transpose of the left factor, whose rows start with the tile's entries.
            #[inline(always)]
            fn tile_transposed<const R: usize, const V: usize>(
                a: &[$t],
                length: usize,
                inner: usize,
                b: &[$t],
                stride: usize,
                c: &mut [$t],
            ) {
                let mut sums = [[0.0 as $t; V]; R];
                for (a, b) in a.chunks(length).zip(b.chunks(stride)).take(inner) {
                    let a: &[$t; R] = a[..R].try_into().expect("R rows");
                    let b: &[$t; V] = b[..V].try_into().expect("V columns");
                    for r in 0..R {
                        for v in 0..V {
                            sums[r][v] = a[r].mul_add(b[v], sums[r][v]);
                        }
                    }
                }
                for (sums, c) in sums.iter().zip(c.chunks_mut(stride)) {
                    c[..V].copy_from_slice(sums);
                }
            }

            #[inline(always)]
            fn rows<const R: usize, const V: usize>(
                size: Size,
                i: usize,
                a: Factor<$t>,
                b: &[$t],
                stride: usize,
                c: &mut [$t],
            ) {
                match a {
                    Factor::Plain(a, length) => {
                        let a = std::array::from_fn(|r| &a[(i + r) * length..][..size.inner]);
                        tile::<R, V>(a, b, stride, c);
                    }
                    Factor::Transposed(a, length) => {
                        tile_transposed::<R, V>(&a[i..], length, size.inner, b, stride, c);
                    }
                }
            }

            #[inline(always)]
            fn columns<const V: usize>(
                size: Size,
                a: Factor<$t>,
                b: &[$t],
                stride: usize,
                c: &mut [$t],
            ) {
                let mut i = 0;
                while i + TILE <= size.rows {
                    rows::<TILE, V>(size, i, a, b, stride, &mut c[i * stride..]);
                    i += TILE;
                }
                if i + 4 <= size.rows {
                    rows::<4, V>(size, i, a, b, stride, &mut c[i * stride..]);
                    i += 4;
                }
                if i + 2 <= size.rows {
                    rows::<2, V>(size, i, a, b, stride, &mut c[i * stride..]);
                    i += 2;
                }
                if i < size.rows {
                    rows::<1, V>(size, i, a, b, stride, &mut c[i * stride..]);
                }
            }

            const LANES: usize = $lanes;
            let stride = padded(size.columns);
            let used = size.columns.next_multiple_of(LANES);
            let mut j = 0;
            while j + 2 * LANES <= used {
                columns::<{ 2 * LANES }>(size, a, &b[j..], stride, &mut c[j..]);
                j += 2 * LANES;
            }
            if j < used {
                columns::<LANES>(size, a, &b[j..], stride, &mut c[j..]);
            }
        }
    };
}

real!(f32, tiles_f32, 16);
real!(f64, tiles_f64, 8);

#[cfg(test)]
mod tests {
    use super::*;

    /// All remainders of tiles and vectors, both forms of the left factor, the tiles and `gemm`.
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
                let mut out = vec![T::default(); m * padded(n)];
                for i in 0..m {
                    for j in 0..n {
                        out[i * padded(n) + j] = T::of(f(i, j));
                    }
                }
                out
            };
            let b = fill(inner, columns, &y);
            let (plain, transposed) = (fill(rows, inner, &x), fill(inner, rows, &|i, j| x(j, i)));
            for a in [
                Factor::Plain(&plain, padded(inner)),
                Factor::Transposed(&transposed, padded(rows)),
            ] {
                let mut c = vec![T::of(f64::NAN); rows * padded(columns)];
                product(size, a, &b, &mut c);
                for i in 0..rows {
                    for j in 0..columns {
                        let exact: f64 = (0..inner).map(|p| x(i, p) * y(p, j)).sum();
                        let got = c[i * padded(columns) + j].to_f64();
                        assert!(
                            (got - exact).abs() < tolerance * inner as f64,
                            "{size:?} {got} {exact}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn products_are_sums_of_products() {
        check::<f64>(1e-15);
        check::<f32>(1e-6);
    }
}
