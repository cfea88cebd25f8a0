//! The listener: accepts connections within limits, shakes hands where there is TLS, hands them to hyper with a time limit on
//! slow heads, and stops by finishing what it accepted.

use std::{
    future::Future,
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures_util::future::FutureExt as _;
use hyper::{Request, body::Incoming, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tendon_kernel::Result;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};

use super::{Api, router::router};
use crate::{
    grpc,
    trust::{self, Peer, Tls, TlsNow},
};

/// Limits of the listener.
#[derive(Clone, Copy, Debug)]
pub struct Http {
    /// Longest wait for a whole request head, and longest idle time of a kept connection.
    pub head_timeout: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Longest wait for running requests when stopping.
    pub drain: Duration,
}

impl Default for Http {
    fn default() -> Self {
        Self { head_timeout: Duration::from_secs(15), connections: 4096, drain: Duration::from_secs(20) }
    }
}

/// What is spoken on a port.
#[derive(Clone)]
pub struct Speaks(Language);

#[derive(Clone)]
enum Language {
    /// HTTP/1.1: the interface with addresses.
    Http(axum::Router),
    /// gRPC over HTTP/2.
    Grpc(grpc::Service),
}

impl Speaks {
    /// HTTP.
    pub fn http(api: &Arc<Api>) -> Self {
        Self(Language::Http(router(api.clone())))
    }

    /// gRPC.
    ///
    /// # Errors
    /// `Internal` when its descriptor cannot be read: a defect.
    pub fn grpc(api: &Arc<Api>) -> Result<Self> {
        grpc::Service::new(api.clone()).map(|service| Self(Language::Grpc(service)))
    }

    /// What both sides of a TLS connection agree to speak: HTTP/2 needs its name.
    fn agreed(&self, mut tls: TlsNow) -> TlsNow {
        if let Language::Grpc(_) = &self.0 {
            let mut config = tls.config.as_ref().clone();
            config.alpn_protocols = vec![b"h2".to_vec()];
            tls.config = Arc::new(config);
        }
        tls
    }
}

/// Serves until `stop` resolves, then finishes running requests (at most `http.drain`) and returns. `tls`: `None` for plain text.
pub async fn serve(
    listener: TcpListener,
    api: Arc<Api>,
    speaks: Speaks,
    tls: Option<Tls>,
    http: Http,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(http.connections));
    let (end, ending) = watch::channel(false);
    let mut stop = Box::pin(stop);
    loop {
        let permit = room.clone().acquire_owned();
        let accept = async {
            let permit = permit.await.ok();
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, or the peer is gone already: wait a little, never spin or stop.
                tracing::warn!(%error, "a connection could not be accepted");
                api.context.clock.sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let open = Open {
            speaks: speaks.clone(),
            http,
            watcher: graceful.watcher(),
            ending: ending.clone(),
            over_tls: tls.is_some(),
        };
        let task = connection(api.clone(), stream, tls.clone(), open).map(|()| drop(permit));
        api.context.spawn.spawn("http connection", task.boxed());
    }
    drop(listener);
    end.send_replace(true);
    api.stopping.store(true, Relaxed);
    api.brake.release();
    tokio::select! {
        biased;
        () = graceful.shutdown() => {}
        () = api.context.clock.sleep(http.drain) => tracing::warn!("some requests did not end in time; their connections are cut"),
    }
}

/// What a connection needs beside its stream.
struct Open {
    speaks: Speaks,
    http: Http,
    watcher: Watcher,
    ending: watch::Receiver<bool>,
    over_tls: bool,
}

/// Answers what comes over a stream that is there already, until either side ends it: a listener's connection without the
/// listener.
pub async fn converse<S>(api: &Api, speaks: &Speaks, http: Http, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Dropping either would tell the connection to end.
    let (_end, ending) = watch::channel(false);
    let graceful = GracefulShutdown::new();
    let open = Open { speaks: speaks.clone(), http, watcher: graceful.watcher(), ending, over_tls: false };
    speak(api, stream, open, None).await;
}

async fn connection(api: Arc<Api>, stream: TcpStream, tls: Option<Tls>, mut open: Open) {
    // Small answers leave at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    let Some(tls) = tls else { return speak(&api, stream, open, None).await };
    // Whoever has not finished its handshake has no request that a stop would have to wait for.
    let now = open.speaks.agreed(tls());
    let shaken = tokio::select! {
        biased;
        shaken = trust::accept(now, &*api.context.clock, stream) => shaken,
        _ = open.ending.wait_for(|ending| *ending) => return,
    };
    match shaken {
        Ok((stream, peer)) => speak(&api, stream, open, peer).await,
        Err(error) => {
            let reason = if error.kind() == io::ErrorKind::TimedOut { "timeout" } else { "refused" };
            let help = "TLS handshakes that did not succeed.";
            api.context.metrics.counter("tendon_tls_handshakes_failed_total", help, &[("reason", reason)]).increment();
            tracing::debug!(%error, "a TLS handshake did not succeed");
        }
    }
}

/// Stands in the extensions of a request whose connection is one of TLS.
#[derive(Clone, Copy)]
pub(crate) struct OverTls;

async fn speak<S>(api: &Api, stream: S, open: Open, peer: Option<Peer>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Open { speaks, http, watcher, over_tls, .. } = open;
    let ended = match speaks.0 {
        Language::Http(service) => {
            let service = TowerToHyperService::new(service);
            let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
                if let Some(peer) = &peer {
                    request.extensions_mut().insert(peer.clone());
                }
                if over_tls {
                    request.extensions_mut().insert(OverTls);
                }
                service.call(request)
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(http.head_timeout)
                .max_buf_size(64 * 1024)
                .max_headers(64)
                .serve_connection(TokioIo::new(stream), service);
            watcher.watch(connection).await
        }
        Language::Grpc(service) => {
            let Some(stream) = grpc::opening(stream, &api.context, http.head_timeout).await else { return };
            watcher.watch(grpc::connection(stream, service, peer, &api.context)).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
