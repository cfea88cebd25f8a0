//! A system that is locked or gone: worth a retry, nothing half done, and well again afterwards.

use tendon_kernel::{
    Error, ErrorKind,
    sockets::connector::{Connector, Written},
};

use crate::{
    every, fake,
    fixture::{Fixture, refusal, wait},
    sample::{allowed, batch, leads, leads_with, names, scan, score, start, watch},
};

fn unavailable(system: &dyn Fixture, error: &Error, code: &str) {
    assert_eq!((error.kind(), error.retryable()), (ErrorKind::Unavailable, true), "{error:?}");
    if system.kind() != fake::KIND {
        assert_eq!(error.code(), code);
        assert!(error.hint_text().is_some(), "an outage must say what to do");
    }
}

#[test]
fn a_locked_system_is_tried_again_later() {
    every(
        |capability| capability.write,
        |system| {
            system.create(&leads(), &leads_with(1..=3));
            let connector = system.connect(allowed());
            let lock = system.lock();
            unavailable(system, &refusal(wait(connector.write(batch(vec![score(1, 0.5, 50)])))), "system_locked");
            assert_eq!(wait(connector.scan(scan(Vec::new(), 9))).unwrap().len(), 3, "reading goes on");
            drop(lock);
            assert_eq!(system.dump(&leads()), leads_with(1..=3));
            let written = wait(connector.write(batch(vec![score(1, 0.5, 50)]))).unwrap();
            assert!(matches!(&written[..], [Written::Delivered { old: Some(_) }]));
        },
    );
}

/// Every operation the kind has, on a system that is gone.
fn all_fail(system: &dyn Fixture, connector: &dyn Connector) {
    let code = "system_unreachable";
    let capability = system.capability();
    unavailable(system, &refusal(wait(connector.probe())), code);
    unavailable(system, &refusal(wait(connector.catalog())), code);
    unavailable(system, &refusal(wait(connector.scan(scan(Vec::new(), 9)))), code);
    if capability.watch {
        unavailable(system, &refusal(wait(connector.watch(watch(start(), 9)))), code);
    }
    if capability.read_by_key {
        let keys = [vec![tendon_kernel::Value::Int(1)]];
        unavailable(system, &refusal(wait(connector.read("leads", &names(&["id"]), &names(&["name"]), &keys))), code);
    }
    if capability.write {
        unavailable(system, &refusal(wait(connector.write(batch(vec![score(1, 0.5, 50)])))), code);
    }
}

#[test]
fn a_system_that_is_gone_is_unreachable_and_comes_back() {
    every(
        |capability| capability.scan,
        |system| {
            system.create(&leads(), &leads_with(1..=3));
            let connector = system.connect(allowed());
            let read = || wait(connector.scan(scan(Vec::new(), 9))).unwrap().len();
            assert_eq!(read(), 3);
            let away = system.vanish();
            all_fail(system, connector.as_ref());
            drop(away);
            assert_eq!(read(), 3);
        },
    );
}

#[test]
fn a_connection_can_be_made_while_the_system_is_gone() {
    every(
        |capability| capability.scan,
        |system| {
            system.create(&leads(), &leads_with(1..=3));
            let away = system.vanish();
            let connector = system.connect(allowed());
            all_fail(system, connector.as_ref());
            drop(away);
            assert_eq!(wait(connector.scan(scan(Vec::new(), 9))).unwrap().len(), 3);
        },
    );
}
