//! What the socket promises, without crashes.

use tendon_kernel::{
    ErrorKind,
    sockets::ledger::{Claim, Committed, EntryKind, Ledger as _, Query},
};

use super::{Bench, decision, facts, open_book};

#[test]
fn what_is_committed_is_read_back_now_and_after_reopening() {
    let bench = Bench::new(1);
    let (parts, again, context) = (bench.parts(), bench.parts(), bench.sim.context());
    bench
        .sim
        .run(async move {
            let book = open_book(parts).await;
            let mut ids = Vec::new();
            for number in 0..300u64 {
                let draft = decision(&context, &format!("subject {}", number % 7), number, None);
                ids.push((draft.facts.clone(), draft.body.clone()));
                assert_eq!(book.commit(vec![draft]).await.unwrap(), [Committed::New { seq: number }]);
            }
            for reopened in [false, true] {
                let book = if reopened {
                    book.close().await.unwrap();
                    let state = book.state();
                    assert_eq!((state.size, state.checkpoint, state.projected), (300, 300, 300));
                    open_book(parts_of(&again)).await
                } else {
                    std::sync::Arc::clone(&book)
                };
                for (number, (facts, body)) in ids.iter().enumerate() {
                    let entry = book.entry(number as u64).await.unwrap().unwrap();
                    assert_eq!((&entry.facts, entry.body.as_ref()), (facts, Some(body)));
                    let entries = book.entries_of(facts.id).await.unwrap();
                    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [number as u64]);
                }
                assert!(book.entry(300).await.unwrap().is_none());
                let query = Query { subject: Some("subject 3".into()), limit: 5, ..Query::default() };
                let found: Vec<u64> = book.list(query).await.unwrap().iter().map(|entry| entry.seq).collect();
                assert_eq!(found, [297, 290, 283, 276, 269]);
                let query =
                    Query { integration: Some("lead-score".into()), before: Some(100), limit: 3, ..Query::default() };
                let found: Vec<u64> = book.list(query).await.unwrap().iter().map(|entry| entry.seq).collect();
                assert_eq!(found, [99, 98, 97]);
                let query = Query { integration: Some("other".into()), limit: 3, ..Query::default() };
                assert!(book.list(query).await.unwrap().is_empty());
                let query = Query { limit: 1000, ..Query::default() };
                assert_eq!(book.list(query).await.unwrap().len(), 300);
                // What is new since somebody looked last, by whatever it is found.
                for (subject, integration, from, wanted) in [
                    (None, None, 130, (130..300).rev().collect::<Vec<u64>>()),
                    (None, Some("lead-score"), 297, vec![299, 298, 297]),
                    (Some("subject 3"), None, 283, vec![297, 290, 283]),
                    (Some("subject 3"), None, 284, vec![297, 290]),
                    (None, None, 300, vec![]),
                    (None, Some("lead-score"), 1_000_000, vec![]),
                ] {
                    let [subject, integration] = [subject, integration].map(|name: Option<&str>| name.map(Into::into));
                    let query = Query { subject, integration, from, limit: 1000, ..Query::default() };
                    let found: Vec<u64> = book.list(query).await.unwrap().iter().map(|entry| entry.seq).collect();
                    assert_eq!(found, wanted, "from {from}");
                }
            }
        })
        .done();
}

#[test]
fn a_closed_ledger_holds_nothing_any_more() {
    let bench = Bench::new(2);
    let (parts, context) = (bench.parts(), bench.sim.context());
    let run = async move {
        let book = open_book(parts).await;
        for number in 0..300u64 {
            book.commit(vec![decision(&context, &format!("s{number}"), number, None)]).await.unwrap();
        }
        let shared = std::sync::Arc::downgrade(&book.inner);
        book.close().await.unwrap();
        drop(book);
        // A task that lived on would hold the store, and whoever opens it again would wait for it.
        assert!(shared.upgrade().is_none());
    };
    bench.sim.run(run).done();
}

fn parts_of(parts: &crate::Parts) -> crate::Parts {
    crate::Parts {
        context: parts.context.clone(),
        store: std::sync::Arc::clone(&parts.store),
        keys: std::sync::Arc::clone(&parts.keys),
        projections: parts.projections.clone(),
        origin: parts.origin.clone(),
        folder: parts.folder.clone(),
        settings: parts.settings.clone(),
    }
}

