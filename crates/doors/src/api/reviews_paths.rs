//! The part of the OpenAPI document about what waits for a person.

use serde_json::{Map, Value as Json, json};

use super::{
    openapi::{problems, read},
    paths::{list, query},
};

/// Adds the addresses.
pub(super) fn add(paths: &mut Map<String, Json>, page: &[Json]) {
    let only = query("integration", "Only of this integration.", &json!({ "type": "string", "minLength": 1 }));
    let of_list: Vec<Json> = std::iter::once(only).chain(page.iter().cloned()).collect();
    let about = "What waits for a person, oldest first; needs the scope `review:…`";
    paths.insert("/v1/reviews".into(), list("listReviews", about, "ReviewPage", &of_list));
    let id = json!({ "name": "id", "in": "path", "required": true, "description": "Id of the decision.",
        "schema": { "type": "string", "format": "uuid" } });
    let get = read("getReview", "A review with its input, whether it waits or was answered", "Review", &["404", "410"]);
    paths.insert("/v1/reviews/{id}".into(), json!({ "parameters": [id], "get": get }));
    for (verb, about, output) in [
        ("approve", "The output that was recorded stands, and is delivered", false),
        ("override", "Another output stands, and is delivered", true),
        ("reject", "There is no output, and nothing is written back", false),
    ] {
        paths.insert(
            format!("/v1/reviews/{{id}}/{verb}"),
            json!({ "parameters": [id], "post": post(verb, about, output) }),
        );
    }
}

fn post(verb: &str, about: &str, output: bool) -> Json {
    let text = |about: &str| json!({ "type": ["string", "null"], "maxLength": 500, "description": about });
    let mut properties = json!({
        "by": text("Who says so, where it is another than the caller. Sealed with the decision."),
        "note": text("Why. Sealed with the decision."),
    });
    let (mut required, mut example) = (json!([]), json!({ "note": "as agreed on the phone" }));
    if output {
        properties["output"] = json!({ "type": "number", "description": "Within the integration's range." });
        (required, example["output"]) = (json!(["output"]), json!(0.5));
    }
    let mut responses = problems(&["400", "401", "403", "404", "408", "409", "410", "413", "415", "429", "503"]);
    let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Review" } } });
    responses.insert(
        "200".into(),
        json!({ "description": "Recorded, and durable: the review as it stands now.", "content": content }),
    );
    json!({ "operationId": format!("{verb}Review"), "summary": about, "responses": responses,
        "requestBody": { "required": output, "content": { "application/json": {
            "schema": { "type": "object", "additionalProperties": false, "required": required, "properties": properties },
            "example": example } } } })
}

/// Schemas of what is answered.
pub(super) fn schemas() -> Map<String, Json> {
    let text = || json!({ "type": "string" });
    let time = || json!({ "type": "string", "format": "date-time" });
    let number = || json!({ "type": ["number", "null"] });
    let state = || json!({ "enum": ["pending", "approved", "overridden", "rejected"] });
    let Json::Object(schemas) = json!({
        "ReviewState": { "type": "object", "required": ["state", "due"], "description":
            "A person's part in a decision. While it is `pending` the answer is still to come, or, where it is `held`, not delivered.",
            "properties": { "state": state(), "due": time(), "at": time(), "held": { "type": "boolean" }, "output": number(), "band": text() } },
        "ReviewPage": { "type": "object", "required": ["reviews", "next"], "properties": {
            "reviews": { "type": "array", "items": { "$ref": "#/components/schemas/Review" } },
            "next": { "type": ["string", "null"], "description": "The cursor of the next page; null: this is the last." } } },
        "Review": { "type": "object", "required": ["id", "integration", "state", "at", "due", "outcome"], "properties": {
            "id": { "type": "string", "format": "uuid" }, "integration": text(), "state": state(), "at": time(), "due": time(),
            "outcome": text(), "output": number(), "band": text(), "subject": text(), "model": { "type": "object" },
            "why": text(), "input": { "type": ["object", "array"], "description":
                "With `GET /v1/reviews/{id}` only. A list where the plan that the row was read under was not kept." },
            "verdict": { "type": "object", "required": ["verdict", "by", "at", "caller"], "properties": {
                "verdict": { "enum": ["approve", "override", "reject"] }, "output": number(), "band": text(), "by": text(),
                "note": text(), "at": time(), "caller": text() } } } },
    }) else {
        return Map::new();
    };
    schemas
}
