//! What the OpenAPI document describes, beside what the matrix saw: a member that no question shows has not been held against anybody's
//! rights. Such members stand in `unseen.txt`; a new one fails until a question shows it, or the list says that none does.

use std::collections::BTreeSet;

use serde_json::Value as Json;

/// Members of good answers that are described and were seen by nobody, as lines of the file.
pub(super) fn unseen(document: &Json, fields: &str) -> String {
    let seen: Vec<(&str, &str)> = fields
        .lines()
        .filter_map(|line| line.split_once(" | ")?.1.split_once(" | ").map(|(path, _)| (line, path)))
        .collect();
    let mut lines = String::new();
    // Each integration has addresses of its own, which are described alike.
    let paths = document["paths"].as_object().unwrap().iter().filter(|(path, _)| !path.contains("/desk/"));
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let name = format!("{} {}", method.to_uppercase(), path.replace("lead-score", "{name}"));
            let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
            // What is told of an operation stands in lines that begin with its name, also where it is asked about more than once.
            let mine = |line: &str| line.strip_prefix(&name).is_some_and(|rest| rest.starts_with(' '));
            let mut members = BTreeSet::new();
            described(document, schema, String::new(), &mut Vec::new(), &mut members);
            for member in members {
                let shown = |path: &str| {
                    path == member || path.strip_prefix(&member).is_some_and(|rest| rest.starts_with(['.', '[']))
                };
                if !seen.iter().any(|(line, path)| mine(line) && shown(path)) {
                    lines.push_str(&format!("{name} | {member}\n"));
                }
            }
        }
    }
    lines
}

/// The members that a schema describes, as the paths that `members` makes of an answer.
fn described<'a>(
    document: &'a Json,
    schema: &'a Json,
    path: String,
    inside: &mut Vec<&'a str>,
    found: &mut BTreeSet<String>,
) {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components/schemas/")) {
        // What holds itself is described once.
        if !inside.contains(&name) {
            inside.push(name);
            described(document, &document["components"]["schemas"][name], path, inside, found);
            inside.pop();
        }
        return;
    }
    let choices = ["allOf", "anyOf", "oneOf"].iter().filter_map(|word| schema[*word].as_array()).flatten();
    let choices: Vec<&Json> = choices.collect();
    for choice in &choices {
        described(document, choice, path.clone(), inside, found);
    }
    if let Some(properties) = schema["properties"].as_object() {
        for (name, schema) in properties {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            described(document, schema, path, inside, found);
        }
    } else if !schema["items"].is_null() {
        described(document, &schema["items"], format!("{path}[]"), inside, found);
    } else if choices.is_empty() && !path.is_empty() {
        found.insert(path);
    }
}

#[test]
fn a_member_that_nobody_saw_is_told() {
    let schema = |schema: Json| {
        serde_json::json!({ "paths": { "/v1/a": { "get": { "responses": { "200": { "content": { "application/json": { "schema": schema } } } } } } },
            "components": { "schemas": { "B": { "type": "object", "properties": { "c": {}, "d": { "type": "array", "items": { "$ref": "#/components/schemas/B" } } } } } } })
    };
    let document = schema(serde_json::json!({ "properties": {
        "list": { "type": "array", "items": { "$ref": "#/components/schemas/B" } }, "next": { "anyOf": [{ "type": "null" }, { "type": "string" }] } } }));
    let seen = "GET /v1/a | list[].c | admin\nGET /v1/ab | next | admin\n";
    assert_eq!(unseen(&document, seen), "GET /v1/a | next\n");
    assert_eq!(unseen(&document, ""), "GET /v1/a | list[].c\nGET /v1/a | next\n");
}
