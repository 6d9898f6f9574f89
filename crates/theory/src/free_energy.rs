//! The asymptotic free energy and the competition of phases.
//!
//! `F_n = −log Z_n = n L + λ log n − (m − 1) log log n + c + o(1)`, where `L` is the loss of the phase
//! (the minimum of the mean negative log likelihood in a region of parameter space), `(λ, m)` its
//! learning coefficient, and `c` its constant term (log volume and prior).
//! Source: Watanabe (2009), *Algebraic Geometry and Statistical Learning Theory*, Main Theorem 6.2.
//!
//! Two phases exchange their order where the difference of their free energies changes sign. With
//! `x = log n` the difference is `D(x) = ΔL e^x + Δλ x − Δm log x + Δc`. Derived here: `(x D')' =
//! ΔL (1 + x) e^x + Δλ` is monotone, so it has at most one zero, `D'` at most two and `D` at most
//! three on `x > 0`. Bisection between the zeros of the derivative therefore finds all of them. Winners are compared by the
//! same difference: the terms `n L` alone would drown `λ log n` at large n.

use crate::LearningCoefficient;

/// The largest `log n` that is searched for a crossing: `n` up to `10^304`.
const MAX_LOG_N: f64 = 700.0;

/// A region of parameter space, seen by its free energy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    loss: f64,
    learning_coefficient: LearningCoefficient,
    constant: f64,
}

/// Why a free energy, a winner or a critical n does not exist.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum FreeEnergyError {
    /// A phase has a loss or a constant that is not finite.
    #[error("a phase needs a finite loss and constant, got loss {loss} and constant {constant}")]
    NotFinite {
        /// The loss given.
        loss: f64,
        /// The constant given.
        constant: f64,
    },
    /// `log log n` does not exist.
    #[error("the asymptotic free energy needs finite n > 1, got n = {n}")]
    SampleSize {
        /// The n given.
        n: f64,
    },
    /// There is no phase to choose from.
    #[error("no phases to choose from")]
    NoPhases,
    /// The free energies of the two phases do not cross.
    #[error("the two free energies do not cross for e < n < 1e304")]
    NoCrossing,
}

impl Phase {
    /// The phase with loss `L`, pair (λ, m) and constant `c` of its free energy.
    ///
    /// Units: `loss` is the mean over samples, in nats; `constant` in nats.
    ///
    /// # Errors
    /// [`FreeEnergyError::NotFinite`] when `loss` or `constant` is not finite.
    pub fn new(
        loss: f64,
        learning_coefficient: LearningCoefficient,
        constant: f64,
    ) -> Result<Self, FreeEnergyError> {
        if !(loss.is_finite() && constant.is_finite()) {
            return Err(FreeEnergyError::NotFinite { loss, constant });
        }
        Ok(Self {
            loss,
            learning_coefficient,
            constant,
        })
    }

    /// The loss of the phase, in nats per sample.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// The pair (λ, m) of the phase.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        self.learning_coefficient
    }

    /// The constant term of the free energy, in nats.
    pub fn constant(&self) -> f64 {
        self.constant
    }

    /// `F_n = n L + λ log n − (m − 1) log log n + c`, in nats.
    ///
    /// The sample size is real, so that curves and crossings are continuous. Below `n = e` the
    /// term `log log n` is negative and the asymptotic form means nothing for `m > 1`.
    ///
    /// # Errors
    /// [`FreeEnergyError::SampleSize`] unless `1 < n < ∞`.
    ///
    /// Source: Watanabe (2009), Main Theorem 6.2.
    pub fn free_energy(&self, n: f64) -> Result<f64, FreeEnergyError> {
        if !(1.0 < n && n.is_finite()) {
            return Err(FreeEnergyError::SampleSize { n });
        }
        let lambda = self.learning_coefficient.lambda_f64();
        let m = f64::from(self.learning_coefficient.multiplicity());
        Ok(n * self.loss + lambda * n.ln() - (m - 1.0) * n.ln().ln() + self.constant)
    }
}

/// The index of the phase with the least free energy at `n`, the first of them at a tie.
///
/// # Errors
/// [`FreeEnergyError::NoPhases`] when `phases` is empty;
/// [`FreeEnergyError::SampleSize`] unless `1 < n < ∞`.
pub fn winning_phase(phases: &[Phase], n: f64) -> Result<usize, FreeEnergyError> {
    if !(1.0 < n && n.is_finite()) {
        return Err(FreeEnergyError::SampleSize { n });
    }
    least(phases, n.ln()).ok_or(FreeEnergyError::NoPhases)
}

