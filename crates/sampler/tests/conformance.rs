//! What every kernel must do, whatever it samples: one suite, run for each of them.

use ndarray::{Array1, Array2, Axis, array, s};
use slt_sampler::stream::Purpose;
use slt_sampler::targets::{Quadratic, TanhUnit};
use slt_sampler::{
    Adaptive, Batch, Draws, Dynamics, Ensemble, Kernel, Plan, Row, RowNoise, Schedule, State,
    Target, chains, mask,
};

const KERNELS: [Kernel; 8] = [
    Kernel::Sgld,
    Kernel::Adaptive(Adaptive::RMSPROP),
    Kernel::Adaptive(Adaptive::ADAM),
    Kernel::Adaptive(Adaptive::DEVINTERP),
    Kernel::Sghmc { friction: 0.3 },
    Kernel::Sgnht { friction: 0.2 },
    Kernel::MALA,
    Kernel::Hmc { n_leapfrog: 4 },
];

const STREAMS: [u64; 7] = [3, 1, 4, 15, 9, 2, 6];

fn target() -> TanhUnit {
    let x: Vec<f64> = (0..20).map(|i| -2.0 + f64::from(i) / 5.0).collect();
    let y = x.iter().map(|x| (3.0 * x).sin() + 0.3 * x).collect();
    TanhUnit::new(x, y).expect("samples")
}

fn dynamics(step_size: f64, nbeta: f64, gamma: f64) -> Dynamics {
    Dynamics::new(step_size, nbeta, gamma).expect("valid")
}

/// Seven rows that differ in everything a row can differ in.
fn rows() -> Vec<Row> {
    let row = |(i, &stream): (usize, &u64)| Row {
        stream,
        dynamics: dynamics(1e-2 / (1.0 + i as f64), 7.0 + i as f64, 1.0)
            .with_temperature(1.0 + 0.1 * i as f64)
            .expect("valid"),
    };
    STREAMS.iter().enumerate().map(row).collect()
}

fn anchors() -> Array2<f64> {
    Array2::from_shape_fn((7, 4), |(i, j)| (1.0 + 3.0 * i as f64 + j as f64).sin())
}

fn scale() -> Array2<f64> {
    Array2::from_shape_fn((7, 4), |(i, j)| ((i + j) % 3) as f64)
}

fn plan(kernel: Kernel) -> Plan {
    Plan {
        kernel,
        schedule: Schedule {
            burn_in: 5,
            n_draws: 9,
            thin: 3,
        },
        batch_size: (!kernel.is_metropolis()).then_some(6),
        radius: Some(0.5),
        seed: 2,
        keep_positions: true,
        n_threads: 1,
        block: 7,
    }
}

fn run(plan: &Plan, picked: &[usize]) -> Draws {
    let (anchors, scale) = (
        anchors().select(Axis(0), picked),
        scale().select(Axis(0), picked),
    );
    let rows: Vec<Row> = picked.iter().map(|&i| rows()[i]).collect();
    let ensemble = Ensemble {
        scale: Some(scale.view()),
        ..Ensemble::new(anchors.view(), &rows)
    };
    chains::run(&target(), plan, &ensemble, &|_| ()).expect("valid")
}

const ALL: [usize; 7] = [0, 1, 2, 3, 4, 5, 6];

/// All numbers of some rows, to the bit.
fn bits(draws: &Draws, i: usize) -> Vec<u64> {
    let positions = draws.positions.as_ref().expect("kept");
    let acceptance = draws.acceptance.as_ref().map_or(0.0, |a| a[i]);
    draws
        .loss
        .row(i)
        .iter()
        .chain(&draws.distance.row(i))
        .chain(positions.index_axis(Axis(0), i))
        .chain(&draws.last.row(i))
        .chain([&acceptance])
        .map(|x| x.to_bits())
        .collect()
}

