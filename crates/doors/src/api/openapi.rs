//! `/openapi.json`: OpenAPI 3.1, made from the plan: each integration with its own input schema and example, so that what is
//! documented is what is checked.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde_json::{Map, Value as Json, json};
use tendon_kernel::{
    Type,
    schema::{Field, Schema},
};
use tendon_plan::{IntegrationPlan, Plan};

use super::{
    Api, answer::Asked, codes::CODES, counters::Route, embed_paths, groups, headers, paths, reviews_paths, schemas,
    status,
};

/// What holds for every address.
const ABOUT: &str = "Decisions of this project's integrations. Errors are problem details (RFC 9457) with a stable code.\n\nAny request may \
     bring `x-request-id` (up to 64 printable characters), which comes back and stands in the log, and `traceparent` (W3C Trace \
     Context), which makes it a part of the caller's trace. A key is sent as `authorization: Bearer tdn_…`, never in an address.";

/// Serves the document. It names fields and rules, no data; no key is needed to read what may be asked.
pub(super) async fn get(State(api): State<Arc<Api>>, request: Request) -> Response {
    let asked = Asked::begin(&api, request.headers(), Route::Read);
    let document = document(api.engine.runtime().plan());
    asked.json(&api, StatusCode::OK, document.to_string().into_bytes())
}

/// The whole document.
pub fn document(plan: &Plan) -> Json {
    let mut paths = Map::new();
    for one in plan.integrations.values().filter(|one| one.api.is_some()) {
        paths.insert(format!("/v1/integrations/{}/decisions", one.name), json!({ "post": decide(one) }));
        let batches = format!("/v1/integrations/{}/batches", one.name);
        paths.insert(batches, json!({ "post": paths::batch(one, &input_name(one)) }));
    }
    let id = json!({ "name": "id", "in": "path", "required": true, "description": "Id of the decision.",
        "schema": { "type": "string", "format": "uuid" } });
    let mut get = read(
        "getDecision",
        "A decision as it was answered, and where its deliveries stand",
        "Recorded",
        &["404", "410"],
    );
    get["parameters"] = json!([paths::flag("explain", "With the explanation.")]);
    get["responses"]["202"] = later(
        "The answer is still to come: look again. `Pending`: the request is accepted, and not decided yet. `Recorded`: a \
         person has to answer (`review`).",
        &["Pending", "Recorded"],
    );
    paths.insert("/v1/decisions/{id}".into(), json!({ "parameters": [id], "get": get }));
    paths.insert(
        "/v1/decisions/{id}/explanation".into(),
        json!({ "parameters": [id], "get": read("explainDecision", "Why a decision is what it is",
            "Explanation", &["404", "410", "501", "503"]) }),
    );
    paths.insert(
        "/v1/integrations".into(),
        paths::list("listIntegrations", "What can be asked here", "Integrations", &[]),
    );
    paths::add(&mut paths);
    embed_paths::add(plan, &mut paths);
    for (path, about, kind) in [
        ("/openapi.json", "This document", "application/json"),
        ("/metrics", "Counts in the Prometheus text format", "text/plain"),
        ("/livez", "The process answers", "text/plain"),
        ("/readyz", "Whether decisions can be answered now, part by part", "application/json"),
        ("/docs", "A page that shows this document and asks what stands in it", "text/html"),
        ("/docs/style.css", "How that page looks", "text/css"),
        ("/docs/script.js", "What that page does", "text/javascript"),
        ("/embed/badge.js", "The badge, as a web component", "text/javascript"),
        ("/embed/frame", "The badge, as a page for an iframe", "text/html"),
        ("/embed/frame.js", "What that page does", "text/javascript"),
    ] {
        paths.insert(path.into(), json!({ "get": open(path, about, kind) }));
    }
    let tags = groups::grouped(&mut paths);
    headers::add(&mut paths);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("Tendon: {}", plan.project),
            "version": plan.digest.get(..12).unwrap_or(&plan.digest),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "key": [] }],
        "tags": tags,
        "paths": paths,
        "components": components(plan),
    })
}

