//! The outbox: deliveries that were accepted (recorded with their decision) are brought to their systems, in order per
//! row, until they are done or dead. Each outcome is an entry of its own; what waits is a projection of the ledger, so a
//! crash at any moment leads to another attempt, and the write's condition makes another attempt harmless.
//!
//! A system that is down or slow is waited for without end: only a row that the system refuses becomes a dead letter.
//! Memory is bounded: beyond [`QUEUE_LIMIT`] deliveries per system the rest stays in the projection until there is room.

mod desk;
pub mod edit;
mod letters;
mod outcome;
mod projection;
mod queue;
mod refill;
mod report;
mod trail;
mod undo;
mod waiting;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Context,
    decision::{Decision, Delivery},
    sockets::{
        ledger::{Entry, Ledger},
        store::{Range, Store},
    },
};

use self::{
    desk::Desk,
    outcome::{Custody, Ending},
    projection::{LETTERS, letter_key, place_of},
    queue::{Lane, Origin, Pending},
};
pub use self::{
    desk::DeskState,
    letters::{Edit, Payload},
    outcome::{Counts, PassedOver, passed_over},
    projection::{LetterRow, OutboxProjection, RECORD_INDEX},
    queue::Place,
    report::{DeliveryReport, report},
    undo::{Undo, delivery_place},
    waiting::Waits,
};
use crate::{DeliverySink, record_format::More, systems::System};

/// Deliveries of one system held in memory.
pub const QUEUE_LIMIT: usize = 8192;
/// Erasures remembered, so that a decision recorded before one but accepted after it is not delivered.
const ERASURES: usize = 1024;

/// What the outbox works with.
pub struct Parts {
    /// Time and tasks.
    pub context: Context,
    /// The record.
    pub ledger: Arc<dyn Ledger>,
    /// Where [`OutboxProjection`] is kept.
    pub store: Arc<dyn Store>,
    /// Systems by name.
    pub systems: BTreeMap<Arc<str>, Arc<System>>,
    /// Retention class and region by integration.
    pub custody: BTreeMap<Arc<str>, (Arc<str>, Arc<str>)>,
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DeadLetter {
    /// Its id: entry and index, as `entry-index`.
    pub id: String,
    /// What is known without opening it.
    #[serde(flatten)]
    pub row: LetterRow,
}

/// The outbox. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

struct Shared {
    context: Context,
    ledger: Arc<dyn Ledger>,
    store: Arc<dyn Store>,
    desks: BTreeMap<Arc<str>, Desk>,
    custody: BTreeMap<Arc<str>, (Arc<str>, Arc<str>)>,
    erasures: Mutex<VecDeque<([u8; 16], u64)>>,
    listeners: Mutex<Vec<Weak<dyn PassedOverListener>>>,
    /// One undo or retry at a time: the second one of the same delivery sees the first one's entry.
    by_hand: tokio::sync::Mutex<()>,
}

/// Hears of rows that were passed over, so that whoever watches them looks again.
pub trait PassedOverListener: Send + Sync {
    /// The delivery of a decision of this integration left the row as it was.
    fn passed_over(&self, integration: &str, row: PassedOver);
}

impl Outbox {
    /// Starts one worker per system that can be written. Deliveries left from before are taken up from the projection.
    pub fn start(parts: Parts) -> Self {
        let desks = parts.systems.into_iter().map(|(name, system)| (name, Desk::new(system))).collect();
        let shared = Arc::new(Shared {
            context: parts.context,
            ledger: parts.ledger,
            store: parts.store,
            desks,
            custody: parts.custody,
            erasures: Mutex::new(VecDeque::new()),
            listeners: Mutex::default(),
            by_hand: tokio::sync::Mutex::default(),
        });
        for name in shared.desks.keys() {
            let (task, name) = (Arc::clone(&shared), Arc::clone(name));
            shared.context.spawn.spawn("outbox", Box::pin(async move { task.work(&name).await }));
        }
        Self { shared }
    }

