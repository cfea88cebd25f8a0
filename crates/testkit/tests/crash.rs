//! The crash model: what is synced stays, what is not is lost, torn and reordered, in all the ways it claims.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{collections::BTreeMap, io};

use tendon_kernel::{
    context::Open,
    sockets::store::{Batch, Range, Store as _, Table},
};
use tendon_testkit::{Promise, Sim, contract};

const SEEDS: u64 = 600;

/// Writes a synced header and then unsynced records of 300 bytes, cuts the power, returns what is left.
fn survivors(seed: u64, records: usize) -> Vec<u8> {
    let sim = Sim::new(seed);
    let context = sim.context();
    sim.run(async move {
        let file = context.disk.open("log", Open::CreateNew).unwrap();
        file.write_at(&[0xee; 700], 0).unwrap();
        file.sync().await.unwrap();
        context.disk.sync_folder("").await.unwrap();
        for (index, offset) in (0..records).zip((700..).step_by(300)) {
            file.write_at(&[u8::try_from(index + 1).unwrap(); 300], offset).unwrap();
        }
    })
    .done();
    sim.crash();
    sim.disk().dump().remove("log").unwrap()
}

#[test]
fn unsynced_writes_are_lost_torn_and_reordered() {
    let mut seen = BTreeMap::<&str, u32>::new();
    for seed in 0..SEEDS {
        let left = survivors(seed, 10);
        assert_eq!(left[..700], [0xee; 700], "seed {seed}: synced bytes changed");
        let part = |index: usize| left.get(700 + index * 300..).map(|rest| &rest[..rest.len().min(300)]);
        let whole = |index: usize| {
            part(index)
                .is_some_and(|bytes| bytes.len() == 300 && bytes.iter().all(|&byte| usize::from(byte) == index + 1))
        };
        let kept: Vec<bool> = (0..10).map(whole).collect();
        let mut see = |what, happened: bool| *seen.entry(what).or_default() += u32::from(happened);
        see("all lost", left.len() == 700);
        see("all kept", kept.iter().all(|&kept| kept));
        see("a later one without an earlier one", kept.windows(2).any(|pair| pair == [false, true]));
        see("zeros for data", left[700..].windows(100).any(|bytes| bytes.iter().all(|&byte| byte == 0)));
        let torn = |index: usize| {
            part(index).is_some_and(|bytes| !whole(index) && bytes.iter().any(|&byte| usize::from(byte) == index + 1))
        };
        see("torn", (0..10).any(torn));
        for (at, &byte) in left.iter().enumerate().skip(700) {
            assert!(byte == 0 || usize::from(byte) == (at - 700) / 300 + 1, "seed {seed}: byte {at} is from nowhere");
        }
    }
    for (what, count) in &seen {
        assert!(*count >= 20, "`{what}` happened in {count} of {SEEDS} seeds");
    }
    assert_eq!(seen.len(), 5);
}

#[test]
fn overwritten_sectors_are_old_or_new() {
    let (mut old, mut new, mut mixed) = (0, 0, 0);
    for seed in 0..SEEDS {
        let sim = Sim::new(seed);
        let context = sim.context();
        sim.run(async move {
            let file = context.disk.open("page", Open::CreateNew).unwrap();
            file.write_at(&[1; 4096], 0).unwrap();
            file.sync().await.unwrap();
            context.disk.sync_folder("").await.unwrap();
            file.write_at(&[2; 4096], 0).unwrap();
        })
        .done();
        sim.crash();
        let page = sim.disk().dump().remove("page").unwrap();
        assert_eq!(page.len(), 4096);
        assert!(page.iter().all(|byte| [1, 2].contains(byte)));
        match page.iter().filter(|&&byte| byte == 2).count() {
            0 => old += 1,
            4096 => new += 1,
            _ => mixed += 1,
        }
    }
    assert!(old > 50 && new > 50 && mixed > 50, "old {old}, new {new}, mixed {mixed}");
}

