//! Orders about decisions: what the ledger keeps of them, why they are what they are, and whether they come out again.

use serde_json::{Map, Value as Json, json};
use tendon_engine::{lookup::LookedUp, record_format::Snapshot, stored};
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp,
    sockets::ledger::{Entry, EntryKind, Query},
};

use crate::{again, wiring::Parts};

pub(super) async fn show(parts: &Parts, id: &str) -> Result<Json> {
    let (entry, entries) = find(parts, id).await?;
    let mut shown = summary(&entry);
    let Some(body) = &entry.body else { return Err(erased()) };
    shown["decision"] = read(&body.output)?;
    shown["deliveries"] = serde_json::to_value(parts.deliveries.reports(&entries)?).unwrap_or_default();
    let looked_up = looked_up(&body.input)?;
    if !looked_up.is_empty() {
        shown["looked_up"] = looked_up.into();
    }
    if let Some(took) = stored::took(&entry)? {
        let passed = took.stages().filter(|(_, spent)| !spent.is_zero());
        let stages = passed.map(|(stage, spent)| json!({ "stage": stage, "nanoseconds": spent.as_nanos() as u64 }));
        shown["timings"] = json!({ "decisions": took.of, "stages": stages.collect::<Vec<_>>() });
    }
    if let Some(verdict) = parts.engine.review_of(entry.facts.id, false).await.ok().and_then(|review| review.verdict) {
        shown["verdict"] = serde_json::to_value(verdict).unwrap_or_default();
    }
    let after = entries.iter().filter(|after| after.seq != entry.seq);
    shown["entries"] =
        after.map(|after| json!({ "seq": after.seq, "kind": after.facts.kind, "reason": after.facts.reason, "at": after.facts.at })).collect();
    Ok(shown)
}

pub(super) async fn list(
    parts: &Parts,
    integration: Option<String>,
    subject: Option<String>,
    since: Option<&str>,
    limit: usize,
) -> Result<Json> {
    let since = since.map(Timestamp::parse).transpose()?;
    parts.settle_soon().await?;
    let found = parts.ledger.list(Query { integration, subject, since, limit, ..Query::default() }).await?;
    let mut rows = Vec::with_capacity(found.len());
    for entry in &found {
        let mut row = summary(entry);
        // As it stands: a person may have answered since.
        let decision = match parts.engine.standing(entry).await? {
            Some(standing) => serde_json::to_value(standing).ok(),
            None => entry.body.as_ref().and_then(|body| read(&body.output).ok()),
        };
        row["erased"] = entry.body.is_none().into();
        if let Some(state) = decision.as_ref().and_then(|decision| decision.pointer("/review/state")) {
            row["review"] = state.clone();
        }
        for name in ["output", "band"] {
            row[name] = decision.as_ref().and_then(|decision| decision.get(name)).cloned().unwrap_or_default();
        }
        rows.push(row);
    }
    Ok(rows.into())
}

pub(super) async fn explain(parts: &Parts, id: &str) -> Result<Json> {
    let (entry, _) = find(parts, id).await?;
    if entry.body.is_none() {
        return Err(erased());
    }
    let explanation = again::explain(&parts.engine, &parts.context, &entry).await?;
    Ok(json!({ "id": entry.facts.id, "explanation": explanation }))
}

pub(super) async fn replay(parts: &Parts, id: &str) -> Result<Json> {
    let (entry, _) = find(parts, id).await?;
    if entry.body.is_none() {
        return Err(erased());
    }
    let report = again::replay(&parts.engine, &*parts.records, &parts.context, &entry).await?;
    serde_json::to_value(&report).map_err(|error| {
        Error::new(ErrorKind::Internal, "answer_not_written", "the replay cannot be written as JSON").private(error)
    })
}

/// The rows that were looked up for a decision, with when they were read.
fn looked_up(snapshot: &[u8]) -> Result<Vec<Json>> {
    let found = Snapshot::parse(snapshot)?.lookups.into_iter();
    let one = |found: LookedUp| {
        let row = found.row.map(|row| {
            let values = row.values.iter().map(tendon_kernel::Value::to_json);
            row.fields.iter().cloned().zip(values).collect::<Map<_, _>>()
        });
        json!({ "name": found.name, "state": found.state, "read_at": found.at, "age_ms": found.age_ms, "why": found.why, "row": row })
    };
    Ok(found.map(one).collect())
}

/// The decision's entry and all with its id.
async fn find(parts: &Parts, id: &str) -> Result<(Entry, Vec<Entry>)> {
    let entries = parts.ledger.entries_of(Id::parse(id)?).await?;
    let decision = entries.iter().find(|entry| entry.facts.kind == EntryKind::Decision).cloned();
    decision.map(|entry| (entry, entries)).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "decision_not_found", format!("no decision has the id {id}"))
            .hint("`tendon decisions list` shows recent ones")
    })
}

fn summary(entry: &Entry) -> Json {
    json!({
        "id": entry.facts.id,
        "seq": entry.seq,
        "at": entry.facts.at,
        "integration": entry.facts.integration,
        "outcome": entry.facts.reason,
        "route": entry.facts.route,
        "model": entry.facts.model.as_ref().map(|model| format!("{}@{}", model.name, model.version)),
        "caller": entry.facts.caller,
        "plan": entry.facts.plan,
    })
}

fn read(text: &[u8]) -> Result<Json> {
    serde_json::from_slice(text).map_err(|error| {
        Error::new(ErrorKind::Corrupt, "decision_unreadable", "the record of the decision cannot be read")
            .private(error)
    })
}

fn erased() -> Error {
    Error::new(ErrorKind::Gone, "decision_erased", "the decision was erased together with its subject")
        .hint("that it was made can still be proved: `tendon ledger export --proof ID`")
}
