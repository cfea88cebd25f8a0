//! The two texts that Prometheus reads: exposition format 0.0.4, and OpenMetrics 1.0 where it asks for that, with exemplars.
//! Sorted, so that equal states print equal texts.

use std::{
    fmt::Write as _,
    sync::{PoisonError, atomic::Ordering::Relaxed},
};

use super::{Exemplar, Histogram, Metric, Registry};
use crate::trace;

/// Content type of [`Registry::render`].
pub const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Content type of [`Registry::render_open_metrics`].
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Prometheus,
    Open,
}

impl Registry {
    /// The text for Prometheus, exposition format 0.0.4.
    pub fn render(&self) -> String {
        self.text(Form::Prometheus)
    }

    /// The text in OpenMetrics 1.0: units, and an exemplar per bucket of a histogram that has one.
    pub fn render_open_metrics(&self) -> String {
        let mut text = self.text(Form::Open);
        text.push_str("# EOF\n");
        text
    }

    fn text(&self, form: Form) -> String {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (name, family) in &*families {
            let mut help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            // In OpenMetrics a counter's family is named without the ending that its samples have.
            let title = match form {
                Form::Open if family.kind == "counter" => name.strip_suffix("_total").unwrap_or(name),
                _ => name,
            };
            if form == Form::Open {
                help = help.replace('"', "\\\"");
            }
            // Writing into a String cannot fail.
            let _: std::fmt::Result = write!(text, "# HELP {title} {help}\n# TYPE {title} {}\n", family.kind);
            if let (Form::Open, Some(unit)) = (form, unit(title)) {
                let _: std::fmt::Result = writeln!(text, "# UNIT {title} {unit}");
            }
            for (labels, (_, metric)) in &family.metrics {
                one(&mut text, name, labels, metric, form);
            }
        }
        text
    }
}

/// The base unit that a name ends with.
pub(super) fn unit(name: &str) -> Option<&'static str> {
    ["seconds", "bytes", "ratio"]
        .into_iter()
        .find(|unit| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')))
}

fn one(text: &mut String, name: &str, labels: &str, metric: &Metric, form: Form) {
    let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _: std::fmt::Result = match metric {
        Metric::Counter(counter) => writeln!(text, "{name}{braced} {}", counter.get()),
        Metric::Gauge(gauge) | Metric::Total(gauge) => writeln!(text, "{name}{braced} {}", number(gauge.get())),
        Metric::Histogram(histogram) => {
            let total = buckets(text, name, labels, histogram, form);
            let sum = number(f64::from_bits(histogram.0.sum.load(Relaxed)));
            writeln!(text, "{name}_sum{braced} {sum}\n{name}_count{braced} {total}")
        }
    };
}

/// The lines of a histogram's buckets; gives the count of all.
fn buckets(text: &mut String, name: &str, labels: &str, histogram: &Histogram, form: Form) -> u64 {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut total = 0;
    let ends = histogram.0.bounds.iter().copied().chain([f64::INFINITY]);
    for (place, (end, count)) in ends.zip(&histogram.0.counts).enumerate() {
        total += count.load(Relaxed);
        let end = match form {
            Form::Prometheus => number(end),
            Form::Open => canonical(end),
        };
        let _: std::fmt::Result = write!(text, "{name}_bucket{{{labels}{comma}le=\"{end}\"}} {total}");
        if let (Form::Open, Some(seen)) = (form, histogram.exemplar(place)) {
            exemplar(text, &seen);
        }
        text.push('\n');
    }
    total
}

fn exemplar(text: &mut String, seen: &Exemplar) {
    let (trace, span) = (trace::hex(&seen.context.trace), trace::hex(&seen.context.span));
    let (value, micros) = (number(seen.value), seen.at.0.max(0));
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let _: std::fmt::Result =
        write!(text, " # {{trace_id=\"{trace}\",span_id=\"{span}\"}} {value} {seconds}.{rest:06}");
}

/// A double as the formats write it.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

/// A bucket's end as OpenMetrics writes it: never as an integer.
fn canonical(value: f64) -> String {
    if value.is_finite() { format!("{value:?}") } else { number(value) }
}

/// Labels as the formats write them, in the order given.
pub(super) fn labels(labels: &[(&'static str, &str)]) -> String {
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
    use std::sync::Arc;

    use super::*;
    use crate::{time::Timestamp, trace::TraceContext};

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
    fn renders_open_metrics_with_exemplars() {
        let registry = Registry::default();
        registry.counter("b_total", "Say \"b\".", &[]).add(3);
        let histogram = registry.histogram("c_seconds", "Time.", &[("k", "v")], &[0.000_05, 1.0]);
        histogram.observe(0.5);
        let context = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None).unwrap();
        histogram.exemplify(Exemplar { value: 0.5, context: Arc::new(context), at: Timestamp(1_520_879_607_000_789) });
        assert_eq!(
            registry.render_open_metrics(),
            "# HELP b Say \\\"b\\\".\n# TYPE b counter\nb_total 3\n\
             # HELP c_seconds Time.\n# TYPE c_seconds histogram\n# UNIT c_seconds seconds\n\
             c_seconds_bucket{k=\"v\",le=\"5e-5\"} 0\nc_seconds_bucket{k=\"v\",le=\"1.0\"} 1 \
             # {trace_id=\"0af7651916cd43dd8448eb211c80319c\",span_id=\"b7ad6b7169203331\"} 0.5 1520879607.000789\n\
             c_seconds_bucket{k=\"v\",le=\"+Inf\"} 1\nc_seconds_sum{k=\"v\"} 0.5\nc_seconds_count{k=\"v\"} 1\n# EOF\n"
        );
        assert!(!registry.render().contains("trace_id"));
    }
}
