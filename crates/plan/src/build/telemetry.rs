//! `telemetry`: checked as far as that goes without asking anybody.

use std::time::Duration;

use crate::{
    finding::Findings,
    raw::{LogFormatRaw, LogLevelRaw, OtlpRaw, SignalRaw, Span, TelemetryRaw},
    telemetry::{OtlpPlan, TelemetryPlan},
    yaml::At,
};

/// Shortest time between two reports of metrics.
const OFTEN: Duration = Duration::from_secs(1);

/// Reads it.
pub(super) fn telemetry(raw: Option<&TelemetryRaw>, findings: &mut Findings) -> TelemetryPlan {
    let Some(raw) = raw else { return TelemetryPlan::default() };
    let logs = raw.logs.clone().unwrap_or_default();
    let resource = raw.resource.iter().map(|(name, value)| (name.text().to_owned(), value.text().to_owned()));
    let level = |level| match level {
        LogLevelRaw::Error => "error",
        LogLevelRaw::Warn => "warn",
        LogLevelRaw::Info => "info",
        LogLevelRaw::Debug => "debug",
        LogLevelRaw::Trace => "trace",
    };
    TelemetryPlan {
        otlp: raw.otlp.as_ref().map(|raw| otlp(raw, findings)),
        resource: resource.collect(),
        json: logs.format.map(|format| format == LogFormatRaw::Json),
        level: logs.level.map(level),
    }
}

fn otlp(raw: &OtlpRaw, findings: &mut Findings) -> OtlpPlan {
    let usual = OtlpPlan::default();
    let sends = |signal| raw.signals.as_ref().is_none_or(|signals| signals.iter().any(|one| one.value == signal));
    for (name, _) in raw.headers.iter().filter(|(name, _)| !header(name.text())) {
        findings.add(name.mark, "bad_header", format!("{} is no name of a header", name.text()), |finding| {
            finding.allow("letters, digits and -, for example x-tenant")
        });
    }
    let ratio = raw.traces.as_ref().and_then(|traces| traces.ratio.as_ref());
    if let Some(ratio) = ratio.filter(|ratio| !(0.0..=1.0).contains(&ratio.value)) {
        let message = format!("{} is no share", ratio.value);
        findings.add(ratio.mark, "bad_ratio", message, |finding| finding.allow("a number from 0 to 1"));
    }
    let every = raw.metrics.as_ref().and_then(|metrics| metrics.every).map(|Span(every)| every.max(OFTEN));
    OtlpPlan {
        endpoint: raw.endpoint.as_ref().map(|endpoint| address(endpoint, findings)),
        headers: raw.headers.iter().map(|(name, value)| (name.text().to_owned(), value.text().to_owned())).collect(),
        timeout: raw.timeout.map(|Span(timeout)| timeout),
        ratio: sends(SignalRaw::Traces).then(|| ratio.map(|ratio| ratio.value).or(usual.ratio)).flatten(),
        every: sends(SignalRaw::Metrics).then(|| every.or(usual.every)).flatten(),
    }
}

fn header(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn address(endpoint: &At<String>, findings: &mut Findings) -> String {
    let text = endpoint.text();
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = host.map(|rest| rest.split('/').next().unwrap_or_default());
    if host.is_none_or(|host| host.is_empty() || host.contains('@')) || text.contains(['?', '#', ' ']) {
        findings.add(endpoint.mark, "bad_endpoint", format!("{text} is no address of a receiver"), |finding| {
            finding.allow(
                "http://host:port or https://host:port, with a path where it has one; credentials go into headers",
            )
        });
    }
    text.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use crate::{Facts, Sources};

    fn outcome(yaml: &str) -> (Vec<&'static str>, Option<super::TelemetryPlan>) {
        let sources = Sources(vec![("tendon.yaml".to_owned(), format!("project: p\ntelemetry:\n{yaml}"))]);
        let outcome = crate::plan(&sources, &Facts::default(), &[]);
        (outcome.findings.iter().map(|finding| finding.code).collect(), outcome.plan.map(|plan| plan.telemetry))
    }

    #[test]
    fn what_is_left_out_has_its_usual_value() {
        let (findings, plan) = outcome("  otlp: { endpoint: 'http://127.0.0.1:4318/' }\n  logs: { format: json }\n");
        let plan = plan.unwrap();
        let otlp = plan.otlp.unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!((otlp.endpoint.as_deref(), otlp.ratio), (Some("http://127.0.0.1:4318"), Some(0.1)));
        assert_eq!((otlp.every.map(|every| every.as_secs()), plan.json, plan.level), (Some(30), Some(true), None));
        let (_, plan) = outcome("  otlp: { signals: [metrics], metrics: { every: 10ms } }\n");
        let otlp = plan.unwrap().otlp.unwrap();
        assert_eq!((otlp.ratio, otlp.every), (None, Some(super::OFTEN)));
    }

    #[test]
    fn mistakes_are_found() {
        for (yaml, code) in [
            ("  otlp: { endpoint: 'collector:4318' }\n", "bad_endpoint"),
            ("  otlp: { endpoint: 'https://me:secret@collector' }\n", "bad_endpoint"),
            ("  otlp: { endpoint: 'https://collector?key=1' }\n", "bad_endpoint"),
            ("  otlp: { headers: { 'x y': z } }\n", "bad_header"),
        ] {
            let (findings, plan) = outcome(yaml);
            assert!(findings.contains(&code) && plan.is_none(), "{yaml}: {findings:?}");
        }
        for wrong in [
            "  otlp: { protocol: grpc }\n",
            "  otlp: { endpont: 'http://a' }\n",
            "  otlp: { traces: { ratio: 2 } }\n",
            "  logs: { level: loud }\n",
            "  otlp: { signals: [logs] }\n",
        ] {
            assert!(outcome(wrong).1.is_none(), "{wrong}");
        }
    }
}
