//! Exact rank of a matrix over a prime field, and what it proves of a generic Jacobian.
//!
//! The Jacobian of a polynomial map has one rank at all points outside a hypersurface: its *generic rank*, the largest
//! that it has anywhere. Let the polynomials have integer coefficients, and evaluate the Jacobian at a point over the
//! field with `p` elements.
//!
//! - The rank found there is a **lower bound** on the generic rank, always: a minor that is not 0 modulo `p` at one
//!   integer point is not the zero polynomial. Where an upper bound is known and is met, the rank is proven.
//! - It **equals** the generic rank with high probability: the minor of full rank `r` is a polynomial of degree at most
//!   `r` times the degree of the entries, and unless it vanishes modulo `p` as a polynomial, a point drawn uniformly is
//!   a zero of it with probability at most `degree/p` (Schwartz 1980, Zippel 1979). With entries of degree 2, rank 5000
//!   and `p` near 2^30 that is 1e-5. The points used here are fixed, not drawn: the bound is then a heuristic, and
//!   nothing in this crate is called exact on its strength alone.
//!
//! Elimination works on panels of 64 rows: a panel is brought to reduced echelon form, so that the multiples of its
//! rows which clear the rows below can be read off, and the rows below are updated by one matrix product. Entries are below
//! 2^30, so four products fit between two reductions of a 64-bit sum.

use multiversion::multiversion;

/// Rows brought to echelon form together, before the rows below are touched.
const PANEL: usize = 64;
/// Columns of a sum that are held in cache.
const STRIP: usize = 512;

/// The integers modulo a prime below 2^30.
///
/// ```
/// use slt_theory::{FieldMatrix, PrimeField};
///
/// // Rank 2 over the rationals and modulo a large prime; rank 1 modulo 3.
/// let entry = |i: usize, j: usize| [[1, 2], [4, 5]][i][j];
/// let rank = |field: PrimeField| FieldMatrix::from_fn(field, 2, 2, |i, j| field.element(entry(i, j))).rank();
/// assert_eq!(rank(PrimeField::LARGE), 2);
/// assert_eq!(rank(PrimeField::new(3)?), 1);
/// # Ok::<(), slt_theory::PrimeFieldError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrimeField {
    modulus: u32,
}

/// Why a number is no modulus, or a field has no such root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrimeFieldError {
    /// The modulus is not a prime below 2^30.
    #[error("the modulus must be a prime below 2^30, got {modulus}")]
    NotPrime {
        /// The modulus given.
        modulus: u32,
    },
    /// The field has no element of this multiplicative order.
    #[error(
        "a field with {modulus} elements has an element of order {order} only if {order} divides {modulus} - 1"
    )]
    NoRoot {
        /// The order asked for.
        order: u32,
        /// The number of elements.
        modulus: u32,
    },
    /// No prime below 2^30 is 1 modulo the order.
    #[error("no prime below 2^30 is 1 modulo {order}")]
    NoField {
        /// The order asked for.
        order: u32,
    },
}

impl PrimeField {
    /// The field of `2^30 − 35`, the largest prime below 2^30.
    pub const LARGE: Self = Self {
        modulus: (1 << 30) - 35,
    };

    /// The integers modulo `modulus`.
    ///
    /// # Errors
    /// [`PrimeFieldError::NotPrime`] unless `modulus` is a prime below 2^30.
    pub fn new(modulus: u32) -> Result<Self, PrimeFieldError> {
        let divisors = || (2u32..).take_while(|d| d * d <= modulus);
        if !(2..1 << 30).contains(&modulus) || divisors().any(|d| modulus.is_multiple_of(d)) {
            return Err(PrimeFieldError::NotPrime { modulus });
        }
        Ok(Self { modulus })
    }

