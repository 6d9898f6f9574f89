//! JSON lines in, JSON lines out.

use std::io::{self, BufRead, Read, Write};

use serde_json::json;

use crate::arguments::{Object, shown};
use crate::entry::{Answer, Topic};

/// The bytes of the longest line that is read.
const MAX_LINE: usize = 1 << 20;

/// Answers every line of `input` on one line of `output`, in order; returns whether all had an answer.
///
/// # Errors
/// Those of reading and writing.
pub fn run(topic: &Topic, mut input: impl BufRead, mut output: impl Write) -> io::Result<bool> {
    let mut all_good = true;
    let mut line = Vec::new();
    while next_line(&mut input, &mut line)? {
        let answer = answer(topic, &line);
        all_good &= answer.is_ok();
        writeln!(output, "{}", json_line(&answer))?;
        output.flush()?;
    }
    Ok(all_good)
}

/// The answer to a question as one line of JSON: its parts, or `{"error": …}`.
pub fn json_line(answer: &anyhow::Result<Answer>) -> String {
    match answer {
        Ok(answer) => json_text(answer),
        Err(error) => json_text(&json!({ "error": format!("{error:#}") })),
    }
}

/// A value without floats in its keys, as JSON.
pub fn json_text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("keys are strings")
}

fn answer(topic: &Topic, line: &[u8]) -> anyhow::Result<Answer> {
    if line.len() > MAX_LINE {
        anyhow::bail!("a line is at most {MAX_LINE} bytes long");
    }
    let text = std::str::from_utf8(line).map_err(|e| anyhow::anyhow!("not UTF-8: {e}"))?;
    if text.trim().is_empty() {
        anyhow::bail!("the line is empty; expected a JSON object");
    }
    let mut question: Object = serde_json::from_str(text)
        .map_err(|e| anyhow::anyhow!("not a JSON object as expected: {e}"))?;
    let key = topic.key;
    let name = question.0.remove(key).ok_or_else(|| {
        anyhow::anyhow!(
            "\"{key}\" is missing; it must be one of the names of `slt {} list`",
            topic.name
        )
    })?;
    let name = name.as_str().ok_or_else(|| {
        anyhow::anyhow!("\"{key}\" must be a name in quotes; got {}", shown(&name))
    })?;
    topic.find(name)?.answer(&question)
}

