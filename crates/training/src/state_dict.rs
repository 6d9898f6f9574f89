//! Parameters by name, as PyTorch's `state_dict()` gives them: read from its files and from safetensors, written as safetensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use pytorch_reader::{DType, PytorchReader};
use safetensors::tensor::{Dtype, SafeTensors};

use crate::checkpoint::{CheckpointError, write};

/// Arrays by name, in PyTorch's shapes: the weight of a linear layer is `[n_out, n_in]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StateDict {
    /// The arrays; a map, so that whoever named them differently can rename them.
    pub arrays: BTreeMap<String, ArrayD<f64>>,
}

/// Why a state dict cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateDictError {
    /// The file system refused.
    #[error("cannot read the state dict {}: {source}; check that the file is there", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is neither PyTorch's nor safetensors, or not whole.
    #[error("{} is no state dict, or damaged ({reason}); expected what torch.save or safetensors' save_file write of a state_dict()", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An array is not of floating-point numbers.
    #[error("'{name}' in {} holds {dtype} numbers; expected F32 or F64 (in PyTorch: model.float())", path.display())]
    Type {
        /// The file.
        path: PathBuf,
        /// The array.
        name: String,
        /// What it holds.
        dtype: String,
    },
}

/// A number of bytes and what they are.
#[derive(Debug, Clone, Copy)]
enum Width {
    Four,
    Eight,
}

impl StateDict {
    /// Reads a file that `torch.save` (any name) or safetensors (`.safetensors`) wrote; numbers of single precision are widened.
    ///
    /// Nothing in a PyTorch file is executed: the pickle is parsed by pytorch-reader, which knows arrays and containers alone.
    ///
    /// # Errors
    /// [`StateDictError`] where the file cannot be read, is not whole, or holds other than floating-point numbers.
    pub fn read(path: &Path) -> Result<Self, StateDictError> {
        let io = |source| StateDictError::Io {
            path: path.to_owned(),
            source,
        };
        let damaged = |reason: String| StateDictError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let array = |name: String, dtype: String, shape: &[usize], bytes: &[u8]| {
            let width = match dtype.as_str() {
                "F32" => Width::Four,
                "F64" => Width::Eight,
                _ => {
                    return Err(StateDictError::Type {
                        path: path.to_owned(),
                        name,
                        dtype,
                    });
                }
            };
            let array = ArrayD::from_shape_vec(shape, width.numbers(bytes));
            Ok((name, array.map_err(|e| damaged(e.to_string()))?))
        };
        let arrays: Result<_, StateDictError> =
            if path.extension().is_some_and(|kind| kind == "safetensors") {
                let bytes = std::fs::read(path).map_err(io)?;
                let tensors =
                    SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
                let of = |(name, view): (String, safetensors::tensor::TensorView)| {
                    let dtype: Dtype = view.dtype();
                    array(name, format!("{dtype:?}"), view.shape(), view.data())
                };
                tensors.tensors().into_iter().map(of).collect()
            } else {
                std::fs::File::open(path).map_err(io)?;
                let reader = PytorchReader::new(path).map_err(|e| damaged(e.to_string()))?;
                let of = |(name, tensor): (String, pytorch_reader::Tensor)| {
                    let dtype: DType = tensor.dtype();
                    let bytes = tensor.read().map_err(|e| damaged(e.to_string()))?;
                    array(name, format!("{dtype:?}"), tensor.shape(), &bytes)
                };
                reader.into_tensors().into_iter().map(of).collect()
            };
        arrays.map(|arrays| Self { arrays })
    }

    /// Writes a safetensors file of doubles, which Python's safetensors loads; a reader sees the whole file or none.
    ///
    /// # Errors
    /// [`CheckpointError::Io`] where the file system refuses.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        write(
            path,
            self.arrays.iter().map(|(name, a)| (name, a.view())),
            None,
        )
    }
}

impl Width {
    fn numbers(self, bytes: &[u8]) -> Vec<f64> {
        match self {
            Self::Four => {
                let numbers = bytes.as_chunks().0.iter();
                numbers.map(|&b| f64::from(f32::from_le_bytes(b))).collect()
            }
            Self::Eight => {
                let numbers = bytes.as_chunks().0.iter();
                numbers.map(|&b| f64::from_le_bytes(b)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn example() -> StateDict {
        StateDict {
            arrays: BTreeMap::from([
                ("a.weight".to_owned(), array![[1.0, -2.5, 3.0]].into_dyn()),
                ("a.bias".to_owned(), array![f64::MIN_POSITIVE].into_dyn()),
            ]),
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.safetensors");
        example().write(&path).expect("written");
        assert_eq!(StateDict::read(&path).expect("read"), example());
        let nowhere = example().write(&folder.path().join("no/a.safetensors"));
        assert!(matches!(nowhere, Err(CheckpointError::Io { .. })));
    }

    /// Truncated at every byte, as either kind of file.
    #[test]
    fn what_is_no_state_dict_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.safetensors");
        example().write(&path).expect("written");
        let whole = std::fs::read(&path).expect("read");
        for len in 0..whole.len() {
            for name in ["a.safetensors", "a.pt"] {
                let path = folder.path().join(name);
                std::fs::write(&path, &whole[..len]).expect("written");
                let error = StateDict::read(&path).expect_err("truncated");
                assert!(
                    matches!(error, StateDictError::Damaged { .. }),
                    "{name}, {len} bytes: {error}"
                );
            }
        }
        for name in ["b.safetensors", "b.pt"] {
            let missing = StateDict::read(&folder.path().join(name)).expect_err("not there");
            assert!(matches!(missing, StateDictError::Io { .. }), "{missing}");
        }
    }
}