    /// Takes over deliveries whose decision was just recorded at `seq`.
    pub fn accepted(&self, seq: u64, decision: &Decision, deliveries: &[Delivery]) {
        let lane = if decision.door == tendon_kernel::decision::Door::Batch { Lane::Backfill } else { Lane::Live };
        let gone = decision.subject.as_deref().is_some_and(|subject| self.shared.was_erased(subject, seq));
        let origin = Origin {
            id: decision.id,
            at: decision.at,
            integration: &decision.integration,
            model: decision.model.as_ref(),
            subject: decision.subject.as_ref(),
        };
        let trace = trail::origin();
        for (index, delivery) in deliveries.iter().enumerate() {
            let Some(desk) = self.shared.desks.get(&delivery.system) else { continue };
            let mut pending = Pending::new(place_at(seq, index), lane, &origin, delivery.clone());
            pending.trace.clone_from(&trace);
            if gone {
                self.shared.end_erased(vec![pending]);
            } else {
                desk.accept(pending);
            }
        }
    }

    /// Takes over the deliveries of a verdict that was just recorded.
    pub fn reviewed(&self, verdict: &Entry) {
        // What cannot be read was written by this very process; the next start would say so.
        let Ok(Some(pendings)) = pendings_of(verdict) else { return };
        let trace = trail::origin();
        for mut pending in pendings {
            let Some(desk) = self.shared.desks.get(&pending.delivery.system) else { continue };
            if self.shared.is_erased(&pending) {
                self.shared.end_erased(vec![pending]);
            } else {
                pending.trace.clone_from(&trace);
                desk.accept(pending);
            }
        }
    }

    /// Ends what waits for a subject that was erased by the entry at `seq`, and waits for writes under way: when this
    /// returns, no decision from before writes anything about the subject. Call it after the ledger erased.
    pub async fn erased(&self, subject: &str, seq: u64) {
        self.shared.remember_erasure(subject, seq);
        for desk in self.shared.desks.values() {
            self.shared.end_erased(desk.remove_subject(subject));
            desk.written().await;
            // A write that failed meanwhile has put its delivery back.
            self.shared.end_erased(desk.remove_subject(subject));
        }
    }

    /// Tells a listener of every row passed over from now on, as long as somebody else holds it: it asks the path, and the
    /// path holds the outbox.
    pub fn listen(&self, listener: &Arc<impl PassedOverListener + 'static>) {
        let listener: Weak<dyn PassedOverListener> = Arc::downgrade(listener) as _;
        let mut listeners = self.shared.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|one| one.strong_count() > 0);
        listeners.push(listener);
    }

    /// Waits until no delivery is undone or tried again by hand, and lets none begin while the guard lives: whoever erases a
    /// subject holds it, so that nothing is recorded about somebody who was erased after the look at the entries; and whoever puts
    /// another outbox in its place, so that no letter is given to one that has ended.
    pub async fn hold(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.shared.by_hand.lock().await
    }

    /// Whether it was stopped: nobody writes what is given to it.
    fn is_over(&self) -> bool {
        self.shared.desks.values().any(Desk::is_stopped)
    }

    /// State of each system's desk, by system.
    pub fn states(&self) -> BTreeMap<Arc<str>, DeskState> {
        self.shared.desks.iter().map(|(name, desk)| (name.clone(), desk.state())).collect()
    }

    /// Dead letters, oldest first, after a place.
    ///
    /// # Errors
    /// The store's.
    pub async fn letters(&self, after: Option<Place>, limit: usize) -> Result<Vec<DeadLetter>> {
        // The letter of a whole record has the last index that there is: what follows it is of another entry.
        let next = |(seq, index): Place| index.checked_add(1).map_or((seq.saturating_add(1), 0), |index| (seq, index));
        let from = after.map_or_else(Vec::new, |place| letter_key(next(place)));
        let rows = self.shared.store.range(LETTERS, Range { from, to: None, limit, descending: false }).await?;
        rows.into_iter().map(|(key, value)| letter(place_of(&key)?, &value)).collect()
    }

    /// One dead letter by its id.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn letter(&self, id: &str) -> Result<(Place, DeadLetter)> {
        let place = letter_place(id)?;
        match self.shared.store.get(LETTERS, &letter_key(place)).await? {
            Some(value) => Ok((place, letter(place, &value)?)),
            None => Err(no_letter(id)),
        }
    }

    /// Stops the workers after the batches under way and waits for them.
    pub async fn stop(&self) {
        for desk in self.shared.desks.values() {
            desk.stop();
        }
        for desk in self.shared.desks.values() {
            desk.stopped().await;
        }
    }
}

impl DeliverySink for Outbox {
    fn accepted(&self, seq: u64, decision: &Decision, deliveries: &[Delivery]) {
        Self::accepted(self, seq, decision, deliveries);
    }

