//! `GET /v1/status`: what the console's first page shows, as a document; and how `/openapi.json` describes it.

use std::sync::Arc;

use axum::{extract::State, http::request::Parts, response::Response};
use serde_json::{Map, Value as Json, json};

use super::{
    Api,
    answer::{self, Asked},
    auth,
    counters::Route,
    decisions::write,
    paths, query,
};
use crate::{console::Span, overview};

/// How everything does now.
pub(super) async fn get(State(api): State<Arc<Api>>, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Read);
    let found = async {
        let known = auth::caller(&head.extensions)?;
        let given = query::read(&head.uri, &["span"])?;
        let span = given.one_of("span", Span::named, "write 1h, 24h, 7d or 30d")?.unwrap_or(Span::Hour);
        Ok((write(&overview::overview(&api, &known, span).await?)?, None))
    };
    answer::listed(&api, &asked, &head, found.await)
}

/// Adds the address to the description.
pub(super) fn add(paths: &mut Map<String, Json>) {
    let spans = Span::ALL.map(Span::name);
    let about = "How far back the `figures` of integrations go.";
    let span = paths::query("span", about, &json!({ "enum": spans, "default": spans[0] }));
    paths.insert("/v1/status".into(), paths::list("status", "How everything does now", "Status", &[span]));
}

/// Schemas of what is answered.
pub(super) fn schemas() -> Map<String, Json> {
    let (text, whole, flag) = (json!({ "type": "string" }), json!({ "type": "integer" }), json!({ "type": "boolean" }));
    let told = |kind: &Json, about: &str| {
        let mut told = kind.clone();
        told["description"] = about.into();
        told
    };
    let list = |items: Json| json!({ "type": "array", "items": items });
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let seconds = |share: &str| maybe("number", &format!("Seconds on the path that {share} took no longer than."));
    let figures = object(&json!({
        "decisions": whole, "per_second": maybe("number", "Null where nobody counted."),
        "p50": seconds("half of them"), "p95": seconds("95 of 100"), "p99": seconds("99 of 100"),
        "failed": told(&whole, "That nothing could answer."), "fallback": told(&whole, "That a fallback answered."),
        "refused": told(&whole, "Whose input was refused or set aside."), "cached": told(&whole, "That came from the cache."),
    }));
    let watch = object(&json!({
        "up_to_date_at": time("Every change before this moment was decided; null: it has not seen everything yet."),
        "failing": maybe("string", "What holds it up."),
    }));
    let burnt =
        |time: &str| maybe("number", &format!("How fast the last {time} used the budget up: 1 lasts one window."));
    let objective = object(&json!({
        "objective": { "enum": ["answered", "by_model", "fast"] },
        "target": { "type": "number", "description": "The share that is to be reached." },
        "within": maybe("number", "For `fast`: the time, in seconds."),
        "window": told(&whole, "Over how many seconds it is counted."),
        "counted": told(&whole, "Decisions with fit input in the window; for `fast` asks: no backfill, no batch, nothing made in advance."),
        "wrong": told(&whole, "Those of them that went wrong."),
        "reached": maybe("number", "The share that was reached; null where nothing was counted."),
        "left": maybe("number", "What is left of the error budget, as a share of it; below 0 when more went wrong than may."),
        "burn_1h": burnt("hour"), "burn_24h": burnt("24 hours"), "spent": flag,
    }));
    let integration = object(&json!({
        "name": text, "purpose": text,
        "state": { "enum": ["no_model", "failing", "watch_held_up", "fallback", "budget_spent", "deciding", "idle"] },
        "model": told(&text, "As the project names it: `name@alias`."),
        "version": maybe("string", "The version that it asks now; null when none is loaded."),
        "minute": reference("StatusFigures"), "figures": reference("StatusFigures"),
        "watch": { "anyOf": [watch, { "type": "null" }] },
        "outbox": told(&whole, "Write-backs of it that wait, in memory."),
        "letters": told(&whole, "Dead letters of it, among those looked at."),
        "objectives": list(objective),
    }));
    let system = object(&json!({
        "name": text, "kind": text, "breaker": { "enum": ["closed", "open", "half_open"] },
        "last_failure": maybe("string", "Null while all is well."), "waiting": whole, "more": flag,
        "oldest": time("Time of the oldest waiting decision."), "under_way": maybe("integer", "Calls under way."),
        "concurrency": maybe("integer", "As many are allowed at once."), "queued": maybe("integer", "Calls that wait for their turn."),
        "rate": maybe("number", "Most rows a second; null: no limit is declared."),
        "rate_used": maybe("number", "Rows a second that were taken of it, over the last ten seconds."),
    }));
    let up = |days: &str| maybe("number", &format!("The share of the last {days} days that the process was ready."));
    let status = object(&json!({
        "project": text, "version": told(&text, "Of the program."), "plan": told(&text, "Digest of the plan in force."),
        "at": { "type": "string", "format": "date-time" }, "up_seconds": told(&whole, "Since the process started."),
        "state": { "enum": ["healthy", "degraded", "not_ready", "stopping"] },
        "trouble": list(object(&json!({ "part": text, "why": text, "vital": flag }))),
        "uptime_7d": up("7"), "uptime_30d": up("30"),
        "uptime_since": time("Since when that is known: the first start with trends, at most thirty days ago."), "span": { "enum": Span::ALL.map(Span::name) },
        "minute": reference("StatusFigures"), "integrations": list(integration), "systems": list(system),
        "outbox": object(&json!({ "waiting": whole, "more": flag })),
        "letters": object(&json!({ "count": maybe("integer", "Null: they could not be counted in time."), "more": flag,
            "causes": list(object(&json!({ "code": text, "message": text, "times": whole }))) })),
        "unanswered": list(object(&json!({ "integration": text, "reason": text, "times": whole }))),
        "refusals": list(object(&json!({ "reason": text, "times": whole }))),
        "models": json!({ "$ref": "#/components/schemas/Models/properties/models" }),
    }));
    Map::from_iter([("StatusFigures".into(), figures), ("Status".into(), status)])
}

fn maybe(kind: &str, about: &str) -> Json {
    json!({ "type": [kind, "null"], "description": about })
}

fn time(about: &str) -> Json {
    json!({ "type": ["string", "null"], "format": "date-time", "description": about })
}

/// An object that always has all of its properties.
fn object(properties: &Json) -> Json {
    let required: Vec<_> = properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}
