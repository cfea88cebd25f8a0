//! The socket for stores: ordered bytes by key, in named tables, written in atomic batches. SQLite now, PostgreSQL at scale.
//!
//! Two stores are in use: *records* (API keys, aliases: durable when `write` returns) and *projections* (rebuilt from the
//! ledger: a batch may be lost by a crash, but never half of one, and never an earlier one while a later one is kept).

use futures_util::future::BoxFuture;

use crate::error::Result;

/// Name of a table; created on first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub &'static str);

/// One change of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub table: Table,
    /// Which row.
    pub key: Vec<u8>,
    /// New value; `None` removes the row.
    pub value: Option<Vec<u8>>,
}

/// Changes that are applied all or none, in order (the last change of a key wins).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The changes.
    pub changes: Vec<Change>,
    /// Somebody waits for it, or much waits behind it: the store does not give way to others while it writes.
    pub urgent: bool,
}

impl Batch {
    /// Sets a row.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push(Change { table, key: key.into(), value: Some(value.into()) });
    }

    /// Removes a row.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.changes.push(Change { table, key: key.into(), value: None });
    }
}

/// A range of keys to read.
#[derive(Clone, Debug)]
pub struct Range {
    /// First key, inclusive.
    pub from: Vec<u8>,
    /// End, exclusive; `None`: to the end of the table.
    pub to: Option<Vec<u8>>,
    /// At most this many rows.
    pub limit: usize,
    /// Largest key first.
    pub descending: bool,
}

impl Range {
    /// All keys that start with a prefix, ascending.
    pub fn prefix(prefix: &[u8], limit: usize) -> Self {
        let mut to = prefix.to_vec();
        while let Some(last) = to.pop() {
            if last < u8::MAX {
                to.push(last + 1);
                break;
            }
        }
        Self { from: prefix.to_vec(), to: if to.is_empty() { None } else { Some(to) }, limit, descending: false }
    }
}

/// Key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Ordered bytes by key.
pub trait Store: Send + Sync {
    /// Reads one row.
    fn get<'a>(&'a self, table: Table, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;
    /// Reads rows of a range in key order (bytewise).
    fn range(&self, table: Table, range: Range) -> BoxFuture<'_, Result<Vec<Row>>>;
    /// Applies a batch atomically.
    fn write(&self, batch: Batch) -> BoxFuture<'_, Result<()>>;
    /// Leaves nothing of what was removed: when it returns, no byte of a row that was removed before, nor of its key, stands in
    /// what the store keeps (in pages that are free, in a log), as far as the store can see to it: SQLite's says where it cannot.
    /// For erasures: it costs more than a write.
    fn purge(&self) -> BoxFuture<'_, Result<()>>;
}

/// Rows that [`each`] reads at once.
const PAGE: usize = 1024;

/// Gives every row of a table in key order, page by page, until one is refused.
///
/// # Errors
/// The store's, or that with which a row was refused.
pub async fn each(store: &dyn Store, table: Table, mut give: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
    let mut range = Range::prefix(&[], PAGE);
    loop {
        let rows = store.range(table, range.clone()).await?;
        for (key, value) in &rows {
            give(key, value)?;
        }
        match rows.last() {
            Some((key, _)) if rows.len() == PAGE => {
                range.from.clone_from(key);
                range.from.push(0);
            }
            _ => return Ok(()),
        }
    }
}
