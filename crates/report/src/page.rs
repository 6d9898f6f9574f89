//! What a paper's run has to say, and the one page that says it for all papers.
//!
//! Every paper and profile writes a `summary.json`; [`write_index`] gathers them. The page holds its own
//! style and figures, so that it can be sent as one file and read without a network.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic::{WriteError, write_atomic};
use crate::canonical;
use crate::html::escape;
use crate::provenance::Provenance;
use crate::store::{Store, StoreError};
use crate::table::{Table, badge};
use crate::verdict::Verdict;

const FILE: &str = "summary.json";
const STYLE: &str = include_str!("page.css");

/// Why the page could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A folder, summary or figure that cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file or folder.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A summary that is not one.
    #[error("{file} is not a summary ({problem}); run that paper again")]
    Summary {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A root without any summary.
    #[error("no summaries under {root}; run `make reproduce` first")]
    Nothing {
        /// The folder searched.
        root: PathBuf,
    },
    /// The page cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A figure on the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FigureRef {
    /// Name in the `figures` folder, without its ending.
    pub name: String,
    /// Caption.
    pub caption: String,
    /// What it shows, for readers who cannot see it.
    pub alt: String,
}

/// A section of the page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Heading.
    pub heading: String,
    /// Paragraphs.
    pub text: Vec<String>,
    /// Figures, after the text.
    pub figures: Vec<FigureRef>,
    /// Tables, after the figures.
    pub tables: Vec<Table>,
    /// Notes, in small print at the end.
    pub notes: Vec<String>,
}

/// One paper under one profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Title of the paper.
    pub title: String,
    /// Paragraphs before the first section.
    pub intro: Vec<String>,
    /// Paper, as in the store.
    pub paper: String,
    /// Profile, as in the store.
    pub profile: String,
    /// Device class.
    pub device: String,
    /// Sections.
    pub sections: Vec<Section>,
    /// The code that drew the figures and tables.
    pub provenance: Provenance,
}

impl Summary {
    /// An empty summary for `store`.
    pub fn new(store: &Store, title: &str, device: &str) -> Self {
        Self {
            title: title.to_string(),
            intro: Vec::new(),
            paper: store.paper().to_string(),
            profile: store.profile().to_string(),
            device: device.to_string(),
            sections: Vec::new(),
            provenance: store.provenance().clone(),
        }
    }

    /// Writes `summary.json` into the store's folder.
    ///
    /// # Errors
    /// [`StoreError::Canonical`] for a table with a number that is not finite; [`StoreError::Write`].
    pub fn write(&self, store: &Store) -> Result<(), StoreError> {
        let text = canonical::pretty(&canonical::to_value("summary", self)?);
        Ok(write_atomic(&store.folder().join(FILE), text.as_bytes())?)
    }

    fn verdicts(&self) -> impl Iterator<Item = Option<Verdict>> + '_ {
        let tables = self.sections.iter().flat_map(|section| &section.tables);
        tables.flat_map(|table| table.rows.iter().map(|row| row.verdict))
    }
}

/// Gathers every `PAPER/PROFILE/summary.json` under `root` into `root/index.html`, and returns its path.
///
/// # Errors
/// [`PageError`]: an unreadable or damaged summary, a figure that is named and not there, or nothing at all.
pub fn write_index(root: &Path) -> Result<PathBuf, PageError> {
    let mut papers = Vec::new();
    for paper in folders(root)? {
        for profile in folders(&paper)? {
            if profile.join(FILE).is_file() {
                papers.push((read(&profile.join(FILE))?, profile));
            }
        }
    }
    if papers.is_empty() {
        return Err(PageError::Nothing {
            root: root.to_path_buf(),
        });
    }
    let page = render(&papers)?;
    let index = root.join("index.html");
    write_atomic(&index, page.as_bytes())?;
    Ok(index)
}

fn folders(parent: &Path) -> Result<Vec<PathBuf>, PageError> {
    let unreadable = |source| PageError::Read {
        file: parent.to_path_buf(),
        source,
    };
    let entries = fs::read_dir(parent).map_err(unreadable)?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

fn text_of(file: &Path) -> Result<String, PageError> {
    fs::read_to_string(file).map_err(|source| PageError::Read {
        file: file.to_path_buf(),
        source,
    })
}

fn read(file: &Path) -> Result<Summary, PageError> {
    serde_json::from_str(&text_of(file)?).map_err(|e| PageError::Summary {
        file: file.to_path_buf(),
        problem: e.to_string(),
    })
}

fn render(papers: &[(Summary, PathBuf)]) -> Result<String, PageError> {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Singular learning theory, reproduced</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>Singular learning theory, reproduced</h1>\n"
    );
    out += "<nav aria-label=\"Contents\"><ol>\n";
    for (summary, _) in papers {
        let (id, name) = (anchor(summary), heading(summary));
        let _ = write!(
            out,
            "<li><a href=\"#{id}\">{name}</a> {}<ol>",
            counts(summary)
        );
        for (i, section) in summary.sections.iter().enumerate() {
            let _ = write!(
                out,
                "<li><a href=\"#{id}-{i}\">{}</a></li>",
                escape(&section.heading)
            );
        }
        out += "</ol></li>\n";
    }
    out += "</ol></nav></header>\n<main>\n";
    for (summary, folder) in papers {
        article(&mut out, summary, folder)?;
    }
    Ok(out + "</main>\n</body>\n</html>\n")
}

