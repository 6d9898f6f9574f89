//! The learning coefficient and its multiplicity from several temperatures.
//!
//! With `s = nβ`, `L = log s` and `Z ~ s^(−λ) (L + c)^(m−1)`, up to corrections that are powers of s
//! (Watanabe 2009, theorem 6.7 gives the leading term; the corrections are the next poles of the zeta function),
//! `E[sK] = −d log Z/dL` and `Var[sK] = E − dE/dL`:
//! ```text
//! E   = λ − g + a e^(−pL),   Var = λ − g + g' + a (1 + p) e^(−pL),   g = (m − 1) x/(x² + (m − 2) d),   x = L + c.
//! ```
//! g is `P'/P` for the polynomial P of degree `m − 1` in L that multiplies `s^(−λ)`: exact for `m <= 3`, up to `x^(−5)`
//! above (derived here). `d >= 0` is the curvature of the zeta function's other factors at the pole.
//! For every `m = 1, 2, …` the fit takes the least chi-square over λ, c, d, a and p, with and without d (m > 2) and the power, and among
//! all of these the least `χ² + k log n` (k parameters, n data: Schwarz 1978). λ and a enter linearly and are solved
//! for; c, d and p are searched. A slow power imitates the logarithm, so it must die out within the data:
//! `p (L_max − L_min) >= 4`. Where the next pole is closer to λ than that, only larger `s` help. The offset c
//! absorbs γ and the scale of the loss; `L_min + c >= 1`.
//!
//! Exact errors: [`fit_scaling_law`] on means and variances without noise, twelve s evenly spaced in log s, weighted as
//! if they had errors of 0.3% and 0.6%. Half-exponents `k_i <= 3` in up to 3 variables, widths up to 4, blocks of dimension up to
//! 3 with k up to 2; m is right in all of them.
//!
//! | family | range of s | relative error of λ, at most |
//! |---|---|---|
//! | reduced rank, zero truth | 1e3 to 1e12 | 0.05% |
//! | products of two radii | 1e6 to 1e30 | 0.02% |
//! | monomials, without k = (3, 3, 2) | 1e6 to 1e30 | 0.30% |
//! | boxes, without k = (3, 3, 2) and (3, 2, 2) | 1e6 to 1e30 | 0.25% |
//! | the three left out | 1e6 to 1e30 | m too large by one, λ by 3.4 to 4.9% |
//! | the three left out | 1e6 to 1e100 | 0.2%, m right |
//!
//! The three have their next pole at 1/4, only 1/12 from λ = 1/6, and of another order, so that its power comes with a
//! logarithm that the law leaves out. From 1e3 to 1e12 no normal crossing with both a 3 and a 2 in k has its m (λ is 8 to
//! 14% too large), nor have the monomials (2, 1, 1), (2, 2, 2) and (3, 3, 3) and the box (2, 2, 1) (5 to 13%).

use ndarray::{Array1, Array2};
use ndarray_linalg::Inverse;
use serde::{Deserialize, Serialize};

/// The largest multiplicity that is tried.
const MAX_MULTIPLICITY: u32 = 5;
/// What a power falls by, at least, over the range of the data: `e^(−DECAY)`.
const DECAY: f64 = 4.0;
/// The fastest power.
const FASTEST_POWER: f64 = 4.0;
/// Points of the grid of a searched parameter, and how many grids, each about the best point of the last.
const N_GRID: usize = 17;
const N_ZOOMS: usize = 16;

/// Estimates at one inverse temperature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScalingPoint {
    /// `s = nβ`.
    pub nbeta: f64,
    /// The estimate of `E[nβ(L − L(w*))]`.
    pub mean: f64,
    /// Its standard error.
    pub mean_error: f64,
    /// The estimate of `Var[nβ(L − L(w*))]` and its standard error, if there is one.
    pub variance: Option<(f64, f64)>,
}

