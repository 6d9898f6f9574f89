//! Populations of particles that are cooled from the localising normal to high inverse temperatures.
//!
//! Chains do not mix on `exp(-sK - γ/2 |w - w*|²)` at large s: the zeros of K are long and thin, as long as `1/√γ` and as thin as
//! `1/√s`. A population need not: it starts as independent draws of the normal, `s = 0`, and is taken to larger s by weights, by
//! resampling and by moves that leave the law at the new s as it is (tempered sequential Monte Carlo; Del Moral, Doucet and Jasra
//! 2006). The population then holds the law along the zeros; the moves have to be good across them alone.
//!
//! - **Steps** in s are as long as the effective share of the weights allows, over all populations together. Where the loss is
//!   quadratic in a block, the block is integrated out of the weights ([`Conditional`](crate::conditional::Conditional)) and drawn
//!   anew at once, so that only what the others say counts: the steps are longer and fewer particles are lost.
//! - **Moves** go through the blocks: a draw from the conditional law where the loss is quadratic in the block, else several
//!   Metropolis steps of one parameter, `x - w* <- ±(x - w*) e^η` and `x <- x + e^u ξ` with u uniform, so that some are of the
//!   right size, whatever it is. The draw, too, has a Metropolis test, which only rounding can fail. Then neighbouring blocks trade
//!   scale: one is stretched about w*, the other shrunk by the same factor, of any size. Where the loss sees their product, that
//!   moves along its zeros, on which other moves are as short as the zeros are thin.
//! - **Resampling** is systematic, population by population. Populations share nothing but the steps in s: their spread is the
//!   error of a mean, whose bias is of the order of one over the number of particles of a population.

use ndarray::{Array2, ArrayView1, s};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::conditional::{Block, Conditionals};
use crate::noise::fill;
use crate::stream::{Purpose, rng};
use crate::target::{Batch, Target};

/// Effective share of the particles that a step in s leaves at least, and that above which the next is longer.
const LEAST_SHARE: f64 = 0.4;
const GOOD_SHARE: f64 = 0.7;
/// The first step, in log s.
const FIRST_STEP: f64 = 1.0;
/// The longest step, in log s. Where `w₁` ranges over many orders, its law at `e^3 s` reaches to `e^-1.5` of where it reached at s,
/// and so many particles are there by chance; at much longer steps they are not, and the weights of the others do not tell.
const LONGEST_STEP: f64 = 3.0;
/// The shortest step, in log s, before cooling is given up.
const SHORTEST_STEP: f64 = 1e-6;
/// Sweeps through the blocks at each s, before any that is measured.
pub(crate) const N_SWEEPS: usize = 2;
/// Pairs of Metropolis steps of a parameter in a sweep.
const N_PAIRS: usize = 3;
/// Spread of the logarithm of a factor.
const FACTOR: f64 = 1.0;
/// The least size of the logarithm of a factor by which two blocks trade scale.
const LEAST_TRADE: f64 = 0.1;
/// The sizes of a Metropolis step, in units of `1/√(s + γ)` and of `1/√γ`.
const SIZES: [f64; 2] = [0.01, 3.0];

/// Why populations are not cooled further.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "no step from nβ = {nbeta:e} leaves {LEAST_SHARE} of the particles, however short (the last left {share}): are the losses finite?"
)]
pub struct Stuck {
    /// Where.
    pub nbeta: f64,
    /// The effective share that was left.
    pub share: f64,
}

/// Where and how populations are cooled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Annealing<'a> {
    pub anchor: ArrayView1<'a, f64>,
    pub initial_loss: f64,
    pub gamma: f64,
    pub blocks: &'a [Block],
    pub n_populations: usize,
    /// Particles of a population.
    pub n_particles: usize,
    /// Measured sweeps where the law is wanted.
    pub n_measured: usize,
    pub seed: u64,
    /// Number of the first population's stream.
    pub from_stream: u64,
    pub n_threads: usize,
}

/// Particles at one inverse temperature.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    pub nbeta: f64,
    /// `[n_populations n_particles, 2 + 2 n_blocks]`, means over the sweeps: `f = sK` and `f²`, and for each block a number
    /// of mean zero that goes with `f` and one that goes with `f²`.
    pub values: Array2<f64>,
    /// Mean of `|ΔU - predicted|` over the draws of quadratic blocks since the last level; 0 but for rounding.
    pub rounding: f64,
    /// Steps in s since the last level.
    pub n_steps: usize,
    /// The least effective share of a step since the last level.
    pub share: f64,
    /// Rows that were evaluated since the last level, or could have been in the time of second derivatives.
    pub n_evaluations: u64,
}

