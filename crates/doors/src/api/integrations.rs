//! `GET /v1/integrations`: what can be asked here, and with which input.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use tendon_kernel::Result;
use tendon_plan::IntegrationPlan;

use super::{Api, answer::Asked, auth, counters::Route, openapi};

/// Lists the integrations that the caller may ask or read.
pub(super) async fn list(State(api): State<Arc<Api>>, request: Request) -> Response {
    let asked = Asked::begin(&api, request.headers(), Route::Read);
    let response = match shown(&api, &request) {
        Ok(body) => asked.json(&api, StatusCode::OK, body.to_string().into_bytes()),
        Err(error) => asked.problem(&api, &error),
    };
    asked.timed(&api, response, &[])
}

fn shown(api: &Api, request: &Request) -> Result<serde_json::Value> {
    let known = auth::caller(request.extensions())?;
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
