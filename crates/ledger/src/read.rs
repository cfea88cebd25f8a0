//! Reading back: from the tail in memory, or from the segment at the place that the projections know.

use std::sync::Arc;

use tendon_kernel::{
    Id, Result, Timestamp,
    decision::Outcome,
    sockets::ledger::{Entry, EntryKind, Facts, Listed, Query},
};

use crate::{
    book::Inner,
    desk::Item,
    format::{corrupt, sha256},
    index::{self, BLOCK},
    leaf::Leaf,
    seal::{Binding, Opened, open},
    search::heads,
    segment::{self, Place, Reader},
    tree::leaf_hash,
};

/// How much older than `since` an entry of a subject must be for looking further back to end: decisions are recorded nearly, not exactly,
/// in the order of their times, and wall clocks jump.
const SLACK_MICROS: i64 = 86_400_000_000;
/// Bytes to read at once for the entries of a block or before a place: they are about as long as that.
const FEW: usize = 64 << 10;

/// An entry as it stands on the disk.
pub(crate) struct Stored {
    pub(crate) leaf: Leaf,
    pub(crate) text: Vec<u8>,
    /// `None`: erased.
    pub(crate) opened: Option<Opened>,
}

impl Inner {
    /// Reads and opens the entry at a place.
    pub(crate) fn stored(&self, seq: u64, place: Place) -> Result<Stored> {
        let (text, sealed) = segment::read_one(&*self.context.disk, &self.folder, seq, place)?;
        let (leaf, opened) = self.understand(seq, &text, &sealed)?;
        Ok(Stored { leaf, text, opened })
    }

    /// Decodes a leaf and opens its payload.
    pub(crate) fn understand(&self, seq: u64, text: &[u8], sealed: &[u8]) -> Result<(Leaf, Option<Opened>)> {
        understand(&self.origin, &self.keyring, seq, text, sealed)
    }

    fn entry_at(&self, seq: u64, place: Place) -> Result<Entry> {
        let stored = self.stored(seq, place)?;
        Ok(Entry { seq, facts: stored.leaf.facts, body: stored.opened.map(|opened| opened.body) })
    }

    fn entry_of(&self, item: &Item) -> Entry {
        let mut entry = item.entry.clone();
        if self.keyring.erased_lately(item.slot) {
            entry.body = None;
        }
        entry
    }

    /// The place of a position that is not in the tail.
    pub(crate) async fn place(&self, seq: u64) -> Result<Option<Place>> {
        let Some((known, place)) = self.index.place_before(seq).await? else { return Ok(None) };
        if known == seq {
            return Ok(Some(place));
        }
        let broken = |seq| corrupt("ledger_entry", "an entry of the ledger is damaged").with("entry", seq);
        let mut reader =
            Reader::open(&*self.context.disk, &self.folder, place.segment)?.map_err(|error| broken(error.seq))?;
        reader.skip_to(known, place.offset);
        reader.by(FEW);
        while reader.seq() < seq {
            if reader.next()?.map_err(|error| broken(error.seq))?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(Place { segment: place.segment, offset: reader.offset() }))
    }

    /// The entry at a position.
    pub(crate) async fn read(&self, seq: u64) -> Result<Option<Entry>> {
        let (item, size) = {
            let desk = self.desk();
            (desk.at(seq), desk.size)
        };
        if let Some(item) = item {
            return Ok(Some(self.entry_of(&item)));
        }
        if seq >= size {
            return Ok(None);
        }
        match self.place(seq).await? {
            Some(place) => self.entry_at(seq, place).map(Some),
            None => Err(corrupt("ledger_entry", "an entry of the ledger cannot be found").with("entry", seq)),
        }
    }

    /// All entries with an id, oldest first.
    pub(crate) async fn read_id(&self, id: Id) -> Result<Vec<Entry>> {
        let (tail, projected) = {
            let desk = self.desk();
            let seqs = desk.by_id.range((id, 0)..=(id, u64::MAX));
            (seqs.filter_map(|&(_, seq)| desk.at(seq)).collect::<Vec<_>>(), desk.projected)
        };
        let mut out = Vec::new();
        for (seq, _, place) in self.index.id(id).await? {
            if seq < projected {
                out.push(self.entry_at(seq, place)?);
            }
        }
        out.extend(tail.iter().map(|item| self.entry_of(item)));
        Ok(out)
    }

