//! Decisions: searched by whom they are about, integration, time, band, version and outcome; newest first, page by page.

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use serde_json::Value as Json;
use tendon_kernel::{Error, ErrorKind, Result, Timestamp, decision::Outcome};

use crate::{
    api::status,
    console::{
        form::Form,
        page::{May, Page, Reply, View, Visit},
        parts::{
            Tone, badge, empty,
            figure::{self, NONE, moment},
            live,
        },
    },
    service::{Filter, Page as Listed, Row},
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/decisions",
    name: Some("Decisions"),
    may: May::View,
    show: |visit| async move { show(&visit).await }.boxed(),
    changes: &[],
};

/// Decisions of a page.
const LISTED: usize = 50;

async fn show(visit: &Visit) -> Result<Reply> {
    let filter = match filter(visit) {
        Ok(filter) => filter,
        Err(error) if error.pointer().is_some() => return again(visit, &error),
        Err(error) => return Err(error),
    };
    // What is recorded from here on, the next look asks for. Taken before this look, so that nothing falls between.
    let end = visit.api.engine.ledger().state().size;
    let page = visit.api.service.list(visit.known()?, &filter).await?;
    let end = page.decisions.first().map_or(end, |newest| end.max(newest.seq + 1));
    let newest = filter.cursor.is_none() && filter.before.is_none() && filter.until.is_none();
    let tail = newest.then_some(Tail { end, more: page.next.is_some() });
    let body = html! {
        (head())
        (search(visit, None)?)
        section.card aria-labelledby="of-found" {
            header {
                h2 id="of-found" { "Found" }
                div.spacer {}
                @if newest {
                    p.soft.small id="news" role="status" {}
                    noscript { a href={ "/console/decisions?" (visit.query.with("", "")) } { "Look for new ones" } }
                    (live())
                }
            }
            @let nothing = page.decisions.is_empty();
            @if nothing { div id="nothing" { (none(visit, &page)) } }
            @if !nothing || newest { div id="found" hidden[nothing] { (rows(&page.decisions, tail)) } }
            (pager(visit, &page, newest))
        }
    };
    Ok(View::reply("Decisions", body))
}

fn head() -> Markup {
    html! {
        div.head {
            h1 { "Decisions" }
            p.soft { "Newest first; times are UTC." }
        }
    }
}

/// The form again, as it was sent, with what is wrong at its field; no list, which would be another search's.
fn again(visit: &Visit, wrong: &Error) -> Result<Reply> {
    let body = html! { (head()) (search(visit, Some(wrong))?) };
    let status = status(wrong.kind(), wrong.code());
    Ok(Reply::Page(View { title: "Decisions".to_owned(), body, status, onward: None }))
}

/// Why nothing is shown.
fn none(visit: &Visit, page: &Listed) -> Markup {
    if let Some(back_to) = page.back_to {
        html! {
            div.empty {
                h3 { "Nothing so far" }
                p.soft { "None of the decisions back to " (moment(back_to)) " fits. Older ones may: " em { "Older" } " goes on from there." }
            }
        }
    } else if visit.query.is_empty() {
        empty("No decision yet", "They stand here as soon as somebody asks, or a watched row changes.")
    } else {
        empty("Nothing fits", "Widen the search: a longer time, another band, all integrations.")
    }
}

/// What lets a list bring itself up to date at its top.
#[derive(Clone, Copy)]
struct Tail {
    /// Where the next look begins.
    end: u64,
    /// Whether more fit than are shown: what was shown before does not follow on them.
    more: bool,
}

