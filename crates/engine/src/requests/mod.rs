//! Requests that are accepted now and decided later. Accepting one is an entry of kind `request`: the input is sealed, the
//! idempotency key is claimed, and the id of the decision to come is promised. What waits is a projection of the ledger, so
//! a crash at any moment leads to another look; a decision that is in the ledger already is never made again.
//!
//! Waiting is bounded (`server.requests`), and so are the workers that decide, which leave half of the room to whoever waits
//! for an answer.

mod accept;
mod form;
mod projection;
mod work;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    context::{Clock, Deadline},
    metrics::{Gauge, Registry},
    sockets::ledger::{Entry, EntryKind},
};
use tokio::sync::{Notify, RwLock, RwLockWriteGuard, watch};

pub use self::{
    accept::{Accepted, Request},
    projection::RequestsProjection,
};
use crate::{ask::Answer, batch::late_error, engine::Engine, reviews, stages::record::ledger_unavailable, stored};

/// The word in the leaf of a request that was accepted, and of one that ended without a decision.
pub(crate) const ROUTE: &str = "requests";

/// A request that waits: its entry and the id it promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    seq: u64,
    id: Id,
}

/// What is accepted and not decided.
pub struct Requests {
    state: Mutex<State>,
    wake: Notify,
    /// Held for reading from the look at a request's entry until its decision is recorded, and for writing by an erasure.
    erasing: RwLock<()>,
    stop: watch::Sender<bool>,
    workers: watch::Sender<usize>,
    gauge: Gauge,
}

#[derive(Default)]
struct State {
    /// Accepted and not ended; who waits for one is woken when its sender goes.
    pending: BTreeMap<Id, watch::Sender<()>>,
    queue: VecDeque<Waiting>,
    /// Of integrations that are not in the plan: looked at again with the next one.
    parked: Vec<Waiting>,
}

/// A place among those that wait; given back when dropped, unless the request was accepted.
struct Place<'a> {
    requests: &'a Requests,
    id: Id,
    kept: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.requests.finish(self.id);
        }
    }
}

impl Requests {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            state: Mutex::default(),
            wake: Notify::new(),
            erasing: RwLock::default(),
            stop: watch::channel(false).0,
            workers: watch::channel(0).0,
            gauge: registry.gauge("tendon_requests_pending", "Asynchronous requests accepted and not decided.", &[]),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests accepted and not decided.
    pub fn pending(&self) -> usize {
        self.lock().pending.len()
    }

    /// Whether a request is accepted and not decided.
    pub fn waits(&self, id: Id) -> bool {
        self.lock().pending.contains_key(&id)
    }

    /// Waits until no request is being decided, and lets none begin while the guard lives: whoever erases a subject holds
    /// it, so that no decision is made afterwards from an input that was read before.
    pub async fn hold(&self) -> RwLockWriteGuard<'_, ()> {
        self.erasing.write().await
    }

    /// Takes a place for a request; `None` when there is none.
    fn place(&self, id: Id, limit: usize) -> Option<Place<'_>> {
        let mut state = self.lock();
        if state.pending.len().saturating_sub(state.parked.len()) >= limit {
            return None;
        }
        self.insert(&mut state, id);
        Some(Place { requests: self, id, kept: false })
    }

    fn insert(&self, state: &mut State, id: Id) {
        state.pending.insert(id, watch::channel(()).0);
        self.count(state);
    }

    fn count(&self, state: &State) {
        #[expect(clippy::cast_precision_loss, reason = "a metric; far fewer than 2^53 wait")]
        self.gauge.set(state.pending.len() as f64);
    }

    fn enqueue(&self, waiting: Waiting) {
        self.lock().queue.push_back(waiting);
        self.wake.notify_one();
    }

    /// Up to so many requests, in the order in which they were accepted.
    fn take(&self, most: usize) -> Vec<Waiting> {
        let mut state = self.lock();
        let count = most.min(state.queue.len());
        let taken = state.queue.drain(..count).collect();
        if !state.queue.is_empty() {
            // Others may help.
            self.wake.notify_one();
        }
        taken
    }

    fn put_back(&self, waiting: impl DoubleEndedIterator<Item = Waiting>) {
        let mut state = self.lock();
        waiting.rev().for_each(|one| state.queue.push_front(one));
    }

    fn park(&self, waiting: Waiting) {
        self.lock().parked.push(waiting);
    }

    /// Another plan is in force: it may have the integrations that were missing.
    pub(crate) fn unpark(&self) {
        let mut state = self.lock();
        let parked = std::mem::take(&mut state.parked);
        state.queue.extend(parked);
        drop(state);
        self.wake.notify_one();
    }

    /// The request ended: whoever waits for it looks now.
    fn finish(&self, id: Id) {
        let mut state = self.lock();
        let sender = state.pending.remove(&id);
        self.count(&state);
        drop(state);
        drop(sender);
    }

    /// Waits until a request has ended; false when the deadline passes first.
    async fn ended(&self, id: Id, deadline: Deadline, clock: &dyn Clock) -> bool {
        let mut told = match self.lock().pending.get(&id) {
            Some(sender) => sender.subscribe(),
            None => return true,
        };
        tokio::select! {
            biased;
            // The sender only goes, so this is the error that says so.
            _ = told.changed() => true,
            () = clock.sleep(deadline.left(clock)) => false,
        }
    }
}

impl Engine {
    /// What is accepted and not decided.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// The decision that a request promised, waiting for it until the deadline.
    ///
    /// # Errors
    /// `Timeout` when the deadline passes first; `Gone` when the subject was erased; `Unavailable` when nobody decides it
    /// here; the ledger's.
    pub async fn promised(&self, id: Id, deadline: Deadline) -> Result<Answer> {
        if !self.requests.ended(id, deadline, &*self.context.clock).await {
            return Err(late_error());
        }
        let entries = self.ledger.entries_of(id).await.map_err(|cause| ledger_unavailable(&cause))?;
        match entries.iter().find(|entry| entry.facts.kind == EntryKind::Decision) {
            Some(entry) => {
                let mut decision = stored::decision(entry)?;
                reviews::stand(&mut decision, &entries)?;
                Ok(Answer { decision: decision.into(), seq: entry.seq, replayed: true })
            }
            None => Err(undecided(&entries)),
        }
    }
}

/// Why there is no decision.
fn undecided(entries: &[Entry]) -> Error {
    let request = entries.iter().find(|entry| entry.facts.kind == EntryKind::Request);
    match request {
        Some(request) if request.body.is_some() => {
            Error::new(ErrorKind::Unavailable, "request_pending", "the request is accepted, and not decided yet")
                .hint("ask again in a moment; the same Idempotency-Key stands for the same decision")
        }
        _ => Error::new(
            ErrorKind::Gone,
            "decision_erased",
            "the subject of this request was erased before it was decided",
        ),
    }
}
