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
//! absorbs γ and the scale of the loss; `L_min + c >= 1`. A large c imitates a smaller m, and a large c with a slow power a larger
//! one.
//!
//! **The offset has an upper bound.** With s in units of one over the mean of K over the prior, `ζ(z) = E K^z` and
//! `f(z) = log ζ(z) + m log(z + λ)`, the residue of `Γ(-z) ζ(z) s^z` at `-λ` has `c = -ψ(λ) + f'(-λ)`. Where f is convex, as it is
//! when ζ is a product of `1/(z + λ_i)` and gamma functions, `f'(-λ)` is at most the slope of f from 0 to 1, where `ζ = 1`:
//! ```text
//! c <= -ψ(λ) + m log(1 + 1/λ),
//! ```
//! with equality for boxes of equal exponents; next poles ρ take `1/(ρ - λ)` off it each. So c has a normal prior of mean 0 and
//! standard deviation 10 and, above the bound, a second, of standard deviation 1/2 in the excess; both are in the score.
//!
//! Exact errors: [`fit_scaling_law`] on means and variances without noise, twelve s evenly spaced in log s, weighted as
//! if they had errors of 0.3% and 0.6%. Half-exponents `k_i <= 3` in up to 3 variables, widths up to 4, blocks of dimension up to
//! 3 with k up to 2; m is right in all of them but the last row.
//!
//! | family | range of s | relative error of λ, at most |
//! |---|---|---|
//! | reduced rank, zero truth | 1e3 to 1e12 | 0.05% |
//! | products of two radii | 1e6 to 1e30 | 0.02% |
//! | monomials and boxes | 1e6 to 1e30 | 0.4% |
//! | those without both a 3 and a 2 in k | 1e3 to 1e12 | 0.6% |
//! | those with both | 1e3 to 1e12 | λ 8 to 25% too large, m wrong: the next pole is 1/12 away |

use ndarray::{Array1, Array2};
use ndarray_linalg::Inverse;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};
use statrs::function::gamma::digamma;

/// The largest multiplicity that is tried.
const MAX_MULTIPLICITY: u32 = 5;
/// What a power falls by, at least, over the range of the data: `e^(−DECAY)`.
const DECAY: f64 = 4.0;
/// Probability of a chi-square below which a law does not hold.
const LEAST_PROBABILITY: f64 = 0.01;
/// The fastest power.
const FASTEST_POWER: f64 = 4.0;
/// Standard deviations of the normal prior of c, and of what it may exceed its bound by.
const OFFSET_SPREAD: f64 = 10.0;
const EXCESS_SPREAD: f64 = 0.5;
/// Points of the grid of a searched parameter, and golden sections of the interval about its best point.
const N_GRID: usize = 17;
const N_SECTIONS: usize = 24;

/// Estimates at one inverse temperature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScalingPoint {
    /// `s = nβ`, best in units in which the scale of the loss is 1, such as its mean over the prior.
    pub nbeta: f64,
    /// The estimate of `E[nβ(L − L(w*))]`.
    pub mean: f64,
    /// Its standard error.
    pub mean_error: f64,
    /// The estimate of `Var[nβ(L − L(w*))]`, if there is one.
    pub variance: Option<ScalingVariance>,
}

/// An estimate of the variance at one inverse temperature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScalingVariance {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
    /// Correlation of its error with that of the mean; near 1 where both come from the same draws.
    pub correlation: f64,
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
    /// The law of the least score. Its `lambda_error` is that at its m; [`Self::lambda_error`] has the choice of m in it. Where m is
    /// known, take the law of `by_multiplicity`.
    pub best: ScalingCandidate,
    /// The law of the least score at m = 1, 2, ….
    pub by_multiplicity: Vec<ScalingCandidate>,
}

impl ScalingFit {
    /// The probability of each multiplicity of `by_multiplicity`, proportional to `e^(−score/2)` (Schwarz 1978).
    pub fn probabilities(&self) -> Vec<f64> {
        let weight = |law: &ScalingCandidate| (0.5 * (self.best.score - law.score)).exp();
        let sum: f64 = self.by_multiplicity.iter().map(weight).sum();
        self.by_multiplicity
            .iter()
            .map(|law| weight(law) / sum)
            .collect()
    }

