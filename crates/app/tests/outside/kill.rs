//! `kill -9` at random moments, under load from callers and from people who change the CRM: nothing acknowledged is lost,
//! one key stays one decision, every write-back has its effect once, and the ledger verifies.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value as Json;
use tendon_testkit::Rng;

use crate::harness::{
    Client, Project, Server, Setup,
    crm::{change, each_once_and_forward, scores_are_right, unscored},
    input, insert_lead, rest, until,
};

const CALLERS: usize = 3;
const LEADS: usize = 60;

/// What callers were answered: idempotency key → number of its input, and the answer's members that must stay.
type Acknowledged = Mutex<BTreeMap<String, (usize, Json)>>;

fn kills() -> usize {
    std::env::var("TENDON_KILLS").map_or(50, |text| text.parse().unwrap())
}

/// A caller: a new question each time, asked with one key until it is answered, and sometimes once more.
fn call(caller: usize, client: &Client, seen: &Acknowledged, stop: &AtomicBool) {
    let mut rng = Rng::new(caller as u64);
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        let number = caller * 1_000_000 + count;
        let key = format!("caller {caller}, question {count}");
        let mut times = 1 + usize::from(rng.below(5) == 0);
        while times > 0 && !stop.load(Ordering::Relaxed) {
            match client.try_decide(&input(number), Some(&key)) {
                Ok(answer) if answer.status == 200 => {
                    times -= 1;
                    acknowledge(seen, &key, number, answer.json());
                }
                Ok(answer) => assert!([503, 504].contains(&answer.status), "{}: {}", answer.status, answer.json()),
                Err(_) => rest(Duration::from_millis(5)),
            }
        }
    }
}

fn acknowledge(seen: &Acknowledged, key: &str, number: usize, answer: Json) {
    let before = seen.lock().unwrap().insert(key.to_owned(), (number, answer.clone()));
    assert!(before.as_ref().is_none_or(|before| before.1 == answer), "{key}: {before:?}, then {answer}");
}

/// People: new balances (each once, so that a score can be told from another) and new leads.
fn work(project: &Project, stop: &AtomicBool) {
    let crm = project.crm();
    let mut rng = Rng::new(77);
    let mut leads = LEADS;
    let mut balance = 1_000_000;
    while !stop.load(Ordering::Relaxed) {
        balance += 1;
        if rng.below(50) == 0 {
            leads += 1;
            insert_lead(&crm, leads, &format!("Lead {leads}"));
        } else {
            change(&crm, 1 + usize::try_from(rng.below(leads as u64)).unwrap(), balance);
        }
        rest(Duration::from_micros(rng.below(20_000)));
    }
}

/// Kills again and again; sometimes while it starts.
fn torment(project: &Project, port: &Arc<AtomicU16>, times: usize) {
    let mut rng = Rng::new(5);
    for number in 1..=times {
        let mut server = Server::spawn(project.path(), port.clone());
        if rng.below(5) > 0 {
            server.wait_ready();
        }
        rest(Duration::from_micros(rng.below(400_000)));
        server.kill();
        if number % 10 == 0 {
            project.verify();
        }
    }
}

fn kept(client: &Client, seen: &BTreeMap<String, (usize, Json)>) {
    let mut ids = BTreeSet::new();
    for (key, (number, answer)) in seen {
        let id = answer["id"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "two keys share a decision");
        let recorded = client.recorded(id);
        assert_eq!(&recorded["decision"], answer, "{key}: the record says something else");
        let again = client.decide(&input(*number), Some(key));
        assert_eq!((again.header("idempotent-replayed"), &again.json()), ("true", answer), "{key}");
    }
}

#[test]
fn nothing_is_lost_or_done_twice_however_often_it_is_killed() {
    let project = Project::new(&Setup { leads: LEADS, wal: true, ..Setup::default() });
    let client = Client { port: Arc::default(), key: project.key("app", &[]) };
    let (seen, stop) = (Acknowledged::default(), AtomicBool::new(false));
    let times = kills();
    thread::scope(|scope| {
        for caller in 1..=CALLERS {
            let (client, seen, stop) = (&client, &seen, &stop);
            scope.spawn(move || call(caller, client, seen, stop));
        }
        scope.spawn(|| work(&project, &stop));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| torment(&project, &client.port, times)));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });

    let mut server = Server::spawn(project.path(), client.port.clone());
    server.wait_ready();
    let crm = project.crm();
    until("all leads carry the score of what they hold", || (unscored(&crm) == 0).then_some(()));
    until("nothing waits", || (server.part("outbox")["detail"]["waiting"] == 0).then_some(()));
    let written = each_once_and_forward(&crm);
    scores_are_right(&project, &crm);
    let seen = seen.into_inner().unwrap();
    kept(&client, &seen);
    server.stop();
    project.verify();
    println!("{times} kills: {} answers kept, {written} write-backs, none twice", seen.len());
    assert!(seen.len() > times, "only {} answers: the test saw too little", seen.len());
    assert!(written > times, "only {written} write-backs: the test saw too little");
}
