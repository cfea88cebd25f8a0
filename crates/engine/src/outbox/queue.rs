//! The queue of one system's pending deliveries: two lanes (live before backfill), first come first served within each,
//! and never two of the same row at once or out of order. Pure data; bounded by whoever fills it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tendon_kernel::{
    Id, Timestamp,
    decision::Delivery,
    sockets::{
        connector::{Write, WriteBatch},
        ledger::{Entry, ModelRef},
    },
    trace::TraceContext,
};

/// Position of a delivery: the entry that caused it (a decision's, or a person's verdict), and which of its deliveries it is.
pub type Place = (u64, u16);

/// Which deliveries go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Somebody waits for it.
    Live,
    /// It catches up on what was there before.
    Backfill,
}

/// A delivery that waits for its turn.
#[derive(Clone)]
pub(super) struct Pending {
    pub(super) place: Place,
    /// Position of the decision, where a verdict about it caused the delivery.
    pub(super) decided: Option<u64>,
    pub(super) lane: Lane,
    pub(super) id: Id,
    pub(super) at: Timestamp,
    pub(super) integration: Arc<str>,
    pub(super) model: Option<ModelRef>,
    pub(super) subject: Option<Arc<str>>,
    pub(super) row: Arc<str>,
    pub(super) delivery: Delivery,
    pub(super) attempts: u32,
    pub(super) not_before: Duration,
    /// The trace of its decision, where that is kept; see `trail.rs`.
    pub(super) trace: Option<Arc<TraceContext>>,
}

/// Names the target row of a delivery: deliveries with the same name keep their order.
pub(super) fn row_name(delivery: &Delivery) -> Arc<str> {
    let key: Vec<_> = delivery.key.iter().map(|(name, value)| (name, value)).collect();
    format!("{}\u{0}{}", delivery.resource, serde_json::to_string(&key).unwrap_or_default()).into()
}

/// The decision that a delivery belongs to.
pub(super) struct Origin<'a> {
    pub(super) id: Id,
    pub(super) at: Timestamp,
    pub(super) integration: &'a Arc<str>,
    pub(super) model: Option<&'a ModelRef>,
    pub(super) subject: Option<&'a Arc<str>>,
}

impl<'a> Origin<'a> {
    pub(super) fn of_entry(entry: &'a Entry) -> Self {
        Self {
            id: entry.facts.id,
            at: entry.facts.at,
            integration: &entry.facts.integration,
            model: entry.facts.model.as_ref(),
            subject: entry.body.as_ref().and_then(|body| body.subject.as_ref()),
        }
    }
}

impl Pending {
    /// A delivery that was not tried yet.
    pub(super) fn new(place: Place, lane: Lane, origin: &Origin<'_>, delivery: Delivery) -> Self {
        Self {
            place,
            decided: None,
            lane,
            id: origin.id,
            at: origin.at,
            integration: Arc::clone(origin.integration),
            model: origin.model.cloned(),
            subject: origin.subject.cloned(),
            row: row_name(&delivery),
            delivery,
            attempts: 0,
            not_before: Duration::ZERO,
            trace: None,
        }
    }

    /// Whether it can go into one batch with another.
    fn goes_with(&self, other: &Self) -> bool {
        let same_key =
            |a: &Delivery, b: &Delivery| a.key.iter().map(|(name, _)| name).eq(b.key.iter().map(|(name, _)| name));
        self.delivery.resource == other.delivery.resource && same_key(&self.delivery, &other.delivery)
    }
}

/// The request that writes a batch; all of it goes with one another.
pub(super) fn write_batch(batch: &[Pending]) -> WriteBatch {
    let first = batch.first().map(|pending| &pending.delivery);
    WriteBatch {
        resource: first.map(|delivery| delivery.resource.to_string()).unwrap_or_default(),
        key: first.map(|delivery| delivery.key.iter().map(|(name, _)| name.clone()).collect()).unwrap_or_default(),
        writes: batch.iter().map(write).collect(),
    }
}

