//! Orders about reviews: what waits for a person, and what a person says.

use serde_json::Value as Json;
use tendon_engine::reviews::{Verdict, Wish};
use tendon_kernel::{Error, ErrorKind, Id, Result, decision::ReviewState};

use crate::wiring::Parts;

/// A verdict as it is typed.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// The output stands.
    Approve,
    /// This output stands.
    Override(f64),
    /// There is none.
    Reject,
}

pub(super) async fn list(parts: &Parts, integration: Option<&str>, limit: usize) -> Result<Json> {
    let wanted = |name: &str| integration.is_none_or(|only| only == name);
    let mut rows = Vec::new();
    for waiting in parts.engine.reviews().list(None, limit, wanted) {
        match parts.engine.review_of(waiting.id, false).await {
            // Answered or erased since.
            Ok(review) if review.state != ReviewState::Pending => {}
            Err(error) if error.kind() == ErrorKind::Gone => {}
            review => rows.push(document(&review?)?),
        }
    }
    Ok(rows.into())
}

pub(super) async fn show(parts: &Parts, id: &str) -> Result<Json> {
    document(&parts.engine.review_of(Id::parse(id)?, true).await?)
}

pub(super) async fn give(parts: &Parts, id: &str, said: Said, by: String, note: Option<String>) -> Result<Json> {
    let id = Id::parse(id)?;
    let verdict = match said {
        Said::Approve => Verdict::Approve,
        Said::Override(output) => Verdict::Override(output),
        Said::Reject => Verdict::Reject,
    };
    parts.engine.review(Wish { id, verdict, caller: "cli".into(), by, note }).await?;
    document(&parts.engine.review_of(id, false).await?)
}

fn document(value: &impl serde::Serialize) -> Result<Json> {
    serde_json::to_value(value).map_err(|error| {
        Error::new(ErrorKind::Internal, "answer_not_written", "a review cannot be written as JSON").private(error)
    })
}
