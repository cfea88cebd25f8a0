//! The registry as OTLP says it: the same numbers as `/metrics`, under names with dots. Counters and histograms are cumulative since
//! the process started, so a report that is lost loses nothing.

use tendon_kernel::metrics::{Counts, Exemplar, Family, Point, Points};

use super::{
    proto::{
        self, Data, ExportMetrics, Gauge, Histogram, HistogramPoint, KeyValue, Metric, NumberPoint, Resource,
        ResourceMetrics, ScopeMetrics, Sum,
    },
    spans::{CONVENTIONS, library},
};

/// What the protocol calls cumulative.
const CUMULATIVE: i32 = 2;

/// Names that the semantic conventions fix and that do not follow from ours.
const FIXED: &[(&str, &str, &str)] = &[
    ("http_server_request_duration_seconds", "http.server.request.duration", "s"),
    ("process_cpu_seconds_total", "process.cpu.time", "s"),
    ("process_open_fds", "process.unix.file_descriptor.count", "{file_descriptor}"),
    ("process_resident_memory_bytes", "process.memory.usage", "By"),
    ("process_start_time_seconds", "process.start_time", "s"),
    ("rpc_server_call_duration_seconds", "rpc.server.call.duration", "s"),
];
/// The same of labels.
const LABELS: &[(&str, &str)] = &[
    ("http_request_method", "http.request.method"),
    ("http_response_status_code", "http.response.status_code"),
    ("http_route", "http.route"),
    ("rpc_method", "rpc.method"),
    ("rpc_response_status_code", "rpc.response.status_code"),
    ("rpc_system_name", "rpc.system.name"),
    ("url_scheme", "url.scheme"),
];

/// When the numbers were read, and since when they count; nanoseconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct Period {
    pub(super) start: u64,
    pub(super) now: u64,
}

/// A request with all metrics.
pub(super) fn request(families: Vec<Family>, resource: Resource, period: Period) -> ExportMetrics {
    let metrics = families.into_iter().map(|family| metric(family, period)).collect();
    let scope_metrics = vec![ScopeMetrics { scope: Some(library()), metrics, schema_url: CONVENTIONS.to_owned() }];
    ExportMetrics { resource_metrics: vec![ResourceMetrics { resource: Some(resource), scope_metrics }] }
}

fn metric(family: Family, period: Period) -> Metric {
    let (name, unit) = conventional(family.name, family.unit);
    let data = match family.points {
        Points::Gauges(points) => {
            let Period { now, .. } = period;
            Data::Gauge(Gauge { data_points: numbers(&points, Period { start: 0, now }) })
        }
        Points::Sums(points) => Data::Sum(Sum {
            data_points: numbers(&points, period),
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        }),
        Points::Histograms(points) => Data::Histogram(Histogram {
            data_points: points.iter().map(|point| histogram(point, period)).collect(),
            aggregation_temporality: CUMULATIVE,
        }),
    };
    Metric { name, description: family.help.to_owned(), unit: unit.to_owned(), data: Some(data) }
}

/// A name and unit as OpenTelemetry writes them: a receiver that turns them back into Prometheus' names gets ours.
fn conventional(name: &str, unit: Option<&str>) -> (String, &'static str) {
    if let Some((_, fixed, unit)) = FIXED.iter().find(|(known, ..)| *known == name) {
        return ((*fixed).to_owned(), unit);
    }
    let plain = name.strip_suffix("_total").unwrap_or(name);
    let (plain, unit) = match unit {
        Some("seconds") => (plain.strip_suffix("_seconds").unwrap_or(plain), "s"),
        Some("bytes") => (plain.strip_suffix("_bytes").unwrap_or(plain), "By"),
        Some("ratio") => (plain.strip_suffix("_ratio").unwrap_or(plain), "1"),
        _ => (plain, ""),
    };
    (plain.replacen('_', ".", 1), unit)
}

fn numbers(points: &[Point<f64>], period: Period) -> Vec<NumberPoint> {
    let said = points.iter().map(|point| NumberPoint {
        start_time_unix_nano: period.start,
        time_unix_nano: period.now,
        as_double: Some(point.value),
        attributes: labels(&point.labels),
    });
    said.collect()
}

fn histogram(point: &Point<Counts>, period: Period) -> HistogramPoint {
    let Counts { bounds, counts, sum, exemplars } = &point.value;
    HistogramPoint {
        start_time_unix_nano: period.start,
        time_unix_nano: period.now,
        count: counts.iter().sum(),
        sum: Some(*sum),
        bucket_counts: counts.clone(),
        explicit_bounds: bounds.to_vec(),
        exemplars: exemplars.iter().map(exemplar).collect(),
        attributes: labels(&point.labels),
    }
}

fn exemplar(seen: &Exemplar) -> proto::Exemplar {
    proto::Exemplar {
        time_unix_nano: u64::try_from(seen.at.0).unwrap_or(0).saturating_mul(1000),
        as_double: Some(seen.value),
        span_id: seen.context.span.to_vec(),
        trace_id: seen.context.trace.to_vec(),
    }
}

fn labels(labels: &[(&'static str, Box<str>)]) -> Vec<KeyValue> {
    let said = labels.iter().map(|(name, value)| {
        let known = LABELS.iter().find(|(known, _)| known == name).map_or(*name, |(_, known)| known);
        match value.parse() {
            Ok(number) if known == "http.response.status_code" => KeyValue::number(known, number),
            _ => KeyValue::text(known, &**value),
        }
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        for (name, unit, expected) in [
            ("http_server_request_duration_seconds", Some("seconds"), ("http.server.request.duration", "s")),
            ("tendon_decisions_total", None, ("tendon.decisions", "")),
            ("tendon_decision_duration_seconds", Some("seconds"), ("tendon.decision_duration", "s")),
            ("tendon_cache_bytes", Some("bytes"), ("tendon.cache", "By")),
            ("process_cpu_seconds_total", Some("seconds"), ("process.cpu.time", "s")),
        ] {
            let (found, unit) = conventional(name, unit);
            assert_eq!((found.as_str(), unit), expected);
        }
    }
}
