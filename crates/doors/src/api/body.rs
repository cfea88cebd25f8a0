//! Reads a request body within its limits of size and time.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tendon_kernel::{Error, ErrorKind, Result};

/// The whole body.
///
/// # Errors
/// `body_too_large`, `slow_body`, or `body_broken` when the connection ended before it was complete.
pub(crate) async fn read(body: Body, limit: usize, timeout: Duration) -> Result<Bytes> {
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(too_large(limit));
    }
    match tokio::time::timeout(timeout, collect(body, limit)).await {
        Ok(read) => read,
        Err(_) => Err(Error::new(ErrorKind::Timeout, "slow_body", "the request body did not arrive in time")
            .hint("send the whole body at once")),
    }
}

/// Reads a body that nobody wants, within its limits: an answer that overtakes its request is lost on some clients.
pub(crate) async fn discard(mut body: Body, limit: usize, timeout: Duration) {
    let all = async {
        let mut seen = 0_usize;
        while let Some(Ok(frame)) = body.frame().await {
            seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len));
            if seen > limit {
                break;
            }
        }
    };
    // Whether it ended does not matter: the answer is the same.
    let _ = tokio::time::timeout(timeout, all).await;
}

/// A body of one frame, which is the usual case, is passed on without a copy.
async fn collect(mut body: Body, limit: usize) -> Result<Bytes> {
    let mut first: Option<Bytes> = None;
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::new(ErrorKind::Invalid, "body_broken", "the request body ended before it was complete")
                .private(error)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        match &first {
            None => first = Some(data),
            Some(head) => {
                if more.is_empty() {
                    more.extend_from_slice(head);
                }
                more.extend_from_slice(&data);
            }
        }
        if more.len().max(first.as_ref().map_or(0, Bytes::len)) > limit {
            return Err(too_large(limit));
        }
    }
    Ok(if more.is_empty() { first.unwrap_or_default() } else { more.freeze() })
}

/// What is said of a body that is larger.
pub(crate) fn too_large(limit: usize) -> Error {
    Error::new(ErrorKind::Invalid, "body_too_large", "the request body is larger than allowed")
        .hint(format!("at most {limit} bytes; `server.body_bytes` in tendon.yaml sets it"))
}
