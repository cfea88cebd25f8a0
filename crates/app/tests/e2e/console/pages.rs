//! Every page in a real browser, at three widths, light and dark: no complaint of the browser or of axe, nothing moves by itself,
//! and the main tasks are done by keyboard alone. The pictures are for people.

use serde_json::json;

use super::hold_all;
use crate::support::{Sandbox, body, browse, eventually};

#[test]
fn every_page_is_fit_to_be_seen_and_used() {
    let sandbox = Sandbox::new(40);
    sandbox.crm.open().execute_batch("UPDATE leads SET age = 'forty' WHERE id IN (2, 4, 6)").unwrap();
    hold_all(&sandbox);
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    assert_eq!(running.decide(&key, &[], &body(999)).unwrap().status, 200);
    sandbox.json(&["ledger", "erase", "--subject", "999"]);
    let bearer = format!("Bearer {key}");
    let asked = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let waits = running.request("POST", "/v1/integrations/desk/decisions", &asked, &body(9)).json();
    let review = format!("/console/reviews/{}", waits["id"].as_str().unwrap());
    assert_eq!(running.decide(&key, &[], &body(7)).unwrap().status, 200);
    eventually("the letters are there", || sandbox.json(&["letters", "list"]).as_array().unwrap().len() == 3);
    eventually("all others are decided and written back", || {
        sandbox.crm.number("SELECT count(*) FROM leads WHERE score IS NOT NULL") == 37
    });
    let decided = sandbox.decisions().into_iter().find(|decision| decision["outcome"] == "ok").unwrap();
    let decision = format!("/console/decisions/{}", decided["id"].as_str().unwrap());
    let pages = json!([
        ["overview", "/console"],
        ["decisions", "/console/decisions"],
        ["nothing-found", "/console/decisions?subject=nobody"],
        ["decision", decision],
        ["proved", format!("{decision}?check=proof")],
        ["letters", "/console/letters"],
        ["reviews", "/console/reviews"],
        ["review", review],
        ["models", "/console/models"],
        ["systems", "/console/systems"],
        ["map", "/console/map"],
        ["deliveries", "/console/deliveries"],
        ["configuration", "/console/configuration"],
        ["ledger", "/console/ledger"],
        ["keys", "/console/keys"],
        ["missing", "/console/decisions?since=never"],
    ]);
    let mut seen = browse(&running, "console.mjs", &key, "console-pictures", &[&pages.to_string()]);
    // The page of an error is one, and browsers note its status.
    let notes = seen["console"].as_array_mut().unwrap();
    notes.retain(|note| !note.as_str().unwrap().contains("status of 400"));
    for nothing in ["console", "outside", "axe", "wide", "shifted"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}");
    }
    assert_eq!(
        (&seen["door"], &seen["pictures"]),
        (&json!("/console/sign-in"), &json!(6 * pages.as_array().unwrap().len()))
    );
    let keyboard = &seen["keyboard"];
    assert_eq!(keyboard["first"], "Skip to the content");
    assert_eq!((&keyboard["next"], &keyboard["search"]), (&json!("/console/decisions"), &json!("subject")));
    for reached in ["row", "replay", "menu", "out"] {
        assert_eq!(keyboard[reached], true, "{reached}");
    }
    assert!(keyboard["verdict"].as_str().unwrap().starts_with("The same, bit for bit."), "{keyboard}");
    assert_eq!(keyboard["back"], "Sign in to the console");
    assert_eq!((&seen["plain"], &seen["theme"]), (&json!(["Overview", 2]), &json!("light")));
}
