//! Reproduces Z. Tóth-Czifra (2026), "Singular Learning Theory: AI learns like ice melts".
//!
//! Load, run what is not recorded yet, draw figures and tables from the records.

mod ice;
mod linear;
mod parity;
mod settings;
mod slices;
mod tanh;
mod training;

use std::process::ExitCode;

use slt_models::{Device, DeviceKind};
use slt_report::{Args, Findings, Paper, Store};
use slt_training::Checkpoint;

use settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAPER: Paper = Paper {
    name: "toth-czifra2026",
    expected: include_str!("../expected.toml"),
    profiles: &[
        ("quick", include_str!("../quick.toml")),
        ("paper", include_str!("../paper.toml")),
    ],
};

fn main() -> ExitCode {
    PAPER.run(check, experiments)
}

fn check(settings: &Settings, args: &Args) -> anyhow::Result<(DeviceKind, Device)> {
    settings.check()?;
    let kind: DeviceKind = args.device.parse()?;
    Ok((kind, kind.open()?))
}

fn experiments(
    store: &Store,
    settings: &Settings,
    (kind, device): (DeviceKind, Device),
) -> anyhow::Result<Findings> {
    Checkpoint::check_all(&store.checkpoints())?;

    let linear = linear::run(store, &settings.linear)?;
    let tanh = tanh::run(store, &settings.tanh)?;
    let training = training::run(store, &settings.training)?;
    let parity = parity::run(store, &settings.parity, kind, &device)?;
    let ice = ice::run(store, &settings.ice)?;
    Ok(Findings {
        obtained: [
            linear::obtained(&linear),
            tanh::obtained(&tanh),
            training::obtained(&training),
            parity::obtained(&parity),
            ice::obtained(&ice),
        ]
        .concat(),
        sections: vec![
            linear::section(store, &settings.linear, &linear)?,
            tanh::section(store, &settings.tanh, &tanh)?,
            training::section(store, &settings.training, &training)?,
            parity::section(store, &settings.parity, &parity)?,
            ice::section(store, &settings.ice, &ice)?,
        ],
    })
}
