//! Inputs that are kept in the repository: corpora to begin with, and regressions, each of which once did what none may do.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder of a target's inputs of one sort.
pub(crate) fn folder(sort: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(sort).join(target)
}

/// A target's inputs of one sort, by name. There may be none.
pub(crate) fn inputs(sort: &str, target: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder(sort, target)) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}

/// Keeps an input as a regression; gives where.
///
/// # Errors
/// As the file system's.
pub(crate) fn keep(target: &str, what: &str, input: &[u8]) -> std::io::Result<PathBuf> {
    let folder = folder("regressions", target);
    fs::create_dir_all(&folder)?;
    let number = input.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    let kind: String = what.chars().take_while(char::is_ascii_alphabetic).collect();
    let path = folder.join(format!("{kind}-{number:08x}"));
    fs::write(&path, input)?;
    Ok(path)
}
