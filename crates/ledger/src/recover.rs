//! Opening: make or check the folder, take the last checkpoint and the tree's edge, scan what lies beyond, cut a torn tail, finish
//! erasures, let the projections catch up. Entries under a signed checkpoint are never cut: damage there is an error.
//! So is damage to entries that the projections prove were durable.

use std::sync::Arc;

use tendon_kernel::{
    Error, ErrorKind, Result,
    context::{Context, Disk, Open},
};

use crate::{
    book::{Book, Inner, Opened, Parts, Uncovered, closed},
    checkpoint::{self, Head, Signer},
    format::{corrupt, disk_error},
    index::{Index, Position},
    keyring::Keyring,
    leaf::Leaf,
    log::Log,
    projector::{self, Projector},
    publish::{self, Publisher, make_folder, write_whole},
    search::Search,
    segment::{self, Broken, HEADER, Place, Reader},
    spare,
    tiles::{self, read_file},
    tokens::Tokenizer,
    tree::{Tree, leaf_hash},
    writer,
};

/// Opens a ledger, creating it when its folder is empty; recovers from a crash; lets all projections catch up.
///
/// # Errors
/// `Config` when the folder holds a ledger of another origin or key; `Corrupt` when something under a checkpoint is
/// damaged; `Unavailable` when disk, store or keys refuse.
pub async fn open(parts: Parts) -> Result<Arc<Book>> {
    let Parts { context, store, keys, projections, origin, folder, settings } = parts;
    let signer = Signer::new(&origin, &keys.key("ledger-signing")?)?;
    let tokens = Arc::new(Tokenizer::new(&keys.key("tokens")?));
    let made = prepare_folder(&context, &folder, &signer).await?;
    spare::clear(&context, &folder)?;
    let text = String::from_utf8(read_all(&*context.disk, &format!("{folder}/checkpoint"))?)
        .map_err(|_| corrupt("ledger_checkpoint", "the checkpoint is no text"))?;
    let head = checkpoint::verify(&text, signer.public_key())?;
    let (tree, bundle) = load_edge(&*context.disk, &folder, &head)?;
    let index = Index::new(store, &origin, &projections);
    let recorded = index.position().await?;
    let mut position = known_position(&context, &folder, recorded);
    // Entries are projected when they are durable, so that what was projected is no torn tail. The rows of another ledger,
    // found under one that was made just now, prove nothing.
    let durable = recorded.filter(|_| settings.sync && !made).map_or(0, |position| position.count).max(head.size);
    let mut scanned = scan(&context, &folder, &index, (head.size, durable), position).await?;
    if position.is_some_and(|position| position.count > scanned.size) {
        // Without syncs the projections may be ahead of what a crash left: they are made anew.
        position = None;
        scanned = scan(&context, &folder, &index, (head.size, durable), None).await?;
    }
    if position.is_none() {
        index.wipe().await?;
    }
    let next_slot = scanned.next_slot;
    let path = format!("{folder}/keyring");
    let slots_key = keys.key("ledger-slots")?;
    let keyring = Keyring::open(&context, &path, &slots_key, settings.slots_ahead, next_slot).await?;
    redo_erasures(&keyring, &index, scanned.erased).await?;
    keyring.fill().await?;
    let publisher = Publisher::new(tree, bundle, text);
    let opened = Opened {
        context,
        origin,
        folder,
        settings,
        index,
        projections,
        tokens,
        signer,
        keyring,
        size: scanned.size,
        publisher,
        uncovered: scanned.uncovered,
    };
    let (inner, jobs) = opened.share();
    let mut projector = Projector { search: Search::default(), next_slot };
    inner.catch_up(&mut projector, position).await?;
    inner.remove_stale_tiles(head.size).await?;
    if !inner.index.erasures().await?.is_empty()
        && let Err(error) = inner.index.purge().await
    {
        // A crash may have come before an erasure's own purge.
        tracing::warn!(%error, detail = error.private_detail(), "an erasure before the last stop is not cleaned up");
    }
    inner.publish().await?;
    inner.spawn("ledger writer", writer::run(Arc::clone(&inner), jobs, scanned.log));
    inner.spawn("ledger projector", projector::run(Arc::clone(&inner), projector));
    inner.spawn("ledger publisher", publish::run(Arc::clone(&inner)));
    inner.spawn("ledger spare", spare::run(Arc::clone(&inner)));
    inner.spawn("ledger filters", load_filters(Arc::clone(&inner)));
    Ok(Arc::new(Book { inner }))
}

fn read_all(disk: &dyn Disk, path: &str) -> Result<Vec<u8>> {
    read_file(disk, path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            corrupt("ledger_file", "a file of the ledger is missing").with("file", path)
        } else {
            disk_error("read a file", path, &error)
        }
    })
}

