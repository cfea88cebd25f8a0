//! What the tests of the path share: a plan with every kind of rule, a model that is a formula, a ledger in memory.

mod ledger;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

pub(crate) use ledger::{FakeLedger, Faults};
use tendon_engine::{
    DeliverySink, Engine, Parts, Runtime, Slot,
    ask::{Answer, Answers, Ask, Caller, Input, Item, Priority, SourceRow},
};
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp, Type, Value,
    context::Context,
    decision::{Decision, Delivery, Door},
    schema::{Field, Schema},
    sockets::{
        ledger::{Entry, EntryKind, Facts, ModelRef},
        model::{Contributions, Feature, FeatureKind, Matrix, Model, OutputKind, Signature},
    },
};
use tendon_plan::{
    IntegrationPlan, Plan,
    cache::CachePlan,
    expr::{Env, Program},
    lookup::LookupsPlan,
    plan::{
        ApiPlan, BandPlan, Encoding, EventsPlan, ExplainPlan, FallbackPlan, FeaturePlan, InputPlan, QualityRule,
        RecordPlan, ReviewPlan, ServerLimits, Source, TargetPlan, Threshold,
    },
    route::RoutePlan,
};
use tendon_testkit::Sim;

pub(crate) const INTEGRATION: &str = "lead-score";

/// Fields: n (int, required), balance (float), job (text of a list), at (time), days (int 0 to 1000, default 7).
pub(crate) fn schema() -> Arc<Schema> {
    let mut n = Field::new("n", Type::Int);
    n.required = true;
    let mut balance = Field::new("balance", Type::Float);
    balance.range = Some((-1e6, 1e6));
    let mut job = Field::new("job", Type::Text);
    job.values = ["admin", "student", "retired"].map(Into::into).to_vec();
    let at = Field::new("at", Type::Time);
    let mut days = Field::new("days", Type::Int);
    days.range = Some((0.0, 1000.0));
    Arc::new(Schema::new(vec![n, balance, job, at, days]))
}

pub(crate) fn program(source: &str) -> Program {
    let schema = schema();
    let filled: BTreeSet<String> = ["days".to_owned()].into();
    let env = Env {
        input: &schema,
        filled: &filled,
        output: true,
        band: true,
        decision: true,
        others: &[],
        hidden: &[],
        lookups: &[],
        later: &[],
    };
    Program::compile(source, &env).unwrap_or_else(|findings| panic!("{source}: {findings:?}")).program
}

pub(crate) fn signature() -> Signature {
    let number = |name: &str| Feature { name: name.into(), kind: FeatureKind::Number, range: None };
    let job = FeatureKind::Category { values: ["admin", "student"].map(Into::into).to_vec() };
    Signature {
        features: vec![
            number("balance"),
            Feature { name: "job".into(), kind: job, range: None },
            number("rate"),
            number("n"),
        ],
        output: OutputKind::Probability,
        outputs: 1,
        objective: "binary".into(),
    }
}

/// What tests change of the plan.
pub(crate) struct Wishes {
    pub(crate) explain: ExplainPlan,
    pub(crate) record: RecordPlan,
    pub(crate) fallback: FallbackPlan,
    pub(crate) in_flight: usize,
    pub(crate) same_row: bool,
    pub(crate) route: RoutePlan,
    pub(crate) set: Vec<(String, Program)>,
    pub(crate) cache: Option<CachePlan>,
    pub(crate) review: Option<ReviewPlan>,
    /// Two hexadecimal digits that stand for the plan.
    pub(crate) digest: &'static str,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            explain: ExplainPlan::OnRequest,
            record: RecordPlan::Durable,
            fallback: FallbackPlan {
                previous: false,
                rules: vec![(program("has(input.balance) && input.balance > 5000.0"), 0.5)],
                default: None,
                human: None,
            },
            in_flight: 10_000,
            same_row: true,
            route: RoutePlan::default(),
            set: vec![("score".into(), program("output")), ("score_band".into(), program("band"))],
            cache: None,
            review: None,
            digest: "11",
        }
    }
}

fn events(schema: &Schema, same_row: bool, set: Vec<(String, Program)>) -> EventsPlan {
    EventsPlan {
        system: "crm".into(),
        resource: "leads".into(),
        key: vec!["id".into()],
        watermark: "updated_at".into(),
        watermark_type: Type::Time,
        fields: schema.fields.iter().map(|field| field.name.to_string()).collect(),
        poll: Duration::from_millis(100),
        overlap: Duration::from_secs(1),
        sweep: Duration::from_secs(60),
        target: Some(TargetPlan {
            system: "crm".into(),
            resource: "leads".into(),
            key: vec!["id".into()],
            set,
            fields: Vec::new(),
            stamp: Some("scored_at".into()),
            same_row,
        }),
    }
}

