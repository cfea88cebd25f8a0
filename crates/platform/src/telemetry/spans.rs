//! Spans as OTLP says them.

use std::{collections::BTreeMap, time::Duration};

use tendon_kernel::trace::{self, Attribute, Kind, TraceContext};

use super::proto::{ExportTraces, KeyValue, Library, Link, Resource, ResourceSpans, ScopeSpans, Span, Status};

/// The version of the semantic conventions that names and attributes follow.
pub(super) const CONVENTIONS: &str = "https://opentelemetry.io/schemas/1.37.0";

/// A request with these spans. `epoch`: nanoseconds since 1970 at which the monotonic clock stood at zero.
pub(super) fn request(spans: Vec<trace::Span>, resource: Resource, epoch: u64) -> ExportTraces {
    let spans = spans.into_iter().map(|span| one(span, epoch)).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(library()), spans, schema_url: CONVENTIONS.to_owned() }];
    ExportTraces { resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans }] }
}

/// What makes the spans and metrics.
pub(super) fn library() -> Library {
    Library { name: "tendon".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

fn one(span: trace::Span, epoch: u64) -> Span {
    let at = |moment: Duration| epoch.saturating_add(u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX));
    // Bit 8: it is known whether the span above is another process's; bit 9: it is.
    let flags = u32::from(span.context.sampled) | 0x100 | if span.remote { 0x200 } else { 0 };
    let kind = match span.kind {
        Kind::Internal => 1,
        Kind::Server => 2,
        Kind::Client => 3,
        Kind::Consumer => 5,
    };
    Span {
        trace_id: span.context.trace.to_vec(),
        span_id: span.context.span.to_vec(),
        trace_state: state(&span.context),
        parent_span_id: span.parent.map(|parent| parent.to_vec()).unwrap_or_default(),
        name: span.name.into_owned(),
        kind,
        start_time_unix_nano: at(span.start),
        end_time_unix_nano: at(span.end),
        attributes: attributes(span.attributes),
        links: span.links.into_iter().map(link).collect(),
        status: span.failed.map(|code| Status { message: code.into_owned(), code: 2 }),
        flags,
    }
}

fn link(link: trace::Link) -> Link {
    Link {
        trace_id: link.context.trace.to_vec(),
        span_id: link.context.span.to_vec(),
        trace_state: state(&link.context),
        attributes: attributes(link.attributes),
        flags: u32::from(link.context.sampled) | 0x100,
    }
}

fn state(context: &TraceContext) -> String {
    context.state.as_deref().unwrap_or_default().to_owned()
}

/// Attributes, none of them twice: what is told last holds.
fn attributes(told: Vec<(&'static str, Attribute)>) -> Vec<KeyValue> {
    let told: BTreeMap<_, _> = told.into_iter().collect();
    let said = told.into_iter().map(|(name, value)| match value {
        Attribute::Text(text) => KeyValue::text(name, text),
        Attribute::Number(number) => KeyValue::number(name, number),
    });
    said.collect()
}
