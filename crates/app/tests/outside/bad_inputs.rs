//! Whatever a caller sends, the answer is a problem document that says what is wrong and where; exactly what was asked of the
//! path is in the ledger, and the process goes on.

use serde_json::{Value as Json, json};

use crate::harness::{Answer, Client, Project, Setup, input};

/// One bad request.
struct Case {
    name: &'static str,
    integration: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    pointer: Option<&'static str>,
    /// Whether the path was asked, so that the refusal is a decision of the ledger.
    decided: bool,
}

/// Refused before the path: no decision.
fn refused(name: &'static str, body: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Case {
    let (integration, headers, pointer) = ("lead-score", Vec::new(), None);
    Case { name, integration, headers, body: body.into(), status, code, pointer, decided: false }
}

/// Rejected by the path: a decision.
fn rejected(name: &'static str, body: impl Into<Vec<u8>>, code: &'static str, pointer: &'static str) -> Case {
    Case { pointer: Some(pointer), decided: true, ..refused(name, body, 422, code) }
}

fn good() -> String {
    input(1).to_string()
}

/// A good input with one member replaced by a text that need not be JSON.
fn with(field: &str, text: &str) -> String {
    let mut body = input(1);
    body["input"][field] = json!("@");
    body.to_string().replace("\"@\"", text)
}

fn without(field: &str) -> String {
    let mut body = input(1);
    body["input"].as_object_mut().unwrap().remove(field);
    body.to_string()
}

