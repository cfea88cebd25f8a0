//! The overview: whether all is well, what each integration does now and did before, and how the systems are.

mod charts;
mod tables;

pub(super) use tables::state;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use tendon_engine::outbox::DeadLetter;
use tendon_kernel::{Result, Timestamp};

use crate::{
    api::PartHealth,
    console::{
        office::{Slot, Span},
        page::{May, Page, Reply, View, Visit},
        pages::sign_in,
        parts::{
            figure::{NONE, count, number, seconds, share},
            live, tile,
        },
    },
    service::SystemView,
};

/// The page; signing out and how pages look can be changed from all of them.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console",
    name: Some("Overview"),
    may: May::View,
    show: |visit| async move { show(&visit).await }.boxed(),
    changes: &[sign_in::SIGN_OUT, sign_in::LOOK],
};

/// Dead letters looked at to count them by cause.
const LETTERS: usize = 500;
/// Longest wait for them.
const LETTERS_WAIT: Duration = Duration::from_secs(2);

/// What the page shows.
struct Seen {
    now: Timestamp,
    span: Span,
    parts: Vec<PartHealth>,
    rows: Vec<Row>,
    whole: Slot,
    trend: Vec<Option<Slot>>,
    uptime: [Option<f64>; 2],
    systems: Vec<SystemView>,
    letters: Vec<DeadLetter>,
    more_letters: bool,
    /// Whether they could not be looked at.
    unknown_letters: bool,
    refusals: Vec<(String, u64)>,
}

/// One integration.
struct Row {
    name: Arc<str>,
    purpose: Arc<str>,
    minute: Slot,
    /// The chosen span, added up.
    span: Slot,
    trend: Vec<Option<Slot>>,
    watch: Option<PartHealth>,
    letters: usize,
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
    let (api, known) = (&visit.api, visit.known()?);
    let chosen = visit.query.text("span").unwrap_or_default();
    let span = Span::ALL.into_iter().find(|span| span.name() == chosen).unwrap_or(Span::Hour);
    let office = &api.console.office;
    let parts = api.status.parts().await;
    // A ledger or store in trouble is what this page has to tell of: it does not wait for them.
    let letters = tokio::time::timeout(LETTERS_WAIT, api.service.letters(known, Some(LETTERS), None)).await;
    let (letters, more_letters, unknown_letters) = match letters {
        Ok(Ok(page)) => (page.letters, page.next.is_some(), false),
        _ => (Vec::new(), false, true),
    };
    let mut by_integration = BTreeMap::<Arc<str>, usize>::new();
    for letter in &letters {
        *by_integration.entry(letter.row.integration.clone()).or_default() += 1;
    }
    let mut trend: Vec<Option<Slot>> = Vec::new();
    let mut whole = Slot::default();
    let mut rows = Vec::new();
    for plan in api.service.integrations(known) {
        let own = office.trend(&plan.name, span);
        sum_up(&mut trend, &own);
        let minute = office.minute(&plan.name);
        let mut all = Slot::default();
        own.iter().flatten().for_each(|slot| all.add(slot));
        // Seconds are those of the clock, however many integrations there are.
        let watched = whole.watched.max(minute.watched);
        whole.add(&minute);
        whole.watched = watched;
        let watch = parts.iter().find(|part| part.name == format!("watch:{}", plan.name)).cloned();
        rows.push(Row {
            letters: by_integration.get(&plan.name).copied().unwrap_or_default(),
            name: plan.name.clone(),
            purpose: plan.purpose.clone(),
            minute,
            span: all,
            trend: own,
            watch,
        });
    }
    Ok(Seen {
        now: visit.now(),
        span,
        parts,
        rows,
        whole,
        trend,
        uptime: [office.uptime(7), office.uptime(30)],
        systems: api.service.systems(known)?,
        letters,
        more_letters,
        unknown_letters,
        refusals: refusals(visit),
    })
}

/// Adds one integration's slots to those of all.
fn sum_up(all: &mut Vec<Option<Slot>>, own: &[Option<Slot>]) {
    if all.len() < own.len() {
        all.resize(own.len(), None);
    }
    for (all, own) in all.iter_mut().zip(own) {
        let Some(own) = own else { continue };
        let sum = all.get_or_insert_with(Slot::default);
        let watched = sum.watched.max(own.watched);
        sum.add(own);
        sum.watched = watched;
    }
}

/// Requests refused before a decision, by reason, since the start.
fn refusals(visit: &Visit) -> Vec<(String, u64)> {
    let points = visit.api.context.metrics.sums("tendon_refusals_total");
    let counted = points.iter().map(|point| (point.label("reason").to_owned(), point.count()));
    let mut all: Vec<_> = counted.filter(|(_, times)| *times > 0).collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.truncate(8);
    all
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
    let wrong: Vec<&PartHealth> = seen.parts.iter().filter(|part| !part.ok).collect();
    let letters = seen.letters.len();
    html! {
        @if wrong.is_empty() && letters == 0 && !seen.unknown_letters {
            p.notice { "All is well: every part of the process does its work, and there is no dead letter." }
        } @else {
            div class={ "notice " (if wrong.iter().any(|part| part.vital) { "bad" } else { "warn" }) } {
                ul {
                    @for part in &wrong {
                        li { b { (part.name) } " " (why(part)) }
                    }
                    @if seen.unknown_letters { li { b { "Dead letters" } " cannot be counted now." } }
                    @if letters > 0 {
                        li {
                            b { (letters) @if seen.more_letters { "+" } " dead letters" }
                            ": records or write-backs that could not go on. " a href="/console/letters" { "See them" }
                        }
                    }
                }
            }
        }
    }
}

/// What a part says of its trouble.
fn why(part: &PartHealth) -> String {
    let named = ["stopped", "failing", "last_failure", "refused_reload"].into_iter();
    let found = named.filter_map(|name| part.detail.get(name)).find(|value| !value.is_null());
    match found {
        Some(serde_json::Value::String(text)) => format!("– {text}"),
        Some(other) => format!("– {other}"),
        None if part.vital => "does not work; decisions cannot be answered".to_owned(),
        None => "does not work as it should".to_owned(),
    }
}

fn tiles(seen: &Seen) -> Markup {
    let whole = &seen.whole;
    let rate = whole.rate().map_or_else(|| NONE.to_owned(), |rate| format!("{} /s", number(rate)));
    let all = whole.decisions();
    let waiting: usize = seen.systems.iter().map(|system| system.waiting).sum();
    let more = if seen.systems.iter().any(|system| system.more) { "+" } else { "" };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of one million")]
    let up = |share: Option<f64>| {
        share.map_or_else(|| NONE.to_owned(), |up| self::share((up * 1e6).floor() as u64, 1_000_000))
    };
    let [week, month] = seen.uptime.map(up);
    html! {
        div.tiles {
            (tile("Decisions", &rate, &format!("{} in the last minute", count(all))))
            (tile("p95 on the path", &seconds(whole.quantile(0.95)), &format!("p50 {} · p99 {}", seconds(whole.quantile(0.5)), seconds(whole.quantile(0.99)))))
            (tile("Failed", &share(whole.failed, all), &format!("fallback {} · refused {}", share(whole.degraded, all), share(whole.refused, all))))
            (tile("Outbox", &format!("{}{more}", count(u64::try_from(waiting).unwrap_or(u64::MAX))), "write-backs waiting"))
            (tile("Uptime, 7 days", &week, &format!("30 days {month}")))
        }
    }
}