fn article(out: &mut String, summary: &Summary, folder: &Path) -> Result<(), PageError> {
    let id = anchor(summary);
    let _ = writeln!(out, "<article id=\"{id}\">\n<h2>{}</h2>", heading(summary));
    let _ = writeln!(out, "<p class=\"verdicts\">{}</p>", counts(summary));
    paragraphs(out, &summary.intro, "");
    for (i, section) in summary.sections.iter().enumerate() {
        let _ = writeln!(
            out,
            "<section id=\"{id}-{i}\">\n<h3>{}</h3>",
            escape(&section.heading)
        );
        paragraphs(out, &section.text, "");
        for figure in &section.figures {
            let svg = text_of(&folder.join("figures").join(format!("{}.svg", figure.name)))?;
            let _ = writeln!(
                out,
                "<figure><div class=\"sheet\" role=\"img\" aria-label=\"{}\">{}</div>\n<figcaption>{}</figcaption></figure>",
                escape(&figure.alt),
                svg.trim_end(),
                escape(&figure.caption)
            );
        }
        for table in &section.tables {
            let _ = writeln!(out, "<div class=\"scroll\">{}</div>", table.html());
        }
        paragraphs(out, &section.notes, " class=\"note\"");
        out.push_str("</section>\n");
    }
    let provenance = &summary.provenance;
    let dirty = match provenance.git_dirty {
        Some(true) => " with uncommitted changes",
        _ => "",
    };
    let _ = writeln!(
        out,
        "<footer>Profile {}; device {}; slt {}, commit <code>{:.12}</code>{dirty}; Cargo.lock <code>{:.12}</code>.</footer>\n</article>",
        escape(&summary.profile),
        escape(&summary.device),
        escape(&provenance.version),
        escape(&provenance.git_commit),
        escape(&provenance.cargo_lock_sha256),
    );
    Ok(())
}

fn paragraphs(out: &mut String, texts: &[String], attributes: &str) {
    for text in texts {
        let _ = writeln!(out, "<p{attributes}>{}</p>", escape(text));
    }
}

fn heading(summary: &Summary) -> String {
    format!(
        "{} <small>{} profile</small>",
        escape(&summary.title),
        escape(&summary.profile)
    )
}

fn anchor(summary: &Summary) -> String {
    escape(&format!("{}-{}", summary.paper, summary.profile))
}

/// How many rows have each verdict, as badges.
fn counts(summary: &Summary) -> String {
    let kinds = [
        Some(Verdict::Agrees),
        Some(Verdict::Differs),
        Some(Verdict::Underpowered),
        Some(Verdict::NotComparable),
        None,
    ];
    let mut badges = Vec::new();
    for kind in kinds {
        let count = summary
            .verdicts()
            .filter(|verdict| *verdict == kind)
            .count();
        if count > 0 {
            badges.push(badge(kind, &format!(" {count}")));
        }
    }
    badges.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Axis;
    use crate::figure::{Figure, Legend, Panel};
    use crate::layer::Layer;
    use crate::table::Row;

    fn row(verdict: Option<Verdict>) -> Row {
        Row {
            id: "a".into(),
            what: "slope <b>".into(),
            source: "Fig. 1".into(),
            unit: String::new(),
            paper: Some(1.0),
            paper_error: None,
            error_kind: String::new(),
            reference: None,
            value: Some(1.1),
            mcse: Some(0.05),
            z: None,
            verdict,
            note: String::new(),
        }
    }

    fn written(root: &Path) -> Store {
        let store = Store::open(root, "paper2026", "quick").unwrap();
        let figure = Figure {
            title: String::new(),
            columns: 1,
            size: (300, 200),
            panels: vec![Panel {
                title: "panel".into(),
                x: Axis::linear("x"),
                y: Axis::linear("y"),
                layers: vec![Layer::line([0.0, 1.0], [0.0, 1.0])],
                legend: Legend::Auto,
            }],
        };
        figure.write(&store.figures(), "fig1").unwrap();
        let mut summary = Summary::new(&store, "A <title> & more", "flex");
        summary.intro.push("<script>alert(1)</script>".into());
        summary.sections.push(Section {
            heading: "Slopes".into(),
            figures: vec![FigureRef {
                name: "fig1".into(),
                caption: "a caption".into(),
                alt: "a \"rising\" line".into(),
            }],
            tables: vec![Table {
                rows: vec![row(Some(Verdict::Differs)), row(None)],
            }],
            ..Section::default()
        });
        summary.write(&store).unwrap();
        store
    }

    #[test]
    fn the_page_is_one_escaped_file_with_figures_and_badges() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let html = fs::read_to_string(write_index(dir.path()).unwrap()).unwrap();
        assert!(html.contains("A &lt;title&gt; &amp; more") && !html.contains("<script"));
        assert!(html.contains("aria-label=\"a &quot;rising&quot; line\"><svg"));
        assert!(html.contains("slope &lt;b&gt;"));
        assert!(html.contains("<span class=\"badge differs\">differs 1</span> <span class=\"badge open\">open 1</span>"));
        assert!(
            html.contains("href=\"#paper2026-quick-0\"")
                && html.contains("id=\"paper2026-quick-0\"")
        );
        let outside = html.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !outside.contains("http"),
            "the page must not need a network"
        );
    }

    #[test]
    fn damaged_and_missing_parts_are_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            write_index(dir.path()),
            Err(PageError::Nothing { .. })
        ));
        let store = written(dir.path());
        fs::remove_file(store.figures().join("fig1.svg")).unwrap();
        let error = write_index(dir.path()).unwrap_err().to_string();
        assert!(error.contains("fig1.svg"), "{error}");
        fs::write(store.folder().join(FILE), "{").unwrap();
        let error = write_index(dir.path()).unwrap_err().to_string();
        assert!(error.contains("run that paper again"), "{error}");
        assert!(!dir.path().join("index.html").exists());
    }
}
