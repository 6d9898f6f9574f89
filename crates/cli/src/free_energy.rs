//! `slt free-energy`: asymptotics of free energies and errors.

use num_rational::Rational64;
use serde_json::{Value, json};
use slt_theory::{
    Generalisation, LearningCoefficient, NormalCrossing, Phase, SbicModel, Submodel, VolumeLaw,
    Wbic, crossings, phase_diagram, power_fluctuation, sbic, winning_phase,
};

use crate::arguments::Arguments;
use crate::entry::Kind::{Rational, RationalRows, Rationals, Real, Reals, Rows, Whole, Wholes};
use crate::entry::{COUNT, Entry, Evaluate::Numbers, POSITIVE, Parameter, Topic};

/// The quantities.
pub static TOPIC: Topic = Topic {
    name: "free-energy",
    key: "quantity",
    summary: "Free energies, phases and errors that a learning coefficient gives",
    groups: &[QUANTITIES],
};

/// The most phases or models that are compared with each other.
const MAX_COMPARED: usize = 200;
/// The most variables of a normal crossing.
const MAX_VARIABLES: usize = 200;

const LOSSES: Parameter = Parameter::new(
    "losses",
    Reals,
    "the loss L of each phase, in nats per sample",
);
const LAMBDAS: Parameter =
    Parameter::new("lambdas", Rationals, "the learning coefficient λ of each");
const MULTIPLICITIES: Parameter = Parameter::new(
    "multiplicities",
    Wholes(POSITIVE),
    "the multiplicity m of each",
)
.or("1 for each");
const CONSTANTS: Parameter =
    Parameter::new("constants", Reals, "the constant c of each, in nats").or("0 for each");
const PHASES: &[Parameter] = &[LOSSES, LAMBDAS, MULTIPLICITIES, CONSTANTS];
const PHASES_AT_N: &[Parameter] = &[LOSSES, LAMBDAS, MULTIPLICITIES, CONSTANTS, N];

const LAMBDA: Parameter = Parameter::new("lambda", Rational, "the learning coefficient λ");
const N: Parameter = Parameter::new("n", Real, "samples, more than 1");

