//! What every call leaves behind: its id in the log, a span where a trace is kept, its duration in a histogram of the conventions of
//! OpenTelemetry. A stream's span ends with the stream; its duration is the caller's affair and is not counted.

use std::time::Duration;

use hyper::{Request, Response, body::Incoming};
use tendon_kernel::{
    metrics::{Exemplar, SECONDS},
    trace::{self, Active, Kind, Scope},
};
use tonic::{Code, body::Body};

use super::{counters, service::NAME};
use crate::{
    api::{Api, answer, observe::Held},
    remote,
};

/// A call under way.
pub(super) struct Observed {
    began: Duration,
    method: &'static str,
    id: String,
    span: Option<Active>,
}

impl Observed {
    /// Begins a call of our own service; others (health, reflection) are not told of.
    pub(super) fn begin(api: &Api, request: &mut Request<Incoming>) -> Option<Self> {
        let name = request.uri().path().strip_prefix('/')?.strip_prefix(NAME)?.strip_prefix('/')?;
        let method = counters::METHODS.iter().find(|known| **known == name).copied().unwrap_or("other");
        let id = answer::request_id(api, request.headers());
        // Whoever answers takes the id from here.
        answer::set(request.headers_mut(), answer::REQUEST_ID, &id);
        let traces = &api.context.traces;
        let caller = traces.on().then(|| remote::trace(request.headers())).flatten();
        let mut span = traces.begin(format!("{NAME}/{method}"), Kind::Server, caller);
        if let Some(span) = span.as_mut().filter(|span| span.kept()) {
            span.set("rpc.system.name", "grpc");
            span.set("rpc.method", format!("{NAME}/{method}"));
            if let Some((name, port)) = request.uri().authority().and_then(|host| remote::server(host.as_str())) {
                span.set("server.address", name.to_owned());
                if let Some(port) = port {
                    span.set("server.port", port);
                }
            }
        }
        Some(Self { began: api.context.clock.monotonic(), method, id, span })
    }

    /// For whatever runs on behalf of the call.
    pub(super) fn scope(&self) -> Scope {
        Scope::of_request(&self.id, self.span.as_ref())
    }

    /// The call has its answer.
    pub(super) fn end(self, api: &Api, response: Response<Body>) -> Response<Body> {
        trace::during(&self.scope(), || tracing::debug!(method = self.method, "a call was answered"));
        let kept = self.span.filter(Active::kept);
        if self.method == "DecideStream" {
            let Some(span) = kept else { return response };
            return response.map(|body| Body::new(Held { body, _span: span }));
        }
        // What went wrong is told in the head; what went well, behind the message.
        let code = response.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
        let code = counters::name(code);
        let spent = api.context.clock.monotonic().saturating_sub(self.began);
        let method = format!("{NAME}/{}", self.method);
        let labels = [("rpc_system_name", "grpc"), ("rpc_method", &*method), ("rpc_response_status_code", code)];
        let help = "Time to answer calls over gRPC.";
        let seconds = api.context.metrics.histogram("rpc_server_call_duration_seconds", help, &labels, SECONDS);
        seconds.observe_duration(spent);
        if let Some(mut span) = kept {
            let at = api.context.clock.now();
            seconds.exemplify(Exemplar { value: spent.as_secs_f64(), context: span.context().clone(), at });
            span.set("rpc.response.status_code", code);
            if matches!(
                code,
                "INTERNAL" | "UNAVAILABLE" | "UNKNOWN" | "DATA_LOSS" | "UNIMPLEMENTED" | "DEADLINE_EXCEEDED"
            ) {
                span.set("error.type", code);
                span.fail(code);
            }
        }
        response
    }
}
