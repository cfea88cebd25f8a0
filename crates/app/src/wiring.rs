//! Everything that is wired together, on one screen: which kinds of parts this binary has, and how a project's parts are
//! opened in an order that a crash at any moment cannot spoil.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tendon_connectors::ALL as SYSTEM_KINDS;
use tendon_doors::{
    keys::KeyRing,
    trust::{Gate, GateParts},
};
use tendon_engine::{
    Engine,
    outbox::{Outbox, OutboxProjection},
    requests::RequestsProjection,
    reviews::ReviewsProjection,
};
use tendon_flows::watch::WatchProjection;
use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Context,
    sockets::{
        ledger::{Ledger, Projection},
        secrets::{Keys, Secret, Secrets},
        store::Store,
    },
};
use tendon_ledger::Book;
use tendon_plan::Plan;
use tendon_platform::{
    Durability, OutgoingHttp, ProjectLock, ProjectSecrets, SealedKeys, ServerTls, SqliteStore, telemetry::Telemetry,
};

use crate::{
    again::KeptPlans,
    assemble, caches, certificates,
    checkpoints::{self, Checkpoints},
    chronicle::ChronicleProjection,
    deliveries::Deliveries,
    failure::{self, Failure},
    flows::Flows,
    installed::Installed,
    project::Project,
    registry::{self, View},
    telemetry,
};

/// Environment variable with the master key (64 hexadecimal digits); without it the one beside the keys is used.
pub(crate) const MASTER_KEY: &str = "TENDON_MASTER_KEY";
/// The ledger's folder under the project's state; one writer per tree.
pub(crate) const LEDGER: &str = "ledger/main";

/// What the parts are opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To run: deliveries are carried out.
    Serve,
    /// For one command: systems are left alone.
    Command,
}

/// A project's parts, open.
pub(crate) struct Parts {
    pub(crate) project: Project,
    pub(crate) purpose: Purpose,
    /// Held by whoever puts another plan or other models in force: one after the other.
    pub(crate) installing: tokio::sync::Mutex<()>,
    /// The digest of all that is in force.
    in_force: Mutex<String>,
    pub(crate) context: Context,
    pub(crate) secrets: Arc<dyn Secrets>,
    /// Calls over HTTP; hand it on as `Arc<dyn HttpClient>`.
    pub(crate) http: Arc<OutgoingHttp>,
    pub(crate) records: Arc<dyn Store>,
    pub(crate) book: Arc<Book>,
    /// Where it is known elsewhere how far the ledger reached.
    pub(crate) checkpoints: Arc<Checkpoints>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) deliveries: Arc<Deliveries>,
    /// When dead letters last changed.
    pub(crate) letters: OutboxProjection,
    pub(crate) flows: Flows,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) gate: Arc<Gate>,
    /// TLS of the listeners, where the project names a certificate and is to be served.
    pub(crate) tls: Option<Arc<ServerTls>>,
    /// What tells a receiver of the process' work.
    pub(crate) telemetry: Arc<Telemetry>,
    _lock: ProjectLock,
}

/// What other rooms derive from the ledger.
fn projections(outbox: &OutboxProjection) -> Vec<Arc<dyn Projection>> {
    vec![
        Arc::new(outbox.clone()),
        Arc::new(WatchProjection),
        Arc::new(RequestsProjection),
        Arc::new(ReviewsProjection),
        Arc::new(ChronicleProjection),
    ]
}

