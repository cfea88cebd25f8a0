//! What the path counts: decisions by integration and outcome, time per decision and per stage, what is under way, what was
//! refused. Handles are made once per installed plan; counting is a few atomic operations.

use std::time::Duration;

use tendon_kernel::{
    decision::Outcome,
    metrics::{Counter, Exemplar, Histogram, Registry, SECONDS},
};

use crate::{
    ask::{Priority, Timing},
    recalling::RecallMeters,
    shadow::ShadowMeters,
    took::STAGES,
};

/// Counters of one integration.
pub(crate) struct Meters {
    outcomes: [Counter; 5],
    replayed: Counter,
    /// By priority.
    seconds: [Histogram; 3],
    pub(crate) shadow: ShadowMeters,
    pub(crate) recall: RecallMeters,
}

impl Meters {
    pub(crate) fn new(registry: &Registry, integration: &str) -> Self {
        let outcomes = Outcome::ALL.map(|outcome| {
            let labels = [("integration", integration), ("outcome", outcome.name())];
            registry.counter("tendon_decisions_total", "Decisions recorded.", &labels)
        });
        let labels = [("integration", integration)];
        let replayed =
            registry.counter("tendon_decisions_replayed_total", "Answers given again for an idempotency key.", &labels);
        let seconds = |priority: Priority| {
            let help = "Time of a batch on the path, by priority.";
            let labels = [("integration", integration), ("priority", priority.name())];
            registry.histogram("tendon_decision_duration_seconds", help, &labels, SECONDS)
        };
        let seconds = [Priority::Live, Priority::Backfill, Priority::Precompute].map(seconds);
        Self {
            outcomes,
            replayed,
            seconds,
            shadow: ShadowMeters::new(registry, integration),
            recall: RecallMeters::new(registry, integration),
        }
    }

    pub(crate) fn answered(&self, outcome: Outcome, replayed: bool) {
        if replayed {
            return self.replayed.increment();
        }
        if let Some(at) = Outcome::ALL.iter().position(|known| *known == outcome) {
            self.outcomes[at].increment();
        }
    }

    pub(crate) fn took(&self, timings: &[Timing], priority: Priority, exemplar: Option<Exemplar>) {
        let spent: Duration = timings.iter().map(|(_, spent)| *spent).sum();
        let seconds = &self.seconds[priority.index()];
        seconds.observe_duration(spent);
        if let Some(exemplar) = exemplar {
            seconds.exemplify(Exemplar { value: spent.as_secs_f64(), ..exemplar });
        }
    }
}

/// Counters of the whole path.
pub(crate) struct PathMeters {
    stages: [Histogram; 11],
}

impl PathMeters {
    pub(crate) fn new(registry: &Registry) -> Self {
        let stage = |name| {
            let help = "Time of a batch in a stage.";
            registry.histogram("tendon_stage_duration_seconds", help, &[("stage", name)], SECONDS)
        };
        Self { stages: STAGES.map(stage) }
    }

    /// How many batches took how long in a stage, by the bounds of [`SECONDS`].
    pub(crate) fn times(&self, stage: &str) -> Vec<u64> {
        let at = STAGES.iter().position(|known| *known == stage);
        at.map(|at| self.stages[at].by_bucket()).unwrap_or_default()
    }

    pub(crate) fn took(&self, timings: &[Timing]) {
        for (name, spent) in timings {
            if let Some(at) = STAGES.iter().position(|stage| stage == name) {
                self.stages[at].observe_duration(*spent);
            }
        }
    }
}

/// Counts a question that a model did not answer; the reason is one of our codes.
pub(crate) fn unanswered(registry: &Registry, integration: &str, reason: &'static str) {
    let labels = [("integration", integration), ("reason", reason)];
    registry
        .counter("tendon_model_unanswered_total", "Questions that the model did not answer itself.", &labels)
        .increment();
}

/// Counts a refusal; its reason is one of our codes.
pub(crate) fn refused(registry: &Registry, reason: &'static str) {
    registry.counter("tendon_refusals_total", "Requests refused before a decision.", &[("reason", reason)]).increment();
}
