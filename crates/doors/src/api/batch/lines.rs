//! Lines out of a request body, as they arrive: bounded memory however long a line or how slow the caller, and a line that is
//! too long is one record's error. Waiting for more can be given up and taken up again without losing a byte.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::future::FutureExt as _;
use http_body_util::BodyExt as _;
use tendon_kernel::{Error, ErrorKind, Result};

/// One line, without its end; an error is the record's own.
pub(super) type Line = Result<Bytes>;

/// A body on its way.
pub(super) struct Lines {
    body: Body,
    /// What arrived and is no whole line yet.
    rest: BytesMut,
    /// How far `rest` is known to hold no line's end.
    seen: usize,
    /// Whether the line that `rest` belongs to is longer than allowed: it is thrown away up to its end.
    skipping: bool,
    ended: bool,
    longest: usize,
    patience: Duration,
}

impl Lines {
    /// Lines of at most `longest` bytes; nothing at all for `patience` ends the batch.
    pub(super) fn new(body: Body, longest: usize, patience: Duration) -> Self {
        Self { body, rest: BytesMut::new(), seen: 0, skipping: false, ended: false, longest, patience }
    }

    /// Takes in what is there already, without waiting.
    pub(super) fn look(&mut self) -> Result<bool> {
        match self.body.frame().now_or_never() {
            Some(frame) => self.take(frame).map(|()| true),
            None => Ok(false),
        }
    }

    /// The next line, if it is there; reads on as long as that needs no waiting.
    pub(super) fn ready(&mut self) -> Result<Option<Line>> {
        loop {
            if let Some(line) = self.line() {
                return Ok(Some(line));
            }
            if self.ended || !self.look()? {
                return Ok(None);
            }
        }
    }

    /// Waits until [`Lines::ready`] has something more to say; `false` when the body is over.
    ///
    /// # Errors
    /// `slow_body` when nothing came for too long, `body_broken` when the connection ended before the body did.
    pub(super) async fn more(&mut self) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let Ok(frame) = tokio::time::timeout(self.patience, self.body.frame()).await else {
            return Err(Error::new(ErrorKind::Timeout, "slow_body", "no record arrived for too long")
                .hint("send records as you have them, and end the body when there are no more"));
        };
        self.take(frame)?;
        Ok(true)
    }

    /// Whether everything was read.
    pub(super) fn over(&self) -> bool {
        self.ended && self.rest.is_empty() && !self.skipping
    }

    fn take(&mut self, frame: Option<std::result::Result<hyper::body::Frame<Bytes>, axum::Error>>) -> Result<()> {
        match frame {
            None => self.ended = true,
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    self.rest.extend_from_slice(&data);
                }
            }
            Some(Err(error)) => {
                self.ended = true;
                return Err(Error::new(ErrorKind::Invalid, "body_broken", "the body ended before it was complete")
                    .private(error));
            }
        }
        Ok(())
    }

    /// A whole line out of what arrived; empty ones are passed over.
    fn line(&mut self) -> Option<Line> {
        loop {
            let found = self.rest.get(self.seen..).and_then(|new| new.iter().position(|byte| *byte == b'\n'));
            let line = match found {
                Some(at) => {
                    let mut line = self.rest.split_to(self.seen + at + 1);
                    line.truncate(line.len() - 1);
                    line.freeze()
                }
                None if self.ended && (!self.rest.is_empty() || self.skipping) => self.rest.split().freeze(),
                None => {
                    self.seen = self.rest.len();
                    if self.seen > self.longest {
                        self.skipping = true;
                        self.rest.clear();
                        self.seen = 0;
                    }
                    return None;
                }
            };
            self.seen = 0;
            if std::mem::take(&mut self.skipping) || line.len() > self.longest {
                return Some(Err(self.too_long()));
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(Ok(line));
            }
            if self.rest.is_empty() {
                return None;
            }
        }
    }

    fn too_long(&self) -> Error {
        Error::new(ErrorKind::Invalid, "body_too_large", "the line of this record is longer than allowed")
            .hint(format!("at most {} bytes; `server.body_bytes` in tendon.yaml sets it", self.longest))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;

    fn lines(parts: Vec<Vec<u8>>, longest: usize) -> Vec<std::result::Result<Vec<u8>, &'static str>> {
        let parts = parts.into_iter().map(|part| Ok::<_, Infallible>(Bytes::from(part)));
        let mut lines = Lines::new(Body::from_stream(stream::iter(parts)), longest, Duration::from_secs(5));
        let mut found = Vec::new();
        while let Some(line) = lines.ready().unwrap() {
            found.push(line.map(|line| line.to_vec()).map_err(|error| error.code()));
        }
        assert!(lines.over());
        found
    }

    #[test]
    fn a_long_line_is_its_own_error() {
        let text = b"{}\n\n  \n{\"a\":\"xxxxxxxxxxxxxxxxxxxx\"}\n[]\r\nlast".to_vec();
        let expected = vec![Ok(b"{}".to_vec()), Err("body_too_large"), Ok(b"[]\r".to_vec()), Ok(b"last".to_vec())];
        assert_eq!(lines(vec![text.clone()], 8), expected);
        assert_eq!(lines(text.iter().map(|byte| vec![*byte]).collect(), 8), expected);
    }

    proptest! {
        /// However the network cuts the text, the lines are those of the text.
        #[test]
        fn cuts_do_not_matter(text in "[ab \n]{0,60}", cuts in proptest::collection::vec(1_usize..9, 0..40)) {
            let (mut parts, mut rest) = (Vec::new(), text.as_bytes());
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                parts.push(head.to_vec());
                rest = tail;
            }
            parts.push(rest.to_vec());
            let expected: Vec<_> = text.split('\n').filter(|line| line.len() > 6 || !line.trim().is_empty()).map(|line| {
                if line.len() > 6 { Err("body_too_large") } else { Ok(line.as_bytes().to_vec()) }
            }).collect();
            prop_assert_eq!(lines(parts, 6), expected);
        }
    }
}
