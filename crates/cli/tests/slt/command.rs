//! What the command prints, where, and its exit status.

use std::io::{BufRead, BufReader, Read, Write};

use crate::binary::{batch, json_lines, piped, shell, slt, stderr, stdout};

const TOPICS: [&str; 3] = ["rlct", "free-energy", "expect"];

#[test]
fn every_example_has_an_answer() {
    for topic in TOPICS {
        let listed = slt(&[topic, "list", "--json"]);
        assert!(listed.status.success());
        let entries = json_lines(&listed);
        assert!(!entries.is_empty());
        let text = slt(&[topic, "list"]);
        let text = stdout(&text);
        for entry in &entries {
            let example = entry["example"].as_str().unwrap();
            let command = entry["command"].as_str().unwrap();
            let from_line = batch(topic, example.as_bytes());
            assert!(
                from_line.status.success(),
                "{example}: {}",
                stdout(&from_line)
            );
            let from_flags = shell(&format!("{command} --json"));
            assert_eq!(stdout(&from_line), stdout(&from_flags), "{command}");

            let shown = shell(command);
            assert!(shown.status.success() && shown.stderr.is_empty());
            let fields = ["formula", "conditions", "source"].map(|name| &entry[name]);
            for field in fields {
                assert!(
                    stdout(&shown).contains(field.as_str().unwrap()),
                    "{command}"
                );
            }

            let name = command.split(' ').nth(2).unwrap();
            let help = slt(&[topic, name, "--help"]);
            assert!(help.status.success());
            for parameter in entry["parameters"].as_array().unwrap() {
                let flag = format!("--{}", parameter["name"].as_str().unwrap());
                assert!(stdout(&help).contains(&flag), "{name} {flag}");
                assert!(text.contains(&flag), "{name} {flag}");
            }
            assert!(stdout(&help).contains(command));
            assert!(text.contains(command), "{command}");
        }
    }
}

