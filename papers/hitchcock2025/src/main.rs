//! Reproduces Hitchcock and Hoogland (2025), "From global to local: a scalable benchmark for local posterior sampling", on the deep
//! linear networks of Lau, Furman, Wang, Murfet and Wei (2023).
//!
//! Load, run what is not recorded yet, draw figures and tables from the records.

mod heat;
mod networks;
mod settings;
mod steps;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use slt_report::{Args, Expected, Store, Summary, Table, replace_block, write_index};

use settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAPER: &str = "hitchcock2025";
const PROFILES: [(&str, &str); 2] = [
    ("quick", include_str!("../quick.toml")),
    ("paper", include_str!("../paper.toml")),
];

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// All chains run on the host, whatever the device: their targets have analytic gradients.
fn run(args: &Args) -> anyhow::Result<()> {
    let expected = Expected::parse(include_str!("../expected.toml"), "expected.toml")?;
    let (settings, profile) = args.settings::<Settings>(&PROFILES)?;
    settings.check()?;
    anyhow::ensure!(
        ["cpu", "tch", "cuda"].contains(&args.device.as_str()),
        "device '{}' is not known; expected cpu, tch or cuda",
        args.device
    );
    let store = match args.report_only {
        true => Store::open_read_only(&args.out, PAPER, &profile)?,
        false => Store::open(&args.out, PAPER, &profile)?,
    };

    let networks = networks::run(&store, &settings.classes)?;
    let steps = steps::run(&store, &settings.steps)?;
    let heat = heat::run(&store, &settings.heat)?;

    let obtained = [networks::obtained(&networks), steps::obtained(&steps)];
    let table = Table::join(&expected, &obtained.concat())?;
    let mut summary = Summary::new(&store, &expected.paper.title, &args.device);
    summary.intro = vec![format!(
        "{} ({}), {}. Every number below comes from a record in the folder beside this page.",
        expected.paper.authors, expected.paper.year, expected.paper.source
    )];
    summary.sections = vec![
        slt_report::Section {
            heading: "Results".into(),
            tables: vec![table.clone()],
            ..Default::default()
        },
        networks::section(&store, &networks)?,
        steps::section(&store, &settings.steps, &steps)?,
        heat::section(&store, &settings.heat, &heat)?,
    ];
    summary.write(&store)?;
    if let Some(repository) = &args.publish {
        publish(&store, repository, &table)?;
    }
    println!("report  {}", write_index(&args.out)?.display());
    Ok(())
}

/// Puts the table into the README files and copies the figures beside the paper's.
fn publish(store: &Store, repository: &Path, table: &Table) -> anyhow::Result<()> {
    let folder = repository.join("papers").join(PAPER);
    for readme in [repository.join("README.md"), folder.join("README.md")] {
        replace_block(&readme, PAPER, &table.markdown())?;
    }
    slt_report::copy_pictures(&store.figures(), &folder.join("figures"))?;
    Ok(())
}
