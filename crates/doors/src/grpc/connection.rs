//! One HTTP/2 connection: its opening within a time limit, limits on streams and heads, and pings that find out whether the other
//! side is still there.

use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};

use futures_util::future::{self, BoxFuture, Either, FutureExt as _};
use hyper::{Request, Response, body::Incoming, rt::Executor, server::conn::http2, service::Service as Answering};
use hyper_util::rt::{TokioIo, TokioTimer};
use tendon_kernel::context::{Context, Spawn};
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::body::Body;

use super::{
    preface::{self, Preface},
    service::Service,
};
use crate::trust::Peer;

/// Silence after which the other side is asked whether it is there, and how long its answer may take.
const PING: Duration = Duration::from_secs(20);
/// Calls at once on one connection.
const CALLS: u32 = 256;
/// Longest head of a call in bytes.
const HEAD: u32 = 16 * 1024;

/// Starts the tasks of a connection where all tasks are started.
#[derive(Clone)]
pub(crate) struct Tasks(Arc<dyn Spawn>);

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.0.spawn("grpc call", task.map(drop).boxed());
    }
}

/// Hands requests to the service.
pub(crate) struct Asks(Service, Option<Peer>);

impl Answering<Request<Incoming>> for Asks {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(peer) = &self.1 {
            request.extensions_mut().insert(peer.clone());
        }
        self.0.clone().answer(request).boxed()
    }
}

/// Reads the opening of a connection; `None` when it did not come in time or is another one.
pub(crate) async fn opening<S>(stream: S, context: &Context, wait: Duration) -> Option<Preface<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let opened: io::Result<_> = match future::select(preface::read(stream).boxed(), context.clock.sleep(wait)).await {
        Either::Left((opened, _)) => opened,
        Either::Right(_) => Ok(None),
    };
    opened.inspect_err(|error| tracing::debug!(%error, "a connection ended before its opening")).ok().flatten()
}

/// Serves a connection to its end.
pub(crate) fn connection<S>(
    stream: Preface<S>,
    service: Service,
    peer: Option<Peer>,
    context: &Context,
) -> http2::Connection<TokioIo<Preface<S>>, Asks, Tasks>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    http2::Builder::new(Tasks(context.spawn.clone()))
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(CALLS)
        .max_header_list_size(HEAD)
        .serve_connection(TokioIo::new(stream), Asks(service, peer))
}
