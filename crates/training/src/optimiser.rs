//! Optimisers on rows, with PyTorch's update formulas.

use multiversion::multiversion;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use serde::{Deserialize, Serialize};

/// Why an optimiser's settings are refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name} is {value}; expected {expected}")]
pub struct OptimiserError {
    name: &'static str,
    value: f64,
    expected: &'static str,
}

fn check(
    ok: bool,
    name: &'static str,
    value: f64,
    expected: &'static str,
) -> Result<(), OptimiserError> {
    if ok {
        Ok(())
    } else {
        Err(OptimiserError {
            name,
            value,
            expected,
        })
    }
}

/// Gradient descent with momentum: `b <- momentum b + g` (`b = g` at first), `w <- w - learning_rate b`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    /// Step of the descent.
    pub learning_rate: f64,
    /// Share of the last update that is kept.
    pub momentum: f64,
}

/// Settings of Adam (Kingma and Ba 2015, arXiv:1412.6980), with either weight decay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// Step of the descent.
    pub learning_rate: f64,
    /// Decay rate of the mean gradient.
    pub beta1: f64,
    /// Decay rate of the mean squared gradient.
    pub beta2: f64,
    /// Added to the root of the mean squared gradient.
    pub epsilon: f64,
    /// [`Optimiser::Adam`] adds `weight_decay * w` to the gradient; under [`Optimiser::AdamW`] weights shrink by
    /// `learning_rate * weight_decay` each step.
    pub weight_decay: f64,
}

/// An optimiser by name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimiser {
    /// Gradient descent with momentum.
    Sgd(Sgd),
    /// Adam whose weight decay is part of the gradient, as in PyTorch's `Adam`.
    Adam(Adam),
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101), as in PyTorch's `AdamW`.
    AdamW(Adam),
}

/// The moments that an optimiser keeps of every row; unused ones have no columns.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimiserState {
    /// Momentum or mean gradient, shape `[n_rows, d]`.
    pub first: Array2<f64>,
    /// Mean squared gradient, shape `[n_rows, d]`.
    pub second: Array2<f64>,
}

impl Optimiser {
    /// Refuses settings that no descent has.
    ///
    /// # Errors
    /// [`OptimiserError`] names the first setting out of range.
    pub fn validate(&self) -> Result<(), OptimiserError> {
        let positive = |v: f64| 0.0 < v && v.is_finite();
        let share = |v: f64| (0.0..1.0).contains(&v);
        match *self {
            Self::Sgd(Sgd {
                learning_rate,
                momentum,
            }) => {
                check(
                    positive(learning_rate),
                    "learning_rate",
                    learning_rate,
                    "a positive number",
                )?;
                check(share(momentum), "momentum", momentum, "a number in [0, 1)")
            }
            Self::Adam(adam) | Self::AdamW(adam) => {
                let Adam {
                    learning_rate,
                    beta1,
                    beta2,
                    epsilon,
                    weight_decay,
                } = adam;
                check(
                    positive(learning_rate),
                    "learning_rate",
                    learning_rate,
                    "a positive number",
                )?;
                check(share(beta1), "beta1", beta1, "a number in [0, 1)")?;
                check(share(beta2), "beta2", beta2, "a number in [0, 1)")?;
                check(positive(epsilon), "epsilon", epsilon, "a positive number")?;
                check(
                    0.0 <= weight_decay && weight_decay.is_finite(),
                    "weight_decay",
                    weight_decay,
                    "zero or a positive number",
                )
            }
        }
    }

    /// The same optimiser with another learning rate and weight decay.
    ///
    /// # Errors
    /// [`OptimiserError`] where one of them is out of range, or a weight decay is asked of [`Self::Sgd`], which has none.
    pub fn with(self, learning_rate: f64, weight_decay: f64) -> Result<Self, OptimiserError> {
        let of = |adam| Adam {
            learning_rate,
            weight_decay,
            ..adam
        };
        let changed = match self {
            Self::Adam(adam) => Self::Adam(of(adam)),
            Self::AdamW(adam) => Self::AdamW(of(adam)),
            Self::Sgd(sgd) => {
                let none = "0 under sgd, which has no weight decay";
                check(weight_decay == 0.0, "weight_decay", weight_decay, none)?;
                Self::Sgd(Sgd {
                    learning_rate,
                    ..sgd
                })
            }
        };
        changed.validate()?;
        Ok(changed)
    }

