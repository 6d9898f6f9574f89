//! The phases of the toy model of superposition: what a point belongs to, and integrals over one phase by importance sampling, without a chain.
//!
//! **Phases.** Descent from a point ends in a k-gon: k columns are long, the others short, some with a positive bias. A phase is what descends to a k-gon of
//! one k and one number of positive biases. It consists of many equal parts, one for each way to put features on vertices.
//!
//! **Importance sampling.** Around a k-gon at w* the loss is regular across the circle of rotations R(θ) and the flat parameters of dead features. Proposals are
//! `w = R(θ)(w* + Σ z_i s_i v_i)` with θ uniform, `z_i` standard normals along the eigenvectors of the Hessian and `s_i² = 1/(nβh_i + γ)`. With
//! `t` the unit tangent of the circle at w* and J the quarter turn of all columns, their density in w is `∏ φ(z_i)/s_i / (2π |t·J(w* + Σ…)|)`. A dead column with negative bias
//! is drawn from a normal of its own, its bias from the negative half of the prior.

use ndarray::{Array1, Array2, ArrayView1};
use ndarray_linalg::{Eigh, UPLO};
use rand::RngExt;
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::targets::UniformAutoencoder;
use slt_sampler::{Target, hessian};
use slt_theory::Superposition as Polygon;
use slt_training::{Optimiser, Sgd, TrainPlan, Training};

use crate::normal::normal;

/// Length from which on a column is a vertex: those of k-gons are longer than 1, dead ones shorter than 0.4.
const LONG: f64 = 0.6;
/// Bias from which on it is positive; that of a dead feature is `1/(2 n_features)` at the minimum.
const POSITIVE: f64 = 0.02;
/// Descent of a point: steps of 0.5 in all but the first few, until soft directions have shrunk by e^-4.
const DESCENT: Sgd = Sgd {
    learning_rate: 0.05,
    momentum: 0.9,
};
const N_DESCENT: u64 = 400;
/// Curvature below which a direction is flat.
const FLAT: f64 = 5e-3;
/// Standard deviation of the proposals of a dead column, whose flat region reaches to 0.3.
const DEAD_SD: f64 = 0.3;

/// What a point descends to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Features on vertices, in the order of their angles, the least first.
    pub vertices: Vec<usize>,
    /// Other features with a positive bias.
    pub positive: Vec<usize>,
}

impl Shape {
    fn of(w: ArrayView1<f64>, n_features: usize) -> Self {
        let [x, y] = [0, 1].map(|k| k * n_features);
        let length = |i: usize| w[x + i].hypot(w[y + i]);
        let (mut vertices, short): (Vec<usize>, Vec<usize>) =
            (0..n_features).partition(|&i| length(i) > LONG);
        vertices.sort_by(|&i, &j| {
            let angle = |i: usize| w[y + i].atan2(w[x + i]);
            angle(i).total_cmp(&angle(j))
        });
        // a rotation has moved the cut
        let first = (0..vertices.len()).min_by_key(|&k| vertices[k]);
        vertices.rotate_left(first.unwrap_or(0));
        let positive = short.into_iter();
        Self {
            vertices,
            positive: positive
                .filter(|&i| w[2 * n_features + i] > POSITIVE)
                .collect(),
        }
    }

    /// k, and the number of positive biases of dead features.
    pub fn phase(&self) -> (u32, u32) {
        (self.vertices.len() as u32, self.positive.len() as u32)
    }
}

/// A phase's name: k, and a plus for each positive bias.
pub fn name((k, n_positive): (u32, u32)) -> String {
    format!("{k}{}", "+".repeat(n_positive as usize))
}

/// What each row descends to.
pub fn shapes(
    target: &UniformAutoencoder,
    rows: Array2<f64>,
    n_threads: usize,
) -> anyhow::Result<Vec<Shape>> {
    let n = rows.nrows();
    let plan = TrainPlan {
        optimiser: Optimiser::Sgd(DESCENT),
        batch_size: None,
        n_steps: N_DESCENT,
        checkpoint_every: N_DESCENT,
        seed: 0,
    };
    let streams: Vec<u64> = (0..n as u64).collect();
    let mut descent = Training::new(rows, &streams, &vec![plan.optimiser; n]);
    descent.advance(target, &plan, N_DESCENT, n_threads, &|_| ())?;
    let n_features = target.n_params() / 3;
    let rows = descent.rows.rows().into_iter();
    Ok(rows.map(|w| Shape::of(w, n_features)).collect())
}

