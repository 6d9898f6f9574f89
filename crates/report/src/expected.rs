//! A paper's `expected.toml`: what it reports, written down before anything is run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

/// What is wrong with an `expected.toml`.
#[derive(Debug, thiserror::Error)]
pub enum ExpectedError {
    /// The file cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not TOML of this shape, or says something impossible.
    #[error("{file}:{line}: {problem}")]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
}

/// What a paper reports and what it leaves open.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The paper.
    pub paper: Paper,
    /// Its quantities, in the order of the table.
    #[serde(default)]
    pub quantity: Vec<Quantity>,
    /// What it claims or asks without an experiment that could be repeated here.
    #[serde(default)]
    pub open: Vec<Open>,
}

/// A paper.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// Title.
    pub title: String,
    /// Authors, as one text.
    pub authors: String,
    /// Year.
    pub year: u16,
    /// Where it is to be had, with its version.
    pub source: String,
}

/// One quantity or claim that a paper reports.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantity {
    /// Name within the paper.
    pub id: String,
    /// What it is.
    pub what: String,
    /// Figure, table or section.
    pub source: String,
    /// The number reported; none for a claim in words.
    pub value: Option<f64>,
    /// Its error, as reported.
    pub error: Option<f64>,
    /// What the error is, such as `sd over seeds`.
    pub error_kind: Option<String>,
    /// Unit.
    pub unit: Option<String>,
    /// Whether the theory's value beside ours is exact, so that z is the distance from it.
    #[serde(default)]
    pub exact: bool,
}

/// Something a paper leaves open.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The claim or question.
    pub what: String,
    /// Figure, table or section.
    pub source: String,
    /// Why it is not settled here.
    pub why: String,
}

impl Expected {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ExpectedError::Read`]; [`ExpectedError::Invalid`] with the line.
    pub fn load(file: &Path) -> Result<Self, ExpectedError> {
        let text = fs::read_to_string(file).map_err(|source| ExpectedError::Read {
            file: file.to_path_buf(),
            source,
        })?;
        Self::parse(&text, file)
    }

    /// Checks the text of a file, `file` being the name used in errors (for `include_str!`).
    ///
    /// # Errors
    /// [`ExpectedError::Invalid`] for a TOML error, an unknown or missing key, an id used twice, a number
    /// that is not finite, an error that is not positive, or an error without a value.
    pub fn parse(text: &str, file: impl AsRef<Path>) -> Result<Self, ExpectedError> {
        let invalid = |offset: usize, problem: String| ExpectedError::Invalid {
            file: file.as_ref().to_path_buf(),
            line: 1 + text[..offset.min(text.len())].matches('\n').count(),
            problem,
        };
        let toml_error = |e: toml::de::Error| {
            let offset = e.span().map_or(0, |span| span.start);
            invalid(offset, e.message().replace('\n', " "))
        };
        let expected: Self = toml::from_str(text).map_err(toml_error)?;
        let places: Places = toml::from_str(text).map_err(toml_error)?;
        for (i, quantity) in expected.quantity.iter().enumerate() {
            let earlier = &expected.quantity[..i];
            if let Some(problem) = problem_of(quantity, earlier) {
                let offset = places.quantity[i].id.span().start;
                return Err(invalid(
                    offset,
                    format!("quantity `{}`: {problem}", quantity.id),
                ));
            }
        }
        Ok(expected)
    }

    /// The quantity of that id.
    pub fn quantity(&self, id: &str) -> Option<&Quantity> {
        self.quantity.iter().find(|quantity| quantity.id == id)
    }
}

/// Where each quantity's id stands in the text, for error messages.
#[derive(Deserialize)]
struct Places {
    #[serde(default)]
    quantity: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    id: Spanned<String>,
}

fn problem_of(quantity: &Quantity, earlier: &[Quantity]) -> Option<&'static str> {
    if quantity.id.trim().is_empty() {
        Some("the id is empty")
    } else if earlier.iter().any(|other| other.id == quantity.id) {
        Some("the id is used twice")
    } else if quantity.value.is_some_and(|value| !value.is_finite()) {
        Some("the value is not finite")
    } else if quantity
        .error
        .is_some_and(|error| !(0.0 < error && error.is_finite()))
    {
        Some("the error is not positive")
    } else if quantity.error.is_some() && quantity.value.is_none() {
        Some("it has an error and no value")
    } else {
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const SAMPLE: &str = r#"
[paper]
title = "Basins & <plateaus>"
authors = "A. Author, B. Author"
year = 2026
source = "arXiv:2603.01192v3"

[[quantity]]
id = "slope"
what = "slope of the final LLC against p at K = 600"
source = "Figure 1"
value = 51.06
error = 0.8
error_kind = "read off the figure"

[[quantity]]
id = "trend"
what = "GSM falls with the learning rate"
source = "Figure 4"

[[open]]
what = "why the LLC peaks before generalisation"
source = "Section 7"
why = "no quantity is defined"
"#;

    #[test]
    fn reads_a_file() {
        let expected = Expected::parse(SAMPLE, "expected.toml").unwrap();
        assert_eq!(expected.paper.year, 2026);
        assert_eq!(expected.quantity("slope").unwrap().value, Some(51.06));
        assert_eq!(expected.quantity("trend").unwrap().value, None);
        assert_eq!(expected.open.len(), 1);
    }

    #[test]
    fn errors_name_file_and_line() {
        let cases = [
            (SAMPLE.replace("error_kind", "eror_kind"), 14, "eror_kind"),
            (SAMPLE.replace("year = 2026", "year = soon"), 5, ""),
            (SAMPLE.replace("\"trend\"", "\"slope\""), 17, "twice"),
            (SAMPLE.replace("error = 0.8", "error = 0.0"), 9, "positive"),
            (SAMPLE.replace("value = 51.06", "value = nan"), 9, "finite"),
            (SAMPLE.replace("value = 51.06", ""), 9, "no value"),
        ];
        for (text, at, phrase) in cases {
            let error = Expected::parse(&text, "expected.toml")
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(&format!("expected.toml:{at}: ")),
                "{error}"
            );
            assert!(error.contains(phrase) && !error.contains('\n'), "{error}");
        }
        let error = Expected::load(Path::new("no/such.toml")).unwrap_err();
        assert!(error.to_string().contains("no/such.toml"));
    }
}
