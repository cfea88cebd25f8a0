//! The tables of the overview: integrations, systems, what went wrong.

use maud::{Markup, html};
use tendon_kernel::Timestamp;

use super::{Seen, charts::points};
use crate::{
    console::{
        office::Slot,
        pages::systems,
        parts::{
            badge,
            chart::spark,
            empty,
            figure::{NONE, ago, count, number, seconds, share, used},
        },
    },
    overview::{IntegrationView, Overview, SystemRow, Watch},
};

pub(super) fn integrations(seen: &Seen) -> Markup {
    if seen.of.integrations.is_empty() {
        return empty("No integration yet", "`tendon new integration` writes one from a model and a table.");
    }
    html! {
        div.scroll {
            table.stack.broad.steady {
                thead {
                    tr {
                        th scope="col" { "Integration" }
                        th scope="col" { "State" }
                        th.wide scope="col" { "Trend" }
                        @for name in ["Per s", "p50", "p95", "p99", "Failed", "Fallback", "Cache"] { th.number scope="col" { (name) } }
                        th scope="col" { "Watch" }
                        th.number scope="col" { "Outbox" }
                        th.number scope="col" { "Letters" }
                    }
                }
                tbody { @for (row, trend) in seen.of.integrations.iter().zip(&seen.trends) { (integration(seen, row, trend)) } }
            }
        }
    }
}

fn integration(seen: &Seen, row: &IntegrationView, trend: &[Option<Slot>]) -> Markup {
    let (figures, all) = (&row.figures, row.figures.decisions);
    let (tone, state) = row.state.told();
    let rates: Vec<_> = points(trend).iter().map(|slot| slot.as_ref().and_then(Slot::rate)).collect();
    let rate = row.minute.per_second.map_or_else(|| NONE.to_owned(), number);
    let figures = [
        ("Per s", rate),
        ("p50", seconds(figures.p50)),
        ("p95", seconds(figures.p95)),
        ("p99", seconds(figures.p99)),
        ("Failed", share(figures.failed, all)),
        ("Fallback", share(figures.fallback, all)),
        ("Cache", share(figures.cached, all)),
    ];
    html! {
        tr {
            th scope="row" { a href={ "/console/decisions?integration=" (row.name) } { (row.name) } span.sub { (row.purpose) } }
            td data-of="State" { (badge(tone, state)) }
            td data-of="Trend" { (spark(&rates)) }
            @for (name, figure) in &figures { td.number data-of=(name) { (figure) } }
            td data-of="Watch" { (freshness(row.watch.as_ref(), seen.of.at)) }
            td.number data-of="Outbox" { (row.outbox) @if seen.of.outbox.more { "+" } }
            td.number data-of="Dead letters" { (row.letters) @if seen.of.letters.more { "+" } }
        }
    }
}

/// How long ago the watch had seen everything.
fn freshness(watch: Option<&Watch>, now: Timestamp) -> Markup {
    let Some(watch) = watch else { return html! { span.soft { "none" } } };
    html! {
        @match watch.up_to_date_at {
            Some(at) => span.nowrap title={ "up to date at " (at) } { (ago(at, now)) " ago" },
            None => span.soft { "not yet" },
        }
    }
}

pub(super) fn systems(seen: &Seen) -> Markup {
    if seen.of.systems.is_empty() {
        return empty("No system", "`systems` in tendon.yaml names what is read and written.");
    }
    html! {
        div.scroll {
            table.stack.steady {
                thead { tr {
                    th scope="col" { "System" } th scope="col" { "State" }
                    th.number scope="col" { "Under way" } th.number scope="col" { "Queued" } th.number scope="col" { "Rate" } th.number scope="col" { "Waiting" }
                } }
                tbody { @for system in &seen.of.systems { (system_row(system, seen.of.at)) } }
            }
        }
    }
}

fn system_row(row: &SystemRow, now: Timestamp) -> Markup {
    let system = &row.view;
    let of = match (row.under_way, row.concurrency) {
        (Some(under_way), Some(most)) => format!("{under_way} of {most}"),
        _ => NONE.to_owned(),
    };
    html! {
        tr {
            th scope="row" { (system.name) span.sub { (system.kind) } }
            td data-of="State" { (systems::state(system)) @if let Some(failure) = &system.last_failure { span.sub { (failure) } } }
            td.number data-of="Under way" { (of) }
            td.number data-of="Queued" { (row.queued.map_or_else(|| NONE.to_owned(), count)) }
            td.number data-of="Rate" { (used(row.rate_used, row.rate)) }
            td.number data-of="Waiting" {
                (system.waiting) @if system.more { "+" }
                @if let Some(oldest) = system.oldest { span.sub.nowrap title={ "since " (oldest) } { "for " (ago(oldest, now)) } }
            }
        }
    }
}

/// Causes of dead letters, of answers that the model did not give, and of refusals, the most frequent first.
pub(super) fn errors(seen: &Seen) -> Markup {
    let Overview { letters, unanswered, refusals, .. } = &seen.of;
    if letters.count.is_some() && letters.causes.is_empty() && unanswered.is_empty() && refusals.is_empty() {
        return empty("Nothing", "No dead letter; since the start every model answered, and no request was refused.");
    }
    html! {
        div.scroll { table.stack {
            thead { tr { th scope="col" { "What" } th scope="col" { "Where" } th.number scope="col" { "Times" } } }
            tbody {
                @if letters.count.is_none() {
                    tr {
                        th scope="row" { "cannot be counted now" }
                        td data-of="Where" { "dead letters" }
                        td.number data-of="Times" { (NONE) }
                    }
                }
                @for cause in &letters.causes {
                    tr {
                        th scope="row" { code { (cause.code) } span.sub { (cause.message) } }
                        td data-of="Where" { "dead letters" }
                        td.number data-of="Times" { (cause.times) @if letters.more { "+" } }
                    }
                }
                @for one in unanswered {
                    tr {
                        th scope="row" { code { (one.reason) } span.sub { "the model did not answer itself" } }
                        td data-of="Where" { a href={ "/console/decisions?integration=" (one.integration) "&outcome=degraded" } { (one.integration) } }
                        td.number data-of="Times" { (count(one.times)) }
                    }
                }
                @for refusal in refusals {
                    tr {
                        th scope="row" { code { (refusal.reason) } }
                        td data-of="Where" { "requests refused" }
                        td.number data-of="Times" { (count(refusal.times)) }
                    }
                }
            }
        } }
    }
}
