//! The path by examples: each way through it and out of it, and what stands in the ledger afterwards.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::common::{Bench, Faults, FnModel, Wishes, ask, bench, json, keyed, plan, program, runtime};
use tendon_engine::{
    Runtime, Slot,
    ask::{Answer, Answers, Ask, Input, Item, SourceRow},
    record_format::{More, Snapshot},
    replay::replay,
};
use tendon_kernel::{
    ErrorKind, Result, Timestamp, Value,
    decision::{Door, Outcome, Rung},
    sockets::ledger::{EntryKind, ModelRef},
};
use tendon_plan::plan::{ExplainPlan, FallbackPlan, RecordPlan};
use tendon_testkit::Sim;

fn decide(sim: &Sim, bench: &Bench, ask: Ask) -> Result<Answers> {
    let engine = Arc::clone(&bench.engine);
    sim.run(async move { engine.decide(ask).await }).done()
}

fn one(sim: &Sim, bench: &Bench, item: Item) -> Result<Answer> {
    decide(sim, bench, ask(vec![item])).unwrap().items.remove(0)
}

fn world() -> (Sim, Bench) {
    with(Wishes::default())
}

fn with(wishes: Wishes) -> (Sim, Bench) {
    let sim = Sim::new(1);
    let bench = bench(&sim.context(), 1, wishes);
    (sim, bench)
}

fn row(n: i64, balance: Value) -> Item {
    let input = Input::Values(vec![Value::Int(n), balance, Value::Null, Value::Null, Value::Null]);
    let row = SourceRow { key: vec![Value::Int(n)], mark: Value::Time(Timestamp(5)), digest: [9; 16] };
    Item { input, idempotency_key: None, row: Some(row) }
}

#[test]
fn the_model_answers_and_the_record_tells_all() {
    let (sim, bench) = world();
    let text = r#"{"n": 1, "balance": 2143, "job": "student"}"#;
    let answer = one(&sim, &bench, json(text)).unwrap();
    let decision = &answer.decision;
    assert_eq!((decision.outcome, decision.degraded), (Outcome::Ok, None));
    assert_eq!(decision.band.as_deref(), Some("green"));
    assert_eq!(decision.subject.as_deref(), Some("1"));
    assert_eq!(decision.repaired.iter().map(|r| r.field.as_ref()).collect::<Vec<_>>(), ["days"]);
    let entry = bench.ledger.decisions().remove(0);
    assert_eq!((entry.seq, entry.facts.id), (answer.seq, decision.id));
    assert_eq!((entry.facts.reason.as_ref(), entry.facts.route.as_ref()), ("ok", "champion"));
    assert_eq!(entry.facts.model, decision.model);
    let body = entry.body.clone().unwrap();
    assert_eq!(body.subject.as_deref(), Some("1"));
    let snapshot = Snapshot::parse(&body.input).unwrap();
    assert_eq!(snapshot.now, decision.at);
    assert_eq!(snapshot.features, [2143.0, 1.0, -202.0, 1.0]);
    assert!(std::str::from_utf8(&body.input).unwrap().contains(text), "the raw input stands in the record as it came");
    assert_eq!(tendon_engine::stored::decision(&entry).unwrap(), **decision);
    let report = bench.engine.replay(&entry).unwrap();
    assert!(report.same && report.other_plan.is_none(), "{report:?}");
}

