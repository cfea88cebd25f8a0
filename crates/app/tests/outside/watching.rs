//! The watch: what it must not wake up for, and what it must not write over.

use crate::harness::{
    Project, Setup,
    crm::{change, each_once_and_forward, scores_are_right, unscored, written},
    insert_lead, stays, until,
};

const LEADS: usize = 20;

#[test]
fn own_writes_wake_nobody_also_when_a_trigger_touches_the_watermark() {
    let touch = "CREATE TRIGGER touch AFTER UPDATE ON leads WHEN NEW.updated_at IS OLD.updated_at BEGIN
        UPDATE leads SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id; END;";
    let project = Project::new(&Setup { leads: LEADS, sql: touch, ..Setup::default() });
    let crm = project.crm();
    let server = project.up();
    until("all leads are scored", || (unscored(&crm) == 0).then_some(()));
    until("nothing waits", || (server.part("outbox")["detail"]["waiting"] == 0).then_some(()));
    assert_eq!(project.decisions(), LEADS);

    // Several looks at the table later, still nobody asked again.
    let looked_at = || server.part("watch:lead-score")["detail"]["looked_at"].as_u64().unwrap();
    let enough = looked_at() + 5 * LEADS as u64;
    let asked = || server.part("watch:lead-score")["detail"]["asked"] == LEADS;
    stays("no lead is asked about again", asked, || looked_at() > enough);
    assert_eq!((project.decisions(), written(&crm).len()), (LEADS, LEADS));

    // A person's touch of the watermark alone is no change either; a changed field is, and so is the way back.
    crm.execute_batch("UPDATE leads SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')").unwrap();
    let before: i64 = crm.query_row("SELECT balance FROM leads WHERE id = 1", [], |row| row.get(0)).unwrap();
    for (round, balance) in [before + 5000, before].into_iter().enumerate() {
        change(&crm, 1, balance);
        until("the change is scored", || (written(&crm).len() == LEADS + 1 + round).then_some(()));
    }
    insert_lead(&crm, LEADS + 1, "New");
    until("the new lead is scored", || (unscored(&crm) == 0).then_some(()));
    assert_eq!(project.decisions(), LEADS + 3);
    assert_eq!(each_once_and_forward(&crm), LEADS + 3);
    scores_are_right(&project, &crm);
    server.stop();
    project.verify();
}

#[test]
fn a_change_between_decision_and_write_back_is_not_written_over() {
    let project = Project::new(&Setup { leads: LEADS, wal: true, ..Setup::default() });
    let crm = project.crm();
    // A person holds the write lock: decisions are made, their write-backs wait.
    crm.execute_batch("BEGIN IMMEDIATE").unwrap();
    let server = project.up();
    until("all deliveries wait", || (server.part("outbox")["detail"]["waiting"] == LEADS).then_some(()));
    let listed = project.json(&["decisions", "list", "--subject", "1"]);
    let old = listed[0]["id"].as_str().unwrap().to_owned();
    change(&crm, 1, 77_777);
    crm.execute_batch("UPDATE leads SET name = 'Somebody Else' WHERE id = 2; DELETE FROM leads WHERE id = 3; COMMIT")
        .unwrap();

    until("all leads are scored", || (unscored(&crm) == 0).then_some(()));
    until("nothing waits", || (server.part("outbox")["detail"]["waiting"] == 0).then_some(()));
    let all = written(&crm);
    let of = |id| all.iter().filter(|one| one.id == id).map(|one| one.balance).collect::<Vec<_>>();
    assert_eq!(of(1), [77_777], "the old decision wrote over a person's change");
    assert_eq!((of(2).len(), of(3).len()), (1, 0));
    let state = |id: &str| {
        let shown = project.json(&["decisions", "show", id]);
        shown["deliveries"][0]["state"].as_str().unwrap().to_owned()
    };
    until("the old delivery is recorded as superseded", || (state(&old) == "superseded").then_some(()));
    // Whose row is gone cannot be written to any more: a dead letter says so.
    let dead =
        until("the dead letter is there", || project.json(&["letters", "list"]).as_array().unwrap().first().cloned());
    assert_eq!(dead["code"], "row_missing", "{dead}");
    each_once_and_forward(&crm);
    scores_are_right(&project, &crm);
    server.stop();
    project.verify();
}
