//! Where a paper's records, figures and checkpoints live, and the rule that a finished cell is never redone.
//!
//! `ROOT/PAPER/PROFILE/{records,figures,checkpoints}`. A cell is addressed by what defines it:
//! `records/EXPERIMENT-<16 hex digits of its key>.json`. Code is not part of the key: a change
//! of an algorithm that changes numbers must change the config too (a version field), or the
//! records be deleted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::atomic::{WriteError, remove_stale, write_atomic};
use crate::canonical::{self, CanonicalError};
use crate::progress;
use crate::provenance::Provenance;
use crate::record::{self, Record, SCHEMA, Volatile};

/// What a store refuses.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A name that would not be one plain folder or file.
    #[error("{what} `{name}` is not a plain name: use letters, digits, `-`, `_` and `.`")]
    Name {
        /// Paper, profile or experiment.
        what: &'static str,
        /// The name as given.
        name: String,
    },
    /// The output folder cannot be made or written to.
    #[error("cannot write to {path}: {source}; free the path or choose another output folder")]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A record that is there but is not the one asked for; it is left as it is.
    #[error("{file}: {problem}; delete the file and run again")]
    Unusable {
        /// The record's file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A record that should be read and is not there.
    #[error("no record of experiment {experiment} at {file}; run `make reproduce` first")]
    Missing {
        /// The experiment.
        experiment: String,
        /// Where its record would be.
        file: PathBuf,
    },
    /// A result that cannot be read back as its own type.
    #[error("the result of experiment {experiment} does not survive its record: {problem}")]
    NotReadable {
        /// The experiment.
        experiment: String,
        /// What reading it said.
        problem: String,
    },
    /// A config or result without canonical JSON.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// A record or summary that could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The output folder of one paper under one profile.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    paper: String,
    profile: String,
    provenance: Provenance,
    read_only: bool,
}

impl Store {
    /// Opens, and makes where missing, `root/paper/profile` with its sub-folders.
    ///
    /// Writability is tried and every record read now rather than after an hour's computation, and
    /// partial files of killed runs are removed.
    ///
    /// # Errors
    /// [`StoreError::Name`] for a paper or profile that is not a plain name;
    /// [`StoreError::NotWritable`] with the folder and the remedy; [`StoreError::Unusable`] for a
    /// record that is truncated or damaged.
    pub fn open(root: &Path, paper: &str, profile: &str) -> Result<Self, StoreError> {
        let store = Self::at(root, paper, profile, false)?;
        for folder in ["records", "figures", "checkpoints", ""].map(|name| store.folder.join(name))
        {
            prepare(&folder).map_err(|source| StoreError::NotWritable {
                path: folder.clone(),
                source,
            })?;
        }
        store.check_records()?;
        Ok(store)
    }

    /// Opens what an earlier run wrote; no cell of it ever computes, no folder is made.
    ///
    /// # Errors
    /// [`StoreError::Name`] as for [`Store::open`]; [`StoreError::Missing`] when nothing was run.
    pub fn open_read_only(root: &Path, paper: &str, profile: &str) -> Result<Self, StoreError> {
        let store = Self::at(root, paper, profile, true)?;
        let records = store.folder.join("records");
        if !records.is_dir() {
            return Err(StoreError::Missing {
                experiment: format!("of {paper} ({profile})"),
                file: records,
            });
        }
        Ok(store)
    }

    fn check_records(&self) -> Result<(), StoreError> {
        let folder = self.folder.join("records");
        let unusable = |file: &Path, problem: String| StoreError::Unusable {
            file: file.to_path_buf(),
            problem,
        };
        let entries = fs::read_dir(&folder).map_err(|e| unusable(&folder, e.to_string()))?;
        for entry in entries {
            let file = entry.map_err(|e| unusable(&folder, e.to_string()))?.path();
            if file.extension().is_some_and(|kind| kind == "json") {
                let text = fs::read_to_string(&file).map_err(|e| unusable(&file, e.to_string()))?;
                record::check(&text).map_err(|problem| unusable(&file, problem))?;
            }
        }
        Ok(())
    }

    fn at(root: &Path, paper: &str, profile: &str, read_only: bool) -> Result<Self, StoreError> {
        plain("paper", paper)?;
        plain("profile", profile)?;
        Ok(Self {
            folder: root.join(paper).join(profile),
            paper: paper.to_string(),
            profile: profile.to_string(),
            provenance: Provenance::discover(),
            read_only,
        })
    }

