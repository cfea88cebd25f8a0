//! The proof of one decision: a small file that a stranger checks offline, in which no byte can be changed.

use std::fs;

use serde_json::Value as Json;

use crate::harness::{Project, Setup, input, run_in};

#[test]
fn a_stranger_checks_a_proof_offline_and_notices_each_change() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let server = project.up();
    let client = server.client(&project.key("app", &[]));
    let decisions: Vec<Json> = (0..40).map(|number| client.decide(&input(number), None).json()).collect();
    let decision = &decisions[17];
    let id = decision["id"].as_str().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = |name: &str| elsewhere.path().join(name);

    // While it runs; only the public facts, then also what was asked and answered.
    let exported = project.json(&["ledger", "export", "--proof", id]);
    let key = exported["key"].as_str().unwrap();
    let closed = exported["proof"].as_str().unwrap();
    fs::write(file("closed.proof"), closed).unwrap();
    let out = file("open.proof");
    let words = ["ledger", "export", "--proof", id, "--open", "input,output", "--out", &out.to_string_lossy()];
    assert_eq!(project.run(&words).code, 0);
    let open = fs::read_to_string(out).unwrap();
    server.stop();
    let public = fs::read_to_string(project.path().join(".tendon/ledger/main/ledger.pub")).unwrap();
    assert_eq!(public.trim(), key);
    fs::write(file("ledger.pub"), public).unwrap();

    let verify = |name: &str, key: &str| {
        run_in(elsewhere.path(), &["ledger", "verify", "--proof", name, "--key", key, "--output", "json"])
    };
    let told = verify("closed.proof", key).json();
    assert_eq!((told["valid"].as_bool(), told["facts"]["id"].as_str()), (Some(true), Some(id)), "{told}");
    assert!(told["input"].is_null() && told["output"].is_null(), "a closed proof shows more than facts: {told}");
    let told = verify("open.proof", "ledger.pub");
    assert_eq!(told.code, 0, "{told:?}");
    let said = told.out.replace("\\\"", "\"");
    assert!(said.contains("subject") && said.contains(&decision["output"].to_string()), "{said}");

    // Each byte counts, the key too.
    for (name, text) in [("closed", closed), ("open", &open)] {
        let step = (text.len() / 60).max(1);
        for at in (0..text.len()).step_by(step) {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            fs::write(file("changed.proof"), &bytes).unwrap();
            let told = verify("changed.proof", key);
            assert_eq!(told.code, 1, "byte {at} of the {name} proof was changed: {told:?}\n{text}");
        }
        fs::write(file("short.proof"), &text[..text.len() - 1 - text.len() / 10]).unwrap();
        assert_eq!(verify("short.proof", key).code, 1);
    }
    let other = Project::new(&Setup { events: "", ..Setup::default() });
    other.up().stop();
    let foreign = fs::read_to_string(other.path().join(".tendon/ledger/main/ledger.pub")).unwrap();
    assert_eq!(verify("closed.proof", foreign.trim()).code, 1, "a foreign key verifies it");
    let unknown = project.run(&["ledger", "export", "--proof", "01a1fd13-7afe-7900-9601-2a9fec236514"]);
    assert_eq!(unknown.code, 1, "{unknown:?}");

    // An older checkpoint proves that the log was only extended.
    fs::copy(project.path().join(".tendon/ledger/main/checkpoint"), file("checkpoint")).unwrap();
    let server = project.up();
    server.client(&client.key).decide(&input(1), None);
    server.stop();
    let since = file("checkpoint").to_string_lossy().into_owned();
    assert_eq!(project.run(&["ledger", "verify", "--since", &since]).code, 0);
    let foreign = other.path().join(".tendon/ledger/main/checkpoint").to_string_lossy().into_owned();
    assert_eq!(project.run(&["ledger", "verify", "--since", &foreign]).code, 1);
}

#[test]
fn a_changed_byte_anywhere_in_the_ledger_is_found() {
    let project = Project::new(&Setup { leads: 5, ..Setup::default() });
    let server = project.up();
    let client = server.client(&project.key("app", &[]));
    (0..20).for_each(|number| assert_eq!(client.decide(&input(number), None).status, 200));
    server.stop();
    project.verify();
    let mut files = Vec::new();
    crate::harness::files_below(&project.path().join(".tendon/ledger"), &mut files);
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let good = fs::read(&path).unwrap();
        // Some places of each file; slots of the keyring that were never filled are random and bound to nothing.
        let filled = if path.ends_with("keyring") { 64 } else { good.len() };
        for at in (0..filled).step_by((filled / 7).max(1)) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let ran = project.run(&["ledger", "verify"]);
            assert_eq!(ran.code, 1, "byte {at} of {} was changed: {ran:?}", path.display());
        }
        fs::write(&path, good).unwrap();
    }
    project.verify();
}
