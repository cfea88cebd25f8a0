//! No room: what callers are told, that supervisors are answered meanwhile, and that a key keeps its first answer. A lookup in
//! a locked system fills the room for as long as a test wants.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
};

use rusqlite::Connection;

use crate::support::{Running, Sandbox, eventually, input, postgres::metric};

const CALLERS: usize = 24;

/// A project with room for one decision, each of which looks into the books.
fn start() -> (Sandbox, Connection, String, Running) {
    let sandbox = Sandbox::with(0, "server: { in_flight: 1, refusals_per_second: 100 }\n");
    let books = Connection::open(sandbox.path("books.db")).unwrap();
    books.execute_batch("CREATE TABLE customers (no INTEGER PRIMARY KEY, credit INTEGER)").unwrap();
    books.execute_batch("INSERT INTO customers VALUES (1, 100), (2, 200)").unwrap();
    let text = std::fs::read_to_string(sandbox.path("tendon.yaml")).unwrap();
    let system = "  books:\n    kind: sqlite\n    path: books.db\n    busy_timeout: 60000\n    read: { customers: [no, credit] }\nmodels:";
    sandbox.write("tendon.yaml", &text.replace("models:", system));
    let lookup = "input:\n  from: crm.leads\n  lookups:\n    customer: { from: books.customers, key: { no: input.id }, deadline: \
                  60s }\n  features: { balance: customer.credit }";
    let integration = include_str!("support/lead-score.yaml");
    let integration = integration.replace("input: { from: crm.leads }", lookup);
    let api = integration.replace("api: {}", "api: { deadline: 60s }");
    assert_ne!(api, integration);
    sandbox.write("integrations/lead-score.yaml", &api);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    (sandbox, books, key, running)
}

/// A question about a lead, without what stands in the books.
fn body(id: i64) -> String {
    let mut input = input(id);
    input.as_object_mut().unwrap().remove("balance");
    serde_json::json!({ "input": input }).to_string()
}

#[test]
fn who_finds_no_room_is_told_so_and_supervisors_are_answered_meanwhile() {
    let (_sandbox, books, key, running) = start();
    books.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let (enough, told) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let first = scope.spawn(|| running.decide(&key, &[], &body(1)).unwrap());
        eventually("the room is taken", || metric(&running, "tendon_decisions_in_flight ") == 1.0);
        for _ in 0..CALLERS {
            scope.spawn(|| {
                while !enough.load(Relaxed) {
                    let answer = running.decide(&key, &[("x-request-id", "mine")], &body(2)).unwrap();
                    let problem = answer.json();
                    assert_eq!((answer.status, &problem["code"]), (503, &"overloaded".into()), "{problem}");
                    assert_eq!((&problem["retryable"], &problem["request_id"]), (&true.into(), &"mine".into()));
                    assert_eq!(answer.header("retry-after"), Some("1"));
                    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
                    told.fetch_add(1, Relaxed);
                }
            });
        }
        eventually("refusals are held and enough were told", || {
            assert_eq!(running.ready().0, 200);
            let held = metric(&running, "tendon_http_refusals_held ") > 0.0;
            held && told.load(Relaxed) > 10 * CALLERS
        });
        enough.store(true, Relaxed);
        books.execute_batch("ROLLBACK").unwrap();
        assert_eq!(first.join().unwrap().status, 200);
    });
    assert_eq!(metric(&running, "tendon_http_refusals_held "), 0.0);
    // Each is counted once, wherever it was refused.
    let refused = metric(&running, "tendon_refusals_total{reason=\"overloaded\"}");
    assert_eq!(
        (refused, metric(&running, "tendon_shed_total{priority=\"live\"}")),
        (told.load(Relaxed) as f64, refused)
    );
    assert!(running.stop().success());
}

#[test]
fn a_key_keeps_its_answer_while_there_is_no_room_for_it() {
    let (sandbox, books, key, running) = start();
    let known = [("idempotency-key", "one")];
    let first = running.decide(&key, &known, &body(1)).unwrap();
    assert_eq!(first.status, 200, "{}", first.json());
    books.execute_batch("BEGIN EXCLUSIVE").unwrap();
    thread::scope(|scope| {
        let other = scope.spawn(|| running.decide(&key, &[], &body(2)).unwrap());
        eventually("the room is taken", || metric(&running, "tendon_decisions_in_flight ") == 1.0);
        for headers in [known, [("idempotency-key", "two")]] {
            let told = running.decide(&key, &headers, &body(1)).unwrap();
            assert_eq!((told.status, told.json()["retryable"].as_bool()), (503, Some(true)), "{}", told.json());
        }
        books.execute_batch("ROLLBACK").unwrap();
        assert_eq!(other.join().unwrap().status, 200);
    });
    let again = running.decide(&key, &known, &body(1)).unwrap();
    assert_eq!((again.header("idempotent-replayed"), &again.body), (Some("true"), &first.body));
    // What was refused has not bound its key.
    let new = running.decide(&key, &[("idempotency-key", "two")], &body(2)).unwrap();
    assert_eq!((new.status, new.header("idempotent-replayed")), (200, None), "{}", new.json());
    assert!(running.stop().success());
    assert_eq!(sandbox.decisions().len(), 3);
}
