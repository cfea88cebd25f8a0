//! The CRM of the tests: a SQLite table, with a trigger of its own that notes every write-back.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::Connection;

/// The database file.
pub(crate) struct Crm {
    pub(crate) path: PathBuf,
}

const SCHEMA: &str = r#"
PRAGMA journal_mode = WAL;
CREATE TABLE leads (
  id INTEGER PRIMARY KEY, age INTEGER, job TEXT, marital TEXT, education TEXT, "default" TEXT, balance INTEGER,
  housing TEXT, loan TEXT, contact TEXT, day INTEGER, month TEXT, campaign INTEGER, pdays INTEGER, previous INTEGER,
  poutcome TEXT, updated_at TIMESTAMP NOT NULL, score REAL, score_band TEXT, scored_at TIMESTAMP);
CREATE TABLE writes (lead INTEGER, balance INTEGER, score REAL, scored_at TEXT);
CREATE TRIGGER note_write AFTER UPDATE OF score ON leads BEGIN
  INSERT INTO writes VALUES (new.id, new.balance, new.score, new.scored_at);
END;
"#;

impl Crm {
    pub(crate) fn create(path: &Path, leads: i64) -> Self {
        let crm = Self { path: path.to_owned() };
        let connection = crm.open();
        connection.execute_batch(SCHEMA).unwrap();
        crm.add(1, leads);
        crm
    }

    pub(crate) fn open(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        connection
    }

    /// Adds leads with ids from `first` on.
    pub(crate) fn add(&self, first: i64, count: i64) {
        let mut connection = self.open();
        let change = connection.transaction().unwrap();
        for id in first..first + count {
            change
                .execute(
                    "INSERT INTO leads VALUES (?1, ?2, 'technician', 'single', 'secondary', 'no', ?3, 'yes', 'no',
                     'cellular', 5, 'may', 1, -1, 0, 'unknown', strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), NULL, NULL, NULL)",
                    (id, 20 + id % 60, id * 7 % 9000),
                )
                .unwrap();
        }
        change.commit().unwrap();
    }

    /// Whether every lead has score, band and time.
    pub(crate) fn all_scored(&self) -> bool {
        self.number("SELECT count(*) FROM leads WHERE score IS NULL OR score_band IS NULL OR scored_at IS NULL") == 0
    }

    /// A number from the database.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.open().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Leads whose write-back happened twice for the same state: the trigger noted the same time of decision twice.
    pub(crate) fn doubled(&self) -> i64 {
        self.number("SELECT count(*) FROM (SELECT 1 FROM writes GROUP BY lead, scored_at HAVING count(*) > 1)")
    }
}
