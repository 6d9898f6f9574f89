//! A paper's program as a user runs it, for the end-to-end tests of all papers (`#[path = "../../program.rs"] mod program;`).
#![allow(dead_code, reason = "no paper's tests need all of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The arguments that run the small experiment.
pub const RUN: [&str; 2] = ["--experiment", "small.toml"];

/// A folder with the paper's small experiment in it, where its program runs.
pub struct Program {
    executable: &'static str,
    small: &'static str,
    folder: tempfile::TempDir,
}

impl Program {
    /// `executable`: its path; `small`: the text of `small.toml`.
    pub fn new(executable: &'static str, small: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("small.toml"), small).expect("written");
        Self {
            executable,
            small,
            folder,
        }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, to be started in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.executable);
        command.current_dir(self.folder.path()).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).output();
        let output = output.expect("the program starts");
        let stderr = String::from_utf8(output.stderr).expect("text");
        (output.status.code(), stderr)
    }

    /// Runs what must succeed, and returns what it printed to stderr.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let (status, stderr) = self.run(arguments);
        assert_eq!(status, Some(0), "{arguments:?}: {stderr}");
        stderr
    }

    /// Runs what must be refused: exit status 1, and one line that names `parts`.
    pub fn refuse(&self, arguments: &[&str], parts: &[&str]) {
        let (status, stderr) = self.run(arguments);
        assert_eq!(status, Some(1), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "one line, got: {stderr}");
        assert!(stderr.starts_with("error: "), "{stderr}");
        for part in parts {
            assert!(stderr.contains(part), "'{part}' is not in: {stderr}");
        }
    }

    /// Has the small experiment with `from` replaced refused, before anything is written.
    pub fn refuse_settings(&self, from: &str, to: &str, parts: &[&str]) {
        assert!(self.small.contains(from), "'{from}' is not in small.toml");
        let bad = self.small.replacen(from, to, 1);
        fs::write(self.path("bad.toml"), bad).expect("written");
        self.refuse(&["--experiment", "bad.toml"], parts);
        assert!(!self.path("report").exists(), "nothing is written");
    }

    /// The small experiment: its page shows `shown`; a second run takes all `n_cells` from their records, and so does a report of
    /// them alone, to the same page.
    pub fn check_whole_run(&self, shown: &[&str], n_cells: usize) {
        self.succeed(&RUN);
        let page = || fs::read_to_string(self.path("report/index.html")).expect("the page");
        let first = page();
        for shown in shown {
            assert!(first.contains(shown), "'{shown}' is not on the page");
        }
        let records = self.records();
        assert_eq!(records.len(), n_cells);

        let stderr = self.succeed(&RUN);
        let cached = stderr.lines().filter(|line| line.starts_with("cached"));
        assert_eq!(cached.count(), n_cells);
        assert!(
            !stderr.contains(" steps"),
            "nothing is computed again: {stderr}"
        );
        assert_eq!(self.records(), records);

        fs::remove_file(self.path("report/index.html")).expect("removed");
        self.succeed(&[&RUN[..], &["--report-only"]].concat());
        assert_eq!(page(), first);
    }

    /// Every record without what differs from run to run, by file name; what a killed run was writing is none.
    pub fn records(&self) -> BTreeMap<String, Value> {
        let record = |path: PathBuf| {
            let text = fs::read_to_string(&path).expect("read");
            let mut value: Value = serde_json::from_str(&text).expect("JSON");
            value.as_object_mut().expect("an object").remove("volatile");
            (name(&path), value)
        };
        list(&self.output("records"))
            .into_iter()
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .map(record)
            .collect()
    }

    /// The folder `records`, `checkpoints` or `figures` of the small experiment.
    pub fn output(&self, kind: &str) -> PathBuf {
        let papers = list(&self.path("report"));
        let paper = papers.into_iter().find(|path| path.is_dir());
        paper.expect("a paper").join("custom").join(kind)
    }
}

/// The first file in `folder` whose name begins so.
pub fn find(folder: &Path, starts: &str) -> PathBuf {
    let found = list(folder)
        .into_iter()
        .find(|path| name(path).starts_with(starts));
    found.unwrap_or_else(|| panic!("no {starts}* in {}", folder.display()))
}

/// What is in a folder.
pub fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("listed");
    entries.map(|entry| entry.expect("listed").path()).collect()
}

/// The last part of a path.
pub fn name(path: &Path) -> String {
    let name = path.file_name().expect("a name");
    name.to_string_lossy().into_owned()
}
