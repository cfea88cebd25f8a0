//! Requests that are decided later: how many may wait, who waits for them, and what they wait for.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tendon_engine::{
    Engine, Runtime,
    requests::{Accepted, Request},
};
use tendon_kernel::{Result, sockets::ledger::EntryKind};
use tendon_plan::{
    Plan,
    plan::{RecordPlan, ServerLimits},
};
use tendon_testkit::{Promise, Sim};

use crate::common::{Bench, Faults, INTEGRATION, Wishes, ask, caller, keyed, plan, runtime, with, world};

fn request(n: i64, key: Option<&str>) -> Request {
    Request {
        caller: caller(),
        integration: INTEGRATION.into(),
        input: format!("{{\"n\": {n}}}").into(),
        idempotency_key: key.map(Into::into),
        explain: false,
        callback: None,
        deadline: None,
    }
}

fn accept(sim: &Sim, bench: &Bench, request: Request) -> Result<Accepted> {
    let engine = Arc::clone(&bench.engine);
    sim.run(async move { engine.accept(request).await }).done()
}

/// Starts the workers on an empty projection.
fn begin(sim: &Sim, engine: &Arc<Engine>) {
    let (store, engine) = (sim.store(Promise::Projections), Arc::clone(engine));
    sim.run(async move { engine.begin_requests(&*store).await }).done().unwrap();
}

fn of_kind(bench: &Bench, kind: EntryKind) -> usize {
    bench.ledger.entries().iter().filter(|entry| entry.facts.kind == kind).count()
}

#[test]
fn so_many_wait_and_no_more() {
    let (sim, bench) = world();
    let mut limited = plan(Wishes::default());
    Arc::get_mut(&mut limited).unwrap().limits = ServerLimits { requests: 3, ..ServerLimits::default() };
    bench.engine.install(Runtime::new(limited, BTreeMap::new(), &BTreeMap::new()).unwrap());
    let first = accept(&sim, &bench, request(1, Some("k"))).unwrap();
    accept(&sim, &bench, request(2, None)).unwrap();
    accept(&sim, &bench, request(3, None)).unwrap();
    assert_eq!(accept(&sim, &bench, request(4, None)).unwrap_err().code(), "too_many_requests");
    // Who asks again is told what was promised, however full it is; another input is a conflict all the same.
    assert_eq!(accept(&sim, &bench, request(1, Some("k"))).unwrap(), Accepted { replayed: true, ..first });
    assert_eq!(accept(&sim, &bench, request(2, Some("k"))).unwrap_err().code(), "idempotency_conflict");
    assert_eq!((bench.engine.requests().pending(), of_kind(&bench, EntryKind::Request)), (3, 3));
    begin(&sim, &bench.engine);
    sim.run_for(Duration::from_secs(1));
    assert_eq!((bench.engine.requests().pending(), bench.ledger.decisions().len()), (0, 3));
    accept(&sim, &bench, request(4, None)).unwrap();
}

#[test]
fn who_asks_at_once_with_the_same_key_waits_for_it() {
    let (sim, bench) = world();
    let accepted = accept(&sim, &bench, request(1, Some("k"))).unwrap();
    // Nobody decides yet: the deadline ends the wait.
    let engine = Arc::clone(&bench.engine);
    let late = sim.run(async move { engine.decide(ask(vec![keyed("{\"n\": 1}", "k")])).await }).done();
    let late = late.and_then(|mut answers| answers.items.remove(0));
    assert_eq!(late.unwrap_err().code(), "deadline_exceeded");
    let (engine, store) = (Arc::clone(&bench.engine), sim.store(Promise::Projections));
    let answers = sim.run(async move {
        let waiting = engine.decide(ask(vec![keyed("{ \"n\":1 }", "k")]));
        let (answers, begun) = futures_util::future::join(waiting, engine.begin_requests(&*store)).await;
        begun.unwrap();
        answers
    });
    let answer = answers.done().unwrap().items.remove(0).unwrap();
    assert_eq!((answer.decision.id, answer.replayed), (accepted.id, true));
    assert_eq!(bench.ledger.decisions().len(), 1);
}

#[test]
fn a_request_waits_for_an_integration_that_comes_back() {
    let (sim, bench) = world();
    let accepted = accept(&sim, &bench, request(1, None)).unwrap();
    bench.engine.install(Runtime::new(Arc::new(Plan::default()), BTreeMap::new(), &BTreeMap::new()).unwrap());
    begin(&sim, &bench.engine);
    sim.run_for(Duration::from_secs(5));
    assert_eq!((bench.engine.requests().pending(), bench.ledger.decisions().len()), (1, 0));
    bench.engine.install(runtime(Wishes::default(), Some(bench.model.clone())));
    sim.run_for(Duration::from_secs(1));
    let decisions = bench.ledger.decisions();
    assert_eq!((decisions.len(), decisions[0].facts.id), (1, accepted.id));
    let engine = Arc::clone(&bench.engine);
    sim.run(async move { engine.end_requests().await }).done();
    assert!(sim.tasks().is_empty(), "{:?}", sim.tasks());
}

/// Where answers need not wait for their record, those that were promised do: a crash must not change what was read.
#[test]
fn a_promised_decision_is_durable() {
    let (sim, bench) = with(Wishes { record: RecordPlan::Buffered, ..Wishes::default() });
    accept(&sim, &bench, request(1, None)).unwrap();
    begin(&sim, &bench.engine);
    sim.run_for(Duration::from_secs(1));
    let decision = tendon_engine::stored::decision(&bench.ledger.decisions()[0]).unwrap();
    assert!(decision.durable);
}

/// While the room is taken by others, requests wait; a single one is not starved by an empty house.
#[test]
fn requests_leave_half_of_the_room() {
    let (sim, bench) = with(Wishes { in_flight: 1, ..Wishes::default() });
    for n in 0..40 {
        accept(&sim, &bench, request(n, None)).unwrap();
    }
    // Long enough for the workers to meet.
    bench.ledger.set(Faults { service: Duration::from_millis(10), ..Faults::default() });
    begin(&sim, &bench.engine);
    sim.run_for(Duration::from_secs(5));
    assert_eq!(bench.ledger.decisions().len(), 40);
    let metrics = sim.context().metrics.render();
    let line = "tendon_shed_total{priority=\"backfill\"} 0";
    assert!(metrics.lines().any(|found| found == line), "who waits for room is not refused: {metrics}");
}
