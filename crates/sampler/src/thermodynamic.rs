//! Free energy by thermodynamic integration over inverse temperatures, and WBIC.
//!
//! With `Z(s) = ∫ exp(-s (L(w) - L(w*)) - γ/2 |w - w*|²) dw`, `d(-log Z)/d log s = E_s[s (L - L(w*))] = λ̂(s)`. The free energy
//! between two inverse temperatures is the integral of `λ̂` over `log s`. Its slope is known, too, from the same draws:
//! `dλ̂/d log s = λ̂ - Var_s[sL]`. The rule is therefore the cubic through values and slopes at both ends of each interval:
//! `h (f₀ + f₁)/2 + h² (f₀' - f₁')/12`, of fourth order in the spacing `h`.

use ndarray::{ArrayView2, Axis};
use slt_stats::{DrawsError, Estimate, EstimateError};

use crate::summary::Summary;

/// What the draws at one inverse temperature say.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// `s = nβ`.
    pub nbeta: f64,
    /// `λ̂(s) = E[s (L - L(w*))]`.
    pub mean: Summary,
    /// `Var[s L]`, which tends to λ as well.
    pub variance: Summary,
}

impl Rung {
    /// From the losses of the draws at `nbeta`, shape `[n_chains, n_draws]`, and that at `w*`. Units: nats.
    ///
    /// # Errors
    /// [`DrawsError`] where draws are too few or not finite.
    pub fn new(losses: ArrayView2<f64>, initial_loss: f64, nbeta: f64) -> Result<Self, DrawsError> {
        let scaled = losses.mapv(|l| nbeta * (l - initial_loss));
        let mean = Summary::new(scaled.view())?;
        let n_all = scaled.len() as f64;
        let squares = scaled.mapv(|x| (x - mean.mean).powi(2) * n_all / (n_all - 1.0));
        Ok(Self {
            nbeta,
            mean,
            variance: Summary::new(squares.view())?,
        })
    }
}

/// A difference of free energies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FreeEnergyDifference {
    /// `-log Z(s_last)/Z(s_first)`. Units: nats.
    pub value: f64,
    /// Monte-Carlo standard error, of the means and of the slopes.
    pub mcse: f64,
    /// What the rule leaves out, at most: the difference to the rule on every second rung (16 times the error of a rule of
    /// fourth order). Infinite with fewer than three rungs.
    pub discretisation: f64,
}

/// Why rungs make no ladder.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LadderError {
    /// An integral needs two ends.
    #[error("{0} rungs; expected at least 2")]
    TooFew(usize),
    /// Inverse temperatures do not increase.
    #[error(
        "nbeta of rung {index} is {nbeta}; expected more than {before}, that of the rung before it"
    )]
    NotIncreasing {
        /// The rung.
        index: usize,
        /// Its inverse temperature.
        nbeta: f64,
        /// That of the rung before.
        before: f64,
    },
    /// Chains that go through all rungs are the same number at each.
    #[error("rung {index} has {got} chains; expected {expected}, as the first has")]
    Chains {
        /// The rung.
        index: usize,
        /// Chains of the first rung.
        expected: usize,
        /// Its own.
        got: usize,
    },
    /// Chains are too few for a spread, or not finite.
    #[error(transparent)]
    Estimate(#[from] EstimateError),
}

/// `-log Z(s_last) + log Z(s_first)` from independent chains at increasing inverse temperatures.
///
/// # Errors
/// [`LadderError`] unless there are two rungs or more, in increasing order.
pub fn free_energy_difference(rungs: &[Rung]) -> Result<FreeEnergyDifference, LadderError> {
    check(rungs)?;
    let all: Vec<usize> = (0..rungs.len()).collect();
    let value = integral(rungs, &all);
    let discretisation = if rungs.len() < 3 {
        f64::INFINITY
    } else {
        // every second rung, and the last
        let coarse: Vec<usize> = all
            .iter()
            .copied()
            .filter(|i| i % 2 == 0 || i + 1 == rungs.len())
            .collect();
        (integral(rungs, &coarse) - value).abs()
    };
    // the weights of each rung's mean and of its slope, mean - variance
    let log = |i: usize| rungs[i].nbeta.ln();
    let mut variance = 0.0;
    for (i, rung) in rungs.iter().enumerate() {
        let left = if i > 0 { log(i) - log(i - 1) } else { 0.0 };
        let right = if i + 1 < rungs.len() {
            log(i + 1) - log(i)
        } else {
            0.0
        };
        let slope = (right * right - left * left) / 12.0;
        let mean = 0.5 * (left + right) + slope;
        // mean and variance of one chain are not independent: the bound of their sum
        variance += (mean.abs() * rung.mean.mcse + slope.abs() * rung.variance.mcse).powi(2);
    }
    Ok(FreeEnergyDifference {
        value,
        mcse: variance.sqrt(),
        discretisation,
    })
}

