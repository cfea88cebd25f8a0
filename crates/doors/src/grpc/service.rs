//! Table of contents of the gRPC port: which method is answered by what, and what every call passes on its way: is it gRPC, who
//! asks, how long has it, is its message within the limits.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use axum::body::Body as Received;
use futures_util::future::{BoxFuture, FutureExt as _};
use hyper::{Request, Response, StatusCode, body::Incoming, header::AUTHORIZATION, http::request::Parts};
use prost::Message;
use tendon_kernel::{Error, ErrorKind, Result, trace};
use tonic::{Code, Status, body::Body, server::Grpc};
use tonic_health::pb::health_server::HealthServer;
use tonic_prost::ProstCodec;

use super::{
    calls::{self, Call, End, Given},
    counters::Counters,
    frame, health, metadata,
    observe::Observed,
    status,
    stream::Questions,
};
use crate::{
    api::{Api, answer, body},
    trust::{self, Credentials, Peer},
};

/// Name of the service.
pub(super) const NAME: &str = "tendon.v1.Decisions";
/// What reflection tells of it; made with the messages.
const DESCRIPTOR: &[u8] = include_bytes!("descriptor.bin");

type Handler = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// Everything that the port answers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Service {
    api: Arc<Api>,
    counters: Arc<Counters>,
    /// Health and reflection, by the beginning of their path.
    others: Arc<[(&'static str, Handler)]>,
}

impl Service {
    /// The service over an API.
    ///
    /// # Errors
    /// `Internal` when the committed descriptor cannot be read: a defect.
    pub(crate) fn new(api: Arc<Api>) -> Result<Self> {
        let describe = || {
            let builder = tonic_reflection::server::Builder::configure();
            let builder = builder.register_encoded_file_descriptor_set(DESCRIPTOR);
            builder.register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let unread = |error: tonic_reflection::server::Error| {
            Error::new(ErrorKind::Internal, "descriptor", "the descriptor of the gRPC service cannot be read")
                .private(error)
        };
        let others: [(&'static str, Handler); 3] = [
            ("/grpc.health.v1.Health/", handler(HealthServer::new(health::Readiness(api.clone())))),
            ("/grpc.reflection.v1.ServerReflection/", handler(describe().build_v1().map_err(unread)?)),
            ("/grpc.reflection.v1alpha.ServerReflection/", handler(describe().build_v1alpha().map_err(unread)?)),
        ];
        let counters = Arc::new(Counters::new(&api.context.metrics));
        Ok(Self { api, counters, others: others.into() })
    }

    /// Answers one call.
    pub(crate) async fn answer(self, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let api = self.api.clone();
        let Some(observed) = Observed::begin(&api, &mut request) else { return self.dispatch(request).await };
        let answered = trace::within(observed.scope(), self.dispatch(request)).await;
        answered.map(|response| observed.end(&api, response))
    }

    async fn dispatch(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        if !metadata::is_grpc(request.headers()) {
            self.discard(request.into_body()).await;
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Ok(response);
        }
        let path = request.uri().path();
        if let Some((_, handler)) = self.others.iter().find(|(start, _)| path.starts_with(start)) {
            return Ok(handler(request).await);
        }
        let method = path.strip_prefix('/').and_then(|path| path.strip_prefix(NAME)?.strip_prefix('/'));
        Ok(match method {
            Some("Decide") => self.unary("Decide", request, calls::decide).await,
            Some("DecideStream") => self.stream(request).await,
            Some("Get") => self.unary("Get", request, calls::get).await,
            Some("List") => self.unary("List", request, calls::list).await,
            Some("Explain") => self.unary("Explain", request, calls::explain).await,
            Some("ListIntegrations") => self.unary("ListIntegrations", request, calls::integrations).await,
            _ => {
                let error = Error::new(ErrorKind::Unsupported, "no_method", "no such method is served here")
                    .hint("server reflection lists all");
                let id = self.id(&request);
                self.discard(request.into_body()).await;
                self.refuse("other", &error, &id)
            }
        })
    }

    async fn discard(&self, content: Incoming) {
        let most = self.api.service.engine.runtime().plan().limits.body_bytes;
        body::discard(Received::new(content), most, self.api.body_timeout).await;
    }

    fn id<B>(&self, request: &Request<B>) -> String {
        answer::request_id(&self.api, request.headers())
    }

    async fn unary<Q, A, F>(&self, method: &'static str, request: Request<Incoming>, handle: F) -> Response<Body>
    where
        Q: Message + Default,
        A: Message,
        F: AsyncCall<Q, A>,
    {
        let (api, began, id) = (&self.api, self.api.context.clock.monotonic(), self.id(&request));
        let (head, content) = request.into_parts();
        let read = async {
            let call = match self.enter(&head, began, &id).await {
                Ok(call) => call,
                Err(error) => {
                    self.discard(content).await;
                    return Err(error);
                }
            };
            let most = api.service.engine.runtime().plan().limits.body_bytes;
            let bytes = body::read(Received::new(content), most.saturating_add(frame::HEAD), api.body_timeout).await?;
            Ok::<_, Error>((call, frame::decode(&bytes)?))
        };
        let given = match read.await {
            Ok((call, question)) => handle.call(call, question).await,
            Err(error) => {
                if method == "Decide" {
                    // The path never saw it; the ledger still counts it.
                    api.service.engine.refused("", error.code());
                }
                Err(End::Error(error))
            }
        };
        match given {
            Ok(Given { message, headers, timings }) => {
                self.counters.count(method, Code::Ok);
                let mut response = frame::answer(&message);
                response.headers_mut().extend(headers);
                answer::set(response.headers_mut(), answer::REQUEST_ID, &id);
                answer::timed(api, began, response.headers_mut(), &timings);
                response
            }
            Err(End::Error(error)) => self.refuse(method, &error, &id),
            Err(End::Problem(problem)) => {
                let mut response = self.end(method, &status::status(&problem, &id), &id);
                answer::set(response.headers_mut(), answer::DECISION_ID, &problem.decision_id);
                response
            }
        }
    }

    async fn stream(&self, request: Request<Incoming>) -> Response<Body> {
        let (began, id) = (self.api.context.clock.monotonic(), self.id(&request));
        let (head, content) = request.into_parts();
        let call = match self.enter(&head, began, &id).await {
            Ok(call) => call,
            Err(error) => {
                self.api.service.engine.refused("", error.code());
                return self.refuse("DecideStream", &error, &id);
            }
        };
        let most = self.api.service.engine.runtime().plan().limits.body_bytes;
        let questions = Questions { call: Some(call), counters: self.counters.clone() };
        let mut grpc = Grpc::new(ProstCodec::default()).max_decoding_message_size(most);
        let mut response = grpc.streaming(questions, Request::from_parts(head, content)).await;
        answer::set(response.headers_mut(), answer::REQUEST_ID, &id);
        response
    }

    /// Recognises the caller and reads its deadline.
    async fn enter(&self, head: &Parts, began: Duration, id: &str) -> Result<Call> {
        let credentials = Credentials {
            authorization: head.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default()),
            peer: head.extensions.get::<Peer>(),
        };
        let known = self.api.gate.identify(credentials).await?;
        trust::take(&self.api.engine, &known)?;
        let deadline = calls::deadline(&self.api, began, metadata::timeout(&head.headers)?);
        Ok(Call { api: self.api.clone(), known, deadline, request: id.to_owned() })
    }

    fn refuse(&self, method: &str, error: &Error, id: &str) -> Response<Body> {
        self.end(method, &status::of(error, id), id)
    }

    fn end(&self, method: &str, status: &Status, id: &str) -> Response<Body> {
        self.counters.count(method, status.code());
        let mut response = status.clone().into_http();
        answer::set(response.headers_mut(), answer::REQUEST_ID, id);
        response
    }
}

/// A function that answers a call.
pub(super) trait AsyncCall<Q, A> {
    /// Answers.
    fn call(self, call: Call, question: Q) -> impl Future<Output = Result<Given<A>, End>> + Send;
}

impl<Q, A, F, T> AsyncCall<Q, A> for F
where
    F: FnOnce(Call, Q) -> T,
    T: Future<Output = Result<Given<A>, End>> + Send,
{
    fn call(self, call: Call, question: Q) -> impl Future<Output = Result<Given<A>, End>> + Send {
        self(call, question)
    }
}

/// Makes a handler of a service of another crate.
fn handler<S>(service: S) -> Handler
where
    S: tonic::codegen::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    Arc::new(move |request| {
        let mut service = service.clone();
        async move { service.call(request).await.unwrap_or_else(|never| match never {}) }.boxed()
    })
}

#[cfg(test)]
mod tests {
    use prost_types::FileDescriptorSet;

    use super::*;

    /// Who may use what, as a reviewer reads it; `tests/e2e/matrix` of the program asks each line of the running process.
    const RULES: &str = include_str!("rules.txt");

    #[test]
    fn every_method_has_its_rule_in_the_list() {
        let mut lines = Vec::new();
        let reflection =
            [tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET];
        for bytes in [DESCRIPTOR, tonic_health::pb::FILE_DESCRIPTOR_SET].into_iter().chain(reflection) {
            for file in FileDescriptorSet::decode(bytes).unwrap().file {
                for service in &file.service {
                    let methods = service.method.iter().map(|method| method.name().to_owned());
                    lines.extend(methods.map(|name| format!("{}.{} {name}", file.package(), service.name())));
                }
            }
        }
        let known: Vec<_> = RULES.lines().map(|line| line.rsplit_once(' ').unwrap().0).collect();
        assert_eq!(lines, known, "write the new method into rules.txt, with who may use it");
    }
}
