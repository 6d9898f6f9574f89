//! The volume law of a normal crossing: `V(ε)`, the prior probability of `K <= ε`.
//!
//! For `K = ∏ w_i^(2k_i)` on the unit box with prior density `∏ (h_i + 1) w_i^(h_i)` each `−log w_i^(2k_i)` is exponential with the
//! rate `ρ_i = (h_i + 1)/(2k_i)`, so with `u = log 1/ε`
//! ```text
//! V(ε) = P(E_1 + … + E_d >= u),   V(ε) ~ c ε^λ (log 1/ε)^(m−1),   c = λ^(m−1)/(m − 1)! ∏_{ρ_i ≠ λ} ρ_i/(ρ_i − λ),
//! ```
//! with `λ = min ρ_i` and m its multiplicity (Watanabe 2009, ch. 4, for the law; the constant derived here by partial
//! fractions of the Laplace transform `∏ ρ_i/(ρ_i + z)` at its pole `−λ`). A box symmetric about 0 gives the same, signs dropping out.
//!
//! The exact V is a mixture of Erlang tails, whose coefficients cancel badly when rates are close. The code uses instead that `E_1 + … +
//! E_d` is the time a Markov chain takes through d states: `V = e^(−λu) Σ_j [exp((Q + λ)u)]_{1j}`, with
//! `−(ρ_i − λ)` on the diagonal of `Q + λ` and `ρ_i` beside it. The exponential of the short time `u/2^s` is a Taylor series, squared s times.
//! With the diagonal taken out, and set to its known value after each squaring, all terms are positive: nothing cancels,
//! whether rates are far apart, close, or equal.

use crate::{LearningCoefficient, NormalCrossing};

/// The law of the volume `V(ε)` of a normal crossing on the unit box.
///
/// ```
/// use slt_theory::{NormalCrossing, VolumeLaw};
///
/// // K = x²y²: V = √ε (1 + ½ log 1/ε). The exponent seen at ε = 1e-8 is not yet λ = ½.
/// let law = VolumeLaw::new(&NormalCrossing::with_positive_prior(&[1, 1])?);
/// assert!((law.volume(1e-8) / 1.0210340371976183e-3 - 1.0).abs() < 1e-13);
/// assert!((law.local_exponent(1e8_f64.ln()) - 0.4510).abs() < 1e-4);
/// # Ok::<(), slt_theory::NormalCrossingError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeLaw {
    learning_coefficient: LearningCoefficient,
    /// Ascending, so that the first is λ.
    rates: Vec<f64>,
    /// `ρ_i − λ`, rounded once.
    gaps: Vec<f64>,
}

impl VolumeLaw {
    /// The law of the volume of `crossing`, its prior normalised on the unit box.
    pub fn new(crossing: &NormalCrossing) -> Self {
        let learning_coefficient = crossing.learning_coefficient();
        let mut rates: Vec<_> = crossing.rates().collect();
        rates.sort_unstable();
        let float = |x: num_rational::Rational64| *x.numer() as f64 / *x.denom() as f64;
        let lambda = learning_coefficient.lambda();
        Self {
            learning_coefficient,
            gaps: rates.iter().map(|&rate| float(rate - lambda)).collect(),
            rates: rates.into_iter().map(float).collect(),
        }
    }

