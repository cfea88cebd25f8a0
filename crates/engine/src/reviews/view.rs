//! A review as people see it: what was asked, why nothing else answered, and what a person said.

use std::sync::Arc;

use serde_json::Value as Json;
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp, Value,
    decision::{Decision, Outcome, ReviewState},
    schema::Schema,
    sockets::ledger::{Body, Entry, EntryKind, ModelRef},
};

use super::{not_found, stand, verdict::Said};
use crate::{
    engine::Engine,
    record_format::{More, Raw, Snapshot},
    stored,
};

/// A review.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ReviewView {
    /// The decision.
    pub id: Id,
    /// Its integration.
    pub integration: Arc<str>,
    /// Where it stands.
    pub state: ReviewState,
    /// When it was asked.
    pub at: Timestamp,
    /// When a person should have answered by.
    pub due: Timestamp,
    /// How the decision was recorded.
    pub outcome: Outcome,
    /// The output as it was recorded.
    pub output: Option<f64>,
    /// Its band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub band: Option<Arc<str>>,
    /// Whom it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Arc<str>>,
    /// Model version asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRef>,
    /// Why a person is asked, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The input, where it is wanted: an object; for a row whose plan was not kept, its values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Json>,
    /// What a person said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Given>,
}

/// What a person said.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Given {
    /// `approve`, `override` or `reject`.
    pub verdict: String,
    /// The output that stands.
    pub output: Option<f64>,
    /// Its band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub band: Option<Arc<str>>,
    /// Who, in their own words.
    pub by: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Id of the API key, or `cli`.
    pub caller: Arc<str>,
}

impl Engine {
    /// The decision of an entry as it stands, where a person was asked; nothing where nobody was, or where its subject was
    /// erased. Of all other decisions this looks at a few bytes.
    ///
    /// # Errors
    /// The ledger's; `Corrupt` when decision or verdict cannot be read.
    pub async fn standing(&self, entry: &Entry) -> Result<Option<Decision>> {
        let asked = |body: &Body| entry.facts.kind == EntryKind::Decision && More::awaits_review(&body.more);
        if !entry.body.as_ref().is_some_and(asked) {
            return Ok(None);
        }
        let mut decision = stored::decision(entry)?;
        stand(&mut decision, &self.ledger.entries_of(entry.facts.id).await?)?;
        Ok(Some(decision))
    }

    /// The review of a decision; with its input where that is wanted.
    ///
    /// # Errors
    /// `NotFound` when there is no such decision or it was never under review; `Gone` when its subject was erased; the
    /// ledger's.
    pub async fn review_of(&self, id: Id, with_input: bool) -> Result<ReviewView> {
        let entries = self.ledger.entries_of(id).await?;
        let entry =
            entries.iter().find(|entry| entry.facts.kind == EntryKind::Decision).ok_or_else(|| not_found(id))?;
        let mut shown = view(entry, &entries)?;
        if with_input {
            shown.input = Some(self.input_of(entry).await?);
        }
        Ok(shown)
    }

    /// The input of a recorded decision, as a person reads it.
    ///
    /// # Errors
    /// `Gone` when its subject was erased; `Corrupt` when it cannot be read; `Unavailable` when the plan that it was recorded
    /// under cannot be read now.
    pub async fn input_of(&self, entry: &Entry) -> Result<Json> {
        match Snapshot::parse(&stored::opened(entry)?.input)?.raw {
            // What was sent may be no JSON.
            Raw::Json(bytes) => serde_json::from_slice(&bytes).map_err(|_| {
                Error::new(ErrorKind::Corrupt, "entry_unreadable", "the input of a recorded decision cannot be read")
            }),
            // A row has no names of its own: its fields were those of the plan of then.
            Raw::Values(values) => {
                let runtime = self.runtime_of(entry).await?;
                let ready = runtime.as_ref().and_then(|runtime| runtime.ready(&entry.facts.integration));
                Ok(row(&values, ready.map(|ready| &*ready.plan.input.schema)))
            }
        }
    }
}

fn view(entry: &Entry, entries: &[Entry]) -> Result<ReviewView> {
    let body = stored::opened(entry)?;
    let decision = stored::decision(entry)?;
    let review = decision.review.ok_or_else(|| not_found(decision.id))?;
    let mut shown = ReviewView {
        id: decision.id,
        integration: decision.integration,
        state: review.state,
        at: decision.at,
        due: review.due,
        outcome: decision.outcome,
        output: decision.output,
        band: decision.band,
        subject: decision.subject,
        model: decision.model,
        why: More::parse(&body.more)?.why,
        input: None,
        verdict: None,
    };
    for entry in entries {
        let Some(said) = Said::of(entry)? else { continue };
        shown.state = said.state();
        let Said { verdict, output, band, by, note } = said;
        let (at, caller) = (entry.facts.at, Arc::clone(&entry.facts.caller));
        shown.verdict = Some(Given { verdict, output, band, by, note, at, caller });
        break;
    }
    Ok(shown)
}

/// A row as a person reads it. `schema` is the one that it was read for, where that is known.
fn row(values: &[Value], schema: Option<&Schema>) -> Json {
    let values = values.iter().map(Value::to_json);
    match schema {
        Some(schema) => schema.fields.iter().map(|field| field.name.to_string()).zip(values).collect(),
        None => values.collect(),
    }
}
