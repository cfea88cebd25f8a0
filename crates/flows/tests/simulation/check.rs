//! What must hold when a town has come to rest, whatever happened to it before.

use std::collections::{BTreeMap, BTreeSet};

use tendon_engine::{
    outbox::{self, DeliveryReport},
    record_format::{More, Raw, Snapshot},
};
use tendon_kernel::{
    Id, Value,
    decision::{Decision, DeliveryState},
    sockets::ledger::{Entry, EntryKind, Ledger},
};
use tendon_ledger::Book;
use tendon_testkit::{FakeSystem, system::Fields};

use crate::{people::Client, town::Tiny};

/// All entries of a ledger, in order.
pub async fn entries(ledger: &Book) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some(entry) = ledger.entry(entries.len() as u64).await.unwrap() {
        entries.push(entry);
    }
    assert_eq!(entries.len() as u64, ledger.state().size, "the ledger has no gap");
    entries
}

fn decision(entry: &Entry) -> Decision {
    serde_json::from_slice(&entry.body.as_ref().unwrap().output).unwrap()
}

/// The decisions among them.
pub fn decisions(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    entries.iter().filter(|entry| entry.facts.kind == EntryKind::Decision)
}

/// Every acknowledgement stands in the ledger, word for word, and one key never has two decisions.
pub fn acknowledged(entries: &[Entry], client: &Client) {
    let recorded: BTreeMap<Id, Decision> = decisions(entries).map(|entry| (entry.facts.id, decision(entry))).collect();
    let mut keys: BTreeMap<&str, Id> = BTreeMap::new();
    for (key, x, answer) in &client.acknowledged {
        let kept = recorded.get(&answer.id).unwrap_or_else(|| panic!("{key}: acknowledged and not in the ledger"));
        assert_eq!(kept.output, answer.output, "{key}: recorded as answered");
        let looked_up = !kept.lookups.is_empty();
        let ladder = looked_up && kept.degraded.is_some() && kept.output == Some(0.1);
        assert!(ladder || kept.output == Some(Tiny::score(*x)), "{key}: the right answer");
        assert_eq!(*keys.entry(key).or_insert(answer.id), answer.id, "{key}: one decision for one key");
    }
}

/// What was recalled names an earlier decision that said the same, and is erased together with it. How many were.
pub fn recalled(entries: &[Entry]) -> usize {
    let by_id: BTreeMap<Id, &Entry> = decisions(entries).map(|entry| (entry.facts.id, entry)).collect();
    let mut count = 0;
    for entry in decisions(entries).filter(|entry| entry.body.is_some()) {
        let hit = decision(entry);
        let Some(from) = hit.recalled.as_ref().map(|recalled| recalled.from) else { continue };
        let source = by_id.get(&from).unwrap_or_else(|| panic!("{}: recalled from nowhere", hit.id));
        assert!(source.seq < entry.seq && source.facts.plan == entry.facts.plan, "{}: recalled too early", hit.id);
        assert!(source.body.is_some(), "{}: outlived its erased source", hit.id);
        assert_eq!(decision(source).output, hit.output, "{}: says something else than its source", hit.id);
        count += 1;
    }
    count
}

/// Decisions by API callers never exceed the keys they used.
pub fn one_decision_a_key(entries: &[Entry], clients: &[&Client], open_keys: usize) {
    let keys: BTreeSet<&str> =
        clients.iter().flat_map(|client| client.acknowledged.iter().map(|(key, ..)| key.as_str())).collect();
    let asked = decisions(entries).filter(|entry| entry.facts.caller.starts_with("client-")).count();
    assert!(asked <= keys.len() + open_keys, "{asked} decisions for {} keys", keys.len());
}

/// What the row's values were when a decision was made about it.
fn asked_row(entry: &Entry) -> Option<(Vec<Value>, Vec<Value>)> {
    let body = entry.body.as_ref()?;
    let row = More::parse(&body.more).unwrap().row?;
    match Snapshot::parse(&body.input).unwrap().raw {
        Raw::Values(values) => Some((row.key, values)),
        Raw::Json(_) => None,
    }
}

