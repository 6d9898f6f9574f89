//! Mixtures and other models with hidden variables.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;
use slt_theory::{
    ClassWeights, FactorAnalysis, FactorAnalysisTruth, FiniteMixture, GaussianLatentForest,
    GaussianLatentForestError, NaiveBayes, NaiveBayesTruth, RestrictedBoltzmann,
};

use crate::arguments::Arguments;
use crate::entry::Kind::{Choice, Edges, Rational, Whole};
use crate::entry::Scope::Global;
use crate::entry::{COUNT, Entry, Evaluate::Coefficient, POSITIVE, Parameter};

/// The families of this file.
pub const FAMILIES: &[Entry] = &[
    Entry {
        name: "finite_mixture",
        summary: "A mixture of H components with free weights and parameters",
        parameters: &[
            Parameter::new("components", Whole(POSITIVE), "components H"),
            Parameter::new(
                "true_components",
                Whole(POSITIVE),
                "components r of the truth, at most H",
            ),
            Parameter::new(
                "dimension",
                Whole(POSITIVE),
                "dimension d of a component's parameter",
            ),
            Parameter::new(
                "dirichlet",
                Rational,
                "exponent α of the Dirichlet prior on the weights; positive",
            ),
        ],
        formula: "λ = (rd + r - 1)/2 + (H - r) min(d/4, α/2), m = 1, but 1 + H - r where d = 2α",
        conditions: "strongly identifiable of second order: normal locations of known variance, Poisson, binomials with enough trials; not normals of unknown variance",
        source: "derived in slt-theory, FiniteMixture; for d = 1, α = 1 Sato & Watanabe (2019), arXiv:1912.13289",
        example: r#"{"family": "finite_mixture", "components": 2, "true_components": 1, "dimension": 1, "dirichlet": "1/4"}"#,
        evaluate: Coefficient(Global, |a| {
            let [h, r, d] = ["components", "true_components", "dimension"].map(|name| a.get(name));
            let mixture = FiniteMixture::new(h, r, d, a.get("dirichlet"))?;
            Ok(mixture.learning_coefficient().into())
        }),
    },
    Entry {
        name: "naive_bayes",
        summary: "Binary naive Bayes: n binary features and a hidden class of two values",
        parameters: &[
            Parameter::new("features", Whole(POSITIVE), "features n"),
            Parameter::new(
                "truth",
                Choice(&["independent", "one_pair", "generic"]),
                "features that depend on each other: none, two, or at least three",
            ),
            Parameter::new(
                "weights",
                Choice(&["closed", "interior"]),
                "class weights of the prior: all from 0 to 1, or bounded away from 0 and 1",
            ),
        ],
        formula: "generic: λ = (2n + 1)/2; one pair: (2n - 1)/2; independent: (n + 1)/2 (closed), 3n/4 (interior); m = 1, but for n = 2 independent: (3/2, 3) and (3/2, 2)",
        conditions: "all cells of the true distribution have positive probability; a generic truth needs n >= 3, for less it is what the model has in general",
        source: "Rusakov & Geiger (2005), Asymptotic model selection for naive Bayesian networks, Theorem 3; interior weights derived in slt-theory, NaiveBayes",
        example: r#"{"family": "naive_bayes", "features": 5, "truth": "independent", "weights": "closed"}"#,
        evaluate: Coefficient(Global, |a| {
            let truth = match a.get("truth") {
                "independent" => NaiveBayesTruth::Independent,
                "one_pair" => NaiveBayesTruth::OnePair,
                _ => NaiveBayesTruth::Generic,
            };
            let weights = match a.get("weights") {
                "closed" => ClassWeights::Closed,
                _ => ClassWeights::Interior,
            };
            let model = NaiveBayes::new(a.get("features"), truth, weights)?;
            Ok(model.learning_coefficient().into())
        }),
    },
    Entry {
        name: "factor_analysis",
        summary: "One-factor analysis of p Gaussian variables",
        parameters: &[
            Parameter::new("variables", Whole(POSITIVE), "variables p"),
            Parameter::new(
                "truth",
                Choice(&["diagonal", "one_pair", "generic"]),
                "nonzero off-diagonal entries of the true covariance: none, one, or those of at least three loadings",
            ),
        ],
        formula: "diagonal: λ = 3p/4 (m = 2 for p = 2); one pair: (2p - 1)/2; generic: p; m = 1 otherwise",
        conditions: "known means (free ones add p/2); a prior that is positive on variances and loadings",
        source: "Drton et al. (2025), Singular learning theory for factor analysis, arXiv:2511.15419v1; derived again in slt-theory, FactorAnalysis",
        example: r#"{"family": "factor_analysis", "variables": 4, "truth": "diagonal"}"#,
        evaluate: Coefficient(Global, |a| {
            let truth = match a.get("truth") {
                "diagonal" => FactorAnalysisTruth::Diagonal,
                "one_pair" => FactorAnalysisTruth::OnePair,
                _ => FactorAnalysisTruth::Generic,
            };
            Ok(FactorAnalysis::new(a.get("variables"), truth)?
                .learning_coefficient()
                .into())
        }),
    },
    Entry {
        name: "factor_analysis_bound",
        summary: "Factor analysis with k factors: an upper bound",
        parameters: &[
            Parameter::new("variables", Whole(POSITIVE), "variables p"),
            Parameter::new("factors", Whole(COUNT), "factors k, at most p"),
            Parameter::new(
                "true_factors",
                Whole(COUNT),
                "factors r of the truth, at most k",
            ),
        ],
        formula: "λ <= min([p(k + 2) + r(p - k + 1)]/4, p(p + 1)/4)",
        conditions: "known means (free ones add p/2); a prior that is positive on variances and loadings",
        source: "Drton et al. (2025), Singular learning theory for factor analysis, arXiv:2511.15419v1",
        example: r#"{"family": "factor_analysis_bound", "variables": 6, "factors": 2, "true_factors": 1}"#,
        evaluate: Coefficient(Global, |a| {
            let [p, k, r] = ["variables", "factors", "true_factors"].map(|name| a.get(name));
            Ok(FactorAnalysis::bound(p, k, r)?)
        }),
    },
    Entry {
        name: "gaussian_latent_forest",
        summary: "A Gaussian latent tree whose truth is a forest; the leaves of the tree are observed",
        parameters: &[
            Parameter::new("tree", Edges, "edges of the tree"),
            Parameter::new(
                "truth",
                Edges,
                "edges of the true forest, some of those of the tree",
            ),
        ],
        formula: "λ = dim/2 + 1/4 Σ over removed edges of their ends in V, m = 1 + nodes of degree 2 outside V on a chain that ends in V; V: the leaves and the nodes of the forest; dim: leaves + edges of the forest - its inner nodes of degree 2",
        conditions: "known means (free ones add half the number of leaves); a prior that is positive on variances and edge correlations",
        source: "Drton, Lin, Weihs & Zwiernik (2017), arXiv:1412.8285; derived again in slt-theory, GaussianLatentForest",
        example: r#"{"family": "gaussian_latent_forest", "tree": [["a", "h"], ["b", "h"], ["c", "h"]], "truth": []}"#,
        evaluate: Coefficient(Global, |a| Ok(forest(a)?.learning_coefficient().into())),
    },
    Entry {
        name: "restricted_boltzmann",
        summary: "A restricted Boltzmann machine of ±1 units without bias, uniform truth",
        parameters: &[
            Parameter::new("visible", Whole(POSITIVE), "visible units n"),
            Parameter::new("hidden", Whole(POSITIVE), "hidden units H"),
        ],
        formula: "H = 1: λ = n/4 for n >= 3; n = 2: 1/2, m = 2 if H = 1; n = 1: 0; else λ <= Hn/4; m = 1 otherwise",
        conditions: "the uniform distribution as truth",
        source: "derived in slt-theory, RestrictedBoltzmann",
        example: r#"{"family": "restricted_boltzmann", "visible": 5, "hidden": 1}"#,
        evaluate: Coefficient(Global, |a| {
            let machine = RestrictedBoltzmann::new(a.get("visible"), a.get("hidden"))?;
            Ok(machine.learning_coefficient())
        }),
    },
];

