//! Dead letters tried again: from the command line with values put right, and by a caller who hangs up meanwhile.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
};

use serde_json::{Value as Json, json};
use tendon_testkit::layer::Layer;

use crate::support::{PATIENCE, Running, Sandbox, eventually, request, tendon};

/// The CRM takes no band but one in some rows.
fn refusing() -> Sandbox {
    let sandbox = Sandbox::new(2);
    let rule = "CREATE TRIGGER checked BEFORE UPDATE OF score_band ON leads
        WHEN NEW.id = 2 AND NEW.score_band <> 'checked' BEGIN SELECT RAISE(ABORT, 'this band is not taken'); END";
    sandbox.crm.open().execute_batch(rule).unwrap();
    sandbox
}

fn letters(sandbox: &Sandbox) -> Vec<Json> {
    sandbox.json(&["letters", "list"]).as_array().unwrap().clone()
}

/// The letter of the row that is refused, and its decision.
fn dead(sandbox: &Sandbox) -> (String, String) {
    eventually("the row is refused", || letters(sandbox).len() == 1);
    let letter = letters(sandbox)[0].clone();
    let text = |name: &str| letter[name].as_str().unwrap().to_owned();
    (text("id"), text("decision"))
}

/// The error that a command ends with: its code, and all it says.
fn refused(sandbox: &Sandbox, arguments: &[&str]) -> (String, String) {
    let output = sandbox.run(&[arguments, &["--output", "json"]].concat());
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    let told: Json = serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{output:?}"));
    (told["error"]["code"].as_str().unwrap().to_owned(), told["error"].to_string())
}

/// What is typed at the command line is read as the console reads it, written once, and told with who it was; with a process and
/// on a folder at rest.
#[test]
fn the_command_line_puts_a_letter_right() {
    let sandbox = refusing();
    let running = sandbox.up();
    let (letter, decision) = dead(&sandbox);
    let shown = sandbox.json(&["letters", "show", &letter]);
    let band = shown["set"]["score_band"].as_str().unwrap().to_owned();
    assert!(shown["set"]["score"].is_f64() && shown["code"] == "write_refused", "{shown}");

    // What is no value, no field, or no word of this command changes nothing and says what to write.
    let retry = ["letters", "retry", letter.as_str()];
    for (set, code, words) in [
        ("score=0,75", "value_wrong", "a number like 0.75, with a point"),
        ("scored_at=2020-01-01T00:00:00Z", "field_fixed", "these can be changed: score, score_band"),
        ("nothing=1", "field_fixed", "nothing is no field of the delivery"),
    ] {
        let (told, said) =
            refused(&sandbox, &[retry.as_slice(), &["--set", "score_band=checked", "--set", set]].concat());
        assert!(told == code && said.contains(words), "{set}: {said}");
    }
    let (told, said) = refused(&sandbox, &[retry.as_slice(), &["--set", "score=1", "--set", "score=2"]].concat());
    assert!(told == "set_twice" && said.contains("score"), "{said}");
    for wrong in ["score", "=1"] {
        let output = sandbox.run(&[retry.as_slice(), &["--set", wrong]].concat());
        assert!(String::from_utf8_lossy(&output.stderr).contains("FIELD=VALUE"), "{wrong}: {output:?}");
    }
    assert_eq!(letters(&sandbox).len(), 1);

    // A value that is still refused: another death, with what was typed; at rest, and by somebody else.
    let set = |by: &str, values: &[&str]| {
        let given = values.iter().flat_map(|value| ["--set", value]);
        sandbox.json(&retry.iter().copied().chain(given).chain(["--by", by]).collect::<Vec<_>>())
    };
    let told = set("ada", &["score_band=wrong", &format!("score={}", shown["set"]["score"])]);
    assert_eq!((&told["state"], &told["changed"]), (&json!("queued"), &json!({ "score_band": "wrong" })), "{told}");
    let delivery = || sandbox.json(&["deliveries", "show", &decision])[0].clone();
    eventually("it is dead once more", || letters(&sandbox).len() == 1 && delivery()["state"] == "dead");
    assert!(running.stop().success());
    let told = set("bob", &["score=0.25", "score_band=checked"]);
    assert_eq!((&told["by"], &told["changed"]["score"]), (&json!("bob"), &json!(0.25)), "{told}");
    assert_eq!(refused(&sandbox, &retry).0, "letter_not_found");
    let _running = sandbox.up();
    let written = "SELECT count(*) FROM leads WHERE id = 2 AND score_band = 'checked' AND score = 0.25";
    eventually("the row has what was typed", || sandbox.crm.number(written) == 1);
    eventually("and it is recorded", || delivery()["state"] == "delivered");
    let told = delivery();
    assert_eq!((&told["changed_by"], &told["decided"]["score_band"]), (&json!("bob"), &json!(band)), "{told}");
    assert_eq!(sandbox.crm.number("SELECT count(*) FROM writes WHERE lead = 2"), 1);
}

/// A caller who hangs up while the retry is being recorded stops nothing: the row is written by this process.
#[test]
fn a_caller_who_hangs_up_does_not_strand_a_retry() {
    let sandbox = refusing();
    let key = sandbox.key("ada", &["operate", "read"]);
    let layer = Layer::over(&sandbox.path(".tendon"), &sandbox.path("beside")).unwrap();
    let mut command = tendon(&["up", "--listen", "127.0.0.1:0", "--project"]);
    layer.below(command.arg(sandbox.path("")));
    let running = Running::of(&mut command);
    let (letter, _) = dead(&sandbox);
    sandbox.crm.open().execute_batch("DROP TRIGGER checked").unwrap();
    eventually("nothing but the retry has anything to sync", || {
        let ledger = running.part("ledger")["detail"].clone();
        ledger["entries"] == ledger["under_checkpoint"]
    });
    layer.hold(true).unwrap();
    let before = layer.held().unwrap();
    let mut caller = TcpStream::connect(running.address).unwrap();
    caller.set_read_timeout(Some(PATIENCE)).unwrap();
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    caller.write_all(&request("POST", &format!("/v1/letters/{letter}/retry"), &headers, b"")).unwrap();
    eventually("the retry is being recorded", || layer.held().unwrap() > before);
    caller.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    caller.read_to_end(&mut answer).unwrap();
    assert!(answer.is_empty(), "it was answered: {}", String::from_utf8_lossy(&answer));
    layer.hold(false).unwrap();
    eventually("the row is written", || sandbox.crm.number("SELECT count(*) FROM writes WHERE lead = 2") == 1);
    assert!(running.stop().success());
}
