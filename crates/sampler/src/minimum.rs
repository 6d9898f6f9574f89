//! A true minimum to sample around: L-BFGS with a More-Thuente line search, from argmin.

use std::cell::RefCell;

use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use crate::target::{Batch, Target};

/// Where a search for a minimum ended.
#[derive(Debug, Clone)]
pub struct Minimum {
    /// The point, shape `[d]`.
    pub w: Array1<f64>,
    /// The full-data loss there. Units: nats.
    pub loss: f64,
    /// Euclidean norm of the full-data gradient there.
    pub gradient_norm: f64,
    /// Iterations taken.
    pub n_iterations: u64,
}

/// Why no minimum was found.
#[derive(Debug, thiserror::Error)]
pub enum MinimumError {
    /// argmin stopped with an error.
    #[error("the search for a minimum failed: {0}")]
    Search(String),
    /// The gradient did not become small enough.
    #[error(
        "no minimum after {n_iterations} iterations: the gradient's norm is {gradient_norm:e}, expected at most {tolerance:e}"
    )]
    NotConverged {
        /// Norm reached.
        gradient_norm: f64,
        /// Norm asked for.
        tolerance: f64,
        /// Iterations taken.
        n_iterations: u64,
    },
}

struct Problem<'a, T>(RefCell<&'a mut T>);

impl<T: Target> Problem<'_, T> {
    fn evaluate(&self, w: &[f64]) -> (f64, Vec<f64>) {
        let row = ArrayView2::from_shape((1, w.len()), w).expect("one row");
        let (mut grad, mut loss) = (Array2::zeros((1, w.len())), [0.0]);
        self.0
            .borrow_mut()
            .loss_and_grad(row, Batch::Full, grad.view_mut(), &mut loss);
        (loss[0], grad.into_raw_vec_and_offset().0)
    }
}

impl<T: Target> CostFunction for Problem<'_, T> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, w: &Self::Param) -> Result<f64, argmin::core::Error> {
        Ok(self.evaluate(w).0)
    }
}

impl<T: Target> Gradient for Problem<'_, T> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, w: &Self::Param) -> Result<Vec<f64>, argmin::core::Error> {
        Ok(self.evaluate(w).1)
    }
}

/// The local minimum of the full-data loss that L-BFGS reaches from `start`, with a gradient of norm at most `tolerance`.
///
/// # Errors
/// [`MinimumError`] where the line search fails or the gradient stays larger than `tolerance`.
pub fn find_minimum<T: Target>(
    target: &mut T,
    start: ArrayView1<f64>,
    tolerance: f64,
    max_iterations: u64,
) -> Result<Minimum, MinimumError> {
    let failed = |error: argmin::core::Error| MinimumError::Search(error.to_string());
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 10)
        .with_tolerance_grad(tolerance)
        .and_then(|solver| solver.with_tolerance_cost(0.0))
        .map_err(failed)?;
    let result = Executor::new(Problem(RefCell::new(&mut *target)), solver)
        .configure(|state| state.param(start.to_vec()).max_iters(max_iterations))
        .run()
        .map_err(failed)?;
    let state = result.state();
    let w = state
        .get_best_param()
        .cloned()
        .ok_or_else(|| MinimumError::Search("no point was evaluated".to_owned()))?;
    let n_iterations = state.get_iter();
    let (loss, grad) = Problem(RefCell::new(target)).evaluate(&w);
    let gradient_norm = grad.iter().map(|g| g * g).sum::<f64>().sqrt();
    if !(gradient_norm <= tolerance) {
        return Err(MinimumError::NotConverged {
            gradient_norm,
            tolerance,
            n_iterations,
        });
    }
    Ok(Minimum {
        w: Array1::from(w),
        loss,
        gradient_norm,
        n_iterations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{Quadratic, TanhUnit};
    use ndarray::array;

    #[test]
    fn finds_the_minimum_of_a_quadratic() {
        let mut target = Quadratic::new(
            array![[100.0, 1.0], [1.0, 0.1]],
            array![1.0, -2.0],
            0.25,
            10,
        );
        let found =
            find_minimum(&mut target, array![0.0, 0.0].view(), 1e-10, 200).expect("a minimum");
        approx::assert_abs_diff_eq!(found.w, array![1.0, -2.0], epsilon = 1e-8);
        approx::assert_abs_diff_eq!(found.loss, 0.25, epsilon = 1e-15);
    }

    #[test]
    fn finds_the_weights_that_made_the_data() {
        let x: Vec<f64> = (0..50).map(|i| -2.0 + 4.0 * f64::from(i) / 49.0).collect();
        let y = x
            .iter()
            .map(|x| 0.8 * (1.5 * x + 0.4).tanh() - 0.3)
            .collect();
        let found = find_minimum(
            &mut TanhUnit::new(x, y).expect("samples"),
            array![1.0, 0.0, 1.0, 0.0].view(),
            1e-11,
            1000,
        )
        .expect("a minimum");
        approx::assert_abs_diff_eq!(found.w, array![1.5, 0.4, 0.8, -0.3], epsilon = 1e-8);
    }

    #[test]
    fn too_few_iterations_are_an_error() {
        let mut target = Quadratic::new(
            array![[100.0, 1.0], [1.0, 0.1]],
            array![1.0, -2.0],
            0.25,
            10,
        );
        let stopped = find_minimum(&mut target, array![0.0, 0.0].view(), 1e-10, 1);
        assert!(matches!(stopped, Err(MinimumError::NotConverged { .. })));
    }
}
