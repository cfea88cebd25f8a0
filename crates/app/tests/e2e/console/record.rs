//! The ledger in the console: its size and checkpoint as they are on disk, a verification that finds a changed byte, erasures that
//! name nobody.

use std::fs;

use super::Visitor;
use crate::support::{Sandbox, body, eventually, tendon};

#[test]
fn the_record_is_shown_verified_and_its_erasures_name_nobody() {
    let sandbox = Sandbox::new(0);
    let keys = [sandbox.key("ada", &["operate"]), sandbox.key("bob", &["read"])];
    let caller = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let [ada, bob] = [&keys[0], &keys[1]].map(|key| Visitor::new(&running, key));
    for id in [1_234_567, 2] {
        assert_eq!(running.decide(&caller, &[], &body(id)).unwrap().status, 200);
    }
    let page = ada.page("/console/ledger");
    assert!(page.contains("Nobody asked for one here") && page.contains("<h3>Nowhere</h3>"), "{page}");
    assert!(page.contains("Verify now") && !bob.page("/console/ledger").contains("Verify now"));

    // An erasure is told with what it took along, and without the one whom it was about.
    let erased = sandbox.json(&["ledger", "erase", "--subject", "1234567"]);
    let row = format!("<th scope=\"row\">{}</th>", erased["seq"]);
    eventually("the erasure is listed", || ada.page("/console/ledger").contains(&row));
    let page = ada.page("/console/ledger");
    let (_, list) = page.split_once("of-erasures").unwrap();
    assert!(list.contains("the command line") && list.contains("data-of=\"Decisions\">1<"), "{list}");
    assert!(!page.contains("1234567"), "{page}");
    assert!(!ada.page(&format!("/console/ledger?before={}", erased["seq"])).contains(&row));
    assert_eq!(ada.get("/console/ledger?before=x").status, 400);

    // The checkpoint is that of the file, which covers everything soon.
    let folder = sandbox.path(".tendon/ledger/main");
    eventually("the checkpoint covers the erasure", || {
        let text = fs::read_to_string(folder.join("checkpoint")).unwrap();
        let root = text.lines().nth(2).unwrap().to_owned();
        text.lines().nth(1).unwrap().parse::<u64>().unwrap() > erased["seq"].as_u64().unwrap()
            && ada.page("/console/ledger").contains(&root)
    });
    let verified = |word: &str| {
        let begun = ada.post("/console/ledger/verify", &format!("token={}", ada.token()));
        assert_eq!(begun.status, 303, "{}", String::from_utf8_lossy(&begun.body));
        eventually("the verification ends", || ada.page("/console/ledger").contains(", ended "));
        let page = ada.page("/console/ledger");
        assert!(page.contains(word) && page.contains("by ada"), "{word} in {page}");
        page
    };
    verified("All is well");

    // One bit of an entry changes: the same button says so.
    let segment = fs::read_dir(folder.join("segments")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[200] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let page = verified("Does not verify");
    assert!(page.contains("entry 0: "), "{page}");
}

#[test]
fn the_command_beside_a_proof_proves_it() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("ada", &["read", "decide:*"]);
    let running = sandbox.up();
    let decided = running.decide(&key, &[], &body(7)).unwrap().json();
    let path = format!("/console/decisions/{}", decided["id"].as_str().unwrap());
    let ada = Visitor::new(&running, &key);
    let page = ada.page(&path);
    let (_, command) = page.split_once("<code>tendon ledger verify ").unwrap();
    let words: Vec<&str> = command.split('<').next().unwrap().split(' ').map(|word| word.trim_matches('\'')).collect();
    eventually("the entry is under a checkpoint", || ada.get(&format!("{path}/proof")).status == 200);
    let elsewhere = tempfile::tempdir().unwrap();
    let proof = ada.get(&format!("{path}/proof"));
    let name = proof.header("content-disposition").unwrap().split('"').nth(1).unwrap().to_owned();
    fs::write(elsewhere.path().join(&name), &proof.body).unwrap();
    // As it stands there, in a folder without a project.
    let verify = |words: &[&str]| {
        let output = tendon(&[&["ledger", "verify"], words].concat()).current_dir(elsewhere.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, told) = verify(&words);
    assert!(code == Some(0) && told.contains(decided["id"].as_str().unwrap()), "{words:?}: {told}");
    assert_eq!(verify(&words[..2]).0, Some(2), "without a key there is nothing to hold it against");
}
