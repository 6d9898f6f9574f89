//! Networks with nonlinear units.

use slt_theory::{
    FourierSolution, ModularAddition, ModularLoss, OneInputRelu, QuadraticNetwork, ReluTruth,
    ReluUnit, Superposition, TanhNetwork, Vandermonde, quadratic_unit_zero,
};

use crate::entry::Kind::{Choice, Flag, Whole, WholeOr};
use crate::entry::Scope::{Global, Local};
use crate::entry::{COUNT, Entry, Evaluate::Coefficient, POSITIVE, Parameter};

/// The families of this file.
pub const FAMILIES: &[Entry] = &[
    Entry {
        name: "vandermonde",
        summary: "A three-layer network without bias whose units have the powers 1, 1 + Q, 1 + 2Q, …, and zero truth",
        parameters: &[
            Parameter::new("inputs", Whole(POSITIVE), "inputs N"),
            Parameter::new("outputs", Whole(POSITIVE), "outputs M"),
            Parameter::new("hidden", Whole(POSITIVE), "hidden units H"),
            Parameter::new(
                "q",
                Whole(POSITIVE),
                "Q: 2 for odd activations such as tanh, 1 for all powers",
            ),
        ],
        formula: "N = 1: λ = min over k >= 0 of [MQk(k + 1) + 2H]/(4(1 + kQ)), m = 2 at a tie; H = 1: min(M, N)/2, m = 2 if M = N; H = 2: min{M, N, (2N + Q(N - 1 + M))/(2Q + 2)}, m = number of minimisers",
        conditions: "N = 1, H = 1 or H = 2; an upper bound by the sum rule beyond",
        source: "Aoyagi (2009), and (2019), theorem 6; m for H = 2 derived in slt-theory, Vandermonde",
        example: r#"{"family": "vandermonde", "inputs": 3, "outputs": 2, "hidden": 2, "q": 2}"#,
        evaluate: Coefficient(Global, |a| {
            let [n, m, h, q] = ["inputs", "outputs", "hidden", "q"].map(|name| a.get(name));
            Ok(Vandermonde::new(n, m, h, q)?.learning_coefficient())
        }),
    },
    Entry {
        name: "tanh_network",
        summary: "A three-layer network Σ a_i tanh(b_i x) with one input, whose truth is a smaller one",
        parameters: &[
            Parameter::new("outputs", Whole(POSITIVE), "outputs M"),
            Parameter::new("hidden", Whole(POSITIVE), "hidden units H"),
            Parameter::new(
                "true_hidden",
                Whole(COUNT),
                "hidden units r of the truth, at most H; 0 for the zero function",
            ),
        ],
        formula: "λ = r(M + 1)/2 + min(A, C), with e = H - r, A = min_k [2Mk(k + 1) + 2e]/(4(1 + 2k)) and, for r > 0, C = min_k [2e + (M - 1)k(k + 1) + k(k - 1)]/(4(1 + k)); m = 2 where two k tie",
        conditions: "no bias; the truth's units have nonzero weights, and input weights of distinct size",
        source: "Aoyagi (2009) for r = 0; derived in slt-theory, TanhNetwork",
        example: r#"{"family": "tanh_network", "outputs": 1, "hidden": 3, "true_hidden": 1}"#,
        evaluate: Coefficient(Global, |a| {
            let [m, h, r] = ["outputs", "hidden", "true_hidden"].map(|name| a.get(name));
            Ok(TanhNetwork::new(m, h, r)?.learning_coefficient().into())
        }),
    },
    Entry {
        name: "quadratic_network",
        summary: "A two-layer network of quadratic units, f_c(x) = Σ_k V_ck (w_k·x)², at a generic solution",
        parameters: &[
            Parameter::new("inputs", Whole(POSITIVE), "inputs d"),
            Parameter::new("outputs", Whole(POSITIVE), "outputs m"),
            Parameter::new("width", Whole(POSITIVE), "units K"),
        ],
        formula: "λ = rank/2, m = 1, rank = min(K(d + m - 1), mq, and K(m + q - K) if K <= min(m, q)), q = d(d + 1)/2; for one output Kd - K(K - 1)/2 up to K = d; one less at the sporadic defects",
        conditions: "inputs that see every quadratic form; a solution where the Jacobian has its generic rank; an upper bound where that rank is not proven",
        source: "derived in slt-theory, QuadraticNetwork; defects: Abo & Brambilla (2009); arXiv:2603.01192v3 differs where d + m - 1 is not the rank of a unit",
        example: r#"{"family": "quadratic_network", "inputs": 3, "outputs": 3, "width": 4}"#,
        evaluate: Coefficient(Local, |a| {
            let [d, m, k] = ["inputs", "outputs", "width"].map(|name| a.get(name));
            Ok(QuadraticNetwork::new(d, m, k)?.learning_coefficient())
        }),
    },
    Entry {
        name: "quadratic_unit_zero",
        summary: "One quadratic unit V (w·x)² with zero truth",
        parameters: &[
            Parameter::new(
                "inputs",
                Whole(POSITIVE),
                "directions d of w that the data see (2p - 1 for one-hot pairs modulo p)",
            ),
            Parameter::new("outputs", Whole(POSITIVE), "outputs m"),
        ],
        formula: "λ = min(m/2, d/4), with multiplicity 2 if d = 2m, else 1",
        conditions: "the zero function is in the prior's support",
        source: "derived in slt-theory, quadratic_unit_zero: a product of two radial germs",
        example: r#"{"family": "quadratic_unit_zero", "inputs": 4, "outputs": 2}"#,
        evaluate: Coefficient(Global, |a| {
            Ok(quadratic_unit_zero(a.get("inputs"), a.get("outputs"))?.into())
        }),
    },
    Entry {
        name: "modular_addition",
        summary: "Addition modulo p by a quadratic network on one-hot pairs, at a generic solution",
        parameters: &[
            Parameter::new("modulus", Whole(2..=u32::MAX), "modulus p"),
            Parameter::new("width", Whole(POSITIVE), "units K"),
            Parameter::new(
                "loss",
                Choice(&["mse", "softmax"]),
                "squared error, or the cross-entropy of the softmax",
            ),
            Parameter::new(
                "pairs",
                WholeOr(POSITIVE, "all"),
                "different training pairs n, at most p²",
            )
            .or("\"all\""),
            Parameter::new(
                "centred",
                Flag,
                "take the mean over the samples off each output; mse only",
            )
            .or("false"),
        ],
        formula: "λ = rank/2, m = 1, rank = min(K(3p - 2), pn) for mse, min(K(3p - 3), (p - 1)n) for softmax; centred: n - 1 in place of n",
        conditions: "a solution where the Jacobian has its generic rank; for softmax a truth that the model has; an upper bound where that rank is not proven",
        source: "derived in slt-theory, ModularAddition; arXiv:2603.01192v3 has 3p - 1 and p²(2p + 1), which are too large on one-hot pairs",
        example: r#"{"family": "modular_addition", "modulus": 53, "width": 1024, "loss": "mse", "pairs": 1123, "centred": true}"#,
        evaluate: Coefficient(Local, |a| {
            let loss = match (a.get("loss"), a.find("centred").unwrap_or(false)) {
                ("softmax", true) => {
                    anyhow::bail!("\"centred\" must be false for the loss softmax")
                }
                ("softmax", false) => ModularLoss::Softmax,
                (_, true) => ModularLoss::CentredSquared,
                (_, false) => ModularLoss::Squared,
            };
            let modulus: u32 = a.get("modulus");
            let n_pairs = a.find("pairs").unwrap_or(u64::from(modulus).pow(2));
            Ok(
                ModularAddition::new(modulus, a.get("width"), loss, n_pairs)?
                    .learning_coefficient(),
            )
        }),
    },
    Entry {
        name: "modular_fourier",
        summary: "Addition modulo p by 2p - 1 quadratic units with cosines and sines as weights: that solution",
        parameters: &[Parameter::new(
            "modulus",
            Whole(POSITIVE),
            "modulus p, odd, from 3 to 25",
        )],
        formula: "λ = (6p² - 10p + 5)/2, m = 1; if 3 divides p, λ >= half the rank of the Jacobian",
        conditions: "squared error on all pairs",
        source: "derived in slt-theory, FourierSolution",
        example: r#"{"family": "modular_fourier", "modulus": 5}"#,
        evaluate: Coefficient(Local, |a| {
            Ok(FourierSolution::new(a.get("modulus"))?.learning_coefficient())
        }),
    },
    Entry {
        name: "superposition",
        summary: "A regular polygon of the toy model of superposition with two hidden dimensions",
        parameters: &[
            Parameter::new("features", Whole(POSITIVE), "features n"),
            Parameter::new(
                "vertices",
                Whole(POSITIVE),
                "vertices k of the polygon, 4 to 8, at most n",
            ),
            Parameter::new(
                "dead_bias",
                Choice(&["negative", "positive"]),
                "sign of the bias of the n - k dead features",
            ),
        ],
        formula: "λ = (3k - 1)/2 + (3/2)(dead features of positive bias), and 1 for each of negative bias if k = 4; m = 1",
        conditions: "of L - L(w*) at that minimum, whose loss is positive; one-hot features, uniform on [0, 1]",
        source: "Chen, Lau, Mendel, Wei & Murfet (2023), arXiv:2310.06301; k = 4 derived in slt-theory, Superposition",
        example: r#"{"family": "superposition", "features": 6, "vertices": 5, "dead_bias": "negative"}"#,
        evaluate: Coefficient(Local, |a| {
            let [n, k] = ["features", "vertices"].map(|name| a.get::<u32>(name));
            let n_positive = match a.get("dead_bias") {
                "positive" => n.saturating_sub(k),
                _ => 0,
            };
            Ok(Superposition::new(n, k, n_positive)?
                .learning_coefficient()
                .into())
        }),
    },
    Entry {
        name: "relu_unit",
        summary: "One unit a relu(b·x) with zero truth",
        parameters: &[Parameter::new("dimension", Whole(POSITIVE), "inputs d")],
        formula: "λ = 1/2, m = 2 for d = 1, else 1",
        conditions: "no bias; inputs with a positive density around 0",
        source: "derived in slt-theory, ReluUnit",
        example: r#"{"family": "relu_unit", "dimension": 3}"#,
        evaluate: Coefficient(Global, |a| {
            Ok(ReluUnit::new(a.get("dimension"))?
                .learning_coefficient()
                .into())
        }),
    },
    Entry {
        name: "relu_network",
        summary: "A ReLU network with one input, one output and no bias",
        parameters: &[
            Parameter::new("hidden", Whole(POSITIVE), "hidden units H"),
            Parameter::new(
                "truth",
                Choice(&["zero", "half_line", "line"]),
                "where the truth is not zero: nowhere, on one half-line, or on both",
            ),
        ],
        formula: "zero: λ = 1/2 (m = 2 for H = 1); half line: 1/2; line: 1; m = 1 otherwise",
        conditions: "inputs on both half-lines; a truth on both needs H >= 2",
        source: "derived in slt-theory, OneInputRelu",
        example: r#"{"family": "relu_network", "hidden": 5, "truth": "line"}"#,
        evaluate: Coefficient(Global, |a| {
            let truth = match a.get("truth") {
                "zero" => ReluTruth::Zero,
                "half_line" => ReluTruth::HalfLine,
                _ => ReluTruth::Line,
            };
            Ok(OneInputRelu::new(a.get("hidden"), truth)?
                .learning_coefficient()
                .into())
        }),
    },
];