/// One law fitted to the points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScalingCandidate {
    /// m.
    pub multiplicity: u32,
    /// λ.
    pub lambda: f64,
    /// Its standard error at this m, from the errors of the points.
    pub lambda_error: f64,
    /// c, for m > 1.
    pub offset: Option<f64>,
    /// d, if it is free, for m > 2.
    pub curvature: Option<f64>,
    /// a and p, if the law has a power.
    pub power: Option<(f64, f64)>,
    /// The least chi-square.
    pub chi_square: f64,
    /// Number of data less number of parameters.
    pub dof: usize,
    /// `χ² + k log n`, by which laws are compared; smaller is better.
    pub score: f64,
}

/// The best law, and the best for each multiplicity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalingFit {
    /// The law of the least score. Its `lambda_error` is that at its m: it does not cover the choice of m, which noise can make
    /// wrong (in one repetition of ten at errors of 0.3 %, more often where poles lie close). Where m is known, take that of
    /// `by_multiplicity`.
    pub best: ScalingCandidate,
    /// The law of the least score at m = 1, 2, ….
    pub by_multiplicity: Vec<ScalingCandidate>,
}

/// Why points cannot be fitted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScalingFitError {
    /// Too few numbers for two parameters and a residual.
    #[error(
        "a scaling law needs at least 3 data at 2 temperatures, got {n_data} at {n_temperatures}"
    )]
    TooFewPoints {
        /// Means and variances together.
        n_data: usize,
        /// Distinct nβ.
        n_temperatures: usize,
    },
    /// A temperature, an estimate or an error is impossible.
    #[error("point {index}: nbeta > 1, finite estimates and positive finite errors, got {point:?}")]
    Point {
        /// Which point.
        index: usize,
        /// The point.
        point: ScalingPoint,
    },
    /// No law with `λ > 0` fits.
    #[error("no scaling law with a positive λ fits")]
    NoLaw,
}

/// λ, m and c from estimates at several temperatures.
///
/// Use at least six `nbeta`, evenly spaced in `log nbeta` over a factor of 1e6 or more: the range must be wide enough that
/// `p log(s_max/s_min) >= 4` for the slowest power p of the model (1/2 for regular and most linear networks, `1/(2k) − 1/(2k + 2)`
/// for two neighbouring exponents of a normal crossing). To tell m from m + 1 the errors must be well below the
/// curvature of `1/log s`, a few thousandths.
///
/// ```
/// use slt_stats::{ScalingPoint, fit_scaling_law};
/// // K = w₁²w₂² on the unit square, λ = 1/2, m = 2: E = 1/2 − 1/(log s + 1.9635), at errors of 0.001.
/// let points: Vec<ScalingPoint> = (6..=30)
///     .step_by(3)
///     .map(|digits| {
///         let nbeta = 10f64.powi(digits);
///         let mean = 0.5 - 1.0 / (nbeta.ln() + 1.9635);
///         ScalingPoint { nbeta, mean, mean_error: 1e-3, variance: None }
///     })
///     .collect();
/// let best = fit_scaling_law(&points)?.best;
/// assert_eq!(best.multiplicity, 2);
/// assert!((best.lambda - 0.5).abs() < 1e-5);
/// # Ok::<(), slt_stats::ScalingFitError>(())
/// ```
///
/// # Errors
/// [`ScalingFitError::Point`] unless every `nbeta > 1` and all numbers are finite, errors positive;
/// [`ScalingFitError::TooFewPoints`] below 3 data or 2 temperatures; [`ScalingFitError::NoLaw`] when every law has `λ <= 0`.
pub fn fit_scaling_law(points: &[ScalingPoint]) -> Result<ScalingFit, ScalingFitError> {
    for (index, &point) in points.iter().enumerate() {
        let good = |value: f64, error: f64| value.is_finite() && 0.0 < error && error.is_finite();
        let estimates = good(point.mean, point.mean_error)
            && point
                .variance
                .is_none_or(|(value, error)| good(value, error));
        if !(estimates && 1.0 < point.nbeta && point.nbeta.is_finite()) {
            return Err(ScalingFitError::Point { index, point });
        }
    }
    let mut nbetas: Vec<f64> = points.iter().map(|point| point.nbeta).collect();
    nbetas.sort_by(f64::total_cmp);
    nbetas.dedup();
    let (data, n_temperatures) = (Data::new(points), nbetas.len());
    if data.rows.len() < 3 || n_temperatures < 2 {
        return Err(ScalingFitError::TooFewPoints {
            n_data: data.rows.len(),
            n_temperatures,
        });
    }
    let by_multiplicity: Vec<ScalingCandidate> = (1..=MAX_MULTIPLICITY)
        .filter_map(|m| data.best_fit(m))
        .collect();
    let best = by_multiplicity
        .iter()
        .min_by(|a, b| a.score.total_cmp(&b.score))
        .copied()
        .ok_or(ScalingFitError::NoLaw)?;
    Ok(ScalingFit {
        best,
        by_multiplicity,
    })
}

