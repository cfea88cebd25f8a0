//! MariaDB's values and orders: types exact or refused, collations that take different texts for equal, times without a
//! zone, tables that cannot be written, rows that are refused.

use tendon_kernel::{
    Timestamp, Value,
    schema::Resource,
    sockets::connector::{Allowed, Connector, Position, Scan, Watch, Write, WriteBatch, Written},
};

use crate::{
    fixture::{Fixture as _, refusal, wait},
    mysql::MysqlFixture,
    sample::names,
};
use tendon_testkit::servers::PASSWORD;

fn time(text: &str) -> Value {
    Value::Time(Timestamp::parse(text).unwrap())
}

/// A connection that may read all fields of a resource, and write some.
fn open(system: &MysqlFixture, resource: &str, write: &[&str]) -> (std::sync::Arc<dyn Connector>, Resource) {
    let catalog = wait(system.connect(Allowed::default()).catalog()).unwrap();
    let found = catalog.resource(resource).unwrap().clone();
    let fields = found.schema.fields.iter().map(|field| field.name.to_string()).collect();
    let write = if write.is_empty() { Default::default() } else { [(resource.to_owned(), names(write))].into() };
    (system.connect(Allowed { read: [(resource.to_owned(), fields)].into(), write }), found)
}

/// Scans to the end in pages.
fn pages(connector: &dyn Connector, resource: &Resource, limit: usize) -> Vec<Vec<Value>> {
    let (mut found, mut after) = (Vec::new(), Vec::new());
    loop {
        let (name, key) = (resource.name.clone(), resource.key.clone());
        let page = wait(connector.scan(Scan { resource: name, fields: key.clone(), key, after, limit })).unwrap();
        assert!(found.len() < 1000, "the scan does not get on");
        let Some(last) = page.last() else { return found };
        after = last.key.clone();
        found.extend(page.into_iter().map(|row| row.values));
    }
}

#[test]
fn types_are_exact_or_refused_with_a_reason() {
    let system = MysqlFixture::new();
    system.sql(
        "CREATE TABLE odd (id uuid PRIMARY KEY, deci decimal(40,20), price decimal(12,2), huge bigint unsigned, small float,
            at datetime(3), stamp timestamp(6) NOT NULL DEFAULT NOW(6), day date, doc json, feel enum('calm','it''s','a\\\\b'),
            code char(4), flag tinyint(1), one bit(1), many bit(9), born year, filled int(8) zerofill, western varchar(20) CHARACTER SET latin1,
            twice int AS (filled * 2), raw blob, tags set('a','b'), span time, place point, fixed binary(3));
         INSERT INTO odd (id, deci, price, huge, small, at, stamp, day, doc, feel, code, flag, one, many, born, filled, western) VALUES
            ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 12345678901234567890.125, 10.10, 18446744073709551615, 0.1,
             '2026-05-17 10:00:00.123', '2026-05-17 10:00:00.123456', '2026-05-17', '{\"b\" : 1}', 'it''s', 'ab', 1, b'1', b'101010101',
             1987, 42, 'é');",
    );
    let (connector, found) = open(&system, "odd", &["price", "small", "at", "day", "code", "one", "feel"]);
    let catalog = wait(connector.catalog()).unwrap();
    let refused = &catalog.refused["odd"];
    assert_eq!(refused.keys().map(String::as_str).collect::<Vec<_>>(), ["fixed", "place", "raw", "span", "tags"]);
    assert!(refused["tags"].starts_with("set('a','b'): "));
    let feel = found.schema.field("feel").unwrap();
    assert_eq!(feel.values.iter().map(ToString::to_string).collect::<Vec<_>>(), ["calm", "it's", "a\\b"]);
    let fields: Vec<String> = found.schema.fields.iter().map(|field| field.name.to_string()).collect();
    let request = Scan { resource: "odd".to_owned(), key: found.key.clone(), fields, after: Vec::new(), limit: 9 };
    let row = wait(connector.scan(request)).unwrap().remove(0);
    let expected = [
        Value::text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        Value::text("12345678901234567890.12500000000000000000"),
        Value::Float(10.1),
        Value::text("18446744073709551615"),
        Value::Float(f64::from(0.1f32)),
        time("2026-05-17T10:00:00.123Z"),
        time("2026-05-17T10:00:00.123456Z"),
        time("2026-05-17T00:00:00Z"),
        Value::text("{\"b\" : 1}"),
        Value::text("it's"),
        Value::text("ab"),
        Value::Bool(true),
        Value::Bool(true),
        Value::Int(0b1_0101_0101),
        Value::Int(1987),
        Value::Int(42),
        Value::text("é"),
        Value::Int(84),
    ];
    assert_eq!(row.values, expected);
    // Values that the columns change when they store them are recognised as ours afterwards.
    let set = [
        ("price", Value::Float(1.239)),
        ("small", Value::Float(0.123_456_789_123)),
        ("at", time("2026-05-17T10:00:00.123956Z")),
        ("day", time("2026-05-18T10:00:00.5Z")),
        ("code", Value::text("x ")),
        ("one", Value::Bool(false)),
        ("feel", Value::text("calm")),
    ];
    let expect = ["deci", "price", "huge", "small", "at", "stamp", "western", "many", "flag"];
    let value =
        |name: &str| expected[found.schema.fields.iter().position(|field| *field.name == *name).unwrap()].clone();
    let write = Write {
        key: row.key.clone(),
        set: set.map(|(name, value)| (name.to_owned(), value)).into(),
        expect: expect.map(|name| (name.to_owned(), value(name))).into(),
        older: None,
    };
    let batch = WriteBatch { resource: "odd".to_owned(), key: found.key, writes: vec![write] };
    assert!(matches!(&wait(connector.write(batch.clone())).unwrap()[..], [Written::Delivered { old: Some(_) }]));
    assert_eq!(wait(connector.write(batch)).unwrap(), [Written::Delivered { old: None }]);
    assert_eq!(
        system.sql("SELECT price, at, day, code, one + 0 FROM odd;").trim(),
        "1.24\t2026-05-17 10:00:00.123\t2026-05-18\tx\t0"
    );
}

