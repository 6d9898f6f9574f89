//! A target of which only some parameters count: the refined LLC's view of a loss.
//!
//! Gradient and Hessian-vector products are those of the loss as a function of the selected parameters, the others held
//! where they are: `P ∇L` and `P H P v` with `P` the projection on the selected ones. Each parameter that is held adds an
//! eigenvalue 0, and so nothing to a [`QuadraticPrediction`](crate::QuadraticPrediction) but, for γ = 0, to its count of unconfined directions.

use ndarray::{Array1, ArrayView2, ArrayViewMut2, Axis};

use crate::chains::{RunError, mask};
use crate::target::{Batch, Target};

/// A target seen along a selection of its parameters.
///
/// ```
/// use ndarray::array;
/// use slt_sampler::{QuadraticPrediction, Restricted, Spectrum, targets::Quadratic};
///
/// let mut target = Quadratic::new(array![[3.0, 1.0], [1.0, 2.0]], array![0.0, 0.0], 0.0, 100);
/// let mut first = Restricted::new(&mut target, &[true, false])?;
/// let spectrum = Spectrum::exact(&mut first, array![0.0, 0.0].view())?;
/// let prediction = QuadraticPrediction::new(&spectrum, 10.0, 10.0)?;
/// assert_eq!(prediction.mean.value, 0.5 * 30.0 / 40.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Restricted<'a, T> {
    target: &'a mut T,
    /// 1 where selected, else 0, `[d]`.
    selected: Array1<f64>,
}

impl<'a, T: Target> Restricted<'a, T> {
    /// The target along the parameters that are `selected`, `[d]`.
    ///
    /// # Errors
    /// [`RunError::NothingMoves`] where none is selected.
    ///
    /// # Panics
    /// If there is not one choice for each parameter.
    pub fn new(target: &'a mut T, selected: &[bool]) -> Result<Self, RunError> {
        assert_eq!(
            selected.len(),
            target.n_params(),
            "one choice for each parameter"
        );
        let selected = mask(selected)?.remove_axis(Axis(0));
        Ok(Self { target, selected })
    }
}

impl<T: Target> Target for Restricted<'_, T> {
    fn n_params(&self) -> usize {
        self.target.n_params()
    }

    fn n_samples(&self) -> usize {
        self.target.n_samples()
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        mut grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        self.target
            .loss_and_grad(rows, batch, grad.view_mut(), loss);
        grad *= &self.selected;
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        self.target.loss(rows, loss);
    }

    fn gradient_precision(&self) -> f64 {
        self.target.gradient_precision()
    }

    fn n_rows_at_once(&self) -> usize {
        self.target.n_rows_at_once()
    }

    fn hessian_vectors(
        &mut self,
        rows: ArrayView2<f64>,
        vectors: ArrayView2<f64>,
        mut out: ArrayViewMut2<f64>,
    ) {
        let vectors = &vectors * &self.selected;
        self.target
            .hessian_vectors(rows, vectors.view(), out.view_mut());
        out *= &self.selected;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanczos::symmetric;
    use crate::spectrum::{Probes, Spectrum};
    use crate::targets::{Quadratic, TanhUnit, hessian_check};
    use ndarray::{Array2, array};
    use ndarray_linalg::{EigValsh, UPLO};

    /// The spectrum is that of the block of the selected parameters, and a 0 for each of the others.
    #[test]
    fn the_spectrum_of_a_block() {
        let h: Vec<f64> = (1..=12).map(f64::from).collect();
        let matrix = symmetric(&h, 1).0;
        let kept = [0, 3, 4, 7, 11];
        let selected: Vec<bool> = (0..12).map(|i| kept.contains(&i)).collect();
        let block = Array2::from_shape_fn((5, 5), |(i, j)| matrix[[kept[i], kept[j]]]);
        let f = |h: f64| h / (h + 1.0);
        let expected: f64 = block.eigvalsh(UPLO::Lower).unwrap().mapv(f).sum();
        let mut target = Quadratic::new(matrix, Array1::zeros(12), 0.0, 10);
        let mut part = Restricted::new(&mut target, &selected).unwrap();
        assert_eq!((part.n_params(), part.n_samples()), (12, 10));
        let w = Array1::zeros(12);
        let exact = Spectrum::exact(&mut part, w.view()).unwrap();
        approx::assert_relative_eq!(exact.sum(f).value, expected, max_relative = 1e-12);
        let probes = Probes {
            n_probes: 200,
            n_steps: 12,
            seed: 1,
            stream: 0,
        };
        let estimate = Spectrum::estimate(&mut part, w.view(), &probes)
            .unwrap()
            .sum(f);
        assert!((estimate.value - expected).abs() < 4.5 * estimate.mcse && estimate.mcse > 0.0);
    }

    #[test]
    fn derivatives_of_what_is_held_vanish() {
        let mut unit = TanhUnit::new(vec![-1.0, 0.2, 1.3], vec![0.5, 0.1, 0.8]).expect("samples");
        let w = array![[0.7, -0.3, 1.2, 0.1]];
        let (mut whole, mut part) = (Array2::zeros((1, 4)), Array2::zeros((1, 4)));
        let (mut a, mut b, mut c) = ([0.0], [0.0], [0.0]);
        unit.loss_and_grad(w.view(), Batch::Full, whole.view_mut(), &mut a);
        let mut target = Restricted::new(&mut unit, &[true, false, true, false]).unwrap();
        target.loss_and_grad(w.view(), Batch::Full, part.view_mut(), &mut b);
        target.loss(w.view(), &mut c);
        assert_eq!((a, a), (b, c));
        assert_eq!(part, &whole * &array![1.0, 0.0, 1.0, 0.0]);
        assert_eq!(target.gradient_precision(), f64::EPSILON);
        // what is held neither moves nor answers
        let mut out = Array2::zeros((1, 4));
        target.hessian_vectors(
            w.view(),
            array![[0.0, 1.0, 0.0, 1.0]].view(),
            out.view_mut(),
        );
        assert_eq!(out, Array2::<f64>::zeros((1, 4)));
        hessian_check(
            &mut Restricted::new(&mut unit, &[true; 4]).unwrap(),
            &w.into_raw_vec_and_offset().0,
        );
    }

    #[test]
    fn an_empty_selection_is_an_error() {
        let mut unit = TanhUnit::new(vec![1.0], vec![1.0]).expect("samples");
        let nothing = Restricted::new(&mut unit, &[false; 4]);
        assert!(matches!(nothing, Err(RunError::NothingMoves { row: 0 })));
    }
}
