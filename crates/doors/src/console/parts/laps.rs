//! How long the stages of a decision took, one after another as they ran.

use std::time::Duration;

use maud::{Markup, html};
use tendon_engine::{Engine, Took};

use super::figure::{count, seconds};
use crate::console::office::quantile;

/// What comes after the entry was written, which it cannot know.
const AFTER: [&str; 2] = ["record", "deliver"];

/// The stages one after another, as far as the entry can know them: it is written by the one after the last of these.
pub(in crate::console) fn laps(took: &Took, engine: &Engine) -> Markup {
    let usual = |stage| quantile(&engine.stage_times(stage), 0.5);
    let stages: Vec<_> = took.stages().filter(|(_, spent)| !spent.is_zero()).collect();
    let whole: Duration = stages.iter().map(|(_, spent)| *spent).sum();
    let ends = stages.iter().scan(Duration::ZERO, |end, (_, spent)| {
        *end += *spent;
        Some(*end)
    });
    let part = |time: Duration| time.as_secs_f64() / whole.as_secs_f64();
    html! {
        section.card aria-labelledby="the-time" {
            header { h2 id="the-time" { "Time" } span.soft.small { (seconds(Some(whole.as_secs_f64()))) " before it was written down" } }
            div.scroll { table.laps {
                thead { tr { th scope="col" { "Stage" } th.number scope="col" { "Took" } th scope="col" { "When" } } }
                tbody {
                    @for ((stage, spent), end) in stages.iter().zip(ends) {
                        tr {
                            th scope="row" { (stage) }
                            td.number data-of="Took" { (seconds(Some(spent.as_secs_f64()))) }
                            td { (lap(part(end - *spent), part(end))) }
                        }
                    }
                    @for stage in AFTER {
                        tr {
                            th scope="row" { (stage) }
                            td.number.soft data-of="Took" { (seconds(usual(stage))) }
                            td.soft.small { "or less, for half of all since the start" }
                        }
                    }
                }
            } }
            @if took.of > 1 { div.inner.soft.small { "For the " (count(took.of)) " decisions that were recorded together." } }
        }
    }
}

/// When one of several things in turn was under way: from where to where of the whole.
fn lap(from: f64, to: f64) -> Markup {
    // A thing too short to be seen is still there.
    let width = ((to - from) * 200.0).max(1.0);
    let from = (from * 200.0).min(200.0 - width);
    html! {
        svg.bar viewBox="0 0 200 10" preserveAspectRatio="none" aria-hidden="true" {
            line.grid x1="0" x2="200" y1="5" y2="5" {}
            rect.lap x=(format!("{from:.1}")) y="1" width=(format!("{width:.1}")) height="8" {}
        }
    }
}