/// The parameters of a k-gon, as a row of the target.
pub fn row(polygon: &Polygon) -> Array1<f64> {
    let (columns, biases) = polygon.parameters();
    let half = |k: usize| columns.iter().map(move |c| c[k]);
    half(0).chain(half(1)).chain(biases).collect()
}

/// All columns turned by an angle.
fn turned(w: &Array1<f64>, n_features: usize, angle: f64) -> Array1<f64> {
    let (sin, cos) = angle.sin_cos();
    let mut out = w.clone();
    for i in 0..n_features {
        let (x, y) = (w[i], w[n_features + i]);
        out[i] = cos * x - sin * y;
        out[n_features + i] = sin * x + cos * y;
    }
    out
}

/// Proposals for the integral over one part of a phase.
pub struct Proposals {
    pub rows: Array2<f64>,
    /// `nβ(L - L(w*))`.
    pub energies: Vec<f64>,
    /// `log exp(-nβ(L - L*) - γ/2 |w - c|²)/q`, with c the centre of the prior, up to the prior's norm.
    pub log_weights: Vec<f64>,
}

/// Around what proposals are made, and against what they are weighed.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    pub polygon: &'a Polygon,
    pub n_features: usize,
    pub nbeta: f64,
    pub gamma: f64,
    /// Centre of the prior: 0, or the k-gon.
    pub at_polygon: bool,
    /// Whether negative biases of dead features stay where they are; else they are free below 0.
    pub held: bool,
}

impl Around<'_> {
    /// Features with a dead column and a negative bias.
    fn idle(&self, w: &Array1<f64>) -> Vec<usize> {
        let c = self.n_features;
        let short = |&i: &usize| w[i].hypot(w[c + i]) < LONG && w[2 * c + i] < 0.0;
        (0..c).filter(short).collect()
    }

    /// `count` proposals at (seed, stream).
    pub fn propose(&self, count: usize, seed: u64, stream: u64) -> anyhow::Result<Proposals> {
        let c = self.n_features;
        let d = 3 * c;
        let mut target = UniformAutoencoder::new(c, 2, 2)?;
        let w = row(self.polygon);
        let (h, v) = hessian(&mut target, w.view())?.eigh(UPLO::Lower)?;
        let regular: Vec<usize> = (0..d).filter(|&i| h[i] > FLAT).collect();
        let quarter = |w: &Array1<f64>| {
            let mut out = Array1::zeros(d);
            for i in 0..c {
                (out[i], out[c + i]) = (-w[c + i], w[i]);
            }
            out
        };
        let tangent = quarter(&w);
        let radius = tangent.dot(&tangent).sqrt();
        let idle = self.idle(&w);
        let centre = if self.at_polygon {
            w.clone()
        } else {
            Array1::zeros(d)
        };
        let mut random = rng(seed, Purpose::Probes, stream, 0);
        let mut rows = Array2::zeros((count, d));
        let mut log_weights = Vec::with_capacity(count);
        let log_normal = |z: f64, sd: f64| -0.5 * z * z - (sd * std::f64::consts::TAU.sqrt()).ln();
        for mut out in rows.rows_mut() {
            let (mut moved, mut log_q) = (w.clone(), -(std::f64::consts::TAU.ln()));
            for &i in &regular {
                let sd = 1.0 / (self.nbeta * h[i] + self.gamma).sqrt();
                let z = normal(&mut random);
                moved.scaled_add(z * sd, &v.column(i));
                log_q += log_normal(z, sd);
            }
            log_q -= (tangent.dot(&quarter(&moved)) / radius).abs().ln();
            let mut moved = turned(&moved, c, std::f64::consts::TAU * random.random::<f64>());
            for &i in &idle {
                for j in [i, c + i] {
                    let z = normal(&mut random);
                    moved[j] = DEAD_SD * z;
                    log_q += log_normal(z, DEAD_SD);
                }
                if !self.held {
                    let sd = 1.0 / self.gamma.sqrt();
                    let z = normal(&mut random).abs();
                    moved[2 * c + i] = -sd * z;
                    log_q += log_normal(z, sd) + std::f64::consts::LN_2;
                }
            }
            let away = &moved - &centre;
            log_weights.push(-0.5 * self.gamma * away.dot(&away) - log_q);
            out.assign(&moved);
        }
        let mut losses = vec![f64::NAN; count];
        target.loss(rows.view(), &mut losses);
        let energies: Vec<f64> = losses
            .iter()
            .map(|l| self.nbeta * (l - self.polygon.loss()))
            .collect();
        for (weight, energy) in log_weights.iter_mut().zip(&energies) {
            *weight -= energy;
        }
        Ok(Proposals {
            rows,
            energies,
            log_weights,
        })
    }
}

