//! What the metrics counted since the last look, by integration.

use std::{collections::BTreeMap, sync::Arc};

use tendon_doors::console::Slot;
use tendon_kernel::metrics::{Family, Point, Points};

/// Totals as the metrics have them: they begin with the process.
#[derive(Default)]
pub(super) struct Totals(BTreeMap<Arc<str>, Slot>);

impl Totals {
    /// Reads the totals of all integrations.
    pub(super) fn of(families: &[Family]) -> Self {
        let mut all = Self::default();
        for family in families {
            match (family.name, &family.points) {
                ("tendon_decisions_total", Points::Sums(points)) => {
                    for point in points {
                        let slot = all.slot(point);
                        let place = match point.label("outcome") {
                            "ok" => &mut slot.ok,
                            "degraded" => &mut slot.degraded,
                            "failed" => &mut slot.failed,
                            _ => &mut slot.refused,
                        };
                        *place += point.count();
                    }
                }
                ("tendon_recall_total", Points::Sums(points)) => {
                    for point in points.iter().filter(|point| ["hit", "stale"].contains(&point.label("result"))) {
                        all.slot(point).recalled += point.count();
                    }
                }
                ("tendon_decision_duration_seconds", Points::Histograms(points)) => {
                    for point in points {
                        let times = point.value.counts.clone();
                        let asked = if point.label("priority") == "live" { times.clone() } else { Vec::new() };
                        all.slot(point).add(&Slot { times, asked, ..Slot::default() });
                    }
                }
                _ => {}
            }
        }
        all
    }

    /// What was added since an earlier look.
    pub(super) fn since(&self, before: &Self) -> BTreeMap<Arc<str>, Slot> {
        let none = Slot::default();
        let one = |(name, now): (&Arc<str>, &Slot)| {
            let old = before.0.get(name).unwrap_or(&none);
            let more = |now: &[u64], old: &[u64]| {
                let counts = now.iter().enumerate();
                counts.map(|(at, count)| count.saturating_sub(old.get(at).copied().unwrap_or_default())).collect()
            };
            let slot = Slot {
                ok: now.ok.saturating_sub(old.ok),
                degraded: now.degraded.saturating_sub(old.degraded),
                refused: now.refused.saturating_sub(old.refused),
                failed: now.failed.saturating_sub(old.failed),
                recalled: now.recalled.saturating_sub(old.recalled),
                times: more(&now.times, &old.times),
                asked: more(&now.asked, &old.asked),
                ..Slot::default()
            };
            (name.clone(), slot)
        };
        self.0.iter().map(one).collect()
    }

    fn slot<T>(&mut self, point: &Point<T>) -> &mut Slot {
        self.0.entry(point.label("integration").into()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use tendon_kernel::metrics::{Registry, SECONDS};

    use super::*;

    #[test]
    fn what_was_counted_since_the_last_look() {
        let registry = Registry::default();
        let count = |outcome: &str, times| {
            registry.counter("tendon_decisions_total", "X.", &[("integration", "a"), ("outcome", outcome)]).add(times);
        };
        let hits = registry.counter("tendon_recall_total", "X.", &[("integration", "a"), ("result", "hit")]);
        let seconds = |priority| {
            let labels = [("integration", "a"), ("priority", priority)];
            registry.histogram("tendon_decision_duration_seconds", "X.", &labels, SECONDS)
        };
        count("ok", 5);
        seconds("live").observe(0.002);
        seconds("backfill").observe(2.0);
        let before = Totals::of(&registry.snapshot());
        count("ok", 2);
        count("rejected", 1);
        count("quarantined", 1);
        hits.increment();
        seconds("live").observe(0.002);
        seconds("backfill").observe(2.0);
        seconds("precompute").observe(2.0);
        let since = Totals::of(&registry.snapshot()).since(&before);
        let slot = &since["a"];
        assert_eq!((slot.ok, slot.refused, slot.recalled), (2, 2, 1));
        let sum = |counts: &[u64]| counts.iter().sum::<u64>();
        assert_eq!((sum(&slot.times), sum(&slot.asked)), (3, 1), "a backfill is on the path, and nobody asked");
    }
}
