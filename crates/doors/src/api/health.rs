//! Is the process alive, is it ready, and how does it do: for supervisors, load balancers and Prometheus. No key is needed:
//! nothing here names a person, an input or an answer; whoever listens beyond loopback keeps these addresses inside.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use axum::{
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};

use super::{Api, PartHealth};

/// The process answers.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Whether decisions can be answered now, part by part.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Response {
    let (ready, stopping, parts) = is_ready(&api).await;
    let all_well = ready && parts.iter().all(|part| part.ok);
    let state = match (stopping, ready, all_well) {
        (true, ..) => "stopping",
        (_, false, _) => "not_ready",
        (.., false) => "degraded",
        _ => "ready",
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(serde_json::json!({ "ready": ready, "state": state, "parts": parts }))).into_response()
}

/// Whether decisions can be answered now, whether the process is stopping, and all parts.
pub(crate) async fn is_ready(api: &Api) -> (bool, bool, Vec<PartHealth>) {
    let stopping = api.stopping.load(Relaxed);
    let parts = api.status.parts().await;
    (!stopping && parts.iter().all(|part| part.ok || !part.vital), stopping, parts)
}

/// All counts in the Prometheus text format.
pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Response {
    api.status.measure().await;
    let text = api.context.metrics.render();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