/// `-log Z(s_k) + log Z(s_0)` at every rung, the first included, where chain c of one rung is chain c of all: populations that are
/// cooled, say. Each chain has an integral of its own, and their spread is the error, whatever neighbouring rungs of one chain
/// have in common.
///
/// # Errors
/// Those of [`free_energy_difference`]; [`LadderError::Chains`] where chains differ in number, [`LadderError::Estimate`] below two of them.
pub fn free_energy_curve(rungs: &[Rung]) -> Result<Vec<Estimate>, LadderError> {
    check(rungs)?;
    let chains = |rung: &Rung| rung.mean.per_chain.len().min(rung.variance.per_chain.len());
    let expected = chains(&rungs[0]);
    if let Some(index) = rungs.iter().position(|rung| chains(rung) != expected) {
        let got = chains(&rungs[index]);
        return Err(LadderError::Chains {
            index,
            expected,
            got,
        });
    }
    let of_chain =
        |c: usize| move |rung: &Rung| [rung.mean.per_chain[c], rung.variance.per_chain[c]];
    let mut values = vec![0.0; expected];
    let mut curve = vec![Estimate::from_replicates(&values)?];
    for pair in rungs.windows(2) {
        for (c, value) in values.iter_mut().enumerate() {
            *value += interval(&pair[0], &pair[1], of_chain(c));
        }
        curve.push(Estimate::from_replicates(&values)?);
    }
    Ok(curve)
}

fn check(rungs: &[Rung]) -> Result<(), LadderError> {
    if rungs.len() < 2 {
        return Err(LadderError::TooFew(rungs.len()));
    }
    for (i, pair) in rungs.windows(2).enumerate() {
        let (before, nbeta) = (pair[0].nbeta, pair[1].nbeta);
        if !(before < nbeta) {
            return Err(LadderError::NotIncreasing {
                index: i + 1,
                nbeta,
                before,
            });
        }
    }
    Ok(())
}

fn integral(rungs: &[Rung], picked: &[usize]) -> f64 {
    let of_all = |rung: &Rung| [rung.mean.mean, rung.variance.mean];
    let pairs = picked.windows(2);
    pairs
        .map(|pair| interval(&rungs[pair[0]], &rungs[pair[1]], of_all))
        .sum()
}

/// The integral between two rungs, from mean and variance at each.
fn interval(a: &Rung, b: &Rung, of: impl Fn(&Rung) -> [f64; 2]) -> f64 {
    let h = (b.nbeta / a.nbeta).ln();
    let ([left, left_variance], [right, right_variance]) = (of(a), of(b));
    let bend = (left - left_variance) - (right - right_variance);
    0.5 * h * (left + right) + h * h * bend / 12.0
}

/// WBIC, `n E[L]` at `nβ = n/ln n` (Watanabe 2013, JMLR 14, definition 1), from losses of shape `[n_chains, n_draws]`: the free
/// energy up to `O(√log n)`. Units: nats.
///
/// # Errors
/// [`DrawsError`] where draws are too few or not finite.
pub fn wbic(losses: ArrayView2<f64>, n_samples: usize) -> Result<Summary, DrawsError> {
    Summary::new(losses.mapv(|l| l * n_samples as f64).view())
}

