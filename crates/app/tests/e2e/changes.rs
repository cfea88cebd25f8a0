//! Changes of the project while it runs: what is good is put in force, what is not is refused and the old keeps serving.

use crate::support::{MODEL, Running, Sandbox, body, eventually};

fn band(running: &Running, key: &str) -> String {
    let answer = running.decide(key, &[], &body(1)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()["band"].as_str().unwrap().to_owned()
}

fn version(running: &Running, key: &str) -> String {
    running.decide(key, &[], &body(1)).unwrap().json()["model"]["version"].as_str().unwrap().to_owned()
}

/// What anybody sees of a refusal.
fn refused(running: &Running) -> Option<serde_json::Value> {
    let detail = running.part("configuration")["detail"].clone();
    detail["refused_reload"].as_bool().filter(|refused| *refused).map(|_| detail)
}

/// The open probe says that, and where; those who may read are told in full.
fn why_it_is_refused_is_not_for_anybody(sandbox: &Sandbox, running: &Running) {
    let open = running.request("GET", "/readyz", &[], "");
    let open = String::from_utf8(open.body).unwrap();
    assert!(open.contains("tendon status") && !open.contains(".yaml"), "{open}");
    let told = sandbox.run(&["status", "--output", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let trouble = told["trouble"].as_array().unwrap().iter().find(|one| one["part"] == "configuration").unwrap();
    assert!(trouble["why"].as_str().unwrap().contains(".yaml"), "{told}");
}

#[test]
fn a_broken_model_is_refused_and_a_good_one_taken() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let before = running.decide(&key, &[], &body(1)).unwrap().json();
    sandbox.write("models/lead-score/v1.txt", &MODEL[..MODEL.len() / 2]);
    eventually("the broken model is refused", || refused(&running).is_some());
    let (status, report) = running.ready();
    assert_eq!((status, &report["state"]), (200, &"degraded".into()), "{report}");
    let after = running.decide(&key, &[], &body(1)).unwrap().json();
    assert_eq!((&after["output"], &after["model"]), (&before["output"], &before["model"]), "the old keeps serving");
    // Mended, and a newer version beside it.
    sandbox.write("models/lead-score/v1.txt", MODEL);
    eventually("the mended model is no reproach any more", || refused(&running).is_none());
    sandbox.write("models/lead-score/v2.txt", MODEL);
    eventually("the new version is champion", || version(&running, &key) == "v2");
    // What the old one decided is still explained and replayed, although its file is gone.
    let id = before["id"].as_str().unwrap();
    std::fs::remove_file(sandbox.path("models/lead-score/v1.txt")).unwrap();
    let plan = |running: &Running| running.part("configuration")["detail"]["plan"].clone();
    let old = plan(&running);
    sandbox.write("integrations/lead-score.yaml", &crate::support::integration(">= 0.9"));
    eventually("the other bands are in force", || plan(&running) != old);
    let replay = sandbox.json(&["decisions", "replay", id]);
    assert_eq!(replay["same"], true, "{replay}");
    assert_eq!(sandbox.json(&["decisions", "explain", id])["explanation"]["method"], "treeshap");
    assert!(running.stop().success());
    sandbox.verified_entries();
}

#[test]
fn a_bad_configuration_is_refused_and_a_good_one_taken() {
    let sandbox = Sandbox::new(3);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    eventually("the leads are scored", || sandbox.crm.all_scored());
    let before = band(&running, &key);
    sandbox.write("integrations/lead-score.yaml", "integration: lead-score\nmodle: x\n");
    eventually("the bad configuration is refused", || refused(&running).is_some());
    why_it_is_refused_is_not_for_anybody(&sandbox, &running);
    assert_eq!(band(&running, &key), before);
    // Every output is green now; the watch goes on with the new rules.
    sandbox.write("integrations/lead-score.yaml", &crate::support::integration(">= 0.001"));
    eventually("the new bands are in force", || band(&running, &key) == "green");
    // The path has the new bands before the watches are exchanged, and the reproach ends after that.
    eventually("the mended project is no reproach any more", || refused(&running).is_none());
    sandbox.crm.add(4, 1);
    let green = "SELECT count(*) FROM leads WHERE id = 4 AND score_band = 'green'";
    eventually("a new lead is scored by the new rules", || sandbox.crm.number(green) == 1);
    assert_eq!(sandbox.crm.doubled(), 0);
    assert!(running.stop().success());
    sandbox.verified_entries();
}
