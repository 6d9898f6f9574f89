//! What a kernel samples from: the mean loss of every row and its gradient.

use std::ops::Range;

use ndarray::{Array3, ArrayView2, ArrayViewMut2};

use crate::hessian::hessian_vectors_by_differences;
use crate::resident::Residence;

/// The samples over which a loss is the mean.
#[derive(Debug, Clone, Copy)]
pub enum Batch<'a> {
    /// All samples, for every row.
    Full,
    /// Sample indices of every row, shape `[n_rows, batch_size]`.
    Rows(ArrayView2<'a, u32>),
}

/// A mean loss `L(w)` over `n_samples`, evaluated for an ensemble of parameter vectors at once.
///
/// Rows are in standard layout (row-major, contiguous). A row's loss and gradient must not depend, to the last bit, on
/// which other rows are evaluated beside it: that is what makes an ensemble's numbers independent of its size and of
/// the number of threads. A value that is not finite is returned as it is: it is data for the caller.
pub trait Target {
    /// Parameters of a row, `d`.
    fn n_params(&self) -> usize;

    /// Samples in the full data set, `n`.
    fn n_samples(&self) -> usize;

    /// Mean loss of every row over `batch`, and its gradient.
    ///
    /// Shapes: `rows`: `[n_rows, d]`; `grad`: `[n_rows, d]`, overwritten; `loss`: `[n_rows]`, overwritten.
    /// Units: nats.
    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    );

    /// Mean loss of every row over all samples.
    ///
    /// Shapes: `rows`: `[n_rows, d]`; `loss`: `[n_rows]`, overwritten. Units: nats.
    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]);

    /// The relative rounding of the gradient: that of its floating-point type.
    ///
    /// A target that computes in `f32` must say so here: the step of the differences in
    /// [`Target::hessian_vectors`] is the cube root of this number.
    fn gradient_precision(&self) -> f64 {
        f64::EPSILON
    }

    /// How many rows it is best given at a time: all, unless it takes one row after the other and rows are large, so that a row, its gradient and
    /// what else moves with it stay in a core's cache.
    fn n_rows_at_once(&self) -> usize {
        usize::MAX
    }

    /// Where it keeps rows itself, if it computes in a place of its own: chains of SGLD are moved there. None unless a target overrides this.
    fn residence(&self) -> Option<&dyn Residence> {
        None
    }

    /// `H(w) v` for every row, with `H` the matrix of second derivatives of the mean loss over all samples.
    ///
    /// Unless a target overrides this by its analytic product: central differences of the gradient, one call of
    /// [`Target::loss_and_grad`] for both sides of all rows, `(∇L(w + t v) - ∇L(w - t v)) / 2t` with
    /// `t |v| = ∛u (1 + |w|)` and `u` the gradient's precision. Accuracy: relative `u^(2/3)` (4e-11 in `f64`, 2e-5 in
    /// `f32`) where the loss bends on the scale `1 + |w|`: truncation is `t²/6` times the fourth derivative along `v`,
    /// rounding `u |∇L| / t`. A zero vector gives a zero product.
    ///
    /// Shapes: `rows`, `vectors`: `[n_rows, d]`, standard layout; `out`: `[n_rows, d]`, overwritten.
    fn hessian_vectors(
        &mut self,
        rows: ArrayView2<f64>,
        vectors: ArrayView2<f64>,
        out: ArrayViewMut2<f64>,
    ) {
        hessian_vectors_by_differences(self, rows, vectors, out);
    }

    /// For every row, roots of the second derivatives of the mean loss over all samples by the parameters of a block in which that loss is quadratic,
    /// where these are a product: `H = (l'l) ⊗ (r'r)`, `H_(ij)(i'j') = (l'l)_ii' (r'r)_jj'` for the parameter `i q + j` of the block.
    ///
    /// With l and r the small curvatures of H are known to the square of rounding, not to rounding. None unless a target overrides this.
    ///
    /// Shapes: `rows`: `[n_rows, d]`, standard layout; l: `[n_rows, any, p]`, r: `[n_rows, any, q]`, with `p q` the number of parameters of the block.
    fn block_roots(
        &mut self,
        rows: ArrayView2<f64>,
        block: Range<usize>,
    ) -> Option<(Array3<f64>, Array3<f64>)> {
        let (_, _) = (rows, block);
        None
    }
}

/// A target that keeps its data: the loss of every single sample, of which `L` is the mean (WAIC, singular fluctuation).
pub trait SampleLosses: Target {
    /// The loss of every row on every sample.
    ///
    /// Shapes: `rows`: `[n_rows, d]`; `out`: `[n_rows, n_samples]`, overwritten. Units: nats.
    fn sample_losses(&mut self, rows: ArrayView2<f64>, out: ArrayViewMut2<f64>);
}