fn bodies() -> Vec<Case> {
    let deep = format!("{{\"input\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let mut no_utf8 = with("job", "\"x\"").into_bytes();
    let at = no_utf8.iter().rposition(|byte| *byte == b'x').unwrap();
    no_utf8[at] = 0xff;
    vec![
        refused("no body", "", 400, "malformed_json"),
        refused("half a body", r#"{"input": {"id": 1"#, 400, "malformed_json"),
        refused("no object", "[1, 2]", 400, "malformed_json"),
        refused("something behind", format!("{} x", good()), 400, "malformed_json"),
        refused("invalid UTF-8", no_utf8, 400, "malformed_json"),
        Case { pointer: Some("/input"), ..refused("input twice", r#"{"input":{},"input":{}}"#, 400, "malformed_json") },
        Case { pointer: Some(""), ..refused("no input", "{}", 400, "input_missing") },
        Case { pointer: Some("/inputs"), ..refused("misspelt input", r#"{"inputs":{}}"#, 400, "unknown_member") },
        Case { pointer: Some("/input"), ..refused("deep nesting", deep, 400, "too_deep") },
        refused("huge body", format!("{{\"input\":\"{}\"}}", "x".repeat(1 << 20)), 413, "body_too_large"),
        rejected("input is a list", r#"{"input":[1]}"#, "not_an_object", "/input"),
        rejected("comma too many", r#"{"input":{"id":1,}}"#, "malformed_json", "/input"),
        rejected("NaN", with("age", "NaN"), "malformed_json", "/input"),
        rejected("Infinity", with("age", "-Infinity"), "malformed_json", "/input"),
        rejected("beyond doubles", with("balance", "1e999"), "malformed_json", "/input"),
        rejected("control character", with("job", "\"a\u{1}b\""), "malformed_json", "/input"),
        rejected("half a surrogate", with("job", "\"\\ud800\""), "malformed_json", "/input"),
        rejected("duplicate field", with("age", "1,\"age\":2"), "duplicate_field", "/input/age"),
        rejected("missing field", without("month"), "missing_field", "/input/month"),
        rejected("null for required", with("month", "null"), "missing_field", "/input/month"),
        rejected("unknown field", with("agee", "5"), "unknown_field", "/input/agee"),
        rejected("pointer characters", with("a~/b", "5"), "unknown_field", "/input/a~0~1b"),
        rejected("text for a number", with("age", "\"58\""), "wrong_type", "/input/age"),
        rejected("number for a text", with("job", "5"), "wrong_type", "/input/job"),
        rejected("a fraction", with("age", "58.5"), "wrong_type", "/input/age"),
        rejected("a bool", with("age", "true"), "wrong_type", "/input/age"),
        rejected("nested", with("age", "{\"a\":[1]}"), "wrong_type", "/input/age"),
        rejected("beyond 64 bits", with("age", "9223372036854775808"), "out_of_range", "/input/age"),
    ]
}

fn heads(reader: &str, other: &str, revoked: &str) -> Vec<Case> {
    let case = |name, header: &'static str, value: &str, status, code| Case {
        headers: vec![(header, value.to_owned())],
        ..refused(name, good(), status, code)
    };
    let bearer = |key: &str| format!("Bearer {key}");
    let mut mistyped = bearer(reader);
    mistyped.pop();
    vec![
        case("no key", "authorization", "", 401, "key_missing"),
        case("another scheme", "authorization", "Basic YTpi", 401, "key_not_recognised"),
        case("foreign key", "authorization", "Bearer sk-live-1", 401, "key_not_recognised"),
        case("mistyped key", "authorization", &mistyped, 401, "key_mistyped"),
        case("revoked key", "authorization", &bearer(revoked), 401, "key_unknown"),
        case("only reads", "authorization", &bearer(reader), 403, "integration_forbidden"),
        case("other integration's key", "authorization", &bearer(other), 403, "integration_forbidden"),
        case("deadline passed", "tendon-timeout-ms", "0", 408, "deadline_passed"),
        case("deadline is no number", "tendon-timeout-ms", "soon", 400, "timeout_header"),
        case("negative deadline", "request-timeout", "-1", 400, "timeout_header"),
        case("another content type", "content-type", "text/csv", 415, "not_json"),
        case("empty idempotency key", "idempotency-key", "", 400, "idempotency_key"),
        case("long idempotency key", "idempotency-key", &"k".repeat(256), 400, "idempotency_key"),
        Case { integration: "leed-score", ..refused("unknown integration", good(), 404, "integration_unknown") },
        Case { integration: "lead-score/x", ..refused("unknown address", good(), 404, "no_route") },
    ]
}

fn ask(client: &Client, case: &Case) -> Answer {
    let path = format!("/v1/integrations/{}/decisions", case.integration);
    let bearer = format!("Bearer {}", client.key);
    let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
    for (name, value) in &case.headers {
        headers.retain(|(known, _)| known != name);
        // An empty key means no key at all.
        if *name != "authorization" || !value.is_empty() {
            headers.push((name, value));
        }
    }
    client.ask("POST", &path, &headers, &case.body).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

fn judge(case: &Case, answer: &Answer) -> Vec<String> {
    let problem = answer.json();
    let mut wrong = Vec::new();
    let mut same = |what: &str, found: &Json, wanted: Json| {
        if *found != wanted {
            wrong.push(format!("{}: {what} is {found}, should be {wanted}: {problem}", case.name));
        }
    };
    same("status", &json!(answer.status), json!(case.status));
    same("status member", &problem["status"], json!(case.status));
    same("content type", &json!(answer.header("content-type")), json!("application/problem+json"));
    same("code", &problem["code"], json!(case.code));
    same("pointer", &problem["pointer"], json!(case.pointer));
    same("request id", &problem["request_id"], json!(answer.header("x-request-id")));
    same("retryable", &problem["retryable"], json!(case.status == 408));
    same("a decision's id", &json!(problem["decision_id"].is_string()), json!(case.decided));
    same("the header with it", &json!(!answer.header("tendon-decision-id").is_empty()), json!(case.decided));
    same("challenge", &json!(!answer.header("www-authenticate").is_empty()), json!(case.status == 401));
    for member in ["type", "title", "detail"] {
        same(member, &json!(problem[member].as_str().is_some_and(|text| !text.is_empty())), json!(true));
    }
    wrong
}

#[test]
fn each_bad_request_is_told_what_is_wrong_and_recorded_once_or_not_at_all() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    project.write(
        "integrations/other.yaml",
        "integration: other\npurpose: another one\nowner: me\nmodel: lead-score\ndoors: { api: {} }\n",
    );
    let server = project.up();
    let client = server.client(&project.key("all", &[]));
    let (reader, other) = (project.key("reader", &["read"]), project.key("other", &["decide:other"]));
    let revoked = project.key("revoked", &[]);
    project.json(&["keys", "revoke", "revoked"]);

    let mut cases = bodies();
    cases.extend(heads(&reader, &other, &revoked));
    let mut wrong = Vec::new();
    let mut expected = project.decisions();
    for case in &cases {
        wrong.extend(judge(case, &ask(&client, case)));
        expected += usize::from(case.decided);
        let found = project.decisions();
        if found != expected {
            wrong.push(format!("{}: the ledger holds {found} decisions, should hold {expected}", case.name));
            expected = found;
        }
    }
    assert!(wrong.is_empty(), "{} of {} checks failed:\n{}", wrong.len(), cases.len(), wrong.join("\n"));

    let healthy = client.decide(&input(1), None);
    assert_eq!((healthy.status, server.readyz().0), (200, 200));
    assert_eq!(project.decisions(), expected + 1);
    server.stop();
    project.verify();
}

#[test]
fn a_decision_is_read_by_whoever_asked_and_by_readers_only() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let server = project.up();
    let mine = server.client(&project.key("mine", &["decide:lead-score"]));
    let others = server.client(&project.key("others", &["decide:*"]));
    let reader = server.client(&project.key("reader", &["read"]));
    let id = mine.decide(&input(3), None).json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/decisions/{id}");
    assert_eq!(mine.get(&path).status, 200);
    assert_eq!(reader.get(&path).status, 200);
    let refused = others.get(&path);
    assert_eq!((refused.status, refused.json()["code"].as_str()), (403, Some("scope_missing")));
    assert_eq!(mine.ask("GET", &path, &[], b"").unwrap().status, 401);
    let unknown = reader.get("/v1/decisions/01a1fd13-7afe-7900-9601-2a9fec236514");
    assert_eq!((unknown.status, unknown.json()["code"].as_str()), (404, Some("decision_not_found")));
    let no_id = reader.get("/v1/decisions/17");
    assert_eq!((no_id.status, no_id.header("content-type")), (400, "application/problem+json"));
    let wrong_method = reader.ask("DELETE", &path, &[], b"").unwrap();
    assert_eq!((wrong_method.status, wrong_method.json()["code"].as_str()), (405, Some("wrong_method")));
}
