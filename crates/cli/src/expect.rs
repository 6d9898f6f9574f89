//! `slt expect`: what a sampler should return at finite n, γ and step.

use ndarray::{Array1, Array2, aview1};
use serde_json::Value;
use slt_theory::{
    FiniteLaw, LeastSquares, LocalisedGaussian, box_law, monomial_law, radial_product_law,
    reduced_rank_law,
};

use crate::arguments::Arguments;
use crate::entry::Kind::{Real, RealRows, Reals, Whole, Wholes};
use crate::entry::{COUNT, POSITIVE};
use crate::entry::{Entry, Evaluate::Numbers, Field, Parameter, Topic};

/// The laws.
pub static TOPIC: Topic = Topic {
    name: "expect",
    key: "law",
    summary: "Mean and variance of nβ(L - L(w*)) at finite n, under exp(-nβ(L - L(w*)) - γ/2 |w - w*|²)",
    groups: &[LAWS],
};

const NBETA: Parameter = Parameter::new(
    "nbeta",
    Real,
    "samples times inverse temperature, nβ; positive",
);
const COEFFICIENT: Parameter = Parameter::new("coefficient", Real, "c; positive");
const GAMMA: Parameter = Parameter::new("gamma", Real, "strength of the localisation, γ");

/// The most steps of a chain, over all directions, that are followed: some seconds.
const MAX_WORK: u64 = 1_000_000_000;
/// The most variables or blocks of a product.
const MAX_VARIABLES: usize = 1000;
/// The most parameters of a regression, whose Hessian is diagonalised.
const MAX_COLUMNS: usize = 2000;

