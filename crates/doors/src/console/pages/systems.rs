//! Systems: how each does, how hard it may be asked, and what may be read and written there.

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use serde_json::Value as Json;
use tendon_kernel::{Result, metrics::Point};
use tendon_plan::plan::SystemPlan;

use crate::{
    console::{
        page::{May, Page, Reply, View, Visit},
        parts::{
            Tone, badge, empty,
            figure::{NONE, count, moment, seconds, share, used},
            live,
        },
    },
    overview::words,
    service::SystemView,
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/systems",
    name: Some("Systems"),
    may: May::View,
    show: |visit| async move { show(&visit).await }.boxed(),
    changes: &[],
};

async fn show(visit: &Visit) -> Result<Reply> {
    let systems = visit.api.service.systems(visit.known()?)?;
    let parts = visit.api.status.parts().await;
    let runtime = visit.api.engine.runtime();
    let points = visit.api.context.metrics.sums("tendon_system_calls_total");
    let state = |name: &str| parts.iter().find(|part| part.name == format!("system:{name}")).map(|part| &part.detail);
    let body = html! {
        div.head {
            h1 { "Systems" }
            p.soft { "Described once, used by every integration; only named fields are touched." }
            div.spacer {}
            (live())
        }
        @if systems.is_empty() {
            section.card aria-label="Systems" { (empty("No system", "`systems` in tendon.yaml names what is read and written.")) }
        }
        @for system in &systems {
            @if let Some(plan) = runtime.plan().systems.get(&system.name) { (one(&points, system, plan, state(&system.name))) }
        }
    };
    Ok(View::reply("Systems", body))
}

/// How a system does, as a badge.
pub(super) fn state(system: &SystemView) -> Markup {
    let (tone, state) = doing(system);
    badge(tone, state)
}

/// How a system does.
pub(super) fn doing(system: &SystemView) -> (Tone, &'static str) {
    words::system(system.breaker, system.last_failure.is_some())
}

fn one(points: &[Point<f64>], system: &SystemView, plan: &SystemPlan, detail: Option<&Json>) -> Markup {
    let id = format!("system-{}", system.name);
    let figure = |name: &str| detail.and_then(|detail| detail.get(name)).and_then(Json::as_u64);
    let figure = |name: &str| figure(name).map_or_else(|| NONE.to_owned(), count);
    let [well, failed] = calls(points, &system.name);
    html! {
        section.card aria-labelledby=(id) {
            header { h2 id=(id) { (system.name) } span.soft { (system.kind) } span id={ (id) "-state" } data-live="" { (state(system)) } }
            div id={ (id) "-now" } data-live="" {
                dl.facts {
                    @if let Some(failure) = &system.last_failure { dt { "Last failure" } dd.bad-ink { (failure) } }
                    dt { "Under way" } dd { (figure("under_way")) " of " (plan.concurrency) " at once · " (figure("queued")) " of " (plan.guard.queue) " queued" }
                    dt { "Rate" } dd { (rate(plan, detail)) }
                    dt { "Calls" } dd { (count(well + failed)) " since the start · " (share(failed, well + failed)) " failed" }
                    dt { "Timeout" } dd { (seconds(Some(plan.timeout.as_secs_f64()))) }
                    dt { "Outbox" } dd {
                        (system.waiting) @if system.more { "+" } " waiting"
                        @if let Some(oldest) = system.oldest { " · oldest of " (moment(oldest)) }
                    }
                }
            }
            div.scroll { table.stack {
                thead { tr { th scope="col" { "Resource" } th scope="col" { "May be read" } th scope="col" { "May be written" } } }
                tbody {
                    @for resource in resources(plan) {
                        tr {
                            th scope="row" { (resource) }
                            td data-of="May be read" { (fields(plan.allowed.read.get(resource))) }
                            td data-of="May be written" { (fields(plan.allowed.write.get(resource))) }
                        }
                    }
                }
            } }
        }
    }
}

/// How much of its rate is used.
fn rate(plan: &SystemPlan, detail: Option<&Json>) -> String {
    if plan.rate.is_none() {
        return "no limit declared".to_owned();
    }
    let taken = detail.and_then(|detail| detail["rate"]["used"].as_f64());
    format!("{} over the last ten seconds", used(taken, plan.rate))
}

fn resources(plan: &SystemPlan) -> Vec<&String> {
    let mut all: Vec<_> = plan.allowed.read.keys().chain(plan.allowed.write.keys()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn fields(names: Option<&Vec<String>>) -> Markup {
    html! {
        @match names {
            Some(names) => @for name in names { code { (name) } " " },
            None => span.soft { "nothing" },
        }
    }
}

/// Calls that went well, and those that failed, since the start.
fn calls(points: &[Point<f64>], system: &str) -> [u64; 2] {
    let mut sums = [0_u64; 2];
    for point in points.iter().filter(|point| point.label("system") == system) {
        let [well, failed] = &mut sums;
        *(if point.label("result") == "ok" { well } else { failed }) += point.count();
    }
    sums
}
