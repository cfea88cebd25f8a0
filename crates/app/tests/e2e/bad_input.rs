//! What callers can do wrong: the right status, a pointer where one helps, and exactly one decision in the ledger where one
//! was asked for.

use crate::support::{Running, Sandbox, body, desk, input};

/// A request that is wrong, what it must be answered with, and whether a decision was asked.
struct Wrong {
    what: &'static str,
    body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
    status: u16,
    code: &'static str,
    pointer: Option<&'static str>,
    decided: bool,
}

fn wrong(what: &'static str, body: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Wrong {
    Wrong { what, body: body.into(), headers: Vec::new(), status, code, pointer: None, decided: false }
}

impl Wrong {
    fn at(mut self, pointer: &'static str) -> Self {
        self.pointer = Some(pointer);
        self
    }

    fn decided(mut self) -> Self {
        self.decided = true;
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// The good input with one field changed.
fn with_field(name: &str, value: &str) -> String {
    let mut fields = input(1);
    fields[name] = serde_json::json!("REPLACED");
    serde_json::json!({ "input": fields }).to_string().replace("\"REPLACED\"", value)
}

fn envelopes() -> Vec<Wrong> {
    vec![
        wrong("an empty body", "", 400, "malformed_json"),
        wrong("no JSON", "score this please", 400, "malformed_json"),
        wrong("JSON cut short", &body(1)[..40], 400, "malformed_json"),
        wrong("a list", "[]", 400, "malformed_json"),
        wrong("no input", "{}", 400, "input_missing"),
        wrong("another member", r#"{"inputs":{}}"#, 400, "unknown_member").at("/inputs"),
        wrong("deep nesting", format!(r#"{{"input":{{"age":{}}}}}"#, "[".repeat(5000)), 400, "too_deep"),
        wrong("invalid UTF-8", b"{\"input\":{\"job\":\"\xff\xfe\"}}".to_vec(), 400, "malformed_json"),
        wrong("a huge body", format!(r#"{{"input":{{"job":"{}"}}}}"#, "x".repeat(2 << 20)), 413, "body_too_large"),
        wrong("a form", body(1), 415, "not_json").with("content-type", "application/x-www-form-urlencoded"),
        wrong("a bad deadline", body(1), 400, "timeout_header").with("tendon-timeout-ms", "soon"),
        wrong("an expired deadline", body(1), 408, "deadline_passed").with("tendon-timeout-ms", "0"),
        wrong("an empty idempotency key", body(1), 400, "idempotency_key").with("idempotency-key", ""),
    ]
}

fn inputs() -> Vec<Wrong> {
    vec![
        wrong("an input that is no object", r#"{"input":7}"#, 422, "").decided(),
        wrong("a text for a number", with_field("age", "\"old\""), 422, "").at("/input/age").decided(),
        wrong("a number for a text", with_field("job", "7"), 422, "").at("/input/job").decided(),
        wrong("a fraction for an integer", with_field("age", "1.5"), 422, "").at("/input/age").decided(),
        wrong("an integer too large", with_field("balance", "9e99"), 422, "").at("/input/balance").decided(),
        wrong("NaN", with_field("age", "NaN"), 422, "").decided(),
        wrong("a list for a text", with_field("job", "[[1]]"), 422, "").at("/input/job").decided(),
        wrong("an unknown field", with_field("salary", "1"), 422, "").at("/input/salary").decided(),
        wrong("a missing required field", r#"{"input":{"age":30}}"#, 422, "").at("/input/id").decided(),
        wrong("malformed JSON inside", r#"{"input":{"id":1,}}"#, 422, "").decided(),
    ]
}

#[test]
fn each_mistake_gets_its_answer_and_each_decision_its_entry() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let mut decided = 0;
    for wrong in envelopes().into_iter().chain(inputs()) {
        let bytes = raw(&key, &wrong);
        let answer =
            crate::support::exchange(running.address, &bytes).unwrap_or_else(|| panic!("{}: no answer", wrong.what));
        let problem = answer.json();
        assert_eq!(answer.status, wrong.status, "{}: {problem}", wrong.what);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", wrong.what);
        assert_eq!(problem["status"], wrong.status, "{}", wrong.what);
        assert!(!problem["detail"].as_str().unwrap().is_empty() && problem["retryable"].is_boolean(), "{problem}");
        assert_eq!(problem["request_id"].as_str(), answer.header("x-request-id"), "{}", wrong.what);
        if !wrong.code.is_empty() {
            assert_eq!(problem["code"], wrong.code, "{}: {problem}", wrong.what);
        }
        if let Some(pointer) = wrong.pointer {
            assert_eq!(problem["pointer"], pointer, "{}: {problem}", wrong.what);
        }
        assert_eq!(answer.header("tendon-decision-id").is_some(), wrong.decided, "{}: {problem}", wrong.what);
        if wrong.decided {
            decided += 1;
            assert_eq!(problem["decision_id"].as_str(), answer.header("tendon-decision-id"), "{}", wrong.what);
        }
    }
    let recorded = sandbox.decisions();
    assert_eq!(recorded.len(), decided, "one entry for each decision that was asked, none for the rest");
    assert!(recorded.iter().all(|one| one["outcome"] == "rejected"));
    assert!(running.stop().success());
    sandbox.verified_entries();
}

fn raw(key: &str, wrong: &Wrong) -> Vec<u8> {
    let mut head = format!(
        "POST /v1/integrations/lead-score/decisions HTTP/1.1\r\nhost: t\r\nconnection: close\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n",
        wrong.body.len()
    );
    for (name, value) in &wrong.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), &wrong.body].concat()
}

#[test]
fn keys_open_what_they_name_and_nothing_else() {
    let sandbox = Sandbox::new(0);
    let all = sandbox.key("all", &["decide:*"]);
    let reader = sandbox.key("reader", &["read"]);
    let running = sandbox.up();
    let mut typo = all.clone();
    let last = typo.pop().unwrap();
    typo.push(if last == '0' { '1' } else { '0' });
    for (what, key, status, code) in [
        ("a foreign key", "sk-123", 401, "key_not_recognised"),
        ("a typo", typo.as_str(), 401, "key_mistyped"),
        ("a scope that is missing", reader.as_str(), 403, ""),
        ("the right key", all.as_str(), 200, ""),
    ] {
        let answer = running.decide(key, &[], &body(1)).unwrap();
        assert_eq!(answer.status, status, "{what}: {:?}", answer);
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{what}");
        if !code.is_empty() {
            assert_eq!(answer.json()["code"], code, "{what}");
        }
    }
    let path = "/v1/integrations/lead-score/decisions";
    let none = running.request("POST", path, &[], &body(1));
    assert_eq!((none.status, none.json()["code"].as_str().unwrap().to_owned()), (401, "key_missing".to_owned()));
    let address = running.request("POST", &format!("{path}?key={all}"), &[], &body(1));
    assert_eq!(address.json()["code"], "key_in_address");
    for (method, path) in [
        ("POST", "/v1/integrations/%ff/decisions"),
        ("GET", "/v1/decisions/%ff"),
        ("GET", "/v1/decisions/%c3%28/explanation"),
    ] {
        let answer = running.request(method, path, &[], &body(1));
        assert_eq!((answer.status, answer.header("content-type")), (404, Some("application/problem+json")), "{path}");
        assert_eq!(answer.json()["code"], "no_route", "{path}");
    }
    let pasted = sandbox.run(&["keys", "revoke", &format!("{all}x")]);
    let said = String::from_utf8(pasted.stderr).unwrap();
    assert!(!pasted.status.success() && said.contains("no key in force") && !said.contains(&all), "{said}");
    reads(&running, &all, &reader);
    // A revoked key ends at once, in the running process.
    sandbox.json(&["keys", "revoke", "all"]);
    assert_eq!(running.decide(&all, &[], &body(1)).unwrap().json()["code"], "key_unknown");
    assert_eq!(sandbox.decisions().len(), 2);
    let listed = sandbox.run(&["keys", "list"]);
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(text.contains("all") && !text.contains(&all), "a list never shows a key: {text}");
}

/// What was asked can be read by who asked it and by who may read.
fn reads(running: &Running, asker: &str, reader: &str) {
    let made = running.decide(asker, &[], &body(1)).unwrap();

    let id = made.header("tendon-decision-id").unwrap().to_owned();
    for key in [asker, reader] {
        let bearer = format!("Bearer {key}");
        let found = running.request("GET", &format!("/v1/decisions/{id}"), &[("authorization", &bearer)], "");
        assert_eq!(found.status, 200);
        assert_eq!(found.json()["decision"]["id"], id);
        let why = running.request("GET", &format!("/v1/decisions/{id}/explanation"), &[("authorization", &bearer)], "");
        let explanation = why.json();
        let sum: f64 =
            explanation["reasons"].as_array().unwrap().iter().map(|one| one["contribution"].as_f64().unwrap()).sum();
        let margin = explanation["base"].as_f64().unwrap() + sum;
        assert!((margin - explanation["margin"].as_f64().unwrap()).abs() < 1e-9, "{explanation}");
    }
    let bearer = format!("Bearer {reader}");
    let unknown = "/v1/decisions/0190163d-8694-739b-aea5-966c26f8ad91";
    assert_eq!(running.request("GET", unknown, &[("authorization", &bearer)], "").status, 404);
    assert_eq!(running.request("GET", "/v1/decisions/7", &[("authorization", &bearer)], "").status, 400);
    assert_eq!(running.request("GET", "/v2/nowhere", &[], "").status, 404);
    assert_eq!(running.request("DELETE", "/v1/integrations", &[], "").status, 405);
}

/// The reasons in an answer, wherever they stand.
fn reasons(of: &serde_json::Value) -> Vec<serde_json::Value> {
    let inner = |found: &serde_json::Value| match found {
        serde_json::Value::Array(items) => items.iter().flat_map(reasons).collect(),
        serde_json::Value::Object(members) => members.values().flat_map(reasons).collect(),
        _ => Vec::new(),
    };
    match of["reasons"].as_array() {
        Some(found) => found.clone(),
        None => inner(of),
    }
}

#[test]
fn values_come_back_to_whoever_sent_them_and_to_those_who_work_with_them() {
    let sandbox = Sandbox::new(0);
    sandbox.write("integrations/desk.yaml", &desk());
    let scopes: [(&str, &[&str], bool); 5] = [
        ("asker", &["decide:*"], true),
        ("reader", &["read"], false),
        ("other", &["decide:*", "read", "review:desk"], false),
        ("reviewer", &["read", "review:lead-score"], true),
        ("operator", &["operate"], true),
    ];
    let callers = scopes.map(|(name, scopes, sees)| (name, sandbox.key(name, scopes), sees));
    let running = sandbox.up();
    let ask = |key: &str, method: &str, path: &str, text: &str| {
        let bearer = format!("Bearer {key}");
        running.request(method, path, &[("authorization", &bearer), ("content-type", "application/json")], text)
    };
    let explained = "/v1/integrations/lead-score/decisions?explain=true";
    let id = ask(&callers[0].1, "POST", explained, &body(1)).json()["id"].as_str().unwrap().to_owned();
    let one = format!("/v1/decisions/{id}");
    let why = "explanation { reasons { feature value text } }";
    let graph = serde_json::json!({ "query": format!("{{ decision(id: \"{id}\") {{ {why} }} }}") }).to_string();
    let places = [
        ("GET", format!("{one}?explain=true"), ""),
        ("GET", format!("{one}/explanation"), ""),
        ("GET", "/v1/decisions?explain=true".to_owned(), ""),
        ("POST", "/graphql".to_owned(), graph.as_str()),
    ];
    for (name, key, sees) in &callers {
        for (method, path, text) in &places {
            let answer = ask(key, method, path, text);
            if *name == "asker" && path.starts_with("/v1/decisions?") {
                assert_eq!(answer.status, 403, "{name} {path}");
                continue;
            }
            let found = reasons(&answer.json());
            assert!(found.len() > 3, "{name} {path}: {answer:?}");
            for reason in &found {
                let words = reason["text"].as_str().unwrap();
                assert_eq!(
                    (!reason["value"].is_null(), words.contains(" = ")),
                    (*sees, *sees),
                    "{name} {path}: {reason}"
                );
            }
        }
    }
    // What somebody keeps with its tag is not what others are shown.
    let tags: Vec<_> = callers[..2]
        .iter()
        .map(|(_, key, _)| ask(key, "GET", &places[0].1, "").header("etag").unwrap().to_owned())
        .collect();
    assert_ne!(tags[0], tags[1]);
}
