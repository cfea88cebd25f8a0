//! The CRM locked or gone, the process killed at the worst moment: decisions go on, deliveries wait, nothing happens twice.

use std::fs;

use crate::support::{Sandbox, body, eventually};

#[test]
fn a_locked_crm_holds_up_deliveries_only() {
    let sandbox = Sandbox::new(5);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    eventually("the leads are scored", || sandbox.crm.all_scored());
    sandbox.crm.change(3, 4444);
    let lock = sandbox.crm.open();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    eventually("readiness tells", || {
        running.part("outbox")["ok"] == false || running.part("system:crm")["ok"] == false
    });
    let (status, report) = running.ready();
    assert_eq!((status, &report["state"]), (200, &"degraded".into()), "{report}");
    assert_eq!(running.decide(&key, &[], &body(3)).unwrap().status, 200, "decisions go on");
    lock.execute_batch("COMMIT").unwrap();
    let written = "SELECT count(*) FROM writes WHERE lead = 3 AND balance = 4444";
    eventually("the delivery arrives", || sandbox.crm.number(written) == 1);
    eventually("all is well again", || running.ready().1["state"] == "ready");
    assert_eq!(sandbox.crm.doubled(), 0);
    assert!(running.stop().success());
    sandbox.verified_entries();
}

#[test]
fn a_crm_that_is_gone_is_waited_for() {
    let sandbox = Sandbox::new(5);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    eventually("the leads are scored", || sandbox.crm.all_scored());
    sandbox.crm.open().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    fs::rename(sandbox.path("crm.db"), sandbox.path("away.db")).unwrap();
    eventually("readiness tells", || running.ready().1["state"] == "degraded");
    assert_eq!(running.decide(&key, &[], &body(3)).unwrap().status, 200, "decisions go on");
    fs::rename(sandbox.path("away.db"), sandbox.path("crm.db")).unwrap();
    sandbox.crm.change(2, 5555);
    let written = "SELECT count(*) FROM writes WHERE lead = 2 AND balance = 5555";
    eventually("changes are seen again", || sandbox.crm.number(written) == 1);
    assert!(running.stop().success());
    sandbox.verified_entries();
}

/// The process dies between the CRM's commit and the entry of the outcome: watched for with the CRM's own trigger, and
/// killed the moment a write-back stands there. Whatever was recorded by then, nothing is written twice.
#[test]
fn killed_right_after_the_crm_committed() {
    let sandbox = Sandbox::new(1);
    sandbox.up().stop();
    let mut caught = 0;
    for round in 0..25_i64 {
        let crm = sandbox.crm.open();
        sandbox.crm.change(1, 10_000 + round);
        let running = sandbox.up();
        let mut look = crm.prepare("SELECT count(*) FROM writes WHERE balance = ?1").unwrap();
        // As tight as can be: no pause between two looks.
        while look.query_row([10_000 + round], |row| row.get::<_, i64>(0)).unwrap() == 0 {
            std::hint::spin_loop();
        }
        running.kill();
        let decided = sandbox.decisions();
        let shown = sandbox.json(&["decisions", "show", decided[0]["id"].as_str().unwrap()]);
        caught += i64::from(shown["deliveries"][0]["state"] == "pending");
        let running = sandbox.up();
        eventually("the outcome is recorded", || {
            let shown = sandbox.json(&["decisions", "show", decided[0]["id"].as_str().unwrap()]);
            shown["deliveries"][0]["state"] == "delivered"
        });
        running.kill();
        let written = format!("SELECT count(*) FROM writes WHERE balance = {}", 10_000 + round);
        assert_eq!(sandbox.crm.number(&written), 1, "written once");
        if caught >= 3 {
            break;
        }
    }
    assert!(caught > 0, "the moment between commit and outcome was never hit");
    sandbox.verified_entries();
}

/// A disk of eight megabytes: answers stop with 503 when it is full, and come back when there is room. Needs the right to
/// mount; without it the ledger's own test on an in-memory disk stands alone.
#[test]
fn a_full_disk_stops_answers_and_loses_none() {
    let sandbox = Sandbox::new(0);
    let state = sandbox.path(".tendon");
    fs::create_dir(&state).unwrap();
    let mount = |arguments: &[&str]| std::process::Command::new("mount").args(arguments).arg(&state).output();
    let mounted = mount(&["-t", "tmpfs", "-o", "size=12m", "tmpfs"]).is_ok_and(|output| output.status.success());
    if !mounted {
        return;
    }
    let _mounted = Mounted(state.clone());
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let mut acknowledged = 0;
    let ballast = state.join("ballast");
    fs::write(&ballast, vec![7; 6 << 20]).unwrap();
    let full = (1..100_000).find_map(|id| {
        let answer = running.decide(&key, &[], &body(id)).unwrap();
        acknowledged += usize::from(answer.status == 200);
        (answer.status != 200).then_some(answer)
    });
    let full = full.expect("the disk must get full");
    assert_eq!((full.status, full.json()["retryable"].as_bool()), (503, Some(true)), "{}", full.json());
    assert!(full.header("retry-after").is_some());
    fs::remove_file(&ballast).unwrap();
    eventually("answers come again", || running.decide(&key, &[], &body(1)).unwrap().status == 200);
    acknowledged += 1;
    assert!(running.stop().success());
    let recorded = sandbox.decisions().len();
    assert!(recorded >= acknowledged, "{recorded} recorded, {acknowledged} acknowledged");
    sandbox.verified_entries();
}

/// Unmounts, also when a test fails.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(std::process::Command::new("umount").arg("-l").arg(&self.0).status());
    }
}
