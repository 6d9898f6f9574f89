//! From a JSON object to the checked arguments of an entry.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use anyhow::{anyhow, bail};
use num_rational::Rational64;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use crate::entry::{Entry, Kind};
use crate::number::rational;

/// The members of a JSON object, each given once.
#[derive(Debug, Default)]
pub struct Object(pub BTreeMap<String, Value>);

/// The checked arguments of one entry.
pub struct Arguments(BTreeMap<&'static str, Argument>);

/// The decimal digits that every `f64` keeps.
const MAX_DIGITS: usize = 15;
/// The characters of a value that an error shows.
const MAX_SHOWN: usize = 60;

/// A value of some [`Kind`].
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    Whole(u32),
    Wholes(Vec<u32>),
    Rows(Vec<Vec<u32>>),
    Rational(Rational64),
    Rationals(Vec<Rational64>),
    RationalRows(Vec<Vec<Rational64>>),
    Real(f64),
    Reals(Vec<f64>),
    RealRows(Vec<Vec<f64>>),
    Flag(bool),
    Word(&'static str),
    Edges(Vec<(String, String)>),
}

impl Arguments {
    /// The arguments of `entry` that `question` gives.
    ///
    /// # Errors
    /// Names the member that is unknown, missing or not of its kind, and what was expected.
    pub fn new(entry: &Entry, question: &Object) -> anyhow::Result<Self> {
        let known = |name: &str| entry.parameters.iter().any(|p| p.name == name);
        if let Some(name) = question.0.keys().find(|name| !known(name)) {
            let names: Vec<_> = entry.parameters.iter().map(|p| p.name).collect();
            bail!(
                "{} is no parameter of {}, which takes: {}",
                shown(&Value::from(name.as_str())),
                entry.name,
                names.join(", ")
            );
        }
        let mut arguments = BTreeMap::new();
        for parameter in entry.parameters {
            let (name, kind) = (parameter.name, &parameter.kind);
            match question.0.get(name) {
                Some(value) if is_word(kind, value) => {}
                Some(value) => {
                    let argument = read(kind, value).ok_or_else(|| {
                        anyhow!("\"{name}\" must be {kind}; got {}", shown(value))
                    })?;
                    arguments.insert(name, argument);
                }
                None if parameter.default.is_some() => {}
                None => bail!("\"{name}\" is missing; it must be {kind}"),
            }
        }
        Ok(Self(arguments))
    }

    /// The value of a parameter that has no default.
    ///
    /// # Panics
    /// If the table declares the parameter with a default, with a kind that is no `T`, or not at all.
    pub fn get<T: TryFrom<Argument>>(&self, name: &str) -> T {
        self.find(name)
            .unwrap_or_else(|| panic!("the table declares {name} without a default"))
    }

    /// The value of a parameter, `None` where it was left out or is the word of [`Kind::WholeOr`].
    ///
    /// # Panics
    /// If the table declares the parameter with a kind that is no `T`.
    pub fn find<T: TryFrom<Argument>>(&self, name: &str) -> Option<T> {
        let argument = self.0.get(name)?.clone();
        let value = T::try_from(argument);
        Some(value.unwrap_or_else(|_| panic!("the table declares {name} with a kind of this type")))
    }
}

/// The word that stands for a missing number.
fn is_word(kind: &Kind, value: &Value) -> bool {
    matches!(kind, Kind::WholeOr(_, word) if value.as_str() == Some(word))
}

fn read(kind: &Kind, value: &Value) -> Option<Argument> {
    Some(match kind {
        Kind::Whole(range) | Kind::WholeOr(range, _) => Argument::Whole(whole(range, value)?),
        Kind::Wholes(range) => Argument::Wholes(list(value, |item| whole(range, item))?),
        Kind::Rows(range) => {
            Argument::Rows(list(value, |row| list(row, |item| whole(range, item)))?)
        }
        Kind::Rational => Argument::Rational(fraction(value)?),
        Kind::Rationals => Argument::Rationals(list(value, fraction)?),
        Kind::RationalRows => Argument::RationalRows(list(value, |row| list(row, fraction))?),
        Kind::Real => Argument::Real(real(value)?),
        Kind::Reals => Argument::Reals(list(value, real)?),
        Kind::RealRows => Argument::RealRows(list(value, |row| list(row, real))?),
        Kind::Flag => Argument::Flag(value.as_bool()?),
        Kind::Choice(words) => {
            let text = value.as_str()?;
            Argument::Word(words.iter().find(|word| **word == text)?)
        }
        Kind::Edges => Argument::Edges(list(value, |edge| match edge.as_array()?.as_slice() {
            [one, other] => Some((node(one)?, node(other)?)),
            _ => None,
        })?),
    })
}

fn list<T>(value: &Value, item: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(item).collect()
}

/// A JSON number or a string of digits.
fn whole(range: &RangeInclusive<u32>, value: &Value) -> Option<u32> {
    let number = match value {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
        _ => return None,
    };
    u32::try_from(number).ok().filter(|n| range.contains(n))
}

/// A JSON number or a string. A number with a point is read by its decimal digits, so that 0.1 is 1/10; with more
/// digits than a float keeps it is refused.
fn fraction(value: &Value) -> Option<Rational64> {
    match value {
        Value::Number(number) if number.is_f64() => {
            let text = number.as_f64()?.to_string();
            let n_digits = text.bytes().filter(u8::is_ascii_digit).count();
            rational(&text).filter(|_| n_digits <= MAX_DIGITS)
        }
        Value::Number(number) => rational(&number.to_string()),
        Value::String(text) => rational(text),
        _ => None,
    }
}

fn real(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

fn node(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => number.as_u64().map(|n| n.to_string()),
        _ => None,
    }
}

/// A value as an error shows it.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

macro_rules! argument_is {
    ($($variant:ident => $type:ty),* $(,)?) => {
        $(impl TryFrom<Argument> for $type {
            type Error = Argument;

            fn try_from(argument: Argument) -> Result<Self, Argument> {
                match argument {
                    Argument::$variant(value) => Ok(value.into()),
                    other => Err(other),
                }
            }
        })*
    };
}

argument_is! {
    Whole => u32,
    Whole => u64,
    Wholes => Vec<u32>,
    Rows => Vec<Vec<u32>>,
    Rational => Rational64,
    Rationals => Vec<Rational64>,
    RationalRows => Vec<Vec<Rational64>>,
    Real => f64,
    Reals => Vec<f64>,
    RealRows => Vec<Vec<f64>>,
    Flag => bool,
    Word => &'static str,
    Edges => Vec<(String, String)>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    let named = shown(&Value::from(name.as_str()));
                    let value = map
                        .next_value()
                        .map_err(|e| A::Error::custom(format_args!("{named}: {e}")))?;
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom(format_args!("{named} is given twice")));
                    }
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reads(kind: &Kind, value: &Value) -> bool {
        read(kind, value).is_some()
    }

    #[test]
    fn whole_numbers() {
        let kind = Kind::Whole(1..=9);
        for value in [json!(1), json!(9), json!("1"), json!("9")] {
            assert!(reads(&kind, &value), "{value}");
        }
        for value in [
            json!(0),
            json!(10),
            json!(-1),
            json!(1.0),
            json!(1.5),
            json!(u64::MAX),
            json!(1e300),
            json!(""),
            json!("0"),
            json!("10"),
            json!("-1"),
            json!("+1"),
            json!(" 1"),
            json!("1.0"),
            json!("one"),
            json!("18446744073709551617"),
            json!(true),
            json!(null),
            json!([1]),
            json!({"a": 1}),
        ] {
            assert!(!reads(&kind, &value), "{value}");
        }
        assert_eq!(
            read(&Kind::Whole(0..=u32::MAX), &json!(4_294_967_295_u64)),
            Some(Argument::Whole(u32::MAX))
        );
        assert!(!reads(
            &Kind::Whole(0..=u32::MAX),
            &json!(4_294_967_296_u64)
        ));
    }

    #[test]
    fn fractions() {
        for value in [
            json!(2),
            json!(0.5),
            json!("1/2"),
            json!("0.5"),
            json!(-3),
            json!(0.1),
            json!(1.0),
        ] {
            assert!(reads(&Kind::Rational, &value), "{value}");
        }
        assert_eq!(
            read(&Kind::Rational, &json!(0.1)),
            Some(Argument::Rational(Rational64::new(1, 10)))
        );
        for value in [
            json!("half"),
            json!("1/0"),
            json!(1e300),
            json!(0.123_456_789_012_345_67),
            json!(u64::MAX),
            json!(null),
            json!([1]),
        ] {
            assert!(!reads(&Kind::Rational, &value), "{value}");
        }
    }

    #[test]
    fn other_kinds() {
        for (kind, good, bad) in [
            (Kind::Real, json!("1e3"), json!("nan")),
            (Kind::Real, json!(-1), json!("1e400")),
            (Kind::Reals, json!([1, 0.5]), json!([1, "inf"])),
            (Kind::RealRows, json!([[1], []]), json!([1])),
            (Kind::RationalRows, json!([[], ["1/2", 3]]), json!(["1/2"])),
            (Kind::Rationals, json!(["1/2", 3]), json!("1/2")),
            (Kind::Wholes(0..=5), json!([]), json!([6])),
            (Kind::Rows(0..=5), json!([[0, 5], []]), json!([0, 5])),
            (Kind::Flag, json!(true), json!("true")),
            (Kind::Choice(&["a", "b"]), json!("b"), json!("c")),
            (Kind::WholeOr(1..=5, "all"), json!(3), json!("some")),
            (
                Kind::Edges,
                json!([["a", 1], ["b", "h"]]),
                json!([["a", "b", "c"]]),
            ),
            (Kind::Edges, json!([]), json!([["a", null]])),
        ] {
            assert!(reads(&kind, &good), "{good}");
            assert!(!reads(&kind, &bad), "{bad}");
        }
        assert!(is_word(&Kind::WholeOr(1..=5, "all"), &json!("all")));
    }

    #[test]
    fn an_error_shows_the_beginning_of_a_long_value() {
        let long = shown(&json!("é".repeat(1000)));
        assert_eq!(long.chars().count(), MAX_SHOWN + 1);
        assert!(long.ends_with('…'));
    }
}
