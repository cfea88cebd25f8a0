//! Copies while a process writes, copies of copies, forks, and erasures that outlive an old copy.

use std::sync::Arc;

use tendon_kernel::{
    ErrorKind, Id,
    context::{Context, Disk},
    sockets::ledger::{EntryKind, Ledger as _},
};
use tendon_testkit::{Promise, TestKeys};

use super::{Bench, FOLDER, decision, facts, open_book};
use crate::{
    Book, Parts,
    backup::{Place, copy, copy_keyring},
    verify::{Options, Report, verify},
};

const COPY: &str = "copy/main";

fn place<'a>(disk: &'a dyn Disk, folder: &'a str) -> Place<'a> {
    Place { disk, folder }
}

fn verified(disk: &dyn Disk, folder: &str, since: Option<&str>, newer_keys: bool) -> Report {
    let keys = TestKeys::new(7);
    let options = Options { keys: Some(&keys), public_key: None, since, tail: true, newer_keys };
    verify(disk, folder, &options, &mut |_, _| {}).unwrap()
}

async fn write(book: &Book, context: &Context, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let draft = decision(context, &format!("s{}", number % 40), number, None);
        book.commit(vec![draft]).await.unwrap();
    }
}

/// Another ledger of the same name and key, in another folder.
fn elsewhere(bench: &Bench, folder: &str) -> Parts {
    Parts { folder: folder.into(), store: bench.sim.store(Promise::Projections), ..bench.parts() }
}

#[test]
fn a_copy_is_taken_while_a_process_writes_and_goes_on_from_there() {
    for seed in 0..30 {
        let bench = Bench::new(seed);
        let (parts, context, disk) = (bench.parts(), bench.sim.context(), bench.sim.context().disk);
        let run = async move {
            let book = open_book(parts).await;
            write(&book, &context, 0..300).await;
            book.checkpoint().await.unwrap();
            let (one, two) = (place(&*disk, FOLDER), place(&*disk, COPY));
            let (writer, writing) = (Arc::clone(&book), context.clone());
            context.spawn.spawn("writer", Box::pin(async move { write(&writer, &writing, 300..900).await }));
            let mut before = copy(one, two).await.unwrap();
            assert!(before.before == 0 && before.entries >= 300, "{before:?}");
            copy_keyring(one, two).await.unwrap();
            while before.entries < 900 {
                book.checkpoint().await.unwrap();
                let next = copy(one, two).await.unwrap();
                assert_eq!(next.before, before.entries);
                copy_keyring(one, two).await.unwrap();
                let report = verified(&*disk, COPY, Some(&before.checkpoint), false);
                assert!(report.is_good(), "seed {seed}: {:?}", report.findings);
                assert_eq!(report.entries, next.entries);
                before = next;
                context.clock.sleep(std::time::Duration::from_millis(5)).await;
            }
            let again = copy(one, two).await.unwrap();
            assert_eq!((again.before, again.bytes), (900, 0), "nothing came since");
            book.close().await.unwrap();
        };
        bench.sim.run(run).done();
    }
}

#[test]
fn a_fork_is_named_and_nothing_is_touched() {
    let bench = Bench::new(3);
    let (parts, behind, other) = (bench.parts(), elsewhere(&bench, "behind/main"), elsewhere(&bench, "other/main"));
    let (context, disk) = (bench.sim.context(), bench.sim.context().disk);
    let run = async move {
        let book = open_book(parts).await;
        write(&book, &context, 0..300).await;
        let text = book.checkpoint().await.unwrap();
        let two = place(&*disk, COPY);
        copy(place(&*disk, FOLDER), two).await.unwrap();
        write(&book, &context, 300..310).await;
        book.holds(&text).await.unwrap();
        for (parts, entries, folder, code) in
            [(behind, 200, "behind/main", "ledger_older"), (other, 400, "other/main", "ledger_fork")]
        {
            let book = open_book(parts).await;
            write(&book, &context, 0..entries).await;
            book.checkpoint().await.unwrap();
            for refused in [copy(place(&*disk, folder), two).await.map(drop), book.holds(&text).await] {
                let error = refused.unwrap_err();
                assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, code), "{error}");
            }
            book.close().await.unwrap();
        }
        let found = crate::tiles::read_file(&*disk, &format!("{COPY}/checkpoint")).unwrap();
        assert_eq!(found, text.as_bytes(), "the copy is as it was");
        book.close().await.unwrap();
    };
    bench.sim.run(run).done();
}

#[test]
fn who_was_erased_stays_erased_when_an_older_copy_is_restored() {
    let bench = Bench::new(4);
    let (parts, again) = (bench.parts(), elsewhere(&bench, "again/main"));
    let (context, disk) = (bench.sim.context(), bench.sim.context().disk);
    let run = async move {
        let book = open_book(parts).await;
        write(&book, &context, 0..80).await;
        book.checkpoint().await.unwrap();
        let (one, old, new) = (place(&*disk, FOLDER), place(&*disk, COPY), place(&*disk, "again/main"));
        copy(one, old).await.unwrap();
        copy_keyring(one, old).await.unwrap();
        for subject in ["s3", "s7"] {
            let erasure = facts(&context, EntryKind::Erasure, Id::new(&context));
            book.erase(subject, erasure).await.unwrap();
        }
        // The record stays as it is; the keys are those of the last copy.
        copy_keyring(one, old).await.unwrap();
        book.close().await.unwrap();

        copy(old, new).await.unwrap();
        copy_keyring(old, new).await.unwrap();
        assert!(!verified(&*disk, "again/main", None, false).is_good(), "the record does not know of the erasures yet");
        let report = verified(&*disk, "again/main", None, true);
        assert!(report.is_good(), "{:?}", report.findings);
        let book = open_book(again).await;
        assert_eq!(book.adopt_erasures(&facts(&context, EntryKind::Erasure, Id::new(&context))).await.unwrap(), 2);
        assert_eq!(book.adopt_erasures(&facts(&context, EntryKind::Erasure, Id::new(&context))).await.unwrap(), 0);
        for number in 0..80 {
            let body = book.entry(number).await.unwrap().unwrap().body;
            assert_eq!(body.is_none(), [3, 7].contains(&(number % 40)), "entry {number}");
        }
        write(&book, &context, 0..80).await;
        book.close().await.unwrap();
        let report = verified(&*disk, "again/main", None, false);
        assert!(report.is_good(), "{:?}", report.findings);
    };
    bench.sim.run(run).done();
}