    /// The paper.
    pub fn paper(&self) -> &str {
        &self.paper
    }

    /// The profile.
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// The code that is running, as it will stand in new records.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The folder of the summary.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the figures.
    pub fn figures(&self) -> PathBuf {
        self.folder.join("figures")
    }

    /// The folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.folder.join("checkpoints")
    }

    /// The folder of one experiment's checkpoints, named like its record.
    ///
    /// # Errors
    /// [`StoreError::Name`], or [`StoreError::Canonical`] when the config holds NaN or ±∞.
    pub fn checkpoints_of<C: Serialize>(
        &self,
        experiment: &str,
        config: &C,
        device: &str,
    ) -> Result<PathBuf, StoreError> {
        let key = self.address(experiment, config, device)?.key;
        Ok(self.checkpoints().join(format!("{experiment}-{key:.16}")))
    }

    /// The record of a cell: read when it is there, else computed and stored whole.
    ///
    /// The record returned is read back from the very bytes that are stored, so that a
    /// first run and a repeated one go on with the same numbers. A failing `compute` leaves nothing.
    /// In a store opened read-only a missing record is an error and `compute` is not called.
    ///
    /// # Errors
    /// The error of `compute`; else a [`StoreError`]: `Unusable` when the file there is truncated,
    /// damaged or another cell's (it is not touched), `Canonical` when config or result hold NaN or ±∞,
    /// `NotReadable`, `Write`, `Missing`, `Name`.
    pub fn cell<C: Serialize, T: Serialize + DeserializeOwned>(
        &self,
        experiment: &str,
        config: &C,
        device: &str,
        compute: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<Record<T>> {
        let address = self.address(experiment, config, device)?;
        if let Some(record) = self.read(&address)? {
            progress::say(&format!("cached  {}", address.file.display()));
            return Ok(record);
        }
        if self.read_only {
            return Err(self.missing(experiment, &address).into());
        }
        let (started, clock) = (SystemTime::now(), Instant::now());
        let result = compute().with_context(|| format!("experiment {experiment}"))?;
        let text = self.encode(
            experiment,
            &address,
            device,
            &result,
            Volatile {
                started_unix: started
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs()),
                wall_seconds: clock.elapsed().as_secs_f64(),
                host: host(),
            },
        )?;
        let record =
            record::decode(&text, &address.key).map_err(|problem| StoreError::NotReadable {
                experiment: experiment.to_string(),
                problem,
            })?;
        write_atomic(&address.file, text.as_bytes()).map_err(StoreError::from)?;
        Ok(record)
    }

    /// The record of a cell that has been computed before.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when it has not; otherwise as for [`Store::cell`].
    pub fn cell_from_record<C: Serialize, T: DeserializeOwned>(
        &self,
        experiment: &str,
        config: &C,
        device: &str,
    ) -> Result<Record<T>, StoreError> {
        let address = self.address(experiment, config, device)?;
        self.read(&address)?
            .ok_or_else(|| self.missing(experiment, &address))
    }

    /// Whether a cell's record is there, for planning; its content is not looked at.
    ///
    /// # Errors
    /// [`StoreError::Name`], or [`StoreError::Canonical`] when the config holds NaN or ±∞.
    pub fn is_cached<C: Serialize>(
        &self,
        experiment: &str,
        config: &C,
        device: &str,
    ) -> Result<bool, StoreError> {
        Ok(self.address(experiment, config, device)?.file.exists())
    }

    fn address<C: Serialize>(
        &self,
        experiment: &str,
        config: &C,
        device: &str,
    ) -> Result<Address, StoreError> {
        plain("experiment", experiment)?;
        let config = canonical::to_value("config", config)?;
        let key = record::key(&self.paper, experiment, device, &config);
        let file = self
            .folder
            .join("records")
            .join(format!("{experiment}-{key:.16}.json"));
        Ok(Address { key, config, file })
    }

    fn read<T: DeserializeOwned>(
        &self,
        address: &Address,
    ) -> Result<Option<Record<T>>, StoreError> {
        let unusable = |problem: String| StoreError::Unusable {
            file: address.file.clone(),
            problem,
        };
        match fs::read_to_string(&address.file) {
            Ok(text) => record::decode(&text, &address.key)
                .map(Some)
                .map_err(unusable),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unusable(e.to_string())),
        }
    }

    fn encode<T: Serialize>(
        &self,
        experiment: &str,
        address: &Address,
        device: &str,
        result: &T,
        volatile: Volatile,
    ) -> Result<String, CanonicalError> {
        let record = Record {
            schema: SCHEMA,
            paper: self.paper.clone(),
            experiment: experiment.to_string(),
            profile: self.profile.clone(),
            key: address.key.clone(),
            config: address.config.clone(),
            provenance: self.provenance.clone(),
            device: device.to_string(),
            result: canonical::to_value("result", result)?,
            sha256: String::new(),
            volatile,
        };
        record::encode(record).map_err(|source| CanonicalError::Json {
            what: "record".to_string(),
            source,
        })
    }

    fn missing(&self, experiment: &str, address: &Address) -> StoreError {
        StoreError::Missing {
            experiment: experiment.to_string(),
            file: address.file.clone(),
        }
    }
}

