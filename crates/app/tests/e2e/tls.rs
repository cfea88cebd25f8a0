//! TLS from the outside: curl and openssl as the callers, certificates of an authority made for the test.

use std::{
    io::Read as _,
    net::TcpStream,
    path::Path,
    process::{Command, Output},
};

use tendon_testkit::certs::{Authority, Wanted};

use crate::support::{PATIENCE, PYTHON, Running, Sandbox, body, eventually};

/// A project that serves with a certificate from `tls/`.
fn project(more: &str, wanted: Wanted<'_>) -> (Sandbox, Authority) {
    let tls = format!("server: {{ tls: {{ cert: tls/server.pem, key: tls/server.key, handshake: 500ms{more} }} }}\n");
    let sandbox = Sandbox::with(0, &tls);
    std::fs::create_dir(sandbox.path("tls")).unwrap();
    let authority = Authority::new(&sandbox.path("tls"));
    authority.issue("server", wanted);
    (sandbox, authority)
}

fn curl(running: &Running, ca: &Path, arguments: &[&str], path: &str) -> Output {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code}", "--cacert"]).arg(ca);
    curl.args(arguments).arg(format!("https://localhost:{}{path}", running.address.port()));
    curl.output().unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The fingerprint of the certificate that is served, by openssl.
fn served(running: &Running) -> String {
    let script = format!(
        "openssl s_client -connect {} -servername localhost </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256",
        running.address
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn fingerprint(path: &Path) -> String {
    let output = Command::new("openssl").args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(path).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn only_tls_1_3_is_spoken_and_the_whole_interface_works_through_it() {
    let (sandbox, authority) = project("", Wanted::default());
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let bearer = format!("authorization: Bearer {key}");
    let answer = curl(
        &running,
        &authority.ca(),
        &["--data", &body(1), "-H", &bearer, "-H", "content-type: application/json"],
        "/v1/integrations/lead-score/decisions",
    );
    assert!(told(&answer).contains("\"band\"") && told(&answer).ends_with("200"), "{}", told(&answer));

    let old = curl(&running, &authority.ca(), &["--tls-max", "1.2"], "/livez");
    assert_eq!(old.status.code(), Some(35), "TLS 1.2 is not spoken: {}", told(&old));
    let untrusting = Command::new("curl").args(["-s", &format!("https://{}/livez", running.address)]).output().unwrap();
    assert_eq!(untrusting.status.code(), Some(60), "an authority that nobody trusts");
    let plain = Command::new("curl").args(["-s", &format!("http://{}/livez", running.address)]).output().unwrap();
    assert!(!plain.status.success(), "plain HTTP is not answered");
    let cipher = format!("openssl s_client -connect {} -tls1_3 </dev/null 2>&1", running.address);
    let shown = Command::new("sh").args(["-c", &cipher]).output().unwrap();
    assert!(told(&shown).contains("TLSv1.3"), "{}", told(&shown));
}

#[test]
fn over_tls_no_session_is_found_by_the_name_that_other_hosts_can_set() {
    let (sandbox, authority) = project("", Wanted::default());
    let key = sandbox.key("ada", &["read"]);
    let running = sandbox.up();
    let origin = format!("origin: https://localhost:{}", running.address.port());
    let form = format!("key={key}");
    let begun = curl(&running, &authority.ca(), &["-D", "-", "-H", &origin, "--data", &form], "/console/sign-in");
    let begun = told(&begun);
    let secret = begun.split_once("__Host-tendon_session=").unwrap().1.split(';').next().unwrap();
    for (name, status) in [("__Host-tendon_session", "200"), ("tendon_session", "303")] {
        let page = curl(&running, &authority.ca(), &["-b", &format!("{name}={secret}")], "/console");
        assert!(told(&page).ends_with(status), "{name}: {}", told(&page));
    }
}

#[test]
fn a_renewed_certificate_is_used_at_once_and_a_bad_one_is_refused() {
    let (sandbox, authority) = project("", Wanted::default());
    let running = sandbox.up();
    let first = served(&running);
    assert_eq!(first, fingerprint(&sandbox.path("tls/server.pem")));
    authority.issue("next", Wanted::default());
    // Only half of the new pair: it does not fit, and the old one serves on.
    std::fs::copy(sandbox.path("tls/next.pem"), sandbox.path("tls/server.pem")).unwrap();
    running.wait_for_line("the changed certificate is refused");
    let report = tls_part(&running, &authority);
    assert!(report["detail"]["refused_files"].as_str().unwrap().contains("do not belong together"), "{report}");
    assert_eq!((served(&running), &report["ok"]), (first, &false.into()));
    // The other half.
    std::fs::copy(sandbox.path("tls/next.key"), sandbox.path("tls/server.key")).unwrap();
    running.wait_for_line("the changed certificate is in force");
    assert_eq!(served(&running), fingerprint(&sandbox.path("tls/next.pem")));
    assert_eq!(tls_part(&running, &authority)["ok"], true);
    // One that has ended already, and no certificate at all.
    authority.issue("server", Wanted { begin: -7200, end: -3600, ..Wanted::default() });
    running.wait_for_line("the changed certificate is refused");
    sandbox.write("tls/server.pem", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n");
    let line = running.wait_for_line("the changed certificate is refused");
    assert!(!line.contains("nonsense") && !line.contains("PRIVATE"), "{line}");
    assert_eq!(served(&running), fingerprint(&sandbox.path("tls/next.pem")));
}

/// A change whose certificate is good and whose other half is not: nothing of it is in force.
#[test]
fn a_change_that_is_refused_leaves_the_certificate_as_it_was() {
    let (sandbox, authority) = project("", Wanted::default());
    let running = sandbox.up();
    let first = served(&running);
    authority.issue("next", Wanted::default());
    sandbox.write("tls/nobody.pem", "no certificate at all\n");
    let text = std::fs::read_to_string(sandbox.path("tendon.yaml")).unwrap();
    let next = text.replace("tls/server.", "tls/next.");
    sandbox.write("tendon.yaml", &format!("{next}outgoing: {{ ca: tls/nobody.pem }}\n"));
    running.wait_for_line("a change of the project is refused");
    assert_eq!(served(&running), first, "the new certificate is part of what was refused");
    sandbox.write("tendon.yaml", &next);
    running.wait_for_line("the changed project is in force");
    assert_eq!(served(&running), fingerprint(&sandbox.path("tls/next.pem")));
}

fn tls_part(running: &Running, authority: &Authority) -> serde_json::Value {
    let answer = curl(running, &authority.ca(), &[], "/readyz");
    let text = String::from_utf8(answer.stdout).unwrap();
    let report: serde_json::Value = serde_json::from_str(text.rsplit_once('\n').unwrap().0).unwrap();
    report["parts"].as_array().unwrap().iter().find(|part| part["name"] == "tls").cloned().unwrap()
}

#[test]
fn a_certificate_that_ends_while_running_is_told_and_refused_by_whoever_checks_it() {
    let (sandbox, authority) = project("", Wanted::default());
    let running = sandbox.up();
    // Given to a process that runs: how long it takes to start is not of its time.
    authority.issue("server", Wanted { end: 20, ..Wanted::default() });
    running.wait_for_line("the changed certificate is in force");
    running.wait_for_line("the listener's certificate ends soon");
    running.wait_for_line("the listener's certificate has ended");
    let checked = curl(&running, &authority.ca(), &[], "/livez");
    assert_eq!(checked.status.code(), Some(60), "{}", told(&checked));
    let report = curl(&running, &authority.ca(), &["--insecure"], "/readyz");
    assert!(told(&report).contains("\"ended\":true") && told(&report).ends_with("200"), "{}", told(&report));
    let metrics = curl(&running, &authority.ca(), &["--insecure"], "/metrics");
    assert!(told(&metrics).contains("tendon_tls_certificate_remaining_seconds -"), "{}", told(&metrics));
    authority.issue("server", Wanted::default());
    running.wait_for_line("the changed certificate is in force");
    assert!(curl(&running, &authority.ca(), &[], "/livez").status.success());
}

#[test]
fn half_open_handshakes_delay_nobody_and_are_ended() {
    let (sandbox, authority) = project("", Wanted::default());
    let running = sandbox.up();
    let mut silent: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(running.address).unwrap()).collect();
    assert!(curl(&running, &authority.ca(), &[], "/livez").status.success(), "others are served meanwhile");
    for stream in &mut silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "the server ended it");
    }
    let counted = || told(&curl(&running, &authority.ca(), &[], "/metrics"));
    let line = "tendon_tls_handshakes_failed_total{reason=\"timeout\"} 100";
    eventually("all of them are counted", || counted().contains(line));
    // A stop does not wait for one either.
    let _half = TcpStream::connect(running.address).unwrap();
    assert!(running.stop().success());
}

#[test]
fn client_certificates_are_callers_when_the_file_knows_them() {
    let clients = ", client_ca: tls/ca.pem, clients: { billing: { san: \"spiffe://acme/billing\", scopes: [\"decide:lead-score\"] }, \
                   audit: { fingerprint: \"PRINT\", scopes: [read] } }";
    let (sandbox, authority) = project(clients, Wanted::default());
    for (name, names) in [("billing", "spiffe://acme/billing,billing.acme"), ("audit", ""), ("other", "other.acme")] {
        authority.issue(name, Wanted { names, client: true, ..Wanted::default() });
    }
    let print = fingerprint(&sandbox.path("tls/audit.pem"));
    let print = print.trim().rsplit_once('=').unwrap().1;
    let text = std::fs::read_to_string(sandbox.path("tendon.yaml")).unwrap();
    sandbox.write("tendon.yaml", &text.replace("PRINT", print));
    let running = sandbox.up();
    let input = body(1);
    let ask = ["--data", input.as_str(), "-H", "content-type: application/json"];
    let decisions = "/v1/integrations/lead-score/decisions";
    let with = |name: &str, arguments: &[&str], path: &str| {
        let (pem, key) = (sandbox.path(&format!("tls/{name}.pem")), sandbox.path(&format!("tls/{name}.key")));
        let pair = ["--cert", pem.to_str().unwrap(), "--key", key.to_str().unwrap()];
        told(&curl(&running, &authority.ca(), &[&pair, arguments].concat(), path))
    };
    let answer = with("billing", &ask, decisions);
    assert!(answer.ends_with("200"), "{answer}");
    let made: serde_json::Value = serde_json::from_str(answer.rsplit_once('\n').unwrap().0).unwrap();
    let shown = sandbox.json(&["decisions", "show", made["id"].as_str().unwrap()]);
    assert_eq!(shown["caller"], "tls:billing", "{shown}");
    let id = format!("/v1/decisions/{}", made["id"].as_str().unwrap());
    assert!(with("audit", &[], &id).ends_with("200"), "may read");
    assert!(with("audit", &ask, decisions).ends_with("403"), "may not ask");
    let unknown = with("other", &ask, decisions);
    assert!(unknown.ends_with("401") && unknown.contains("client_unknown"), "{unknown}");
    let none = told(&curl(&running, &authority.ca(), &ask, decisions));
    assert!(none.ends_with("401") && none.contains("key_missing"), "{none}");
    // A browser shows its certificate for any page: one of another origin is kept out, our own and programs are not.
    let page = |origin: &str| with("billing", &[&ask[..], &["-H", &format!("origin: {origin}")]].concat(), decisions);
    let evil = page("https://evil.example");
    assert!(evil.ends_with("403") && evil.contains("origin_forbidden"), "{evil}");
    let own = page(&format!("https://localhost:{}", running.address.port()));
    assert!(own.ends_with("200"), "{own}");
    // A key goes before the certificate; a wrong key is not mended by it.
    let wrong = with("billing", &[&ask[..], &["-H", "authorization: Bearer tdn_x_y"]].concat(), decisions);
    assert!(wrong.ends_with("401"), "{wrong}");
}

/// Asks on one connection, again and again, until it is refused; prints what it was told.
const UNTIL_REFUSED: &str = r#"
import http.client, json, ssl, sys
host, port, ca, pem, key = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(pem, key)
connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=60)
connection.connect()
socket, good = connection.sock, 0
while True:
    connection.request("GET", "/v1/integrations")
    answer = connection.getresponse()
    body = answer.read()
    assert connection.sock is socket, "a connection of its own"
    if answer.status != 200:
        break
    good += 1
