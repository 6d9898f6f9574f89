//! Records, tables of expected against obtained, figures and the HTML report.
//!
//! Charter: everything that a run leaves behind, apart from checkpoints, is written here, whole or not at
//! all: one JSON record per experiment under a key of its config ([`Store::cell`]), the table of a paper's
//! numbers beside ours ([`Table::join`]), figures as SVG and PNG ([`Figure`]), one HTML page over
//! all papers ([`write_index`]), and the progress on stderr meanwhile ([`Progress`]).
//!
//! Absences: no sampling, no statistics beyond the z of a table row, no knowledge of any model or
//! paper. A figure does not know where its numbers come from; redrawing figures from records
//! alone is the business of a paper's binary, for which a store can be opened read-only.
//!
//! The embedded font is DejaVu Sans; its licence lies beside it in `assets`.

pub mod atomic;
pub mod axis;
mod canonical;
mod canvas;
pub mod cli;
mod clip;
pub mod colour;
pub mod expected;
pub mod figure;
mod finite;
mod font;
pub mod html;
pub mod layer;
pub mod number;
pub mod page;
pub mod paper;
mod pictures;
mod plot;
pub mod progress;
pub mod provenance;
pub mod readme;
pub mod record;
pub mod store;
mod svg;
pub mod table;
mod together;
pub mod verdict;

pub use atomic::{WriteError, write_atomic};
pub use axis::Axis;
pub use canonical::CanonicalError;
pub use cli::{Args, SettingsError};
pub use colour::Colour;
pub use expected::{Expected, ExpectedError};
pub use figure::{Figure, FigureError, Legend, Panel};
pub use layer::{Heat, Layer, Marker};
pub use page::{FigureRef, PageError, Section, Summary, write_index};
pub use paper::{Findings, Paper};
pub use pictures::{PicturesError, copy_pictures};
pub use progress::Progress;
pub use provenance::Provenance;
pub use readme::{ReadmeError, replace_block};
pub use record::Record;
pub use store::{Store, StoreError};
pub use table::{Obtained, Row, Table, TableError};
pub use together::together;
pub use verdict::Verdict;
