//! Stochastic gradient Langevin dynamics around an anchor (Welling and Teh 2011; localised as in Lau et al. 2023,
//! arXiv:2308.12108):
//!
//! `w <- w - (step_size/2) (nbeta grad L(w) + gamma (w - anchor)) + sqrt(step_size) N(0, I)`
//!
//! whose small-step limit samples `exp(-nbeta L(w) - gamma/2 |w - anchor|^2)`. The step is not Metropolis-corrected: on a
//! quadratic loss its own stationary law is known exactly (`slt-theory`, `LocalisedGaussian`), and that is what it is tested
//! against.

use multiversion::multiversion;
use ndarray::{Array2, ArrayView2};

use crate::noise::RowNoise;
use crate::target::{Batch, Target};

/// Why an [`Sgld`] cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SgldError {
    /// The step size is not a positive number.
    #[error("step_size is {0}; expected a positive number")]
    StepSize(f64),
    /// The inverse temperature is not a positive number.
    #[error("nbeta is {0}; expected a positive number (the default is n / ln n)")]
    Nbeta(f64),
    /// The localisation strength is negative or not a number.
    #[error("gamma is {0}; expected zero or a positive number")]
    Gamma(f64),
}

/// The SGLD kernel; see the module documentation for the update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgld {
    step_size: f64,
    nbeta: f64,
    gamma: f64,
}

impl Sgld {
    /// A kernel with drift `step_size / 2` and noise variance `step_size`.
    ///
    /// # Errors
    /// [`SgldError`] unless `0 < step_size`, `0 < nbeta` and `0 <= gamma`, all finite.
    pub fn new(step_size: f64, nbeta: f64, gamma: f64) -> Result<Self, SgldError> {
        if !(0.0 < step_size && step_size.is_finite()) {
            return Err(SgldError::StepSize(step_size));
        }
        if !(0.0 < nbeta && nbeta.is_finite()) {
            return Err(SgldError::Nbeta(nbeta));
        }
        if !(0.0 <= gamma && gamma.is_finite()) {
            return Err(SgldError::Gamma(gamma));
        }
        Ok(Self {
            step_size,
            nbeta,
            gamma,
        })
    }

    /// The inverse temperature times the number of samples, `nβ`.
    pub fn nbeta(&self) -> f64 {
        self.nbeta
    }

    /// The same kernel at another step size.
    ///
    /// # Errors
    /// [`SgldError::StepSize`] unless it is positive.
    pub fn with_step_size(self, step_size: f64) -> Result<Self, SgldError> {
        Self::new(step_size, self.nbeta, self.gamma)
    }

    /// One step of every row; afterwards `state.loss` holds the losses over `batch` *before* the step.
    pub fn step<T: Target>(&self, target: &mut T, batch: Batch, state: &mut State) {
        target.loss_and_grad(
            state.rows.view(),
            batch,
            state.grad.view_mut(),
            &mut state.loss,
        );
        let c = Coefficients {
            grad: 0.5 * self.step_size * self.nbeta,
            anchor: 0.5 * self.step_size * self.gamma,
            noise: self.step_size.sqrt(),
        };
        let d = state.rows.ncols();
        let rows = state
            .rows
            .as_slice_mut()
            .expect("rows are contiguous")
            .chunks_exact_mut(d);
        let anchors = state
            .anchor
            .as_slice()
            .expect("anchors are contiguous")
            .chunks_exact(d);
        let grads = state
            .grad
            .as_slice()
            .expect("gradients are contiguous")
            .chunks_exact(d);
        for (((w, anchor), grad), noise) in rows.zip(anchors).zip(grads).zip(&mut state.noise) {
            noise.for_step(state.step, |at, xi| {
                let to = at + xi.len();
                langevin(&mut w[at..to], &grad[at..to], &anchor[at..to], xi, c);
            });
        }
        state.step += 1;
    }
}

/// Factors of the update.
#[derive(Clone, Copy)]
struct Coefficients {
    grad: f64,
    anchor: f64,
    noise: f64,
}

