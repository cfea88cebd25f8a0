//! What code above the platform may take from the world: time, randomness, files and tasks. Handed in, never constructed,
//! so that the whole trunk runs under a virtual clock, a seeded scheduler and an in-memory disk (`testkit`).

use std::{io, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use crate::{metrics::Registry, time::Timestamp, trace::Traces};

/// Reads and waits for time.
pub trait Clock: Send + Sync {
    /// The wall clock. May jump; use it only for what people read and records keep.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment of this process; never goes back. For deadlines and durations.
    fn monotonic(&self) -> Duration;
    /// Resolves after the duration.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// Source of random bytes. Cryptographic in production, seeded in simulation.
pub trait Entropy: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// Starts tasks.
pub trait Spawn: Send + Sync {
    /// Runs the task to its end, whatever happens to whoever started it. `name` is for people who look at hanging tasks.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);

    /// Runs work that may take long, or never end, off the threads that tasks run on. The default runs it as a task, for
    /// worlds with one thread.
    fn aside(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) {
        self.spawn(name, Box::pin(async move { work() }));
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Must exist; only read.
    Read,
    /// Created when missing; read and written.
    ReadWrite,
    /// Must not exist; read and written.
    CreateNew,
}

/// A folder of files. Paths are relative, with `/`. Writes and renames are visible at once and durable only after a sync:
/// what was written but not synced may be lost, torn or reordered by a power cut.
pub trait Disk: Send + Sync {
    /// Opens a file.
    ///
    /// # Errors
    /// As the file system's.
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>>;
    /// Names in a folder, sorted; folders end in `/`. A folder that does not exist is empty.
    ///
    /// # Errors
    /// As the file system's.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Creates a folder and its parents.
    ///
    /// # Errors
    /// As the file system's.
    fn create_folder(&self, folder: &str) -> io::Result<()>;
    /// Renames a file, replacing the target. Durable after `sync_folder`.
    ///
    /// # Errors
    /// As the file system's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// As the file system's.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Makes creations, renames and removals in a folder durable.
    fn sync_folder<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, io::Result<()>>;
}

/// An open file.
pub trait File: Send + Sync {
    /// Length in bytes.
    ///
    /// # Errors
    /// As the file system's.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// As the file system's.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads up to the buffer's length at an offset; fewer bytes only at the end of the file.
    ///
    /// # Errors
    /// As the file system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes at an offset.
    ///
    /// # Errors
    /// As the file system's; a full disk is `StorageFull`. Some of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts or extends the file.
    ///
    /// # Errors
    /// As the file system's.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes what was written durable (`fdatasync`). After an error the file must not be trusted nor synced again.
    fn sync(&self) -> BoxFuture<'_, io::Result<()>>;
}

/// Time, randomness, files, tasks and counters in one cheap-to-clone handle.
#[derive(Clone)]
pub struct Context {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The project's state folder (`.tendon`).
    pub disk: Arc<dyn Disk>,
    /// Tasks.
    pub spawn: Arc<dyn Spawn>,
    /// Counters. Ask for handles once, when a part is built.
    pub metrics: Arc<Registry>,
    /// Traces; off, unless the process keeps them.
    pub traces: Arc<Traces>,
}

impl Context {
    /// A deadline that many milliseconds from now.
    pub fn deadline_in(&self, duration: Duration) -> Deadline {
        Deadline(self.clock.monotonic().saturating_add(duration))
    }
}

/// The moment (monotonic) by which a request must be answered; passed down and never extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Duration);

impl Deadline {
    /// Time left; zero when it passed.
    pub fn left(self, clock: &dyn Clock) -> Duration {
        self.0.saturating_sub(clock.monotonic())
    }

    /// Whether it passed.
    pub fn passed(self, clock: &dyn Clock) -> bool {
        self.left(clock).is_zero()
    }
}
