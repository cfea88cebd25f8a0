//! The parts of verifying that look at whole files: the keyring's slots, the tree's tiles, and files that do not belong.

use std::collections::{BTreeMap, BTreeSet};

use tendon_kernel::{
    Result,
    context::{Disk, File, Open},
    sockets::secrets::Keys,
};

use crate::{
    cache::Cache,
    format::disk_error,
    keyring::{SLOT, Slot, Wrapper, is_erased, plausible},
    leaf::Leaf,
    seal::{Binding, SlotKey, commitments, open},
    tiles::{Tile, edge, hash_bytes, push_leaf, read_file},
    tree::{Full, Hash, Tree, WIDTH},
};

/// What is said of a keyring whose last slot is not whole.
pub(crate) const RAGGED: &str = "the keyring ends within a slot";

/// How often a keyring that looks damaged is read again while a process may be writing it.
const LIVE_READS: usize = 5;
/// Slots read at once.
const PAGE: usize = 1 << 14;

/// The keyring's slots.
pub(crate) struct Slots {
    file: Option<std::sync::Arc<dyn File>>,
    path: String,
    wrapper: Option<Wrapper>,
    count: u64,
    ragged: bool,
    /// Slots that hold zeros.
    pub(crate) empty: BTreeSet<u64>,
    /// Slots whose bytes are wrong, and why.
    pub(crate) damaged: BTreeMap<u64, String>,
    /// Slots that entries erase, with the first such entry.
    pub(crate) erased: BTreeMap<u64, u64>,
    used: BTreeMap<u64, u64>,
    cache: Cache<u64, SlotKey>,
}

impl Slots {
    /// Reads the keyring. While it may be written (`live`), what looks damaged is read again.
    pub(crate) fn load(disk: &dyn Disk, folder: &str, keys: Option<&dyn Keys>, live: bool) -> Result<Self> {
        let path = format!("{folder}/keyring");
        let wrapper = keys.map(|keys| Wrapper::new(&keys.key("ledger-slots")?)).transpose()?;
        let file = match disk.open(&path, Open::Read) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(disk_error("read its keyring", &path, &error)),
        };
        let mut out = Self {
            file,
            path,
            wrapper,
            count: 0,
            ragged: false,
            empty: BTreeSet::new(),
            damaged: BTreeMap::new(),
            erased: BTreeMap::new(),
            used: BTreeMap::new(),
            cache: Cache::new(1024),
        };
        for _ in 0..if live { LIVE_READS } else { 1 } {
            out.scan()?;
            if out.damaged.is_empty() && !out.ragged {
                break;
            }
        }
        Ok(out)
    }

    fn scan(&mut self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        self.empty.clear();
        self.damaged.clear();
        self.count = 0;
        let mut buffer = vec![0; PAGE * SLOT];
        loop {
            let read = file
                .read_at(&mut buffer, self.count * SLOT as u64)
                .map_err(|error| disk_error("read its keyring", &self.path, &error))?;
            let bytes = buffer.get(..read).unwrap_or_default();
            for slot in bytes.chunks_exact(SLOT) {
                let number = self.count;
                self.count += 1;
                if is_erased(slot) {
                    self.empty.insert(number);
                } else if !plausible(number, slot) {
                    self.damaged.insert(number, format!("slot {number} is damaged"));
                } else if self
                    .wrapper
                    .as_ref()
                    .is_some_and(|wrapper| matches!(wrapper.unwrap(number, slot), Slot::Damaged))
                {
                    self.damaged.insert(number, format!("slot {number} was not wrapped with this project's key"));
                }
            }
            self.ragged = read % SLOT != 0;
            if read < buffer.len() {
                return Ok(());
            }
        }
    }

    /// What is wrong with the file as a whole.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut out = Vec::new();
        if self.file.is_none() {
            out.push("the keyring is missing".to_owned());
        }
        if self.ragged {
            out.push(RAGGED.to_owned());
        }
        out
    }

    /// An entry erases these slots.
    pub(crate) fn note_erased(&mut self, slots: &[u64], seq: u64) {
        for slot in slots {
            self.erased.entry(*slot).or_insert(seq);
        }
    }

    /// An entry is sealed with this slot; remembered for slots that something is wrong with.
    pub(crate) fn note_used(&mut self, slot: u64, seq: u64) {
        if slot >= self.count {
            self.damaged.entry(slot).or_insert_with(|| format!("slot {slot} is missing"));
        }
        if self.damaged.contains_key(&slot) || self.empty.contains(&slot) {
            self.used.entry(slot).or_insert(seq);
        }
    }

    pub(crate) fn first_use(&self, slot: u64) -> Option<u64> {
        self.used.get(&slot).copied()
    }

    fn bytes(&self, slot: u64) -> Result<Vec<u8>> {
        let mut out = vec![0; SLOT];
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        let read = file
            .read_at(&mut out, slot.saturating_mul(SLOT as u64))
            .map_err(|error| disk_error("read its keyring", &self.path, &error))?;
        out.truncate(read);
        Ok(out)
    }

    /// Whether the slot holds zeros by now.
    pub(crate) fn is_empty_now(&self, slot: u64) -> Result<bool> {
        Ok(is_erased(&self.bytes(slot)?))
    }

    /// The key of a slot; `None` without the project's keys, when it was erased, or when the slot itself is reported.
    pub(crate) fn key(&mut self, slot: u64) -> std::result::Result<Option<SlotKey>, &'static str> {
        if self.wrapper.is_none() || self.empty.contains(&slot) || self.damaged.contains_key(&slot) {
            return Ok(None);
        }
        if let Some(key) = self.cache.get(&slot) {
            return Ok(Some(key));
        }
        let bytes = self.bytes(slot).map_err(|_| "the slot cannot be read")?;
        match self.wrapper.as_ref().map(|wrapper| wrapper.unwrap(slot, &bytes)) {
            Some(Slot::Key(key)) => {
                self.cache.put(slot, key.clone());
                Ok(Some(key))
            }
            // Erased since the keyring was read.
            Some(Slot::Erased) | None => Ok(None),
            Some(Slot::Damaged) => Err("the slot is damaged"),
        }
    }
}

