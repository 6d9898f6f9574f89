//! Parameters and optimiser state on disk: safetensors, written atomically, with their configuration in the header.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayViewD};
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

/// Key of the [`Header`] in the file's metadata; a second key would make the order of the file's bytes random.
const HEADER: &str = "slt";

/// What the file's metadata say, as JSON.
#[derive(Serialize, Deserialize)]
struct Header {
    step: u64,
    config: String,
}

/// Arrays by name after `step` training steps, and the configuration that made them.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Training steps done.
    pub step: u64,
    /// The configuration, as JSON.
    pub config: String,
    /// Arrays by name.
    pub arrays: BTreeMap<String, Array2<f64>>,
}

/// Why a checkpoint cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system refused.
    #[error("cannot {action} the checkpoint {}: {source}; check that the folder is there and can be written to", path.display())]
    Io {
        /// Read or write.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is no whole checkpoint.
    #[error("the checkpoint {} is truncated or damaged ({reason}); delete it and run again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file belongs to another configuration.
    #[error("the checkpoint {} was made by another configuration; delete its folder or choose another output folder", path.display())]
    OtherConfig {
        /// The file.
        path: PathBuf,
    },
}

struct Doubles<'a>(ArrayViewD<'a, f64>);

impl View for Doubles<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F64
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.0.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        8 * self.0.len()
    }
}

