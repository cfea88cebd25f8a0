//! Models: their versions with what goes in and comes out, which alias names which, who asks them for which share; an alias moved or
//! moved back.

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use tendon_kernel::{
    Error, ErrorKind, Result,
    sockets::model::{Feature, FeatureKind, OutputKind, Signature},
};

use crate::{
    console::{
        layout,
        office::{Order, Return},
        page::{Change, May, Page, Reply, View, Visit},
        parts::{
            Tone, badge, empty,
            figure::{number, percent},
        },
        session::Notice,
    },
    service::{ModelShare, ModelUse, ModelVersion, ModelView},
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/models",
    name: Some("Models"),
    may: May::View,
    show: |visit| async move { show(&visit).await }.boxed(),
    changes: &[
        Change { path: PROMOTE, may: May::Admin, carry_out: |visit| async move { promote(&visit).await }.boxed() },
        Change { path: ROLL_BACK, may: May::Admin, carry_out: |visit| async move { roll_back(&visit).await }.boxed() },
    ],
};

/// Where an alias is moved, and moved back.
const PROMOTE: &str = "/console/models/promote";
const ROLL_BACK: &str = "/console/models/rollback";

/// Features of a version, and texts of a category, that are shown; nobody reads more, and a page of every model has to stay one.
const MOST_FEATURES: usize = 500;
const MOST_TEXTS: usize = 12;

async fn show(visit: &Visit) -> Result<Reply> {
    let models = visit.api.service.models(visit.known()?)?;
    // What an alias can go back to. That it cannot be told is no reason to show nothing: then nothing is offered.
    let returns = visit.api.console.office.returns().await.unwrap_or_default();
    let body = html! {
        div.head { h1 { "Models" } p.soft { "An alias names a version; what an alias names answers with the next decision." } }
        @if models.is_empty() {
            section.card aria-label="Models" { (empty("No model", "`tendon models add` brings a version in.")) }
        }
        @for model in &models { (one(visit, model, &returns)) }
    };
    Ok(View::reply("Models", body))
}

fn one(visit: &Visit, model: &ModelView, returns: &[Return]) -> Markup {
    let id = format!("model-{}", model.name);
    html! {
        section.card aria-labelledby=(id) {
            header { h2 id=(id) { (model.name) } @if model.integrations.is_empty() { span.soft { "asked by nobody" } } }
            div.scroll { table.stack {
                thead { tr { th scope="col" { "Version" } th scope="col" { "Aliases" } th.number scope="col" { "Features" } th.number scope="col" { "Outputs" } th scope="col" { "SHA-256" } th scope="col" { span.hidden { "Promote" } } } }
                tbody { @for version in &model.versions { (row(visit, model, version)) } }
            } }
            (aliases(visit, model, returns))
            @for version in &model.versions { (signature(visit, version)) }
            @if !model.integrations.is_empty() { (shares(&model.integrations)) }
        }
    }
}

fn row(visit: &Visit, model: &ModelView, version: &ModelVersion) -> Markup {
    let named: Vec<&str> =
        model.aliases.iter().filter(|(_, of)| **of == *version.version).map(|(alias, _)| alias.as_str()).collect();
    html! {
        tr {
            th scope="row" { (version.version) }
            td data-of="Aliases" { @for alias in &named { span.badge.good { (alias) } " " } @if named.is_empty() { span.soft { "none" } } }
            td.number data-of="Features" { (version.features) }
            td.number data-of="Outputs" { (version.outputs) }
            td data-of="SHA-256" { code.small title=(version.digest) { (version.digest.get(..16).unwrap_or(&version.digest)) } }
            td.number {
                @if let Some(who) = visit.who.as_ref().filter(|who| who.known.admin && !named.contains(&"champion")) {
                    details.menu {
                        summary aria-label={ "Make " (version.version) " champion of " (model.name) } { "Make champion" }
                        div.sheet {
                            p {
                                "It answers from the next decision on" @if let Some(now) = model.aliases.get("champion") { ", in place of " (now) } "."
                            }
                            @let button = html! { button.main type="submit" { "Make it champion" } };
                            (layout::press(who, PROMOTE, &[("model", &model.name), ("version", &version.version)], &button))
                        }
                    }
                }
            }
        }
    }
}

/// The aliases that can be moved back: what they named before is there, with the bytes that it had.
fn aliases(visit: &Visit, model: &ModelView, returns: &[Return]) -> Markup {
    let there = |to: &&Return| {
        let same = |version: &ModelVersion| *version.version == *to.version && *version.digest == *to.digest;
        to.model == *model.name && model.versions.iter().any(same)
    };
    let returns: Vec<&Return> = returns.iter().filter(there).collect();
    let Some(who) = visit.who.as_ref().filter(|who| who.known.admin && !returns.is_empty()) else {
        return html! {};
    };
    html! {
        div.inner.row {
            @for to in returns {
                @let now = model.aliases.get(&to.alias).map_or("", String::as_str);
                details.menu {
                    summary aria-label={ "Roll " (to.alias) " of " (model.name) " back from " (now) " to " (to.version) } { "Roll " (to.alias) " back to " (to.version) }
                    div.sheet {
                        p { (to.alias) " names " (to.version) " from the next decision on, in place of " (now) "." }
                        @let button = html! { button.main type="submit" { "Roll it back" } };
                        (layout::press(who, ROLL_BACK, &[("model", &model.name), ("alias", &to.alias)], &button))
                    }
                }
            }
        }
    }
}

