//! Small disks of a test's own. Mounting needs the right to do so. Where that is not given, a test fails and says so;
//! `TENDON_NO_MOUNT=1` leaves such tests out knowingly.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

/// A small file system, unmounted when dropped.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// Whether whoever runs the tests left this out; says so.
    pub(crate) fn left_out() -> bool {
        let asked = std::env::var_os("TENDON_NO_MOUNT").is_some_and(|text| text == "1");
        if asked {
            println!("left out: TENDON_NO_MOUNT=1");
        }
        asked
    }

    /// Mounts 16 MiB on a folder.
    ///
    /// # Panics
    /// When that is not permitted.
    pub(crate) fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let made = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(folder).output().unwrap();
        let why = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "mounting a small disk failed (TENDON_NO_MOUNT=1 leaves this out): {why}");
        Self(folder.to_owned())
    }

    /// Fills it to the last byte; gives the file to remove.
    ///
    /// # Panics
    /// When nothing can be written at all.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
