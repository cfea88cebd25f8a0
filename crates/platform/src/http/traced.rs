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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tendon_kernel::{
        context::Deadline,
        trace::{Attribute, Scope, Span, TraceContext, TraceSink, Traces},
    };

    use super::*;
    use crate::runtime::{SystemClock, SystemEntropy};

    #[derive(Default)]
    struct Kept(Mutex<Vec<Span>>);

    impl TraceSink for Kept {
        fn on(&self) -> bool {
            true
        }
        fn keeps(&self, _: &[u8; 16]) -> bool {
            false
        }
        fn finished(&self, span: Span) {
            self.0.lock().unwrap().push(span);
        }
    }

    const ORIGIN: &str = "https://hooks.example:8443";

    fn request() -> HttpRequest {
        HttpRequest::new(Method::Post, format!("{ORIGIN}/in/s3cret?key=s3cret"), Deadline(std::time::Duration::ZERO))
    }

    fn sent(request: &HttpRequest, name: &str) -> Option<String> {
        request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn a_receiver_is_told_where_it_is_called_from() {
        let kept = Arc::new(Kept::default());
        let traces = Traces::new(Arc::new(SystemClock::new()), Arc::new(SystemEntropy), kept.clone());
        let (outside, span) = begin(request(), ORIGIN);
        assert!(outside.headers.is_empty() && span.is_none(), "nothing is under way: nothing is told");
        for flag in ["01", "00"] {
            let caller = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flag}");
            let server = traces.begin("GET", Kind::Server, TraceContext::parse(&caller, Some("a=1"))).unwrap();
            let above = server.context().span;
            let (told, span) = trace::during(&Scope::of_request("r", Some(&server)), || begin(request(), ORIGIN));
            let said = TraceContext::parse(&sent(&told, "traceparent").unwrap(), None).unwrap();
            assert_eq!((said.trace, said.sampled), (server.context().trace, flag == "01"));
            assert_eq!(sent(&told, "tracestate").as_deref(), Some("a=1"));
            assert_eq!(span.is_some(), flag == "01");
            end(span, &Ok(HttpResponse { status: 503, headers: Vec::new(), body: Vec::new() }));
            let spans = std::mem::take(&mut *kept.0.lock().unwrap());
            assert_eq!(spans.len(), usize::from(flag == "01"));
            for span in spans {
                assert_eq!((span.context.span, span.parent), (said.span, Some(above)));
                assert!(span.attributes.contains(&("server.address", Attribute::Text("hooks.example".into()))));
                assert!(span.attributes.contains(&("server.port", Attribute::Number(8443))));
                assert_eq!(span.failed.as_deref(), Some("503"));
                assert!(!format!("{span:?}").contains("s3cret"));
            }
            // The caller's own span is not looked at.
            drop(server);
            kept.0.lock().unwrap().clear();
        }
    }
}
