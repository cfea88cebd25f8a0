//! What outgoing calls have to do with traces: the receiver is told the place in the trace it is called from, and a span tells
//! receiver, method and status. The rest of the address stays out: callbacks carry secrets in it.

use tendon_kernel::{
    Result,
    sockets::http::{HttpRequest, HttpResponse, Method},
    trace::{self, Active, Kind},
};

/// Begins: adds `traceparent`, where something is under way.
pub(super) fn begin(mut request: HttpRequest, origin: &str) -> (HttpRequest, Option<Active>) {
    let scope = trace::current();
    let Some(here) = scope.context() else { return (request, None) };
    let verb = match request.method {
        Method::Delete => "DELETE",
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Patch => "PATCH",
        Method::Post => "POST",
        Method::Put => "PUT",
    };
    let mut span = scope.child(verb, Kind::Client);
    if let Some(span) = &mut span {
        let (scheme, rest) = origin.split_once("://").unwrap_or(("", origin));
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (rest, None),
        };
        span.set("http.request.method", verb);
        span.set("server.address", host.to_owned());
        span.set("server.port", port.unwrap_or(if scheme == "https" { 443_u16 } else { 80 }));
        span.set("url.scheme", scheme.to_owned());
    }
    let here = span.as_ref().map_or(here, |span| span.context().clone());
    if request.headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("traceparent")) {
        request = request.header("traceparent", here.traceparent());
        if let Some(state) = &here.state {
            request = request.header("tracestate", &**state);
        }
    }
    (request, span)
}

/// Ends.
pub(super) fn end(span: Option<Active>, answer: &Result<HttpResponse>) {
    let Some(mut span) = span else { return };
    match answer {
        Ok(answer) => {
            span.set("http.response.status_code", answer.status);
            if answer.status >= 400 {
                span.set("error.type", answer.status.to_string());
                span.fail(answer.status.to_string());
            }
        }
        Err(error) => {
            span.set("error.type", error.code());
            span.fail(error.code());
        }
    }
}
