//! The program as it is run: a whole experiment, a second run, a report alone, and what it must refuse.

#[path = "../../program.rs"]
mod program;

use program::Program;

fn program() -> Program {
    Program::new(env!("CARGO_BIN_EXE_furman2025"), include_str!("small.toml"))
}

#[test]
fn a_whole_run_a_cached_one_and_a_report() {
    let shown = [
        "hidden Markov model",
        "w₁²w₂²",
        "<svg",
        "Free energy",
        "not run in this profile",
    ];
    program().check_whole_run(
        &shown,
        2 + 2 + 1 + 2 + 2 + 1 + 1 + 3 + 1 + 1 + 1 + 1 + 1 + 1,
    );
}

#[test]
fn bad_settings_and_arguments_are_refused_by_name() {
    let program = program();
    program.refuse_settings("gamma = 1.0", "gamma = -1.0", &["[singular] gamma is -1"]);
    program.refuse_settings(
        "n_samples = 640",
        "n_samples = 6",
        &["n_samples is 6", "100"],
    );
    program.refuse_settings("first = 1e-1", "first = 1e-5", &["0.00001 and 0.0001"]);
    program.refuse_settings("n_epsilons = 7", "n_epsilons = 2", &["n_epsilons is 2"]);
    program.refuse_settings(
        "n_populations = 8",
        "n_populations = 1",
        &["n_populations is 1"],
    );
    program.refuse_settings("n_rungs = 8", "n_rungs = 3", &["n_rungs is 3", "8"]);
    program.refuse_settings("first = 10.0", "first = nan", &["first and last are NaN"]);
    program.refuse_settings("relative_error = 0.5", "relative_error = 2.0", &["is 2"]);
    program.refuse_settings("[\"quartic\"", "[\"quintic\"", &["quintic", "quartic"]);
    program.refuse_settings("[\"gaussian\", ", "[", &["models is [CubicGaussian]"]);
    program.refuse_settings("truths = [0.0", "truths = [0.3", &["truths is [0.3"]);
    program.refuse_settings("signal = 1.0", "signal = inf", &["signal is inf"]);
    program.refuse_settings(
        "outputs = [3, 5]",
        "outputs = [2, 5]",
        &["outputs is [2, 5]"],
    );
    program.refuse_settings(
        "[50, 300, 400]",
        "[50, 300, 200]",
        &["[two_phases] sizes is [50"],
    );
    program.refuse_settings("n_particles = 16", "n_particles = 4", &["n_particles is 4"]);
    program.refuse_settings("features = [6]", "features = [3]", &["features is [3]"]);
    program.refuse_settings("noise = 0.01", "noise = nan", &["noise is NaN"]);
    program.refuse_settings("steps = [3e-7, 1e-6]", "steps = [3e-7]", &["steps of SGLD"]);
    program.refuse_settings(
        "factors = [1.0, 2.0]",
        "factors = [2.0, 1.0]",
        &["factors is"],
    );
    program.refuse_settings("n_moves = 2", "n_mooves = 2", &["bad.toml", "n_mooves"]);
    program.refuse(&["--profile", "slow"], &["slow", "quick, paper"]);
    program.refuse(&["--device", "tpu"], &["tpu", "cpu, tch or cuda"]);
    program.refuse(&["--report-only"], &["make reproduce"]);
}