/// The forest, with its nodes numbered in the order of their names; an error names them again.
fn forest(a: &Arguments) -> anyhow::Result<GaussianLatentForest> {
    let [tree, truth] = ["tree", "truth"].map(|name| a.get::<Vec<(String, String)>>(name));
    let nodes = tree
        .iter()
        .chain(&truth)
        .flat_map(|(one, other)| [one, other]);
    let names: BTreeSet<&String> = nodes.collect();
    let numbers: BTreeMap<&String, u32> = names.iter().copied().zip(0..).collect();
    let name = |node: u32| {
        names
            .iter()
            .nth(node as usize)
            .expect("a node that was numbered")
    };
    let [tree, truth] = [&tree, &truth].map(|edges| {
        let numbered = edges
            .iter()
            .map(|(one, other)| (numbers[one], numbers[other]));
        numbered.collect::<Vec<_>>()
    });
    GaussianLatentForest::new(&tree, &truth).map_err(|error| match error {
        GaussianLatentForestError::Cycle { edge: (one, other) } => {
            anyhow!(
                "edge {}-{} closes a cycle, so that the edges are no tree",
                name(one),
                name(other)
            )
        }
        GaussianLatentForestError::NotASubgraph { edge: (one, other) } => {
            anyhow!(
                "edge {}-{} of the truth is not an edge of the tree, or comes twice",
                name(one),
                name(other)
            )
        }
        GaussianLatentForestError::HiddenLeaf { node } => anyhow!(
            "hidden node {} is a leaf of the truth, where it connects nothing: leave its edge out",
            name(node)
        ),
        other => other.into(),
    })
}
