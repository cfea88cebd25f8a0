//! Metrics: by OTLP what `/metrics` says, in two texts that Prometheus' own client library reads, listed in the reference.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{Collector, attribute, parent, sandbox};
use crate::support::{PYTHON, Running, body, eventually};

/// Prints what Prometheus' own parser reads: name, labels, value, exemplar's trace of each sample; and types.
const PARSER: &str = "
import json, sys
if sys.argv[1] == 'open':
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
else:
    from prometheus_client.parser import text_string_to_metric_families as parse
families = []
for family in parse(sys.stdin.read()):
    samples = [
        {'name': s.name, 'labels': s.labels, 'value': str(s.value), 'trace': s.exemplar.labels['trace_id'] if s.exemplar else None}
        for s in family.samples
    ]
    families.append({'name': family.name, 'type': family.type, 'unit': family.unit, 'samples': samples})
print(json.dumps(families))
";

fn parsed(form: &str, text: &[u8]) -> Vec<Value> {
    let mut child = Command::new(PYTHON)
        .args(["-c", PARSER, form])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("`cargo xtask setup` makes the environment with the parser: {error}"));
    child.stdin.take().unwrap().write_all(text).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the parser of `{form}` refuses:\n{}", String::from_utf8_lossy(text));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn fetched(running: &Running, form: &str) -> Vec<Value> {
    let accept = if form == "open" { "application/openmetrics-text; version=1.0.0, text/plain;q=0.5" } else { "*/*" };
    let answer = running.request("GET", "/metrics", &[("accept", accept)], "");
    let kind = if form == "open" { "application/openmetrics-text; version=1.0.0" } else { "text/plain; version=0.0.4" };
    assert!(answer.header("content-type").unwrap().starts_with(kind));
    parsed(form, &answer.body)
}

/// Samples by name and labels.
fn samples(families: &[Value]) -> BTreeMap<(String, String), f64> {
    let all = families.iter().flat_map(|family| family["samples"].as_array().unwrap());
    all.map(|sample| {
        let name = sample["name"].as_str().unwrap().to_owned();
        let mut labels: BTreeMap<String, String> = serde_json::from_value(sample["labels"].clone()).unwrap();
        if let Some(end) = labels.get_mut("le") {
            *end = end.parse::<f64>().unwrap().to_string();
        }
        ((name, format!("{labels:?}")), sample["value"].as_str().unwrap().parse().unwrap())
    })
    .collect()
}

/// Whether a number stands still while nobody asks for decisions.
fn steady(name: &str) -> bool {
    // The watch asks its system by itself, now and then.
    let moving = ["process_", "http_server", "tendon_ledger", "tendon_telemetry", "tendon_system_"];
    !moving.iter().any(|moving| name.starts_with(moving))
}

#[test]
fn both_texts_and_the_reference_say_the_same() {
    let collector = Collector::start();
    let sandbox = sandbox(2, &collector.section(0.0));
    let text = format!("{}objectives: {{ answered: 99 }}\n", include_str!("../support/lead-score.yaml"));
    sandbox.write("integrations/lead-score.yaml", &text);
    let key = sandbox.key("caller", &["decide:*", "read"]);
    let running = sandbox.up();
    eventually("the leads are scored", || sandbox.crm.all_scored());
    let (trace, kept) = parent(0xab, "01");
    assert_eq!(running.decide(&key, &[("traceparent", &kept)], &body(9)).unwrap().status, 200);
    assert_eq!(running.decide(&key, &[("idempotency-key", "k")], "{").unwrap().status, 400);
    assert_eq!(running.request("GET", "/nothing", &[], "").status, 404);
    let (plain, open) = (fetched(&running, "plain"), fetched(&running, "open"));
    let (ours, theirs) = (samples(&plain), samples(&open));
    let names = |all: &BTreeMap<(String, String), f64>| all.keys().cloned().collect::<BTreeSet<_>>();
    let difference: Vec<_> = names(&ours).symmetric_difference(&names(&theirs)).cloned().collect();
    assert!(difference.iter().all(|(name, _)| name.starts_with("http_server")), "{difference:?}");
    for (key, value) in ours.iter().filter(|((name, _), _)| steady(name)) {
        assert_eq!(theirs[key], *value, "{key:?}");
    }
    // Each exemplar leads to the one trace that is kept.
    let all = open.iter().flat_map(|family| family["samples"].as_array().unwrap());
    let exemplars: Vec<_> = all.filter(|sample| !sample["trace"].is_null()).collect();
    assert!(exemplars.iter().all(|sample| sample["trace"] == trace), "{exemplars:?}");
    for name in ["tendon_decision_duration_seconds_bucket", "http_server_request_duration_seconds_bucket"] {
        assert!(exemplars.iter().any(|sample| sample["name"] == name), "{name}: {exemplars:?}");
    }
    in_the_reference(&open);
}

