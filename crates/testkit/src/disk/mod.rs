//! A disk in memory that behaves like one under a power cut: what was not synced may be lost, torn or reordered, and a
//! name whose folder was not synced may be gone. `crash.rs` tells how the losses are chosen.
//!
//! Stricter than most file systems on purpose: a file's name needs `sync_folder` even when its content was synced, and so
//! does a new folder's name in its parent. A sync that failed leaves its writes neither durable nor pending (as Linux does),
//! so that syncing again answers success and loses them all the same. A sync that a power cut interrupts never answers.

mod crash;
mod files;
mod names;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tendon_kernel::context::{Clock as _, Disk, File, Open};

use crate::{lock, rng::Rng, world::World};
use files::MemFile;
use names::{NameOp, Names, folder_of, normal};

/// How often what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files opened.
    pub opens: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Syncs of files that finished well.
    pub syncs: u64,
    /// Syncs of folders that finished well.
    pub folder_syncs: u64,
    /// Renames and removals.
    pub moves: u64,
}

/// An unsynced change of a file's content.
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

/// A file's content, whatever its name.
#[derive(Default)]
struct Node {
    /// What reads see.
    shown: Vec<u8>,
    /// What is safe.
    safe: Vec<u8>,
    /// Between the two, in order, with the number of the operation.
    pending: Vec<(u64, Change)>,
}

#[derive(Default)]
struct Faults {
    failing_syncs: u32,
    failing_reads: bool,
    failing_writes: bool,
    capacity: Option<u64>,
    crash_after: Option<u64>,
}

struct State {
    rng: Rng,
    nodes: Vec<Node>,
    names: Names,
    /// Raised by every power cut: files opened before are dead.
    generation: u64,
    powered: bool,
    operation: u64,
    counts: Counts,
    faults: Faults,
    sync_base: Duration,
    sync_jitter: Duration,
}

struct Inner {
    world: Arc<World>,
    state: Mutex<State>,
}

/// See the module's head. Made by [`crate::Sim::new`].
pub struct MemDisk {
    inner: Arc<Inner>,
}

fn no_power() -> io::Error {
    io::Error::other("the power was cut")
}

impl State {
    /// Counts an operation that changes something; cuts the power when its number has come.
    fn operate(&mut self, world: &World) -> io::Result<u64> {
        self.alive()?;
        if self.faults.crash_after == Some(0) {
            self.powered = false;
            world.cut_power();
            return Err(no_power());
        }
        if let Some(left) = &mut self.faults.crash_after {
            *left -= 1;
        }
        self.operation += 1;
        Ok(self.operation)
    }

    fn alive(&self) -> io::Result<()> {
        if self.powered { Ok(()) } else { Err(no_power()) }
    }

    fn used(&self) -> u64 {
        self.names.shown.values().map(|&node| self.nodes[node].shown.len() as u64).sum()
    }

    /// Whether this world is between a power cut and its tasks' end.
    fn is_dark(&self) -> bool {
        !self.powered
    }

    fn sync_time(&mut self) -> Duration {
        let jitter = u64::try_from(self.sync_jitter.as_nanos()).unwrap_or(u64::MAX);
        self.sync_base + Duration::from_nanos(self.rng.below(jitter.saturating_add(1)))
    }

    /// Whether this sync is told to fail.
    fn sync_fails(&mut self) -> bool {
        let fails = self.faults.failing_syncs > 0;
        self.faults.failing_syncs = self.faults.failing_syncs.saturating_sub(1);
        fails
    }
}

/// Nobody sees the answer of a sync that the power cut: it never comes.
async fn unless_dark<T>(inner: &Inner, answer: io::Result<T>) -> io::Result<T> {
    let dark = answer.is_err() && lock(&inner.state).is_dark();
    if dark {
        std::future::pending::<()>().await;
    }
    answer
}