/// The tree over the entries, and the tiles on disk that must agree with it.
pub(crate) struct Forest {
    tree: Tree,
    /// Tiles that exist and were not compared yet.
    on_disk: BTreeSet<Tile>,
    /// Entries that tiles must exist for.
    covered: u64,
    bundle: Vec<u8>,
    /// Ends of the leaves in the bundle.
    ends: Vec<usize>,
    /// Tiles of the right edge, read early.
    kept: BTreeMap<Tile, Vec<u8>>,
}

impl Forest {
    pub(crate) fn new(on_disk: BTreeSet<Tile>, covered: u64) -> Self {
        let (bundle, ends, kept) = Default::default();
        Self { tree: Tree::default(), on_disk, covered, bundle, ends, kept }
    }

    /// Reads the tiles of the right edge now.
    pub(crate) fn keep_edge(&mut self, disk: &dyn Disk, folder: &str) {
        for tile in edge(self.covered) {
            if let Ok(bytes) = read_file(disk, &format!("{folder}/{}", tile.path())) {
                self.kept.insert(tile, bytes);
            }
        }
    }

    pub(crate) fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Adds a leaf and compares the tiles that are complete with it.
    pub(crate) fn push(&mut self, disk: &dyn Disk, folder: &str, leaf: &[u8], hash: Hash) -> Vec<Found> {
        let mut found = Vec::new();
        push_leaf(&mut self.bundle, leaf);
        self.ends.push(self.bundle.len());
        for full in self.tree.push(hash) {
            let Full { level, index, hashes } = full;
            if level == 0 {
                let bundle = std::mem::take(&mut self.bundle);
                let ends = std::mem::take(&mut self.ends);
                self.compare(disk, folder, None, index, &bundle, &ends, &mut found);
            }
            let ends: Vec<usize> = (1..=WIDTH).map(|width| width * 32).collect();
            self.compare(disk, folder, Some(level), index, &hash_bytes(&hashes), &ends, &mut found);
        }
        found
    }

