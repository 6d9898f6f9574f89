//! The toy model of superposition with two hidden dimensions: `k`-gon critical points, their losses and λ.
//!
//! `f(x) = ReLU(WᵀW x + b)`, `W: [2, n]`, and one feature is on at a time: `x = μ e_i`, `i` uniform, `μ` uniform on `[0, 1]`. With
//! `a_ij = W_i · W_j` the loss is `L = E|x − f|² = Σ_ij H_ij/(3n)`, each `H_ij` three times an integral over μ, exact in each of
//! the cells on which no ReLU changes sign ([`superposition_loss`]).
//!
//! At a `k`-gon, `k` columns of length `l` stand at angles `2π/k` with bias `b`; the other `n − k` features are *dead*, `W_i = 0`, with
//! a negative bias (any: they output 0), or with the best positive one, `1/(2n)`. With `u = l²`, `c_j = cos 2πj/k`, and sums over the
//! `j` with `u c_j > max(0, −b)`, a vertex has
//!
//! `H = Σ [u²c_j² + 3uc_j b + 3b² + b³/(uc_j)] + b³/u² + b³/u + (1−u)² − 3(1−u)b + 3b²`,
//!
//! and `(u, b)` is its critical point, `u = 1`, `b = 0` for `k = 4`. Then `L = (k H + dead)/(3n)`, where a dead feature costs 1 or, with positive
//! bias, `1 − 3/(4n)`.
//!
//! **λ** of `L − L(w*)`, multiplicity 1:
//! - `k = 5, …, 8`, all dead features of one sign: the Hessian is definite but for the rotation and the dead features with negative
//!   bias, on which `L` does not depend: `λ = (3k − 1)/2 + (3/2) n_positive`. With dead features of both signs
//!   `3b W_i · W_j` couples the column of a positive one to a free one: a saddle, and no λ.
//! - `k = 4` lies on the edges of cells: `L` is C¹ there and not C². It is comparable with the square of the distance
//!   in all directions but the rotation and the negative biases, now also in those of dead columns:
//!   `λ = (3k − 1)/2 + n_negative + (3/2) n_positive`. Half the rank of a Hessian of one cell is not λ.
//!
//! Source: model and critical points Elhage et al. (2022); Chen, Lau, Mendel, Wei & Murfet (2023), arXiv:2310.06301, lemma 3.1 and section 3.
//! The rule for `k = 4` is derived here; that the quadratic forms are definite is checked numerically in the tests.

use num_rational::Rational64;

use crate::LearningCoefficient;

/// A `k`-gon of the toy model of superposition.
///
/// ```
/// let pentagon = slt_theory::Superposition::new(6, 5, 0)?;
/// assert_eq!(pentagon.learning_coefficient().to_string(), "λ = 7, m = 1");
/// assert!((pentagon.loss() - 0.06874).abs() < 5e-6);
/// # Ok::<(), slt_theory::SuperpositionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Superposition {
    n_features: u32,
    n_vertices: u32,
    n_positive: u32,
    /// u.
    squared_length: f64,
    /// b.
    bias: f64,
}

/// Why sizes describe no `k`-gon here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuperpositionError {
    /// The number of vertices is outside `4..=8`.
    #[error("k-gons are known to be minima for 4 <= k <= 8, got k = {n_vertices}")]
    Vertices {
        /// k.
        n_vertices: u32,
    },
    /// The number of features is outside `k..=MAX_FEATURES`.
    #[error("features are {n_vertices} (the vertices) to {max}, got {n_features}", max = Superposition::MAX_FEATURES)]
    Features {
        /// n.
        n_features: u32,
        /// k.
        n_vertices: u32,
    },
    /// More features with positive bias than dead features.
    #[error("of {n_dead} dead features {n_positive} cannot have a positive bias")]
    Dead {
        /// Dead features with positive bias.
        n_positive: u32,
        /// `n − k`.
        n_dead: u32,
    },
    /// Dead features of both signs at `k >= 5`.
    #[error(
        "a {n_vertices}-gon with {n_positive} dead features of positive and {n_negative} of negative bias is a saddle, not a minimum"
    )]
    Saddle {
        /// Dead features with positive bias.
        n_positive: u32,
        /// Dead features with negative bias.
        n_negative: u32,
        /// k.
        n_vertices: u32,
    },
}

impl Superposition {
    /// The largest number of features.
    pub const MAX_FEATURES: u32 = 1_000_000;

