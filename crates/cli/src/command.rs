//! The command line, made from the tables.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};

use crate::arguments::Object;
use crate::batch::{self, json_line, json_text};
use crate::entry::{Answer, Entry, Evaluate, Kind, Parameter, Topic};
use crate::flags;

/// The command `slt`.
pub fn slt(topics: &[&'static Topic]) -> Command {
    Command::new("slt")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Exactly known numbers of singular learning theory.")
        .after_help(
            "Examples:\n  \
             slt rlct list\n  \
             slt rlct reduced_rank_regression --inputs 5 --outputs 5 --hidden 3 --rank 0\n  \
             slt rlct --batch < questions.jsonl",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(topics.iter().map(|topic| topic_command(topic)))
}

/// Does what the command line says.
///
/// # Errors
/// What is wrong with the question, or with reading and writing.
pub fn run(topics: &[&'static Topic], matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let (name, matches) = matches.subcommand().expect("clap requires one");
    let topic = topics
        .iter()
        .find(|topic| topic.name == name)
        .expect("clap knows these subcommands");
    let mut output = io::stdout().lock();
    let Some((name, matches)) = matches.subcommand() else {
        // Without a subcommand and without --batch clap has shown the help.
        let all_good = batch::run(topic, io::stdin().lock(), output)?;
        return Ok(if all_good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    };
    let as_json = matches.get_flag("json");
    if name == "list" {
        for entry in topic.entries() {
            if as_json {
                writeln!(output, "{}", json_text(&described(topic, entry)))?;
            } else {
                writeln!(output, "{}", listed(topic, entry))?;
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let entry = topic.find(name)?;
    let answer = entry.answer(&flags::object(entry, matches));
    if as_json {
        writeln!(output, "{}", json_line(&answer))?;
        return Ok(if answer.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    write!(output, "{}", explained(entry, &answer?))?;
    Ok(ExitCode::SUCCESS)
}

fn topic_command(topic: &'static Topic) -> Command {
    let batch = Arg::new("batch")
        .long("batch")
        .action(ArgAction::SetTrue)
        .help("Read questions from standard input, one JSON object a line, and write one answer a line");
    let example = topic.entries().next().map_or("", |entry| entry.example);
    Command::new(topic.name)
        .about(topic.summary)
        .after_help(format!(
            "Examples:\n  slt {name} list\n  slt {name} {} --help\n  echo '{example}' | slt {name} --batch\n\n\
             With --batch the exit status is 1 if a line had no answer; that line's answer is {{\"error\": …}}.",
            topic.entries().next().map_or("", |entry| entry.name),
            name = topic.name,
        ))
        .args_conflicts_with_subcommands(true)
        .arg_required_else_help(true)
        .arg(batch)
        .subcommand(
            Command::new("list")
                .about("List them all, with parameters, ranges and an example of each")
                .arg(json_flag()),
        )
        .subcommands(topic.entries().map(|entry| entry_command(topic, entry)))
}

fn entry_command(topic: &Topic, entry: &'static Entry) -> Command {
    Command::new(entry.name)
        .about(entry.summary)
        .after_help(format!(
            "{}\nExample:\n  {}",
            background(entry),
            shell_line(topic, entry)
        ))
        .args(entry.parameters.iter().map(parameter_flag))
        .arg(json_flag())
}

fn parameter_flag(parameter: &'static Parameter) -> Arg {
    let arg = Arg::new(parameter.name)
        .long(parameter.name)
        .alias(parameter.name.replace('_', "-").leak() as &'static str)
        .help(parameter.help())
        .value_name("VALUE");
    match parameter.kind {
        Kind::Flag => arg.num_args(0..=1).default_missing_value("true"),
        // A negative number is refused by the parser of values, which says what it expects.
        _ => arg.allow_hyphen_values(true),
    }
}

fn json_flag() -> Arg {
    Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Write JSON on one line")
}

/// The answer with what it rests on.
fn explained(entry: &Entry, answer: &Answer) -> String {
    let mut lines: Vec<_> = answer.lines().collect();
    let source = lines.pop();
    lines.push(("formula", entry.formula.to_owned()));
    lines.push(("conditions", entry.conditions.to_owned()));
    lines.extend(source);
    aligned(lines)
}

/// Formula, conditions and source, each on its line.
fn background(entry: &Entry) -> String {
    aligned([
        ("formula", entry.formula.to_owned()),
        ("conditions", entry.conditions.to_owned()),
        ("source", entry.source.to_owned()),
    ])
}

fn aligned(lines: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let row = |(name, text): (&str, String)| format!("{name:<16}{text}\n");
    lines.into_iter().map(row).collect()
}

/// An entry of `slt … list`.
fn listed(topic: &Topic, entry: &Entry) -> String {
    let parameters = entry
        .parameters
        .iter()
        .map(|parameter| format!("  --{:<20} {}\n", parameter.name, parameter.help()));
    format!(
        "{}: {}\n{}  {}\n",
        entry.name,
        entry.summary,
        parameters.collect::<String>(),
        shell_line(topic, entry)
    )
}

/// An entry of `slt … list --json`.
fn described(topic: &Topic, entry: &Entry) -> Value {
    let parameters: Vec<_> = entry
        .parameters
        .iter()
        .map(|parameter| {
            json!({
                "name": parameter.name,
                "meaning": parameter.meaning,
                "kind": parameter.kind.to_string(),
                "default": parameter.default,
            })
        })
        .collect();
    let scope = match entry.evaluate {
        Evaluate::Coefficient(scope, _) => Some(scope.to_string()),
        Evaluate::Numbers(_) => None,
    };
    json!({
        topic.key: entry.name,
        "summary": entry.summary,
        "parameters": parameters,
        "scope": scope,
        "formula": entry.formula,
        "conditions": entry.conditions,
        "source": entry.source,
        "example": entry.example,
        "command": shell_line(topic, entry),
    })
}

/// The example of an entry as a command for a shell.
fn shell_line(topic: &Topic, entry: &Entry) -> String {
    let Object(members) = serde_json::from_str(entry.example).expect("examples are JSON objects");
    let flags = entry.parameters.iter().filter_map(|parameter| {
        let value = members.get(parameter.name)?;
        Some(format!(
            " {}",
            flags::flag(&parameter.kind, parameter.name, value)
        ))
    });
    format!(
        "slt {} {}{}",
        topic.name,
        entry.name,
        flags.collect::<String>()
    )
}