/// Opens a project: lock, configuration, stores, ledger (recovered, its projections caught up), path, outbox, keys. Flows
/// and doors are started by whoever runs it.
///
/// # Errors
/// When the project runs already, its configuration has errors, or a part cannot be opened.
pub(crate) async fn open(project: &Project, purpose: Purpose) -> Result<Parts, Failure> {
    let state = state_folder(project)?;
    let lock = ProjectLock::acquire(&state)?;
    let mut context = tendon_platform::context(&state)?;
    let secrets: Arc<dyn Secrets> = Arc::new(ProjectSecrets::new(&project.folder));

    let records: Arc<dyn Store> = Arc::new(SqliteStore::open(&state.join("records.db"), Durability::Records)?);
    let mut installed = judged(project, &context, &secrets, &*records).await?;

    let http = Arc::new(OutgoingHttp::new(context.clock.clone()));
    http.trust(certificates::outgoing_ca(&installed.plan, project).as_deref())?;
    // Before anything takes the context: what begins spans is part of it.
    let telemetry = telemetry::begin(&mut context, purpose, &http, &installed.plan, &*secrets)?;
    let tls = server_tls(&installed, project, purpose)?;
    let sealed = sealed_keys(&state)?;
    let projected = open_projections(project)?;
    let checkpoints = Arc::new(Checkpoints::of(project, &context, &http, &secrets));
    let (book, letters) = open_book(&projected, &sealed, project, &installed, &checkpoints).await?;
    let ledger: Arc<dyn Ledger> = book.clone();
    if registry::finish(&project.folder, &*records, &*ledger, &context, &installed.plan.digest).await? {
        installed = judged(project, &context, &secrets, &*records).await?;
    }

    let flows = Flows::new(project, &context, &secrets, http.clone(), projected, purpose);
    let outbox = flows.outbox(&installed.plan, &ledger)?;
    flows.adopt(&installed.plan, &outbox);
    let deliveries = Arc::new(Deliveries::new(Outbox::start(outbox)));
    let runtime = installed.runtime()?;
    if purpose == Purpose::Serve {
        runtime.lend(&flows.systems());
    }
    let engine = Engine::new(tendon_engine::Parts {
        context: context.clone(),
        ledger: ledger.clone(),
        runtime,
        deliveries: Some(deliveries.clone()),
    });
    let needs = caches::Needs { project, context: &context, secrets: &*secrets, keys: &*sealed, records: &records };
    engine.keep_answers_in(caches::open(&installed.plan, needs).await?);
    engine.find_past_plans_in(Arc::new(KeptPlans { store: records.clone(), context: context.clone() }));
    engine.resume().await?;
    engine.begin_reviews(&**flows.projections()).await?;
    if purpose == Purpose::Serve {
        engine.allowances().keep_in(records.clone()).await?;
        installed.record(&*records, &*ledger, &context).await?;
    }
    let keys = Arc::new(KeyRing::open(records.clone(), ledger.clone(), context.clone()).await?);
    let served = (purpose == Purpose::Serve).then_some(&*installed.plan);
    let gate = Arc::new(gate(&keys, &context, &http, sealed, &secrets, served)?);
    tracing::debug!(kinds = SYSTEM_KINDS.len(), plan = %installed.plan.digest, "the project is open");
    Ok(Parts {
        project: project.clone(),
        purpose,
        installing: tokio::sync::Mutex::default(),
        in_force: Mutex::new(installed.digest()),
        context,
        secrets,
        http,
        records,
        book,
        checkpoints,
        ledger,
        engine,
        deliveries,
        letters,
        flows,
        keys,
        gate,
        tls: tls.map(Arc::new),
        telemetry,
        _lock: lock,
    })
}

/// The folder of the project's own state, for nobody else's eyes.
fn state_folder(project: &Project) -> Result<PathBuf, Failure> {
    let state = project.state();
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&state);
    made.map_err(|error| failure::io("making the folder", &state, &error))?;
    Ok(state)
}

/// Who is let in by the plan that is served. A command lets nobody in: it needs no secret of a badge.
fn gate(
    keys: &Arc<KeyRing>,
    context: &Context,
    http: &Arc<OutgoingHttp>,
    sealed: Arc<dyn Keys>,
    secrets: &Arc<dyn Secrets>,
    served: Option<&Plan>,
) -> Result<Gate, Failure> {
    let (keys, context, http, secrets) = (keys.clone(), context.clone(), http.clone(), secrets.clone());
    let gate = Gate::new(GateParts { keys, context, http, sealed, secrets });
    if let Some(plan) = served {
        gate.adopt(gate.prepare(plan)?);
    }
    Ok(gate)
}

/// Finishes a restoring, and refuses a ledger that does not hold what is known of it elsewhere.
async fn known_elsewhere(project: &Project, installed: &Installed, book: &Book, known: &Checkpoints) -> Result<()> {
    checkpoints::finish(&project.state(), book, known.context(), &installed.plan.digest).await?;
    known.check(&installed.plan, book).await
}