    /// The state before the first step of `n_rows` rows with `d` parameters.
    pub fn start(&self, n_rows: usize, d: usize) -> OptimiserState {
        let moment = |used| Array2::zeros((n_rows, if used { d } else { 0 }));
        match self {
            Self::Sgd(sgd) => OptimiserState {
                first: moment(sgd.momentum != 0.0),
                second: moment(false),
            },
            Self::Adam(_) | Self::AdamW(_) => OptimiserState {
                first: moment(true),
                second: moment(true),
            },
        }
    }

    /// Step number `step` (from 0) of every row.
    ///
    /// Shapes: `rows` and `grad`: `[n_rows, d]`; moments as [`Optimiser::start`] made them.
    pub fn step(
        &self,
        step: u64,
        mut rows: ArrayViewMut2<f64>,
        grad: ArrayView2<f64>,
        mut first: ArrayViewMut2<f64>,
        mut second: ArrayViewMut2<f64>,
    ) {
        for (i, mut w) in rows.axis_iter_mut(Axis(0)).enumerate() {
            let w = w.as_slice_mut().expect("rows are contiguous");
            let g = grad.index_axis_move(Axis(0), i);
            let g = g.to_slice().expect("gradients are contiguous");
            let mut first = first.row_mut(i);
            let first = first.as_slice_mut().expect("moments are contiguous");
            match self {
                Self::Sgd(sgd) if first.is_empty() => {
                    w.iter_mut()
                        .zip(g)
                        .for_each(|(w, g)| *w -= sgd.learning_rate * g);
                }
                Self::Sgd(sgd) => {
                    for ((w, &g), b) in w.iter_mut().zip(g).zip(first) {
                        *b = or_nothing(sgd.momentum * *b + g);
                        *w -= sgd.learning_rate * *b;
                    }
                }
                Self::Adam(adam) | Self::AdamW(adam) => {
                    let mut second = second.row_mut(i);
                    let second = second.as_slice_mut().expect("moments are contiguous");
                    let decay = match self {
                        Self::Adam(_) => Decay::Coupled,
                        _ => Decay::Decoupled,
                    };
                    adam_row(adam, decay, step, w, g, first, second);
                }
            }
        }
    }
}

/// The number, or 0 where it is below `1e-150`. The mean gradient of a unit that is off falls by a factor at every step; it would end at numbers with too
/// small an exponent, with which arithmetic is many times slower.
#[inline(always)]
fn or_nothing(v: f64) -> f64 {
    if v.abs() < 1e-150 { 0.0 } else { v }
}

