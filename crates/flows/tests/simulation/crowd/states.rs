//! What was seen in all towns together: a state that no town ever reaches is a state that nothing is known about.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Every state that the towns must have been in, and how often they were.
pub struct States(Vec<(&'static str, AtomicUsize)>);

/// The states.
const ALL: &[&str] = &[
    "a batch was asked",
    "a breaker was open",
    "a breaker was probed",
    "a call was late",
    "a decision follows from a fresh row",
    "a decision follows from a stale row",
    "a decision passed a row over",
    "a decision was answered",
    "a decision was refused for its input",
    "a delivery arrived",
    "a delivery died",
    "a delivery was tried more than once",
    "a lookup failed",
    "a lookup found no row",
    "a person answered",
    "a person answered what waited through a power cut",
    "a person refused",
    "a plan was exchanged",
    "a power cut in the middle of an operation",
    "a request was accepted",
    "a request was decided by a later process",
    "a row was refused by the system",
    "a second verdict was turned away",
    "a start failed",
    "a subject was erased",
    "a sync failed",
    "a verdict was approved and there was nothing to approve",
    "an answer came from the cache",
    "an answer was given again for its key",
    "an answer was served stale",
    "everybody was there at once",
    "the wall clock was set",
];

impl States {
    pub fn new() -> Self {
        assert!(ALL.is_sorted(), "keep the list sorted");
        Self(ALL.iter().map(|name| (*name, AtomicUsize::new(0))).collect())
    }

    /// Counts a state.
    pub fn saw(&self, name: &str) {
        self.saw_times(name, 1);
    }

    pub fn saw_times(&self, name: &str, times: usize) {
        let found = self.0.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("`{name}` is no state"));
        found.1.fetch_add(times, Ordering::Relaxed);
    }

    /// All of them with their counts, as a table; and those that were never reached.
    pub fn report(&self) -> (String, Vec<&'static str>) {
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let table = self.0.iter().map(|(name, times)| format!("{:>8} × {name}\n", count(times))).collect();
        (table, self.0.iter().filter(|(_, times)| count(times) == 0).map(|(name, _)| *name).collect())
    }
}

/// An answer: whom it is about, what was asked, what was said.
pub type Answered = (String, i64, Option<f64>);

/// What the town's people know; it outlives our power cuts.
#[derive(Default)]
pub struct Known {
    /// Answers by decision.
    pub answered: Mutex<BTreeMap<tendon_kernel::Id, Answered>>,
    /// Requests that were accepted: key → subject, input, decision.
    pub promised: Mutex<BTreeMap<String, (String, i64, tendon_kernel::Id)>>,
    /// Verdicts that were acknowledged: decision → output.
    pub verdicts: Mutex<BTreeMap<tendon_kernel::Id, Option<f64>>>,
    /// Erasures that were acknowledged: subject → the last one's position.
    pub erased: Mutex<BTreeMap<String, u64>>,
    /// Whose erasure was begun, also where nobody was told of its end.
    pub erasing: Mutex<BTreeSet<String>>,
    /// What waited for a person when the lights went out.
    pub waited: Mutex<Vec<tendon_kernel::Id>>,
}