/// One number to be fitted: `E` (bend 0) or `Var` (bend 1) at `L = log s`, with its weight `1/error²`.
#[derive(Debug, Clone, Copy)]
struct Row {
    log_s: f64,
    bend: f64,
    value: f64,
    weight: f64,
}

#[derive(Debug, Clone)]
struct Data {
    rows: Vec<Row>,
    least: f64,
    largest: f64,
}

/// The parameters that are searched.
#[derive(Debug, Clone, Copy)]
struct Shape {
    multiplicity: u32,
    offset: f64,
    /// `(m − 2) d`.
    curvature: f64,
    power: Option<f64>,
}

impl Shape {
    /// `g = (m − 1) x/(x² + (m − 2)d)`, `x = L + c`, and its first two derivatives by x.
    fn logarithm(self, log_s: f64) -> [f64; 3] {
        let factor = f64::from(self.multiplicity - 1);
        let (x, d) = (log_s + self.offset, self.curvature);
        let p = x * x + d;
        [
            factor * x / p,
            factor * (d - x * x) / (p * p),
            factor * 2.0 * x * (x * x - 3.0 * d) / (p * p * p),
        ]
    }

    /// What is left for λ and the power.
    fn remainder(self, row: &Row) -> f64 {
        let [g, dg, _] = self.logarithm(row.log_s);
        row.value + g - row.bend * dg
    }

    /// The derivative of the law by c.
    fn by_offset(self, row: &Row) -> f64 {
        let [_, dg, ddg] = self.logarithm(row.log_s);
        row.bend * ddg - dg
    }

    /// The derivative of the law by `(m − 2) d`.
    fn by_curvature(self, row: &Row) -> f64 {
        let (x, d) = (row.log_s + self.offset, self.curvature);
        let p = x * x + d;
        f64::from(self.multiplicity - 1) * (x * p + row.bend * (3.0 * x * x - d)) / (p * p * p)
    }
}

impl Data {
    fn new(points: &[ScalingPoint]) -> Self {
        let rows: Vec<Row> = points
            .iter()
            .flat_map(|point| {
                let row = |bend, value, error: f64| Row {
                    log_s: point.nbeta.ln(),
                    bend,
                    value,
                    weight: 1.0 / (error * error),
                };
                let mean = row(0.0, point.mean, point.mean_error);
                let variance = point.variance.map(|(value, error)| row(1.0, value, error));
                std::iter::once(mean).chain(variance)
            })
            .collect();
        let fold = |f: fn(f64, f64) -> f64, start| rows.iter().map(|row| row.log_s).fold(start, f);
        Self {
            least: fold(f64::min, f64::INFINITY),
            largest: fold(f64::max, f64::NEG_INFINITY),
            rows,
        }
    }

    /// The law of the least score at one m.
    fn best_fit(&self, multiplicity: u32) -> Option<ScalingCandidate> {
        [(false, false), (false, true), (true, false), (true, true)]
            .into_iter()
            .filter(|&(curved, _)| multiplicity > 2 || !curved)
            .filter_map(|(curved, power)| self.fit(multiplicity, curved, power))
            .min_by(|a, b| a.score.total_cmp(&b.score))
    }

