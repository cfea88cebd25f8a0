//! The API door: decisions over HTTP. `router` is the table of contents; one file per resource.

pub(crate) mod answer;
pub(crate) mod auth;
mod batch;
pub(crate) mod body;
mod brake;
mod codes;
mod cors;
pub(crate) mod counters;
mod decide;
mod decisions;
mod docs;
mod embed_paths;
mod envelope;
pub(crate) mod fresh;
mod gate;
mod graphql;
mod groups;
mod headers;
pub(crate) mod health;
pub(crate) mod integrations;
mod later;
mod limits;
mod lists;
pub(crate) mod observe;
pub(crate) mod openapi;
mod paths;
mod prefer;
pub(crate) mod problem;
pub(crate) mod query;
mod reviews;
mod reviews_paths;
mod router;
mod schemas;
mod serve;
mod status;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tendon_engine::Engine;
use tendon_kernel::context::Context;

use crate::{console::Console, graphql::Schemas, service::Service, trust::Gate};
pub use brake::Brake;
pub use counters::Counters;
pub use openapi::document as openapi;
pub use problem::{Problem, status};
pub(crate) use serve::OverTls;
pub use serve::{Http, Speaks, converse, serve};

/// How one part of the process does.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PartHealth {
    /// Its name (`ledger`, `system:crm`, `outbox`, `model:lead-score`).
    pub name: String,
    /// Whether it does its work.
    pub ok: bool,
    /// Whether decisions cannot be answered while it does not.
    #[serde(skip)]
    pub vital: bool,
    /// What to know about it.
    pub detail: serde_json::Value,
}

/// What the process tells of itself.
pub trait Status: Send + Sync {
    /// All parts, in a fixed order.
    fn parts(&self) -> BoxFuture<'_, Vec<PartHealth>>;
    /// Sets the gauges that nobody sets as things happen.
    fn measure(&self) -> BoxFuture<'_, ()>;
}

/// What the handlers share.
pub struct Api {
    /// Where decisions are made and kept; knows the plan in force.
    pub engine: Arc<Engine>,
    /// What can be asked, shared with the other doors.
    pub service: Arc<Service>,
    /// The console: who is signed in.
    pub console: Console,
    /// The GraphQL schema of the plan in force.
    pub graphql: Schemas,
    /// Who may ask.
    pub gate: Arc<Gate>,
    /// Time and ids.
    pub context: Context,
    /// Health and metrics of the process.
    pub status: Arc<dyn Status>,
    /// Requests by route and status.
    pub counters: Counters,
    /// How soon refusals for want of room leave.
    pub brake: Brake,
    /// Longest wait for a whole request body.
    pub body_timeout: Duration,
    /// Set when the process is stopping: not ready, still answering.
    pub stopping: Arc<std::sync::atomic::AtomicBool>,
}
