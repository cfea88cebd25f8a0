//! The part of the OpenAPI document about the badge of an integration.

use serde_json::{Map, Value as Json, json};
use tendon_plan::Plan;

use super::openapi::problems;

/// Adds the addresses that need a token, for each integration that has a badge.
pub(super) fn add(plan: &Plan, paths: &mut Map<String, Json>) {
    let badges =
        plan.integrations.values().filter(|one| one.embed.as_ref().is_some_and(|embed| embed.holders.is_some()));
    for name in badges.map(|one| &one.name) {
        for (what, about, schema) in [
            ("score", "The score of the subject in the token, from the last decision about it", "Score"),
            ("breakdown", "What stands behind that score: contributions in words, and the trend", "Breakdown"),
        ] {
            let get = get(&format!("{what}-{name}"), about, name, schema);
            paths.insert(format!("/embed/integrations/{name}/{what}"), json!({ "get": get }));
        }
    }
}

fn get(operation: &str, about: &str, tag: &str, schema: &str) -> Json {
    let subject = json!({ "name": "tendon-subject", "in": "header", "required": false, "schema": { "type": "string" },
        "description": "Whom the page wants to show, percent-encoded: refused where the token is for somebody else." });
    let mut responses = problems(&["401", "403", "404", "429", "503"]);
    let content = json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } });
    responses.insert("200".into(), json!({ "description": about, "content": content }));
    json!({ "operationId": operation, "summary": about, "tags": [tag], "security": [{ "badge": [] }], "parameters": [subject],
        "responses": responses })
}

/// How a page's reader is let in.
pub(super) fn scheme() -> Json {
    json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description":
        "Signed by the page's server with HS256 and `doors.embed.secret`: `sub` the subject, `aud` the integration, `exp` soon." })
}

/// Schemas of what is answered.
pub(super) fn schemas() -> Map<String, Json> {
    let text = || json!({ "type": "string" });
    let time = || json!({ "type": "string", "format": "date-time" });
    let Json::Object(schemas) = json!({
        "Score": { "type": "object", "required": ["integration", "purpose", "state"], "properties": {
            "integration": text(), "purpose": text(),
            "state": { "enum": ["fresh", "stale", "waiting", "none"], "description":
                "`stale`: older than `doors.embed.fresh`, or what was asked since has no output. `waiting`: a person looks at it first." },
            "decision": { "type": "string", "format": "uuid" }, "at": time(), "age_seconds": { "type": "integer" },
            "fresh_seconds": { "type": "integer", "description": "In how many seconds it is stale by its age alone, where it is fresh." },
            "output": { "type": "number" }, "band": text(),
            "degraded": { "enum": ["replica", "previous", "rules", "default", "human"] },
            "since": { "enum": ["rejected", "quarantined", "failed"], "description": "How the last attempt ended, where it has no output." } } },
        "Breakdown": { "type": "object", "required": ["score", "parts", "trend", "from", "until", "more"], "properties": {
            "score": { "$ref": "#/components/schemas/Score" },
            "parts": { "type": "array", "description": "Largest first, without the values that came in.", "items": {
                "type": "object", "required": ["feature", "contribution", "text"], "properties": {
                    "feature": text(), "contribution": { "type": "number" }, "text": text() } } },
            "trend": { "type": "array", "description": "Oldest first.", "items": {
                "type": "object", "required": ["at", "output"], "properties": {
                    "at": time(), "output": { "type": "number" }, "band": text() } } },
            "from": time(), "until": time(),
            "more": { "type": "boolean", "description": "There were more in this time; these are the newest." } } },
    }) else {
        return Map::new();
    };
    schemas
}