    /// The `n_vertices`-gon of `n_features` features, `n_positive` of the dead ones with positive bias, the others with a negative one.
    ///
    /// # Errors
    /// [`SuperpositionError::Vertices`] unless `4 <= n_vertices <= 8`, [`SuperpositionError::Features`] unless
    /// `n_vertices <= n_features <= MAX_FEATURES`, [`SuperpositionError::Dead`] when `n_positive > n_features − n_vertices`,
    /// [`SuperpositionError::Saddle`] when `n_vertices >= 5` and the dead features have both signs.
    pub fn new(
        n_features: u32,
        n_vertices: u32,
        n_positive: u32,
    ) -> Result<Self, SuperpositionError> {
        // Within 0.01 of the critical point; at k = 4 it is exact, and every sum is empty.
        let start = match n_vertices {
            4 => (1.0, 0.0),
            5 => (1.37, -0.28),
            6 => (1.74, -0.62),
            7 => (2.10, -0.97),
            8 => (2.40, -1.29),
            _ => return Err(SuperpositionError::Vertices { n_vertices }),
        };
        if !(n_vertices..=Self::MAX_FEATURES).contains(&n_features) {
            return Err(SuperpositionError::Features {
                n_features,
                n_vertices,
            });
        }
        let n_dead = n_features - n_vertices;
        if n_positive > n_dead {
            return Err(SuperpositionError::Dead { n_positive, n_dead });
        }
        let n_negative = n_dead - n_positive;
        if n_vertices > 4 && n_positive > 0 && n_negative > 0 {
            return Err(SuperpositionError::Saddle {
                n_positive,
                n_negative,
                n_vertices,
            });
        }
        let (squared_length, bias) = Vertex::new(n_vertices).critical_point(start);
        Ok(Self {
            n_features,
            n_vertices,
            n_positive,
            squared_length,
            bias,
        })
    }

    /// The pair (λ, m) at the critical point.
    ///
    /// Accuracy: exact.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let [n, k, positive] = [self.n_features, self.n_vertices, self.n_positive].map(i64::from);
        let negative = n - k - positive;
        let columns = if k == 4 { 2 * negative } else { 0 };
        let twice = 3 * k - 1 + columns + 3 * positive;
        LearningCoefficient::from_formula(Rational64::new(twice, 2), 1)
    }

    /// l, the length of a vertex.
    ///
    /// Accuracy: relative 1e-15.
    pub fn vertex_length(&self) -> f64 {
        self.squared_length.sqrt()
    }

    /// b, the bias of a vertex.
    ///
    /// Accuracy: absolute 1e-15.
    pub fn vertex_bias(&self) -> f64 {
        self.bias
    }

    /// L at the critical point, a mean over samples and a sum over features.
    ///
    /// Accuracy: relative 1e-14.
    pub fn loss(&self) -> f64 {
        let [n, k, positive] = [self.n_features, self.n_vertices, self.n_positive].map(f64::from);
        let vertex = Vertex::new(self.n_vertices).energy(self.squared_length, self.bias);
        (k * vertex + (n - k) - positive * 0.75 / n) / (3.0 * n)
    }

    /// The columns of W, `[n, 2]`, and the biases, `[n]`: vertices, then dead features with positive, then with negative bias.
    ///
    /// A negative dead bias may be any; it is −1 here.
    pub fn parameters(&self) -> (Vec<[f64; 2]>, Vec<f64>) {
        let [n, k, positive] = [self.n_features, self.n_vertices, self.n_positive];
        let length = self.vertex_length();
        let step = 2.0 * std::f64::consts::PI / f64::from(k);
        (0..n)
            .map(|i| {
                let angle = step * f64::from(i);
                if i < k {
                    ([length * angle.cos(), length * angle.sin()], self.bias)
                } else if i < k + positive {
                    ([0.0; 2], 0.5 / f64::from(n))
                } else {
                    ([0.0; 2], -1.0)
                }
            })
            .unzip()
    }
}

/// The exact expected loss `E|x − ReLU(WᵀWx + b)|²` of columns `weights` and `biases`.
///
/// Shapes: `weights`: `[n, 2]`, `biases`: `[n]`. Accuracy: relative 1e-14.
///
/// # Panics
/// If the lengths differ.
pub fn superposition_loss(weights: &[[f64; 2]], biases: &[f64]) -> f64 {
    assert_eq!(weights.len(), biases.len(), "one bias for each column");
    let n = weights.len();
    let mut total = 0.0;
    for i in 0..n {
        for j in 0..n {
            let a = weights[i][0] * weights[j][0] + weights[i][1] * weights[j][1];
            total += if i == j {
                own(a, biases[i])
            } else {
                interference(a, biases[i])
            };
        }
    }
    total / (3.0 * n as f64)
}

