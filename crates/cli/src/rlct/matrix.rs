//! Products of matrices, and models that come down to them.

use slt_theory::{
    Attention, DeepLinear, LatentClass, LatentDirichlet, LinearInParameters, NmfTruth,
    NonNegativeFactorisation, ReducedRank, ReducedRankLocal, SoftmaxLinear, SymmetricFactorisation,
};

use crate::entry::Kind::{Flag, Whole, Wholes};
use crate::entry::Scope::{Global, Local};
use crate::entry::{COUNT, Entry, Evaluate::Coefficient, POSITIVE, Parameter};

/// The families of this file.
pub const FAMILIES: &[Entry] = &[
    Entry {
        name: "reduced_rank_regression",
        summary: "A two-layer linear network y = B A x",
        parameters: &[
            Parameter::new("inputs", Whole(POSITIVE), "inputs M"),
            Parameter::new("outputs", Whole(POSITIVE), "outputs N"),
            Parameter::new("hidden", Whole(POSITIVE), "hidden units H"),
            Parameter::new(
                "rank",
                Whole(COUNT),
                "rank r of the true product, at most min(M, N, H)",
            ),
        ],
        formula: "λ = [r(M + N) - r²]/2 + ½ min_t [(H - r - t)(N - r - t) + (M - r)t], m = number of minimising integers t >= 0",
        conditions: "inputs with a covariance of full rank (of rank ρ: put ρ for M); a bias of the last layer adds N/2",
        source: "Aoyagi & Watanabe (2005), Stochastic complexities of reduced rank regression in Bayesian estimation, Main Theorem",
        example: r#"{"family": "reduced_rank_regression", "inputs": 5, "outputs": 5, "hidden": 3, "rank": 0}"#,
        evaluate: Coefficient(Global, |a| {
            let [m, n, h, r] = ["inputs", "outputs", "hidden", "rank"].map(|name| a.get(name));
            Ok(ReducedRank::new(m, n, h, r)?.learning_coefficient().into())
        }),
    },
    Entry {
        name: "reduced_rank_regression_local",
        summary: "A two-layer linear network y = B A x, at one factorisation of the true product",
        parameters: &[
            Parameter::new("inputs", Whole(POSITIVE), "inputs M"),
            Parameter::new("outputs", Whole(POSITIVE), "outputs N"),
            Parameter::new("hidden", Whole(POSITIVE), "hidden units H"),
            Parameter::new("rank_first", Whole(COUNT), "rank a of A there"),
            Parameter::new("rank_second", Whole(COUNT), "rank b of B there"),
            Parameter::new(
                "rank",
                Whole(COUNT),
                "rank r of the true product, from a + b - H to min(a, b)",
            ),
        ],
        formula: "λ = ½[Na + Mb - ab + min_t ((h - t)(M - a - t) + (N - b)t)], h = H - a - b + r, 0 <= t <= min(h, M - a), m = number of minimisers",
        conditions: "inputs with a covariance of full rank; the global value is attained at a = b = r",
        source: "derived in slt-theory, ReducedRankLocal",
        example: r#"{"family": "reduced_rank_regression_local", "inputs": 4, "outputs": 4, "hidden": 4, "rank_first": 1, "rank_second": 4, "rank": 1}"#,
        evaluate: Coefficient(Local, |a| {
            let [m, n, h] = ["inputs", "outputs", "hidden"].map(|name| a.get(name));
            let [first, second, r] = ["rank_first", "rank_second", "rank"].map(|name| a.get(name));
            Ok(ReducedRankLocal::new(m, n, h, first, second, r)?
                .learning_coefficient()
                .into())
        }),
    },
    Entry {
        name: "deep_linear",
        summary: "A deep linear network of any depth",
        parameters: &[
            Parameter::new(
                "widths",
                Wholes(POSITIVE),
                "widths H_1, …, H_(L+1) from input to output",
            ),
            Parameter::new(
                "rank",
                Whole(COUNT),
                "rank r of the true product, at most the least width",
            ),
        ],
        formula: "λ = [r(H_1 + H_(L+1)) - r²]/2 + [(S² + a(l - a))/l - Q]/4, m = a(l - a) + 1; S, Q: sum and sum of squares of the l + 1 least H_s - r, the largest l with S >= l times the largest of them; 1 <= a <= l, a = S modulo l",
        conditions: "inputs with a covariance of full rank (of rank ρ: put ρ for H_1)",
        source: "Aoyagi (2024), Consideration on the learning efficiency of multiple-layered neural networks with linear units, Theorem 2",
        example: r#"{"family": "deep_linear", "widths": [10, 20, 20, 10], "rank": 4}"#,
        evaluate: Coefficient(Global, |a| {
            let widths: Vec<u32> = a.get("widths");
            Ok(DeepLinear::new(&widths, a.get("rank"))?
                .learning_coefficient()
                .into())
        }),
    },
    Entry {
        name: "deep_linear_local",
        summary: "A deep linear network, at one factorisation of the true product",
        parameters: &[
            Parameter::new(
                "widths",
                Wholes(POSITIVE),
                "widths H_1, …, H_(L+1) from input to output",
            ),
            Parameter::new(
                "layer_ranks",
                Wholes(COUNT),
                "the rank of each of the L layers there, from input to output",
            ),
            Parameter::new("rank", Whole(COUNT), "rank r of the true product"),
        ],
        formula: "one layer: regular; two: as reduced_rank_regression_local; all layers of rank r: as deep_linear; else unknown",
        conditions: "inputs with a covariance of full rank; an unknown value is at least that of deep_linear",
        source: "derived in slt-theory, DeepLinear; Aoyagi (2024), Theorem 2",
        example: r#"{"family": "deep_linear_local", "widths": [4, 4, 4], "layer_ranks": [1, 4], "rank": 1}"#,
        evaluate: Coefficient(Local, |a| {
            let [widths, ranks] = ["widths", "layer_ranks"].map(|name| a.get::<Vec<u32>>(name));
            Ok(DeepLinear::new(&widths, a.get("rank"))?.local(&ranks)?)
        }),
    },
    Entry {
        name: "softmax_linear",
        summary: "Class probabilities softmax(B A x)",
        parameters: &[
            Parameter::new("inputs", Whole(POSITIVE), "inputs M"),
            Parameter::new("classes", Whole(2..=u32::MAX), "classes C"),
            Parameter::new("hidden", Whole(POSITIVE), "hidden units H"),
            Parameter::new(
                "rank",
                Whole(COUNT),
                "rank of the true logits, centred over the classes; at most min(M, C - 1, H)",
            ),
        ],
        formula: "as reduced_rank_regression with C - 1 outputs",
        conditions: "true probabilities that the model has; not deterministic labels, which have no finite minimum",
        source: "derived in slt-theory, SoftmaxLinear, from Aoyagi & Watanabe (2005); see Aoyagi (2025), arXiv:2501.12747v1",
        example: r#"{"family": "softmax_linear", "inputs": 5, "classes": 6, "hidden": 3, "rank": 0}"#,
        evaluate: Coefficient(Global, |a| {
            let [m, c, h, r] = ["inputs", "classes", "hidden", "rank"].map(|name| a.get(name));
            Ok(SoftmaxLinear::new(m, c, h, r)?
                .learning_coefficient()
                .into())
        }),
    },
    Entry {
        name: "symmetric_factorisation",
        summary: "A positive semidefinite matrix as W Wᵀ",
        parameters: &[
            Parameter::new("dimension", Whole(POSITIVE), "rows d of W"),
            Parameter::new("width", Whole(POSITIVE), "columns K of W"),
            Parameter::new(
                "rank",
                Whole(COUNT),
                "rank r of the truth, at most min(d, K)",
            ),
        ],
        formula: "λ = [rd - r(r - 1)/2]/2 + (d - r)(K - r)/4, m = 1",
        conditions: "the same at every factorisation; also quadratic units with fixed positive output weights",
        source: "derived in slt-theory, SymmetricFactorisation",
        example: r#"{"family": "symmetric_factorisation", "dimension": 4, "width": 4, "rank": 2}"#,
        evaluate: Coefficient(Global, |a| {
            let [d, k, r] = ["dimension", "width", "rank"].map(|name| a.get(name));
            Ok(SymmetricFactorisation::new(d, k, r)?
                .learning_coefficient()
                .into())
        }),
    },
    Entry {
        name: "nmf",
        summary: "Non-negative matrix factorisation X Y",
        parameters: &[
            Parameter::new("rows", Whole(POSITIVE), "rows M of X"),
            Parameter::new("columns", Whole(POSITIVE), "columns N of Y"),
            Parameter::new("inner", Whole(POSITIVE), "components H"),
            Parameter::new(
                "true_inner",
                Whole(COUNT),
                "non-negative rank H₀ of the truth, at most min(M, N, H)",
            ),
            Parameter::new(
                "strictly_positive",
                Flag,
                "the truth is a product of H₀ components with positive entries",
            )
            .or("false"),
        ],
        formula: "H₀ = 0: λ = H min(M, N)/2, m = 1 + H if M = N; strictly positive, H₀ <= 3: as reduced_rank_regression; H = H₀ = 1: (M + N - 1)/2; else λ <= [H₀(M + N - 1) + (H - H₀) min(M, N)]/2, with M + N - 2 and + (H₀ mod 2) if strictly positive",
        conditions: "a bounded prior that is positive up to zero",
        source: "derived in slt-theory, NonNegativeFactorisation; bounds: Hayashi & Watanabe (2017)",
        example: r#"{"family": "nmf", "rows": 2, "columns": 2, "inner": 2, "true_inner": 1, "strictly_positive": true}"#,
        evaluate: Coefficient(Global, |a| {
            let [m, n, h, h0] = ["rows", "columns", "inner", "true_inner"].map(|name| a.get(name));
            let truth = match a.find("strictly_positive").unwrap_or(false) {
                // Up to three positive components of least number are independent.
                true if h0 <= 3 => NmfTruth::PositiveIndependent,
                true => NmfTruth::Positive,
                false => NmfTruth::Any,
            };
            Ok(NonNegativeFactorisation::new(m, n, h, h0, truth)?.learning_coefficient())
        }),
    },
    Entry {
        name: "lda",
        summary: "Latent Dirichlet allocation, or stochastic matrix factorisation",
        parameters: &[
            Parameter::new("words", Whole(POSITIVE), "words M"),
            Parameter::new("documents", Whole(POSITIVE), "documents N"),
            Parameter::new("topics", Whole(POSITIVE), "topics H"),
            Parameter::new(
                "rank",
                Whole(POSITIVE),
                "rank r of the true M × N word matrix, not the number of true topics; at most min(M, N, H)",
            ),
        ],
        formula: "λ = (M - 1)/2 + λ of reduced_rank_regression(N - 1, M - 1, H - 1; r - 1), with its m",
        conditions: "a bounded prior, positive inside the simplices (Dirichlet(1)); a truth with a factorisation of rank r with positive entries",
        source: "Hayashi (2021), arXiv:2008.01304; derived again in slt-theory, LatentDirichlet",
        example: r#"{"family": "lda", "words": 10, "documents": 8, "topics": 5, "rank": 2}"#,
        evaluate: Coefficient(Global, |a| {
            let [m, n, h, r] = ["words", "documents", "topics", "rank"].map(|name| a.get(name));
            Ok(LatentDirichlet::new(m, n, h, r)?
                .learning_coefficient()
                .into())
        }),
    },
    Entry {
        name: "latent_class",
        summary: "Latent classes behind two categorical variables",
        parameters: &[
            Parameter::new("first", Whole(POSITIVE), "values I of the first variable"),
            Parameter::new("second", Whole(POSITIVE), "values J of the second variable"),
            Parameter::new("classes", Whole(POSITIVE), "classes H"),
            Parameter::new(
                "rank",
                Whole(POSITIVE),
                "rank r of the true I × J table, at most min(I, J, H)",
            ),
        ],
        formula: "λ = (I + J - 2)/2 + λ of reduced_rank_regression(I - 1, J - 1, H - 1; r - 1), with its m",
        conditions: "a bounded prior that keeps the class weights away from 0; a truth with a factorisation of rank r with positive entries",
        source: "derived in slt-theory, LatentClass",
        example: r#"{"family": "latent_class", "first": 3, "second": 3, "classes": 2, "rank": 1}"#,
        evaluate: Coefficient(Global, |a| {
            let [i, j, h, r] = ["first", "second", "classes", "rank"].map(|name| a.get(name));
            Ok(LatentClass::new(i, j, h, r)?.learning_coefficient().into())
        }),
    },
    Entry {
        name: "attention",
        summary: "One attention head whose truth is the uniform distribution",
        parameters: &[
            Parameter::new("vocabulary", Whole(2..=u32::MAX), "tokens v"),
            Parameter::new("embedding", Whole(POSITIVE), "dimension e of the embedding"),
        ],
        formula: "as reduced_rank_regression with v inputs, v - 1 outputs, e hidden units, rank 0",
        conditions: "contexts that repeat one token have positive probability",
        source: "derived in slt-theory, Attention",
        example: r#"{"family": "attention", "vocabulary": 3, "embedding": 2}"#,
        evaluate: Coefficient(Global, |a| {
            let head = Attention::new(a.get("vocabulary"), a.get("embedding"))?;
            Ok(head.learning_coefficient().into())
        }),
    },
    Entry {
        name: "linear_in_parameters",
        summary: "A model that is linear in its parameters: linear regression, random features, the lazy (NTK) regime",
        parameters: &[Parameter::new(
            "rank",
            Whole(COUNT),
            "rank of the features' Gram matrix on the data's support",
        )],
        formula: "λ = rank/2, m = 1",
        conditions: "squared error; for several outputs the ranks add",
        source: "Schwarz (1978), in the coordinates that the loss depends on",
        example: r#"{"family": "linear_in_parameters", "rank": 7}"#,
        evaluate: Coefficient(Global, |a| {
            Ok(LinearInParameters::new(a.get("rank"))
                .learning_coefficient()
                .into())
        }),
    },
];