/// Drift and noise in one pass.
#[inline]
fn langevin(w: &mut [f64], grad: &[f64], anchor: &[f64], xi: &[f32], c: Coefficients) {
    if w.len() < 16 {
        langevin_loop(w, grad, anchor, xi, c);
    } else {
        langevin_vector(w, grad, anchor, xi, c);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn langevin_vector(w: &mut [f64], grad: &[f64], anchor: &[f64], xi: &[f32], c: Coefficients) {
    langevin_loop(w, grad, anchor, xi, c);
}

#[inline(always)]
fn langevin_loop(w: &mut [f64], grad: &[f64], anchor: &[f64], xi: &[f32], c: Coefficients) {
    for (((w, &g), &a), &x) in w.iter_mut().zip(grad).zip(anchor).zip(xi) {
        *w += c.noise * f64::from(x) - (c.grad * g + c.anchor * (*w - a));
    }
}

/// An ensemble of chains: everything that a kernel reads and writes.
#[derive(Debug, Clone)]
pub struct State {
    /// Where the chains are, shape `[n_rows, d]`.
    pub rows: Array2<f64>,
    /// Where each is held, `w*`, shape `[n_rows, d]`.
    pub anchor: Array2<f64>,
    /// Gradients of the last step, shape `[n_rows, d]`.
    pub grad: Array2<f64>,
    /// Mean losses before the last step, shape `[n_rows]`.
    pub loss: Vec<f64>,
    /// Steps done.
    pub step: u64,
    noise: Vec<RowNoise>,
}

impl State {
    /// Chains that start at their anchors, row `i` with the noise of `streams[i]`.
    ///
    /// # Panics
    /// If there is not one stream for each anchor.
    pub fn new(anchors: ArrayView2<f64>, seed: u64, streams: &[u64]) -> Self {
        let (n_rows, d) = anchors.dim();
        assert_eq!(n_rows, streams.len(), "one stream for each row");
        Self {
            rows: anchors.as_standard_layout().into_owned(),
            anchor: anchors.as_standard_layout().into_owned(),
            grad: Array2::zeros((n_rows, d)),
            loss: vec![f64::NAN; n_rows],
            step: 0,
            noise: streams
                .iter()
                .map(|&stream| RowNoise::new(seed, stream, d))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::Quadratic;
    use ndarray::{Array1, Array2, array};

    fn flat(d: usize) -> Quadratic {
        Quadratic::new(Array2::zeros((d, d)), Array1::zeros(d), 0.0, 10)
    }

    /// The sum over `n_steps` of what `f` makes of the step's normals, in the order in which the kernel adds them.
    fn noise_sums(seed: u64, stream: u64, d: usize, n_steps: u64, scale: f64) -> Array1<f64> {
        let (mut noise, mut sum) = (RowNoise::new(seed, stream, d), Array1::zeros(d));
        for step in 0..n_steps {
            noise.for_step(step, |at, xi| {
                for (i, &x) in (at..).zip(xi) {
                    sum[i] += scale * f64::from(x);
                }
            });
        }
        sum
    }

    /// Rows of a few and of many parameters: the plain loop and the vector one.
    #[test]
    fn without_a_force_the_chain_is_the_sum_of_its_noise() {
        for d in [1, 3, 16, 70] {
            let kernel = Sgld::new(0.01, 20.0, 0.0).expect("valid");
            let mut state = State::new(Array2::zeros((2, d)).view(), 9, &[4, 1 << 40]);
            for _ in 0..50 {
                kernel.step(&mut flat(d), Batch::Full, &mut state);
            }
            for (row, stream) in state.rows.rows().into_iter().zip([4, 1 << 40]) {
                assert_eq!(row, noise_sums(9, stream, d, 50, 0.01f64.sqrt()));
            }
            assert_eq!((state.step, state.loss), (50, vec![0.0; 2]));
        }
    }

    /// From two starts with the same noise, the difference is what the drift leaves of it.
    #[test]
    fn drift_is_half_the_step_times_the_force() {
        let (step_size, nbeta, gamma) = (0.03, 7.0, 2.5);
        let kernel = Sgld::new(step_size, nbeta, gamma).expect("valid");
        let hessian = array![[2.0, 0.3], [0.3, 1.0]];
        let mut target = Quadratic::new(hessian.clone(), array![1.0, -1.0], 0.7, 10);
        let anchor = array![0.4, 0.9];
        let mut state = State::new(anchor.view().insert_axis(ndarray::Axis(0)), 1, &[0]);
        let (mut w, mut noise) = (anchor.clone(), noise_sums(1, 0, 2, 0, 0.0));
        for n_steps in 1..=20 {
            kernel.step(&mut target, Batch::Full, &mut state);
            let sums = noise_sums(1, 0, 2, n_steps, step_size.sqrt());
            let force = nbeta * hessian.dot(&(&w - &target.minimum())) + gamma * (&w - &anchor);
            let loss =
                0.7 + 0.5 * (&w - &target.minimum()).dot(&hessian.dot(&(&w - &target.minimum())));
            w = &w - &(0.5 * step_size * force) + (&sums - &noise);
            noise = sums;
            approx::assert_relative_eq!(state.rows.row(0), w, max_relative = 1e-12);
            approx::assert_relative_eq!(state.loss[0], loss, max_relative = 1e-12);
        }
        assert_eq!(state.anchor.row(0), anchor, "the anchor stays");
    }

    #[test]
    fn refused_settings_are_named() {
        let message = |step_size, nbeta, gamma| {
            Sgld::new(step_size, nbeta, gamma)
                .expect_err("refused")
                .to_string()
        };
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(message(bad, 1.0, 1.0).starts_with("step_size is "));
            assert!(message(1.0, bad, 1.0).starts_with("nbeta is "));
            if bad != 0.0 {
                assert!(message(1.0, 1.0, bad).starts_with("gamma is "));
            }
        }
        let kernel = Sgld::new(0.1, 2.0, 0.0).expect("gamma may be zero");
        assert_eq!(kernel.with_step_size(0.2), Sgld::new(0.2, 2.0, 0.0));
        assert_eq!(kernel.with_step_size(-0.2), Err(SgldError::StepSize(-0.2)));
        assert_eq!(kernel.nbeta(), 2.0);
    }
}
