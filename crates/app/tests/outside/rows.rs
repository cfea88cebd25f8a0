//! Rows that cannot be decided: said once, as dead letters, without holding up their neighbours; mended, they go on.

use crate::harness::{
    Project, Setup,
    crm::{change, each_once_and_forward, unscored, written},
    insert_lead, stays, until,
};

/// A CRM that takes anything: no column is checked.
const LOOSE: &str = "PRAGMA writable_schema = on;
    UPDATE sqlite_schema SET sql = replace(sql, '\"age\" INTEGER NOT NULL', '\"age\" INTEGER') WHERE name = 'leads';
    PRAGMA writable_schema = reset;";

#[test]
fn a_row_that_cannot_be_decided_is_a_dead_letter_and_holds_up_nobody() {
    let project = Project::new(&Setup { leads: 10, sql: LOOSE, ..Setup::default() });
    let crm = project.crm();
    crm.execute_batch("UPDATE leads SET age = 'forty' WHERE id = 3; UPDATE leads SET balance = 1.5 WHERE id = 4")
        .unwrap();
    let server = project.up();
    until("all others are scored", || (written(&crm).len() >= 8).then_some(()));
    let letters = until("both letters are there", || {
        let letters = project.json(&["letters", "list"]);
        (letters.as_array().unwrap().len() == 2).then_some(letters)
    });
    assert!(!letters.to_string().contains("forty"), "a value stands in a list: {letters}");
    assert_eq!(project.decisions(), 10);
    let looked_at = || server.part("watch:lead-score")["detail"]["looked_at"].as_u64().unwrap();
    let enough = looked_at() + 50;
    stays(
        "nobody is asked again",
        || server.part("watch:lead-score")["detail"]["asked"] == 10,
        || looked_at() > enough,
    );

    // A retry of what is still wrong is wrong again; of what was mended, it is scored.
    let letter = |at: usize| letters[at]["id"].as_str().unwrap().to_owned();
    assert_eq!(project.run(&["letters", "retry", &letter(0)]).code, 0);
    until("it was asked again", || (project.decisions() == 11).then_some(()));
    crm.execute_batch("UPDATE leads SET age = 40 WHERE id = 3").unwrap();
    change(&crm, 3, 3);
    change(&crm, 4, 15);
    until("the mended ones are scored", || (unscored(&crm) == 0).then_some(()));
    assert_eq!(each_once_and_forward(&crm), 10);
    server.stop();
    project.verify();
}

#[test]
fn a_table_that_loses_a_column_is_said_and_its_return_is_noticed() {
    let project = Project::new(&Setup { leads: 3, ..Setup::default() });
    let crm = project.crm();
    let server = project.up();
    let client = server.client(&project.key("app", &[]));
    until("all leads are scored", || (unscored(&crm) == 0).then_some(()));
    crm.execute_batch("ALTER TABLE leads RENAME COLUMN balance TO saldo").unwrap();
    insert_lead_renamed(&crm);
    until("the watch says what holds it up", || {
        let failing = server.part("watch:lead-score")["detail"]["failing"].as_str().map(str::to_owned)?;
        assert!(failing.contains("balance") || failing.contains("leads"), "{failing}");
        Some(())
    });
    assert_eq!(client.decide(&crate::harness::input(1), None).status, 200);
    crm.execute_batch("ALTER TABLE leads RENAME COLUMN saldo TO balance").unwrap();
    until("the new lead is scored", || (unscored(&crm) == 0).then_some(()));
    assert_eq!(each_once_and_forward(&crm), 4);
    server.stop();
    project.verify();
}

fn insert_lead_renamed(crm: &rusqlite::Connection) {
    insert_lead(crm, 4, "While the column had another name");
}