/// The watch asked about every state a row came to rest in, and never twice in a row about the same one, unless the first
/// answer had passed the row over.
pub fn watched(entries: &[Entry], crm: &FakeSystem, fields: &[String]) {
    let passed_over = |entry: &&Entry| outbox::passed_over(entry).unwrap().map(|row| row.seq);
    let passed_over: BTreeSet<u64> = entries.iter().filter_map(|entry| passed_over(&entry)).collect();
    let mut last: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut last_seq: BTreeMap<String, u64> = BTreeMap::new();
    for entry in decisions(entries) {
        let Some((key, values)) = asked_row(entry) else { continue };
        let before = last.insert(format!("{key:?}"), values.clone());
        let before_seq = last_seq.insert(format!("{key:?}"), entry.seq);
        let excused = before_seq.is_some_and(|seq| passed_over.contains(&seq));
        assert!(
            excused || before.is_none_or(|before| before != values),
            "row {key:?} was decided twice for the same state"
        );
    }
    for row in crm.rows("leads") {
        let key = format!("{:?}", vec![row["id"].clone()]);
        let now: Vec<Value> = fields.iter().map(|name| row.get(name).cloned().unwrap_or_default()).collect();
        assert_eq!(last.get(&key), Some(&now), "row {key} at rest was decided as it stands");
    }
}

/// What a row is worth as it stands.
fn worth(row: &Fields) -> f64 {
    match row.get("x") {
        Some(Value::Int(x)) => Tiny::score(*x),
        _ => 0.1,
    }
}

/// Every row at rest shows the score and band of what it holds; with books, of what its last decision found there.
pub fn scored(crm: &FakeSystem, said: Option<&BTreeMap<String, f64>>) {
    for row in crm.rows("leads") {
        let shown = said.map_or_else(|| worth(&row), |said| said[&format!("{:?}", row["id"])]);
        assert_eq!(
            row.get("score"),
            Some(&Value::Float(shown)),
            "row {:?} shows the score of what it holds",
            row["id"]
        );
        let band = match shown {
            score if score >= 0.7 => "green",
            score if score >= 0.4 => "yellow",
            _ => "red",
        };
        assert_eq!(row.get("score_band"), Some(&Value::text(band)));
    }
}

/// Each write of ours hit a row that still was as it was read, and each row's writes came in the order of their decisions,
/// each once.
pub fn written(entries: &[Entry], crm: &FakeSystem, books: bool) {
    let mut stamps: BTreeMap<String, Value> = BTreeMap::new();
    for row in crm.history("leads") {
        // Where the books did not answer, the ladder did.
        let ladder = books && row.get("score") == Some(&Value::Float(0.1));
        assert!(ladder || row.get("score") == Some(&Value::Float(worth(&row))), "no write over a changed row");
        let (Some(Value::Time(now)), id) = (row.get("scored_at"), format!("{:?}", row["id"])) else {
            panic!("a write without its time")
        };
        if let Some(Value::Time(before)) = stamps.insert(id.clone(), Value::Time(*now)) {
            assert!(before < *now, "row {id}: writes in order, none twice");
        }
    }
    let asked = decisions(entries).filter(|entry| asked_row(entry).is_some()).count();
    assert!(crm.all_writes() <= asked as u64, "never more writes than decisions");
}

/// What became of each delivery: none is left over.
pub fn ended(entries: &[Entry]) -> Vec<(Id, DeliveryReport)> {
    let mut by_id: BTreeMap<Id, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        by_id.entry(entry.facts.id).or_default().push(entry.clone());
    }
    let mut all = Vec::new();
    for (id, entries) in by_id {
        for report in outbox::report(&entries).unwrap() {
            assert_ne!(report.state, DeliveryState::Pending, "{id}: every delivery ended");
            all.push((id, report));
        }
    }
    all
}

/// No delivery is left over, and none died.
pub fn delivered(entries: &[Entry]) {
    for (id, report) in ended(entries) {
        assert_ne!(report.state, DeliveryState::Dead, "{id}: no row was refused, so none died");
    }
}
