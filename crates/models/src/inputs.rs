//! Inputs of samples: numbers, or tokens, whose one-hot vectors are never made.

use std::sync::Arc;

use burn::tensor::{DType, Int, Tensor, TensorData};
use ndarray::Array2;

use crate::network::NetworkError;

/// The inputs of a data set, a row for each sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Inputs {
    /// Numbers, shape `[n, n_inputs]`.
    Reals(Array2<f64>),
    /// Tokens, shape `[n, length]`.
    Tokens(Array2<u32>),
}

impl From<Array2<f64>> for Inputs {
    fn from(x: Array2<f64>) -> Self {
        Self::Reals(x)
    }
}

impl From<Array2<u32>> for Inputs {
    fn from(tokens: Array2<u32>) -> Self {
        Self::Tokens(tokens)
    }
}

/// What a network reads of each sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// So many numbers.
    Reals(usize),
    /// `length` tokens below `vocabulary`.
    Tokens { length: usize, vocabulary: usize },
}

impl Inputs {
    pub(crate) fn n_samples(&self) -> usize {
        match self {
            Self::Reals(x) => x.nrows(),
            Self::Tokens(x) => x.nrows(),
        }
    }

    /// The same in standard layout, where a network can read it.
    pub(crate) fn checked(self, reads: Reads) -> Result<Self, NetworkError> {
        let columns = |got, expected| match got == expected {
            true => Ok(()),
            false => Err(NetworkError::Shape {
                what: "input",
                axis: "columns",
                got,
                expected,
            }),
        };
        match (self, reads) {
            (Self::Reals(x), Reads::Reals(n)) => {
                columns(x.ncols(), n)?;
                match x.iter().all(|v| v.is_finite()) {
                    true => Ok(Self::Reals(x.as_standard_layout().into_owned())),
                    false => Err(NetworkError::NotFinite),
                }
            }
            (Self::Tokens(x), Reads::Tokens { length, vocabulary }) => {
                columns(x.ncols(), length)?;
                match x.indexed_iter().find(|&(_, &t)| t as usize >= vocabulary) {
                    None => Ok(Self::Tokens(x.as_standard_layout().into_owned())),
                    Some(((sample, _), &got)) => Err(NetworkError::Token {
                        sample,
                        got,
                        vocabulary,
                    }),
                }
            }
            (Self::Reals(_), Reads::Tokens { .. }) => Err(NetworkError::Reads {
                expected: "tokens",
                got: "numbers",
            }),
            (Self::Tokens(_), Reads::Reals(_)) => Err(NetworkError::Reads {
                expected: "numbers",
                got: "tokens",
            }),
        }
    }
}

/// A batch of inputs, the same for all rows or one for each.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant)] // there is one of it at a time
pub(crate) enum Input {
    /// Shape `[n_rows or 1, n, n_inputs]`.
    Reals(Tensor<3>),
    Tokens(Tokens),
}

impl Input {
    /// The numbers, of a network that reads numbers.
    pub(crate) fn reals(self) -> Tensor<3> {
        match self {
            Self::Reals(x) => x,
            Self::Tokens(_) => unreachable!("what a network reads is checked with its data"),
        }
    }

    /// The tokens, of a network that reads tokens.
    pub(crate) fn tokens(self) -> Tokens {
        match self {
            Self::Tokens(tokens) => tokens,
            Self::Reals(_) => unreachable!("what a network reads is checked with its data"),
        }
    }

    pub(crate) fn autodiff(self) -> Self {
        match self {
            Self::Reals(x) => Self::Reals(x.autodiff()),
            tokens => tokens,
        }
    }
}

/// Tokens of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    /// Shape `[n_rows or 1, n, length]`.
    values: Arc<[u32]>,
    n: usize,
    length: usize,
}

impl Tokens {
    pub(crate) fn new(values: Vec<u32>, n: usize, length: usize) -> Self {
        Self {
            values: values.into(),
            n,
            length,
        }
    }

    /// The rows of a table that the tokens at `place` name, the table's row `first` being token 0's.
    ///
    /// Shapes: `table`: `[n_rows, n_entries, width]`; returns `[n_rows, n, width]`.
    pub(crate) fn gather(&self, table: Tensor<3>, place: usize, first: usize) -> Tensor<3> {
        let [n_rows, n_entries, width] = table.dims();
        let batches = self.values.chunks_exact(self.n * self.length).cycle();
        let entries = |(row, batch): (usize, &'_ [u32])| -> Vec<i64> {
            let at = |sample: &[u32]| row * n_entries + first + sample[place] as usize;
            let samples = batch.chunks_exact(self.length);
            samples.map(|sample| at(sample) as i64).collect()
        };
        let indices: Vec<i64> = (0..n_rows).zip(batches).flat_map(entries).collect();
        let data = TensorData::new(indices, [n_rows * self.n]);
        let indices = Tensor::<1, Int>::from_data(data, (&table.device(), DType::I64));
        table
            .reshape([n_rows * n_entries, width])
            .select(0, indices)
            .reshape([n_rows, self.n, width])
    }
}
