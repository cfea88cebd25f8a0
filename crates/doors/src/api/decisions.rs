//! `GET /v1/decisions/{id}` and its explanation: what the record says, as it was answered; `GET /v1/decisions`: page by page.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, request::Parts},
    response::Response,
};
use tendon_kernel::{Error, ErrorKind, Result, decision::Outcome};

use super::{
    Api,
    answer::{self, Asked, Part},
    auth,
    counters::Route,
    fresh, later, query,
};
use crate::service::{Filter, Found, Sight};

/// The filters of the list, as they stand in the address.
const FILTERS: [&str; 9] =
    ["integration", "subject", "since", "until", "band", "outcome", "limit", "cursor", "explain"];

/// Shows a decision.
pub(super) async fn get(State(api): State<Arc<Api>>, id: Part, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Read);
    let found = async {
        let known = auth::caller(&head.extensions)?;
        let explain = query::read(&head.uri, &["explain"])?.flag("explain")?;
        let recorded = match api.service.look(&known, &answer::part(id)?, explain).await? {
            Found::Recorded(recorded) => recorded,
            Found::Pending(pending) => return Ok(Err(pending)),
        };
        // What is shown only changes when another entry concerns the decision, or a delivery that waits was tried.
        let explained = if explain { format!("-x{}", veil(recorded.sight)) } else { String::new() };
        let tag = format!("{}-{}{}{explained}", recorded.seq, recorded.entries, recorded.tried());
        Ok(Ok((write(&recorded)?, recorded.entry.facts.id, tag, recorded.awaits_review())))
    };
    match found.await {
        Ok(Err(pending)) => asked.timed(&api, later::pending(&api, &asked, &pending), &[]),
        Ok(Ok((body, id, _, true))) => {
            let mut response = asked.json(&api, StatusCode::ACCEPTED, body);
            later::for_people(&mut response, id);
            asked.timed(&api, response, &[])
        }
        Ok(Ok((body, id, tag, false))) => finish(&api, &asked, &head, Ok((body, id.to_string(), tag))),
        Err(error) => finish(&api, &asked, &head, Err(error)),
    }
}

/// Shows why.
pub(super) async fn explanation(State(api): State<Arc<Api>>, id: Part, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Read);
    let found = async {
        let known = auth::caller(&head.extensions)?;
        query::read(&head.uri, &[])?;
        let (explanation, entry) = api.service.explanation(&known, &answer::part(id)?).await?;
        Ok((
            write(&explanation)?,
            entry.facts.id.to_string(),
            format!("{}-why{}", entry.seq, veil(Sight::of(&known, &entry.facts))),
        ))
    };
    finish(&api, &asked, &head, found.await)
}

/// What sets an explanation's tag apart where values are not shown.
fn veil(sight: Sight) -> &'static str {
    if sight == Sight::Whole { "" } else { "-v" }
}

/// Lists decisions, newest first.
pub(super) async fn list(State(api): State<Arc<Api>>, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Read);
    let found = async {
        let known = auth::caller(&head.extensions)?;
        let page = api.service.list(&known, &filter(&head)?).await?;
        Ok((write(&page)?, page.next))
    };
    answer::listed(&api, &asked, &head, found.await)
}

fn filter(head: &Parts) -> Result<Filter> {
    let found = query::read(&head.uri, &FILTERS)?;
    let outcome = found.text("outcome").map(|name| {
        Outcome::named(&name).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "parameter", "the parameter `outcome` names no outcome")
                .hint("one of ok, degraded, rejected, quarantined, failed")
        })
    });
    Ok(Filter {
        version: None,
        integration: found.text("integration"),
        subject: found.text("subject"),
        since: found.time("since")?,
        until: found.time("until")?,
        band: found.text("band"),
        outcome: outcome.transpose()?,
        limit: found.number("limit")?,
        cursor: found.text("cursor"),
        explain: found.flag("explain")?,
        ..Filter::default()
    })
}

fn finish(api: &Api, asked: &Asked, head: &Parts, found: Result<(Vec<u8>, String, String)>) -> Response {
    let response = match found {
        Ok((body, id, tag)) => {
            let mut response = asked.json(api, StatusCode::OK, body);
            answer::set(response.headers_mut(), answer::DECISION_ID, &id);
            fresh::conditional(response, &head.headers, &tag)
        }
        Err(error) => asked.problem(api, &error),
    };
    asked.timed(api, response, &[])
}

/// An answer as JSON.
pub(super) fn write(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| {
        Error::new(ErrorKind::Internal, "answer_not_written", "the answer cannot be written as JSON").private(error)
    })
}