fn write(pending: &Pending) -> Write {
    Write {
        key: pending.delivery.key.iter().map(|(_, value)| value.clone()).collect(),
        set: pending.delivery.set.clone(),
        expect: pending.delivery.expect.clone(),
        older: pending.delivery.older.clone(),
    }
}

/// Pending deliveries of one system. A taken delivery keeps its row blocked until it is finished or put back.
#[derive(Default)]
pub(super) struct Queue {
    waiting: BTreeMap<(Lane, Place), Pending>,
    /// Attempts at those that are taken.
    taken: BTreeMap<Place, u32>,
    rows: HashMap<Arc<str>, BTreeSet<Place>>,
}

impl Queue {
    /// Deliveries that wait (those taken are not counted).
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Deliveries that are not finished: waiting or taken.
    pub(super) fn unfinished(&self) -> usize {
        self.rows.values().map(BTreeSet::len).sum()
    }

    /// Adds a delivery; one that is here already, waiting or taken, is not added again.
    pub(super) fn add(&mut self, pending: Pending) {
        if self.rows.entry(pending.row.clone()).or_default().insert(pending.place) {
            self.waiting.insert((pending.lane, pending.place), pending);
        }
    }

    /// Takes up to `most` deliveries that can go now in one batch: each the oldest of its row; `repeats`: also those that
    /// were tried before.
    pub(super) fn take(&mut self, now: Duration, most: usize, repeats: bool) -> Vec<Pending> {
        let mut chosen: Vec<(Lane, Place)> = Vec::new();
        let mut first: Option<&Pending> = None;
        for (at, pending) in &self.waiting {
            if chosen.len() == most {
                break;
            }
            let ready = pending.not_before <= now && (repeats || pending.attempts == 0) && self.is_oldest(pending);
            if ready && first.is_none_or(|first| first.goes_with(pending)) {
                first.get_or_insert(pending);
                chosen.push(*at);
            }
        }
        let taken: Vec<_> = chosen.iter().filter_map(|at| self.waiting.remove(at)).collect();
        self.taken.extend(taken.iter().map(|pending| (pending.place, pending.attempts)));
        taken
    }

    fn is_oldest(&self, pending: &Pending) -> bool {
        self.rows.get(&pending.row).and_then(BTreeSet::first) == Some(&pending.place)
    }

    /// The first that wait, in the order of their turns, and whether an earlier one of the same row goes first.
    pub(super) fn first(&self, most: usize) -> impl Iterator<Item = (&Pending, bool)> {
        self.waiting.values().take(most).map(|pending| (pending, !self.is_oldest(pending)))
    }

    /// How often this process has tried a delivery, waiting or taken; `None`: it is not here.
    pub(super) fn attempts(&self, place: Place) -> Option<u32> {
        let waits = [Lane::Live, Lane::Backfill].iter().find_map(|lane| self.waiting.get(&(*lane, place)));
        waits.map(|pending| pending.attempts).or_else(|| self.taken.get(&place).copied())
    }

    /// How many wait of each integration: added to what others counted.
    pub(super) fn count(&self, all: &mut BTreeMap<Arc<str>, usize>) {
        for pending in self.waiting.values() {
            *all.entry(Arc::clone(&pending.integration)).or_default() += 1;
        }
    }

    /// Puts a taken delivery back, to be tried again.
    pub(super) fn put_back(&mut self, pending: Pending) {
        self.taken.remove(&pending.place);
        self.waiting.insert((pending.lane, pending.place), pending);
    }

    /// Forgets a taken delivery: its row is free for the next one.
    pub(super) fn finish(&mut self, pending: &Pending) {
        self.taken.remove(&pending.place);
        if let Some(places) = self.rows.get_mut(&pending.row) {
            places.remove(&pending.place);
            if places.is_empty() {
                self.rows.remove(&pending.row);
            }
        }
    }

    /// Takes out everything that concerns a subject.
    pub(super) fn remove_subject(&mut self, subject: &str) -> Vec<Pending> {
        let of_subject = |pending: &Pending| pending.subject.as_deref() == Some(subject);
        let places: Vec<_> =
            self.waiting.iter().filter(|(_, pending)| of_subject(pending)).map(|(at, _)| *at).collect();
        let removed: Vec<_> = places.iter().filter_map(|at| self.waiting.remove(at)).collect();
        for pending in &removed {
            self.finish(pending);
        }
        removed
    }