const QUANTITIES: &[Entry] = &[
    Entry {
        name: "phases",
        summary: "Phases that compete: which has the least free energy at n samples, and where that changes",
        parameters: PHASES_AT_N,
        formula: "F = nL + λ log n - (m - 1) log log n + c",
        conditions: "n so large that o(1) does not matter; phases count from 0; winners_from: from which n on which phase wins, for e < n < 1e304",
        source: "Watanabe (2009), Algebraic Geometry and Statistical Learning Theory, Main Theorem 6.2",
        example: r#"{"quantity": "phases", "losses": [0.01, 0], "lambdas": ["1/2", 2], "n": 1000}"#,
        evaluate: Numbers(|a| {
            let n: f64 = a.get("n");
            let phases = phases(a)?;
            let winner = winning_phase(&phases, n)?;
            let free_energies: Result<Vec<_>, _> =
                phases.iter().map(|p| p.free_energy(n)).collect();
            let diagram = phase_diagram(&phases)?;
            Ok(vec![
                ("winner", Value::from(winner)),
                ("free_energies", Value::from(free_energies?)),
                (
                    "winners_from",
                    diagram
                        .into_iter()
                        .map(|(n, phase)| json!([n, phase]))
                        .collect(),
                ),
            ])
        }),
    },
    Entry {
        name: "critical_n",
        summary: "The sample sizes at which the free energies of two phases cross",
        parameters: PHASES,
        formula: "nL₁ + λ₁ log n - (m₁ - 1) log log n + c₁ = nL₂ + λ₂ log n - (m₂ - 1) log log n + c₂",
        conditions: "e < n < 1e304; at most three, beyond the last of which the order is final",
        source: "derived in slt-theory, crossings",
        example: r#"{"quantity": "critical_n", "losses": [0.01, 0], "lambdas": [0, 1]}"#,
        evaluate: Numbers(|a| {
            let phases = phases(a)?;
            let [first, second] = &phases[..] else {
                anyhow::bail!("\"losses\" must be 2 long; got {}", phases.len());
            };
            Ok(vec![("critical_n", Value::from(crossings(first, second)))])
        }),
    },
    Entry {
        name: "errors",
        summary: "Expected errors of Bayesian learning, from λ and the singular fluctuation ν",
        parameters: &[
            LAMBDA,
            Parameter::new(
                "nu",
                Real,
                "the singular fluctuation ν; d/2 for a regular model, at any β",
            ),
            Parameter::new(
                "beta",
                Real,
                "inverse temperature β of the posterior; positive",
            )
            .or("1"),
            N,
        ],
        formula: "n times the Bayes generalisation error: (λ - ν)/β + ν, training: (λ - ν)/β - ν; Gibbs: λ/β + ν, λ/β - ν; functional variance V: 2ν/β; WAIC: training + βV",
        conditions: "to first order in 1/n; errors less the loss of the best parameter, on the same samples for training and WAIC",
        source: "Watanabe (2009), ch. 6; Watanabe (2010), JMLR 11, 3571",
        example: r#"{"quantity": "errors", "lambda": "1/6", "nu": 0.27837, "n": 1000}"#,
        evaluate: Numbers(|a| {
            let pair = LearningCoefficient::new(a.get("lambda"), 1)?;
            let errors = Generalisation::new(pair, a.get("nu"), a.find("beta").unwrap_or(1.0))?;
            let n: f64 = a.get("n");
            anyhow::ensure!(1.0 < n, "\"n\" must be more than 1; got {n}");
            Ok(vec![
                (
                    "bayes_generalisation",
                    Value::from(errors.bayes_generalisation() / n),
                ),
                ("bayes_training", Value::from(errors.bayes_training() / n)),
                (
                    "gibbs_generalisation",
                    Value::from(errors.gibbs_generalisation() / n),
                ),
                ("gibbs_training", Value::from(errors.gibbs_training() / n)),
                ("waic", Value::from(errors.waic() / n)),
                (
                    "functional_variance",
                    Value::from(errors.functional_variance()),
                ),
            ])
        }),
    },
    Entry {
        name: "singular_fluctuation",
        summary: "The singular fluctuation ν of a normal variable of mean w^k, truth 0",
        parameters: &[
            Parameter::new("power", Whole(POSITIVE), "power k"),
            Parameter::new("beta", Real, "inverse temperature β, at most 1000").or("1"),
        ],
        formula: "ν = ½ E[Var(t | ξ)], ξ ~ N(0, 1), t ~ |t|^(1/k - 1) exp(√β ξ t - t²/2) on t >= 0 for even k; λ = 1/(2k)",
        conditions: "the limit of large n",
        source: "derived in slt-theory, power_fluctuation",
        example: r#"{"quantity": "singular_fluctuation", "power": 3}"#,
        evaluate: Numbers(|a| {
            let power: u32 = a.get("power");
            let nu = power_fluctuation(power, a.find("beta").unwrap_or(1.0))?;
            let lambda = Rational64::new(1, 2 * i64::from(power));
            Ok(vec![
                ("nu", Value::from(nu)),
                ("lambda", Value::from(lambda.to_string())),
            ])
        }),
    },
    Entry {
        name: "wbic",
        summary: "WBIC: the posterior mean of the loss at β = 1/log n, and its spread over data sets",
        parameters: &[LAMBDA, N],
        formula: "E[nL_n] at β = nL_n(w₀) + λ/β + U √(λ/(2β)), U of mean 0 and variance at most 1",
        conditions: "to O(1); the estimate is λ̂ = (WBIC - nL_n(w₀))/log n",
        source: "Watanabe (2013), JMLR 14, 867, theorem 4",
        example: r#"{"quantity": "wbic", "lambda": "3/2", "n": 1000}"#,
        evaluate: Numbers(|a| {
            let wbic = Wbic::new(LearningCoefficient::new(a.get("lambda"), 1)?, a.get("n"))?;
            Ok(vec![
                ("beta", Value::from(wbic.inverse_temperature())),
                ("excess", Value::from(wbic.expected_excess())),
                ("excess_spread_at_most", Value::from(wbic.spread_bound())),
                (
                    "estimate_spread_at_most",
                    Value::from(wbic.estimate_spread_bound()),
                ),
            ])
        }),
    },
    Entry {
        name: "sbic",
        summary: "sBIC of a chain of models, each in the next",
        parameters: &[
            Parameter::new(
                "log_likelihoods",
                Reals,
                "the greatest log likelihood l_i of each, in nats",
            ),
            Parameter::new(
                "lambdas",
                RationalRows,
                "for each model i the λ_ij under a truth in model j = 0, …, i",
            ),
            Parameter::new("multiplicities", Rows(POSITIVE), "likewise the m_ij").or("1 for each"),
            Parameter::new("prior_weights", Reals, "the prior weight p_i of each").or("1 for each"),
            N,
        ],
        formula: "L_i = Σ_j L'_ij p_j L_j / Σ_j p_j L_j, L'_ij = exp(l_i) n^(-λ_ij) (log n)^(m_ij - 1), sBIC_i = log L_i",
        conditions: "greater is better; models count from 0",
        source: "Drton & Plummer (2017), JRSS B 79, 323, section 3",
        example: r#"{"quantity": "sbic", "log_likelihoods": [-100, -92], "lambdas": [[0], ["3/2", "7/2"]], "n": 100}"#,
        evaluate: Numbers(|a| {
            let scores = sbic(&chain(a)?, a.get("n"))?;
            Ok(vec![("sbic", Value::from(scores))])
        }),
    },
    Entry {
        name: "volume",
        summary: "The prior probability V(ε) of K <= ε, K = Π w_i^(2k_i) with the prior Π |w_i|^(h_i) on the box |w_i| <= 1",
        parameters: &[
            Parameter::new(
                "exponents",
                Wholes(COUNT),
                "the k_i, at least one of them positive",
            ),
            Parameter::new("prior_exponents", Wholes(COUNT), "the h_i, as many").or("all 0"),
            Parameter::new("epsilon", Real, "ε, more than 0 and at most 1"),
        ],
        formula: "V = P(Σ E_i >= log 1/ε), E_i exponential of rate (h_i + 1)/(2k_i); V ~ c ε^λ (log 1/ε)^(m - 1)",
        conditions: "at most 200 variables",
        source: "Watanabe (2009), ch. 4; the constant c derived in slt-theory, VolumeLaw",
        example: r#"{"quantity": "volume", "exponents": [1, 1], "epsilon": 1e-8}"#,
        evaluate: Numbers(|a| {
            let exponents: Vec<u32> = a.get("exponents");
            let prior = a
                .find("prior_exponents")
                .unwrap_or(vec![0; exponents.len()]);
            check_length("exponents", exponents.len(), MAX_VARIABLES)?;
            let epsilon: f64 = a.get("epsilon");
            anyhow::ensure!(
                0.0 < epsilon && epsilon <= 1.0,
                "0 < epsilon <= 1 is needed, got {epsilon}"
            );
            let law = VolumeLaw::new(&NormalCrossing::new(&exponents, &prior)?);
            let log_inverse = -epsilon.ln();
            let pair = law.learning_coefficient();
            Ok(vec![
                ("volume", Value::from(law.volume(epsilon))),
                ("log_volume", Value::from(law.log_volume(log_inverse))),
                (
                    "local_exponent",
                    Value::from(law.local_exponent(log_inverse)),
                ),
                ("constant", Value::from(law.constant())),
                ("lambda", Value::from(pair.lambda().to_string())),
                ("multiplicity", Value::from(pair.multiplicity())),
            ])
        }),
    },
];

