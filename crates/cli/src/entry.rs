//! What can be asked: each family, law or quantity is one entry of a static table.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Serialize, Serializer};
use serde_json::Value;
use slt_theory::Known;

use crate::arguments::{Arguments, Object};
use crate::number::decimal;

/// A subcommand of `slt`, with its table.
pub struct Topic {
    /// The subcommand: `rlct`.
    pub name: &'static str,
    /// What an entry is called, and the member of a JSON question that names it: `family`.
    pub key: &'static str,
    /// One sentence for the help.
    pub summary: &'static str,
    /// The table, in groups.
    pub groups: &'static [&'static [Entry]],
}

/// One family, law or quantity.
pub struct Entry {
    /// Its name on the command line and in JSON.
    pub name: &'static str,
    /// What it is, in a few words.
    pub summary: &'static str,
    /// What it needs to know.
    pub parameters: &'static [Parameter],
    /// The formula, in terms of the parameters or of letters that [`Parameter::meaning`] gives.
    pub formula: &'static str,
    /// Where the formula holds.
    pub conditions: &'static str,
    /// Author, year and theorem.
    pub source: &'static str,
    /// A question that has an answer, as JSON.
    pub example: &'static str,
    /// The formula itself.
    pub evaluate: Evaluate,
}

/// How an entry is computed.
pub enum Evaluate {
    /// A learning coefficient, of a whole model or at one parameter.
    Coefficient(Scope, fn(&Arguments) -> anyhow::Result<Known>),
    /// Named numbers.
    Numbers(fn(&Arguments) -> anyhow::Result<Vec<Field>>),
}

/// Whether λ is the least over all true parameters, or that of one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Of the whole model: the least λ over the true parameters.
    Global,
    /// At one parameter.
    Local,
}

/// A parameter of an entry.
pub struct Parameter {
    /// Its name, which is its flag too.
    pub name: &'static str,
    /// What it means, with its letter in the formula.
    pub meaning: &'static str,
    /// Which values it takes.
    pub kind: Kind,
    /// What its absence means; `None` where it must be given.
    pub default: Option<&'static str>,
}

/// Which values a parameter takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A whole number.
    Whole(RangeInclusive<u32>),
    /// A whole number, or the word.
    WholeOr(RangeInclusive<u32>, &'static str),
    /// A list of whole numbers.
    Wholes(RangeInclusive<u32>),
    /// A list of lists of whole numbers.
    Rows(RangeInclusive<u32>),
    /// A fraction.
    Rational,
    /// A list of fractions.
    Rationals,
    /// A list of lists of fractions.
    RationalRows,
    /// A finite number.
    Real,
    /// A list of finite numbers.
    Reals,
    /// A list of lists of finite numbers.
    RealRows,
    /// `true` or `false`.
    Flag,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// The edges of a graph, as pairs of names.
    Edges,
}

/// Any whole number that there is room for.
pub const COUNT: RangeInclusive<u32> = 0..=u32::MAX;
/// A width, a dimension, a number of parts.
pub const POSITIVE: RangeInclusive<u32> = 1..=u32::MAX;

/// A named part of an answer.
pub type Field = (&'static str, Value);

/// The named parts of an answer, in order.
#[derive(Debug)]
pub struct Answer(Vec<Field>);

impl Topic {
    /// All entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = &'static Entry> {
        self.groups.iter().copied().flatten()
    }

    /// The entry of this name.
    ///
    /// # Errors
    /// Names the entries that there are.
    pub fn find(&self, name: &str) -> anyhow::Result<&'static Entry> {
        let found = self.entries().find(|entry| entry.name == name);
        found.ok_or_else(|| {
            let names: Vec<_> = self.entries().map(|entry| entry.name).collect();
            anyhow::anyhow!(
                "{} {} is not known; expected one of: {}",
                self.key,
                crate::arguments::shown(&Value::from(name)),
                names.join(", ")
            )
        })
    }
}

impl Parameter {
    /// A parameter that must be given.
    pub const fn new(name: &'static str, kind: Kind, meaning: &'static str) -> Self {
        Self {
            name,
            meaning,
            kind,
            default: None,
        }
    }