#[test]
fn neither_threads_nor_neighbours_change_a_bit() {
    for kernel in KERNELS {
        let expected = run(&plan(kernel), &ALL);
        for (n_threads, block) in [(1, 1), (2, 3), (8, 7), (2, 100)] {
            let plan = Plan {
                n_threads,
                block,
                ..plan(kernel)
            };
            let draws = run(&plan, &ALL);
            for i in ALL {
                assert_eq!(
                    bits(&draws, i),
                    bits(&expected, i),
                    "{kernel:?}, {n_threads}, {block}"
                );
            }
        }
        for i in ALL {
            assert_eq!(
                bits(&run(&plan(kernel), &[i]), 0),
                bits(&expected, i),
                "{kernel:?}"
            );
        }
    }
}

#[test]
fn streams_and_seeds_make_other_chains() {
    for kernel in KERNELS {
        let draws = run(&plan(kernel), &ALL);
        let other = run(
            &Plan {
                seed: 3,
                ..plan(kernel)
            },
            &ALL,
        );
        let twin = Row {
            stream: 99,
            ..rows()[0]
        };
        let anchor = anchors().slice(s![..1, ..]).to_owned();
        let both = anchor.select(Axis(0), &[0, 0]);
        let two = [rows()[0], twin];
        let ensemble = Ensemble::new(both.view(), &two);
        let apart = chains::run(&target(), &plan(kernel), &ensemble, &|_| ()).expect("valid");
        assert_ne!(bits(&apart, 0), bits(&apart, 1), "{kernel:?}");
        assert_ne!(bits(&draws, 0), bits(&other, 0), "{kernel:?}");
    }
}

/// Parameters of scale 0 stay at their start to the bit, and no row leaves its box.
#[test]
fn masks_and_boxes_hold() {
    for kernel in KERNELS {
        let draws = run(&plan(kernel), &ALL);
        let positions = draws.positions.expect("kept");
        for ((i, k, j), w) in positions.indexed_iter() {
            let anchor = anchors()[[i, j]];
            if scale()[[i, j]] == 0.0 {
                assert_eq!(*w, anchor, "{kernel:?} {k}");
            }
            assert!((w - anchor).abs() <= 0.5 + 1e-12, "{kernel:?}");
        }
    }
    assert_eq!(mask(&[true, false]).expect("one moves"), array![[1.0, 0.0]]);
}

/// On a mask, the losses are those of the model with the other parameters held where they are.
#[test]
fn a_restricted_chain_samples_a_section_of_the_loss() {
    let hessian = array![[2.0, 0.7, 0.1], [0.7, 1.0, 0.4], [0.1, 0.4, 3.0]];
    let whole = Quadratic::new(hessian, array![0.0, 0.0, 0.0], 0.2, 10);
    let held = mask(&[true, true, false]).expect("two move");
    let rows = Row::many(0, 3, dynamics(0.01, 5.0, 0.5));
    for kernel in KERNELS {
        let plan = Plan {
            batch_size: None,
            radius: None,
            ..plan(kernel)
        };
        let anchors = Array2::zeros((3, 3));
        let ensemble = Ensemble {
            scale: held.broadcast((3, 3)),
            ..Ensemble::new(anchors.view(), &rows)
        };
        let draws = chains::run(&whole, &plan, &ensemble, &|_| ()).expect("valid");
        let positions = draws.positions.expect("kept");
        for (i, chain) in positions.outer_iter().enumerate() {
            for (k, w) in chain.rows().into_iter().enumerate() {
                let section = w[0] * w[0] + 0.7 * w[0] * w[1] + 0.5 * w[1] * w[1];
                assert!(
                    (draws.loss[[i, k]] - 0.2 - section).abs() < 1e-14,
                    "{kernel:?}"
                );
                assert_eq!(w[2], 0.0);
            }
        }
    }
}

