//! The project's lock: one process at a time owns a project's state. An advisory lock of the operating system, so that it
//! is free again when its holder dies, however it dies. The file tells the holder's process id.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use tendon_kernel::error::{Error, ErrorKind, Result};

use crate::io_error;

/// Held until dropped.
#[derive(Debug)]
pub struct ProjectLock {
    _file: File,
}

impl ProjectLock {
    /// Takes the lock of a state folder (`.tendon`, which must exist).
    ///
    /// # Errors
    /// `Conflict`, code `already_running`, when another process holds it; `Unavailable` when the file cannot be used.
    pub fn acquire(folder: &Path) -> Result<Self> {
        let path = folder.join("lock");
        let failed = |error| io_error("lock_failed", "the project's lock file could not be used", &path, &error);
        let options = &mut OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(already_running(&mut file)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn already_running(file: &mut File) -> Error {
    let mut text = String::new();
    let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok());
    let message = match pid {
        Some(pid) => format!("Tendon already runs on this project, as process {pid}"),
        None => "Tendon already runs on this project".to_owned(),
    };
    Error::new(ErrorKind::Conflict, "already_running", message)
        .hint("stop it first, or choose another project folder with --project")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_with_a_sentence_and_the_lock_is_free_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let lock = ProjectLock::acquire(folder.path()).unwrap();
        let error = ProjectLock::acquire(folder.path()).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "already_running"));
        assert!(error.message().contains(&std::process::id().to_string()), "{error}");
        drop(lock);
        drop(ProjectLock::acquire(folder.path()).unwrap());
        let error = ProjectLock::acquire(&folder.path().join("nowhere")).unwrap_err();
        assert_eq!(error.code(), "lock_failed");
    }
}
