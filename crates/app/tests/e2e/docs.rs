//! `/docs` in a real browser: it works from this process alone, without a complaint of the browser or of axe, and what it sends
//! is answered.

use std::process::Command;

use serde_json::Value as Json;

use crate::support::{Sandbox, browse};

#[test]
fn the_page_asks_and_shows_what_is_answered() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let seen = browse(&running, "docs.mjs", &key, "docs-pictures", &[]);
    // The one answer without a key is a refusal, which browsers note; nothing else is said.
    let notes: Vec<&str> = seen["console"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
    assert!(notes.len() == 1 && notes[0].contains("401"), "{notes:?}");
    for nothing in ["outside", "axe", "wide"] {
        assert_eq!(seen[nothing], serde_json::json!([]), "{nothing}");
    }
    assert_eq!(seen["groups"], serde_json::json!(["lead-score", "decisions", "project", "service"]));
    assert!(seen["operations"].as_u64().unwrap() >= 13, "{}", seen["operations"]);
    assert!(seen["withoutKey"].as_str().unwrap().starts_with("401"));
    assert!(seen["decided"].as_str().unwrap().starts_with("200"), "{}", seen["decided"]);
    let headers = seen["headers"].as_str().unwrap();
    assert!(headers.contains("tendon-decision-id: ") && headers.contains("server-timing: "), "{headers}");
    assert_eq!(seen["body"]["outcome"], "ok");
    assert_eq!((seen["sent"]["input"]["age"].as_i64(), seen["field"].as_str()), (Some(44), Some("45")));
    let curl = seen["curl"].as_str().unwrap();
    assert!(curl.starts_with("curl -i -X POST 'http://127.0.0.1:") && curl.contains("$TENDON_KEY"), "{curl}");
    assert!(!curl.contains(&key), "the key stands in what is copied");
    assert_eq!(seen["stored"], serde_json::json!([0, 0, 0]), "the key is kept nowhere");
    // The copied line does what the page did.
    let again = Command::new("bash").args(["-c", curl]).env("TENDON_KEY", &key).output().unwrap();
    let answer = String::from_utf8_lossy(&again.stdout);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn the_page_lets_nothing_of_a_stranger_in() {
    let sandbox = Sandbox::new(0);
    let running = sandbox.up();
    for path in ["/docs", "/docs/style.css", "/docs/script.js"] {
        let answer = running.request("GET", path, &[], "");
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let text = String::from_utf8(answer.body).unwrap();
        assert!(!text.contains("innerHTML") && !text.contains(" onclick") && !text.contains("style="), "{path}");
    }
}
