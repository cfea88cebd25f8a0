//! What is counted of each lookup.

use tendon_kernel::{
    decision::LookupState,
    metrics::{Counter, Histogram, Registry, SECONDS},
};

/// Counters of one lookup of one integration.
pub(crate) struct LookupMeters {
    asked: Counter,
    copied: Counter,
    stale: Counter,
    missing: Counter,
    failed: Counter,
    pub(super) seconds: Histogram,
}

impl LookupMeters {
    pub(crate) fn new(registry: &Registry, integration: &str, lookup: &str) -> Self {
        let counter = |result| {
            let labels = [("integration", integration), ("lookup", lookup), ("result", result)];
            registry.counter(
                "tendon_lookup_rows_total",
                "Rows that lookups asked their system for, and what came of them.",
                &labels,
            )
        };
        let labels = [("integration", integration), ("lookup", lookup)];
        let seconds = registry.histogram("tendon_lookup_seconds", "Time of one read of a lookup.", &labels, SECONDS);
        Self {
            asked: counter("asked"),
            copied: counter("copied"),
            stale: counter("stale"),
            missing: counter("missing"),
            failed: counter("failed"),
            seconds,
        }
    }

    /// Keys that the system is asked for.
    pub(super) fn asked(&self, keys: usize) {
        self.asked.add(keys as u64);
    }

    /// What was found for one key; `copied`: without asking.
    pub(super) fn found(&self, state: LookupState, copied: bool) {
        if copied {
            self.copied.increment();
        }
        match state {
            LookupState::Fresh => {}
            LookupState::Stale => self.stale.increment(),
            LookupState::Missing => self.missing.increment(),
            LookupState::Failed => self.failed.increment(),
        }
    }
}