#[test]
fn refused_inputs_are_decisions_with_an_error() {
    let (sim, bench) = world();
    for (text, outcome, code, pointer) in [
        ("{\"n\": 1, ", Outcome::Rejected, "malformed_json", Some("")),
        ("[1]", Outcome::Rejected, "not_an_object", Some("")),
        ("{\"n\": NaN}", Outcome::Rejected, "malformed_json", Some("")),
        ("{\"n\": 1, \"n\": 2}", Outcome::Rejected, "duplicate_field", Some("/n")),
        ("{\"n\": 1, \"balanse\": 2}", Outcome::Rejected, "unknown_field", Some("/balanse")),
        ("{\"n\": 1.5}", Outcome::Rejected, "wrong_type", Some("/n")),
        ("{}", Outcome::Rejected, "missing_field", Some("/n")),
        ("{\"n\": 1, \"x\": [[[[[[[[[[1]]]]]]]]]]}", Outcome::Rejected, "too_deep", Some("")),
        ("{\"n\": 1, \"days\": 1001}", Outcome::Rejected, "out_of_range", Some("/days")),
        ("{\"n\": 1, \"job\": \"pirate\"}", Outcome::Rejected, "not_allowed", Some("/job")),
        ("{\"n\": 1, \"balance\": -200000}", Outcome::Rejected, "quality_rejected", None),
        ("{\"n\": 1, \"days\": 901}", Outcome::Quarantined, "quality_quarantined", None),
        ("{\"n\": 1, \"days\": 500}", Outcome::Rejected, "feature_failed", None),
    ] {
        let answer = one(&sim, &bench, json(text)).unwrap();
        let error = answer.decision.error.clone().unwrap();
        assert_eq!(
            (answer.decision.outcome, error.code.as_str(), error.pointer.as_deref()),
            (outcome, code, pointer),
            "{text}"
        );
        assert!(!error.retryable);
        let entry = bench.ledger.decisions().pop().unwrap();
        assert_eq!(entry.facts.reason.as_ref(), outcome.name());
        let body = entry.body.clone().unwrap();
        let Input::Json(raw) = Snapshot::parse(&body.input).unwrap().raw.into_input() else { panic!("not JSON") };
        assert_eq!(raw, text, "the raw input comes back");
        assert!(bench.engine.replay(&entry).unwrap().same, "{text}");
    }
    assert_eq!(bench.ledger.decisions().len(), 13);
}