/// What the form asks for.
fn filter(visit: &Visit) -> Result<Filter> {
    let query: &Form = &visit.query;
    let own = |name: &str| query.text(name).map(str::to_owned);
    let time = |name: &'static str| {
        let read = |text: &str| {
            Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}:00"))).map_err(|_| {
                Error::new(ErrorKind::Invalid, "parameter", "this is no time")
                    .hint("write it like 2026-05-17 10:00, in UTC")
                    .at(format!("/{name}"))
            })
        };
        query.text(name).map(read).transpose()
    };
    let outcome = match query.text("outcome") {
        None => None,
        Some(name) => Some(Outcome::named(name).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "parameter", "no decision ends like that")
                .hint("choose one of the list")
                .at("/outcome")
        })?),
    };
    Ok(Filter {
        integration: own("integration"),
        subject: own("subject"),
        since: time("since")?,
        until: time("until")?,
        band: own("band"),
        version: own("version"),
        outcome,
        answered: false,
        limit: Some(LISTED),
        cursor: own("cursor"),
        before: visit.position("before")?,
        from: visit.position("from")?.unwrap_or_default(),
        explain: false,
    })
}

fn search(visit: &Visit, wrong: Option<&Error>) -> Result<Markup> {
    let query = &visit.query;
    let plans = visit.api.service.integrations(visit.known()?);
    let mut bands: Vec<&str> = plans.iter().flat_map(|plan| plan.bands.iter().map(|band| &*band.name)).collect();
    bands.sort_unstable();
    bands.dedup();
    let chosen = |name: &str, value: &str| query.text(name) == Some(value);
    let fault = |name: &str| wrong.filter(|wrong| wrong.pointer().is_some_and(|at| at.trim_start_matches('/') == name));
    Ok(html! {
        form.filters.faulty[wrong.is_some()] role="search" aria-label="Decisions" method="get" action="/console/decisions" {
            div.span { label for="subject" { "Subject" } input id="subject" name="subject" value=[query.text("subject")] autocomplete="off"; }
            div {
                label for="integration" { "Integration" }
                select id="integration" name="integration" {
                    option value="" { "All" }
                    @for plan in &plans { option value=(plan.name) selected[chosen("integration", &plan.name)] { (plan.name) } }
                }
            }
            div {
                label for="outcome" { "Outcome" }
                @let ending = fault("outcome");
                select id="outcome" name="outcome" aria-invalid=[ending.map(|_| "true")] aria-describedby=[ending.map(|_| "wrong")] {
                    option value="" { "All" }
                    @for outcome in Outcome::ALL { option value=(outcome.name()) selected[chosen("outcome", outcome.name())] { (word(outcome.name())) } }
                }
                (told(ending))
            }
            div {
                label for="band" { "Band" }
                select id="band" name="band" {
                    option value="" { "All" }
                    @for band in &bands { option value=(band) selected[chosen("band", band)] { (band) } }
                }
            }
            div { label for="version" { "Model version" } input id="version" name="version" value=[query.text("version")] autocomplete="off"; }
            div.span { label for="since" { "From (UTC)" } (time(query, "since", fault("since"))) }
            div.span { label for="until" { "Before (UTC)" } (time(query, "until", fault("until"))) }
            div.row.span { button.main type="submit" { "Search" } @if !query.is_empty() { a href="/console/decisions" { "Clear" } } }
        }
    })
}

/// A field for a time. What is none stands there as it was typed, which a browser does in a field for texts only.
fn time(query: &Form, name: &str, fault: Option<&Error>) -> Markup {
    let kind = if fault.is_some() { "text" } else { "datetime-local" };
    html! {
        input id=(name) name=(name) type=(kind) value=[query.text(name)] aria-invalid=[fault.map(|_| "true")] aria-describedby=[fault.map(|_| "wrong")];
        (told(fault))
    }
}

/// What is wrong with a field, below it.
fn told(fault: Option<&Error>) -> Markup {
    html! {
        @if let Some(fault) = fault {
            p.findings.small id="wrong" role="alert" { span.sentence { (fault.message()) "." } @if let Some(hint) = fault.hint_text() { span.sentence { (hint) "." } } }
        }
    }
}

/// Decisions as rows; the page of one shows those of its subject with it.
pub(super) fn table(rows: &[Row]) -> Markup {
    self::rows(rows, None)
}

