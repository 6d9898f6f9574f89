//! JSON of which there is exactly one spelling: keys sorted, shortest exact numbers, no NaN.
//!
//! `serde_json` writes `null` for NaN and ±∞, and sorts keys or not by a feature that any crate of
//! a build may switch on. Neither will do for a key or a record, so numbers are checked first
//! (`finite.rs`) and keys are sorted here.

use serde::Serialize;
use serde_json::Value;

use crate::finite;

/// Why a value has no canonical JSON.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// JSON cannot say NaN or ±∞, and writing `null` would lose the event.
    #[error(
        "{what}: {place}; JSON has no such number: count the event in a field of its own, or make the field optional"
    )]
    NotFinite {
        /// Config or result.
        what: String,
        /// Path of the number and what it is.
        place: String,
    },
    /// The type has no JSON form, such as a map with structured keys.
    #[error("{what} has no JSON form: {source}")]
    Json {
        /// Config or result.
        what: String,
        /// What serde_json said.
        source: serde_json::Error,
    },
}

/// `value` as JSON, refused when it holds a number that JSON cannot say.
///
/// # Errors
/// [`CanonicalError::NotFinite`] with the path of the first such number;
/// [`CanonicalError::Json`] when the type has no JSON form.
pub(crate) fn to_value<T: Serialize + ?Sized>(
    what: &str,
    value: &T,
) -> Result<Value, CanonicalError> {
    finite::check(value).map_err(|place| CanonicalError::NotFinite {
        what: what.to_string(),
        place,
    })?;
    serde_json::to_value(value).map_err(|source| CanonicalError::Json {
        what: what.to_string(),
        source,
    })
}

/// One line with sorted keys: what a hash is taken of.
pub(crate) fn compact(value: &Value) -> String {
    let mut out = String::new();
    write(value, None, &mut out);
    out
}

/// Indented, with sorted keys and arrays of plain values on one line: what a file holds.
pub(crate) fn pretty(value: &Value) -> String {
    let mut out = String::new();
    write(value, Some(0), &mut out);
    out.push('\n');
    out
}

fn write(value: &Value, indent: Option<usize>, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            let indent = indent.filter(|_| !entries.is_empty());
            bracket(
                ('{', '}'),
                entries,
                indent,
                out,
                |(key, value), indent, out| {
                    out.push_str(&Value::from(key.as_str()).to_string());
                    out.push_str(if indent.is_some() { ": " } else { ":" });
                    write(value, indent, out);
                },
            );
        }
        Value::Array(items) => {
            let indent =
                indent.filter(|_| items.iter().any(|item| item.is_object() || item.is_array()));
            bracket(('[', ']'), items, indent, out, write);
        }
        plain => out.push_str(&plain.to_string()),
    }
}

fn bracket<I: IntoIterator>(
    (open, close): (char, char),
    items: I,
    indent: Option<usize>,
    out: &mut String,
    mut item: impl FnMut(I::Item, Option<usize>, &mut String),
) {
    let new_line = |depth: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth));
    };
    out.push(open);
    for (i, x) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if let Some(depth) = indent {
            new_line(depth + 1, out);
        }
        item(x, indent.map(|depth| depth + 1), out);
    }
    if let Some(depth) = indent {
        new_line(depth, out);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_and_numbers_stay_on_one_line() {
        let value = json!({"b": [1, 2.5], "a": {"z": null, "y": "q\"uote"}, "c": [[1], [2]]});
        assert_eq!(
            compact(&value),
            r#"{"a":{"y":"q\"uote","z":null},"b":[1,2.5],"c":[[1],[2]]}"#
        );
        assert_eq!(
            pretty(&value),
            "{\n \"a\": {\n  \"y\": \"q\\\"uote\",\n  \"z\": null\n },\n \"b\": [1,2.5],\n \"c\": [\n  [1],\n  [2]\n ]\n}\n"
        );
    }

    #[test]
    fn nan_is_refused_with_its_path() {
        let error = to_value("result", &json!(0.0)).map(|_| ()).is_err();
        assert!(!error);
        let error = to_value("result", &vec![("a", Some(1.0)), ("b", Some(f64::NAN))]).unwrap_err();
        assert!(
            error.to_string().starts_with("result: [1][1] is NaN;"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn floats_come_back_bit_for_bit(x in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
            let text = pretty(&to_value("result", &x).unwrap());
            let back: f64 = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(back.to_bits(), x.to_bits());
        }
    }
}
