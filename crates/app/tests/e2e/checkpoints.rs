//! Checkpoints published over HTTP: with the token, only over what was read, again while the receiver is away, and so that an older
//! copy of the ledger is not gone on with.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use serde_json::Value as Json;
use tendon_testkit::peer::Peer;

use crate::support::{PYTHON, Running, Sandbox, body, eventually, exchange, request, tendon};

const TOKEN: &str = "tok-5f1e-of-the-tests";

/// A place for checkpoints that we did not write in Rust.
struct Place {
    _peer: Peer,
    address: SocketAddr,
}

impl Place {
    fn start(port: u16, token: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clients/proofs.py");
        let mut command = Command::new(PYTHON);
        command.args([script, &port.to_string(), token]);
        let mut peer = Peer::start(command);
        let address = format!("127.0.0.1:{}", peer.wait_for("PORT ")).parse().unwrap();
        Self { _peer: peer, address }
    }

    fn url(&self) -> String {
        format!("http://{}/checkpoint", self.address)
    }

    fn ask(&self, method: &str, path: &str) -> Json {
        let answer = exchange(self.address, &request(method, path, &[], b"")).unwrap();
        if answer.body.is_empty() { Json::Null } else { answer.json() }
    }

    /// How often a request was answered so.
    fn answered(&self, method: &str, status: u16) -> usize {
        let all = self.ask("GET", "/asked");
        all.as_array().unwrap().iter().filter(|one| one[0] == method && one[1] == status).count()
    }
}

/// A project that publishes to an address.
fn project(url: &str) -> Sandbox {
    let sandbox =
        Sandbox::with(0, &format!("ledger: {{ checkpoint: '{url}', secret: '${{file:proofs.key}}', every: 1s }}\n"));
    sandbox.write("proofs.key", &format!("{TOKEN}\n"));
    sandbox
}

/// Decides so many times.
fn decide(running: &Running, key: &str, count: i64) {
    for id in 1..=count {
        assert_eq!(running.decide(key, &[], &body(id)).unwrap().status, 200);
    }
}

/// Waits until what is published covers as many entries.
fn published(running: &Running, entries: u64) {
    eventually("the checkpoint is published", || {
        running.part("checkpoint")["detail"]["entries"].as_u64().is_some_and(|found| found >= entries)
    });
}

#[test]
fn a_checkpoint_is_published_with_the_token_and_verified_from_its_address() {
    let place = Place::start(0, TOKEN);
    let sandbox = project(&place.url());
    let key = sandbox.key("caller", &["decide:*", "read"]);
    let running = sandbox.up();
    published(&running, 1);
    decide(&running, &key, 3);
    // Somebody else writes at the same moment: what stands there is read again, and then replaced.
    place.ask("POST", "/race");
    published(&running, 4);
    eventually("the race was lost once", || place.answered("PUT", 412) == 1);
    eventually("and what came then is published", || place.answered("PUT", 204) >= 2);
    assert!(running.stop().success());
    let done = sandbox.run(&["ledger", "verify", "--since", &place.url()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // A ledger that is another one does not hold it.
    let other = Sandbox::new(0);
    other.up().stop();
    assert_eq!(other.run(&["ledger", "verify", "--since", &place.url()]).status.code(), Some(1));
}

#[test]
fn a_receiver_that_is_away_stops_no_decision_and_gets_it_later() {
    let mut place = Place::start(0, TOKEN);
    let (address, url) = (place.address, place.url());
    place.ask("POST", "/fail/3");
    let sandbox = project(&url);
    let key = sandbox.key("caller", &["decide:*", "read"]);
    let running = sandbox.up();
    eventually("three requests were refused", || place.answered("GET", 503) == 3);
    published(&running, 1);
    // Gone altogether, also over a restart.
    drop(place);
    eventually("readiness tells it", || running.part("checkpoint")["ok"] == false);
    let (status, report) = running.ready();
    assert_eq!((status, report["state"].as_str()), (200, Some("degraded")), "{report}");
    assert!(!report.to_string().contains(TOKEN), "{report}");
    decide(&running, &key, 2);
    let said = running.finish().join("\n");
    assert!(said.contains("no checkpoint was published") && !said.contains(TOKEN), "{said}");
    let running = sandbox.up();
    assert_eq!(running.part("checkpoint")["ok"], false);
    decide(&running, &key, 2);
    place = Place::start(address.port(), TOKEN);
    published(&running, 3);
    assert_eq!(running.part("checkpoint")["ok"], true);
    let said = running.finish().join("\n");
    assert!(!said.contains(TOKEN), "{said}");
    assert!(place.answered("PUT", 204) > 0);
}

#[test]
fn a_wrong_token_is_told_with_what_to_do() {
    let place = Place::start(0, "another");
    let sandbox = project(&place.url());
    let running = sandbox.up();
    eventually("it is refused", || place.answered("PUT", 401) > 0);
    eventually("readiness tells it", || {
        running.part("checkpoint")["detail"]["failure"].as_str().is_some_and(|why| why.contains("401"))
    });
    assert!(running.stop().success());
}

#[test]
fn an_older_copy_is_told_by_what_stands_at_the_address() {
    let place = Place::start(0, TOKEN);
    let sandbox = project(&place.url());
    let key = sandbox.key("caller", &["decide:*", "read"]);
    let running = sandbox.up();
    published(&running, 1);
    assert!(running.stop().success());
    let older = tempfile::tempdir().unwrap();
    copy(&sandbox.path(""), older.path());
    let running = sandbox.up();
    decide(&running, &key, 3);
    published(&running, 4);
    assert!(running.stop().success());
    // A command, not `up`: it ends also where nothing is refused.
    let refused = tendon(&["decisions", "list", "--output", "json", "--project"]).arg(older.path()).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("ledger_older"), "{said}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.path().is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
