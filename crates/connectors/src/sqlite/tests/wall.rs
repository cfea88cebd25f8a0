//! The wall inside SQLite, tried without the one before it.

use tendon_kernel::{ErrorKind, Value, sockets::connector::Written};

use super::{SCHEMA, Session, file, run, scan, session, set};

/// What SQLite itself says to a statement on the connection for data, past the first wall.
fn allowed(session: &mut Session, sql: &str) -> bool {
    session
        .with(|open, guard| {
            open.table(guard, "leads")?;
            match open.data.prepare(sql) {
                Ok(_) => Ok(true),
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.contains("not authorized") || error.contains("prohibited"), "{sql}: {error}");
                    Ok(false)
                }
            }
        })
        .unwrap()
}

#[test]
fn the_second_wall_stands_without_the_first() {
    let (_folder, path) = file(&format!(
        "{SCHEMA} CREATE VIEW pay AS SELECT * FROM salaries;
         CREATE VIEW shown AS SELECT l.id, l.name, s.amount FROM leads l JOIN salaries s USING (id);
         CREATE TRIGGER audit AFTER UPDATE OF score ON leads BEGIN UPDATE salaries SET amount = 0 WHERE id = NEW.id; END"
    ));
    let mut session = session(&path, &[("leads", "name"), ("shown", "name")], &[("leads", "score")]);
    for sql in [
        "SELECT name FROM leads",
        "SELECT id, name FROM leads ORDER BY id",
        "SELECT count(*) FROM leads WHERE name > 'a'",
        "UPDATE leads SET score = 1 WHERE id = 1",
    ] {
        // count() is a function, the only thing here that is not allowed.
        assert_eq!(allowed(&mut session, sql), !sql.contains("count"), "{sql}");
    }
    for sql in [
        "SELECT secret FROM leads",
        "SELECT * FROM leads",
        "SELECT name FROM leads WHERE secret = 'hush'",
        "SELECT name FROM leads ORDER BY secret",
        "SELECT name FROM leads WHERE id = (SELECT id FROM salaries)",
        "SELECT name FROM leads UNION SELECT name FROM salaries",
        "SELECT name FROM pay",
        "WITH x AS (SELECT secret FROM leads) SELECT * FROM x",
        "SELECT updated_at FROM leads",
        "SELECT sql FROM sqlite_schema",
        "UPDATE leads SET secret = 1",
        "UPDATE leads SET name = 'x'",
        "UPDATE leads SET score = (SELECT amount FROM salaries)",
        "UPDATE leads SET score = 1 WHERE secret = 'hush'",
        "UPDATE leads SET score = 1 RETURNING secret",
        "UPDATE salaries SET amount = 1",
        "INSERT INTO leads (name) VALUES ('x')",
        "DELETE FROM leads",
        "DROP TABLE leads",
        "CREATE TABLE x (y)",
        "CREATE TEMP VIEW v AS SELECT secret FROM leads",
        "ALTER TABLE leads ADD COLUMN x",
        "ATTACH ':memory:' AS other",
        "PRAGMA journal_mode = OFF",
        "PRAGMA table_info(leads)",
        "SELECT load_extension('x')",
    ] {
        assert!(!allowed(&mut session, sql), "{sql}");
    }
    // Vacuum asks only when it runs.
    let copied = session.with(|open, _| Ok(open.data.execute_batch("VACUUM INTO 'copy.db'").is_ok()));
    assert!(!copied.unwrap());
    // The owner's own trigger may do what it does.
    assert!(matches!(
        run(&mut session, "leads", vec![set(1, "score", Value::Float(1.0))]).unwrap()[0],
        Written::Delivered { .. }
    ));
}

#[test]
fn a_connection_that_only_reads_cannot_write() {
    let (_folder, path) = file(SCHEMA);
    let mut session = session(&path, &[("leads", "name score")], &[]);
    assert!(!allowed(&mut session, "UPDATE leads SET score = 1"));
    let error = session
        .with(|open, _| {
            open.data
                .authorizer(None::<fn(rusqlite::hooks::AuthContext<'_>) -> rusqlite::hooks::Authorization>)
                .unwrap();
            open.data.execute_batch("UPDATE leads SET score = 1").map_err(open.failed("writing back"))
        })
        .unwrap_err();
    assert_eq!(error.code(), "system_read_only");
}

#[test]
fn views_show_what_they_show_and_cannot_be_written() {
    let (_folder, path) = file(&format!(
        "{SCHEMA} CREATE VIEW shown AS SELECT l.id, l.name, s.amount FROM leads l JOIN salaries s USING (id);
         CREATE VIEW nested AS SELECT id, name FROM shown;
         CREATE VIEW broken AS SELECT id FROM gone"
    ));
    let mut reading = session(&path, &[("nested", "id name"), ("shown", "id name")], &[("shown", "amount")]);
    for view in ["shown", "nested"] {
        assert_eq!(scan(&mut reading, view, "id", "name").unwrap()[0].values, [Value::text("ann")]);
    }
    assert_eq!(scan(&mut reading, "shown", "id", "amount").unwrap_err().code(), "field_not_allowed");
    let error = run(&mut reading, "shown", vec![set(1, "amount", Value::Null)]).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "not_writable"));
    let catalog = reading.with(|open, _| open.catalog()).unwrap();
    let told: Vec<&str> = catalog.resources.iter().map(|resource| resource.name.as_str()).collect();
    assert_eq!(told, ["leads", "nested", "salaries", "shown"]);
}
