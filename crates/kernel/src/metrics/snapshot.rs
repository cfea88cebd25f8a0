//! All metrics as they stand, for exporters that speak another language than Prometheus' text.

use std::sync::{PoisonError, atomic::Ordering::Relaxed};

use super::{Exemplar, Histogram, Labels, Metric, Registry, text};

/// Metrics of one name.
#[derive(Clone, Debug)]
pub struct Family {
    /// Name, as in the text for Prometheus.
    pub name: &'static str,
    /// What it tells.
    pub help: &'static str,
    /// The base unit that the name ends with (`seconds`, `bytes`), without `_total`.
    pub unit: Option<&'static str>,
    /// What was counted.
    pub points: Points,
}

/// The points of a family, each with its labels.
#[derive(Clone, Debug)]
pub enum Points {
    /// Numbers that only grow.
    Sums(Vec<Point<f64>>),
    /// Numbers that go up and down.
    Gauges(Vec<Point<f64>>),
    /// Values counted by size.
    Histograms(Vec<Point<Counts>>),
}

/// A value with its labels.
#[derive(Clone, Debug)]
pub struct Point<T> {
    /// Names and values.
    pub labels: Labels,
    /// The value.
    pub value: T,
}

/// A histogram as it stands.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Ends of the buckets, without the last one (infinity).
    pub bounds: &'static [f64],
    /// Values per bucket (not added up), one more than bounds.
    pub counts: Vec<u64>,
    /// All values added up.
    pub sum: f64,
    /// Where values were seen.
    pub exemplars: Vec<Exemplar>,
}

impl Registry {
    /// Everything as it stands, by name and labels.
    pub fn snapshot(&self) -> Vec<Family> {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = families.iter().map(|(name, kept)| {
            let numbers = || {
                let points = kept
                    .metrics
                    .values()
                    .filter_map(|(labels, metric)| Some(Point { labels: labels.clone(), value: number(metric)? }));
                points.collect()
            };
            let points = match kept.kind {
                "counter" => Points::Sums(numbers()),
                "gauge" => Points::Gauges(numbers()),
                _ => Points::Histograms(
                    kept.metrics
                        .values()
                        .filter_map(|(labels, metric)| match metric {
                            Metric::Histogram(one) => Some(Point { labels: labels.clone(), value: one.counts() }),
                            _ => None,
                        })
                        .collect(),
                ),
            };
            let unit = text::unit(name.strip_suffix("_total").unwrap_or(name));
            Family { name, help: kept.help, unit, points }
        });
        shown.collect()
    }
}

fn number(metric: &Metric) -> Option<f64> {
    match metric {
        #[expect(clippy::cast_precision_loss, reason = "a metric; exact up to 2^53")]
        Metric::Counter(counter) => Some(counter.get() as f64),
        Metric::Gauge(gauge) | Metric::Total(gauge) => Some(gauge.get()),
        Metric::Histogram(_) => None,
    }
}

impl Histogram {
    /// The exemplar of a bucket.
    pub(super) fn exemplar(&self, place: usize) -> Option<Exemplar> {
        let place = self.0.exemplars.get()?.get(place)?;
        place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn counts(&self) -> Counts {
        Counts {
            bounds: self.0.bounds,
            counts: self.0.counts.iter().map(|count| count.load(Relaxed)).collect(),
            sum: f64::from_bits(self.0.sum.load(Relaxed)),
            exemplars: (0..self.0.counts.len()).filter_map(|place| self.exemplar(place)).collect(),
        }
    }
}
