//! Erasure: the person is gone from everything that is kept, also from what waited to be written; every proof still verifies.

use std::fs;

use serde_json::json;

use crate::harness::{
    Project, Setup,
    crm::{change, written},
    files_below, input, insert_lead, sample, until,
};

/// A name that stands nowhere else and that JSON escapes in several ways.
const NAME: &str = "Zoë \"Quux-7f3a\" O'Brien\\Łódź";
const OTHER: &str = "Plain Other Person 55e1";

/// How the name may look in a file: plain, and escaped as JSON, with the letters beyond ASCII escaped or not.
fn looks() -> Vec<Vec<u8>> {
    let json = serde_json::to_string(NAME).unwrap();
    let json = json.trim_matches('"').to_owned();
    let ascii = |text: &str| {
        text.chars()
            .map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) })
            .collect::<String>()
    };
    let twice = serde_json::to_string(&json).unwrap().trim_matches('"').to_owned();
    let texts = [NAME.to_owned(), json.clone(), ascii(&json), twice, "Quux-7f3a".to_owned()];
    texts.into_iter().map(String::into_bytes).collect()
}

/// Files below `.tendon` that hold a text.
fn holding(project: &Project, texts: &[Vec<u8>]) -> Vec<String> {
    let mut files = Vec::new();
    files_below(&project.path().join(".tendon"), &mut files);
    files.retain(|path| {
        let bytes = fs::read(path).unwrap();
        texts.iter().any(|text| bytes.windows(text.len()).any(|part| part == text))
    });
    files.iter().map(|path| path.display().to_string()).collect()
}

fn about(name: &str) -> serde_json::Value {
    let (mut values, _) = sample(1);
    values.insert("name".to_owned(), json!(name));
    json!({ "input": values })
}

#[test]
fn an_erased_person_is_gone_from_everything_and_the_ledger_verifies() {
    let project = Project::new(&Setup { subject: "input.name", wal: true, ..Setup::default() });
    let crm = project.crm();
    insert_lead(&crm, 1, NAME);
    insert_lead(&crm, 2, OTHER);
    // Somebody holds the CRM: the write-backs wait.
    crm.execute_batch("BEGIN IMMEDIATE").unwrap();
    let key = project.key("app", &[]);
    let mut server = project.up();
    let mut client = server.client(&key);
    until("both deliveries wait", || (server.part("outbox")["detail"]["waiting"] == 2).then_some(()));
    let asked = client.decide(&about(NAME), Some("asked")).json();
    let id = asked["id"].as_str().unwrap_or_else(|| panic!("{asked}")).to_owned();
    assert_eq!(client.recorded(&id)["decision"]["subject"], NAME);
    let kept = client.decide(&about(OTHER), None).json();
    let list = |subject: &str| project.json(&["decisions", "list", "--subject", subject]).as_array().unwrap().len();
    assert_eq!((list(NAME), list(OTHER)), (2, 2));
    assert_eq!(holding(&project, &looks()), [""; 0], "personal data stands in clear even before");

    let erased = project.json(&["ledger", "erase", "--subject", NAME]);
    assert_eq!(erased["decisions"], 2, "{erased}");
    for _ in 0..2 {
        let gone = client.get(&format!("/v1/decisions/{id}"));
        assert_eq!((gone.status, gone.json()["code"].as_str()), (410, Some("decision_erased")));
        assert_eq!(client.get(&format!("/v1/decisions/{id}/explanation")).status, 410);
        assert_eq!(project.run(&["decisions", "replay", &id]).code, 1);
        assert_eq!(client.get(&format!("/v1/decisions/{}", kept["id"].as_str().unwrap())).status, 200);
        assert_eq!((list(NAME), list(OTHER)), (0, 2));
        // The same after a crash.
        server.kill();
        server = project.up();
        client = server.client(&key);
    }
    assert_eq!(holding(&project, &looks()), [""; 0], "the name still stands somewhere");

    // What waited for the person ends; what waited for the other arrives.
    crm.execute_batch("DELETE FROM leads WHERE id = 1; COMMIT").unwrap();
    until("the other's score arrives", || (!written(&crm).is_empty()).then_some(()));
    until("nothing waits", || (server.part("outbox")["detail"]["waiting"] == 0).then_some(()));
    assert_eq!(written(&crm).iter().map(|one| one.id).collect::<Vec<_>>(), [2]);
    assert!(project.json(&["letters", "list"]).as_array().unwrap().is_empty());

    // That it was made can still be proved.
    let proof = project.json(&["ledger", "export", "--proof", &id]);
    let (text, public) = (proof["proof"].as_str().unwrap(), proof["key"].as_str().unwrap());
    project.write("erased.proof", text);
    let path = project.path().join("erased.proof").to_string_lossy().into_owned();
    assert_eq!(project.run(&["ledger", "verify", "--proof", &path, "--key", public]).code, 0);

    // The idempotency key went with the person: who asks again about the person asks anew.
    let again = client.decide(&about(NAME), Some("asked"));
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, ""));
    assert_ne!(again.json()["id"], id.as_str());
    assert_eq!(client.get(&format!("/v1/decisions/{id}")).status, 410);
    assert_eq!(project.json(&["ledger", "erase", "--subject", NAME])["decisions"], 1);
    server.stop();
    project.verify();
    assert_eq!(holding(&project, &looks()), [""; 0]);
    assert_eq!(list(NAME), 0);
}

