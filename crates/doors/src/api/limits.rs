//! Limits per caller as HTTP tells them: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers) on every answer to
//! a caller that has any, `Retry-After` on a refusal.

use std::fmt::Write as _;

use axum::{
    http::{HeaderName, StatusCode, header::RETRY_AFTER},
    response::Response,
};
use tendon_engine::allowance::{Left, Standing};

use super::answer;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// Says how the caller stands.
pub(super) fn tell(standing: Standing, response: &mut Response) {
    let parts = [("rate", standing.rate), ("day", standing.quota)];
    let parts = || parts.iter().filter_map(|(name, left)| left.map(|left| (*name, left)));
    if parts().next().is_none() {
        return;
    }
    let (mut policy, mut state) = (String::new(), String::new());
    for (name, Left { limit, window, left, reset, .. }) in parts() {
        let comma = if policy.is_empty() { "" } else { ", " };
        let _ = write!(policy, "{comma}\"{name}\";q={limit};w={window}");
        let _ = write!(state, "{comma}\"{name}\";r={left};t={reset}");
    }
    let refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
    let headers = response.headers_mut();
    answer::set(headers, POLICY, &policy);
    answer::set(headers, STATE, &state);
    if refused {
        let wait = parts().map(|(_, left)| left.wait).max().unwrap_or_default().max(1);
        answer::set(headers, RETRY_AFTER, &wait.to_string());
    }
}
