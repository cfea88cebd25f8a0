//! Orders about write-backs: what was written and what stood there, what would be written, and undo.

use serde_json::{Map, Value as Json, json};
use tendon_engine::{
    outbox::{DeliveryReport, delivery_place},
    preview::{Preview, PreviewRow, preview as preview_rows},
    systems::System,
};
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Value,
    decision::DeliveryState,
    sockets::{
        connector::{Row, Scan},
        ledger::{Entry, EntryKind, Query},
    },
};
use tendon_plan::plan::{EventsPlan, TargetPlan};

use super::backfill::watched;
use crate::wiring::Parts;

/// Rows of one request.
const PAGE: usize = 200;
/// Decisions whose deliveries a page of the console shows.
const RECENT: usize = 100;

pub(super) async fn list(
    parts: &Parts,
    integration: Option<String>,
    subject: Option<String>,
    limit: usize,
) -> Result<Json> {
    parts.settle_soon().await?;
    let mut rows = Vec::new();
    let mut before = None;
    // Decisions without a write-back are passed over, so that the list is as long as it was asked for.
    while rows.len() < limit {
        let query = Query {
            integration: integration.clone(),
            subject: subject.clone(),
            before,
            limit: PAGE,
            ..Query::default()
        };
        let found = parts.ledger.list(query).await?;
        let Some(last) = found.last() else { break };
        before = Some(last.seq);
        for decision in &found {
            let entries = parts.ledger.entries_of(decision.facts.id).await?;
            for report in parts.deliveries.reports(&entries)? {
                rows.push(shown(decision, &report));
            }
            if rows.len() >= limit {
                break;
            }
        }
    }
    rows.truncate(limit);
    Ok(rows.into())
}

/// Deliveries of the newest decisions before a position, and where the next page begins. It waits for nothing that is not
/// projected yet, and looks at so many decisions only.
pub(crate) async fn recent(parts: &Parts, before: Option<u64>) -> Result<Json> {
    let found = parts.ledger.list(Query { before, limit: RECENT, ..Query::default() }).await?;
    let mut rows = Vec::new();
    for decision in &found {
        let entries = parts.ledger.entries_of(decision.facts.id).await?;
        rows.extend(parts.deliveries.reports(&entries)?.iter().map(|report| shown(decision, report)));
    }
    let next = found.last().filter(|_| found.len() == RECENT).map(|last| last.seq);
    Ok(json!({ "rows": rows, "decisions": found.len(), "next": next }))
}

pub(super) async fn show(parts: &Parts, id: &str) -> Result<Json> {
    let (decision, entries, only) = find(parts, id).await?;
    let reports = parts.deliveries.reports(&entries)?.into_iter();
    let reports = reports.filter(|report| only.as_ref().is_none_or(|only| *only == report.id));
    let rows: Vec<Json> = reports.map(|report| shown(&decision, &report)).collect();
    if rows.is_empty() {
        return Err(none_of(id));
    }
    Ok(rows.into())
}

pub(super) async fn undo(parts: &Parts, id: &str, by: &str) -> Result<Json> {
    let (decision, entries, only) = find(parts, id).await?;
    let reports = parts.deliveries.reports(&entries)?;
    let plan = parts.engine.runtime().plan().clone();
    // Of a decision all that was written is undone; one delivery that was named is tried, so that it says why not.
    let meant = reports.iter().filter(|report| match &only {
        Some(only) => *only == report.id,
        None => report.state == DeliveryState::Delivered || reports.len() == 1,
    });
    let mut done = Vec::new();
    for report in meant {
        let system = parts.flows.apart(&plan, &report.system)?;
        let place = delivery_place(&report.id)?;
        let cause = entries.iter().find(|entry| entry.seq == place.0).ok_or_else(|| none_of(id))?;
        let undone = parts.deliveries.current().undo(cause, place, &system, by).await?;
        done.push(json!({
            "delivery": undone.delivery, "decision": decision.facts.id, "system": report.system,
            "resource": report.resource, "now": fields(&undone.now), "by": by,
        }));
    }
    if done.is_empty() {
        return Err(none_of(id));
    }
    Ok(done.into())
}

