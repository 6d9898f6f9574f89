//! The program as a user runs it: a whole run, an interrupted one, and everything that it must refuse.

#[path = "../../program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use program::{Program, RUN, find, name};

fn program() -> Program {
    Program::new(
        env!("CARGO_BIN_EXE_toth-czifra2026"),
        include_str!("small.toml"),
    )
}

const CHECKPOINTS: &str = "report/toth-czifra2026/custom/checkpoints";

#[test]
fn a_whole_run_a_cached_one_and_a_report() {
    let shown = [
        "Pythia-160M",
        "linear regression: λ̂ from one chain",
        "<svg",
        "0.81",
    ];
    // five parity checkpoints, and one record for everything else
    program().check_whole_run(&shown, 5 + 5);
}

/// Killed in the middle of a training, and run again: the records are those of a run that was never killed.
#[test]
fn a_killed_run_goes_on() {
    let whole = program();
    whole.succeed(&RUN);

    let killed = program();
    let mut child = killed.command(&RUN).spawn().expect("the program starts");
    let started = Instant::now();
    let in_training = |folder: &Path| {
        let found = fs::read_dir(folder).into_iter().flatten().flatten();
        found.map(|entry| entry.path()).any(|path| {
            name(&path).starts_with("parity") && path.join("step-0000500.safetensors").exists()
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
    assert!(
        !killed
            .records()
            .keys()
            .any(|name| name.starts_with("parity-training")),
        "the training was killed before its end"
    );

    killed.succeed(&RUN);
    assert_eq!(killed.records(), whole.records());
}

#[test]
fn bad_settings_are_refused_by_name() {
    let program = program();
    program.refuse_settings(
        "slope = 3.0",
        "slope = 3.0\nslop = 3.0",
        &["bad.toml", "slop"],
    );
    program.refuse_settings(
        "step_size = 1e-3",
        "step_size = -1e-3",
        &["linear.published", "step_size is -0.001", "positive"],
    );
    program.refuse_settings("step_size = 1e-3", "step_size = nan", &["step_size is NaN"]);
    program.refuse_settings("slope = 3.0", "slope = nan", &["slope is NaN"]);
    program.refuse_settings("gamma = 1.0", "gamma = inf", &["gamma is inf"]);
    program.refuse_settings(
        "learning_rate = 1e-2",
        "learning_rate = 0.0",
        &["parity.plan", "learning_rate is 0"],
    );
    program.refuse_settings(
        "batch_size = 20\nn_steps",
        "batch_size = 61\nn_steps",
        &["batch_size is 61", "60"],
    );
    program.refuse_settings("burn_in = 50", "burn_in = 500", &["burn_in is 500", "200"]);
    program.refuse_settings(
        "widths = [8, 16, 1]",
        "widths = [9, 16, 1]",
        &["[9, 16, 1]", "from 8 to 1"],
    );
    program.refuse_settings("k = 2", "k = 9", &["9", "8 bits"]);
    program.refuse_settings("n_chains = 64", "n_chains = 5", &["n_chains is 5", "32"]);
    program.refuse_settings(
        "traces_at = [0, 100]",
        "traces_at = [0, 101]",
        &["traces_at", "101"],
    );
    program.refuse_settings("[ice]", "[ice", &["bad.toml"]);
}

#[test]
fn bad_arguments_are_refused_by_name() {
    let program = program();
    program.refuse(
        &["--experiment", "none.toml"],
        &["none.toml", "No such file"],
    );
    program.refuse(&["--profile", "slow"], &["slow", "quick, paper"]);
    program.refuse(&["--device", "tpu"], &["tpu", "cpu, tch or cuda"]);
    #[cfg(not(feature = "tch"))]
    program.refuse(&["--device", "cuda"], &["cuda", "DEVICE=cuda"]);
    program.refuse(&["--report-only"], &["make reproduce"]);
    // a file where the output folder should be: not even root can write below it
    fs::write(program.path("occupied"), "").expect("written");
    program.refuse(
        &["--experiment", "small.toml", "--out", "occupied/report"],
        &["occupied/report", "writ"],
    );
}

#[test]
fn damaged_files_are_refused_and_kept() {
    let program = program();
    program.succeed(&RUN);
    let damage = |file: PathBuf, restore: bool| {
        let text = fs::read(&file).expect("read");
        fs::write(&file, &text[..text.len() / 2]).expect("written");
        program.refuse(&RUN, &[&name(&file), "truncated", "and run again"]);
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
    let records = program.output("records");
    damage(find(&records, "linear"), true);
    let folder = find(&program.output("checkpoints"), "parity");
    damage(find(&folder, "resume"), true);

    // the remedy works: without the record, the cell is computed again, to the same numbers
    let before = program.records();
    damage(find(&records, "parity-training"), false);
    program.succeed(&RUN);
    assert_eq!(program.records(), before);
}
