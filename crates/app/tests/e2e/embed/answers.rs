//! What the badge is told: the last decision in every state, why in words without what came in, the trend; and what it leaves in the
//! record.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use tendon_testkit::Rng;

use super::{ask, more, sandbox, token};
use crate::planted::files_with;
use crate::support::{Running, body, eventually, input};

const PAGE: &str = "https://crm.example";

pub(super) fn decide(running: &Running, key: &str, integration: &str, body: &str) -> Json {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    running.request("POST", &format!("/v1/integrations/{integration}/decisions"), &headers, body).json()
}

fn score(running: &Running, integration: &str, subject: &str) -> Json {
    let answer = ask(running, &format!("{integration}/score"), &token(integration, subject), &[]);
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json()
}

fn breakdown(running: &Running, integration: &str, subject: &str) -> Json {
    let answer = ask(running, &format!("{integration}/breakdown"), &token(integration, subject), &[]);
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

#[test]
fn the_badge_shows_the_last_decision_in_every_state() {
    let sandbox = sandbox(0, PAGE);
    more(&sandbox, &format!("origins: [\"{PAGE}\"]"));
    let key = sandbox.key("admin", &["admin"]);
    let running = sandbox.up();
    assert_eq!(
        score(&running, "desk", "7"),
        json!({ "integration": "desk", "purpose": "rank leads by their probability to subscribe", "state": "none" })
    );
    assert_eq!(breakdown(&running, "desk", "7")["trend"], json!([]));

    let made = decide(&running, &key, "lead-score", &body(7));
    let shown = score(&running, "lead-score", "7");
    assert_eq!((&shown["state"], &shown["output"], &shown["band"]), (&json!("fresh"), &made["output"], &made["band"]));
    assert_eq!((&shown["decision"], &shown["at"]), (&made["id"], &made["at"]));

    // A later attempt without an output leaves the score as it was, and says so.
    let mut wrong = input(7);
    wrong["age"] = "forty".into();
    decide(&running, &key, "lead-score", &json!({ "input": wrong }).to_string());
    let shown = score(&running, "lead-score", "7");
    assert_eq!((&shown["decision"], &shown["output"]), (&made["id"], &made["output"]));
    assert_eq!((&shown["state"], &shown["since"]), (&json!("stale"), &json!("rejected")));

    let made = decide(&running, &key, "fallen", &body(7));
    let shown = score(&running, "fallen", "7");
    assert_eq!((&shown["degraded"], &shown["output"]), (&json!("default"), &json!(0.95)), "{made}");
    // What the plan says of its fallback is not for the readers of a page; the badge shows a text behind its feature's name.
    let parts = breakdown(&running, "fallen", "7")["parts"].clone();
    assert_eq!(parts[0]["text"], "fallback does not change the score", "{parts}");

    let made = decide(&running, &key, "held", &body(7));
    let waits = score(&running, "held", "7");
    assert_eq!((&waits["state"], &waits["output"], &waits["band"]), (&json!("waiting"), &Json::Null, &Json::Null));
    assert_eq!(
        (&breakdown(&running, "held", "7")["trend"], &breakdown(&running, "held", "7")["parts"]),
        (&json!([]), &json!([]))
    );
    sandbox.json(&["reviews", "override", made["id"].as_str().unwrap(), "--to", "0.5"]);
    let given = score(&running, "held", "7");
    assert_eq!((&given["state"], &given["output"]), (&json!("fresh"), &json!(0.5)));

    decide(&running, &key, "desk", &body(7));
    eventually("it has become stale", || score(&running, "desk", "7")["state"] == "stale");

    sandbox.json(&["ledger", "erase", "--subject", "7"]);
    assert_eq!(score(&running, "lead-score", "7")["state"], "none");
    assert_eq!(breakdown(&running, "lead-score", "7")["trend"], json!([]));
}

/// The score and the trend that whoever looks at every decision of a subject finds: of the list, which nothing is left out of.
fn looked(running: &Running, key: &str, integration: &str, subject: &str) -> (Json, Vec<Json>) {
    let bearer = format!("Bearer {key}");
    let (mut outputs, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/decisions?subject={subject}&integration={integration}&limit=7{cursor}");
        let page = running.request("GET", &path, &[("authorization", &bearer)], "").json();
        outputs.extend(page["decisions"].as_array().unwrap().iter().map(|row| row["decision"].clone()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    outputs.retain(|decision| decision["output"].is_number());
    let last = outputs.first().map_or(Json::Null, |decision| decision["id"].clone());
    (last, outputs.iter().rev().map(|decision| decision["output"].clone()).collect())
}

#[test]
fn a_score_is_found_behind_any_number_of_attempts_without_one() {
    let sandbox = sandbox(0, PAGE);
    more(&sandbox, &format!("origins: [\"{PAGE}\"]"));
    let key = sandbox.key("admin", &["admin"]);
    let running = sandbox.up();
    let mut rng = Rng::stream(7, "attempts");
    let mut wrong = input(7);
    wrong["age"] = "forty".into();
    // Runs of attempts that fail, between them a score, some of them of other integrations about the same subject.
    for run in [25, 0, 70, 1, 90] {
        for integration in ["lead-score", "fallen"] {
            let mut asked = input(7);
            asked["balance"] = rng.below(5000).into();
            decide(&running, &key, integration, &json!({ "input": asked }).to_string());
        }
        for _ in 0..run {
            let integration = ["lead-score", "lead-score", "fallen", "desk"][usize::try_from(rng.below(4)).unwrap()];
            decide(&running, &key, integration, &json!({ "input": wrong }).to_string());
        }
        for integration in ["lead-score", "fallen", "desk"] {
            let told = breakdown(&running, integration, "7");
            let (last, outputs) = looked(&running, &key, integration, "7");
            assert_eq!(told["score"]["decision"], last, "{integration} after {run}: {told}");
            let trend: Vec<&Json> = told["trend"].as_array().unwrap().iter().map(|point| &point["output"]).collect();
            assert_eq!(trend, outputs.iter().collect::<Vec<_>>(), "{integration} after {run}");
        }
    }
    assert_eq!(score(&running, "desk", "7")["state"], "none", "nothing but attempts that failed");
    let shown = score(&running, "lead-score", "7");
    assert_eq!((&shown["state"], &shown["since"]), (&json!("stale"), &json!("rejected")));
}

#[test]
fn the_breakdown_tells_why_and_how_it_was_but_not_what_came_in() {
    let sandbox = sandbox(0, PAGE);
    let key = sandbox.key("admin", &["admin"]);
    let running = sandbox.up();
    let mut outputs = Vec::new();
    for balance in [100, 48_213_977, 3000] {
        let mut asked = input(7);
        (asked["balance"], asked["job"]) = (balance.into(), "blue-collar".into());
        outputs.push(decide(&running, &key, "lead-score", &json!({ "input": asked }).to_string())["output"].clone());
    }
    decide(&running, &key, "lead-score", &body(8));
    decide(&running, &key, "desk", &body(7));
    let answer = ask(&running, "lead-score/breakdown", &token("lead-score", "7"), &[]);
    let told = answer.json();
    let trend: Vec<&Json> = told["trend"].as_array().unwrap().iter().map(|point| &point["output"]).collect();
    assert_eq!(trend, outputs.iter().collect::<Vec<_>>(), "of this subject and integration, oldest first");
    assert_eq!((&told["score"]["output"], &told["more"]), (&outputs[2], &json!(false)));
    let parts = told["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 15);
    for part in parts {
        let effect = part["contribution"].as_f64().unwrap().partial_cmp(&0.0).unwrap() as i8;
        let words =
            ["lowers the score", "does not change the score", "raises the score"][usize::try_from(effect + 1).unwrap()];
        assert_eq!(part["text"], format!("{} {words}", part["feature"].as_str().unwrap()));
    }
    let size = |part: &Json| part["contribution"].as_f64().unwrap().abs();
    assert!(parts.windows(2).all(|pair| size(&pair[0]) >= size(&pair[1])), "largest first");
    let text = String::from_utf8(answer.body).unwrap();
    for value in ["blue-collar", "48213977", "3000", "tertiary"] {
        assert!(!text.contains(value), "{value} came in: {text}");
    }
    let names: BTreeSet<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["from", "more", "parts", "score", "trend", "until"]));
}

#[test]
fn what_was_shown_stands_in_the_record() {
    let sandbox = sandbox(0, PAGE);
    let key = sandbox.key("admin", &["admin"]);
    let running = sandbox.up();
    decide(&running, &key, "lead-score", &body(7));
    score(&running, "lead-score", "7");
    breakdown(&running, "lead-score", "7");
    // Nobody was shown anything by these.
    score(&running, "lead-score", "8");
    ask(&running, "lead-score/score", &token("lead-score", "7"), &[("tendon-subject", "8")]);
    assert!(running.stop().success());
    assert_eq!(sandbox.verified_entries(), 5, "the key, the plan, the decision, and twice that it was shown");
    let leaves = sandbox.path(".tendon/ledger/main");
    assert!(!files_with(&leaves, &["embed:lead-score"]).is_empty(), "the record does not say through which badge");
}
