//! What calls of systems leave in a trace: a span below what is under way. It names system, verb and resource, as the plan does;
//! never a statement, a key or a value.

use std::future::Future;

use tendon_kernel::{
    Result,
    trace::{self, Kind},
};

use super::System;

/// Does the work, and tells of it where somebody's trace is kept.
pub(super) async fn call<T>(
    system: &System,
    verb: &'static str,
    resource: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(mut span) = trace::child(verb, Kind::Client) else { return work.await };
    span.set("tendon.system", system.name());
    if let Some(name) = system.connector.telemetry_name() {
        span.set("db.system.name", name);
        span.set("db.operation.name", verb);
        if !resource.is_empty() {
            span.rename(format!("{verb} {resource}"));
            span.set("db.collection.name", resource.to_owned());
        }
    }
    let result = trace::within(trace::current().with(&span), work).await;
    if let Err(error) = &result {
        span.set("error.type", error.code());
        span.fail(error.code());
    }
    result
}
