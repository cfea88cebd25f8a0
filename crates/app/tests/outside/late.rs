//! Changes that come late or with a wrong time: none is missed, none hides another.

use rusqlite::Connection;

use crate::harness::{
    Project, Setup,
    crm::{each_once_and_forward, scores_are_right, unscored},
    insert_lead, until,
};

const EVENTS: &str = "{ set: { score: output, score_band: band, scored_at: now }, poll: 50ms }";
const SWEEPING: &str = "{ set: { score: output, score_band: band, scored_at: now }, poll: 50ms, sweep: 300ms }";

/// Puts a lead in with another time of change than now.
fn insert_dated(crm: &Connection, id: usize, shift: &str) {
    crm.execute_batch("BEGIN").unwrap();
    insert_lead(crm, id, "Dated");
    let sql = "UPDATE leads SET updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?2) WHERE id = ?1";
    crm.execute(sql, (i64::try_from(id).unwrap(), shift)).unwrap();
    crm.execute_batch("COMMIT").unwrap();
}

fn scored(crm: &Connection) {
    until("all leads are scored", || (unscored(crm) == 0).then_some(()));
}

#[test]
fn late_commits_and_wrong_clocks_hide_nothing() {
    let project = Project::new(&Setup { leads: 3, events: EVENTS, ..Setup::default() });
    let crm = project.crm();
    let server = project.up();
    scored(&crm);
    // Committed after newer ones were seen.
    insert_lead(&crm, 4, "Newer");
    scored(&crm);
    insert_dated(&crm, 5, "-3 seconds");
    scored(&crm);
    // From a clock that is a day ahead; those that follow are found all the same, also after a restart.
    insert_dated(&crm, 6, "+1 day");
    scored(&crm);
    insert_lead(&crm, 7, "After the one from tomorrow");
    scored(&crm);
    server.stop();
    insert_lead(&crm, 8, "While nothing ran");
    let server = project.up();
    scored(&crm);
    assert_eq!((each_once_and_forward(&crm), project.decisions()), (8, 8));
    scores_are_right(&project, &crm);
    server.stop();
    project.verify();
}

#[test]
fn what_no_watermark_tells_is_found_by_the_sweep() {
    let project = Project::new(&Setup { leads: 1200, events: SWEEPING, wal: true, ..Setup::default() });
    let crm = project.crm();
    let server = project.up();
    scored(&crm);
    assert_eq!(each_once_and_forward(&crm), 1200);
    insert_dated(&crm, 1201, "-1 day");
    crm.execute_batch("UPDATE leads SET balance = 123456 WHERE id IN (1, 600, 1200)").unwrap();
    scored(&crm);
    assert_eq!((each_once_and_forward(&crm), project.decisions()), (1204, 1204));
    scores_are_right(&project, &crm);
    server.stop();
    project.verify();
}

#[test]
fn a_crm_restored_from_a_backup_is_scored_again() {
    let project = Project::new(&Setup { leads: 5, events: SWEEPING, ..Setup::default() });
    let server = project.up();
    let here = project.path().join("crm.db");
    let backup = project.path().join("backup.db");
    std::fs::copy(&here, &backup).unwrap();
    scored(&project.crm());
    crate::harness::crm::change(&project.crm(), 2, 4711);
    scored(&project.crm());
    // The file is replaced while it runs: no row has a score any more, or one holds an older balance.
    std::fs::rename(&backup, &here).unwrap();
    let crm = project.crm();
    until("the changed row is scored for what it holds again", || {
        let sql = "SELECT count(*) FROM written WHERE id = 2 AND balance <> 4711";
        crm.query_row(sql, [], |row| row.get::<_, i64>(0)).is_ok_and(|count| count > 0).then_some(())
    });
    server.stop();
    project.verify();
}
