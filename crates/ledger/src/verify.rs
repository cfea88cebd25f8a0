//! Verifying a ledger: reads only, covers every byte of every file below its folder, and names the first wrong entry.
//!
//! While a process has the ledger open, what lies under the last checkpoint is verified; when none has (`tail`), the
//! rest too. What is compared: frames with their checksums, leaves with their canonical form, payloads with their digests (and,
//! with the keys, their content with the commitments), slots with their checksums (and keys), leaves with the tree, the tree
//! with tiles and checkpoints, the checkpoint with the public key, erasures with empty slots.

use tendon_kernel::{Error, ErrorKind, Result, context::Disk, sockets::secrets::Keys};

use crate::{
    checkpoint::{self, Head, Signer},
    format::sha256,
    leaf::Leaf,
    segment::{self, Broken, Frame, HEADER, Reader},
    tiles::read_file,
    tree::leaf_hash,
    verify_files::{Forest, Slots, payload, strangers, tiles_on_disk},
};

pub use crate::verify_crash::verify;

/// Most findings in a report.
const MOST: usize = 100;

/// While a process runs: how many entries behind the checkpoint an erasure may still be under way.
const UNDER_WAY: u64 = 1000;

/// What to verify with.
#[derive(Default)]
pub struct Options<'a> {
    /// The project's keys: payloads are opened and slots unwrapped with them.
    pub keys: Option<&'a dyn Keys>,
    /// The key that checkpoints must be signed with. Without it (and without `keys`) the ledger's own `ledger.pub` is
    /// taken, which proves consistency but not origin.
    pub public_key: Option<&'a str>,
    /// An older signed checkpoint: what it covers must be there unchanged.
    pub since: Option<&'a str>,
    /// No process has the ledger open: verify what lies behind the last checkpoint too.
    pub tail: bool,
    /// A copy that is being restored: its keyring is newer than its record, so slots may be empty that no entry of it erased.
    pub newer_keys: bool,
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The entry concerned, where one is.
    pub entry: Option<u64>,
    /// The file, below the context's disk.
    pub file: String,
    /// What is wrong.
    pub what: String,
}

/// What was verified and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The log's name.
    pub origin: String,
    /// Entries verified.
    pub entries: u64,
    /// Entries under the last checkpoint.
    pub checkpoint: u64,
    /// Bytes of entries read.
    pub bytes: u64,
    /// Slots whose key was erased.
    pub erased: u64,
    /// What is wrong, the first wrong entry first; at most 100.
    pub findings: Vec<Finding>,
    /// What a killed process left unfinished behind the checkpoint; the next start cuts it.
    pub unfinished: Vec<Finding>,
}

impl Report {
    /// Whether all is well.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Verifies once, as the options say.
pub(crate) fn pass(
    disk: &dyn Disk,
    folder: &str,
    options: &Options<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report> {
    let mut run = Run { disk, folder, options, report: Report::default(), found: Vec::new() };
    let public_key = run.public_key()?;
    run.report.origin = checkpoint::origin_of(&public_key).to_owned();
    let since = options.since.map(|text| checkpoint::verify(text, &public_key)).transpose()?;
    let (head, mut forest) = run.head(&public_key)?;
    run.report.checkpoint = head.map_or(0, |head| head.size);
    let mut slots = Slots::load(disk, folder, options.keys, !options.tail)?;
    for what in slots.complaints() {
        run.find(None, "keyring", what);
    }
    for stranger in strangers(disk, folder)? {
        run.find(None, &stranger, "the file does not belong to the ledger".into());
    }
    let whole = run.entries(head, since, &mut forest, &mut slots, progress)?;
    run.slots(&slots, whole)?;
    let mut report = run.report;
    report.erased = slots.empty.len() as u64;
    report.findings = run.found;
    report.findings.sort_by_key(|finding| finding.entry.map_or((1, 0), |entry| (0, entry)));
    report.findings.truncate(MOST);
    Ok(report)
}

struct Run<'a> {
    disk: &'a dyn Disk,
    folder: &'a str,
    options: &'a Options<'a>,
    report: Report,
    found: Vec<Finding>,
}

impl Run<'_> {
    fn find(&mut self, entry: Option<u64>, file: &str, what: String) {
        if self.found.len() < MOST {
            self.found.push(Finding { entry, file: format!("{}/{file}", self.folder), what });
        }
    }