/// The models of a chain, each of which contains all before it.
fn chain(a: &Arguments) -> anyhow::Result<Vec<SbicModel>> {
    let log_likelihoods: Vec<f64> = a.get("log_likelihoods");
    let n_models = log_likelihoods.len();
    check_length("log_likelihoods", n_models, MAX_COMPARED)?;
    let ones = || (1..=n_models).map(|length| vec![1; length]).collect();
    let lambdas: Vec<Vec<Rational64>> = a.get("lambdas");
    let multiplicities: Vec<Vec<u32>> = a.find("multiplicities").unwrap_or_else(ones);
    let weights: Vec<f64> = a.find("prior_weights").unwrap_or(vec![1.0; n_models]);
    same_length("lambdas", lambdas.len(), "log_likelihoods", n_models)?;
    same_length(
        "multiplicities",
        multiplicities.len(),
        "log_likelihoods",
        n_models,
    )?;
    same_length("prior_weights", weights.len(), "log_likelihoods", n_models)?;
    (0..n_models)
        .map(|i| {
            let (lambdas, multiplicities) = (&lambdas[i], &multiplicities[i]);
            for (name, length) in [
                ("lambdas", lambdas.len()),
                ("multiplicities", multiplicities.len()),
            ] {
                anyhow::ensure!(
                    length == i + 1,
                    "row {i} of \"{name}\" must be {} long; got {length}",
                    i + 1
                );
            }
            let mut pairs = lambdas
                .iter()
                .zip(multiplicities)
                .map(|(&lambda, &m)| LearningCoefficient::new(lambda, m))
                .collect::<Result<Vec<_>, _>>()?;
            let own = pairs.pop().expect("i + 1 pairs");
            let submodels = pairs.into_iter().enumerate();
            Ok(SbicModel {
                log_likelihood: log_likelihoods[i],
                prior_weight: weights[i],
                learning_coefficient: own,
                submodels: submodels
                    .map(|(index, learning_coefficient)| Submodel {
                        index,
                        learning_coefficient,
                    })
                    .collect(),
            })
        })
        .collect()
}

fn check_length(name: &str, length: usize, most: usize) -> anyhow::Result<()> {
    anyhow::ensure!(
        length <= most,
        "\"{name}\" must be at most {most} long; got {length}"
    );
    Ok(())
}

fn same_length(name: &str, length: usize, other: &str, expected: usize) -> anyhow::Result<()> {
    anyhow::ensure!(
        length == expected,
        "\"{name}\" must be as long as \"{other}\", {expected}; got {length}"
    );
    Ok(())
}

fn phases(a: &Arguments) -> anyhow::Result<Vec<Phase>> {
    let losses: Vec<f64> = a.get("losses");
    let lambdas: Vec<Rational64> = a.get("lambdas");
    let n_phases = losses.len();
    let multiplicities: Vec<u32> = a.find("multiplicities").unwrap_or(vec![1; n_phases]);
    let constants: Vec<f64> = a.find("constants").unwrap_or(vec![0.0; n_phases]);
    check_length("losses", n_phases, MAX_COMPARED)?;
    same_length("lambdas", lambdas.len(), "losses", n_phases)?;
    same_length("multiplicities", multiplicities.len(), "losses", n_phases)?;
    same_length("constants", constants.len(), "losses", n_phases)?;
    (0..n_phases)
        .map(|i| {
            let pair = LearningCoefficient::new(lambdas[i], multiplicities[i])?;
            Ok(Phase::new(losses[i], pair, constants[i])?)
        })
        .collect()
}
