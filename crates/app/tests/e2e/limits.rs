//! How much a caller may ask: requests by rate, decisions by day, also across a restart; and web pages of other origins.

use crate::support::{Answer, Running, Sandbox, body, eventually};

const DECISIONS: &str = "/v1/integrations/lead-score/decisions";

fn read(running: &Running, key: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    running.request("GET", "/v1/integrations", &[("authorization", bearer.as_str())], "")
}

/// A number out of `"name";r=5;t=1`.
fn number(answer: &Answer, header: &str, name: &str, letter: char) -> u64 {
    let text = answer.header(header).unwrap_or_default();
    let part =
        text.split(", ").find(|part| part.starts_with(&format!("\"{name}\""))).unwrap_or_else(|| panic!("{text}"));
    part.split(';').find_map(|one| one.strip_prefix(&format!("{letter}="))).unwrap().parse().unwrap()
}

#[test]
fn a_caller_that_asks_too_often_is_told_when_to_come_back() {
    let more = "auth: { limits: { rate: 3600/h, keys: { slow: { rate: 3/m } } } }\n";
    let sandbox = Sandbox::with(0, more);
    let slow = sandbox.key("slow", &["decide:*", "read"]);
    let usual = sandbox.key("usual", &["read"]);
    let own =
        String::from_utf8(sandbox.run(&["keys", "create", "--name", "slow-too", "--rate", "2/m"]).stdout).unwrap();
    let running = sandbox.up();
    for left in [2, 1, 0] {
        let answer = read(&running, &slow);
        assert_eq!((answer.status, number(&answer, "ratelimit", "rate", 'r')), (200, left));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"rate\";q=3;w=60"));
    }
    let refused = running.decide(&slow, &[], &body(1)).unwrap();
    assert_eq!((refused.status, &refused.json()["code"]), (429, &"rate_limited".into()));
    assert_eq!(refused.json()["retryable"], true);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "a third of a minute at the most: {wait}");
    // Others are not held up, each with what is said of it.
    assert_eq!(read(&running, &usual).header("ratelimit-policy"), Some("\"rate\";q=3600;w=3600"));
    assert_eq!(read(&running, own.trim()).header("ratelimit-policy"), Some("\"rate\";q=2;w=60"));
    assert_eq!(running.request("GET", "/livez", &[], "").header("ratelimit"), None);
    // A new rule holds from the next request on.
    let text = std::fs::read_to_string(sandbox.path("tendon.yaml")).unwrap();
    sandbox.write("tendon.yaml", &text.replace("3/m", "5000/s"));
    eventually("the new rule holds", || read(&running, &slow).status == 200);
}

#[test]
fn the_days_quota_outlives_a_restart() {
    let sandbox = Sandbox::with(0, "auth: { limits: { keys: { counted: { quota: 5 } } } }\n");
    let key = sandbox.key("counted", &["decide:*", "read"]);
    let running = sandbox.up();
    for left in [4, 3, 2] {
        let answer = running.decide(&key, &[], &body(1)).unwrap();
        assert_eq!((answer.status, number(&answer, "ratelimit", "day", 'r')), (200, left));
    }
    assert_eq!(read(&running, &key).status, 200, "reading costs nothing of it");
    assert!(running.stop().success());
    let running = sandbox.up();
    assert_eq!(number(&read(&running, &key), "ratelimit", "day", 'r'), 2, "as before the restart");
    for _ in 0..2 {
        assert_eq!(running.decide(&key, &[], &body(1)).unwrap().status, 200);
    }
    let refused = running.decide(&key, &[], &body(1)).unwrap();
    assert_eq!((refused.status, &refused.json()["code"]), (429, &"quota_exceeded".into()));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(wait, number(&refused, "ratelimit", "day", 't'), "until midnight");
    // A successor is the same caller.
    let next = sandbox.json(&["keys", "rotate", "counted"]);
    assert_eq!(running.decide(next["key"].as_str().unwrap(), &[], &body(1)).unwrap().status, 429);
    // Killed: what was written some seconds ago is still there.
    drop(running);
    let running = sandbox.up();
    assert!(number(&read(&running, &key), "ratelimit", "day", 'r') <= 2);
}

