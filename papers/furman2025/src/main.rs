//! Makes the formulas of Zach Furman's slides "Introduction to singular learning theory" computations, with exact values beside them.
//!
//! Load, run what is not recorded yet, draw figures and tables from the records.

mod criteria;
mod estimation;
mod exact;
mod free_energy;
mod generalisation;
mod germs;
mod models;
mod normal;
mod polygons;
mod rank_one;
mod rescaling;
mod samplers;
mod settings;
mod singular;
mod slides;
mod superposition;
mod trajectories;
mod two_phases;
mod volumes;

use std::process::ExitCode;

use slt_report::{Args, Findings, Paper, Store};

use settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAPER: Paper = Paper {
    name: "furman2025",
    expected: include_str!("../expected.toml"),
    profiles: &[
        ("quick", include_str!("../quick.toml")),
        ("paper", include_str!("../paper.toml")),
    ],
};

fn main() -> ExitCode {
    PAPER.run(check, experiments)
}

/// All of it runs on the host, whatever the device.
fn check(settings: &Settings, args: &Args) -> anyhow::Result<()> {
    settings.check()?;
    Ok(args.check_host_only()?)
}

fn experiments(store: &Store, settings: &Settings, (): ()) -> anyhow::Result<Findings> {
    let volumes = volumes::run(store, &settings.germs, &settings.volumes)?;
    let free_energy = free_energy::run(store, &settings.germs, &settings.free_energy)?;
    let estimation = estimation::run(store, &settings.estimation)?;
    let criteria = criteria::run(store, &settings.criteria)?;
    let generalisation = generalisation::run(store, &settings.generalisation)?;
    let two_phases = two_phases::run(store, &settings.two_phases)?;
    let superposition = superposition::run(store, &settings.superposition)?;
    let trajectories = trajectories::run(store, &settings.trajectories)?;
    let rescaling = rescaling::run(store, &settings.rescaling)?;
    let samplers = samplers::run(store, &settings.benchmark)?;
    let singular = singular::run(store, &settings.models, &settings.singular)?;
    Ok(Findings {
        obtained: [
            slides::obtained(),
            singular::obtained(&singular)?,
            volumes::obtained(&settings.volumes, &volumes)?,
            free_energy::obtained(&settings.free_energy, &free_energy)?,
            estimation::obtained(&settings.estimation, &estimation),
            criteria::obtained(&settings.criteria, &criteria)?,
            generalisation::obtained(&settings.generalisation, &generalisation)?,
            two_phases::obtained(&settings.two_phases, &two_phases)?,
            superposition::obtained(&settings.superposition, &superposition)?,
            trajectories::obtained(&settings.trajectories, &trajectories)?,
            samplers::obtained(&samplers),
            rescaling::obtained(&settings.rescaling, &rescaling),
        ]
        .concat(),
        sections: vec![
            singular::section(store, &settings.singular, &singular)?,
            volumes::section(store, &settings.volumes, &volumes)?,
            free_energy::section(store, &settings.free_energy, &free_energy)?,
            estimation::section(store, &settings.estimation, &estimation)?,
            criteria::section(store, &settings.criteria, &criteria)?,
            generalisation::section(store, &settings.generalisation, &generalisation)?,
            two_phases::section(store, &settings.two_phases, &two_phases)?,
            superposition::section(store, &settings.superposition, &superposition)?,
            trajectories::section(store, &settings.trajectories, &trajectories)?,
            samplers::section(store, &samplers)?,
            rescaling::section(store, &settings.rescaling, &rescaling)?,
        ],
    })
}
