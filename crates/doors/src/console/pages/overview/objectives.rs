//! What the integrations are to reach, how much of what may go wrong is left, and how fast it is used up.

use maud::{Markup, html};

use super::Seen;
use crate::{
    console::parts::{
        chart::gauge,
        empty,
        figure::{burn, count, lasting, left, portion},
    },
    overview::Budget,
};

/// A budget that burns faster than this over an hour is gone within two days of thirty.
const FAST: f64 = 14.4;

pub(super) fn objectives(seen: &Seen) -> Markup {
    let (with, without): (Vec<_>, Vec<_>) = seen.of.integrations.iter().partition(|one| !one.objectives.is_empty());
    let example = html! { code { "objectives: { answered: 99.9, fast: { percent: 95, within: 250ms } }" } };
    if with.is_empty() {
        let text = "An integration's file declares what it is to reach; this table then shows how much of what may go wrong is left.";
        return html! { (empty("No objective is declared", text)) @if !without.is_empty() { p.inner.ruled.soft { "For example " (example) } } };
    }
    html! {
        div.scroll { table.stack.steady.goals {
            thead { tr {
                th scope="col" { "Integration" }
                th scope="col" { "Objective" }
                th.number scope="col" { "Reached" }
                th scope="col" { "Budget left" }
                th.number scope="col" { "Burn, 1 h" }
                th.number scope="col" { "Burn, 24 h" }
            } }
            tbody { @for one in &with { @for (at, budget) in one.objectives.iter().enumerate() {
                tr {
                    th scope="row" { @if at == 0 { (one.name) } @else { span.soft { (one.name) } } }
                    (row(budget))
                }
            } } }
        } }
        @if !without.is_empty() {
            p.inner.ruled.soft.small {
                "Nothing is declared for " @for (at, one) in without.iter().enumerate() { @if at > 0 { ", " } (one.name) }
                ". Its file may say " (example) "."
            }
        }
    }
}

fn row(budget: &Budget) -> Markup {
    let hot = |burnt: Option<f64>| burnt.is_some_and(|burnt| burnt >= FAST);
    html! {
        td data-of="Objective" { (budget.title()) span.sub { "over " (lasting(budget.window)) } }
        td.number data-of="Reached" {
            (portion(budget.reached)) span.sub { (count(budget.wrong)) " of " (count(budget.counted)) " " (budget.unit()) " wrong" }
        }
        td data-of="Budget left" {
            span.warn-ink[budget.spent] { (left(budget.left)) }
            (gauge(budget.left))
        }
        td.number data-of="Burn, 1 h" { span.bad-ink[hot(budget.burn_1h)] { (burn(budget.burn_1h)) } }
        td.number data-of="Burn, 24 h" { (burn(budget.burn_24h)) }
    }
}