const LAWS: &[Entry] = &[
    Entry {
        name: "quadratic",
        summary: "L = ½ Σ h_i w_i², localised at its minimum",
        parameters: &[
            Parameter::new(
                "eigenvalues",
                Reals,
                "eigenvalues h_i of the Hessian of the mean loss",
            ),
            NBETA,
            GAMMA,
        ],
        formula: "E = ½ Σ nβh/(nβh + γ), Var = ½ Σ (nβh/(nβh + γ))²",
        conditions: "nβh + γ > 0 for every h",
        source: "derived in slt-theory, LocalisedGaussian",
        example: r#"{"law": "quadratic", "eigenvalues": [1, 3, 0], "nbeta": 10, "gamma": 10}"#,
        evaluate: Numbers(|a| {
            let target = quadratic(a)?;
            Ok(vec![
                ("mean", Value::from(target.mean())),
                ("variance", Value::from(target.variance())),
            ])
        }),
    },
    Entry {
        name: "sgld_quadratic",
        summary: "What a chain of SGLD with a finite step reports on L = ½ Σ h_i w_i², started at the minimum",
        parameters: &[
            Parameter::new(
                "eigenvalues",
                Reals,
                "eigenvalues h_i of the Hessian of the mean loss",
            ),
            NBETA,
            GAMMA,
            Parameter::new(
                "step_size",
                Real,
                "step size ε: drift ε/2, noise variance ε",
            ),
            Parameter::new("burn_in", Whole(COUNT), "steps before the first draw"),
            Parameter::new("draws", Whole(POSITIVE), "draws of a chain"),
            Parameter::new("thin", Whole(POSITIVE), "steps from one draw to the next").or("1"),
            Parameter::new("chains", Whole(POSITIVE), "independent chains").or("1"),
        ],
        formula: "w' = w - (ε/2)(nβ∇L + γ(w - w*)) + √ε N(0, 1) is an autoregression of coefficient 1 - ε(nβh + γ)/2",
        conditions: "full batch; 0 < ε(nβh + γ) < 4 for every h",
        source: "derived in slt-theory, SgldLaw",
        example: r#"{"law": "sgld_quadratic", "eigenvalues": [1, 0.5], "nbeta": 100, "gamma": 1, "step_size": 0.001, "burn_in": 100, "draws": 1000, "chains": 4}"#,
        evaluate: Numbers(|a| {
            let target = quadratic(a)?;
            let [burn_in, draws] = ["burn_in", "draws"].map(|name| a.get::<u32>(name));
            let [thin, chains] = ["thin", "chains"].map(|name| a.find::<u32>(name).unwrap_or(1));
            let steps = u64::from(burn_in) + u64::from(draws) * u64::from(thin);
            let work = steps.saturating_mul(target.dimension() as u64);
            anyhow::ensure!(
                work <= MAX_WORK,
                "eigenvalues * (burn_in + draws * thin) must be at most {MAX_WORK}; got {work}"
            );
            let chain = target.sgld(a.get("step_size"))?.thinned(thin as usize);
            let average = chain.chain_average(burn_in as usize, draws as usize);
            Ok(vec![
                ("mean", Value::from(average.mean)),
                (
                    "mcse",
                    Value::from((average.variance / f64::from(chains)).sqrt()),
                ),
                ("stationary_mean", Value::from(chain.stationary_mean())),
                ("equilibrium_mean", Value::from(target.mean())),
            ])
        }),
    },
    Entry {
        name: "linear_regression",
        summary: "L = (c/n) |y - Xw|² on data, localised at any anchor",
        parameters: &[
            Parameter::new("inputs", RealRows, "the rows of X, one for each sample"),
            Parameter::new("targets", Reals, "y, one for each sample"),
            Parameter::new("scale", Real, "c; positive").or("1"),
            Parameter::new("anchor", Reals, "w*").or("the minimum of least norm"),
            NBETA,
            GAMMA,
        ],
        formula: "E = nβ[½ tr(H P⁻¹) + L(μ) - L(w*)], P = nβH + γ, H = (2c/n) X'X, μ = w* - nβ P⁻¹∇L(w*)",
        conditions: "P positive definite: γ > 0, or linearly independent columns of X",
        source: "derived in slt-theory, LeastSquares and LocalisedGaussian",
        example: r#"{"law": "linear_regression", "inputs": [[1, 0], [1, 1], [1, 2]], "targets": [1, 2, 2], "nbeta": 10, "gamma": 1}"#,
        evaluate: Numbers(|a| {
            let target = regression(a)?;
            Ok(vec![
                ("mean", Value::from(target.mean())),
                ("variance", Value::from(target.variance())),
            ])
        }),
    },
    Entry {
        name: "monomial",
        summary: "K = c Π w_i^(2k_i), localised at 0",
        parameters: &[
            COEFFICIENT,
            Parameter::new(
                "exponents",
                Wholes(0..=1000),
                "the k_i, at least one of them positive",
            ),
            NBETA,
            GAMMA,
        ],
        formula: "Z = (1/2πi) ∫ Γ(z) X^(-z) Π Γ(1/2 - k_i z)/Γ(1/2) dz, X = c nβ Π (2/γ)^(k_i)",
        conditions: "at most 1000 variables",
        source: "derived in slt-theory, monomial_law",
        example: r#"{"law": "monomial", "coefficient": 0.5, "exponents": [1, 1, 1], "nbeta": 1000, "gamma": 1}"#,
        evaluate: Numbers(|a| {
            let exponents = short_list(a, "exponents")?;
            let law = monomial_law(
                a.get("coefficient"),
                &exponents,
                a.get("nbeta"),
                a.get("gamma"),
            );
            Ok(fields(law?))
        }),
    },
    Entry {
        name: "radial_product",
        summary: "K = c Π (|w_i|²)^(k_i) over blocks w_i of d_i variables, localised at 0",
        parameters: &[
            COEFFICIENT,
            Parameter::new("dimensions", Wholes(1..=1000), "the d_i"),
            Parameter::new(
                "powers",
                Wholes(0..=1000),
                "the k_i, as many; at least one of them positive",
            ),
            NBETA,
            GAMMA,
        ],
        formula: "Z = (1/2πi) ∫ Γ(z) X^(-z) Π Γ(d_i/2 - k_i z)/Γ(d_i/2) dz, X = c nβ Π (2/γ)^(k_i)",
        conditions: "at most 1000 blocks",
        source: "derived in slt-theory, radial_product_law",
        example: r#"{"law": "radial_product", "coefficient": 1, "dimensions": [2], "powers": [2], "nbeta": 1000, "gamma": 1}"#,
        evaluate: Numbers(|a| {
            let dimensions = short_list(a, "dimensions")?;
            let powers = short_list(a, "powers")?;
            anyhow::ensure!(
                powers.len() == dimensions.len(),
                "\"powers\" must be as long as \"dimensions\", {}; got {}",
                dimensions.len(),
                powers.len()
            );
            let blocks: Vec<_> = dimensions.into_iter().zip(powers).collect();
            let law = radial_product_law(
                a.get("coefficient"),
                &blocks,
                a.get("nbeta"),
                a.get("gamma"),
            );
            Ok(fields(law?))
        }),
    },
    Entry {
        name: "box",
        summary: "K = c Π w_i^(2k_i) with the prior Π |w_i|^(h_i) on the box |w_i| <= 1",
        parameters: &[
            COEFFICIENT,
            Parameter::new(
                "exponents",
                Wholes(0..=1000),
                "the k_i, at least one of them positive",
            ),
            Parameter::new("prior_exponents", Wholes(0..=1000), "the h_i, as many").or("all 0"),
            NBETA,
        ],
        formula: "Z = (1/2πi) ∫ Γ(z) (c nβ)^(-z) Π ρ_i/(ρ_i - z) dz, ρ_i = (h_i + 1)/(2k_i)",
        conditions: "at most 1000 variables",
        source: "derived in slt-theory, box_law",
        example: r#"{"law": "box", "coefficient": 1, "exponents": [1, 1], "nbeta": 1000000}"#,
        evaluate: Numbers(|a| {
            let exponents = short_list(a, "exponents")?;
            let prior = a
                .find("prior_exponents")
                .unwrap_or(vec![0; exponents.len()]);
            let law = box_law(a.get("coefficient"), &exponents, &prior, a.get("nbeta"));
            Ok(fields(law?))
        }),
    },
    Entry {
        name: "reduced_rank_regression",
        summary: "K = ½ |BA|²: a two-layer linear network with zero truth, localised at 0",
        parameters: &[
            Parameter::new("inputs", Whole(POSITIVE), "columns of A"),
            Parameter::new("outputs", Whole(POSITIVE), "rows of B"),
            Parameter::new("hidden", Whole(POSITIVE), "hidden units"),
            NBETA,
            GAMMA,
        ],
        formula: "Z = E Π (1 + nβ x_i/γ²)^(-N/2) over the eigenvalues x_i of a Wishart matrix, as a Pfaffian; N the wider side",
        conditions: "widths of at most 30, the least of them at most 5; a loss c |BA|² is this one at 2c nβ",
        source: "derived in slt-theory, reduced_rank_law",
        example: r#"{"law": "reduced_rank_regression", "inputs": 2, "outputs": 2, "hidden": 2, "nbeta": 144.765, "gamma": 1}"#,
        evaluate: Numbers(|a| {
            let [inputs, outputs, hidden] = ["inputs", "outputs", "hidden"].map(|name| a.get(name));
            Ok(fields(reduced_rank_law(
                inputs,
                outputs,
                hidden,
                a.get("nbeta"),
                a.get("gamma"),
            )?))
        }),
    },
];

