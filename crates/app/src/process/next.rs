//! From a project on disk to one in force, in steps: read and judge, prepare all parts, record, put in force. Whatever can refuse
//! is asked before the record; from the record on nothing can. So what is refused leaves everything as it was, and what is
//! recorded is in force.

use std::sync::Arc;

use tendon_doors::trust::Rules;
use tendon_engine::{
    Runtime,
    outbox::{self, Outbox},
};
use tendon_kernel::sockets::ledger::Draft;
use tendon_platform::{CaReady, OutgoingHttp, TlsReady};

use crate::{
    assemble, certificates,
    failure::Failure,
    installed::Installed,
    registry::View,
    telemetry::{self, Telling},
    wiring::{Parts, Purpose},
};

/// A project that was read and judged.
pub(crate) struct Next {
    installed: Installed,
    runtime: Runtime,
}

/// The same with all parts prepared; only the record can still refuse it.
pub(crate) struct Prepared {
    installed: Installed,
    /// `None`: nothing runs that it could be in force for.
    parts: Option<Ready>,
}

/// What is put in force, made and without effect.
struct Ready {
    runtime: Runtime,
    /// Systems and what an outbox for them is made of; `None` where the plan in force is the same.
    outbox: Option<outbox::Parts>,
    /// `None` where the listener has no TLS.
    tls: Option<TlsReady>,
    ca: CaReady,
    telling: Telling,
    rules: Rules,
    /// `None` when it was in force before.
    entry: Option<Draft>,
}

/// The same, recorded.
pub(crate) struct Recorded {
    installed: Installed,
    parts: Option<Ready>,
    /// Whether the record says that it came in force just now.
    changed: bool,
}

impl Next {
    /// Reads and judges the project as it is on disk, with the aliases of the view.
    ///
    /// # Errors
    /// When it is wrong, or needs a restart.
    pub(crate) async fn read(parts: &Parts, view: &View) -> Result<Self, Failure> {
        let assembled = assemble::assemble(&parts.project, &parts.context, &parts.secrets, view).await?;
        let installed = Installed::from(assembled, &parts.project.only)?;
        let running = parts.engine.runtime();
        crate::caches::same(running.plan(), &installed.plan)?;
        super::grpc::same(running.plan(), &installed.plan)?;
        super::listen::same(&running.plan().trust, &installed.plan.trust)?;
        let runtime = installed.runtime()?;
        Ok(Self { installed, runtime })
    }

    /// The aliases that name a version.
    pub(crate) fn aliases(&self, model: &str, version: &str) -> Vec<String> {
        let aliases = self.installed.aliases();
        let named = aliases.get(model).into_iter().flat_map(|aliases| aliases.iter());
        named.filter(|(_, of)| *of == version).map(|(alias, _)| alias.clone()).collect()
    }

    /// Keeps plan and models by digest, before anything can name them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) async fn keep(&self, parts: &Parts) -> Result<(), Failure> {
        Ok(self.installed.keep(&*parts.records, &parts.context).await?)
    }

    /// Makes all parts, which takes no effect. Call it, and what follows, with the turn to install held.
    ///
    /// # Errors
    /// When a part cannot be made.
    pub(crate) fn prepare(self, parts: &Parts) -> Result<Prepared, Failure> {
        let Self { installed, runtime } = self;
        if parts.purpose == Purpose::Command {
            return Ok(Prepared { installed, parts: None });
        }
        let plan = &installed.plan;
        let same = parts.engine.runtime().plan().digest == plan.digest;
        let outbox = if same { None } else { Some(parts.flows.outbox(plan, &parts.ledger)?) };
        let tls = parts.tls.as_ref().zip(certificates::tls_files(plan, &parts.project));
        let ready = Ready {
            runtime,
            outbox,
            tls: tls.map(|(tls, files)| tls.prepare(files)).transpose()?,
            ca: OutgoingHttp::prepare(certificates::outgoing_ca(plan, &parts.project).as_deref())?,
            telling: telemetry::prepare(plan, &*parts.secrets)?,
            rules: parts.gate.prepare(plan)?,
            entry: (installed.digest() != *parts.in_force()).then(|| installed.entry(&parts.context)),
        };
        Ok(Prepared { installed, parts: Some(ready) })
    }
}

impl Prepared {
    /// The digest of its plan.
    pub(crate) fn plan(&self) -> &Arc<str> {
        &self.installed.plan.digest
    }

    /// Records that it is in force, together with the entries of what led to it.
    ///
    /// # Errors
    /// As the ledger's: then it is not in force.
    pub(crate) async fn record(mut self, parts: &Parts, mut entries: Vec<Draft>) -> Result<Recorded, Failure> {
        let entry = self.parts.as_mut().and_then(|ready| ready.entry.take());
        let changed = entry.is_some();
        entries.extend(entry);
        if !entries.is_empty() {
            parts.ledger.commit(entries).await?;
        }
        if changed {
            self.installed.note(&*parts.records).await;
        }
        Ok(Recorded { installed: self.installed, parts: self.parts, changed })
    }
}

impl Recorded {
    /// Puts it in force. False when it was in force before, or nothing runs that it could be in force for.
    pub(crate) async fn put_in_force(self, parts: &Parts) -> bool {
        let Self { installed, parts: Some(ready), changed } = self else { return false };
        if let Some((tls, files)) = parts.tls.as_ref().zip(ready.tls) {
            tls.adopt(files);
        }
        parts.http.adopt(ready.ca);
        telemetry::adopt(&parts.telemetry, ready.telling);
        parts.gate.adopt(ready.rules);
        if !changed {
            return false;
        }
        *parts.in_force() = installed.digest();
        match ready.outbox {
            None => {
                ready.runtime.lend(&parts.flows.systems());
                parts.engine.install(ready.runtime);
            }
            Some(outbox) => exchange(parts, &installed, ready.runtime, outbox).await,
        }
        true
    }
}

/// Systems and watches may have changed: they are exchanged around the path, which goes on meanwhile.
async fn exchange(parts: &Parts, installed: &Installed, runtime: Runtime, outbox: outbox::Parts) {
    runtime.lend(&outbox.systems);
    parts.flows.stop().await;
    let before = parts.deliveries.current();
    // A letter that is tried again is given to this one before it stops, or to the next one.
    let _by_hand = before.hold().await;
    parts.deliveries.pause();
    before.stop().await;
    parts.engine.install(runtime);
    // What the old outbox had accepted is found in the projection by the new one, less what it has ended: how its last deliveries
    // ended is perhaps not recorded yet, and they would end a second time. A ledger that cannot write does not hold this up.
    drop(parts.ledger.appended().await);
    let settled = parts.settle().await;
    parts.flows.adopt(&installed.plan, &outbox);
    parts.deliveries.resume(Outbox::start(outbox));
    let started = parts.flows.start(&parts.engine, &parts.ledger, &parts.deliveries.current());
    if let Err(error) = settled.and(started) {
        // The plan is in force; what it lacks was looked for when it was prepared.
        tracing::error!(code = error.code(), "a flow of the changed project does not run: {error}");
    }
}
