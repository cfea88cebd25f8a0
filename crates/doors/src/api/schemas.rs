//! The schemas of `/openapi.json` that are the same for every project.

use serde_json::{Map, Value as Json, json};

use super::codes::CODES;

/// What every project's document holds: problems, decisions, lists.
pub(super) fn fixed() -> Map<String, Json> {
    let codes: Vec<_> = CODES.iter().map(|(code, ..)| *code).collect();
    let text = || json!({ "type": "string" });
    let Json::Object(schemas) = json!({
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "detail", "code", "retryable", "request_id"],
            "properties": {
                "type": { "type": "string", "format": "uri-reference" }, "title": text(),
                "status": { "type": "integer" }, "detail": text(),
                "code": { "type": "string", "description": "Stable. More codes may be added.", "examples": codes },
                "retryable": { "type": "boolean", "description": "Whether the same request may succeed later." },
                "request_id": text(),
                "pointer": { "type": "string", "description": "JSON pointer into the request body." },
                "hint": { "type": "string", "description": "What to do." },
                "decision_id": { "type": "string", "format": "uuid", "description": "The recorded decision." },
            },
        },
        "Decision": {
            "type": "object", "required": ["id", "integration", "at", "door", "outcome", "route", "durable"],
            "properties": {
                "id": { "type": "string", "format": "uuid" }, "integration": text(),
                "at": { "type": "string", "format": "date-time" },
                "subject": text(), "door": { "enum": ["api", "events", "batch", "embed", "agents"] },
                "outcome": { "enum": ["ok", "degraded", "rejected", "quarantined", "failed"] },
                "output": { "type": ["number", "null"] },
                "classes": { "type": "array", "items": { "type": "number" } },
                "band": text(), "degraded": { "enum": ["replica", "previous", "rules", "default", "human"] },
                "review": { "$ref": "#/components/schemas/ReviewState" },
                "model": { "type": "object", "properties": { "name": text(), "version": text(), "digest": text() } },
                "recalled": { "type": "object", "required": ["from", "at", "age_ms"], "description": "The earlier decision whose answer this is, when it came from the cache.", "properties": {
                    "from": { "type": "string", "format": "uuid" }, "at": { "type": "string", "format": "date-time" },
                    "age_ms": { "type": "integer" }, "stale": { "type": "boolean", "description": "Past its time: a new answer is being computed." } } },
                "route": text(), "repaired": { "type": "array", "items": { "type": "object" } },
                "lookups": { "type": "array", "items": { "type": "object", "properties": {
                    "name": text(), "state": { "enum": ["fresh", "stale", "missing", "failed"] },
                    "age_ms": { "type": "integer", "description": "How old the row was, when it had been read before." },
                    "why": { "type": "string", "description": "Why the system was not asked, or its answer not used: a code; `recalled` where the whole answer was." } } } },
                "error": { "type": "object" }, "durable": { "type": "boolean" },
                "explanation": { "$ref": "#/components/schemas/Explanation" },
            },
        },
        "Explanation": {
            "type": "object", "required": ["method", "base", "margin", "reasons"],
            "properties": {
                "method": text(), "base": { "type": "number" }, "margin": { "type": "number" },
                "reasons": { "type": "array", "items": { "type": "object", "properties": {
                    "feature": text(), "value": { "description": "As the model saw it, or as it came in where the model does not know it; null when missing, and for callers who did not ask and neither operate nor review the integration." },
                    "contribution": { "type": "number" }, "text": text() } } },
            },
        },
        "Recorded": {
            "type": "object", "required": ["decision", "seq", "deliveries"],
            "properties": {
                "decision": { "$ref": "#/components/schemas/Decision" }, "seq": { "type": "integer" },
                "review": { "$ref": "#/components/schemas/ReviewState" },
                "deliveries": { "type": "array", "items": { "type": "object", "properties": {
                    "system": text(), "resource": text(), "at": text(), "cause": text(),
                    "state": { "enum": ["pending", "delivered", "superseded", "dead", "erased", "undone"] } } } },
            },
        },
        "Integrations": {
            "type": "object", "required": ["project", "plan", "integrations"],
            "properties": { "project": text(), "plan": text(), "integrations": { "type": "array", "items": { "type": "object" } } },
        },
    }) else {
        return Map::new();
    };
    schemas
}

/// What is answered before there is a decision.
pub(super) fn later() -> Map<String, Json> {
    let text = || json!({ "type": "string" });
    let Json::Object(schemas) = json!({
        "Accepted": {
            "type": "object", "required": ["id", "state", "integration"],
            "properties": {
                "id": { "type": "string", "format": "uuid", "description": "Id that the decision has, or will have." },
                "state": { "enum": ["pending", "decided"] }, "integration": text(),
            },
        },
        "Pending": {
            "type": "object", "required": ["id", "state", "integration", "accepted_at"],
            "properties": {
                "id": { "type": "string", "format": "uuid" }, "state": { "enum": ["pending"] }, "integration": text(),
                "accepted_at": { "type": "string", "format": "date-time" },
            },
        },
    }) else {
        return Map::new();
    };
    schemas
}