fn rows(rows: &[Row], tail: Option<Tail>) -> Markup {
    let more = tail.is_some_and(|tail| tail.more);
    html! {
        div.scroll {
            table.stack {
                thead { tr {
                    th scope="col" { "Time" } th scope="col" { "Integration" } th scope="col" { "Subject" } th scope="col" { "Outcome" }
                    th.number scope="col" { "Output" } th scope="col" { "Band" } th scope="col" { "Version" } th.roomy scope="col" { "Door" }
                } }
                tbody id=[tail.map(|_| "rows")] data-from=[tail.map(|tail| tail.end)] data-more=[more.then_some("")] {
                    @for row in rows { (line(row)) }
                }
            }
        }
    }
}

fn line(row: &Row) -> Markup {
    let told: Json = row.decision.as_ref().and_then(|text| serde_json::from_str(text.get()).ok()).unwrap_or_default();
    let text = |name: &str| told.get(name).and_then(Json::as_str);
    let (output, band) = match &row.standing {
        // As it stands: a person may have answered since.
        Some(standing) => (standing.output, standing.band.as_deref()),
        None => (told.get("output").and_then(Json::as_f64), text("band")),
    };
    html! {
        tr data-seq=(row.seq) {
            th.whole scope="row" { a href={ "/console/decisions/" (row.id) } { (moment(row.at)) } }
            td data-of="Integration" { (row.integration) }
            td data-of="Subject" {
                @match text("subject") {
                    Some(subject) => (subject),
                    None if row.erased => em.soft { "erased" },
                    None => span.soft { (NONE) },
                }
            }
            td data-of="Outcome" {
                (outcome(&row.outcome))
                @if let Some(review) = &row.review { " " (badge(Tone::Calm, review.state.name())) }
            }
            td.number data-of="Output" { (output.map_or_else(|| NONE.to_owned(), figure::output)) }
            td data-of="Band" { (self::band(band)) }
            td data-of="Version" { @match &row.model { Some(model) => (model.version), None => span.soft { (NONE) } } }
            td.roomy data-of="Door" {
                (text("door").unwrap_or(NONE))
                @if told.get("recalled").is_some() { span.sub { "from cache" } }
            }
        }
    }
}

fn word(outcome: &str) -> &'static str {
    match outcome {
        "ok" => "Model answered",
        "degraded" => "Fallback",
        "rejected" => "Input refused",
        "quarantined" => "Set aside",
        _ => "Failed",
    }
}

/// How a decision ended, as a badge.
pub(super) fn outcome(name: &str) -> Markup {
    let tone = match name {
        "ok" => Tone::Good,
        "failed" => Tone::Bad,
        _ => Tone::Warn,
    };
    badge(tone, word(name))
}

/// A band as a badge; colours are those of its name.
pub(super) fn band(name: Option<&str>) -> Markup {
    let Some(name) = name else { return html! { span.soft { (NONE) } } };
    let tone = match name {
        "green" => Tone::Good,
        "yellow" => Tone::Warn,
        "red" => Tone::Bad,
        _ => Tone::Calm,
    };
    badge(tone, name)
}

/// The way to older and to the newest ones. A list that brings itself up to date has it from the start: its oldest rows may have to
/// make room, and then older ones begin before the last that is left.
fn pager(visit: &Visit, page: &Listed, tail: bool) -> Markup {
    let query = visit.query.without(&["cursor", "from", "before"]);
    let back_to = page.back_to.filter(|_| !page.decisions.is_empty());
    let older = page.next.as_ref().map(|cursor| format!("/console/decisions?{}", query.with("cursor", cursor)));
    html! {
        nav.pager aria-label="Pages" hidden[older.is_none() && tail] {
            @if !tail { a href={ "/console/decisions?" (query.with("", "")) } { "Newest" } }
            // The script takes it away when rows make room: older ones begin elsewhere then.
            span.soft.small { @if let Some(back_to) = back_to { "Looked back to " (moment(back_to)) } }
            @if older.is_some() || tail {
                a.button id="older" href=[older] data-search=[tail.then(|| query.with("", ""))] { "Older" }
            }
        }
    }
}
