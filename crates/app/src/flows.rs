//! Systems and watches of the plan in force: built, exchanged and stopped as a whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tendon_engine::{
    Engine,
    outbox::{self, Outbox},
    systems::{BreakerLimits, Limits, System},
};
use tendon_flows::precompute::Precompute;
use tendon_flows::watch::{self, BackfillState, BackfillWish, WatchState, Watches};
use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Context,
    sockets::{
        connector::{Allowed, Build, Connector},
        http::HttpClient,
        ledger::{Entry, Ledger},
        secrets::Secrets,
        store::Store,
    },
};
use tendon_plan::{Plan, plan::SystemPlan};

use crate::{
    callbacks::{self, Means},
    project::Project,
    wiring::Purpose,
};

pub(crate) type Systems = BTreeMap<Arc<str>, Arc<System>>;

/// What is in use of a plan.
#[derive(Default)]
struct InUse {
    plan: Option<Arc<Plan>>,
    systems: Systems,
    /// Receivers of callbacks, to the outbox systems too.
    receivers: Systems,
}

/// Systems and watches in use.
pub(crate) struct Flows {
    project: Project,
    context: Context,
    secrets: Arc<dyn Secrets>,
    http: Arc<dyn HttpClient>,
    store: Arc<dyn Store>,
    purpose: Purpose,
    in_use: Mutex<InUse>,
    watches: Mutex<Option<Arc<Watches>>>,
    ahead: Mutex<Option<Precompute>>,
}

impl Flows {
    /// Nothing runs yet.
    pub(crate) fn new(
        project: &Project,
        context: &Context,
        secrets: &Arc<dyn Secrets>,
        http: Arc<dyn HttpClient>,
        store: Arc<dyn Store>,
        purpose: Purpose,
    ) -> Self {
        Self {
            project: project.clone(),
            context: context.clone(),
            secrets: secrets.clone(),
            http,
            store,
            purpose,
            in_use: Mutex::default(),
            watches: Mutex::default(),
            ahead: Mutex::default(),
        }
    }

    /// Builds the plan's systems and what an outbox for them is made of; nothing uses them before [`Flows::adopt`]. A system
    /// that is declared as the one in use keeps that one's guard. For a single command there are none, so that looking
    /// something up never writes to a system.
    ///
    /// # Errors
    /// When a connection cannot be built from its settings, or something names a system that is not there.
    pub(crate) fn outbox(&self, plan: &Plan, ledger: &Arc<dyn Ledger>) -> Result<outbox::Parts> {
        let mut systems = Systems::new();
        if self.purpose == Purpose::Serve {
            for (name, system) in &plan.systems {
                systems.insert(name.clone(), Arc::new(self.build(system)?));
            }
        }
        let custody = plan.integrations.values();
        let custody = custody.map(|one| (one.name.clone(), (one.retention.clone(), one.region.clone()))).collect();
        if self.purpose == Purpose::Serve {
            named(plan, &systems)?;
            let before = self.in_use().receivers.clone();
            systems.extend(callbacks::systems(plan, &self.means(ledger), &before));
        }
        let store = self.store.clone();
        Ok(outbox::Parts { context: self.context.clone(), ledger: ledger.clone(), store, systems, custody })
    }

    fn means(&self, ledger: &Arc<dyn Ledger>) -> Means {
        let (context, ledger, http, secrets) =
            (self.context.clone(), ledger.clone(), self.http.clone(), self.secrets.clone());
        Means { context, ledger, http, secrets }
    }

    /// Puts the plan's systems, as they were built for an outbox, in use.
    pub(crate) fn adopt(&self, plan: &Arc<Plan>, outbox: &outbox::Parts) {
        let (systems, receivers) =
            outbox.systems.clone().into_iter().partition(|(name, _)| plan.systems.contains_key(name));
        let mut in_use = self.in_use();
        let before = std::mem::replace(&mut *in_use, InUse { plan: Some(plan.clone()), systems, receivers });
        let kept = |name: &Arc<str>| in_use.systems.get(name).or_else(|| in_use.receivers.get(name));
        for (name, old) in before.systems.iter().chain(&before.receivers) {
            if kept(name).is_none_or(|new| !new.shares_guard(old)) {
                old.hide();
            }
        }
        in_use.systems.values().chain(in_use.receivers.values()).for_each(|system| system.show());
    }

