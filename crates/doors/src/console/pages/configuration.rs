//! The configuration: the plan as the process sees it, with defaults filled in and without secrets, which file each integration
//! stands in, since when it is in force, and what was put in force before.

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use serde_json::Value as Json;
use tendon_kernel::Result;
use tendon_plan::{
    Plan,
    plan::{IntegrationPlan, SystemPlan},
    render,
};

use crate::console::{
    page::{May, Page, Reply, View, Visit},
    parts::{
        Tone, badge, empty,
        figure::{count, moment, number, seconds},
        noted::{by, older},
    },
    record::{Chapter, Noted},
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/configuration",
    name: Some("Configuration"),
    may: May::View,
    show: |visit| async move { show(&visit).await }.boxed(),
    changes: &[],
};

/// Changes of a page.
const LISTED: usize = 50;

async fn show(visit: &Visit) -> Result<Reply> {
    let before = visit.before()?;
    let changes = visit.api.console.office.chapter(Chapter::Changes, before, LISTED).await;
    let runtime = visit.api.engine.runtime();
    let plan = runtime.plan();
    let refused = visit.api.status.parts().await.into_iter().find(|part| part.name == "configuration");
    let refused = refused.and_then(|part| part.detail["refused_reload"].as_str().map(str::to_owned));
    let body = html! {
        div.head { h1 { "Configuration" } p.soft { "The plan as the process sees it: defaults filled in, secrets as references only." } }
        @if let Some(why) = &refused { p.notice.warn role="alert" { "The files were changed since, and refused; what is below stays in force. " (why) } }
        (in_force(plan, before.is_none().then_some(changes.as_deref().unwrap_or_default())))
        section.card aria-labelledby="of-integrations" {
            header { h2 id="of-integrations" { "Integrations" } }
            @if plan.integrations.is_empty() { (empty("No integration yet", "`tendon new integration` writes one from a model and a table.")) }
            @for one in plan.integrations.values() { (integration(plan, one)) }
        }
        section.card aria-labelledby="of-systems" {
            header { h2 id="of-systems" { "Systems" } span.soft { "tendon.yaml; which fields may be touched stands with " a href="/console/systems" { "the systems" } } }
            (systems(plan))
        }
        section.card aria-labelledby="of-changes" {
            header { h2 id="of-changes" { "Changes" } span.soft { "from the ledger, newest first" } }
            @match &changes {
                Ok(changes) => (history(changes, before.is_some())),
                Err(error) => div.inner { p.notice.bad { "They cannot be read: " (error.message()) "." } },
            }
        }
    };
    Ok(View::reply("Configuration", body))
}

/// What is in force. Without the newest changes nothing is said of since when.
fn in_force(plan: &Plan, changes: Option<&[Noted]>) -> Markup {
    let installed = changes.unwrap_or_default().iter().filter(|one| one.what == "installed");
    let since = installed.take_while(|one| one.plan == *plan.digest).last();
    let limits = &plan.limits;
    html! {
        section.card aria-label="In force" {
            dl.facts {
                dt { "Project" } dd { (plan.project) }
                dt { "Plan" } dd { code { (plan.digest) } }
                @if let Some(since) = since { dt { "In force since" } dd { (moment(since.at)) " · entry " (count(since.seq)) } }
                dt { "Files" } dd { code { "tendon.yaml" } @for file in plan.files.values() { " " code { (file) } } }
                dt { "Limits" } dd {
                    (count(limits.in_flight as u64)) " decisions under way at once · requests up to " (count(limits.body_bytes as u64)) " bytes · "
                    (count(limits.requests as u64)) " questions may wait to be decided later"
                }
            }
        }
    }
}

fn integration(plan: &Plan, one: &IntegrationPlan) -> Markup {
    let file = plan.files.get(&*one.name).map_or("", String::as_str);
    html! {
        details.inner {
            summary { b { (one.name) } " " span.soft { (file) " · " (one.purpose) } }
            dl.facts {
                dt { "Owner" } dd { (one.owner) }
                dt { "Rules" } dd { code { (one.policy) } " " span.soft.small { "SHA-256 of bands, fallback, quality and review; each decision names it" } }
            }
            pre tabindex="0" aria-label={ "Plan of " (one.name) } { (render::integration(one)) }
        }
    }
}

