//! The Fourier solution of addition modulo `n`: `2n − 1` quadratic units, a smaller λ than a generic solution.
//!
//! For odd `n` and `θ = 2πk/n`, `1 <= k <= (n−1)/2`, four squares of the one-hot pair `(a, b)` give
//!
//! `(cos θa + cos θb)² + (sin θa − sin θb)² = 2 + 2 cos θ(a+b)`, `(cos θa + sin θb)² + (sin θa + cos θb)² = 2 + 2 sin θ(a+b)`.
//!
//! With one unit for the constant they add up to `[c = a + b mod n] = 1/n + (2/n) Σ_k cos θ_k(a + b − c)`.
//!
//! **λ, derived here.** A pair of squares is `|z + ρ e^{iφ} z'|²` with `z = e^{iθa}`, `z' = e^{−iθb}`. The solution stays one
//! when ρ, φ and the phase of the sum change, 3 directions for each of the `n − 1` pairs, and under the scale and the
//! shift of each of the `2n − 1` units: the fibre contains a manifold of dimension `7n − 5`. So
//! `λ <= (3n(2n−1) − (7n − 5))/2 = (6n² − 10n + 5)/2`. On the other side `λ >= rank/2` always. The rank of the
//! Jacobian, computed exactly over a field in which cos and sin are roots of unity, is `6n² − 10n + 5` when 3 does
//! not divide `n`: both bounds meet, the fibre is that manifold, and `m = 1`. When 3 divides `n`
//! the rank is 2 less: frequency `n/3` has `cos 2θa = cos θa`, and more terms can cancel. There `rank/2` is a lower bound.

use num_rational::Rational64;

use crate::modular_addition::one_hot;
use crate::quadratic_network::{Constants, Unit, rank_at};
use crate::{Known, LearningCoefficient, PrimeField};

/// The solution of addition modulo an odd `n` by `2n − 1` units with cosines and sines as weights.
///
/// ```
/// let solution = slt_theory::FourierSolution::new(5)?;
/// assert_eq!(solution.jacobian_rank(), 105);
/// assert_eq!(solution.learning_coefficient().to_string(), "λ = 105/2, m = 1");
/// # Ok::<(), slt_theory::FourierSolutionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FourierSolution {
    modulus: u32,
}

/// Why a modulus has no Fourier solution here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Fourier solution is for odd moduli from 3 to {max}, got {modulus}", max = FourierSolution::MAX_MODULUS)]
pub struct FourierSolutionError {
    /// n.
    pub modulus: u32,
}

impl FourierSolution {
    /// The largest modulus: its Jacobian has 49·25·3 rows.
    pub const MAX_MODULUS: u32 = 25;

    /// The Fourier solution of addition modulo `modulus`.
    ///
    /// # Errors
    /// [`FourierSolutionError`] unless `modulus` is odd and `3 <= modulus <= MAX_MODULUS`.
    pub fn new(modulus: u32) -> Result<Self, FourierSolutionError> {
        if modulus.is_multiple_of(2) || !(3..=Self::MAX_MODULUS).contains(&modulus) {
            return Err(FourierSolutionError { modulus });
        }
        Ok(Self { modulus })
    }

    /// The number of units, `2n − 1`.
    pub fn width(&self) -> u32 {
        2 * self.modulus - 1
    }

    /// The rank of the Jacobian at the solution (squared loss, all pairs), by exact elimination.
    ///
    /// Over the field with a root of unity of order `4n`, where the solution has coordinates. A lower bound on the rank over
    /// the reals; equal to it where it meets the upper bound `6n² − 10n + 5`.
    pub fn jacobian_rank(&self) -> usize {
        let n = self.modulus;
        let pairs: Vec<(u32, u32)> = (0..n).flat_map(|a| (0..n).map(move |b| (a, b))).collect();
        let (field, units) = self.units();
        rank_at(field, &one_hot(n, &pairs), &units, Constants::Seen)
    }

    /// λ at the solution, for squared loss on all pairs.
    ///
    /// Exact when 3 does not divide the modulus, else the lower bound `rank/2`.
    pub fn learning_coefficient(&self) -> Known {
        let rank = self.jacobian_rank() as i64;
        let half_rank = Rational64::new(rank, 2);
        let n = i64::from(self.modulus);
        if rank == 6 * n * n - 10 * n + 5 {
            Known::Exact(LearningCoefficient::from_formula(half_rank, 1))
        } else {
            Known::LowerBound(half_rank)
        }
    }

