//! Disk full, failed syncs, a store that refuses, a folder of another ledger: what answers, what resumes.

use std::{sync::Arc, time::Duration};

use tendon_kernel::{
    ErrorKind, Id,
    sockets::ledger::{Committed, EntryKind, Ledger as _, Query},
};
use tendon_testkit::TestKeys;

use super::{Bench, FOLDER, decision, facts, open_book};
use crate::{
    Parts, objects, open,
    verify::{Options, verify},
};

#[test]
fn a_full_disk_stops_answers_and_they_resume_without_gap() {
    let mut bench = Bench::new(31);
    bench.settings.segment_bytes = 1 << 20;
    let (parts, context, disk) = (bench.parts(), bench.sim.context(), bench.sim.disk());
    let run = async move {
        let book = open_book(parts).await;
        for number in 0..3 {
            book.commit(vec![decision(&context, "a", number, None)]).await.unwrap();
        }
        let used = disk.used();
        disk.capacity(Some(used + 100));
        let outcome = decision(&context, "a", 100, None);
        book.append(vec![outcome.clone()]).unwrap();
        let lost = decision(&context, "a", 3, Some("key"));
        let error = book.commit(vec![lost.clone()]).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "ledger_disk_full"));
        assert!(book.state().stopped.is_some());
        assert_eq!(disk.used(), used, "what was written is cut back");
        disk.capacity(None);
        // The outcome that waited goes first, and the claim is free again.
        assert_eq!(book.commit(vec![lost]).await.unwrap(), [Committed::New { seq: 4 }]);
        assert_eq!(book.state().stopped, None);
        assert_eq!(book.entry(3).await.unwrap().unwrap().facts.id, outcome.facts.id);
        book.close().await.unwrap();
    };
    bench.sim.run(run).done();
}

#[test]
fn what_was_appended_can_be_waited_for() {
    let bench = Bench::new(33);
    let (parts, context, disk) = (bench.parts(), bench.sim.context(), bench.sim.disk());
    let run = async move {
        let book = open_book(parts).await;
        book.appended().await.unwrap();
        book.commit(vec![decision(&context, "a", 0, None)]).await.unwrap();
        for number in 1..4 {
            book.append(vec![decision(&context, "a", number, None)]).unwrap();
        }
        assert_eq!(book.state().size, 1, "nobody has waited yet");
        book.appended().await.unwrap();
        assert_eq!(book.state().size, 4);
        let used = disk.used();
        disk.capacity(Some(used + 100));
        book.append(vec![decision(&context, "a", 4, None)]).unwrap();
        assert_eq!(book.appended().await.unwrap_err().code(), "ledger_disk_full");
        disk.capacity(None);
        book.appended().await.unwrap();
        assert_eq!(book.state().size, 5);
        book.close().await.unwrap();
    };
    bench.sim.run(run).done();
}

