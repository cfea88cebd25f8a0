//! The `events` door on a watched table: changed row → path → outbox → write-back.
//!
//! Two lanes share one task per integration, live changes always first:
//! - *live*: changes by watermark. Each round rereads an overlap, because application clocks, equal timestamps and late
//!   commits are real.
//! - *sweep*: all rows in key order, compared by digest with what each row's last decision saw. The first sweep is the
//!   backfill of what was there before; later ones find what no watermark told.
//!
//! A row is left out only when it equals what its *last* decision saw; so our own write-back, and a trigger that touches
//! the watermark, wake nobody, while A → B → A is three decisions. The place moves past recorded rows only.

mod backfill;
mod lanes;
mod memory;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tendon_engine::{
    Engine,
    outbox::{PassedOver, PassedOverListener},
    record_format::More,
    systems::{System, backoff},
};
use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp, Value,
    context::Context,
    sockets::{
        ledger::{Entry, Ledger},
        store::Store,
    },
};
use tendon_plan::{IntegrationPlan, plan::EventsPlan};
use tokio::sync::{Notify, watch};

pub use self::backfill::{BackfillState, BackfillWish};
pub use self::memory::WatchProjection;
use self::{backfill::Control, lanes::Lanes};

/// Waits after failures.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// What the watches work with.
#[derive(Clone)]
pub struct Parts {
    /// Time and tasks.
    pub context: Context,
    /// The path.
    pub engine: Arc<Engine>,
    /// The record.
    pub ledger: Arc<dyn Ledger>,
    /// Where [`WatchProjection`] is kept.
    pub store: Arc<dyn Store>,
}

/// How a watch does.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct WatchState {
    /// Rows asked about since the start.
    pub asked: u64,
    /// Rows looked at since the start.
    pub looked_at: u64,
    /// When the live lane last reached the end.
    pub up_to_date_at: Option<Timestamp>,
    /// Whether a sweep is under way.
    pub sweeping: bool,
    /// When the last sweep ended.
    pub swept_at: Option<Timestamp>,
    /// Public sentence of the failure that holds it up now.
    pub failing: Option<String>,
}

/// All running watches.
pub struct Watches {
    desks: BTreeMap<Arc<str>, Arc<Desk>>,
    stop: watch::Sender<bool>,
}

/// One watch, seen from outside.
struct Desk {
    parts: Parts,
    system: Arc<System>,
    plan: Arc<IntegrationPlan>,
    state: Mutex<WatchState>,
    /// Rows somebody asked to be looked at again, whatever they saw last.
    again: Mutex<Vec<Vec<Value>>>,
    /// Rows that a delivery passed over: to be looked at now.
    passed_over: Mutex<Vec<PassedOver>>,
    backfill: Control,
    wake: Notify,
    ended: watch::Sender<bool>,
}