    /// A parameter that may be left out, with what that means.
    pub const fn or(self, default: &'static str) -> Self {
        let Self {
            name,
            meaning,
            kind,
            default: _,
        } = self;
        Self {
            name,
            meaning,
            kind,
            default: Some(default),
        }
    }

    /// What it means, which values it takes, and its default.
    pub fn help(&self) -> String {
        let default = self
            .default
            .map_or(String::new(), |default| format!("; default: {default}"));
        format!("{} ({}{default})", self.meaning, self.kind)
    }
}

impl Entry {
    /// The answer to a question that has been parsed.
    ///
    /// # Errors
    /// Says which parameter is malformed, or which inequality fails.
    pub fn answer(&self, question: &Object) -> anyhow::Result<Answer> {
        let arguments = Arguments::new(self, question)?;
        let mut fields = match self.evaluate {
            Evaluate::Coefficient(scope, known) => {
                let known = known(&arguments)?;
                vec![
                    ("lambda", Value::from(known.lambda().map(|l| l.to_string()))),
                    ("multiplicity", Value::from(known.multiplicity())),
                    ("kind", Value::from(kind(known))),
                    ("scope", Value::from(scope.to_string())),
                ]
            }
            Evaluate::Numbers(numbers) => {
                let fields = numbers(&arguments)?;
                anyhow::ensure!(
                    !fields.iter().any(|(_, value)| is_missing(value)),
                    "a result is outside the range of the floating point numbers"
                );
                fields
            }
        };
        fields.push(("source", Value::from(self.source)));
        Ok(Answer(fields))
    }
}

/// JSON has no infinity and no NaN: they become null.
fn is_missing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(is_missing),
        _ => false,
    }
}

fn kind(known: Known) -> &'static str {
    match known {
        Known::Exact(_) | Known::ExactLambda(_) => "exact",
        Known::UpperBound(_) => "upper_bound",
        Known::LowerBound(_) => "lower_bound",
        Known::Unknown => "unknown",
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "global",
            Self::Local => "local",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = |range: &RangeInclusive<u32>| match (*range.start(), *range.end()) {
            (0, u32::MAX) => String::new(),
            (least, u32::MAX) => format!(" of at least {least}"),
            (least, most) => format!(" from {least} to {most}"),
        };
        match self {
            Self::Whole(range) => write!(f, "a whole number{}", within(range)),
            Self::WholeOr(range, word) => {
                write!(f, "a whole number{}, or \"{word}\"", within(range))
            }
            Self::Wholes(range) => {
                write!(
                    f,
                    "a list of whole numbers{}, such as [1, 2]",
                    within(range)
                )
            }
            Self::Rows(range) => {
                write!(
                    f,
                    "a list of lists of whole numbers{}, such as [[1, 2], [0, 3]]",
                    within(range)
                )
            }
            Self::Rational => f.write_str("a fraction such as 3, \"1/2\" or 0.5"),
            Self::Rationals => f.write_str("a list of fractions, such as [3, \"1/2\", 0.5]"),
            Self::RationalRows => {
                f.write_str("a list of lists of fractions, such as [[0], [\"3/2\", 2]]")
            }
            Self::Real => f.write_str("a finite number"),
            Self::Reals => f.write_str("a list of finite numbers, such as [1, 0.5]"),
            Self::RealRows => {
                f.write_str("a list of lists of finite numbers, such as [[1, 0.5], [0, 3]]")
            }
            Self::Flag => f.write_str("true or false"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Edges => {
                f.write_str("a list of pairs of names, such as [[\"a\", \"h\"], [\"b\", \"h\"]]")
            }
        }
    }
}

impl Answer {
    /// The parts as text, in order.
    pub fn lines(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.0.iter().map(|(name, value)| (*name, plain(value)))
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A value for a human reader: no quotes, a list with commas, a word for nothing.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "not known".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let item = |item: &Value| match item {
                Value::Array(_) => format!("[{}]", plain(item)),
                _ => plain(item),
            };
            items.iter().map(item).collect::<Vec<_>>().join(", ")
        }
        Value::Number(number) => number
            .as_f64()
            .filter(|_| number.is_f64())
            .map_or_else(|| number.to_string(), decimal),
        other => other.to_string(),
    }
}
