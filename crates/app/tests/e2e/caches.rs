//! The cache around the real process: Redis killed and started again under load, a restart with answers that are still there,
//! an erasure, and answers computed ahead.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    thread,
};

use tendon_testkit::servers::Redis;

use crate::support::{Running, Sandbox, body, eventually};

const CACHE: &str = "cache: { key: [id], ttl: 1h }\n";

/// Without the watch, which would decide about every lead by itself.
fn integration(cache: &str) -> String {
    let text = include_str!("support/lead-score.yaml");
    text.lines().filter(|line| !line.contains("events:")).map(|line| format!("{line}\n")).collect::<String>() + cache
}

fn sandbox(leads: i64, project: &str, cache: &str) -> Sandbox {
    let sandbox = Sandbox::with(leads, project);
    sandbox.write("integrations/lead-score.yaml", &integration(cache));
    sandbox
}

fn recalled(running: &Running, key: &str, id: i64) -> bool {
    let answer = running.decide(key, &[], &body(id)).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let decision = answer.json();
    assert_eq!(decision["outcome"], "ok", "{decision}");
    let timing = answer.header("server-timing").unwrap().to_owned();
    assert!(timing.contains("recall;dur="), "{timing}");
    !decision["recalled"].is_null()
}

fn metric(running: &Running, line: &str) -> bool {
    String::from_utf8(running.request("GET", "/metrics", &[], "").body).unwrap().contains(line)
}

#[test]
fn redis_is_killed_and_started_again_under_load_and_no_decision_waits_for_it() {
    let mut redis = Redis::start(&["--requirepass", "sesame"]);
    let project = format!(
        "cache: {{ redis: {{ url: \"redis://127.0.0.1:{}/1\", password: \"${{file:redis.password}}\" }} }}\n",
        redis.port()
    );
    let sandbox = sandbox(0, &project, CACHE);
    sandbox.write("redis.password", "sesame\n");
    let key = sandbox.key("app", &[]);
    let running = sandbox.up();
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for worker in 0..2 {
            let (running, key, stop, asked) = (&running, &key, &stop, &asked);
            scope.spawn(move || {
                for round in 0.. {
                    if stop.load(SeqCst) {
                        return;
                    }
                    recalled(running, key, 100 + worker * 10 + round % 10);
                    asked.fetch_add(1, SeqCst);
                }
            });
        }
        // Whatever fails below, the workers end.
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, SeqCst);
            }
        }
        let _end = End(&stop);
        let healthy = |well: bool| running.part("cache:redis")["ok"] == well;
        for _ in 0..2 {
            eventually("answers are recalled", || recalled(&running, &key, 1));
            assert!(healthy(true));
            redis.crash();
            let before = asked.load(SeqCst);
            eventually("readiness tells", || healthy(false));
            assert_eq!(running.ready().0, 200, "the process stays ready");
            assert!(!recalled(&running, &key, 1));
            eventually("decisions go on", || asked.load(SeqCst) > before + 20);
            redis.restart(&["--requirepass", "sesame"]);
            eventually("it is asked again", || healthy(true));
        }
        eventually("answers are recalled again", || recalled(&running, &key, 1));
    });
    assert!(metric(&running, "tendon_cache_errors_total{cache=\"redis\"}"));
    running.stop();

    // Another process finds what is still there; and who was erased while none ran is found by none.
    let running = sandbox.up();
    assert!(recalled(&running, &key, 1) && recalled(&running, &key, 1));
    sandbox.json(&["ledger", "erase", "--subject", "1"]);
    assert!(!recalled(&running, &key, 1), "an erased subject's answer was recalled");
    assert!(recalled(&running, &key, 1));
    running.stop();
    sandbox.json(&["ledger", "erase", "--subject", "1"]);
    let running = sandbox.up();
    assert!(!recalled(&running, &key, 1), "an erased subject's answer outlived the process");
    running.stop();
    sandbox.verified_entries();
}

#[test]
fn the_most_important_rows_are_computed_ahead_and_only_once() {
    let ahead = "cache: { key: [id], ttl: 1h, precompute: { order: -balance, limit: 10, every: 1s } }\n";
    let sandbox = sandbox(600, "cache: { memory: 1MiB }\n", ahead);
    let key = sandbox.key("app", &[]);
    let running = sandbox.up();
    let done = "tendon_recall_precomputed_total{integration=\"lead-score\"} 10\n";
    eventually("ten answers are computed", || metric(&running, done));
    let decisions = sandbox.decisions();
    let by_caller: Vec<_> = decisions.iter().map(|decision| decision["caller"].as_str().unwrap()).collect();
    assert_eq!(by_caller, ["cache:precompute"; 10]);
    let least =
        sandbox.crm.number("SELECT min(balance) FROM (SELECT balance FROM leads ORDER BY balance DESC, id LIMIT 10)");
    let first = sandbox.crm.number(&format!("SELECT id FROM leads WHERE balance = {least} LIMIT 1"));
    let outside =
        sandbox.crm.number(&format!("SELECT id FROM leads WHERE balance < {least} ORDER BY balance DESC LIMIT 1"));
    assert!(recalled(&running, &key, first) && !recalled(&running, &key, outside));
    // The next rounds find everything there.
    let rounds = "tendon_recall_precomputed_total{integration=\"lead-score\"} 10\n";
    sandbox.crm.add(601, 1);
    sandbox.crm.open().execute("UPDATE leads SET balance = 100000 WHERE id = 601", []).unwrap();
    eventually("the new first is computed", || !metric(&running, rounds));
    assert!(recalled(&running, &key, 601));
    assert_eq!(sandbox.decisions().len(), 14);
    running.stop();
}
