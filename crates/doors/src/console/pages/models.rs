//! Models: their versions, which alias names which, who asks them; an alias moved or moved back.

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use tendon_kernel::{Error, ErrorKind, Result};

use crate::{
    console::{
        layout,
        office::Order,
        page::{Change, May, Page, Reply, View, Visit},
        parts::empty,
        session::Notice,
    },
    service::{ModelVersion, ModelView},
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/models",
    name: Some("Models"),
    may: May::View,
    show: |visit| async move { show(&visit) }.boxed(),
    changes: &[
        Change { path: PROMOTE, may: May::Admin, carry_out: |visit| async move { promote(&visit).await }.boxed() },
        Change { path: ROLL_BACK, may: May::Admin, carry_out: |visit| async move { roll_back(&visit).await }.boxed() },
    ],
};

/// Where an alias is moved, and moved back.
const PROMOTE: &str = "/console/models/promote";
const ROLL_BACK: &str = "/console/models/rollback";

fn show(visit: &Visit) -> Result<Reply> {
    let models = visit.api.service.models(visit.known()?)?;
    let body = html! {
        div.head { h1 { "Models" } p.soft { "An alias names a version; what an alias names answers with the next decision." } }
        @if models.is_empty() {
            section.card aria-label="Models" { (empty("No model", "`tendon models add` brings a version in.")) }
        }
        @for model in &models { (one(visit, model)) }
    };
    Ok(View::reply("Models", body))
}

fn one(visit: &Visit, model: &ModelView) -> Markup {
    let id = format!("model-{}", model.name);
    html! {
        section.card aria-labelledby=(id) {
            header {
                h2 id=(id) { (model.name) }
                span.soft { "asked by " @for (at, used) in model.integrations.iter().enumerate() { @if at > 0 { ", " } (used.integration) " (" (used.alias) ")" } @if model.integrations.is_empty() { "nobody" } }
            }
            div.scroll { table.stack {
                thead { tr { th scope="col" { "Version" } th scope="col" { "Aliases" } th.number scope="col" { "Features" } th.number scope="col" { "Outputs" } th scope="col" { "SHA-256" } th scope="col" { span.hidden { "Promote" } } } }
                tbody { @for version in &model.versions { (row(visit, model, version)) } }
            } }
            (aliases(visit, model))
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
                    @let button = html! { button type="submit" aria-label={ "Make " (version.version) " champion of " (model.name) } { "Make champion" } };
                    (layout::press(who, PROMOTE, &[("model", &model.name), ("version", &version.version)], &button))
                }
            }
        }
    }
}

fn aliases(visit: &Visit, model: &ModelView) -> Markup {
    let Some(who) = visit.who.as_ref().filter(|who| who.known.admin && !model.aliases.is_empty()) else {
        return html! {};
    };
    html! {
        div.inner.row {
            @for (alias, version) in &model.aliases {
                @let button = html! { button type="submit" { "Roll " (alias) " back from " (version) } };
                (layout::press(who, ROLL_BACK, &[("model", &model.name), ("alias", alias)], &button))
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
