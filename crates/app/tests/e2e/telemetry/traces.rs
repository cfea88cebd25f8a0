//! Traces: taken over from the caller, a span for each stage, systems below it, deliveries linked to it; and a collector that is
//! gone.

use std::process::Command;

use tendon_testkit::peer::free_port;

use super::{Collector, attribute, parent, sandbox, section, up};
use crate::support::{PYTHON, Running, body, eventually};

const STAGES: [&str; 10] =
    ["admit", "dedupe", "validate", "route", "enrich", "infer", "judge", "explain", "record", "deliver"];

#[test]
fn a_trace_follows_its_caller() {
    let collector = Collector::start();
    let sandbox = sandbox(0, &collector.section(0.0));
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let (silent, not_kept) = parent(0xaa, "00");
    let (heard, kept) = parent(0xbb, "01");
    // Neither a caller that does not want its trace kept nor one without a trace leaves a span; the third does.
    assert_eq!(running.decide(&key, &[("traceparent", &not_kept)], &body(1)).unwrap().status, 200);
    assert_eq!(running.decide(&key, &[], &body(2)).unwrap().status, 200);
    let headers = [("traceparent", kept.as_str()), ("tracestate", "vendor=opaque")];
    let answer = running.decide(&key, &headers, &body(3)).unwrap();
    assert_eq!(answer.status, 200);
    let decision = answer.header("tendon-decision-id").unwrap().to_owned();
    let server = "POST /v1/integrations/{name}/decisions";
    eventually("the trace arrives", || collector.trace(&heard).iter().any(|span| span["name"] == server));
    let spans = collector.trace(&heard);
    assert!(collector.trace(&silent).is_empty() && collector.spans().len() == spans.len(), "{}", collector.text());
    let by = |name: &str| {
        let mut found = spans.iter().filter(|span| span["name"] == name);
        let first = found.next().unwrap_or_else(|| panic!("no span {name}: {spans:#?}"));
        assert!(found.next().is_none(), "{name} twice");
        first.clone()
    };
    let root = by(server);
    assert_eq!((&root["parentSpanId"], &root["kind"]), (&"b7ad6b7169203331".into(), &2.into()));
    assert_eq!(root["traceState"], "vendor=opaque");
    // The caller is another process, and the trace is kept.
    assert_eq!(root["flags"], 0x301);
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/v1/integrations/{name}/decisions"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
        ("server.address", "test"),
        ("tendon.decision.id", &decision),
    ] {
        assert_eq!(attribute(&root, name), value, "{name}: {root:#}");
    }
    let decide = by("decide");
    assert_eq!(decide["parentSpanId"], root["spanId"]);
    assert_eq!(attribute(&decide, "tendon.integration"), "lead-score");
    assert_eq!(attribute(&decide, "tendon.decision.outcome"), "ok");
    assert_eq!(attribute(&decide, "tendon.model.version"), "v1");
    let time = |span: &serde_json::Value, name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
    let mut last = time(&decide, "startTimeUnixNano");
    for stage in STAGES {
        let span = by(stage);
        assert_eq!(span["parentSpanId"], decide["spanId"], "{stage}");
        assert!(time(&span, "startTimeUnixNano") >= last, "{stage} begins before the one before it ended");
        last = time(&span, "endTimeUnixNano");
    }
    assert!(last <= time(&decide, "endTimeUnixNano") && last <= time(&root, "endTimeUnixNano"));
    let commit = by("ledger commit");
    assert_eq!(commit["parentSpanId"], by("record")["spanId"]);
    assert_eq!(attribute(&collector.resource(), "service.name"), "tendon");
    assert_eq!(attribute(&collector.resource(), "tendon.project"), "test");
    assert!(attribute(&collector.resource(), "service.instance.id").as_str().unwrap().len() == 36);
    drop(running);
}

#[test]
fn deliveries_are_linked_to_their_decisions() {
    let collector = Collector::start();
    let sandbox = sandbox(3, &collector.section(1.0));
    let running = sandbox.up();
    eventually("the leads are scored", || sandbox.crm.all_scored());
    // The CRM shows a score before its write has returned: only then the span ends.
    let metrics = || String::from_utf8(running.request("GET", "/metrics", &[], "").body).unwrap();
    eventually("the write-back has ended", || metrics().contains("tendon_outbox_waiting{system=\"crm\"} 0\n"));
    assert!(running.stop().success());
    // The last spans are sent as the process stops; the collector prints them when it likes.
    let links = |span: &serde_json::Value| span["links"].as_array().map_or(0, Vec::len);
    eventually("all links arrive", || collector.spans().iter().map(links).sum::<usize>() == 3);
    let spans = collector.spans();
    let named = |name: &str| spans.iter().filter(|span| span["name"] == name).cloned().collect::<Vec<_>>();
    let (decided, delivered) = (named("decide"), named("deliveries"));
    let linked: Vec<_> =
        delivered.iter().flat_map(|span| span["links"].as_array().cloned().unwrap_or_default()).collect();
    assert_eq!(linked.len(), 3, "{delivered:#?}");
    for link in &linked {
        let trace = &link["traceId"];
        assert!(
            decided.iter().any(|span| span["traceId"] == *trace && span.get("parentSpanId").is_none_or(|id| id == ""))
        );
        assert_eq!(attribute(link, "tendon.decision.id").as_str().unwrap().len(), 36);
    }
    let writes = named("write leads");
    assert_eq!(writes.len(), delivered.len());
    for write in &writes {
        assert!(delivered.iter().any(|span| span["spanId"] == write["parentSpanId"]));
        assert_eq!((attribute(write, "db.system.name"), write["kind"].clone()), ("sqlite".into(), 3.into()));
        assert_eq!(attribute(write, "db.collection.name"), "leads");
    }
}

