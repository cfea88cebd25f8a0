//! A project in a temporary folder, the real binary on it, and an HTTP client that can be as rude as needed.

mod browser;
mod crm;
mod http;
pub(crate) mod postgres;
mod process;
mod terminal;

use std::{fs, path::PathBuf, process::Output, time::Duration};

pub(crate) use browser::browse;
pub(crate) use crm::Crm;
pub(crate) use http::{Answer, exchange};
pub(crate) use process::{Running, eventually, request, tendon};
use tempfile::TempDir;
pub(crate) use terminal::{Terminal, plain};

/// The interpreter with the oracles, made by `cargo xtask setup`.
pub(crate) const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/venv/bin/python");
/// A model of fifteen features, as the demo ships it.
pub(crate) const MODEL: &str = include_str!("../../../../../examples/lead-score/lead-score.txt");
/// Longest wait for anything: far above what a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A project.
pub(crate) struct Sandbox {
    folder: TempDir,
    pub(crate) crm: Crm,
}

impl Sandbox {
    /// A clean project whose CRM has so many leads.
    pub(crate) fn new(leads: i64) -> Self {
        Self::with(leads, "")
    }

    /// The same with more lines in `tendon.yaml`.
    pub(crate) fn with(leads: i64, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["integrations", "models/lead-score"] {
            fs::create_dir_all(folder.path().join(part)).unwrap();
        }
        let crm = Crm::create(&folder.path().join("crm.db"), leads);
        let sandbox = Self { folder, crm };
        sandbox.write("models/lead-score/v1.txt", MODEL);
        sandbox.write("tendon.yaml", &format!("{}{more}", include_str!("tendon.yaml")));
        sandbox.write("integrations/lead-score.yaml", include_str!("lead-score.yaml"));
        sandbox
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs a command on the project.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        tendon(arguments).arg("--project").arg(self.folder.path()).output().unwrap()
    }

    /// Runs a command that must succeed; gives its stdout as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.run(&[arguments, &["--output", "json"]].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Makes an API key.
    pub(crate) fn key(&self, name: &str, scopes: &[&str]) -> String {
        let mut arguments = vec!["keys", "create", "--name", name];
        scopes.iter().for_each(|scope| arguments.extend(["--scope", scope]));
        let output = self.run(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Starts the project and waits until it is ready.
    pub(crate) fn up(&self) -> Running {
        Running::start(self.folder.path())
    }

    /// Entries of the whole ledger, from its own verification; which must find nothing wrong.
    pub(crate) fn verified_entries(&self) -> u64 {
        let report = self.json(&["ledger", "verify"]);
        assert_eq!(report["good"], true, "{report}");
        report["entries"].as_u64().unwrap()
    }

    /// All decisions, newest first.
    pub(crate) fn decisions(&self) -> Vec<serde_json::Value> {
        self.json(&["decisions", "list", "--limit", "100000"]).as_array().unwrap().clone()
    }
}

/// A good input about a lead.
pub(crate) fn input(id: i64) -> serde_json::Value {
    serde_json::json!({
        "id": id, "age": 28, "job": "management", "marital": "single", "education": "tertiary", "default": "no",
        "balance": 447, "housing": "yes", "loan": "yes", "contact": "unknown", "day": 5, "month": "may", "campaign": 1,
        "pdays": -1, "previous": 0, "poutcome": "unknown",
    })
}

/// A good request body about a lead.
pub(crate) fn body(id: i64) -> String {
    serde_json::json!({ "input": input(id) }).to_string()
}

/// The integration with another threshold for green.
pub(crate) fn integration(green: &str) -> String {
    include_str!("lead-score.yaml")
        .replace(">= 0.1", green)
        .replace(">= 0.055", if green == ">= 0.001" { ">= 0.0005" } else { ">= 0.8" })
}

/// The test's integration once more, as one that watches nothing.
pub(crate) fn desk() -> String {
    let text = include_str!("lead-score.yaml").replace("integration: lead-score", "integration: desk");
    text.lines().filter(|line| !line.contains("events:")).map(|line| format!("{line}\n")).collect()
}
