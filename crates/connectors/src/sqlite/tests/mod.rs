//! What is SQLite's own: the authorizer as a wall of its own, times in many forms, values that do not fit, triggers that
//! roll back, files that are replaced. The promises every kind makes are in `tests/contract`.

mod forms;
mod wall;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use rusqlite::Connection;
use tendon_kernel::{
    Error, Value,
    sockets::connector::{Allowed, Row, Scan, Write, WriteBatch, Written},
};

use super::{read, session::Session, write};
use crate::guard::Guard;

const SCHEMA: &str = "
    CREATE TABLE leads (id INTEGER PRIMARY KEY, name TEXT, updated_at TIMESTAMP, score REAL, scored_at TIMESTAMP, secret TEXT);
    CREATE TABLE salaries (id INTEGER PRIMARY KEY, name TEXT, amount REAL);
    INSERT INTO leads VALUES (1, 'ann', '2026-05-17 10:00:00', NULL, NULL, 'hush');
    INSERT INTO salaries VALUES (1, 'ann', 1e6);
";

/// An empty file with this schema, and where it is.
fn file(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crm.db");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    (folder, path)
}

fn lists(lists: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    lists.iter().map(|(name, fields)| ((*name).to_owned(), names(fields))).collect()
}

fn names(fields: &str) -> Vec<String> {
    fields.split_whitespace().map(str::to_owned).collect()
}

fn session(path: &Path, read: &[(&str, &str)], write: &[(&str, &str)]) -> Session {
    let allowed = Allowed { read: lists(read), write: lists(write) };
    let guard = Guard { system: "crm".to_owned(), allowed };
    Session::new(Arc::new(guard), path.to_owned(), Duration::from_millis(10), !write.is_empty())
}

fn scan(session: &mut Session, resource: &str, key: &str, fields: &str) -> Result<Vec<Row>, Error> {
    let request =
        Scan { resource: resource.to_owned(), key: names(key), fields: names(fields), after: Vec::new(), limit: 100 };
    session.with(|open, guard| read::scan(open, guard, &request))
}

fn set(id: i64, field: &str, value: Value) -> Write {
    Write { key: vec![Value::Int(id)], set: vec![(field.to_owned(), value)], expect: Vec::new(), older: None }
}

fn run(session: &mut Session, resource: &str, writes: Vec<Write>) -> Result<Vec<Written>, Error> {
    let batch = WriteBatch { resource: resource.to_owned(), key: names("id"), writes };
    session.with(|open, guard| write::batch(open, guard, &batch))
}

#[test]
fn a_row_that_rolls_everything_back_is_refused_alone() {
    let (_folder, path) = file(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, out REAL CHECK (out < 100));
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO t SELECT i, NULL FROM n;
         CREATE TRIGGER stop BEFORE UPDATE ON t WHEN NEW.id IN (7, 30) BEGIN SELECT RAISE(ROLLBACK, 'all of it'); END;
         CREATE TRIGGER skip BEFORE UPDATE ON t WHEN NEW.id = 8 BEGIN SELECT RAISE(IGNORE); END",
    );
    let mut session = session(&path, &[], &[("t", "out")]);
    let writes = (1..=50).map(|id| set(id, "out", Value::Int(if id == 9 { 100 } else { id }))).collect();
    for (id, outcome) in (1..).zip(run(&mut session, "t", writes).unwrap()) {
        match (id, outcome) {
            (7 | 30 | 9, Written::Rejected(error)) => assert_eq!(error.code(), "write_refused"),
            (8, Written::Rejected(error)) => assert_eq!(error.code(), "write_ignored"),
            (_, Written::Delivered { old: Some(_) }) => assert!(![7, 8, 9, 30].contains(&id)),
            (id, outcome) => panic!("{id}: {outcome:?}"),
        }
    }
    let count: i64 =
        Connection::open(&path).unwrap().query_row("SELECT count(out) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 46);
}

