//! What the process tells of itself: readiness part by part, and the gauges that nobody sets as things happen.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::json;
use tendon_doors::{
    api::{PartHealth, Status},
    overview::budgets,
};
use tendon_engine::systems::BreakerState;
use tendon_kernel::metrics::Registry;
use tendon_platform::{process::ProcessMetrics, telemetry::Measure};

use super::{Reload, certificates};
use crate::{trends::Trends, wiring::Parts};

/// So many batches of write-backs in a row may fail before readiness tells: one or two are a line that was cut.
const FAILURES_TOLERATED: u32 = 3;

/// Looks at the parts when asked.
pub(super) struct ProcessStatus {
    parts: Arc<Parts>,
    reload: Arc<Reload>,
    trends: Arc<Trends>,
    process: ProcessMetrics,
}

impl ProcessStatus {
    pub(super) fn new(parts: Arc<Parts>, reload: Arc<Reload>, trends: Arc<Trends>) -> Self {
        let process = ProcessMetrics::new(&parts.context);
        Self { parts, reload, trends, process }
    }

    /// For whoever reads the metrics without being asked over HTTP.
    pub(super) fn measuring(self: Arc<Self>) -> Measure {
        Arc::new(move || {
            let this = self.clone();
            async move { this.measure().await }.boxed()
        })
    }

    fn ledger(&self) -> PartHealth {
        let state = self.parts.ledger.state();
        let ok = state.stopped.is_none();
        let detail = json!({
            "entries": state.size, "under_checkpoint": state.checkpoint, "projected": state.projected,
            "stopped": state.stopped,
        });
        PartHealth { name: "ledger".into(), ok, vital: true, detail }
    }

    /// Whether the checkpoints are published, where the project says so.
    fn checkpoint(&self) -> Option<PartHealth> {
        self.parts.engine.runtime().plan().publish.as_ref()?;
        let state = self.parts.checkpoints.state();
        let detail = serde_json::to_value(&state).unwrap_or_default();
        Some(PartHealth { name: "checkpoint".into(), ok: state.failure.is_none(), vital: false, detail })
    }

    fn outbox(&self) -> PartHealth {
        let states = self.parts.deliveries.current().states();
        let waiting: usize = states.values().map(|state| state.waiting).sum();
        let ok =
            states.values().all(|state| state.breaker == BreakerState::Closed && state.failures < FAILURES_TOLERATED);
        let detail = json!({ "waiting": waiting, "more": states.values().any(|state| state.more), "systems": states });
        PartHealth { name: "outbox".into(), ok, vital: false, detail }
    }

    fn cache(&self) -> Option<PartHealth> {
        let (kind, state) = self.parts.engine.cache_state()?;
        let detail = json!({ "bytes": state.bytes, "entries": state.entries, "last_failure": state.failure });
        Some(PartHealth { name: format!("cache:{kind}"), ok: state.failure.is_none(), vital: false, detail })
    }

    fn providers(&self) -> Vec<PartHealth> {
        let states = self.parts.gate.providers().into_iter();
        let health = states.map(|state| PartHealth {
            name: format!("identity:{}", state.name),
            ok: state.failure.is_none(),
            vital: false,
            detail: json!({ "keys": state.keys, "last_failure": state.failure }),
        });
        health.collect()
    }

    fn systems(&self) -> Vec<PartHealth> {
        let systems = self.parts.flows.systems();
        let health = systems.iter().map(|(name, system)| {
            let state = system.state();
            PartHealth {
                name: format!("system:{name}"),
                ok: state.breaker == BreakerState::Closed && state.last_failure.is_none(),
                vital: false,
                detail: serde_json::to_value(&state).unwrap_or_default(),
            }
        });
        health.collect()
    }

    fn watches(&self) -> Vec<PartHealth> {
        let states = self.parts.flows.states();
        let health = states.into_iter().map(|(name, state)| PartHealth {
            name: format!("watch:{name}"),
            ok: state.failing.is_none(),
            vital: false,
            detail: serde_json::to_value(&state).unwrap_or_default(),
        });
        health.collect()
    }

