//! The charts of the overview.

use maud::{Markup, html};

use super::Seen;
use crate::{
    console::{
        office::{Slot, Span},
        parts::{
            chart::{Chart, Series},
            figure::{number, seconds},
        },
    },
    overview::Figures,
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
    let (minute, waiting) = (&seen.of.minute, seen.of.outbox.waiting);
    html! { @for chart in &charts(seen.span, &seen.trend, minute, waiting) { div.card { (chart.draw()) } } }
}

/// A point of thirty days covers six hours: what is now is told by the figures that the tiles show.
#[expect(clippy::cast_precision_loss, reason = "counts that are drawn")]
fn charts(span: Span, trend: &[Option<Slot>], minute: &Figures, waiting: usize) -> [Chart<'static>; 4] {
    let points = points(trend);
    let line = |name: &'static str, now: Option<f64>, value: &dyn Fn(&Slot) -> Option<f64>| Series {
        name,
        values: points.iter().map(|slot| slot.as_ref().and_then(value)).collect(),
        now,
    };
    let part = |part: u64, of: u64| (of > 0).then(|| part as f64 * 100.0 / of as f64);
    let now = |count: u64| part(count, minute.decisions);
    let chart = |title, series, told| Chart { title, span: span.words(), series, told };
    [
        chart("Decisions", vec![line("decisions", minute.per_second, &Slot::rate)], |value| {
            format!("{} /s", number(value))
        }),
        chart(
            "Time on the path",
            vec![
                line("p50", minute.p50, &|slot| slot.quantile(0.5)),
                line("p95", minute.p95, &|slot| slot.quantile(0.95)),
                line("p99", minute.p99, &|slot| slot.quantile(0.99)),
            ],
            |value| seconds(Some(value)),
        ),
        chart(
            "Failed, fallback, cache",
            vec![
                line("failed", now(minute.failed), &|slot| part(slot.failed, slot.decisions())),
                line("fallback", now(minute.fallback), &|slot| part(slot.degraded, slot.decisions())),
                line("cache", now(minute.cached), &|slot| part(slot.recalled, slot.decisions())),
            ],
            |value| format!("{} %", number(value)),
        ),
        chart("Outbox", vec![line("waiting", Some(waiting as f64), &|slot| Some(slot.waiting as f64))], |value| {
            format!("{} waiting", number(value))
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_the_last_minute_however_long_a_point_is() {
        // Thirty days of much, and a quiet minute.
        let much = Slot { watched: 10, ok: 4_000, failed: 1_000, times: vec![5_000], waiting: 900, ..Slot::default() };
        let quiet = Slot { watched: 60, ok: 150, times: vec![0, 0, 0, 0, 150], ..Slot::default() };
        let trend = vec![Some(much); Span::Month.slots()];
        let drawn = charts(Span::Month, &trend, &Figures::of(&quiet), 3).map(|chart| chart.draw().into_string());
        for (drawn, now) in drawn.iter().zip(["now 2.50 /s", "p50 750 µs", "failed 0 %", "now 3 waiting"]) {
            assert!(drawn.contains(&format!(">{now}<")), "{now}: {drawn}");
        }
        let nothing = charts(Span::Month, &trend, &Figures::of(&Slot::default()), 0);
        assert!(nothing[0].draw().into_string().contains(">now –<"), "nobody counted in the last minute");
    }
}
