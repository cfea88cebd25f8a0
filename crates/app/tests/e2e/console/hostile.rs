//! Rows, questions and addresses that want to be markup are shown as text, wherever they come to stand.

use super::Visitor;
use crate::support::{Sandbox, eventually, input};

/// Markup for every place: text, attribute, address, script.
const HOSTILE: &str =
    r#"</td><script>alert(1)</script><img src=x onerror=alert(2)>" autofocus onfocus='alert(3)' javascript:alert(4)"#;

/// The document must hold no tag and no attribute that is not ours.
fn harmless(page: &str, what: &str) {
    for tag in ["<script>", "<img", "alert(1)</script", "\" autofocus onfocus", "href=\"javascript"] {
        assert!(!page.contains(tag), "{what}: {tag} in\n{page}");
    }
}

#[test]
fn what_wants_to_be_markup_is_shown_as_text() {
    let sandbox = Sandbox::new(2);
    let text = include_str!("../support/lead-score.yaml").replace("subject: string(input.id)", "subject: input.job");
    // What people write down about an integration is text, too.
    let quoted = HOSTILE.replace('\'', "''");
    let text = text.replace("purpose: rank leads by their probability to subscribe", &format!("purpose: '{quoted}'"));
    sandbox.write("integrations/lead-score.yaml", &text);
    for field in ["job", "marital", "education", "\"default\"", "housing", "loan", "contact", "month", "poutcome"] {
        sandbox.crm.open().execute(&format!("UPDATE leads SET {field} = ?1 WHERE id = 1"), [HOSTILE]).unwrap();
    }
    sandbox.crm.open().execute("UPDATE leads SET age = ?1 WHERE id = 2", [HOSTILE]).unwrap();
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    let mut asked = input(7);
    // The key of the row is no field of the input here: nothing but the job says whom a decision is about.
    asked.as_object_mut().unwrap().remove("id");
    for field in ["job", "marital", "poutcome"] {
        asked[field] = HOSTILE.into();
    }
    let answer = running.decide(&key, &[], &serde_json::json!({ "input": asked }).to_string()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.json());
    eventually("the row and the question are decided, and a letter is there", || {
        sandbox.decisions().len() == 3 && sandbox.json(&["letters", "list"]).as_array().unwrap().len() == 1
    });
    let visitor = Visitor::new(&running, &key);
    let list = visitor.page("/console/decisions");
    assert!(list.contains("&lt;script&gt;alert(1)"), "the subject is shown as it is: {list}");
    harmless(&list, "list");
    for decision in sandbox.decisions() {
        let path = format!("/console/decisions/{}", decision["id"].as_str().unwrap());
        for path in [path.clone(), format!("{path}?check=replay"), format!("{path}?check=proof")] {
            harmless(&visitor.page(&path), &path);
        }
    }
    for page in ["", "/letters", "/ledger", "/map", "/configuration", "/deliveries"] {
        harmless(&visitor.page(&format!("/console{page}")), page);
    }
    let encoded: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for path in [
        "decisions?subject=",
        "decisions?version=",
        "decisions?since=",
        "sign-in?next=",
        "letters?cursor=",
        "ledger?before=",
        "configuration?before=",
        "deliveries?before=",
        "decisions/",
        "",
    ] {
        let answer = visitor.get(&format!("/console/{path}{encoded}"));
        harmless(&String::from_utf8(answer.body).unwrap(), path);
    }
}
