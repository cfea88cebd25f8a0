//! Every address × every method × every kind of caller, asked of the running process: nobody gets further than the rule says.

use crate::{
    embed::{SECRET, with_badge},
    support::{Sandbox, body},
};

/// Who may use what.
const RULES: &str = include_str!("../../../doors/src/api/rules.txt");

/// Whether a rule lets this caller through to the handler.
fn allowed(rule: &str, caller: &str) -> bool {
    match rule {
        "open" => true,
        "known" | "decide" => caller != "nobody" && caller != "forged",
        "read" => matches!(caller, "reader" | "operator" | "admin"),
        "review" => matches!(caller, "reviewer" | "admin"),
        "operate" => matches!(caller, "operator" | "admin"),
        // No key is a token of a badge.
        "holder" => false,
        _ => panic!("{rule} is no rule"),
    }
}

#[test]
fn nobody_gets_further_than_the_rule_of_an_address_says() {
    let sandbox = Sandbox::new(0);
    sandbox.write("badge.secret", SECRET);
    sandbox.write("integrations/lead-score.yaml", &with_badge(include_str!("support/lead-score.yaml"), "trend: 1d"));
    let callers = [
        ("nobody", None),
        ("forged", Some(format!("tdn_{}_{}", "a".repeat(12), "b".repeat(49)))),
        ("decider", Some(sandbox.key("decider", &["decide:lead-score"]))),
        ("reader", Some(sandbox.key("reader", &["read"]))),
        ("reviewer", Some(sandbox.key("reviewer", &["review:lead-score"]))),
        ("operator", Some(sandbox.key("operator", &["operate"]))),
        ("admin", Some(sandbox.key("admin", &["admin"]))),
    ];
    let running = sandbox.up();
    let known: Vec<Vec<&str>> = RULES.lines().map(|line| line.split(' ').collect()).collect();
    let mut paths: Vec<&str> = known.iter().map(|rule| rule[1]).collect();
    paths.dedup();
    for path in paths {
        let address = path.replace("{name}", "lead-score").replace("{id}", "018f0000-0000-7000-8000-000000000000");
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            // A handler for GET answers HEAD.
            let wanted = if method == "HEAD" { "GET" } else { method };
            let rule = known.iter().find(|rule| rule[0] == wanted && rule[1] == path).map(|rule| rule[2]);
            for (caller, key) in &callers {
                let bearer = key.as_ref().map(|key| format!("Bearer {key}")).unwrap_or_default();
                let kind = ("content-type", "application/json");
                let headers: Vec<_> = key.iter().map(|_| ("authorization", bearer.as_str())).chain([kind]).collect();
                let text = if method == "POST" { body(1) } else { String::new() };
                let answer = running.request(method, &address, &headers, &text);
                let what = format!("{method} {path} by {caller}: {}", answer.status);
                match rule {
                    None => assert_eq!(answer.status, 405, "{what}"),
                    Some(rule) if allowed(rule, caller) => {
                        assert!(![401, 405].contains(&answer.status), "{what}");
                        // Beyond the gate only the path and the handlers say no: whose integration, whose decision.
                        let own = matches!(rule, "known" | "decide");
                        assert!(answer.status != 403 || own, "{what}");
                    }
                    Some("holder") => assert_eq!(answer.status, 401, "{what}"),
                    Some(_) if key.is_none() || *caller == "forged" => assert_eq!(answer.status, 401, "{what}"),
                    Some(_) => assert_eq!(answer.status, 403, "{what}"),
                }
            }
        }
    }
}
