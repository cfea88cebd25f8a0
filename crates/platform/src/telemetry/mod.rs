//! What the process tells about its work: log lines on standard error, and traces and metrics by OTLP where a receiver is named.

mod export;
pub mod log;
mod metrics;
mod proto;
mod queue;
mod spans;

pub use export::{Measure, OtlpSettings, Telemetry};
