//! A process that is killed: the store keeps whole batches and all that it answered, the lock is free, keys stay.
//!
//! The child is this test program itself, started with the name of one test and a folder in the environment.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tendon_kernel::sockets::{
    secrets::Keys as _,
    store::{Batch, Range, Store as _, Table},
};
use tendon_platform::{Durability, ProjectLock, SealedKeys, SqliteStore};
use tendon_testkit::{Rng, peer::Peer};

const FOLDER: &str = "TENDON_TEST_KILL_FOLDER";
const TABLE: Table = Table("rows");
const ROWS: usize = 50;

/// The child: takes the lock, makes a key, writes numbered batches for ever and tells each that was answered.
#[tokio::test]
#[ignore = "started by the other tests of this file"]
async fn child() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let _lock = ProjectLock::acquire(&folder).unwrap();
    let key = SealedKeys::open(&folder.join("keys"), None).unwrap().key("tokens").unwrap();
    let store = SqliteStore::open(&folder.join("store.db"), Durability::Projections).unwrap();
    let first = last_batch(&store).await.map_or(0, |last| last + 1);
    for number in first.. {
        let mut batch = Batch::default();
        for row in 0..ROWS {
            batch.put(TABLE, [row.to_be_bytes(), key.0[..8].try_into().unwrap()].concat(), number.to_be_bytes());
        }
        store.write(batch).await.unwrap();
        println!("\nanswered {number}");
    }
}

/// The number that all rows hold; `None` when there are none.
async fn last_batch(store: &SqliteStore) -> Option<u64> {
    let all = Range { from: Vec::new(), to: None, limit: 1000, descending: false };
    let rows = store.range(TABLE, all).await.unwrap();
    let first = rows.first()?;
    assert_eq!(rows.len(), ROWS);
    assert!(rows.iter().all(|row| row.1 == first.1), "half of a batch");
    Some(u64::from_be_bytes(first.1.clone().try_into().unwrap()))
}

fn start(folder: &Path) -> Peer {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored", "--nocapture"]).env(FOLDER, folder);
    Peer::start(command)
}

#[tokio::test]
async fn a_killed_process_leaves_whole_batches_a_free_lock_and_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(1);
    let mut answered = 0;
    let mut key = None;
    for _ in 0..8 {
        let mut child = start(folder.path());
        answered += 1 + rng.below(40);
        child.wait_for(&format!("answered {answered}"));
        let refused = ProjectLock::acquire(folder.path()).unwrap_err();
        assert!(refused.message().contains(&child.id().to_string()), "{refused}");
        child.kill();
        let _lock = ProjectLock::acquire(folder.path()).unwrap();
        let store = SqliteStore::open(&folder.path().join("store.db"), Durability::Projections).unwrap();
        let last = last_batch(&store).await.unwrap();
        assert!(last >= answered, "an answered batch is gone: {last} < {answered}");
        answered = last;
        let found = SealedKeys::open(&folder.path().join("keys"), None).unwrap().key("tokens").unwrap();
        assert!(key.replace(found.clone()).is_none_or(|before| before == found), "the key changed");
    }
}
