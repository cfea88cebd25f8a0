//! The shape of `ledger` in `tendon.yaml`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Span;
use crate::yaml::At;

/// The record.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LedgerRaw {
    /// Where the last signed checkpoint is published: a file, relative to the project (best on another machine's disk, or where only
    /// additions are allowed), or an address over HTTP that answers GET and PUT. A ledger that does not hold what stands there is
    /// not opened: it is an older copy, or a fork.
    pub(crate) checkpoint: Option<At<String>>,
    /// What the address wants as a bearer token, as a reference: `${env:CHECKPOINT_TOKEN}`, `${file:checkpoint.token}`.
    pub(crate) secret: Option<At<String>>,
    /// How often (default 1m).
    pub(crate) every: Option<Span>,
}
