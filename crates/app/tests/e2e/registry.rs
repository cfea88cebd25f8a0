//! Versions come and go and aliases move, on a running process and on a folder at rest: each decision names exactly one
//! version with its own digest, a change is in force with the next decision, and a kill leaves all of a change or nothing.

use std::{
    collections::BTreeMap,
    fs,
    process::{Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value as Json;
use tendon_testkit::Rng;

use crate::support::{MODEL, Running, Sandbox, body, eventually, postgres::metric, tendon};

/// The model with each leaf moved: another answer, the same contract.
fn variant(factor: f64) -> String {
    let moved = MODEL.lines().filter(|line| !line.starts_with("tree_sizes=")).map(|line| {
        let Some(values) = line.strip_prefix("leaf_value=") else { return line.to_owned() };
        let values = values.split(' ').map(|value| (value.parse::<f64>().unwrap() * factor).to_string());
        format!("leaf_value={}", values.collect::<Vec<_>>().join(" "))
    });
    moved.collect::<Vec<_>>().join("\n") + "\n"
}

/// A model that asks for other things.
const STRANGER: &str = r#"{"format": "tendon/linear@1", "transform": "logit", "intercept": 0,
    "features": [{"name": "age", "kind": "number", "coefficient": 0.1}, {"name": "fax", "kind": "number", "coefficient": 1}]}"#;

fn refused(output: &Output, code: &str) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    let error: Json = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(error["error"]["code"], code, "{error}");
    format!("{} {}", error["error"]["message"].as_str().unwrap(), error["error"]["hint"].as_str().unwrap_or_default())
}

impl Sandbox {
    fn try_models(&self, words: &[&str]) -> Output {
        self.run(&[&["models"], words, &["--output", "json"]].concat())
    }

    fn models(&self, words: &[&str]) -> Json {
        self.json(&[&["models"], words].concat())
    }

    /// Adds a version made from the example.
    fn add(&self, version: &str, factor: f64) -> Json {
        let file = format!("{version}.incoming");
        self.write(&file, &variant(factor));
        let file = self.path(&file).to_string_lossy().into_owned();
        self.models(&["add", "lead-score", &file, "--version", version, "--by", "ada", "--why", "trained anew"])
    }

    fn alias(&self, name: &str) -> Json {
        self.models(&["show", "lead-score"])["aliases"][name].clone()
    }

    fn history(&self) -> Vec<Json> {
        self.models(&["show", "lead-score"])["history"].as_array().unwrap().clone()
    }
}

/// Ends the askers, also when the test fails.
struct EndsWhenDropped<'a>(&'a AtomicBool);

