//! Features looked up in a second system: over HTTP and from the watch, in the record and out of it again, with the system
//! locked, silent, cut and lying.

use rusqlite::Connection;
use serde_json::Value as Json;
use tendon_testkit::{
    proxy::{Fault, Proxy},
    servers::{PASSWORD, Postgres},
};

use crate::support::{Running, Sandbox, eventually, input};

const TABLE: &str = "CREATE TABLE customers (no INTEGER PRIMARY KEY, job TEXT NOT NULL, credit INTEGER, secret TEXT);";

/// The integration with its balance and job from the books.
fn integration(settings: &str) -> String {
    include_str!("support/lead-score.yaml").replace(
        "input: { from: crm.leads }",
        &format!(
            "input:\n  from: crm.leads\n  lookups:\n    customer: {{ from: books.customers, key: {{ no: input.id }}{settings} }}\n  \
             features: {{ balance: customer.credit, job: customer.job }}"
        ),
    )
}

fn project(sandbox: &Sandbox, books: &str, settings: &str) {
    let text = include_str!("support/tendon.yaml");
    let books = format!("  books:\n{books}    read: {{ customers: [no, job, credit] }}\nmodels:");
    sandbox.write("tendon.yaml", &text.replace("models:", &books));
    sandbox.write("integrations/lead-score.yaml", &integration(settings));
}

/// Books in another SQLite file, with so many customers.
fn books(sandbox: &Sandbox, customers: i64) -> Connection {
    let books = Connection::open(sandbox.path("books.db")).unwrap();
    books.execute_batch(TABLE).unwrap();
    for no in 1..=customers {
        books.execute("INSERT INTO customers VALUES (?1, 'management', ?2, 'x')", (no, no * 100)).unwrap();
    }
    books
}

const SQLITE: &str = "    kind: sqlite\n    path: books.db\n    busy_timeout: 50\n";

/// A question about a lead, without what stands in the books.
fn body(id: i64) -> String {
    let mut input = input(id);
    input.as_object_mut().unwrap().retain(|field, _| field != "balance" && field != "job");
    serde_json::json!({ "input": input }).to_string()
}

