//! The SQLite store: the contract over both promises, groups of writers, damage, and what is visible when.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use proptest::prelude::*;
use tendon_kernel::{
    error::ErrorKind,
    sockets::store::{Batch, Range, Store, Table},
};
use tendon_platform::{Durability, SqliteStore};
use tendon_testkit::contract;

const TABLE: Table = Table("rows");

fn all() -> Range {
    Range { from: Vec::new(), to: None, limit: usize::MAX, descending: false }
}

fn open(path: &std::path::Path) -> SqliteStore {
    SqliteStore::open(path, Durability::Projections).unwrap()
}

#[tokio::test]
async fn keeps_the_contract_in_both_promises() {
    for seed in 0..6 {
        for durability in [Durability::Records, Durability::Projections] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store.db");
            contract::store(seed, 120, || Arc::new(SqliteStore::open(&path, durability).unwrap()) as _).await;
        }
        // From "everything goes to its table at once" to "rarely anything does".
        for gathered in [0, 300, 3000] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store.db");
            let open = || SqliteStore::open_sized(&path, Durability::Projections, gathered, u64::MAX).unwrap();
            contract::store(seed, 120, || Arc::new(open()) as _).await;
        }
    }
}

/// What a killed process leaves: the files as they are, while the store still has them open.
fn killed(path: &std::path::Path, to: &std::path::Path) {
    for end in ["", "-wal"] {
        let name = |path: &std::path::Path| format!("{}{end}", path.display());
        std::fs::copy(name(path), name(to)).unwrap();
    }
}

#[tokio::test]
async fn a_kill_leaves_everything_that_was_accepted() {
    for (seed, gathered) in [(1_u64, 0), (2, 400), (3, 4000), (4, 40_000)] {
        let folder = tempfile::tempdir().unwrap();
        let mut path = folder.path().join("store.db");
        let mut store = SqliteStore::open_sized(&path, Durability::Projections, gathered, u64::MAX).unwrap();
        let mut model = std::collections::BTreeMap::new();
        let mut rng = tendon_testkit::rng::Rng::stream(seed, "kills");
        for round in 0..150_u32 {
            let mut batch = Batch::default();
            for _ in 0..rng.index(12) {
                let key = vec![u8::try_from(rng.index(200)).unwrap(), 0xff];
                if rng.chance(1, 5) {
                    batch.delete(TABLE, key.clone());
                    model.remove(&key);
                } else {
                    let value = round.to_le_bytes().to_vec();
                    batch.put(TABLE, key.clone(), value.clone());
                    model.insert(key, value);
                }
            }
            store.write(batch).await.unwrap();
            if rng.chance(1, 6) {
                let other = folder.path().join(format!("{round}.db"));
                killed(&path, &other);
                let next = SqliteStore::open_sized(&other, Durability::Projections, gathered, u64::MAX).unwrap();
                let found = next.range(TABLE, all()).await.unwrap();
                assert_eq!(found, model.clone().into_iter().collect::<Vec<_>>(), "seed {seed}, round {round}");
                // Now and then life goes on from there.
                if rng.chance(1, 2) {
                    (store, path) = (next, other);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_store_of_the_layout_before_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut batch = Batch::default();
    batch.put(TABLE, *b"old", *b"1");
    SqliteStore::open(&path, Durability::Records).unwrap().write(batch).await.unwrap();
    assert_eq!(open(&path).range(TABLE, all()).await.unwrap(), [(b"old".to_vec(), b"1".to_vec())]);
    // A program that knows no log must not read past it.
    assert_eq!(SqliteStore::open(&path, Durability::Records).err().unwrap().code(), "store_version");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_and_readers_see_whole_batches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Arc::new(SqliteStore::open_sized(&path, Durability::Projections, 1000, u64::MAX).unwrap());
    let writers = (0..4_u8).map(|writer| {
        let store = Arc::clone(&store);
        async move {
            for round in 0..50_u8 {
                let mut batch = Batch::default();
                for row in 0..20 {
                    batch.put(TABLE, [writer, row], [0]);
                    batch.put(TABLE, [writer, row], [round]);
                }
                store.write(batch).await.unwrap();
                let read = store.get(TABLE, &[writer, 7]).await.unwrap();
                assert_eq!(read, Some(vec![round]), "a finished write is not seen");
                let rows = store.range(TABLE, Range::prefix(&[(writer + 1) % 4], 100)).await.unwrap();
                assert!(rows.windows(2).all(|pair| pair[0].1 == pair[1].1), "half of a batch is seen");
            }
        }
    });
    futures_util::future::join_all(writers).await;
    assert_eq!(store.range(TABLE, all()).await.unwrap().len(), 80);
}

/// One row of a step: its key, and its value, or that it goes.
type Step = Vec<(u8, Option<u8>)>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// After each write, whatever of it is still on its way into the tables, all reads say what a map says.
    #[test]
    fn every_read_after_every_write_is_what_a_map_says(
        steps in prop::collection::vec(prop::collection::vec((0..24u8, prop::option::of(any::<u8>())), 0..10), 1..24),
        gathered in prop::sample::select(vec![0, 1, 150, 600, 5_000]),
        limit in 0..30usize,
    ) {
        read_after_each(&steps, gathered, limit);
    }
}

fn read_after_each(steps: &[Step], gathered: usize, limit: usize) {
    let folder = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open_sized(&folder.path().join("store.db"), Durability::Projections, gathered, u64::MAX).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut model = std::collections::BTreeMap::new();
    for (number, step) in steps.iter().enumerate() {
        let mut batch = Batch::default();
        for (key, value) in step {
            match value {
                Some(value) => batch.put(TABLE, [*key], [*value]),
                None => batch.delete(TABLE, [*key]),
            }
            model.remove(key);
            model.extend(value.map(|value| (*key, value)));
        }
        runtime.block_on(store.write(batch)).unwrap();
        for key in 0..24 {
            let found = runtime.block_on(store.get(TABLE, &[key])).unwrap();
            assert_eq!(found, model.get(&key).map(|value| vec![*value]), "step {number}, key {key}");
        }
        for descending in [false, true] {
            let range = Range { from: vec![3], to: Some(vec![20]), limit, descending };
            let rows = model.range(3..20).map(|(key, value)| (vec![*key], vec![*value]));
            let rows: Vec<_> = if descending { rows.rev().take(limit).collect() } else { rows.take(limit).collect() };
            assert_eq!(runtime.block_on(store.range(TABLE, range)).unwrap(), rows, "step {number}");
        }
    }
}

/// One writer replaces all rows again and again while each commit moves rows into their table: a read sees one of its states
/// as a whole, and none from before a write that had returned.
#[test]
fn a_read_is_of_one_moment_while_rows_move() {
    for gathered in [0, 2_000] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = SqliteStore::open_sized(&path, Durability::Projections, gathered, u64::MAX).unwrap();
        let (acked, over) = (AtomicU32::new(0), AtomicBool::new(false));
        let number = |value: &[u8]| u32::from_be_bytes(value.try_into().unwrap());
        let read = || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut reads = 0_u8;
            while reads < 30 || !over.load(Ordering::SeqCst) {
                let least = acked.load(Ordering::SeqCst);
                let range = Range { limit: 100, descending: reads.is_multiple_of(2), ..all() };
                let rows = runtime.block_on(store.range(TABLE, range)).unwrap();
                let numbers: Vec<u32> = rows.iter().map(|(_, value)| number(value)).collect();
                assert!(numbers.windows(2).all(|pair| pair[0] == pair[1]), "parts of two states: {numbers:?}");
                assert!(numbers.first().copied().unwrap_or(0) >= least, "older than what was told: {least}");
                let least = acked.load(Ordering::SeqCst);
                let one = runtime.block_on(store.get(TABLE, &[reads % 40])).unwrap();
                let one = one.map_or(0, |value| number(&value));
                assert!(one >= least, "{one} is older than what was told: {least}");
                reads = if reads == 239 { 200 } else { reads + 1 };
            }
        };
        thread::scope(|scope| {
            scope.spawn(read);
            scope.spawn(read);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for number in 1..=500_u32 {
                let mut batch = Batch::default();
                (0..40_u8).for_each(|key| batch.put(TABLE, [key], number.to_be_bytes()));
                runtime.block_on(store.write(batch)).unwrap();
                acked.store(number, Ordering::SeqCst);
            }
            over.store(true, Ordering::SeqCst);
        });
    }
}

#[tokio::test]
async fn a_bad_batch_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("store.db"));
    let (mut good, mut bad) = (Batch::default(), Batch::default());
    good.put(TABLE, *b"good", *b"1");
    bad.put(TABLE, *b"bad", *b"1");
    bad.put(Table("sqlite_reserved"), *b"bad", *b"1");
    let results =
        futures_util::future::join_all([store.write(good.clone()), store.write(bad), store.write(good)]).await;
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(store.range(TABLE, all()).await.unwrap(), [(b"good".to_vec(), b"1".to_vec())]);
}

