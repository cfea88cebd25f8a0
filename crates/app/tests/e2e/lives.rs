//! A process' life: asked twice, stopped under load, started twice.

use std::{
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use crate::support::{Running, Sandbox, body, eventually, tendon};

#[test]
fn one_idempotency_key_one_decision() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let other = sandbox.key("other", &["decide:*"]);
    let running = sandbox.up();
    let once = [("idempotency-key", "order-7")];
    let first = running.decide(&key, &once, &body(7)).unwrap();
    let id = first.header("tendon-decision-id").unwrap();
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, None));
    let again = running.decide(&key, &once, &body(7)).unwrap();
    assert_eq!(again.header("tendon-decision-id").unwrap(), id);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.body, first.body, "the stored answer, byte for byte");
    let conflict = running.decide(&key, &once, &body(8)).unwrap();
    assert_eq!(conflict.status, 409, "{}", conflict.json());
    let foreign = running.decide(&other, &once, &body(7)).unwrap();
    assert_ne!(foreign.header("tendon-decision-id").unwrap(), id, "another caller's keys are its own");
    // Many at once, and one more after a restart: still one decision.
    let ids: Vec<String> = std::thread::scope(|scope| {
        let ask = || running.decide(&key, &[("idempotency-key", "order-8")], &body(8)).unwrap();
        let asking: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|one| one.join().unwrap().header("tendon-decision-id").unwrap().to_owned()).collect()
    });
    assert!(ids.iter().all(|one| *one == ids[0]), "{ids:?}");
    assert!(running.stop().success());
    let running = sandbox.up();
    let later = running.decide(&key, &[("idempotency-key", "order-8")], &body(8)).unwrap();
    assert_eq!(later.header("tendon-decision-id").unwrap(), ids[0]);
    assert_eq!(sandbox.decisions().len(), 3);
}

#[test]
fn a_stop_under_load_loses_no_answer() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let (answered, stopping) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut acknowledged: Vec<String> = std::thread::scope(|scope| {
        let ask = |first: i64| {
            let (running, key, answered, stopping) = (&running, &key, &answered, &stopping);
            move || {
                let mut ids = Vec::new();
                for id in first.. {
                    match running.decide(key, &[], &body(id)) {
                        Some(answer) if answer.status == 200 => {
                            ids.push(answer.header("tendon-decision-id").unwrap().to_owned());
                            answered.fetch_add(1, SeqCst);
                        }
                        // Refused while stopping, or nobody listens any more: the caller knows that it has no answer.
                        other => {
                            assert!(stopping.load(SeqCst), "an answer failed before anybody stopped: {other:?}");
                            break;
                        }
                    }
                }
                ids
            }
        };
        let callers: Vec<_> = (0..8).map(|caller| scope.spawn(ask(caller * 1_000_000 + 1))).collect();
        eventually("some answers", || answered.load(SeqCst) > 200);
        stopping.store(true, SeqCst);
        running.signal("-TERM");
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    assert!(running.wait().success(), "an orderly end");
    let mut recorded: Vec<String> =
        sandbox.decisions().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    recorded.sort();
    acknowledged.sort();
    assert!(acknowledged.iter().all(|id| recorded.binary_search(id).is_ok()));
    assert!(recorded.len() - acknowledged.len() <= 8, "at most one unanswered decision per caller");
    sandbox.verified_entries();
}

#[test]
fn one_process_per_project() {
    let sandbox = Sandbox::new(0);
    let running = sandbox.up();
    let second = sandbox.run(&["up", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1));
    assert!(said.contains("already runs on this project"), "{said}");
    let mode = std::fs::metadata(sandbox.path(".tendon/control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Another project on the same port gets a sentence too.
    let other = Sandbox::new(0);
    let busy = other.run(&["up", "--listen", &running.address.to_string()]);
    let said = String::from_utf8_lossy(&busy.stderr).into_owned();
    assert!(busy.status.code() == Some(1) && said.contains("--port"), "{said}");
    // Commands reach the running process, and do without when it is gone; from a folder inside the project too.
    sandbox.key("one", &["read"]);
    assert!(running.stop().success());
    let inside = tendon(&["keys", "list", "--output", "json"]).current_dir(sandbox.path("models")).output().unwrap();
    let keys: serde_json::Value = serde_json::from_slice(&inside.stdout).unwrap();
    assert_eq!(keys[0]["name"], "one");
    let nowhere = tendon(&["keys", "list"]).current_dir(std::env::temp_dir()).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(2), "{}", String::from_utf8_lossy(&nowhere.stderr));
}

#[test]
fn slow_and_silent_connections_do_not_hold_others_up() {
    use std::io::Write as _;
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let open: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(running.address).unwrap();
            stream.write_all(b"POST /v1/integrations/lead-score/decisions HTTP/1.1\r\nhost: t\r\n").unwrap();
            stream
        })
        .collect();
    assert_eq!(running.decide(&key, &[], &body(1)).unwrap().status, 200);
    drop(open);
    answers_follow_each_other(&running, &key);
}

/// Several requests on one connection, sent before the first is answered.
fn answers_follow_each_other(running: &Running, key: &str) {
    let one = |id: i64, close: &str| {
        let body = body(id);
        format!(
            "POST /v1/integrations/lead-score/decisions HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {key}\r\n{close}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let all = format!("{}{}{}", one(1, ""), one(2, ""), one(3, "connection: close\r\n"));
    let mut stream = std::net::TcpStream::connect(running.address).unwrap();
    std::io::Write::write_all(&mut stream, all.as_bytes()).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
    let places: Vec<_> = (1..=3).map(|id| text.find(&format!("\"subject\":\"{id}\"")).unwrap()).collect();
    assert!(places.is_sorted(), "in the order asked");
}
