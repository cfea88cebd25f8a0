//! Routes of a plan: which versions beside the integration's own answer for which share of the subjects.

use std::sync::Arc;

/// How an integration's questions are divided among versions of its model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoutePlan {
    /// Versions that answer for a share, in order; the rest is the integration's own version's.
    pub arms: Vec<ArmPlan>,
    /// A version that is asked beside the one that answers.
    pub shadow: Option<ArmPlan>,
}

/// A version and its share.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmPlan {
    /// What the decision says (`canary`, `arm:b`, `shadow`).
    pub route: Arc<str>,
    /// Version or alias.
    pub alias: Arc<str>,
    /// Percent of the subjects, 0 to 100.
    pub percent: f64,
}
