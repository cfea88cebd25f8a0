//! The engine: what the path needs from one request to the next, and the one way in.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use arc_swap::ArcSwap;
use tendon_kernel::{
    Result, Timestamp,
    context::Context,
    decision::{Decision, Delivery},
    sockets::ledger::{Entry, EntryKind, Ledger},
};

use crate::{
    allowance::Allowances,
    ask::{Answers, Ask, Caller},
    lookup::{Copies, World},
    metrics::PathMeters,
    past::Pasts,
    path,
    recalling::{Recalling, Use},
    refusals::Refusals,
    requests::Requests,
    reviews::Reviews,
    room::Rooms,
    running::Running,
    runtime::Runtime,
    shadow::Shadows,
    stages::admit,
};

/// Takes over deliveries once they are durable in their decision's entry. Must not block.
pub trait DeliverySink: Send + Sync {
    /// The decision at this position causes these deliveries, in the order of its entry.
    fn accepted(&self, seq: u64, decision: &Decision, deliveries: &[Delivery]);

    /// The verdict of a person, in this entry, causes the deliveries that stand in it.
    fn reviewed(&self, verdict: &Entry);
}

/// Entries that are looked at for the latest decision's time: more than were under way at once when the record stopped.
const RESUME: u64 = 256;

/// What an engine is made of.
pub struct Parts {
    /// Time, randomness, tasks.
    pub context: Context,
    /// The record of everything.
    pub ledger: Arc<dyn Ledger>,
    /// The plan to start with.
    pub runtime: Runtime,
    /// Who carries out deliveries; `None`: they wait in the ledger.
    pub deliveries: Option<Arc<dyn DeliverySink>>,
}

/// The one path to a decision. Cheap to share; all doors hold the same one.
pub struct Engine {
    pub(crate) context: Context,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) deliveries: Option<Arc<dyn DeliverySink>>,
    pub(crate) running: Running,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) allowances: Arc<Allowances>,
    pub(crate) meters: PathMeters,
    pub(crate) shadows: Arc<Shadows>,
    pub(crate) requests: Requests,
    pub(crate) reviews: Arc<Reviews>,
    pub(crate) recalling: Recalling,
    pub(crate) pasts: Pasts,
    /// Rows that were looked up.
    copies: Copies,
    runtime: ArcSwap<Runtime>,
    /// Time of the latest decision, in microseconds: see [`Engine::stamp`].
    latest: AtomicI64,
    pub(crate) rooms: Arc<Rooms>,
}

impl Engine {
    /// An engine.
    pub fn new(parts: Parts) -> Arc<Self> {
        let refusals = Refusals::new(parts.context.clone(), Arc::clone(&parts.ledger));
        parts.runtime.count_in(&parts.context.metrics);
        Arc::new(Self {
            rooms: Rooms::new(&parts.context),
            allowances: Allowances::new(parts.context.clone()),
            meters: PathMeters::new(&parts.context.metrics),
            requests: Requests::new(&parts.context.metrics),
            reviews: Reviews::new(&parts.context.metrics),
            copies: Copies::new(parts.ledger.tokens()),
            context: parts.context,
            ledger: parts.ledger,
            deliveries: parts.deliveries,
            running: Running::default(),
            shadows: Arc::default(),
            recalling: Recalling::default(),
            pasts: Pasts::default(),
            refusals,
            runtime: ArcSwap::from_pointee(parts.runtime),
            latest: AtomicI64::new(i64::MIN),
        })
    }

    /// Decides. The path runs in a task of its own: dropping this future loses the answer, never the record.
    ///
    /// # Errors
    /// Refusals, which leave no decision: `NotFound` (no such integration), `Forbidden`, `Timeout` (the deadline has
    /// passed; a decision that is under way is still recorded), `Overloaded`. Everything else is said per item.
    pub async fn decide(self: &Arc<Self>, ask: Ask) -> Result<Answers> {
        path::decide(self, ask, Use::Fully).await
    }

    /// Whether this caller may ask this integration at all; for doors that must know before the first question is read.
    ///
    /// # Errors
    /// `NotFound` (no such integration), `Forbidden`.
    pub fn may_ask(&self, caller: &Caller, integration: &str) -> Result<()> {
        admit::may_ask(self, caller, integration).map(drop)
    }

    /// Whether there is room for one more live question, for doors that read it only then; its refusal, which the door counts, where
    /// there is none. Room that was there may be gone when the question is asked.
    ///
    /// # Errors
    /// `Overloaded`.
    pub fn has_room(&self, caller: &Caller, integration: &str) -> Result<()> {
        admit::has_room(self, caller, integration)
    }

    /// How much each caller has asked.
    pub fn allowances(&self) -> &Arc<Allowances> {
        &self.allowances
    }

    /// Takes up the record where it stopped: later decisions are dated after its last entry, even when the wall clock was
    /// set back meanwhile. Call it before the first decision.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn resume(&self) -> Result<()> {
        let (mut left, mut decided) = (RESUME, false);
        for seq in (0..self.ledger.state().size).rev() {
            // Outcomes carry the wall clock's own time, so the walk goes on until it has met a decision.
            if left == 0 && decided {
                break;
            }
            left = left.saturating_sub(1);
            if let Some(entry) = self.ledger.entry(seq).await? {
                decided |= entry.facts.kind == EntryKind::Decision;
                self.latest.fetch_max(entry.facts.at.0, Ordering::AcqRel);
            }
        }
        Ok(())
    }

    /// The time of a new decision: the wall clock's, or just after the latest decision's when the clock went back. A
    /// write-back only replaces an older decision's values, so a clock that jumps must not make a new decision look old.
    pub(crate) fn stamp(&self) -> Timestamp {
        let now = self.context.clock.now().0;
        let next = |latest: i64| Some(now.max(latest.saturating_add(1)));
        match self.latest.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) {
            Ok(latest) | Err(latest) => Timestamp(now.max(latest.saturating_add(1))),
        }
    }

    /// Puts another plan and models in place; requests under way end with the ones they began with.
    pub fn install(&self, runtime: Runtime) {
        runtime.count_in(&self.context.metrics);
        let other_plan = self.runtime().plan().digest != runtime.plan().digest;
        self.runtime.store(Arc::new(runtime));
        if other_plan {
            // The same name may be another database now, or another type.
            self.copies.clear();
        }
        self.requests.unpark();
    }

    /// Somebody was erased: what was looked up and is still in memory may tell of that person.
    pub(crate) fn forget_rows(&self) {
        self.copies.clear();
    }

    /// What lookups need of the world.
    pub(crate) fn world(&self) -> World<'_> {
        World { context: &self.context, copies: Some(&self.copies) }
    }

    /// What is installed now.
    pub fn runtime(&self) -> Arc<Runtime> {
        self.runtime.load_full()
    }

    /// The ledger that this engine records in.
    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.ledger
    }

    /// Decisions under way.
    pub fn in_flight(&self) -> usize {
        self.rooms.in_flight()
    }

    /// Counts a refusal that a door made before the path (unknown key, wrong form); summarised in the ledger.
    pub fn refused(&self, integration: &str, reason: &'static str) {
        let known = self.runtime.load().ready(integration).is_some();
        self.refusals.count(if known { integration } else { "" }, reason);
    }

    /// Writes the refusals counted so far into the ledger (for shutdown; otherwise once a minute).
    pub fn flush_refusals(&self) {
        self.refusals.flush();
    }
}
