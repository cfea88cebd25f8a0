//! The path by examples: each way through it and out of it, and what stands in the ledger afterwards.

use tendon_engine::{
    ask::{Input, SourceRow},
    record_format::{More, Snapshot},
    replay::replay,
};
use tendon_kernel::{
    ErrorKind, Timestamp, Value,
    decision::{Door, Outcome, Rung},
};
use tendon_plan::plan::FallbackPlan;

use crate::common::{Faults, Wishes, ask, decide, json, keyed, one, program, row, runtime, with, world};

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
    assert!(answer.decision.repaired.is_empty(), "a wrong value is not a missing one: no default stands in for it");
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

    let fallback = FallbackPlan { default: Some(0.1), ..FallbackPlan::default() };
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