fn decide(one: &IntegrationPlan) -> Json {
    let mut responses =
        problems(&["400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "501", "503", "504"]);
    responses.insert(
        "200".into(),
        json!({
            "description": "The decision; recorded before it was answered.",
            "headers": {
                "tendon-decision-id": { "description": "Id of the decision.", "schema": { "type": "string" } },
                "idempotent-replayed": { "description": "`true`: the stored answer to an earlier request.",
                    "schema": { "type": "string" } },
            },
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Decision" } } },
        }),
    );
    responses.insert(
        "202".into(),
        later(
            "The answer is still to come. `Accepted`: with `Prefer: respond-async`, durable, to be decided later. `Decision`: \
             recorded without an output, because a person has to answer (`review`).",
            &["Accepted", "Decision"],
        ),
    );
    json!({
        "operationId": format!("decide-{}", one.name),
        "summary": format!("One question: {}", one.purpose),
        "description": format!("Asks `{}@{}`. Answerable: {}.", one.model, one.alias, one.owner),
        "tags": [one.name],
        "parameters": [
            paths::header("Idempotency-Key", "The same key with the same input gives the stored answer; with another input, 409.",
                &paths::key()),
            paths::header("tendon-timeout-ms", "Time the request has, in milliseconds; or `request-timeout`, in seconds.", &paths::milliseconds()),
            paths::header("Prefer", "RFC 7240. `respond-async`: 202 at once, and the decision later where `Location` says; with `wait=N`, only if it \
                is not made within N seconds (at most 60).", &json!({ "type": "string", "examples": ["respond-async", "respond-async, wait=5"] })),
            paths::flag("explain", "Explain the decision in the answer."),
        ],
        "requestBody": {
            "required": true,
            "content": { "application/json": {
                "schema": {
                    "type": "object", "required": ["input"], "additionalProperties": false,
                    "properties": members(one),
                },
                "example": { "input": example(&one.input.schema) },
            } },
        },
        "responses": responses,
    })
}

/// What may stand in a question.
fn members(one: &IntegrationPlan) -> Json {
    let mut members = json!({ "input": { "$ref": format!("#/components/schemas/{}", input_name(one)) } });
    if one.api.as_ref().is_some_and(|api| !api.callbacks.is_empty()) {
        members["callback"] = json!({ "type": "string", "format": "uri", "description":
            "With `Prefer: respond-async`: where to be told of the decision, as a signed CloudEvent (Standard Webhooks). Only \
             addresses that the integration declares are called." });
    }
    members
}

/// An answer that says where the decision will be.
fn later(about: &str, schemas: &[&str]) -> Json {
    let schemas = schemas.iter().map(|schema| json!({ "$ref": format!("#/components/schemas/{schema}") }));
    let header = |about: &str| json!({ "description": about, "schema": { "type": "string" } });
    json!({
        "description": about,
        "headers": {
            "Location": header("Where the decision is, or will be: `/v1/decisions/{id}`."),
            "Retry-After": header("Seconds after which looking makes sense."),
            "Preference-Applied": header("What was followed of `Prefer`."),
            "tendon-decision-id": header("Id that the decision has, or will have."),
        },
        "content": { "application/json": { "schema": { "anyOf": schemas.collect::<Vec<_>>() } } },
    })
}

fn input_name(one: &IntegrationPlan) -> String {
    format!("{}-input", one.name)
}

pub(super) fn read(operation: &str, about: &str, schema: &str, more: &[&str]) -> Json {
    let mut responses = problems(&[&["400", "401", "403", "429"], more].concat());
    responses.insert(
        "200".into(),
        json!({ "description": about,
            "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } } }),
    );
    let unchanged = "Nothing has changed since the answer with the ETag in `If-None-Match`.";
    responses.insert("304".into(), json!({ "description": unchanged }));
    json!({ "operationId": operation, "summary": about, "responses": responses })
}

fn open(path: &str, about: &str, kind: &str) -> Json {
    let schema = if kind.starts_with("text/") { json!({ "type": "string" }) } else { json!({ "type": "object" }) };
    let content = json!({ kind: { "schema": schema } });
    let mut responses = Map::new();
    responses.insert("200".into(), json!({ "description": about, "content": content }));
    if path.starts_with("/docs") || path.starts_with("/embed") {
        let unchanged = "Nothing has changed since the answer with the ETag in `If-None-Match`.";
        responses.insert("304".into(), json!({ "description": unchanged }));
    }
    if path == "/readyz" {
        responses
            .insert("503".into(), json!({ "description": "Not able to answer decisions now", "content": content }));
    }
    json!({ "operationId": path.trim_start_matches('/'), "summary": about, "security": [], "responses": responses })
}

/// Answers with problem details.
pub(super) fn problems(statuses: &[&str]) -> Map<String, Json> {
    let name = |status: &&str| ((*status).to_owned(), json!({ "$ref": format!("#/components/responses/{status}") }));
    statuses.iter().map(name).collect()
}

fn components(plan: &Plan) -> Json {
    let mut schemas = Map::new();
    for one in plan.integrations.values().filter(|one| one.api.is_some()) {
        schemas.insert(input_name(one), input_schema(one));
    }
    schemas.extend(schemas::fixed());
    schemas.extend(schemas::later());
    schemas.extend(paths::schemas());
    schemas.extend(status::schemas());
    schemas.extend(reviews_paths::schemas());
    schemas.extend(embed_paths::schemas());
    let mut responses = Map::new();
    let mut codes = Map::new();
    for (code, statuses, about) in CODES {
        codes.insert((*code).into(), json!({ "statuses": statuses, "about": about }));
        for status in *statuses {
            let response = responses.entry(status.to_string()).or_insert_with(|| {
                json!({ "description": "", "content": { "application/problem+json": {
                    "schema": { "$ref": "#/components/schemas/Problem" } } } })
            });
            if let Some(Json::String(text)) = response.get_mut("description") {
                text.push_str(&format!("`{code}`: {about}. "));
            }
        }
    }
    responses.iter_mut().for_each(|(status, response)| headers::of(status, response));
    json!({
        "schemas": schemas,
        "headers": headers::components(),
        "responses": responses,
        "securitySchemes": { "key": { "type": "http", "scheme": "bearer",
            "description": "An API key `tdn_…`, made by `tendon keys create`." }, "badge": embed_paths::scheme() },
        "x-problem-codes": codes,
    })
}

/// JSON Schema of an integration's input.
pub(crate) fn input_schema(one: &IntegrationPlan) -> Json {
    let defaulted: Vec<usize> = one.input.defaults.iter().map(|(at, _)| *at).collect();
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (at, field) in one.input.schema.fields.iter().enumerate() {
        properties.insert(field.name.to_string(), field_schema(field));
        if field.required && !defaulted.contains(&at) {
            required.push(field.name.clone());
        }
    }
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn field_schema(field: &Field) -> Json {
    let mut schema = Map::new();
    let kind = match field.kind {
        Type::Bool => "boolean",
        Type::Int => "integer",
        Type::Float => "number",
        Type::Text | Type::Time => "string",
    };
    schema.insert("type".into(), if field.required { json!(kind) } else { json!([kind, "null"]) });
    if field.kind == Type::Time {
        schema.insert("format".into(), json!("date-time"));
    }
    if !field.values.is_empty() {
        let null = (!field.required).then_some(Json::Null);
        let values: Vec<Json> = field.values.iter().map(|value| json!(value)).chain(null).collect();
        schema.insert("enum".into(), values.into());
    }
    if let Some((low, high)) = field.range {
        for (name, bound) in [("minimum", low), ("maximum", high)] {
            if bound.is_finite() {
                schema.insert(name.into(), json!(bound));
            }
        }
    }
    if field.kind == Type::Int {
        paths::int64(&mut schema);
    }
    if let Some(pattern) = &field.pattern {
        schema.insert("pattern".into(), json!(format!("^(?:{pattern})$")));
    }
    if let Some(length) = field.max_length {
        schema.insert("maxLength".into(), json!(length));
    }
    let unit = field.unit.as_ref().map(|unit| format!("Unit: {unit}."));
    let personal = field.personal.then(|| "Personal data.".to_owned());
    let about: Vec<String> = [field.about.clone(), unit, personal].into_iter().flatten().collect();
    if !about.is_empty() {
        schema.insert("description".into(), json!(about.join(" ")));
    }
    schema.into()
}

/// An input that fits the schema. A field whose pattern nobody can guess is left out.
pub(crate) fn example(schema: &Schema) -> Json {
    let fields = schema.fields.iter().filter(|field| field.pattern.is_none() || !field.values.is_empty());
    fields.map(|field| (field.name.to_string(), example_value(field))).collect::<Map<_, _>>().into()
}

fn example_value(field: &Field) -> Json {
    if let Some(value) = field.values.first() {
        return json!(value);
    }
    let (low, high) = field.range.unwrap_or((0.0, 100.0));
    let middle = match (low.is_finite(), high.is_finite()) {
        (true, true) => f64::midpoint(low, high),
        (true, false) => low,
        (false, true) => high,
        (false, false) => 0.0,
    };
    match field.kind {
        Type::Bool => json!(true),
        #[expect(clippy::cast_possible_truncation, reason = "saturates; an example")]
        Type::Int => json!((middle.ceil().min(high)) as i64),
        Type::Float => json!(middle),
        Type::Text => {
            let text = "text";
            json!(text.get(..field.max_length.unwrap_or(text.len()).min(text.len())).unwrap_or_default())
        }
        Type::Time => json!("2026-05-17T10:00:00Z"),
    }
}
