//! Segments: the files of entries, and the write-ahead log of everything. A segment is a header and frames, one per
//! entry, without gaps; its name and header tell the position of its first entry. While a process writes it, and after that
//! process was killed, zeros may follow to the end of the file: room for the next frames (see `spare`).
//!
//! Header: `TNDSEG01` (8), first position (8, little-endian). Frame: leaf length (4), sealed length (4), CRC-32 (4), leaf,
//! sealed payload. The CRC covers position, lengths and content, so that a frame is valid in its place only; it finds
//! torn writes, the tree finds everything else.

use std::sync::Arc;

use tendon_kernel::{
    Result,
    context::{Disk, File, Open},
};

use crate::format::{MAX_LEAF, MAX_SEALED, corrupt, disk_error};

const MAGIC: [u8; 8] = *b"TNDSEG01";
/// Bytes before the first frame.
pub(crate) const HEADER: u64 = 16;
/// Bytes of a frame before its leaf.
pub(crate) const FRAME: usize = 12;
/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// Where an entry's frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// First position of the segment.
    pub(crate) segment: u64,
    /// Byte in the file.
    pub(crate) offset: u64,
}

/// The file of a segment.
pub(crate) fn path(folder: &str, first: u64) -> String {
    format!("{folder}/segments/{first:020}.seg")
}

/// First positions of all segments, ascending.
///
/// # Errors
/// `Corrupt` when a name is not a segment's.
pub(crate) fn list(disk: &dyn Disk, folder: &str) -> Result<Vec<u64>> {
    let folder = format!("{folder}/segments");
    let names = disk.list(&folder).map_err(|error| disk_error("list its segments", &folder, &error))?;
    names
        .iter()
        .map(|name| {
            let digits = name.strip_suffix(".seg").filter(|digits| digits.len() == 20);
            digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
                corrupt("ledger_file", "a file among the segments is no segment")
                    .with("file", format!("{folder}/{name}"))
            })
        })
        .collect()
}

/// The header of a segment.
pub(crate) fn header(first: u64) -> [u8; 16] {
    let mut out = [0; 16];
    out[..8].copy_from_slice(&MAGIC);
    out[8..].copy_from_slice(&first.to_le_bytes());
    out
}

fn checksum(seq: u64, lengths: &[u8], leaf: &[u8], sealed: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&seq.to_le_bytes());
    crc.update(lengths);
    crc.update(leaf);
    crc.update(sealed);
    crc.finalize()
}

/// Appends a frame. Lengths were checked when leaf and payload were made.
pub(crate) fn push_frame(out: &mut Vec<u8>, seq: u64, leaf: &[u8], sealed: &[u8]) {
    let mut lengths = [0; 8];
    lengths[..4].copy_from_slice(&u32::try_from(leaf.len()).unwrap_or(0).to_le_bytes());
    lengths[4..].copy_from_slice(&u32::try_from(sealed.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&lengths);
    out.extend_from_slice(&checksum(seq, &lengths, leaf, sealed).to_le_bytes());
    out.extend_from_slice(leaf);
    out.extend_from_slice(sealed);
}

/// Bytes of a frame.
pub(crate) fn frame_len(leaf: usize, sealed: usize) -> u64 {
    (FRAME + leaf + sealed) as u64
}

fn lengths(frame: &[u8]) -> Option<(usize, usize)> {
    let word = |at: usize| Some(u32::from_le_bytes(frame.get(at..at + 4)?.try_into().ok()?) as usize);
    let (leaf, sealed) = (word(0)?, word(4)?);
    (leaf > 0 && leaf <= MAX_LEAF && sealed > 0 && sealed <= MAX_SEALED).then_some((leaf, sealed))
}

/// A frame's content.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) seq: u64,
    pub(crate) place: Place,
    pub(crate) leaf: &'a [u8],
    pub(crate) sealed: &'a [u8],
}

/// Why reading stopped before the end of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Position of the entry that cannot be read.
    pub(crate) seq: u64,
    /// Where it would begin: all before is good.
    pub(crate) offset: u64,
    pub(crate) why: &'static str,
}

/// What is said of an entry that ends with its file.
pub(crate) const CUT_OFF: &str = "the entry is cut off";

/// Reads the frames of one segment in order.
pub(crate) struct Reader {
    file: Arc<dyn File>,
    path: String,
    first: u64,
    seq: u64,
    /// Byte in the file at which `buffer[start..]` begins.
    offset: u64,
    len: u64,
    chunk: usize,
    buffer: Vec<u8>,
    start: usize,
}

