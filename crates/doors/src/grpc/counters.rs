//! Counts calls by method and status; a counter is registered when its status first occurs.

use std::sync::{Arc, OnceLock};

use tendon_kernel::metrics::{Counter, Registry};
use tonic::Code;

const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A status as gRPC writes it.
pub(super) fn name(code: Code) -> &'static str {
    usize::try_from(i32::from(code)).ok().and_then(|at| CODES.get(at)).copied().unwrap_or("UNKNOWN")
}

/// The methods that are counted; `other` last.
pub(super) const METHODS: [&str; 7] = ["Decide", "DecideStream", "Get", "List", "Explain", "ListIntegrations", "other"];

/// Counts of one process.
pub(super) struct Counters {
    registry: Arc<Registry>,
    calls: [[OnceLock<Counter>; CODES.len()]; METHODS.len()],
}

impl Counters {
    pub(super) fn new(registry: &Arc<Registry>) -> Self {
        Self { registry: registry.clone(), calls: Default::default() }
    }

    /// Counts one call that ended; for a stream, one question.
    pub(super) fn count(&self, method: &str, code: Code) {
        let row = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1);
        let column = usize::try_from(i32::from(code)).unwrap_or(2);
        let found = self.calls.get(row).and_then(|row| row.get(column)).zip(METHODS.get(row)).zip(CODES.get(column));
        let Some(((counter, method), code)) = found else { return };
        let register = || {
            let labels = [("method", *method), ("code", *code)];
            self.registry.counter("tendon_grpc_requests_total", "Calls answered, by method and status.", &labels)
        };
        counter.get_or_init(register).increment();
    }
}
