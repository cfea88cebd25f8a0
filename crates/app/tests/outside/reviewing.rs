//! What nothing else answered waits for a person: recorded, shown, answered once, written once, and gone with its subject.

use std::fs;

use serde_json::{Value as Json, json};

use crate::harness::{
    Project, Server, Setup,
    crm::{change, each_once_and_forward, written},
    files_below, insert_lead, sample, until,
};

/// A text that stands in nothing but what a person types.
const NOTE: &str = "Quux-91c4 said yes on the phone";
const NAME: &str = "Grace Quux-1d2e Hopper";

/// A project whose model never gives a usable number, so that a person has to.
fn project() -> Project {
    let project = Project::new(&Setup { subject: "input.name", wal: true, ..Setup::default() });
    let path = project.path().join("integrations/lead-score.yaml");
    let text = fs::read_to_string(&path).unwrap().replace(">= 0.1\"", ">= 0.93\"").replace(">= 0.055", ">= 0.905");
    fs::write(&path, format!("{text}output: {{ range: [0.9, 1.0] }}\nfallback: {{ human: {{ within: 2h }} }}\n"))
        .unwrap();
    project
}

fn pending(project: &Project) -> Vec<Json> {
    project.json(&["reviews", "list"]).as_array().unwrap().clone()
}

fn id(review: &Json) -> String {
    review["id"].as_str().unwrap().to_owned()
}

