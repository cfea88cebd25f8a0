//! The tree's files in the layout of C2SP `tlog-tiles`: `tile/<level>/<index>[.p/<width>]` with 256 hashes each, and
//! `tile/entries/<index>[.p/<width>]` with the leaves, each after its 16-bit big-endian length.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use tendon_kernel::{
    Result,
    context::{Disk, Open},
};

use crate::{
    breath::breathe,
    format::{corrupt, disk_error},
    tree::{Hash, Nodes, WIDTH, full_root},
};

/// A tile of hashes, or a bundle of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tile {
    /// `None`: a bundle of entries.
    pub(crate) level: Option<u8>,
    pub(crate) index: u64,
    /// Hashes or leaves in it, 1 to 256.
    pub(crate) width: usize,
}

impl Tile {
    /// The tile's path below the ledger's folder, as `tlog-tiles` has it.
    pub(crate) fn path(&self) -> String {
        let stem = self.stem();
        if self.width < WIDTH { format!("{stem}.p/{}", self.width) } else { stem }
    }

    /// Whether it is full and lies wholly below a tree of this size.
    pub(crate) fn is_covered(&self, size: u64) -> bool {
        let shift = 8 * (u32::from(self.level.unwrap_or(0)) + 1);
        let end =
            self.index.checked_add(1).and_then(|after| after.checked_shl(shift).filter(|end| end >> shift == after));
        self.width == WIDTH && end.is_some_and(|end| end <= size)
    }

    /// The path without its width.
    pub(crate) fn stem(&self) -> String {
        let mut index = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            index = format!("x{:03}/{index}", rest % 1000);
            rest /= 1000;
        }
        match self.level {
            None => format!("tile/entries/{index}"),
            Some(level) => format!("tile/{level}/{index}"),
        }
    }

    /// The tile of a path below the ledger's folder; `None` when the path is not exactly a tile's.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/")?;
        let (level, rest) = rest.split_once('/')?;
        let level = if level == "entries" { None } else { Some(level.parse().ok()?) };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().ok()?),
            None => (rest, WIDTH),
        };
        let mut number = 0u64;
        for part in index.split('/') {
            number = number.checked_mul(1000)?.checked_add(part.trim_start_matches('x').parse().ok()?)?;
        }
        let tile = Self { level, index: number, width };
        (tile.path() == path && (1..=WIDTH).contains(&width)).then_some(tile)
    }

    /// First leaf below the tile's hash with this number.
    pub(crate) fn first_leaf(&self, hash: usize) -> u64 {
        let shift = 8 * u32::from(self.level.unwrap_or(0));
        (self.index * WIDTH as u64 + hash as u64).checked_shl(shift).unwrap_or(u64::MAX)
    }
}

/// The partial tiles and the partial bundle of a tree of that size.
pub(crate) fn edge(size: u64) -> Vec<Tile> {
    let mut out = Vec::new();
    let mut hashes = size;
    for level in 0u8.. {
        let width = usize::try_from(hashes % WIDTH as u64).unwrap_or(0);
        let index = hashes / WIDTH as u64;
        if width > 0 {
            if level == 0 {
                out.push(Tile { level: None, index, width });
            }
            out.push(Tile { level: Some(level), index, width });
        }
        hashes /= WIDTH as u64;
        if hashes == 0 {
            break;
        }
    }
    out
}

/// The bytes of a tile of hashes.
pub(crate) fn hash_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// The hashes in a tile's bytes.
pub(crate) fn hashes_of(bytes: &[u8]) -> Vec<Hash> {
    bytes.chunks_exact(32).filter_map(|chunk| chunk.try_into().ok()).collect()
}

/// Appends a leaf to a bundle.
pub(crate) fn push_leaf(bundle: &mut Vec<u8>, leaf: &[u8]) {
    bundle.extend_from_slice(&u16::try_from(leaf.len()).unwrap_or(0).to_be_bytes());
    bundle.extend_from_slice(leaf);
}