    /// The key to verify with; checks `ledger.pub` against it.
    fn public_key(&mut self) -> Result<String> {
        let own = self.read("ledger.pub")?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let trusted = match (self.options.public_key, self.options.keys) {
            (Some(key), _) => Some(key.trim_end().to_owned()),
            (None, Some(keys)) => self.derived(keys, own.as_deref().unwrap_or_default())?,
            (None, None) => None,
        };
        match (own, trusted) {
            (None, None) => Err(Error::new(ErrorKind::NotFound, "no_ledger", "there is no ledger in this folder")
                .with("folder", self.folder)),
            (None, Some(key)) => {
                self.find(None, "ledger.pub", "the file is missing".into());
                Ok(key)
            }
            (Some(own), None) => {
                let key = own.strip_suffix('\n').unwrap_or(&own).to_owned();
                if own == key || key.contains('\n') {
                    self.find(None, "ledger.pub", "the file is not one line".into());
                }
                Ok(key)
            }
            (Some(own), Some(key)) => {
                if own != format!("{key}\n") {
                    self.find(None, "ledger.pub", "the key is not the one that this ledger must be signed with".into());
                }
                Ok(key)
            }
        }
    }

    /// The public key that follows from the project's keys and the log's name, which `ledger.pub` and the checkpoint tell;
    /// when they differ, the one under which the checkpoint verifies.
    fn derived(&self, keys: &dyn Keys, own: &str) -> Result<Option<String>> {
        let seed = keys.key("ledger-signing")?;
        let text =
            self.read("checkpoint")?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let origins = [checkpoint::origin_of(own), text.split('\n').next().unwrap_or_default()];
        let candidates: Vec<String> = origins
            .iter()
            .filter_map(|origin| Signer::new(origin, &seed).ok().map(|signer| signer.public_key().to_owned()))
            .collect();
        let verifies = candidates.iter().find(|key| checkpoint::verify(&text, key).is_ok());
        Ok(verifies.or(candidates.first()).cloned())
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = format!("{}/{name}", self.folder);
        match read_file(self.disk, &path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(crate::format::disk_error("read a file", &path, &error)),
        }
    }

    /// The last checkpoint, and the tiles of its right edge, read before a running process replaces them.
    fn head(&mut self, public_key: &str) -> Result<(Option<Head>, Forest)> {
        loop {
            let text = self.read("checkpoint")?;
            let head = match text.as_deref().map(std::str::from_utf8) {
                None => Err("the checkpoint is missing".to_owned()),
                Some(Err(_)) => Err("the checkpoint is no text".to_owned()),
                Some(Ok(text)) => checkpoint::verify(text, public_key).map_err(|error| error.message().to_owned()),
            };
            match head {
                Err(what) => {
                    self.find(None, "checkpoint", what);
                    return Ok((None, Forest::new(tiles_on_disk(self.disk, self.folder)?, 0)));
                }
                Ok(head) => {
                    let mut on_disk = tiles_on_disk(self.disk, self.folder)?;
                    if !self.options.tail {
                        // A running process writes tiles before the checkpoint that covers them.
                        let edge = crate::tiles::edge(head.size);
                        on_disk.retain(|tile| tile.is_covered(head.size) || edge.contains(tile));
                    }
                    let mut forest = Forest::new(on_disk, head.size);
                    forest.keep_edge(self.disk, self.folder);
                    // A newer checkpoint may have removed the edge while it was read.
                    if self.options.tail || self.read("checkpoint")? == text {
                        return Ok((Some(head), forest));
                    }
                }
            }
        }
    }