fn systems(plan: &Plan) -> Markup {
    if plan.systems.is_empty() {
        return empty("No system", "`systems` in tendon.yaml names what is read and written.");
    }
    html! {
        div.scroll { table.stack {
            thead { tr { th scope="col" { "System" } th scope="col" { "Settings" } th.number scope="col" { "At once" } th.number scope="col" { "Rows a second" } th.number scope="col" { "Timeout" } } }
            tbody {
                @for system in plan.systems.values() {
                    tr {
                        th scope="row" { (system.name) span.sub { (system.kind) } }
                        td data-of="Settings" { (settings(system)) }
                        td.number data-of="At once" { (system.concurrency) }
                        td.number data-of="Rows a second" { @match system.rate { Some(rate) => (number(rate)), None => "no limit" } }
                        td.number data-of="Timeout" { (seconds(Some(system.timeout.as_secs_f64()))) }
                    }
                }
            }
        } }
    }
}

/// The settings of a system: numbers, switches and references. Any other text may be a secret that somebody wrote down.
fn settings(system: &SystemPlan) -> Markup {
    let shown = |value: &Json| match value {
        Json::Bool(_) | Json::Number(_) => value.to_string(),
        Json::String(text) if is_reference(text) => text.clone(),
        _ => "as in the file".to_owned(),
    };
    html! {
        @for (name, value) in system.config.as_object().into_iter().flatten() {
            span.sub { (name) ": " code { (shown(value)) } }
        }
    }
}

/// Whether a text is one reference (`${env:NAME}`) and nothing else.
fn is_reference(text: &str) -> bool {
    let inner = text.strip_prefix("${").and_then(|text| text.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.contains(['$', '{', '}']))
}

fn history(changes: &[Noted], further: bool) -> Markup {
    if changes.is_empty() {
        let title = if further { "No older one" } else { "None" };
        return empty(title, "What is put in force is recorded, with who did it where that is known.");
    }
    html! {
        div.scroll { table.stack {
            thead { tr { th scope="col" { "Entry" } th scope="col" { "When" } th scope="col" { "What" } th scope="col" { "By" } th scope="col" { "In particular" } } }
            tbody {
                @for one in changes {
                    tr {
                        th scope="row" { (count(one.seq)) }
                        td data-of="When" { (moment(one.at)) }
                        td data-of="What" { (what(&one.what)) }
                        td data-of="By" { (one.more["by"].as_str().unwrap_or_else(|| by(&one.by))) }
                        td data-of="In particular" { (detail(one)) }
                    }
                }
            }
        } }
        (older("/console/configuration", changes, LISTED))
    }
}

fn what(word: &str) -> Markup {
    let (tone, words) = match word {
        "installed" => (Tone::Good, "Put in force"),
        "model_added" => (Tone::Calm, "Version added"),
        "model_promoted" => (Tone::Good, "Promoted"),
        "model_rolled_back" => (Tone::Warn, "Rolled back"),
        "model_removed" => (Tone::Warn, "Version removed"),
        "backfill_started" => (Tone::Calm, "Backfill begun"),
        "backfill_paused" => (Tone::Calm, "Backfill paused"),
        "backfill_resumed" => (Tone::Calm, "Backfill resumed"),
        "backfill_done" => (Tone::Calm, "Backfill done"),
        other => (Tone::Calm, other),
    };
    badge(tone, words)
}

fn detail(one: &Noted) -> Markup {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let more = &one.more;
    html! {
        @if one.what == "installed" {
            "plan " code title=(one.plan) { (one.plan.get(..16).unwrap_or(&one.plan)) }
            @for model in more["models"].as_array().into_iter().flatten().take(20) {
                span.sub { (text(&model["name"])) " " (text(&model["version"])) }
            }
        } @else if let Some(model) = more["model"].as_str() {
            (model) @if let Some(alias) = more["alias"].as_str() { ", " (alias) } ": " (text(&more["version"]))
            @if let Some(from) = more["from"]["version"].as_str() { " instead of " (from) }
            @if let Some(why) = more["why"].as_str() { span.sub { (why) } }
        } @else { (one.integration) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_references_are_shown() {
        assert!(is_reference("${env:CRM_URL}") && is_reference("${file:secrets/crm}"));
        for text in ["postgres://me:secret@${env:HOST}/crm", "secret", "${env:A}secret${env:B}", "${", ""] {
            assert!(!is_reference(text), "{text}");
        }
    }
}
