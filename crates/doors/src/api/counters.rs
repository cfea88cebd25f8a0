//! Counts requests and how long they took. A counter is registered when its status first occurs, so that the text for
//! Prometheus holds no rows of zeros.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tendon_kernel::metrics::{Counter, Histogram, Registry, SECONDS};

/// Statuses that are counted one by one; all others count as `other`.
const STATUSES: [(u16, &str); 20] = [
    (200, "200"),
    (202, "202"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (413, "413"),
    (415, "415"),
    (422, "422"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (501, "501"),
    (503, "503"),
    (504, "504"),
    (0, "other"),
];

/// The routes that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// POST decisions.
    Decide,
    /// POST batches.
    Batch,
    /// GET decision, explanation and integrations.
    Read,
    /// GraphQL.
    Graphql,
    /// Anything else that is answered with a problem.
    Other,
}

const ROUTES: [&str; 5] = ["decide", "batch", "read", "graphql", "other"];

/// Counts of one process.
pub struct Counters {
    registry: Arc<Registry>,
    requests: [[OnceLock<Counter>; STATUSES.len()]; ROUTES.len()],
    seconds: Histogram,
}

impl Counters {
    /// Counts into a registry.
    pub fn new(registry: &Arc<Registry>) -> Self {
        let help = "Time to answer requests for decisions.";
        let seconds = registry.histogram("tendon_http_decision_seconds", help, &[], SECONDS);
        Self { registry: registry.clone(), requests: Default::default(), seconds }
    }

    /// Counts one answered request.
    pub(super) fn count(&self, route: Route, status: u16) {
        let at = STATUSES.iter().position(|(known, _)| *known == status).unwrap_or(STATUSES.len() - 1);
        let place = route as usize;
        let found = self.requests.get(place).and_then(|row| row.get(at)).zip(ROUTES.get(place)).zip(STATUSES.get(at));
        let Some(((counter, route), (_, status))) = found else { return };
        let register = || {
            let labels = [("route", *route), ("status", *status)];
            self.registry.counter("tendon_http_requests_total", "Requests answered, by route and status.", &labels)
        };
        counter.get_or_init(register).increment();
    }

    /// Adds the duration of one decision request, from its head read to its answer made.
    pub(super) fn observe(&self, duration: Duration) {
        self.seconds.observe_duration(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        let registry = Arc::new(Registry::default());
        let counters = Counters::new(&registry);
        counters.count(Route::Decide, 200);
        counters.count(Route::Decide, 200);
        counters.count(Route::Read, 418);
        counters.observe(Duration::from_micros(70));
        let text = registry.render();
        for line in [
            "tendon_http_requests_total{route=\"decide\",status=\"200\"} 2",
            "tendon_http_requests_total{route=\"read\",status=\"other\"} 1",
            "tendon_http_decision_seconds_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