/// Reads a line without its end into `line`; of one that is too long, more than [`MAX_LINE`] bytes. False at the end.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let limit = MAX_LINE as u64 + 1;
    input.by_ref().take(limit).read_until(b'\n', line)?;
    if line.is_empty() {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > MAX_LINE {
        input.skip_until(b'\n')?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TOPICS;
    use crate::entry::{Entry, Kind};
    use proptest::prelude::*;
    use serde_json::Value;

    /// Any JSON value, deep and long ones and the edges of the number types among them.
    fn any_value() -> impl Strategy<Value = Value> {
        let edge = prop_oneof![
            Just(json!(null)),
            Just(json!(-1)),
            Just(json!(0)),
            Just(json!(1)),
            Just(json!(1.5)),
            Just(json!(u32::MAX)),
            Just(json!(u64::MAX)),
            Just(json!(i64::MIN)),
            Just(json!(1e308)),
            Just(json!("1/0")),
            Just(json!("9223372036854775807/2")),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        edge.prop_recursive(3, 20, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{0,3}", inner, 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    fn count() -> impl Strategy<Value = u32> {
        let large = prop::sample::select(&[1 << 16, 1_000_000, u32::MAX][..]);
        prop_oneof![20 => 0_u32..9, 2 => 0_u32..200, 1 => large]
    }

    fn fraction() -> impl Strategy<Value = Value> {
        let large = prop_oneof![Just(i64::MAX), Just(-i64::MAX), Just(1)];
        prop_oneof![
            8 => (-3_i64..9, 1_i64..5).prop_map(|(p, q)| json!(format!("{p}/{q}"))),
            1 => (large, 1_i64..i64::MAX).prop_map(|(p, q)| json!(format!("{p}/{q}"))),
        ]
    }

    fn real() -> impl Strategy<Value = Value> {
        prop_oneof![8 => (-1.0..100.0).prop_map(Value::from), 1 => any::<f64>().prop_map(Value::from)]
    }

    /// A value of this kind, mostly small: a chance to get past the parser.
    fn value_of(kind: &Kind) -> BoxedStrategy<Value> {
        let list = |item: BoxedStrategy<Value>| {
            prop::collection::vec(item, 0..5)
                .prop_map(Value::from)
                .boxed()
        };
        let whole = || count().prop_map(Value::from).boxed();
        match kind {
            Kind::Whole(_) => whole(),
            Kind::WholeOr(_, word) => prop_oneof![Just(json!(word)), whole()].boxed(),
            Kind::Wholes(_) => list(whole()),
            Kind::Rows(_) => (1_usize..4)
                .prop_flat_map(|n| prop::collection::vec(prop::collection::vec(0_u32..7, n), 1..5))
                .prop_map(|rows| json!(rows))
                .boxed(),
            Kind::Rational => fraction().boxed(),
            Kind::Rationals => list(fraction().boxed()),
            Kind::RationalRows => (0_usize..4)
                .prop_flat_map(|n| {
                    (1..=n)
                        .map(|k| prop::collection::vec(fraction(), k))
                        .collect::<Vec<_>>()
                })
                .prop_map(|rows| json!(rows))
                .boxed(),
            Kind::Real => real().boxed(),
            Kind::Reals => list(real().boxed()),
            Kind::RealRows => list(list(real().boxed())),
            Kind::Flag => any::<bool>().prop_map(Value::from).boxed(),
            Kind::Choice(words) => prop::sample::select(*words).prop_map(Value::from).boxed(),
            Kind::Edges => prop::collection::vec(("[a-e]", "[a-h]"), 0..7)
                .prop_map(|edges| json!(edges))
                .boxed(),
        }
    }

    /// A question to this entry, in which every parameter can be missing or of another kind.
    fn question(topic: &'static Topic, entry: &'static Entry) -> BoxedStrategy<String> {
        let members: Vec<_> = entry
            .parameters
            .iter()
            .map(|parameter| {
                prop_oneof![
                    60 => value_of(&parameter.kind).prop_map(Some),
                    1 => any_value().prop_map(Some),
                    1 => Just(None),
                ]
                .prop_map(|value| (parameter.name, value))
            })
            .collect();
        members
            .prop_map(move |members| {
                let given = members
                    .into_iter()
                    .filter_map(|(name, value)| Some((name.to_owned(), value?)));
                let name = (topic.key.to_owned(), Value::from(entry.name));
                Value::Object(given.chain([name]).collect()).to_string()
            })
            .boxed()
    }

    /// The index of a topic and a question to it.
    fn any_question() -> impl Strategy<Value = (usize, String)> {
        let of_topic = |(i, topic): (usize, &&'static Topic)| {
            let topic = *topic;
            topic
                .entries()
                .map(move |entry| (i, topic, entry))
                .collect::<Vec<_>>()
        };
        let all: Vec<_> = TOPICS.iter().enumerate().flat_map(of_topic).collect();
        (0..all.len()).prop_flat_map(move |at| {
            let (i, topic, entry) = all[at];
            question(topic, entry).prop_map(move |line| (i, line))
        })
    }

    /// One line of JSON: an error that says something, or the parts that every answer has.
    fn check(topic: &Topic, line: &[u8]) -> Result<(), TestCaseError> {
        let answer = answer(topic, line);
        let text = json_line(&answer);
        prop_assert!(!text.contains('\n'));
        let value: Value = serde_json::from_str(&text).expect("JSON");
        match (answer, &value["error"]) {
            (Err(_), Value::String(error)) => prop_assert!(!error.is_empty()),
            (Ok(_), Value::Null) => {
                prop_assert!(value["source"].is_string());
                if topic.name == "rlct" {
                    let unknown = value["kind"] == "unknown";
                    prop_assert_eq!(value["lambda"].is_null(), unknown, "{}", text);
                    prop_assert!(value["scope"] == "global" || value["scope"] == "local");
                }
            }
            _ => prop_assert!(false, "{}", text),
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn every_question_gets_an_answer_or_an_error((topic, line) in any_question()) {
            check(TOPICS[topic], line.as_bytes())?;
        }

        #[test]
        fn a_broken_question_gets_an_error_or_an_answer(
            (topic, line) in any_question(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
        ) {
            let mut line = line.into_bytes();
            let at = at.index(line.len());
            if cut {
                line.truncate(at);
            } else {
                line[at] = byte;
            }
            check(TOPICS[topic], &line)?;
        }

        #[test]
        fn any_bytes_get_an_answer(line in prop::collection::vec(any::<u8>(), 0..200)) {
            for topic in TOPICS {
                check(topic, &line)?;
            }
        }
    }
}
