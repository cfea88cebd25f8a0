//! `GET /v1/decisions/{id}` and its explanation: what the record says, as it was answered.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, request::Parts},
    response::Response,
};
use serde_json::value::RawValue;
use tendon_engine::outbox::{self, DeliveryReport};
use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    decision::DeliveryState,
    sockets::ledger::{Entry, EntryKind},
};

use super::{
    Api,
    answer::{self, Asked, Part},
    auth,
    counters::Route,
};

/// A recorded decision with the state of its deliveries.
#[derive(serde::Serialize)]
struct Shown<'a> {
    decision: &'a RawValue,
    seq: u64,
    deliveries: Vec<DeliveryView>,
}

/// A delivery as callers see it: not the values, which may be of other fields than they asked about.
#[derive(serde::Serialize)]
struct DeliveryView {
    system: Arc<str>,
    resource: Arc<str>,
    state: DeliveryState,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

impl From<DeliveryReport> for DeliveryView {
    fn from(report: DeliveryReport) -> Self {
        let DeliveryReport { system, resource, state, attempts, cause, .. } = report;
        Self { system, resource, state, attempts, cause }
    }
}

/// Shows a decision.
pub(super) async fn get(State(api): State<Arc<Api>>, id: Part, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Read);
    match answer::part(id) {
        Ok(id) => finish(&api, &asked, &id, show(&api, &id, &head).await),
        Err(error) => finish(&api, &asked, "", Err(error)),
    }
}

/// Shows why.
pub(super) async fn explanation(State(api): State<Arc<Api>>, id: Part, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Read);
    match answer::part(id) {
        Ok(id) => finish(&api, &asked, &id, explain(&api, &id, &head).await),
        Err(error) => finish(&api, &asked, "", Err(error)),
    }
}

fn finish(api: &Api, asked: &Asked, id: &str, body: Result<Vec<u8>>) -> Response {
    let mut response = match body {
        Ok(body) => asked.json(api, StatusCode::OK, body),
        Err(error) => asked.problem(api, &error),
    };
    if response.status().is_success() {
        answer::set(response.headers_mut(), answer::DECISION_ID, id);
    }
    asked.timed(api, response, &[])
}

async fn show(api: &Api, id: &str, head: &Parts) -> Result<Vec<u8>> {
    let (entry, entries) = find(api, id, head).await?;
    let body = entry.body.as_ref().ok_or_else(erased)?;
    let decision: &RawValue = serde_json::from_slice(&body.output).map_err(|error| {
        Error::new(ErrorKind::Corrupt, "decision_unreadable", "the record of the decision cannot be read")
            .private(error)
    })?;
    let deliveries = outbox::report(&entries)?.into_iter().map(DeliveryView::from).collect();
    write(&Shown { decision, seq: entry.seq, deliveries })
}

async fn explain(api: &Api, id: &str, head: &Parts) -> Result<Vec<u8>> {
    let (entry, _) = find(api, id, head).await?;
    if entry.body.is_none() {
        return Err(erased());
    }
    write(&(api.explain)(entry).await?)
}

/// The decision's entry and all that followed it. Whoever may not read still sees what it asked itself.
async fn find(api: &Api, id: &str, head: &Parts) -> Result<(Entry, Vec<Entry>)> {
    let known = auth::caller(api, &head.headers, &head.uri)?;
    let entries = api.engine.ledger().entries_of(Id::parse(id)?).await?;
    let decision = entries.iter().find(|entry| entry.facts.kind == EntryKind::Decision);
    match decision {
        Some(entry) if known.read || entry.facts.caller == known.caller.id => {
            let entry = entry.clone();
            Ok((entry, entries))
        }
        _ => {
            auth::reader(&known)?;
            Err(Error::new(ErrorKind::NotFound, "decision_not_found", "no decision has this id")
                .hint("`tendon decisions list` shows recent ones"))
        }
    }
}

fn erased() -> Error {
    Error::new(ErrorKind::Gone, "decision_erased", "the decision was erased together with its subject")
        .hint("that it was made can still be proved: `tendon ledger export --proof ID`")
}

fn write(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| {
        Error::new(ErrorKind::Internal, "answer_not_written", "the answer cannot be written as JSON").private(error)
    })
}