    /// Decisions by query, newest first.
    pub(crate) async fn query(&self, query: &Query) -> Result<Listed> {
        let subject = query.subject.as_deref().map(|subject| self.tokens.subject(subject));
        let before = query.before.unwrap_or(u64::MAX);
        let (tail, projected): (Vec<Arc<Item>>, u64) = {
            let desk = self.desk();
            let fits =
                |item: &&Arc<Item>| (query.from..before).contains(&item.entry.seq) && fits(query, &item.entry.facts);
            let mine = |item: &&Arc<Item>| {
                subject.is_none() || (item.subject() == subject && !self.keyring.erased_lately(item.slot))
            };
            let found = desk.tail.iter().rev().filter(fits).filter(mine).take(query.limit).cloned();
            (found.collect(), desk.projected)
        };
        let entries = tail.iter().map(|item| self.entry_of(item)).collect();
        let mut out = Listed { entries, ..Listed::default() };
        let before = before.min(projected);
        match subject {
            Some(subject) => self.older_of_subject(query, &subject, before, &mut out).await?,
            None => self.older(query, before, &mut out).await?,
        }
        Ok(out)
    }

    async fn older_of_subject(
        &self,
        query: &Query,
        subject: &[u8; 16],
        mut before: u64,
        out: &mut Listed,
    ) -> Result<()> {
        // Nearly always the first few are what is asked for; whoever has to look far takes more at once.
        let mut page = 64;
        while out.entries.len() < query.limit {
            let rows = self.index.subject(subject, before, page).await?;
            for row in &rows {
                before = row.seq;
                if row.seq < query.from || out.entries.len() >= query.limit {
                    return Ok(());
                }
                // By its id one is too old: whether it is, and looking further back ends, its own time says.
                let old = query.since.is_some_and(|since| too_old(since, Timestamp(row.id.millis() * 1000)));
                let wanted = row.sort.may(query) || (old && row.sort.decision());
                if !wanted {
                    continue;
                }
                if let Some(entry) = self.read(row.seq).await? {
                    out.looked += 1;
                    if fits(query, &entry.facts) {
                        out.entries.push(entry);
                    } else if query.since.is_some_and(|since| too_old(since, entry.facts.at)) {
                        return Ok(());
                    }
                }
                if enough(query, out, before) {
                    return Ok(());
                }
            }
            if rows.len() < page {
                break;
            }
            page = (4 * page).min(index::PAGE);
        }
        Ok(())
    }

    /// Walks back through the parts that may hold decisions of the wanted times.
    async fn older(&self, query: &Query, mut before: u64, out: &mut Listed) -> Result<()> {
        let timed = query.since.is_some() || query.until.is_some();
        while out.entries.len() < query.limit && out.rest.is_none() && before > query.from {
            let part = if timed { self.index.span(query.since, query.until, before).await? } else { Some((0, before)) };
            let Some((from, to)) = part else { break };
            self.older_of_part(query, from.max(query.from), to, out).await?;
            before = from;
        }
        Ok(())
    }

