//! The batch door: records streamed in and out, one answer or error each, in their order; nothing is read while nothing is
//! fetched; a caller who hangs up loses answers and no record.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value as Json, json};

use crate::support::{PATIENCE, Running, Sandbox, eventually, input};

/// A request whose body is sent piece by piece, and whose answer is read line by line.
struct Stream {
    out: TcpStream,
    back: BufReader<TcpStream>,
    rest: Vec<u8>,
    pub(crate) head: String,
}

impl Stream {
    fn open(running: &Running, key: &str, headers: &str) -> Self {
        let mut out = TcpStream::connect(running.address).unwrap();
        out.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            out,
            "POST /v1/integrations/lead-score/batches HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {key}\r\n\
             content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\nconnection: close\r\n{headers}\r\n"
        )
        .unwrap();
        let mut back = BufReader::new(out.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(back.read_line(&mut head).unwrap() > 0, "{head}");
        }
        Self { out, back, rest: Vec::new(), head }
    }

    fn send(&mut self, text: &str) {
        write!(self.out, "{:x}\r\n{text}\r\n", text.len()).unwrap();
    }

    fn end(&mut self) {
        self.out.write_all(b"0\r\n\r\n").unwrap();
    }

    /// The next line of the answer; `None` at its end.
    fn line(&mut self) -> Option<Json> {
        loop {
            if let Some(at) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=at).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let mut size = String::new();
            self.back.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
            let mut chunk = vec![0; size + 2];
            self.back.read_exact(&mut chunk).ok()?;
            if size == 0 {
                return None;
            }
            self.rest.extend_from_slice(&chunk[..size]);
        }
    }

    fn lines(&mut self) -> Vec<Json> {
        std::iter::from_fn(|| self.line()).collect()
    }
}

fn line(id: i64) -> String {
    format!("{}\n", input(id))
}

#[test]
fn a_bad_record_in_the_middle_is_its_own_error() {
    let sandbox = Sandbox::with(0, "server: { body_bytes: 2000 }\n");
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let mut stream = Stream::open(&running, &key, "");
    assert!(stream.head.contains("tendon-batch-size: 256\r\n"), "{}", stream.head);
    assert!(stream.head.contains("content-type: application/x-ndjson\r\n"), "{}", stream.head);
    let keyed = format!("{}\n", json!({ "input": input(2), "idempotency_key": "two" }));
    let other = format!("{}\n", json!({ "input": input(3), "idempotency_key": "two" }));
    let long = format!("{{\"id\":\"{}\"}}\n", "x".repeat(3000));
    stream
        .send(&[&line(1), &keyed, "{\"id\": 3, \n", "\n", "{\"nope\": 4}\n", &long, &keyed, &other, &line(7)].concat());
    stream.end();
    let lines = stream.lines();
    let seen: Vec<Json> = lines
        .iter()
        .map(|line| {
            let error = line.get("error").map(|error| error["code"].clone());
            json!([line["index"], error.unwrap_or_else(|| line["decision"]["outcome"].clone())])
        })
        .collect();
    let expected = json!([
        [0, "ok"],
        [1, "ok"],
        [2, "malformed_json"],
        [3, "unknown_field"],
        [4, "body_too_large"],
        [5, "ok"],
        [6, "idempotency_conflict"],
        [7, "ok"],
        [null, null]
    ]);
    assert_eq!(json!(seen), expected);
    assert_eq!(lines[5]["replayed"], true);
    assert_eq!(lines[5]["decision"], lines[1]["decision"]);
    assert!(lines[3]["error"]["decision_id"].is_string(), "a refused input is a decision: {}", lines[3]);
    assert_eq!(lines[8]["summary"], json!({ "records": 8, "ok": 4, "errors": 4, "complete": true }));
    assert_eq!(lines[0]["decision"]["door"], "batch");
    assert!(running.stop().success());
    sandbox.verified_entries();
}

#[test]
fn an_answer_comes_before_the_next_record_is_sent() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let mut stream = Stream::open(&running, &key, "idempotency-key: nightly\r\n");
    for id in 0..5 {
        stream.send(&line(id));
        let answer = stream.line().unwrap();
        assert_eq!((&answer["index"], &answer["decision"]["outcome"]), (&json!(id), &json!("ok")), "{answer}");
    }
    stream.end();
    assert_eq!(stream.lines()[0]["summary"]["records"], 5);
    // The whole batch once more, under the same key: the same decisions.
    let mut again = Stream::open(&running, &key, "idempotency-key: nightly\r\n");
    again.send(&(0..5).map(line).collect::<String>());
    again.end();
    assert!(again.lines()[..5].iter().all(|answer| answer["replayed"] == true));
}

