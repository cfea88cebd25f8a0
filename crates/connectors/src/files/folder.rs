//! The folder: which files are resources, and which file it is now.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tendon_kernel::{Error, ErrorKind, Result};

/// How rows are written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Comma-separated values with a header (RFC 4180, another delimiter if set).
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// A file of rows.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Where it is.
    pub(super) path: PathBuf,
    /// How it is written.
    pub(super) format: Format,
    /// Which state of it: length and time of the last change, and the file's own number.
    pub(super) state: State,
}

/// Length, modification time in nanoseconds, and number of a file.
pub(super) type State = (u64, u128, u64);

/// An error of the file system.
pub(super) fn unreachable(system: &str, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "system_unreachable", "reading the folder of files failed")
        .with("system", system)
        .hint("look whether `path` names the folder and whether Tendon's user may read it")
        .private(error)
}

/// All resources by name. Two files with the same name but for the extension are an error.
pub(super) fn list(system: &str, folder: &Path) -> Result<BTreeMap<String, Place>> {
    let failed = |error: std::io::Error| unreachable(system, &error);
    let mut found: BTreeMap<String, Place> = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Format::Csv,
            Some("jsonl") => Format::Jsonl,
            _ => continue,
        };
        let Some(name) = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        // A file that went away since the folder was read is no resource.
        let Ok(about) = fs::metadata(&path) else { continue };
        if !about.is_file() {
            continue;
        }
        let place = Place { path, format, state: state(&about) };
        if found.insert(name.clone(), place).is_some() {
            return Err(Error::new(ErrorKind::Config, "resource_ambiguous", "two files have the same name")
                .with("system", system)
                .with("resource", name)
                .hint("keep either the csv or the jsonl file in the folder"));
        }
    }
    Ok(found)
}

fn state(about: &fs::Metadata) -> State {
    let since = about.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(about);
    #[cfg(not(unix))]
    let number = 0;
    (about.len(), since.unwrap_or_default().as_nanos(), number)
}