/// Every family, with its type, its unit and its labels, is listed on the page that is made from the source.
fn in_the_reference(families: &[Value]) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows: BTreeMap<&str, Vec<&str>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| (line.split('`').next().unwrap(), line.split(" | ").collect()))
        .collect();
    for family in families {
        let (base, kind) = (family["name"].as_str().unwrap(), family["type"].as_str().unwrap());
        let name = if kind == "counter" { format!("{base}_total") } else { base.to_owned() };
        let row = rows.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in docs/reference/metrics.md"));
        assert_eq!((row[1], row[2]), (kind, family["unit"].as_str().unwrap()), "{name}");
        for sample in family["samples"].as_array().unwrap() {
            for label in sample["labels"].as_object().unwrap().keys().filter(|label| *label != "le") {
                assert!(
                    row[3].contains(&format!("`{label}`")),
                    "{name} has a label {label} that its row does not name"
                );
            }
        }
    }
    assert!(families.len() > 20, "a busy process has more to tell");
}

#[test]
fn what_arrives_equals_what_is_served() {
    let collector = Collector::start();
    let sandbox = sandbox(2, &collector.section(0.0));
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    eventually("the leads are scored", || sandbox.crm.all_scored());
    let (trace, kept) = parent(0xcd, "01");
    for id in 0..5 {
        assert_eq!(running.decide(&key, &[("traceparent", &kept)], &body(id)).unwrap().status, 200);
    }
    let known = "tendon_ledger_projected_entries";
    let entries = "tendon_ledger_entries";
    eventually("nothing is under way", || {
        let all = samples(&fetched(&running, "plain"));
        let of = |name: &str| all[&(name.to_owned(), "{}".to_owned())];
        of(known) == of(entries)
    });
    let served = samples(&fetched(&running, "plain"));
    assert!(running.stop().success());
    // The last report is sent as the process stops; the collector prints it when it likes.
    let asked = |last: &BTreeMap<String, Value>| {
        let http = last.get("http.server.request.duration")?["histogram"]["dataPoints"].as_array()?.clone();
        http.into_iter().find(|point| attribute(point, "http.request.method") == "POST")
    };
    eventually("the last report arrives", || asked(&latest(&collector)).is_some_and(|point| point["count"] == "5"));
    let last = latest(&collector);
    let decisions = &last["tendon.decisions"]["sum"];
    assert_eq!((&decisions["aggregationTemporality"], &decisions["isMonotonic"]), (&2.into(), &true.into()));
    let mut compared = 0;
    for (name, kind, ours) in [
        ("tendon.decisions", "sum", "tendon_decisions_total"),
        ("tendon.system_breaker_open", "gauge", "tendon_system_breaker_open"),
        ("tendon.ledger_stopped", "gauge", "tendon_ledger_stopped"),
    ] {
        for point in last[name][kind]["dataPoints"].as_array().unwrap() {
            assert_eq!(point["asDouble"].as_f64().unwrap(), served[&(ours.to_owned(), labels(point))], "{name}");
            compared += 1;
        }
    }
    assert!(compared > 6, "{compared}");
    let duration = &last["tendon.decision_duration"];
    assert_eq!(duration["unit"], "s");
    // One for each priority; a count of none is left out of the text.
    let points = duration["histogram"]["dataPoints"].as_array().unwrap();
    let point = points.iter().find(|point| point["count"].is_string()).unwrap();
    let count = served[&("tendon_decision_duration_seconds_count".to_owned(), labels(point))];
    assert_eq!(point["count"], count.to_string());
    assert!(
        (point["sum"].as_f64().unwrap() - served[&("tendon_decision_duration_seconds_sum".to_owned(), labels(point))])
            .abs()
            < 1e-9
    );
    let buckets: Vec<f64> = point["bucketCounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|count| count.as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(buckets.len(), point["explicitBounds"].as_array().unwrap().len() + 1);
    let exemplar = &point["exemplars"][0];
    assert_eq!(exemplar["traceId"], trace);
    assert!(exemplar["asDouble"].as_f64().unwrap() > 0.0);
    assert_eq!(attribute(&asked(&last).unwrap(), "http.response.status_code"), "200");
    for name in ["process.cpu.time", "process.memory.usage", "process.unix.file_descriptor.count"] {
        assert!(last.contains_key(name), "{name}: {:?}", last.keys());
    }
}

/// The latest report of each metric.
fn latest(collector: &Collector) -> BTreeMap<String, Value> {
    let named = |metric: Value| (metric["name"].as_str().unwrap().to_owned(), metric);
    collector.metrics().into_iter().map(named).collect()
}

/// The labels of a point, as [`samples`] writes them.
fn labels(point: &Value) -> String {
    let all = point["attributes"].as_array().cloned().unwrap_or_default();
    let pairs = all.iter().map(|one| {
        (one["key"].as_str().unwrap().to_owned(), one["value"]["stringValue"].as_str().unwrap_or_default().to_owned())
    });
    format!("{:?}", pairs.collect::<BTreeMap<String, String>>())
}