impl Drop for EndsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn decided(running: &Running, key: &str) -> Json {
    let answer = running.decide(key, &[], &body(1)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

fn version(running: &Running, key: &str) -> String {
    decided(running, key)["model"]["version"].as_str().unwrap().to_owned()
}

/// The project on disk cannot be put in force meanwhile: the alias does not move, and nothing says that it did.
#[test]
fn a_change_that_cannot_be_put_in_force_is_not_recorded_either() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*", "read"]);
    let running = sandbox.up();
    for (name, factor) in [("v2", 1.5), ("v3", 0.5)] {
        sandbox.add(name, factor);
    }
    sandbox.models(&["promote", "lead-score", "v1"]);
    sandbox.models(&["promote", "lead-score", "v2"]);
    let (good, before) = (fs::read_to_string(sandbox.path("tendon.yaml")).unwrap(), sandbox.history());
    // Only whoever makes the parts sees that nobody sets this.
    let headers = "headers: { authorization: \"${env:TENDON_TEST_UNSET}\" }";
    let otlp = format!("telemetry: {{ otlp: {{ endpoint: 'http://127.0.0.1:9', {headers} }} }}\n");
    sandbox.write("tendon.yaml", &format!("{good}{otlp}"));
    eventually("it is refused", || metric(&running, "tendon_reload_refused") == 1.0);
    let file = sandbox.path("v4.incoming").to_string_lossy().into_owned();
    sandbox.write("v4.incoming", &variant(0.7));
    for words in [
        &["promote", "lead-score", "v3"][..],
        &["rollback", "lead-score"],
        &["remove", "lead-score", "v3"],
        &["add", "lead-score", &file, "--version", "v4"],
    ] {
        refused(&sandbox.try_models(words), "secret_missing");
    }
    sandbox.write("tendon.yaml", &good);
    eventually("the project is whole again", || metric(&running, "tendon_reload_refused") == 0.0);
    assert_eq!((version(&running, &key).as_str(), &sandbox.alias("champion")), ("v2", &"v2".into()));
    assert_eq!(sandbox.history(), before);
    assert!(running.stop().success());
    // No note is left that a start would finish.
    let running = sandbox.up();
    assert_eq!(version(&running, &key), "v2");
    assert_eq!((sandbox.history(), sandbox.models(&["list"]).as_array().unwrap().len()), (before, 3));
    assert!(running.stop().success());
    sandbox.verified_entries();
}

#[test]
fn promoted_and_rolled_back_under_load_each_decision_has_one_version_with_its_digest() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*", "read"]);
    let running = sandbox.up();
    sandbox.models(&["promote", "lead-score", "v1"]);
    for (name, factor) in [("v2", 1.5), ("v3", 0.5)] {
        let added = sandbox.add(name, factor);
        assert_eq!((&added["added"], &added["aliases"]), (&true.into(), &serde_json::json!([])), "{added}");
        assert_eq!(version(&running, &key), "v1", "a new version is not champion by itself once one was promoted");
    }
    let digests: BTreeMap<String, Json> = sandbox
        .models(&["list"])
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["version"].as_str().unwrap().to_owned(), one["digest"].clone()))
        .collect();
    let on = AtomicBool::new(true);
    let decisions = thread::scope(|scope| {
        let ask = || {
            let mut seen = Vec::new();
            while on.load(Ordering::Relaxed) {
                seen.push(decided(&running, &key));
            }
            seen
        };
        let askers = [scope.spawn(ask), scope.spawn(ask)];
        let end = EndsWhenDropped(&on);
        for round in 0..8 {
            let to = ["v2", "v3"][round % 2];
            let done = sandbox.models(&["promote", "lead-score", to, "--why", "better", "--by", "ada"]);
            assert_eq!((&done["version"], &done["changed"]), (&to.into(), &true.into()));
            assert_eq!(version(&running, &key), to, "in force with the next decision");
            let back = sandbox.models(&["rollback", "lead-score"]);
            assert_eq!((&back["version"], &back["from"]), (&"v1".into(), &to.into()), "{back}");
            assert_eq!(version(&running, &key), "v1", "in force with the next decision");
        }
        drop(end);
        askers.into_iter().flat_map(|asker| asker.join().unwrap()).collect::<Vec<_>>()
    });
    let mut outputs: BTreeMap<String, String> = BTreeMap::new();
    for decision in &decisions {
        let name = decision["model"]["version"].as_str().unwrap().to_owned();
        let digest = decision["model"]["digest"].as_str().unwrap();
        assert!(digest.starts_with(digests[&name].as_str().unwrap()), "{decision}");
        let output = decision["output"].to_string();
        assert_eq!(*outputs.entry(name).or_insert_with(|| output.clone()), output, "{decision}");
    }
    assert_eq!(outputs.keys().collect::<Vec<_>>(), ["v1", "v2", "v3"], "each answered some");
    for name in outputs.keys() {
        let one = decisions.iter().find(|one| one["model"]["version"] == **name).unwrap();
        let replay = sandbox.json(&["decisions", "replay", one["id"].as_str().unwrap()]);
        assert_eq!(replay["same"], true, "{replay}");
    }
    let bearer = format!("Bearer {key}");
    let models = running.request("GET", "/v1/models", &[("authorization", &bearer)], "").json();
    assert!(models.to_string().contains(r#""aliases":{"champion":"v1"}"#), "{models}");
    assert_eq!(sandbox.history().len(), 1 + 2 + 16);
    assert!(running.stop().success());
    sandbox.verified_entries();
    let again = sandbox.up();
    assert_eq!(version(&again, &key), "v1");
    assert!(again.stop().success());
}

#[test]
fn at_rest_versions_are_immutable_and_what_is_named_stays() {
    let sandbox = Sandbox::new(0);
    // Nothing promoted: the newest is champion, and so is a new one.
    assert_eq!(sandbox.add("v2", 1.5)["aliases"], serde_json::json!(["champion"]));
    assert_eq!(sandbox.add("v2", 1.5)["added"], false, "the same bytes again");
    sandbox.write("v2.txt", &variant(3.0));
    let file = sandbox.path("v2.txt").to_string_lossy().into_owned();
    refused(&sandbox.try_models(&["add", "lead-score", &file]), "version_exists");
    assert_eq!(fs::read_to_string(sandbox.path("models/lead-score/v2.txt")).unwrap(), variant(1.5));
    for (name, code) in [("champion", "version_name"), ("../v9", "version_name"), (".v9", "version_name")] {
        refused(&sandbox.try_models(&["add", "lead-score", &file, "--version", name]), code);
    }
    sandbox.write("v7.txt", "tree\nversion=v4\n");
    let torn = sandbox.path("v7.txt").to_string_lossy().into_owned();
    refused(&sandbox.try_models(&["add", "lead-score", &torn]), "model_file_invalid");
    let said = refused(&sandbox.try_models(&["add", "lead-scor", &file, "--version", "v9"]), "no_model");
    assert!(said.contains("did you mean lead-score"), "{said}");

    // What would be champion at once has to fit.
    sandbox.write("v8.json", STRANGER);
    let stranger = sandbox.path("v8.json").to_string_lossy().into_owned();
    let said = refused(&sandbox.try_models(&["add", "lead-score", &stranger]), "model_does_not_fit");
    assert!(said.contains("feature fax is new") && said.contains("feature job is gone"), "{said}");
    assert!(!sandbox.path("models/lead-score/v8.json").exists());
    assert_eq!(sandbox.alias("previous"), "v1");
    assert_eq!(sandbox.models(&["promote", "lead-score", "v1", "--by", "ada", "--why", "v2 drifts"])["from"], "v2");
    assert_eq!((sandbox.alias("champion"), sandbox.alias("previous")), ("v1".into(), "v2".into()));
    let added = sandbox.models(&["add", "lead-score", &stranger]);
    assert!(added["warnings"].to_string().contains("fax"), "{added}");
    refused(&sandbox.try_models(&["promote", "lead-score", "v8"]), "config_invalid");
    assert_eq!(sandbox.models(&["promote", "lead-score", "v1"])["changed"], false);
    assert_eq!(sandbox.alias("champion"), "v1");

    // Names that are wrong.
    let said = refused(&sandbox.try_models(&["promote", "lead-score", "v22"]), "no_version");
    assert!(said.contains("did you mean v2"), "{said}");
    for alias in ["previous", "v2", "a b", ""] {
        refused(&sandbox.try_models(&["promote", "lead-score", "v1", "--alias", alias]), "alias_name");
    }
    refused(&sandbox.try_models(&["rollback", "lead-score", "--alias", "challenger"]), "nothing_before");

    // What is named stays; what is not goes, and what an alias named before with it.
    assert_eq!(sandbox.models(&["promote", "lead-score", "v2", "--alias", "challenger"])["from"], Json::Null);
    let said = refused(&sandbox.try_models(&["remove", "lead-score", "v2"]), "version_in_use");
    assert!(said.contains("alias challenger"), "{said}");
    refused(&sandbox.try_models(&["remove", "lead-score", "v1"]), "version_in_use");
    refused(&sandbox.try_models(&["remove", "lead-score", "v5"]), "no_version");
    sandbox.models(&["remove", "lead-score", "v8"]);
    assert!(!sandbox.path("models/lead-score/v8.json").exists());
    let history = sandbox.history();
    let what: Vec<&str> = history.iter().rev().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["added", "promoted", "added", "promoted", "removed"]);
    let promoted = &history[3];
    assert_eq!((&promoted["by"], &promoted["why"]), (&"ada".into(), &"v2 drifts".into()));
    assert_eq!((&promoted["from"]["version"], &promoted["alias"]), (&"v2".into(), &"champion".into()));
    assert_eq!(sandbox.verified_entries(), 5, "one entry for each change");

    // Somebody overwrites what was promoted: told, and not run.
    assert!(sandbox.run(&["check"]).status.success());
    sandbox.write("models/lead-score/v1.txt", &variant(7.0));
    let check = sandbox.run(&["check"]);
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(!check.status.success() && said.contains("other bytes than were promoted"), "{said}");
}

