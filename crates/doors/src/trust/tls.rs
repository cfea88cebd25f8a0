//! Handshakes: each in its own connection's task and within a limit, so that a peer that stalls delays nobody.

use std::{io, sync::Arc, time::Duration};

use tendon_kernel::{Timestamp, context::Clock};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

use super::Peer;

/// What a listener's TLS is at the moment.
#[derive(Clone)]
pub struct TlsNow {
    /// Certificate and rules.
    pub config: Arc<ServerConfig>,
    /// Longest handshake.
    pub handshake: Duration,
    /// Tells when a certificate (DER) ends; `None` when it is none.
    pub ends: fn(&[u8]) -> Option<Timestamp>,
}

/// The TLS of a listener, asked anew for each connection, so that a new certificate is used at once.
pub type Tls = Arc<dyn Fn() -> TlsNow + Send + Sync>;

/// Shakes hands. With the client's certificate, where it showed one.
///
/// # Errors
/// What went wrong, for the log.
pub(crate) async fn accept(
    now: TlsNow,
    clock: &dyn Clock,
    stream: TcpStream,
) -> io::Result<(TlsStream<TcpStream>, Option<Peer>)> {
    let ends = now.ends;
    let stream = tokio::select! {
        biased;
        stream = TlsAcceptor::from(now.config).accept(stream) => stream?,
        () = clock.sleep(now.handshake) => {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the handshake was not finished in time"));
        }
    };
    let peer =
        stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).and_then(|first| Peer::of(first, ends));
    Ok((stream, peer))
}
