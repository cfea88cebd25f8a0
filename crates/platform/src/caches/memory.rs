//! A cache in the process's own memory, bounded by bytes, on the context's clock. What it keeps and what it lets go is decided
//! by the [`Shelf`]; here is its lock and what it counts.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use tendon_kernel::{
    Result,
    context::{Clock, Context},
    metrics::{Counter, Gauge},
    sockets::cache::{Cache, CacheCapability, CacheEntry, CacheKey, CacheState, Found},
};

use super::shelf::Shelf;

/// What it promises.
pub const CAPABILITY: CacheCapability = CacheCapability {
    kind: "memory",
    summary: "The process's own memory: nothing to run, gone with the process.",
    bounded: true,
    shared: false,
    outlives: false,
    remote: false,
    sealed: false,
    tls: false,
    confirms: true,
    gives_up: false,
};

/// See the module's head.
pub struct MemoryCache {
    clock: Arc<dyn Clock>,
    shelf: Mutex<Shelf>,
    evictions: Counter,
    bytes: Gauge,
    entries: Gauge,
}

impl MemoryCache {
    /// A cache of at most so many bytes, names and bookkeeping included.
    pub fn new(context: &Context, bytes: u64) -> Self {
        let labels = [("cache", "memory")];
        let metrics = &context.metrics;
        Self {
            clock: Arc::clone(&context.clock),
            shelf: Mutex::new(Shelf::new(usize::try_from(bytes).unwrap_or(usize::MAX))),
            evictions: metrics.counter("tendon_cache_evictions_total", "Entries that made room for others.", &labels),
            bytes: metrics.gauge("tendon_cache_bytes", "Bytes that the cache's entries take.", &labels),
            entries: metrics.gauge("tendon_cache_entries", "Entries of the cache.", &labels),
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, shelf: &Shelf) {
        #[expect(clippy::cast_precision_loss, reason = "a metric; exact up to 2^53")]
        let number = |count: usize| count as f64;
        self.bytes.set(number(shelf.bytes()));
        self.entries.set(number(shelf.len()));
    }

    fn find(&self, keys: &[CacheKey]) -> Found {
        let now = self.clock.monotonic();
        let mut shelf = self.shelf();
        keys.iter().map(|key| shelf.get(key, now)).collect()
    }

    fn keep(&self, entries: Vec<CacheEntry>) {
        let now: Duration = self.clock.monotonic();
        let mut shelf = self.shelf();
        for CacheEntry { key, value, ttl } in entries {
            self.evictions.add(shelf.put(key, value, now.saturating_add(ttl), now));
        }
        self.changed(&shelf);
    }
}

impl Cache for MemoryCache {
    fn capability(&self) -> CacheCapability {
        CAPABILITY
    }

    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<Found>> {
        async move { Ok(self.find(keys)) }.boxed()
    }

    fn put(&self, entries: Vec<CacheEntry>) -> BoxFuture<'_, Result<()>> {
        async move {
            self.keep(entries);
            Ok(())
        }
        .boxed()
    }

    fn remove<'a>(&'a self, tag: &'a [u8; 16]) -> BoxFuture<'a, Result<()>> {
        async move {
            let mut shelf = self.shelf();
            shelf.remove(tag);
            self.changed(&shelf);
            Ok(())
        }
        .boxed()
    }

    fn state(&self) -> CacheState {
        let shelf = self.shelf();
        let number = |count: usize| u64::try_from(count).ok();
        CacheState { failure: None, bytes: number(shelf.bytes()), entries: number(shelf.len()) }
    }
}
