//! A dead letter that a person puts right: the row gets what they wrote, once, also over a crash; who it was is on record; nobody
//! else's letter is touched by a form that is out of date.

use serde_json::Value as Json;

use super::{Visitor, person, to};
use crate::support::{Answer, Running, Sandbox, eventually};

/// What the form of a letter holds in a hidden field.
fn hidden<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
    rest.split('"').next().unwrap()
}

fn letters(sandbox: &Sandbox) -> Vec<Json> {
    sandbox.json(&["letters", "list"]).as_array().unwrap().clone()
}

/// The CRM takes no band but one in some rows.
fn refusing() -> Sandbox {
    let sandbox = Sandbox::new(4);
    let rule = "CREATE TRIGGER checked BEFORE UPDATE OF score_band ON leads
        WHEN NEW.id IN (2, 4) AND NEW.score_band NOT IN ('checked') BEGIN SELECT RAISE(ABORT, 'this band is not taken'); END";
    sandbox.crm.open().execute_batch(rule).unwrap();
    sandbox
}

fn letter_of(sandbox: &Sandbox, lead: i64) -> (String, String) {
    let decided = sandbox.json(&["decisions", "list", "--subject", &lead.to_string()])[0].clone();
    let letter = letters(sandbox).into_iter().find(|one| one["decision"] == decided["id"]).unwrap();
    (letter["id"].as_str().unwrap().to_owned(), decided["id"].as_str().unwrap().to_owned())
}

fn dead(sandbox: &Sandbox) -> Running {
    let running = sandbox.up();
    eventually("two rows are refused, and the others written", || {
        letters(sandbox).len() == 2 && sandbox.crm.number("SELECT count(*) FROM writes") == 2
    });
    running
}

