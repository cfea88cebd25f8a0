//! What the console asks of the process beside the operations that all doors share; implemented where everything is wired.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use serde_json::Value as Json;
use tendon_engine::outbox::{DeskState, Waits};
use tendon_kernel::{Result, Timestamp, metrics::SECONDS};
use tendon_plan::Scope;

use super::record::{Chapter, LedgerView, Noted};

/// The process behind the console.
pub trait Office: Send + Sync {
    /// What was counted of an integration over a span: a slot per step, the newest last; nothing where nobody counted. The
    /// series without a name is the process itself.
    fn trend(&self, series: &str, span: Span) -> Vec<Option<Slot>>;
    /// What was counted in the last while: an hour by steps of ten seconds, longer ones by those of the shortest span that holds them.
    fn past(&self, series: &str, time: Duration) -> Slot;
    /// The share of the last days that the process was ready, of those since it was first started.
    fn uptime(&self, days: u32) -> Option<f64>;
    /// Since when that is known: the first start, at most thirty days ago.
    fn watched_since(&self) -> Option<Timestamp>;
    /// How the record does.
    fn ledger(&self) -> BoxFuture<'_, LedgerView>;
    /// The public key that the record verifies with.
    fn log_key(&self) -> String;
    /// Begins to verify the record, aside; how far it got is in [`LedgerView`].
    ///
    /// # Errors
    /// `Conflict` while one is under way; `Unsupported` when the ledger is too large for it.
    fn verify<'a>(&'a self, by: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Entries of a chapter before a position, newest first.
    fn chapter(&self, of: Chapter, before: Option<u64>, limit: usize) -> BoxFuture<'_, Result<Vec<Noted>>>;
    /// What waits to be written, by system: how it stands, and the first of its queue, at most so many.
    fn outbox(&self, most: usize) -> Vec<(Arc<str>, DeskState, Vec<Waits>)>;
    /// How much waits of each integration.
    fn outbox_by_integration(&self) -> BTreeMap<Arc<str>, usize>;
    /// The version that an alias of a model would name if it were rolled back, with its digest; aliases without one are not there.
    fn returns(&self) -> BoxFuture<'_, Result<Vec<Return>>>;
    /// Carries out what a command would: the same order, for a person.
    fn carry_out<'a>(&'a self, order: Order, by: &'a str) -> BoxFuture<'a, Result<Json>>;
}

/// What an alias named before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    /// The model.
    pub model: String,
    /// The alias.
    pub alias: String,
    /// The version that it named.
    pub version: String,
    /// SHA-256 of the file that this was.
    pub digest: String,
}

/// What can be ordered here; each is an order of the command line.
#[derive(Clone, Debug)]
pub enum Order {
    /// `tendon decisions replay`.
    Replay(String),
    /// Deliveries of recent decisions, newest first: those before a position of the ledger.
    Outcomes(Option<u64>),
    /// `tendon deliveries undo`.
    Undo(String),
    /// `tendon deliveries show`.
    Deliveries(String),
    /// `tendon ledger export --proof`, and verified as a stranger would.
    Proof(String),
    /// `tendon models promote`.
    Promote {
        /// The model.
        model: String,
        /// Its version.
        version: String,
        /// What is to name it.
        alias: String,
    },
    /// `tendon models rollback`.
    RollBack {
        /// The model.
        model: String,
        /// What is to name what it named before.
        alias: String,
    },
    /// `tendon keys list`.
    Keys,
    /// `tendon keys create`.
    NewKey {
        /// Who uses it.
        name: String,
        /// What it may do.
        scopes: Vec<Scope>,
        /// How long it lives; nothing: until it is revoked.
        lifetime: Option<Duration>,
    },
    /// `tendon keys revoke`.
    RevokeKey(String),
}

/// How far back a trend goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// An hour, in steps of ten seconds.
    Hour,
    /// A day, in steps of two minutes.
    Day,
    /// A week, in steps of a quarter of an hour.
    Week,
    /// Thirty days, in steps of an hour.
    Month,
}

impl Span {
    /// All, the shortest first.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// Seconds of one slot.
    pub fn step(self) -> i64 {
        match self {
            Self::Hour => 10,
            Self::Day => 120,
            Self::Week => 900,
            Self::Month => 3600,
        }
    }

    /// How many slots there are.
    pub fn slots(self) -> usize {
        match self {
            Self::Hour => 360,
            Self::Day | Self::Month => 720,
            Self::Week => 672,
        }
    }