fn regression(a: &Arguments) -> anyhow::Result<LocalisedGaussian> {
    let rows: Vec<Vec<f64>> = a.get("inputs");
    let targets: Vec<f64> = a.get("targets");
    let anchor: Option<Vec<f64>> = a.find("anchor");
    let n_columns = rows.first().map_or(0, Vec::len);
    anyhow::ensure!(
        rows.iter().all(|row| row.len() == n_columns),
        "every row of \"inputs\" must be as long as the first, {n_columns}"
    );
    anyhow::ensure!(
        n_columns <= MAX_COLUMNS,
        "a row of \"inputs\" must be at most {MAX_COLUMNS} long; got {n_columns}"
    );
    anyhow::ensure!(
        targets.len() == rows.len(),
        "\"targets\" must be as long as \"inputs\", {}; got {}",
        rows.len(),
        targets.len()
    );
    let inputs = Array2::from_shape_vec((rows.len(), n_columns), rows.concat())?;
    let scale = a.find("scale").unwrap_or(1.0);
    let problem = LeastSquares::new(inputs.view(), aview1(&targets), scale)?;
    let anchor = anchor.map_or_else(|| problem.minimum(), Array1::from);
    anyhow::ensure!(
        anchor.len() == n_columns,
        "\"anchor\" must be as long as a row of \"inputs\", {n_columns}; got {}",
        anchor.len()
    );
    Ok(problem.localised(anchor.view(), a.get("nbeta"), a.get("gamma"))?)
}

fn quadratic(a: &Arguments) -> anyhow::Result<LocalisedGaussian> {
    let eigenvalues: Vec<f64> = a.get("eigenvalues");
    Ok(LocalisedGaussian::new(
        &eigenvalues,
        a.get("nbeta"),
        a.get("gamma"),
    )?)
}

/// A list of at most [`MAX_VARIABLES`] numbers.
fn short_list(a: &Arguments, name: &str) -> anyhow::Result<Vec<u32>> {
    let list: Vec<u32> = a.get(name);
    anyhow::ensure!(
        list.len() <= MAX_VARIABLES,
        "\"{name}\" must be at most {MAX_VARIABLES} long; got {}",
        list.len()
    );
    Ok(list)
}

fn fields(law: FiniteLaw) -> Vec<Field> {
    let limit = law.learning_coefficient();
    vec![
        ("mean", Value::from(law.mean())),
        ("variance", Value::from(law.variance())),
        ("log_evidence", Value::from(law.log_evidence())),
        ("lambda", Value::from(limit.lambda().to_string())),
        ("multiplicity", Value::from(limit.multiplicity())),
    ]
}
