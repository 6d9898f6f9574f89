//! The program as it is run: a whole experiment, a second run, a report alone, and what it must refuse.

#[path = "../../program.rs"]
mod program;

use std::time::Duration;

use program::{Program, RUN};

fn program() -> Program {
    Program::new(
        env!("CARGO_BIN_EXE_lakkapragada2025"),
        include_str!("small.toml"),
    )
}

/// Cells: two of grokking, two intervals, four ranks under two teachers, four of autoencoders, two kinds of features.
const N_CELLS: usize = 2 + 2 + 4 * 2 + 4 + 2;

#[test]
fn a_whole_run_a_cached_one_and_a_report() {
    let shown = ["Arrhenius", "whitened", "<svg", "k-gon", "teacher"];
    program().check_whole_run(&shown, N_CELLS);
}

/// A run that is killed after any time, and taken up until it is through, leaves the records of one that was not.
#[test]
fn killed_runs_end_in_the_same_records() {
    let whole = program();
    whole.succeed(&RUN);
    let killed = program();
    let mut delay = Duration::from_millis(3);
    loop {
        let mut child = killed.command(&RUN).spawn().expect("started");
        std::thread::sleep(delay);
        if child.try_wait().expect("asked").is_some() {
            break;
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        delay = delay.mul_f64(1.6);
    }
    killed.succeed(&RUN);
    let (killed, whole) = (killed.records(), whole.records());
    assert!(killed.keys().eq(whole.keys()), "the same cells");
    for (name, record) in whole {
        assert!(killed[&name] == record, "{name} differs");
    }
}

/// A model is the same in whatever company: with others in its cell, or alone.
#[test]
fn models_do_not_depend_on_their_company() {
    let record = |program: &Program| {
        program.succeed(&RUN);
        let models = |value: &serde_json::Value| value["result"].as_array().cloned();
        let records = program.records().into_values();
        let mut all: Vec<serde_json::Value> = records
            .filter(|r| r["experiment"] == "grokking")
            .filter_map(|r| models(&r))
            .flatten()
            .collect();
        all.sort_by_key(|model| model["stream"].as_u64());
        all
    };
    let together = record(&program());
    let alone = Program::new(
        env!("CARGO_BIN_EXE_lakkapragada2025"),
        Box::leak(
            include_str!("small.toml")
                .replace("models_in_a_cell = 2", "models_in_a_cell = 1")
                .into_boxed_str(),
        ),
    );
    assert_eq!(together.len(), 3);
    assert!(record(&alone) == together, "a model differs alone");
}

#[test]
fn bad_settings_and_arguments_are_refused_by_name() {
    let program = program();
    program.refuse_settings("seed = 1", "sed = 1", &["bad.toml", "sed"]);
    program.refuse_settings(
        "modulus = 5",
        "modulus = 1",
        &["[grokking]", "modulus is 1"],
    );
    program.refuse_settings(
        "train_fraction = 0.6",
        "train_fraction = 1.0",
        &["train_fraction is 1"],
    );
    program.refuse_settings(
        "batch_size = 8",
        "batch_size = 80",
        &["[grokking]", "batch_size is 80", "15"],
    );
    program.refuse_settings("nbeta = 2.0", "nbeta = nan", &["nbeta", "NaN"]);
    program.refuse_settings(
        "domains = [1.0, 0.5]",
        "domains = [0.5, 1.0]",
        &["domains is [0.5, 1.0]", "decreasing"],
    );
    program.refuse_settings(
        "ranks = [1, 2, 3, 4]",
        "ranks = [1, 2, 3, 6]",
        &["ranks is [1, 2, 3, 6]", "from 1 to 5"],
    );
    program.refuse_settings("teacher_sd = 1.0", "teacher_sd = 0.0", &["teacher_sd", "0"]);
    program.refuse_settings(
        "drop_shares = [0.02, 0.01]",
        "drop_shares = [2.0]",
        &["[[superposition]]", "drop_shares is [2.0]"],
    );
    program.refuse_settings("n_hidden = 2", "n_hidden = 3", &["3 hidden units"]);
    program.refuse(&["--profile", "slow"], &["slow", "quick, paper"]);
    program.refuse(&["--device", "tpu"], &["tpu", "cpu, tch or cuda"]);
    program.refuse(&["--report-only"], &["make reproduce"]);
}
