//! A copy of a store's file, whole and of one moment, while others write to it.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rusqlite::{Connection, OpenFlags};
use tendon_kernel::error::Result;

use super::sqlite::store_error;
use crate::io_error;

/// Copies a store's file; an earlier copy is replaced at once.
///
/// # Errors
/// `Unavailable` when a file cannot be read or written; `Corrupt` when the store is damaged.
pub fn copy_store(from: &Path, to: &Path) -> Result<()> {
    let failed = |error: &std::io::Error| io_error("store_copy", "a store's file could not be copied", to, error);
    let draft = to.with_extension("draft");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&error)),
        _ => {}
    }
    // Made here, because SQLite would let others read it.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
    drop(made.map_err(|error| failed(&error))?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copied = Connection::open_with_flags(from, flags).and_then(|connection| {
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.execute("VACUUM INTO ?1", [draft.to_string_lossy()])
    });
    copied.map_err(|error| store_error("store_copy", &error))?;
    let kept = || {
        File::open(&draft)?.sync_all()?;
        std::fs::rename(&draft, to)?;
        File::open(to.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    kept().map_err(|error| failed(&error))
}
