//! What can be asked without a running process: check, models, systems.

use std::fs;

use crate::support::{MODEL, Sandbox, tendon};

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
fn rows_are_scored_as_the_notebook_scored_them() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lead-score");
    let (model, rows) = (format!("{example}/lead-score.txt"), format!("{example}/sample.csv"));
    let predict = |more: &[&str]| {
        let arguments = [&["models", "predict", &model, "--input", &rows], more].concat();
        tendon(&arguments).current_dir(std::env::temp_dir()).output().unwrap()
    };
    let same = predict(&["--expect", "expected"]);
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stderr));
    assert!(String::from_utf8_lossy(&same.stderr).contains("the same: 200 rows"));
    assert_eq!(String::from_utf8(same.stdout).unwrap().lines().count(), 201);
    // The margin is another number: the comparison fails and names the worst row.
    let other = predict(&["--raw", "--expect", "expected", "--output", "json"]);
    assert_eq!(other.status.code(), Some(1));
    let document: serde_json::Value = serde_json::from_slice(&other.stdout).unwrap();
    assert!(document["compared"]["worst_row"].as_u64().unwrap() > 0);
    let explained = predict(&["--explain", "--output", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&explained.stdout).unwrap();
    for row in document["rows"].as_array().unwrap() {
        let one = &row["explanations"][0];
        let sum: f64 = one["contributions"].as_object().unwrap().values().map(|value| value.as_f64().unwrap()).sum();
        let margin = one["base"].as_f64().unwrap() + sum;
        assert!((margin - one["margin"].as_f64().unwrap()).abs() < 1e-9, "{row}");
    }
    json_lines_score_alike(&model, &rows);
}

/// The same rows as JSON lines give the same outputs.
fn json_lines_score_alike(model: &str, rows: &str) {
    let text = fs::read_to_string(rows).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.jsonl");
    let object = |row: Vec<&str>| {
        let member = |(name, text): (&&str, &str)| {
            let number = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
            ((*name).to_owned(), number.map_or_else(|| text.into(), serde_json::Value::Number))
        };
        serde_json::Value::Object(head.iter().zip(row).map(member).collect()).to_string()
    };
    fs::write(&file, lines.map(object).collect::<Vec<_>>().join("\n")).unwrap();
    let file = file.to_str().unwrap();
    let output = tendon(&["models", "predict", model, "--input", file, "--expect", "expected"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_editor_schema_is_json_schema() {
    let output = tendon(&["check", "--schema"]).output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["tendon.yaml"]["properties"]["systems"].is_object());
    assert!(schema["integrations/*.yaml"]["properties"]["doors"].is_object());
    let help = String::from_utf8(tendon(&["--help"]).output().unwrap().stdout).unwrap();
    for command in ["demo", "check", "up", "models", "systems", "decisions", "letters", "ledger", "keys"] {
        assert!(help.contains(&format!("  {command} ")), "{command} is not explained");
    }
    for later in ["advise", "reviews", "promote"] {
        assert!(!help.contains(later), "{later} is not there yet");
    }
}
