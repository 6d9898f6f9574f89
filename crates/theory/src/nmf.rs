//! Non-negative matrix factorisation, `K = |X Y − X* Y*|²` with entries `>= 0`.
//!
//! `X` is `M × H`, `Y` is `H × N`, the truth has non-negative rank `H₀`; the prior is bounded, and positive up to
//! zero. Since the parameters are a part of those of reduced-rank regression, `λ >= λ_RRR(M, N, H; rank)` always.
//! Zeros of the truth put the fibre on the boundary and can make λ larger. What is known depends on the truth
//! ([`NmfTruth`]); all of it is derived here, beside what Hayashi & Watanabe published:
//!
//! - **zero truth** (`H₀ = 0`): no term of `Σ_h x_ih y_hj` cancels, so `K ~ Σ_h |x_h|² |y_h|²` and `λ = H min(M,
//!   N)/2`, `m = 1 + H [M = N]`. With independent Gamma priors of shapes φ and ψ: `λ = H min(Mφ, Nψ)/2`, `m = 1 + H
//!   [Mφ = Nψ]`.
//! - **any truth**: `K <= H Σ_h |x_h y_h^T − x*_h y*_h^T|²`, a sum over disjoint variables: `λ <= [H₀ (M + N − 1) +
//!   (H − H₀) min(M, N)]/2` (Hayashi & Watanabe 2017, Neurocomputing 266, 21-28). For `H = H₀ = 1` the term is
//!   regular and this is exact. The 2 × 2 identity with `H = 2` attains it, `λ = 3`.
//! - **positive factors**: the same, with two components to a term. Two positive components are regular, with `M + N
//!   − 2` instead of `M + N − 1`: `λ <= [H₀ (M + N − 2) + (H₀ mod 2) + (H − H₀) min(M, N)]/2`, exact for `H = H₀ <=
//!   2` (Hayashi & Watanabe 2017, *Tighter upper bound …*, IEEE SSCI). The identity shows that positivity is needed
//!   there.
//! - **positive factors that are independent**, so that `H₀` is the rank: splitting one component into `H − H₀ + 1`
//!   parallel ones gives a positive factorisation with both ranks `H₀`. It is an inner point, and there the local
//!   pair of reduced-rank regression is the global one. So the lower bound is attained: `(λ, m)` of reduced-rank
//!   regression. For `H₀ <= 3`, positive factors of the least size are always independent.

use num_rational::{Ratio, Rational64};

use crate::learning_coefficient::narrow;
use crate::reduced_rank::beside_product;
use crate::size::{SizeError, at_most, in_range};
use crate::{Known, LearningCoefficient, LearningCoefficientError};

/// What is given of the true matrix, beside its non-negative rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NmfTruth {
    /// Nothing: it may have zeros.
    Any,
    /// It is a product of matrices of inner size H₀ with positive entries.
    Positive,
    /// It is a product of matrices of inner size H₀ with positive entries, and has rank H₀.
    PositiveIndependent,
}

/// Non-negative matrix factorisation.
///
/// ```
/// use slt_theory::{NonNegativeFactorisation, NmfTruth};
///
/// // A positive 2 × 2 matrix of rank one, fitted with two components.
/// let known = |truth| NonNegativeFactorisation::new(2, 2, 2, 1, truth).map(|nmf| nmf.learning_coefficient());
/// assert_eq!(known(NmfTruth::Any)?.to_string(), "λ <= 5/2");
/// assert_eq!(known(NmfTruth::PositiveIndependent)?.to_string(), "λ = 2, m = 2");
/// # Ok::<(), slt_theory::SizeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NonNegativeFactorisation {
    n_rows: u32,
    n_columns: u32,
    inner: u32,
    true_inner: u32,
    truth: NmfTruth,
}

/// Why a factorisation with Gamma priors has no pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NmfError {
    /// A size is out of range.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// The shape of a Gamma prior is not positive.
    #[error("a shape > 0 is needed, got {shape}")]
    Shape {
        /// The shape given.
        shape: Rational64,
    },
    /// λ does not fit its type.
    #[error(transparent)]
    TooLarge(#[from] LearningCoefficientError),
}

impl NonNegativeFactorisation {
    /// `X Y` with `X: [n_rows, inner]`, `Y: [inner, n_columns]`, and a truth of non-negative rank `true_inner`.
    ///
    /// # Errors
    /// [`SizeError::OutOfRange`] when a size is 0 or above [`MAX_WIDTH`](crate::MAX_WIDTH);
    /// [`SizeError::TooLarge`] when `true_inner > min(n_rows, n_columns, inner)`.
    pub fn new(
        n_rows: u32,
        n_columns: u32,
        inner: u32,
        true_inner: u32,
        truth: NmfTruth,
    ) -> Result<Self, SizeError> {
        let sizes = sizes(n_rows, n_columns, inner)?;
        at_most("true_inner", true_inner, &sizes)?;
        Ok(Self {
            n_rows,
            n_columns,
            inner,
            true_inner,
            truth,
        })
    }

