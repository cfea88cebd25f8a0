//! Counters, gauges and histograms, and their text for Prometheus (exposition format 0.0.4). Pure: atomics and no I/O, so
//! that every room can count, in simulation too.
//!
//! A part asks the context's registry once for its handles, when it is built, and keeps them; the same name and labels
//! give the same handle. Counting is one atomic operation; names are looked up never.
//!
//! ```
//! # use tendon_kernel::metrics::{Registry, SECONDS};
//! let registry = Registry::default();
//! let decisions = registry.counter("tendon_decisions_total", "Decisions answered.", &[("door", "api")]);
//! let seconds = registry.histogram("tendon_decision_seconds", "Time to answer.", &[], SECONDS);
//! decisions.increment();
//! seconds.observe(0.0004);
//! assert!(registry.render().contains("tendon_decisions_total{door=\"api\"} 1\n"));
//! ```
//!
//! Names follow Prometheus: `tendon_` first, base units (`_seconds`, `_bytes`), `_total` for counters. Label values come
//! from the plan (integrations, systems, doors), never from requests: each value costs memory for ever, and may be personal.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

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

    /// The number.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// Adds to a double kept as bits.
fn add(bits: &AtomicU64, value: f64) {
    let add = |old: u64| Some((f64::from_bits(old) + value).to_bits());
    // The closure always answers, so the update cannot fail.
    let _: Result<u64, u64> = bits.fetch_update(Relaxed, Relaxed, add);
}

#[derive(Debug)]
struct Buckets {
    bounds: &'static [f64],
    /// One per bound and one for what exceeds all.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

/// Counts values by size.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0) }))
    }

    /// Counts a value.
    pub fn observe(&self, value: f64) {
        let place = self.0.bounds.partition_point(|&bound| bound < value);
        if let Some(count) = self.0.counts.get(place) {
            count.fetch_add(1, Relaxed);
        }
        add(&self.0.sum, value);
    }

    /// Counts a duration, in seconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Relaxed)).sum()
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

struct Family {
    help: &'static str,
    kind: &'static str,
    /// By their labels as rendered, without braces.
    metrics: BTreeMap<String, Metric>,
}

/// All metrics of a process (or of a simulated one).
#[derive(Default)]
pub struct Registry {
    families: Mutex<BTreeMap<&'static str, Family>>,
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
        let family =
            families.entry(name).or_insert_with(|| Family { help, kind: made.kind(), metrics: BTreeMap::new() });
        if family.kind != made.kind() {
            return None;
        }
        Some(family.metrics.entry(label_text(labels)).or_insert(made).clone())
    }

    /// The text for Prometheus, `Content-Type: text/plain; version=0.0.4`: sorted, so that equal states print equal texts.
    pub fn render(&self) -> String {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (name, family) in &*families {
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            // Writing into a String cannot fail.
            let _: std::fmt::Result = write!(text, "# HELP {name} {help}\n# TYPE {name} {}\n", family.kind);
            for (labels, metric) in &family.metrics {
                render_one(&mut text, name, labels, metric);
            }
        }
        text
    }
}

fn render_one(text: &mut String, name: &str, labels: &str, metric: &Metric) {
    let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _: std::fmt::Result = match metric {
        Metric::Counter(counter) => writeln!(text, "{name}{braced} {}", counter.get()),
        Metric::Gauge(gauge) | Metric::Total(gauge) => writeln!(text, "{name}{braced} {}", number(gauge.get())),
        Metric::Histogram(histogram) => {
            let comma = if labels.is_empty() { "" } else { "," };
            let mut total = 0;
            let ends = histogram.0.bounds.iter().copied().chain([f64::INFINITY]);
            for (end, count) in ends.zip(&histogram.0.counts) {
                total += count.load(Relaxed);
                let _: std::fmt::Result =
                    writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{}\"}} {total}", number(end));
            }
            let sum = number(f64::from_bits(histogram.0.sum.load(Relaxed)));
            writeln!(text, "{name}_sum{braced} {sum}\n{name}_count{braced} {total}")
        }
    };
}

/// A double as the format writes it.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

/// Labels as the format writes them, in the order given.
fn label_text(labels: &[(&'static str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        let comma = if text.is_empty() { "" } else { "," };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _: std::fmt::Result = write!(text, "{comma}{name}=\"{value}\"");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_the_exposition_format() {
        let registry = Registry::default();
        registry.counter("b_total", "Two\nlines.", &[("door", "a\"p\\i"), ("n", "x")]).add(3);
        registry.counter("b_total", "Two\nlines.", &[("door", "a\"p\\i"), ("n", "x")]).increment();
        registry.gauge("a_bytes", "Size.", &[]).set(1.5);
        registry.gauge("a_bytes", "Size.", &[]).add(-2.0);
        let histogram = registry.histogram("c_seconds", "Time.", &[("k", "v")], &[0.1, 1.0]);
        for value in [0.1, 0.5, 7.0] {
            histogram.observe(value);
        }
        assert_eq!(
            registry.render(),
            "# HELP a_bytes Size.\n# TYPE a_bytes gauge\na_bytes -0.5\n\
             # HELP b_total Two\\nlines.\n# TYPE b_total counter\nb_total{door=\"a\\\"p\\\\i\",n=\"x\"} 4\n\
             # HELP c_seconds Time.\n# TYPE c_seconds histogram\n\
             c_seconds_bucket{k=\"v\",le=\"0.1\"} 1\nc_seconds_bucket{k=\"v\",le=\"1\"} 2\n\
             c_seconds_bucket{k=\"v\",le=\"+Inf\"} 3\nc_seconds_sum{k=\"v\"} 7.6\nc_seconds_count{k=\"v\"} 3\n"
        );
    }

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
