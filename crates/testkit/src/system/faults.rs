//! What can go wrong between us and the fake system.

use std::{
    collections::{BTreeSet, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    time::Duration,
};

use tendon_kernel::error::{Error, ErrorKind};

use super::State;

/// Chances per thousand calls, and latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The call fails before anything happens.
    pub before: u16,
    /// A write happens and its answer is lost.
    pub lost: u16,
    /// A call takes `slowness`.
    pub slow: u16,
    /// How long a slow call takes.
    pub slowness: Duration,
    /// Shortest and longest usual time of a call.
    pub latency: (Duration, Duration),
    /// A row of a write is refused.
    pub refuse: u16,
}

#[derive(Default)]
pub(super) struct Weather {
    pub(super) faults: Faults,
    pub(super) down_until: Option<Duration>,
    pub(super) losing: u32,
    pub(super) failing: u32,
    pub(super) locked: bool,
    pub(super) calls: u64,
    pub(super) at_once: u32,
    pub(super) most_at_once: u32,
    /// Requests that failed the last time they were made, and how often one of them came again.
    pub(super) failed: BTreeSet<u64>,
    pub(super) repeats: u64,
}

fn unavailable(code: &'static str, what: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, code, what)
}

/// Tells requests apart.
pub(super) fn print(request: &impl std::fmt::Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{request:?}").hash(&mut hasher);
    hasher.finish()
}

impl State {
    /// Counts a request that repeats one that failed; from here on it counts as failed until it is known to be well.
    pub(super) fn attempt(&mut self, prints: &[u64]) {
        let again = prints.iter().any(|print| self.weather.failed.contains(print));
        self.weather.repeats += u64::from(again);
        self.weather.failed.extend(prints);
    }

    pub(super) fn well(&mut self, prints: &[u64]) {
        self.weather.failed.retain(|print| !prints.contains(print));
    }

    /// A call arrives: how long it takes.
    pub(super) fn arrive(&mut self) -> Duration {
        self.weather.calls += 1;
        self.weather.at_once += 1;
        self.weather.most_at_once = self.weather.most_at_once.max(self.weather.at_once);
        let faults = self.weather.faults;
        let (least, most) = faults.latency;
        let range = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(0);
        let usual = least + Duration::from_micros(self.rng.below(range + 1));
        if self.rng.chance(faults.slow.into(), 1000) { usual + faults.slowness } else { usual }
    }

    /// Whether the call fails before anything happened.
    pub(super) fn fails(&mut self, now: Duration, writes: bool) -> Option<Error> {
        if self.weather.down_until.is_some_and(|until| now < until) {
            return Some(unavailable("system_down", "the system does not answer"));
        }
        if self.weather.failing > 0 {
            self.weather.failing -= 1;
            return Some(unavailable("system_failed", "the system broke the call off"));
        }
        if writes && self.weather.locked {
            return Some(unavailable("system_locked", "the system is locked by another user"));
        }
        let chance = self.weather.faults.before;
        let fails = self.rng.chance(chance.into(), 1000);
        fails.then(|| unavailable("system_failed", "the system broke the call off"))
    }

    /// Whether the answer of a write that happened is lost.
    pub(super) fn loses(&mut self) -> Option<Error> {
        let chance = self.weather.faults.lost;
        let lost = self.weather.losing > 0 || self.rng.chance(chance.into(), 1000);
        self.weather.losing = self.weather.losing.saturating_sub(1);
        lost.then(|| unavailable("answer_lost", "the connection broke before the answer came"))
    }

    /// Whether a row is refused by chance.
    pub(super) fn refuses(&mut self) -> bool {
        let chance = self.weather.faults.refuse;
        self.rng.chance(chance.into(), 1000)
    }
}
