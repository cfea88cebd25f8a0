//! What describes the service: the OpenAPI document, judged by an independent validator, and the metrics.

use std::{path::Path, process::Command};

use crate::{
    embed::{SECRET, with_badge},
    support::{PYTHON, Sandbox, body},
};

/// The second validator (npm `@seriousme/openapi-schema-validator`).
const VALIDATOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi");

#[test]
fn the_document_is_valid_and_its_example_is_accepted() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let answer = running.request("GET", "/openapi.json", &[], "");
    assert_eq!(answer.status, 200);
    let document = answer.json();
    let path = "/v1/integrations/lead-score/decisions";
    let request = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"];
    let decided = running.decide(&key, &[], &request["example"].to_string()).unwrap();
    assert_eq!(decided.status, 200, "the example of the document is accepted: {}", decided.json());
    let file = sandbox.path("openapi.json");
    std::fs::write(&file, &answer.body).unwrap();
    let validated = Command::new(PYTHON).args(["-m", "openapi_spec_validator"]).arg(&file).output();
    let validated = validated.expect("`cargo xtask setup` makes the environment with the validator");
    let said = String::from_utf8_lossy(&validated.stdout).into_owned() + &String::from_utf8_lossy(&validated.stderr);
    assert!(validated.status.success(), "{said}");
    // And by another one, which reads the document by the schema that OpenAPI itself gives.
    assert!(Path::new(VALIDATOR).join("node_modules").exists(), "it is not installed: run `cargo xtask setup`");
    let validated = Command::new("node").arg("validate.mjs").arg(&file).current_dir(VALIDATOR).output().unwrap();
    let said = String::from_utf8_lossy(&validated.stdout).into_owned() + &String::from_utf8_lossy(&validated.stderr);
    assert!(validated.status.success() && said.contains("\"valid\":true"), "{said}");
    // Every code that was met is explained in the document.
    let codes = &document["components"]["x-problem-codes"];
    for (headers, body, code) in
        [(vec![], "{".to_owned(), "malformed_json"), (vec![("tendon-timeout-ms", "0")], body(1), "deadline_passed")]
    {
        let problem = running.decide(&key, &headers, &body).unwrap().json();
        assert_eq!(problem["code"], code);
        assert!(codes[code]["statuses"].as_array().unwrap().contains(&problem["status"]), "{code}");
    }
}

/// Every address of the interface with its methods, as `rules.rs` asks them.
const RULES: &str = include_str!("../../../doors/src/api/rules.txt");

#[test]
fn every_address_is_described() {
    let sandbox = Sandbox::new(0);
    sandbox.write("badge.secret", SECRET);
    sandbox.write("integrations/lead-score.yaml", &with_badge(include_str!("support/lead-score.yaml"), "trend: 1d"));
    let running = sandbox.up();
    let document = running.request("GET", "/openapi.json", &[], "").json();
    let missing = RULES.lines().filter(|rule| {
        let (method, path) = rule.rsplit_once(' ').unwrap().0.split_once(' ').unwrap();
        document["paths"][path.replace("{name}", "lead-score")][method.to_lowercase()].is_null()
    });
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn metrics_count_what_was_answered() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    for id in 0..3 {
        assert_eq!(running.decide(&key, &[], &body(id)).unwrap().status, 200);
    }
    assert_eq!(running.decide(&key, &[], "{}").unwrap().status, 400);
    let answer = running.request("GET", "/metrics", &[], "");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = String::from_utf8(answer.body).unwrap();
    for line in [
        "tendon_http_requests_total{route=\"decide\",status=\"200\"} 3",
        "tendon_http_requests_total{route=\"decide\",status=\"400\"} 1",
        "http_server_request_duration_seconds_count{http_request_method=\"POST\",http_response_status_code=\"200\",http_route=\"/v1/integrations/{name}/decisions\"} 3",
        "tendon_ledger_stopped 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    assert_eq!(running.request("GET", "/livez", &[], "").body, b"ok\n");
    let bearer = format!("Bearer {key}");
    let list = running.request("GET", "/v1/integrations", &[("authorization", &bearer)], "").json();
    assert_eq!(list["integrations"][0]["name"], "lead-score");
    assert_eq!(list["integrations"][0]["input"]["properties"]["age"]["type"][0], "integer");
}
