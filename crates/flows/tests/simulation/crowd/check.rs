//! What must hold when a crowded town has come to rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::MutexGuard,
};

use tendon_engine::{
    outbox,
    record_format::{More, Raw, Snapshot},
    stored,
};
use tendon_kernel::{
    Id, Value,
    decision::{Decision, DeliveryState, LookupNote, LookupState, Outcome},
    sockets::ledger::{Entry, EntryKind},
};
use tendon_testkit::FakeSystem;

use super::{STATES, people::subject, states::Known};
use crate::{
    check::{decisions, ended},
    people::Client,
    town::Tiny,
};

/// What the decision about an input must say: the model's answer; nothing where the model or the books had none, where its time was
/// over, or where it would wait for a person and too many did already.
fn right(x: i64, decision: &Decision, with_books: bool) -> bool {
    let failed = |note: &LookupNote| matches!(note.state, LookupState::Failed | LookupState::Missing);
    let no_row = with_books && (decision.lookups.is_empty() || decision.lookups.iter().any(failed));
    if decision.outcome == Outcome::Failed {
        let code = decision.error.as_ref().map(|error| &*error.code);
        let known = code == Some("deadline_exceeded") || code == Some("too_many_reviews") && (x == 13 || no_row);
        return known && decision.output.is_none();
    }
    let unknown = x == 13 || no_row || with_books && decision.degraded.is_some();
    decision.output == Some(Tiny::score(x)) && x != 13 || unknown && decision.output.is_none()
}

/// The entries that concern a decision.
fn of(entries: &[Entry], id: Id) -> Vec<Entry> {
    entries.iter().filter(|entry| entry.facts.id == id).cloned().collect()
}

/// Everything that was answered is recorded as it was answered, unless its subject was erased since.
pub fn answered(entries: &[Entry], known: &Known, clients: &[MutexGuard<'_, Client>], with_books: bool) {
    let recorded: BTreeMap<Id, &Entry> = decisions(entries).map(|entry| (entry.facts.id, entry)).collect();
    let erasing = known.erasing.lock().unwrap();
    let look = |id: Id, x: i64, output: Option<f64>| {
        let entry = recorded.get(&id).unwrap_or_else(|| panic!("{id} was answered and is not recorded"));
        if entry.body.is_none() {
            assert!(erasing.contains(&subject(x)), "{id} about {x} is gone");
            return;
        }
        let decision = stored::decision(entry).unwrap();
        // Who asks again with its key is told what a person has answered since.
        let (mut stands, all) = (decision.clone(), of(entries, id));
        tendon_engine::reviews::stand(&mut stands, &all).unwrap();
        assert!([decision.output, stands.output].contains(&output), "{id}: {output:?} was answered, not recorded");
        assert!(right(x, &decision, with_books), "{id} about {x} says {decision:?}");
    };
    for (id, (_, x, output)) in &*known.answered.lock().unwrap() {
        look(*id, *x, *output);
    }
    for (_, x, decision) in clients.iter().flat_map(|client| &client.acknowledged) {
        if decision.outcome != Outcome::Failed {
            look(decision.id, *x, decision.output);
        }
    }
}

/// Whatever was accepted is decided once; only an erasure ends it.
pub fn promised(entries: &[Entry], known: &Known, with_books: bool) {
    let mut decided = BTreeMap::new();
    for entry in decisions(entries) {
        assert!(decided.insert(entry.facts.id, entry).is_none(), "decision {} was made twice", entry.facts.id);
    }
    let erasing = known.erasing.lock().unwrap();
    for (key, (subject, x, id)) in &*known.promised.lock().unwrap() {
        match decided.get(id) {
            Some(entry) if entry.body.is_some() => {
                let decision = stored::decision(entry).unwrap();
                assert!(right(*x, &decision, with_books), "{key} about {x} says {:?}", decision.output);
            }
            _ => assert!(erasing.contains(subject), "{key} was accepted and never decided"),
        }
    }
}

/// A verdict that was acknowledged is recorded, once, and it is what the decision says now.
pub fn verdicts(entries: &[Entry], known: &Known) {
    let mut by_id: BTreeMap<Id, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        by_id.entry(entry.facts.id).or_default().push(entry.clone());
    }
    for entries in by_id.values() {
        let count = entries.iter().filter(|entry| entry.facts.kind == EntryKind::Review).count();
        assert!(count <= 1, "{count} verdicts about one decision");
    }
    for (id, output) in &*known.verdicts.lock().unwrap() {
        let entries = &by_id[id];
        assert!(entries.iter().any(|entry| entry.facts.kind == EntryKind::Review), "the verdict about {id} is lost");
        let decision = entries.iter().find(|entry| entry.facts.kind == EntryKind::Decision).unwrap();
        if decision.body.is_some() {
            let mut stands = stored::decision(decision).unwrap();
            tendon_engine::reviews::stand(&mut stands, entries).unwrap();
            assert_eq!((stands.output, stands.awaits_review()), (*output, false), "{id} stands as it was answered");
        }
    }
}

