//! The last rung: a person. What nothing else answered is recorded and waits; a verdict is one entry with all its effects, and
//! of several at once exactly one counts.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use proptest::prelude::*;
use tendon_engine::{
    Runtime,
    record_format::More,
    requests::Request,
    reviews::{ReviewsProjection, Verdict, Wish},
};
use tendon_kernel::{
    Error, Id, Result, Value,
    decision::{Decision, Outcome, ReviewState, Rung},
    sockets::{
        ledger::{Entry, EntryKind, Facts, Ledger as _, Projection as _},
        store::{Batch, Store},
    },
};
use tendon_plan::{
    callback::CallbackPlan,
    plan::{ApiPlan, FallbackPlan, HumanPlan, RecordPlan, ReviewPlan},
};
use tendon_platform::MemoryCache;
use tendon_testkit::{Promise, Rng, Sim};

use crate::{
    common::{
        Bench, Faults, INTEGRATION, Wishes, ask, bench, caller, decide, json, keyed, node, one, plan, program, row,
        with,
    },
    recall::cache,
};

fn human(most: usize) -> Wishes {
    let human = Some(HumanPlan { most, ..HumanPlan::default() });
    Wishes { fallback: FallbackPlan { human, ..FallbackPlan::default() }, ..Wishes::default() }
}

/// A world whose model has failed.
fn down(wishes: Wishes) -> (Sim, Bench) {
    let (sim, bench) = with(wishes);
    bench.model.down.store(true, Ordering::Relaxed);
    (sim, bench)
}

fn wish(id: Id, verdict: Verdict) -> Wish {
    Wish { id, verdict, caller: "key_7".into(), by: "Ada, credit desk".into(), note: Some("called her".into()) }
}

fn give(sim: &Sim, bench: &Bench, id: Id, verdict: Verdict) -> Result<Decision> {
    let engine = Arc::clone(&bench.engine);
    sim.run(async move { engine.review(wish(id, verdict)).await }).done()
}

fn code(result: Result<Decision>) -> &'static str {
    result.as_ref().map_or_else(Error::code, |_| "ok")
}

fn waiting(bench: &Bench) -> Vec<Id> {
    bench.engine.reviews().list(None, usize::MAX, |_| true).into_iter().map(|one| one.id).collect()
}

fn verdicts(bench: &Bench) -> Vec<Entry> {
    bench.ledger.entries().into_iter().filter(|entry| entry.facts.kind == EntryKind::Review).collect()
}

/// Projects entries as they are now.
fn project(sim: &Sim, bench: &Bench, store: &Arc<dyn Store>, entries: Vec<Entry>) {
    let (store, tokens) = (Arc::clone(store), bench.ledger.tokens());
    sim.run(async move {
        for entry in entries {
            let mut batch = Batch::default();
            ReviewsProjection.project(&entry, &*tokens, &mut batch).unwrap();
            store.write(batch).await.unwrap();
        }
    })
    .done();
}

fn erase(sim: &Sim, bench: &Bench, subject: &str) {
    let facts = Facts { reason: "erased".into(), ..bench.ledger.decisions()[0].facts.clone() };
    let (engine, subject) = (Arc::clone(&bench.engine), subject.to_owned());
    sim.run(async move {
        let _held = engine.reviews().hold().await;
        let erased = engine.erase(&subject, facts).await.unwrap();
        engine.reviews_erased(&erased).await;
    })
    .done();
}

