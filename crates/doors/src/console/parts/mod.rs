//! What pages are put together from: figures in words, badges, charts. Each escapes what it is given.

pub(super) mod chart;
pub(super) mod diagram;
pub(super) mod figure;
pub(super) mod laps;
pub(super) mod noted;

use maud::{Markup, html};

pub(super) use crate::overview::words::Tone;

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "badge good",
        Tone::Warn => "badge warn",
        Tone::Bad => "badge bad",
        Tone::Calm => "badge",
    }
}

/// A word with its tone; the shape of its mark tells it without colours, too.
pub(super) fn badge(tone: Tone, text: &str) -> Markup {
    html! { span class=(class(tone)) { (text) } }
}

/// A figure with its name.
pub(super) fn tile(name: &str, figure: &str, note: &str) -> Markup {
    html! {
        div.tile {
            p.name { (name) }
            p.figure { (figure) }
            p.note { (note) }
        }
    }
}

/// Nothing to show: what would stand here, and what to do.
pub(super) fn empty(title: &str, text: &str) -> Markup {
    html! { div.empty { h3 { (title) } p.soft { (text) } } }
}

/// The way to further rows, with a word about those that are shown.
pub(super) fn pager(shown: &str, to: &str, word: &str) -> Markup {
    html! { nav.pager aria-label="Pages" { span.soft { (shown) } a.button href=(to) { (word) } } }
}

/// What says whether a page brings itself up to date, and stops it; without script it is not there.
pub(super) fn live() -> Markup {
    html! {
        button.quiet type="button" id="live" aria-pressed="true" aria-label="Bring this page up to date by itself" hidden {
            span.badge.good { "Live" }
        }
    }
}
