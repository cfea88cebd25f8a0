//! Where in the ledger the entries stand that are few and that people look for: what was put in force, and who was erased. A
//! projection like any other: rows name a position and hold nothing of the entry.

use tendon_doors::console::{Chapter, Noted};
use tendon_kernel::{
    Result,
    sockets::{
        ledger::{Entry, EntryKind, Ledger, Projection, Tokens},
        store::{Batch, Range, Store, Table},
    },
};

/// Chapter, position → nothing.
const CHRONICLE: Table = Table("chronicle");

/// Finds those entries.
pub(crate) struct ChronicleProjection;

impl Projection for ChronicleProjection {
    fn name(&self) -> &'static str {
        "chronicle"
    }

    fn tables(&self) -> &'static [Table] {
        &[CHRONICLE]
    }

    fn project(&self, entry: &Entry, _tokens: &dyn Tokens, batch: &mut Batch) -> Result<()> {
        let chapter = match entry.facts.kind {
            EntryKind::Erasure => Chapter::Erasures,
            EntryKind::Config => Chapter::Changes,
            _ => return Ok(()),
        };
        batch.put(CHRONICLE, key(chapter, entry.seq), []);
        Ok(())
    }
}

fn key(chapter: Chapter, seq: u64) -> Vec<u8> {
    let mut key = vec![letter(chapter)];
    key.extend(seq.to_be_bytes());
    key
}

fn letter(chapter: Chapter) -> u8 {
    match chapter {
        Chapter::Erasures => b'e',
        Chapter::Changes => b'c',
    }
}

/// Entries of a chapter before a position, newest first.
///
/// # Errors
/// The store's and the ledger's.
pub(crate) async fn page(
    store: &dyn Store,
    ledger: &dyn Ledger,
    chapter: Chapter,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<Noted>> {
    let range = Range {
        from: key(chapter, 0),
        to: Some(before.map_or_else(|| vec![letter(chapter) + 1], |seq| key(chapter, seq))),
        limit,
        descending: true,
    };
    let mut noted = Vec::new();
    for (row, _) in store.range(CHRONICLE, range).await? {
        let seq = row.get(1..).and_then(|seq| seq.try_into().ok()).map(u64::from_be_bytes);
        if let Some(entry) = ledger.entry(seq.unwrap_or(u64::MAX)).await? {
            noted.push(told(entry));
        }
    }
    Ok(noted)
}

fn told(entry: Entry) -> Noted {
    let facts = entry.facts;
    let more = entry.body.and_then(|body| serde_json::from_slice(&body.more).ok());
    Noted {
        seq: entry.seq,
        at: facts.at,
        what: facts.reason.to_string(),
        by: facts.caller.to_string(),
        integration: facts.integration.to_string(),
        plan: facts.plan.to_string(),
        more: more.unwrap_or_default(),
    }
}
