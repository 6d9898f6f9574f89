//! What targets of one row after the other, and of blocks of samples, have in common.

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis};

use crate::target::Batch;

/// Samples that pass through a network together.
pub(super) const BLOCK: usize = 128;

/// Puts the samples `from ..` of `n`, at most [`BLOCK`] of them, into `block`: of `batch`, or of all.
pub(super) fn take(block: &mut Vec<usize>, batch: Option<ArrayView1<u32>>, from: usize, n: usize) {
    let range = from..(from + BLOCK).min(n);
    block.clear();
    match batch {
        None => block.extend(range),
        Some(indices) => block.extend(range.map(|i| indices[i] as usize)),
    }
}

/// Evaluates row after row: `evaluate` gets the parameters, the row's minibatch if there is one and its gradient if asked for, and returns the loss.
///
/// Shapes: `rows`, `grad`: `[n_rows, d]`, contiguous; `loss`: `[n_rows]`.
pub(super) fn each_row(
    rows: ArrayView2<f64>,
    batch: Batch,
    mut grad: Option<ArrayViewMut2<f64>>,
    loss: &mut [f64],
    mut evaluate: impl FnMut(&[f64], Option<ArrayView1<u32>>, Option<&mut [f64]>) -> f64,
) {
    for (i, (w, loss)) in rows.rows().into_iter().zip(loss).enumerate() {
        let indices = match batch {
            Batch::Full => None,
            Batch::Rows(indices) => Some(indices.index_axis_move(Axis(0), i)),
        };
        let grad = grad
            .as_mut()
            .map(|g| g.row_mut(i).into_slice().expect("gradients are contiguous"));
        *loss = evaluate(w.to_slice().expect("rows are contiguous"), indices, grad);
    }
}