#[test]
fn what_nothing_else_answers_waits_for_a_person_and_is_delivered_once_answered() {
    let (sim, bench) = down(Wishes { record: RecordPlan::Buffered, ..human(10) });
    let answer = one(&sim, &bench, row(7, Value::Float(900.0))).unwrap();
    let decision = &answer.decision;
    assert_eq!((decision.outcome, decision.degraded), (Outcome::Degraded, Some(Rung::Human)));
    assert_eq!((decision.output, &decision.band, decision.durable), (None, &None, true), "what waits is durable");
    let review = decision.review.unwrap();
    assert_eq!((review.state, review.at), (ReviewState::Pending, None));
    assert_eq!(review.due, decision.at.plus(Duration::from_secs(48 * 3600)));
    let recorded = bench.ledger.decisions().remove(0);
    assert_eq!((&*recorded.facts.route, &*recorded.facts.reason), ("fallback:human", "degraded"));
    let more = More::parse(&recorded.body.as_ref().unwrap().more).unwrap();
    assert!(more.deliveries.is_empty() && more.letter.is_none(), "nothing is delivered, and nothing is dead");
    assert!(more.row.is_some(), "the watch knows that it has asked about the row");
    assert_eq!((waiting(&bench), bench.sink.0.lock().unwrap().len()), (vec![decision.id], 0));

    for (wrong, why) in [(1.5, "output_out_of_range"), (f64::NAN, "output_out_of_range")] {
        assert_eq!(code(give(&sim, &bench, decision.id, Verdict::Override(wrong))), why);
    }
    assert_eq!(code(give(&sim, &bench, decision.id, Verdict::Approve)), "nothing_to_approve");
    let stands = give(&sim, &bench, decision.id, Verdict::Override(0.8)).unwrap();
    assert_eq!((stands.output, stands.band.as_deref()), (Some(0.8), Some("green")));
    assert_eq!(stands.review.unwrap().state, ReviewState::Overridden);

    // One entry: the verdict, sealed with the subject's key, and the delivery that the model's answer would have caused.
    let verdict = verdicts(&bench).remove(0);
    let body = verdict.body.as_ref().unwrap();
    assert_eq!(body.subject, decision.subject);
    assert_eq!((&*verdict.facts.reason, &*verdict.facts.caller, verdict.facts.id), ("override", "key_7", decision.id));
    assert!(!format!("{:?}", verdict.facts).contains("Ada"), "a person's name stands in a leaf");
    let more = More::parse(&body.more).unwrap();
    assert_eq!(more.reviewed, Some(answer.seq));
    let delivery = &more.deliveries[0];
    assert_eq!(delivery.key, [("id".to_owned(), Value::Int(7))]);
    let set = [("score".to_owned(), Value::Float(0.8)), ("score_band".to_owned(), Value::text("green"))];
    assert_eq!(delivery.set, set);
    assert!(delivery.expect.contains(&("balance".to_owned(), Value::Float(900.0))), "{:?}", delivery.expect);
    assert_eq!(delivery.older, Some(("scored_at".to_owned(), decision.at)), "it never overwrites a newer decision");
    let told: Vec<u64> = bench.sink.1.lock().unwrap().iter().map(|entry| entry.seq).collect();
    assert_eq!((told, waiting(&bench)), (vec![verdict.seq], vec![]));

    for second in [Verdict::Override(0.7), Verdict::Reject, Verdict::Approve] {
        assert_eq!(code(give(&sim, &bench, decision.id, second)), "review_closed");
    }
    // The same once more, as a client sends that did not hear the answer: it is heard now, and nothing else happens.
    assert_eq!(give(&sim, &bench, decision.id, Verdict::Override(0.8)).unwrap(), stands);
    let engine = Arc::clone(&bench.engine);
    for other in [
        Wish { caller: "key_8".into(), ..wish(decision.id, Verdict::Override(0.8)) },
        Wish { by: "Bob".into(), ..wish(decision.id, Verdict::Override(0.8)) },
        Wish { note: None, ..wish(decision.id, Verdict::Override(0.8)) },
    ] {
        let engine = Arc::clone(&engine);
        assert_eq!(code(sim.run(async move { engine.review(other).await }).done()), "review_closed");
    }
    assert_eq!((verdicts(&bench).len(), bench.sink.1.lock().unwrap().len()), (1, 1));
    let entry = recorded.clone();
    let listed = sim.run(async move { engine.standing(&entry).await }).done().unwrap();
    assert_eq!(listed, Some(stands), "a list shows it as it stands");
    // What the machine did is replayed as it was, with the model well again.
    bench.model.down.store(false, Ordering::Relaxed);
    let report = bench.engine.replay(&recorded).unwrap();
    assert!(report.same, "{report:?}");
    let well = one(&sim, &bench, row(8, Value::Float(900.0))).unwrap();
    assert!(well.decision.review.is_none());
    assert_eq!(code(give(&sim, &bench, well.decision.id, Verdict::Reject)), "not_under_review");
    assert_eq!(code(give(&sim, &bench, Id([9; 16]), Verdict::Reject)), "review_not_found");
}

