//! The part of the OpenAPI document that is the same for every integration: lists, letters, batches, GraphQL.

use serde_json::{Map, Value as Json, json};
use tendon_plan::IntegrationPlan;

use super::{
    openapi::{example, problems},
    reviews_paths as reviews, status,
};
use crate::service::MOST_LISTED;

/// Adds them.
pub(super) fn add(paths: &mut Map<String, Json>) {
    let filters = ["integration", "subject", "band"]
        .map(|name| query(name, &format!("Only of this {name}."), &json!({ "type": "string", "minLength": 1 })));
    let times = [("since", "Only at or after."), ("until", "Only before.")]
        .map(|(name, about)| query(name, about, &json!({ "type": "string", "format": "date-time" })));
    let outcome = query(
        "outcome",
        "Only that ended so.",
        &json!({ "enum": ["ok", "degraded", "rejected", "quarantined", "failed"] }),
    );
    let explain = query("explain", "With explanations.", &json!({ "type": "boolean", "default": false }));
    let of_list: Vec<Json> = filters.into_iter().chain(times).chain([outcome, explain]).chain(page()).collect();
    paths.insert("/v1/decisions".into(), list("listDecisions", "Decisions, newest first", "DecisionPage", &of_list));
    paths.insert("/v1/letters".into(), list("listLetters", "Dead letters, oldest first", "LetterPage", &page()));
    paths.insert("/v1/models".into(), list("listModels", "Models with their loaded versions", "Models", &[]));
    paths.insert("/v1/systems".into(), list("listSystems", "Systems and how they do", "Systems", &[]));
    paths.insert("/v1/letters/{id}/retry".into(), retry());
    status::add(paths);
    reviews::add(paths, &page());
    paths.insert("/graphql".into(), graphql());
}

/// A batch of an integration.
pub(super) fn batch(one: &IntegrationPlan, input: &str) -> Json {
    let input = json!({ "$ref": format!("#/components/schemas/{input}") });
    let record = json!({ "description": "An input, or an input with its idempotency key.", "anyOf": [
        input,
        { "type": "object", "required": ["input"], "additionalProperties": false,
          "properties": { "input": input, "idempotency_key": key() } },
    ] });
    let whole = json!({ "type": "object", "required": ["inputs"], "additionalProperties": false,
        "properties": { "inputs": { "type": "array", "items": record } } });
    let mut responses = problems(&["400", "401", "403", "404", "408", "413", "415", "429"]);
    responses.insert("200".into(), json!({
        "description": "A line (or member of `results`) for each record in its order, and a summary.",
        "headers": { "tendon-batch-size": { "description": "Records that are asked at once.", "schema": { "type": "string" } } },
        "content": {
            "application/json": { "schema": { "type": "object", "required": ["results", "summary"], "properties": {
                "results": { "type": "array", "items": { "$ref": "#/components/schemas/BatchLine" } },
                "summary": { "$ref": "#/components/schemas/BatchSummary" } } } },
            "application/x-ndjson": { "schema": { "type": "string", "description":
                "JSON texts, a line each: `BatchLine`, at the end `{\"summary\": BatchSummary}`." } },
        },
    }));
    json!({
        "operationId": format!("batch-{}", one.name),
        "summary": format!("Many questions at once: {}", one.purpose),
        "tags": [one.name],
        "parameters": [
            header("Idempotency-Key", "Each record's key is this one with `#` and its number, where it has none of its own.", &key()),
            header("tendon-timeout-ms", "Time that each group of records has, in milliseconds.", &milliseconds()),
            query("explain", "Explain the decisions in the answers.", &json!({ "type": "boolean", "default": false })),
        ],
        "requestBody": { "required": true, "content": {
            "application/json": { "schema": whole, "example": { "inputs": [example(&one.input.schema)] } },
            "application/x-ndjson": { "schema": { "type": "string", "description": "A record in each line." } },
        } },
        "responses": responses,
    })
}

/// An idempotency key.
pub(super) fn key() -> Json {
    json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$" })
}

