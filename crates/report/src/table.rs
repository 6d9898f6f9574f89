//! The table of what a paper reports beside what was obtained. Generated, never typed.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::expected::{Expected, Open, Quantity};
use crate::html::escape;
use crate::number::{plain, with_error};
use crate::verdict::{Verdict, z_score};

const HEAD: [&str; 8] = [
    "quantity",
    "source",
    "paper",
    "theory or independent",
    "ours ± MCSE",
    "z",
    "verdict",
    "note",
];

/// Why paper and results cannot be put side by side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A result for which the paper's file has no entry.
    #[error("obtained `{id}` is not in expected.toml")]
    NotExpected {
        /// Id of the result.
        id: String,
    },
    /// An entry of the paper's file without a result.
    #[error("expected `{id}` was not obtained")]
    NotObtained {
        /// Id of the quantity.
        id: String,
    },
    /// Two results of one id.
    #[error("`{id}` was obtained twice")]
    Twice {
        /// Id of the results.
        id: String,
    },
    /// NaN or ±∞ where a number is compared, or an error that is negative.
    #[error("`{id}`: {what} is {value}; only a value that is not comparable may be not finite")]
    NotFinite {
        /// Id of the result.
        id: String,
        /// Value, MCSE or reference.
        what: &'static str,
        /// The number.
        value: String,
    },
    /// A caller's *agrees* against a z that says *differs*.
    #[error("`{id}`: said to agree, but z = {z} against the paper or the exact value")]
    Contradiction {
        /// Id of the result.
        id: String,
        /// Its z, to one decimal.
        z: String,
    },
}

/// A result for one of the paper's quantities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obtained {
    /// Id of the quantity.
    pub id: String,
    /// Our value; NaN where there is none, which only a verdict of *not comparable* allows.
    pub value: f64,
    /// Its Monte Carlo standard error; none when it is exact or unknown, as the note says.
    pub mcse: Option<f64>,
    /// A theory's or an independent route's value, and its name.
    pub reference: Option<(f64, String)>,
    /// The verdict: [`Verdict::of`] where both errors are known, else the caller's judgement.
    pub verdict: Verdict,
    /// What a reader must know to understand the row.
    pub note: String,
}

impl Obtained {
    /// A result without a reference.
    pub fn new(id: &str, value: f64, mcse: Option<f64>, verdict: Verdict, note: String) -> Self {
        Self {
            id: id.into(),
            value,
            mcse,
            reference: None,
            verdict,
            note,
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Id of the quantity; empty for an open item.
    pub id: String,
    /// What it is.
    pub what: String,
    /// Where the paper says it.
    pub source: String,
    /// Unit, or empty.
    pub unit: String,
    /// The paper's value.
    pub paper: Option<f64>,
    /// The paper's error.
    pub paper_error: Option<f64>,
    /// What the paper's error is, or empty.
    pub error_kind: String,
    /// A theory's or an independent value, and its name.
    pub reference: Option<(f64, String)>,
    /// Our value.
    pub value: Option<f64>,
    /// Its Monte Carlo standard error.
    pub mcse: Option<f64>,
    /// Our value against the paper's, when both errors are known, or against an exact one.
    pub z: Option<f64>,
    /// The verdict; none for an open item.
    pub verdict: Option<Verdict>,
    /// Note; for an open item, why it is open.
    pub note: String,
}

/// Rows in the order of the paper's file, open items last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The rows.
    pub rows: Vec<Row>,
}

impl Table {
    /// Puts every expected quantity beside its result.
    ///
    /// # Errors
    /// [`TableError::NotExpected`], [`TableError::NotObtained`] and [`TableError::Twice`] when the ids do not
    /// match one to one; [`TableError::NotFinite`]; [`TableError::Contradiction`].
    pub fn join(expected: &Expected, obtained: &[Obtained]) -> Result<Self, TableError> {
        for (i, result) in obtained.iter().enumerate() {
            let id = result.id.clone();
            if expected.quantity(&id).is_none() {
                return Err(TableError::NotExpected { id });
            }
            if obtained[..i].iter().any(|other| other.id == id) {
                return Err(TableError::Twice { id });
            }
        }
        let mut rows = Vec::new();
        for quantity in &expected.quantity {
            let result = obtained.iter().find(|result| result.id == quantity.id);
            let result = result.ok_or_else(|| TableError::NotObtained {
                id: quantity.id.clone(),
            })?;
            rows.push(row(quantity, result)?);
        }
        rows.extend(expected.open.iter().map(open_row));
        Ok(Table { rows })
    }

    /// The rows of those ids, in that order, for a section that shows a part.
    ///
    /// # Errors
    /// [`TableError::NotExpected`] for an id without a row.
    pub fn select(&self, ids: &[&str]) -> Result<Self, TableError> {
        let find = |id: &&str| {
            let row = self.rows.iter().find(|row| row.id == *id);
            row.cloned().ok_or_else(|| TableError::NotExpected {
                id: (*id).to_string(),
            })
        };
        let rows = ids.iter().map(find).collect::<Result<_, _>>()?;
        Ok(Table { rows })
    }

