//! One small instance of each kind of singular model on the slides' list.
//!
//! A model is a vector-valued function of its parameters. For a density it holds the probability of every outcome: all outcomes where they are
//! finitely many, else the nodes of a trapezoidal rule (exact to rounding for these densities). For a regression with unit noise it
//! holds the mean at every input. From that one function, its value at w* and its Jacobian come
//! ```text
//! density:      K = Σ p*_j (r_j - log(1 + r_j)),  r_j = p_j/p*_j - 1;   Fisher information Σ ∂p_j ∂p_j'/p_j
//! regression:   K = ½ Σ ρ_j (f_j - f*_j)²;                             Fisher information Σ ρ_j ∂f_j ∂f_j'
//! ```
//! The divergence is exact: `Σ p_j - Σ p*_j = 0` is added to it, so that every term is positive and none cancels. The Jacobian is by central
//! differences, relative 1e-10; the gradient of K has r or `f - f*` as a factor, and so loses no digits near w*.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};
use slt_sampler::{Batch, Target};

/// The kinds, in the slides' order, after the slides' two examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Gaussian,
    CubicGaussian,
    LayeredNetwork,
    RadialBasis,
    NormalMixture,
    BinomialMixture,
    MultinomialMixture,
    Contaminated,
    ReducedRank,
    BoltzmannMachine,
    BayesNetwork,
    HiddenMarkov,
    Grammar,
}

impl Kind {
    pub const ALL: [Self; 13] = [
        Self::Gaussian,
        Self::CubicGaussian,
        Self::LayeredNetwork,
        Self::RadialBasis,
        Self::NormalMixture,
        Self::BinomialMixture,
        Self::MultinomialMixture,
        Self::Contaminated,
        Self::ReducedRank,
        Self::BoltzmannMachine,
        Self::BayesNetwork,
        Self::HiddenMarkov,
        Self::Grammar,
    ];

    /// The singular parameter w*; of the Gaussian, the regular one.
    pub fn anchor(self) -> Vec<f64> {
        match self {
            Self::Gaussian | Self::CubicGaussian => vec![0.0],
            Self::LayeredNetwork => vec![0.0; 4],
            Self::RadialBasis => vec![0.5, 0.0, 0.5, 0.0],
            Self::NormalMixture | Self::BinomialMixture | Self::BoltzmannMachine => vec![0.0; 3],
            Self::MultinomialMixture => vec![0.0; 5],
            Self::Contaminated => vec![0.0; 2],
            Self::ReducedRank => vec![0.0; 8],
            Self::BayesNetwork => vec![0.0; 7],
            Self::HiddenMarkov | Self::Grammar => vec![0.0; 4],
        }
    }

