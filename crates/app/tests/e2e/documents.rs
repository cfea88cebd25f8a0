//! What describes the service: the OpenAPI document, judged by an independent validator, and the metrics.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::{
    embed::{SECRET, with_badge},
    support::{MODEL, PYTHON, Running, Sandbox, body, tendon},
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

/// The page of the interface, and the document that the site gives away with it.
const PAGE: &str = include_str!("../../../../docs/reference/http.md");
const KEPT: &str = include_str!("../../../../docs/reference/openapi.json");

#[test]
fn the_page_of_the_interface_says_what_a_running_process_answers() {
    let sandbox = Sandbox::new(0);
    for folder in ["docs/reference/example/integrations", "examples/lead-score"] {
        std::fs::create_dir_all(sandbox.path(folder)).unwrap();
    }
    // The example, with the model where it looks for it.
    let project = "docs/reference/example";
    sandbox.write("examples/lead-score/lead-score.txt", MODEL);
    sandbox.write(&format!("{project}/tendon.yaml"), include_str!("../../../../docs/reference/example/tendon.yaml"));
    let integration = include_str!("../../../../docs/reference/example/integrations/lead-score.yaml");
    sandbox.write(&format!("{project}/integrations/lead-score.yaml"), integration);
    let mut up = tendon(&["up", "--listen", "127.0.0.1:0", "--project"]);
    let running = Running::of(up.arg(sandbox.path(project)).env("BADGE_SECRET", SECRET).env("HOOK_SECRET", SECRET));
    let document = running.request("GET", "/openapi.json", &[], "").json();
    let kept: Value = serde_json::from_str(KEPT).unwrap();
    assert_eq!(document, kept, "docs/reference/openapi.json is another document: run `cargo xtask docs`");
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, told) in item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters") {
            let heading = format!("{} {path}", method.to_uppercase());
            let section = section(&heading);
            for given in [&item["parameters"], &told["parameters"]].into_iter().filter_map(Value::as_array).flatten() {
                let row = format!("| `{}` | {} |", given["name"].as_str().unwrap(), given["in"].as_str().unwrap());
                assert!(section.contains(&row), "{heading}: {row}");
            }
            for status in told["responses"].as_object().unwrap().keys() {
                let (row, link) = (format!("\n| {status} | "), format!("[{status}](#{status}"));
                assert!(section.contains(&row) != section.contains(&link), "{heading}: {status}");
            }
            asked += 1;
        }
    }
    assert_eq!(asked, RULES.lines().count());
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for field in schema["properties"].as_object().into_iter().flatten().map(|(field, _)| field) {
            assert!(section(name).contains(&format!("\n| `{field}` | ")), "{name}: {field}");
        }
    }
    for (code, told) in document["components"]["x-problem-codes"].as_object().unwrap() {
        for status in told["statuses"].as_array().unwrap() {
            assert!(section(&status.to_string()).contains(&format!("\n| `{code}` | ")), "{status}: {code}");
        }
    }
}

/// What the page has below the heading, which may go on after its first words.
fn section(heading: &str) -> &'static str {
    let fits = |part: &&str| {
        let first = part.lines().next().unwrap_or_default();
        first == heading || (heading.len() == 3 && first.starts_with(&format!("{heading} ")))
    };
    PAGE.split("\n### ").find(fits).unwrap_or_else(|| panic!("the page has no section {heading}"))
}

#[test]
fn a_project_tells_its_interface_without_running() {
    let sandbox = Sandbox::new(0);
    let printed = sandbox.run(&["check", "--openapi"]);
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let told: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(sandbox.up().request("GET", "/openapi.json", &[], "").json(), told);
    // What is not clean has no interface yet: nothing that a program could read, and the findings for people.
    sandbox.write(
        "integrations/lead-score.yaml",
        &include_str!("support/lead-score.yaml").replace("purpose:", "purrpose:"),
    );
    let refused = sandbox.run(&["check", "--openapi"]);
    assert_eq!((refused.status.code(), refused.stdout.as_slice()), (Some(1), &b""[..]));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("purrpose"), "{refused:?}");
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