/// The decision that an id is about (its own, or one of its deliveries'), with all entries; and the delivery, if one is meant.
async fn find(parts: &Parts, id: &str) -> Result<(Entry, Vec<Entry>, Option<String>)> {
    parts.settle_soon().await?;
    let (decision, only) = match delivery_place(id) {
        Ok((seq, _)) => {
            let causes = |entry: &Entry| matches!(entry.facts.kind, EntryKind::Decision | EntryKind::Review);
            let entry = parts.ledger.entry(seq).await?.filter(causes);
            (entry.ok_or_else(|| none_of(id))?.facts.id, Some(id.to_owned()))
        }
        Err(wrong) => (Id::parse(id).map_err(|_| wrong)?, None),
    };
    let entries = parts.ledger.entries_of(decision).await?;
    let decision = entries.iter().find(|entry| entry.facts.kind == EntryKind::Decision).cloned();
    let decision = decision.ok_or_else(|| none_of(id))?;
    if decision.body.is_none() {
        return Err(Error::new(
            ErrorKind::Gone,
            "delivery_erased",
            "the delivery's subject was erased, and the old values with it",
        )
        .with("delivery", id));
    }
    Ok((decision, entries, only))
}

fn none_of(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, "delivery_not_found", "there is no such delivery")
        .with("delivery", id)
        .hint("`tendon deliveries list` shows recent ones; an id is a delivery's (1042-0) or a decision's")
}

fn shown(decision: &Entry, report: &DeliveryReport) -> Json {
    let mut row = json!({
        "id": report.id, "decision": decision.facts.id, "at": decision.facts.at, "integration": decision.facts.integration,
        "system": report.system, "resource": report.resource, "state": report.state, "attempts": report.attempts,
        "new": fields(&report.set), "old": report.old.as_deref().map(fields), "cause": report.cause,
    });
    if let Some(by) = &report.changed_by {
        row["changed_by"] = by.as_str().into();
        row["decided"] = fields(&report.decided);
    }
    if let Some(by) = &report.undone_by {
        row["undone_by"] = by.as_str().into();
    }
    row
}

pub(super) fn fields(fields: &[(String, Value)]) -> Json {
    fields.iter().map(|(name, value)| (name.clone(), value.to_json())).collect::<Map<_, _>>().into()
}

/// Scores the first rows of the table and compares with what stands there; records and writes nothing.
pub(super) async fn preview(parts: &Parts, integration: &str, limit: usize) -> Result<Json> {
    let runtime = parts.engine.runtime();
    let plan = watched(runtime.plan(), integration)?;
    let Some((events, target)) = plan.events.as_ref().and_then(|events| Some((events, events.target.as_ref()?))) else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "nothing_set",
            format!("integration {integration} writes nothing back"),
        )
        .hint("doors.events.set says what is written"));
    };
    let source = parts.flows.apart(runtime.plan(), &events.system)?;
    let sink = parts.flows.apart(runtime.plan(), &target.system)?;
    // A running process has lent its own; a command alone opens what the lookups need.
    runtime.lend(&parts.flows.sources(runtime.plan())?);
    let mut out = Vec::new();
    let mut after = Vec::new();
    while out.len() < limit {
        let scan = Scan {
            resource: events.resource.to_string(),
            key: events.key.clone(),
            fields: events.fields.clone(),
            after,
            limit: PAGE.min(limit - out.len()),
        };
        let rows = source.scan(scan).await?;
        let Some(last) = rows.last() else { break };
        after = last.key.clone();
        let stands = stands(&sink, target, &rows).await?;
        let asked = rows.into_iter().map(|row| PreviewRow { key: row.key, values: row.values }).collect();
        let now = parts.context.clock.now();
        for one in preview_rows(&runtime, &parts.context, integration, now, asked).await? {
            out.push(compared(events, target, one, &stands));
        }
    }
    Ok(out.into())
}

/// The values that stand in the target's fields now.
async fn stands(sink: &System, target: &TargetPlan, rows: &[Row]) -> Result<Vec<Row>> {
    let keys: Vec<Vec<Value>> = rows.iter().map(|row| row.key.clone()).collect();
    let fields: Vec<String> = target.set.iter().map(|(field, _)| field.clone()).collect();
    sink.read(&target.resource, &target.key, &fields, &keys).await
}

fn compared(events: &EventsPlan, target: &TargetPlan, one: Preview, stands: &[Row]) -> Json {
    let key: Vec<(String, Value)> = events.key.iter().cloned().zip(one.key.iter().cloned()).collect();
    let old = stands.iter().find(|row| row.key == one.key).map(|row| {
        target.set.iter().map(|(field, _)| field.clone()).zip(row.values.iter().cloned()).collect::<Vec<_>>()
    });
    let new = one.deliveries.first().map(|delivery| fields(&delivery.set));
    json!({
        "key": fields(&key), "outcome": one.outcome, "output": one.output, "band": one.band,
        "old": old.as_deref().map(fields), "new": new, "error": one.error.map(|error| error.message),
    })
}
