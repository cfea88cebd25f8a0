//! The shape of `server.grpc`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::At;

/// The gRPC port: service `tendon.v1.Decisions`, health and reflection, under the same callers, limits and records as HTTP.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct GrpcRaw {
    /// Address and port to listen on (default `127.0.0.1:8401`).
    pub(crate) listen: Option<At<String>>,
}