/// Time in milliseconds, up to a day.
pub(super) fn milliseconds() -> Json {
    json!({ "type": "number", "minimum": 0, "maximum": 86_400_000 })
}

/// A header that may be sent.
pub(super) fn header(name: &str, about: &str, schema: &Json) -> Json {
    json!({ "name": name, "in": "header", "required": false, "description": about, "schema": schema })
}

/// A parameter behind the `?`.
pub(super) fn query(name: &str, about: &str, schema: &Json) -> Json {
    json!({ "name": name, "in": "query", "required": false, "description": about, "schema": schema })
}

/// `true` or `false` behind the `?`.
pub(super) fn flag(name: &str, about: &str) -> Json {
    query(name, about, &json!({ "type": "boolean", "default": false }))
}

/// What every whole number keeps to: 64 bits, where its field says nothing narrower.
pub(super) fn int64(schema: &mut Map<String, Json>) {
    schema.insert("format".into(), json!("int64"));
    schema.entry("minimum").or_insert(json!(i64::MIN));
    schema.entry("maximum").or_insert(json!(i64::MAX));
}

fn text() -> Json {
    json!({ "type": "string" })
}

fn page() -> [Json; 2] {
    [
        query(
            "limit",
            "Rows of the page.",
            &json!({ "type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": 50 }),
        ),
        query(
            "cursor",
            "`next` of the page before, with the same filters; also in the header `Link`.",
            &json!({ "type": "string", "minLength": 1 }),
        ),
    ]
}

/// A list.
pub(super) fn list(operation: &str, about: &str, schema: &str, parameters: &[Json]) -> Json {
    let mut responses = problems(&["400", "401", "403", "429"]);
    responses.insert(
        "200".into(),
        json!({
            "description": about,
            "headers": {
                "Link": { "description": "`<…>; rel=\"next\"`, where there is a next page.", "schema": text() },
            },
            "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } },
        }),
    );
    responses.insert(
        "304".into(),
        json!({ "description": "Nothing has changed since the answer with the ETag in `If-None-Match`." }),
    );
    json!({ "get": { "operationId": operation, "summary": about, "parameters": parameters, "responses": responses } })
}

fn retry() -> Json {
    let id = json!({ "name": "id", "in": "path", "required": true, "description": "Id of the letter, as the list has it.",
        "schema": { "type": "string", "pattern": "^[0-9]{1,18}-([0-9]{1,4}|[1-5][0-9]{4}|65535)$" } });
    let mut responses = problems(&["400", "401", "403", "404", "410", "429", "503"]);
    responses.insert("202".into(), json!({ "description": "Put back to work.", "content": { "application/json": { "schema": {
        "type": "object", "required": ["letter", "decision", "state"],
        "properties": { "letter": text(), "decision": { "type": "string", "format": "uuid" }, "state": text() } } } } }));
    json!({ "parameters": [id], "post": { "operationId": "retryLetter", "summary": "Tries a dead letter again; needs the scope `operate`",
        "responses": responses } })
}

