//! A plain HTTP/1.1 client: one connection per request, so that each request stands for itself.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use serde_json::Value as Json;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Sends the bytes of a request and reads the answer to its end.
///
/// # Errors
/// When the connection fails or ends before the answer is complete.
pub(crate) fn send(port: u16, request: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_nodelay(true)?;
    stream.write_all(request)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is not complete"))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let body = bytes[end + 4..].to_vec();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, text)| text.parse().ok());
    (length.unwrap_or(0) == body.len()).then_some(Answer { status, headers, body })
}

/// Someone with a key who asks a server, wherever it listens now.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) port: Arc<AtomicU16>,
    pub(crate) key: String,
}

impl Client {
    /// Asks with any method, headers and body.
    ///
    /// # Errors
    /// As [`send`].
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        send(self.port.load(Ordering::Relaxed), &[head.as_bytes(), body].concat())
    }

    /// Gets a path with the key.
    ///
    /// # Panics
    /// When there is no answer.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[("authorization", &self.bearer())], b"").unwrap()
    }

    /// Asks for a decision of the integration `lead-score`.
    ///
    /// # Errors
    /// As [`send`].
    pub(crate) fn try_decide(&self, body: &Json, idempotency_key: Option<&str>) -> io::Result<Answer> {
        let bearer = self.bearer();
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        headers.extend(idempotency_key.map(|key| ("idempotency-key", key)));
        self.ask("POST", "/v1/integrations/lead-score/decisions", &headers, body.to_string().as_bytes())
    }

    /// The same, for servers that are up.
    ///
    /// # Panics
    /// When there is no answer.
    pub(crate) fn decide(&self, body: &Json, idempotency_key: Option<&str>) -> Answer {
        self.try_decide(body, idempotency_key).unwrap()
    }

    /// A decision with its deliveries, from the record.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn recorded(&self, id: &str) -> Json {
        let answer = self.get(&format!("/v1/decisions/{id}"));
        assert_eq!(answer.status, 200, "decision {id}: {}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.key)
    }
}
