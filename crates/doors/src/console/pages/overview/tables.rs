//! The tables of the overview: integrations, systems, what went wrong.

use std::collections::BTreeMap;

use maud::{Markup, html};
use tendon_kernel::Timestamp;

use super::{Row, Seen, charts::points};
use crate::{
    console::{
        office::Slot,
        pages::systems,
        parts::{
            Tone, badge,
            chart::spark,
            empty,
            figure::{NONE, ago, count, moment, number, seconds, share},
        },
    },
    service::SystemView,
};

pub(super) fn integrations(seen: &Seen) -> Markup {
    if seen.rows.is_empty() {
        return empty("No integration yet", "`tendon new integration` writes one from a model and a table.");
    }
    html! {
        div.scroll {
            table.stack.steady {
                thead {
                    tr {
                        th scope="col" { "Integration" }
                        th scope="col" { "State" }
                        th.wide scope="col" { "Trend" }
                        @for name in ["Per s", "p50", "p95", "p99", "Failed", "Fallback", "Cache"] { th.number scope="col" { (name) } }
                        th scope="col" { "Watch" }
                        th.number scope="col" { "Letters" }
                    }
                }
                tbody { @for row in &seen.rows { (integration(seen, row)) } }
            }
        }
    }
}

fn integration(seen: &Seen, row: &Row) -> Markup {
    let all = row.span.decisions();
    let model = seen.parts.iter().find(|part| part.name == format!("model:{}", row.name));
    let failing = row.watch.as_ref().is_some_and(|watch| !watch.ok);
    let (tone, state) = state(model.is_some_and(|model| !model.ok), failing, &row.minute);
    let rates: Vec<_> = points(&row.trend).iter().map(|slot| slot.as_ref().and_then(Slot::rate)).collect();
    let rate = row.minute.rate().map_or_else(|| NONE.to_owned(), number);
    let figures = [
        ("Per s", rate),
        ("p50", seconds(row.span.quantile(0.5))),
        ("p95", seconds(row.span.quantile(0.95))),
        ("p99", seconds(row.span.quantile(0.99))),
        ("Failed", share(row.span.failed, all)),
        ("Fallback", share(row.span.degraded, all)),
        ("Cache", share(row.span.recalled, all)),
    ];
    html! {
        tr {
            th scope="row" { a href={ "/console/decisions?integration=" (row.name) } { (row.name) } span.sub { (row.purpose) } }
            td data-of="State" { (badge(tone, state)) }
            td data-of="Trend" { (spark(&rates)) }
            @for (name, figure) in &figures { td.number data-of=(name) { (figure) } }
            td data-of="Watch" { (freshness(row, seen.now)) }
            td.number data-of="Dead letters" { (row.letters) @if seen.more_letters { "+" } }
        }
    }
}

/// How an integration does, by its model, its watch and what the last minute counted.
pub(in crate::console::pages) fn state(no_model: bool, held_up: bool, minute: &Slot) -> (Tone, &'static str) {
    match minute {
        _ if no_model => (Tone::Bad, "No model"),
        _ if minute.failed > 0 => (Tone::Bad, "Failing"),
        _ if held_up => (Tone::Warn, "Watch held up"),
        _ if minute.degraded > 0 => (Tone::Warn, "Fallback"),
        _ if minute.decisions() > 0 => (Tone::Good, "Deciding"),
        _ => (Tone::Calm, "Idle"),
    }
}

/// How long ago the watch had seen everything.
fn freshness(row: &Row, now: Timestamp) -> Markup {
    let Some(watch) = &row.watch else { return html! { span.soft { "none" } } };
    let at = watch.detail.get("up_to_date_at").and_then(serde_json::Value::as_str);
    let at = at.and_then(|text| Timestamp::parse(text).ok());
    html! {
        @match at {
            Some(at) => span.nowrap title={ "up to date at " (at) } { (ago(at, now)) " ago" },
            None => span.soft { "not yet" },
        }
    }
}

pub(super) fn systems(seen: &Seen) -> Markup {
    if seen.systems.is_empty() {
        return empty("No system", "`systems` in tendon.yaml names what is read and written.");
    }
    html! {
        div.scroll {
            table.stack.steady {
                thead { tr {
                    th scope="col" { "System" } th scope="col" { "State" }
                    th.number scope="col" { "Under way" } th.number scope="col" { "Queued" } th.number scope="col" { "Waiting" }
                } }
                tbody { @for system in &seen.systems { (system_row(seen, system)) } }
            }
        }
    }
}

fn system_row(seen: &Seen, system: &SystemView) -> Markup {
    let detail = seen.parts.iter().find(|part| part.name == format!("system:{}", system.name)).map(|part| &part.detail);
    let figure = |name: &str| detail.and_then(|detail| detail.get(name)).and_then(serde_json::Value::as_u64);
    let of = |a: &str, b: &str| match (figure(a), figure(b)) {
        (Some(a), Some(b)) => format!("{a} of {b}"),
        _ => NONE.to_owned(),
    };
    html! {
        tr {
            th scope="row" { (system.name) span.sub { (system.kind) } }
            td data-of="State" { (systems::state(system)) @if let Some(failure) = &system.last_failure { span.sub { (failure) } } }
            td.number data-of="Under way" { (of("under_way", "concurrency")) }
            td.number data-of="Queued" { (figure("queued").map_or_else(|| NONE.to_owned(), count)) }
            td.number data-of="Waiting" {
                (system.waiting) @if system.more { "+" }
                @if let Some(oldest) = system.oldest { span.sub { "since " (moment(oldest)) } }
            }
        }
    }
}

/// Causes of dead letters and of refusals, the most frequent first.
pub(super) fn errors(seen: &Seen) -> Markup {
    let mut causes = BTreeMap::<(&str, &str), u64>::new();
    for letter in &seen.letters {
        *causes.entry((&letter.row.code, &letter.row.message)).or_default() += 1;
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    if causes.is_empty() && seen.refusals.is_empty() {
        return empty("Nothing", "No dead letter, and no request was refused since the start.");
    }
    html! {
        table.stack {
            thead { tr { th scope="col" { "What" } th scope="col" { "Where" } th.number scope="col" { "Times" } } }
            tbody {
                @for ((code, message), times) in causes.iter().take(8) {
                    tr {
                        th scope="row" { code { (code) } span.sub { (message) } }
                        td data-of="Where" { "dead letters" }
                        td.number data-of="Times" { (count(*times)) @if seen.more_letters { "+" } }
                    }
                }
                @for (reason, times) in &seen.refusals {
                    tr {
                        th scope="row" { code { (reason) } }
                        td data-of="Where" { "requests refused" }
                        td.number data-of="Times" { (count(*times)) }
                    }
                }
            }
        }
    }
}