    /// The field of the largest prime below 2^30 that is 1 modulo `order`: it has all roots of unity of this order.
    ///
    /// # Errors
    /// [`PrimeFieldError::NoField`] when `order` is 0, or no prime below 2^30 is 1 modulo `order`.
    pub fn with_roots_of_unity(order: u32) -> Result<Self, PrimeFieldError> {
        let none = PrimeFieldError::NoField { order };
        let largest = ((1u32 << 30) - 2).checked_div(order).ok_or(none)?;
        (1..=largest)
            .rev()
            .find_map(|multiple| Self::new(multiple * order + 1).ok())
            .ok_or(none)
    }

    /// The number of elements.
    pub fn modulus(self) -> u32 {
        self.modulus
    }

    /// The class of an integer.
    pub fn element(self, integer: i64) -> u32 {
        integer.rem_euclid(i64::from(self.modulus)) as u32
    }

    /// `a + b`, for `a, b` below the modulus (as in all operations).
    pub fn add(self, a: u32, b: u32) -> u32 {
        (a + b) % self.modulus
    }

    /// `−a`.
    pub fn negate(self, a: u32) -> u32 {
        (self.modulus - a) % self.modulus
    }

    /// `a b`.
    pub fn multiply(self, a: u32, b: u32) -> u32 {
        (u64::from(a) * u64::from(b) % u64::from(self.modulus)) as u32
    }

    /// `base^exponent`.
    pub fn power(self, base: u32, exponent: u32) -> u32 {
        let mut result = 1;
        for bit in (0..u32::BITS).rev() {
            result = self.multiply(result, result);
            if exponent >> bit & 1 == 1 {
                result = self.multiply(result, base);
            }
        }
        result
    }

    /// `1/a`, by Fermat's little theorem.
    ///
    /// # Panics
    /// If `a = 0`.
    pub fn inverse(self, a: u32) -> u32 {
        assert!(a != 0, "0 has no inverse");
        self.power(a, self.modulus - 2)
    }

    /// An element of multiplicative order exactly `order`.
    ///
    /// # Errors
    /// [`PrimeFieldError::NoRoot`] unless `order` divides `modulus − 1`.
    pub fn root_of_unity(self, order: u32) -> Result<u32, PrimeFieldError> {
        let none = PrimeFieldError::NoRoot {
            order,
            modulus: self.modulus,
        };
        let exponent = (self.modulus - 1).checked_div(order).ok_or(none)?;
        if exponent * order != self.modulus - 1 {
            return Err(none);
        }
        let is_primitive = |&root: &u32| {
            (1..order)
                .filter(|proper| order.is_multiple_of(*proper))
                .all(|proper| self.power(root, proper) != 1)
        };
        (1..self.modulus)
            .map(|base| self.power(base, exponent))
            .find(is_primitive)
            .ok_or(none)
    }

    /// Coordinate `index` of a fixed point with no structure: SplitMix64 (Steele, Lea & Flood 2014), output `index` of
    /// the stream that starts at 0, reduced to an element that is not 0.
    ///
    /// Not a random number: the same on every call and machine.
    pub fn coordinate(self, index: u64) -> u32 {
        let mut z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        1 + (z % u64::from(self.modulus - 1)) as u32
    }
}

/// A dense matrix over a [`PrimeField`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldMatrix {
    field: PrimeField,
    n_columns: usize,
    rows: Vec<Vec<u32>>,
}

impl FieldMatrix {
    /// The matrix of entries `entry(i, j)`, row by row.
    ///
    /// # Panics
    /// If an entry is not below the modulus.
    pub fn from_fn(
        field: PrimeField,
        n_rows: usize,
        n_columns: usize,
        entry: impl Fn(usize, usize) -> u32,
    ) -> Self {
        let row = |i| (0..n_columns).map(|j| entry(i, j)).collect();
        Self::from_rows(field, n_columns, (0..n_rows).map(row).collect())
    }

    /// The matrix of these rows.
    ///
    /// # Panics
    /// If a row has not `n_columns` entries, or an entry is not below the modulus.
    pub fn from_rows(field: PrimeField, n_columns: usize, rows: Vec<Vec<u32>>) -> Self {
        for row in &rows {
            assert_eq!(row.len(), n_columns, "entries of a row");
            assert!(
                row.iter().all(|&x| x < field.modulus),
                "entries below the modulus"
            );
        }
        Self {
            field,
            n_columns,
            rows,
        }
    }