    /// Compares all tiles of this index, partial or full, with the bytes they must begin with.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call for bundles, one for hashes; a struct would only rename them"
    )]
    fn compare(
        &mut self,
        disk: &dyn Disk,
        folder: &str,
        level: Option<u8>,
        index: u64,
        bytes: &[u8],
        ends: &[usize],
        found: &mut Vec<Found>,
    ) {
        let span = Tile { level, index, width: 1 }..=Tile { level, index, width: WIDTH };
        let mut there: BTreeSet<Tile> = self.on_disk.range(span).copied().collect();
        // Tiles that the checkpoint needs are looked for also when the listing does not show them.
        let shift = 8 * u32::from(level.unwrap_or(0));
        let needed = (self.covered >> shift).saturating_sub(index * WIDTH as u64).min(WIDTH as u64);
        if needed > 0 {
            there.insert(Tile { level, index, width: usize::try_from(needed).unwrap_or(WIDTH) });
        }
        for tile in there {
            self.on_disk.remove(&tile);
            let Some(expected) = ends.get(tile.width - 1).and_then(|end| bytes.get(..*end)) else {
                found.push((None, tile.path(), "the tile holds more than the ledger".into()));
                continue;
            };
            let actual =
                self.kept.remove(&tile).map_or_else(|| read_file(disk, &format!("{folder}/{}", tile.path())), Ok);
            match actual {
                Ok(actual) if actual == expected => {}
                Ok(actual) => {
                    let entry = first_concerned(tile, expected, &actual);
                    found.push((Some(entry), tile.path(), "the tile does not agree with the entry".into()));
                }
                Err(_) => {
                    found.push((Some(tile.first_leaf(0)), tile.path(), "the tile is missing or cannot be read".into()));
                }
            }
        }
    }

    /// Compares the tiles of the right edge; what is left over belongs to no entry.
    pub(crate) fn finish(&mut self, disk: &dyn Disk, folder: &str, tail: bool) -> Vec<Found> {
        let mut found = Vec::new();
        let size = self.tree.size();
        let bundle = std::mem::take(&mut self.bundle);
        let ends = std::mem::take(&mut self.ends);
        self.compare(disk, folder, None, size / WIDTH as u64, &bundle, &ends, &mut found);
        let levels: Vec<Vec<Hash>> = self.tree.levels().to_vec();
        for (level, hashes) in (0u8..).zip(&levels) {
            let index = size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
            let ends: Vec<usize> = (1..=hashes.len()).map(|width| width * 32).collect();
            self.compare(disk, folder, Some(level), index, &hash_bytes(hashes), &ends, &mut found);
        }
        if tail {
            let left: Vec<Tile> = self.on_disk.iter().copied().collect();
            found.extend(left.into_iter().map(|tile| (None, tile.path(), "the tile belongs to no entry".to_owned())));
        }
        found
    }
}

/// All tiles below the ledger's folder.
pub(crate) fn tiles_on_disk(disk: &dyn Disk, folder: &str) -> Result<BTreeSet<Tile>> {
    Ok(walk(disk, folder, "tile")?.iter().filter_map(|path| Tile::parse(path)).collect())
}

/// Files below the ledger's folder that nothing accounts for.
pub(crate) fn strangers(disk: &dyn Disk, folder: &str) -> Result<Vec<String>> {
    let mut out = walk(disk, folder, "tile")?;
    out.retain(|path| Tile::parse(path).is_none());
    for name in list(disk, folder)? {
        match name.as_str() {
            "checkpoint" | "keyring" | "ledger.pub" | "segments/" | "tile/" => {}
            _ => out.push(name),
        }
    }
    Ok(out)
}

fn list(disk: &dyn Disk, folder: &str) -> Result<Vec<String>> {
    disk.list(folder).map_err(|error| disk_error("list its files", folder, &error))
}

fn walk(disk: &dyn Disk, folder: &str, below: &str) -> Result<Vec<String>> {
    let mut out = Vec::new();
    let mut folders = vec![below.to_owned()];
    while let Some(at) = folders.pop() {
        for name in list(disk, &format!("{folder}/{at}"))? {
            match name.strip_suffix('/') {
                Some(inner) => folders.push(format!("{at}/{inner}")),
                None => out.push(format!("{at}/{name}")),
            }
        }
    }
    Ok(out)
}

/// What is wrong with a payload, as far as the keys tell.
pub(crate) fn payload(origin: &str, leaf: &Leaf, sealed: &[u8], slots: &mut Slots) -> Option<&'static str> {
    let key = match slots.key(leaf.slot) {
        Ok(Some(key)) => key,
        Ok(None) => return None,
        Err(what) => return Some(what),
    };
    let binding = Binding { origin, id: leaf.facts.id, kind: leaf.facts.kind, slot: leaf.slot };
    match open(&key, &binding, sealed) {
        Err(_) => Some("the payload cannot be opened with its slot's key"),
        Ok(opened) if commitments(&opened.keys, &opened.body) != leaf.commits => {
            Some("the payload's content is not what the leaf commits to")
        }
        Ok(_) => None,
    }
}

/// A finding of the files: entry, file below the ledger's folder, what.
pub(crate) type Found = (Option<u64>, String, String);

/// For a tile that differs: the first entry concerned.
fn first_concerned(tile: Tile, expected: &[u8], found: &[u8]) -> u64 {
    let differs = expected.iter().zip(found).position(|(left, right)| left != right);
    let at = differs.unwrap_or(expected.len().min(found.len()));
    if tile.level.is_some() {
        return tile.first_leaf((at / 32).min(tile.width - 1));
    }
    let (mut end, mut leaf) = (0, 0);
    while leaf + 1 < tile.width {
        let Some(len) = expected.get(end..end + 2).and_then(|len| len.try_into().ok()) else { break };
        end += 2 + usize::from(u16::from_be_bytes(len));
        if at < end {
            break;
        }
        leaf += 1;
    }
    tile.first_leaf(leaf)
}
