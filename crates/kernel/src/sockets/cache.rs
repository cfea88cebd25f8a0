//! The socket of the cache: answers kept for a while under keys that say nothing, found again by many, removed by whom they
//! are about. In the process's own memory, or shared in Redis. What a cache loses costs time, never an answer.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use crate::error::Result;

/// Name of an entry. Both halves are keyed hashes (`Tokens`), so that they may stand in anybody's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey {
    /// What it is removed by: the token of whom it is about.
    pub tag: [u8; 16],
    /// What was asked.
    pub key: [u8; 16],
}

/// An entry to be kept.
#[derive(Clone)]
pub struct CacheEntry {
    /// Its name.
    pub key: CacheKey,
    /// Its value, in clear: a cache outside of this process seals it.
    pub value: Arc<[u8]>,
    /// How long it may be found.
    pub ttl: Duration,
}

/// What was found, key by key.
pub type Found = Vec<Option<Arc<[u8]>>>;

/// What a cache is, and what it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CacheCapability {
    /// Kind (`memory`).
    pub kind: &'static str,
    /// What it is, in one sentence.
    pub summary: &'static str,
    /// Whether it keeps within a declared number of bytes by itself; if not, whoever runs its server bounds it.
    pub bounded: bool,
    /// Whether other processes find what one has kept.
    pub shared: bool,
    /// Whether entries outlive this process: then only what is durable may be kept.
    pub outlives: bool,
    /// Whether asking it may take long: then nobody waits for a put.
    pub remote: bool,
    /// Whether what it holds is encrypted, so that whoever else reads it learns nothing.
    pub sealed: bool,
    /// Whether the line to it can be encrypted; of no meaning where there is no line.
    pub tls: bool,
    /// Whether a removal that has returned is certain.
    pub confirms: bool,
    /// Whether it gives up all it holds where it cannot confirm a removal.
    pub gives_up: bool,
}

/// How a cache does.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CacheState {
    /// Why it is not asked now; `None`: all is well.
    pub failure: Option<String>,
    /// Bytes in use, where it is known.
    pub bytes: Option<u64>,
    /// Entries, where it is known.
    pub entries: Option<u64>,
}

/// Keeps entries for a while.
pub trait Cache: Send + Sync {
    /// What it is.
    fn capability(&self) -> CacheCapability;

    /// Finds entries, in the order of the keys; `None` where there is none (any more).
    ///
    /// # Errors
    /// `Unavailable` when it cannot be asked: the caller goes on without.
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<Found>>;

    /// Keeps entries; one of the same name is replaced. It may keep none.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be asked.
    fn put(&self, entries: Vec<CacheEntry>) -> BoxFuture<'_, Result<()>>;

    /// Removes every entry of a tag. When this returns, nothing put before is ever found again, whatever happened to the
    /// line: a cache that cannot confirm gives up all its entries instead.
    ///
    /// # Errors
    /// When even that could not be made certain: what depends on it must not go on.
    fn remove<'a>(&'a self, tag: &'a [u8; 16]) -> BoxFuture<'a, Result<()>>;

    /// How it does.
    fn state(&self) -> CacheState;
}
