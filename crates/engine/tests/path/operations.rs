//! The path as its operator sees it: refusals, counters, reload, callers who hang up, buffered records.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tendon_engine::{Runtime, Slot, ask::Answers};
use tendon_kernel::{
    ErrorKind, Result, Value,
    decision::Outcome,
    sockets::ledger::{EntryKind, ModelRef},
};
use tendon_plan::plan::{ExplainPlan, FallbackPlan, RecordPlan};

use crate::common::{Faults, FnModel, Wishes, ask, decide, json, keyed, one, plan, program, row, runtime, with, world};

#[test]
fn refusals_are_counted_not_decided() {
    let (sim, bench) = with(Wishes { in_flight: 1, ..Wishes::default() });
    bench.ledger.set(Faults { slow: true, ..Faults::default() });
    let mut unknown = ask(vec![json("{}")]);
    unknown.integration = "nobody".into();
    assert_eq!(decide(&sim, &bench, unknown).unwrap_err().kind(), ErrorKind::NotFound);
    let mut forbidden = ask(vec![json("{}")]);
    forbidden.caller.integrations = Some(["other".to_owned()].into());
    assert_eq!(decide(&sim, &bench, forbidden).unwrap_err().kind(), ErrorKind::Forbidden);
    let mut late = ask(vec![json("{}")]);
    late.deadline = Some(sim.context().deadline_in(Duration::ZERO));
    assert_eq!(decide(&sim, &bench, late).unwrap_err().kind(), ErrorKind::Timeout);
    let engine = Arc::clone(&bench.engine);
    let both = sim.run(async move {
        futures_util::future::join(engine.decide(ask(vec![json(r#"{"n": 1}"#)])), engine.decide(ask(vec![json("{}")])))
            .await
    });
    let (first, second) = both.done();
    assert!(first.is_ok());
    let error = second.unwrap_err();
    assert_eq!((error.kind(), error.retryable()), (ErrorKind::Overloaded, true));
    assert_eq!(bench.engine.in_flight(), 0, "the room was given back");
    let metrics = sim.context().metrics.render();
    assert!(metrics.lines().any(|line| line == "tendon_shed_total{priority=\"live\"} 1"), "{metrics}");
    sim.run_for(Duration::from_secs(61));
    let access: Vec<_> = bench.ledger.entries().into_iter().filter(|e| e.facts.kind == EntryKind::Access).collect();
    assert_eq!(access.len(), 1);
    let more: serde_json::Value = serde_json::from_slice(&access[0].body.as_ref().unwrap().more).unwrap();
    let expected = serde_json::json!({"refused": {
        "": {"integration_unknown": 1},
        "lead-score": {"integration_forbidden": 1, "deadline_passed": 1, "overloaded": 1},
    }});
    assert_eq!(more, expected);
    assert_eq!(bench.ledger.decisions().len(), 1);
}

#[test]
fn a_caller_who_hangs_up_cancels_nothing() {
    let (sim, bench) = world();
    bench.ledger.set(Faults { slow: true, ..Faults::default() });
    let (engine, context) = (Arc::clone(&bench.engine), sim.context());
    let hung_up = sim.run(async move {
        tokio::select! {
            biased;
            _ = engine.decide(ask(vec![json(r#"{"n": 1}"#)])) => false,
            () = context.clock.sleep(Duration::from_micros(1)) => true,
        }
    });
    assert!(hung_up.done(), "the ledger was too fast for this test");
    assert!(bench.ledger.decisions().is_empty());
    sim.run_for(Duration::from_secs(1));
    assert_eq!(bench.ledger.decisions().len(), 1);
}

#[test]
fn a_condition_chooses_what_is_explained() {
    let (sim, bench) = with(Wishes { explain: ExplainPlan::When(program("band == \"green\"")), ..Wishes::default() });
    let green = one(&sim, &bench, json(r#"{"n": 1, "job": "student"}"#)).unwrap();
    let yellow = one(&sim, &bench, json(r#"{"n": 1, "job": "admin"}"#)).unwrap();
    assert_eq!((green.decision.band.as_deref(), yellow.decision.band.as_deref()), (Some("green"), Some("yellow")));
    assert!(green.decision.explanation.is_some() && yellow.decision.explanation.is_none());
}

#[test]
fn buffered_decisions_say_so() {
    let (sim, bench) = with(Wishes { record: RecordPlan::Buffered, ..Wishes::default() });
    let answers =
        decide(&sim, &bench, ask(vec![json(r#"{"n": 1}"#), keyed(r#"{"n": 2}"#, "k"), row(3, Value::Null)])).unwrap();
    let durable: Vec<_> = answers.items.iter().map(|answer| answer.as_ref().unwrap().decision.durable).collect();
    assert_eq!(durable, [false, true, true], "a key and a delivery need the durable record");
    assert_eq!(bench.ledger.decisions().len(), 3);
}

#[test]
fn what_happened_is_counted() {
    let (sim, bench) = world();
    for text in [r#"{"n": 1}"#, r#"{"n": 2}"#, "{"] {
        drop(one(&sim, &bench, json(text)));
    }
    drop(one(&sim, &bench, keyed(r#"{"n": 1}"#, "k")));
    drop(one(&sim, &bench, keyed(r#"{"n": 1}"#, "k")));
    let text = sim.context().metrics.render();
    for line in [
        "tendon_decisions_total{integration=\"lead-score\",outcome=\"ok\"} 3",
        "tendon_decisions_total{integration=\"lead-score\",outcome=\"rejected\"} 1",
        "tendon_decisions_total{integration=\"lead-score\",outcome=\"failed\"} 0",
        "tendon_decisions_replayed_total{integration=\"lead-score\"} 1",
        "tendon_stage_duration_seconds_count{stage=\"record\"} 5",
        "tendon_decisions_in_flight 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
    }
}

#[test]
fn a_request_under_way_ends_with_the_plan_it_began_with() {
    let (sim, bench) = world();
    bench.ledger.set(Faults { slow: true, ..Faults::default() });
    let engine = Arc::clone(&bench.engine);
    let fallback = FallbackPlan { default: Some(0.1), ..FallbackPlan::default() };
    let (before, after) = sim
        .run(async move {
            let under_way = engine.decide(ask(vec![json(r#"{"n": 1}"#)]));
            let reload = async {
                engine.install(runtime(Wishes { fallback, ..Wishes::default() }, None));
                engine.decide(ask(vec![json(r#"{"n": 1}"#)])).await
            };
            futures_util::future::join(under_way, reload).await
        })
        .done();
    let outcome = |answers: Result<Answers>| answers.unwrap().items.remove(0).unwrap().decision.outcome;
    assert_eq!((outcome(before), outcome(after)), (Outcome::Ok, Outcome::Degraded));
}

#[test]
fn a_model_with_another_signature_is_not_installed() {
    let mut model = FnModel::new();
    Arc::get_mut(&mut model).unwrap().signature.features.swap(0, 1);
    let reference = ModelRef { name: "score".into(), version: "champion".into(), digest: "33".into() };
    let models = BTreeMap::from([(("score".to_owned(), "champion".to_owned()), Slot { reference, model })]);
    let error = Runtime::new(plan(Wishes::default()), models, &BTreeMap::new()).err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "signature_changed"));
}

#[test]
fn conflicts_are_told_of_like_refusals() {
    let (sim, bench) = world();
    for n in 0..4 {
        drop(one(&sim, &bench, keyed(&format!("{{\"n\": {n}}}"), "k")));
    }
    sim.run_for(Duration::from_secs(61));
    let entry = bench.ledger.entries().pop().unwrap();
    let more = String::from_utf8(entry.body.unwrap().more).unwrap();
    assert_eq!(
        (entry.facts.kind, more.as_str()),
        (EntryKind::Access, r#"{"refused":{"lead-score":{"idempotency_conflict":3}}}"#)
    );
}
