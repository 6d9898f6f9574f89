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

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use slt_models::{Checkpoint, DeviceKind};
use slt_report::{Args, Expected, Store, Summary, Table, replace_block, write_index};

use settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAPER: &str = "toth-czifra2026";
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

fn run(args: &Args) -> anyhow::Result<()> {
    let expected = Expected::parse(include_str!("../expected.toml"), "expected.toml")?;
    let (settings, profile) = args.settings::<Settings>(&PROFILES)?;
    settings.check()?;
    let kind: DeviceKind = args.device.parse()?;
    let device = kind.open()?;
    let store = match args.report_only {
        true => Store::open_read_only(&args.out, PAPER, &profile)?,
        false => Store::open(&args.out, PAPER, &profile)?,
    };

    Checkpoint::check_all(&store.checkpoints())?;

    let linear = linear::run(&store, &settings.linear)?;
    let tanh = tanh::run(&store, &settings.tanh)?;
    let training = training::run(&store, &settings.training)?;
    let parity = parity::run(&store, &settings.parity, kind, &device)?;
    let ice = ice::run(&store, &settings.ice)?;

    let obtained = [
        linear::obtained(&linear),
        tanh::obtained(&tanh),
        training::obtained(&training),
        parity::obtained(&parity),
        ice::obtained(&ice),
    ];
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
        linear::section(&store, &settings.linear, &linear)?,
        tanh::section(&store, &settings.tanh, &tanh)?,
        training::section(&store, &settings.training, &training)?,
        parity::section(&store, &settings.parity, &parity)?,
        ice::section(&store, &settings.ice, &ice)?,
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