struct Address {
    key: String,
    config: Value,
    file: PathBuf,
}

fn plain(what: &'static str, name: &str) -> Result<(), StoreError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
        return Err(StoreError::Name {
            what,
            name: name.to_string(),
        });
    }
    Ok(())
}

fn prepare(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    remove_stale(folder)?;
    tempfile::tempfile_in(folder).map(drop)
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map_or_else(|| "unknown".to_string(), |name| name.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Serialize)]
    struct Config {
        n: usize,
        step_size: f64,
        gamma: Option<f64>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Outcome {
        lambda: f64,
        chain: Vec<f64>,
        single: f32,
    }

    const CONFIG: Config = Config {
        n: 1000,
        step_size: 1e-4,
        gamma: None,
    };

    fn outcome() -> Outcome {
        Outcome {
            lambda: 0.1 + 0.2,
            chain: vec![1e-300, -0.0, std::f64::consts::PI],
            single: 0.1,
        }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), "paper2026", "quick").unwrap();
        (dir, store)
    }

    fn records(store: &Store) -> Vec<PathBuf> {
        fs::read_dir(store.folder.join("records"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    #[test]
    fn a_cell_is_computed_once() {
        let (_dir, store) = store();
        assert!(!store.is_cached("llc", &CONFIG, "cpu").unwrap());
        let first = store.cell("llc", &CONFIG, "cpu", || Ok(outcome())).unwrap();
        assert_eq!(first.result, outcome());
        assert!(store.is_cached("llc", &CONFIG, "cpu").unwrap());
        let second: Record<Outcome> = store
            .cell("llc", &CONFIG, "cpu", || panic!("computed again"))
            .unwrap();
        assert_eq!(first, second);
        let third: Record<Outcome> = store.cell_from_record("llc", &CONFIG, "cpu").unwrap();
        assert_eq!(first, third);
    }

    #[test]
    fn a_failing_computation_leaves_nothing() {
        let (_dir, store) = store();
        let error = store
            .cell::<_, Outcome>("llc", &CONFIG, "cpu", || anyhow::bail!("diverged"))
            .unwrap_err();
        assert_eq!(format!("{error:#}"), "experiment llc: diverged");
        assert!(records(&store).is_empty());
    }

    #[test]
    fn a_nan_in_result_or_config_is_refused_by_name() {
        let (_dir, store) = store();
        let bad = Outcome {
            chain: vec![1.0, f64::NAN],
            ..outcome()
        };
        let error = store.cell("llc", &CONFIG, "cpu", || Ok(bad)).unwrap_err();
        assert!(
            error.to_string().contains("result: .chain[1] is NaN"),
            "{error}"
        );
        let config = Config {
            gamma: Some(f64::INFINITY),
            ..CONFIG
        };
        let error = store.is_cached("llc", &config, "cpu").unwrap_err();
        assert!(
            error.to_string().contains("config: .gamma is inf"),
            "{error}"
        );
        assert!(records(&store).is_empty());
    }

    #[test]
    fn every_field_of_the_config_makes_another_cell() {
        let (_dir, store) = store();
        let configs = [
            CONFIG,
            Config { n: 1001, ..CONFIG },
            Config {
                step_size: 1.0000000000000002e-4,
                ..CONFIG
            },
            Config {
                gamma: Some(0.0),
                ..CONFIG
            },
        ];
        for config in &configs {
            store.cell("llc", config, "cpu", || Ok(outcome())).unwrap();
        }
        store.cell("llc", &CONFIG, "gpu", || Ok(outcome())).unwrap();
        assert_eq!(records(&store).len(), configs.len() + 1);
    }

    #[test]
    fn a_rerun_is_byte_identical_outside_volatile() {
        let (_a, first) = store();
        let (_b, mut second) = store();
        second.provenance = first.provenance.clone(); // another session may be editing this checkout
        let stable = |store: &Store| {
            store.cell("llc", &CONFIG, "cpu", || Ok(outcome())).unwrap();
            let text = fs::read_to_string(&records(store)[0]).unwrap();
            let (stable, volatile) = text.split_once("\n \"volatile\"").unwrap();
            assert!(volatile.contains("started_unix"));
            stable.to_string()
        };
        assert_eq!(stable(&first), stable(&second));
    }

    #[test]
    fn a_damaged_record_is_refused_and_untouched() {
        let (_dir, store) = store();
        store.cell("llc", &CONFIG, "cpu", || Ok(outcome())).unwrap();
        let file = &records(&store)[0];
        let whole = fs::read_to_string(file).unwrap();
        let damages = [
            (whole[..whole.len() / 2].to_string(), "truncated"),
            (String::new(), "truncated"),
            (whole.replace("0.30000000000000004", "0.31"), "checksum"),
            (
                whole.replace("\"key\": \"", "\"key\": \"0"),
                "it holds key 0",
            ),
            (whole.replace("\"schema\": 1", "\"schema\": 0"), "schema"),
        ];
        for (damaged, problem) in damages {
            assert_ne!(damaged, whole);
            fs::write(file, &damaged).unwrap();
            let error = store
                .cell::<_, Outcome>("llc", &CONFIG, "cpu", || panic!("computed"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(problem), "{error}");
            assert!(error.contains("delete the file and run again"), "{error}");
            assert!(!error.contains('\n'), "{error}");
            assert_eq!(fs::read_to_string(file).unwrap(), damaged);
        }
    }

    #[test]
    fn a_record_of_another_type_is_refused() {
        let (_dir, store) = store();
        store.cell("llc", &CONFIG, "cpu", || Ok(1.5)).unwrap();
        let error = store
            .cell_from_record::<_, Outcome>("llc", &CONFIG, "cpu")
            .unwrap_err();
        assert!(error.to_string().contains("not of the type"), "{error}");
    }

    #[test]
    fn a_result_that_cannot_be_read_back_is_refused() {
        #[derive(Debug, Serialize, Deserialize)]
        struct Lossy {
            #[serde(skip_serializing)]
            #[allow(dead_code)]
            lost: f64,
        }
        let (_dir, store) = store();
        let error = store
            .cell("llc", &CONFIG, "cpu", || Ok(Lossy { lost: 1.0 }))
            .unwrap_err();
        assert!(error.to_string().contains("does not survive"), "{error}");
        assert!(records(&store).is_empty());
    }

    #[test]
    fn read_only_never_computes_nor_makes_folders() {
        let (dir, store) = store();
        store.cell("llc", &CONFIG, "cpu", || Ok(outcome())).unwrap();
        let reader = Store::open_read_only(dir.path(), "paper2026", "quick").unwrap();
        let read: Record<Outcome> = reader
            .cell("llc", &CONFIG, "cpu", || panic!("computed"))
            .unwrap();
        assert_eq!(read.result, outcome());
        let error = reader
            .cell::<_, Outcome>("other", &CONFIG, "cpu", || panic!("computed"))
            .unwrap_err();
        assert!(
            error.to_string().contains("run `make reproduce` first"),
            "{error}"
        );
        assert!(Store::open_read_only(dir.path(), "paper2026", "paper").is_err());
        assert!(!dir.path().join("paper2026/paper").exists());
    }

    #[test]
    fn an_unwritable_folder_is_refused_up_front() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("taken");
        fs::write(&file, "").unwrap();
        let error = Store::open(&file, "paper2026", "quick")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("taken") && error.contains("choose another"),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn names_that_would_leave_the_folder_are_refused() {
        let (dir, store) = store();
        for name in ["", "..", "a/b", "a b", ".hidden"] {
            assert!(Store::open(dir.path(), name, "quick").is_err(), "{name}");
            assert!(store.is_cached(name, &CONFIG, "cpu").is_err(), "{name}");
        }
    }
}