    /// The table in Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut out = line(&HEAD.map(String::from));
        out += &line(&["---", "---", "--:", "--:", "--:", "--:", "---", "---"].map(String::from));
        for row in &self.rows {
            out += &line(&row.cells().map(|cell| markdown_cell(&cell)));
        }
        out
    }

    /// The table as an HTML `table` element, verdicts as badges.
    pub fn html(&self) -> String {
        let mut out = String::from("<table>\n<thead><tr>");
        for head in HEAD {
            let _ = write!(out, "<th>{head}</th>");
        }
        out += "</tr></thead>\n<tbody>\n";
        for row in &self.rows {
            out += "<tr>";
            for (i, cell) in row.cells().iter().enumerate() {
                let _ = match i {
                    2..=5 => write!(out, "<td class=\"number\">{}</td>", escape(cell)),
                    6 => write!(out, "<td>{}</td>", badge(row.verdict, "")),
                    _ => write!(out, "<td>{}</td>", escape(cell)),
                };
            }
            out += "</tr>\n";
        }
        out + "</tbody>\n</table>\n"
    }
}

impl Row {
    fn cells(&self) -> [String; 8] {
        let unit = match self.unit.as_str() {
            "" => String::new(),
            unit => format!(" [{unit}]"),
        };
        let paper = match (self.paper, self.paper_error) {
            (Some(value), Some(error)) if self.error_kind.is_empty() => {
                format!("{value} ± {error}")
            }
            (Some(value), Some(error)) => format!("{value} ± {error} ({})", self.error_kind),
            (Some(value), None) => value.to_string(),
            (None, _) => String::new(),
        };
        let ours = match (self.value, self.mcse) {
            (Some(value), Some(mcse)) => with_error(value, mcse),
            (Some(value), None) => plain(value),
            (None, _) => String::new(),
        };
        let reference = self.reference.as_ref();
        [
            format!("{}{unit}", self.what),
            self.source.clone(),
            paper,
            reference.map_or_else(String::new, |(value, name)| {
                format!("{} ({name})", plain(*value))
            }),
            ours,
            self.z.map_or_else(String::new, |z| format!("{z:+.1}")),
            self.verdict
                .map_or_else(|| "open".to_string(), |verdict| verdict.to_string()),
            self.note.clone(),
        ]
    }
}

/// A verdict as a coloured word, followed by `after`.
pub(crate) fn badge(verdict: Option<Verdict>, after: &str) -> String {
    let slug = verdict.map_or("open", Verdict::slug);
    let word = verdict.map_or_else(|| "open".to_string(), |verdict| verdict.to_string());
    format!("<span class=\"badge {slug}\">{word}{after}</span>")
}

fn row(quantity: &Quantity, result: &Obtained) -> Result<Row, TableError> {
    let refuse = |what, value: f64| TableError::NotFinite {
        id: quantity.id.clone(),
        what,
        value: value.to_string(),
    };
    if !result.value.is_finite() && result.verdict != Verdict::NotComparable {
        return Err(refuse("the value", result.value));
    }
    match (result.mcse, &result.reference) {
        (Some(mcse), _) if !(0.0..f64::INFINITY).contains(&mcse) => {
            return Err(refuse("the MCSE", mcse));
        }
        (_, Some((reference, _))) if !reference.is_finite() => {
            return Err(refuse("the reference", *reference));
        }
        _ => {}
    }
    let value = Some(result.value).filter(|value| value.is_finite());
    let compared = match &result.reference {
        Some((exact, _)) if quantity.exact => Some((*exact, 0.0)),
        _ => quantity.value.zip(quantity.error),
    };
    let z = match (value, result.mcse, compared) {
        (Some(value), Some(mcse), Some((other, error)))
            if result.verdict != Verdict::NotComparable =>
        {
            let verdict = match quantity.exact {
                true => Verdict::of_exact(value, mcse, other),
                false => Verdict::of(value, mcse, other, error),
            };
            let z = z_score(value, mcse, other, error);
            if verdict == Verdict::Differs && result.verdict == Verdict::Agrees {
                return Err(TableError::Contradiction {
                    id: quantity.id.clone(),
                    z: format!("{z:+.1}"),
                });
            }
            Some(z)
        }
        _ => None,
    };
    Ok(Row {
        id: quantity.id.clone(),
        what: quantity.what.clone(),
        source: quantity.source.clone(),
        unit: quantity.unit.clone().unwrap_or_default(),
        paper: quantity.value,
        paper_error: quantity.error,
        error_kind: quantity.error_kind.clone().unwrap_or_default(),
        reference: result.reference.clone(),
        value,
        mcse: result.mcse,
        z,
        verdict: Some(result.verdict),
        note: result.note.clone(),
    })
}

