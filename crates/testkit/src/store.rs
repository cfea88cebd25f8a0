//! A store in memory with the crash behaviour of a real one: a store of records keeps every batch whose `write` returned; a
//! store of projections may lose whole batches from the end, never half of one.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tendon_kernel::{
    context::Clock,
    error::{Error, ErrorKind, Result},
    sockets::store::{Batch, Range, Row, Store, Table},
};

use crate::{lock, rng::Rng};

/// What a store promises about batches whose `write` returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// They survive a power cut.
    Records,
    /// The last ones may be lost.
    Projections,
}

/// More unsynced batches than these are never lost: real stores sync now and then.
const MOST_LOST: usize = 256;

type RowKey = (Table, Vec<u8>);

#[derive(Default)]
struct State {
    rows: BTreeMap<RowKey, Vec<u8>>,
    /// How to take back the last batches, oldest first.
    undo: Vec<Vec<(RowKey, Option<Vec<u8>>)>>,
    failing_writes: u32,
    failing_reads: u32,
    failing_purges: u32,
    batches: u64,
    purged: u64,
}

/// See the module's head. Made by [`crate::Sim::store`], which also crashes it.
pub struct MemStore {
    clock: Arc<dyn Clock>,
    promise: Promise,
    rng: Mutex<Rng>,
    state: Mutex<State>,
}

impl MemStore {
    /// A store. `name` tells its random numbers from another store's.
    pub fn new(clock: Arc<dyn Clock>, seed: u64, name: &str, promise: Promise) -> Self {
        Self { clock, promise, rng: Mutex::new(Rng::stream(seed, name)), state: Mutex::default() }
    }

    /// All rows: table, key, value.
    pub fn dump(&self) -> BTreeMap<(&'static str, Vec<u8>), Vec<u8>> {
        let state = lock(&self.state);
        state.rows.iter().map(|((table, key), value)| ((table.0, key.clone()), value.clone())).collect()
    }

    /// Removes everything, as an operator who deletes a projection does.
    pub fn wipe(&self) {
        *lock(&self.state) = State::default();
    }

    /// The next writes fail before anything is applied.
    pub fn fail_writes(&self, count: u32) {
        lock(&self.state).failing_writes = count;
    }

    /// The next reads fail.
    pub fn fail_reads(&self, count: u32) {
        lock(&self.state).failing_reads = count;
    }

    /// The next purges fail.
    pub fn fail_purges(&self, count: u32) {
        lock(&self.state).failing_purges = count;
    }

    /// Number of purges since the world began.
    pub fn purged(&self) -> u64 {
        lock(&self.state).purged
    }

    /// Number of batches applied since the world began.
    pub fn batches(&self) -> u64 {
        lock(&self.state).batches
    }

    /// Loses what may be lost: none, all or some of the last batches.
    pub fn crash(&self) {
        let mut state = lock(&self.state);
        let undo = std::mem::take(&mut state.undo);
        let mut rng = lock(&self.rng);
        let lost = match rng.below(4) {
            0 => 0,
            1 => undo.len(),
            _ => rng.index(undo.len() + 1),
        };
        for (key, old) in undo.into_iter().rev().take(lost).flat_map(|batch| batch.into_iter().rev()) {
            match old {
                Some(value) => state.rows.insert(key, value),
                None => state.rows.remove(&key),
            };
        }
    }

    fn pause(&self, most: u64) -> BoxFuture<'static, ()> {
        let micros = lock(&self.rng).below(most + 1);
        self.clock.sleep(Duration::from_micros(micros))
    }

    fn read<T>(&self, read: impl FnOnce(&BTreeMap<RowKey, Vec<u8>>) -> T) -> Result<T> {
        let mut state = lock(&self.state);
        if state.failing_reads > 0 {
            state.failing_reads -= 1;
            return Err(Error::new(ErrorKind::Unavailable, "store_read_failed", "reading the store failed as told"));
        }
        Ok(read(&state.rows))
    }
}

impl State {
    fn apply(&mut self, batch: Batch, keep_undo: bool) {
        let mut undo = Vec::with_capacity(if keep_undo { batch.changes.len() } else { 0 });
        for change in batch.changes {
            let key = (change.table, change.key);
            let old = match change.value {
                Some(value) => self.rows.insert(key.clone(), value),
                None => self.rows.remove(&key),
            };
            if keep_undo {
                undo.push((key, old));
            }
        }
        self.batches += 1;
        if keep_undo {
            self.undo.push(undo);
            if self.undo.len() > MOST_LOST {
                self.undo.remove(0);
            }
        }
    }
}

/// The rows of a range.
fn select(rows: &BTreeMap<RowKey, Vec<u8>>, table: Table, range: &Range) -> Vec<Row> {
    if range.to.as_ref().is_some_and(|to| *to <= range.from) {
        return Vec::new();
    }
    let from = Bound::Included((table, range.from.clone()));
    let all = match &range.to {
        Some(to) => rows.range((from, Bound::Excluded((table, to.clone())))),
        None => rows.range((from, Bound::Unbounded)),
    };
    let own = all.take_while(|((owner, _), _)| *owner == table);
    let row = |((_, key), value): (&RowKey, &Vec<u8>)| (key.clone(), value.clone());
    if range.descending {
        let own: Vec<_> = own.collect();
        own.into_iter().rev().take(range.limit).map(row).collect()
    } else {
        own.take(range.limit).map(row).collect()
    }
}

impl Store for MemStore {
    fn get<'a>(&'a self, table: Table, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            self.pause(3).await;
            self.read(|rows| rows.get(&(table, key.to_vec())).cloned())
        })
    }

    fn range(&self, table: Table, range: Range) -> BoxFuture<'_, Result<Vec<Row>>> {
        Box::pin(async move {
            self.pause(20).await;
            self.read(|rows| select(rows, table, &range))
        })
    }

    fn purge(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.pause(200).await;
            let mut state = lock(&self.state);
            if state.failing_purges > 0 {
                state.failing_purges -= 1;
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "store_purge_failed",
                    "purging the store failed as told",
                ));
            }
            // What is purged is durable too: it cannot come back with a crash.
            state.undo.clear();
            state.purged += 1;
            Ok(())
        })
    }

    fn write(&self, batch: Batch) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            {
                let mut state = lock(&self.state);
                if state.failing_writes > 0 {
                    state.failing_writes -= 1;
                    let failed =
                        Error::new(ErrorKind::Unavailable, "store_write_failed", "writing the store failed as told");
                    return Err(failed);
                }
                state.apply(batch, true);
            }
            self.pause(200).await;
            if self.promise == Promise::Records {
                lock(&self.state).undo.clear();
            }
            Ok(())
        })
    }
}