/// At temperature 0 no noise is left, and every kernel goes down to the minimum of `nβ L + γ/2 |w - w*|²`. Those without momenta
/// are gradient descent with steps of ε/2.
#[test]
fn zero_temperature_is_gradient_descent() {
    let hessian = array![[2.0, 0.3], [0.3, 1.0]];
    let minimum = array![1.0, -1.0];
    let (nbeta, gamma, step_size) = (7.0, 2.5, 0.03);
    let anchor = array![0.4, 0.9];
    let lowest = {
        // (nβH + γ) w = nβ H m + γ w*
        let a: Array2<f64> = nbeta * &hessian + gamma * Array2::<f64>::eye(2);
        let b: Array1<f64> = nbeta * hessian.dot(&minimum) + gamma * &anchor;
        let det = a[[0, 0]] * a[[1, 1]] - a[[0, 1]] * a[[1, 0]];
        array![
            a[[1, 1]] * b[0] - a[[0, 1]] * b[1],
            a[[0, 0]] * b[1] - a[[1, 0]] * b[0]
        ] / det
    };
    let cold = dynamics(step_size, nbeta, gamma)
        .with_temperature(0.0)
        .expect("valid");
    for kernel in KERNELS {
        let mut target = Quadratic::new(hessian.clone(), minimum.clone(), 0.7, 10);
        let anchors = anchor.view().insert_axis(Axis(0)).to_owned();
        let start = |seed| State::new(anchors.view(), seed, &Row::many(0, 1, cold));
        let (mut state, mut other) = (start(1), start(2));
        let mut w = anchor.clone();
        for step in 0..4000 {
            kernel.step(&mut target, Batch::Full, &mut state);
            kernel.step(&mut target, Batch::Full, &mut other);
            if matches!(kernel, Kernel::Sgld | Kernel::Hmc { n_leapfrog: 1 }) {
                let force = nbeta * hessian.dot(&(&w - &minimum)) + gamma * (&w - &anchor);
                w = &w - &(0.5 * step_size * force);
                if step < 20 {
                    approx::assert_relative_eq!(state.rows.row(0), w, max_relative = 1e-12);
                }
            }
        }
        // trajectories of several steps still have lengths of their own, and end in the same point
        if !matches!(kernel, Kernel::Hmc { n_leapfrog: 2.. }) {
            assert_eq!(state.rows, other.rows, "{kernel:?}: no noise");
        }
        // a thermostat without temperature rings on
        if !matches!(kernel, Kernel::Sgnht { .. }) {
            approx::assert_abs_diff_eq!(state.rows.row(0), lowest.view(), epsilon = 1e-4);
        }
    }
}

/// On a flat loss the path is a known sum of the row's normals.
#[test]
fn zero_gradient_is_pure_noise() {
    let (d, step_size, n_steps) = (70, 0.01, 50);
    let law = dynamics(step_size, 20.0, 0.0);
    for kernel in KERNELS {
        let mut target = Quadratic::new(Array2::zeros((d, d)), Array1::zeros(d), 0.0, 10);
        let rows = [
            Row {
                stream: 4,
                dynamics: law,
            },
            Row {
                stream: 1 << 40,
                dynamics: law,
            },
        ];
        let mut state = State::new(Array2::zeros((2, d)).view(), 9, &rows);
        for _ in 0..n_steps {
            kernel.step(&mut target, Batch::Full, &mut state);
        }
        for (row, stream) in state.rows.rows().into_iter().zip([4, 1 << 40]) {
            let mut noise = RowNoise::new(9, stream, d);
            let (mut w, mut v, mut second): (Array1<f64>, Array1<f64>, f64) =
                (Array1::zeros(d), Array1::zeros(d), 1.0);
            let mut test = RowNoise::for_purpose(9, Purpose::Acceptance, stream, 4);
            let mut friction = 0.2;
            for step in 0..n_steps {
                let mut xi: Array1<f64> = Array1::zeros(d);
                noise.for_step(step, |at, normals| {
                    for (x, &normal) in xi.iter_mut().skip(at).zip(normals) {
                        *x = f64::from(normal);
                    }
                });
                match kernel {
                    Kernel::Sgld => w += &(step_size.sqrt() * &xi),
                    Kernel::Hmc { n_leapfrog } => {
                        let mut h = step_size.sqrt();
                        if n_leapfrog > 1 {
                            test.for_step(step, |_, z| {
                                let [x, y] = [z[2], z[3]].map(f64::from);
                                let u = (-0.5 * (x * x + y * y)).exp();
                                h *= 10f64.powf(-u.powi(4));
                            });
                        }
                        w += &(f64::from(n_leapfrog) * h * &xi);
                    }
                    Kernel::Sghmc { friction } => {
                        v = (1.0 - friction) * v + (step_size * friction).sqrt() * &xi;
                        w += &v;
                    }
                    Kernel::Sgnht { friction: first } => {
                        v = (1.0 - friction) * v + (step_size * first).sqrt() * &xi;
                        w += &v;
                        friction += v.dot(&v) / d as f64 - 0.5 * step_size;
                    }
                    Kernel::Adaptive(a) => {
                        // without a gradient the second moment only decays
                        second *= a.second_decay;
                        if step == 0 {
                            second = a.initial * a.second_decay;
                        }
                        let corrected = if a.bias_correction {
                            second / (1.0 - a.second_decay.powi(step as i32 + 1))
                        } else {
                            second
                        };
                        w += &((step_size / (corrected.sqrt() + a.stabiliser)).sqrt() * &xi);
                    }
                }
            }
            approx::assert_relative_eq!(row, w, max_relative = 1e-6, epsilon = 1e-9);
        }
        if let Some(acceptance) = state.acceptance() {
            assert_eq!(acceptance, [1.0, 1.0], "nothing to refuse");
        }
    }
}

