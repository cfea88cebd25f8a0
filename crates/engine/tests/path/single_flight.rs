//! Many requests with the same idempotency keys at once, in every order the scheduler can find: each key is decided once,
//! and everybody gets that decision.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use tendon_engine::ask::Item;
use tendon_kernel::{Id, Value};
use tendon_testkit::{Rng, Sim};

use crate::common::{FakeLedger, Faults, Wishes, ask, bench, keyed, node, row};

type Told = Arc<Mutex<BTreeMap<String, Vec<(Id, bool)>>>>;

fn run(seed: u64) {
    let sim = Sim::new(seed);
    let mut rng = Rng::stream(seed, "single flight");
    let bench = bench(&sim.context(), seed, Wishes::default());
    bench.ledger.set(Faults { slow: true, ..Faults::default() });
    let told: Told = Arc::default();
    for _ in 0..12 {
        // Keys in any order and twice in a batch: neither may make two requests wait for each other.
        let keys: Vec<String> = (0..1 + rng.below(4)).map(|_| format!("k{}", rng.below(4))).collect();
        let items: Vec<Item> = keys.iter().map(|key| keyed(&format!("{{\"n\": {}}}", &key[1..]), key)).collect();
        let (engine, told) = (Arc::clone(&bench.engine), Arc::clone(&told));
        sim.spawn("caller", async move {
            let answers = engine.decide(ask(items)).await.unwrap();
            for (key, answer) in keys.into_iter().zip(answers.items) {
                let answer = answer.unwrap();
                told.lock().unwrap().entry(key).or_default().push((answer.decision.id, answer.replayed));
            }
        });
    }
    sim.run_for(Duration::from_secs(4));
    assert!(sim.tasks().is_empty(), "seed {seed}: these wait for each other: {:?}", sim.tasks());
    let told = told.lock().unwrap();
    assert_eq!(bench.ledger.decisions().len(), told.len(), "seed {seed}: a key was decided twice");
    let scored = usize::try_from(bench.model.scored.load(Ordering::Relaxed)).unwrap();
    assert_eq!(scored, told.len(), "seed {seed}: a request did not wait for the running one");
    for (key, answers) in &*told {
        let ids: BTreeSet<Id> = answers.iter().map(|(id, _)| *id).collect();
        let firsts = answers.iter().filter(|(_, replayed)| !replayed).count();
        assert_eq!((ids.len(), firsts), (1, 1), "seed {seed}: key {key}: {answers:?}");
    }
}

/// Two nodes over one ledger cannot wait for each other: the ledger's claim decides, and only the winner delivers.
#[test]
fn the_ledger_decides_between_nodes() {
    let mut both_scored = 0;
    for seed in 0..100 {
        let sim = Sim::new(seed);
        let ledger = FakeLedger::new(&sim.context(), seed);
        ledger.set(Faults { slow: true, ..Faults::default() });
        let nodes = [0, 1].map(|_| node(&sim.context(), ledger.clone(), Wishes::default()));
        let [first, second] = nodes.each_ref().map(|node| {
            let engine = Arc::clone(&node.engine);
            let item = Item { idempotency_key: Some("k".into()), ..row(1, Value::Float(7.0)) };
            async move { engine.decide(ask(vec![item])).await.unwrap().items.remove(0).unwrap() }
        });
        let (first, second) = sim.run(async { futures_util::future::join(first, second).await }).done();
        assert_eq!(first.decision.id, second.decision.id, "seed {seed}");
        assert!(first.replayed != second.replayed, "seed {seed}");
        let delivered: usize = nodes.iter().map(|node| node.sink.0.lock().unwrap().len()).sum();
        assert_eq!((ledger.decisions().len(), delivered), (1, 1), "seed {seed}");
        both_scored += u32::from(nodes.iter().all(|node| node.model.scored.load(Ordering::Relaxed) == 1));
    }
    assert!(both_scored > 10, "the nodes hardly ever met: {both_scored}");
}

#[test]
fn each_key_is_decided_once() {
    (0..400).for_each(run);
}

/// Who waits for a running request waits no longer than its own deadline, and that too is recorded.
#[test]
fn waiting_ends_with_the_deadline() {
    let sim = Sim::new(1);
    let context = sim.context();
    let bench = bench(&context, 1, Wishes::default());
    bench.ledger.set(Faults { slow: true, ..Faults::default() });
    let engine = Arc::clone(&bench.engine);
    let (first, second) = sim
        .run(async move {
            let mut hurried = ask(vec![keyed("{\"n\": 1}", "k")]);
            hurried.deadline = Some(context.deadline_in(Duration::from_micros(100)));
            futures_util::future::join(engine.decide(ask(vec![keyed("{\"n\": 1}", "k")])), engine.decide(hurried)).await
        })
        .done();
    assert!(first.is_ok());
    assert_eq!(second.unwrap_err().code(), "deadline_exceeded");
    sim.run_for(Duration::from_secs(1));
    let reasons: Vec<_> = bench.ledger.decisions().iter().map(|entry| entry.facts.reason.to_string()).collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons.contains(&"ok".to_owned()) && reasons.contains(&"failed".to_owned()), "{reasons:?}");
}

/// Time that passes between the stages counts too: what came too late for inference is recorded as failed, and its key
/// stays free.
#[test]
fn time_spent_between_stages_counts() {
    let sim = Sim::new(2);
    let context = sim.context();
    let bench = bench(&context, 2, Wishes::default());
    bench.ledger.set(Faults { slow: true, ..Faults::default() });
    let engine = Arc::clone(&bench.engine);
    let answers = sim.run(async move {
        let mut hurried = ask(vec![keyed("{\"n\": 1}", "k")]);
        hurried.deadline = Some(context.deadline_in(Duration::from_micros(20)));
        let late = engine.decide(hurried).await;
        (late, engine.decide(ask(vec![keyed("{\"n\": 1}", "k")])).await)
    });
    let (late, patient) = answers.done();
    assert_eq!(late.unwrap_err().code(), "deadline_exceeded");
    assert!(!patient.unwrap().items.remove(0).unwrap().replayed);
    let reasons: Vec<_> = bench.ledger.decisions().iter().map(|entry| entry.facts.reason.to_string()).collect();
    assert_eq!(reasons, ["failed", "ok"]);
    assert_eq!(bench.model.scored.load(Ordering::Relaxed), 1, "nothing was computed for the late one");
}