/// Projections know a person by keyed names. They too are gone when the erasure says that it is done: from tables, from what is
/// on its way into them, from free pages and from the write-ahead log.
#[test]
fn no_keyed_name_of_an_erased_person_is_left_in_any_file() {
    let project = Project::new(&Setup { events: "", subject: "input.id", ..Setup::default() });
    let key = project.key("app", &[]);
    let server = project.up();
    server.client(&key).decide(&input(7), Some("first"));
    server.stop();
    // What stands in the tables now is about that one.
    let store = rusqlite::Connection::open(project.path().join(".tendon/projections.db")).unwrap();
    let names = |sql: &str| -> Vec<Vec<u8>> {
        let mut query = store.prepare(sql).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(|name| name.unwrap()).collect()
    };
    let mut tokens = names("SELECT DISTINCT substr(k, 1, 16) FROM ledger_subjects");
    tokens.extend(names("SELECT k FROM ledger_claims"));
    assert_eq!(tokens.iter().map(Vec::len).collect::<Vec<_>>(), [16, 16]);
    drop(store);
    let mut server = project.up();
    let client = server.client(&key);
    for id in 0..40 {
        client.decide(&input(id), Some(&format!("key {id}")));
        client.decide(&input(7), None);
    }
    assert!(!holding(&project, &tokens).is_empty());
    assert_eq!(project.json(&["ledger", "erase", "--subject", "7"])["decisions"], 42);
    assert_eq!(holding(&project, &tokens), [""; 0]);
    server.kill();
    let server = project.up();
    assert_eq!(holding(&project, &tokens), [""; 0]);
    server.stop();
    project.verify();
}

#[test]
fn nothing_is_written_about_an_erased_person_whose_row_stays() {
    let project = Project::new(&Setup { subject: "input.name", wal: true, ..Setup::default() });
    let crm = project.crm();
    insert_lead(&crm, 1, NAME);
    insert_lead(&crm, 2, OTHER);
    // Both decisions are made while the CRM cannot be written: their deliveries are tried again and again.
    crm.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let server = project.up();
    let waiting = || server.part("outbox")["detail"]["waiting"].clone();
    until("both deliveries wait", || (waiting() == 2).then_some(()));
    until("a delivery was tried", || (server.part("system:crm")["ok"] == false).then_some(()));
    assert_eq!(project.json(&["ledger", "erase", "--subject", NAME])["decisions"], 1);
    // An attempt under way when the erasure came ends while the CRM is still held.
    until("only the other's delivery waits", || (waiting() == 1).then_some(()));
    assert_eq!(written(&crm), []);
    crm.execute_batch("COMMIT").unwrap();

    until("the other's score arrives", || (!written(&crm).is_empty()).then_some(()));
    // A change that comes later goes through all the same: whatever was still to be written before it, is.
    change(&crm, 2, 4711);
    until("the change is scored", || written(&crm).iter().any(|one| one.balance == 4711).then_some(()));
    until("nothing waits", || (waiting() == 0).then_some(()));
    assert!(written(&crm).iter().all(|one| one.id == 2), "written after the erasure: {:?}", written(&crm));
    let row = "SELECT count(*) FROM leads WHERE id = 1 AND coalesce(score, score_band, scored_at) IS NULL";
    assert_eq!(crm.query_row(row, [], |row| row.get::<_, i64>(0)).unwrap(), 1, "the row stays, without a score");
    server.stop();
    project.verify();
}

#[test]
fn an_erased_person_may_come_back_and_be_erased_again() {
    let project = Project::new(&Setup { events: "", subject: "input.id", ..Setup::default() });
    let client_key = project.key("app", &[]);
    let server = project.up();
    let client = server.client(&client_key);
    for _ in 0..3 {
        let id = client.decide(&input(7), None).json()["id"].as_str().unwrap().to_owned();
        assert_eq!(client.get(&format!("/v1/decisions/{id}")).status, 200);
        assert_eq!(project.json(&["ledger", "erase", "--subject", "7"])["decisions"], 1);
        assert_eq!(client.get(&format!("/v1/decisions/{id}")).status, 410);
    }
    // A subject that nobody knows is probably mistyped: said, and no entry.
    let nobody = project.run(&["ledger", "erase", "--subject", "nobody"]);
    assert!(nobody.code == 1 && nobody.err.contains("nothing about this subject"), "{nobody:?}");
    server.stop();
    project.verify();
    // Without a running process too.
    let server = project.up();
    let id = server.client(&client_key).decide(&input(8), None).json()["id"].as_str().unwrap().to_owned();
    server.stop();
    assert_eq!(project.json(&["ledger", "erase", "--subject", "8"])["decisions"], 1);
    project.verify();
    let server = project.up();
    assert_eq!(server.client(&client_key).get(&format!("/v1/decisions/{id}")).status, 410);
}