/// Creates an empty ledger, or checks that the one there is this one. `ledger.pub` is made last: without it nothing was
/// ever accepted here. Tells whether it was made now.
async fn prepare_folder(context: &Context, folder: &str, signer: &Signer) -> Result<bool> {
    let path = format!("{folder}/ledger.pub");
    let expected = format!("{}\n", signer.public_key());
    match read_file(&*context.disk, &path) {
        Ok(found) if found == expected.as_bytes() => return Ok(false),
        Ok(_) => {
            return Err(Error::new(
                ErrorKind::Config,
                "ledger_other",
                "the folder holds a ledger of another origin or key",
            )
            .hint("open it with the key and project name it was made with, or choose another folder")
            .with("file", &path));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(disk_error("read its public key", &path, &error)),
    }
    if !segment::list(&*context.disk, folder)?.is_empty() {
        return Err(corrupt("ledger_file", "the ledger has entries but its public key is missing").with("file", &path));
    }
    make_folder(context, &format!("{folder}/segments")).await?;
    let keyring = format!("{folder}/keyring");
    let io = |error: std::io::Error| disk_error("create its keyring", &keyring, &error);
    let file = context.disk.open(&keyring, Open::ReadWrite).map_err(io)?;
    file.set_len(0).map_err(io)?;
    file.sync().await.map_err(io)?;
    let empty = Tree::default();
    let text = signer.sign(&Head { size: 0, root: empty.root() })?;
    write_whole(&*context.disk, folder, "checkpoint", text.as_bytes()).await?;
    write_whole(&*context.disk, folder, "ledger.pub", expected.as_bytes()).await?;
    Ok(true)
}

/// The tree under a checkpoint, from the tiles of its right edge; they must lead to the signed root.
fn load_edge(disk: &dyn Disk, folder: &str, head: &Head) -> Result<(Tree, Vec<u8>)> {
    let mut levels: Vec<Vec<_>> = Vec::new();
    let mut rest = head.size;
    while rest > 0 {
        levels.push(Vec::new());
        rest /= tiles_width();
    }
    let mut bundle = Vec::new();
    for tile in tiles::edge(head.size) {
        let bytes = tiles::read(disk, folder, tile)?;
        match tile.level {
            None => bundle = bytes,
            Some(level) => {
                if let Some(row) = levels.get_mut(usize::from(level)) {
                    *row = tiles::hashes_of(&bytes);
                }
            }
        }
    }
    let wrong = || corrupt("ledger_tile", "the tree's tiles do not lead to the signed root");
    let leaves = tiles::leaves_of(&bundle).ok_or_else(wrong)?;
    let hashes: Vec<_> = leaves.into_iter().map(leaf_hash).collect();
    let tree = Tree::from_edge(head.size, levels);
    if tree.root() != head.root || tree.levels().first().is_some_and(|row| *row != hashes) {
        return Err(wrong());
    }
    Ok((tree, bundle))
}

fn tiles_width() -> u64 {
    crate::tree::WIDTH as u64
}

/// The position of the projections, when their last entry is this ledger's. One that is ahead or of another ledger counts as
/// none.
fn known_position(context: &Context, folder: &str, recorded: Option<Position>) -> Option<Position> {
    let position = recorded?;
    let known = segment::read_one(&*context.disk, folder, position.count.checked_sub(1)?, position.last);
    known.is_ok_and(|(leaf, _)| leaf_hash(&leaf) == position.hash).then_some(position)
}

/// What a scan found.
struct Scanned {
    size: u64,
    log: Log,
    uncovered: Uncovered,
    next_slot: u64,
    erased: Vec<u64>,
}

/// Reads from the checkpoint or the projections' position, whichever is earlier, to the end; cuts what is torn. Entries
/// below `durable` (the checkpoint's, and those that the projections prove) are never cut: damage there is an error.
async fn scan(
    context: &Context,
    folder: &str,
    index: &Index,
    (covered, durable): (u64, u64),
    position: Option<Position>,
) -> Result<Scanned> {
    let disk = &*context.disk;
    let segments = segment::list(disk, folder)?;
    let from = position.map_or(0, |position| position.count);
    let mut start = first_place(&segments, from.min(covered), index, position).await?;
    let mut out = Scanned {
        size: start.map_or(0, |(seq, _)| seq),
        log: Log { file: None, first: 0, end: 0, room: 0, cut: false, failed: false },
        uncovered: Uncovered::new(),
        next_slot: position.map_or(0, |position| position.next_slot),
        erased: Vec::new(),
    };
    let begin = start.map_or(0, |(_, place)| place.segment);
    let rest: Vec<u64> = segments.into_iter().filter(|first| *first >= begin).collect();
    for (at, first) in rest.iter().copied().enumerate() {
        let next = rest.get(at + 1).copied();
        let mut reader = match Reader::open(disk, folder, first)? {
            Ok(reader) => reader,
            Err(broken) if next.is_none() && first >= durable && first == out.size => {
                // Its creation was cut off; nothing in it was ever acknowledged.
                let path = segment::path(folder, broken.seq);
                disk.remove(&path).map_err(|error| disk_error("remove a torn segment", &path, &error))?;
                break;
            }
            Err(broken) => return Err(damaged(folder, first, &broken)),
        };
        if let Some((seq, place)) = start.take() {
            reader.skip_to(seq, place.offset);
        } else if first != out.size {
            return Err(gap(out.size));
        }
        let broken = read_segment(&mut reader, next, from, covered, &mut out)?;
        if let Some(broken) = &broken
            && (broken.seq < durable || next.is_some())
        {
            return Err(damaged(folder, first, broken));
        }
        if next.is_some_and(|next| next != out.size) {
            return Err(gap(out.size));
        }
        out.log = cut(context, folder, first, &reader, broken.is_some(), next.is_none()).await?;
    }
    if out.size < durable {
        return Err(gap(out.size));
    }
    Ok(out)
}

/// Where to start: at the entry itself when its place is known, else at its segment.
async fn first_place(
    segments: &[u64],
    seq: u64,
    index: &Index,
    position: Option<Position>,
) -> Result<Option<(u64, Place)>> {
    let known = match position {
        Some(position) if position.count - 1 <= seq => Some((position.count - 1, position.last)),
        Some(_) => index.place_before(seq).await?,
        None => None,
    };
    let first = segments.iter().copied().filter(|first| *first <= seq).max();
    Ok(known.or(first.map(|first| (first, Place { segment: first, offset: HEADER }))))
}

fn damaged(folder: &str, first: u64, broken: &Broken) -> Error {
    corrupt("ledger_entry", broken.why).with("entry", broken.seq).with("file", segment::path(folder, first))
}

fn gap(seq: u64) -> Error {
    corrupt("ledger_entry", "entries of the ledger are missing").with("entry", seq)
}

/// Reads one segment up to its end, the next segment's first entry, or damage.
fn read_segment(
    reader: &mut Reader,
    next: Option<u64>,
    from: u64,
    covered: u64,
    out: &mut Scanned,
) -> Result<Option<Broken>> {
    out.size = reader.seq();
    while next != Some(out.size) {
        let frame = match reader.next()? {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(broken) => return Ok(Some(broken)),
        };
        if frame.seq >= covered {
            out.uncovered.push_back((frame.leaf.to_vec(), leaf_hash(frame.leaf)));
        }
        if frame.seq >= from {
            let leaf = Leaf::decode(frame.leaf).map_err(|error| error.with("entry", frame.seq))?;
            // An erased slot is used up, also when no entry about its subject ever became durable.
            let used = leaf.erased.iter().copied().max().map_or(leaf.slot, |slot| slot.max(leaf.slot));
            out.next_slot = out.next_slot.max(used + 1);
            out.erased.extend(leaf.erased);
        }
        out.size = frame.seq + 1;
    }
    Ok(None)
}

/// Cuts what lies behind the last entry, and makes the last segment durable: what was read may be in memory only, left by a
/// process that was killed before its sync.
async fn cut(context: &Context, folder: &str, first: u64, reader: &Reader, broken: bool, last: bool) -> Result<Log> {
    let path = segment::path(folder, first);
    let io = |error: std::io::Error| disk_error("cut a torn tail", &path, &error);
    let end = reader.offset();
    let behind = reader.file_len() > end;
    if !behind && !last {
        return Ok(Log { file: None, first, end, room: end, cut: false, failed: false });
    }
    let file = context.disk.open(&path, Open::ReadWrite).map_err(io)?;
    if broken {
        tracing::warn!(file = %path, bytes = reader.file_len() - end, "cut what was never acknowledged");
    }
    if behind {
        file.set_len(end).map_err(io)?;
    }
    file.sync().await.map_err(io)?;
    context.disk.sync_folder(&format!("{folder}/segments")).await.map_err(io)?;
    Ok(Log { file: Some(file), first, end, room: end, cut: false, failed: false })
}

/// Overwrites the slots of all erasures whose overwriting a crash prevented.
async fn redo_erasures(keyring: &Keyring, index: &Index, scanned: Vec<u64>) -> Result<()> {
    let mut slots = index.erasures().await?;
    slots.extend(scanned);
    slots.retain(|slot| !matches!(keyring.key(*slot), Ok(None)));
    if slots.is_empty() { Ok(()) } else { keyring.erase(&slots).await }
}

/// Reads the tokens of subjects and claims into the filters, beside the work.
async fn load_filters(inner: Arc<Inner>) {
    for claims in [false, true] {
        let mut tokens = Vec::new();
        let read = inner.index.tokens(claims, |token| {
            tokens.push(token);
            if inner.is_closing() { Err(closed()) } else { Ok(()) }
        });
        match read.await {
            Ok(()) => {}
            Err(_) if inner.is_closing() => return,
            Err(error) => {
                tracing::warn!(%error, "the filters stay off: every new subject and claim is looked up in the store");
                return;
            }
        }
        let mut desk = inner.desk();
        let filter = if claims { &mut desk.claim_filter } else { &mut desk.slot_filter };
        tokens.iter().for_each(|token| filter.insert(token));
        filter.set_ready();
    }
}
