//! Open files of the disk in memory.

use std::{io, sync::Arc};

use futures_util::future::BoxFuture;
use tendon_kernel::context::{Clock as _, File};

use super::{Change, Inner, Node, State, no_power, unless_dark};
use crate::{lock, rng::Rng};

/// An open file: dead after a power cut, alive after its name was removed.
pub(super) struct MemFile {
    pub(super) inner: Arc<Inner>,
    pub(super) node: usize,
    pub(super) generation: u64,
    pub(super) writable: bool,
}

fn size(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "offset too large"))
}

/// Applies a write to bytes, filling a gap with zeros.
pub(super) fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

impl Node {
    /// Makes the changes up to a mark safe.
    fn settle(&mut self, mark: u64) {
        let count = self.pending.iter().take_while(|(number, _)| *number <= mark).count();
        for (_, change) in self.pending.drain(..count) {
            match change {
                Change::Write { offset, bytes } => put(&mut self.safe, usize::try_from(offset).unwrap_or(0), &bytes),
                Change::SetLen(len) => self.safe.resize(usize::try_from(len).unwrap_or(0), 0),
            }
        }
    }

    /// A sync up to a mark failed: some of it reached the disk, the rest is marked clean and will never be written.
    fn spoil(&mut self, mark: u64, rng: &mut Rng) {
        let count = self.pending.iter().take_while(|(number, _)| *number <= mark).count();
        let rest = self.pending.split_off(count);
        self.lose(rng);
        self.pending = rest;
    }
}

impl MemFile {
    /// Runs on the state when the file is alive.
    fn alive<T>(&self, run: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = lock(&self.inner.state);
        state.alive()?;
        if state.generation != self.generation {
            return Err(no_power());
        }
        run(&mut state)
    }

    fn may_write(&self, state: &State) -> io::Result<()> {
        if !self.writable {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the file was opened for reading"));
        }
        if state.faults.failing_writes {
            return Err(io::Error::other("write failed as told"));
        }
        Ok(())
    }
}

/// Room left for a file that grows from `len` to `end`; `None`: enough.
fn shortage(state: &State, len: usize, end: usize) -> Option<usize> {
    let capacity = state.faults.capacity?;
    let more = end.saturating_sub(len) as u64;
    let free = capacity.saturating_sub(state.used());
    (more > free).then(|| usize::try_from(free).unwrap_or(usize::MAX))
}

fn full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "the disk is full")
}

impl File for MemFile {
    fn len(&self) -> io::Result<u64> {
        self.alive(|state| Ok(state.nodes[self.node].shown.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let at = size(offset)?;
        self.alive(|state| {
            if state.faults.failing_reads {
                return Err(io::Error::other("read failed as told"));
            }
            state.counts.reads += 1;
            let rest = state.nodes[self.node].shown.get(at..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = size(offset)?;
        self.alive(|state| {
            self.may_write(state)?;
            let number = state.operate(&self.inner.world)?;
            let len = state.nodes[self.node].shown.len();
            let short = shortage(state, len, at + bytes.len());
            let fits = match short {
                Some(free) => bytes.len().min((len + free).saturating_sub(at)),
                None => bytes.len(),
            };
            let node = &mut state.nodes[self.node];
            if fits > 0 {
                put(&mut node.shown, at, &bytes[..fits]);
                node.pending.push((number, Change::Write { offset, bytes: bytes[..fits].to_vec() }));
            }
            state.counts.writes += 1;
            state.counts.bytes += fits as u64;
            self.inner.world.note(offset ^ ((fits as u64) << 40) ^ number.rotate_left(13));
            if short.is_some() { Err(full()) } else { Ok(()) }
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let end = size(len)?;
        self.alive(|state| {
            self.may_write(state)?;
            let number = state.operate(&self.inner.world)?;
            if shortage(state, state.nodes[self.node].shown.len(), end).is_some() {
                return Err(full());
            }
            let node = &mut state.nodes[self.node];
            node.shown.resize(end, 0);
            node.pending.push((number, Change::SetLen(len)));
            Ok(())
        })
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            let begun = self.alive(|state| {
                let mark = state.operate(&self.inner.world)?;
                Ok((mark, state.sync_time()))
            });
            let (mark, time) = unless_dark(&self.inner, begun).await?;
            self.inner.world.sleep(time).await;
            let ended = self.alive(|state| {
                state.operate(&self.inner.world)?;
                if state.sync_fails() {
                    let State { nodes, rng, .. } = state;
                    nodes[self.node].spoil(mark, rng);
                    return Err(io::Error::other("sync failed as told"));
                }
                state.nodes[self.node].settle(mark);
                state.counts.syncs += 1;
                self.inner.world.note(mark);
                Ok(())
            });
            unless_dark(&self.inner, ended).await
        })
    }
}