    /// How much worse the score of the next best m is; infinite where there is one alone.
    pub fn preference(&self) -> f64 {
        let others = self.by_multiplicity.iter();
        others
            .filter(|law| law.multiplicity != self.best.multiplicity)
            .map(|law| law.score - self.best.score)
            .fold(f64::INFINITY, f64::min)
    }

    /// The standard error of the best λ with the choice of m in it, `√(Σ_m p_m (error_m² + (λ_m − λ)²))`: each law counts by its
    /// probability (Burnham and Anderson 2002, *Model selection and multimodel inference*, section 4.3). Where the best law is
    /// refused at 1 %, it is widened by `√(χ²/dof)` (Birge 1932), which is no bound on the error of a wrong law.
    pub fn lambda_error(&self) -> f64 {
        let laws = self.by_multiplicity.iter().zip(self.probabilities());
        let square = |law: &ScalingCandidate| {
            law.lambda_error.powi(2) + (law.lambda - self.best.lambda).powi(2)
        };
        // a law of no weight may have an infinite error
        let counted = laws.filter(|(_, p)| *p > 0.0);
        let error = counted.map(|(law, p)| p * square(law)).sum::<f64>().sqrt();
        if self.best.holds() {
            return error;
        }
        error * (self.best.chi_square / self.best.dof as f64).sqrt()
    }
}

impl ScalingCandidate {
    /// Probability of a chi-square as large, if the law holds.
    pub fn probability(&self) -> f64 {
        ChiSquared::new(self.dof as f64).map_or(f64::NAN, |law| law.sf(self.chi_square))
    }

    /// Whether the data do not refuse the law at 1 %. Without degrees of freedom there is nothing to refuse it by.
    pub fn holds(&self) -> bool {
        self.dof == 0 || self.probability() >= LEAST_PROBABILITY
    }
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
    #[error(
        "point {index}: nbeta > 1, finite estimates, positive finite errors and a correlation in (-1, 1), got {point:?}"
    )]
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