impl Reader {
    /// Opens a segment. `Ok(Err(…))`: its header is damaged.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub(crate) fn open(disk: &dyn Disk, folder: &str, first: u64) -> Result<Result<Self, Broken>> {
        let path = path(folder, first);
        let open = || {
            let file = disk.open(&path, Open::Read)?;
            let mut found = [0; 16];
            let read = file.read_at(&mut found, 0)?;
            let len = file.len()?;
            Ok((file, found, read, len))
        };
        let (file, found, read, len) = open().map_err(|error| disk_error("read a segment", &path, &error))?;
        if read < found.len() || found != header(first) {
            return Ok(Err(Broken { seq: first, offset: 0, why: "the segment's header is damaged" }));
        }
        Ok(Ok(Self { file, path, first, seq: first, offset: HEADER, len, chunk: CHUNK, buffer: Vec::new(), start: 0 }))
    }

    /// Goes on at an entry whose place is known.
    pub(crate) fn skip_to(&mut self, seq: u64, offset: u64) {
        (self.seq, self.offset) = (seq, offset);
        self.buffer.clear();
        self.start = 0;
    }

    /// Reads so many bytes at once from here on.
    pub(crate) fn by(&mut self, chunk: usize) {
        self.chunk = chunk;
    }

    /// Position of the next entry.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// Byte at which the next entry begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of the file when it was opened.
    pub(crate) fn file_len(&self) -> u64 {
        self.len
    }

    /// Where the zeros begin that end the file, at this entry's begin at the earliest.
    fn zeros(&self) -> Result<u64> {
        let mut chunk = vec![0; CHUNK];
        let (mut at, mut zeros) = (self.offset, self.offset);
        while at < self.len {
            let want = usize::try_from(self.len - at).unwrap_or(CHUNK).min(CHUNK);
            let read = self
                .file
                .read_at(chunk.get_mut(..want).unwrap_or_default(), at)
                .map_err(|error| disk_error("read a segment", &self.path, &error))?;
            if read == 0 {
                break;
            }
            if let Some(last) = chunk.iter().take(read).rposition(|byte| *byte != 0) {
                zeros = at + last as u64 + 1;
            }
            at += read as u64;
        }
        Ok(zeros)
    }

    /// What it means that no whole frame begins here, although one of so many bytes should: nothing but room follows; a
    /// process was killed while it wrote into that room; or `why`.
    fn ending(&self, bytes: usize, why: &'static str) -> Result<Result<(), Broken>> {
        let (end, zeros) = (self.offset + bytes as u64, self.zeros()?);
        let broken = |why| Err(Broken { seq: self.seq, offset: self.offset, why });
        Ok(match zeros {
            _ if zeros == self.offset => Ok(()),
            _ if zeros < end && (end < self.len || bytes == FRAME) => broken(CUT_OFF),
            _ => broken(why),
        })
    }

    fn need(&mut self, bytes: usize) -> Result<bool> {
        let have = self.buffer.len() - self.start;
        if have >= bytes {
            return Ok(true);
        }
        let left = self.len.saturating_sub(self.offset);
        if (bytes as u64) > left {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.max(self.chunk));
        self.buffer.resize(want, 0);
        let from = self.offset + have as u64;
        let read = self
            .file
            .read_at(self.buffer.get_mut(have..).unwrap_or_default(), from)
            .map_err(|error| disk_error("read a segment", &self.path, &error))?;
        self.buffer.truncate(have + read);
        Ok(self.buffer.len() >= bytes)
    }

    /// The next frame; `None` at the end of the file, or where only zeros follow.
    ///
    /// # Errors
    /// The outer one when the file cannot be read, the inner one when the bytes are no frame.
    pub(crate) fn next(&mut self) -> Result<Result<Option<Frame<'_>>, Broken>> {
        if self.offset == self.len {
            return Ok(Ok(None));
        }
        let whole = self.need(FRAME)?;
        let Some((leaf, sealed)) = self.buffer.get(self.start..).filter(|_| whole).and_then(lengths) else {
            let why = if whole { "the entry's lengths are damaged" } else { CUT_OFF };
            return Ok(self.ending(FRAME, why)?.map(|()| None));
        };
        let total = FRAME + leaf + sealed;
        if !self.need(total)? {
            return Ok(Err(Broken { seq: self.seq, offset: self.offset, why: CUT_OFF }));
        }
        let (seq, place) = (self.seq, Place { segment: self.first, offset: self.offset });
        let start = self.start;
        if self.buffer.get(start..start + total).is_none_or(|bytes| split(bytes, seq, leaf).is_none()) {
            let why = "the entry's checksum does not match its bytes";
            return Ok(self.ending(total, why)?.map(|()| None));
        }
        self.start += total;
        let content = self.buffer.get(start + FRAME..start + total).unwrap_or_default();
        let frame = content.split_at(leaf);
        self.seq += 1;
        self.offset += total as u64;
        Ok(Ok(Some(Frame { seq, place, leaf: frame.0, sealed: frame.1 })))
    }
}

/// Checks a frame's checksum and gives leaf and payload.
fn split(bytes: &[u8], seq: u64, leaf: usize) -> Option<(&[u8], &[u8])> {
    let (head, content) = bytes.split_at_checked(FRAME)?;
    let (leaf, sealed) = content.split_at_checked(leaf)?;
    let (lengths, crc) = head.split_at_checked(8)?;
    (checksum(seq, lengths, leaf, sealed).to_le_bytes() == *crc).then_some((leaf, sealed))
}

/// Reads one entry at a known place: its leaf and its sealed payload.
///
/// # Errors
/// `Corrupt` when no such entry is there.
pub(crate) fn read_one(disk: &dyn Disk, folder: &str, seq: u64, place: Place) -> Result<(Vec<u8>, Vec<u8>)> {
    let path = path(folder, place.segment);
    let wrong = || corrupt("ledger_entry", "an entry of the ledger is damaged").with("entry", seq).with("file", &path);
    let io = |error: std::io::Error| disk_error("read an entry", &path, &error);
    let file = disk.open(&path, Open::Read).map_err(io)?;
    let mut bytes = vec![0; 4096];
    let read = file.read_at(&mut bytes, place.offset).map_err(io)?;
    bytes.truncate(read);
    let (leaf, sealed) = lengths(&bytes).ok_or_else(wrong)?;
    let total = FRAME + leaf + sealed;
    if bytes.len() < total {
        let have = bytes.len();
        bytes.resize(total, 0);
        let read = file.read_at(&mut bytes[have..], place.offset + have as u64).map_err(io)?;
        bytes.truncate(have + read);
    }
    let (leaf, sealed) = bytes.get(..total).and_then(|bytes| split(bytes, seq, leaf)).ok_or_else(wrong)?;
    Ok((leaf.to_vec(), sealed.to_vec()))
}
