//! The first bytes of a connection, within a time limit: HTTP/2 opens with fixed ones. Whoever sends other bytes is told what
//! speaks here, and whoever sends none does not hold a place for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

const OPENING: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const OTHERWISE: &[u8] = b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: text/plain; charset=utf-8\r\n\
content-length: 47\r\nconnection: close\r\n\r\nthis port speaks gRPC over HTTP/2, not HTTP/1.1";

/// A stream whose opening was read already and is read again.
pub(crate) struct Preface<S> {
    stream: S,
    read: usize,
}

/// Reads the opening. `None` when it is another one.
///
/// # Errors
/// When the connection breaks.
pub(crate) async fn read<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<Option<Preface<S>>> {
    let mut at = 0;
    let mut byte = [0; 24];
    while let Some(space) = byte.get_mut(at..).filter(|space| !space.is_empty()) {
        let read = stream.read(space).await?;
        at += read;
        let so_far = byte.get(..at).unwrap_or_default();
        if read == 0 || !OPENING.starts_with(so_far) {
            if so_far.first().is_some_and(u8::is_ascii_uppercase) {
                stream.write_all(OTHERWISE).await?;
                stream.shutdown().await?;
                // What is left unread when a connection closes would take the answer with it.
                let mut rest = [0; 1024];
                for _ in 0..64 {
                    if stream.read(&mut rest).await? == 0 {
                        break;
                    }
                }
            }
            return Ok(None);
        }
    }
    Ok(Some(Preface { stream, read: 0 }))
}

impl<S: AsyncRead + Unpin> AsyncRead for Preface<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = OPENING.get(self.read..).unwrap_or_default();
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let now = left.get(..left.len().min(buf.remaining())).unwrap_or_default();
        buf.put_slice(now);
        self.read += now.len();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Preface<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
