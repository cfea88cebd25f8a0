//! What recall counts. The hit share is `hit + stale + joined` of all results but `bypassed`.

use tendon_kernel::metrics::{Counter, Registry};

/// Counters of one integration.
pub(crate) struct RecallMeters {
    /// Answered from the cache.
    pub(crate) hit: Counter,
    /// Answered from the cache, past its time.
    pub(crate) stale: Counter,
    /// Nothing was found.
    pub(crate) miss: Counter,
    /// Answered by what another computed meanwhile.
    pub(crate) joined: Counter,
    /// The cache could not be asked, or somebody was being erased.
    pub(crate) bypassed: Counter,
    /// Computed anew behind a stale answer.
    pub(crate) renewed: Counter,
    /// Was to be computed anew, and was not.
    pub(crate) not_renewed: Counter,
}

impl RecallMeters {
    pub(crate) fn new(registry: &Registry, integration: &str) -> Self {
        let result = |result| {
            let labels = [("integration", integration), ("result", result)];
            registry.counter(
                "tendon_recall_total",
                "Questions that the cache was to answer, by what came of it.",
                &labels,
            )
        };
        let renewal = |result| {
            let labels = [("integration", integration), ("result", result)];
            registry.counter("tendon_recall_renewals_total", "Stale answers that were to be computed anew.", &labels)
        };
        Self {
            hit: result("hit"),
            stale: result("stale"),
            miss: result("miss"),
            joined: result("joined"),
            bypassed: result("bypassed"),
            renewed: renewal("done"),
            not_renewed: renewal("failed"),
        }
    }
}
