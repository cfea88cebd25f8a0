//! The headers in the OpenAPI document: those of every answer to a caller with credentials, those that a status brings along, and
//! what a conditional read is asked with. They are described once, and every answer refers to them.

use serde_json::{Map, Value as Json, json};

use super::paths;

/// Name, whether it always stands there, and what it says.
type Header = (&'static str, bool, &'static str);

const REQUEST_ID: Header =
    ("x-request-id", true, "Id of this request: the one that came with it, where it is harmless, else a new one.");
const TIMING: Header = (
    "server-timing",
    true,
    "How long it took in milliseconds: `total`, and where a decision was made each stage of it.",
);
const POLICY: Header = (
    "ratelimit-policy",
    false,
    "Where the caller has limits: `\"rate\";q=100;w=1` is 100 requests in 1 second, `\"day\"` a quota of decisions.",
);
const LEFT: Header =
    ("ratelimit", false, "What is left of them: `\"rate\";r=99;t=1` is 99, and all of it again in 1 second.");
const CHALLENGE: Header = ("www-authenticate", true, "Which credentials are asked for.");
const RETRY: Header = ("retry-after", true, "Seconds after which asking again makes sense.");
const TAG: Header =
    ("etag", false, "Names this state of what was read; sent back as `if-none-match` it spares the body.");
const ALL: [Header; 7] = [REQUEST_ID, TIMING, POLICY, LEFT, CHALLENGE, RETRY, TAG];

/// Their descriptions.
pub(super) fn components() -> Map<String, Json> {
    let header = |(name, always, about): Header| {
        (name.to_owned(), json!({ "description": about, "required": always, "schema": { "type": "string" } }))
    };
    ALL.into_iter().map(header).collect()
}

/// Tells each operation that asks for credentials which headers its answers have.
pub(super) fn add(paths: &mut Map<String, Json>) {
    for item in paths.values_mut() {
        for method in ["get", "post"] {
            let Some(operation) = item.get_mut(method).and_then(Json::as_object_mut) else { continue };
            let open = operation.get("security").and_then(Json::as_array).is_some_and(Vec::is_empty);
            if open {
                continue;
            }
            let responses = operation.get_mut("responses").and_then(Json::as_object_mut);
            let mut conditional = false;
            for (status, response) in responses.into_iter().flatten().filter(|(_, one)| one.get("$ref").is_none()) {
                of(status, response);
                conditional |= status == "304";
            }
            if conditional {
                read_again(operation);
            }
        }
    }
}

/// Adds what an answer of this status has, unless the answer says it in its own words.
pub(super) fn of(status: &str, response: &mut Json) {
    let more: &[Header] = match status {
        "401" => &[CHALLENGE],
        "429" | "503" => &[RETRY],
        _ => &[],
    };
    if response.get("headers").is_none() {
        response["headers"] = json!({});
    }
    if let Some(headers) = response.get_mut("headers").and_then(Json::as_object_mut) {
        for (name, ..) in [REQUEST_ID, TIMING, POLICY, LEFT].iter().chain(more) {
            refer(headers, name);
        }
    }
}

fn refer(headers: &mut Map<String, Json>, name: &str) {
    let known = headers.keys().any(|key| key.eq_ignore_ascii_case(name));
    if !known {
        headers.insert(name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    }
}

/// A read that tells its tag, and may be asked with it.
fn read_again(operation: &mut Map<String, Json>) {
    let tag = paths::header(
        "if-none-match",
        "The `etag` of an answer that is at hand: 304 without a body, while it still holds.",
        &json!({ "type": "string" }),
    );
    match operation.get_mut("parameters").and_then(Json::as_array_mut) {
        Some(parameters) => parameters.push(tag),
        None => drop(operation.insert("parameters".to_owned(), json!([tag]))),
    }
    for status in ["200", "304"] {
        let response = operation.get_mut("responses").and_then(|all| all.get_mut(status));
        let headers = response.and_then(|response| response.get_mut("headers")).and_then(Json::as_object_mut);
        headers.into_iter().for_each(|headers| refer(headers, TAG.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_brings_credentials_is_told_and_own_words_stay() {
        let read = json!({ "responses": { "200": { "headers": { "ETag": { "description": "own" } } }, "304": {},
            "401": { "$ref": "#" } } });
        let open = json!({ "security": [], "responses": { "200": {} } });
        let given = json!({ "/a": { "get": read, "post": { "responses": { "202": {} } } }, "/b": { "get": open } });
        let mut paths = given.as_object().cloned().unwrap_or_default();
        add(&mut paths);
        let headers = |path: &str, method: &str, status: &str| {
            let headers = paths[path][method]["responses"][status]["headers"].as_object();
            headers.map(|headers| headers.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
        };
        let always = ["ratelimit", "ratelimit-policy", "server-timing", "x-request-id"];
        assert_eq!(headers("/a", "get", "200"), [&["ETag"], &always[..]].concat());
        assert_eq!(paths["/a"]["get"]["responses"]["200"]["headers"]["ETag"]["description"], "own");
        assert_eq!(headers("/a", "get", "304"), [&["etag"], &always[..]].concat());
        assert_eq!(headers("/a", "post", "202"), always);
        assert!(headers("/b", "get", "200").is_empty() && headers("/a", "get", "401").is_empty());
        assert_eq!(paths["/a"]["get"]["parameters"][0]["name"], "if-none-match");
        assert!(paths["/a"]["post"].get("parameters").is_none());
        let mut refused = json!({});
        of("429", &mut refused);
        assert_eq!(refused["headers"]["retry-after"]["$ref"], "#/components/headers/retry-after");
        assert!(components().contains_key("retry-after"));
    }
}