#[tokio::test]
async fn writes_that_were_accepted_outlive_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path);
    // As many as may wait at once, and few enough for the runtime's budget of one poll: each is accepted by its first poll.
    for number in 0..48_u8 {
        let mut batch = Batch::default();
        batch.put(TABLE, [number], [number]);
        let mut write = store.write(batch);
        // Abandoned by whoever asked, not by the store.
        drop(futures_util::poll!(&mut write));
    }
    drop(store);
    let rows = open(&path).range(TABLE, all()).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.0[0]).collect::<Vec<_>>(), (0..48).collect::<Vec<_>>());
}

#[tokio::test]
async fn damage_is_told_and_mended_by_removal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path);
    let mut batch = Batch::default();
    for number in 0..2000_u32 {
        batch.put(TABLE, number.to_be_bytes(), [7; 100]);
    }
    store.write(batch).await.unwrap();
    drop(store);
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[4096..].fill(0xa5);
    std::fs::write(&path, bad).unwrap();
    // Told when the file is opened (its log is read) or when the table is.
    let error = match SqliteStore::open(&path, Durability::Projections) {
        Ok(store) => store.range(TABLE, all()).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    assert!(!error.retryable());
    std::fs::write(&path, b"this is no database, and long enough to be seen as none. ".repeat(40)).unwrap();
    assert_eq!(SqliteStore::open(&path, Durability::Projections).err().unwrap().kind(), ErrorKind::Corrupt);
    SqliteStore::delete(&path).unwrap();
    assert!(open(&path).range(TABLE, all()).await.unwrap().is_empty());
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE x (y); PRAGMA user_version = 9").unwrap();
    assert_eq!(SqliteStore::open(&other, Durability::Records).err().unwrap().code(), "store_version");
}

#[tokio::test]
async fn the_file_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("store.db"));
    let mut batch = Batch::default();
    batch.put(TABLE, *b"k", *b"v");
    store.write(batch).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}
