//! What deliveries leave in a trace. They happen after the answer, many decisions' together, so they are a trace of their own with a
//! link to each decision's. Which trace a decision had is kept in memory only: the record stands for years, a trace for days, and
//! after a restart the entry still tells everything except that link.

use std::sync::Arc;

use tendon_kernel::{
    Result,
    context::Context,
    sockets::connector::Written,
    trace::{self, Kind, Link, TraceContext},
};

use super::queue::{Pending, write_batch};
use crate::systems::System;

/// Links of one span at the most, as tracing systems keep them.
const LINKS: usize = 128;

/// The trace that deliveries come from which are accepted now, where it is kept.
pub(super) fn origin() -> Option<Arc<TraceContext>> {
    trace::current().context().filter(|context| context.sampled)
}

/// Writes deliveries, and tells of it.
///
/// # Errors
/// As [`System::write`].
pub(super) async fn write(context: &Context, system: &System, batch: &[Pending]) -> Result<Vec<Written>> {
    let writing = system.write(write_batch(batch));
    let links = batch.iter().filter_map(|pending| {
        let attributes = vec![("tendon.decision.id", pending.id.to_string().into())];
        Some(Link { context: pending.trace.clone()?, attributes })
    });
    let links: Vec<_> = links.take(LINKS).collect();
    let Some(mut span) = context.traces.begin_linked("deliveries", Kind::Consumer, links) else {
        return writing.await;
    };
    span.set("tendon.system", system.name());
    span.set("tendon.deliveries", batch.len());
    let result = trace::within(trace::current().with(&span), writing).await;
    if let Err(error) = &result {
        span.fail(error.code());
    }
    result
}
