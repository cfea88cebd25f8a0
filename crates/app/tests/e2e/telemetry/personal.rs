//! Nothing personal, no key and no token leaves in telemetry: values are planted wherever a caller can put one, everything is traced,
//! the log tells everything it can, and then every byte is searched.

use super::{Collector, parent, sandbox, up};
use crate::support::{body, eventually, input};

/// What a caller may put somewhere; each is found nowhere.
const SUBJECT: i64 = 77_344_911;
const BALANCE: i64 = 48_213_977;
const NAME: &str = "Erika-Mustermann";
const TOKEN: &str = "tdn_planted-token-0123456789";

fn search(format: &str) {
    let collector = Collector::start();
    let sandbox = sandbox(0, &collector.section(1.0));
    let key = sandbox.key("caller", &["decide:*", "read", "admin"]);
    sandbox.crm.open().execute(
        "INSERT INTO leads VALUES (?1, 30, 'technician', 'single', 'secondary', 'no', ?2, 'yes', 'no', 'cellular', 5, 'may', 1, -1, 0,
         'unknown', strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), NULL, NULL, NULL)",
        (SUBJECT, BALANCE),
    ).unwrap();
    let running = up(&sandbox, format);
    let mut personal = input(SUBJECT);
    personal["balance"] = BALANCE.into();
    let good = serde_json::json!({ "input": personal }).to_string();
    let headers =
        [("idempotency-key", NAME), ("user-agent", NAME), ("baggage", "name=Erika-Mustermann"), ("cookie", NAME)];
    assert_eq!(running.decide(&key, &headers, &good).unwrap().status, 200);
    // Refused for its value, for an unknown field, for its form; late; with a wrong token; at addresses that hold a name.
    personal["age"] = NAME.into();
    let bad = serde_json::json!({ "input": personal }).to_string();
    assert_eq!(running.decide(&key, &[], &bad).unwrap().status, 422);
    let unknown = serde_json::json!({ "input": { NAME: NAME }, NAME: 1 }).to_string();
    assert_eq!(running.decide(&key, &[], &unknown).unwrap().status, 400);
    assert_eq!(running.decide(&key, &[], &format!("{{\"input\": {NAME}")).unwrap().status, 400);
    assert_eq!(running.decide(&key, &[("tendon-timeout-ms", "0")], &good).unwrap().status, 408);
    assert_eq!(running.decide(TOKEN, &[], &good).unwrap().status, 401);
    let bearer = format!("Bearer {key}");
    let allowed = [("authorization", bearer.as_str())];
    for (path, status) in [
        (format!("/v1/decisions?subject={SUBJECT}"), 200),
        (format!("/v1/integrations/{NAME}/decisions"), 400),
        (format!("/{NAME}/{BALANCE}"), 404),
        (format!("/v1/decisions/{NAME}"), 404),
        (format!("/v1/models?api_key={TOKEN}"), 400),
    ] {
        let answer = running.request("GET", &path, &allowed, "");
        assert!(answer.status == status || (400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    running.request(NAME, "/v1/models", &allowed, "");
    eventually("the row is scored and written back", || sandbox.crm.all_scored());
    let mut served = String::new();
    for accept in ["*/*", "application/openmetrics-text"] {
        served += &String::from_utf8(running.request("GET", "/metrics", &[("accept", accept)], "").body).unwrap();
    }
    let (heard, kept) = parent(0xee, "01");
    assert_eq!(running.decide(&key, &[("traceparent", &kept)], &body(1)).unwrap().status, 200);
    eventually("the last trace arrives", || !collector.trace(&heard).is_empty());
    let log = running.finish().join("\n");
    let sent = collector.text();
    // The search finds something where there is something.
    assert!(log.contains("a request was answered") && sent.contains("lead-score") && served.contains("lead-score"));
    assert!(collector.spans().iter().any(|span| span["name"] == "write leads"), "{sent}");
    let random = key.rsplit('_').next().unwrap().to_owned();
    let (subject, balance) = (SUBJECT.to_string(), BALANCE.to_string());
    for planted in [&subject, &balance, NAME, TOKEN, &random, "collector-s3cret-token"] {
        for (place, text) in [("the log", &log), ("what was sent", &sent), ("/metrics", &served)] {
            let found = text.lines().find(|line| line.contains(planted));
            assert!(found.is_none(), "{planted} stands in {place}: {}", found.unwrap_or_default());
        }
    }
}

#[test]
fn nothing_personal_is_told_with_a_log_for_people() {
    search("text");
}

#[test]
fn nothing_personal_is_told_with_a_log_for_programs() {
    search("json");
}
