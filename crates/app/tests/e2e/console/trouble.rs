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
    assert!(
        page.contains("<b><a href=\"/console/ledger\">ledger</a></b>") && page.contains(words),
        "{words} in {page}"
    );
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
    eventually("the console says so", || !ada.page("/console").contains(">ledger</a></b>"));
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
    // What was counted is the first of them, wherever it is told.
    let told = String::from_utf8(sandbox.run(&["status"]).stdout).unwrap();
    assert!(told.lines().any(|line| line.contains("500+") && line.contains("dead letters (")), "{told}");
    let (mut path, mut seen) = ("/console/letters".to_owned(), 0);
    let last = loop {
        let page = ada.page(&path);
        let (_, of) = page.split_once("Retry these ").unwrap();
        seen += of.split('<').next().unwrap().parse::<usize>().unwrap();
        assert!(page.len() < 300_000, "{} bytes", page.len());
        let Some((_, next)) = page.split_once("href=\"/console/letters?cursor=") else { break path };
        path = format!("/console/letters?cursor={}", next.split('"').next().unwrap());
    };
    assert_eq!(seen, 1200);
    a_group_is_tried_again_where_it_is_shown(&sandbox, &ada, &last);
    a_group_is_shown_whole(&ada);
}

/// What the form of a button sends.
fn form_of(page: &str, button: &str) -> String {
    let (before, _) = page.split_once(button).unwrap_or_else(|| panic!("no {button} in {page}"));
    let (_, form) = before.rsplit_once("<form").unwrap();
    let fields = form.split("type=\"hidden\" name=\"").skip(1).map(|field| {
        let mut words = field.split('"');
        format!("{}={}", words.next().unwrap(), words.nth(1).unwrap())
    });
    fields.collect::<Vec<_>>().join("&")
}

/// Those of the last page, and no others.
fn a_group_is_tried_again_where_it_is_shown(sandbox: &Sandbox, ada: &Visitor<'_>, last: &str) {
    let ids = || -> Vec<String> {
        let letters = sandbox.json(&["letters", "list", "--limit", "5000"]);
        letters.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let before = ids();
    sandbox.crm.open().execute_batch("UPDATE leads SET age = 40").unwrap();
    let page = ada.page(last);
    assert!(page.contains("200 letters on this page"), "{page}");
    let form = form_of(&page, "Retry these 200");
    let pressed = ada.post("/console/letters/retry", &form);
    assert_eq!((pressed.status, to(&pressed)), (303, last), "{}", String::from_utf8_lossy(&pressed.body));
    let page = ada.page(last);
    assert!(page.contains("200 letters are tried again.") && page.contains("None here"), "{page}");
    eventually("the last two hundred are gone", || ids().len() == 1000);
    assert_eq!(ids(), before[..1000]);
    // Pressed by somebody else a moment later.
    let pressed = ada.post("/console/letters/retry", &form);
    let page = ada.page(to(&pressed));
    assert!(page.contains("notice warn") && page.contains("No letter is tried again"), "{page}");
    assert_eq!(ids(), before[..1000]);
    let whole = form.split('&').filter(|field| !field.starts_with("last=")).collect::<Vec<_>>().join("&");
    assert_eq!(ada.post("/console/letters/retry", &whole).status, 400);
}

/// The way from a page that shows twenty of a cause to all of them, and back to where a single one was tried again.
fn a_group_is_shown_whole(ada: &Visitor<'_>) {
    let way = |page: &str, word: &str| {
        let (before, _) = page.split_once(word)?;
        let (_, to) = before.rsplit_once("href=\"")?;
        Some(to.split('"').next()?.replace("&amp;", "&"))
    };
    let page = ada.page("/console/letters");
    let first = way(&page, "and 480 more of this cause").unwrap();
    let (mut next, mut seen) = (Some(first.clone()), 0);
    while let Some(path) = next {
        let page = ada.page(&path);
        seen += page.matches("Retry letter ").count();
        assert!(!page.contains("more of this cause") && page.len() < 300_000, "{} bytes", page.len());
        next = way(&page, "Later ones");
    }
    assert_eq!(seen, 1000);
    let page = ada.page(&first);
    let (_, rest) = page.split_once("Retry letter ").unwrap();
    let one = format!("Retry letter {}", rest.split('"').next().unwrap());
    let pressed = ada.post("/console/letters/retry", &form_of(&page, &one));
    assert_eq!(to(&pressed), first);
    assert!(ada.page(&first).contains("is tried again"));
}
