//! All metrics as they stand, for exporters that speak another language than Prometheus' text.

use std::sync::{PoisonError, atomic::Ordering::Relaxed};

use super::{Exemplar, Histogram, Kept, Labels, Metric, Registry, text};

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

impl<T> Point<T> {
    /// The value of a label; empty when it has none of that name.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }
}

impl Point<f64> {
    /// The value of a count, which is kept as a double.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count is whole and not negative")]
    pub fn count(&self) -> u64 {
        self.value as u64
    }
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
    /// The counts of one name as they stand; none when nothing of it was counted, or it counts otherwise.
    pub fn sums(&self, name: &str) -> Vec<Point<f64>> {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families.get(name).filter(|kept| kept.kind == "counter").map(numbers).unwrap_or_default()
    }

    /// Everything as it stands, by name and labels.
    pub fn snapshot(&self) -> Vec<Family> {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = families.iter().map(|(name, kept)| {
            let points = match kept.kind {
                "counter" => Points::Sums(numbers(kept)),
                "gauge" => Points::Gauges(numbers(kept)),
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

/// The numbers of a family that is no histogram.
fn numbers(kept: &Kept) -> Vec<Point<f64>> {
    let all = kept.metrics.values();
    all.filter_map(|(labels, metric)| Some(Point { labels: labels.clone(), value: number(metric)? })).collect()
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
            counts: self.by_bucket(),
            sum: f64::from_bits(self.0.sum.load(Relaxed)),
            exemplars: (0..self.0.counts.len()).filter_map(|place| self.exemplar(place)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_one_name_are_those_of_the_snapshot() {
        let registry = Registry::default();
        registry.counter("x_total", "X.", &[("a", "1"), ("b", "2")]).add(3);
        registry.gauge("y", "Y.", &[]).set(1.0);
        let sums = registry.sums("x_total");
        let told: Vec<_> = sums.iter().map(|point| (point.label("b"), point.label("c"), point.count())).collect();
        assert_eq!(told, [("2", "", 3)]);
        let Some(Points::Sums(all)) =
            registry.snapshot().into_iter().find(|one| one.name == "x_total").map(|one| one.points)
        else {
            panic!("no sums")
        };
        assert_eq!(all.len(), sums.len());
        assert!(registry.sums("y").is_empty() && registry.sums("z").is_empty());
    }
}
