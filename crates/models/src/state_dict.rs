//! A network's row from PyTorch's state dict, and back.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array2, ArrayView2};
use slt_training::StateDict;

use crate::network::{Network, Parameter, Stored, segments};

/// Why a state dict is not one of this network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state dict is not of this network: {}", .0.join("; "))]
pub struct StateDictMismatch(
    /// Each name that is missing, unknown or of another shape.
    pub Vec<String>,
);

impl Parameter {
    /// Its shape in PyTorch's state dict.
    pub fn stored_shape(&self) -> Vec<usize> {
        let [rows, columns] = self.shape;
        match self.stored {
            Stored::Matrix => vec![rows, columns],
            Stored::Transposed => vec![columns, rows],
            Stored::Vector => vec![columns],
        }
    }
}

impl Network {
    /// The row that a state dict holds.
    ///
    /// Shapes: returns `[d]`.
    ///
    /// # Errors
    /// [`StateDictMismatch`] lists all names that are missing, unknown, or of another shape.
    pub fn row(&self, state_dict: &StateDict) -> Result<Vec<f64>, StateDictMismatch> {
        let parameters = self.parameters();
        let mut wrong = Vec::new();
        let mut row = Vec::with_capacity(self.n_params());
        for parameter in &parameters {
            let (name, expected) = (&parameter.name, parameter.stored_shape());
            match state_dict.arrays.get(name) {
                None => wrong.push(format!("{name} is missing")),
                Some(array) if array.shape() != expected => {
                    let got = array.shape();
                    wrong.push(format!("{name} has shape {got:?}, expected {expected:?}"));
                }
                Some(array) => match parameter.stored {
                    Stored::Matrix | Stored::Vector => row.extend(array),
                    Stored::Transposed => row.extend(array.t()),
                },
            }
        }
        let unknown = |name: &&String| parameters.iter().all(|p| p.name != **name);
        for name in state_dict.arrays.keys().filter(unknown) {
            wrong.push(format!("{name} is not a parameter"));
        }
        match wrong.is_empty() {
            true => Ok(row),
            false => Err(StateDictMismatch(wrong)),
        }
    }

    /// A row as a state dict, which PyTorch's `load_state_dict` takes once Python's safetensors has read it.
    ///
    /// # Panics
    /// If `row` has not `d` numbers.
    pub fn state_dict(&self, row: &[f64]) -> StateDict {
        let parameters = self.parameters();
        assert_eq!(row.len(), self.n_params(), "a row has d numbers");
        let array = |(parameter, (columns, shape)): (&Parameter, (Range<usize>, [usize; 2]))| {
            let matrix = ArrayView2::from_shape(shape, &row[columns]).expect("a segment's shape");
            let matrix: Array2<f64> = match parameter.stored {
                Stored::Transposed => matrix.t().as_standard_layout().into_owned(),
                Stored::Matrix | Stored::Vector => matrix.to_owned(),
            };
            let array = matrix
                .into_dyn()
                .into_shape_with_order(parameter.stored_shape());
            (parameter.name.clone(), array.expect("as many numbers"))
        };
        let arrays: BTreeMap<_, _> = parameters
            .iter()
            .zip(segments(&parameters))
            .map(array)
            .collect();
        StateDict { arrays }
    }
}
