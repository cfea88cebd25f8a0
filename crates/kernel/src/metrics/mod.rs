//! Counters, gauges and histograms. Pure: atomics and no I/O, so that every room can count, in simulation too. `text.rs` writes
//! them for Prometheus, `snapshot.rs` shows them to whoever exports them otherwise.
//!
//! A part asks the context's registry once for its handles, when it is built, and keeps them; the same name and labels
//! give the same handle. Counting is one atomic operation; names are looked up never.
//!
//! ```
//! # use tendon_kernel::metrics::{Registry, SECONDS};
//! let registry = Registry::default();
//! let decisions = registry.counter("tendon_decisions_total", "Decisions answered.", &[("door", "api")]);
//! let seconds = registry.histogram("tendon_decision_duration_seconds", "Time to answer.", &[], SECONDS);
//! decisions.increment();
//! seconds.observe(0.0004);
//! assert!(registry.render().contains("tendon_decisions_total{door=\"api\"} 1\n"));
//! ```
//!
//! Names follow Prometheus: `tendon_` first, base units (`_seconds`, `_bytes`), `_total` for counters. Label values come
//! from the plan (integrations, systems, doors), never from requests: each value costs memory for ever, and may be personal.

mod snapshot;
mod text;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{time::Timestamp, trace::TraceContext};

pub use snapshot::{Counts, Family, Point, Points};
pub use text::{OPEN_METRICS, PROMETHEUS};

/// Buckets for durations of requests and disk waits, in seconds.
pub const SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0,
];
/// Buckets for sizes of batches and groups.
pub const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0];

/// Counts up.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// That many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down; kept as a double.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Adds to it; a negative number takes away.
    pub fn add(&self, value: f64) {
        add(&self.0, value);
    }

    /// One more, until what is returned is dropped.
    pub fn raise(&self) -> Raised {
        self.add(1.0);
        Raised(self.clone())
    }

    /// The number.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// One that a gauge counts as long as this lives.
#[must_use]
pub struct Raised(Gauge);

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}

/// Adds to a double kept as bits.
fn add(bits: &AtomicU64, value: f64) {
    let add = |old: u64| Some((f64::from_bits(old) + value).to_bits());
    // The closure always answers, so the update cannot fail.
    let _: Result<u64, u64> = bits.fetch_update(Relaxed, Relaxed, add);
}

/// One value that was counted, with the trace it was seen in: leads from a slow bucket to what was slow.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// The value.
    pub value: f64,
    /// The trace and the span; always one that is kept.
    pub context: Arc<TraceContext>,
    /// When.
    pub at: Timestamp,
}

#[derive(Debug)]
struct Buckets {
    bounds: &'static [f64],
    /// One per bound and one for what exceeds all.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
    /// The last exemplar of each bucket; made with the first one.
    exemplars: OnceLock<Vec<Mutex<Option<Exemplar>>>>,
}

/// Counts values by size.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0), exemplars: OnceLock::new() }))
    }

    /// Counts a value.
    pub fn observe(&self, value: f64) {
        if let Some(count) = self.0.counts.get(self.place(value)) {
            count.fetch_add(1, Relaxed);
        }
        add(&self.0.sum, value);
    }

    fn place(&self, value: f64) -> usize {
        self.0.bounds.partition_point(|&bound| bound < value)
    }

    /// Remembers where a value was seen that was counted; for traces that are kept.
    pub fn exemplify(&self, exemplar: Exemplar) {
        let empty = || (0..=self.0.bounds.len()).map(|_| Mutex::default()).collect();
        let all = self.0.exemplars.get_or_init(empty);
        if let Some(place) = all.get(self.place(exemplar.value)) {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(exemplar);
        }
    }

    /// Counts a duration, in seconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }

    /// How many values fell into each bucket (not added up), one more than bounds.
    pub fn by_bucket(&self) -> Vec<u64> {
        self.0.counts.iter().map(|count| count.load(Relaxed)).collect()
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.by_bucket().iter().sum()
    }
}

#[derive(Clone)]
enum Metric {
    Counter(Counter),
    Gauge(Gauge),
    Total(Gauge),
    Histogram(Histogram),
}

impl Metric {
    fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) | Self::Total(_) => "counter",
            Self::Gauge(_) => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

struct Kept {
    help: &'static str,
    kind: &'static str,
    /// By their labels as rendered, without braces.
    metrics: BTreeMap<String, (Labels, Metric)>,
}

/// Names and values of labels.
pub type Labels = Arc<[(&'static str, Box<str>)]>;

/// All metrics of a process (or of a simulated one).
#[derive(Default)]
pub struct Registry {
    families: Mutex<BTreeMap<&'static str, Kept>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registry")
    }
}

impl Registry {
    /// A counter of this name and labels.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        match self.register(name, help, labels, || Metric::Counter(Counter::default())) {
            Some(Metric::Counter(counter)) => counter,
            _ => Counter::default(),
        }
    }

    /// A gauge of this name and labels.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        match self.register(name, help, labels, || Metric::Gauge(Gauge::default())) {
            Some(Metric::Gauge(gauge)) => gauge,
            _ => Gauge::default(),
        }
    }

    /// A counter that is set rather than counted up, because something else counts (the operating system's seconds).
    pub fn total(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        match self.register(name, help, labels, || Metric::Total(Gauge::default())) {
            Some(Metric::Total(gauge)) => gauge,
            _ => Gauge::default(),
        }
    }

    /// A histogram of this name and labels. `bounds` ascend ([`SECONDS`], [`COUNTS`]) and are the same for all labels.
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        bounds: &'static [f64],
    ) -> Histogram {
        match self.register(name, help, labels, || Metric::Histogram(Histogram::new(bounds))) {
            Some(Metric::Histogram(histogram)) => histogram,
            _ => Histogram::new(bounds),
        }
    }

    /// Finds or makes a metric; `None` when the name is taken by another kind (then what is counted is not shown, rather
    /// than spoiling the other's text).
    fn register(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        make: impl FnOnce() -> Metric,
    ) -> Option<Metric> {
        let made = make();
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(name).or_insert_with(|| Kept { help, kind: made.kind(), metrics: BTreeMap::new() });
        if family.kind != made.kind() {
            return None;
        }
        let owned = || labels.iter().map(|(name, value)| (*name, Box::from(*value))).collect();
        let kept = family.metrics.entry(text::labels(labels)).or_insert_with(|| (owned(), made));
        Some(kept.1.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_kind() {
        let registry = Registry::default();
        registry.counter("x", "X.", &[]).increment();
        registry.total("x", "X.", &[]).set(7.0);
        registry.gauge("x", "X.", &[]).set(5.0);
        assert!(registry.render().ends_with("\nx 1\n"));
    }

    #[test]
    fn counts_from_many_threads() {
        let registry = Registry::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let (gauge, counter) = (registry.gauge("g", "G.", &[]), registry.counter("c", "C.", &[]));
                    for _ in 0..10_000 {
                        gauge.add(1.0);
                        counter.increment();
                    }
                });
            }
        });
        assert_eq!(registry.render(), "# HELP c C.\n# TYPE c counter\nc 40000\n# HELP g G.\n# TYPE g gauge\ng 40000\n");
    }
}
