//! Systems and watches of the plan in force: built, exchanged and stopped as a whole.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tendon_engine::{
    Engine,
    outbox::{self, Outbox},
    systems::{Limits, System},
};
use tendon_flows::watch::{self, WatchState, Watches};
use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Context,
    sockets::{
        connector::Build,
        ledger::{Entry, Ledger},
        secrets::Secrets,
        store::Store,
    },
};
use tendon_plan::{Plan, plan::SystemPlan};

use crate::{project::Project, wiring::Purpose};

type Systems = BTreeMap<Arc<str>, Arc<System>>;

/// Systems and watches in use.
pub(crate) struct Flows {
    project: Project,
    context: Context,
    secrets: Arc<dyn Secrets>,
    store: Arc<dyn Store>,
    purpose: Purpose,
    systems: Mutex<Systems>,
    watches: Mutex<Option<Arc<Watches>>>,
}

impl Flows {
    /// Nothing runs yet.
    pub(crate) fn new(
        project: &Project,
        context: &Context,
        secrets: &Arc<dyn Secrets>,
        store: Arc<dyn Store>,
        purpose: Purpose,
    ) -> Self {
        Self {
            project: project.clone(),
            context: context.clone(),
            secrets: secrets.clone(),
            store,
            purpose,
            systems: Mutex::default(),
            watches: Mutex::default(),
        }
    }

    /// Builds the plan's systems and what an outbox for them is made of. For a single command there are none, so that
    /// looking something up never writes to a system.
    ///
    /// # Errors
    /// When a connection cannot be built from its settings.
    pub(crate) fn outbox(&self, plan: &Plan, ledger: &Arc<dyn Ledger>) -> Result<outbox::Parts> {
        let mut systems = Systems::new();
        if self.purpose == Purpose::Serve {
            for (name, system) in &plan.systems {
                systems.insert(name.clone(), Arc::new(self.build(system)?));
            }
        }
        *self.systems.lock().unwrap_or_else(PoisonError::into_inner) = systems.clone();
        let custody = plan.integrations.values();
        let custody = custody.map(|one| (one.name.clone(), (one.retention.clone(), one.region.clone()))).collect();
        let store = self.store.clone();
        Ok(outbox::Parts { context: self.context.clone(), ledger: ledger.clone(), store, systems, custody })
    }

    fn build(&self, plan: &SystemPlan) -> Result<System> {
        let kind = tendon_connectors::find(&plan.kind).ok_or_else(|| {
            Error::new(ErrorKind::Config, "kind_unknown", "a system has an unknown kind").with("system", &plan.name)
        })?;
        let connector = (kind.build)(Build {
            system: plan.name.to_string(),
            config: plan.config.clone(),
            allowed: plan.allowed.clone(),
            folder: self.project.folder.clone(),
            context: self.context.clone(),
            secrets: self.secrets.clone(),
        })?;
        let limits = Limits { concurrency: plan.concurrency, rate: plan.rate, timeout: plan.timeout };
        Ok(System::new(&plan.name, connector, limits, self.context.clone()))
    }

    /// The systems in use.
    pub(crate) fn systems(&self) -> Systems {
        self.systems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts the watches of the plan in force.
    ///
    /// # Errors
    /// `Internal` when a watch names a system that was not built.
    pub(crate) fn start(&self, engine: &Arc<Engine>, ledger: &Arc<dyn Ledger>, outbox: &Outbox) -> Result<()> {
        let parts = watch::Parts {
            context: self.context.clone(),
            engine: engine.clone(),
            ledger: ledger.clone(),
            store: self.store.clone(),
        };
        let runtime = engine.runtime();
        let started = Watches::start(&parts, runtime.plan().integrations.values(), &self.systems())?;
        let started = Arc::new(started);
        // A row that a delivery left alone, because a person changed it meanwhile, is looked at again.
        outbox.listen(started.clone());
        *self.watches.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
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
    }
}
