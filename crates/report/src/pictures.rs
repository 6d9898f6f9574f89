//! Copies a paper's figures to where a README shows them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::atomic::{WriteError, write_atomic};

/// Why pictures could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum PicturesError {
    /// The figures cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The folder to copy to cannot be made.
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A copy could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Copies every PNG of the folder `from` to the folder `to`, each whole or not at all.
///
/// # Errors
/// [`PicturesError`] names the file or folder.
pub fn copy_pictures(from: &Path, to: &Path) -> Result<(), PicturesError> {
    let unreadable = |path: &Path| {
        let path = path.to_path_buf();
        |source| PicturesError::Read { path, source }
    };
    fs::create_dir_all(to).map_err(|source| PicturesError::Folder {
        path: to.to_path_buf(),
        source,
    })?;
    for entry in fs::read_dir(from).map_err(unreadable(from))? {
        let path = entry.map_err(unreadable(from))?.path();
        if let (Some("png"), Some(name)) =
            (path.extension().and_then(|e| e.to_str()), path.file_name())
        {
            write_atomic(&to.join(name), &fs::read(&path).map_err(unreadable(&path))?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_nothing_else() {
        let (from, to) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("a folder"),
        );
        fs::write(from.path().join("a.png"), b"picture").expect("written");
        fs::write(from.path().join("a.svg"), b"drawing").expect("written");
        let to = to.path().join("new");
        copy_pictures(from.path(), &to).expect("copied");
        assert_eq!(fs::read(to.join("a.png")).expect("read"), b"picture");
        assert_eq!(fs::read_dir(&to).expect("listed").count(), 1);
        assert!(matches!(
            copy_pictures(&to.join("none"), &to),
            Err(PicturesError::Read { .. })
        ));
    }
}
