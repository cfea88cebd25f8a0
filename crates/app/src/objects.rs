//! Models and plans by digest, under `.tendon/objects/`: what a decision names stays at hand, so that it can be explained
//! and replayed when the project has moved on.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use tendon_kernel::Result;

use crate::failure;

/// The folder of objects.
#[derive(Clone, Debug)]
pub(crate) struct Objects(PathBuf);

impl Objects {
    /// The objects of a state folder.
    pub(crate) fn of(state: &Path) -> Self {
        Self(state.join("objects"))
    }

    fn path(&self, digest: &str) -> PathBuf {
        // Two digits first, so that no folder grows beyond what tools list with ease.
        self.0.join(digest.get(..2).unwrap_or("00")).join(digest)
    }

    /// Keeps bytes under their digest, durably, before anything that names it is recorded.
    ///
    /// # Errors
    /// `Unavailable` when they cannot be written.
    pub(crate) fn put(&self, digest: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(digest);
        if path.is_file() {
            return Ok(());
        }
        let write = || -> io::Result<()> {
            let folder = path.parent().unwrap_or(&self.0);
            fs::create_dir_all(folder)?;
            let beside = path.with_extension(format!("new-{}", std::process::id()));
            let mut file = fs::File::create(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            for folder in [folder, &self.0] {
                fs::File::open(folder)?.sync_all()?;
            }
            Ok(())
        };
        write().map_err(|error| failure::io_error("keeping an object in", &self.0, &error))
    }

    /// The bytes of a digest; `None` when there are none.
    ///
    /// # Errors
    /// `Unavailable` when they cannot be read.
    pub(crate) fn get(&self, digest: &str) -> Result<Option<Vec<u8>>> {
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(None);
        }
        match fs::read(self.path(digest)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failure::io_error("reading an object in", &self.0, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::sha256;

    #[test]
    fn what_was_put_is_found_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::of(folder.path());
        let digest = sha256(b"model");
        assert_eq!(objects.get(&digest).unwrap(), None);
        objects.put(&digest, b"model").unwrap();
        objects.put(&digest, b"model").unwrap();
        assert_eq!(objects.get(&digest).unwrap().unwrap(), b"model");
        assert_eq!(objects.get("../../secret").unwrap(), None);
    }
}
