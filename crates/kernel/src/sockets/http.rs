//! The socket for outgoing HTTP calls: signed callbacks, identity providers, collectors, remote models. One client serves them
//! all, so that connections, trusted roots and limits are the same everywhere. Redirects are never followed: a receiver that
//! moved is configured anew, and no credential travels to an address that nobody wrote down.

use std::{fmt, time::Duration};

use futures_util::future::BoxFuture;

use crate::{context::Deadline, error::Result};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Remove.
    Delete,
    /// Read.
    Get,
    /// Read the head only.
    Head,
    /// Change a part.
    Patch,
    /// Send.
    Post,
    /// Set.
    Put,
}

/// A request. `Debug` shows neither header values nor body, and of the address only scheme, host and port.
#[derive(Clone)]
pub struct HttpRequest {
    /// What is asked for.
    pub method: Method,
    /// Whole address, `https://…` or `http://…`, without user information and fragment.
    pub url: String,
    /// Header names and values; `Host`, `Content-Length` and the connection's own are set by the client.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When the whole answer must be there: name lookup, connection, handshake, waiting and reading counted.
    pub deadline: Deadline,
    /// Largest body that is read; a longer one is an error, never cut.
    pub max_response: usize,
}

impl HttpRequest {
    /// A request without headers and body, whose answer may have a mebibyte.
    pub fn new(method: Method, url: impl Into<String>, deadline: Deadline) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: Vec::new(), deadline, max_response: 1 << 20 }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("to", &origin_of(&self.url))
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Scheme, host and port of an address: what may stand in a log. Paths and queries carry keys and names of people.
pub fn origin_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(host..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(url.len(), |at| host + at);
    let origin = url.get(..end).unwrap_or_default();
    // What stands before an `@` is a secret that should not be there.
    if origin.contains('@') { "(address with user information)" } else { origin }
}

/// The path of an address, which may hold a key; never what stands behind its `?` or `#`, and nothing where the origin is not told.
pub fn path_of(url: &str) -> &str {
    let path = url.strip_prefix(origin_of(url)).unwrap_or_default();
    path.split(['?', '#']).next().unwrap_or_default()
}

/// An answer, whatever its status: also a redirect and an error are answers.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Header names in lower case, and values; a value that is no text is left out.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The first value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the receiver did what was asked (2xx).
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the same request may be answered otherwise later: too early, too many, or trouble on the receiver's side.
    pub fn retryable(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
    }

    /// How long the receiver asks to be left alone (`Retry-After` in seconds; a date is not understood), at most a day.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds: u64 = self.header("retry-after")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds.min(86_400)))
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Sends requests.
pub trait HttpClient: Send + Sync {
    /// Sends one request, once, and reads the whole answer. Dropping the future ends the attempt.
    ///
    /// # Errors
    /// `http_address` (`Config`) when the address or a header cannot be used; `http_timeout` (`Timeout`) at the deadline;
    /// `http_unreachable` (`Unavailable`): nothing was sent; `http_broken` (`Unavailable`): the receiver may have got it;
    /// `http_certificate` (`Unavailable`, not retryable): the receiver does not prove who it is; `http_too_large`
    /// (`Unavailable`, not retryable). A status is never an error.
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_holds_no_secret() {
        let url = "https://hooks.example:8443/in/s3cret?key=s3cret";
        let request = HttpRequest::new(Method::Post, url, Deadline(Duration::ZERO))
            .header("authorization", "Bearer s3cret")
            .body("s3cret");
        let text = format!("{request:?}");
        assert!(text.contains("https://hooks.example:8443") && text.contains("authorization"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
        assert_eq!(origin_of("http://a?x=1"), "http://a");
        let paths = ["http://a:1/x/y?key=1#z", "http://a", "http://a?x=1", "http://a/#z", "https://me:s3cret@host/x"];
        assert_eq!(paths.map(path_of), ["/x/y", "", "", "/", ""]);
        assert!(!origin_of("https://me:s3cret@host/x").contains("s3cret"));
        let response = HttpResponse { status: 200, headers: Vec::new(), body: b"s3cret".to_vec() };
        assert!(!format!("{response:?}").contains("s3cret"));
    }

    #[test]
    fn answers_tell_when_to_come_back() {
        let answer = |status, after: &str| HttpResponse {
            status,
            headers: vec![("retry-after".into(), after.into())],
            body: Vec::new(),
        };
        assert!(answer(204, "").ok() && !answer(302, "").ok());
        assert!(answer(503, "").retryable() && !answer(404, "").retryable());
        assert_eq!(answer(429, " 7 ").retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(answer(429, "999999999").retry_after(), Some(Duration::from_secs(86_400)));
        assert_eq!(answer(429, "Wed, 21 Oct 2015 07:28:00 GMT").retry_after(), None);
    }
}
