//! A kill between the CRM's commit and the entry that records it: after the restart the program finds its own values there,
//! records the delivery, and writes nothing a second time.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    time::{Instant, SystemTime},
};

use serde_json::Value as Json;

use crate::harness::{
    LONG, Project, Server, Setup,
    crm::{change, each_once_and_forward, scores_are_right, unscored, written},
    until,
};

const ROUNDS: usize = 20;

/// How often the CRM's file was committed to: SQLite's file change counter, bytes 24 to 27 of the file.
fn commits(project: &Project) -> u32 {
    let mut bytes = [0; 4];
    let file = fs::File::open(project.path().join("crm.db")).unwrap();
    file.read_exact_at(&mut bytes, 24).unwrap();
    u32::from_be_bytes(bytes)
}

/// Waits for the moment at which the CRM's rollback journal goes, which is the commit, and kills. Looks at the files, not at
/// the table: a transaction to look takes longer than recording the outcome.
fn kill_at_commit(project: &Project, server: &mut Server, commit: u32) {
    let journal = project.path().join("crm.db-journal");
    let begun = Instant::now();
    while commits(project) < commit || journal.exists() {
        assert!(begun.elapsed() < LONG, "no write-back came:\n{}", server.log());
    }
    server.kill();
}

/// When the delivery of a decision was recorded.
fn delivered_at(decision: &Json) -> String {
    let entries = decision["entries"].as_array().unwrap();
    let found = entries.iter().find(|entry| entry["kind"] == "delivery" && entry["reason"] == "delivered");
    found.unwrap_or_else(|| panic!("the delivery is not recorded: {decision}"))["at"].as_str().unwrap().to_owned()
}

#[test]
fn a_kill_between_commit_and_outcome_writes_nothing_twice() {
    let project = Project::new(&Setup { leads: 1, ..Setup::default() });
    let crm = project.crm();
    let mut unrecorded = 0;
    for round in 1..=ROUNDS {
        let mut server = project.up();
        until("the lead is scored", || (unscored(&crm) == 0).then_some(()));
        until("nothing waits", || (server.part("outbox")["detail"]["waiting"] == 0).then_some(()));
        // The next commit is ours, the one after it the write-back.
        let commit = commits(&project) + 2;
        change(&crm, 1, i64::try_from(round).unwrap() * 1000);
        kill_at_commit(&project, &mut server, commit);
        let killed = SystemTime::now();
        until("the write-back can be seen", || (written(&crm).len() > round).then_some(()));

        let server = project.up();
        until("nothing waits", || (server.part("outbox")["detail"]["waiting"] == 0).then_some(()));
        let newest = project.json(&["decisions", "list", "--limit", "1"])[0]["id"].as_str().unwrap().to_owned();
        let shown = until("the delivery is recorded", || {
            let shown = project.json(&["decisions", "show", &newest]);
            (shown["deliveries"][0]["state"] == "delivered").then_some(shown)
        });
        let killed = rfc3339(killed);
        unrecorded += usize::from(delivered_at(&shown) > killed);
        assert_eq!(written(&crm).len(), round + 1, "round {round}: written again");
        server.stop();
    }
    assert_eq!(each_once_and_forward(&crm), ROUNDS + 1);
    scores_are_right(&project, &crm);
    project.verify();
    println!("{unrecorded} of {ROUNDS} kills came between commit and outcome");
    assert!(unrecorded > 0, "no kill came between commit and outcome: the test saw nothing");
}

/// A time as the ledger prints it, in seconds since 1970 turned into RFC 3339 by SQLite.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let memory = rusqlite::Connection::open_in_memory().unwrap();
    memory.query_row("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ?1, 'unixepoch')", [seconds], |row| row.get(0)).unwrap()
}
