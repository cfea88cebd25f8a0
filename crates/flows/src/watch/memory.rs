//! What a watch remembers: how far it read, and for each row a keyed digest of what the row's last decision saw. Both are
//! projections of the ledger, so the memory can neither run ahead of the record nor fall behind it after a crash.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};
use tendon_engine::record_format::More;
use tendon_kernel::{
    Error, ErrorKind, Result, Value,
    decision::Door,
    sockets::{
        connector::Row,
        ledger::{Entry, EntryKind, Ledger, Projection, Tokens},
        store::{Batch, Store, Table},
    },
};

/// Row token → digest of what its last decision saw.
const SEEN: Table = Table("watch_seen");
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
        &[CURSORS, SEEN]
    }

    fn project(&self, entry: &Entry, tokens: &dyn Tokens, batch: &mut Batch) -> Result<()> {
        let Some(body) = entry.body.as_ref().filter(|body| !body.more.is_empty()) else { return Ok(()) };
        if entry.facts.kind != EntryKind::Decision {
            return Ok(());
        }
        let Some(row) = More::parse(&body.more)?.row else { return Ok(()) };
        batch.put(SEEN, row_token(tokens, &entry.facts.integration, &row.key), row.digest);
        if let Some(mark) = Mark::of(&row.mark) {
            batch.put(CURSORS, entry.facts.integration.as_bytes(), mark.encode()?);
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
    overlay: HashMap<[u8; 16], [u8; 16]>,
    newest: u64,
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
        Self { integration: integration.clone(), fields, ledger, store, tokens, overlay: HashMap::new(), newest: 0 }
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

    /// Whether the row's last decision saw exactly this.
    pub(super) async fn knows(&self, seen: &Seen) -> Result<bool> {
        if let Some(digest) = self.overlay.get(&seen.token) {
            return Ok(*digest == seen.digest);
        }
        Ok(self.store.get(SEEN, &seen.token).await?.is_some_and(|digest| digest == seen.digest))
    }

    /// Remembers that a decision about the row was recorded.
    pub(super) fn recorded(&mut self, seen: &Seen, seq: u64) {
        self.overlay.insert(seen.token, seen.digest);
        self.newest = self.newest.max(seq);
    }

    /// Keeps memory bounded: once the projection has caught up, it is asked instead.
    pub(super) async fn trim(&mut self) -> Result<()> {
        if self.overlay.len() > OVERLAY_LIMIT {
            self.ledger.projected(self.newest).await?;
            self.overlay.clear();
        }
        Ok(())
    }
}

/// The door that a lane's decisions name: live changes are events, backfill is a batch.
pub(super) fn caller_name(door: Door) -> &'static str {
    if door == Door::Batch { "door:batch" } else { "door:events" }
}
