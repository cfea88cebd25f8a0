//! GraphQL, asked by a client that we did not write (gql, graphql-core), which knows the service only by introspection.

use std::process::Command;

use crate::support::{PYTHON, Running, Sandbox, eventually};

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clients/graphql_client.py");

struct Served {
    sandbox: Sandbox,
    running: Running,
    keys: [String; 3],
}

impl Served {
    fn start() -> Self {
        let sandbox = Sandbox::new(0);
        let second = include_str!("support/lead-score.yaml")
            .replace("integration: lead-score", "integration: second-score")
            .lines()
            .filter(|line| !line.starts_with("  events"))
            .map(|line| format!("{line}\n"))
            .collect::<String>();
        sandbox.write("integrations/second-score.yaml", &second);
        let keys = [
            sandbox.key("reader", &["decide:*", "read"]),
            sandbox.key("asker", &["decide:lead-score"]),
            sandbox.key("admin", &["admin"]),
        ];
        let running = sandbox.up();
        Self { sandbox, running, keys }
    }

    fn check(&self, check: &str) {
        let mut client = Command::new(PYTHON);
        client.arg(CLIENT).arg(self.running.address.to_string()).args(&self.keys).arg(check);
        let output = client
            .output()
            .unwrap_or_else(|error| panic!("`cargo xtask setup` makes the environment with the client: {error}"));
        assert!(output.status.success(), "{check}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn post(&self, body: &serde_json::Value) -> serde_json::Value {
        let bearer = format!("Bearer {}", self.keys[0]);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.running.request("POST", "/graphql", &headers, &body.to_string()).json()
    }
}

#[test]
fn answers_are_those_of_the_other_doors() {
    let served = Served::start();
    served.check("answers");
    // Three decisions were asked, one of them twice under one key.
    assert_eq!(served.sandbox.decisions().len(), 2);
}

#[test]
fn the_schema_is_what_introspection_tells() {
    Served::start().check("schema");
}

#[test]
fn pages_show_each_decision_once() {
    Served::start().check("pages");
}

#[test]
fn whole_numbers_keep_64_bits() {
    Served::start().check("numbers");
}

#[test]
fn errors_have_stable_codes_and_show_no_value() {
    Served::start().check("errors");
}

#[test]
fn each_field_asks_for_its_scope() {
    Served::start().check("scopes");
}

#[test]
fn statuses_and_media_types_are_those_of_the_draft() {
    Served::start().check("transport");
}

#[test]
fn bombs_are_refused_before_they_cost_anything() {
    let served = Served::start();
    served.check("bombs");
    // None of what was refused has left a decision.
    assert_eq!(served.sandbox.decisions().len(), 90);
    let metrics = served.running.request("GET", "/metrics", &[], "");
    let text = String::from_utf8(metrics.body).unwrap();
    assert!(text.contains("tendon_refusals_total{reason=\"graphql_too_costly\"}"), "{text}");
    assert!(text.contains("tendon_http_requests_total{route=\"graphql\",status=\"400\"}"), "{text}");
}

#[test]
fn a_reload_brings_the_new_schema() {
    let served = Served::start();
    let names = || {
        let asked = serde_json::json!({ "query": "{ __type(name: \"Mutation\") { fields { name } } }" });
        let told = served.post(&asked);
        let fields = told["data"]["__type"]["fields"].as_array().unwrap();
        fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["decide", "retryLetter", "decideLeadScore", "decideSecondScore"]);
    let text = std::fs::read_to_string(served.sandbox.path("integrations/second-score.yaml")).unwrap();
    served.sandbox.write("integrations/second-score.yaml", &text.replace("second-score", "third_Look"));
    eventually("the new name is there", || names() == ["decide", "retryLetter", "decideLeadScore", "decideThirdLook"]);
}

#[test]
fn limits_of_a_caller_hold_here_too() {
    let sandbox = Sandbox::with(0, "auth: { limits: { rate: 1000/h, keys: { counted: { quota: 2 } } } }\n");
    let key = sandbox.key("counted", &["decide:*", "read"]);
    let running = sandbox.up();
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let input = crate::support::input(1);
    let ask = r#"mutation ($i: LeadScoreInput!) {
        a: decideLeadScore(input: $i) { replayed } b: decideLeadScore(input: $i) { replayed } c: decideLeadScore(input: $i) { replayed }
    }"#;
    let body = serde_json::json!({ "query": ask, "variables": { "i": input } }).to_string();
    let answer = running.request("POST", "/graphql", &headers, &body);
    assert_eq!(
        answer.header("ratelimit").map(|text| text.contains("\"rate\";r=999") && text.contains("\"day\";r=0")),
        Some(true),
        "{}",
        answer.head
    );
    let told = answer.json();
    assert_eq!(told["data"]["b"]["replayed"], false, "{told}");
    assert_eq!((&told["data"]["c"], &told["errors"][0]["path"][0]), (&serde_json::Value::Null, &"c".into()));
    assert_eq!(told["errors"][0]["extensions"]["code"], "quota_exceeded");
    assert_eq!(told["errors"][0]["extensions"]["retryable"], true);
}