fn graphql() -> Json {
    let answer = json!({ "type": "object", "properties": {
        "data": { "type": ["object", "null"] }, "errors": { "type": "array", "items": { "type": "object" } } } });
    let content = json!({
        "application/graphql-response+json": { "schema": answer }, "application/json": { "schema": answer } });
    let responses = |more: &[&str]| {
        let mut responses = problems(&[&["401", "408", "429"], more].concat());
        responses.insert(
            "200".into(),
            json!({ "description": "Done, as far as `errors` do not say otherwise.", "content": content }),
        );
        responses.insert(
            "400".into(),
            json!({ "description": "Refused as a whole; `errors` say why.", "content": {
            "application/graphql-response+json": { "schema": answer }, "application/json": { "schema": answer },
            "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } }),
        );
        responses
    };
    let mut of_get = responses(&[]);
    of_get.insert("405".into(), json!({ "description": "A mutation was asked for.", "content": content }));
    if let Some(content) = of_get.get_mut("200").and_then(|good| good.get_mut("content")) {
        content["text/plain"] = json!({ "schema": text() });
    }
    let parameters: Vec<Json> = [
        ("query", "The operation, which may change nothing."),
        ("operationName", "Which of several operations."),
        ("variables", "A JSON object."),
        ("sdl", "Given, even empty: the text of the schema instead."),
    ]
    .iter()
    .map(|(name, about)| query(name, about, &text()))
    .collect();
    json!({
        "get": { "operationId": "queryGraphql", "summary": "A GraphQL query, or the schema", "parameters": parameters, "responses": of_get },
        "post": { "operationId": "graphql", "summary": "A GraphQL operation",
            "parameters": [header("tendon-timeout-ms", "Time the request has, in milliseconds.", &milliseconds())],
            "requestBody": { "required": true, "content": { "application/json": {
                "schema": { "type": "object", "required": ["query"], "properties": {
                    "query": text(), "operationName": { "type": ["string", "null"] }, "variables": { "type": ["object", "null"] } } },
                "example": { "query": "{ project }" } } } },
            "responses": responses(&["413", "415"]) },
    })
}

/// Schemas of what is answered.
pub(super) fn schemas() -> Map<String, Json> {
    let time = json!({ "type": "string", "format": "date-time" });
    let next =
        json!({ "type": ["string", "null"], "description": "The cursor of the next page; null: this is the last." });
    let Json::Object(schemas) = json!({
        "DecisionPage": { "type": "object", "required": ["decisions", "next"], "properties": {
            "decisions": { "type": "array", "items": { "$ref": "#/components/schemas/DecisionRow" } }, "next": next } },
        "DecisionRow": {
            "type": "object", "required": ["id", "seq", "at", "integration", "outcome", "caller", "erased"],
            "properties": {
                "id": { "type": "string", "format": "uuid" }, "seq": { "type": "integer" }, "at": time, "integration": text(),
                "outcome": text(), "caller": text(), "erased": { "type": "boolean" }, "model": { "type": "object" },
                "decision": { "$ref": "#/components/schemas/Decision" },
                "review": { "$ref": "#/components/schemas/ReviewState" },
                "explanation": { "$ref": "#/components/schemas/Explanation" } } },
        "LetterPage": { "type": "object", "required": ["letters", "next"], "properties": {
            "letters": { "type": "array", "items": { "type": "object",
                "required": ["id", "integration", "decision", "system", "code", "message", "at"],
                "properties": { "id": text(), "integration": text(), "decision": text(), "system": text(), "code": text(),
                    "message": text(), "at": time } } }, "next": next } },
        "Models": { "type": "object", "required": ["models"], "properties": { "models": { "type": "array", "items": {
            "type": "object", "required": ["name", "versions", "aliases", "integrations"], "properties": {
                "name": text(), "aliases": { "type": "object", "additionalProperties": text() }, "versions": { "type": "array", "items": { "type": "object" } },
                "integrations": { "type": "array", "items": { "type": "object" } } } } } } },
        "Systems": { "type": "object", "required": ["systems"], "properties": { "systems": { "type": "array", "items": {
            "type": "object", "required": ["name", "kind", "breaker", "waiting", "more"], "properties": {
                "name": text(), "kind": text(), "breaker": text(), "last_failure": { "type": ["string", "null"] },
                "waiting": { "type": "integer" }, "more": { "type": "boolean" }, "oldest": { "type": ["string", "null"] } } } } } },
        "BatchLine": { "type": "object", "required": ["index"], "properties": {
            "index": { "type": "integer" }, "replayed": { "type": "boolean" },
            "decision": { "$ref": "#/components/schemas/Decision" }, "error": { "$ref": "#/components/schemas/Problem" } } },
        "BatchSummary": { "type": "object", "required": ["records", "ok", "errors", "complete"], "properties": {
            "records": { "type": "integer" }, "ok": { "type": "integer" }, "errors": { "type": "integer" },
            "complete": { "type": "boolean" }, "error": { "$ref": "#/components/schemas/Problem" } } },
    }) else {
        return Map::new();
    };
    schemas
}