/// A row whose step is far too large overflows, or refuses every proposal; its neighbours do not notice.
#[test]
fn a_diverging_row_is_data_and_touches_no_other() {
    for kernel in KERNELS {
        let target = Quadratic::new(array![[1e3, 0.0], [0.0, 1e3]], array![0.0, 0.0], 0.5, 10);
        let calm = dynamics(1e-4, 1.0, 1.0);
        let rows = |wild| {
            [0, 1, 2].map(|stream| Row {
                stream,
                dynamics: if wild && stream == 1 {
                    dynamics(1e3, 1.0, 1.0)
                } else {
                    calm
                },
            })
        };
        let anchors = Array2::from_elem((3, 2), 0.1);
        let of = |wild: bool| {
            let plan = Plan {
                schedule: Schedule {
                    burn_in: 0,
                    n_draws: 400,
                    thin: 1,
                },
                batch_size: None,
                radius: None,
                ..plan(kernel)
            };
            let rows = rows(wild);
            chains::run(
                &target,
                &plan,
                &Ensemble::new(anchors.view(), &rows),
                &|_| (),
            )
            .expect("valid")
        };
        let (quiet, mixed) = (of(false), of(true));
        for i in [0, 2] {
            assert_eq!(bits(&quiet, i), bits(&mixed, i), "{kernel:?}");
        }
        let wild = mixed.loss.row(1);
        match kernel {
            Kernel::Hmc { .. } => {
                assert!(
                    wild.iter().all(|&l| l == wild[0]),
                    "every proposal is refused"
                );
                assert_eq!(mixed.acceptance.expect("a Metropolis kernel")[1], 0.0);
            }
            // scaled by its own gradient, the step stays finite
            Kernel::Adaptive(_) => assert!(wild.iter().any(|&l| l > 100.0 * quiet.loss[[1, 0]])),
            _ => {
                let overflow = wild
                    .iter()
                    .position(|l| !l.is_finite())
                    .expect("it overflows");
                assert!(
                    wild.iter().skip(overflow).all(|l| !l.is_finite()),
                    "{kernel:?}"
                );
            }
        }
    }
}

/// The first draw without burn-in is the anchor, and its loss is there before any step.
#[test]
fn the_first_draw_is_the_anchor() {
    for kernel in KERNELS {
        let schedule = Schedule {
            burn_in: 0,
            n_draws: 3,
            thin: 1,
        };
        let draws = run(
            &Plan {
                schedule,
                ..plan(kernel)
            },
            &ALL,
        );
        let mut loss = vec![0.0; 7];
        target().loss(anchors().view(), &mut loss);
        for i in ALL {
            assert!(
                (draws.loss[[i, 0]] / loss[i] - 1.0).abs() < 1e-13,
                "{kernel:?}"
            );
            assert_eq!(draws.distance[[i, 0]], 0.0);
        }
    }
}
