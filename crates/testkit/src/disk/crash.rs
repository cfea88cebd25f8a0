//! What a power cut leaves of a file. Per file, by the seed, one of: nothing of the unsynced writes; all of them; a prefix of
//! them with the next one torn; or any mixture of sectors.
//!
//! In the mixture each 512-byte sector stands, on its own, at some moment of its history: as last synced, or after some
//! number of the unsynced writes that touched it; rarely it is torn inside. A length may have reached the disk before
//! the data: then the missing sectors are zeros. (What journalling file systems promise less about: Pillai et al., "All
//! File Systems Are Not Created Equal", OSDI 2014.)

use std::collections::BTreeMap;

use super::{Change, Node, files::put};
use crate::rng::Rng;

/// Unit that a drive writes at once.
const SECTOR: usize = 512;

/// Which moment of its history a sector stands at.
struct Fate {
    /// So many of the writes that touched it are on the disk.
    kept: u64,
    /// So many have been replayed.
    seen: u64,
    /// The last kept one is cut after so many bytes.
    torn: Option<usize>,
}

impl Node {
    /// Leaves what a power cut leaves.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        self.lose(rng);
        self.shown.clone_from(&self.safe);
    }

    /// Brings some of the pending changes to the disk and forgets the rest.
    pub(super) fn lose(&mut self, rng: &mut Rng) {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return;
        }
        match rng.below(8) {
            0 => {}
            1 => pending.iter().for_each(|(_, change)| whole(&mut self.safe, change)),
            2 | 3 => prefix(&mut self.safe, &pending, rng),
            _ => sectors(&mut self.safe, &pending, rng),
        }
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(0)
}

fn whole(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes } => put(content, place(*offset), bytes),
        Change::SetLen(len) => content.resize(place(*len), 0),
    }
}

fn prefix(content: &mut Vec<u8>, pending: &[(u64, Change)], rng: &mut Rng) {
    let kept = rng.index(pending.len() + 1);
    pending[..kept].iter().for_each(|(_, change)| whole(content, change));
    if let Some((_, Change::Write { offset, bytes })) = pending.get(kept) {
        let cut = rng.index(bytes.len() + 1);
        put(content, place(*offset), &bytes[..cut]);
        let end = place(*offset) + bytes.len();
        if rng.chance(1, 2) && content.len() < end {
            content.resize(end, 0);
        }
    }
}

fn sectors(content: &mut Vec<u8>, pending: &[(u64, Change)], rng: &mut Rng) {
    let mut touched: BTreeMap<usize, u64> = BTreeMap::new();
    for (offset, bytes) in pending.iter().filter_map(|(_, change)| write_of(change)) {
        for (sector, _) in pieces(offset, bytes) {
            *touched.entry(sector).or_default() += 1;
        }
    }
    let luck = [1, 4, 7][rng.index(3)];
    let mut fates: BTreeMap<usize, Fate> =
        touched.into_iter().map(|(sector, writes)| (sector, fate(writes, luck, rng))).collect();
    let mut end = content.len();
    for (_, change) in pending {
        match change {
            Change::SetLen(len) => {
                if rng.chance(1, 2) {
                    content.resize(place(*len), 0);
                }
                end = place(*len);
            }
            Change::Write { offset, bytes } => {
                for (sector, (at, piece)) in pieces(place(*offset), bytes) {
                    if let Some(fate) = fates.get_mut(&sector) {
                        fate.replay(content, at, piece);
                    }
                }
                end = end.max(place(*offset) + bytes.len());
            }
        }
    }
    if rng.chance(1, 2) && content.len() < end {
        content.resize(end, 0);
    }
}

/// Chooses a moment: all with `luck` in eight, otherwise any.
fn fate(writes: u64, luck: u64, rng: &mut Rng) -> Fate {
    let kept = if rng.chance(luck, 8) { writes } else { rng.below(writes + 1) };
    let torn = rng.chance(1, 16).then(|| rng.index(SECTOR));
    Fate { kept, seen: 0, torn }
}

impl Fate {
    fn replay(&mut self, content: &mut Vec<u8>, at: usize, piece: &[u8]) {
        self.seen += 1;
        if self.seen > self.kept {
            return;
        }
        let cut = self.torn.filter(|_| self.seen == self.kept).unwrap_or(SECTOR);
        put(content, at, &piece[..piece.len().min(cut)]);
    }
}

fn write_of(change: &Change) -> Option<(usize, &[u8])> {
    match change {
        Change::Write { offset, bytes } => Some((place(*offset), bytes)),
        Change::SetLen(_) => None,
    }
}

/// The parts of a write that fall into each sector, with their offsets.
fn pieces(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, (usize, &[u8]))> {
    let mut at = offset;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
        let item = (at / SECTOR, (at, piece));
        at += piece.len();
        rest = after;
        Some(item)
    })
}