    /// The global pair, or an upper bound of λ.
    ///
    /// Accuracy: exact.   Derived here; see the module.
    ///
    /// Source: of the bounds, Hayashi & Watanabe (2017).
    pub fn learning_coefficient(&self) -> Known {
        let [m, n] = [self.n_rows, self.n_columns].map(i128::from);
        let [h, h0] = [self.inner, self.true_inner].map(i128::from);
        let dead = (h - h0) * m.min(n);
        if h0 == 0 {
            let tie = if m == n { self.inner } else { 0 };
            return LearningCoefficient::from_fraction(dead, 2, 1 + tie).into();
        }
        let (doubled, regular_up_to) = match self.truth {
            NmfTruth::PositiveIndependent => {
                let sizes = [self.n_rows, self.n_columns, self.inner];
                return beside_product(0, sizes, self.true_inner).into();
            }
            NmfTruth::Positive => (h0 * (m + n - 2) + h0 % 2 + dead, 2),
            NmfTruth::Any => (h0 * (m + n - 1) + dead, 1),
        };
        let pair = LearningCoefficient::from_fraction(doubled, 2, 1);
        if h == h0 && h <= regular_up_to {
            pair.into()
        } else {
            Known::UpperBound(pair.lambda())
        }
    }

    /// The pair at zero truth under independent priors Gamma(φ) for the entries of X and Gamma(ψ) for those of Y.
    ///
    /// `λ = H min(Mφ, Nψ)/2`, `m = 1 + H [Mφ = Nψ]`. The scales of the priors do not matter; shape 1 is the case of a
    /// prior that is positive at zero.
    ///
    /// Accuracy: exact.   Derived here; see the module.
    ///
    /// # Errors
    /// [`NmfError::Size`] when a size is 0 or above [`MAX_WIDTH`](crate::MAX_WIDTH); [`NmfError::Shape`] when a shape
    /// is not positive;
    /// [`NmfError::TooLarge`] when λ does not fit a 64-bit rational.
    pub fn at_zero_with_gamma_prior(
        n_rows: u32,
        n_columns: u32,
        inner: u32,
        shape_rows: Rational64,
        shape_columns: Rational64,
    ) -> Result<LearningCoefficient, NmfError> {
        sizes(n_rows, n_columns, inner)?;
        let dimension = |size: u32, shape: Rational64| {
            if shape <= Rational64::from_integer(0) {
                return Err(NmfError::Shape { shape });
            }
            let size = Ratio::from_integer(i128::from(size));
            let (numer, denom) = shape.into_raw();
            Ok(size * Ratio::new(i128::from(numer), i128::from(denom)))
        };
        let rows = dimension(n_rows, shape_rows)?;
        let columns = dimension(n_columns, shape_columns)?;
        let tie = if rows == columns { inner } else { 0 };
        let lambda = rows.min(columns) * Ratio::new(i128::from(inner), 2);
        Ok(LearningCoefficient::new(narrow(lambda)?, 1 + tie)?)
    }
}

