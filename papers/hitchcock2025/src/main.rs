//! Reproduces Hitchcock and Hoogland (2025), "From global to local: a scalable benchmark for local posterior sampling", on the deep
//! linear networks of Lau, Furman, Wang, Murfet and Wei (2023).
//!
//! Load, run what is not recorded yet, draw figures and tables from the records.

mod heat;
mod networks;
mod settings;
mod steps;

use std::process::ExitCode;

use slt_report::{Args, Findings, Paper, Store};

use settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAPER: Paper = Paper {
    name: "hitchcock2025",
    expected: include_str!("../expected.toml"),
    profiles: &[
        ("quick", include_str!("../quick.toml")),
        ("paper", include_str!("../paper.toml")),
    ],
};

fn main() -> ExitCode {
    PAPER.run(check, experiments)
}

/// All chains run on the host, whatever the device: their targets have analytic gradients.
fn check(settings: &Settings, args: &Args) -> anyhow::Result<()> {
    settings.check()?;
    Ok(args.check_host_only()?)
}

fn experiments(store: &Store, settings: &Settings, (): ()) -> anyhow::Result<Findings> {
    let networks = networks::run(store, &settings.classes)?;
    let steps = steps::run(store, &settings.steps)?;
    let heat = heat::run(store, &settings.heat)?;
    Ok(Findings {
        obtained: [networks::obtained(&networks), steps::obtained(&steps)].concat(),
        sections: vec![
            networks::section(store, &networks)?,
            steps::section(store, &settings.steps, &steps)?,
            heat::section(store, &settings.heat, &heat)?,
        ],
    })
}