fn open_row(open: &Open) -> Row {
    Row {
        id: String::new(),
        what: open.what.clone(),
        source: open.source.clone(),
        unit: String::new(),
        paper: None,
        paper_error: None,
        error_kind: String::new(),
        reference: None,
        value: None,
        mcse: None,
        z: None,
        verdict: None,
        note: open.why.clone(),
    }
}

fn markdown_cell(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let safe = flat.replace('&', "&amp;").replace('<', "&lt;");
    safe.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expected::tests::SAMPLE;

    fn expected() -> Expected {
        Expected::parse(SAMPLE, "expected.toml").unwrap()
    }

    fn obtained() -> Vec<Obtained> {
        vec![
            Obtained {
                id: "trend".into(),
                value: f64::NAN,
                mcse: None,
                reference: None,
                verdict: Verdict::NotComparable,
                note: "a claim | in <words>\nwithout a number".into(),
            },
            Obtained {
                id: "slope".into(),
                value: 51.5,
                mcse: Some(0.3456),
                reference: Some((900.0, "Corollary 5.4".into())),
                verdict: Verdict::of(51.5, 0.3456, 51.06, 0.8),
                note: String::new(),
            },
        ]
    }

    #[test]
    fn renders_markdown() {
        let table = Table::join(&expected(), &obtained()).unwrap();
        let lines: Vec<_> = table.markdown().lines().map(String::from).collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(
            lines[2],
            "| slope of the final LLC against p at K = 600 | Figure 1 | 51.06 ± 0.8 (read off the figure) \
             | 900 (Corollary 5.4) | 51.50 ± 0.35 | +0.5 | agrees |  |"
        );
        assert!(
            lines[3].ends_with("| not comparable | a claim \\| in &lt;words> without a number |")
        );
        assert!(lines[4].contains("| open | no quantity is defined |"));
    }

    #[test]
    fn renders_html() {
        let html = Table::join(&expected(), &obtained()).unwrap().html();
        assert!(html.contains("<td class=\"number\">51.50 ± 0.35</td>"));
        assert!(html.contains("<span class=\"badge not-comparable\">not comparable</span>"));
        assert!(html.contains("in &lt;words&gt;") && !html.contains("<words>"));
    }

    #[test]
    fn ids_must_match_one_to_one() {
        let mut results = obtained();
        results.pop();
        let error = Table::join(&expected(), &results).unwrap_err();
        assert_eq!(error, TableError::NotObtained { id: "slope".into() });
        let mut results = obtained();
        results[0].id = "tend".into();
        let error = Table::join(&expected(), &results).unwrap_err();
        assert_eq!(error, TableError::NotExpected { id: "tend".into() });
        let mut results = obtained();
        results[0].id = "slope".into();
        let error = Table::join(&expected(), &results).unwrap_err();
        assert_eq!(error, TableError::Twice { id: "slope".into() });
    }

    #[test]
    fn wrong_numbers_and_wrong_verdicts_are_refused() {
        let join = |change: fn(&mut Obtained)| {
            let mut results = obtained();
            change(&mut results[1]);
            Table::join(&expected(), &results).unwrap_err().to_string()
        };
        assert!(join(|r| r.value = f64::NAN).contains("the value is NaN"));
        assert!(join(|r| r.mcse = Some(-1.0)).contains("the MCSE is -1"));
        assert!(
            join(|r| r.reference = Some((f64::INFINITY, "x".into()))).contains("reference is inf")
        );
        assert!(join(|r| r.value = 60.0).contains("z = +10.3"));
    }

    /// z of a row whose theory is exact is the distance from it, and decides what may be said.
    #[test]
    fn an_exact_value_is_compared_with() {
        let text = SAMPLE.replace(
            "source = \"Figure 4\"",
            "source = \"Figure 4\"\nexact = true",
        );
        let expected = Expected::parse(&text, "expected.toml").unwrap();
        let join = |value: f64| {
            let mut results = obtained();
            let trend = results.iter_mut().find(|r| r.id == "trend").unwrap();
            trend.value = value;
            trend.mcse = Some(0.002);
            trend.reference = Some((0.5, "exact".into()));
            trend.verdict = Verdict::Agrees;
            Table::join(&expected, &results)
        };
        let near = join(0.507).unwrap();
        let row = near.rows.iter().find(|row| row.id == "trend").unwrap();
        assert!((row.z.unwrap() - 3.5).abs() < 1e-12);
        assert!(join(0.51).unwrap_err().to_string().contains("z = +5.0"));
    }

    #[test]
    fn a_part_can_be_selected() {
        let table = Table::join(&expected(), &obtained()).unwrap();
        assert_eq!(table.select(&["trend"]).unwrap().rows[0].id, "trend");
        assert!(table.select(&["none"]).is_err());
    }
}