print(good > 0, answer.status, json.loads(body)["code"])
"#;

#[test]
fn a_client_certificate_that_ends_while_connected_lets_nobody_in_any_more() {
    let clients = ", client_ca: tls/ca.pem, clients: { billing: { san: billing.acme, scopes: [read] } }";
    let (sandbox, authority) = project(clients, Wanted::default());
    let running = sandbox.up();
    let (pem, key) =
        authority.issue("billing", Wanted { names: "billing.acme", client: true, end: 6, ..Wanted::default() });
    let output = Command::new(PYTHON)
        .args(["-c", UNTIL_REFUSED, "localhost", &running.address.port().to_string()])
        .args([authority.ca(), pem, key])
        .output()
        .unwrap();
    assert_eq!(told(&output).trim(), "True 401 client_ended");
}

#[test]
fn where_client_certificates_are_required_nobody_comes_in_without() {
    let (sandbox, authority) = project(", client_ca: tls/ca.pem, client: required", Wanted::default());
    authority.issue("client", Wanted { names: "", client: true, ..Wanted::default() });
    let strangers = tempfile::tempdir().unwrap();
    Authority::new(strangers.path()).issue("client", Wanted { names: "", client: true, ..Wanted::default() });
    let running = sandbox.up();
    let with = |folder: &Path| {
        let (pem, key) = (folder.join("client.pem"), folder.join("client.key"));
        let pair = ["--cert", pem.to_str().unwrap(), "--key", key.to_str().unwrap()];
        curl(&running, &authority.ca(), &pair, "/livez")
    };
    assert!(with(&sandbox.path("tls")).status.success(), "{}", told(&with(&sandbox.path("tls"))));
    assert!(!with(strangers.path()).status.success(), "signed by nobody we trust");
    assert!(!curl(&running, &authority.ca(), &[], "/livez").status.success(), "no certificate at all");
}
