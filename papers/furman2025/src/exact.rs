//! Rows of the table whose right value is known.

use slt_report::{Obtained, Verdict};

/// `value ± mcse` against an exact value, and where that is from.
pub fn row(id: String, value: f64, mcse: f64, exact: f64, from: &str, note: String) -> Obtained {
    Obtained {
        id,
        value,
        mcse: Some(mcse),
        reference: Some((exact, from.into())),
        verdict: Verdict::of_exact(value, mcse, exact),
        note,
    }
}

/// A claim that holds or not; `value` is what shows it.
pub fn claim(id: &str, value: f64, holds: bool, note: String) -> Obtained {
    Obtained {
        id: id.into(),
        value,
        mcse: None,
        reference: None,
        verdict: Verdict::of_claim(holds),
        note,
    }
}

/// A row of something that the settings leave out.
pub fn missing(id: String) -> Obtained {
    Obtained {
        id,
        value: f64::NAN,
        mcse: None,
        reference: None,
        verdict: Verdict::NotComparable,
        note: "not run in this profile".into(),
    }
}