/// The keys that seal, under the master key of the environment or the one beside them.
pub(crate) fn sealed_keys(state: &Path) -> Result<Arc<dyn Keys>> {
    let master = std::env::var(MASTER_KEY).ok().filter(|key| !key.is_empty()).map(Secret::new);
    Ok(Arc::new(SealedKeys::open(&state.join("keys"), master.as_ref())?))
}

/// Opens the ledger of a project and waits until its projections have caught up.
async fn open_book(
    store: &Arc<dyn Store>,
    keys: &Arc<dyn Keys>,
    project: &Project,
    installed: &Installed,
    known: &Checkpoints,
) -> Result<(Arc<Book>, OutboxProjection)> {
    let letters = OutboxProjection::default();
    let book = tendon_ledger::open(tendon_ledger::Parts {
        context: known.context().clone(),
        store: store.clone(),
        keys: keys.clone(),
        projections: projections(&letters),
        origin: format!("tendon.local/{}/main", installed.plan.project),
        folder: LEDGER.to_owned(),
        settings: tendon_ledger::Settings::default(),
    })
    .await?;
    settled(&*book).await?;
    // Before any decision: an older copy is not gone on with.
    if let Err(error) = known_elsewhere(project, installed, &book, known).await {
        drop(book.close().await);
        return Err(error);
    }
    Ok((book, letters))
}

/// Reads and judges a project with its aliases; keeps plan and models by digest.
async fn judged(
    project: &Project,
    context: &Context,
    secrets: &Arc<dyn Secrets>,
    records: &dyn Store,
) -> Result<Installed, Failure> {
    let assembled = assemble::assemble(project, context, secrets, &View::of(records).await?).await?;
    let installed = Installed::from(assembled, &project.only)?;
    installed.keep(records, context).await?;
    Ok(installed)
}

/// TLS of the listener, where the project is to be served with it.
fn server_tls(installed: &Installed, project: &Project, purpose: Purpose) -> Result<Option<ServerTls>> {
    let files = certificates::tls_files(&installed.plan, project).filter(|_| purpose == Purpose::Serve);
    files.map(ServerTls::open).transpose()
}

/// Longest wait of somebody for the projections: a healthy store needs a fraction of a second.
const SETTLING: Duration = Duration::from_secs(10);

/// Waits until everything recorded so far is in the projections.
async fn settled(ledger: &dyn Ledger) -> Result<()> {
    match ledger.state().size.checked_sub(1) {
        Some(last) => ledger.projected(last).await,
        None => Ok(()),
    }
}

/// Opens the store of projections. A damaged one is removed: the ledger fills it again.
fn open_projections(project: &Project) -> Result<Arc<dyn Store>, Failure> {
    let path = project.state().join("projections.db");
    let store = SqliteStore::open_anew(&path, Durability::Projections, |error| {
        tracing::warn!(code = error.code(), "the projections are damaged; they are made again from the ledger");
    })?;
    Ok(Arc::new(store))
}

impl Parts {
    /// The digest of all that is in force.
    pub(crate) fn in_force(&self) -> MutexGuard<'_, String> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything recorded so far is in the projections.
    ///
    /// # Errors
    /// As the ledger's.
    pub(crate) async fn settle(&self) -> Result<()> {
        settled(&*self.ledger).await
    }

    /// The same for somebody who waits for an answer: on a full disk nothing gets into the projections.
    ///
    /// # Errors
    /// As the ledger's; `Unavailable` after a while.
    pub(crate) async fn settle_soon(&self) -> Result<()> {
        tokio::time::timeout(SETTLING, self.settle()).await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable, "projections_behind", "what was recorded last is in no list yet")
                .hint("look whether the disk is full; the log tells why the lists cannot be written"))
        })
    }

    /// Ends what runs, in the order of dependence: no new rows, no new deliveries, last records, ledger closed.
    pub(crate) async fn close(&self) {
        self.flows.stop().await;
        self.engine.end_requests().await;
        self.deliveries.current().stop().await;
        self.engine.flush_refusals();
        self.engine.allowances().flush().await;
        if self.purpose == Purpose::Serve {
            let _told = checkpoints::now(self).await;
        }
        if let Err(error) = self.book.close().await {
            tracing::error!(
                code = error.code(),
                detail = error.private_detail(),
                "the ledger could not be closed in order: {error}"
            );
        }
        // Last, so that it tells of the end too.
        self.telemetry.stop().await;
    }
}
