//! One idempotency key, one decision: also when asked at once, with another input, and after a restart.

use std::{collections::BTreeSet, thread};

use serde_json::{Value as Json, json};

use crate::harness::{Project, Setup, input};

fn id(answer: &Json) -> String {
    answer["id"].as_str().unwrap_or_else(|| panic!("no decision: {answer}")).to_owned()
}

#[test]
fn a_key_stands_for_one_decision_whoever_asks_how_often_and_whenever() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let key = project.key("app", &[]);
    let stranger = project.key("stranger", &[]);
    let server = project.up();
    let client = server.client(&key);

    let first = client.decide(&input(1), Some("one"));
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, ""));
    let again = client.decide(&input(1), Some("one"));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body, first.body);

    // White space and the order of members are the same question; another value is another.
    let mut reordered = input(1);
    let members = reordered["input"].as_object().unwrap().clone();
    reordered["input"] = members.into_iter().rev().collect::<serde_json::Map<_, _>>().into();
    let spaced = serde_json::to_string_pretty(&reordered).unwrap();
    let headers = [("authorization", format!("Bearer {key}")), ("idempotency-key", "one".to_owned())];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let spaced = client.ask("POST", "/v1/integrations/lead-score/decisions", &headers, spaced.as_bytes()).unwrap();
    assert_eq!(id(&spaced.json()), id(&first.json()));
    let other = client.decide(&input(2), Some("one"));
    assert_eq!((other.status, other.json()["code"].as_str()), (409, Some("idempotency_conflict")));
    assert_eq!(project.decisions(), 1);

    // The key belongs to its caller.
    let foreign = server.client(&stranger).decide(&input(2), Some("one"));
    assert_eq!(foreign.status, 200);
    assert_ne!(id(&foreign.json()), id(&first.json()));
    assert_eq!(project.decisions(), 2);

    server.stop();
    let mut server = project.up();
    let after = server.client(&key).decide(&input(1), Some("one"));
    assert_eq!((after.header("idempotent-replayed"), &after.body), ("true", &first.body));
    server.kill();
    let server = project.up();
    assert_eq!(server.client(&key).decide(&input(1), Some("one")).body, first.body);
    assert_eq!(server.client(&key).decide(&input(2), Some("one")).status, 409);
    assert_eq!(project.decisions(), 2);

    // A rejected question binds its key too: the same rejection comes back.
    let bad = json!({ "input": { "id": 1 } });
    let rejected = server.client(&key).decide(&bad, Some("two")).json();
    assert_eq!(server.client(&key).decide(&bad, Some("two")).json()["decision_id"], rejected["decision_id"]);
    assert_eq!(project.decisions(), 3);
    server.stop();
    project.verify();
}

#[test]
fn requests_at_once_with_one_key_share_one_decision() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let key = project.key("app", &[]);
    let server = project.up();
    for round in 0..20 {
        let client = server.client(&key);
        let name = format!("round {round}");
        let answers: Vec<_> = thread::scope(|scope| {
            let ask = || client.decide(&input(round), Some(&name));
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(answers.iter().all(|answer| answer.status == 200));
        let ids: BTreeSet<String> = answers.iter().map(|answer| id(&answer.json())).collect();
        let fresh = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_empty()).count();
        assert_eq!((ids.len(), fresh), (1, 1), "{ids:?}");
    }
    assert_eq!(project.decisions(), 20);
}