/// The Bayesian phase diagram: the winning phases for `e < n < 10^304` in their order, each as `(n_from, index)`.
///
/// A phase wins from its `n_from` to that of the next; the first `n_from` is e. Internal model selection passes from
/// simple phases (large L, small λ) to accurate ones as n grows, and a phase need never win.
///
/// ```
/// use slt_theory::{Phase, phase_diagram, regular};
///
/// let constant = Phase::new(1.0, regular(1), 0.0)?;
/// let poor = Phase::new(0.99, regular(30), 0.0)?;
/// let accurate = Phase::new(0.9, regular(12), 0.0)?;
/// let winners = phase_diagram(&[constant, poor, accurate])?;
/// let order: Vec<usize> = winners.iter().map(|&(_, index)| index).collect();
/// assert_eq!(order, [0, 2]);
/// assert_eq!(winners[1].0.ceil(), 317.0);
/// # Ok::<(), slt_theory::FreeEnergyError>(())
/// ```
///
/// # Errors
/// [`FreeEnergyError::NoPhases`] when `phases` is empty.
pub fn phase_diagram(phases: &[Phase]) -> Result<Vec<(f64, usize)>, FreeEnergyError> {
    let mut edges = vec![1.0];
    for (index, first) in phases.iter().enumerate() {
        for second in &phases[..index] {
            edges.extend(Difference::new(first, second).zeros());
        }
    }
    edges.push(MAX_LOG_N);
    edges.sort_unstable_by(f64::total_cmp);
    let mut winners: Vec<(f64, usize)> = Vec::new();
    for edge in edges.windows(2) {
        let winner = least(phases, 0.5 * (edge[0] + edge[1])).ok_or(FreeEnergyError::NoPhases)?;
        // Crossings of three phases at one point differ by rounding: nothing is between them.
        let is_empty = edge[1] - edge[0] <= 1e-13 * edge[1];
        if !is_empty && winners.last().is_none_or(|&(_, last)| last != winner) {
            winners.push((edge[0].exp(), winner));
        }
    }
    Ok(winners)
}

/// The index of the phase that is least at `log n`.
fn least(phases: &[Phase], log_n: f64) -> Option<usize> {
    (0..phases.len()).reduce(|best, index| {
        if Difference::new(&phases[index], &phases[best]).at(log_n) < 0.0 {
            index
        } else {
            best
        }
    })
}

/// The sample sizes `e < n < 10^304` where the two free energies cross, ascending; at most three.
///
/// Accuracy: relative `1e-15 · log n · condition` of the root.   Derived here; see the module.
pub fn crossings(first: &Phase, second: &Phase) -> Vec<f64> {
    let zeros = Difference::new(first, second).zeros();
    zeros.into_iter().map(f64::exp).collect()
}

/// `D(x) = ΔL e^x + Δλ x − Δm log x + Δc` of two phases, at `x = log n`.
struct Difference {
    loss: f64,
    lambda: f64,
    multiplicity: f64,
    constant: f64,
}

impl Difference {
    fn new(first: &Phase, second: &Phase) -> Self {
        let (a, b) = (first.learning_coefficient, second.learning_coefficient);
        Self {
            loss: first.loss - second.loss,
            lambda: a.lambda_f64() - b.lambda_f64(),
            multiplicity: f64::from(a.multiplicity()) - f64::from(b.multiplicity()),
            constant: first.constant - second.constant,
        }
    }

    fn at(&self, x: f64) -> f64 {
        self.loss * x.exp() + self.lambda * x - self.multiplicity * x.ln() + self.constant
    }

    /// The zeros on `1 < x < MAX_LOG_N`, ascending.
    fn zeros(&self) -> Vec<f64> {
        let curvature = |x: f64| self.loss * (1.0 + x) * x.exp() + self.lambda;
        let slope_times_x = |x: f64| self.loss * x * x.exp() + self.lambda * x - self.multiplicity;
        let bends = sign_changes(curvature, &[]);
        let extrema = sign_changes(slope_times_x, &bends);
        sign_changes(|x| self.at(x), &extrema)
    }
}

/// The last sample size at which the two free energies cross: beyond it the order is final.
///
/// # Errors
/// [`FreeEnergyError::NoCrossing`] when one phase wins for all `e < n < 10^304`.
pub fn critical_n(first: &Phase, second: &Phase) -> Result<f64, FreeEnergyError> {
    crossings(first, second)
        .pop()
        .ok_or(FreeEnergyError::NoCrossing)
}

/// The sign changes of `f` on `1 < log n < MAX_LOG_N`, given breakpoints between which it is monotone.
fn sign_changes(f: impl Fn(f64) -> f64, breakpoints: &[f64]) -> Vec<f64> {
    let mut edges = vec![1.0];
    edges.extend_from_slice(breakpoints);
    edges.push(MAX_LOG_N);
    edges
        .windows(2)
        .filter_map(|edge| bisect(&f, edge[0], edge[1]))
        .collect()
}

