//! The life of keys: two of a name at once while one takes the other's place, an end that comes by itself, the last use.

use crate::support::{Answer, Running, Sandbox, body, eventually};

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

fn ask(running: &Running, key: &str, idempotency: &str, input: i64) -> Answer {
    running.decide(key, &[("idempotency-key", idempotency)], &body(input)).unwrap()
}

fn made(sandbox: &Sandbox, arguments: &[&str]) -> serde_json::Value {
    sandbox.json(&[&["keys"], arguments].concat())
}

#[test]
fn a_rotated_key_keeps_its_callers_idempotency_and_ends_after_the_overlap() {
    let sandbox = Sandbox::new(0);
    let running = sandbox.up();
    let old = made(&sandbox, &["create", "--name", "billing", "--scope", "decide:lead-score", "--rate", "1000/s"]);
    let first = ask(&running, old["key"].as_str().unwrap(), "order-1", 1);
    assert_eq!(first.status, 200, "{}", first.json());
    let new = made(&sandbox, &["rotate", "billing", "--overlap", "3s"]);
    assert_eq!((&new["name"], &new["scopes"], &new["limits"]), (&old["name"], &old["scopes"], &old["limits"]));
    assert_eq!(new["replaces"]["id"], old["id"], "{new}");
    let (old_key, new_key) = (old["key"].as_str().unwrap(), new["key"].as_str().unwrap());
    // Both open, and both are the same caller to the record of idempotency keys.
    let again = ask(&running, new_key, "order-1", 1);
    assert_eq!((again.status, &again.json()["id"]), (200, &first.json()["id"]));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(ask(&running, new_key, "order-1", 2).status, 409, "another input under the same key");
    assert_eq!(ask(&running, old_key, "order-2", 1).status, 200, "the old one lives on");
    let twice = sandbox.run(&["keys", "rotate", old["id"].as_str().unwrap()]);
    assert!(String::from_utf8_lossy(&twice.stderr).contains("has a successor already"), "{twice:?}");
    eventually("the old one ends", || code(&ask(&running, old_key, "order-2", 1)) == (401, "key_expired".into()));
    assert_eq!(ask(&running, new_key, "order-2", 1).header("idempotent-replayed"), Some("true"));
    // The name means the one in force.
    assert_eq!(made(&sandbox, &["revoke", "billing"])["id"], new["id"]);
    assert_eq!(code(&ask(&running, new_key, "order-3", 1)), (401, "key_unknown".into()));
    let nobody = sandbox.run(&["keys", "rotate", "billing"]);
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("no key in force"), "{nobody:?}");
    assert!(running.stop().success());
    sandbox.verified_entries();
}

#[test]
fn keys_end_by_themselves_and_the_list_tells_when_they_were_used() {
    let sandbox = Sandbox::new(0);
    let running = sandbox.up();
    let short = made(&sandbox, &["create", "--name", "short", "--expires", "2s"]);
    let long = made(&sandbox, &["create", "--name", "long", "--expires", "90d", "--quota", "1000"]);
    let unused = made(&sandbox, &["create", "--name", "unused"]);
    let key = short["key"].as_str().unwrap();
    assert!(ask(&running, key, "a", 1).status == 200 && short["expires"].is_string(), "{short}");
    eventually("it ends", || code(&ask(&running, key, "a", 1)) == (401, "key_expired".into()));
    assert_eq!(ask(&running, long["key"].as_str().unwrap(), "a", 1).status, 200);
    let listed = |id: &serde_json::Value| {
        let list = made(&sandbox, &["list"]);
        list.as_array().unwrap().iter().find(|key| key["id"] == *id).cloned().unwrap()
    };
    eventually("the use is kept", || listed(&long["id"])["last_used"].is_string());
    let used = listed(&long["id"])["last_used"].as_str().unwrap().to_owned();
    assert!(used.ends_with(":00:00.000000Z"), "to the hour: {used}");
    assert_eq!((&listed(&short["id"])["in_force"], &listed(&unused["id"])["last_used"]), (&false.into(), &().into()));
    // A new one lives as long as the old one was meant to, and what was noted outlives the process.
    let next = made(&sandbox, &["rotate", "long"]);
    let days = |key: &serde_json::Value| key["expires"].as_str().unwrap()[..10].to_owned();
    assert_eq!((days(&next), &next["limits"]["quota"]), (days(&long), &1000.into()));
    assert!(running.stop().success());
    assert_eq!(listed(&long["id"])["last_used"], used.as_str());
    let text = String::from_utf8(sandbox.run(&["keys", "list"]).stdout).unwrap();
    assert!(text.contains("LAST USED") && text.contains("1000/day"), "{text}");
    for (arguments, part) in [
        (["create", "--name", "x", "--expires", "soon"], "a time looks like"),
        (["create", "--name", "x", "--rate", "5"], "a rate looks like"),
    ] {
        let refused = sandbox.run(&[&["keys"], &arguments[..]].concat());
        assert!(String::from_utf8_lossy(&refused.stderr).contains(part), "{refused:?}");
    }
}

#[test]
fn a_name_that_is_in_use_is_said_and_keys_of_one_name_are_told_apart() {
    let sandbox = Sandbox::new(0);
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let create = || sandbox.run(&["keys", "create", "--name", "ada"]);
    let first = create();
    assert!(first.status.success() && !said(&first).contains("in force"), "{first:?}");
    let id = String::from_utf8(first.stdout).unwrap().split('_').nth(1).unwrap().to_owned();
    let second = create();
    assert!(
        second.status.success() && said(&second).contains(&format!("the name ada is that of {id} in force, too")),
        "{second:?}"
    );
    let third = made(&sandbox, &["create", "--name", "ada"]);
    assert_eq!(
        (third["same_name"].as_array().unwrap().len(), &third["same_name"][0]),
        (2, &id.clone().into()),
        "{third}"
    );
    // One that is not in force any more has no name to share.
    made(&sandbox, &["revoke", &id]);
    assert_eq!(made(&sandbox, &["create", "--name", "ada"])["same_name"].as_array().unwrap().len(), 2);
    assert_eq!(made(&sandbox, &["create", "--name", "bob"])["same_name"], serde_json::json!([]));
}
