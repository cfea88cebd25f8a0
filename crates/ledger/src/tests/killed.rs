//! A ledger whose process was killed: the unfinished end is told apart from what is wrong, and hides nothing before it.

use std::sync::Arc;

use tendon_kernel::{ErrorKind, context::Disk as _, sockets::ledger::Ledger as _};
use tendon_testkit::{MemDisk, Rng, TestKeys};

use super::{Bench, FOLDER, decision, open_book};
use crate::{
    open,
    verify::{Options, Report, verify},
};

const SEGMENT: &str = "ledger/main/segments/00000000000000000000.seg";

fn report(disk: &MemDisk) -> Report {
    let keys = TestKeys::new(7);
    verify(disk, FOLDER, &Options { keys: Some(&keys), tail: true, ..Options::default() }, &mut |_, _| {}).unwrap()
}

/// 30 entries under a checkpoint and 10 behind it; the process is still there, as it is when it is killed.
fn left_behind(bench: &Bench) -> Arc<MemDisk> {
    let (parts, context) = (bench.parts(), bench.sim.context());
    bench
        .sim
        .run(async move {
            let book = open_book(parts).await;
            for number in 0..40u64 {
                book.commit(vec![decision(&context, &format!("s{number}"), number, None)]).await.unwrap();
                if number == 29 {
                    book.checkpoint().await.unwrap();
                }
            }
            book.projected(39).await.unwrap();
        })
        .done();
    bench.sim.disk()
}

#[test]
fn an_entry_that_a_kill_cut_off_is_no_damage_but_hides_none() {
    let mut bench = Bench::new(23);
    bench.settings.segment_bytes = 1 << 20;
    let disk = left_behind(&bench);
    assert!(disk.list(&format!("{FOLDER}/segments")).unwrap().len() == 1);
    let whole = disk.dump()[SEGMENT].clone();
    let mut rng = Rng::new(3);
    for _ in 0..40 {
        let cut = 1 + rng.index(200);
        let mut bytes = whole[..whole.len() - cut].to_vec();
        disk.plant(SEGMENT, &bytes);
        let killed = report(&disk);
        assert!(killed.is_good(), "{cut} bytes cut: {:?}", killed.findings);
        assert_eq!(killed.unfinished.len(), 1, "{cut} bytes cut");
        // The same where room was left behind the last entry.
        disk.plant(SEGMENT, &[&bytes[..], &[0; 5000]].concat());
        let killed = report(&disk);
        assert!(killed.is_good(), "{cut} bytes cut, then room: {:?}", killed.findings);
        // An entry cut by bytes that were zeros is whole again.
        let whole_again = whole[whole.len() - cut..].iter().all(|byte| *byte == 0);
        assert_eq!(killed.unfinished.len(), usize::from(!whole_again), "{cut} bytes cut, then room");
        // A flipped bit below the checkpoint is found all the same.
        let at = 100 + rng.index(10_000);
        bytes[at] ^= 1;
        disk.plant(SEGMENT, &bytes);
        let damaged = report(&disk);
        assert!(!damaged.is_good(), "byte {at} was not found");
        assert!(damaged.findings[0].entry.is_some_and(|entry| entry < 30), "{:?}", damaged.findings);
    }
    // Room alone is nothing to tell of; a flipped bit of an entry before it is, and so is one in the room.
    let roomy = [&whole[..], &[0; 5000]].concat();
    disk.plant(SEGMENT, &roomy);
    let killed = report(&disk);
    assert!(killed.is_good() && killed.unfinished.is_empty() && killed.entries == 40, "{killed:?}");
    for at in [whole.len() - 100, whole.len() + 2000] {
        let mut damaged = roomy.clone();
        damaged[at] ^= 1;
        disk.plant(SEGMENT, &damaged);
        assert_eq!(
            report(&disk).findings.first().and_then(|first| first.entry),
            Some(if at < whole.len() { 39 } else { 40 })
        );
    }
    // Cut below the checkpoint it is damage.
    disk.plant(SEGMENT, &whole[..10_000]);
    assert!(!report(&disk).is_good());
}

#[test]
fn damage_to_what_was_projected_is_refused_and_never_cut() {
    let mut bench = Bench::new(29);
    bench.settings.segment_bytes = 1 << 20;
    let disk = left_behind(&bench);
    let whole = disk.dump()[SEGMENT].clone();
    // The last entry's bytes, one in the middle of those behind the checkpoint, and the end of the file.
    let mut flipped = whole.clone();
    flipped[whole.len() - 20] ^= 1;
    let mut middle = whole.clone();
    middle[whole.len() * 7 / 8] ^= 1;
    let cut = whole[..whole.len() - 30].to_vec();
    for (bytes, entries) in [(flipped, 39..40), (middle, 31..39), (cut, 39..40)] {
        disk.plant(SEGMENT, &bytes);
        let parts = bench.parts();
        let error = bench.sim.run(async move { open(parts).await.err().unwrap() }).done();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Corrupt, "ledger_entry"));
        let text = format!("{error:?}");
        assert!(entries.clone().any(|entry| text.contains(&entry.to_string())), "{text} names none of {entries:?}");
        assert!(disk.dump()[SEGMENT] == bytes, "nothing is cut");
    }
    disk.plant(SEGMENT, &whole);
    let parts = bench.parts();
    assert_eq!(bench.sim.run(async move { open_book(parts).await.state().size }).done(), 40);
}
