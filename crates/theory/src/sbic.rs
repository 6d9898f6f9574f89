//! sBIC: the Bayesian information criterion of singular models.
//!
//! Model i contains the smaller models `j ≼ i`. If j is the smallest that holds the truth, then
//! `L'_ij = exp(l_i) n^(−λ_ij) (log n)^(m_ij − 1)` approximates the marginal likelihood of model i, with `l_i` its greatest log likelihood and
//! `(λ_ij, m_ij)` its learning coefficient where the truth is in j. Which j it is, is not known, and sBIC weighs them by their own
//! marginal likelihoods:
//! ```text
//! L_i = Σ_{j ≼ i} L'_ij p_j L_j / Σ_{j ≼ i} p_j L_j,   sBIC_i = log L_i.
//! ```
//! In order of inclusion only `L_i` is unknown, as the positive root of
//! `p_i L² + (Σ_{j ≺ i} p_j L_j − p_i L'_ii) L − Σ_{j ≺ i} L'_ij p_j L_j = 0`.
//! Source: Drton & Plummer (2017), *A Bayesian information criterion for singular models*, JRSS B 79, 323, section 3.
//!
//! All is done with logarithms, relative to the greatest log likelihood, and the root is taken in the form that
//! cancels nothing: likelihoods of `e^(−10^9)` do no harm.

use crate::LearningCoefficient;

/// A model, with what sBIC needs to know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct SbicModel {
    /// `l_i`, the greatest log likelihood, in nats (summed over samples).
    pub log_likelihood: f64,
    /// `p_i`, the prior probability of the model, or any multiple.
    pub prior_weight: f64,
    /// `(λ_ii, m_ii)`: where the truth is in no smaller model; for an identifiable model half its dimension, and 1.
    pub learning_coefficient: LearningCoefficient,
    /// The smaller models that it contains, all of them, not only the next smaller.
    pub submodels: Vec<Submodel>,
}

/// A model contained in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submodel {
    /// j, its place in the list of models.
    pub index: usize,
    /// `(λ_ij, m_ij)`: of the larger model, where the truth is a general one of this model.
    pub learning_coefficient: LearningCoefficient,
}

/// Why an sBIC was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SbicError {
    /// `log log n` does not exist.
    #[error("sBIC needs finite n > 1, got n = {n}")]
    SampleSize {
        /// The n given.
        n: f64,
    },
    /// A log likelihood is not finite.
    #[error("model {index} has the log likelihood {log_likelihood}, which is not finite")]
    LogLikelihood {
        /// i.
        index: usize,
        /// `l_i`.
        log_likelihood: f64,
    },
    /// A prior weight is not positive.
    #[error("model {index} needs a positive and finite prior weight, got {prior_weight}")]
    PriorWeight {
        /// i.
        index: usize,
        /// `p_i`.
        prior_weight: f64,
    },
    /// A model contains one that does not come before it, or one twice.
    #[error("model {index} lists {submodel}, but submodels come before their model, each once")]
    Order {
        /// i.
        index: usize,
        /// j.
        submodel: usize,
    },
}

/// `sBIC_i = log L_i` of each model, in nats, for `n` samples. Greater is better.
///
/// ```
/// use slt_theory::{ReducedRank, SbicModel, Submodel, sbic};
///
/// // Reduced-rank regression of 5 inputs and 3 outputs: ranks 0 and 1.
/// let pair = |hidden, rank| ReducedRank::new(5, 3, hidden, rank).map(|r| r.learning_coefficient());
/// let zero = SbicModel {
///     log_likelihood: -100.0,
///     prior_weight: 0.5,
///     learning_coefficient: slt_theory::LearningCoefficient::FLAT,
///     submodels: vec![],
/// };
/// let one = SbicModel {
///     log_likelihood: -92.0,
///     prior_weight: 0.5,
///     learning_coefficient: pair(1, 1)?,
///     submodels: vec![Submodel { index: 0, learning_coefficient: pair(1, 0)? }],
/// };
/// let scores = sbic(&[zero, one], 100.0)?;
/// // BIC sees seven parameters, and prefers rank 0 by 8.1 nats; sBIC sees that they hardly cost anything there.
/// assert_eq!(scores[0], -100.0);
/// assert!(scores[1] > -92.0 - 3.5 * 100.0_f64.ln() + 8.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`SbicError::SampleSize`] unless `1 < n < ∞`; [`SbicError::LogLikelihood`] and [`SbicError::PriorWeight`] when a model's numbers
/// are not finite, or a weight not positive; [`SbicError::Order`] when a submodel's index is not below its model's, or is listed twice.
pub fn sbic(models: &[SbicModel], n: f64) -> Result<Vec<f64>, SbicError> {
    check(models, n)?;
    let reference = models.iter().fold(f64::NEG_INFINITY, |most, model| {
        most.max(model.log_likelihood)
    });
    // log L_i, less the reference.
    let mut scores: Vec<f64> = Vec::with_capacity(models.len());
    for model in models {
        let penalised = |pair: LearningCoefficient| {
            let extra = f64::from(pair.multiplicity() - 1);
            (model.log_likelihood - reference) - pair.lambda_f64() * n.ln() + extra * n.ln().ln()
        };
        let log_prior = model.prior_weight.ln();
        let weighted = |j: usize| models[j].prior_weight.ln() + scores[j];
        let below = log_sum_exp(model.submodels.iter().map(|sub| weighted(sub.index)));
        let crossed = log_sum_exp(
            model
                .submodels
                .iter()
                .map(|sub| weighted(sub.index) + penalised(sub.learning_coefficient)),
        );
        // y = p_i L_i solves y² + (e^below − e^own) y = p_i e^crossed.
        let own = log_prior + penalised(model.learning_coefficient);
        let log_y = if model.submodels.is_empty() {
            own
        } else {
            log_positive_root(below, own, log_prior + crossed)
        };
        scores.push(log_y - log_prior);
    }
    Ok(scores.into_iter().map(|score| score + reference).collect())
}

