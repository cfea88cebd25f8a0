//! A folder of the real file system. Folders are 0700 and files 0600: what lies here is personal.
//!
//! Reads and writes run where they are called: they end in the page cache within microseconds. Syncs wait for the disk;
//! they run on one thread of their own, which costs one wake-up each way, and on the runtime's blocking threads while that
//! one is busy, so that a slow file never holds up another.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use futures_util::future::BoxFuture;
use tendon_kernel::{
    context::{Disk, File, Open},
    error::Result,
};
use tokio::sync::oneshot;

use crate::io_error;

/// What a sync must reach: the content, or the content and all about it (for folders: their names).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Data,
    All,
}

struct Job {
    file: Arc<fs::File>,
    depth: Depth,
    answer: oneshot::Sender<io::Result<()>>,
}

fn run(file: &fs::File, depth: Depth) -> io::Result<()> {
    match depth {
        Depth::Data => file.sync_data(),
        Depth::All => file.sync_all(),
    }
}

/// The thread that syncs.
struct Syncer {
    jobs: mpsc::Sender<Job>,
    busy: Arc<AtomicBool>,
}

impl Syncer {
    fn start() -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let busy = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&busy);
        thread::Builder::new().name("sync".to_owned()).spawn(move || {
            for job in inbox {
                let result = run(&job.file, job.depth);
                flag.store(false, Ordering::Release);
                // Who no longer waits has dropped the receiver.
                drop(job.answer.send(result));
            }
        })?;
        Ok(Self { jobs, busy })
    }

    async fn sync(&self, file: Arc<fs::File>, depth: Depth) -> io::Result<()> {
        if self.busy.swap(true, Ordering::Acquire) {
            return tokio::task::spawn_blocking(move || run(&file, depth)).await.map_err(io::Error::other)?;
        }
        let (answer, result) = oneshot::channel();
        self.jobs.send(Job { file, depth, answer }).map_err(|_| io::Error::other("the sync thread ended"))?;
        result.await.map_err(|_| io::Error::other("the sync thread ended"))?
    }
}

/// A folder. See the module's head.
pub struct RealDisk {
    root: PathBuf,
    syncer: Arc<Syncer>,
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl RealDisk {
    /// Opens a folder, making it when missing.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be made.
    pub fn new(root: &Path) -> Result<Self> {
        let failed = |error| io_error("state_folder", "the project's state folder could not be made", root, &error);
        make_folder(root).map_err(failed)?;
        let syncer = Arc::new(Syncer::start().map_err(failed)?);
        Ok(Self { root: root.to_path_buf(), syncer })
    }

    /// The real path; refuses what would leave the folder.
    fn path(&self, path: &str) -> io::Result<PathBuf> {
        let path = Path::new(path);
        if path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            Ok(self.root.join(path))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "a path must stay inside of the state folder"))
        }
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true).mode(0o600);
        match how {
            Open::Read => &mut options,
            Open::ReadWrite => options.write(true).create(true).truncate(false),
            Open::CreateNew => options.write(true).create_new(true),
        };
        let file = Arc::new(options.open(self.path(path)?)?);
        Ok(Arc::new(RealFile { file, syncer: Arc::clone(&self.syncer) }))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(folder)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Ok(mut name) = entry.file_name().into_string() else { continue };
            if entry.file_type()?.is_dir() {
                name.push('/');
            }
            names.push(name);
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_folder(&self, folder: &str) -> io::Result<()> {
        make_folder(&self.path(folder)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from)?, self.path(to)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path)?)
    }

    fn sync_folder<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            let folder = fs::File::open(self.path(folder)?)?;
            self.syncer.sync(Arc::new(folder), Depth::All).await
        })
    }
}

struct RealFile {
    file: Arc<fs::File>,
    syncer: Arc<Syncer>,
}

impl File for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(self.syncer.sync(Arc::clone(&self.file), Depth::Data))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn keeps_the_contract() {
        for seed in 0..8 {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("state");
            tendon_testkit::contract::disk(seed, 200, || Arc::new(RealDisk::new(&root).unwrap()) as _).await;
        }
    }

    #[tokio::test]
    async fn is_private_and_stays_inside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("state");
        let disk = RealDisk::new(&root).unwrap();
        disk.create_folder("in/deep").unwrap();
        disk.open("in/deep/f", Open::CreateNew).unwrap();
        let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode(""), mode("in"), mode("in/deep"), mode("in/deep/f")], [0o700, 0o700, 0o700, 0o600]);
        for path in ["../f", "/etc/hostname", "in/../../f"] {
            assert_eq!(disk.open(path, Open::Read).err().unwrap().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[tokio::test]
    async fn syncs_of_many_files_run_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(folder.path()).unwrap();
        let files: Vec<_> = (0..20).map(|n| disk.open(&format!("{n}"), Open::CreateNew).unwrap()).collect();
        for file in &files {
            file.write_at(b"x", 0).unwrap();
        }
        let results = futures_util::future::join_all(files.iter().map(|file| file.sync())).await;
        assert!(results.into_iter().all(|result| result.is_ok()));
        disk.sync_folder("").await.unwrap();
        assert!(disk.sync_folder("nowhere").await.is_err());
    }
}
