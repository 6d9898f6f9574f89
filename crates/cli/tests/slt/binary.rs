//! Running the real binary.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_slt");

/// The command with these arguments.
pub fn slt(arguments: &[&str]) -> Output {
    let output = Command::new(BINARY).args(arguments).output();
    output.expect("the binary starts")
}

/// A command line of a shell, with `slt` on its path.
pub fn shell(line: &str) -> Output {
    let folder = Path::new(BINARY).parent().expect("a file in a folder");
    let path = std::env::var("PATH").expect("PATH is set");
    let output = Command::new("sh")
        .args(["-c", line])
        .env("PATH", format!("{}:{path}", folder.display()))
        .output();
    output.expect("the shell starts")
}

/// The command with these arguments and pipes to it.
pub fn piped(arguments: &[&str]) -> Child {
    let child = Command::new(BINARY)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    child.expect("the binary starts")
}

/// `slt TOPIC --batch` with this input.
pub fn batch(topic: &str, input: &[u8]) -> Output {
    let mut child = piped(&[topic, "--batch"]);
    let mut stdin = child.stdin.take().expect("a pipe");
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || stdin.write_all(input));
        let output = child.wait_with_output().expect("the binary ends");
        let written = writer.join().expect("no panic");
        written.expect("all input is read");
        output
    })
}

/// What was written to standard output.
pub fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).expect("UTF-8")
}

/// What was written to standard error.
pub fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).expect("UTF-8")
}

/// The lines of standard output, each JSON.
pub fn json_lines(output: &Output) -> Vec<Value> {
    let lines = stdout(output).lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}
