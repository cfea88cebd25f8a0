//! Copies of a ledger: a backup is one, a restored ledger another. A copy goes up to the source's last checkpoint, so that it can be
//! taken while a process writes; copied again, it takes what came since, and only after proving that the source merely
//! extends what the copy holds. Two that parted, or a source that is behind its own backup, are a fork, and refused.
//!
//! The record and its keys are copied apart. The record alone opens nothing, so it may be kept for years; the keyring is
//! replaced by each copy, so that a slot erased since is gone from it, too (see `docs/backup.md`).

use std::collections::BTreeMap;

use tendon_kernel::{
    Error, ErrorKind, Result,
    context::{Disk, Open},
    sockets::ledger::Facts,
};

use crate::{
    book::Book,
    checkpoint::{self, Head},
    format::{corrupt, disk_error},
    publish::write_whole,
    segment::{self, Broken, Reader},
    tiles::{self, Tile, TileNodes, hashes_of, read_file},
    tree::{self, Hash, WIDTH},
};

/// Looks at a checkpoint that a running process replaced meanwhile.
const LOOKS: usize = 20;
/// Bytes copied at once.
const CHUNK: usize = 1 << 20;

/// Tiles with their bytes.
type Tiles = Vec<(Tile, Vec<u8>)>;

/// A ledger, or a copy of one.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Where.
    pub disk: &'a dyn Disk,
    /// Its folder there.
    pub folder: &'a str,
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The log's name.
    pub origin: String,
    /// Entries that the copy holds now.
    pub entries: u64,
    /// Entries that it held before.
    pub before: u64,
    /// Bytes of entries copied.
    pub bytes: u64,
    /// The checkpoint that covers the copy.
    pub checkpoint: String,
}

impl Place<'_> {
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(name);
        match read_file(self.disk, &path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk_error("read a file", &path, &error)),
        }
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        let text = self.read(name)?.map(String::from_utf8).transpose();
        text.map_err(|_| corrupt("ledger_checkpoint", "a file of the ledger is no text").with("file", self.path(name)))
    }

    /// The last checkpoint, with the tiles of its right edge, which a running process removes with the next.
    fn head(&self, key: &str) -> Result<(Head, String, Tiles)> {
        let mut looks = 0;
        loop {
            let text = self.text("checkpoint")?.ok_or_else(|| none(self.folder))?;
            let head = checkpoint::verify(&text, key)?;
            let edge = tiles::edge(head.size).into_iter();
            match edge.map(|tile| Ok((tile, tiles::read(self.disk, self.folder, tile)?))).collect::<Result<_>>() {
                Ok(edge) => return Ok((head, text, edge)),
                Err(error) if looks == LOOKS || self.text("checkpoint")?.as_ref() == Some(&text) => return Err(error),
                Err(_) => looks += 1,
            }
        }
    }
}

/// Copies what the source's last checkpoint covers and the target does not hold; the target is a copy of the same ledger, or
/// nothing. A copy that was cut off is finished by the next.
///
/// # Errors
/// `NotFound` without a ledger at the source; `Conflict` where the target is another ledger's, or the two are a fork;
/// `Corrupt`; `Unavailable` when a disk refuses.
pub async fn copy(from: Place<'_>, to: Place<'_>) -> Result<Copied> {
    let key_line = from.text("ledger.pub")?.ok_or_else(|| none(from.folder))?;
    let key = key_line.trim_end();
    match to.text("ledger.pub")? {
        Some(other) if other != key_line => return Err(other_ledger(to.folder)),
        _ => {}
    }
    let (head, text, edge) = from.head(key)?;
    let before = to.text("checkpoint")?.map(|text| checkpoint::verify(&text, key)).transpose()?;
    let before = before.unwrap_or(Head { size: 0, root: tree::empty_root() });
    extends(from, head, before, hashes(&edge))?;
    for folder in ["segments", "tile"] {
        let folder = to.path(folder);
        to.disk.create_folder(&folder).map_err(|error| disk_error("create a folder", &folder, &error))?;
    }
    let bytes = entries(from, to, before.size, head.size).await?;
    let mut files = full_tiles(from, before.size, head.size)?;
    files.extend(edge);
    let files: Vec<_> = files.iter().collect();
    tiles::write_all(to.disk, to.folder, &files, &mut std::collections::BTreeSet::new()).await?;
    write_whole(to.disk, to.folder, "ledger.pub", key_line.as_bytes()).await?;
    // Last: what it covers is there.
    write_whole(to.disk, to.folder, "checkpoint", text.as_bytes()).await?;
    let kept = tiles::edge(head.size);
    for stale in tiles::edge(before.size).into_iter().filter(|tile| !kept.contains(tile)) {
        // One that stays is harmless: it verifies.
        drop(to.disk.remove(&to.path(&stale.path())));
    }
    let origin = checkpoint::origin_of(key).to_owned();
    Ok(Copied { origin, entries: head.size, before: before.size, bytes, checkpoint: text })
}

