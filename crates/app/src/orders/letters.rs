//! Orders about dead letters.

use serde_json::{Value as Json, json};
use tendon_engine::outbox::{Edit, RECORD_INDEX, letter_place};
use tendon_kernel::{Error, ErrorKind, Id, Result};

use crate::wiring::Parts;

pub(super) async fn list(parts: &Parts, limit: usize) -> Result<Json> {
    parts.settle_soon().await?;
    document(&parts.deliveries.current().letters(None, limit).await?)
}

pub(super) async fn show(parts: &Parts, id: &str) -> Result<Json> {
    parts.settle_soon().await?;
    let (_, letter) = parts.deliveries.current().letter(id).await?;
    document(&letter)
}

pub(super) async fn retry(parts: &Parts, id: &str) -> Result<Json> {
    let decision = again(parts, id, "cli", None).await?;
    Ok(json!({ "letter": id, "decision": decision, "state": "queued" }))
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
    let entry = outbox.retry(id, by, edit).await?;
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