fn bisect(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> Option<f64> {
    let rising = f(low) < 0.0;
    if rising == (f(high) < 0.0) {
        return None;
    }
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return Some(middle);
        }
        if (f(middle) < 0.0) == rising {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regular;
    use approx::assert_relative_eq;
    use num_rational::Rational64;
    use proptest::prelude::*;

    fn phase(loss: f64, half_lambda: (i64, i64), m: u32, constant: f64) -> Phase {
        let pair =
            LearningCoefficient::new(Rational64::new(half_lambda.0, half_lambda.1), m).unwrap();
        Phase::new(loss, pair, constant).unwrap()
    }

    #[test]
    fn the_formula() {
        let n = 1000.0_f64;
        let f = phase(0.3, (3, 2), 2, -1.0).free_energy(n).unwrap();
        // 300 + 1.5·6.907755278982137 − 1.932644733916065 − 1
        assert_relative_eq!(f, 307.428_988_184_557_1, max_relative = 1e-14);
    }

    /// ΔL n = Δλ log n: the trade of loss against complexity. n/log n = 100 has the Lambert root
    /// n = exp(−W₋₁(−1/100)) = 647.2775124394004 (fixed-point iteration n ← 100 log n).
    #[test]
    fn loss_against_complexity() {
        let simple = Phase::new(0.01, regular(0), 0.0).unwrap();
        let complex = Phase::new(0.0, regular(2), 0.0).unwrap();
        let n = critical_n(&simple, &complex).unwrap();
        assert_relative_eq!(n, 647.277_512_439_400_4, max_relative = 1e-12);
        assert_eq!(winning_phase(&[simple, complex], 0.99 * n), Ok(0));
        assert_eq!(winning_phase(&[simple, complex], 1.01 * n), Ok(1));
        assert_eq!(critical_n(&complex, &simple).unwrap(), n);
    }

    /// The multiplicity alone: λ equal, the phase with m = 2 pays a constant c: log log n = c.
    #[test]
    fn multiplicity_against_a_constant() {
        let single = phase(0.5, (1, 2), 1, 0.0);
        let double = phase(0.5, (1, 2), 2, 2.0);
        let n = critical_n(&single, &double).unwrap();
        assert_relative_eq!(n, 2.0_f64.exp().exp(), max_relative = 1e-12);
    }

    /// Three crossings placed by solving for (ΔL, Δλ, Δc) with Δm = −1 at x = 2, 4, 7.
    #[test]
    fn all_three_crossings_are_found() {
        // ΔL e^x + Δλ x + Δc = Δm log x at three x: divided differences.
        let (x, d_m) = ([2.0_f64, 4.0, 7.0], -3.0);
        let slope = |f: &dyn Fn(f64) -> f64, i: usize| (f(x[i + 1]) - f(x[i])) / (x[i + 1] - x[i]);
        let bend = |f: &dyn Fn(f64) -> f64| slope(f, 1) - slope(f, 0);
        let d_loss = d_m * bend(&f64::ln) / bend(&f64::exp);
        let d_lambda = d_m * slope(&f64::ln, 0) - d_loss * slope(&f64::exp, 0);
        let d_constant = d_m * x[0].ln() - d_loss * x[0].exp() - d_lambda * x[0];
        // λ is rational: round Δλ to a fine grid, which moves the roots by about 1e-9.
        let denominator = 1_000_000_000;
        let base = 2 * denominator;
        let lambda = base + (d_lambda * denominator as f64).round() as i64;
        let first = phase(d_loss, (lambda, denominator), 1, d_constant);
        let second = phase(0.0, (base, denominator), 4, 0.0);
        let roots = crossings(&first, &second);
        assert_eq!(roots.len(), 3, "{roots:?}");
        for (root, expected) in roots.iter().zip(x) {
            assert_relative_eq!(root.ln(), expected, max_relative = 1e-6);
        }
    }

    #[test]
    fn phases_that_do_not_cross() {
        let good = phase(0.1, (1, 2), 1, 0.0);
        let bad = phase(0.2, (1, 1), 1, 0.0);
        assert_eq!(critical_n(&good, &bad), Err(FreeEnergyError::NoCrossing));
        assert_eq!(critical_n(&good, &good), Err(FreeEnergyError::NoCrossing));
    }

    #[test]
    fn impossible_input_is_refused() {
        assert!(matches!(
            Phase::new(f64::NAN, regular(1), 0.0),
            Err(FreeEnergyError::NotFinite { .. })
        ));
        assert!(matches!(
            Phase::new(0.0, regular(1), f64::INFINITY),
            Err(FreeEnergyError::NotFinite { .. })
        ));
        let valid = phase(0.0, (1, 2), 1, 0.0);
        for n in [1.0, -2.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                valid.free_energy(n),
                Err(FreeEnergyError::SampleSize { .. })
            ));
        }
        assert!(matches!(
            winning_phase(&[valid], 1.0),
            Err(FreeEnergyError::SampleSize { .. })
        ));
        assert_eq!(winning_phase(&[], 10.0), Err(FreeEnergyError::NoPhases));
        assert_eq!(phase_diagram(&[]), Err(FreeEnergyError::NoPhases));
    }

    /// At n = 1e20 a term nL has an error of 1e4 nats; equal losses still leave the order to λ.
    #[test]
    fn winners_at_large_n() {
        let phases = [
            phase(0.3, (3, 2), 1, 0.0),
            phase(0.3, (1, 2), 1, 0.0),
            phase(0.3, (1, 2), 2, 0.0),
        ];
        for n in [1e3, 1e20, 1e300] {
            assert_eq!(winning_phase(&phases, n), Ok(2));
            assert_eq!(winning_phase(&phases[..2], n), Ok(1));
        }
        assert_eq!(winning_phase(&[phases[1], phases[1]], 10.0), Ok(0));
    }

    /// Three phases that meet at n = 100: the middle one wins nowhere.
    #[test]
    fn phases_that_meet_in_a_point() {
        let at = |lambda: i64| {
            let loss = 1.0 - lambda as f64 * 100.0_f64.ln() / 100.0;
            phase(loss, (lambda, 1), 1, 0.0)
        };
        let diagram = phase_diagram(&[at(2), at(1), at(3)]).unwrap();
        assert_eq!(diagram.len(), 2, "{diagram:?}");
        assert_eq!((diagram[0].0, diagram[0].1), (std::f64::consts::E, 1));
        assert_relative_eq!(diagram[1].0, 100.0, max_relative = 1e-11);
        assert_eq!(diagram[1].1, 2);
    }

    fn any_phase() -> impl Strategy<Value = Phase> {
        (0.0..2.0, 1i64..40, 1u32..4, -5.0..5.0).prop_map(|(l, d, m, c)| phase(l, (d, 2), m, c))
    }

    proptest! {
        #[test]
        fn the_order_changes_exactly_at_the_crossings(a in any_phase(), b in any_phase()) {
            let roots = crossings(&a, &b);
            prop_assert!(roots.len() <= 3);
            for (i, n) in roots.iter().enumerate() {
                let winner = |n: f64| winning_phase(&[a, b], n).unwrap();
                // Skip crossings that nearly touch their neighbour.
                let apart = |j: usize| roots.get(j).is_none_or(|other| (other / n - 1.0).abs() > 1e-3);
                if *n > 2.8 && (i == 0 || apart(i - 1)) && apart(i + 1) {
                    prop_assert_ne!(winner(n * (1.0 - 1e-5)), winner(n * (1.0 + 1e-5)));
                }
            }
            // No crossing is missed on a coarse walk.
            let walk = (0..600).map(|i| (1.0 + f64::from(i) * 0.05).exp());
            let winners: Vec<usize> = walk.map(|n| winning_phase(&[a, b], n).unwrap()).collect();
            let changes = winners.windows(2).filter(|w| w[0] != w[1]).count();
            prop_assert!(changes <= roots.len());
        }

        /// The diagram's phase is the least at every n, changes at crossings only, and is minimal.
        #[test]
        fn the_diagram_is_the_lower_envelope(phases in prop::collection::vec(any_phase(), 1..7)) {
            let diagram = phase_diagram(&phases).unwrap();
            prop_assert_eq!(diagram[0].0, std::f64::consts::E);
            for pair in diagram.windows(2) {
                let ((from, a), (to, b)) = (pair[0], pair[1]);
                prop_assert!(from < to && a != b);
                let critical = crossings(&phases[a], &phases[b]);
                prop_assert!(critical.iter().any(|n| (n / to - 1.0).abs() < 1e-12));
            }
            for i in 0..300 {
                let n = (1.001 + 0.1 * f64::from(i)).exp();
                let shown = diagram.iter().rev().find(|&&(from, _)| from <= n).unwrap().1;
                let free_energy = |phase: &Phase| phase.free_energy(n).unwrap();
                let least = phases.iter().map(free_energy).fold(f64::INFINITY, f64::min);
                let slack = 1e-9 * (1.0 + least.abs());
                prop_assert!(free_energy(&phases[shown]) <= least + slack);
            }
        }
    }
}
