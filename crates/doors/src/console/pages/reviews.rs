//! What waits for a person, with its input; and the verdicts of people: approve, override, reject.

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use tendon_engine::reviews::{ReviewView, Verdict};
use tendon_kernel::{Error, ErrorKind, Result, decision::ReviewState};

use super::{
    decision::fields,
    decisions::{band, outcome},
};
use crate::console::{
    layout,
    page::{Change, May, Page, Reply, View, Visit},
    parts::{
        Tone, badge, empty,
        figure::{self, NONE, ago, moment},
        pager,
    },
    session::Notice,
};

/// What waits.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/reviews",
    name: Some("Reviews"),
    may: May::Review,
    show: |visit| async move { show(&visit).await }.boxed(),
    changes: &[],
};

/// One of them.
pub(in crate::console) static ONE: Page = Page {
    path: "/console/reviews/{id}",
    name: None,
    may: May::Review,
    show: |visit| async move { one(&visit).await }.boxed(),
    changes: &[Change {
        path: "/console/reviews/{id}",
        may: May::Review,
        carry_out: |visit| async move { verdict(&visit).await }.boxed(),
    }],
};

/// Reviews of a page.
const LISTED: usize = 50;
/// Longest note, in characters.
const MOST_TEXT: usize = 500;

async fn show(visit: &Visit) -> Result<Reply> {
    let page = visit.api.service.reviews(visit.known()?, None, Some(LISTED), visit.query.text("cursor")).await?;
    let now = visit.now();
    let body = html! {
        div.head { h1 { "Reviews" } p.soft { "Decisions that wait for a person, the oldest first." } }
        section.card aria-label="Waiting" {
            @if page.reviews.is_empty() {
                (empty("Nothing waits", "Decisions that nothing could answer, or that `review.when` holds back, stand here."))
            } @else {
                div.scroll { table.stack {
                    thead { tr { th scope="col" { "Asked" } th scope="col" { "Integration" } th scope="col" { "Subject" } th scope="col" { "Why" } th.number scope="col" { "Output" } th scope="col" { "Due" } } }
                    tbody { @for review in &page.reviews {
                        tr {
                            th.whole scope="row" { a href={ "/console/reviews/" (review.id) } { (moment(review.at)) } }
                            td data-of="Integration" { (review.integration) }
                            td data-of="Subject" { (review.subject.as_deref().unwrap_or(NONE)) }
                            td.whole data-of="Why" { (review.why.as_deref().unwrap_or(NONE)) }
                            td.number data-of="Output" { (review.output.map_or_else(|| NONE.to_owned(), figure::output)) }
                            td data-of="Due" { @if review.due < now { (badge(Tone::Bad, "Overdue")) " " (ago(review.due, now)) } @else { (moment(review.due)) } }
                        }
                    } }
                } }
            }
            @if let Some(next) = &page.next { (pager("", &format!("/console/reviews?cursor={next}"), "Later ones")) }
        }
    };
    Ok(View::reply("Reviews", body))
}

async fn one(visit: &Visit) -> Result<Reply> {
    let review = visit.api.service.review(visit.known()?, visit.part(0)).await?;
    let open = review.state == ReviewState::Pending;
    let body = html! {
        div.head {
            p.crumb { a href="/console/reviews" { "Reviews" } " / " code { (review.id) } }
            h1 { (review.integration) @if let Some(subject) = &review.subject { " · " (subject) } }
            (outcome(review.outcome.name()))
            (badge(if open { Tone::Warn } else { Tone::Calm }, review.state.name()))
        }
        div.two.lean {
            section.card aria-labelledby="the-input" {
                header { h2 id="the-input" { "Input" } }
                @match &review.input {
                    Some(input) => (fields(input)),
                    None => (empty("No input", "None was recorded.")),
                }
            }
            section.card aria-labelledby="the-verdict" {
                header { h2 id="the-verdict" { "Verdict" } }
                (facts(&review))
                @if open { (form(visit, &review)) } @else { (given(&review)) }
            }
        }
    };
    Ok(View::reply(format!("Review {}", review.id), body))
}

fn facts(review: &ReviewView) -> Markup {
    html! {
        dl.facts {
            dt { "Asked" } dd { (moment(review.at)) }
            dt { "Due" } dd { (moment(review.due)) }
            @if let Some(why) = &review.why { dt { "Why a person" } dd { (why) } }
            dt { "The model said" } dd {
                @match review.output { Some(output) => { b { (output) } " " (band(review.band.as_deref())) } None => "nothing" }
            }
            @if let Some(model) = &review.model { dt { "Model" } dd { (model.name) "@" (model.version) } }
        }
    }
}

fn given(review: &ReviewView) -> Markup {
    html! {
        @if let Some(verdict) = &review.verdict {
            dl.facts {
                dt { "Verdict" } dd { b { (verdict.verdict) } @if let Some(output) = verdict.output { ": " (output) } " " (band(verdict.band.as_deref())) }
                dt { "By" } dd { (verdict.by) " · " (moment(verdict.at)) }
                @if let Some(note) = &verdict.note { dt { "Note" } dd.text { (note) } }
            }
        }
    }
}

fn form(visit: &Visit, review: &ReviewView) -> Markup {
    let Some(who) = &visit.who else { return html! {} };
    html! {
        form.inner.verdict method="post" action={ "/console/reviews/" (review.id) } {
            (layout::token(who))
            label for="note" { "Note, kept sealed with the verdict" }
            textarea id="note" name="note" maxlength=(MOST_TEXT) {}
            div.row {
                @if review.output.is_some() { button.main type="submit" name="verdict" value="approve" { "Approve" } }
                button.danger type="submit" name="verdict" value="reject" { "Reject" }
            }
            label for="output" { "Another output" }
            div.row {
                input id="output" name="output" inputmode="decimal" autocomplete="off";
                button type="submit" name="verdict" value="override" { "Override" }
            }
        }
    }
}

async fn verdict(visit: &Visit) -> Result<Reply> {
    let wrong = |what: &'static str, hint: &'static str| Error::new(ErrorKind::Invalid, "parameter", what).hint(hint);
    let (said, word) = match visit.form.text("verdict") {
        Some("approve") => (Verdict::Approve, "approved"),
        Some("reject") => (Verdict::Reject, "rejected"),
        Some("override") => {
            let output = visit.form.text("output").and_then(|text| text.parse().ok());
            let output = output.ok_or_else(|| wrong("another output has to be a number", "write it like 0.75"))?;
            (Verdict::Override(output), "overridden")
        }
        _ => return Err(wrong("no verdict was given", "press one of the buttons")),
    };
    let note = visit.form.text("note").map(str::to_owned);
    if note.as_ref().is_some_and(|note| note.chars().count() > MOST_TEXT) {
        return Err(wrong("the note is too long", "at most 500 characters"));
    }
    let given = visit.api.service.verdict(visit.known()?, visit.part(0), said, None, note).await?;
    let text = format!("The decision about {} was {word}.", given.subject.as_deref().unwrap_or("nobody named"));
    Ok(Reply::Go("/console/reviews".to_owned(), Some(Notice::Done(text))))
}
