//! The shape of `objectives` in an integration.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Span;
use crate::yaml::At;

/// What the integration is to reach. The console and `tendon status` show how much of what may go wrong is left, and how fast it is
/// used up; nothing else follows from it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ObjectivesRaw {
    /// Percent of decisions that find an answer, of the model or of the ladder below it: 50 to 99.9999. Refused input does not count.
    pub(crate) answered: Option<At<f64>>,
    /// Percent of decisions that the model itself answers, with no rung of the ladder below it: 50 to 99.9999.
    pub(crate) by_model: Option<At<f64>>,
    /// How fast most answers are.
    pub(crate) fast: Option<At<FastRaw>>,
    /// Over how long it is counted (default 30d, 1h to 30d).
    pub(crate) window: Option<At<Span>>,
}

/// A time, and for how many it is to hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["percent", "within"]))]
pub(crate) struct FastRaw {
    /// Percent of asks that take no longer on the path (a call, a batch of changes; no backfill, no batch): 50 to 99.9999.
    #[schemars(required)]
    pub(crate) percent: Option<At<f64>>,
    /// The time; one of those that the process counts by: 1ms, 5ms, 10ms, 25ms, 50ms, 100ms, 250ms, 500ms, 1s, 2500ms, 5s, 10s, 30s.
    #[schemars(required)]
    pub(crate) within: Option<At<Span>>,
}
