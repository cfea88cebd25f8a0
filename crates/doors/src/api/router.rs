//! Table of contents of the HTTP interface.

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use super::{Api, answer, decide, decisions, health, integrations, lists, openapi};

/// Every route, and what answers where there is none.
pub(super) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/v1/integrations/{name}/decisions", post(decide::post).fallback(answer::wrong_method))
        .route("/v1/decisions", get(decisions::list).fallback(answer::wrong_method))
        .route("/v1/decisions/{id}", get(decisions::get).fallback(answer::wrong_method))
        .route("/v1/decisions/{id}/explanation", get(decisions::explanation).fallback(answer::wrong_method))
        .route("/v1/integrations", get(integrations::list).fallback(answer::wrong_method))
        .route("/v1/letters", get(lists::letters).fallback(answer::wrong_method))
        .route("/v1/letters/{id}/retry", post(lists::retry).fallback(answer::wrong_method))
        .route("/v1/models", get(lists::models).fallback(answer::wrong_method))
        .route("/v1/systems", get(lists::systems).fallback(answer::wrong_method))
        .route("/openapi.json", get(openapi::get).fallback(answer::wrong_method))
        .route("/metrics", get(health::metrics).fallback(answer::wrong_method))
        .route("/livez", get(health::live).fallback(answer::wrong_method))
        .route("/readyz", get(health::ready).fallback(answer::wrong_method))
        .fallback(answer::no_route)
        .with_state(api)
}
