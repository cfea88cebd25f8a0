//! Every page and every change × every role: nobody gets further than its line in `rules.txt` says, and no form gets anywhere that
//! another site's page, or another session's, has sent.

use super::{Visitor, sign_in, to};
use crate::support::Sandbox;

/// Who may see and change what.
const RULES: &str = include_str!("../../../../doors/src/console/rules.txt");

/// Whether a rule lets a role in.
fn allowed(rule: &str, role: &str) -> bool {
    match rule {
        "anyone" => true,
        "known" => role != "nobody",
        "view" => matches!(role, "viewer" | "operator" | "admin"),
        "review" => matches!(role, "reviewer" | "admin"),
        "admin" => role == "admin",
        "operate" => matches!(role, "operator" | "admin"),
        _ => panic!("{rule} is no rule"),
    }
}

#[test]
fn nobody_gets_further_than_the_rule_of_a_page_says() {
    let sandbox = Sandbox::new(0);
    let decider = sandbox.key("decider", &["decide:*"]);
    let keys = ["read", "operate", "review:lead-score", "admin"]
        .map(|scope| sandbox.key(scope.split(':').next().unwrap(), &[scope]));
    let running = sandbox.up();
    // A key that may not read opens nothing.
    assert_eq!(sign_in(&running, &decider).status, 403);
    let roles =
        ["viewer", "operator", "reviewer", "admin"].into_iter().zip(keys.iter().map(Some)).chain([("nobody", None)]);
    for (role, key) in roles {
        for line in RULES.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let (method, path, rule) = (words[0], words[1], words[2]);
            let path = path.replace("{id}", "018f0000-0000-7000-8000-000000000000").replace("{*rest}", "nowhere");
            // A change may end the session: each is asked by one of its own.
            let visitor = key.map_or_else(|| Visitor::stranger(&running), |key| Visitor::new(&running, key));
            let token = key.map(|_| visitor.token()).unwrap_or_default();
            let (origin, form) = (("origin", "http://test"), format!("token={token}&letter=none"));
            let ask = |more: &[(&str, &str)], form: &str| visitor.ask(method, &path, more, form);
            let answer = ask(&[origin], &form);
            let what = format!("{method} {path} by {role}: {} {}", answer.status, to(&answer));
            let door =
                answer.status == 303 && to(&answer).starts_with("/console/sign-in?") && !to(&answer).ends_with("out=1");
            let door = door || (answer.status == 303 && to(&answer) == "/console/sign-in");
            match allowed(rule, role) {
                true => assert!(!door && ![403, 405].contains(&answer.status), "{what}"),
                false if role == "nobody" => assert!(door, "{what}"),
                false => assert_eq!(answer.status, 403, "{what}"),
            }
            for header in ["content-security-policy", "x-content-type-options", "referrer-policy", "cache-control"] {
                assert!(answer.header(header).is_some(), "{header}: {what}");
            }
            assert!(!answer.header("content-security-policy").unwrap().contains("unsafe"), "{what}");
            if method == "POST" {
                for foreign in [&[("origin", "http://evil")][..], &[("origin", "null")], &[]] {
                    assert_eq!(ask(foreign, &form).status, 403, "{foreign:?}: {what}");
                }
            }
            if method == "POST" && rule != "anyone" && allowed(rule, role) && !path.ends_with("sign-out") {
                let other = Visitor::new(&running, key.unwrap()).token();
                for form in ["letter=none".to_owned(), "token=".to_owned(), format!("token={other}&letter=none")] {
                    assert_eq!(ask(&[origin], &form).status, 403, "{form}: {what}");
                }
            }
            assert_eq!(visitor.ask("DELETE", &path, &[origin], &form).status, 405, "{what}");
        }
    }
}
