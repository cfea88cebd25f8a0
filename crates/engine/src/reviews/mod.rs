//! Reviews: decisions that a person has to answer, or to see. Such a decision is recorded and waits; a verdict is an
//! entry of kind `review` that holds the person's answer and the deliveries it causes, so that recording it is accepting all
//! its effects. What waits is a projection of the ledger; memory holds the same, with the tail that is not projected yet.

mod projection;
mod verdict;
mod view;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp,
    metrics::{Counter, Gauge, Registry},
    sockets::{ledger::Erased, store::Store},
};
use tendon_plan::plan::HumanPlan;
use tokio::sync::{RwLock, RwLockWriteGuard};

pub use self::{
    projection::ReviewsProjection,
    verdict::{Verdict, Wish, stand},
    view::{Given, ReviewView},
};
use crate::engine::Engine;

/// The word in the leaf of a verdict.
pub(crate) const ROUTE: &str = "review";

/// A decision that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Position of the decision.
    pub seq: u64,
    /// The decision.
    pub id: Id,
    /// Its integration.
    pub integration: Arc<str>,
    /// When it was decided that a person has to answer.
    pub at: Timestamp,
    /// When a person should have answered by.
    pub due: Timestamp,
}

/// What waits for people.
pub struct Reviews {
    state: Mutex<State>,
    /// Held for reading from the look at a decision until its verdict is recorded, and for writing by an erasure.
    erasing: RwLock<()>,
    pending: Gauge,
    verdicts: [Counter; 3],
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<Id, Place>,
    /// Those of them that are recorded, in the order of the record.
    order: BTreeMap<u64, Id>,
    by_integration: BTreeMap<Arc<str>, usize>,
}

/// A place among what waits; without a position while the decision is on its way to the record.
struct Place {
    seq: Option<u64>,
    integration: Arc<str>,
    at: Timestamp,
    due: Timestamp,
}

impl State {
    fn remove(&mut self, id: Id) {
        let Some(place) = self.waiting.remove(&id) else { return };
        if let Some(seq) = place.seq {
            self.order.remove(&seq);
        }
        if let Some(count) = self.by_integration.get_mut(&place.integration) {
            *count -= 1;
        }
    }
}

/// A place that was taken for a decision under way; given back when dropped, unless the decision was recorded.
pub(crate) struct Seat {
    reviews: Arc<Reviews>,
    id: Id,
    due: Timestamp,
    /// What the decision causes waits for the verdict.
    held: bool,
    kept: bool,
}

impl Seat {
    pub(crate) fn held(&self) -> bool {
        self.held
    }

    pub(crate) fn due(&self) -> Timestamp {
        self.due
    }

    /// The decision is recorded at this position. A verdict may have come already: then nothing waits any more.
    pub(crate) fn keep(mut self, seq: u64) {
        self.kept = true;
        let mut state = self.reviews.lock();
        if let Some(place) = state.waiting.get_mut(&self.id) {
            place.seq = Some(seq);
            state.order.insert(seq, self.id);
        }
        self.reviews.count(&state);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.kept {
            self.reviews.finish(self.id);
        }
    }
}

impl Reviews {
    pub(crate) fn new(registry: &Registry) -> Arc<Self> {
        let verdict = |word| {
            let labels = [("verdict", word)];
            registry.counter("tendon_reviews_total", "Verdicts of people.", &labels)
        };
        Arc::new(Self {
            state: Mutex::default(),
            erasing: RwLock::default(),
            pending: registry.gauge("tendon_reviews_pending", "Decisions that wait for a person.", &[]),
            verdicts: Verdict::WORDS.map(verdict),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, state: &State) {
        #[expect(clippy::cast_precision_loss, reason = "a metric; far fewer than 2^53 wait")]
        self.pending.set(state.order.len() as f64);
    }

    /// Takes a place for a decision; `None` when as many wait as may.
    pub(crate) fn take(
        self: &Arc<Self>,
        id: Id,
        integration: &Arc<str>,
        at: Timestamp,
        people: &HumanPlan,
        held: bool,
    ) -> Option<Seat> {
        let due = at.plus(people.within);
        let mut state = self.lock();
        let count = state.by_integration.entry(Arc::clone(integration)).or_default();
        if *count >= people.most {
            return None;
        }
        *count += 1;
        state.waiting.insert(id, Place { seq: None, integration: Arc::clone(integration), at, due });
        Some(Seat { reviews: Arc::clone(self), id, due, held, kept: false })
    }

    /// It waits no longer.
    fn finish(&self, id: Id) {
        let mut state = self.lock();
        state.remove(id);
        self.count(&state);
    }

    /// Takes up what waited before.
    fn insert(&self, found: Vec<Waiting>) {
        let mut state = self.lock();
        for Waiting { seq, id, integration, at, due } in found {
            *state.by_integration.entry(Arc::clone(&integration)).or_default() += 1;
            state.order.insert(seq, id);
            state.waiting.insert(id, Place { seq: Some(seq), integration, at, due });
        }
        self.count(&state);
    }

    /// What waits, oldest first, after a position; only of integrations that are wanted.
    pub fn list(&self, after: Option<u64>, most: usize, wanted: impl Fn(&str) -> bool) -> Vec<Waiting> {
        let state = self.lock();
        let from = after.map_or(0, |seq| seq.saturating_add(1));
        let places = state.order.range(from..).filter_map(|(seq, id)| Some((*seq, *id, state.waiting.get(id)?)));
        let places = places.filter(|(_, _, place)| wanted(&place.integration)).take(most);
        let waiting = places.map(|(seq, id, place)| Waiting {
            seq,
            id,
            integration: Arc::clone(&place.integration),
            at: place.at,
            due: place.due,
        });
        waiting.collect()
    }

    /// How many wait, how many of them are overdue, and since when the oldest waits.
    pub fn standing(&self, now: Timestamp) -> (usize, usize, Option<Timestamp>) {
        let state = self.lock();
        let recorded = || state.waiting.values().filter(|place| place.seq.is_some());
        let overdue = recorded().filter(|place| place.due < now).count();
        (state.order.len(), overdue, recorded().map(|place| place.at).min())
    }

    /// Waits until no verdict is being recorded, and lets none begin while the guard lives: whoever erases a subject holds
    /// it, so that no verdict is recorded about somebody who was erased after the look at the decision.
    pub async fn hold(&self) -> RwLockWriteGuard<'_, ()> {
        self.erasing.write().await
    }
}

fn not_found(id: Id) -> Error {
    Error::new(ErrorKind::NotFound, "review_not_found", "no decision with this id waits, or waited, for a person")
        .with("decision", id)
        .hint("`tendon reviews list` shows what waits")
}

impl Engine {
    /// What waits for people.
    pub fn reviews(&self) -> &Reviews {
        &self.reviews
    }

    /// Takes up what waits for people. Call it once, when the projections have caught up.
    ///
    /// # Errors
    /// The store's.
    pub async fn begin_reviews(&self, store: &dyn Store) -> Result<()> {
        self.reviews.insert(projection::waiting(store).await?);
        Ok(())
    }

    /// Ends the reviews about a subject that was erased. Call it with the reviews held.
    pub async fn reviews_erased(&self, erased: &Erased) {
        match self.ledger.entry(erased.seq).await {
            Ok(entry) => entry.iter().flat_map(projection::erased).for_each(|id| self.reviews.finish(id)),
            // They show nothing any more and take no verdict; they are counted until the next start.
            Err(error) => tracing::warn!(code = error.code(), "which reviews an erasure ended could not be read"),
        }
    }
}
