//! The shape of `route` in an integration.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::{At, Ordered};

/// Which versions answer beside the integration's own, for which share of the subjects.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RouteRaw {
    /// A new version on trial: answers for a few subjects, always the same ones; raising its percent keeps those it has.
    pub(crate) canary: Option<At<ArmRaw>>,
    /// Versions that are compared (A/B), by name; the share they leave is the integration's own version's.
    pub(crate) arms: Ordered<At<ArmRaw>>,
    /// A version that is asked as well, after the answer has left: recorded as an entry of its own, never delivered.
    pub(crate) shadow: Option<At<ArmRaw>>,
}

/// A version and its share.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["version", "percent"]))]
pub(crate) struct ArmRaw {
    /// Version or alias of the integration's model.
    #[schemars(required)]
    pub(crate) version: Option<At<String>>,
    /// Share of the subjects, 0 to 100.
    #[schemars(required)]
    pub(crate) percent: Option<At<f64>>,
}