    /// Walks back block by block from `before` to `from`; only through those that are listed for the query.
    async fn older_of_part(&self, query: &Query, from: u64, mut before: u64, out: &mut Listed) -> Result<()> {
        let heads = heads(query);
        while before > from {
            let blocks = match &*heads {
                [] => vec![(before - 1) / BLOCK],
                heads => self.index.listed(heads, from, before).await?,
            };
            for block in &blocks {
                let (start, end) = ((block * BLOCK).max(from), before.min((block + 1) * BLOCK));
                if start >= end {
                    return Ok(());
                }
                let left = query.limit - out.entries.len();
                out.entries.extend(self.block(query, start, end).await?.into_iter().rev().take(left));
                out.looked += usize::try_from(end - start).unwrap_or(usize::MAX);
                if out.entries.len() >= query.limit || enough(query, out, start) {
                    return Ok(());
                }
                before = start;
            }
            if blocks.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Reads the entries of a range of at most one block, and opens those that fit, oldest first.
    async fn block(&self, query: &Query, from: u64, to: u64) -> Result<Vec<Entry>> {
        let mut out = Vec::new();
        let mut seq = from;
        while seq < to {
            let damaged = |seq| corrupt("ledger_entry", "an entry of the ledger is damaged").with("entry", seq);
            let place = self.place(seq).await?.ok_or_else(|| damaged(seq))?;
            let mut reader =
                Reader::open(&*self.context.disk, &self.folder, place.segment)?.map_err(|error| damaged(error.seq))?;
            reader.skip_to(seq, place.offset);
            reader.by(FEW);
            let start = seq;
            while seq < to {
                let Some(frame) = reader.next()?.map_err(|error| damaged(error.seq))? else { break };
                let leaf = decode(seq, frame.leaf)?;
                if fits(query, &leaf.facts) {
                    let opened = opened(&self.origin, &self.keyring, seq, &leaf, frame.sealed)?;
                    out.push(Entry { seq, facts: leaf.facts, body: opened.map(|opened| opened.body) });
                }
                seq += 1;
            }
            if seq == start {
                return Err(damaged(seq));
            }
        }
        Ok(out)
    }
}

/// Whether a search ends here because enough was read for it, although older ones may fit.
fn enough(query: &Query, out: &mut Listed, before: u64) -> bool {
    let enough = before > query.from && query.look.is_some_and(|most| out.looked >= most);
    out.rest = enough.then_some(before);
    enough
}

fn fits(query: &Query, facts: &Facts) -> bool {
    facts.kind == EntryKind::Decision
        && query.integration.as_ref().is_none_or(|name| **name == *facts.integration)
        && query.since.is_none_or(|since| facts.at >= since)
        && query.until.is_none_or(|until| facts.at < until)
        && query.outcome.is_none_or(|outcome| outcome.name() == &*facts.reason)
        && query
            .version
            .as_deref()
            .is_none_or(|version| facts.model.as_ref().is_some_and(|asked| &*asked.version == version))
        && (!query.answered || Outcome::named(&facts.reason).is_some_and(Outcome::answered))
}

/// Whether nothing of the wanted time lies behind an entry of a subject with this time.
fn too_old(since: Timestamp, at: Timestamp) -> bool {
    at < since.plus_micros(-SLACK_MICROS)
}

/// Decodes a leaf, checks that the payload is the one it names, and opens it unless its slot was erased.
pub(crate) fn understand(
    origin: &str,
    keyring: &crate::keyring::Keyring,
    seq: u64,
    text: &[u8],
    sealed: &[u8],
) -> Result<(Leaf, Option<Opened>)> {
    let leaf = decode(seq, text)?;
    let opened = opened(origin, keyring, seq, &leaf, sealed)?;
    Ok((leaf, opened))
}

fn decode(seq: u64, text: &[u8]) -> Result<Leaf> {
    Leaf::decode(text).map_err(|error| error.with("entry", seq))
}

/// Checks that the payload is the one that its leaf names, and opens it unless its slot was erased.
fn opened(
    origin: &str,
    keyring: &crate::keyring::Keyring,
    seq: u64,
    leaf: &Leaf,
    sealed: &[u8],
) -> Result<Option<Opened>> {
    if sha256(sealed) != leaf.sealed {
        return Err(corrupt("ledger_entry", "an entry's payload is not the one its leaf names").with("entry", seq));
    }
    let Some(key) = keyring.key(leaf.slot).map_err(|error| error.with("entry", seq))? else { return Ok(None) };
    let binding = Binding { origin, id: leaf.facts.id, kind: leaf.facts.kind, slot: leaf.slot };
    open(&key, &binding, sealed).map(Some).map_err(|error| error.with("entry", seq))
}

/// An entry read back from a segment, as the projections take it.
pub(crate) fn item(
    tokens: &crate::tokens::Tokenizer,
    seq: u64,
    place: Place,
    text: &[u8],
    leaf: Leaf,
    opened: Option<Opened>,
) -> Item {
    let (body, claim) = opened.map_or((None, None), |opened| (Some(opened.body), opened.claim));
    let owner = body.as_ref().map(|body| match &body.subject {
        Some(subject) => tokens.subject(subject),
        None => tokens.day(&leaf.facts),
    });
    let claim = claim.map(|claim| {
        let (token, fingerprint) = tokens.claim(&claim);
        crate::desk::ClaimRow { token, fingerprint }
    });
    Item {
        entry: Entry { seq, facts: leaf.facts, body },
        place,
        hash: leaf_hash(text),
        slot: leaf.slot,
        owner,
        owned: true,
        claim,
        erased: leaf.erased,
        weight: 0,
    }
}
