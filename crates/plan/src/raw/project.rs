//! The shape of `tendon.yaml`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{AuthRaw, CacheStoreRaw, CorsRaw, GrpcRaw, LedgerRaw, LimitsRaw, TelemetryRaw, TlsRaw};
use crate::yaml::{At, Ordered};

/// `tendon.yaml`: the systems, the models and the limits of a project.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "tendon.yaml")]
#[schemars(extend("required" = ["project"]))]
pub(crate) struct ProjectRaw {
    /// Name of the project: letters, digits, `-`, `_`.
    #[schemars(required)]
    pub(crate) project: Option<At<String>>,
    /// The systems that the business runs, by name.
    pub(crate) systems: Ordered<SystemRaw>,
    /// The models, by name.
    pub(crate) models: Ordered<ModelRaw>,
    /// The listener and the limits of the running process.
    pub(crate) server: Option<ServerRaw>,
    /// Who is let in beside API keys, and how much each caller may ask.
    pub(crate) auth: Option<AuthRaw>,
    /// Where answers are kept for reuse (which may be reused, the integrations say).
    pub(crate) cache: Option<At<CacheStoreRaw>>,
    /// Calls that Tendon makes over HTTP: callbacks, identity providers, collectors.
    pub(crate) outgoing: Option<OutgoingRaw>,
    /// The record: where its checkpoints are published.
    pub(crate) ledger: Option<LedgerRaw>,
    /// Traces, metrics and logs.
    pub(crate) telemetry: Option<TelemetryRaw>,
}

/// Calls over HTTP that Tendon makes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OutgoingRaw {
    /// PEM file with certificates to trust beside the system's, relative to the project: a company's own authority.
    pub(crate) ca: Option<At<String>>,
}

/// A system. Beside the keys below, it takes the settings of its kind (`tendon check --schema` lists them).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["kind"]))]
pub(crate) struct SystemRaw {
    /// Connector kind, for example `sqlite`.
    #[schemars(required)]
    pub(crate) kind: Option<At<String>>,
    /// Fields that may be read, by resource. Nothing else is ever read.
    pub(crate) read: Ordered<Vec<At<String>>>,
    /// Fields that may be written, by resource. Nothing else is ever written.
    pub(crate) write: Ordered<Vec<At<String>>>,
    /// How hard the system may be used, all integrations together.
    pub(crate) limits: Option<LimitsRaw>,
}

/// A model.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["path"]))]
pub(crate) struct ModelRaw {
    /// Folder with one file or folder per version, or one file; relative to the project. The newest version is the champion,
    /// until one is promoted (`tendon models promote`).
    #[schemars(required)]
    pub(crate) path: Option<At<String>>,
}

/// The listener and the limits of the process.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServerRaw {
    /// Where to listen (default 127.0.0.1:8400; `--listen` goes before). Beyond this machine only with `tls` or `plain_http`.
    pub(crate) listen: Option<At<String>>,
    /// TLS from certificate files.
    pub(crate) tls: Option<TlsRaw>,
    /// Allows plain HTTP beyond this machine, where it says `keys and personal data may travel unencrypted`: for a network that
    /// encrypts by itself, or a proxy with TLS on another machine.
    pub(crate) plain_http: Option<At<String>>,
    /// Web pages of other origins that may use every address from a browser.
    pub(crate) cors: Option<CorsRaw>,
    /// Decisions under way at once; more are shed (default 1024).
    #[schemars(range(min = 1))]
    pub(crate) in_flight: Option<u32>,
    /// Refusals for want of room (`503`, `overloaded`) that leave at once in a second; what comes faster is held back for up to
    /// 80 ms, so that callers who ask again at once take less of the processor (default 5000).
    #[schemars(range(min = 1))]
    pub(crate) refusals_per_second: Option<u32>,
    /// Largest request body in bytes; of a streamed batch: largest line (default 1048576).
    #[schemars(range(min = 1))]
    pub(crate) body_bytes: Option<u32>,
    /// Most records of one streamed batch (default 1000000).
    #[schemars(range(min = 1))]
    pub(crate) batch_records: Option<u32>,
    /// Deepest nesting of a request body (default 32).
    #[schemars(range(min = 1))]
    pub(crate) depth: Option<u32>,
    /// Asynchronous requests (`Prefer: respond-async`) that may wait for their decision; more are refused (default 10000).
    #[schemars(range(min = 1))]
    pub(crate) requests: Option<u32>,
    /// Workers that decide asynchronous requests; a change takes effect at the next start (default 2).
    #[schemars(range(min = 1))]
    pub(crate) request_workers: Option<u32>,
    /// Also answer over gRPC. Left out: no such port is opened.
    pub(crate) grpc: Option<GrpcRaw>,
}
