//! Lookups: what is asked of a system and how often, what is used when it does not answer, and what a decision says of it.

mod by_example;
mod cached;
mod histories;
mod lying;
mod same;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tendon_engine::{
    Engine, Parts, Runtime, Slot,
    ask::{Answer, Ask, Item},
    lookup::FoundRow,
    record_format::Snapshot,
    replay::replay_recalled,
    stored,
    systems::{Limits, System},
};
use tendon_kernel::{
    Error, ErrorKind, Result, Type, Value,
    decision::LookupState,
    schema::{Field, Schema},
    sockets::{
        connector::{Allowed, Capability, Connector, ConnectorKind},
        ledger::ModelRef,
        model::Model,
    },
};
use tendon_plan::{
    Facts, Sources,
    facts::{ModelFacts, VersionFact},
};
use tendon_testkit::{FakeSystem, Sim};

use crate::common::{FakeLedger, FnModel, ask, json, signature};

const PROJECT: &str = "
project: tests
systems:
  books: { kind: fake, read: { customers: [no, segment, credit, region], regions: [code, risk] } }
models: { score: { path: models/score } }
";

/// What all integrations here begin with: the features are credit and segment of the customer and the risk of its region.
const HEAD: &str = "
integration: lead-score
purpose: tests
owner: tests
model: score
subject: string(input.n)
bands: { green: '>= 0.7', red: otherwise }
fallback: { rules: [ { when: 'has(customer.credit) && customer.credit > 5000.0', output: 0.5 } ], default: 0.1 }
doors: { api: { deadline: 5s } }
input:
  schema: { fields: { n: { type: int, required: true }, no: { type: int } } }
  features: { balance: customer.credit, job: customer.segment, rate: region.risk }
";

fn kind() -> ConnectorKind {
    ConnectorKind {
        name: "fake",
        summary: "a system of the tests",
        capability: Capability { catalog: true, read_by_key: true, scan: true, watch: true, write: true },
        schema: || serde_json::json!({ "type": "object" }),
        validate: |_| Ok(()),
        build: |_| Err(Error::new(ErrorKind::Unsupported, "built_by_hand", "the tests build their systems by hand")),
        access: None,
    }
}

/// The books: customers 0 to 9, the odd ones in region `south`, customer 8 in one that is not there.
fn books(sim: &Sim) -> FakeSystem {
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let read = BTreeMap::from([
        ("customers".to_owned(), names(&["no", "segment", "credit", "region"])),
        ("regions".to_owned(), names(&["code", "risk"])),
    ]);
    let books = FakeSystem::new(sim.context(), sim.seed(), Allowed { read, write: BTreeMap::new() });
    let field = |name: &str, kind, required| Field { required, ..Field::new(name, kind) };
    let customers = vec![
        field("no", Type::Int, true),
        field("segment", Type::Text, true),
        field("credit", Type::Float, false),
        field("region", Type::Text, true),
    ];
    books.table("customers", &["no"], Schema::new(customers), None);
    let regions = vec![field("code", Type::Text, true), field("risk", Type::Int, true)];
    books.table("regions", &["code"], Schema::new(regions), None);
    for no in 0..10u8 {
        let region = if no == 8 { "nowhere" } else { ["north", "south"][usize::from(no % 2 == 1)] };
        let credit = if no == 7 { Value::Null } else { Value::Float(f64::from(no) * 1000.0) };
        let segment = ["admin", "student", "retired"][usize::from(no % 3)];
        let no = Value::Int(no.into());
        let fields =
            [("no", no), ("segment", Value::text(segment)), ("credit", credit), ("region", Value::text(region))];
        books.edit("customers", fields);
    }
    for (code, risk) in [("north", 2), ("south", 40_000)] {
        books.edit("regions", [("code", Value::text(code)), ("risk", Value::Int(risk))]);
    }
    books
}

/// An engine with lookups, and the books that it asks.
struct Shop {
    sim: Sim,
    books: FakeSystem,
    engine: Arc<Engine>,
    ledger: Arc<FakeLedger>,
    model: Arc<FnModel>,
}

/// The two lookups, with more settings for each.
fn usual(customer: &str, region: &str) -> String {
    format!(
        "{HEAD}  lookups:\n    customer: {{ from: books.customers, key: {{ no: input.no }}{customer} }}\n    \
         region: {{ from: books.regions, key: {{ code: customer.region }}{region} }}\n"
    )
}

fn shop(seed: u64, integration: &str) -> Shop {
    shop_with(seed, integration, |books| Arc::new(books))
}

fn shop_with(seed: u64, integration: &str, connect: impl FnOnce(FakeSystem) -> Arc<dyn Connector>) -> Shop {
    let sim = Sim::new(seed);
    let books = books(&sim);
    let model = FnModel::new();
    let runtime = runtime(&sim, &books, connect(books.clone()), &model, integration);
    let ledger = FakeLedger::new(&sim.context(), seed);
    let parts = Parts { context: sim.context(), ledger: ledger.clone(), runtime, deliveries: None };
    Shop { engine: Engine::new(parts), sim, books, ledger, model }
}

