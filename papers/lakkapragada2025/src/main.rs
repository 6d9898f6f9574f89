//! Reproduces Lakkapragada (2025), "Using physics-inspired singular learning theory to understand grokking & other phase transitions in modern
//! neural networks".
//!
//! Load, run what is not recorded yet, draw figures and tables from the records.

mod arrhenius;
mod autoencoders;
mod barrier;
mod diagram;
mod low_rank;
mod polynomials;
mod settings;
mod superposition;

use std::process::ExitCode;

use slt_report::{Args, Findings, Paper, Store};

use settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAPER: Paper = Paper {
    name: "lakkapragada2025",
    expected: include_str!("../expected.toml"),
    profiles: &[
        ("quick", include_str!("../quick.toml")),
        ("paper", include_str!("../paper.toml")),
    ],
};

fn main() -> ExitCode {
    PAPER.run(check, experiments)
}

/// All of it runs on the host, whatever the device: the targets have analytic gradients.
fn check(settings: &Settings, args: &Args) -> anyhow::Result<()> {
    settings.check()?;
    Ok(args.check_host_only()?)
}

fn experiments(store: &Store, settings: &Settings, (): ()) -> anyhow::Result<Findings> {
    let grokking = arrhenius::run(store, &settings.grokking)?;
    let superposition = superposition::run(store, &settings.superposition)?;
    let polynomials = polynomials::run(store, &settings.polynomials)?;
    let low_rank = low_rank::run(store, &settings.low_rank)?;
    let autoencoders = autoencoders::run(store, &settings.autoencoders)?;
    Ok(Findings {
        obtained: [
            arrhenius::obtained(&settings.grokking, &grokking)?,
            barrier::obtained(&settings.grokking, &grokking)?,
            superposition::obtained(&settings.superposition, &superposition)?,
            polynomials::obtained(&settings.polynomials, &polynomials)?,
            low_rank::obtained(&settings.low_rank, &low_rank)?,
            autoencoders::obtained(&settings.autoencoders, &autoencoders)?,
        ]
        .concat(),
        sections: vec![
            diagram::section(store, settings)?,
            arrhenius::section(store, &settings.grokking, &grokking)?,
            barrier::section(store, &settings.grokking, &grokking)?,
            superposition::section(store, &settings.superposition, &superposition)?,
            polynomials::section(store, &settings.polynomials, &polynomials)?,
            low_rank::section(store, &settings.low_rank, &low_rank)?,
            autoencoders::section(store, &settings.autoencoders, &autoencoders)?,
        ],
    })
}