#[test]
fn a_key_is_equal_letter_by_letter_and_pages_follow_its_collation() {
    for (set, collation) in [
        ("utf8mb4", "utf8mb4_general_ci"),
        ("utf8mb4", "utf8mb4_bin"),
        ("utf8mb4", "utf8mb4_unicode_nopad_ci"),
        ("latin1", "latin1_german1_ci"),
    ] {
        let system = MysqlFixture::new();
        system.sql(&format!(
            "CREATE TABLE shops (region varchar(20) CHARACTER SET {set} COLLATE {collation}, town varchar(20), n bigint unsigned,
               score double, PRIMARY KEY (region, town, n));
             INSERT INTO shops (region, town, n) VALUES ('b', 'X', 1), ('B', 'x', 2), ('a', 'é', 3), ('A', 'f', 3), ('ä', 'x', 18446744073709551615),
               ('ä', 'X', 4), ('Ä', 'y', 4), ('z ', 'x', 1), ('Z', 'w', 1), ('B', 'X', 3), ('ß', '', 0), ('ss', '', 1);"
        ));
        let (connector, shops) = open(&system, "shops", &["score"]);
        let all = pages(connector.as_ref(), &shops, 100);
        assert_eq!(all.len(), 12, "{collation}");
        for limit in 1..=7 {
            assert_eq!(pages(connector.as_ref(), &shops, limit), all, "{collation}, pages of {limit}");
        }
        // Another case, a blank more, a letter that the column's set does not have: other keys.
        let key = |region: &str, n: i64| vec![Value::text(region), Value::text("x"), Value::Int(n)];
        let keys = [key("b", 2), key("B ", 2), key("👩‍🚒", 2), key("B", -1), key("B", 2)];
        let rows = wait(connector.read("shops", &shops.key, &names(&["n"]), &keys)).unwrap();
        assert_eq!(rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>(), [key("B", 2)], "{collation}");
        let write = |key: Vec<Value>| Write {
            key,
            set: vec![("score".to_owned(), Value::Float(0.5))],
            expect: Vec::new(),
            older: None,
        };
        let writes = keys.map(write).into();
        let written =
            wait(connector.write(WriteBatch { resource: "shops".to_owned(), key: shops.key.clone(), writes }));
        let there = Written::Delivered { old: Some(vec![Value::Null]) };
        assert_eq!(
            written.unwrap(),
            [Written::Missing, Written::Missing, Written::Missing, Written::Missing, there],
            "{collation}"
        );
        assert_eq!(system.sql("SELECT COUNT(score) FROM shops;").trim(), "1", "{collation}");
    }
}

