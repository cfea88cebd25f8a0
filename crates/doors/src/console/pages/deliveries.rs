//! Deliveries: what waits to be written, by system, when each is tried next; what became of the last ones; and an undo.

use std::{sync::Arc, time::Duration};

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use serde_json::Value as Json;
use tendon_engine::outbox::{DeskState, Waits};
use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp,
    decision::{CALLBACK, DeliveryState},
};

use super::written;
use crate::{
    console::{
        layout,
        office::Order,
        page::{Change, May, Page, Reply, View, Visit},
        parts::{
            Tone, badge, empty,
            figure::{NONE, ago, count, moment, seconds},
            live, pager,
        },
        session::Notice,
    },
    overview::words,
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/deliveries",
    name: Some("Deliveries"),
    may: May::View,
    show: |visit| async move { show(&visit).await }.boxed(),
    changes: &[Change { path: UNDO, may: May::Admin, carry_out: |visit| async move { undo(&visit).await }.boxed() }],
};

/// Where an undo goes.
const UNDO: &str = "/console/deliveries/undo";
/// Deliveries of a system that are shown one by one.
const SHOWN: usize = 50;
/// A ledger in trouble does not keep what waits from being shown.
const WAIT: Duration = Duration::from_secs(2);

async fn show(visit: &Visit) -> Result<Reply> {
    let before = visit.before()?;
    let outbox = visit.api.console.office.outbox(SHOWN);
    let recent = tokio::time::timeout(WAIT, visit.order(Order::Outcomes(before))).await;
    let now = visit.now();
    let body = html! {
        div.head {
            h1 { "Deliveries" }
            p.soft { "Write-backs wait here until they are done or dead; those of one row go in the order of their decisions." }
            div.spacer {}
            (live())
        }
        @if outbox.is_empty() {
            section.card aria-label="Waiting" { (empty("Nothing is written", "`doors.events.set` of an integration names what is written back.")) }
        }
        @for (system, state, waits) in &outbox { (desk(visit, system, state, waits, now)) }
        section.card aria-labelledby="of-outcomes" {
            header { h2 id="of-outcomes" { "Last outcomes" } span.soft { "of the newest decisions first" } }
            div id="outcomes" data-live="" {
                @match &recent {
                    Ok(Ok(recent)) => (outcomes(visit, recent)),
                    _ => div.inner { p.notice.bad { "They cannot be read now: the ledger does not answer." } },
                }
            }
        }
    };
    Ok(View::reply("Deliveries", body))
}

fn desk(visit: &Visit, system: &Arc<str>, state: &DeskState, waits: &[Waits], now: Timestamp) -> Markup {
    let id = format!("waiting-{system}");
    let (tone, word) = match words::system(state.breaker, state.last_failure.is_some()) {
        (Tone::Good, _) if state.waiting == 0 => (Tone::Good, "Nothing waits"),
        (Tone::Good, _) => (Tone::Calm, "Writing"),
        trouble => trouble,
    };
    let writing = state.unfinished.saturating_sub(state.waiting);
    let ended = &state.ended;
    html! {
        section.card aria-labelledby=(id) {
            header { h2 id=(id) { @if system.starts_with(CALLBACK) { (system) } @else { a href={ "/console/systems#system-" (system) } { (system) } } } }
            div id={ (id) "-now" } data-live="" {
                dl.facts {
                    dt { "State" } dd { (badge(tone, word)) @if let Some(failure) = &state.last_failure { " " span.bad-ink { (failure) } } }
                    dt { "Waiting" } dd {
                        (count(state.waiting as u64)) @if state.more { " in memory, and others in the ledger" }
                        @if writing > 0 { " · " (count(writing as u64)) " being written" }
                        @if let Some(oldest) = state.oldest { " · oldest decided " (ago(oldest, now)) " ago" }
                    }
                    dt { "Ended" } dd { (count(ended.delivered)) " delivered, " (count(ended.superseded)) " passed over, " (count(ended.dead)) " dead since the start" }
                }
                @if !waits.is_empty() { (queue(visit, waits, now)) }
                @if state.waiting > waits.len() { p.inner.soft.small { "The first " (waits.len()) " are shown, in the order of their turns." } }
            }
        }
    }
}

