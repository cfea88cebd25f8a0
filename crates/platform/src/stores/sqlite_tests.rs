//! What a read holds while it reads: needs the store's inside.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;

/// SQLite tells of its work while it reads: the writer could have the overlay meanwhile.
#[tokio::test]
async fn a_read_of_a_table_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open_sized(&path, Durability::Projections, 0, 0).unwrap();
    let table = Table("rows");
    let mut batch = Batch::default();
    (0..500_u16).for_each(|key| batch.put(table, key.to_be_bytes(), [7; 40]));
    store.write(batch).await.unwrap();
    // All of it is in the table then.
    store.purge().await.unwrap();
    let readers = &store.readers;
    let overlay = readers.overlay.clone().unwrap();
    let (free, held) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let count = (free.clone(), held.clone());
    let mut connection = connect(&path).unwrap();
    let look = move || {
        let count = if overlay.try_write().is_ok() { &count.0 } else { &count.1 };
        count.fetch_add(1, Relaxed);
        false
    };
    connection.progress_handler(1, Some(look)).unwrap();
    lock(&readers.idle).push(connection);
    let all = Range { from: Vec::new(), to: None, limit: usize::MAX, descending: false };
    assert_eq!(readers.range(table, &all).unwrap().len(), 500);
    assert!(readers.get(table, &[0, 9]).unwrap().is_some());
    let (free, held) = (free.load(Relaxed), held.load(Relaxed));
    // The few steps that begin the snapshot are done with the overlay held.
    assert!(free > 500 && held < 20, "free in {free} steps, held in {held}");
}