fn check(models: &[SbicModel], n: f64) -> Result<(), SbicError> {
    if !(1.0 < n && n.is_finite()) {
        return Err(SbicError::SampleSize { n });
    }
    for (index, model) in models.iter().enumerate() {
        let (log_likelihood, prior_weight) = (model.log_likelihood, model.prior_weight);
        if !log_likelihood.is_finite() {
            return Err(SbicError::LogLikelihood {
                index,
                log_likelihood,
            });
        }
        if !(0.0 < prior_weight && prior_weight.is_finite()) {
            return Err(SbicError::PriorWeight {
                index,
                prior_weight,
            });
        }
        for (place, sub) in model.submodels.iter().enumerate() {
            let submodel = sub.index;
            let is_repeated = model.submodels[..place].iter().any(|s| s.index == submodel);
            if submodel >= index || is_repeated {
                return Err(SbicError::Order { index, submodel });
            }
        }
    }
    Ok(())
}

/// log of the positive root of `y² + (e^plus − e^minus) y − e^constant = 0`.
fn log_positive_root(plus: f64, minus: f64, constant: f64) -> f64 {
    // In units of e^scale no coefficient exceeds 1, and one is 1.
    let scale = plus.max(minus).max(0.5 * constant);
    let log_q = constant - 2.0 * scale;
    // e^plus − e^minus with the relative accuracy of plus − minus.
    let linear = (minus - scale).exp() * (plus - minus).min(0.0).exp_m1()
        - (plus - scale).exp() * (minus - plus).min(0.0).exp_m1();
    let root = (linear * linear + 4.0 * log_q.exp()).sqrt();
    scale
        + if linear < 0.0 {
            (0.5 * (root - linear)).ln()
        } else if linear > 0.0 {
            log_q - (0.5 * (root + linear)).ln()
        } else {
            0.5 * log_q
        }
}

