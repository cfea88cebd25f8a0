//! Backfill: every row once, whatever stops it; and the pause in between.

use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

use crate::harness::{
    Project, Setup,
    crm::{change, each_once_and_forward, scores_are_right, unscored, written},
    until,
};

const LEADS: usize = 120;

fn project(leads: usize) -> Project {
    let project = Project::new(&Setup { leads, wal: true, ..Setup::default() });
    // Long there: rows of the last seconds would be the live lane's.
    project.crm().execute_batch("UPDATE leads SET updated_at = '2020-01-01T00:00:00.000Z'").unwrap();
    project
}

/// A backfill under way, killed when dropped.
struct Running(Child);

impl Running {
    fn start(project: &Project, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tendon"));
        command.args(["backfill", "lead-score", "--output", "json", "--project"]).arg(project.path()).args(more);
        Self(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap().success());
    }

    /// Its exit code and what it printed.
    fn end(mut self) -> (i32, Json) {
        let status = until("the backfill ends", || self.0.try_wait().unwrap());
        let printed = std::io::read_to_string(self.0.stdout.take().unwrap()).unwrap();
        (status.code().unwrap_or(-1), serde_json::from_str(&printed).unwrap_or_default())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_is_there_is_scored_once() {
    let project = project(LEADS);
    let crm = project.crm();
    let preview = project.run(&["backfill", "lead-score", "--dry-run", "--limit", "7", "--output", "json"]);
    assert_eq!(preview.code, 0, "{preview:?}");
    let rows = preview.json();
    assert_eq!(rows.as_array().unwrap().len(), 7);
    assert!(rows[0]["old"]["score"].is_null() && rows[0]["new"]["score"].is_f64(), "{rows}");
    assert_eq!((written(&crm).len(), project.decisions()), (0, 0), "a dry run wrote or recorded something");

    let done = project.json(&["backfill", "lead-score"]);
    assert_eq!(
        (&done["finished"], &done["decided"], &done["written"]),
        (&true.into(), &LEADS.into(), &LEADS.into()),
        "{done}"
    );
    assert_eq!((unscored(&crm), each_once_and_forward(&crm)), (0, LEADS));
    scores_are_right(&project, &crm);
    // What the dry run showed is what was written.
    let first: f64 = crm.query_row("SELECT score FROM leads ORDER BY id", [], |row| row.get(0)).unwrap();
    assert_eq!(rows[0]["new"]["score"].as_f64().unwrap().to_bits(), first.to_bits());

    let again = project.json(&["backfill", "lead-score"]);
    assert_eq!((&again["decided"], &again["known_before"]), (&0.into(), &LEADS.into()), "{again}");
    // Somebody who does not touch the watermark: no live lane sees that.
    crm.execute("UPDATE leads SET balance = 4711 WHERE id = 5", []).unwrap();
    assert_eq!(project.json(&["backfill", "lead-score"])["decided"], 1);
    assert_eq!(project.decisions(), LEADS + 1);
    project.verify();
}

#[test]
fn whatever_stops_it_the_next_run_goes_on_there() {
    for signal in ["-INT", "-KILL"] {
        let project = project(LEADS);
        let crm = project.crm();
        let running = Running::start(&project, &["--rate", "40"]);
        until("some leads are scored", || (written(&crm).len() >= 10).then_some(()));
        running.signal(signal);
        let (code, _) = running.end();
        assert_ne!(code, 0, "{signal}: stopped half way is not done");
        let half = written(&crm).len();
        assert!(half < LEADS, "{signal}: it was over before it was stopped");

        let done = project.json(&["backfill", "lead-score"]);
        assert_eq!((&done["resumed"], &done["finished"]), (&true.into(), &true.into()), "{signal}: {done}");
        assert!(done["looked_at"].as_u64().unwrap() < LEADS as u64, "{signal}: it began again: {done}");
        assert_eq!(unscored(&crm), 0, "{signal}");
        assert_eq!(
            (each_once_and_forward(&crm), project.decisions()),
            (LEADS, LEADS),
            "{signal}: a lead was decided twice"
        );
        project.verify();
    }
}

#[test]
fn a_running_process_pauses_and_goes_on() {
    let project = project(LEADS);
    let crm = project.crm();
    let nothing = project.run(&["backfill", "lead-score", "--pause"]);
    assert_eq!(nothing.code, 1, "{nothing:?}");
    let server = project.up();
    until("all leads are scored", || (unscored(&crm) == 0).then_some(()));
    let state = || server.part("watch:lead-score")["detail"]["sweeping"] == true;
    until("the process's own first sweep is over", || (!state()).then_some(()));
    // A slow run over rows that are known already: nothing is decided, but it takes its time.
    let running = Running::start(&project, &["--rate", "6"]);
    until("it is under way", || state().then_some(()));
    let paused = project.json(&["backfill", "lead-score", "--pause"]);
    assert_eq!(paused["paused"], true, "{paused}");
    let (code, seen) = running.end();
    assert_eq!((code, &seen["finished"]), (1, &false.into()), "{seen}");
    // People's changes are live: they do not wait for the pause to end.
    change(&crm, 3, 31_337);
    until("the change is scored", || (unscored(&crm) == 0).then_some(()));
    let done = project.json(&["backfill", "lead-score", "--resume"]);
    assert_eq!((&done["finished"], &done["decided"]), (&true.into(), &0.into()), "{done}");
    assert_eq!(project.decisions(), LEADS + 1);
    server.stop();
    project.verify();
}

#[test]
fn names_that_are_wrong_are_told() {
    let project = project(1);
    let ran = project.run(&["backfill", "led-score", "--output", "json"]);
    assert!(ran.code == 1 && ran.err.contains("no_integration") && ran.err.contains("lead-score"), "{ran:?}");
    assert_eq!(project.run(&["backfill", "lead-score", "--rate", "0"]).code, 1);
}
