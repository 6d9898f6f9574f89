//! Regular models and germs that are given by exponents.

use num_rational::Rational64;
use slt_theory::{LineArrangement, Newton, NormalCrossing, PlaneCurve, Radial, regular};

use crate::arguments::Arguments;

use crate::entry::Kind::{Rationals, Rows, Whole, Wholes};
use crate::entry::Scope::Global;
use crate::entry::{COUNT, Entry, Evaluate::Coefficient, POSITIVE, Parameter};

/// The most entries of a linear programme's tableau.
const MAX_TABLEAU: usize = 1_000_000;

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
            let prior = prior_exponents(a, &exponents)?;
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
    Entry {
        name: "polynomial",
        summary: "K = Σ c_a w^a >= 0 near 0 with coefficients of any sign; in two variables exact by adapted coordinates",
        parameters: &[
            Parameter::new(
                "exponents",
                Rows(COUNT),
                "the exponents a, a list for each monomial",
            ),
            Parameter::new("coefficients", Rationals, "the c_a, one for each monomial"),
            Parameter::new(
                "prior_exponents",
                Wholes(COUNT),
                "the h_i of the prior Π |w_i|^(h_i)",
            )
            .or("all 0"),
        ],
        formula: "as newton; in two variables with a positive prior 1/λ is the largest Newton distance over all analytic coordinates",
        conditions: "K >= 0 near 0; an upper bound where K is not proven to be non-degenerate and the exact algorithm does not apply",
        source: "Varchenko (1976); Phong, Stein & Sturm (1999)",
        example: r#"{"family": "polynomial", "exponents": [[0, 2], [2, 1], [4, 0]], "coefficients": [1, -2, 1]}"#,
        evaluate: Coefficient(Global, |a| {
            let exponents: Vec<Vec<u32>> = a.get("exponents");
            let coefficients: Vec<Rational64> = a.get("coefficients");
            anyhow::ensure!(
                coefficients.len() == exponents.len(),
                "\"coefficients\" must be as long as \"exponents\", {}; got {}",
                exponents.len(),
                coefficients.len()
            );
            let prior = prior_exponents(a, &exponents)?;
            let plane: Option<Vec<(u32, u32)>> = exponents
                .iter()
                .map(|row| match row[..] {
                    [x, y] if prior == [0, 0] => Some((x, y)),
                    _ => None,
                })
                .collect();
            Ok(match plane {
                Some(plane) => {
                    let terms: Vec<_> = plane.into_iter().zip(coefficients).collect();
                    PlaneCurve::new(&terms)?.learning_coefficient()
                }
                None => {
                    let terms: Vec<_> = exponents.into_iter().zip(coefficients).collect();
                    Newton::with_coefficients(&terms, &prior)?.learning_coefficient()
                }
            })
        }),
    },
    Entry {
        name: "line_arrangement",
        summary: "K = Π (a_i x + b_i y)² over n distinct lines through the origin of the plane",
        parameters: &[Parameter::new("lines", Whole(POSITIVE), "lines n")],
        formula: "λ = min(1/2, 1/n), m = 2 for n = 2, else 1",
        conditions: "a prior that is positive at 0",
        source: "Kosta & Windisch (2024); one blow-up, in slt-theory, LineArrangement",
        example: r#"{"family": "line_arrangement", "lines": 3}"#,
        evaluate: Coefficient(Global, |a| {
            Ok(LineArrangement::new(a.get("lines"))?
                .learning_coefficient()
                .into())
        }),
    },
];

/// The exponents of the prior, zeros if they are left out, for monomials that a linear programme can hold.
fn prior_exponents(a: &Arguments, exponents: &[Vec<u32>]) -> anyhow::Result<Vec<u32>> {
    let n_variables = exponents.first().map_or(0, Vec::len);
    let size = n_variables * (exponents.len() + n_variables);
    anyhow::ensure!(
        size <= MAX_TABLEAU,
        "variables * (monomials + variables) must be at most {MAX_TABLEAU}; got {size}"
    );
    Ok(a.find("prior_exponents").unwrap_or(vec![0; n_variables]))
}
