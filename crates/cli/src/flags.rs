//! From flags to the JSON object that a batch line would be.

use clap::ArgMatches;
use serde_json::Value;

use crate::arguments::Object;
use crate::entry::{Entry, Kind};

/// The question that the flags of `entry` ask.
pub fn object(entry: &Entry, matches: &ArgMatches) -> Object {
    let members = entry.parameters.iter().filter_map(|parameter| {
        let text = matches.get_one::<String>(parameter.name)?;
        Some((parameter.name.to_owned(), value(&parameter.kind, text)))
    });
    Object(members.collect())
}

/// The flag that stands for a member of a JSON question, for a shell.
pub fn flag(kind: &Kind, name: &str, value: &Value) -> String {
    let simple = |items: &[Value]| !items.is_empty() && !items.iter().any(Value::is_array);
    let text = match (kind, value) {
        (Kind::Edges, Value::Array(edges)) => {
            edges.iter().map(edge_text).collect::<Vec<_>>().join(",")
        }
        (_, Value::Array(items)) if simple(items) => {
            items.iter().map(scalar_text).collect::<Vec<_>>().join(",")
        }
        (_, value) => scalar_text(value),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.,/".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        format!("--{name} {text}")
    } else {
        format!("--{name} '{text}'")
    }
}

fn scalar_text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn edge_text(edge: &Value) -> String {
    let ends = edge.as_array().map_or(&[][..], Vec::as_slice);
    ends.iter().map(scalar_text).collect::<Vec<_>>().join("-")
}

/// The value that the text of a flag means: JSON where it is JSON, a list where the parameter is one, a string otherwise.
fn value(kind: &Kind, text: &str) -> Value {
    let is_list = matches!(
        kind,
        Kind::Wholes(_) | Kind::Rationals | Kind::Reals | Kind::Edges
    );
    if !is_list || text.starts_with('[') {
        return scalar(text);
    }
    let items = text.split(',').filter(|_| !text.is_empty());
    match kind {
        Kind::Edges => items.map(edge).collect(),
        _ => items.map(scalar).collect(),
    }
}

fn scalar(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// `a-h` as the pair of `a` and `h`.
fn edge(text: &str) -> Value {
    text.split('-').map(Value::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_and_values() {
        let any = 0..=u32::MAX;
        for (kind, text, expected) in [
            (Kind::Whole(any.clone()), "3", json!(3)),
            (Kind::Whole(any.clone()), "-3", json!(-3)),
            (Kind::Whole(any.clone()), "three", json!("three")),
            (Kind::WholeOr(any.clone(), "all"), "all", json!("all")),
            (Kind::Rational, "1/2", json!("1/2")),
            (Kind::Rational, "0.5", json!(0.5)),
            (Kind::Rational, "1e400", json!("1e400")),
            (Kind::Flag, "true", json!(true)),
            (Kind::Choice(&["mse"]), "mse", json!("mse")),
            (Kind::Wholes(any.clone()), "1,2", json!([1, 2])),
            (Kind::Wholes(any.clone()), "7", json!([7])),
            (Kind::Wholes(any.clone()), "", json!([])),
            (Kind::Rationals, "1/2,3", json!(["1/2", 3])),
            (Kind::Rows(any), "[[1,2],[0,3]]", json!([[1, 2], [0, 3]])),
            (Kind::Edges, "a-h,b-h", json!([["a", "h"], ["b", "h"]])),
            (Kind::Edges, "", json!([])),
        ] {
            assert_eq!(value(&kind, text), expected, "{text}");
            let shell = flag(&kind, "x", &expected);
            let back = shell
                .strip_prefix("--x ")
                .expect("the name")
                .trim_matches('\'');
            assert_eq!(value(&kind, back), expected, "{shell}");
        }
        assert_eq!(value(&Kind::Wholes(0..=9), "[1,2]"), json!([1, 2]));
    }
}
