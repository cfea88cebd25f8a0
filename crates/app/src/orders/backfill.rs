//! Orders about backfills: begin or go on, pause, and how far it is.

use serde_json::{Value as Json, json};
use tendon_flows::watch::BackfillWish;
use tendon_kernel::{Error, ErrorKind, Result};

use crate::wiring::Parts;

/// The state, after the wish if there is one, with what became of the write-backs.
pub(super) fn wish(parts: &Parts, integration: &str, wish: Option<BackfillWish>) -> Result<Json> {
    let runtime = parts.engine.runtime();
    let plan = watched(runtime.plan(), integration)?;
    let Some(state) = parts.flows.backfill(integration, wish) else {
        return Err(Error::new(
            ErrorKind::Unavailable,
            "not_running",
            "no process runs a backfill of this integration now",
        )
        .with("integration", integration)
        .hint(format!("`tendon backfill {integration}` begins one, or goes on where the last one stopped")));
    };
    let mut document = serde_json::to_value(&state).unwrap_or_default();
    let failing = parts.flows.states().remove(integration).and_then(|state| state.failing);
    let target = plan.events.as_ref().and_then(|events| events.target.as_ref());
    let desk = target.and_then(|target| parts.deliveries.current().states().remove(&target.system));
    document["failing"] = json!(failing);
    document["writes"] = match desk {
        Some(desk) => json!({
            "unfinished": desk.unfinished, "more": desk.more, "delivered": desk.ended.delivered,
            "superseded": desk.ended.superseded, "dead": desk.ended.dead, "last_failure": desk.last_failure,
        }),
        None => Json::Null,
    };
    Ok(document)
}

/// The integration's plan, if it watches a table.
pub(super) fn watched<'a>(plan: &'a tendon_plan::Plan, name: &str) -> Result<&'a tendon_plan::IntegrationPlan> {
    let Some(found) = plan.integrations.get(name) else {
        let known: Vec<&str> = plan.integrations.keys().map(AsRef::as_ref).collect();
        return Err(Error::new(ErrorKind::NotFound, "no_integration", format!("no integration is called `{name}`"))
            .hint(if known.is_empty() {
                "`tendon new integration` makes one".to_owned()
            } else {
                format!("known are: {}", known.join(", "))
            }));
    };
    if found.events.is_none() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "nothing_watched",
            format!("integration {name} watches no table"),
        )
        .hint("a backfill goes through the table of doors.events"));
    }
    Ok(found)
}