    /// When the next delivery may go; `None`: nothing waits for a time.
    pub(super) fn next_time(&self) -> Option<Duration> {
        self.waiting.values().filter(|pending| self.is_oldest(pending)).map(|pending| pending.not_before).min()
    }

    /// Time of the oldest waiting decision.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.waiting.values().map(|pending| pending.at).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tendon_kernel::Value;

    use super::*;

    fn pending(seq: u64, row: i64, lane: Lane) -> Pending {
        let delivery = Delivery {
            system: "crm".into(),
            resource: "leads".into(),
            key: vec![("id".into(), Value::Int(row))],
            set: vec![],
            expect: vec![],
            older: None,
        };
        let integration = "i".into();
        let origin =
            Origin { id: Id([0; 16]), at: Timestamp(0), integration: &integration, model: None, subject: None };
        Pending::new((seq, 0), lane, &origin, delivery)
    }

    #[test]
    fn who_waits_behind_another_one_of_its_row_is_told() {
        let mut queue = Queue::default();
        for (seq, row, lane) in [(0, 1, Lane::Backfill), (1, 1, Lane::Live), (2, 2, Lane::Live), (3, 1, Lane::Live)] {
            queue.add(pending(seq, row, lane));
        }
        let told =
            |queue: &Queue, most| queue.first(most).map(|(one, behind)| (one.place.0, behind)).collect::<Vec<_>>();
        assert_eq!(told(&queue, 9), [(1, true), (2, false), (3, true), (0, false)]);
        assert_eq!(told(&queue, 1).len(), 1);
        let mut all = BTreeMap::from_iter([("i".into(), 1), ("j".into(), 5)]);
        queue.count(&mut all);
        assert_eq!(all, BTreeMap::from_iter([("i".into(), 5), ("j".into(), 5)]));
        // What is being written is not told, and holds its row all the same.
        let taken = queue.take(Duration::ZERO, 9, true);
        assert_eq!(taken.iter().map(|one| one.place.0).collect::<Vec<_>>(), [2, 0]);
        assert_eq!(told(&queue, 9), [(1, true), (3, true)]);
        // What is being written is known by how often it was tried before.
        let mut tried = taken[0].clone();
        tried.attempts = 3;
        queue.put_back(tried);
        assert_eq!([0, 1, 2, 4].map(|seq| queue.attempts((seq, 0))), [Some(0), Some(0), Some(3), None]);
        let again = queue.take(Duration::ZERO, 9, true).remove(0);
        assert_eq!(queue.attempts(again.place), Some(3));
        queue.finish(&again);
        assert_eq!(queue.attempts(again.place), None);
    }

    proptest! {
        /// However batches fail and come back: each row's deliveries finish in the order of their entries, each once.
        #[test]
        fn rows_keep_their_order(rows in prop::collection::vec((0i64..4, any::<bool>()), 1..40), fates in prop::collection::vec(any::<bool>(), 200)) {
            let mut queue = Queue::default();
            for (seq, (row, live)) in rows.iter().enumerate() {
                queue.add(pending(seq as u64, *row, if *live { Lane::Live } else { Lane::Backfill }));
                queue.add(pending(seq as u64, *row, Lane::Live));
            }
            let mut done: BTreeMap<Arc<str>, Vec<u64>> = BTreeMap::new();
            let mut fates = fates.into_iter();
            while queue.len() > 0 {
                let batch = queue.take(Duration::ZERO, 3, true);
                prop_assert!(!batch.is_empty());
                for taken in batch {
                    if fates.next().unwrap_or(true) {
                        queue.finish(&taken);
                        done.entry(taken.row.clone()).or_default().push(taken.place.0);
                    } else {
                        queue.put_back(taken);
                    }
                }
            }
            prop_assert_eq!(done.values().map(Vec::len).sum::<usize>(), rows.len());
            for places in done.values() {
                prop_assert!(places.is_sorted());
            }
        }
    }
}
