//! Callbacks: told once it is decided, signed so that the library of the Standard Webhooks project agrees, tried again while the
//! receiver is away, dead when it refuses, and never to anybody who is not declared.

use std::{net::SocketAddr, process::Command};

use serde_json::{Value as Json, json};
use tendon_testkit::peer::{Peer, free_port};

use crate::{
    console::Visitor,
    support::{Answer, PYTHON, Running, Sandbox, eventually, exchange, input, request},
};

const SECRET: &str = "whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVz";
const OLD_SECRET: &str = "whsec_d2hhdCB3YXMgdGhlIHNlY3JldCBiZWZvcmUsIG9sZA==";

/// A receiver that we did not write the verification of.
struct Receiver {
    _peer: Peer,
    address: SocketAddr,
}

impl Receiver {
    fn start(port: u16, secret: &str) -> Self {
        let mut command = Command::new(PYTHON);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clients/receiver.py");
        command.args([script, &port.to_string(), secret]);
        let mut peer = Peer::start(command);
        let address = format!("127.0.0.1:{}", peer.wait_for("PORT ")).parse().unwrap();
        Self { _peer: peer, address }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn ask(&self, method: &str, path: &str) -> Answer {
        exchange(self.address, &request(method, path, &[], b"")).unwrap()
    }

    /// The calls about a decision.
    fn calls(&self, id: &str) -> Vec<Json> {
        let all = self.ask("GET", "/calls").json();
        all.as_array().unwrap().iter().filter(|call| call["id"] == id).cloned().collect()
    }
}

/// A project that declares receivers.
fn project(receivers: &[String], more: &str) -> Sandbox {
    let sandbox = Sandbox::new(0);
    sandbox.write("hook.secret", SECRET);
    sandbox.write("hook.old", OLD_SECRET);
    let declared: String = receivers
        .iter()
        .map(|to| format!("      - {{ to: \"{to}\", secret: \"${{file:hook.secret}}\", old_secret: \"${{file:hook.old}}\"{more} }}\n"))
        .collect();
    let integration = include_str!("support/lead-score.yaml");
    sandbox.write(
        "integrations/lead-score.yaml",
        &integration.replace("  api: {}\n", &format!("  api:\n    callbacks:\n{declared}")),
    );
    sandbox
}

/// Asks for an answer later, and a call about it; gives the decision's id.
fn ask(running: &Running, key: &str, id: i64, url: &str) -> String {
    let body = json!({ "input": input(id), "callback": url }).to_string();
    let answer = running.decide(key, &[("prefer", "respond-async")], &body).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.json());
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// The delivery of a decision, once it is in a state.
fn delivery(running: &Running, key: &str, id: &str, state: &str) -> Json {
    let mut found = Json::Null;
    let bearer = format!("Bearer {key}");
    eventually(&format!("the call about {id} is {state}"), || {
        found = running.request("GET", &format!("/v1/decisions/{id}"), &[("authorization", &bearer)], "").json();
        found["deliveries"][0]["state"] == state
    });
    found
}

#[test]
fn the_call_is_a_signed_event_about_the_decision() {
    let receiver = Receiver::start(0, SECRET);
    // Who only knows the old secret still agrees.
    let behind = Receiver::start(0, OLD_SECRET);
    let sandbox = project(&[receiver.url("/ok"), behind.url("")], "");
    let key = sandbox.key("caller", &["decide:*", "read"]);
    let running = sandbox.up();
    let url = receiver.url("/ok/inbox?token=s3cret-token");
    let id = ask(&running, &key, 7, &url);
    let told = delivery(&running, &key, &id, "delivered");
    let origin = receiver.url("");
    assert_eq!(told["deliveries"][0]["system"], format!("callback:{origin}"));
    assert!(!told.to_string().contains("s3cret-token"), "the address may hold a key: {told}");
    let calls = receiver.calls(&id);
    assert_eq!(calls.len(), 1, "{calls:?}");
    let call = &calls[0];
    assert_eq!((call["verified"].as_bool(), call["method"].as_str()), (Some(true), Some("POST")), "{call}");
    assert_eq!(call["path"], "/ok/inbox?token=s3cret-token");
    assert_eq!(call["type"], "application/cloudevents+json; charset=utf-8");
    let event = &call["event"];
    for (member, value) in [
        ("specversion", "1.0"),
        ("type", "tendon.decision.made"),
        ("source", "/projects/test/integrations/lead-score"),
        ("id", &id),
        ("subject", &id),
        ("datacontenttype", "application/json"),
    ] {
        assert_eq!(event[member], value, "{member}");
    }
    assert_eq!(event["data"], told["decision"]);
    assert_eq!(event["time"], told["decision"]["at"]);
    // A decision that refuses its input is told, too.
    let body = json!({ "input": { "id": 8, "age": "old" }, "callback": behind.url("/ok") }).to_string();
    let refused = running.decide(&key, &[("prefer", "respond-async")], &body).unwrap();
    let refused = refused.json()["id"].as_str().unwrap().to_owned();
    delivery(&running, &key, &refused, "delivered");
    let calls = behind.calls(&refused);
    assert_eq!(
        (calls[0]["verified"].as_bool(), calls[0]["event"]["data"]["outcome"].as_str()),
        (Some(true), Some("rejected"))
    );
    running.stop();
    sandbox.verified_entries();
}

#[test]
fn only_who_is_declared_is_called() {
    let receiver = Receiver::start(0, SECRET);
    let other = Receiver::start(0, SECRET);
    let sandbox = project(&[receiver.url("/ok")], "");
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let later = ("prefer", "respond-async");
    for url in [
        other.url("/ok"),
        receiver.url("/broken"),
        receiver.url("/okay"),
        receiver.url("/ok/../broken"),
        format!("http://{}@127.0.0.1/ok", receiver.address),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
        String::new(),
    ] {
        let body = json!({ "input": input(1), "callback": url }).to_string();
        let answer = running.decide(&key, &[later], &body).unwrap();
        let problem = answer.json();
        assert_eq!((answer.status, answer.header("content-type")), (400, Some("application/problem+json")), "{url}");
        assert_eq!(
            (problem["code"].as_str(), problem["pointer"].as_str()),
            (Some("callback_not_declared"), Some("/callback"))
        );
        assert!(url.is_empty() || !problem.to_string().contains(&url), "the address is not repeated: {problem}");
    }
    for (headers, callback, code) in
        [(&[][..], json!(receiver.url("/ok")), "callback_at_once"), (&[later], json!(7), "callback_address")]
    {
        let body = json!({ "input": input(1), "callback": callback }).to_string();
        let answer = running.decide(&key, headers, &body).unwrap();
        assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some(code)));
    }
    assert_eq!(other.ask("GET", "/calls").json(), json!([]));
    assert!(sandbox.decisions().is_empty(), "what was refused was not decided");
}