/// `3 ∫ ReLU(aμ + b)² dμ` over `[0, 1]`.
fn interference(a: f64, b: f64) -> f64 {
    let end = a + b;
    if b >= 0.0 && end >= 0.0 {
        a * a + 3.0 * a * b + 3.0 * b * b
    } else if b <= 0.0 && end <= 0.0 {
        0.0
    } else {
        (end.max(0.0).powi(3) - b.max(0.0).powi(3)) / a
    }
}

/// `3 ∫ (μ − ReLU(uμ + b))² dμ` over `[0, 1]`, `u >= 0`.
fn own(u: f64, b: f64) -> f64 {
    // The unit is on for μ > from.
    let from = if b >= 0.0 {
        0.0
    } else if u + b <= 0.0 {
        1.0
    } else {
        -b / u
    };
    let rest = 1.0 - u;
    from.powi(3) + rest * rest * (1.0 - from.powi(3)) - 3.0 * rest * b * (1.0 - from * from)
        + 3.0 * b * b * (1.0 - from)
}

/// The energy of one vertex of a `k`-gon as a function of `(u, b)`, within one cell.
struct Vertex {
    /// `Σ c^i` over the neighbours that interfere, `i = −1, 0, 1, 2`.
    sums: [f64; 4],
}

impl Vertex {
    /// For `k <= 8` the neighbours at less than a right angle are one on each side, or none (`k = 4`).
    fn new(n_vertices: u32) -> Self {
        if n_vertices == 4 {
            return Self { sums: [0.0; 4] };
        }
        let cosine = (2.0 * std::f64::consts::PI / f64::from(n_vertices)).cos();
        Self {
            sums: [-1, 0, 1, 2].map(|power| 2.0 * cosine.powi(power)),
        }
    }

    /// H.
    fn energy(&self, u: f64, b: f64) -> f64 {
        let [inverse, count, first, second] = self.sums;
        let rest = 1.0 - u;
        u * u * second
            + 3.0 * u * b * first
            + 3.0 * b * b * (count + 1.0)
            + b.powi(3) * (inverse / u + 1.0 / (u * u) + 1.0 / u)
            + rest * rest
            - 3.0 * rest * b
    }

    /// `(∂H/∂u, ∂H/∂b)`.
    fn gradient(&self, u: f64, b: f64) -> [f64; 2] {
        let [inverse, count, first, second] = self.sums;
        [
            2.0 * u * second + 3.0 * b * first
                - b.powi(3) * ((inverse + 1.0) / (u * u) + 2.0 / u.powi(3))
                - 2.0 * (1.0 - u)
                + 3.0 * b,
            3.0 * u * first
                + 6.0 * b * (count + 1.0)
                + 3.0 * b * b * ((inverse + 1.0) / u + 1.0 / (u * u))
                - 3.0 * (1.0 - u),
        ]
    }

    /// `[∂²H/∂u², ∂²H/∂u∂b, ∂²H/∂b²]`.
    fn hessian(&self, u: f64, b: f64) -> [f64; 3] {
        let [inverse, count, first, second] = self.sums;
        [
            2.0 * second + 2.0 + b.powi(3) * (2.0 * (inverse + 1.0) / u.powi(3) + 6.0 / u.powi(4)),
            3.0 * first + 3.0 - 3.0 * b * b * ((inverse + 1.0) / (u * u) + 2.0 / u.powi(3)),
            6.0 * (count + 1.0) + 6.0 * b * ((inverse + 1.0) / u + 1.0 / (u * u)),
        ]
    }

