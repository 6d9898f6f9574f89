//! Regular models and germs that are given by exponents.

use slt_theory::{Newton, NormalCrossing, Radial, regular};

use crate::arguments::Arguments;

use crate::entry::Kind::{Rows, Whole, Wholes};
use crate::entry::Scope::Global;
use crate::entry::{COUNT, Entry, Evaluate::Coefficient, POSITIVE, Parameter};

/// The families of this file.
pub const FAMILIES: &[Entry] = &[
    Entry {
        name: "regular",
        summary: "A regular model: positive definite Fisher information at the truth",
        parameters: &[Parameter::new(
            "parameters",
            Whole(POSITIVE),
            "number of parameters d",
        )],
        formula: "λ = d/2, m = 1",
        conditions: "the Fisher information is positive definite at the only true parameter",
        source: "Schwarz (1978), Estimating the dimension of a model",
        example: r#"{"family": "regular", "parameters": 5}"#,
        evaluate: Coefficient(Global, |a| Ok(regular(a.get("parameters")).into())),
    },
    Entry {
        name: "normal_crossing",
        summary: "K = Π w_i^(2k_i) with prior Π |w_i|^(h_i) near 0",
        parameters: &[
            Parameter::new(
                "exponents",
                Wholes(COUNT),
                "the k_i, at least one of them positive",
            ),
            Parameter::new("prior_exponents", Wholes(COUNT), "the h_i, as many").or("all 0"),
        ],
        formula: "λ = min (h_i + 1)/(2k_i) over k_i > 0, m = number of minimisers",
        conditions: "K and the prior up to positive factors; of all zeros the origin has the least λ",
        source: "Watanabe (2009), Algebraic Geometry and Statistical Learning Theory, ch. 4",
        example: r#"{"family": "normal_crossing", "exponents": [1, 2], "prior_exponents": [0, 1]}"#,
        evaluate: Coefficient(Global, |a| {
            let exponents: Vec<u32> = a.get("exponents");
            let germ = match a.find::<Vec<u32>>("prior_exponents") {
                Some(prior) => NormalCrossing::new(&exponents, &prior)?,
                None => NormalCrossing::with_positive_prior(&exponents)?,
            };
            Ok(germ.learning_coefficient().into())
        }),
    },
    Entry {
        name: "newton",
        summary: "K = Σ w^a with positive coefficients and prior Π |w_i|^(h_i) near 0",
        parameters: &[
            Parameter::new(
                "exponents",
                Rows(COUNT),
                "the exponents a, a list for each monomial",
            ),
            Parameter::new(
                "prior_exponents",
                Wholes(COUNT),
                "the h_i, one for each variable",
            )
            .or("all 0"),
        ],
        formula: "λ = min Σ v_i (h_i + 1) over v >= 0 with <v, a> >= 1 for all a, m = 1 + dimension of the optimal face",
        conditions: "exact where K is proven to be non-degenerate on every compact face, as it is for even exponents; else an upper bound",
        source: "Varchenko (1976), Newton polyhedra and estimation of oscillating integrals; Lin (2011), ch. 4",
        example: r#"{"family": "newton", "exponents": [[4, 0], [2, 2], [0, 6]]}"#,
        evaluate: Coefficient(Global, |a| {
            let exponents: Vec<Vec<u32>> = a.get("exponents");
            let prior = prior_exponents(a, &exponents);
            Ok(Newton::new(&exponents, &prior)?.learning_coefficient())
        }),
    },
    Entry {
        name: "radial",
        summary: "K = (|w|²)^k in d dimensions",
        parameters: &[
            Parameter::new("dimension", Whole(POSITIVE), "dimension d"),
            Parameter::new("power", Whole(POSITIVE), "power k"),
        ],
        formula: "λ = d/(2k), m = 1",
        conditions: "a prior that is positive at 0",
        source: "the integral of r^(2kz + d - 1); for k = 1 Schwarz (1978)",
        example: r#"{"family": "radial", "dimension": 3, "power": 2}"#,
        evaluate: Coefficient(Global, |a| {
            let germ = Radial::new(a.get("dimension"), a.get("power"))?;
            Ok(germ.learning_coefficient().into())
        }),
    },
];

/// The exponents of the prior, zeros if they are left out.
fn prior_exponents(a: &Arguments, exponents: &[Vec<u32>]) -> Vec<u32> {
    let n_variables = exponents.first().map_or(0, Vec::len);
    a.find("prior_exponents").unwrap_or(vec![0; n_variables])
}
