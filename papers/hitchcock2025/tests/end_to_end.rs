//! The program as it is run: a whole experiment, a second run, a report alone, and what it must refuse.

#[path = "../../program.rs"]
mod program;

use program::Program;

fn program() -> Program {
    Program::new(
        env!("CARGO_BIN_EXE_hitchcock2025"),
        include_str!("small.toml"),
    )
}

#[test]
fn a_whole_run_a_cached_one_and_a_report() {
    let shown = ["RMSProp-SGLD", "100K class", "<svg", "λ̂ against λ"];
    program().check_whole_run(&shown, 3 + 1 + 2 + 1);
}

#[test]
fn bad_settings_and_arguments_are_refused_by_name() {
    let program = program();
    program.refuse_settings("seed = 1", "sed = 1", &["bad.toml", "sed"]);
    program.refuse_settings("class = \"1K\"", "class = \"2K\"", &["2K", "1K"]);
    program.refuse_settings(
        "n_networks = 3",
        "n_networks = 2",
        &["n_networks is 2", "3"],
    );
    program.refuse_settings(
        "{ n_networks = 1",
        "{ n_networks = 4",
        &["n_networks is 4", "1 to"],
    );
    program.refuse_settings("5e-7", "-5e-7", &["sgld", "step_size is -0.0000005"]);
    program.refuse_settings(
        "burn_in = 20",
        "burn_in = 60",
        &["burn_in is 60", "60 steps"],
    );
    program.refuse_settings(
        "relative_error = 0.5",
        "relative_error = nan",
        &["relative_error is NaN"],
    );
    program.refuse_settings("sgld = [1e-7, 1e-6]", "sgld = []", &["steps.sgld is []"]);
    program.refuse_settings(
        "[1.0, 100.0]",
        "[100.0, 1.0]",
        &["heat.gammas is [100.0, 1.0]"],
    );
    program.refuse(&["--profile", "slow"], &["slow", "quick, paper"]);
    program.refuse(&["--device", "tpu"], &["tpu", "cpu, tch or cuda"]);
    program.refuse(&["--report-only"], &["make reproduce"]);
}
