//! Internal model selection: `F(W) = -log(exp(-F(W₁)) + exp(-F(W₂)))` of a loss with two phases, and the n at which the posterior passes from
//! one to the other.
//!
//! ```text
//! K(x, y) = P(x) + ½x²|y|²,  y ∈ R²,  P' = cx(x - b)(x - 1),  P(1) = 0 < P(0)
//! ```
//! A gate x that is closed in one phase, and open in the other. Closed (x < b): the loss is P(0) at least, and y is idle: λ = 1/2. Open (x > b): no loss
//! is left, all three parameters are held, λ = 3/2. Given x the posterior of y is normal, so that with a normal prior of precision 1
//! ```text
//! exp(-F(W_i)) = (2π)^(-1/2) ∫ exp(-nP(x) - ½x²) (1 + nx²)^(-1) dx  over W_i,
//! ```
//! here by Simpson's rule.

use anyhow::Context;
use ndarray::{Array1, ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};
use slt_report::{Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store};
use slt_sampler::{Batch, Target, populations};
use slt_stats::Estimate;
use slt_theory::{LearningCoefficient, Phase, critical_n, regular};

use crate::exact;
use crate::settings::TwoPhases;

/// Parameters that are idle behind the closed gate.
const N_IDLE: usize = 2;
/// c and b.
const SCALE: f64 = 12.0;
const BARRIER: f64 = 0.49;

/// The loss as a target.
#[derive(Debug, Clone)]
struct Gate;

/// `P(x) - P(1)` and its slope.
fn potential(x: f64) -> (f64, f64) {
    let at = |x: f64| SCALE * x * x * (x * x / 4.0 - (1.0 + BARRIER) * x / 3.0 + 0.5 * BARRIER);
    (at(x) - at(1.0), SCALE * x * (x - BARRIER) * (x - 1.0))
}

impl Target for Gate {
    fn n_params(&self) -> usize {
        1 + N_IDLE
    }

    fn n_samples(&self) -> usize {
        1
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        _: Batch,
        mut grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        for ((w, mut g), loss) in rows.rows().into_iter().zip(grad.rows_mut()).zip(loss) {
            let x = w[0];
            let (p, slope) = potential(x);
            let square: f64 = w.iter().skip(1).map(|y| y * y).sum();
            *loss = p + 0.5 * x * x * square;
            g[0] = slope + x * square;
            for (g, y) in g.iter_mut().zip(w).skip(1) {
                *g = x * x * y;
            }
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        for (w, loss) in rows.rows().into_iter().zip(loss) {
            let square: f64 = w.iter().skip(1).map(|y| y * y).sum();
            *loss = potential(w[0]).0 + 0.5 * w[0] * w[0] * square;
        }
    }
}

/// The two regions: the gate closed, and open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Region {
    Closed,
    Open,
}

impl Region {
    const BOTH: [Self; 2] = [Self::Closed, Self::Open];

    fn holds(self, x: f64) -> bool {
        (x < BARRIER) == (self == Self::Closed)
    }

    fn least_loss(self) -> f64 {
        match self {
            Self::Closed => potential(0.0).0,
            Self::Open => 0.0,
        }
    }

    fn learning_coefficient(self) -> LearningCoefficient {
        match self {
            Self::Closed => regular(1),
            Self::Open => regular(1 + N_IDLE as u32),
        }
    }

