//! One dead letter: why it died, what it would write, and the form with which an operator puts a value right before it is tried
//! again. What is changed is an entry of the ledger; the decision stays as it was.

use axum::http::StatusCode;
use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use tendon_engine::outbox::{
    Payload,
    edit::{self, Written},
};
use tendon_kernel::{Error, ErrorKind, Result, Type};

use super::letters::RETRY;
use crate::console::{
    layout,
    page::{Change, May, Page, Reply, View, Visit},
    parts::{empty, figure::moment},
    session::Notice,
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/letters/{id}",
    name: None,
    may: May::Operate,
    show: |visit| async move { show(&visit, None).await }.boxed(),
    changes: &[Change {
        path: "/console/letters/{id}",
        may: May::Operate,
        carry_out: |visit| async move { retry(&visit).await }.boxed(),
    }],
};

/// What is put before a field's name, so that it is no other name of the form.
const FIELD: &str = "value:";

async fn show(visit: &Visit, wrong: Option<&Error>) -> Result<Reply> {
    let (payload, written) = visit.api.service.letter(visit.known()?, visit.part(0)).await?;
    let letter = &payload.letter;
    let body = html! {
        div.head {
            p.crumb { a href="/console/letters" { "Dead letters" } " / " code { (letter.id) } }
            h1 { (letter.row.integration) " · " @if letter.row.system.is_empty() { "record" } @else { (letter.row.system) } }
            code { (letter.row.code) }
        }
        @if let Some(error) = wrong {
            div.notice.bad role="alert" id="wrong" {
                p.sentence { @if !beaten(error) { b { "Nothing was changed. " } } (error.message()) "." }
                @if beaten(error) {
                    p { "This is how it stands now. What was typed stands in the fields still, and below each what would be written without it." }
                } @else if let Some(hint) = error.hint_text() { p.sentence { (hint) "." } }
            }
        }
        div.two.lean {
            (cause(&payload))
            section.card aria-labelledby="the-values" {
                header { h2 id="the-values" { "What is to be written" } }
                (values(visit, &payload, &written, wrong))
            }
        }
    };
    let status = match wrong {
        None => StatusCode::OK,
        Some(error) if beaten(error) => StatusCode::CONFLICT,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok(Reply::Page(View { title: format!("Letter {}", letter.id), body, status, onward: None }))
}

/// Whether somebody else was quicker.
fn beaten(error: &Error) -> bool {
    error.kind() == ErrorKind::Conflict
}

fn cause(payload: &Payload) -> Markup {
    let row = &payload.letter.row;
    html! {
        section.card aria-labelledby="the-cause" {
            header { h2 id="the-cause" { "Cause" } }
            dl.facts {
                dt { "What" } dd.text { (row.message) }
                dt { "Died" } dd { (moment(row.at)) }
                dt { "Decision" } dd { a href={ "/console/decisions/" (row.decision) } { code { (row.decision) } } }
                @if let Some(delivery) = &payload.delivery {
                    dt { "Where" } dd { (delivery.system) @if !delivery.is_callback() { "." (delivery.resource) } }
                    @for (name, value) in &delivery.key { dt { "Key " (name) } dd.text { (edit::text(value)) } }
                }
                @if let Some(by) = &payload.edited_by { dt { "Changed by" } dd { (by) } }
            }
        }
    }
}

fn values(visit: &Visit, payload: &Payload, written: &Result<Vec<Written>>, wrong: Option<&Error>) -> Markup {
    let Some(who) = &visit.who else { return html! {} };
    let id = &payload.letter.id;
    let as_it_is = layout::press(who, RETRY, &[("letter", id)], &html! { button type="submit" { "Retry as it is" } });
    html! {
        @match written {
            Err(error) => {
                (empty("Not to be changed", &format!("{}; {}.", error.message(), error.hint_text().unwrap_or_default())))
                div.inner { (as_it_is) }
            },
            Ok(written) if written.is_empty() => {
                (empty("Nothing that could be changed here", "The record itself could not go on: put its row right in its own system. A retry reads it anew."))
                div.inner { (as_it_is) }
            },
            Ok(written) => {
                form.inner.verdict method="post" action={ "/console/letters/" (id) } {
                    (layout::token(who))
                    input type="hidden" name="seen" value=(payload.seen);
                    @for one in written { (field(visit, one, wrong)) }
                    p.soft.small { "Who changed what is recorded. The decision stays as it is; the row is written only if what it was decided on still stands there, and nothing newer." }
                    div.row { button.main type="submit" { "Retry with these values" } }
                }
                div.inner.ruled { (as_it_is) }
            }
        }
    }
}

/// A value with its input, filled with what was written before where that could not be taken.
fn field(visit: &Visit, one: &Written, wrong: Option<&Error>) -> Markup {
    let name = format!("{FIELD}{}", one.field.name);
    let shown = edit::text(&one.value);
    let value = visit.form.raw(&name).unwrap_or(&shown);
    let at_fault = wrong.and_then(Error::pointer).is_some_and(|at| at.trim_start_matches('/') == &*one.field.name);
    let invalid = at_fault.then_some("true");
    let described = at_fault.then_some("wrong");
    html! {
        div {
            label for=(name) {
                (one.field.name) " (" (one.field.kind) @if one.field.required { ", needed" } ")"
                @if !one.open { ": the decision's time, by which the row's writes have their order" }
            }
            @if !one.open {
                input id=(name) value=(shown) disabled;
            } @else if one.field.kind == Type::Bool {
                select id=(name) name=(name) aria-invalid=[invalid] aria-describedby=[described] {
                    // Where none is there yet, none is chosen: a browser would send the first one.
                    @if !one.field.required || shown.is_empty() { option value="" selected[value.is_empty()] { "none" } }
                    @for word in ["true", "false"] { option value=(word) selected[value == word] { (word) } }
                }
            } @else if shown.contains(['\n', '\r']) {
                textarea id=(name) name=(name) aria-invalid=[invalid] aria-describedby=[described] { (value) }
            } @else {
                input id=(name) name=(name) value=(value) autocomplete="off" aria-invalid=[invalid] aria-describedby=[described];
            }
            @if one.open && value != shown && wrong.is_some_and(beaten) { p.soft.small { "Now: " span.text { (shown) } } }
        }
    }
}

async fn retry(visit: &Visit) -> Result<Reply> {
    let id = visit.part(0);
    let seen = visit.form.text("seen").and_then(|seen| seen.parse().ok()).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "form_incomplete", "the form does not say which letter it was made for")
            .hint("open the letter anew and send its form as it is")
    })?;
    // Browsers end the lines of a form in their own way.
    let given = |field: &str| visit.form.raw(&format!("{FIELD}{field}")).map(|text| text.replace("\r\n", "\n"));
    match visit.api.service.retry_edited(visit.known()?, id, seen, given).await {
        Ok(decision) => {
            let text = format!("Letter {id} is tried again; its decision is {decision}.");
            Ok(Reply::Go("/console/letters".to_owned(), Some(Notice::Done(text))))
        }
        Err(error) if error.kind() == ErrorKind::Invalid && error.pointer().is_some() => {
            show(visit, Some(&error)).await
        }
        // Somebody was quicker: the letter as it is now, with what was typed, where it is one still.
        Err(error) if beaten(&error) => match show(visit, Some(&error)).await {
            Ok(page) => Ok(page),
            Err(_) => Err(error),
        },
        Err(error) => Err(error),
    }
}