#[test]
fn nothing_is_read_while_nothing_is_fetched() {
    const RECORDS: i64 = 60_000;
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let mut stream = Stream::open(&running, &key, "");
    let text: String = (0..500).map(|_| line(7)).collect();
    let piece = format!("{:x}\r\n{text}\r\n", text.len());
    let mut sent = 0;
    // Once the buffers of both sides are full, the server reads no more.
    stream.out.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut left: &[u8] = piece.as_bytes();
    while sent < RECORDS {
        match stream.out.write(left) {
            Ok(written) => left = &left[written..],
            Err(_) => break,
        }
        if left.is_empty() {
            sent += 500;
            left = piece.as_bytes();
        }
    }
    assert!(sent < RECORDS, "everything was taken in although nothing was fetched");
    // Fetched now, the rest goes through; and every record has its answer.
    let mut out = stream.out.try_clone().unwrap();
    out.set_write_timeout(None).unwrap();
    let rest = left.to_vec();
    let begun = left.len() < piece.len();
    let writer = std::thread::spawn(move || {
        if begun {
            out.write_all(&rest).unwrap();
        }
        out.write_all(b"0\r\n\r\n").unwrap();
    });
    let expected = sent + if begun { 500 } else { 0 };
    let lines = stream.lines();
    writer.join().unwrap();
    assert_eq!(lines.last().unwrap()["summary"]["ok"], expected);
    assert_eq!(i64::try_from(lines.len()).unwrap(), expected + 1);
    assert!(lines.iter().take(lines.len() - 1).enumerate().all(|(at, line)| line["index"] == at));
}

#[test]
fn who_hangs_up_loses_answers_and_no_record() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let mut stream = Stream::open(&running, &key, "");
    stream.send(&(0..2000).map(line).collect::<String>());
    let first = stream.line().unwrap();
    drop(stream);
    eventually("nothing is under way", || {
        let answer = running.request("GET", "/metrics", &[], "");
        String::from_utf8(answer.body).unwrap().lines().any(|line| line == "tendon_decisions_in_flight 0")
    });
    assert!(running.stop().success());
    let decisions = sandbox.decisions();
    assert!(decisions.iter().any(|one| one["id"] == first["decision"]["id"]), "what was answered is recorded");
    assert!(decisions.len() < 2000, "the rest was not read: {}", decisions.len());
    sandbox.verified_entries();
}

#[test]
fn a_document_is_answered_as_a_document_and_limits_are_told() {
    let sandbox = Sandbox::with(0, "server: { batch_records: 3 }\n");
    let key = sandbox.key("caller", &["decide:lead-score"]);
    let running = sandbox.up();
    let bearer = format!("Bearer {key}");
    let ask = |path: &str, kind: &str, body: &str| {
        running.request("POST", path, &[("authorization", &bearer), ("content-type", kind)], body)
    };
    let path = "/v1/integrations/lead-score/batches";
    let body = json!({ "inputs": [input(1), { "input": input(2), "idempotency_key": "k" }, 7] }).to_string();
    let answer = ask(&format!("{path}?explain=true"), "application/json", &body);
    let document = answer.json();
    assert_eq!(answer.status, 200, "{document}");
    assert_eq!(document["summary"], json!({ "records": 3, "ok": 2, "errors": 1, "complete": true }));
    assert_eq!(document["results"][2]["error"]["code"], "malformed_json");
    assert_eq!(document["results"][1]["decision"]["explanation"]["method"], "treeshap");
    for (path, kind, body, status, code) in [
        (path, "application/json", "{\"inputs\":7}", 400, "malformed_json"),
        (path, "text/csv", "", 415, "not_json"),
        ("/v1/integrations/other/batches", "application/x-ndjson", "", 404, "integration_unknown"),
        ("/v1/integrations/lead-score/batches?x=1", "application/x-ndjson", "", 400, "unknown_parameter"),
    ] {
        let answer = ask(path, kind, body);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{path} {kind}");
    }
    let mut stream = Stream::open(&running, &key, "");
    stream.send(&(0..5).map(line).collect::<String>());
    stream.end();
    let lines = stream.lines();
    assert_eq!(lines.len(), 4);
    let summary = &lines[3]["summary"];
    assert_eq!((&summary["complete"], &summary["error"]["code"]), (&json!(false), &json!("batch_too_long")));
}
