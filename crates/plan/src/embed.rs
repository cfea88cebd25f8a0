//! The embed door of an integration: what its badge shows, and whose tokens let a page show it.

use std::time::Duration;

use crate::trust::CorsPlan;

/// What the badge shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedPlan {
    /// How much history.
    pub trend: Duration,
    /// Age up to which a decision counts as fresh.
    pub fresh: Duration,
    /// Whom it is shown to; `None`: to nobody.
    pub holders: Option<HoldersPlan>,
}

/// Whom a badge is shown to. Secrets still as references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldersPlan {
    /// Reference to the secret that signs tokens.
    pub secret: String,
    /// Reference to the secret before.
    pub old_secret: Option<String>,
    /// How far ahead a token may end.
    pub lifetime: Duration,
    /// Pages that may show it.
    pub cors: CorsPlan,
}
