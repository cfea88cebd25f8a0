//! Names and values as only an enemy or a very old system would choose them.

use std::collections::BTreeMap;

use tendon_kernel::{
    Type, Value,
    schema::{Field, Resource, Schema},
    sockets::connector::{Allowed, Position, Scan, Watch, Write, WriteBatch, Written},
};

use crate::{
    every,
    fixture::{Fixture, wait},
    sample::at,
};

const NAMES: &[&str] = &[
    "order",
    "select * from x",
    "it's",
    "quote\"d",
    "\"; DROP TABLE leads; --",
    "[brackets]",
    "`ticks`",
    "späß 👩‍🚒",
    "a b\tc",
    "?1",
    ":name",
    "100%",
];

const TEXTS: &[&str] =
    &["it's", "\"", "'; DROP TABLE t; --", "👩‍🚒", "a\0b", "\u{feff}x", "line\nbreak", "a,b;c", " pad "];

/// A resource and its fields named like this.
fn resource(name: &str) -> Resource {
    let field = |part: &str, kind| Field::new(&format!("{name}{part}"), kind);
    let fields =
        vec![field("", Type::Text), field(" n", Type::Int), field(" at", Type::Time), field(" out", Type::Text)];
    Resource { name: name.to_owned(), key: vec![name.to_owned()], schema: Schema::new(fields) }
}

fn rows(system: &dyn Fixture) -> Vec<Vec<Value>> {
    let texts = TEXTS.iter().filter(|text| system.holds(text));
    (0..).zip(texts).map(|(n, text)| vec![Value::text(text), Value::Int(n), at(n), Value::text("-")]).collect()
}

#[test]
fn hostile_names_and_keys_are_read_as_they_are() {
    every(
        |capability| capability.scan,
        |system| {
            for name in NAMES.iter().filter(|name| system.names(name)) {
                let resource = resource(name);
                let fields: Vec<String> = resource.schema.fields.iter().map(|field| field.name.to_string()).collect();
                system.create(&resource, &rows(system));
                let allowed = Allowed { read: [((*name).to_owned(), fields.clone())].into(), write: BTreeMap::new() };
                let connector = system.connect(allowed);
                assert_eq!(wait(connector.catalog()).unwrap().resource(name).unwrap().key, resource.key);
                let (mut after, mut found) = (Vec::new(), Vec::new());
                loop {
                    let request = Scan {
                        resource: (*name).to_owned(),
                        key: resource.key.clone(),
                        fields: fields.clone(),
                        after,
                        limit: 1,
                    };
                    let Some(row) = wait(connector.scan(request)).unwrap().pop() else { break };
                    found.push(row.values);
                    after = row.key;
                }
                assert_eq!(found, system.dump(&resource), "{name}");
            }
        },
    );
}

#[test]
fn hostile_names_and_keys_are_watched_and_written_as_they_are() {
    every(
        |capability| capability.watch && capability.write,
        |system| {
            for name in NAMES.iter().filter(|name| system.names(name)) {
                let resource = resource(name);
                let fields: Vec<String> = resource.schema.fields.iter().map(|field| field.name.to_string()).collect();
                system.create(&resource, &rows(system));
                let connector = system.connect(Allowed {
                    read: [((*name).to_owned(), fields[..3].to_vec())].into(),
                    write: [((*name).to_owned(), fields[3..].to_vec())].into(),
                });
                let request = Watch {
                    resource: (*name).to_owned(),
                    key: resource.key.clone(),
                    watermark: fields[2].clone(),
                    fields: fields[..2].to_vec(),
                    after: Position { mark: Value::Null, key: Vec::new() },
                    limit: 100,
                };
                let changes = wait(connector.watch(request)).unwrap();
                assert_eq!(changes.len(), rows(system).len(), "{name}");
                let writes = changes.iter().map(|change| Write {
                    key: change.row.key.clone(),
                    set: vec![(fields[3].clone(), change.row.values[0].clone())],
                    expect: vec![(fields[1].clone(), change.row.values[1].clone())],
                    older: None,
                });
                let batch =
                    WriteBatch { resource: (*name).to_owned(), key: resource.key.clone(), writes: writes.collect() };
                for outcome in wait(connector.write(batch)).unwrap() {
                    assert_eq!(outcome, Written::Delivered { old: Some(vec![Value::text("-")]) });
                }
                for row in system.dump(&resource) {
                    assert_eq!(row[0], row[3], "{name}");
                }
            }
        },
    );
}
