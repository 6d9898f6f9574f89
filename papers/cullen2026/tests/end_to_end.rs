//! The program as it is run: a whole experiment, a second run, a report alone, and what it must refuse.

#[path = "../../program.rs"]
mod program;

use std::fs;
use std::time::Duration;

use program::{Program, RUN, find};

fn program() -> Program {
    Program::new(env!("CARGO_BIN_EXE_cullen2026"), include_str!("small.toml"))
}

#[test]
fn a_whole_run_a_cached_one_and_a_report() {
    let shown = [
        "1. Theorems",
        "2. λ̂ against p and K",
        "3. Grokking",
        "4. Severity",
        "5. Variations",
        "11. A transformer",
        "<svg",
    ];
    program().check_whole_run(&shown, 3 + 5 + 2 + 1 + 2 + 6 + 3 + 1 + 2 + 2 + 2 + 2);
}

#[test]
fn bad_settings_and_arguments_are_refused_by_name() {
    let program = program();
    program.refuse_settings("seed = 1", "sed = 1", &["bad.toml", "sed"]);
    program.refuse_settings(
        "modulus = 5",
        "modulus = 1",
        &["modulus is 1", "at least 2"],
    );
    program.refuse_settings(
        "n_hidden = 24, train_fraction = 0.4",
        "n_hidden = 8, train_fraction = 1.0",
        &["train_fraction is 1", "less than 1"],
    );
    program.refuse_settings(
        "batch_size = 4, n_steps",
        "batch_size = 11, n_steps",
        &["[grokking]", "batch_size is 11", "10"],
    );
    program.refuse_settings(
        "batch_size = 2, seed",
        "batch_size = 4, seed",
        &["[sizes]", "batch_size is 4"],
    );
    program.refuse_settings("[4, 6, 8]", "[4, 8]", &["widths is [4, 8]", "at least 3"]);
    program.refuse_settings(
        "learning_rate = 1e-3",
        "learning_rate = -1.0",
        &["learning_rate is -1"],
    );
    program.refuse_settings(
        "estimate_every = 5",
        "estimate_every = 0",
        &["estimate_every is 0"],
    );
    program.refuse_settings("step_size = 5e-4", "step_size = nan", &["step_size is NaN"]);
    program.refuse_settings(
        "gammas = [5.0, 50.0]",
        "gammas = [50.0, 5.0]",
        &["[heat] gammas is [50.0, 5.0]"],
    );
    program.refuse_settings(
        "learning_rates = [1e-3, 1e-2, 3e-2]",
        "learning_rates = [1e-3, 1e-3, 3e-2]",
        &["[severity] learning_rates is [0.001, 0.001, 0.03]"],
    );
    program.refuse_settings(
        "adam = { learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 1e-5 } }, batch_size = 4, n_steps = 40",
        "sgd = { learning_rate = 1e-3, momentum = 0.9 } }, batch_size = 4, n_steps = 40",
        &["[severity]: weight_decay is 0.00001", "sgd, which has no weight decay"],
    );
    program.refuse_settings(
        "weight_decays = [1e-5, 1e-4]",
        "weight_decays = [1e-5, -1e-4]",
        &["[variations]: weight_decay is -0.0001"],
    );
    program.refuse_settings(
        "estimate_growth = 2.0",
        "estimate_growth = nan",
        &["estimate_growth is NaN"],
    );
    program.refuse_settings(
        "n_heads = 2",
        "n_heads = 3",
        &["[transformer]", "3 heads do not divide a width of 8"],
    );
    program.refuse_settings("stop_after = 2", "stop_after = 0", &["stop_after is 0"]);
    program.refuse_settings("n_samples = 1000", "n_samples = 1", &["[toys]"]);
    program.refuse(&["--profile", "slow"], &["slow", "quick, paper"]);
    program.refuse(&["--device", "tpu"], &["tpu", "cpu, tch or cuda"]);
    #[cfg(not(feature = "tch"))]
    program.refuse(&["--device", "cuda"], &["cuda", "libtorch", "DEVICE=cuda"]);
    program.refuse(&["--report-only"], &["make reproduce"]);
}

/// Chains whose rows live in libtorch: all estimates are those of the host, up to the rounding of single precision.
#[cfg(feature = "tch")]
#[test]
fn chains_on_a_device_are_those_of_the_host() {
    use serde_json::Value;

    fn means(value: &Value, found: &mut Vec<f64>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("mean").and_then(Value::as_f64));
                fields.values().for_each(|value| means(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| means(value, found)),
            _ => {}
        }
    }

    let program = program();
    program.succeed(&RUN);
    program.succeed(&[&RUN[..], &["--device", "tch"]].concat());
    let records = program.records();
    let on = |device: &str| {
        let of = move |record: &&Value| record["device"] == device;
        records.values().filter(of).collect::<Vec<_>>()
    };
    let mut n_compared = 0;
    for tch in on("tch") {
        let same = |host: &&&Value| {
            host["experiment"] == tch["experiment"] && host["config"] == tch["config"]
        };
        let hosts = on("host");
        let host = hosts.iter().find(same).expect("the host's");
        let [mut a, mut b] = [Vec::new(), Vec::new()];
        means(&host["result"], &mut a);
        means(&tch["result"], &mut b);
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(&b) {
            let experiment = &tch["experiment"];
            // an estimate is a difference of nβL, of some ten nats
            assert!(
                (a - b).abs() <= 1e-5 * (1.0 + a.abs()),
                "{experiment}: {a} and {b}"
            );
            n_compared += 1;
        }
    }
    assert!(n_compared > 30, "{n_compared} estimates");
}

/// Killed again and again, each time a little later, until a run ends: the records are those of a run that was never killed.
#[test]
#[ignore = "many runs, one after the other"]
fn a_killed_run_goes_on() {
    let whole = program();
    whole.succeed(&RUN);
    let killed = program();
    let (mut n_kills, mut wait) = (0, Duration::from_millis(100));
    loop {
        let mut child = killed.command(&RUN).spawn().expect("the program starts");
        std::thread::sleep(wait);
        if let Some(status) = child.try_wait().expect("a status") {
            assert!(status.success(), "{status}");
            break;
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        n_kills += 1;
        wait = wait.mul_f64(1.2);
    }
    println!("killed {n_kills} times");
    assert!(n_kills > 3, "the run ended before it could be killed");
    assert_eq!(killed.records(), whole.records());
}

/// A checkpoint that is not whole is noticed before any work.
#[test]
fn a_damaged_checkpoint_is_named() {
    let program = program();
    program.succeed(&RUN);
    let checkpoints = program.output("checkpoints");
    let file = find(&find(&checkpoints, "grokking"), "step-0000020");
    fs::write(file, "truncated").expect("written");
    program.refuse(&RUN, &["step-0000020", "truncated or damaged"]);
}
