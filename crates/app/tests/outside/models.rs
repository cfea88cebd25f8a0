//! The model's files: missing or damaged at the start they are named; damaged while it runs, the old version keeps serving; a
//! good new one is taken up.

use std::{fs, path::Path, sync::Arc};

use serde_json::Value as Json;

use crate::harness::{Project, Ran, Server, Setup, example, input, sample, until};

/// The file of the example with each leaf moved: another model with the same contract. Written beside and renamed, as a
/// careful deployment does.
fn put_other(path: &Path) {
    let text = fs::read_to_string(example("lead-score.txt")).unwrap();
    let moved = text.lines().map(|line| match line.strip_prefix("leaf_value=") {
        None => line.to_owned(),
        Some(values) => {
            let values = values.split(' ').map(|value| (value.parse::<f64>().unwrap() * 1.5).to_string());
            format!("leaf_value={}", values.collect::<Vec<_>>().join(" "))
        }
    });
    // The lengths of the trees, which the head tells, are other now; without that line they are not looked at.
    let lines = moved.filter(|line| !line.starts_with("tree_sizes="));
    let beside = path.with_extension("new");
    fs::write(&beside, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    fs::rename(beside, path).unwrap();
}

fn refused(ran: &Ran, what: &str) {
    assert_eq!(ran.code, 1, "{what}: {ran:?}");
    let said = format!("{}{}", ran.out, ran.err);
    let file = if what == "missing" { "models/lead-score" } else { "1.txt" };
    assert!(said.contains(file) && said.contains("tendon.yaml:9:"), "{what}: {said}");
}

#[test]
fn at_the_start_a_missing_or_damaged_model_is_named() {
    let project = Project::new(&Setup::default());
    let good = fs::read(project.model(1)).unwrap();
    let torn = &good[..good.len() / 2];
    for (what, bytes) in
        [("missing", None), ("empty", Some(&b""[..])), ("garbage", Some(&[7; 999][..])), ("torn", Some(torn))]
    {
        match bytes {
            None => fs::remove_file(project.model(1)).unwrap(),
            Some(bytes) => fs::write(project.model(1), bytes).unwrap(),
        }
        refused(&project.run(&["check"]), what);
        refused(&project.run(&["up", "--listen", "127.0.0.1:0"]), what);
    }
    fs::write(project.model(1), good).unwrap();
    assert_eq!(project.run(&["check"]).code, 0);
    project.up().stop();
}

fn decided(server: &Server, key: &str, number: usize) -> (f64, String) {
    let answer = server.client(key).decide(&input(number), None);
    assert_eq!(answer.status, 200, "{}", answer.json());
    let decision = answer.json();
    (decision["output"].as_f64().unwrap(), decision["model"]["version"].as_str().unwrap().to_owned())
}

/// Why the files are refused, as those who may read are told; null when they are in force.
fn refusal(project: &Project) -> Json {
    let told = project.run(&["status", "--output", "json"]).json();
    let trouble = told["trouble"].as_array().into_iter().flatten().find(|one| one["part"] == "configuration");
    trouble.map_or(Json::Null, |one| one["why"].clone())
}

#[test]
fn a_damaged_file_changes_nothing_while_it_runs_and_a_good_one_is_taken_up() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let key = project.key("app", &[]);
    let server = project.up();
    let expected = sample(1).1;
    assert_eq!(decided(&server, &key, 1), (expected, "1".to_owned()));
    let first = server.client(&key).decide(&input(1), Some("before")).json();

    // In place, and torn: refused as a whole, said, and the old one serves.
    fs::write(project.model(1), "tree\nversion=v4\n").unwrap();
    let said = until("the refusal is told", || refusal(&project).as_str().map(str::to_owned));
    assert!(said.contains("lead-score"), "{said}");
    assert_eq!((server.readyz().0, server.readyz().1["state"].as_str()), (200, Some("degraded")));
    until("the log tells it too", || server.log().contains("the old keeps serving").then_some(()));
    assert_eq!(decided(&server, &key, 1), (expected, "1".to_owned()));

    fs::copy(example("lead-score.txt"), project.model(1)).unwrap();
    until("the mended project is in force", || refusal(&project).is_null().then_some(()));
    assert_eq!(decided(&server, &key, 1), (expected, "1".to_owned()));

    // A new version beside it becomes the champion.
    put_other(&project.model(2));
    until("version 2 answers", || (decided(&server, &key, 1).1 == "2").then_some(()));
    let (other, _) = decided(&server, &key, 1);
    assert!((other - expected).abs() > 1e-3, "{other} is what version 1 said");
    until("readiness names it", || (server.part("model:lead-score")["detail"]["version"] == "2").then_some(()));

    // What was decided before keeps its model: the same answer, replayed bit for bit and explained.
    let id = first["id"].as_str().unwrap();
    assert_eq!(server.client(&key).decide(&input(1), Some("before")).json(), first);
    assert_eq!(project.json(&["decisions", "replay", id])["same"], true);
    fs::remove_file(project.model(1)).unwrap();
    until("the change is in force", || {
        (project.json(&["models", "list"]).as_array().unwrap().len() == 1).then_some(())
    });
    assert_eq!(project.json(&["decisions", "replay", id])["same"], true);
    let explained = project.json(&["decisions", "explain", id])["explanation"].clone();
    let sum: f64 =
        explained["reasons"].as_array().unwrap().iter().map(|one| one["contribution"].as_f64().unwrap()).sum();
    let margin = explained["margin"].as_f64().unwrap();
    assert!((explained["base"].as_f64().unwrap() + sum - margin).abs() < 1e-9);
    assert!((1.0 / (1.0 + (-margin).exp()) - expected).abs() < 1e-12);
    server.stop();
    let server = project.up();
    assert_eq!(project.json(&["decisions", "replay", id])["same"], true);
    assert_eq!(decided(&server, &key, 1).1, "2");
    server.stop();
    project.verify();
}