/// Of whom an erasure was acknowledged nothing is left from before it.
pub fn erased(entries: &[Entry], known: &Known) {
    let erased = known.erased.lock().unwrap();
    for (id, (subject, ..)) in &*known.answered.lock().unwrap() {
        let Some(position) = erased.get(subject) else { continue };
        let before = entries.iter().filter(|entry| entry.facts.id == *id && entry.seq < *position);
        before.for_each(|entry| assert!(entry.body.is_none(), "{id} about {subject} outlived the erasure"));
    }
}

/// Every row whose last decision was delivered shows what that decision says.
pub fn rows(entries: &[Entry], crm: &FakeSystem) {
    let mut last: BTreeMap<String, &Entry> = BTreeMap::new();
    for entry in decisions(entries) {
        let Some(body) = &entry.body else { continue };
        let (Some(row), Raw::Values(_)) =
            (More::parse(&body.more).unwrap().row, Snapshot::parse(&body.input).unwrap().raw)
        else {
            continue;
        };
        last.insert(format!("{:?}", row.key), entry);
    }
    for row in crm.rows("leads") {
        let entry = last[&format!("{:?}", vec![row["id"].clone()])];
        let all = of(entries, entry.facts.id);
        let mut stands = stored::decision(entry).unwrap();
        tendon_engine::reviews::stand(&mut stands, &all).unwrap();
        assert!(!stands.awaits_review(), "{} still waits for a person", entry.facts.id);
        let delivered = outbox::report(&all).unwrap().iter().all(|one| one.state == DeliveryState::Delivered);
        if let (Some(output), true) = (stands.output, delivered) {
            assert_eq!(row.get("score"), Some(&Value::Float(output)), "row {:?} shows its last decision", row["id"]);
        }
    }
}

/// No delivery is left over, and only what a system refused died.
pub fn deliveries(entries: &[Entry]) {
    for (_, report) in ended(entries) {
        match report.state {
            DeliveryState::Delivered => STATES.saw("a delivery arrived"),
            DeliveryState::Dead => {
                STATES.saw("a delivery died");
                STATES.saw("a row was refused by the system");
            }
            _ => {}
        }
        STATES.saw_times("a delivery was tried more than once", usize::from(report.attempts > Some(1)));
    }
}

/// What the record shows of how the town lived.
pub fn seen(entries: &[Entry]) {
    let mut keys = BTreeSet::new();
    for entry in decisions(entries).filter(|entry| entry.body.is_some()) {
        let decision = stored::decision(entry).unwrap();
        keys.insert(entry.facts.plan.clone());
        if let Some(recalled) = &decision.recalled {
            STATES.saw("an answer came from the cache");
            STATES.saw_times("an answer was served stale", usize::from(recalled.stale));
        }
        for lookup in &decision.lookups {
            STATES.saw(match lookup.state {
                LookupState::Fresh => "a decision follows from a fresh row",
                LookupState::Stale => "a decision follows from a stale row",
                LookupState::Missing => "a lookup found no row",
                LookupState::Failed => "a lookup failed",
            });
            let late = lookup.why.as_ref().is_some_and(|why| why.contains("late") || why.contains("time"));
            STATES.saw_times("a call was late", usize::from(late));
        }
    }
    for entry in entries {
        let passed = outbox::passed_over(entry).unwrap().is_some();
        STATES.saw_times("a decision passed a row over", usize::from(passed));
    }
}