pub(crate) fn plan(wishes: Wishes) -> Arc<Plan> {
    let schema = schema();
    let features = vec![
        FeaturePlan { name: "balance".into(), source: Source::Field(1), encoding: Encoding::Number },
        FeaturePlan {
            name: "job".into(),
            source: Source::Field(2),
            encoding: Encoding::Category(HashMap::from([("admin".into(), 0.0), ("student".into(), 1.0)])),
        },
        // Integer division by zero has no result: days = 500 makes this row fail.
        FeaturePlan {
            name: "rate".into(),
            source: Source::Program(program("100000 / (input.days - 500)")),
            encoding: Encoding::Number,
        },
        FeaturePlan { name: "n".into(), source: Source::Field(0), encoding: Encoding::Number },
    ];
    let rule = |source: &str, reason: &str| QualityRule { when: program(source), reason: reason.into() };
    let events = events(&schema, wishes.same_row, wishes.set);
    let integration = IntegrationPlan {
        lookups: LookupsPlan::default(),
        name: INTEGRATION.into(),
        purpose: "tests".into(),
        owner: "tests".into(),
        model: "score".into(),
        alias: "champion".into(),
        signature: Arc::new(signature()),
        subject: Some(program("input.n")),
        input: InputPlan {
            schema,
            defaults: vec![(4, Value::Int(7))],
            quarantine: vec![rule("input.days > 900", "so old that somebody should look at it")],
            reject: vec![rule("has(input.balance) && input.balance < -100000.0", "no such debt exists")],
        },
        features,
        output_range: (0.0, 1.0),
        route: wishes.route,
        bands: vec![
            BandPlan { name: "green".into(), test: Threshold::AtLeast(0.7) },
            BandPlan { name: "yellow".into(), test: Threshold::Above(0.4) },
            BandPlan { name: "red".into(), test: Threshold::Otherwise },
        ],
        fallback: wishes.fallback,
        review: wishes.review,
        explain: wishes.explain,
        record: wishes.record,
        retention: "standard".into(),
        region: "eu".into(),
        policy: "00".repeat(32).into(),
        api: Some(ApiPlan::default()),
        events: Some(events),
        objectives: None,
        cache: wishes.cache,
        embed: None,
    };
    Arc::new(Plan {
        project: "tests".into(),
        digest: wishes.digest.repeat(32).into(),
        systems: BTreeMap::new(),
        models: BTreeMap::new(),
        integrations: BTreeMap::from([(INTEGRATION.into(), Arc::new(integration))]),
        limits: ServerLimits { in_flight: wishes.in_flight, body_bytes: 1 << 20, depth: 8, ..ServerLimits::default() },
        grpc: None,
        ..Plan::default()
    })
}

/// A formula as a model. Refuses a whole batch when one row's balance is 13, gives NaN for 14 and 2.0 for 15.
pub(crate) struct FnModel {
    pub(crate) signature: Signature,
    pub(crate) down: AtomicBool,
    /// Rows scored so far.
    pub(crate) scored: AtomicU64,
    /// Calls so far.
    pub(crate) calls: AtomicU64,
}

impl FnModel {
    pub(crate) fn new() -> Arc<Self> {
        let (scored, calls) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { signature: signature(), down: AtomicBool::new(false), scored, calls })
    }

    fn terms(row: &[f64]) -> Vec<f64> {
        let or = |value: f64, missing: f64| if value.is_nan() { missing } else { value };
        vec![or(row[0], -10.0) / 1e4, or(row[1], 0.5), -or(row[2], 0.0) / 1e5, 0.0]
    }
}

impl Model for FnModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn predict(&self, rows: &Matrix) -> Result<Vec<f64>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.scored.fetch_add(u64::try_from(rows.rows()).unwrap(), Ordering::Relaxed);
        let all = || (0..rows.rows()).map(|index| rows.row(index));
        #[expect(clippy::float_cmp, reason = "the very values that tests send")]
        if self.down.load(Ordering::Relaxed) || all().any(|row| row[0] == 13.0) {
            return Err(Error::new(ErrorKind::Unavailable, "model_broken", "the model is broken"));
        }
        #[expect(clippy::float_cmp, reason = "the very values that tests send")]
        let output = |row: &[f64]| {
            if row[0] == 14.0 {
                f64::NAN
            } else if row[0] == 15.0 {
                2.0
            } else {
                1.0 / (1.0 + (-Self::terms(row).iter().sum::<f64>()).exp())
            }
        };
        Ok(all().map(output).collect())
    }

    fn margin(&self, rows: &Matrix) -> Result<Vec<f64>> {
        Ok((0..rows.rows()).map(|index| Self::terms(rows.row(index)).iter().sum()).collect())
    }

    fn explain(&self, rows: &Matrix) -> Result<Vec<Vec<Contributions>>> {
        let explain = |index| {
            let values = Self::terms(rows.row(index));
            vec![Contributions { base: 0.0, margin: values.iter().sum(), values }]
        };
        Ok((0..rows.rows()).map(explain).collect())
    }
}

