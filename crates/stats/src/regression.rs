//! Ordinary least squares with standard errors.
//!
//! `y = X b + e`, errors independent with one variance. With the singular value decomposition
//! `X D⁻¹ = U S Vᵀ` of the design with its columns scaled to length 1 (D the lengths),
//! `b = D⁻¹ V S⁻¹ Uᵀ y`, `s² = |y − X b|²/(n − p)`, `cov b = s² D⁻¹ V S⁻² Vᵀ D⁻¹`.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use ndarray_linalg::{JobSvd, SVDDC};
use serde::{Deserialize, Serialize};

/// A fitted linear model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeastSquares {
    /// One coefficient per column of the design.
    pub coefficients: Vec<f64>,
    /// Standard errors of the coefficients.
    pub standard_errors: Vec<f64>,
    /// Residual standard deviation `√(|y − X b|²/(n − p))`.
    pub residual_sd: f64,
    /// `1 − |y − X b|²/Σ(y − ȳ)²`; negative only where the design spans no constant.
    pub r_squared: f64,
    /// Degrees of freedom n − p of the standard errors.
    pub dof: usize,
}

/// Why a linear model cannot be fitted.
#[derive(Debug, thiserror::Error)]
pub enum RegressionError {
    /// The response has not one entry per row of the design.
    #[error("design has {expected} rows, response has {got}")]
    Shape {
        /// Rows of the design.
        expected: usize,
        /// Length of the response.
        got: usize,
    },
    /// The design has no columns.
    #[error("design has no columns")]
    NoColumns,
    /// Standard errors need more rows than columns.
    #[error("{n_columns} coefficients with errors need at least {} rows, got {n_rows}", n_columns + 1)]
    TooFewRows {
        /// Rows of the design.
        n_rows: usize,
        /// Columns of the design.
        n_columns: usize,
    },
    /// An entry of the design is NaN or infinite.
    #[error("design entry ({row}, {column}) is {value}")]
    NonFiniteDesign {
        /// Row of the first such entry.
        row: usize,
        /// Its column.
        column: usize,
        /// The entry.
        value: f64,
    },
    /// A response is NaN or infinite.
    #[error("response {row} is {value}")]
    NonFiniteResponse {
        /// Position of the first such response.
        row: usize,
        /// The response.
        value: f64,
    },
    /// The columns are linearly dependent to rounding.
    #[error("design of {n_columns} columns has rank {rank}")]
    RankDeficient {
        /// Numerical rank of the design.
        rank: usize,
        /// Columns of the design.
        n_columns: usize,
    },
    /// All responses are equal, so R² is undefined.
    #[error("all responses are {value}")]
    ConstantResponse {
        /// The one value.
        value: f64,
    },
    /// Finite input whose sums of squares leave the range of f64.
    #[error("sums of squares overflow or underflow")]
    OutOfRange,
    /// The singular value decomposition failed.
    #[error("singular value decomposition failed")]
    Decomposition(#[from] ndarray_linalg::error::LinalgError),
}

/// The least squares fit of `response` on the columns of `design`, as they are: no intercept is added.
///
/// Shapes: `design`: `[n, p]` with n > p ≥ 1; `response`: `[n]`.
/// Accuracy: 10 digits at condition number 5e4 of the scaled design (NIST Longley).
///
/// # Errors
/// [`RegressionError`]: shapes, a NaN or infinity, n ≤ p, a smallest singular value of the scaled design
/// at most `n ε` times the largest, equal responses, sums of squares outside the range of f64, or a failure inside LAPACK.
pub fn least_squares(
    design: ArrayView2<f64>,
    response: ArrayView1<f64>,
) -> Result<LeastSquares, RegressionError> {
    check(design, response)?;
    let (n_rows, n_columns) = design.dim();
    let lengths = design.map_axis(Axis(0), |column| column.fold(0.0, |h: f64, v| h.hypot(*v)));
    if lengths.iter().any(|length| !length.is_finite()) {
        return Err(RegressionError::OutOfRange);
    }
    // a column of zeros stays one, and is found by its rank
    let divisors = lengths.mapv(|length| if length > 0.0 { length } else { 1.0 });
    let scaled = &design / &divisors;

    let (u, singular_values, vt) = scaled.svddc(JobSvd::Some)?;
    let (u, vt) = (
        u.expect("left vectors were asked for"),
        vt.expect("right vectors were asked for"),
    );
    let threshold = n_rows as f64 * f64::EPSILON * singular_values[0];
    let rank = singular_values.iter().filter(|&&s| s > threshold).count();
    if rank < n_columns {
        return Err(RegressionError::RankDeficient { rank, n_columns });
    }
    let v_over_s = vt.t().to_owned() / &singular_values;

    let coefficients = v_over_s.dot(&u.t().dot(&response)) / &divisors;
    let residuals = &response - &design.dot(&coefficients);
    let dof = n_rows - n_columns;
    let squares = residuals.dot(&residuals);
    let residual_sd = (squares / dof as f64).sqrt();
    let row_lengths = v_over_s.map_axis(Axis(1), |row| row.dot(&row).sqrt());
    let standard_errors = residual_sd * row_lengths / &divisors;
    let deviations = &response - response.sum() / n_rows as f64;
    let r_squared = 1.0 - squares / deviations.dot(&deviations);
    let mut numbers = coefficients.iter().chain(&standard_errors);
    if !(numbers.all(|v| v.is_finite()) && residual_sd.is_finite() && r_squared.is_finite()) {
        return Err(RegressionError::OutOfRange);
    }
    Ok(LeastSquares {
        coefficients: coefficients.to_vec(),
        standard_errors: standard_errors.to_vec(),
        residual_sd,
        r_squared,
        dof,
    })
}

/// The least squares line `y = b₀ + b₁ x`; coefficients are intercept, slope.
///
/// Shapes: `x`, `y`: `[n]`, n ≥ 3.
///
/// # Errors
/// As [`least_squares`]; equal `x` are rank-deficient.
pub fn line(x: ArrayView1<f64>, y: ArrayView1<f64>) -> Result<LeastSquares, RegressionError> {
    let design = Array2::from_shape_fn((x.len(), 2), |(row, column)| [1.0, x[row]][column]);
    least_squares(design.view(), y)
}

fn check(design: ArrayView2<f64>, response: ArrayView1<f64>) -> Result<(), RegressionError> {
    let (n_rows, n_columns) = design.dim();
    if response.len() != n_rows {
        return Err(RegressionError::Shape {
            expected: n_rows,
            got: response.len(),
        });
    }
    if n_columns == 0 {
        return Err(RegressionError::NoColumns);
    }
    if n_rows <= n_columns {
        return Err(RegressionError::TooFewRows { n_rows, n_columns });
    }
    if let Some(((row, column), &value)) = design.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(RegressionError::NonFiniteDesign { row, column, value });
    }
    if let Some((row, &value)) = response.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(RegressionError::NonFiniteResponse { row, value });
    }
    let value = response[0];
    if response.iter().all(|&v| v == value) {
        return Err(RegressionError::ConstantResponse { value });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use ndarray::{Array1, array, s};
    use proptest::prelude::*;

    fn assert_close(got: &[f64], expected: &[f64], max_relative: f64) {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            assert_relative_eq!(*got, *expected, max_relative = max_relative);
        }
    }

    /// NIST StRD Norris, lower difficulty: `y, x`; certified values of Norris.dat.
    #[test]
    fn nist_norris() {
        let data = [
            (0.1, 0.2),
            (338.8, 337.4),
            (118.1, 118.2),
            (888.0, 884.6),
            (9.2, 10.1),
            (228.1, 226.5),
            (668.5, 666.3),
            (998.5, 996.3),
            (449.1, 448.6),
            (778.9, 777.0),
            (559.2, 558.2),
            (0.3, 0.4),
            (0.1, 0.6),
            (778.1, 775.5),
            (668.8, 666.9),
            (339.3, 338.0),
            (448.9, 447.5),
            (10.8, 11.6),
            (557.7, 556.0),
            (228.3, 228.1),
            (998.0, 995.8),
            (888.8, 887.6),
            (119.6, 120.2),
            (0.3, 0.3),
            (0.6, 0.3),
            (557.6, 556.8),
            (339.3, 339.1),
            (888.0, 887.2),
            (998.5, 999.0),
            (778.9, 779.0),
            (10.2, 11.1),
            (117.6, 118.3),
            (228.9, 229.2),
            (668.4, 669.1),
            (449.2, 448.9),
            (0.2, 0.5),
        ];
        let (y, x): (Vec<f64>, Vec<f64>) = data.into_iter().unzip();
        let fit = line(x.as_slice().into(), y.as_slice().into()).unwrap();
        assert_close(
            &fit.coefficients,
            &[-0.262323073774029, 1.00211681802045],
            1e-12,
        );
        assert_close(
            &fit.standard_errors,
            &[0.232818234301152, 0.429796848199937e-3],
            1e-12,
        );
        assert_relative_eq!(fit.residual_sd, 0.884796396144373, max_relative = 1e-12);
        assert_relative_eq!(fit.r_squared, 0.999993745883712, max_relative = 1e-14);
        assert_eq!(fit.dof, 34);
    }

    /// NIST StRD Longley, higher difficulty: `y, x1..x6`; certified values of Longley.dat.
    #[test]
    fn nist_longley() {
        let data = array![
            [60323.0, 83.0, 234289.0, 2356.0, 1590.0, 107608.0, 1947.0],
            [61122.0, 88.5, 259426.0, 2325.0, 1456.0, 108632.0, 1948.0],
            [60171.0, 88.2, 258054.0, 3682.0, 1616.0, 109773.0, 1949.0],
            [61187.0, 89.5, 284599.0, 3351.0, 1650.0, 110929.0, 1950.0],
            [63221.0, 96.2, 328975.0, 2099.0, 3099.0, 112075.0, 1951.0],
            [63639.0, 98.1, 346999.0, 1932.0, 3594.0, 113270.0, 1952.0],
            [64989.0, 99.0, 365385.0, 1870.0, 3547.0, 115094.0, 1953.0],
            [63761.0, 100.0, 363112.0, 3578.0, 3350.0, 116219.0, 1954.0],
            [66019.0, 101.2, 397469.0, 2904.0, 3048.0, 117388.0, 1955.0],
            [67857.0, 104.6, 419180.0, 2822.0, 2857.0, 118734.0, 1956.0],
            [68169.0, 108.4, 442769.0, 2936.0, 2798.0, 120445.0, 1957.0],
            [66513.0, 110.8, 444546.0, 4681.0, 2637.0, 121950.0, 1958.0],
            [68655.0, 112.6, 482704.0, 3813.0, 2552.0, 123366.0, 1959.0],
            [69564.0, 114.2, 502601.0, 3931.0, 2514.0, 125368.0, 1960.0],
            [69331.0, 115.7, 518173.0, 4806.0, 2572.0, 127852.0, 1961.0],
            [70551.0, 116.9, 554894.0, 4007.0, 2827.0, 130081.0, 1962.0],
        ];
        let mut design = data.clone();
        design.column_mut(0).fill(1.0);
        let fit = least_squares(design.view(), data.column(0)).unwrap();
        let coefficients = [
            -3482258.63459582,
            15.0618722713733,
            -0.358191792925910e-01,
            -2.02022980381683,
            -1.03322686717359,
            -0.511041056535807e-01,
            1829.15146461355,
        ];
        let standard_errors = [
            890420.383607373,
            84.9149257747669,
            0.334910077722432e-01,
            0.488399681651699,
            0.214274163161675,
            0.226073200069370,
            455.478499142212,
        ];
        assert_close(&fit.coefficients, &coefficients, 1e-10);
        assert_close(&fit.standard_errors, &standard_errors, 1e-10);
        assert_relative_eq!(fit.residual_sd, 304.854073561965, max_relative = 1e-11);
        assert_relative_eq!(fit.r_squared, 0.995479004577296, max_relative = 1e-13);
        assert_eq!(fit.dof, 9);
    }

    #[test]
    fn exact_case() {
        // x = −1, 0, 1: slope (y₂ − y₀)/2 = 2, residuals (1, −2, 1), s² = 6, se² = 6/3 and 6/2
        let fit = line(array![-1.0, 0.0, 1.0].view(), array![0.0, -1.0, 4.0].view()).unwrap();
        assert_close(&fit.coefficients, &[1.0, 2.0], 1e-15);
        assert_close(
            &fit.standard_errors,
            &[2.0_f64.sqrt(), 3.0_f64.sqrt()],
            1e-14,
        );
        assert_relative_eq!(fit.residual_sd, 6.0_f64.sqrt(), max_relative = 1e-14);
        // Σ(y − ȳ)² = 14
        assert_relative_eq!(fit.r_squared, 4.0 / 7.0, max_relative = 1e-14);
    }

    #[test]
    fn impossible_input_is_named() {
        let message = |design: ArrayView2<f64>, response: ArrayView1<f64>| {
            least_squares(design, response).unwrap_err().to_string()
        };
        let y = array![1.0, 2.0, 4.0, 8.0];
        let dependent = array![
            [1.0, 2.0, 5.0],
            [1.0, 3.0, 7.0],
            [1.0, 5.0, 11.0],
            [1.0, 9.0, 19.0]
        ];
        assert_eq!(
            message(dependent.view(), y.view()),
            "design of 3 columns has rank 2"
        );
        let zero_column = array![[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]];
        assert_eq!(
            message(zero_column.view(), y.view()),
            "design of 2 columns has rank 1"
        );
        let design = dependent.slice(s![.., ..2]);
        assert_eq!(
            message(design, y.slice(s![..3])),
            "design has 4 rows, response has 3"
        );
        assert_eq!(
            message(design.slice(s![..2, ..]), y.slice(s![..2])),
            "2 coefficients with errors need at least 3 rows, got 2"
        );
        assert_eq!(
            message(design.slice(s![.., ..0]), y.view()),
            "design has no columns"
        );
        assert_eq!(
            message(design, array![3.0, 3.0, 3.0, 3.0].view()),
            "all responses are 3"
        );
        assert_eq!(
            message(design, array![1.0, f64::NAN, 3.0, 4.0].view()),
            "response 1 is NaN"
        );
        let mut infinite = design.to_owned();
        infinite[[2, 1]] = f64::INFINITY;
        assert_eq!(
            message(infinite.view(), y.view()),
            "design entry (2, 1) is inf"
        );
        for factor in [1e200, 1e-200] {
            assert_eq!(
                message(design, (factor * &y).view()),
                "sums of squares overflow or underflow"
            );
        }
    }

    /// A design `[n, 3]` with constant first column, and a response.
    fn problem() -> impl Strategy<Value = (Array2<f64>, Array1<f64>)> {
        (6usize..20).prop_flat_map(|n| {
            let entries = prop::collection::vec(-1.0..1.0, 2 * n);
            let response = prop::collection::vec(-1.0..1.0, n);
            (entries, response).prop_map(move |(entries, response)| {
                let design = Array2::from_shape_fn((n, 3), |(row, column)| match column {
                    0 => 1.0,
                    // steps of size 1 keep the design well-conditioned by construction
                    1 => row as f64 + 0.3 * entries[row],
                    _ => (row % 3) as f64 + 0.3 * entries[n + row],
                });
                (design, Array1::from(response))
            })
        })
    }

    proptest! {
        /// y → c y + X a maps b to c b + a, and errors to |c| times themselves.
        #[test]
        fn equivariant_in_the_response(
            (design, y) in problem(),
            c in prop_oneof![-4.0..-0.25_f64, 0.25..4.0],
            a in prop::array::uniform3(-2.0..2.0_f64),
        ) {
            let a = Array1::from(a.to_vec());
            let fit = least_squares(design.view(), y.view()).unwrap();
            let mapped_y: Array1<f64> = c * &y + design.dot(&a);
            let mapped = least_squares(design.view(), mapped_y.view()).unwrap();
            let scale: f64 = 10.0;
            for k in 0..3 {
                let expected = c * fit.coefficients[k] + a[k];
                prop_assert!((mapped.coefficients[k] - expected).abs() <= 1e-12 * scale);
                let expected = c.abs() * fit.standard_errors[k];
                prop_assert!((mapped.standard_errors[k] - expected).abs() <= 1e-12 * scale);
            }
            prop_assert!((mapped.residual_sd - c.abs() * fit.residual_sd).abs() <= 1e-12 * scale);
        }

        /// Scaling a column divides its coefficient and error; the order of rows and columns is irrelevant.
        #[test]
        fn equivariant_in_the_design((design, y) in problem(), exponent in -20i32..20) {
            let fit = least_squares(design.view(), y.view()).unwrap();
            let factor = 2.0_f64.powi(exponent);
            let mut changed = design.slice(s![..;-1, ..;-1]).to_owned();
            changed.column_mut(0).mapv_inplace(|v| v * factor);
            let mapped = least_squares(changed.view(), y.slice(s![..;-1])).unwrap();
            for k in 0..3 {
                let divisor = if k == 2 { factor } else { 1.0 };
                let difference = mapped.coefficients[2 - k] * divisor - fit.coefficients[k];
                prop_assert!(difference.abs() <= 1e-11);
                let difference = mapped.standard_errors[2 - k] * divisor - fit.standard_errors[k];
                prop_assert!(difference.abs() <= 1e-11);
            }
            prop_assert!((mapped.r_squared - fit.r_squared).abs() <= 1e-11);
        }

        /// Residuals of a design with a constant leave R² in [0, 1].
        #[test]
        fn r_squared_is_a_fraction((design, y) in problem()) {
            let fit = least_squares(design.view(), y.view()).unwrap();
            prop_assert!((-1e-12..=1.0).contains(&fit.r_squared));
        }
    }
}