    /// The law of the least chi-square at one m, with or without d and a power; none without data to spare or with `λ <= 0`.
    fn fit(&self, multiplicity: u32, curved: bool, with_power: bool) -> Option<ScalingCandidate> {
        let n_parameters =
            1 + usize::from(multiplicity > 1) + usize::from(curved) + 2 * usize::from(with_power);
        let dof = self
            .rows
            .len()
            .checked_sub(n_parameters)
            .filter(|&dof| dof > 0)?;
        // log(L_min + c), (m − 2)d/(L_min + c)² and log p, on a grid that is narrowed about its best point.
        let searched =
            |search: bool, low: f64, high: f64| if search { (low, high) } else { (0.0, 0.0) };
        let slowest = DECAY / (self.largest - self.least);
        let fastest = FASTEST_POWER.max(2.0 * slowest);
        let mut u = searched(multiplicity > 1, 0.0, (3.0 * self.largest).ln());
        let mut v = searched(curved, 0.0, 1.0);
        let mut w = searched(with_power, slowest.ln(), fastest.ln());
        let ends = [u, v, w];
        let shape = |u: f64, v: f64, w: f64| Shape {
            multiplicity,
            offset: u.exp() - self.least,
            curvature: v * (2.0 * u).exp(),
            power: with_power.then(|| w.exp()),
        };
        let mut best = (f64::INFINITY, [0.0; 3]);
        for _ in 0..N_ZOOMS {
            let powers: Vec<(f64, Vec<f64>)> = grid(w)
                .into_iter()
                .map(|w| (w, self.decays(shape(0.0, 0.0, w))))
                .collect();
            for x in grid(u) {
                for y in grid(v) {
                    let remainders = self.remainders(shape(x, y, 0.0));
                    for (z, decays) in &powers {
                        let chi_square = self.solve(&remainders, decays)[0];
                        if chi_square < best.0 {
                            best = (chi_square, [x, y, *z]);
                        }
                    }
                }
            }
            let [x, y, z] = best.1;
            (u, v, w) = (
                narrowed(u, x, ends[0]),
                narrowed(v, y, ends[1]),
                narrowed(w, z, ends[2]),
            );
        }
        let [x, y, z] = best.1;
        let law = shape(x, y, z);
        let [chi_square, lambda, amplitude] = self.solve(&self.remainders(law), &self.decays(law));
        if !(0.0 < lambda && lambda.is_finite()) {
            return None;
        }
        Some(ScalingCandidate {
            multiplicity,
            lambda,
            lambda_error: self.lambda_error(law, curved, amplitude),
            offset: (multiplicity > 1).then_some(law.offset),
            curvature: curved.then(|| law.curvature / f64::from(multiplicity - 2)),
            // From the amplitude at the least s to that at s = 1.
            power: law.power.map(|p| (amplitude * (p * self.least).exp(), p)),
            chi_square,
            dof,
            score: chi_square + n_parameters as f64 * (self.rows.len() as f64).ln(),
        })
    }

    fn remainders(&self, shape: Shape) -> Vec<f64> {
        self.rows.iter().map(|row| shape.remainder(row)).collect()
    }

    /// `e^(−p(L − L_min))` as it enters the rows; zeros without a power.
    fn decays(&self, shape: Shape) -> Vec<f64> {
        let decay = |row| shape.power.map_or(0.0, |p| self.decay(row, p));
        self.rows.iter().map(decay).collect()
    }

    fn decay(&self, row: &Row, p: f64) -> f64 {
        (1.0 + row.bend * p) * (-p * (row.log_s - self.least)).exp()
    }

    /// The least chi-square of `remainder = λ + a decay`, λ and a; a is that at the least s.
    fn solve(&self, remainders: &[f64], decays: &[f64]) -> [f64; 3] {
        let [mut w, mut wx, mut wxx, mut wy, mut wxy] = [0.0; 5];
        let data = || {
            self.rows
                .iter()
                .map(|row| row.weight)
                .zip(decays.iter().zip(remainders))
        };
        for (weight, (x, y)) in data() {
            w += weight;
            wx += weight * x;
            wxx += weight * x * x;
            wy += weight * y;
            wxy += weight * x * y;
        }
        let amplitude = if wxx > 0.0 {
            (wxy - wx * wy / w) / (wxx - wx * wx / w)
        } else {
            0.0
        };
        let lambda = (wy - amplitude * wx) / w;
        let chi_square = data()
            .map(|(weight, (x, y))| weight * (y - lambda - amplitude * x).powi(2))
            .sum();
        [chi_square, lambda, amplitude]
    }

