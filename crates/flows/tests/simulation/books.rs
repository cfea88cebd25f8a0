//! The books of the town: a second system, in which half of the towns look up what the model is asked about. It fails, is
//! late and lies. What a decision used must stand in its record, be true, and come out again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures_util::future::BoxFuture;
use tendon_engine::{
    lookup::LookedUp,
    record_format::{More, Raw, Snapshot},
    replay::replay_recalled,
};
use tendon_kernel::{
    Result, Type, Value,
    decision::{Decision, LookupState, Outcome},
    schema::{Catalog, Field, Schema},
    sockets::{
        connector::{Allowed, Capability, Change, Connector, Row, Scan, Watch, WriteBatch, Written},
        ledger::{Entry, EntryKind},
    },
};
use tendon_testkit::{FakeSystem, Rng, Sim};

use crate::town::{Process, Tiny};

/// Whether a town of this seed has books.
pub fn has(seed: u64) -> bool {
    seed % 2 == 1
}

/// For each `x` the books say what it is worth to the model: the same number. They have no row for the nineties.
pub fn found(sim: &Sim, seed: u64) -> FakeSystem {
    let names = ["x", "shown"].map(ToOwned::to_owned).to_vec();
    let read = BTreeMap::from([("worths".to_owned(), names)]);
    let books = FakeSystem::new(sim.context(), seed ^ 0xB00C, Allowed { read, write: BTreeMap::new() });
    let field = |name: &str| Field { required: true, ..Field::new(name, Type::Int) };
    books.table("worths", &["x"], Schema::new(vec![field("x"), field("shown")]), None);
    for x in 0..90 {
        books.edit("worths", [("x", Value::Int(x)), ("shown", Value::Int(x))]);
    }
    books
}

/// A connector that now and then answers something that was not asked, or twice, or not whole.
pub struct Liar(pub FakeSystem, pub Mutex<Rng>);

impl Connector for Liar {
    fn capability(&self) -> Capability {
        self.0.capability()
    }
    fn catalog(&self) -> BoxFuture<'_, Result<Catalog>> {
        self.0.catalog()
    }
    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        self.0.probe()
    }
    fn read<'a>(
        &'a self,
        resource: &'a str,
        key: &'a [String],
        fields: &'a [String],
        keys: &'a [Vec<Value>],
    ) -> BoxFuture<'a, Result<Vec<Row>>> {
        Box::pin(async move {
            let mut rows = self.0.read(resource, key, fields, keys).await?;
            let (lie, at) = {
                let mut rng = self.1.lock().unwrap();
                (rng.below(40), rng.index(rows.len().max(1)))
            };
            let Some(row) = rows.get_mut(at) else { return Ok(rows) };
            match lie {
                0 => row.key = vec![Value::Int(-1)],
                1 => row.values.clear(),
                2 => row.values[0] = Value::Null,
                3 => row.values[0] = Value::text("much"),
                4 => {
                    let mut twin = row.clone();
                    twin.values[0] = Value::Int(99);
                    rows.push(twin);
                }
                5 => rows.reverse(),
                _ => {}
            }
            Ok(rows)
        })
    }
    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<Row>>> {
        self.0.scan(scan)
    }
    fn watch(&self, watch: Watch) -> BoxFuture<'_, Result<Vec<Change>>> {
        self.0.watch(watch)
    }
    fn write(&self, batch: WriteBatch) -> BoxFuture<'_, Result<Vec<Written>>> {
        self.0.write(batch)
    }
}

/// The `x` that a decision was asked about.
fn asked(raw: &Raw) -> Option<i64> {
    match raw {
        Raw::Json(text) => serde_json::from_slice::<serde_json::Value>(text).unwrap()["x"].as_i64(),
        // The input's fields in use, in the order of the table: id, x.
        Raw::Values(values) => match values.get(1) {
            Some(Value::Int(x)) => Some(*x),
            _ => None,
        },
    }
}

/// What the decision must be for what it found.
fn expected(x: Option<i64>, found: &LookedUp) -> (Outcome, f64) {
    let worth = |x| if x == 13 { (Outcome::Degraded, 0.1) } else { (Outcome::Ok, Tiny::score(x)) };
    match (found.state, &found.row) {
        (LookupState::Fresh | LookupState::Stale, Some(row)) => {
            assert_eq!(row.get("shown"), Value::Int(x.unwrap()), "the row of the key that was asked, and no lie");
            worth(x.unwrap())
        }
        // Of a liar's wrong key, too, there is no row.
        (LookupState::Missing | LookupState::Failed, None) => (Outcome::Degraded, 0.1),
        _ => panic!("a row where there is none, or none where there is one"),
    }
}

/// Every decision followed from the row in its record, and comes out again without the books.
pub fn followed(entries: &[Entry], process: &Process, books: &FakeSystem) {
    let calls = books.calls();
    for entry in entries.iter().filter(|entry| entry.facts.kind == EntryKind::Decision) {
        let Some(body) = &entry.body else { continue };
        let decision: Decision = serde_json::from_slice(&body.output).unwrap();
        let snapshot = Snapshot::parse(&body.input).unwrap();
        if decision.outcome == Outcome::Failed {
            assert_eq!(decision.error.unwrap().code, "deadline_exceeded", "nothing else fails a decision here");
            continue;
        }
        let [found] = &snapshot.lookups[..] else { panic!("one lookup, one row") };
        let (outcome, output) = expected(asked(&snapshot.raw), found);
        assert_eq!((decision.outcome, decision.output), (outcome, Some(output)));
        assert_eq!((decision.lookups.len(), decision.lookups[0].state), (1, found.state));
        assert!(found.state != LookupState::Stale || found.age_ms.unwrap() <= 2_000, "no staler than allowed");
        let report = match &decision.recalled {
            Some(recalled) => {
                let source = entries.iter().find(|source| source.facts.id == recalled.from).unwrap();
                replay_recalled(entry, source, &process.engine.runtime())
            }
            None => process.engine.replay(entry),
        };
        let report = report.unwrap();
        assert!(report.same, "{report:?}");
    }
    assert_eq!(books.calls(), calls, "a replay asks no system");
}

/// For each row of the CRM, what its last decision said.
pub fn last_said(entries: &[Entry]) -> BTreeMap<String, f64> {
    let mut said = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.facts.kind == EntryKind::Decision) {
        let Some(body) = &entry.body else { continue };
        let decision: Decision = serde_json::from_slice(&body.output).unwrap();
        let Raw::Values(values) = Snapshot::parse(&body.input).unwrap().raw else { continue };
        // What only renews an answer in the cache writes nothing.
        if More::parse(&body.more).unwrap().row.is_none() {
            continue;
        }
        said.insert(format!("{:?}", values[0]), decision.output.unwrap());
    }
    said
}

/// What the process asks instead of the books.
pub fn connector(books: &FakeSystem, seed: u64) -> Arc<dyn Connector> {
    Arc::new(Liar(books.clone(), Mutex::new(Rng::stream(seed, "liar"))))
}
