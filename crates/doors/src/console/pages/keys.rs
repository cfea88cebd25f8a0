//! API keys: who may what, when each was used; made, and revoked. A new key is shown once.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use serde_json::Value as Json;
use tendon_kernel::{Error, ErrorKind, Result, Timestamp};
use tendon_plan::Scope;

use crate::console::{
    layout,
    office::Order,
    page::{Change, May, Page, Reply, View, Visit},
    parts::{
        Tone, badge,
        figure::{NONE, in_hour, moment},
    },
    session::Notice,
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/keys",
    name: Some("Keys"),
    may: May::Admin,
    show: |visit| async move { show(&visit, None, None).await }.boxed(),
    changes: &[
        Change { path: "/console/keys", may: May::Admin, carry_out: |visit| async move { make(&visit).await }.boxed() },
        Change { path: REVOKE, may: May::Admin, carry_out: |visit| async move { revoke(&visit).await }.boxed() },
    ],
};

/// Where a key is revoked.
const REVOKE: &str = "/console/keys/revoke";
const DAY: Duration = Duration::from_secs(86_400);

async fn show(visit: &Visit, made: Option<&Json>, wrong: Option<&Error>) -> Result<Reply> {
    let keys = visit.order(Order::Keys).await?;
    let keys = keys.as_array().map(Vec::as_slice).unwrap_or_default();
    let body = html! {
        div.head { h1 { "Keys" } p.soft { "A key is shown when it is made and never again; every change is an entry of the ledger." } }
        @if let Some(made) = made {
            div.notice role="status" {
                p { b { "The key of " (text(made, "name")) ". " } "Copy it now: nobody can show it again." }
                p { code { (text(made, "key")) } }
                @if let Some(same) = made["same_name"].as_array().filter(|same| !same.is_empty()) {
                    p {
                        "The name is that of " @for (at, id) in same.iter().enumerate() { @if at > 0 { ", " } code { (id.as_str().unwrap_or_default()) } }
                        " in force, too: they share idempotency keys, rate and quota. Changes are recorded with the key's id, here " code { (text(made, "id")) } "."
                    }
                }
            }
        }
        @if let Some(error) = wrong {
            div.notice.bad role="alert" id="wrong" {
                p { b { "No key was made: " } (error.message()) "." }
                @if let Some(hint) = error.hint_text() { p.sentence { (hint) "." } }
            }
        }
        (form(visit, wrong.is_some()))
        section.card aria-label="Keys" {
            div.scroll { table.stack {
                thead { tr { th scope="col" { "Name" } th scope="col" { "State" } th scope="col" { "Scopes" } th scope="col" { "Made" } th scope="col" { "Ends" } th scope="col" { "Last used" } th scope="col" { span.hidden { "Revoke" } } } }
                tbody { @for key in keys.iter().rev() { (row(visit, key)) } }
            } }
        }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(Reply::Page(View { title: "Keys".to_owned(), body, status, onward: None }))
}

fn text<'a>(key: &'a Json, name: &str) -> &'a str {
    key[name].as_str().unwrap_or_default()
}

fn row(visit: &Visit, key: &Json) -> Markup {
    let when = |name: &str| match Timestamp::parse(text(key, name)) {
        Ok(at) => moment(at),
        Err(_) => html! { span.soft { (NONE) } },
    };
    let in_force = key["in_force"] == true;
    let (tone, state) = match (in_force, key["revoked"].is_null()) {
        (true, _) => (Tone::Good, "In force"),
        (false, true) => (Tone::Calm, "Ended"),
        (false, false) => (Tone::Calm, "Revoked"),
    };
    html! {
        tr {
            th scope="row" { (text(key, "name")) span.sub { code { (text(key, "id")) } } }
            td data-of="State" { (badge(tone, state)) }
            td data-of="Scopes" { @for scope in key["scopes"].as_array().into_iter().flatten() { code { (scope.as_str().unwrap_or_default()) } " " } }
            td data-of="Made" { (when("created")) }
            td data-of="Ends" { (when("expires")) }
            td data-of="Last used" { (last_used(key)) }
            td.number {
                @if let Some(who) = visit.who.as_ref().filter(|_| in_force) {
                    details.menu {
                        summary aria-label={ "Revoke " (text(key, "name")) " " (text(key, "id")) } { "Revoke" }
                        div.sheet {
                            p { "Whoever uses it is refused at once, and its sessions here end." }
                            @let button = html! { button.danger type="submit" { "Revoke it" } };
                            (layout::press(who, REVOKE, &[("key", text(key, "id"))], &button))
                        }
                    }
                }
            }
        }
    }
}

/// A use is noted once an hour, so the hour is all that is known; before the key was made it was not.
fn last_used(key: &Json) -> Markup {
    let [used, made] = ["last_used", "created"].map(|name| Timestamp::parse(text(key, name)));
    html! {
        @match (used, made) {
            (Ok(used), Ok(made)) => span title="UTC; noted once an hour" { (in_hour(used, made)) },
            _ => span.soft { (NONE) },
        }
    }
}

/// The form of a new key; with what was typed, where that could not be taken.
fn form(visit: &Visit, typed: bool) -> Markup {
    let Some(who) = &visit.who else { return html! {} };
    let given = |name: &str| visit.form.raw(name).filter(|_| typed);
    html! {
        form.filters method="post" action="/console/keys" aria-label="A new key" {
            (layout::token(who))
            div { label for="name" { "Name of whoever uses it" } input id="name" name="name" value=[given("name")] required maxlength="64" autocomplete="off"; }
            div { label for="scopes" { "Scopes, with spaces between" } input id="scopes" name="scopes" required value=(given("scopes").unwrap_or("read")) autocomplete="off" aria-describedby="words"; }
            div { label for="days" { "Ends after days (empty: never)" } input id="days" name="days" value=[given("days")] inputmode="numeric" autocomplete="off"; }
            div.row { button.main type="submit" { "Make a key" } }
            p.soft.small id="words" { "decide:INTEGRATION, decide:*, review:INTEGRATION, review:*, read, operate, admin" }
        }
    }
}

async fn make(visit: &Visit) -> Result<Reply> {
    let made = match wanted(visit) {
        Ok(order) => visit.order(order).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => show(visit, Some(&made), None).await,
        Err(error) if error.kind() == ErrorKind::Invalid => show(visit, None, Some(&error)).await,
        Err(error) => Err(error),
    }
}

/// The key that the form asks for.
fn wanted(visit: &Visit) -> Result<Order> {
    let scopes = visit.form.text("scopes").unwrap_or_default().split_whitespace();
    let scopes = scopes.map(Scope::parse).collect::<Result<Vec<_>>>()?;
    let days = visit.form.text("days").map(str::parse::<u32>).transpose().map_err(|_| {
        Error::new(ErrorKind::Invalid, "parameter", "the number of days is no whole number").hint("write digits only")
    })?;
    let name = visit.form.text("name").unwrap_or_default().to_owned();
    Ok(Order::NewKey { name, scopes, lifetime: days.map(|days| DAY * days) })
}

async fn revoke(visit: &Visit) -> Result<Reply> {
    let key = visit.form.text("key").unwrap_or_default().to_owned();
    let ended = visit.order(Order::RevokeKey(key)).await?;
    let text = format!("The key of {} is revoked.", text(&ended, "name"));
    Ok(Reply::Go("/console/keys".to_owned(), Some(Notice::Done(text))))
}
