//! Refusals at the door are no decisions: they are counted, and once a minute summarised in one `Access` entry, so that the
//! record tells of them without letting a flood of them write the disk full.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tendon_kernel::{
    Id,
    context::Context,
    sockets::ledger::{Body, Draft, EntryKind, Facts, Ledger},
};

use crate::metrics;

/// How long refusals are gathered.
const WINDOW: Duration = Duration::from_secs(60);
/// Different (integration, reason) pairs kept in one window; integrations are known names, so this is never reached in
/// practice and only bounds memory.
const MOST: usize = 1_000;

type Counts = BTreeMap<String, BTreeMap<&'static str, u64>>;

/// Refusals not yet in the ledger.
pub(crate) struct Refusals {
    context: Context,
    ledger: Arc<dyn Ledger>,
    counts: Mutex<Counts>,
    /// Whether a task waits to write them.
    scheduled: AtomicBool,
}

impl Refusals {
    pub(crate) fn new(context: Context, ledger: Arc<dyn Ledger>) -> Arc<Self> {
        Arc::new(Self { context, ledger, counts: Mutex::default(), scheduled: AtomicBool::new(false) })
    }

    /// Counts one. `integration` must be a name of the plan, or empty: callers choose it freely, and the ledger keeps it.
    pub(crate) fn count(self: &Arc<Self>, integration: &str, reason: &'static str) {
        metrics::refused(&self.context.metrics, reason);
        {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            if counts.len() < MOST || counts.contains_key(integration) {
                *counts.entry(integration.to_owned()).or_default().entry(reason).or_default() += 1;
            }
        }
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            let refusals = Arc::clone(self);
            let wait = self.context.clock.sleep(WINDOW);
            self.context.spawn.spawn(
                "refusals",
                Box::pin(async move {
                    wait.await;
                    refusals.flush();
                }),
            );
        }
    }

    /// Writes what was counted. Kept for the next time when the ledger takes nothing now.
    pub(crate) fn flush(&self) {
        self.scheduled.store(false, Ordering::Release);
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        if counts.is_empty() {
            return;
        }
        let none: Arc<str> = "".into();
        let facts = Facts {
            kind: EntryKind::Access,
            id: Id::new(&self.context),
            at: self.context.clock.now(),
            integration: Arc::clone(&none),
            model: None,
            route: Arc::clone(&none),
            reason: "refused".into(),
            caller: Arc::clone(&none),
            policy: Arc::clone(&none),
            plan: Arc::clone(&none),
            retention: Arc::clone(&none),
            region: none,
        };
        let more = serde_json::to_vec(&serde_json::json!({ "refused": counts })).unwrap_or_default();
        let draft = Draft { facts, body: Body { more, ..Body::default() }, claim: None };
        if self.ledger.append(vec![draft]).is_err() {
            let mut kept = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            for (integration, reasons) in counts {
                let entry = kept.entry(integration).or_default();
                for (reason, count) in reasons {
                    *entry.entry(reason).or_default() += count;
                }
            }
        }
    }
}
