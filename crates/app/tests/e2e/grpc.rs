//! The gRPC port, asked by a client that we did not write (grpcio), which knows the service only by its reflection; deadlines by
//! curl, which lets a header be what it likes.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use tendon_testkit::certs::{Authority, Wanted};

use crate::support::{PYTHON, Running, Sandbox, eventually, input};

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clients/grpc_client.py");
const PORT: &str = "server: { grpc: { listen: 127.0.0.1:0 } }\n";

struct Grpc {
    sandbox: Sandbox,
    running: Running,
    address: String,
    keys: [String; 2],
}

impl Grpc {
    fn start() -> Self {
        Self::on(Sandbox::with(0, PORT))
    }

    fn on(sandbox: Sandbox) -> Self {
        let keys = [sandbox.key("reader", &["decide:*", "read"]), sandbox.key("asker", &["decide:*"])];
        let running = sandbox.up();
        let line = running.wait_for_line("gRPC is spoken on ");
        let address = line.rsplit_once(' ').unwrap().1.to_owned();
        Self { sandbox, running, address, keys }
    }

    fn client(&self, check: &str) -> Command {
        let mut client = Command::new(PYTHON);
        client.args([CLIENT, &self.address, &self.keys[0], &self.keys[1], check]);
        client
    }

    fn check(&self, check: &str) {
        let output = self
            .client(check)
            .output()
            .unwrap_or_else(|error| panic!("`cargo xtask setup` makes the environment with the client: {error}"));
        assert!(output.status.success(), "{check}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn answers_are_the_same_as_over_http() {
    let grpc = Grpc::start();
    grpc.check("health");
    grpc.check("answers");
    let mut outputs = grpc.sandbox.decisions();
    let bearer = grpc.keys[0].clone();
    let body = serde_json::json!({ "input": input(1) }).to_string();
    let over_http = grpc.running.decide(&bearer, &[], &body).unwrap().json();
    outputs.retain(|one| one["output"] != over_http["output"] || one["band"] != over_http["band"]);
    assert!(outputs.is_empty(), "{outputs:?}");
    let metrics = grpc.running.request("GET", "/metrics", &[], "");
    let text = String::from_utf8(metrics.body).unwrap();
    assert!(text.contains("tendon_grpc_requests_total{method=\"Decide\",code=\"OK\"} 5"), "{text}");
}

#[test]
fn the_same_certificate_protects_both_ports() {
    let tls = "tls: { cert: tls/server.pem, key: tls/server.key }";
    let sandbox = Sandbox::with(0, &PORT.replace("grpc:", &format!("{tls}, grpc:")));
    std::fs::create_dir(sandbox.path("tls")).unwrap();
    let authority = Authority::new(&sandbox.path("tls"));
    authority.issue("server", Wanted::default());
    let grpc = Grpc::on(sandbox);
    let trusted = grpc.client("answers").env("GRPC_AUTHORITY", authority.ca()).output().unwrap();
    assert!(trusted.status.success(), "{}", String::from_utf8_lossy(&trusted.stderr));
    assert!(!grpc.client("answers").output().unwrap().status.success(), "plain text is not spoken");
}

#[test]
fn numbers_keep_64_bits_or_are_refused() {
    Grpc::start().check("numbers");
}

#[test]
fn errors_say_what_where_and_whether_to_try_again() {
    Grpc::start().check("errors");
}

#[test]
fn a_stream_answers_each_question_in_order() {
    Grpc::start().check("stream");
}

#[test]
fn a_cancelled_call_is_decided_once() {
    let grpc = Grpc::start();
    grpc.check("cancelled");
    assert_eq!(grpc.sandbox.decisions().len(), 200);
}

#[test]
fn rude_connections_disturb_nobody() {
    Grpc::start().check("rude");
}

#[test]
fn a_deadline_that_passed_is_no_decision() {
    let grpc = Grpc::start();
    let json = input(1).to_string();
    let name = b"lead-score";
    let mut message = vec![0x0a, u8::try_from(name.len()).unwrap()];
    message.extend_from_slice(name);
    message.extend_from_slice(&[
        0x1a,
        u8::try_from(json.len() & 0x7f).unwrap() | 0x80,
        u8::try_from(json.len() >> 7).unwrap(),
    ]);
    message.extend_from_slice(json.as_bytes());
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&message);
    let file = grpc.sandbox.path("frame.bin");
    std::fs::write(&file, frame).unwrap();
    let ask = |timeout: &str, kind: &str| {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--http2-prior-knowledge",
                "--dump-header",
                "-",
                "--output",
                "/dev/null",
                "--max-time",
                "60",
            ])
            .args(["-H", &format!("authorization: Bearer {}", grpc.keys[0]), "-H", &format!("grpc-timeout: {timeout}")])
            .args(["-H", &format!("content-type: {kind}"), "-H", "te: trailers", "--data-binary"])
            .arg(format!("@{}", file.display()))
            .arg(format!("http://{}/tendon.v1.Decisions/Decide", grpc.address))
            .output()
            .expect("`cargo xtask setup` installs curl");
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
    };
    let passed = ask("1n", "application/grpc");
    assert!(passed.contains("grpc-status: 4\r\n"), "{passed}");
    let unreadable = ask("soon", "application/grpc");
    assert!(unreadable.contains("grpc-status: 3\r\n"), "{unreadable}");
    let other = ask("1S", "application/json");
    assert!(other.starts_with("HTTP/2 415"), "{other}");
    let decided = ask("20S", "application/grpc+proto");
    assert!(decided.contains("tendon-decision-id: "), "{decided}");
    assert_eq!(grpc.sandbox.decisions().len(), 1);
}

#[test]
fn a_stop_ends_open_calls_and_says_why() {
    let grpc = Grpc::start();
    let mut client = grpc.client("stop").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "open\n");
    let Grpc { running, .. } = grpc;
    assert!(running.stop().success());
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_port_opens_only_when_asked_for_and_moves_only_at_a_start() {
    let sandbox = Sandbox::with(0, "server: { grpc: { listen: localhost } }\n");
    let output = sandbox.run(&["check"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("localhost is no address to listen on"), "{said}");
    let text = std::fs::read_to_string(sandbox.path("tendon.yaml")).unwrap();
    let main =
        text.lines().filter(|line| !line.starts_with("server:")).map(|line| format!("{line}\n")).collect::<String>();
    sandbox.write("tendon.yaml", &main);
    let running = sandbox.up();
    sandbox.write("tendon.yaml", &format!("{main}{PORT}"));
    let told = || String::from_utf8(sandbox.run(&["status", "--output", "json"]).stdout).unwrap();
    eventually("the change is refused", || told().contains("server.grpc"));
    drop(running);
}
