//! What a request's entry keeps beside the input: who asked in whose name, and what the decision shall come with.

use serde::{Deserialize, Serialize};
use tendon_kernel::Result;

use crate::record_format::{corrupt, write_json};

/// The rest of a request's entry, as JSON in `Body::more`.
#[derive(Serialize, Deserialize)]
pub(super) struct RequestForm {
    /// Scope of the caller's idempotency keys.
    pub(super) scope: String,
    /// Explain the decision when it is made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) explain: bool,
    /// Address to be told of the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) callback: Option<String>,
}

impl RequestForm {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96);
        write_json(&mut bytes, self);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|cause| corrupt("the request", &cause))
    }
}