#[test]
fn a_claim_is_given_once() {
    let bench = Bench::new(2);
    let (parts, context) = (bench.parts(), bench.sim.context());
    bench
        .sim
        .run(async move {
            let book = open_book(parts).await;
            let one = decision(&context, "a", 1, Some("caller/lead-score/key-1"));
            let (id, claim) = (one.facts.id, one.claim.clone().unwrap());
            let other = decision(&context, "a", 2, Some("caller/lead-score/key-1"));
            assert_eq!(book.claimed(&claim).await.unwrap(), None);
            // In one call, from two tasks, later, and after the projections saw it.
            let got = book.commit(vec![one.clone(), one.clone(), other.clone()]).await.unwrap();
            let taken = |same_input| Committed::Taken { seq: 0, id, same_input };
            assert_eq!(got, [Committed::New { seq: 0 }, taken(true), taken(false)]);
            let (left, right) = futures_util::join!(book.commit(vec![one.clone()]), book.commit(vec![other.clone()]));
            assert_eq!((left.unwrap(), right.unwrap()), (vec![taken(true)], vec![taken(false)]));
            book.projected(0).await.unwrap();
            assert_eq!(book.commit(vec![other]).await.unwrap(), [taken(false)]);
            assert_eq!(book.claimed(&claim).await.unwrap(), Some(taken(true)));
            let free = Claim { scope: "free".into(), ..claim };
            assert_eq!(book.claimed(&free).await.unwrap(), None);
            assert_eq!(book.state().size, 1);
        })
        .done();
}

/// One key a subject and one a day, also over restarts: what was erased is one slot, and the keyring does not grow with every start.
#[test]
fn who_has_a_slot_keeps_it_over_restarts() {
    let bench = Bench::new(4);
    let (parts, context) = (bench.parts(), bench.sim.context());
    let run = async move {
        for _ in 0..3 {
            let book = open_book(parts_of(&parts)).await;
            let mut nobody = decision(&context, "", 1, None);
            nobody.body.subject = None;
            let day = book.inner.tokens.day(&nobody.facts);
            book.commit(vec![decision(&context, "Max", 1, None), nobody]).await.unwrap();
            book.projected(book.state().size - 1).await.unwrap();
            let rows = book.inner.index.subject(&book.inner.tokens.subject("Max"), u64::MAX, 9).await.unwrap();
            assert!(rows.iter().all(|row| row.slot == 0), "{:?}", rows.iter().map(|row| row.slot).collect::<Vec<_>>());
            assert_eq!(book.inner.index.slot(&day).await.unwrap(), Some(1));
            book.close().await.unwrap();
        }
    };
    bench.sim.run(run).done();
}

/// Quotes and an umlaut, so that she is written differently in plain and in JSON.
const ERIKA: &str = "Erika \"Mü\" Mustermann";

#[test]
fn erased_means_erased() {
    let bench = Bench::new(3);
    let (parts, context) = (bench.parts(), bench.sim.context());
    let store = std::sync::Arc::clone(&bench.store);
    let disk = bench.sim.disk();
    bench
        .sim
        .run(async move {
            let again = parts_of(&parts);
            let book = open_book(parts).await;
            for number in 0..40 {
                let subject = if number % 2 == 0 { ERIKA } else { "Max" };
                let draft = decision(&context, subject, number, Some(&format!("key {number}")));
                book.commit(vec![draft]).await.unwrap();
            }
            let erasure = facts(&context, EntryKind::Erasure, tendon_kernel::Id::new(&context));
            let erased = book.erase(ERIKA, erasure.clone()).await.unwrap();
            assert_eq!((erased.seq, erased.decisions), (40, 20));
            let unknown = book.erase(ERIKA, erasure).await.unwrap_err();
            assert_eq!(unknown.kind(), ErrorKind::NotFound);
            book.commit(vec![decision(&context, ERIKA, 99, None)]).await.unwrap();
            for round in 0..2 {
                let book = if round == 0 {
                    std::sync::Arc::clone(&book)
                } else {
                    book.close().await.unwrap();
                    open_book(parts_of(&again)).await
                };
                for seq in 0..40 {
                    let entry = book.entry(seq).await.unwrap().unwrap();
                    assert_eq!(entry.body.is_some(), seq % 2 == 1, "entry {seq}");
                }
                let query = Query { subject: Some(ERIKA.into()), limit: 100, ..Query::default() };
                let seqs: Vec<_> = book.list(query).await.unwrap().iter().map(|entry| entry.seq).collect();
                assert_eq!(seqs, [41]);
                assert!(book.entry(41).await.unwrap().unwrap().body.is_some());
            }
        })
        .done();
    for (path, bytes) in disk.dump() {
        for word in [ERIKA, "Erika", "Mustermann", "M\\u00fc", "key 0", "more of 4"] {
            assert!(!contains(&bytes, word.as_bytes()), "{word} in {path}");
        }
    }
    for ((table, key), value) in store.dump() {
        assert!(!contains(&key, b"Erika") && !contains(&value, b"Erika"), "in {table}");
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
