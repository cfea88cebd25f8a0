//! Requests that are decided later, through power cuts: whatever was accepted is decided once, with the id that was promised,
//! and what is erased while it waits is never decided.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tendon_engine::{
    Engine,
    ask::{Ask, Caller, Input, Item, Priority},
    requests::Request,
};
use tendon_kernel::{
    Id,
    context::Context,
    decision::Door,
    sockets::ledger::{Entry, EntryKind, Ledger},
};
use tendon_testkit::Rng;

use crate::{
    check,
    town::{Process, Start, Tiny, erasure},
    without_books,
};

/// What callers were promised; it outlives our power cuts. Key → input and id.
type Promised = Arc<Mutex<BTreeMap<String, (i64, Id)>>>;

fn caller() -> Caller {
    Caller { id: "asker".into(), scope: "asker".into(), integrations: None }
}

fn text(x: i64) -> String {
    format!(r#"{{"id": 7{x}, "x": {x}}}"#)
}

/// The input that a key always comes with.
fn input_of(key: u64) -> i64 {
    (key * 31 % 100) as i64
}

/// Asks with one key or another, later or now, for as long as the process lives.
async fn ask(engine: Arc<Engine>, context: Context, promised: Promised, mut rng: Rng) {
    loop {
        let number = rng.below(60);
        let (key, x) = (format!("key {number}"), input_of(number));
        let before = promised.lock().unwrap().get(&key).map(|(_, id)| *id);
        let told = if rng.chance(1, 4) {
            let ask = Ask {
                caller: caller(),
                door: Door::Api,
                integration: "score".into(),
                priority: Priority::Live,
                explain: false,
                deadline: Some(context.deadline_in(Duration::from_millis(500))),
                items: vec![Item { input: Input::Json(text(x).into()), idempotency_key: Some(key.clone()), row: None }],
            };
            let answer = engine.decide(ask).await.ok().and_then(|mut answers| answers.items.pop()?.ok());
            answer.filter(|answer| answer.decision.error.is_none()).map(|answer| answer.decision.id)
        } else {
            let request = Request {
                caller: caller(),
                integration: "score".into(),
                input: text(x).into(),
                idempotency_key: Some(key.clone()),
                explain: false,
                callback: None,
                deadline: None,
            };
            engine.accept(request).await.ok().map(|accepted| accepted.id)
        };
        if let Some(id) = told {
            assert!(before.is_none_or(|before| before == id), "{key} stands for two decisions");
            promised.lock().unwrap().insert(key, (x, id));
        }
        context.clock.sleep(Duration::from_micros(rng.below(4_000))).await;
    }
}

/// Starts a process that lives until the lights go out, with askers.
async fn day(start: Start, context: Context, promised: Promised, seed: u64) {
    let Ok(process) = start.up().await else { return };
    for number in 0..3 {
        let asker = ask(
            process.engine.clone(),
            context.clone(),
            promised.clone(),
            Rng::stream(seed, &format!("asker {number}")),
        );
        context.spawn.spawn("asker", Box::pin(asker));
    }
    std::future::pending::<()>().await;
}

async fn restart(start: &Start) -> Process {
    loop {
        match start.clone().up().await {
            Ok(process) => return process,
            Err(error) => assert!(error.retryable(), "the last start: {error:?}"),
        }
    }
}

fn of_kind(entries: &[Entry], kind: EntryKind) -> impl Iterator<Item = &Entry> {
    entries.iter().filter(move |entry| entry.facts.kind == kind)
}

/// Decisions by id; none twice.
fn decided(entries: &[Entry]) -> BTreeMap<Id, &Entry> {
    let mut found = BTreeMap::new();
    for entry in of_kind(entries, EntryKind::Decision) {
        assert!(found.insert(entry.facts.id, entry).is_none(), "decision {} was made twice", entry.facts.id);
    }
    found
}

fn live(seed: u64) -> (usize, usize) {
    let town = without_books(seed);
    let mut rng = Rng::stream(seed, "requests");
    let promised = Promised::default();
    for day_number in 0..1 + rng.below(3) {
        let disk = town.sim.disk();
        disk.sync_latency(Duration::from_micros(150), Duration::from_micros(rng.below(5_000)));
        if rng.chance(1, 3) {
            disk.crash_at_op(1 + rng.below(300));
        }
        let life = day(town.start(), town.sim.context(), promised.clone(), seed * 10 + day_number);
        town.sim.spawn("process", life);
        town.sim.run_for(Duration::from_micros(rng.below(400_000)));
        if rng.chance(1, 5) {
            disk.fail_next_sync();
            town.sim.run_for(Duration::from_micros(rng.below(100_000)));
        }
        town.sim.crash();
        disk.no_crash();
    }
    let (start, context, known) = (town.start(), town.sim.context(), promised.clone());
    let end = async move {
        let process = restart(&start).await;
        let resumed = process.engine.requests().pending();
        while process.engine.requests().pending() > 0 {
            context.clock.sleep(Duration::from_millis(50)).await;
        }
        process.engine.end_requests().await;
        let entries = check::entries(&process.ledger).await;
        let decided = decided(&entries);
        for (key, (x, id)) in &*known.lock().unwrap() {
            let entry = decided.get(id).unwrap_or_else(|| panic!("{key} was accepted and never decided"));
            let decision = tendon_engine::stored::decision(entry).unwrap();
            assert_eq!(decision.output, Some(Tiny::score(*x)), "{key}");
        }
        for request in of_kind(&entries, EntryKind::Request) {
            assert!(decided.contains_key(&request.facts.id), "a recorded request was never decided");
        }
        (resumed, of_kind(&entries, EntryKind::Request).count())
    };
    town.sim.run(end).done()
}

#[test]
fn what_was_accepted_is_decided_once_through_power_cuts() {
    if let Ok(seed) = std::env::var("TENDON_SEED") {
        live(seed.parse().expect("TENDON_SEED is a number"));
        return;
    }
    let (mut resumed, mut all) = (0, 0);
    for seed in 0..300 {
        let (left, requests) = live(seed);
        resumed += left;
        all += requests;
    }
    println!("{all} requests accepted, {resumed} of them decided by a later process");
    assert!(resumed > 20 && all > 5_000, "the test saw too little: {resumed} of {all}");
}

async fn erase(process: &Process, context: &Context, subject: &str) {
    let facts = erasure(context);
    let _held = process.engine.requests().hold().await;
    // Nothing may have been asked about this person yet.
    drop(process.ledger.erase(subject, facts).await);
}

/// A request that waits when its subject is erased ends: no decision follows, in this process or the next.
#[test]
fn what_is_erased_while_it_waits_is_never_decided() {
    let mut ended = 0;
    for seed in 0..200 {
        let town = without_books(seed);
        town.sim.disk().sync_latency(Duration::from_micros(500), Duration::from_millis(5));
        let (start, context) = (town.start(), town.sim.context());
        let mut rng = Rng::stream(seed, "erasing");
        let again = start.clone();
        let life = async move {
            let process = start.up().await.unwrap();
            for number in 0..4 {
                let rng = Rng::stream(seed, &format!("eraser {number}"));
                let asker = ask_freely(process.engine.clone(), context.clone(), rng);
                context.spawn.spawn("asker", Box::pin(asker));
            }
            for _ in 0..8 {
                context.clock.sleep(Duration::from_micros(rng.below(40_000))).await;
                let x = rng.below(6) as i64;
                erase(&process, &context, &format!("7{x}")).await;
            }
            std::future::pending::<()>().await;
        };
        town.sim.spawn("process", life);
        town.sim.run_for(Duration::from_millis(600));
        town.sim.crash();
        let context = town.sim.context();
        ended += town
            .sim
            .run(async move {
                let process = restart(&again).await;
                while process.engine.requests().pending() > 0 {
                    context.clock.sleep(Duration::from_millis(50)).await;
                }
                process.engine.end_requests().await;
                let entries = check::entries(&process.ledger).await;
                let decided = decided(&entries);
                let mut ended = 0;
                for request in of_kind(&entries, EntryKind::Request) {
                    let decision = decided.get(&request.facts.id);
                    if request.body.is_some() {
                        assert!(decision.is_some(), "seed {seed}: a request was lost");
                        continue;
                    }
                    ended += usize::from(decision.is_none());
                    assert!(
                        decision.is_none_or(|decision| decision.body.is_none()),
                        "seed {seed}: decided after its subject was erased"
                    );
                }
                ended
            })
            .done();
    }
    println!("{ended} requests ended by an erasure");
    assert!(ended > 50, "the test saw too little: {ended}");
}

/// Asks without keys about few subjects.
async fn ask_freely(engine: Arc<Engine>, context: Context, mut rng: Rng) {
    loop {
        let request = Request {
            caller: caller(),
            integration: "score".into(),
            input: text(rng.below(6) as i64).into(),
            idempotency_key: None,
            explain: false,
            callback: None,
            deadline: None,
        };
        // Whether it was accepted stands in the ledger.
        let _ = engine.accept(request).await;
        context.clock.sleep(Duration::from_micros(rng.below(3_000))).await;
    }
}