#[test]
fn two_who_promote_at_once_come_one_after_the_other() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    sandbox.models(&["promote", "lead-score", "v1"]);
    sandbox.add("v2", 1.5);
    sandbox.add("v3", 0.5);
    thread::scope(|scope| {
        for (name, other) in [("v2", "v1"), ("v3", "v1")] {
            let sandbox = &sandbox;
            scope.spawn(move || {
                for to in [name, other, name] {
                    sandbox.models(&["promote", "lead-score", to, "--by", name]);
                }
            });
        }
    });
    let history = sandbox.history();
    let moves: Vec<&Json> = history.iter().rev().filter(|one| one["what"] == "promoted").collect();
    for pair in moves.windows(2) {
        assert_eq!(pair[1]["from"]["version"], pair[0]["version"], "each begins where the other ended: {moves:?}");
    }
    assert_eq!(version(&running, &key), moves.last().unwrap()["version"].as_str().unwrap());
    assert_eq!(sandbox.alias("champion"), moves.last().unwrap()["version"]);
    assert!(running.stop().success());
    sandbox.verified_entries();
}

#[test]
fn a_kill_leaves_all_of_a_change_or_nothing() {
    let sandbox = Sandbox::new(0);
    sandbox.models(&["promote", "lead-score", "v1"]);
    let mut rng = Rng::new(11);
    let (mut cut, mut done) = (0, 0);
    for round in 0..40 {
        let name = format!("w{round}");
        sandbox.write("incoming.txt", &variant(1.0 + f64::from(round) / 100.0));
        let file = sandbox.path("incoming.txt").to_string_lossy().into_owned();
        let known = sandbox.models(&["list"]).as_array().unwrap().clone();
        let some =
            known[usize::try_from(rng.below(known.len() as u64)).unwrap()]["version"].as_str().unwrap().to_owned();
        let words: Vec<&str> = match round % 4 {
            0 => vec!["add", "lead-score", &file, "--version", &name],
            1 => vec!["promote", "lead-score", &some],
            2 => vec!["rollback", "lead-score"],
            _ => vec!["remove", "lead-score", &some],
        };
        let mut command = tendon(&[&["models"], words.as_slice()].concat());
        command.arg("--project").arg(sandbox.path(".")).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // A change takes tens of milliseconds; nothing relies on where in it the kill falls.
        thread::park_timeout(Duration::from_millis(rng.below(120)));
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        if ended.is_none() {
            cut += 1
        } else {
            done += 1
        }
        // The next command finishes or forgets what was cut short.
        sandbox.decisions();
        consistent(&sandbox);
    }
    assert!(cut > 5, "{cut} were cut short, {done} were done");
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    assert_eq!(version(&running, &key), sandbox.alias("champion").as_str().unwrap());
    assert!(running.stop().success());
}

/// Files, aliases, history and ledger tell the same.
fn consistent(sandbox: &Sandbox) {
    let (history, shown) = (sandbox.history(), sandbox.models(&["show", "lead-score"]));
    assert_eq!(sandbox.verified_entries(), history.len() as u64, "one entry for each change: {history:?}");
    let moved = history.iter().find(|one| one["alias"] == "champion").unwrap();
    assert_eq!(shown["aliases"]["champion"], moved["version"], "{history:?}");
    let mut files = vec!["v1".to_owned()];
    for one in history.iter().rev() {
        let version = one["version"].as_str().unwrap().to_owned();
        match one["what"].as_str().unwrap() {
            "added" => files.push(version),
            "removed" => files.retain(|file| *file != version),
            _ => {}
        }
    }
    let found = fs::read_dir(sandbox.path("models/lead-score")).unwrap();
    let mut found: Vec<String> = found.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let mut files: Vec<String> = files.into_iter().map(|version| format!("{version}.txt")).collect();
    found.sort();
    files.sort();
    assert_eq!(found, files, "files are what the history says, and nothing lies beside them");
}
