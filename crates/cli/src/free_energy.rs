//! `slt free-energy`: asymptotics of free energies and errors.

use num_rational::Rational64;
use serde_json::{Value, json};
use slt_theory::{LearningCoefficient, Phase, crossings, winning_phase};

use crate::arguments::Arguments;
use crate::entry::Kind::{Rationals, Real, Reals, Wholes};
use crate::entry::{Entry, Evaluate::Numbers, POSITIVE, Parameter, Topic};

/// The quantities.
pub static TOPIC: Topic = Topic {
    name: "free-energy",
    key: "quantity",
    summary: "Free energies, phases and errors that a learning coefficient gives",
    groups: &[QUANTITIES],
};

const QUANTITIES: &[Entry] = &[Entry {
    name: "phases",
    summary: "Phases that compete: which has the least free energy at n samples, and where that changes",
    parameters: &[
        Parameter::new(
            "losses",
            Reals,
            "the loss L of each phase, in nats per sample",
        ),
        Parameter::new("lambdas", Rationals, "the learning coefficient λ of each"),
        Parameter::new(
            "multiplicities",
            Wholes(POSITIVE),
            "the multiplicity m of each",
        )
        .or("1 for each"),
        Parameter::new("constants", Reals, "the constant c of each, in nats").or("0 for each"),
        Parameter::new("n", Real, "samples, more than 1"),
    ],
    formula: "F = nL + λ log n - (m - 1) log log n + c",
    conditions: "n so large that o(1) does not matter; phases count from 0; a critical n has e < n < 1e304",
    source: "Watanabe (2009), Algebraic Geometry and Statistical Learning Theory, Main Theorem 6.2",
    example: r#"{"quantity": "phases", "losses": [0.01, 0], "lambdas": ["1/2", 2], "n": 1000}"#,
    evaluate: Numbers(|a| {
        let n: f64 = a.get("n");
        let phases = phases(a)?;
        let free_energies: Result<Vec<_>, _> = phases.iter().map(|p| p.free_energy(n)).collect();
        let mut critical = Vec::new();
        for (i, first) in phases.iter().enumerate() {
            for (j, second) in phases.iter().enumerate().skip(i + 1) {
                critical.extend(
                    crossings(first, second)
                        .into_iter()
                        .map(|n| json!([i, j, n])),
                );
            }
        }
        Ok(vec![
            ("winner", Value::from(winning_phase(&phases, n)?)),
            ("free_energies", Value::from(free_energies?)),
            ("crossings", Value::from(critical)),
        ])
    }),
}];

fn phases(a: &Arguments) -> anyhow::Result<Vec<Phase>> {
    let losses: Vec<f64> = a.get("losses");
    let lambdas: Vec<Rational64> = a.get("lambdas");
    let n_phases = losses.len();
    let multiplicities: Vec<u32> = a.find("multiplicities").unwrap_or(vec![1; n_phases]);
    let constants: Vec<f64> = a.find("constants").unwrap_or(vec![0.0; n_phases]);
    for (name, length) in [
        ("lambdas", lambdas.len()),
        ("multiplicities", multiplicities.len()),
        ("constants", constants.len()),
    ] {
        anyhow::ensure!(
            length == n_phases,
            "\"{name}\" must be as long as \"losses\", {n_phases}; got {length}"
        );
    }
    (0..n_phases)
        .map(|i| {
            let pair = LearningCoefficient::new(lambdas[i], multiplicities[i])?;
            Ok(Phase::new(losses[i], pair, constants[i])?)
        })
        .collect()
}
