//! The contract of every kind of system: one suite that walks the registered kinds and runs what each declares in its
//! capability, over a fixture that looks at the system by another route than the connector. A new kind adds a fixture to
//! [`fixture::all`]; a kind without one fails the suite.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod conditions;
mod fake;
mod fields;
mod files;
mod fixture;
mod hostile;
mod mysql;
mod mysql_faults;
mod mysql_values;
mod outages;
mod postgres;
mod postgres_faults;
mod reading;
mod sample;
mod sqlite;
mod watching;
mod writing;

use fixture::Fixture;
use tendon_kernel::sockets::connector::Capability;

/// Runs a behaviour on a fresh system of every kind whose capability has it.
fn every(has: fn(Capability) -> bool, behaviour: fn(&dyn Fixture)) {
    let mut ran = 0;
    for make in fixture::all() {
        let fixture = make();
        if has(fixture.capability()) {
            behaviour(fixture.as_ref());
            ran += 1;
        }
    }
    assert!(ran > 0, "no kind has this behaviour");
}

/// As [`every`], without the fake system: for what it does not imitate (its module says what).
fn real(has: fn(Capability) -> bool, behaviour: fn(&dyn Fixture)) {
    let mut ran = 0;
    for make in fixture::all() {
        let fixture = make();
        if fixture.kind() != fake::KIND && has(fixture.capability()) {
            behaviour(fixture.as_ref());
            ran += 1;
        }
    }
    assert!(ran > 0, "no kind has this behaviour");
}

#[test]
fn the_reference_names_the_servers_that_were_tested() {
    let told: Vec<_> = fixture::all().iter().map(|make| make()).map(|made| (made.kind(), made.tested())).collect();
    for kind in tendon_connectors::ALL {
        let asked = told.iter().filter(|(name, _)| *name == kind.name).filter_map(|(_, tested)| tested.clone());
        tendon_testkit::tested::compare("systems", kind.name, &asked.collect::<Vec<_>>());
    }
}

#[test]
fn every_registered_kind_has_a_fixture() {
    let fixtures: Vec<&str> = fixture::all().iter().map(|make| make().kind()).collect();
    for kind in tendon_connectors::ALL {
        assert!(fixtures.contains(&kind.name), "no fixture for {}", kind.name);
    }
}