    /// The number of rows.
    pub fn n_rows(&self) -> usize {
        self.rows.len()
    }

    /// The number of columns.
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[u32] {
        &self.rows[i]
    }

    /// The rank.
    ///
    /// Accuracy: exact. Cost: `rows · columns · rank` products, some 1e9 a second.
    pub fn rank(mut self) -> usize {
        self.eliminate().len()
    }

    /// These rows modulo the row space of `basis`, in the coordinates of the quotient.
    ///
    /// The quotient has `columns − rank(basis)` dimensions, so that
    /// `rank([basis; self]) = rank(basis) + rank(self.modulo(basis))`.
    ///
    /// # Panics
    /// If the two matrices differ in field or number of columns.
    #[must_use]
    pub fn modulo(mut self, mut basis: Self) -> Self {
        assert_eq!(
            (self.field, self.n_columns),
            (basis.field, basis.n_columns),
            "field and columns"
        );
        let swaps = basis.eliminate();
        let rank = swaps.len();
        basis.rows.truncate(rank);
        // Panels are reduced within themselves; clear them from the rows above, last panel first.
        for start in (0..rank).step_by(PANEL).rev() {
            let end = rank.min(start + PANEL);
            let (above, panel) = basis.rows.split_at_mut(start);
            for row in above {
                subtract_multiples(self.field, row, start, &panel[..end - start]);
            }
        }
        for row in &mut self.rows {
            for (position, &column) in swaps.iter().enumerate() {
                row.swap(position, column);
            }
            for start in (0..rank).step_by(PANEL) {
                let end = rank.min(start + PANEL);
                subtract_multiples(self.field, row, start, &basis.rows[start..end]);
            }
            row.drain(..rank);
        }
        self.n_columns -= rank;
        self
    }

    /// Brings the rows to echelon form; returns for each pivot the column that was swapped into its place.
    ///
    /// Afterwards the first `rank` rows are `[U | R]` with `U` block upper triangular: unit blocks of [`PANEL`] rows on
    /// the diagonal. The other rows are 0.
    fn eliminate(&mut self) -> Vec<usize> {
        let field = self.field;
        let mut swaps = Vec::new();
        // Rows 0..swaps.len() hold pivots; a panel takes rows until it has PANEL pivots or none are left.
        loop {
            let start = swaps.len();
            let mut next = start;
            while swaps.len() < start + PANEL && next < self.rows.len() {
                let position = swaps.len();
                let (above, below) = self.rows.split_at_mut(next);
                let row = &mut below[0];
                subtract_multiples(field, row, start, &above[start..position]);
                if let Some(column) = (position..self.n_columns).find(|&j| row[j] != 0) {
                    for other in &mut self.rows {
                        other.swap(position, column);
                    }
                    swaps.push(column);
                    self.rows.swap(position, next);
                    let (above, below) = self.rows.split_at_mut(position);
                    let pivot = &mut below[0];
                    let scale = field.inverse(pivot[position]);
                    for x in &mut pivot[position..] {
                        *x = field.multiply(*x, scale);
                    }
                    for row in &mut above[start..] {
                        subtract_multiples(field, row, position, std::slice::from_ref(pivot));
                    }
                }
                next += 1;
            }
            let end = swaps.len();
            if end == start {
                return swaps;
            }
            // Rows end..next were found dependent on the panel's pivots, and are 0 there; all are cleared alike.
            let (above, below) = self.rows.split_at_mut(end);
            for row in below {
                subtract_multiples(field, row, start, &above[start..end]);
            }
        }
    }
}

/// Clears `row` at the columns `start..start + pivots.len()`, where `pivots` are a unit matrix.
fn subtract_multiples(field: PrimeField, row: &mut [u32], start: usize, pivots: &[Vec<u32>]) {
    let end = start + pivots.len();
    let multiples: Vec<u32> = row[start..end].iter().map(|&x| field.negate(x)).collect();
    if multiples.iter().any(|&x| x != 0) {
        add_products(field.modulus, &mut row[start..], start, &multiples, pivots);
    }
}

