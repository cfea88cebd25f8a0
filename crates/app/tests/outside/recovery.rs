//! What is derived from the ledger can be lost at any time; what is done beside it does not disturb it.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::harness::{
    Project, Setup,
    crm::{each_once_and_forward, unscored, written},
    input, until,
};

#[test]
fn without_projections_everything_is_as_before() {
    let project = Project::new(&Setup { leads: 10, ..Setup::default() });
    let key = project.key("app", &[]);
    let crm = project.crm();
    let mut server = project.up();
    until("all leads are scored", || (unscored(&crm) == 0).then_some(()));
    let first = server.client(&key).decide(&input(1), Some("one")).json();
    let listed = || project.json(&["decisions", "list", "--limit", "100"]);
    let before = listed();
    let file = |end: &str| project.path().join(format!(".tendon/projections.db{end}"));
    for (round, damage) in ["removed", "torn", "garbage"].into_iter().enumerate() {
        if round % 2 == 0 {
            server.kill();
        } else {
            server.stop();
        }
        for end in ["-wal", "-shm"] {
            let _ = fs::remove_file(file(end));
        }
        let bytes = fs::read(file("")).unwrap();
        match damage {
            "removed" => fs::remove_file(file("")).unwrap(),
            "torn" => fs::write(file(""), &bytes[..bytes.len() / 2]).unwrap(),
            _ => fs::write(file(""), vec![7; 5000]).unwrap(),
        }
        server = project.up();
        assert_eq!(listed(), before, "{damage}");
        let again = server.client(&key).decide(&input(1), Some("one"));
        assert_eq!((again.header("idempotent-replayed"), &again.json()), ("true", &first), "{damage}");
        until("the watch looked", || {
            (server.part("watch:lead-score")["detail"]["looked_at"].as_u64().unwrap() > 30).then_some(())
        });
        assert_eq!((written(&crm).len(), project.decisions()), (10, 11), "{damage}");
    }
    each_once_and_forward(&crm);
    server.stop();
    project.verify();
}

#[test]
fn verify_export_and_lookups_go_on_beside_the_load_and_tell_the_truth() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let key = project.key("app", &[]);
    let server = project.up();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for caller in 0..3 {
            let (client, stop) = (server.client(&key), &stop);
            scope.spawn(move || {
                let mut number = caller;
                while !stop.load(Ordering::Relaxed) {
                    number += 3;
                    assert_eq!(client.decide(&input(number), None).status, 200);
                }
            });
        }
        let looks = || {
            let mut entries = 0;
            for _ in 0..25 {
                let report = project.json(&["ledger", "verify"]);
                assert_eq!(report["good"], true, "{report}");
                let found = report["entries"].as_u64().unwrap();
                assert!(found >= entries, "{report}");
                entries = found;
                let newest =
                    project.json(&["decisions", "list", "--limit", "1"])[0]["id"].as_str().unwrap_or("").to_owned();
                if !newest.is_empty() {
                    project.json(&["ledger", "export", "--proof", &newest]);
                    assert_eq!(project.json(&["decisions", "replay", &newest])["same"], true);
                }
            }
            assert!(entries > 0);
        };
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(looks));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
    server.stop();
    project.verify();
}

#[test]
fn commands_work_with_and_without_a_process_and_after_a_crash() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let key = project.key("app", &[]);
    let mut server = project.up();
    let id = server.client(&key).decide(&input(1), None).json()["id"].as_str().unwrap().to_owned();
    let shown = project.json(&["decisions", "show", &id]);
    server.kill();
    // The socket of the killed process is still there, and nobody answers it.
    assert!(project.path().join(".tendon/control.sock").exists());
    assert_eq!(project.json(&["decisions", "show", &id]), shown);
    assert_eq!(project.json(&["decisions", "replay", &id])["same"], true);
    let late = project.key("late", &[]);
    let server = project.up();
    assert_eq!(server.client(&late).decide(&input(1), None).status, 200);
    // A key that is revoked ends at once, and stays ended.
    project.json(&["keys", "revoke", "late"]);
    assert_eq!(server.client(&late).decide(&input(1), None).status, 401);
    server.stop();
    let server = project.up();
    assert_eq!(server.client(&late).decide(&input(1), None).status, 401);
    assert_eq!(server.client(&key).decide(&input(1), None).status, 200);
    let keys = project.json(&["keys", "list"]);
    assert!(!keys.to_string().contains(&key[4 + 13..]), "a secret is listed");
    server.stop();
    project.verify();
}
