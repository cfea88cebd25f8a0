//! The shape of `telemetry`: where traces and metrics go, and how log lines look.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Span;
use crate::yaml::{At, Ordered};

/// What the process tells about its work. Nothing of it names a person: no input, output, subject, key or token. Where the file is
/// silent, the variables of OpenTelemetry are heard: `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`,
/// `OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SDK_DISABLED`. What changes here is in force
/// without a restart.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TelemetryRaw {
    /// A receiver of OpenTelemetry's protocol. Left out: nothing is sent.
    pub(crate) otlp: Option<OtlpRaw>,
    /// Attributes of everything that is sent, by name (default: `service.name: tendon`, with version and a new instance id).
    pub(crate) resource: Ordered<At<String>>,
    /// Log lines, on standard error.
    pub(crate) logs: Option<LogsRaw>,
}

/// A receiver of traces and metrics. While it is slow or gone nothing waits for it: what does not fit into the queue is counted
/// (`tendon_telemetry_spans_dropped_total`) and forgotten.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OtlpRaw {
    /// Its address, for example `http://127.0.0.1:4318`; `/v1/traces` and `/v1/metrics` are added (default:
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`).
    pub(crate) endpoint: Option<At<String>>,
    /// How it is spoken to.
    pub(crate) protocol: Option<ProtocolRaw>,
    /// Headers of each request, by name: `authorization: Bearer ${env:COLLECTOR_TOKEN}`.
    pub(crate) headers: Ordered<At<String>>,
    /// Longest wait for its answer (default 10s).
    pub(crate) timeout: Option<Span>,
    /// What is sent (default: both).
    pub(crate) signals: Option<Vec<At<SignalRaw>>>,
    /// Which traces are kept.
    pub(crate) traces: Option<TracesRaw>,
    /// How often metrics are sent.
    pub(crate) metrics: Option<MetricsRaw>,
}

/// How a receiver is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum ProtocolRaw {
    /// Protocol buffers over HTTP.
    #[default]
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

/// What is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignalRaw {
    /// Traces.
    #[default]
    Traces,
    /// Metrics.
    Metrics,
}

/// Which traces are kept. A caller that sends `traceparent` decides for its own trace.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TracesRaw {
    /// Share of the traces that begin here, from 0 to 1 (default 0.1).
    #[schemars(range(min = 0, max = 1))]
    pub(crate) ratio: Option<At<f64>>,
}

/// How often metrics are sent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MetricsRaw {
    /// Time between two reports (default 30s).
    pub(crate) every: Option<Span>,
}

/// Log lines. `--log-format` and the variables `TENDON_LOG` and `TENDON_LOG_FORMAT` go before.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogsRaw {
    /// For people or for programs (default text).
    pub(crate) format: Option<LogFormatRaw>,
    /// From which level on (default info).
    pub(crate) level: Option<LogLevelRaw>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormatRaw {
    /// For people.
    #[default]
    Text,
    /// One JSON object in each line.
    Json,
}

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogLevelRaw {
    /// What went wrong.
    Error,
    /// And what may.
    Warn,
    /// And what happens.
    #[default]
    Info,
    /// And how.
    Debug,
    /// And everything.
    Trace,
}
