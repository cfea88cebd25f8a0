//! Catalog, read by key, scan.

use std::collections::BTreeMap;

use tendon_kernel::{
    ErrorKind, Type, Value,
    schema::{Field, Resource, Schema},
    sockets::connector::{Allowed, Capability, Scan},
};

use crate::{
    every,
    fixture::{Fixture, wait},
    real,
    sample::{allowed, lead, leads, leads_with, names, scan},
};

fn reads(capability: Capability) -> bool {
    capability.read_by_key
}

fn scans(capability: Capability) -> bool {
    capability.scan
}

#[test]
fn the_catalog_tells_keys_types_and_what_is_required() {
    every(
        |capability| capability.catalog,
        |system| {
            let mut resource = leads();
            system.create(&resource, &leads_with(1..=40));
            let catalog = wait(system.connect(Allowed::default()).catalog()).unwrap();
            let found = catalog.resource("leads").unwrap();
            assert_eq!(found.key, resource.key);
            for field in &mut resource.schema.fields {
                field.required &= system.tells_required();
            }
            let told = |schema: &Schema| -> Vec<(String, Type, bool)> {
                schema.fields.iter().map(|field| (field.name.to_string(), field.kind, field.required)).collect()
            };
            // A system without types of its own cannot type a field that never had a value.
            let untyped = |name: &str| !system.tells_required() && ["score", "scored_at"].contains(&name);
            for expected in told(&resource.schema).into_iter().filter(|(name, ..)| !untyped(name)) {
                assert!(told(&found.schema).contains(&expected), "{}: {expected:?}", system.kind());
            }
            assert_eq!(found.schema.fields.len(), resource.schema.fields.len());
            assert!(catalog.resources.windows(2).all(|pair| pair[0].name < pair[1].name));
        },
    );
}

#[test]
fn a_probe_answers() {
    every(
        |_| true,
        |system| {
            system.create(&leads(), &leads_with(1..=1));
            wait(system.connect(allowed()).probe()).unwrap();
        },
    );
}

#[test]
fn read_leaves_out_unknown_keys_and_repeats() {
    real(reads, |system| {
        system.create(&leads(), &leads_with(1..=5));
        let keys = [3, 99, 1, 3, -1].map(|id| vec![Value::Int(id)]);
        let connector = system.connect(allowed());
        let mut rows = wait(connector.read("leads", &names(&["id"]), &names(&["name"]), &keys)).unwrap();
        rows.sort_by(|left, right| format!("{:?}", left.key).cmp(&format!("{:?}", right.key)));
        let found: Vec<_> = rows.into_iter().map(|row| (row.key, row.values)).collect();
        assert_eq!(found, [1, 3].map(|id| (vec![Value::Int(id)], vec![Value::text(&format!("lead {id}"))])));
        assert!(wait(connector.read("leads", &names(&["id"]), &names(&["name"]), &[])).unwrap().is_empty());
    });
}

#[test]
fn read_gives_the_fields_in_the_order_asked() {
    every(reads, |system| {
        system.create(&leads(), &leads_with(1..=6));
        let fields = names(&["active", "updated_at", "balance", "age", "name", "id", "name"]);
        let connector = system.connect(allowed());
        for id in [5, 6] {
            let row = lead(id, Some(id));
            let expected = [4, 5, 3, 2, 1, 0, 1].map(|at| row[at].clone());
            let found = wait(connector.read("leads", &names(&["id"]), &fields, &[vec![Value::Int(id)]])).unwrap();
            assert_eq!(found[0].values, expected);
        }
    });
}

#[test]
fn read_takes_any_number_of_keys() {
    every(reads, |system| {
        system.create(&leads(), &leads_with(1..=1500));
        let keys: Vec<_> = (1..=3000).map(|id| vec![Value::Int(id)]).collect();
        let connector = system.connect(allowed());
        for count in [1, 2, 3, 255, 256, 257, 1000, 3000] {
            let rows = wait(connector.read("leads", &names(&["id"]), &names(&["name"]), &keys[..count])).unwrap();
            assert_eq!(rows.len(), count.min(1500));
        }
    });
}