fn decide(running: &Running, key: &str, id: i64) -> Json {
    let answer = running.decide(key, &[], &body(id)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

fn state(decision: &Json) -> (&str, Option<&str>) {
    let note = &decision["lookups"][0];
    assert_eq!(note["name"], "customer", "{decision}");
    (note["state"].as_str().unwrap(), note["why"].as_str())
}

#[test]
fn a_second_system_feeds_the_features_and_the_record_holds_its_rows() {
    let sandbox = Sandbox::new(5);
    let books = books(&sandbox, 4);
    project(&sandbox, SQLITE, ", stale: 1h");
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    // From the watch: four leads have a customer, the fifth is scored without.
    eventually("the leads are scored", || sandbox.crm.all_scored());
    let decisions = sandbox.decisions();
    let shown = |id: &Json| sandbox.json(&["decisions", "show", id.as_str().unwrap()]);
    let of_watch: Vec<Json> = decisions.iter().map(|one| shown(&one["id"])).collect();
    for one in &of_watch {
        let subject = one["decision"]["subject"].as_str().unwrap().parse::<i64>().unwrap();
        let (looked_up, expected) = (&one["looked_up"][0], if subject < 5 { "fresh" } else { "missing" });
        assert_eq!(state(&one["decision"]).0, expected, "{one}");
        let row = serde_json::json!({ "job": "management", "credit": subject * 100 });
        assert_eq!(looked_up["row"], if subject < 5 { row } else { Json::Null }, "{one}");
    }
    assert_eq!(of_watch.len(), 5);

    // Over HTTP: another row in the books is another answer.
    let first = decide(&running, &key, 1);
    books.execute("UPDATE customers SET credit = 90000, job = 'retired' WHERE no = 1", ()).unwrap();
    let second = decide(&running, &key, 1);
    assert_eq!((state(&first), state(&second)), (("fresh", None), ("fresh", None)));
    assert_ne!(first["output"], second["output"]);
    // The changed customer woke no watch, and wrote over nothing.
    assert_eq!(sandbox.decisions().len(), 7);
    // Locked by somebody: the row of before is used, and the decision says so; a customer never seen has none.
    books.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let stale = decide(&running, &key, 1);
    assert_eq!(state(&stale).0, "stale", "{stale}");
    assert!(stale["lookups"][0]["why"].is_string() && stale["lookups"][0]["age_ms"].is_u64(), "{stale}");
    assert_eq!(stale["output"], second["output"]);
    assert_eq!(state(&decide(&running, &key, 99)).0, "failed");
    books.execute_batch("ROLLBACK").unwrap();
    eventually("the books are read again", || state(&decide(&running, &key, 1)).0 == "fresh");

    // Everything comes out again, whatever stands in the books now.
    books.execute("DELETE FROM customers", ()).unwrap();
    for one in [&first, &second, &stale, &of_watch[0]["decision"]] {
        let id = one["id"].as_str().unwrap();
        let replay = sandbox.json(&["decisions", "replay", id]);
        assert_eq!(replay["same"], true, "{replay}");
    }
    let explained = sandbox.json(&["decisions", "explain", second["id"].as_str().unwrap()]);
    let reasons = explained["explanation"]["reasons"].as_array().unwrap();
    let balance = reasons.iter().find(|reason| reason["feature"] == "balance").unwrap();
    assert_eq!(balance["value"].as_f64(), Some(90_000.0), "the looked-up value is the reason: {explained}");
    let metrics = String::from_utf8(running.request("GET", "/metrics", &[], "").body).unwrap();
    let counted =
        metrics.lines().any(|line| line.starts_with("tendon_lookup_rows_total{") && line.contains("\"stale\""));
    assert!(counted, "{metrics}");

    // Erased: the rows go with the person, on disk and in memory.
    sandbox.json(&["ledger", "erase", "--subject", "1"]);
    let gone = sandbox.run(&["decisions", "show", second["id"].as_str().unwrap()]);
    assert!(!gone.status.success());
    books.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(state(&decide(&running, &key, 1)).0, "failed", "no copy of before is left");
    books.execute_batch("ROLLBACK").unwrap();
    assert!(running.stop().success());
    sandbox.verified_entries();
}

#[test]
fn a_recalled_answer_asks_no_second_system_and_each_door_says_on_which_rows_it_stands() {
    let sandbox = Sandbox::new(0);
    let books = books(&sandbox, 2);
    project(&sandbox, SQLITE, ", fresh: 1h");
    let cached = format!("{}cache: {{ key: [id], ttl: 1h }}\n", integration(", fresh: 1h"));
    sandbox.write("integrations/lead-score.yaml", &cached);
    let key = sandbox.key("caller", &["decide:*", "read"]);
    let running = sandbox.up();
    let first = decide(&running, &key, 1);
    books.execute_batch("UPDATE customers SET credit = 90000 WHERE no = 1; BEGIN EXCLUSIVE").unwrap();
    let second = decide(&running, &key, 1);
    books.execute_batch("ROLLBACK").unwrap();
    assert_eq!((&second["recalled"]["from"], &second["output"]), (&first["id"], &first["output"]), "{second}");
    assert_eq!((state(&first), state(&second)), (("fresh", None), ("fresh", Some("recalled"))));
    let shown = sandbox.json(&["decisions", "show", second["id"].as_str().unwrap()]);
    assert_eq!(shown["looked_up"][0]["row"]["credit"], 100, "{shown}");
    let took = |id: &Json, stage: &str| {
        let shown = sandbox.json(&["decisions", "show", id.as_str().unwrap()]);
        assert_eq!(shown["timings"]["decisions"], 1, "{shown}");
        let stages = shown["timings"]["stages"].as_array().unwrap();
        stages.iter().any(|one| one["stage"] == stage && one["nanoseconds"].as_u64().unwrap() > 0)
    };
    assert!(took(&first["id"], "enrich") && took(&first["id"], "infer"), "it asked the books and the model");
    assert!(took(&second["id"], "recall") && !took(&second["id"], "infer"), "it was recalled");
    let replay = sandbox.json(&["decisions", "replay", second["id"].as_str().unwrap()]);
    assert_eq!(replay["same"], true, "{replay}");
    let query =
        "query ($id: ID!) { decision(id: $id) { recalled { from at ageMs stale } lookups { name state ageMs why } } }";
    let asked = serde_json::json!({ "query": query, "variables": { "id": second["id"] } }).to_string();
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let told = running.request("POST", "/graphql", &headers, &asked).json();
    let (recalled, note) = (&told["data"]["decision"]["recalled"], &told["data"]["decision"]["lookups"][0]);
    assert_eq!((&recalled["from"], &recalled["stale"]), (&first["id"], &Json::Bool(false)), "{told}");
    assert_eq!((&note["ageMs"], &note["why"]), (&second["lookups"][0]["age_ms"], &"recalled".into()), "{told}");
    assert!(running.stop().success());
}

#[test]
fn a_missing_customer_may_be_refused_and_a_dry_run_asks_the_books_too() {
    let sandbox = Sandbox::new(3);
    let _books = books(&sandbox, 2);
    project(&sandbox, SQLITE, ", missing: reject, failed: fallback");
    // Nothing runs: the command opens the books itself.
    let dry = sandbox.json(&["backfill", "lead-score", "--dry-run"]);
    let outcomes: Vec<&str> = dry.as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["ok", "ok", "rejected"], "{dry}");
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let refused = running.decide(&key, &[], &body(77)).unwrap();
    assert_eq!((refused.status, refused.json()["code"].as_str()), (422, Some("lookup_missing")), "{}", refused.json());
    eventually("the two are scored", || sandbox.crm.number("SELECT count(*) FROM leads WHERE score IS NOT NULL") == 2);
    eventually("the third is a letter", || sandbox.json(&["letters", "list"]).as_array().unwrap().len() == 1);
    // A batch: one bad record in the middle.
    let lines = [body(1), body(77), body(2)].join("\n");
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-ndjson")];
    let answer = running.request("POST", "/v1/integrations/lead-score/batches", &headers, &lines);
    let text = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, 200, "{text}");
    assert_eq!(text.matches("\"code\":\"lookup_missing\"").count(), 1, "{text}");
    assert_eq!(text.matches("\"fresh\"").count(), 2, "{text}");
    assert!(running.stop().success());
}