    /// Its name in records and in the table.
    pub fn id(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::CubicGaussian => "cubic-gaussian",
            Self::LayeredNetwork => "layered-network",
            Self::RadialBasis => "radial-basis",
            Self::NormalMixture => "normal-mixture",
            Self::BinomialMixture => "binomial-mixture",
            Self::MultinomialMixture => "multinomial-mixture",
            Self::Contaminated => "contaminated",
            Self::ReducedRank => "reduced-rank",
            Self::BoltzmannMachine => "boltzmann-machine",
            Self::BayesNetwork => "bayes-network",
            Self::HiddenMarkov => "hidden-markov",
            Self::Grammar => "grammar",
        }
    }

    /// What the slides call it, and what is taken here.
    pub fn describe(self) -> [&'static str; 2] {
        match self {
            Self::Gaussian => ["Gaussian", "exp(-(x - w)²)/√π"],
            Self::CubicGaussian => ["cubically parameterised Gaussian", "exp(-(x - w³)²)/√π"],
            Self::LayeredNetwork => [
                "layered neural networks",
                "a₁ tanh(b₁x) + a₂ tanh(b₂x), truth 0",
            ],
            Self::RadialBasis => [
                "radial basis functions",
                "a₁ exp(-(x - c₁)²/2) + a₂ exp(-(x - c₂)²/2), truth one of them",
            ],
            Self::NormalMixture => [
                "normal mixtures",
                "two normals with free means and weight, truth one",
            ],
            Self::BinomialMixture => [
                "binomial mixtures",
                "two binomials of 4 trials with free weight, truth a fair one",
            ],
            Self::MultinomialMixture => [
                "multinomial mixtures",
                "two trinomials of 3 trials with free weight, truth a uniform one",
            ],
            Self::Contaminated => [
                "mixtures of statistical models",
                "(1 - a) N(0, 1) + a N(b, 1), a = v²/(1 + v²), truth N(0, 1)",
            ],
            Self::ReducedRank => ["reduced rank regressions", "BA, 2-2-2, truth 0"],
            Self::BoltzmannMachine => [
                "Boltzmann machines",
                "3 visible units, 1 hidden, truth uniform",
            ],
            Self::BayesNetwork => [
                "Bayes networks",
                "naive Bayes, 3 binary features, truth independent",
            ],
            Self::HiddenMarkov => [
                "hidden Markov models",
                "2 states, 2 symbols, 3 steps, truth fair coins",
            ],
            Self::Grammar => [
                "stochastic context-free grammars",
                "S → XSX | YSY | nothing, X and Y → a | b, truth all even",
            ],
        }
    }

    /// The weights of inputs, if it is a regression.
    fn inputs(self) -> Option<Vec<f64>> {
        match self {
            Self::LayeredNetwork => Some(vec![0.2; 5]),
            Self::RadialBasis => Some(vec![1.0 / 13.0; 13]),
            Self::ReducedRank => Some(vec![1.0; 4]),
            _ => None,
        }
    }

    /// The function at w.
    fn values(self, w: &[f64], out: &mut Vec<f64>) {
        out.clear();
        match self {
            Self::Gaussian => out.extend(normals(w[0], 0.5, 0.4)),
            Self::CubicGaussian => out.extend(normals(w[0].powi(3), 0.5, 0.4)),
            Self::LayeredNetwork => out.extend((1..=5).map(|i| {
                let x = 0.5 * f64::from(i);
                w[0] * (w[1] * x).tanh() + w[2] * (w[3] * x).tanh()
            })),
            Self::RadialBasis => out.extend((-6..=6).map(|i| {
                let x = 0.5 * f64::from(i);
                let bump = |c: f64| (-0.5 * (x - c) * (x - c)).exp();
                w[0] * bump(w[1]) + w[2] * bump(w[3])
            })),
            Self::NormalMixture => {
                let share = sigmoid(w[2]);
                let pairs = normals(w[0], 1.0, 0.5).zip(normals(w[1], 1.0, 0.5));
                out.extend(pairs.map(|(p, q)| share * p + (1.0 - share) * q));
            }
            Self::BinomialMixture => {
                let (share, p, q) = (sigmoid(w[2]), sigmoid(w[0]), sigmoid(w[1]));
                let binomial = |k: i32, p: f64| p.powi(k) * (1.0 - p).powi(4 - k);
                let counts = [1.0, 4.0, 6.0, 4.0, 1.0];
                out.extend((0..5).zip(counts).map(|(k, count)| {
                    count * (share * binomial(k, p) + (1.0 - share) * binomial(k, q))
                }));
            }
            Self::MultinomialMixture => {
                let share = sigmoid(w[4]);
                let (p, q) = (softmax([0.0, w[0], w[1]]), softmax([0.0, w[2], w[3]]));
                for i in 0..=3i32 {
                    for j in 0..=3 - i {
                        let k = 3 - i - j;
                        let factorial = |n: i32| f64::from((1..=n).product::<i32>());
                        let count = 6.0 / (factorial(i) * factorial(j) * factorial(k));
                        let one = |p: &[f64; 3]| p[0].powi(i) * p[1].powi(j) * p[2].powi(k);
                        out.push(count * (share * one(&p) + (1.0 - share) * one(&q)));
                    }
                }
            }
            Self::Contaminated => {
                let share = w[0] * w[0] / (1.0 + w[0] * w[0]);
                let pairs = normals(0.0, 1.0, 0.5).zip(normals(w[1], 1.0, 0.5));
                out.extend(pairs.map(|(p, q)| p + share * (q - p)));
            }
            Self::ReducedRank => {
                let (a, b) = w.split_at(4);
                for i in 0..2 {
                    out.extend((0..2).map(|j| b[2 * i] * a[j] + b[2 * i + 1] * a[2 + j]));
                }
            }
            Self::BoltzmannMachine => {
                let energy = |state: usize| {
                    let spin = |i: usize| if state >> i & 1 == 1 { w[i] } else { -w[i] };
                    (spin(0) + spin(1) + spin(2)).cosh()
                };
                out.extend((0..8).map(energy));
                let sum: f64 = out.iter().sum();
                out.iter_mut().for_each(|p| *p /= sum);
            }
            Self::BayesNetwork => {
                let share = sigmoid(w[6]);
                let pairs = [0, 1, 2].map(|i| logits(w[i], w[3 + i], share));
                let class = |state: usize, class: usize| -> f64 {
                    let features = (0..3).map(|i| coin(state >> i & 1 == 1, pairs[i][class]));
                    features.product()
                };
                out.extend((0..8).map(|x| share * class(x, 0) + (1.0 - share) * class(x, 1)));
            }
            Self::HiddenMarkov => out.extend((0..8).map(|x| markov(w, x))),
            Self::Grammar => grammar(w, out),
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Two probabilities, from the mean of their logits, in which the first has this share, and the difference of the logits. The mean is what a mixture
/// shows first, and the difference may be large where it shows nothing.
fn logits(mean: f64, difference: f64, share: f64) -> [f64; 2] {
    [
        sigmoid(mean + (1.0 - share) * difference),
        sigmoid(mean - share * difference),
    ]
}

fn softmax(x: [f64; 3]) -> [f64; 3] {
    let e = x.map(f64::exp);
    let sum: f64 = e.iter().sum();
    e.map(|e| e / sum)
}

fn coin(heads: bool, p: f64) -> f64 {
    if heads { p } else { 1.0 - p }
}

/// The normal density at the nodes of a trapezoidal rule of this step, 20 on each side of 0, times the step.
fn normals(mean: f64, variance: f64, step: f64) -> impl Iterator<Item = f64> {
    let norm = step / (std::f64::consts::TAU * variance).sqrt();
    (-20..=20).map(move |i| {
        let x = step * f64::from(i) - mean;
        norm * (-0.5 * x * x / variance).exp()
    })
}

/// The probability of three symbols, by the forward recursion. `w`: mean and half the difference of the two states' logits of staying, and of the
/// first symbol.
fn markov(w: &[f64], symbols: usize) -> f64 {
    let stay = logits(w[0], 2.0 * w[1], 0.5);
    let first = logits(w[2], 2.0 * w[3], 0.5);
    let emit = |state: usize, t: usize| coin(symbols >> t & 1 == 1, first[state]);
    let mut forward = [0.5 * emit(0, 0), 0.5 * emit(1, 0)];
    for t in 1..3 {
        let [a, b] = forward;
        forward = [
            (a * stay[0] + b * (1.0 - stay[1])) * emit(0, t),
            (a * (1.0 - stay[0]) + b * stay[1]) * emit(1, t),
        ];
    }
    forward[0] + forward[1]
}

/// The probabilities of all strings of at most four letters, and of longer ones. `w`: logits of going on and of X, mean and difference of
/// the logits of the letter a from X and from Y. The first and the last letter of a string come from one symbol.
fn grammar(w: &[f64], out: &mut Vec<f64>) {
    let (on, x) = (sigmoid(w[0]), sigmoid(w[1]));
    let [a, b] = logits(w[2], w[3], x);
    let pair = |first: bool, last: bool| {
        x * coin(first, a) * coin(last, a) + (1.0 - x) * coin(first, b) * coin(last, b)
    };
    fn derive(string: &[bool], on: f64, pair: &dyn Fn(bool, bool) -> f64) -> f64 {
        match string {
            [first, inner @ .., last] => on * pair(*first, *last) * derive(inner, on, pair),
            _ => 1.0 - on,
        }
    }
    for length in [0, 2, 4] {
        for code in 0..1usize << length {
            let string: Vec<bool> = (0..length).map(|i| code >> i & 1 == 1).collect();
            out.push(derive(&string, on, &pair));
        }
    }
    out.push(on.powi(3));
}

/// The expected loss of a model around its anchor, as a target.
#[derive(Debug, Clone)]
pub struct Model {
    kind: Kind,
    anchor: Vec<f64>,
    truth: Vec<f64>,
    /// Weights of inputs; none for a density.
    inputs: Option<Vec<f64>>,
    values: Vec<f64>,
    above: Vec<f64>,
    below: Vec<f64>,
}

impl Model {
    pub fn new(kind: Kind) -> Self {
        let mut truth = Vec::new();
        kind.values(&kind.anchor(), &mut truth);
        Self {
            kind,
            anchor: kind.anchor(),
            truth,
            inputs: kind.inputs(),
            values: Vec::new(),
            above: Vec::new(),
            below: Vec::new(),
        }
    }

    pub fn anchor(&self) -> &[f64] {
        &self.anchor
    }

    /// The probability of each outcome at w*, if it is a density.
    pub fn probabilities(&self) -> Option<&[f64]> {
        self.inputs.is_none().then_some(self.truth.as_slice())
    }

    /// How much each value weighs at w: its probability, or that of its input.
    pub fn weights(&self, w: &[f64]) -> Vec<f64> {
        self.inputs.clone().unwrap_or_else(|| {
            let mut values = Vec::new();
            self.kind.values(w, &mut values);
            values
        })
    }

    /// The scores at w, `[n_values, d]`, each row times the square root of its weight, so that the Fisher information is their
    /// product `s's`.
    pub fn weighted_scores(&self, w: &[f64]) -> Array2<f64> {
        let mut values = Vec::new();
        self.kind.values(w, &mut values);
        let mut jacobian = Array2::zeros((values.len(), w.len()));
        let mut at = w.to_vec();
        let (mut above, mut below) = (Vec::new(), Vec::new());
        for j in 0..w.len() {
            self.differences(&mut at, j, &mut above, &mut below);
            jacobian
                .column_mut(j)
                .assign(&ndarray::ArrayView1::from(&above));
        }
        for (i, mut row) in jacobian.rows_mut().into_iter().enumerate() {
            row *= match &self.inputs {
                Some(weights) => weights[i].sqrt(),
                None => values[i].sqrt().recip(),
            };
        }
        jacobian
    }

    /// The derivatives of all values by parameter j, into `above`.
    fn differences(&self, w: &mut [f64], j: usize, above: &mut Vec<f64>, below: &mut Vec<f64>) {
        let centre = w[j];
        let step = f64::EPSILON.cbrt() * centre.abs().max(1.0);
        w[j] = centre + step;
        self.kind.values(w, above);
        w[j] = centre - step;
        self.kind.values(w, below);
        w[j] = centre;
        for (above, below) in above.iter_mut().zip(below) {
            *above = (*above - *below) / (2.0 * step);
        }
    }

    /// K, and what multiplies the derivative of each value in its gradient, in the place of the values.
    fn divergence(&mut self, w: &[f64]) -> f64 {
        self.kind.values(w, &mut self.values);
        let mut sum = 0.0;
        for (j, (value, &truth)) in self.values.iter_mut().zip(&self.truth).enumerate() {
            match &self.inputs {
                Some(weights) => {
                    let residual = *value - truth;
                    sum += 0.5 * weights[j] * residual * residual;
                    *value = weights[j] * residual;
                }
                None => {
                    let r = (*value - truth) / truth;
                    sum += truth * excess(r);
                    *value = r / (1.0 + r);
                }
            }
        }
        sum
    }
}

/// `r - log(1 + r)`, without cancellation at small r.
fn excess(r: f64) -> f64 {
    if r.abs() < 1e-3 {
        r * r * (0.5 - r * (1.0 / 3.0 - r * (0.25 - r * (0.2 - r * (1.0 / 6.0 - r / 7.0)))))
    } else {
        r - r.ln_1p()
    }
}

impl Target for Model {
    fn n_params(&self) -> usize {
        self.anchor.len()
    }

    /// The loss is an expectation: no samples are left out.
    fn n_samples(&self) -> usize {
        1
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        mut grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        assert!(
            matches!(batch, Batch::Full),
            "an expected loss has no samples"
        );
        let (mut above, mut below) = (
            std::mem::take(&mut self.above),
            std::mem::take(&mut self.below),
        );
        for ((row, mut grad), loss) in rows.rows().into_iter().zip(grad.rows_mut()).zip(loss) {
            let mut w = row.to_vec();
            *loss = self.divergence(&w);
            for (j, g) in grad.iter_mut().enumerate() {
                self.differences(&mut w, j, &mut above, &mut below);
                *g = self.values.iter().zip(&above).map(|(f, d)| f * d).sum();
            }
        }
        (self.above, self.below) = (above, below);
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        for (row, loss) in rows.rows().into_iter().zip(loss) {
            let row = row.to_vec();
            *loss = self.divergence(&row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;

    /// A point away from w*.
    fn point(kind: Kind) -> Vec<f64> {
        let anchor = kind.anchor();
        let offset = |i: usize| 0.3 + 0.1 * (i as f64) * (-1f64).powi(i as i32);
        anchor
            .iter()
            .enumerate()
            .map(|(i, w)| w + offset(i))
            .collect()
    }

    #[test]
    fn probabilities_add_to_one() {
        for kind in Kind::ALL {
            let model = Model::new(kind);
            for w in [kind.anchor(), point(kind)] {
                let mut values = Vec::new();
                kind.values(&w, &mut values);
                if model.probabilities().is_some() {
                    let sum: f64 = values.iter().sum();
                    assert!((sum - 1.0).abs() < 1e-12, "{kind:?}: {sum}");
                }
            }
        }
    }

    /// K vanishes at w* alone, and its gradient is that of central differences.
    #[test]
    fn the_gradient_is_that_of_the_loss() {
        for kind in Kind::ALL {
            let mut model = Model::new(kind);
            let d = model.n_params();
            let mut loss = [f64::NAN];
            let anchor = Array1::from(kind.anchor()).insert_axis(ndarray::Axis(0));
            model.loss(anchor.view(), &mut loss);
            assert_eq!(loss[0], 0.0, "{kind:?}");
            let w = Array1::from(point(kind));
            let mut grad = Array2::zeros((1, d));
            let row = w.clone().insert_axis(ndarray::Axis(0));
            model.loss_and_grad(row.view(), Batch::Full, grad.view_mut(), &mut loss);
            assert!(loss[0] > 1e-8, "{kind:?}: {}", loss[0]);
            for j in 0..d {
                let mut at = |t: f64| {
                    let mut moved = row.clone();
                    moved[[0, j]] += t;
                    let mut loss = [f64::NAN];
                    model.loss(moved.view(), &mut loss);
                    loss[0]
                };
                let h = 1e-4;
                let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
                let error = (slope - grad[[0, j]]).abs();
                assert!(error < 1e-8 * (1.0 + slope.abs()), "{kind:?} {j}: {error}");
            }
        }
    }

    /// The Fisher information is the Hessian of K at w*: `K(tv) -> ½ t² v'Iv`.
    #[test]
    fn the_divergence_bends_as_the_information_says() {
        for kind in Kind::ALL {
            let mut model = Model::new(kind);
            let scores = model.weighted_scores(&kind.anchor());
            let v = Array1::from_shape_fn(model.n_params(), |i| 1.0 + 0.3 * i as f64);
            let along = scores.dot(&v);
            let t = 1e-4;
            let row = (Array1::from(kind.anchor()) + t * &v).insert_axis(ndarray::Axis(0));
            let mut loss = [f64::NAN];
            model.loss(row.view(), &mut loss);
            let error = (loss[0] / (0.5 * t * t) - along.dot(&along)).abs();
            assert!(
                error < 1e-3 * (1.0 + along.dot(&along)),
                "{kind:?}: {error}"
            );
        }
    }

    /// By hand: KL of two normals of variance ½ is the square of the difference of the means.
    #[test]
    fn normals_have_their_divergence() {
        let mut loss = [f64::NAN; 2];
        let rows = ndarray::array![[0.3], [-0.7]];
        Model::new(Kind::Gaussian).loss(rows.view(), &mut loss);
        assert!((loss[0] - 0.09).abs() < 1e-12 && (loss[1] - 0.49).abs() < 1e-12);
        Model::new(Kind::CubicGaussian).loss(rows.view(), &mut loss);
        assert!((loss[1] - 0.7f64.powi(6)).abs() < 1e-12);
    }

    /// Three steps of a chain by brute force over its states.
    #[test]
    fn sequences_have_the_probability_of_their_paths() {
        let w = [0.1, 0.3, 0.1, 0.6];
        let logits = [0.4, -0.2, 0.7, -0.5];
        for symbols in 0..8usize {
            let mut sum = 0.0;
            for path in 0..8usize {
                let state = |t: usize| path >> t & 1;
                let mut p = 0.5;
                for t in 0..3 {
                    p *= coin(symbols >> t & 1 == 1, sigmoid(logits[2 + state(t)]));
                    if t > 0 {
                        p *= coin(state(t) == state(t - 1), sigmoid(logits[state(t - 1)]));
                    }
                }
                sum += p;
            }
            assert!((sum - markov(&w, symbols)).abs() < 1e-15);
        }
    }
}