/// `target += Σ_t multiples[t] rows[t][start..]` modulo the prime.
///
/// A sum stays below 2^63: it gains four products below 2^60, and loses a multiple of the modulus above 2^63 − 2^30 once
/// it has passed it.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn add_products(
    modulus: u32,
    target: &mut [u32],
    start: usize,
    multiples: &[u32],
    rows: &[Vec<u32>],
) {
    let modulus = u64::from(modulus);
    let ceiling = (1u64 << 63) / modulus * modulus;
    let mut sums = [0u64; STRIP];
    for (strip, chunk) in target.chunks_mut(STRIP).enumerate() {
        let sums = &mut sums[..chunk.len()];
        for (sum, &x) in sums.iter_mut().zip(&*chunk) {
            *sum = u64::from(x);
        }
        let offset = start + strip * STRIP;
        let columns = offset..offset + chunk.len();
        let mut quads = multiples.chunks_exact(4).zip(rows.chunks_exact(4));
        for (c, r) in &mut quads {
            let c = [c[0], c[1], c[2], c[3]].map(u64::from);
            let (r0, r1) = (&r[0][columns.clone()], &r[1][columns.clone()]);
            let (r2, r3) = (&r[2][columns.clone()], &r[3][columns.clone()]);
            for ((((sum, &x0), &x1), &x2), &x3) in sums.iter_mut().zip(r0).zip(r1).zip(r2).zip(r3) {
                let [x0, x1, x2, x3] = [x0, x1, x2, x3].map(u64::from);
                let total = *sum + c[0] * x0 + c[1] * x1 + c[2] * x2 + c[3] * x3;
                *sum = total.min(total.wrapping_sub(ceiling));
            }
        }
        let whole = multiples.len() / 4 * 4;
        for (&c, row) in multiples[whole..].iter().zip(&rows[whole..]) {
            for (sum, &x) in sums.iter_mut().zip(&row[columns.clone()]) {
                *sum += u64::from(c) * u64::from(x);
            }
        }
        for (x, &sum) in chunk.iter_mut().zip(&*sums) {
            *x = (sum % modulus) as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_rational::Ratio;
    use proptest::prelude::*;

    /// Second route: textbook elimination over the rationals.
    fn rational_rank(rows: &[Vec<i64>]) -> usize {
        let mut rows: Vec<Vec<Ratio<i128>>> = rows
            .iter()
            .map(|row| {
                row.iter()
                    .map(|&x| Ratio::from_integer(i128::from(x)))
                    .collect()
            })
            .collect();
        let n_columns = rows.first().map_or(0, Vec::len);
        let mut rank = 0;
        for j in 0..n_columns {
            let Some(i) = (rank..rows.len()).find(|&i| rows[i][j] != Ratio::from_integer(0)) else {
                continue;
            };
            rows.swap(rank, i);
            let pivot = rows[rank].clone();
            for row in &mut rows[rank + 1..] {
                let c = row[j] / pivot[j];
                for (x, &y) in row.iter_mut().zip(&pivot) {
                    *x -= c * y;
                }
            }
            rank += 1;
        }
        rank
    }

    /// Second route over a field: one row at a time, by operations of single elements.
    fn plain_rank(field: PrimeField, mut rows: Vec<Vec<u32>>, n_columns: usize) -> usize {
        let mut rank = 0;
        for j in 0..n_columns {
            let Some(i) = (rank..rows.len()).find(|&i| rows[i][j] != 0) else {
                continue;
            };
            rows.swap(rank, i);
            let pivot = rows[rank].clone();
            for row in &mut rows[rank + 1..] {
                let c = field.multiply(row[j], field.inverse(pivot[j]));
                for (x, &y) in row.iter_mut().zip(&pivot) {
                    *x = field.add(*x, field.negate(field.multiply(c, y)));
                }
            }
            rank += 1;
        }
        rank
    }

    /// A product of two matrices with no structure: rank `inner` unless a side is shorter.
    fn of_rank(field: PrimeField, n_rows: usize, n_columns: usize, inner: usize) -> FieldMatrix {
        let at = |side: usize, i: usize, t: usize| {
            field.coordinate((side * 1_000_000 + i * 1000 + t) as u64)
        };
        FieldMatrix::from_fn(field, n_rows, n_columns, |i, j| {
            (0..inner).fold(0, |sum, t| {
                field.add(sum, field.multiply(at(1, i, t), at(2, j, t)))
            })
        })
    }

    #[test]
    fn primes_and_roots() {
        assert_eq!(
            PrimeField::new(PrimeField::LARGE.modulus),
            Ok(PrimeField::LARGE)
        );
        assert!((PrimeField::LARGE.modulus + 1..1 << 30).all(|n| PrimeField::new(n).is_err()));
        for modulus in [0, 1, 4, 9, 91, 1 << 30, (1 << 30) + 3, u32::MAX] {
            assert_eq!(
                PrimeField::new(modulus),
                Err(PrimeFieldError::NotPrime { modulus })
            );
        }
        let small: Vec<u32> = (0..32).filter(|&n| PrimeField::new(n).is_ok()).collect();
        assert_eq!(small, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31]);
        let field = PrimeField::new(31).unwrap();
        for order in [1, 2, 3, 5, 6, 10, 15, 30] {
            let root = field.root_of_unity(order).unwrap();
            let powers: Vec<u32> = (1..=order).map(|k| field.power(root, k)).collect();
            assert_eq!(
                powers.iter().position(|&x| x == 1),
                Some(order as usize - 1)
            );
        }
        for order in [0, 4, 7, 60] {
            assert_eq!(
                field.root_of_unity(order),
                Err(PrimeFieldError::NoRoot { order, modulus: 31 })
            );
        }
        for order in [1, 12, 20, 212, 1 << 20] {
            let field = PrimeField::with_roots_of_unity(order).unwrap();
            assert!(field.root_of_unity(order).is_ok());
            assert!(field.modulus > 1 << 28);
        }
        for order in [0, (1 << 30) - 1, (1 << 30) - 37] {
            assert_eq!(
                PrimeField::with_roots_of_unity(order),
                Err(PrimeFieldError::NoField { order })
            );
        }
        assert_eq!(
            PrimeField::with_roots_of_unity((1 << 30) - 36),
            Ok(PrimeField::LARGE)
        );
    }

    #[test]
    fn arithmetic() {
        let field = PrimeField::new(101).unwrap();
        assert_eq!(field.modulus(), 101);
        for a in 0..101 {
            assert_eq!(field.add(a, field.negate(a)), 0);
            assert_eq!(field.power(a, 100), u32::from(a != 0));
            if a != 0 {
                assert_eq!(field.multiply(a, field.inverse(a)), 1);
            }
            for b in 0..101 {
                assert_eq!(
                    u64::from(field.multiply(a, b)),
                    u64::from(a) * u64::from(b) % 101
                );
            }
        }
        assert_eq!(field.power(2, 10), 1024 % 101);
        assert_eq!(
            [-1, 0, 101, 205, -203].map(|x| field.element(x)),
            [100, 0, 0, 3, 100]
        );
    }

    /// The published first outputs of SplitMix64 at seed 0.
    #[test]
    fn fixed_point_value_stability() {
        let outputs: [u64; 3] = [
            0xe220_a839_7b1d_cdaf,
            0x6e78_9e6a_a1b9_65f4,
            0x06c4_5d18_8009_454f,
        ];
        let field = PrimeField::LARGE;
        for (index, output) in outputs.into_iter().enumerate() {
            let reduced = 1 + (output % u64::from(field.modulus - 1)) as u32;
            assert_eq!(field.coordinate(index as u64), reduced);
        }
    }

    #[test]
    fn rank_across_panels() {
        for field in [PrimeField::LARGE, PrimeField::new((1 << 29) - 3).unwrap()] {
            for (n_rows, n_columns, inner) in [
                (0, 5, 0),
                (5, 0, 0),
                (64, 64, 64),
                (65, 200, 65),
                (200, 65, 64),
                (200, 190, 129),
                (150, 700, 100),
                (300, 200, 63),
            ] {
                let matrix = of_rank(field, n_rows, n_columns, inner);
                assert_eq!(matrix.clone().rank(), inner, "{n_rows} {n_columns} {inner}");
                assert_eq!(plain_rank(field, matrix.rows, n_columns), inner);
            }
        }
    }

    #[test]
    fn quotient_by_more_than_one_panel() {
        let field = PrimeField::LARGE;
        let all = of_rank(field, 310, 300, 205);
        for n_basis in [0, 1, 64, 150, 205, 310] {
            let part = |range: std::ops::Range<usize>| {
                FieldMatrix::from_rows(field, 300, all.rows[range].to_vec())
            };
            let quotient = part(n_basis..310).modulo(part(0..n_basis));
            let rank = n_basis.min(205);
            assert_eq!(
                (quotient.n_rows(), quotient.n_columns()),
                (310 - n_basis, 300 - rank)
            );
            assert_eq!(quotient.rank(), (205 - rank).min(310 - n_basis));
        }
        // A row in the span of the basis is 0 in the quotient.
        let inside = FieldMatrix::from_fn(field, 1, 300, |_, j| {
            (0..310).fold(0, |sum, i| {
                field.add(sum, field.multiply(i, all.row(i as usize)[j]))
            })
        });
        let zero = inside.modulo(all);
        assert_eq!(zero.row(0), [0; 95]);
    }

    #[test]
    #[should_panic(expected = "field and columns")]
    fn quotients_need_equal_columns() {
        let of = |n| FieldMatrix::from_fn(PrimeField::LARGE, 1, n, |_, _| 1);
        let _ = of(2).modulo(of(3));
    }

    #[test]
    #[should_panic(expected = "below the modulus")]
    fn entries_are_reduced() {
        let field = PrimeField::new(7).unwrap();
        FieldMatrix::from_fn(field, 1, 1, |_, _| 7);
    }

    proptest! {
        #[test]
        fn agrees_with_the_rationals(
            (n_columns, rows) in (1usize..9).prop_flat_map(|n| {
                (Just(n), prop::collection::vec(prop::collection::vec(-3i64..4, n), 0..9))
            }),
            copies in 0usize..3,
        ) {
            // Repeated rows make dependent ones common.
            let mut rows = rows;
            let repeated: Vec<_> = rows.iter().take(copies).cloned().collect();
            rows.extend(repeated);
            let field = PrimeField::LARGE;
            let matrix = FieldMatrix::from_fn(field, rows.len(), n_columns, |i, j| field.element(rows[i][j]));
            prop_assert_eq!(matrix.rank(), rational_rank(&rows));
        }

        #[test]
        fn agrees_with_plain_elimination(
            modulus in prop::sample::select(vec![2u32, 3, 5, 1_073_741_789]),
            n_rows in 1usize..90, n_columns in 1usize..90, seed in 0u64..1000,
        ) {
            let field = PrimeField::new(modulus).unwrap();
            // Sparse over small fields: dependent rows and columns of zeros occur.
            let entry = |i: usize, j: usize| {
                let x = PrimeField::LARGE.coordinate(seed * 10_000 + (i * 90 + j) as u64);
                if x.is_multiple_of(5) { x % modulus } else { 0 }
            };
            let matrix = FieldMatrix::from_fn(field, n_rows, n_columns, entry);
            let half = n_rows / 2;
            let top = FieldMatrix::from_rows(field, n_columns, matrix.rows[..half].to_vec());
            let bottom = FieldMatrix::from_rows(field, n_columns, matrix.rows[half..].to_vec());
            let rank = plain_rank(field, matrix.rows.clone(), n_columns);
            prop_assert_eq!(top.clone().rank() + bottom.modulo(top).rank(), rank);
            prop_assert_eq!(matrix.rank(), rank);
        }
    }
}
