//! The overview: whether all is well, what each integration does now and did before, and how the systems are.

mod charts;
mod objectives;
mod tables;

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use tendon_kernel::Result;

use crate::{
    console::{
        office::{Slot, Span},
        page::{May, Page, Reply, View, Visit},
        pages::sign_in,
        parts::{
            figure::{self, NONE, count, number, portion, seconds, share},
            live, tile,
        },
    },
    overview::{self, Health, Look, Overview},
};

/// The page; signing out and how pages look can be changed from all of them.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console",
    name: Some("Overview"),
    may: May::View,
    show: |visit| async move { show(&visit).await }.boxed(),
    changes: &[sign_in::SIGN_OUT, sign_in::LOOK],
};

/// A day in microseconds.
const DAY: i64 = 86_400_000_000;

/// What the page shows.
struct Seen {
    span: Span,
    of: Overview,
    trend: Vec<Option<Slot>>,
    trends: Vec<Vec<Option<Slot>>>,
}

async fn show(visit: &Visit) -> Result<Reply> {
    let seen = look(visit).await?;
    let body = html! {
        div.head {
            h1 { "Overview" }
            (spans(seen.span))
            div.spacer {}
            (live())
        }
        div id="state" data-live="" { (attention(&seen)) (tiles(&seen)) }
        section.card aria-labelledby="of-integrations" {
            header { h2 id="of-integrations" { "Integrations" } span.soft.small { "figures of the last " (seen.span.words()) "; rates of the last minute" } }
            div id="integrations" data-live="" { (tables::integrations(&seen)) }
        }
        section.card aria-labelledby="of-objectives" {
            header { h2 id="of-objectives" { "Objectives" } span.soft.small { "burn 1× uses a budget up in exactly its window" } }
            div id="objectives" data-live="" { (objectives::objectives(&seen)) }
        }
        section aria-label="Trends" { div.two id="trends" data-live="" { (charts::trends(&seen)) } }
        div.two {
            section.card aria-labelledby="of-systems" {
                header { h2 id="of-systems" { "Systems" } }
                div id="systems" data-live="" { (tables::systems(&seen)) }
            }
            section.card aria-labelledby="of-errors" {
                header { h2 id="of-errors" { "What went wrong" } }
                div id="errors" data-live="" { (tables::errors(&seen)) }
            }
        }
    };
    Ok(View::reply("Overview", body))
}

async fn look(visit: &Visit) -> Result<Seen> {
    let chosen = visit.query.text("span").unwrap_or_default();
    let span = Span::named(chosen).unwrap_or(Span::Hour);
    let Look { overview, trend, trends } = overview::look(&visit.api, visit.known()?, span).await?;
    Ok(Seen { span, of: overview, trend, trends })
}

fn spans(chosen: Span) -> Markup {
    html! {
        nav.tabs aria-label="Span of trends" {
            @for span in Span::ALL {
                a href={ "/console?span=" (span.name()) } aria-label={ "The last " (span.words()) }
                    aria-current=[(span == chosen).then_some("true")] { (span.name()) }
            }
        }
    }
}

/// What is not as it should be; or that all is.
fn attention(seen: &Seen) -> Markup {
    let Overview { state, trouble, letters, .. } = &seen.of;
    html! {
        @if *state == Health::Healthy {
            p.notice { "All is well: every part of the process does its work, and there is no dead letter." }
        } @else {
            div class={ "notice " (if trouble.iter().any(|one| one.vital) { "bad" } else { "warn" }) } {
                ul {
                    @if *state == Health::Stopping { li { b { "process" } " – is ending" } }
                    @for one in trouble {
                        li { b { @match place(&one.part) { Some(to) => a href=(to) { (one.part) }, None => (one.part) } } " – " (one.why) }
                    }
                    @match letters.count {
                        None => li { b { "Dead letters" } " cannot be counted now." },
                        Some(0) => {},
                        Some(count) => li {
                            b { (count) @if letters.more { "+" } " dead letters" }
                            ": records or write-backs that could not go on. " a href="/console/letters" { "See them" }
                        }
                    }
                }
            }
        }
    }
}

/// Where more is told about a part of the process.
fn place(part: &str) -> Option<String> {
    Some(match part.split_once(':') {
        Some(("integration", name)) => format!("/console/decisions?integration={name}"),
        Some(("system", name)) => format!("/console/systems#system-{name}"),
        Some(("model", _)) => "/console/models".to_owned(),
        None if part == "outbox" => "/console/deliveries".to_owned(),
        None if part == "ledger" => "/console/ledger".to_owned(),
        _ => return None,
    })
}

fn tiles(seen: &Seen) -> Markup {
    let Overview { minute, outbox, .. } = &seen.of;
    let rate = minute.per_second.map_or_else(|| NONE.to_owned(), |rate| format!("{} /s", number(rate)));
    let all = minute.decisions;
    let waiting = count(u64::try_from(outbox.waiting).unwrap_or(u64::MAX));
    let more = if outbox.more { "+" } else { "" };
    let (name, ready, note) = uptime(&seen.of);
    html! {
        div.tiles {
            (tile("Decisions", &rate, &format!("{} in the last minute", count(all))))
            (tile("p95 on the path", &seconds(minute.p95), &format!("p50 {} · p99 {}", seconds(minute.p50), seconds(minute.p99))))
            (tile("Failed", &share(minute.failed, all), &format!("fallback {} · refused {}", share(minute.fallback, all), share(minute.refused, all))))
            (tile("Outbox", &format!("{waiting}{more}"), "write-backs waiting"))
            (tile(name, &ready, &note))
        }
    }
}

/// The share of time that the process was ready: no longer a time is named than it has been watched.
fn uptime(of: &Overview) -> (&'static str, String, String) {
    let [week, month] = [of.uptime_7d, of.uptime_30d].map(portion);
    let watched = of.uptime_since.map(|since| (since, of.at.0.saturating_sub(since.0) / DAY));
    match watched {
        Some((since, days)) if days < 7 => ("Uptime", week, format!("since {}, UTC", figure::minute(since))),
        Some((since, days)) if days < 29 => {
            ("Uptime, 7 days", week, format!("{month} since {}, UTC", figure::minute(since)))
        }
        _ => ("Uptime, 7 days", week, format!("30 days {month}")),
    }
}
