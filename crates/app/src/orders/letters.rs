//! Orders about dead letters.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value as Json, json};
use tendon_engine::outbox::{Edit, Payload, RECORD_INDEX, edit, letter_place};
use tendon_kernel::{Error, ErrorKind, Id, Result};

use super::deliveries::fields;
use crate::wiring::Parts;

pub(super) async fn list(parts: &Parts, limit: usize) -> Result<Json> {
    parts.settle_soon().await?;
    document(&parts.deliveries.current().letters(None, limit).await?)
}

pub(super) async fn show(parts: &Parts, id: &str) -> Result<Json> {
    parts.settle_soon().await?;
    let outbox = parts.deliveries.current();
    let (_, letter) = outbox.letter(id).await?;
    let mut shown = document(&letter)?;
    // What is erased, or is tried again just now, is shown without.
    if let Ok(Payload { delivery: Some(delivery), .. }) = outbox.payload(id).await
        && let Some(shown) = shown.as_object_mut()
    {
        shown.insert("set".to_owned(), fields(&delivery.set));
    }
    Ok(shown)
}

/// Tries a letter again, with these texts in place of the values of its fields.
pub(super) async fn retry(parts: &Parts, id: &str, set: &BTreeMap<String, String>, by: &str) -> Result<Json> {
    let edit = if set.is_empty() { None } else { Some(edit(parts, id, set).await?) };
    let changed = edit.as_ref().map(|edit| fields(&edit.values));
    let decision = again(parts, id, by, edit).await?;
    let mut told = json!({ "letter": id, "decision": decision, "state": "queued", "by": by });
    if let (Some(changed), Some(told)) = (changed, told.as_object_mut()) {
        told.insert("changed".to_owned(), changed);
    }
    Ok(told)
}

/// What was written at the command line as a change of what the letter writes, read as the console reads its form.
async fn edit(parts: &Parts, id: &str, set: &BTreeMap<String, String>) -> Result<Edit> {
    parts.settle_soon().await?;
    let payload = parts.deliveries.current().payload(id).await?;
    let written = payload.written(parts.engine.runtime().plan())?;
    edit::open(&written, set.keys().map(String::as_str))?;
    let values = edit::read(&written, |field| set.get(field).cloned())?;
    Ok(Edit { seen: payload.seen, values })
}

/// Puts a letter back to work, for somebody, with the values that they changed; gives the decision it belongs to.
pub(crate) async fn again(parts: &Parts, id: &str, by: &str, edit: Option<Edit>) -> Result<Id> {
    parts.settle_soon().await?;
    let outbox = parts.deliveries.current();
    let (_, index) = letter_place(id)?;
    let whole_record = index == RECORD_INDEX;
    if whole_record && !parts.flows.running() {
        outbox.letter(id).await?;
        return Err(Error::new(
            ErrorKind::Unavailable,
            "not_running",
            "the letter's row is asked about again by a running process only",
        )
        .hint("start `tendon up`, then retry the letter"));
    }
    let entry = match outbox.retry(id, by, edit.clone()).await {
        // Another project was put in force meanwhile, and another outbox with it.
        Err(_) if !Arc::ptr_eq(&outbox, &parts.deliveries.current()) => {
            parts.deliveries.current().retry(id, by, edit).await?
        }
        retried => retried?,
    };
    if whole_record {
        // No delivery died but the record itself: its row is asked about again, as it is now.
        parts.flows.ask_again(&entry)?;
    }
    Ok(entry.facts.id)
}

fn document(value: &(impl serde::Serialize + ?Sized)) -> Result<Json> {
    serde_json::to_value(value).map_err(|error| {
        Error::new(ErrorKind::Internal, "answer_not_written", "dead letters cannot be written as JSON").private(error)
    })
}
