//! Declared objectives: what the page, the document, the terminal and the metrics say of them is what was asked and what failed.

use serde_json::json;

use super::Visitor;
use crate::support::{Sandbox, desk, eventually, input};

/// Callers who are answered by a fallback are answered; that it is not the model's answer is told all the same.
#[test]
fn a_fallback_in_use_is_told_where_people_look() {
    let sandbox = Sandbox::new(0);
    // The model's answers lie outside of the range.
    let falling = desk().replace("fallback: {", "output: { range: [0.9, 1] }\nfallback: {").replace("0.05 }", "0.95 }");
    let falling = falling.replace(">= 0.1", ">= 0.93").replace(">= 0.055", ">= 0.905");
    sandbox.write("integrations/desk.yaml", &falling);
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    let status = || {
        let output = sandbox.run(&["status", "--output", "json"]);
        (output.status.code(), serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap())
    };
    let (code, document) = status();
    assert_eq!((code, &document["state"]), (Some(0), &json!("healthy")), "{document}");
    let bearer = format!("Bearer {key}");
    let asked = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let question = json!({ "input": input(7) }).to_string();
    let answer = running.request("POST", "/v1/integrations/desk/decisions", &asked, &question);
    assert_eq!((answer.status, &answer.json()["outcome"]), (200, &json!("degraded")), "{}", answer.json());
    eventually("it is degraded", || status().1["state"] == "degraded");
    let (code, document) = status();
    let why = "1 of 1 decisions of the last minute were answered by a fallback";
    let trouble = json!([{ "part": "integration:desk", "why": why, "vital": false }]);
    assert_eq!((code, &document["trouble"]), (Some(1), &trouble), "{document}");
    let unanswered = json!([{ "integration": "desk", "reason": "bad_output", "times": 1 }]);
    assert_eq!(document["unanswered"], unanswered, "{document}");
    let text = String::from_utf8(sandbox.run(&["status"]).stdout).unwrap();
    let page = Visitor::new(&running, &key).page("/console");
    for told in [why, "integration:desk", "bad_output"] {
        assert!(text.contains(told) && page.contains(told), "{told}: {text}");
    }
}

#[test]
fn a_known_share_of_failures_is_what_every_place_tells() {
    let sandbox = Sandbox::new(0);
    // The model's answers lie outside of the range: a rule answers for some, nothing for others.
    let failing = desk().replace(
        "fallback: { default: 0.05 }",
        "output: { range: [0.9, 1] }\nfallback: { rules: [ { when: \"input.balance != null && input.balance > 5000\", output: 0.95 } ] }\n\
         objectives: { answered: 90, by_model: 99.5, fast: { percent: 95, within: 30s }, window: 12h }",
    );
    let failing = failing.replace(">= 0.1", ">= 0.93").replace(">= 0.055", ">= 0.905");
    sandbox.write("integrations/desk.yaml", &failing);
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    let bearer = format!("Bearer {key}");
    let asked = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let ask = |balance: serde_json::Value| {
        let mut input = input(7);
        input["balance"] = balance;
        let body = json!({ "input": input }).to_string();
        running.request("POST", "/v1/integrations/desk/decisions", &asked, &body).status
    };
    for _ in 0..19 {
        assert_eq!(ask(json!(6000)), 200);
    }
    assert!(ask(json!(10)) >= 500, "nothing answers");
    assert_eq!(ask(json!("much")), 422, "what is no fit input is nobody's failure");

    // It exits with 1: something is to be looked at.
    let of_desk = || {
        let output = sandbox.run(&["status", "--output", "json"]);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["integrations"][0].clone()
    };
    eventually("all are counted", || of_desk()["objectives"][0]["counted"] == 20);
    let found = of_desk();
    assert_eq!((&found["name"], &found["state"]), (&"desk".into(), &"failing".into()), "{found}");
    let objectives = found["objectives"].as_array().unwrap();
    let told: Vec<_> = objectives.iter().map(|one| (&one["objective"], &one["wrong"], &one["spent"])).collect();
    let wanted = [("answered", 1, false), ("by_model", 20, true), ("fast", 0, false)];
    let wanted = wanted.map(|(name, wrong, spent)| (json!(name), json!(wrong), json!(spent)));
    assert_eq!(told, wanted.iter().map(|(name, wrong, spent)| (name, wrong, spent)).collect::<Vec<_>>());
    let close = |found: &serde_json::Value, wanted: f64| (found.as_f64().unwrap() - wanted).abs() < 1e-9;
    for (one, reached, left, burnt) in
        [(&objectives[0], 0.95, 0.5, 0.5), (&objectives[1], 0.0, -199.0, 200.0), (&objectives[2], 1.0, 1.0, 0.0)]
    {
        assert!(close(&one["reached"], reached) && close(&one["left"], left), "{one}");
        assert!(close(&one["burn_1h"], burnt) && close(&one["burn_24h"], burnt), "{one}");
    }

    // A spent budget is a matter for attention, also when nothing fails any more: in the document, the exit code, on the page.
    let output = sandbox.run(&["status"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let page = Visitor::new(&running, &key).page("/console");
    let trouble = "the error budget of its objective is spent: 99.5 % by the model in 12 h, 0 % reached";
    assert!(said.contains(trouble) && page.contains(trouble), "{said}");
    for figure in
        ["99.5 % by the model", "95 % within 30 s", "90 % answered", "spent 200 times over", "50.0 %", "0.50×", "12 h"]
    {
        assert!(said.contains(figure), "{figure}: {said}");
    }
    for figure in [
        "90 % answered",
        "1 of 20 decisions wrong",
        "0 of 21 asks wrong",
        "95 % within 30 s",
        "spent 200 times over",
        "200×",
    ] {
        assert!(page.contains(figure), "{figure}: {page}");
    }
    assert!(page.contains("Nothing is declared for lead-score"), "{page}");
    let metrics = String::from_utf8(running.request("GET", "/metrics", &[], "").body).unwrap();
    for (objective, left) in [("answered", "0.5"), ("by_model", "-199"), ("fast", "1")] {
        let line =
            format!("tendon_objective_budget_left_ratio{{integration=\"desk\",objective=\"{objective}\"}} {left}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}
