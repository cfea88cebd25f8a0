//! The watch: all changes, in order, from anywhere.

use proptest::prelude::*;
use tendon_kernel::{
    Value,
    sockets::connector::{Capability, Change, Connector, Position},
};

use crate::{
    every, fake,
    fixture::{self, wait},
    sample::{allowed, at, lead, leads, start, watch},
};

fn watches(capability: Capability) -> bool {
    capability.watch
}

/// Whether the system knows rows with this watermark.
fn imitates(system: &dyn fixture::Fixture, mark: Option<i64>) -> bool {
    system.kind() != fake::KIND || mark.is_some()
}

/// Watches from a position to the end in pages.
fn pages(connector: &dyn Connector, mut position: Position, limit: usize) -> Vec<Change> {
    let mut found = Vec::new();
    loop {
        let page = wait(connector.watch(watch(position, limit))).unwrap();
        assert!(page.len() <= limit);
        assert!(found.len() < 10_000, "the watch does not get on");
        let Some(last) = page.last() else { return found };
        position = Position { mark: last.mark.clone(), key: last.row.key.clone() };
        found.extend(page);
    }
}

fn found(changes: &[Change]) -> Vec<(Value, Value)> {
    changes.iter().map(|change| (change.mark.clone(), change.row.key[0].clone())).collect()
}

/// What the watch must find, by brute force: rows (id, mark) strictly after (mark, id), nulls lowest. No id: none of the
/// mark seen; no mark and no id: from the very start.
fn expected(rows: &[(i64, Option<i64>)], after: (Option<i64>, Option<i64>)) -> Vec<(Value, Value)> {
    let mut rows: Vec<(Option<i64>, i64)> = rows.iter().map(|(id, mark)| (*mark, *id)).collect();
    rows.sort_unstable();
    rows.retain(|(mark, id)| match after {
        (at, None) => *mark >= at,
        (at, Some(key)) => (*mark, *id) > (at, key),
    });
    rows.into_iter().map(|(mark, id)| (mark.map_or(Value::Null, at), Value::Int(id))).collect()
}

#[test]
fn a_watch_finds_all_changes_also_of_equal_and_missing_watermarks() {
    every(watches, |system| {
        let rows =
            [(1, Some(5)), (2, Some(5)), (3, Some(5)), (4, None), (5, None), (6, Some(1)), (7, Some(9)), (8, Some(5))];
        let rows: Vec<_> = rows.into_iter().filter(|(_, mark)| imitates(system, *mark)).collect();
        system.create(&leads(), &rows.iter().map(|(id, mark)| lead(*id, *mark)).collect::<Vec<_>>());
        let connector = system.connect(allowed());
        for limit in 1..=9 {
            assert_eq!(found(&pages(connector.as_ref(), start(), limit)), expected(&rows, (None, None)), "{limit}");
        }
        assert!(wait(connector.watch(watch(start(), 0))).unwrap().is_empty());
    });
}

#[test]
fn a_watch_gives_the_fields_of_each_row() {
    every(watches, |system| {
        system.create(&leads(), &[lead(2, Some(1)), lead(1, Some(2))]);
        let changes = wait(system.connect(allowed()).watch(watch(start(), 9))).unwrap();
        let names: Vec<_> = changes.iter().map(|change| change.row.values.clone()).collect();
        assert_eq!(names, [vec![Value::text("lead 2")], vec![Value::text("lead 1")]]);
    });
}

#[test]
fn a_watch_sees_what_changed_after_it_last_looked() {
    every(watches, |system| {
        system.create(&leads(), &(1..=5).map(|id| lead(id, Some(id))).collect::<Vec<_>>());
        let connector = system.connect(allowed());
        let seen = pages(connector.as_ref(), start(), 2);
        let last = Position { mark: seen[4].mark.clone(), key: seen[4].row.key.clone() };
        assert!(wait(connector.watch(watch(last.clone(), 10))).unwrap().is_empty());
        system.change(&leads(), &Value::Int(2), "updated_at", &at(77));
        assert_eq!(found(&wait(connector.watch(watch(last, 10))).unwrap()), [(at(77), Value::Int(2))]);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_watch_resumes_anywhere(
        marks in proptest::collection::btree_map(-40i64..40, proptest::option::weighted(0.8, 0i64..12), 0..40),
        positions in proptest::collection::vec(
            (proptest::option::weighted(0.8, -1i64..13), proptest::option::weighted(0.8, -41i64..41)), 1..12),
        limit in 1usize..9,
    ) {
        for make in fixture::all() {
            let system = make();
            let all = marks.iter().map(|(id, mark)| (*id, *mark));
            let rows: Vec<_> = all.filter(|(_, mark)| imitates(system.as_ref(), *mark)).collect();
            if !watches(system.capability()) {
                continue;
            }
            system.create(&leads(), &rows.iter().map(|(id, mark)| lead(*id, *mark)).collect::<Vec<_>>());
            let connector = system.connect(allowed());
            for (mark, key) in &positions {
                if !imitates(system.as_ref(), *mark) {
                    continue;
                }
                let position = Position {
                    mark: mark.map_or(Value::Null, at),
                    key: key.iter().map(|key| Value::Int(*key)).collect(),
                };
                let seen = pages(connector.as_ref(), position, limit);
                prop_assert_eq!(found(&seen), expected(&rows, (*mark, *key)), "{} from {:?} {:?}", system.kind(), mark, key);
            }
        }
    }
}
