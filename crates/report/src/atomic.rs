//! Whole files or none: write beside the target, flush to disk, rename over it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::Builder;

const PREFIX: &str = ".slt-";
const SUFFIX: &str = ".partial";

/// A write needs milliseconds, so a partial file of this age belongs to a killed run.
const STALE_AFTER: Duration = Duration::from_secs(600);

/// A file that could not be written; what was there before is untouched.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}; check the free space and the permissions of its folder")]
pub struct WriteError {
    /// The file that was to be written.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

/// Writes `bytes` to `path` so that a reader sees the old file or the new one, never a part.
///
/// A new file gets the usual permissions; an existing one keeps its own.
///
/// # Errors
/// [`WriteError`] when the folder is missing, not writable or full.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    replace(path, bytes).map_err(|source| WriteError {
        path: path.to_path_buf(),
        source,
    })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666)); // less the umask
    }
    let mut partial = builder.tempfile_in(folder)?;
    partial.write_all(bytes)?;
    if let Ok(old) = fs::metadata(path) {
        partial.as_file().set_permissions(old.permissions())?;
    }
    partial.as_file().sync_all()?;
    partial.persist(path).map_err(|e| e.error)?;
    // The rename itself is durable once the folder is flushed; not every file system offers that.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Removes partial files that a killed run left in `folder`; those of running programs are younger.
///
/// # Errors
/// The operating system's, when the folder cannot be listed or a file not removed.
pub(crate) fn remove_stale(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !(name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            continue;
        }
        let age = entry.metadata().and_then(|m| m.modified()).map(|written| {
            SystemTime::now()
                .duration_since(written)
                .unwrap_or_default()
        });
        if age.is_ok_and(|age| age > STALE_AFTER) {
            match fs::remove_file(entry.path()) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.txt");
        write_atomic(&file, b"old").unwrap();
        write_atomic(&file, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_no_partial_file() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("folder");
        fs::create_dir(&target).unwrap(); // a file cannot replace a folder
        let error = write_atomic(&target, b"x").unwrap_err();
        assert_eq!(error.path, target);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn an_existing_file_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.txt");
        write_atomic(&file, b"old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        write_atomic(&file, b"new").unwrap();
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
    }

    #[test]
    fn only_old_partial_files_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (old, young, other) = (
            dir.path().join(".slt-old.partial"),
            dir.path().join(".slt-young.partial"),
            dir.path().join("notes.partial"),
        );
        let long_ago = SystemTime::now() - 2 * STALE_AFTER;
        for file in [&old, &young, &other] {
            fs::write(file, b"x").unwrap();
        }
        for file in [&old, &other] {
            File::options()
                .write(true)
                .open(file)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
        }
        remove_stale(dir.path()).unwrap();
        assert!(!old.exists() && young.exists() && other.exists());
    }
}
