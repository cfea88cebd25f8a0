//! The map and the configuration say what the plan says, and no more than may be said; deliveries are seen while they wait, and
//! undone by a person.

use super::Visitor;
use crate::support::{MODEL, Sandbox, desk, eventually};

#[test]
fn the_map_draws_every_arrow_of_the_plan_and_says_it_in_words() {
    let sandbox = Sandbox::new(0);
    sandbox.write("integrations/desk.yaml", &desk());
    let key = sandbox.key("ada", &["read"]);
    let running = sandbox.up();
    let page = Visitor::new(&running, &key).page("/console/map");
    let (drawing, words) = page.split_once("of-words").unwrap();
    let count = |class: &str| drawing.matches(&format!("<path class=\"way {class}\"")).count();
    // The CRM is read and written by one of the two; callers ask both, and both ask the one model.
    assert_eq!((count("read"), count("write"), count("asks")), (3, 3, 2), "{drawing}");
    assert_eq!(drawing.matches("<path class=\"tip").count(), 8, "every arrow has its head");
    for to in ["/console/systems#system-crm", "/console/models#model-lead-score", "/console/decisions?integration=desk"]
    {
        assert!(drawing.contains(&format!("<a href=\"{to}\"")) && words.contains(to), "{to} in {page}");
    }
    assert!(words.contains("crm</a>.leads") || words.contains(">crm.leads</a>"), "{words}");
    assert!(words.contains("no system") && words.contains("callers, changed rows"), "{words}");
}

#[test]
fn the_configuration_is_shown_with_its_files_and_changes_and_without_secrets() {
    let sandbox = Sandbox::new(0);
    sandbox.write("models/lead-score/v2.txt", &format!("{MODEL}\n"));
    sandbox.json(&["models", "promote", "lead-score", "v1"]);
    let key = sandbox.key("ada", &["read"]);
    let running = sandbox.up();
    let ada = Visitor::new(&running, &key);
    let plan = |page: &str| page.split_once("<dt>Plan</dt><dd><code>").unwrap().1[..64].to_owned();
    eventually("what is in force is listed", || ada.page("/console/configuration").contains("In force since"));
    let first = ada.page("/console/configuration");
    assert!(first.contains("integrations/lead-score.yaml") && first.contains("In force since"), "{first}");
    assert!(
        first.contains("feature age = age") && first.contains("Put in force") && first.contains("Promoted"),
        "{first}"
    );
    // Where a system lies was written down as it is: perhaps with a secret in it.
    assert!(first.contains("as in the file") && !first.contains("crm.db"), "{first}");

    // Another plan comes in force: its hash, and who is known to have done it.
    let text = include_str!("../support/lead-score.yaml");
    sandbox.write("integrations/lead-score.yaml", &text.replace("default: 0.05", "default: 0.06"));
    eventually("the change is in force", || plan(&ada.page("/console/configuration")) != plan(&first));
    let row = |page: &str| page.matches(">Put in force<").count();
    eventually("the change is listed", || row(&ada.page("/console/configuration")) > row(&first));
    let page = ada.page("/console/configuration");
    assert!(page.contains("the process") && page.contains(&plan(&page)[..16]), "{page}");

    // A file that is wrong is refused, and said to be.
    sandbox.write("integrations/lead-score.yaml", &text.replace("bands:", "bandz:"));
    eventually("the refusal is told", || {
        ada.page("/console/configuration").contains("and refused; what is below stays")
    });
}

#[test]
fn deliveries_are_seen_while_they_wait_and_undone_by_a_person() {
    let sandbox = Sandbox::new(3);
    let keys = [sandbox.key("ada", &["admin"]), sandbox.key("bob", &["operate"])];
    // Somebody holds the table: what is decided meanwhile waits, with its attempts and its next try.
    let crm = sandbox.crm.open();
    crm.execute_batch("BEGIN IMMEDIATE").unwrap();
    let running = sandbox.up();
    let [ada, bob] = [&keys[0], &keys[1]].map(|key| Visitor::new(&running, key));
    eventually("it waits for its next try", || {
        let page = bob.page("/console/deliveries");
        let (queue, _) = page.split_once("of-outcomes").unwrap();
        queue.contains("data-of=\"Next try\">in ") && !queue.contains("data-of=\"Attempts\">0<")
    });
    assert!(bob.page("/console/deliveries").contains(">Waits<"), "the outcomes say so, too");
    crm.execute_batch("COMMIT").unwrap();
    eventually("all are written back", || sandbox.crm.all_scored());
    eventually("and recorded", || ada.page("/console/deliveries").matches(">Delivered<").count() == 3);
    let page = ada.page("/console/deliveries");
    assert!(page.contains("3 delivered, 0 passed over, 0 dead") && page.contains("Nothing waits"), "{page}");
    assert!(page.contains("Put them back") && !bob.page("/console/deliveries").contains("Put them back"));

    let (_, rest) = page.split_once("name=\"delivery\" value=\"").unwrap();
    let id = rest.split('"').next().unwrap().to_owned();
    let form = |visitor: &Visitor<'_>| format!("token={}&delivery={id}", visitor.token());
    assert_eq!(bob.post("/console/deliveries/undo", &form(&bob)).status, 403);
    let undone = ada.post("/console/deliveries/undo", &form(&ada));
    assert_eq!(undone.status, 303, "{}", String::from_utf8_lossy(&undone.body));
    assert_eq!(sandbox.crm.number("SELECT count(*) FROM leads WHERE score IS NULL"), 1);
    eventually("the undo is told with its person", || ada.page("/console/deliveries").contains("by ada"));
    assert!(ada.post("/console/deliveries/undo", &form(&ada)).status >= 400, "undone twice");
}
