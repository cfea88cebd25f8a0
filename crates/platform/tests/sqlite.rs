//! The SQLite store: the contract over both promises, groups of writers, damage, and what is visible when.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;

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
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_and_readers_see_whole_batches() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder.path().join("store.db")));
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
    for number in 0..100_u8 {
        let mut batch = Batch::default();
        batch.put(TABLE, [number], [number]);
        let mut write = store.write(batch);
        // Polled once, so that it is accepted, and abandoned.
        drop(futures_util::poll!(&mut write));
    }
    drop(store);
    let rows = open(&path).range(TABLE, all()).await.unwrap();
    assert!(rows.windows(2).all(|pair| pair[0].0[0] + 1 == pair[1].0[0]), "a hole");
    assert!(rows.len() >= 64, "{}", rows.len());
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
    let store = open(&path);
    let error = store.range(TABLE, all()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    assert!(!error.retryable());
    drop(store);
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
