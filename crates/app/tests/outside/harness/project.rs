//! A project in a folder of its own: a CRM with leads, the model of the example, and one integration.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rusqlite::{Connection, params_from_iter, types::Value as Sql};
use serde_json::Value as Json;
use tempfile::TempDir;
use tendon_testkit::peer::workspace;

use super::{FEATURES, Server, sample};

/// What differs from test to test.
pub(crate) struct Setup {
    /// Rows in the CRM from the start.
    pub(crate) leads: usize,
    /// Whether the CRM lets readers go on beside a writer.
    pub(crate) wal: bool,
    /// CEL: whom a decision is about.
    pub(crate) subject: &'static str,
    /// The events door; empty: none.
    pub(crate) events: &'static str,
    /// More SQL for the CRM, before the rows come in.
    pub(crate) sql: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            leads: 0,
            wal: false,
            subject: "input.id",
            events: "{ set: { score: output, score_band: band, scored_at: now }, poll: 50ms }",
            sql: "",
        }
    }
}

/// What a command ended with.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// A project; removed when dropped.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    /// Writes a project.
    ///
    /// # Panics
    /// When it cannot be written.
    pub(crate) fn new(setup: &Setup) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(project.path().join("integrations")).unwrap();
        fs::create_dir_all(project.path().join("models/lead-score")).unwrap();
        fs::copy(example("lead-score.txt"), project.model(1)).unwrap();
        let names: Vec<&str> = FEATURES.iter().map(|(name, _)| *name).collect();
        project.write(
            "tendon.yaml",
            &format!(
                "project: e2e\nsystems:\n  crm:\n    kind: sqlite\n    path: crm.db\n    read: {{ leads: [id, name, {}, \
                 updated_at] }}\n    write: {{ leads: [score, score_band, scored_at] }}\nmodels:\n  lead-score: {{ path: \
                 models/lead-score }}\n",
                names.join(", ")
            ),
        );
        let events = if setup.events.is_empty() { String::new() } else { format!("  events: {}\n", setup.events) };
        project.write(
            "integrations/lead-score.yaml",
            &format!(
                "integration: lead-score\npurpose: rank leads by their probability to subscribe\nowner: sales-ops\nmodel: \
                 lead-score\nsubject: {}\ninput: {{ from: crm.leads }}\nbands: {{ green: \">= 0.1\", yellow: \">= 0.055\", \
                 red: otherwise }}\ndoors:\n  api: {{}}\n{events}",
                setup.subject
            ),
        );
        project.make_crm(setup);
        project
    }

    fn make_crm(&self, setup: &Setup) {
        let crm = self.crm();
        if setup.wal {
            crm.query_row("PRAGMA journal_mode = wal", [], |_| Ok(())).unwrap();
        }
        let columns = FEATURES
            .iter()
            .map(|(name, number)| format!("\"{name}\" {} NOT NULL", if *number { "INTEGER" } else { "TEXT" }));
        let columns = columns.collect::<Vec<_>>().join(", ");
        // The test's own trigger writes down each write-back that had an effect.
        crm.execute_batch(&format!(
            "CREATE TABLE leads (id INTEGER PRIMARY KEY, name TEXT NOT NULL, {columns}, updated_at TIMESTAMP NOT NULL,
                 score REAL, score_band TEXT, scored_at TIMESTAMP);
             CREATE TABLE written (n INTEGER PRIMARY KEY, id INTEGER, balance INTEGER, score REAL, scored_at TEXT,
                 before TEXT);
             CREATE TRIGGER write_down AFTER UPDATE OF score, score_band, scored_at ON leads BEGIN
                 INSERT INTO written (id, balance, score, scored_at, before)
                     VALUES (NEW.id, NEW.balance, NEW.score, NEW.scored_at, OLD.scored_at);
             END; {}",
            setup.sql
        ))
        .unwrap();
        crm.execute_batch("BEGIN").unwrap();
        for id in 1..=setup.leads {
            insert_lead(&crm, id, &format!("Lead {id}"));
        }
        crm.execute_batch("COMMIT").unwrap();
    }

    /// Its folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file of it.
    ///
    /// # Panics
    /// When that fails.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// The file of a version of the model.
    pub(crate) fn model(&self, version: usize) -> PathBuf {
        self.path().join(format!("models/lead-score/{version}.txt"))
    }

    /// A connection of somebody else to the CRM.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub(crate) fn crm(&self) -> Connection {
        let crm = Connection::open(self.path().join("crm.db")).unwrap();
        crm.busy_timeout(Duration::from_secs(30)).unwrap();
        crm
    }

    /// Runs a command on the project.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        run_in(self.path(), &[words, &["--project", &self.path().to_string_lossy()]].concat())
    }

    /// Runs a command that has to succeed, and reads the JSON it prints.
    ///
    /// # Panics
    /// When it fails.
    pub(crate) fn json(&self, words: &[&str]) -> Json {
        let ran = self.run(&[words, &["--output", "json"]].concat());
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
        ran.json()
    }

    /// A key with scopes (none: decide everything and read).
    ///
    /// # Panics
    /// When it cannot be made.
    pub(crate) fn key(&self, name: &str, scopes: &[&str]) -> String {
        let mut words = vec!["keys", "create", "--name", name];
        scopes.iter().for_each(|scope| words.extend(["--scope", scope]));
        self.json(&words)["key"].as_str().unwrap().to_owned()
    }

    /// How many decisions the ledger holds.
    ///
    /// # Panics
    /// When they cannot be listed.
    pub(crate) fn decisions(&self) -> usize {
        self.json(&["decisions", "list", "--limit", "1000000"]).as_array().unwrap().len()
    }

    /// Checks that the ledger verifies.
    ///
    /// # Panics
    /// When it does not.
    pub(crate) fn verify(&self) {
        let ran = self.run(&["ledger", "verify"]);
        assert_eq!(ran.code, 0, "the ledger does not verify: {}\n{}", ran.out, ran.err);
    }

    /// Starts the program and waits until it is ready.
    pub(crate) fn up(&self) -> Server {
        Server::start(self.path())
    }
}

/// A file of the example.
pub(crate) fn example(name: &str) -> PathBuf {
    workspace().join("examples/lead-score").join(name)
}

/// Runs a command in a folder.
///
/// # Panics
/// When it cannot be started.
pub(crate) fn run_in(folder: &Path, words: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tendon"));
    let done = command.args(words).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    Ran {
        code: done.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&done.stdout).into_owned(),
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

/// Puts a lead of the sample into the CRM.
///
/// # Panics
/// When that fails.
pub(crate) fn insert_lead(crm: &Connection, id: usize, name: &str) {
    let (values, _) = sample(id);
    let mut row = vec![Sql::Integer(i64::try_from(id).unwrap()), Sql::Text(name.to_owned())];
    row.extend(FEATURES.iter().map(|(name, _)| match &values[*name] {
        Json::Number(number) => Sql::Integer(number.as_i64().unwrap()),
        other => Sql::Text(other.as_str().unwrap().to_owned()),
    }));
    let marks = vec!["?"; row.len()].join(", ");
    let sql = format!("INSERT INTO leads VALUES ({marks}, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), NULL, NULL, NULL)");
    crm.execute(&sql, params_from_iter(row)).unwrap();
}
