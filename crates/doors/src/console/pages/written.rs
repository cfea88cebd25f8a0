//! What a decision has written back, where, and what stands in the way.

use maud::{Markup, html};
use serde_json::Value as Json;
use tendon_engine::outbox::DeadLetter;
use tendon_kernel::decision::DeliveryState;

use super::decision::shown;
use crate::{
    console::parts::{
        Tone, badge, empty,
        figure::{NONE, count},
    },
    service::DeliveryView,
};

/// The card. `values`: the deliveries with what stood there before and stands there now, for those who see it; `letter`: of the record itself.
pub(super) fn card(
    deliveries: &[DeliveryView],
    values: &[Json],
    letter: Option<&DeadLetter>,
    inside: bool,
    operate: bool,
) -> Markup {
    let values = |at: usize, name: &str| values.get(at).map(|one| &one[name]).filter(|values| !values.is_null());
    html! {
        section.card aria-labelledby="the-deliveries" {
            header { h2 id="the-deliveries" { "Written back" } }
            @if let Some(letter) = letter {
                (record_letter(letter, operate))
            } @else if deliveries.is_empty() {
                (empty("Nothing is written back", "This decision causes no delivery."))
            } @else {
                div.scroll { table.stack {
                    thead { tr { th scope="col" { "Where" } th scope="col" { "State" } th.number scope="col" { "Attempts" } th scope="col" { "Before" } th scope="col" { "Now" } } }
                    tbody {
                        @for (at, one) in deliveries.iter().enumerate() {
                            tr {
                                th scope="row" { (one.system) span.sub { (one.resource) } }
                                td data-of="State" { (state(one, operate)) @if let Some(cause) = &one.cause { span.sub { (cause) } } }
                                td.number data-of="Attempts" { (one.attempts.map_or_else(|| NONE.to_owned(), |attempts| count(attempts.into()))) }
                                td data-of="Before" { (pairs(values(at, "old"), inside)) }
                                td data-of="Now" {
                                    (pairs(values(at, "new"), inside))
                                    @if let Some(by) = &one.changed_by {
                                        span.sub { "changed by " (by) }
                                        @if let Some(decided) = values(at, "decided") { span.sub { "the decision said: " (pairs(Some(decided), true)) } }
                                    }
                                }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// The record itself could not go on: that is where a person is wanted.
fn record_letter(letter: &DeadLetter, operate: bool) -> Markup {
    let to = if operate { format!("/console/letters/{}", letter.id) } else { "/console/letters".to_owned() };
    html! {
        div.empty {
            h3 { "The record is a dead letter" }
            p.soft { "It could not be decided, and nothing is written back until somebody puts it right: letter " a href=(to) { (letter.id) } "." }
        }
    }
}

/// Where a delivery stands; a dead one with the way to its letter, for those who may open it.
fn state(one: &DeliveryView, operate: bool) -> Markup {
    html! {
        @if operate && one.state == DeliveryState::Dead {
            a href={ "/console/letters/" (one.id) } aria-label={ "Dead letter " (one.id) } { (delivery(one.state)) }
        } @else { (delivery(one.state)) }
    }
}

/// Values that were written or replaced.
fn pairs(values: Option<&Json>, inside: bool) -> Markup {
    html! {
        @match values.and_then(Json::as_object) {
            _ if !inside => span.soft { "shown to operators" },
            Some(fields) => @for (name, value) in fields { div { span.soft { (name) } " " (shown(value)) } },
            None => span.soft { (NONE) },
        }
    }
}

/// Where a delivery stands, as a badge.
pub(super) fn delivery(state: DeliveryState) -> Markup {
    match state {
        DeliveryState::Pending => badge(Tone::Warn, "Waits"),
        DeliveryState::Delivered => badge(Tone::Good, "Delivered"),
        DeliveryState::Superseded => badge(Tone::Calm, "Row moved on"),
        DeliveryState::Dead => badge(Tone::Bad, "Dead letter"),
        DeliveryState::Erased => badge(Tone::Calm, "Erased"),
        DeliveryState::Undone => badge(Tone::Calm, "Undone"),
    }
}
