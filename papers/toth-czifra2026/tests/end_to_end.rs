//! The program as a user runs it: a whole run, an interrupted one, and everything that it must refuse.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const SMALL: &str = include_str!("small.toml");

/// A folder with an output folder `report` and an experiment file in it.
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

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_toth-czifra2026"));
        command.current_dir(self.folder.path()).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .output()
            .expect("the program starts")
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        stderr
    }

    /// Runs what must be refused: one line that names `parts`, no work begun, exit status 1.
    fn refuse(&self, arguments: &[&str], parts: &[&str]) {
        let output = self.run(arguments);
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        let lines: Vec<&str> = stderr.lines().collect();
        assert_eq!(lines.len(), 1, "one line, got: {stderr}");
        assert!(lines[0].starts_with("error: "), "{stderr}");
        for part in parts {
            assert!(lines[0].contains(part), "'{part}' is not in: {stderr}");
        }
    }

    /// Writes the small experiment with `from` replaced, and has it refused.
    fn refuse_settings(&self, from: &str, to: &str, parts: &[&str]) {
        assert!(SMALL.contains(from), "'{from}' is not in small.toml");
        fs::write(self.path("bad.toml"), SMALL.replacen(from, to, 1)).expect("written");
        self.refuse(&["--experiment", "bad.toml"], parts);
        assert!(
            !self.path("report").exists(),
            "nothing is written before the settings are checked"
        );
    }

    /// Every record without what differs from run to run, by file name.
    fn records(&self) -> BTreeMap<String, Value> {
        let entries =
            fs::read_dir(self.path("report/toth-czifra2026/custom/records")).expect("records");
        let record = |path: PathBuf| {
            let text = fs::read_to_string(&path).expect("read");
            let mut value: Value = serde_json::from_str(&text).expect("JSON");
            value.as_object_mut().expect("an object").remove("volatile");
            (
                path.file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned(),
                value,
            )
        };
        entries
            .map(|entry| record(entry.expect("listed").path()))
            .collect()
    }

    fn find(&self, folder: &str, starts: &str) -> PathBuf {
        let entries = fs::read_dir(self.path(folder)).expect("listed");
        let paths = entries.map(|entry| entry.expect("listed").path());
        let named = |path: &PathBuf| {
            path.file_name()
                .expect("a name")
                .to_string_lossy()
                .starts_with(starts)
        };
        paths
            .into_iter()
            .find(named)
            .unwrap_or_else(|| panic!("no {starts}* in {folder}"))
    }
}

const RUN: [&str; 2] = ["--experiment", "small.toml"];
const RECORDS: &str = "report/toth-czifra2026/custom/records";
const CHECKPOINTS: &str = "report/toth-czifra2026/custom/checkpoints";

#[test]
fn a_whole_run_a_cached_one_and_a_report() {
    let bench = Bench::new();
    bench.succeed(&RUN);
    let page = fs::read_to_string(bench.path("report/index.html")).expect("the page");
    for shown in [
        "Pythia-160M",
        "linear regression: λ̂ from one chain",
        "<svg",
        "0.81",
    ] {
        assert!(page.contains(shown), "'{shown}' is not on the page");
    }
    let first = bench.records();
    let n_cells = 5 + 5; // five parity checkpoints, and one record for everything else
    assert_eq!(first.len(), n_cells);

    let stderr = bench.succeed(&RUN);
    assert_eq!(
        stderr
            .lines()
            .filter(|line| line.starts_with("cached"))
            .count(),
        n_cells
    );
    assert!(
        !stderr.contains("steps"),
        "nothing is computed again: {stderr}"
    );
    assert_eq!(bench.records(), first);

    fs::remove_file(bench.path("report/index.html")).expect("removed");
    bench.succeed(&["--experiment", "small.toml", "--report-only"]);
    assert_eq!(
        fs::read_to_string(bench.path("report/index.html")).expect("the page"),
        page
    );
}

