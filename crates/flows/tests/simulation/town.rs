//! A whole trunk in a simulated town: what outlives a power cut (the disk, the CRM, the clients) and the process that does
//! not (ledger, engine, outbox, watch).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tendon_engine::{
    Engine, Parts as EngineParts, Runtime, Slot,
    outbox::{Outbox, OutboxProjection, Parts as OutboxParts},
    requests::RequestsProjection,
    reviews::ReviewsProjection,
    systems::{Limits, System},
};
use tendon_flows::watch::{Parts as WatchParts, WatchProjection, Watches};
use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    context::Context,
    schema::Catalog,
    sockets::{
        connector::{Capability, Connector, ConnectorKind},
        ledger::{EntryKind, Facts as EntryFacts, Ledger, ModelRef},
        model::{Contributions, Feature, FeatureKind, Matrix, Model, OutputKind, Signature},
    },
};
use tendon_ledger::{Book, Parts as LedgerParts, Settings};
use tendon_plan::{
    Facts, Plan,
    facts::{ModelFacts, VersionFact},
};
use tendon_platform::MemoryCache;
use tendon_testkit::{FakeSystem, MemStore, Sim, TestKeys};

use crate::{
    books,
    people::Client,
    plants::{Careless, LyingDisk, Plant},
};

/// The town's model: a share of a hundred. For 13 it answers nonsense, so that the ladder is climbed too.
pub struct Tiny(Signature);

impl Tiny {
    fn signature() -> Signature {
        Signature {
            features: vec![Feature { name: "x".into(), kind: FeatureKind::Number, range: None }],
            output: OutputKind::Probability,
            outputs: 1,
            objective: "share".into(),
        }
    }

    /// What the town's rows are worth: the oracle of the checks.
    pub fn score(x: i64) -> f64 {
        if x == 13 { 0.1 } else { x.rem_euclid(100) as f64 / 100.0 }
    }
}

impl Model for Tiny {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn predict(&self, rows: &Matrix) -> Result<Vec<f64>> {
        let score = |index: usize| match rows.row(index)[0] {
            13.0 => f64::NAN,
            x => x.rem_euclid(100.0) / 100.0,
        };
        Ok((0..rows.rows()).map(score).collect())
    }

    fn margin(&self, rows: &Matrix) -> Result<Vec<f64>> {
        self.predict(rows)
    }

    fn explain(&self, _rows: &Matrix) -> Result<Vec<Vec<Contributions>>> {
        Err(Error::new(ErrorKind::Unsupported, "no_explanation", "the town's model cannot explain"))
    }
}

/// What outlives a power cut.
pub struct Town {
    pub sim: Sim,
    pub crm: Arc<FakeSystem>,
    /// The second system, where there is one.
    pub books: Option<FakeSystem>,
    pub store: Arc<MemStore>,
    pub keys: Arc<TestKeys>,
    pub plan: Arc<Plan>,
    pub clients: Vec<Arc<Mutex<Client>>>,
    pub plant: Plant,
}

/// What does not: one run of the process.
pub struct Process {
    pub ledger: Arc<Book>,
    pub engine: Arc<Engine>,
    pub outbox: Outbox,
    pub watches: Arc<Watches>,
    pub systems: BTreeMap<Arc<str>, Arc<System>>,
}

/// Everything a process needs to start, movable into the simulation.
#[derive(Clone)]
pub struct Start {
    context: tendon_kernel::context::Context,
    crm: Arc<FakeSystem>,
    books: Option<Arc<dyn Connector>>,
    store: Arc<MemStore>,
    keys: Arc<TestKeys>,
    plan: Arc<Plan>,
    plant: Plant,
}

impl Town {
    pub fn start(&self) -> Start {
        let mut context = self.sim.context();
        if self.plant == Plant::NoSync {
            context.disk = Arc::new(LyingDisk(context.disk));
        }
        Start {
            context,
            plant: self.plant,
            crm: Arc::clone(&self.crm),
            books: self.books.as_ref().map(|books| books::connector(books, self.sim.seed())),
            store: Arc::clone(&self.store),
            keys: Arc::clone(&self.keys),
            plan: Arc::clone(&self.plan),
        }
    }
}

