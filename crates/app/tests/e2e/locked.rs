//! A system that answers every read and takes no write: its file is locked for writing, as a backup or an import of somebody else's
//! does it. Every place that tells how things do says so, with the reason; and each tells the same attempts.

use serde_json::Value as Json;

use crate::{
    console::Visitor,
    support::{Running, Sandbox, eventually},
};

const WHY: &str = "another program holds the database's lock";

/// A project whose breaker opens for nothing, as it does not where enough is read between two writes.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(3);
    let text = include_str!("support/tendon.yaml");
    let limits = "    busy_timeout: 50\n    limits: { breaker: { calls: 1000, window: 1000 } }\n";
    sandbox.write("tendon.yaml", &text.replace("    busy_timeout: 100\n", limits));
    sandbox
}

fn status(sandbox: &Sandbox) -> (Option<i32>, Json, String) {
    let [document, text] = [&["status", "--output", "json"][..], &["status"]].map(|words| sandbox.run(words));
    (document.status.code(), serde_json::from_slice(&document.stdout).unwrap(), String::from_utf8(text.stdout).unwrap())
}

fn read(running: &Running, key: &str, path: &str) -> Json {
    let answer = running.request("GET", path, &[("authorization", &format!("Bearer {key}"))], "");
    assert_eq!(answer.status, 200, "{path}: {}", answer.head);
    answer.json()
}

/// The probe, the API, the terminal and the pages.
fn told_everywhere(sandbox: &Sandbox, running: &Running, key: &str) {
    let desk = running.part("outbox")["detail"]["systems"]["crm"].clone();
    assert!(desk["breaker"] == "closed" && desk["last_failure"].as_str().unwrap().contains(WHY), "{desk}");
    let listed = read(running, key, "/v1/systems")["systems"][0].clone();
    assert!(listed["last_failure"].as_str().unwrap().contains(WHY), "{listed}");
    let (code, document, text) = status(sandbox);
    let trouble = document["trouble"].as_array().unwrap().iter().find(|one| one["part"] == "outbox").unwrap();
    let said = trouble["why"].as_str().unwrap();
    assert!(said.starts_with("crm: 3 write-backs wait; ") && said.contains(WHY), "{said}");
    assert!(code == Some(1) && document["systems"][0]["last_failure"].as_str().unwrap().contains(WHY));
    assert!(text.contains("failing") && !text.contains("answers") && text.contains(WHY), "{text}");
    let ada = Visitor::new(running, key);
    for path in ["/console", "/console/systems", "/console/map", "/console/deliveries"] {
        let page = ada.page(path);
        let (state, why) = if path == "/console/map" { ("crm: Failing", "") } else { (">Failing<", WHY) };
        assert!(page.contains(state) && page.contains(why), "{path}: {page}");
    }
}

/// What waits is told with its attempts alike: the decision's own address, the list, and the page of what waits.
fn attempts_are_told(sandbox: &Sandbox, running: &Running, key: &str) {
    let waiting = || {
        let listed = sandbox.json(&["deliveries", "list"]);
        listed.as_array().unwrap().iter().find(|one| one["state"] == "pending").unwrap().clone()
    };
    eventually("it was tried again", || waiting()["attempts"].as_u64() >= Some(2));
    let one = waiting();
    assert!(one["cause"].as_str().unwrap().contains(WHY), "{one}");
    let (id, decision) = (one["id"].as_str().unwrap(), one["decision"].as_str().unwrap());
    let address = format!("/v1/decisions/{decision}");
    let ada = Visitor::new(running, key);
    eventually("all tell the same", || {
        let attempts = waiting()["attempts"].as_u64().unwrap();
        let page = ada.page("/console/deliveries");
        let row = page.split("<tr>").find(|row| row.contains(&format!(">{id}<"))).unwrap();
        let cell = format!("data-of=\"Attempts\">{attempts}<");
        read(running, key, &address)["deliveries"][0]["attempts"] == attempts
            && row.contains(&cell)
            && ada.page(&format!("/console/decisions/{decision}")).contains(&cell)
    });
    let bearer = format!("Bearer {key}");
    let ask = |tag: &str| running.request("GET", &address, &[("authorization", &bearer), ("if-none-match", tag)], "");
    let first = ask("\"none\"");
    let tag = first.header("etag").unwrap().to_owned();
    eventually("another attempt is another answer", || {
        let next = ask(&tag);
        next.status == 200
            && next.json()["deliveries"][0]["attempts"].as_u64() > first.json()["deliveries"][0]["attempts"].as_u64()
    });
}

#[test]
fn a_system_that_takes_no_write_is_told_with_its_reason() {
    let sandbox = sandbox();
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    eventually("the leads are scored", || sandbox.crm.all_scored());
    let lock = sandbox.crm.open();
    lock.execute_batch(
        "BEGIN IMMEDIATE; UPDATE leads SET balance = balance + 1, updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'); \
         COMMIT; BEGIN IMMEDIATE",
    )
    .unwrap();
    let line = running.wait_for_line("writing fails");
    assert!(line.contains("crm") && line.contains(WHY), "{line}");
    // Also in a moment in which the last call went well: a read.
    eventually("readiness tells", || {
        let parts = running.ready().1["parts"].clone();
        let part = |name: &str| parts.as_array().unwrap().iter().find(|part| part["name"] == name).unwrap();
        let (outbox, desk) = (part("outbox"), &part("outbox")["detail"]["systems"]["crm"]);
        let told = desk["last_failure"].as_str().is_some_and(|why| why.contains(WHY));
        let reads = part("system:crm")["detail"]["last_failure"].is_null();
        reads && told && outbox["ok"] == false && desk["unfinished"] == 3
    });
    told_everywhere(&sandbox, &running, &key);
    attempts_are_told(&sandbox, &running, &key);

    lock.execute_batch("ROLLBACK").unwrap();
    eventually("what waited arrives", || sandbox.crm.number("SELECT count(*) FROM writes") == 6);
    eventually("all is well again", || status(&sandbox).0 == Some(0));
    let (_, document, text) = status(&sandbox);
    assert!(document["systems"][0]["last_failure"].is_null() && text.contains("answers"), "{text}");
    assert_eq!(sandbox.crm.doubled(), 0);
    // Of one that arrived, what kept it is no cause.
    let listed = sandbox.json(&["deliveries", "list"]);
    let arrived = listed.as_array().unwrap().iter().filter(|one| one["state"] == "delivered");
    assert!(arrived.clone().count() == 6 && arrived.into_iter().all(|one| one["cause"].is_null()), "{listed}");
    let said = running.finish();
    let lines = |text: &str| said.iter().filter(|line| line.contains(text)).count();
    assert_eq!((lines("writing fails"), lines("writing goes on")), (0, 1), "once for a series: {said:?}");
    sandbox.verified_entries();
}