/// Scans to the end in pages; every page but the last is full.
fn pages(system: &dyn Fixture, resource: &Resource, limit: usize) -> Vec<Vec<Value>> {
    let fields: Vec<String> = resource.schema.fields.iter().map(|field| field.name.to_string()).collect();
    let allowed = Allowed { read: [(resource.name.clone(), fields.clone())].into(), write: BTreeMap::new() };
    let connector = system.connect(allowed);
    let mut found = Vec::new();
    let mut after = Vec::new();
    loop {
        let page = wait(connector.scan(Scan {
            resource: resource.name.clone(),
            key: resource.key.clone(),
            fields: fields.clone(),
            after: after.clone(),
            limit,
        }))
        .unwrap();
        assert!(page.len() <= limit);
        assert!(found.len() < 10_000, "the scan does not get on");
        let Some(last) = page.last() else { return found };
        after = last.key.clone();
        found.extend(page.into_iter().map(|row| row.values));
    }
}

#[test]
fn a_scan_covers_every_row_once_in_key_order_in_pages_of_any_size() {
    every(scans, |system| {
        // Inserted in another order than the key's.
        let rows = leads_with([7, 3, 1, 12, 9, 2, -4, 100, 8]);
        system.create(&leads(), &rows);
        for limit in [1, 2, 3, 8, 9, 10, 1000] {
            assert_eq!(pages(system, &leads(), limit), system.dump(&leads()), "pages of {limit}");
        }
    });
}

#[test]
fn a_scan_goes_on_after_a_key_that_is_gone() {
    every(scans, |system| {
        system.create(&leads(), &leads_with([1, 5, 9]));
        let connector = system.connect(allowed());
        let ids = |after: Vec<Value>| -> Vec<Value> {
            wait(connector.scan(scan(after, 10))).unwrap().into_iter().map(|row| row.key[0].clone()).collect()
        };
        assert_eq!(ids(vec![Value::Int(4)]), [Value::Int(5), Value::Int(9)]);
        assert_eq!(ids(vec![Value::Int(9)]), []);
        assert_eq!(wait(connector.scan(scan(Vec::new(), 0))).unwrap().len(), 0);
    });
}

#[test]
fn a_key_may_have_several_fields() {
    every(scans, |system| {
        let fields = [("region", Type::Text), ("number", Type::Int), ("note", Type::Text)];
        let resource = Resource {
            name: "orders".to_owned(),
            key: names(&["region", "number"]),
            schema: Schema::new(fields.iter().map(|(name, kind)| Field::new(name, *kind)).collect()),
        };
        let mut rows = Vec::new();
        for (region, number) in [("b", 1), ("a", 2), ("b", 10), ("a", 10), ("é", 3), ("B", 4), ("a", -3)] {
            rows.push(vec![Value::text(region), Value::Int(number), Value::text(&format!("{region}{number}"))]);
        }
        system.create(&resource, &rows);
        for limit in [1, 2, 3, 7, 8] {
            assert_eq!(pages(system, &resource, limit), system.dump(&resource), "pages of {limit}");
        }
        let allowed = Allowed {
            read: [("orders".to_owned(), names(&["note", "region", "number"]))].into(),
            write: BTreeMap::new(),
        };
        if system.capability().read_by_key {
            let keys: Vec<Vec<Value>> =
                [("a", 10), ("b", 2), ("é", 3)].map(|(r, n)| vec![Value::text(r), Value::Int(n)]).into();
            let rows = wait(system.connect(allowed).read("orders", &resource.key, &names(&["note"]), &keys)).unwrap();
            let mut notes: Vec<_> = rows.iter().map(|row| row.values[0].to_string()).collect();
            notes.sort();
            assert_eq!(notes, ["a10", "é3"]);
        }
    });
}

#[test]
fn a_key_that_does_not_tell_rows_apart_is_refused() {
    real(scans, |system| {
        system.create(&leads(), &leads_with([1, 2]));
        let mut wrong = scan(Vec::new(), 10);
        wrong.key = names(&["age"]);
        let error = crate::fixture::refusal(wait(system.connect(allowed()).scan(wrong)));
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "key_not_unique"));
        let mut wrong = scan(vec![Value::Int(1), Value::Int(2)], 10);
        wrong.limit = 1;
        assert_eq!(crate::fixture::refusal(wait(system.connect(allowed()).scan(wrong))).kind(), ErrorKind::Invalid);
    });
}