#[test]
fn all_problems_are_told_at_once() {
    let (sim, bench) = world();
    let answer = one(&sim, &bench, json(r#"{"balanse": 1, "job": 5, "days": -1}"#)).unwrap();
    let error = answer.decision.error.clone().unwrap();
    assert!(error.message.starts_with("4 problems: "), "{}", error.message);
    for part in [
        "field balanse is not known",
        "field job must be of type text",
        "field days is out of range",
        "field n is required",
    ] {
        assert!(error.message.contains(part), "{}", error.message);
    }
    assert_eq!(error.hint.as_deref(), Some("did you mean balance?"));
}

#[test]
fn the_ladder_answers_for_the_model() {
    let (sim, bench) = world();
    bench.model.down.store(true, std::sync::atomic::Ordering::Relaxed);
    let answer = one(&sim, &bench, json(r#"{"n": 1, "balance": 6000}"#)).unwrap();
    assert_eq!((answer.decision.outcome, answer.decision.degraded), (Outcome::Degraded, Some(Rung::Rules)));
    assert_eq!((answer.decision.output, answer.decision.band.as_deref()), (Some(0.5), Some("yellow")));
    let entry = bench.ledger.decisions().remove(0);
    assert_eq!(entry.facts.route.as_ref(), "fallback:rules");
    let explanation = bench.engine.explain_stored(&entry).unwrap();
    assert_eq!(explanation.method.as_ref(), "rules");
    assert!(explanation.reasons[0].text.contains("input.balance > 5000.0"), "{explanation:?}");
    assert!(bench.engine.replay(&entry).unwrap().same);
    let failed = one(&sim, &bench, json(r#"{"n": 1, "balance": 60}"#)).unwrap();
    let error = failed.decision.error.clone().unwrap();
    assert_eq!(
        (failed.decision.outcome, error.code.as_str(), error.retryable),
        (Outcome::Failed, "model_unavailable", true)
    );

    let fallback = FallbackPlan { rules: Vec::new(), default: Some(0.1) };
    bench.engine.install(runtime(Wishes { fallback, ..Wishes::default() }, None));
    let answer = one(&sim, &bench, json(r#"{"n": 1}"#)).unwrap();
    assert_eq!((answer.decision.degraded, answer.decision.output), (Some(Rung::Default), Some(0.1)));
}

#[test]
fn bad_outputs_do_not_count() {
    let (sim, bench) = world();
    for balance in ["13", "14", "15"] {
        let answer = one(&sim, &bench, json(&format!(r#"{{"n": 1, "balance": {balance}}}"#))).unwrap();
        assert_eq!(answer.decision.outcome, Outcome::Failed, "balance {balance}");
    }
}

#[test]
fn a_key_answers_once() {
    let (sim, bench) = world();
    let first = one(&sim, &bench, keyed(r#"{"n": 1, "balance": 5}"#, "k")).unwrap();
    let again = one(&sim, &bench, keyed(r#"{ "balance": 5.0, "n": 1 }"#, "k")).unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!((again.decision, again.seq), (first.decision, first.seq));
    let conflict = one(&sim, &bench, keyed(r#"{"n": 2}"#, "k")).unwrap_err();
    assert_eq!((conflict.kind(), conflict.code()), (ErrorKind::Conflict, "idempotency_conflict"));
    assert_eq!(bench.ledger.decisions().len(), 1);

    let mut other = ask(vec![keyed(r#"{"n": 2}"#, "k")]);
    other.caller.scope = "other".into();
    assert!(!decide(&sim, &bench, other).unwrap().items.remove(0).unwrap().replayed, "another caller, another key");

    bench.ledger.erase_body(first.seq);
    let gone = one(&sim, &bench, keyed(r#"{"n": 1, "balance": 5}"#, "k")).unwrap_err();
    assert_eq!((gone.kind(), gone.code()), (ErrorKind::Gone, "decision_erased"));
}

#[test]
fn a_key_twice_in_a_batch() {
    let (sim, bench) = world();
    let items =
        vec![keyed(r#"{"n": 1}"#, "k"), json(r#"{"n": 2}"#), keyed(r#"{"n":1}"#, "k"), keyed(r#"{"n": 3}"#, "k")];
    let answers = decide(&sim, &bench, ask(items)).unwrap().items;
    let [first, other, again, conflict] = <[_; 4]>::try_from(answers).unwrap();
    assert!(again.as_ref().unwrap().replayed);
    assert_eq!(again.unwrap().decision.id, first.unwrap().decision.id);
    assert!(other.is_ok());
    assert_eq!(conflict.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(bench.ledger.decisions().len(), 2);
}

#[test]
fn a_retryable_failure_leaves_the_key_free() {
    let (sim, bench) = world();
    bench.model.down.store(true, std::sync::atomic::Ordering::Relaxed);
    let failed = one(&sim, &bench, keyed(r#"{"n": 1}"#, "k")).unwrap();
    assert_eq!(failed.decision.outcome, Outcome::Failed);
    bench.model.down.store(false, std::sync::atomic::Ordering::Relaxed);
    let answer = one(&sim, &bench, keyed(r#"{"n": 1}"#, "k")).unwrap();
    assert_eq!((answer.decision.outcome, answer.replayed), (Outcome::Ok, false));
    assert_eq!(bench.ledger.decisions().len(), 2);
}

#[test]
fn no_record_no_answer() {
    let (sim, bench) = world();
    bench.ledger.set(Faults { commit_fails: 100, ..Faults::default() });
    let error = one(&sim, &bench, row(1, Value::Float(9.0))).unwrap_err();
    assert_eq!((error.kind(), error.code(), error.retryable()), (ErrorKind::Unavailable, "ledger_unavailable", true));
    assert!(bench.sink.0.lock().unwrap().is_empty(), "what is not recorded is not delivered");
    bench.ledger.set(Faults::default());
    assert!(one(&sim, &bench, row(1, Value::Float(9.0))).is_ok());
}

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
    sim.run_for(Duration::from_secs(61));
    let access: Vec<_> = bench.ledger.entries().into_iter().filter(|e| e.facts.kind == EntryKind::Access).collect();
    assert_eq!(access.len(), 1);
    let more: serde_json::Value = serde_json::from_slice(&access[0].body.as_ref().unwrap().more).unwrap();
    let expected = serde_json::json!({"refused": {
        "": {"integration_unknown": 1},
        "lead-score": {"integration_forbidden": 1, "deadline_exceeded": 1, "overloaded": 1},
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
fn a_row_is_written_back_under_its_conditions() {
    let (sim, bench) = world();
    let mut rows = ask(vec![row(7, Value::Float(9.5)), row(8, Value::Float(-200_000.0)), json(r#"{"n": 9}"#)]);
    rows.door = Door::Events;
    let answers = decide(&sim, &bench, rows).unwrap();
    let answer = answers.items[0].as_ref().unwrap();
    let handed = bench.sink.0.lock().unwrap().clone();
    assert_eq!(handed.len(), 1, "no delivery for what was refused or came from no row");
    let (seq, decision, deliveries) = &handed[0];
    assert_eq!((*seq, decision.id), (answer.seq, answer.decision.id));
    let entries = bench.ledger.decisions();
    let more = More::parse(&entries[0].body.as_ref().unwrap().more).unwrap();
    assert!(more.deliveries == *deliveries, "the entry holds what was handed over");
    assert_eq!(
        more.row,
        Some(SourceRow { key: vec![Value::Int(7)], mark: Value::Time(Timestamp(5)), digest: [9; 16] })
    );
    let delivery = &deliveries[0];
    assert_eq!(delivery.key, [("id".into(), Value::Int(7))]);
    assert_eq!(delivery.set[0], ("score".into(), Value::Float(decision.output.unwrap())));
    assert_eq!(delivery.set[1], ("score_band".into(), Value::text(decision.band.as_deref().unwrap())));
    assert_eq!(delivery.older, Some(("scored_at".into(), decision.at)));
    let expect: Vec<_> = delivery.expect.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    assert_eq!(
        expect,
        [
            ("n", Value::Int(7)),
            ("balance", Value::Float(9.5)),
            ("job", Value::Null),
            ("at", Value::Null),
            ("days", Value::Null)
        ],
        "as read: the default that stood in for days is not in the row"
    );
    let letter = More::parse(&entries[1].body.as_ref().unwrap().more).unwrap().letter.unwrap();
    assert_eq!((letter.cause.code.as_str(), letter.system.as_ref()), ("quality_rejected", "crm"));
    assert_eq!(letter.key, [("id".into(), Value::Int(8))]);
}

#[test]
fn a_write_back_that_cannot_be_made_is_a_letter() {
    let set = vec![("score".into(), program("100 / (input.n - 7)"))];
    let (sim, bench) = with(Wishes { set, ..Wishes::default() });
    let answer = one(&sim, &bench, row(7, Value::Null)).unwrap();
    assert_eq!(answer.decision.outcome, Outcome::Ok, "the decision stands");
    let more = More::parse(&bench.ledger.decisions()[0].body.as_ref().unwrap().more).unwrap();
    assert!(more.deliveries.is_empty() && more.letter.is_some());
    assert!(bench.sink.0.lock().unwrap().is_empty());
}

#[test]
fn explained_now_or_later_is_the_same() {
    let (sim, bench) = world();
    let mut asked = ask(vec![json(r#"{"n": 1, "balance": 2143, "job": "student"}"#)]);
    asked.explain = true;
    let now = decide(&sim, &bench, asked).unwrap().items.remove(0).unwrap().decision.explanation.clone().unwrap();
    assert_eq!(now.reasons[0].text, "job = student raises the score");
    assert_eq!(now.reasons[1].text, "balance = 2143 raises the score");
    one(&sim, &bench, json(r#"{"n": 1, "balance": 2143, "job": "student"}"#)).unwrap();
    let entries = bench.ledger.decisions();
    assert!(entries[1].body.as_ref().unwrap().explanation.is_empty());
    for entry in &entries {
        assert_eq!(bench.engine.explain_stored(entry).unwrap(), now);
    }
    assert_eq!(tendon_engine::stored::decision(&entries[0]).unwrap().explanation, Some(now));
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
fn replay_shows_what_changed() {
    let (sim, bench) = world();
    one(&sim, &bench, json(r#"{"n": 1, "job": "student"}"#)).unwrap();
    let mut entry = bench.ledger.decisions().remove(0);
    let body = entry.body.as_mut().unwrap();
    let text = String::from_utf8(body.output.clone()).unwrap();
    body.output = text.replace("\"band\":\"green\"", "\"band\":\"red\"").into_bytes();
    let report = replay(&entry, &bench.engine.runtime()).unwrap();
    let differing: Vec<_> = report.differences.iter().map(|difference| difference.what.as_str()).collect();
    assert_eq!(differing, ["band"]);
    let error = replay(&bench.ledger.decisions()[0], &runtime(Wishes::default(), None)).unwrap_err();
    assert_eq!(error.code(), "model_not_loaded");
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
        "tendon_replayed_total{integration=\"lead-score\"} 1",
        "tendon_stage_seconds_count{stage=\"record\"} 5",
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
    let fallback = FallbackPlan { rules: Vec::new(), default: Some(0.1) };
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