    /// Newton's method; 12 steps from within 0.01 are past machine precision.
    fn critical_point(&self, (mut u, mut b): (f64, f64)) -> (f64, f64) {
        for _ in 0..12 {
            let [gu, gb] = self.gradient(u, b);
            let [huu, hub, hbb] = self.hessian(u, b);
            let determinant = huu * hbb - hub * hub;
            u -= (hbb * gu - hub * gb) / determinant;
            b -= (huu * gb - hub * gu) / determinant;
        }
        (u, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use ndarray_linalg::{Eigh, UPLO};
    use proptest::prelude::*;

    fn gon(n: u32, k: u32, positive: u32) -> Superposition {
        Superposition::new(n, k, positive).unwrap()
    }

    fn at(flat: &[f64]) -> f64 {
        let n = flat.len() / 3;
        let weights: Vec<[f64; 2]> = flat[..2 * n].chunks(2).map(|w| [w[0], w[1]]).collect();
        superposition_loss(&weights, &flat[2 * n..])
    }

    fn flat(gon: &Superposition) -> Vec<f64> {
        let (weights, biases) = gon.parameters();
        weights.into_iter().flatten().chain(biases).collect()
    }

    /// Hessian of the exact loss by central differences of values.
    fn hessian(point: &[f64]) -> Array2<f64> {
        let (d, h) = (point.len(), 1e-3);
        Array2::from_shape_fn((d, d), |(i, j)| {
            let moved = |si: f64, sj: f64| {
                let mut w = point.to_vec();
                w[i] += si * h;
                w[j] += sj * h;
                at(&w)
            };
            (moved(1.0, 1.0) - moved(1.0, -1.0) - moved(-1.0, 1.0) + moved(-1.0, -1.0))
                / (4.0 * h * h)
        })
    }

    #[test]
    fn worked_values() {
        // (n, k, positive), 2 λ, L.
        for ((n, k, positive), twice, loss) in [
            ((4, 4, 0), 11, 0.0),
            ((5, 4, 0), 13, 0.06667),
            ((5, 4, 1), 14, 0.05667),
            ((6, 4, 0), 15, 0.11111),
            ((6, 4, 1), 16, 0.10417),
            ((6, 4, 2), 17, 0.09722),
            ((5, 5, 0), 14, 0.01583),
            ((6, 5, 0), 14, 0.06874),
            ((6, 5, 1), 17, 0.06180),
            ((6, 6, 0), 17, 0.04819),
            ((7, 7, 0), 20, 1.74870 / 21.0),
            ((8, 5, 0), 14, 0.13489),
            ((8, 6, 0), 17, 0.11948),
            ((8, 7, 0), 20, 0.11453),
            ((8, 8, 0), 23, 0.11555),
        ] {
            let gon = gon(n, k, positive);
            let pair = LearningCoefficient::new(Rational64::new(twice, 2), 1).unwrap();
            assert_eq!(gon.learning_coefficient(), pair, "{n} {k} {positive}");
            assert!(
                (gon.loss() - loss).abs() < 5e-6,
                "{n} {k} {positive}: {}",
                gon.loss()
            );
            assert!(
                (gon.loss() - at(&flat(&gon))).abs() < 1e-14,
                "{n} {k} {positive}"
            );
        }
    }

    /// The table of positions of Chen et al., and second route: their two equations in `x = l`, `y = b`.
    #[test]
    fn positions() {
        for (k, length, bias) in [
            (4, 1.0, 0.0),
            (5, 1.17046, -0.28230),
            (6, 1.32053, -0.61814),
            (7, 1.44839, -0.96691),
            (8, 1.5504497, -1.2911926),
        ] {
            let gon = gon(k, k, 0);
            let (x, y) = (gon.vertex_length(), gon.vertex_bias());
            assert!(
                (x - length).abs() < 5.1e-6 && (y - bias).abs() < 5.1e-6,
                "{k}: {x} {y}"
            );
            if k == 4 {
                continue;
            }
            let cosine = (2.0 * std::f64::consts::PI / f64::from(k)).cos();
            let [f, g, h, m] = [cosine * cosine, cosine, 1.0 / cosine, 1.0].map(|c| 1.0 + 2.0 * c);
            let first =
                x.powi(6) * g + x * x * y * y * h + 2.0 * x.powi(4) * y * m + y * y - x.powi(4);
            let second = 2.0 * x.powi(8) * f + 3.0 * x.powi(6) * y * g
                - x * x * y.powi(3) * h
                - 2.0 * x.powi(6)
                - 2.0 * y.powi(3);
            assert!(
                first.abs() < 1e-13 && second.abs() < 4e-13,
                "{k}: {first} {second}"
            );
            // The cell: the neighbours interfere, those beyond a right angle never do.
            assert!(x * x * cosine > -y && y < 0.0);
        }
    }

    /// Second route for λ: the Hessian at the critical point has `2λ` positive eigenvalues, and no negative one.
    #[test]
    fn half_the_rank_of_the_hessian() {
        for k in 5..=8 {
            for n in k..=k + 2 {
                for positive in [0, n - k] {
                    let gon = gon(n, k, positive);
                    let (values, _) = hessian(&flat(&gon)).eigh(UPLO::Lower).unwrap();
                    let rank = values.iter().filter(|&&v| v > 1e-3).count() as i64;
                    assert!(
                        values.iter().all(|&v| v > 1e-3 || v.abs() < 1e-6),
                        "{values}"
                    );
                    assert_eq!(
                        gon.learning_coefficient().lambda(),
                        Rational64::new(rank, 2),
                        "{n} {k}"
                    );
                }
            }
        }
    }

    /// Dead features of both signs leave a saddle: `3 b W_i · W_j` couples a positive column to one that is free.
    #[test]
    fn mixed_dead_features_are_a_saddle() {
        for (n, k) in [(7, 5), (8, 6), (9, 7), (10, 8)] {
            let mut point = flat(&gon(n, k, 2));
            *point.last_mut().unwrap() = -1.0;
            let (values, _) = hessian(&point).eigh(UPLO::Lower).unwrap();
            assert!(
                values[0] < -3e-5 && values[1] < -3e-5 && values[2] > -1e-6,
                "{values}"
            );
            assert_eq!(
                Superposition::new(n, k, 1),
                Err(SuperpositionError::Saddle {
                    n_positive: 1,
                    n_negative: 1,
                    n_vertices: k
                })
            );
        }
    }

    /// A fixed sequence of directions, uniform in a cube.
    fn direction(d: usize, index: usize) -> Vec<f64> {
        let field = crate::PrimeField::LARGE;
        (0..d)
            .map(|i| f64::from(field.coordinate((index * d + i) as u64)) / f64::from(1 << 29) - 1.0)
            .collect()
    }

    /// Takes the rotation and the negative biases out of a direction, and gives it length 1.
    fn across(gon: &Superposition, direction: &mut [f64]) {
        let (weights, biases) = gon.parameters();
        let n = biases.len();
        for (i, &b) in biases.iter().enumerate() {
            if b < 0.0 {
                direction[2 * n + i] = 0.0;
            }
        }
        let rotation: Vec<f64> = weights.iter().flat_map(|w| [-w[1], w[0]]).collect();
        let along: f64 = rotation.iter().zip(&*direction).map(|(r, d)| r * d).sum();
        let square: f64 = rotation.iter().map(|r| r * r).sum();
        for (d, r) in direction.iter_mut().zip(&rotation) {
            *d -= along / square * r;
        }
        let length = direction.iter().map(|d| d * d).sum::<f64>().sqrt();
        direction.iter_mut().for_each(|d| *d /= length);
    }

    /// `k = 4`: `3n (L − L*)/t²` at distance t is bounded away from 0 across the flat directions, and their number is `2λ`
    /// less than `3n`. The least value is searched by descent from many directions.
    #[test]
    fn the_square_is_a_cone() {
        for (n, positive) in [(4, 0), (5, 0), (5, 1), (6, 0), (6, 1), (6, 2), (7, 1)] {
            let gon = gon(n, 4, positive);
            let point = flat(&gon);
            let steepness = |direction: &[f64], t: f64| {
                let moved: Vec<f64> = point
                    .iter()
                    .zip(direction)
                    .map(|(w, d)| w + t * d)
                    .collect();
                3.0 * f64::from(n) * (at(&moved) - gon.loss()) / (t * t)
            };
            let d = point.len();
            let mut least = f64::INFINITY;
            for start in 0..6 {
                let mut best = direction(d, start * 10_000);
                across(&gon, &mut best);
                let mut value = steepness(&best, 1e-4);
                for step in 1..2000 {
                    let size = 0.5 * 0.997f64.powi(step);
                    let noise = direction(d, start * 10_000 + step as usize);
                    let mut tried: Vec<f64> =
                        best.iter().zip(&noise).map(|(b, x)| b + size * x).collect();
                    across(&gon, &mut tried);
                    let found = steepness(&tried, 1e-4);
                    if found < value {
                        (best, value) = (tried, found);
                    }
                }
                // Homogeneous: the same at a distance ten times as large, but for the third order.
                assert!(
                    (steepness(&best, 1e-3) - value).abs() < 0.1 * value,
                    "{n} {positive}"
                );
                least = least.min(value);
            }
            assert!(least > 0.02, "{n} {positive}: {least}");
            // The directions left out are flat.
            let n_negative = n - 4 - positive;
            let lambda = gon.learning_coefficient().lambda();
            assert_eq!(
                lambda,
                Rational64::new(i64::from(3 * n - 1 - n_negative), 2)
            );
            for i in (n - n_negative)..n {
                let mut axis = vec![0.0; d];
                axis[(2 * n + i) as usize] = 1.0;
                assert_eq!(steepness(&axis, 0.1), steepness(&axis, -0.1));
                assert!(steepness(&axis, 0.1).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn impossible_polygons_are_refused() {
        for n_vertices in [0, 3, 9, 12] {
            assert_eq!(
                Superposition::new(20, n_vertices, 0),
                Err(SuperpositionError::Vertices { n_vertices })
            );
        }
        for n_features in [4, 1_000_001] {
            assert_eq!(
                Superposition::new(n_features, 5, 0),
                Err(SuperpositionError::Features {
                    n_features,
                    n_vertices: 5
                })
            );
        }
        assert_eq!(
            Superposition::new(6, 5, 2),
            Err(SuperpositionError::Dead {
                n_positive: 2,
                n_dead: 1
            })
        );
        let many = gon(1_000_000, 4, 0).learning_coefficient();
        assert_eq!(many.lambda(), Rational64::new(11 + 2 * 999_996, 2));
    }

    /// Second route for the loss: run the network, and integrate over μ piece by piece with Simpson's rule, exact there.
    fn by_pieces(weights: &[[f64; 2]], biases: &[f64]) -> f64 {
        let n = weights.len();
        let mut total = 0.0;
        for i in 0..n {
            let slopes: Vec<f64> = weights
                .iter()
                .map(|w| w[0] * weights[i][0] + w[1] * weights[i][1])
                .collect();
            let error = |mu: f64| -> f64 {
                (0..n)
                    .map(|j| {
                        let output = (slopes[j] * mu + biases[j]).max(0.0);
                        (if i == j { mu - output } else { output }).powi(2)
                    })
                    .sum()
            };
            let mut cuts: Vec<f64> = (0..n)
                .map(|j| -biases[j] / slopes[j])
                .filter(|t| (0.0..1.0).contains(t))
                .collect();
            cuts.extend([0.0, 1.0]);
            cuts.sort_by(f64::total_cmp);
            for piece in cuts.windows(2) {
                let middle = error(0.5 * (piece[0] + piece[1]));
                total += (piece[1] - piece[0]) * (error(piece[0]) + 4.0 * middle + error(piece[1]))
                    / 6.0;
            }
        }
        total / n as f64
    }

    proptest! {
        #[test]
        fn loss_by_pieces(
            columns in prop::collection::vec((-1.5f64..1.5, -1.5f64..1.5, -1.0f64..1.0), 1..7),
            angle in 0.0f64..6.0,
        ) {
            let (weights, biases): (Vec<[f64; 2]>, Vec<f64>) = columns.iter().map(|&(x, y, b)| ([x, y], b)).unzip();
            let loss = superposition_loss(&weights, &biases);
            prop_assert!((loss - by_pieces(&weights, &biases)).abs() < 1e-11 * (1.0 + loss));
            // Rotations and the order of features are symmetries.
            let (sin, cos) = angle.sin_cos();
            let turned: Vec<[f64; 2]> = weights.iter().rev().map(|w| [cos * w[0] - sin * w[1], sin * w[0] + cos * w[1]]).collect();
            let reversed: Vec<f64> = biases.iter().rev().copied().collect();
            prop_assert!((loss - superposition_loss(&turned, &reversed)).abs() < 1e-11 * (1.0 + loss));
        }

        /// Dead columns, zero biases: the edges of the cells.
        #[test]
        fn loss_on_edges(n in 1usize..5, b in -1.0f64..1.0) {
            let weights = vec![[0.0, 0.0]; n];
            let each = if b > 0.0 { 1.0 - 3.0 * b + 3.0 * n as f64 * b * b } else { 1.0 };
            prop_assert!((superposition_loss(&weights, &vec![b; n]) - each / 3.0).abs() < 1e-14);
            prop_assert_eq!(superposition_loss(&weights, &vec![0.0; n]), 1.0 / 3.0);
        }
    }
}
