//! What the path itself costs per decision: 32 fields in 700 bytes of JSON, a model that costs nothing, a ledger that
//! forgets. Prints nanoseconds per decision and per stage. Run with `cargo run --release -p tendon-engine --example path_bench`.
//!
//! On two cores busy with builds: 8.3 µs per decision, of which 2.7 read and check the input and 2.3 write the entry; 9.3 µs
//! with an idempotency key.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the real clock and prints")]
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use tendon_engine::{
    Engine, Parts, Runtime, Slot,
    ask::{Ask, Caller, Input, Item, Priority},
};
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp, Type,
    context::{Clock, Context, Disk, Entropy, File, Open, Spawn},
    decision::{Door, Outcome},
    schema::{Field, Schema},
    sockets::{
        ledger::{Claim, Committed, Draft, Entry, Erased, Facts, Ledger, LedgerState, Listed, ModelRef, Query, Tokens},
        model::{Contributions, Feature, FeatureKind, Matrix, Model, OutputKind, Signature},
    },
};
use tendon_plan::{
    IntegrationPlan, Plan,
    lookup::LookupsPlan,
    plan::{
        ApiPlan, BandPlan, Encoding, ExplainPlan, FallbackPlan, FeaturePlan, InputPlan, RecordPlan, ServerLimits,
        Source, Threshold,
    },
};

const FIELDS: usize = 32;
const ROUNDS: u32 = 200_000;

struct World(Instant);

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(1_770_000_000_000_000 + i64::try_from(self.0.elapsed().as_micros()).unwrap())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

impl Entropy for World {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

impl Spawn for World {
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
}

impl Disk for World {
    fn open(&self, _: &str, _: Open) -> io::Result<Arc<dyn File>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn list(&self, _: &str) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn create_folder(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// Takes everything and keeps nothing.
struct Forgetful;

fn nothing<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "nothing_kept", "this ledger keeps nothing"))
}

impl Ledger for Forgetful {
    fn commit(&self, drafts: Vec<Draft>) -> BoxFuture<'_, Result<Vec<Committed>>> {
        Box::pin(async move { Ok(drafts.iter().map(|_| Committed::New { seq: 0 }).collect()) })
    }

    fn append(&self, _: Vec<Draft>) -> Result<()> {
        Ok(())
    }

    fn appended(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn entry(&self, _: u64) -> BoxFuture<'_, Result<Option<Entry>>> {
        Box::pin(async { nothing() })
    }

    fn entries_of(&self, _: Id) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(async { nothing() })
    }

    fn claimed<'a>(&'a self, _: &'a Claim) -> BoxFuture<'a, Result<Option<Committed>>> {
        Box::pin(async { Ok(None) })
    }

    fn search(&self, _: Query) -> BoxFuture<'_, Result<Listed>> {
        Box::pin(async { nothing() })
    }

    fn erase<'a>(&'a self, _: &'a str, _: Facts) -> BoxFuture<'a, Result<Erased>> {
        Box::pin(async { nothing() })
    }

    fn projected(&self, _: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn state(&self) -> LedgerState {
        LedgerState { size: 0, checkpoint: 0, projected: 0, stopped: None }
    }

    fn tokens(&self) -> Arc<dyn Tokens> {
        struct Zero;
        impl Tokens for Zero {
            fn token(&self, _: &str, _: &str) -> [u8; 16] {
                [0; 16]
            }
        }
        Arc::new(Zero)
    }
}

struct Constant(Signature);

impl Model for Constant {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn predict(&self, rows: &Matrix) -> Result<Vec<f64>> {
        Ok(vec![0.37; rows.rows()])
    }

    fn margin(&self, rows: &Matrix) -> Result<Vec<f64>> {
        self.predict(rows)
    }

    fn explain(&self, _: &Matrix) -> Result<Vec<Vec<Contributions>>> {
        nothing()
    }
}

fn name(index: usize) -> String {
    format!("field_{index:02}")
}

