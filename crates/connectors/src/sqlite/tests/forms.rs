//! Times in many forms, values that do not fit, and what conditions make of them.

use rusqlite::Connection;
use tendon_kernel::{
    Timestamp, Value,
    sockets::connector::{Position, Watch, Written},
};

use super::{SCHEMA, Session, file, names, read, run, scan, session, set};

/// Watches `leads` from a position to the end, one row a page.
fn marks(session: &mut Session, mut after: Position) -> Vec<(Value, Value)> {
    let mut found = Vec::new();
    loop {
        let request = Watch {
            resource: "leads".to_owned(),
            key: names("id"),
            watermark: "updated_at".to_owned(),
            fields: names("updated_at"),
            after,
            limit: 1,
        };
        let Some(change) = session.with(|open, guard| read::watch(open, guard, &request)).unwrap().pop() else {
            return found;
        };
        assert!(found.len() < 100, "the watch does not get on");
        after = Position { mark: change.mark.clone(), key: change.row.key.clone() };
        found.push((change.row.key[0].clone(), change.mark));
    }
}

#[test]
fn a_watch_gets_on_whatever_forms_of_time_are_mixed() {
    let stored = [
        "'2026-05-17 10:00:00'",
        "'2026-05-17T10:00:00Z'",
        "'2026-05-17T10:00:00.000000Z'",
        "'2026-05-17T12:00:00+02:00'",
        "'2026-05-17 10:00:00'",
        "'soon'",
        "1779012000",
        "1779012000.5",
        "NULL",
        "''",
        "'2026-05-17'",
        "'2026-05-17 10:00:00.5'",
        "x'00ff'",
        "CAST(x'61ff' AS TEXT)",
    ];
    let (_folder, path) = file(SCHEMA);
    let db = Connection::open(&path).unwrap();
    db.execute_batch("DELETE FROM leads").unwrap();
    for value in stored {
        db.execute(&format!("INSERT INTO leads (updated_at) VALUES ({value})"), []).unwrap();
    }
    let mut session = session(&path, &[("leads", "id updated_at")], &[]);
    let start = Position { mark: Value::Null, key: Vec::new() };
    let mut seen: Vec<Value> = marks(&mut session, start).into_iter().map(|(key, _)| key).collect();
    seen.sort_by_key(|key| key.number().map(f64::to_bits));
    // The last two are no marks: a blob, and text that is no text.
    assert_eq!(seen, (1..=12).map(Value::Int).collect::<Vec<_>>());
}

#[test]
fn a_computed_start_rereads_in_the_form_the_table_uses() {
    let (_folder, path) = file(SCHEMA);
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "DELETE FROM leads;
         INSERT INTO leads (id, updated_at) VALUES (1, '2026-05-17 09:58:00'), (2, '2026-05-17 09:59:00'), (3, '2026-05-17 10:00:00')",
    )
    .unwrap();
    let mut session = session(&path, &[("leads", "id updated_at")], &[]);
    let start = Value::Time(Timestamp::parse("2026-05-17 09:59:00").unwrap());
    let found = marks(&mut session, Position { mark: start, key: Vec::new() });
    assert_eq!(found.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), [Value::Int(2), Value::Int(3)]);
    assert_eq!(found[0].1, Value::text("2026-05-17 09:59:00"), "a mark keeps the form in which it is stored");
}

#[test]
fn a_value_that_does_not_fit_stops_no_other_row() {
    let (_folder, path) = file(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER);
         INSERT INTO t VALUES (1, 5), (2, 'many'), (3, x'00'), (4, 5.5), (5, NULL)",
    );
    let mut session = session(&path, &[("t", "n")], &[]);
    let values: Vec<Value> =
        scan(&mut session, "t", "id", "n").unwrap().into_iter().flat_map(|row| row.values).collect();
    assert_eq!(values, [Value::Int(5), Value::text("many"), Value::text("x'00'"), Value::text("5.5"), Value::Null]);
}

#[test]
fn conditions_and_old_values_follow_the_columns_affinity() {
    let (_folder, path) = file(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a REAL, b NUMERIC, c TEXT COLLATE NOCASE, d TIMESTAMP, out TEXT, n INTEGER, raw);
         INSERT INTO t VALUES (1, 5, 5, 'Ann', '2026-05-17 10:00:00', NULL, NULL, 7)",
    );
    let mut session = session(&path, &[("t", "a b c d raw")], &[("t", "out n")]);
    let expect = |field: &str, value: Value| {
        let mut write = set(1, "out", Value::Float(0.5));
        write.set.push(("n".to_owned(), Value::Float(5.0)));
        write.expect = vec![(field.to_owned(), value)];
        write
    };
    let noon = Timestamp::parse("2026-05-17T12:00:00+02:00").unwrap();
    for (field, value) in [("c", Value::text("ann")), ("a", Value::Float(5.000_001)), ("d", Value::Time(Timestamp(0)))]
    {
        assert_eq!(run(&mut session, "t", vec![expect(field, value)]).unwrap(), [Written::Superseded], "{field}");
    }
    let fits = [
        ("a", Value::Int(5)),
        ("a", Value::Float(5.0)),
        ("b", Value::Float(5.0)),
        ("c", Value::text("Ann")),
        ("d", Value::Time(noon)),
        ("raw", Value::text("7")),
    ];
    let outcome = run(&mut session, "t", vec![expect(fits[0].0, fits[0].1.clone())]).unwrap();
    assert_eq!(outcome, [Written::Delivered { old: Some(vec![Value::Null, Value::Null]) }]);
    // Stored as '0.5' and 5; still recognised as ours.
    for (field, value) in fits {
        let again = run(&mut session, "t", vec![expect(field, value.clone())]).unwrap();
        assert_eq!(again, [Written::Delivered { old: None }]);
        let mut other = expect(field, value);
        other.set[0].1 = Value::text(field);
        assert!(
            matches!(run(&mut session, "t", vec![other]).unwrap()[0], Written::Delivered { old: Some(_) }),
            "{field}"
        );
        let mut back = expect("c", Value::text("Ann"));
        back.set[0].1 = Value::Float(0.5);
        run(&mut session, "t", vec![back]).unwrap();
    }
}

#[test]
fn a_time_stored_in_another_form_is_compared_as_a_time() {
    let (_folder, path) = file(&format!("{SCHEMA} UPDATE leads SET scored_at = '2026-05-17 10:00:00'"));
    let mut session = session(&path, &[("leads", "name")], &[("leads", "score scored_at")]);
    let older = |time: &str| {
        let mut write = set(1, "score", Value::Float(0.5));
        write.older = Some(("scored_at".to_owned(), Timestamp::parse(time).unwrap()));
        write
    };
    assert_eq!(run(&mut session, "leads", vec![older("2026-05-17T09:00:00Z")]).unwrap(), [Written::Superseded]);
    assert_eq!(run(&mut session, "leads", vec![older("2026-05-17T10:00:00Z")]).unwrap(), [Written::Superseded]);
    let newer = run(&mut session, "leads", vec![older("2026-05-17T10:00:00.000001Z")]).unwrap();
    assert_eq!(newer, [Written::Delivered { old: Some(vec![Value::Null]) }]);
    Connection::open(&path).unwrap().execute_batch("UPDATE leads SET score = 0, scored_at = 'long ago'").unwrap();
    let unreadable = run(&mut session, "leads", vec![older("2026-05-17T11:00:00Z")]).unwrap();
    assert!(matches!(&unreadable[0], Written::Rejected(error) if error.code() == "time_unreadable"));
}
