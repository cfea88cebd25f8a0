//! A plain HTTP/1.1 client: one connection per request, so that each request stands for itself, and an answer that breaks off
//! is told from one that is whole.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value as Json;

/// Longest wait for the next bytes of an answer; a client that gives up asks again with the same key.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// What the server's clock said.
    pub(crate) date: String,
    pub(crate) body: Vec<u8>,
    /// Whether it came to its end.
    pub(crate) whole: bool,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A request to this machine.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) key: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a str,
}

impl Request<'_> {
    /// Sends it and reads what comes back, also when that breaks off in the middle.
    pub(crate) fn send(&self, port: u16) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let Self { method, path, key, body, .. } = self;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        if !key.is_empty() {
            head.push_str(&format!("authorization: Bearer {key}\r\n"));
        }
        for (name, value) in self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(head.as_bytes())?;
        let mut bytes = Vec::new();
        let ended = stream.read_to_end(&mut bytes);
        parse(&bytes, ended.is_ok()).ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no answer"))
    }
}

fn parse(bytes: &[u8], ended: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?.to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let rest = bytes.get(end + 4..)?;
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
    let date = header("date").unwrap_or_default().to_owned();
    if header("transfer-encoding") == Some("chunked") {
        let (body, whole) = unchunk(rest);
        return Some(Answer { status, date, body, whole });
    }
    let length = header("content-length").and_then(|text| text.parse().ok());
    let whole = length.map_or(ended, |length: usize| rest.len() == length);
    Some(Answer { status, date, body: rest.to_vec(), whole })
}

fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|part| part == b"\r\n") else { return (body, false) };
        let text = String::from_utf8_lossy(rest.get(..line).unwrap_or_default()).into_owned();
        let Ok(size) = usize::from_str_radix(text.trim(), 16) else { return (body, false) };
        if size == 0 {
            return (body, true);
        }
        let (from, to) = (line + 2, line + 2 + size);
        body.extend_from_slice(rest.get(from..to.min(rest.len())).unwrap_or_default());
        match rest.get(to + 2..) {
            Some(next) => rest = next,
            None => return (body, false),
        }
    }
}