/// What goes into a version and comes out of it.
fn signature(visit: &Visit, version: &ModelVersion) -> Markup {
    let runtime = visit.api.engine.runtime();
    // A reload in between may have taken it away.
    let Some(slot) = runtime.slot(&version.digest) else { return html! {} };
    let signature = slot.model.signature();
    let further = signature.features.len().saturating_sub(MOST_FEATURES);
    html! {
        details.inner {
            summary { "What goes in and comes out of " (version.version) }
            p { (comes_out(signature)) }
            div.scroll { table.stack {
                thead { tr { th.number scope="col" { "Column" } th scope="col" { "Feature" } th scope="col" { "Type" } th scope="col" { "Seen in training" } } }
                tbody { @for (at, feature) in signature.features.iter().take(MOST_FEATURES).enumerate() { (goes_in(at, feature)) } }
            } }
            @if further > 0 { p.soft.small { "And " (further) " more: `tendon models show` lists all." } }
        }
    }
}

fn comes_out(signature: &Signature) -> Markup {
    html! {
        @match signature.output {
            OutputKind::Probability => "Comes out: a probability from 0 to 1",
            OutputKind::Classes => { "Comes out: a probability for each of " (signature.outputs) " classes" },
            OutputKind::Number => "Comes out: a number",
        }
        @if !signature.objective.is_empty() { " (trained as " code { (signature.objective) } ")" }
        "."
    }
}

fn goes_in(at: usize, feature: &Feature) -> Markup {
    html! {
        tr {
            td.number data-of="Column" { (at) }
            th.whole scope="row" { (feature.name) }
            td data-of="Type" {
                @match &feature.kind {
                    FeatureKind::Number => "number",
                    FeatureKind::CategoryCode => "category, as a whole number",
                    FeatureKind::Category { .. } => "category, as a text",
                }
            }
            td data-of="Seen in training" {
                @match (&feature.kind, feature.range) {
                    (FeatureKind::Category { values }, _) => {
                        @for text in values.iter().take(MOST_TEXTS) { code { (text) } " " }
                        @if values.len() > MOST_TEXTS { span.soft { "and " (values.len() - MOST_TEXTS) " more" } }
                    },
                    (_, Some((least, most))) => { (number(least)) " to " (number(most)) },
                    (_, None) => span.soft { "not told by the file" },
                }
            }
        }
    }
}

/// Who asks, and which version answers for which share of the subjects.
fn shares(uses: &[ModelUse]) -> Markup {
    html! {
        div.scroll { table.stack aria-label="Who asks, and which version answers" {
            thead { tr { th scope="col" { "Asked by" } th scope="col" { "Route" } th.number scope="col" { "Share" } th scope="col" { "Names" } th scope="col" { "Version now" } } }
            tbody {
                @for one in uses {
                    @let rest = 100.0 - one.arms.iter().map(|arm| arm.percent).sum::<f64>();
                    (share(one, "champion", &percent(rest.max(0.0)), &one.alias, one.version.as_deref()))
                    @for arm in &one.arms { (beside(one, arm, &percent(arm.percent))) }
                    @if let Some(shadow) = &one.shadow { (beside(one, shadow, &format!("{}, answering nobody", percent(shadow.percent)))) }
                }
            }
        } }
    }
}

fn beside(of: &ModelUse, arm: &ModelShare, words: &str) -> Markup {
    share(of, &arm.route, words, &arm.alias, arm.version.as_deref())
}

fn share(of: &ModelUse, route: &str, words: &str, alias: &str, version: Option<&str>) -> Markup {
    html! {
        tr {
            th scope="row" { (of.integration) }
            td data-of="Route" { (route) }
            td.number data-of="Share" { (words) }
            td data-of="Names" { (alias) }
            td data-of="Version now" {
                @match version {
                    Some(version) => (version),
                    None if route == "champion" => (badge(Tone::Bad, "Not loaded: the fallback answers")),
                    None if route == "shadow" => (badge(Tone::Warn, "Not loaded: not asked")),
                    None => (badge(Tone::Warn, "Not loaded: the champion answers")),
                }
            }
        }
    }
}

fn given(visit: &Visit, name: &str) -> Result<String> {
    visit.form.text(name).map(str::to_owned).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "parameter", "the form names no model, version or alias")
            .hint("open the page anew")
    })
}

async fn promote(visit: &Visit) -> Result<Reply> {
    let (model, version) = (given(visit, "model")?, given(visit, "version")?);
    let text = format!("{version} is champion of {model} now.");
    let order = Order::Promote { model, version, alias: "champion".to_owned() };
    visit.order(order).await?;
    Ok(Reply::Go("/console/models".to_owned(), Some(Notice::Done(text))))
}

async fn roll_back(visit: &Visit) -> Result<Reply> {
    let (model, alias) = (given(visit, "model")?, given(visit, "alias")?);
    let text = format!("{alias} of {model} names what it named before.");
    let order = Order::RollBack { model, alias };
    visit.order(order).await?;
    Ok(Reply::Go("/console/models".to_owned(), Some(Notice::Done(text))))
}
