//! Which code produced a record.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a commit or hash reads when it is not to be had.
const UNKNOWN: &str = "unknown";

/// The code a record came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Commit of the checkout, 40 hex digits, or `unknown`.
    pub git_commit: String,
    /// Whether a tracked file differed from that commit; none when there is none.
    pub git_dirty: Option<bool>,
    /// SHA-256 of the workspace's `Cargo.lock`, or `unknown`.
    pub cargo_lock_sha256: String,
    /// Version of the workspace.
    pub version: String,
}

impl Provenance {
    /// The provenance of the running program, found from the working folder, else from the program's own.
    ///
    /// The nearest `Cargo.lock` upward marks the workspace; `git` is called once, there.
    /// What cannot be found reads `unknown`: a record without a checkout is better than none.
    pub fn discover() -> Self {
        let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
        let workspace = starts
            .iter()
            .flatten()
            .find_map(|start| workspace_of(start));
        match workspace {
            Some(folder) => Self::of_workspace(&folder),
            None => Self {
                git_commit: UNKNOWN.into(),
                git_dirty: None,
                cargo_lock_sha256: UNKNOWN.into(),
                version: env!("CARGO_PKG_VERSION").into(),
            },
        }
    }

    fn of_workspace(folder: &Path) -> Self {
        let (git_commit, git_dirty) = git_state(folder);
        Self {
            git_commit,
            git_dirty,
            cargo_lock_sha256: match fs::read(folder.join("Cargo.lock")) {
                Ok(lock) => hex(&Sha256::digest(&lock)),
                Err(_) => UNKNOWN.into(),
            },
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

fn workspace_of(start: &Path) -> Option<PathBuf> {
    let holds_lock = |folder: &&Path| folder.join("Cargo.lock").is_file();
    start.ancestors().find(holds_lock).map(Path::to_path_buf)
}

/// Commit and dirty flag from one `git status`; untracked files do not count as dirt.
fn git_state(folder: &Path) -> (String, Option<bool>) {
    let status = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args([
            "--no-optional-locks",
            "status",
            "--porcelain=v2",
            "--branch",
        ])
        .arg("--untracked-files=no")
        .output();
    match status {
        Ok(out) if out.status.success() => parse_status(&String::from_utf8_lossy(&out.stdout)),
        _ => (UNKNOWN.into(), None),
    }
}

fn parse_status(status: &str) -> (String, Option<bool>) {
    let commit = status
        .lines()
        .find_map(|line| line.strip_prefix("# branch.oid "))
        .filter(|oid| oid.chars().all(|c| c.is_ascii_hexdigit()));
    let dirty = status.lines().any(|line| !line.starts_with('#'));
    match commit {
        Some(commit) => (commit.to_string(), Some(dirty)),
        None => (UNKNOWN.into(), None), // a checkout without a commit
    }
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_git_status() {
        let clean = "# branch.oid 0123456789012345678901234567890123456789\n# branch.head main\n";
        assert_eq!(parse_status(clean).0.len(), 40);
        assert_eq!(parse_status(clean).1, Some(false));
        let dirty = format!("{clean}1 .M N... 100644 100644 100644 a b src/lib.rs\n");
        assert_eq!(parse_status(&dirty).1, Some(true));
        assert_eq!(
            parse_status("# branch.oid (initial)\n"),
            (UNKNOWN.into(), None)
        );
    }

    #[test]
    fn a_folder_without_a_checkout_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("Cargo.lock"), "lock").unwrap();
        let found = Provenance::of_workspace(&workspace_of(&dir.path().join("a/b")).unwrap());
        assert_eq!(found.git_commit, UNKNOWN);
        assert_eq!(found.git_dirty, None);
        assert_eq!(
            found.cargo_lock_sha256,
            // printf lock | sha256sum
            hex(&Sha256::digest(b"lock"))
        );
    }
}