    fn models(&self) -> Vec<PartHealth> {
        let runtime = self.parts.engine.runtime();
        let health = runtime.plan().integrations.values().map(|one| {
            let champion = runtime.champion(&one.name).map(|slot| slot.reference.clone());
            PartHealth {
                name: format!("model:{}", one.name),
                ok: champion.is_some(),
                vital: false,
                detail: json!({ "model": one.model, "alias": one.alias, "version": champion.map(|found| found.version) }),
            }
        });
        health.collect()
    }

    fn configuration(&self) -> PartHealth {
        let refused = self.reload.refused();
        let plan = self.parts.engine.runtime().plan().digest.clone();
        let detail = json!({ "plan": plan, "refused_reload": refused });
        PartHealth { name: "configuration".into(), ok: refused.is_none(), vital: false, detail }
    }
}

impl Status for ProcessStatus {
    fn parts(&self) -> BoxFuture<'_, Vec<PartHealth>> {
        async move {
            let mut parts = vec![self.ledger(), self.configuration(), self.outbox()];
            parts.extend(certificates::health(&self.parts));
            parts.extend(self.checkpoint());
            parts.extend(self.cache());
            parts.extend(self.providers());
            parts.extend(self.systems());
            parts.extend(self.watches());
            parts.extend(self.models());
            parts
        }
        .boxed()
    }

    fn measure(&self) -> BoxFuture<'_, ()> {
        async move {
            let registry: &Registry = &self.parts.context.metrics;
            certificates::measure(&self.parts);
            self.process.refresh();
            let state = self.parts.ledger.state();
            let gauge = |name: &'static str, help: &'static str, value: u64| {
                #[expect(clippy::cast_precision_loss, reason = "a metric; exact up to 2^53")]
                registry.gauge(name, help, &[]).set(value as f64);
            };
            gauge("tendon_ledger_entries", "Durable entries of the ledger.", state.size);
            gauge("tendon_ledger_checkpoint_entries", "Entries under the last signed checkpoint.", state.checkpoint);
            gauge("tendon_ledger_projected_entries", "Entries that all projections have seen.", state.projected);
            gauge("tendon_ledger_stopped", "1 while nothing can be recorded.", u64::from(state.stopped.is_some()));
            let in_flight = u64::try_from(self.parts.engine.in_flight()).unwrap_or(u64::MAX);
            gauge("tendon_decisions_in_flight", "Decisions under way.", in_flight);
            let now = self.parts.context.clock.now();
            let (_, overdue, oldest) = self.parts.engine.reviews().standing(now);
            let waited = oldest.map_or(0, |oldest| now.0.saturating_sub(oldest.0) / 1_000_000);
            let overdue = u64::try_from(overdue).unwrap_or(u64::MAX);
            gauge("tendon_reviews_overdue", "Decisions that wait for a person longer than they should.", overdue);
            gauge(
                "tendon_reviews_oldest_seconds",
                "Time that the oldest decision has waited for a person.",
                u64::try_from(waited).unwrap_or(0),
            );
            for (integration, plan) in &self.parts.engine.runtime().plan().integrations {
                for budget in budgets(plan, |time| self.trends.past(integration, time)) {
                    let labels = [("integration", &**integration), ("objective", budget.objective)];
                    let help = "What is left of an objective's error budget; below 0: more went wrong than may.";
                    let left = registry.gauge("tendon_objective_budget_left_ratio", help, &labels);
                    left.set(budget.left.unwrap_or(1.0));
                }
            }
            for (system, state) in self.parts.deliveries.current().states() {
                let labels = [("system", &*system)];
                let waiting = registry.gauge("tendon_outbox_waiting", "Deliveries waiting in memory.", &labels);
                #[expect(clippy::cast_precision_loss, reason = "a metric; exact up to 2^53")]
                waiting.set(state.waiting as f64);
                let open = registry.gauge("tendon_system_breaker_open", "1 while a system is not asked.", &labels);
                open.set(if state.breaker == BreakerState::Closed { 0.0 } else { 1.0 });
            }
        }
        .boxed()
    }
}
