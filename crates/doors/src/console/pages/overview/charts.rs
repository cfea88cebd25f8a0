//! The charts of the overview.

use maud::{Markup, html};

use super::Seen;
use crate::console::{
    office::Slot,
    parts::{
        chart::{Chart, Series},
        figure::{number, seconds},
    },
};

/// Points of a chart; slots are added up to so many.
const POINTS: usize = 120;

/// Slots added up to as many points as a chart has.
pub(super) fn points(slots: &[Option<Slot>]) -> Vec<Option<Slot>> {
    let merged = |slots: &[Option<Slot>]| {
        let mut known = slots.iter().flatten();
        let mut sum = known.next()?.clone();
        known.for_each(|slot| sum.add(slot));
        Some(sum)
    };
    slots.chunks(slots.len().div_ceil(POINTS).max(1)).map(merged).collect()
}

pub(super) fn trends(seen: &Seen) -> Markup {
    let points = points(&seen.trend);
    let line = |name: &'static str, value: &dyn Fn(&Slot) -> Option<f64>| Series {
        name,
        values: points.iter().map(|slot| slot.as_ref().and_then(value)).collect(),
    };
    #[expect(clippy::cast_precision_loss, reason = "a share that is drawn")]
    let part = |part: u64, slot: &Slot| (slot.decisions() > 0).then(|| part as f64 * 100.0 / slot.decisions() as f64);
    let charts = [
        Chart {
            title: "Decisions",
            span: seen.span.words(),
            series: vec![line("decisions", &Slot::rate)],
            told: |value| format!("{} /s", number(value)),
        },
        Chart {
            title: "Time on the path",
            span: seen.span.words(),
            series: vec![
                line("p50", &|slot| slot.quantile(0.5)),
                line("p95", &|slot| slot.quantile(0.95)),
                line("p99", &|slot| slot.quantile(0.99)),
            ],
            told: |value| seconds(Some(value)),
        },
        Chart {
            title: "Failed, fallback, cache",
            span: seen.span.words(),
            series: vec![
                line("failed", &|slot| part(slot.failed, slot)),
                line("fallback", &|slot| part(slot.degraded, slot)),
                line("cache", &|slot| part(slot.recalled, slot)),
            ],
            told: |value| format!("{} %", number(value)),
        },
        Chart {
            title: "Outbox",
            span: seen.span.words(),
            #[expect(clippy::cast_precision_loss, reason = "a count that is drawn")]
            series: vec![line("waiting", &|slot| Some(slot.waiting as f64))],
            told: |value| format!("{} waiting", number(value)),
        },
    ];
    html! { @for chart in &charts { div.card { (chart.draw()) } } }
}
