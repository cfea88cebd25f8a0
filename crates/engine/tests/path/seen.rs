//! Answers that a person has to see: held back until the verdict, or delivered and looked at after.

use std::{sync::Arc, time::Duration};

use tendon_engine::{
    record_format::More,
    reviews::{Verdict, Wish},
};
use tendon_kernel::{
    Error, Id, Result, Value,
    decision::{Decision, Outcome, ReviewState},
    sockets::ledger::{Entry, EntryKind},
};
use tendon_plan::plan::{HumanPlan, RecordPlan, ReviewPlan};
use tendon_platform::MemoryCache;
use tendon_testkit::Sim;

use crate::{
    common::{Bench, Wishes, bench, json, keyed, one, program, row, with},
    recall::cache,
};

/// A person sees what is green.
fn seen(hold: bool, most: usize) -> Wishes {
    let people = HumanPlan { most, ..HumanPlan::default() };
    Wishes { review: Some(ReviewPlan { when: program("band == \"green\""), hold, people }), ..Wishes::default() }
}

fn green(id: i64) -> tendon_engine::ask::Item {
    row(id, Value::Float(9000.0))
}

fn give(sim: &Sim, bench: &Bench, id: Id, verdict: Verdict) -> Result<Decision> {
    let engine = Arc::clone(&bench.engine);
    let wish = Wish { id, verdict, caller: "key_7".into(), by: "Ada".into(), note: None };
    sim.run(async move { engine.review(wish).await }).done()
}

fn code(result: Result<Decision>) -> &'static str {
    result.as_ref().map_or_else(Error::code, |_| "ok")
}

fn waiting(bench: &Bench) -> Vec<Id> {
    bench.engine.reviews().list(None, usize::MAX, |_| true).into_iter().map(|one| one.id).collect()
}

fn more(entry: &Entry) -> More {
    More::parse(&entry.body.as_ref().unwrap().more).unwrap()
}

fn last_verdict(bench: &Bench) -> Entry {
    bench.ledger.entries().into_iter().rfind(|entry| entry.facts.kind == EntryKind::Review).unwrap()
}

fn recorded(bench: &Bench, id: Id) -> Entry {
    bench.ledger.decisions().into_iter().find(|entry| entry.facts.id == id).unwrap()
}

#[test]
fn what_is_held_is_delivered_as_a_person_left_it_and_never_when_rejected() {
    let (sim, bench) = with(Wishes { record: RecordPlan::Buffered, ..seen(true, 10) });
    let other = one(&sim, &bench, row(9, Value::Float(900.0))).unwrap();
    assert!(other.decision.review.is_none() && !more(&recorded(&bench, other.decision.id)).deliveries.is_empty());
    let handed_over = || bench.sink.0.lock().unwrap().len();
    let before = handed_over();
    let [approved, overridden, rejected] = [1, 2, 3].map(|id| one(&sim, &bench, green(id)).unwrap().decision);
    for decision in [&approved, &overridden, &rejected] {
        let review = decision.review.unwrap();
        assert_eq!((decision.outcome, review.state, review.held), (Outcome::Ok, ReviewState::Pending, true));
        assert!(decision.output.is_some() && decision.awaits_review() && decision.durable, "{decision:?}");
        let entry = recorded(&bench, decision.id);
        assert!(more(&entry).deliveries.is_empty(), "nothing is delivered before the verdict");
        assert!(more(&entry).why.unwrap().contains("band == \"green\""));
        assert!(bench.engine.replay(&entry).unwrap().same, "what the machine did is replayed");
    }
    assert_eq!((waiting(&bench), handed_over()), (vec![approved.id, overridden.id, rejected.id], before));

    let stands = give(&sim, &bench, approved.id, Verdict::Approve).unwrap();
    assert_eq!((stands.output, &stands.band, stands.awaits_review()), (approved.output, &approved.band, false));
    let verdict = last_verdict(&bench);
    let delivery = &more(&verdict).deliveries[0];
    let set =
        [("score".to_owned(), Value::Float(approved.output.unwrap())), ("score_band".to_owned(), Value::text("green"))];
    assert_eq!((delivery.set.as_slice(), &delivery.older), (&set[..], &Some(("scored_at".to_owned(), approved.at))));
    assert!(delivery.expect.contains(&("balance".to_owned(), Value::Float(9000.0))), "under the row as it was read");

    let stands = give(&sim, &bench, overridden.id, Verdict::Override(0.2)).unwrap();
    assert_eq!((stands.output, stands.band.as_deref()), (Some(0.2), Some("red")));
    let set = [("score".to_owned(), Value::Float(0.2)), ("score_band".to_owned(), Value::text("red"))];
    assert_eq!(more(&last_verdict(&bench)).deliveries[0].set, set);
    let entry = recorded(&bench, overridden.id);
    let text = String::from_utf8(entry.body.unwrap().output).unwrap();
    let said: Decision = serde_json::from_str(&text).unwrap();
    assert_eq!(said.output, overridden.output, "both are in the record");

    let stands = give(&sim, &bench, rejected.id, Verdict::Reject).unwrap();
    assert_eq!((stands.output, stands.review.unwrap().state), (None, ReviewState::Rejected));
    assert!(more(&last_verdict(&bench)).deliveries.is_empty());
    assert_eq!((waiting(&bench), handed_over(), bench.sink.1.lock().unwrap().len()), (vec![], before, 3));
}