/// What weight decay acts on.
#[derive(Debug, Clone, Copy)]
enum Decay {
    /// The gradient.
    Coupled,
    /// The weights.
    Decoupled,
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn adam_row(
    c: &Adam,
    decay: Decay,
    step: u64,
    w: &mut [f64],
    g: &[f64],
    m: &mut [f64],
    v: &mut [f64],
) {
    let t = i32::try_from(step + 1).expect("fewer than 2^31 steps");
    let (pull, keep) = match decay {
        Decay::Coupled => (c.weight_decay, 1.0),
        Decay::Decoupled => (0.0, 1.0 - c.learning_rate * c.weight_decay),
    };
    let rate = c.learning_rate / (1.0 - c.beta1.powi(t));
    let root = (1.0 - c.beta2.powi(t)).sqrt().recip();
    for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
        let g = g + pull * *w;
        *m = or_nothing(c.beta1 * *m + (1.0 - c.beta1) * g);
        *v = c.beta2 * *v + (1.0 - c.beta2) * g * g;
        *w = *w * keep - rate * *m / (v.sqrt() * root + c.epsilon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    const ADAM: Adam = Adam {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 5e-2,
    };
    const SGD: Sgd = Sgd {
        learning_rate: 0.01,
        momentum: 0.9,
    };

    #[test]
    fn sgd_refuses_a_weight_decay() {
        let message =
            |o: Optimiser, rate, decay| o.with(rate, decay).expect_err("refused").to_string();
        assert_eq!(
            message(Optimiser::Sgd(SGD), 0.1, 1e-5),
            "weight_decay is 0.00001; expected 0 under sgd, which has no weight decay"
        );
        assert!(message(Optimiser::Sgd(SGD), 0.1, f64::NAN).contains("weight_decay is NaN"));
        assert!(message(Optimiser::Adam(ADAM), 0.1, -1.0).contains("weight_decay is -1"));
        assert!(message(Optimiser::AdamW(ADAM), 0.0, 0.0).contains("learning_rate is 0"));
        let of = |learning_rate, weight_decay| Adam {
            learning_rate,
            weight_decay,
            ..ADAM
        };
        for (kind, changed) in [
            (Optimiser::Adam as fn(Adam) -> Optimiser, of(0.1, 1e-5)),
            (Optimiser::AdamW, of(0.2, 0.0)),
        ] {
            let found = kind(ADAM).with(changed.learning_rate, changed.weight_decay);
            assert_eq!(found, Ok(kind(changed)));
        }
        let slower = Sgd {
            learning_rate: 0.1,
            ..SGD
        };
        assert_eq!(
            Optimiser::Sgd(SGD).with(0.1, 0.0),
            Ok(Optimiser::Sgd(slower))
        );
    }

    /// The gradient `g_i = sin(t (i + 1))` of step t, from 1.
    fn gradient(t: u64) -> Array2<f64> {
        Array2::from_shape_fn((1, 4), |(_, i)| (t as f64 * (i + 1) as f64).sin())
    }

    fn follows(optimiser: Optimiser, reference: &[[f64; 4]]) {
        let mut rows = array![[0.5, -1.25, 2.0, 0.0]];
        let mut state = optimiser.start(1, 4);
        for (step, expected) in (0..).zip(reference) {
            let (first, second) = (state.first.view_mut(), state.second.view_mut());
            optimiser.step(
                step,
                rows.view_mut(),
                gradient(step + 1).view(),
                first,
                second,
            );
            for (&w, &expected) in rows.iter().zip(expected) {
                assert!(
                    (w - expected).abs() <= 1e-12 * expected.abs(),
                    "step {step}: {w} against {expected}"
                );
            }
        }
    }

    /// After one gradient thousands of steps without: the mean gradient is nothing in the end, and no number on the way is too small for fast arithmetic.
    #[test]
    fn mean_gradients_end_at_zero() {
        let none = Adam {
            weight_decay: 0.0,
            ..ADAM
        };
        for optimiser in [Optimiser::Sgd(SGD), Optimiser::Adam(none)] {
            let mut rows = array![[0.5]];
            let mut state = optimiser.start(1, 1);
            for step in 0..5000 {
                let gradient = array![[f64::from(u8::from(step == 0))]];
                let (first, second) = (state.first.view_mut(), state.second.view_mut());
                optimiser.step(step, rows.view_mut(), gradient.view(), first, second);
                assert!(!state.first[[0, 0]].is_subnormal(), "step {step}");
            }
            assert_eq!(state.first[[0, 0]], 0.0);
        }
    }

    #[test]
    fn adamw_is_pytorchs() {
        follows(Optimiser::AdamW(ADAM), &ADAMW_STEPS);
    }

    /// The decay of `Adam` is a part of the gradient that `AdamW`, tested against PyTorch, is given without a decay of its own.
    #[test]
    fn coupled_decay_is_a_gradient() {
        let none = Adam {
            weight_decay: 0.0,
            ..ADAM
        };
        let (coupled, plain) = (Optimiser::Adam(ADAM), Optimiser::AdamW(none));
        let mut rows = [(); 2].map(|()| array![[0.5, -1.25, 2.0, 0.0]]);
        let mut states = [coupled.start(1, 4), plain.start(1, 4)];
        for step in 0..10 {
            let pulled = gradient(step + 1) + ADAM.weight_decay * &rows[1];
            let grads = [gradient(step + 1), pulled];
            for (i, optimiser) in [coupled, plain].iter().enumerate() {
                let state = &mut states[i];
                let (first, second) = (state.first.view_mut(), state.second.view_mut());
                optimiser.step(step, rows[i].view_mut(), grads[i].view(), first, second);
            }
            assert_eq!(rows[0], rows[1]);
        }
        assert_ne!(rows[0].column(0)[0], ADAMW_STEPS[9][0]);
    }

    #[test]
    fn sgd_with_momentum_is_pytorchs() {
        follows(Optimiser::Sgd(SGD), &SGD_STEPS);
    }

    /// The plain path against the one with a momentum so small that it rounds away.
    #[test]
    fn sgd_without_momentum_keeps_no_moments() {
        let optimiser = |momentum| Optimiser::Sgd(Sgd { momentum, ..SGD });
        let mut rows = [
            array![[0.5, -1.25, 2.0, 0.0]],
            array![[0.5, -1.25, 2.0, 0.0]],
        ];
        for (rows, momentum) in rows.iter_mut().zip([0.0, 1e-300]) {
            let optimiser = optimiser(momentum);
            let mut state = optimiser.start(1, 4);
            assert_eq!(state.first.is_empty(), momentum == 0.0);
            for step in 0..5 {
                let (first, second) = (state.first.view_mut(), state.second.view_mut());
                optimiser.step(
                    step,
                    rows.view_mut(),
                    gradient(step + 1).view(),
                    first,
                    second,
                );
            }
        }
        assert_eq!(rows[0], rows[1]);
    }

    /// Long rows take the vectorised path in whole and in part.
    #[test]
    fn a_row_does_not_feel_its_neighbours() {
        for optimiser in [
            Optimiser::Adam(ADAM),
            Optimiser::AdamW(ADAM),
            Optimiser::Sgd(SGD),
        ] {
            let d = 37;
            let wave = |scale: f64| {
                Array2::from_shape_fn((3, d), |(i, j)| scale * ((i * d + j) as f64).cos())
            };
            let (mut rows, grad, mut state) = (wave(1.0), wave(-0.3), optimiser.start(3, d));
            let mut alone = rows.select(Axis(0), &[1]);
            let mut alone_state = optimiser.start(1, d);
            for step in 0..4 {
                optimiser.step(
                    step,
                    rows.view_mut(),
                    grad.view(),
                    state.first.view_mut(),
                    state.second.view_mut(),
                );
                optimiser.step(
                    step,
                    alone.view_mut(),
                    grad.select(Axis(0), &[1]).view(),
                    alone_state.first.view_mut(),
                    alone_state.second.view_mut(),
                );
            }
            assert_eq!(rows.row(1), alone.row(0));
        }
    }

    #[test]
    fn refused_settings_are_named() {
        let refused = |optimiser: Optimiser, name: &str| {
            let message = optimiser.validate().expect_err("refused").to_string();
            assert!(message.starts_with(&format!("{name} is ")), "{message}");
        };
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            refused(
                Optimiser::Sgd(Sgd {
                    learning_rate: bad,
                    ..SGD
                }),
                "learning_rate",
            );
            refused(
                Optimiser::Sgd(Sgd {
                    momentum: bad,
                    ..SGD
                }),
                "momentum",
            );
            let adamw = |change: fn(&mut Adam, f64)| {
                let mut settings = ADAM;
                change(&mut settings, bad);
                Optimiser::AdamW(settings)
            };
            refused(adamw(|s, bad| s.learning_rate = bad), "learning_rate");
            refused(adamw(|s, bad| s.beta1 = bad), "beta1");
            refused(adamw(|s, bad| s.beta2 = bad), "beta2");
            refused(adamw(|s, bad| s.epsilon = bad), "epsilon");
            refused(adamw(|s, bad| s.weight_decay = bad), "weight_decay");
        }
        refused(
            Optimiser::Sgd(Sgd {
                learning_rate: 0.0,
                ..SGD
            }),
            "learning_rate",
        );
        refused(
            Optimiser::Sgd(Sgd {
                momentum: 1.0,
                ..SGD
            }),
            "momentum",
        );
        refused(Optimiser::AdamW(Adam { beta2: 1.0, ..ADAM }), "beta2");
        refused(
            Optimiser::AdamW(Adam {
                epsilon: 0.0,
                ..ADAM
            }),
            "epsilon",
        );
        let edge = Adam {
            beta1: 0.0,
            beta2: 0.0,
            weight_decay: 0.0,
            ..ADAM
        };
        assert_eq!(Optimiser::AdamW(edge).validate(), Ok(()));
        assert_eq!(
            Optimiser::Sgd(Sgd {
                momentum: 0.0,
                ..SGD
            })
            .validate(),
            Ok(())
        );
    }

    /// PyTorch 2.11.0, `torch.optim.AdamW` in float64 with the settings above.
    const ADAMW_STEPS: [[f64; 4]; 10] = [
        [
            0.49897500001188394,
            -1.2509374999890024,
            1.9989000000708617,
            0.0009999999867865129,
        ],
        [
            0.4979487827666904,
            -1.250913689467236,
            1.999162395715046,
            0.0008157755830030428,
        ],
        [
            0.49708253204296343,
            -1.2507333349979273,
            1.9987229710436638,
            0.0009378711869620509,
        ],
        [
            0.49677049864056283,
            -1.250963101083611,
            1.9988484897505165,
            0.001156480294628635,
        ],
        [
            0.496842869396792,
            -1.2509548506165455,
            1.9985333452466942,
            0.0010104000673014253,
        ],
        [
            0.4969833958230726,
            -1.2507759166420223,
            1.9986016385465706,
            0.0011502435242709283,
        ],
        [
            0.49691718453912476,
            -1.250875552405828,
            1.9983403799291302,
            0.0011991864632365328,
        ],
        [
            0.4966293627609439,
            -1.2508839314218296,
            1.9983755768306044,
            0.0011028561644730874,
        ],
        [
            0.496282292881198,
            -1.250710162902425,
            1.9981462369987768,
            0.001244959969214088,
        ],
        [
            0.49609670550906,
            -1.2507451945016987,
            1.9981581902716699,
            0.0012107900385402443,
        ],
    ];

    /// PyTorch 2.11.0, `torch.optim.SGD` in float64 with the settings above.
    const SGD_STEPS: [[f64; 4]; 10] = [
        [
            0.49158529015192104,
            -1.2590929742682568,
            1.9985887999194014,
            0.007568024953079283,
        ],
        [
            0.47491907702039315,
            -1.2597086261566086,
            2.0001128748288517,
            0.004485664944616819,
        ],
        [
            0.4585082851214194,
            -1.257468557874136,
            1.9973633573949396,
            0.007077270117004952,
        ],
        [
            0.4513065973654223,
            -1.2653460788861446,
            2.000254520884423,
            0.012288747938804924,
        ],
        [
            0.45441432113165625,
            -1.2669956366880586,
            1.996353689623387,
            0.007849625471148623,
        ],
        [
            0.46000542750325607,
            -1.2631145095297769,
            2.0003528139561713,
            0.01291019887032419,
        ],
        [
            0.45846755725050803,
            -1.269527568644272,
            1.9955854694703166,
            0.014755657046503511,
        ],
        [
            0.447189891556801,
            -1.2724202886806668,
            2.0003506430531135,
            0.010902302592647994,
        ],
        [
            0.4329188075800471,
            -1.2675138642457056,
            1.9950755399935858,
            0.017352072118609185,
        ],
        [
            0.42551504310986227,
            -1.2722275347615166,
            2.0002082634809395,
            0.01570573308718077,
        ],
    ];
}