    /// F, exact at this n.
    fn free_energy(self, n: f64) -> f64 {
        // the distance from the centre, as `sinh t/√n`: fine there, and up to the border of W or where the prior ends
        let (centre, least) = match self {
            Self::Closed => (0.0, self.least_loss()),
            Self::Open => (1.0, 0.0),
        };
        let to = |x: f64| ((x - centre) * n.sqrt()).asinh();
        let (low, high) = match self {
            Self::Closed => (to(-9.0), to(BARRIER)),
            Self::Open => (to(BARRIER), to(10.0)),
        };
        const N_PANELS: u32 = 20_000;
        let step = (high - low) / f64::from(N_PANELS);
        let at = |i: u32| {
            let t = low + step * f64::from(i);
            let x = centre + t.sinh() / n.sqrt();
            let log = -n * (potential(x).0 - least)
                - 0.5 * x * x
                - 0.5 * N_IDLE as f64 * (n * x * x).ln_1p();
            let weight = match i {
                0 | N_PANELS => 1.0,
                _ if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * log.exp() * t.cosh()
        };
        let sum: f64 = (0..=N_PANELS).map(at).sum();
        let integral = sum * step / 3.0 / n.sqrt() / std::f64::consts::TAU.sqrt();
        n * least - integral.ln()
    }

    /// `E[n(K - L)]` in the region, `dF/d log n - nL`.
    fn energy(self, n: f64) -> f64 {
        by_log(n, |n| self.free_energy(n) - n * self.least_loss())
    }

    /// `nL + λ log n + c`, with the constant that F has far out.
    fn phase(self) -> anyhow::Result<Phase> {
        let far = 1e8f64;
        let (loss, pair) = (self.least_loss(), self.learning_coefficient());
        let constant = self.free_energy(far) - far * loss - pair.lambda_f64() * far.ln();
        Ok(Phase::new(loss, pair, constant)?)
    }
}

/// `df/d log n`, by differences.
fn by_log(n: f64, f: impl Fn(f64) -> f64) -> f64 {
    let h = 1e-3;
    let at = |k: f64| f(n * (k * h).exp());
    (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * h)
}

/// `-log(exp(-F₁) + exp(-F₂))`.
fn together([first, second]: [f64; 2]) -> f64 {
    first.min(second) - (-(first - second).abs()).exp().ln_1p()
}

/// What `min(F₁, F₂)` has more than the free energy of both.
fn gap(n: f64) -> f64 {
    let [closed, open] = both(n);
    closed.min(open) - together([closed, open])
}

fn both(n: f64) -> [f64; 2] {
    Region::BOTH.map(|region| region.free_energy(n))
}

/// The posterior mass of the closed gate.
fn mass(n: f64) -> f64 {
    let [closed, open] = both(n);
    1.0 / (1.0 + (closed - open).exp())
}

/// Where the exact masses are equal.
fn exact_critical_n() -> f64 {
    let (mut low, mut high) = (10f64, 1e5f64);
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if mass(middle) > 0.5 {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// What is recorded at one n.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct At {
    pub n: f64,
    /// F of the whole.
    pub free_energy: Estimate,
    /// The posterior mass of the closed gate.
    pub mass: Estimate,
    /// `E[nK]` of the whole.
    pub loss: Estimate,
    /// `E[n(K - L)]` where the gate is open, if any particle is there.
    pub energy: Option<Estimate>,
}

/// What `E_q[nK] + KL(q | prior)`, least where q is the posterior, has more than F(n) there, if q is the posterior of another number of samples:
/// of that, `F` and `E[nK]` of its own.
fn excess(n: f64, free_energy: f64, of: f64, own_free_energy: f64, own_loss: f64) -> f64 {
    (n / of - 1.0) * own_loss + own_free_energy - free_energy
}

pub fn run(store: &Store, settings: &TwoPhases) -> anyhow::Result<Vec<At>> {
    Ok(store
        .cell("two-phases", settings, "host", || compute(settings))?
        .result)
}

fn compute(settings: &TwoPhases) -> anyhow::Result<Vec<At>> {
    slt_report::progress::say("two phases");
    let all = populations(
        &Gate,
        Array1::zeros(1 + N_IDLE).view(),
        &settings.sizes,
        &settings.cooling.populations(1.0),
        &|_| (),
    )?;
    let at = |cooled: &slt_sampler::Cooled| {
        let n = cooled.nbeta;
        let x = cooled.rows.column(0);
        let inside = |region: Region| -> Vec<f64> {
            x.iter().map(|&x| f64::from(region.holds(x))).collect()
        };
        let log_evidence = cooled.log_evidence()?;
        let excess: Vec<f64> = cooled.losses.iter().map(|l| n * l).collect();
        let open = inside(Region::Open);
        let energy = open
            .contains(&1.0)
            .then(|| cooled.mean_of_part(&excess, &open));
        Ok(At {
            n,
            free_energy: Estimate {
                mean: -log_evidence.mean,
                ..log_evidence
            },
            mass: cooled.mean(&inside(Region::Closed))?,
            loss: cooled.mean(&excess)?,
            energy: energy.transpose()?,
        })
    };
    all.iter().map(at).collect()
}

/// Where the log odds of two phases change sign, by the line through the two sizes around it, and its error: those of the log odds over their slope.
/// `masses` are those of the phase that wins at first, over those of both.
pub fn critical(sizes: &[f64], masses: &[Estimate]) -> Option<Estimate> {
    let odds = |m: &Estimate| (m.mean / (1.0 - m.mean)).ln();
    let error = |m: &Estimate| m.mcse / (m.mean * (1.0 - m.mean));
    let k = (1..sizes.len()).find(|&k| odds(&masses[k - 1]) > 0.0 && odds(&masses[k]) <= 0.0)?;
    let (from, to) = (odds(&masses[k - 1]), odds(&masses[k]));
    let slope = (to - from) / (sizes[k] - sizes[k - 1]);
    let share = from / (from - to);
    // errors of neighbouring sizes are not independent: the bound of their sum
    let error = (1.0 - share) * error(&masses[k - 1]) + share * error(&masses[k]);
    Some(Estimate {
        mean: sizes[k - 1] - from / slope,
        mcse: error / slope.abs(),
        n: masses[k].n,
    })
    .filter(|found| found.mean.is_finite() && found.mcse.is_finite())
}

pub fn obtained(settings: &TwoPhases, outcome: &[At]) -> anyhow::Result<Vec<Obtained>> {
    let exact_n = exact_critical_n();
    let distance = |at: &&At| (at.n / exact_n).ln().abs();
    let near = outcome
        .iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .context("no sizes")?;
    let [closed, open] = both(near.n);
    let mut rows = vec![exact::row(
        "internal-sum".into(),
        near.free_energy.mean,
        near.free_energy.mcse,
        together([closed, open]),
        "exact",
        format!(
            "n = {}, {} populations of {} particles; the left side is sampled, the right side integrated",
            near.n, near.free_energy.n, settings.cooling.n_particles
        ),
    )];
    rows.push(exact::row(
        "internal-least".into(),
        closed.min(open) - near.free_energy.mean,
        near.free_energy.mcse,
        gap(near.n),
        "exact",
        format!(
            "n = {}, next to the transition, where it is {:.3}, the most that it can be: at the first and the last n it is {:.2e} and {:.2e}",
            near.n,
            std::f64::consts::LN_2,
            gap(outcome[0].n),
            gap(outcome[outcome.len() - 1].n)
        ),
    ));
    let others = outcome.iter().filter(|at| at.n != near.n);
    let own = |at: &At| {
        let f = |n| together(both(n));
        excess(near.n, f(near.n), at.n, f(at.n), by_log(at.n, f))
    };
    rows.push(match others.min_by(|a, b| own(a).total_cmp(&own(b))) {
        Some(at) => exact::row(
            "variational".into(),
            excess(near.n, near.free_energy.mean, at.n, at.free_energy.mean, at.loss.mean),
            // their errors are not independent: the bound of their sum
            (near.n / at.n - 1.0).abs() * at.loss.mcse + at.free_energy.mcse + near.free_energy.mcse,
            own(at),
            "exact",
            format!(
                "q: the posteriors of {} other numbers of samples; the least of all is that of n = {}, for F at n = {}",
                outcome.len() - 1,
                at.n,
                near.n
            ),
        ),
        None => exact::missing("variational".into()),
    });
    rows.push(if near.mass.mcse > 0.0 {
        exact::row(
            "internal-mass".into(),
            near.mass.mean,
            near.mass.mcse,
            mass(near.n),
            "exact",
            format!("n = {}, F(W₁) = {closed:.4}, F(W₂) = {open:.4}", near.n),
        )
    } else {
        exact::missing("internal-mass".into())
    });
    let masses: Vec<Estimate> = outcome.iter().map(|at| at.mass).collect();
    rows.push(match critical(&settings.sizes, &masses) {
        Some(found) => exact::row(
            "internal-critical".into(),
            found.mean,
            found.mcse,
            exact_n,
            "exact",
            "where the log odds of the phases change sign, on the line between two n".into(),
        ),
        None => exact::missing("internal-critical".into()),
    });
    let [first, second] = [Region::Closed.phase()?, Region::Open.phase()?];
    let by_law = critical_n(&first, &second)?;
    let without = critical_n(
        &Phase::new(first.loss(), first.learning_coefficient(), 0.0)?,
        &Phase::new(second.loss(), second.learning_coefficient(), 0.0)?,
    )?;
    rows.push(Obtained {
        reference: Some((exact_n, "exact".into())),
        ..exact::claim(
            "internal-law",
            by_law,
            (by_law / exact_n - 1.0).abs() < 0.1,
            format!(
                "agrees: within a tenth; the constants of the two phases, {:.2} and {:.2} nats, are in it. Without them the law says {without:.0}",
                first.constant(),
                second.constant()
            ),
        )
    });
    let last = outcome.last().context("no sizes")?;
    rows.push(match last.energy {
        Some(energy) => exact::row(
            "internal-lambda".into(),
            energy.mean,
            energy.mcse,
            Region::Open.energy(last.n),
            "exact",
            format!(
                "n = {}; λ = 1/2 of the phase before, 3/2 of this one",
                last.n
            ),
        ),
        None => exact::missing("internal-lambda".into()),
    });
    Ok(rows)
}

pub fn section(store: &Store, settings: &TwoPhases, outcome: &[At]) -> anyhow::Result<Section> {
    let sizes = &settings.sizes;
    let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
    let grid: Vec<f64> = (0..=80)
        .map(|i| first + (last - first) * f64::from(i) / 80.0)
        .collect();
    let over = |f: &dyn Fn(f64) -> f64| -> Vec<f64> { grid.iter().map(|&n| f(n)).collect() };
    let column = |f: &dyn Fn(&At) -> Estimate| -> (Vec<f64>, Vec<f64>) {
        outcome.iter().map(|at| (f(at).mean, f(at).mcse)).unzip()
    };
    let (f, f_error) = column(&|at| at.free_energy);
    let (m, m_error) = column(&|at| at.mass);
    let energies = vec![
        Layer::line(grid.clone(), over(&|n| Region::Closed.free_energy(n)))
            .colour(Colour::cycle(1))
            .label("F(W₁), gate closed"),
        Layer::line(grid.clone(), over(&|n| Region::Open.free_energy(n)))
            .colour(Colour::cycle(2))
            .label("F(W₂), gate open"),
        Layer::points_with_errors(sizes.clone(), f, f_error)
            .colour(Colour::cycle(0))
            .label("F(W), sampled"),
        Layer::vline(exact_critical_n())
            .dashed()
            .colour(Colour::Grey),
    ];
    let masses = vec![
        Layer::line(grid.clone(), over(&mass)).colour(Colour::cycle(1)),
        Layer::points_with_errors(sizes.clone(), m, m_error).colour(Colour::cycle(0)),
        Layer::vline(exact_critical_n())
            .dashed()
            .colour(Colour::Grey),
    ];
    let panel = |title: &str, y: &str, layers, legend| Panel {
        title: title.into(),
        x: Axis::linear("n"),
        y: Axis::linear(y),
        layers,
        legend,
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(2, 2),
        panels: vec![
            panel("Free energy", "F", energies, Legend::Above),
            panel("Posterior mass of W₁", "mass", masses, Legend::None),
        ],
    }
    .write(&store.figures(), "two-phases")?;
    let [closed, open] = Region::BOTH.map(Region::least_loss);
    Ok(Section {
        heading: "7. Two phases".into(),
        text: vec![format!(
            "K(x, y) = P(x) + ½x²|y|², two parameters y: a gate x. W₁, the gate closed: loss {closed:.3}, λ = 1/2; W₂, open: loss {open}, λ = 3/2. {} populations \
             of {} particles are cooled from the prior through all n, so that each phase has the particles that its mass asks for, whatever the wall between \
             them.",
            settings.cooling.n_populations, settings.cooling.n_particles
        )],
        figures: vec![FigureRef {
            name: "two-phases".into(),
            caption: "Lines: exact; points: sampled. The posterior passes from the phase of small λ to that of small loss where their free energies cross (dashed).".into(),
            alt: "Two free energies that cross, and a mass that falls from one to zero there".into(),
        }],
        ..Section::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By another rule: over the plane (x, |y|), and both regions together over the whole.
    #[test]
    fn free_energies_by_another_rule() {
        let n = 60.0;
        let step = 2e-3;
        let mut masses = [0.0; 2];
        for i in -4000..4000 {
            let x = BARRIER + step * (f64::from(i) + 0.5);
            // |y|² has the density e^(-s/2)/2 in two dimensions
            let over_y: f64 = (0..40_000)
                .map(|k| 1e-3 * (f64::from(k) + 0.5))
                .map(|s| 1e-3 * 0.5 * (-0.5 * s * (1.0 + n * x * x)).exp())
                .sum();
            let weight = (-n * potential(x).0 - 0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
            masses[usize::from(x > BARRIER)] += step * weight * over_y;
        }
        for (region, mass) in Region::BOTH.into_iter().zip(masses) {
            let exact = region.free_energy(n);
            assert!(
                (exact + mass.ln()).abs() < 1e-4,
                "{region:?} {exact} {mass}"
            );
        }
        let whole = together(both(n));
        assert!((whole + (masses[0] + masses[1]).ln()).abs() < 1e-4);
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let w = [0.3, 0.5, -0.4];
        let at = |k: usize, h: f64| {
            let mut w = w;
            w[k] += h;
            let mut loss = [0.0];
            let row = ArrayView2::from_shape((1, 3), &w).expect("a row");
            Gate.loss(row, &mut loss);
            loss[0]
        };
        let (mut grad, mut loss) = (ndarray::Array2::zeros((1, 3)), [0.0]);
        let row = ArrayView2::from_shape((1, 3), &w).expect("a row");
        Gate.loss_and_grad(row, Batch::Full, grad.view_mut(), &mut loss);
        assert!((loss[0] - at(0, 0.0)).abs() < 1e-15);
        for k in 0..3 {
            let difference = (at(k, 1e-5) - at(k, -1e-5)) / 2e-5;
            assert!((grad[[0, k]] - difference).abs() < 1e-8, "{k}");
        }
    }

    /// No q has less than the posterior, and one near it has more by the second order only.
    #[test]
    fn the_posterior_has_the_least() {
        let f = |n| together(both(n));
        let of = |s| excess(300.0, f(300.0), s, f(s), by_log(s, f));
        assert!(of(300.0).abs() < 1e-9);
        for s in [20.0, 150.0, 290.0, 310.0, 900.0] {
            assert!(of(s) > 1e-4, "{s}: {}", of(s));
        }
        let ratio = of(306.0) / of(303.0);
        assert!((ratio - 4.0).abs() < 0.2, "{ratio}");
    }

    /// The slopes of F tend to λ.
    #[test]
    fn slopes_are_learning_coefficients() {
        for region in Region::BOTH {
            let lambda = region.learning_coefficient().lambda_f64();
            assert!(
                (region.energy(1e7) / lambda - 1.0).abs() < 1e-3,
                "{region:?}"
            );
        }
    }

    #[test]
    fn the_crossing_is_between_two_sizes() {
        let at = |mean| Estimate {
            mean,
            mcse: 0.01,
            n: 32,
        };
        // log odds of ±log 3 at 100 and 200: 150, with an error of 0.01/(3/16) over the slope
        let found = critical(&[50.0, 100.0, 200.0], &[at(0.9), at(0.75), at(0.25)]).expect("one");
        assert!((found.mean - 150.0).abs() < 1e-10);
        let error = 0.01 / 0.1875 * 100.0 / (2.0 * 3f64.ln());
        assert!((found.mcse - error).abs() < 1e-10);
        assert_eq!(critical(&[50.0, 100.0], &[at(0.9), at(0.75)]), None);
    }
}