    /// Seconds that all slots cover.
    pub fn seconds(self) -> i64 {
        self.step() * i64::try_from(self.slots()).unwrap_or(i64::MAX)
    }

    /// The one of this short name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.name() == name)
    }

    /// Its short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    /// Its name in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Hour => "1 hour",
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Month => "30 days",
        }
    }
}

/// What was counted in a step of time.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Slot {
    /// Where it begins: seconds since 1970.
    pub at: i64,
    /// Seconds of it that somebody counted.
    pub watched: u32,
    /// Seconds of it that the process was ready.
    pub ready: u32,
    /// Decisions that a model answered.
    pub ok: u64,
    /// That a fallback answered.
    pub degraded: u64,
    /// Whose input was refused or set aside.
    pub refused: u64,
    /// That nothing could answer.
    pub failed: u64,
    /// That came from the cache.
    pub recalled: u64,
    /// Times on the path, by the buckets of `metrics::SECONDS`.
    pub times: Vec<u64>,
    /// Those of them that somebody waited for, or that just happened: no backfill, no batch, nothing made in advance.
    pub asked: Vec<u64>,
    /// Deliveries that waited, at the most.
    pub waiting: u64,
}

impl Slot {
    /// All decisions.
    pub fn decisions(&self) -> u64 {
        self.ok + self.degraded + self.refused + self.failed
    }

    /// Decisions per second; nothing where nobody counted.
    pub fn rate(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a rate that people read")]
        let decisions = self.decisions() as f64;
        (self.watched > 0).then(|| decisions / f64::from(self.watched))
    }

    /// Takes another one's counts in.
    pub fn add(&mut self, other: &Self) {
        self.watched += other.watched;
        self.ready += other.ready;
        self.ok += other.ok;
        self.degraded += other.degraded;
        self.refused += other.refused;
        self.failed += other.failed;
        self.recalled += other.recalled;
        self.waiting = self.waiting.max(other.waiting);
        add_up(&mut self.times, &other.times);
        add_up(&mut self.asked, &other.asked);
    }

    /// Takes in what another one counted in the same time: seconds are those of the clock, however many are added.
    pub fn add_beside(&mut self, other: &Self) {
        let watched = self.watched.max(other.watched);
        self.add(other);
        self.watched = watched;
    }

    /// The time that this share of batches stayed below, in seconds: within its bucket, in proportion.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        quantile(&self.times, share)
    }
}

/// The time that this share of those counted stayed below, in seconds, by the buckets of [`SECONDS`]: within its bucket, in proportion.
pub(super) fn quantile(times: &[u64], share: f64) -> Option<f64> {
    let all: u64 = times.iter().sum();
    if all == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of batches")]
    let [mut left, all] = [share * all as f64, all as f64];
    left = left.min(all);
    for (at, count) in times.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "counts of batches")]
        let count = *count as f64;
        if left <= count && count > 0.0 {
            let from = at.checked_sub(1).and_then(|at| SECONDS.get(at)).copied().unwrap_or(0.0);
            // Beyond the last bound nothing is known but that.
            let to = SECONDS.get(at).copied().unwrap_or(from);
            return Some(((from + (to - from) * left / count) * 1e9).round() / 1e9);
        }
        left -= count;
    }
    SECONDS.last().copied()
}

/// Adds counts of buckets.
fn add_up(all: &mut Vec<u64>, more: &[u64]) {
    if all.len() < more.len() {
        all.resize(more.len(), 0);
    }
    for (own, more) in all.iter_mut().zip(more) {
        *own += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_inside_their_bucket() {
        // 90 batches up to 0.5 ms, 10 up to 5 ms.
        let mut times = vec![0; SECONDS.len() + 1];
        (times[3], times[6]) = (90, 10);
        let slot = Slot { times, ..Slot::default() };
        let (half, most) = (slot.quantile(0.5).unwrap(), slot.quantile(0.99).unwrap());
        assert!((0.000_25..0.000_5).contains(&half) && (0.0025..=0.005).contains(&most), "{half} {most}");
        assert_eq!(Slot::default().quantile(0.5), None);
    }

    #[test]
    fn slots_add_up() {
        let mut slot = Slot { watched: 10, ok: 3, times: vec![1], waiting: 7, ..Slot::default() };
        slot.add(&Slot { watched: 10, failed: 1, times: vec![1, 2], waiting: 2, ..Slot::default() });
        assert_eq!((slot.rate(), slot.waiting, slot.times), (Some(0.2), 7, vec![2, 2]));
    }
}
