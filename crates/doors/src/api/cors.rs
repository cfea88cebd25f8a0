//! Web pages of other origins, as far as the project declares them: exact origins, never `*`, and never cookies, because credentials
//! come in `Authorization` alone. Without a declaration no header is sent and browsers keep other pages out.

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
        },
    },
    response::Response,
};
use tendon_plan::{Plan, trust::CorsPlan};

use super::answer;

/// Headers that a page may send.
const SENT: &str = "authorization, content-type, idempotency-key, if-none-match, prefer, request-timeout, \
                    tendon-subject, tendon-timeout-ms, traceparent, tracestate, x-request-id";
/// Headers that a page may read.
const READ: &str = "etag, idempotent-replayed, link, location, preference-applied, ratelimit, ratelimit-policy, retry-after, server-timing, \
                    tendon-batch-size, tendon-decision-id, x-request-id";

/// How addresses begin that ask for the token of a badge.
pub(crate) const HELD: &str = "/embed/integrations/";

/// What a request's origin may do.
pub(super) struct Asked {
    /// Whether anything is declared here: answers differ by origin then.
    declared: bool,
    /// The origin, where it is one of those declared.
    origin: Option<HeaderValue>,
    max_age: u64,
    /// The method that a preflight asks for.
    method: Option<Method>,
}

impl Asked {
    /// Looks at a request to an address, which may be one integration's. What a badge needs is open to the badge's pages alone.
    pub(super) fn of(plan: &Plan, path: &str, integration: &str, headers: &HeaderMap) -> Self {
        let trust = &plan.trust;
        let declared: Vec<&CorsPlan> = if path.starts_with(HELD) {
            let embed = plan.integrations.get(integration).and_then(|one| one.embed.as_ref());
            embed.and_then(|embed| embed.holders.as_ref()).map(|holders| &holders.cors).into_iter().collect()
        } else {
            trust.cors_by_integration.get(integration).into_iter().chain([&trust.cors]).collect()
        };
        let plans: Vec<&CorsPlan> = declared.into_iter().filter(|plan| !plan.origins.is_empty()).collect();
        let asked = headers.get(ORIGIN);
        let fits = |plan: &&CorsPlan| {
            asked.is_some_and(|asked| plan.origins.iter().any(|origin| origin.as_bytes() == asked.as_bytes()))
        };
        let allowing = plans.iter().copied().find(|plan| fits(plan));
        let method = headers.get(ACCESS_CONTROL_REQUEST_METHOD).and_then(|value| value.to_str().ok()?.parse().ok());
        Self {
            declared: !plans.is_empty(),
            origin: allowing.and(asked).cloned(),
            max_age: allowing.map_or(0, |plan| plan.max_age.as_secs()),
            method,
        }
    }

    /// The answer to a preflight of a declared origin for a method that the address knows.
    pub(super) fn preflight(&self, method: &Method, known: impl Fn(&Method) -> bool) -> Option<Response> {
        let wanted = self.method.as_ref().filter(|_| *method == Method::OPTIONS && self.origin.is_some())?;
        if !known(wanted) {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        self.tell(headers);
        answer::set(headers, ACCESS_CONTROL_ALLOW_METHODS, wanted.as_str());
        answer::set(headers, ACCESS_CONTROL_ALLOW_HEADERS, SENT);
        answer::set(headers, ACCESS_CONTROL_MAX_AGE, &self.max_age.to_string());
        headers.append(VARY, HeaderValue::from(ACCESS_CONTROL_REQUEST_METHOD));
        Some(response)
    }

    /// Whether the request comes from a page of another origin that is not declared.
    pub(super) fn foreign(&self, headers: &HeaderMap) -> bool {
        let Some(asked) = headers.get(ORIGIN).filter(|_| self.origin.is_none()) else { return false };
        let own = headers.get(HOST).and_then(|host| host.to_str().ok());
        let page = asked.to_str().ok().and_then(|asked| asked.split_once("://"));
        own.zip(page).is_none_or(|(own, (_, page))| !own.eq_ignore_ascii_case(page))
    }

    /// Adds what lets the page read the answer.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        if self.declared {
            headers.append(VARY, HeaderValue::from(ORIGIN));
        }
        if let Some(origin) = &self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer::set(headers, ACCESS_CONTROL_EXPOSE_HEADERS, READ);
        }
    }
}