    /// The standard error of λ with all parameters free, from the curvature of chi-square at its minimum.
    fn lambda_error(&self, shape: Shape, curved: bool, amplitude: f64) -> f64 {
        let mut columns: Vec<Array1<f64>> = Vec::new();
        let mut column = |f: &dyn Fn(&Row) -> f64| {
            columns.push(
                self.rows
                    .iter()
                    .map(|row| row.weight.sqrt() * f(row))
                    .collect(),
            );
        };
        column(&|_| 1.0);
        if shape.multiplicity > 1 {
            column(&|row| shape.by_offset(row));
        }
        if curved {
            column(&|row| shape.by_curvature(row));
        }
        if let Some(p) = shape.power {
            column(&|row| self.decay(row, p));
            column(&|row| {
                let t = row.log_s - self.least;
                amplitude * (row.bend - (1.0 + row.bend * p) * t) * (-p * t).exp()
            });
        }
        let lengths: Vec<f64> = columns
            .iter()
            .map(|column| column.dot(column).sqrt())
            .collect();
        let k = columns.len();
        let information = Array2::from_shape_fn((k, k), |(i, j)| {
            columns[i].dot(&columns[j]) / (lengths[i] * lengths[j])
        });
        information.inv().map_or(f64::INFINITY, |covariance| {
            covariance[[0, 0]].sqrt() / lengths[0]
        })
    }
}

/// Evenly spaced points from end to end; one if the ends agree.
fn grid((low, high): (f64, f64)) -> Vec<f64> {
    if low < high {
        let step = (high - low) / (N_GRID - 1) as f64;
        (0..N_GRID).map(|i| low + step * i as f64).collect()
    } else {
        vec![low]
    }
}