/// The sizes by their names, once they are in range.
fn sizes(n_rows: u32, n_columns: u32, inner: u32) -> Result<[(&'static str, u32); 3], SizeError> {
    let sizes = [("rows", n_rows), ("columns", n_columns), ("inner", inner)];
    for (name, size) in sizes {
        in_range(name, size, 1)?;
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix_germ::{Numbers, jacobian_rank};
    use crate::{MAX_WIDTH, NormalCrossing, ReducedRank, regular};
    use ndarray::{Array2, ArrayView2, array};
    use proptest::prelude::*;

    fn known(m: u32, n: u32, h: u32, h0: u32, truth: NmfTruth) -> Known {
        NonNegativeFactorisation::new(m, n, h, h0, truth)
            .unwrap()
            .learning_coefficient()
    }

    fn exact(doubled: i64, m: u32) -> Known {
        LearningCoefficient::new(Rational64::new(doubled, 2), m)
            .unwrap()
            .into()
    }

    fn bound(doubled: i64) -> Known {
        Known::UpperBound(Rational64::new(doubled, 2))
    }

    const TRUTHS: [NmfTruth; 3] = [
        NmfTruth::Any,
        NmfTruth::Positive,
        NmfTruth::PositiveIndependent,
    ];

    #[test]
    fn worked_values() {
        for truth in TRUTHS {
            assert_eq!(known(4, 3, 5, 0, truth), exact(15, 1));
            assert_eq!(known(3, 3, 5, 0, truth), exact(15, 6));
            assert_eq!(known(4, 3, 1, 1, truth), exact(6, 1));
        }
        let cases = [
            ((4, 3, 2, 2), bound(12), exact(10, 1), exact(10, 1)),
            ((4, 3, 3, 2), bound(15), bound(13), exact(11, 1)),
            ((4, 5, 4, 3), bound(28), bound(26), exact(19, 1)),
            ((2, 2, 2, 1), bound(5), bound(5), exact(4, 2)),
        ];
        for ((m, n, h, h0), any, positive, independent) in cases {
            let found = TRUTHS.map(|truth| known(m, n, h, h0, truth));
            assert_eq!(found, [any, positive, independent], "{m} {n} {h} {h0}");
        }
    }

    /// `Σ_h |x_h|² |y_h|²` by the rules for sums and products of disjoint variables.
    #[test]
    fn zero_truth_is_a_sum_of_products() {
        for m in 1..6 {
            for n in 1..6 {
                let one = regular(m).independent_product(regular(n)).unwrap();
                let mut sum = LearningCoefficient::FLAT;
                for h in 1..6 {
                    sum = sum.independent_sum(one).unwrap();
                    assert_eq!(known(m, n, h, 0, NmfTruth::Any), sum.into());
                    let one = Rational64::from_integer(1);
                    let gamma =
                        NonNegativeFactorisation::at_zero_with_gamma_prior(m, n, h, one, one);
                    assert_eq!(gamma, Ok(sum));
                }
            }
        }
    }

    /// One entry: `x² y²` with prior `x^(φ−1) y^(ψ−1)`.
    #[test]
    fn a_gamma_prior_is_a_prior_exponent() {
        for phi in 1u32..6 {
            for psi in 1u32..6 {
                let crossing = NormalCrossing::new(&[1, 1], &[phi - 1, psi - 1]).unwrap();
                let [shape_rows, shape_columns] =
                    [phi, psi].map(|shape| Rational64::from_integer(i64::from(shape)));
                let one = NonNegativeFactorisation::at_zero_with_gamma_prior(
                    1,
                    1,
                    1,
                    shape_rows,
                    shape_columns,
                );
                assert_eq!(one, Ok(crossing.learning_coefficient()));
                // Two vectors of 2 and 3 entries, three times over.
                let more = NonNegativeFactorisation::at_zero_with_gamma_prior(
                    2,
                    3,
                    3,
                    shape_rows,
                    shape_columns,
                );
                let (rows, columns) = (2 * phi, 3 * psi);
                let tie = if rows == columns { 4 } else { 1 };
                assert_eq!(
                    more.map(Known::from),
                    Ok(exact(3 * i64::from(rows.min(columns)), tie))
                );
            }
        }
    }

    /// Positive, independent, `H = H₀`: a smooth fibre, half the rank of the Jacobian.
    #[test]
    fn independent_positive_factors_are_regular() {
        let mut numbers = Numbers(37);
        for m in 1..5 {
            for n in 1..5 {
                for h in 1..=m.min(n) {
                    let point: Vec<f64> = (0..h * (m + n)).map(|_| 2.0 + numbers.next()).collect();
                    let product = |w: &[f64]| {
                        let x = ArrayView2::from_shape((m, h), &w[..m * h]).unwrap();
                        let y = ArrayView2::from_shape((h, n), &w[m * h..]).unwrap();
                        x.dot(&y).into_raw_vec_and_offset().0
                    };
                    let rank = jacobian_rank(product, &point) as i64;
                    let [m, n, h] = [m, n, h].map(|size| size as u32);
                    let found = known(m, n, h, h, NmfTruth::PositiveIndependent);
                    assert_eq!(found, exact(rank, 1));
                    if h <= 2 {
                        assert_eq!(known(m, n, h, h, NmfTruth::Positive), found);
                    }
                }
            }
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (sizes, inequality) in [
            ([0, 2, 2, 0], "1 <= rows"),
            ([2, MAX_WIDTH + 1, 2, 0], "1 <= columns"),
            ([2, 2, 0, 0], "1 <= inner"),
            ([2, 9, 9, 3], "true_inner <= rows"),
            ([9, 2, 9, 3], "true_inner <= columns"),
            ([9, 9, 2, 3], "true_inner <= inner"),
        ] {
            let [m, n, h, h0] = sizes;
            let error = NonNegativeFactorisation::new(m, n, h, h0, NmfTruth::Any).unwrap_err();
            assert!(error.to_string().starts_with(inequality), "{error}");
        }
        let gamma = NonNegativeFactorisation::at_zero_with_gamma_prior;
        let one = Rational64::from_integer(1);
        let none = SizeError::OutOfRange {
            name: "rows",
            value: 0,
            least: 1,
        };
        assert_eq!(gamma(0, 1, 1, one, one), Err(NmfError::Size(none)));
        for shape in [Rational64::from_integer(0), -one] {
            assert_eq!(gamma(1, 1, 1, shape, one), Err(NmfError::Shape { shape }));
            assert_eq!(gamma(1, 1, 1, one, shape), Err(NmfError::Shape { shape }));
        }
        let huge = Rational64::from_integer(i64::MAX);
        assert!(matches!(
            gamma(MAX_WIDTH, MAX_WIDTH, MAX_WIDTH, huge, huge),
            Err(NmfError::TooLarge(
                LearningCoefficientError::LambdaTooLarge { .. }
            ))
        ));
    }

    #[test]
    fn exact_at_the_largest_sizes() {
        let w = MAX_WIDTH;
        let wide = i64::from(w);
        assert_eq!(known(w, w, w, 0, NmfTruth::Any), exact(wide * wide, w + 1));
        let bounded = bound(wide * (2 * wide - 1));
        assert_eq!(known(w, w, w, w, NmfTruth::Any), bounded);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// `λ_RRR` is a lower bound, and what is given of the truth only improves the upper one.
        #[test]
        fn between_the_bounds([m, n, h, h0] in [1u32..60, 1u32..60, 1u32..60, 1u32..60]) {
            let h0 = h0.min(m).min(n).min(h);
            let [any, positive, independent] =
                TRUTHS.map(|truth| known(m, n, h, h0, truth).lambda().unwrap());
            let unsigned = ReducedRank::new(m, n, h, h0).unwrap().learning_coefficient();
            prop_assert_eq!(known(m, n, h, h0, NmfTruth::PositiveIndependent), unsigned.into());
            prop_assert!(independent <= positive);
            prop_assert!(positive <= any);
            prop_assert_eq!(known(m, n, h, h0, NmfTruth::Any), known(n, m, h, h0, NmfTruth::Any));
        }

        /// No term cancels: the product of non-negative factors is between multiples of the sum over the components.
        #[test]
        fn zero_truth_is_comparable(
            (m, n, h) in (1usize..5, 1usize..5, 1usize..5), entries in prop::collection::vec(0.0..1.0f64, 32),
        ) {
            let x = Array2::from_shape_fn((m, h), |(i, k)| entries[i * h + k]);
            let y = Array2::from_shape_fn((h, n), |(k, j)| entries[16 + k * n + j]);
            let square = |terms: ndarray::ArrayView1<f64>| terms.iter().map(|t| t * t).sum::<f64>();
            let whole = x.dot(&y).iter().map(|t| t * t).sum::<f64>();
            let parts: f64 = (0..h).map(|k| square(x.column(k)) * square(y.row(k))).sum();
            prop_assert!(whole >= parts * (1.0 - 1e-12));
            prop_assert!(whole <= h as f64 * parts * (1.0 + 1e-12));
        }

        /// The 2 × 2 identity with two components: near `X = Y = 1`, K is at least a multiple of the squares of six
        /// coordinates, so `λ >= 3`. The bound for any truth is 3 too, while that for positive factors would be 2.
        #[test]
        fn zeros_of_the_truth_count(entries in prop::collection::vec(0.0..0.05f64, 8)) {
            let x = array![[1.0 + entries[0] - 0.025, entries[1]], [entries[2], 1.0 + entries[3] - 0.025]];
            let y = array![[1.0 + entries[4] - 0.025, entries[5]], [entries[6], 1.0 + entries[7] - 0.025]];
            let k: f64 = (x.dot(&y) - Array2::<f64>::eye(2)).iter().map(|t| t * t).sum();
            let coordinates = [
                x[[0, 0]] * y[[0, 0]] - 1.0, x[[1, 1]] * y[[1, 1]] - 1.0,
                x[[0, 1]], x[[1, 0]], y[[0, 1]], y[[1, 0]],
            ];
            let squares: f64 = coordinates.iter().map(|t| t * t).sum();
            prop_assert!(k >= 0.5 * squares);
            prop_assert_eq!(known(2, 2, 2, 2, NmfTruth::Any), bound(6));
            prop_assert_eq!(known(2, 2, 2, 2, NmfTruth::Positive), exact(4, 1));
        }
    }
}