#[test]
fn what_is_not_held_is_delivered_at_once_and_a_person_may_correct_it() {
    let (sim, bench) = with(seen(false, 10));
    let [approved, corrected, rejected] = [1, 2, 3].map(|id| one(&sim, &bench, green(id)).unwrap().decision);
    assert!(!approved.awaits_review() && approved.review.unwrap().state == ReviewState::Pending);
    assert_eq!(more(&recorded(&bench, approved.id)).deliveries.len(), 1, "it is delivered");
    assert_eq!(waiting(&bench).len(), 3);
    give(&sim, &bench, approved.id, Verdict::Approve).unwrap();
    assert!(more(&last_verdict(&bench)).deliveries.is_empty(), "what was delivered stands");
    sim.run_for(Duration::from_secs(60));
    give(&sim, &bench, corrected.id, Verdict::Override(0.1)).unwrap();
    let verdict = last_verdict(&bench);
    let delivery = more(&verdict).deliveries.remove(0);
    assert_eq!(delivery.set[0], ("score".to_owned(), Value::Float(0.1)));
    // Dated after what it replaces, under the row as the decision saw it.
    let (field, time) = delivery.older.unwrap();
    assert_eq!((&*field, time), ("scored_at", verdict.facts.at));
    assert!(time > corrected.at && delivery.expect.contains(&("balance".to_owned(), Value::Float(9000.0))));
    let next = one(&sim, &bench, green(2)).unwrap();
    assert!(next.decision.at > time, "a later decision replaces the correction");
    give(&sim, &bench, rejected.id, Verdict::Reject).unwrap();
    assert!(more(&last_verdict(&bench)).deliveries.is_empty());

    let (sim, bench) = with(Wishes { same_row: false, ..seen(false, 10) });
    let id = one(&sim, &bench, green(1)).unwrap().decision.id;
    assert_eq!(code(give(&sim, &bench, id, Verdict::Override(0.1))), "review_outdated");
    give(&sim, &bench, id, Verdict::Approve).unwrap();
}

#[test]
fn where_nobody_has_room_to_look_nothing_passes_unseen() {
    for hold in [true, false] {
        let (sim, bench) = with(seen(hold, 1));
        let first = one(&sim, &bench, green(1)).unwrap().decision;
        let full = one(&sim, &bench, keyed(r#"{"n": 2, "balance": 9000}"#, "k")).unwrap().decision;
        let error = full.error.as_ref().unwrap();
        assert_eq!((full.outcome, error.code.as_str(), error.retryable), (Outcome::Failed, "too_many_reviews", true));
        assert!(full.review.is_none() && full.output.is_none() && full.band.is_none());
        assert!(bench.engine.replay(&recorded(&bench, full.id)).unwrap().same);
        give(&sim, &bench, first.id, Verdict::Reject).unwrap();
        let again = one(&sim, &bench, keyed(r#"{"n": 2, "balance": 9000}"#, "k")).unwrap().decision;
        assert_eq!(again.review.unwrap().state, ReviewState::Pending, "the key was not bound");
    }
}

#[test]
fn a_recalled_answer_is_seen_too_and_a_renewal_asks_nobody() {
    let sim = Sim::new(1);
    let plan = cache(Duration::from_secs(60), Duration::from_secs(3600));
    let bench = bench(&sim.context(), 1, Wishes { cache: Some(plan), ..seen(true, 10) });
    bench.engine.keep_answers_in(Arc::new(MemoryCache::new(&sim.context(), 1 << 20)));
    let text = r#"{"n": 1, "balance": 9000}"#;
    let first = one(&sim, &bench, json(text)).unwrap().decision;
    let second = one(&sim, &bench, json(text)).unwrap().decision;
    assert!(second.recalled.is_some() && second.awaits_review());
    assert_eq!(waiting(&bench), [first.id, second.id]);
    sim.run_for(Duration::from_secs(120));
    let stale = one(&sim, &bench, json(text)).unwrap().decision;
    sim.run_for(Duration::from_secs(5));
    assert!(stale.recalled.as_ref().unwrap().stale);
    assert_eq!(waiting(&bench), [first.id, second.id, stale.id], "the renewal waits for nobody");
}