impl Watches {
    /// Starts a watch for each integration that declares one.
    ///
    /// # Errors
    /// `Internal` when a plan names a system that is not there.
    pub fn start<'a>(
        parts: &Parts,
        plans: impl IntoIterator<Item = &'a Arc<IntegrationPlan>>,
        systems: &BTreeMap<Arc<str>, Arc<System>>,
    ) -> Result<Self> {
        Self::start_with(parts, plans, systems, None)
    }

    /// The same with a wish that each watch finds when it begins, before its own first sweep.
    ///
    /// # Errors
    /// As [`Watches::start`].
    pub fn start_with<'a>(
        parts: &Parts,
        plans: impl IntoIterator<Item = &'a Arc<IntegrationPlan>>,
        systems: &BTreeMap<Arc<str>, Arc<System>>,
        wish: Option<BackfillWish>,
    ) -> Result<Self> {
        let (stop, _) = watch::channel(false);
        let mut desks = BTreeMap::new();
        for plan in plans {
            let Some(events) = &plan.events else { continue };
            let system = systems.get(&events.system).cloned().ok_or_else(|| {
                Error::new(ErrorKind::Internal, "system_not_there", "a watch names a system that was not built")
                    .with("system", &events.system)
            })?;
            let desk = Arc::new(Desk {
                parts: parts.clone(),
                system,
                plan: plan.clone(),
                state: Mutex::default(),
                again: Mutex::default(),
                passed_over: Mutex::default(),
                backfill: Control::default(),
                wake: Notify::new(),
                ended: watch::channel(false).0,
            });
            if let Some(wish) = wish {
                desk.backfill.wish(wish);
            }
            desks.insert(plan.name.clone(), desk.clone());
            let stop = stop.subscribe();
            parts.context.spawn.spawn("watch", Box::pin(async move { desk.run(stop).await }));
        }
        Ok(Self { desks, stop })
    }

    /// How each watch does, by integration.
    pub fn states(&self) -> BTreeMap<Arc<str>, WatchState> {
        self.desks.iter().map(|(name, desk)| (name.clone(), desk.state())).collect()
    }

    /// Looks at the row of a dead record again, as it is now.
    ///
    /// # Errors
    /// `Unsupported` when the entry came from no watched row; `Gone` when its subject was erased.
    pub fn ask_again(&self, entry: &Entry) -> Result<()> {
        let body = entry
            .body
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::Gone, "letter_erased", "the letter's subject was erased"))?;
        let row = More::parse(&body.more)?.row;
        let (Some(row), Some(desk)) = (row, self.desks.get(&entry.facts.integration)) else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "no_row",
                "the record came from no row that is watched now",
            ));
        };
        desk.again.lock().unwrap_or_else(PoisonError::into_inner).push(row.key);
        desk.wake.notify_one();
        Ok(())
    }

    /// How the backfill of an integration does, after a wish if there is one; `None`: it is not watched.
    pub fn backfill(&self, integration: &str, wish: Option<BackfillWish>) -> Option<BackfillState> {
        let desk = self.desks.get(integration)?;
        let Some(wish) = wish else { return Some(desk.backfill.state()) };
        let state = desk.backfill.wish(wish);
        desk.wake.notify_one();
        Some(state)
    }

    /// Looks for changes now instead of at the next poll.
    pub fn wake(&self) {
        self.desks.values().for_each(|desk| desk.wake.notify_one());
    }

    /// Stops all watches after the pages under way and waits for them.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        self.wake();
        for desk in self.desks.values() {
            // An error means that the watch is gone, which is what we wait for.
            let _ = desk.ended.subscribe().wait_for(|ended| *ended).await;
        }
    }
}

impl PassedOverListener for Watches {
    fn passed_over(&self, integration: &str, row: PassedOver) {
        if let Some(desk) = self.desks.get(integration) {
            desk.passed_over.lock().unwrap_or_else(PoisonError::into_inner).push(row);
            desk.wake.notify_one();
        }
    }
}

impl Desk {
    async fn run(&self, stop: watch::Receiver<bool>) {
        if let Some(events) = &self.plan.events {
            self.watch(events, &stop).await;
        }
        self.ended.send_replace(true);
    }

    async fn watch(&self, events: &EventsPlan, stop: &watch::Receiver<bool>) {
        let mut lanes = Lanes::new(&self.parts, &self.plan, events, &self.system, &self.backfill);
        let mut failures = 0;
        while !*stop.borrow() {
            // Nothing is tried before the system's retry budget and its breaker allow it: what failed stays said meanwhile.
            if failures > 0 && self.system.retry().is_err() {
                self.rest(self.system.retry_ready_in().max(FIRST_WAIT)).await;
                continue;
            }
            let keys = std::mem::take(&mut *self.again.lock().unwrap_or_else(PoisonError::into_inner));
            let passed_over = std::mem::take(&mut *self.passed_over.lock().unwrap_or_else(PoisonError::into_inner));
            let result = lanes.round(keys, &passed_over, stop).await;
            self.note(&lanes, result.as_ref().err());
            let wait = match result {
                Ok(next) => {
                    failures = 0;
                    match next {
                        Some(Duration::ZERO) => continue,
                        Some(wait) => wait.min(events.poll),
                        None => events.poll,
                    }
                }
                Err((error, keys)) => {
                    self.again.lock().unwrap_or_else(PoisonError::into_inner).extend(keys);
                    if failures == 0 {
                        tracing::warn!(integration = %self.plan.name, code = error.code(), "the watch is held up; it tries again: {error}");
                    }
                    failures += 1;
                    backoff(failures, FIRST_WAIT, LONGEST_WAIT, &self.parts.context).max(self.system.retry_in())
                }
            };
            self.rest(wait).await;
        }
    }

    /// Waits until somebody wakes it, but no longer than this.
    async fn rest(&self, longest: Duration) {
        tokio::select! {
            biased;
            () = self.wake.notified() => {}
            () = self.parts.context.clock.sleep(longest) => {}
        }
    }

    fn note(&self, lanes: &Lanes<'_>, failure: Option<&(Error, Vec<Vec<Value>>)>) {
        let mut state = lanes.state();
        state.failing = failure.map(|(error, _)| error.to_string());
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn state(&self) -> WatchState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
