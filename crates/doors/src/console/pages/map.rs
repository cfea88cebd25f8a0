//! The map: systems, integrations and models of the plan in force, drawn with what is read, asked and written; and the same as a table.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use tendon_kernel::Result;
use tendon_plan::plan::IntegrationPlan;

use super::systems;
use crate::{
    console::{
        page::{May, Page, Reply, View, Visit},
        parts::{
            Tone, badge,
            diagram::{Arrow, Diagram, Node, Way},
            empty, live,
        },
    },
    overview::{Doing, MINUTE, budgets},
    service::{ModelView, SystemView},
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/map",
    name: Some("Map"),
    may: May::View,
    show: |visit| async move { show(&visit).await }.boxed(),
    changes: &[],
};

/// Integrations that are drawn; the table holds all.
const DRAWN: usize = 60;
/// Whoever asks over an API.
const CALLERS: &str = "callers";

/// An integration with what it touches.
struct Flow {
    plan: Arc<IntegrationPlan>,
    state: (Tone, &'static str),
    /// System and resource.
    reads: Vec<(String, String)>,
    writes: Vec<(String, String)>,
    /// Hosts that are told of decisions.
    told: Vec<String>,
}

async fn show(visit: &Visit) -> Result<Reply> {
    let flows = flows(visit).await?;
    let systems = visit.api.service.systems(visit.known()?)?;
    let models = visit.api.service.models(visit.known()?)?;
    let drawn = flows.get(..DRAWN).unwrap_or(&flows);
    let body = html! {
        div.head {
            h1 { "Map" }
            p.soft { "Drawn from the plan in force: what each integration reads, which model it asks, where its results go." }
            div.spacer {}
            (live())
        }
        @if flows.is_empty() {
            section.card aria-label="Map" { (empty("No integration yet", "`tendon new integration` writes one from a model and a table.")) }
        } @else {
            section.card aria-labelledby="of-map" {
                header {
                    h2 id="of-map" { "Drawing" }
                    span.key.ways { span.read { "reads" } span.write { "writes" } span.asks { "asks" } }
                    @if flows.len() > DRAWN { span.soft { "The first " (DRAWN) " of " (flows.len()) " integrations; the table has all." } }
                }
                div.scroll.map id="drawing" data-live="" tabindex="0" role="region" aria-label="Drawing of the map" {
                    (diagram(drawn, &systems, &models).draw())
                }
            }
            section.card aria-labelledby="of-words" {
                header { h2 id="of-words" { "The same in words" } }
                div id="words" data-live="" { (table(&flows)) }
            }
        }
    };
    Ok(View::reply("Map", body))
}

async fn flows(visit: &Visit) -> Result<Vec<Flow>> {
    let (api, known) = (&visit.api, visit.known()?);
    let parts = api.status.parts().await;
    let wrong = |name: String| parts.iter().any(|part| part.name == name && !part.ok);
    let flow = |plan: Arc<IntegrationPlan>| {
        let name = &plan.name;
        let past = |time| api.console.office.past(name, time);
        let (minute, budgets) = (past(MINUTE), budgets(&plan, past));
        let doing = Doing::of(wrong(format!("model:{name}")), wrong(format!("watch:{name}")), &minute, &budgets);
        let state = doing.told();
        let place = |system: &str, resource: &str| (system.to_owned(), resource.to_owned());
        let watched = plan.events.iter().map(|events| place(&events.system, &events.resource));
        let looked_up = plan.lookups.list.iter().map(|lookup| place(&lookup.system, &lookup.resource));
        let mut reads: Vec<_> = watched.chain(looked_up).collect();
        reads.sort_unstable();
        reads.dedup();
        let target = plan.events.as_ref().and_then(|events| events.target.as_ref());
        let writes = target.map(|target| place(&target.system, &target.resource)).into_iter().collect();
        let mut told: Vec<_> =
            plan.api.iter().flat_map(|api| &api.callbacks).map(|callback| callback.origin.to_string()).collect();
        told.sort_unstable();
        told.dedup();
        Flow { state, reads, writes, told, plan }
    };
    Ok(api.service.integrations(known).into_iter().map(flow).collect())
}

/// The boxes in the order in which they are first needed, so that few arrows cross.
fn diagram(flows: &[Flow], systems: &[SystemView], models: &[ModelView]) -> Diagram {
    let (mut left, mut right) = (Column::default(), Column::default());
    let mut arrows = Vec::new();
    for (at, flow) in flows.iter().enumerate() {
        let mut touch = |name: &str, way: Way, node: &dyn Fn() -> Node| {
            let arrow = Arrow { column: 0, ends: (left.place(name, node), at), way };
            // However many resources of a system are read: it is one arrow.
            if !arrows.iter().any(|known: &Arrow| (known.column, known.ends, known.way) == (0, arrow.ends, way)) {
                arrows.push(arrow);
            }
        };
        flow.reads.iter().for_each(|(system, _)| touch(system, Way::Right, &|| system_node(system, systems)));
        flow.writes.iter().for_each(|(system, _)| touch(system, Way::Left, &|| system_node(system, systems)));
        if flow.plan.api.is_some() {
            let node = || plain("Callers", "over the API");
            [Way::Right, Way::Left].into_iter().for_each(|way| touch(CALLERS_KEY, way, &node));
        }
        flow.told.iter().for_each(|host| touch(host, Way::Left, &|| plain(host, "told of decisions")));
        let model = &*flow.plan.model;
        let to = right.place(model, &|| model_node(model, models));
        arrows.push(Arrow { column: 1, ends: (at, to), way: Way::Right });
    }
    for system in systems {
        left.place(&system.name, &|| system_node(&system.name, systems));
    }
    for model in models {
        right.place(&model.name, &|| model_node(&model.name, models));
    }
    let middle = flows.iter().map(|flow| Node {
        name: flow.plan.name.to_string(),
        kind: format!("asks {}", flow.plan.alias),
        to: Some(format!("/console/decisions?integration={}", flow.plan.name)),
        state: Some(flow.state),
    });
    let (systems, models) = (left.nodes.len(), right.nodes.len());
    Diagram {
        words: format!(
            "{systems} systems and callers, {} integrations, {models} models; the table below says the same",
            flows.len()
        ),
        titles: ["Systems and callers", "Integrations", "Models"],
        columns: [left.nodes, middle.collect(), right.nodes],
        arrows,
    }
}

/// No system can be called so.
const CALLERS_KEY: &str = "\u{0}callers";

/// Boxes, each once.
#[derive(Default)]
struct Column {
    nodes: Vec<Node>,
    known: BTreeMap<String, usize>,
}

impl Column {
    fn place(&mut self, name: &str, node: &dyn Fn() -> Node) -> usize {
        *self.known.entry(name.to_owned()).or_insert_with(|| {
            self.nodes.push(node());
            self.nodes.len() - 1
        })
    }
}

fn plain(name: &str, kind: &str) -> Node {
    Node { name: name.to_owned(), kind: kind.to_owned(), to: None, state: None }
}

fn system_node(name: &str, systems: &[SystemView]) -> Node {
    let system = systems.iter().find(|system| &*system.name == name);
    Node {
        name: name.to_owned(),
        kind: system.map_or_else(String::new, |system| system.kind.to_string()),
        to: Some(format!("/console/systems#system-{name}")),
        state: system.map(systems::doing),
    }
}

fn model_node(name: &str, models: &[ModelView]) -> Node {
    let model = models.iter().find(|model| &*model.name == name);
    let champion = model.and_then(|model| model.aliases.get("champion"));
    let loaded = model.is_some_and(|model| !model.versions.is_empty());
    Node {
        name: name.to_owned(),
        kind: champion.map_or_else(|| "no champion".to_owned(), |version| format!("champion {version}")),
        to: Some(format!("/console/models#model-{name}")),
        state: Some(if loaded { (Tone::Good, "Loaded") } else { (Tone::Bad, "No version") }),
    }
}

fn table(flows: &[Flow]) -> Markup {
    let places = |places: &[(String, String)]| {
        html! {
            @for (at, (system, resource)) in places.iter().enumerate() {
                @if at > 0 { ", " }
                a href={ "/console/systems#system-" (system) } { (system) } "." (resource)
            }
            @if places.is_empty() { span.soft { "no system" } }
        }
    };
    html! {
        div.scroll { table.stack {
            thead { tr { th scope="col" { "Integration" } th scope="col" { "State" } th scope="col" { "Reads" } th scope="col" { "Asked by" } th scope="col" { "Asks" } th scope="col" { "Writes" } } }
            tbody {
                @for flow in flows {
                    @let plan = &flow.plan;
                    tr {
                        th scope="row" { a href={ "/console/decisions?integration=" (plan.name) } { (plan.name) } span.sub { (plan.purpose) } }
                        td data-of="State" { (badge(flow.state.0, flow.state.1)) }
                        td data-of="Reads" { (places(&flow.reads)) }
                        td data-of="Asked by" { @if plan.api.is_some() { (CALLERS) } @if plan.events.is_some() { @if plan.api.is_some() { ", " } "changed rows" } @if plan.api.is_none() && plan.events.is_none() { span.soft { "nobody" } } }
                        td data-of="Asks" { a href={ "/console/models#model-" (plan.model) } { (plan.model) } " as " (plan.alias) }
                        td data-of="Writes" {
                            (places(&flow.writes))
                            @for host in &flow.told { span.sub { "tells " (host) } }
                        }
                    }
                }
            }
        } }
    }
}
