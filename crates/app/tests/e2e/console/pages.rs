//! Every page in a real browser, at four widths, light and dark: no complaint of the browser or of axe, nothing moves by itself,
//! and the main tasks are done by keyboard alone. The pictures are for people.

use serde_json::{Value as Json, json};

use super::hold_all;
use crate::support::{Sandbox, body, browse, eventually};

#[test]
fn every_page_is_fit_to_be_seen_and_used() {
    let sandbox = Sandbox::new(40);
    sandbox.crm.open().execute_batch("UPDATE leads SET age = 'forty' WHERE id IN (2, 4, 6)").unwrap();
    let refused =
        "CREATE TRIGGER checked BEFORE UPDATE OF score_band ON leads WHEN NEW.id = 8 AND NEW.score_band <> 'checked'
        BEGIN SELECT RAISE(ABORT, 'this band is not taken'); END";
    sandbox.crm.open().execute_batch(refused).unwrap();
    hold_all(&sandbox);
    let text = include_str!("../support/lead-score.yaml");
    let targets = "objectives: { answered: 99.9, by_model: 95, fast: { percent: 95, within: 50ms } }";
    sandbox.write("integrations/lead-score.yaml", &format!("{text}{targets}\n"));
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    assert_eq!(running.decide(&key, &[], &body(999)).unwrap().status, 200);
    sandbox.json(&["ledger", "erase", "--subject", "999"]);
    let bearer = format!("Bearer {key}");
    let asked = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let waits = running.request("POST", "/v1/integrations/desk/decisions", &asked, &body(9)).json();
    let review = format!("/console/reviews/{}", waits["id"].as_str().unwrap());
    assert_eq!(running.decide(&key, &[], &body(7)).unwrap().status, 200);
    let letters = || sandbox.json(&["letters", "list"]).as_array().unwrap().clone();
    eventually("the letters are there", || letters().len() == 4);
    eventually("all others are decided and written back", || {
        sandbox.crm.number("SELECT count(*) FROM leads WHERE score IS NOT NULL") == 36
    });
    changed(&sandbox);
    let letter = letters().into_iter().find(|letter| letter["system"] == "crm").unwrap();
    let decided = sandbox.decisions().into_iter().find(|decision| decision["outcome"] == "ok").unwrap();
    let decision = format!("/console/decisions/{}", decided["id"].as_str().unwrap());
    let pages = json!([
        ["overview", "/console"],
        ["decisions", "/console/decisions"],
        ["nothing-found", "/console/decisions?subject=nobody"],
        ["decision", decision],
        ["proved", format!("{decision}?check=proof")],
        ["letters", "/console/letters"],
        ["letter", format!("/console/letters/{}", letter["id"].as_str().unwrap())],
        ["reviews", "/console/reviews"],
        ["review", review],
        ["models", "/console/models"],
        ["systems", "/console/systems"],
        ["map", "/console/map"],
        ["deliveries", "/console/deliveries"],
        ["configuration", "/console/configuration"],
        ["ledger", "/console/ledger"],
        ["keys", "/console/keys"],
        ["refused-search", "/console/decisions?since=never"],
        ["refused", "/console/decisions?before=x"],
    ]);
    let mut seen = browse(&running, "console.mjs", &key, "console-pictures", &[&pages.to_string(), &body(7)]);
    // The page of an error is one, and browsers note its status; so does the one that says which value is none.
    let notes = seen["console"].as_array_mut().unwrap();
    notes.retain(|note| {
        !["status of 400", "status of 422"].iter().any(|status| note.as_str().unwrap().contains(status))
    });
    for nothing in ["console", "outside", "axe", "wide", "shifted"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}");
    }
    assert_eq!(
        (&seen["door"], &seen["pictures"]),
        (&json!("/console/sign-in"), &json!(8 * pages.as_array().unwrap().len()))
    );
    assert_eq!((&seen["plain"], &seen["theme"]), (&json!(["Overview", 2]), &json!("light")));
    by_keyboard(&seen["keyboard"]);
    grown(&seen["tail"]);
    put_right(&seen["edit"]);
    let checked = "SELECT count(*) FROM leads WHERE id = 8 AND score_band = 'checked' AND score = 0.5";
    eventually("the row has what was typed", || sandbox.crm.number(checked) == 1);
}

/// A row that was written twice, lead 40: its decision has old and new values to show.
fn changed(sandbox: &Sandbox) {
    let score = || sandbox.crm.number("SELECT CAST(score * 1e9 AS INTEGER) FROM leads WHERE id = 40");
    let before = score();
    let change = "UPDATE leads SET age = 61, balance = 5200, contact = 'cellular',
        updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') WHERE id = 40";
    sandbox.crm.open().execute_batch(change).unwrap();
    eventually("the changed row is scored anew", || score() != before);
}

/// The main tasks, without a mouse.
fn by_keyboard(keyboard: &Json) {
    assert_eq!(keyboard["first"], "Skip to the content");
    assert_eq!((&keyboard["next"], &keyboard["search"]), (&json!("/console/decisions"), &json!("subject")));
    for reached in ["row", "replay", "menu", "out"] {
        assert_eq!(keyboard[reached], true, "{reached}");
    }
    assert!(keyboard["verdict"].as_str().unwrap().starts_with("The same, bit for bit."), "{keyboard}");
    assert_eq!(keyboard["back"], "Sign in to the console");
}

/// A list that grew while somebody stood in it.
fn grown(tail: &Json) {
    assert_eq!(
        (&tail["moved"], &tail["scrolled"], &tail["focused"]),
        (&json!(0), &json!(true), &json!(true)),
        "{tail}"
    );
    assert_eq!((&tail["told"], &tail["role"]), (&json!("3 new decisions"), &json!("status")), "{tail}");
    assert_eq!((&tail["paused"], &tail["newest"]), (&json!(["false", 3]), &json!(50)), "{tail}");
    assert!(tail["older"].as_u64().unwrap() > 10, "{tail}");
}

/// A value that the CRM refused, first with one that is none.
fn put_right(edit: &Json) {
    for reached in ["letter", "score", "band"] {
        assert_eq!(edit[reached], true, "{reached}: {edit}");
    }
    assert!(edit["wrong"].as_str().unwrap().contains("a number like 0.75, with a point"), "{edit}");
    assert_eq!(edit["described"], "wrong");
    assert!(edit["done"].as_str().unwrap().contains("is tried again"), "{edit}");
}