#[test]
fn who_asks_again_is_told_how_it_stands() {
    let (sim, bench) = down(human(10));
    let asked = || one(&sim, &bench, keyed(r#"{"n": 1}"#, "k")).unwrap();
    let first = asked();
    let again = asked();
    assert!(again.replayed && again.decision.awaits_review());
    assert_eq!((again.decision.id, bench.ledger.decisions().len()), (first.decision.id, 1), "the key is bound");
    give(&sim, &bench, first.decision.id, Verdict::Override(0.5)).unwrap();
    let answered = asked();
    assert!(answered.replayed && !answered.decision.awaits_review());
    assert_eq!((answered.decision.output, answered.decision.band.as_deref()), (Some(0.5), Some("yellow")));
    // Rejected: the end, without an output and without a delivery.
    let other = one(&sim, &bench, row(2, Value::Null)).unwrap();
    let rejected = give(&sim, &bench, other.decision.id, Verdict::Reject).unwrap();
    assert_eq!((rejected.output, rejected.review.unwrap().state), (None, ReviewState::Rejected));
    let more = More::parse(&verdicts(&bench)[1].body.as_ref().unwrap().more).unwrap();
    assert!(more.deliveries.is_empty());
}

#[test]
fn so_many_wait_and_no_more() {
    let (sim, bench) = down(human(2));
    bench.ledger.set(Faults { commit_fails: 100, ..Faults::default() });
    for _ in 0..5 {
        assert_eq!(one(&sim, &bench, json(r#"{"n": 0}"#)).unwrap_err().code(), "ledger_unavailable");
    }
    bench.ledger.set(Faults::default());
    let items = (1..=3).map(|n| keyed(&format!("{{\"n\": {n}}}"), &format!("k{n}"))).collect();
    let answers: Vec<_> = decide(&sim, &bench, ask(items)).unwrap().items.into_iter().map(Result::unwrap).collect();
    let full = &answers[2].decision;
    assert_eq!((full.outcome, full.error.as_ref().unwrap().code.as_str()), (Outcome::Failed, "too_many_reviews"));
    assert!(full.error.as_ref().unwrap().retryable && full.review.is_none() && full.degraded.is_none());
    assert_eq!(waiting(&bench).len(), 2, "places of what was not recorded are free again");
    give(&sim, &bench, answers[0].decision.id, Verdict::Reject).unwrap();
    // The key was not bound, and there is room again.
    assert!(one(&sim, &bench, keyed(r#"{"n": 3}"#, "k3")).unwrap().decision.awaits_review());
    assert!(bench.engine.replay(&bench.ledger.decisions()[2]).unwrap().same);
    let text = sim.context().metrics.render();
    for line in ["tendon_reviews_pending 2", "tendon_reviews_total{verdict=\"reject\"} 1"] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
    }
}

#[test]
fn nothing_of_it_is_kept_in_the_cache() {
    let sim = Sim::new(1);
    let plan = cache(Duration::from_secs(60), Duration::from_secs(3600));
    let bench = bench(&sim.context(), 1, Wishes { cache: Some(plan), ..human(10) });
    bench.engine.keep_answers_in(Arc::new(MemoryCache::new(&sim.context(), 1 << 20)));
    let text = r#"{"n": 1, "balance": 900}"#;
    one(&sim, &bench, json(text)).unwrap();
    sim.run_for(Duration::from_secs(120));
    bench.model.down.store(true, Ordering::Relaxed);
    // The answer is stale: it is given, and renewed aside. Nobody asked for the renewal, so nobody is asked to answer it.
    let stale = one(&sim, &bench, json(text)).unwrap();
    sim.run_for(Duration::from_secs(5));
    assert!(stale.decision.recalled.as_ref().unwrap().stale);
    assert_eq!(waiting(&bench), []);
    let other = r#"{"n": 2, "balance": 900}"#;
    let first = one(&sim, &bench, json(other)).unwrap();
    give(&sim, &bench, first.decision.id, Verdict::Override(0.9)).unwrap();
    let second = one(&sim, &bench, json(other)).unwrap();
    assert!(second.decision.recalled.is_none() && second.decision.awaits_review(), "a person's answer is no model's");
}

#[test]
fn an_erasure_ends_what_waits_for_its_subject() {
    let (sim, bench) = down(human(10));
    let ids: Vec<Id> = (1..=2).map(|n| one(&sim, &bench, row(n, Value::Null)).unwrap().decision.id).collect();
    erase(&sim, &bench, "1");
    assert_eq!(waiting(&bench), [ids[1]]);
    assert_eq!(code(give(&sim, &bench, ids[0], Verdict::Override(0.5))), "decision_erased");
    assert!(verdicts(&bench).is_empty() && bench.sink.1.lock().unwrap().is_empty());
    give(&sim, &bench, ids[1], Verdict::Override(0.5)).unwrap();
}

#[test]
fn whoever_asked_to_be_told_is_told_of_the_answer() {
    let (sim, bench) = down(human(10));
    let url = "https://caller.example/told";
    let mut declared = plan(human(10));
    let one = Arc::get_mut(Arc::get_mut(&mut declared).unwrap().integrations.get_mut(INTEGRATION).unwrap()).unwrap();
    let callback = CallbackPlan {
        to: url.into(),
        origin: "https://caller.example".into(),
        secret: "${env:SECRET}".into(),
        old_secret: None,
        timeout: Duration::from_secs(1),
        give_up: Duration::from_secs(60),
    };
    one.api = Some(ApiPlan { callbacks: vec![callback], ..ApiPlan::default() });
    bench.engine.install(Runtime::new(declared, BTreeMap::new(), &BTreeMap::new()).unwrap());
    let (engine, store) = (Arc::clone(&bench.engine), sim.store(Promise::Projections));
    let accepted = sim.run(async move {
        let request = Request {
            caller: caller(),
            integration: INTEGRATION.into(),
            input: r#"{"n": 1}"#.into(),
            idempotency_key: None,
            explain: false,
            callback: Some(url.into()),
            deadline: None,
        };
        let accepted = engine.accept(request).await.unwrap();
        engine.begin_requests(&*store).await.unwrap();
        accepted
    });
    let id = accepted.done().id;
    sim.run_for(Duration::from_secs(1));
    assert_eq!((bench.engine.requests().pending(), waiting(&bench)), (0, vec![id]), "decided: a person has to answer");
    let more = More::parse(&bench.ledger.decisions()[0].body.as_ref().unwrap().more).unwrap();
    assert!(more.deliveries.is_empty(), "nobody is called before there is an answer");
    give(&sim, &bench, id, Verdict::Reject).unwrap();
    let more = More::parse(&verdicts(&bench)[0].body.as_ref().unwrap().more).unwrap();
    assert_eq!((more.deliveries.len(), &*more.deliveries[0].resource), (1, url));
}

#[test]
fn a_verdict_that_cannot_take_effect_is_refused() {
    let (sim, bench) = down(human(10));
    let id = one(&sim, &bench, row(1, Value::Null)).unwrap().decision.id;
    let mut moved = plan(human(10));
    let integration =
        Arc::get_mut(Arc::get_mut(&mut moved).unwrap().integrations.get_mut(INTEGRATION).unwrap()).unwrap();
    integration.events.as_mut().unwrap().resource = "contacts".into();
    bench.engine.install(Runtime::new(moved, BTreeMap::new(), &BTreeMap::new()).unwrap());
    assert_eq!(code(give(&sim, &bench, id, Verdict::Override(0.5))), "review_outdated", "the row is another table's");
    bench.engine.install(Runtime::new(Arc::default(), BTreeMap::new(), &BTreeMap::new()).unwrap());
    assert_eq!(code(give(&sim, &bench, id, Verdict::Override(0.5))), "review_outdated", "the integration is gone");
    assert_eq!(waiting(&bench), [id]);
    give(&sim, &bench, id, Verdict::Reject).unwrap();
}

#[test]
fn of_verdicts_at_once_exactly_one_counts() {
    for seed in 0..200 {
        let sim = Sim::new(seed);
        let one = bench(&sim.context(), seed, human(10));
        // Two engines over one ledger: the ledger decides, not a lock in memory.
        let other = node(&sim.context(), Arc::clone(&one.ledger), human(10));
        one.model.down.store(true, Ordering::Relaxed);
        let id = crate::common::one(&sim, &one, row(1, Value::Null)).unwrap().decision.id;
        one.ledger.set(Faults { slow: true, commit_fails: 20, ..Faults::default() });
        let mut rng = Rng::stream(seed, "verdicts");
        let asked = (0..6).map(|n| {
            let verdict = if n >= 4 {
                Verdict::Override(0.9)
            } else if rng.chance(30, 100) {
                Verdict::Reject
            } else {
                Verdict::Override(f64::from(n) / 10.0)
            };
            let engine = Arc::clone(if rng.chance(50, 100) { &one.engine } else { &other.engine });
            // Each is somebody else's, but for the last two: those are one that was sent twice.
            let asked = Wish { by: format!("person {}", n.min(4)), ..wish(id, verdict) };
            async move { (verdict, engine.review(asked).await) }
        });
        let asked: Vec<_> = asked.collect();
        let results = sim.run(futures_util::future::join_all(asked)).done();
        let won: Vec<_> =
            results.iter().filter_map(|(verdict, result)| Some((verdict, result.as_ref().ok()?))).collect();
        assert_eq!(won.is_empty(), verdicts(&one).is_empty(), "seed {seed}: {results:?}");
        assert!(verdicts(&one).len() <= 1, "seed {seed}: {results:?}");
        let twice = won.iter().all(|(verdict, _)| **verdict == Verdict::Override(0.9));
        assert!(won.len() <= 1 || (won.len() == 2 && twice), "seed {seed}: {results:?}");
        for (_, result) in &results {
            let why = result.as_ref().map_or_else(Error::code, |_| "ok");
            assert!(["ok", "review_closed", "ledger_unavailable"].contains(&why), "seed {seed}: {why}");
        }
        let told = one.sink.1.lock().unwrap().len() + other.sink.1.lock().unwrap().len();
        assert_eq!(told, verdicts(&one).len(), "seed {seed}: what is recorded is handed over once");
        if let [(Verdict::Override(output), stands), ..] = won[..] {
            assert_eq!(stands.output, Some(*output), "seed {seed}");
        }
    }
}

/// A person answers what nothing else did, and sees what is red before it is delivered.
fn both() -> Wishes {
    let people = HumanPlan { most: 5, ..HumanPlan::default() };
    Wishes { review: Some(ReviewPlan { when: program("band == \"red\""), hold: true, people }), ..human(5) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens: memory, what was projected as it happened, and what is projected anew from the whole record know the
    /// same.
    #[test]
    fn memory_and_projection_agree(steps in prop::collection::vec((0u8..5, 0usize..8), 1..40)) {
        let (sim, bench) = with(both());
        let mut asked = Vec::new();
        let along: Arc<dyn Store> = sim.store(Promise::Projections);
        let mut seen = 0;
        for (step, pick) in steps {
            bench.model.down.store(step != 0, Ordering::Relaxed);
            match step {
                0..=2 => asked.push(one(&sim, &bench, row(i64::try_from(pick).unwrap(), Value::Null)).unwrap().decision.id),
                3 => {
                    let verdict = if pick % 2 == 0 { Verdict::Reject } else { Verdict::Override(0.5) };
                    if let Some(id) = asked.get(pick) {
                        drop(give(&sim, &bench, *id, verdict));
                    }
                }
                _ if asked.is_empty() => {}
                _ => erase(&sim, &bench, &pick.to_string()),
            }
            let entries = bench.ledger.entries();
            project(&sim, &bench, &along, entries[seen..].to_vec());
            seen = entries.len();
        }
        // The erased are closed in the one, and were open in the other.
        let anew: Arc<dyn Store> = sim.store(Promise::Projections);
        project(&sim, &bench, &anew, bench.ledger.entries());
        for store in [along, anew] {
            let next = node(&sim.context(), Arc::clone(&bench.ledger), both());
            let engine = Arc::clone(&next.engine);
            sim.run(async move { engine.begin_reviews(&*store).await }).done().unwrap();
            prop_assert_eq!(waiting(&bench), waiting(&next));
        }
        let mut left: Vec<Id> = Vec::new();
        for id in asked {
            let engine = Arc::clone(&bench.engine);
            let seen = sim.run(async move { engine.review_of(id, true).await }).done();
            left.extend(seen.ok().filter(|review| review.state == ReviewState::Pending).map(|review| review.id));
        }
        prop_assert_eq!(waiting(&bench), left);
    }
}
