//! One experiment's result with everything needed to judge and to repeat it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::canonical;
use crate::provenance::{Provenance, hex};

/// Version of the record's layout; part of every key, so that old layouts are never read as new.
pub const SCHEMA: u32 = 1;

/// A stored result. Outside [`Record::volatile`] a rerun on the same machine class is byte-identical.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record<T> {
    /// Layout version, [`SCHEMA`].
    pub schema: u32,
    /// Paper, such as `cullen2026`.
    pub paper: String,
    /// Experiment, a name within the paper.
    pub experiment: String,
    /// Profile it was run under: `quick` or `paper`.
    pub profile: String,
    /// SHA-256 of schema, paper, experiment, device and config.
    pub key: String,
    /// Every setting of the experiment.
    pub config: Value,
    /// The code that computed it.
    pub provenance: Provenance,
    /// Device class, such as `flex-f32`.
    pub device: String,
    /// What was computed.
    pub result: T,
    /// SHA-256 of all of the above, so that a damaged file is never read as a whole one.
    pub sha256: String,
    /// What differs between two runs of the same thing.
    pub volatile: Volatile,
}

/// The part of a record that a rerun changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volatile {
    /// Start of the computation, seconds since 1970.
    pub started_unix: u64,
    /// Duration of the computation, seconds.
    pub wall_seconds: f64,
    /// Machine name.
    pub host: String,
}

/// SHA-256 that names a cell: it changes with any field of `config`.
pub(crate) fn key(paper: &str, experiment: &str, device: &str, config: &Value) -> String {
    let identity = serde_json::json!({
        "schema": SCHEMA,
        "paper": paper,
        "experiment": experiment,
        "device": device,
        "config": config,
    });
    sha256(&identity)
}

/// The text of `record`, with its checksum filled in.
pub(crate) fn encode(record: Record<Value>) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(record)?;
    let sum = checksum(&value);
    value["sha256"] = Value::from(sum);
    Ok(canonical::pretty(&value))
}

/// Says in a phrase what is wrong with the text of any record, if something is.
pub(crate) fn check(text: &str) -> Result<(), String> {
    sound(&parse(text)?)
}

fn parse(text: &str) -> Result<Value, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|e| format!("truncated or not JSON ({e})"))?;
    if value.get("schema").and_then(Value::as_u64) != Some(u64::from(SCHEMA)) {
        return Err(format!("not a record of schema {SCHEMA}"));
    }
    Ok(value)
}

fn sound(record: &Value) -> Result<(), String> {
    if field(record, "sha256") != checksum(record) {
        return Err("its content does not match its checksum".to_string());
    }
    Ok(())
}

fn field<'a>(record: &'a Value, name: &str) -> &'a str {
    record.get(name).and_then(Value::as_str).unwrap_or("none")
}

/// Reads the record of `key` back, or says what is wrong with the file in a phrase.
pub(crate) fn decode<T: DeserializeOwned>(text: &str, key: &str) -> Result<Record<T>, String> {
    let value = parse(text)?;
    let found = field(&value, "key");
    if found != key {
        return Err(format!(
            "it holds key {found:.16}, this experiment has key {key:.16}"
        ));
    }
    sound(&value)?;
    serde_json::from_value(value)
        .map_err(|e| format!("its result is not of the type this program expects ({e})"))
}

fn checksum(record: &Value) -> String {
    let mut stable = record.clone();
    if let Some(fields) = stable.as_object_mut() {
        fields.remove("sha256");
        fields.remove("volatile");
    }
    sha256(&stable)
}

fn sha256(value: &Value) -> String {
    hex(&Sha256::digest(canonical::compact(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn value_stability_of_a_key() {
        let key = key("p", "e", "cpu", &json!({"n": 1000, "step_size": 1e-4}));
        // printf '{"config":{"n":1000,"step_size":0.0001},"device":"cpu","experiment":"e","paper":"p","schema":1}' | sha256sum
        assert_eq!(key, KEY);
    }
    const KEY: &str = "6c29f3f065e9a2c6b5e24380d2e49aa34e7207a40bacfd72b33f9a384cf8af5f";

    #[test]
    fn a_key_changes_with_every_part() {
        let config = json!({"a": 1, "b": {"c": [1.0, 2.0]}});
        let base = key("p", "e", "cpu", &config);
        for other in [
            key("q", "e", "cpu", &config),
            key("p", "f", "cpu", &config),
            key("p", "e", "gpu", &config),
            key("p", "e", "cpu", &json!({"a": 2, "b": {"c": [1.0, 2.0]}})),
            key(
                "p",
                "e",
                "cpu",
                &json!({"a": 1, "b": {"c": [1.0, 2.0000000000000004]}}),
            ),
            key(
                "p",
                "e",
                "cpu",
                &json!({"a": 1, "b": {"c": [1.0, 2.0]}, "d": null}),
            ),
        ] {
            assert_ne!(base, other);
        }
        let reordered: Value = serde_json::from_str(r#"{"b": {"c": [1.0, 2.0]}, "a": 1}"#).unwrap();
        assert_eq!(base, key("p", "e", "cpu", &reordered));
    }
}