/// Writes arrays as a safetensors file; a reader sees the whole file or none.
pub(crate) fn write<'a>(
    path: &Path,
    arrays: impl Iterator<Item = (&'a String, ArrayViewD<'a, f64>)>,
    metadata: Option<HashMap<String, String>>,
) -> Result<(), CheckpointError> {
    let failed = |source| CheckpointError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let tensors = arrays.map(|(name, array)| (name, Doubles(array)));
    let bytes =
        safetensors::serialize(tensors, metadata).map_err(|e| failed(std::io::Error::other(e)))?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(&bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

impl Checkpoint {
    /// Writes the checkpoint; a reader sees the whole file or none.
    ///
    /// # Errors
    /// [`CheckpointError::Io`] where the file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        let header = Header {
            step: self.step,
            config: self.config.clone(),
        };
        let header = serde_json::to_string(&header).expect("a number and a string");
        let metadata = HashMap::from([(HEADER.to_owned(), header)]);
        let arrays = self
            .arrays
            .iter()
            .map(|(name, a)| (name, a.view().into_dyn()));
        write(path, arrays, Some(metadata))
    }

    /// Reads a checkpoint that `config` made.
    ///
    /// # Errors
    /// [`CheckpointError`] where the file cannot be read, is not whole, or belongs to another configuration.
    pub fn load(path: &Path, config: &str) -> Result<Self, CheckpointError> {
        let bytes = std::fs::read(path).map_err(|source| CheckpointError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let damaged = |reason: String| CheckpointError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let (_, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
        let header = metadata.metadata().as_ref().and_then(|m| m.get(HEADER));
        let header = header.ok_or_else(|| damaged(format!("no entry '{HEADER}'")))?;
        let Header {
            step,
            config: found,
        } = serde_json::from_str(header)
            .map_err(|e| damaged(format!("its entry '{HEADER}': {e}")))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
        if found != config {
            return Err(CheckpointError::OtherConfig {
                path: path.to_owned(),
            });
        }
        let array = |(name, view): (String, safetensors::tensor::TensorView)| {
            let (&[n_rows, d], Dtype::F64) = (view.shape(), view.dtype()) else {
                return Err(damaged(format!("'{name}' is no matrix of doubles")));
            };
            let values = view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|&b| f64::from_le_bytes(b))
                .collect();
            let array =
                Array2::from_shape_vec((n_rows, d), values).map_err(|e| damaged(e.to_string()))?;
            Ok((name, array))
        };
        let arrays = tensors
            .tensors()
            .into_iter()
            .map(array)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            step,
            config: found,
            arrays,
        })
    }

    /// Reads every checkpoint below `folder`, so that a damaged one is noticed before any work; none is fine.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] or [`CheckpointError::Io`] for the first that is not whole.
    pub fn check_all(folder: &Path) -> Result<(), CheckpointError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| CheckpointError::Io {
                action: "read",
                path,
                source,
            }
        };
        let entries = match std::fs::read_dir(folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed(folder))?,
        };
        for entry in entries {
            let path = entry.map_err(failed(folder))?.path();
            if path.is_dir() {
                Self::check_all(&path)?;
            } else if path.extension().is_some_and(|kind| kind == "safetensors") {
                let bytes = std::fs::read(&path).map_err(failed(&path))?;
                let damaged = |e: safetensors::SafeTensorError| CheckpointError::Damaged {
                    path: path.clone(),
                    reason: e.to_string(),
                };
                SafeTensors::deserialize(&bytes).map_err(damaged)?;
            }
        }
        Ok(())
    }

    /// The array `name`, of a file that must hold it.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] where there is none.
    pub fn take(&mut self, name: &str, path: &Path) -> Result<Array2<f64>, CheckpointError> {
        let missing = || CheckpointError::Damaged {
            path: path.to_owned(),
            reason: format!("it holds no '{name}'"),
        };
        self.arrays.remove(name).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn example() -> Checkpoint {
        let arrays = BTreeMap::from([
            (
                "rows".to_owned(),
                array![[1.5, -0.0], [f64::MIN_POSITIVE, 3.0]],
            ),
            ("first".to_owned(), Array2::zeros((2, 0))),
        ]);
        Checkpoint {
            step: 1200,
            config: r#"{"widths":[1,2]}"#.to_owned(),
            arrays,
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.safetensors");
        example().save(&path).expect("written");
        assert_eq!(
            Checkpoint::load(&path, &example().config).expect("read"),
            example()
        );
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("listed").count(),
            1,
            "no temporary file stays"
        );
    }

    #[test]
    fn the_same_checkpoint_is_the_same_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = (0..16).map(|i| {
            let path = folder.path().join(i.to_string());
            example().save(&path).expect("written");
            std::fs::read(path).expect("read")
        });
        let first = files.next().expect("a file");
        assert!(files.all(|file| file == first));
    }

    #[test]
    fn a_file_of_another_program_is_damaged() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.safetensors");
        let rows = Array2::zeros((1, 1));
        for entry in [None, Some(("slt", "no JSON")), Some(("other", "{}"))] {
            let metadata = entry.map(|(k, v)| HashMap::from([(k.to_owned(), v.to_owned())]));
            let bytes =
                safetensors::serialize([("rows", Doubles(rows.view().into_dyn()))], metadata);
            std::fs::write(&path, bytes.expect("serialised")).expect("written");
            let error = Checkpoint::load(&path, "{}").expect_err("damaged");
            assert!(error.to_string().contains("'slt'"), "{error}");
        }
        let mut whole = example();
        let missing = whole.take("third", &path).expect_err("not there");
        assert!(missing.to_string().contains("'third'"), "{missing}");
    }

    #[test]
    fn every_truncation_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.safetensors");
        example().save(&path).expect("written");
        let whole = std::fs::read(&path).expect("read");
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).expect("written");
            let error = Checkpoint::load(&path, &example().config).expect_err("truncated");
            assert!(
                matches!(error, CheckpointError::Damaged { .. }),
                "{len} bytes: {error}"
            );
            assert!(error.to_string().contains("delete it and run again"));
        }
    }

    #[test]
    fn another_configuration_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.safetensors");
        example().save(&path).expect("written");
        assert!(matches!(
            Checkpoint::load(&path, "{}"),
            Err(CheckpointError::OtherConfig { .. })
        ));
        let missing = Checkpoint::load(&folder.path().join("b"), "{}");
        assert!(matches!(
            missing,
            Err(CheckpointError::Io { action: "read", .. })
        ));
        let unwritable = example().save(&folder.path().join("no/folder"));
        assert!(matches!(
            unwritable,
            Err(CheckpointError::Io {
                action: "write",
                ..
            })
        ));
    }
}