    /// The units over a field with `i` and the roots of unity of order `n`.
    fn units(&self) -> (PrimeField, Vec<Unit>) {
        let n = self.modulus;
        let field = PrimeField::with_roots_of_unity(4 * n).expect("4n is small");
        let root = field.root_of_unity(4 * n).expect("the field has it");
        let half = field.inverse(2);
        let over_n = field.inverse(n);
        // e^{2πi j/n}, and i = e^{2πi n/(4n)}.
        let exponential = |j: u32| field.power(root, 4 * j);
        let over_i = field.negate(field.power(root, n));
        let cos = |j: u32| field.multiply(half, field.add(exponential(j), exponential(n - j % n)));
        let sin = |j: u32| {
            let twice = field.add(exponential(j), field.negate(exponential(n - j % n)));
            field.multiply(half, field.multiply(over_i, twice))
        };
        let vector = |f: &dyn Fn(u32) -> u32| (0..n).map(f).collect::<Vec<u32>>();
        let mut units = vec![Unit {
            weights: (0..2 * n).map(|i| u32::from(i < n)).collect(),
            head: vector(&|c| {
                (1..=n / 2).fold(over_n, |sum, k| {
                    let both = field.add(cos(k * c), sin(k * c));
                    field.add(
                        sum,
                        field.negate(field.multiply(field.multiply(2, over_n), both)),
                    )
                })
            }),
        }];
        for k in 1..=n / 2 {
            let c = vector(&|a| cos(k * a));
            let s = vector(&|a| sin(k * a));
            let minus_s = vector(&|a| field.negate(sin(k * a)));
            let head = |wave: &[u32]| wave.iter().map(|&x| field.multiply(over_n, x)).collect();
            for (first, second, wave) in
                [(&c, &c, &c), (&s, &minus_s, &c), (&c, &s, &s), (&s, &c, &s)]
            {
                units.push(Unit {
                    weights: [&first[..], second].concat(),
                    head: head(wave),
                });
            }
        }
        (field, units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ModularAddition, ModularLoss};
    use ndarray::Array2;
    use ndarray_linalg::SVD;

    /// It is a solution: `f_c(a, b) = [c = a + b mod n]`, exactly.
    #[test]
    fn adds() {
        for n in [3, 5, 7, 9, 15, 25] {
            let solution = FourierSolution::new(n).unwrap();
            let (field, units) = solution.units();
            assert_eq!(units.len() as u32, solution.width());
            for (a, b, c) in (0..n * n * n).map(|i| (i / n / n, i / n % n, i % n)) {
                let sum = units.iter().fold(0, |sum, unit| {
                    let w = field.add(unit.weights[a as usize], unit.weights[(n + b) as usize]);
                    field.add(
                        sum,
                        field.multiply(unit.head[c as usize], field.multiply(w, w)),
                    )
                });
                assert_eq!(sum, u32::from((a + b) % n == c), "{n}: {a} + {b} = {c}");
            }
        }
    }

    #[test]
    fn worked_values() {
        for (n, twice) in [(3, 27), (5, 105), (7, 229), (9, 399), (11, 621)] {
            let solution = FourierSolution::new(n).unwrap();
            assert_eq!(solution.jacobian_rank(), twice, "{n}");
            let size = i64::from(n);
            let thirds = if n.is_multiple_of(3) { 2 } else { 0 };
            assert_eq!(twice as i64, 6 * size * size - 10 * size + 5 - thirds);
            let half_rank = Rational64::new(twice as i64, 2);
            let known = match n % 3 {
                0 => Known::LowerBound(half_rank),
                _ => Known::Exact(LearningCoefficient::new(half_rank, 1).unwrap()),
            };
            assert_eq!(solution.learning_coefficient(), known);
            // Below the rank of a generic solution of this width.
            let generic =
                ModularAddition::new(n, 2 * n - 1, ModularLoss::Squared, u64::from(n).pow(2))
                    .unwrap();
            assert!((twice as i64) < generic.rank() || n == 3);
        }
    }

    /// A unit in `f64`: weights on `a` and `b`, and outgoing weights.
    type RealUnit = (Vec<f64>, Vec<f64>, Vec<f64>);

    /// The family of the module documentation: pair `j` has ratio `rho[j]`, difference `phi[j]` and phase `tau[j]`.
    fn family(n: usize, rho: &[f64], phi: &[f64], tau: &[f64]) -> Vec<RealUnit> {
        let size = n as f64;
        let mut constant = vec![1.0 / size; n];
        let mut units = Vec::new();
        for k in 1..=n / 2 {
            let theta = 2.0 * std::f64::consts::PI * k as f64 / size;
            let [i, j] = [2 * k - 2, 2 * k - 1];
            // 1 + ρ² + 2ρ cos(θ(a+b) − φ) of the two pairs make cos(θ(a+b) − θc): solve a 2 by 2 system.
            let determinant = (phi[j] - phi[i]).sin();
            for (pair, other, sign) in [(i, j, 1.0), (j, i, -1.0)] {
                let head: Vec<f64> = (0..n)
                    .map(|c| {
                        sign * (phi[other] - theta * c as f64).sin()
                            / determinant
                            / (size * rho[pair])
                    })
                    .collect();
                for (c, v) in constant.iter_mut().zip(&head) {
                    *c -= v * (1.0 + rho[pair].powi(2));
                }
                for quarter in [0.0, 0.5 * std::f64::consts::PI] {
                    let wave = |scale: f64, slope: f64, shift: f64| -> Vec<f64> {
                        (0..n)
                            .map(|a| scale * (slope * a as f64 + shift + tau[pair] - quarter).cos())
                            .collect()
                    };
                    units.push((
                        wave(1.0, theta, 0.0),
                        wave(rho[pair], -theta, phi[pair]),
                        head.clone(),
                    ));
                }
            }
        }
        units.push((vec![1.0; n], vec![0.0; n], constant));
        units
    }

    fn svd_rank(matrix: &Array2<f64>) -> usize {
        let (_, values, _) = matrix.svd(false, false).unwrap();
        let gap = values.iter().filter(|&&v| v > 1e-9 * values[0]).count();
        // The rank is clear: nothing lies between noise and signal.
        assert!(
            values
                .iter()
                .all(|&v| v > 1e-5 * values[0] || v < 1e-12 * values[0]),
            "{values}"
        );
        gap
    }

    /// Second route: singular values of the real Jacobian, here and elsewhere on the family; and the family solves.
    #[test]
    fn rank_by_singular_values_along_the_fibre() {
        let half_pi = 0.5 * std::f64::consts::PI;
        for n in [3usize, 5, 7] {
            for (amount, seed) in [(0.0, 0), (0.3, 1), (0.3, 2)] {
                let wobble = |i: usize| amount * ((seed * 100 + i) as f64 * 1.7).sin();
                let rho: Vec<f64> = (0..n - 1).map(|i| 1.0 + wobble(i)).collect();
                let phi: Vec<f64> = (0..n - 1)
                    .map(|i| half_pi * (i % 2) as f64 + wobble(i + 20))
                    .collect();
                let tau: Vec<f64> = (0..n - 1).map(|i| wobble(i + 40)).collect();
                let units = family(n, &rho, &phi, &tau);
                let mut jacobian = Array2::zeros((units.len() * 3 * n, n * n * n));
                for (a, b, c) in (0..n * n * n).map(|i| (i / n / n, i / n % n, i % n)) {
                    let column = (a * n + b) * n + c;
                    let mut value = 0.0;
                    for (k, (u, t, v)) in units.iter().enumerate() {
                        let w = u[a] + t[b];
                        value += v[c] * w * w;
                        jacobian[[k * 3 * n + a, column]] += 2.0 * v[c] * w;
                        jacobian[[k * 3 * n + n + b, column]] += 2.0 * v[c] * w;
                        jacobian[[k * 3 * n + 2 * n + c, column]] += w * w;
                    }
                    let target = f64::from((a + b) % n == c);
                    assert!(
                        (value - target).abs() < 1e-12,
                        "{n}: {a} + {b} = {c}: {value}"
                    );
                }
                let exact = FourierSolution::new(n as u32).unwrap().jacobian_rank();
                assert_eq!(svd_rank(&jacobian), exact, "n = {n}, seed {seed}");
            }
        }
    }

    /// The family of solutions has `7n − 5` dimensions: the corank, unless 3 divides `n`.
    #[test]
    fn the_fibre_is_as_large_as_the_kernel() {
        for n in 3..=25i64 {
            let parameters = 3 * n * (2 * n - 1);
            let family = 3 * (n - 1) + 2 * (2 * n - 1);
            assert_eq!(parameters - family, 6 * n * n - 10 * n + 5);
        }
    }

    #[test]
    fn other_moduli_are_refused() {
        for modulus in [0, 1, 2, 4, 24, 27] {
            assert_eq!(
                FourierSolution::new(modulus),
                Err(FourierSolutionError { modulus })
            );
        }
    }
}