/// In how many ways features can be put on the vertices, up to rotation, and the dead ones divided into positive and others.
pub fn n_parts(n_features: u32, (k, n_positive): (u32, u32)) -> f64 {
    let falling = |n: u32, k: u32| (0..k).map(|i| f64::from(n - i)).product::<f64>();
    let vertices = falling(n_features, k) / f64::from(k);
    let dead = n_features - k;
    vertices * falling(dead, n_positive) / falling(n_positive, n_positive)
}

/// The constant of the free energy of a k-gon with k >= 5 under a normal prior of precision 1: `F = nL + λ log n + c`. By Laplace's method across the circle; the
/// circle's length, the number of parts, and the prior's mass of the flat region are in it.
pub fn constant(n_features: u32, polygon: &Polygon, phase: (u32, u32)) -> anyhow::Result<f64> {
    let c = n_features as usize;
    let w = row(polygon);
    let mut target = UniformAutoencoder::new(c, 2, 2)?;
    let (h, _) = hessian(&mut target, w.view())?.eigh(UPLO::Lower)?;
    let regular: Vec<f64> = h.iter().copied().filter(|&h| h > FLAT).collect();
    let log_det: f64 = regular.iter().map(|h| h.ln()).sum();
    let circle: f64 = w.iter().take(2 * c).map(|x| x * x).sum::<f64>().sqrt();
    let n_idle = n_features - phase.0 - phase.1;
    // a dead feature's own bias, -1 in the polygon's parameters, is integrated apart
    let norm: f64 = w.iter().map(|x| x * x).sum::<f64>() - f64::from(n_idle);
    // of the prior's (2π)^(-d/2) the regular directions take all but that of the circle
    let log_circle = (std::f64::consts::TAU.sqrt() * circle).ln();
    let flat = if n_idle == 1 {
        flat_mass(polygon, phase.0).ln()
    } else {
        0.0
    };
    anyhow::ensure!(n_idle <= 1, "{n_idle} idle features; expected at most 1");
    Ok(0.5 * norm + 0.5 * log_det - log_circle - n_parts(n_features, phase).ln() - flat)
}

/// The mass that a normal of precision 1 gives the dead columns and biases on which the loss of a k-gon with one negative dead feature does not depend: no output is on that
/// was off.
fn flat_mass(polygon: &Polygon, k: u32) -> f64 {
    let (columns, _) = polygon.parameters();
    let (step, reach) = (2e-3, 0.5);
    let n = (2.0 * reach / step) as i32;
    let mut mass = 0.0;
    for i in 0..n {
        for j in 0..n {
            let [x, y] = [i, j].map(|i| -reach + step * (f64::from(i) + 0.5));
            let most = columns[..k as usize]
                .iter()
                .map(|w| w[0] * x + w[1] * y)
                .fold(0.0f64, f64::max);
            if most + polygon.vertex_bias() <= 0.0 {
                let density = (-0.5 * (x * x + y * y)).exp() / std::f64::consts::TAU;
                mass += step * step * density * below(-most.max(x * x + y * y));
            }
        }
    }
    mass
}