/// Three steps of the grid either side of a point, within the ends of the search: a best point at an edge can move on.
fn narrowed((low, high): (f64, f64), x: f64, ends: (f64, f64)) -> (f64, f64) {
    let step = 3.0 * (high - low) / (N_GRID - 1) as f64;
    ((x - step).max(ends.0), (x + step).min(ends.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use slt_theory::{FiniteLaw, box_law, monomial_law, radial_product_law, reduced_rank_law};
    use statrs::distribution::{ContinuousCDF, Normal};

    type Law<'a> = &'a dyn Fn(f64) -> FiniteLaw;

    const RELATIVE_ERROR: f64 = 3e-3;

    /// Twelve temperatures between two powers of ten, means at errors of 0.3%, variances of 0.6%.
    fn points(range: (f64, f64), law: Law) -> Vec<ScalingPoint> {
        (0..12)
            .map(|i| {
                let nbeta = 10f64.powf(range.0 + (range.1 - range.0) * f64::from(i) / 11.0);
                let law = law(nbeta);
                ScalingPoint {
                    nbeta,
                    mean: law.mean(),
                    mean_error: RELATIVE_ERROR * law.mean(),
                    variance: Some((law.variance(), 2.0 * RELATIVE_ERROR * law.variance())),
                }
            })
            .collect()
    }

    const LONG: (f64, f64) = (6.0, 30.0);
    const SHORT: (f64, f64) = (3.0, 12.0);

    /// Whether m is right, and `λ_fit/λ − 1`.
    fn exact_error(range: (f64, f64), law: Law) -> (bool, f64) {
        let best = fit_scaling_law(&points(range, law)).unwrap().best;
        let truth = law(10.0).learning_coefficient();
        (
            best.multiplicity == truth.multiplicity(),
            best.lambda / truth.lambda_f64() - 1.0,
        )
    }

    fn assert_exact_error(most: f64, range: (f64, f64), name: &str, law: Law) {
        let (right, error) = exact_error(range, law);
        assert!(right && error.abs() < most, "{name}: m {right}, λ {error}");
    }

    /// All `k` with `3 >= k_1 >= k_2 >= … >= 1` in up to three variables.
    fn exponents() -> Vec<Vec<u32>> {
        let mut all = Vec::new();
        for k1 in 1..=3 {
            all.push(vec![k1]);
            for k2 in 1..=k1 {
                all.push(vec![k1, k2]);
                all.extend((1..=k2).map(|k3| vec![k1, k2, k3]));
            }
        }
        all
    }

    #[test]
    fn exact_errors_of_reduced_rank() {
        for m in 1..=4 {
            for n in 1..=m {
                for h in 1..=4 {
                    let law = |s| reduced_rank_law(m, n, h, s, 1.0).unwrap();
                    assert_exact_error(5e-4, SHORT, &format!("rrr {m} {n} {h}"), &law);
                }
            }
        }
    }

    #[test]
    fn exact_errors_of_monomials() {
        for k in exponents().into_iter().filter(|k| k != &[3, 3, 2]) {
            let law = |s| monomial_law(1.0, &k, s, 1.0).unwrap();
            assert_exact_error(3e-3, LONG, &format!("monomial {k:?}"), &law);
        }
    }

    #[test]
    fn exact_errors_of_boxes() {
        let missed = [[3, 3, 2], [3, 2, 2]];
        for k in exponents()
            .into_iter()
            .filter(|k| missed.iter().all(|m| k != m))
        {
            let law = |s| box_law(1.0, &k, &vec![0; k.len()], s).unwrap();
            assert_exact_error(2.5e-3, LONG, &format!("box {k:?}"), &law);
        }
    }

    #[test]
    fn exact_errors_of_products_of_radii() {
        let blocks: Vec<(u32, u32)> = (1..=3).flat_map(|d| [(d, 1), (d, 2)]).collect();
        for (i, &a) in blocks.iter().enumerate() {
            for &b in &blocks[..=i] {
                let law = |s| radial_product_law(1.0, &[a, b], s, 1.0).unwrap();
                assert_exact_error(2e-4, LONG, &format!("radii {a:?} {b:?}"), &law);
            }
        }
    }

    /// The next pole is 1/12 away and of another order: m is one too large up to 1e30, and right up to 1e100.
    #[test]
    fn known_misses() {
        let laws: [Law; 3] = [
            &|s| monomial_law(1.0, &[3, 3, 2], s, 1.0).unwrap(),
            &|s| box_law(1.0, &[3, 3, 2], &[0; 3], s).unwrap(),
            &|s| box_law(1.0, &[3, 2, 2], &[0; 3], s).unwrap(),
        ];
        for law in laws {
            let (right, error) = exact_error(LONG, law);
            assert!(!right && (0.03..0.05).contains(&error), "{error}");
            let (right, error) = exact_error((6.0, 100.0), law);
            assert!(right && error.abs() < 3e-3, "{error}");
        }
    }

    /// The pole of order 3 is `x² + d` with d the second derivative of the other factors' logarithm: for `w₁²w₂²w₃²` in a
    /// box `ψ'(1/2) = π²/2`, under Gaussian localisation π²/2 + 3π²/6 = π².
    #[test]
    fn curvature_of_a_triple_pole() {
        let pi2 = std::f64::consts::PI.powi(2);
        let box_law = |s| box_law(1.0, &[1, 1, 1], &[0, 0, 0], s).unwrap();
        let monomial = |s| monomial_law(1.0, &[1, 1, 1], s, 1.0).unwrap();
        let laws: [(Law, f64); 2] = [(&box_law, 0.5 * pi2), (&monomial, pi2)];
        for (law, d) in laws {
            let data = Data::new(&points((5.0, 20.0), law));
            let fit = data.fit(3, true, false).unwrap();
            let error = fit.curvature.unwrap() / d - 1.0;
            assert!(error.abs() < 0.02, "{error} {fit:?}");
        }
    }

    fn with_noise(points: &[ScalingPoint], rng: &mut ChaCha8Rng) -> Vec<ScalingPoint> {
        let normal = Normal::standard();
        let mut moved = |value, error: f64| value + error * normal.inverse_cdf(rng.random());
        points
            .iter()
            .map(|&point| ScalingPoint {
                mean: moved(point.mean, point.mean_error),
                variance: point
                    .variance
                    .map(|(value, error)| (moved(value, error), error)),
                ..point
            })
            .collect()
    }

    /// Standard deviation of `(λ_fit − λ)/lambda_error` over 400 repetitions.
    fn spread_of_z(range: (f64, f64), m: u32, law: Law) -> f64 {
        let truth = law(10.0).learning_coefficient();
        assert_eq!(truth.multiplicity(), m);
        let exact = points(range, law);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let squares: f64 = (0..400)
            .map(|_| {
                let data = Data::new(&with_noise(&exact, &mut rng));
                let fit = data.best_fit(m).unwrap();
                ((fit.lambda - truth.lambda_f64()) / fit.lambda_error).powi(2)
            })
            .sum();
        (squares / 400.0).sqrt()
    }

    #[test]
    fn errors_of_lambda_cover() {
        let tests: [(&str, (f64, f64), u32, Law); 4] = [
            ("m = 1", SHORT, 1, &|s| {
                reduced_rank_law(4, 1, 2, s, 1.0).unwrap()
            }),
            ("m = 1, power", LONG, 1, &|s| {
                monomial_law(1.0, &[2, 1], s, 1.0).unwrap()
            }),
            ("m = 2", SHORT, 2, &|s| {
                reduced_rank_law(3, 2, 2, s, 1.0).unwrap()
            }),
            ("m = 2", LONG, 2, &|s| {
                monomial_law(1.0, &[1, 1], s, 1.0).unwrap()
            }),
        ];
        for (name, range, m, law) in tests {
            let spread = spread_of_z(range, m, law);
            assert!((0.8..1.25).contains(&spread), "{name}: {spread}");
        }
    }

    #[test]
    fn impossible_points_are_named() {
        let good = ScalingPoint {
            nbeta: 10.0,
            mean: 1.0,
            mean_error: 0.1,
            variance: None,
        };
        let others = [20.0, 30.0].map(|nbeta| ScalingPoint { nbeta, ..good });
        for bad in [
            ScalingPoint { nbeta: 1.0, ..good },
            ScalingPoint {
                nbeta: f64::NAN,
                ..good
            },
            ScalingPoint {
                nbeta: f64::INFINITY,
                ..good
            },
            ScalingPoint {
                mean: f64::NAN,
                ..good
            },
            ScalingPoint {
                mean_error: 0.0,
                ..good
            },
            ScalingPoint {
                mean_error: f64::INFINITY,
                ..good
            },
            ScalingPoint {
                variance: Some((f64::NAN, 0.1)),
                ..good
            },
            ScalingPoint {
                variance: Some((1.0, -0.1)),
                ..good
            },
        ] {
            let error = fit_scaling_law(&[good, others[0], bad]).unwrap_err();
            assert!(
                matches!(error, ScalingFitError::Point { index: 2, .. }),
                "{error}"
            );
        }
        let few = |n_data, n_temperatures| {
            Err(ScalingFitError::TooFewPoints {
                n_data,
                n_temperatures,
            })
        };
        assert_eq!(fit_scaling_law(&[]), few(0, 0));
        assert_eq!(fit_scaling_law(&[good, others[0]]), few(2, 2));
        assert_eq!(fit_scaling_law(&[good, good, good]), few(3, 1));
        let negative = [good, others[0], others[1]].map(|point| ScalingPoint {
            mean: -1.0,
            ..point
        });
        assert_eq!(fit_scaling_law(&negative), Err(ScalingFitError::NoLaw));
        assert!(fit_scaling_law(&[good, others[0], others[1]]).is_ok());
    }
}
