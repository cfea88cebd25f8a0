//! The shape of `ledger` in `tendon.yaml`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Span;
use crate::yaml::At;

/// The record.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LedgerRaw {
    /// File that the last signed checkpoint is published to, relative to the project: best on another machine's disk, or where only additions are allowed. A
    /// ledger that does not hold what it covers is not opened: it is an older copy, or a fork.
    pub(crate) checkpoint: Option<At<String>>,
    /// How often (default 1m).
    pub(crate) every: Option<Span>,
}
