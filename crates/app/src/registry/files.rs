//! The files of versions: put in place as a whole or not at all, and never over another one.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use crate::{durable::sync, facts};

/// Writes a version's file beside its place, synced; then gives it its name, unless there is one of that name.
///
/// # Errors
/// `AlreadyExists` when there is; else as the file system's.
pub(super) fn put(place: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = place.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = staged(place);
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    // A link never replaces, as a rename would; where there are no links, nothing else writes here while we do.
    let named = written.and_then(|()| match fs::hard_link(&beside, place) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists || place.exists() => {
            Err(ErrorKind::AlreadyExists.into())
        }
        Err(_) => fs::rename(&beside, place),
        Ok(()) => Ok(()),
    });
    forget_staged(place);
    named.and_then(|()| sync(folder))
}

/// Removes a version's file.
///
/// # Errors
/// As the file system's.
pub(super) fn remove(place: &Path) -> io::Result<()> {
    fs::remove_file(place)?;
    sync(place.parent().unwrap_or(Path::new(".")))
}

/// Removes what a put that was cut short left.
pub(super) fn forget_staged(place: &Path) {
    let _ = fs::remove_file(staged(place));
}

/// SHA-256 of a file; `None` when it cannot be read.
pub(super) fn digest(file: &Path) -> Option<String> {
    fs::read(file).ok().map(|bytes| facts::sha256(&bytes))
}

/// The name beside: hidden, so that it is no version.
fn staged(place: &Path) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!(".{name}.new"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_put_once_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("models/score/v1.txt");
        put(&place, b"one").unwrap();
        assert_eq!(put(&place, b"two").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(digest(&place), Some(facts::sha256(b"one")));
        let names = || fs::read_dir(place.parent().unwrap()).unwrap().count();
        assert_eq!(names(), 1, "nothing is left beside it");
        fs::write(staged(&place), b"cut short").unwrap();
        forget_staged(&place);
        assert_eq!(names(), 1);
        remove(&place).unwrap();
        assert_eq!((names(), digest(&place)), (0, None));
    }
}
