//! The conditions of a write: what the decision saw, what stands there, and which is newer.

use tendon_kernel::{
    Value,
    sockets::connector::{Capability, Write, Written},
};

use crate::{
    every, fake,
    fixture::{Fixture, wait},
    sample::{allowed, at, batch, leads, leads_with, score},
};

fn writes(capability: Capability) -> bool {
    capability.write
}

fn one(system: &dyn Fixture, write: Write) -> Written {
    wait(system.connect(allowed()).write(batch(vec![write]))).unwrap().remove(0)
}

#[test]
fn a_row_that_a_person_changed_is_not_overwritten() {
    every(writes, |system| {
        system.create(&leads(), &leads_with(1..=6));
        let changes = [
            (1, "name", Value::text("Lead 1")),
            (2, "balance", Value::Float(2.250_000_000_000_000_4)),
            (3, "age", Value::Int(0)),
            (4, "age", Value::Null),
            (5, "active", Value::Bool(true)),
        ];
        for (id, field, value) in &changes {
            system.change(&leads(), &Value::Int(*id), field, value);
        }
        let (before, updates) = (system.dump(&leads()), system.updates(&leads()));
        let connector = system.connect(allowed());
        let written = wait(connector.write(batch((1..=5).map(|id| score(id, 0.5, 50)).collect()))).unwrap();
        assert_eq!(written, vec![Written::Superseded; 5]);
        assert_eq!(system.dump(&leads()), before);
        assert_eq!(system.updates(&leads()), updates);
    });
}

#[test]
fn a_field_outside_the_condition_may_change() {
    every(writes, |system| {
        system.create(&leads(), &leads_with(1..=1));
        system.change(&leads(), &Value::Int(1), "updated_at", &at(99));
        system.change(&leads(), &Value::Int(1), "secret", &Value::Null);
        assert!(matches!(one(system, score(1, 0.5, 50)), Written::Delivered { old: Some(_) }));
    });
}

#[test]
fn conditions_are_null_safe() {
    every(writes, |system| {
        system.create(&leads(), &leads_with(1..=3));
        // Lead 3 has no age: expecting null finds it, expecting 0 does not.
        let mut zero = score(3, 0.5, 50);
        zero.expect[1].1 = Value::Int(0);
        assert_eq!(one(system, zero), Written::Superseded);
        assert!(matches!(one(system, score(3, 0.5, 50)), Written::Delivered { .. }));
        // And the other way round.
        let mut null = score(1, 0.5, 50);
        null.expect[1].1 = Value::Null;
        assert_eq!(one(system, null), Written::Superseded);
    });
}

#[test]
fn a_newer_decision_is_not_overwritten_by_an_older_one() {
    every(writes, |system| {
        system.create(&leads(), &leads_with(1..=1));
        assert!(matches!(one(system, score(1, 0.9, 50)), Written::Delivered { .. }));
        assert_eq!(one(system, score(1, 0.1, 49)), Written::Superseded);
        assert_eq!(one(system, score(1, 0.2, 50)), Written::Superseded, "equal is not older");
        assert_eq!(system.dump(&leads())[0][6], Value::Float(0.9));
        let mut micro = score(1, 0.3, 50);
        let now = tendon_kernel::Timestamp(crate::sample::time(50).0 + 1);
        micro.set[2].1 = Value::Time(now);
        micro.older = Some(("scored_at".to_owned(), now));
        assert!(matches!(one(system, micro), Written::Delivered { old: Some(_) }), "a microsecond counts");
    });
}

#[test]
fn without_a_time_to_compare_only_the_condition_counts() {
    every(writes, |system| {
        system.create(&leads(), &leads_with(1..=1));
        for seconds in [50, 40] {
            let mut write = score(1, 0.5, seconds);
            write.older = None;
            assert!(matches!(one(system, write), Written::Delivered { old: Some(_) }));
        }
        let mut blind = score(1, 0.75, 30);
        (blind.older, blind.expect) = (None, Vec::new());
        assert!(matches!(one(system, blind), Written::Delivered { old: Some(_) }));
    });
}

#[test]
fn a_write_whose_answer_was_lost_is_delivered_once_in_effect() {
    every(writes, |system| {
        system.create(&leads(), &leads_with(1..=2));
        for _ in 0..3 {
            one(system, score(1, 0.5, 50));
        }
        assert_eq!(one(system, score(1, 0.5, 50)), Written::Delivered { old: None });
        assert_eq!(system.updates(&leads()), 1, "told by the system's own count");
        // Also when a person changed the row since: our values stand there, that is what was promised.
        system.change(&leads(), &Value::Int(1), "name", &Value::text("renamed"));
        assert_eq!(one(system, score(1, 0.5, 50)), Written::Delivered { old: None });
        if system.kind() == fake::KIND {
            return;
        }
        // Also without a time, where the condition alone would let it through again.
        let mut plain = score(2, 0.5, 50);
        plain.older = None;
        assert!(matches!(one(system, plain.clone()), Written::Delivered { old: Some(_) }));
        let updates = system.updates(&leads());
        assert_eq!(one(system, plain), Written::Delivered { old: None });
        assert_eq!(system.updates(&leads()), updates);
    });
}

#[test]
fn writes_of_different_shape_in_one_batch_keep_their_order() {
    every(writes, |system| {
        system.create(&leads(), &leads_with(1..=4));
        let mut short = score(2, 0.25, 50);
        short.set.truncate(1);
        short.older = None;
        let mut changed = score(3, 0.5, 50);
        changed.expect[0].1 = Value::text("other");
        let written =
            wait(system.connect(allowed()).write(batch(vec![score(1, 0.5, 50), short, changed, score(9, 0.5, 50)])));
        assert!(matches!(
            &written.unwrap()[..],
            [
                Written::Delivered { old: Some(three) },
                Written::Delivered { old: Some(one) },
                Written::Superseded,
                Written::Missing
            ] if three.len() == 3 && one.len() == 1
        ));
        assert_eq!(system.dump(&leads())[1][6..9], [Value::Float(0.25), Value::Null, Value::Null]);
    });
}
