//! Is the process alive, is it ready, and how does it do: for supervisors, load balancers and Prometheus. No key is needed:
//! nothing here names a person, an input or an answer; whoever listens beyond loopback keeps these addresses inside.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use axum::{
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
};

use tendon_kernel::metrics::{OPEN_METRICS, PROMETHEUS};

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
    let parts: Vec<_> = parts.into_iter().map(open).collect();
    (status, axum::Json(serde_json::json!({ "ready": ready, "state": state, "parts": parts }))).into_response()
}

/// A part as anybody may see it. Why a change was refused names files and models: that is for those who may read.
fn open(mut part: PartHealth) -> PartHealth {
    if let Some(why) = part.detail.get_mut("refused_reload").filter(|why| why.is_string()) {
        *why = true.into();
        part.detail["see"] = "`tendon status`, /v1/status or the console: they tell why".into();
    }
    part
}

/// Whether decisions can be answered now, whether the process is stopping, and all parts.
pub(crate) async fn is_ready(api: &Api) -> (bool, bool, Vec<PartHealth>) {
    let stopping = api.stopping.load(Relaxed);
    let parts = api.status.parts().await;
    (!stopping && parts.iter().all(|part| part.ok || !part.vital), stopping, parts)
}

/// All counts: in the Prometheus text format, or in OpenMetrics for whoever asks for that.
pub(super) async fn metrics(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    api.status.measure().await;
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let open = accepted.flat_map(|value| value.split(',')).any(|one| {
        one.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/openmetrics-text"))
    });
    let registry = &api.context.metrics;
    let (kind, text) =
        if open { (OPEN_METRICS, registry.render_open_metrics()) } else { (PROMETHEUS, registry.render()) };
    ([(CONTENT_TYPE, kind)], text).into_response()
}
