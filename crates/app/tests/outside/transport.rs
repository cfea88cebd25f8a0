//! The wire: slow, broken and odd clients, and those that hang up.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use serde_json::Value as Json;

use crate::harness::{Client, Project, Server, Setup, input, until};

fn start() -> (Project, Server, Client) {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let key = project.key("app", &[]);
    let server = project.up();
    let client = server.client(&key);
    (project, server, client)
}

fn connect(client: &Client) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", client.port.load(std::sync::atomic::Ordering::Relaxed))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

fn head(client: &Client, more: &str) -> String {
    let address = "POST /v1/integrations/lead-score/decisions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json";
    format!("{address}\r\nauthorization: Bearer {}\r\n{more}\r\n", client.key)
}

/// Reads until a text occurs so many times; gives all that was read. Empty at the end of the connection.
fn read_until(stream: &mut TcpStream, wanted: &str, times: usize) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while text.matches(wanted).count() < times {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
            Err(error) => panic!("{error} after {text}"),
        }
    }
    text
}

#[test]
fn one_connection_carries_many_requests_also_in_pieces_and_at_once() {
    let (project, _server, client) = start();
    let body = input(1).to_string();
    let mut stream = connect(&client);
    // Chunked, byte by byte.
    let chunked: String = body.chars().map(|c| format!("1\r\n{c}\r\n")).collect::<String>() + "0\r\n\r\n";
    stream.write_all((head(&client, "transfer-encoding: chunked\r\n") + &chunked).as_bytes()).unwrap();
    assert!(read_until(&mut stream, "\"outcome\":\"ok\"", 1).starts_with("HTTP/1.1 200"));
    // Three at once, before any answer.
    let one = head(&client, &format!("content-length: {}\r\n", body.len())) + &body;
    stream.write_all(one.repeat(3).as_bytes()).unwrap();
    let text = read_until(&mut stream, "\"outcome\":\"ok\"", 3);
    assert_eq!(text.matches("HTTP/1.1 200").count(), 3, "{text}");
    // A bad one does not spoil the connection for the next.
    let bad = head(&client, "content-length: 2\r\n") + "{}";
    stream.write_all((bad + &one).as_bytes()).unwrap();
    let text = read_until(&mut stream, "\"outcome\":\"ok\"", 1);
    assert!(text.contains("input_missing") && text.contains("HTTP/1.1 200"), "{text}");
    // With `expect: 100-continue` the body is asked for first.
    let polite = head(&client, &format!("expect: 100-continue\r\ncontent-length: {}\r\n", body.len()));
    stream.write_all(polite.as_bytes()).unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n", 1).starts_with("HTTP/1.1 100"));
    stream.write_all(body.as_bytes()).unwrap();
    assert!(read_until(&mut stream, "\"outcome\":\"ok\"", 1).starts_with("HTTP/1.1 200"));
    assert_eq!(project.decisions(), 6);
}

#[test]
fn what_is_no_http_ends_its_connection_only() {
    let (project, _server, client) = start();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    let many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    let smuggled = head(&client, "content-length: 5\r\ncontent-length: 6\r\n") + "{\"input\":{}}";
    let both = head(&client, "content-length: 5\r\ntransfer-encoding: chunked\r\n") + "0\r\n\r\n";
    let negative = head(&client, "content-length: -1\r\n");
    for request in ["\u{16}\u{3}\u{1} hello", "GET\r\n\r\n", &long, &many, &smuggled, &both, &negative] {
        let mut stream = connect(&client);
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.starts_with("HTTP/1.1 2") && !answer.starts_with("HTTP/1.1 5"), "{request:.60}: {answer}");
    }
    assert_eq!(client.decide(&input(1), None).status, 200);
    assert_eq!(project.decisions(), 1);
}

#[test]
fn a_caller_that_hangs_up_leaves_a_whole_decision_or_none() {
    let (project, server, client) = start();
    let body = input(1).to_string();
    for number in 0..40 {
        let key = format!("idempotency-key: gone {number}\r\n");
        let request = head(&client, &format!("{key}content-length: {}\r\n", body.len())) + &body;
        // Half of them before the body is complete.
        let sent = if number % 2 == 0 { request.len() } else { request.len() - 1 - number };
        connect(&client).write_all(&request.as_bytes()[..sent]).unwrap();
    }
    let mut replayed = 0;
    for number in 0..40 {
        let answer = client.decide(&input(1), Some(&format!("gone {number}")));
        assert_eq!(answer.status, 200);
        let again = answer.header("idempotent-replayed") == "true";
        assert!(!again || number % 2 == 0, "half a request became a decision");
        replayed += usize::from(again);
    }
    assert_eq!(project.decisions(), 40, "{replayed} were decided before they were asked again");
    until("nothing is under way", || {
        let metrics = client.get("/metrics");
        String::from_utf8_lossy(&metrics.body).contains("\ntendon_decisions_in_flight 0\n").then_some(())
    });
    server.stop();
    project.verify();
}

#[test]
fn a_stop_does_not_wait_for_idle_connections_nor_for_half_a_request_for_ever() {
    let (project, mut server, client) = start();
    let body = input(1).to_string();
    let idle: Vec<TcpStream> = (0..20).map(|_| connect(&client)).collect();
    let mut kept = connect(&client);
    let one = head(&client, &format!("content-length: {}\r\n", body.len())) + &body;
    kept.write_all(one.as_bytes()).unwrap();
    read_until(&mut kept, "\"outcome\":\"ok\"", 1);
    let mut half = connect(&client);
    half.write_all(&one.as_bytes()[..one.len() - 10]).unwrap();
    let mut slow = connect(&client);
    slow.write_all(b"GET /livez HT").unwrap();
    assert_eq!(client.decide(&input(2), None).status, 200);
    server.terminate();
    // The half request is completed while it stops: it was accepted, so it is answered.
    let mut meanwhile = 0;
    until("it does not listen any more", || match client.try_decide(&input(3), None) {
        Ok(answer) => {
            assert_eq!(answer.status, 200);
            meanwhile += 1;
            None
        }
        Err(_) => Some(()),
    });
    half.write_all(&one.as_bytes()[one.len() - 10..]).unwrap();
    assert!(read_until(&mut half, "\"outcome\":\"ok\"", 1).starts_with("HTTP/1.1 200"));
    assert!(server.wait().success());
    drop((idle, slow));
    project.verify();
    assert_eq!(project.decisions(), 3 + meanwhile);
}

#[test]
fn the_documents_are_there_and_agree() {
    let (_project, server, client) = start();
    let document = client.get("/openapi.json").json();
    for path in ["/v1/integrations", "/metrics", "/livez", "/readyz"] {
        assert!(document["paths"][path].is_object(), "{path} is not in the document");
        assert_eq!(client.get(path).status, 200);
    }
    let codes = document.to_string();
    for code in ["missing_field", "idempotency_conflict", "deadline_exceeded", "decision_erased", "key_unknown"] {
        assert!(codes.contains(code), "the code {code} is not explained");
    }
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    let _: Json = client.get("/v1/integrations").json();
}
