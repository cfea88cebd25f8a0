//! The console while something vital is broken: a full disk, a disk that fails to sync, a model that went away, more dead letters than
//! a page can hold. Every page stays, the first one says what is wrong, and what cannot be changed now says so.

use std::fs;

use tendon_testkit::layer::Layer;

use super::{Visitor, to};
use crate::support::{Answer, Running, Sandbox, body, eventually, tendon};

const PAGES: [&str; 11] = [
    "/console",
    "/console/map",
    "/console/decisions",
    "/console/reviews",
    "/console/deliveries",
    "/console/letters",
    "/console/models",
    "/console/systems",
    "/console/configuration",
    "/console/ledger",
    "/console/keys",
];

fn all_stand(ada: &Visitor) {
    for path in PAGES {
        assert!(ada.page(path).contains("</html>"), "{path}");
    }
}

fn text(answer: Answer) -> String {
    String::from_utf8(answer.body).unwrap()
}

/// The project on a disk that can be spoilt.
fn spoilable(sandbox: &Sandbox) -> (Layer, Running) {
    let layer = Layer::over(&sandbox.path(".tendon"), &sandbox.path("beside")).unwrap();
    let mut command = tendon(&["up", "--listen", "127.0.0.1:0", "--project"]);
    layer.below(command.arg(sandbox.path("")));
    (layer, Running::of(&mut command))
}

/// Spoils the disk, looks at the console, and mends it again.
fn through(spoil: impl Fn(&Layer), mend: impl Fn(&Layer), words: &str) {
    let sandbox = Sandbox::new(2);
    sandbox.crm.open().execute_batch("UPDATE leads SET age = 'forty' WHERE id = 2").unwrap();
    let keys = [sandbox.key("ada", &["admin", "decide:*"]), sandbox.key("bob", &["read"])];
    let (layer, running) = spoilable(&sandbox);
    let ada = Visitor::new(&running, &keys[0]);
    let token = ada.token();
    let letters = || sandbox.json(&["letters", "list"]).as_array().unwrap().clone();
    eventually("the letter is there", || letters().len() == 1);
    let letter = letters()[0]["id"].as_str().unwrap().to_owned();
    let retry = format!("token={token}&letter={letter}");
    let decide = || running.decide(&keys[0], &[], &body(9)).unwrap().status;
    assert_eq!(decide(), 200);

    spoil(&layer);
    eventually("nothing is answered that is not recorded", || decide() == 503);
    let page = ada.page("/console");
    assert!(page.contains("<b>ledger</b>") && page.contains(words), "{words} in {page}");
    all_stand(&ada);
    // Who was not signed in yet gets in: there is something to see.
    assert!(Visitor::new(&running, &keys[1]).page("/console").contains(words));
    let refused = ada.post("/console/letters/retry", &retry);
    assert!(refused.status == 503, "{}", refused.head);
    let refused = text(refused);
    let why = ["the ledger could not", "what was recorded last is in no list yet"];
    assert!(why.iter().any(|why| refused.contains(why)) && refused.contains("Trying again may help."), "{refused}");
    assert!(ada.page("/console/letters").contains(&letter), "the letter is gone");

    mend(&layer);
    eventually("it goes on by itself", || decide() == 200);
    eventually("the console says so", || !ada.page("/console").contains("<b>ledger</b>"));
    let again = ada.post("/console/letters/retry", &retry);
    assert_eq!(to(&again), "/console/letters", "{}", again.head);
    assert!(running.stop().success());
    sandbox.verified_entries();
}

#[test]
fn a_full_disk_is_told_and_the_pages_stay() {
    through(|layer| layer.room(Some(0)).unwrap(), |layer| layer.room(None).unwrap(), "free some space");
}

#[test]
fn a_disk_that_cannot_sync_is_told_and_the_pages_stay() {
    through(|layer| layer.fail(true).unwrap(), |layer| layer.fail(false).unwrap(), "the ledger could not");
}

#[test]
fn a_model_that_went_away_is_told_and_the_one_before_answers() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("ada", &["admin", "decide:*"]);
    let running = sandbox.up();
    let ada = Visitor::new(&running, &key);
    fs::remove_file(sandbox.path("models/lead-score/v1.txt")).unwrap();
    running.signal("-HUP");
    eventually("the reload is refused", || ada.page("/console/configuration").contains("refused"));
    let page = ada.page("/console/configuration");
    assert!(page.contains("lead-score"), "{page}");
    assert_eq!(running.decide(&key, &[], &body(9)).unwrap().status, 200);
    all_stand(&ada);
}

#[test]
fn more_dead_letters_than_a_page_holds_are_shown_page_by_page() {
    let sandbox = Sandbox::new(1200);
    sandbox.crm.open().execute_batch("UPDATE leads SET age = 'forty'").unwrap();
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    let ada = Visitor::new(&running, &key);
    eventually("all are dead", || {
        sandbox.json(&["letters", "list", "--limit", "5000"]).as_array().unwrap().len() == 1200
    });
    all_stand(&ada);
    let (mut path, mut seen) = ("/console/letters".to_owned(), 0);
    loop {
        let page = ada.page(&path);
        let (_, of) = page.split_once("Retry all ").unwrap();
        seen += of.split('<').next().unwrap().parse::<usize>().unwrap();
        assert!(page.len() < 300_000, "{} bytes", page.len());
        let Some((_, next)) = page.split_once("/console/letters?cursor=") else { break };
        path = format!("/console/letters?cursor={}", next.split('"').next().unwrap());
    }
    assert_eq!(seen, 1200);
}