#[test]
fn one_answer_as_text_and_as_json() {
    let question = [
        "rlct",
        "reduced_rank_regression",
        "--inputs",
        "5",
        "--outputs",
        "5",
        "--hidden",
        "3",
        "--rank",
        "0",
    ];
    let text = slt(&question);
    let text = stdout(&text);
    for line in [
        "lambda          13/2\n",
        "multiplicity    2\n",
        "kind            exact\n",
        "scope           global\n",
        "\nsource          Aoyagi & Watanabe (2005), ",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    let json = slt(&[&question[..], &["--json"]].concat());
    assert!(json.status.success());
    assert!(
        stdout(&json).starts_with(
            r#"{"lambda":"13/2","multiplicity":2,"kind":"exact","scope":"global","source":"Aoyagi"#
        ),
        "{}",
        stdout(&json)
    );
}

#[test]
fn flags_have_two_spellings() {
    let question = |flag| {
        let output = slt(&[
            "rlct",
            "normal_crossing",
            "--exponents",
            "1,2",
            flag,
            "[0,3]",
            "--json",
        ]);
        assert!(output.status.success());
        stdout(&output).to_owned()
    };
    assert_eq!(question("--prior_exponents"), question("--prior-exponents"));
}

#[test]
fn a_refused_question_says_why() {
    for (arguments, complaint) in [
        (
            &["regular"][..],
            "\"parameters\" is missing; it must be a whole number of at least 1",
        ),
        (
            &["regular", "--parameters", "-3"],
            "\"parameters\" must be a whole number of at least 1; got -3",
        ),
        (&["regular", "--parameters", "1e400"], "got \"1e400\""),
        (&["regular", "--parameters", ""], "got \"\""),
        (
            &[
                "reduced_rank_regression",
                "--inputs=1",
                "--outputs=1",
                "--hidden=1",
                "--rank=2",
            ],
            "rank <= inputs is needed, got rank = 2 and inputs = 1",
        ),
    ] {
        let arguments = [&["rlct"], arguments].concat();
        let output = slt(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(stderr(&output).contains(complaint), "{}", stderr(&output));
        let output = slt(&[&arguments[..], &["--json"]].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let error = json_lines(&output)[0]["error"].clone();
        assert!(error.as_str().unwrap().contains(complaint), "{error}");
    }
}

#[test]
fn a_wrong_command_line_is_explained() {
    for (arguments, complaint) in [
        (&["rlct", "regulr"][..], "regular"),
        (&["rlct", "regular", "--parameter", "3"], "--parameters"),
        (
            &["rlct", "regular", "--parameters", "3", "--parameters", "3"],
            "cannot be used multiple times",
        ),
        (&["rlct", "--batch", "regular"], "regular"),
        (&["rlct"], "Usage"),
        (&["rltc"], "rlct"),
        (&[], "Usage"),
    ] {
        let output = slt(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(
            stderr(&output).contains(complaint),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_bad_line_never_stops_the_rest() {
    let long = format!(
        r#"{{"family": "regular", "parameters": {}}}"#,
        "1".repeat(3 << 20)
    );
    let deep = format!(
        r#"{{"family": "regular", "parameters": {}}}"#,
        "[".repeat(100_000)
    );
    let cases: [(&[u8], &str); 25] = [
        (b"", "the line is empty"),
        (b" \t ", "the line is empty"),
        (b"regular", "not a JSON object as expected"),
        (b"[1]", "expected a JSON object"),
        (b"null", "expected a JSON object"),
        (b"{}", r#""family" is missing"#),
        (br#"{"family": "regular", "parameters": 1"#, "EOF"),
        (
            br#"{"family": "regular", "parameters": 1} 2"#,
            "trailing characters",
        ),
        (
            br#"{"family": 3}"#,
            r#""family" must be a name in quotes; got 3"#,
        ),
        (
            br#"{"family": "regulr"}"#,
            r#"family "regulr" is not known; expected one of: regular, "#,
        ),
        (
            br#"{"family": "regular"}"#,
            r#""parameters" is missing; it must be a whole number"#,
        ),
        (
            br#"{"family": "regular", "parameters": 0}"#,
            "a whole number of at least 1; got 0",
        ),
        (br#"{"family": "regular", "parameters": -1}"#, "got -1"),
        (br#"{"family": "regular", "parameters": 2.5}"#, "got 2.5"),
        (
            br#"{"family": "regular", "parameters": "two"}"#,
            r#"got "two""#,
        ),
        (br#"{"family": "regular", "parameters": null}"#, "got null"),
        (br#"{"family": "regular", "parameters": [1]}"#, "got [1]"),
        (
            br#"{"family": "regular", "parameters": 1e400}"#,
            r#""parameters": number out of range"#,
        ),
        (
            br#"{"family": "regular", "parameters": NaN}"#,
            r#""parameters": expected"#,
        ),
        (
            br#"{"family": "regular", "parameters": 99999999999999999999}"#,
            "got 1e+20",
        ),
        (
            br#"{"family": "regular", "parameters": 1, "parameters": 2}"#,
            r#""parameters" is given twice"#,
        ),
        (
            br#"{"family": "regular", "parameters": 1, "width": 2}"#,
            r#""width" is no parameter of regular, which takes: parameters"#,
        ),
        (
            b"{\"family\": \"regular\", \"parameters\": \"\xff\"}",
            "not UTF-8",
        ),
        (long.as_bytes(), "a line is at most 1048576 bytes long"),
        (deep.as_bytes(), "recursion limit"),
    ];
    let good = br#"{"family": "regular", "parameters": "5"}"#;
    let mut input = Vec::new();
    for (line, _) in cases {
        input.extend_from_slice(line);
        input.push(b'\n');
        input.extend_from_slice(good);
        input.extend_from_slice(b"\r\n");
    }
    let output = batch("rlct", &input);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.is_empty());
    let answers = json_lines(&output);
    assert_eq!(answers.len(), 2 * cases.len());
    for (pair, (line, complaint)) in answers.chunks_exact(2).zip(cases) {
        let line = String::from_utf8_lossy(&line[..line.len().min(80)]);
        let error = pair[0]["error"].as_str();
        assert!(
            error.is_some_and(|e| e.contains(complaint)),
            "{line}: {error:?}"
        );
        assert_eq!(pair[1]["lambda"], "5/2", "after {line}");
    }
    // Without a bad line, and without the end of the last one.
    let output = batch("rlct", &[&good[..], b"\n", good].concat());
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(json_lines(&output).len(), 2);
    let output = batch("rlct", b"");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
}

#[test]
fn a_batch_answers_as_it_goes() {
    let mut child = piped(&["rlct", "--batch"]);
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    for d in 1..4 {
        writeln!(stdin, r#"{{"family": "regular", "parameters": {}}}"#, 2 * d).unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert!(
            answer.starts_with(&format!(r#"{{"lambda":"{d}""#)),
            "{answer}"
        );
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// `slt … | head`: the reader goes away first.
#[test]
fn a_broken_pipe_is_no_failure() {
    for arguments in [&["rlct", "list"][..], &["rlct", "--batch"]] {
        let mut child = piped(arguments);
        drop(child.stdout.take());
        let mut stdin = child.stdin.take().unwrap();
        // The command may be gone before it has read this.
        let _ = stdin.write_all(b"{\"family\": \"regular\", \"parameters\": 1}\n");
        drop(stdin);
        let mut complaint = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut complaint)
            .unwrap();
        assert_eq!(complaint, "", "{arguments:?}");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
}