impl MemDisk {
    pub(crate) fn new(world: Arc<World>) -> Self {
        let rng = Rng::stream(world.seed, "disk");
        let state = Mutex::new(State {
            rng,
            nodes: Vec::new(),
            names: Names::default(),
            generation: 0,
            powered: true,
            operation: 0,
            counts: Counts::default(),
            faults: Faults::default(),
            sync_base: Duration::from_micros(120),
            sync_jitter: Duration::from_micros(60),
        });
        Self { inner: Arc::new(Inner { world, state }) }
    }

    /// Virtual time a sync takes: `base` and up to `jitter` more, by the seed.
    pub fn sync_latency(&self, base: Duration, jitter: Duration) {
        let mut state = lock(&self.inner.state);
        (state.sync_base, state.sync_jitter) = (base, jitter);
    }

    /// The next sync of a file or folder fails. Called twice, the next two do.
    pub fn fail_next_sync(&self) {
        lock(&self.inner.state).faults.failing_syncs += 1;
    }

    /// Whether reads fail from now on.
    pub fn fail_reads(&self, fail: bool) {
        lock(&self.inner.state).faults.failing_reads = fail;
    }

    /// Whether writes fail from now on (an input/output error, not a full disk).
    pub fn fail_writes(&self, fail: bool) {
        lock(&self.inner.state).faults.failing_writes = fail;
    }

    /// Most bytes that all files may have together; what exceeds them fails as `StorageFull`, with some bytes written.
    pub fn capacity(&self, bytes: Option<u64>) {
        lock(&self.inner.state).faults.capacity = bytes;
    }

    /// The power goes when `more` further changing operations (open for writing, write, `set_len`, rename, remove, start
    /// and end of a sync) have succeeded.
    pub fn crash_at_op(&self, more: u64) {
        lock(&self.inner.state).faults.crash_after = Some(more);
    }

    /// Takes back [`MemDisk::crash_at_op`].
    pub fn no_crash(&self) {
        lock(&self.inner.state).faults.crash_after = None;
    }

    /// Number of changing operations so far: the range to sweep with [`MemDisk::crash_at_op`].
    pub fn operations(&self) -> u64 {
        lock(&self.inner.state).operation
    }

    /// How often what was done.
    pub fn counts(&self) -> Counts {
        lock(&self.inner.state).counts
    }

    /// Bytes of all files together.
    pub fn used(&self) -> u64 {
        lock(&self.inner.state).used()
    }

    /// All files as reads see them now: to search for what must not be there.
    pub fn dump(&self) -> BTreeMap<String, Vec<u8>> {
        let state = lock(&self.inner.state);
        state.names.shown.iter().map(|(path, &node)| (path.clone(), state.nodes[node].shown.clone())).collect()
    }

    /// Flips a bit of a file's byte, on the platter and in reads: rot. False when there is no such byte.
    pub fn flip(&self, path: &str, offset: u64, bit: u8) -> bool {
        let mut state = lock(&self.inner.state);
        let (Some(&node), Ok(at)) = (state.names.shown.get(&normal(path)), usize::try_from(offset)) else {
            return false;
        };
        let node = &mut state.nodes[node];
        let mask = 1 << (bit % 8);
        let Some(byte) = node.shown.get_mut(at) else { return false };
        *byte ^= mask;
        if let Some(byte) = node.safe.get_mut(at) {
            *byte ^= mask;
        }
        true
    }

    /// Replaces a file's content, or makes it, durably and with its folders: a state to start a test from.
    pub fn plant(&self, path: &str, bytes: &[u8]) {
        let path = normal(path);
        let mut state = lock(&self.inner.state);
        state.names.add_folder_safe(&folder_of(&path));
        let node = state.nodes.len();
        state.nodes.push(Node { shown: bytes.to_vec(), safe: bytes.to_vec(), pending: Vec::new() });
        state.names.shown.insert(path.clone(), node);
        state.names.safe.insert(path, node);
    }

