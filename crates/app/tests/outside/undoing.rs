//! Undo of a write-back: the values from before, if ours still stand; once; recorded; and the watch sleeps on.

use rusqlite::Connection;
use serde_json::Value as Json;

use crate::harness::{Project, Setup, crm::change, stays, until};

type Answer = (Option<f64>, Option<String>, Option<String>);

fn answer(crm: &Connection, id: i64) -> Answer {
    let sql = "SELECT score, score_band, scored_at FROM leads WHERE id = ?1";
    crm.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
}

fn delivery(project: &Project, subject: &str) -> Json {
    project.json(&["deliveries", "list", "--subject", subject])[0].clone()
}

fn scored(leads: usize) -> (Project, Connection) {
    let project = Project::new(&Setup { leads, wal: true, ..Setup::default() });
    let crm = project.crm();
    crm.execute_batch("UPDATE leads SET score = 0.25, score_band = 'old' WHERE id = 2; DELETE FROM written").unwrap();
    project.json(&["backfill", "lead-score"]);
    (project, crm)
}

#[test]
fn old_values_come_back_once_and_the_watch_sleeps_on() {
    let (project, crm) = scored(5);
    let one = delivery(&project, "2");
    assert_eq!(
        (&one["state"], &one["old"]["score"], &one["old"]["score_band"]),
        (&"delivered".into(), &0.25.into(), &"old".into())
    );
    let id = one["id"].as_str().unwrap();
    let undone = project.json(&["deliveries", "undo", id, "--by", "ada"]);
    assert_eq!((&undone[0]["by"], &undone[0]["now"]["score"]), (&"ada".into(), &0.25.into()), "{undone}");
    assert_eq!(answer(&crm, 2), (Some(0.25), Some("old".into()), None));
    let shown = project.json(&["deliveries", "show", id]);
    assert_eq!((&shown[0]["state"], &shown[0]["undone_by"]), (&"undone".into(), &"ada".into()), "{shown}");
    let entries = project.json(&["decisions", "show", one["decision"].as_str().unwrap()])["entries"].clone();
    assert_eq!(entries.as_array().unwrap().last().unwrap()["reason"], "undone", "{entries}");

    let twice = project.run(&["deliveries", "undo", id, "--output", "json"]);
    assert!(twice.code == 1 && twice.err.contains("delivery_undone") && twice.err.contains("ada"), "{twice:?}");

    // The watch looks at the row again and again, and finds it as its last decision saw it.
    let server = project.up();
    let looked_at = || server.part("watch:lead-score")["detail"]["looked_at"].as_u64().unwrap();
    let enough = looked_at() + 25;
    stays("nobody is asked again", || answer(&crm, 2).0 == Some(0.25), || looked_at() > enough);
    assert_eq!(project.decisions(), 5);
    // A person's change is one.
    change(&crm, 2, 9_999);
    until("the change is scored", || answer(&crm, 2).2);
    assert_eq!(project.decisions(), 6);
    // On the running process too; by the decision's id.
    until("its delivery is recorded", || (delivery(&project, "2")["state"] == "delivered").then_some(()));
    let decision = delivery(&project, "2")["decision"].as_str().unwrap().to_owned();
    project.json(&["deliveries", "undo", &decision]);
    assert_eq!(answer(&crm, 2), (Some(0.25), Some("old".into()), None));
    server.stop();
    project.verify();
}

#[test]
fn what_somebody_else_wrote_is_left_alone() {
    let (project, crm) = scored(3);
    let one = delivery(&project, "1");
    crm.execute("UPDATE leads SET score = 0.9 WHERE id = 1", []).unwrap();
    let id = one["id"].as_str().unwrap();
    let refused = project.run(&["deliveries", "undo", id, "--output", "json"]);
    assert!(refused.code == 1 && refused.err.contains("values_moved"), "{refused:?}");
    assert_eq!(answer(&crm, 1).0, Some(0.9));
    assert_eq!(project.json(&["deliveries", "show", id])[0]["state"], "delivered");

    // The crash between the undo's write and its entry: the old values stand there, and nothing says why. The next try does.
    let torn = delivery(&project, "2")["id"].as_str().unwrap().to_owned();
    crm.execute("UPDATE leads SET score = 0.25, score_band = 'old', scored_at = NULL WHERE id = 2", []).unwrap();
    project.json(&["deliveries", "undo", &torn]);
    assert_eq!(project.json(&["deliveries", "show", &torn])[0]["state"], "undone");

    crm.execute("DELETE FROM leads WHERE id = 3", []).unwrap();
    let gone = delivery(&project, "3")["id"].as_str().unwrap().to_owned();
    let missing = project.run(&["deliveries", "undo", &gone, "--output", "json"]);
    assert!(missing.code == 1 && missing.err.contains("row_missing"), "{missing:?}");
    for (id, code) in [("9999-0", "delivery_not_found"), ("nonsense", "not_a_delivery_id")] {
        let ran = project.run(&["deliveries", "undo", id, "--output", "json"]);
        assert!(ran.code == 1 && ran.err.contains(code), "{ran:?}");
    }
    let erased = delivery(&project, "2")["id"].as_str().unwrap().to_owned();
    project.run(&["ledger", "erase", "--subject", "2"]);
    let refused = project.run(&["deliveries", "undo", &erased, "--output", "json"]);
    assert!(refused.code == 1 && refused.err.contains("delivery_erased"), "{refused:?}");
    project.verify();
}
