//! Worked values of the literature and of our derivations, through the real binary.

use serde_json::{Value, json};

use crate::binary::{batch, json_lines, slt};

/// One line each: a question, and λ, m, kind and scope of its answer.
const WORKED_VALUES: &str = include_str!("worked_values.jsonl");

#[test]
fn worked_values() {
    let lines: Vec<Value> = WORKED_VALUES
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let questions: String = lines
        .iter()
        .map(|line| format!("{}\n", line["question"]))
        .collect();
    let output = batch("rlct", questions.as_bytes());
    let answers = json_lines(&output);
    assert_eq!(answers.len(), lines.len());
    let mut wrong = Vec::new();
    for (expected, answer) in lines.iter().zip(&answers) {
        let parts = ["lambda", "multiplicity", "kind", "scope"];
        if parts.iter().any(|part| answer[part] != expected[part]) {
            wrong.push(json!([expected, answer]).to_string());
        }
    }
    assert!(
        wrong.is_empty(),
        "expected and answered:\n{}",
        wrong.join("\n")
    );
    assert!(output.status.success());
}

/// Every family has a worked value.
#[test]
fn no_family_is_left_out() {
    for entry in json_lines(&slt(&["rlct", "list", "--json"])) {
        let family = format!("\"family\": {}", entry["family"]);
        assert!(WORKED_VALUES.contains(&family), "{family}");
    }
}