#[test]
fn calls_over_grpc_and_streams_keep_their_trace() {
    let collector = Collector::start();
    let lines = format!("server: {{ grpc: {{ listen: 127.0.0.1:0 }} }}\n{}", collector.section(0.0));
    let sandbox = sandbox(0, &lines);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let line = running.wait_for_line("gRPC is spoken on ");
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clients/grpc_client.py");
    let address = line.rsplit_once(' ').unwrap().1;
    let output = Command::new(PYTHON).args([client, address, &key, &key, "traced"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (trace, method) in [(0xc1, "Decide"), (0xc2, "DecideStream")] {
        let (trace, _) = parent(trace, "01");
        let server = format!("tendon.v1.Decisions/{method}");
        eventually("the trace arrives", || collector.trace(&trace).iter().any(|span| span["name"] == server.as_str()));
        let spans = collector.trace(&trace);
        let by = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap().clone();
        let root = by(&server);
        assert_eq!(
            (&root["parentSpanId"], attribute(&root, "rpc.method")),
            (&"b7ad6b7169203331".into(), server.into())
        );
        assert_eq!(by("decide")["parentSpanId"], root["spanId"], "{method}");
        assert!(by("record")["endTimeUnixNano"].as_str() <= root["endTimeUnixNano"].as_str(), "{method}");
    }
    // The same for a batch that is answered while it still arrives.
    let (trace, kept) = parent(0xc3, "01");
    let bearer = format!("Bearer {key}");
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/x-ndjson"), ("traceparent", kept.as_str())];
    let lines: String = (0..3).map(|id| format!("{}\n", crate::support::input(id))).collect();
    assert_eq!(running.request("POST", "/v1/integrations/lead-score/batches", &headers, &lines).status, 200);
    let server = "POST /v1/integrations/{name}/batches";
    eventually("the trace arrives", || collector.trace(&trace).iter().any(|span| span["name"] == server));
    let spans = collector.trace(&trace);
    let root = spans.iter().find(|span| span["name"] == server).unwrap();
    let decided: Vec<_> = spans.iter().filter(|span| span["name"] == "decide").collect();
    assert!(!decided.is_empty() && decided.iter().all(|span| span["parentSpanId"] == root["spanId"]), "{spans:#?}");
}

fn counted(running: &Running, what: &str) -> f64 {
    let text = String::from_utf8(running.request("GET", "/metrics", &[], "").body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(what));
    line.map_or(0.0, |number| number.trim().parse().unwrap())
}

#[test]
fn a_collector_that_is_gone_harms_nothing_and_is_found_again() {
    let port = free_port();
    let sandbox = sandbox(0, &section(port, 1.0));
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let full = "tendon_telemetry_spans_dropped_total{reason=\"queue_full\"}";
    let mut asked = 0;
    // A decision has a dozen spans, so the queue is full after some hundreds; each of them is answered.
    while counted(&running, full) == 0.0 {
        for _ in 0..50 {
            assert_eq!(running.decide(&key, &[], &body(asked)).unwrap().status, 200);
            asked += 1;
        }
        assert!(asked < 5000, "the queue never filled");
    }
    assert!(counted(&running, "tendon_telemetry_exports_failed_total{signal=\"traces\"}") > 0.0);
    assert_eq!(counted(&running, "tendon_telemetry_spans_exported_total"), 0.0);
    let collector = Collector::on(port);
    eventually("what waits arrives", || counted(&running, "tendon_telemetry_spans_exported_total") >= 2048.0);
    let (heard, kept) = parent(0xcc, "01");
    assert_eq!(running.decide(&key, &[("traceparent", &kept)], &body(1)).unwrap().status, 200);
    eventually("and what comes after it", || !collector.trace(&heard).is_empty());
    assert_eq!(decided(&running), asked + 1);
}

/// Decisions recorded.
fn decided(running: &Running) -> i64 {
    let decided = counted(running, "tendon_decisions_total{integration=\"lead-score\",outcome=\"ok\"}");
    #[expect(clippy::cast_possible_truncation, reason = "a count of a test")]
    let decided = decided as i64;
    decided
}

#[test]
fn a_line_of_the_log_knows_its_request_and_trace() {
    let collector = Collector::start();
    let sandbox = sandbox(0, &collector.section(0.0));
    let key = sandbox.key("caller", &["decide:*"]);
    let (trace, kept) = parent(0xdd, "01");
    let headers = [("traceparent", kept.as_str()), ("x-request-id", "mine-1")];
    let running = up(&sandbox, "json");
    assert_eq!(running.decide(&key, &headers, &body(1)).unwrap().status, 200);
    let said: serde_json::Value = serde_json::from_str(&running.wait_for_line("a request was answered")).unwrap();
    assert_eq!(
        (&said["level"], &said["request_id"], &said["trace_id"]),
        (&"DEBUG".into(), &"mine-1".into(), &trace.as_str().into())
    );
    assert_eq!((&said["fields"]["status"], &said["fields"]["method"]), (&200.into(), &"POST".into()));
    assert!(said["time"].as_str().unwrap().ends_with('Z') && said["target"].as_str().unwrap().starts_with("tendon"));
    // The span that the line names is one that arrives.
    let server = "POST /v1/integrations/{name}/decisions";
    eventually("the trace arrives", || collector.trace(&trace).iter().any(|span| span["name"] == server));
    assert!(collector.trace(&trace).iter().any(|span| span["spanId"] == said["span_id"]));
    drop(running);
    let running = up(&sandbox, "text");
    assert_eq!(running.decide(&key, &headers, &body(1)).unwrap().status, 200);
    let line = running.wait_for_line("a request was answered");
    assert!(line.contains("request_id=mine-1") && line.contains(&format!("trace_id={trace}")), "{line}");
}
