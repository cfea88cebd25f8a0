//! What can be asked without a running process: check, models, systems.

use std::fs;

use crate::support::{MODEL, Running, Sandbox, eventually, tendon};

#[test]
fn a_model_that_cannot_be_loaded_is_found_before_it_matters() {
    let sandbox = Sandbox::new(1);
    assert_eq!(sandbox.json(&["check"])["clean"], true);
    for (what, text) in [("corrupt", Some(&MODEL[..MODEL.len() / 3])), ("missing", None)] {
        match text {
            Some(text) => sandbox.write("models/lead-score/v1.txt", text),
            None => fs::remove_file(sandbox.path("models/lead-score/v1.txt")).unwrap(),
        }
        let output = sandbox.run(&["check"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{what}: {said}");
        assert!(said.contains("tendon.yaml:") && said.contains("lead-score"), "{what}: {said}");
        let up = sandbox.run(&["up", "--listen", "127.0.0.1:0"]);
        assert_eq!(up.status.code(), Some(1), "{what}: up must refuse");
        assert!(String::from_utf8_lossy(&up.stderr).contains("tendon check"), "{what}");
    }
}

#[test]
fn a_system_that_is_down_does_not_stop_a_check() {
    let sandbox = Sandbox::new(1);
    assert_eq!(sandbox.json(&["check"])["clean"], true);
    assert_eq!(sandbox.json(&["systems", "test"])[0]["ok"], true);
    fs::rename(sandbox.path("crm.db"), sandbox.path("away.db")).unwrap();
    let report = sandbox.json(&["check"]);
    assert_eq!((&report["clean"], &report["unreachable"][0]["system"]), (&true.into(), &"crm".into()), "{report}");
    assert_eq!(sandbox.run(&["systems", "test"]).status.code(), Some(1));
    let nothing = tempfile::tempdir().unwrap();
    let output = tendon(&["check", "--project"]).arg(nothing.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "nothing to check");
}

#[test]
fn one_finding_is_one() {
    let sandbox = Sandbox::new(1);
    sandbox.write("integrations/lead-score.yaml", &format!("{}nonsense: 1\n", include_str!("support/lead-score.yaml")));
    let output = sandbox.run(&["check"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("1 error, 0 warnings"), "{said}");
}

#[test]
fn only_named_integrations_run() {
    let sandbox = Sandbox::new(1);
    let unknown = sandbox.run(&["up", "--listen", "127.0.0.1:0", "--only", "lead-scor"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(unknown.status.code() == Some(1) && said.contains("known are: lead-score"), "{said}");
    sandbox.write(
        "integrations/other.yaml",
        &include_str!("support/lead-score.yaml").replace("integration: lead-score", "integration: other"),
    );
    let mut command = tendon(&["up", "--listen", "127.0.0.1:0", "--only", "other", "--project"]);
    let running = Running::of(command.arg(sandbox.path("")));
    eventually("the lead is scored", || sandbox.crm.all_scored());
    assert!(running.stop().success());
    let decided = sandbox.decisions();
    assert!(decided.iter().all(|one| one["integration"] == "other"), "{decided:?}");
}

#[test]
fn the_editor_schema_is_json_schema() {
    let output = tendon(&["check", "--schema"]).output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["tendon.yaml"]["properties"]["systems"].is_object());
    assert!(schema["integrations/*.yaml"]["properties"]["doors"].is_object());
    let help = String::from_utf8(tendon(&["--help"]).output().unwrap().stdout).unwrap();
    for command in ["demo", "check", "up", "models", "systems", "decisions", "letters", "reviews", "ledger", "keys"] {
        assert!(help.contains(&format!("  {command} ")), "{command} is not explained");
    }
    for later in ["advise", "backtest", "  connect "] {
        assert!(!help.contains(later), "{later} is not there yet");
    }
}