/// A batch waits for room, which comes with the next answers. The day's quota does not come back by waiting.
#[test]
fn a_batch_beyond_the_days_quota_is_told_so_once() {
    let sandbox = Sandbox::with(0, "auth: { limits: { keys: { counted: { quota: 2 } } } }\n");
    let key = sandbox.key("counted", &["decide:*"]);
    let running = sandbox.up();
    let bearer = format!("Bearer {key}");
    let records: Vec<_> = (0..3).map(crate::support::input).collect();
    let body = serde_json::json!({ "inputs": records }).to_string();
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer = running.request("POST", "/v1/integrations/lead-score/batches", &headers, &body);
    let told = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(told.matches("\"code\":\"quota_exceeded\"").count(), 3, "{told}");
    let metrics = String::from_utf8(running.request("GET", "/metrics", &[], "").body).unwrap();
    let refused = metrics.lines().find(|line| line.starts_with("tendon_refusals_total{reason=\"quota_exceeded\"}"));
    assert_eq!(
        refused.and_then(|line| line.rsplit_once(' ')).map(|(_, count)| count),
        Some("1"),
        "it was asked again and again"
    );
}

#[test]
fn pages_of_declared_origins_may_ask_and_others_may_not() {
    let sandbox = Sandbox::with(0, "server: { cors: { origins: [\"https://ops.acme.example\"] } }\n");
    let text = include_str!("support/lead-score.yaml")
        .replace("api: {}", "api: { cors: { origins: [\"http://localhost:3000\"], max_age: 1h } }");
    sandbox.write("integrations/lead-score.yaml", &text);
    let key = sandbox.key("page", &["decide:*", "read"]);
    let running = sandbox.up();
    let preflight = |origin: &str, path: &str, method: &str| {
        let headers = [("origin", origin), ("access-control-request-method", method)];
        running.request("OPTIONS", path, &headers, "")
    };
    let answer = preflight("http://localhost:3000", DECISIONS, "POST");
    assert_eq!(answer.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", "http://localhost:3000"),
        ("access-control-allow-methods", "POST"),
        ("access-control-max-age", "3600"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{}", answer.head);
    }
    assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    for (origin, path, method, status) in [
        ("https://ops.acme.example", DECISIONS, "POST", 204),
        ("https://ops.acme.example", "/v1/decisions", "GET", 204),
        ("http://localhost:3000", "/v1/decisions", "GET", 405),
        ("http://localhost:3000", DECISIONS, "DELETE", 405),
        ("http://localhost:3001", DECISIONS, "POST", 405),
        ("https://localhost:3000", DECISIONS, "POST", 405),
        ("null", DECISIONS, "POST", 405),
    ] {
        let answer = preflight(origin, path, method);
        assert_eq!(answer.status, status, "{origin} {method} {path}");
        let allowed = (status == 204).then_some(origin);
        assert_eq!(answer.header("access-control-allow-origin").filter(|_| status == 204), allowed);
    }
    // The answers themselves, good and bad ones.
    let ask = |key: &str, origin: &str| running.decide(key, &[("origin", origin)], &body(1)).unwrap();
    for (key, status) in [(key.as_str(), 200), ("nonsense", 401)] {
        let answer = ask(key, "http://localhost:3000");
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:3000"));
        assert!(answer.header("access-control-expose-headers").unwrap().contains("tendon-decision-id"));
        assert_eq!(answer.header("vary"), Some("origin"));
    }
    let other = ask(&key, "https://evil.example");
    assert_eq!((other.status, other.header("access-control-allow-origin")), (200, None));
    assert_eq!(other.header("vary"), Some("origin"), "answers differ by origin");
}