fn metric(server: &Server, name: &str) -> String {
    let text = String::from_utf8(server.client("").ask("GET", "/metrics", &[], b"").unwrap().body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.trim().to_owned()
}

#[test]
fn a_persons_answer_is_written_once_whatever_dies_in_between() {
    let project = project();
    let crm = project.crm();
    insert_lead(&crm, 1, "Lead 1");
    insert_lead(&crm, 2, "Lead 2");
    let mut server = project.up();
    until("both wait for a person", || (pending(&project).len() == 2).then_some(()));
    assert_eq!(metric(&server, "tendon_reviews_pending"), "2");
    // They still wait after a crash, and after the projections are made anew; nothing is asked twice.
    server.kill();
    for end in ["projections.db", "projections.db-wal", "projections.db-shm"] {
        let _ = fs::remove_file(project.path().join(".tendon").join(end));
    }
    let before = pending(&project);
    assert_eq!(before.len(), 2, "shown without a running process, too");
    let shown = project.json(&["reviews", "show", &id(&before[0])]);
    assert_eq!(
        (shown["state"].as_str(), shown["input"]["name"].as_str()),
        (Some("pending"), Some("Lead 1")),
        "{shown}"
    );
    // Somebody holds the CRM while the verdict is given, and the process dies before it could write.
    let server = {
        let mut server = project.up();
        crm.execute_batch("BEGIN IMMEDIATE").unwrap();
        let words = ["reviews", "override", &id(&before[0]), "--to", "0.95", "--note", NOTE, "--by", "ada"];
        let given = project.json(&words);
        assert_eq!((given["state"].as_str(), given["verdict"]["band"].as_str()), (Some("overridden"), Some("green")));
        until("the write waits", || (server.part("outbox")["detail"]["waiting"] == 1).then_some(()));
        server.kill();
        crm.execute_batch("COMMIT").unwrap();
        project.up()
    };
    until("the person's number is written", || (!written(&crm).is_empty()).then_some(()));
    let wrote = written(&crm);
    assert_eq!((wrote.len(), wrote[0].id), (1, 1));
    assert!((wrote[0].score - 0.95).abs() < 1e-12, "{wrote:?}");
    let again = project.run(&["reviews", "override", &id(&before[0]), "--to", "0.95"]);
    assert!(again.code == 1 && again.err.contains("already"), "{again:?}");
    let delivered = |id: &str| {
        let shown = project.json(&["deliveries", "show", id]);
        (shown[0]["state"] == "delivered").then_some(())
    };
    until("its outcome is recorded", || delivered(&id(&before[0])));
    let decision = project.json(&["decisions", "show", &id(&before[0])]);
    assert_eq!((decision["verdict"]["by"].as_str(), decision["verdict"]["note"].as_str()), (Some("ada"), Some(NOTE)));
    assert_eq!(decision["deliveries"][0]["state"], "delivered", "{decision}");
    assert_eq!(project.run(&["decisions", "replay", &id(&before[0])]).code, 0, "what the machine did is as it was");

    // Rejected without a running process: nothing is written, now or later.
    server.stop();
    project.json(&["reviews", "reject", &id(&before[1])]);
    assert!(pending(&project).is_empty());
    // Given without one: written when one runs.
    let server = project.up();
    change(&crm, 2, 4711);
    until("the changed lead waits", || (pending(&project).len() == 1).then_some(()));
    let last = id(&pending(&project)[0]);
    server.stop();
    project.json(&["reviews", "override", &last, "--to", "0.9"]);
    assert_eq!(written(&crm).len(), 1);
    let server = project.up();
    until("that is written, too", || (written(&crm).len() == 2).then_some(()));
    assert_eq!(metric(&server, "tendon_reviews_pending"), "0");
    assert_eq!(each_once_and_forward(&crm), 2);
    // Undone as any write-back.
    until("its outcome is recorded", || delivered(&last));
    let undone = project.json(&["deliveries", "undo", &last, "--by", "ada"]);
    assert_eq!(undone[0]["now"]["score"], Json::Null, "{undone}");
    server.stop();
    project.verify();
}

#[test]
fn a_row_that_changed_before_the_verdict_is_asked_about_again_and_not_overwritten() {
    let project = project();
    let crm = project.crm();
    insert_lead(&crm, 1, "Lead 1");
    let server = project.up();
    until("it waits for a person", || (pending(&project).len() == 1).then_some(()));
    let old = id(&pending(&project)[0]);
    change(&crm, 1, 4711);
    until("the change waits beside it", || (pending(&project).len() == 2).then_some(()));
    project.json(&["reviews", "override", &old, "--to", "0.91"]);
    let state = || project.json(&["deliveries", "show", &old])[0]["state"].clone();
    until("the old answer is passed over", || (state() == "superseded").then_some(()));
    assert!(written(&crm).is_empty(), "an answer to what the row does not hold any more was written");
    let new = id(&pending(&project)[0]);
    project.json(&["reviews", "override", &new, "--to", "0.92"]);
    until("the new answer is written", || (written(&crm).len() == 1).then_some(()));
    server.stop();
    project.verify();
}

#[test]
fn an_erased_person_leaves_no_review_and_no_verdict() {
    let project = project();
    let mut files = Vec::new();
    let client_key = project.key("app", &[]);
    let server = project.up();
    let client = server.client(&client_key);
    let (mut values, _) = sample(1);
    values.insert("name".to_owned(), json!(NAME));
    let asked = client.decide(&json!({ "input": values }), None);
    let address = asked.header("location").to_owned();
    assert_eq!((asked.status, asked.json()["review"]["state"].as_str()), (202, Some("pending")), "{}", asked.json());
    let first = id(&asked.json());
    assert_eq!(
        (address, client.get(&format!("/v1/decisions/{first}")).status),
        (format!("/v1/decisions/{first}"), 202)
    );
    project.json(&["reviews", "override", &first, "--to", "0.95", "--note", NOTE, "--by", NOTE]);
    let stands = client.recorded(&first);
    assert_eq!((&stands["review"]["state"], &stands["review"]["output"]), (&json!("overridden"), &json!(0.95)));
    let second = id(&client.decide(&json!({ "input": values }), None).json());
    assert_eq!(pending(&project).len(), 1);
    assert_eq!(project.json(&["ledger", "erase", "--subject", NAME])["decisions"], 2);
    assert!(pending(&project).is_empty());
    for id in [&first, &second] {
        let late = project.run(&["reviews", "override", id, "--to", "0.95"]);
        assert!(late.code == 1 && late.err.contains("erased"), "{late:?}");
        assert_eq!(project.run(&["reviews", "show", id]).code, 1);
    }
    assert_eq!(metric(&server, "tendon_reviews_pending"), "0");
    server.stop();
    assert!(pending(&project).is_empty(), "it came back with the next process");
    project.verify();
    files_below(&project.path().join(".tendon"), &mut files);
    for text in [NAME, "Quux-1d2e", NOTE, "Quux-91c4"] {
        let holds =
            |path: &std::path::PathBuf| fs::read(path).unwrap().windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!files.iter().any(holds), "{text} still stands in a file");
    }
}