#[test]
fn a_failed_sync_is_never_answered_and_never_repeated_on_that_file() {
    let bench = Bench::new(32);
    let (parts, context, disk) = (bench.parts(), bench.sim.context(), bench.sim.disk());
    let again = bench.parts();
    let run = async move {
        let book = open_book(parts).await;
        book.commit(vec![decision(&context, "a", 0, None)]).await.unwrap();
        book.checkpoint().await.unwrap();
        book.projected(0).await.unwrap();
        disk.fail_next_sync();
        let error = book.commit(vec![decision(&context, "a", 1, None)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(book.state().stopped.is_some());
        for number in 1..50 {
            let draft = decision(&context, "a", 100 + number, None);
            assert_eq!(book.commit(vec![draft]).await.unwrap(), [Committed::New { seq: number }]);
        }
        assert_eq!(book.state().stopped, None);
    };
    bench.sim.run(run).done();
    bench.sim.crash();
    let run = async move {
        let book = open_book(again).await;
        assert_eq!(book.state().size, 50, "what was acknowledged after the failed sync is durable");
    };
    bench.sim.run(run).done();
}

#[test]
fn projections_that_cannot_be_written_hold_nothing_up_until_the_tail_is_full() {
    let mut bench = Bench::new(33);
    bench.settings.tail_entries = 20;
    let (parts, context, store) = (bench.parts(), bench.sim.context(), Arc::clone(&bench.store));
    let run = async move {
        let book = open_book(parts).await;
        store.fail_writes(6);
        for number in 0..100u64 {
            book.commit(vec![decision(&context, "a", number, Some(&format!("key {number}")))]).await.unwrap();
            let state = book.state();
            assert!(state.size - state.projected <= 20, "{state:?}");
        }
        book.close().await.unwrap();
        assert_eq!(book.state().projected, 100);
    };
    bench.sim.run(run).done();
}

/// What the projector had noted of a batch that the store refused is not in the store: the next one must write it again.
#[test]
fn rows_of_a_refused_batch_are_all_in_the_next_one() {
    let bench = Bench::new(38);
    let (parts, context, store) = (bench.parts(), bench.sim.context(), Arc::clone(&bench.store));
    let run = async move {
        let book = open_book(parts).await;
        for (round, refused) in [(0, 1), (1, 3), (2, 0)] {
            store.fail_writes(refused);
            for number in 0..70u64 {
                book.commit(vec![decision(&context, "a", round * 70 + number, None)]).await.unwrap();
            }
            book.projected(round * 70 + 69).await.unwrap();
            let query = Query { integration: Some("lead-score".into()), limit: 1_000, ..Query::default() };
            let found: Vec<u64> = book.list(query).await.unwrap().iter().map(|entry| entry.seq).collect();
            assert_eq!(found, (0..(round + 1) * 70).rev().collect::<Vec<_>>(), "by integration, the newest first");
        }
        book.close().await.unwrap();
    };
    bench.sim.run(run).done();
}

/// An erasure is done when its traces are gone too; one that could not see to it says so, and the next start does.
#[test]
fn an_erasure_is_not_done_before_its_traces_are_gone() {
    let bench = Bench::new(39);
    let (parts, again, context, store) = (bench.parts(), bench.parts(), bench.sim.context(), Arc::clone(&bench.store));
    let run = async move {
        let book = open_book(parts).await;
        let erasure = || facts(&context, EntryKind::Erasure, Id::new(&context));
        for subject in ["a", "b"] {
            book.commit(vec![decision(&context, subject, 0, None)]).await.unwrap();
        }
        let before = store.purged();
        book.erase("a", erasure()).await.unwrap();
        assert_eq!(store.purged(), before + 1);
        store.fail_purges(1);
        let error = book.erase("b", erasure()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "erasure_traces"));
        assert!(book.entry(1).await.unwrap().unwrap().body.is_none(), "erased it is");
        book.close().await.unwrap();
        open_book(again).await;
        assert_eq!(store.purged(), before + 2);
    };
    bench.sim.run(run).done();
}

#[test]
fn closing_does_not_wait_for_a_broken_store_for_ever() {
    let bench = Bench::new(37);
    let (parts, again, context, store) = (bench.parts(), bench.parts(), bench.sim.context(), Arc::clone(&bench.store));
    let run = async move {
        let book = open_book(parts).await;
        store.fail_writes(1_000_000);
        book.commit(vec![decision(&context, "a", 0, None)]).await.unwrap();
        assert_eq!(book.close().await.unwrap_err().code(), "ledger_behind");
        store.fail_writes(0);
        let book = open_book(again).await;
        assert_eq!((book.state().size, book.state().checkpoint, book.state().projected), (1, 1, 1));
    };
    bench.sim.run(run).done();
}

#[test]
fn a_lost_or_foreign_store_is_built_anew() {
    let bench = Bench::new(34);
    let (context, disk) = (bench.sim.context(), bench.sim.disk());
    let (first, second) = (bench.parts(), bench.parts());
    let store = Arc::clone(&bench.store);
    let run = async move {
        let book = open_book(first).await;
        for number in 0..200u64 {
            let draft = decision(&context, &format!("s{}", number % 9), number, Some(&format!("key {number}")));
            book.commit(vec![draft]).await.unwrap();
        }
        book.close().await.unwrap();
        let rows = store.dump();
        store.wipe();
        let book = open_book(second).await;
        assert_eq!(book.state().projected, 200);
        book.close().await.unwrap();
        assert_eq!(store.dump(), rows, "projections are a pure function of the entries");
        // The same store under an empty ledger: rows of another ledger count for nothing.
        for path in disk.dump().into_keys().filter(|path| path.starts_with("ledger/")) {
            tendon_kernel::context::Disk::remove(&*disk, &path).unwrap();
        }
    };
    bench.sim.run(run).done();
    let (third, context) = (bench.parts(), bench.sim.context());
    let run = async move {
        let book = open_book(third).await;
        let draft = decision(&context, "s1", 1, Some("key 1"));
        assert_eq!(book.commit(vec![draft]).await.unwrap(), [Committed::New { seq: 0 }]);
    };
    bench.sim.run(run).done();
}

#[test]
fn a_ledger_of_another_key_or_origin_is_refused() {
    let bench = Bench::new(35);
    let (first, key, origin) = (bench.parts(), bench.parts(), bench.parts());
    let run = async move {
        open_book(first).await.close().await.unwrap();
        let key = Parts { keys: Arc::new(TestKeys::new(8)), ..key };
        assert_eq!(open(key).await.err().unwrap().kind(), ErrorKind::Config);
        let origin = Parts { origin: "tendon.local/other/main".into(), ..origin };
        assert_eq!(open(origin).await.err().unwrap().kind(), ErrorKind::Config);
    };
    bench.sim.run(run).done();
}

#[test]
fn objects_are_kept_by_digest() {
    let bench = Bench::new(36);
    let (context, disk) = (bench.sim.context(), bench.sim.disk());
    let digest = bench.sim.run(async move { objects::put(&context, b"a model").await.unwrap() }).done();
    bench.sim.crash();
    assert_eq!(objects::get(&*disk, &digest).unwrap(), b"a model");
    assert_eq!(objects::get(&*disk, "../ledger").unwrap_err().kind(), ErrorKind::NotFound);
    assert!(disk.flip(&format!("objects/{digest}"), 0, 1));
    assert_eq!(objects::get(&*disk, &digest).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_buffered_ledger_loses_nothing_under_a_checkpoint_and_its_projections_follow() {
    for seed in 60..100 {
        let mut bench = Bench::new(seed);
        bench.settings.sync = false;
        bench.settings.checkpoint_every = Duration::from_secs(3600);
        let (parts, again, context) = (bench.parts(), bench.parts(), bench.sim.context());
        let run = async move {
            let book = open_book(parts).await;
            for number in 0..70u64 {
                let draft = decision(&context, &format!("s{number}"), number, Some(&format!("key {number}")));
                book.commit(vec![draft]).await.unwrap();
                if number == 39 {
                    book.checkpoint().await.unwrap();
                }
            }
            book.projected(69).await.unwrap();
        };
        bench.sim.run(run).done();
        bench.sim.crash();
        let (context, store) = (bench.sim.context(), Arc::clone(&bench.store));
        let run = async move {
            let book = open_book(again).await;
            let size = book.state().size;
            assert!((40..=70).contains(&size), "seed {seed}: {size}");
            assert_eq!(book.state().projected, size);
            // The claim of a lost entry is free, that of a kept one is taken.
            for number in [0, 39, 69] {
                let claim = decision(&context, "", 0, Some(&format!("key {number}"))).claim.unwrap();
                assert_eq!(book.claimed(&claim).await.unwrap().is_some(), number < size, "seed {seed}: key {number}");
            }
            book.close().await.unwrap();
            let keys = TestKeys::new(7);
            let options = Options { keys: Some(&keys), tail: true, ..Options::default() };
            let report = verify(&*context.disk, FOLDER, &options, &mut |_, _| {}).unwrap();
            assert_eq!(report.findings, []);
            assert!(store.batches() > 0);
        };
        bench.sim.run(run).done();
    }
}

/// Whoever asked for a checkpoint gives up while its sync is under way: the next one must not take for durable what nobody synced.
#[test]
fn a_checkpoint_that_nobody_waits_for_any_more_loses_no_sync() {
    for seed in 0..40 {
        let mut bench = Bench::new(seed);
        bench.settings.sync = false;
        bench.settings.checkpoint_every = Duration::from_secs(3600);
        let (parts, again, context) = (bench.parts(), bench.parts(), bench.sim.context());
        let disk = bench.sim.disk();
        let run = async move {
            let book = open_book(parts).await;
            for number in 0..20u64 {
                book.commit(vec![decision(&context, "a", number, None)]).await.unwrap();
            }
            disk.sync_latency(Duration::from_millis(10), Duration::ZERO);
            tokio::select! {
                biased;
                _ = book.checkpoint() => panic!("the sync took no time"),
                () = context.clock.sleep(Duration::from_millis(3)) => {}
            }
            let text = book.checkpoint().await.unwrap();
            assert_eq!(text.lines().nth(1), Some("20"), "{text}");
        };
        bench.sim.run(run).done();
        bench.sim.crash();
        let run = async move { open_book(again).await.state().size };
        assert_eq!(bench.sim.run(run).done(), 20, "seed {seed}");
    }
}

#[test]
fn after_a_failed_late_sync_no_checkpoint_claims_what_may_be_lost() {
    let mut bench = Bench::new(71);
    bench.settings.sync = false;
    bench.settings.checkpoint_every = Duration::from_secs(3600);
    let (parts, again, context, disk) = (bench.parts(), bench.parts(), bench.sim.context(), bench.sim.disk());
    let run = async move {
        let book = open_book(parts).await;
        book.commit(vec![decision(&context, "a", 0, None)]).await.unwrap();
        disk.fail_next_sync();
        assert_eq!(book.checkpoint().await.unwrap_err().kind(), ErrorKind::Unavailable);
        drop(book.commit(vec![decision(&context, "a", 1, None)]).await);
        assert_eq!(book.checkpoint().await.unwrap_err().code(), "ledger_not_durable");
        assert_eq!(book.state().checkpoint, 0);
    };
    bench.sim.run(run).done();
    bench.sim.crash();
    let run = async move { open_book(again).await.checkpoint().await.unwrap() };
    bench.sim.run(run).done();
}