fn runtime() -> Runtime {
    let features = (0..FIELDS).map(|index| Feature { name: name(index), kind: FeatureKind::Number, range: None });
    let signature = Signature {
        features: features.collect(),
        output: OutputKind::Probability,
        outputs: 1,
        objective: "binary".into(),
    };
    let mut fields: Vec<Field> = (0..FIELDS).map(|index| Field::new(&name(index), Type::Float)).collect();
    for field in &mut fields {
        (field.required, field.range) = (true, Some((-1e6, 1e6)));
    }
    let columns = (0..FIELDS).map(|index| FeaturePlan {
        name: name(index).into(),
        source: Source::Field(index),
        encoding: Encoding::Number,
    });
    let integration = IntegrationPlan {
        lookups: LookupsPlan::default(),
        name: "bench".into(),
        purpose: "bench".into(),
        owner: "bench".into(),
        model: "m".into(),
        alias: "v1".into(),
        signature: Arc::new(signature.clone()),
        subject: None,
        input: InputPlan {
            schema: Arc::new(Schema::new(fields)),
            defaults: Vec::new(),
            quarantine: Vec::new(),
            reject: Vec::new(),
        },
        features: columns.collect(),
        output_range: (0.0, 1.0),
        route: tendon_plan::route::RoutePlan::default(),
        bands: vec![
            BandPlan { name: "green".into(), test: Threshold::AtLeast(0.7) },
            BandPlan { name: "red".into(), test: Threshold::Otherwise },
        ],
        fallback: FallbackPlan::default(),
        review: None,
        explain: ExplainPlan::OnRequest,
        record: RecordPlan::Durable,
        retention: "standard".into(),
        region: "eu".into(),
        policy: "00".repeat(32).into(),
        objectives: None,
        cache: None,
        api: Some(ApiPlan::default()),
        events: None,
        embed: None,
    };
    let plan = Arc::new(Plan {
        project: "bench".into(),
        digest: "11".repeat(32).into(),
        systems: BTreeMap::new(),
        models: BTreeMap::new(),
        integrations: BTreeMap::from([("bench".into(), Arc::new(integration))]),
        limits: ServerLimits { in_flight: 1000, body_bytes: 1 << 20, depth: 8, ..ServerLimits::default() },
        grpc: None,
        ..Plan::default()
    });
    let reference = ModelRef { name: "m".into(), version: "v1".into(), digest: "22".repeat(32).into() };
    let slot = Slot { reference, model: Arc::new(Constant(signature)) };
    let models = BTreeMap::from([(("m".to_owned(), "v1".to_owned()), slot)]);
    Runtime::new(plan, models, &BTreeMap::new()).unwrap()
}

fn body() -> String {
    let mut text = String::from("{");
    for index in 0..FIELDS {
        let comma = if index == 0 { "" } else { "," };
        write!(text, "{comma}\"{}\":{}.{:03}", name(index), 137 * (index + 1), index * 31 % 1000).unwrap();
    }
    text + "}"
}

async fn measure(engine: &Arc<Engine>, key: bool) {
    let body = bytes::Bytes::from(body());
    let caller = Caller { id: "key_1".into(), scope: "acme".into(), integrations: None };
    let mut stages: BTreeMap<&'static str, Duration> = BTreeMap::new();
    let start = Instant::now();
    for round in 0..ROUNDS {
        let idempotency_key = key.then(|| round.to_string());
        let item = Item { input: Input::Json(body.clone()), idempotency_key, row: None };
        let ask = Ask {
            caller: caller.clone(),
            door: Door::Api,
            integration: "bench".into(),
            priority: Priority::Live,
            explain: false,
            deadline: None,
            items: vec![item],
        };
        let answers = engine.decide(ask).await.unwrap();
        assert!(answers.items[0].as_ref().unwrap().decision.outcome == Outcome::Ok);
        for (stage, spent) in answers.timings {
            *stages.entry(stage).or_default() += spent;
        }
    }
    let each = |time: Duration| time.as_nanos() / u128::from(ROUNDS);
    println!("{} bytes, key {key}: {} ns per decision", body.len(), each(start.elapsed()));
    for (stage, spent) in stages {
        println!("    {stage:10} {:6} ns", each(spent));
    }
}

fn main() {
    let world = Arc::new(World(Instant::now()));
    let context = Context {
        clock: world.clone(),
        entropy: world.clone(),
        disk: world.clone(),
        spawn: world,
        metrics: Arc::default(),
        traces: tendon_kernel::trace::Traces::off(),
    };
    let engine = Engine::new(Parts { context, ledger: Arc::new(Forgetful), runtime: runtime(), deliveries: None });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        measure(&engine, false).await;
        measure(&engine, false).await;
        measure(&engine, true).await;
    });
}
