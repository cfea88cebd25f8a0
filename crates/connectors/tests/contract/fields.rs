//! Only what the plan names can be touched.

use std::collections::BTreeMap;

use tendon_kernel::{
    Error, ErrorKind, Result, Value,
    sockets::connector::{Allowed, Connector},
};

use crate::{
    every,
    fixture::{Fixture, refusal, wait},
    real,
    sample::{allowed, batch, leads, leads_with, names, scan, score, start, time, watch},
};

/// Spellings of a field that is not allowed, or of SQL that would read it.
const TRICKS: &[&str] = &[
    "secret",
    "SECRET",
    "\"secret\"",
    "[secret]",
    "`secret`",
    "leads.secret",
    "name\", \"secret",
    "name, secret",
    "(SELECT secret FROM leads)",
    "name\" FROM leads; SELECT \"secret",
    "*",
    "name\0",
    "",
    "rowid",
    "name -- ",
];

fn forbidden<T>(what: &str, result: Result<T>) {
    let error = refusal(result);
    assert_eq!((error.kind(), error.code()), (ErrorKind::Forbidden, "field_not_allowed"), "{what:?}");
    assert!(!error.retryable());
}

fn create(system: &dyn Fixture) {
    system.create(&leads(), &leads_with(1..=3));
}

#[test]
fn fields_that_are_not_listed_cannot_be_read() {
    every(
        |capability| capability.scan,
        |system| {
            create(system);
            let capability = system.capability();
            let connector = system.connect(allowed());
            for trick in TRICKS {
                let mut request = scan(Vec::new(), 9);
                request.fields = names(&["name", trick]);
                forbidden(trick, wait(connector.scan(request)));
                let mut request = scan(Vec::new(), 9);
                request.key = names(&["id", trick]);
                forbidden(trick, wait(connector.scan(request)));
                if capability.read_by_key {
                    let keys = [vec![Value::Int(1)]];
                    forbidden(trick, wait(connector.read("leads", &names(&["id"]), &names(&[trick]), &keys)));
                    forbidden(trick, wait(connector.read("leads", &names(&[trick]), &names(&["name"]), &keys)));
                }
                if capability.watch {
                    let mut request = watch(start(), 9);
                    request.watermark = (*trick).to_owned();
                    forbidden(trick, wait(connector.watch(request)));
                    let mut request = watch(start(), 9);
                    request.fields = names(&[trick]);
                    forbidden(trick, wait(connector.watch(request)));
                    let mut request = watch(start(), 9);
                    request.key = names(&[trick]);
                    forbidden(trick, wait(connector.watch(request)));
                }
            }
        },
    );
}

#[test]
fn resources_that_are_not_listed_cannot_be_read() {
    every(
        |capability| capability.scan,
        |system| {
            create(system);
            let connector = system.connect(allowed());
            for trick in
                ["sqlite_schema", "leads; --", "LEADS", "main.leads", "../leads", "leads\" --", "", "leads updates"]
            {
                let mut request = scan(Vec::new(), 9);
                trick.clone_into(&mut request.resource);
                forbidden(trick, wait(connector.scan(request)));
            }
        },
    );
}

#[test]
fn the_resource_key_comes_with_what_is_listed() {
    real(
        |capability| capability.scan,
        |system| {
            create(system);
            let only = Allowed { read: [("leads".to_owned(), names(&["name"]))].into(), write: BTreeMap::new() };
            assert_eq!(wait(system.connect(only).scan(scan(Vec::new(), 9))).unwrap().len(), 3);
        },
    );
}

#[test]
fn fields_that_are_not_listed_cannot_be_written() {
    every(
        |capability| capability.write,
        |system| {
            create(system);
            let before = system.dump(&leads());
            let connector = system.connect(allowed());
            for trick in TRICKS.iter().chain(&["name", "id", "updated_at", "score\" = 1, \"secret"]) {
                let mut request = score(1, 0.5, 50);
                (*trick).clone_into(&mut request.set[0].0);
                forbidden(trick, wait(connector.write(batch(vec![score(2, 0.5, 50), request]))));
            }
            for trick in TRICKS {
                let mut request = score(1, 0.5, 50);
                (*trick).clone_into(&mut request.expect[0].0);
                forbidden(trick, wait(connector.write(batch(vec![request]))));
                let mut request = score(1, 0.5, 50);
                request.older = Some(((*trick).to_owned(), time(1)));
                forbidden(trick, wait(connector.write(batch(vec![request]))));
                let mut request = batch(vec![score(1, 0.5, 50)]);
                request.key = names(&[trick]);
                forbidden(trick, wait(connector.write(request)));
            }
            assert_eq!(system.dump(&leads()), before);
        },
    );
}

#[test]
fn a_system_without_write_fields_is_read_only() {
    real(
        |capability| capability.write,
        |system| {
            create(system);
            let only = Allowed { write: BTreeMap::new(), ..allowed() };
            let connector = system.connect(only);
            assert!(!connector.capability().write);
            forbidden("write", wait(connector.write(batch(vec![score(1, 0.5, 50)]))));
            forbidden("write", wait(connector.write(batch(Vec::new()))));
        },
    );
}

#[test]
fn unknown_fields_and_resources_are_named_with_a_suggestion() {
    real(
        |capability| capability.scan,
        |system| {
            create(system);
            let mut more = allowed();
            more.read.entry("leads".to_owned()).or_default().push("balanse".to_owned());
            more.read.insert("lead".to_owned(), names(&["id", "name"]));
            let connector = system.connect(more);
            let mut request = scan(Vec::new(), 9);
            request.fields = names(&["balanse"]);
            suggests(connector.as_ref(), request, "did you mean `balance`?");
            let mut request = scan(Vec::new(), 9);
            "lead".clone_into(&mut request.resource);
            suggests(connector.as_ref(), request, "did you mean `leads`?");
        },
    );
}

fn suggests(connector: &dyn Connector, request: tendon_kernel::sockets::connector::Scan, hint: &str) {
    let error: Error = refusal(wait(connector.scan(request)));
    assert_eq!((error.kind(), error.hint_text()), (ErrorKind::NotFound, Some(hint)));
}
