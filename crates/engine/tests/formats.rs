//! What is written into entries comes back with the same types and bits: deliveries, source rows, snapshots.

use proptest::prelude::*;
use tendon_engine::{
    Took,
    ask::{Input, SourceRow},
    lookup::{FoundRow, LookedUp},
    record_format::{Awaited, Letter, More, Raw, Snapshot},
};
use tendon_kernel::{
    ErrorKind, Timestamp, Value,
    decision::{Delivery, Failure, LookupState},
};

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::Float),
        (-100i32..100).prop_map(|whole| Value::Float(f64::from(whole))),
        Just(Value::Float(-0.0)),
        ".*".prop_map(|text| Value::text(&text)),
        any::<i64>().prop_map(|micros| Value::Time(Timestamp(micros))),
    ]
}

fn pairs() -> impl Strategy<Value = Vec<(String, Value)>> {
    proptest::collection::vec((".{0,8}", value()), 0..5)
}

fn delivery() -> impl Strategy<Value = Hidden> {
    let older = proptest::option::of(("[a-z]+", any::<i64>()));
    (".{0,8}", ".{0,8}", pairs(), pairs(), pairs(), older).prop_map(|(system, resource, key, set, expect, older)| {
        let older = older.map(|(field, micros)| (field, Timestamp(micros)));
        Hidden(Delivery { system: system.into(), resource: resource.into(), key, set, expect, older })
    })
}

/// Equal to the last bit: `==` would take -0.0 for 0.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

fn all_same(a: &[(String, Value)], b: &[(String, Value)]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((x, v), (y, w))| x == y && same(v, w))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deliveries_come_back(deliveries in proptest::collection::vec(delivery(), 0..3), key in pairs(), mark in value(), request: Option<u64>, due: Option<i64>) {
        let deliveries: Vec<Delivery> = deliveries.into_iter().map(|hidden| hidden.0).collect();
        let cause = Failure { code: "c".into(), message: "m".into(), pointer: None, hint: Some("h".into()), retryable: true };
        let letter = Letter { cause, system: "crm".into(), resource: "leads".into(), key };
        let row = SourceRow { key: vec![mark.clone()], mark: mark.clone(), digest: [7; 16] };
        let review = due.map(|due| Awaited { due, callback: Some("https://a".into()), system: Some("crm".into()), resource: None });
        let more =
            More { request, review, reviewed: due.and(request), row: Some(row), deliveries, letter: Some(letter), why: Some("because".into()), mark: Some(mark.clone()), took: Some(Took::default()) };
        let back = More::parse(&more.to_bytes()).unwrap();
        prop_assert!(back == more);
        prop_assert_eq!(More::answers_request(&more.to_bytes()), request.is_some());
        prop_assert_eq!(More::awaits_review(&more.to_bytes()), due.is_some());
        prop_assert!(same(&back.row.unwrap().mark, &mark));
        for (was, is) in more.deliveries.iter().zip(&back.deliveries) {
            prop_assert!(all_same(&was.set, &is.set) && all_same(&was.expect, &is.expect) && all_same(&was.key, &is.key));
        }
    }

    #[test]
    fn snapshots_come_back(values in proptest::collection::vec(value(), 0..6), features in proptest::collection::vec(any::<f64>(), 0..6), now: i64) {
        let bytes = Snapshot::write(&Input::Values(values.clone()), true, Timestamp(now), &features);
        let back = Snapshot::parse(&bytes).unwrap();
        let Raw::Values(read) = back.raw else { panic!("another kind of input") };
        prop_assert!(read.len() == values.len() && read.iter().zip(&values).all(|(a, b)| same(a, b)));
        prop_assert_eq!(back.now, Timestamp(now));
        // All NaN are one: missing.
        let bits = |numbers: &[f64]| numbers.iter().map(|n| if n.is_nan() { f64::NAN.to_bits() } else { n.to_bits() }).collect::<Vec<_>>();
        prop_assert_eq!(bits(&back.features), bits(&features));
    }

    #[test]
    fn what_was_looked_up_comes_back(row in pairs(), at: i64, age: Option<u64>, stale: bool) {
        let (fields, values): (Vec<String>, Vec<Value>) = row.into_iter().unzip();
        let state = if stale { LookupState::Stale } else { LookupState::Fresh };
        let why = stale.then(|| "system_down".into());
        let found = FoundRow { fields: fields.into(), values };
        let found = LookedUp { name: "customer".into(), state, at: Timestamp(at), age_ms: age, why, row: Some(found) };
        let none = LookedUp { state: LookupState::Missing, row: None, ..found.clone() };
        let bytes = Snapshot::write_with(&Input::Json("{}".into()), true, Timestamp(at), &[1.5], &[&found, &none]);
        let back = Snapshot::parse(&bytes).unwrap();
        prop_assert!(back.lookups[0] == found && back.lookups[1] == none && back.lookups.len() == 2);
        let bits = |found: &LookedUp| found.row.iter().flat_map(|row| row.values.clone()).collect::<Vec<_>>();
        prop_assert!(bits(&back.lookups[0]).iter().zip(&bits(&found)).all(|(a, b)| same(a, b)));
    }

    #[test]
    fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let snapshot = Snapshot::write(&Input::Json(bytes.clone().into()), false, Timestamp(0), &[]);
        let Raw::Json(read) = Snapshot::parse(&snapshot).unwrap().raw else { panic!("another kind of input") };
        prop_assert_eq!(read, bytes);
    }
}

#[test]
fn what_causes_nothing_is_told_by_its_first_bytes() {
    let took: Took = serde_json::from_str(r#"{"of":2,"ns":[1,2,3]}"#).unwrap();
    let plain = More { took: Some(took), ..More::default() };
    for (more, is_plain) in [
        (More::default(), true),
        (plain.clone(), true),
        (More { why: Some("because".into()), ..plain.clone() }, false),
        (More { mark: Some(Value::Int(1)), ..plain.clone() }, false),
        (More { request: Some(7), ..plain }, false),
    ] {
        let bytes = more.to_bytes();
        assert_eq!(More::is_plain(&bytes), is_plain);
        assert!(More::parse(&bytes).unwrap() == more);
    }
}

#[test]
fn nothing_is_no_bytes() {
    assert!(More::default().to_bytes().is_empty());
    assert!(More::parse(&[]).unwrap() == More::default());
}

#[test]
fn what_was_not_written_here_is_corrupt() {
    for bytes in [
        &b"{"[..],
        b"{\"now\":1}",
        b"{\"raw\":1,\"hex\":\"00\",\"now\":1}",
        b"{\"hex\":\"0\",\"now\":1}",
        b"{\"hex\":\"zz\",\"now\":1}",
    ] {
        assert_eq!(Snapshot::parse(bytes).err().unwrap().kind(), ErrorKind::Corrupt);
    }
    assert_eq!(More::parse(b"[").err().unwrap().kind(), ErrorKind::Corrupt);
}

/// Deliveries hide from `Debug` what is personal; the strategy needs some `Debug`.
#[derive(Clone)]
struct Hidden(Delivery);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Delivery")
    }
}
