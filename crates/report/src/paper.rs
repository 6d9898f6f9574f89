//! What the program of every paper does around its experiments.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use serde::de::DeserializeOwned;

use crate::cli::Args;
use crate::expected::Expected;
use crate::page::{Section, Summary, write_index};
use crate::pictures::copy_pictures;
use crate::readme::replace_block;
use crate::store::Store;
use crate::table::{Obtained, Table};

/// A paper, as its program has it.
#[derive(Debug, Clone, Copy)]
pub struct Paper {
    /// Its folder in `papers`, which is also the name of its table in the READMEs.
    pub name: &'static str,
    /// The text of its `expected.toml`.
    pub expected: &'static str,
    /// Its profiles: name and TOML text of each.
    pub profiles: &'static [(&'static str, &'static str)],
}

/// What a paper's experiments gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// One result for each quantity of `expected.toml`.
    pub obtained: Vec<Obtained>,
    /// The page below the table of results.
    pub sections: Vec<Section>,
}

impl Paper {
    /// The whole program: reads the arguments and the settings, has `check` refuse what is wrong with them and open what they need,
    /// then has `experiments` run what is not recorded yet, and writes the page and, if asked to, the READMEs.
    ///
    /// An error is printed as one line, with exit status 1. Before `check` has passed nothing is written.
    pub fn run<S: DeserializeOwned, D>(
        &self,
        check: impl FnOnce(&S, &Args) -> anyhow::Result<D>,
        experiments: impl FnOnce(&Store, &S, D) -> anyhow::Result<Findings>,
    ) -> ExitCode {
        match self.reproduce(&Args::parse(), check, experiments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }

    fn reproduce<S: DeserializeOwned, D>(
        &self,
        args: &Args,
        check: impl FnOnce(&S, &Args) -> anyhow::Result<D>,
        experiments: impl FnOnce(&Store, &S, D) -> anyhow::Result<Findings>,
    ) -> anyhow::Result<()> {
        let expected = Expected::parse(self.expected, "expected.toml")?;
        let (settings, profile) = args.settings(self.profiles)?;
        let opened = check(&settings, args)?;
        let store = match args.report_only {
            true => Store::open_read_only(&args.out, self.name, &profile)?,
            false => Store::open(&args.out, self.name, &profile)?,
        };
        let findings = experiments(&store, &settings, opened)?;
        let table = Table::join(&expected, &findings.obtained)?;

        let mut summary = Summary::new(&store, &expected.paper.title, &args.device);
        summary.intro = vec![format!(
            "{} ({}), {}. Every number below comes from a record in the folder beside this page.",
            expected.paper.authors, expected.paper.year, expected.paper.source
        )];
        summary.sections = vec![Section {
            heading: "Results".into(),
            tables: vec![table.clone()],
            ..Default::default()
        }];
        summary.sections.extend(findings.sections);
        summary.write(&store)?;
        if let Some(repository) = &args.publish {
            self.publish(&store, repository, &table)?;
        }
        println!("report  {}", write_index(&args.out)?.display());
        Ok(())
    }

    /// Puts the table into the README files and copies the figures beside the paper's.
    fn publish(&self, store: &Store, repository: &Path, table: &Table) -> anyhow::Result<()> {
        let folder = repository.join("papers").join(self.name);
        for readme in [repository.join("README.md"), folder.join("README.md")] {
            replace_block(&readme, self.name, &table.markdown())?;
        }
        copy_pictures(&store.figures(), &folder.join("figures"))?;
        Ok(())
    }
}
