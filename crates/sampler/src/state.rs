//! An ensemble of chains: everything that a kernel reads and writes.

use ndarray::{Array2, ArrayView2};

use crate::dynamics::{Dynamics, Row};
use crate::noise::RowNoise;

/// An ensemble of chains.
#[derive(Debug, Clone)]
pub struct State {
    /// Where the chains are, shape `[n_rows, d]`.
    pub rows: Array2<f64>,
    /// Where each is held, `w*`, shape `[n_rows, d]`.
    pub anchor: Array2<f64>,
    /// Gradients of the mean loss that the last step used, shape `[n_rows, d]`.
    pub grad: Array2<f64>,
    /// Mean losses before the last step, shape `[n_rows]`.
    pub loss: Vec<f64>,
    /// Steps done.
    pub step: u64,
    /// What each row does, `[n_rows]`.
    pub(crate) dynamics: Vec<Dynamics>,
    /// Length scale of each parameter, `[n_rows, d]`; all 1 if `None`, 0 for a parameter that stays where it is.
    pub(crate) scale: Option<Array2<f64>>,
    /// Largest distance of a parameter from its anchor.
    pub(crate) radius: Option<f64>,
    pub(crate) noise: Vec<RowNoise>,
    pub(crate) seed: u64,
    pub(crate) streams: Vec<u64>,
    /// What the kernel remembers besides; made by its first step.
    pub(crate) memory: Memory,
}

/// What a kernel remembers from step to step besides where the rows are.
#[derive(Debug, Clone, Default)]
pub(crate) enum Memory {
    #[default]
    Nothing,
    Adaptive(crate::adaptive::Moments),
    Underdamped(crate::underdamped::Momenta),
    Metropolis(Box<crate::hmc::Trajectory>),
}

impl State {
    /// Chains that start at their anchors.
    ///
    /// Shapes: `anchors`: `[n_rows, d]`; `rows`: `[n_rows]`.
    ///
    /// # Panics
    /// If there is not one row for each anchor.
    pub fn new(anchors: ArrayView2<f64>, seed: u64, rows: &[Row]) -> Self {
        let (n_rows, d) = anchors.dim();
        assert_eq!(n_rows, rows.len(), "one row for each anchor");
        Self {
            rows: anchors.as_standard_layout().into_owned(),
            anchor: anchors.as_standard_layout().into_owned(),
            grad: Array2::zeros((n_rows, d)),
            loss: vec![f64::NAN; n_rows],
            step: 0,
            dynamics: rows.iter().map(|row| row.dynamics).collect(),
            scale: None,
            radius: None,
            noise: rows
                .iter()
                .map(|row| RowNoise::new(seed, row.stream, d))
                .collect(),
            seed,
            streams: rows.iter().map(|row| row.stream).collect(),
            memory: Memory::Nothing,
        }
    }

    /// Chains that start elsewhere.
    ///
    /// # Panics
    /// If the shapes differ.
    #[must_use]
    pub fn starting_at(mut self, starts: ArrayView2<f64>) -> Self {
        self.rows.assign(&starts);
        self
    }

    /// Chains that move each parameter in units of its `scale`, shape `[n_rows, d]`: steps are `scale^2` as large, the
    /// density stays the same. A parameter of scale 0 stays at its start.
    #[must_use]
    pub fn with_scale(mut self, scale: ArrayView2<f64>) -> Self {
        assert_eq!(scale.dim(), self.rows.dim(), "one scale for each parameter");
        self.scale = Some(scale.as_standard_layout().into_owned());
        self
    }

    /// Chains that stay in the box `|w_i - w*_i| <= radius`.
    #[must_use]
    pub fn within(mut self, radius: f64) -> Self {
        self.radius = Some(radius);
        self
    }

    /// Each row's accepted share of its proposals so far, `[n_rows]`, for kernels that have any.
    pub fn acceptance(&self) -> Option<Vec<f64>> {
        match &self.memory {
            Memory::Metropolis(trajectory) if self.step > 0 => {
                let share = |&n: &u64| n as f64 / self.step as f64;
                Some(trajectory.n_accepted.iter().map(share).collect())
            }
            _ => None,
        }
    }

    /// Folds every row back into its box, as light is between mirrors. A momentum turns round with its parameter.
    pub(crate) fn reflect(&mut self, mut momentum: Option<&mut Array2<f64>>) {
        let Some(radius) = self.radius else {
            return;
        };
        for (i, (w, anchor)) in self.rows.iter_mut().zip(&self.anchor).enumerate() {
            let x = *w - anchor;
            if x.abs() > radius && x.is_finite() {
                // distance along the unfolded axis, in widths of the box
                let widths = ((x + radius) / (2.0 * radius)).floor();
                let folded = x - 2.0 * radius * widths;
                let odd = widths.rem_euclid(2.0) == 1.0;
                *w = anchor + if odd { -folded } else { folded };
                if let (true, Some(p)) = (odd, momentum.as_deref_mut()) {
                    let d = p.ncols();
                    p[[i / d, i % d]] *= -1.0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn a_box_reflects() {
        let dynamics = Dynamics::new(1.0, 1.0, 0.0).expect("valid");
        let anchors = Array2::from_elem((1, 7), 10.0);
        let mut state = State::new(anchors.view(), 1, &Row::many(0, 1, dynamics)).within(2.0);
        state.rows = array![[10.0, 12.0, 12.5, 7.5, 17.0, 3.0, f64::NAN]];
        let mut momentum = Array2::from_elem((1, 7), 1.0);
        state.reflect(Some(&mut momentum));
        // 17 is 7 from the anchor: 2 out, back at -1; 3 is -7 likewise
        let expected = [10.0, 12.0, 11.5, 8.5, 9.0, 11.0];
        for (w, e) in state.rows.iter().zip(expected) {
            assert!((w - e).abs() < 1e-12, "{w} {e}");
        }
        assert!(state.rows[[0, 6]].is_nan());
        assert_eq!(momentum, array![[1.0, 1.0, -1.0, -1.0, 1.0, 1.0, 1.0]]);
    }
}