/// Copies the keys of the subjects, in place of those that were there: what was erased since is gone from the copy. After the
/// record, so that there is a key for each entry of it.
///
/// # Errors
/// `NotFound` without a keyring at the source; `Unavailable` when a disk refuses.
pub async fn copy_keyring(from: Place<'_>, to: Place<'_>) -> Result<()> {
    let keyring = from.read("keyring")?.ok_or_else(|| none(from.folder))?;
    to.disk.create_folder(to.folder).map_err(|error| disk_error("create a folder", to.folder, &error))?;
    write_whole(to.disk, to.folder, "keyring", &keyring).await
}

/// How many entries a signed checkpoint covers.
///
/// # Errors
/// `Corrupt` when it does not verify with the key.
pub fn covered(text: &str, public_key: &str) -> Result<u64> {
    checkpoint::verify(text, public_key.trim_end()).map(|head| head.size)
}

/// The hashes of tiles that were read.
fn hashes(tiles: &[(Tile, Vec<u8>)]) -> BTreeMap<Tile, Vec<Hash>> {
    let hashes = tiles.iter().filter(|(tile, _)| tile.level.is_some());
    hashes.map(|(tile, bytes)| (*tile, hashes_of(bytes))).collect()
}

/// Whether a tree holds an older one unchanged.
fn extends(from: Place<'_>, head: Head, before: Head, known: BTreeMap<Tile, Vec<Hash>>) -> Result<()> {
    if before.size > head.size {
        return Err(behind(head.size, before.size));
    }
    let mut nodes = TileNodes { disk: from.disk, folder: from.folder, size: head.size, read: known };
    if before.size > 0 && tree::root_at(&mut nodes, before.size)? != before.root {
        return Err(parted(before.size));
    }
    Ok(())
}

async fn entries(from: Place<'_>, to: Place<'_>, held: u64, size: u64) -> Result<u64> {
    let segments = segment::list(from.disk, from.folder)?;
    let mut copied = 0;
    for (at, first) in segments.iter().copied().enumerate().take_while(|(_, first)| *first < size) {
        let next = segments.get(at + 1).copied().unwrap_or(u64::MAX);
        if next > held {
            copied += segment(from, to, first, (held, next.min(size))).await?;
        }
    }
    let folder = to.path("segments");
    to.disk.sync_folder(&folder).await.map_err(|error| disk_error("make a folder durable", &folder, &error))?;
    Ok(copied)
}

