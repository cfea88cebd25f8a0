//! The real process: started, asked, stopped, killed.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex,
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant},
};

use super::{Answer, PATIENCE, exchange};

/// The binary with arguments; nothing of the environment changes what it does.
pub(crate) fn tendon(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tendon"));
    for name in ["TENDON_LOG", "TENDON_LOG_FORMAT", "TENDON_MASTER_KEY", "OTEL_EXPORTER_OTLP_ENDPOINT"] {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// A running `tendon up`.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    lines: Mutex<Receiver<String>>,
}

impl Running {
    /// Starts it on any free port and waits for its word.
    pub(crate) fn start(project: &Path) -> Self {
        let mut command = tendon(&["up", "--listen", "127.0.0.1:0", "--project"]);
        Self::of(command.arg(project))
    }

    /// Starts a prepared command.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let mut running = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), lines: Mutex::new(lines) };
        let line = running.wait_for_line("tendon is ready on ");
        running.address = line.rsplit_once("://").unwrap().1.parse().unwrap();
        running
    }

    /// Waits for a line on stderr that contains the text.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        let mut seen = Vec::new();
        let lines = self.lines.lock().unwrap();
        while let Ok(line) = lines.recv_timeout(PATIENCE) {
            if line.contains(text) {
                return line;
            }
            seen.push(line);
        }
        panic!("`{text}` was never said; said was:\n{}", seen.join("\n"));
    }

    /// A request; the connection must not break.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.try_request(method, path, headers, body).unwrap()
    }

    /// A request; `None` when the process went away.
    pub(crate) fn try_request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
        exchange(self.address, &request(method, path, headers, body.as_bytes()))
    }

    /// Asks for a decision of the test's integration.
    pub(crate) fn decide(&self, key: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
        let bearer = format!("Bearer {key}");
        let headers = [headers, &[("authorization", bearer.as_str()), ("content-type", "application/json")]].concat();
        self.try_request("POST", "/v1/integrations/lead-score/decisions", &headers, body)
    }

    /// The readiness report.
    pub(crate) fn ready(&self) -> (u16, serde_json::Value) {
        let answer = self.request("GET", "/readyz", &[], "");
        (answer.status, answer.json())
    }

    /// One part of the readiness report.
    pub(crate) fn part(&self, name: &str) -> serde_json::Value {
        let (_, report) = self.ready();
        let parts = report["parts"].as_array().unwrap().iter();
        parts.into_iter().find(|part| part["name"] == name).cloned().unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Ends it in order.
    pub(crate) fn stop(self) -> ExitStatus {
        self.signal("-TERM");
        self.wait()
    }

    /// Ends it in order; gives what it said on stderr and nobody waited for.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.signal("-TERM");
        assert!(self.child.wait().unwrap().success());
        self.lines.lock().unwrap().iter().collect()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "content-length") {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// Waits until something is so, looking again and again.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let (_keep, never) = channel::<()>();
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        // The state of another process makes no event here; this is the pace of looking.
        let _ = never.recv_timeout(Duration::from_millis(5));
    }
}
