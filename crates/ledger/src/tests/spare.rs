//! Room made ahead: entries go into zeros that are on the disk already, nothing of it is left at closing, and a full disk
//! only takes the room away.

use tendon_kernel::{context::Disk as _, sockets::ledger::Ledger as _};
use tendon_testkit::{MemDisk, TestKeys};

use super::{Bench, FOLDER, decision, open_book};
use crate::{
    Book,
    verify::{Options, verify},
};

fn bench(seed: u64) -> Bench {
    let mut bench = Bench::new(seed);
    (bench.settings.spare_after, bench.settings.spare_bytes) = (2000, 16 << 10);
    bench.settings.segment_bytes = 1 << 20;
    bench
}

async fn commit(book: &Book, context: &tendon_kernel::context::Context, numbers: std::ops::Range<u64>) {
    for number in numbers {
        book.commit(vec![decision(context, &format!("s{number}"), number, None)]).await.unwrap();
    }
}

/// Segments in order, and the zeros at the end of the last one.
fn segments(disk: &MemDisk) -> (usize, usize) {
    let files: Vec<Vec<u8>> =
        disk.dump().into_iter().filter(|(path, _)| path.ends_with(".seg")).map(|(_, bytes)| bytes).collect();
    let zeros = files.last().map_or(0, |bytes| bytes.iter().rev().take_while(|byte| **byte == 0).count());
    (files.len(), zeros)
}

fn spares(disk: &MemDisk) -> usize {
    disk.list("tmp").unwrap().iter().filter(|name| name.contains("-spare-")).count()
}

fn verified(disk: &MemDisk) -> u64 {
    let keys = TestKeys::new(7);
    let options = Options { keys: Some(&keys), tail: true, ..Options::default() };
    let report = verify(disk, FOLDER, &options, &mut |_, _| {}).unwrap();
    assert!(report.is_good() && report.unfinished.is_empty(), "{report:?}");
    report.entries
}

#[test]
fn entries_go_into_room_and_closing_leaves_none() {
    let bench = bench(41);
    let (parts, context, disk) = (bench.parts(), bench.sim.context(), bench.sim.disk());
    let run = async move {
        let book = open_book(parts).await;
        commit(&book, &context, 0..40).await;
        let (count, zeros) = segments(&disk);
        assert!(count >= 2 && zeros > 1000, "{count} segments, {zeros} zeros: no room was made");
        // As a whole file of zeros is only overwritten, no further entry makes it longer.
        let length =
            |disk: &MemDisk| disk.dump().into_iter().rfind(|(path, _)| path.ends_with(".seg")).unwrap().1.len();
        let before = length(&disk);
        commit(&book, &context, 40..42).await;
        assert_eq!(length(&disk), before);
        assert_eq!(verified_live(&disk), Some(()));
        book.close().await.unwrap();
    };
    bench.sim.run(run).done();
    let disk = bench.sim.disk();
    assert_eq!((segments(&disk).1 < 16, spares(&disk)), (true, 0), "{:?}", segments(&disk));
    assert_eq!(verified(&disk), 42);
}

/// What a second process sees.
fn verified_live(disk: &MemDisk) -> Option<()> {
    let keys = TestKeys::new(7);
    let options = Options { keys: Some(&keys), ..Options::default() };
    verify(disk, FOLDER, &options, &mut |_, _| {}).ok().filter(|report| report.is_good()).map(drop)
}

#[test]
fn what_a_killed_process_left_is_cut_and_its_spare_removed() {
    let bench = bench(43);
    let (parts, context) = (bench.parts(), bench.sim.context());
    let run = async move {
        let book = open_book(parts).await;
        commit(&book, &context, 0..40).await;
        // Killed: nothing is closed.
        std::mem::forget(book);
    };
    bench.sim.run(run).done();
    let disk = bench.sim.disk();
    assert!(segments(&disk).1 > 1000);
    assert_eq!(verified(&disk), 40);
    let (parts, context, inner) = (bench.parts(), bench.sim.context(), bench.sim.disk());
    let run = async move {
        let book = open_book(parts).await;
        assert_eq!((segments(&inner).1 < 16, spares(&inner)), (true, 0));
        commit(&book, &context, 40..80).await;
        book.close().await.unwrap();
    };
    bench.sim.run(run).done();
    assert_eq!(verified(&disk), 80);
}

#[test]
fn without_room_on_the_disk_entries_go_on() {
    let bench = bench(47);
    let (parts, context, disk) = (bench.parts(), bench.sim.context(), bench.sim.disk());
    let run = async move {
        let book = open_book(parts).await;
        // Enough for the entries, not for a spare.
        disk.capacity(Some(disk.used() + (15 << 10)));
        commit(&book, &context, 0..12).await;
        assert_eq!((segments(&disk).0, spares(&disk)), (1, 0), "no spare could be made");
        disk.capacity(None);
        // Tried again when there is room.
        context.clock.sleep(std::time::Duration::from_secs(31)).await;
        commit(&book, &context, 12..60).await;
        assert!(segments(&disk).0 > 1);
        book.close().await.unwrap();
    };
    bench.sim.run(run).done();
    assert_eq!(verified(&bench.sim.disk()), 60);
}