    fn reviewed(&self, verdict: &Entry) {
        Self::reviewed(self, verdict);
    }
}

/// Place of a decision's delivery.
fn place_at(seq: u64, index: usize) -> Place {
    (seq, u16::try_from(index).unwrap_or(RECORD_INDEX - 1))
}

/// The deliveries of a decision's entry as they wait; `None` when its subject was erased.
fn pendings_of(entry: &Entry) -> Result<Option<Vec<Pending>>> {
    let Some(body) = &entry.body else { return Ok(None) };
    let More { deliveries, reviewed, .. } = More::parse(&body.more)?;
    let origin = Origin::of_entry(entry);
    let pendings = deliveries.into_iter().enumerate();
    let pendings = pendings.map(|(index, delivery)| Pending {
        decided: reviewed,
        ..Pending::new(place_at(entry.seq, index), Lane::Live, &origin, delivery)
    });
    Ok(Some(pendings.collect()))
}

/// Stands for a delivery that cannot be read (erased) or a record without one, so that its ending can be recorded.
fn record_placeholder(entry: &Entry, place: Place, system: &Arc<str>) -> Pending {
    let delivery =
        Delivery { system: system.clone(), resource: "".into(), key: vec![], set: vec![], expect: vec![], older: None };
    // Without the subject: what is erased is named nowhere.
    Pending::new(place, Lane::Live, &Origin { subject: None, ..Origin::of_entry(entry) }, delivery)
}

impl Shared {
    fn remember_erasure(&self, subject: &str, seq: u64) {
        let token = self.ledger.tokens().token("subject", subject);
        let mut erasures = self.erasures.lock().unwrap_or_else(PoisonError::into_inner);
        erasures.push_back((token, seq));
        while erasures.len() > ERASURES {
            erasures.pop_front();
        }
    }

    fn was_erased(&self, subject: &str, seq: u64) -> bool {
        let erasures = self.erasures.lock().unwrap_or_else(PoisonError::into_inner);
        if erasures.is_empty() {
            return false;
        }
        let token = self.ledger.tokens().token("subject", subject);
        erasures.iter().any(|(erased, at)| *erased == token && seq < *at)
    }

    fn custody(&self, pending: &Pending) -> Custody {
        let (retention, region) =
            self.custody.get(&pending.integration).cloned().unwrap_or(("standard".into(), "".into()));
        Custody { retention, region }
    }

    fn tell_passed_over(&self, pending: &Pending) {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            let row = PassedOver { seq: pending.decided.unwrap_or(pending.place.0), key: outcome::key_values(pending) };
            listener.passed_over(&pending.integration, row);
        }
    }

    /// Records that deliveries ended because their subject was erased. If the ledger is stopped the rows stay in the
    /// projection, and the next start ends them.
    fn end_erased(&self, pendings: Vec<Pending>) {
        if pendings.is_empty() {
            return;
        }
        let now = self.context.clock.now();
        let drafts = pendings.iter().map(|pending| outcome::draft(pending, Ending::Erased, now, self.custody(pending)));
        if let Err(error) = self.ledger.append(drafts.collect()) {
            tracing::warn!(code = error.code(), "the end of an erased subject's deliveries could not be recorded yet");
        }
    }
}

fn letter(place: Place, value: &[u8]) -> Result<DeadLetter> {
    let row = serde_json::from_slice(value).map_err(|_| {
        Error::new(ErrorKind::Corrupt, "projection_unreadable", "a row of the dead letters has an unknown form")
            .hint("delete .tendon/projections.db: it is rebuilt from the ledger")
    })?;
    Ok(DeadLetter { id: format!("{}-{}", place.0, place.1), row })
}

/// Reads the id of a letter, `entry-index`.
///
/// # Errors
/// `Invalid` when it is none.
pub fn letter_place(id: &str) -> Result<Place> {
    let parsed = id.split_once('-').and_then(|(seq, index)| Some((seq.parse().ok()?, index.parse().ok()?)));
    parsed.ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "not_a_letter_id", "the text is no id of a dead letter")
            .hint("ids look like 1042-0; `tendon letters list` shows them")
    })
}

fn no_letter(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, "letter_not_found", "there is no such dead letter")
        .with("letter", id)
        .hint("it may have been retried already; `tendon letters list` shows those left")
}

fn gone(id: &str) -> Error {
    Error::new(ErrorKind::Gone, "letter_erased", "the letter's subject was erased").with("letter", id)
}