/// Copies the entries of a segment from one position to another.
async fn segment(from: Place<'_>, to: Place<'_>, first: u64, (held, end): (u64, u64)) -> Result<u64> {
    let broken = |broken: Broken| {
        let error = corrupt("ledger_entry", broken.why).with("entry", broken.seq);
        error.with("file", segment::path(from.folder, first))
    };
    let mut reader = Reader::open(from.disk, from.folder, first)?.map_err(broken)?;
    let mut start = 0;
    loop {
        if reader.seq() == held {
            start = reader.offset();
        }
        if reader.seq() == end {
            break;
        }
        if reader.next()?.map_err(broken)?.is_none() {
            return Err(corrupt("ledger_entry", "entries of the ledger are missing").with("entry", reader.seq()));
        }
    }
    if first >= held {
        start = 0;
    }
    let (source, target) = (segment::path(from.folder, first), segment::path(to.folder, first));
    let reading = |error: std::io::Error| disk_error("read a segment", &source, &error);
    let writing = |error: std::io::Error| disk_error("copy a segment", &target, &error);
    let (input, output) = (
        from.disk.open(&source, Open::Read).map_err(reading)?,
        to.disk.open(&target, Open::ReadWrite).map_err(writing)?,
    );
    if output.len().map_err(writing)? < start {
        return Err(corrupt("ledger_entry", "the copy lacks entries that its checkpoint covers").with("file", &target));
    }
    let mut buffer = vec![0; CHUNK];
    let mut offset = start;
    while offset < reader.offset() {
        let most = usize::try_from(reader.offset() - offset).unwrap_or(CHUNK).min(CHUNK);
        let read = input.read_at(buffer.get_mut(..most).unwrap_or_default(), offset).map_err(reading)?;
        if read == 0 {
            return Err(reading(std::io::ErrorKind::UnexpectedEof.into()));
        }
        output.write_at(buffer.get(..read).unwrap_or_default(), offset).map_err(writing)?;
        offset += read as u64;
    }
    output.set_len(offset).map_err(writing)?;
    output.sync().await.map_err(writing)?;
    Ok(offset - start)
}

/// The tiles that became full between two sizes.
fn full_tiles(from: Place<'_>, held: u64, size: u64) -> Result<Tiles> {
    let mut files = Vec::new();
    let mut shift = 8;
    for level in 0u8.. {
        let (begin, end) = (held.checked_shr(shift).unwrap_or(0), size.checked_shr(shift).unwrap_or(0));
        for index in begin..end {
            for level in if level == 0 { vec![None, Some(0)] } else { vec![Some(level)] } {
                let tile = Tile { level, index, width: WIDTH };
                files.push((tile, tiles::read(from.disk, from.folder, tile)?));
            }
        }
        if end == 0 {
            break;
        }
        shift += 8;
    }
    Ok(files)
}

impl Book {
    /// Records erasures that a restored record does not know of, because they came after it: the newer keyring does. Gives how
    /// many subjects they concern.
    ///
    /// # Errors
    /// As an erasure's.
    pub async fn adopt_erasures(&self, facts: &Facts) -> Result<u64> {
        self.inner.adopt_erasures(facts).await
    }

    /// Whether this ledger holds what a signed checkpoint of it covers, unchanged: one that was published, or a backup's.
    ///
    /// # Errors
    /// `Conflict` when it does not: this is an older copy, or one that parted; `Corrupt` when the checkpoint is not signed with
    /// this ledger's key; `Unavailable` when the disk refuses.
    pub async fn holds(&self, text: &str) -> Result<()> {
        let known = checkpoint::verify(text, self.public_key())?;
        self.checkpoint().await?;
        let place = Place { disk: &*self.inner.context.disk, folder: &self.inner.folder };
        let (own, _, edge) = place.head(self.public_key())?;
        extends(place, own, known, hashes(&edge))
    }
}

fn none(folder: &str) -> Error {
    Error::new(ErrorKind::NotFound, "no_ledger", "there is no ledger in this folder").with("folder", folder)
}

fn other_ledger(folder: &str) -> Error {
    Error::new(ErrorKind::Conflict, "backup_other", "the folder holds a backup of another ledger")
        .with("folder", folder)
        .hint("each project needs a folder of its own for its backup")
}

fn behind(size: u64, known: u64) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "ledger_older",
        format!("this ledger ends at entry {size}, and a signed checkpoint of it covers {known}: this is an older copy"),
    )
    .hint("going on would fork the record: restore a newer backup; docs/backup.md tells what to do when the entries are lost")
}

fn parted(known: u64) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "ledger_fork",
        format!("this ledger and a signed checkpoint of it over {known} entries differ: two copies were written to"),
    )
    .hint("the record is forked: `tendon ledger verify --since CHECKPOINT` shows it; docs/backup.md tells what to do")
}