#[test]
fn foreign_keys_are_checked_and_a_deferred_one_refuses_its_row_alone() {
    let (_folder, path) = file(
        "CREATE TABLE bands (name TEXT PRIMARY KEY, secret TEXT);
         INSERT INTO bands VALUES ('green', 'x');
         CREATE TABLE now (id INTEGER PRIMARY KEY, band TEXT REFERENCES bands);
         CREATE TABLE later (id INTEGER PRIMARY KEY, band TEXT REFERENCES bands (name) DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO now (id) VALUES (1), (2), (3); INSERT INTO later (id) VALUES (1), (2), (3)",
    );
    let mut session = session(&path, &[], &[("now", "band"), ("later", "band")]);
    for table in ["now", "later"] {
        let writes = [(1, "green"), (2, "blue"), (3, "green")].map(|(id, band)| set(id, "band", Value::text(band)));
        let outcome = run(&mut session, table, writes.into()).unwrap();
        let [Written::Delivered { .. }, Written::Rejected(error), Written::Delivered { .. }] = &outcome[..] else {
            panic!("{table}: {outcome:?}")
        };
        assert_eq!(error.code(), "write_refused");
    }
    assert!(!allowed_on(&mut session, "now", "SELECT secret FROM bands"));
}

fn allowed_on(session: &mut Session, table: &str, sql: &str) -> bool {
    session
        .with(|open, guard| {
            open.table(guard, table)?;
            Ok(open.data.prepare(sql).is_ok())
        })
        .unwrap()
}

#[test]
fn a_replaced_file_and_a_changed_schema_are_noticed() {
    let (folder, path) = file(SCHEMA);
    let mut session = session(&path, &[("leads", "name age")], &[("leads", "score")]);
    assert_eq!(scan(&mut session, "leads", "id", "age").unwrap_err().code(), "field_unknown");
    Connection::open(&path).unwrap().execute_batch("ALTER TABLE leads ADD COLUMN age INTEGER DEFAULT 30").unwrap();
    assert_eq!(scan(&mut session, "leads", "id", "age").unwrap()[0].values, [Value::Int(30)]);
    let other = folder.path().join("restored.db");
    let sql = format!("{SCHEMA} ALTER TABLE leads ADD COLUMN age INTEGER; UPDATE leads SET name = 'restored'");
    Connection::open(&other).unwrap().execute_batch(&sql).unwrap();
    std::fs::rename(&other, &path).unwrap();
    assert_eq!(scan(&mut session, "leads", "id", "name").unwrap()[0].values, [Value::text("restored")]);
    run(&mut session, "leads", vec![set(1, "score", Value::Float(0.5))]).unwrap();
    let score: f64 =
        Connection::open(&path).unwrap().query_row("SELECT score FROM leads", [], |row| row.get(0)).unwrap();
    assert!((score - 0.5).abs() < f64::EPSILON, "written to the file that is there now");
}

#[test]
fn a_file_is_never_made_and_no_database_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.db");
    let mut none = session(&missing, &[("leads", "name")], &[("leads", "score")]);
    let error = scan(&mut none, "leads", "id", "name").unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("system_unreachable", true));
    assert!(!missing.exists());
    std::fs::write(
        &missing,
        "this is no database, however long it may be; it goes on and on and on and on and on and on",
    )
    .unwrap();
    let error = scan(&mut none, "leads", "id", "name").unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("system_unreachable", true));
    let mut folder = session(folder.path(), &[("leads", "name")], &[]);
    assert_eq!(scan(&mut folder, "leads", "id", "name").unwrap_err().code(), "system_unreachable");
}

#[test]
fn a_name_in_quotes_that_is_no_column_is_no_text() {
    let (_folder, path) = file(SCHEMA);
    let mut session = session(&path, &[("leads", "name nothing")], &[]);
    assert_eq!(scan(&mut session, "leads", "id", "nothing").unwrap_err().code(), "field_unknown");
    let error = session.with(|open, guard| {
        open.table(guard, "leads")?;
        open.data.prepare("SELECT \"nothing\" FROM leads").map(|_| ()).map_err(open.failed("scanning rows"))
    });
    assert!(error.is_err());
}