/// The leaves of a bundle; `None` when its lengths do not fit.
pub(crate) fn leaves_of(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut out = Vec::new();
    while !bundle.is_empty() {
        let (len, rest) = bundle.split_first_chunk::<2>()?;
        let (leaf, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        out.push(leaf);
        bundle = rest;
    }
    Some(out)
}

/// Reads a whole file.
pub(crate) fn read_file(disk: &dyn Disk, path: &str) -> std::io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Read)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Reads a tile.
///
/// # Errors
/// `Corrupt` when it is missing or of the wrong size.
pub(crate) fn read(disk: &dyn Disk, folder: &str, tile: Tile) -> Result<Vec<u8>> {
    let path = format!("{folder}/{}", tile.path());
    let bytes = read_file(disk, &path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            corrupt("ledger_tile", "a tile of the ledger's tree is missing").with("file", &path)
        } else {
            disk_error("read a tile", &path, &error)
        }
    })?;
    if tile.level.is_some() && bytes.len() != tile.width * 32 {
        return Err(corrupt("ledger_tile", "a tile of the ledger's tree has a wrong length").with("file", &path));
    }
    Ok(bytes)
}

/// Files written and synced together.
const AT_ONCE: usize = 8;

/// Writes files and makes them durable: each file, then each folder, with new folders' parents. `known` remembers folders
/// that are durable already.
pub(crate) async fn write_all(
    disk: &dyn Disk,
    folder: &str,
    files: &[&(Tile, Vec<u8>)],
    known: &mut BTreeSet<String>,
) -> Result<()> {
    let mut folders = BTreeSet::new();
    for some in files.chunks(AT_ONCE) {
        let mut open = Vec::with_capacity(some.len());
        for (tile, bytes) in some {
            let path = format!("{folder}/{}", tile.path());
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
            if folders.insert(parent.clone()) && !known.contains(&parent) {
                disk.create_folder(&parent).map_err(|error| disk_error("create a folder", &parent, &error))?;
            }
            let write = || {
                let file = disk.open(&path, Open::ReadWrite)?;
                file.set_len(bytes.len() as u64)?;
                file.write_at(bytes, 0)?;
                Ok(file)
            };
            open.push((write().map_err(|error| disk_error("write a tile", &path, &error))?, path));
            breathe().await;
        }
        // Together, so that the file system can make many durable with one commit of its journal.
        let syncs = open.iter().map(|(file, path)| async move {
            file.sync().await.map_err(|error| disk_error("make a tile durable", path, &error))
        });
        for done in join_all(syncs).await {
            done?;
        }
    }
    // A new folder is durable only when its parent is synced, so all folders up to the ledger's own are.
    let mut all = folders.clone();
    for parent in folders.iter().filter(|parent| !known.contains(*parent)) {
        let mut at = parent.as_str();
        while let Some((up, _)) = at.rsplit_once('/') {
            if up.len() < folder.len() {
                break;
            }
            all.insert(up.to_owned());
            at = up;
        }
    }
    for parent in all.iter().rev() {
        disk.sync_folder(parent).await.map_err(|error| disk_error("make a folder durable", parent, &error))?;
    }
    known.extend(folders);
    Ok(())
}

/// Nodes of a tree of a given size, from its tiles on disk.
pub(crate) struct TileNodes<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) folder: &'a str,
    pub(crate) size: u64,
    /// Tiles read so far.
    pub(crate) read: BTreeMap<Tile, Vec<Hash>>,
}

impl Nodes for TileNodes<'_> {
    fn node(&mut self, level: u32, index: u64) -> Result<Hash> {
        let wrong = || corrupt("ledger_tile", "a node of the ledger's tree is missing").with("level", level);
        let tile_level = level / 8;
        let count = 1u64 << (level % 8);
        let first = index * count;
        let hashes = self.size >> (8 * tile_level);
        let tile_index = first / WIDTH as u64;
        let width = usize::try_from((hashes - tile_index * WIDTH as u64).min(WIDTH as u64)).unwrap_or(WIDTH);
        let tile = Tile { level: Some(u8::try_from(tile_level).map_err(|_| wrong())?), index: tile_index, width };
        if !self.read.contains_key(&tile) {
            self.read.insert(tile, hashes_of(&read(self.disk, self.folder, tile)?));
        }
        let hashes = self.read.get(&tile).ok_or_else(wrong)?;
        let at = usize::try_from(first % WIDTH as u64).unwrap_or(0);
        let count = usize::try_from(count).unwrap_or(1);
        hashes.get(at..at + count).map(full_root).ok_or_else(wrong)
    }
}
