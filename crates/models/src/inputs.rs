//! Inputs of samples: numbers, or tokens, whose one-hot vectors are never made.

use burn::tensor::kind::Basic;
use burn::tensor::{DType, Int, Tensor};
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

    /// That of a batch, of what holds the whole data set.
    ///
    /// Shapes: `samples`: `[n_rows * size]`.
    pub(crate) fn batch(&self, samples: &Tensor<1, Int>, n_rows: usize) -> Self {
        match self {
            Self::Reals(x) => Self::Reals(taken(x, samples, n_rows)),
            Self::Tokens(Tokens(tokens)) => Self::Tokens(Tokens(taken(tokens, samples, n_rows))),
        }
    }

    pub(crate) fn autodiff(self) -> Self {
        match self {
            Self::Reals(x) => Self::Reals(x.autodiff()),
            Self::Tokens(Tokens(tokens)) => Self::Tokens(Tokens(tokens.autodiff())),
        }
    }
}

/// The samples that are named, of a tensor `[1, n, width]`, shape `[n_rows, size, width]`.
pub(crate) fn taken<K: Basic>(
    all: &Tensor<3, K>,
    samples: &Tensor<1, Int>,
    n_rows: usize,
) -> Tensor<3, K> {
    let [_, _, width] = all.dims();
    let size = samples.dims()[0] / n_rows;
    all.clone()
        .select(1, samples.clone())
        .reshape([n_rows, size, width])
}

/// Tokens of a batch, shape `[n_rows or 1, n, length]`.
#[derive(Debug, Clone)]
pub(crate) struct Tokens(pub Tensor<3, Int>);

impl Tokens {
    /// The rows of a table that the tokens at `place` name, the table's row `first` being token 0's.
    ///
    /// Shapes: `table`: `[n_rows, n_entries, width]`; returns `[n_rows, n, width]`.
    pub(crate) fn gather(&self, table: Tensor<3>, place: usize, first: usize) -> Tensor<3> {
        let [n_rows, n_entries, width] = table.dims();
        let tokens = self.0.clone().narrow(2, place, 1);
        let n = tokens.dims()[1];
        // where token 0 of each row lies in the tables, one below the other
        let firsts = Tensor::<1, Int>::arange(0..n_rows as i64, (&tokens.device(), DType::I64));
        let firsts = (firsts * n_entries as i64 + first as i64).reshape([n_rows, 1, 1]);
        table
            .reshape([n_rows * n_entries, width])
            .select(0, (tokens + firsts).reshape([n_rows * n]))
            .reshape([n_rows, n, width])
    }
}
