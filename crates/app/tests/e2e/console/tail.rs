//! The list of decisions asks for what is newer than it shows, and gets that and nothing else; a browser shows each row once, keeps
//! those it has, and no more than it can hold.

use serde_json::json;

use super::Visitor;
use crate::support::{Sandbox, body, browse, desk};

/// Where the next look begins, and the rows of a page.
fn read(page: &str) -> (String, Vec<String>) {
    let after = |text: &str, mark: &str| -> Option<String> {
        text.split_once(mark).map(|(_, rest)| rest.split('"').next().unwrap().to_owned())
    };
    let rows = page.split("<tr data-seq=\"").skip(1);
    let ids = rows.map(|row| after(row, "/console/decisions/").unwrap());
    (after(page, "data-from=\"").unwrap(), ids.collect())
}

#[test]
fn a_look_asks_for_what_is_newer_than_the_newest_row() {
    let sandbox = Sandbox::new(0);
    sandbox.write("integrations/desk.yaml", &desk());
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    let ada = Visitor::new(&running, &key);
    let decide = |id: i64| running.decide(&key, &[], &body(id)).unwrap().json()["id"].as_str().unwrap().to_owned();
    let search = "/console/decisions?integration=lead-score";
    let look = |from: &str, more: &str| read(&ada.page(&format!("{search}&from={from}{more}")));

    // An empty list is told from where to go on, too.
    let first = ada.page(search);
    let (from, rows) = read(&first);
    assert!(rows.is_empty() && first.contains("Nothing fits") && first.contains("id=\"live\""), "{first}");
    let one = decide(1);
    let (from, rows) = look(&from, "");
    assert_eq!(rows, std::slice::from_ref(&one));
    assert_eq!(look(&from, "").1, [""; 0]);
    let newer = [decide(2), decide(1), decide(3)];
    let (_, rows) = look(&from, "");
    assert_eq!(rows, [2, 1, 0].map(|at: usize| newer[at].clone()));
    assert_eq!(look(&from, "&subject=1").1, [newer[1].clone()]);
    assert_eq!(look(&from, "&integration=desk&outcome=failed").1, [""; 0]);

    // Older ones than a row: the way on from a list whose oldest rows have made room.
    let page = ada.page(search);
    let (_, seq) = page.split_once("<tr data-seq=\"").unwrap();
    let older = ada.page(&format!("{search}&before={}", seq.split('"').next().unwrap()));
    let ids: Vec<_> = older.split("<tr data-seq=\"").skip(1).collect();
    assert!(ids.len() == 3 && !older.contains("id=\"live\""), "{older}");
    for wrong in ["from=x", "before=-1"] {
        assert_eq!(ada.get(&format!("/console/decisions?{wrong}")).status, 400);
    }
}

#[test]
fn a_list_that_lives_shows_each_row_once_and_keeps_what_it_has() {
    let sandbox = Sandbox::new(0);
    sandbox.write("integrations/desk.yaml", &desk());
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    let seen = browse(&running, "tail.mjs", &key, "console-pictures", &[&body(7)]);
    let wanted = json!({
        // Two looks at once, and the later one is answered first.
        "overtaken": { "first": 5, "then": 5, "different": 5 },
        // A look that found nothing which fits, and did not get to the end.
        "emptied": { "before": 5, "after": 5 },
        // All stay while there is room, then the newest do.
        "few": [50, false],
        "most": { "rows": 200, "newest": true, "different": true, "older": true },
    });
    assert_eq!(seen, wanted);
}
