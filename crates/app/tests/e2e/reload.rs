//! Reload while people rely on the process: by signal, with changed systems, under load, and with files that come late.

use std::{
    collections::BTreeMap,
    fs::File,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use tendon_testkit::proxy::Fault;

use crate::support::{
    Crm, MODEL, Running, Sandbox, body, eventually, integration,
    postgres::{self, PostgresCrm, metric},
};

fn plan(running: &Running) -> serde_json::Value {
    running.part("configuration")["detail"]["plan"].clone()
}

#[test]
fn a_signal_makes_it_look_even_where_the_files_seem_untouched() {
    let sandbox = Sandbox::new(0);
    let running = sandbox.up();
    let before = plan(&running);
    let path = sandbox.path("integrations/lead-score.yaml");
    let touched = std::fs::metadata(&path).unwrap().modified().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replace(">= 0.1", ">= 0.2");
    assert_eq!(text.len(), changed.len());
    // Written beside with the old time and put in place: the same name, time and length as before.
    sandbox.write("beside", &changed);
    File::options().write(true).open(sandbox.path("beside")).unwrap().set_modified(touched).unwrap();
    std::fs::rename(sandbox.path("beside"), &path).unwrap();
    running.signal("-HUP");
    eventually("the change is in force", || plan(&running) != before);
    // What is in force is counted after it is.
    eventually("the change is counted", || metric(&running, "tendon_reloads_total{result=\"installed\"}") == 1.0);
    // A signal without a change changes nothing and records nothing.
    let now = plan(&running);
    running.signal("-HUP");
    sandbox.write("integrations/lead-score.yaml", "integration: lead-score\nmodle: x\n");
    eventually("the bad file is refused", || metric(&running, "tendon_reload_refused") == 1.0);
    assert_eq!((plan(&running), metric(&running, "tendon_reloads_total{result=\"installed\"}")), (now, 1.0));
    assert!(running.stop().success());
    // Two plans were in force: two entries, and nothing else was recorded.
    assert_eq!(sandbox.verified_entries(), 2);
}

#[test]
fn a_model_that_a_refused_change_names_is_taken_when_it_comes() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let text = include_str!("support/tendon.yaml");
    sandbox.write("tendon.yaml", &format!("{text}  other: {{ path: models/other }}\n"));
    let use_other = integration(">= 0.9").replace("lead-score@champion", "other@champion");
    sandbox.write("integrations/lead-score.yaml", &use_other);
    eventually("it is refused", || metric(&running, "tendon_reload_refused") == 1.0);
    assert_eq!(running.decide(&key, &[], &body(1)).unwrap().json()["model"]["name"], "lead-score");
    std::fs::create_dir(sandbox.path("models/other")).unwrap();
    sandbox.write("models/other/v1.txt", MODEL);
    eventually("the model has come", || {
        running.decide(&key, &[], &body(1)).unwrap().json()["model"]["name"] == "other"
    });
    assert_eq!(metric(&running, "tendon_reload_refused"), 0.0);
    assert!(running.stop().success());
    sandbox.verified_entries();
}

#[test]
fn changed_limits_and_another_crm_take_effect() {
    let sandbox = Sandbox::new(3);
    // Other leads: a row that looks as its last decision saw it is not asked about again.
    let other = Crm::create(&sandbox.path("other.db"), 0);
    other.add(100, 7);
    let running = sandbox.up();
    eventually("the leads are scored", || sandbox.crm.all_scored());
    let detail = |name: &str| running.part("system:crm")["detail"][name].clone();
    assert_eq!((detail("concurrency"), detail("timeout_ms")), (4.into(), 10_000.into()));
    let text = include_str!("support/tendon.yaml");
    let limits = "    busy_timeout: 100\n    limits: { concurrency: 2, timeout: 3s }\n";
    let text = text.replace("    busy_timeout: 100\n", limits);
    sandbox.write("tendon.yaml", &text);
    eventually("the limits hold", || (detail("concurrency"), detail("timeout_ms")) == (2.into(), 3_000.into()));
    sandbox.write("tendon.yaml", &text.replace("crm.db", "other.db"));
    eventually("the other CRM's leads are scored", || other.all_scored());
    assert_eq!((other.doubled(), sandbox.crm.doubled()), (0, 0));
    assert!(running.stop().success());
    sandbox.verified_entries();
}

