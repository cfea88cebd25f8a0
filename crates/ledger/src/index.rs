//! The ledger's own projections: where an entry is, entries by id, subject and integration, claims, and whose slot is whose.
//! Written behind, in one batch with all other projections and the position reached, so that they never disagree.
//!
//! Rows hold tokens and ids, never a subject or an idempotency key; a subject's rows go when the subject is erased.
//! Numbers in keys are big-endian, so that they sort; numbers in values are little-endian.

use std::sync::Arc;

use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    sockets::{
        ledger::{EntryKind, Projection},
        store::{Batch, Range, Store, Table, each},
    },
};

use crate::{
    desk::{ClaimRow, Held, Item},
    format::{Fields, corrupt, sha256},
    search::{Sort, TIMES},
    segment::{HEADER, Place},
    tokens::Token,
    tree::Hash,
};

/// The position reached: one row.
const POSITION: Table = Table("ledger_position");
/// Position of every 32nd entry and of each segment's first → place.
const PLACES: Table = Table("ledger_places");
/// Id and position → kind and place.
const IDS: Table = Table("ledger_ids");
/// Subject and position → sort (`search.rs`), id, slot, claim.
const SUBJECTS: Table = Table("ledger_subjects");
/// Integration, outcome of all or of one, or model version (`search.rs`), and block of 64 positions in which there is such a decision.
pub(crate) const BLOCKS: Table = Table("ledger_blocks");
/// Claim → who holds it.
const CLAIMS: Table = Table("ledger_claims");
/// Day → slot. A subject's slot stands in its newest row.
const SLOTS: Table = Table("ledger_slots");
/// Slot → subject.
const OWNERS: Table = Table("ledger_owners");
/// Position of an erasure → slots.
const ERASURES: Table = Table("ledger_erasures");

const TABLES: [Table; 10] = [POSITION, PLACES, IDS, SUBJECTS, BLOCKS, CLAIMS, SLOTS, OWNERS, ERASURES, TIMES];
/// Raised when rows change their form: the projections are built anew then.
const FORM: u32 = 5;
/// Positions of a block of an integration's decisions.
pub(crate) const BLOCK: u64 = 64;
const EVERY: u64 = 32;
/// Rows read or removed at once.
pub(crate) const PAGE: usize = 1024;

/// How far the projections are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Entries projected.
    pub(crate) count: u64,
    /// Place of the last of them, and its leaf's hash: another ledger's projections are not taken for this one's.
    pub(crate) last: Place,
    pub(crate) hash: Hash,
    /// First slot that none of them uses.
    pub(crate) next_slot: u64,
}

/// What a subject's row says.
pub(crate) struct SubjectRow {
    pub(crate) seq: u64,
    pub(crate) id: Id,
    pub(crate) sort: Sort,
    pub(crate) slot: u64,
    pub(crate) claim: Option<Token>,
}

/// Reads and writes the rows.
pub(crate) struct Index {
    pub(crate) store: Arc<dyn Store>,
    /// SHA-256 of the names and versions of all projections.
    set: [u8; 32],
    tables: Vec<Table>,
}

fn place_bytes(place: Place) -> [u8; 16] {
    let mut out = [0; 16];
    out[..8].copy_from_slice(&place.segment.to_le_bytes());
    out[8..].copy_from_slice(&place.offset.to_le_bytes());
    out
}

fn place_of(fields: &mut Fields<'_>) -> Option<Place> {
    Some(Place { segment: fields.u64()?, offset: fields.u64()? })
}