/// λ, m and c from estimates at several temperatures, with m at most `max_multiplicity` (the number of parameters is a bound of m).
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
/// let best = fit_scaling_law(&points, 5)?.best;
/// assert_eq!(best.multiplicity, 2);
/// assert!((best.lambda - 0.5).abs() < 1e-5);
/// # Ok::<(), slt_stats::ScalingFitError>(())
/// ```
///
/// # Errors
/// [`ScalingFitError::Point`] unless every `nbeta > 1`, all numbers are finite, errors positive and correlations between −1 and 1;
/// [`ScalingFitError::TooFewPoints`] below 3 data or 2 temperatures; [`ScalingFitError::NoLaw`] when every law has `λ <= 0`.
pub fn fit_scaling_law(
    points: &[ScalingPoint],
    max_multiplicity: u32,
) -> Result<ScalingFit, ScalingFitError> {
    for (index, &point) in points.iter().enumerate() {
        let good = |value: f64, error: f64| value.is_finite() && 0.0 < error && error.is_finite();
        let estimates = good(point.mean, point.mean_error)
            && point
                .variance
                .is_none_or(|v| good(v.value, v.error) && v.correlation.abs() < 1.0);
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
    let by_multiplicity: Vec<ScalingCandidate> = (1..=max_multiplicity.min(MAX_MULTIPLICITY))
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

/// The law of all `points`, hot to cold, or, where no law holds (see [`ScalingCandidate::holds`]), of the colder ones, at least `n_least` of them; and of how many.
/// Hot points may need more powers than the one that a law has.
///
/// # Errors
/// As [`fit_scaling_law`].
pub fn fit_colder_scaling_law(
    points: &[ScalingPoint],
    max_multiplicity: u32,
    n_least: usize,
) -> Result<(ScalingFit, usize), ScalingFitError> {
    let mut n = points.len();
    loop {
        let fit = fit_scaling_law(&points[points.len() - n..], max_multiplicity)?;
        if fit.best.holds() || n <= n_least {
            return Ok((fit, n));
        }
        n -= 1;
    }
}

/// One number to be fitted, `u E + v (Var − E)` at `L = log s`, with its weight `1/error²`. With `r = ρ error(Var)/error(E)`, the
/// errors of E and of `Var − r E` are uncorrelated.
#[derive(Debug, Clone, Copy)]
struct Row {
    log_s: f64,
    /// u.
    level: f64,
    /// v.
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

    /// What the prior of c adds to chi-square, and half its second derivative by c.
    fn prior(self, lambda: f64) -> [f64; 2] {
        if self.multiplicity == 1 || !(lambda > 0.0) {
            return [0.0; 2];
        }
        let excess = (self.offset - offset_bound(self.multiplicity, lambda)) / EXCESS_SPREAD;
        let beyond = if excess > 0.0 {
            EXCESS_SPREAD.powi(-2)
        } else {
            0.0
        };
        [
            (self.offset / OFFSET_SPREAD).powi(2) + excess.max(0.0).powi(2),
            OFFSET_SPREAD.powi(-2) + beyond,
        ]
    }

    /// What is left for λ and the power.
    fn remainder(self, row: &Row) -> f64 {
        let [g, dg, _] = self.logarithm(row.log_s);
        row.value + row.level * g - row.bend * dg
    }

    /// The derivative of the law by c.
    fn by_offset(self, row: &Row) -> f64 {
        let [_, dg, ddg] = self.logarithm(row.log_s);
        row.bend * ddg - row.level * dg
    }

    /// The derivative of the law by `(m − 2) d`.
    fn by_curvature(self, row: &Row) -> f64 {
        let (x, d) = (row.log_s + self.offset, self.curvature);
        let p = x * x + d;
        f64::from(self.multiplicity - 1) * (row.level * x * p + row.bend * (3.0 * x * x - d))
            / (p * p * p)
    }
}

impl Data {
    fn new(points: &[ScalingPoint]) -> Self {
        let rows: Vec<Row> = points
            .iter()
            .flat_map(|point| {
                let row = |level, bend, value, error: f64| Row {
                    log_s: point.nbeta.ln(),
                    level,
                    bend,
                    value,
                    weight: 1.0 / (error * error),
                };
                let mean = row(1.0, 0.0, point.mean, point.mean_error);
                let variance = point.variance.map(|v| {
                    let r = v.correlation * v.error / point.mean_error;
                    let error = v.error * (1.0 - v.correlation * v.correlation).sqrt();
                    row(1.0 - r, 1.0, v.value - r * point.mean, error)
                });
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
        // log(L_min + c), (m − 2)d/(L_min + c)² and log p. Each is searched at the best of those before it: the valley of χ² is narrow and bent.
        let searched =
            |search: bool, low: f64, high: f64| if search { (low, high) } else { (0.0, 0.0) };
        let slowest = DECAY / (self.largest - self.least);
        let fastest = FASTEST_POWER.max(2.0 * slowest);
        let u = searched(multiplicity > 1, 0.0, (3.0 * self.largest).ln());
        let v = searched(curved, 0.0, 1.0);
        let w = searched(with_power, slowest.ln(), fastest.ln());
        let shape = |u: f64, v: f64, w: f64| Shape {
            multiplicity,
            offset: u.exp() - self.least,
            curvature: v * (2.0 * u).exp(),
            power: with_power.then(|| w.exp()),
        };
        let score = |law: Shape, decays: &[f64]| {
            let [chi_square, lambda, _] = self.solve(&self.remainders(law), decays);
            chi_square + law.prior(lambda)[0]
        };
        let at_power = |z: f64| {
            let decays = self.decays(shape(0.0, 0.0, z));
            let at_offset = |x: f64| least(v, |y| (score(shape(x, y, z), &decays), ()));
            least(u, |x| {
                let (y, value, ()) = at_offset(x);
                (value, y)
            })
        };
        let (z, _, (x, y)) = least(w, |z| {
            let (x, value, y) = at_power(z);
            (value, (x, y))
        });
        let law = shape(x, y, z);
        let [chi_square, lambda, amplitude] = self.solve(&self.remainders(law), &self.decays(law));
        if !(0.0 < lambda && lambda.is_finite()) {
            return None;
        }
        Some(ScalingCandidate {
            multiplicity,
            lambda,
            lambda_error: self.lambda_error(law, curved, [lambda, amplitude]),
            offset: (multiplicity > 1).then_some(law.offset),
            curvature: curved.then(|| law.curvature / f64::from(multiplicity - 2)),
            // From the amplitude at the least s to that at s = 1.
            power: law.power.map(|p| (amplitude * (p * self.least).exp(), p)),
            chi_square,
            dof,
            score: chi_square
                + law.prior(lambda)[0]
                + n_parameters as f64 * (self.rows.len() as f64).ln(),
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
        (row.level + row.bend * p) * (-p * (row.log_s - self.least)).exp()
    }

    /// The least chi-square of `remainder = λ level + a decay`, λ and a; a is that at the least s.
    fn solve(&self, remainders: &[f64], decays: &[f64]) -> [f64; 3] {
        let [mut uu, mut ux, mut xx, mut uy, mut xy] = [0.0; 5];
        let data = || self.rows.iter().zip(decays.iter().zip(remainders));
        for (row, (x, y)) in data() {
            let (u, weight) = (row.level, row.weight);
            uu += weight * u * u;
            ux += weight * u * x;
            xx += weight * x * x;
            uy += weight * u * y;
            xy += weight * x * y;
        }
        let amplitude = if xx > 0.0 {
            (xy - ux * uy / uu) / (xx - ux * ux / uu)
        } else {
            0.0
        };
        let lambda = (uy - amplitude * ux) / uu;
        let chi_square = data()
            .map(|(row, (x, y))| row.weight * (y - lambda * row.level - amplitude * x).powi(2))
            .sum();
        [chi_square, lambda, amplitude]
    }

    /// The standard error of λ with all parameters free, from the curvature of chi-square at its minimum.
    fn lambda_error(&self, shape: Shape, curved: bool, [lambda, amplitude]: [f64; 2]) -> f64 {
        let [_, of_offset] = shape.prior(lambda);
        let mut columns: Vec<Array1<f64>> = Vec::new();
        let mut column = |f: &dyn Fn(&Row) -> f64| {
            columns.push(
                self.rows
                    .iter()
                    .map(|row| row.weight.sqrt() * f(row))
                    .collect(),
            );
        };
        column(&|row| row.level);
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
                amplitude * (row.bend - (row.level + row.bend * p) * t) * (-p * t).exp()
            });
        }
        let lengths: Vec<f64> = columns
            .iter()
            .map(|column| column.dot(column).sqrt())
            .collect();
        let k = columns.len();
        let information = Array2::from_shape_fn((k, k), |(i, j)| {
            let prior = if (i, j) == (1, 1) { of_offset } else { 0.0 };
            (columns[i].dot(&columns[j]) + prior) / (lengths[i] * lengths[j])
        });
        information.inv().map_or(f64::INFINITY, |covariance| {
            covariance[[0, 0]].sqrt() / lengths[0]
        })
    }
}

/// The upper bound of c.
fn offset_bound(multiplicity: u32, lambda: f64) -> f64 {
    f64::from(multiplicity) * (1.0 / lambda).ln_1p() - digamma(lambda)
}

/// The least value of a function between two ends: where, the value, and what comes with it. The best of a grid, then golden sections
/// of the interval between its neighbours. Anything is less than a NaN.
fn least<T: Copy>((low, high): (f64, f64), f: impl Fn(f64) -> (f64, T)) -> (f64, f64, T) {
    let at = |x: f64| {
        let (value, with) = f(x);
        (x, value, with)
    };
    let mut best = at(low);
    if !(low < high) {
        return best;
    }
    let step = (high - low) / (N_GRID - 1) as f64;
    for i in 1..N_GRID {
        let next = at(low + step * i as f64);
        if next.1 < best.1 || best.1.is_nan() {
            best = next;
        }
    }
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let (mut from, mut to) = ((best.0 - step).max(low), (best.0 + step).min(high));
    let mut inner = [to - ratio * (to - from), from + ratio * (to - from)].map(at);
    for _ in 0..N_SECTIONS {
        let [left, right] = inner;
        inner = if left.1 < right.1 {
            to = right.0;
            [at(to - ratio * (to - from)), left]
        } else {
            from = left.0;
            [right, at(from + ratio * (to - from))]
        };
    }
    inner
        .into_iter()
        .fold(best, |best, next| if next.1 < best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use slt_theory::{FiniteLaw, box_law, monomial_law, reduced_rank_law};
    use statrs::distribution::Normal;

    type Law<'a> = &'a dyn Fn(f64) -> FiniteLaw;

    /// Twelve temperatures between two powers of ten, means at errors of 0.3%, variances of 0.6%.
    fn points(range: (f64, f64), law: Law) -> Vec<ScalingPoint> {
        // s in units of one over the mean of K
        let scale = law(1e-9).mean() / 1e-9;
        (0..12)
            .map(|i| {
                let nbeta = 10f64.powf(range.0 + (range.1 - range.0) * f64::from(i) / 11.0);
                let law = law(nbeta);
                ScalingPoint {
                    nbeta: scale * nbeta,
                    mean: law.mean(),
                    mean_error: 3e-3 * law.mean(),
                    variance: Some(ScalingVariance {
                        value: law.variance(),
                        error: 6e-3 * law.variance(),
                        correlation: 0.0,
                    }),
                }
            })
            .collect()
    }

    const LONG: (f64, f64) = (6.0, 30.0);
    const SHORT: (f64, f64) = (3.0, 12.0);

    /// Boxes of equal exponents reach the bound of c, other laws stay below it.
    #[test]
    fn the_offset_has_a_bound() {
        let offset = |range, law: Law| {
            let mut points = points(range, law);
            // so small that the prior of c does not count
            for point in &mut points {
                point.mean_error *= 1e-2;
                let variance = point.variance.as_mut().unwrap();
                variance.error *= 1e-2;
            }
            let truth = law(10.0).learning_coefficient();
            let fit = fit_scaling_law(&points, truth.multiplicity()).unwrap();
            let fitted = fit.by_multiplicity.last().unwrap().offset.unwrap();
            (
                fitted,
                offset_bound(truth.multiplicity(), truth.lambda_f64()),
            )
        };
        for k in [vec![1, 1], vec![2, 2], vec![3, 3], vec![1; 3], vec![2; 3]] {
            let (c, bound) = offset(LONG, &|s| box_law(1.0, &k, &vec![0; k.len()], s).unwrap());
            assert!((c - bound).abs() < 0.01, "{k:?}: {c} {bound}");
            let (c, bound) = offset(LONG, &|s| monomial_law(1.0, &k, s, 1.0).unwrap());
            assert!(c < bound - 0.1, "{k:?}: {c} {bound}");
        }
        let (c, bound) = offset(SHORT, &|s| reduced_rank_law(3, 3, 1, s, 1.0).unwrap());
        assert!(c < bound - 0.1, "{c} {bound}");
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
            let mut points = points((5.0, 20.0), law);
            // so small that the prior of c does not count
            for point in &mut points {
                point.mean_error /= 10.0;
                point.variance.as_mut().unwrap().error /= 10.0;
            }
            let data = Data::new(&points);
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
                variance: point.variance.map(|v| ScalingVariance {
                    value: moved(v.value, v.error),
                    ..v
                }),
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

    /// A law of E and Var whose errors are correlated has the likelihood of the bivariate normal.
    #[test]
    fn correlated_errors_are_whitened() {
        let point = ScalingPoint {
            nbeta: 1e4,
            mean: 1.3,
            mean_error: 0.2,
            variance: Some(ScalingVariance {
                value: 0.9,
                error: 0.3,
                correlation: 0.8,
            }),
        };
        let data = Data::new(&[point]);
        let shape = Shape {
            multiplicity: 3,
            offset: 2.0,
            curvature: 4.0,
            power: Some(0.4),
        };
        let (lambda, amplitude) = (1.1, 0.7);
        let (remainders, decays) = (data.remainders(shape), data.decays(shape));
        let chi_square: f64 = (0..2)
            .map(|i| {
                let row = data.rows[i];
                let off = remainders[i] - lambda * row.level - amplitude * decays[i];
                row.weight * off * off
            })
            .sum();
        let [g, dg, _] = shape.logarithm(1e4f64.ln());
        // the data start at this s: the decay is 1
        let x = (1.3 - (lambda - g + amplitude)) / 0.2;
        let y = (0.9 - (lambda - g + dg + amplitude * 1.4)) / 0.3;
        let expected = (x * x - 2.0 * 0.8 * x * y + y * y) / (1.0 - 0.64);
        approx::assert_relative_eq!(chi_square, expected, max_relative = 1e-12);
    }

    /// Two laws whose scores differ by `2 log 3` have probabilities 3/4 and 1/4.
    #[test]
    fn the_error_of_lambda_holds_the_choice_of_m() {
        let law = |multiplicity, lambda, lambda_error, score| ScalingCandidate {
            multiplicity,
            lambda,
            lambda_error,
            offset: None,
            curvature: None,
            power: None,
            chi_square: 2.0,
            dof: 2,
            score,
        };
        let best = law(1, 0.5, 0.02, 7.0);
        let other = law(2, 0.6, 0.01, 7.0 + 2.0 * 3f64.ln());
        let fit = ScalingFit {
            best,
            by_multiplicity: vec![best, other],
        };
        let probabilities = fit.probabilities();
        approx::assert_relative_eq!(probabilities[0], 0.75, max_relative = 1e-14);
        approx::assert_relative_eq!(probabilities[1], 0.25, max_relative = 1e-14);
        let square: f64 = 0.75 * 0.0004 + 0.25 * (0.0001 + 0.01);
        approx::assert_relative_eq!(fit.lambda_error(), square.sqrt(), max_relative = 1e-12);
        // two degrees of freedom: e^(-1)
        approx::assert_relative_eq!(best.probability(), (-1f64).exp(), max_relative = 1e-12);
        assert!(best.holds() && ScalingCandidate { dof: 0, ..best }.holds());
        // e^(-9): nine times the variance
        let chi_square = 18.0;
        let refused = ScalingCandidate { chi_square, ..best };
        assert!(!refused.holds());
        let by_multiplicity = vec![refused];
        let fit = ScalingFit {
            best: refused,
            by_multiplicity,
        };
        approx::assert_relative_eq!(fit.lambda_error(), 0.06, max_relative = 1e-12);
    }

    /// Hot points that no law with one power has are left out; points without a law at all are cut down to the least number.
    #[test]
    fn colder_points_have_a_law() {
        let point = |digits: i32, more: f64| {
            let nbeta = 10f64.powi(digits);
            ScalingPoint {
                nbeta,
                mean: 0.5 - 0.3 / nbeta.sqrt() + more,
                mean_error: 1e-4,
                variance: None,
            }
        };
        let hot = |digits| if digits < 3 { 0.05 } else { 0.0 };
        let points: Vec<_> = (1..=12).map(|digits| point(digits, hot(digits))).collect();
        let (fit, n_fitted) = fit_colder_scaling_law(&points, 1, 6).unwrap();
        assert_eq!(n_fitted, 10);
        assert_eq!(fit, fit_scaling_law(&points[2..], 1).unwrap());
        assert!(fit.best.holds() && (fit.best.lambda - 0.5).abs() < 3e-4);
        let wild = |digits: i32| if digits % 2 == 0 { 0.05 } else { 0.0 };
        let points: Vec<_> = (1..=12).map(|digits| point(digits, wild(digits))).collect();
        let (fit, n_fitted) = fit_colder_scaling_law(&points, 1, 6).unwrap();
        assert!(n_fitted == 6 && !fit.best.holds());
    }

    /// `w₁²w₂²` on the unit square alone, with m at most 1: the bound holds.
    #[test]
    fn the_multiplicity_is_bounded() {
        let law = |s| box_law(1.0, &[1, 1], &[0, 0], s).unwrap();
        let points = points(LONG, &law);
        let fit = fit_scaling_law(&points, 1).unwrap();
        assert_eq!((fit.best.multiplicity, fit.by_multiplicity.len()), (1, 1));
        assert_eq!(fit_scaling_law(&points, 2).unwrap().best.multiplicity, 2);
    }

    #[test]
    fn impossible_points_are_named() {
        let good = ScalingPoint {
            nbeta: 10.0,
            mean: 1.0,
            mean_error: 0.1,
            variance: None,
        };
        let variance = |value, error, correlation| {
            Some(ScalingVariance {
                value,
                error,
                correlation,
            })
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
                variance: variance(f64::NAN, 0.1, 0.0),
                ..good
            },
            ScalingPoint {
                variance: variance(1.0, -0.1, 0.0),
                ..good
            },
            ScalingPoint {
                variance: variance(1.0, 0.1, 1.0),
                ..good
            },
        ] {
            let error = fit_scaling_law(&[good, others[0], bad], 5).unwrap_err();
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
        assert_eq!(fit_scaling_law(&[], 5), few(0, 0));
        assert_eq!(fit_scaling_law(&[good, others[0]], 5), few(2, 2));
        assert_eq!(fit_scaling_law(&[good, good, good], 5), few(3, 1));
        let negative = [good, others[0], others[1]].map(|point| ScalingPoint {
            mean: -1.0,
            ..point
        });
        assert_eq!(fit_scaling_law(&negative, 5), Err(ScalingFitError::NoLaw));
        assert!(fit_scaling_law(&[good, others[0], others[1]], 5).is_ok());
    }
}