/// The letter as it is now, with what was typed beside what would be written, for somebody who was not the first.
fn beaten(answer: &Answer, seen: &str, band: &str) {
    let said = String::from_utf8(answer.body.clone()).unwrap();
    assert_eq!(answer.status, 409, "{said}");
    let now = [format!("Now: <span class=\"text\">{band}</span>"), format!("value=\"{seen}\"")];
    for part in ["died once more", "value=\"checked\"", &now[0], &now[1]] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_a_person_puts_right_is_written_once_and_tells_who() {
    let sandbox = refusing();
    let key = sandbox.key("ada", &["read", "operate"]);
    let running = dead(&sandbox);
    let ada = Visitor::new(&running, &key);
    let (letter, decision) = letter_of(&sandbox, 2);
    let path = format!("/console/letters/{letter}");
    assert!(ada.page("/console/letters").contains(&format!("href=\"{path}\"")));
    let page = ada.page(&path);
    let (token, seen) = (ada.token(), hidden(&page, "seen").to_owned());
    let recorded = sandbox.json(&["deliveries", "show", &decision])[0]["new"].clone();
    let (score, band) = (&recorded["score"], recorded["score_band"].as_str().unwrap());
    assert!(page.contains(&format!("value=\"{band}\"")) && page.contains("write_refused"), "{page}");
    let send = |seen: &str, values: &str| ada.post(&path, &format!("token={token}&seen={seen}{values}"));

    // What is no value of the field changes nothing, says what to write, and is not lost.
    let refused = send(&seen, "&value:score=0%2C75&value:score_band=checked");
    let said = String::from_utf8(refused.body.clone()).unwrap();
    assert_eq!(refused.status, 422, "{said}");
    for part in ["score: this is no float", "0.75, with a point", "value=\"0,75\"", "value=\"checked\"", "aria-invalid"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    // A form that was made for another state of the letter, and the time by which writes have their order.
    beaten(&send("1", "&value:score_band=checked"), &seen, band);
    assert_eq!(letters(&sandbox).len(), 2);

    // Two tabs: while the CRM is locked nothing can be written yet, and the second one is told who was first.
    let lock = sandbox.crm.open();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let accepted = send(&seen, "&value:score_band=checked&value:scored_at=1970-01-01T00:00:00Z");
    assert_eq!(accepted.status, 303, "{}", String::from_utf8_lossy(&accepted.body));
    assert!(ada.page(to(&accepted)).contains("is tried again"));
    let second = send(&seen, "&value:score_band=other");
    let said = String::from_utf8(second.body.clone()).unwrap();
    assert!(second.status == 409 && said.contains(") had the letter tried again"), "{} {said}", second.status);

    // The process is killed before the row could be written: the person's values are on record.
    running.signal("-KILL");
    running.wait();
    lock.execute_batch("COMMIT").unwrap();
    let running = sandbox.up();
    let written = "SELECT count(*) FROM leads WHERE id = 2 AND score_band = 'checked' AND scored_at > '2020'";
    eventually("the row has what the person wrote", || sandbox.crm.number(written) == 1);
    eventually("and it is recorded", || sandbox.json(&["deliveries", "show", &decision])[0]["state"] == "delivered");
    assert_eq!(sandbox.crm.number("SELECT count(*) FROM writes WHERE lead = 2"), 1);

    // Who it was, what the decision said, and that the decision is as it was.
    let shown = sandbox.json(&["deliveries", "show", &decision])[0].clone();
    assert_eq!(
        (&shown["changed_by"], &shown["new"]["score_band"]),
        (&person("ada", &key).into(), &"checked".into()),
        "{shown}"
    );
    assert_eq!(
        (&shown["decided"], &shown["new"]["score"]),
        (&serde_json::json!({ "score_band": band }), score),
        "{shown}"
    );
    assert_eq!(sandbox.json(&["decisions", "show", &decision])["decision"]["band"], *band);
    let ada = Visitor::new(&running, &key);
    let page = ada.page(&format!("/console/decisions/{decision}?check=replay"));
    for part in
        ["changed by ada", "the decision said", "The same, bit for bit.", "before it was written down", ">infer<"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let undone = sandbox.json(&["deliveries", "undo", &decision]);
    assert_eq!(undone[0]["now"]["score_band"], Json::Null, "{undone}");
    assert_eq!(sandbox.crm.number("SELECT count(*) FROM leads WHERE id = 2 AND score_band IS NULL"), 1);
    drop(running);
    assert!(sandbox.verified_entries() > 8);
}

#[test]
fn a_letter_of_somebody_erased_is_nobodys_to_edit() {
    let sandbox = refusing();
    let keys = [sandbox.key("ada", &["read", "operate"]), sandbox.key("eve", &["read"])];
    let running = dead(&sandbox);
    let [ada, eve] = keys.each_ref().map(|key| Visitor::new(&running, key));
    let (letter, _) = letter_of(&sandbox, 4);
    let path = format!("/console/letters/{letter}");
    let seen = hidden(&ada.page(&path), "seen").to_owned();
    assert_eq!(eve.get(&path).status, 403);
    assert!(!eve.page("/console/letters").contains(&format!("href=\"{path}\"")));
    sandbox.json(&["ledger", "erase", "--subject", "4"]);
    let form = format!("token={}&seen={seen}&value:score_band=checked", ada.token());
    for answer in [ada.get(&path), ada.post(&path, &form)] {
        assert_eq!(answer.status, 410, "{}", String::from_utf8_lossy(&answer.body));
    }
    assert_eq!(sandbox.crm.number("SELECT count(*) FROM writes WHERE lead = 4"), 0);
}

/// A second death keeps what was changed, and whoever changes it again is named then.
#[test]
fn what_was_changed_stays_changed_until_it_is_changed_again() {
    let sandbox = refusing();
    let keys = ["ada", "bob"].map(|name| sandbox.key(name, &["read", "operate"]));
    let running = dead(&sandbox);
    let [ada, bob] = keys.each_ref().map(|key| Visitor::new(&running, key));
    let (letter, decision) = letter_of(&sandbox, 2);
    let path = format!("/console/letters/{letter}");
    let send = |who: &Visitor<'_>, values: &str| {
        let page = who.page(&path);
        who.post(&path, &format!("token={}&seen={}{values}", who.token(), hidden(&page, "seen"))).status
    };
    let died = |attempt: usize| {
        let entries = || sandbox.json(&["deliveries", "show", &decision])[0].clone();
        eventually(&format!("it is dead again ({attempt})"), || {
            entries()["state"] == "dead" && letters(&sandbox).len() == 2
        });
        entries()
    };
    let band = died(0)["new"]["score_band"].clone();
    assert_eq!(send(&ada, "&value:score_band=wrong"), 303);
    assert_eq!(died(1)["new"]["score_band"], "wrong");
    // As it is now: with what ada wrote.
    let token = bob.token();
    assert_eq!(bob.post("/console/letters/retry", &format!("token={token}&letter={letter}")).status, 303);
    let shown = died(2);
    assert_eq!(
        (&shown["new"]["score_band"], &shown["changed_by"]),
        (&"wrong".into(), &person("ada", &keys[0]).into()),
        "{shown}"
    );
    assert!(ada.page(&path).contains("value=\"wrong\""));
    assert_eq!(send(&bob, "&value:score=0.25&value:score_band=checked"), 303);
    eventually("the row is written", || sandbox.crm.number("SELECT count(*) FROM writes WHERE lead = 2") == 1);
    eventually("and recorded", || sandbox.json(&["deliveries", "show", &decision])[0]["state"] == "delivered");
    let shown = sandbox.json(&["deliveries", "show", &decision])[0].clone();
    assert_eq!(
        (&shown["changed_by"], &shown["new"]["score"]),
        (&person("bob", &keys[1]).into(), &0.25.into()),
        "{shown}"
    );
    assert_eq!(shown["decided"]["score_band"], band, "what the decision said, not what ada wrote: {shown}");
}

/// From a decision to its letter: that of a write-back, and that of the record itself. Who may not work with values sees none.
#[test]
fn a_decision_leads_to_its_letter_and_shows_viewers_no_values() {
    let sandbox = refusing();
    sandbox.crm.open().execute_batch("UPDATE leads SET age = 'forty' WHERE id = 3").unwrap();
    let keys = [sandbox.key("ada", &["read", "operate"]), sandbox.key("eve", &["read"])];
    let running = sandbox.up();
    eventually("two rows are refused, and one record", || letters(&sandbox).len() == 3);
    let [ada, eve] = keys.each_ref().map(|key| Visitor::new(&running, key));

    let (letter, decision) = letter_of(&sandbox, 2);
    let path = format!("/console/decisions/{decision}");
    let [inside, outside] = [&ada, &eve].map(|visitor| visitor.page(&path));
    let link = format!("href=\"/console/letters/{letter}\"");
    assert!(inside.contains(&link) && !outside.contains(&link), "{outside}");
    assert!(outside.contains("Dead letter") && outside.contains("shown to operators"), "{outside}");
    assert!(inside.contains(">score_band</span>") && !inside.contains("shown to operators"), "{inside}");
    assert!(!outside.contains(">score_band</span>"), "{outside}");
    // Which features weighed how much stays, their values do not.
    let why = |page: &str| page.split_once("the-reasons").unwrap().1.split_once("</section>").unwrap().0.to_owned();
    let [inside, outside] = [why(&inside), why(&outside)];
    assert!(inside.contains("age = ") && inside.contains("class=\"sub\""), "{inside}");
    assert!(["age raises", "age lowers"].iter().any(|words| outside.contains(words)), "{outside}");
    assert!(!outside.contains(" = ") && !outside.contains("class=\"sub\""), "{outside}");

    let (letter, decision) = letter_of(&sandbox, 3);
    let path = format!("/console/decisions/{decision}");
    let link = format!("href=\"/console/letters/{letter}\"");
    let [inside, outside] = [&ada, &eve].map(|visitor| visitor.page(&path));
    for page in [&inside, &outside] {
        assert!(page.contains("The record is a dead letter") && page.contains(&letter), "{page}");
    }
    assert!(inside.contains(&link) && !outside.contains(&link), "{outside}");
    // Put right, it is none any more.
    sandbox.crm.open().execute_batch("UPDATE leads SET age = 40 WHERE id = 3").unwrap();
    assert_eq!(ada.post("/console/letters/retry", &format!("token={}&letter={letter}", ada.token())).status, 303);
    eventually("the page says so", || ada.page(&path).contains("Nothing is written back"));
}
