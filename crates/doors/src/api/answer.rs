//! Turns results into responses: one place for headers that every answer carries.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use tendon_engine::ask::Timing;
use tendon_kernel::{Error, ErrorKind, Id, Result};

use super::{Api, counters::Route, fresh, problem, problem::Problem};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
pub(crate) const DECISION_ID: HeaderName = HeaderName::from_static("tendon-decision-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A request under way: its id and when it began.
pub(crate) struct Asked {
    pub(crate) id: String,
    pub(super) began: Duration,
    route: Route,
}

impl Asked {
    /// Begins a request: takes the caller's request id where it is harmless, else makes one.
    pub(crate) fn begin(api: &Api, headers: &HeaderMap, route: Route) -> Self {
        Self { id: request_id(api, headers), began: api.context.clock.monotonic(), route }
    }

    /// A JSON answer.
    pub(crate) fn json(&self, api: &Api, status: StatusCode, body: Vec<u8>) -> Response {
        self.response(api, status, JSON, body)
    }

    /// A problem from an error.
    pub(crate) fn problem(&self, api: &Api, error: &Error) -> Response {
        let status = problem::status(error.kind(), error.code());
        // A flood of refusals would be a flood of lines: they are counted, and summarised in the ledger.
        if status.is_server_error() && error.kind() != ErrorKind::Overloaded {
            tracing::warn!(request = %self.id, code = error.code(), detail = error.private_detail(), "{error}");
        }
        let mut response = self.document(api, status, &Problem::of(error, &self.id));
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                let known = if error.code() == "key_missing" { "" } else { ", error=\"invalid_token\"" };
                set(headers, header::WWW_AUTHENTICATE, &format!("Bearer realm=\"tendon\"{known}"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => set(headers, header::RETRY_AFTER, "1"),
            _ => {}
        }
        response
    }

    /// A problem document.
    pub(super) fn document(&self, api: &Api, status: StatusCode, problem: &Problem<'_>) -> Response {
        self.response(api, status, PROBLEM, serde_json::to_vec(problem).unwrap_or_default())
    }

    fn response(&self, api: &Api, status: StatusCode, kind: HeaderValue, body: Vec<u8>) -> Response {
        api.counters.count(self.route, status.as_u16());
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.reserve(6);
        headers.insert(header::CONTENT_TYPE, kind);
        set(headers, REQUEST_ID, &self.id);
        response
    }

    /// Adds how long everything took; with the stages' own times where they are known.
    pub(crate) fn timed(&self, api: &Api, mut response: Response, timings: &[Timing]) -> Response {
        timed(api, self.began, response.headers_mut(), timings);
        response
    }
}

/// The id of a request: the caller's own where it is harmless, else a new one.
pub(crate) fn request_id(api: &Api, headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|text| {
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
    });
    given.map_or_else(|| Id::new(&api.context).to_string(), str::to_owned)
}

/// Sets how long everything took.
pub(crate) fn timed(api: &Api, began: Duration, headers: &mut HeaderMap, timings: &[Timing]) {
    let total = api.context.clock.monotonic().saturating_sub(began);
    let mut text = String::with_capacity(24 * (timings.len() + 1));
    for (stage, duration) in timings.iter().copied().chain([("total", total)]) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(stage);
        text.push_str(";dur=");
        push_millis(&mut text, duration);
    }
    set(headers, SERVER_TIMING, &text);
}

/// Appends milliseconds with three decimals. By hand, because every decision has a dozen of them: with `write!` they were 3 % of the
/// instructions that it took.
fn push_millis(text: &mut String, duration: Duration) {
    let mut rest = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    // The longest is 18446744073709551.615.
    let mut digits = [b'.'; 21];
    let mut at = digits.len();
    while at > digits.len() - 5 || rest > 0 {
        at -= 1;
        if at != digits.len() - 4 {
            digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
    }
    text.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
}

/// Sets a header; a value that cannot stand in a header is left out.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A page of a list: its tag, and in `Link` the address of the next page.
pub(super) fn listed(api: &Api, asked: &Asked, head: &Parts, page: Result<(Vec<u8>, Option<String>)>) -> Response {
    let response = match page {
        Ok((body, next)) => {
            let tag = fresh::tag_of(&body);
            let mut response = asked.json(api, StatusCode::OK, body);
            if let Some(cursor) = next {
                let others = head.uri.query().unwrap_or_default().split('&');
                let others = others.filter(|part| !part.is_empty() && !part.starts_with("cursor="));
                let query: String = others.map(|part| format!("{part}&")).collect();
                let next = format!("<{}?{query}cursor={cursor}>; rel=\"next\"", head.uri.path());
                set(response.headers_mut(), header::LINK, &next);
            }
            fresh::conditional(response, &head.headers, &tag)
        }
        Err(error) => asked.problem(api, &error),
    };
    asked.timed(api, response, &[])
}

/// The variable part of an address, or why it cannot be read.
pub(super) type Part = std::result::Result<Path<String>, PathRejection>;

/// The text of that part.
///
/// # Errors
/// `NotFound`: bytes that are no UTF-8 name nothing.
pub(super) fn part(part: Part) -> Result<String> {
    part.map(|Path(text)| text).map_err(|rejection| not_text().private(rejection))
}

/// What a part of an address that is no UTF-8 leads to.
pub(super) fn not_text() -> Error {
    Error::new(ErrorKind::NotFound, "no_route", "nothing is served at this address")
        .hint("a part of it is not UTF-8; /openapi.json lists all addresses")
}

/// Answers an address that does not exist.
pub(super) async fn no_route(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let asked = Asked::begin(&api, &headers, Route::Other);
    // The address is not repeated: it may hold whom it was meant to be about.
    let error = Error::new(ErrorKind::NotFound, "no_route", "nothing is served at this address")
        .hint("/openapi.json lists all addresses");
    asked.problem(&api, &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_written_as_the_formatter_writes_them() {
        let powers = (0..20).map(|power| 10_u64.pow(power));
        let near = powers.flat_map(|power| [power - 1, power, power + 1, power.saturating_mul(7)]);
        for micros in near.chain([u64::MAX, u64::MAX - 1, 123_456_789]) {
            let mut text = String::from("a;dur=");
            push_millis(&mut text, Duration::from_micros(micros));
            assert_eq!(text, format!("a;dur={}.{:03}", micros / 1000, micros % 1000));
        }
        let mut text = String::new();
        push_millis(&mut text, Duration::MAX);
        assert_eq!(text, "18446744073709551.615", "more than can be counted is the most that can");
    }
}