#[test]
fn a_page_of_a_long_key_is_read_by_the_index() {
    let system = MysqlFixture::new();
    system.sql("CREATE TABLE parts (a int, b varchar(9), c bigint unsigned, PRIMARY KEY (a, b, c));");
    system.sql("INSERT INTO parts SELECT seq DIV 100, seq MOD 10, seq FROM seq_1_to_20000; ANALYZE TABLE parts;");
    let (connector, parts) = open(&system, "parts", &[]);
    let read = || -> u64 {
        let sql = format!(
            "SET GLOBAL userstat = 1; SELECT SUM(ROWS_READ) FROM information_schema.TABLE_STATISTICS WHERE TABLE_SCHEMA = '{}' \
             AND TABLE_NAME = 'parts';",
            system.database
        );
        system.sql(&sql).trim().parse().unwrap_or(0)
    };
    let after = vec![Value::Int(150), Value::text("5"), Value::Int(15_055)];
    let request =
        Scan { resource: "parts".to_owned(), key: parts.key.clone(), fields: parts.key.clone(), after, limit: 10 };
    wait(connector.scan(request.clone())).unwrap();
    let before = read();
    let page = wait(connector.scan(request)).unwrap();
    assert_eq!((page.len(), &page[0].key[0]), (10, &Value::Int(150)));
    // From the start of the index, it would be fifteen thousand.
    let rows = read() - before;
    assert!((10..200).contains(&rows), "{rows} rows were read for a page of ten");
}

#[test]
fn a_time_without_a_zone_means_what_the_settings_say() {
    let system = MysqlFixture::new();
    system.sql(
        "CREATE TABLE visits (id int PRIMARY KEY, at datetime, stamp timestamp NOT NULL, day date, scored_at datetime(6));
         INSERT INTO visits VALUES (1, '2026-05-17 12:00:00', '2026-05-17 12:00:00', '2026-05-17', NULL), (2, '0000-00-00', '2026-05-17 12:00:01', '2026-05-17', NULL),
           (3, '2026-05-17 12:00:02', '2026-05-17 12:00:02', NULL, NULL);",
    );
    let mut settings = system.settings("app", PASSWORD);
    settings["zone"] = "+02:00".into();
    let fields = names(&["at", "stamp", "day"]);
    let visits = || "visits".to_owned();
    let allowed =
        Allowed { read: [(visits(), fields.clone())].into(), write: [(visits(), names(&["scored_at"]))].into() };
    let connector = system.with(settings, allowed);
    let keys = [vec![Value::Int(1)]];
    let row = wait(connector.read("visits", &names(&["id"]), &fields, &keys)).unwrap().remove(0);
    assert_eq!(row.values, [time("2026-05-17T10:00:00Z"), time("2026-05-17T12:00:00Z"), time("2026-05-17T00:00:00Z")]);
    // Watched by it, from a position in UTC, over rows with the zero date of old tables.
    let watch = |mark: Value, key: Vec<Value>| {
        let after = Position { mark, key };
        let request = Watch {
            resource: visits(),
            key: names(&["id"]),
            watermark: "at".to_owned(),
            fields: Vec::new(),
            after,
            limit: 1,
        };
        wait(connector.watch(request)).unwrap().pop()
    };
    let (mut mark, mut key, mut seen) = (Value::Null, Vec::new(), Vec::new());
    while let Some(change) = watch(mark, key) {
        (mark, key) = (change.mark, change.row.key);
        seen.push((mark.clone(), key[0].clone()));
    }
    let expected = [Value::text("0000-00-00 00:00:00"), time("2026-05-17T10:00:00Z"), time("2026-05-17T10:00:02Z")];
    assert_eq!(seen, expected.into_iter().zip([2, 1, 3].map(Value::Int)).collect::<Vec<_>>());
    assert_eq!(watch(time("2026-05-17T10:00:01Z"), Vec::new()).unwrap().row.key, [Value::Int(3)]);
    // Written and compared in the same zone.
    let write = |now: &str| {
        let now = Timestamp::parse(now).unwrap();
        let set = vec![("scored_at".to_owned(), Value::Time(now))];
        let older = Some(("scored_at".to_owned(), now));
        let write = Write {
            key: vec![Value::Int(1)],
            set,
            expect: vec![("at".to_owned(), time("2026-05-17T10:00:00Z"))],
            older,
        };
        wait(connector.write(WriteBatch { resource: visits(), key: names(&["id"]), writes: vec![write] }))
            .unwrap()
            .remove(0)
    };
    assert_eq!(write("2026-05-17T10:00:00.5Z"), Written::Delivered { old: Some(vec![Value::Null]) });
    assert_eq!(write("2026-05-17T10:00:00.5Z"), Written::Delivered { old: None });
    assert_eq!(write("2026-05-17T10:00:00.4Z"), Written::Superseded);
    assert_eq!(system.sql("SELECT scored_at FROM visits WHERE id = 1;").trim(), "2026-05-17 12:00:00.500000");
}

