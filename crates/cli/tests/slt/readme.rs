//! The README's session is what the command prints.

use std::path::Path;

use crate::binary::{shell, stdout};

#[test]
fn the_session_of_the_readme() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let session = readme.split("```console\n").nth(1).unwrap();
    let session = session.split("```").next().unwrap();
    let commands: Vec<&str> = session
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .collect();
    assert!(commands.len() >= 4);
    let ran: String = commands
        .iter()
        .map(|command| {
            let output = shell(command);
            assert!(output.status.success(), "{command}");
            format!("$ {command}\n{}", stdout(&output))
        })
        .collect();
    assert_eq!(session, ran, "the README should read:\n{ran}");
}