    /// The pair (λ, m) of the crossing.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        self.learning_coefficient
    }

    /// `c = lim V(ε)/(ε^λ (log 1/ε)^(m−1))`.
    ///
    /// Accuracy: relative 1e-14.   Derived here; see the module.
    pub fn constant(&self) -> f64 {
        let lambda = self.learning_coefficient.lambda_f64();
        let log_power: f64 = (1..self.learning_coefficient.multiplicity())
            .map(|j| lambda / f64::from(j))
            .product();
        let others = self.rates.iter().zip(&self.gaps);
        let residue: f64 = others
            .filter(|&(_, &gap)| gap > 0.0)
            .map(|(rate, gap)| rate / gap)
            .product();
        log_power * residue
    }

    /// `V(ε)`, the prior probability of `K <= ε`; 1 for `ε >= 1`.
    ///
    /// Accuracy: relative 1e-12.   Derived here; see the module.
    ///
    /// # Panics
    /// Unless `0 < epsilon`.
    pub fn volume(&self, epsilon: f64) -> f64 {
        assert!(0.0 < epsilon, "ε is positive, got {epsilon}");
        self.log_volume((-epsilon.ln()).max(0.0)).exp()
    }

    /// `log V(ε)` at `log_inverse = log 1/ε`: for ε below the range of the floating point numbers too.
    ///
    /// Accuracy: absolute `1e-12 + 1e-16 |log V|`, while `(λ log 1/ε)^(m−1) < 1e300`.   Derived here; see the module.
    ///
    /// # Panics
    /// Unless `0 <= log_inverse <= 1e290`.
    pub fn log_volume(&self, log_inverse: f64) -> f64 {
        let occupied: f64 = self.occupation(log_inverse).iter().sum();
        occupied.ln() - self.learning_coefficient.lambda_f64() * log_inverse
    }

    /// The local exponent `d log V / d log ε` at `log_inverse = log 1/ε`, which tends to λ as `λ − (m − 1)/log 1/ε`.
    ///
    /// It is the hazard of the last state: its rate times the share of V in it.
    ///
    /// Accuracy: relative 1e-12.   Derived here; see the module.
    ///
    /// # Panics
    /// Unless `0 <= log_inverse <= 1e290`.
    pub fn local_exponent(&self, log_inverse: f64) -> f64 {
        let occupation = self.occupation(log_inverse);
        let last = occupation.len() - 1;
        let occupied: f64 = occupation.iter().sum();
        self.rates[last] * occupation[last] / occupied
    }

    /// The first row of `exp((Q + λ)u)`: the probabilities of the d states at time u, times `e^(λu)`.
    fn occupation(&self, time: f64) -> Vec<f64> {
        assert!(
            (0.0..=1e290).contains(&time),
            "log 1/ε is 0 to 1e290, got {time}"
        );
        let d = self.rates.len();
        let fastest = self.rates[d - 1];
        let n_squarings = (fastest * time).log2().ceil().max(0.0) as i32;
        let mut step = time * 0.5_f64.powi(n_squarings);
        let mut matrix = self.short_time(step);
        for _ in 0..n_squarings {
            let mut square = vec![vec![0.0; d]; d];
            step *= 2.0;
            for i in 0..d {
                square[i][i] = (-self.gaps[i] * step).exp();
                for j in i + 1..d {
                    square[i][j] = (i..=j).map(|k| matrix[i][k] * matrix[k][j]).sum();
                }
            }
            matrix = square;
        }
        matrix.swap_remove(0)
    }

    /// `exp((Q + λ)t)` for `ρ_d t <= 1`: with `g = ρ_d − λ`, `e^(−gt)` times the series of the positive matrix `(Q + λ + g)t`.
    fn short_time(&self, time: f64) -> Vec<Vec<f64>> {
        let d = self.rates.len();
        let widest = self.gaps[d - 1];
        let mut term: Vec<Vec<f64>> = vec![vec![0.0; d]; d];
        (0..d).for_each(|i| term[i][i] = 1.0);
        let mut sum = term.clone();
        // Entry (i, j) begins at power j − i; 25 powers on, terms are below 2^25/25! = 2e-18 of it.
        for power in 1..=d + 25 {
            let scale = time / power as f64;
            for row in &mut term {
                for j in (0..d).rev() {
                    let from_left = if j == 0 {
                        0.0
                    } else {
                        row[j - 1] * self.rates[j - 1]
                    };
                    row[j] = (row[j] * (widest - self.gaps[j]) + from_left) * scale;
                }
            }
            for (total, row) in sum.iter_mut().flatten().zip(term.iter().flatten()) {
                *total += row;
            }
        }
        let shrink = (-widest * time).exp();
        sum.iter_mut().flatten().for_each(|x| *x *= shrink);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    fn law(k: &[u32], h: &[u32]) -> VolumeLaw {
        VolumeLaw::new(&NormalCrossing::new(k, h).unwrap())
    }

    /// `ε^λ Σ_{j<m} (λu)^j/j!`: m equal rates.
    fn erlang(rate: f64, m: u32, u: f64) -> f64 {
        let (mut term, mut sum) = (1.0, 1.0);
        for j in 1..m {
            term *= rate * u / f64::from(j);
            sum += term;
        }
        sum * (-rate * u).exp()
    }

    #[test]
    fn equal_rates_are_erlang() {
        for m in 1..=8 {
            let law = law(&vec![1; m], &vec![0; m]);
            for u in [0.0, 0.1, 3.0, 8.0_f64.ln() * 8.0, 100.0, 600.0] {
                let expected = erlang(0.5, m as u32, u);
                assert_relative_eq!(law.log_volume(u).exp(), expected, max_relative = 1e-12);
            }
        }
    }

    /// `Σ_i e^(−ρ_i u) ∏_{j ≠ i} ρ_j/(ρ_j − ρ_i)`, for rates that are well apart.
    #[test]
    fn distant_rates_are_partial_fractions() {
        let law = law(&[1, 2, 1, 3], &[0, 0, 3, 0]);
        let rates = [0.5_f64, 0.25, 2.0, 1.0 / 6.0];
        for u in [0.5_f64, 2.0, 10.0, 50.0] {
            let mut expected = 0.0;
            let mut density = 0.0;
            for (i, r) in rates.iter().enumerate() {
                let others = rates.iter().enumerate().filter(|&(j, _)| j != i);
                let coefficient: f64 = others.map(|(_, s)| s / (s - r)).product();
                expected += coefficient * (-r * u).exp();
                density += r * coefficient * (-r * u).exp();
            }
            assert_relative_eq!(law.log_volume(u).exp(), expected, max_relative = 1e-11);
            assert_relative_eq!(
                law.local_exponent(u),
                density / expected,
                max_relative = 1e-10
            );
        }
    }

    #[test]
    fn worked_values() {
        let crossing = law(&[1, 1], &[0, 0]);
        assert_eq!(crossing.learning_coefficient().multiplicity(), 2);
        assert_relative_eq!(crossing.constant(), 0.5, max_relative = 1e-15);
        let u = 1e8_f64.ln();
        assert_relative_eq!(
            crossing.local_exponent(u),
            0.25 * u / (1.0 + 0.5 * u),
            max_relative = 1e-13
        );
        // Flat coordinates do not count; ε >= 1 is the whole box.
        assert_eq!(law(&[1, 0, 1], &[0, 3, 0]), crossing);
        assert_eq!(crossing.volume(1.0), 1.0);
        assert_eq!(crossing.volume(7.0), 1.0);
        assert_eq!(crossing.local_exponent(0.0), 0.0);
        // Rates 1/2, 1/4, 1/4: c = (1/4) (1/2)/(1/4).
        assert_relative_eq!(
            law(&[1, 2, 2], &[0, 0, 0]).constant(),
            0.5,
            max_relative = 1e-15
        );
        // Four equal rates 1: c = 1/3!; and a fifth, 3, with 3/(3 − 1).
        assert_relative_eq!(
            law(&[1; 5], &[1, 1, 1, 1, 5]).constant(),
            0.25,
            max_relative = 1e-15
        );
    }

    /// Rates 1 and 1 + δ: `V = e^(−u) (1 + (1 − e^(−δu))/δ)`, which partial fractions get wrong by 1e-16/δ.
    #[test]
    fn close_rates_keep_their_digits() {
        let n = 2_000_000_000_u32;
        let law = law(&[n / 2, n / 2], &[n - 1, n]);
        let delta = 1.0 / f64::from(n);
        for u in [1e-3, 1.0, 30.0, 1e5] {
            let bracket = 1.0 - (-delta * u).exp_m1() / delta;
            assert_relative_eq!(
                law.log_volume(u) + u,
                bracket.ln(),
                max_relative = 1e-12,
                epsilon = 1e-11
            );
        }
        // The constant is that of distinct rates, however close: (1 + δ)/δ.
        assert_relative_eq!(law.constant(), f64::from(n) + 1.0, max_relative = 1e-14);
    }

    #[test]
    fn rates_a_billion_apart() {
        let n = 1_000_000_000_u32;
        let law = law(&[n, 1], &[0, n - 1]);
        // The fast coordinate is 0 at once.
        let slow = 0.5 / f64::from(n);
        for u in [1.0, 1e9, 1e12, 1e290] {
            assert_relative_eq!(law.log_volume(u), -slow * u, max_relative = 1e-6);
            assert_relative_eq!(law.local_exponent(u), slow, max_relative = 1e-12);
        }
    }

    #[test]
    #[should_panic(expected = "ε is positive")]
    fn no_volume_below_zero() {
        law(&[1], &[0]).volume(f64::NAN);
    }

    #[test]
    #[should_panic(expected = "log 1/ε is 0 to 1e290")]
    fn no_negative_time() {
        law(&[1], &[0]).log_volume(-1.0);
    }

    /// `V_d(u) = e^(−ρ_d u) + ∫_0^u ρ_d e^(−ρ_d x) V_{d−1}(u − x) dx` by Simpson's rule on a grid of u.
    fn by_convolution(rates: &[f64], u: f64) -> f64 {
        let n = 400;
        let step = u / n as f64;
        let mut volume: Vec<f64> = vec![0.0; n + 1];
        for &rate in rates {
            let density = |i: usize| rate * (-rate * step * i as f64).exp();
            let convolve = |at: usize| -> f64 {
                let f = |i: usize| density(i) * volume[at - i];
                // Simpson's rule, with a 3/8 panel at the end where the number of intervals is odd.
                match at {
                    0 => 0.0,
                    1 => 0.5 * step * (f(0) + f(1)),
                    _ => {
                        let even = if at.is_multiple_of(2) { at } else { at - 3 };
                        let simpson: f64 = (0..even)
                            .step_by(2)
                            .map(|i| step / 3.0 * (f(i) + 4.0 * f(i + 1) + f(i + 2)))
                            .sum();
                        let rest = if at == even {
                            0.0
                        } else {
                            let [a, b, c, d] = [0, 1, 2, 3].map(|i| f(even + i));
                            0.375 * step * (a + 3.0 * (b + c) + d)
                        };
                        simpson + rest
                    }
                }
            };
            volume = (0..=n).map(|i| density(i) / rate + convolve(i)).collect();
        }
        volume[n]
    }

    fn crossing() -> impl Strategy<Value = (Vec<u32>, Vec<u32>)> {
        prop::collection::vec((1u32..5, 0u32..4), 1..5).prop_map(|kh| kh.into_iter().unzip())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn volume_is_a_convolution((k, h) in crossing(), u in 0.0..12.0f64) {
            let law = law(&k, &h);
            let expected = by_convolution(&law.rates, u);
            prop_assert!((law.log_volume(u).exp() / expected - 1.0).abs() < 1e-4, "{} {expected}", law.log_volume(u).exp());
        }

        /// The exponent is the derivative; the order of the coordinates is irrelevant.
        #[test]
        fn exponent_is_the_slope((mut k, mut h) in crossing(), u in 0.1..300.0f64) {
            let forward = law(&k, &h);
            let step = 1e-4 * u.min(1.0);
            let slope = (forward.log_volume(u - step) - forward.log_volume(u + step)) / (2.0 * step);
            prop_assert!((forward.local_exponent(u) - slope).abs() < 1e-6);
            k.reverse();
            h.reverse();
            prop_assert_eq!(forward, law(&k, &h));
        }

        /// `V ~ c ε^λ (log 1/ε)^(m−1)`, with the exponent's approach `λ − (m − 1)/u`.
        #[test]
        fn law_of_small_volumes((k, h) in crossing()) {
            let law = law(&k, &h);
            let pair = law.learning_coefficient();
            let powers = f64::from(pair.multiplicity() - 1);
            let ratio = |u: f64| {
                law.log_volume(u) + pair.lambda_f64() * u - powers * u.ln() - law.constant().ln()
            };
            // The relative correction is of order 1/u, and halves when u doubles; it vanishes for m = 1.
            let (near, far) = (ratio(1e5), ratio(2e5));
            prop_assert!(far.abs() < 1e-2 && (2.0 * far - near).abs() < 1e-5, "{near} {far}");
            let approach = pair.lambda_f64() - law.local_exponent(1e5) - powers / 1e5;
            prop_assert!(approach.abs() < 1e-7, "{approach}");
        }
    }
}