#[test]
fn a_real_server_that_is_silent_cut_or_lying_costs_the_lookup_only() {
    let server = Postgres::start(&["fsync=off"]);
    server.sql(
        "postgres",
        &format!("{TABLE} INSERT INTO customers VALUES (1, 'management', 100, 'x'), (2, 'retired', 200, 'x');"),
    );
    let proxy = Proxy::start(server.port());
    let password: String = PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let url = format!("postgres://app:{password}@127.0.0.1:{}/postgres", proxy.port());
    let sandbox = Sandbox::new(0);
    let settings =
        format!("    kind: postgres\n    url: \"{url}\"\n    connect_timeout: 1000\n    statement_timeout: 1000\n");
    project(&sandbox, &settings, ", deadline: 200ms, failed: fallback");
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let well = |id| {
        eventually("the books answer", || state(&decide(&running, &key, id)).0 == "fresh");
    };
    for fault in [Fault::HalfOpen, Fault::Garbage, Fault::Refuse] {
        well(1);
        proxy.set(fault.clone());
        if fault == Fault::Refuse {
            proxy.cut();
        }
        for _ in 0..3 {
            let decision = decide(&running, &key, 2);
            let (state, why) = state(&decision);
            assert_eq!((state, decision["degraded"].as_str()), ("failed", Some("default")), "{fault:?}: {decision}");
            assert!(why.is_some(), "{decision}");
            if fault == Fault::HalfOpen {
                assert!(matches!(why, Some("lookup_late" | "circuit_open" | "system_timeout")), "{decision}");
            }
        }
        proxy.set(Fault::None);
        proxy.cut();
    }
    well(2);
    let decisions = sandbox.decisions();
    for one in &decisions {
        let replay = sandbox.json(&["decisions", "replay", one["id"].as_str().unwrap()]);
        assert_eq!(replay["same"], true, "{replay}");
    }
    assert!(decisions.len() >= 10);
    assert!(running.stop().success());
}

#[test]
fn a_file_with_a_declared_key_is_looked_up_and_read_anew_when_it_changes() {
    let sandbox = Sandbox::new(0);
    std::fs::create_dir(sandbox.path("books")).unwrap();
    sandbox.write("books/customers.csv", "no,job,credit\n1,management,100\n2,retired,200\n");
    project(&sandbox, "    kind: files\n    path: books\n    key: { customers: [no] }\n", "");
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let (first, nobody) = (decide(&running, &key, 1), decide(&running, &key, 3));
    assert_eq!((state(&first), state(&nobody)), (("fresh", None), ("missing", None)));
    sandbox.write("books/customers.csv", "no,job,credit\n1,management,100000\n2,retired,200\n3,student,300\n");
    let (second, somebody) = (decide(&running, &key, 1), decide(&running, &key, 3));
    assert_eq!((state(&second), state(&somebody)), (("fresh", None), ("fresh", None)));
    assert_ne!(first["output"], second["output"]);
    // A row that cannot be read spoils the file, and with it the lookup, not the decision.
    sandbox.write("books/customers.csv", "no,job,credit\n1,management\n");
    assert_eq!(state(&decide(&running, &key, 1)).0, "failed");
    for one in [&first, &nobody, &second, &somebody] {
        let replay = sandbox.json(&["decisions", "replay", one["id"].as_str().unwrap()]);
        assert_eq!(replay["same"], true, "{replay}");
    }
    assert!(running.stop().success());
}