#[test]
fn what_fails_is_tried_again_and_what_is_refused_dies_and_can_be_retried() {
    let receiver = Receiver::start(0, SECRET);
    let sandbox = project(&[receiver.url("")], ", give_up: 1s");
    let key = sandbox.key("caller", &["decide:*", "read", "admin"]);
    let running = sandbox.up();
    // Fails twice, then takes it: always the same id.
    let id = ask(&running, &key, 1, &receiver.url("/fail/2"));
    let told = delivery(&running, &key, &id, "delivered");
    assert_eq!(told["deliveries"][0]["attempts"], 3);
    let calls = receiver.calls(&id);
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|call| call["verified"] == true && call["event"] == calls[0]["event"]), "{calls:?}");
    // A redirect is not followed, and nobody is asked again who is gone.
    for (path, word) in [("/redirect", "redirect"), ("/gone", "any more")] {
        let id = ask(&running, &key, 2, &receiver.url(path));
        let told = delivery(&running, &key, &id, "dead");
        assert!(told["deliveries"][0]["cause"].as_str().unwrap().contains(word), "{told}");
        let calls = receiver.calls(&id);
        assert_eq!(
            calls.iter().map(|call| call["path"].as_str().unwrap()).collect::<Vec<_>>(),
            [path],
            "one call, and none elsewhere"
        );
    }
    // One that stays broken is given up on after its time, and a person can have it tried again.
    let id = ask(&running, &key, 3, &receiver.url("/broken"));
    delivery(&running, &key, &id, "dead");
    assert!(receiver.calls(&id).len() >= 4);
    receiver.ask("POST", "/mend");
    let letters = sandbox.json(&["letters", "list"]);
    let letter = letters.as_array().unwrap().iter().find(|one| one["decision"] == id.as_str()).unwrap().clone();
    assert_eq!(
        (letter["code"].as_str(), letter["system"].as_str()),
        (Some("callback_refused"), Some(&*format!("callback:{}", receiver.url(""))))
    );
    sandbox.json(&["letters", "retry", letter["id"].as_str().unwrap()]);
    delivery(&running, &key, &id, "delivered");
    running.stop();
    sandbox.verified_entries();
}

