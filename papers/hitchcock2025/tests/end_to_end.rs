//! The program as it is run: a whole experiment, a second run, a report alone, and what it must refuse.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const SMALL: &str = include_str!("small.toml");
const RUN: [&str; 2] = ["--experiment", "small.toml"];

/// A folder with an experiment file in it.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("small.toml"), SMALL).expect("written");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hitchcock2025"));
        command.current_dir(self.folder.path()).args(arguments);
        command.output().expect("the program starts")
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        stderr
    }

    /// One line that names `parts`, no work begun, exit status 1.
    fn refuse(&self, arguments: &[&str], parts: &[&str]) {
        let output = self.run(arguments);
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "one line, got: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "'{part}' is not in: {stderr}");
        }
        assert!(!self.path("report").exists(), "nothing is written");
    }

    fn refuse_settings(&self, from: &str, to: &str, parts: &[&str]) {
        assert!(SMALL.contains(from), "'{from}' is not in small.toml");
        fs::write(self.path("bad.toml"), SMALL.replacen(from, to, 1)).expect("written");
        self.refuse(&["--experiment", "bad.toml"], parts);
    }
}

#[test]
fn a_whole_run_a_cached_one_and_a_report() {
    let bench = Bench::new();
    bench.succeed(&RUN);
    let page = fs::read_to_string(bench.path("report/index.html")).expect("the page");
    for shown in ["RMSProp-SGLD", "100K class", "<svg", "λ̂ against λ"] {
        assert!(page.contains(shown), "'{shown}' is not on the page");
    }
    let n_cells = 3 + 1 + 2 + 1;
    let stderr = bench.succeed(&RUN);
    let cached = stderr.lines().filter(|line| line.starts_with("cached"));
    assert_eq!(cached.count(), n_cells);

    fs::remove_file(bench.path("report/index.html")).expect("removed");
    bench.succeed(&["--experiment", "small.toml", "--report-only"]);
    let again = fs::read_to_string(bench.path("report/index.html")).expect("the page");
    assert_eq!(again, page);
}

#[test]
fn bad_settings_and_arguments_are_refused_by_name() {
    let bench = Bench::new();
    bench.refuse_settings("seed = 1", "sed = 1", &["bad.toml", "sed"]);
    bench.refuse_settings("class = \"1K\"", "class = \"2K\"", &["2K", "1K"]);
    bench.refuse_settings(
        "n_networks = 3",
        "n_networks = 2",
        &["n_networks is 2", "3"],
    );
    bench.refuse_settings(
        "{ n_networks = 1",
        "{ n_networks = 4",
        &["n_networks is 4", "1 to"],
    );
    bench.refuse_settings("5e-7", "-5e-7", &["sgld", "step_size is -0.0000005"]);
    bench.refuse_settings(
        "burn_in = 20",
        "burn_in = 60",
        &["burn_in is 60", "60 steps"],
    );
    bench.refuse_settings(
        "relative_error = 0.5",
        "relative_error = nan",
        &["relative_error is NaN"],
    );
    bench.refuse_settings("sgld = [1e-7, 1e-6]", "sgld = []", &["steps.sgld is []"]);
    bench.refuse_settings(
        "[1.0, 100.0]",
        "[100.0, 1.0]",
        &["heat.gammas is [100.0, 1.0]"],
    );
    bench.refuse(&["--profile", "slow"], &["slow", "quick, paper"]);
    bench.refuse(&["--device", "tpu"], &["tpu", "cpu, tch or cuda"]);
    bench.refuse(&["--report-only"], &["make reproduce"]);
}
