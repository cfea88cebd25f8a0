//! The contract of `Store`: random batches, reads and reopenings against a `BTreeMap`.

use std::{collections::BTreeMap, sync::Arc};

use tendon_kernel::sockets::store::{Batch, Range, Store, Table};

use crate::rng::Rng;

const TABLES: [Table; 3] = [Table("alpha"), Table("beta"), Table("alphabet")];

type Model = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Runs `rounds` random steps. `open` opens the store, and again after the handle was dropped; what was written must still
/// be there.
///
/// # Panics
/// Where the contract is broken.
pub async fn store(seed: u64, rounds: u32, open: impl Fn() -> Arc<dyn Store>) {
    let mut rng = Rng::stream(seed, "store contract");
    let mut model = Model::new();
    let mut store = open();
    for round in 0..rounds {
        let at = format!("seed {seed}, round {round}");
        match rng.below(12) {
            0..=4 => write(&*store, &mut model, &mut rng, &at).await,
            5..=7 => point(&*store, &model, &mut rng, &at).await,
            8..=10 => scan(&*store, &model, &mut rng, &at).await,
            _ => {
                drop(store);
                store = open();
            }
        }
    }
    for table in TABLES {
        let all = Range { from: Vec::new(), to: None, limit: usize::MAX, descending: false };
        let found = store.range(table, all.clone()).await.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        assert_eq!(found, expected(&model, table, &all), "seed {seed}: all rows of {}", table.0);
    }
}

/// Short keys from a small alphabet, so that overwrites, removals and shared prefixes happen; with the extreme bytes.
fn key(rng: &mut Rng) -> Vec<u8> {
    let len = rng.index(4);
    (0..len).map(|_| [0, 1, b'a', b'b', 0xfe, 0xff][rng.index(6)]).collect()
}

async fn write(store: &dyn Store, model: &mut Model, rng: &mut Rng, at: &str) {
    let mut batch = Batch::default();
    for _ in 0..rng.index(30) {
        let (table, key) = (TABLES[rng.index(3)], key(rng));
        if rng.chance(1, 4) {
            batch.delete(table, key.clone());
            model.remove(&(table, key));
        } else {
            let size = rng.index(40);
            let value = rng.bytes(size);
            batch.put(table, key.clone(), value.clone());
            model.insert((table, key), value);
        }
    }
    store.write(batch).await.unwrap_or_else(|error| panic!("{at}: write: {error:?}"));
}

async fn point(store: &dyn Store, model: &Model, rng: &mut Rng, at: &str) {
    let (table, key) = (TABLES[rng.index(3)], key(rng));
    let found = store.get(table, &key).await.unwrap_or_else(|error| panic!("{at}: get: {error:?}"));
    assert_eq!(found.as_ref(), model.get(&(table, key.clone())), "{at}: get {key:?} of {}", table.0);
}

async fn scan(store: &dyn Store, model: &Model, rng: &mut Rng, at: &str) {
    let table = TABLES[rng.index(3)];
    let limit = [0, 1, 5, usize::MAX][rng.index(4)];
    let descending = rng.chance(1, 2);
    let range = if rng.chance(1, 2) {
        Range { descending, ..Range::prefix(&key(rng), limit) }
    } else {
        let to = rng.chance(2, 3).then(|| key(rng));
        Range { from: key(rng), to, limit, descending }
    };
    let found = store.range(table, range.clone()).await.unwrap_or_else(|error| panic!("{at}: range: {error:?}"));
    assert_eq!(found, expected(model, table, &range), "{at}: {range:?} of {}", table.0);
}

/// By the definition, not by the ordered map's own ranges.
fn expected(model: &Model, table: Table, range: &Range) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows: Vec<_> = model
        .iter()
        .filter(|((owner, key), _)| {
            *owner == table && *key >= range.from && range.to.as_ref().is_none_or(|to| key < to)
        })
        .map(|((_, key), value)| (key.clone(), value.clone()))
        .collect();
    rows.sort();
    if range.descending {
        rows.reverse();
    }
    rows.truncate(range.limit);
    rows
}