fn runtime(
    sim: &Sim,
    books: &FakeSystem,
    connection: Arc<dyn Connector>,
    model: &Arc<FnModel>,
    integration: &str,
) -> Runtime {
    let connector = books.clone();
    let catalog = sim.run(async move { connector.catalog().await }).done().unwrap();
    let version =
        VersionFact { version: "v1".into(), digest: "22".repeat(32), format: "fn".into(), signature: signature() };
    let champion = BTreeMap::from([("champion".to_owned(), "v1".to_owned())]);
    let facts = ModelFacts { versions: vec![version], broken: Vec::new(), aliases: champion.clone() };
    let facts =
        Facts { catalogs: [("books".to_owned(), catalog)].into(), models: [("score".to_owned(), facts)].into() };
    let sources = vec![("tendon.yaml".into(), PROJECT.into()), ("integrations/x.yaml".into(), integration.into())];
    let outcome = tendon_plan::plan(&Sources(sources), &facts, &[&kind()]);
    let findings: Vec<_> = outcome.findings.iter().map(ToString::to_string).collect();
    let plan = outcome.plan.unwrap_or_else(|| panic!("{findings:#?}"));
    let reference = ModelRef { name: "score".into(), version: "v1".into(), digest: "22".repeat(32).into() };
    let slot = Slot { reference, model: model.clone() as Arc<dyn Model> };
    let models = BTreeMap::from([(("score".to_owned(), "v1".to_owned()), slot)]);
    let runtime = Runtime::new(Arc::new(plan), models, &BTreeMap::from([("score".to_owned(), champion)])).unwrap();
    let system = System::new("books", connection, Limits::default(), sim.context());
    runtime.lend(&BTreeMap::from([(Arc::from("books"), Arc::new(system))]));
    runtime
}

impl Shop {
    fn decide(&self, ask: Ask) -> Vec<Result<Answer>> {
        let engine = Arc::clone(&self.engine);
        self.sim.run(async move { engine.decide(ask).await }).done().unwrap().items
    }

    /// Asks about one customer.
    fn one(&self, no: &str) -> Answer {
        self.decide(ask(vec![about(1, no)])).remove(0).unwrap()
    }

    fn scored(&self) -> u64 {
        self.model.scored.load(Ordering::Relaxed)
    }

    /// Puts a plan in force, made from this integration.
    fn install(&self, integration: &str) {
        let runtime = runtime(&self.sim, &self.books, Arc::new(self.books.clone()), &self.model, integration);
        self.engine.install(runtime);
    }

    /// Lets time pass.
    fn wait(&self, time: Duration) {
        let context = self.sim.context();
        self.sim.run(async move { context.clock.sleep(time).await }).done();
    }

    /// Everything recorded comes out again, whatever became of the books, and without asking them.
    fn replays(&self) {
        for no in 0..10 {
            self.books.remove("customers", &[Value::Int(no)]);
        }
        let calls = self.books.calls();
        let entries = self.ledger.decisions();
        for entry in &entries {
            let report = match stored::decision(entry).unwrap().recalled {
                Some(recalled) => {
                    let source = entries.iter().find(|source| source.facts.id == recalled.from).unwrap();
                    replay_recalled(entry, source, &self.engine.runtime())
                }
                None => self.engine.replay(entry),
            };
            let report = report.unwrap();
            assert!(report.same, "{report:?}");
        }
        assert_eq!(self.books.calls(), calls, "a replay asks no system");
    }

    /// How many rows of a lookup were counted with this result.
    fn counted(&self, lookup: &str, result: &str) -> String {
        let metrics = self.sim.context().metrics.render();
        let labels = format!(r#"integration="lead-score",lookup="{lookup}",result="{result}""#);
        let found = metrics.lines().find(|line| line.contains(&labels)).unwrap_or_else(|| panic!("{metrics}"));
        found.rsplit_once(' ').unwrap().1.to_owned()
    }

    /// The rows recorded for the last decision, by lookup.
    fn recorded(&self) -> BTreeMap<String, FoundRow> {
        let entry = self.ledger.decisions().pop().unwrap();
        let snapshot = Snapshot::parse(&entry.body.unwrap().input).unwrap();
        snapshot.lookups.into_iter().filter_map(|found| Some((found.name.to_string(), found.row?))).collect()
    }
}

fn about(n: i64, no: &str) -> Item {
    json(&format!(r#"{{"n": {n}, "no": {no}}}"#))
}

/// State and reason of each lookup.
fn notes(answer: &Answer) -> Vec<(&str, LookupState, Option<&str>)> {
    answer.decision.lookups.iter().map(|note| (&*note.name, note.state, note.why.as_deref())).collect()
}
