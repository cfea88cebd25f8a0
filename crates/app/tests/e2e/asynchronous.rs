//! `Prefer: respond-async`: accepted with 202 and an address, decided later, read where it was promised.

use serde_json::Value as Json;

use crate::support::{Answer, Running, Sandbox, body, eventually};

const LATER: (&str, &str) = ("prefer", "respond-async");

fn get(running: &Running, key: &str, path: &str) -> Answer {
    running.request("GET", path, &[("authorization", &format!("Bearer {key}"))], "")
}

/// Looks until the decision is there.
fn decided(running: &Running, key: &str, address: &str) -> Json {
    let mut found = Json::Null;
    eventually("the request is decided", || {
        let answer = get(running, key, address);
        if answer.status == 202 {
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert_eq!((answer.json()["state"].as_str(), answer.header("location")), (Some("pending"), Some(address)));
            return false;
        }
        assert_eq!(answer.status, 200, "{}", answer.json());
        found = answer.json();
        true
    });
    found
}

#[test]
fn accepted_decided_and_read_where_it_was_promised() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let accepted = running.decide(&key, &[LATER], &body(7)).unwrap();
    assert_eq!(accepted.status, 202, "{}", accepted.json());
    assert_eq!(accepted.header("preference-applied"), Some("respond-async"));
    assert_eq!(accepted.header("retry-after"), Some("1"));
    let id = accepted.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(accepted.header("tendon-decision-id"), Some(&*id));
    let address = accepted.header("location").unwrap().to_owned();
    assert_eq!(address, format!("/v1/decisions/{id}"));
    let found = decided(&running, &key, &address);
    assert_eq!((found["decision"]["id"].as_str(), found["decision"]["subject"].as_str()), (Some(&*id), Some("7")));
    // What is decided later is what is decided at once.
    let now = running.decide(&key, &[], &body(7)).unwrap().json();
    assert_eq!(found["decision"]["output"], now["output"]);
    // A refused input is accepted, and its decision says what is wrong with it.
    let refused = running.decide(&key, &[LATER], r#"{"input":{"id":1,"age":"old"}}"#).unwrap();
    assert_eq!(refused.status, 202);
    let found = decided(&running, &key, refused.header("location").unwrap());
    assert_eq!(found["decision"]["outcome"], "rejected");
    // A broken envelope is refused at once, and so is one who may not ask.
    assert_eq!(running.decide(&key, &[LATER], "{").unwrap().status, 400);
    let reader = sandbox.key("reader", &["read"]);
    assert_eq!(running.decide(&reader, &[LATER], &body(7)).unwrap().status, 403);
    // Another caller that may not read does not see it; one that may read does.
    let other = sandbox.key("other", &["decide:*"]);
    assert_eq!(get(&running, &other, &address).status, 403);
    assert_eq!(get(&running, &reader, &address).status, 200);
    running.stop();
    sandbox.verified_entries();
}

#[test]
fn one_key_is_one_decision_however_it_is_asked() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let keyed = ("idempotency-key", "once");
    let first = running.decide(&key, &[LATER, keyed], &body(1)).unwrap();
    let again = running.decide(&key, &[LATER, keyed], &body(1)).unwrap();
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), (None, Some("true")));
    let now = running.decide(&key, &[keyed], &body(1)).unwrap();
    assert_eq!((now.status, now.header("idempotent-replayed")), (200, Some("true")));
    assert_eq!(now.json()["id"], first.json()["id"]);
    for headers in [&[LATER, keyed][..], &[keyed]] {
        let conflict = running.decide(&key, headers, &body(2)).unwrap();
        assert_eq!((conflict.status, conflict.json()["code"].as_str()), (409, Some("idempotency_conflict")));
    }
    // The other way round: what was decided at once is promised to who asks for it later.
    let keyed = ("idempotency-key", "at once");
    let now = running.decide(&key, &[keyed], &body(3)).unwrap();
    let later = running.decide(&key, &[LATER, keyed], &body(3)).unwrap();
    assert_eq!((later.status, later.json()["state"].as_str()), (202, Some("decided")));
    assert_eq!(later.json()["id"], now.json()["id"]);
    assert_eq!(sandbox.decisions().len(), 2);
}

#[test]
fn who_would_wait_is_answered_at_once() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let waited = running.decide(&key, &[("prefer", "respond-async, wait=30")], &body(1)).unwrap();
    assert_eq!((waited.status, waited.header("preference-applied")), (200, Some("wait=30")));
    assert_eq!((waited.json()["outcome"].as_str(), waited.header("idempotent-replayed")), (Some("ok"), None));
    // A preference that is not known changes nothing.
    assert_eq!(running.decide(&key, &[("prefer", "return=minimal")], &body(1)).unwrap().status, 200);
}

#[test]
fn it_is_explained_when_it_was_asked_to_be_and_counted_while_it_waits() {
    let sandbox = Sandbox::with(0, "server: { requests: 3, request_workers: 1 }\n");
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let path = "/v1/integrations/lead-score/decisions?explain=true";
    let bearer = format!("Bearer {key}");
    let headers = [LATER, ("authorization", bearer.as_str()), ("content-type", "application/json")];
    let accepted = running.request("POST", path, &headers, &body(9));
    assert_eq!(accepted.status, 202);
    let address = accepted.header("location").unwrap();
    decided(&running, &key, address);
    let found = get(&running, &key, &format!("{address}?explain=true")).json();
    assert!(found["explanation"]["reasons"].is_array(), "{found}");
    let text = String::from_utf8(running.request("GET", "/metrics", &[], "").body).unwrap();
    assert!(text.lines().any(|line| line == "tendon_requests_pending 0"), "{text}");
    assert!(text.lines().any(|line| line == "tendon_http_requests_total{route=\"decide\",status=\"202\"} 1"), "{text}");
}