#[test]
fn what_cannot_be_written_is_refused_with_its_reason() {
    let system = MysqlFixture::new();
    system.sql(
        "CREATE TABLE owners (id int PRIMARY KEY);
         CREATE TABLE t (id int PRIMARY KEY, short varchar(3) CHECK (short <> 'bad'), need int NOT NULL, only int UNIQUE,
            owner int REFERENCES owners (id), tiny tinyint unsigned, west varchar(9) CHARACTER SET latin1, at timestamp NULL);
         INSERT INTO t VALUES (1, 'a', 1, 1, NULL, 1, 'a', NULL), (2, 'b', 2, 2, NULL, 2, 'b', NULL), (3, 'c', 3, 3, NULL, 3, 'c', NULL);
         CREATE TABLE plain (id int PRIMARY KEY, score double) ENGINE = MyISAM; CREATE VIEW shown AS SELECT id, score FROM plain;",
    );
    let fields = ["short", "need", "only", "owner", "tiny", "west", "at"];
    let (connector, table) = open(&system, "t", &fields);
    let write = |field: &str, value: Value| {
        let one = |id: i64, field: &str, value| Write {
            key: vec![Value::Int(id)],
            set: vec![(field.to_owned(), value)],
            expect: Vec::new(),
            older: None,
        };
        // A good one before and behind: they go on.
        let good = |id: i64| one(id, field, if field == "at" { Value::Null } else { Value::Int(id) });
        let writes = vec![good(1), one(2, field, value), good(3)];
        let mut written =
            wait(connector.write(WriteBatch { resource: "t".to_owned(), key: table.key.clone(), writes })).unwrap();
        assert!(matches!(written[0], Written::Delivered { .. }) || field == "owner", "{field}: {written:?}");
        written.remove(1)
    };
    for (field, value, reason) in [
        ("short", Value::text("long"), "the value's type or size"),
        ("short", Value::text("bad"), "a CHECK constraint"),
        ("need", Value::Null, "a NOT NULL constraint"),
        ("only", Value::Int(1), "a UNIQUE constraint"),
        ("owner", Value::Int(9), "a FOREIGN KEY constraint"),
        ("tiny", Value::Int(-1), "the value's type or size"),
        ("west", Value::text("👩‍🚒"), "the value's type or size"),
        ("at", time("2200-01-01T00:00:00Z"), "the value's type or size"),
        ("need", Value::Float(0.5), "whole numbers"),
    ] {
        let Written::Rejected(error) = write(field, value) else { panic!("{field} was written") };
        assert!(error.to_string().contains(reason), "{field}: {error}");
        assert!(!format!("{error:?}").contains("long"), "{field}: {error:?}");
    }
    let before = system.sql("SELECT * FROM t;");
    assert!(before.contains("2\tb\t2\t2\tNULL\t2\tb\tNULL"), "{before}");
    for (resource, reason) in [("plain", "has no transactions"), ("shown", "a view cannot be written")] {
        let (connector, _) = open(&system, resource, &["score"]);
        let set = vec![("score".to_owned(), Value::Float(0.5))];
        let write = Write { key: vec![Value::Int(1)], set, expect: Vec::new(), older: None };
        let error = refusal(wait(connector.write(WriteBatch {
            resource: resource.to_owned(),
            key: names(&["id"]),
            writes: vec![write],
        })));
        assert!(error.code() == "not_writable" && error.to_string().contains(reason), "{error}");
    }
}