fn queue(visit: &Visit, waits: &[Waits], now: Timestamp) -> Markup {
    html! {
        div.scroll { table.stack {
            thead { tr { th scope="col" { "Delivery" } th scope="col" { "Decision" } th scope="col" { "Into" } th.number scope="col" { "Age" } th.number scope="col" { "Attempts" } th scope="col" { "Next try" } } }
            tbody {
                @for one in waits {
                    tr {
                        th scope="row" { (one.id) @if one.backfill { span.sub { "backfill" } } }
                        td data-of="Decision" { (decision(&one.decision.to_string(), &one.integration)) }
                        td data-of="Into" { (into(visit, &one.system, &one.resource, one.path.as_deref())) }
                        td.number data-of="Age" { (ago(one.at, now)) }
                        td.number data-of="Attempts" { (one.attempts) }
                        td data-of="Next try" {
                            @if one.behind { (badge(Tone::Calm, "Parked")) " behind an earlier one of its row" }
                            @else if one.wait.is_zero() { "at its turn" }
                            @else { "in " (seconds(Some(one.wait.as_secs_f64()))) }
                        }
                    }
                }
            }
        } }
    }
}

/// The way to a decision, by its integration; its id, where there is room.
fn decision(id: &str, integration: &str) -> Markup {
    html! { a href={ "/console/decisions/" (id) } { (integration) } span.sub.roomy { code { (id) } } }
}

/// What is written to. A receiver is told by its host; who may see what is written sees the path of its address, too.
fn into(visit: &Visit, system: &str, resource: &str, path: Option<&str>) -> Markup {
    if !system.starts_with(CALLBACK) {
        return html! { (system) "." (resource) };
    }
    let host = resource.split_once("://").map_or(resource, |(_, host)| host);
    let path = path.filter(|path| path.len() > 1 && visit.who.as_ref().is_some_and(|who| who.known.operate));
    html! {
        @match path {
            Some(path) => details.more { summary title=(path) { (host) } code { (path) } },
            None => (host),
        }
    }
}

fn outcomes(visit: &Visit, recent: &Json) -> Markup {
    let rows = recent["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        @if rows.is_empty() {
            (empty("None", "None of these decisions writes anything back."))
        } @else {
            div.scroll { table.stack {
                thead { tr { th scope="col" { "Delivery" } th scope="col" { "State" } th scope="col" { "Decided" } th scope="col" { "Decision" } th scope="col" { "Into" } th.number scope="col" { "Attempts" } th scope="col" { span.hidden { "Undo" } } } }
                tbody { @for row in rows { (outcome(visit, row)) } }
            } }
        }
        @if let Some(next) = recent["next"].as_u64() {
            @let shown = format!("Deliveries of {} decisions are shown.", count(recent["decisions"].as_u64().unwrap_or_default()));
            (pager(&shown, &format!("/console/deliveries?before={next}"), "Older ones"))
        }
    }
}

fn outcome(visit: &Visit, row: &Json) -> Markup {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let state: Option<DeliveryState> = serde_json::from_value(row["state"].clone()).ok();
    // What somebody was told cannot be taken back.
    let undoable = state == Some(DeliveryState::Delivered) && !text("system").starts_with(CALLBACK);
    let admin = visit.who.as_ref().filter(|who| who.known.admin && undoable);
    html! {
        tr {
            th scope="row" { (text("id")) }
            td data-of="State" { @if let Some(state) = state { (written::delivery(state)) } @if let Some(cause) = row["cause"].as_str() { span.sub { (cause) } } @if let Some(by) = row["undone_by"].as_str() { span.sub { "by " (by) } } }
            td data-of="Decided" { @if let Ok(at) = Timestamp::parse(text("at")) { (moment(at)) } }
            td data-of="Decision" { (decision(text("decision"), text("integration"))) }
            td data-of="Into" { (into(visit, text("system"), text("resource"), None)) }
            td.number data-of="Attempts" { (row["attempts"].as_u64().map_or_else(|| NONE.to_owned(), count)) }
            td.number {
                @if let Some(who) = admin {
                    details.menu {
                        summary aria-label={ "Undo delivery " (text("id")) } { "Undo" }
                        div.sheet {
                            p { "The values from before are put back, unless somebody changed the row since." }
                            @let button = html! { button.danger type="submit" { "Put them back" } };
                            (layout::press(who, UNDO, &[("delivery", text("id"))], &button))
                        }
                    }
                }
            }
        }
    }
}

async fn undo(visit: &Visit) -> Result<Reply> {
    let Some(id) = visit.form.text("delivery") else {
        return Err(
            Error::new(ErrorKind::Invalid, "parameter", "the form names no delivery").hint("open the page anew")
        );
    };
    visit.order(Order::Undo(id.to_owned())).await?;
    let done = Notice::Done(format!("Delivery {id} is undone: the values from before stand there again."));
    Ok(Reply::Go("/console/deliveries".to_owned(), Some(done)))
}