/// The entry is what counts; the note beside it only spares the next start an entry.
#[test]
fn what_was_recorded_is_in_force_also_where_that_could_not_be_noted() {
    let sandbox = Sandbox::new(0);
    let running = sandbox.up();
    let records = rusqlite::Connection::open(sandbox.path(".tendon/records.db")).unwrap();
    let deaf =
        |verb: &str| format!("CREATE TRIGGER no_{verb} BEFORE {verb} ON process BEGIN SELECT RAISE(ABORT, 'no'); END;");
    records.execute_batch(&(deaf("INSERT") + &deaf("UPDATE"))).unwrap();
    let first = plan(&running);
    let text = std::fs::read_to_string(sandbox.path("integrations/lead-score.yaml")).unwrap();
    // There, back, and there again: what was noted at the start is not what is in force.
    for there in [true, false, true] {
        sandbox.write("integrations/lead-score.yaml", &if there { integration(">= 0.9") } else { text.clone() });
        eventually("the change is in force", || (plan(&running) != first) == there);
    }
    // What is in force is counted after it is.
    eventually("the changes are counted", || metric(&running, "tendon_reloads_total{result=\"installed\"}") == 3.0);
    assert_eq!(metric(&running, "tendon_reloads_total{result=\"refused\"}"), 0.0);
    assert!(running.stop().success());
    assert_eq!(sandbox.verified_entries(), 4);
    records.execute_batch("DROP TRIGGER no_INSERT; DROP TRIGGER no_UPDATE").unwrap();
    // The next start records it once more, and then it is noted.
    for _ in 0..2 {
        assert!(sandbox.up().stop().success());
        assert_eq!(sandbox.verified_entries(), 5);
    }
}

/// What was learnt of a system is lost only with the system: a change elsewhere does not send it another burst of calls.
#[test]
fn an_open_breaker_stays_open_over_a_change_that_is_not_about_its_system() {
    let crm = PostgresCrm::create("kept", 5);
    let sandbox = postgres::sandbox(&crm, 0, "timeout: 20s, breaker: { calls: 1, window: 4, wait: 10m, longest: 10m }");
    let running = sandbox.up();
    postgres::at_rest(&running, &crm);
    let gauge = || metric(&running, "tendon_system_breaker_state{system=\"remote\"}");
    let opened = || metric(&running, "tendon_system_breaker_transitions_total{system=\"remote\",to=\"open\"}");
    assert_eq!((gauge(), opened()), (0.0, 0.0));
    crm.proxy.set(Fault::Refuse);
    crm.proxy.cut();
    crm.change(1, 4711);
    eventually("its breaker is open", || gauge() == 2.0);
    let before = plan(&running);
    sandbox.write("integrations/lead-score.yaml", &integration(">= 0.9"));
    eventually("the change is in force", || plan(&running) != before);
    assert_eq!((gauge(), opened()), (2.0, 1.0));
    assert_eq!(running.part("system:remote")["detail"]["breaker"], "open");
    // Its own declaration is another thing: it is tried anew, and fails anew.
    let text = std::fs::read_to_string(sandbox.path("tendon.yaml")).unwrap();
    sandbox.write("tendon.yaml", &text.replace("timeout: 20s", "timeout: 21s"));
    eventually("it was tried and opened again", || (gauge(), opened()) == (2.0, 2.0));
    crm.proxy.set(Fault::None);
    assert!(running.stop().success());
    sandbox.verified_entries();
}

/// Callers ask all the time while the rules change to and fro: each is answered, by one plan as a whole, and nothing is lost.
#[test]
fn reloads_under_load_lose_nothing_and_mix_nothing() {
    let sandbox = Sandbox::new(50);
    let key = sandbox.key("caller", &["decide:*"]);
    let running = sandbox.up();
    let (answers, over, count) = (Mutex::new(BTreeMap::new()), AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for caller in 0..4 {
            let (running, key, answers, over, count) = (&running, &key, &answers, &over, &count);
            scope.spawn(move || {
                for id in 0.. {
                    let own = format!("{caller}-{id}");
                    let answer = running.decide(key, &[("idempotency-key", &own)], &body(id)).unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.json());
                    let told = answer.json();
                    answers.lock().unwrap().insert(told["id"].as_str().unwrap().to_owned(), told);
                    count.fetch_add(1, Ordering::Relaxed);
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        for (round, green) in [">= 0.001", ">= 0.9", ">= 0.001", ">= 0.9"].into_iter().enumerate() {
            let (before, asked) = (plan(&running), count.load(Ordering::Relaxed));
            sandbox.write("integrations/lead-score.yaml", &integration(green));
            sandbox.crm.add(1_000 + 10 * i64::try_from(round).unwrap(), 10);
            eventually("the change is in force", || plan(&running) != before);
            eventually("callers went on", || count.load(Ordering::Relaxed) > asked + 20);
        }
        over.store(true, Ordering::Relaxed);
    });
    eventually("all leads are scored", || sandbox.crm.all_scored());
    assert_eq!(sandbox.crm.doubled(), 0);
    assert!(running.stop().success());
    sandbox.verified_entries();
    // Each answer is in the record as it was told, under the plan that made it.
    let answers = answers.into_inner().unwrap();
    let recorded: BTreeMap<String, serde_json::Value> = sandbox
        .decisions()
        .into_iter()
        .map(|decision| (decision["id"].as_str().unwrap().to_owned(), decision))
        .collect();
    let mut bands = BTreeMap::new();
    for (id, told) in &answers {
        let plan = recorded[id]["plan"].as_str().unwrap();
        bands.entry(plan).or_insert_with(|| told["band"].clone());
        assert_eq!(bands[plan], told["band"], "one plan, one input's rules: {told}");
    }
    assert!(bands.len() >= 2, "the load met several plans");
    for id in answers.keys().step_by(answers.len() / 5 + 1) {
        let replay = sandbox.json(&["decisions", "replay", id]);
        assert_eq!(replay["same"], true, "{replay}");
    }
}
