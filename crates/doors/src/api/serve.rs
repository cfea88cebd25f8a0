//! The listener: accepts connections within limits, hands them to hyper with a time limit on slow heads, and stops by
//! finishing what it accepted.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures_util::future::FutureExt as _;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::{Api, router::router};

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

/// Serves until `stop` resolves, then finishes running requests (at most `http.drain`) and returns.
pub async fn serve(listener: TcpListener, api: Arc<Api>, http: Http, stop: impl Future<Output = ()>) {
    let service = router(api.clone());
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(http.connections));
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
        let connection = graceful.watch(connection(stream, service.clone(), http));
        let task = async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(permit);
        };
        api.context.spawn.spawn("http connection", task.boxed());
    }
    drop(listener);
    api.stopping.store(true, Relaxed);
    tokio::select! {
        biased;
        () = graceful.shutdown() => {}
        () = api.context.clock.sleep(http.drain) => tracing::warn!("some requests did not end in time; their connections are cut"),
    }
}

fn connection(
    stream: TcpStream,
    service: axum::Router,
    http: Http,
) -> hyper::server::conn::http1::Connection<TokioIo<TcpStream>, TowerToHyperService<axum::Router>> {
    // Small answers leave at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(http.head_timeout)
        .max_buf_size(64 * 1024)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
}