#[test]
fn keys_follow_the_collation_that_makes_them_unique() {
    let (_folder, path) = file(
        "CREATE TABLE a (id TEXT COLLATE NOCASE PRIMARY KEY) WITHOUT ROWID;
         INSERT INTO a VALUES ('b'), ('A'), ('C');
         CREATE TABLE b (id TEXT COLLATE NOCASE, v TEXT); CREATE UNIQUE INDEX i ON b (id COLLATE BINARY);
         INSERT INTO b VALUES ('b', 1), ('B', 2), ('a', 3), ('A', 4), (NULL, 5), (NULL, 6), (x'00', 7);
         CREATE TABLE c (id TEXT); CREATE UNIQUE INDEX j ON c (id) WHERE id > 'm'",
    );
    let mut session = session(&path, &[("a", "id"), ("b", "id v"), ("c", "id")], &[]);
    let mut all = |table: &str| {
        let (mut found, mut after) = (Vec::new(), Vec::new());
        while found.len() < 50 {
            let request = Scan { resource: table.to_owned(), key: names("id"), fields: names("id"), after, limit: 1 };
            let Some(row) = session.with(|open, guard| read::scan(open, guard, &request))?.pop() else { break };
            found.push(row.values[0].to_string());
            after = row.key;
        }
        Ok::<_, Error>(found.join(" "))
    };
    assert_eq!(all("a").unwrap(), "A b C");
    assert_eq!(all("b").unwrap(), "A B a b", "rows without a key that can be told are left out");
    assert_eq!(all("c").unwrap_err().code(), "key_not_unique");
}

#[test]
fn a_file_that_is_locked_even_for_reading_is_tried_again_later() {
    let (_folder, path) = file(SCHEMA);
    let mut session = session(&path, &[("leads", "name")], &[("leads", "score")]);
    assert_eq!(scan(&mut session, "leads", "id", "name").unwrap().len(), 1);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for error in [
        scan(&mut session, "leads", "id", "name").unwrap_err(),
        run(&mut session, "leads", vec![set(1, "score", Value::Float(1.0))]).unwrap_err(),
        session.with(|open, _| open.refresh()).unwrap_err(),
    ] {
        assert_eq!((error.code(), error.retryable()), ("system_locked", true));
    }
    drop(other);
    assert_eq!(scan(&mut session, "leads", "id", "name").unwrap().len(), 1);
}

#[test]
fn a_commit_that_a_reader_holds_up_leaves_nothing_half_done() {
    let (_folder, path) = file(SCHEMA);
    let mut session = session(&path, &[("leads", "name")], &[("leads", "score")]);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN; SELECT * FROM leads").unwrap();
    let error = run(&mut session, "leads", vec![set(1, "score", Value::Float(1.0))]).unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("system_locked", true));
    other.execute_batch("COMMIT").unwrap();
    let written = run(&mut session, "leads", vec![set(1, "score", Value::Float(1.0))]).unwrap();
    assert_eq!(written, [Written::Delivered { old: Some(vec![Value::Null]) }]);
}

#[test]
fn settings_are_checked() {
    let check = |settings: serde_json::Value| (super::KIND.validate)(&settings);
    assert!(check(serde_json::json!({"path": "crm.db", "busy_timeout": 0})).is_ok());
    let findings = check(serde_json::json!({"path": "", "busy_timeout": 60_001})).unwrap_err();
    let pointers: Vec<_> = findings.iter().map(|finding| finding.pointer().unwrap()).collect();
    assert_eq!(pointers, ["/path", "/busy_timeout"]);
    let findings = check(serde_json::json!({"url": "crm.db", "bussy_timeout": 5})).unwrap_err();
    assert!(findings.iter().any(|finding| finding.hint_text() == Some("did you mean `busy_timeout`?")));
    assert_eq!(findings.len(), 3, "two unknown, one missing");
}
