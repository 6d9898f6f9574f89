//! What every paper's program takes from its command line, and how it gets its settings.

use std::fs;
use std::path::PathBuf;

use clap::Parser;
use serde::de::DeserializeOwned;

use crate::progress::say;

/// Arguments of a paper's program.
#[derive(Debug, Clone, Parser)]
#[command(
    version,
    about = "Reproduces a paper: runs what is not recorded yet, then draws figures and tables."
)]
pub struct Args {
    /// Built-in settings: quick or paper.
    #[arg(long, default_value = "quick")]
    pub profile: String,
    /// Where networks run: cpu, tch (libtorch on the CPU) or cuda.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Folder of records, checkpoints, figures and index.html.
    #[arg(long, default_value = "report")]
    pub out: PathBuf,
    /// A TOML file of settings instead of a built-in profile.
    #[arg(long, value_name = "FILE")]
    pub experiment: Option<PathBuf>,
    /// Only draw figures and tables again, from the records.
    #[arg(long)]
    pub report_only: bool,
    /// Repository whose README.md and papers/ take the tables and figures.
    #[arg(long, value_name = "FOLDER")]
    pub publish: Option<PathBuf>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The profile has no built-in settings.
    #[error("profile '{name}' is not known; expected one of: {known}")]
    Profile {
        /// The profile asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// The device is of no known kind.
    #[error("device '{0}' is not known; expected cpu, tch or cuda")]
    Device(String),
    /// The file cannot be read.
    #[error("cannot read the settings {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not TOML of the right shape.
    #[error("the settings {file} are not valid: {problem}")]
    Invalid {
        /// The file or profile.
        file: String,
        /// What is wrong, with line and column.
        problem: String,
    },
}

impl Args {
    /// For a paper that runs on the host whatever the device: refuses one of no known kind, and says so of another than `cpu`.
    ///
    /// # Errors
    /// [`SettingsError::Device`] names it.
    pub fn check_host_only(&self) -> Result<(), SettingsError> {
        match self.device.as_str() {
            "cpu" => {}
            "tch" | "cuda" => say(&format!(
                "device {}: not used, all of this paper runs on the host",
                self.device
            )),
            _ => return Err(SettingsError::Device(self.device.clone())),
        }
        Ok(())
    }

    /// The settings asked for, and the name of their profile (`custom` for a file of one's own).
    ///
    /// `built_in` holds pairs of a profile's name and its TOML text.
    ///
    /// # Errors
    /// [`SettingsError`] names the profile or the file, and what is wrong with it.
    pub fn settings<T: DeserializeOwned>(
        &self,
        built_in: &[(&str, &str)],
    ) -> Result<(T, String), SettingsError> {
        let (file, text, profile) = match &self.experiment {
            Some(file) => {
                let text = fs::read_to_string(file).map_err(|source| SettingsError::Read {
                    file: file.clone(),
                    source,
                })?;
                (file.display().to_string(), text, "custom")
            }
            None => {
                let found = built_in.iter().find(|(name, _)| *name == self.profile);
                let &(name, text) = found.ok_or_else(|| SettingsError::Profile {
                    name: self.profile.clone(),
                    known: built_in.iter().map(|p| p.0).collect::<Vec<_>>().join(", "),
                })?;
                (format!("{name}.toml"), text.to_owned(), name)
            }
        };
        let settings = toml::from_str(&text).map_err(|e| SettingsError::Invalid {
            file,
            problem: e.to_string().trim_end().replace('\n', " "),
        })?;
        Ok((settings, profile.to_owned()))
    }
}
