//! Requests that are decided later: what was accepted is decided once, with the id that was promised, whatever is killed when.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value as Json;
use tendon_testkit::Rng;

use crate::harness::{Answer, Client, Project, Server, Setup, input, rest, until};

const CALLERS: usize = 3;
const KILLS: usize = 25;

/// Number of the question → address of its decision.
type Promised = Mutex<BTreeMap<usize, String>>;

/// Asks for an answer later.
fn later(client: &Client, body: &Json, key: Option<&str>) -> std::io::Result<Answer> {
    let bearer = format!("Bearer {}", client.key);
    let mut headers =
        vec![("authorization", bearer.as_str()), ("content-type", "application/json"), ("prefer", "respond-async")];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    client.ask("POST", "/v1/integrations/lead-score/decisions", &headers, body.to_string().as_bytes())
}

fn call(caller: usize, client: &Client, promised: &Promised, stop: &AtomicBool) {
    let mut rng = Rng::new(caller as u64);
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        // Some questions are asked by two callers, with the same key.
        let number = if rng.below(4) == 0 { count } else { caller * 1_000_000 + count };
        let key = format!("question {number}");
        loop {
            match later(client, &input(number), Some(&key)) {
                Ok(answer) if answer.status == 202 => {
                    let address = answer.header("location").to_owned();
                    assert!(address.starts_with("/v1/decisions/"), "{address}");
                    let before = promised.lock().unwrap().insert(number, address.clone());
                    assert!(before.as_ref().is_none_or(|before| *before == address), "{key}: {before:?}, {address}");
                    break;
                }
                Ok(answer) => assert!([503, 504].contains(&answer.status), "{}: {}", answer.status, answer.json()),
                Err(_) => rest(Duration::from_millis(5)),
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

#[test]
fn what_was_accepted_is_decided_once_however_often_it_is_killed() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let client = Client { port: std::sync::Arc::default(), key: project.key("app", &[]) };
    let (promised, stop) = (Promised::default(), AtomicBool::new(false));
    let mut resumed = 0;
    thread::scope(|scope| {
        for caller in 1..=CALLERS {
            let (client, promised, stop) = (&client, &promised, &stop);
            scope.spawn(move || call(caller, client, promised, stop));
        }
        let mut rng = Rng::new(7);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..KILLS {
                let mut server = Server::spawn(project.path(), client.port.clone());
                if rng.below(5) > 0 {
                    server.wait_ready();
                }
                rest(Duration::from_micros(rng.below(300_000)));
                server.kill();
                resumed += usize::from(server.log().contains("they are taken up"));
            }
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });

    let mut server = Server::spawn(project.path(), client.port.clone());
    server.wait_ready();
    let promised = promised.into_inner().unwrap();
    for (number, address) in &promised {
        let found = until("the request is decided", || {
            let answer = client.get(address);
            assert!([200, 202].contains(&answer.status), "{address}: {}", answer.status);
            (answer.status == 200).then(|| answer.json())
        });
        assert_eq!(found["decision"]["id"], address.rsplit('/').next().unwrap());
        assert_eq!(found["decision"]["outcome"], "ok");
        // Asked at once with the same key: the same decision.
        let now = client.decide(&input(*number), Some(&format!("question {number}")));
        assert_eq!((now.status, now.header("idempotent-replayed")), (200, "true"));
        assert_eq!(now.json(), found["decision"]);
    }
    server.stop();
    project.verify();
    let decisions = project.json(&["decisions", "list", "--limit", "100000"]);
    let mut ids: Vec<&str> = decisions.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "a request was decided twice");
    println!("{KILLS} kills: {} requests accepted and decided, {resumed} starts took some up", promised.len());
    assert!(promised.len() > KILLS, "only {}: the test saw too little", promised.len());
}

#[test]
fn a_stopped_process_leaves_its_requests_to_the_next_and_an_erased_one_is_gone() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let key = project.key("app", &[]);
    let server = project.up();
    let client = server.client(&key);
    // Far more than two workers decide before the process is asked to stop.
    let addresses: Vec<(usize, String)> = (1..=60)
        .map(|number| (number, later(&client, &input(number), None).unwrap().header("location").to_owned()))
        .collect();
    server.stop();
    assert_eq!(project.run(&["ledger", "erase", "--subject", "60"]).code, 0);
    let server = project.up();
    let client = server.client(&key);
    for (number, address) in &addresses {
        let answer = until("the request ends", || Some(client.get(address)).filter(|answer| answer.status != 202));
        let expected = if *number == 60 { 410 } else { 200 };
        assert_eq!(answer.status, expected, "{number}: {}", answer.json());
    }
    server.stop();
    project.verify();
}
