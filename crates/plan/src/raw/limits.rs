//! The shape of `systems.NAME.limits`: how hard a system may be used, and when it is left alone.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Span;
use crate::yaml::At;

/// How hard a system may be used, all integrations together.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsRaw {
    /// Requests under way at once (default 4).
    #[schemars(range(min = 1))]
    pub(crate) concurrency: Option<u32>,
    /// Requests that may wait for their turn (default 64); more are put off at once.
    pub(crate) queue: Option<u32>,
    /// Rows per second at the most (default: no limit).
    pub(crate) rate: Option<At<f64>>,
    /// Longest wait for one request (default 10s).
    pub(crate) timeout: Option<Span>,
    /// A request that takes longer counts as a bad one, even when it answers (default: half of `timeout`).
    pub(crate) slow: Option<At<Span>>,
    /// Requests that may be repeated, in percent of first attempts (default 10). A few are always allowed.
    pub(crate) retries: Option<At<f64>>,
    /// When the system is left alone for a while.
    pub(crate) breaker: Option<At<BreakerRaw>>,
}

/// The circuit breaker: when too many of the last requests were bad (failed or slow), none is made for a while; then a few
/// probes decide.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BreakerRaw {
    /// How many of the last requests are looked at (default 20).
    #[schemars(range(min = 1))]
    pub(crate) window: Option<u32>,
    /// Fewer requests than this open nothing; as many bad ones in a row always do (default 5).
    #[schemars(range(min = 1))]
    pub(crate) calls: Option<u32>,
    /// Share of bad requests that opens it, in percent (default 50).
    pub(crate) share: Option<f64>,
    /// Probes after a wait; all must go well (default 2).
    #[schemars(range(min = 1))]
    pub(crate) probes: Option<u32>,
    /// First wait; it doubles with each failed probe (default 500ms).
    pub(crate) wait: Option<Span>,
    /// Longest wait (default 30s).
    pub(crate) longest: Option<Span>,
}
