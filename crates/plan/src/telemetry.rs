//! What the process tells about its work, checked. It changes no decision, so it stands in no digest.

use std::time::Duration;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TelemetryPlan {
    /// What the file says of a receiver; `None`: nothing.
    pub otlp: Option<OtlpPlan>,
    /// Attributes of everything that is sent.
    pub resource: Vec<(String, String)>,
    /// Whether log lines are JSON.
    pub json: Option<bool>,
    /// From which level on lines are written.
    pub level: Option<&'static str>,
}

/// A receiver of traces and metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpPlan {
    /// Its address; `None`: the environment names it.
    pub endpoint: Option<String>,
    /// Headers; secrets still as references.
    pub headers: Vec<(String, String)>,
    /// Longest wait for its answer; `None`: the environment's, or the usual one.
    pub timeout: Option<Duration>,
    /// Share of the traces that begin here; `None`: no traces are sent.
    pub ratio: Option<f64>,
    /// Time between two reports of metrics; `None`: none are sent.
    pub every: Option<Duration>,
}

impl Default for OtlpPlan {
    fn default() -> Self {
        let every = Some(Duration::from_secs(30));
        Self { endpoint: None, headers: Vec::new(), timeout: None, ratio: Some(0.1), every }
    }
}
