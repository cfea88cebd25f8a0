//! Standing when things break: the real process with a real PostgreSQL as its CRM, behind a line that is slow, cut, silent,
//! lying or gone. Decisions go on, deliveries wait, readiness tells, and afterwards everything has arrived, once.

use std::time::{Duration, Instant};

use tendon_testkit::proxy::Fault;

use crate::support::{
    Running, body, eventually,
    postgres::{PostgresCrm, at_rest, metric, sandbox},
};

fn decides(running: &Running, key: &str, count: i64) {
    for id in 0..count {
        let answer = running.decide(key, &[], &body(id)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
}

/// Readiness while only the remote CRM is in trouble.
fn tells(running: &Running, fault: &str) {
    eventually(fault, || {
        let (status, report) = running.ready();
        assert_eq!((status, &report["ready"]), (200, &true.into()), "{fault}: {report}");
        running.part("system:remote")["ok"] == false
    });
}

#[test]
fn a_crm_that_is_slow_silent_lying_or_gone_gets_everything_once_it_is_back() {
    let crm = PostgresCrm::create("faults", 40);
    let sandbox = sandbox(&crm, 5, "timeout: 1s");
    let key = sandbox.key("caller", &["decide:*", "read"]);
    let running = sandbox.up();
    at_rest(&running, &crm);
    assert_eq!(crm.number("SELECT count(*) FROM writes;"), 40);
    let mut next = 41;
    let cut = |delivered| Fault::CutAt { request: b"COMMIT".to_vec(), delivered };
    for (name, fault, shows) in [
        ("slow", Fault::Latency(Duration::from_millis(20)), false),
        ("half open", Fault::HalfOpen, true),
        ("garbage", Fault::Garbage, true),
        ("gone", Fault::Refuse, true),
        ("answer lost", cut(true), false),
        ("request lost", cut(false), false),
    ] {
        let (gone, cuts) = (fault == Fault::Refuse, matches!(fault, Fault::CutAt { .. }));
        let fired = crm.proxy.fired();
        crm.proxy.set(fault);
        if gone {
            crm.proxy.cut();
        }
        // People go on working: in the CRM itself, and over the API.
        crm.add(next, 3);
        crm.change(next - 1, 1_000_000 + next);
        next += 3;
        if shows {
            tells(&running, name);
        }
        if cuts {
            eventually(name, || crm.proxy.fired() > fired);
        }
        decides(&running, &key, 5);
        crm.proxy.set(Fault::None);
        if shows {
            crm.proxy.cut();
        }
        at_rest(&running, &crm);
        eventually("readiness is calm again", || running.part("system:remote")["ok"] == true);
        assert_eq!(crm.doubled(), 0, "{name}: written twice");
    }
    assert_eq!(crm.number("SELECT count(*) FROM leads WHERE score IS NOT NULL;"), next - 1);
    assert!(sandbox.json(&["letters", "list"]).as_array().unwrap().is_empty(), "an outage is no dead letter");
    assert!(sandbox.crm.all_scored());
    assert!(running.stop().success());
    sandbox.verified_entries();
}

#[test]
fn a_system_that_hangs_holds_up_nobody_else() {
    let crm = PostgresCrm::create("hangs", 30);
    let sandbox = sandbox(&crm, 20, "timeout: 5s, concurrency: 1, queue: 0");
    let key = sandbox.key("caller", &["decide:*", "read"]);
    let running = sandbox.up();
    at_rest(&running, &crm);
    crm.proxy.set(Fault::HalfOpen);
    crm.add(31, 500);
    // The other CRM's rows are watched, decided and written back meanwhile, and callers are answered.
    for round in 0..3 {
        sandbox.crm.add(100 + round * 50, 50);
        decides(&running, &key, 20);
        eventually("the other system's leads are scored", || sandbox.crm.all_scored());
    }
    tells(&running, "the hanging system");
    assert_eq!(running.part("system:crm")["ok"], true);
    assert!(!crm.all_scored(), "the line was silent all the time");
    crm.proxy.set(Fault::None);
    crm.proxy.cut();
    at_rest(&running, &crm);
    assert_eq!((crm.doubled(), sandbox.crm.doubled()), (0, 0));
    assert!(running.stop().success());
    sandbox.verified_entries();
}

/// With `retries: 0` only time pays for retries: three at once, and one every two seconds.
#[test]
fn writes_that_are_cut_are_repeated_no_faster_than_the_budget_allows() {
    let crm = PostgresCrm::create("budget", 30);
    let sandbox = sandbox(&crm, 0, "timeout: 1s, retries: 0");
    let running = sandbox.up();
    at_rest(&running, &crm);
    let repeats = "tendon_system_retries_total{system=\"remote\"";
    let (began, retried, fired) = (Instant::now(), metric(&running, repeats), crm.proxy.fired());
    for id in 1..=10 {
        // On a new connection, statements are told by their text: only a write locks rows.
        crm.proxy.cut();
        crm.proxy.set(Fault::CutAt { request: b"FOR UPDATE".to_vec(), delivered: false });
        crm.change(id, 500_000 + id);
        eventually("the line is cut", || crm.proxy.fired() - fired == u64::try_from(id).unwrap());
        eventually("it arrives all the same", || crm.all_scored());
    }
    let retries = metric(&running, repeats) - retried;
    let floor = 3.0 + 0.5 * began.elapsed().as_secs_f64();
    println!("{} cuts seen by the proxy, {retries} retries, {floor:.1} allowed", crm.proxy.fired() - fired);
    assert!(retries <= floor, "{retries} retries, {floor} allowed");
    assert!(retries >= 10.0, "each cut write was repeated: {retries}");
    at_rest(&running, &crm);
    assert_eq!((crm.doubled(), crm.number("SELECT count(*) FROM writes;")), (0, 40));
    assert!(running.stop().success());
    sandbox.verified_entries();
}

/// A system that is gone is called by one first attempt and by retries; as many calls as the proxy sees are counted.
#[test]
fn a_system_that_is_gone_is_hardly_called_and_its_breaker_shows() {
    let crm = PostgresCrm::create("gone", 30);
    let sandbox = sandbox(&crm, 0, "timeout: 1s, breaker: { calls: 3, window: 10, wait: 50ms, longest: 200ms }");
    let running = sandbox.up();
    at_rest(&running, &crm);
    let calls = "tendon_system_calls_total{system=\"remote\"";
    let repeats = "tendon_system_retries_total{system=\"remote\"";
    let (first, retried, seen) = (metric(&running, calls), metric(&running, repeats), crm.proxy.accepted());
    crm.proxy.set(Fault::Refuse);
    crm.proxy.cut();
    crm.change(1, 4711);
    tells(&running, "it is gone");
    let opened = "tendon_system_breaker_transitions_total{system=\"remote\",to=\"open\"}";
    eventually("its breaker opened", || metric(&running, opened) >= 1.0);
    eventually("it was tried again some times", || metric(&running, repeats) - retried >= 6.0);
    let seen = crm.proxy.accepted() - seen;
    let (all, retries) = (metric(&running, calls) - first, metric(&running, repeats) - retried);
    println!("{all} calls, {retries} of them retries, {seen} connections seen by the proxy");
    // A connection that stood open is found lost once by each of the three sessions, which then open another.
    assert!(seen as f64 <= all + 4.0, "the proxy saw {seen} calls, counted were {all}");
    crm.proxy.set(Fault::None);
    at_rest(&running, &crm);
    assert_eq!((crm.doubled(), crm.number("SELECT count(*) FROM writes;")), (0, 31));
    eventually("the breaker is closed", || metric(&running, "tendon_system_breaker_state{system=\"remote\"}") == 0.0);
    let detail = running.part("system:remote")["detail"].clone();
    assert_eq!((&detail["breaker"], &detail["last_failure"]), (&"closed".into(), &serde_json::Value::Null));
    assert!(running.stop().success());
    sandbox.verified_entries();
}

/// The CRM counts each write that reaches it, also those it takes back, and refuses three of four: what came is no more than
/// each delivery once, a tenth of all first attempts, and what time alone allows.
#[test]
fn a_failing_system_is_asked_at_most_a_tenth_more_by_its_own_count() {
    let crm = PostgresCrm::create("amplified", 20);
    let sandbox = sandbox(&crm, 0, "timeout: 20s, breaker: { calls: 1000, window: 1000, share: 100 }");
    let running = sandbox.up();
    at_rest(&running, &crm);
    crm.sql(
        "CREATE SEQUENCE reached; CREATE FUNCTION full_now() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('reached') % 4 <> 0 THEN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END IF; RETURN NULL; \
         END $$; CREATE TRIGGER full_now BEFORE UPDATE OF score ON leads FOR EACH STATEMENT EXECUTE FUNCTION full_now();",
    );
    let calls = || metric(&running, "tendon_system_calls_total{system=\"remote\"");
    let repeats = || metric(&running, "tendon_system_retries_total{system=\"remote\"");
    let reach = || crm.number("SELECT last_value FROM reached;") as f64;
    let arrive = |ids: std::ops::RangeInclusive<i64>| {
        for id in ids {
            crm.change(id, 300_000 + id);
            eventually("it arrives all the same", || crm.all_scored());
        }
    };
    // Retries that were saved up before are spent first: the account below does not hold them.
    let (spent, changes) = (4, 8);
    arrive(1..=spent);
    let (began, before, retried, seen) = (Instant::now(), calls(), repeats(), reach());
    arrive(spent + 1..=spent + changes);
    let reached = reach() - seen;
    let retries = repeats() - retried;
    let first = calls() - before - retries;
    let time = 3.0 + 0.5 * began.elapsed().as_secs_f64();
    println!(
        "{reached} writes reached the CRM for {changes} deliveries; {first} first calls, {retries} retries, {time:.1} by time"
    );
    assert!(reached >= 4.0 * changes as f64, "each was refused three times: {reached}");
    assert!(reached <= changes as f64 + 0.1 * first + time, "{reached} reached it");
    assert_eq!((crm.doubled(), crm.number("SELECT count(*) FROM writes;")), (0, 20 + spent + changes));
    assert!(running.stop().success());
    sandbox.verified_entries();
}