/// Remembers what was handed to the outbox.
#[derive(Default)]
pub(crate) struct Sink(pub(crate) Mutex<Vec<(u64, Decision, Vec<Delivery>)>>, pub(crate) Mutex<Vec<Entry>>);

impl DeliverySink for Sink {
    fn accepted(&self, seq: u64, decision: &Decision, deliveries: &[Delivery]) {
        self.0.lock().unwrap().push((seq, decision.clone(), deliveries.to_vec()));
    }

    fn reviewed(&self, verdict: &Entry) {
        self.1.lock().unwrap().push(verdict.clone());
    }
}

pub(crate) fn runtime(wishes: Wishes, model: Option<Arc<dyn Model>>) -> Runtime {
    let reference = ModelRef { name: "score".into(), version: "v1".into(), digest: "22".repeat(32).into() };
    let models = model.map(|model| (("score".to_owned(), "v1".to_owned()), Slot { reference, model }));
    let champion = BTreeMap::from([("champion".to_owned(), "v1".to_owned())]);
    Runtime::new(plan(wishes), models.into_iter().collect(), &BTreeMap::from([("score".to_owned(), champion)])).unwrap()
}

/// An engine with everything around it.
pub(crate) struct Bench {
    pub(crate) engine: Arc<Engine>,
    pub(crate) ledger: Arc<FakeLedger>,
    pub(crate) model: Arc<FnModel>,
    pub(crate) sink: Arc<Sink>,
}

pub(crate) fn bench(context: &Context, seed: u64, wishes: Wishes) -> Bench {
    node(context, FakeLedger::new(context, seed), wishes)
}

/// One of several engines over the same ledger.
pub(crate) fn node(context: &Context, ledger: Arc<FakeLedger>, wishes: Wishes) -> Bench {
    let (model, sink) = (FnModel::new(), Arc::new(Sink::default()));
    let engine = Engine::new(Parts {
        context: context.clone(),
        ledger: ledger.clone(),
        runtime: runtime(wishes, Some(model.clone())),
        deliveries: Some(sink.clone()),
    });
    Bench { engine, ledger, model, sink }
}

pub(crate) fn caller() -> Caller {
    Caller { id: "key_1".into(), scope: "acme".into(), integrations: None }
}

pub(crate) fn json(text: &str) -> Item {
    Item { input: Input::Json(text.to_owned().into()), idempotency_key: None, row: None }
}

pub(crate) fn keyed(text: &str, key: &str) -> Item {
    Item { idempotency_key: Some(key.into()), ..json(text) }
}

pub(crate) fn ask(items: Vec<Item>) -> Ask {
    let (integration, priority) = (INTEGRATION.into(), Priority::Live);
    Ask { caller: caller(), door: Door::Api, integration, priority, explain: false, deadline: None, items }
}

pub(crate) fn decide(sim: &Sim, bench: &Bench, ask: Ask) -> Result<Answers> {
    let engine = Arc::clone(&bench.engine);
    sim.run(async move { engine.decide(ask).await }).done()
}

pub(crate) fn one(sim: &Sim, bench: &Bench, item: Item) -> Result<Answer> {
    decide(sim, bench, ask(vec![item])).unwrap().items.remove(0)
}

pub(crate) fn world() -> (Sim, Bench) {
    with(Wishes::default())
}

pub(crate) fn with(wishes: Wishes) -> (Sim, Bench) {
    let sim = Sim::new(1);
    let bench = bench(&sim.context(), 1, wishes);
    (sim, bench)
}

pub(crate) fn row(n: i64, balance: Value) -> Item {
    let input = Input::Values(vec![Value::Int(n), balance, Value::Null, Value::Null, Value::Null]);
    let row = SourceRow { key: vec![Value::Int(n)], mark: Value::Time(Timestamp(5)), digest: [9; 16] };
    Item { input, idempotency_key: None, row: Some(row) }
}

pub(crate) fn erasure(context: &Context) -> Facts {
    Facts {
        kind: EntryKind::Erasure,
        id: Id::new(context),
        at: context.clock.now(),
        integration: "".into(),
        model: None,
        route: "".into(),
        reason: "erased".into(),
        caller: "cli".into(),
        policy: "".into(),
        plan: "".into(),
        retention: "standard".into(),
        region: "".into(),
    }
}