#[test]
fn names_need_a_synced_folder_and_renames_are_atomic() {
    let (mut lost, mut old, mut new) = (0, 0, 0);
    for seed in 0..SEEDS {
        let sim = Sim::new(seed);
        let context = sim.context();
        sim.run(async move {
            context.disk.create_folder("d").unwrap();
            context.disk.sync_folder("").await.unwrap();
            for (name, content) in [("d/current", b"old"), ("d/new", b"new")] {
                let file = context.disk.open(name, Open::CreateNew).unwrap();
                file.write_at(content, 0).unwrap();
                file.sync().await.unwrap();
            }
            context.disk.sync_folder("d").await.unwrap();
            context.disk.rename("d/new", "d/current").unwrap();
            context.disk.open("d/fresh", Open::CreateNew).unwrap().sync().await.unwrap();
        })
        .done();
        sim.crash();
        let dump = sim.disk().dump();
        lost += u32::from(!dump.contains_key("d/fresh"));
        match (dump["d/current"].as_slice(), dump.get("d/new").map(Vec::as_slice)) {
            (b"old", Some(b"new")) => old += 1,
            (b"new", None) => new += 1,
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    assert!(lost > 100 && old > 100 && new > 100, "lost {lost}, old {old}, new {new}");
}

#[test]
fn a_folder_that_was_not_synced_takes_its_files_along() {
    let gone = (0..SEEDS).filter(|&seed| {
        let sim = Sim::new(seed);
        let context = sim.context();
        sim.run(async move {
            context.disk.create_folder("a/b").unwrap();
            let file = context.disk.open("a/b/f", Open::CreateNew).unwrap();
            file.write_at(b"content", 0).unwrap();
            file.sync().await.unwrap();
            context.disk.sync_folder("a/b").await.unwrap();
        })
        .done();
        sim.crash();
        sim.disk().dump().is_empty()
    });
    assert!(gone.count() > 100);
}

#[test]
fn a_failed_sync_loses_writes_although_the_next_one_succeeds() {
    let mut lost = 0;
    for seed in 0..100 {
        let sim = Sim::new(seed);
        let (context, disk) = (sim.context(), sim.disk());
        sim.run(async move {
            let file = context.disk.open("f", Open::CreateNew).unwrap();
            context.disk.sync_folder("").await.unwrap();
            file.write_at(&[7; 2000], 0).unwrap();
            disk.fail_next_sync();
            assert!(file.sync().await.is_err());
            assert!(file.sync().await.is_ok());
            let mut back = [0; 2000];
            assert_eq!((file.read_at(&mut back, 0).unwrap(), back), (2000, [7; 2000]));
        })
        .done();
        sim.crash();
        lost += u32::from(sim.disk().dump()["f"] != [7; 2000]);
    }
    assert!(lost > 50, "{lost}");
}

#[test]
fn a_cut_during_a_sync_may_leave_part_of_it() {
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let sim = Sim::new(seed);
        let context = sim.context();
        sim.run(async move { context.disk.sync_folder("").await.unwrap() }).done();
        let context = sim.context();
        sim.spawn("writer", async move {
            let file = context.disk.open("f", Open::CreateNew).unwrap();
            context.disk.sync_folder("").await.unwrap();
            file.write_at(&[7; 4000], 0).unwrap();
            file.sync().await.unwrap();
            panic!("the sync was to be cut");
        });
        sim.disk().crash_at_op(5);
        assert!(!sim.run_for(std::time::Duration::from_secs(1)));
        lengths.insert(sim.disk().dump()["f"].iter().filter(|&&byte| byte == 7).count());
    }
    assert!(lengths.len() > 5 && lengths.contains(&0) && lengths.contains(&4000), "{lengths:?}");
}

#[test]
fn faults_do_what_they_are_told() {
    let sim = Sim::new(5);
    let (context, disk) = (sim.context(), sim.disk());
    sim.run(async move {
        let file = context.disk.open("f", Open::CreateNew).unwrap();
        disk.capacity(Some(1000));
        file.write_at(&[1; 900], 0).unwrap();
        file.write_at(&[2; 50], 0).unwrap();
        let error = file.write_at(&[3; 200], 850).unwrap_err();
        assert_eq!((error.kind(), file.len().unwrap()), (io::ErrorKind::StorageFull, 1000));
        disk.capacity(None);
        file.write_at(&[4; 200], 1000).unwrap();
        disk.fail_reads(true);
        assert!(file.read_at(&mut [0; 4], 0).is_err());
        disk.fail_reads(false);
        disk.fail_writes(true);
        assert!(file.write_at(b"x", 0).is_err());
        disk.fail_writes(false);
        disk.fail_next_sync();
        assert!(disk.flip("f", 3, 1) && !disk.flip("f", 5000, 1));
        let mut byte = [0];
        file.read_at(&mut byte, 3).unwrap();
        assert_eq!(byte, [2 ^ 2]);
        let counts = disk.counts();
        assert_eq!((counts.writes, counts.bytes, counts.syncs), (4, 1300, 0));
    })
    .done();
}

#[test]
fn the_disk_keeps_the_contract() {
    for seed in 0..30 {
        let sim = Sim::new(seed);
        let disk = sim.disk();
        sim.run(async move { contract::disk(seed, 200, || disk.clone() as _).await }).done();
    }
}

#[test]
fn the_store_keeps_the_contract() {
    for seed in 0..30 {
        let sim = Sim::new(seed);
        let store = sim.store(Promise::Projections);
        sim.run(async move { contract::store(seed, 200, || store.clone() as _).await }).done();
    }
}

const TABLE: Table = Table("t");

/// Writes twenty batches of two rows each, cuts the power, returns the rows.
fn batches_left(seed: u64, promise: Promise) -> usize {
    let sim = Sim::new(seed);
    let store = sim.store(promise);
    let writer = store.clone();
    sim.run(async move {
        for number in 0..20_u8 {
            let mut batch = Batch::default();
            batch.put(TABLE, [number, 0], [number]);
            batch.put(TABLE, [number, 1], [number]);
            batch.put(TABLE, *b"last", [number]);
            writer.write(batch).await.unwrap();
        }
    })
    .done();
    sim.crash();
    let all = Range { from: Vec::new(), to: None, limit: 1000, descending: false };
    let rows = sim.run(async move { store.range(TABLE, all).await.unwrap() }).done();
    if rows.is_empty() {
        return 0;
    }
    let last = usize::from(rows.iter().find(|row| row.0 == b"last").unwrap().1[0]);
    assert_eq!(rows.len(), (last + 1) * 2 + 1, "seed {seed}: half a batch, or a hole");
    last + 1
}

#[test]
fn a_projection_loses_whole_batches_from_the_end_and_records_none() {
    let left: std::collections::BTreeSet<_> = (0..200).map(|seed| batches_left(seed, Promise::Projections)).collect();
    assert!(left.len() > 10 && left.contains(&0) && left.contains(&20), "{left:?}");
    assert!((0..50).all(|seed| batches_left(seed, Promise::Records) == 20));
}
