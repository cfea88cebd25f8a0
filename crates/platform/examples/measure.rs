//! Measures what the platform's parts cost on this machine: a sync on the dedicated thread against one on the runtime's
//! blocking threads and one in place, and the SQLite store's writes and reads.
//!
//! `cargo run --release -p tendon-platform --example measure`

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement for people")]

use std::{fs::File, io::Write as _, os::unix::fs::FileExt as _, sync::Arc, time::Instant};

use tendon_kernel::{
    context::{Disk as _, Open},
    sockets::store::{Batch, Range, Store as _, Table},
};
use tendon_platform::{Durability, RealDisk, SqliteStore};

const ROUNDS: u64 = 2000;
const PAGE: [u8; 4096] = [7; 4096];

async fn syncs(folder: &std::path::Path) {
    let disk = RealDisk::new(folder).unwrap();
    let file = disk.open("log", Open::ReadWrite).unwrap();
    let start = Instant::now();
    for round in 0..ROUNDS {
        file.write_at(&PAGE, round * 4096).unwrap();
        file.sync().await.unwrap();
    }
    println!("sync, own thread          {:>8.1} us", micros(start, ROUNDS));
    let other = Arc::new(File::create(folder.join("other")).unwrap());
    let start = Instant::now();
    for round in 0..ROUNDS {
        other.write_all_at(&PAGE, round * 4096).unwrap();
        let file = Arc::clone(&other);
        tokio::task::spawn_blocking(move || file.sync_data()).await.unwrap().unwrap();
    }
    println!("sync, blocking threads    {:>8.1} us", micros(start, ROUNDS));
    let mut third = File::create(folder.join("third")).unwrap();
    let start = Instant::now();
    for _ in 0..ROUNDS {
        third.write_all(&PAGE).unwrap();
        third.sync_data().unwrap();
    }
    println!("sync, in place            {:>8.1} us", micros(start, ROUNDS));
}

fn micros(start: Instant, rounds: u64) -> f64 {
    start.elapsed().as_secs_f64() * 1e6 / rounds as f64
}

async fn store(folder: &std::path::Path, durability: Durability) {
    const TABLE: Table = Table("rows");
    let store = SqliteStore::open(&folder.join(format!("{durability:?}.db")), durability).unwrap();
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state
    };
    let (batches, size) = (100_u64, 4000_u64);
    for (what, spread) in [("keys in order ", false), ("keys at random", true)] {
        let start = Instant::now();
        for number in 0..batches {
            let mut batch = Batch::default();
            for row in 0..size {
                let key = if spread { random() } else { number * size + row };
                batch.put(TABLE, [key.to_be_bytes(), [0; 8]].concat(), [7; 64]);
            }
            store.write(batch).await.unwrap();
        }
        println!("{durability:?}: {what}  {:>9.0} rows/s", 1e6 / micros(start, batches * size));
    }
    let start = Instant::now();
    for number in 0..ROUNDS {
        let mut batch = Batch::default();
        batch.put(TABLE, number.to_be_bytes(), [7; 64]);
        store.write(batch).await.unwrap();
    }
    println!("{durability:?}: one row a write {:>7.1} us", micros(start, ROUNDS));
    let start = Instant::now();
    for _ in 0..100_000 {
        let key = [(random() % (batches * size)).to_be_bytes(), [0; 8]].concat();
        store.get(TABLE, &key).await.unwrap().unwrap();
    }
    println!("{durability:?}: point read      {:>7.2} us", micros(start, 100_000));
    let start = Instant::now();
    let all = Range { from: Vec::new(), to: None, limit: 400_000, descending: false };
    let rows = store.range(TABLE, all).await.unwrap().len();
    println!("{durability:?}: range           {:>7.2} us/row", micros(start, rows as u64));
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = tempfile::tempdir_in(".").unwrap();
    syncs(folder.path()).await;
    store(folder.path(), Durability::Projections).await;
    store(folder.path(), Durability::Records).await;
}
