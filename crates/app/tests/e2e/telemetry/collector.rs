//! A real OpenTelemetry Collector (`tests/collector`), built once from its published modules, on a port of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
};

use serde_json::Value;
use tempfile::TempDir;
use tendon_testkit::peer::free_port;

use crate::support::eventually;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/collector");

/// The program; building it again is quick.
fn program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("collector");
        let built = Command::new("go").args(["build", "-o"]).arg(&path).arg(".").current_dir(SOURCE).output();
        let built =
            built.unwrap_or_else(|error| panic!("the collector is built with Go, see CONTRIBUTING.md: {error}"));
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        path
    };
    BUILT.get_or_init(build).clone()
}

/// A running collector.
pub(super) struct Collector {
    child: Child,
    _folder: TempDir,
    pub(super) port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    pub(super) fn start() -> Self {
        Self::on(free_port())
    }

    /// Starts it on a port and waits until it listens.
    pub(super) fn on(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: '127.0.0.1:{port}' }} }} }} }}\n\
             exporters: {{ print: }}\n\
             service:\n  telemetry: {{ metrics: {{ level: none }}, logs: {{ level: error }} }}\n  pipelines:\n    \
             traces: {{ receivers: [otlp], exporters: [print] }}\n    metrics: {{ receivers: [otlp], exporters: [print] }}\n"
        );
        let file = folder.path().join("collector.yaml");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(program());
        command.arg("--config").arg(&file).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        eventually("the collector listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, _folder: folder, port, lines }
    }

    /// The lines of a project's file that send everything here.
    pub(super) fn section(&self, ratio: f64) -> String {
        section(self.port, ratio)
    }

    /// Every byte that arrived, as the collector understood it.
    pub(super) fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    fn all(&self, path: [&str; 3]) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        let documents = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
        documents
            .flat_map(|document| list(&document, path[0]))
            .flat_map(|resource| list(&resource, path[1]))
            .flat_map(|scope| list(&scope, path[2]))
            .collect()
    }

    /// Every span that arrived.
    pub(super) fn spans(&self) -> Vec<Value> {
        self.all(["resourceSpans", "scopeSpans", "spans"])
    }

    /// The spans of a trace.
    pub(super) fn trace(&self, trace: &str) -> Vec<Value> {
        self.spans().into_iter().filter(|span| span["traceId"] == trace).collect()
    }

    /// Every metric of every report that arrived, oldest first.
    pub(super) fn metrics(&self) -> Vec<Value> {
        self.all(["resourceMetrics", "scopeMetrics", "metrics"])
    }

    /// The resource of the last report.
    pub(super) fn resource(&self) -> Value {
        let lines = self.lines.lock().unwrap();
        let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        let of = |kind: &str| last[kind][0]["resource"].clone();
        if last["resourceSpans"].is_array() { of("resourceSpans") } else { of("resourceMetrics") }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a project's file that send everything to a port.
pub(super) fn section(port: u16, ratio: f64) -> String {
    format!(
        "telemetry:\n  otlp:\n    endpoint: http://127.0.0.1:{port}\n    headers: {{ x-collector: '${{file:collector-token}}' }}\n    \
         traces: {{ ratio: {ratio} }}\n    metrics: {{ every: 1s }}\n"
    )
}

/// An attribute of a span, a point or a resource.
pub(super) fn attribute(value: &Value, name: &str) -> Value {
    let found = value["attributes"].as_array().and_then(|all| all.iter().find(|one| one["key"] == name));
    let value = found.map(|one| one["value"].clone()).unwrap_or_default();
    value.as_object().and_then(|kinds| kinds.values().next().cloned()).unwrap_or_default()
}