impl Start {
    /// Starts the process as the app does: record first, then whoever writes into it.
    pub async fn up(self) -> Result<Process> {
        let ledger = tendon_ledger::open(LedgerParts {
            context: self.context.clone(),
            store: self.store.clone(),
            keys: self.keys.clone(),
            projections: vec![
                Arc::new(OutboxProjection::default()),
                Arc::new(WatchProjection),
                Arc::new(RequestsProjection),
                Arc::new(ReviewsProjection),
            ],
            origin: "tendon.local/town/main".into(),
            folder: "ledger/main".into(),
            settings: Settings {
                slots_ahead: 64,
                spare_after: 4096,
                spare_bytes: 16 << 10,
                segment_bytes: 128 << 10,
                ..Settings::default()
            },
        })
        .await?;
        let limits = Limits { timeout: Duration::from_secs(5), ..Limits::default() };
        let connector: Arc<dyn Connector> = match self.plant {
            Plant::Unconditional => Arc::new(Careless(self.crm.clone())),
            _ => self.crm.clone(),
        };
        let system = |name: &str, connector| {
            (Arc::<str>::from(name), Arc::new(System::new(name, connector, limits, self.context.clone())))
        };
        let mut systems = BTreeMap::from([system("crm", connector)]);
        systems.extend(self.books.clone().map(|books| system("books", books)));
        let book: Arc<dyn Ledger> = ledger.clone();
        let outbox = Outbox::start(OutboxParts {
            context: self.context.clone(),
            ledger: book.clone(),
            store: self.store.clone(),
            systems: systems.clone(),
            custody: BTreeMap::new(),
        });
        let engine = Engine::new(EngineParts {
            context: self.context.clone(),
            ledger: book.clone(),
            runtime: runtime(&self.plan, &systems)?,
            deliveries: Some(Arc::new(outbox.clone())),
        });
        // So small that answers also leave for others.
        engine.keep_answers_in(Arc::new(MemoryCache::new(&self.context, 4_000)));
        engine.resume().await?;
        engine.begin_requests(&*self.store).await?;
        engine.begin_reviews(&*self.store).await?;
        let parts = WatchParts { context: self.context, engine: engine.clone(), ledger: book, store: self.store };
        let watches = Arc::new(Watches::start(&parts, self.plan.integrations.values(), &systems)?);
        outbox.listen(&watches);
        Ok(Process { ledger, engine, outbox, watches, systems })
    }
}

/// What answers a plan.
pub fn runtime(plan: &Arc<Plan>, systems: &BTreeMap<Arc<str>, Arc<System>>) -> Result<Runtime> {
    let reference = ModelRef { name: "tiny".into(), version: "1".into(), digest: "0".repeat(64).into() };
    let slot = Slot { reference, model: Arc::new(Tiny(Tiny::signature())) };
    let models = BTreeMap::from([(("tiny".to_owned(), "1".to_owned()), slot)]);
    let aliases = BTreeMap::from([("tiny".to_owned(), BTreeMap::from([("champion".to_owned(), "1".to_owned())]))]);
    let runtime = Runtime::new(Arc::clone(plan), models, &aliases)?;
    runtime.lend(systems);
    Ok(runtime)
}

fn fake_kind() -> ConnectorKind {
    ConnectorKind {
        name: "fake",
        summary: "a system of the simulation",
        capability: Capability { catalog: true, read_by_key: true, scan: true, watch: true, write: true },
        schema: || serde_json::json!({"type": "object"}),
        validate: |_| Ok(()),
        build: |_| {
            Err(Error::new(ErrorKind::Unsupported, "built_by_hand", "the simulation builds its systems by hand"))
        },
        access: None,
    }
}

/// The plan of the town, made by the same function as every plan.
pub fn plan(catalog: Catalog, books: Option<Catalog>) -> Arc<Plan> {
    plan_with(catalog, books, |text| text)
}

/// The same with another text of its integration.
pub fn plan_with(catalog: Catalog, books: Option<Catalog>, change: impl Fn(String) -> String) -> Arc<Plan> {
    let version = VersionFact {
        version: "1".into(),
        digest: "0".repeat(64),
        format: "tiny".into(),
        signature: Tiny::signature(),
    };
    let model = ModelFacts {
        versions: vec![version],
        broken: Vec::new(),
        aliases: BTreeMap::from([("champion".to_owned(), "1".to_owned())]),
    };
    // With books, the model is asked about what stands there.
    let (mut project, mut score) =
        (include_str!("project/tendon.yaml").to_owned(), include_str!("project/score.yaml").to_owned());
    if books.is_some() {
        project = project.replace("models:\n", include_str!("project/books.yaml"));
        score = score.replace("  from: crm.leads\nbands", include_str!("project/lookups.yaml"));
    }
    let mut catalogs = BTreeMap::from([("crm".to_owned(), catalog)]);
    catalogs.extend(books.map(|books| ("books".to_owned(), books)));
    let facts = Facts { catalogs, models: BTreeMap::from([("tiny".to_owned(), model)]) };
    let sources =
        tendon_plan::Sources(vec![("tendon.yaml".into(), project), ("integrations/score.yaml".into(), change(score))]);
    let outcome = tendon_plan::plan(&sources, &facts, &[&fake_kind()]);
    let findings: Vec<_> = outcome.findings.iter().map(ToString::to_string).collect();
    Arc::new(outcome.plan.unwrap_or_else(|| panic!("the town's plan: {findings:#?}")))
}

/// What an erasure's entry says in the open.
pub fn erasure(context: &Context) -> EntryFacts {
    let nothing: Arc<str> = "".into();
    EntryFacts {
        kind: EntryKind::Erasure,
        id: Id::new(context),
        at: context.clock.now(),
        integration: nothing.clone(),
        model: None,
        route: nothing.clone(),
        reason: "erased".into(),
        caller: "simulation".into(),
        policy: nothing.clone(),
        plan: nothing.clone(),
        retention: "standard".into(),
        region: nothing,
    }
}
