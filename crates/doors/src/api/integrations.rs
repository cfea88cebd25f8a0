//! `GET /v1/integrations`: what can be asked here, and with which input.

use std::sync::Arc;

use axum::{extract::State, http::request::Parts, response::Response};
use tendon_kernel::Result;
use tendon_plan::IntegrationPlan;

use super::{
    Api,
    answer::{self, Asked},
    auth,
    counters::Route,
    decisions::write,
    openapi, query,
};

/// Lists the integrations that the caller may ask or read.
pub(super) async fn list(State(api): State<Arc<Api>>, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Read);
    let found = shown(&api, &head).and_then(|shown| Ok((write(&shown)?, None)));
    answer::listed(&api, &asked, &head, found)
}

fn shown(api: &Api, head: &Parts) -> Result<serde_json::Value> {
    let known = auth::caller(&head.extensions)?;
    query::read(&head.uri, &[])?;
    let runtime = api.engine.runtime();
    let plan = runtime.plan();
    let list: Vec<_> = api.service.integrations(&known).iter().map(|one| summary(one)).collect();
    Ok(serde_json::json!({ "project": plan.project, "plan": plan.digest, "integrations": list }))
}

/// The doors through which an integration can be asked.
pub(crate) fn doors(one: &IntegrationPlan) -> Vec<&'static str> {
    let open = [("api", one.api.is_some()), ("events", one.events.is_some())];
    open.into_iter().filter_map(|(name, open)| open.then_some(name)).collect()
}

fn summary(one: &IntegrationPlan) -> serde_json::Value {
    serde_json::json!({
        "name": one.name,
        "purpose": one.purpose,
        "owner": one.owner,
        "model": format!("{}@{}", one.model, one.alias),
        "doors": doors(one),
        "bands": one.bands.iter().map(|band| band.name.clone()).collect::<Vec<_>>(),
        "input": openapi::input_schema(one),
    })
}
