//! Reproduces Cullen, Estan-Ruiz, Danait and Li (2026), "Grokking as a phase transition between competing basins".
//!
//! Load, run what is not recorded yet, draw figures and tables from the records.

mod ensemble;
mod grokking;
mod heat;
mod measured;
mod memorising;
mod place;
mod regimes;
mod settings;
mod severity;
mod sizes;
mod solutions;
mod task;
mod theorems;
mod toys;
mod transformer;
mod variations;

use std::process::ExitCode;

use slt_report::{Args, Findings, Paper, Store};
use slt_training::Checkpoint;

use place::Place;
use settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAPER: Paper = Paper {
    name: "cullen2026",
    expected: include_str!("../expected.toml"),
    profiles: &[
        ("quick", include_str!("../quick.toml")),
        ("paper", include_str!("../paper.toml")),
    ],
};

fn main() -> ExitCode {
    PAPER.run(check, experiments)
}

fn check(settings: &Settings, args: &Args) -> anyhow::Result<Place> {
    settings.check()?;
    Place::open(&args.device)
}

fn experiments(store: &Store, settings: &Settings, place: Place) -> anyhow::Result<Findings> {
    Checkpoint::check_all(&store.checkpoints())?;

    // side by side: what needs the networks of the grokking figure, and the rest; either leaves cores idle at times
    let of_grokking = || {
        let grokking = grokking::run(store, &place, &settings.grokking)?;
        let heat = heat::run(store, &place, &settings.heat, &settings.grokking)?;
        let memorising = memorising::run(store, &place, &settings.memorising, &settings.grokking)?;
        let solutions =
            solutions::run(store, &settings.solutions, &settings.grokking, &memorising)?;
        let transformer = transformer::run(store, &settings.transformer)?;
        anyhow::Ok((grokking, heat, memorising, solutions, transformer))
    };
    let others = || {
        let theorems = theorems::run(store, &settings.theorems)?;
        let sizes = sizes::run(store, &place, &settings.sizes)?;
        let severity = severity::run(store, &place, &settings.severity)?;
        let variations = variations::run(store, &place, &settings.variations)?;
        let toys = toys::run(store, &settings.toys)?;
        let regimes = regimes::run(store, &settings.regimes)?;
        anyhow::Ok((theorems, sizes, severity, variations, toys, regimes))
    };
    let (of_grokking, others) = rayon::join(of_grokking, others);
    let (grokking, heat, memorising, solutions, transformer) = of_grokking?;
    let (theorems, sizes, severity, variations, toys, regimes) = others?;
    Ok(Findings {
        obtained: [
            theorems::obtained(&theorems)?,
            sizes::obtained(&settings.sizes, &sizes)?,
            grokking::obtained(&grokking)?,
            heat::obtained(&settings.heat, &heat),
            severity::obtained(&severity)?,
            variations::obtained(&variations),
            toys::obtained(&settings.toys, &toys)?,
            memorising::obtained(&settings.memorising, &settings.grokking, &memorising)?,
            solutions::obtained(&settings.solutions, &settings.grokking, &solutions)?,
            regimes::obtained(&settings.regimes, &regimes),
            transformer::obtained(&settings.transformer, &transformer)?,
        ]
        .concat(),
        sections: vec![
            theorems::section(store, &settings.theorems, &theorems)?,
            sizes::section(store, &settings.sizes, &sizes)?,
            grokking::section(store, &settings.grokking, &grokking)?,
            severity::section(store, &settings.severity, &severity)?,
            variations::section(store, &settings.variations, &variations)?,
            toys::section(store, &settings.toys, &toys)?,
            heat::section(store, &settings.heat, &heat)?,
            memorising::section(store, &settings.memorising, &settings.grokking, &memorising)?,
            solutions::section(store, &settings.solutions, &settings.grokking, &solutions)?,
            regimes::section(store, &settings.regimes, &regimes)?,
            transformer::section(store, &settings.transformer, &transformer)?,
        ],
    })
}