pub(crate) fn with_seq(head: &[u8], seq: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(head.len() + 8);
    key.extend_from_slice(head);
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// What a head has in place of a zero would end it: two heads may be one then, and a search reads what it need not.
pub(crate) fn block_key(head: &str, block: u64) -> Vec<u8> {
    let head: Vec<u8> = head.bytes().map(|byte| byte.max(1)).chain([0]).collect();
    with_seq(&head, block)
}

pub(crate) fn malformed() -> tendon_kernel::Error {
    corrupt("ledger_projection", "a row of the ledger's projections is malformed")
        .hint("delete the projections' database: it is built anew from the ledger")
}

impl Index {
    pub(crate) fn new(store: Arc<dyn Store>, origin: &str, projections: &[Arc<dyn Projection>]) -> Self {
        let mut text = format!("{origin}\n{FORM}\n");
        let mut tables = Vec::from(TABLES);
        for projection in projections {
            text.push_str(&format!("{} {}\n", projection.name(), projection.version()));
            tables.extend_from_slice(projection.tables());
        }
        Self { store, set: sha256(text.as_bytes()), tables }
    }

    /// How far the projections are; `None` when there are none of this ledger and set.
    pub(crate) async fn position(&self) -> Result<Option<Position>> {
        let Some(row) = self.store.get(POSITION, b"position").await? else { return Ok(None) };
        let mut fields = Fields(&row);
        if fields.array() != Some(self.set) {
            return Ok(None);
        }
        let mut read = || {
            Some(Position {
                count: fields.u64()?,
                last: place_of(&mut fields)?,
                hash: fields.array()?,
                next_slot: fields.u64()?,
            })
        };
        Ok(read())
    }

    /// Writes the position in the same batch as what it stands for.
    pub(crate) fn put_position(&self, batch: &mut Batch, position: &Position) {
        let mut row = Vec::from(self.set);
        row.extend_from_slice(&position.count.to_le_bytes());
        row.extend_from_slice(&place_bytes(position.last));
        row.extend_from_slice(&position.hash);
        row.extend_from_slice(&position.next_slot.to_le_bytes());
        batch.put(POSITION, *b"position", row);
    }

    /// Removes every row of every projection. The position goes first, so that a crash on the way cannot leave some of
    /// the rows under a position that claims all.
    pub(crate) async fn wipe(&self) -> Result<()> {
        for table in &self.tables {
            loop {
                let rows = self.store.range(*table, Range::prefix(&[], PAGE)).await?;
                if rows.is_empty() {
                    break;
                }
                let mut batch = Batch::default();
                for (key, _) in rows {
                    batch.delete(*table, key);
                }
                self.store.write(batch).await?;
            }
        }
        Ok(())
    }

    /// Adds an entry's rows, but for those that searches take (`search.rs`).
    pub(crate) fn project(&self, batch: &mut Batch, item: &Item) {
        let facts = &item.entry.facts;
        if item.entry.seq.is_multiple_of(EVERY) || item.place.offset == HEADER {
            batch.put(PLACES, item.entry.seq.to_be_bytes(), place_bytes(item.place));
        }
        let decision = u8::from(facts.kind == EntryKind::Decision);
        let mut row = vec![decision];
        row.extend_from_slice(&place_bytes(item.place));
        batch.put(IDS, with_seq(&facts.id.0, item.entry.seq), row);
        if !item.erased.is_empty() {
            batch.put(
                ERASURES,
                item.entry.seq.to_be_bytes(),
                item.erased.iter().flat_map(|slot| slot.to_le_bytes()).collect::<Vec<_>>(),
            );
        }
        let (Some(owner), Some(_)) = (item.owner, &item.entry.body) else { return };
        if let Some(subject) = item.subject() {
            let mut row = Sort::of(facts).0.to_vec();
            row.extend_from_slice(&facts.id.0);
            row.extend_from_slice(&item.slot.to_le_bytes());
            if let Some(ClaimRow { token, .. }) = item.claim {
                row.extend_from_slice(&token);
            }
            batch.put(SUBJECTS, with_seq(&subject, item.entry.seq), row);
            if item.owned {
                batch.put(OWNERS, item.slot.to_be_bytes(), subject);
            }
        } else if item.owned {
            batch.put(SLOTS, owner, item.slot.to_le_bytes());
        }
        if let Some(claim) = item.claim {
            let mut row = Vec::from(item.entry.seq.to_le_bytes());
            row.extend_from_slice(&facts.id.0);
            row.extend_from_slice(&claim.fingerprint);
            batch.put(CLAIMS, claim.token, row);
        }
    }

    /// Adds the removal of all rows of the owners of these slots; gives each owner with the claims that are free now.
    /// Rows that wait in an unwritten batch are not seen: write it before.
    pub(crate) async fn erase(&self, batch: &mut Batch, slots: &[u64]) -> Result<Vec<(Token, Vec<Token>)>> {
        let mut out = Vec::new();
        for slot in slots {
            let Some(owner) = self.store.get(OWNERS, &slot.to_be_bytes()).await? else { continue };
            let owner: Token = owner.as_slice().try_into().map_err(|_| malformed())?;
            let mut claims = Vec::new();
            let rows = self.subject(&owner, u64::MAX, usize::MAX).await?;
            for row in rows.into_iter().filter(|row| row.slot == *slot) {
                batch.delete(SUBJECTS, with_seq(&owner, row.seq));
                if let Some(claim) = row.claim {
                    batch.delete(CLAIMS, claim);
                    claims.push(claim);
                }
            }
            batch.delete(OWNERS, slot.to_be_bytes());
            out.push((owner, claims));
        }
        Ok(out)
    }

    /// Leaves nothing of removed rows in the store's file.
    pub(crate) async fn purge(&self) -> Result<()> {
        self.store.purge().await.map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "erasure_traces",
                "the subject is erased, keyed traces may stand in a file still",
            )
            .hint("they go with the next erasure, or when Tendon stops")
            .private(format!("{error}; {:?}", error.private_detail()))
        })
    }

    /// The slot of a subject or day.
    pub(crate) async fn slot(&self, owner: &Token) -> Result<Option<u64>> {
        if let Some(newest) = self.subject(owner, u64::MAX, 1).await?.first() {
            return Ok(Some(newest.slot));
        }
        let Some(row) = self.store.get(SLOTS, owner).await? else { return Ok(None) };
        Fields(&row).u64().map(Some).ok_or_else(malformed)
    }

    /// Who holds a claim.
    pub(crate) async fn claim(&self, claim: &Token) -> Result<Option<Held>> {
        let Some(row) = self.store.get(CLAIMS, claim).await? else { return Ok(None) };
        let mut fields = Fields(&row);
        let mut read = || Some(Held { seq: fields.u64()?, id: Id(fields.array()?), fingerprint: fields.array()? });
        read().map(Some).ok_or_else(malformed)
    }

    /// The nearest known place at or before a position.
    pub(crate) async fn place_before(&self, seq: u64) -> Result<Option<(u64, Place)>> {
        let range = Range {
            from: Vec::new(),
            to: Some((seq.saturating_add(1)).to_be_bytes().to_vec()),
            limit: 1,
            descending: true,
        };
        let rows = self.store.range(PLACES, range).await?;
        let Some((key, value)) = rows.first() else { return Ok(None) };
        let seq = Fields(key).u64_key().ok_or_else(malformed)?;
        Ok(Some((seq, place_of(&mut Fields(value)).ok_or_else(malformed)?)))
    }

    /// Positions, whether a decision, and places of the entries with an id, oldest first.
    pub(crate) async fn id(&self, id: Id) -> Result<Vec<(u64, bool, Place)>> {
        let mut out = Vec::new();
        let mut range = Range::prefix(&id.0, PAGE);
        loop {
            let rows = self.store.range(IDS, range.clone()).await?;
            for (key, value) in &rows {
                let seq = Fields(key.get(16..).unwrap_or_default()).u64_key().ok_or_else(malformed)?;
                let mut fields = Fields(value);
                let decision = fields.byte().ok_or_else(malformed)? == 1;
                out.push((seq, decision, place_of(&mut fields).ok_or_else(malformed)?));
            }
            match rows.last() {
                Some((key, _)) if rows.len() == PAGE => {
                    range.from = with_seq(&key[..16.min(key.len())], out.last().map_or(0, |row| row.0) + 1)
                }
                _ => return Ok(out),
            }
        }
    }

    /// A subject's rows before a position, newest first.
    pub(crate) async fn subject(&self, subject: &Token, before: u64, most: usize) -> Result<Vec<SubjectRow>> {
        let mut out: Vec<SubjectRow> = Vec::new();
        let mut before = before;
        loop {
            let limit = PAGE.min(most - out.len());
            let to = Some(with_seq(subject, before));
            let range = Range { from: subject.to_vec(), to, limit, descending: true };
            let rows = self.store.range(SUBJECTS, range).await?;
            for (key, value) in &rows {
                let seq = Fields(key.get(16..).unwrap_or_default()).u64_key().ok_or_else(malformed)?;
                let mut fields = Fields(value);
                let sort = Sort(fields.array().ok_or_else(malformed)?);
                let id = Id(fields.array().ok_or_else(malformed)?);
                let slot = fields.u64().ok_or_else(malformed)?;
                out.push(SubjectRow { seq, id, sort, slot, claim: fields.array() });
                before = seq;
            }
            if rows.len() < limit || out.len() >= most {
                return Ok(out);
            }
        }
    }

    /// Blocks below a position that are listed under a head, newest first.
    pub(crate) async fn blocks(&self, head: &str, before: u64, most: usize) -> Result<Vec<u64>> {
        let to = Some(block_key(head, before.div_ceil(BLOCK)));
        let range = Range { from: block_key(head, 0), to, limit: most, descending: true };
        let rows = self.store.range(BLOCKS, range).await?;
        rows.iter()
            .map(|(key, _)| Fields(key.get(head.len() + 1..).unwrap_or_default()).u64_key().ok_or_else(malformed))
            .collect()
    }

    /// Slots of all projected erasures.
    pub(crate) async fn erasures(&self) -> Result<Vec<u64>> {
        let mut out = Vec::new();
        let store = &*self.store;
        each(store, ERASURES, |_, value| {
            out.extend(value.chunks_exact(8).filter_map(|chunk| Fields(chunk).u64()));
            Ok(())
        })
        .await?;
        Ok(out)
    }

    /// Gives the tokens of all owners of slots, or of all claims, page by page, until one is refused.
    pub(crate) async fn tokens(&self, claims: bool, mut give: impl FnMut(Token) -> Result<()>) -> Result<()> {
        let tables: &[Table] = if claims { &[CLAIMS] } else { &[SLOTS, SUBJECTS] };
        for table in tables {
            let mut last = None;
            let one = |key: &[u8], _: &[u8]| match key.first_chunk().copied() {
                // A subject has a row for each of its entries.
                Some(token) if last != Some(token) => {
                    last = Some(token);
                    give(token)
                }
                _ => Ok(()),
            };
            each(&*self.store, *table, one).await?;
        }
        Ok(())
    }
}