    /// Verifies all entries and the tree; false when something prevented reading them all.
    fn entries(
        &mut self,
        head: Option<Head>,
        since: Option<Head>,
        forest: &mut Forest,
        slots: &mut Slots,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<bool> {
        let (segments, total) = self.segments()?;
        let limit = if self.options.tail { u64::MAX } else { head.map_or(0, |head| head.size) };
        let mut walk = Walk { head, since, limit, seq: 0, done: 0, total };
        self.reached(&walk, forest);
        let whole = self.walk(&segments, &mut walk, forest, slots, progress)?;
        self.report.entries = walk.seq.min(walk.limit);
        if !whole {
            return Ok(false);
        }
        for (what, head) in [("the checkpoint", walk.head), ("the older checkpoint given", walk.since)] {
            if head.is_some_and(|head| head.size > walk.seq) {
                self.find(Some(walk.seq), "checkpoint", format!("{what} covers entries that are missing"));
                return Ok(false);
            }
        }
        let found = forest.finish(self.disk, self.folder, self.options.tail);
        found.into_iter().for_each(|(entry, file, what)| self.find(entry, &file, what));
        Ok(true)
    }

    /// Verifies segment by segment; false when something prevents going on.
    fn walk(
        &mut self,
        segments: &[u64],
        walk: &mut Walk,
        forest: &mut Forest,
        slots: &mut Slots,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<bool> {
        for (at, first) in segments.iter().copied().enumerate() {
            let next = segments.get(at + 1).copied();
            if first != walk.seq {
                self.find(Some(walk.seq), &segment_name(first), "entries are missing before this segment".into());
                return Ok(false);
            }
            let mut reader = match Reader::open(self.disk, self.folder, first)? {
                Ok(reader) => reader,
                Err(broken) => {
                    self.broken(walk, first, &broken);
                    return Ok(false);
                }
            };
            walk.done += HEADER;
            if !self.segment(&mut reader, next, walk, forest, slots, progress)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn segments(&self) -> Result<(Vec<u64>, u64)> {
        let segments = segment::list(self.disk, self.folder)?;
        let mut total = 0;
        for first in &segments {
            let path = segment::path(self.folder, *first);
            let len = self.disk.open(&path, tendon_kernel::context::Open::Read).and_then(|file| file.len());
            total += len.map_err(|error| crate::format::disk_error("read a segment", &path, &error))?;
        }
        Ok((segments, total))
    }

    /// Verifies one segment; false when verifying cannot go on behind it.
    fn segment(
        &mut self,
        reader: &mut Reader,
        next: Option<u64>,
        walk: &mut Walk,
        forest: &mut Forest,
        slots: &mut Slots,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<bool> {
        let first = walk.seq;
        while next != Some(walk.seq) {
            let frame = match reader.next()? {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(true),
                Err(broken) => {
                    self.broken(walk, first, &broken);
                    return Ok(false);
                }
            };
            let bytes = segment::frame_len(frame.leaf.len(), frame.sealed.len());
            walk.done += bytes;
            if walk.seq < walk.limit {
                self.frame(&frame, forest, slots);
                self.report.bytes += bytes;
            } else if let Ok(leaf) = Leaf::decode(frame.leaf) {
                slots.note_erased(&leaf.erased, frame.seq);
            }
            walk.seq += 1;
            if walk.seq <= walk.limit {
                self.reached(walk, forest);
            }
            if walk.seq.is_multiple_of(256) {
                progress(walk.done, walk.total);
            }
        }
        if reader.offset() != reader.file_len() && self.options.tail {
            self.find(Some(walk.seq), &segment_name(first), "the segment goes on behind its last entry".into());
        }
        progress(walk.done, walk.total);
        Ok(true)
    }

    fn broken(&mut self, walk: &Walk, first: u64, broken: &Broken) {
        if broken.seq < walk.limit {
            self.find(Some(broken.seq), &segment_name(first), broken.why.into());
        }
    }

    /// Compares roots where a checkpoint stands.
    fn reached(&mut self, walk: &Walk, forest: &Forest) {
        for (name, head) in [("checkpoint", walk.head), ("older checkpoint given", walk.since)] {
            if head.is_some_and(|head| head.size == walk.seq && head.root != forest.root()) {
                self.find(None, "checkpoint", format!("the entries do not lead to the root that the {name} signs"));
            }
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, forest: &mut Forest, slots: &mut Slots) {
        let name = segment_name(frame.place.segment);
        let seq = frame.seq;
        match Leaf::decode(frame.leaf) {
            Err(error) => self.find(Some(seq), &name, error.message().to_owned()),
            Ok(leaf) => {
                slots.note_erased(&leaf.erased, seq);
                slots.note_used(leaf.slot, seq);
                if sha256(frame.sealed) != leaf.sealed {
                    self.find(Some(seq), &name, "the payload is not the one that the leaf names".into());
                } else if let Some(what) = payload(&self.report.origin, &leaf, frame.sealed, slots) {
                    self.find(Some(seq), &name, what.into());
                }
            }
        }
        let found = forest.push(self.disk, self.folder, frame.leaf, leaf_hash(frame.leaf));
        found.into_iter().for_each(|(entry, file, what)| self.find(entry, &file, what));
    }

    /// Slots against the entries that used and, when all were read (`whole`), erased them.
    fn slots(&mut self, slots: &Slots, whole: bool) -> Result<()> {
        for (slot, what) in &slots.damaged {
            self.find(slots.first_use(*slot), "keyring", what.clone());
        }
        for slot in
            slots.empty.iter().filter(|slot| whole && !self.options.newer_keys && !slots.erased.contains_key(slot))
        {
            let what = format!("slot {slot} is empty, but no entry erased it");
            self.find(slots.first_use(*slot), "keyring", what);
        }
        // While a process runs, the last erasures may be under way: their entry comes before the empty slot.
        let settled = if self.options.tail { u64::MAX } else { self.report.checkpoint.saturating_sub(UNDER_WAY) };
        for (slot, seq) in slots.erased.iter().filter(|(_, seq)| **seq < settled) {
            if !slots.empty.contains(slot) && !slots.is_empty_now(*slot)? {
                self.find(Some(*seq), "keyring", format!("slot {slot} should be empty: the erasure was not finished"));
            }
        }
        Ok(())
    }
}

/// Where verifying stands.
struct Walk {
    head: Option<Head>,
    since: Option<Head>,
    /// Entries to verify; what follows is read for its erasures only.
    limit: u64,
    seq: u64,
    done: u64,
    total: u64,
}

fn segment_name(first: u64) -> String {
    format!("segments/{first:020}.seg")
}