fn log_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    most + terms.map(|x| (x - most).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regular;
    use approx::assert_relative_eq;
    use num_rational::Rational64;
    use proptest::prelude::*;

    fn pair(numer: i64, denom: i64, m: u32) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(numer, denom), m).unwrap()
    }

    /// A chain of nested models: `rows[i][j]` is the pair of model i where the truth is in j.
    fn chain(
        log_likelihoods: &[f64],
        weights: &[f64],
        rows: &[Vec<LearningCoefficient>],
    ) -> Vec<SbicModel> {
        (0..rows.len())
            .map(|i| SbicModel {
                log_likelihood: log_likelihoods[i],
                prior_weight: weights[i],
                learning_coefficient: rows[i][i],
                submodels: (0..i)
                    .map(|index| Submodel {
                        index,
                        learning_coefficient: rows[i][index],
                    })
                    .collect(),
            })
            .collect()
    }

    /// `L'_21 = n²` with `L_1 = L'_22 = 1` gives `L_2² = n²`; a multiplicity brings `√log n`.
    #[test]
    fn worked_values() {
        for n in [10.0_f64, 1e3, 1e9] {
            let log_n = n.ln();
            for (m, extra) in [(1, 0.0), (2, 0.5 * log_n.ln())] {
                let rows = [vec![pair(1, 1, 1)], vec![pair(3, 2, m), pair(7, 2, 1)]];
                let models = chain(&[log_n, 3.5 * log_n], &[0.3, 0.3], &rows);
                let scores = sbic(&models, n).unwrap();
                assert_relative_eq!(scores[0], 0.0, epsilon = 1e-13);
                assert_relative_eq!(scores[1], log_n + extra, max_relative = 1e-14);
            }
        }
        // L_1 = 1, p = (1, 1/2), L'_22 = 1, L'_21 = 3: L²/2 + L/2 − 3 = 0, L = 2.
        let log_3 = 3.0_f64.ln();
        let rows = [vec![regular(0)], vec![pair(1, 2, 1), pair(3, 2, 1)]];
        let scores = sbic(&chain(&[0.0, 1.5 * log_3], &[1.0, 0.5], &rows), 3.0).unwrap();
        assert_relative_eq!(scores[1], 2.0_f64.ln(), max_relative = 1e-14);
        // p = (1/2, 1): L² − L/2 − 3/2 = 0, L = 3/2.
        let scores = sbic(&chain(&[0.0, 1.5 * log_3], &[0.5, 1.0], &rows), 3.0).unwrap();
        assert_relative_eq!(scores[1], 1.5_f64.ln(), max_relative = 1e-14);
        assert_eq!(sbic(&[], 3.0), Ok(vec![]));
    }

    /// Two minimal models and one that contains both: `L_3 (L_1 + L_2 + L_3) = L'_31 L_1 + L'_32 L_2 + L'_33 L_3`.
    #[test]
    fn models_need_not_be_nested_in_each_other() {
        let sub = |index, learning_coefficient| Submodel {
            index,
            learning_coefficient,
        };
        let model = |log_likelihood, learning_coefficient, submodels| SbicModel {
            log_likelihood,
            prior_weight: 1.0,
            learning_coefficient,
            submodels,
        };
        let models = [
            model(-3.0, regular(1), vec![]),
            model(-2.0, regular(1), vec![]),
            model(
                0.0,
                regular(4),
                vec![sub(0, pair(1, 1, 2)), sub(1, pair(3, 2, 1))],
            ),
        ];
        let n = 50.0_f64;
        let likelihoods: Vec<f64> = sbic(&models, n).unwrap().iter().map(|x| x.exp()).collect();
        let [first, second, third] = likelihoods[..] else {
            panic!("three models")
        };
        assert_relative_eq!(first, (-3.0_f64).exp() * n.powf(-0.5), max_relative = 1e-13);
        assert_relative_eq!(
            second,
            (-2.0_f64).exp() * n.powf(-0.5),
            max_relative = 1e-13
        );
        let right = n.ln() / n * first + n.powf(-1.5) * second + n.powi(-2) * third;
        assert_relative_eq!(
            third * (first + second + third),
            right,
            max_relative = 1e-13
        );
    }

    #[test]
    fn roots_in_every_regime() {
        // (y − e^a)(y + e^b) = y² + (e^b − e^a) y − e^(a + b): the positive root is e^a.
        for a in [-1e9, -700.0, -1.0, 0.0, 0.5, 40.0, 1e6] {
            for b in [-1e9, -700.0, -1.0, 0.0, 0.5, 40.0, 1e6] {
                let log_y = log_positive_root(b, a, a + b);
                assert_relative_eq!(log_y, a, max_relative = 1e-14, epsilon = 1e-14);
            }
        }
        // Equal terms beside a constant that underflows.
        assert_eq!(log_positive_root(0.0, 0.0, -2000.0), -1000.0);
    }

    #[test]
    fn impossible_input_is_refused() {
        let rows = [vec![regular(1)], vec![regular(1), regular(2)]];
        let valid = chain(&[0.0, 1.0], &[1.0, 1.0], &rows);
        for n in [1.0, -3.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(sbic(&valid, n), Err(SbicError::SampleSize { .. })));
        }
        let changed = |change: &dyn Fn(&mut SbicModel)| {
            let mut models = valid.clone();
            change(&mut models[1]);
            sbic(&models, 10.0)
        };
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                changed(&|model| model.prior_weight = weight),
                Err(SbicError::PriorWeight { index: 1, .. })
            ));
        }
        for log_likelihood in [f64::NAN, f64::NEG_INFINITY] {
            assert!(matches!(
                changed(&|model| model.log_likelihood = log_likelihood),
                Err(SbicError::LogLikelihood { index: 1, .. })
            ));
        }
        let order = |submodel| Err(SbicError::Order { index: 1, submodel });
        assert_eq!(changed(&|model| model.submodels[0].index = 1), order(1));
        assert_eq!(changed(&|model| model.submodels[0].index = 7), order(7));
        let twice = |model: &mut SbicModel| model.submodels.push(model.submodels[0]);
        assert_eq!(changed(&twice), order(0));
    }

    /// A chain of up to 5 models with λ that falls with the truth, `(rows, log likelihoods, weights)`.
    fn nested() -> impl Strategy<Value = (Vec<Vec<LearningCoefficient>>, Vec<f64>, Vec<f64>)> {
        (1usize..6).prop_flat_map(|size| {
            let row = prop::collection::vec((1i64..12, 1u32..4), size);
            let rows = prop::collection::vec(row, size).prop_map(|rows| {
                let pairs = |row: Vec<(i64, u32)>| row.into_iter().map(|(x, m)| pair(x, 4, m));
                rows.into_iter().map(|row| pairs(row).collect()).collect()
            });
            let log_likelihoods = prop::collection::vec(-10.0..10.0f64, size);
            (
                rows,
                log_likelihoods,
                prop::collection::vec(0.05..1.0f64, size),
            )
        })
    }

    proptest! {
        /// The fixed-point equation, iterated from the largest `L'_ij` down in plain numbers.
        #[test]
        fn fixed_point_iteration((rows, log_likelihoods, weights) in nested(), log_n in 1.0..7.0f64) {
            let scores = sbic(&chain(&log_likelihoods, &weights, &rows), log_n.exp()).unwrap();
            let mut likelihoods: Vec<f64> = Vec::new();
            for (i, row) in rows.iter().enumerate() {
                let approximation = |j: usize| {
                    let power = log_n.powi(row[j].multiplicity() as i32 - 1);
                    (log_likelihoods[i] - row[j].lambda_f64() * log_n).exp() * power
                };
                let mut value = (0..=i).map(approximation).fold(0.0, f64::max);
                for _ in 0..200_000 {
                    likelihoods.truncate(i);
                    likelihoods.push(value);
                    let weight = |j: &usize| weights[*j] * likelihoods[*j];
                    let total: f64 = (0..=i).map(|j| weight(&j)).sum();
                    let next = (0..=i).map(|j| approximation(j) * weight(&j)).sum::<f64>() / total;
                    let moved = (next / value - 1.0).abs();
                    value = next;
                    if moved < 1e-15 {
                        break;
                    }
                }
                likelihoods.truncate(i);
                likelihoods.push(value);
                prop_assert!((scores[i] - value.ln()).abs() < 1e-8, "{} {}", scores[i], value.ln());
            }
        }

        /// Regular models: `λ_ij = d_i/2` whatever the truth, and sBIC is BIC.
        #[test]
        fn regular_models_give_bic(dimensions in prop::collection::vec(0u32..30, 1..6), seed in prop::collection::vec((-1e9..0.0f64, 0.01..1.0f64), 6), log_n in 1.0..21.0f64) {
            let rows: Vec<_> = (0..dimensions.len()).map(|i| vec![regular(dimensions[i]); i + 1]).collect();
            let (log_likelihoods, weights): (Vec<f64>, Vec<f64>) = seed.into_iter().unzip();
            let scores = sbic(&chain(&log_likelihoods, &weights, &rows), log_n.exp()).unwrap();
            for (i, score) in scores.iter().enumerate() {
                let bic = log_likelihoods[i] - 0.5 * f64::from(dimensions[i]) * log_n;
                prop_assert!((score / bic - 1.0).abs() < 1e-12, "{score} {bic}");
            }
        }

        /// Between the least and the greatest `log L'_ij`; weights count up to a factor; n = 10⁹ with large likelihoods is finite.
        #[test]
        fn bounded_and_homogeneous((rows, log_likelihoods, weights) in nested(), shift in -1e3..1e3f64, factor in 1e-3..1e3f64) {
            let n = 1e9_f64;
            let scores = sbic(&chain(&log_likelihoods, &weights, &rows), n).unwrap();
            for (i, score) in scores.iter().enumerate() {
                let approximations = rows[i][..=i].iter().map(|pair| {
                    let extra = f64::from(pair.multiplicity() - 1);
                    log_likelihoods[i] - pair.lambda_f64() * n.ln() + extra * n.ln().ln()
                });
                let least = approximations.clone().fold(f64::INFINITY, f64::min);
                let most = approximations.fold(f64::NEG_INFINITY, f64::max);
                prop_assert!(least - 1e-9 <= *score && *score <= most + 1e-9);
            }
            let shifted: Vec<f64> = log_likelihoods.iter().map(|l| l + shift).collect();
            let scaled: Vec<f64> = weights.iter().map(|p| p * factor).collect();
            let moved = sbic(&chain(&shifted, &scaled, &rows), n).unwrap();
            for (score, moved) in scores.iter().zip(&moved) {
                prop_assert!((score + shift - moved).abs() < 1e-6);
            }
            // where the two terms of the quadratic's middle coefficient cancel, the rounding of a larger shift would be magnified
            let far: Vec<f64> = log_likelihoods.iter().map(|l| l + 1e6 * shift).collect();
            let far = sbic(&chain(&far, &weights, &rows), n).unwrap();
            prop_assert!(far.iter().all(|score| score.is_finite()));
        }
    }
}