    fn begin_folder_sync(&self) -> io::Result<(u64, Duration, u64)> {
        let mut state = lock(&self.inner.state);
        let mark = state.operate(&self.inner.world)?;
        Ok((mark, state.sync_time(), state.generation))
    }

    fn end_folder_sync(&self, folder: &str, mark: u64, generation: u64) -> io::Result<()> {
        let mut state = lock(&self.inner.state);
        if state.generation != generation {
            return Err(no_power());
        }
        state.operate(&self.inner.world)?;
        if !state.names.has_folder(folder) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such folder"));
        }
        if state.sync_fails() {
            return Err(io::Error::other("sync failed as told"));
        }
        state.names.settle(folder, mark);
        state.counts.folder_syncs += 1;
        self.inner.world.note(mark);
        Ok(())
    }

    /// Every operation fails until the restart.
    pub(crate) fn power_off(&self) {
        lock(&self.inner.state).powered = false;
    }

    /// Loses what may be lost and starts again.
    pub(crate) fn restart(&self) {
        let mut state = lock(&self.inner.state);
        let state = &mut *state;
        state.generation += 1;
        state.powered = true;
        state.faults.crash_after = None;
        state.names.crash(&mut state.rng);
        let named: std::collections::BTreeSet<usize> = state.names.shown.values().copied().collect();
        for (index, node) in state.nodes.iter_mut().enumerate() {
            if named.contains(&index) {
                node.crash(&mut state.rng);
            } else {
                *node = Node::default();
            }
        }
    }
}

impl Disk for MemDisk {
    fn open(&self, path: &str, how: Open) -> io::Result<Arc<dyn File>> {
        let path = normal(path);
        let mut state = lock(&self.inner.state);
        state.alive()?;
        let found = state.names.shown.get(&path).copied();
        let node = match (how, found) {
            (Open::CreateNew, Some(_)) => {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists"));
            }
            (Open::Read, None) => return Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
            (_, Some(node)) => node,
            (_, None) => {
                state.names.parent_must_exist(&path)?;
                let number = state.operate(&self.inner.world)?;
                let node = state.nodes.len();
                state.nodes.push(Node::default());
                state.names.apply(number, NameOp::Link { path, node });
                node
            }
        };
        state.counts.opens += 1;
        let generation = state.generation;
        drop(state);
        Ok(Arc::new(MemFile { inner: Arc::clone(&self.inner), node, generation, writable: how != Open::Read }))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = lock(&self.inner.state);
        state.alive()?;
        Ok(state.names.list(&normal(folder)))
    }

    fn create_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = lock(&self.inner.state);
        state.alive()?;
        let folder = normal(folder);
        if state.names.shown.contains_key(&folder) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file has this name"));
        }
        for path in state.names.missing_folders(&folder) {
            let number = state.operate(&self.inner.world)?;
            state.names.apply(number, NameOp::Folder { path });
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (normal(from), normal(to));
        let mut state = lock(&self.inner.state);
        let Some(&node) = state.names.shown.get(&from) else {
            state.alive()?;
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such file"));
        };
        state.names.parent_must_exist(&to)?;
        let number = state.operate(&self.inner.world)?;
        state.counts.moves += 1;
        state.names.apply(number, NameOp::Move { from, to, node });
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let path = normal(path);
        let mut state = lock(&self.inner.state);
        if !state.names.shown.contains_key(&path) {
            state.alive()?;
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such file"));
        }
        let number = state.operate(&self.inner.world)?;
        state.counts.moves += 1;
        state.names.apply(number, NameOp::Unlink { path });
        Ok(())
    }

    fn sync_folder<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            let folder = normal(folder);
            let begun = self.begin_folder_sync();
            let (mark, time, generation) = unless_dark(&self.inner, begun).await?;
            self.inner.world.sleep(time).await;
            let ended = self.end_folder_sync(&folder, mark, generation);
            unless_dark(&self.inner, ended).await
        })
    }
}