/// The mass of a standard normal below `x <= 0`, by Simpson's rule.
fn below(x: f64) -> f64 {
    let n = 60;
    let step = -x / f64::from(n);
    let at = |i: u32| {
        let weight = match i {
            0 | 60 => 1.0,
            _ if i % 2 == 1 => 4.0,
            _ => 2.0,
        };
        let t = step * f64::from(i);
        weight * (-0.5 * t * t).exp()
    };
    let sum: f64 = (0..=n).map(at).sum();
    0.5 - sum * step / 3.0 / std::f64::consts::TAU.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(polygon: &Polygon, nbeta: f64) -> Around<'_> {
        Around {
            polygon,
            n_features: 6,
            nbeta,
            gamma: 1.0,
            at_polygon: false,
            held: false,
        }
    }

    /// The vertices in their order, whatever the rotation and some noise; a reflection is another part.
    #[test]
    fn points_descend_to_their_shapes() {
        let target = UniformAutoencoder::new(6, 2, 2).expect("a target");
        let mut random = rng(1, Purpose::Data, 0, 0);
        for phase in [(4, 2), (5, 0), (5, 1), (6, 0)] {
            let w = row(&Polygon::new(6, phase.0, phase.1).expect("a polygon"));
            let mut rows = Array2::zeros((3, 18));
            for (i, mut out) in rows.rows_mut().into_iter().enumerate() {
                out.assign(&turned(&w, 6, 2.0 * i as f64));
                out.mapv_inplace(|w| w + 0.02 * normal(&mut random));
            }
            rows.row_mut(2)
                .slice_mut(ndarray::s![6..12])
                .mapv_inplace(|y| -y);
            let found = shapes(&target, rows, 1).expect("shapes");
            let vertices: Vec<usize> = (0..phase.0 as usize).collect();
            for shape in &found[..2] {
                assert_eq!((shape.phase(), &shape.vertices), (phase, &vertices));
            }
            assert_eq!(found[2].phase(), phase);
            assert_ne!(found[2].vertices, vertices);
        }
    }

    #[test]
    fn parts_are_counted() {
        let counts = [(4, 0), (4, 1), (5, 0), (5, 1), (6, 0)].map(|phase| n_parts(6, phase));
        assert_eq!(counts, [90.0, 180.0, 144.0, 144.0, 120.0]);
    }

    /// Laplace's constants against the integrals, far out: two routes that share the Hessian alone, and the flat region not even that.
    #[test]
    fn constants_are_those_of_the_integrals() {
        let n = 1e8;
        for phase in [(5, 0), (5, 1), (6, 0)] {
            let polygon = Polygon::new(6, phase.0, phase.1).expect("a polygon");
            let found = around(&polygon, n)
                .propose(20_000, 3, 0)
                .expect("proposals");
            // a proposal of less loss belongs to another phase
            let weight = |(log, energy): (&f64, &f64)| match *energy > -1.0 {
                true => log.exp(),
                false => 0.0,
            };
            let pairs = found.log_weights.iter().zip(&found.energies);
            let weights: Vec<f64> = pairs.map(weight).collect();
            let count = weights.len() as f64;
            let mean = weights.iter().sum::<f64>() / count;
            let square = weights.iter().map(|w| w * w).sum::<f64>() / count;
            let error = ((square / (mean * mean) - 1.0) / count).sqrt();
            // the weights lack the prior's norm of all parameters
            let log = mean.ln() + n_parts(6, phase).ln() - 9.0 * std::f64::consts::TAU.ln();
            let lambda = polygon.learning_coefficient().lambda_f64();
            let exact = -constant(6, &polygon, phase).expect("a constant") - lambda * n.ln();
            // the edge of the flat region is as wide as n^(-1/3) of it
            assert!(
                error < 0.015 && (log - exact).abs() < 4.4 * error + 0.02,
                "{phase:?}: {log} {exact} {error}"
            );
        }
    }

    #[test]
    fn normal_tails() {
        assert!((below(0.0) - 0.5).abs() < 1e-15);
        assert!((below(-1.0) - 0.158_655_253_931_457).abs() < 1e-9);
    }
}