struct Population<T> {
    target: T,
    stream: u64,
    rng: ChaCha8Rng,
    /// Pages of normals that were used.
    page: u64,
    normals: Vec<f32>,
    rows: Array2<f64>,
    proposals: Array2<f64>,
    gradients: Array2<f64>,
    excess: Vec<f64>,
    proposed: Vec<f64>,
    /// What a move's energy should change by.
    predicted: Vec<f64>,
    log_weights: Vec<f64>,
    conditionals: Vec<Conditionals>,
    values: Array2<f64>,
    /// Sum of `|ΔU - predicted|` over the draws, and their number.
    off: f64,
    n_drawn: u64,
    n_evaluations: u64,
}

impl Annealing<'_> {
    /// The mean of K under the localising normal, of those draws of the start that have one.
    pub fn scale<T: Target + Clone>(&self, target: &T) -> f64 {
        let mut start = Population::new(self, target, self.from_stream);
        start.start(self);
        start.mean_excess()
    }

    /// Cools to each of `nbetas` in turn, increasing, and gives `each` the particles there, until it says false.
    pub fn run<T: Target + Clone + Send + Sync>(
        &self,
        target: &T,
        nbetas: &[f64],
        mut each: impl FnMut(Level) -> bool,
    ) -> Result<(), Stuck> {
        let mut populations: Vec<_> = (0..self.n_populations as u64)
            .map(|p| Population::new(self, target, self.from_stream + p))
            .collect();
        self.in_parallel(&mut populations, |p| p.start(self));
        let collapsed = self.collapsed();
        let (mut now, mut length, mut step) = (0.0, FIRST_STEP, 0);
        for &nbeta in nbetas {
            let (mut n_steps, mut least) = (0, f64::INFINITY);
            while now < nbeta {
                // from s = 0, log s has no length: the first trial is as far as rounding allows
                let first = || LONGEST_STEP.exp() / populations[0].mean_excess();
                let mut next = nbeta.min(if now > 0.0 {
                    now * length.exp()
                } else {
                    first()
                });
                let share = loop {
                    self.in_parallel(&mut populations, |p| p.weigh(self, collapsed, now, next));
                    let shares = populations.iter().map(Population::share).sum::<f64>();
                    let share = shares / self.n_populations as f64;
                    if share >= LEAST_SHARE {
                        break share;
                    }
                    if now > 0.0 {
                        length = 0.5 * (next / now).ln();
                        next = now * length.exp();
                    } else {
                        next *= 0.25;
                    }
                    if !(length > SHORTEST_STEP && next > now) {
                        return Err(Stuck { nbeta: now, share });
                    }
                };
                if share > GOOD_SHARE {
                    length = (1.5 * length).min(LONGEST_STEP);
                }
                (now, step) = (next, step + 1);
                (n_steps, least) = (n_steps + 1, share.min(least));
                self.in_parallel(&mut populations, |p| {
                    p.rng = rng(self.seed, Purpose::Annealing, p.stream, step);
                    p.resample();
                    for _ in 0..N_SWEEPS {
                        p.sweep(self, collapsed, now, false);
                    }
                });
            }
            self.in_parallel(&mut populations, |p| {
                p.values.fill(0.0);
                for _ in 0..self.n_measured {
                    p.sweep(self, collapsed, now, true);
                }
                p.values /= self.n_measured as f64;
            });
            if !each(self.level(&mut populations, nbeta, n_steps, least)) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The largest block in which the loss is quadratic.
    fn collapsed(&self) -> Option<usize> {
        let quadratic = (0..self.blocks.len()).filter(|&b| self.blocks[b].quadratic);
        quadratic.max_by_key(|&b| (self.blocks[b].range.len(), self.blocks.len() - b))
    }

    fn in_parallel<T: Send>(
        &self,
        populations: &mut [Population<T>],
        work: impl Fn(&mut Population<T>) + Sync,
    ) {
        let share = populations.len().div_ceil(self.n_threads);
        std::thread::scope(|scope| {
            for part in populations.chunks_mut(share) {
                scope.spawn(|| part.iter_mut().for_each(&work));
            }
        });
    }

    fn level<T>(
        &self,
        populations: &mut [Population<T>],
        nbeta: f64,
        n_steps: usize,
        share: f64,
    ) -> Level {
        let values: Vec<_> = populations.iter().map(|p| p.values.view()).collect();
        let values = ndarray::concatenate(ndarray::Axis(0), &values).expect("equal shapes");
        let sum = |f: fn(&Population<T>) -> u64| populations.iter().map(f).sum::<u64>();
        let n_drawn = sum(|p| p.n_drawn);
        let off: f64 = populations.iter().map(|p| p.off).sum();
        let level = Level {
            nbeta,
            values,
            rounding: if n_drawn > 0 {
                off / n_drawn as f64
            } else {
                0.0
            },
            n_steps,
            share,
            n_evaluations: sum(|p| p.n_evaluations),
        };
        for p in populations {
            (p.off, p.n_drawn, p.n_evaluations) = (0.0, 0, 0);
        }
        level
    }
}

impl<T: Target + Clone> Population<T> {
    /// The mean of K over the particles that have one.
    fn mean_excess(&self) -> f64 {
        let finite: Vec<f64> = self
            .excess
            .iter()
            .copied()
            .filter(|k| k.is_finite())
            .collect();
        finite.iter().sum::<f64>() / finite.len() as f64
    }

    fn new(annealing: &Annealing, target: &T, stream: u64) -> Self {
        let (n, d) = (annealing.n_particles, annealing.anchor.len());
        let conditionals = |block: &Block| {
            let range = if block.quadratic {
                block.range.clone()
            } else {
                0..0
            };
            Conditionals::new(range, d, annealing.gamma)
        };
        Self {
            target: target.clone(),
            stream,
            rng: rng(annealing.seed, Purpose::Annealing, stream, 0),
            page: 0,
            normals: vec![],
            rows: Array2::zeros((n, d)),
            proposals: Array2::zeros((n, d)),
            gradients: Array2::zeros((n, d)),
            excess: vec![f64::NAN; n],
            proposed: vec![f64::NAN; n],
            predicted: vec![f64::NAN; n],
            log_weights: vec![f64::NAN; n],
            conditionals: annealing.blocks.iter().map(conditionals).collect(),
            values: Array2::zeros((n, 2 + 2 * annealing.blocks.len())),
            off: 0.0,
            n_drawn: 0,
            n_evaluations: 0,
        }
    }
}

impl<T: Target> Population<T> {
    /// Fresh normals, `count` of them.
    fn draw_normals(&mut self, seed: u64, count: usize) {
        self.normals.resize(count.next_multiple_of(64), 0.0);
        fill(
            seed,
            Purpose::Annealing,
            self.stream,
            self.page,
            &mut self.normals,
        );
        self.page += (self.normals.len() / 64) as u64;
    }

    /// Independent draws of the normal.
    fn start(&mut self, annealing: &Annealing) {
        let (n, d) = self.rows.dim();
        self.draw_normals(annealing.seed, n * d);
        let sd = 1.0 / annealing.gamma.sqrt();
        for ((i, j), w) in self.rows.indexed_iter_mut() {
            *w = annealing.anchor[j] + sd * f64::from(self.normals[i * d + j]);
        }
        self.target.loss(self.rows.view(), &mut self.excess);
        self.n_evaluations += n as u64;
        self.excess
            .iter_mut()
            .for_each(|l| *l -= annealing.initial_loss);
    }

    /// The logarithms of the weights that take the law at `now` to that at `next`.
    fn weigh(&mut self, annealing: &Annealing, collapsed: Option<usize>, now: f64, next: f64) {
        let Some(b) = collapsed else {
            for (weight, excess) in self.log_weights.iter_mut().zip(&self.excess) {
                *weight = (now - next) * excess;
            }
            return;
        };
        let weights = &mut self.log_weights;
        self.n_evaluations += self.conditionals[b].for_each(
            &mut self.target,
            annealing.anchor,
            annealing.initial_loss,
            self.rows.view(),
            |i, law| {
                let mut at = |nbeta| {
                    if law.cool(nbeta) {
                        law.log_evidence()
                    } else {
                        f64::NAN
                    }
                };
                let before = at(now);
                weights[i] = at(next) - before;
            },
        );
    }

    /// The effective share of the particles. A weight that is not a number is none.
    fn share(&self) -> f64 {
        let largest = self
            .log_weights
            .iter()
            .fold(f64::NEG_INFINITY, |m, &x| m.max(x));
        let (mut sum, mut squares) = (0.0, 0.0);
        for weight in &self.log_weights {
            let x = (weight - largest).exp();
            if !x.is_nan() {
                sum += x;
                squares += x * x;
            }
        }
        sum * sum / squares / self.log_weights.len() as f64
    }

    fn resample(&mut self) {
        let n = self.log_weights.len();
        let largest = self
            .log_weights
            .iter()
            .fold(f64::NEG_INFINITY, |m, &x| m.max(x));
        let weight = |x: f64| if x.is_nan() { 0.0 } else { (x - largest).exp() };
        let sum: f64 = self.log_weights.iter().map(|&x| weight(x)).sum();
        let offset: f64 = self.rng.random();
        let (mut reached, mut from) = (weight(self.log_weights[0]), 0);
        for i in 0..n {
            let wanted = (i as f64 + offset) / n as f64 * sum;
            while reached < wanted && from + 1 < n {
                from += 1;
                reached += weight(self.log_weights[from]);
            }
            self.proposals.row_mut(i).assign(&self.rows.row(from));
            self.proposed[i] = self.excess[from];
        }
        std::mem::swap(&mut self.rows, &mut self.proposals);
        std::mem::swap(&mut self.excess, &mut self.proposed);
    }

    /// Moves every block of every particle, from the one that is integrated out of the weights on.
    fn sweep(
        &mut self,
        annealing: &Annealing,
        collapsed: Option<usize>,
        nbeta: f64,
        measured: bool,
    ) {
        let blocks = annealing.blocks;
        let n_quadratic = blocks.iter().filter(|b| b.quadratic).count();
        let n_states = n_quadratic + usize::from(n_quadratic < blocks.len());
        let share = measured.then(|| 1.0 / n_states as f64);
        if measured && n_quadratic < blocks.len() {
            self.measure_by_parts(annealing, nbeta, 1.0 / n_states as f64);
        }
        let first = collapsed.unwrap_or(0);
        for b in (first..blocks.len()).chain(0..first) {
            if blocks[b].quadratic {
                self.draw(annealing, b, nbeta, share);
            } else {
                for pair in 0..N_PAIRS {
                    self.step(annealing, blocks[b].range.start, nbeta, pair % 2 == 0);
                    self.step(annealing, blocks[b].range.start, nbeta, pair % 2 == 1);
                }
            }
        }
        for pair in blocks.windows(2) {
            self.trade(annealing, pair, nbeta);
        }
    }

    fn count_state(&mut self, nbeta: f64, share: f64) {
        for (mut values, excess) in self.values.rows_mut().into_iter().zip(&self.excess) {
            let f = nbeta * excess;
            values[0] += share * f;
            values[1] += share * f * f;
        }
    }

    /// Integration by parts with the field `φ = x - w*` of one block, and with `φ = f (x - w*)`: of mean zero are
    /// `d - φ·∇U` and `f (d - φ·∇U) + φ·∇f`.
    fn measure_by_parts(&mut self, annealing: &Annealing, nbeta: f64, share: f64) {
        self.count_state(nbeta, share);
        self.target.loss_and_grad(
            self.rows.view(),
            Batch::Full,
            self.gradients.view_mut(),
            &mut self.proposed,
        );
        self.n_evaluations += self.proposed.len() as u64;
        for (b, block) in annealing
            .blocks
            .iter()
            .enumerate()
            .filter(|(_, b)| !b.quadratic)
        {
            for i in 0..self.excess.len() {
                let (mut zero, mut along) = (0.0, 0.0);
                for j in block.range.clone() {
                    let x = self.rows[[i, j]] - annealing.anchor[j];
                    let part = nbeta * x * self.gradients[[i, j]];
                    zero += 1.0 - annealing.gamma * x * x - part;
                    along += part;
                }
                self.values[[i, 2 + 2 * b]] += zero * share;
                self.values[[i, 3 + 2 * b]] += (nbeta * self.excess[i] * zero + along) * share;
            }
        }
    }

    /// Draws the block b from its conditional law. Of mean zero are `f - E[f | others]` and `f² - E[f² | others]`.
    fn draw(&mut self, annealing: &Annealing, b: usize, nbeta: f64, measured: Option<f64>) {
        let range = annealing.blocks[b].range.clone();
        let (n, d) = (self.excess.len(), range.len());
        if let Some(share) = measured {
            self.count_state(nbeta, share);
        }
        self.draw_normals(annealing.seed, n * d);
        self.proposals.assign(&self.rows);
        let mut xi = vec![0.0; d];
        let Self {
            normals,
            proposals,
            predicted,
            values,
            excess,
            ..
        } = self;
        self.n_evaluations += n as u64;
        self.n_evaluations += self.conditionals[b].for_each(
            &mut self.target,
            annealing.anchor,
            annealing.initial_loss,
            self.rows.view(),
            |i, law| {
                if !law.cool(nbeta) {
                    predicted[i] = f64::NAN;
                    return;
                }
                if let Some(share) = measured {
                    let (f, moments) = (nbeta * excess[i], law.moments());
                    values[[i, 2 + 2 * b]] += share * (f - moments.mean);
                    values[[i, 3 + 2 * b]] += share * (f * f - moments.square);
                }
                for (xi, &normal) in xi.iter_mut().zip(&normals[i * d..(i + 1) * d]) {
                    *xi = f64::from(normal);
                }
                let mut w = proposals.slice_mut(s![i, range.clone()]);
                let w = w.as_slice_mut().expect("a part of a row is contiguous");
                predicted[i] = law.draw(&mut xi, w);
            },
        );
        self.n_drawn += n as u64;
        self.off += self.accept(annealing, range, nbeta);
    }

    /// A Metropolis step of the parameter j of every particle.
    fn step(&mut self, annealing: &Annealing, j: usize, nbeta: f64, factor: bool) {
        let n = self.excess.len();
        self.draw_normals(annealing.seed, n);
        self.proposals.assign(&self.rows);
        self.n_evaluations += n as u64;
        let [least, largest] = [
            SIZES[0] / (nbeta + annealing.gamma).sqrt(),
            SIZES[1] / annealing.gamma.sqrt(),
        ]
        .map(f64::ln);
        for i in 0..n {
            let xi = f64::from(self.normals[i]);
            let u: f64 = self.rng.random();
            let w = &mut self.proposals[[i, j]];
            if factor {
                // the logarithm's own density is that of x times |x|
                let sign = if u < 0.25 { -1.0 } else { 1.0 };
                *w = annealing.anchor[j] + sign * (*w - annealing.anchor[j]) * (FACTOR * xi).exp();
                self.predicted[i] = FACTOR * xi;
            } else {
                *w += (least + u * (largest - least)).exp() * xi;
                self.predicted[i] = 0.0;
            }
        }
        self.accept(annealing, j..j + 1, nbeta);
    }

    /// A Metropolis step that stretches one block about w* and shrinks the next, `x - w* <- (x - w*) t` and `y - w* <- (y - w*)/t`. The size of
    /// `log t` is uniform in its logarithm, up to that of a direction as thin as `1/√(s + γ)` against one as long as `1/√γ`.
    fn trade(&mut self, annealing: &Annealing, pair: &[Block], nbeta: f64) {
        let (first, second) = (pair[0].range.clone(), pair[1].range.clone());
        let n = self.excess.len();
        self.proposals.assign(&self.rows);
        self.n_evaluations += n as u64;
        let largest = (0.5 * (nbeta / annealing.gamma).ln_1p()).max(1.0);
        // of the measure, `t` for each parameter of the first and `1/t` for each of the second
        let volume = first.len() as f64 - second.len() as f64;
        for i in 0..n {
            let [size, side]: [f64; 2] = self.rng.random();
            let log_t = (LEAST_TRADE * (largest / LEAST_TRADE).powf(size)).copysign(side - 0.5);
            let mut w = self.proposals.row_mut(i);
            for (range, factor) in [
                (first.clone(), log_t.exp()),
                (second.clone(), (-log_t).exp()),
            ] {
                for j in range {
                    let a = annealing.anchor[j];
                    w[j] = a + (w[j] - a) * factor;
                }
            }
            self.predicted[i] = volume * log_t;
        }
        self.accept(annealing, first.start..second.end, nbeta);
    }

    /// Accepts each proposal with probability `exp(predicted - ΔU)`; a NaN is refused. Returns the sum of `|predicted - ΔU|`.
    fn accept(&mut self, annealing: &Annealing, range: std::ops::Range<usize>, nbeta: f64) -> f64 {
        self.target.loss(self.proposals.view(), &mut self.proposed);
        let mut off = 0.0;
        for i in 0..self.excess.len() {
            let proposed = self.proposed[i] - annealing.initial_loss;
            let mut change = nbeta * (proposed - self.excess[i]);
            for j in range.clone() {
                let a = annealing.anchor[j];
                let (old, new) = (self.rows[[i, j]] - a, self.proposals[[i, j]] - a);
                change += 0.5 * annealing.gamma * (new - old) * (new + old);
            }
            let u: f64 = self.rng.random();
            let log_ratio = self.predicted[i] - change;
            off += log_ratio.abs();
            if (1.0 - u).ln() <= log_ratio {
                for j in range.clone() {
                    self.rows[[i, j]] = self.proposals[[i, j]];
                }
                self.excess[i] = proposed;
            }
        }
        off
    }
}