#[test]
fn a_receiver_that_is_away_is_told_when_it_is_back_also_by_the_next_process() {
    let first = Receiver::start(0, SECRET);
    let port = first.address.port();
    let sandbox = project(&[first.url("")], "");
    let url = first.url("/ok");
    drop(first);
    let key = sandbox.key("caller", &["decide:*", "read"]);
    let running = sandbox.up();
    let ids: Vec<String> = (1..=20).map(|id| ask(&running, &key, id, &url)).collect();
    eventually("the receiver was tried", || running.part("outbox")["ok"] == false);
    // One of the people it would be told about is erased meanwhile.
    sandbox.json(&["ledger", "erase", "--subject", "20"]);
    running.signal("-KILL");
    running.wait();
    let running = sandbox.up();
    let receiver = Receiver::start(port, SECRET);
    for id in &ids[..19] {
        delivery(&running, &key, id, "delivered");
        let calls = receiver.calls(id);
        assert!(!calls.is_empty() && calls.iter().all(|call| call["verified"] == true), "{calls:?}");
    }
    let gone = running.request(
        "GET",
        &format!("/v1/decisions/{}", ids[19]),
        &[("authorization", &format!("Bearer {key}"))],
        "",
    );
    assert_eq!(gone.status, 410);
    assert!(receiver.calls(&ids[19]).is_empty(), "told about a person who was erased");
    running.stop();
    sandbox.verified_entries();
}

#[test]
fn a_slow_receiver_holds_up_nobody_else() {
    let slow = Receiver::start(0, SECRET);
    let quick = Receiver::start(0, SECRET);
    let sandbox = project(&[slow.url(""), quick.url("")], ", timeout: 60s");
    let key = sandbox.key("caller", &["decide:*", "read"]);
    let running = sandbox.up();
    let waiting: Vec<String> = (0..3).map(|id| ask(&running, &key, id, &slow.url("/slow"))).collect();
    eventually("the slow receiver is called", || waiting.iter().any(|id| !slow.calls(id).is_empty()));
    for id in 10..20 {
        let id = ask(&running, &key, id, &quick.url("/ok"));
        delivery(&running, &key, &id, "delivered");
    }
    // Who asks and waits is not held up either.
    assert_eq!(running.decide(&key, &[], &crate::support::body(1)).unwrap().status, 200);
    slow.ask("POST", "/release");
    for id in &waiting {
        delivery(&running, &key, id, "delivered");
        assert_eq!(slow.calls(id).len(), 1, "called again while it was still answering");
    }
}

/// Where a call goes is shown by its host: the path of an address may hold a key, and what stands behind it more so.
#[test]
fn pages_show_the_host_of_a_receiver_and_its_path_to_operators_only() {
    let port = free_port();
    let away = format!("http://127.0.0.1:{port}");
    let sandbox = project(&[format!("{away}/hooks")], "");
    let keys = ["read", "operate"].map(|scope| sandbox.key(scope, &["decide:*", "read", scope]));
    let running = sandbox.up();
    ask(&running, &keys[0], 7, &format!("{away}/hooks/T0K3N?token=s3cret-token"));
    let [viewer, operator] = keys.each_ref().map(|key| Visitor::new(&running, key));
    let waits = |page: &str| page.contains("data-of=\"Next try\"");
    eventually("the call waits", || waits(&viewer.page("/console/deliveries")));
    let host = format!("127.0.0.1:{port}");
    let seen = viewer.page("/console/deliveries");
    assert!(waits(&seen) && seen.contains(&format!("data-of=\"Into\">{host}<")) && !seen.contains("T0K3N"), "{seen}");
    let seen = operator.page("/console/deliveries");
    assert!(seen.contains(&format!(">{host}</summary>")) && seen.contains("/hooks/T0K3N<"), "{seen}");
    assert!(!seen.contains("s3cret"), "{seen}");
}