    fn in_use(&self) -> MutexGuard<'_, InUse> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn build(&self, plan: &SystemPlan) -> Result<System> {
        let connector = self.connect(plan, plan.allowed.clone())?;
        let in_use = self.in_use();
        let declared = in_use.plan.as_ref().and_then(|before| before.systems.get(&plan.name));
        let same = declared.filter(|declared| *declared == plan).and_then(|_| in_use.systems.get(&plan.name));
        Ok(match same {
            Some(system) => system.reconnected(connector),
            None => self.guarded(plan, connector),
        })
    }

    fn guarded(&self, plan: &SystemPlan, connector: Arc<dyn Connector>) -> System {
        System::new(&plan.name, connector, limits(plan), self.context.clone())
    }

    fn connect(&self, plan: &SystemPlan, allowed: Allowed) -> Result<Arc<dyn Connector>> {
        let kind = tendon_connectors::find(&plan.kind).ok_or_else(|| {
            Error::new(ErrorKind::Config, "kind_unknown", "a system has an unknown kind").with("system", &plan.name)
        })?;
        (kind.build)(Build {
            system: plan.name.to_string(),
            config: plan.config.clone(),
            allowed,
            folder: self.project.folder.clone(),
            context: self.context.clone(),
            secrets: self.secrets.clone(),
        })
    }

    /// Where projections are kept.
    pub(crate) fn projections(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The systems in use.
    pub(crate) fn systems(&self) -> Systems {
        self.in_use().systems.clone()
    }

    /// Starts the watches of the plan in force.
    ///
    /// # Errors
    /// `Internal` when a watch names a system that was not built.
    pub(crate) fn start(&self, engine: &Arc<Engine>, ledger: &Arc<dyn Ledger>, outbox: &Outbox) -> Result<()> {
        self.start_some(engine, ledger, outbox, None)
    }

    /// The same for the backfill of one integration alone; `None`: all, as usual.
    ///
    /// # Errors
    /// As [`Flows::start`].
    pub(crate) fn start_some(
        &self,
        engine: &Arc<Engine>,
        ledger: &Arc<dyn Ledger>,
        outbox: &Outbox,
        only: Option<(&str, BackfillWish)>,
    ) -> Result<()> {
        let parts = watch::Parts {
            context: self.context.clone(),
            engine: engine.clone(),
            ledger: ledger.clone(),
            store: self.store.clone(),
        };
        let runtime = engine.runtime();
        let plans =
            runtime.plan().integrations.values().filter(|plan| only.is_none_or(|(only, _)| only == &*plan.name));
        let started = Watches::start_with(&parts, plans, &self.systems(), only.map(|(_, wish)| wish))?;
        let started = Arc::new(started);
        // A row that a delivery left alone, because a person changed it meanwhile, is looked at again.
        outbox.listen(&started);
        *self.watches.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        if only.is_none() {
            let plans = runtime.plan().integrations.values();
            let ahead = Precompute::start(&self.context, engine, plans, &self.systems())?;
            *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
        Ok(())
    }

    /// Whether watches run.
    pub(crate) fn running(&self) -> bool {
        self.watches().is_some()
    }

    fn watches(&self) -> Option<Arc<Watches>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How each watch does.
    pub(crate) fn states(&self) -> BTreeMap<Arc<str>, WatchState> {
        self.watches().map(|watches| watches.states()).unwrap_or_default()
    }

    /// How the backfill of an integration does, after a wish if there is one; `None`: nothing watches for it now.
    pub(crate) fn backfill(&self, integration: &str, wish: Option<BackfillWish>) -> Option<BackfillState> {
        self.watches()?.backfill(integration, wish)
    }

    /// A connection of its own to a system for one command, which may also read what the plan lets it write: a preview shows
    /// the values that stand there, and an undo has them as its condition.
    ///
    /// # Errors
    /// `NotFound` when the plan has no such system; the kind's.
    pub(crate) fn apart(&self, plan: &Plan, name: &str) -> Result<System> {
        let system = plan.systems.get(name).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "system_not_found", "the plan has no such system any more")
                .with("system", name)
        })?;
        let mut allowed = system.allowed.clone();
        for (resource, fields) in &system.allowed.write {
            allowed.read.entry(resource.clone()).or_default().extend(fields.iter().cloned());
        }
        Ok(self.guarded(system, self.connect(system, allowed)?))
    }

    /// Connections of their own to the systems that lookups ask, for one command.
    ///
    /// # Errors
    /// As [`Flows::apart`].
    pub(crate) fn sources(&self, plan: &Plan) -> Result<Systems> {
        let lookups = plan.integrations.values().flat_map(|one| &one.lookups.list);
        let names: BTreeSet<&Arc<str>> = lookups.map(|lookup| &lookup.system).collect();
        names.into_iter().map(|name| Ok((name.clone(), Arc::new(self.apart(plan, name)?)))).collect()
    }

    /// Has the row of a dead record asked about again.
    ///
    /// # Errors
    /// As [`Watches::ask_again`]; `Unavailable` when nothing watches now.
    pub(crate) fn ask_again(&self, entry: &Entry) -> Result<()> {
        match self.watches() {
            Some(watches) => watches.ask_again(entry),
            None => Err(Error::new(
                ErrorKind::Unavailable,
                "not_running",
                "the record's row is watched by a running process only",
            )
            .hint("start `tendon up`, then retry the letter")),
        }
    }

    /// Stops the watches after the pages under way.
    pub(crate) async fn stop(&self) {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(watches) = watches {
            watches.stop().await;
        }
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ahead) = ahead {
            ahead.stop().await;
        }
    }
}

/// Whether the systems that flows of the plan name are there.
///
/// # Errors
/// `Internal` when one is not: the plan was made without looking.
fn named(plan: &Plan, systems: &Systems) -> Result<()> {
    let watched = plan.integrations.values().filter_map(|one| Some(&one.events.as_ref()?.system));
    let ahead = plan.integrations.values().filter_map(|one| Some(&one.cache.as_ref()?.precompute.as_ref()?.system));
    match watched.chain(ahead).find(|name| !systems.contains_key(*name)) {
        None => Ok(()),
        Some(name) => {
            Err(Error::new(ErrorKind::Internal, "system_not_there", "a flow names a system that was not built")
                .with("system", name))
        }
    }
}

/// How hard a system may be driven.
fn limits(plan: &SystemPlan) -> Limits {
    let guard = &plan.guard;
    let breaker = BreakerLimits {
        window: guard.window,
        calls: guard.calls,
        share: guard.share,
        slow: guard.slow.unwrap_or(plan.timeout / 2),
        probes: guard.probes,
        wait: guard.wait,
        longest: guard.longest,
    };
    Limits {
        concurrency: plan.concurrency,
        queue: guard.queue,
        rate: plan.rate,
        timeout: plan.timeout,
        retries: guard.retries,
        breaker,
    }
}
