//! The command `slt`: learning coefficients, free energies and finite-n laws, for people and for programs.
//!
//! A question is a JSON object, whether it comes as one line of a batch or as flags; what can be asked is a static
//! table ([`entry::Entry`]), from which the parser, the help texts and the lists are made.

mod arguments;
mod batch;
mod command;
mod entry;
mod expect;
mod flags;
mod free_energy;
mod number;
mod rlct;

use std::io::{self, Write};
use std::process::ExitCode;

use entry::Topic;

/// What `slt` answers.
static TOPICS: [&Topic; 3] = [&rlct::TOPIC, &free_energy::TOPIC, &expect::TOPIC];

fn main() -> ExitCode {
    let matches = command::slt(&TOPICS).get_matches();
    match command::run(&TOPICS, &matches) {
        Ok(status) => status,
        // The reader has seen enough, as in `slt rlct list | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error closed there is nobody to tell.
            let _ = writeln!(io::stderr(), "slt: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
