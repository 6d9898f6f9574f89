//! Generated blocks of a hand-written Markdown file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::atomic::{WriteError, write_atomic};

/// Why a block could not be replaced; the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReadmeError {
    /// The file cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Not exactly one pair of markers in order.
    #[error("{file}: wants exactly one `{marker}`, in order, and has {found}")]
    Marker {
        /// The file.
        file: PathBuf,
        /// The marker.
        marker: String,
        /// How many there are.
        found: usize,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Replaces what stands between `<!-- table:NAME -->` and `<!-- /table:NAME -->` by `content`.
///
/// The markers stay, so that the next run finds them. A file that would not change is not written.
///
/// # Errors
/// [`ReadmeError::Marker`] when a marker is missing, doubled or out of order; `Read`; `Write`.
pub fn replace_block(file: &Path, name: &str, content: &str) -> Result<(), ReadmeError> {
    let text = fs::read_to_string(file).map_err(|source| ReadmeError::Read {
        file: file.to_path_buf(),
        source,
    })?;
    let (open, close) = (
        format!("<!-- table:{name} -->"),
        format!("<!-- /table:{name} -->"),
    );
    let only = |marker: &str, text: &str| {
        let found = text.matches(marker).count();
        let at = text.find(marker).filter(|_| found == 1);
        at.ok_or_else(|| ReadmeError::Marker {
            file: file.to_path_buf(),
            marker: marker.to_string(),
            found,
        })
    };
    only(&close, &text)?;
    let start = only(&open, &text)? + open.len();
    let end = start + only(&close, &text[start..])?;
    let new = format!(
        "{}\n\n{}\n\n{}",
        &text[..start],
        content.trim(),
        &text[end..]
    );
    if new != text {
        write_atomic(file, new.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> Result<String, ReadmeError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("README.md");
        fs::write(&file, text).unwrap();
        let outcome = replace_block(&file, "main", "| a |\n");
        if outcome.is_err() {
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        outcome.map(|()| fs::read_to_string(&file).unwrap())
    }

    #[test]
    fn the_block_is_replaced_and_the_rest_kept() {
        let once = replaced("a\n<!-- table:main -->\nold\n<!-- /table:main -->\nb\n").unwrap();
        assert_eq!(
            once,
            "a\n<!-- table:main -->\n\n| a |\n\n<!-- /table:main -->\nb\n"
        );
        assert_eq!(replaced(&once).unwrap(), once);
    }

    #[test]
    fn missing_doubled_and_swapped_markers_are_refused() {
        for text in [
            "",
            "<!-- table:main -->",
            "<!-- /table:main -->",
            "<!-- table:other --><!-- /table:other -->",
            "<!-- /table:main --><!-- table:main -->",
            "<!-- table:main --><!-- table:main --><!-- /table:main -->",
        ] {
            let error = replaced(text).unwrap_err().to_string();
            assert!(error.contains("exactly one"), "{error}");
        }
        assert!(replace_block(Path::new("no/such.md"), "main", "").is_err());
    }
}
