//! Counts requests and how long they took. A counter is registered when its status first occurs, so that the text for
//! Prometheus holds no rows of zeros.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use tendon_kernel::metrics::{Counter, Exemplar, Histogram, Registry, SECONDS};

/// Statuses that are counted one by one; all others count as `other`.
const STATUSES: [(u16, &str); 21] = [
    (200, "200"),
    (202, "202"),
    (303, "303"),
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
pub(crate) enum Route {
    /// POST decisions.
    Decide,
    /// POST batches.
    Batch,
    /// GET decision, explanation and integrations.
    Read,
    /// GraphQL.
    Graphql,
    /// A page of the console, or a change made there.
    Console,
    /// A badge in the page of somebody else.
    Embed,
    /// Anything else that is answered with a problem.
    Other,
}

const ROUTES: [&str; 7] = ["decide", "batch", "read", "graphql", "console", "embed", "other"];

/// Counts of one process.
pub struct Counters {
    registry: Arc<Registry>,
    requests: [[OnceLock<Counter>; STATUSES.len()]; ROUTES.len()],
    /// By route, then by method and status; grows by what has occurred, all of which is ours to name.
    seconds: ArcSwap<BTreeMap<Box<str>, Vec<Seconds>>>,
}

type Seconds = ((&'static str, u16), Histogram);

impl Counters {
    /// Counts into a registry.
    pub fn new(registry: &Arc<Registry>) -> Self {
        Self { registry: registry.clone(), requests: Default::default(), seconds: ArcSwap::default() }
    }

    /// Counts one answered request.
    pub(crate) fn count(&self, route: Route, status: u16) {
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

    /// Adds the duration of one request, from its head read to its answer made. `route`: as the router names it, or nothing.
    pub(super) fn answered(
        &self,
        method: &'static str,
        route: &str,
        status: u16,
        duration: Duration,
        exemplar: Option<Exemplar>,
    ) {
        let what = (method, status);
        let known = self.seconds.load();
        let found = known.get(route).and_then(|row| row.iter().find(|(known, _)| *known == what));
        let seconds = found.map_or_else(|| self.register(route, what), |(_, seconds)| seconds.clone());
        seconds.observe_duration(duration);
        if let Some(exemplar) = exemplar {
            seconds.exemplify(exemplar);
        }
    }

    fn register(&self, route: &str, what: (&'static str, u16)) -> Histogram {
        let status = what.1.to_string();
        let mut labels = vec![("http_request_method", what.0), ("http_response_status_code", status.as_str())];
        if !route.is_empty() {
            labels.push(("http_route", route));
        }
        let help = "Time to answer requests over HTTP.";
        let made = self.registry.histogram("http_server_request_duration_seconds", help, &labels, SECONDS);
        self.seconds.rcu(|known| {
            let mut next = BTreeMap::clone(known);
            let row = next.entry(route.into()).or_default();
            if row.iter().all(|(known, _)| *known != what) {
                row.push((what, made.clone()));
            }
            next
        });
        made
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
        for _ in 0..2 {
            counters.answered("GET", "/v1/models", 200, Duration::from_micros(70), None);
        }
        counters.answered("POST", "", 404, Duration::from_micros(70), None);
        let text = registry.render();
        for line in [
            "tendon_http_requests_total{route=\"decide\",status=\"200\"} 2",
            "tendon_http_requests_total{route=\"read\",status=\"other\"} 1",
            "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_response_status_code=\"200\",http_route=\"/v1/models\"} 2",
            "http_server_request_duration_seconds_count{http_request_method=\"POST\",http_response_status_code=\"404\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
