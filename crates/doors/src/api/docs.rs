//! `/docs`: a page that reads `/openapi.json`, shows what can be asked, and asks it. It is part of the program: no other
//! address is ever contacted, and the browser is told to see to that.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};

use super::{Api, answer::Asked, counters::Route, fresh};

const PAGE: &str = include_str!("docs/page.html");
const STYLE: &str = include_str!("docs/style.css");
const SCRIPT: &str = include_str!("docs/script.js");

/// Only this origin's own script, style and answers; no markup of a stranger can run, and no other page can frame it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
);

/// The page.
pub(super) async fn page(State(api): State<Arc<Api>>, request: Request) -> Response {
    file(&api, request.headers(), "text/html; charset=utf-8", PAGE)
}

/// How it looks.
pub(super) async fn style(State(api): State<Arc<Api>>, request: Request) -> Response {
    file(&api, request.headers(), "text/css; charset=utf-8", STYLE)
}

/// What it does.
pub(super) async fn script(State(api): State<Arc<Api>>, request: Request) -> Response {
    file(&api, request.headers(), "text/javascript; charset=utf-8", SCRIPT)
}

fn file(api: &Api, headers: &HeaderMap, kind: &'static str, text: &'static str) -> Response {
    let asked = Asked::begin(api, headers, Route::Read);
    let mut response = asked.json(api, StatusCode::OK, text.into());
    let set: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    ];
    for (name, value) in set {
        response.headers_mut().insert(name, value);
    }
    let tag = fresh::tag_of(text.as_bytes());
    asked.timed(api, fresh::conditional(response, headers, &tag), &[])
}
