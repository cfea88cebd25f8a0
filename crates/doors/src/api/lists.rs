//! What there is, by the scopes of the caller's key: models, systems, dead letters; and a letter tried again.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, request::Parts},
    response::Response,
};
use serde_json::json;

use super::{
    Api,
    answer::{self, Asked, Part},
    auth,
    counters::Route,
    decisions::write,
    query,
};

/// Lists models with their loaded versions.
pub(super) async fn models(State(api): State<Arc<Api>>, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Read);
    let found = || {
        let known = auth::caller(&head.extensions)?;
        query::read(&head.uri, &[])?;
        Ok((write(&json!({ "models": api.service.models(&known)? }))?, None))
    };
    answer::listed(&api, &asked, &head, found())
}

/// Lists systems with the state of each.
pub(super) async fn systems(State(api): State<Arc<Api>>, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Read);
    let found = || {
        let known = auth::caller(&head.extensions)?;
        query::read(&head.uri, &[])?;
        Ok((write(&json!({ "systems": api.service.systems(&known)? }))?, None))
    };
    answer::listed(&api, &asked, &head, found())
}

/// Lists dead letters, oldest first.
pub(super) async fn letters(State(api): State<Arc<Api>>, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Read);
    let found = async {
        let known = auth::caller(&head.extensions)?;
        let given = query::read(&head.uri, &["limit", "cursor"])?;
        let page = api.service.letters(&known, given.number("limit")?, given.text("cursor").as_deref()).await?;
        Ok((write(&page)?, page.next))
    };
    answer::listed(&api, &asked, &head, found.await)
}

/// Tries a dead letter again.
pub(super) async fn retry(State(api): State<Arc<Api>>, id: Part, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Other);
    let done = async {
        let known = auth::caller(&head.extensions)?;
        let id = answer::part(id)?;
        let decision = api.service.retry_letter(&known, &id).await?;
        write(&json!({ "letter": id, "decision": decision, "state": "queued" }))
    };
    let response = match done.await {
        Ok(body) => asked.json(&api, StatusCode::ACCEPTED, body),
        Err(error) => asked.problem(&api, &error),
    };
    asked.timed(&api, response, &[])
}