#[test]
fn a_bad_configuration_is_refused_while_it_runs_and_no_request_notices() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let key = project.key("app", &[]);
    let server = project.up();
    let name = "integrations/lead-score.yaml";
    let good = fs::read_to_string(project.path().join(name)).unwrap();
    let asking = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (client, on) = (server.client(&key), asking.clone());
    let asker = std::thread::spawn(move || {
        let mut bands = std::collections::BTreeSet::new();
        loop {
            // Once more after the end was wished: that one is answered with the new bands.
            let last = !on.load(std::sync::atomic::Ordering::Relaxed);
            let answer = client.decide(&input(1), None);
            assert_eq!(answer.status, 200, "{}", answer.json());
            bands.insert(answer.json()["band"].as_str().unwrap().to_owned());
            if last {
                break bands;
            }
        }
    });
    project.write(name, &good.replace("owner:", "onwer:"));
    let said = until("the refusal is told", || refusal(&project).as_str().map(str::to_owned));
    assert!(said.contains("integrations/lead-score.yaml:3:"), "{said}");
    project.write(name, &good.replace("red: otherwise", "blue: otherwise"));
    until("the new bands are in force", || {
        (server.client(&key).decide(&input(1), None).json()["band"] == "blue").then_some(())
    });
    assert!(refusal(&project).is_null());
    asking.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(asker.join().unwrap().into_iter().collect::<Vec<_>>(), ["blue", "red"]);
    server.stop();
    project.verify();
}

#[test]
fn a_kill_while_models_come_and_go_leaves_each_decision_with_its_own() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let key = project.key("app", &[]);
    let mut made = Vec::new();
    for round in 2..8 {
        let mut server = project.up();
        let newest = decided(&server, &key, 1).1;
        if round % 2 == 0 {
            put_other(&project.model(round))
        } else {
            drop(fs::copy(example("lead-score.txt"), project.model(round)))
        }
        let mut after = 0;
        until("the new version answers", || {
            let decision = server.client(&key).decide(&input(made.len()), None).json();
            after += usize::from(decision["model"]["version"] != newest.as_str());
            made.push(decision);
            (after > round * 3).then_some(())
        });
        server.kill();
    }
    let server = project.up();
    assert_eq!(decided(&server, &key, 1).1, "7");
    for decision in made.iter().step_by(5) {
        let id = decision["id"].as_str().unwrap();
        assert_eq!(&server.client(&key).recorded(id)["decision"], decision);
        assert_eq!(project.json(&["decisions", "replay", id])["same"], true, "{decision}");
    }
    server.stop();
    project.verify();
}
