//! What every request leaves behind, whatever answers it: its id in the log, a span where a trace is kept, its duration in a histogram
//! of the conventions of OpenTelemetry. Routes are named as `router.rs` writes them; what callers put into addresses, headers
//! and bodies is told to nobody.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    extract::{MatchedPath, Request, State},
    http::{Method, header::HOST},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tendon_kernel::{
    metrics::Exemplar,
    trace::{self, Active, Kind, Scope},
};

use super::{Api, answer};
use crate::remote;

/// Addresses that supervisors ask every few seconds: a trace of them tells nothing.
const PROBES: [&str; 3] = ["/metrics", "/livez", "/readyz"];

/// Lets a request through, and tells of it.
pub(super) async fn pass(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let began = api.context.clock.monotonic();
    let id = answer::request_id(&api, request.headers());
    // Whoever answers takes the id from here.
    answer::set(request.headers_mut(), answer::REQUEST_ID, &id);
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("", MatchedPath::as_str);
    let method = known(request.method());
    let span = if PROBES.contains(&route) { None } else { begin(&api, &request, method, route) };
    let scope = Scope::of_request(&id, span.as_ref());
    let response = trace::within(scope.clone(), next.run(request)).await;

    let (status, spent) = (response.status(), api.context.clock.monotonic().saturating_sub(began));
    trace::during(&scope, || {
        let micros = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(method, route, status = status.as_u16(), micros, "a request was answered");
    });
    let kept = span.filter(Active::kept);
    let exemplar = kept.as_ref().map(|span| Exemplar {
        value: spent.as_secs_f64(),
        context: span.context().clone(),
        at: api.context.clock.now(),
    });
    api.counters.answered(method, route, status.as_u16(), spent, exemplar);
    let Some(mut span) = kept else { return response };
    span.set("http.response.status_code", status.as_u16());
    if let Some(decision) = response.headers().get(answer::DECISION_ID).and_then(|id| id.to_str().ok()) {
        span.set("tendon.decision.id", decision.to_owned());
    }
    if status.is_server_error() {
        span.set("error.type", status.as_str().to_owned());
        span.fail(status.as_str().to_owned());
    }
    // A body may still be on its way: the span ends with it.
    response.map(|body| Body::new(Held { body, _span: span }))
}

fn begin(api: &Api, request: &Request, method: &'static str, route: &str) -> Option<Active> {
    if !api.context.traces.on() {
        return None;
    }
    let name = if route.is_empty() { method.to_owned() } else { format!("{method} {route}") };
    let mut span = api.context.traces.begin(name, Kind::Server, remote::trace(request.headers()))?;
    if !span.kept() {
        return Some(span);
    }
    span.set("http.request.method", method);
    if !route.is_empty() {
        span.set("http.route", route.to_owned());
    }
    if let Some(trust) = Some(&api.engine.runtime().plan().trust) {
        span.set("url.scheme", if trust.tls.is_some() { "https" } else { "http" });
    }
    span.set("network.protocol.version", "1.1");
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).and_then(remote::server);
    if let Some((name, port)) = host {
        span.set("server.address", name.to_owned());
        if let Some(port) = port {
            span.set("server.port", port);
        }
    }
    Some(span)
}

/// The method, where it is one that HTTP knows: others are the caller's own text.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}

/// A body whose end is the end of a span.
pub(crate) struct Held<B> {
    pub(crate) body: B,
    pub(crate) _span: Active,
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Held<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(task)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