/// Killed in the middle of a training, and run again: the records are those of a run that was never killed.
#[test]
fn a_killed_run_goes_on() {
    let whole = Bench::new();
    whole.succeed(&RUN);

    let killed = Bench::new();
    let mut child = killed.command(&RUN).spawn().expect("the program starts");
    let started = Instant::now();
    let in_training = |folder: &Path| {
        let found = fs::read_dir(folder).into_iter().flatten().flatten();
        found.map(|entry| entry.path()).any(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("parity"))
                && path.join("step-0000500.safetensors").exists()
        })
    };
    while !in_training(&killed.path(CHECKPOINTS)) {
        assert!(
            child.try_wait().expect("a status").is_none(),
            "the run ended before it could be killed"
        );
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "no checkpoint after two minutes"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    let trained = fs::read_dir(killed.path(RECORDS))
        .expect("listed")
        .flatten();
    let names: Vec<String> = trained
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(
        !names.iter().any(|name| name.starts_with("parity-training")),
        "the training was killed before its end"
    );

    killed.succeed(&RUN);
    assert_eq!(killed.records(), whole.records());
}

#[test]
fn bad_settings_are_refused_by_name() {
    let bench = Bench::new();
    bench.refuse_settings(
        "slope = 3.0",
        "slope = 3.0\nslop = 3.0",
        &["bad.toml", "slop"],
    );
    bench.refuse_settings(
        "step_size = 1e-3",
        "step_size = -1e-3",
        &["linear.published", "step_size is -0.001", "positive"],
    );
    bench.refuse_settings("step_size = 1e-3", "step_size = nan", &["step_size is NaN"]);
    bench.refuse_settings("slope = 3.0", "slope = nan", &["slope is NaN"]);
    bench.refuse_settings("gamma = 1.0", "gamma = inf", &["gamma is inf"]);
    bench.refuse_settings(
        "learning_rate = 1e-2",
        "learning_rate = 0.0",
        &["parity.plan", "learning_rate is 0"],
    );
    bench.refuse_settings(
        "batch_size = 20\nn_steps",
        "batch_size = 61\nn_steps",
        &["batch_size is 61", "60"],
    );
    bench.refuse_settings("burn_in = 50", "burn_in = 500", &["burn_in is 500", "200"]);
    bench.refuse_settings(
        "widths = [8, 16, 1]",
        "widths = [9, 16, 1]",
        &["[9, 16, 1]", "from 8 to 1"],
    );
    bench.refuse_settings("k = 2", "k = 9", &["9", "8 bits"]);
    bench.refuse_settings("n_chains = 64", "n_chains = 5", &["n_chains is 5", "32"]);
    bench.refuse_settings(
        "traces_at = [0, 100]",
        "traces_at = [0, 101]",
        &["traces_at", "101"],
    );
    bench.refuse_settings("[ice]", "[ice", &["bad.toml"]);
}

#[test]
fn bad_arguments_are_refused_by_name() {
    let bench = Bench::new();
    bench.refuse(
        &["--experiment", "none.toml"],
        &["none.toml", "No such file"],
    );
    bench.refuse(&["--profile", "slow"], &["slow", "quick, paper"]);
    bench.refuse(&["--device", "tpu"], &["tpu", "cpu, tch or cuda"]);
    #[cfg(not(feature = "tch"))]
    bench.refuse(&["--device", "cuda"], &["cuda", "DEVICE=cuda"]);
    bench.refuse(&["--report-only"], &["make reproduce"]);
    // a file where the output folder should be: not even root can write below it
    fs::write(bench.path("occupied"), "").expect("written");
    bench.refuse(
        &["--experiment", "small.toml", "--out", "occupied/report"],
        &["occupied/report", "writ"],
    );
}

#[test]
fn damaged_files_are_refused_and_kept() {
    let bench = Bench::new();
    bench.succeed(&RUN);
    let damage = |file: PathBuf, restore: bool| {
        let text = fs::read(&file).expect("read");
        fs::write(&file, &text[..text.len() / 2]).expect("written");
        let name = file
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        bench.refuse(&RUN, &[&name, "truncated", "and run again"]);
        assert_eq!(
            fs::read(&file).expect("read"),
            &text[..text.len() / 2],
            "the file is left as it was"
        );
        if restore {
            fs::write(&file, text).expect("written");
        } else {
            fs::remove_file(&file).expect("removed");
        }
    };
    damage(bench.find(RECORDS, "linear"), true);
    let folder = bench.find(CHECKPOINTS, "parity").display().to_string();
    damage(bench.find(&folder, "resume"), true);

    // the remedy works: without the record, the cell is computed again, to the same numbers
    let before = bench.records();
    damage(bench.find(RECORDS, "parity-training"), false);
    bench.succeed(&RUN);
    assert_eq!(bench.records(), before);
}