/// Rungs from one ensemble in which `n_chains` neighbouring rows share an inverse temperature.
///
/// Shapes: `losses`: `[n_rungs * n_chains, n_draws]`; `nbetas`: `[n_rungs]`.
///
/// # Errors
/// [`DrawsError`] where draws are too few or not finite.
///
/// # Panics
/// If the rows are not a multiple of the inverse temperatures.
pub fn rungs(
    losses: ArrayView2<f64>,
    initial_loss: f64,
    nbetas: &[f64],
) -> Result<Vec<Rung>, DrawsError> {
    assert!(
        !nbetas.is_empty() && losses.nrows().is_multiple_of(nbetas.len()),
        "{} rows for {} inverse temperatures",
        losses.nrows(),
        nbetas.len()
    );
    let n_chains = losses.nrows() / nbetas.len();
    let groups = losses.axis_chunks_iter(Axis(0), n_chains);
    groups
        .zip(nbetas)
        .map(|(losses, &nbeta)| Rung::new(losses, initial_loss, nbeta))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// A rung of a quadratic, `d` directions with `h = 1`, at its exact values; the errors are given.
    fn exact(nbeta: f64, gamma: f64, d: f64, mcse: f64) -> Rung {
        let share = nbeta / (nbeta + gamma);
        let summary = |mean| Summary {
            mean,
            mcse,
            mcse_chains: None,
            mcse_ess: mcse,
            ess: 1.0,
            r_hat: 1.0,
            per_chain: vec![mean],
        };
        Rung {
            nbeta,
            mean: summary(0.5 * d * share),
            variance: summary(0.5 * d * share * share),
        }
    }

    /// `-log Z = d/2 log(s + γ)` up to a constant.
    #[test]
    fn a_quadratic_has_its_free_energy() {
        let ladder = |n: usize| -> Vec<Rung> {
            let at = |i: usize| 1e-2 * 1e6f64.powf(i as f64 / (n - 1) as f64);
            (0..n).map(|i| exact(at(i), 2.0, 3.0, 1e-3)).collect()
        };
        let truth = 1.5 * ((1e4f64 + 2.0) / 2.01).ln();
        let mut before = f64::INFINITY;
        for n in [17, 33, 65] {
            let f = free_energy_difference(&ladder(n)).expect("a ladder");
            let error = (f.value - truth).abs();
            assert!(
                error < f.discretisation && error < before / 12.0,
                "{n}: {error} {f:?}"
            );
            before = error;
            assert!(f.mcse > 0.0 && f.mcse < 1e-3 * 14.0);
        }
    }

    /// Two rungs one unit of log s apart: the value by hand, and the error the root of both ends'.
    #[test]
    fn two_rungs_by_hand() {
        let e = std::f64::consts::E;
        let pair = [exact(1.0, 1.0, 2.0, 0.1), exact(e, 1.0, 2.0, 0.1)];
        let f = free_energy_difference(&pair).expect("a ladder");
        let (p, q) = (0.5, e / (e + 1.0));
        let by_hand = 0.5 * (p + q) + ((p - p * p) - (q - q * q)) / 12.0;
        approx::assert_relative_eq!(f.value, by_hand, max_relative = 1e-14);
        // |1/2 ± 1/12| + 1/12 of 0.1 each
        let ends = (7.0 / 12.0 + 1.0 / 12.0, 5.0 / 12.0 + 1.0 / 12.0);
        approx::assert_relative_eq!(
            f.mcse,
            0.1 * f64::hypot(ends.0, ends.1),
            max_relative = 1e-14
        );
        assert_eq!(f.discretisation, f64::INFINITY);
    }

    /// Two chains that are off by a share to either side, at all rungs: so is the integral, whatever the number of rungs.
    #[test]
    fn a_curve_has_the_spread_of_its_chains() {
        let ladder: Vec<Rung> = (0..33)
            .map(|i| {
                let mut rung = exact(1e-2 * 1e6f64.powf(f64::from(i) / 32.0), 2.0, 3.0, 1e-3);
                for summary in [&mut rung.mean, &mut rung.variance] {
                    summary.per_chain = vec![0.9 * summary.mean, 1.1 * summary.mean];
                }
                rung
            })
            .collect();
        let curve = free_energy_curve(&ladder).expect("a ladder");
        assert_eq!((curve.len(), curve[0].mean, curve[0].mcse), (33, 0.0, 0.0));
        let last = curve[32];
        let whole = free_energy_difference(&ladder).expect("a ladder").value;
        approx::assert_relative_eq!(last.mean, whole, max_relative = 1e-13);
        // s/√2 of 0.9 and 1.1 times the whole
        approx::assert_relative_eq!(last.mcse, 0.1 * whole, max_relative = 1e-12);

        let mut uneven = ladder;
        uneven[3].mean.per_chain.pop();
        let error = free_energy_curve(&uneven).expect_err("refused");
        assert!(
            error
                .to_string()
                .starts_with("rung 3 has 1 chains; expected 2")
        );
    }

    #[test]
    fn impossible_ladders_are_refused() {
        assert_eq!(free_energy_difference(&[]), Err(LadderError::TooFew(0)));
        let rung = exact(1.0, 1.0, 1.0, 0.1);
        let error = free_energy_difference(&[rung.clone(), rung]).expect_err("refused");
        assert!(
            error
                .to_string()
                .contains("nbeta of rung 1 is 1; expected more than 1")
        );
    }

    #[test]
    fn rungs_are_groups_of_rows() {
        let losses = Array2::from_shape_fn((4, 24), |(i, j)| 1.0 + i as f64 + (j % 4) as f64);
        let both = rungs(losses.view(), 1.0, &[2.0, 8.0]).expect("draws");
        assert_eq!((both[0].nbeta, both[0].mean.mean), (2.0, 4.0));
        assert_eq!((both[1].nbeta, both[1].mean.mean), (8.0, 32.0));
        // variance of 0..4 and 1..5: 1.25 + 0.25, times s², over 47 degrees of 48
        approx::assert_relative_eq!(
            both[0].variance.mean,
            6.0 * 48.0 / 47.0,
            max_relative = 1e-13
        );
        let wbic = wbic(losses.view(), 10).expect("draws");
        assert_eq!(wbic.mean, 40.0);
    }
}
