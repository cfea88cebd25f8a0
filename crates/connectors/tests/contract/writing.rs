//! Writing back: named fields only, each row by itself.

use tendon_kernel::{
    ErrorKind, Value,
    sockets::connector::{Capability, Written},
};

use crate::{
    every,
    fixture::wait,
    real,
    sample::{allowed, at, batch, lead, leads, leads_with, score},
};

fn writes(capability: Capability) -> bool {
    capability.write
}

#[test]
fn a_write_touches_only_the_fields_it_names() {
    every(writes, |system| {
        system.create(&leads(), &leads_with(1..=20));
        let mut expected = system.dump(&leads());
        let connector = system.connect(allowed());
        let written = wait(connector.write(batch([4, 9, 17].map(|id| score(id, 0.5, 50)).into()))).unwrap();
        let old = Some(vec![Value::Null; 3]);
        assert_eq!(written, vec![Written::Delivered { old }; 3]);
        for id in [4, 9, 17usize] {
            expected[id - 1].splice(6..9, [Value::Float(0.5), Value::text("green"), at(50)]);
        }
        assert_eq!(system.dump(&leads()), expected);
        assert_eq!(system.updates(&leads()), 3);
    });
}

#[test]
fn old_values_are_told_for_undo() {
    every(writes, |system| {
        system.create(&leads(), &leads_with(1..=2));
        let connector = system.connect(allowed());
        wait(connector.write(batch(vec![score(1, 0.25, 50)]))).unwrap();
        let written = wait(connector.write(batch(vec![score(1, 0.75, 51), score(2, 0.5, 51)]))).unwrap();
        let first = vec![Value::Float(0.25), Value::text("green"), at(50)];
        assert_eq!(
            written,
            [Written::Delivered { old: Some(first) }, Written::Delivered { old: Some(vec![Value::Null; 3]) }]
        );
    });
}

#[test]
fn null_and_hostile_values_arrive_as_they_are() {
    every(writes, |system| {
        system.create(&leads(), &leads_with(1..=1));
        let connector = system.connect(allowed());
        let texts = ["", "it's", "\"; DROP TABLE leads; --", "👩‍🚒 é \u{202e}", "a\0b", "%_\\", "null", "1e5", "x'00'"];
        for (seconds, text) in (60..).zip(texts) {
            if !system.holds(text) {
                let mut write = score(1, 0.0, seconds);
                write.set[1].1 = Value::text(text);
                let written = wait(connector.write(batch(vec![write]))).unwrap();
                assert!(matches!(&written[..], [Written::Rejected(_)]), "{text:?}: {written:?}");
                continue;
            }
            let mut write = score(1, -0.0, seconds);
            write.set[1].1 = Value::text(text);
            write.set[0].1 = Value::Null;
            let written = wait(connector.write(batch(vec![write]))).unwrap();
            assert!(matches!(&written[..], [Written::Delivered { old: Some(_) }]), "{text:?}: {written:?}");
            assert_eq!(system.dump(&leads())[0][6..9], [Value::Null, Value::text(text), at(seconds)]);
        }
        for (seconds, number) in (80..).zip([f64::MIN_POSITIVE, f64::MAX, 0.1 + 0.2, 1e-310, -1.0 / 3.0, 5.0]) {
            wait(connector.write(batch(vec![score(1, number, seconds)]))).unwrap();
            assert_eq!(system.dump(&leads())[0][6], Value::Float(number));
        }
    });
}

#[test]
fn a_number_that_is_not_finite_is_refused_and_the_others_go_on() {
    real(writes, |system| {
        system.create(&leads(), &leads_with(1..=3));
        let connector = system.connect(allowed());
        let writes = vec![score(1, 0.5, 50), score(2, f64::NAN, 50), score(3, f64::INFINITY, 50)];
        let written = wait(connector.write(batch(writes))).unwrap();
        assert!(matches!(&written[..], [Written::Delivered { .. }, Written::Rejected(_), Written::Rejected(_)]));
        assert_eq!(system.updates(&leads()), 1);
    });
}

#[test]
fn a_row_that_is_gone_is_missing() {
    every(writes, |system| {
        system.create(&leads(), &leads_with(1..=1));
        let connector = system.connect(allowed());
        let written = wait(connector.write(batch(vec![score(2, 0.5, 50), score(1, 0.5, 50)]))).unwrap();
        assert!(matches!(&written[..], [Written::Missing, Written::Delivered { old: Some(_) }]));
        assert!(wait(connector.write(batch(Vec::new()))).unwrap().is_empty());
    });
}

#[test]
fn one_refused_row_in_a_thousand_stops_no_other() {
    every(writes, |system| {
        system.create(&leads(), &leads_with(1..=1000));
        system.refuse(&leads(), &Value::Int(500));
        let connector = system.connect(allowed());
        let written = wait(connector.write(batch((1..=1000).map(|id| score(id, 0.5, 50)).collect()))).unwrap();
        for (id, outcome) in (1..).zip(&written) {
            match outcome {
                Written::Rejected(error) => {
                    assert_eq!((id, error.kind(), error.retryable()), (500, ErrorKind::Invalid, false));
                    assert!(!error.to_string().contains("lead 500"), "a refusal must not show the row");
                }
                Written::Delivered { old: Some(_) } => assert_ne!(id, 500),
                other => panic!("{id}: {other:?}"),
            }
        }
        let rows = system.dump(&leads());
        assert_eq!(rows[499], lead(500, Some(500)), "a refused row is left as it was");
        assert_eq!(rows.iter().filter(|row| row[6] == Value::Float(0.5)).count(), 999);
    });
}
