//! Chains whose rows live where their target computes, on a GPU: what [`chains::run`](crate::chains::run) asks of such a place.

use ndarray::{Array2, ArrayView2};

use crate::dynamics::Row;
use crate::target::Batch;

/// A place that keeps rows and moves them by stochastic gradient Langevin dynamics, so that nothing as large as a row travels between steps.
pub trait Residence {
    /// Rows that it can keep at a time.
    fn capacity(&self) -> usize;

    /// Takes rows in.
    fn take_in(&self, arrival: &Arrival) -> Box<dyn Residents>;
}

/// Rows that are taken in; shapes were checked.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// `w*` of each, `[n_rows, d]`.
    pub anchors: ArrayView2<'a, f64>,
    /// Where the chains start, `[n_rows, d]`; at their anchors if `None`.
    pub starts: Option<ArrayView2<'a, f64>>,
    /// Length scale of each parameter, `[n_rows, d]`; all 1 if `None`.
    pub scale: Option<ArrayView2<'a, f64>>,
    /// Random streams and dynamics of each, `[n_rows]`.
    pub rows: &'a [Row],
    /// Seed of the noise.
    pub seed: u64,
}

/// Rows in their place.
pub trait Residents {
    /// A step of SGLD of every row, with the noise of `step`; what was seen on the way where that is asked for.
    fn step(&mut self, batch: Batch, step: u64, seen: Option<&mut Seen>);

    /// Mean loss of every row over all samples.
    ///
    /// Shapes: `loss`: `[n_rows]`, overwritten. Units: nats.
    fn losses(&mut self, loss: &mut [f64]);

    /// Distance `|w - w*|` of every row.
    ///
    /// Shapes: `distance`: `[n_rows]`, overwritten.
    fn distances(&mut self, distance: &mut [f64]);

    /// The rows now, `[n_rows, d]`.
    fn rows(&self) -> Array2<f64>;
}

/// What a step saw before it moved the rows.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Mean loss over the batch, `[n_rows]`. Units: nats.
    pub loss: Vec<f64>,
    /// `(ε/8) Σ s² nβ g (nβ g + γ (w - w*))` with the gradient `g` of the step, `[n_rows]`: see
    /// [`Draws::step_bias`](crate::Draws::step_bias). For SGLD alone.
    pub excess: Vec<f64>,
}

impl Seen {
    /// Of so many rows, nothing seen yet.
    pub(crate) fn of(n_rows: usize) -> Self {
        Self {
            loss: vec![f64::NAN; n_rows],
            excess: vec![0.0; n_rows],
        }
    }
}
