//! What a watch remembers: how far it read, and for each row a keyed digest of what the row's last decision saw. Both are
//! projections of the ledger, so the memory can neither run ahead of the record nor fall behind it after a crash.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};
use tendon_engine::{
    outbox::{self, PassedOver},
    record_format::More,
};
use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp, Value,
    decision::Door,
    sockets::{
        connector::Row,
        ledger::{Entry, EntryKind, Ledger, Projection, Tokens},
        store::{Batch, Store, Table},
    },
};

use super::backfill;

/// Row token → digest of what its last decision saw.
const SEEN: Table = Table("watch_seen");
/// Row token → position of a decision whose delivery passed the row over: if that is the row's last decision, the row
/// counts as never seen.
const PASSED_OVER: Table = Table("watch_passed_over");
/// Integration → watermark of the last decided live change.
const CURSORS: Table = Table("watch_cursors");
/// Digests kept in memory because the projection may not have them yet.
const OVERLAY_LIMIT: usize = 20_000;

/// Folds the memory of all watches out of their decisions.
pub struct WatchProjection;

impl Projection for WatchProjection {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn tables(&self) -> &'static [Table] {
        &[CURSORS, PASSED_OVER, SEEN, backfill::OPEN, backfill::PAUSED, backfill::PLACE]
    }

    fn project(&self, entry: &Entry, tokens: &dyn Tokens, batch: &mut Batch) -> Result<()> {
        let integration = &entry.facts.integration;
        backfill::project(entry, batch);
        if let Some(row) = outbox::passed_over(entry)? {
            batch.put(PASSED_OVER, row_token(tokens, integration, &row.key), row.seq.to_be_bytes());
        }
        let Some(body) = entry.body.as_ref().filter(|body| !More::is_plain(&body.more)) else { return Ok(()) };
        if entry.facts.kind != EntryKind::Decision {
            return Ok(());
        }
        let Some(row) = More::parse(&body.more)?.row else { return Ok(()) };
        let seen = [row.digest.as_slice(), entry.seq.to_be_bytes().as_slice()].concat();
        batch.put(SEEN, row_token(tokens, integration, &row.key), seen);
        if let Some(mark) = Mark::of(&row.mark) {
            batch.put(CURSORS, integration.as_bytes(), mark.encode()?);
        }
        Ok(())
    }
}

/// A watermark as kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Mark {
    Int(i64),
    Time(i64),
}

impl Mark {
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(Self::Int(*number)),
            Value::Time(time) => Some(Self::Time(time.0)),
            // Times that a system keeps in a text form of its own come as they are stored.
            Value::Text(text) => Timestamp::parse(text).ok().map(|time| Self::Time(time.0)),
            _ => None,
        }
    }

    fn encode(self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self).map_err(|_| unreadable())
    }
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Corrupt, "projection_unreadable", "the kept place of a watch has an unknown form")
        .hint("delete .tendon/projections.db: it is rebuilt from the ledger")
}

fn row_token(tokens: &dyn Tokens, integration: &str, key: &[Value]) -> [u8; 16] {
    tokens.token("watch-row", &named(integration, key))
}

fn named(integration: &str, values: &[Value]) -> String {
    // A type tag before each value keeps the text "1" apart from the number 1.
    let tagged: Vec<_> = values.iter().map(|value| (value.kind(), value)).collect();
    format!("{integration}\u{0}{}", serde_json::to_string(&tagged).unwrap_or_default())
}

/// The memory of one watch.
pub(super) struct Memory {
    integration: Arc<str>,
    /// Names of the fields in use: part of the digest, so that a changed mapping looks at every row anew.
    fields: String,
    ledger: Arc<dyn Ledger>,
    store: Arc<dyn Store>,
    tokens: Arc<dyn Tokens>,
    overlay: HashMap<[u8; 16], Last>,
    passed_over: HashMap<[u8; 16], u64>,
    newest: u64,
}

/// A row's last decision: the digest it saw and its position.
#[derive(Clone, Copy)]
struct Last {
    digest: [u8; 16],
    seq: u64,
}

/// A row with its name and digest.
pub(super) struct Seen {
    pub(super) token: [u8; 16],
    pub(super) digest: [u8; 16],
}

impl Memory {
    pub(super) fn new(
        integration: &Arc<str>,
        fields: &[String],
        ledger: Arc<dyn Ledger>,
        store: Arc<dyn Store>,
    ) -> Self {
        let tokens = ledger.tokens();
        let fields = format!("{integration}\u{0}{}", fields.join("\u{0}"));
        let (overlay, passed_over) = Default::default();
        Self { integration: integration.clone(), fields, ledger, store, tokens, overlay, passed_over, newest: 0 }
    }

    /// Where the live lane stopped.
    pub(super) async fn cursor(&self) -> Result<Option<Mark>> {
        let kept = self.store.get(CURSORS, self.integration.as_bytes()).await?;
        kept.map(|bytes| serde_json::from_slice(&bytes).map_err(|_| unreadable())).transpose()
    }

    /// Name and digest of a row.
    pub(super) fn seen(&self, row: &Row) -> Seen {
        let token = row_token(self.tokens.as_ref(), &self.integration, &row.key);
        Seen { token, digest: self.tokens.token("watch-digest", &named(&self.fields, &row.values)) }
    }

    /// Whether the row's last decision saw exactly this, and its delivery did not pass the row over.
    pub(super) async fn knows(&self, seen: &Seen) -> Result<bool> {
        let Some(last) = self.last(&seen.token).await?.filter(|last| last.digest == seen.digest) else {
            return Ok(false);
        };
        if self.passed_over.get(&seen.token) == Some(&last.seq) {
            return Ok(false);
        }
        let kept = self.store.get(PASSED_OVER, &seen.token).await?;
        Ok(kept.as_deref() != Some(last.seq.to_be_bytes().as_slice()))
    }

    async fn last(&self, token: &[u8; 16]) -> Result<Option<Last>> {
        if let Some(last) = self.overlay.get(token) {
            return Ok(Some(*last));
        }
        let Some(kept) = self.store.get(SEEN, token).await? else { return Ok(None) };
        let parts = kept.split_at_checked(16).map(|(digest, seq)| (digest.try_into(), seq.try_into()));
        match parts {
            Some((Ok(digest), Ok(seq))) => Ok(Some(Last { digest, seq: u64::from_be_bytes(seq) })),
            _ => Err(unreadable()),
        }
    }

    /// Remembers that a decision about the row was recorded.
    pub(super) fn recorded(&mut self, seen: &Seen, seq: u64) {
        self.overlay.insert(seen.token, Last { digest: seen.digest, seq });
        self.newest = self.newest.max(seq);
    }

    /// Remembers that a delivery passed a row over.
    pub(super) fn passed_over(&mut self, row: &PassedOver) {
        let token = row_token(self.tokens.as_ref(), &self.integration, &row.key);
        self.passed_over.insert(token, row.seq);
    }

    /// Keeps memory bounded: once the projection has caught up, it is asked instead.
    pub(super) async fn trim(&mut self) -> Result<()> {
        if self.overlay.len() + self.passed_over.len() > OVERLAY_LIMIT {
            // The outcomes that passed rows over were appended before we heard of them, so they are below the size.
            let size = self.ledger.state().size;
            self.ledger.projected(self.newest.max(size.saturating_sub(1))).await?;
            self.overlay.clear();
            self.passed_over.clear();
        }
        Ok(())
    }
}

/// The door that a lane's decisions name: live changes are events, backfill is a batch.
pub(super) fn caller_name(door: Door) -> &'static str {
    if door == Door::Batch { "door:batch" } else { "door:events" }
}
